//! Farebox over HTTP: the API of `/v1`, its documentation, its keys and its metrics.
//!
//! ```text
//! bytes -> bounded in size, number and time -> key, role, tenant -> typed request -> engine -> typed answer
//! ```
//!
//! Handlers are thin: they decode, ask the engine, and encode. What a caller may send stands in `wire`, who may send it
//! in [`access`], how much of it in [`limits`], and every way in which it can be refused in [`Code`].
//!
//! **Rejected**: a loose JSON layer that ignores what it does not know (a misspelt `final` would be a settlement for ever);
//! numbers through floating point (a tenth is not a tenth there); a status of 200 around refusals; generating handlers
//! from the OpenAPI document (the code is the source, the document is checked in and compared).

pub mod access;
mod answer;
mod auth;
mod code;
mod config;
mod cursor;
mod decode;
mod gate;
mod handle;
pub mod limits;
mod openapi;
mod problem;
mod refusal;
mod router;
mod routes;
mod secret;
mod serve;
mod server;
mod statement;
mod streams;
mod watch;
mod wire;

pub use code::Code;
pub use config::{Config, MetricsAccess};
pub use handle::{HandleError, HoldHandle};
pub use openapi::document;
pub use problem::Problem;
pub use router::router;
pub use secret::Secret;
pub use serve::{ServeError, serve};
pub use server::Server;
pub use watch::install as install_metrics;
