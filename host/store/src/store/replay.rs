//! Folding the journal's tail into the state: what a crash left behind, or all of it into a fresh state.
//!
//! Records are gathered by wallet, as many as fit into memory, so that a wallet is read, folded and written once for all of
//! them; wallets are folded on all processors.

use std::collections::BTreeMap;
use std::num::NonZero;

use crate::contract::{Fold, Image, ON_DEMAND, Origin, StoreError, StoredRecord, WalletKey};
use crate::heads::Head;
use crate::journal::segments::Segments;
use crate::journal::walk::{Frame, From, Tail};
use crate::limits::REPLAY_BATCH_BYTES;
use crate::state::{Change, Changes, Meta, State};

/// Wallets for which a thread is worth its start.
const SHARE_MIN: usize = 64;

/// Brings the state up to the journal's end. Each batch is atomic and says how far it reaches, so a crash in the middle
/// only means that the next open goes on from there.
pub(super) fn replay(
    segments: &Segments,
    state: &State,
    fold: &dyn Fold,
    meta: Meta,
    tail: &Tail,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Meta, StoreError> {
    let mut replay = Replay::from(state, fold, meta);
    progress(meta.applied, tail.end);
    if meta.applied < tail.end {
        let from = From {
            position: meta.applied,
            link: None,
            durable: meta.applied,
            until: None,
        };
        segments.walk(from, &mut |frame| {
            replay.frame(frame, segments)?;
            if replay.is_full() {
                replay.apply(frame.end())?;
                progress(frame.end(), tail.end);
            }
            Ok(())
        })?;
        replay.apply(tail.end)?;
        state.sync()?;
        progress(tail.end, tail.end);
    }
    Ok(replay.meta)
}

/// Folds records into a state, a batch at a time.
pub(super) struct Replay<'a> {
    state: &'a State,
    fold: &'a dyn Fold,
    meta: Meta,
    wallets: BTreeMap<WalletKey, Tailing>,
    bytes: usize,
}

/// A wallet's records that its state lacks.
struct Tailing {
    head: Head,
    records: Vec<StoredRecord>,
}

impl<'a> Replay<'a> {
    /// Goes on where the state is.
    pub(super) fn from(state: &'a State, fold: &'a dyn Fold, meta: Meta) -> Replay<'a> {
        Replay {
            state,
            fold,
            meta,
            wallets: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Adds the records of the next frame.
    pub(super) fn frame(&mut self, frame: &Frame<'_>, segments: &Segments) -> Result<(), StoreError> {
        frame.records(segments, &mut |position, envelope| {
            self.add(&envelope.wallet_key(), envelope.sequence, position, envelope.body)
        })
    }

    /// Whether it is time to apply what was added.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= REPLAY_BATCH_BYTES
    }

    fn add(
        &mut self,
        wallet: &WalletKey,
        sequence: u64,
        position: u64,
        body: &[u8],
    ) -> Result<(), StoreError> {
        if !self.wallets.contains_key(wallet) {
            let head = self.state.head(wallet)?.unwrap_or_default();
            self.wallets.insert(
                wallet.clone(),
                Tailing {
                    head,
                    records: Vec::new(),
                },
            );
        }
        let Some(tailing) = self.wallets.get_mut(wallet) else {
            return Ok(());
        };
        let next = tailing.head.version() + 1;
        if sequence != next {
            let what = format!(
                "the next record of {wallet:?} should be {next}, and the journal goes on with {sequence}"
            );
            return Err(StoreError::State { what });
        }
        tailing.head.push(position);
        tailing.records.push(StoredRecord {
            wallet: wallet.clone(),
            sequence,
            body: body.to_vec(),
            origin: Origin::default(),
        });
        self.bytes += body.len() + 128;
        Ok(())
    }

    /// Applies what was added, which is everything up to this position.
    pub(super) fn apply(&mut self, applied: u64) -> Result<(), StoreError> {
        let wallets: Vec<_> = std::mem::take(&mut self.wallets).into_iter().collect();
        self.bytes = 0;
        self.meta.applied = applied;
        self.meta.durable = self.meta.durable.max(applied);
        let changes = fold_all(self.state, self.fold, wallets)?;
        self.state.apply(&changes, &self.meta)
    }
}

/// Folds wallets, a share of them on each processor.
fn fold_all(
    state: &State,
    fold: &dyn Fold,
    mut wallets: Vec<(WalletKey, Tailing)>,
) -> Result<Changes, StoreError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = wallets.len().div_ceil(threads).max(SHARE_MIN);
    std::thread::scope(|scope| {
        let mut folding = Vec::new();
        while wallets.len() > share {
            let others = wallets.split_off(wallets.len() - share);
            folding.push(scope.spawn(move || fold_each(state, fold, others)));
        }
        let mut changes = fold_each(state, fold, wallets)?;
        for others in folding {
            let others = others.join().map_err(|_| StoreError::State {
                what: "folding records panicked".into(),
            })?;
            changes.extend(others?);
        }
        Ok(changes)
    })
}

/// Folds one wallet after the other.
fn fold_each(
    state: &State,
    fold: &dyn Fold,
    wallets: Vec<(WalletKey, Tailing)>,
) -> Result<Changes, StoreError> {
    let mut changes = Changes::new();
    for (wallet, Tailing { mut head, records }) in wallets {
        let mut image = Image {
            version: head.version() - records.len() as u64,
            parts: Vec::new(),
        };
        state.parts(&wallet, &[], None, &mut |key, value| {
            let loaded = key.first().is_none_or(|&byte| byte < ON_DEMAND);
            if loaded {
                image.parts.push((key, value));
            }
            loaded
        })?;
        let folded = fold
            .fold(&wallet, &image, &records)
            .map_err(|reason| StoreError::State {
                what: format!(
                    "the records of {wallet:?} after {} cannot be folded: {reason}",
                    image.version
                ),
            })?;
        head.due = folded.due;
        changes.insert(
            wallet,
            Change {
                head,
                parts: folded.parts.into_iter().collect(),
            },
        );
    }
    Ok(changes)
}
