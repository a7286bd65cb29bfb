//! What a pricing team works with before anything is shipped: building plans, and reading scenario files.

pub use farebox_build as build;

pub mod scenario;
