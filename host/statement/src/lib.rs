//! What happened to a customer's wallet in a range of time, as lines that sum to its balance.
//!
//! A statement is a fold of the wallet's records. Every entry of one of the four accounts that are the customer's (free and
//! held value, debt, receivable) goes into exactly one line, so per asset and account: opening + lines = closing. That is
//! checked before a statement is given out.
//!
//! Which records a range holds is decided by their instants ([`Record::instant`](farebox_record::Record::instant)) and the order
//! of the history: a boundary lies before the first record whose instant is not before it. So consecutive ranges leave
//! nothing out and count nothing twice, a renewal that is caught up late stands in its own period, and what is written later
//! never changes the statement of a range that is over.
//!
//! **Rejected**: going by the time of the records alone (after an outage, or an advance of a sandbox's clock, all missed
//! renewals would fall into one period); reading balances out of answers (they leave out grants that are not good yet, and
//! count held credit, which is no account).

mod fold;
mod grants;
pub mod limits;
mod line;
mod moved;
mod reading;
mod statement;

pub use line::{Cause, Line, LineKind};
pub use moved::{Balances, Moved, balances};
pub use reading::{Reach, Reading, Wants};
pub use statement::{AssetStatement, Statement, StatementError, statement};
