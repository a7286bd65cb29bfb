//! Credits of each day, as the pricing team says them. They burn before the pool and never roll over.

use farebox_plan::{Decimal, Entries, Grant, Nanos, ParameterError, Pointer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::asset;
use crate::daily::DAILY;

/// Of credits that are for some usage: before what was rolled over, which burns before the pool. Of two kinds the one that ends
/// first burns first.
pub(crate) const PRIORITY: i32 = -2;
/// Most attributes that one grant may ask for.
const ONLY_MAX: usize = 8;
/// Longest name of an attribute, in bytes: what the host takes.
pub(crate) const NAME_BYTES_MAX: usize = 64;
/// Longest value of an attribute, in bytes: what the host takes.
const VALUE_BYTES_MAX: usize = 256;

/// Credits that come each day.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Daily {
    /// How many, at 00:00 UTC. What is left of them is lost at the next one.
    pub credits: Decimal,
    /// At most so many in a period. None: on every day of it.
    #[serde(default)]
    pub max: Option<Decimal>,
    /// Attributes that an event must have to use them, each with its value. None: any event may.
    #[serde(default)]
    pub only: Entries<String>,
}

/// A [`Daily`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DailyCredits {
    pub credits: Nanos,
    pub max: Option<Nanos>,
    only: Only,
}

/// Attributes with the value that each must have.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Only(Vec<(String, String)>);

impl Only {
    pub fn prepare(entries: &Entries<String>, place: &Pointer, wrong: &mut Vec<ParameterError>) -> Only {
        let mut only = Vec::new();
        for (name, value) in entries.iter() {
            check_text("the name", name, NAME_BYTES_MAX, &place.key(name), wrong);
            check_text("the value", value, VALUE_BYTES_MAX, &place.key(name), wrong);
            only.push((name.to_string(), value.clone()));
        }
        if only.len() > ONLY_MAX {
            let found = only.len();
            wrong.push(place.error(format!("expected at most {ONLY_MAX} attributes, found {found}")));
        }
        Only(only)
    }

    pub fn limit(&self, grant: Grant) -> Grant {
        let attributes = self.0.iter();
        attributes.fold(grant, |grant, (name, value)| grant.only_with(name, value))
    }
}

pub(crate) fn check_text(
    what: &str,
    text: &str,
    max: usize,
    place: &Pointer,
    wrong: &mut Vec<ParameterError>,
) {
    let found = text.len();
    if !(1..=max).contains(&found) {
        wrong.push(place.error(format!("expected 1 to {max} bytes for {what}, found {found}")));
    }
}

impl Daily {
    pub(crate) fn prepare(&self, place: &Pointer, wrong: &mut Vec<ParameterError>) -> DailyCredits {
        DailyCredits {
            credits: some(self.credits, &place.key("credits"), wrong),
            max: self.max.map(|max| some(max, &place.key("max"), wrong)),
            only: Only::prepare(&self.only, &place.key("only"), wrong),
        }
    }
}

impl DailyCredits {
    /// So many of them.
    pub fn grant(&self, credits: Nanos) -> Grant {
        let grant = Grant::included(asset::CREDITS, credits, DAILY);
        self.only.limit(grant.priority(PRIORITY))
    }
}

/// An amount of more than nothing.
pub(crate) fn some(value: Decimal, place: &Pointer, wrong: &mut Vec<ParameterError>) -> Nanos {
    match value.amount() {
        Ok(amount) if amount.is_positive() => return amount,
        Ok(_) => wrong.push(place.error(format!("expected more than 0, found {value}"))),
        Err(error) => wrong.push(place.error(error.to_string())),
    }
    Nanos::ZERO
}
