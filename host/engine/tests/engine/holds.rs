use std::sync::Arc;

use farebox_engine::{Ask, Reply};
use farebox_ledger::Refusal;
use farebox_record::outcome::{Answer, HoldEnd};
use farebox_store::MemoryStore;

use crate::house::{House, authorize, hold, is_denied, seconds, settle};

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_takes_what_was_used_and_returns_the_rest() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "1").await;
    // At most 100,000 in (0.1) and 50,000 out (0.5): 0.6 held.
    house.done("ada", authorize("call", 100_000, 50_000)).await;
    assert_eq!(house.balance("ada").await, ("0.4".into(), "0.6".into()));
    // In truth 90,000 in (0.09) and 10,000 out (0.1).
    let done = house.done("ada", settle("call", 90_000, 10_000)).await;
    let Answer::Settled(settled) = &done.answer else {
        panic!("{done:?}")
    };
    assert_eq!(settled.posted[0].1, "0.19".parse().unwrap());
    assert_eq!(settled.returned[0].1, "0.41".parse().unwrap());
    assert_eq!(house.balance("ada").await, ("0.81".into(), "0".into()));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_gets_the_same_answer_and_another_request_a_conflict() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "1").await;
    let first = house.done("ada", authorize("call", 1_000_000, 0)).await;
    let settled = house.done("ada", settle("call", 500_000, 0)).await;
    for _ in 0..3 {
        let again = house.done("ada", authorize("call", 1_000_000, 0)).await;
        assert!(again.replayed);
        assert_eq!(
            (again.answer, again.sequence),
            (first.answer.clone(), first.sequence)
        );
        let again = house.done("ada", settle("call", 500_000, 0)).await;
        assert!(again.replayed);
        assert_eq!(again.answer, settled.answer);
    }
    let other = house.reply("ada", authorize("call", 1_000_001, 0)).await;
    assert!(
        matches!(&other, Reply::Conflict { field } if field == "measures.input_tokens"),
        "{other:?}"
    );
    assert_eq!(house.balance("ada").await, ("0.5".into(), "0".into()));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_stays_a_denial_after_a_top_up() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "0.5").await;
    assert!(is_denied(
        &house.reply("ada", authorize("call", 1_000_000, 0)).await
    ));
    house.done("ada", crate::house::grant("more", "10")).await;
    assert!(is_denied(
        &house.reply("ada", authorize("call", 1_000_000, 0)).await
    ));
    house.done("ada", authorize("call-2", 1_000_000, 0)).await;
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_at_its_instant_without_anyone_calling() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "1").await;
    house.done("ada", authorize("call", 1_000_000, 0)).await; // lives for 60 s
    house.clock.advance(seconds(59));
    assert_eq!(house.balance("ada").await, ("0".into(), "1".into()));
    house.clock.advance(seconds(1));
    assert_eq!(
        house.balance("ada").await,
        ("1".into(), "0".into()),
        "a read handles what is overdue first"
    );
    // Within its grace it can still be settled, as plain usage.
    let late = house.done("ada", settle("call", 300_000, 0)).await;
    assert!(matches!(&late.answer, Answer::Settled(settled) if settled.late));
    assert_eq!(house.balance("ada").await, ("0.7".into(), "0".into()));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweeper_ends_holds_that_nobody_asks_about() {
    let store = Arc::new(MemoryStore::new());
    let house = House::over(Arc::clone(&store) as _);
    house.customer("ada", "1").await;
    let before = house.done("ada", authorize("call", 1_000_000, 0)).await.sequence;
    house.clock.advance(seconds(61));
    let customer = farebox_record::ids::CustomerId::new("ada").unwrap();
    for _ in 0..400 {
        let newest = &house.engine.history(&house.tenant, &customer, None, 1).unwrap()[0];
        if newest.sequence > before {
            house.engine.stop().unwrap();
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("10 s after its expiry the hold has not ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_ended_says_how() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "1").await;
    house.done("ada", authorize("call", 1_000, 0)).await;
    house.done("ada", settle("call", 1_000, 0)).await;
    let mut second = settle("call", 1_000, 0);
    if let farebox_record::command::Command::Settle(settle) = &mut second {
        settle.id = farebox_record::ids::CallId::new("another").unwrap();
    }
    let refused = house.reply("ada", second).await;
    assert!(
        matches!(
            refused,
            Reply::Refused(Refusal::HoldEnded {
                end: HoldEnd::Settled
            })
        ),
        "{refused:?}"
    );
    let unknown = house.reply("ada", settle("nothing", 1, 0)).await;
    assert!(
        matches!(unknown, Reply::Refused(Refusal::UnknownHold)),
        "{unknown:?}"
    );
    let shown = house.ask("ada", Ask::ReadHold(hold("call"))).await;
    assert!(
        matches!(shown, Reply::Hold(_, Some(HoldEnd::Settled))),
        "{shown:?}"
    );
    house.engine.stop().unwrap();
}
