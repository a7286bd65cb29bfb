//! What remembering ids costs: memory and disk for each, and the time of a look-up, through the real store.
//!
//! `cargo run --release -p farebox-store --example id_cost -- 100000000 <folder on the disk> [ids of a record, bytes of it]`
//!
//! Ids are committed as usage is, over 35 days of records' time, so that runs are as many and as large as in a store that
//! has been in use for its window.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement: it prints, and stops at the first problem"
)]

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use farebox_store::conformance::{BodyFold, Draft, id};
use farebox_store::{IdHash, JournalStore, Keep, Options, Store, WalletKey};

const RECORDS_PER_COMMIT: u64 = 20_000;
const WALLETS: u64 = 1_000;
const WINDOW_MICROS: u64 = 35 * 24 * 3_600 * 1_000_000;
const ABSENT: u64 = 1_000_000;
const PRESENT: u64 = 20_000;
const RECURS: &[u8] = b"input_tokens output_tokens model claude-sonnet-4.6";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let ids: u64 = arguments.next().map_or(1_000_000, |n| n.parse().unwrap());
    let folder = arguments.next().unwrap_or_else(|| ".".into());
    // As of an authorize that is settled, or of a usage event with its correction: one id each, and some 400 bytes.
    let each: u64 = arguments.next().map_or(1, |n| n.parse().unwrap());
    let bytes: usize = arguments.next().map_or(400, |n| n.parse().unwrap());
    let dir = Path::new(&folder).join(format!("id-cost-{}", std::process::id()));
    let store = JournalStore::open(&dir, Options::default(), Arc::new(BodyFold)).unwrap();
    let begun = Instant::now();
    fill(&store, ids, each, bytes);
    println!("{ids} ids committed in {:.0?}", begun.elapsed());
    settle(&store);
    println!("and in runs after {:.0?}", begun.elapsed());
    let cost = store.id_cost();
    println!(
        "{} ids in {} runs; {} more in memory as they are, of the segments that are new: {} bytes",
        cost.ids_in_runs, cost.runs, cost.ids_in_memory, cost.newest_bytes
    );
    println!(
        "memory of all of them: {} bytes an id",
        hundredths(cost.memory_bytes + cost.newest_bytes, ids)
    );
    println!(
        "in runs: memory {} bytes, {} an id; disk: {} bytes, {} an id",
        cost.memory_bytes,
        hundredths(cost.memory_bytes, cost.ids_in_runs),
        cost.disk_bytes,
        hundredths(cost.disk_bytes, cost.ids_in_runs)
    );
    absent(&store, ids);
    present(&store, ids, each);
    println!("memory of the process: {}", resident());
    store.close().unwrap();
    drop(store);
    let begun = Instant::now();
    let store = JournalStore::open(&dir, Options::default(), Arc::new(BodyFold)).unwrap();
    println!(
        "opened again in {:.1?}; memory of the process: {}",
        begun.elapsed(),
        resident()
    );
    drop(store);
    std::fs::remove_dir_all(&dir).unwrap();
}

fn usage(n: u64) -> IdHash {
    // Every hundredth is one of money in.
    let keep = if n.is_multiple_of(100) {
        Keep::ForGood
    } else {
        Keep::Window
    };
    // As evenly spread as the hashes of real ids.
    let bytes = id(n).0;
    let mixed = u128::from_le_bytes(bytes).wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);
    IdHash::new((mixed ^ mixed >> 64).to_le_bytes(), keep)
}

fn wallet(n: u64) -> WalletKey {
    WalletKey::new("bench", &format!("customer-{n}"))
}

fn fill(store: &JournalStore, ids: u64, each: u64, bytes: usize) {
    let mut filler = vec![0; bytes];
    let (mut next, mut versions) = (0, vec![0; usize::try_from(WALLETS).unwrap()]);
    while next < ids {
        let mut commits = Vec::new();
        for n in 0..WALLETS {
            let version: &mut u64 = &mut versions[usize::try_from(n).unwrap()];
            let at = u64::try_from(u128::from(next) * u128::from(WINDOW_MICROS) / u128::from(ids)).unwrap();
            let mut draft = Draft::new(&wallet(n), *version).at(i64::try_from(at).unwrap());
            for _ in 0..RECORDS_PER_COMMIT / WALLETS {
                let answered: Vec<IdHash> = (next..(next + each).min(ids)).map(usage).collect();
                if answered.is_empty() {
                    break;
                }
                next += answered.len() as u64;
                // Names that recur, and a number that does not.
                for (at, byte) in filler.iter_mut().enumerate() {
                    *byte = match at % 8 {
                        0 => next.to_le_bytes()[at / 8 % 8],
                        _ => RECURS[at % RECURS.len()],
                    };
                }
                draft = draft.record(&answered, &filler);
                *version += 1;
            }
            commits.push(draft.commit());
            if next == ids {
                break;
            }
        }
        store.commit(commits).unwrap();
    }
}

/// Waits until the runs are written and merged.
fn settle(store: &JournalStore) {
    let mut last = store.id_cost();
    loop {
        thread::sleep(Duration::from_secs(3));
        let now = store.id_cost();
        if now == last {
            return;
        }
        last = now;
    }
}

fn absent(store: &JournalStore, ids: u64) {
    let mut maybe = Vec::new();
    let begun = Instant::now();
    for n in 0..ABSENT {
        let id = usage(ids + n);
        if store.may_have_seen(id) {
            maybe.push(id);
        }
    }
    let filters = begun.elapsed();
    let begun = Instant::now();
    let found = maybe
        .iter()
        .filter(|id| !store.find(&wallet(0), **id).unwrap().is_empty())
        .count();
    assert_eq!(
        found, 0,
        "no filter ever drops a new event: a positive is confirmed on disk"
    );
    println!(
        "an absent id: {} ns by the filters; {} of {ABSENT} had to be looked for on disk, {} us each",
        filters.as_nanos() / u128::from(ABSENT),
        maybe.len(),
        begun.elapsed().as_micros() / (maybe.len().max(1) as u128)
    );
}

fn present(store: &JournalStore, ids: u64, each: u64) {
    let (mut times, stride) = (Vec::new(), (ids / PRESENT).max(1));
    for n in (0..ids).step_by(usize::try_from(stride).unwrap()) {
        let (id, wallet) = (
            usage(n),
            wallet(n / each / (RECORDS_PER_COMMIT / WALLETS) % WALLETS),
        );
        let begun = Instant::now();
        assert!(store.may_have_seen(id));
        let found = store.find(&wallet, id).unwrap();
        times.push(begun.elapsed());
        assert_eq!(found.len(), 1, "{n}");
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!(
        "a present id, its record read: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
        at(50),
        at(99),
        at(100)
    );
}

/// With two decimals.
fn hundredths(bytes: u64, ids: u64) -> String {
    let hundredths = bytes * 100 / ids.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Now, and at most so far.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"));
    lines
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}
