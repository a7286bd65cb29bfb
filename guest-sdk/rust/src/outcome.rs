//! What a plan answers: charges, grants, timers, and, on demand, how it got there.

use farebox_money::Nanos;

use crate::bindings::exports::farebox::plan::pricing as wit;
use crate::span;
use crate::{Asset, Attribute, Category, ChargeCode, EventRef, Instant, Overflow, Rate, Rejection};

/// Collects the answer to one event or change.
///
/// A rejected event leaves nothing behind, whatever was collected before the rejection.
#[derive(Debug)]
pub struct Outcome {
    pub(crate) charges: Vec<wit::Charge>,
    pub(crate) give_backs: Vec<wit::GiveBack>,
    pub(crate) grants: Vec<wit::Grant>,
    pub(crate) timers: Vec<wit::Timer>,
    /// Only while explaining.
    pub(crate) steps: Option<Vec<wit::Step>>,
    /// Which trigger of the batch is being answered.
    pub(crate) trigger: u32,
    /// Where its charges begin.
    pub(crate) first_charge: usize,
}

/// Lengths to go back to.
pub(crate) struct Mark {
    charges: usize,
    give_backs: usize,
    grants: usize,
    timers: usize,
}

impl Outcome {
    pub(crate) fn with_capacity(charges: usize) -> Outcome {
        Outcome {
            charges: Vec::with_capacity(charges),
            give_backs: Vec::new(),
            grants: Vec::new(),
            timers: Vec::new(),
            steps: None,
            trigger: 0,
            first_charge: 0,
        }
    }

    /// Turns to the next trigger.
    pub(crate) fn begin(&mut self, trigger: u32) -> Mark {
        self.trigger = trigger;
        self.first_charge = self.charges.len();
        Mark {
            charges: self.charges.len(),
            give_backs: self.give_backs.len(),
            grants: self.grants.len(),
            timers: self.timers.len(),
        }
    }

    /// Forgets what was collected since.
    pub(crate) fn back_to(&mut self, mark: &Mark) {
        self.charges.truncate(mark.charges);
        self.give_backs.truncate(mark.give_backs);
        self.grants.truncate(mark.grants);
        self.timers.truncate(mark.timers);
    }

    /// Begins a line of the statement.
    #[inline]
    pub fn charge(&mut self, code: ChargeCode, asset: Asset) -> Charge<'_> {
        Charge {
            outcome: self,
            code,
            asset,
            collect: wit::Collect::Balance,
            gives_back: None,
        }
    }

    /// Begins a line that gives back what an earlier event was charged under this code in this asset, and never more than
    /// is left of it: else the whole answer is not posted. Its amount and quantity are written positive and posted negative.
    /// Only an answer to an event can give back, in at most 8 lines; an answer about a worst case is held without them.
    pub fn give_back(&mut self, code: ChargeCode, asset: Asset, event: EventRef) -> Charge<'_> {
        Charge {
            outcome: self,
            code,
            asset,
            collect: wit::Collect::Balance,
            gives_back: Some(event),
        }
    }

    /// Gives value to the wallet.
    pub fn grant(&mut self, grant: Grant) -> Result<(), Rejection> {
        let amount = grant.amount.to_plan().ok_or(Overflow)?;
        let each = match grant.each {
            Some((attribute, amount)) => Some(wit::Each {
                attribute,
                amount: amount.to_plan().ok_or(Overflow)?,
            }),
            None => None,
        };
        self.grants.push(wit::Grant {
            trigger: self.trigger,
            asset: grant.asset.index(),
            amount,
            category: match grant.category {
                Category::Paid => wit::Category::Paid,
                Category::Promotional => wit::Category::Promotional,
                Category::Included => wit::Category::Included,
            },
            priority: grant.priority,
            effective: grant.effective.map(Instant::micros),
            expires: grant.expires.map(Instant::micros),
            applies_to: wit::AppliesTo {
                codes: grant.codes,
                attributes: grant.attributes,
            },
            each,
            label: grant.label,
        });
        Ok(())
    }

    /// Asks to be woken with [`Change::Due`](crate::Change::Due). A timer with the same key is replaced. Each subject has timers
    /// of its own; what is charged when one of them goes off belongs to the event that set it, and comes back with it.
    pub fn timer(&mut self, key: &str, at: Instant) {
        self.timers.push(wit::Timer {
            trigger: self.trigger,
            key: key.to_string(),
            at: Some(at.micros()),
        });
    }

    /// Takes a timer away.
    pub fn cancel_timer(&mut self, key: &str) {
        self.timers.push(wit::Timer {
            trigger: self.trigger,
            key: key.to_string(),
            at: None,
        });
    }

    /// Says something about the event as a whole: what was found, its value, and why. The words are only asked for
    /// while somebody wants an explanation.
    pub fn explain(&mut self, what: &str, words: impl FnOnce() -> (String, String)) {
        self.step(None, what, words);
    }

    fn step(&mut self, charge: Option<u32>, what: &str, words: impl FnOnce() -> (String, String)) {
        if let Some(steps) = &mut self.steps {
            let (value, why) = words();
            steps.push(wit::Step {
                charge,
                what: what.to_string(),
                value,
                why,
            });
        }
    }
}

/// A line of the statement that has no amount yet.
#[derive(Debug)]
#[must_use = "a charge is posted by giving it an amount"]
pub struct Charge<'o> {
    outcome: &'o mut Outcome,
    code: ChargeCode,
    asset: Asset,
    collect: wit::Collect,
    gives_back: Option<EventRef>,
}

impl<'o> Charge<'o> {
    /// Collected on the statement instead of from the wallet: for fees, which must not eat the pool that they pay for.
    pub fn invoice(mut self) -> Charge<'o> {
        self.collect = wit::Collect::Invoice;
        self
    }

    /// Posts `quantity` at `rate`, rounded once. `why` names the rate for an explanation: "claude-opus-5, in a batch".
    #[inline]
    pub fn at(
        self,
        rate: Rate,
        quantity: Nanos,
        why: impl FnOnce() -> String,
    ) -> Result<Posted<'o>, Rejection> {
        let amount = rate.price(quantity)?;
        self.priced(rate, amount, quantity, why)
    }

    /// The same with the amount that it comes to.
    #[inline]
    pub(crate) fn priced(
        self,
        rate: Rate,
        amount: Nanos,
        quantity: Nanos,
        why: impl FnOnce() -> String,
    ) -> Result<Posted<'o>, Rejection> {
        let mut posted = self.post(amount, quantity)?;
        posted.words(|asset| {
            let (exact, per) = (rate.is_exact_for_whole_units(), rate.natural());
            [
                ("quantity", quantity.to_string(), "as the event says".to_string()),
                ("rate", format!("{} {asset} {per}", rate.text(per)), why()),
                (
                    "amount",
                    format!("{amount} {asset}"),
                    match exact {
                        true => "quantity x rate".to_string(),
                        false => "quantity x rate, rounded once, half to even".to_string(),
                    },
                ),
            ]
        });
        Ok(posted)
    }

    /// Posts an amount for a quantity. `why` says for an explanation where the amount comes from.
    pub fn amount(
        self,
        amount: Nanos,
        quantity: Nanos,
        why: impl FnOnce() -> String,
    ) -> Result<Posted<'o>, Rejection> {
        let mut posted = self.post(amount, quantity)?;
        posted.words(|asset| [("amount", format!("{amount} {asset}"), why())]);
        Ok(posted)
    }

    #[inline]
    fn post(self, amount: Nanos, quantity: Nanos) -> Result<Posted<'o>, Rejection> {
        let Charge {
            outcome,
            code,
            asset,
            collect,
            gives_back,
        } = self;
        if amount.is_negative() {
            return Err(negative(code));
        }
        let (mut amount, mut quantity) = (
            amount.to_plan().ok_or(Overflow)?,
            quantity.to_plan().ok_or(Overflow)?,
        );
        let at = outcome.charges.len();
        if let Some(EventRef { source, id }) = gives_back {
            outcome.give_backs.push(wit::GiveBack {
                charge: span::index(at),
                event: wit::EventRef { source, id },
            });
            (amount, quantity) = (-amount, quantity.checked_neg().ok_or(Overflow)?);
        }
        outcome.charges.push(wit::Charge {
            code: code.index(),
            asset: asset.index(),
            amount,
            quantity,
            collect,
            otherwise: false,
        });
        Ok(Posted { outcome, asset, at })
    }
}

#[cold]
fn negative(code: ChargeCode) -> Rejection {
    Rejection::Unpriceable(format!("this plan made a negative charge for {}", code.name()))
}

/// A charge that was posted, for what can follow it.
#[derive(Debug)]
pub struct Posted<'o> {
    outcome: &'o mut Outcome,
    asset: Asset,
    /// Where it stands among the charges of the batch.
    at: usize,
}

impl<'o> Posted<'o> {
    /// What the **whole** charge would cost in another asset. The part that the assets before cannot cover is charged
    /// there, in exact proportion: "from the pool first, then on demand". At most 3 of them, so 4 prices in all.
    ///
    /// An amount that was rounded to nothing counts as the smallest there is, 10^-9, so that nothing goes beyond the pool for
    /// free. Of a charge of nothing, nothing is left for another asset.
    pub fn otherwise(self, asset: Asset, amount: Nanos) -> Result<Posted<'o>, Rejection> {
        let collect = self.posted().collect;
        self.link(asset, amount, collect)
    }

    /// The same, where the rest is collected on the statement.
    pub fn otherwise_invoice(self, asset: Asset, amount: Nanos) -> Result<Posted<'o>, Rejection> {
        self.link(asset, amount, wit::Collect::Invoice)
    }

    fn link(self, asset: Asset, amount: Nanos, collect: wit::Collect) -> Result<Posted<'o>, Rejection> {
        let posted = self.posted();
        if amount.is_negative() || posted.amount < 0 {
            return Err(Rejection::Unpriceable(format!(
                "this plan gave a negative charge another price, in {}",
                asset.name()
            )));
        }
        if posted.amount > 0 {
            let amount = amount.max(Nanos::new(1)).to_plan().ok_or(Overflow)?;
            self.outcome.charges.push(wit::Charge {
                asset: asset.index(),
                amount,
                collect,
                otherwise: true,
                ..posted
            });
        }
        Ok(self)
    }

    /// Says something more about this charge, while somebody wants an explanation.
    pub fn explain(self, what: &str, words: impl FnOnce() -> (String, String)) -> Posted<'o> {
        self.outcome.step(Some(self.index()), what, words);
        self
    }

    fn posted(&self) -> wit::Charge {
        self.outcome.charges[self.at]
    }

    /// Which charge of its trigger it is.
    fn index(&self) -> u32 {
        span::index(self.at - self.outcome.first_charge)
    }

    #[inline]
    fn words<const N: usize>(&mut self, steps: impl FnOnce(&str) -> [(&'static str, String, String); N]) {
        if self.outcome.steps.is_none() {
            return;
        }
        for (what, value, why) in steps(self.asset.name()) {
            self.outcome.step(Some(self.index()), what, || (value, why));
        }
    }
}

/// Value for the wallet.
#[derive(Debug, Clone)]
pub struct Grant {
    asset: Asset,
    amount: Nanos,
    category: Category,
    label: String,
    priority: i32,
    effective: Option<Instant>,
    expires: Option<Instant>,
    codes: Vec<String>,
    attributes: Vec<(String, String)>,
    each: Option<(String, Nanos)>,
}

impl Grant {
    /// `label` is what a person reads: "Monthly credits".
    pub fn new(category: Category, asset: Asset, amount: Nanos, label: &str) -> Grant {
        Grant {
            asset,
            amount,
            category,
            label: label.to_string(),
            priority: 0,
            effective: None,
            expires: None,
            codes: Vec::new(),
            attributes: Vec::new(),
            each: None,
        }
    }

    /// Part of the subscription.
    pub fn included(asset: Asset, amount: Nanos, label: &str) -> Grant {
        Grant::new(Category::Included, asset, amount, label)
    }

    /// Given away.
    pub fn promotional(asset: Asset, amount: Nanos, label: &str) -> Grant {
        Grant::new(Category::Promotional, asset, amount, label)
    }

    /// Low burns first; 0 unless said.
    pub fn priority(mut self, priority: i32) -> Grant {
        self.priority = priority;
        self
    }

    /// Good from then on; at once unless said.
    pub fn effective(mut self, at: Instant) -> Grant {
        self.effective = Some(at);
        self
    }

    /// Good until then, exclusive; for good unless said.
    pub fn expires(mut self, at: Instant) -> Grant {
        self.expires = Some(at);
        self
    }

    /// Only for charges with this code (or with another one named so).
    pub fn only_for(mut self, code: ChargeCode) -> Grant {
        self.codes.push(code.name().to_string());
        self
    }

    /// Only for events whose attribute has this value.
    pub fn only_where(self, attribute: Attribute, value: &str) -> Grant {
        self.only_with(attribute.name(), value)
    }

    /// Only for events that carry this attribute with this value, also where the plan does not read it: for parameters that
    /// name one.
    pub fn only_with(mut self, attribute: &str, value: &str) -> Grant {
        self.attributes.push((attribute.to_string(), value.to_string()));
        self
    }

    /// In portions: each value of this attribute (`user`) has so much of it, from the first event on that needs it, and nothing
    /// else of the grant. Of the grants of a subscription with the same label, asset and end, a value has one portion.
    pub fn each(mut self, attribute: &str, amount: Nanos) -> Grant {
        self.each = Some((attribute.to_string(), amount));
        self
    }
}
