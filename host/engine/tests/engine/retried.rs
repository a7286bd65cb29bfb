//! What a plan had no answer to when it fell due is asked again once it answers: as what it was, by what was left then, and
//! only while it applies. Plan and prices: [`crate::pooled`].

use std::path::Path;
use std::sync::Arc;

use farebox_engine::NewRevision;
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_record::command::Command;
use farebox_record::control::OpenHolds;
use farebox_record::ids::{CallId, Hash, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_store::{MemoryStore, Store};

use crate::house::House;
use crate::pooled::{PRICES, activate, amount, balance, free, house, named, proved, steps, until};

/// The same prices, with no answer to anything that happens to a subscription.
const DEAF: &str = r#"{"low": "1", "high": "2", "dollars": "0.1", "deaf": true}"#;

fn at_period_end(change: SubscriptionChange) -> Command {
    Command::ChangeSubscription(ChangeSubscription {
        subscription: SubscriptionId::new("s").unwrap(),
        id: CallId::new("change").unwrap(),
        change,
        when: When::PeriodEnd,
        proration: Proration::None,
    })
}

async fn nothing_waits(house: &House) {
    for _ in 0..800 {
        if house.wallet("ada").await.header().unpriced == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("after 20 s something waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_rolls_over_what_was_left_at_its_boundary() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _, "0").await;
    until(&house, "2026-01-31T12:00:00Z").await;
    // 40 of the pool's 60 are left, and the 2 that the plan gave this morning.
    assert_eq!(
        amount(&house, Command::Usage(steps("e", 20))).await,
        ["20 credits"]
    );
    activate(&house, "pool", DEAF, OpenHolds::Quoted);
    until(&house, "2026-02-01T12:00:00Z").await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 1);
    assert_eq!(balance(&house, "credits").await, "2 0 0 0");
    activate(&house, "pool", PRICES, OpenHolds::Quoted);
    nothing_waits(&house).await;
    // Half of 42, though the 40 are long gone; and the pool and the fee of February.
    assert_eq!(free(&house, "rollover").await, ["21"]);
    assert_eq!(free(&house, "pool").await, ["60"]);
    assert_eq!(balance(&house, "usd").await, "0 0 0 10");
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_no_renewal() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _, "0").await;
    until(&house, "2026-01-31T12:00:00Z").await;
    house.done("ada", at_period_end(SubscriptionChange::Cancel)).await;
    activate(&house, "pool", DEAF, OpenHolds::Quoted);
    until(&house, "2026-02-01T12:00:00Z").await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 1);
    activate(&house, "pool", PRICES, OpenHolds::Quoted);
    nothing_waits(&house).await;
    // The fee of January alone, and no pool of February: this plan settles nothing at the end.
    assert_eq!(balance(&house, "usd").await, "0 0 0 5");
    assert_eq!(balance(&house, "credits").await, "2 0 0 0");
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_told_of_a_rest_that_was_scheduled() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _, "0").await;
    until(&house, "2026-01-31T12:00:00Z").await;
    house.done("ada", at_period_end(SubscriptionChange::Pause)).await;
    activate(&house, "pool", DEAF, OpenHolds::Quoted);
    until(&house, "2026-02-01T12:00:00Z").await;
    assert_eq!(
        house.wallet("ada").await.header().unpriced,
        1,
        "it had no answer to that"
    );
    activate(&house, "pool", PRICES, OpenHolds::Quoted);
    nothing_waits(&house).await;
    // The fee of January alone: while it rests, periods pass.
    assert_eq!(balance(&house, "usd").await, "0 0 0 5");
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}

/// Another plan takes over as February begins, and has no answer to that by this time.
async fn taken_over(store: Arc<dyn Store>, time: &str) -> House {
    let house = house(store, "0").await;
    until(&house, "2026-01-31T12:00:00Z").await;
    activate(&house, "other", DEAF, OpenHolds::Quoted);
    let other = SubscriptionChange::Plan {
        plan: named("other"),
        cadence: None,
    };
    house.done("ada", at_period_end(other)).await;
    until(&house, time).await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 1);
    house
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_takes_over_is_told_so() {
    let store = Arc::new(MemoryStore::new());
    let house = taken_over(Arc::clone(&store) as _, "2026-02-01T12:00:00Z").await;
    // Meanwhile it prices usage, and counts its steps.
    assert_eq!(
        amount(&house, Command::Usage(steps("e", 100))).await,
        ["100 credits"]
    );
    activate(&house, "other", PRICES, OpenHolds::Quoted);
    nothing_waits(&house).await;
    // This plan charges and grants nothing for taking over, and has not forgotten the 100 steps.
    assert_eq!(balance(&house, "usd").await.split(' ').next_back(), Some("5"));
    assert_eq!(
        amount(&house, Command::Usage(steps("e2", 10))).await,
        ["20 credits"]
    );
    assert!(proved(&house, &*store) > 4);
    house.engine.stop().unwrap();
}

/// A fee of 10 usd with 100 credits, for each period that this plan is paid for.
const DEAL: &str =
    r#"{"fee": "10", "pool": {"credits": "100"}, "rates": {"actions": {"image": {"price": "1"}}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_takes_over_as_a_period_begins_is_paid_for_it_however_late_it_answers() {
    let store = Arc::new(MemoryStore::new());
    let house = taken_over(Arc::clone(&store) as _, "2026-02-03T12:00:00Z").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/hybrid");
    let hybrid = build_plan(&folder, &BuildOptions::default()).unwrap().component;
    let (engine, tenant) = (&house.engine, &house.tenant);
    engine.push_component(tenant, &named("other"), &hybrid).unwrap();
    let revision = NewRevision::at_once(Hash::of(&hybrid), DEAL);
    engine.activate(tenant, &named("other"), &revision, None).unwrap();
    nothing_waits(&house).await;
    // The fee of January, and all of February's: it is told that it took over as February began.
    assert_eq!(balance(&house, "usd").await.split(' ').next_back(), Some("15"));
    assert_eq!(balance(&house, "credits").await.split(' ').next(), Some("100"));
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}
