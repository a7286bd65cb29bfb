//! Voids, amendments, refunds, late events and the life of a subscription, through lanes, loaders and a real plan.
//! Prices: model `one` costs 1 usd per million input tokens.

use std::num::NonZeroU32;
use std::sync::Arc;

use farebox_engine::Reply;
use farebox_ledger::Refusal;
use farebox_record::command::{Command, Identity};
use farebox_record::correction::{Amend, Refund, RefundTarget, Void};
use farebox_record::ids::{CallId, SubscriptionId};
use farebox_record::lifecycle::{
    ChangeSubscription, Proration, SubscriptionChange, SubscriptionStatus, When,
};
use farebox_record::outcome::Answer;
use farebox_record::record::identity_hash;
use farebox_record::time::Span;
use farebox_store::{IdHash, JournalStore, LossyStore, MemoryStore, Options, Store};

use crate::house::{House, authorize, event, hold, seconds, settle, usage, usd};

fn call(id: &str) -> CallId {
    CallId::new(id).unwrap()
}

fn void(event: &str) -> Command {
    Command::Void(Void {
        event: hold(event),
        id: call("void"),
        reason: None,
    })
}

fn refund(id: &str, event: &str, amount: &str) -> Command {
    Command::Refund(Refund {
        id: call(id),
        target: RefundTarget::Event {
            event: hold(event),
            amount: Some((usd(), amount.parse().unwrap())),
        },
        reason: "a bad answer".into(),
    })
}

fn amend(id: &str, input: i64) -> Command {
    Command::Amend(Amend {
        event: event(id, "one", &[("input_tokens", input)]),
        id: call("amend"),
    })
}

fn change(id: &str, change: SubscriptionChange, when: When) -> Command {
    Command::ChangeSubscription(ChangeSubscription {
        subscription: SubscriptionId::new("tokens").unwrap(),
        id: call(id),
        change,
        when,
        proration: Proration::Prorate,
    })
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn corrected(store: Arc<dyn Store>) {
    let house = House::over(store);
    house.customer("ada", "10").await;
    house.done("ada", usage("e", "one", 2_000_000)).await;
    house.done("ada", authorize("h", 4_000_000, 0)).await;
    assert_eq!(refusal(house.reply("ada", void("h")).await), Refusal::StillHeld);
    house.done("ada", settle("h", 3_000_000, 0)).await;
    assert_eq!(house.balance("ada").await.0, "5");
    // All at once: each finds what the ones before it left, though nothing was durable when they were sent.
    let (refunded, amended, voided) = tokio::join!(
        house.done("ada", refund("r", "h", "0.5")),
        house.done("ada", amend("e", 1_000_000)),
        house.done("ada", void("h")),
    );
    assert!(matches!(refunded.answer, Answer::Corrected(_)));
    assert!(matches!(amended.answer, Answer::Corrected(_)));
    let Answer::Corrected(last) = &voided.answer else {
        panic!("{voided:?}")
    };
    assert_eq!(last.reversed[0].1.to_string(), "2.5");
    // 10 less the amended 1.
    assert_eq!(house.balance("ada").await.0, "9");
    let again = house.done("ada", void("h")).await;
    assert!(again.replayed);
    assert_eq!(again.answer, voided.answer);
    let other = Command::Void(Void {
        event: hold("h"),
        id: call("other"),
        reason: None,
    });
    assert_eq!(refusal(house.reply("ada", other).await), Refusal::EventVoided);
    assert_eq!(
        refusal(house.reply("ada", void("never")).await),
        Refusal::UnknownEvent
    );
    // The event itself is still there under its id: sent again, it is answered as it was.
    assert!(house.done("ada", usage("e", "one", 2_000_000)).await.replayed);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_find_what_was_charged() {
    corrected(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_find_what_was_charged_where_versions_are_lost() {
    let memory = MemoryStore::new();
    corrected(Arc::new(LossyStore::new(memory, 7, NonZeroU32::new(3).unwrap()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_find_what_was_charged_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let fold = Arc::new(farebox_engine::LedgerFold);
        Arc::new(JournalStore::open(dir.path(), Options::default(), fold).unwrap())
    };
    let house = House::over(open());
    house.customer("ada", "10").await;
    house.done("ada", usage("e", "one", 2_000_000)).await;
    house.engine.stop().unwrap();
    drop(house);
    let house = House::without_plan(open());
    house.done("ada", refund("r", "e", "0.5")).await;
    house.engine.stop().unwrap();
    drop(house);
    let house = House::without_plan(open());
    house.done("ada", void("e")).await;
    assert_eq!(house.balance("ada").await.0, "10");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_find_what_was_charged_after_its_id_was_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 256 << 10,
        packing: farebox_store::Packing::Off,
        ..Options::default()
    };
    let fold = Arc::new(farebox_engine::LedgerFold);
    let store = Arc::new(JournalStore::open(dir.path(), options, fold).unwrap());
    let house = House::over(Arc::clone(&store) as _);
    house.customer("ada", "10").await;
    house.done("ada", usage("e", "one", 2_000_000)).await;
    house.done("ada", authorize("h", 4_000_000, 0)).await;
    house.done("ada", settle("h", 3_000_000, 0)).await;
    // Each of these is a sync, so a block of 4 KiB of the segment.
    for n in 0..70 {
        house.done("ada", usage(&format!("filler-{n}"), "one", 0)).await;
    }
    store.forget_ids(i64::MAX);
    let ids = [Identity::Event(hold("e")), Identity::HoldEnd(hold("h"))].map(|identity| {
        let customer = farebox_record::ids::CustomerId::new("ada").unwrap();
        IdHash(identity_hash(&house.tenant, &customer, &identity))
    });
    let key = farebox_store::WalletKey::new("default", "ada");
    let known = || ids.iter().any(|id| !store.find(&key, *id).unwrap().is_empty());
    for _ in 0..800 {
        if !known() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert!(!known(), "after 20 s the ids are still known");
    // 10 less 2 and 3; half a dollar of the first comes back, and all of the second.
    house.done("ada", refund("r", "e", "0.5")).await;
    assert_eq!(house.balance("ada").await.0, "5.5");
    house.done("ada", void("h")).await;
    assert_eq!(house.balance("ada").await.0, "8.5");
    // The rest of the first one, now from its standing.
    house.done("ada", void("e")).await;
    assert_eq!(house.balance("ada").await.0, "10");
    // Its id comes again, for another event: that one stands by itself, and is taken back by itself.
    house.done("ada", usage("e", "one", 1_000_000)).await;
    assert_eq!(house.balance("ada").await.0, "9");
    house.done("ada", refund("r2", "e", "0.25")).await;
    let again = Command::Void(Void {
        event: hold("e"),
        id: call("void-again"),
        reason: None,
    });
    house.done("ada", again).await;
    assert_eq!(house.balance("ada").await.0, "10");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_of_forgotten_ids_read_no_history() {
    let store = Arc::new(crate::limping::Limping::default());
    let house = House::over(store.clone());
    house.customer("ada", "100").await;
    house.done("ada", usage("e", "one", 2_000_000)).await;
    house.done("ada", authorize("h", 4_000_000, 0)).await;
    house.done("ada", settle("h", 3_000_000, 0)).await;
    for n in 0..20 {
        house
            .done("ada", usage(&format!("filler-{n}"), "one", 1_000_000))
            .await;
    }
    store.forgets.store(true, std::sync::atomic::Ordering::SeqCst);
    store.has_past.store(true, std::sync::atomic::Ordering::SeqCst);
    // It came again under the forgotten id, for another event, and that one is forgotten by now, too.
    house.done("ada", usage("e", "one", 7_000_000)).await;
    let read_back = || store.read_back.load(std::sync::atomic::Ordering::SeqCst);
    let before = read_back();
    // 100 less 2, 3, 20 and 7: the newest under the id is the one that is meant.
    house.done("ada", void("e")).await;
    assert_eq!(house.balance("ada").await.0, "75");
    house.done("ada", refund("r", "h", "0.5")).await;
    assert_eq!(house.balance("ada").await.0, "75.5");
    let unknown = house.reply("ada", void("nobody")).await;
    assert!(
        matches!(&unknown, Reply::Refused(Refusal::UnknownEvent)),
        "{unknown:?}"
    );
    assert_eq!(read_back(), before);
    // Without it the history says the same.
    store.has_past.store(false, std::sync::atomic::Ordering::SeqCst);
    house.done("ada", void("filler-3")).await;
    assert_eq!(house.balance("ada").await.0, "76.5");
    assert!(read_back() > before);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_is_priced_by_the_revision_of_its_time() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    house.clock.advance(Span::days(9));
    house.activate(crate::house::SECOND); // twice as dear from 10 January on
    house.clock.advance(Span::days(10));
    for (id, time) in [
        ("before", "2026-01-05T00:00:00Z"),
        ("after", "2026-01-12T00:00:00Z"),
    ] {
        let mut late = event(id, "one", &[("input_tokens", 1_000_000)]);
        late.time = Some(time.parse().unwrap());
        house.done("ada", Command::Usage(late)).await;
    }
    // 1 and 2.
    assert_eq!(house.balance("ada").await.0, "7");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_event_belongs_to_its_own_period() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    // From 1 January to 2 February: the second period has begun.
    house.clock.advance(Span::days(32));
    let mut late = event("late", "one", &[("input_tokens", 1_000_000)]);
    late.time = Some("2026-01-20T00:00:00Z".parse().unwrap());
    house.done("ada", Command::Usage(late)).await;
    house.done("ada", usage("now", "one", 1_000_000)).await;
    let customer = "ada".parse().unwrap();
    let records = house.engine.history(&house.tenant, &customer, None, 2).unwrap();
    let periods: Vec<_> = records
        .iter()
        .map(|r| (r.is_late(), r.seen.pricing.as_ref().unwrap().period.index))
        .collect();
    assert_eq!(periods, [(false, 1), (true, 0)]);
    assert_eq!(house.balance("ada").await.0, "8");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_subscription_authorizes_nothing_until_it_is_resumed_and_a_cancelled_one_prices_nothing() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    house
        .done("ada", change("1", SubscriptionChange::Pause, When::Now))
        .await;
    assert!(crate::house::is_denied(
        &house.reply("ada", authorize("a", 1_000_000, 0)).await
    ));
    house
        .done("ada", change("2", SubscriptionChange::Resume, When::Now))
        .await;
    assert!(crate::house::is_allowed(
        &house.reply("ada", authorize("b", 1_000_000, 0)).await
    ));
    house
        .done("ada", change("3", SubscriptionChange::Cancel, When::PeriodEnd))
        .await;
    house.done("ada", usage("e", "one", 1_000_000)).await;
    house.clock.advance(Span::days(31));
    let wallet = house.wallet("ada").await;
    let (_, subscription) = wallet.subscriptions().next().unwrap();
    assert_eq!(
        subscription.status,
        SubscriptionStatus::Cancelled("2026-02-01T00:00:00Z".parse().unwrap())
    );
    let after = house.done("ada", usage("f", "one", 1_000_000)).await;
    assert!(matches!(after.answer, Answer::Unpriced(_)), "{after:?}");
    house.clock.advance(seconds(1));
    // What happened before the end is priced all the same, however late it comes.
    let mut late = event("late", "one", &[("input_tokens", 1_000_000)]);
    late.time = Some("2026-01-20T00:00:00Z".parse().unwrap());
    let late = house.done("ada", Command::Usage(late)).await;
    assert!(matches!(late.answer, Answer::Charged { .. }), "{late:?}");
    house.engine.stop().unwrap();
}
