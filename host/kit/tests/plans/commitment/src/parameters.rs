//! What the pricing team edits, and what the plan makes of it.

use farebox_plan::{Decimal, Graduated, Nanos, ParameterError, Per, Pointer};
use serde::{Deserialize, Serialize};

/// The deal. Amounts are per period; dollars are US dollars.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// Dollars for a seat.
    fee: Decimal,
    /// Credits that come with a seat.
    credits: Decimal,
    /// Most credits that roll over into the next period, for all seats together.
    rollover_max: Decimal,
    /// Most of a period's included credits that one user (the attribute `user`) can have. Without it they are shared.
    #[serde(default)]
    user_max: Option<Decimal>,
    /// How many credits pay for what costs a dollar.
    credits_per_dollar: u32,
    /// Dollars for a unit, from the first one of the period on.
    price: Decimal,
    /// Other prices for the units beyond a threshold, ascending.
    #[serde(default)]
    beyond: Vec<Step>,
    /// Dollars that the usage of a period comes to at least; what is missing is charged when the period ends.
    minimum: Decimal,
    /// Most units that one call can have used; more is a mistake of who reports it.
    call_max: Decimal,
}

/// A price for the units beyond a threshold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Units of the period, all seats together.
    above: Decimal,
    /// Dollars for a unit.
    price: Decimal,
}

/// [`Parameters`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    pub(crate) fee: Nanos,
    pub(crate) credits: Nanos,
    pub(crate) rollover_max: Nanos,
    pub(crate) user_max: Option<Nanos>,
    pub(crate) credits_per_dollar: u32,
    pub(crate) prices: Graduated,
    pub(crate) minimum: Nanos,
    pub(crate) call_max: Nanos,
}

impl Parameters {
    /// All mistakes at once.
    pub(crate) fn prepare(&self) -> Result<Prepared, Vec<ParameterError>> {
        let root = Pointer::root();
        let mut wrong = Vec::new();
        if self.credits_per_dollar == 0 {
            let place = root.key("credits_per_dollar");
            wrong.push(place.error("expected at least 1, found 0"));
        }
        let mut amount = |name: &str, value: Decimal| root.key(name).amount(value, &mut wrong);
        let [fee, credits, rollover_max, minimum, call_max] = [
            amount("fee", self.fee),
            amount("credits", self.credits),
            amount("rollover_max", self.rollover_max),
            amount("minimum", self.minimum),
            amount("call_max", self.call_max),
        ];
        let user_max = self
            .user_max
            .map(|most| root.key("user_max").amount(most, &mut wrong));
        if user_max == Some(Nanos::ZERO) {
            let place = root.key("user_max");
            wrong.push(place.error("expected more than 0"));
        }
        let price = root.key("price").rate(self.price, Per::Unit, &mut wrong);
        let mut beyond = Vec::with_capacity(self.beyond.len());
        for (index, step) in self.beyond.iter().enumerate() {
            let place = root.key("beyond").index(index);
            let above = place.key("above").amount(step.above, &mut wrong);
            beyond.push((above, place.key("price").rate(step.price, Per::Unit, &mut wrong)));
        }
        let prices = Graduated::new(price, &beyond).map_err(|not| {
            let place = root.key("beyond").index(not.index).key("above");
            wrong.push(place.error("expected more than the threshold before it"));
        });
        match prices {
            Ok(prices) if wrong.is_empty() => Ok(Prepared {
                fee,
                credits,
                rollover_max,
                user_max,
                credits_per_dollar: self.credits_per_dollar,
                prices,
                minimum,
                call_max,
            }),
            _ => Err(wrong),
        }
    }
}
