//! Stores: where wallets live, and what "durable" means.

mod contract;
pub mod limits;

pub use contract::*;
