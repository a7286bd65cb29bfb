//! What comes back where its grant has ended, and what becomes of grants that were given for an event.

use super::*;

/// A subscription with 100 included credits until 1 April, and an event that took 90 of them.
fn used_pool(plan: Change, when: When) -> World {
    let mut world = World::new();
    let mut pool = order("credits", "100");
    pool.expires = Some(t(31 * 86_400));
    world
        .ask(subscribe("s", Cadence::Monthly), gives(&[pool]))
        .unwrap();
    world
        .ask(usage("e"), priced(&[charge("work", "credits", "90")]))
        .unwrap();
    world.advance(60);
    world.ask(change("1", plan, when), priced(&[])).unwrap();
    world
}

#[test]
fn what_ended_with_its_subscription_or_its_plan_becomes_breakage() {
    let pro = || Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: None,
    };
    for plan in [Change::Cancel, pro()] {
        let mut world = used_pool(plan, When::Now);
        assert_eq!(world.posted("credits", &Account::Breakage), n("10"));
        world.crash();
        assert_eq!(
            say(&world.act(void("e"))),
            "corrected, reversed credits 90, expired credits 90"
        );
        assert_eq!(world.has("credits"), "0 0 0 0");
        assert_eq!(world.posted("credits", &Account::Breakage), n("100"));
        assert_eq!(world.posted("credits", &Account::Revenue), n("0"));
    }
}

#[test]
fn what_a_running_plan_included_comes_back_though_it_was_used_up() {
    // Only the change is scheduled: the pool is good until then.
    let mut world = used_pool(Change::Cancel, When::PeriodEnd);
    world
        .ask(usage("f"), priced(&[charge("work", "credits", "10")]))
        .unwrap();
    assert_eq!(world.wallet.grants().count(), 0);
    world.ok(void("e"));
    assert_eq!(world.has("credits"), "90 0 0 0");
}

#[test]
fn what_a_new_plan_included_comes_back() {
    let pro = Change::Plan {
        plan: PlanName::new("pro").unwrap(),
        cadence: None,
    };
    let mut world = used_pool(Change::Cancel, When::PeriodEnd);
    world
        .ask(change("2", pro, When::Now), gives(&[order("credits", "5")]))
        .unwrap();
    world
        .ask(usage("f"), priced(&[charge("work", "credits", "5")]))
        .unwrap();
    world.ok(void("f"));
    assert_eq!(world.has("credits"), "5 0 0 0");
}

/// An event that costs 5 and gives 2 back as promotional value, in a wallet of 10.
fn with_bonus() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "usd", "10").put());
    world.ask(usage("e"), bonus("5", "2")).unwrap();
    assert_eq!(world.has("usd"), "7 0 0 0");
    world
}

fn bonus(costs: &str, given: &str) -> Verdict {
    let mut bonus = order("usd", given);
    bonus.category = Category::Promotional;
    Verdict::Priced(Priced {
        charges: vec![charge("tokens", "usd", costs)],
        grants: vec![bonus],
        ..Priced::default()
    })
}

#[test]
fn what_an_event_gave_goes_with_it() {
    let mut world = with_bonus();
    world.crash();
    world.ok(void("e"));
    assert_eq!(
        world.entries(),
        [
            "usd revenue -5",
            "usd available:g 5",
            "usd available:s:4:0 -2",
            "usd promotional 2",
        ]
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.wallet.grants().count(), 1);
}

#[test]
fn what_was_used_of_an_event_s_grant_stays_used() {
    // The next event takes 1.5 of the bonus of 2; the void takes the other 0.5 back, and no more.
    let mut world = with_bonus();
    world.ask(usage("f"), usd("1.5")).unwrap();
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.posted("usd", &Account::Promotional), n("-1.5"));
    // What a call holds of it stays held.
    let mut world = with_bonus();
    world.ask(hold("h"), usd("1.5")).unwrap();
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "10 1.5 0 0");
}

#[test]
fn what_an_amendment_gives_takes_the_place_of_what_the_event_gave() {
    let mut world = with_bonus();
    world.ask(amend("e"), bonus("4", "1")).unwrap();
    assert_eq!(world.has("usd"), "7 0 0 0");
    assert_eq!(world.posted("usd", &Account::Promotional), n("-1"));
    world.ok(void("e"));
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn what_comes_back_to_an_expired_grant_that_a_hold_keeps_is_breakage() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").expires(100).put());
    world.ask(usage("e"), usd("4")).unwrap();
    world.ask(hold("h"), usd("5")).unwrap();
    world.advance(100);
    assert_eq!(world.has("usd"), "0 5 0 0");
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 4, expired usd 4"
    );
    assert_eq!(world.has("usd"), "0 5 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("5"));
}
