//! The simulator's pool a version later: the same prices, from states in another form.
//!
//! Each state says that it is of this version. One that was kept in the version before and is read as it is would end the plan,
//! and no plan of the simulation ever ends like this.

use farebox_plan::{Description, Memory, Order, Outcome, ParameterError, Plan, Rejection, Transition, Usage};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sim_pool::{Parameters, Prepared, State, TASK_CALLS, TASK_DAYS, VOCABULARY, attribute};

/// What every state of this version begins with.
const MARK: [u8; 4] = *b"late";

/// A state of this version.
#[derive(Debug, Serialize, Deserialize)]
pub struct Marked<T> {
    mark: [u8; 4],
    of: T,
}

impl<T: Default> Default for Marked<T> {
    fn default() -> Marked<T> {
        Marked::new(T::default())
    }
}

impl<T> Marked<T> {
    fn new(of: T) -> Marked<T> {
        Marked { mark: MARK, of }
    }

    fn check(&self) {
        assert_eq!(self.mark, MARK, "a state of another version was not taken over");
    }

    fn checked(&mut self) -> &mut T {
        self.check();
        &mut self.of
    }
}

/// The plan.
#[derive(Debug)]
pub struct LaterPool;

impl Plan for LaterPool {
    type Parameters = Parameters;
    type Prepared = Prepared;
    type State = Marked<State>;
    type Subject = Marked<u32>;
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Sequential,
            subject: Some(attribute::TASK),
            state_version: 1,
            ..Description::new(
                "sim-pool",
                "2",
                "Steps from a pool, then for dollars.",
                VOCABULARY,
            )
        }
    }

    fn prepare(parameters: Parameters) -> Result<Prepared, Vec<ParameterError>> {
        Prepared::new(&parameters)
    }

    fn evaluate(
        prepared: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let before = memory.subject.get();
        before.inspect(|calls| calls.check());
        let calls = before.map_or(0, |calls| calls.of) + 1;
        let half = memory.subject.name().is_some() && calls.is_multiple_of(TASK_CALLS);
        memory
            .subject
            .keep(Marked::new(calls), usage.time().plus_days(TASK_DAYS));
        prepared.price(usage, memory.state.checked(), half, outcome)
    }

    fn worst_case(
        prepared: &Prepared,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        prepared.price(usage, memory.state.checked(), false, outcome)
    }

    fn transition(
        prepared: &Prepared,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        memory.state.check();
        prepared.change(transition, outcome)
    }

    fn migrate_state(from: u32, state: &[u8]) -> Result<Marked<State>, String> {
        earlier(from, state)
    }

    fn migrate_subject(from: u32, state: &[u8]) -> Result<Marked<u32>, String> {
        earlier(from, state)
    }
}

/// What version 0 kept, with a mark.
fn earlier<T: DeserializeOwned>(from: u32, state: &[u8]) -> Result<Marked<T>, String> {
    match from {
        0 => postcard::from_bytes(state)
            .map(Marked::new)
            .map_err(|error| error.to_string()),
        from => Err(format!("there is no version {from} before this one")),
    }
}

farebox_plan::export!(LaterPool);
