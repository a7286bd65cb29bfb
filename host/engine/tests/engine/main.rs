//! The engine with a real plan: concurrency, retries, losses, time, and plans that change underneath.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod concurrency;
mod holds;
mod house;
mod losses;
mod overdue;
mod plans;
mod restart;
mod unpriced;
