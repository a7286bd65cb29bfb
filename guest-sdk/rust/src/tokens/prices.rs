//! The price list in the form in which events meet it: checked, exact, and looked up by name.

use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use super::kind::{ALL, KINDS, Kind, TokenNames};
use super::price_list::{Bracket, Model, Provider, ServiceTier, TokenList};
use crate::{
    Brackets, Decimal, Entries, Outcome, ParameterError, Per, Pointer, Quoted, Rate, Rejection, Table, Usage,
};

/// The terms of the price list itself, by name.
const STANDARD: &str = "standard";

/// A prepared price list: what calls are priced by, and what they are quoted by.
#[derive(Debug, Serialize, Deserialize)]
pub struct TokenPrices {
    models: Table<PricedModel>,
}

/// A price per kind, where there is one.
type Rates = [Option<Rate>; KINDS];

/// Everything about one model.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PricedModel {
    name: String,
    brackets: Brackets<Rates>,
    /// By name; the standard one is not among them. A table, as few events name one: what none names is not decoded.
    service_tiers: Table<[Decimal; KINDS]>,
    /// By name.
    regions: Table<Decimal>,
    /// What a quote assumes where the event is silent.
    assumed: Assumed,
}

/// The prices of one request.
#[derive(Debug)]
pub(crate) struct RequestRates<'m> {
    model: &'m str,
    /// The threshold that its prompt lies above.
    above: Option<Nanos>,
    /// Those of the price list, or of the terms below.
    rates: Cow<'m, Rates>,
    terms: Terms<'m>,
    names: &'m TokenNames,
}

/// Other terms than those of the price list, where an event asks for them.
#[derive(Debug, Clone, Copy)]
struct Terms<'m> {
    service_tier: Option<&'m str>,
    region: Option<&'m str>,
}

/// What a quote assumes where neither the event nor the model says it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Assumed {
    /// Instead of `input_tokens`.
    pub input_tokens: Option<u32>,
    /// Instead of `output_tokens`.
    pub output_tokens: Option<u32>,
}

impl TokenList {
    /// The prices, or every mistake with its place below `place`.
    pub fn prepare(&self, place: &Pointer) -> Result<TokenPrices, Vec<ParameterError>> {
        let assumed = Assumed {
            input_tokens: self.max_input_tokens,
            output_tokens: self.max_output_tokens,
        };
        TokenPrices::prepare(&self.providers, assumed, place)
    }
}

impl TokenPrices {
    /// Checks everything that a request could run into, so that none does. `place` is where `providers` stands.
    pub fn prepare(
        providers: &Entries<Provider>,
        assumed: Assumed,
        place: &Pointer,
    ) -> Result<TokenPrices, Vec<ParameterError>> {
        let mut errors = Vec::new();
        let mut table = Table::builder();
        for (provider_name, provider) in providers.iter() {
            let models = place.key("providers").key(provider_name).key("models");
            for (name, model) in provider.models.iter() {
                let place = models.key(name);
                let priced = PricedModel::prepare(name, model, provider, assumed, &place, &mut errors);
                let Some(priced) = priced else {
                    errors.push(place.error("its service tiers and regions are too large"));
                    continue;
                };
                let aliases = model.aliases.iter().map(String::as_str);
                for taken in table.insert(std::iter::once(name).chain(aliases), &priced) {
                    errors.push(place.error(format!("the name {:?} is taken by another model", taken.name)));
                }
            }
        }
        match table.build() {
            Some(models) if errors.is_empty() => Ok(TokenPrices { models }),
            Some(_) => Err(errors),
            None => Err(vec![place.error("the price list is too large")]),
        }
    }

    /// The model of a request.
    pub(crate) fn model(
        &self,
        names: &TokenNames,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
    ) -> Result<Rc<PricedModel>, Rejection> {
        let name = usage.needed_attribute(names.model)?;
        let model = self.models.get(name).ok_or_else(|| {
            Rejection::Unpriceable(format!("the model {} is not in the price list", Quoted(name)))
        })?;
        outcome.explain("model", || {
            (model.name.clone(), format!("the event says {}", Quoted(name)))
        });
        Ok(model)
    }
}

impl PricedModel {
    /// None where its terms are too large to be encoded.
    fn prepare(
        name: &str,
        model: &Model,
        provider: &Provider,
        assumed: Assumed,
        place: &Pointer,
        errors: &mut Vec<ParameterError>,
    ) -> Option<PricedModel> {
        let brackets = brackets(model, place, errors);
        let (service_tiers, regions) = (service_tiers(model, provider), regions(model, provider));
        check_terms(&brackets, &service_tiers, &regions, place, errors);
        Some(PricedModel {
            name: name.to_string(),
            brackets,
            service_tiers: table(&service_tiers)?,
            regions: table(&regions)?,
            assumed: Assumed {
                input_tokens: model.max_input_tokens.or(assumed.input_tokens),
                output_tokens: model.max_output_tokens.or(assumed.output_tokens),
            },
        })
    }

    /// The prices of a request whose prompt has that size.
    pub(crate) fn rates<'m>(
        &'m self,
        names: &'m TokenNames,
        prompt: Nanos,
        usage: &Usage<'m>,
        outcome: &mut Outcome,
    ) -> Result<RequestRates<'m>, Rejection> {
        let (above, rates) = self.brackets.at(prompt);
        let request = self.with_terms(names, above, rates, usage)?;
        outcome.explain("prompt", || (format!("{prompt} tokens"), request.bracket()));
        Ok(request)
    }

    /// The prices of every bracket that a prompt of at most that size can meet, each with the largest such size.
    pub(crate) fn rates_up_to<'m>(
        &'m self,
        names: &'m TokenNames,
        prompt: Nanos,
        usage: &Usage<'m>,
    ) -> impl Iterator<Item = Result<(Nanos, RequestRates<'m>), Rejection>> {
        self.brackets.up_to(prompt).map(move |(end, rates)| {
            Ok((
                end,
                self.with_terms(names, self.brackets.at(end).0, rates, usage)?,
            ))
        })
    }

    /// Puts the multipliers on that the event asks for.
    #[inline]
    fn with_terms<'m>(
        &'m self,
        names: &'m TokenNames,
        above: Option<Nanos>,
        rates: &'m Rates,
        usage: &Usage<'m>,
    ) -> Result<RequestRates<'m>, Rejection> {
        let terms = Terms {
            service_tier: usage
                .attribute(names.service_tier)
                .filter(|tier| *tier != STANDARD),
            region: usage.attribute(names.inference_region),
        };
        Ok(RequestRates {
            model: &self.name,
            above,
            rates: match terms.are_none() {
                true => Cow::Borrowed(rates),
                false => Cow::Owned(self.multiplied(*rates, terms)?),
            },
            terms,
            names,
        })
    }

    fn multiplied(&self, mut rates: Rates, terms: Terms<'_>) -> Result<Rates, Rejection> {
        let multipliers = match terms.service_tier {
            None => [Decimal::ONE; KINDS],
            Some(tier) => *self
                .service_tiers
                .get(tier)
                .ok_or_else(|| self.not_offered("service tier", tier))?,
        };
        let factor = match terms.region {
            None => None,
            Some(region) => Some(
                *self
                    .regions
                    .get(region)
                    .ok_or_else(|| self.not_offered("inference region", region))?,
            ),
        };
        for (rate, multiplier) in rates.iter_mut().zip(multipliers) {
            if let Some(rate) = rate {
                *rate = multiplied(*rate, multiplier, factor)?;
            }
        }
        Ok(rates)
    }

    /// How long a prompt a quote assumes where the event is silent.
    pub(crate) fn max_input(&self) -> Option<Nanos> {
        self.assumed
            .input_tokens
            .map(|tokens| Nanos::units(tokens.into()))
    }

    /// How much it writes, likewise.
    pub(crate) fn max_output(&self) -> Option<Nanos> {
        self.assumed
            .output_tokens
            .map(|tokens| Nanos::units(tokens.into()))
    }

    /// Whether it writes text at all.
    pub(crate) fn writes(&self) -> bool {
        self.brackets.at(Nanos::ZERO).1[Kind::Output as usize].is_some()
    }

    fn not_offered(&self, what: &str, name: &str) -> Rejection {
        Rejection::Unpriceable(format!(
            "the price list has no {what} {} for {}",
            Quoted(name),
            self.name
        ))
    }
}

impl RequestRates<'_> {
    /// The price of a kind.
    #[inline]
    pub(crate) fn of(&self, kind: Kind) -> Result<Rate, Rejection> {
        self.rates[kind as usize].ok_or_else(|| self.no_price(kind))
    }

    #[cold]
    fn no_price(&self, kind: Kind) -> Rejection {
        Rejection::Unpriceable(format!(
            "{} has no price for {}",
            self.model,
            self.names.measure(kind).name()
        ))
    }

    /// The price of a kind, if it has one.
    pub(crate) fn find(&self, kind: Kind) -> Option<Rate> {
        self.rates[kind as usize]
    }

    /// Where a price stands in the list, for people.
    pub(crate) fn why(&self, kind: Kind) -> String {
        format!(
            "{} of {}, {}{}",
            kind.field(),
            self.model,
            self.bracket(),
            self.terms
        )
    }

    fn bracket(&self) -> String {
        match self.above {
            None => "price list".to_string(),
            Some(threshold) => format!("prompt above {threshold} tokens"),
        }
    }
}

impl Terms<'_> {
    fn are_none(&self) -> bool {
        self.service_tier.is_none() && self.region.is_none()
    }
}

impl fmt::Display for Terms<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = [
            ("service tier", self.service_tier),
            ("inference region", self.region),
        ];
        terms.iter().try_for_each(|(what, name)| match name {
            None => Ok(()),
            Some(name) => write!(f, ", {what} {name}"),
        })
    }
}

/// Multiplies out every combination once, so that none can fail while an event waits.
fn check_terms(
    brackets: &Brackets<Rates>,
    service_tiers: &[(String, [Decimal; KINDS])],
    regions: &[(String, Decimal)],
    place: &Pointer,
    errors: &mut Vec<ParameterError>,
) {
    let ones = (STANDARD.to_string(), [Decimal::ONE; KINDS]);
    let anywhere = (String::new(), Decimal::ONE);
    for (tier, multipliers) in std::iter::once(&ones).chain(service_tiers) {
        if tier == STANDARD && multipliers != &ones.1 {
            errors.push(
                place
                    .key("service_tiers")
                    .error("\"standard\" is the price list itself"),
            );
        }
        for (region, factor) in std::iter::once(&anywhere).chain(regions) {
            let fits = brackets
                .up_to(Nanos::units(i64::from(u32::MAX)))
                .all(|(_, rates)| {
                    ALL.iter().all(|kind| match rates[*kind as usize] {
                        None => true,
                        Some(rate) => multiplied(rate, multipliers[*kind as usize], Some(*factor))
                            .is_ok_and(|rate| !rate.is_negative()),
                    })
                });
            if !fits {
                let terms = format!("service tier {tier:?}, inference region {region:?}");
                errors.push(place.error(format!(
                    "{terms}: a price is negative, or has too many digits to be exact"
                )));
            }
        }
    }
}

fn table<V: Serialize>(entries: &[(String, V)]) -> Option<Table<V>> {
    let mut table = Table::builder();
    for (name, value) in entries {
        table.insert(std::iter::once(name.as_str()), value);
    }
    table.build()
}

fn multiplied(rate: Rate, multiplier: Decimal, factor: Option<Decimal>) -> Result<Rate, Rejection> {
    let exact = rate.times(multiplier).and_then(|rate| match factor {
        None => Ok(rate),
        Some(factor) => rate.times(factor),
    });
    exact.map_err(|_| Rejection::Overflow)
}

fn brackets(model: &Model, place: &Pointer, errors: &mut Vec<ParameterError>) -> Brackets<Rates> {
    let base = rates(&model.prices, &place.key("prices"), errors);
    let mut above = Vec::with_capacity(model.above.len());
    for (index, bracket) in model.above.iter().enumerate() {
        let place = place.key("above").index(index).key("prices");
        let rates = rates(&bracket.prices, &place, errors);
        for kind in ALL {
            if rates[kind as usize].is_some() != base[kind as usize].is_some() {
                let message = "priced for short prompts or for long ones, but not for both";
                errors.push(place.key(kind.field()).error(message));
            }
        }
        above.push((Nanos::units(bracket.prompt_tokens.into()), rates));
    }
    Brackets::new(base, above).unwrap_or_else(|wrong| {
        let place = place.key("above").index(wrong.index).key("prompt_tokens");
        errors.push(place.error("expected more than in the entry before"));
        Brackets::flat(base)
    })
}

fn rates(bracket: &Bracket, place: &Pointer, errors: &mut Vec<ParameterError>) -> Rates {
    let mut rates = [None; KINDS];
    for kind in ALL {
        let Some(price) = bracket.of(kind) else {
            continue;
        };
        let place = place.key(kind.field());
        rates[kind as usize] = Some(place.rate(price, Per::Million, errors));
    }
    rates
}

/// The provider's tiers with the model's own besides or instead.
fn service_tiers(model: &Model, provider: &Provider) -> Vec<(String, [Decimal; KINDS])> {
    let multipliers = |tier: &ServiceTier| ALL.map(|kind| tier.of(kind));
    let shared = provider
        .service_tiers
        .iter()
        .filter(|(name, _)| model.service_tiers.get(name).is_none());
    let own = model
        .service_tiers
        .iter()
        .filter_map(|(name, tier)| Some((name, tier.as_ref()?)));
    shared
        .chain(own)
        .map(|(name, tier)| (name.to_string(), multipliers(tier)))
        .collect()
}

/// The provider's regions with the model's own besides or instead.
fn regions(model: &Model, provider: &Provider) -> Vec<(String, Decimal)> {
    let shared = provider
        .inference_regions
        .iter()
        .filter(|(name, _)| model.inference_regions.get(name).is_none());
    let own = model
        .inference_regions
        .iter()
        .filter_map(|(name, factor)| Some((name, factor.as_ref()?)));
    shared
        .chain(own)
        .map(|(name, factor)| (name.to_string(), *factor))
        .collect()
}
