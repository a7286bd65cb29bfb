//! Give-backs through lanes, loaders and a real plan: a ticket that was resolved costs 0.99, and opening it again gives that
//! back, with 0.10 for each minute of work (`host/kit/tests/plans/outcomes`).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::projection::{Every, UsageQuery};
use farebox_engine::{LedgerFold, NewRevision, Reply, ask_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::{Refusal, Wallet, verify};
use farebox_money::Nanos;
use farebox_record::Record;
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, Finality, Settle, Subscribe, default_source,
};
use farebox_record::control::BackfillTally;
use farebox_record::correction::{Amend, Refund, RefundTarget, Void};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{CallId, CustomerId, EventId, Hash, PlanName, SubscriptionId};
use farebox_record::outcome::{Account, Answer, Effect, UnpricedReason, Verdict};
use farebox_record::state::Cadence;
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options, Store, WalletKey};

use crate::following::followed;
use crate::house::{House, amounts, grant, hold, put, runtime, seconds};

fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/plans/outcomes");
        build_plan(&folder, &BuildOptions::default()).unwrap().component
    })
}

fn plan() -> PlanName {
    PlanName::new("outcomes").unwrap()
}

/// The plan in force, and a customer with 10 usd on it.
pub async fn house(store: Arc<dyn Store>) -> House {
    let house = House::without_plan(store);
    let engine = &house.engine;
    engine
        .push_component(&house.tenant, &plan(), component())
        .unwrap();
    let hash = Hash::of(component());
    engine
        .activate(&house.tenant, &plan(), &NewRevision::at_once(hash, "{}"), None)
        .unwrap();
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

pub fn resolved(id: &str) -> Event {
    Event {
        source: default_source(),
        id: EventId::new(id).unwrap(),
        event_type: "ticket.resolved".parse().unwrap(),
        time: None,
        measures: Measures::EMPTY,
        attributes: Attributes::from([("team".to_string(), "first".to_string())]),
    }
}

pub fn reopened(id: &str, of: &str, minutes: i64) -> Event {
    Event {
        event_type: "ticket.reopened".parse().unwrap(),
        measures: amounts(&[("minutes", minutes)]),
        attributes: Attributes::from([
            ("resolution".to_string(), of.to_string()),
            ("team".to_string(), "second".to_string()),
        ]),
        ..resolved(id)
    }
}

fn authorize(event: Event, mode: AuthorizeMode) -> Command {
    Command::Authorize(Authorize {
        event,
        ttl: seconds(900),
        mode,
    })
}

pub fn void(event: &str) -> Command {
    Command::Void(Void {
        event: hold(event),
        id: CallId::new("void").unwrap(),
        reason: None,
    })
}

pub fn amend(event: Event) -> Command {
    Command::Amend(Amend {
        event,
        id: CallId::new("amend").unwrap(),
    })
}

fn refund(id: &str, event: &str) -> Command {
    Command::Refund(Refund {
        id: CallId::new(id).unwrap(),
        target: RefundTarget::Event {
            event: hold(event),
            amount: None,
        },
        reason: "a bad answer".into(),
    })
}

async fn free(house: &House) -> String {
    house.balance("ada").await.0
}

/// Why an event is kept without a price.
fn kept(answer: &Answer) -> &str {
    match answer {
        Answer::Unpriced(UnpricedReason::PlanFailed { code, message }) if code == "unpostable" => message,
        other => panic!("{other:?}"),
    }
}

async fn given_back(store: Arc<dyn Store>) {
    let proof = Arc::clone(&store);
    let house = house(store).await;
    // At once: each finds what the ones before it left, though nothing was durable when they were sent.
    let commands = [
        Command::Usage(resolved("r1")),
        Command::Usage(resolved("r2")),
        Command::Usage(reopened("o1", "r1", 3)),
        Command::Usage(resolved("r3")),
        Command::Usage(reopened("o2", "r2", 5)),
        Command::Usage(reopened("o3", "r1", 7)),
        Command::Usage(reopened("o4", "never", 7)),
    ];
    let [r1, r2, o1, r3, o2, o3, o4] = commands.map(|command| house.done("ada", command));
    let (.., o1, _, o2, o3, o4) = tokio::join!(r1, r2, o1, r3, o2, o3, o4);
    let Answer::Charged { charges, .. } = &o1.answer else {
        panic!("{o1:?}")
    };
    let lines: Vec<String> = charges
        .iter()
        .map(|c| format!("{} {}", c.code, c.amount))
        .collect();
    assert_eq!(lines, ["resolution -0.99", "work 0.3"]);
    assert!(matches!(o2.answer, Answer::Charged { .. }), "{o2:?}");
    assert_eq!(
        kept(&o3.answer),
        "charge 0 of its answer gives back 0.99 usd of `resolution` of event r1, which took 0 usd for it that it has not given \
         back"
    );
    assert_eq!(
        kept(&o4.answer),
        "charge 0 of its answer gives back of event never (source api), which is not known"
    );
    // 10 - 3 x 0.99 + 2 x 0.99 - 0.30 - 0.50
    assert_eq!(free(&house).await, "8.21");
    let again = house.done("ada", Command::Usage(reopened("o1", "r1", 3))).await;
    assert!(again.replayed);
    assert_eq!(again.answer, o1.answer);

    // What is left of r1 is nothing; of r3 all.
    assert_eq!(
        house.reply("ada", refund("f1", "r1")).await.refusal(),
        Some(Refusal::NothingToGiveBack)
    );
    // A one-shot, a hold and its settlement.
    let shot = house
        .done("ada", authorize(reopened("o5", "r3", 1), AuthorizeMode::Settle))
        .await;
    assert!(matches!(&shot.answer, Answer::Allowed(allowed) if allowed.expires.is_none()));
    assert_eq!(free(&house).await, "9.1"); // + 0.99 - 0.10
    house.done("ada", Command::Usage(resolved("r4"))).await;
    let held = house
        .done("ada", authorize(reopened("h", "r4", 4), AuthorizeMode::Hold))
        .await;
    let Answer::Allowed(allowed) = &held.answer else {
        panic!("{held:?}")
    };
    assert_eq!(allowed.held[0].1.to_string(), "0.4");
    let settle = |id: &str, finality| {
        Command::Settle(Settle {
            hold: hold("h"),
            id: CallId::new(id).unwrap(),
            measures: amounts(&[("minutes", 2)]),
            attributes: Attributes::EMPTY,
            finality,
            above: AboveHold::AllowDebt,
        })
    };
    let part = house
        .reply("ada", settle("part", Finality::Partial))
        .await
        .refusal()
        .unwrap();
    assert!(part.to_string().contains("only a final settlement can"), "{part}");
    house.done("ada", settle("last", Finality::Final)).await;
    assert_eq!(free(&house).await, "8.9"); // 9.1 - 0.99 + 0.99 - 0.20

    // Corrections of those that gave: 2 minutes more; taken back; of another resolution.
    house.done("ada", amend(reopened("o1", "r1", 5))).await;
    assert_eq!(free(&house).await, "8.7");
    house.done("ada", void("o2")).await;
    assert_eq!(free(&house).await, "8.21"); // + 0.50 - 0.99
    house.done("ada", amend(reopened("o5", "r2", 1))).await;
    assert_eq!(free(&house).await, "8.21"); // r2 gives 0.99, r3 takes it again
    assert!(matches!(
        house.reply("ada", amend(resolved("r2"))).await.refusal(),
        Some(Refusal::CannotRefold(why)) if why.contains("event o5 gave back of it")
    ));
    house.done("ada", void("r4")).await;
    house.done("ada", void("h")).await;
    assert_eq!(free(&house).await, "8.41"); // 0.20 of work; r4 took nothing any more
    sums(&house).await;
    proven(&*proof, &house);
    house.engine.stop().unwrap();
}

/// Usage sums to the ledger, and each event counts for what it stands for: r1, r2 and r4 for nothing, r3 for 0.99, o1 for 0.50
/// and o5 for 0.10 of work.
async fn sums(house: &House) {
    followed(house).await;
    let query = UsageQuery {
        from: "2025-12-01T00:00:00Z".parse().unwrap(),
        to: "2027-01-01T00:00:00Z".parse().unwrap(),
        every: Every::Day,
        by: vec!["team".to_string()],
        limit: 100,
        after: None,
    };
    let ada = CustomerId::new("ada").unwrap();
    let page = house.engine.usage(&house.tenant, &ada, &query).unwrap();
    let mut charged: BTreeMap<String, i128> = BTreeMap::new();
    for group in &page.groups {
        for ((code, _), sum) in &group.totals.charges {
            *charged.entry(code.to_string()).or_default() += sum.amount.get();
        }
    }
    let text = |code: &str| Nanos::new(charged.get(code).copied().unwrap_or_default()).to_string();
    assert_eq!((text("resolution"), text("work")), ("0.99".into(), "0.6".into()));
}

/// Each record follows from the ones before it, and each answer of the plan is given again.
fn proven(store: &dyn Store, house: &House) {
    let controls = house.engine.controls();
    let key = WalletKey::new(house.tenant.as_str(), "ada");
    let mut history = store.history(&key, None, 1_000).unwrap();
    history.reverse();
    let mut wallet = Wallet::default();
    let mut asked = 0;
    let mut revenue = 0;
    for stored in history {
        let record = Record::decode(&stored.body).unwrap();
        if let Some(pricing) = &record.seen.pricing {
            let revision = controls.revision(&pricing.revision).unwrap();
            let again = ask_again(&runtime(), revision, &record, &wallet, |_, _| Default::default()).unwrap();
            match (&pricing.verdict, again) {
                (Verdict::Priced(then), farebox_runtime::Verdict::Priced(now)) => assert_eq!(*then, now),
                (then, now) => panic!("{then:?}, now {now:?}"),
            }
            asked += 1;
        }
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect
                && entry.account == Account::Revenue
            {
                revenue += entry.amount.get();
            }
        }
        wallet.replay(&record, &stored.body).unwrap();
        wallet.take_changes();
        assert_eq!(verify(&wallet), []);
    }
    assert!(asked >= 12, "{asked}");
    assert_eq!(Nanos::new(revenue).to_string(), "1.59");
}

trait Refused {
    fn refusal(self) -> Option<Refusal>;
}

impl Refused for Reply {
    fn refusal(self) -> Option<Refusal> {
        match self {
            Reply::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_gives_back_is_found() {
    given_back(Arc::new(MemoryStore::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_gives_back_is_found_where_versions_are_lost() {
    let store = LossyStore::new(MemoryStore::new(), 11, NonZeroU32::new(3).unwrap());
    given_back(Arc::new(store)).await;
}

/// It named an event that nobody knew. Behind that event and another revision it is asked about again, and given its price.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_the_event_that_it_names_is_rated() {
    let house = house(Arc::new(MemoryStore::new())).await;
    let waits = house.done("ada", Command::Usage(reopened("o", "r", 0))).await;
    assert!(kept(&waits.answer).contains("not known"), "{waits:?}");
    house.done("ada", Command::Usage(resolved("r"))).await;
    while house.wallet("ada").await.header().unpriced > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(free(&house).await, "10");
    house.engine.stop().unwrap();
}

/// A rehearsal finds what was only rehearsed: a preview says what the commit does.
#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_gives_back_of_its_own_events() {
    let house = house(Arc::new(MemoryStore::new())).await;
    house.clock.advance(farebox_record::time::Span::days(60));
    let ada = || CustomerId::new("ada").unwrap();
    let at = |mut event: Event| {
        event.time = Some("2026-01-10T12:00:00Z".parse().unwrap());
        (ada(), event)
    };
    let events = vec![
        at(resolved("r")),
        at(reopened("o", "r", 2)),
        at(reopened("o2", "r", 2)),
    ];
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    let work = move || {
        let name = CallId::new("fill").unwrap();
        engine.make_backfill(&tenant, &name, None, &events).unwrap();
        let preview = engine.preview_backfill(&tenant, &name).unwrap();
        let tally = |tally: &BackfillTally| (tally.charged, tally.unpriced, tally.refused);
        assert_eq!(tally(&preview.tally), (2, 1, 0));
        let balance = &preview.customers[0].balances[0];
        assert_eq!(balance.available.to_string(), "9.8");
        let state = engine.commit_backfill(&tenant, &name).unwrap();
        assert_eq!(tally(&state.tally), (2, 1, 0));
    };
    tokio::task::spawn_blocking(work).await.unwrap();
    assert_eq!(free(&house).await, "9.8");
    // It is taken back newest event first.
    let (engine, tenant) = (house.engine.clone(), house.tenant.clone());
    let revert = move || {
        engine
            .revert_backfill(&tenant, &CallId::new("fill").unwrap())
            .unwrap()
    };
    tokio::task::spawn_blocking(revert).await.unwrap();
    assert_eq!(free(&house).await, "10");
    house.engine.stop().unwrap();
}

/// Many at once, each with one that opens it again behind it, beside a wallet that gives nothing back.
#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_give_backs_is_carried_out_in_order() {
    let house = house(Arc::new(MemoryStore::new())).await;
    let mut sent = Vec::new();
    for n in 0..50 {
        sent.push(house.done("ada", Command::Usage(resolved(&format!("r{n}")))));
        sent.push(house.done(
            "ada",
            Command::Usage(reopened(&format!("o{n}"), &format!("r{n}"), 1)),
        ));
    }
    let done = futures(sent).await;
    let charged = |done: &&farebox_engine::Done| matches!(done.answer, Answer::Charged { .. });
    assert_eq!(done.iter().filter(charged).count(), 100);
    let sequences: Vec<u64> = done.iter().map(|done| done.sequence).collect();
    assert!(
        sequences.is_sorted(),
        "in the order in which they were sent: {sequences:?}"
    );
    assert_eq!(free(&house).await, "5"); // 50 minutes of work
    house.engine.stop().unwrap();
}

/// All of them, each polled in turn.
async fn futures<F: std::future::Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, output) in &mut futures {
            if output.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(context)
            {
                *output = Some(done);
            }
            ready &= output.is_some();
        }
        match ready {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    futures.into_iter().map(|(_, output)| output.unwrap()).collect()
}

/// The ids of usage are forgotten, and the process starts again: the event is found in the wallet's history.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_long_ago_is_found_in_the_history() {
    let dir = tempfile::tempdir().unwrap();
    let open = || JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap();
    {
        let house = house(Arc::new(open())).await;
        house.done("ada", Command::Usage(resolved("r"))).await;
        house.engine.stop().unwrap();
    }
    let house = House::without_plan(Arc::new(open()));
    house.clock.advance(farebox_record::time::Span::days(60));
    house.done("ada", Command::Usage(reopened("o", "r", 0))).await;
    assert_eq!(free(&house).await, "10");
    // Its amount is on the event now; a second one finds nothing left.
    let second = house.done("ada", Command::Usage(reopened("o2", "r", 0))).await;
    assert!(kept(&second.answer).contains("took 0 usd"), "{second:?}");
    house.done("ada", void("o")).await;
    assert_eq!(free(&house).await, "9.01");
    house.engine.stop().unwrap();
}
