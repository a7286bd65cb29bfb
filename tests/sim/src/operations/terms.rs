//! What changes the terms of what follows: the life of a subscription, and spending limits.

use farebox_money::Nanos;
use farebox_record::command::{Command, DeleteLimit, PutLimit};
use farebox_record::ids::LimitName;
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_record::state::Cadence;
use farebox_record::time::Span;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::{Scene, above_hold, name};
use crate::plans::{POOL, TOKENS, plan_name};

pub(super) fn change(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some(subscription) = scene.subscriptions.choose(scene.random).cloned() else {
        return Vec::new();
    };
    let change = match scene.random.random_range(0..14) {
        0..=3 => SubscriptionChange::Seats(scene.random.random_range(0..5)),
        4..=5 => SubscriptionChange::Pause,
        6..=7 => SubscriptionChange::Resume,
        8 => SubscriptionChange::Cancel,
        9 => SubscriptionChange::Unschedule,
        12..=13 => SubscriptionChange::AboveHold(above_hold(scene)),
        _ => SubscriptionChange::Plan {
            plan: plan_name(if scene.may_pool && scene.one_in(2) {
                POOL
            } else {
                TOKENS
            }),
            cadence: scene.one_in(3).then_some(Cadence::Weekly),
        },
    };
    vec![Command::ChangeSubscription(ChangeSubscription {
        subscription,
        id: scene.call_id(),
        change,
        when: if scene.one_in(3) {
            When::PeriodEnd
        } else {
            When::Now
        },
        proration: if scene.one_in(2) {
            Proration::Prorate
        } else {
            Proration::None
        },
    })]
}

/// For the whole customer or for one model; tight enough to deny, and gone or changed again soon.
pub(super) fn put_limit(scene: &mut Scene<'_>) -> Vec<Command> {
    let scope = match scene.one_in(2) {
        true => Scope(vec![("model".into(), "one".into())]),
        false => Scope::default(),
    };
    let windows = [
        Window::Calendar(CalendarUnit::Hour),
        Window::Calendar(CalendarUnit::Day),
        Window::Calendar(CalendarUnit::Week),
        Window::Calendar(CalendarUnit::Month),
        Window::Calendar(CalendarUnit::Year),
        Window::Rolling {
            step: Span::seconds(600),
            steps: 12,
        },
    ];
    let terms = LimitTerms {
        asset: scene.asset(),
        amount: {
            let most = [20, 100, 400].choose(scene.random).copied().unwrap_or(400);
            scene.amount(most)
        },
        scope,
        window: windows.choose(scene.random).copied().unwrap_or(windows[0]),
        thresholds: vec![
            Threshold::Percent(33),
            Threshold::Percent(100),
            Threshold::Amount(Nanos::new(200_000_000)),
        ],
        on_exceed: if scene.one_in(2) {
            OnExceed::Notify
        } else {
            OnExceed::Deny
        },
    };
    vec![Command::PutLimit(PutLimit {
        id: scene.call_id(),
        name: limit(scene),
        terms,
    })]
}

pub(super) fn delete_limit(scene: &mut Scene<'_>) -> Vec<Command> {
    vec![Command::DeleteLimit(DeleteLimit {
        id: scene.call_id(),
        name: limit(scene),
    })]
}

/// One of a few, so that most are changed or deleted once.
fn limit(scene: &mut Scene<'_>) -> LimitName {
    name(LimitName::new(&format!("l{}", scene.random.random_range(0..3))))
}
