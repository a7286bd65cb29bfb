//! A plan whose price rises with use: worst cases are quoted behind all open holds, and every quote can be proved again.
//!
//! The plan is the simulator's: a step costs 1 credit as long as fewer than 100 were made in the period, 2 beyond.

use std::path::Path;
use std::sync::Arc;

use farebox_engine::{NewRevision, ask_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Wallet;
use farebox_record::command::{AboveHold, Authorize, AuthorizeMode, Command, Finality, Settle, Subscribe};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, Hash, PlanName, SubscriptionId};
use farebox_record::outcome::{Answer, Verdict};
use farebox_record::state::Cadence;
use farebox_store::{MemoryStore, Store as _, WalletKey};

use crate::house::{House, amounts, event, grant, hold, put, runtime, seconds};

const PRICES: &str = r#"{"low": "1", "high": "2", "dollars": "0.1"}"#;

fn steps(id: &str, steps: i64) -> Event {
    let mut event = event(id, "any", &[("steps", steps)]);
    event.event_type = "tool.call".parse().unwrap();
    event
}

fn authorize(id: &str, most: i64) -> Command {
    Command::Authorize(Authorize {
        event: steps(id, most),
        ttl: seconds(900),
        mode: AuthorizeMode::Hold,
    })
}

fn settle(id: &str, used: i64) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new("end").unwrap(),
        measures: amounts(&[("steps", used)]),
        attributes: Default::default(),
        finality: Finality::Final,
        above: AboveHold::Deny,
    })
}

/// What an authorize holds, in credits and dollars.
async fn held(house: &House, id: &str, most: i64) -> Vec<String> {
    let done = house.done("ada", authorize(id, most)).await;
    let Answer::Allowed(allowed) = done.answer else {
        panic!("{done:?}")
    };
    allowed
        .held
        .iter()
        .map(|(asset, amount)| format!("{amount} {asset}"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn holds_that_are_open_together_cannot_settle_beyond_what_is_held() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sim/pool");
    let component = build_plan(&folder, &BuildOptions::default()).unwrap().component;
    let store = Arc::new(MemoryStore::new());
    let house = House::without_plan(Arc::clone(&store) as _);
    let plan = PlanName::new("pool").unwrap();
    house
        .engine
        .push_component(&house.tenant, &plan, &component)
        .unwrap();
    let hash = Hash::of(&component);
    house
        .engine
        .activate(&house.tenant, &plan, &NewRevision::at_once(hash, PRICES), None)
        .unwrap();
    house.done("ada", put()).await;
    let mut credits = grant("credits", "1000");
    if let Command::Grant(grant) = &mut credits {
        grant.asset = "credits".parse().unwrap();
    }
    house.done("ada", credits).await;
    let subscribe = Subscribe {
        id: SubscriptionId::new("s").unwrap(),
        plan,
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    house.done("ada", Command::Subscribe(subscribe)).await;

    assert_eq!(held(&house, "a", 80).await, ["80 credits"]);
    // Behind the 80 of `a` only 20 are cheap: 20 x 1 + 60 x 2.
    assert_eq!(held(&house, "b", 80).await, ["140 credits"]);
    // Behind both, none are.
    assert_eq!(held(&house, "c", 10).await, ["20 credits"]);
    // Each at its worst, none above its hold.
    for (id, used) in [("a", 80), ("b", 80), ("c", 10)] {
        let done = house.done("ada", settle(id, used)).await;
        assert!(matches!(done.answer, Answer::Settled(_)), "{done:?}");
    }
    // 170 steps: 100 x 1 + 70 x 2, as one event would have cost, from 60 included and 1000 bought.
    let wallet = house.wallet("ada").await;
    let credits = wallet
        .balances()
        .into_iter()
        .find(|b| b.asset.as_str() == "credits")
        .unwrap();
    assert_eq!(
        (credits.available.to_string(), credits.held.to_string()),
        ("820".into(), "0".into())
    );

    // Every answer can be had again from the record and the wallet before it.
    let controls = house.engine.controls();
    let mut wallet = Wallet::default();
    let mut records = store
        .history(&WalletKey::new("default", "ada"), None, 100)
        .unwrap();
    records.reverse();
    let mut priced = 0;
    for stored in records {
        let record = farebox_record::Record::decode(&stored.body).unwrap();
        if let Some(pricing) = &record.seen.pricing {
            let revision = controls.revision(&pricing.revision).unwrap();
            let again = ask_again(&runtime(), revision, &record, &wallet, |_, _| Default::default()).unwrap();
            let (Verdict::Priced(then), farebox_runtime::Verdict::Priced(now)) = (&pricing.verdict, &again)
            else {
                panic!("{again:?}")
            };
            assert_eq!(then, now, "record {}", record.sequence);
            priced += 1;
        }
        wallet.replay(&record, &stored.body).unwrap();
    }
    assert_eq!(priced, 7, "a subscription, three holds, three settlements");
    house.engine.stop().unwrap();
}
