//! The real program: what it prints, where, and with which exit code.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

mod archive;
mod corrections;
mod following;
mod formats;
mod holds;
mod lifecycle;
mod limits;
mod offline;
mod path;
mod program;
mod putting_right;
mod start;
mod statement;
mod tenants;
mod terminal;
mod usage;
