//! A revision that is taken out of service: written down, told in the change feed, and still out after a restart.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use farebox_engine::projection::{FeedQuery, Kind, What};
use farebox_engine::{Ask, Config, Engine, LedgerFold, ManualClock, NewRevision, Reply, Request};
use farebox_hostile::{guest, reported, runtime};
use farebox_record::command::{Command, PutCustomer, Subscribe};
use farebox_record::ids::{CustomerId, PlanName, TenantId};
use farebox_record::outcome::Answer;
use farebox_record::state::Cadence;
use farebox_store::{JournalStore, Options};

fn start(dir: &Path) -> Engine {
    let store = JournalStore::open(dir, Options::default(), Arc::new(LedgerFold)).unwrap();
    let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
    let config = Config {
        lanes: 1,
        on_failure: Box::new(|why| eprintln!("failed: {why}")),
        ..Config::default()
    };
    Engine::start(config, Arc::new(store), runtime(|_| {}).unwrap(), Arc::new(clock)).unwrap()
}

async fn ask(engine: &Engine, tenant: &TenantId, command: Command) -> Answer {
    let request = Request {
        customer: CustomerId::new("ada").unwrap(),
        ask: Ask::Command(Box::new(command)),
    };
    match engine.call_one(tenant, request).await.unwrap() {
        Reply::Done(done) => done.answer,
        other => panic!("{other:?}"),
    }
}

fn usage(id: &str, attack: &str) -> Command {
    Command::Usage(reported(id, attack).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantine_is_durable_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let (tenant, plan): (TenantId, PlanName) = ("default".parse().unwrap(), "evil".parse().unwrap());
    let engine = start(dir.path());
    let pushed = engine
        .push_component(&tenant, &plan, &guest::hostile("").unwrap())
        .unwrap();
    let activate = |parameters: &str| {
        engine
            .activate(
                &tenant,
                &plan,
                &NewRevision::at_once(pushed.hash, parameters),
                None,
            )
            .unwrap()
    };
    activate("");
    let evil = activate("each").activation.revision;
    let put = PutCustomer {
        id: "put".parse().unwrap(),
        name: None,
        shortfall: BTreeMap::new(),
    };
    ask(&engine, &tenant, Command::PutCustomer(put)).await;
    let subscribe = Subscribe {
        id: "s".parse().unwrap(),
        plan: plan.clone(),
        seats: 1,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    ask(&engine, &tenant, Command::Subscribe(subscribe)).await;
    let mut failed = 0;
    while let Answer::Unpriced(_) = ask(&engine, &tenant, usage(&format!("e{failed}"), "loop")).await {
        failed += 1;
        assert!(
            failed <= 17,
            "16 faults are tolerated, and then the revision before serves"
        );
    }
    assert!(failed > 0);
    let quarantined = FeedQuery {
        kind: Some(Kind::RevisionQuarantined),
        limit: 10,
        ..FeedQuery::default()
    };
    let mut told = Vec::new();
    for _ in 0..400 {
        told = engine.changes(&tenant, &quarantined).unwrap().changes;
        if !told.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    let [(_, change)] = &told[..] else {
        panic!("{told:?}")
    };
    let What::RevisionQuarantined {
        plan: named,
        revision,
        reason,
    } = &change.what
    else {
        panic!("{change:?}")
    };
    assert_eq!((named, revision), (&plan, &evil));
    assert!(reason.contains("faults_tolerated = 16"), "{reason}");
    engine.stop().unwrap();
    drop(engine);

    // The new process has a runtime that knows of no fault; the revision before serves all the same.
    let engine = start(dir.path());
    let state = engine.controls().tenant(&tenant).unwrap().clone();
    assert!(state.quarantines.contains_key(&(plan.clone(), evil)));
    let answer = ask(&engine, &tenant, usage("after", "loop")).await;
    assert!(matches!(answer, Answer::Charged { .. }), "{answer:?}");
    assert_eq!(
        engine.changes(&tenant, &quarantined).unwrap().changes,
        told,
        "told once"
    );
    engine.stop().unwrap();
}
