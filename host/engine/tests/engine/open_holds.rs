//! New prices and the holds that are open when they come. Plan and prices: [`crate::pooled`].

use std::sync::Arc;

use farebox_record::command::{AboveHold, Command};
use farebox_record::control::OpenHolds;
use farebox_record::ids::{CallId, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_store::MemoryStore;

use crate::house::{grant, seconds};
use crate::pooled::{PRICES, activate, amount, authorize, balance, house, named, settle, steps};

/// A step costs 3 credits, or 0.3 usd.
const DEARER: &str = r#"{"low": "3", "high": "3", "dollars": "0.3"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn they_are_settled_at_the_price_that_quoted_them() {
    let house = house(Arc::new(MemoryStore::new()), "0").await;
    assert_eq!(amount(&house, authorize(steps("call", 60))).await, ["60 credits"]);
    house.clock.advance(seconds(1));
    activate(&house, "pool", DEARER, OpenHolds::Quoted);
    assert_eq!(
        amount(&house, settle("call", 60, AboveHold::AllowDebt)).await,
        ["60 credits"]
    );
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_prices_hold_for_them_where_it_is_said_so_within_what_the_wallet_has() {
    let house = house(Arc::new(MemoryStore::new()), "0").await;
    house.done("ada", grant("dollars", "1")).await;
    assert_eq!(amount(&house, authorize(steps("call", 60))).await, ["60 credits"]);
    house.clock.advance(seconds(1));
    activate(&house, "pool", DEARER, OpenHolds::New);
    // 180 credits or 18 usd: the hold's 60 credits are a third of it. The other two thirds, 12 usd, meet 1 usd.
    assert_eq!(
        amount(&house, settle("call", 60, AboveHold::ChargeAvailable)).await,
        ["60 credits", "1 usd"]
    );
    // The fee of the period is owed, and nothing else.
    assert_eq!(balance(&house, "usd").await, "0 0 0 5");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_their_own_plan_says_decides_not_the_plan_that_serves_by_now() {
    let house = house(Arc::new(MemoryStore::new()), "1000").await;
    activate(&house, "other", PRICES, OpenHolds::Quoted);
    assert_eq!(amount(&house, authorize(steps("call", 60))).await, ["60 credits"]);
    let change = ChangeSubscription {
        subscription: SubscriptionId::new("s").unwrap(),
        id: CallId::new("change").unwrap(),
        change: SubscriptionChange::Plan {
            plan: named("other"),
            cadence: None,
        },
        when: When::Now,
        proration: Proration::None,
    };
    house.done("ada", Command::ChangeSubscription(change)).await;
    // Of the plan that serves now, and for its open holds. This one is not among them.
    house.clock.advance(seconds(1));
    activate(&house, "other", DEARER, OpenHolds::New);
    assert_eq!(
        amount(&house, settle("call", 60, AboveHold::AllowDebt)).await,
        ["60 credits"]
    );
    house.engine.stop().unwrap();
}
