//! The real program: what it prints, where, and with which exit code.

mod offline;
mod path;
mod program;
mod start;
mod usage;
