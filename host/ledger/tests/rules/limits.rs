//! Every limit is refused by its name, at its edge, and leaves no trace.

use farebox_ledger::{Refusal, limits};
use farebox_record::command::{Command, Grant};
use farebox_record::ids::GrantId;
use farebox_record::lifecycle::{SubscriptionChange, When};
use farebox_record::plan::Priced;
use farebox_record::state::Cadence;
use farebox_record::time::{Span, Timestamp};

use crate::world::World;
use crate::world::make::{
    Shape, change, charge, customer, event, extend, grant, hold, hold_for, one_shot, order, part, priced,
    pricing, settle, subscribe, usage, usd,
};
use crate::world::say::say;
use farebox_record::outcome::{Seen, Verdict};

/// Carries a command out without the checks behind each: for building large wallets.
fn quick(world: &mut World, command: &Command, verdict: Option<Verdict>) -> Result<(), Refusal> {
    let seen = Seen {
        pricing: verdict.map(pricing),
        ..Seen::nothing(1, world.now)
    };
    farebox_ledger::apply(&mut world.wallet, command, &seen, world.now).map(|_| ())
}

fn limit(what: &'static str, limit: &'static str, max: usize) -> Refusal {
    Refusal::Limit { what, limit, max }
}

#[test]
fn times_of_events() {
    let mut world = World::new();
    let at = |micros: i64| Timestamp::from_micros(world.now.as_micros() + micros);
    let (ahead, late) = (300_000_000, -35 * 86_400_000_000);
    let cases = [
        (at(0), true),
        (at(ahead), true),
        (at(ahead + 1), false),
        (at(late), true),
        (at(late - 1), false),
        (Timestamp::from_micros(i64::MAX), false),
        (Timestamp::from_micros(i64::MIN), false),
    ];
    for (index, (time, allowed)) in cases.into_iter().enumerate() {
        let mut timed = event(&format!("e{index}"));
        timed.time = Some(time);
        let Command::Authorize(mut held) = hold("x") else {
            unreachable!()
        };
        held.event = timed.clone();
        for command in [Command::Usage(timed), Command::Authorize(held)] {
            let result = world.ask(command, usd("0"));
            match (allowed, time > world.now) {
                (true, _) => assert!(result.is_ok(), "{result:?}"),
                (false, true) => assert!(say(&result).contains("limit EVENT_AHEAD_MAX"), "{result:?}"),
                (false, false) => assert!(say(&result).contains("limit LATE_WINDOW"), "{result:?}"),
            }
        }
    }
}

#[test]
fn lives_of_holds() {
    for (ttl, allowed) in [(0, false), (1, true), (86_400, true), (86_401, false)] {
        let mut world = World::new();
        let refused = "refused: ttl_seconds must be 1 to 86400";
        let said = |ok: &str| {
            if allowed {
                ok.to_string()
            } else {
                refused.to_string()
            }
        };
        assert_eq!(say(&world.ask(hold_for("h", ttl), usd("0"))), said("allowed"));
        world.ask(hold("h2"), usd("0")).unwrap();
        let extended = format!("extended until {}", ttl.max(900));
        assert_eq!(say(&world.act(extend("h2", "x", ttl, &[]))), said(&extended));
    }
}

#[test]
fn nobody_without_a_customer() {
    let commands = [
        grant("g", "usd", "1").put(),
        usage("e"),
        hold("h"),
        settle("h"),
        crate::world::make::subscribe("s", Default::default()),
    ];
    for command in commands {
        let mut world = World::empty();
        assert_eq!(world.ask(command, usd("1")), Err(Refusal::UnknownCustomer));
    }
}

#[test]
fn grants_of_a_wallet() {
    let mut world = World::new();
    quick(&mut world, &hold("owes"), Some(priced(&[]))).unwrap();
    let owed = priced(&[charge("t", "credits", "5")]);
    quick(&mut world, &part("owes", "1"), Some(owed)).unwrap();
    quick(&mut world, &grant("pays", "credits", "5").put(), None).unwrap();
    for index in 0..limits::GRANTS_PER_WALLET_MAX {
        let grant = Grant {
            id: GrantId::new(&format!("g{index}")).unwrap(),
            ..grant("g", "usd", "1")
        };
        quick(&mut world, &grant.put(), None).unwrap();
    }
    let refused = limit("grants", "GRANTS_PER_WALLET_MAX", 1_000);
    assert_eq!(
        quick(&mut world, &grant("one-more", "usd", "1").put(), None),
        Err(refused.clone())
    );
    // What comes back needs no room, and a wallet that has more than it may goes on.
    quick(&mut world, &settle("owes"), Some(priced(&[]))).unwrap();
    assert_eq!(world.wallet.grants().count(), limits::GRANTS_PER_WALLET_MAX + 1);
    quick(&mut world, &one_shot("beyond"), Some(usd("1"))).unwrap();
    // A plan's grant finds no room either: its usage waits, an authorize is refused.
    let gives = Verdict::Priced(Priced {
        grants: vec![order("usd", "1")],
        ..Priced::default()
    });
    quick(&mut world, &usage("e"), Some(gives.clone())).unwrap();
    assert_eq!(world.wallet.header().unpriced, 1);
    assert_eq!(
        quick(&mut world, &one_shot("o"), Some(gives.clone())),
        Err(refused.clone())
    );
    quick(&mut world, &hold("h"), Some(usd("1"))).unwrap();
    let parts = || part("h", "p");
    assert_eq!(quick(&mut world, &parts(), Some(gives.clone())), Err(refused));
    // The last settlement waits too.
    quick(&mut world, &settle("h"), Some(gives)).unwrap();
    assert_eq!(world.wallet.header().unpriced, 2);
    // Plain usage goes on, and makes room.
    quick(&mut world, &usage("e2"), Some(usd("3"))).unwrap();
    quick(&mut world, &grant("one-more", "usd", "1").put(), None).unwrap();
}

#[test]
fn assets_of_a_wallet() {
    let mut world = World::new();
    for index in 0..limits::ASSETS_PER_WALLET_MAX {
        world.ok(grant(&format!("g{index}"), &format!("asset-{index}"), "1").put());
    }
    let refused = limit("assets", "ASSETS_PER_WALLET_MAX", 32);
    assert_eq!(world.act(grant("g", "usd", "1").put()), Err(refused.clone()));
    assert_eq!(world.ask(hold("h"), usd("1")), Err(refused.clone()));
    let said = say(&world.ask(usage("e"), usd("1")));
    assert!(said.contains("ASSETS_PER_WALLET_MAX"), "{said}");
    assert_eq!(world.has("usd"), "0 0 0 0");
    // Those that are there still work, also in a settlement.
    world
        .ask(hold("h"), priced(&[charge("t", "asset-7", "1")]))
        .unwrap();
    assert_eq!(world.ask(part("h", "p"), usd("1")), Err(refused));
    world
        .ask(settle("h"), priced(&[charge("t", "asset-7", "1")]))
        .unwrap();

    // Two new ones do not fit where one does.
    let mut world = World::new();
    for index in 1..limits::ASSETS_PER_WALLET_MAX {
        world.ok(grant(&format!("g{index}"), &format!("asset-{index}"), "1").put());
    }
    let two = priced(&[charge("a", "usd", "1"), charge("b", "eur", "1")]);
    assert!(say(&world.ask(usage("e"), two)).contains("ASSETS_PER_WALLET_MAX"));
    let same = priced(&[charge("a", "usd", "1"), charge("b", "usd", "1")]);
    assert_eq!(say(&world.ask(usage("e2"), same)), "charged");
}

#[test]
fn policies_of_a_customer() {
    let names: Vec<String> = (0..=limits::ASSETS_PER_WALLET_MAX)
        .map(|i| format!("asset-{i}"))
        .collect();
    let policies: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), farebox_record::state::Shortfall::Unlimited))
        .collect();
    let mut world = World::new();
    assert_eq!(
        world.act(customer("c2", &policies)),
        Err(limit("assets", "ASSETS_PER_WALLET_MAX", 32))
    );
    world.act(customer("c3", &policies[1..])).unwrap();
}

#[test]
fn holds_of_a_wallet() {
    let mut world = World::new();
    for index in 0..limits::HOLDS_PER_WALLET_MAX {
        quick(&mut world, &hold(&format!("h{index}")), Some(priced(&[]))).unwrap();
    }
    assert_eq!(
        quick(&mut world, &hold("one-more"), Some(priced(&[]))),
        Err(limit("open holds", "HOLDS_PER_WALLET_MAX", 10_000))
    );
    quick(&mut world, &settle("h77"), Some(priced(&[]))).unwrap();
    quick(&mut world, &hold("one-more"), Some(priced(&[]))).unwrap();
}

#[test]
fn subscriptions_of_a_wallet() {
    let mut world = World::new();
    let yearly = |id: &str| subscribe(id, Cadence::Yearly);
    let mut year = pricing(priced(&[]));
    year.period.end = "2027-03-01T00:00:00Z".parse().unwrap();
    world.decide(yearly("s"), Some(year.clone())).unwrap();
    for index in 1..limits::SUBSCRIPTIONS_PER_WALLET_MAX {
        world
            .decide(yearly(&format!("s{index}")), Some(year.clone()))
            .unwrap();
    }
    let refused = Err(limit("subscriptions", "SUBSCRIPTIONS_PER_WALLET_MAX", 64));
    assert_eq!(world.ask(yearly("one-more"), priced(&[])), refused);
    // One that has ended makes room when no event can be late enough for it.
    world
        .ask(change("1", SubscriptionChange::Cancel, When::Now), priced(&[]))
        .unwrap();
    world.advance(36 * 86_400);
    assert_eq!(world.ask(yearly("one-more"), priced(&[])), refused);
    world.advance(1);
    world.ask(yearly("one-more"), priced(&[])).unwrap();
    assert_eq!(world.wallet.subscriptions().count(), 64);
}

#[test]
fn the_limits_are_what_the_documents_say() {
    assert_eq!(limits::HOLD_TTL_MIN, Span::seconds(1));
    assert_eq!(limits::HOLD_TTL_MAX, Span::seconds(24 * 3_600));
    assert_eq!(limits::HOLD_TTL_DEFAULT, Span::seconds(15 * 60));
    assert_eq!(limits::EVENT_AHEAD_MAX, Span::seconds(5 * 60));
    assert_eq!(limits::LATE_WINDOW, Span::days(35));
    assert_eq!(limits::CHAIN_PRICES_MAX, 4);
}
