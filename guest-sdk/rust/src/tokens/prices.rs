//! The price list in the form in which events meet it: checked, exact, and looked up by name.

use std::rc::Rc;

use farebox_money::Nanos;
use serde::{Deserialize, Serialize};

use super::kind::{ALL, KINDS, Kind, TokenNames};
use super::price_list::{Bracket, Model, Provider, ServiceTier, TokenList};
use crate::{
    Brackets, Decimal, Entries, Measure, Outcome, ParameterError, Per, Pointer, Quoted, Rate, Rejection,
    Table, Usage,
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
    /// By name; the standard one is not among them.
    service_tiers: Vec<(String, [Decimal; KINDS])>,
    /// By name.
    regions: Vec<(String, Decimal)>,
    /// What a quote assumes where the event is silent.
    pub(crate) max_input: Option<Nanos>,
    pub(crate) max_output: Option<Nanos>,
}

/// The prices of one request.
#[derive(Debug)]
pub(crate) struct RequestRates<'m> {
    model: &'m str,
    /// The threshold that its prompt lies above.
    above: Option<Nanos>,
    rates: Rates,
    terms: String,
    measures: [Measure; KINDS],
}

/// What a quote assumes where neither the event nor the model says it.
#[derive(Debug, Clone, Copy, Default)]
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
    fn prepare(
        name: &str,
        model: &Model,
        provider: &Provider,
        assumed: Assumed,
        place: &Pointer,
        errors: &mut Vec<ParameterError>,
    ) -> PricedModel {
        let priced = PricedModel {
            name: name.to_string(),
            brackets: brackets(model, place, errors),
            service_tiers: service_tiers(model, provider),
            regions: regions(model, provider),
            max_input: model
                .max_input_tokens
                .or(assumed.input_tokens)
                .map(|tokens| Nanos::units(tokens.into())),
            max_output: model
                .max_output_tokens
                .or(assumed.output_tokens)
                .map(|tokens| Nanos::units(tokens.into())),
        };
        priced.check_terms(place, errors);
        priced
    }

    /// Multiplies out every combination once, so that none can fail while an event waits.
    fn check_terms(&self, place: &Pointer, errors: &mut Vec<ParameterError>) {
        let ones = (STANDARD.to_string(), [Decimal::ONE; KINDS]);
        let anywhere = (String::new(), Decimal::ONE);
        for (tier, multipliers) in std::iter::once(&ones).chain(&self.service_tiers) {
            if tier == STANDARD && multipliers != &ones.1 {
                errors.push(
                    place
                        .key("service_tiers")
                        .error("\"standard\" is the price list itself"),
                );
            }
            for (region, factor) in std::iter::once(&anywhere).chain(&self.regions) {
                let fits = self
                    .brackets
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

    /// The prices of a request whose prompt has that size.
    pub(crate) fn rates(
        &self,
        names: &TokenNames,
        prompt: Nanos,
        usage: &Usage<'_>,
        outcome: &mut Outcome,
    ) -> Result<RequestRates<'_>, Rejection> {
        let (above, rates) = self.brackets.at(prompt);
        let request = self.with_terms(names, above, rates, usage)?;
        outcome.explain("prompt", || (format!("{prompt} tokens"), request.bracket()));
        Ok(request)
    }

    /// The prices of every bracket that a prompt of at most that size can meet, each with the largest such size.
    pub(crate) fn rates_up_to<'m>(
        &'m self,
        names: &TokenNames,
        prompt: Nanos,
        usage: &Usage<'_>,
    ) -> impl Iterator<Item = Result<(Nanos, RequestRates<'m>), Rejection>> {
        self.brackets.up_to(prompt).map(move |(end, rates)| {
            Ok((
                end,
                self.with_terms(names, self.brackets.at(end).0, rates, usage)?,
            ))
        })
    }

    /// Puts the multipliers on that the event asks for.
    fn with_terms(
        &self,
        names: &TokenNames,
        above: Option<Nanos>,
        rates: &Rates,
        usage: &Usage<'_>,
    ) -> Result<RequestRates<'_>, Rejection> {
        let tier = usage
            .attribute(names.service_tier)
            .filter(|tier| *tier != STANDARD);
        let region = usage.attribute(names.inference_region);
        let mut request = RequestRates {
            model: &self.name,
            above,
            rates: *rates,
            terms: String::new(),
            measures: names.measures,
        };
        if tier.is_none() && region.is_none() {
            return Ok(request);
        }
        let multipliers = match tier {
            None => [Decimal::ONE; KINDS],
            Some(tier) => {
                *named(&self.service_tiers, tier).ok_or_else(|| self.not_offered("service tier", tier))?
            }
        };
        let factor = region
            .map(|region| {
                named(&self.regions, region).ok_or_else(|| self.not_offered("inference region", region))
            })
            .transpose()?;
        for kind in ALL {
            if let Some(rate) = &mut request.rates[kind as usize] {
                *rate = multiplied(*rate, multipliers[kind as usize], factor.copied())?;
            }
        }
        let terms = [("service tier", tier), ("inference region", region)];
        request.terms = terms
            .iter()
            .filter_map(|(what, name)| Some(format!(", {what} {}", (*name)?)))
            .collect();
        Ok(request)
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
    pub(crate) fn of(&self, kind: Kind) -> Result<Rate, Rejection> {
        self.rates[kind as usize].ok_or_else(|| {
            Rejection::Unpriceable(format!(
                "{} has no price for {}",
                self.model,
                self.measures[kind as usize].name()
            ))
        })
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

fn named<'l, V>(list: &'l [(String, V)], name: &str) -> Option<&'l V> {
    list.iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value)
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
