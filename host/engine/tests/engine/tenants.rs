//! Tenants, and sandboxes whose time is moved by hand.

use std::num::NonZeroU32;
use std::sync::Arc;

use farebox_engine::{Advanced, ControlDone, ControlError, Engine, LedgerFold, Reply};
use farebox_ledger::verify;
use farebox_record::codec;
use farebox_record::command::{Command, DueItem, Subscribe};
use farebox_record::control::{
    ClockStep, ControlCommand, ControlEffect, ControlRecord, ControlState, NewTenant, TenantKind, TenantState,
};
use farebox_record::ids::{CallId, CustomerId, Hash, SubscriptionId, TenantId};
use farebox_record::record::Record;
use farebox_record::state::Cadence;
use farebox_record::time::Timestamp;
use farebox_store::{
    Commit, Fate, IdHash, JournalStore, LossyStore, MemoryStore, NewRecord, Options, Store, WalletKey,
};

use crate::house::{FIRST, House, authorize, event, grant, plan, put, seconds, settle, usage};

const START: &str = "2026-01-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn by(span: &str) -> ClockStep {
    ClockStep::By(span.parse().unwrap())
}

fn key(id: &str) -> Option<CallId> {
    Some(CallId::new(id).unwrap())
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn create(engine: &Engine, name: &str, new: NewTenant) -> Result<ControlDone, ControlError> {
    let first = CallId::new("first-admin").unwrap();
    let secret = Hash::of(name.as_bytes());
    engine
        .create_tenant(&tenant(name), new, first, secret)
        .map(|made| made.done)
}

fn sandbox(clock: &str) -> NewTenant {
    NewTenant::Sandbox {
        clock: Some(at(clock)),
    }
}

/// A sandbox beside the tenants of `house`, with the plan in force.
pub fn furnish(house: &House, name: &str, clock: &str) -> House {
    create(&house.engine, name, sandbox(clock)).unwrap();
    let sandbox = House {
        engine: house.engine.clone(),
        clock: Arc::clone(&house.clock),
        tenant: tenant(name),
    };
    sandbox.push();
    sandbox.activate(FIRST);
    sandbox
}

fn subscribe(cadence: Cadence) -> Command {
    Command::Subscribe(Subscribe {
        id: SubscriptionId::new("tokens").unwrap(),
        plan: plan(),
        seats: 0,
        anchor: None,
        cadence,
        above_hold: Default::default(),
    })
}

impl House {
    async fn advance(&self, id: Option<CallId>, step: ClockStep) -> Result<Advanced, ControlError> {
        let (engine, tenant) = (self.engine.clone(), self.tenant.clone());
        tokio::task::spawn_blocking(move || engine.advance_clock(&tenant, id, step))
            .await
            .unwrap()
    }

    fn now(&self) -> String {
        self.engine.now(&self.tenant).to_string()
    }

    /// What was handled for a customer, oldest first: the records.
    fn handled(&self, customer: &str) -> Vec<Record> {
        let customer = CustomerId::new(customer).unwrap();
        let mut records = self
            .engine
            .history(&self.tenant, &customer, None, usize::MAX)
            .unwrap();
        records.reverse();
        records.retain(|record| matches!(record.command, Command::Due(_)));
        records
    }
}

fn due(record: &Record) -> (String, &DueItem) {
    match &record.command {
        Command::Due(due) => (due.instant.to_string(), &due.item),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tenant_is_made_once_and_what_it_is_was_said_then() {
    let house = House::without_plan(Arc::new(MemoryStore::new()));
    let engine = &house.engine;
    assert_eq!(
        create(engine, "live", NewTenant::Live).unwrap(),
        ControlDone::Changed
    );
    assert_eq!(
        create(engine, "test", sandbox(START)).unwrap(),
        ControlDone::Changed
    );
    assert_eq!(
        create(engine, "now", NewTenant::Sandbox { clock: None }).unwrap(),
        ControlDone::Changed
    );
    assert_eq!(
        create(engine, "live", NewTenant::Live).unwrap(),
        ControlDone::Unchanged
    );
    assert_eq!(
        create(engine, "test", sandbox(START)).unwrap(),
        ControlDone::Unchanged
    );
    let other = create(engine, "test", NewTenant::Live).unwrap_err();
    assert!(
        matches!(other, ControlError::Conflict { field: "kind" }),
        "{other}"
    );
    let other = create(engine, "test", sandbox("2026-01-02T00:00:00Z")).unwrap_err();
    assert!(
        matches!(other, ControlError::Conflict { field: "clock" }),
        "{other}"
    );
    for clock in ["1969-12-31T23:59:59Z", "2200-01-01T00:00:01Z"] {
        let refused = create(engine, "far", sandbox(clock)).unwrap_err();
        assert!(
            matches!(
                refused,
                ControlError::Clock {
                    field: "clock",
                    limit: Some(_),
                    ..
                }
            ),
            "{refused}"
        );
    }
    let refused = create(engine, "default", NewTenant::Live).unwrap_err();
    assert!(matches!(refused, ControlError::TenantExists(_)), "{refused}");
    // One that was never said to be anything is live.
    house.push();
    assert_eq!(engine.controls().sandbox_clock(&house.tenant), None);
    assert_eq!(engine.now(&tenant("now")), house.clock_now());
    assert_eq!(engine.controls().tenants().count(), 4);
    engine.stop().unwrap();
}

impl House {
    fn clock_now(&self) -> Timestamp {
        use farebox_engine::Clock as _;
        self.clock.now(&self.tenant)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_stands_still_whatever_the_wall_clock_does() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let test = furnish(&live, "test", "2030-06-01T00:00:00Z");
    for house in [&live, &test] {
        house.customer("ada", "10").await;
        house.done("ada", authorize("h", 1_000_000, 0)).await;
    }
    live.clock.advance(seconds(3_600));
    assert_eq!(live.balance("ada").await, ("10".into(), "0".into()));
    assert_eq!(test.balance("ada").await, ("9".into(), "1".into()));
    assert_eq!(test.now(), "2030-06-01T00:00:00Z");
    // A hold of 60 seconds by the sandbox's clock: to the second.
    let advanced = test.advance(None, by("59s")).await.unwrap();
    assert_eq!(
        (advanced.handled, test.balance("ada").await),
        (0, ("9".into(), "1".into()))
    );
    let advanced = test
        .advance(None, ClockStep::To(at("2030-06-01T00:01:00Z")))
        .await
        .unwrap();
    assert_eq!(
        (advanced.handled, test.balance("ada").await),
        (1, ("10".into(), "0".into()))
    );
    // The live tenant has seen nothing of it: 3,600 s later its hold is gone by its own clock.
    assert_eq!(live.now(), "2026-01-01T01:00:00Z");
    live.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_of_the_time_of_their_sandbox() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let test = furnish(&live, "test", "2030-06-01T00:00:00Z");
    test.customer("ada", "10").await;
    let timed = |id: &str, time: &str| {
        let mut event = event(id, "one", &[("input_tokens", 1_000)]);
        event.time = Some(at(time));
        Command::Usage(event)
    };
    let done = test.done("ada", usage("no-time", "one", 1_000)).await;
    assert_eq!(done.at, at("2030-06-01T00:00:00Z"));
    // The wall clock's time is more than 35 days ago there.
    let reply = test.reply("ada", timed("wall", START)).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    test.done("ada", timed("soon", "2030-06-01T00:05:00Z")).await;
    let reply = test.reply("ada", timed("late", "2030-06-01T00:05:01Z")).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    test.advance(None, by("P40D")).await.unwrap();
    let reply = test.reply("ada", timed("window", "2030-06-05T23:59:59Z")).await;
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    test.done("ada", timed("in-window", "2030-06-06T00:00:00Z")).await;
    // An id that was used before the advance is still known.
    assert!(test.done("ada", usage("no-time", "one", 1_000)).await.replayed);
    live.engine.stop().unwrap();
}

/// Twelve renewals, a grant that begins and one that ends, and a hold: 15 items, in order of instant, each noted at the time
/// to which the clock was moved.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_is_handled_in_order_before_it_is_answered() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let test = furnish(&live, "test", "2026-01-31T12:00:00Z");
    test.customer("ada", "10").await;
    let Command::Grant(mut spring) = grant("spring", "5") else {
        panic!()
    };
    spring.effective = Some(at("2026-03-01T00:00:00Z"));
    spring.expires = Some(at("2026-06-01T00:00:00Z"));
    test.done("ada", Command::Grant(spring)).await;
    test.done("ada", authorize("h", 1_000_000, 0)).await;
    let advanced = test.advance(None, by("12 months")).await.unwrap();
    assert_eq!(
        (advanced.from, advanced.to, advanced.handled),
        (at("2026-01-31T12:00:00Z"), at("2027-01-31T12:00:00Z"), 15)
    );
    // Durable when it is answered: nobody has touched the wallet since.
    let records = test.handled("ada");
    let instants: Vec<String> = records.iter().map(|record| due(record).0).collect();
    assert_eq!(
        instants,
        [
            "2026-01-31T12:01:00Z",
            "2026-02-28T12:00:00Z",
            "2026-03-01T00:00:00Z",
            "2026-03-31T12:00:00Z",
            "2026-04-30T12:00:00Z",
            "2026-05-31T12:00:00Z",
            "2026-06-01T00:00:00Z",
            "2026-06-30T12:00:00Z",
            "2026-07-31T12:00:00Z",
            "2026-08-31T12:00:00Z",
            "2026-09-30T12:00:00Z",
            "2026-10-31T12:00:00Z",
            "2026-11-30T12:00:00Z",
            "2026-12-31T12:00:00Z",
            "2027-01-31T12:00:00Z",
        ]
    );
    assert!(matches!(due(&records[0]).1, DueItem::HoldExpiry(_)));
    assert!(matches!(due(&records[2]).1, DueItem::GrantEffective(_)));
    assert!(matches!(due(&records[6]).1, DueItem::GrantExpiry(_)));
    assert!(records.iter().all(|record| record.at == advanced.to));
    let wallet = test.wallet("ada").await;
    assert_eq!(wallet.subscriptions().next().unwrap().1.period.index, 12);
    assert_eq!(verify(&wallet), Vec::new());
    assert_eq!(test.balance("ada").await, ("10".into(), "0".into()));
    assert_eq!(
        test.advance(None, ClockStep::To(advanced.to))
            .await
            .unwrap()
            .handled,
        0
    );
    live.engine.stop().unwrap();
}

/// 400 days are more than one turn of a wallet, and a call that comes meanwhile waits for all of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_past_is_handled_in_parts_before_any_command() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let test = furnish(&live, "test", START);
    for customer in ["ada", "ben"] {
        test.done(customer, put()).await;
        test.done(customer, subscribe(Cadence::Daily)).await;
    }
    let (advanced, wallet) = tokio::join!(test.advance(None, by("P400D")), async {
        while test.now() == START {
            tokio::task::yield_now().await;
        }
        test.wallet("ada").await
    });
    advanced.unwrap();
    assert_eq!(wallet.subscriptions().next().unwrap().1.period.index, 400);
    for customer in ["ada", "ben"] {
        assert_eq!(test.handled(customer).len(), 400);
    }
    live.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_advance_is_made_once_under_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap());
    let live = House::over(open());
    let test = furnish(&live, "test", START);
    test.customer("ada", "10").await;
    let first = test.advance(key("a"), by("P1M")).await.unwrap();
    assert_eq!((first.handled, first.done.clone()), (1, ControlDone::Changed));
    let replay = Advanced {
        done: ControlDone::Unchanged,
        ..first.clone()
    };
    assert_eq!(test.advance(key("a"), by("1 month")).await.unwrap(), replay);
    let other = test.advance(key("a"), by("P2M")).await.unwrap_err();
    assert!(
        matches!(other, ControlError::Conflict { field: "advance" }),
        "{other}"
    );
    let other = test.advance(key("a"), ClockStep::To(first.to)).await.unwrap_err();
    assert!(matches!(other, ControlError::Conflict { field: "to" }), "{other}");
    // To where it stands: remembered all the same.
    let stays = test.advance(key("b"), ClockStep::To(first.to)).await.unwrap();
    assert_eq!(
        (stays.from, stays.to, stays.done),
        (first.to, first.to, ControlDone::Changed)
    );
    test.advance(None, by("P1M")).await.unwrap();
    test.advance(None, by("P1M")).await.unwrap();
    assert_eq!(test.now(), "2026-04-01T00:00:00Z");
    assert_eq!(
        test.advance(key("b"), ClockStep::To(first.to))
            .await
            .unwrap()
            .done,
        ControlDone::Unchanged
    );
    live.engine.stop().unwrap();
    drop((live, test));

    let live = House::without_plan(open());
    let test = House {
        engine: live.engine.clone(),
        clock: Arc::clone(&live.clock),
        tenant: tenant("test"),
    };
    assert_eq!(test.now(), "2026-04-01T00:00:00Z");
    assert_eq!(test.advance(key("a"), by("P1M")).await.unwrap(), replay);
    assert_eq!(test.handled("ada").len(), 3);
    live.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_advanced_is_refused_and_stays() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let test = furnish(&live, "test", START);
    create(&live.engine, "other", NewTenant::Live).unwrap();
    for name in ["default", "other"] {
        let house = House {
            tenant: tenant(name),
            engine: live.engine.clone(),
            clock: Arc::clone(&live.clock),
        };
        let refused = house.advance(None, by("P1D")).await.unwrap_err();
        assert!(matches!(refused, ControlError::LiveTenant(_)), "{refused}");
    }
    let nobody = House {
        tenant: tenant("nobody"),
        engine: live.engine.clone(),
        clock: Arc::clone(&live.clock),
    };
    let refused = nobody.advance(None, by("P1D")).await.unwrap_err();
    assert!(matches!(refused, ControlError::UnknownTenant(_)), "{refused}");
    let limit = |refused: ControlError| match refused {
        ControlError::Clock { limit, .. } => limit,
        other => panic!("{other}"),
    };
    assert_eq!(
        limit(test.advance(None, by("P400DT1S")).await.unwrap_err()),
        Some("ADVANCE_SPAN_MAX")
    );
    assert_eq!(
        limit(test.advance(None, by("P9000Y")).await.unwrap_err()),
        Some("ADVANCE_SPAN_MAX")
    );
    let back = ClockStep::To(at("2025-12-31T23:59:59Z"));
    assert_eq!(limit(test.advance(key("k"), back).await.unwrap_err()), None);
    assert_eq!(test.now(), START);
    // A refusal does not use up its key.
    test.advance(key("k"), by("P400D")).await.unwrap();
    let edge = furnish(&live, "edge", "2199-12-31T00:00:00Z");
    assert_eq!(
        limit(edge.advance(None, by("P1DT1S")).await.unwrap_err()),
        Some("SANDBOX_CLOCK_MAX")
    );
    edge.advance(None, by("P1D")).await.unwrap();
    live.engine.stop().unwrap();
}

/// Another process may win at any moment: each item is handled once, and counted once.
#[tokio::test(flavor = "multi_thread")]
async fn a_year_survives_losses() {
    for seed in 1..=3 {
        let store = LossyStore::new(MemoryStore::new(), seed, NonZeroU32::new(5).unwrap());
        let live = House::over(Arc::new(store));
        let test = furnish(&live, "test", START);
        for n in 0..20 {
            test.customer(&format!("c{n}"), "1").await;
        }
        let advanced = test.advance(key("year"), by("P1Y")).await.unwrap();
        assert_eq!(advanced.handled, 20 * 12, "seed {seed}");
        for n in 0..20 {
            assert_eq!(test.handled(&format!("c{n}")).len(), 12);
        }
        live.engine.stop().unwrap();
    }
}

/// A live tenant's hold ends by the sweeper alone, with one sandbox that is a century ahead and one that is decades behind, each
/// with a hold that the machine's clock, or a century, would end. In neither does anything move.
#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_far_away_do_not_disturb_the_sweep() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let ahead = furnish(&live, "ahead", "2150-01-01T00:00:00Z");
    let behind = furnish(&live, "behind", "1980-01-01T00:00:00Z");
    for house in [&live, &ahead, &behind] {
        house.customer("ada", "10").await;
        house.done("ada", authorize("h", 1_000_000, 0)).await;
    }
    live.clock.advance(seconds(60));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while live.handled("ada").is_empty() {
        assert!(std::time::Instant::now() < deadline, "the sweeper did not come");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for house in [&ahead, &behind] {
        assert!(house.handled("ada").is_empty());
        assert_eq!(house.balance("ada").await, ("9".into(), "1".into()));
        house.done("ada", settle("h", 500_000, 0)).await;
    }
    live.engine.stop().unwrap();
}

/// The clock was moved, and the process died before the wallets had caught up: the next one's sweeper does that, and the
/// same request finishes the advance.
#[tokio::test(flavor = "multi_thread")]
async fn an_advance_that_was_cut_in_two_is_finished() {
    let store: Arc<MemoryStore> = Arc::new(MemoryStore::new());
    let live = House::over(Arc::clone(&store) as _);
    let test = furnish(&live, "test", START);
    test.customer("ada", "10").await;
    move_clock_behind_the_back_of(&*store, &test.tenant, "2026-03-01T00:00:00Z");

    let next = House::without_plan(Arc::clone(&store) as _);
    let test = House {
        engine: next.engine.clone(),
        clock: Arc::clone(&next.clock),
        tenant: tenant("test"),
    };
    assert_eq!(test.now(), "2026-03-01T00:00:00Z");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while test.handled("ada").len() < 2 {
        assert!(std::time::Instant::now() < deadline, "the sweeper did not come");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let step = ClockStep::To(at("2026-03-01T00:00:00Z"));
    let finished = test.advance(key("cut"), step).await.unwrap();
    assert_eq!(
        (finished.from, finished.done.clone()),
        (at(START), ControlDone::Changed)
    );
    let replay = test.advance(key("cut"), step).await.unwrap();
    assert_eq!(
        (replay.done, replay.handled),
        (ControlDone::Unchanged, finished.handled)
    );
    assert_eq!(test.handled("ada").len(), 2);
    next.engine.stop().unwrap();
}

/// What an advance writes first, and nothing else of it.
fn move_clock_behind_the_back_of(store: &dyn Store, tenant: &TenantId, to: &str) {
    let wallet = WalletKey::control(tenant.as_str());
    let image = store.load(&wallet).unwrap();
    let parts = image
        .parts
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()));
    let mut state = ControlState::from_parts(parts).unwrap();
    let record = ControlRecord {
        tenant: tenant.clone(),
        sequence: state.header.sequence + 1,
        previous: state.header.chain,
        at: state.header.at,
        command: ControlCommand::AdvanceClock {
            id: key("cut"),
            step: ClockStep::To(at(to)),
        },
        effects: vec![ControlEffect::TenantPut(TenantState {
            created: state.tenant.unwrap().created,
            kind: TenantKind::Sandbox { now: at(to) },
        })],
    };
    let body = codec::encode(&record);
    let commit = Commit {
        wallet,
        expected: state.header.sequence,
        control: None,
        parts: state.fold(&record, &body),
        records: vec![NewRecord {
            at: record.at.as_micros(),
            body,
            ids: vec![IdHash(record.identity().unwrap().hash(tenant))],
            origin: Default::default(),
        }],
        due: None,
    };
    assert_eq!(store.commit(vec![commit]).unwrap(), [Fate::Committed]);
}
