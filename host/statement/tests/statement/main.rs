//! Statements of histories that the ledger made.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what cannot be has failed"
)]

#[path = "../../../ledger/tests/world/mod.rs"]
mod world;

mod random;
mod say;
mod worked;
