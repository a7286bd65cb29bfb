//! Folding the journal's tail into the state: what a crash left behind, or all of it into a fresh state.
//!
//! The journal is read, checked and unpacked by one thread while what it read before is folded and written: as many records
//! at once as [`replay_batch_bytes`](crate::Options::replay_batch_bytes) says, wallets on all processors.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use super::gather::{Gathered, Tailing};
use crate::contract::{Fold, Image, ON_DEMAND, StoreError, WalletKey};
use crate::journal::segments::Segments;
use crate::journal::walk::{From, Tail};
use crate::state::{Change, Changes, Meta, State};

/// Wallets that a thread takes to fold at a time.
const SHARE: usize = 64;

/// Reads the journal from a position on, a batch at a time, each with how far it reaches; until nobody takes them any more.
/// A batch comes back once it is folded, and is used again.
fn gather(
    segments: &Segments,
    (position, end): (u64, u64),
    batch_bytes: usize,
    batches: &SyncSender<(Gathered, u64)>,
    folded: &Receiver<Gathered>,
) -> Result<(), StoreError> {
    let from = From {
        position,
        link: None,
        durable: position,
        until: None,
    };
    // Why nobody takes them is what is told then.
    let send = |gathered, end| {
        batches.send((gathered, end)).map_err(|_| StoreError::State {
            what: "nobody folds what is read".into(),
        })
    };
    let next = || {
        let used = folded.try_recv();
        used.unwrap_or_else(|_| Gathered::new(batch_bytes))
    };
    let mut gathered = next();
    segments.walk(from, &mut |frame| {
        gathered.frame(frame, segments)?;
        if gathered.is_full() {
            let full = std::mem::replace(&mut gathered, Gathered::new(batch_bytes));
            send(full, frame.end())?;
            // Whoever took it has given the one before back: so there are two.
            gathered = next();
        }
        Ok(())
    })?;
    send(gathered, end)
}

/// Folds records into a state, a batch at a time.
pub(super) struct Replay<'a> {
    state: &'a State,
    fold: &'a dyn Fold,
    meta: Meta,
}

impl<'a> Replay<'a> {
    /// Goes on where the state is.
    pub(super) fn from(state: &'a State, fold: &'a dyn Fold, meta: Meta) -> Replay<'a> {
        Replay { state, fold, meta }
    }

    /// Brings the state up to the journal's end. Each batch is atomic and says how far it reaches, so a crash in the middle
    /// only means that the next open goes on from there.
    pub(super) fn run(
        mut self,
        segments: &Segments,
        tail: &Tail,
        batch_bytes: usize,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Meta, StoreError> {
        let begin = self.meta.applied;
        progress(begin, tail.end);
        if begin >= tail.end {
            return Ok(self.meta);
        }
        // Nothing waits in between: one batch is read while another is folded.
        let (batches, read) = sync_channel(0);
        let (used, folded) = channel();
        std::thread::scope(|scope| {
            let places = (begin, tail.end);
            let reading = scope.spawn(move || gather(segments, places, batch_bytes, &batches, &folded));
            let applied = read.iter().try_for_each(|(mut gathered, end)| {
                self.apply(&mut gathered, end)?;
                let _ = used.send(gathered); // nobody needs it once all is read
                progress(end, tail.end);
                Ok(())
            });
            drop(read); // a reader that still reads stops
            let read = reading.join().map_err(|_| StoreError::State {
                what: "reading the journal panicked".into(),
            });
            applied.and_then(|()| read?)
        })?;
        self.state.sync()?;
        progress(tail.end, tail.end);
        Ok(self.meta)
    }

    /// Applies records, which are all that the state lacks up to this position; none are left.
    pub(super) fn apply(&mut self, gathered: &mut Gathered, applied: u64) -> Result<(), StoreError> {
        self.meta.applied = applied;
        self.meta.durable = self.meta.durable.max(applied);
        let changes = self.fold_all(&gathered.by_wallet())?;
        gathered.clear();
        self.state.apply(&changes, &self.meta)
    }

    /// Folds wallets on all processors: whoever is done takes the next few.
    fn fold_all(&self, wallets: &[Tailing<'_>]) -> Result<Changes, StoreError> {
        let next = AtomicUsize::new(0);
        let shares = || wallets.chunks(SHARE).nth(next.fetch_add(1, Ordering::Relaxed));
        let fold = || {
            let mut folded = Vec::new();
            while let Some(share) = shares() {
                for tailing in share {
                    folded.push(self.fold_one(tailing)?);
                }
            }
            Ok(folded)
        };
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let others = processors.min(wallets.len().div_ceil(SHARE)).saturating_sub(1);
        std::thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(fold)).collect();
            let mut changes: Changes = fold()?.into_iter().collect();
            for other in others {
                let folded = other.join().map_err(|_| StoreError::State {
                    what: "folding records panicked".into(),
                })?;
                changes.extend(folded?);
            }
            Ok(changes)
        })
    }

    fn fold_one(&self, tailing: &Tailing<'_>) -> Result<(WalletKey, Change), StoreError> {
        let (state, wallet) = (self.state, tailing.wallet);
        let mut head = state.head(wallet)?.unwrap_or_default();
        let mut image = Image {
            version: head.version(),
            parts: Vec::new(),
        };
        for (sequence, position) in tailing.places() {
            let next = head.version() + 1;
            if sequence != next {
                let what = format!(
                    "the next record of {wallet:?} should be {next}, and the journal goes on with {sequence}"
                );
                return Err(StoreError::State { what });
            }
            head.push(position);
        }
        state.parts(wallet, &[], None, &mut |key, value| {
            let loaded = key.first().is_none_or(|&byte| byte < ON_DEMAND);
            if loaded {
                image.parts.push((key, value));
            }
            loaded
        })?;
        let folded = self.fold.fold(wallet, &image, &tailing.records());
        let folded = folded.map_err(|reason| StoreError::State {
            what: format!(
                "the records of {wallet:?} after {} cannot be folded: {reason}",
                image.version
            ),
        })?;
        head.due = folded.due;
        let parts = folded.parts.into_iter().collect();
        Ok((wallet.clone(), Change { head, parts }))
    }
}
