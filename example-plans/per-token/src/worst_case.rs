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

use farebox_plan::{Nanos, Outcome, Overflow, Rate, Rejection, Usage};

use crate::kind::{ALL, KINDS, Kind, PROMPT, WRITTEN, tokens};
use crate::prices::{PricedModel, Prices, RequestRates};

/// At most so many tokens, and the kind that they turn out as.
#[derive(Clone, Copy)]
struct Line {
    kind: Kind,
    rate: Rate,
    quantity: Nanos,
}

/// The lines of one way, and what they come to.
struct Way<'m> {
    /// None for kinds that it has none of.
    lines: [Option<Line>; KINDS],
    total: Nanos,
    /// Of the total, what rounding kind by kind can add.
    slack: Nanos,
    rates: RequestRates<'m>,
}

/// Posts the dearest way.
pub(crate) fn quote(prices: &Prices, usage: &Usage<'_>, outcome: &mut Outcome) -> Result<(), Rejection> {
    let model = prices.model(usage, outcome)?;
    let maximums = maximums(&model, usage)?;
    let longest = crate::kind::prompt(&maximums)?;
    let mut dearest: Option<Way<'_>> = None;
    for bracket in model.rates_up_to(longest, usage) {
        let (prompt, rates) = bracket?;
        let way = dearest_way(&maximums, prompt, rates)?;
        if dearest.as_ref().is_none_or(|most| way.total > most.total) {
            dearest = Some(way);
        }
    }
    let Some(Way {
        lines,
        mut slack,
        rates,
        ..
    }) = dearest
    else {
        return Ok(());
    };
    for line in lines.iter().flatten() {
        let amount = line
            .rate
            .price_at_most(line.quantity)?
            .checked_add(slack)
            .ok_or(Overflow)?;
        slack = Nanos::ZERO;
        let why = || format!("at most, rounded up: {}", rates.why(line.kind));
        outcome
            .charge(line.kind.code(), prices.asset())
            .amount(amount, line.quantity, why)?;
    }
    Ok(())
}

/// What the caller states, with the defaults of the price list for the two budgets.
fn maximums(model: &PricedModel, usage: &Usage<'_>) -> Result<[Option<Nanos>; KINDS], Rejection> {
    let mut maximums = tokens(usage)?;
    let missing = |kind: Kind| {
        let message = "a worst case needs a maximum, and the price list has no default for it";
        Rejection::missing(kind.measure().name(), message)
    };
    let input = &mut maximums[Kind::Input as usize];
    *input = Some(input.or(model.max_input).ok_or_else(|| missing(Kind::Input))?);
    if model.writes() {
        let output = &mut maximums[Kind::Output as usize];
        *output = Some(output.or(model.max_output).ok_or_else(|| missing(Kind::Output))?);
    }
    Ok(maximums)
}

/// Fills the prompt, dearest tokens first, up to the size that the bracket allows; then what is written.
fn dearest_way<'m>(
    maximums: &[Option<Nanos>; KINDS],
    prompt: Nanos,
    rates: RequestRates<'m>,
) -> Result<Way<'m>, Rejection> {
    let mut lines = [None; KINDS];
    let (prompt_lines, written_lines) = lines.split_at_mut(PROMPT.len());
    candidates(&PROMPT, maximums, &rates, prompt_lines)?;
    candidates(&WRITTEN, maximums, &rates, written_lines)?;
    prompt_lines.sort_unstable_by_key(|line: &Option<Line>| std::cmp::Reverse(line.map(|line| line.rate)));
    let mut room = prompt;
    for line in prompt_lines.iter_mut().flatten() {
        line.quantity = line.quantity.min(room);
        room = room.checked_sub(line.quantity).ok_or(Overflow)?;
    }
    let slack = slack(maximums, &rates);
    let mut total = slack;
    for line in &mut lines {
        *line = line.filter(|line| line.quantity.is_positive());
        let amount = line.map_or(Ok(Nanos::ZERO), |line| line.rate.price_at_most(line.quantity))?;
        total = total.checked_add(amount).ok_or(Overflow)?;
    }
    Ok(Way {
        lines,
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
    lines: &mut [Option<Line>],
) -> Result<(), Rejection> {
    let budget = maximums[kinds[0] as usize].unwrap_or_default();
    let mut dearest = rates.find(kinds[0]).map(|rate| (rate, kinds[0]));
    for (line, kind) in lines[1..].iter_mut().zip(&kinds[1..]) {
        match maximums[*kind as usize] {
            None => {
                let other = rates.find(*kind).map(|rate| (rate, *kind));
                dearest = match (dearest, other) {
                    (Some(most), Some(other)) if other.0 > most.0 => Some(other),
                    (most, other) => most.or(other),
                };
            }
            Some(quantity) if quantity.is_positive() => {
                *line = Some(Line {
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
            lines[0] = Some(Line {
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
