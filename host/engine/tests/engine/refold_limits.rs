//! How far a correction reaches.

use farebox_engine::{Ask, Reply, Request};
use farebox_ledger::Refusal;
use farebox_record::command::Command;
use farebox_record::control::OpenHolds;
use farebox_record::ids::CustomerId;

use crate::house::House;
use crate::refold::{PRICES, house, memory, price_by, prove, refolded, refusal, units, used, void};

/// Sends events of one unit, each with a note of so many bytes.
async fn send_many(house: &House, count: usize, note: usize) {
    let one = |n: usize| {
        let mut event = units(&format!("e{n}"), 1);
        if note > 0 {
            event.attributes.insert("note".into(), "n".repeat(note).into());
        }
        Request {
            customer: CustomerId::new("ada").unwrap(),
            ask: Ask::Command(Box::new(Command::Usage(event))),
        }
    };
    for from in (0..count).step_by(1_000) {
        let some = (from..count.min(from + 1_000)).map(one).collect();
        let replies = house.engine.call(&house.tenant, some).await.unwrap();
        assert!(replies.iter().all(|reply| matches!(reply, Reply::Done(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_changes_only_what_costs_something_else() {
    let store = memory();
    let house = house(&store).await;
    // The first 100 units, then those whose price rises when they are gone.
    house.done("ada", used("first", 4_000)).await;
    send_many(&house, 1_001, 0).await;
    // Behind 4,000 units fewer, 100 of the others are in the first tier: that many are priced anew.
    let done = house.done("ada", void("first")).await;
    assert_eq!(refolded(&done.answer).events, 1_001);
    assert_eq!(refolded(&done.answer).repriced.len(), 100);
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

/// A correction that would change, or take, more than it may is refused by name, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_correction_reaches_no_further_than_its_limits() {
    // How many events behind the corrected one, how many bytes each has beside it, and what that is too much for.
    let cases = [
        (1_001, 0, "REFOLD_REPRICED_MAX"),
        (20, 12 << 10, "REFOLD_BYTES_MAX"),
        (100_000, 0, "REFOLD_RECORDS_MAX"),
    ];
    for (count, note, limit) in cases {
        let store = memory();
        let house = house(&store).await;
        // Each unit costs half behind 5,000 of them, and twice that again without those.
        let prices = PRICES.replace(r#""above": "100""#, r#""above": "5000""#);
        price_by(&house.engine, &house.tenant, &prices, OpenHolds::Quoted);
        house.done("ada", used("first", 5_000)).await;
        send_many(&house, count, note).await;
        let before = house.balance("ada").await;
        let Refusal::CannotRefold(why) = refusal(&house, void("first")).await else {
            panic!("{limit}");
        };
        assert!(why.contains(&format!("(limit {limit})")), "{why}");
        assert_eq!(house.balance("ada").await, before, "{limit}");
        house.engine.stop().unwrap();
    }
}
