//! Timers of subjects, with the standard plan that charges for outcomes: what a deadline charges belongs to the event that set
//! it.
//!
//! A resolution is 1 usd, a handoff 0.50, a day after it was claimed.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use farebox_engine::{LedgerFold, NewRevision, Reply, Round, ask_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Wallet;
use farebox_record::Record;
use farebox_record::command::{Command, Subscribe};
use farebox_record::correction::Void;
use farebox_record::event::Event;
use farebox_record::ids::{Hash, PlanName, SubscriptionId};
use farebox_record::outcome::{Effect, Verdict};
use farebox_record::state::Cadence;
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options, Store, WalletKey};

use crate::house::{House, event, grant, hold, put, runtime, usage};
use crate::limping::Limping;
use crate::pooled::until;

pub const PRICES: &str = r#"{"outcomes": {"resolution": "1", "handoff": "0.50"}, "counts_after_hours": 24}"#;
/// Nobody knows what a handoff costs.
pub const RESOLUTIONS: &str = r#"{"outcomes": {"resolution": "1"}, "counts_after_hours": 24}"#;

pub fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-outcome");
        build_plan(&folder, &BuildOptions::default()).unwrap().component
    })
}

pub fn plan() -> PlanName {
    PlanName::new("outcomes").unwrap()
}

pub fn activate(house: &House, prices: &str) {
    let engine = &house.engine;
    let hash = Hash::of(component());
    engine
        .activate(&house.tenant, &plan(), &NewRevision::at_once(hash, prices), None)
        .unwrap();
}

/// `ada` with 10 usd, on the plan.
pub async fn house(store: Arc<dyn Store>) -> House {
    furnished(House::without_plan(store)).await
}

async fn furnished(house: House) -> House {
    house
        .engine
        .push_component(&house.tenant, &plan(), component())
        .unwrap();
    activate(&house, PRICES);
    house.done("ada", put()).await;
    house.done("ada", grant("start", "10")).await;
    let subscribe = Subscribe {
        id: SubscriptionId::new("s").unwrap(),
        plan: plan(),
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    house.done("ada", Command::Subscribe(subscribe)).await;
    house
}

fn outcome(id: &str, event_type: &str, conversation: &str, kind: &str) -> Command {
    let mut said: Event = event(id, "any", &[]);
    said.event_type = event_type.parse().unwrap();
    said.attributes = [("conversation", conversation), ("outcome", kind)]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into();
    Command::Usage(said)
}

pub fn claim(id: &str, conversation: &str, kind: &str) -> Command {
    outcome(id, "outcome.claimed", conversation, kind)
}

async fn balance(house: &House) -> String {
    house.balance("ada").await.0
}

pub fn void(id: &str) -> Command {
    Command::Void(Void {
        event: hold(id),
        id: id.parse().unwrap(),
        reason: None,
    })
}

/// Asks the plan everything again, from the records alone. How many answers there were.
fn proved(house: &House, store: &dyn Store) -> usize {
    let controls = house.engine.controls();
    let mut wallet = Wallet::default();
    let mut subjects: HashMap<String, farebox_record::state::SubjectState> = HashMap::new();
    let mut records = store
        .history(&WalletKey::new("default", "ada"), None, 1_000)
        .unwrap();
    records.reverse();
    let mut proved = 0;
    for stored in records {
        let record = Record::decode(&stored.body).unwrap();
        if let Some(pricing) = &record.seen.pricing {
            let revision = controls.revision(&pricing.revision).unwrap();
            let state = |_: &SubscriptionId, name: &str| subjects.get(name).cloned().unwrap_or_default();
            let again = ask_again(&runtime(), revision, &record, &wallet, state).unwrap();
            let same = match (&pricing.verdict, &again) {
                (Verdict::Priced(then), farebox_runtime::Verdict::Priced(now)) => then == now,
                (Verdict::Rejected(then), farebox_runtime::Verdict::Rejected(now)) => then == now,
                _ => false,
            };
            assert!(same, "record {}: {again:?}", record.sequence);
            proved += 1;
        }
        for effect in &record.outcome.effects {
            if let Effect::SubjectPut(_, name, change) = effect {
                subjects.insert(name.clone(), change.clone());
            }
        }
        wallet.replay(&record, &stored.body).unwrap();
    }
    proved
}

async fn over_any_store(store: Arc<dyn Store>) {
    let house = house(Arc::clone(&store)).await;
    house.done("ada", claim("a", "c1", "resolution")).await;
    house.done("ada", claim("b", "c2", "handoff")).await;
    until(&house, "2026-01-01T23:59:59Z").await;
    assert_eq!(balance(&house).await, "10");
    // Both at one instant: each looks for its own event behind the other's record.
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(balance(&house).await, "8.5");
    house
        .done("ada", outcome("back", "outcome.objected", "c1", ""))
        .await;
    assert_eq!(balance(&house).await, "9.5");
    house.done("ada", void("b")).await;
    assert_eq!(balance(&house).await, "10");
    // What was given back of `a` is its own again when nobody came back.
    house.done("ada", void("back")).await;
    assert_eq!(balance(&house).await, "9");
    house.done("ada", void("a")).await;
    assert_eq!(balance(&house).await, "10");
    // The start, two claims, two deadlines, the objection, and three events that were taken back.
    assert_eq!(proved(&house, &*store), 9);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deadline_charges_comes_back_with_its_event() {
    over_any_store(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_versions_are_lost() {
    let store = LossyStore::new(MemoryStore::new(), 7, NonZeroU32::new(3).unwrap());
    over_any_store(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap());
    {
        let house = house(open()).await;
        house.done("ada", claim("a", "c1", "resolution")).await;
        house.engine.stop().unwrap();
    }
    let store = open();
    let house = House::without_plan(Arc::clone(&store) as _);
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(balance(&house).await, "9");
    house.done("ada", void("a")).await;
    assert_eq!(balance(&house).await, "10");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_without_an_answer_is_charged_for_its_event_later() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _).await;
    for (id, conversation) in [("a", "c1"), ("b", "c2")] {
        house.done("ada", claim(id, conversation, "handoff")).await;
    }
    activate(&house, RESOLUTIONS);
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(house.wallet("ada").await.header().unpriced, 2);
    // One of them is taken back while it waits.
    house.done("ada", void("b")).await;
    activate(&house, PRICES);
    for _ in 0..800 {
        if house.wallet("ada").await.header().unpriced == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    assert_eq!(balance(&house).await, "9.5");
    house.done("ada", void("a")).await;
    assert_eq!(balance(&house).await, "10");
    assert!(proved(&house, &*store) > 5);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_charged_behind_the_end_of_the_subscription() {
    let house = house(Arc::new(MemoryStore::new())).await;
    house.done("ada", claim("a", "c1", "resolution")).await;
    let cancel = farebox_record::lifecycle::ChangeSubscription {
        subscription: SubscriptionId::new("s").unwrap(),
        id: "cancel".parse().unwrap(),
        change: farebox_record::lifecycle::SubscriptionChange::Cancel,
        when: farebox_record::lifecycle::When::Now,
        proration: farebox_record::lifecycle::Proration::None,
    };
    assert!(matches!(
        house.reply("ada", Command::ChangeSubscription(cancel)).await,
        Reply::Done(_)
    ));
    until(&house, "2026-01-03T00:00:00Z").await;
    assert_eq!(balance(&house).await, "10");
    assert_eq!(house.wallet("ada").await.header().unpriced, 0);
    house.engine.stop().unwrap();
}

/// So many commands for `ada` in one call; all are carried out.
async fn all_done(house: &House, commands: impl Iterator<Item = Command>) {
    let replies = house.replies("ada", commands).await;
    assert!(
        replies.iter().all(|reply| matches!(reply, Reply::Done(_))),
        "{replies:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_that_are_due_together_are_looked_for_together() {
    let store = Arc::new(Limping::default());
    let house = furnished(House::in_rounds(Arc::clone(&store) as _, 2, Round::default())).await;
    house.done("ada", grant("more", "1000")).await;
    let claims = (0..600).map(|n| claim(&format!("e{n}"), &format!("c{n}"), "resolution"));
    all_done(&house, claims).await;
    let before = store.commits.load(Ordering::SeqCst);
    until(&house, "2026-01-02T00:00:00Z").await;
    assert_eq!(balance(&house).await, "410");
    // Three turns of the agenda, each behind one look. One look and one sync for each deadline would be 600.
    let commits = store.commits.load(Ordering::SeqCst) - before;
    assert!(commits <= 12, "{commits} commits");
    house.done("ada", void("e599")).await;
    assert_eq!(balance(&house).await, "411");
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_behind_the_window_of_ids_finds_its_event_by_the_time() {
    let store = Arc::new(Limping::default());
    let house = house(Arc::clone(&store) as _).await;
    all_done(&house, (0..700).map(|n| usage(&format!("before-{n}"), "one", 1))).await;
    activate(
        &house,
        r#"{"outcomes": {"resolution": "1", "handoff": "0.50"}, "counts_after_hours": 960}"#,
    );
    until(&house, "2026-01-02T00:00:00Z").await;
    // Three at one instant.
    for id in ["a", "b", "c"] {
        house.done("ada", claim(id, id, "resolution")).await;
    }
    until(&house, "2026-01-05T00:00:00Z").await;
    all_done(&house, (0..700).map(|n| usage(&format!("behind-{n}"), "one", 1))).await;
    store.forgets.store(true, Ordering::SeqCst);
    let before = store.read_back.load(Ordering::SeqCst);
    until(&house, "2026-02-11T00:00:00Z").await;
    assert_eq!(balance(&house).await, "7");
    let read = store.read_back.load(Ordering::SeqCst) - before;
    assert!(read < 400, "{read} records were read for three deadlines");
    house.done("ada", void("b")).await;
    assert_eq!(balance(&house).await, "8");
    house.engine.stop().unwrap();
}
