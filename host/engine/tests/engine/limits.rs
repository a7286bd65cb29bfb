//! Spending limits through the lanes: what is decided together, what is lost, and what a restart finds.

use std::sync::Arc;
use std::time::Duration;

use farebox_engine::{LedgerFold, Round};
use farebox_ledger::LimitView;
use farebox_record::command::{Command, PutLimit};
use farebox_record::ids::{CallId, CustomerId, LimitName};
use farebox_record::outcome::Effect;
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options};

use crate::house::{FIRST, House, authorize, is_allowed, is_denied, usage, usd};

pub fn limit(amount: &str) -> Command {
    Command::PutLimit(PutLimit {
        id: CallId::new("k").unwrap(),
        name: name(),
        terms: LimitTerms {
            asset: usd(),
            amount: amount.parse().unwrap(),
            scope: Scope::default(),
            window: Window::Calendar(CalendarUnit::Month),
            thresholds: vec![Threshold::Percent(50), Threshold::Percent(100)],
            on_exceed: OnExceed::Deny,
        },
    })
}

pub fn name() -> LimitName {
    LimitName::new("all").unwrap()
}

async fn counted(house: &House) -> (String, String) {
    let wallet = house.wallet("ada").await;
    let view = LimitView::at(wallet.limit(&name()).unwrap(), wallet.header().at);
    (view.used.to_string(), view.held.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_of_a_thousand_calls_fit_a_limit_of_a_hundred() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10000").await;
    house.done("ada", limit("100")).await;
    let calls = (0..1_000).map(|n| authorize(&format!("c{n}"), 1_000_000, 0));
    let replies = house.replies("ada", calls).await;
    let allowed = replies.iter().filter(|reply| is_allowed(reply)).count();
    let denied = replies.iter().filter(|reply| is_denied(reply)).count();
    assert_eq!((allowed, denied), (100, 900));
    assert_eq!(counted(&house).await, ("0".into(), "100".into()));
    house.engine.stop().unwrap();
}

/// What its limits may announce is more than the whole of such a round has room for.
#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_whose_limits_take_more_than_a_round_is_served() {
    let round = Round {
        commands: 1,
        bytes: 1,
    };
    let house = House::in_rounds(Arc::new(MemoryStore::new()), 1, round);
    house.push();
    house.activate(FIRST);
    house.customer("ada", "10000").await;
    house.done("ada", limit("100")).await;
    let calls = (0..20).map(|n| authorize(&format!("c{n}"), 1_000_000, 0));
    let replies = tokio::time::timeout(Duration::from_secs(60), house.replies("ada", calls)).await;
    assert!(replies.expect("the lane goes on").iter().all(is_allowed));
    assert_eq!(counted(&house).await, ("0".into(), "20".into()));
    house.engine.stop().unwrap();
}

/// Thresholds in the whole history, in order.
fn announced(house: &House) -> Vec<Threshold> {
    let customer = CustomerId::new("ada").unwrap();
    let mut records = house
        .engine
        .history(&house.tenant, &customer, None, usize::MAX)
        .unwrap();
    records.reverse();
    let effects = records.iter().flat_map(|record| &record.outcome.effects);
    let crossed = effects.filter_map(|effect| match effect {
        Effect::ThresholdCrossed(crossed) => Some(crossed.threshold),
        _ => None,
    });
    crossed.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn thresholds_are_announced_once_whatever_is_lost_or_repeated() {
    let one_in_five = std::num::NonZeroU32::new(5).unwrap();
    let house = House::over(Arc::new(LossyStore::new(MemoryStore::new(), 11, one_in_five)));
    house.customer("ada", "10").await;
    house.done("ada", limit("1")).await;
    // 100 events of 0.01 usd, each sent twice, in calls of 25.
    for round in 0..8 {
        let events =
            (round * 25..round * 25 + 25).map(|n: usize| usage(&format!("e{}", n % 100), "one", 10_000));
        house.replies("ada", events).await;
    }
    assert_eq!(counted(&house).await, ("1".into(), "0".into()));
    assert_eq!(
        announced(&house),
        [Threshold::Percent(50), Threshold::Percent(100)]
    );
    assert!(is_denied(&house.reply("ada", authorize("c", 1, 0)).await));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_what_they_counted_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap());
    let house = House::over(open());
    house.customer("ada", "10").await;
    house.done("ada", limit("1")).await;
    house.done("ada", usage("e", "one", 500_000)).await;
    house.done("ada", authorize("h", 250_000, 0)).await;
    house.engine.stop().unwrap();
    drop(house); // and with it the folder's lock

    let again = House::without_plan(open());
    assert_eq!(counted(&again).await, ("0.5".into(), "0.25".into()));
    assert!(is_denied(&again.reply("ada", authorize("c1", 250_001, 0)).await));
    assert!(is_allowed(&again.reply("ada", authorize("c2", 250_000, 0)).await));
    // 0.6 are beyond 50 percent as well, which was announced before the restart; 1 is all of it.
    again.done("ada", usage("e2", "one", 100_000)).await;
    assert_eq!(announced(&again), [Threshold::Percent(50)]);
    again.done("ada", usage("e3", "one", 400_000)).await;
    assert_eq!(
        announced(&again),
        [Threshold::Percent(50), Threshold::Percent(100)]
    );
    again.engine.stop().unwrap();
}
