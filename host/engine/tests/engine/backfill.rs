//! Backfills: looked at without a trace, posted as a whole, taken back as a whole, and gone on with after a stop.
//! Prices: model `one` costs 1 usd per million input tokens.

use std::sync::Arc;

use farebox_engine::{ControlError, LedgerFold};
use farebox_ledger::verify;
use farebox_record::command::Command;
use farebox_record::control::{BackfillStage, OpenHolds};
use farebox_record::correction::{Amend, Void};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, SubscriptionId};
use farebox_record::outcome::Answer;
use farebox_record::time::{Span, Timestamp};
use farebox_store::{JournalStore, MemoryStore, Options};

use crate::house::{House, event, hold, usage};

fn call(id: &str) -> CallId {
    CallId::new(id).unwrap()
}

fn ada() -> CustomerId {
    CustomerId::new("ada").unwrap()
}

/// An event of `day`, of so many million tokens of model `one`.
fn old(id: &str, day: &str, millions: i64) -> (CustomerId, Event) {
    let mut event = event(id, "one", &[("input_tokens", millions * 1_000_000)]);
    event.time = Some(format!("{day}T12:00:00Z").parse::<Timestamp>().unwrap());
    (ada(), event)
}

/// `ada` with 10 dollars from 1 January on; it is 1 April.
async fn house() -> House {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    house.done("ada", usage("seen", "one", 1_000_000)).await;
    house.clock.advance(Span::days(90));
    house.balance("ada").await;
    house
}

fn sequence(house: &House) -> u64 {
    house.engine.history(&house.tenant, &ada(), None, 1).unwrap()[0].sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_looked_at_then_posted_then_taken_back() {
    let house = house().await;
    let engine = house.engine.clone();
    let tenant = house.tenant.clone();
    let mut known = event("seen", "one", &[("input_tokens", 1_000_000)]);
    known.time = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let mut recent = old("recent", "2026-03-25", 1);
    recent.1.id = "recent".parse().unwrap();
    let unpriced = {
        let (customer, mut event) = old("odd", "2026-01-12", 1);
        event.attributes.insert("model".into(), "two".into());
        (customer, event)
    };
    let events = vec![
        old("b1", "2026-01-10", 2),
        old("b2", "2026-02-10", 1),
        (ada(), known),
        recent,
        unpriced,
        old("b1", "2026-01-11", 5),
    ];
    let made = tokio::task::spawn_blocking({
        let (engine, tenant) = (engine.clone(), tenant.clone());
        move || {
            let state = engine
                .make_backfill(&tenant, &call("fill"), Some("lost log".into()), &events)
                .unwrap()
                .0;
            // The same again changes nothing; something else under the name is told.
            engine
                .make_backfill(&tenant, &call("fill"), Some("lost log".into()), &events)
                .unwrap();
            let other = engine.make_backfill(&tenant, &call("fill"), Some("lost log".into()), &events[..1]);
            assert!(
                matches!(other, Err(ControlError::Conflict { field: "events" })),
                "{other:?}"
            );
            state
        }
    })
    .await
    .unwrap();
    assert_eq!(
        (made.stage, made.count, made.customers),
        (BackfillStage::Draft, 6, 1)
    );

    let before = sequence(&house);
    let preview = blocking(&house, |engine, tenant| {
        engine.preview_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    // 2 and 1 dollars; one is known, one is said to be something else the second time, one is too young, one has no price.
    assert_eq!(
        (
            preview.tally.charged,
            preview.tally.unpriced,
            preview.tally.known,
            preview.tally.refused
        ),
        (2, 1, 1, 2)
    );
    assert_eq!(preview.charges[0].amount.to_string(), "3");
    assert_eq!(preview.customers[0].balances[0].available.to_string(), "6");
    let problems: Vec<_> = preview
        .problems
        .iter()
        .map(|p| (p.index, p.event.id.as_str(), p.code))
        .collect();
    assert_eq!(
        problems,
        [
            (2, "seen", "known"),
            (3, "recent", "refused"),
            (5, "b1", "conflict")
        ]
    );
    assert!(
        preview.problems[1].message.contains("LATE_WINDOW"),
        "{}",
        preview.problems[1].message
    );
    assert_eq!(sequence(&house), before, "a look leaves no trace");
    assert_eq!(house.balance("ada").await.0, "9");

    let done = blocking(&house, |engine, tenant| {
        engine.commit_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    assert_eq!(
        (done.stage, done.tally.charged, done.tally.refused),
        (BackfillStage::Committed, 2, 2)
    );
    assert_eq!(house.balance("ada").await.0, "6", "as the preview said");
    // Each in the period that it happened in.
    let records = house.engine.history(&house.tenant, &ada(), None, 10).unwrap();
    let mut periods: Vec<_> = (records.iter())
        .filter(|record| matches!(record.command, Command::Backfill(_)) && record.is_late())
        .filter(|record| matches!(record.outcome.answer, Answer::Charged { .. }))
        .map(|record| record.seen.pricing.as_ref().unwrap().period.index)
        .collect();
    periods.sort_unstable();
    assert_eq!(periods, [0, 1]);
    // Again is once; and the ids are taken for good.
    blocking(&house, |engine, tenant| {
        engine.commit_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    assert_eq!(house.balance("ada").await.0, "6");
    let second = vec![old("b1", "2026-01-10", 2)];
    let preview = blocking(&house, move |engine, tenant| {
        engine
            .make_backfill(tenant, &call("again"), None, &second)
            .unwrap();
        engine.preview_backfill(tenant, &call("again")).unwrap()
    })
    .await;
    assert_eq!((preview.tally.known, preview.tally.charged), (1, 0));

    // One is taken back by hand before the whole is.
    let void = Command::Void(Void {
        event: hold("b2"),
        id: call("by-hand"),
        reason: None,
    });
    house.done("ada", void).await;
    assert_eq!(house.balance("ada").await.0, "7");
    let reverted = blocking(&house, |engine, tenant| {
        engine.revert_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    assert_eq!(
        (reverted.stage, reverted.tally.reverted),
        (BackfillStage::Reverted, 3)
    );
    assert_eq!(house.balance("ada").await.0, "9");
    assert_eq!(house.wallet("ada").await.header().unpriced, 0);
    let late = blocking(&house, |engine, tenant| {
        engine.commit_backfill(tenant, &call("fill"))
    })
    .await;
    assert!(
        matches!(late, Err(ControlError::BackfillStage { .. })),
        "{late:?}"
    );
    assert_eq!(verify(&*house.wallet("ada").await), []);
    house.engine.stop().unwrap();
}

async fn owed(house: &House) -> String {
    house.wallet("ada").await.balances()[0].debt.to_string()
}

async fn blocking<T: Send + 'static>(
    house: &House,
    work: impl FnOnce(&farebox_engine::Engine, &farebox_record::ids::TenantId) -> T + Send + 'static,
) -> T {
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    tokio::task::spawn_blocking(move || work(&engine, &tenant))
        .await
        .unwrap()
}

/// A term that is long forgotten is remembered for the events that belong to it, with the state that it was left with.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_period_is_remembered_as_it_was() {
    let store: Arc<dyn farebox_store::Store> = Arc::new(MemoryStore::new());
    let house = crate::refold::house(&store).await;
    // 80 units in January: 8 dollars.
    house.done("ada", crate::refold::used("a", 80)).await;
    house.clock.advance(Span::days(150));
    house.balance("ada").await;
    let wallet = house.wallet("ada").await;
    let past = &wallet
        .subscription(&SubscriptionId::new("s").unwrap())
        .unwrap()
        .past;
    assert!(past.iter().all(|past| past.number > 0), "January is forgotten");
    let mut event = crate::refold::units("lost", 40);
    event.time = Some("2026-01-20T00:00:00Z".parse().unwrap());
    let mut second = crate::refold::units("lost-too", 40);
    second.time = Some("2026-01-21T00:00:00Z".parse().unwrap());
    let events = vec![(ada(), event), (ada(), second)];
    let preview = blocking(&house, move |engine, tenant| {
        engine
            .make_backfill(tenant, &call("fill"), None, &events)
            .unwrap();
        engine.preview_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    // Behind 80 units: 20 at 0.10 and 20 at 0.05, then 40 at 0.05. Stated in credits: 100 for a dollar.
    assert_eq!(preview.charges[0].amount.to_string(), "500");
    blocking(&house, |engine, tenant| {
        engine.commit_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    assert_eq!(house.balance("ada").await.0, "87");
    // Taking it back folds January again, the last event first.
    blocking(&house, |engine, tenant| {
        engine.revert_backfill(tenant, &call("fill")).unwrap()
    })
    .await;
    assert_eq!(house.balance("ada").await.0, "92");
    crate::refold::prove(&house, &*store);
    house.engine.stop().unwrap();
}

/// The server stops in the middle of a commit: the next start goes on with it, and nothing is charged twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_interrupts_goes_on_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap());
    let house = House::over(open());
    house.customer("ada", "10000").await;
    house.clock.advance(Span::days(90));
    house.balance("ada").await;
    let events: Vec<_> = (0..3_000)
        .map(|n| old(&format!("b{n}"), "2026-01-10", 1))
        .collect();
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    let committing = tokio::task::spawn_blocking(move || {
        engine
            .make_backfill(&tenant, &call("fill"), None, &events)
            .unwrap();
        engine.commit_backfill(&tenant, &call("fill"))
    });
    while sequence(&house) < 1_000 {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let now = house.engine.now(&house.tenant);
    house.engine.stop().unwrap();
    let interrupted = committing.await.unwrap().is_err();
    drop(house);
    let house = House::without_plan(open());
    house.clock.advance_to(now);
    let done = async {
        loop {
            let state = house.engine.backfill(&house.tenant, &call("fill")).unwrap();
            if state.stage == BackfillStage::Committed {
                return state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let state = tokio::time::timeout(std::time::Duration::from_secs(60), done)
        .await
        .unwrap();
    assert!(interrupted, "the stop came after all of it; make it longer");
    assert_eq!(
        (state.tally.charged, state.tally.known, state.tally.refused),
        (3_000, 0, 0)
    );
    assert_eq!(house.balance("ada").await.0, "7000");
    let charged = house.engine.history(&house.tenant, &ada(), None, 10_000).unwrap();
    let charged = charged
        .iter()
        .filter(|record| matches!(record.outcome.answer, Answer::Charged { .. }));
    assert_eq!(charged.count(), 3_000);
    house.engine.stop().unwrap();
}

/// What the customer has already is left out, also where a log says a later time; something else under its id is told apart.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already_is_told_from_what_differs() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    let seen = |input| event("seen", "one", &[("input_tokens", input)]);
    // It comes without a time, at midnight, and is amended.
    house.done("ada", Command::Usage(seen(1_000_000))).await;
    let amended = Amend {
        event: seen(3_000_000),
        id: call("more"),
    };
    house.done("ada", Command::Amend(amended)).await;
    house.clock.advance(Span::days(90));
    let at = |time: &str, event: Event| {
        let time = Some(time.parse().unwrap());
        (ada(), Event { time, ..event })
    };
    let cases = [
        ("first", at("2026-01-01T00:00:00Z", seen(1_000_000)), None),
        ("later", at("2026-01-01T23:59:00Z", seen(1_000_000)), None),
        ("amended", at("2026-01-01T00:00:00Z", seen(3_000_000)), None),
        (
            "other",
            at("2026-01-01T00:00:00Z", seen(2_000_000)),
            Some("measures.input_tokens"),
        ),
    ];
    for (name, event, differs) in cases {
        let preview = blocking(&house, move |engine, tenant| {
            engine.make_backfill(tenant, &call(name), None, &[event]).unwrap();
            engine.preview_backfill(tenant, &call(name)).unwrap()
        })
        .await;
        let [problem] = &preview.problems[..] else {
            panic!("{name}: {preview:?}")
        };
        let tally = (preview.tally.charged, preview.tally.known, preview.tally.refused);
        match differs {
            None => assert_eq!((tally, problem.code), ((0, 1, 0), "known"), "{name}"),
            Some(field) => {
                assert_eq!((tally, problem.code), ((0, 0, 1), "conflict"), "{name}");
                assert!(
                    problem.message.ends_with(&format!("{field} differs")),
                    "{}",
                    problem.message
                );
            }
        }
    }
    house.engine.stop().unwrap();
}

/// A log may say a later time than that of an event's receipt, by a day at most: what comes later under a forgotten id is
/// another event.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_later_it_is_the_same_event_and_behind_that_another() {
    for (time, known) in [("2026-01-02T00:00:00Z", 1), ("2026-01-02T00:00:00.000001Z", 0)] {
        let house = house().await; // "seen" came without a time, at midnight of 1 January
        let (_, mut again) = old("seen", "2026-01-01", 1);
        again.time = Some(time.parse().unwrap());
        let preview = blocking(&house, move |engine, tenant| {
            engine
                .make_backfill(tenant, &call("fill"), None, &[(ada(), again)])
                .unwrap();
            engine.preview_backfill(tenant, &call("fill")).unwrap()
        })
        .await;
        let tally = (preview.tally.known, preview.tally.charged, preview.tally.refused);
        assert_eq!(tally, (known, 1 - known, 0), "{time}");
        house.engine.stop().unwrap();
    }
}

/// One event that cannot be taken back keeps all others: a backfill is there as a whole, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn where_one_cannot_be_taken_back_none_is() {
    let store: Arc<dyn farebox_store::Store> = Arc::new(MemoryStore::new());
    let house = crate::refold::house(&store).await;
    // From 5,000 units in a month on a unit costs half.
    let prices = crate::refold::PRICES.replace(r#""above": "100""#, r#""above": "5000""#);
    crate::refold::price_by(&house.engine, &house.tenant, &prices, OpenHolds::Quoted);
    house.clock.advance(Span::days(150));
    house.balance("ada").await;
    let on = |day: &str, id: &str, n| {
        let time = Some(format!("{day}T00:00:00Z").parse().unwrap());
        (
            ada(),
            Event {
                time,
                ..crate::refold::units(id, n)
            },
        )
    };
    // So many bytes that a record has no room to price twenty of them again.
    let large = |id: String| {
        let (customer, mut event) = on("2026-01-20", &id, 1);
        event
            .attributes
            .insert("note".into(), "n".repeat(12 << 10).into());
        (customer, event)
    };
    // In order: 500 usd in January, 1 in February; then 20 events in January of 0.05, which would cost 0.10 without the first.
    let first = vec![on("2026-01-10", "x", 5_000), on("2026-02-10", "y", 10)];
    let second: Vec<_> = (0..20).map(|n| large(format!("z{n}"))).collect();
    blocking(&house, move |engine, tenant| {
        for (name, events) in [("first", first), ("second", second)] {
            engine.make_backfill(tenant, &call(name), None, &events).unwrap();
            engine.commit_backfill(tenant, &call(name)).unwrap();
        }
    })
    .await;
    // 100 were there.
    assert_eq!(owed(&house).await, "402");
    let revert = |name: &'static str| {
        blocking(&house, move |engine, tenant| {
            engine
                .revert_backfill(tenant, &call(name))
                .map(|state| state.stage)
        })
    };
    let refused = revert("first").await.unwrap_err().to_string();
    assert!(refused.contains("not event x of customer ada: "), "{refused}");
    assert!(refused.contains("Nothing is taken back"), "{refused}");
    assert_eq!(owed(&house).await, "402", "nor is y");
    let stage = blocking(&house, |engine, tenant| {
        engine.backfill(tenant, &call("first")).unwrap().stage
    })
    .await;
    assert_eq!(stage, BackfillStage::Committed);
    assert_eq!(revert("second").await.unwrap(), BackfillStage::Reverted);
    assert_eq!(revert("first").await.unwrap(), BackfillStage::Reverted);
    assert_eq!(owed(&house).await, "0");
    // What is behind the first one is taken back before it, so nothing costs something else by then.
    let mut both = vec![on("2026-01-10", "v", 5_000)];
    both.extend((0..20).map(|n| large(format!("w{n}"))));
    blocking(&house, move |engine, tenant| {
        engine.make_backfill(tenant, &call("both"), None, &both).unwrap();
        engine.commit_backfill(tenant, &call("both")).unwrap();
    })
    .await;
    assert_eq!(owed(&house).await, "401");
    assert_eq!(revert("both").await.unwrap(), BackfillStage::Reverted);
    assert_eq!(owed(&house).await, "0");
    house.engine.stop().unwrap();
}

/// Its customers go on meanwhile, on a real disk, where each correction waits for the one before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_taken_back_while_its_customers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn farebox_store::Store> = crate::restart::open(dir.path());
    let house = crate::refold::house(&store).await;
    house.clock.advance(Span::days(150));
    house.balance("ada").await;
    // 300 units of January: 100 of 0.10 and 200 of 0.05.
    let events: Vec<_> = (0..30)
        .map(|n| {
            let mut event = crate::refold::units(&format!("old-{n}"), 10);
            event.time = Some("2026-01-10T00:00:00Z".parse().unwrap());
            (ada(), event)
        })
        .collect();
    blocking(&house, move |engine, tenant| {
        engine.make_backfill(tenant, &call("old"), None, &events).unwrap();
        engine.commit_backfill(tenant, &call("old")).unwrap();
    })
    .await;
    assert_eq!(house.balance("ada").await.0, "80");
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let live = async {
        let mut sent = 0;
        while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
            house
                .done("ada", crate::refold::used(&format!("live-{sent}"), 1))
                .await;
            sent += 1;
        }
        sent
    };
    let reverting = async {
        let reverted = blocking(&house, |engine, tenant| {
            engine.revert_backfill(tenant, &call("old")).unwrap()
        })
        .await;
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        reverted
    };
    let (sent, reverted): (i64, _) = tokio::join!(live, reverting);
    assert_eq!(
        (reverted.stage, reverted.tally.reverted),
        (BackfillStage::Reverted, 30)
    );
    // What was used meanwhile is of a month of its own: 0.10 each up to 100, then 0.05, in hundredths.
    let cost = 10 * sent.min(100) + 5 * (sent - 100).max(0);
    assert!(sent > 0);
    let left = farebox_money::Nanos::new(i128::from(10_000 - cost) * 10_000_000);
    assert_eq!(house.balance("ada").await.0, left.to_string());
    house.engine.stop().unwrap();
}
