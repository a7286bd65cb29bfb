//! Around the boundaries of periods: each event, hold and renewal belongs to one term, with that term's state.
//! Plan and prices: [`crate::pooled`].

use std::sync::Arc;

use farebox_record::command::{AboveHold, Command};
use farebox_store::MemoryStore;

use crate::pooled::{amount, authorize, free, house, settle, steps, steps_at, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_of_just_before_a_boundary_is_settled_in_the_term_that_quoted_it() {
    let house = house(Arc::new(MemoryStore::new()), "1000").await;
    // January and February each have used up their 100 cheap steps.
    assert_eq!(
        amount(&house, Command::Usage(steps("january", 100))).await,
        ["100 credits"]
    );
    until(&house, "2026-02-01T00:02:00Z").await;
    assert_eq!(
        amount(&house, Command::Usage(steps("february", 100))).await,
        ["100 credits"]
    );
    // One minute before the boundary: a step of January costs 2.
    let late = steps_at("call", 10, "2026-01-31T23:59:00Z");
    assert_eq!(amount(&house, authorize(late)).await, ["20 credits"]);
    assert_eq!(
        amount(&house, settle("call", 10, AboveHold::AllowDebt)).await,
        ["20 credits"]
    );
    // February has not forgotten its own steps.
    assert_eq!(
        amount(&house, Command::Usage(steps("more", 10))).await,
        ["20 credits"]
    );
    // And January counts the call: 10 steps of it that are reported now are dear too.
    let late = steps_at("later", 10, "2026-01-31T12:00:00Z");
    assert_eq!(amount(&house, Command::Usage(late)).await, ["20 credits"]);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_hold_keeps_does_not_roll_over() {
    let house = house(Arc::new(MemoryStore::new()), "0").await;
    until(&house, "2026-01-31T23:50:00Z").await;
    // 40 of the pool's 60 are held; 20 are free, and the 2 that the plan gave on 31 January.
    assert_eq!(amount(&house, authorize(steps("call", 40))).await, ["40 credits"]);
    assert_eq!(free(&house, "pool").await, ["20"]);
    until(&house, "2026-02-01T00:01:00Z").await;
    // Half of 22. The 40 stay good for the call.
    assert_eq!(free(&house, "rollover").await, ["11"]);
    assert_eq!(
        amount(&house, settle("call", 40, AboveHold::AllowDebt)).await,
        ["40 credits"]
    );
    assert_eq!(free(&house, "rollover").await, ["11"]);
    house.engine.stop().unwrap();
}
