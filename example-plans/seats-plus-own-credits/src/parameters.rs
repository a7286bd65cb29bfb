//! What the pricing team edits. Every number is a decimal in quotes.

use farebox_plan::rate_card::RateList;
use farebox_plan::{Decimal, Entries, Nanos, ParameterError, Pointer};
use hybrid::{Beyond, Pool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The deal. Amounts are for one seat and a period.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What the fee and overage are in: `usd` (unless said) or `eur`.
    #[serde(default = "usd")]
    pub currency: String,
    /// For a seat, on the statement when a period begins.
    pub fee: Decimal,
    /// Credits of each seat, which no other seat can use. What is left of them is lost at the end of the period.
    pub credits: Decimal,
    /// What things cost, in credits.
    pub rates: RateList,
    /// What goes beyond a seat's credits costs. How far it may go, if at all, is a spending limit in the currency.
    pub beyond: Beyond,
    /// Fees of plans that customers come from, by the plan's name: the part of such a fee that pays for the rest of the period is
    /// taken off when a customer changes to this plan at once.
    #[serde(default)]
    pub replaces: Entries<Decimal>,
}

fn usd() -> String {
    "usd".to_string()
}

/// [`Parameters`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Fee and prices: a deal without a pool.
    pub(crate) deal: hybrid::Prepared,
    pub(crate) credits: Nanos,
}

impl Parameters {
    /// All mistakes at once.
    pub fn prepare(self) -> Result<Prepared, Vec<ParameterError>> {
        let mut wrong = Vec::new();
        let credits = Pointer::root().key("credits").amount(self.credits, &mut wrong);
        let deal = hybrid::Parameters {
            currency: self.currency,
            fee: self.fee,
            pool: Pool {
                credits: Decimal::ZERO,
            },
            daily: None,
            reserved: Entries::default(),
            rates: self.rates,
            beyond: Some(self.beyond),
            rollover: None,
            replaces: self.replaces,
        };
        match deal.prepare() {
            Ok(deal) if wrong.is_empty() => Ok(Prepared { deal, credits }),
            Ok(_) => Err(wrong),
            Err(more) => {
                wrong.extend(more);
                Err(wrong)
            }
        }
    }
}
