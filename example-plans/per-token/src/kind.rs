//! The kinds of tokens that providers price apart.

use farebox_plan::{ChargeCode, Measure, Nanos, Overflow, Rejection, Usage};

use crate::{charge, measure};

/// What a token is billed as. The pools are disjoint: a token read from the cache is no input token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Input = 0,
    CacheRead = 1,
    CacheWrite5m = 2,
    CacheWrite1h = 3,
    Output = 4,
    Reasoning = 5,
}

/// How many there are.
pub(crate) const KINDS: usize = 6;

/// All, in the order of the statement.
pub(crate) const ALL: [Kind; KINDS] = [
    Kind::Input,
    Kind::CacheRead,
    Kind::CacheWrite5m,
    Kind::CacheWrite1h,
    Kind::Output,
    Kind::Reasoning,
];

/// Those that make up the prompt, by whose size long prompts are told.
pub(crate) const PROMPT: [Kind; 4] = [
    Kind::Input,
    Kind::CacheRead,
    Kind::CacheWrite5m,
    Kind::CacheWrite1h,
];

/// Those that the model writes.
pub(crate) const WRITTEN: [Kind; 2] = [Kind::Output, Kind::Reasoning];

impl Kind {
    /// The measure that counts them.
    pub(crate) fn measure(self) -> Measure {
        match self {
            Kind::Input => measure::INPUT,
            Kind::CacheRead => measure::CACHE_READ,
            Kind::CacheWrite5m => measure::CACHE_WRITE_5M,
            Kind::CacheWrite1h => measure::CACHE_WRITE_1H,
            Kind::Output => measure::OUTPUT,
            Kind::Reasoning => measure::REASONING,
        }
    }

    /// The line of the statement that they make.
    pub(crate) fn code(self) -> ChargeCode {
        match self {
            Kind::Input => charge::INPUT,
            Kind::CacheRead => charge::CACHE_READ,
            Kind::CacheWrite5m => charge::CACHE_WRITE_5M,
            Kind::CacheWrite1h => charge::CACHE_WRITE_1H,
            Kind::Output => charge::OUTPUT,
            Kind::Reasoning => charge::REASONING,
        }
    }

    /// Its field in the price list.
    pub(crate) fn field(self) -> &'static str {
        match self {
            Kind::Input => "input",
            Kind::CacheRead => "cache_read",
            Kind::CacheWrite5m => "cache_write_5m",
            Kind::CacheWrite1h => "cache_write_1h",
            Kind::Output => "output",
            Kind::Reasoning => "reasoning",
        }
    }
}

/// What the event says of each kind. Tokens are whole: half a token is a mistake of the sender.
pub(crate) fn tokens(usage: &Usage<'_>) -> Result<[Option<Nanos>; KINDS], Rejection> {
    let mut tokens = [None; KINDS];
    for kind in ALL {
        tokens[kind as usize] = usage.whole(kind.measure())?;
    }
    Ok(tokens)
}

/// The size of the prompt.
pub(crate) fn prompt(tokens: &[Option<Nanos>; KINDS]) -> Result<Nanos, Overflow> {
    Nanos::checked_sum(PROMPT.iter().filter_map(|kind| tokens[*kind as usize])).ok_or(Overflow)
}
