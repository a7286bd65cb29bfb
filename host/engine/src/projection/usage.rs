//! What a record says was used: a pure function of the record and of what the same event counted for before.
//!
//! An event counts in one row only: that of its time and of the attributes that are known of it last. So whenever a record
//! says something new of an event (a further settlement, a price at last), what it counted for before is taken out as a
//! whole and what it counts for now is put in. Charges are what was posted, so that rows sum to the ledger.

use std::collections::{BTreeMap, BTreeSet};

use farebox_ledger::timer_of;
use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::command::{AuthorizeMode, Backfill, Command, DueItem, Settle};
use farebox_record::correction::{Consequence, Standing, StandingStatus};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::RevisionHash;
use farebox_record::outcome::{Account, Answer, Effect, HoldEnd, Verdict};
use farebox_record::plan::{ChargeCode, EventRef};
use farebox_record::state::Waiting;
use farebox_record::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::charge::charge_code;
use crate::limits::USAGE_COMBINATION_BYTES_MAX;

/// The code under which an entry counts that pays a charge of no known code.
const NO_CODE: &str = "unknown";

/// Sums of what was used and charged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many events.
    pub events: i64,
    /// How many of them have no price yet.
    pub unpriced: i64,
    /// Measures by name, as callers reported them.
    pub measures: Measures,
    /// What was charged, by code and asset.
    pub charges: BTreeMap<(ChargeCode, Asset), Charged>,
}

/// What was charged under one code in one asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// How much was posted.
    pub amount: Nanos,
    /// In the unit of the code; stands with the asset in which the plan states the charge, whatever paid it.
    pub quantity: Nanos,
}

/// What one event counts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// When it happened.
    pub time: Timestamp,
    /// Its attributes that are no identifiers; none where they are too long to be kept.
    pub attributes: Option<Attributes>,
    /// Its share of the sums.
    pub totals: Totals,
}

/// What a record changes in the usage of its wallet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// What counted before, and no longer does.
    pub taken: Option<Counted>,
    /// What counts now.
    pub added: Option<Counted>,
    /// Other events that the record prices anew or gives back of: what each counted for, and what it counts for now.
    pub others: Vec<(Counted, Counted)>,
    /// Events of which more may be said later: what they count for until then, or none where nothing more is expected.
    pub notes: Vec<(EventRef, Option<Counted>)>,
}

/// The event that a record says something further of: what it counted for before must be known.
pub(crate) fn continued(record: &Record) -> Option<EventRef> {
    match &record.command {
        Command::Settle(settle) => Some(settle.hold.clone()),
        Command::RateUnpriced(rate) => Some(rate.event.reference()),
        Command::Void(_) | Command::Amend(_) => waiting(record),
        _ => concluded(record).map(|standing| standing.event.reference()),
    }
}

/// The event that a record corrects, where it waited for a price: no plan had priced it, so only what was noted of it tells
/// which attribute told no rows apart.
fn waiting(record: &Record) -> Option<EventRef> {
    let standing = original(record)?;
    matches!(standing.status, StandingStatus::Unpriced(_)).then(|| standing.event.reference())
}

/// The event of a hold that was settled in part, where the record ends it without a last settlement.
fn concluded(record: &Record) -> Option<&Standing> {
    match &record.command {
        Command::Release(release) => stands_now(record, &release.hold),
        Command::Due(due) => match &due.item {
            DueItem::HoldExpiry(hold) => stands_now(record, hold),
            _ => None,
        },
        _ => None,
    }
}

/// Which attributes of events are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// Those that tell rows apart: no identifiers, and not the attribute that a revision follows.
    Rows(BTreeMap<RevisionHash, String>),
    /// All.
    All,
}

impl Keeps {
    fn of_record(&self, record: &Record, attributes: &Attributes) -> Option<Attributes> {
        let subject = || record.seen.pricing.as_ref()?.subject_attribute.as_deref();
        match self {
            Keeps::Rows(_) => combination(subject(), attributes),
            Keeps::All => Some(attributes.clone()),
        }
    }

    fn of_standing(&self, standing: &Standing) -> Option<Attributes> {
        let attributes = &standing.event.attributes;
        match self {
            Keeps::Rows(subjects) => {
                let revision = standing.priced.as_ref().map(|priced| priced.revision);
                let subject = revision.and_then(|revision| subjects.get(&revision));
                combination(subject.map(String::as_str), attributes)
            }
            Keeps::All => Some(attributes.clone()),
        }
    }
}

/// The revisions that priced the events that a record says something of, besides the one that priced the record itself.
pub(crate) fn revisions_of(record: &Record) -> BTreeSet<RevisionHash> {
    let repriced = match record.seen.consequence.as_deref() {
        Some(Consequence::Refolded(refold)) => &refold.repriced[..],
        _ => &[],
    };
    let standings = original(record)
        .into_iter()
        .chain(concluded(record))
        .chain(repriced.iter().map(|r| &r.standing))
        .chain(record.seen.named.iter().map(|original| &original.standing));
    standings
        .filter_map(|standing| Some(standing.priced.as_ref()?.revision))
        .collect()
}

/// What a record changes. `before` is what the event that it continues counted for, if it did; `keeps` knows the revisions of
/// [`revisions_of`], and the one that priced the record.
pub(crate) fn usage_of(record: &Record, before: Option<Counted>, keeps: &Keeps) -> Usage {
    let mut usage = match (&record.command, &record.outcome.answer) {
        (Command::Usage(event) | Command::Backfill(Backfill { event, .. }), Answer::Charged { .. }) => {
            Usage {
                added: Some(priced(record, event, keeps)),
                others: others(record, keeps),
                ..Usage::default()
            }
        }
        (Command::Authorize(authorize), Answer::Allowed(_)) if authorize.mode == AuthorizeMode::Settle => {
            Usage {
                added: Some(priced(record, &authorize.event, keeps)),
                others: others(record, keeps),
                ..Usage::default()
            }
        }
        (Command::Usage(event) | Command::Backfill(Backfill { event, .. }), Answer::Unpriced(_)) => {
            let kept = unpriced(record, event, keeps);
            Usage {
                notes: vec![(event.reference(), Some(kept.clone()))],
                added: Some(kept),
                ..Usage::default()
            }
        }
        (Command::Settle(settle), Answer::Unpriced(_)) => {
            let kept = kept_event(record).map(|event| unpriced(record, event, keeps));
            Usage {
                taken: before,
                notes: vec![(settle.hold.clone(), kept.clone())],
                added: kept,
                ..Usage::default()
            }
        }
        (Command::Release(_) | Command::Due(_), _) if concluded(record).is_some() => Usage {
            taken: before,
            added: concluded(record).map(|standing| stands(keeps, standing)),
            ..Usage::default()
        },
        (Command::RateUnpriced(rate), Answer::Charged { .. }) => Usage {
            taken: before,
            added: Some(priced(record, &rate.event, keeps)),
            others: others(record, keeps),
            notes: vec![(rate.event.reference(), None)],
        },
        (Command::Settle(settle), Answer::Settled(settled)) => {
            let now = settle_so_far(record, settle, before.as_ref(), keeps);
            let note = if settled.ended { None } else { Some(now.clone()) };
            Usage {
                taken: before,
                added: Some(now),
                others: others(record, keeps),
                notes: vec![(settle.hold.clone(), note)],
            }
        }
        (Command::Refund(_), Answer::Corrected(_)) => Usage {
            added: refunded(record, keeps),
            ..Usage::default()
        },
        (Command::Void(_), Answer::Corrected(_) | Answer::Refolded(_)) => Usage {
            taken: before.or_else(|| original(record).map(|standing| stands(keeps, standing))),
            added: fees_of(record, charged_anew(record, keeps)),
            others: others(record, keeps),
            notes: waiting(record).map(|event| (event, None)).into_iter().collect(),
        },
        (Command::Amend(_), Answer::Corrected(_) | Answer::Refolded(_)) => Usage {
            taken: before.or_else(|| original(record).map(|standing| stands(keeps, standing))),
            added: corrected(record).map(|standing| stands(keeps, standing)),
            others: others(record, keeps),
            notes: waiting(record).map(|event| (event, None)).into_iter().collect(),
        },
        // What a timer charged belongs to the event that set it.
        _ if set_by(&record.command).is_some_and(|event| stands_now(record, event).is_some()) => Usage {
            others: others(record, keeps),
            ..Usage::default()
        },
        _ => Usage {
            added: fees(record),
            ..Usage::default()
        },
    };
    // What is kept until it has a price is not over with its hold.
    let ended = over(record).filter(|(event, _)| !usage.notes.iter().any(|(noted, _)| noted == event));
    let ended: Vec<_> = ended.collect();
    usage.notes.extend(ended);
    usage
}

fn priced(record: &Record, event: &Event, keeps: &Keeps) -> Counted {
    Counted {
        time: record.seen.time,
        attributes: keeps.of_record(record, &event.attributes),
        totals: Totals {
            events: 1,
            unpriced: 0,
            measures: event.measures.clone(),
            charges: with_quantities(record, posted_for_it(record, keeps)),
        },
    }
}

fn unpriced(record: &Record, event: &Event, keeps: &Keeps) -> Counted {
    Counted {
        time: event.time.unwrap_or(record.at),
        attributes: keeps.of_record(record, &event.attributes),
        totals: Totals {
            events: 1,
            unpriced: 1,
            measures: event.measures.clone(),
            charges: BTreeMap::new(),
        },
    }
}

/// The event that a record keeps until it has a price.
fn kept_event(record: &Record) -> Option<&Event> {
    record.outcome.effects.iter().find_map(|effect| match effect {
        Effect::UnpricedKept(kept) => match &kept.what {
            Waiting::Event(event) => Some(event),
            Waiting::Transition(_) | Waiting::Change(_) => None,
        },
        _ => None,
    })
}

/// Measures and quantities are told of the event as a whole; what was posted adds up over the parts.
fn settle_so_far(record: &Record, settle: &Settle, before: Option<&Counted>, keeps: &Keeps) -> Counted {
    let mut attributes = Attributes::EMPTY;
    for effect in &record.outcome.effects {
        if let Effect::HoldPut(_, hold) = effect {
            attributes.clone_from(&hold.event.attributes);
        }
    }
    attributes.extend(&settle.attributes);
    let mut charges = posted_for_it(record, keeps);
    for (key, earlier) in before.iter().flat_map(|counted| &counted.totals.charges) {
        add(
            &mut charges.entry(key.clone()).or_default().amount,
            earlier.amount,
        );
    }
    Counted {
        time: record.seen.time,
        attributes: keeps.of_record(record, &attributes),
        totals: Totals {
            events: 1,
            unpriced: 0,
            measures: settle.measures.clone(),
            charges: with_quantities(record, charges),
        },
    }
}

/// The event that a correction is about, as it stood before.
fn original(record: &Record) -> Option<&Standing> {
    record.seen.original.as_ref().map(|original| &original.standing)
}

/// The event that a correction is about, as it stands now.
fn corrected(record: &Record) -> Option<&Standing> {
    stands_now(record, &original(record)?.event.reference())
}

/// An event as a record leaves it.
fn stands_now<'r>(record: &'r Record, event: &EventRef) -> Option<&'r Standing> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(name, standing) if name == event => Some(&**standing),
        _ => None,
    })
}

/// Other events that count for something else behind a record: those behind a corrected one that it prices anew, and those
/// that a plan gives back of, or gave back of.
fn others(record: &Record, keeps: &Keeps) -> Vec<(Counted, Counted)> {
    let repriced = match record.seen.consequence.as_deref() {
        Some(Consequence::Refolded(refold)) => &refold.repriced[..],
        Some(Consequence::Reversed(_)) | None => &[],
    };
    let repriced = repriced.iter().map(|repriced| &repriced.standing);
    let named = record.seen.named.iter().map(|original| &original.standing);
    let events = repriced.chain(named);
    let both = events.filter_map(|before| Some((before, stands_now(record, &before.event.reference())?)));
    both.map(|(before, now)| (stands(keeps, before), stands(keeps, now)))
        .collect()
}

/// What an event counts for as it stands.
fn stands(keeps: &Keeps, standing: &Standing) -> Counted {
    let mut charges: BTreeMap<(ChargeCode, Asset), Charged> = BTreeMap::new();
    for slice in &standing.slices {
        let key = (slice.code.clone(), slice.asset.clone());
        add(&mut charges.entry(key).or_default().amount, slice.amount);
    }
    for line in &standing.lines {
        let key = (line.code.clone(), line.asset.clone());
        add(&mut charges.entry(key).or_default().quantity, line.quantity);
    }
    charges.retain(|_, charged| *charged != Charged::default());
    Counted {
        time: standing.time,
        attributes: keeps.of_standing(standing),
        totals: Totals {
            events: 1,
            unpriced: i64::from(matches!(standing.status, StandingStatus::Unpriced(_))),
            measures: standing.event.measures.clone(),
            charges,
        },
    }
}

/// What a refund takes from the charges of its event. The event and what it used stay counted.
fn refunded(record: &Record, keeps: &Keeps) -> Option<Counted> {
    let standing = original(record)?;
    Some(Counted {
        time: standing.time,
        attributes: keeps.of_standing(standing),
        totals: Totals {
            charges: posted(record),
            ..Totals::default()
        },
    })
}

/// What a void charged by itself, because its plan said so: what was posted, without what was given back and what other
/// events cost differently.
fn charged_anew(record: &Record, keeps: &Keeps) -> BTreeMap<(ChargeCode, Asset), Charged> {
    let mut charges = posted_for_it(record, keeps);
    for slice in original(record).iter().flat_map(|standing| &standing.slices) {
        let key = (slice.code.clone(), slice.asset.clone());
        add(&mut charges.entry(key).or_default().amount, slice.amount);
    }
    charges
}

/// What the record posted, without what other events cost differently.
fn posted_for_it(record: &Record, keeps: &Keeps) -> BTreeMap<(ChargeCode, Asset), Charged> {
    let mut charges = posted(record);
    for (before, now) in others(record, keeps) {
        for (key, charged) in before.totals.charges {
            add(&mut charges.entry(key).or_default().amount, charged.amount);
        }
        for (key, charged) in now.totals.charges {
            let less = charged.amount.checked_neg().unwrap_or(Nanos::ZERO);
            add(&mut charges.entry(key).or_default().amount, less);
        }
    }
    charges
}

/// What was earned without an event: fees of a period.
fn fees(record: &Record) -> Option<Counted> {
    fees_of(record, posted(record))
}

fn fees_of(record: &Record, charges: BTreeMap<(ChargeCode, Asset), Charged>) -> Option<Counted> {
    let charges = with_quantities(record, charges);
    if charges.is_empty() {
        return None;
    }
    Some(Counted {
        // A fee counts when it is posted, also where its period began long before.
        time: record.at,
        attributes: Some(Attributes::EMPTY),
        totals: Totals {
            charges,
            ..Totals::default()
        },
    })
}

/// Holds that are over without a last settlement: what they count for stays, and nothing more is expected. An expired one
/// may still be settled until it is forgotten.
fn over(record: &Record) -> impl Iterator<Item = (EventRef, Option<Counted>)> {
    record.outcome.effects.iter().filter_map(|effect| match effect {
        Effect::HoldEnded(event, HoldEnd::Released) | Effect::HoldForgotten(event) => {
            Some((event.clone(), None))
        }
        _ => None,
    })
}

/// The revenue that the record posted, by code and asset.
fn posted(record: &Record) -> BTreeMap<(ChargeCode, Asset), Charged> {
    let mut charges: BTreeMap<(ChargeCode, Asset), Charged> = BTreeMap::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect
            && entry.account == Account::Revenue
        {
            let code = charge_code(record, entry).unwrap_or(NO_CODE).into();
            let charged = charges.entry((code, entry.asset.clone())).or_default();
            add(&mut charged.amount, entry.amount);
        }
    }
    charges
}

/// The event that set the timer which a command is about.
fn set_by(command: &Command) -> Option<&EventRef> {
    timer_of(command)?.event.as_ref()
}

/// With the quantities that the plan states in the record, where its charges were carried out.
fn with_quantities(
    record: &Record,
    mut charges: BTreeMap<(ChargeCode, Asset), Charged>,
) -> BTreeMap<(ChargeCode, Asset), Charged> {
    if let Some(pricing) = &record.seen.pricing
        && let Verdict::Priced(priced) = &pricing.verdict
        && is_carried_out(record)
    {
        for charge in &priced.charges {
            let key = (charge.code.clone(), charge.price.asset.clone());
            add(&mut charges.entry(key).or_default().quantity, charge.quantity);
        }
    }
    charges.retain(|_, charged| *charged != Charged::default());
    charges
}

/// Whether what a plan said was done, and not only quoted, refused, kept because it could not be posted, or too late.
fn is_carried_out(record: &Record) -> bool {
    let outcome = &record.outcome;
    if record.command.retried().is_some() {
        return matches!(outcome.answer, Answer::Charged { .. });
    }
    let kept = |effect: &Effect| matches!(effect, Effect::UnpricedKept(_));
    if outcome.effects.iter().any(kept) {
        return false;
    }
    match &outcome.answer {
        Answer::Denied(_) | Answer::Extended { .. } | Answer::HoldEnded { .. } => false,
        Answer::Allowed(allowed) => allowed.expires.is_none(),
        _ => true,
    }
}

/// The attributes that tell rows apart: those that are no identifiers, and not the plan's subject. None where they are longer
/// than a row may have.
fn combination(subject: Option<&str>, attributes: &Attributes) -> Option<Attributes> {
    let kept: Attributes = (attributes.iter())
        .filter(|(name, _)| !is_identifier(name) && subject != Some(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let bytes: usize = kept.iter().map(|(name, value)| name.len() + value.len()).sum();
    (bytes <= USAGE_COMBINATION_BYTES_MAX).then_some(kept)
}

/// Whether an attribute names one thing of many by its name: `id`, and what ends in `_id`.
pub fn is_identifier(attribute: &str) -> bool {
    attribute == "id" || attribute.ends_with("_id")
}

fn add(sum: &mut Nanos, amount: Nanos) {
    // Amounts of a wallet are far inside 128 bits; measures can be anything that a caller says.
    let most = Nanos::new(if amount.is_negative() {
        i128::MIN
    } else {
        i128::MAX
    });
    *sum = sum.checked_add(amount).unwrap_or(most);
}

/// Whether sums grow or shrink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Plus,
    Minus,
}

impl Totals {
    /// Changes the sums by those of an event.
    pub(crate) fn change(&mut self, sign: Sign, by: &Totals) {
        let signed = |amount: Nanos| match sign {
            Sign::Plus => amount,
            Sign::Minus => amount.checked_neg().unwrap_or(Nanos::new(i128::MAX)),
        };
        let count = |n: i64| if sign == Sign::Plus { n } else { -n };
        self.events += count(by.events);
        self.unpriced += count(by.unpriced);
        for (name, amount) in &by.measures {
            add(self.measures.value(name), signed(*amount));
        }
        for (key, charged) in &by.charges {
            let sum = self.charges.entry(key.clone()).or_default();
            add(&mut sum.amount, signed(charged.amount));
            add(&mut sum.quantity, signed(charged.quantity));
        }
        if sign == Sign::Minus {
            // What is left of sums that are nothing is nothing; a measure of zero that was reported stays.
            let measures = &by.measures;
            self.measures
                .retain(|name, sum| !sum.is_zero() || !measures.contains_key(name) || self.events > 0);
            self.charges.retain(|_, charged| *charged != Charged::default());
        }
    }

    /// Adds other sums.
    pub(crate) fn add(&mut self, by: &Totals) {
        self.change(Sign::Plus, by);
    }

    /// Whether nothing is left: of a row whose only event is counted elsewhere now.
    pub fn is_empty(&self) -> bool {
        self.events == 0 && self.charges.is_empty() && self.measures.values().all(|sum| sum.is_zero())
    }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
