//! Another process may win at any moment: a store that loses commits at random must not change what callers see.

use std::num::NonZeroU32;
use std::sync::Arc;

use farebox_engine::Engine;
use farebox_ledger::verify;
use farebox_record::ids::CustomerId;
use farebox_record::outcome::Answer;
use farebox_store::{LossyStore, MemoryStore};

use crate::house::{House, authorize, grant, settle, usage};

fn lossy(seed: u64) -> Arc<LossyStore<MemoryStore>> {
    println!("seed {seed}");
    Arc::new(LossyStore::new(
        MemoryStore::new(),
        seed,
        NonZeroU32::new(5).unwrap(),
    ))
}

/// Four customers, each with 1 usd, and 40 calls of 0.05 usd each: 20 are allowed, and all of them are settled at 0.03,
/// which leaves 0.4 usd.
#[tokio::test(flavor = "multi_thread")]
async fn one_commit_in_five_is_lost_and_nobody_can_tell() {
    for seed in 1..=4 {
        let house = Arc::new(House::over(lossy(seed)));
        let mut customers = tokio::task::JoinSet::new();
        for customer in ["ada", "ben", "cleo", "dan"] {
            let house = Arc::clone(&house);
            customers.spawn(async move {
                house.customer(customer, "1").await;
                let mut calls = tokio::task::JoinSet::new();
                for n in 0..40 {
                    let house = Arc::clone(&house);
                    calls.spawn(async move {
                        let id = format!("call-{n}");
                        let done = house.done(customer, authorize(&id, 50_000, 0)).await;
                        (id, matches!(done.answer, Answer::Allowed(_)))
                    });
                }
                let answers = calls.join_all().await;
                assert_eq!(answers.iter().filter(|(_, allowed)| *allowed).count(), 20);
                for (id, _) in answers.iter().filter(|(_, allowed)| *allowed) {
                    house.done(customer, settle(id, 30_000, 0)).await;
                }
                assert_eq!(house.balance(customer).await, ("0.4".into(), "0".into()));
                for (id, allowed) in &answers {
                    let again = house.done(customer, authorize(id, 50_000, 0)).await;
                    assert!(again.replayed);
                    assert_eq!(matches!(again.answer, Answer::Allowed(_)), *allowed);
                }
                let wallet = house.wallet(customer).await;
                assert_eq!(verify(&wallet), Vec::new());
                check_history(&house.engine, &house, customer);
            });
        }
        customers.join_all().await;
        house.engine.stop().unwrap();
    }
}

/// The history folds to the wallet, and each record follows on the one before.
fn check_history(engine: &Engine, house: &House, customer: &str) {
    let customer = CustomerId::new(customer).unwrap();
    let mut records = engine
        .history(&house.tenant, &customer, None, usize::MAX)
        .unwrap();
    records.reverse();
    let mut wallet = farebox_ledger::Wallet::default();
    for record in &records {
        wallet.replay(record, &record.encode()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_survive_losses() {
    let house = House::over(lossy(7));
    house.customer("ada", "1").await;
    house.done("ada", grant("more", "9")).await;
    let request = |n: usize| farebox_engine::Request {
        customer: CustomerId::new("ada").unwrap(),
        ask: farebox_engine::Ask::Command(Box::new(usage(&format!("e{n}"), "one", 10_000))),
    };
    for round in 0..10 {
        let requests = (round * 50..round * 50 + 50).map(request).collect();
        house.engine.call(&house.tenant, requests).await.unwrap();
    }
    assert_eq!(house.balance("ada").await.0, "5", "500 events of 0.01 usd");
    house.engine.stop().unwrap();
}
