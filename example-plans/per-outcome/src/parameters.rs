//! What the pricing team edits. Every number is a decimal in quotes.

use farebox_plan::{
    Asset, Decimal, Entries, Instant, Nanos, ParameterError, Period, Pointer, Rejection, Table,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{VOCABULARY, asset};

/// Hours that an objection may be waited for: the longest time for which the host keeps a subject, less a day.
const WAIT_HOURS_MAX: u32 = 399 * 24;
/// Days that an outcome may be given back: the longest time for which the host keeps a subject.
const REVERSAL_DAYS_MAX: u32 = 400;

/// The deal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What everything is in: `usd` (unless said) or `eur`.
    #[serde(default = "usd")]
    pub currency: String,
    /// What an outcome costs, by its kind: `resolution`, `handoff`. At least one.
    pub outcomes: Entries<Decimal>,
    /// Kinds that are reported and are no outcomes: a greeting.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// A claim counts when nobody has objected for so many hours. None: it counts only when it is confirmed.
    #[serde(default)]
    pub counts_after_hours: Option<u32>,
    /// For so many days an outcome is given back where somebody objects; 365 unless said, 0 for never.
    #[serde(default = "year")]
    pub reversal_days: u32,
    /// What a period costs at least, outcomes together; the rest of it is billed at its end.
    #[serde(default)]
    pub minimum: Option<Decimal>,
    /// What a seat costs for a period, on the statement when it begins.
    #[serde(default)]
    pub seat: Option<Decimal>,
}

fn usd() -> String {
    "usd".to_string()
}

fn year() -> u32 {
    365
}

/// [`Parameters`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Index into the assets of the vocabulary.
    currency: u32,
    outcomes: Table<Nanos>,
    ignored: Vec<String>,
    counts_after_hours: Option<u32>,
    reversal_days: u32,
    pub(crate) minimum: Nanos,
    pub(crate) seat: Nanos,
}

impl Prepared {
    /// What everything is in.
    pub(crate) fn currency(&self) -> Asset {
        VOCABULARY.assets[self.currency as usize].asset
    }

    /// Whether this is reported and is no outcome.
    pub(crate) fn ignores(&self, kind: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == kind)
    }

    /// What an outcome of this kind costs.
    pub(crate) fn price(&self, kind: &str) -> Result<Nanos, Rejection> {
        let price = self.outcomes.get(kind);
        let unknown = || Rejection::Unpriceable(format!("no price for outcomes of the kind `{kind}`"));
        price.map(|price| *price).ok_or_else(unknown)
    }

    /// When a claim from `at` counts without more, if ever, and until when it is remembered.
    pub(crate) fn wait(&self, at: Instant) -> (Option<Instant>, Instant) {
        let until = self
            .counts_after_hours
            .map(|hours| at.plus_seconds(i64::from(hours) * 3_600));
        (until, until.unwrap_or(at.plus_days(398)).plus_days(1))
    }

    /// Until when an outcome from `at` can be given back. It is remembered for a day at least, so that it counts once.
    pub(crate) fn remembered(&self, at: Instant) -> Instant {
        at.plus_days(i64::from(self.reversal_days).max(1))
    }

    /// Whether what was charged stays charged, whoever objects.
    pub(crate) fn gives_nothing_back(&self) -> bool {
        self.reversal_days == 0
    }

    /// Until when a subject is kept at `now` whose outcome changed last at `changed`: as long as that can be given back, and
    /// through the present period, in which a void changes what the period costs.
    pub(crate) fn kept(&self, changed: Instant, now: Instant, period: Period) -> Instant {
        let longest = now.plus_days(i64::from(REVERSAL_DAYS_MAX));
        self.remembered(changed).max(period.end).min(longest)
    }
}

impl Parameters {
    /// All mistakes at once.
    pub fn prepare(&self) -> Result<Prepared, Vec<ParameterError>> {
        let root = Pointer::root();
        let mut wrong = Vec::new();
        let currency = root
            .key("currency")
            .asset(&self.currency, &[asset::USD, asset::EUR], &mut wrong);
        let outcomes = root.key("outcomes");
        if self.outcomes.is_empty() {
            wrong.push(outcomes.error("expected a price for at least one kind of outcome"));
        }
        let mut table = Table::builder();
        for (kind, price) in self.outcomes.iter() {
            let price = outcomes.key(kind).amount(*price, &mut wrong);
            // Keys of an object are there once.
            drop(table.insert([kind], &price));
        }
        for (index, kind) in self.ignored.iter().enumerate() {
            if self.outcomes.get(kind).is_some() {
                let place = root.key("ignored").key(&index.to_string());
                wrong.push(place.error(format!(
                    "`{kind}` has a price in `outcomes`; it can be one of both"
                )));
            }
        }
        let mut at_most = |field: &str, found: u32, max: u32| {
            if found > max {
                wrong.push(
                    root.key(field)
                        .error(format!("expected at most {max}, found {found}")),
                );
            }
        };
        at_most(
            "counts_after_hours",
            self.counts_after_hours.unwrap_or(0),
            WAIT_HOURS_MAX,
        );
        at_most("reversal_days", self.reversal_days, REVERSAL_DAYS_MAX);
        let mut amount = |field: &str, amount: Option<Decimal>| {
            amount.map_or(Nanos::ZERO, |amount| root.key(field).amount(amount, &mut wrong))
        };
        let (minimum, seat) = (amount("minimum", self.minimum), amount("seat", self.seat));
        match (currency, table.build()) {
            (Some(currency), Some(outcomes)) if wrong.is_empty() => Ok(Prepared {
                currency: currency.index(),
                outcomes,
                ignored: self.ignored.clone(),
                counts_after_hours: self.counts_after_hours,
                reversal_days: self.reversal_days,
                minimum,
                seat,
            }),
            (_, None) => Err(vec![root.key("outcomes").error("the list is too large")]),
            _ => Err(wrong),
        }
    }
}
