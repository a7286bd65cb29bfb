//! Statements as short text, so that they can be read by an accountant.

use farebox_ledger::Wallet;
use farebox_record::Record;
use farebox_record::outcome::Effect;
use farebox_record::time::Timestamp;
use farebox_statement::{
    Balances, Line, Moved, Reach, Reading, Statement, StatementError, Wants, balances, statement,
};

use crate::world::{World, t};

/// The statement of `[from, to)` in seconds after the start, read forward from the first record, backward from the last, and
/// backward from the first record behind the range, which must all give the same.
pub fn of(world: &World, from: i64, to: i64) -> Statement {
    between(world, t(from), t(to))
}

pub fn between(world: &World, from: Timestamp, to: Timestamp) -> Statement {
    let forward = statement(&Balances::new(), &world.records, from, to).unwrap();
    let backward = backward(world, from, to).unwrap();
    assert_eq!(forward, backward, "read forward and backward");
    if let Some(behind) = world.records.iter().position(|record| record.instant() >= to) {
        let records = &world.records[..=behind];
        let mut wallet = Wallet::default();
        for record in records {
            wallet.replay(record, &record.encode()).unwrap();
        }
        let from_there = read(world, records, &wallet, from, to).unwrap();
        assert_eq!(
            forward, from_there,
            "read backward from the first record behind the range"
        );
    }
    forward
}

pub fn backward(world: &World, from: Timestamp, to: Timestamp) -> Result<Statement, StatementError> {
    read(world, &world.records, &world.wallet, from, to)
}

/// Reads these records backward, behind the last of which the wallet was this.
fn read(
    world: &World,
    records: &[Record],
    wallet: &Wallet,
    from: Timestamp,
    to: Timestamp,
) -> Result<Statement, StatementError> {
    let mut reading = Reading::new(from, to, balances(wallet.customer_accounts()))?;
    let mut reach = Reach::Beginning;
    for record in records.iter().rev() {
        if reading.take(record.clone())? == Wants::Enough {
            reach = Reach::Range;
            break;
        }
    }
    let unknown = reading.unknown_grants()?;
    for record in &world.records {
        let opens = |effect: &Effect| matches!(effect, Effect::GrantOpened(id, _) if unknown.contains(id));
        if record.outcome.effects.iter().any(opens) {
            reading.learn(record);
        }
    }
    reading.finish(reach)
}

/// `opening`, lines and `closing` of one asset; the numbers are available, held, debt and receivable.
pub fn lines(statement: &Statement, asset: &str) -> Vec<String> {
    let Some(found) = statement.assets.iter().find(|a| a.asset.as_str() == asset) else {
        return Vec::new();
    };
    let mut said = vec![format!("opening {}", moved(found.opening))];
    said.extend(found.lines.iter().map(line));
    said.push(format!("closing {}", moved(found.closing)));
    said
}

fn line(line: &Line) -> String {
    let mut said = line.kind.as_str().to_string();
    let mut add = |part: Option<String>| {
        if let Some(part) = part {
            said.push(' ');
            said.push_str(&part);
        }
    };
    add(line.code.clone());
    add(line.grant.as_ref().map(ToString::to_string));
    add(line.label.as_ref().map(|label| format!("{label:?}")));
    add(line.cause.map(|cause| format!("({})", cause.as_str())));
    add(line.event.as_ref().map(|event| format!("of {}", event.id)));
    add(line.period.map(|period| format!("in {}", period.index)));
    add(line.quantity.map(|quantity| format!("x{quantity}")));
    format!("{said}: {}", moved(line.moved))
}

fn moved(moved: Moved) -> String {
    [moved.available, moved.held, moved.debt, moved.receivable]
        .map(|n| n.to_string())
        .join(" ")
}
