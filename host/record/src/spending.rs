//! Spending limits: how much a customer, or a part of one, may spend in a window of time.

use std::collections::BTreeMap;
use std::fmt;

use farebox_money::{Asset, Nanos};
use serde::{Deserialize, Serialize};

use crate::event::Attributes;
use crate::ids::LimitName;
use crate::plan::EventRef;
use crate::time::{Span, Timestamp};

/// What a limit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitTerms {
    /// In which asset.
    pub asset: Asset,
    /// How much may be used and held in a window; zero or more.
    pub amount: Nanos,
    /// Whose spending counts.
    pub scope: Scope,
    /// Over which time.
    pub window: Window,
    /// What is announced on the way.
    pub thresholds: Vec<Threshold>,
    /// What happens to a call that does not fit.
    pub on_exceed: OnExceed,
}

/// Which events a limit counts: those that carry every one of these attributes, in the order of the path from the top
/// of the tree down. Empty: all of the customer's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(pub Vec<(String, String)>);

impl Scope {
    /// Whether an event with `attributes` counts.
    pub fn holds(&self, attributes: &Attributes) -> bool {
        self.0
            .iter()
            .all(|(name, value)| attributes.get(name).is_some_and(|own| own == value))
    }
}

impl fmt::Display for Scope {
    /// The level, as a path: `team=search/agent=bot-7`; `customer` for the whole customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("customer");
        }
        for (index, (name, value)) in self.0.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            write!(f, "{slash}{name}={value}")?;
        }
        Ok(())
    }
}

/// Over which time a limit counts. All in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// From one boundary of the calendar to the next; then from zero.
    Calendar(CalendarUnit),
    /// The last `steps` steps before the present one, and the present one: never less than the last `step * steps`, and
    /// at most one step more. Steps are counted from 1970-01-01T00:00:00Z.
    Rolling {
        /// How exact it is.
        step: Span,
        /// How many steps make the window's length.
        steps: u16,
    },
}

/// A part of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From a full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday, as ISO 8601 has it.
    Week,
    /// From the first of the month.
    Month,
    /// From 1 January.
    Year,
}

/// How far usage is before it is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Threshold {
    /// Of the limit's amount.
    Percent(u16),
    /// Of the limit's asset.
    Amount(Nanos),
}

impl Threshold {
    /// The least usage that reaches it, for a limit of `amount`: a part of a nano counts as a whole one.
    pub fn level(self, amount: Nanos) -> Nanos {
        match self {
            Threshold::Amount(level) => level,
            Threshold::Percent(percent) => {
                let hundredths = amount.get().saturating_mul(i128::from(percent));
                Nanos::new(hundredths / 100 + i128::from(hundredths % 100 > 0))
            }
        }
    }
}

/// What happens to a call that does not fit a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceed {
    /// It is denied.
    #[default]
    Deny,
    /// Nothing: the limit only announces its thresholds.
    Notify,
}

/// A limit, and what counts towards it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitState {
    /// What it says.
    pub terms: LimitTerms,
    /// From when on it counts.
    pub since: Timestamp,
    /// What was used, as of the last event that counted.
    pub used: Used,
    /// What open holds have set aside.
    pub held: Nanos,
    /// Thresholds that were announced and not armed again since.
    pub crossed: Vec<Threshold>,
    /// What open holds count for that are settled in part, where that is not what their own attributes say: the
    /// settlement brought others.
    pub apart: BTreeMap<EventRef, Nanos>,
}

/// What was used, window by window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Used {
    /// In the window that begins at `start`, inclusive, and ends at `end`, exclusive.
    Calendar {
        /// Inclusive.
        start: Timestamp,
        /// Exclusive.
        end: Timestamp,
        /// How much; never negative.
        amount: Nanos,
    },
    /// Step by step, oldest first; steps of nothing are left out.
    Rolling(Vec<(i64, Nanos)>),
}

/// A limit that a call did not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExceededLimit {
    /// Which one.
    pub limit: LimitName,
    /// Its scope, as a path.
    pub level: String,
    /// When its window ends; of a rolling one, when enough of what was used has left it for this call, or all of it
    /// has. None: no time helps, only holds that end, or another limit.
    pub resets: Option<Timestamp>,
}

/// A threshold that usage reached, for the first time in its window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossedThreshold {
    /// Of which limit.
    pub limit: LimitName,
    /// Its scope, as a path.
    pub level: String,
    /// In which asset.
    pub asset: Asset,
    /// The limit's amount.
    pub amount: Nanos,
    /// Which threshold.
    pub threshold: Threshold,
    /// The usage that reaches it.
    pub at_usage: Nanos,
    /// What is used now.
    pub used: Nanos,
    /// When the window began. Of a rolling one: the oldest instant that may still count.
    pub window_start: Timestamp,
    /// When the window ends; none for a rolling one.
    pub window_end: Option<Timestamp>,
}
