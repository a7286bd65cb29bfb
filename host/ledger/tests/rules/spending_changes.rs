//! Making, changing and taking away spending limits.

use farebox_ledger::{Refusal, limits};
use farebox_record::command::{Command, Identity, PutLimit};
use farebox_record::ids::LimitName;
use farebox_record::spending::CalendarUnit::{Day, Month};
use farebox_record::time::Span;

use crate::world::bound::{Bound, delete, limit, usage_of};
use crate::world::make::{Shape, grant, hold, settle, usage, usd};
use crate::world::say::say;
use crate::world::{World, t};

fn world() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "1000").put());
    world
}

fn since(world: &World, name: &str) -> farebox_record::time::Timestamp {
    world.wallet.limit(&LimitName::new(name).unwrap()).unwrap().since
}

#[test]
fn a_limit_counts_from_when_it_is_put_and_holds_that_are_open() {
    let mut world = world();
    world.ask(usage("before"), usd("5")).unwrap();
    world.ask(hold("h"), usd("3")).unwrap();
    world.advance(10);
    world.ok(limit("l", "usd", "10").set());
    assert_eq!(world.limit("l"), "0 + 3, 7 left");
    assert_eq!(since(&world, "l"), t(10));
    world.ask(settle("h"), usd("2")).unwrap();
    assert_eq!(world.limit("l"), "2 + 0, 8 left");
}

#[test]
fn a_change_keeps_what_was_counted_where_it_still_means_the_same() {
    let mut world = world();
    world.ok(limit("l", "usd", "10").percent(&[50, 80]).set());
    world.ask(usage("e"), usd("6")).unwrap();
    assert_eq!(world.announced(), ["l 50% at 6"]);
    world.advance(60);
    // 80 % of 7 are 5.6: reached by the new terms, and announced at once; 50 % was announced.
    assert_eq!(
        say(&world.act(limit("l", "usd", "7").percent(&[50, 80]).set())),
        "limit changed"
    );
    assert_eq!(world.announced(), ["l 80% at 6"]);
    assert_eq!(
        (world.limit("l").as_str(), since(&world, "l")),
        ("6 + 0, 1 left", t(0))
    );
    // 50 % of 20 are 10: not reached any more, so it can be announced again.
    world.ok(limit("l", "usd", "20").percent(&[50]).set());
    assert_eq!(world.announced(), [""; 0]);
    world.ask(usage("e2"), usd("4")).unwrap();
    assert_eq!(world.announced(), ["l 50% at 10"]);
    // The same once more changes nothing, and announces nothing.
    world.ok(limit("l", "usd", "20").percent(&[50]).set());
    assert_eq!(
        (world.announced().len(), world.limit("l").as_str()),
        (0, "10 + 0, 10 left")
    );
}

#[test]
fn a_change_of_what_is_counted_begins_anew() {
    let first = || limit("l", "usd", "10").on("team", "a").per(Month);
    let others: [PutLimit; 4] = [
        limit("l", "usd", "10").per(Month),
        limit("l", "usd", "10").on("team", "a").per(Day),
        limit("l", "usd", "10").on("team", "a").rolling(5, 60),
        limit("l", "eur", "10").on("team", "a").per(Month),
    ];
    for other in others {
        let mut world = world();
        world.ok(first().set());
        world.ask(usage_of("e", &[("team", "a")]), usd("6")).unwrap();
        world.advance(1);
        world.ok(other.clone().set());
        assert_eq!(
            (world.limit("l").as_str(), since(&world, "l")),
            ("0 + 0, 10 left", t(1)),
            "{other:?}"
        );
    }
}

#[test]
fn a_limit_that_is_gone_denies_nothing() {
    let mut world = world();
    assert_eq!(world.act(delete("l")), Err(Refusal::UnknownLimit));
    world.ok(limit("l", "usd", "1").set());
    assert!(say(&world.ask(hold("h"), usd("2"))).starts_with("denied by l"));
    assert_eq!(say(&world.act(delete("l"))), "limit deleted");
    assert_eq!(say(&world.ask(hold("h2"), usd("2"))), "allowed, held usd 2");
    assert_eq!(world.act(delete("l")), Err(Refusal::UnknownLimit));
}

#[test]
fn limits_survive_a_crash() {
    let mut world = world();
    world.ok(limit("l", "usd", "10").percent(&[50]).set());
    world.ok(limit("r", "usd", "10").rolling(3, 60).set());
    world.ask(usage("e"), usd("5")).unwrap();
    world.ask(hold("h"), usd("2")).unwrap();
    world.crash();
    assert_eq!(
        (world.limit("l"), world.limit("r")),
        ("5 + 2, 3 left".into(), "5 + 2, 3 left".into())
    );
    world.ask(usage("e2"), usd("1")).unwrap();
    assert_eq!(world.announced(), [""; 0], "it was announced before the crash");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let l = || limit("l", "usd", "10");
    let many: Vec<u16> = (1..=9).collect();
    let nested = (0..9).fold(l(), |limit, n| limit.on(&format!("a{n}"), "x"));
    let cases: [(PutLimit, &str); 15] = [
        (limit("l", "usd", "-1"), "amount of a limit must be zero or more"),
        (
            limit("l", "usd", "1000000000000000000.000000001"),
            "GRANT_NANOS_MAX",
        ),
        (l().percent(&[0]), "thresholds must be 1 to 1000 percent"),
        (l().percent(&[1_001]), "thresholds must be 1 to 1000 percent"),
        (l().amount("0"), "thresholds must be 1 to 1000 percent"),
        (l().percent(&[50, 50]), "the same threshold twice"),
        (l().percent(&many), "THRESHOLDS_PER_LIMIT_MAX"),
        (l().notify(), "where the limit only notifies"),
        (l().rolling(0, 60), "ROLLING_STEPS_MAX"),
        (l().rolling(61, 60), "ROLLING_STEPS_MAX"),
        (l().rolling(1, 0), "ROLLING_STEP_MIN"),
        (l().rolling(2, 366 * 43_200 + 1), "ROLLING_LENGTH_MAX"),
        (nested, "SCOPE_ATTRIBUTES_MAX"),
        (l().on("team", &"x".repeat(509)), "SCOPE_BYTES_MAX"),
        (
            limit("l", "usd", "1").rolling(u16::MAX, u32::MAX),
            "ROLLING_STEPS_MAX",
        ),
    ];
    let mut world = world();
    for (put, said) in cases {
        let refused = say(&world.act(put.set()));
        assert!(
            refused.starts_with("refused: ") && refused.contains(said),
            "{refused}"
        );
    }
    let at_the_edge = l()
        .rolling(2, 366 * 43_200)
        .percent(&[1, 1_000])
        .amount("50")
        .on("team", &"x".repeat(508))
        .percent(&many[1..6]);
    world.ok(at_the_edge.set());
}

#[test]
fn limits_of_a_wallet() {
    let mut world = world();
    for index in 0..limits::SPENDING_LIMITS_PER_WALLET_MAX {
        world.ok(limit(&format!("l{index}"), "usd", "1").set());
    }
    assert_eq!(
        world.act(limit("one-more", "usd", "1").set()),
        Err(Refusal::Limit {
            what: "spending limits",
            limit: "SPENDING_LIMITS_PER_WALLET_MAX",
            max: 64
        })
    );
    world.ok(limit("l7", "usd", "2").set());
    world.ok(delete("l7"));
    world.ok(limit("one-more", "usd", "1").set());
}

#[test]
fn a_key_belongs_to_a_limit_and_names_what_differs() {
    let put = |amount: &str| limit("l", "usd", amount);
    let name = LimitName::new("l").unwrap();
    let identity = Identity::Limit(name, "k".parse().unwrap());
    assert_eq!(put("1").set().identity(), Some(identity));
    let first = put("1").set();
    let cases: [(Command, Option<&str>); 8] = [
        (put("1").set(), None),
        (put("2").set(), Some("amount")),
        (limit("l", "eur", "1").set(), Some("asset")),
        (put("1").on("team", "a").set(), Some("scope")),
        (put("1").per(Day).set(), Some("window")),
        (put("1").percent(&[50]).set(), Some("thresholds")),
        (put("1").notify().set(), Some("on_exceed")),
        (delete("l"), Some("the kind of request")),
    ];
    for (again, field) in cases {
        assert_eq!(again.difference(&first).as_deref(), field, "{again:?}");
    }
    assert_eq!(delete("l").difference(&delete("l")), None);
}

#[test]
fn the_limits_of_limits_are_what_the_documents_say() {
    assert_eq!(limits::ROLLING_STEPS_MAX, 60);
    assert_eq!(limits::ROLLING_STEP_MIN, Span::seconds(1));
    assert_eq!(limits::ROLLING_LENGTH_MAX, Span::days(366));
    assert_eq!(
        (limits::THRESHOLDS_PER_LIMIT_MAX, limits::SCOPE_ATTRIBUTES_MAX),
        (8, 8)
    );
    assert_eq!(limits::THRESHOLD_PERCENT_MAX, 1_000);
}

#[test]
fn a_scope_may_be_as_deep_and_as_long_as_its_limits_say() {
    let mut world = World::new();
    let deep = |attributes: usize| {
        let names: Vec<String> = (0..attributes).map(|index| format!("level-{index}")).collect();
        let deep = limit("deep", "usd", "1");
        names.iter().fold(deep, |deep, name| deep.on(name, "x")).set()
    };
    let long = |bytes: usize| limit("long", "usd", "1").on("a", &"x".repeat(bytes - 1)).set();
    assert_eq!(say(&world.act(deep(8))), "limited");
    assert_eq!(say(&world.act(long(512))), "limited");
    for (command, named) in [(deep(9), "SCOPE_ATTRIBUTES_MAX"), (long(513), "SCOPE_BYTES_MAX")] {
        let refused = say(&world.act(command));
        assert!(refused.contains(named), "{refused}");
    }
}

#[test]
fn terms_are_good_up_to_their_edges() {
    let l = || limit("l", "usd", "1000000000000000000");
    let mut world = World::new();
    let good = [
        l(),
        l().rolling(1, 1),
        // 366 days, to the second.
        l().rolling(60, 527_040),
        l().percent(&[1, 1_000]),
        l().percent(&[1, 2, 3, 4, 5, 6, 7, 8]),
        l().amount("1000000000000000000").amount("0.000000001"),
        limit("l", "usd", "0"),
    ];
    for put in good {
        let shown = format!("{put:?}");
        assert!(world.act(put.set()).is_ok(), "{shown}");
    }
}

#[test]
fn limits_are_listed_by_name() {
    let mut world = world();
    for name in ["b", "c", "a"] {
        world.ok(limit(name, "usd", "1").set());
    }
    world.ok(delete("c"));
    let names: Vec<String> = world.wallet.limits().map(|(name, _)| name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
}
