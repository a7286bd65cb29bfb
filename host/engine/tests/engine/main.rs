//! The engine with a real plan: concurrency, retries, losses, time, and plans that change underneath.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod backfill;
mod classes;
mod concurrency;
mod corrections;
mod deadlines;
mod feed;
mod fixtures;
mod folded;
mod following;
mod giving;
mod holds;
mod house;
mod kept;
mod large;
mod limits;
mod limping;
mod losses;
mod migration;
mod open_holds;
mod overdue;
mod parts;
mod plans;
mod pooled;
mod rating;
mod refold;
mod refold_giving;
mod refold_limits;
mod restart;
mod retried;
mod room;
mod slow_disk;
mod tasks;
mod tenants;
mod terms;
mod unpriced;
