//! The only place where a balance changes: a pure state machine.
//!
//! [`apply`] takes a wallet, a command, what was seen (what the plan answered, when the event happened) and the
//! store's time, and gives the outcome: an answer and the effects that change the wallet. [`Wallet::fold`] carries an
//! effect out. `apply` itself changes the wallet through `fold` alone, so folding a history of records gives exactly
//! the wallet that made it: replay needs no plan.
//!
//! No I/O, no async, no Wasm, no clock, no randomness, no hash order.

mod adjust;
mod agenda;
mod apply;
mod balances;
mod calendar;
mod change;
mod conclude;
mod correct;
mod cover;
mod credit;
mod draft;
mod funds;
mod giving;
mod grant;
mod hold;
mod idempotency;
pub mod limits;
mod lost;
mod missed;
mod orders;
mod owed;
mod pins;
mod portions;
mod refold;
mod refusal;
mod renewal;
mod retry;
mod reverse;
mod settle;
mod spending;
mod subscription;
mod term;
mod timer;
mod timers;
mod usage;
mod verify;
mod wallet;

pub use apply::{append, apply};
pub use calendar::{CalendarError, period_at, period_with_index};
pub use correct::{refunded_of, standing_of};
pub use giving::gives_back_of;
pub use idempotency::{Retry, compare};
pub use missed::remaining;
pub use refusal::Refusal;
pub use renewal::{NextKind, NextPeriod, next_period};
pub use retry::{Retold, is_of_old_plan, retold};
pub use spending::LimitView;
pub use term::term_of;
pub use timer::timer_of;
pub use verify::{DecidedOtherwise, Violation, verify};
pub use wallet::{Wallet, WalletError};
