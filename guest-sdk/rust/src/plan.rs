//! What a plan author writes.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Description, Instant, Outcome, ParameterError, Rejection, Transition, Usage};

/// A pricing plan: a price list ([`Parameters`](Plan::Parameters)) and how to read it.
///
/// Everything is a pure function. What a price depends on besides the event stands in [`Memory`], which the host keeps.
/// What is encoded (prepared parameters and states) is encoded by postcard, which knows no `#[serde(flatten)]`,
/// `untagged` or skipped fields.
pub trait Plan: Sized + 'static {
    /// What the pricing team edits, as JSON. Put prices in as [`Decimal`](crate::Decimal), and
    /// `#[serde(deny_unknown_fields)]` on every struct: a misspelt price must not be a missing one.
    type Parameters: DeserializeOwned;
    /// The parameters, checked and compact. Decoded once per batch: see [`Table`](crate::Table) for long lists.
    type Prepared: Serialize + DeserializeOwned;
    /// What it remembers of a subscription between events; `()` for nothing. A subscription starts with the default.
    type State: Serialize + DeserializeOwned + Default;
    /// What it remembers of a subject (a conversation, a task); `()` for nothing.
    type Subject: Serialize + DeserializeOwned;

    /// JSON Schema (2020-12) of the parameters, which editors and the console check them with. Usually a file beside
    /// `src`, derived by `schemars` and kept up to date by [`testing::check_schema`](crate::testing::check_schema):
    /// deriving it inside the component would make every component 200 KB larger.
    const PARAMETERS_SCHEMA: &'static str;

    /// What the plan is and what it reads.
    fn describe() -> Description;

    /// Checks the parameters and multiplies out what can be known beforehand. All errors at once, each with its place.
    fn prepare(parameters: Self::Parameters) -> Result<Self::Prepared, Vec<ParameterError>>;

    /// What is owed for something that happened.
    fn evaluate(
        prepared: &Self::Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection>;

    /// What is owed at most for something that may happen, where the measures are maximums. No usage within them may
    /// cost more: that much is held. The default fits plans in which more is never cheaper.
    fn worst_case(
        prepared: &Self::Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        Self::evaluate(prepared, usage, memory, outcome)
    }

    /// What follows from a change of the subscription: grants, fees, timers. Nothing, unless said.
    fn transition(
        prepared: &Self::Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let _ = (prepared, transition, memory, outcome);
        Ok(())
    }

    /// Brings a subscription's state of an earlier [`state_version`](Description::state_version) up to date: `state` is
    /// what postcard made of the earlier type. A refusal, in words for people, blocks the activation.
    fn migrate_state(from: u32, state: &[u8]) -> Result<Self::State, String> {
        let _ = state;
        Err(format!(
            "this version cannot continue subscriptions of state version {from}"
        ))
    }

    /// The same for a subject's state.
    fn migrate_subject(from: u32, state: &[u8]) -> Result<Self::Subject, String> {
        let _ = state;
        Err(format!(
            "this version cannot continue subjects of state version {from}"
        ))
    }
}

/// What a plan remembers between events.
///
/// Changes count when the event is priced; a rejected event changes nothing.
pub struct Memory<P: Plan> {
    /// Of the subscription. What is written here is what the next event of the subscription finds.
    pub state: P::State,
    /// Of the event's subject.
    pub subject: Subject<P::Subject>,
}

/// A conversation or task that a plan follows.
///
/// It is changed by [`keep`](Subject::keep) alone, because keeping it takes a date until when.
pub struct Subject<S> {
    name: Option<String>,
    state: Option<S>,
    pub(crate) change: SubjectChange,
}

/// What the host is told about a subject.
pub(crate) enum SubjectChange {
    None,
    Keep(Instant),
    Forget,
}

impl<S> Subject<S> {
    /// For events without one.
    pub(crate) fn none() -> Subject<S> {
        Subject {
            name: None,
            state: None,
            change: SubjectChange::None,
        }
    }

    pub(crate) fn new(name: String, state: Option<S>) -> Subject<S> {
        Subject {
            name: Some(name),
            state,
            change: SubjectChange::None,
        }
    }

    /// Its name, if the event has a subject.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What is remembered of it; none when it is new.
    pub fn get(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// Remembers it, until then. The host takes at most 400 days. Without a subject there is nothing to remember.
    pub fn keep(&mut self, state: S, until: Instant) {
        if self.name.is_some() {
            self.state = Some(state);
            self.change = SubjectChange::Keep(until);
        }
    }

    /// Forgets it.
    pub fn forget(&mut self) {
        if self.name.is_some() {
            self.state = None;
            self.change = SubjectChange::Forget;
        }
    }
}
