//! The books of a tenant, worked out by hand: every entry of every wallet is put on the day on which it happened, and what was
//! there, what moved and what is there at the end are summed up for days drawn at random. In the customers' accounts that is
//! what all statements of these days come to.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use farebox_engine::Engine;
use farebox_engine::projection::{Accounts, BookAccount};
use farebox_money::Asset;
use farebox_record::command::Command;
use farebox_record::ids::TenantId;
use farebox_record::outcome::Effect;
use farebox_record::record::Record;
use farebox_record::time::{Span, Timestamp};
use farebox_statement::{Balances, statement};
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::books::name_of;
use crate::history::History;

const DAY: i64 = Span::days(1).as_micros();

/// By asset and name of an account.
type Sums = BTreeMap<(Asset, &'static str), i128>;

/// Compares what the engine has added up with all histories of a tenant.
///
/// # Errors
/// The account that differs.
pub fn check(
    engine: &Engine,
    tenant: &TenantId,
    histories: &[History],
    random: &mut SmallRng,
) -> anyhow::Result<()> {
    let dated: Vec<(i64, &Record)> = histories.iter().flat_map(dated).collect();
    let days = dated.iter().map(|(day, _)| day);
    let (first, last) = (days.clone().min(), days.max());
    let (Some(first), Some(last)) = (first, last) else {
        return Ok(());
    };
    let from = random.random_range(*first..=*last);
    let to = random.random_range(from + 1..=*last + 1);
    let at = |day: i64| Timestamp::from_micros(day * DAY);
    let told = engine.books(tenant, at(from), at(to))?;
    let (mut opening, mut closing) = (Sums::new(), Sums::new());
    for (day, record) in dated {
        for effect in &record.outcome.effects {
            let Effect::Entry(entry) = effect else { continue };
            let account = (entry.asset.clone(), name_of(&entry.account));
            for (sums, end) in [(&mut opening, from), (&mut closing, to)] {
                if day < end {
                    *sums.entry(account.clone()).or_default() += entry.amount.get();
                }
            }
        }
    }
    let (mut opened, mut closed) = (Sums::new(), Sums::new());
    for (asset, booked) in &told.assets {
        put(&mut opened, asset, &booked.opening);
        put(&mut closed, asset, &booked.closing());
    }
    for (what, told, worked_out) in [("open", &opened, &mut opening), ("close", &closed, &mut closing)] {
        worked_out.retain(|_, sum| *sum != 0);
        ensure!(
            told == worked_out,
            "the books of {tenant} from day {from} to {to} {what} with {told:?}, and the entries come to {worked_out:?}"
        );
    }
    statements(histories, at(from), at(to), &opened, &closed)
        .with_context(|| format!("the books of {tenant} from day {from} to {to}"))
}

/// All statements together open and close as the books do.
fn statements(
    histories: &[History],
    from: Timestamp,
    to: Timestamp,
    opened: &Sums,
    closed: &Sums,
) -> anyhow::Result<()> {
    let (mut opening, mut closing) = (Sums::new(), Sums::new());
    for history in histories {
        let told = statement(&Balances::new(), &history.records, from, to)?;
        for asset in told.assets {
            for (sums, moved) in [(&mut opening, asset.opening), (&mut closing, asset.closing)] {
                let four = [
                    ("available", moved.available),
                    ("held", moved.held),
                    ("debt", moved.debt),
                    ("receivable", moved.receivable),
                ];
                for (name, amount) in four {
                    *sums.entry((asset.asset.clone(), name)).or_default() += amount.get();
                }
            }
        }
    }
    for (statements, books) in [(opening, opened), (closing, closed)] {
        for ((asset, name), sum) in statements {
            let book = books.get(&(asset.clone(), name)).copied().unwrap_or_default();
            ensure!(
                sum == book,
                "{name} of {asset}: {book}, and statements come to {sum}"
            );
        }
    }
    Ok(())
}

fn put(sums: &mut Sums, asset: &Asset, accounts: &Accounts) {
    for account in BookAccount::ALL {
        let amount = accounts.get(account).get();
        if amount != 0 {
            sums.insert((asset.clone(), account.as_str()), amount);
        }
    }
}

/// The day on which each record counts: what fell due happened when it did, however late it was handled, but never before what
/// the wallet had come to.
fn dated(history: &History) -> Vec<(i64, &Record)> {
    let mut reached = i64::MIN;
    let day = |record: &Record| {
        let instant = match &record.command {
            Command::Due(due) => due.instant,
            _ => record.at,
        };
        instant.as_micros().div_euclid(DAY)
    };
    let records = history.records.iter().map(|record| {
        reached = reached.max(day(record));
        (reached, record)
    });
    records.collect()
}
