//! One event, as a plan reads it.

use farebox_money::Nanos;

use crate::bindings::exports::farebox::plan::pricing as wit;
use crate::{Asset, Attribute, EventRef, EventType, Instant, Measure, Period, Rejection, Vocabulary};

/// How a measure that the event does not carry crosses the contract: no valid amount.
pub(crate) const ABSENT: i64 = i64::MIN;

/// One whole thing, in 10^-9.
const UNIT: i64 = 1_000_000_000;

/// The attribute in which the host says who sent an event. It is the host's own, whatever the event carries under that name.
pub const EVENT_SOURCE: &str = "event.source";
/// The attribute in which the host says the id of an event.
pub const EVENT_ID: &str = "event.id";

/// Whether something happened or may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It happened: what is owed?
    Usage,
    /// It may happen: the measures are maximums.
    WorstCase,
}

/// An event with everything around it that a price may depend on.
#[derive(Debug)]
pub struct Usage<'a> {
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) batch: &'a wit::Batch,
    pub(crate) context: &'a wit::Context,
    pub(crate) trigger: &'a wit::Trigger,
    /// Which trigger of the batch it is.
    pub(crate) row: usize,
}

impl<'a> Usage<'a> {
    /// Whether it happened or may happen.
    pub fn purpose(&self) -> Purpose {
        match self.trigger.purpose {
            wit::Purpose::Usage => Purpose::Usage,
            wit::Purpose::WorstCase => Purpose::WorstCase,
        }
    }

    /// Of which type it is; for plans that rate more than one.
    pub fn is(&self, event_type: EventType) -> bool {
        self.trigger.event_type == event_type.index()
    }

    /// When it happened.
    pub fn time(&self) -> Instant {
        Instant::from_micros(self.trigger.time)
    }

    /// The period that it belongs to.
    pub fn period(&self) -> Period {
        period(&self.context.period)
    }

    /// How many seats the subscription has.
    pub fn seats(&self) -> u32 {
        self.context.seats
    }

    /// What the provider bills for it, in US dollars, for plans that want it and where it is known.
    pub fn cost(&self) -> Option<Nanos> {
        self.trigger.cost.map(Nanos::from)
    }

    /// What the wallet can still spend of an asset, for plans that want balances. What is held for this very event
    /// counts as available.
    pub fn balance(&self, asset: Asset) -> Option<Nanos> {
        let index = self.context.balances as usize + asset.index() as usize;
        self.batch
            .balances
            .get(index)
            .map(|balance| Nanos::from(*balance))
    }

    /// A measure as it came, if it came. Absent and zero are different things: absent is unknown.
    pub fn measure(&self, measure: Measure) -> Option<Nanos> {
        match self.raw(measure) {
            ABSENT => None,
            value => Some(Nanos::from(value)),
        }
    }

    fn raw(&self, measure: Measure) -> i64 {
        self.batch.measures[self.row * self.vocabulary.measures.len() + measure.index() as usize]
    }

    /// A measure that cannot be negative, if it came.
    #[inline]
    pub fn quantity(&self, measure: Measure) -> Result<Option<Nanos>, Rejection> {
        match self.raw(measure) {
            ABSENT => Ok(None),
            value if value < 0 => Err(wrong(measure, "0 or more", value)),
            value => Ok(Some(Nanos::from(value))),
        }
    }

    /// A measure that counts whole things, if it came.
    #[inline]
    pub fn whole(&self, measure: Measure) -> Result<Option<Nanos>, Rejection> {
        match self.raw(measure) {
            ABSENT => Ok(None),
            value if value < 0 => Err(wrong(measure, "0 or more", value)),
            // In 64 bits, in which measures cross: dividing 128 would be the slowest thing that most plans do.
            value if value % UNIT != 0 => Err(wrong(measure, "a whole number", value)),
            value => Ok(Some(Nanos::from(value))),
        }
    }

    /// A measure that cannot be negative and without which there is no price.
    pub fn needed(&self, measure: Measure) -> Result<Nanos, Rejection> {
        self.quantity(measure)?.ok_or_else(|| {
            Rejection::missing(
                measure.name(),
                "this plan prices by it; 0 says that there was none",
            )
        })
    }

    /// A text of the event, if it came and says anything.
    pub fn attribute(&self, attribute: Attribute) -> Option<&'a str> {
        self.text_of(attribute.index() as usize)
    }

    fn text_of(&self, attribute: usize) -> Option<&'a str> {
        let index = self.row * self.vocabulary.attributes.len() + attribute;
        let ends = &self.batch.text_ends;
        let start = if index == 0 { 0 } else { ends[index - 1] };
        let text = &self.batch.text[start as usize..ends[index] as usize];
        (!text.is_empty()).then_some(text)
    }

    /// Under which name the event is known, to give back of it later. None for a plan that does not read both
    /// [`EVENT_SOURCE`] and [`EVENT_ID`].
    pub fn reference(&self) -> Option<EventRef> {
        let read = |wanted: &str| {
            let mut names = self.vocabulary.attributes.iter();
            let index = names.position(|attribute| attribute.name() == wanted)?;
            self.text_of(index).map(str::to_string)
        };
        Some(EventRef {
            source: read(EVENT_SOURCE)?,
            id: read(EVENT_ID)?,
        })
    }

    /// A text without which there is no price.
    pub fn needed_attribute(&self, attribute: Attribute) -> Result<&'a str, Rejection> {
        self.attribute(attribute)
            .ok_or_else(|| Rejection::missing(attribute.name(), "this plan prices by it"))
    }
}

#[cold]
fn wrong(measure: Measure, expected: &str, found: i64) -> Rejection {
    let found = Nanos::from(found);
    Rejection::out_of_range(measure.name(), format!("expected {expected}, found {found}"))
}

/// A period of the contract.
pub(crate) fn period(period: &wit::Period) -> Period {
    Period {
        start: Instant::from_micros(period.start),
        end: Instant::from_micros(period.end),
        index: period.index,
    }
}
