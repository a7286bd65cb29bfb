//! Changes that are durable in the journal and not yet in the state: reads see them first, the materialiser takes them.
//!
//! There are two layers: one that commits add to, and one that is being applied. A change is in a layer until the state
//! has it, so a reader that looks here first and then at the state misses nothing. The *gate* is held by readers while
//! they look at the state and by the materialiser while it applies, so that no reader sees half a pass; sled has the same
//! lock inside, so this costs no concurrency.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::contract::{PartKey, StoreError, WalletKey};
use crate::heads::Head;
use crate::latch::Latch;
use crate::limits::STATE_PASS_JOURNAL_BYTES;
use crate::state::{Change, Changes};

/// How long a waiter sleeps before it looks whether the store has stopped.
const RECHECK: Duration = Duration::from_millis(50);

/// What a wallet takes here besides its names and parts, and a part besides its key and value; about.
const WALLET_BYTES: usize = 64;
const PART_BYTES: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pending {
    layers: Mutex<Layers>,
    work: Condvar,
    room: Condvar,
    gate: RwLock<()>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Layers {
    filling: Changes,
    applying: Arc<Changes>,
    filling_bytes: usize,
    applying_bytes: usize,
    /// End of the newest frame whose changes are here.
    reached: u64,
    /// What that was when a pass began last.
    taken: u64,
    end: Option<Ending>,
}

/// How the materialiser is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// When everything is applied.
    Drained,
    /// At once, as in a crash.
    Now,
}

/// What one pass applies.
#[derive(Debug)]
pub(crate) struct Pass {
    pub changes: Arc<Changes>,
    pub applied: u64,
}

impl Pending {
    pub(crate) fn new(reached: u64, bytes_max: usize) -> Pending {
        Pending {
            layers: Mutex::new(Layers {
                filling: Changes::new(),
                applying: Arc::default(),
                filling_bytes: 0,
                applying_bytes: 0,
                reached,
                taken: reached,
                end: None,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
            gate: RwLock::new(()),
            bytes_max,
        }
    }

    /// Waits until less is pending than the limit: the journal must not run away from the state.
    pub(crate) fn wait_for_room(&self, latch: &Latch) -> Result<(), StoreError> {
        let mut layers = self.layers.lock();
        if layers.bytes() < self.bytes_max {
            return Ok(());
        }
        let begun = Instant::now();
        while layers.bytes() >= self.bytes_max {
            latch.check()?;
            self.work.notify_one();
            self.room.wait_for(&mut layers, RECHECK);
        }
        metrics::histogram!("farebox_store_lag_wait_seconds").record(begun.elapsed().as_secs_f64());
        Ok(())
    }

    /// Whether commits have to wait for the state.
    pub(crate) fn is_full(&self) -> bool {
        self.layers.lock().bytes() >= self.bytes_max
    }

    /// Adds what a frame changed; `end` is where the frame ends.
    pub(crate) fn add(&self, changes: impl Iterator<Item = (WalletKey, Change)>, end: u64) {
        let mut layers = self.layers.lock();
        let (was_empty, was_due) = (layers.filling.is_empty(), layers.is_due(self.much()));
        for (wallet, change) in changes {
            let names = WALLET_BYTES + wallet.tenant().len() + wallet.wallet().len();
            let (mut more, mut less) = (0, 0);
            let into = match layers.filling.entry(wallet) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => {
                    more += names;
                    new.insert(Change::default())
                }
            };
            into.head = change.head;
            for (key, value) in change.parts {
                let name = PART_BYTES + key.len();
                more += name + bytes_of(value.as_ref());
                if let Some(before) = into.parts.insert(key, value) {
                    less += name + bytes_of(before.as_ref());
                }
            }
            layers.filling_bytes = layers.filling_bytes + more - less;
        }
        layers.reached = end;
        #[expect(clippy::cast_precision_loss, reason = "a gauge; far below 2^52")]
        metrics::gauge!("farebox_store_pending_bytes").set(layers.bytes() as f64);
        // Whoever takes waits for the first change, or pauses until a pass is due; each wake costs the caller's answer time.
        if was_empty || (!was_due && layers.is_due(self.much())) {
            self.work.notify_one();
        }
    }

    /// Where the newest durable frame ends.
    pub(crate) fn reached(&self) -> u64 {
        self.layers.lock().reached
    }

    /// Keeps passes out while a reader looks at the state. Look at the layers only afterwards.
    pub(crate) fn hold_state(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read()
    }

    /// The wallet's newest head, if it is not in the state yet.
    pub(crate) fn head(&self, wallet: &WalletKey) -> Option<Head> {
        let layers = self.layers.lock();
        layers.of(wallet).next_back().map(|change| change.head.clone())
    }

    /// The wallet's newest head and the parts that differ from the state, for those keys that `wanted` accepts.
    pub(crate) fn parts(&self, wallet: &WalletKey, wanted: &dyn Fn(&[u8]) -> bool) -> Change {
        let layers = self.layers.lock();
        let mut merged = Change::default();
        for change in layers.of(wallet) {
            merged.head = change.head.clone();
            let parts = change.parts.iter().filter(|(key, _)| wanted(key));
            merged
                .parts
                .extend(parts.map(|(key, value)| (key.clone(), value.clone())));
        }
        merged
    }

    /// The newest value of one part: `Some(None)` if it was removed, none if the state has the newest.
    pub(crate) fn part(&self, wallet: &WalletKey, key: &[u8]) -> Option<Option<PartBytes>> {
        let layers = self.layers.lock();
        layers
            .of(wallet)
            .rev()
            .find_map(|change| change.parts.get(key).cloned())
    }

    /// Whether the wallet is not in the state as it is now.
    pub(crate) fn knows(&self, wallet: &WalletKey) -> bool {
        self.layers.lock().of(wallet).next().is_some()
    }

    /// Lays what is pending over what the state says is due for a tenant at or before `until`. Looked at are all wallets that
    /// wait, and copied those that are due: each sweep asks for this, and commits wait meanwhile.
    pub(crate) fn overlay_dues(&self, tenant: &str, until: i64, dues: &mut Vec<(i64, WalletKey)>) {
        let layers = self.layers.lock();
        dues.retain(|(_, wallet)| layers.of(wallet).next().is_none());
        let first = WalletKey::new(tenant, "");
        let due = |change: &Change| change.head.due.filter(|due| *due <= until);
        let of_tenant = |changes: &'_ Changes, newer: Option<&Changes>| -> Vec<(i64, WalletKey)> {
            let changes = changes.range(&first..);
            changes
                .take_while(|(wallet, _)| wallet.tenant() == tenant)
                .filter_map(|(wallet, change)| Some((due(change)?, wallet)))
                .filter(|(_, wallet)| newer.is_none_or(|newer| !newer.contains_key(wallet)))
                .map(|(due, wallet)| (due, wallet.clone()))
                .collect()
        };
        dues.extend(of_tenant(&layers.applying, Some(&layers.filling)));
        dues.extend(of_tenant(&layers.filling, None));
    }

    /// The first wallets of a tenant behind `after` that are not in the state as they are now, control plane included, at most
    /// `limit` of each layer.
    pub(crate) fn wallets_of(&self, tenant: &str, after: Option<&str>, limit: usize) -> Vec<WalletKey> {
        let layers = self.layers.lock();
        let first = WalletKey::new(tenant, after.unwrap_or_default());
        let of_tenant = |changes: &Changes| -> Vec<WalletKey> {
            let wallets = changes.range(&first..).map(|(wallet, _)| wallet);
            wallets
                .take_while(|wallet| wallet.tenant() == tenant)
                .filter(|wallet| after.is_none_or(|after| wallet.wallet() > after))
                .take(limit)
                .cloned()
                .collect()
        };
        let mut wallets = of_tenant(&layers.applying);
        wallets.extend(of_tenant(&layers.filling));
        wallets
    }

    /// The tenants behind `after` of whom something is not in the state, some of them twice.
    pub(crate) fn tenants(&self, after: Option<&str>) -> Vec<String> {
        let layers = self.layers.lock();
        let mut tenants: Vec<String> = Vec::new();
        for wallet in layers.applying.keys().chain(layers.filling.keys()) {
            let tenant = wallet.tenant();
            let is_new = tenants.last().is_none_or(|last| last != tenant);
            if is_new && after.is_none_or(|after| tenant > after) {
                tenants.push(tenant.to_string());
            }
        }
        tenants
    }

    /// Takes everything for the next pass, or waits for it.
    pub(crate) fn take(&self, patience: Duration) -> Taken {
        let mut layers = self.layers.lock();
        match (layers.end, layers.filling.is_empty()) {
            (Some(Ending::Now), _) | (Some(Ending::Drained), true) => return Taken::End,
            (None, true) => {
                self.work.wait_for(&mut layers, patience);
                if layers.filling.is_empty() {
                    return Taken::Nothing;
                }
            }
            (_, false) => {}
        }
        let changes = Arc::new(std::mem::take(&mut layers.filling));
        layers.applying = changes.clone();
        layers.applying_bytes = std::mem::take(&mut layers.filling_bytes);
        layers.taken = layers.reached;
        Taken::Pass(Pass {
            changes,
            applied: layers.reached,
        })
    }

    /// Waits before the next pass, so that changes coalesce; not when one is due or the store closes.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut layers = self.layers.lock();
        while layers.end.is_none() && !layers.is_due(self.much()) {
            if self.work.wait_until(&mut layers, until).timed_out() {
                break;
            }
        }
    }

    /// Bytes with which a pass no longer waits for more.
    fn much(&self) -> usize {
        self.bytes_max / 4
    }

    /// Keeps readers out while a pass is applied. Call [`Pending::applied`] before letting go.
    pub(crate) fn change_state(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write()
    }

    /// The layer that was being applied is in the state now.
    pub(crate) fn applied(&self) {
        let mut layers = self.layers.lock();
        layers.applying = Arc::default();
        layers.applying_bytes = 0;
        self.room.notify_all();
    }

    /// Whether the state has everything.
    pub(crate) fn is_empty(&self) -> bool {
        let layers = self.layers.lock();
        layers.filling.is_empty() && layers.applying.is_empty()
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.layers.lock().end.get_or_insert(ending);
        self.work.notify_all();
    }
}

/// The bytes of a part.
pub(crate) type PartBytes = Vec<u8>;

/// What [`Pending::take`] found.
#[derive(Debug)]
pub(crate) enum Taken {
    Pass(Pass),
    Nothing,
    End,
}

fn bytes_of(value: Option<&PartBytes>) -> usize {
    value.map_or(0, Vec::len)
}

impl Layers {
    fn bytes(&self) -> usize {
        self.filling_bytes + self.applying_bytes
    }

    /// Whether the next pass no longer waits for more: much is in memory, or the journal is as far ahead as it is to be.
    fn is_due(&self, much: usize) -> bool {
        self.filling_bytes >= much || self.reached - self.taken >= STATE_PASS_JOURNAL_BYTES
    }

    /// The layers that a wallet is in, older first.
    fn of(&self, wallet: &WalletKey) -> impl DoubleEndedIterator<Item = &Change> {
        [self.applying.get(wallet), self.filling.get(wallet)]
            .into_iter()
            .flatten()
    }
}

/// Lays changed parts over those that the state has; both in order of key.
pub(crate) fn overlay(
    state: Vec<(PartKey, Vec<u8>)>,
    changed: BTreeMap<PartKey, Option<Vec<u8>>>,
) -> Vec<(PartKey, Vec<u8>)> {
    if changed.is_empty() {
        return state;
    }
    let mut all: BTreeMap<_, _> = state.into_iter().collect();
    for (key, value) in changed {
        match value {
            Some(value) => all.insert(key, value),
            None => all.remove(&key),
        };
    }
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any test lasts: whoever waits so long was not woken.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// Adds a part of so many bytes to a wallet, in a frame that ends there.
    fn add_until(pending: &Pending, wallet: &str, bytes: usize, end: u64) {
        let parts = BTreeMap::from([(vec![1], Some(vec![0; bytes]))]);
        let change = Change {
            head: Head::default(),
            parts,
        };
        pending.add(std::iter::once((WalletKey::new("t", wallet), change)), end);
    }

    fn add(pending: &Pending, wallet: &str, bytes: usize) {
        add_until(pending, wallet, bytes, 1);
    }

    /// Whether it ends, soon, while somebody does this.
    fn ends(wait: impl FnOnce() + Send, act: impl FnOnce()) -> bool {
        std::thread::scope(|scope| {
            let waiting = scope.spawn(wait);
            std::thread::sleep(Duration::from_millis(50)); // it waits by now, or does not need to
            act();
            let until = Instant::now() + Duration::from_secs(20);
            while !waiting.is_finished() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(1));
            }
            waiting.is_finished()
        })
    }

    #[test]
    fn the_first_change_and_a_quarter_of_the_limit_wake() {
        let pending = Arc::new(Pending::new(0, 100_000));
        let (taker, pauser) = (Arc::clone(&pending), Arc::clone(&pending));
        let take = move || assert!(matches!(taker.take(PATIENCE), Taken::Pass(_)));
        assert!(ends(take, || add(&pending, "a", 10)), "the first change");
        pending.applied();
        // A pause outlasts little changes, the first of which finds nothing there.
        add(&pending, "a", 10);
        add(&pending, "b", 10);
        let pause = move || pauser.pause(PATIENCE);
        assert!(ends(pause, || add(&pending, "c", 25_000)), "a quarter");
    }

    #[test]
    fn what_is_due_is_as_the_newest_change_says() {
        let pending = Pending::new(0, 100_000);
        let is_due = |tenant: &str, wallet: &str, due: Option<i64>| {
            let mut change = Change::default();
            change.head.due = due;
            pending.add(std::iter::once((WalletKey::new(tenant, wallet), change)), 1);
        };
        is_due("t", "paid", Some(5));
        is_due("t", "soon", Some(3));
        assert!(matches!(pending.take(PATIENCE), Taken::Pass(_)));
        is_due("t", "paid", None);
        is_due("t", "later", Some(9));
        is_due("u", "other", Some(1));
        let due = |at: i64, wallet: &str| (at, WalletKey::new("t", wallet));
        let mut dues = vec![due(4, "as it was"), due(5, "paid"), due(6, "later")];
        pending.overlay_dues("t", 8, &mut dues);
        assert_eq!(dues, [due(4, "as it was"), due(3, "soon")]);
        assert!(
            pending.knows(&WalletKey::new("t", "soon")) && !pending.knows(&WalletKey::new("t", "as it was"))
        );
        let names = |after, limit| -> Vec<String> {
            let wallets = pending.wallets_of("t", after, limit);
            wallets.iter().map(|wallet| wallet.wallet().to_string()).collect()
        };
        assert_eq!(names(None, 1), ["paid", "later"], "the first of each layer");
        assert_eq!(names(Some("later"), 9), ["paid", "soon", "paid"]);
        assert_eq!(pending.tenants(None), ["t", "u"]);
        assert_eq!(pending.tenants(Some("t")), ["u"]);
    }

    #[test]
    fn a_journal_that_runs_ahead_wakes_though_little_is_pending() {
        let begin = 1 << 40; // how far it is ahead counts, and not where it is
        let pending = Arc::new(Pending::new(begin, 100_000));
        let pass_after = |grown: u64| {
            let pauser = Arc::clone(&pending);
            add_until(&pending, "a", 10, begin + grown - 1);
            let pause = move || pauser.pause(PATIENCE);
            assert!(
                ends(pause, || add_until(&pending, "a", 10, begin + grown)),
                "{grown}"
            );
            assert!(matches!(pending.take(PATIENCE), Taken::Pass(pass) if pass.applied == begin + grown));
            pending.applied();
        };
        // Of one busy wallet only the newest change is kept; from each pass on it is counted anew.
        pass_after(16 << 20);
        pass_after(32 << 20);
        assert!(!pending.layers.lock().is_due(pending.much()));
    }
}
