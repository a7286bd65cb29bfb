//! An event that takes the place of another one when the grant that paid for that is over: what came back to it pays first, and
//! not what the customer has now.

use farebox_record::command::Command;
use farebox_record::outcome::Account;

use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;
use crate::world::t;

/// An event of 7 was paid by a grant that is over since; 10 more were bought.
fn paid_by_what_is_over() -> World {
    let mut world = World::new();
    world.ok(grant("old", "usd", "7").expires(100).put());
    world.ask(usage("e"), usd("7")).unwrap();
    world.ok(grant("new", "usd", "10").put());
    world.advance(100);
    assert_eq!(world.has("usd"), "10 0 0 0");
    world
}

#[test]
fn what_cost_less_costs_nothing_anew() {
    let mut world = paid_by_what_is_over();
    let answer = world.ask(amend("e"), usd("5"));
    // Of 7 that come back to a grant that is over, 2 are lost, and 5 pay for what takes the place.
    assert_eq!(
        say(&answer),
        "corrected, reversed usd 7, expired usd 2, charged usd 5"
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(
        world.entries(),
        [
            "usd revenue -7",
            "usd breakage 7",
            "usd breakage -5",
            "usd revenue 5",
        ]
    );
    assert_eq!(world.posted("usd", &Account::Breakage), n("2"));
    // It still stands as paid by that grant: taken back, it comes back to nobody.
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 5, expired usd 5"
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("7"));
}

#[test]
fn what_costs_more_costs_the_difference() {
    let mut world = paid_by_what_is_over();
    let answer = world.ask(amend("e"), usd("9"));
    assert_eq!(say(&answer), "corrected, reversed usd 7, charged usd 9");
    assert_eq!(world.has("usd"), "8 0 0 0");
    assert_eq!(world.posted("usd", &Account::Breakage), n("0"));
    // 2 of it are of the grant that is there.
    assert_eq!(
        say(&world.act(void("e"))),
        "corrected, reversed usd 9, expired usd 7"
    );
    assert_eq!(world.has("usd"), "10 0 0 0");
}

#[test]
fn what_may_not_pay_for_it_is_lost() {
    let mut world = World::new();
    world.ok(grant("old", "usd", "7").code("chat").expires(100).put());
    let chat = |amount: &str| priced(&[charge("chat", "usd", amount)]);
    world.ask(usage("e"), chat("7")).unwrap();
    world.ok(grant("new", "usd", "10").put());
    world.advance(100);
    // It was no chat: the grant paid for chats alone.
    let answer = world.ask(amend("e"), priced(&[charge("image", "usd", "4")]));
    assert_eq!(
        say(&answer),
        "corrected, reversed usd 7, expired usd 7, charged usd 4"
    );
    assert_eq!(world.has("usd"), "6 0 0 0");
}

#[test]
fn each_charge_in_turn_takes_of_what_would_be_lost() {
    let mut world = paid_by_what_is_over();
    let charges = [charge("in", "usd", "4"), charge("out", "usd", "5")];
    world.ask(amend("e"), priced(&charges)).unwrap();
    assert_eq!(world.earned(), ["tokens -7", "in 4", "out 5"]);
    assert_eq!(world.has("usd"), "8 0 0 0");
}

#[test]
fn value_that_is_there_still_takes_its_own_back_and_pays_by_the_order_of_grants() {
    let mut world = World::new();
    world.ok(grant("old", "usd", "3").expires(100).put());
    world.ok(grant("paid", "usd", "5").put());
    // 3 of the first, 1 of the second.
    world.ask(usage("e"), usd("4")).unwrap();
    world.advance(100);
    world.ok(grant("first", "usd", "2").priority(-1).put());
    // 3 would be lost; the other 2 of 5 are of what burns first now.
    world.ask(amend("e"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "5 0 0 0");
    let free = |name: &str| {
        world
            .wallet
            .grants()
            .find(|(id, _)| id.as_str() == name)
            .map(|(_, g)| g.available)
    };
    assert_eq!((free("paid"), free("first")), (Some(n("5")), None));
}

#[test]
fn of_each_source_all_that_would_be_lost_pays_for_what_it_may() {
    let mut world = World::new();
    world.ok(grant("a", "usd", "4").code("out").expires(100).put());
    world.ok(grant("b", "usd", "5").expires(100).put());
    let charges = [
        charge("in", "usd", "3"),
        charge("out", "usd", "4"),
        charge("in", "usd", "2"),
    ];
    world.ask(usage("e"), priced(&charges)).unwrap();
    assert_eq!(world.burnt(), ["b 3", "a 4", "b 2"]);
    world.ok(grant("new", "usd", "10").put());
    world.advance(100);
    // 3 + 2 of the second may pay for what takes the place, and nothing of the first.
    let answer = world.ask(amend("e"), priced(&[charge("in", "usd", "7")]));
    assert_eq!(
        say(&answer),
        "corrected, reversed usd 9, expired usd 4, charged usd 7"
    );
    assert_eq!(world.has("usd"), "8 0 0 0");
}

#[test]
fn an_event_that_happened_when_the_grant_was_over_is_not_paid_by_it() {
    let mut world = paid_by_what_is_over();
    let mut later = amend("e");
    if let Command::Amend(amend) = &mut later {
        amend.event.time = Some(t(100));
    }
    // At the instant at which it ends it is over.
    assert_eq!(
        say(&world.ask(later, usd("5"))),
        "corrected, reversed usd 7, expired usd 7, charged usd 5"
    );
    assert_eq!(world.has("usd"), "5 0 0 0");
}
