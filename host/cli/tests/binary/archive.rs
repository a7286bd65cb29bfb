//! Old history that moves to an archive while a server runs, and everything that is done with it and without it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use farebox_engine::LedgerFold;
use farebox_ledger::{Wallet, append};
use farebox_record::command::{Command, Grant, PutCustomer};
use farebox_record::identity_hash;
use farebox_record::ids::{CallId, CustomerId, GrantId, TenantId};
use farebox_record::outcome::Seen;
use farebox_record::plan::{AppliesTo, Category};
use farebox_record::time::Timestamp;
use farebox_store::{Commit, IdHash, JournalStore, NewRecord, Options, Packing, Store as _, WalletKey};
use serde_json::Value;

use crate::program::{Ended, Server, run};

/// 2024-01-01.
const BEGIN: i64 = 1_704_067_200_000_000;
const HOUR: i64 = 3_600_000_000;
const SEGMENT_BYTES: u64 = 64 << 10;

fn grant(n: i64) -> Command {
    Command::Grant(Grant {
        id: GrantId::new(&format!("topup-{n}")).unwrap(),
        asset: "usd".parse().unwrap(),
        amount: "1".parse().unwrap(),
        category: Category::Paid,
        priority: 0,
        effective: None,
        // The end of the first is of today, and the record that tells its name is archived.
        expires: (n == 1).then(an_hour_ago),
        applies_to: AppliesTo::default(),
        label: None,
        each: None,
    })
}

fn an_hour_ago() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    Timestamp::from_micros(i64::try_from(now).unwrap() - HOUR)
}

/// A folder in which customer `acme` got 1 usd an hour from the beginning of 2024 on, 100 times: in 7 segments.
fn old(folder: &Path) {
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        packing: Packing::Off, // by itself
        ..Options::default()
    };
    let store = JournalStore::open(&folder.join("data"), options, Arc::new(LedgerFold)).unwrap();
    let (tenant, acme) = (
        TenantId::new("default").unwrap(),
        CustomerId::new("acme").unwrap(),
    );
    let mut wallet = Wallet::default();
    let put = Command::PutCustomer(PutCustomer {
        id: CallId::new("put-1").unwrap(),
        name: None,
        shortfall: BTreeMap::new(),
    });
    let commands = std::iter::once(put).chain((1..=100).map(grant));
    for (expected, command) in (0..).zip(commands) {
        let at = Timestamp::from_micros(BEGIN + i64::try_from(expected).unwrap() * HOUR);
        let seen = Seen::nothing(0, at);
        let (record, body) = append(&mut wallet, &tenant, &acme, command, seen, at).unwrap();
        let ids = record
            .identities()
            .iter()
            .map(|identity| IdHash(identity_hash(&tenant, &acme, identity)))
            .collect();
        let commit = Commit {
            wallet: WalletKey::new("default", "acme"),
            expected,
            control: None,
            records: vec![NewRecord {
                body,
                at: at.as_micros(),
                ids,
                origin: Default::default(),
            }],
            parts: wallet.take_changes(),
            due: wallet.next_due().map(|(at, _)| at.as_micros()),
        };
        store.commit(vec![commit]).unwrap();
    }
    assert!(store.pack_now().unwrap() >= 6);
    store.close().unwrap();
}

struct House<'a> {
    folder: &'a Path,
    url: String,
    key: String,
}

impl House<'_> {
    fn ask(&self, arguments: &[&str]) -> Ended {
        let server = ["--json", "--server", &self.url, "--key", &self.key];
        run(self.folder, &[arguments, &server].concat())
    }

    /// What an endpoint answers that no command asks.
    fn get(&self, path: &str) -> Value {
        let host = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        let key = &self.key;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
    }

    fn done(&self, arguments: &[&str]) -> Value {
        let ended = self.ask(arguments);
        assert_eq!(ended.code(), 0, "{arguments:?}: {}", ended.stderr());
        ended.json()
    }
}

#[test]
fn old_history_moves_away_and_is_read_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    old(folder);
    let offline = |arguments: &[&str]| run(folder, &[arguments, &["--json", "--data", "data"]].concat());
    let with_archive = |arguments: &[&str]| offline(&[arguments, &["--archive-dir", "archive"]].concat());
    let done = |ended: Ended| {
        assert_eq!(ended.code(), 0, "{}{}", ended.stdout(), ended.stderr());
        ended.json()
    };
    fs::write(
        folder.join("farebox.toml"),
        format!("segment_bytes = {SEGMENT_BYTES}\n"),
    )
    .unwrap();
    let server = Server::start(folder);
    let key = server.key().unwrap();
    let house = House {
        folder,
        url: server.url(),
        key: key.clone(),
    };
    let balance = house.done(&["wallet", "show", "acme"]);
    let statement = house.done(&["statement", "acme", "--month", "2024-01"]);

    // Beside the server: nothing without a snapshot, then all complete segments. Twice is once.
    let refused = offline(&["journal", "archive", "--to", "archive"]);
    assert!(
        refused.error()["message"].as_str().unwrap().contains("snapshot"),
        "{}",
        refused.stderr()
    );
    let snapshot = done(offline(&["journal", "snapshot"]));
    assert_eq!(snapshot["wallets"], snapshot["wallets_proven"], "{snapshot}");
    let too_young = offline(&["journal", "archive", "--to", "archive", "--retention-days", "36"]);
    assert!(
        too_young.stderr().contains("ARCHIVE_RETENTION_DAYS_MIN"),
        "{}",
        too_young.stderr()
    );
    let archived = done(offline(&["journal", "archive", "--to", "archive"]));
    assert!(archived["segments_archived"].as_u64() >= Some(6), "{archived}");
    let again = done(offline(&["journal", "archive", "--to", "archive"]));
    assert_eq!(again["segments_archived"], 0, "{again}");
    assert_eq!(again["segments_before"], archived["segments_archived"]);

    // The server looks now and then whether segments moved; until it has, it reads what it has open.
    let again = ["wallet", "grant", "acme", "usd", "1", "--id", "topup-7"];
    let patience = Instant::now() + Duration::from_secs(60);
    while house.ask(&again).code() == 0 && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(50));
    }

    // The present needs no archive; whoever needs the past is told, and nothing is carried out twice.
    assert_eq!(house.done(&["wallet", "show", "acme"]), balance);
    let month = &an_hour_ago().to_string()[..7];
    let present = house.done(&["statement", "acme", "--month", month]);
    let expired = present["assets"][0]["lines"].as_array().unwrap();
    assert!(expired.iter().any(|line| line["kind"] == "expiry"), "{present}");
    for asked in [
        &["wallet", "grant", "acme", "usd", "1", "--id", "topup-7"][..],
        &["statement", "acme", "--month", "2024-01"],
    ] {
        let ended = house.ask(asked);
        assert_eq!(ended.error()["code"], "archived", "{asked:?}: {}", ended.stderr());
    }
    // Which events there were is known without it: one that never was is not in the archive either.
    for asked in ["void", "show"] {
        let never = house.ask(&["events", asked, "acme", "call-1"]);
        assert_eq!(never.error()["code"], "unknown_event", "{}", never.stderr());
    }
    house.done(&["wallet", "grant", "acme", "usd", "5", "--id", "new"]);
    let entries = house.get("/v1/customers/acme/entries?limit=200");
    assert_eq!(entries["archived"], true, "{entries}");
    let shown = entries["entries"].as_array().unwrap().len();
    assert!(
        (2..200).contains(&shown),
        "those that are here, and not the 202 there ever were: {shown}"
    );
    assert_eq!(server.stop(), 0);

    // Stopped: what is here is proven from the snapshot on, and says so; with the archive all of it is.
    let journal = done(offline(&["journal", "verify"]));
    assert_eq!(
        (&journal["from"], &journal["wallets_from"]),
        (&archived["until"], &snapshot["applied"])
    );
    let ledger = done(offline(&["ledger", "verify"]));
    assert_eq!(
        (&ledger["sound"], &ledger["from"]),
        (&Value::Bool(true), &snapshot["applied"])
    );
    let journal = done(with_archive(&["journal", "verify"]));
    assert_eq!(journal["from"], 0, "{journal}");
    let ledger = done(with_archive(&["ledger", "verify"]));
    assert_eq!(
        (&ledger["sound"], &ledger["from"], ledger["records"].as_u64()),
        (&Value::Bool(true), &Value::Null, Some(103)),
        "{ledger}"
    );

    // Everything that can be made anew is, with the archive gone.
    fs::rename(folder.join("archive"), folder.join("elsewhere")).unwrap();
    fs::remove_dir_all(folder.join("data/ids")).unwrap();
    done(offline(&["journal", "rebuild"]));
    done(offline(&["ledger", "verify"]));
    done(offline(&["journal", "backup", "--to", "backup"]));
    done(run(
        folder,
        &[
            "journal", "restore", "--json", "--from", "backup", "--data", "restored",
        ],
    ));
    done(run(folder, &["ledger", "verify", "--json", "--data", "restored"]));
    fs::rename(folder.join("elsewhere"), folder.join("archive")).unwrap();

    // With the archive the past is there again.
    let server = Server::start_with(folder, &["--archive-dir", "archive"]);
    let house = House {
        folder,
        url: server.url(),
        key,
    };
    let repeated = house.done(&["wallet", "grant", "acme", "usd", "1", "--id", "topup-7"]);
    assert_eq!(repeated["replayed"], true, "{repeated}");
    let again = house.done(&["statement", "acme", "--month", "2024-01"]);
    assert!(
        again["assets"] == statement["assets"],
        "the statement of a month that is over"
    );
    let ended = house.ask(&["events", "void", "acme", "call-1"]);
    assert_eq!(ended.error()["code"], "unknown_event", "{}", ended.stderr());
    let entries = house.get("/v1/customers/acme/entries?limit=200");
    let shown = entries["entries"].as_array().unwrap().len();
    assert_eq!((&entries["archived"], shown), (&Value::Null, 200));
    assert_eq!(server.stop(), 0);
}
