//! The dearest way in which a call within stated maximums can turn out.
//!
//! How the maximums are read:
//! - `input_tokens` is a budget for the prompt. A prompt token may turn out as any kind that the caller says nothing
//!   about: stating `input_tokens` alone holds the dearest cache write. A kind that is stated has its own maximum
//!   beside the budget, and `cache_write_1h_tokens: 0` says that there will be none.
//! - `output_tokens` is a budget for what the model writes, reasoning included unless `reasoning_tokens` is stated.
//! - The prompt can be as long as all its maximums together, or shorter: every bracket on the way is looked at, each
//!   with the longest prompt that meets it, and the dearest one is quoted.
//! - Amounts are rounded up, and where prices have more digits than amounts, half a unit of the last digit is added
//!   for each kind: usage is rounded per kind, and every one of them might go up.

use farebox_money::Nanos;

use super::call::Line;
use super::kind::{ALL, KINDS, Kind, PROMPT, TokenNames, WRITTEN, prompt, tokens};
use super::prices::{PricedModel, RequestRates, TokenPrices};
use crate::{Outcome, Overflow, Rate, Rejection, Usage};

/// At most so many tokens, and the kind that they turn out as.
#[derive(Clone, Copy)]
struct Part {
    kind: Kind,
    rate: Rate,
    quantity: Nanos,
}

/// The parts of one way, and what they come to.
struct Way<'m> {
    /// None for kinds that it has none of.
    parts: [Option<Part>; KINDS],
    total: Nanos,
    /// Of the total, what rounding kind by kind can add.
    slack: Nanos,
    rates: RequestRates<'m>,
}

impl TokenPrices {
    /// Gives the lines of the dearest way to `each`.
    pub(super) fn quote(
        &self,
        names: &TokenNames,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
        mut each: impl FnMut(&mut Outcome, Line<'_>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let model = self.model(names, usage, outcome)?;
        let maximums = maximums(names, &model, usage)?;
        let longest = prompt(&maximums)?;
        let mut dearest: Option<Way<'_>> = None;
        for bracket in model.rates_up_to(names, longest, usage) {
            let (prompt, rates) = bracket?;
            let way = dearest_way(&maximums, prompt, rates)?;
            if dearest.as_ref().is_none_or(|most| way.total > most.total) {
                dearest = Some(way);
            }
        }
        let Some(way) = dearest else {
            return Ok(());
        };
        let mut slack = way.slack;
        for part in way.parts.iter().flatten() {
            let amount = part.rate.price_at_most(part.quantity)?;
            let line = Line {
                kind: part.kind,
                quantity: part.quantity,
                rate: part.rate,
                amount: amount.checked_add(std::mem::take(&mut slack)).ok_or(Overflow)?,
                at_most: true,
                rates: &way.rates,
            };
            each(outcome, line)?;
        }
        Ok(())
    }
}

/// What the caller states, with the defaults of the price list for the two budgets.
fn maximums(
    names: &TokenNames,
    model: &PricedModel,
    usage: &Usage<'_>,
) -> Result<[Option<Nanos>; KINDS], Rejection> {
    let mut maximums = tokens(names, usage)?;
    let missing = |kind: Kind| {
        let message = "a worst case needs a maximum, and the price list has no default for it";
        Rejection::missing(names.measure(kind).name(), message)
    };
    let input = &mut maximums[Kind::Input as usize];
    *input = Some(input.or(model.max_input()).ok_or_else(|| missing(Kind::Input))?);
    if model.writes() {
        let output = &mut maximums[Kind::Output as usize];
        *output = Some(
            output
                .or(model.max_output())
                .ok_or_else(|| missing(Kind::Output))?,
        );
    }
    Ok(maximums)
}

/// Fills the prompt, dearest tokens first, up to the size that the bracket allows; then what is written.
fn dearest_way<'m>(
    maximums: &[Option<Nanos>; KINDS],
    prompt: Nanos,
    rates: RequestRates<'m>,
) -> Result<Way<'m>, Rejection> {
    let mut parts = [None; KINDS];
    let (prompt_parts, written_parts) = parts.split_at_mut(PROMPT.len());
    candidates(&PROMPT, maximums, &rates, prompt_parts)?;
    candidates(&WRITTEN, maximums, &rates, written_parts)?;
    prompt_parts.sort_unstable_by_key(|part: &Option<Part>| std::cmp::Reverse(part.map(|part| part.rate)));
    let mut room = prompt;
    for part in prompt_parts.iter_mut().flatten() {
        part.quantity = part.quantity.min(room);
        room = room.checked_sub(part.quantity).ok_or(Overflow)?;
    }
    let slack = slack(maximums, &rates);
    let mut total = slack;
    for part in &mut parts {
        *part = part.filter(|part| part.quantity.is_positive());
        let amount = part.map_or(Ok(Nanos::ZERO), |part| part.rate.price_at_most(part.quantity))?;
        total = total.checked_add(amount).ok_or(Overflow)?;
    }
    Ok(Way {
        parts,
        total,
        slack,
        rates,
    })
}

/// The budget of the first kind at the dearest price of the kinds that share it, and the others that are stated.
fn candidates(
    kinds: &[Kind],
    maximums: &[Option<Nanos>; KINDS],
    rates: &RequestRates<'_>,
    parts: &mut [Option<Part>],
) -> Result<(), Rejection> {
    let budget = maximums[kinds[0] as usize].unwrap_or_default();
    let mut dearest = rates.find(kinds[0]).map(|rate| (rate, kinds[0]));
    for (part, kind) in parts[1..].iter_mut().zip(&kinds[1..]) {
        match maximums[*kind as usize] {
            None => {
                let other = rates.find(*kind).map(|rate| (rate, *kind));
                dearest = match (dearest, other) {
                    (Some(most), Some(other)) if other.0 > most.0 => Some(other),
                    (most, other) => most.or(other),
                };
            }
            Some(quantity) if quantity.is_positive() => {
                *part = Some(Part {
                    kind: *kind,
                    rate: rates.of(*kind)?,
                    quantity,
                });
            }
            Some(_) => {}
        }
    }
    match dearest {
        Some((rate, kind)) => {
            parts[0] = Some(Part {
                kind,
                rate,
                quantity: budget,
            })
        }
        None if budget.is_positive() => drop(rates.of(kinds[0])?),
        None => {}
    }
    Ok(())
}

/// How much the rounding of usage, kind by kind, can add to the exact sum: half of 10^-9 for each price that has more
/// digits than an amount, as long as there are tokens of that kind at all.
fn slack(maximums: &[Option<Nanos>; KINDS], rates: &RequestRates<'_>) -> Nanos {
    let possible = |kind: &&Kind| maximums[**kind as usize].is_none_or(Nanos::is_positive);
    let rounded = |kind: &&Kind| {
        rates
            .find(**kind)
            .is_some_and(|rate| !rate.is_exact_for_whole_units())
    };
    Nanos::new(ALL.iter().filter(possible).filter(rounded).count() as i128 / 2)
}
