//! Usage, as a caller reports it.

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use crate::fields::{Fields, Text};
use crate::ids::{EventId, EventType, Source};
use crate::plan::EventRef;
use crate::time::Timestamp;

/// Numbers by name, exact: `input_tokens`.
pub type Measures = Fields<Nanos>;

/// Texts by name, none of them empty: `model`.
pub type Attributes = Fields<Text>;

/// One usage report, normalised: measures are exact, attributes are never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where it comes from.
    pub source: Source,
    /// Unique with its source within the customer.
    pub id: EventId,
    /// What kind of usage it is.
    pub event_type: EventType,
    /// When it happened, where the caller said so; otherwise it happened when it was received.
    pub time: Option<Timestamp>,
    /// Numbers: `input_tokens`. For an authorize, the maximums.
    pub measures: Measures,
    /// Texts: `model`.
    pub attributes: Attributes,
}

impl Event {
    /// Its identity within the customer.
    pub fn reference(&self) -> EventRef {
        EventRef {
            source: self.source.clone(),
            id: self.id.clone(),
        }
    }

    /// What the provider bills for it in dollars, where the caller supplied it.
    pub fn cost_usd(&self) -> Option<Nanos> {
        self.measures.get("cost_usd").copied()
    }
}
