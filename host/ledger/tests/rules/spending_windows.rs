//! Windows of spending limits, at their boundaries. The clock starts on Sunday, 1 March 2026, 00:00 UTC.

use farebox_record::command::Command;
use farebox_record::ids::LimitName;
use farebox_record::spending::CalendarUnit::{Day, Hour, Month, Week, Year};
use farebox_record::spending::Used;

use farebox_record::outcome::Verdict;

use crate::world::World;
use crate::world::bound::{Bound, limit};
use crate::world::make::{Shape, amend, event, grant, hold_for, n, one_shot, part, settle, usage, usd, void};
use crate::world::say::say;
use crate::world::t;

const DAY: i64 = 86_400;

fn world() -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", "1000").put());
    world
}

#[test]
fn a_window_of_the_calendar_ends_at_its_boundary() {
    for (unit, end) in [
        (Hour, 3_600),
        (Day, DAY),
        (Week, DAY),       // Monday, 2 March
        (Month, 31 * DAY), // 1 April
        (Year, 306 * DAY), // 31 + 28 of 365 days are over
    ] {
        let mut world = world();
        world.ok(limit("l", "usd", "5").per(unit).set());
        world.ask(usage("e"), usd("5")).unwrap();
        world.advance(end - 1);
        assert_eq!(
            say(&world.ask(one_shot("o1"), usd("1"))),
            format!("denied by l at customer until {end}: 0 of 1 usd"),
            "{unit:?}"
        );
        world.advance(1);
        assert_eq!(world.limit("l"), "0 + 0, 5 left", "{unit:?}");
        assert_eq!(say(&world.ask(one_shot("o2"), usd("5"))), "allowed", "{unit:?}");
    }
}

#[test]
fn months_are_as_long_as_they_are() {
    let mut world = world();
    world.ok(limit("l", "usd", "5").set());
    // Ends of March (31), April (30), ... of February 2028 (29), the 24th month.
    let lengths = [
        31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 29,
    ];
    for (index, days) in lengths.into_iter().enumerate() {
        world.advance(days * DAY - 1);
        world.ask(usage(&format!("last-{index}")), usd("3")).unwrap();
        assert_eq!(
            world.limit("l"),
            if index == 0 {
                "3 + 0, 2 left"
            } else {
                "5 + 0, 0 left"
            }
        );
        world.advance(1);
        world.ask(usage(&format!("first-{index}")), usd("2")).unwrap();
        assert_eq!(world.limit("l"), "2 + 0, 3 left", "{index}");
    }
    assert_eq!(world.now, "2028-03-01T00:00:00Z".parse().unwrap());
}

#[test]
fn a_hold_over_the_boundary_counts_where_it_is_settled() {
    let mut world = world();
    world.ok(limit("day", "usd", "10").per(Day).set());
    world.advance(DAY - 100);
    world.ask(hold_for("h", 900), usd("6")).unwrap();
    world.ask(part("h", "p"), usd("4")).unwrap();
    assert_eq!(world.limit("day"), "4 + 2, 4 left");
    world.advance(100);
    assert_eq!(world.limit("day"), "0 + 2, 8 left");
    // Of 5, 4 were counted yesterday.
    world.ask(part("h", "p2"), usd("5")).unwrap();
    assert_eq!(world.limit("day"), "1 + 1, 8 left");
    // 3 less than was counted, nobody knows in which of the two days: the hold is over, and today stays as it was.
    world.ask(settle("h"), usd("2")).unwrap();
    assert_eq!(world.limit("day"), "1 + 0, 9 left");
}

#[test]
fn what_comes_back_of_a_call_of_yesterday_frees_nothing_today() {
    let mut world = world();
    world.ok(limit("day", "usd", "10").per(Day).set());
    world.advance(DAY - 100);
    world.ask(hold_for("h", 900), usd("10")).unwrap();
    world.ask(part("h", "p"), usd("5")).unwrap();
    world.advance(100);
    world.ask(usage("u"), usd("5")).unwrap();
    assert_eq!(world.limit("day"), "5 + 5, 0 left");
    world.ask(settle("h"), usd("1")).unwrap();
    assert_eq!(world.limit("day"), "5 + 0, 5 left");
    // Of a call that began today it does.
    world.ask(hold_for("today", 900), usd("5")).unwrap();
    world.ask(part("today", "p"), usd("4")).unwrap();
    world.ask(settle("today"), usd("1")).unwrap();
    assert_eq!(world.limit("day"), "6 + 0, 4 left");
}

#[test]
fn a_call_of_yesterday_that_gets_no_price_frees_nothing_today() {
    let mut world = world();
    world.ok(limit("day", "usd", "10").per(Day).set());
    world.advance(DAY - 100);
    world.ask(hold_for("h", 900), usd("10")).unwrap();
    world.ask(part("h", "p"), usd("10")).unwrap();
    world.advance(100);
    world.ask(usage("u"), usd("8")).unwrap();
    let failed = Verdict::Failed {
        code: "trap".into(),
        message: "it broke".into(),
    };
    world.ask(settle("h"), failed).unwrap();
    assert_eq!(world.limit("day"), "8 + 0, 2 left");
}

#[test]
fn a_rolling_window_is_never_too_short_and_a_step_too_long_at_most() {
    let mut world = world();
    world.ok(limit("l", "usd", "8").rolling(3, 60).set());
    world.advance(30);
    world.ask(usage("e1"), usd("4")).unwrap();
    world.advance(60);
    world.ask(usage("e2"), usd("3")).unwrap();
    // Used at 30 s, three minutes are over at 210 s; its step leaves as a whole at 240 s.
    world.advance(149);
    assert_eq!(world.limit("l"), "7 + 0, 1 left", "239 s");
    world.advance(1);
    assert_eq!(world.limit("l"), "3 + 0, 5 left", "240 s");
    world.advance(60);
    assert_eq!(world.limit("l"), "0 + 0, 8 left", "300 s");
}

#[test]
fn a_rolling_window_says_when_enough_of_it_will_have_left() {
    let mut world = world();
    world.ok(limit("l", "usd", "8").rolling(3, 60).set());
    world.ask(usage("e1"), usd("4")).unwrap();
    world.advance(60);
    world.ask(usage("e2"), usd("3")).unwrap();
    let denied = |until, wanted| format!("denied by l at customer until {until}: 1 of {wanted} usd");
    assert_eq!(say(&world.ask(one_shot("o5"), usd("5"))), denied("240", 5));
    assert_eq!(say(&world.ask(one_shot("o6"), usd("6"))), denied("300", 6));
    // It will never fit: when all has left is the best that can be said.
    assert_eq!(say(&world.ask(one_shot("o9"), usd("9"))), denied("300", 9));
    world.advance(240);
    world.ask(hold_for("h", 900), usd("7")).unwrap();
    // Time takes nothing away from what is held.
    assert_eq!(say(&world.ask(one_shot("o2"), usd("2"))), denied("-", 2));
}

#[test]
fn a_rolling_threshold_is_announced_again_when_usage_comes_from_below() {
    let mut world = world();
    world.ok(limit("l", "usd", "8").rolling(3, 60).percent(&[50]).set());
    world.ask(usage("e1"), usd("4")).unwrap();
    assert_eq!(world.announced(), ["l 50% at 4"]);
    world.advance(60);
    world.ask(usage("e2"), usd("3")).unwrap();
    assert_eq!(world.announced(), [""; 0]);
    world.advance(180); // the first 4 have left
    world.ask(usage("e3"), usd("0.5")).unwrap();
    assert_eq!(world.announced(), [""; 0]);
    world.ask(usage("e4"), usd("0.5")).unwrap();
    assert_eq!(world.announced(), ["l 50% at 4"]);
    // The 3 leave too, but what comes at once is enough: it was below in between.
    world.advance(60);
    world.ask(usage("e5"), usd("7")).unwrap();
    assert_eq!(world.announced(), ["l 50% at 8"]);
}

#[test]
fn what_a_rolling_window_gives_back_comes_from_its_oldest_steps() {
    let mut world = world();
    world.ok(limit("l", "usd", "100").rolling(3, 60).set());
    world.ask(usage("e1"), usd("4")).unwrap();
    world.advance(60);
    world.ask(hold_for("h", 900), usd("10")).unwrap();
    world.ask(part("h", "p"), usd("5")).unwrap();
    // 5 less: 4 of the first step and 1 of the second.
    world.ask(settle("h"), usd("0")).unwrap();
    assert_eq!(world.limit("l"), "4 + 0, 96 left");
    world.advance(180);
    assert_eq!(
        world.limit("l"),
        "4 + 0, 96 left",
        "240 s: the second step still counts"
    );
    world.advance(60);
    assert_eq!(world.limit("l"), "0 + 0, 100 left");
}

#[test]
fn several_windows_at_once() {
    let mut world = world();
    world.ok(limit("hour", "usd", "3").per(Hour).set());
    world.ok(limit("day", "usd", "5").per(Day).set());
    world.ok(limit("burst", "usd", "2").rolling(1, 10).set());
    world.ask(one_shot("o1"), usd("2")).unwrap();
    assert!(
        say(&world.ask(one_shot("o2"), usd("1"))).starts_with("denied by burst at customer until 20: 0 of 1")
    );
    world.advance(20);
    assert!(
        say(&world.ask(one_shot("o3"), usd("2")))
            .starts_with("denied by hour at customer until 3600: 1 of 2")
    );
    world.ask(one_shot("o4"), usd("1")).unwrap();
    world.advance(3_580);
    world.ask(one_shot("o5"), usd("2")).unwrap();
    world.advance(60);
    // The day has nothing left, the hour has 1.
    assert!(
        say(&world.ask(one_shot("o6"), usd("1")))
            .starts_with("denied by day at customer until 86400: 0 of 1")
    );
}

#[test]
fn what_is_used_within_a_step_is_one_number() {
    let mut world = World::new();
    world.ok(limit("l", "usd", "10").rolling(3, 60).set());
    world.ask(usage("e"), usd("1")).unwrap();
    world.advance(59);
    world.ask(usage("f"), usd("2")).unwrap();
    world.advance(1);
    world.ask(usage("g"), usd("4")).unwrap();
    let name = LimitName::new("l").unwrap();
    let used = &world.wallet.limit(&name).unwrap().used;
    // 1 March 2026 is 1,772,323,200 seconds after 1970 began: 29,538,720 minutes.
    assert_eq!(
        *used,
        Used::Rolling(vec![(29_538_720, n("3")), (29_538_721, n("4"))])
    );
}

#[test]
fn an_event_ahead_of_the_clock_counts_when_it_is_posted() {
    let mut world = world();
    world.ok(limit("day", "usd", "10").per(Day).set());
    world.advance(DAY - 60);
    let mut ahead = event("a");
    ahead.time = Some(t(DAY + 60));
    world.ask(Command::Usage(ahead), usd("8")).unwrap();
    assert_eq!(world.limit("day"), "8 + 0, 2 left");
    world.advance(120);
    world.ask(usage("u"), usd("8")).unwrap();
    // Yesterday counted it: taken back, it frees nothing of today, though it says that it happened today.
    world.ok(void("a"));
    assert_eq!(world.limit("day"), "8 + 0, 2 left");
}

#[test]
fn what_an_amendment_takes_today_is_freed_today() {
    let mut world = world();
    world.ok(limit("day", "usd", "10").per(Day).set());
    world.ask(usage("old"), usd("5")).unwrap();
    world.advance(DAY + 10);
    world.ask(usage("new"), usd("8")).unwrap();
    // Yesterday's 5 free nothing; the 1 that it costs now is posted today.
    world.ask(amend("old"), usd("1")).unwrap();
    assert_eq!(world.limit("day"), "9 + 0, 1 left");
    world.ok(void("old"));
    assert_eq!(world.limit("day"), "8 + 0, 2 left");
}
