//! How long a durable commit takes on a disk, beside the bare write and sync that it cannot be faster than.
//!
//! `cargo run --release -p farebox-store --example commit_latency -- <folder on the disk>`

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement: it prints, and stops at the first problem"
)]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{Commit, JournalStore, Options, Store, WalletKey};

const ROUNDS: u64 = 1000;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let dir = Path::new(&folder).join(format!("commit-latency-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    report("write 4 KiB, fdatasync", 1, raw(&dir.join("raw")));
    let store = JournalStore::open(&dir.join("store"), Options::default(), Arc::new(BodyFold)).unwrap();
    for (batch, rounds) in [(1, ROUNDS), (100, 300), (2000, 50)] {
        let times = commits(&store, batch, rounds);
        report("commit", batch, times);
    }
    // The bare sync once more: a shared disk has good and bad minutes.
    report("write 4 KiB, fdatasync", 1, raw(&dir.join("raw")));
    threads(&store);
    store.close().unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
}

fn raw(path: &Path) -> Vec<Duration> {
    let file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .open(path)
        .unwrap();
    (0..16).for_each(|n| file.write_all_at(&vec![0; 1 << 20], n << 20).unwrap());
    file.sync_all().unwrap();
    time(ROUNDS, |n| {
        file.write_all_at(&[7; 4096], n * 4096).unwrap();
        file.sync_data().unwrap();
    })
}

/// Calls of `batch` commits, each of its own wallet, with one record of about 300 bytes, one id and a part of 400 bytes.
fn commits(store: &JournalStore, batch: u64, rounds: u64) -> Vec<Duration> {
    let wallets: Vec<_> = (0..batch)
        .map(|n| WalletKey::new("bench", &format!("{batch}-{n}")))
        .collect();
    let mut calls: Vec<Vec<Commit>> = (0..rounds)
        .map(|round| {
            wallets
                .iter()
                .zip(0..)
                .map(|(wallet, n)| commit(wallet, round, batch << 40 | round << 20 | n))
                .collect()
        })
        .collect();
    calls.reverse();
    time(rounds, |_| {
        store.commit(calls.pop().unwrap()).unwrap();
    })
}

fn commit(wallet: &WalletKey, version: u64, n: u64) -> Commit {
    let mut commit = Draft::new(wallet, version).record(&[id(n)], &[5; 290]).commit();
    commit.parts.push((vec![1], Some(vec![3; 400])));
    commit
}

/// Callers of their own without anything above that groups them: each waits for the syncs of all before it.
fn threads(store: &JournalStore) {
    let begun = Instant::now();
    thread::scope(|scope| {
        for caller in 0..8_u64 {
            scope.spawn(move || {
                let wallet = WalletKey::new("bench", &format!("caller-{caller}"));
                for version in 0..50 {
                    store
                        .commit(vec![commit(&wallet, version, 1 << 60 | caller << 20 | version)])
                        .unwrap();
                }
            });
        }
    });
    println!("8 callers, 50 calls of one commit each: {:.1?}", begun.elapsed());
}

fn time(rounds: u64, mut run: impl FnMut(u64)) -> Vec<Duration> {
    (0..rounds)
        .map(|n| {
            let begun = Instant::now();
            run(n);
            begun.elapsed()
        })
        .collect()
}

fn report(what: &str, batch: u64, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "{what} x {batch}: p50 {:.2?}, p90 {:.2?}, p99 {:.2?}, max {:.2?}",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
