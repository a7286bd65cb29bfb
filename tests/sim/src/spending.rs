//! Spending limits, counted by hand from a wallet's records: what an event earned is what it used, however it was paid.
//! Checks what the wallet shows, each announcement, each denial by a limit, and that nothing that was allowed passed one.

mod limit;

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use farebox_ledger::{LimitView, Wallet};
use farebox_money::{Asset, Nanos};
use farebox_record::command::{Backfill, Command};
use farebox_record::correction::{RefundTarget, Standing};
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::LimitName;
use farebox_record::outcome::{Account, Answer, Corrected, DenialReason, Denied, Effect, RepricedEvent};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::spending::{CrossedThreshold, ExceededLimit, OnExceed};
use farebox_record::state::HoldState;
use farebox_record::time::Timestamp;

use crate::history::{History, concluded};
use crate::window::Counter;
use limit::{Limit, is_within};

type Sums = BTreeMap<Asset, i128>;

/// How much there was to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Thresholds that were announced.
    pub thresholds: u64,
    /// Calls that a limit denied.
    pub denials: u64,
}

/// A call as it was authorized or reported, and what it earned so far.
#[derive(Debug, Clone)]
struct Call {
    /// When it was authorized or reported.
    opened: Timestamp,
    own: Attributes,
    /// As it turned out.
    attributes: Attributes,
    earned: Sums,
    /// What of it has not come back, by when it was posted; of a held call, when that was opened.
    posted: BTreeMap<(Asset, Timestamp), i128>,
}

impl Call {
    fn post(&mut self, at: Timestamp, amounts: &Sums) {
        for (asset, amount) in amounts {
            *self.posted.entry((asset.clone(), at)).or_default() += amount;
        }
    }

    /// Takes back what of an amount was posted when: what a record says that is left of it tells.
    fn take_back(
        &mut self,
        record: &Record,
        event: &EventRef,
        asset: &Asset,
        amount: i128,
    ) -> Vec<(Timestamp, i128)> {
        let left = |posted: Timestamp| -> i128 {
            let slices = stands(record, event).map_or(&[][..], |standing| &standing.slices);
            let same = slices
                .iter()
                .filter(|s| s.asset == *asset && s.posted == Some(posted));
            same.map(|slice| slice.amount.get()).sum()
        };
        let (mut rest, mut back) = (amount, Vec::new());
        for ((of, posted), had) in &mut self.posted {
            // What was posted by this very record is behind what comes back.
            if of == asset && *posted < record.at {
                let gone = (*had - left(*posted)).clamp(0, rest);
                rest -= gone;
                *had -= gone;
                back.push((*posted, gone));
            }
        }
        *self.posted.entry((asset.clone(), record.at)).or_default() -= rest;
        back.push((record.at, rest));
        back
    }
}

#[derive(Debug, Default)]
struct Recount {
    limits: BTreeMap<LimitName, Limit>,
    calls: BTreeMap<EventRef, Call>,
    holds: BTreeMap<EventRef, HoldState>,
    counts: Counts,
}

/// Counts again, and compares with what the wallet shows `now`.
///
/// # Errors
/// The first difference.
pub fn check(history: &History, now: Timestamp) -> anyhow::Result<Counts> {
    let mut recount = Recount::default();
    for record in &history.records {
        recount
            .enter(record)
            .with_context(|| format!("record {}", record.sequence))?;
    }
    recount.compare(&history.shown, now)?;
    Ok(recount.counts)
}

impl Recount {
    fn enter(&mut self, record: &Record) -> anyhow::Result<()> {
        for limit in self.limits.values_mut() {
            limit.move_on(record.at);
        }
        let before: BTreeMap<LimitName, i128> = self
            .limits
            .keys()
            .map(|name| (name.clone(), self.taken(name)))
            .collect();
        if let Answer::Denied(why) = &record.outcome.answer
            && let DenialReason::Limit(limit) = &why.reason
        {
            self.denied(record, why, limit)?;
        }
        for effect in &record.outcome.effects {
            match effect {
                Effect::HoldPut(event, hold) => drop(self.holds.insert(event.clone(), (**hold).clone())),
                Effect::HoldEnded(event, _) => drop(self.holds.remove(event)),
                _ => {}
            }
        }
        let mut announced = Vec::new();
        self.count(record, &mut announced)?;
        self.put(record, &mut announced);
        let told = record.outcome.effects.iter().filter_map(|effect| match effect {
            Effect::ThresholdCrossed(crossed) => Some(&**crossed),
            _ => None,
        });
        ensure!(
            told.clone().eq(announced.iter()),
            "announced {:?}, and reached is {announced:?}",
            told.collect::<Vec<_>>()
        );
        self.counts.thresholds += announced.len() as u64;
        self.allowed(record, &before)
    }

    /// What a record's event used, or gives back.
    fn count(&mut self, record: &Record, announced: &mut Vec<CrossedThreshold>) -> anyhow::Result<()> {
        let (_, forth) = earned(record);
        match (&record.command, &record.outcome.answer) {
            (
                Command::Usage(event) | Command::Backfill(Backfill { event, .. }),
                Answer::Charged { .. } | Answer::Unpriced(_),
            ) => {
                self.charge(record, event, &forth, announced);
            }
            (Command::RateUnpriced(rate), Answer::Charged { .. }) => {
                self.charge(record, &rate.event, &forth, announced);
            }
            (Command::Authorize(authorize), Answer::Allowed(_)) => {
                self.charge(record, &authorize.event, &forth, announced);
            }
            (Command::Settle(settle), Answer::Settled(_) | Answer::Unpriced(_)) => {
                let mut attributes = self.call(&settle.hold)?.own.clone();
                attributes.extend(&settle.attributes);
                self.settle(record, &settle.hold, attributes, announced)?;
            }
            (Command::Refund(refund), Answer::Corrected(told)) => {
                if let RefundTarget::Event { event, .. } = &refund.target {
                    self.give_back(record, event, &told.reversed, announced)?;
                }
            }
            (Command::Void(_) | Command::Amend(_), Answer::Corrected(told)) => {
                self.correct(record, told, &[], announced)?;
            }
            (Command::Void(_) | Command::Amend(_), Answer::Refolded(told)) => {
                self.correct(record, &told.corrected, &told.repriced, announced)?;
            }
            _ => {
                // A call that nobody settles for good is priced once more as a whole.
                if let Some(event) = concluded(record)
                    && let Some(call) = self.calls.get(event)
                {
                    let attributes = call.attributes.clone();
                    self.settle(record, event, attributes, announced)?;
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, event: &EventRef) -> anyhow::Result<&mut Call> {
        self.calls
            .get_mut(event)
            .with_context(|| format!("{event:?} never was"))
    }

    fn charge(
        &mut self,
        record: &Record,
        event: &Event,
        earned: &Sums,
        announced: &mut Vec<CrossedThreshold>,
    ) {
        let mut call = Call {
            opened: record.at,
            own: event.attributes.clone(),
            attributes: event.attributes.clone(),
            earned: earned.clone(),
            posted: BTreeMap::new(),
        };
        call.post(record.at, earned);
        self.calls.insert(event.reference(), call);
        self.add(record, &event.attributes, earned, announced);
        for limit in self.limits.values_mut() {
            let amount = earned.get(&limit.terms.asset).copied().unwrap_or(0);
            let counts = is_within(&limit.terms.scope, &event.attributes);
            limit
                .calls
                .insert(event.reference(), if counts { amount } else { 0 });
        }
    }

    fn add(
        &mut self,
        record: &Record,
        attributes: &Attributes,
        amounts: &Sums,
        announced: &mut Vec<CrossedThreshold>,
    ) {
        for (name, limit) in &mut self.limits {
            let amount = amounts.get(&limit.terms.asset).copied().unwrap_or(0);
            if is_within(&limit.terms.scope, attributes) {
                limit.add(name, record.at, amount, announced);
            }
        }
    }

    /// What comes back of an event frees those limits that counted it in their present window.
    fn give_back(
        &mut self,
        record: &Record,
        event: &EventRef,
        amounts: &[(Asset, Nanos)],
        announced: &mut Vec<CrossedThreshold>,
    ) -> anyhow::Result<()> {
        let call = self.call(event)?;
        let attributes = call.attributes.clone();
        let mut back: Vec<(&Asset, Timestamp, i128)> = Vec::new();
        for (asset, amount) in amounts {
            let parts = call.take_back(record, event, asset, amount.get());
            back.extend(parts.into_iter().map(|(posted, amount)| (asset, posted, amount)));
        }
        for (name, limit) in &mut self.limits {
            let from = limit.since.max(limit.counter.bounds(record.at).0);
            if is_within(&limit.terms.scope, &attributes) {
                let counted = |(asset, posted, _): &&(&Asset, Timestamp, i128)| {
                    **asset == limit.terms.asset && *posted >= from
                };
                let amount: i128 = back.iter().filter(counted).map(|(.., amount)| amount).sum();
                limit.add(name, record.at, -amount, announced);
            }
        }
        Ok(())
    }

    /// All that the event took comes back, and all that others cost less; then what is charged instead counts, and then what
    /// the others cost more.
    fn correct(
        &mut self,
        record: &Record,
        told: &Corrected,
        repriced: &[RepricedEvent],
        announced: &mut Vec<CrossedThreshold>,
    ) -> anyhow::Result<()> {
        let (mut back, mut forth) = earned(record);
        let event = match &record.command {
            Command::Void(void) => void.event.clone(),
            Command::Amend(amend) => amend.event.reference(),
            other => anyhow::bail!("{other:?} corrects no event"),
        };
        self.give_back(record, &event, &told.reversed, announced)?;
        let reversed = repriced.iter().flat_map(|repriced| &repriced.reversed);
        for (asset, amount) in told.reversed.iter().chain(reversed) {
            *back.entry(asset.clone()).or_default() += amount.get();
        }
        ensure!(
            back.values().all(|rest| *rest == 0),
            "{told:?} and {repriced:?} differ from what was posted by {back:?}"
        );
        for repriced in repriced {
            self.give_back(record, &repriced.event, &repriced.reversed, announced)?;
            for (asset, amount) in &repriced.charged {
                *forth.entry(asset.clone()).or_default() -= amount.get();
            }
        }
        let call = self.call(&event)?;
        if let Command::Amend(amend) = &record.command {
            call.attributes.clone_from(&amend.event.attributes);
        }
        call.post(record.at, &forth);
        let attributes = call.attributes.clone();
        self.add(record, &attributes, &forth, announced);
        for repriced in repriced {
            let charged = repriced.charged.iter();
            let charged: Sums = charged
                .map(|(asset, amount)| (asset.clone(), amount.get()))
                .collect();
            let call = self.call(&repriced.event)?;
            call.post(record.at, &charged);
            let attributes = call.attributes.clone();
            self.add(record, &attributes, &charged, announced);
        }
        Ok(())
    }

    /// A call counts where its attributes say, as they turned out; what it earned before moves along.
    fn settle(
        &mut self,
        record: &Record,
        event: &EventRef,
        attributes: Attributes,
        announced: &mut Vec<CrossedThreshold>,
    ) -> anyhow::Result<()> {
        let call = self.calls.get_mut(event).context("a hold of no call")?;
        let before = std::mem::replace(&mut call.attributes, attributes);
        let net = net(record);
        for (asset, amount) in &net {
            *call.earned.entry(asset.clone()).or_default() += amount;
        }
        call.post(call.opened, &net);
        for (name, limit) in &mut self.limits {
            let of = |sums: &Sums| sums.get(&limit.terms.asset).copied().unwrap_or(0);
            // One that is younger than the call counts what it takes from then on, and nothing of it below that.
            let counted = limit.calls.get(event).copied().unwrap_or(0);
            let scope = &limit.terms.scope;
            let counts = match (is_within(scope, &before), is_within(scope, &call.attributes)) {
                (true, true) => (counted + of(&net)).max(0),
                (false, true) => of(&call.earned),
                (_, false) => 0,
            };
            limit.calls.insert(event.clone(), counts);
            // What is taken back of a call from an earlier window frees nothing.
            if counts > counted || call.opened >= limit.counter.bounds(record.at).0 {
                limit.add(name, record.at, counts - counted, announced);
            }
        }
        Ok(())
    }

    fn put(&mut self, record: &Record, announced: &mut Vec<CrossedThreshold>) {
        match (&record.command, &record.outcome.answer) {
            (Command::PutLimit(put), Answer::LimitPut { .. }) => {
                let is_same = |limit: &&mut Limit| {
                    let (a, b) = (&limit.terms, &put.terms);
                    (&a.asset, &a.scope, a.window) == (&b.asset, &b.scope, b.window)
                };
                if let Some(limit) = self.limits.get_mut(&put.name).filter(is_same) {
                    limit.terms = put.terms.clone();
                    limit.forget_unreached();
                } else {
                    let limit = Limit {
                        since: record.at,
                        terms: put.terms.clone(),
                        counter: Counter::new(put.terms.window, record.at),
                        announced: Vec::new(),
                        calls: BTreeMap::new(),
                    };
                    self.limits.insert(put.name.clone(), limit);
                }
                if let Some(limit) = self.limits.get_mut(&put.name) {
                    limit.announce(&put.name, record.at, announced);
                }
            }
            (Command::DeleteLimit(delete), Answer::LimitDeleted(_)) => {
                self.limits.remove(&delete.name);
            }
            _ => {}
        }
    }

    /// What open holds have set aside that count towards a limit.
    fn held(&self, limit: &Limit) -> i128 {
        let counting = self
            .holds
            .values()
            .filter(|hold| is_within(&limit.terms.scope, &hold.event.attributes));
        counting.map(|hold| set_aside(hold, &limit.terms.asset)).sum()
    }

    /// Used and held.
    fn taken(&self, name: &LimitName) -> i128 {
        self.limits
            .get(name)
            .map_or(0, |limit| limit.counter.used() + self.held(limit))
    }

    /// A call that was allowed is within every limit that it takes something of.
    fn allowed(&self, record: &Record, before: &BTreeMap<LimitName, i128>) -> anyhow::Result<()> {
        if !matches!(
            record.outcome.answer,
            Answer::Allowed(_) | Answer::Extended { .. }
        ) {
            return Ok(());
        }
        for (name, before) in before {
            let Some(limit) = self
                .limits
                .get(name)
                .filter(|limit| limit.terms.on_exceed == OnExceed::Deny)
            else {
                continue;
            };
            let (taken, most) = (self.taken(name), limit.terms.amount.get());
            ensure!(
                taken <= *before || taken <= most,
                "{name} is at {taken} of {most}, was at {before}, and the call was allowed"
            );
        }
        Ok(())
    }

    /// A denial names a limit that counts the call and has no room for it, the tightest of its asset, and says when it has.
    fn denied(&mut self, record: &Record, why: &Denied, told: &ExceededLimit) -> anyhow::Result<()> {
        self.counts.denials += 1;
        let (attributes, hold) = match &record.command {
            Command::Authorize(authorize) => (authorize.event.attributes.clone(), None),
            Command::Extend(extend) => {
                let hold = self.holds.get(&extend.hold).context("a raise of no hold")?;
                (hold.event.attributes.clone(), Some(hold))
            }
            other => anyhow::bail!("a limit denied {other:?}"),
        };
        let limit = self
            .limits
            .get(&told.limit)
            .with_context(|| format!("{told:?} is no limit"))?;
        let asset = &limit.terms.asset;
        ensure!(
            why.asset.as_ref() == Some(asset)
                && limit.terms.on_exceed == OnExceed::Deny
                && is_within(&limit.terms.scope, &attributes)
                && told.level == limit.terms.scope.to_string(),
            "{told:?} denied a call with {attributes:?} that it does not count"
        );
        let had = hold.map_or(0, |hold| set_aside(hold, asset));
        let left = |limit: &Limit| limit.terms.amount.get() - limit.counter.used() - self.held(limit);
        let more = why.required.get() - had;
        ensure!(
            more > 0 && more > left(limit) && why.available.get() == (had + left(limit)).max(0),
            "{told:?} has {} left, the call has {had}, and {why:?} denied it",
            left(limit)
        );
        let tighter = self.limits.iter().find(|(_, other)| {
            other.terms.asset == *asset
                && other.terms.on_exceed == OnExceed::Deny
                && is_within(&other.terms.scope, &attributes)
                && left(other) < left(limit)
        });
        ensure!(
            tighter.is_none(),
            "{told:?} denied it, and {tighter:?} is tighter"
        );
        let resets = limit.counter.fits(record.at, more - left(limit));
        ensure!(
            told.resets == resets,
            "{told:?} denied a call that fits at {resets:?}"
        );
        Ok(())
    }

    fn compare(&mut self, wallet: &Wallet, now: Timestamp) -> anyhow::Result<()> {
        for limit in self.limits.values_mut() {
            limit.move_on(now);
        }
        let shown: BTreeMap<_, _> = wallet.limits().collect();
        ensure!(
            shown.keys().copied().eq(self.limits.keys()),
            "the wallet has the limits {:?}, and put were {:?}",
            shown.keys(),
            self.limits.keys()
        );
        for (name, limit) in &self.limits {
            let Some(state) = shown.get(name) else { continue };
            let view = LimitView::at(state, now);
            let (used, held) = (limit.counter.used(), self.held(limit));
            let (start, end) = limit.counter.bounds(now);
            let same = state.terms == limit.terms
                && (view.used.get(), view.held.get()) == (used, held)
                && view.available.get() == (limit.terms.amount.get() - used - held).max(0)
                && (view.window_start, view.window_end) == (start, end)
                && view.crossed.len() == limit.announced.len()
                && view
                    .crossed
                    .iter()
                    .all(|threshold| limit.announced.contains(threshold));
            ensure!(
                same,
                "{name}: counted are {used} used and {held} held from {start} to {end:?}, announced {:?}; shown is {view:?}",
                limit.announced
            );
        }
        Ok(())
    }
}

fn set_aside(hold: &HoldState, asset: &Asset) -> i128 {
    let pins = hold.pins.iter().filter(|pin| pin.asset == *asset);
    let credit = hold.overdraft.iter().filter(|(of, _)| of == asset);
    pins.map(|pin| pin.amount.get())
        .chain(credit.map(|(_, amount)| amount.get()))
        .sum()
}

/// What a record's entries took back of revenue, and what they made.
fn earned(record: &Record) -> (Sums, Sums) {
    let (mut back, mut forth) = (Sums::new(), Sums::new());
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect
            && entry.account == Account::Revenue
        {
            let sums = if entry.amount.is_negative() {
                &mut back
            } else {
                &mut forth
            };
            *sums.entry(entry.asset.clone()).or_default() += entry.amount.get();
        }
    }
    (back, forth)
}

/// How an event stands behind a record that says so.
fn stands<'r>(record: &'r Record, event: &EventRef) -> Option<&'r Standing> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(name, standing) if name == event => Some(&**standing),
        _ => None,
    })
}

fn net(record: &Record) -> Sums {
    let (back, mut net) = earned(record);
    for (asset, amount) in back {
        *net.entry(asset).or_default() += amount;
    }
    net
}
