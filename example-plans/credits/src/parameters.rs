//! What the pricing team edits. Every number is a decimal in quotes.

use farebox_plan::rate_card::{RateCard, RateList};
use farebox_plan::{
    Asset, Decimal, Entries, Grant, Instant, Nanos, ParameterError, Per, Pointer, Rate, Table,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{VOCABULARY, asset};

/// Longest life of credits: ten years. What lives longer has no expiry.
const LIFE_DAYS_MAX: u32 = 3_660;

/// The deal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What packs are paid in: `usd` (unless said) or `eur`.
    #[serde(default = "usd")]
    pub currency: String,
    /// What things cost, in credits.
    pub rates: RateList,
    /// What can be bought, by the value of `pack` in a `credits.purchase`.
    #[serde(default)]
    pub packs: Entries<Pack>,
    /// Given to who starts.
    #[serde(default)]
    pub welcome: Option<Welcome>,
}

fn usd() -> String {
    "usd".to_string()
}

/// Credits that are bought together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// In the currency.
    pub price: Decimal,
    /// How many.
    pub credits: Decimal,
    /// How many are given on top. They burn first, and are never paid back.
    #[serde(default)]
    pub bonus: Option<Decimal>,
    /// Days (of 24 hours) for which they are good. None: for good.
    #[serde(default)]
    pub expires_days: Option<u32>,
    /// For the next person who edits this.
    #[serde(default)]
    pub note: Option<String>,
}

/// Credits that cost nothing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Welcome {
    /// How many.
    pub credits: Decimal,
    /// Days (of 24 hours) for which they are good. None: for good.
    #[serde(default)]
    pub expires_days: Option<u32>,
}

/// [`Parameters`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Index into the assets of the vocabulary.
    currency: u32,
    pub(crate) rates: RateCard,
    pub(crate) packs: Table<PricedPack>,
    pub(crate) welcome: Option<Welcomed>,
}

/// A [`Pack`], checked. Prices and credits are those of one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PricedPack {
    pub price: Rate,
    pub credits: Rate,
    pub bonus: Rate,
    pub life: Life,
}

/// A [`Welcome`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Welcomed {
    pub credits: Nanos,
    pub life: Life,
}

/// For how many days credits are good; none: for good.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Life(Option<u32>);

impl Life {
    /// The grant, good as long as that from `at` on.
    pub(crate) fn limit(self, grant: Grant, at: Instant) -> Grant {
        match self.0 {
            Some(days) => grant.expires(at.plus_days(days.into())),
            None => grant,
        }
    }
}

impl Prepared {
    /// What packs are paid in.
    pub(crate) fn currency(&self) -> Asset {
        VOCABULARY.assets[self.currency as usize].asset
    }
}

impl Parameters {
    /// All mistakes at once.
    pub(crate) fn prepare(&self) -> Result<Prepared, Vec<ParameterError>> {
        let root = Pointer::root();
        let mut wrong = Vec::new();
        let money = [asset::USD, asset::EUR];
        let currency = root.key("currency").asset(&self.currency, &money, &mut wrong);
        let rates = self.rates.prepare(&root.key("rates"));
        let rates = rates.map_err(|errors| wrong.extend(errors)).ok();
        let mut table = Table::builder();
        for (name, pack) in self.packs.iter() {
            let priced = pack.prepare(&root.key("packs").key(name), &mut wrong);
            // Keys of an object are there once.
            drop(table.insert([name], &priced));
        }
        let welcome = self.welcome.as_ref().map(|welcome| {
            let place = root.key("welcome");
            Welcomed {
                credits: credits(&place.key("credits"), welcome.credits, &mut wrong),
                life: life(&place, welcome.expires_days, &mut wrong),
            }
        });
        match (currency, rates, table.build()) {
            (Some(currency), Some(rates), Some(packs)) if wrong.is_empty() => Ok(Prepared {
                currency: currency.index(),
                rates,
                packs,
                welcome,
            }),
            (_, _, None) => Err(vec![root.key("packs").error("the price list is too large")]),
            _ => Err(wrong),
        }
    }
}

impl Pack {
    fn prepare(&self, place: &Pointer, wrong: &mut Vec<ParameterError>) -> PricedPack {
        let free = Decimal::ZERO;
        PricedPack {
            price: each(&place.key("price"), self.price, wrong),
            credits: positive(&place.key("credits"), self.credits, wrong),
            bonus: each(&place.key("bonus"), self.bonus.unwrap_or(free), wrong),
            life: life(place, self.expires_days, wrong),
        }
    }
}

/// An amount for one pack; with the decimals of an amount, so that no number of packs is rounded.
fn each(place: &Pointer, value: Decimal, wrong: &mut Vec<ParameterError>) -> Rate {
    match value.amount() {
        Ok(_) => place.rate(value, Per::Unit, wrong),
        Err(error) => {
            wrong.push(place.error(error.to_string()));
            Rate::FREE
        }
    }
}

fn positive(place: &Pointer, value: Decimal, wrong: &mut Vec<ParameterError>) -> Rate {
    let rate = each(place, value, wrong);
    if value == Decimal::ZERO {
        wrong.push(place.error("expected more than 0: a pack of no credits is none"));
    }
    rate
}

fn credits(place: &Pointer, value: Decimal, wrong: &mut Vec<ParameterError>) -> Nanos {
    match value.amount() {
        Ok(amount) if amount.is_positive() => return amount,
        Ok(_) => wrong.push(place.error(format!("expected more than 0, found {value}"))),
        Err(error) => wrong.push(place.error(error.to_string())),
    }
    Nanos::ZERO
}

fn life(place: &Pointer, days: Option<u32>, wrong: &mut Vec<ParameterError>) -> Life {
    if let Some(days) = days.filter(|days| !(1..=LIFE_DAYS_MAX).contains(days)) {
        let message = format!(
            "expected 1 to {LIFE_DAYS_MAX} days, found {days}; leave it out for credits that never expire"
        );
        wrong.push(place.key("expires_days").error(message));
    }
    Life(days)
}
