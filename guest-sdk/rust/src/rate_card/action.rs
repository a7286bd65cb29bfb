//! Things that are sold by the piece, or by what they cost the provider.

use std::fmt;

use farebox_money::Nanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Decimal, Measure, ParameterError, Per, Pointer, Purpose, Quoted, Rate, Rejection, Usage};

/// What an action costs: `price` for each, or `per_dollar` of what it cost the provider.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionPrice {
    /// For each time that it is done.
    #[serde(default)]
    pub price: Option<Decimal>,
    /// For each US dollar that the provider charges for it (`cost_usd` of the event): effort, with a markup.
    #[serde(default)]
    pub per_dollar: Option<Decimal>,
    /// With `per_dollar`: dollars of cost assumed by a quote that states none. Without it such a quote is refused.
    #[serde(default)]
    pub max_cost: Option<Decimal>,
    /// For the next person who edits this.
    #[serde(default)]
    pub note: Option<String>,
}

/// An [`ActionPrice`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ActionRate {
    /// For each.
    Each(Rate),
    /// For each dollar of cost; and what a quote assumes.
    Cost(Rate, Option<Nanos>),
}

/// An action of an event, priced.
pub(super) struct Priced<'r> {
    name: &'r str,
    pub count: Nanos,
    pub amount: Nanos,
    basis: Basis,
}

enum Basis {
    Each(Rate),
    Cost(Rate, Nanos),
}

impl ActionPrice {
    pub(super) fn prepare(&self, place: &Pointer) -> Result<ActionRate, Vec<ParameterError>> {
        let mut wrong = Vec::new();
        let mut rate = |name: &str, price: Decimal| place.key(name).rate(price, Per::Unit, &mut wrong);
        let priced = match (self.price, self.per_dollar) {
            (Some(price), None) => ActionRate::Each(rate("price", price)),
            (None, Some(price)) => ActionRate::Cost(rate("per_dollar", price), None),
            (Some(_), Some(_)) | (None, None) => {
                let message = "expected either `price` (for each) or `per_dollar` (of what it cost)";
                return Err(vec![place.error(message)]);
            }
        };
        let max = self.max_cost.map(|max| (max, max.amount()));
        let priced = match (priced, max) {
            (priced, None) => priced,
            (ActionRate::Cost(rate, _), Some((_, Ok(max)))) if !max.is_negative() => {
                ActionRate::Cost(rate, Some(max))
            }
            (ActionRate::Each(_), Some(_)) => {
                let message = "is only meant together with `per_dollar`";
                return Err(vec![place.key("max_cost").error(message)]);
            }
            (priced, Some((max, _))) => {
                let message = format!("expected 0 or more, with at most nine decimals, found {max}");
                wrong.push(place.key("max_cost").error(message));
                priced
            }
        };
        match wrong.is_empty() {
            true => Ok(priced),
            false => Err(wrong),
        }
    }
}

impl ActionRate {
    pub(super) fn priced<'r>(
        &self,
        name: &'r str,
        count: Measure,
        usage: &Usage<'_>,
    ) -> Result<Priced<'r>, Rejection> {
        let count = usage.whole(count)?.unwrap_or(Nanos::units(1));
        let at_most = usage.purpose() == Purpose::WorstCase;
        let price = |rate: Rate, quantity: Nanos| match at_most {
            true => rate.price_at_most(quantity),
            false => rate.price(quantity),
        };
        let (amount, basis) = match self {
            ActionRate::Each(rate) => (price(*rate, count)?, Basis::Each(*rate)),
            ActionRate::Cost(rate, assumed) => {
                let assumed = assumed.filter(|_| at_most);
                let cost = usage.cost().or(assumed).ok_or_else(|| {
                    let message = format!(
                        "the action {} is priced by what it cost the provider, in US dollars",
                        Quoted(name)
                    );
                    Rejection::missing("cost_usd", message)
                })?;
                if cost.is_negative() {
                    let message = format!("expected 0 or more, found {cost}");
                    return Err(Rejection::out_of_range("cost_usd", message));
                }
                (price(*rate, cost)?, Basis::Cost(*rate, cost))
            }
        };
        Ok(Priced {
            name,
            count,
            amount,
            basis,
        })
    }
}

impl Priced<'_> {
    /// Where the amount comes from, for people.
    pub(super) fn why(&self) -> String {
        let name = self.name;
        match &self.basis {
            Basis::Each(rate) => format!(
                "{} x {}, {name} on the rate card",
                self.count,
                rate.text(Per::Unit)
            ),
            Basis::Cost(rate, cost) => {
                let rate = rate.text(Per::Unit);
                format!("{cost} usd of cost x {rate} for a dollar, {name} on the rate card")
            }
        }
    }
}

impl fmt::Debug for Priced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why())
    }
}
