//! What the random histories come to. A rule that no history reaches is not tested by them, and nothing else would say so.

use std::collections::BTreeSet;
use std::fmt::Debug;

use farebox_record::Record;
use farebox_record::command::{Command, DueItem};
use farebox_record::correction::Consequence;
use farebox_record::lifecycle::SubscriptionChange;
use farebox_record::outcome::{Account, Answer, DenialReason, Effect};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::drive::Pair;
use crate::steps::any_script;

/// Some hundreds reach all of it.
const HISTORIES_MAX: usize = 3_000;

/// The name of a kind, as it is declared.
fn name(kind: &impl Debug) -> String {
    let text = format!("{kind:?}");
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// Kinds by what they are kinds of.
type Seen = BTreeSet<(&'static str, String)>;

fn read(record: &Record, seen: &mut Seen) {
    seen.insert(("command", name(&record.command)));
    seen.insert(("answer", name(&record.outcome.answer)));
    match &record.command {
        Command::Due(due) => drop(seen.insert(("due", name(&due.item)))),
        Command::ChangeSubscription(change) => drop(seen.insert(("change", name(&change.change)))),
        _ => {}
    }
    if let Some(consequence) = record.seen.consequence.as_deref() {
        seen.insert(("consequence", name(consequence)));
    }
    if let Answer::Denied(denied) = &record.outcome.answer {
        seen.insert(("denial", name(&denied.reason)));
    }
    for effect in &record.outcome.effects {
        seen.insert(("effect", name(effect)));
        if let Effect::GrantOpened(_, grant) = effect
            && grant.portion_of.is_some()
        {
            seen.insert(("grant", "Portion".into()));
        }
        if let Effect::Entry(entry) = effect {
            seen.insert(("account", name(&entry.account)));
        }
    }
}

/// All that there is, but what older releases wrote and nobody asks for any more.
#[rustfmt::skip]
const ALL: [(&str, &[&str]); 9] = [
    ("account", &["Adjustments", "Available", "Breakage", "Debt", "Held", "Included", "Promotional", "Purchases",
        "Receivable", "Revenue"]),
    ("answer", &["Adjusted", "Allowed", "Charged", "Corrected", "Customer", "Denied", "Extended", "Granted", "Handled",
        "HoldEnded", "LimitDeleted", "LimitPut", "Paid", "Refolded", "Settled", "Subscribed", "SubscriptionChanged",
        "Unpriced"]),
    ("change", &["AboveHold", "Cancel", "Pause", "Plan", "Resume", "Seats", "Unschedule"]),
    ("command", &["Adjust", "Amend", "Authorize", "Backfill", "ChangeSubscription", "DeleteLimit", "Due", "Extend", "Grant",
        "Pay", "PutCustomer", "PutLimit", "RateUnpriced", "Refund", "Release", "RememberTerm", "RetryChange", "Settle",
        "Subscribe", "Usage", "Void"]),
    ("consequence", &["Refolded", "Reversed"]),
    ("denial", &["Debt", "InsufficientFunds", "Limit", "NoSubscription", "Paused", "Unpriceable"]),
    ("due", &["GrantEffective", "GrantExpiry", "HoldExpiry", "Renewal", "Timer"]),
    ("effect", &["AboveHoldPut", "CustomerPut", "Entry", "GiveBacksPut", "GrantActivated", "GrantEnded", "GrantExpired",
        "GrantGiven", "GrantOpened", "GrantReopened", "HoldEnded", "HoldForgotten", "HoldPut", "HoldUsed", "LimitCounted",
        "LimitCountedApart", "LimitDeleted", "LimitPut", "PlanTaken", "StandingPut", "SubjectPut", "SubjectTimerPut",
        "SubscriptionForgotten", "SubscriptionPut", "TermForgotten", "TermPut", "ThresholdCrossed", "UnpricedKept",
        "UnpricedRated", "WriteOffsPut"]),
    ("grant", &["Portion"]),
];

/// Does not compile where a kind is new, until it stands in [`ALL`] too.
#[rustfmt::skip]
fn nothing_is_new(command: &Command, effect: &Effect, answer: &Answer, account: &Account, reason: &DenialReason) {
    use {Account as C, Answer as A, Command as O, DenialReason as D, Effect as E};
    match command {
        O::PutCustomer(_) | O::Grant(_) | O::Subscribe(_) | O::Authorize(_) | O::Settle(_) | O::Extend(_) | O::Release(_)
        | O::Usage(_) | O::RateUnpriced(_) | O::Adjust(_) | O::Pay(_) | O::Refund(_) | O::Void(_) | O::Amend(_)
        | O::RetryTransition(_) | O::PutLimit(_) | O::DeleteLimit(_) | O::Backfill(_) | O::RememberTerm(_)
        | O::RetryChange(_) => {}
        O::Due(due) => match due.item {
            DueItem::HoldExpiry(_) | DueItem::Timer { .. } | DueItem::Renewal(_) | DueItem::GrantExpiry(_)
            | DueItem::GrantEffective(_) => {}
        },
        O::ChangeSubscription(change) => {
            use SubscriptionChange as S;
            match change.change {
                S::Seats(_) | S::Plan { .. } | S::Pause | S::Resume | S::Cancel | S::Unschedule | S::AboveHold(_) => {}
            }
        }
    }
    match effect {
        E::CustomerPut(_) | E::GrantOpened(..) | E::GrantActivated(_) | E::GrantExpired(_) | E::GrantEnded(_) | E::Entry(_)
        | E::HoldPut(..) | E::HoldEnded(..) | E::HoldForgotten(_) | E::SubscriptionPut(..) | E::SubjectPut(..)
        | E::UnpricedKept(_) | E::UnpricedRated(_) | E::GrantReopened(..) | E::TermPut(..) | E::TermForgotten(..)
        | E::SubscriptionForgotten(_) | E::StandingPut(..) | E::LimitPut(..) | E::LimitDeleted(_) | E::LimitCounted { .. }
        | E::LimitCountedApart { .. } | E::ThresholdCrossed(_) | E::WriteOffsPut(..) | E::GrantGiven(..) | E::PlanTaken(..)
        | E::HoldUsed(..) | E::AboveHoldPut(..) | E::GiveBacksPut(..) | E::SubjectTimerPut(..) => {}
    }
    match answer {
        A::Customer { .. } | A::Granted { .. } | A::Subscribed { .. } | A::Allowed(_) | A::Denied(_) | A::Charged { .. }
        | A::Unpriced(_) | A::Settled(_) | A::Extended { .. } | A::HoldEnded { .. } | A::Handled | A::LimitPut { .. }
        | A::LimitDeleted(_) | A::SubscriptionChanged(_) | A::Adjusted { .. } | A::Paid { .. } | A::Corrected(_)
        | A::Refolded(_) => {}
    }
    match account {
        C::Available(_) | C::Held(_) | C::Debt | C::Receivable | C::Revenue | C::Breakage | C::Purchases | C::Promotional
        | C::Included | C::Adjustments => {}
    }
    match reason {
        D::InsufficientFunds | D::Debt | D::NoSubscription | D::Unpriceable(_) | D::Paused | D::Limit(_) => {}
    }
}

/// The same for what a correction may mean.
fn no_consequence_is_new(consequence: &Consequence) {
    match consequence {
        Consequence::Reversed(_) | Consequence::Refolded(_) => {}
    }
}

#[test]
fn histories_come_to_everything_that_there_is() {
    let _: (fn(&_, &_, &_, &_, &_), fn(&_)) = (nothing_is_new, no_consequence_is_new);
    let mut runner = TestRunner::deterministic();
    let all = ALL.iter();
    let all = all.flat_map(|(of, kinds)| kinds.iter().map(|kind| (*of, kind.to_string())));
    let all: Seen = all.collect();
    let mut seen = Seen::new();
    let mut histories = 0;
    while seen.len() < all.len() && histories < HISTORIES_MAX {
        histories += 1;
        let script = any_script().new_tree(&mut runner).unwrap().current();
        let mut pair = Pair::new();
        for step in &script {
            pair.go(step);
        }
        for record in &pair.world.records {
            read(record, &mut seen);
        }
    }
    let missing: Vec<_> = all.difference(&seen).collect();
    let unknown: Vec<_> = seen.difference(&all).collect();
    assert_eq!(
        (missing, unknown),
        (Vec::new(), Vec::new()),
        "after {histories} histories"
    );
}
