//! The kinds of tokens that providers price apart, and how a plan names them.

use farebox_money::Nanos;

use crate::{Attribute, Measure, Overflow, Rejection, Usage};

/// What a token is billed as. The pools are disjoint: a token read from the cache is no input token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the prompt, and in no cache.
    Input = 0,
    /// Of the prompt, read from the cache.
    CacheRead = 1,
    /// Of the prompt, written to the cache for 5 minutes.
    CacheWrite5m = 2,
    /// Of the prompt, written to the cache for 1 hour.
    CacheWrite1h = 3,
    /// Written by the model.
    Output = 4,
    /// Written by the model for itself.
    Reasoning = 5,
}

/// How many there are.
pub const KINDS: usize = 6;

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

/// How a plan names what a call is priced by: constants of its [`vocabulary!`](crate::vocabulary).
#[derive(Debug, Clone, Copy)]
pub struct TokenNames {
    /// Names the model: `model`.
    pub model: Attribute,
    /// Names other terms for the same tokens: `service_tier`.
    pub service_tier: Attribute,
    /// Names where inference runs: `inference_region`.
    pub inference_region: Attribute,
    /// Counts the tokens of each [`Kind`], in its order: `input_tokens` ...
    pub measures: [Measure; KINDS],
}

/// [`TokenNames`] of a plan whose vocabulary uses the usual constants: attributes `MODEL`, `SERVICE_TIER` and
/// `INFERENCE_REGION`, measures `INPUT`, `CACHE_READ`, `CACHE_WRITE_5M`, `CACHE_WRITE_1H`, `OUTPUT` and `REASONING`.
#[macro_export]
macro_rules! token_names {
    () => {
        $crate::tokens::TokenNames {
            model: attribute::MODEL,
            service_tier: attribute::SERVICE_TIER,
            inference_region: attribute::INFERENCE_REGION,
            measures: [
                measure::INPUT,
                measure::CACHE_READ,
                measure::CACHE_WRITE_5M,
                measure::CACHE_WRITE_1H,
                measure::OUTPUT,
                measure::REASONING,
            ],
        }
    };
}

/// The charge of a [`Kind`], for a plan whose vocabulary has one for each, named like the measures of [`token_names!`].
#[macro_export]
macro_rules! token_code {
    ($kind:expr) => {
        match $kind {
            $crate::tokens::Kind::Input => charge::INPUT,
            $crate::tokens::Kind::CacheRead => charge::CACHE_READ,
            $crate::tokens::Kind::CacheWrite5m => charge::CACHE_WRITE_5M,
            $crate::tokens::Kind::CacheWrite1h => charge::CACHE_WRITE_1H,
            $crate::tokens::Kind::Output => charge::OUTPUT,
            $crate::tokens::Kind::Reasoning => charge::REASONING,
        }
    };
}

impl TokenNames {
    pub(crate) fn measure(&self, kind: Kind) -> Measure {
        self.measures[kind as usize]
    }
}

impl Kind {
    /// All, in the order of the statement.
    pub const ALL: [Kind; KINDS] = ALL;

    /// Its field in the price list.
    pub fn field(self) -> &'static str {
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
pub(crate) fn tokens(names: &TokenNames, usage: &Usage<'_>) -> Result<[Option<Nanos>; KINDS], Rejection> {
    let mut tokens = [None; KINDS];
    for kind in ALL {
        tokens[kind as usize] = usage.whole(names.measure(kind))?;
    }
    Ok(tokens)
}

/// The size of the prompt.
pub(crate) fn prompt(tokens: &[Option<Nanos>; KINDS]) -> Result<Nanos, Overflow> {
    Nanos::checked_sum(PROMPT.iter().filter_map(|kind| tokens[*kind as usize])).ok_or(Overflow)
}
