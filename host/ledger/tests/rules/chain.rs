//! `otherwise`: the part that one asset cannot cover is charged in the next, in exact proportion, rounded once.

use farebox_record::command::AboveHold::{AllowDebt, Deny};
use farebox_record::command::Finality::{Final, Partial};
use farebox_record::plan::{Charge, Collect};
use farebox_record::state::Shortfall::Unlimited;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::world::World;
use crate::world::make::{Shape, charge};
use crate::world::make::{chain, grant, hold, n, part, priced, settle, settling, usage};
use crate::world::say::say;

/// A wallet with `have` is charged the chain; `taken` is what each asset pays, debt included.
fn check(prices: &[(&str, &str)], have: &[(&str, &str)], taken: &[(&str, &str)]) {
    let mut world = World::new();
    for (asset, amount) in have {
        world.ok(grant(asset, asset, amount).put());
    }
    let charges = [chain("tokens", prices)];
    assert_eq!(say(&world.ask(usage("e"), priced(&charges))), "charged");
    let revenue: Vec<String> = world
        .entries()
        .into_iter()
        .filter(|entry| entry.contains("revenue"))
        .collect();
    let mut taken: Vec<String> = taken.iter().map(|(a, t)| format!("{a} revenue {t}")).collect();
    taken.sort();
    assert_eq!(revenue, taken, "{prices:?} with {have:?}");
}

#[test]
fn one_asset() {
    check(&[("usd", "1.30")], &[("usd", "5")], &[("usd", "1.3")]);
    check(&[("usd", "1.30")], &[], &[("usd", "1.3")]);
}

#[test]
fn two_links() {
    // Cursor Ultra: 399.50 of 400 used, the next call is 1.30.
    check(
        &[("pool", "1.30"), ("usd", "1.30")],
        &[("pool", "0.50")],
        &[("pool", "0.5"), ("usd", "0.8")],
    );
    check(
        &[("pool", "1.30"), ("usd", "1.30")],
        &[("pool", "1.30")],
        &[("pool", "1.3")],
    );
    check(&[("pool", "1.30"), ("usd", "1.30")], &[], &[("usd", "1.3")]);
    // A quarter of it is there: three quarters of 0.02.
    check(
        &[("credits", "2"), ("usd", "0.02")],
        &[("credits", "0.5")],
        &[("credits", "0.5"), ("usd", "0.015")],
    );
    // 3 of 7: 4/7 of 0.1 = 0.0571428571428...
    check(
        &[("credits", "7"), ("usd", "0.1")],
        &[("credits", "3")],
        &[("credits", "3"), ("usd", "0.057142857")],
    );
}

#[test]
fn three_links() {
    check(
        &[("credits", "10"), ("minutes", "4"), ("usd", "3")],
        &[("credits", "2.5"), ("minutes", "1")],
        &[("credits", "2.5"), ("minutes", "1"), ("usd", "1.5")],
    );
    // 1 - 1/7 - 1/3 = 11/21 = 0.52380952380...
    check(
        &[("credits", "7"), ("minutes", "3"), ("usd", "1")],
        &[("credits", "1"), ("minutes", "1")],
        &[("credits", "1"), ("minutes", "1"), ("usd", "0.523809524")],
    );
    // The second covers the rest: the third is not asked. 6/7 of 3 = 2.571428571428...
    check(
        &[("credits", "7"), ("minutes", "3"), ("usd", "1")],
        &[("credits", "1"), ("minutes", "9")],
        &[("credits", "1"), ("minutes", "2.571428571")],
    );
}

#[test]
fn four_links() {
    // 1 - 1/3 - 1/5 - 1/7 = 34/105 = 0.3238095238...
    check(
        &[("a", "3"), ("b", "5"), ("c", "7"), ("d", "1")],
        &[("a", "1"), ("b", "1"), ("c", "1")],
        &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "0.323809524")],
    );
}

#[test]
fn four_links_at_the_edge_of_the_contract() {
    // Four amounts just below 2^63 nanos; the last worked with big rationals: (1 - sum of have/price) * price =
    // 1937188984938940280.33 nanos.
    check(
        &[
            ("a", "9223372036.854775783"),
            ("b", "9223372036.854775643"),
            ("c", "9223372036.854775549"),
            ("d", "9223372036.854775507"),
        ],
        &[
            ("a", "3333333333.333333333"),
            ("b", "1234567890.123456789"),
            ("c", "2718281828.459045235"),
        ],
        &[
            ("a", "3333333333.333333333"),
            ("b", "1234567890.123456789"),
            ("c", "2718281828.459045235"),
            ("d", "1937188984.93894028"),
        ],
    );
    // Equal prices: three nanos are there, so all but three nanos are left.
    let max = "9223372036.854775807";
    check(
        &[("a", max), ("b", max), ("c", max), ("d", max)],
        &[("a", "0.000000001"), ("b", "0.000000001"), ("c", "0.000000001")],
        &[
            ("a", "0.000000001"),
            ("b", "0.000000001"),
            ("c", "0.000000001"),
            ("d", "9223372036.854775804"),
        ],
    );
}

#[test]
fn the_proportion_agrees_with_another_implementation() {
    let decimal = |text: &str| -> Decimal { text.parse().unwrap() };
    for pool_price in ["3", "7", "0.9", "11.3", "1.000000007"] {
        for usd_price in ["1", "0.1", "17.77", "0.000000123"] {
            for pool in ["0.1", "0.5", "0.899999999", "0.000000001", "0.333333333"] {
                let uncovered = (decimal(pool_price) - decimal(pool)) * decimal(usd_price);
                let exact = uncovered / decimal(pool_price);
                let usd = exact.round_dp_with_strategy(9, RoundingStrategy::MidpointNearestEven);
                let usd = n(&usd.to_string()).to_string();
                let mut taken = vec![("pool", pool)];
                if usd != "0" {
                    taken.push(("usd", &usd));
                }
                check(
                    &[("pool", pool_price), ("usd", usd_price)],
                    &[("pool", pool)],
                    &taken,
                );
            }
        }
    }
}

#[test]
fn a_tie_goes_to_the_even_nano() {
    // (pool price, usd price, pool) in nanos, and what usd pays.
    for (pool_price, usd_price, pool, usd) in [
        (4, 2, 1, 2),    // 3/4 of 2 = 1.5
        (4, 2, 3, 0),    // 1/4 of 2 = 0.5
        (4, 6, 1, 4),    // 3/4 of 6 = 4.5
        (4, 6, 3, 2),    // 1/4 of 6 = 1.5
        (40, 20, 1, 20), // 39/40 of 20 = 19.5
        (40, 20, 3, 18), // 37/40 of 20 = 18.5
    ] {
        let nanos = |n: i128| farebox_money::Nanos::new(n).to_string();
        let usd = nanos(usd);
        let pool = nanos(pool);
        let mut taken = vec![("pool", pool.as_str())];
        if usd != "0" {
            taken.push(("usd", &usd));
        }
        check(
            &[("pool", &nanos(pool_price)), ("usd", &nanos(usd_price))],
            &[("pool", &pool)],
            &taken,
        );
    }
}

/// 40 nanos of the pool, of which 1 is there, or 20 of usd: a tie, 19.5, taken as 20.
fn tie() -> Charge {
    chain("tokens", &[("pool", "0.00000004"), ("usd", "0.00000002")])
}

#[test]
fn a_tie_is_rounded_once_in_however_many_parts_it_is_taken() {
    // usd in grants of 11 nanos each: 11 from the first, 9 from the second, never 8.
    let mut world = World::new();
    world.ok(grant("pool", "pool", "0.000000001").put());
    world.ok(grant("a", "usd", "0.000000011").put());
    world.ok(grant("b", "usd", "0.000000011").put());
    world.ask(usage("e"), priced(&[tie()])).unwrap();
    assert_eq!(
        world.burnt(),
        ["pool 0.000000001", "a 0.000000011", "b 0.000000009"]
    );
    // 11 from a grant and 9 of debt.
    let mut world = World::new();
    world.ok(grant("pool", "pool", "0.000000001").put());
    world.ok(grant("a", "usd", "0.000000011").put());
    world.ask(usage("e"), priced(&[tie()])).unwrap();
    assert_eq!(world.has("usd"), "0 0 0.000000009 0");
}

#[test]
fn a_tie_settled_again_posts_nothing() {
    let mut world = World::new();
    world.ok(grant("pool", "pool", "0.000000001").put());
    world.ok(grant("a", "usd", "0.000000011").put());
    world.ok(grant("b", "usd", "0.000000011").put());
    world.ask(hold("h"), priced(&[tie()])).unwrap();
    assert_eq!(
        say(&world.ask(part("h", "1"), priced(&[tie()]))),
        "part, posted pool 0.000000001 + usd 0.00000002"
    );
    assert_eq!(say(&world.ask(part("h", "2"), priced(&[tie()]))), "part");
    assert_eq!(say(&world.ask(settle("h"), priced(&[tie()]))), "settled");
}

#[test]
fn only_the_last_link_overdraws_and_by_its_own_policy() {
    let charges = [chain("tokens", &[("credits", "10"), ("usd", "2")])];
    let mut world = World::owing(&[("credits", Unlimited)]);
    world.ok(grant("c", "credits", "5").put());
    assert_eq!(
        say(&world.ask(hold("h"), priced(&charges))),
        "denied: InsufficientFunds, 0 of 1 usd"
    );
    world.ok(grant("u", "usd", "0.25").put());
    assert_eq!(
        say(&world.ask(hold("h2"), priced(&charges))),
        "denied: InsufficientFunds, 0.25 of 1 usd"
    );
    world.ask(usage("e"), priced(&charges)).unwrap();
    assert_eq!(world.has("credits"), "0 0 0 0");
    assert_eq!(world.has("usd"), "0 0 0.75 0");

    let mut world = World::owing(&[("usd", Unlimited)]);
    world.ok(grant("c", "credits", "5").put());
    assert_eq!(
        say(&world.ask(hold("h"), priced(&charges))),
        "allowed, held credits 5 + usd 1"
    );
}

/// A hold of 1.30 over 0.50 of pool and 3 dollars: 0.50 and 0.80.
fn ultra() -> (World, impl Fn(&str) -> farebox_record::outcome::Verdict) {
    let price = |amount: &str| priced(&[chain("tokens", &[("pool", amount), ("usd", amount)])]);
    let mut world = World::new();
    world.ok(grant("pool", "pool", "0.50").put());
    world.ok(grant("usd", "usd", "3").put());
    assert_eq!(
        say(&world.ask(hold("h"), price("1.30"))),
        "allowed, held pool 0.5 + usd 0.8"
    );
    (world, price)
}

#[test]
fn a_settlement_uses_what_is_pinned_first_then_the_chain_live() {
    let (mut world, price) = ultra();
    world.ok(grant("more", "pool", "10").put());
    assert_eq!(
        say(&world.ask(settle("h"), price("1.30"))),
        "settled, posted pool 0.5 + usd 0.8"
    );

    let (mut world, price) = ultra();
    world.ok(grant("more", "pool", "10").put());
    assert_eq!(
        say(&world.ask(settle("h"), price("1.50"))),
        "settled, posted pool 0.7 + usd 0.8"
    );

    let (mut world, price) = ultra();
    assert_eq!(
        say(&world.ask(settle("h"), price("1.50"))),
        "settled, posted pool 0.5 + usd 1"
    );

    // Less than was quoted: the pool first, and the rest of the dollars go back.
    let (mut world, price) = ultra();
    assert_eq!(
        say(&world.ask(settle("h"), price("0.60"))),
        "settled, posted pool 0.5 + usd 0.1, returned usd 0.7"
    );
}

#[test]
fn parts_over_a_chain_round_the_whole_once() {
    // 3 credits or 1 dollar, then twice that; 1 credit is there: 2/3 of 1, then 5/6 of 2.
    let price = |credits: &str, usd: &str| priced(&[chain("tokens", &[("credits", credits), ("usd", usd)])]);
    let mut world = World::new();
    world.ok(grant("c", "credits", "1").put());
    world.ok(grant("u", "usd", "5").put());
    world.ask(hold("h"), price("6", "2")).unwrap();
    assert_eq!(
        say(&world.ask(part("h", "1"), price("3", "1"))),
        "part, posted credits 1 + usd 0.666666667, held usd 1"
    );
    assert_eq!(
        say(&world.ask(settling("h", "2", Partial, Deny), price("6", "2"))),
        "part, posted usd 1"
    );
    assert_eq!(
        say(&world.ask(settling("h", "3", Final, AllowDebt), price("1", "0.333333333"))),
        "settled, posted usd -1.666666667"
    );
    assert_eq!(world.has("usd"), "5 0 0 0");
    assert_eq!(world.has("credits"), "0 0 0 0");
}

#[test]
fn a_chain_can_end_on_the_statement() {
    let mut charge = chain("tokens", &[("pool", "10"), ("usd", "5")]);
    charge.otherwise[0].collect = Collect::Invoice;
    let mut world = World::new();
    world.ok(grant("p", "pool", "4").put());
    world.ok(grant("u", "usd", "100").put());
    world.ask(usage("e"), priced(&[charge])).unwrap();
    assert_eq!(world.has("pool"), "0 0 0 0");
    assert_eq!(world.has("usd"), "100 0 0 3");
}

#[test]
fn charges_share_a_pool_in_their_order() {
    let mut world = World::new();
    world.ok(grant("p", "pool", "5").put());
    let charges = [
        chain("in", &[("pool", "4"), ("usd", "4")]),
        chain("out", &[("pool", "4"), ("usd", "8")]),
    ];
    world.ask(usage("e"), priced(&charges)).unwrap();
    // 4 and 1 of the pool; 3/4 of 8 dollars.
    assert_eq!(world.has("pool"), "0 0 0 0");
    assert_eq!(world.has("usd"), "0 0 6 0");
}

#[test]
fn nothing_in_the_first_asset_is_nothing_at_all() {
    let mut world = World::new();
    world
        .ask(usage("e"), priced(&[chain("t", &[("pool", "0"), ("usd", "5")])]))
        .unwrap();
    assert_eq!(world.entries(), <[&str; 0]>::default());
}

#[test]
fn a_chain_that_makes_no_sense_cannot_be_posted() {
    let long = chain("t", &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
    let bad = [
        long,
        chain("t", &[("pool", "1"), ("usd", "0")]),
        chain("t", &[("pool", "1"), ("usd", "-1")]),
        chain("t", &[("pool", "1"), ("usd", "9223372036.854775808")]),
        charge("t", "usd", "9223372036.854775808"),
    ];
    let problem = "charge of every price in an `otherwise` chain must be more than zero, in at most 4 prices";
    for charge in bad {
        let mut world = World::new();
        world.ok(grant("p", "pool", "1").put());
        let said = say(&world.ask(usage("e"), priced(std::slice::from_ref(&charge))));
        assert!(
            said.starts_with("unpriced: PlanFailed") && said.contains(problem),
            "{said}"
        );
        let said = say(&world.ask(hold("h"), priced(&[charge])));
        assert_eq!(said, format!("refused: {problem}"));
        assert_eq!(world.has("pool"), "1 0 0 0");
    }
}
