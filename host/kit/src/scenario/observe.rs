//! What came of a step, and how it differs from what was expected.

use farebox_engine::Reply;
use farebox_ledger::Wallet;
use farebox_money::{Asset, Nanos};
use farebox_record::command::Command;
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, AssetBalance, Verdict};
use farebox_record::plan::{Charge, Collect, GrantOrder};
use farebox_record::record::Record;
use farebox_record::state::SubscriptionState;
use farebox_record::time::Timestamp;

use super::command::category;
use super::expect::{Expect, ExpectedCharge, ExpectedGrant, Status};
use super::refused::{Refused, compare_refusal, plain};
use super::sums::{Sums, amounts, equal, list, sums, told};
use super::value::{Count, Money};

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Observed {
    charges: Vec<Dated>,
    grants: Vec<GrantOrder>,
    hold: Vec<(Asset, Nanos)>,
    reversed: Vec<(Asset, Nanos)>,
    balances: Vec<AssetBalance>,
    subscription: Option<SubscriptionState>,
    unpriced: u64,
    refused: Option<Refused>,
    replayed: bool,
}

/// A charge, and when what it is for happened.
#[derive(Debug)]
struct Dated {
    charge: Charge,
    at: Timestamp,
}

impl Observed {
    /// From the reply to the step's command, the records made since the step before, and the wallet and the subscription
    /// afterwards.
    pub fn of(
        reply: Option<&Reply>,
        records: &[Record],
        wallet: &Wallet,
        subscription: Option<&SubscriptionState>,
    ) -> Observed {
        let mut observed = Observed {
            balances: wallet.balances(),
            subscription: subscription.cloned(),
            unpriced: wallet.header().unpriced,
            ..Observed::default()
        };
        for record in records.iter().filter(|record| !is_scheduled(record)) {
            if let Some(Verdict::Priced(priced)) =
                record.seen.pricing.as_ref().map(|pricing| &pricing.verdict)
            {
                let at = happened(record);
                observed.charges.extend(priced.charges.iter().map(|charge| Dated {
                    charge: charge.clone(),
                    at,
                }));
                observed.grants.extend(priced.grants.iter().cloned());
            }
        }
        match reply {
            None | Some(Reply::Wallet(_) | Reply::Hold(..) | Reply::CaughtUp(_)) => {}
            Some(Reply::Done(done)) => {
                observed.replayed = done.replayed;
                observed.take(&done.answer);
            }
            Some(Reply::Conflict { field }) => {
                let message = format!("{field} differs from the first request with this id");
                observed.refused = Some(plain("conflict", message, Some(field.clone())));
            }
            Some(Reply::Refused(refusal)) => observed.refused = Some(Refused::of_refusal(refusal)),
            Some(Reply::Archived) => {
                let message = "what it needs is in an archive".into();
                observed.refused = Some(plain("archived", message, None));
            }
            Some(Reply::Stopped) => {
                observed.refused = Some(plain("stopped", "the engine stopped".into(), None))
            }
        }
        observed
    }

    fn take(&mut self, answer: &Answer) {
        match answer {
            Answer::Allowed(allowed) => self.hold.clone_from(&allowed.held),
            Answer::Corrected(corrected) => self.reversed.clone_from(&corrected.reversed),
            Answer::Refolded(refolded) => self.reversed.clone_from(&refolded.corrected.reversed),
            Answer::Denied(denied) => self.refused = Some(Refused::of_denial(denied)),
            Answer::Unpriced(reason) => self.refused = Some(Refused::of_unpriced(reason)),
            _ => {}
        }
    }
}

/// When that which a record is about happened, whenever it was handled.
fn happened(record: &Record) -> Timestamp {
    match &record.command {
        Command::Due(due) => due.instant,
        command => command
            .retried()
            .map_or(record.seen.time, |(_, missed)| missed.due.instant),
    }
}

/// A change that waits for the end of the period: a new plan is asked what it would own, and nothing of its answer counts.
fn is_scheduled(record: &Record) -> bool {
    match &record.outcome.answer {
        Answer::SubscriptionChanged(changed) => changed.effective > record.at,
        _ => false,
    }
}

/// Every expectation that was not met, with what came instead.
pub(super) fn compare(expect: &Expect, observed: &Observed) -> Vec<String> {
    let mut problems = Vec::new();
    compare_refusal(expect.refused.as_ref(), observed.refused.as_ref(), &mut problems);
    if let Some(expected) = &expect.charges {
        let found: Vec<String> = observed.charges.iter().map(show_charge).collect();
        let fits = expected.len() == observed.charges.len()
            && expected
                .iter()
                .zip(&observed.charges)
                .all(|(e, c)| charge_fits(e, c));
        if !fits {
            problems.push(told("charges", expected.iter().map(show_expected), found));
        }
    }
    if let Some(expected) = &expect.total {
        let found = totals(&observed.charges);
        differ("total", expected, &found, &mut problems);
    }
    if let Some(expected) = &expect.grants {
        let fits = expected.len() == observed.grants.len()
            && expected
                .iter()
                .zip(&observed.grants)
                .all(|(e, g)| grant_fits(e, g));
        if !fits {
            let wanted = expected.iter().map(|g| {
                format!(
                    "{}{}",
                    g.amount,
                    divided(g.each.as_ref().map(|each| (&each.attribute, each.amount.0)))
                )
            });
            let found = observed.grants.iter().map(|g| {
                let each = g.each.as_ref().map(|each| (&each.attribute, each.amount));
                format!("{} {} ({}){}", g.amount, g.asset, g.label, divided(each))
            });
            problems.push(told("grants", wanted, found));
        }
    }
    if let Some(expected) = &expect.reversed {
        differ("reversed", expected, &observed.reversed, &mut problems);
    }
    if let Some(expected) = &expect.hold {
        differ("hold", expected, &observed.hold, &mut problems);
    }
    for (name, expected, read) in [
        (
            "balance",
            &expect.balance,
            (|b| b.available) as fn(&AssetBalance) -> Nanos,
        ),
        ("held", &expect.held, |b| b.held),
        ("debt", &expect.debt, |b| b.debt),
        ("receivable", &expect.receivable, |b| b.receivable),
    ] {
        for Money { amount, asset } in expected {
            let found = observed
                .balances
                .iter()
                .find(|b| b.asset == *asset)
                .map_or(Nanos::ZERO, read);
            if found != *amount {
                problems.push(format!(
                    "{name}: expected {amount} {asset}, found {found} {asset}"
                ));
            }
        }
    }
    compare_subscription(expect, observed, &mut problems);
    if let Some(expected) = expect.unpriced
        && expected != observed.unpriced
    {
        problems.push(format!(
            "unpriced: expected {expected} to wait for a price, found {}",
            observed.unpriced
        ));
    }
    if let Some(expected) = expect.replayed
        && expected != observed.replayed
    {
        problems.push(format!(
            "replayed: expected {expected}, found {}",
            observed.replayed
        ));
    }
    problems
}

/// What the subscription must be afterwards.
fn compare_subscription(expect: &Expect, observed: &Observed, problems: &mut Vec<String>) {
    let found = observed.subscription.as_ref();
    let mut differ = |name: &str, expected: Option<String>, found: Option<String>| {
        if expected.is_some() && expected != found {
            let (expected, found) = (
                expected.unwrap_or_default(),
                found.unwrap_or("no subscription".into()),
            );
            problems.push(format!("{name}: expected {expected}, found {found}"));
        }
    };
    let span = |start: Timestamp, end: Timestamp| format!("{start} to {end}");
    differ(
        "period",
        expect.period.map(|period| span(period.start.0, period.end.0)),
        found.map(|subscription| span(subscription.period.start, subscription.period.end)),
    );
    differ(
        "seats",
        expect.seats.map(|seats| seats.to_string()),
        found.map(|subscription| subscription.seats.to_string()),
    );
    let status = |status: Status| match status {
        Status::Active => "active",
        Status::Paused => "paused",
        Status::Cancelled => "cancelled",
    };
    differ(
        "status",
        expect.status.map(|expected| status(expected).to_string()),
        found.map(|subscription| {
            let found = match subscription.status {
                SubscriptionStatus::Active => Status::Active,
                SubscriptionStatus::Paused(_) => Status::Paused,
                SubscriptionStatus::Cancelled(_) => Status::Cancelled,
            };
            status(found).to_string()
        }),
    );
}

fn differ(name: &str, expected: &[Money], found: &[(Asset, Nanos)], problems: &mut Vec<String>) {
    if !equal(expected, found) {
        let found = amounts(found);
        problems.push(format!("{name}: expected {}, found {found}", list(expected)));
    }
}

fn totals(charges: &[Dated]) -> Sums {
    sums(
        charges
            .iter()
            .map(|Dated { charge, .. }| (&charge.price.asset, charge.price.amount)),
    )
}

fn charge_fits(expected: &ExpectedCharge, found: &Dated) -> bool {
    let charge = &found.charge;
    let price = |money: &Money, asset: &Asset, amount: Nanos| money.asset == *asset && money.amount == amount;
    expected.code == charge.code
        && price(&expected.amount, &charge.price.asset, charge.price.amount)
        && expected
            .quantity
            .is_none_or(|Count(quantity)| quantity == charge.quantity)
        && expected.otherwise.len() == charge.otherwise.len()
        && expected
            .otherwise
            .iter()
            .zip(&charge.otherwise)
            .all(|(e, link)| price(e, &link.asset, link.amount))
        && expected.invoice == (charge.price.collect == Collect::Invoice)
        && expected.at.is_none_or(|at| at.0 == found.at)
}

/// How a grant is divided, behind what it is; nothing where it is not.
fn divided(each: Option<(&String, Nanos)>) -> String {
    each.map_or(String::new(), |(attribute, amount)| {
        format!(", {amount} for each {attribute}")
    })
}

fn grant_fits(expected: &ExpectedGrant, grant: &GrantOrder) -> bool {
    expected.amount.asset == grant.asset
        && expected.amount.amount == grant.amount
        && expected.label.as_ref().is_none_or(|label| *label == grant.label)
        && expected
            .category
            .is_none_or(|kind| category(kind) == grant.category)
        && expected.effective.is_none_or(|at| Some(at.0) == grant.effective)
        && expected.expires.is_none_or(|at| Some(at.0) == grant.expires)
        && expected.each.as_ref().is_none_or(|each| {
            let given = grant.each.as_ref();
            given.is_some_and(|given| (&given.attribute, given.amount) == (&each.attribute, each.amount.0))
        })
}

fn show_charge(found: &Dated) -> String {
    let charge = &found.charge;
    let price = format!("{} {}", charge.price.amount, charge.price.asset);
    let otherwise = charge
        .otherwise
        .iter()
        .map(|link| format!("{} {}", link.amount, link.asset));
    let invoice = charge.price.collect == Collect::Invoice;
    let mut text = show(&charge.code, &price, otherwise, Some(charge.quantity), invoice);
    text.push_str(&format!(" at {}", found.at));
    text
}

fn show_expected(charge: &ExpectedCharge) -> String {
    let otherwise = charge.otherwise.iter().map(Money::to_string);
    let quantity = charge.quantity.map(|Count(quantity)| quantity);
    let amount = charge.amount.to_string();
    let mut text = show(&charge.code, &amount, otherwise, quantity, charge.invoice);
    if let Some(at) = charge.at {
        text.push_str(&format!(" at {}", at.0));
    }
    text
}

/// A charge in words, so that whatever can differ can be seen.
fn show(
    code: &str,
    amount: &str,
    otherwise: impl Iterator<Item = String>,
    quantity: Option<Nanos>,
    invoice: bool,
) -> String {
    let mut text = format!("{code} {amount}");
    for link in otherwise {
        text.push_str(&format!(" or {link}"));
    }
    if let Some(quantity) = quantity {
        text.push_str(&format!(" ({quantity})"));
    }
    if invoice {
        text.push_str(" on the statement");
    }
    text
}
