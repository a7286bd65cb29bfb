//! What follows the records: usage on random histories, and the change feed ([`crate::feed`]) with it after restarts, and made
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use farebox_engine::LedgerFold;
use farebox_engine::projection::{Every, Totals, UsageGroup, UsageQuery};
use farebox_money::Nanos;
use farebox_record::command::{AboveHold, Command, Finality, Release, Settle};
use farebox_record::correction::{Amend, Refund, RefundTarget, Void};
use farebox_record::fields::Text;
use farebox_record::ids::{CallId, CustomerId};
use farebox_record::outcome::{Account, Answer, Effect};
use farebox_store::{JournalStore, MemoryStore, Options, Projections as _, Store as _};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};

use crate::feed::all;
use crate::house::{House, SECOND, amounts, authorize, event, grant, hold, seconds, usage, usd};

fn ada() -> CustomerId {
    CustomerId::new("ada").unwrap()
}

/// Waits until everything that is durable has been followed.
pub async fn followed(house: &House) {
    let durable = house.engine.durable().unwrap();
    let mut watch = house.engine.watch_projections();
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), watch.until(durable)).await;
    assert!(waited.is_ok(), "the feed and the usage follow");
}

async fn groups(house: &House, every: Every, by: &[&str]) -> Vec<UsageGroup> {
    followed(house).await;
    let mut query = UsageQuery {
        from: "2025-12-01T00:00:00Z".parse().unwrap(),
        to: "2027-01-01T00:00:00Z".parse().unwrap(),
        every,
        by: by.iter().map(ToString::to_string).collect(),
        limit: 7,
        after: None,
    };
    let mut groups = Vec::new();
    loop {
        let page = house.engine.usage(&house.tenant, &ada(), &query).unwrap();
        assert!(page.groups.len() <= 7);
        groups.extend(page.groups);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return groups,
        }
    }
}

/// What a customer did, as its own books would say it.
#[derive(Default)]
struct Books {
    /// Tokens in of each event that happened.
    used: BTreeMap<String, i64>,
    open: Vec<String>,
    corrected: u32,
}

/// The same said by a name that tells rows apart, and by one that is taken for an identifier.
fn featured(feature: &str) -> [(Text, Text); 2] {
    ["feature", "feature_id"].map(|name| (Text::new(name), Text::new(feature)))
}

fn part(id: &str, n: u32, tokens: i64, feature: Option<&str>, finality: Finality) -> Command {
    Command::Settle(Settle {
        hold: hold(id),
        id: CallId::new(&format!("part-{n}")).unwrap(),
        measures: amounts(&[("input_tokens", tokens)]),
        attributes: feature.iter().flat_map(|f| featured(f)).collect(),
        finality,
        above: AboveHold::AllowDebt,
    })
}

async fn live_at_random(house: &House, seed: u64, steps: u32) -> Books {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut books = Books::default();
    house.customer("ada", "0.05").await;
    for n in 0..steps {
        let (id, tokens) = (format!("e{n}"), i64::from(random.random_range(0..20_000_u32)));
        match random.random_range(0..11) {
            0 | 1 => {
                let mut used = event(&id, "one", &[("input_tokens", tokens)]);
                used.attributes
                    .extend(featured(["chat", "search"].choose(&mut random).unwrap()));
                used.attributes.insert("request_id".into(), id.as_str().into());
                house.done("ada", Command::Usage(used)).await;
                books.used.insert(id, tokens);
            }
            2 => {
                house.done("ada", usage(&id, "two", tokens)).await; // nobody prices it yet
                books.used.insert(id, tokens);
            }
            3 => {
                let done = house.done("ada", authorize(&id, 20_000, 0)).await;
                if matches!(done.answer, Answer::Allowed(_)) {
                    books.open.push(id);
                }
            }
            4 | 5 => {
                if let Some(id) = books.open.choose(&mut random).cloned() {
                    let feature = [None, Some("late"), Some("chat")]
                        .choose(&mut random)
                        .copied()
                        .flatten();
                    let last = random.random_bool(0.4);
                    let finality = if last { Finality::Final } else { Finality::Partial };
                    house.done("ada", part(&id, n, tokens, feature, finality)).await;
                    books.used.insert(id.clone(), tokens);
                    books.open.retain(|open| !last || *open != id);
                }
            }
            6 => {
                if let Some(id) = books.open.pop() {
                    let release = Release {
                        hold: hold(&id),
                        id: CallId::new("release").unwrap(),
                    };
                    house.done("ada", Command::Release(release)).await;
                }
            }
            kind @ 7..=9 => correct_at_random(house, &mut books, &mut random, n, kind).await,
            _ => {
                house.done("ada", grant(&format!("g{n}"), "0.01")).await;
                house.clock.advance(seconds(random.random_range(0..20)));
                house.wallet("ada").await;
                // What expired can still be settled late, as a whole.
                books.open.retain(|_| random.random_bool(0.9));
                let late: Vec<String> = std::mem::take(&mut books.open);
                for id in late {
                    let reply = house
                        .reply("ada", part(&id, n, tokens, None, Finality::Partial))
                        .await;
                    if let farebox_engine::Reply::Done(done) = reply {
                        books.used.insert(id.clone(), tokens);
                        if !matches!(&done.answer, Answer::Settled(settled) if settled.ended) {
                            books.open.push(id);
                        }
                    }
                }
            }
        }
    }
    books
}

/// Takes an event that is over back, gives some of its money back, or replaces it; or is refused, where it has nothing left.
async fn correct_at_random(house: &House, books: &mut Books, random: &mut SmallRng, n: u32, kind: u32) {
    let over: Vec<&String> = (books.used.keys())
        .filter(|id| !books.open.contains(id))
        .collect();
    let Some(id) = over.choose(random).map(ToString::to_string) else {
        return;
    };
    let call = CallId::new(&format!("correct-{n}")).unwrap();
    let tokens = i64::from(random.random_range(0..20_000_u32));
    let command = match kind {
        7 => Command::Void(Void {
            event: hold(&id),
            id: call,
            reason: None,
        }),
        8 => Command::Refund(Refund {
            id: call,
            target: RefundTarget::Event {
                event: hold(&id),
                amount: random.random_bool(0.5).then(|| (usd(), Nanos::new(1_000_000))),
            },
            reason: "a bad answer".into(),
        }),
        _ => {
            let mut event = event(&id, "one", &[("input_tokens", tokens)]);
            event.attributes.extend(featured("amended"));
            Command::Amend(Amend { event, id: call })
        }
    };
    let farebox_engine::Reply::Done(_) = house.reply("ada", command).await else {
        return;
    };
    match kind {
        7 => drop(books.used.remove(&id)),
        8 => {}
        _ => drop(books.used.insert(id, tokens)),
    }
    books.corrected += 1;
}

/// Revenue by code, straight from the entries.
fn ledger(house: &House) -> BTreeMap<String, Nanos> {
    let mut revenue: BTreeMap<String, Nanos> = BTreeMap::new();
    for record in house
        .engine
        .history(&house.tenant, &ada(), None, 100_000)
        .unwrap()
    {
        for effect in &record.outcome.effects {
            let Effect::Entry(entry) = effect else { continue };
            if entry.account != Account::Revenue {
                continue;
            }
            let code = record.charge_code(entry.charge.unwrap()).unwrap();
            let sum = revenue.entry(code.to_string()).or_default();
            *sum = sum.checked_add(entry.amount).unwrap();
        }
    }
    revenue.retain(|_, sum| !sum.is_zero());
    revenue
}

fn revenue_of(totals: &Totals) -> BTreeMap<String, Nanos> {
    let all = totals.charges.iter();
    all.filter(|(_, charged)| !charged.amount.is_zero())
        .map(|((code, _), charged)| (code.to_string(), charged.amount))
        .collect()
}

fn sum(groups: &[UsageGroup]) -> Totals {
    let mut sums = Totals::default();
    for group in groups {
        sums.events += group.totals.events;
        sums.unpriced += group.totals.unpriced;
        for (name, amount) in &group.totals.measures {
            let sum = sums.measures.value(name);
            *sum = sum.checked_add(*amount).unwrap();
        }
        for (key, charged) in &group.totals.charges {
            let sum = sums.charges.entry(key.clone()).or_default();
            sum.amount = sum.amount.checked_add(charged.amount).unwrap();
            sum.quantity = sum.quantity.checked_add(charged.quantity).unwrap();
        }
    }
    sums
}

async fn check(house: &House, books: &Books) {
    let tokens: i64 = books.used.values().sum();
    for every in Every::ALL {
        // Found in the records it is what the rows say.
        let found = groups(house, every, &["feature_id"]).await;
        assert_eq!(found, groups(house, every, &["feature"]).await, "{every:?}");
        for by in [&[][..], &["feature"], &["model", "feature"], &["nothing"]] {
            let groups = groups(house, every, by).await;
            let keys: BTreeSet<_> = groups
                .iter()
                .map(|g| (g.time, g.other, g.values.clone()))
                .collect();
            assert_eq!(keys.len(), groups.len(), "a group comes once");
            assert!(
                groups
                    .windows(2)
                    .all(|w| (w[0].time, w[0].other) <= (w[1].time, w[1].other))
            );
            let sums = sum(&groups);
            assert_eq!(revenue_of(&sums), ledger(house), "{every:?} by {by:?}");
            assert_eq!(sums.events, i64::try_from(books.used.len()).unwrap());
            assert_eq!(
                sums.measures.get("input_tokens").copied().unwrap_or_default(),
                Nanos::units(tokens)
            );
        }
    }
    let wallet = house.wallet("ada").await;
    let totals = wallet
        .header()
        .assets
        .values()
        .map(|totals| totals.revenue.get())
        .sum::<i128>();
    let revenue: i128 = ledger(house).values().map(|amount| amount.get()).sum();
    assert_eq!(revenue, totals, "and the wallet says the same");
    let unpriced = sum(&groups(house, Every::Day, &[]).await).unpriced;
    assert_eq!(unpriced, i64::try_from(wallet.header().unpriced).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_sums_to_the_ledger_whatever_happens() {
    for seed in 0..6 {
        let house = House::over(Arc::new(MemoryStore::new()));
        let books = live_at_random(&house, seed, 200).await;
        assert!(books.corrected > 10, "{} corrections", books.corrected);
        check(&house, &books).await;
        house.activate(SECOND); // what had no price gets one
        for _ in 0..400 {
            if house.wallet("ada").await.header().unpriced == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        check(&house, &books).await;
        house.engine.stop().unwrap();
    }
}

/// By an identifier usage is found in the records: over several pages of them, from where the range begins, and up to a limit.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_in_the_records_is_bounded() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    let calls = |from: usize, to: usize| {
        (from..to).map(|n| {
            let mut used = event(&format!("e{n}"), "one", &[("input_tokens", 1)]);
            used.attributes
                .insert("user_id".into(), format!("u{}", n % 2).into());
            Command::Usage(used)
        })
    };
    house.replies("ada", calls(0, 2_500)).await;
    let each = |groups: Vec<UsageGroup>| {
        let groups = groups.into_iter().filter(|group| group.values[0].is_some());
        groups.map(|group| group.totals.events).collect::<Vec<_>>()
    };
    let found = groups(&house, Every::Day, &["user_id"]).await;
    assert_eq!(each(found), [1_250, 1_250]);
    for from in (2_500..52_500).step_by(10_000) {
        house.replies("ada", calls(from, from + 10_000)).await;
    }
    let begun = house.engine.now(&house.tenant);
    let query = |from| UsageQuery {
        from,
        to: begun.saturating_add(farebox_record::time::Span::days(2)),
        every: Every::Day,
        by: vec!["user_id".into()],
        limit: 200,
        after: None,
    };
    let refused = house.engine.usage(&house.tenant, &ada(), &query(begun));
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("USAGE_FOUND_RECORDS_MAX"), "{said}");
    // What is older than the range is not read.
    house.clock.advance(farebox_record::time::Span::days(1));
    house.replies("ada", calls(52_500, 52_501)).await;
    let later = house.engine.now(&house.tenant);
    let found = house.engine.usage(&house.tenant, &ada(), &query(later)).unwrap();
    assert_eq!(each(found.groups), [1]);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_usage_too_and_of_no_event() {
    use crate::pooled::{steps, until};
    let house = crate::pooled::house(Arc::new(MemoryStore::new()), "0").await;
    house.done("ada", Command::Usage(steps("a", 20))).await;
    house.done("ada", Command::Usage(steps("b", 10))).await;
    until(&house, "2026-03-01T00:00:00Z").await;
    let void = Void {
        event: hold("a"),
        id: CallId::new("void").unwrap(),
        reason: None,
    };
    house.done("ada", Command::Void(void)).await;
    // The fees of January, February and March, 5 each; of the two events, the one that stands.
    let sums = sum(&groups(&house, Every::Day, &[]).await);
    let charges = sums.charges.iter().map(|((code, asset), charged)| {
        let amounts = format!("{} of {}", charged.amount, charged.quantity);
        format!("{code} {asset}: {amounts}")
    });
    let charges: Vec<_> = charges.collect();
    assert_eq!(charges, ["fee usd: 15 of 3", "steps credits: 10 of 10"]);
    assert_eq!(sums.events, 1);
    assert_eq!(revenue_of(&sums), ledger(&house));
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_counts_where_its_event_does_whatever_the_plan_follows() {
    let house = crate::pooled::house(Arc::new(MemoryStore::new()), "0").await;
    // The plan follows tasks, so they tell no rows apart.
    let mut event = crate::pooled::steps("a", 20);
    event.attributes.insert("task".into(), "t1".into());
    house.done("ada", Command::Usage(event)).await;
    let refund = Refund {
        id: CallId::new("refund").unwrap(),
        target: RefundTarget::Event {
            event: hold("a"),
            amount: Some(("credits".parse().unwrap(), Nanos::units(5))),
        },
        reason: "a bad answer".into(),
    };
    house.done("ada", Command::Refund(refund)).await;
    let of = |group: &UsageGroup| {
        let steps = ("steps".into(), "credits".parse().unwrap());
        let charged = group.totals.charges.get(&steps).copied().unwrap_or_default();
        (group.values.clone(), charged.amount.to_string())
    };
    let rows = groups(&house, Every::Minute, &["nothing"]).await;
    let rows: Vec<_> = rows.iter().map(of).collect();
    assert_eq!(rows, [(vec![None], "15".to_string())]);
    // By what a plan follows, usage is found in the records.
    let found = groups(&house, Every::Minute, &["task"]).await;
    let found: Vec<_> = found.iter().map(of).collect();
    // The fee is of no event.
    let task = vec![Some("t1".to_string())];
    assert_eq!(found, [(vec![None], "0".to_string()), (task, "15".to_string())]);
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_settled_in_parts_is_one_event_under_what_is_known_of_it_last() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    house.done("ada", authorize("call", 1_000_000, 0)).await;
    house
        .done("ada", part("call", 1, 200_000, Some("chat"), Finality::Partial))
        .await;
    let chat = groups(&house, Every::Minute, &["feature"]).await;
    assert_eq!((chat.len(), chat[0].values[0].as_deref()), (1, Some("chat")));
    assert_eq!(chat[0].totals.measures["input_tokens"], Nanos::units(200_000));
    house.clock.advance(seconds(59));
    house
        .done("ada", part("call", 2, 500_000, Some("agent"), Finality::Final))
        .await;
    let agent = groups(&house, Every::Minute, &["feature", "model"]).await;
    assert_eq!(agent.len(), 1, "{agent:?}");
    let call = &agent[0];
    // When the call was authorized, not when it was settled.
    assert_eq!(call.time, "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(call.values, [Some("agent".to_string()), Some("one".to_string())]);
    assert_eq!(call.totals.events, 1);
    let ((_, _), charged) = call.totals.charges.first_key_value().unwrap();
    assert_eq!(
        (charged.amount.to_string(), charged.quantity.to_string()),
        ("0.5".into(), "500000".into())
    );
    house.engine.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_combinations_than_a_minute_tells_apart_are_summed_up_as_other() {
    let house = House::over(Arc::new(MemoryStore::new()));
    house.customer("ada", "10").await;
    let (last, count) = (1_030, 1_031);
    let requests = (0..count).map(|n| {
        let mut used = event(&format!("e{n}"), "one", &[("input_tokens", 1_000)]);
        used.attributes.insert("page".into(), format!("p{n}").into());
        farebox_engine::Request {
            customer: ada(),
            ask: farebox_engine::Ask::Command(Box::new(Command::Usage(used))),
        }
    });
    house
        .engine
        .call(&house.tenant, requests.collect())
        .await
        .unwrap();
    let groups = groups(&house, Every::Minute, &["page"]).await;
    assert_eq!(groups.len(), 1_001);
    let other = groups.last().unwrap();
    assert!(other.other && other.values.is_empty());
    assert_eq!(other.totals.events, 31);
    let sums = sum(&groups);
    assert_eq!(
        (sums.events, sums.measures["input_tokens"]),
        (last + 1, Nanos::units(1_031_000))
    );
    assert_eq!(revenue_of(&sums), ledger(&house));
    house.engine.stop().unwrap();
}

fn open(dir: &std::path::Path) -> Arc<JournalStore> {
    Arc::new(JournalStore::open(dir, Options::default(), Arc::new(LedgerFold)).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_the_same_after_a_restart_and_when_it_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(open(dir.path()));
    let books = live_at_random(&house, 42, 120).await;
    check(&house, &books).await;
    let (changes, usage) = (
        all(&house).await,
        groups(&house, Every::Minute, &["feature"]).await,
    );
    let now = house.clock.clone();
    house.engine.stop().unwrap();
    drop(house);
    for lost in [None, Some("state"), Some("state")] {
        if let Some(folder) = lost {
            std::fs::remove_dir_all(dir.path().join(folder)).unwrap();
        }
        let again = House::without_plan(open(dir.path()));
        again
            .clock
            .advance_to(farebox_engine::Clock::now(&*now, &again.tenant));
        let made = all(&again).await;
        assert_eq!(made[..changes.len()], changes, "with {lost:?} lost");
        assert_eq!(groups(&again, Every::Minute, &["feature"]).await, usage);
        again.engine.stop().unwrap();
        drop(again);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_of_another_format_is_thrown_away_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::over(open(dir.path()));
    house.customer("ada", "1").await;
    let changes = all(&house).await;
    house.engine.stop().unwrap();
    drop(house);
    // What a newer Farebox might leave behind.
    let store = open(dir.path());
    let left = vec![(b"v".to_vec(), Some(vec![99])), (b"f".to_vec(), Some(vec![99]))];
    store.project(store.projected().unwrap(), left).unwrap();
    store.close().unwrap();
    drop(store);
    let again = House::without_plan(open(dir.path()));
    assert_eq!(all(&again).await, changes);
    again.engine.stop().unwrap();
}
