//! Usage that happened: priced and debited, or kept until it has a price. Never lost, never free by accident.

use farebox_record::command::{Command, Identity, RateUnpriced};
use farebox_record::outcome::{Account, Effect, Verdict};
use farebox_record::plan::{FieldProblem, Rejection};
use farebox_record::state::{Part, Waiting};

use crate::world::World;
use crate::world::make::{
    Shape, charge, event, fee, grant, hold, n, one_shot, order, part, priced, pricing, reference, settle,
    usage, usd, void,
};
use crate::world::say::say;

fn rejections() -> [Rejection; 4] {
    [
        Rejection::InvalidEvent {
            field: "model".into(),
            problem: FieldProblem::Missing,
            message: "name it".into(),
        },
        Rejection::Unpriceable {
            message: "no such model".into(),
        },
        Rejection::Overflow,
        Rejection::NotAllowed {
            message: "cancelled".into(),
        },
    ]
}

fn failed() -> Verdict {
    Verdict::Failed {
        code: "trap".into(),
        message: "unreachable".into(),
    }
}

#[test]
fn what_has_no_price_is_kept_whatever_the_reason() {
    let mut verdicts: Vec<(Option<Verdict>, String)> = vec![
        (None, "unpriced: NoSubscription".into()),
        (
            Some(failed()),
            "unpriced: PlanFailed { code: \"trap\", message: \"unreachable\" }".into(),
        ),
    ];
    for rejection in rejections() {
        let said = format!("unpriced: Rejected({rejection:?})");
        verdicts.push((Some(Verdict::Rejected(rejection)), said));
    }
    for (verdict, said) in verdicts {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").put());
        assert_eq!(say(&world.decide(usage("e"), verdict.map(pricing))), said);
        assert_eq!(world.wallet.header().unpriced, 1);
        assert_eq!(world.has("usd"), "10 0 0 0");
        // It is passed on to the store, under the number of its record.
        assert!(world.parts().contains_key(&Part::Unpriced(3).key()));
    }
}

#[test]
fn an_authorize_without_a_price_is_not_allowed() {
    for (command, settled) in [(hold("h"), false), (one_shot("h"), true)] {
        let mut world = World::owing(&[("usd", farebox_record::state::Shortfall::Unlimited)]);
        assert_eq!(
            say(&world.act(command.clone())),
            "denied: NoSubscription",
            "settle: {settled}"
        );
        let [invalid, unpriceable, overflow, not_allowed] = rejections();
        for rejection in [unpriceable, overflow, not_allowed] {
            assert_eq!(
                say(&world.ask(command.clone(), Verdict::Rejected(rejection.clone()))),
                format!("denied: Unpriceable({rejection:?})")
            );
        }
        // What the caller can correct, and what it can send again, does not use up the id.
        assert_eq!(
            say(&world.ask(command.clone(), Verdict::Rejected(invalid.clone()))),
            format!("refused: the event cannot be priced: {invalid:?}")
        );
        assert_eq!(
            say(&world.ask(command, failed())),
            "refused: the plan failed: unreachable"
        );
    }
}

#[test]
fn a_part_without_a_price_leaves_the_hold_open() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("6")).unwrap();
    for rejection in rejections() {
        let said = say(&world.ask(part("h", "p"), Verdict::Rejected(rejection)));
        assert!(said.starts_with("refused: the event cannot be priced"), "{said}");
    }
    assert_eq!(
        say(&world.ask(part("h", "p"), failed())),
        "refused: the plan failed: unreachable"
    );
    assert_eq!(
        say(&world.act(part("h", "p"))),
        "refused: no plan answers for it; activate a revision of the plan"
    );
    assert_eq!(world.has("usd"), "4 6 0 0");
    assert_eq!(
        say(&world.ask(settle("h"), usd("5"))),
        "settled, posted usd 5, returned usd 1"
    );
}

/// The newest event that waits for a price, as the engine sends it to be rated.
fn waiting(world: &World) -> RateUnpriced {
    let record = world.records.last().unwrap();
    let kept = record.outcome.effects.iter().find_map(|effect| match effect {
        Effect::UnpricedKept(kept) => Some((**kept).clone()),
        _ => None,
    });
    let kept = kept.unwrap();
    let Waiting::Event(event) = kept.what else {
        panic!("an event waits");
    };
    RateUnpriced {
        sequence: record.sequence,
        received: kept.received,
        event,
    }
}

#[test]
fn a_last_settlement_without_a_price_waits_for_one() {
    let [_, unpriceable, overflow, not_allowed] = rejections();
    let rejected = [unpriceable, overflow, not_allowed].map(|rejection| Some(Verdict::Rejected(rejection)));
    for verdict in rejected.into_iter().chain([Some(failed()), None]) {
        let mut world = World::new();
        world.ok(grant("g", "usd", "10").put());
        world.ask(hold("h"), usd("6")).unwrap();
        // What a part took comes back: the event will be priced as a whole.
        world.ask(part("h", "p"), usd("2")).unwrap();
        world.advance(60);
        let Command::Settle(mut last) = settle("h") else {
            unreachable!()
        };
        last.measures.insert("tokens".into(), n("7"));
        let said = say(&world.decide(Command::Settle(last), verdict.map(pricing)));
        assert!(said.starts_with("unpriced: "), "{said}");
        assert_eq!(world.has("usd"), "10 0 0 0");
        assert_eq!(world.posted("usd", &Account::Revenue), n("0"));
        assert_eq!(world.wallet.header().unpriced, 1);
        assert!(world.wallet.hold(&reference("h")).is_none());
        // It happened when it was authorized, with what the settlement said.
        let rate = waiting(&world);
        assert_eq!(rate.event.time, Some(crate::world::START));
        assert_eq!(rate.event.measures["tokens"], n("7"));
        world.ask(Command::RateUnpriced(rate), usd("4")).unwrap();
        assert_eq!(world.has("usd"), "6 0 0 0");
        assert_eq!(world.wallet.header().unpriced, 0);
        world.ok(void("h"));
        assert_eq!(world.has("usd"), "10 0 0 0");
    }
}

#[test]
fn a_last_settlement_that_makes_no_sense_can_be_corrected() {
    let [invalid, ..] = rejections();
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("6")).unwrap();
    let said = say(&world.ask(settle("h"), Verdict::Rejected(invalid)));
    assert!(said.starts_with("refused: the event cannot be priced"), "{said}");
    assert_eq!(world.has("usd"), "4 6 0 0");
    world.ask(settle("h"), usd("5")).unwrap();
    assert_eq!(world.has("usd"), "5 0 0 0");
}

#[test]
fn a_late_settlement_without_a_price_waits_for_one() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("6")).unwrap();
    world.ask(part("h", "p"), usd("2")).unwrap();
    world.advance(900);
    let [_, unpriceable, ..] = rejections();
    let said = say(&world.ask(settle("h"), Verdict::Rejected(unpriceable)));
    assert!(said.starts_with("unpriced: "), "{said}");
    assert_eq!(world.has("usd"), "10 0 0 0");
    // The hold ended when it expired, once; this is the late settlement of it.
    let ends: Vec<Identity> = world
        .records
        .iter()
        .flat_map(|record| record.identities())
        .collect();
    let of = |identity: &Identity| ends.iter().filter(|i| *i == identity).count();
    assert_eq!(of(&Identity::HoldEnd(reference("h"))), 1);
    assert_eq!(of(&Identity::LateSettle(reference("h"))), 1);
    let rate = waiting(&world);
    world.ask(Command::RateUnpriced(rate), usd("4")).unwrap();
    world.advance(3_600);
    assert_eq!(world.has("usd"), "6 0 0 0");
}

#[test]
fn what_waits_for_a_price_can_be_taken_back() {
    let mut world = World::new();
    world.ask(hold("h"), priced(&[])).unwrap();
    world.ask(settle("h"), failed()).unwrap();
    assert_eq!(world.wallet.header().unpriced, 1);
    world.ok(void("h"));
    assert_eq!(world.wallet.header().unpriced, 0);
}

#[test]
fn an_unpriced_event_is_rated_later() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.act(usage("e")).unwrap();
    let received = world.now;
    world.advance(60);
    let rate = Command::RateUnpriced(RateUnpriced {
        sequence: 3,
        received,
        event: event("e"),
    });
    // Still no price: nothing is written.
    for verdict in [None, Some(failed()), Some(Verdict::Rejected(Rejection::Overflow))] {
        assert_eq!(
            say(&world.decide(rate.clone(), verdict.map(pricing))),
            "refused: not on the agenda any more"
        );
    }
    assert_eq!(say(&world.ask(rate, usd("4"))), "charged");
    assert_eq!(world.has("usd"), "6 0 0 0");
    assert_eq!(world.wallet.header().unpriced, 0);
    assert!(!world.parts().contains_key(&Part::Unpriced(3).key()));
    let identities = world.records.last().unwrap().identities();
    assert_eq!(
        identities,
        [farebox_record::command::Identity::Rated(event("e").reference())]
    );
}

#[test]
fn a_fee_becomes_a_receivable_and_never_touches_a_pool() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world
        .ask(
            usage("e"),
            priced(&[fee("seat", "usd", "40"), charge("t", "usd", "1")]),
        )
        .unwrap();
    assert_eq!(
        world.entries(),
        [
            "usd receivable -40",
            "usd available:g -1",
            "usd revenue 40",
            "usd revenue 1",
        ]
    );
    assert_eq!(world.has("usd"), "9 0 0 40");
    // It is not debt: a paid grant does not pay it, and nothing is denied for it.
    assert_eq!(say(&world.act(grant("g2", "usd", "5").put())), "granted");
    assert_eq!(say(&world.ask(hold("h"), usd("14"))), "allowed, held usd 14");
}

#[test]
fn charges_come_before_grants_of_the_same_outcome() {
    let mut world = World::new();
    let verdict = Verdict::Priced(farebox_record::plan::Priced {
        charges: vec![charge("t", "usd", "3")],
        grants: vec![order("usd", "5")],
        ..Default::default()
    });
    world.ask(usage("e"), verdict).unwrap();
    // The grant comes too late for the charge, and included value pays no debt.
    assert_eq!(world.has("usd"), "5 0 3 0");
}

#[test]
fn usage_of_nothing_is_usage() {
    let mut world = World::new();
    assert_eq!(say(&world.ask(usage("e"), priced(&[]))), "charged");
    assert_eq!(say(&world.ask(usage("e2"), usd("0"))), "charged");
    assert_eq!(world.records.last().unwrap().outcome.effects, []);
}

#[test]
fn replit_checkpoints() {
    let mut world = World::new();
    world.ok(grant("core", "usd", "25").put());
    for (id, price) in [("a", "0.12"), ("b", "0.22"), ("c", "3.75")] {
        world.ask(usage(id), usd(price)).unwrap();
    }
    assert_eq!(world.balance("usd")[0], n("20.91"));
}
