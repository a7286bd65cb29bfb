//! How things look in JSON, both ways. Every shape that a caller sees or sends stands here, with its documentation.

pub mod account;
pub mod amount;
pub mod backfill;
pub mod balance;
pub mod books;
pub mod change;
pub mod correction;
pub mod entry;
pub mod event;
pub mod given;
pub mod hold;
pub mod limit;
pub mod measures;
pub mod plan;
pub mod statement;
pub mod subscription;
pub mod tenant;
pub mod text;
pub mod time;
pub mod unpriced;
pub mod usage;
pub mod usage_page;
