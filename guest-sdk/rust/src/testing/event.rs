//! Events, written in a line.

use std::collections::BTreeMap;

use farebox_money::Nanos;

use crate::Instant;

/// An event to be priced.
#[derive(Debug, Clone)]
pub struct Event {
    pub(super) event_type: String,
    pub(super) time: Option<Instant>,
    pub(super) measures: BTreeMap<String, Nanos>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) cost: Option<Nanos>,
}

impl Event {
    /// An event that happens at the harness's time.
    pub fn new(event_type: &str) -> Event {
        Event {
            event_type: event_type.to_string(),
            time: None,
            measures: BTreeMap::new(),
            attributes: BTreeMap::new(),
            cost: None,
        }
    }

    /// With so many whole units of a measure.
    pub fn measure(self, name: &str, units: i64) -> Event {
        self.measure_exact(name, Nanos::units(units))
    }

    /// With an exact value of a measure.
    pub fn measure_exact(mut self, name: &str, value: Nanos) -> Event {
        self.measures.insert(name.to_string(), value);
        self
    }

    /// With a text.
    pub fn attribute(mut self, name: &str, value: &str) -> Event {
        self.attributes.insert(name.to_string(), value.to_string());
        self
    }

    /// At a certain time.
    pub fn at(mut self, time: Instant) -> Event {
        self.time = Some(time);
        self
    }

    /// With what the provider bills for it, in US dollars.
    pub fn cost(mut self, dollars: Nanos) -> Event {
        self.cost = Some(dollars);
        self
    }
}
