//! What was used, worked out by hand from a wallet's records: each event as it stands at the end, put into the minute, hour
//! and day in which it happened. Then the same is read from the engine, and the sums are compared with the ledger's.

mod sums;

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use farebox_engine::Engine;
use farebox_engine::projection::{Every, UsageGroup, UsageQuery};
use farebox_money::Asset;
use farebox_record::command::{AuthorizeMode, Backfill, Command, Settle};
use farebox_record::correction::{RefundTarget, Standing};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::outcome::{Account, Answer, Corrected, Effect, Line, Refolded, Verdict};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::time::Timestamp;
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::history::{History, concluded, set_by};
use sums::Sums;

/// Code and asset of a charge.
type Code = (farebox_record::plan::ChargeCode, Asset);

/// Something that counts at one time: an event, or fees.
#[derive(Debug, Default, Clone)]
struct Counted {
    time: Timestamp,
    attributes: Attributes,
    /// None: fees.
    measures: Option<Measures>,
    unpriced: bool,
    /// By code and asset of the entries.
    amounts: BTreeMap<Code, i128>,
    /// By code and asset of what the plan said.
    quantities: BTreeMap<Code, i128>,
}

/// Everything that counts in a wallet.
#[derive(Debug, Default)]
struct Book {
    events: BTreeMap<EventRef, Counted>,
    fees: Vec<Counted>,
    /// Calls with a hold, as they were authorized.
    calls: BTreeMap<EventRef, Counted>,
    revenue: BTreeMap<Asset, i128>,
}

/// Compares what the engine says of a customer's usage with its records; tells how many rows were compared.
/// `tidied` is the latest time by which what is no longer kept may have been removed.
///
/// # Errors
/// The first time whose sums differ, or the asset in which they are not the ledger's.
pub fn check(
    engine: &Engine,
    history: &History,
    tidied: Timestamp,
    random: &mut SmallRng,
) -> anyhow::Result<u64> {
    let mut book = Book::default();
    for record in &history.records {
        book.enter(record)
            .with_context(|| format!("record {}", record.sequence))?;
    }
    let mut rows = 0;
    for every in Every::ALL {
        let by: Vec<String> = ["model", "task"]
            .into_iter()
            .filter(|_| random.random_range(0..2) == 0)
            .map(String::from)
            .collect();
        let limit = random.random_range(3..80);
        let groups = read(engine, history, every, &by, limit)?;
        rows += groups.len() as u64;
        if every == Every::Day {
            book.sums_to(&groups)?;
        }
        book.compare(tidied, every, &by, groups)
            .with_context(|| format!("by {}, {by:?}", every.as_str()))?;
    }
    Ok(rows)
}

impl Book {
    fn enter(&mut self, record: &Record) -> anyhow::Result<()> {
        let mut posted = posted(record)?;
        for ((_, asset), amount) in &posted {
            *self.revenue.entry(asset.clone()).or_default() += amount;
        }
        self.others(record, &mut posted)?;
        match (&record.command, &record.outcome.answer) {
            (Command::Usage(event) | Command::Backfill(Backfill { event, .. }), Answer::Unpriced(_)) => {
                let counted = Counted {
                    unpriced: true,
                    ..counted(event, record.at)
                };
                self.events.insert(event.reference(), counted);
            }
            (
                Command::Usage(event) | Command::Backfill(Backfill { event, .. }),
                Answer::Charged { charges, .. },
            ) => {
                self.price(event, record.at, charges, posted);
            }
            (Command::RateUnpriced(rate), Answer::Charged { charges, .. }) => {
                self.price(&rate.event, rate.received, charges, posted);
            }
            (Command::Authorize(authorize), Answer::Allowed(allowed)) => match authorize.mode {
                AuthorizeMode::Settle => {
                    self.price(&authorize.event, record.at, &allowed.quote, posted);
                }
                AuthorizeMode::Hold => {
                    let call = counted(&authorize.event, record.at);
                    self.calls.insert(authorize.event.reference(), call);
                }
            },
            (Command::Settle(settle), Answer::Settled(settled)) => {
                self.settle(settle, posted)?.quantities = quantities(&settled.charges);
            }
            (Command::Settle(settle), Answer::Unpriced(_)) => {
                let event = self.settle(settle, posted)?;
                event.quantities.clear();
                event.unpriced = true;
            }
            (Command::Refund(refund), Answer::Corrected(_)) => {
                if let RefundTarget::Event { event, .. } = &refund.target {
                    add(&mut self.event(event)?.amounts, posted);
                }
            }
            (Command::Void(_) | Command::Amend(_), Answer::Corrected(told)) => {
                self.correct(record, told, posted)?;
            }
            (Command::Void(_) | Command::Amend(_), Answer::Refolded(told)) => {
                let own = self.reprice(record, told, posted)?;
                self.correct(record, &told.corrected, own)?;
            }
            _ if concluded(record).is_some_and(|event| self.events.contains_key(event)) => {
                self.conclude(record, posted)?;
            }
            _ => {
                let is_answered = matches!(
                    record.command,
                    Command::Subscribe(_)
                        | Command::ChangeSubscription(_)
                        | Command::Due(_)
                        | Command::RetryTransition(_)
                        | Command::RetryChange(_)
                );
                // What could not be posted waits, and counts when it is carried out.
                let effects = &record.outcome.effects;
                let waits = effects
                    .iter()
                    .any(|effect| matches!(effect, Effect::UnpricedKept(_)));
                // What a deadline charges counts for the event that set it.
                let is_of_event = set_by(record).is_some_and(|event| standing(record, event).is_some());
                let said = if is_answered && !waits && !is_of_event {
                    said(record)
                } else {
                    BTreeMap::new()
                };
                self.fee(record.at, posted, said);
            }
        }
        Ok(())
    }

    /// A call is what it used so far: all parts together have taken what they posted.
    fn settle(&mut self, settle: &Settle, posted: BTreeMap<Code, i128>) -> anyhow::Result<&mut Counted> {
        let call = self.calls.get(&settle.hold).context("a hold of no call")?;
        let event = self
            .events
            .entry(settle.hold.clone())
            .or_insert_with(|| call.clone());
        event.measures = Some(settle.measures.clone());
        event.attributes = call.attributes.clone();
        event.attributes.extend(&settle.attributes);
        add(&mut event.amounts, posted);
        Ok(event)
    }

    /// A call that nobody settled for good has taken what is posted at its end too.
    fn conclude(&mut self, record: &Record, posted: BTreeMap<Code, i128>) -> anyhow::Result<()> {
        let name = concluded(record).context("an end of no call")?;
        let event = self.event(name)?;
        add(&mut event.amounts, posted);
        if let Some(standing) = standing(record, name) {
            event.quantities = quantities(&standing.lines);
        }
        Ok(())
    }

    /// `posted` is what the record posted for this event.
    fn correct(
        &mut self,
        record: &Record,
        told: &Corrected,
        posted: BTreeMap<Code, i128>,
    ) -> anyhow::Result<()> {
        match &record.command {
            Command::Void(void) => {
                // What is left of it is what its plan charged for taking it back.
                let mut left = self
                    .events
                    .remove(&void.event)
                    .context("a void of no event")?
                    .amounts;
                add(&mut left, posted);
                self.fee(record.at, left, quantities(&told.charges));
            }
            Command::Amend(amend) => {
                let event = self.event(&amend.event.reference())?;
                event.time = amend.event.time.unwrap_or(event.time);
                event.measures = Some(amend.event.measures.clone());
                event.attributes = amend.event.attributes.clone();
                event.unpriced = false;
                event.quantities = quantities(&told.charges);
                add(&mut event.amounts, posted);
            }
            _ => {}
        }
        Ok(())
    }

    /// Events behind the corrected one have taken what they now stand with. Gives what is left of the record's postings: what
    /// it posted for the corrected event itself.
    fn reprice(
        &mut self,
        record: &Record,
        told: &Refolded,
        mut posted: BTreeMap<Code, i128>,
    ) -> anyhow::Result<BTreeMap<Code, i128>> {
        for repriced in &told.repriced {
            let standing = standing(record, &repriced.event).context("a new price of nothing")?;
            let mut now = BTreeMap::new();
            for slice in &standing.slices {
                let code = (slice.code.clone(), slice.asset.clone());
                *now.entry(code).or_default() += slice.amount.get();
            }
            let event = self.event(&repriced.event)?;
            let mut moved: BTreeMap<Asset, i128> = BTreeMap::new();
            for (sign, amounts) in [(-1, &event.amounts), (1, &now)] {
                for ((code, asset), amount) in amounts {
                    *moved.entry(asset.clone()).or_default() += sign * amount;
                    *posted.entry((code.clone(), asset.clone())).or_default() -= sign * amount;
                }
            }
            for (sign, amounts) in [(1, &repriced.reversed), (-1, &repriced.charged)] {
                for (asset, amount) in amounts {
                    *moved.entry(asset.clone()).or_default() += sign * amount.get();
                }
            }
            ensure!(
                moved.values().all(|moved| *moved == 0),
                "{repriced:?} differs from what was posted by {moved:?}"
            );
            event.amounts = now;
            event.quantities = quantities(&repriced.charges);
        }
        Ok(posted)
    }

    /// What a deadline charges is its event's, and what a plan gives back is taken of the event that it was charged for: both
    /// stand behind the record with what they took.
    fn others(&mut self, record: &Record, posted: &mut BTreeMap<Code, i128>) -> anyhow::Result<()> {
        for original in &record.seen.named {
            let name = original.standing.event.reference();
            let Some(standing) = standing(record, &name) else {
                continue;
            };
            let mut now = BTreeMap::new();
            for slice in &standing.slices {
                let code = (slice.code.clone(), slice.asset.clone());
                *now.entry(code).or_default() += slice.amount.get();
            }
            let event = self.event(&name)?;
            for (sign, amounts) in [(1, &event.amounts), (-1, &now)] {
                for (code, amount) in amounts {
                    *posted.entry(code.clone()).or_default() += sign * amount;
                }
            }
            event.amounts = now;
            event.quantities = quantities(&standing.lines);
        }
        Ok(())
    }

    fn price(&mut self, event: &Event, received: Timestamp, charges: &[Line], posted: BTreeMap<Code, i128>) {
        let priced = Counted {
            amounts: posted,
            quantities: quantities(charges),
            ..counted(event, received)
        };
        self.events.insert(event.reference(), priced);
    }

    fn event(&mut self, event: &EventRef) -> anyhow::Result<&mut Counted> {
        self.events
            .get_mut(event)
            .with_context(|| format!("{event:?} never counted"))
    }

    fn fee(&mut self, time: Timestamp, amounts: BTreeMap<Code, i128>, quantities: BTreeMap<Code, i128>) {
        self.fees.push(Counted {
            time,
            amounts,
            quantities,
            ..Counted::default()
        });
    }

    /// All days together are what the ledger earned.
    fn sums_to(&self, groups: &[UsageGroup]) -> anyhow::Result<()> {
        let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
        for group in groups {
            for ((_, asset), charged) in &group.totals.charges {
                *sums.entry(asset.clone()).or_default() += charged.amount.get();
            }
        }
        let mut revenue = self.revenue.clone();
        sums.retain(|_, sum| *sum != 0);
        revenue.retain(|_, sum| *sum != 0);
        ensure!(
            sums == revenue,
            "all days sum to {sums:?}, and the ledger earned {revenue:?}"
        );
        Ok(())
    }

    /// What is kept of the sums, and the groups that were read, are the same.
    fn compare(
        &self,
        tidied: Timestamp,
        every: Every,
        by: &[String],
        groups: Vec<UsageGroup>,
    ) -> anyhow::Result<()> {
        let (length, kept) = match every {
            Every::Minute => (60, Some(35)),
            Every::Hour => (3_600, Some(400)),
            Every::Day => (86_400, None),
        };
        let now = tidied.as_micros();
        let floor = |time: i64| time - time.rem_euclid(length * 1_000_000);
        let oldest = kept.map_or(i64::MIN, |days: i64| floor(now - days * 86_400_000_000));
        let mut wanted: BTreeMap<(i64, Vec<Option<String>>), Sums> = BTreeMap::new();
        for counted in self.events.values().chain(&self.fees) {
            let time = floor(counted.time.as_micros());
            if time < oldest {
                continue;
            }
            let values = by.iter().map(|name| counted.attribute(name));
            wanted.entry((time, values.collect())).or_default().count(counted);
        }
        for sums in wanted.values_mut() {
            sums.forget_zeros();
        }
        wanted.retain(|_, sums| *sums != Sums::default());
        for group in groups {
            let time = group.time.as_micros();
            ensure!(time == floor(time), "a group begins at {}", group.time);
            let key = (time, group.values);
            let sums = Sums::of(&group.totals);
            if time < oldest || sums == Sums::default() {
                continue;
            }
            let ours = wanted.remove(&key);
            ensure!(
                ours.as_ref() == Some(&sums) && !group.other,
                "{} {:?}: the engine says {sums:?}, the records {ours:?}",
                group.time,
                key.1
            );
        }
        ensure!(
            wanted.is_empty(),
            "the engine knows nothing of {:?}",
            wanted.iter().next()
        );
        Ok(())
    }
}

impl Counted {
    fn attribute(&self, name: &str) -> Option<String> {
        Some(self.attributes.get(name)?.to_string())
    }
}

/// An event before anybody priced it.
fn counted(event: &Event, received: Timestamp) -> Counted {
    Counted {
        time: event.time.unwrap_or(received),
        attributes: event.attributes.clone(),
        measures: Some(event.measures.clone()),
        ..Counted::default()
    }
}

/// What a record earned, by the code of its charge.
fn posted(record: &Record) -> anyhow::Result<BTreeMap<Code, i128>> {
    let mut codes: Vec<&str> = Vec::new();
    if let Some(Verdict::Priced(priced)) = record.seen.pricing.as_ref().map(|pricing| &pricing.verdict) {
        codes.extend(priced.charges.iter().map(|charge| charge.code.as_str()));
    }
    codes.extend(record.outcome.earlier.iter().map(String::as_str));
    let mut posted = BTreeMap::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect
            && entry.account == Account::Revenue
        {
            let index = entry.charge.context("revenue of no charge")?;
            let code = codes
                .get(usize::from(index))
                .context("an entry of no charge of its record")?;
            *posted.entry(((*code).into(), entry.asset.clone())).or_default() += entry.amount.get();
        }
    }
    Ok(posted)
}

/// An event as a record leaves it.
fn standing<'r>(record: &'r Record, event: &EventRef) -> Option<&'r Standing> {
    let mut effects = record.outcome.effects.iter().rev();
    effects.find_map(|effect| match effect {
        Effect::StandingPut(name, standing) if name == event => Some(&**standing),
        _ => None,
    })
}

fn quantities(lines: &[Line]) -> BTreeMap<Code, i128> {
    let mut quantities = BTreeMap::new();
    for line in lines {
        *quantities
            .entry((line.code.clone(), line.asset.clone()))
            .or_default() += line.quantity.get();
    }
    quantities
}

/// The quantities of a plan's answer to something that is no event.
fn said(record: &Record) -> BTreeMap<Code, i128> {
    let mut said = BTreeMap::new();
    if let Some(Verdict::Priced(priced)) = record.seen.pricing.as_ref().map(|pricing| &pricing.verdict) {
        for charge in &priced.charges {
            *said
                .entry((charge.code.clone(), charge.price.asset.clone()))
                .or_default() += charge.quantity.get();
        }
    }
    said
}

fn add(sums: &mut BTreeMap<Code, i128>, more: BTreeMap<Code, i128>) {
    for (code, amount) in more {
        *sums.entry(code).or_default() += amount;
    }
}

/// All that is kept, page by page.
fn read(
    engine: &Engine,
    history: &History,
    every: Every,
    by: &[String],
    limit: usize,
) -> anyhow::Result<Vec<UsageGroup>> {
    let mut query = UsageQuery {
        from: Timestamp::EPOCH,
        to: "2200-01-01T00:00:00Z".parse()?,
        every,
        by: by.to_vec(),
        limit,
        after: None,
    };
    let mut groups: Vec<UsageGroup> = Vec::new();
    loop {
        let page = engine.usage(&history.owner.0, &history.owner.1, &query)?;
        ensure!(page.groups.len() <= limit, "a page of more than {limit} groups");
        groups.extend(page.groups);
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let place = |group: &UsageGroup| (group.time, group.other, group.values.clone());
    let in_order = groups.windows(2).all(|pair| place(&pair[0]) < place(&pair[1]));
    ensure!(in_order, "groups are out of order or come twice");
    Ok(groups)
}
