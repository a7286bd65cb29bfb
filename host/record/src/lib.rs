//! What is written: commands, outcomes, entries, wallet state; their versions and their codec. Plain data, no I/O.
//!
//! A [`Record`] is the unit of history: a command, what it was decided on, and everything that came of it. Wallet state
//! ([`state`]) is what folding the effects of all of a wallet's records gives.

pub mod codec;
pub mod command;
pub mod control;
pub mod correction;
pub mod event;
pub mod fields;
pub mod ids;
pub mod lifecycle;
pub mod outcome;
pub mod plan;
pub mod portion;
pub mod record;
pub mod spending;
pub mod state;
pub mod time;

pub use record::{Record, identity_hash};
