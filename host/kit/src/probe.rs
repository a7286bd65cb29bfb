//! A plan asked by itself about one event after the other: no wallet, no ledger, no store.
//!
//! It is asked as if a customer had just begun with it: [`Probe::begin`] tells it that a subscription started, months pass with
//! the events' times, and what it remembers is kept from event to event. What it grants and charges goes nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_ledger::period_at;
use farebox_record::event::Event;
use farebox_record::plan::Priced;
use farebox_record::state::Cadence;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{
    Batch, Change, Context, Explanation, Purpose, Revision, Runtime, Subject, Transition, Trigger, Verdict,
};

/// A plan with what it remembers so far.
#[derive(Clone)]
pub struct Probe<'r> {
    runtime: &'r Runtime,
    revision: Arc<Revision>,
    began: Timestamp,
    period: Period,
    seats: u32,
    state: Vec<u8>,
    subjects: BTreeMap<String, Vec<u8>>,
}

/// What a plan said to an event.
#[derive(Debug)]
pub struct Asked {
    /// Its answer.
    pub verdict: Verdict,
    /// Fuel that it took, about one per instruction.
    pub fuel: u64,
}

/// Why a plan cannot be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The calendar does not go that far.
    #[error("{0} belongs to no period")]
    Time(Timestamp),
    /// The plan takes no subscription, or none for the next period.
    #[error("the plan says no to {what}: {why}")]
    Refused {
        /// What it was told.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

impl<'r> Probe<'r> {
    /// A subscription with so many seats begins.
    pub fn begin(
        runtime: &'r Runtime,
        revision: Arc<Revision>,
        at: Timestamp,
        seats: u32,
    ) -> Result<Probe<'r>, ProbeError> {
        let period = period_at(at, Cadence::Monthly, at).map_err(|_| ProbeError::Time(at))?;
        let mut probe = Probe {
            runtime,
            revision,
            began: at,
            period,
            seats,
            state: Vec::new(),
            subjects: BTreeMap::new(),
        };
        probe.tell(at, &Change::Started, "the start of a subscription")?;
        Ok(probe)
    }

    /// Prices an event that happened, and keeps what the plan remembers of it.
    pub fn price(&mut self, event: &Event) -> Result<Asked, ProbeError> {
        self.move_on(event)?;
        let asked = self.ask(event, Purpose::Usage);
        if let Verdict::Priced(priced) = &asked.verdict {
            self.keep(event, priced);
        }
        Ok(asked)
    }

    /// What it costs at most, where its measures are maximums. Nothing is kept.
    pub fn quote(&mut self, event: &Event) -> Result<Asked, ProbeError> {
        self.move_on(event)?;
        Ok(self.ask(event, Purpose::WorstCase))
    }

    /// How its price comes about, as things stand. Nothing is kept.
    pub fn explain(&mut self, event: &Event, purpose: Purpose) -> Result<Explanation, ProbeError> {
        self.move_on(event)?;
        Ok(self.runtime.explain(&self.batch([event], purpose)))
    }

    /// A batch of events as things stand; as many of them as fit into one. Those of a subject see each other.
    pub fn batch<'e>(&self, events: impl IntoIterator<Item = &'e Event>, purpose: Purpose) -> Batch {
        let events = events.into_iter().map(|event| (0, event));
        Probe::together(&[self], events, purpose)
    }

    /// A batch of events of several customers of one revision, each with the place of its customer; as many of them as fit
    /// into one.
    ///
    /// # Panics
    ///
    /// Where there is no customer, or none at such a place.
    pub fn together<'e>(
        customers: &[&Probe<'_>],
        events: impl IntoIterator<Item = (usize, &'e Event)>,
        purpose: Purpose,
    ) -> Batch {
        let mut batch = Batch::new(&customers[0].revision);
        let mut contexts = BTreeMap::new();
        let mut subjects = BTreeMap::new();
        for (place, event) in events {
            if batch.is_full() {
                break;
            }
            let customer = customers[place];
            let context = *contexts
                .entry(place)
                .or_insert_with(|| batch.context(&customer.context()));
            let subject = customer.subject_of(event).map(|name| {
                *subjects.entry((place, name)).or_insert_with(|| {
                    let state = customer.subjects.get(name).map_or(&[][..], Vec::as_slice);
                    batch.subject(&Subject { name, state })
                })
            });
            batch.push(&Trigger {
                purpose,
                event_type: &event.event_type,
                context,
                subject,
                time: event.time.unwrap_or(customer.began),
                cost: event.cost_usd(),
                measures: &event.measures,
                attributes: &event.attributes,
                source: event.source.as_str(),
                id: event.id.as_str(),
            });
        }
        batch
    }

    /// Tells the plan what happens to its subscription, or to a subject of it, and keeps what it remembers of that.
    pub fn change(&mut self, at: Timestamp, change: &Change, subject: Option<&str>) -> Transition {
        let told = self.told(at, change, subject);
        if let Verdict::Priced(priced) = &told.verdict {
            self.keep_states(subject, priced);
        }
        told
    }

    /// The same, and nothing is kept.
    pub fn told(&self, at: Timestamp, change: &Change, subject: Option<&str>) -> Transition {
        let subject = subject.map(|name| Subject {
            name,
            state: self.subjects.get(name).map_or(&[][..], Vec::as_slice),
        });
        self.runtime
            .transition(&self.revision, &self.context(), subject.as_ref(), at, change)
    }

    /// The same customer with what the plan remembers of another.
    pub fn with_memory_of(&self, other: &Probe<'r>) -> Probe<'r> {
        Probe {
            state: other.state.clone(),
            subjects: other.subjects.clone(),
            ..self.clone()
        }
    }

    /// Time passes up to that of an event: periods end and begin.
    pub fn reach(&mut self, event: &Event) -> Result<(), ProbeError> {
        self.move_on(event)
    }

    /// The present period.
    pub fn period(&self) -> Period {
        self.period
    }

    /// Seats of the subscription.
    pub fn seats(&self) -> u32 {
        self.seats
    }

    /// From now on it has so many.
    pub fn set_seats(&mut self, seats: u32) {
        self.seats = seats;
    }

    /// Bytes of the largest state that it keeps, of the subscription or of a subject.
    pub fn largest_state(&self) -> usize {
        let subjects = self.subjects.values().map(Vec::len);
        subjects.chain([self.state.len()]).max().unwrap_or(0)
    }

    /// Who an event is about, where the plan follows anybody.
    pub fn subject_of<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let attribute = self.revision.description().subject_attribute.as_ref()?;
        event.attributes.get(attribute).map(|name| name.as_str())
    }

    fn context(&self) -> Context<'_> {
        Context {
            prepared: None,
            state: &self.state,
            period: self.period,
            seats: self.seats,
            balances: &[],
        }
    }

    fn ask(&self, event: &Event, purpose: Purpose) -> Asked {
        let mut evaluation = self.runtime.evaluate(&self.batch([event], purpose));
        Asked {
            // One trigger, one verdict.
            verdict: evaluation.verdicts.remove(0),
            fuel: evaluation.fuel,
        }
    }

    /// Periods end and begin up to the time of an event; what was granted in them was used up.
    fn move_on(&mut self, event: &Event) -> Result<(), ProbeError> {
        let time = event.time.unwrap_or(self.period.start);
        while self.period.end <= time {
            let end = self.period.end;
            self.period = period_at(self.began, Cadence::Monthly, end).map_err(|_| ProbeError::Time(end))?;
            let renewed = Change::Renewed {
                remaining: Vec::new(),
            };
            self.tell(end, &renewed, "the beginning of a period")?;
        }
        Ok(())
    }

    fn tell(&mut self, at: Timestamp, change: &Change, what: &'static str) -> Result<(), ProbeError> {
        match self.change(at, change, None).verdict {
            Verdict::Priced(_) => Ok(()),
            verdict => Err(ProbeError::Refused {
                what,
                why: why(&verdict).unwrap_or_default(),
            }),
        }
    }

    fn keep(&mut self, event: &Event, priced: &Priced) {
        self.keep_states(self.subject_of(event), priced);
    }

    fn keep_states(&mut self, subject: Option<&str>, priced: &Priced) {
        if let Some(state) = &priced.state {
            self.state.clone_from(state);
        }
        if let (Some(change), Some(name)) = (&priced.subject, subject) {
            match change.state.is_empty() {
                true => self.subjects.remove(name),
                false => self.subjects.insert(name.to_string(), change.state.clone()),
            };
        }
    }
}

/// Why there is no price, in words; none where there is one.
pub fn why(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Priced(_) => None,
        Verdict::Rejected(rejection) => Some(rejection.to_string()),
        Verdict::Failed(fault) => Some(fault.to_string()),
    }
}
