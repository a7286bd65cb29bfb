//! What every store must do, as plain functions: run [`all`] against yours.
//!
//! Each function takes a [`Subject`], makes fresh stores with it and panics where one breaks the contract. Records say in
//! their bodies what they change ([`Draft`]), and [`BodyFold`] reads it there, so that a store that replays comes to the
//! same state as one that was told.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a suite of tests: a panic is how it reports"
)]

mod commits;
mod ids;
mod reads;
mod tail;

use serde::{Deserialize, Serialize};

use crate::contract::{
    Commit, Fate, Fold, Folded, FoldedRecord, IdHash, Image, NewRecord, PartKey, Store, Version, WalletKey,
};

pub use commits::{
    chained_commits_follow_each_other, closed_stores_refuse, control_versions_are_compared,
    limits_are_refused_by_name, versions_are_compared,
};
pub use ids::{ids_are_found, ids_are_never_missed};
pub use reads::{
    blobs_are_kept, due_wallets_are_those_of_one_tenant, due_wallets_come_in_order, histories_are_paged,
    on_demand_parts_are_left_out, parts_are_paged, parts_are_set_and_removed, reopened_stores_hold_the_same,
    wallets_and_tenants_are_listed,
};
pub use tail::{
    ends_move_with_commits, projections_are_whole_or_gone, projections_change_with_their_position,
    projections_have_limits, tails_hold_every_record_once,
};

/// How to reopen a store: it is closed, dropped and opened again where it was.
pub type Reopen<'a> = &'a dyn Fn(Box<dyn Store>) -> Box<dyn Store>;

/// The store under test.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Makes an empty store. A store that is made earlier may be gone then.
    pub fresh: &'a dyn Fn() -> Box<dyn Store>,
    /// For stores that outlive their process.
    pub reopen: Option<Reopen<'a>>,
    /// Whether the store may lose commits whose versions match.
    pub losses: Losses,
}

/// Whether commits may be lost without a reason that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Losses {
    /// A commit whose versions match is kept.
    None,
    /// It may be lost; tried again it is kept at some time.
    Spurious,
}

/// Runs everything.
pub fn all(subject: Subject<'_>) {
    versions_are_compared(subject);
    chained_commits_follow_each_other(subject);
    control_versions_are_compared(subject);
    limits_are_refused_by_name(subject);
    closed_stores_refuse(subject);
    parts_are_set_and_removed(subject);
    on_demand_parts_are_left_out(subject);
    parts_are_paged(subject);
    due_wallets_come_in_order(subject);
    due_wallets_are_those_of_one_tenant(subject);
    histories_are_paged(subject);
    wallets_and_tenants_are_listed(subject);
    blobs_are_kept(subject);
    reopened_stores_hold_the_same(subject);
    ids_are_found(subject);
    ids_are_never_missed(subject);
    tails_hold_every_record_once(subject);
    ends_move_with_commits(subject);
    projections_change_with_their_position(subject);
    projections_are_whole_or_gone(subject);
    projections_have_limits(subject);
}

/// What a record of this suite says in its body.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Body {
    parts: Vec<(PartKey, Option<Vec<u8>>)>,
    due: Option<i64>,
    filler: Vec<u8>,
}

/// Reads from the bodies of the suite's records what they change.
#[derive(Debug, Clone, Copy, Default)]
pub struct BodyFold;

impl Fold for BodyFold {
    fn fold(&self, _: &WalletKey, image: &Image, records: &[FoldedRecord<'_>]) -> Result<Folded, String> {
        let mut folded = Folded::default();
        for (expected, record) in (image.version + 1..).zip(records) {
            if record.sequence != expected {
                return Err(format!("record {} in place of {expected}", record.sequence));
            }
            let body: Body = postcard::from_bytes(record.body).map_err(|error| error.to_string())?;
            folded.parts.extend(body.parts);
            folded.due = body.due;
        }
        Ok(folded)
    }
}

/// A commit under construction; unless told otherwise it has one record and changes nothing.
#[derive(Debug, Clone)]
pub struct Draft {
    wallet: WalletKey,
    expected: Version,
    control: Option<Version>,
    records: Vec<(Vec<IdHash>, Vec<u8>)>,
    parts: Vec<(PartKey, Option<Vec<u8>>)>,
    due: Option<i64>,
    at: i64,
}

impl Draft {
    /// On top of this version of the wallet.
    pub fn new(wallet: &WalletKey, expected: Version) -> Draft {
        let (wallet, parts) = (wallet.clone(), Vec::new());
        Draft {
            wallet,
            expected,
            control: None,
            records: Vec::new(),
            parts,
            due: None,
            at: 0,
        }
    }

    /// Under this version of the tenant's control plane.
    pub fn control(mut self, version: Version) -> Draft {
        self.control = Some(version);
        self
    }

    /// One record more, which answers for these ids and carries this ballast.
    pub fn record(mut self, ids: &[IdHash], filler: &[u8]) -> Draft {
        self.records.push((ids.to_vec(), filler.to_vec()));
        self
    }

    /// Sets a part.
    pub fn set(mut self, key: &[u8], value: &[u8]) -> Draft {
        self.parts.push((key.to_vec(), Some(value.to_vec())));
        self
    }

    /// Removes a part.
    pub fn remove(mut self, key: &[u8]) -> Draft {
        self.parts.push((key.to_vec(), None));
        self
    }

    /// The time of its records (microseconds since the epoch); 0 unless told.
    pub fn at(mut self, instant: i64) -> Draft {
        self.at = instant;
        self
    }

    /// Says what falls due next.
    pub fn due(mut self, instant: i64) -> Draft {
        self.due = Some(instant);
        self
    }

    /// The commit, whose last record says what it changes.
    pub fn commit(&self) -> Commit {
        let mut told = self.records.clone();
        if told.is_empty() {
            told.push((Vec::new(), Vec::new()));
        }
        let last = told.len() - 1;
        let records = told.into_iter().enumerate().map(|(at, (ids, filler))| {
            let parts = if at == last {
                self.parts.clone()
            } else {
                Vec::new()
            };
            let body = Body {
                parts,
                due: self.due,
                filler,
            };
            NewRecord {
                body: postcard::to_allocvec(&body).unwrap(),
                at: self.at,
                ids,
                origin: Default::default(),
            }
        });
        Commit {
            wallet: self.wallet.clone(),
            expected: self.expected,
            control: self.control,
            records: records.collect(),
            parts: self.parts.clone(),
            due: self.due,
        }
    }
}

/// An id made from a number.
pub fn id(n: u64) -> IdHash {
    let mut bytes = [0xa5; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    bytes[8..].copy_from_slice(&n.to_le_bytes());
    IdHash(bytes)
}

/// Commits what must be kept, in one call; a store with losses is asked again for what it lost.
fn keep(subject: Subject<'_>, store: &dyn Store, drafts: &[Draft]) {
    let mut left = drafts.to_vec();
    for _ in 0..1000 {
        let fates = store.commit(left.iter().map(Draft::commit).collect()).unwrap();
        assert_eq!(fates.len(), left.len(), "one fate for each commit");
        if subject.losses == Losses::None {
            assert!(
                fates.iter().all(|fate| *fate == Fate::Committed),
                "{fates:?} of {drafts:?}"
            );
        }
        let mut fates = fates.into_iter();
        left.retain(|_| fates.next() == Some(Fate::Lost));
        if left.is_empty() {
            return;
        }
    }
    panic!("{left:?} was lost a thousand times");
}

/// Commits what must be lost.
fn lose(store: &dyn Store, draft: &Draft) {
    let before = store.load(&draft.wallet).unwrap();
    assert_eq!(
        store.commit(vec![draft.commit()]).unwrap(),
        [Fate::Lost],
        "{draft:?}"
    );
    assert_eq!(
        store.load(&draft.wallet).unwrap(),
        before,
        "of a lost commit nothing is kept"
    );
}

/// The store as it is, and, if it can be, the same store reopened.
fn now_and_reopened(
    subject: Subject<'_>,
    store: Box<dyn Store>,
    check: &dyn Fn(&dyn Store),
) -> Box<dyn Store> {
    check(&*store);
    let Some(reopen) = subject.reopen else {
        return store;
    };
    let store = reopen(store);
    check(&*store);
    store
}
