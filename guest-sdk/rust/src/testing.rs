//! Running a plan natively, in plain `cargo test`.
//!
//! A [`Harness`] speaks to the plan through the same columns as the host, keeps its memory between events as the host
//! would, and sends only what the plan described. It knows no wallet: what a charge burns is the host's business.

mod bill;
mod change;
mod event;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use farebox_money::Nanos;

use crate::bindings::exports::farebox::plan::pricing::{self as wit, Guest};
use crate::span;
use crate::usage::ABSENT;
use crate::{
    Category, Change, Exported, Instant, ParameterError, Period, Plan, Purpose, Rejection, RemainingGrant,
};

pub use bill::{Bill, BilledCharge, BilledGrant, Step};
pub use event::Event;

/// Why a harness could not be set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParametersRefused(pub Vec<ParameterError>);

impl fmt::Display for ParametersRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error}"))
    }
}

impl std::error::Error for ParametersRefused {}

/// Events as they cross to a plan: made once, priced as often as a measurement likes.
#[derive(Debug, Clone)]
pub struct Columns(wit::Batch);

/// One subscription to a plan, without a host.
pub struct Harness<P> {
    /// The time of events and changes that say none.
    pub now: Instant,
    /// The period of the subscription.
    pub period: Period,
    /// Its seats.
    pub seats: u32,
    /// What the wallet holds, by asset, for plans that want balances.
    pub balances: BTreeMap<String, Nanos>,
    description: wit::Description,
    prepared: Vec<u8>,
    state: Vec<u8>,
    subjects: BTreeMap<String, Vec<u8>>,
    plan: PhantomData<P>,
}

impl<P: Plan> Harness<P> {
    /// A subscription that has just begun, in a period of 30 days from 1970 on. `parameters` is JSON.
    pub fn new(parameters: &str) -> Result<Harness<P>, ParametersRefused> {
        let refused = |errors: Vec<wit::ParameterError>| {
            let error = |error: wit::ParameterError| ParameterError {
                pointer: error.pointer,
                message: error.message,
            };
            ParametersRefused(errors.into_iter().map(error).collect())
        };
        let start = Instant::from_micros(0);
        Ok(Harness {
            now: start,
            period: Period {
                start,
                end: start.plus_days(30),
                index: 0,
            },
            seats: 1,
            balances: BTreeMap::new(),
            description: Exported::<P>::describe(),
            prepared: Exported::<P>::prepare(parameters.to_string()).map_err(refused)?,
            state: Vec::new(),
            subjects: BTreeMap::new(),
            plan: PhantomData,
        })
    }

    /// How many bytes the prepared parameters take.
    pub fn prepared_bytes(&self) -> usize {
        self.prepared.len()
    }

    /// Prices something that happened, and remembers what the plan remembers of it.
    pub fn use_(&mut self, event: &Event) -> Result<Bill, Rejection> {
        let outcomes = Exported::<P>::evaluate(self.batch(&[(event, Purpose::Usage)]));
        let subject = self.subject_of(event);
        self.keep(&outcomes, |_| subject);
        self.bills(outcomes).pop().unwrap_or_else(|| Ok(Bill::default()))
    }

    /// What it would cost at most, if the measures are maximums. Changes nothing.
    pub fn quote(&self, event: &Event) -> Result<Bill, Rejection> {
        let outcomes = Exported::<P>::evaluate(self.batch(&[(event, Purpose::WorstCase)]));
        self.bills(outcomes).pop().unwrap_or_else(|| Ok(Bill::default()))
    }

    /// Prices several events in one batch, as the host would. Changes nothing.
    pub fn batch_of(&self, events: &[Event]) -> Vec<Result<Bill, Rejection>> {
        self.bills(Exported::<P>::evaluate(self.columns_of(events).0))
    }

    /// Several events as they cross to the plan.
    pub fn columns_of(&self, events: &[Event]) -> Columns {
        let rows: Vec<_> = events.iter().map(|event| (event, Purpose::Usage)).collect();
        Columns(self.batch(&rows))
    }

    /// What [`Harness::batch_of`] does without names: the plan gets a copy of the columns, and of its answer only is counted how
    /// many events have a price. For measuring the plan itself. Changes nothing.
    pub fn price_columns(&self, columns: &Columns) -> usize {
        let outcomes = Exported::<P>::evaluate(columns.0.clone());
        outcomes.results.iter().filter(|result| result.is_ok()).count()
    }

    /// Quotes several events in one batch, each as if the worst case of those before it had happened. Changes nothing.
    pub fn quotes_of(&self, events: &[Event]) -> Vec<Result<Bill, Rejection>> {
        let rows: Vec<_> = events.iter().map(|event| (event, Purpose::WorstCase)).collect();
        self.bills(Exported::<P>::evaluate(self.batch(&rows)))
    }

    /// What the host would keep of the subscription: opaque, but comparable.
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// Lets the host have kept these bytes of a subject: from an earlier version of the plan, or from another plan.
    pub fn remember(&mut self, subject: &str, state: &[u8]) {
        self.subjects.insert(subject.to_string(), state.to_vec());
    }

    /// What the host would keep of a subject; none when it is new or forgotten.
    pub fn subject(&self, name: &str) -> Option<&[u8]> {
        self.subjects.get(name).map(Vec::as_slice)
    }

    /// How the price of an event comes about.
    pub fn explain(&self, event: &Event) -> Result<Vec<Step>, Rejection> {
        let steps =
            Exported::<P>::explain(self.batch(&[(event, Purpose::Usage)])).map_err(Rejection::from)?;
        let step = |step: wit::Step| Step {
            charge: step.charge,
            what: step.what,
            value: step.value,
            why: step.why,
        };
        Ok(steps.into_iter().map(step).collect())
    }

    /// The subscription begins.
    pub fn start(&mut self) -> Result<Bill, Rejection> {
        self.change(Change::Started)
    }

    /// A timer that the plan asked for.
    pub fn due(&mut self, key: &str) -> Result<Bill, Rejection> {
        self.change(Change::Due { key: key.to_string() })
    }

    /// The next period begins, with nothing left of the grants before.
    pub fn renew(&mut self) -> Result<Bill, Rejection> {
        self.renew_with(Vec::new())
    }

    /// The next period begins: as long as the one before, and with so much left of the grants before.
    pub fn renew_with(&mut self, remaining: Vec<RemainingGrant>) -> Result<Bill, Rejection> {
        let length = self.period.end.micros() - self.period.start.micros();
        let end = Instant::from_micros(self.period.end.micros() + length);
        self.period = Period {
            start: self.period.end,
            end,
            index: self.period.index + 1,
        };
        self.now = self.period.start;
        self.change(Change::Renewed { remaining })
    }

    /// Any change of the subscription, in the period as it stands. As the host does, it tells the plan of the seats
    /// afterwards, and lets a plan that takes over begin with nothing to remember.
    pub fn change(&mut self, change: Change) -> Result<Bill, Rejection> {
        match change {
            Change::SeatsChanged { after, .. } => self.seats = after,
            Change::PlanChanged { .. } => self.state.clear(),
            _ => {}
        }
        self.tell(None, change)
    }

    /// A change that is about a subject: a timer of it, or that an event of it was taken back.
    pub fn change_of(&mut self, subject: &str, change: Change) -> Result<Bill, Rejection> {
        self.tell(Some(subject), change)
    }

    fn tell(&mut self, subject: Option<&str>, change: Change) -> Result<Bill, Rejection> {
        let mut batch = self.batch(&[]);
        if let Some(name) = subject {
            self.put_subject(&mut batch, name);
        }
        let outcomes = Exported::<P>::transition(batch, self.now.micros(), change::to_wit(change));
        self.keep(&outcomes, |_| subject);
        self.bills(outcomes).pop().unwrap_or_else(|| Ok(Bill::default()))
    }

    /// The columns that the host would send.
    fn batch(&self, rows: &[(&Event, Purpose)]) -> wit::Batch {
        let mut batch = wit::Batch {
            bytes: self.prepared.clone(),
            contexts: Vec::new(),
            subjects: Vec::new(),
            balances: Vec::new(),
            triggers: Vec::new(),
            measures: Vec::new(),
            text: String::new(),
            text_ends: Vec::new(),
        };
        let prepared = span::between(0, batch.bytes.len());
        let state = append(&mut batch.bytes, &self.state);
        batch.contexts.push(wit::Context {
            prepared,
            state,
            period: wit::Period {
                start: self.period.start.micros(),
                end: self.period.end.micros(),
                index: self.period.index,
            },
            seats: self.seats,
            balances: 0,
        });
        if self.description.wants_balances {
            let balance = |name: &str| {
                self.balances
                    .get(name)
                    .and_then(|amount| amount.to_plan())
                    .unwrap_or(0)
            };
            batch.balances = self
                .description
                .assets
                .iter()
                .map(|asset| balance(&asset.name))
                .collect();
        }
        let mut subjects: Vec<&str> = Vec::new();
        for (event, purpose) in rows {
            let event_type = self
                .description
                .event_types
                .iter()
                .position(|name| *name == event.event_type);
            let subject = self.subject_of(event).map(|name| {
                subjects
                    .iter()
                    .position(|known| *known == name)
                    .unwrap_or_else(|| {
                        subjects.push(name);
                        subjects.len() - 1
                    })
            });
            batch.triggers.push(wit::Trigger {
                purpose: match purpose {
                    Purpose::Usage => wit::Purpose::Usage,
                    Purpose::WorstCase => wit::Purpose::WorstCase,
                },
                event_type: event_type.map_or(u32::MAX, span::index),
                context: 0,
                subject: subject.map(span::index),
                time: event.time.unwrap_or(self.now).micros(),
                cost: event
                    .cost
                    .filter(|_| self.description.wants_cost)
                    .and_then(Nanos::to_plan),
            });
            for name in &self.description.measures {
                batch.measures.push(
                    event
                        .measures
                        .get(name)
                        .and_then(|value| value.to_plan())
                        .unwrap_or(ABSENT),
                );
            }
            for name in &self.description.attributes {
                batch
                    .text
                    .push_str(event.attributes.get(name).map_or("", String::as_str));
                batch.text_ends.push(span::index(batch.text.len()));
            }
        }
        for name in subjects {
            self.put_subject(&mut batch, name);
        }
        batch
    }

    fn put_subject(&self, batch: &mut wit::Batch, name: &str) {
        let start = batch.text.len();
        batch.text.push_str(name);
        let name_span = span::between(start, batch.text.len());
        let state = append(
            &mut batch.bytes,
            self.subjects.get(name).map_or(&[], Vec::as_slice),
        );
        batch.subjects.push(wit::Subject {
            name: name_span,
            state,
        });
    }

    fn subject_of<'e>(&self, event: &'e Event) -> Option<&'e str> {
        event
            .attributes
            .get(self.description.subject_attribute.as_deref()?)
            .map(String::as_str)
    }

    /// Remembers what one trigger left.
    fn keep<'s>(&mut self, outcomes: &wit::Outcomes, subject: impl Fn(u32) -> Option<&'s str>) {
        let bytes = |span| span::bytes(&outcomes.bytes, span).to_vec();
        if let Some(Ok(wit::Priced {
            state: Some(span), ..
        })) = outcomes.results.first()
        {
            self.state = bytes(*span);
        }
        for change in &outcomes.subjects {
            if let Some(name) = subject(change.trigger).map(str::to_string) {
                match bytes(change.state) {
                    state if state.is_empty() => self.subjects.remove(&name),
                    state => self.subjects.insert(name, state),
                };
            }
        }
    }

    /// One bill per trigger.
    fn bills(&self, outcomes: wit::Outcomes) -> Vec<Result<Bill, Rejection>> {
        let mut first = 0;
        let asset = |index: u32| self.description.assets[index as usize].name.clone();
        let charge = |charge: &wit::Charge| BilledCharge {
            code: self.description.charges[charge.code as usize].code.clone(),
            asset: asset(charge.asset),
            amount: Nanos::from(charge.amount),
            quantity: Nanos::from(charge.quantity),
            invoice: charge.collect == wit::Collect::Invoice,
            otherwise: charge.otherwise,
        };
        let grant = |grant: &wit::Grant| BilledGrant {
            asset: asset(grant.asset),
            amount: Nanos::from(grant.amount),
            category: match grant.category {
                wit::Category::Paid => Category::Paid,
                wit::Category::Promotional => Category::Promotional,
                wit::Category::Included => Category::Included,
            },
            priority: grant.priority,
            effective: grant.effective.map(Instant::from_micros),
            expires: grant.expires.map(Instant::from_micros),
            codes: grant.applies_to.codes.clone(),
            attributes: grant.applies_to.attributes.clone(),
            each: (grant.each.as_ref()).map(|each| (each.attribute.clone(), Nanos::from(each.amount))),
            label: grant.label.clone(),
        };
        let mut bills = Vec::with_capacity(outcomes.results.len());
        for (trigger, result) in outcomes.results.into_iter().enumerate() {
            bills.push(result.map_err(Rejection::from).map(|priced| {
                let own = first..priced.charges_end as usize;
                first = own.end;
                let at_trigger = |other: u32| other as usize == trigger;
                Bill {
                    charges: outcomes.charges[own].iter().map(charge).collect(),
                    grants: outcomes
                        .grants
                        .iter()
                        .filter(|grant| at_trigger(grant.trigger))
                        .map(grant)
                        .collect(),
                    timers: outcomes
                        .timers
                        .iter()
                        .filter(|timer| at_trigger(timer.trigger))
                        .map(|timer| (timer.key.clone(), timer.at.map(Instant::from_micros)))
                        .collect(),
                }
            }));
        }
        bills
    }
}

/// Compares [`Plan::PARAMETERS_SCHEMA`] with what `schemars` derives. With `UPDATE_SCHEMA` in the environment it writes
/// `file` (seen from the crate's folder) instead; the next build has it.
///
/// ```ignore
/// #[test]
/// fn the_schema_is_current() {
///     assert_eq!(check_schema::<MyPlan>("parameters.schema.json"), Ok(()));
/// }
/// ```
pub fn check_schema<P: Plan>(file: &str) -> Result<(), String>
where
    P::Parameters: schemars::JsonSchema,
{
    let derived = format!("{:#}\n", schemars::schema_for!(P::Parameters).as_value());
    if P::PARAMETERS_SCHEMA == derived {
        return Ok(());
    }
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        return std::fs::write(file, derived).map_err(|error| format!("{file}: {error}"));
    }
    Err(format!(
        "{file} does not describe the parameters any more; run this test with UPDATE_SCHEMA=1 to write it anew"
    ))
}

fn append(bytes: &mut Vec<u8>, part: &[u8]) -> wit::Span {
    let start = bytes.len();
    bytes.extend_from_slice(part);
    span::between(start, bytes.len())
}
