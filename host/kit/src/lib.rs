//! What a pricing team works with before anything is shipped: building plans, asking them about events, and running scenario
//! files.

pub use farebox_build as build;

pub mod bills;
pub mod conformance;
pub mod events;
pub mod probe;
pub mod scenario;
