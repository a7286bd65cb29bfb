//! Worst cases of plans whose price depends on what came before.
//!
//! A quote at the committed state alone would let a hundred holds, each quoted in the first tier, settle in the second one
//! uncovered. So such a quote is asked for twice, at the committed state and behind the worst cases of all open holds of the
//! subscription's term, and [what covers both](super::dearer) is held.
//!
//! **Order.** Open holds are folded in the order in which they were opened, by event where they were opened at the same
//! instant. All of them share the subscription's state; those about one subject share that subject's state too. What the
//! plan rejects moves nothing. What it gives no answer to decides: a quote behind an unknown state would be none.
//!
//! **Cost.** Behind n open holds that is n prices. A [`Fold`] remembers what it came to, so that each new hold costs one
//! more and not all of them again; [`super::folds`] keeps it, for exactly one state of the wallet. [`WorstCase::quote`] does
//! without: whoever proves a record has nothing but the wallet before it. Both are the same code, with more or fewer holds
//! that are folded already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use farebox_ledger::Wallet;
use farebox_money::Nanos;
use farebox_record::event::Event;
use farebox_record::ids::{Hash, RevisionHash, SubscriptionId};
use farebox_record::plan::{EventRef, Order, Priced};
use farebox_record::state::{HoldState, SubjectState};
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{
    Batch, Context, ContextIndex, Fault, Purpose, Revision, Runtime, Subject, SubjectIndex, Trigger, Verdict,
};

use crate::lane::dearer::covering_both;
use crate::lane::pricing::{Asking, balances_for};

/// A worst case that is asked for.
pub(crate) struct WorstCase<'a> {
    pub revision: &'a Arc<Revision>,
    pub subscription: &'a SubscriptionId,
    pub period: Period,
    pub seats: u32,
    pub time: Timestamp,
    /// With its maximums.
    pub event: &'a Event,
    pub cost: Option<Nanos>,
}

/// Committed states of subjects, by name; empty for those that are new.
pub(crate) type States<'a> = dyn Fn(&str) -> SubjectState + 'a;

/// Where a hold stands among the open ones: when it was opened, and its event.
pub(super) type Place = (Timestamp, EventRef);

/// What a fold is computed from, besides the wallet that it is a fold of. Where anything is different, it is another fold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Basis {
    revision: RevisionHash,
    pub(super) subscription: SubscriptionId,
    /// None: the subscription is not there.
    pub(super) term: Option<u32>,
    period: Period,
    seats: u32,
    balances: Vec<Nanos>,
    /// The hold that is left out, because the worst case is its own.
    pub(super) without: Option<EventRef>,
}

/// What the open holds of a subscription leave behind where each turns out at its worst.
pub(super) struct Fold {
    pub(super) basis: Basis,
    /// Hash of the newest record of the wallet that it is a fold of.
    pub(super) wallet: Hash,
    /// The last hold that is folded; so are all open ones before it.
    pub(super) last: Option<Place>,
    /// The open holds behind that one, in order.
    pub(super) rest: VecDeque<Place>,
    /// How many are folded.
    count: usize,
    /// The subscription's state behind them.
    state: Vec<u8>,
    /// The version that the state is kept in; none: that of the revision.
    kept: Option<u32>,
    /// States of subjects behind them, where they changed.
    subjects: BTreeMap<String, Vec<u8>>,
}

impl WorstCase<'_> {
    /// What is to be held, from the wallet and the subjects as they are.
    pub fn quote(&self, runtime: &Runtime, wallet: &Wallet, subjects: &States<'_>) -> Verdict {
        let asking = Asking {
            runtime,
            at_once: false,
        };
        let quote = Fold::new(self, self.basis(wallet), wallet).quote(self, &asking, wallet, subjects);
        quote.unwrap_or_else(no_verdict)
    }

    pub(super) fn basis(&self, wallet: &Wallet) -> Basis {
        let own = self.event.reference();
        Basis {
            revision: self.revision.hash(),
            subscription: self.subscription.clone(),
            term: wallet.subscription(self.subscription).map(|s| s.term),
            period: self.period,
            seats: self.seats,
            balances: balances_for(wallet, self.revision.description(), &own),
            without: wallet.hold(&own).map(|_| own),
        }
    }

    fn subject<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let attribute = self.revision.description().subject_attribute.as_ref()?;
        event.attributes.get(attribute).map(|name| name.as_str())
    }

    /// Open holds that the same state stands behind, in their order, without the event's own. None for a plan that has no
    /// memory.
    fn open_holds(&self, basis: &Basis, wallet: &Wallet) -> VecDeque<Place> {
        if self.revision.description().order == Order::Independent {
            return VecDeque::new();
        }
        let open = wallet
            .holds()
            .filter(|(event, hold)| basis.takes_in(hold) && basis.without.as_ref() != Some(*event));
        let mut places: Vec<Place> = open.map(|(event, hold)| (hold.opened, event.clone())).collect();
        places.sort_unstable();
        places.into()
    }

    fn trigger<'e>(
        &self,
        event: &'e Event,
        time: Timestamp,
        cost: Option<Nanos>,
        context: ContextIndex,
        subject: Option<SubjectIndex>,
    ) -> Trigger<'e> {
        Trigger {
            purpose: Purpose::WorstCase,
            event_type: &event.event_type,
            context,
            subject,
            time,
            cost,
            measures: &event.measures,
            attributes: &event.attributes,
            source: event.source.as_str(),
            id: event.id.as_str(),
        }
    }
}

impl Basis {
    /// Whether a hold is open, and settles against the state that is folded.
    pub(super) fn takes_in(&self, hold: &HoldState) -> bool {
        hold.expired.is_none() && hold.subscription == self.subscription && Some(hold.term) == self.term
    }
}

impl Fold {
    /// With no hold folded yet.
    pub(super) fn new(worst: &WorstCase<'_>, basis: Basis, wallet: &Wallet) -> Fold {
        let committed = wallet.subscription(worst.subscription);
        Fold {
            rest: worst.open_holds(&basis, wallet),
            basis,
            wallet: wallet.header().chain,
            last: None,
            count: 0,
            state: committed.map_or_else(Vec::new, |s| s.state.clone()),
            kept: committed.map(|s| s.state_version),
            subjects: BTreeMap::new(),
        }
    }

    /// Whether it stands behind the open holds of this wallet, as this worst case needs it.
    pub(super) fn fits(&self, worst: &WorstCase<'_>, basis: &Basis, wallet: &Wallet) -> bool {
        let is_open = |event: &EventRef| wallet.hold(event).is_some_and(|hold| basis.takes_in(hold));
        let fits = self.wallet == wallet.header().chain
            && self.basis == *basis
            && self.rest.iter().all(|(_, event)| is_open(event));
        debug_assert!(
            !fits || {
                let open = worst.open_holds(basis, wallet);
                let folded = self.count.checked_sub(1).and_then(|last| open.get(last));
                folded == self.last.as_ref() && open.iter().skip(self.count).eq(&self.rest)
            },
            "a fold follows the open holds"
        );
        fits
    }

    /// Subjects whose states [`Fold::quote`] needs and nobody knows, at most `max` of them.
    pub(super) fn missing(
        &self,
        worst: &WorstCase<'_>,
        wallet: &Wallet,
        known: impl Fn(&str) -> bool,
        max: usize,
    ) -> Vec<String> {
        if worst.revision.description().subject_attribute.is_none() {
            return Vec::new();
        }
        let mut missing: Vec<&str> = worst
            .subject(worst.event)
            .filter(|name| !known(name))
            .into_iter()
            .collect();
        let held = self.rest.iter().filter_map(|(_, event)| wallet.hold(event));
        let about = held.filter_map(|hold| worst.subject(&hold.event));
        missing.extend(about.filter(|name| !self.subjects.contains_key(*name) && !known(name)));
        missing.sort_unstable();
        missing.dedup();
        missing.truncate(max);
        missing.into_iter().map(str::to_string).collect()
    }

    /// What is to be held. Folds what is left to fold, in as many calls as that needs. None where that takes more time than
    /// there is: what was folded until then stays so.
    pub(super) fn quote(
        &mut self,
        worst: &WorstCase<'_>,
        asking: &Asking<'_>,
        wallet: &Wallet,
        subjects: &States<'_>,
    ) -> Option<Verdict> {
        let mut batch = Batch::new(worst.revision);
        let mut committed: Option<Priced> = None;
        loop {
            batch.clear();
            let is_first = committed.is_none();
            if is_first {
                self.push_committed(&mut batch, worst, wallet, subjects);
            }
            let alone = self.last.is_none() && self.rest.is_empty();
            let pushed = match alone {
                true => Pushed::default(),
                false => self.push_folded(&mut batch, worst, wallet, subjects),
            };
            let mut verdicts = asking.evaluate(&batch)?.into_iter();
            let mut next = || verdicts.next().unwrap_or_else(no_verdict);
            if is_first {
                match next() {
                    Verdict::Priced(priced) if alone => return Some(Verdict::Priced(priced)),
                    Verdict::Priced(priced) => committed = Some(priced),
                    decided => return Some(decided),
                }
            }
            for _ in 0..pushed.holds {
                match next() {
                    verdict @ Verdict::Failed(_) => return Some(verdict),
                    Verdict::Rejected(_) => self.went_by(worst, wallet, None),
                    Verdict::Priced(priced) => self.went_by(worst, wallet, Some(priced)),
                }
            }
            if pushed.own {
                return Some(match (committed, next()) {
                    (Some(committed), Verdict::Priced(folded)) => {
                        Verdict::Priced(covering_both(committed, folded, wallet))
                    }
                    (_, decided) => decided,
                });
            }
        }
    }

    /// The event at the committed state.
    fn push_committed(
        &self,
        batch: &mut Batch,
        worst: &WorstCase<'_>,
        wallet: &Wallet,
        subjects: &States<'_>,
    ) {
        let committed = wallet.subscription(worst.subscription);
        let state = committed.map_or(&[][..], |s| &s.state);
        let context = self.context(batch, committed.map(|s| s.state_version), state);
        let subject = worst.subject(worst.event).map(|name| {
            let kept = subjects(name);
            let state = &kept.state[..];
            let version = committed.and_then(|s| kept.version_of(&s.plan));
            batch.subject_from(version, &Subject { name, state })
        });
        batch.push(&worst.trigger(worst.event, worst.time, worst.cost, context, subject));
    }

    /// As many of the holds that are left as fit; behind the last of them, the event itself.
    fn push_folded(
        &self,
        batch: &mut Batch,
        worst: &WorstCase<'_>,
        wallet: &Wallet,
        subjects: &States<'_>,
    ) -> Pushed {
        let context = self.context(batch, self.kept, &self.state);
        let mut places: BTreeMap<String, SubjectIndex> = BTreeMap::new();
        let mut about = |batch: &mut Batch, event: &Event| {
            let name = worst.subject(event)?;
            if let Some(known) = places.get(name) {
                return Some(*known);
            }
            let index = match self.subjects.get(name) {
                Some(state) => batch.subject(&Subject { name, state }),
                None => {
                    let kept = subjects(name);
                    let state = &kept.state[..];
                    let open = wallet.subscription(worst.subscription);
                    let version = open.and_then(|s| kept.version_of(&s.plan));
                    batch.subject_from(version, &Subject { name, state })
                }
            };
            places.insert(name.to_string(), index);
            Some(index)
        };
        let mut pushed = Pushed::default();
        for (_, event) in &self.rest {
            // An empty batch takes one of anything.
            if batch.is_full() && !batch.is_empty() {
                return pushed;
            }
            let Some(hold) = wallet.hold(event) else {
                debug_assert!(false, "it was asked whether it fits the wallet");
                continue;
            };
            let subject = about(batch, &hold.event);
            let cost = hold.event.cost_usd();
            batch.push(&worst.trigger(&hold.event, hold.time, cost, context, subject));
            pushed.holds += 1;
        }
        if !batch.is_full() || batch.is_empty() {
            let subject = about(batch, worst.event);
            batch.push(&worst.trigger(worst.event, worst.time, worst.cost, context, subject));
            pushed.own = true;
        }
        pushed
    }

    fn context(&self, batch: &mut Batch, kept: Option<u32>, state: &[u8]) -> ContextIndex {
        let context = Context {
            prepared: None,
            state,
            period: self.basis.period,
            seats: self.basis.seats,
            balances: &self.basis.balances,
        };
        batch.context_from(kept, &context)
    }

    /// The first hold that is left is folded; none: the plan rejects it, and it moves nothing.
    fn went_by(&mut self, worst: &WorstCase<'_>, wallet: &Wallet, priced: Option<Priced>) {
        let Some(place) = self.rest.pop_front() else {
            return;
        };
        if let Some(priced) = priced {
            let about = wallet.hold(&place.1).and_then(|hold| worst.subject(&hold.event));
            if let (Some(name), Some(change)) = (about, priced.subject) {
                self.subjects.insert(name.to_string(), change.state);
            }
            if let Some(state) = priced.state {
                self.state = state;
                self.kept = None;
            }
        }
        self.last = Some(place);
        self.count += 1;
    }
}

/// What of the folded quote is in a batch.
#[derive(Default)]
struct Pushed {
    /// So many holds.
    holds: usize,
    /// Whether the event itself is behind them.
    own: bool,
}

/// The runtime has a verdict for each trigger.
fn no_verdict() -> Verdict {
    Verdict::Failed(Fault::BadAnswer {
        rule: "one-result-per-trigger",
        detail: "there is none".into(),
    })
}
