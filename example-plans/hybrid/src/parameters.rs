//! What the pricing team edits. Every number is a decimal in quotes.

use farebox_plan::rate_card::{RateCard, RateList};
use farebox_plan::{
    Asset, Decimal, Entries, Nanos, ParameterError, Per, Pointer, Purpose, Rate, Rejection, Table,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::allowance::{Daily, DailyCredits, NAME_BYTES_MAX, check_text};
use crate::reserved::{Reserved, ReservedCredits};
use crate::{VOCABULARY, asset};

/// The deal. Amounts are per period.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// What the fee and overage are in: `usd` (unless said) or `eur`.
    #[serde(default = "usd")]
    pub currency: String,
    /// For a period, on the statement when it begins.
    pub fee: Decimal,
    /// What comes with the fee.
    pub pool: Pool,
    /// Credits that come each day and end with it. None: there are none.
    #[serde(default)]
    pub daily: Option<Daily>,
    /// Credits that come with the fee for some usage only, by the name that statements give them. They burn before the pool and
    /// end with the period. None: there are none.
    #[serde(default)]
    pub reserved: Entries<Reserved>,
    /// What things cost, in credits.
    pub rates: RateList,
    /// What happens beyond the pool. None: it ends there.
    #[serde(default)]
    pub beyond: Option<Beyond>,
    /// What of the pool goes on into the next period. None: nothing does.
    #[serde(default)]
    pub rollover: Option<Rollover>,
    /// Fees of plans that customers come from, by the plan's name: the part of such a fee that pays for the rest of the period is
    /// taken off when a customer changes to this plan at once.
    #[serde(default)]
    pub replaces: Entries<Decimal>,
}

fn usd() -> String {
    "usd".to_string()
}

/// Credits that come with the fee.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// How many, for a period.
    pub credits: Decimal,
    /// Where there are seats: the attribute of events that says whose they are (`user`). Each of its values has the credits
    /// of one seat then, from the first event on that needs them; so it is with what rolls over. None: all seats share them.
    #[serde(default)]
    pub each: Option<String>,
}

/// The price of what the pool does not cover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beyond {
    /// In the currency, for so many credits as `per` says.
    pub price: Decimal,
    /// `unit` (unless said), `thousand` or `million` credits.
    #[serde(default)]
    pub per: CreditsPer,
    /// `statement` (unless said): it is billed with the period. `wallet`: it burns money that was paid in before.
    #[serde(default)]
    pub collect: Collect,
}

/// How many credits a price is for.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditsPer {
    /// One.
    #[default]
    Unit,
    /// A thousand.
    Thousand,
    /// A million.
    Million,
}

/// How overage is collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Collect {
    /// On the statement, in arrears. How far it may go is a spending limit in the currency.
    #[default]
    Statement,
    /// From money in the wallet, in advance.
    Wallet,
}

/// What of the pool goes on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollover {
    /// At most so many credits.
    pub max: Decimal,
    /// Whether credits that were rolled over before go on again; `true` unless told.
    #[serde(default = "yes")]
    pub again: bool,
    /// Names of plans whose pool goes on when a customer changes from them to this one; none: that of every plan does.
    #[serde(default)]
    pub from: Option<Vec<String>>,
}

fn yes() -> bool {
    true
}

/// [`Parameters`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// Index into the assets of the vocabulary.
    currency: u32,
    pub(crate) fee: Nanos,
    pub(crate) pool: Nanos,
    /// Whose the pool's credits are; none: everybody's.
    pub(crate) each: Option<String>,
    pub(crate) daily: Option<DailyCredits>,
    pub(crate) reserved: Vec<ReservedCredits>,
    pub(crate) rates: RateCard,
    pub(crate) beyond: Option<Overage>,
    pub(crate) rollover: Option<RolledOver>,
    pub(crate) replaces: Table<Nanos>,
}

/// A [`Beyond`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Overage {
    rate: Rate,
    pub collect: Collect,
}

/// A [`Rollover`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RolledOver {
    pub max: Nanos,
    pub again: bool,
    from: Option<Vec<String>>,
}

impl RolledOver {
    /// Whether what is left of a plan's pool goes on behind a change to this one.
    pub(crate) fn is_from(&self, plan: &str) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|name| name == plan);
        self.from.as_ref().is_none_or(named)
    }
}

impl Overage {
    /// What so many credits would cost, were none of them in the pool.
    pub(crate) fn price(&self, credits: Nanos, purpose: Purpose) -> Result<Nanos, Rejection> {
        Ok(match purpose {
            Purpose::Usage => self.rate.price(credits)?,
            Purpose::WorstCase => self.rate.price_at_most(credits)?,
        })
    }
}

impl Prepared {
    /// What the fee and overage are in.
    pub(crate) fn currency(&self) -> Asset {
        VOCABULARY.assets[self.currency as usize].asset
    }
}

impl Parameters {
    /// All mistakes at once.
    pub fn prepare(&self) -> Result<Prepared, Vec<ParameterError>> {
        let root = Pointer::root();
        let mut wrong = Vec::new();
        let money = [asset::USD, asset::EUR];
        let currency = root.key("currency").asset(&self.currency, &money, &mut wrong);
        let fee = root.key("fee").amount(self.fee, &mut wrong);
        let pool = root
            .key("pool")
            .key("credits")
            .amount(self.pool.credits, &mut wrong);
        if let Some(attribute) = &self.pool.each {
            let place = root.key("pool").key("each");
            check_text("the attribute", attribute, NAME_BYTES_MAX, &place, &mut wrong);
        }
        let daily = self.daily.as_ref();
        let daily = daily.map(|daily| daily.prepare(&root.key("daily"), &mut wrong));
        let reserved = ReservedCredits::prepare(&self.reserved, &root.key("reserved"), &mut wrong);
        let rates = self.rates.prepare(&root.key("rates"));
        let rates = rates.map_err(|errors| wrong.extend(errors)).ok();
        let beyond = self.beyond.as_ref().map(|beyond| Overage {
            rate: rate(&root.key("beyond").key("price"), beyond, &mut wrong),
            collect: beyond.collect,
        });
        let rollover = self.rollover.as_ref().map(|rollover| RolledOver {
            max: root.key("rollover").key("max").amount(rollover.max, &mut wrong),
            again: rollover.again,
            from: rollover.from.clone(),
        });
        let mut table = Table::builder();
        for (name, fee) in self.replaces.iter() {
            let fee = root.key("replaces").key(name).amount(*fee, &mut wrong);
            // Keys of an object are there once.
            drop(table.insert([name], &fee));
        }
        match (currency, rates, table.build()) {
            (Some(currency), Some(rates), Some(replaces)) if wrong.is_empty() => Ok(Prepared {
                currency: currency.index(),
                fee,
                pool,
                each: self.pool.each.clone(),
                daily,
                reserved,
                rates,
                beyond,
                rollover,
                replaces,
            }),
            (_, _, None) => Err(vec![root.key("replaces").error("the list is too large")]),
            _ => Err(wrong),
        }
    }
}

fn rate(place: &Pointer, beyond: &Beyond, wrong: &mut Vec<ParameterError>) -> Rate {
    let per = match beyond.per {
        CreditsPer::Unit => Per::Unit,
        CreditsPer::Thousand => Per::Thousand,
        CreditsPer::Million => Per::Million,
    };
    match Rate::new(beyond.price, per) {
        Ok(rate) if !rate.is_negative() && !rate.is_free() => return rate,
        Ok(_) => {
            let message = format!(
                "expected more than 0, found {}; for a pool without an end, give a larger pool",
                beyond.price
            );
            wrong.push(place.error(message));
        }
        Err(error) => wrong.push(place.error(error.to_string())),
    }
    Rate::FREE
}
