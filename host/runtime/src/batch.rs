//! What goes into a plan: contexts, subjects and triggers, collected into columns.

use farebox_record::event::{Attributes, Measures};
use std::collections::HashMap;
use std::sync::Arc;

use farebox_money::Nanos;
use farebox_record::ids::EventType;
use farebox_record::plan::{FieldProblem, Rejection};
use farebox_record::time::{Period, Timestamp};

use crate::answer::Verdict;
use crate::bindings::{self, Span};
use crate::columns::{Columns, Shape, offset};
use crate::fault::Fault;
use crate::limits::TAKEN_OVER_KEPT_MAX;
use crate::plan::Revision;
use crate::tier::Tier;

/// What stands in a column for a measure that an event does not carry.
const ABSENT: i64 = i64::MIN;

/// What is the same for all triggers of one subscription in a batch.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Other parameters than the revision's (an override for one customer), prepared by the same plan: the
    /// [`Revision::prepared`] of another revision of it.
    pub prepared: Option<&'a Arc<[u8]>>,
    /// The subscription's state before the first trigger.
    pub state: &'a [u8],
    /// The present period.
    pub period: Period,
    /// How many seats it has.
    pub seats: u32,
    /// For plans that want them: what is available of each described asset, in that order. What is missing counts as
    /// zero, what leaves the range of the contract as its end.
    pub balances: &'a [Nanos],
}

/// A conversation or task that the plan follows.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its state before the first trigger; empty when it is new.
    pub state: &'a [u8],
}

/// Whether it happened or may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It happened: what is owed?
    Usage,
    /// It may happen: what is the most that it can cost?
    WorstCase,
}

/// A [`Context`] of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextIndex(u32);

/// A [`Subject`] of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubjectIndex(u32);

/// An event that is to be priced.
#[derive(Debug, Clone, Copy)]
pub struct Trigger<'a> {
    /// Whether it happened or may happen.
    pub purpose: Purpose,
    /// One of the types that the plan rates.
    pub event_type: &'a EventType,
    /// Of which subscription.
    pub context: ContextIndex,
    /// Of which subject.
    pub subject: Option<SubjectIndex>,
    /// When it happened.
    pub time: Timestamp,
    /// What the provider bills for it, in US dollars.
    pub cost: Option<Nanos>,
    /// All measures of the event; the plan gets those that it reads.
    pub measures: &'a Measures,
    /// All attributes of the event; the plan gets those that it reads.
    pub attributes: &'a Attributes,
    /// Who sent the event, for plans that read [`EVENT_SOURCE`].
    pub source: &'a str,
    /// Its id, for plans that read [`EVENT_ID`].
    pub id: &'a str,
}

/// The attribute in which a plan reads who sent an event: the host's own, whatever the event carries under that name.
pub const EVENT_SOURCE: &str = "event.source";
/// The attribute in which a plan reads the id of an event: what it gives back of that event later names both.
pub const EVENT_ID: &str = "event.id";

impl<'a> Trigger<'a> {
    fn attribute(&self, name: &str) -> &'a str {
        match name {
            EVENT_SOURCE => self.source,
            EVENT_ID => self.id,
            name => self.attributes.get(name).map_or("", |text| text.as_str()),
        }
    }
}

/// Triggers of one revision that share a call. Never two tenants: the caller sees to that.
///
/// The triggers of one subscription must share one context, and those of one subject one subject, in order: what one
/// of them leaves behind is what the next one sees. A quote and usage of one context do not belong into one batch,
/// since the state after a quote is only supposed.
///
/// Made to be kept: [`Batch::clear`] and [`Batch::restart`] keep the memory.
#[derive(Debug)]
pub struct Batch {
    revision: Arc<Revision>,
    pub(crate) columns: Columns,
    /// Where the prepared parameters of this batch stand. Mostly one; overrides add some.
    /// Held, so that no other bytes can take their address meanwhile.
    prepared: Vec<(Arc<[u8]>, Span)>,
    /// Triggers that never reach the plan, by their position among all that were pushed.
    pub(crate) refused: Vec<(usize, Verdict)>,
    /// Contexts and subjects whose states the plan does not take over from the version that they are kept in.
    stale_contexts: Vec<(ContextIndex, Fault)>,
    stale_subjects: Vec<(SubjectIndex, Fault)>,
    /// States that were taken over, by what they were: a plan that changes none is asked with the same ones again and again.
    taken_over: HashMap<(u32, Vec<u8>), Vec<u8>>,
    pushed: usize,
}

impl Batch {
    /// An empty batch of a revision.
    pub fn new(revision: &Arc<Revision>) -> Batch {
        Batch {
            revision: revision.clone(),
            columns: Columns::default(),
            prepared: Vec::new(),
            refused: Vec::new(),
            stale_contexts: Vec::new(),
            stale_subjects: Vec::new(),
            taken_over: HashMap::new(),
            pushed: 0,
        }
    }

    /// Its revision.
    pub fn revision(&self) -> &Arc<Revision> {
        &self.revision
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.columns.clear();
        self.prepared.clear();
        self.refused.clear();
        self.stale_contexts.clear();
        self.stale_subjects.clear();
        self.pushed = 0;
    }

    /// Empties it for another revision.
    pub fn restart(&mut self, revision: &Arc<Revision>) {
        self.clear();
        if self.revision.hash() != revision.hash() {
            self.taken_over.clear();
        }
        self.revision = revision.clone();
    }

    /// Triggers pushed so far.
    pub fn len(&self) -> usize {
        self.pushed
    }

    /// Whether nothing was pushed.
    pub fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Bytes that will cross into the plan.
    pub fn bytes(&self) -> usize {
        self.columns.bytes_crossing()
    }

    /// Whether it should be evaluated before more is pushed. Asked before each context: one more of everything still
    /// fits.
    pub fn is_full(&self) -> bool {
        let limits = &self.revision.plan.limits;
        self.pushed >= limits.triggers_per_batch_max || self.bytes() >= limits.batch_bytes_max
    }

    /// Adds what is the same for all triggers of a subscription.
    pub fn context(&mut self, context: &Context<'_>) -> ContextIndex {
        let index = offset(self.columns.contexts.len());
        let prepared = self.prepared(context.prepared);
        let state = self.columns.add_bytes(context.state);
        let balances = offset(self.columns.balances.len());
        for asset in 0..self.shape().balances {
            let available = context.balances.get(asset).copied().unwrap_or_default();
            self.columns.balances.push(saturate(available));
        }
        self.columns.contexts.push(bindings::Context {
            prepared,
            state,
            period: bindings::Period {
                start: context.period.start.as_micros(),
                end: context.period.end.as_micros(),
                index: context.period.index,
            },
            seats: context.seats,
            balances,
        });
        ContextIndex(index)
    }

    /// The same with a state that is kept in this version (none: the described one). Where the plan does not take it over,
    /// the triggers of this context fail and never reach the plan.
    pub fn context_from(&mut self, kept: Option<u32>, context: &Context<'_>) -> ContextIndex {
        match self.up_to_date(kept, context.state) {
            Ok(None) => self.context(context),
            Ok(Some(state)) => self.context(&Context {
                state: &state,
                ..*context
            }),
            Err(fault) => {
                let index = self.context(&Context {
                    state: &[],
                    ..*context
                });
                self.stale_contexts.push((index, fault));
                index
            }
        }
    }

    /// The same as [`Batch::subject`] with a state that is kept in this version, as [`Batch::context_from`].
    pub fn subject_from(&mut self, kept: Option<u32>, subject: &Subject<'_>) -> SubjectIndex {
        match self.up_to_date(kept, subject.state) {
            Ok(None) => self.subject(subject),
            Ok(Some(state)) => self.subject(&Subject {
                name: subject.name,
                state: &state,
            }),
            Err(fault) => {
                let index = self.subject(&Subject {
                    name: subject.name,
                    state: &[],
                });
                self.stale_subjects.push((index, fault));
                index
            }
        }
    }

    /// The state as the plan takes it over; none where it can stay as it is.
    fn up_to_date(&mut self, kept: Option<u32>, state: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let described = self.revision.description().state_version;
        let Some(from) = kept.filter(|kept| *kept != described && !state.is_empty()) else {
            return Ok(None);
        };
        let key = (from, state.to_vec());
        if let Some(known) = self.taken_over.get(&key) {
            return Ok(Some(known.clone()));
        }
        let state = self.revision.up_to_date(kept, state)?.into_owned();
        if self.taken_over.len() >= TAKEN_OVER_KEPT_MAX {
            self.taken_over.clear();
        }
        self.taken_over.insert(key, state.clone());
        Ok(Some(state))
    }

    /// Adds a subject.
    pub fn subject(&mut self, subject: &Subject<'_>) -> SubjectIndex {
        SubjectIndex(self.columns.add_subject(subject.name, subject.state))
    }

    /// Adds an event; gives its position in the answer.
    ///
    /// An event that the contract cannot express (a number outside 64 bits, a type that the plan does not rate) is
    /// rejected in the answer, and the plan never sees it.
    pub fn push(&mut self, trigger: &Trigger<'_>) -> usize {
        let position = self.pushed;
        self.pushed += 1;
        if let Some(fault) = self.stale(trigger) {
            self.refused.push((position, Verdict::Failed(fault)));
            return position;
        }
        let (triggers, measures) = (self.columns.triggers.len(), self.columns.measures.len());
        if let Err(rejection) = self.add(trigger) {
            self.columns.triggers.truncate(triggers);
            self.columns.measures.truncate(measures);
            self.refused.push((position, Verdict::Rejected(rejection)));
        }
        position
    }

    /// Why one of its states cannot be used.
    pub(crate) fn first_stale(&self) -> Option<&Fault> {
        let of_subject = || self.stale_subjects.first().map(|(_, fault)| fault);
        let of_context = self.stale_contexts.first().map(|(_, fault)| fault);
        of_context.or_else(of_subject)
    }

    /// Why a state that the trigger depends on cannot be used.
    fn stale(&self, trigger: &Trigger<'_>) -> Option<Fault> {
        let of_context = self
            .stale_contexts
            .iter()
            .find(|(index, _)| *index == trigger.context);
        let of_subject = self
            .stale_subjects
            .iter()
            .find(|(index, _)| Some(*index) == trigger.subject);
        let fault = of_context.map(|(_, fault)| fault);
        fault.or(of_subject.map(|(_, fault)| fault)).cloned()
    }

    /// How many of each list belong to one trigger or context.
    pub(crate) fn shape(&self) -> Shape {
        let description = self.revision.description();
        Shape {
            measures: description.measures.len(),
            attributes: description.attributes.len(),
            balances: if description.wants_balances {
                description.assets.len()
            } else {
                0
            },
        }
    }

    /// The span of prepared parameters, copied in on first use.
    fn prepared(&mut self, other: Option<&Arc<[u8]>>) -> Span {
        let prepared = other.unwrap_or(&self.revision.prepared);
        if let Some((_, span)) = self
            .prepared
            .iter()
            .rev()
            .find(|(known, _)| Arc::ptr_eq(known, prepared))
        {
            return *span;
        }
        let span = self.columns.add_bytes(prepared);
        self.prepared.push((prepared.clone(), span));
        span
    }

    /// A subject is kept under its name, which must fit into a key.
    fn check_subject(&self, subject: SubjectIndex) -> Result<(), Rejection> {
        let plan = &self.revision.plan;
        let (bytes, most) = (
            self.columns.subject_bytes(subject.0),
            plan.limits.subject_bytes_max,
        );
        if bytes <= most {
            return Ok(());
        }
        Err(Rejection::InvalidEvent {
            field: plan.description.subject_attribute.clone().unwrap_or_default(),
            problem: FieldProblem::OutOfRange,
            message: format!("expected at most {most} bytes (limit subject_bytes_max), found {bytes}"),
        })
    }

    fn add(&mut self, trigger: &Trigger<'_>) -> Result<(), Rejection> {
        let plan = &self.revision.plan;
        let event_type = plan
            .event_type(trigger.event_type)
            .ok_or_else(|| Rejection::Unpriceable {
                message: format!(
                    "{} does not rate events of type {}",
                    plan.description.name, trigger.event_type
                ),
            })?;
        if let Some(subject) = trigger.subject {
            self.check_subject(subject)?;
        }
        let cost = match trigger.cost.filter(|_| plan.description.wants_cost) {
            Some(cost) => Some(number("cost", cost, plan.tier)?),
            None => None,
        };
        for name in &plan.description.measures {
            let value = match trigger.measures.get(name) {
                Some(value) => number(name, *value, plan.tier)?,
                None => ABSENT,
            };
            self.columns.measures.push(value);
        }
        // From here on nothing fails.
        for name in &plan.description.attributes {
            self.columns.text.push_str(trigger.attribute(name));
            self.columns.text_ends.push(offset(self.columns.text.len()));
        }
        self.columns.triggers.push(bindings::Trigger {
            purpose: match trigger.purpose {
                Purpose::Usage => bindings::Purpose::Usage,
                Purpose::WorstCase => bindings::Purpose::WorstCase,
            },
            event_type,
            context: trigger.context.0,
            subject: trigger.subject.map(|subject| subject.0),
            time: trigger.time.as_micros(),
            cost,
        });
        Ok(())
    }
}

/// How near to [`ABSENT`] numbers are one with it where they cross as doubles, whose steps are 1,024 there.
const ROUNDED_TO_ABSENT: i64 = 1_024;

/// A number as the contract has it. What an interpreted plan would take for an absent one is out of range there.
fn number(field: &str, value: Nanos, tier: Tier) -> Result<i64, Rejection> {
    let least = match tier {
        Tier::Native => ABSENT + 1,
        Tier::Interpreted => ABSENT + ROUNDED_TO_ABSENT,
    };
    value
        .to_plan()
        .filter(|plain| *plain >= least)
        .ok_or_else(|| Rejection::InvalidEvent {
            field: field.to_string(),
            problem: FieldProblem::OutOfRange,
            message: "expected a number between -9223372036.854775807 and 9223372036.854775807".into(),
        })
}

/// The nearest number that the contract has.
pub(crate) fn saturate(value: Nanos) -> i64 {
    value
        .to_plan()
        .unwrap_or(if value.is_negative() { -i64::MAX } else { i64::MAX })
        .max(-i64::MAX)
}
