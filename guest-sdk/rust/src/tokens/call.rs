//! A call, kind of token by kind of token.

use farebox_money::Nanos;

use super::kind::{ALL, Kind, TokenNames, prompt, tokens};
use super::prices::{RequestRates, TokenPrices};
use crate::{Charge, Outcome, Posted, Purpose, Rate, Rejection, Usage};

/// The tokens of one kind in a call, and what they cost.
#[derive(Debug, Clone, Copy)]
pub struct Line<'r> {
    /// Which kind.
    pub kind: Kind,
    /// How many; in a quote, how many at most.
    pub quantity: Nanos,
    /// What one costs.
    pub rate: Rate,
    /// What they cost, rounded once, half to even; in a quote, what they cost at most, rounded up.
    pub amount: Nanos,
    pub(super) at_most: bool,
    pub(super) rates: &'r RequestRates<'r>,
}

impl Line<'_> {
    /// Where the price stands in the list, for people.
    pub fn why(&self) -> String {
        let place = self.rates.why(self.kind);
        match self.at_most {
            true => format!("at most, rounded up: {place}"),
            false => place,
        }
    }

    /// Posts the line as this charge.
    #[inline]
    pub fn post<'o>(&self, charge: Charge<'o>) -> Result<Posted<'o>, Rejection> {
        match self.at_most {
            true => charge.amount(self.amount, self.quantity, || self.why()),
            false => charge.priced(self.rate, self.amount, self.quantity, || self.why()),
        }
    }
}

impl TokenPrices {
    /// Gives each kind of token in a call to `each`, in the order of the statement: those that were used, or, for a quote,
    /// those of the dearest way in which the stated maximums can turn out.
    ///
    /// A call that counts no tokens at all is refused, as is one of a model, a kind of token or terms without a price.
    pub fn lines(
        &self,
        names: &TokenNames,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
        each: impl FnMut(&mut Outcome, Line<'_>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        match usage.purpose() {
            Purpose::Usage => self.used(names, usage, outcome, each),
            Purpose::WorstCase => self.quote(names, usage, outcome, each),
        }
    }

    fn used(
        &self,
        names: &TokenNames,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
        mut each: impl FnMut(&mut Outcome, Line<'_>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let model = self.model(names, usage, outcome)?;
        let tokens = tokens(names, usage)?;
        if tokens.iter().all(Option::is_none) {
            let message = "the call carries no count of tokens at all; 0 says that there were none";
            return Err(Rejection::missing(names.measure(Kind::Input).name(), message));
        }
        let rates = model.rates(names, prompt(&tokens)?, usage, outcome)?;
        for kind in ALL {
            let Some(quantity) = tokens[kind as usize].filter(|quantity| quantity.is_positive()) else {
                continue;
            };
            let rate = rates.of(kind)?;
            let line = Line {
                kind,
                quantity,
                rate,
                amount: rate.price(quantity)?,
                at_most: false,
                rates: &rates,
            };
            each(outcome, line)?;
        }
        Ok(())
    }
}
