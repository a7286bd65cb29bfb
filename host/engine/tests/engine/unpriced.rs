use std::sync::Arc;

use farebox_engine::{Config, Engine, LedgerFold, ManualClock, NewRevision};
use farebox_record::command::Command;
use farebox_record::ids::{Hash, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::outcome::{Answer, UnpricedReason};
use farebox_store::{JournalStore, MemoryStore, Options};

use crate::deadlines;
use crate::house::{FIRST, House, SECOND, event, grant, per_token, plan, put, runtime, subscribe, usage};
use crate::pooled::until;

async fn until_balance(house: &House, expected: &str) {
    for _ in 0..400 {
        if house.balance("ada").await.0 == expected {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(house.balance("ada").await.0, expected, "after 10 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_before_a_subscription_is_kept_and_rated_when_there_is_one() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.done("ada", put()).await;
    house.done("ada", grant("start", "1")).await;
    let kept = house.done("ada", usage("early", "one", 250_000)).await;
    assert_eq!(kept.answer, Answer::Unpriced(UnpricedReason::NoSubscription));
    assert_eq!(house.wallet("ada").await.header().unpriced, 1);
    house.done("ada", subscribe()).await;
    until_balance(&house, "0.75").await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 0);
    let again = house.done("ada", usage("early", "one", 250_000)).await;
    assert!(again.replayed);
    assert_eq!(house.balance("ada").await.0, "0.75", "a retry bills nothing");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_of_an_unknown_model_is_rated_by_the_revision_that_knows_it() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    for n in 0..5 {
        let kept = house.done("ada", usage(&format!("e{n}"), "two", 100_000)).await;
        assert!(
            matches!(kept.answer, Answer::Unpriced(UnpricedReason::Rejected(_))),
            "{kept:?}"
        );
    }
    house.activate(SECOND);
    until_balance(&house, "8").await; // 5 x 100,000 at 4 usd per million
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_rated_when_a_scheduled_change_brings_the_plan() {
    let house = deadlines::house(Arc::new(MemoryStore::new())).await;
    house.push();
    house.activate(FIRST);
    let change = ChangeSubscription {
        subscription: SubscriptionId::new("s").unwrap(),
        id: "to-tokens".parse().unwrap(),
        change: SubscriptionChange::Plan {
            plan: plan(),
            cadence: None,
        },
        when: When::PeriodEnd,
        proration: Proration::None,
    };
    house.done("ada", Command::ChangeSubscription(change)).await;
    until(&house, "2026-01-31T23:58:00Z").await;
    // By a clock that is ahead of ours it happened under the plan that comes.
    let mut early = event("early", "one", &[("input_tokens", 250_000)]);
    early.time = Some("2026-02-01T00:01:00Z".parse().unwrap());
    let kept = house.done("ada", Command::Usage(early)).await;
    assert_eq!(kept.answer, Answer::Unpriced(UnpricedReason::NoSubscription));
    until(&house, "2026-01-31T23:59:59Z").await;
    assert_eq!(house.balance("ada").await.0, "10");
    until(&house, "2026-02-01T00:00:00Z").await;
    until_balance(&house, "9.75").await;
    house.engine.stop().unwrap();
}

/// Whoever changed the plan ended before it had anything rated.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_looked_at_again_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap());
    let house = House::over(open());
    house.customer("ada", "10").await;
    house.done("ada", usage("e", "two", 500_000)).await;
    house.engine.stop().unwrap();
    let tenant = house.tenant.clone();
    drop(house);
    {
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|why| panic!("{why}")),
            ..Config::default()
        };
        let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
        let engine = Engine::by_hand(config, open(), runtime(), clock).unwrap();
        let component = Hash::of(per_token());
        engine
            .activate(&tenant, &plan(), &NewRevision::at_once(component, SECOND), None)
            .unwrap();
    }
    let house = House::without_plan(open());
    until_balance(&house, "8").await; // 500,000 at 4 usd per million
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_rated_when_a_revision_comes_into_force_that_was_activated_ahead() {
    let house = deadlines::house(Arc::new(MemoryStore::new())).await;
    house.done("ada", deadlines::claim("a", "c1", "handoff")).await;
    deadlines::activate(&house, deadlines::RESOLUTIONS);
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 1);
    let ahead = "2026-01-03T00:00:00Z".parse().unwrap();
    let component = Hash::of(deadlines::component());
    let (engine, outcomes) = (&house.engine, deadlines::plan());
    engine
        .activate(
            &house.tenant,
            &outcomes,
            &NewRevision {
                effective: Some(ahead),
                ..NewRevision::at_once(component, deadlines::PRICES)
            },
            None,
        )
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(house.balance("ada").await.0, "10");
    house.clock.advance_to(ahead);
    until_balance(&house, "9.5").await;
    house.engine.stop().unwrap();
}
