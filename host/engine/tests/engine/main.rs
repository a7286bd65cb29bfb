//! The engine with a real plan: concurrency, retries, losses, time, and plans that change underneath.

mod concurrency;
mod holds;
mod house;
mod losses;
mod plans;
mod restart;
mod unpriced;
