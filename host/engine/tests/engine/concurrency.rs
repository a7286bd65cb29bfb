use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use farebox_engine::{Ask, Rejected, Reply, Request, Round};
use farebox_ledger::Refusal;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_store::MemoryStore;
use tokio::time::timeout;

use crate::house::{FIRST, House, authorize, is_allowed, is_denied, usage};
use crate::limping::Limping;

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
    assert_eq!(refused.unwrap_err(), Rejected::TooMany { count: many });
    house.engine.stop().unwrap();
    let stopped = house.engine.call(&house.tenant, vec![request()]).await;
    assert_eq!(stopped.unwrap_err(), Rejected::Stopped);
}

/// A disk that does not answer: as many commands of a tenant wait as it leaves room for, further ones are refused at once, and
/// nothing of them is done. Other tenants have room, until there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_is_full_refuses_whole_calls() {
    let store = Arc::new(Limping::default());
    let house = House::in_rounds(store.clone(), 1, Round::default());
    house.push();
    house.activate(FIRST);
    house.customer("ada", "10").await;
    store.holds.store(true, Ordering::SeqCst);
    let others = ["b", "c", "d"].map(|name| TenantId::new(name).unwrap());
    let [second, third, fourth] = &others;
    let call = |tenant, first: usize, count: usize| {
        let requests = (first..first + count).map(|n| Request {
            customer: CustomerId::new("ada").unwrap(),
            ask: Ask::Command(Box::new(usage(&format!("e{n}"), "one", 100))),
        });
        Box::pin(house.engine.call(tenant, requests.collect()))
    };
    let moment = Duration::from_millis(1);
    let first = &house.tenant;
    let mut waiting: Vec<_> = (0..3).map(|nth| call(first, nth * 10_000, 10_000)).collect();
    waiting.push(call(first, 30_000, 2_767));
    for call in &mut waiting {
        assert!(timeout(moment, call).await.is_err());
    }
    assert_eq!(call(first, 100_000, 2).await.unwrap_err(), Rejected::TenantBusy);
    let mut last = call(first, 100_000, 1);
    assert!(timeout(moment, &mut last).await.is_err());
    assert_eq!(call(first, 200_000, 1).await.unwrap_err(), Rejected::TenantBusy);
    // 32,768 are left: half of them for the next tenant, and of the 16,384 behind that a half for the third.
    let mut of_others = vec![
        call(second, 0, 10_000),
        call(second, 10_000, 6_384),
        call(third, 0, 8_192),
    ];
    for call in &mut of_others {
        assert!(timeout(moment, call).await.is_err());
    }
    assert_eq!(call(second, 20_000, 1).await.unwrap_err(), Rejected::TenantBusy);
    assert_eq!(call(fourth, 0, 4_097).await.unwrap_err(), Rejected::TenantBusy);
    assert_eq!(call(fourth, 0, 8_193).await.unwrap_err(), Rejected::Busy);
    store.holds.store(false, Ordering::SeqCst);
    for call in waiting.into_iter().chain([last]) {
        for reply in call.await.unwrap() {
            assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        }
    }
    for call in of_others {
        let replies = call.await.unwrap();
        let unknown = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::UnknownCustomer));
        assert!(
            replies.iter().all(unknown),
            "they have no such customer: {:?}",
            replies[0]
        );
    }
    // 32,768 calls of 100 tokens at a dollar per million.
    assert_eq!(house.balance("ada").await.0, "6.7232");
    house.engine.stop().unwrap();
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
