//! How an event stands, as the records say: what whoever corrects it, folds it again or adds usage up begins with.

use farebox_ledger::{refunded_of, standing_of};
use farebox_record::codec;
use farebox_record::command::{Backfill, Command};
use farebox_record::correction::{Noted, Standing, StandingStatus};
use farebox_record::ids::CallId;
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::plan::Rejection;
use farebox_record::state::{Cadence, Part};
use farebox_record::time::Timestamp;

use crate::refold::{behind, three, tokens, void_with};
use crate::world::bound::limit;
use crate::world::make::*;
use crate::world::say::say;
use crate::world::{World, t};

const DAY: i64 = 86_400;
/// The day on which what is backfilled is told.
const LATER: i64 = 100 * DAY;

fn world() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "100").put());
    world
}

/// What the newest record says of an event by itself.
fn newest(world: &World) -> Option<Standing> {
    standing_of(world.records.last().unwrap())
}

fn taken(standing: &Standing) -> Vec<String> {
    let slices = standing.slices.iter();
    slices
        .map(|slice| format!("{} {}", slice.code, slice.amount))
        .collect()
}

fn backfill(id: &str, time: Option<Timestamp>) -> Command {
    let mut event = event(id);
    event.time = time;
    Command::Backfill(Backfill {
        backfill: CallId::new("of-january").unwrap(),
        event,
    })
}

fn unheard_of() -> Verdict {
    Verdict::Rejected(Rejection::Unpriceable {
        message: "no such model".into(),
    })
}

#[test]
fn only_what_usage_may_not_be_is_backfilled() {
    let mut world = World::new();
    world.now = t(LATER);
    let told = say(&world.decide(backfill("a", None), None));
    assert!(told.contains("must be said of an event of a backfill"), "{told}");
    // 35 days to the microsecond are usage still.
    let edge = t(LATER - 35 * DAY);
    let told = say(&world.decide(backfill("a", Some(edge)), None));
    assert!(
        told.contains("within the last 35 days (limit LATE_WINDOW)"),
        "{told}"
    );
    let older = Timestamp::from_micros(edge.as_micros() - 1);
    let told = say(&world.decide(backfill("a", Some(older)), None));
    assert_eq!(told, "unpriced: NoSubscription");
}

#[test]
fn a_backfilled_event_stands_like_any_other() {
    let mut world = world();
    world.now = t(LATER);
    let old = Some(t(LATER - 40 * DAY));
    world.decide(backfill("a", old), Some(pricing(usd("4")))).unwrap();
    let standing = newest(&world).unwrap();
    assert_eq!(
        (standing.status, standing.time),
        (StandingStatus::Charged, t(LATER - 40 * DAY))
    );
    assert_eq!(taken(&standing), ["tokens 4"]);
    world
        .decide(backfill("b", old), Some(pricing(unheard_of())))
        .unwrap();
    let standing = newest(&world).unwrap();
    let number = world.wallet.header().sequence;
    assert_eq!(standing.status, StandingStatus::Unpriced(number));
    assert_eq!((standing.priced, standing.slices), (None, Vec::new()));
}

#[test]
fn a_hold_says_nothing_of_its_event_before_it_ends() {
    let mut world = world();
    world.ask(hold("h"), usd("6")).unwrap();
    assert_eq!(newest(&world), None);
    world.ask(part("h", "p"), usd("2")).unwrap();
    assert_eq!(newest(&world), None);
    world.ask(settle("h"), usd("5")).unwrap();
    assert_eq!(taken(&newest(&world).unwrap()), ["tokens 5"]);
}

#[test]
fn the_end_of_a_call_that_was_settled_in_part_says_how_it_stands() {
    let mut world = world();
    world.ask(hold("h"), usd("6")).unwrap();
    world.ask(part("h", "p"), usd("2")).unwrap();
    world.ask(release("h"), usd("2")).unwrap();
    assert_eq!(taken(&newest(&world).unwrap()), ["tokens 2"]);
}

#[test]
fn a_call_that_waits_for_a_price_happened_when_it_was_held_for() {
    let mut world = world();
    world.ask(hold("h"), usd("6")).unwrap();
    world.now = t(50);
    // The plan gives back of an event that nobody knows.
    let price = priced(&[
        charge("tokens", "usd", "5"),
        back("nobody", "tokens", "usd", "-1"),
    ]);
    let told = say(&world.ask(settle("h"), price));
    assert!(told.starts_with("unpriced"), "{told}");
    let standing = newest(&world).unwrap();
    assert_eq!(standing.time, t(0));
    assert_eq!((standing.lines, standing.slices), (Vec::new(), Vec::new()));
}

#[test]
fn a_refund_says_what_it_gave_back_of_which_event() {
    let mut world = world();
    world.ask(usage("e"), usd("4")).unwrap();
    assert_eq!(refunded_of(world.records.last().unwrap()), None);
    world.ok(refund_event("r", "e", Some("1")));
    let (event, back) = refunded_of(world.records.last().unwrap()).unwrap();
    assert_eq!(event, reference("e"));
    assert_eq!(
        back.iter().map(|slice| slice.amount).collect::<Vec<_>>(),
        [n("1")]
    );
    world.ok(refund_grant("r2", "g", Some("1")));
    assert_eq!(refunded_of(world.records.last().unwrap()), None);
}

#[test]
fn what_is_noted_of_an_event_names_its_record() {
    let mut world = world();
    world.ask(usage("a"), usd("4")).unwrap();
    let second = priced(&[charge("tokens", "usd", "1"), back("a", "tokens", "usd", "-2")]);
    world.ask(usage("b"), second).unwrap();
    let number = world.wallet.header().sequence;
    let parts = world.parts();
    let standing: Noted<Standing> = codec::decode(&parts[&Part::Standing(reference("a")).key()]).unwrap();
    assert_eq!(standing.by, Some(number));
    let given: Noted<farebox_record::correction::GiveBacks> =
        codec::decode(&parts[&Part::GiveBacks(reference("b")).key()]).unwrap();
    assert_eq!((given.by, given.what.gave.len()), (Some(number), 1));
    // What gives nothing back any more is not noted.
    world.ok(void("b"));
    assert!(!world.parts().contains_key(&Part::GiveBacks(reference("b")).key()));
}

#[test]
fn a_corrected_event_took_nothing_while_others_are_priced_again() {
    let mut world = three("20");
    let found = behind(&world, &[("b", tokens("4"), &[])]);
    void_with(&mut world, "a", found);
    let effects = &world.records.last().unwrap().outcome.effects;
    let of_a = effects.iter().filter_map(|effect| match effect {
        Effect::StandingPut(event, standing) if *event == reference("a") => Some(standing),
        _ => None,
    });
    let of_a: Vec<_> = of_a.collect();
    assert_eq!(of_a.len(), 2);
    assert_eq!((of_a[0].lines.len(), of_a[0].slices.len()), (0, 0));
}

#[test]
fn what_was_taken_of_one_grant_at_two_times_is_added_up() {
    let mut world = three("20");
    world.now = t(60);
    // `b` took 3, and takes 2 more a minute later; at 8 it takes another 3.
    let found = behind(&world, &[("b", tokens("5"), &[])]);
    void_with(&mut world, "a", found);
    let found = behind(&world, &[("b", tokens("8"), &[])]);
    assert_eq!(
        void_with(&mut world, "c", found),
        "corrected, reversed usd 2; b, charged usd 3"
    );
    // At 3 only what it took first stays, and no part of nothing.
    world.ask(usage("d"), usd("1")).unwrap();
    let found = behind(&world, &[("b", tokens("3"), &[])]);
    void_with(&mut world, "d", found);
    assert_eq!(
        taken(&world.original(&reference("b")).unwrap().standing),
        ["tokens 3"]
    );
}

#[test]
fn a_limit_sets_only_those_calls_apart_that_took_of_what_it_counts() {
    let mut world = world();
    world.ok(grant("c", "credits", "10").put());
    world.ask(hold("none"), usd("6")).unwrap();
    world
        .ask(hold("other"), priced(&[charge("tokens", "credits", "2")]))
        .unwrap();
    world
        .ask(part("other", "p"), priced(&[charge("tokens", "credits", "1")]))
        .unwrap();
    world.ok(Command::PutLimit(limit("l", "usd", "50")));
    assert!(world.wallet.limits().all(|(_, limit)| limit.apart.is_empty()));
    world.ask(hold("some"), usd("6")).unwrap();
    world.ask(part("some", "q"), usd("1")).unwrap();
    world.ok(Command::PutLimit(limit("m", "usd", "50")));
    let apart: Vec<usize> = world
        .wallet
        .limits()
        .map(|(_, limit)| limit.apart.len())
        .collect();
    assert_eq!(apart, [0, 1]);
}
