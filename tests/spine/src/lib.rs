//! The real binary on real sockets and a real disk: what the end-to-end tests start, talk to, and kill.

mod client;
mod server;

pub use client::{Answer, Client};
pub use server::{Server, farebox};

/// A price list that is easy to work out by hand: model `one` costs 1 usd per million input tokens and 10 per million
/// output tokens.
pub const PRICES: &str =
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#;
/// Twice as dear.
pub const DEARER: &str =
    r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "2", "output": "20"}}}}}}"#;
