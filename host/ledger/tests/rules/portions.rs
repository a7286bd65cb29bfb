//! Grants that are taken in portions: what each value of an attribute may burn, and nobody else.

use farebox_ledger::{Refusal, Wallet, append};
use farebox_record::command::{Command, Grant};
use farebox_record::ids::{CustomerId, GrantId, TenantId};
use farebox_record::lifecycle::{SubscriptionChange, When};
use farebox_record::outcome::{Account, Answer, Effect, Seen, Verdict};
use farebox_record::plan::{Category, GrantOrder};
use farebox_record::portion::{Each, PortionKey};
use farebox_record::state::{Cadence, GrantPhase};

use crate::world::bound::{hold_of, one_shot_of, usage_of};
use crate::world::make::{
    Shape, adjust, amend, chain, change, charge, customer, extend, gives, grant, n, order, priced, pricing,
    refund_grant, release, settle, subscribe, usage, usd, void,
};
use crate::world::{World, t};
use farebox_record::correction::AdjustTarget;

/// So much for all, and ten of it for each user.
fn seats(amount: &str) -> Grant {
    Grant {
        each: Some(Each {
            attribute: "user".into(),
            amount: n("10"),
        }),
        ..grant("seats", "usd", amount)
    }
}

/// The id of a user's portion.
fn of(user: &str) -> GrantId {
    PortionKey::new(&GrantId::new("seats").unwrap(), user).id()
}

fn uses(world: &mut World, id: &str, user: &str, amount: &str) -> Vec<String> {
    world.ask(usage_of(id, &[("user", user)]), usd(amount)).unwrap();
    taken(world)
}

/// What the newest record's charges took from free grants: what was moved to a portion before is no part of it.
fn taken(world: &World) -> Vec<String> {
    let effects = world.records.last().unwrap().outcome.effects.iter();
    let taken = effects.filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.charge.is_some() => Some(entry),
        _ => None,
    });
    taken
        .filter_map(|entry| match &entry.account {
            Account::Available(id) => Some(format!("{id} {}", -entry.amount.get() / 1_000_000_000)),
            _ => None,
        })
        .collect()
}

/// What is free of everything.
fn available(world: &World) -> String {
    world.balance("usd")[0].to_string()
}

/// A denial, and nothing else.
fn is_denied(answer: &Result<Answer, Refusal>) -> bool {
    matches!(answer, Ok(Answer::Denied(_)))
}

/// What is free of a grant; none: it is not in the wallet.
fn free(world: &World, id: &GrantId) -> Option<String> {
    let stored = world.stored();
    let (_, grant) = stored.grants().find(|(known, _)| *known == id)?;
    Some(grant.available.to_string())
}

fn rest(world: &World) -> Option<String> {
    free(world, &GrantId::new("seats").unwrap())
}

#[test]
fn each_value_burns_its_own_portion_and_then_what_there_is_for_all() {
    let mut world = World::new();
    world.ok(seats("30").put());
    world.ok(grant("all", "usd", "5").put());
    assert_eq!(uses(&mut world, "a", "ada", "8"), [format!("{} 8", of("ada"))]);
    assert_eq!(
        (rest(&world), free(&world, &of("ada"))),
        (Some("20".into()), Some("2".into()))
    );
    assert_eq!(uses(&mut world, "b", "ben", "1"), [format!("{} 1", of("ben"))]);
    assert_eq!(
        uses(&mut world, "c", "ada", "5"),
        [format!("{} 2", of("ada")), "all 3".to_string()]
    );
    // Hers is empty and gone; she gets no second one.
    assert_eq!(free(&world, &of("ada")), None);
    assert_eq!(uses(&mut world, "d", "ada", "1"), ["all 1"]);
    assert_eq!(rest(&world), Some("10".into()));
    // 35 there were, and 15 were used.
    assert_eq!(available(&world), "20");
}

#[test]
fn a_portion_moves_from_its_grant_when_it_is_needed() {
    let mut world = World::new();
    world.ok(seats("30").expires(1_000).priority(3).put());
    uses(&mut world, "a", "ada", "8");
    assert_eq!(
        world.entries(),
        [
            "usd available:seats -10".to_string(),
            format!("usd available:{} 10", of("ada")),
            format!("usd available:{} -8", of("ada")),
            "usd revenue 8".to_string(),
        ]
    );
    let stored = world.stored();
    let (_, portion) = stored.grants().find(|(id, _)| **id == of("ada")).unwrap();
    assert_eq!(
        (portion.amount, portion.priority, portion.phase),
        (n("10"), 3, GrantPhase::Active)
    );
    assert_eq!(portion.applies_to.attributes["user"], "ada");
    assert_eq!(portion.portion_of, Some(GrantId::new("seats").unwrap()));
    // And expires with it: 20 and 2.
    world.advance(1_000);
    world.run_agenda();
    assert_eq!(available(&world), "0");
    let breakage: i128 = [of("ada"), GrantId::new("seats").unwrap()]
        .iter()
        .map(|id| world.posted("usd", &Account::Available(id.clone())).get())
        .sum();
    assert_eq!(breakage, 0);
    assert_eq!(world.posted("usd", &Account::Breakage), n("22"));
}

#[test]
fn who_comes_when_all_is_given_out_finds_nothing() {
    let mut world = World::new();
    world.ok(seats("25").put());
    for user in ["ada", "ben"] {
        uses(&mut world, user, user, "1");
    }
    // What is left is less than a portion.
    assert_eq!(uses(&mut world, "c", "cleo", "5"), [format!("{} 5", of("cleo"))]);
    assert_eq!(rest(&world), None);
    // 18 are free, of ada and ben.
    assert_eq!(available(&world), "18");
    let denied = world.ask(one_shot_of("d", &[("user", "dan")]), usd("1"));
    assert!(is_denied(&denied), "{denied:?}");
    let denied = world.ask(one_shot_of("e", &[]), usd("1"));
    assert!(is_denied(&denied), "{denied:?}");
    world.ask(one_shot_of("f", &[("user", "ben")]), usd("9")).unwrap();
    assert_eq!(available(&world), "9");
}

#[test]
fn what_is_denied_opens_nothing() {
    let mut world = World::new();
    world.ok(seats("30").put());
    let denied = world.ask(one_shot_of("a", &[("user", "ada")]), usd("11"));
    assert!(is_denied(&denied), "{denied:?}");
    assert_eq!(
        (rest(&world), free(&world, &of("ada"))),
        (Some("30".into()), None)
    );
}

#[test]
fn a_hold_is_of_its_portion() {
    let mut world = World::new();
    world.ok(seats("30").put());
    world.ask(hold_of("a", &[("user", "ada")]), usd("6")).unwrap();
    assert_eq!(free(&world, &of("ada")), Some("4".into()));
    let denied = world.ask(hold_of("b", &[("user", "ada")]), usd("5"));
    assert!(is_denied(&denied), "{denied:?}");
    // It is raised within the portion, and not beyond.
    world
        .ask(extend("a", "x", 60, &[("tokens", "9")]), usd("9"))
        .unwrap();
    assert_eq!(free(&world, &of("ada")), Some("1".into()));
    let denied = world.ask(extend("a", "y", 60, &[("tokens", "11")]), usd("11"));
    assert!(is_denied(&denied), "{denied:?}");
    world.ok(release("a"));
    assert_eq!(free(&world, &of("ada")), Some("10".into()));
    // A raise opens a portion, too, where the hold was paid by something else.
    let mut other = World::new();
    other.ok(grant("all", "usd", "1").priority(-1).put());
    other.ok(seats("30").put());
    other.ask(hold_of("h", &[("user", "ada")]), usd("1")).unwrap();
    assert_eq!(free(&other, &of("ada")), None);
    other
        .ask(extend("h", "x", 60, &[("tokens", "3")]), usd("3"))
        .unwrap();
    assert_eq!(free(&other, &of("ada")), Some("8".into()));
    other.ask(settle("h"), usd("2")).unwrap();
    assert_eq!(free(&other, &of("ada")), Some("9".into()));
}

#[test]
fn what_comes_back_comes_back_to_its_portion() {
    let mut world = World::new();
    world.ok(seats("20").put());
    uses(&mut world, "a", "ada", "10");
    uses(&mut world, "b", "ben", "3");
    assert_eq!((rest(&world), free(&world, &of("ada"))), (None, None));
    world.correct(void("a"), None, None).unwrap();
    assert_eq!(free(&world, &of("ada")), Some("10".into()));
    // Nobody else burns it.
    let denied = world.ask(one_shot_of("c", &[("user", "ben")]), usd("8"));
    assert!(is_denied(&denied), "{denied:?}");
    assert_eq!(uses(&mut world, "d", "ada", "4"), [format!("{} 4", of("ada"))]);
}

#[test]
fn two_charges_of_an_event_share_a_portion() {
    let mut world = World::new();
    world.ok(seats("30").put());
    world.ok(grant("dollars", "eur", "100").put());
    let charges = [
        charge("input", "usd", "6"),
        chain("output", &[("usd", "8"), ("eur", "16")]),
    ];
    world
        .ask(usage_of("a", &[("user", "ada")]), priced(&charges))
        .unwrap();
    // 6, then 4 of 8, and for the other half of that charge 8 of 16.
    assert_eq!(
        taken(&world),
        [
            format!("{} 6", of("ada")),
            format!("{} 4", of("ada")),
            "dollars 8".to_string()
        ]
    );
    let opened = world.records.last().unwrap().outcome.effects.iter();
    let opened = opened.filter(|effect| matches!(effect, Effect::GrantOpened(..)));
    assert_eq!(opened.count(), 1);
}

#[test]
fn only_what_is_not_given_out_can_be_taken_away_from_the_grant() {
    let mut world = World::new();
    world.ok(seats("30").put());
    uses(&mut world, "a", "ada", "1");
    // Whoever writes value off names no user.
    assert!(world.act(adjust("w", AdjustTarget::Balance, "1")).is_err());
    assert!(world.act(refund_grant("r", "seats", Some("21"))).is_err());
    world.ok(refund_grant("r2", "seats", Some("15")));
    assert_eq!(uses(&mut world, "b", "ben", "5"), [format!("{} 5", of("ben"))]);
    assert_eq!(available(&world), "9");
}

#[test]
fn a_portion_is_more_than_zero() {
    let mut world = World::new();
    for amount in ["0", "-1", "1000000000000000001"] {
        let wrong = Grant {
            each: Some(Each {
                attribute: "user".into(),
                amount: n(amount),
            }),
            ..grant("seats", "usd", "1")
        };
        let refused = world.act(Command::Grant(wrong));
        assert!(
            crate::world::say::say(&refused).contains("each.amount"),
            "{refused:?}"
        );
    }
}

#[test]
fn an_amended_event_of_another_user_is_paid_by_that_one() {
    let mut world = World::new();
    world.ok(seats("30").put());
    uses(&mut world, "a", "ada", "4");
    let Command::Amend(mut other) = amend("a") else {
        unreachable!()
    };
    other.event.attributes.insert("user".into(), "ben".into());
    world
        .correct(Command::Amend(other), Some(pricing(usd("4"))), None)
        .unwrap();
    assert_eq!(
        (free(&world, &of("ada")), free(&world, &of("ben"))),
        (Some("10".into()), Some("6".into()))
    );
}

/// What a plan gives for a month, so much of it for each user.
fn given(amount: &str, each: &str) -> GrantOrder {
    GrantOrder {
        expires: Some(t(86_400 * 31)),
        each: Some(Each {
            attribute: "user".into(),
            amount: n(each),
        }),
        ..order("usd", amount)
    }
}

/// A plan gives for two seats when it starts, and later for one more.
fn team() -> World {
    let mut world = World::new();
    let start = subscribe("s", Cadence::Monthly);
    world.ask(start, gives(&[given("20", "10")])).unwrap();
    for user in ["ada", "ben"] {
        world.ask(usage_of(user, &[("user", user)]), usd("10")).unwrap();
    }
    world
        .ask(
            change("1", SubscriptionChange::Seats(3), When::Now),
            gives(&[given("5", "5")]),
        )
        .unwrap();
    world
}

#[test]
fn what_comes_for_a_further_seat_is_for_who_has_had_nothing() {
    let mut world = team();
    // Of the first two seats nothing is left but who has had them.
    assert_eq!(available(&world), "5");
    for user in ["ada", "ben"] {
        let again = world.ask(one_shot_of(&format!("{user}-2"), &[("user", user)]), usd("1"));
        assert!(is_denied(&again), "{again:?}");
    }
    world
        .ask(one_shot_of("c", &[("user", "cleo")]), usd("5"))
        .unwrap();
    assert_eq!(available(&world), "0");
    assert_eq!(
        world.stored().grants().count(),
        2,
        "one for two seats, and one for one"
    );
    // They end with the period, and with them what they remember.
    world.advance(86_400 * 31);
    world.run_agenda();
    assert_eq!(world.stored().grants().count(), 0);
}

#[test]
fn grants_of_another_name_or_end_are_each_for_all() {
    let mut world = team();
    let more = |label: &str, days: i64| GrantOrder {
        label: label.into(),
        expires: Some(t(86_400 * days)),
        ..given("4", "2")
    };
    let seats = change("2", SubscriptionChange::Seats(4), When::Now);
    world
        .ask(seats, gives(&[more("Gift", 31), more("Monthly", 60)]))
        .unwrap();
    world.ask(one_shot_of("a", &[("user", "ada")]), usd("4")).unwrap();
    assert_eq!(available(&world), "9");
}

#[test]
fn a_portion_of_what_was_given_for_an_event_goes_with_it() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    let gift = GrantOrder {
        category: Category::Promotional,
        each: Some(Each {
            attribute: "user".into(),
            amount: n("3"),
        }),
        ..order("usd", "9")
    };
    world.ask(usage("gives"), gives(&[gift])).unwrap();
    world.ask(usage_of("a", &[("user", "ada")]), usd("1")).unwrap();
    assert_eq!(available(&world), "8");
    world.correct(void("gives"), None, None).unwrap();
    assert_eq!(available(&world), "0");
}

#[test]
fn one_event_takes_one_portion_of_what_was_given_twice() {
    let mut world = World::new();
    let start = subscribe("s", Cadence::Monthly);
    world
        .ask(start, gives(&[given("20", "10"), given("5", "5")]))
        .unwrap();
    let much = world.ask(one_shot_of("much", &[("user", "cleo")]), usd("15"));
    assert!(is_denied(&much), "{much:?}");
    // Of both at once it would have been enough for two events.
    let charges = [charge("input", "usd", "8"), charge("output", "usd", "7")];
    let two = world.ask(one_shot_of("two", &[("user", "cleo")]), priced(&charges));
    assert!(is_denied(&two), "{two:?}");
    world
        .ask(one_shot_of("ten", &[("user", "cleo")]), usd("10"))
        .unwrap();
    assert_eq!(available(&world), "15");
}

#[test]
fn a_grant_for_one_value_has_a_portion_for_that_alone() {
    let mut world = World::new();
    world.ok(seats("30").only("user", "ada").put());
    let others = world.ask(one_shot_of("b", &[("user", "ben")]), usd("1"));
    assert!(is_denied(&others), "{others:?}");
    world
        .ask(one_shot_of("a", &[("user", "ada")]), usd("10"))
        .unwrap();
}

#[test]
fn what_is_given_for_another_event_is_not_what_was_taken_back() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    let pack = || gives(&[given("20", "10")]);
    world.ask(usage("order-1"), pack()).unwrap();
    uses(&mut world, "a", "ada", "4");
    world.correct(void("order-1"), None, None).unwrap();
    assert_eq!(available(&world), "0");
    world.ask(usage("order-2"), pack()).unwrap();
    world
        .ask(one_shot_of("b", &[("user", "ada")]), usd("10"))
        .unwrap();
    assert_eq!(available(&world), "10");
}

/// Each portion is an id of its record, and there are as many as a record may have.
#[test]
fn one_command_opens_a_limited_number_of_portions() {
    let mut world = World::new();
    for index in 0..30 {
        let one = Grant {
            each: Some(Each {
                attribute: "user".into(),
                amount: n("1"),
            }),
            ..grant(&format!("g{index}"), "usd", "2")
        };
        world.ok(one.put());
    }
    let denied = world.ask(one_shot_of("a", &[("user", "ada")]), usd("25"));
    assert!(is_denied(&denied), "{denied:?}");
    world
        .ask(one_shot_of("b", &[("user", "ada")]), usd("24"))
        .unwrap();
    // The next command opens the others.
    world.ask(one_shot_of("c", &[("user", "ada")]), usd("6")).unwrap();
    assert_eq!(available(&world), "30");
}

#[test]
fn portions_leave_room_for_what_is_bought() {
    let mut world = World::new();
    for index in 1..900 {
        world.ok(grant(&format!("g{index}"), "eur", "1").put());
    }
    world.ok(seats("30").put());
    let denied = world.ask(one_shot_of("a", &[("user", "ada")]), usd("1"));
    assert!(is_denied(&denied), "{denied:?}");
    world.ok(refund_grant("r", "g1", None));
    world.ask(one_shot_of("b", &[("user", "ada")]), usd("1")).unwrap();
}

/// A period that ends makes room for what the next one brings.
#[test]
fn what_expires_with_a_period_is_in_nobodys_way() {
    let mut world = World::new();
    let all: Vec<GrantOrder> = (0..1_000)
        .map(|_| GrantOrder {
            expires: Some(t(86_400 * 31)),
            ..order("usd", "1")
        })
        .collect();
    world.ask(subscribe("s", Cadence::Monthly), gives(&all)).unwrap();
    assert_eq!(available(&world), "1000");
    world.transitions.push_back(gives(&[order("usd", "7")]));
    world.advance(86_400 * 31);
    assert_eq!(available(&world), "7");
}

/// Whoever had a portion is remembered with the grant, so there are only so many: of the smallest amount there is.
#[test]
fn a_grant_has_a_limited_number_of_portions() {
    let mut wallet = Wallet::default();
    let mut decide = |command: Command, verdict: Option<Verdict>| {
        let seen = Seen {
            pricing: verdict.map(pricing),
            ..Seen::nothing(1, t(0))
        };
        append(
            &mut wallet,
            &TenantId::new("default").unwrap(),
            &CustomerId::new("ada").unwrap(),
            command,
            seen,
            t(0),
        )
        .map(|(record, _)| record.outcome.answer)
    };
    decide(customer("c", &[]), None).unwrap();
    decide(subscribe("s", Cadence::Monthly), Some(priced(&[]))).unwrap();
    let least = "0.000000001";
    let each = Each {
        attribute: "user".into(),
        amount: n(least),
    };
    let divided = Grant {
        each: Some(each),
        ..grant("seats", "usd", "1")
    };
    decide(divided.put(), None).unwrap();
    let mut uses = |user: usize| {
        let user = format!("user-{user}");
        decide(one_shot_of(&user, &[("user", &user)]), Some(usd(least)))
    };
    for user in 0..4_096 {
        let answer = uses(user);
        assert!(matches!(answer, Ok(Answer::Allowed(_))), "{user}: {answer:?}");
    }
    assert!(is_denied(&uses(4_096)));
}
