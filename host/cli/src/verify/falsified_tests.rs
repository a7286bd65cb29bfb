//! Histories in which the ledger was told something else than the plan answers. It posted what it was told, so the books
//! balance, the chain holds and the state follows: nothing but asking the plan again can tell.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use farebox_engine::{Ask, Config, Engine, LedgerFold, ManualClock, NewRevision, Reply, Request};
use farebox_kit::build::{BuildOptions, build_plan};
use farebox_ledger::{Wallet, append};
use farebox_money::Nanos;
use farebox_record::command::{Command, Subscribe, default_source};
use farebox_record::control::ControlState;
use farebox_record::correction::{Amend, Consequence, Refold, Void};
use farebox_record::event::Event;
use farebox_record::outcome::{Answer, Effect, Pricing, Seen, Verdict};
use farebox_record::plan::{EventRef, Priced, Rejection};
use farebox_record::time::Timestamp;
use farebox_record::{Record, identity_hash};
use farebox_runtime::Runtime;
use farebox_store::{
    Commit, Fold as _, FoldedRecord, IdHash, Image, MemoryStore, NewRecord, Store, StoredRecord, WalletKey,
};

use super::tests::{acme, grant, put_customer, tenant};
use super::{Report, verify};

/// One for all tests: each reserves address space, and this one keeps what it compiled.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let cache = tempfile::tempdir().unwrap();
        let config = farebox_runtime::Config {
            cache_dir: Some(cache.path().to_path_buf()),
            ..farebox_runtime::Config::default()
        };
        (Runtime::new(config).unwrap(), cache)
    });
    &made.0
}

/// When all of it happens.
fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn wallet() -> WalletKey {
    WalletKey::new("default", "acme")
}

/// What an engine keeps of a customer with 20 usd on a plan, who does this: its first command has the sequence 4.
fn lived(component: &[u8], prices: &str, commands: Vec<Command>) -> MemoryStore {
    let store = Arc::new(MemoryStore::new());
    let config = Config {
        lanes: 1,
        on_failure: Box::new(|why| panic!("{why}")),
        ..Config::default()
    };
    let clock = Arc::new(ManualClock::at(now()));
    let engine = Engine::by_hand(config, Arc::clone(&store) as _, runtime().clone(), clock).unwrap();
    let plan = "plan".parse().unwrap();
    let hash = engine.push_component(&tenant(), &plan, component).unwrap().hash;
    engine
        .activate(&tenant(), &plan, &NewRevision::at_once(hash, prices), None)
        .unwrap();
    let subscribe = Subscribe {
        id: "s".parse().unwrap(),
        plan,
        seats: 0,
        anchor: None,
        cadence: Default::default(),
        above_hold: Default::default(),
    };
    let begin = [
        put_customer("put-1"),
        grant("topup-1"),
        Command::Subscribe(subscribe),
    ];
    for command in begin.into_iter().chain(commands) {
        let request = Request {
            customer: acme(),
            ask: Ask::Command(Box::new(command)),
        };
        let replies = engine.call_patiently(&tenant(), &[request]).unwrap();
        assert!(matches!(replies[..], [Reply::Done(_)]), "{replies:?}");
    }
    drop(engine);
    Arc::try_unwrap(store).unwrap()
}

/// The history of a wallet, oldest first.
fn history(store: &MemoryStore, key: &WalletKey) -> Vec<StoredRecord> {
    let mut records = store.history(key, None, 1_000).unwrap();
    records.reverse();
    records
}

/// The same history, decided by the ledger once more, which is told of each record what `told` makes of it.
fn decided_again(store: &MemoryStore, mut told: impl FnMut(u64, &mut Seen)) -> MemoryStore {
    let mut again = Wallet::default();
    let decided = history(store, &wallet()).into_iter().map(|stored| {
        let record = Record::decode(&stored.body).unwrap();
        let (mut seen, at) = (record.seen, record.at);
        told(record.sequence, &mut seen);
        let (record, body) = append(&mut again, &tenant(), &acme(), record.command, seen, at).unwrap();
        (ids(&record), StoredRecord { body, ..stored })
    });
    beside_its_plans(store, decided.collect())
}

/// A store with this history of the wallet, and all that the other one has besides.
fn beside_its_plans(store: &MemoryStore, records: Vec<(Vec<IdHash>, StoredRecord)>) -> MemoryStore {
    let copy = MemoryStore::new();
    let control = WalletKey::control("default");
    let image = store.load(&control).unwrap();
    let parts = image.parts.iter();
    let state = ControlState::from_parts(parts.map(|(key, value)| (&key[..], &value[..]))).unwrap();
    let components = state.components.keys().map(|hash| format!("component-{hash}"));
    let timelines = state.plans.values().flat_map(|plan| &plan.timeline);
    let parameters = timelines.map(|activation| format!("parameters-{}", activation.revision.parameters));
    for name in components.chain(parameters) {
        copy.put_blob(&name, &store.blob(&name).unwrap().unwrap())
            .unwrap();
    }
    let planes = history(store, &control);
    let planes = planes.into_iter().map(|stored| (Vec::new(), stored));
    commit(&copy, wallet(), records);
    commit(&copy, control, planes.collect());
    copy
}

fn ids(record: &Record) -> Vec<IdHash> {
    let hash = |identity| IdHash(identity_hash(&record.tenant, &record.customer, &identity));
    record.identities().into_iter().map(hash).collect()
}

/// Keeps a history with the state that follows from it.
fn commit(store: &MemoryStore, wallet: WalletKey, records: Vec<(Vec<IdHash>, StoredRecord)>) {
    let stored: Vec<FoldedRecord<'_>> = records.iter().map(|(_, stored)| stored.into()).collect();
    let folded = LedgerFold.fold(&wallet, &Image::default(), &stored).unwrap();
    let at = now().as_micros();
    let records = records.into_iter().map(|(ids, stored)| NewRecord {
        body: stored.body,
        at,
        ids,
        origin: Default::default(),
    });
    let commit = Commit {
        wallet,
        expected: 0,
        control: None,
        records: records.collect(),
        parts: folded.parts,
        due: folded.due,
    };
    store.commit(vec![commit]).unwrap();
}

fn verified(store: &MemoryStore) -> Report {
    verify(store, None, runtime(), now(), &|_, _| {}).unwrap()
}

/// Expects that a history is sound, and is the same when it is decided once more. How many answers of plans it has.
fn sound(store: &MemoryStore) -> u64 {
    let again = decided_again(store, |_, _| {});
    for store in [store, &again] {
        let report = verified(store);
        assert_eq!(report.findings, []);
        assert_eq!((report.failures, report.reevaluated), (0, report.priced));
    }
    assert_eq!(history(&again, &wallet()), history(store, &wallet()));
    verified(store).priced
}

/// Falsifies one record, and expects that this is found, of that record, and nothing else.
fn check(store: &MemoryStore, sequence: u64, expected: &str, lie: impl Fn(&mut Seen)) {
    let falsified = decided_again(store, |of, seen| {
        if of == sequence {
            let truth = seen.clone();
            lie(seen);
            assert_ne!(*seen, truth, "a lie says something else");
        }
    });
    let report = verified(&falsified);
    let found: Vec<_> = (report.findings.iter())
        .map(|finding| (&finding.wallet, finding.rule, finding.sequence))
        .collect();
    assert_eq!(
        found,
        [(&wallet(), "price", Some(sequence))],
        "{:?}",
        report.findings
    );
    let what = &report.findings[0].what;
    assert!(what.contains(expected), "{what}");
    assert_eq!(
        report.reevaluated + 1,
        report.priced,
        "it does not count as proven"
    );
    let output = report.output();
    let place = format!("default/acme record {sequence} [price] {what}");
    assert!(output.failed.is_some(), "the command fails");
    assert!(output.text.contains(&place), "{}", output.text);
}

/// What was seen of a record.
fn seen(store: &MemoryStore, sequence: u64) -> Seen {
    let stored = store.history(&wallet(), Some(sequence + 1), 1).unwrap();
    Record::decode(&stored[0].body).unwrap().seen
}

fn priced(pricing: &mut Pricing) -> &mut Priced {
    match &mut pricing.verdict {
        Verdict::Priced(priced) => priced,
        other => panic!("{other:?}"),
    }
}

/// What the plan said of the command itself.
fn answer(seen: &mut Seen) -> &mut Priced {
    priced(seen.pricing.as_mut().unwrap())
}

fn event(id: &str, event_type: &str, measures: &[(&str, i64)], attributes: &[(&str, &str)]) -> Event {
    let measures = measures.iter();
    let attributes = attributes.iter();
    Event {
        source: default_source(),
        id: id.parse().unwrap(),
        event_type: event_type.parse().unwrap(),
        time: None,
        measures: measures
            .map(|(name, units)| (name.to_string(), Nanos::units(*units)))
            .collect(),
        attributes: attributes
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
    }
}

fn amend(event: Event) -> Command {
    Command::Amend(Amend {
        event,
        id: "amend".parse().unwrap(),
    })
}

/// A call for 2 usd.
fn call() -> MemoryStore {
    let component = farebox_standard::find("per-token").unwrap().component;
    let prices =
        r#"{"providers": {"test": {"models": {"one": {"prices": {"input": "1", "output": "10"}}}}}}"#;
    let call = event(
        "e",
        "llm.call",
        &[("input_tokens", 2_000_000)],
        &[("model", "one")],
    );
    lived(component, prices, vec![Command::Usage(call)])
}

const OTHERWISE: &str = "the plan answers differently now: recorded ";

#[test]
fn another_price_than_the_plan_asks_is_found() {
    let store = call();
    assert_eq!(sound(&store), 2, "the start and the call");
    check(&store, 4, &format!("{OTHERWISE}Priced"), |seen| {
        let amount = &mut answer(seen).charges[0].price.amount;
        assert_eq!(*amount, "2".parse().unwrap());
        *amount = "1.999999999".parse().unwrap();
    });
    check(&store, 4, OTHERWISE, |seen| answer(seen).charges.clear());
    check(&store, 4, &format!("{OTHERWISE}Rejected"), |seen| {
        seen.pricing.as_mut().unwrap().verdict = Verdict::Rejected(Rejection::Overflow);
    });
    // A fee to begin with, of a plan that has none.
    let charge = answer(&mut seen(&store, 4)).charges[0].clone();
    check(&store, 3, OTHERWISE, |seen| {
        answer(seen).charges.push(charge.clone());
    });
}

#[test]
fn a_price_of_what_no_plan_prices_is_found() {
    let store = call();
    let pricing = seen(&store, 4).pricing;
    check(&store, 2, "is not one that a plan prices in this state", |seen| {
        seen.pricing.clone_from(&pricing);
    });
}

/// A resolution is 1 usd.
fn resolved(event_type: &str, conversation: &str) -> Event {
    let attributes = [("conversation", conversation), ("outcome", "resolution")];
    event("a", event_type, &[], &attributes)
}

fn outcomes(commands: Vec<Command>) -> MemoryStore {
    let component = farebox_standard::find("per-outcome").unwrap().component;
    let prices = r#"{"outcomes": {"resolution": "1"}, "counts_after_hours": 24}"#;
    lived(component, prices, commands)
}

#[test]
fn what_the_plan_keeps_and_when_it_is_woken_is_its_answer_too() {
    let store = outcomes(vec![Command::Usage(resolved("outcome.claimed", "c1"))]);
    assert_eq!(sound(&store), 2, "the start and the claim");
    check(&store, 4, OTHERWISE, |seen| {
        answer(seen).subject.as_mut().unwrap().state.push(0);
    });
    check(&store, 4, OTHERWISE, |seen| answer(seen).timers.clear());
}

#[test]
fn another_answer_to_an_event_that_is_replaced_is_found() {
    // What happened in one conversation happened in another one, so the second question knows nothing of the first answer.
    let first = resolved("outcome.confirmed", "c1");
    let second = resolved("outcome.confirmed", "c2");
    let store = outcomes(vec![Command::Usage(first), amend(second)]);
    assert_eq!(
        sound(&store),
        4,
        "the start, the outcome, its end, and the one that replaces it"
    );
    let told = |seen: &mut Seen, lie: &dyn Fn(&mut Pricing)| match seen.consequence.as_deref_mut() {
        Some(Consequence::Reversed(reversal)) => lie(reversal),
        other => panic!("{other:?}"),
    };
    check(&store, 5, &format!("{OTHERWISE}Priced"), |seen| {
        told(seen, &|reversal| {
            priced(reversal).subject.as_mut().unwrap().state.push(0);
        });
    });
    let charge = answer(&mut seen(&store, 5)).charges[0].clone();
    check(&store, 5, OTHERWISE, |seen| {
        told(seen, &|reversal| priced(reversal).charges.push(charge.clone()));
    });
    // The second answer of the same record is compared as well.
    check(&store, 5, OTHERWISE, |seen| {
        answer(seen).charges[0].price.amount = "0.5".parse().unwrap();
    });
    // Nothing was replaced by the outcome itself.
    let consequence = seen(&store, 5).consequence;
    check(&store, 4, "is not one that a plan prices in this state", |seen| {
        seen.consequence.clone_from(&consequence);
    });
}

/// A unit is 0.10 usd up to 100 of them, then 0.05: `a` of 80 units costs 8, `b` and `c` of 40 cost 3 and 2.
fn graduated(correction: Command) -> MemoryStore {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    let component = BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/plans/commitment");
        build_plan(&folder, &BuildOptions::default()).unwrap().component
    });
    let prices = r#"{"fee": "0", "credits": "0", "rollover_max": "0", "credits_per_dollar": 100, "price": "0.10",
        "beyond": [{"above": "100", "price": "0.05"}], "minimum": "0", "call_max": "5000"}"#;
    let used = [("a", 80), ("b", 40), ("c", 40)];
    let used = used.map(|(id, units)| Command::Usage(used_units(id, units)));
    lived(component, prices, used.into_iter().chain([correction]).collect())
}

fn used_units(id: &str, units: i64) -> Event {
    event(id, "api.call", &[("units", units)], &[])
}

fn refold(seen: &mut Seen) -> &mut Refold {
    match seen.consequence.as_deref_mut() {
        Some(Consequence::Refolded(refold)) => refold,
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_prices_behind_an_event_that_is_taken_back_are_found() {
    let void = Void {
        event: EventRef {
            source: default_source(),
            id: "a".parse().unwrap(),
        },
        id: "void".parse().unwrap(),
        reason: None,
    };
    let store = graduated(Command::Void(void));
    assert_eq!(sound(&store), 5, "the start, three calls, and the fold");
    // 80 units are left, all of them at 0.10.
    let others = "stand behind the correction now: recorded [b, c], now [b, c]";
    check(&store, 7, others, |seen| {
        // Of its price in dollars, as there are no credits.
        let amount = &mut refold(seen).repriced[1].charges[0].otherwise[0].amount;
        assert_eq!(*amount, "4".parse().unwrap());
        *amount = "3.5".parse().unwrap();
    });
    let fewer = "stand behind the correction now: recorded [b], now [b, c]";
    check(&store, 7, fewer, |seen| {
        refold(seen).repriced.pop();
    });
    let state = "the plan's state behind 2 events is another one now (recorded: 2 events)";
    check(&store, 7, state, |seen| refold(seen).state.push(0));
    let events = "the plan's state behind 2 events is another one now (recorded: 3 events)";
    check(&store, 7, events, |seen| refold(seen).events = 3);
    // A call corrects nothing, so nothing can have been folded.
    let consequence = seen(&store, 7).consequence;
    let nothing = "the term cannot be folded again: its subscription or its event is missing";
    let falsified = decided_again(&store, |sequence, seen| {
        if sequence == 5 {
            seen.consequence.clone_from(&consequence);
        }
    });
    let found = verified(&falsified).findings;
    assert_eq!((found[0].rule, found[0].sequence), ("price", Some(5)));
    assert_eq!(found[0].what, nothing);
}

#[test]
fn another_price_of_an_event_that_takes_the_place_of_one_before_others_is_found() {
    let store = graduated(amend(used_units("a", 60)));
    assert_eq!(
        sound(&store),
        5,
        "the start, three calls, and the fold with the event in it"
    );
    // 60 units at 0.10; `b` fills the hundred, and `c` costs what it did.
    check(&store, 7, &format!("{OTHERWISE}Priced"), |seen| {
        assert_eq!(refold(seen).repriced.len(), 1);
        let amount = &mut answer(seen).charges[0].otherwise[0].amount;
        assert_eq!(*amount, "6".parse().unwrap());
        *amount = "5".parse().unwrap();
    });
    check(
        &store,
        7,
        "stand behind the correction now: recorded [], now [b]",
        |seen| {
            refold(seen).repriced.clear();
        },
    );
}

/// The same history with one record that says something else, and everything that follows from it. What is found.
fn recorded_otherwise(
    store: &MemoryStore,
    sequence: u64,
    lie: impl Fn(&mut Record),
) -> Vec<(&'static str, String)> {
    let mut wallet_then = Wallet::default();
    let records = history(store, &wallet()).into_iter().map(|stored| {
        let mut record = Record::decode(&stored.body).unwrap();
        if record.sequence == sequence {
            lie(&mut record);
        }
        record.previous = wallet_then.header().chain;
        let body = record.encode();
        wallet_then.replay(&record, &body).unwrap();
        (ids(&record), StoredRecord { body, ..stored })
    });
    let report = verified(&beside_its_plans(store, records.collect()));
    assert_eq!(report.decided + report.findings.len() as u64, report.records);
    let findings = report.findings.into_iter();
    findings
        .map(|finding| {
            assert_eq!((&finding.wallet, finding.sequence), (&wallet(), Some(sequence)));
            (finding.rule, finding.what)
        })
        .collect()
}

#[test]
fn what_the_ledger_does_not_decide_is_found() {
    let store = call();
    assert_eq!(recorded_otherwise(&store, 4, |_| {}), []);
    // The plan asks 2, and 10 are taken.
    let found = recorded_otherwise(&store, 4, |record| {
        for effect in &mut record.outcome.effects {
            if let Effect::Entry(entry) = effect {
                entry.amount = Nanos::new(5 * entry.amount.get());
            }
        }
    });
    let [("decision", what)] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(
        what.starts_with("decided again, its outcome is another one: recorded Entry("),
        "{what}"
    );
    // Nobody was told of the grant that is there.
    let found = recorded_otherwise(&store, 2, |record| {
        record.outcome.answer = Answer::Customer { created: true }
    });
    let [("decision", what)] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(what.contains("recorded Customer"), "{what}");
    // An event from the future would have been refused.
    let found = recorded_otherwise(&store, 4, |record| {
        if let Command::Usage(event) = &mut record.command {
            event.time = Some("2026-01-01T01:00:00Z".parse().unwrap());
        }
    });
    let [("decision", what)] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(
        what.starts_with("decided again, its command is refused: "),
        "{what}"
    );
}
