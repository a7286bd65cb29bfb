//! What is written: commands, outcomes, entries, wallet state; their versions and their codec. Plain data, no I/O.

pub mod ids;
pub mod plan;
pub mod time;
