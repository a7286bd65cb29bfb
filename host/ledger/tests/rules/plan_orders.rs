//! What a plan orders besides charges: grants, state, subjects; and who owns which events.

use farebox_ledger::Refusal;
use farebox_record::command::Command;
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{Priced, Rejection, SubjectChange};
use farebox_record::state::{Cadence, Part};

use crate::world::make::{
    Shape, charge, event_with, gives, grant, hold, order, part, priced, pricing, release, settle, subscribe,
    usage, usd,
};
use crate::world::say::say;
use crate::world::{World, t};

fn subscribed() -> World {
    let mut world = World::new();
    world.ask(subscribe("s", Cadence::Monthly), priced(&[])).unwrap();
    world
}

fn grants(world: &World) -> Vec<String> {
    let grants = world.wallet.grants();
    grants
        .map(|(id, g)| format!("{id} {} of {}", g.available, g.amount))
        .collect()
}

#[test]
fn a_start_can_grant_and_charge() {
    let mut world = World::new();
    let verdict = Verdict::Priced(Priced {
        charges: vec![crate::world::make::fee("base", "usd", "20")],
        grants: vec![order("pool", "20")],
        ..Priced::default()
    });
    assert_eq!(
        say(&world.ask(subscribe("s", Cadence::Monthly), verdict)),
        "subscribed"
    );
    assert_eq!(world.has("usd"), "0 0 0 20");
    assert_eq!(world.has("pool"), "20 0 0 0");
    let (_, grant) = world.wallet.grants().next().unwrap();
    assert_eq!(grant.subscription.as_ref().unwrap().as_str(), "s");
}

#[test]
fn a_start_without_an_answer_is_refused() {
    let mut world = World::new();
    let start = || subscribe("s", Cadence::Monthly);
    assert_eq!(world.act(start()), Err(Refusal::NoPlan));
    assert_eq!(
        world.ask(start(), Verdict::Rejected(Rejection::Overflow)),
        Err(Refusal::PlanRefused(Rejection::Overflow))
    );
    assert_eq!(world.wallet.subscriptions().count(), 0);
}

#[test]
fn an_event_type_has_one_owner() {
    let mut world = World::new();
    let owning = |types: &[&str]| {
        Some(Pricing {
            event_types: types.iter().map(|t| t.parse().unwrap()).collect(),
            ..pricing(priced(&[]))
        })
    };
    world
        .decide(subscribe("a", Cadence::Monthly), owning(&["llm", "voice"]))
        .unwrap();
    assert_eq!(
        say(&world.decide(subscribe("b", Cadence::Monthly), owning(&["seats", "voice"]))),
        "refused: events of type voice belong to subscription a; end it first"
    );
    world
        .decide(subscribe("b", Cadence::Monthly), owning(&["seats"]))
        .unwrap();
}

#[test]
fn a_grant_ordered_at_the_end_of_a_call_is_given_once() {
    let mut world = subscribed();
    world.ok(grant("g", "usd", "10").put());
    let verdict = Verdict::Priced(Priced {
        charges: vec![charge("t", "usd", "2")],
        grants: vec![order("credits", "7")],
        ..Priced::default()
    });
    world.ask(hold("h"), verdict.clone()).unwrap();
    world.ask(part("h", "1"), verdict.clone()).unwrap();
    assert_eq!(world.has("credits"), "0 0 0 0", "a quote and a part give nothing");
    world.ask(settle("h"), verdict).unwrap();
    assert_eq!(world.has("credits"), "7 0 0 0");
}

#[test]
fn a_grant_of_nothing_is_refused_everywhere() {
    for amount in ["0", "-1", "1000000000000000001"] {
        let mut world = subscribed();
        let said = say(&world.ask(usage("e"), gives(&[order("usd", amount)])));
        assert!(said.contains("unpostable"), "{said}");
        world.ask(hold("h"), priced(&[])).unwrap();
        let said = say(&world.ask(part("h", "p"), gives(&[order("usd", amount)])));
        assert!(
            said.starts_with("refused: amount of a grant that the plan gives"),
            "{said}"
        );
        world.act(release("h")).unwrap();
        assert_eq!(grants(&world), <[&str; 0]>::default());
    }
}

#[test]
fn a_grant_of_a_plan_never_takes_the_place_of_another() {
    let mut world = subscribed();
    // The name that the plan's grant would get in the record after this one.
    world.ok(grant("s:4:0", "usd", "5").put());
    world.ask(usage("e"), gives(&[order("usd", "7")])).unwrap();
    assert_eq!(grants(&world), ["plan:4:0 7 of 7", "s:4:0 5 of 5"]);
    world.ok(grant("s:7:0", "usd", "1").put());
    world.ok(grant("plan:7:0", "usd", "1").put());
    world.ask(usage("e2"), gives(&[order("usd", "2")])).unwrap();
    assert_eq!(world.has("usd"), "16 0 0 0");
    assert_eq!(world.wallet.grants().count(), 5);
}

#[test]
fn state_is_kept_with_its_version() {
    let mut world = subscribed();
    let state = |bytes: &[u8], version| {
        Some(Pricing {
            state_version: version,
            ..pricing(Verdict::Priced(Priced {
                state: Some(bytes.to_vec()),
                ..Priced::default()
            }))
        })
    };
    let kept = |world: &World| {
        let (_, s) = world.wallet.subscriptions().next().unwrap();
        (s.state.clone(), s.state_version)
    };
    assert_eq!(kept(&world), (vec![], 1));
    world.decide(usage("e"), state(b"one", 1)).unwrap();
    assert_eq!(kept(&world), (b"one".to_vec(), 1));
    // A revision with another version of its state wrote it.
    world.decide(usage("e2"), state(b"two", 2)).unwrap();
    assert_eq!(kept(&world), (b"two".to_vec(), 2));
    // A quote changes nothing, and neither does a denial.
    world.decide(hold("h"), state(b"three", 3)).unwrap();
    assert_eq!(kept(&world), (b"two".to_vec(), 2));
    let mut denied = state(b"four", 3).unwrap();
    if let Verdict::Priced(priced) = &mut denied.verdict {
        priced.charges.push(charge("t", "usd", "1"));
    }
    let said = say(&world.decide(crate::world::make::one_shot("o"), Some(denied)));
    assert_eq!(said, "denied: InsufficientFunds, 0 of 1 usd");
    assert_eq!(kept(&world), (b"two".to_vec(), 2));
}

#[test]
fn a_subject_is_passed_on_and_forgotten() {
    let mut world = subscribed();
    let about = |subject: &str, state: &[u8]| {
        let verdict = Verdict::Priced(Priced {
            subject: Some(SubjectChange {
                state: state.to_vec(),
                expires: t(1_000),
            }),
            ..Priced::default()
        });
        let pricing = Pricing {
            subject_attribute: Some("conversation".into()),
            ..pricing(verdict)
        };
        (
            Command::Usage(event_with(
                &format!("{}-{}", subject.len(), state.len()),
                &[("conversation", subject)],
            )),
            Some(pricing),
        )
    };
    let part = |name: &str| Part::Subject("s".parse().unwrap(), name.into());
    for name in ["c 1", "with a\0zero"] {
        let (command, pricing) = about(name, b"x");
        world.decide(command, pricing).unwrap();
        assert!(world.parts().contains_key(&part(name).key()));
        assert_eq!(Part::from_key(&part(name).key()), Ok(part(name)));
        let (command, pricing) = about(name, b"");
        world.decide(command, pricing).unwrap();
        assert!(!world.parts().contains_key(&part(name).key()));
    }
}

#[test]
fn a_grant_from_an_included_pool_can_wait_and_end() {
    let mut world = subscribed();
    let mut later = order("credits", "7");
    later.effective = Some(t(100));
    later.expires = Some(t(200));
    world.ask(usage("e"), gives(&[later])).unwrap();
    assert_eq!(world.has("credits"), "0 0 0 0");
    world.advance(100);
    assert_eq!(world.has("credits"), "7 0 0 0");
    world.advance(100);
    assert_eq!(world.has("credits"), "0 0 0 0");
}

#[test]
fn a_call_that_ends_without_its_subscription_is_charged_all_the_same() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    world.ask(hold("h"), usd("2")).unwrap();
    assert_eq!(say(&world.ask(settle("h"), usd("2"))), "settled, posted usd 2");
}
