//! What follows the records: the change feed, the usage of every wallet, and the books of all wallets together.
//!
//! One thread beside the committer reads the records in commit order, behind the answers, and keeps what it makes of them in
//! the store, in one step with the position up to which it has read. It is in no lane's way, and nothing waits for it but
//! who asks for what it makes. When it fails it says so, rests, and goes on where it was: billing goes on meanwhile.
//!
//! It is derived data. Every part of it is a pure function of the records (`changes_of`, `usage`), so that it can be
//! thrown away and made again.
//!
//! **Rejected:** feeds and sums in the wallet's own transaction (each event would write more rows behind its answer, and a
//! wallet's state would grow with what is read of it); sums made of the journal when they are asked for (a day of a busy
//! customer is a million records), but for identifiers, of which rows would be as many as events (`usage_found`).

mod books;
mod change;
mod changes_of;
mod charge;
mod feed;
mod follow;
mod gathered;
mod known;
mod pass;
mod rows;
#[cfg(test)]
mod sample;
mod status;
mod upkeep;
mod usage;
mod usage_found;
mod usage_read;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use farebox_store::limits::TAIL_BYTES_MAX;
use farebox_store::{StoreError, Tail};

use crate::limits::{
    PROJECTION_PASS_INTERVAL, PROJECTION_PASS_RECORDS_MAX, PROJECTION_REST_MAX, PROJECTION_RETRY_INTERVAL,
    PROJECTION_STOP_MAX, PROJECTION_UPKEEP_INTERVAL,
};
use crate::shared::Shared;
use known::Known;
use pass::Pass;
use upkeep::Upkeep;

pub use farebox_store::Position;

pub(crate) use books::between as books_between;
pub use books::{
    Accounts, BEFORE_ALL, BookAccount, Booked, Books, Closing, Days, accounts_of, booked, day_of, days_of_all,
};
pub use change::{Change, Changed, FeedCursor, Kind, Revised, Subscribed, What};
pub use changes_of::{changes_of, control_changes_of};
pub(crate) use feed::page as feed_page;
pub use feed::{FeedError, FeedPage, FeedQuery};
pub use follow::RecordFollow;
pub use rows::Every;
pub(crate) use status::Status;
pub use status::Watch;
pub(crate) use usage::is_identifier;
pub use usage::{Charged, Totals};
pub(crate) use usage_found::page as usage_found;
pub(crate) use usage_read::page as usage_page;
pub use usage_read::{Grouped, UsageCursor, UsageGroup, UsagePage, UsageQuery};

/// Follows the records until nobody commits any more.
pub(crate) fn run(shared: Arc<Shared>, status: Arc<Status>, stop: &AtomicBool, woken: &Receiver<()>) {
    let mut projector = Projector::new(shared, status);
    let mut looked = Instant::now();
    loop {
        let upkeep = looked.elapsed() >= PROJECTION_UPKEEP_INTERVAL;
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let took = projector.follow_some(stop)?;
            if upkeep {
                projector.tidy()?;
            }
            Ok(took)
        }));
        if upkeep {
            looked = Instant::now();
        }
        let rest = match worked {
            Ok(Ok(took)) => took.clamp(PROJECTION_PASS_INTERVAL, PROJECTION_REST_MAX),
            Ok(Err(StoreError::Stopped { .. })) => return,
            Ok(Err(error)) => projector.failed(&error.to_string()),
            Err(_) => projector.failed("it panicked"),
        };
        if projector.shared.has_failed() {
            return;
        }
        match woken.recv_timeout(PROJECTION_UPKEEP_INTERVAL) {
            Ok(()) => std::thread::sleep(rest),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if stop.load(Ordering::SeqCst) => {
                let end = Instant::now() + PROJECTION_STOP_MAX;
                let _ = projector.follow_until(end); // what this does not reach comes with the next start
                return;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// What there was for a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Nothing was left to read.
    Nothing,
    /// All that there was, and it was little.
    Little,
    /// So much that there may be more.
    Much,
}

impl Found {
    fn of(tail: &Tail) -> Found {
        let bytes: usize = tail.records.iter().map(|(_, record)| record.body.len()).sum();
        match tail.records.len() >= PROJECTION_PASS_RECORDS_MAX / 2 || bytes >= TAIL_BYTES_MAX / 2 {
            true => Found::Much,
            false => Found::Little,
        }
    }
}

/// Reads the records and makes of them what is shown.
pub(crate) struct Projector {
    shared: Arc<Shared>,
    status: Arc<Status>,
    /// None until it is known what the store has.
    reached: Option<Position>,
    upkeep: Upkeep,
    known: Known,
}

impl Projector {
    pub(crate) fn new(shared: Arc<Shared>, status: Arc<Status>) -> Projector {
        Projector {
            shared,
            status,
            reached: None,
            upkeep: Upkeep::default(),
            known: Known::default(),
        }
    }

    /// Reads on until nothing is left to read.
    pub(crate) fn follow(&mut self) -> Result<(), StoreError> {
        while self.pass()? != Found::Nothing {}
        Ok(())
    }

    /// Reads on until nothing is left to read, or it is this late.
    fn follow_until(&mut self, end: Instant) -> Result<(), StoreError> {
        while Instant::now() < end && self.pass()? != Found::Nothing {}
        Ok(())
    }

    /// Reads on until less than a pass is left to read, or the engine stops. The answer is how long the last pass took: who
    /// rests for as long gathers more for the next one, which costs less then, and is never far behind.
    fn follow_some(&mut self, stop: &AtomicBool) -> Result<Duration, StoreError> {
        loop {
            let begun = Instant::now();
            if self.pass()? != Found::Much || stop.load(Ordering::SeqCst) {
                return Ok(begun.elapsed());
            }
        }
    }

    /// Takes in what there is, up to a limit.
    fn pass(&mut self) -> Result<Found, StoreError> {
        let reached = match self.reached {
            Some(reached) => reached,
            None => self.resume()?,
        };
        let begun = Instant::now();
        let tail = self.shared.store.tail(reached, PROJECTION_PASS_RECORDS_MAX)?;
        if tail.reached == reached {
            self.status.reached(reached, None);
            return Ok(Found::Nothing);
        }
        let known = std::mem::take(&mut self.known);
        let mut pass = Pass::new(&*self.shared.store, &*self.shared.clock, known);
        for (position, record) in &tail.records {
            pass.take(*position, record)?;
        }
        let at = pass.newest();
        let (changes, known) = pass.finish()?;
        // Should this fail in the middle, what the store has is asked again.
        self.reached = None;
        {
            let _changing = self.status.changing();
            self.shared.store.project(tail.reached, changes)?;
        }
        self.reached = Some(tail.reached);
        self.known = known;
        self.status.reached(tail.reached, at);
        metrics::histogram!("farebox_projection_pass_seconds").record(begun.elapsed().as_secs_f64());
        metrics::counter!("farebox_projection_records_total").increment(tail.records.len() as u64);
        Ok(Found::of(&tail))
    }

    /// Looks for what is no longer kept, a little at a time. Nothing before it is known what the store has.
    pub(crate) fn tidy(&mut self) -> Result<(), StoreError> {
        self.known = Known::default(); // rows of it may go
        match self.reached {
            Some(reached) => self
                .upkeep
                .step(&*self.shared.store, &*self.shared.clock, reached)
                .map(|_| ()),
            None => Ok(()),
        }
    }

    /// Where it left off; at the first record where what is kept has another format.
    fn resume(&mut self) -> Result<Position, StoreError> {
        let store = &self.shared.store;
        if store.projection(rows::FORMAT_KEY)?.as_deref() != Some(rows::FORMAT) {
            let _changing = self.status.changing();
            store.forget_projections()?;
            let format = (rows::FORMAT_KEY.to_vec(), Some(rows::FORMAT.to_vec()));
            store.project(Position::default(), vec![format])?;
        }
        let reached = store.projected()?;
        self.reached = Some(reached);
        Ok(reached)
    }

    /// Says why it is behind. What the store has is asked again, after a rest of this length.
    pub(crate) fn failed(&mut self, why: &str) -> Duration {
        self.reached = None;
        self.known = Known::default();
        metrics::counter!("farebox_projection_failures_total").increment(1);
        tracing::error!(
            reason = why,
            "the change feed, usage and the books are behind; billing goes on, and it is tried again. Where it is about an \
             archive, set archive_dir"
        );
        PROJECTION_RETRY_INTERVAL
    }
}
