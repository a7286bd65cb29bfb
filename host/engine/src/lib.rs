//! The engine: one atomic, durable step from a command to its answer.
//!
//! ```text
//! call -> reserve room -> lane (one thread per share of the wallets) -> plan -> ledger -> committer -> answer
//!                           ^ loaders bring what is not in memory                    one sync for all lanes
//! ```
//!
//! **Rejected**: a lock per wallet (deadlocks between events of two wallets, and no batches for plans); answering before the
//! sync (an answer that a power cut takes back is a lie); a timer for group commit (the sync itself is the timer).

mod again;
mod backfill;
mod bell;
mod by_hand;
mod carried;
mod catching_up;
mod clock;
mod committer;
mod control;
mod controls;
mod crew;
mod engine;
mod error;
mod fold;
mod following;
mod given;
mod ids;
mod lane;
pub mod limits;
mod loader;
mod migration;
pub mod projection;
mod quarantine;
mod rater;
mod refold;
mod request;
mod shared;
mod shares;
mod sweeper;
mod tenants;
mod timeline;

pub use again::{ask_again, reversal_again};
pub use backfill::{BackfillPreview, BackfillProblem, BackfilledCustomer};
pub use by_hand::Work;
pub use catching_up::CaughtUp;
pub use clock::{Clock, ManualClock, SystemClock};
pub use control::{ComponentPushed, ControlDone};
pub use controls::Controls;
pub use engine::{Config, Engine, Round};
pub use error::{ControlError, EngineError, Unreadable};
pub use fold::LedgerFold;
pub use given::Given;
pub use refold::{Again, refold_again};
pub use request::{Ask, Done, Rejected, Reply, Request};
pub use shares::{Full, Share, Shares};
pub use tenants::{Advanced, DEFAULT_TENANT, TenantMade};
pub use timeline::{Activated, NewRevision};
