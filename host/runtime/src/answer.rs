//! What comes out of a plan, checked item by item and turned into plain data. Nothing in it is believed.

mod orders;

use farebox_money::Nanos;
use farebox_record::ids::{EventId, Source};
use farebox_record::plan::{Charge, Collect, Description, EventRef, FieldProblem, Price, Priced, Rejection};

use crate::bindings::{self, Outcomes, Span};
use crate::fault::Fault;
use crate::limits::Limits;

/// What became of one trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has a price.
    Priced(Priced),
    /// It has none, and the plan says why.
    Rejected(Rejection),
    /// The plan gave no answer that can be used, or none in time.
    Failed(Fault),
}

/// What was asked, as far as answers depend on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) time: i64,
    pub(crate) has_subject: bool,
}

/// Checks and converts the answer to `count` triggers.
pub(crate) fn read(
    outcomes: Outcomes,
    count: usize,
    asked: &dyn Fn(usize) -> Asked,
    description: &Description,
    limits: &Limits,
) -> Result<Vec<Verdict>, Fault> {
    let Outcomes {
        results,
        charges,
        bytes,
        give_backs,
        grants,
        timers,
        subjects,
    } = outcomes;
    if results.len() != count {
        return Err(Fault::rule(
            "one-result-per-trigger",
            format!("{} results for {count} triggers", results.len()),
        ));
    }
    let reader = Reader {
        description,
        limits,
        bytes: &bytes,
    };
    let mut taken_back = reader.give_backs(give_backs, charges.len())?;
    let mut verdicts = Vec::with_capacity(count);
    let mut begin = 0;
    for result in results {
        verdicts.push(match result {
            Ok(priced) => {
                let end = priced.charges_end as usize;
                if end < begin || end > charges.len() {
                    let detail = format!("it goes from {begin} to {end}, and there are {}", charges.len());
                    return Err(Fault::rule("charges-end", detail));
                }
                let charges = reader.charges(&charges[begin..end], begin, &mut taken_back)?;
                begin = end;
                let state = priced.state.map(|span| reader.state(span)).transpose()?;
                Verdict::Priced(Priced {
                    charges,
                    state,
                    ..Priced::default()
                })
            }
            Err(said) => Verdict::Rejected(rejection(said, limits)?),
        });
    }
    if begin != charges.len() {
        let detail = format!("the last ends at {begin}, and there are {}", charges.len());
        return Err(Fault::rule("charges-end", detail));
    }
    if let Some(at) = taken_back.iter().position(Option::is_some) {
        return Err(Fault::rule(
            "give-back-of-negative-charge",
            format!("charge {at} is not negative"),
        ));
    }
    for grant in grants {
        let priced = target(&mut verdicts, grant.trigger, "grant")?;
        priced.grants.push(reader.grant(grant)?);
        Fault::check(
            "grants_per_trigger_max",
            priced.grants.len(),
            limits.grants_per_trigger_max,
        )?;
    }
    for timer in timers {
        let priced = target(&mut verdicts, timer.trigger, "timer")?;
        priced.timers.push(reader.timer(timer)?);
        Fault::check(
            "timers_per_trigger_max",
            priced.timers.len(),
            limits.timers_per_trigger_max,
        )?;
    }
    for change in subjects {
        let asked = asked(change.trigger as usize);
        let priced = target(&mut verdicts, change.trigger, "subject-change")?;
        if priced.subject.is_some() {
            return Err(Fault::rule(
                "one-subject-change",
                format!("trigger {} has two", change.trigger),
            ));
        }
        priced.subject = Some(reader.subject(change, asked)?);
    }
    Ok(verdicts)
}

/// The priced trigger that something belongs to.
fn target<'a>(verdicts: &'a mut [Verdict], trigger: u32, what: &str) -> Result<&'a mut Priced, Fault> {
    match verdicts.get_mut(trigger as usize) {
        Some(Verdict::Priced(priced)) => Ok(priced),
        Some(_) => Err(Fault::rule(
            "belongs-to-priced",
            format!("a {what} belongs to rejected trigger {trigger}"),
        )),
        None => Err(Fault::rule(
            "index-in-range",
            format!("a {what} belongs to trigger {trigger}"),
        )),
    }
}

/// What the parts of an answer are checked against.
struct Reader<'a> {
    description: &'a Description,
    limits: &'a Limits,
    bytes: &'a [u8],
}

impl Reader<'_> {
    /// The events taken back from, by charge.
    fn give_backs(
        &self,
        said: Vec<bindings::GiveBack>,
        charges: usize,
    ) -> Result<Vec<Option<EventRef>>, Fault> {
        let mut taken_back = Vec::new();
        if said.is_empty() {
            return Ok(taken_back);
        }
        taken_back.resize_with(charges, || None);
        for back in said {
            let place = taken_back.get_mut(back.charge as usize).ok_or_else(|| {
                Fault::rule(
                    "index-in-range",
                    format!("a give-back belongs to charge {}", back.charge),
                )
            })?;
            let bad = |e: farebox_record::ids::NameError| Fault::rule("event-ref", e.to_string());
            let source = Source::new(&back.event.source).map_err(bad)?;
            let id = EventId::new(&back.event.id).map_err(bad)?;
            if place.replace(EventRef { source, id }).is_some() {
                return Err(Fault::rule(
                    "one-give-back",
                    format!("charge {} has two", back.charge),
                ));
            }
        }
        Ok(taken_back)
    }

    /// The charges of one trigger; the first is the `first` of the answer.
    fn charges(
        &self,
        said: &[bindings::Charge],
        first: usize,
        taken_back: &mut [Option<EventRef>],
    ) -> Result<Vec<Charge>, Fault> {
        Fault::check(
            "charges_per_trigger_max",
            said.len(),
            self.limits.charges_per_trigger_max,
        )?;
        let mut charges: Vec<Charge> = Vec::with_capacity(said.len());
        for (at, said) in said.iter().enumerate() {
            let described = self.description.charges.get(said.code as usize).ok_or_else(|| {
                Fault::rule("index-in-range", format!("charge {at} has code {}", said.code))
            })?;
            let price = Price {
                asset: self.asset(said.asset)?,
                amount: amount(said.amount)?,
                collect: match said.collect {
                    bindings::Collect::Balance => Collect::Balance,
                    bindings::Collect::Invoice => Collect::Invoice,
                },
            };
            let quantity = amount(said.quantity)?;
            if said.otherwise {
                self.link(charges.last_mut(), price)?;
                continue;
            }
            let gives_back = taken_back.get_mut(first + at).and_then(Option::take);
            if price.amount.is_negative() != gives_back.is_some() {
                let detail = match gives_back {
                    Some(_) => format!(
                        "a charge of {} names an event that it takes back from",
                        price.amount
                    ),
                    None => format!(
                        "a charge of {} names no event that it takes back from",
                        price.amount
                    ),
                };
                return Err(Fault::rule("give-back-of-negative-charge", detail));
            }
            charges.push(Charge {
                code: described.code.as_str().into(),
                price,
                quantity,
                otherwise: Vec::new(),
                gives_back,
            });
        }
        Ok(charges)
    }

    /// Adds a link to the chain of the charge before it.
    fn link(&self, charge: Option<&mut Charge>, price: Price) -> Result<(), Fault> {
        let Some(charge) = charge else {
            return Err(Fault::rule(
                "otherwise-follows-charge",
                "the first charge of a trigger is an `otherwise`",
            ));
        };
        if charge.price.amount.is_negative() {
            return Err(Fault::rule(
                "otherwise-positive",
                "a charge that gives back has an `otherwise`",
            ));
        }
        // Of a charge of nothing, nothing can be left for another asset.
        if charge.price.amount.is_zero() && !price.amount.is_negative() {
            return Ok(());
        }
        if !price.amount.is_positive() {
            let detail = format!("{} {} is not positive", price.amount, price.asset);
            return Err(Fault::rule("otherwise-positive", detail));
        }
        charge.otherwise.push(price);
        Fault::check(
            "otherwise_links_max",
            charge.otherwise.len(),
            self.limits.otherwise_links_max,
        )
    }

    fn state(&self, span: Span) -> Result<Vec<u8>, Fault> {
        let state = self
            .bytes
            .get(span.start as usize..span.end as usize)
            .ok_or_else(|| {
                let detail = format!("{}..{} of {} bytes", span.start, span.end, self.bytes.len());
                Fault::rule("span-in-bytes", detail)
            })?;
        Fault::check("state_bytes_max", state.len(), self.limits.state_bytes_max)?;
        Ok(state.to_vec())
    }

    fn asset(&self, index: u32) -> Result<farebox_money::Asset, Fault> {
        match self.description.assets.get(index as usize) {
            Some(described) => Ok(described.asset.clone()),
            None => Err(Fault::rule(
                "index-in-range",
                format!("there is no asset {index}"),
            )),
        }
    }
}

/// A rejection; also what `explain` answers with.
pub(crate) fn rejection(said: bindings::Rejection, limits: &Limits) -> Result<Rejection, Fault> {
    let message =
        |text: String| Fault::check("message_bytes_max", text.len(), limits.message_bytes_max).map(|()| text);
    Ok(match said {
        bindings::Rejection::InvalidEvent(field) => {
            Fault::check("name_bytes_max", field.name.len(), limits.name_bytes_max)?;
            Rejection::InvalidEvent {
                field: field.name,
                problem: match field.problem {
                    bindings::Invalid::Missing => FieldProblem::Missing,
                    bindings::Invalid::Unknown => FieldProblem::Unknown,
                    bindings::Invalid::OutOfRange => FieldProblem::OutOfRange,
                },
                message: message(field.message)?,
            }
        }
        bindings::Rejection::Unpriceable(text) => Rejection::Unpriceable {
            message: message(text)?,
        },
        bindings::Rejection::Overflow => Rejection::Overflow,
        bindings::Rejection::NotAllowed(text) => Rejection::NotAllowed {
            message: message(text)?,
        },
    })
}

/// An amount or a quantity. The one number without an opposite stands for nothing in the contract.
fn amount(said: i64) -> Result<Nanos, Fault> {
    match said {
        i64::MIN => Err(Fault::rule("amount-range", "-2^63 is no amount")),
        said => Ok(Nanos::from(said)),
    }
}
