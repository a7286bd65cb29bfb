//! Timers of the subjects that a plan follows. The plan charges when one goes off, and what it charges belongs to the event
//! that set the timer.

use farebox_record::command::{Command, RetryChange};
use farebox_record::correction::Amend;
use farebox_record::lifecycle::{SubscriptionChange, When};
use farebox_record::outcome::{Answer, Verdict};
use farebox_record::plan::{Charge, Priced, SubjectChange, TimerOrder};
use farebox_record::state::{Cadence, Part, SubjectTimer, Waiting};
use farebox_record::time::Timestamp;

use crate::world::World;
use crate::world::bound::{Bound, limit};
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

/// The plan's answer: charges, and a timer under this key.
fn orders(charges: &[Charge], key: &str, at: Option<Timestamp>) -> Verdict {
    Verdict::Priced(Priced {
        charges: charges.to_vec(),
        timers: vec![TimerOrder { key: key.into(), at }],
        ..Priced::default()
    })
}

fn outcome(amount: &str) -> Verdict {
    priced(&[charge("outcome", "usd", amount)])
}

/// An answer in a conversation, whose outcome is waited for until then.
fn answered(world: &mut World, event: &str, conversation: &str, until: i64) {
    let used = event_with(event, &[("conversation", conversation)]);
    let pricing = about(orders(&[], "resolved", Some(t(until))));
    world.decide(Command::Usage(used), Some(pricing)).unwrap();
}

fn world() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    world
}

/// Conversations with a timer that is set.
fn waiting(world: &World) -> Vec<String> {
    let parts = world.parts();
    let timers = parts.keys().filter_map(|key| match Part::from_key(key) {
        Ok(Part::SubjectTimer(timer)) => Some(timer.subject),
        _ => None,
    });
    timers.collect()
}

#[test]
fn each_subject_has_a_timer_of_its_own() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    answered(&mut world, "b", "c2", 200);
    assert_eq!(waiting(&world), ["c1", "c2"]);
    // The same conversation again: its deadline moves, the other one's does not.
    answered(&mut world, "a2", "c1", 300);
    world.crash();
    world.transitions.extend([outcome("0.99"), outcome("1.99")]);
    world.advance(100);
    assert_eq!(world.has("usd"), "10 0 0 0");
    world.advance(100);
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    world.advance(100);
    assert_eq!(world.has("usd"), "7.02 0 0 0");
    assert_eq!(waiting(&world), Vec::<String>::new());
    let about: Vec<String> = world
        .handled
        .iter()
        .map(|due| format!("{:?}", due.item))
        .collect();
    assert!(
        about[0].contains("\"c2\"") && about[1].contains("\"c1\""),
        "{about:?}"
    );
}

#[test]
fn a_name_may_hold_anything() {
    let timer = SubjectTimer {
        subscription: "s".parse().unwrap(),
        key: "resolved".into(),
        subject: "with a\0zero".into(),
    };
    let part = Part::SubjectTimer(timer);
    assert_eq!(Part::from_key(&part.key()), Ok(part));
}

#[test]
fn a_timer_can_be_taken_away() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    let asks = event_with("asks", &[("conversation", "c1")]);
    let away = about(orders(&[], "resolved", None));
    world.decide(Command::Usage(asks), Some(away)).unwrap();
    assert_eq!(waiting(&world), Vec::<String>::new());
    world.advance(1_000);
    assert_eq!(world.handled, []);
}

#[test]
fn what_it_charges_comes_back_with_the_event_that_set_it() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    world.transitions.push_back(outcome("0.99"));
    world.advance(100);
    let standing = world.original(&reference("a")).unwrap().standing;
    assert_eq!(standing.lines[0].code, "outcome");
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    // A part of it, and then the rest with the event.
    world.ok(refund_event("r", "a", Some("0.09")));
    assert_eq!(world.has("usd"), "9.1 0 0 0");
    let reversed = Some(about(priced(&[])));
    assert_eq!(
        say(&world.decide(void("a"), reversed)),
        "corrected, reversed usd 0.9"
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn a_later_event_gives_back_what_it_charged() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    world.transitions.push_back(outcome("0.99"));
    world.advance(100);
    world.advance(20 * 86_400);
    let again = event_with("again", &[("conversation", "c1")]);
    let given = about(priced(&[back("a", "outcome", "usd", "-0.99")]));
    world.decide(Command::Usage(again), Some(given)).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn an_event_that_is_taken_back_takes_its_timer_along() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    answered(&mut world, "b", "c2", 100);
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(waiting(&world), ["c2"]);
    // What takes the place of the other one sets the timer anew.
    let later = event_with("b", &[("conversation", "c2")]);
    let replaced = Command::Amend(Amend {
        event: later,
        id: "amend".parse().unwrap(),
    });
    world
        .decide(replaced, Some(about(orders(&[], "resolved", Some(t(500))))))
        .unwrap();
    world.advance(100);
    assert_eq!(world.handled, []);
    world.transitions.push_back(outcome("0.99"));
    world.advance(400);
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    world.decide(void("b"), Some(about(priced(&[])))).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn a_timer_that_is_set_again_when_it_goes_off_belongs_to_the_same_event() {
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    // At once is a second later: else it would go off for ever at one instant.
    let both = orders(&[charge("outcome", "usd", "1")], "resolved", Some(t(100)));
    world.transitions.extend([both, outcome("2")]);
    world.advance(100);
    assert_eq!(world.has("usd"), "9 0 0 0");
    world.advance(1);
    assert_eq!(world.has("usd"), "7 0 0 0");
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn it_counts_and_burns_as_its_event_would() {
    let mut world = world();
    world.ok(grant("specific", "usd", "5").only("conversation", "c1").put());
    world.ok(limit("c1", "usd", "2").on("conversation", "c1").set());
    answered(&mut world, "a", "c1", 100);
    answered(&mut world, "b", "c2", 100);
    world.transitions.extend([outcome("1"), outcome("0.5")]);
    world.advance(100);
    // The first from the grant that is for its conversation, the other from the general one.
    assert_eq!(world.limit("c1"), "1 + 0, 1 left");
    assert_eq!(world.has("usd"), "13.5 0 0 0");
    assert_eq!(world.burnt(), ["g 0.5"]);
}

#[test]
fn it_has_nobody_to_go_off_for_behind_another_plan_or_the_end() {
    let plan = SubscriptionChange::Plan {
        plan: "other".parse().unwrap(),
        cadence: None,
    };
    for to in [plan, SubscriptionChange::Cancel] {
        let mut world = world();
        answered(&mut world, "a", "c1", 100);
        world.ask(change("now", to, When::Now), priced(&[])).unwrap();
        world.transitions.push_back(outcome("0.99"));
        world.advance(100);
        assert_eq!(world.has("usd"), "10 0 0 0");
        assert_eq!(waiting(&world), Vec::<String>::new());
        assert_eq!(world.wallet.header().unpriced, 0);
    }
}

/// The memory of a plan that comes back begins anew: what it waited for before is nothing to it.
#[test]
fn a_plan_that_comes_back_knows_nothing_of_timers_from_before() {
    let to = |plan: &str| SubscriptionChange::Plan {
        plan: plan.parse().unwrap(),
        cadence: None,
    };
    let mut world = world();
    answered(&mut world, "a", "c1", 100);
    world.advance(1);
    for (id, plan) in [("away", "other"), ("back", "plan")] {
        world.ask(change(id, to(plan), When::Now), priced(&[])).unwrap();
    }
    // At the very instant, and behind it: these are its own.
    answered(&mut world, "b", "c2", 100);
    world.advance(1);
    answered(&mut world, "c", "c3", 100);
    world
        .transitions
        .extend([outcome("1"), outcome("2"), outcome("4")]);
    world.advance(98);
    // The first of the three goes off for nobody.
    let charged: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|event| {
            world
                .original(&reference(event))
                .unwrap()
                .standing
                .lines
                .len()
                .to_string()
        })
        .collect();
    assert_eq!(charged, ["0", "1", "1"]);
}

/// The plan had no answer when it went off; what is to be asked again.
fn missed(world: &mut World) -> Command {
    answered(world, "a", "c1", 100);
    world.transitions.push_back(broken());
    world.advance(100);
    kept(world)
}

fn broken() -> Verdict {
    Verdict::Failed {
        code: "trap".into(),
        message: "unreachable".into(),
    }
}

/// What the newest record keeps, to be asked again.
fn kept(world: &World) -> Command {
    assert_eq!(world.wallet.header().unpriced, 1);
    let sequence = world.wallet.header().sequence;
    let effects = &world.records.last().unwrap().outcome.effects;
    let kept = effects.iter().find_map(|effect| match effect {
        farebox_record::outcome::Effect::UnpricedKept(kept) => Some(&kept.what),
        _ => None,
    });
    match kept {
        Some(Waiting::Change(missed)) => Command::RetryChange(RetryChange {
            sequence,
            missed: missed.clone(),
        }),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_answered_late_belongs_to_the_event_too() {
    let mut world = world();
    let again = missed(&mut world);
    let subject = SubjectChange {
        state: b"earned".to_vec(),
        expires: t(1_000),
    };
    let late = Verdict::Priced(Priced {
        charges: vec![charge("outcome", "usd", "0.99")],
        subject: Some(subject),
        ..Priced::default()
    });
    world.decide(again, Some(about(late))).unwrap();
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    let part = Part::Subject("s".parse().unwrap(), "c1".into());
    assert!(world.parts().contains_key(&part.key()));
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 0");
}

/// The next event of the conversation must find that it was charged, whatever began meanwhile.
#[test]
fn what_is_answered_in_a_later_period_is_known_of_the_subject() {
    let mut world = world();
    let again = missed(&mut world);
    world.transitions.push_back(priced(&[]));
    world.advance(31 * 86_400);
    let late = Verdict::Priced(Priced {
        charges: vec![charge("outcome", "usd", "0.99")],
        state: Some(b"one".to_vec()),
        subject: Some(SubjectChange {
            state: b"earned".to_vec(),
            expires: t(90 * 86_400),
        }),
        timers: vec![TimerOrder {
            key: "reversible".into(),
            at: Some(t(60 * 86_400)),
        }],
        ..Priced::default()
    });
    world.decide(again, Some(about(late))).unwrap();
    assert_eq!(world.has("usd"), "9.01 0 0 0");
    let part = Part::Subject("s".parse().unwrap(), "c1".into());
    assert!(world.parts().contains_key(&part.key()));
    assert_eq!(waiting(&world), ["c1"]);
    let subscription = world.wallet.subscription(&"s".parse().unwrap()).unwrap();
    assert_eq!(subscription.state, b"one");
}

/// The conversation went on meanwhile: its newest answer has the deadline, and the old one has none.
#[test]
fn a_deadline_that_was_set_again_is_not_answered_late() {
    let mut world = world();
    let again = missed(&mut world);
    answered(&mut world, "b", "c1", 500);
    assert_eq!(
        world.decide(again, Some(about(outcome("0.99")))).unwrap(),
        Answer::Handled
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
    assert_eq!(waiting(&world), ["c1"]);
    world.transitions.push_back(outcome("0.99"));
    world.advance(400);
    assert_eq!(world.has("usd"), "9.01 0 0 0");
}

#[test]
fn an_event_that_was_taken_back_is_charged_nothing_late() {
    let mut world = world();
    let again = missed(&mut world);
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(
        world.decide(again, Some(about(outcome("0.99")))).unwrap(),
        Answer::Handled
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
}

/// Timers under so many keys.
fn sets(from: usize, to: usize) -> Verdict {
    let timers = (from..to).map(|index| TimerOrder {
        key: index.to_string(),
        at: Some(t(100)),
    });
    Verdict::Priced(Priced {
        timers: timers.collect(),
        ..Priced::default()
    })
}

#[test]
fn a_wallet_has_room_for_so_many() {
    let mut world = World::new();
    // One of the subscription's own counts too.
    world
        .ask(subscribe("s", Cadence::Monthly), wakes("own", t(200)))
        .unwrap();
    let most = farebox_ledger::limits::TIMERS_PER_WALLET_MAX - 1;
    let used = |id: &str| Command::Usage(event_with(id, &[("conversation", "c")]));
    for from in (0..most).step_by(20_000) {
        let some = about(sets(from, most.min(from + 20_000)));
        world.decide(used(&from.to_string()), Some(some)).unwrap();
    }
    assert_eq!(waiting(&world).len(), most);
    let said = say(&world.decide(used("more"), Some(about(sets(most, most + 1)))));
    assert!(said.contains("TIMERS_PER_WALLET_MAX"), "{said}");
    assert_eq!(waiting(&world).len(), most);
}

#[test]
fn a_subscription_has_room_for_so_many_of_its_own() {
    let mut world = world();
    let most = farebox_ledger::limits::TIMERS_PER_SUBSCRIPTION_MAX;
    assert_eq!(say(&world.ask(usage("some"), sets(0, most - 1))), "charged");
    // Those that are set anew take no room, and one more does.
    assert_eq!(say(&world.ask(usage("again"), sets(0, most))), "charged");
    let said = say(&world.ask(usage("more"), sets(most, most + 1)));
    assert!(said.contains("TIMERS_PER_SUBSCRIPTION_MAX"), "{said}");
    assert_eq!(waiting(&world), Vec::<String>::new());
}

/// Neither a subject's timers nor another subscription are in its way.
#[test]
fn a_full_subscription_is_in_no_other_s_way() {
    let mut world = world();
    let most = farebox_ledger::limits::TIMERS_PER_SUBSCRIPTION_MAX;
    assert_eq!(say(&world.ask(usage("full"), sets(0, most))), "charged");
    // Timers of a subject stand by themselves.
    let call = Command::Usage(event_with("c", &[("conversation", "c1")]));
    let of_subject = about(sets(most, most + 5));
    assert_eq!(say(&world.decide(call, Some(of_subject))), "charged");
    assert_eq!(waiting(&world).len(), 5);
    let mut second = pricing(sets(0, 5));
    second.subscription = "t".parse().unwrap();
    second.event_types = vec!["other".parse().unwrap()];
    let started = say(&world.decide(subscribe("t", Cadence::Monthly), Some(second)));
    assert!(!started.contains("refused"), "{started}");
}

#[test]
fn an_event_keeps_so_much_of_what_its_timers_charge() {
    let mut world = world();
    answered(&mut world, "a", "c1", 1);
    let most = farebox_ledger::limits::TIMED_SLICES_PER_EVENT_MAX;
    // The plan wakes itself for ever, and charges 0.01 each time.
    for n in 1..=300 {
        let again = orders(&[charge("minute", "usd", "0.01")], "resolved", Some(t(n + 1)));
        world.transitions.push_back(again);
        world.advance(1);
    }
    let standing = world.original(&reference("a")).unwrap().standing;
    assert_eq!((standing.slices.len(), standing.lines.len()), (most, 1));
    assert_eq!(standing.lines[0].amount.to_string(), "2.56");
    assert_eq!(world.has("usd"), "7 0 0 0");
    // Its own comes back with it; the rest was charged for the subscription.
    world.decide(void("a"), Some(about(priced(&[])))).unwrap();
    assert_eq!(world.has("usd"), "9.56 0 0 0");
}

#[test]
fn lines_of_what_timers_charge_are_told_apart_by_code_and_asset() {
    let mut world = world();
    world.ok(grant("c", "credits", "10").put());
    answered(&mut world, "a", "c1", 1);
    let charges = [
        charge("minute", "usd", "1"),
        charge("minute", "credits", "2"),
        charge("start", "usd", "4"),
    ];
    for n in 1..=2 {
        let again = orders(&charges, "resolved", Some(t(n + 1)));
        world.transitions.push_back(again);
        world.advance(1);
    }
    let standing = world.original(&reference("a")).unwrap().standing;
    let lines = standing.lines.iter();
    let told = lines.map(|line| format!("{} {} {}", line.code, line.asset, line.amount));
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["minute usd 2", "minute credits 4", "start usd 8"]
    );
}

#[test]
fn events_are_overdue_in_the_order_of_their_timers() {
    let mut world = world();
    answered(&mut world, "a", "c1", 300);
    world.advance(10);
    answered(&mut world, "b", "c2", 100);
    answered(&mut world, "c", "c3", 200);
    let overdue = |until: i64, most: usize| {
        let events = world.wallet.overdue_events(t(until), most).into_iter();
        let told = events.map(|(event, set)| {
            format!(
                "{} {}",
                event.id,
                set.as_micros() / 1_000_000 - t(0).as_micros() / 1_000_000
            )
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(overdue(300, 9), ["b 10", "c 10", "a 0"]);
    assert_eq!(overdue(299, 9), ["b 10", "c 10"]);
    assert_eq!(overdue(300, 2), ["b 10", "c 10"]);
}

/// An event that is taken back, and the plan then waits a while: what it charges is the subscription's.
fn waits_behind_a_void(world: &mut World) {
    answered(world, "a", "c1", 100);
    let waits = about(orders(&[], "again", Some(t(50))));
    world.decide(void("a"), Some(waits)).unwrap();
    assert_eq!(waiting(world), ["c1"]);
}

#[test]
fn what_a_timer_charges_that_a_reversal_set_is_the_subscriptions() {
    let mut world = world();
    world.ok(limit("c1", "usd", "5").on("conversation", "c1").set());
    waits_behind_a_void(&mut world);
    world.transitions.push_back(outcome("2"));
    world.advance(50);
    assert_eq!(world.has("usd"), "8 0 0 0");
    assert_eq!(world.limit("c1"), "0 + 0, 5 left");
}

#[test]
fn so_it_is_where_the_answer_comes_late() {
    let mut world = world();
    waits_behind_a_void(&mut world);
    world.transitions.push_back(broken());
    world.advance(50);
    let again = kept(&world);
    assert_eq!(say(&world.decide(again, Some(about(outcome("2"))))), "charged");
    assert_eq!(world.has("usd"), "8 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
}
