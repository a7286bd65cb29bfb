//! The real program: what it prints, where, and with which exit code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

mod archive;
mod corrections;
mod following;
mod limits;
mod offline;
mod path;
mod program;
mod start;
mod statement;
mod tenants;
mod usage;
