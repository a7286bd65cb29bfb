//! Plans that attack their host, and what a test needs to run them.
//!
//! The attacks are in `guests/` (Rust, one plan whose parameters choose the attack) and in [`raw`] (WebAssembly text,
//! for what Rust cannot say). Each test states what the host must answer; all of them also run an honest plan beside
//! the attack, see [`beside`].

pub mod beside;
pub mod guest;
pub mod raw;

use std::sync::Arc;

use farebox_money::Nanos;
use farebox_record::command::default_source;
use farebox_record::event::{Attributes, Measures};
use farebox_record::ids::EventType;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{
    Batch, Config, Context, ContextIndex, Limits, Purpose, Revision, Runtime, RuntimeError, Trigger,
};

/// A runtime with the default limits changed by `change`. What it compiles is kept from test to test.
///
/// # Errors
/// When the machine does not allow the reservation of address space.
pub fn runtime(change: impl FnOnce(&mut Limits)) -> Result<Runtime, RuntimeError> {
    // A machine that runs tests stalls; the tests that are about the deadline set their own.
    let mut limits = Limits {
        epoch_deadline_ms: 5_000,
        ..Limits::default()
    };
    change(&mut limits);
    Runtime::new(Config {
        limits,
        cache_dir: Some(guest::target_dir().join("compiled")),
        ..Config::default()
    })
}

/// A subscription in its first month with one seat.
pub fn context(state: &[u8]) -> Context<'_> {
    let period = Period {
        start: Timestamp::EPOCH,
        end: Timestamp::from_micros(2_678_400_000_000),
        index: 0,
    };
    Context {
        prepared: None,
        state,
        period,
        seats: 1,
        balances: &[],
    }
}

/// An event of `tokens` input tokens, whose attribute `attack` the guest obeys when its parameters say `each`.
pub struct Event {
    event_type: EventType,
    measures: Measures,
    attributes: Attributes,
}

impl Event {
    /// # Errors
    /// Never: the type's name is a name.
    pub fn new(tokens: i128, attack: &str) -> anyhow::Result<Event> {
        Ok(Event {
            event_type: EventType::new("llm.call")?,
            measures: Measures::from([("input_tokens", Nanos::new(tokens))]),
            attributes: Attributes::from([("model", "m"), ("attack", attack)]),
        })
    }

    /// The event as a trigger.
    pub fn trigger(&self, context: ContextIndex) -> Trigger<'_> {
        Trigger {
            purpose: Purpose::Usage,
            event_type: &self.event_type,
            context,
            subject: None,
            time: Timestamp::EPOCH,
            cost: None,
            measures: &self.measures,
            attributes: &self.attributes,
            source: "api",
            id: "e",
        }
    }
}

/// A batch of one context per entry, each with one event per attack named.
///
/// # Errors
/// Never: see [`Event::new`].
pub fn batch(revision: &Arc<Revision>, attacks: &[&[&str]]) -> anyhow::Result<Batch> {
    let mut batch = Batch::new(revision);
    for attacks in attacks {
        let at = batch.context(&context(b""));
        for (i, attack) in attacks.iter().enumerate() {
            batch.push(&Event::new(10 + i128::try_from(i)?, attack)?.trigger(at));
        }
    }
    Ok(batch)
}

/// The same as it is reported: an event of one token under this id.
///
/// # Errors
/// When the id is none.
pub fn reported(id: &str, attack: &str) -> anyhow::Result<farebox_record::event::Event> {
    let attribute = |name: &str, value: &str| (name.to_string(), value.to_string());
    Ok(farebox_record::event::Event {
        source: default_source(),
        id: id.parse()?,
        event_type: "llm.call".parse()?,
        time: None,
        measures: [("input_tokens".to_string(), Nanos::units(1))].into(),
        attributes: [attribute("model", "m"), attribute("attack", attack)].into(),
    })
}
