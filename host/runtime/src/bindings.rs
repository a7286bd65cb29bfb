//! The types of `wit/plan.wit`, generated, so that the contract is written down in one place only.
//!
//! Parameters borrow (a `Batch<'_>` is slices), so that a batch crosses without being copied first.
#![allow(
    dead_code,
    reason = "the generated per-instance lookups are replaced by cached ones, see `call`"
)]
#![allow(clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "plan",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(crate) use exports::farebox::plan::pricing::*;
