//! Automation of this repository: `cargo xtask test | plans | tidy | demo | bench | sim`.
//!
//! In Rust, so that it runs wherever the project builds, with nothing else installed. It knows the product from
//! outside only (the `farebox` program and its HTTP API), so what it proves is what a user gets. It never uses the
//! product's own money code: the demo computes every amount a second time, on its own.

pub mod bench;
pub mod cli;
pub mod client;
pub mod demo;
pub mod plans;
pub mod server;
pub mod sim;
pub mod suite;
pub mod terminal;
pub mod tidy;
pub mod workspace;
