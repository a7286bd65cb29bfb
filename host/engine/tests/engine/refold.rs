//! Corrections under a plan whose prices depend on what came before: the events behind are priced again.
//!
//! The plan's price, in dollars for a unit of the period: 0.10 up to 100, then 0.05. `a` is 80 units, `b` and `c` are 40.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{Ask, Config, Engine, ManualClock, NewRevision, Reply, Request, Work, refold_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::{Refusal, Wallet, verify};
use farebox_money::Nanos;
use farebox_record::command::{AboveHold, Authorize, AuthorizeMode, Command, Finality, Settle, Subscribe};
use farebox_record::control::OpenHolds;
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Consequence, Refund, RefundTarget, Void};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, Hash, PlanName, SubscriptionId, TenantId};
use farebox_record::outcome::{Answer, Line, Refolded};
use farebox_record::state::Cadence;
use farebox_record::time::Span;
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options, Store};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::house::{House, amounts, event, grant, hold, put, runtime, seconds, usd};

pub const PRICES: &str = r#"{"fee": "0", "credits": "0", "rollover_max": "0", "credits_per_dollar": 100,
    "price": "0.10", "beyond": [{"above": "100", "price": "0.05"}], "minimum": "0", "call_max": "5000"}"#;

/// What so many units of a period cost, worked out apart from the plan: in tenths of a cent.
fn price(units: i64) -> i64 {
    units.min(100) * 100 + (units - 100).max(0) * 50
}

fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/plans/commitment");
        build_plan(&dir, &BuildOptions::default()).unwrap().component
    })
}

fn put_plan(engine: &Engine, tenant: &TenantId) -> PlanName {
    price_by(engine, tenant, PRICES, OpenHolds::Quoted)
}

/// Puts the plan in force with these prices.
pub fn price_by(engine: &Engine, tenant: &TenantId, prices: &str, open_holds: OpenHolds) -> PlanName {
    let plan = PlanName::new("commitment").unwrap();
    engine.push_component(tenant, &plan, component()).unwrap();
    let hash = Hash::of(component());
    engine
        .activate(
            tenant,
            &plan,
            &NewRevision {
                open_holds,
                ..NewRevision::at_once(hash, prices)
            },
            None,
        )
        .unwrap();
    plan
}

fn subscribe(plan: PlanName) -> Command {
    Command::Subscribe(Subscribe {
        id: SubscriptionId::new("s").unwrap(),
        plan,
        seats: 1,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    })
}

/// `ada` with 100 dollars, on the plan.
pub async fn house(store: &Arc<dyn Store>) -> House {
    let house = House::without_plan(Arc::clone(store));
    let plan = put_plan(&house.engine, &house.tenant);
    house.done("ada", put()).await;
    house.done("ada", grant("start", "100")).await;
    house.done("ada", subscribe(plan)).await;
    house
}

pub fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

pub fn units(id: &str, units: i64) -> Event {
    let mut event = event(id, "any", &[("units", units)]);
    event.event_type = "api.call".parse().unwrap();
    event
}

pub fn used(id: &str, n: i64) -> Command {
    Command::Usage(units(id, n))
}

pub fn void(event: &str) -> Command {
    Command::Void(Void {
        event: hold(event),
        id: CallId::new("void").unwrap(),
        reason: None,
    })
}

fn amend(id: &str, key: &str, n: i64) -> Command {
    Command::Amend(Amend {
        event: units(id, n),
        id: CallId::new(key).unwrap(),
    })
}

async fn use_up(house: &House) {
    for (id, n) in [("a", 80), ("b", 40), ("c", 40)] {
        house.done("ada", used(id, n)).await;
    }
    assert_eq!(house.balance("ada").await.0, "87", "8, 3 and 2");
}

pub fn refolded(answer: &Answer) -> &Refolded {
    match answer {
        Answer::Refolded(refolded) => refolded,
        other => panic!("{other:?}"),
    }
}

/// `b +1 c +2`: what came back of each event, and what was charged in addition.
fn told(answer: &Answer) -> String {
    let moved = refolded(answer).repriced.iter().map(|repriced| {
        let back = repriced.reversed.iter().map(|(_, n)| format!("-{n}"));
        let more = repriced.charged.iter().map(|(_, n)| format!("+{n}"));
        let moved: Vec<String> = back.chain(more).collect();
        format!("{} {}", repriced.event.id, moved.join(" "))
    });
    moved.collect::<Vec<_>>().join(" ")
}

pub async fn refusal(house: &House, command: Command) -> Refusal {
    match house.reply("ada", command).await {
        Reply::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn voided(store: Arc<dyn Store>) {
    let house = house(&store).await;
    use_up(&house).await;
    let done = house.done("ada", void("a")).await;
    // 80 units are left, all of them at 0.10.
    assert_eq!(told(&done.answer), "b +1 c +2");
    assert_eq!(refolded(&done.answer).events, 2);
    assert_eq!(house.balance("ada").await.0, "92");
    // What comes next goes on from there: 20 at 0.10, 20 at 0.05.
    house.done("ada", used("d", 40)).await;
    assert_eq!(house.balance("ada").await.0, "89");
    // Once more is once.
    let again = house.done("ada", void("a")).await;
    assert!(again.replayed);
    assert_eq!(again.answer, done.answer);
    // An event that was priced again is given back as it stands now.
    let done = house.done("ada", void("c")).await;
    assert_eq!(
        refolded(&done.answer).corrected.reversed,
        [(usd(), "4".parse().unwrap())]
    );
    // `d` moves down by 40 units: all of its 40 at 0.10.
    assert_eq!(told(&done.answer), "d +1");
    assert_eq!(house.balance("ada").await.0, "92");
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_taken_back_moves_those_behind_it() {
    voided(memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_where_versions_are_lost() {
    let memory = MemoryStore::new();
    voided(Arc::new(LossyStore::new(memory, 11, NonZeroU32::new(3).unwrap()))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_it_is_over_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let store = JournalStore::open(
        dir.path(),
        Options::default(),
        Arc::new(farebox_engine::LedgerFold),
    )
    .unwrap();
    voided(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_replaced_keeps_its_place() {
    let store = memory();
    let house = house(&store).await;
    use_up(&house).await;
    // `a` fills the first tier: 10. `b` and `c` are at 0.05: 2 each.
    let done = house.done("ada", amend("a", "1", 100)).await;
    assert_eq!(told(&done.answer), "b -1");
    assert_eq!(house.balance("ada").await.0, "86");
    // And once more, from what it is by then.
    let done = house.done("ada", amend("a", "2", 20)).await;
    assert_eq!(told(&done.answer), "b +2 c +2");
    // 100 units in all: 10.
    assert_eq!(house.balance("ada").await.0, "90");
    // Of the last one nothing follows.
    let done = house.done("ada", amend("c", "3", 60)).await;
    assert_eq!(told(&done.answer), "");
    assert_eq!(house.balance("ada").await.0, "89");
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

/// Three dollars that are used before all else.
fn promo() -> Command {
    let Command::Grant(mut promo) = grant("promo", "3") else {
        unreachable!("a grant")
    };
    promo.priority = -1;
    Command::Grant(promo)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refunded_stays_so_though_its_grant_is_used_up() {
    let store = memory();
    let house = house(&store).await;
    house.done("ada", used("a", 80)).await;
    house.done("ada", promo()).await;
    house.done("ada", used("b", 40)).await;
    let refund = Command::Refund(Refund {
        id: CallId::new("refund").unwrap(),
        target: RefundTarget::Event {
            event: hold("b"),
            amount: None,
        },
        reason: "bad answer".into(),
    });
    house.done("ada", refund).await;
    // All three that came back go with an adjustment, and the grant is gone.
    let adjust = Command::Adjust(Adjust {
        id: CallId::new("adjust").unwrap(),
        asset: usd(),
        amount: "3".parse().unwrap(),
        target: AdjustTarget::Balance,
        reason: "given twice".into(),
    });
    house.done("ada", adjust).await;
    assert_eq!(house.balance("ada").await.0, "92");
    // `b` costs 4 instead of 3 then, and 3 of that are given back for good.
    let done = house.done("ada", void("a")).await;
    assert_eq!(told(&done.answer), "b +1");
    assert_eq!(house.balance("ada").await.0, "99");
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_held_count_from_where_they_were_settled() {
    let store = memory();
    let house = house(&store).await;
    house.done("ada", used("a", 80)).await;
    let authorize = Command::Authorize(Authorize {
        event: units("h", 100),
        ttl: seconds(900),
        mode: AuthorizeMode::Hold,
    });
    house.done("ada", authorize).await;
    house.done("ada", used("b", 40)).await;
    let settle = Command::Settle(Settle {
        hold: hold("h"),
        id: CallId::new("end").unwrap(),
        measures: amounts(&[("units", 40)]),
        attributes: Default::default(),
        finality: Finality::Final,
        above: AboveHold::AllowDebt,
    });
    house.done("ada", settle).await;
    // `b` came second, the call third, though it was held before: 8, 3 and 2.
    assert_eq!(house.balance("ada").await.0, "87");
    let done = house.done("ada", void("a")).await;
    assert_eq!(told(&done.answer), "b +1 h +2");
    let done = house.done("ada", void("h")).await;
    assert_eq!(told(&done.answer), "");
    assert_eq!(house.balance("ada").await.0, "96", "only the 40 units of `b`");
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_cascades_past_a_renewal() {
    let store = memory();
    let house = house(&store).await;
    use_up(&house).await;
    house.clock.advance(Span::days(32));
    house.done("ada", used("d", 120)).await;
    // 13 in January; 10 + 1 in February.
    assert_eq!(house.balance("ada").await.0, "76");
    let done = house.done("ada", void("a")).await;
    assert_eq!(told(&done.answer), "b +1 c +2");
    assert_eq!(house.balance("ada").await.0, "81");
    // A late event of January finds January as it is now: 80 units came before it, so 20 of its 40 are at 0.10.
    let mut late = units("late", 40);
    late.time = Some("2026-01-20T00:00:00Z".parse().unwrap());
    house.done("ada", Command::Usage(late)).await;
    assert_eq!(house.balance("ada").await.0, "78");
    // And it is one of January's events for the next correction.
    let done = house.done("ada", void("b")).await;
    assert_eq!(told(&done.answer), "late +1");
    assert_eq!(house.balance("ada").await.0, "81");
    // February never noticed: its next unit is at 0.05.
    house.done("ada", used("e", 20)).await;
    assert_eq!(house.balance("ada").await.0, "80");
    prove(&house, &*store);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_belong_elsewhere_is_refused() {
    let store = memory();
    let house = house(&store).await;
    use_up(&house).await;
    house.clock.advance(Span::days(32));
    let mut moved = units("c", 40);
    moved.time = Some("2026-02-01T12:00:00Z".parse().unwrap());
    let moved = Command::Amend(Amend {
        event: moved,
        id: CallId::new("1").unwrap(),
    });
    let Refusal::CannotRefold(why) = refusal(&house, moved).await else {
        panic!("another refusal")
    };
    assert!(why.contains("another period"), "{why}");
    // What the plan cannot read is told as for any event, and changes nothing.
    let refused = refusal(&house, amend("a", "2", 9_000)).await;
    assert!(matches!(refused, Refusal::InvalidEvent(_)), "{refused:?}");
    assert_eq!(house.balance("ada").await.0, "87");
    house.engine.stop().unwrap();
}

/// A correction is on its way while the wallet goes on: what arrives meanwhile is folded before it is decided. Others of its lane
/// are answered all the time.
#[test]
fn the_wallet_goes_on_while_a_term_is_folded() {
    let tenant = TenantId::new("default").unwrap();
    let store = memory();
    let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse().unwrap()));
    let config = Config {
        lanes: 1,
        on_failure: Box::new(|why| panic!("failed: {why}")),
        ..Config::default()
    };
    let engine = Engine::by_hand(config, Arc::clone(&store), runtime(), clock).unwrap();
    let plan = put_plan(&engine, &tenant);
    let runner = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let send_to = |customer: &str, command: Command| {
        let (engine, tenant) = (engine.clone(), tenant.clone());
        let customer = CustomerId::new(customer).unwrap();
        let ask = Ask::Command(Box::new(command));
        let task = runner.spawn(async move { engine.call_one(&tenant, Request { customer, ask }).await });
        runner.block_on(tokio::task::yield_now());
        task
    };
    let send = |command: Command| send_to("ada", command);
    // Everything but folding.
    let work = || {
        while let Some(work) = engine.waiting().into_iter().find(|work| *work != Work::Refold) {
            engine.step(work);
        }
        // Those who wait for an answer take it.
        for _ in 0..10 {
            runner.block_on(tokio::task::yield_now());
        }
    };
    let done = |task: tokio::task::JoinHandle<_>| match runner.block_on(task).unwrap() {
        Ok(Reply::Done(done)) => done.answer,
        other => panic!("{other:?}"),
    };
    for command in [
        put(),
        grant("start", "100"),
        subscribe(plan.clone()),
        used("a", 80),
        used("b", 40),
    ] {
        let task = send(command);
        work();
        done(task);
    }
    for command in [put(), grant("start", "100"), subscribe(plan)] {
        let task = send_to("bob", command);
        work();
        done(task);
    }
    let other = |id: &str| {
        let task = send_to("bob", used(id, 1));
        work();
        assert!(task.is_finished(), "bob waits for ada");
        done(task);
    };
    let first = send(void("a"));
    work();
    assert_eq!(engine.waiting(), [Work::Refold]);
    other("1");
    // The wallet is not held up: an event is charged as if nothing was on its way.
    let x = send(used("x", 0));
    // The same correction once more, before it is known what came of it.
    let same = send(void("a"));
    work();
    assert!(x.is_finished() && !first.is_finished() && !same.is_finished());
    done(x);
    // The next is decided, and not durable while the term is folded: the fold does not see it.
    let c = send(used("c", 40));
    engine.step(Work::Lane(0));
    engine.step(Work::Refold);
    work();
    assert!(c.is_finished() && !first.is_finished());
    done(c);
    // So the wallet waits until that one is folded too.
    assert!(engine.waiting().contains(&Work::Refold));
    let d = send(used("d", 40));
    work();
    assert!(!first.is_finished() && !d.is_finished());
    other("2");
    while !engine.waiting().is_empty() {
        work();
        engine.step(Work::Refold);
    }
    let answer = done(first);
    assert_eq!(told(&answer), "b +1 c +2");
    assert_eq!(done(same), answer);
    // `d` comes behind the correction: 20 at 0.10, 20 at 0.05.
    let Answer::Charged { charges, .. } = done(d) else {
        panic!("not charged")
    };
    assert_eq!(
        charges[0].amount.to_string(),
        "300",
        "3 dollars, stated in credits"
    );
}

/// At random: after any corrections, every event that counts costs what it would cost if nothing else had ever arrived.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_corrected_at_random_is_as_if_it_had_been_right_from_the_start() {
    for seed in 0..8 {
        let store = memory();
        let house = house(&store).await;
        let mut chance = SmallRng::seed_from_u64(seed);
        // In order of arrival; what was taken back is none.
        let mut events: Vec<Option<i64>> = Vec::new();
        for step in 0..60 {
            let kind = chance.random_range(0..10);
            let standing: Vec<usize> = (0..events.len()).filter(|i| events[*i].is_some()).collect();
            if kind < 6 || standing.is_empty() {
                let n = chance.random_range(0..40);
                house.done("ada", used(&format!("e{}", events.len()), n)).await;
                events.push(Some(n));
                continue;
            }
            let which = standing[chance.random_range(0..standing.len())];
            let name = format!("e{which}");
            match kind {
                6 | 7 => {
                    house.done("ada", void(&name)).await;
                    events[which] = None;
                }
                8 => {
                    let n = chance.random_range(0..60);
                    house.done("ada", amend(&name, &format!("k{step}"), n)).await;
                    events[which] = Some(n);
                }
                _ => {
                    // A refund changes what the customer keeps, and nothing of what anything costs.
                    let all = Command::Refund(Refund {
                        id: CallId::new(&format!("r{step}")).unwrap(),
                        target: RefundTarget::Event {
                            event: hold(&name),
                            amount: None,
                        },
                        reason: "random".into(),
                    });
                    let _ = house.reply("ada", all).await;
                }
            }
        }
        let mut before = 0;
        for (index, n) in events.iter().enumerate() {
            let customer = CustomerId::new("ada").unwrap();
            let name = hold(&format!("e{index}"));
            let standing = house
                .engine
                .standing(&house.tenant, &customer, &name)
                .unwrap()
                .unwrap();
            let said: Nanos = standing
                .lines
                .iter()
                .map(|line: &Line| line.amount)
                .fold(Nanos::ZERO, sum);
            // Credits: 100 for a dollar, so a tenth of a cent is a tenth of one.
            let expected = n.map_or(0, |n| price(before + n) - price(before));
            assert_eq!(
                said.get(),
                i128::from(expected) * 100_000_000,
                "seed {seed}, event {index}"
            );
            let kept = standing
                .slices
                .iter()
                .map(|slice| slice.amount)
                .fold(Nanos::ZERO, sum);
            assert!(
                kept.get() * 100 <= said.get(),
                "seed {seed}, event {index} keeps more than it costs"
            );
            before += n.unwrap_or(0);
        }
        prove(&house, &*store);
        house.engine.stop().unwrap();
    }
}

fn sum(a: Nanos, b: Nanos) -> Nanos {
    Nanos::new(a.get() + b.get())
}

/// Every fold can be had again from the records before it, and the wallet is sound.
pub fn prove(house: &House, store: &dyn Store) {
    let customer = CustomerId::new("ada").unwrap();
    let mut records = house
        .engine
        .history(&house.tenant, &customer, None, 10_000)
        .unwrap();
    records.reverse();
    let controls = house.engine.controls();
    let revisions = |hash: &_| controls.revision(hash).cloned();
    let mut wallet = Wallet::default();
    let mut folds = 0;
    for record in &records {
        let again = refold_again(store, &runtime(), record, &wallet, &revisions).unwrap();
        if let Some(Consequence::Refolded(then)) = record.seen.consequence.as_deref() {
            let now = again.unwrap().unwrap();
            let charges: Vec<_> = then
                .repriced
                .iter()
                .map(|r| (r.standing.event.reference(), r.charges.clone()))
                .collect();
            assert_eq!(
                (now.events, now.repriced, &now.state),
                (then.events, charges, &then.state)
            );
            folds += 1;
        } else {
            assert!(again.is_none());
        }
        wallet.replay(record, &record.encode()).unwrap();
    }
    assert!(folds > 0);
    assert_eq!(verify(&wallet), []);
}
