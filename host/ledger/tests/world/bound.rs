//! Spending limits, made short, and what they say.

use farebox_ledger::LimitView;
use farebox_record::command::{AuthorizeMode, Command, DeleteLimit, PutLimit};
use farebox_record::ids::{CallId, LimitName};
use farebox_record::outcome::Effect;
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};

use super::make::{asset, event_with, hold, n, settle};
use super::{World, seconds};

/// A limit of the whole customer over calendar months, without thresholds.
pub fn limit(name: &str, asset_name: &str, amount: &str) -> PutLimit {
    PutLimit {
        id: CallId::new("k").unwrap(),
        name: LimitName::new(name).unwrap(),
        terms: LimitTerms {
            asset: asset(asset_name),
            amount: n(amount),
            scope: Scope::default(),
            window: Window::Calendar(CalendarUnit::Month),
            thresholds: Vec::new(),
            on_exceed: OnExceed::Deny,
        },
    }
}

/// Changes of a limit, chained.
pub trait Bound: Sized {
    fn on(self, attribute: &str, value: &str) -> Self;
    fn per(self, unit: CalendarUnit) -> Self;
    fn rolling(self, steps: u16, step: u32) -> Self;
    fn percent(self, percents: &[u16]) -> Self;
    fn amount(self, amount: &str) -> Self;
    fn notify(self) -> Self;
    fn set(self) -> Command;
}

impl Bound for PutLimit {
    fn on(mut self, attribute: &str, value: &str) -> PutLimit {
        self.terms.scope.0.push((attribute.into(), value.into()));
        self
    }
    fn per(mut self, unit: CalendarUnit) -> PutLimit {
        self.terms.window = Window::Calendar(unit);
        self
    }
    fn rolling(mut self, steps: u16, step: u32) -> PutLimit {
        let step = seconds(step);
        self.terms.window = Window::Rolling { step, steps };
        self
    }
    fn percent(mut self, percents: &[u16]) -> PutLimit {
        let thresholds = percents.iter().map(|percent| Threshold::Percent(*percent));
        self.terms.thresholds.extend(thresholds);
        self
    }
    fn amount(mut self, amount: &str) -> PutLimit {
        self.terms.thresholds.push(Threshold::Amount(n(amount)));
        self
    }
    fn notify(mut self) -> PutLimit {
        self.terms.on_exceed = OnExceed::Notify;
        self
    }
    fn set(self) -> Command {
        Command::PutLimit(self)
    }
}

pub fn delete(name: &str) -> Command {
    Command::DeleteLimit(DeleteLimit {
        id: CallId::new("d").unwrap(),
        name: LimitName::new(name).unwrap(),
    })
}

pub fn usage_of(id: &str, attributes: &[(&str, &str)]) -> Command {
    Command::Usage(event_with(id, attributes))
}

pub fn hold_of(id: &str, attributes: &[(&str, &str)]) -> Command {
    let Command::Authorize(mut authorize) = hold(id) else {
        unreachable!("an authorize")
    };
    authorize.event = event_with(id, attributes);
    Command::Authorize(authorize)
}

pub fn one_shot_of(id: &str, attributes: &[(&str, &str)]) -> Command {
    let Command::Authorize(mut authorize) = hold_of(id, attributes) else {
        unreachable!("an authorize")
    };
    authorize.mode = AuthorizeMode::Settle;
    Command::Authorize(authorize)
}

/// A settlement that brings attributes.
pub fn with_attributes(settlement: Command, attributes: &[(&str, &str)]) -> Command {
    let Command::Settle(mut settle) = settlement else {
        unreachable!("a settlement")
    };
    settle.attributes = event_with("any", attributes).attributes;
    Command::Settle(settle)
}

pub fn settle_as(hold: &str, attributes: &[(&str, &str)]) -> Command {
    with_attributes(settle(hold), attributes)
}

impl World {
    /// `used + held, available left` of a limit, now.
    pub fn limit(&self, name: &str) -> String {
        let state = self.wallet.limit(&LimitName::new(name).unwrap()).unwrap();
        let LimitView {
            used,
            held,
            available,
            ..
        } = LimitView::at(state, self.now);
        format!("{used} + {held}, {available} left")
    }

    /// Thresholds that the newest record announces: `team 50% at 5`, in order.
    pub fn announced(&self) -> Vec<String> {
        self.records.last().map_or(Vec::new(), announced)
    }
}

/// The same, of any record.
pub fn announced(record: &farebox_record::Record) -> Vec<String> {
    let crossed = record.outcome.effects.iter().filter_map(|effect| match effect {
        Effect::ThresholdCrossed(crossed) => Some(crossed),
        _ => None,
    });
    crossed
        .map(|c| match c.threshold {
            Threshold::Percent(percent) => format!("{} {percent}% at {}", c.limit, c.used),
            Threshold::Amount(amount) => format!("{} {amount} at {}", c.limit, c.used),
        })
        .collect()
}
