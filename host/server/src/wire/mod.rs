//! How things look in JSON, both ways. Every shape that a caller sees or sends stands here, with its documentation.

pub mod account;
pub mod amount;
pub mod balance;
pub mod change;
pub mod entry;
pub mod event;
pub mod hold;
pub mod measures;
pub mod plan;
pub mod text;
pub mod time;
pub mod usage;
pub mod usage_page;
