//! What a plan gives back of earlier events when it prices a later one. It goes where a refund goes, up to what the earlier
//! event took and has left; all of an answer's give-backs are posted, or none of them.
//!
//! The later event is the **giver**. While it stands, so does its giving: where it is taken back, or gives less once it is
//! amended, what it had given is taken again, for the event that it was given of.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::correction::{GiveBacks, GivenBack, Original, Standing, StandingStatus, TakenSlice};
use farebox_record::outcome::{Account, Effect, Line, Verdict};
use farebox_record::plan::{Charge, Collect, EventRef, Price};
use farebox_record::state::SliceSource;
use farebox_record::time::Timestamp;

use crate::cover::{cover, lines};
use crate::draft::Draft;
use crate::limits::{GIVE_BACKS_PER_ANSWER_MAX, GIVERS_PER_EVENT_MAX};
use crate::orders::{debt, unpostable};
use crate::owed::{Owed, note_write_off};
use crate::refusal::Refusal;
use crate::reverse::{give_back_slice, owing, split_some};
use crate::spending::{count_again, count_back};
use crate::wallet::Wallet;

/// The events that a plan's answer gives back of, each once: they must be seen where the answer is carried out. None where
/// the answer gives nothing back, or more often than an answer may, which is refused whatever they are.
pub fn gives_back_of(verdict: &Verdict) -> Vec<EventRef> {
    let Verdict::Priced(priced) = verdict else {
        return Vec::new();
    };
    let mut events: Vec<EventRef> = Vec::new();
    for event in priced
        .charges
        .iter()
        .filter_map(|charge| charge.gives_back.as_ref())
    {
        if !events.contains(event) {
            events.push(event.clone());
        }
    }
    match events.len() > GIVE_BACKS_PER_ANSWER_MAX {
        true => Vec::new(),
        false => events,
    }
}

/// Whether an answer gives anything back.
pub(crate) fn gives_back(charges: &[Charge]) -> bool {
    charges.iter().any(|charge| charge.price.amount.is_negative())
}

/// An answer's give-backs that can be posted, and what of earlier ones of the same event has to be taken again.
pub(crate) struct Giving<'s> {
    giver: EventRef,
    named: &'s [Original],
    /// What comes back, by event, in the order of the charges.
    gives: Vec<Give>,
    /// What is taken again.
    again: Vec<Again>,
    /// What the event has given, behind both.
    gave: Vec<GivenBack>,
    /// Events that gave back of it.
    by: Vec<EventRef>,
    /// What named events have taken and not given back, as far as that is another amount now.
    left: BTreeMap<EventRef, Vec<TakenSlice>>,
    /// Whether there was, or is, anything of that.
    is_any: bool,
}

/// What comes back of one event under one charge.
struct Give {
    event: EventRef,
    charge: u16,
    slices: Vec<TakenSlice>,
}

/// What is taken again of what was given back of one event.
struct Again {
    event: EventRef,
    given: Vec<GivenBack>,
}

/// What give-backs are told apart by.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    event: EventRef,
    code: String,
    asset: Asset,
}

impl Key {
    fn has(&self, given: &GivenBack) -> bool {
        given.event == self.event && self.is_of(&given.slice)
    }

    fn is_of(&self, slice: &TakenSlice) -> bool {
        slice.code == self.code && slice.asset == self.asset
    }
}

impl<'s> Giving<'s> {
    /// Checks what `charges` give back, for an event that stood so to others before. What it had given stays given, as far as
    /// it is still wanted.
    pub fn of(
        wallet: &Wallet,
        giver: &EventRef,
        before: &GiveBacks,
        charges: &[Charge],
        named: &'s [Original],
    ) -> Result<Giving<'s>, Refusal> {
        let wanted = wanted(charges)?;
        let mut giving = Giving {
            giver: giver.clone(),
            named,
            gives: Vec::new(),
            again: Vec::new(),
            gave: Vec::new(),
            by: before.by.clone(),
            left: BTreeMap::new(),
            is_any: !wanted.is_empty() || !before.gave.is_empty(),
        };
        giving.keep(&before.gave, &wanted);
        for (key, charge, amount) in &wanted {
            let kept = giving.gave.iter().filter(|given| key.has(given));
            let kept: i128 = kept.map(|given| given.slice.amount.get()).sum();
            let more = Nanos::new(amount.get() - kept);
            if more.is_positive() {
                let check = Check {
                    wallet,
                    giver,
                    named,
                    key,
                    charge: *charge,
                };
                giving.gives.push(Give {
                    event: key.event.clone(),
                    charge: *charge,
                    slices: check.slices(more)?,
                });
            }
        }
        Ok(giving)
    }

    /// What was given before and is still wanted stays; what was given last is taken again first.
    fn keep(&mut self, before: &[GivenBack], wanted: &[(Key, u16, Nanos)]) {
        let mut rest: Vec<(&Key, i128)> = wanted.iter().map(|(key, _, n)| (key, n.get())).collect();
        for given in before {
            let still = rest.iter_mut().find(|(key, _)| key.has(given));
            let kept = still.map_or(0, |(_, rest)| {
                let kept = given.slice.amount.get().min(*rest);
                *rest -= kept;
                kept
            });
            // What is kept of a slice is what the customer has of it, before what was lost.
            let lost_and_kept = (kept - (given.slice.amount.get() - given.lost.get())).max(0);
            let part = |amount: i128, lost: i128| GivenBack {
                slice: TakenSlice {
                    amount: Nanos::new(amount),
                    ..given.slice.clone()
                },
                lost: Nanos::new(lost),
                ..given.clone()
            };
            if kept > 0 {
                self.gave.push(part(kept, lost_and_kept));
            }
            let gone = given.slice.amount.get() - kept;
            if gone > 0 {
                let taken = part(gone, given.lost.get() - lost_and_kept);
                match self.again.iter_mut().find(|again| again.event == given.event) {
                    Some(again) => again.given.push(taken),
                    None => self.again.push(Again {
                        event: given.event.clone(),
                        given: vec![taken],
                    }),
                }
            }
        }
    }

    /// Whether nothing is given back, or was.
    pub fn is_nothing(&self) -> bool {
        !self.is_any
    }

    /// Gives back, before anything is charged. `draft` is told before how many charges the answer holds.
    pub fn give(&mut self, draft: &mut Draft<'_>, at: Timestamp) {
        for original in self.named {
            let event = original.standing.event.reference();
            let mut left = original.standing.slices.clone();
            let mut owing = owing(&original.standing);
            for give in self.gives.iter().filter(|give| give.event == event) {
                for slice in &give.slices {
                    let standing = &original.standing;
                    let owing = (&original.ended, &mut owing);
                    let back = give_back_slice(draft, standing, slice, give.charge, owing, at);
                    self.gave.push(GivenBack {
                        event: event.clone(),
                        slice: slice.clone(),
                        lost: Nanos::new(back.expired.get() + back.written_off.get()),
                    });
                    left = without(left, slice);
                }
                count_back(draft, &original.standing, &give.slices, at);
            }
            if left != original.standing.slices {
                put_left(draft, &original.standing, &left);
                self.left.insert(event, left);
            }
        }
    }

    /// Takes again what is not given back any more, as a part of what is charged, and notes what the event has given. Tells
    /// what was taken. Of an event that was taken back meanwhile nothing is: it costs nothing, whoever gave it back.
    pub fn take_again(self, draft: &mut Draft<'_>, at: Timestamp) -> Result<Vec<Line>, Refusal> {
        let mut charged = Vec::new();
        for again in &self.again {
            let original = self.named.iter().find(|o| is_about(o, &again.event));
            let stands = original.filter(|o| o.standing.status == StandingStatus::Charged);
            if let Some(original) = stands {
                let left = self.left.get(&again.event);
                let left = left.unwrap_or(&original.standing.slices).clone();
                charged.extend(again.take(draft, &original.standing, left, at)?);
            }
        }
        self.note(draft);
        Ok(charged)
    }

    fn note(self, draft: &mut Draft<'_>) {
        if self.is_nothing() {
            return;
        }
        for original in self.named {
            let event = original.standing.event.reference();
            let gives = self.gave.iter().any(|given| given.event == event);
            let mut of_it = original.give_backs.clone();
            of_it.by.retain(|giver| *giver != self.giver);
            if gives {
                of_it.by.push(self.giver.clone());
            }
            if of_it != original.give_backs {
                draft.put(Effect::GiveBacksPut(event, Box::new(of_it)));
            }
        }
        let own = GiveBacks {
            gave: self.gave,
            by: self.by,
        };
        draft.put(Effect::GiveBacksPut(self.giver, Box::new(own)));
    }
}

impl Again {
    /// What the customer got is charged anew, from what the wallet has now; what it did not get costs it nothing now either.
    fn take(
        &self,
        draft: &mut Draft<'_>,
        standing: &Standing,
        mut left: Vec<TakenSlice>,
        at: Timestamp,
    ) -> Result<Vec<Line>, Refusal> {
        let mut taken: Vec<TakenSlice> = Vec::new();
        let mut charges: Vec<Charge> = Vec::new();
        for GivenBack { slice, lost, .. } in &self.given {
            take_lost(draft, slice, *lost, at);
            if lost.is_positive() {
                taken.push(TakenSlice {
                    amount: *lost,
                    ..slice.clone()
                });
            }
            add_charge(&mut charges, slice, Nanos::new(slice.amount.get() - lost.get()));
        }
        let covered = cover(draft.wallet, &charges, &standing.event.attributes, Vec::new());
        let covered = covered.map_err(unpostable)?;
        let owed = covered.uncovered.into_iter().map(debt);
        let mut draws: Vec<_> = covered.draws.into_iter().chain(owed).collect();
        for draw in &mut draws {
            let code = charges
                .get(usize::from(draw.slice.charge))
                .map(|c| c.code.as_str());
            let code = code.unwrap_or_default();
            taken.push(TakenSlice {
                code: code.into(),
                asset: draw.slice.asset.clone(),
                from: draw.slice.from.clone(),
                amount: draw.slice.amount,
                posted: Some(at),
            });
            draw.slice.charge = draft.earlier_charge(code);
        }
        draft.take(&draws);
        count_again(draft, standing, &taken, at);
        left.extend(taken);
        put_left(draft, standing, &left);
        Ok(lines(&charges))
    }
}

/// An event with what it has taken and not given back now.
fn put_left(draft: &mut Draft<'_>, standing: &Standing, left: &[TakenSlice]) {
    let after = Standing {
        slices: left.to_vec(),
        ..standing.clone()
    };
    draft.put(Effect::StandingPut(standing.event.reference(), Box::new(after)));
}

/// What expired, or had been written off, when it came back goes the same way back.
fn take_lost(draft: &mut Draft<'_>, slice: &TakenSlice, lost: Nanos, at: Timestamp) {
    if !lost.is_positive() {
        return;
    }
    let charge = Some(draft.earlier_charge(&slice.code));
    let account = match &slice.from {
        SliceSource::Grant(_) => Account::Breakage,
        SliceSource::Debt | SliceSource::Receivable => Account::Adjustments,
    };
    draft.post(account, &slice.asset, Nanos::new(-lost.get()), charge);
    draft.post(Account::Revenue, &slice.asset, lost, charge);
    match &slice.from {
        SliceSource::Grant(_) => {}
        SliceSource::Debt => note_write_off(draft, Owed::Debt, &slice.asset, lost, at),
        SliceSource::Receivable => note_write_off(draft, Owed::Receivable, &slice.asset, lost, at),
    }
}

/// Adds to what is charged anew of one code, from the wallet or on the statement as it was before.
fn add_charge(charges: &mut Vec<Charge>, slice: &TakenSlice, amount: Nanos) {
    if !amount.is_positive() {
        return;
    }
    let collect = match &slice.from {
        SliceSource::Receivable => Collect::Invoice,
        SliceSource::Grant(_) | SliceSource::Debt => Collect::Balance,
    };
    let same = |charge: &&mut Charge| {
        charge.code == slice.code && charge.price.asset == slice.asset && charge.price.collect == collect
    };
    match charges.iter_mut().find(same) {
        Some(charge) => charge.price.amount = Nanos::new(charge.price.amount.get() + amount.get()),
        None => charges.push(Charge {
            code: slice.code.as_str().into(),
            price: Price {
                asset: slice.asset.clone(),
                amount,
                collect,
            },
            quantity: Nanos::ZERO,
            otherwise: Vec::new(),
            gives_back: None,
        }),
    }
}

/// What an answer gives back, summed up by event, code and asset, each with the first charge that says so.
fn wanted(charges: &[Charge]) -> Result<Vec<(Key, u16, Nanos)>, Refusal> {
    let mut wanted: Vec<(Key, u16, Nanos)> = Vec::new();
    let mut count = 0;
    for (index, charge) in charges.iter().enumerate() {
        if !charge.price.amount.is_negative() {
            continue;
        }
        count += 1;
        let Some(event) = &charge.gives_back else {
            return Err(wrong(index, UNNAMED));
        };
        if !charge.otherwise.is_empty() {
            return Err(wrong(index, "gives back and has an `otherwise`"));
        }
        let key = Key {
            event: event.clone(),
            code: charge.code.to_string(),
            asset: charge.price.asset.clone(),
        };
        let amount = -charge.price.amount.get();
        match wanted.iter_mut().find(|(known, ..)| *known == key) {
            Some((.., sum)) => *sum = Nanos::new(sum.get() + amount),
            None => {
                let index = u16::try_from(index).unwrap_or(u16::MAX); // an answer has far fewer charges
                wanted.push((key, index, Nanos::new(amount)));
            }
        }
    }
    if count > GIVE_BACKS_PER_ANSWER_MAX {
        return Err(said(format!(
            "{count} charges give back, and an answer has room for {GIVE_BACKS_PER_ANSWER_MAX} (limit \
             GIVE_BACKS_PER_ANSWER_MAX)"
        )));
    }
    Ok(wanted)
}

/// What one give-back is checked against.
struct Check<'c> {
    wallet: &'c Wallet,
    giver: &'c EventRef,
    named: &'c [Original],
    key: &'c Key,
    charge: u16,
}

impl Check<'_> {
    /// The slices of the event that come back.
    fn slices(&self, amount: Nanos) -> Result<Vec<TakenSlice>, Refusal> {
        let Key { event, code, asset } = self.key;
        let id = &event.id;
        if event == self.giver {
            return Err(self.wrong(&format!(
                "gives back of event {id}, which is the one that is priced"
            )));
        }
        if self.wallet.hold(event).is_some() {
            return Err(self.wrong(&format!("gives back of event {id}, which is still held")));
        }
        let Some(original) = self.named.iter().find(|o| is_about(o, event)) else {
            let source = &event.source;
            return Err(self.wrong(&format!(
                "gives back of event {id} (source {source}), which is not known"
            )));
        };
        match original.standing.status {
            StandingStatus::Charged => {}
            StandingStatus::Voided => {
                return Err(self.wrong(&format!("gives back of event {id}, which was voided")));
            }
            StandingStatus::Unpriced(_) => {
                return Err(self.wrong(&format!("gives back of event {id}, which waits for a price")));
            }
        }
        let others = original.give_backs.by.iter().filter(|by| *by != self.giver);
        if others.count() >= GIVERS_PER_EVENT_MAX {
            return Err(self.wrong(&format!(
                "gives back of event {id}, which {GIVERS_PER_EVENT_MAX} others gave back of (limit \
                 GIVERS_PER_EVENT_MAX)"
            )));
        }
        let left = original
            .standing
            .slices
            .iter()
            .filter(|slice| self.key.is_of(slice));
        let left = Nanos::new(left.map(|slice| slice.amount.get()).sum());
        if amount > left {
            return Err(self.wrong(&format!(
                "gives back {amount} {asset} of `{code}` of event {id}, which took {left} {asset} for it that it has not given \
                 back"
            )));
        }
        let (back, _) = split_some(&original.standing.slices, amount, |slice| self.key.is_of(slice));
        Ok(back)
    }

    fn wrong(&self, what: &str) -> Refusal {
        wrong(usize::from(self.charge), what)
    }
}

fn wrong(charge: usize, what: &str) -> Refusal {
    said(format!("charge {charge} of its answer {what}"))
}

fn said(message: String) -> Refusal {
    Refusal::PlanFailed {
        code: UNPOSTABLE.to_string(),
        message,
    }
}

/// The code of an answer that keeps the contract and cannot be posted to the wallet.
pub(crate) const UNPOSTABLE: &str = "unpostable";

/// A charge below zero names the event that it gives back of.
pub(crate) fn check_named(charges: &[Charge]) -> Result<(), Refusal> {
    let unnamed = |charge: &Charge| charge.price.amount.is_negative() && charge.gives_back.is_none();
    match charges.iter().position(unnamed) {
        Some(index) => Err(wrong(index, UNNAMED)),
        None => Ok(()),
    }
}

const UNNAMED: &str = "is negative and names no event that it gives back of";

/// A settlement that leaves its hold open cannot give back: what parts of a call give is not known for good.
pub(crate) fn check_final(charges: &[Charge], is_final: bool) -> Result<(), Refusal> {
    match charges
        .iter()
        .position(|charge| charge.price.amount.is_negative())
    {
        Some(index) if !is_final => Err(wrong(
            index,
            "gives back, which only a final settlement can; settle with `final` true",
        )),
        _ => Ok(()),
    }
}

/// What is asked outside of an event cannot give back: nothing says how the events that it names stand.
pub(crate) fn check_none(charges: &[Charge]) -> Result<(), Refusal> {
    match charges
        .iter()
        .position(|charge| charge.price.amount.is_negative())
    {
        Some(index) => Err(wrong(index, "gives back, which only an answer to an event can")),
        None => Ok(()),
    }
}

fn is_about(original: &Original, event: &EventRef) -> bool {
    let of = &original.standing.event;
    of.id == event.id && of.source == event.source
}

/// The slices without one that comes back: from the last one of its kind on.
fn without(mut slices: Vec<TakenSlice>, back: &TakenSlice) -> Vec<TakenSlice> {
    let mut rest = back.amount.get();
    for slice in slices.iter_mut().rev() {
        if slice.code == back.code && slice.asset == back.asset && slice.from == back.from {
            let part = rest.min(slice.amount.get());
            slice.amount = Nanos::new(slice.amount.get() - part);
            rest -= part;
        }
    }
    slices.retain(|slice| slice.amount.is_positive());
    slices
}
