//! What happens to a price above a hold, where the subscription says it and the settlement does not.

use farebox_ledger::Refusal;
use farebox_record::command::AboveHold::{self, AllowDebt, AsSubscribed, ChargeAvailable, Deny};
use farebox_record::command::Command;
use farebox_record::command::Finality::{Final, Partial};
use farebox_record::lifecycle::SubscriptionChange as Change;
use farebox_record::lifecycle::When;
use farebox_record::state::Cadence;

use crate::world::World;
use crate::world::make::*;

/// 10 usd, of which a call holds 6, under a subscription that says this.
fn held(says: Option<AboveHold>) -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    if let Some(above) = says {
        world.ok(change("policy", Change::AboveHold(above), When::Now));
    }
    world.ask(hold("h"), usd("6")).unwrap();
    world.crash();
    world
}

#[test]
fn a_subscription_may_say_it_when_it_starts() {
    let mut world = World::new();
    let mut start = subscribe("s", Cadence::Monthly);
    if let Command::Subscribe(subscribe) = &mut start {
        subscribe.above_hold = Deny;
    }
    world.ask(start.clone(), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("6")).unwrap();
    world.crash();
    let above = world.ask(settling("h", "end", Final, AsSubscribed), usd("6.5"));
    assert!(matches!(above, Err(Refusal::AboveHold { .. })), "{above:?}");
    // Saying nothing of it is another request.
    let silent = subscribe("s", Cadence::Monthly);
    assert_eq!(silent.difference(&start).as_deref(), Some("above_hold"));
    assert_eq!(start.difference(&start), None);
}

#[test]
fn the_subscription_decides_where_the_settlement_says_nothing() {
    let unsaid = || settling("h", "end", Final, AsSubscribed);
    for says in [None, Some(AllowDebt)] {
        let mut world = held(says);
        world.ask(unsaid(), usd("12")).unwrap();
        assert_eq!(world.has("usd"), "0 0 2 0");
    }
    let mut world = held(Some(ChargeAvailable));
    world.ask(unsaid(), usd("12")).unwrap();
    assert_eq!(world.has("usd"), "0 0 0 0", "2 are let go");
    let mut world = held(Some(Deny));
    match world.ask(unsaid(), usd("6.5")) {
        Err(Refusal::AboveHold { missing, .. }) => assert_eq!(missing, n("0.5")),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.has("usd"), "4 6 0 0");
    world.ask(unsaid(), usd("6")).unwrap();
    assert_eq!(world.has("usd"), "4 0 0 0");
}

#[test]
fn what_the_settlement_says_goes_first() {
    let mut world = held(Some(Deny));
    world
        .ask(settling("h", "end", Final, AllowDebt), usd("12"))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 2 0");
    let mut world = held(Some(AllowDebt));
    let refused = world.ask(settling("h", "end", Final, Deny), usd("12"));
    assert!(matches!(refused, Err(Refusal::AboveHold { .. })), "{refused:?}");
}

#[test]
fn it_changes_at_once_for_open_holds_and_can_be_taken_back() {
    let mut world = held(Some(Deny));
    world.ok(change("later", Change::AboveHold(AsSubscribed), When::Now));
    world
        .ask(settling("h", "end", Final, AsSubscribed), usd("12"))
        .unwrap();
    assert_eq!(world.has("usd"), "0 0 2 0");
    let refused = world.ask(
        change("end", Change::AboveHold(Deny), When::PeriodEnd),
        priced(&[]),
    );
    assert!(
        matches!(refused, Err(Refusal::ChangeNotPossible(_))),
        "{refused:?}"
    );
}

#[test]
fn a_part_that_nobody_finishes_is_let_go_as_the_subscription_said() {
    let mut world = held(Some(ChargeAvailable));
    world
        .ask(settling("h", "part", Partial, AsSubscribed), usd("5"))
        .unwrap();
    world.ok(change("later", Change::AboveHold(AllowDebt), When::Now));
    // The part was settled under what was said then: the whole takes the 6 that are held, and no debt.
    world.ask(release("h"), usd("12")).unwrap();
    assert_eq!(world.has("usd"), "4 0 0 0");
}
