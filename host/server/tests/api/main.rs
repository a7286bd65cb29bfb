//! The API over a real socket: an engine on a memory store, with the per-token plan of this repository.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod authorize;
mod backfills;
mod books;
mod calendar;
mod changes;
mod corrections;
mod customers;
mod deadlines;
mod dropped;
mod edge;
mod events;
mod giving;
mod keys;
mod lifecycle;
mod limits;
mod plans;
mod portions;
mod statement;
mod support;
mod team;
mod tenants;
mod unpriced;
mod usage;
