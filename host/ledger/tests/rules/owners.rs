//! Whom an event belongs to: by its type and by its time.

use farebox_ledger::term_of;
use farebox_record::ids::{EventType, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange, SubscriptionStatus, When};
use farebox_record::outcome::Pricing;
use farebox_record::state::Cadence;

use crate::world::make::{change, priced, pricing, subscribe};
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// From 1 March to 1 April 2026.
const MONTH: i64 = 31 * DAY;

fn kind(name: &str) -> EventType {
    EventType::new(name).unwrap()
}

/// A plan that prices these types of events.
fn plan_of(types: &[&str]) -> Pricing {
    Pricing {
        event_types: types.iter().map(|name| kind(name)).collect(),
        ..pricing(priced(&[]))
    }
}

/// `s` owns `chat` from the start on.
fn world() -> World {
    let mut world = World::new();
    world
        .decide(subscribe("s", Cadence::Monthly), Some(plan_of(&["chat"])))
        .unwrap();
    world
}

fn owner_at(world: &World, name: &str, seconds: i64) -> Option<String> {
    let owner = world.wallet.owner_at(&kind(name), t(seconds));
    owner.map(|(id, _)| id.to_string())
}

fn owner(world: &World, name: &str) -> Option<String> {
    world.wallet.owner(&kind(name)).map(|(id, _)| id.to_string())
}

#[test]
fn a_type_has_the_owner_whose_plan_prices_it() {
    let mut world = world();
    world
        .decide(subscribe("r", Cadence::Monthly), Some(plan_of(&["image"])))
        .unwrap();
    assert_eq!(owner(&world, "chat").as_deref(), Some("s"));
    assert_eq!(owner(&world, "image").as_deref(), Some("r"));
    assert_eq!(owner(&world, "video"), None);
    assert_eq!(owner_at(&world, "chat", 0).as_deref(), Some("s"));
    assert_eq!(owner_at(&world, "image", 0).as_deref(), Some("r"));
    assert_eq!(owner_at(&world, "video", 0), None);
    // A third that wants one of them is refused, and told whose it is.
    let third = world.decide(
        subscribe("t", Cadence::Monthly),
        Some(plan_of(&["video", "image"])),
    );
    assert_eq!(
        say(&third),
        "refused: events of type image belong to subscription r; end it first"
    );
}

#[test]
fn an_event_belongs_to_the_subscription_that_ran_when_it_happened() {
    let mut world = world();
    world.advance(10 * DAY);
    world
        .ask(change("1", SubscriptionChange::Cancel, When::Now), priced(&[]))
        .unwrap();
    assert_eq!(owner(&world, "chat"), None);
    world.advance(DAY);
    let mut behind = plan_of(&["chat"]);
    behind.period.start = world.now;
    world
        .decide(subscribe("a", Cadence::Monthly), Some(behind))
        .unwrap();
    assert_eq!(owner(&world, "chat").as_deref(), Some("a"));
    // `s` ended with day 10, and `a` began with day 11, though its name comes first. Between the two nobody ran: whoever
    // runs now prices it.
    for (seconds, expected) in [
        (0, "s"),
        (10 * DAY - 1, "s"),
        (10 * DAY, "a"),
        (11 * DAY - 1, "a"),
        (11 * DAY, "a"),
    ] {
        assert_eq!(
            owner_at(&world, "chat", seconds).as_deref(),
            Some(expected),
            "{seconds}"
        );
    }
    // Before there was any, too.
    assert_eq!(owner_at(&world, "chat", -DAY).as_deref(), Some("a"));
}

#[test]
fn a_first_period_that_began_before_its_subscription_takes_nothing_from_the_one_before() {
    let mut world = world();
    world.advance(10 * DAY);
    world
        .ask(change("1", SubscriptionChange::Cancel, When::Now), priced(&[]))
        .unwrap();
    world.advance(DAY);
    // Its periods are those of the calendar, so the first one began ten days ago, while `s` still ran.
    let mut calendar = plan_of(&["chat"]);
    calendar.period.start = t(2 * DAY);
    world
        .decide(subscribe("a", Cadence::Monthly), Some(calendar))
        .unwrap();
    assert_eq!(owner_at(&world, "chat", 3 * DAY).as_deref(), Some("s"));
    assert_eq!(owner_at(&world, "chat", 10 * DAY).as_deref(), Some("a"));
    // When it has ended as well, it still has what its first period had before anybody ran.
    world.advance(DAY);
    let end = farebox_record::lifecycle::ChangeSubscription {
        subscription: SubscriptionId::new("a").unwrap(),
        id: farebox_record::ids::CallId::new("2").unwrap(),
        change: SubscriptionChange::Cancel,
        when: When::Now,
        proration: farebox_record::lifecycle::Proration::None,
    };
    let end = farebox_record::command::Command::ChangeSubscription(end);
    let told = Pricing {
        subscription: SubscriptionId::new("a").unwrap(),
        ..pricing(priced(&[]))
    };
    world.decide(end, Some(told)).unwrap();
    assert_eq!(owner_at(&world, "chat", 10 * DAY).as_deref(), Some("a"));
    assert_eq!(owner_at(&world, "chat", 12 * DAY), None);
    assert_eq!(owner_at(&world, "chat", -DAY), None);
}

#[test]
fn an_event_belongs_to_the_term_that_ran_when_it_happened() {
    let mut world = world();
    world.advance(MONTH + 30 * DAY);
    let (_, subscription) = world.wallet.subscriptions().next().unwrap();
    assert_eq!(subscription.term, 2);
    for (seconds, expected) in [
        (-DAY, Some(0)),
        (0, Some(0)),
        (MONTH - 1, Some(0)),
        (MONTH, Some(1)),
        (MONTH + 30 * DAY - 1, Some(1)),
        (MONTH + 30 * DAY, None),
    ] {
        let term = term_of(subscription, t(seconds)).map(|past| past.number);
        assert_eq!(term, expected, "{seconds}");
    }
    // A subscription that began in its first term has one owner for all of them.
    assert_eq!(owner_at(&world, "chat", 0).as_deref(), Some("s"));
    assert_eq!(owner_at(&world, "chat", MONTH).as_deref(), Some("s"));
}

#[test]
fn a_subscription_that_ended_takes_its_types_along_only_for_what_is_late() {
    let mut world = world();
    world.ok(change("1", SubscriptionChange::Cancel, When::PeriodEnd));
    world.transitions.push_back(priced(&[]));
    world.advance(MONTH);
    let (_, subscription) = world.wallet.subscriptions().next().unwrap();
    assert_eq!(subscription.status, SubscriptionStatus::Cancelled(t(MONTH)));
    assert_eq!(owner_at(&world, "chat", MONTH - 1).as_deref(), Some("s"));
    assert_eq!(owner_at(&world, "chat", MONTH), None);
    assert_eq!(owner(&world, "chat"), None);
    let id = SubscriptionId::new("s").unwrap();
    assert!(world.wallet.subscription(&id).is_some());
}
