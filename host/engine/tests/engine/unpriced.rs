use std::sync::Arc;

use farebox_record::outcome::{Answer, UnpricedReason};
use farebox_store::MemoryStore;

use crate::house::{House, SECOND, grant, put, subscribe, usage};

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
