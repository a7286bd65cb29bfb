//! What the plans are asked: events and changes, drawn by chance, also such as have no price.

use farebox_kit::probe::Probe;
use farebox_money::Nanos;
use farebox_record::command::default_source;
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::EventId;
use farebox_record::plan::{Category, RemainingGrant};
use farebox_record::time::Timestamp;
use farebox_runtime::{Change, Proration, Replacement};
use rand::Rng as _;
use rand::rngs::SmallRng;

/// By what a plan sells.
pub struct Model {
    pub name: &'static str,
    /// A price list in which amounts are rounded.
    pub odd: &'static str,
    /// Values in the price list that it comes with which are refused: where, what, and what is told there.
    pub wrong: &'static [(&'static str, &'static str, &'static str)],
}

/// What events look like that a plan prices.
struct Shape {
    types: &'static [&'static str],
    measures: &'static [&'static str],
    attribute: Option<(&'static str, &'static [&'static str])>,
}

impl Model {
    pub fn event(&self, number: usize, time: Timestamp, chance: &mut SmallRng) -> Event {
        let Shape {
            types,
            measures,
            attribute,
        } = self.shape();
        let event_type = types[usize::from(chance.random_bool(0.3)) % types.len()];
        let mut event = Event {
            source: default_source(),
            id: EventId::new(&format!("e-{number}")).unwrap(),
            event_type: event_type.parse().unwrap(),
            time: Some(time),
            measures: Measures::EMPTY,
            attributes: Attributes::EMPTY,
        };
        for measure in measures {
            if let Some(amount) = any_amount(chance) {
                event.measures.insert((*measure).into(), amount);
            }
        }
        if let Some((name, values)) = attribute.filter(|_| chance.random_bool(0.97)) {
            let value = values[chance.random_range(0..values.len())];
            event.attributes.insert(name.into(), value.into());
        }
        event
    }

    fn shape(&self) -> Shape {
        let shape = |types, measures, attribute| Shape {
            types,
            measures,
            attribute,
        };
        match self.name {
            "per-token" => shape(&["llm.call"], &["input_tokens", "output_tokens"], None),
            "credits" => {
                let actions = &["answer", "report", "余り", "a\"\u{7}\\b"];
                shape(
                    &["action", "credits.purchase"],
                    &["count"],
                    Some(("action", actions)),
                )
            }
            "per-outcome" => {
                let types = &["conversation.resolved", "conversation.reopened"];
                shape(types, &[], Some(("conversation", &["c1", "c2", "Gespräch"])))
            }
            _ => shape(&["action"], &["count"], None),
        }
    }

    /// A change, and the subject that it is about, if any. `before`: events that were asked about.
    pub fn change(
        &self,
        chance: &mut SmallRng,
        probe: &Probe<'_>,
        before: &[Event],
    ) -> (Change, Option<String>) {
        let about = before.get(chance.random_range(0..before.len().max(1)));
        let subject = about.and_then(|event| probe.subject_of(event).map(str::to_string));
        if let (Some(event), Some(subject)) = (about, subject) {
            let change = match chance.random_bool(0.5) {
                true => Change::Due {
                    key: "deadline".to_string(),
                },
                false => Change::Reversed {
                    event: event.reference(),
                    time: event.time.unwrap(),
                    charges: Vec::new(),
                    replacement: Replacement::None,
                },
            };
            return (change, Some(subject));
        }
        (change_of_subscription(chance, probe), None)
    }
}

/// Of something that is counted: mostly a whole number; sometimes a fraction, less than nothing, or none.
fn any_amount(chance: &mut SmallRng) -> Option<Nanos> {
    match chance.random_range(0..30) {
        0 => None,
        1 => Some(Nanos::new(-1)),
        2..=5 => Some(Nanos::new(chance.random_range(0..40_000_000_000))),
        6 => Some(Nanos::ZERO),
        _ => Some(Nanos::units(chance.random_range(1..200))),
    }
}

fn change_of_subscription(chance: &mut SmallRng, probe: &Probe<'_>) -> Change {
    let proration = [Proration::Wanted, Proration::Unwanted][chance.random_range(0..2)];
    let left = Nanos::new(chance.random_range(0..2_000_000_000_000));
    let left = |category| RemainingGrant {
        asset: "credits".parse().unwrap(),
        category,
        label: "Übrig – 余り".to_string(),
        granted: Nanos::units(2_000),
        remaining: left,
        expires: None,
    };
    // Of what a plan without credits describes, nothing is left.
    let remaining = vec![left(Category::Included), left(Category::Paid)];
    match chance.random_range(0..7) {
        0 => Change::Paused,
        1 => Change::Resumed,
        2 => Change::Renewed { remaining },
        3 => Change::Cancelled { remaining },
        4 => Change::PlanChanged {
            previous_plan: "before".to_string(),
            previous_since: probe.period().start,
            remaining,
            proration,
        },
        _ => Change::SeatsChanged {
            before: probe.seats(),
            after: chance.random_range(0..9),
            proration,
        },
    }
}
