//! Calls that were settled in part and that nobody ends: the plan is asked about the whole of them when they are released or
//! when their grace is over, so that parts dodge no tier. Plan and prices: [`crate::pooled`].

use std::sync::Arc;

use farebox_ledger::Refusal;
use farebox_record::command::{AboveHold, Command, Finality, Release, Settle};
use farebox_record::control::OpenHolds;
use farebox_record::ids::CallId;
use farebox_store::MemoryStore;

use crate::house::{House, amounts, hold, seconds};
use crate::pooled::{amount, authorize, balance, house, proved, steps};
use crate::refold;

/// So many steps so far, and more may come.
fn part(id: &str, n: u32, used: i64) -> Command {
    part_of(id, n, "steps", used)
}

fn part_of(id: &str, n: u32, measure: &str, used: i64) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new(&format!("part-{n}")).unwrap(),
        measures: amounts(&[(measure, used)]),
        attributes: Default::default(),
        finality: Finality::Partial,
        above: AboveHold::AllowDebt,
    })
}

fn release(id: &str) -> Command {
    Command::Release(Release {
        hold: hold(id),
        id: CallId::new("release").unwrap(),
    })
}

/// Nobody ends the hold: it expires, and an hour later its grace is over.
async fn forget(house: &House) {
    house.clock.advance(seconds(900));
    house.wallet("ada").await;
    house.clock.advance(seconds(3_600));
    house.wallet("ada").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_released_counts_for_the_steps_that_it_used() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _, "1000").await;
    assert_eq!(amount(&house, authorize(steps("call", 90))).await, ["90 credits"]);
    assert_eq!(amount(&house, part("call", 1, 90)).await, ["90 credits"]);
    house.done("ada", release("call")).await;
    // 10 of these are among the first hundred, 10 are dear.
    assert_eq!(
        amount(&house, Command::Usage(steps("more", 20))).await,
        ["30 credits"]
    );
    assert_eq!(balance(&house, "credits").await, "940 0 0 0");
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_forgotten_counts_for_the_steps_that_it_used() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _, "1000").await;
    assert_eq!(amount(&house, authorize(steps("call", 90))).await, ["90 credits"]);
    assert_eq!(amount(&house, part("call", 1, 90)).await, ["90 credits"]);
    forget(&house).await;
    assert_eq!(
        amount(&house, Command::Usage(steps("more", 20))).await,
        ["30 credits"]
    );
    assert!(proved(&house, &*store) > 3);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_between_the_parts_makes_the_whole_dearer() {
    for forgotten in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let house = house(Arc::clone(&store) as _, "1000").await;
        assert_eq!(amount(&house, authorize(steps("call", 60))).await, ["60 credits"]);
        assert_eq!(amount(&house, part("call", 1, 60)).await, ["60 credits"]);
        assert_eq!(
            amount(&house, Command::Usage(steps("between", 60))).await,
            ["60 credits"]
        );
        // Behind 60 steps, 60 more cost 40 x 1 + 20 x 2 = 80: 20 more than the part took.
        match forgotten {
            true => forget(&house).await,
            false => drop(house.done("ada", release("call")).await),
        }
        assert_eq!(balance(&house, "credits").await, "920 0 0 0");
        assert_eq!(
            amount(&house, Command::Usage(steps("more", 10))).await,
            ["20 credits"]
        );
        assert!(proved(&house, &*store) > 4);
        house.engine.stop().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_ended_so_is_corrected_like_any_other() {
    // 0.10 usd for each of the first 100 units, then 0.05.
    let house = refold::house(&(Arc::new(MemoryStore::new()) as _)).await;
    house.done("ada", authorize(refold::units("call", 80))).await;
    house.done("ada", part_of("call", 1, "units", 80)).await;
    house.done("ada", release("call")).await;
    house.done("ada", refold::used("b", 40)).await;
    assert_eq!(house.balance("ada").await.0, "89", "8, and 2 + 1");
    house.done("ada", refold::void("call")).await;
    assert_eq!(house.balance("ada").await.0, "96", "40 units alone cost 4");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_plan_finished_stands_as_it_was_settled_last() {
    let house = refold::house(&(Arc::new(MemoryStore::new()) as _)).await;
    house.done("ada", authorize(refold::units("call", 80))).await;
    house.done("ada", part_of("call", 1, "units", 80)).await;
    // From now on, also for open holds, no call may have more than 50 units.
    house.clock.advance(seconds(1));
    let strict = refold::PRICES.replace("5000", "50");
    refold::price_by(&house.engine, &house.tenant, &strict, OpenHolds::New);
    house.done("ada", release("call")).await;
    assert_eq!(house.balance("ada").await.0, "92");
    // The plan's state does not know the call, so its place among the others is not known either.
    house.done("ada", refold::used("b", 40)).await;
    assert_eq!(house.balance("ada").await.0, "88");
    match refold::refusal(&house, refold::void("call")).await {
        Refusal::CannotRefold(why) => assert!(why.ends_with("refund it instead"), "{why}"),
        other => panic!("{other:?}"),
    }
    house.engine.stop().unwrap();
}
