//! Events that a plan is asked about: examples, changed a little or a lot, and events that nobody would send.

use std::collections::{BTreeMap, BTreeSet};

use farebox_money::Nanos;
use farebox_record::command::default_source;
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::EventId;
use farebox_record::plan::Description;
use farebox_record::time::{Span, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

/// Subjects that events are about, where a plan follows any: few, so that each has a history.
const SUBJECTS: usize = 12;
/// How many of the dearest events are kept to be changed further.
const DEAREST: usize = 16;
/// A number that events may carry and no plan prices in a hurry: the largest that crosses into a plan.
const LARGEST: i128 = i64::MAX as i128;

/// Makes events from one seed.
pub(super) struct Generator {
    rng: SmallRng,
    description: Description,
    examples: Vec<Event>,
    /// Values of attributes that examples carry.
    values: BTreeMap<String, Vec<String>>,
    /// Events that took the most fuel, with what they took.
    dearest: Vec<(u64, Event)>,
    now: Timestamp,
    made: u64,
}

impl Generator {
    pub fn new(seed: u64, description: &Description, examples: &[Event], began: Timestamp) -> Generator {
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, value) in examples.iter().flat_map(|event| &event.attributes) {
            values
                .entry(name.to_string())
                .or_default()
                .insert(value.to_string());
        }
        let values = values.into_iter();
        Generator {
            rng: SmallRng::seed_from_u64(seed),
            description: description.clone(),
            examples: examples.to_vec(),
            values: values
                .map(|(name, values)| (name, values.into_iter().collect()))
                .collect(),
            dearest: Vec::new(),
            now: began,
            made: 0,
        }
    }

    pub fn below(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count.max(1))
    }

    /// The next event of one customer, a little later than the one before.
    pub fn event(&mut self) -> Event {
        let seconds = match self.rng.random_range(0..100) {
            0..60 => self.rng.random_range(0..120),
            60..97 => self.rng.random_range(0..6 * 3_600),
            _ => self.rng.random_range(0..12 * 86_400),
        };
        self.now = self.now.saturating_add(Span::seconds(seconds));
        let mut event = match self.rng.random_range(0..10) {
            0..2 if !self.dearest.is_empty() => {
                let at = self.below(self.dearest.len());
                self.dearest[at].1.clone()
            }
            2..8 if !self.examples.is_empty() => {
                let at = self.below(self.examples.len());
                self.examples[at].clone()
            }
            _ => self.described(),
        };
        for _ in 0..self.rng.random_range(0..4) {
            self.change(&mut event);
        }
        if let Some(subject) = self.description.subject_attribute.clone()
            && self.rng.random_ratio(9, 10)
        {
            let name = format!("subject-{}", self.below(SUBJECTS));
            event.attributes.insert(subject.into(), name.into());
        }
        self.named(event)
    }

    /// The same event with the measures of a call that used less: within the maximums that it states, none below zero.
    pub fn within(&mut self, event: &Event) -> Event {
        let mut event = event.clone();
        for amount in event.measures.values_mut() {
            let most = amount.get();
            let less = match self.rng.random_range(0..5) {
                0 => 0,
                1 => most / 2,
                2 => most - 1,
                3 => self.rng.random_range(0..=most),
                _ => most,
            };
            *amount = Nanos::new(less.max(0));
        }
        self.named(event)
    }

    /// An event that took so much fuel.
    pub fn took(&mut self, event: &Event, fuel: u64) {
        if self.dearest.len() == DEAREST && self.dearest.last().is_some_and(|(least, _)| fuel <= *least) {
            return;
        }
        let place = self.dearest.partition_point(|(known, _)| *known >= fuel);
        self.dearest.insert(place, (fuel, event.clone()));
        self.dearest.truncate(DEAREST);
    }

    fn named(&mut self, event: Event) -> Event {
        Event {
            source: default_source(),
            id: self.id(),
            time: Some(self.now),
            ..event
        }
    }

    fn id(&mut self) -> EventId {
        self.made += 1;
        let id = EventId::new(&format!("conformance-{}", self.made));
        id.unwrap_or_else(|_| unreachable!("an id of letters, digits and hyphens"))
    }

    fn described(&mut self) -> Event {
        let types = self.description.event_types.clone();
        let mut event = Event {
            source: default_source(),
            id: self.id(),
            event_type: types[self.below(types.len())].clone(),
            time: None,
            measures: Measures::EMPTY,
            attributes: Attributes::EMPTY,
        };
        for name in self.description.measures.clone() {
            if self.rng.random_ratio(1, 2) {
                let amount = self.number(None);
                event.measures.insert(name.into(), amount);
            }
        }
        for name in self.description.attributes.clone() {
            if self.rng.random_ratio(4, 5) {
                let value = self.value(&name);
                event.attributes.insert(name.into(), value.into());
            }
        }
        event
    }

    fn change(&mut self, event: &mut Event) {
        let measures = self.description.measures.clone();
        let attributes = self.description.attributes.clone();
        match self.rng.random_range(0..10) {
            0..5 => {
                if let Some(name) = measures.choose(&mut self.rng) {
                    let amount = self.number(event.measures.get(name).copied());
                    event.measures.insert(name.into(), amount);
                }
            }
            5 => {
                if let Some(name) = measures.choose(&mut self.rng) {
                    event.measures.remove(name);
                }
            }
            6..8 => {
                if let Some(name) = attributes.choose(&mut self.rng) {
                    let value = self.value(name);
                    event.attributes.insert(name.into(), value.into());
                }
            }
            8 => {
                if let Some(name) = attributes.choose(&mut self.rng) {
                    event.attributes.remove(name);
                }
            }
            _ => {
                let other = self.description.event_types.choose(&mut self.rng).cloned();
                event.event_type = other.unwrap_or_else(|| event.event_type.clone());
            }
        }
    }

    /// A number as events carry them; now and then one that makes no sense.
    fn number(&mut self, from: Option<Nanos>) -> Nanos {
        let unit = Nanos::units(1).get();
        let from = from.map_or(unit, Nanos::get);
        let number = match self.rng.random_range(0..16) {
            0 => 0,
            1 => 1,
            2 => unit,
            3 => from.saturating_add(unit),
            4 => from.saturating_sub(unit),
            5 => from.saturating_mul(2),
            6 => from.saturating_mul(10),
            7 => from.saturating_mul(1_000),
            8 => from / 2,
            9 => LARGEST,
            10 => self.rng.random_range(0..=LARGEST),
            11 => self.rng.random_range(0..=1_000_000) * unit,
            12 if self.rng.random_ratio(1, 4) => -unit,
            _ => self.rng.random_range(0..=100_000) * unit,
        };
        Nanos::new(number.clamp(-unit, LARGEST))
    }

    fn value(&mut self, name: &str) -> String {
        let known = self
            .values
            .get(name)
            .and_then(|known| known.choose(&mut self.rng));
        match (self.rng.random_range(0..10), known) {
            (0..8, Some(known)) => known.clone(),
            (8, _) => "unheard-of".into(),
            (9, _) => "\u{fc}n\u{ef}\u{a0}\u{1f600}".repeat(16),
            _ => "true".into(),
        }
    }
}
