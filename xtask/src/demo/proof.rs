//! Every cent, computed a second time and compared in every place where it shows.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde_json::Value;

use super::prices::{PriceList, Tokens};
use super::replay::Revised;
use super::script::{Ending, Script};
use super::setup::Scene;
use super::tally::{Fate, Record, Tally};
use crate::client::{Client, Revision};

/// How much more than the exact worst case may be held: each price is rounded up once.
const HOLD_SLACK: Decimal = Decimal::from_parts(3, 0, 0, false, 9);
/// Differences that are told one by one.
const EXAMPLES_MAX: usize = 5;

/// Both price lists, by revision.
#[derive(Debug)]
pub struct Prices {
    lists: BTreeMap<Revision, PriceList>,
    /// The one that came midway.
    pub second: Revision,
}

/// What a wallet shows in the end, through the API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WalletEnd {
    /// What is free.
    pub available: Decimal,
    /// What holds have set aside.
    pub held: Decimal,
    /// What is owed.
    pub debt: Decimal,
    /// Sum over its history: what was earned.
    pub revenue: Decimal,
    /// Sum over its history: what expired unused.
    pub breakage: Decimal,
    /// How many entries its history has.
    pub entries: u64,
}

/// What the product's own verification said.
#[derive(Debug)]
pub struct Verified {
    /// `farebox ledger verify --json`.
    pub ledger: Value,
    /// `farebox journal verify --json`.
    pub journal: Value,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What must hold.
    pub name: &'static str,
    /// In how many cases it was looked at.
    pub cases: u64,
    /// Where it does not hold; empty: it does.
    pub differences: Vec<String>,
}

impl Prices {
    /// Reads both lists.
    pub fn new(scene: &Scene, revised: &Revised) -> anyhow::Result<Prices> {
        let first = PriceList::parse(&scene.first_parameters)?;
        let second = PriceList::parse(&revised.parameters)?;
        Ok(Prices {
            lists: BTreeMap::from([(scene.first.clone(), first), (revised.revision.clone(), second)]),
            second: revised.revision.clone(),
        })
    }

    fn of(&self, revision: &Revision) -> anyhow::Result<&PriceList> {
        self.lists
            .get(revision)
            .with_context(|| format!("a revision that nobody pushed: {revision:?}"))
    }
}

/// Reads every wallet and its whole history through the API.
pub async fn wallets(client: &Client, script: &Script) -> anyhow::Result<Vec<WalletEnd>> {
    let mut tasks = Vec::new();
    for customer in &script.customers {
        let (client, id) = (client.clone(), customer.id.clone());
        tasks.push(tokio::spawn(async move {
            wallet(&client, &id).await.with_context(|| id)
        }));
    }
    let mut ends = Vec::new();
    for task in tasks {
        ends.push(task.await??);
    }
    Ok(ends)
}

async fn wallet(client: &Client, customer: &str) -> anyhow::Result<WalletEnd> {
    let mut end = WalletEnd::default();
    for balance in client
        .balance(customer)
        .await?
        .into_iter()
        .filter(|b| b.asset == "usd")
    {
        end.available = balance.available;
        end.held = balance.held;
        end.debt = balance.debt;
    }
    client
        .entries(customer, |entry| {
            end.entries += 1;
            match entry.account.as_str() {
                "revenue" => end.revenue += entry.amount,
                "breakage" => end.breakage += entry.amount,
                _ => {}
            }
        })
        .await?;
    Ok(end)
}

/// Asks the product to verify what it left behind.
pub fn verify(farebox: &Path, data: &Path) -> anyhow::Result<Verified> {
    let ask = |what: &str| -> anyhow::Result<Value> {
        let output = Command::new(farebox)
            .args([what, "verify", "--json", "--data"])
            .arg(data)
            .current_dir(data.parent().unwrap_or(data)) // a farebox.toml of the caller's folder is not for us
            .stdin(Stdio::null())
            .output()?;
        // What it found is on stdout even where that is nothing good.
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!(
                "{what} verify: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )
        })
    };
    Ok(Verified {
        ledger: ask("ledger")?,
        journal: ask("journal")?,
    })
}

/// Checks everything.
pub fn prove(
    script: &Script,
    tally: &Tally,
    prices: &Prices,
    wallets: &[WalletEnd],
    verified: &Verified,
) -> Vec<Check> {
    let mut charged = vec![Decimal::ZERO; script.customers.len()];
    for record in &tally.records {
        if let Fate::Charged { amount, .. } = record.fate {
            charged[script.turns[record.turn].customer] += amount;
        }
    }
    vec![
        no_failure(script, tally),
        each(
            "each hold is the worst case of the revision that quoted it",
            script,
            tally,
            |record| quote_differs(script, prices, record),
        ),
        each(
            "each charge is the price of the revision that quoted its hold",
            script,
            tally,
            |record| charge_differs(script, prices, record),
        ),
        each(
            "settlements after expiry are marked late, others not",
            script,
            tally,
            |record| lateness_differs(script, record),
        ),
        each(
            "each denial asked for more than was there",
            script,
            tally,
            denial_differs,
        ),
        both_revisions(tally, prices),
        revenue(script, wallets, &charged),
        conservation(script, wallets, &charged),
        nothing_held(script, wallets),
        ledger(verified, charged.iter().sum()),
        journal(verified),
    ]
}

impl Check {
    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.differences.is_empty()
    }

    fn over(name: &'static str, results: impl Iterator<Item = Option<String>>) -> Check {
        let (mut cases, mut count, mut differences) = (0, 0usize, Vec::new());
        for result in results {
            cases += 1;
            if let Some(difference) = result {
                count += 1;
                if count <= EXAMPLES_MAX {
                    differences.push(difference);
                }
            }
        }
        if count > EXAMPLES_MAX {
            differences.push(format!("and {} more", count - EXAMPLES_MAX));
        }
        Check {
            name,
            cases,
            differences,
        }
    }
}

fn no_failure(script: &Script, tally: &Tally) -> Check {
    let failures = tally.failures.iter().map(|f| format!("{}: {}", f.turn, f.what));
    let missing = script
        .turns
        .len()
        .saturating_sub(tally.records.len() + tally.failures.len());
    let unsent = (missing > 0).then(|| format!("{missing} requests did not get to their end"));
    Check {
        name: "no request failed, and each retry got the first answer",
        cases: tally.records.len() as u64 + tally.failed,
        differences: failures.chain(unsent).collect(),
    }
}

/// A check of every request that is over; the request's name is put before what differs.
fn each(
    name: &'static str,
    script: &Script,
    tally: &Tally,
    differs: impl Fn(&Record) -> Option<anyhow::Result<Option<String>>>,
) -> Check {
    let results = tally.records.iter().filter_map(|record| {
        let turn = &script.turns[record.turn];
        let named = |what: String| {
            format!(
                "{} ({}, {}): {what}",
                turn.id, script.customers[turn.customer].id, turn.model
            )
        };
        let difference = differs(record)?.unwrap_or_else(|error| Some(format!("{error:#}")));
        Some(difference.map(named))
    });
    Check::over(name, results)
}

fn quote_differs(
    script: &Script,
    prices: &Prices,
    record: &Record,
) -> Option<anyhow::Result<Option<String>>> {
    let (revision, held) = (record.revision.as_ref()?, record.held?);
    let turn = &script.turns[record.turn];
    let worst = |list: &PriceList| list.worst_case(&turn.model, turn.context.into(), turn.max_output.into());
    Some(prices.of(revision).and_then(worst).map(|worst| {
        let fits = held >= worst && held <= worst + HOLD_SLACK;
        (!fits).then(|| format!("held {held}, where the worst case is {worst}"))
    }))
}

fn charge_differs(
    script: &Script,
    prices: &Prices,
    record: &Record,
) -> Option<anyhow::Result<Option<String>>> {
    let Fate::Charged { amount, .. } = record.fate else {
        return None;
    };
    let revision = record.revision.as_ref()?;
    let turn = &script.turns[record.turn];
    let tokens = Tokens::plain(turn.context.into(), turn.generated.into());
    let price = prices
        .of(revision)
        .and_then(|list| list.price(&turn.model, tokens));
    Some(
        price.map(|price| (price != amount).then(|| format!("charged {amount}, where the price is {price}"))),
    )
}

fn lateness_differs(script: &Script, record: &Record) -> Option<anyhow::Result<Option<String>>> {
    let Fate::Charged { late, .. } = record.fate else {
        return None;
    };
    let expected = script.turns[record.turn].ending == Ending::SettleLate;
    Some(Ok(
        (late != expected).then(|| format!("late is {late}, expected {expected}"))
    ))
}

fn denial_differs(record: &Record) -> Option<anyhow::Result<Option<String>>> {
    let Fate::Denied {
        code,
        required,
        available,
    } = &record.fate
    else {
        return None;
    };
    Some(Ok(match (code.as_str(), required, available) {
        ("insufficient_funds", Some(required), Some(available)) if required > available => None,
        ("debt", Some(required), _) if !required.is_zero() => None,
        _ => Some(format!("{code}: required {required:?}, available {available:?}")),
    }))
}

fn both_revisions(tally: &Tally, prices: &Prices) -> Check {
    let results = prices.lists.keys().map(|revision| {
        let count = tally.by_revision.get(revision).copied().unwrap_or(0);
        (count == 0).then(|| format!("no request was quoted by {}", revision.parameters))
    });
    Check::over("both price lists quoted requests", results)
}

fn revenue(script: &Script, wallets: &[WalletEnd], charged: &[Decimal]) -> Check {
    let results = script
        .customers
        .iter()
        .zip(wallets)
        .zip(charged)
        .map(|((customer, end), charged)| {
            let earned = end.revenue;
            (earned != *charged).then(|| {
                format!(
                    "{}: the ledger earned {earned}, charged were {charged}",
                    customer.id
                )
            })
        });
    Check::over("each customer's ledger earned exactly what was charged", results)
}

fn conservation(script: &Script, wallets: &[WalletEnd], charged: &[Decimal]) -> Check {
    let results = script
        .customers
        .iter()
        .zip(wallets)
        .zip(charged)
        .map(|((customer, end), charged)| {
            let came = customer.budget.granted() + end.debt;
            let went = end.available + end.held + charged + end.breakage;
            (came != went).then(|| {
                format!(
                    "{}: granted and owed {came}, available, held and charged {went}",
                    customer.id
                )
            })
        });
    Check::over(
        "granted + owed = available + held + charged + expired, per customer",
        results,
    )
}

fn nothing_held(script: &Script, wallets: &[WalletEnd]) -> Check {
    let results = script.customers.iter().zip(wallets).map(|(customer, end)| {
        (!end.held.is_zero()).then(|| format!("{}: {} is still held", customer.id, end.held))
    });
    Check::over("nothing stays held", results)
}

fn ledger(verified: &Verified, charged: Decimal) -> Check {
    let report = &verified.ledger;
    let list = report.get("violations").and_then(Value::as_array);
    let violations = list
        .into_iter()
        .flatten()
        .map(|violation| Some(violation.to_string()));
    let unsound = (!is_sound(report)).then(|| "it does not call the ledger sound".to_string());
    // What all wallets together earned stands in the books.
    let sum = report.pointer("/books/usd/revenue").and_then(Value::as_str);
    let difference = match sum.map(str::parse::<Decimal>) {
        Some(Ok(sum)) if sum == charged => None,
        Some(Ok(sum)) => Some(format!("it counts {sum} charged, where {charged} was")),
        None if charged.is_zero() => None,
        _ => Some("it does not say what was charged".to_string()),
    };
    let mut check = Check::over(
        "farebox ledger verify finds everything sound, and the same sum",
        [unsound, difference].into_iter().chain(violations),
    );
    check.cases = report.get("records").and_then(Value::as_u64).unwrap_or(0);
    check
}

fn journal(verified: &Verified) -> Check {
    let report = &verified.journal;
    let difference = (!is_sound(report)).then(|| report.to_string());
    let mut check = Check::over(
        "farebox journal verify finds every frame intact",
        std::iter::once(difference),
    );
    check.cases = report.get("frames").and_then(Value::as_u64).unwrap_or(0);
    check
}

fn is_sound(report: &Value) -> bool {
    report.get("sound").and_then(Value::as_bool) == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What `farebox ledger verify --json` says of one wallet that bought 5 dollars and used 1.25 of them.
    fn said(sound: bool, revenue: &str) -> Verified {
        let books = json!({"usd": {"available": "3.75", "purchases": "-5", "revenue": revenue}});
        Verified {
            ledger: json!({"sound": sound, "records": 3, "books": books, "violations": []}),
            journal: json!({"sound": true, "frames": 3}),
        }
    }

    #[test]
    fn the_ledger_must_be_sound_and_have_earned_what_was_charged() {
        let charged = "1.25".parse().unwrap();
        let check = ledger(&said(true, "1.25"), charged);
        assert!(check.holds() && check.cases == 3, "{check:?}");
        let differences = |verified| ledger(&verified, charged).differences;
        assert_eq!(
            differences(said(true, "1.2")),
            ["it counts 1.2 charged, where 1.25 was"]
        );
        assert_eq!(
            differences(said(false, "1.25")),
            ["it does not call the ledger sound"]
        );
        let mut without = said(true, "1.25");
        without.ledger["books"] = json!({});
        assert_eq!(differences(without), ["it does not say what was charged"]);
    }
}
