//! Re-folds of a term in which events give back of others (`host/kit/tests/plans/graduated-outcomes`): a resolution costs
//! 1.00, and 0.50 from the third of a period on; a minute of work 0.10, and 0.05 from the eleventh on.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{Given, NewRevision};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Refusal;
use farebox_money::Nanos;
use farebox_record::command::{Command, Subscribe};
use farebox_record::correction::{Refund, RefundTarget};
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::{CallId, CustomerId, EventId, Hash, PlanName, SubscriptionId};
use farebox_record::outcome::Answer;
use farebox_record::plan::EventRef;
use farebox_record::state::Cadence;
use farebox_store::{LossyStore, MemoryStore, Store};

use crate::giving::{amend, resolved, void};
use crate::house::{House, amounts, grant, hold, put, usd};
use crate::refold::{prove, refusal};

fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/plans/graduated-outcomes");
        build_plan(&folder, &BuildOptions::default()).unwrap().component
    })
}

/// The plan in force, and `ada` with 10 usd on it.
async fn house(store: &Arc<dyn Store>) -> House {
    let house = House::without_plan(Arc::clone(store));
    let (engine, tenant) = (&house.engine, &house.tenant);
    let plan = PlanName::new("graduated-outcomes").unwrap();
    engine.push_component(tenant, &plan, component()).unwrap();
    let hash = Hash::of(component());
    engine
        .activate(tenant, &plan, &NewRevision::at_once(hash, "{}"), None)
        .unwrap();
    house.done("ada", put()).await;
    house.done("ada", grant("start", "10")).await;
    let subscribe = Subscribe {
        id: SubscriptionId::new("s").unwrap(),
        plan,
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    house.done("ada", Command::Subscribe(subscribe)).await;
    house
}

/// Opens the ticket of a resolution again, of which so many tenths come back.
fn reopened(id: &str, of: &str, tenths: i64, minutes: i64) -> Event {
    let mut measures = amounts(&[("minutes", minutes)]);
    measures.insert("back".into(), Nanos::new(i128::from(tenths) * 100_000_000));
    Event {
        event_type: "ticket.reopened".parse().unwrap(),
        measures,
        attributes: Attributes::from([("resolution".to_string(), of.to_string())]),
        ..resolved(id)
    }
}

/// Three resolutions, and two that are opened again: `o2` 8 minutes, `o3` 4.
async fn use_up(house: &House) {
    for id in ["r1", "r2", "r3"] {
        house.done("ada", Command::Usage(resolved(id))).await;
    }
    assert_eq!(free(house).await, "7.5", "1, 1 and 0.50");
    house
        .done("ada", Command::Usage(reopened("o2", "r2", 10, 8)))
        .await;
    assert_eq!(free(house).await, "7.7", "+ 1 - 0.80");
    house
        .done("ada", Command::Usage(reopened("o3", "r3", 5, 4)))
        .await;
    assert_eq!(free(house).await, "7.9", "+ 0.50 - (2 x 0.10 + 2 x 0.05)");
}

async fn free(house: &House) -> String {
    house.balance("ada").await.0
}

fn given(house: &House, event: &str) -> Given {
    let ada = CustomerId::new("ada").unwrap();
    house.engine.given(&house.tenant, &ada, &hold(event)).unwrap()
}

/// `o2 1`: who gave how much of an event.
fn back(house: &House, event: &str) -> Vec<String> {
    let given = given(house, event);
    summed(given.of_it.iter().map(|(giver, back)| (giver, back.slice.amount)))
}

/// `r2 1`: how much an event gave of which.
fn gave(house: &House, event: &str) -> Vec<String> {
    let given = given(house, event);
    summed(given.by_it.iter().map(|gave| (&gave.event, gave.slice.amount)))
}

/// By the other event: what came back may have been taken in several parts.
fn summed<'g>(parts: impl Iterator<Item = (&'g EventRef, Nanos)>) -> Vec<String> {
    let mut sums: BTreeMap<&EventId, i128> = BTreeMap::new();
    for (event, amount) in parts {
        *sums.entry(&event.id).or_default() += amount.get();
    }
    let text = |(id, sum): (_, &i128)| format!("{id} {}", Nanos::new(*sum));
    sums.iter().map(text).collect()
}

async fn in_the_way(house: &House, command: Command) -> String {
    match refusal(house, command).await {
        Refusal::CannotRefold(why) => why,
        other => panic!("{other:?}"),
    }
}

/// `c +2`: what behind a correction came back, and was charged in addition.
async fn moved(house: &House, command: Command) -> Vec<String> {
    match house.done("ada", command).await.answer {
        Answer::Refolded(refolded) => refolded
            .repriced
            .iter()
            .map(|repriced| {
                let back = repriced.reversed.iter().map(|(_, n)| format!(" -{n}"));
                let more = repriced.charged.iter().map(|(_, n)| format!(" +{n}"));
                format!("{}{}", repriced.event.id, back.chain(more).collect::<String>())
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

const NONE: [&str; 0] = [];

async fn corrected(store: Arc<dyn Store>) {
    let house = house(&store).await;
    use_up(&house).await;

    // Without r1, r3 is the second of the period and costs 1.00; o3 gave its 0.50 back.
    assert_eq!(
        in_the_way(&house, void("r1")).await,
        "event r3 behind it would cost something else, and event o3 gave back of it; void that one first"
    );
    // Without o2, the 4 minutes of o3 are 0.40.
    assert_eq!(
        in_the_way(&house, void("o2")).await,
        "event o3 behind it gives back what another event took"
    );
    // The same of a replacement: with 6 minutes, those of o3 are 0.40 too.
    assert_eq!(
        in_the_way(&house, amend(reopened("o2", "r2", 10, 6))).await,
        "event o3 behind it gives back what another event took"
    );
    // What would cost the same stands in nobody's way, but what r2 took has been given back.
    assert!(
        in_the_way(&house, amend(resolved("r2")))
            .await
            .contains("event o2 gave back of it")
    );
    assert_eq!(free(&house).await, "7.9", "nothing was changed");
    assert_eq!(
        (back(&house, "r3"), gave(&house, "o3")),
        (vec!["o3 0.5".into()], vec!["r3 0.5".into()])
    );

    // The one in the way is taken back first: 0.30 of work come back, and r3's 0.50 is charged anew.
    assert_eq!(moved(&house, void("o3")).await, NONE);
    assert_eq!(free(&house).await, "7.7");
    assert_eq!((back(&house, "r3"), gave(&house, "o3")), (vec![], vec![]));
    // r1's 1.00 comes back, and r3 costs 0.50 more. o2 is behind it too, and costs and gives the same.
    assert_eq!(moved(&house, void("r1")).await, ["r3 +0.5"]);
    assert_eq!(free(&house).await, "8.2");
    assert_eq!(gave(&house, "o2"), ["r2 1"]);

    // One that gave is amended, with nothing in the way: 2 minutes more, and it gave already what it gives.
    assert_eq!(moved(&house, amend(reopened("o2", "r2", 10, 10))).await, NONE);
    assert_eq!(free(&house).await, "8");
    assert_eq!(back(&house, "r2"), ["o2 1"]);
    // To another event, which nobody had looked for: r3 gives 0.70 back, r2 takes its 1.00 again.
    let other = keyed("again", reopened("o2", "r3", 7, 10));
    assert_eq!(moved(&house, other).await, NONE);
    assert_eq!(free(&house).await, "7.7");
    assert_eq!(
        (back(&house, "r2"), back(&house, "r3")),
        (vec![], vec!["o2 0.7".into()])
    );
    // What is left of r3 can be refunded, and no more.
    let refund = Command::Refund(Refund {
        id: CallId::new("rest").unwrap(),
        target: RefundTarget::Event {
            event: hold("r3"),
            amount: None,
        },
        reason: "a bad answer".into(),
    });
    let Answer::Corrected(done) = house.done("ada", refund).await.answer else {
        panic!("a refund")
    };
    assert_eq!(done.reversed, [(usd(), "0.3".parse().unwrap())]);
    assert_eq!(free(&house).await, "8");
    // More than is left of the one that it names now: the amendment is refused, and what it gave stands.
    let much = house
        .reply("ada", keyed("more", reopened("o2", "r3", 8, 10)))
        .await;
    let said = format!("{much:?}");
    assert!(
        said.contains("gives back 0.1 usd of `resolution` of event r3, which took 0 usd"),
        "{said}"
    );
    assert_eq!(
        (free(&house).await, back(&house, "r3")),
        ("8".into(), vec!["o2 0.7".into()])
    );
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

/// An amendment under a key of its own.
fn keyed(key: &str, event: Event) -> Command {
    let Command::Amend(mut amend) = amend(event) else {
        panic!("an amendment")
    };
    amend.id = CallId::new(key).unwrap();
    Command::Amend(amend)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_gave_stand_in_the_way_only_of_what_moves_them() {
    corrected(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_versions_are_lost() {
    corrected(Arc::new(LossyStore::new(
        MemoryStore::new(),
        11,
        NonZeroU32::new(3).unwrap(),
    )))
    .await;
}
