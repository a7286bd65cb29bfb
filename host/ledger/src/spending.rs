//! Spending limits: what may still be spent, what counts, and what is announced.
//!
//! A wallet without limits pays one look at an empty map. Everything else is effects: what was used is counted by
//! [`farebox_record::outcome::Effect::LimitCounted`], what is held follows from the holds.

mod change;
mod check;
mod count;
mod fold;
mod view;
mod window;

pub(crate) use change::{delete_limit, put_limit};
pub(crate) use check::{Demand, exceeded};
pub(crate) use count::{count_again, count_back, count_event, count_settlement};
pub(crate) use fold::{forget_hold, held_of, hold_put, hold_removed};
pub use view::LimitView;
