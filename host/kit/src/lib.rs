//! What a pricing team works with before anything is shipped: building plans, and reading scenario files.

pub mod build;
pub mod scenario;
