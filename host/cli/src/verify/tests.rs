//! Stores that are wrong in one way each.

use std::collections::BTreeMap;

use farebox_engine::projection::{Accounts, BookAccount, RecordFollow};
use farebox_ledger::limits::CARRIED_RECORDS;
use farebox_ledger::{Wallet, append};
use farebox_money::Nanos;
use farebox_record::Record;
use farebox_record::codec;
use farebox_record::command::{Command, Grant, PutCustomer, default_source};
use farebox_record::control::{
    ClockStep, ControlCommand, ControlEffect, ControlRecord, ControlState, TenantKind, TenantState,
};
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::identity_hash;
use farebox_record::ids::{CallId, CustomerId, EventId, GrantId, TenantId};
use farebox_record::outcome::{Effect, Pricing, Seen, Verdict};
use farebox_record::plan::{AppliesTo, Category, Priced};
use farebox_record::state::{Carried, Part};
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Config, Runtime};
use farebox_store::{
    Commit, Follow as _, IdHash, Keep, MemoryStore, NewRecord, PartKey, Position, Projections as _,
    Store as _, WalletKey,
};

use super::{Report, verify};

/// In microseconds.
const DAY: i64 = 86_400_000_000;

/// A wallet with a customer and a grant of 20 usd, before it is committed.
struct Story {
    wallet: Wallet,
    records: Vec<(Record, Vec<u8>)>,
    parts: BTreeMap<PartKey, Option<Vec<u8>>>,
}

pub(super) fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}

pub(super) fn acme() -> CustomerId {
    CustomerId::new("acme").unwrap()
}

impl Story {
    fn new() -> Story {
        let mut story = Story {
            wallet: Wallet::default(),
            records: Vec::new(),
            parts: BTreeMap::new(),
        };
        story.append(put_customer("put-1"), None);
        story.append(grant("topup-1"), None);
        story
    }

    fn append(&mut self, command: Command, pricing: Option<Pricing>) {
        self.append_at(1_000 * (self.records.len() as i64 + 1), command, pricing);
    }

    fn append_at(&mut self, micros: i64, command: Command, pricing: Option<Pricing>) {
        let at = Timestamp::from_micros(micros);
        let seen = Seen {
            pricing,
            ..Seen::nothing(0, at)
        };
        self.records
            .push(append(&mut self.wallet, &tenant(), &acme(), command, seen, at).unwrap());
        self.parts.extend(self.wallet.take_changes());
    }

    fn verify(&self) -> Report {
        self.verify_at(Timestamp::from_micros(DAY), i64::MIN)
    }

    /// By a store that has forgotten ids of usage of before `horizon`.
    fn verify_at(&self, now: Timestamp, horizon: i64) -> Report {
        verified(&self.store(horizon), now)
    }

    fn store(&self, horizon: i64) -> MemoryStore {
        let store = MemoryStore::new();
        let ids = |record: &Record| {
            let hash = |identity| IdHash(identity_hash(&record.tenant, &record.customer, &identity));
            let kept = |id: &IdHash| id.keep() == Keep::ForGood || record.at.as_micros() >= horizon;
            record.identities().into_iter().map(hash).filter(kept).collect()
        };
        let records = self
            .records
            .iter()
            .map(|(record, body)| NewRecord {
                body: body.clone(),
                at: record.at.as_micros(),
                ids: ids(record),
                origin: Default::default(),
            })
            .collect();
        let parts = self.parts.clone().into_iter().collect();
        let wallet = WalletKey::new("default", "acme");
        store
            .commit(vec![Commit {
                wallet,
                expected: 0,
                control: None,
                records,
                parts,
                due: None,
            }])
            .unwrap();
        store
    }

    /// The rules that are broken, each with its record.
    fn broken(&self) -> Vec<(&'static str, Option<u64>)> {
        self.verify()
            .findings
            .iter()
            .map(|finding| (finding.rule, finding.sequence))
            .collect()
    }
}

fn verified(store: &MemoryStore, now: Timestamp) -> Report {
    let runtime = Runtime::new(Config::default()).unwrap();
    verify(store, None, &runtime, now, &|_, _| {}).unwrap()
}

pub(super) fn put_customer(id: &str) -> Command {
    Command::PutCustomer(PutCustomer {
        id: CallId::new(id).unwrap(),
        name: None,
        shortfall: BTreeMap::new(),
    })
}

pub(super) fn grant(id: &str) -> Command {
    Command::Grant(Grant {
        id: GrantId::new(id).unwrap(),
        asset: "usd".parse().unwrap(),
        amount: "20".parse().unwrap(),
        category: Category::Paid,
        priority: 0,
        effective: None,
        expires: None,
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    })
}

#[test]
fn what_is_sound_is_found_sound_and_counted() {
    let report = Story::new().verify();
    assert_eq!(report.findings, []);
    assert_eq!(
        (
            report.tenants,
            report.wallets,
            report.records,
            report.entries,
            report.ids
        ),
        (1, 1, 2, 2, 2)
    );
}

#[test]
fn a_state_that_does_not_follow_from_the_history_is_found() {
    let mut story = Story::new();
    let mut richer = story.wallet.clone();
    let put = |id: &str, wallet: &mut Wallet| {
        let state = wallet.grants().next().unwrap().1.clone();
        wallet
            .fold(&Effect::GrantOpened(GrantId::new(id).unwrap(), Box::new(state)))
            .unwrap();
    };
    put("from-nowhere", &mut richer);
    story.parts.extend(richer.take_changes());
    let broken = story.broken();
    assert!(
        broken.contains(&("state", None)) && broken.contains(&("rule", None)),
        "{broken:?}"
    );
}

#[test]
fn parts_on_demand_are_compared_too() {
    let mut story = Story::new();
    story
        .parts
        .insert(Part::Unpriced(1).key(), Some(b"never came".to_vec()));
    assert_eq!(story.broken(), [("state", None)]);
}

#[test]
fn balances_carried_forward_are_compared_where_there_are_any() {
    let mut story = Story::new();
    while story.records.len() as u64 <= CARRIED_RECORDS {
        let id = format!("put-{}", story.records.len());
        story.append(put_customer(&id), None);
    }
    let carried = Part::Carried(CARRIED_RECORDS).key();
    assert!(story.parts.contains_key(&carried));
    assert_eq!(story.broken(), []);
    let poorer = Carried {
        instant: Timestamp::from_micros(0),
        assets: BTreeMap::new(),
    };
    story.parts.insert(carried.clone(), Some(codec::encode(&poorer)));
    assert_eq!(story.broken(), [("state", None)]);
    // An earlier release made none.
    story.parts.remove(&carried);
    assert_eq!(story.broken(), []);
}

#[test]
fn a_record_that_was_changed_breaks_the_chain_of_the_next() {
    let mut story = Story::new();
    story.append(grant("topup-2"), None);
    let (record, body) = &mut story.records[1];
    record
        .outcome
        .effects
        .retain(|effect| matches!(effect, Effect::GrantOpened(..) | Effect::Entry(_)));
    record.seen.time = Timestamp::from_micros(1);
    *body = record.encode();
    assert_eq!(story.broken(), [("replay", Some(3))]);
}

#[test]
fn entries_that_do_not_sum_to_zero_are_found_where_they_are() {
    let mut story = Story::new();
    let (record, body) = &mut story.records[1];
    let entry = record.outcome.effects.iter_mut().find_map(|effect| match effect {
        Effect::Entry(entry) => Some(entry),
        _ => None,
    });
    entry.unwrap().amount = "21".parse().unwrap();
    *body = record.encode();
    // Books are made of records, so those of the day do not balance either.
    assert_eq!(story.broken(), [("replay", Some(2)), ("books", None)]);
}

#[test]
fn an_id_that_is_answered_twice_is_found() {
    let mut story = Story::new();
    let again = PutCustomer {
        id: CallId::new("put-1").unwrap(),
        name: Some("Acme".into()),
        shortfall: BTreeMap::new(),
    };
    story.append(Command::PutCustomer(again), None);
    assert_eq!(story.broken(), [("id_once", Some(3))]);
}

fn usage(id: &str) -> Command {
    Command::Usage(Event {
        source: default_source(),
        id: EventId::new(id).unwrap(),
        event_type: "llm.call".parse().unwrap(),
        time: None,
        measures: Measures::EMPTY,
        attributes: Attributes::EMPTY,
    })
}

/// Usage under one id on the first day and so many days later, and what is found a day after that by a store that has
/// forgotten ids of usage of before this day.
fn used_twice(days: i64, forgotten: i64) -> Vec<(&'static str, Option<u64>)> {
    let mut story = Story::new();
    story.append_at(DAY, usage("e"), None);
    story.append_at(DAY + days * DAY, usage("e"), None);
    let now = Timestamp::from_micros(DAY + (days + 1) * DAY);
    let findings = story.verify_at(now, forgotten * DAY).findings;
    findings
        .iter()
        .map(|finding| (finding.rule, finding.sequence))
        .collect()
}

#[test]
fn an_id_of_usage_may_be_forgotten_and_come_again_once_its_window_is_over() {
    // An id is known for 37 days.
    assert_eq!(used_twice(37, 2), []);
    assert_eq!(used_twice(40, 2), []);
    assert_eq!(used_twice(36, 0), [("id_once", Some(4))]);
    // The second one is a day old.
    assert_eq!(used_twice(37, 39), [("id_found", Some(4))]);
}

/// The same in a sandbox, whose ids are kept for good from the record `since` on, and have aged by the machine's time long ago.
fn used_twice_in_a_sandbox(since: u64) -> Vec<(&'static str, Option<u64>)> {
    let mut story = Story::new();
    story.append_at(DAY, usage("e"), None);
    story.append_at(DAY, usage("e"), None);
    let store = MemoryStore::new();
    let mut control = ControlState::default();
    let now = Timestamp::from_micros(DAY);
    let made = ControlRecord {
        tenant: tenant(),
        sequence: 1,
        previous: control.header.chain,
        at: now,
        command: ControlCommand::AdvanceClock {
            id: None,
            step: ClockStep::To(now),
        },
        effects: vec![ControlEffect::TenantPut(TenantState {
            created: now,
            kind: TenantKind::Sandbox { now },
        })],
    };
    let body = codec::encode(&made);
    let parts = control.fold(&made, &body);
    let record = |body, at: Timestamp, ids| NewRecord {
        body,
        at: at.as_micros(),
        ids,
        origin: Default::default(),
    };
    let commit = |wallet, records, parts| Commit {
        wallet,
        expected: 0,
        control: None,
        records,
        parts,
        due: None,
    };
    let hash = |identity| IdHash(identity_hash(&tenant(), &acme(), &identity)).for_good();
    let records = story.records.iter().map(|(of, body)| {
        let mut ids: Vec<IdHash> = of.identities().into_iter().map(hash).collect();
        ids.retain(|_| of.sequence >= since || !matches!(of.command, Command::Usage(_)));
        record(body.clone(), of.at, ids)
    });
    let records = records.collect();
    let wallet = WalletKey::new("default", "acme");
    let commits = vec![
        commit(
            WalletKey::control("default"),
            vec![record(body, now, Vec::new())],
            parts,
        ),
        commit(wallet, records, story.parts.into_iter().collect()),
    ];
    store.commit(commits).unwrap();
    let findings = verified(&store, Timestamp::from_micros(100 * DAY)).findings;
    findings
        .iter()
        .map(|finding| (finding.rule, finding.sequence))
        .collect()
}

#[test]
fn in_a_sandbox_an_id_of_usage_never_comes_again() {
    assert_eq!(used_twice_in_a_sandbox(0), [("id_once", Some(4))]);
    // The first one was recorded before its id was kept for good.
    assert_eq!(used_twice_in_a_sandbox(4), []);
}

#[test]
fn a_price_whose_revision_is_gone_cannot_be_proved() {
    let mut story = Story::new();
    let pricing = Pricing {
        revision: farebox_record::ids::RevisionHash {
            component: farebox_record::ids::Hash::of(b"component"),
            parameters: farebox_record::ids::Hash::of(b"parameters"),
        },
        subscription: "sub-1".parse().unwrap(),
        period: Period {
            start: Timestamp::EPOCH,
            end: Timestamp::from_micros(i64::MAX),
            index: 0,
        },
        term: None,
        seats: 1,
        cost: None,
        event_types: Vec::new(),
        subject_attribute: None,
        state_version: 0,
        verdict: Verdict::Priced(Priced::default()),
    };
    story.append(grant("topup-2"), Some(pricing));
    assert_eq!(story.broken(), [("price", Some(3))]);
}

#[test]
fn books_that_are_not_the_sum_of_the_wallets_are_found() {
    let store = Story::new().store(i64::MIN);
    let broken = |store: &MemoryStore| -> Vec<(&'static str, String)> {
        let report = verified(store, Timestamp::from_micros(DAY));
        assert_eq!(
            report.books["usd"].get(BookAccount::Purchases),
            "-20".parse().unwrap()
        );
        assert!(report.books_compared);
        let findings = report.findings.into_iter();
        findings.map(|finding| (finding.rule, finding.what)).collect()
    };
    // None are kept yet, not even their format: they follow from all records.
    assert_eq!(broken(&store), []);
    let follow = RecordFollow::default();
    let first = follow.begin(&store).unwrap().unwrap();
    store.project(Position::default(), first).unwrap();
    assert_eq!(
        broken(&store),
        [],
        "all of them are made of records that nobody followed yet"
    );
    let tail = store.tail(Position::default(), 10).unwrap();
    let changes = follow.follow(&store, &tail.records).unwrap();
    store.project(tail.reached, changes).unwrap();
    assert_eq!(broken(&store), []);

    let (key, value) = store.projections(b"b", None, 10).unwrap().remove(0);
    let kept: Accounts = codec::decode(&value).unwrap();
    let put = |key: &[u8], accounts: &Accounts| {
        let row = vec![(key.to_vec(), Some(codec::encode(accounts)))];
        store.project(tail.reached, row).unwrap();
    };
    let with = |changed: &[(BookAccount, i64)]| {
        let mut accounts = kept;
        for (account, units) in changed {
            accounts.add(*account, Nanos::units(*units));
        }
        accounts
    };
    put(&key, &with(&[(BookAccount::Revenue, 1)]));
    assert_eq!(
        broken(&store),
        [
            (
                "books",
                "the books of usd on 1970-01-01 sum to 1 instead of zero".to_string()
            ),
            (
                "books",
                "revenue of usd on 1970-01-01 is 1 in the books, and its records post 0".to_string()
            ),
        ]
    );

    // Right in all, and wrong by day: 5 that moved on the first stand on the second.
    let moved = [(BookAccount::Revenue, 5), (BookAccount::Available, -5)];
    let back = moved.map(|(account, units)| (account, -units));
    put(&key, &with(&back));
    let mut second = key;
    let place = b"b".len() + "default".len() + 1;
    let day = u64::from_be_bytes(second[place..place + 8].try_into().unwrap());
    second[place..place + 8].copy_from_slice(&(day + DAY.cast_unsigned()).to_be_bytes());
    let mut accounts = Accounts::default();
    for (account, units) in moved {
        accounts.add(account, Nanos::units(units));
    }
    put(&second, &accounts);
    let told: Vec<String> = broken(&store).into_iter().map(|(_, what)| what).collect();
    assert_eq!(
        told,
        [
            "available of usd on 1970-01-01 is 25 in the books, and its records post 20",
            "revenue of usd on 1970-01-01 is -5 in the books, and its records post 0",
            "available of usd on 1970-01-02 is -5 in the books, and its records post 0",
            "revenue of usd on 1970-01-02 is 5 in the books, and its records post 0",
        ]
    );
}

#[test]
fn books_of_a_tenant_that_is_not_there_are_found() {
    let store = Story::new().store(i64::MIN);
    let follow = RecordFollow::default();
    let first = follow.begin(&store).unwrap().unwrap();
    store.project(Position::default(), first).unwrap();
    let mut key = b"bghost\0".to_vec();
    key.extend_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0]);
    key.extend_from_slice(b"usd");
    let row = vec![(key, Some(codec::encode(&Accounts::default())))];
    store.project(Position::default(), row).unwrap();
    let report = verified(&store, Timestamp::from_micros(DAY));
    let told: Vec<&str> = report.findings.iter().map(|finding| &*finding.what).collect();
    assert_eq!(told, ["there are books of it, and no such tenant"]);
}
