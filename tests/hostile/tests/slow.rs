//! A plan that takes nearly all the fuel that it may, event after event, holds up its own customers and nobody else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_engine::{Ask, Config, Engine, LedgerFold, ManualClock, NewRevision, Reply, Request};
use farebox_hostile::{guest, reported, runtime};
use farebox_record::command::{Authorize, AuthorizeMode, Command, PutCustomer, Subscribe};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, PlanName, TenantId};
use farebox_record::outcome::Answer;
use farebox_record::state::Cadence;
use farebox_record::time::Span;
use farebox_runtime::Limits;
use farebox_store::{JournalStore, Options};

/// Events of the slow plan: some seconds of work.
const HEAVY: usize = 300;

/// An engine of one lane, where everybody would wait behind everybody.
struct House {
    engine: Engine,
    tenant: TenantId,
    _dir: tempfile::TempDir,
}

impl House {
    /// With a plan whose events say how they attack, and an honest one.
    fn new() -> House {
        let dir = tempfile::tempdir().unwrap();
        let store = JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap();
        let clock = ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap());
        let config = Config {
            lanes: 1,
            on_failure: Box::new(|why| eprintln!("failed: {why}")),
            ..Config::default()
        };
        let runtime = runtime(|_| {}).unwrap();
        let engine = Engine::start(config, Arc::new(store), runtime, Arc::new(clock)).unwrap();
        let tenant: TenantId = "default".parse().unwrap();
        for (plan, parameters) in [("heavy", "each"), ("honest", "total")] {
            let plan: PlanName = plan.parse().unwrap();
            let component = guest::hostile("").unwrap();
            let pushed = engine.push_component(&tenant, &plan, &component).unwrap();
            let revision = NewRevision::at_once(pushed.hash, parameters);
            engine.activate(&tenant, &plan, &revision, None).unwrap();
        }
        House {
            engine,
            tenant,
            _dir: dir,
        }
    }

    /// A customer on a plan, which may owe what it uses.
    async fn customer(&self, name: &str, plan: &str) {
        let put = PutCustomer {
            id: "put".parse().unwrap(),
            name: None,
            shortfall: BTreeMap::new(),
        };
        let subscribe = Subscribe {
            id: "s".parse().unwrap(),
            plan: plan.parse().unwrap(),
            seats: 1,
            anchor: None,
            cadence: Cadence::Monthly,
            above_hold: Default::default(),
        };
        for command in [Command::PutCustomer(put), Command::Subscribe(subscribe)] {
            self.answers(name, vec![command]).await;
        }
    }

    async fn answers(&self, customer: &str, commands: Vec<Command>) -> Vec<Answer> {
        answers(self.engine.clone(), self.tenant.clone(), customer, commands).await
    }
}

async fn answers(engine: Engine, tenant: TenantId, customer: &str, commands: Vec<Command>) -> Vec<Answer> {
    let request = |command| Request {
        customer: CustomerId::new(customer).unwrap(),
        ask: Ask::Command(Box::new(command)),
    };
    let requests = commands.into_iter().map(request).collect();
    let replies = engine.call(&tenant, requests).await.unwrap();
    let answer = |reply| match reply {
        Reply::Done(done) => done.answer,
        other => panic!("{other:?}"),
    };
    replies.into_iter().map(answer).collect()
}

fn event(id: &str, attack: &str) -> Event {
    reported(id, attack).unwrap()
}

fn authorize(id: &str, attack: &str) -> Command {
    Command::Authorize(Authorize {
        event: event(id, attack),
        ttl: Span::seconds(60),
        mode: AuthorizeMode::Hold,
    })
}

fn charged(answer: &Answer) -> bool {
    matches!(answer, Answer::Charged { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_quick_plan_does_not_wait_for_who_has_a_slow_one() {
    let house = House::new();
    house.customer("slow", "heavy").await;
    house.customer("also-slow", "heavy").await;
    house.customer("quick", "honest").await;
    // What the lane learns of a plan it learns from its calls.
    let first = house
        .answers("slow", vec![Command::Usage(event("first", "heaviest"))])
        .await;
    assert!(charged(&first[0]), "{first:?}");
    let heavy = (0..HEAVY).map(|n| Command::Usage(event(&format!("h{n}"), "heaviest")));
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    let commands: Vec<Command> = heavy.collect();
    let slow = tokio::spawn(async move { answers(engine, tenant, "slow", commands).await });
    for n in 0..10 {
        let used = house
            .answers("quick", vec![Command::Usage(event(&format!("q{n}"), ""))])
            .await;
        assert!(charged(&used[0]), "{used:?}");
        let held = house
            .answers("quick", vec![authorize(&format!("a{n}"), "")])
            .await;
        assert!(!matches!(held[0], Answer::Unpriced(_)), "{held:?}");
    }
    assert!(
        !slow.is_finished(),
        "20 quick calls took as long as {HEAVY} slow ones"
    );
    // Who has the same plan has its turn before all of them are done.
    let other = house
        .answers("also-slow", vec![Command::Usage(event("o", "heaviest"))])
        .await;
    assert!(charged(&other[0]), "{other:?}");
    assert!(
        !slow.is_finished(),
        "one slow call waited for {HEAVY} of another customer"
    );
    let answers = slow.await.unwrap();
    assert_eq!(answers.len(), HEAVY);
    assert!(answers.iter().all(charged), "{:?}", answers[0]);
    house.engine.stop().unwrap();
}

/// Retries, money and reads of a wallet that is on its siding are kept in order, and answered once.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_for_a_wallet_that_is_away_is_carried_out_when_it_is_back() {
    let house = House::new();
    house.customer("slow", "heavy").await;
    let mut calls = tokio::task::JoinSet::new();
    for round in 0..3 {
        for n in 0..20 {
            let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
            let command = Command::Usage(event(&format!("h{n}"), "heaviest"));
            calls.spawn(async move { (n, round, answers(engine, tenant, "slow", vec![command]).await) });
        }
    }
    let mut first: BTreeMap<usize, Vec<Answer>> = BTreeMap::new();
    while let Some(call) = calls.join_next().await {
        let (n, _, answer) = call.unwrap();
        assert!(charged(&answer[0]), "{answer:?}");
        let known = first.entry(n).or_insert_with(|| answer.clone());
        assert_eq!(*known, answer, "a retry of h{n} has the same answer");
    }
    let records = house
        .engine
        .history(&house.tenant, &"slow".parse().unwrap(), None, 1_000)
        .unwrap();
    let used = records
        .iter()
        .filter(|record| matches!(record.command, Command::Usage(_)));
    assert_eq!(used.count(), 20, "each event was charged once");
    house.engine.stop().unwrap();
}

/// The limits leave a lane no more than a few calls of a plan that it took for quick.
#[test]
fn a_plan_is_slow_after_two_calls_that_run_to_their_limit() {
    let runtime = runtime(|_| {}).unwrap();
    let plan = runtime.admit(&guest::hostile("").unwrap()).unwrap();
    let revision = runtime.prepare(&plan, "each").unwrap();
    assert!(revision.is_slow(), "it has answered nothing yet");
    let price = |attack: &str| {
        let batch = farebox_hostile::batch(&revision, &[&[attack]]).unwrap();
        runtime.evaluate(&batch)
    };
    price("");
    assert!(!revision.is_slow());
    let (mut calls, mut fuel) = (0, 0);
    while !revision.is_slow() {
        fuel += price("heaviest").fuel;
        calls += 1;
    }
    let limits = Limits::default();
    assert!(
        fuel <= limits.owed_fuel_tolerated + limits.fuel_per_call,
        "{calls} calls took {fuel}"
    );
    while revision.is_slow() {
        price("");
        calls += 1;
        assert!(calls < 10_000, "it is quick again at last");
    }
}

/// Lanes, the committer and those who answer go first where the processors are busy.
#[cfg(target_os = "linux")]
#[test]
fn sidings_step_back() {
    let house = House::new();
    let of_siding = |task: &std::path::Path| {
        let name = std::fs::read_to_string(task.join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.join("stat")).ok()?;
        // The name may have blanks; what is counted follows its closing bracket: state is field 3, nice is field 19.
        let nice = stat.rsplit_once(") ")?.1.split(' ').nth(16)?.to_string();
        name.starts_with("siding-").then_some(nice)
    };
    let mut nices = Vec::new();
    for _ in 0..400 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        nices = tasks
            .filter_map(|task| of_siding(&task.unwrap().path()))
            .collect();
        if nices.iter().all(|nice| nice == "10") && !nices.is_empty() {
            house.engine.stop().unwrap();
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    panic!("sidings have these priorities: {nices:?}");
}
