//! Rate cards: what everything that is sold costs in one asset, calls by their tokens and actions by the piece or by what they
//! cost the provider. The middle of every plan with credits or a pool.
//!
//! [`RateList`] is what the pricing team edits, a part of a plan's parameters; [`RateCard`] is what a plan keeps of it. An
//! event of the type that [`RateNames::call`] names is priced by its tokens, one of [`RateNames::perform`] by the action that it
//! names.

mod action;

use farebox_money::Nanos;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tokens::{Kind, Line, TokenList, TokenNames, TokenPrices};
use crate::{
    Attribute, Charge, Entries, EventType, Measure, Outcome, ParameterError, Pointer, Posted, Quoted,
    Rejection, Table, Usage,
};

pub use action::ActionPrice;
use action::{ActionRate, Priced};

/// What is sold, and for how much of the plan's asset: a part of a plan's parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateList {
    /// Calls to language models, by their tokens; prices per million.
    #[serde(default)]
    pub tokens: Option<TokenList>,
    /// Other things, by the value of `action`.
    #[serde(default)]
    pub actions: Entries<ActionPrice>,
}

/// How a plan names what it sells: constants of its [`vocabulary!`](crate::vocabulary).
#[derive(Debug, Clone, Copy)]
pub struct RateNames {
    /// The type of calls to language models: `llm.call`.
    pub call: EventType,
    /// What such a call is priced by.
    pub tokens: TokenNames,
    /// The type of everything else: `action`.
    pub perform: EventType,
    /// Names the action: `action`.
    pub action: Attribute,
    /// How often it was done; once, unless the event says it: `count`.
    pub count: Measure,
}

/// [`RateNames`] of a plan whose vocabulary uses the usual constants: those of [`token_names!`](crate::token_names), events
/// `CALL` and `ACTION`, the attribute `ACTION` and the measure `COUNT`.
#[macro_export]
macro_rules! rate_names {
    () => {
        $crate::rate_card::RateNames {
            call: event::CALL,
            tokens: $crate::token_names!(),
            perform: event::ACTION,
            action: attribute::ACTION,
            count: measure::COUNT,
        }
    };
}

/// A [`RateList`], checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct RateCard {
    tokens: Option<TokenPrices>,
    actions: Table<ActionRate>,
}

/// What an item of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Tokens of a kind.
    Tokens(Kind),
    /// An action.
    Action,
}

/// A part of what an event costs.
#[derive(Debug)]
pub struct Item<'r>(Source<'r>);

#[derive(Debug)]
enum Source<'r> {
    Tokens(Line<'r>),
    Action(Priced<'r>),
}

impl RateList {
    /// The rate card, or every mistake with its place below `place`.
    pub fn prepare(&self, place: &Pointer) -> Result<RateCard, Vec<ParameterError>> {
        let mut errors = Vec::new();
        if self.tokens.is_none() && self.actions.is_empty() {
            errors.push(place.error("expected `tokens` or `actions`, or both: nothing is priced"));
        }
        let tokens = self
            .tokens
            .as_ref()
            .map(|list| list.prepare(&place.key("tokens")));
        let tokens = tokens.transpose().unwrap_or_else(|wrong| {
            errors.extend(wrong);
            None
        });
        let mut table = Table::builder();
        for (name, price) in self.actions.iter() {
            let place = place.key("actions").key(name);
            match price.prepare(&place) {
                // Keys of an object are there once.
                Ok(rate) => drop(table.insert([name], &rate)),
                Err(wrong) => errors.extend(wrong),
            }
        }
        match table.build() {
            Some(actions) if errors.is_empty() => Ok(RateCard { tokens, actions }),
            Some(_) => Err(errors),
            None => Err(vec![place.error("the rate card is too large")]),
        }
    }
}

impl RateCard {
    /// Gives each part of what an event costs to `each`: for a quote, of the dearest way in which its maximums can turn out.
    pub fn items(
        &self,
        names: &RateNames,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
        mut each: impl FnMut(&mut Outcome, Item<'_>) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        if usage.is(names.call) {
            let unpriced = || Rejection::Unpriceable("the rate card has no prices for tokens".to_string());
            let tokens = self.tokens.as_ref().ok_or_else(unpriced)?;
            return tokens.lines(&names.tokens, usage, outcome, |outcome, line| {
                each(outcome, Item(Source::Tokens(line)))
            });
        }
        let name = usage.needed_attribute(names.action)?;
        let unpriced =
            || Rejection::Unpriceable(format!("the action {} is not on the rate card", Quoted(name)));
        let rate = self.actions.get(name).ok_or_else(unpriced)?;
        let priced = rate.priced(name, names.count, usage)?;
        each(outcome, Item(Source::Action(priced)))
    }
}

impl Item<'_> {
    /// What it is.
    pub fn what(&self) -> What {
        match &self.0 {
            Source::Tokens(line) => What::Tokens(line.kind),
            Source::Action(_) => What::Action,
        }
    }

    /// What it costs, rounded once; in a quote, at most.
    pub fn amount(&self) -> Nanos {
        match &self.0 {
            Source::Tokens(line) => line.amount,
            Source::Action(priced) => priced.amount,
        }
    }

    /// Posts it as this charge.
    pub fn post<'o>(&self, charge: Charge<'o>) -> Result<Posted<'o>, Rejection> {
        match &self.0 {
            Source::Tokens(line) => line.post(charge),
            Source::Action(priced) => charge.amount(priced.amount, priced.count, || priced.why()),
        }
    }
}
