//! What is kept of the change feed and of usage goes by the clock of its tenant, wherever a sandbox stands.

use std::sync::Arc;

use farebox_engine::projection::{Every, FeedCursor, FeedError, FeedQuery, Position, UsageQuery};
use farebox_engine::{Ask, LedgerFold, Reply};
use farebox_ledger::Refusal;
use farebox_record::command::{Command, Identity};
use farebox_record::control::{ClockStep, NewTenant};
use farebox_record::ids::{CallId, CustomerId, Hash, TenantId};
use farebox_record::outcome::HoldEnd;
use farebox_record::record::identity_hash;
use farebox_store::{IdHash, JournalStore, MemoryStore, Options, Packing, Store as _, WalletKey};

use crate::house::{FIRST, House, authorize, hold, settle, usage};

/// A sandbox beside `live`, which stands at `clock`, with one event of one customer.
async fn sandbox(live: &House, name: &str, clock: &str) -> House {
    let tenant = TenantId::new(name).unwrap();
    let kind = NewTenant::Sandbox {
        clock: Some(clock.parse().unwrap()),
    };
    let key = CallId::new("first").unwrap();
    live.engine
        .create_tenant(&tenant, kind, key, Hash::of(name.as_bytes()))
        .unwrap();
    let sandbox = House {
        engine: live.engine.clone(),
        clock: Arc::clone(&live.clock),
        tenant,
    };
    sandbox.push();
    sandbox.activate(FIRST);
    sandbox.customer("ada", "10").await;
    sandbox.done("ada", usage("e", "one", 1_000)).await;
    sandbox
}

impl House {
    async fn followed(&self) {
        let durable = self.engine.durable().unwrap();
        let mut watch = self.engine.watch_projections();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), watch.until(durable)).await;
        assert!(waited.is_ok(), "the feed and the usage follow");
    }

    /// Kinds of the items behind a place, and from where to read on.
    async fn told(&self, after: Option<FeedCursor>) -> Result<(Vec<&'static str>, FeedCursor), FeedError> {
        self.followed().await;
        let query = FeedQuery {
            after,
            limit: 100,
            ..FeedQuery::default()
        };
        let page = self.engine.changes(&self.tenant, &query)?;
        let kinds = page.changes.iter().map(|(_, change)| change.what.kind().as_str());
        Ok((kinds.collect(), page.next))
    }

    /// Events by the minute, by the hour, and by the day.
    async fn counted(&self) -> [i64; 3] {
        self.followed().await;
        Every::ALL.map(|every| {
            let query = UsageQuery {
                from: "2020-01-01T00:00:00Z".parse().unwrap(),
                to: "2040-01-01T00:00:00Z".parse().unwrap(),
                every,
                by: Vec::new(),
                limit: 100,
                after: None,
            };
            let ada = CustomerId::new("ada").unwrap();
            let page = self.engine.usage(&self.tenant, &ada, &query).unwrap();
            page.groups.iter().map(|group| group.totals.events).sum()
        })
    }

    /// The same, once it is so or after ten seconds: what is too old goes in the background.
    async fn counts_soon(&self, expected: [i64; 3]) -> [i64; 3] {
        for _ in 0..400 {
            if self.counted().await == expected {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        self.counted().await
    }

    async fn lets_pass(&self, days: u32) {
        let (engine, tenant) = (self.engine.clone(), self.tenant.clone());
        let step = ClockStep::By(format!("P{days}D").parse().unwrap());
        let advanced = tokio::task::spawn_blocking(move || engine.advance_clock(&tenant, None, step));
        advanced.await.unwrap().unwrap();
    }
}

/// The machine's clock stands in 2026. What a sandbox of 2024 did is new to it, and what one of 2030 did gets old.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_keeps_its_news_and_its_usage_by_its_own_clock() {
    let live = House::over(Arc::new(MemoryStore::new()));
    let news = ["revision_activated", "grant_received", "subscription_started"];
    for (name, clock) in [
        ("past", "2024-01-31T12:00:00Z"),
        ("future", "2030-06-01T00:00:00Z"),
    ] {
        let sandbox = sandbox(&live, name, clock).await;
        let (kinds, place) = sandbox.told(None).await.unwrap();
        assert_eq!(kinds, news, "{name}");
        assert_eq!(sandbox.counted().await, [1, 1, 1], "{name}");

        sandbox.lets_pass(35).await;
        let (kinds, _) = sandbox.told(None).await.unwrap();
        assert_eq!(kinds, [&news[..], &["subscription_renewed"]].concat(), "{name}");
        // A day later nothing of the first day is told any more, and whoever read on before that misses nothing.
        sandbox.lets_pass(1).await;
        let (kinds, _) = sandbox.told(None).await.unwrap();
        assert_eq!(kinds, ["subscription_renewed"], "{name}");
        assert_eq!(
            sandbox.told(Some(place)).await.unwrap().0,
            ["subscription_renewed"]
        );
        let first = FeedCursor {
            position: Position::default(),
            index: 0,
        };
        let refused = sandbox.told(Some(first)).await;
        assert!(matches!(refused, Err(FeedError::Expired)), "{refused:?}");
        // Minutes go a little later; hours stay for 400 days, and days for good.
        assert_eq!(sandbox.counts_soon([0, 1, 1]).await, [0, 1, 1], "{name}");
        sandbox.lets_pass(364).await;
        assert_eq!(sandbox.counted().await, [0, 1, 1], "{name}");
        sandbox.lets_pass(1).await;
        assert_eq!(sandbox.counts_soon([0, 0, 1]).await, [0, 0, 1], "{name}");
    }
    live.engine.stop().unwrap();
}

/// A sandbox stands still for months: its events are as young as they were, and none of them is billed twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_stands_still_knows_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 256 << 10,
        packing: Packing::Off,
        ..Options::default()
    };
    let store = Arc::new(JournalStore::open(dir.path(), options, Arc::new(LedgerFold)).unwrap());
    let live = House::over(Arc::clone(&store) as _);
    live.customer("ada", "10").await;
    live.done("ada", usage("e", "one", 1_000_000)).await;
    let sandbox = sandbox(&live, "still", "2026-01-01T00:00:00Z").await;
    let first = sandbox.done("ada", usage("f", "one", 1_000_000)).await;
    sandbox.done("ada", authorize("h", 1_000_000, 0)).await;
    let settled = sandbox.done("ada", settle("h", 1_000_000, 0)).await;
    // Each of these is a sync, so a block of 4 KiB of the segment.
    for n in 0..70 {
        live.done("ada", usage(&format!("filler-{n}"), "one", 0)).await;
    }
    // The machine's time goes on, and what aged by it is forgotten.
    store.forget_ids(i64::MAX);
    let ada = CustomerId::new("ada").unwrap();
    let known = |tenant: &TenantId, event: &str| {
        let key = WalletKey::new(tenant.as_str(), "ada");
        let id = IdHash(identity_hash(tenant, &ada, &Identity::Event(hold(event))));
        !store.find(&key, id).unwrap().is_empty()
    };
    for _ in 0..800 {
        if !known(&live.tenant, "e") && !known(&sandbox.tenant, "f") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(
        !known(&live.tenant, "e") && !known(&sandbox.tenant, "f"),
        "after 20 s the ids are still known"
    );

    let before = sandbox.balance("ada").await;
    let again = sandbox.done("ada", usage("f", "one", 1_000_000)).await;
    assert!(again.replayed);
    assert_eq!(again.answer, first.answer);
    let again = sandbox.done("ada", settle("h", 1_000_000, 0)).await;
    assert_eq!((again.replayed, again.answer), (true, settled.answer));
    let other = Ask::Command(Box::new(usage("f", "one", 2_000_000)));
    let conflict = sandbox.ask("ada", other).await;
    assert!(
        matches!(&conflict, Reply::Conflict { field } if field == "measures.input_tokens"),
        "{conflict:?}"
    );
    // A second settlement of a hold that has ended is told how.
    let mut second = settle("h", 1_000_000, 0);
    if let Command::Settle(settle) = &mut second {
        settle.id = CallId::new("another").unwrap();
    }
    let late = sandbox.ask("ada", Ask::Command(Box::new(second))).await;
    let told = Refusal::HoldEnded {
        end: HoldEnd::Settled,
    };
    assert!(
        matches!(&late, Reply::Refused(refusal) if *refusal == told),
        "{late:?}"
    );
    assert_eq!(sandbox.balance("ada").await, before);
    let found = sandbox
        .engine
        .find(&sandbox.tenant, &ada, &Identity::Event(hold("f")))
        .unwrap();
    assert!(found.is_some());
    live.engine.stop().unwrap();
}
