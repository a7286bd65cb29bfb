//! Every rule of the money semantics that the ledger covers, as tables of small cases worked by hand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what cannot be has failed"
)]

#[path = "../world/mod.rs"]
mod world;

mod above_hold;
mod adjustments;
mod agenda;
mod burn_order;
mod carried;
mod chain;
mod changes;
mod conflicts;
mod corrections;
mod debt;
mod formats;
mod giving;
mod grants;
mod holds;
mod late;
mod lifecycle;
mod limits;
mod missed;
mod owed;
mod owners;
mod parts;
mod plan_orders;
mod portions;
mod refold;
mod refold_lost;
mod refold_parts;
mod remembered;
mod retried;
mod retry;
mod reversed;
mod settle;
mod spending;
mod spending_changes;
mod spending_counts;
mod spending_windows;
mod standings;
mod subscribed_above;
mod taken_back;
mod timers;
mod usage;
mod verify;
