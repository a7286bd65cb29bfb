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
    Batch, Change, Context, Explanation, Purpose, Revision, Runtime, Subject, Trigger, Verdict,
};

/// A plan with what it remembers so far.
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
        let mut batch = Batch::new(&self.revision);
        let context = batch.context(&Context {
            prepared: None,
            state: &self.state,
            period: self.period,
            seats: self.seats,
            balances: &[],
        });
        let mut subjects = BTreeMap::new();
        for event in events {
            if batch.is_full() {
                break;
            }
            let subject = self.subject_of(event).map(|name| {
                *subjects.entry(name).or_insert_with(|| {
                    let state = self.subjects.get(name).map_or(&[][..], Vec::as_slice);
                    batch.subject(&Subject { name, state })
                })
            });
            batch.push(&Trigger {
                purpose,
                event_type: &event.event_type,
                context,
                subject,
                time: event.time.unwrap_or(self.began),
                cost: event.cost_usd(),
                measures: &event.measures,
                attributes: &event.attributes,
                source: event.source.as_str(),
                id: event.id.as_str(),
            });
        }
        batch
    }

    fn ask(&self, event: &Event, purpose: Purpose) -> Asked {
        let mut evaluation = self.runtime.evaluate(&self.batch([event], purpose));
        Asked {
            // One trigger, one verdict.
            verdict: evaluation.verdicts.remove(0),
            fuel: evaluation.fuel,
        }
    }

    fn subject_of<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let attribute = self.revision.description().subject_attribute.as_ref()?;
        event.attributes.get(attribute).map(String::as_str)
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
        let context = Context {
            prepared: None,
            state: &self.state,
            period: self.period,
            seats: self.seats,
            balances: &[],
        };
        let told = self
            .runtime
            .transition(&self.revision, &context, None, at, change);
        match told.verdict {
            Verdict::Priced(priced) => {
                self.state = priced.state.unwrap_or_else(|| std::mem::take(&mut self.state));
                Ok(())
            }
            verdict => Err(ProbeError::Refused {
                what,
                why: why(&verdict).unwrap_or_default(),
            }),
        }
    }

    fn keep(&mut self, event: &Event, priced: &Priced) {
        if let Some(state) = &priced.state {
            self.state.clone_from(state);
        }
        if let (Some(change), Some(name)) = (&priced.subject, self.subject_of(event)) {
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
