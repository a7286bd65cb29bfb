//! Runs plans: WebAssembly components that price usage and are trusted with nothing.
//!
//! A plan is admitted ([`Runtime::admit`]), given parameters ([`Runtime::prepare`]), and then asked for prices
//! ([`Runtime::evaluate`]). It has no imports, so all that it can do is compute; and what it computes with is
//! bounded by [`Limits`]: fuel, memory, stack, wall clock, and the number and length of all that it returns. Each call
//! runs in a fresh instance, so nothing stays behind from one call to the next, whoever made it.
//!
//! This crate knows no wallets. It turns plain data into columns, columns into an answer, and an answer that was
//! checked item by item into plain data again. It blocks; it has no executor; it has one thread of its own, for the
//! clock behind the wall-clock limit.
//!
//! **Rejected**: reusing instances (eight times faster for single events, hardly faster for batches, and every leak
//! between customers becomes possible); WASI (a plan has nobody to talk to); precompiled uploads (machine code is not
//! sandboxed); limits by wall clock (they depend on the weather).

mod answer;
mod batch;
mod bindings;
mod cache;
mod call;
mod change;
mod columns;
mod compile;
mod describe;
mod engine;
mod error;
mod evaluate;
mod fault;
mod health;
mod inspect;
mod limits;
mod pace;
mod plan;
mod refused;
mod runtime;
mod tier;
mod transition;

pub use answer::Verdict;
pub use batch::{
    Batch, Context, ContextIndex, EVENT_ID, EVENT_SOURCE, Purpose, Subject, SubjectIndex, Trigger,
};
pub use change::{Change, Proration, Replacement, ReversedCharge};
pub use compile::{Compiler, compile_in_child};
#[doc(hidden)]
pub use engine::native_engine;
pub use error::RuntimeError;
pub use evaluate::Evaluation;
pub use fault::Fault;
pub use health::{Health, Quarantine};
#[doc(hidden)]
pub use inspect::INTERFACE;
pub use limits::Limits;
pub use plan::{Plan, Revision};
pub use refused::{ParameterError, Refused};
pub use runtime::{Config, Runtime};
pub use tier::Tier;
pub use transition::{Explanation, Migration, Transition};
