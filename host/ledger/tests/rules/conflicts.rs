//! What must not change in a retry of what puts money or terms right: each field, under the name by which callers know it.

use farebox_record::command::{AboveHold, Backfill, Command};
use farebox_record::correction::AdjustTarget::{Balance, Debt};
use farebox_record::correction::{Adjust, Amend, Pay, Refund, RefundTarget, Void};
use farebox_record::ids::{GrantId, PlanName};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::state::Cadence;

use crate::world::make::{
    adjust, amend, asset, change, event, n, pay, reference, refund_event, refund_grant, void,
};
use crate::world::t;

/// A field, and a change in it alone.
type Change<'c, T> = (&'c str, &'c dyn Fn(&mut T));

/// One request, and others under its id that differ in one field each.
fn check<T: Clone>(first: &T, wrap: fn(T) -> Command, changes: &[Change<'_, T>]) {
    let command = wrap(first.clone());
    assert_eq!(command.difference(&command), None);
    for (field, change) in changes {
        let mut other = first.clone();
        change(&mut other);
        let again = wrap(other);
        assert_eq!(
            again.identity(),
            command.identity(),
            "another request than {command:?}"
        );
        assert_eq!(again.difference(&command).as_deref(), Some(*field), "{again:?}");
    }
}

macro_rules! of {
    ($kind:ident, $command:expr) => {
        match $command {
            Command::$kind(it) => it,
            other => unreachable!("{other:?}"),
        }
    };
}

#[test]
fn an_adjustment() {
    let changes: [Change<'_, Adjust>; 4] = [
        ("asset", &|it| it.asset = asset("credits")),
        ("amount", &|it| it.amount = n("2")),
        ("target", &|it| it.target = Debt),
        ("reason", &|it| it.reason = "another".into()),
    ];
    check(&of!(Adjust, adjust("k", Balance, "1")), Command::Adjust, &changes);
}

#[test]
fn a_payment() {
    let changes: [Change<'_, Pay>; 3] = [
        ("asset", &|it| it.asset = asset("credits")),
        ("amount", &|it| it.amount = n("2")),
        ("label", &|it| it.label = Some("invoice 7".into())),
    ];
    check(&of!(Pay, pay("k", "1")), Command::Pay, &changes);
}

#[test]
fn a_refund() {
    let of_event = |id: &str, amount: Option<&str>| of!(Refund, refund_event("k", id, amount)).target;
    let of_grant = |id: &str, amount: Option<&str>| of!(Refund, refund_grant("k", id, amount)).target;
    let changes: [Change<'_, Refund>; 6] = [
        ("event", &|it| it.target = of_event("other", Some("1"))),
        ("amount", &|it| it.target = of_event("e", Some("2"))),
        ("amount", &|it| it.target = of_event("e", None)),
        ("amount", &|it| {
            it.target = RefundTarget::Event {
                event: reference("e"),
                amount: Some((asset("credits"), n("1"))),
            }
        }),
        // What it is of, where it is of another kind.
        ("grant", &|it| it.target = of_grant("e", Some("1"))),
        ("reason", &|it| it.reason = "another".into()),
    ];
    let first = of!(Refund, refund_event("k", "e", Some("1")));
    check(&first, Command::Refund, &changes);
    let changes: [Change<'_, Refund>; 4] = [
        ("grant", &|it| it.target = of_grant("other", Some("1"))),
        ("amount", &|it| it.target = of_grant("g", Some("2"))),
        ("amount", &|it| {
            it.target = RefundTarget::Grant {
                grant: GrantId::new("g").unwrap(),
                amount: None,
            }
        }),
        ("event", &|it| it.target = of_event("g", Some("1"))),
    ];
    let first = of!(Refund, refund_grant("k", "g", Some("1")));
    check(&first, Command::Refund, &changes);
}

#[test]
fn an_event_that_is_taken_back_or_replaced() {
    let changes: [Change<'_, Void>; 1] = [("reason", &|it| it.reason = Some("another".into()))];
    check(&of!(Void, void("e")), Command::Void, &changes);
    let changes: [Change<'_, Amend>; 4] = [
        ("type", &|it| it.event.event_type = "other".parse().unwrap()),
        ("time", &|it| it.event.time = Some(t(1))),
        ("measures.tokens", &|it| {
            it.event.measures.insert("tokens".into(), n("1"));
        }),
        ("attributes.team", &|it| {
            it.event.attributes.insert("team".into(), "a".into());
        }),
    ];
    check(&of!(Amend, amend("e")), Command::Amend, &changes);
}

#[test]
fn an_event_of_a_backfill() {
    let mut old = event("e");
    old.time = Some(t(-90 * 86_400));
    let first = Backfill {
        backfill: "january".parse().unwrap(),
        event: old,
    };
    let changes: [Change<'_, Backfill>; 5] = [
        ("type", &|it| it.event.event_type = "other".parse().unwrap()),
        ("time", &|it| it.event.time = Some(t(-91 * 86_400))),
        ("measures.tokens", &|it| {
            it.event.measures.insert("tokens".into(), n("1"));
        }),
        ("attributes.team", &|it| {
            it.event.attributes.insert("team".into(), "a".into());
        }),
        ("backfill", &|it| it.backfill = "february".parse().unwrap()),
    ];
    check(&first, Command::Backfill, &changes);
}

/// The member that the repeated request has, where it changes something else.
#[test]
fn a_change_of_a_subscription() {
    use SubscriptionChange as S;
    let plan = |name: &str, cadence| S::Plan {
        plan: PlanName::new(name).unwrap(),
        cadence,
    };
    let seats = of!(ChangeSubscription, change("k", S::Seats(2), When::Now));
    let changes: [Change<'_, ChangeSubscription>; 9] = [
        ("seats", &|it| it.change = S::Seats(3)),
        ("plan", &|it| it.change = plan("other", None)),
        ("pause", &|it| it.change = S::Pause),
        ("resume", &|it| it.change = S::Resume),
        ("cancel", &|it| it.change = S::Cancel),
        ("unschedule", &|it| it.change = S::Unschedule),
        ("above_hold", &|it| it.change = S::AboveHold(AboveHold::Deny)),
        ("when", &|it| it.when = When::PeriodEnd),
        ("prorate", &|it| it.proration = Proration::None),
    ];
    check(&seats, Command::ChangeSubscription, &changes);
    let to = |change| ChangeSubscription {
        change,
        ..seats.clone()
    };
    let changes: [Change<'_, ChangeSubscription>; 3] = [
        ("plan", &|it| it.change = plan("other", None)),
        ("cadence", &|it| it.change = plan("basic", Some(Cadence::Yearly))),
        ("seats", &|it| it.change = S::Seats(2)),
    ];
    check(&to(plan("basic", None)), Command::ChangeSubscription, &changes);
    let changes: [Change<'_, ChangeSubscription>; 1] =
        [("above_hold", &|it| it.change = S::AboveHold(AboveHold::AllowDebt))];
    check(
        &to(S::AboveHold(AboveHold::Deny)),
        Command::ChangeSubscription,
        &changes,
    );
}
