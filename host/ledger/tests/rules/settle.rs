//! What a call used so far: cumulative, as a whole, the difference posted.

use farebox_record::command::AboveHold::Deny;
use farebox_record::command::Command;
use farebox_record::command::Finality::{Final, Partial};
use farebox_record::outcome::Account;
use farebox_record::plan::Category::Promotional;
use farebox_record::state::Shortfall::{Floor, Unlimited};

use crate::world::World;
use crate::world::make::{
    Shape, chain, charge, fee, grant, hold, n, part, pay, priced, settle, settling, usd,
};
use crate::world::say::say;

fn with(amount: &str) -> World {
    let mut world = World::new();
    world.ok(grant("g", "usd", amount).put());
    world
}

fn held(amount: &str, hold_amount: &str) -> World {
    let mut world = with(amount);
    world.ask(hold("h"), usd(hold_amount)).unwrap();
    world
}

#[test]
fn a_final_settlement_takes_its_price_and_gives_the_rest_back() {
    let mut world = held("10", "6");
    assert_eq!(
        say(&world.ask(settle("h"), usd("4.5"))),
        "settled, posted usd 4.5, returned usd 1.5"
    );
    assert_eq!(
        world.entries(),
        [
            "usd held:g -4.5",
            "usd revenue 4.5",
            "usd held:g -1.5",
            "usd available:g 1.5",
        ]
    );
    assert_eq!(world.has("usd"), "5.5 0 0 0");
}

#[test]
fn parts_are_cumulative_and_post_differences() {
    let mut world = held("10", "6");
    let steps = [
        (part("h", "1"), "2", "part, posted usd 2, held usd 4", "4 4 0 0"),
        (part("h", "2"), "5", "part, posted usd 3, held usd 1", "4 1 0 0"),
        (part("h", "3"), "5", "part, held usd 1", "4 1 0 0"),
        // It turned out to be less: the difference is held again, not given back before the end.
        (part("h", "4"), "3", "part, posted usd -2, held usd 3", "4 3 0 0"),
        (part("h", "5"), "7", "part, posted usd 4", "3 0 0 0"),
        (settle("h"), "5.5", "settled, posted usd -1.5", "4.5 0 0 0"),
    ];
    for (command, price, said, has) in steps {
        assert_eq!(say(&world.ask(command, usd(price))), said);
        assert_eq!(world.has("usd"), has, "after {said}");
    }
    assert_eq!(world.posted("usd", &Account::Revenue), n("5.5"));
}

#[test]
fn a_decrease_gives_back_what_burns_last() {
    let mut world = with("10");
    world.ok(grant("z-promo", "usd", "2").category(Promotional).put());
    world.ask(hold("h"), usd("5")).unwrap();
    world.ask(part("h", "1"), usd("5")).unwrap();
    world.ask(part("h", "2"), usd("3")).unwrap();
    assert_eq!(
        world.entries(),
        ["usd revenue -2", "usd held:g 2"],
        "the promotional value stays used"
    );
    world.ask(settle("h"), usd("1")).unwrap();
    assert_eq!(world.has("usd"), "11 0 0 0");
    let left: Vec<String> = world
        .wallet
        .grants()
        .map(|(id, g)| format!("{id} {}", g.available))
        .collect();
    assert_eq!(left, ["g 10", "z-promo 1"]);
}

#[test]
fn parts_make_no_difference_to_what_is_taken() {
    // Each price as (in, out); whatever came before, the last one alone decides what is taken from where.
    let paths: [&[(&str, &str)]; 5] = [
        &[("3", "4")],
        &[("1", "1"), ("3", "4")],
        &[("0", "4"), ("3", "4")],
        &[("6", "6"), ("3", "4")],
        &[("9", "9"), ("0", "1"), ("3", "4")],
    ];
    for path in paths {
        let mut world = World::new();
        world.ok(grant("only-in", "usd", "2").code("in").put());
        world.ok(grant("only-out", "usd", "3").code("out").priority(2).put());
        world.ok(grant("any", "usd", "9").priority(1).put());
        let price = |(a, b): (&str, &str)| priced(&[charge("in", "usd", a), charge("out", "usd", b)]);
        world.ask(hold("h"), price(("5", "5"))).unwrap();
        let (last, parts) = path.split_last().unwrap();
        for (index, prices) in parts.iter().enumerate() {
            world.ask(part("h", &index.to_string()), price(*prices)).unwrap();
        }
        world.ask(settle("h"), price(*last)).unwrap();
        // in: 2 of `only-in`, 1 of `any`; out: 4 of `any`.
        let left: Vec<String> = world
            .wallet
            .grants()
            .map(|(id, g)| format!("{id} {}", g.available))
            .collect();
        assert_eq!(left, ["any 4", "only-out 3"], "{path:?}");
    }
}

#[test]
fn revenue_follows_the_charge_when_value_moves_between_charges() {
    let mut world = with("10");
    let price = |a: &str, b: &str| priced(&[charge("in", "usd", a), charge("out", "usd", b)]);
    world.ask(hold("h"), price("3", "4")).unwrap();
    world.ask(part("h", "1"), price("1", "6")).unwrap();
    world.ask(settle("h"), price("5", "2")).unwrap();
    for (index, amount) in [(0, "5"), (1, "2")] {
        let effects = world.records.iter().flat_map(|r| &r.outcome.effects);
        let sum: i128 = effects
            .filter_map(|effect| match effect {
                farebox_record::outcome::Effect::Entry(e)
                    if e.account == Account::Revenue && e.charge == Some(index) =>
                {
                    Some(e.amount.get())
                }
                _ => None,
            })
            .sum();
        assert_eq!(farebox_money::Nanos::new(sum), n(amount), "charge {index}");
    }
}

#[test]
fn credit_that_a_part_used_is_held_again_when_the_next_is_lower() {
    let mut world = World::owing(&[("usd", Floor(n("5")))]);
    world.ask(hold("h"), usd("4")).unwrap();
    let steps: [(Command, &str, &str, &str); 4] = [
        (
            part("h", "1"),
            "3",
            "part, posted usd 3, held usd 1, debt usd 3",
            "0 1 3 0",
        ),
        (part("h", "2"), "1", "part, posted usd -2, held usd 3", "0 3 1 0"),
        (
            settling("h", "3", Partial, Deny),
            "4",
            "part, posted usd 3, debt usd 3",
            "0 0 4 0",
        ),
        (settle("h"), "0", "settled, posted usd -4", "0 0 0 0"),
    ];
    for (command, price, said, has) in steps {
        assert_eq!(say(&world.ask(command, usd(price))), said);
        assert_eq!(world.has("usd"), has, "after {said}");
    }
}

#[test]
fn credit_beyond_the_policy_is_not_held_again() {
    // No credit at all: what was owed because it happened is not owed any more, and nothing stands in for it.
    let mut world = held("6", "6");
    world.ask(part("h", "1"), usd("9")).unwrap();
    assert_eq!(world.has("usd"), "0 0 3 0");
    assert_eq!(
        say(&world.ask(part("h", "2"), usd("5"))),
        "part, posted usd -4, held usd 1"
    );
    assert_eq!(world.has("usd"), "0 1 0 0");
}

#[test]
fn debt_returned_after_it_was_paid_comes_back_as_bought_value() {
    for (partial, has) in [(true, "2 3 0 0"), (false, "5 0 0 0")] {
        let mut world = held("6", "6");
        world.ask(part("h", "1"), usd("9")).unwrap();
        // 3 owed; 5 bought: 3 of them pay.
        assert_eq!(
            say(&world.act(grant("top-up", "usd", "5").put())),
            "granted, 3 paid debt"
        );
        let (command, said) = match partial {
            true => (part("h", "2"), "part, posted usd -3, held usd 3"),
            false => (settle("h"), "settled, posted usd -3"),
        };
        assert_eq!(say(&world.ask(command, usd("6"))), said);
        assert_eq!(world.has("usd"), has);
        let returned = world.wallet.grants().find(|(_, g)| g.label.is_some());
        let (id, grant) = returned.unwrap();
        assert_eq!((id.as_str(), grant.amount), ("returned:6:usd", n("3")));
        assert_eq!(grant.category, farebox_record::plan::Category::Paid);
        assert_eq!(world.posted("usd", &Account::Purchases), n("-11"));
    }
}

#[test]
fn part_of_the_returned_debt_may_be_unpaid() {
    let mut world = held("6", "6");
    world.ask(part("h", "1"), usd("11")).unwrap();
    world.ok(grant("top-up", "usd", "2").put());
    assert_eq!(world.has("usd"), "0 0 3 0");
    // 11 -> 6: 5 not owed, of which 3 are still unpaid and 2 were paid.
    assert_eq!(say(&world.ask(settle("h"), usd("6"))), "settled, posted usd -5");
    assert_eq!(world.has("usd"), "2 0 0 0");
}

#[test]
fn a_fee_on_the_statement_moves_with_the_settlement_and_never_into_a_pool() {
    let mut world = with("10");
    let price = |amount: &str| priced(&[fee("seat", "usd", amount)]);
    world.ask(hold("h"), price("5")).unwrap();
    world.ask(part("h", "1"), price("5")).unwrap();
    assert_eq!(world.has("usd"), "10 0 0 5");
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), price("3"))),
        "settled, posted usd -2"
    );
    assert_eq!(world.has("usd"), "10 0 0 3");
}

#[test]
fn a_fee_does_not_eat_what_its_hold_has_pinned() {
    // The plan quotes usage and settles a fee instead.
    let mut world = held("10", "6");
    assert_eq!(
        say(&world.ask(settle("h"), priced(&[fee("seat", "usd", "4")]))),
        "settled, posted usd 4, returned usd 6"
    );
    assert_eq!(world.has("usd"), "10 0 0 4");
}

#[test]
fn pins_that_the_charge_may_not_use_are_not_used() {
    let mut world = World::new();
    world.ok(grant("only-in", "usd", "5").code("in").put());
    world.ok(grant("any", "usd", "5").put());
    world.ask(hold("h"), priced(&[charge("in", "usd", "5")])).unwrap();
    assert_eq!(
        say(&world.ask(settle("h"), priced(&[charge("out", "usd", "3")]))),
        "settled, posted usd 3, returned usd 5"
    );
    assert_eq!(world.burnt(), ["any 3"]);
}

#[test]
fn a_wallet_may_owe_anything_when_it_is_post_paid() {
    let mut world = World::owing(&[("usd", Unlimited)]);
    world.ask(hold("h"), usd("1000")).unwrap();
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), usd("1000"))),
        "settled, posted usd 1000, debt usd 1000"
    );
}

#[test]
fn a_fee_with_a_chain_behind_it_leaves_the_pins_to_the_other_charges() {
    let mut world = with("10");
    let mut seat = fee("seat", "credits", "4");
    seat.otherwise.push(charge("seat", "usd", "4").price);
    let price = priced(&[seat, charge("tokens", "usd", "6")]);
    assert_eq!(say(&world.ask(hold("h"), price.clone())), "allowed, held usd 6");
    assert_eq!(
        say(&world.ask(settling("h", "s", Final, Deny), price)),
        "settled, posted credits 4 + usd 6"
    );
    assert_eq!(world.has("credits"), "0 0 0 4");
    assert_eq!(world.has("usd"), "4 0 0 0");
}

#[test]
fn the_same_price_again_moves_nothing_in_whatever_assets_it_is_owed() {
    let mut world = World::new();
    world.ask(hold("h"), priced(&[])).unwrap();
    let price = priced(&[charge("a", "usd", "5"), charge("b", "credits", "3")]);
    world.ask(part("h", "1"), price.clone()).unwrap();
    assert_eq!(
        (world.has("usd"), world.has("credits")),
        ("0 0 5 0".into(), "0 0 3 0".into())
    );
    assert_eq!(say(&world.ask(part("h", "2"), price)), "part");
    assert_eq!(world.entries(), [""; 0]);
}

#[test]
fn debt_of_one_charge_never_pays_for_the_first_asset_of_another() {
    let mut world = World::new();
    world.ask(hold("h"), priced(&[])).unwrap();
    let both = chain("a", &[("credits", "4"), ("usd", "8")]);
    let price = priced(&[both.clone(), charge("b", "credits", "3")]);
    world.ask(part("h", "1"), price).unwrap();
    assert_eq!(
        (world.has("usd"), world.has("credits")),
        ("0 0 8 0".into(), "0 0 3 0".into())
    );
    // `b` is not owed after all. Its debt is no credit of `a`, which is owed in dollars as before.
    world.ask(settle("h"), priced(&[both])).unwrap();
    assert_eq!(
        (world.has("usd"), world.has("credits")),
        ("0 0 8 0".into(), "0 0 0 0".into())
    );
}

#[test]
fn a_fee_that_became_a_charge_is_taken_from_the_wallet() {
    let mut world = with("5");
    world.ask(hold("h"), priced(&[])).unwrap();
    world
        .ask(part("h", "1"), priced(&[fee("a", "usd", "5")]))
        .unwrap();
    assert_eq!(world.has("usd"), "5 0 0 5");
    world.ask(settle("h"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "0 0 0 0");
}

#[test]
fn a_charge_keeps_its_own_then_asks_the_pin_then_what_another_left() {
    let mut world = with("20");
    world.ask(hold("h"), usd("14")).unwrap();
    let price = |a, b| priced(&[charge("a", "usd", a), charge("b", "usd", b)]);
    world.ask(part("h", "1"), price("3", "4")).unwrap();
    // `a` shrinks by 2 and `b` grows by 2: 2 of the 7 that are pinned pay for it, and the other 5 come back.
    assert_eq!(
        say(&world.ask(settle("h"), price("1", "6"))),
        "settled, returned usd 5"
    );
    assert_eq!(world.has("usd"), "13 0 0 0");
    // Without a pin, what `a` left pays for it, and nothing comes back or is taken.
    let mut world = with("7");
    world.ask(hold("h"), usd("7")).unwrap();
    world.ask(part("h", "1"), price("3", "4")).unwrap();
    assert_eq!(say(&world.ask(settle("h"), price("1", "6"))), "settled");
    assert_eq!(world.burnt(), [""; 0]);
}

#[test]
fn fees_that_were_paid_and_are_not_owed_come_back_as_one_grant() {
    let mut world = World::new();
    world.ask(hold("h"), priced(&[])).unwrap();
    let fees = priced(&[fee("a", "usd", "7"), fee("b", "usd", "1")]);
    world.ask(part("h", "1"), fees).unwrap();
    world.ok(pay("p", "2"));
    assert_eq!(world.has("usd"), "0 0 0 6");
    // Both are not owed any more: 6 were not paid yet, and 2 come back, whichever of the fees they had paid.
    world.ask(part("h", "2"), priced(&[])).unwrap();
    assert_eq!(world.has("usd"), "2 0 0 0");
    assert_eq!(world.wallet.grants().count(), 1);
}
