//! Commands and answers of plans, made short.

use farebox_money::{Asset, Nanos};
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, Extend, Finality, Grant, PutCustomer, Release, Settle,
    Subscribe,
};
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Pay, Refund, RefundTarget, Void};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{
    CallId, EventId, EventType, GrantId, Hash, PlanName, RevisionHash, Source, SubscriptionId,
};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{
    AppliesTo, Category, Charge, Collect, EventRef, GrantOrder, Price, Priced, TimerOrder,
};
use farebox_record::state::{Cadence, Shortfall};
use farebox_record::time::{Period, Timestamp};

use super::{START, seconds, t};

pub fn asset(name: &str) -> Asset {
    Asset::new(name).unwrap()
}

/// An amount from its decimal text.
pub fn n(text: &str) -> Nanos {
    text.parse().unwrap()
}

pub fn customer(id: &str, shortfall: &[(&str, Shortfall)]) -> Command {
    Command::PutCustomer(PutCustomer {
        id: CallId::new(id).unwrap(),
        name: None,
        shortfall: shortfall.iter().map(|(name, s)| (asset(name), *s)).collect(),
    })
}

/// A paid grant, good at once and for good, for everything.
pub fn grant(id: &str, asset_name: &str, amount: &str) -> Grant {
    Grant {
        id: GrantId::new(id).unwrap(),
        asset: asset(asset_name),
        amount: n(amount),
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    }
}

/// Changes of a grant, chained.
pub trait Shape: Sized {
    fn category(self, category: Category) -> Self;
    fn priority(self, priority: i32) -> Self;
    fn effective(self, seconds: i64) -> Self;
    fn expires(self, seconds: i64) -> Self;
    fn code(self, code: &str) -> Self;
    fn only(self, attribute: &str, value: &str) -> Self;
    fn put(self) -> Command;
}

impl Shape for Grant {
    fn category(self, category: Category) -> Grant {
        Grant { category, ..self }
    }
    fn priority(self, priority: i32) -> Grant {
        Grant { priority, ..self }
    }
    fn effective(self, seconds: i64) -> Grant {
        Grant {
            effective: Some(t(seconds)),
            ..self
        }
    }
    fn expires(self, seconds: i64) -> Grant {
        Grant {
            expires: Some(t(seconds)),
            ..self
        }
    }
    fn code(mut self, code: &str) -> Grant {
        self.applies_to.codes.push(code.to_string());
        self
    }
    fn only(mut self, attribute: &str, value: &str) -> Grant {
        self.applies_to.attributes.insert(attribute.into(), value.into());
        self
    }
    fn put(self) -> Command {
        Command::Grant(self)
    }
}

pub fn event(id: &str) -> Event {
    Event {
        source: Source::new("api").unwrap(),
        id: EventId::new(id).unwrap(),
        event_type: EventType::new("llm.call").unwrap(),
        time: None,
        measures: Measures::EMPTY,
        attributes: Attributes::EMPTY,
    }
}

pub fn event_with(id: &str, attributes: &[(&str, &str)]) -> Event {
    Event {
        attributes: attributes
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect(),
        ..event(id)
    }
}

pub fn reference(id: &str) -> EventRef {
    event(id).reference()
}

pub fn usage(id: &str) -> Command {
    Command::Usage(event(id))
}

pub fn hold(id: &str) -> Command {
    hold_for(id, 900)
}

pub fn hold_for(id: &str, ttl: u32) -> Command {
    Command::Authorize(Authorize {
        event: event(id),
        ttl: seconds(ttl),
        mode: AuthorizeMode::Hold,
    })
}

pub fn one_shot(id: &str) -> Command {
    Command::Authorize(Authorize {
        event: event(id),
        ttl: seconds(900),
        mode: AuthorizeMode::Settle,
    })
}

pub fn settling(hold: &str, id: &str, finality: Finality, above: AboveHold) -> Command {
    Command::Settle(Settle {
        hold: reference(hold),
        id: CallId::new(id).unwrap(),
        measures: Measures::EMPTY,
        attributes: Attributes::EMPTY,
        finality,
        above,
    })
}

/// Ends the hold; what is above it may become debt.
pub fn settle(hold: &str) -> Command {
    settling(hold, "last", Finality::Final, AboveHold::AllowDebt)
}

/// Leaves the hold open; what is above it may become debt.
pub fn part(hold: &str, id: &str) -> Command {
    settling(hold, id, Finality::Partial, AboveHold::AllowDebt)
}

pub fn release(hold: &str) -> Command {
    Command::Release(Release {
        hold: reference(hold),
        id: CallId::new("release").unwrap(),
    })
}

/// More time; with measures, so that the plan is asked, more room too.
pub fn extend(hold: &str, id: &str, ttl: u32, measures: &[(&str, &str)]) -> Command {
    Command::Extend(Extend {
        hold: reference(hold),
        id: CallId::new(id).unwrap(),
        ttl: seconds(ttl),
        measures: measures
            .iter()
            .map(|(name, amount)| (name.to_string(), n(amount)))
            .collect(),
    })
}

pub fn subscribe(id: &str, cadence: Cadence) -> Command {
    Command::Subscribe(Subscribe {
        id: SubscriptionId::new(id).unwrap(),
        plan: PlanName::new("plan").unwrap(),
        seats: 1,
        anchor: None,
        cadence,
        above_hold: Default::default(),
    })
}

pub fn charge(code: &str, asset_name: &str, amount: &str) -> Charge {
    Charge {
        code: code.into(),
        price: Price {
            asset: asset(asset_name),
            amount: n(amount),
            collect: Collect::Balance,
        },
        quantity: n("1"),
        otherwise: Vec::new(),
        gives_back: None,
    }
}

/// A charge that gives back of an earlier event; its amount is negative.
pub fn back(event: &str, code: &str, asset_name: &str, amount: &str) -> Charge {
    Charge {
        gives_back: Some(reference(event)),
        ..charge(code, asset_name, amount)
    }
}

/// One charge over a chain of assets, each with what the whole would cost there.
pub fn chain(code: &str, prices: &[(&str, &str)]) -> Charge {
    let mut links = prices
        .iter()
        .map(|(name, amount)| charge(code, name, amount).price);
    Charge {
        price: links.next().unwrap(),
        otherwise: links.collect(),
        ..charge(code, "usd", "0")
    }
}

/// A fee on the statement.
pub fn fee(code: &str, asset_name: &str, amount: &str) -> Charge {
    let mut fee = charge(code, asset_name, amount);
    fee.price.collect = Collect::Invoice;
    fee
}

pub fn priced(charges: &[Charge]) -> Verdict {
    Verdict::Priced(Priced {
        charges: charges.to_vec(),
        ..Priced::default()
    })
}

/// A price of one charge in dollars.
pub fn usd(amount: &str) -> Verdict {
    priced(&[charge("tokens", "usd", amount)])
}

pub fn gives(orders: &[GrantOrder]) -> Verdict {
    Verdict::Priced(Priced {
        grants: orders.to_vec(),
        ..Priced::default()
    })
}

pub fn order(asset_name: &str, amount: &str) -> GrantOrder {
    GrantOrder {
        asset: asset(asset_name),
        amount: n(amount),
        category: Category::Included,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: "Monthly".into(),
        each: None,
    }
}

pub fn wakes(key: &str, at: Timestamp) -> Verdict {
    Verdict::Priced(Priced {
        timers: vec![TimerOrder {
            key: key.into(),
            at: Some(at),
        }],
        ..Priced::default()
    })
}

pub fn revision() -> RevisionHash {
    RevisionHash {
        component: Hash::of(b"component"),
        parameters: Hash::of(b"parameters"),
    }
}

/// The same of a plan that follows conversations.
pub fn about(verdict: Verdict) -> Pricing {
    Pricing {
        subject_attribute: Some("conversation".into()),
        ..pricing(verdict)
    }
}

/// What the ledger sees of a plan's answer.
pub fn pricing(verdict: Verdict) -> Pricing {
    Pricing {
        revision: revision(),
        subscription: SubscriptionId::new("s").unwrap(),
        period: Period {
            start: START,
            end: t(31 * 86_400),
            index: 0,
        },
        term: None,
        seats: 1,
        cost: None,
        event_types: Vec::new(),
        subject_attribute: None,
        state_version: 1,
        verdict,
    }
}

/// A change of the subscription `s`.
pub fn change(id: &str, change: SubscriptionChange, when: When) -> Command {
    Command::ChangeSubscription(ChangeSubscription {
        subscription: SubscriptionId::new("s").unwrap(),
        id: CallId::new(id).unwrap(),
        change,
        when,
        proration: Proration::Prorate,
    })
}

pub fn adjust(id: &str, target: AdjustTarget, amount: &str) -> Command {
    Command::Adjust(Adjust {
        id: CallId::new(id).unwrap(),
        asset: asset("usd"),
        amount: n(amount),
        target,
        reason: "goodwill".into(),
    })
}

pub fn pay(id: &str, amount: &str) -> Command {
    Command::Pay(Pay {
        id: CallId::new(id).unwrap(),
        asset: asset("usd"),
        amount: n(amount),
        label: None,
    })
}

pub fn refund_event(id: &str, event: &str, amount: Option<&str>) -> Command {
    Command::Refund(Refund {
        id: CallId::new(id).unwrap(),
        target: RefundTarget::Event {
            event: reference(event),
            amount: amount.map(|amount| (asset("usd"), n(amount))),
        },
        reason: "bad answer".into(),
    })
}

pub fn refund_grant(id: &str, grant: &str, amount: Option<&str>) -> Command {
    Command::Refund(Refund {
        id: CallId::new(id).unwrap(),
        target: RefundTarget::Grant {
            grant: GrantId::new(grant).unwrap(),
            amount: amount.map(n),
        },
        reason: "leaves".into(),
    })
}

pub fn void(event: &str) -> Command {
    Command::Void(Void {
        event: reference(event),
        id: CallId::new("void").unwrap(),
        reason: None,
    })
}

pub fn amend(event_id: &str) -> Command {
    Command::Amend(Amend {
        event: event(event_id),
        id: CallId::new("amend").unwrap(),
    })
}
