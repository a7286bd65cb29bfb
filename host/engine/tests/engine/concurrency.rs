use std::sync::Arc;

use farebox_engine::{Ask, Reply, Request};
use farebox_record::ids::CustomerId;
use farebox_store::MemoryStore;

use crate::house::{House, authorize, is_allowed, is_denied, usage};

/// 1,000 tokens in at 1 usd per million: 0.001 usd each, and 0.1 usd covers 100 of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_concurrent_authorizes_on_a_balance_for_a_hundred_allow_a_hundred() {
    let house = Arc::new(House::over(Arc::new(MemoryStore::new())));
    house.customer("ada", "0.1").await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let house = Arc::clone(&house);
        calls.spawn(async move {
            house
                .reply("ada", authorize(&format!("call-{n}"), 1_000, 0))
                .await
        });
    }
    let replies = calls.join_all().await;
    assert_eq!(replies.iter().filter(|r| is_allowed(r)).count(), 100);
    assert_eq!(replies.iter().filter(|r| is_denied(r)).count(), 900);
    assert_eq!(house.balance("ada").await, ("0".to_string(), "0.1".to_string()));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_call_sees_the_items_before_it() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "0.002").await;
    let ask = |id: &str| Request {
        customer: CustomerId::new("ada").unwrap(),
        ask: Ask::Command(Box::new(authorize(id, 1_000, 0))),
    };
    let requests = vec![ask("a"), ask("b"), ask("c"), ask("a")];
    let replies = house.engine.call(&house.tenant, requests).await.unwrap();
    assert!(is_allowed(&replies[0]) && is_allowed(&replies[1]) && is_denied(&replies[2]));
    let Reply::Done(again) = &replies[3] else {
        panic!("{:?}", replies[3])
    };
    assert!(again.replayed, "the same id in one call is a retry");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_larger_than_a_lane_has_room_for_is_refused_whole() {
    let house = House::over(Arc::new(MemoryStore::new()));
    let many = farebox_engine::limits::COMMANDS_PER_CALL_MAX + 1;
    let request = || Request {
        customer: CustomerId::new("ada").unwrap(),
        ask: Ask::Read,
    };
    let refused = house
        .engine
        .call(&house.tenant, (0..many).map(|_| request()).collect())
        .await;
    assert_eq!(
        refused.unwrap_err(),
        farebox_engine::Rejected::TooMany { count: many }
    );
    house.engine.stop().unwrap();
    let stopped = house.engine.call(&house.tenant, vec![request()]).await;
    assert_eq!(stopped.unwrap_err(), farebox_engine::Rejected::Stopped);
}

/// 10,000 events of 1,000 tokens at 0.001 usd each: 10 usd in all.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_of_one_call_are_charged_once_each() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "15").await;
    let request = |n: usize| Request {
        customer: CustomerId::new("ada").unwrap(),
        ask: Ask::Command(Box::new(usage(&format!("e{n}"), "one", 1_000))),
    };
    for round in 0..2 {
        let replies = house
            .engine
            .call(&house.tenant, (0..10_000).map(request).collect())
            .await
            .unwrap();
        for reply in replies {
            let Reply::Done(done) = reply else {
                panic!("{reply:?}")
            };
            assert_eq!(done.replayed, round == 1);
        }
        assert_eq!(house.balance("ada").await.0, "5");
    }
    house.engine.stop().unwrap();
}
