//! What an older release wrote opens today: journals with a record of each kind but two, kept as text. A quarantine is made by
//! no test's plan, and `RetryTransition` only answers what releases of format 1 kept: it is in a wallet of theirs beside the
//! ledger's tests.
//!
//! `tests/fixtures/journal-v1.hex` is the first segment of a journal of format 1, block by block, without the zeros at a
//! block's end. A new version of the format leaves it alone and adds a file and a test of its own, so that each version is
//! opened by every later one. `FAREBOX_REFRESH_FIXTURES=1 cargo test --workspace --test engine fixtures` writes the newest
//! again.

mod giving;
mod more;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use farebox_engine::{LedgerFold, NewRevision};
use farebox_ledger::{Wallet, verify};
use farebox_record::Record;
use farebox_record::codec;
use farebox_record::command::{Command, Extend, Release};
use farebox_record::control::{ControlCommand, ControlRecord, Role};
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Refund, RefundTarget, Void};
use farebox_record::ids::{CallId, Hash, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::record::identity_hash;
use farebox_store::{
    IdHash, JournalReport, JournalStore, Options, Packing, Store, StoredRecord, WalletKey, verify_journal,
};

use crate::house::{House, SECOND, authorize, event, hold, plan, seconds, settle, usage, usd};

const BLOCK_BYTES: usize = 4096;
const LINE_BYTES: usize = 60;
const SEGMENT_BYTES: u64 = 256 << 10;

const SEGMENT: &str = "journal/00000000000000000000.journal";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/journal-{name}.hex"))
}

fn options() -> Options {
    Options {
        segment_bytes: SEGMENT_BYTES,
        packing: Packing::Off,
        ..Options::default()
    }
}

fn call(id: &str) -> CallId {
    CallId::new(id).unwrap()
}

/// A customer who does one of everything, through the engine.
async fn live(dir: &Path) {
    let store = JournalStore::open(dir, options(), Arc::new(LedgerFold)).unwrap();
    let house = House::over(Arc::new(store));
    house.customer("ada", "10").await;
    house.done("ada", authorize("a", 1_000_000, 0)).await;
    house.done("ada", settle("a", 500_000, 0)).await;
    house.done("ada", authorize("b", 1_000_000, 0)).await;
    let extend = Extend {
        hold: hold("b"),
        id: call("extend"),
        ttl: seconds(60),
        measures: Default::default(),
    };
    house.done("ada", Command::Extend(extend)).await;
    let release = Release {
        hold: hold("b"),
        id: call("release"),
    };
    house.done("ada", Command::Release(release)).await;
    house.done("ada", authorize("c", 1_000_000, 0)).await;
    house.clock.advance(seconds(120));
    assert_eq!(house.balance("ada").await.0, "9.5", "the hold has expired");
    house.done("ada", usage("e", "one", 250_000)).await;
    house.done("ada", usage("u", "two", 100_000)).await;
    let new = NewRevision::at_once(Hash::of(crate::house::per_token()), SECOND);
    let activate = |key: &str| {
        let activated = house
            .engine
            .activate(&house.tenant, &plan(), &new, Some(&call(key)));
        activated.unwrap()
    };
    let second = activate("second").activation.revision;
    activate("again");
    while house.wallet("ada").await.header().unpriced > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for command in corrections() {
        house.done("ada", command).await;
    }
    house.done("ada", authorize("denied", 1_000_000_000, 0)).await;
    house.done("ada", authorize("open", 1_000_000, 0)).await;
    let engine = &house.engine;
    engine
        .create_key(&house.tenant, call("key"), Hash::of(b"secret"), Role::Read)
        .unwrap();
    engine.revoke_key(&house.tenant, call("key")).unwrap();
    let back = call("back");
    engine
        .rollback(&house.tenant, &plan(), Some(second), Some(&back))
        .unwrap();
    engine.stop().unwrap();
}

/// What puts right what was done before, and what changes a subscription.
fn corrections() -> Vec<Command> {
    let change = |id: &str, change| {
        Command::ChangeSubscription(ChangeSubscription {
            subscription: SubscriptionId::new("tokens").unwrap(),
            id: call(id),
            change,
            when: When::Now,
            proration: Proration::Prorate,
        })
    };
    vec![
        Command::Adjust(Adjust {
            id: call("adjust"),
            asset: usd(),
            amount: "0.5".parse().unwrap(),
            target: AdjustTarget::Balance,
            reason: "a mistake".into(),
        }),
        Command::Amend(Amend {
            event: event("e", "one", &[("input_tokens", 500_000)]),
            id: call("amend"),
        }),
        Command::Void(Void {
            event: hold("u"),
            id: call("void"),
            reason: None,
        }),
        Command::Refund(Refund {
            id: call("refund"),
            target: RefundTarget::Event {
                event: hold("a"),
                amount: Some((usd(), "0.1".parse().unwrap())),
            },
            reason: "a bad answer".into(),
        }),
        change("pause", SubscriptionChange::Pause),
        change("resume", SubscriptionChange::Resume),
    ]
}

fn to_text(segment: &[u8]) -> String {
    let mut text = String::new();
    for (n, block) in segment.chunks(BLOCK_BYTES).enumerate() {
        let used = block
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        if used > 0 {
            writeln!(text, "block {n}").unwrap();
        }
        for line in block[..used].chunks(LINE_BYTES) {
            line.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
        }
    }
    text
}

fn from_text(text: &str) -> Vec<u8> {
    let (mut segment, mut at) = (vec![0; usize::try_from(SEGMENT_BYTES).unwrap()], 0);
    for line in text.lines() {
        if let Some(block) = line.strip_prefix("block ") {
            at = block.parse::<usize>().unwrap() * BLOCK_BYTES;
            continue;
        }
        for digits in line.as_bytes().chunks(2) {
            segment[at] = u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
            at += 1;
        }
    }
    segment
}

/// Lays the journal that is kept as text in `file` into a folder, and checks it frame by frame.
fn laid(file: &Path) -> (tempfile::TempDir, JournalReport) {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    let text = fs::read_to_string(file).unwrap();
    fs::write(dir.path().join(SEGMENT), from_text(&text)).unwrap();
    let report = verify_journal(dir.path(), None, i64::MAX, &mut |_, _| {}).unwrap();
    assert_eq!((report.torn_tail_bytes, report.ids_repeated), (0, 0));
    (dir, report)
}

/// The records of `ada`, oldest first, which are all of this format.
fn records(store: &dyn Store, format: u8) -> Vec<(Record, StoredRecord)> {
    let mut records = store
        .history(&WalletKey::new("default", "ada"), None, 1_000)
        .unwrap();
    records.reverse();
    let decoded = records.into_iter().map(|stored| {
        let record = Record::decode(&stored.body).unwrap();
        assert_eq!(stored.body[0], format);
        if format == codec::FORMAT {
            assert_eq!(record.encode(), stored.body, "today's code writes it as it was");
        }
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        (record, stored)
    });
    decoded.collect()
}

/// What the records make of a wallet, checked behind each of them.
fn replayed(records: &[(Record, StoredRecord)]) -> Wallet {
    let mut wallet = Wallet::default();
    for (record, stored) in records {
        wallet.replay(record, &stored.body).unwrap();
        wallet.take_changes();
        assert_eq!(verify(&wallet), []);
    }
    wallet
}

/// Writes what `live` does into `file`, where that is asked for and the format is still the present one.
async fn refresh(file: &Path, format: u8, live: impl AsyncFnOnce(&Path)) {
    if codec::FORMAT == format && std::env::var_os("FAREBOX_REFRESH_FIXTURES").is_some() {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path()).await;
        fs::write(file, to_text(&fs::read(dir.path().join(SEGMENT)).unwrap())).unwrap();
    }
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::PutCustomer(_) => "put customer",
        Command::Grant(_) => "grant",
        Command::Subscribe(_) => "subscribe",
        Command::Authorize(_) => "authorize",
        Command::Settle(_) => "settle",
        Command::Extend(_) => "extend",
        Command::Release(_) => "release",
        Command::Usage(_) => "usage",
        Command::RateUnpriced(_) => "rate unpriced",
        Command::Due(_) => "due",
        Command::RetryTransition(_) => "retry transition",
        Command::ChangeSubscription(_) => "change subscription",
        Command::Adjust(_) => "adjust",
        Command::Pay(_) => "pay",
        Command::Refund(_) => "refund",
        Command::Void(_) => "void",
        Command::Amend(_) => "amend",
        Command::PutLimit(_) => "put limit",
        Command::DeleteLimit(_) => "delete limit",
        Command::Backfill(_) => "backfill",
        Command::RememberTerm(_) => "remember term",
        Command::RetryChange(_) => "retry change",
    }
}

fn control_kind(command: &ControlCommand) -> &'static str {
    match command {
        ControlCommand::CreateKey { .. } => "create key",
        ControlCommand::RevokeKey { .. } => "revoke key",
        ControlCommand::AddComponent { .. } => "add component",
        ControlCommand::Activate { .. } => "activate",
        ControlCommand::Rollback { .. } => "rollback",
        ControlCommand::Quarantine { .. } => "quarantine",
        ControlCommand::CreateTenant { .. } => "create tenant",
        ControlCommand::AdvanceClock { .. } => "advance clock",
        ControlCommand::FinishAdvance { .. } => "finish advance",
        ControlCommand::MakeBackfill { .. } => "make backfill",
        ControlCommand::MoveBackfill { .. } => "move backfill",
        ControlCommand::ChangeTimeline { .. } => "change timeline",
    }
}

/// Changes of the control plane as they were written before changes of a timeline could have a key.
const KEYLESS: [&str; 6] = [
    "add component",
    "activate",
    "activate",
    "create key",
    "revoke key",
    "rollback",
];
/// As they are written since; one of them found that it was so already.
const KEYED: [&str; 7] = [
    "add component",
    "change timeline",
    "change timeline",
    "change timeline",
    "create key",
    "revoke key",
    "change timeline",
];

#[test]
fn a_journal_of_format_1_opens() {
    opens(&fixture("v1"), 1, &KEYLESS);
}

#[test]
fn a_journal_of_format_2_opens() {
    opens(&fixture("v2"), 2, &KEYLESS);
}

#[test]
fn a_journal_of_format_3_opens() {
    opens(&fixture("v3"), 3, &KEYLESS);
}

#[test]
fn a_journal_of_format_4_opens() {
    opens(&fixture("v4"), 4, &KEYLESS);
}

#[test]
fn a_journal_of_format_4_with_keys_opens() {
    opens(&fixture("v4-keyed"), 4, &KEYED);
}

#[test]
fn a_journal_of_format_5_opens() {
    opens(&fixture("v5"), 5, &KEYED);
}

/// A journal of this release, made anew where that is asked for. The first whose frames hold their records in blocks.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_format_6_opens() {
    refresh(&fixture("v6"), 6, live).await;
    opens(&fixture("v6"), 6, &KEYED);
}

fn opens(file: &Path, format: u8, control: &[&str]) {
    let (dir, report) = laid(file);
    assert_eq!(report.wallets, 2);

    // The state is made from the records, as nothing else is there.
    let store = JournalStore::open(dir.path(), options(), Arc::new(LedgerFold)).unwrap();
    let ada = WalletKey::new("default", "ada");
    let mut kinds = Vec::new();
    for (record, _) in records(&store, format) {
        // A retry finds it under the ids that were given to it then.
        for identity in record.identities() {
            let id = IdHash(identity_hash(&record.tenant, &record.customer, &identity));
            let found = store.find(&ada, id).unwrap();
            assert!(
                found.iter().any(|found| found.sequence == record.sequence),
                "{identity:?}"
            );
        }
        kinds.push(kind(&record.command));
    }
    let expected = [
        "put customer",
        "grant",
        "subscribe",
        "authorize",
        "settle",
        "authorize",
        "extend",
        "release",
        "authorize",
        "due",
        "usage",
        "usage",
        "rate unpriced",
        "adjust",
        "amend",
        "void",
        "refund",
        "change subscription",
        "change subscription",
        "authorize",
        "authorize",
    ];
    assert_eq!(kinds, expected);
    let mut records = store
        .history(&WalletKey::control("default"), None, 1_000)
        .unwrap();
    records.reverse();
    let mut kinds = Vec::new();
    for stored in records {
        let record: ControlRecord = codec::decode(&stored.body).unwrap();
        assert_eq!(&codec::encode(&record)[1..], &stored.body[1..]);
        kinds.push(control_kind(&record.command));
    }
    assert_eq!(kinds, control);
    // 10 granted. 0.5 M tokens at 1 usd a million are 0.5, 0.25 M are 0.25; 0.1 M of the other model at 4 are 0.4: 8.85 left.
    // 0.5 taken away; 0.25 back and 0.5 M at 2 taken for the amended event, which happened when the second revision began;
    // 0.4 and 0.1 back: 8.1. Held is 1 M at 2.
    let image = store.load(&ada).unwrap();
    let parts = image
        .parts
        .iter()
        .map(|(key, value)| (key.as_slice(), value.as_slice()));
    let wallet = Wallet::from_parts(parts).unwrap();
    let balances = wallet.balances();
    let usd = balances
        .iter()
        .find(|balance| balance.asset.as_str() == "usd")
        .unwrap();
    assert_eq!(
        (usd.available.to_string(), usd.held.to_string()),
        ("6.1".into(), "2".into())
    );
    store.close().unwrap();
}
