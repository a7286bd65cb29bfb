//! What a fold leaves behind of each event: what it took, what it costs, and the plan's state. Prices: [`crate::refold`].

use farebox_ledger::Refusal;
use farebox_record::correction::{Consequence, Refold, Repriced};
use farebox_record::ids::SubscriptionId;
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{Account, Effect};
use farebox_record::plan::{Category, Charge, EventRef};
use farebox_record::state::Cadence;

use crate::refold::{slices, three, tokens, void_with};
use crate::world::World;
use crate::world::make::*;
use crate::world::say::say;

/// What a fold found, each event with all of its new charges.
fn found(world: &World, repriced: &[(&str, &[Charge])]) -> Refold {
    let repriced = repriced.iter().map(|(event, charges)| Repriced {
        standing: world.original(&reference(event)).unwrap().standing,
        refunded: Vec::new(),
        charges: charges.to_vec(),
    });
    Refold {
        subscription: SubscriptionId::new("s").unwrap(),
        term: 0,
        closed: None,
        checkpoint: 1,
        events: 2,
        repriced: repriced.collect(),
        state: b"folded".to_vec(),
        state_version: 1,
        revision: revision(),
    }
}

fn behind(world: &World, repriced: &[(&str, &[Charge])]) -> Option<Consequence> {
    Some(Consequence::Refolded(Box::new(found(world, repriced))))
}

/// What the newest record says of revenue and of standings, in order.
fn order(world: &World) -> Vec<String> {
    let effects = &world.records.last().unwrap().outcome.effects;
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.account == Account::Revenue => Some(entry.amount.to_string()),
        Effect::StandingPut(EventRef { id, .. }, _) => Some(format!("of {id}")),
        _ => None,
    });
    told.collect()
}

#[test]
fn what_comes_back_of_one_line_closes_before_another_is_charged() {
    let mut world = three("20");
    let two = [charge("in", "usd", "4"), charge("out", "usd", "2")];
    world.ask(usage("d"), priced(&two)).unwrap();
    let now = [charge("in", "usd", "1"), charge("out", "usd", "7")];
    let found = behind(&world, &[("d", &now)]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 8; d, back usd 3, charged usd 5"
    );
    assert_eq!(order(&world), ["-8", "of a", "-3", "of d", "of a", "5", "of d"]);
    assert_eq!(slices(&world, "d"), ["paid 1", "paid 2", "paid 5"]);
}

#[test]
fn an_event_says_what_it_costs_now() {
    let mut world = three("20");
    // The same amount for another code moves nothing but the name.
    let found = behind(&world, &[("b", &[tokens("4")]), ("c", &[tokens("1")])]);
    void_with(&mut world, "a", found);
    for (event, price) in [("b", "4"), ("c", "1")] {
        let standing = world.original(&reference(event)).unwrap().standing;
        let amounts: Vec<_> = standing.lines.iter().map(|line| line.amount).collect();
        assert_eq!(amounts, [n(price)], "{event}");
    }
}

#[test]
fn what_was_taken_twice_from_one_grant_is_one_part() {
    let mut world = World::new();
    world.ok(grant("promo", "usd", "1").category(Category::Promotional).put());
    world.ok(grant("paid", "usd", "20").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    for (event, price) in [("c", "2"), ("a", "8"), ("z", "1")] {
        world.ask(usage(event), usd(price)).unwrap();
    }
    // `c` has 1 of each; at 5 it takes 3 more of what was bought.
    assert_eq!(slices(&world, "c"), ["promo 1", "paid 1"]);
    let dearer = behind(&world, &[("c", &[tokens("5")])]);
    void_with(&mut world, "z", dearer);
    assert_eq!(slices(&world, "c"), ["promo 1", "paid 1", "paid 3"]);
    // At 3, 1 of the gift and 2 of the 4 that were bought stay.
    let cheaper = behind(&world, &[("c", &[tokens("3")])]);
    assert_eq!(
        void_with(&mut world, "a", cheaper),
        "corrected, reversed usd 8; c, back usd 2"
    );
    assert_eq!(slices(&world, "c"), ["promo 1", "paid 2"]);
    assert_eq!(world.has("usd"), "18 0 0 0");
}

#[test]
fn two_assets_of_one_code_are_two_parts() {
    let mut world = World::new();
    world.ok(grant("pool", "credits", "4").put());
    world.ok(grant("paid", "usd", "10").put());
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ask(usage("a"), usd("2")).unwrap();
    let both = |credits, dollars| {
        [
            charge("tokens", "credits", credits),
            charge("tokens", "usd", dollars),
        ]
    };
    world.ask(usage("b"), priced(&both("3", "3"))).unwrap();
    let found = behind(&world, &[("b", &both("1", "2"))]);
    void_with(&mut world, "a", found);
    assert_eq!(slices(&world, "b"), ["pool 1", "paid 2"]);
    assert_eq!(
        (world.has("credits"), world.has("usd")),
        ("3 0 0 0".into(), "8 0 0 0".into())
    );
}

#[test]
fn debts_of_one_code_in_two_assets_are_two_parts() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    let both = |credits, dollars| {
        [
            charge("tokens", "usd", dollars),
            charge("tokens", "credits", credits),
        ]
    };
    world.ask(usage("a"), usd("2")).unwrap();
    world.ask(usage("b"), priced(&both("2", "3"))).unwrap();
    let found = behind(&world, &[("b", &both("5", "1"))]);
    assert_eq!(
        void_with(&mut world, "a", found),
        "corrected, reversed usd 2, paid usd 2; b, back usd 2, charged credits 3"
    );
    assert_eq!(
        (world.has("credits"), world.has("usd")),
        ("0 0 5 0".into(), "0 0 1 0".into())
    );
}

#[test]
fn a_price_in_an_asset_too_many_is_refused_whole() {
    let mut world = three("20");
    for index in 1..farebox_ledger::limits::ASSETS_PER_WALLET_MAX {
        world.ok(grant(&format!("g{index}"), &format!("asset-{index}"), "1").put());
    }
    let found = behind(&world, &[("b", &[charge("tokens", "another", "1")])]);
    let refused = world.correct(void("a"), None, found);
    assert!(say(&refused).contains("ASSETS_PER_WALLET_MAX"), "{refused:?}");
    assert_eq!(world.has("usd"), "7 0 0 0");
}

/// A fold of March, after April has begun.
fn of_march(world: &mut World) -> Refold {
    world.advance(31 * 86_400);
    let id = SubscriptionId::new("s").unwrap();
    assert_eq!(world.wallet.subscription(&id).unwrap().term, 1);
    let march = world.records.iter().flat_map(|record| &record.outcome.effects);
    let mut march = march.filter_map(|effect| match effect {
        Effect::TermPut(_, term) => Some(term.clone()),
        _ => None,
    });
    let closed = march.next_back();
    Refold {
        closed,
        state_version: 7,
        revision: farebox_record::ids::RevisionHash {
            component: farebox_record::ids::Hash([9; 32]),
            ..revision()
        },
        ..found(world, &[("b", &[tokens("4")])])
    }
}

#[test]
fn a_closed_term_keeps_the_state_behind_its_events() {
    let mut world = three("20");
    let fold = of_march(&mut world);
    let (before, revision) = (fold.closed.clone().unwrap(), fold.revision);
    void_with(&mut world, "a", Some(Consequence::Refolded(Box::new(fold))));
    let effects = &world.records.last().unwrap().outcome.effects;
    let put: Vec<&TermState> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::TermPut(_, term) => Some(&**term),
            _ => None,
        })
        .collect();
    let after = TermState {
        state: b"folded".to_vec(),
        state_version: 7,
        revision,
        ..(*before).clone()
    };
    assert_eq!(put, [&after]);
    // April knows nothing of it.
    let id = SubscriptionId::new("s").unwrap();
    assert_ne!(world.wallet.subscription(&id).unwrap().state, b"folded");
}

#[test]
fn a_fold_of_a_closed_term_is_of_one_before_the_present() {
    for number in [1, 2] {
        let mut world = three("20");
        let fold = Refold {
            term: number,
            ..of_march(&mut world)
        };
        let refused = world.correct(void("a"), None, Some(Consequence::Refolded(Box::new(fold))));
        assert!(matches!(refused, Err(Refusal::CannotRefold(_))), "{refused:?}");
    }
}

#[test]
fn what_is_billed_on_the_statement_grows_too() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world
        .ask(usage("a"), priced(&[fee("tokens", "usd", "8")]))
        .unwrap();
    world
        .ask(usage("b"), priced(&[fee("tokens", "usd", "3")]))
        .unwrap();
    let found = behind(&world, &[("b", &[fee("tokens", "usd", "4")])]);
    void_with(&mut world, "a", found);
    assert_eq!(world.has("usd"), "0 0 0 4");
}

#[test]
fn a_chain_onto_the_statement_grows_by_what_came_back_first() {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ok(grant("g", "credits", "3").put());
    let billed = |amount: &str| {
        let mut charge = chain("tokens", &[("credits", amount), ("usd", amount)]);
        charge.otherwise[0].collect = farebox_record::plan::Collect::Invoice;
        charge
    };
    world.ask(usage("a"), priced(&[billed("2")])).unwrap();
    world.ask(usage("b"), priced(&[billed("3")])).unwrap();
    assert_eq!(
        (world.has("credits"), world.has("usd")),
        ("0 0 0 0".into(), "0 0 0 2".into())
    );
    // 2 credits came back and pay for 2 of the 3 more; 1 more is billed.
    let found = behind(&world, &[("b", &[billed("6")])]);
    void_with(&mut world, "a", found);
    assert_eq!(
        (world.has("credits"), world.has("usd")),
        ("0 0 0 0".into(), "0 0 0 3".into())
    );
}

/// Of every event behind a corrected one the customer paid more than it costs now. What comes back is one grant: a record names
/// each grant that it opens, and has room for so many names.
#[test]
fn what_comes_back_of_many_events_is_one_grant() {
    let mut world = World::owing(&[("usd", farebox_record::state::Shortfall::Unlimited)]);
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world.ask(usage("a"), usd("1")).unwrap();
    let events: Vec<String> = (0..300).map(|index| format!("e{index}")).collect();
    for event in &events {
        world.ask(usage(event), usd("1")).unwrap();
    }
    world.ok(grant("pays", "usd", "301").put());
    assert_eq!(world.has("usd"), "0 0 0 0");
    let half = [tokens("0.5")];
    let repriced: Vec<(&str, &[Charge])> = events.iter().map(|event| (event.as_str(), &half[..])).collect();
    let found = behind(&world, &repriced);
    void_with(&mut world, "a", found);
    // 1 of the voided event, and half of each of the 300.
    assert_eq!(world.has("usd"), "151 0 0 0");
    let grants: Vec<String> = world
        .wallet
        .grants()
        .map(|(_, grant)| format!("{} {}", grant.amount, grant.label.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(grants, ["151 Returned from several events"]);
    // The correction's own, and that of the grant.
    assert_eq!(world.records.last().unwrap().identities().len(), 2);
}
