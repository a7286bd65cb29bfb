//! The engine with a real plan: concurrency, retries, losses, time, and plans that change underneath.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod classes;
mod concurrency;
mod fixtures;
mod holds;
mod house;
mod losses;
mod plans;
mod restart;
mod room;
mod unpriced;
