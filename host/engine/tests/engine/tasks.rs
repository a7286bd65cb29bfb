//! Quotes behind open holds, of a plan with two assets whose prices depend on other calls, of other tasks too.
//!
//! The plan is in `tests/tasks`: 100 steps cost a credit each, further ones half a dollar, and each call of a task from the
//! third on takes ten steps more.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{Ask, LedgerFold, NewRevision, Reply, Request, ask_again};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::Wallet;
use farebox_record::Record;
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Command, Extend, Finality, Release, Settle, Subscribe,
};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, Hash, PlanName, RevisionHash, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::outcome::{Answer, Effect, Verdict};
use farebox_record::state::Cadence;
use farebox_store::{JournalStore, LossyStore, MemoryStore, Options, Store, WalletKey};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::house::{House, amounts, event, grant, hold, put, runtime, seconds};

pub fn component() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| built("tasks"))
}

/// A plan of these tests.
pub fn built(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    build_plan(&folder, &BuildOptions::default()).unwrap().component
}

pub fn plan() -> PlanName {
    PlanName::new("tasks").unwrap()
}

pub fn subscription() -> SubscriptionId {
    SubscriptionId::new("s").unwrap()
}

/// The same prices; spaces make it another revision.
fn activate(house: &House, spaces: usize) -> RevisionHash {
    let parameters = format!("{{{}}}", " ".repeat(spaces));
    let hash = Hash::of(component());
    let activated = house
        .engine
        .activate(
            &house.tenant,
            &plan(),
            &NewRevision::at_once(hash, &parameters),
            None,
        )
        .unwrap();
    activated.activation.revision
}

pub fn house(store: Arc<dyn Store>) -> House {
    let house = House::without_plan(store);
    house
        .engine
        .push_component(&house.tenant, &plan(), component())
        .unwrap();
    activate(&house, 0);
    house
}

/// A customer with credits and dollars, on the plan.
pub async fn customer(house: &House, name: &str, credits: &str, usd: &str) {
    house.done(name, put()).await;
    let mut pool = grant("credits", credits);
    if let Command::Grant(grant) = &mut pool {
        grant.asset = "credits".parse().unwrap();
    }
    house.done(name, pool).await;
    house.done(name, grant("usd", usd)).await;
    let subscribe = Subscribe {
        id: subscription(),
        plan: plan(),
        seats: 0,
        anchor: None,
        cadence: Cadence::Monthly,
        above_hold: Default::default(),
    };
    house.done(name, Command::Subscribe(subscribe)).await;
}

pub fn call(id: &str, task: Option<&str>, steps: i64) -> Event {
    let mut event = event(id, "any", &[("steps", steps)]);
    event.event_type = "tool.call".parse().unwrap();
    if let Some(task) = task {
        event.attributes.insert("task".into(), task.into());
    }
    event
}

pub fn authorize(id: &str, task: Option<&str>, most: i64) -> Command {
    Command::Authorize(Authorize {
        event: call(id, task, most),
        ttl: seconds(900),
        mode: AuthorizeMode::Hold,
    })
}

pub fn settle(id: &str, nth: usize, used: i64, finality: Finality) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new(&format!("settle-{nth}")).unwrap(),
        measures: amounts(&[("steps", used)]),
        attributes: Default::default(),
        finality,
        above: AboveHold::AllowDebt,
    })
}

async fn all_at_once(house: &House, customer: &str, commands: Vec<Command>) -> Vec<Reply> {
    let requests = commands.into_iter().map(|command| Request {
        customer: CustomerId::new(customer).unwrap(),
        ask: Ask::Command(Box::new(command)),
    });
    house
        .engine
        .call(&house.tenant, requests.collect())
        .await
        .unwrap()
}

/// What an authorize holds, in order of asset.
async fn held(house: &House, customer: &str, id: &str, task: Option<&str>, most: i64) -> String {
    let done = house.done(customer, authorize(id, task, most)).await;
    let Answer::Allowed(allowed) = done.answer else {
        panic!("{done:?}")
    };
    let mut held: Vec<String> = allowed
        .held
        .iter()
        .map(|(asset, amount)| format!("{amount} {asset}"))
        .collect();
    held.sort_by_key(|held| held.split(' ').nth(1).map(str::to_string));
    held.join(", ")
}

/// Available, held and owed.
pub async fn balance(house: &House, customer: &str, asset: &str) -> [String; 3] {
    let balances = house.wallet(customer).await.balances();
    let of = balances.iter().find(|b| b.asset.as_str() == asset).unwrap();
    [&of.available, &of.held, &of.debt].map(ToString::to_string)
}

/// Asks for every price again, from each record and the wallet before it, with nothing that was kept meanwhile. Gives the
/// charges that were quoted for holds.
pub fn again(house: &House, store: &dyn Store, customer: &str) -> Vec<Vec<String>> {
    let controls = house.engine.controls();
    let mut wallet = Wallet::default();
    let mut subjects: HashMap<(SubscriptionId, String), farebox_record::state::SubjectState> = HashMap::new();
    let mut quotes = Vec::new();
    let mut records = store
        .history(&WalletKey::new("default", customer), None, usize::MAX)
        .unwrap();
    records.reverse();
    for stored in records {
        let record = Record::decode(&stored.body).unwrap();
        if let Some(pricing) = &record.seen.pricing {
            let revision = controls.revision(&pricing.revision).unwrap();
            let state = |subscription: &SubscriptionId, name: &str| {
                let key = (subscription.clone(), name.to_string());
                subjects.get(&key).cloned().unwrap_or_default()
            };
            let again = ask_again(&runtime(), revision, &record, &wallet, state).unwrap();
            match (&pricing.verdict, &again) {
                (Verdict::Priced(then), farebox_runtime::Verdict::Priced(now)) => {
                    assert_eq!(then, now, "record {}: {:?}", record.sequence, record.command);
                    if matches!(record.command, Command::Authorize(_) | Command::Extend(_)) {
                        quotes.push(then.charges.iter().map(|c| c.code.to_string()).collect());
                    }
                }
                (Verdict::Rejected(then), farebox_runtime::Verdict::Rejected(now)) => assert_eq!(then, now),
                (then, now) => panic!("record {}: {then:?}, and now {now:?}", record.sequence),
            }
        }
        for effect in &record.outcome.effects {
            if let Effect::SubjectPut(subscription, name, change) = effect {
                subjects.insert((subscription.clone(), name.clone()), change.clone());
            }
        }
        wallet.replay(&record, &stored.body).unwrap();
    }
    quotes
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_covers_all_calls_in_each_asset_whatever_order_they_settle_in() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    for (customer, order) in [
        ("ada", ["a", "b", "c", "d", "e"]),
        ("ben", ["e", "d", "c", "b", "a"]),
    ] {
        // Exactly what is held below.
        self::customer(&house, customer, "174", "42").await;
        let held = |id, task, most| held(&house, customer, id, task, most);
        assert_eq!(held("a", Some("one"), 80).await, "80 credits");
        // Of another task, and all the same: if it settles first it needs 80 credits, behind `a` 20 credits and 60 x 0.5 usd.
        assert_eq!(held("b", Some("two"), 80).await, "80 credits, 30 usd");
        assert_eq!(held("c", Some("one"), 10).await, "10 credits, 5 usd");
        // Behind `a` and `c` it is the third call of its task: 12 steps. Alone it takes 2, from the pool.
        assert_eq!(held("d", Some("one"), 2).await, "2 credits, 6 usd");
        assert_eq!(held("e", None, 2).await, "2 credits, 1 usd");
        assert_eq!(balance(&house, customer, "credits").await, ["0", "174", "0"]);
        assert_eq!(balance(&house, customer, "usd").await, ["0", "42", "0"]);
        let most = HashMap::from([("a", 80), ("b", 80), ("c", 10), ("d", 2), ("e", 2)]);
        for id in order {
            let done = house
                .done(customer, settle(id, 0, most[id], Finality::Final))
                .await;
            assert!(matches!(done.answer, Answer::Settled(_)), "{done:?}");
        }
        // 174 steps, and 10 for the third call of `one`: 100 x 1 credit and 84 x 0.5 usd.
        assert_eq!(balance(&house, customer, "credits").await, ["74", "0", "0"]);
        assert_eq!(balance(&house, customer, "usd").await, ["0", "0", "0"]);
        again(&house, &*store, customer);
    }
    house.engine.stop().unwrap();
}

/// A hold that is raised is quoted behind the others, and those after it behind what it was raised to.
#[tokio::test(flavor = "multi_thread")]
async fn a_raised_hold_counts_with_what_it_was_raised_to() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    customer(&house, "ada", "1000", "1000").await;
    assert_eq!(held(&house, "ada", "a", None, 10).await, "10 credits");
    assert_eq!(held(&house, "ada", "b", None, 10).await, "10 credits");
    let raise = Command::Extend(Extend {
        hold: hold("a"),
        id: CallId::new("raise").unwrap(),
        ttl: seconds(900),
        measures: amounts(&[("steps", 100)]),
    });
    let done = house.done("ada", raise).await;
    let Answer::Extended { held: raised, .. } = &done.answer else {
        panic!("{done:?}")
    };
    // 100 from the pool if it settles first; behind the 10 of `b`, 90 and 10 x 0.5 usd.
    let mut raised: Vec<String> = raised.iter().map(|(asset, n)| format!("{n} {asset}")).collect();
    raised.sort();
    assert_eq!(raised, ["100 credits", "5 usd"]);
    // Behind 110 steps.
    assert_eq!(held(&house, "ada", "c", None, 10).await, "10 credits, 5 usd");
    let release = Command::Release(Release {
        hold: hold("a"),
        id: CallId::new("end").unwrap(),
    });
    house.done("ada", release).await;
    // Behind the 20 of `b` and `c`.
    assert_eq!(held(&house, "ada", "d", None, 10).await, "10 credits");
    again(&house, &*store, "ada");
    house.engine.stop().unwrap();
}

/// 400 calls at once cost three prices each: at the committed state, of the hold before it, and behind it. Together that
/// would be 80,000 if each were computed behind all of them anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_costs_the_same_behind_any_number_of_open_holds() {
    let store = Arc::new(MemoryStore::new());
    let house = house(Arc::clone(&store) as _);
    customer(&house, "ada", "100000", "100000").await;
    let revision = activate(&house, 1);
    let tasks = ["one", "two", "three"];
    let calls = (0..400).map(|n| authorize(&format!("call-{n:03}"), Some(tasks[n % 3]), 1));
    let replies = all_at_once(&house, "ada", calls.collect()).await;
    assert!(replies.iter().all(crate::house::is_allowed));
    let controls = house.engine.controls();
    let answered = controls.revision(&revision).unwrap().health().answered;
    assert_eq!(answered, 1 + 399 * 3);
    // Of 400 calls, the first two of each of the 3 tasks take 1 step and the others 11: 6 + 394 x 11 = 4340 steps, 100 of
    // them from the pool. And one behind them, twice: from the pool, and beyond it.
    assert_eq!(held(&house, "ada", "last", None, 1).await, "1 credits, 0.5 usd");
    again(&house, &*store, "ada");
    house.engine.stop().unwrap();
}

/// The states of all tasks that open holds are about are fetched, in as many steps as that takes: only the last 44 of these
/// 300 have been called twice before, so only those take more steps than the none that they say.
#[tokio::test(flavor = "multi_thread")]
async fn the_states_of_many_subjects_are_fetched_for_a_quote() {
    let dir = tempfile::tempdir().unwrap();
    let before = house(open(dir.path()));
    customer(&before, "ada", "1000", "1000").await;
    let task = |n: usize| format!("task-{n:03}");
    let used = (256..300).flat_map(|n| ["x", "y"].map(|id| (n, id)));
    let used = used.map(|(n, id)| Command::Usage(call(&format!("{id}-{n}"), Some(&task(n)), 0)));
    all_at_once(&before, "ada", used.collect()).await;
    let holds = (0..300).map(|n| authorize(&format!("hold-{n:03}"), Some(&task(n)), 0));
    all_at_once(&before, "ada", holds.collect()).await;
    assert_eq!(before.wallet("ada").await.holds().count(), 300);
    before.engine.stop().unwrap();
    drop(before);

    let store = open(dir.path());
    let after = House::without_plan(Arc::clone(&store) as _);
    // Behind 440 steps.
    assert_eq!(held(&after, "ada", "last", None, 2).await, "2 credits, 1 usd");
    again(&after, &*store, "ada");
    after.engine.stop().unwrap();
}

fn open(dir: &Path) -> Arc<JournalStore> {
    Arc::new(JournalStore::open(dir, Options::default(), Arc::new(LedgerFold)).unwrap())
}

/// What a random caller does.
struct Caller {
    rng: SmallRng,
    /// Holds that may be open, and their maximums.
    open: Vec<(String, i64)>,
    made: usize,
}

impl Caller {
    fn new(seed: u64) -> Caller {
        Caller {
            rng: SmallRng::seed_from_u64(seed),
            open: Vec::new(),
            made: 0,
        }
    }

    /// Ids in no order, so that of calls that are opened at one instant the last is not always the last one.
    fn event(&mut self) -> Event {
        self.made += 1;
        let id = format!("{:02}-{}", self.rng.random_range(0..100), self.made);
        let task = [None, Some("one"), Some("two"), Some("three")][self.rng.random_range(0..4)];
        call(&id, task, self.rng.random_range(0..=30))
    }

    fn authorize(&mut self) -> Command {
        let event = self.event();
        let most = event.measures["steps"].get() / 1_000_000_000;
        self.open
            .push((event.id.to_string(), i64::try_from(most).unwrap()));
        Command::Authorize(Authorize {
            event,
            ttl: seconds(self.rng.random_range(2..200)),
            mode: AuthorizeMode::Hold,
        })
    }

    fn command(&mut self) -> Command {
        self.made += 1;
        let id = CallId::new(&format!("c-{}", self.made)).unwrap();
        let kind = self.rng.random_range(0..100);
        let at = match self.open.len() {
            0 => return self.authorize(),
            open => self.rng.random_range(0..open),
        };
        match kind {
            0..60 => self.authorize(),
            60..68 => Command::Usage(self.event()),
            68..70 => Command::ChangeSubscription(ChangeSubscription {
                subscription: subscription(),
                id,
                change: SubscriptionChange::Seats(self.rng.random_range(1..5)),
                when: When::Now,
                proration: Proration::None,
            }),
            70..76 => Command::Extend(Extend {
                hold: hold(&self.open[at].0),
                id,
                ttl: seconds(100),
                measures: match self.rng.random_range(0..2) {
                    0 => amounts(&[]),
                    _ => amounts(&[("steps", self.open[at].1 + 5)]),
                },
            }),
            76..81 => settle(
                &self.open[at].0,
                self.made,
                self.open[at].1 / 2,
                Finality::Partial,
            ),
            81..90 => {
                let (id, most) = self.open.swap_remove(at);
                settle(&id, self.made, self.rng.random_range(0..=most), Finality::Final)
            }
            _ => Command::Release(Release {
                hold: hold(&self.open.swap_remove(at).0),
                id,
            }),
        }
    }
}

/// Random calls, alone and at once, at standing and moving clocks, under revisions that alternate, with holds that end in
/// every way, on a store that loses commits: each quote is the one that is computed from nothing but the wallet before it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_from_quote_to_quote_makes_no_difference() {
    let lossy = LossyStore::new(MemoryStore::new(), 1, 5.try_into().unwrap());
    let stores: [Arc<dyn Store>; 2] = [Arc::new(MemoryStore::new()), Arc::new(lossy)];
    for store in stores {
        let house = house(Arc::clone(&store));
        let (mut quotes, mut in_both) = (0, 0);
        for seed in 0..16 {
            println!("seed {seed}");
            let name = format!("customer-{seed}");
            customer(&house, &name, "10000", "10000").await;
            let mut caller = Caller::new(seed);
            for _ in 0..40 {
                let count = [1, 1, 2, 12][caller.rng.random_range(0..4)];
                let commands = (0..count).map(|_| caller.command()).collect();
                all_at_once(&house, &name, commands).await;
                if caller.rng.random_range(0..3) == 0 {
                    house.clock.advance(seconds(caller.rng.random_range(1..20)));
                }
                if caller.rng.random_range(0..12) == 0 {
                    activate(&house, caller.rng.random_range(0..2));
                }
            }
            let of_one = again(&house, &*store, &name);
            quotes += of_one.len();
            in_both += of_one.iter().filter(|codes| codes.len() == 2).count();
        }
        assert!(
            quotes > 1_000 && in_both > 200,
            "{quotes} quotes, {in_both} in both assets"
        );
        house.engine.stop().unwrap();
    }
}

/// As many as an answer may hold: each is found by an id of its own, in the record of the subscription.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_may_begin_with_sixteen_grants() {
    let dir = tempfile::tempdir().unwrap();
    let store = JournalStore::open(dir.path(), Options::default(), Arc::new(LedgerFold)).unwrap();
    let house = house(Arc::new(store));
    let hash = Hash::of(component());
    house
        .engine
        .activate(
            &house.tenant,
            &plan(),
            &NewRevision::at_once(hash, r#"{"gifts": 16}"#),
            None,
        )
        .unwrap();
    customer(&house, "ada", "1", "1").await;
    let wallet = house.wallet("ada").await;
    let gifts = wallet
        .grants()
        .filter(|(_, grant)| grant.label.as_deref() == Some("gift"));
    assert_eq!(gifts.count(), 16);
    house.engine.stop().unwrap();
}
