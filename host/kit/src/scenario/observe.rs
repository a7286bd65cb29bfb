//! What came of a step, and how it differs from what was expected.

use std::fmt::Display;

use farebox_engine::Reply;
use farebox_ledger::{Refusal, Wallet};
use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{Answer, AssetBalance, DenialReason, UnpricedReason, Verdict};
use farebox_record::plan::{Charge, Collect, GrantOrder, Rejection};
use farebox_record::record::Record;

use super::command::category;
use super::expect::{Expect, ExpectedCharge, ExpectedGrant};
use super::value::{Count, Money};

/// What came of a step.
#[derive(Debug, Default)]
pub(super) struct Observed {
    charges: Vec<Charge>,
    grants: Vec<GrantOrder>,
    hold: Vec<(Asset, Nanos)>,
    reversed: Vec<(Asset, Nanos)>,
    balances: Vec<AssetBalance>,
    refused: Option<Refused>,
    replayed: bool,
}

/// Why a step was refused.
#[derive(Debug)]
struct Refused {
    code: String,
    message: String,
    field: Option<String>,
    required: Option<(Asset, Nanos)>,
}

impl Observed {
    /// From the reply to the step's command, the records made since the step before, and the wallet afterwards.
    pub fn of(reply: Option<&Reply>, records: &[Record], wallet: &Wallet) -> Observed {
        let mut observed = Observed {
            balances: wallet.balances(),
            ..Observed::default()
        };
        for record in records.iter().filter(|record| !is_scheduled(record)) {
            if let Some(Verdict::Priced(priced)) =
                record.seen.pricing.as_ref().map(|pricing| &pricing.verdict)
            {
                observed.charges.extend(priced.charges.iter().cloned());
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
            Some(Reply::Refused(refusal)) => observed.refused = Some(of_refusal(refusal)),
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
            Answer::Denied(denied) => {
                let required = denied.asset.clone().map(|asset| (asset, denied.required));
                let refused = match &denied.reason {
                    DenialReason::InsufficientFunds => {
                        let message = format!("{} needed, {} available", denied.required, denied.available);
                        plain("insufficient_funds", message, None)
                    }
                    DenialReason::Debt => plain("debt", format!("{} owed", denied.required), None),
                    DenialReason::NoSubscription => plain("no_subscription", String::new(), None),
                    DenialReason::Unpriceable(rejection) => of_rejection(rejection),
                    DenialReason::Paused => plain("subscription_paused", String::new(), None),
                    DenialReason::Limit(why) => {
                        let message = format!("limit {} at {}", why.limit, why.level);
                        plain("limit_exceeded", message, None)
                    }
                };
                self.refused = Some(Refused { required, ..refused });
            }
            Answer::Unpriced(reason) => {
                self.refused = Some(match reason {
                    UnpricedReason::NoSubscription => plain("no_subscription", String::new(), None),
                    UnpricedReason::NoPlan => plain("unknown_plan", String::new(), None),
                    UnpricedReason::Rejected(rejection) => of_rejection(rejection),
                    UnpricedReason::PlanFailed { code, message } => plain(code, message.clone(), None),
                });
            }
            _ => {}
        }
    }
}

/// A change that waits for the end of the period: a new plan is asked what it would own, and nothing of its answer counts.
fn is_scheduled(record: &Record) -> bool {
    match &record.outcome.answer {
        Answer::SubscriptionChanged(changed) => changed.effective > record.at,
        _ => false,
    }
}

fn plain(code: &str, message: String, field: Option<String>) -> Refused {
    Refused {
        code: code.to_string(),
        message,
        field,
        required: None,
    }
}

fn of_rejection(rejection: &Rejection) -> Refused {
    match rejection {
        Rejection::InvalidEvent { field, message, .. } => {
            plain("invalid_event", message.clone(), Some(field.clone()))
        }
        Rejection::Unpriceable { message } => plain("unpriceable", message.clone(), None),
        Rejection::Overflow => plain(
            "overflow",
            "the amounts leave the range of the plan contract".into(),
            None,
        ),
        Rejection::NotAllowed { message } => plain("not_allowed", message.clone(), None),
    }
}

fn of_refusal(refusal: &Refusal) -> Refused {
    let said = refusal.to_string();
    match refusal {
        Refusal::InvalidEvent(rejection) => of_rejection(rejection),
        Refusal::PlanRefused(rejection) => Refused {
            code: "plan_refused".into(),
            ..of_rejection(rejection)
        },
        Refusal::UnknownHold => plain("unknown_hold", said, None),
        Refusal::HoldEnded { .. } => plain("hold_ended", said, None),
        Refusal::AboveHold { asset, missing } => Refused {
            required: Some((asset.clone(), *missing)),
            ..plain("above_hold", said, None)
        },
        Refusal::PlanFailed { code, .. } => plain(code, said, None),
        Refusal::EventTypeOwned { .. } => plain("event_type_owned", said, None),
        Refusal::Time { field, .. } => plain("invalid_time", said, Some((*field).to_string())),
        Refusal::Amount { field, .. } => plain("invalid_amount", said, Some((*field).to_string())),
        Refusal::Limit { .. } => plain("no_room", said, None),
        Refusal::TooMuch { .. } => plain("invalid_amount", said, Some("amount".to_string())),
        Refusal::UnknownEvent => plain("unknown_event", said, None),
        Refusal::UnknownGrant(_) => plain("unknown_grant", said, None),
        Refusal::NotRefundable(_) => plain("not_refundable", said, None),
        Refusal::StillHeld => plain("still_held", said, None),
        Refusal::EventVoided => plain("event_voided", said, None),
        Refusal::NothingToGiveBack => plain("nothing_to_give_back", said, None),
        Refusal::CannotRefold(_) => plain("cannot_refold", said, None),
        Refusal::SubscriptionEnded => plain("subscription_ended", said, None),
        Refusal::ChangeNotPossible(_) => plain("change_not_possible", said, None),
        Refusal::NoPlan => plain("unknown_plan", said, None),
        other => plain("refused", other.to_string(), None),
    }
}

/// Every expectation that was not met, with what came instead.
pub(super) fn compare(expect: &Expect, observed: &Observed) -> Vec<String> {
    let mut problems = Vec::new();
    compare_refusal(expect, observed, &mut problems);
    if let Some(expected) = &expect.charges {
        let found: Vec<String> = observed.charges.iter().map(show_charge).collect();
        let fits = expected.len() == observed.charges.len()
            && expected
                .iter()
                .zip(&observed.charges)
                .all(|(e, c)| charge_fits(e, c));
        if !fits {
            problems.push(format!(
                "charges: expected {}, found {}",
                list(expected.iter().map(show_expected)),
                list(found)
            ));
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
            let wanted = expected.iter().map(|g| g.amount.to_string());
            let found = observed
                .grants
                .iter()
                .map(|g| format!("{} {} ({})", g.amount, g.asset, g.label));
            problems.push(format!(
                "grants: expected {}, found {}",
                list(wanted),
                list(found)
            ));
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

fn compare_refusal(expect: &Expect, observed: &Observed, problems: &mut Vec<String>) {
    match (&expect.refused, &observed.refused) {
        (None, None) => {}
        (None, Some(refused)) => problems.push(format!("refused with {}: {}", refused.code, refused.message)),
        (Some(expected), None) => problems.push(format!(
            "expected to be refused with {}; it was not",
            expected.code
        )),
        (Some(expected), Some(refused)) => {
            if expected.code != refused.code {
                problems.push(format!(
                    "refused: expected {}, found {}: {}",
                    expected.code, refused.code, refused.message
                ));
            }
            if expected.field.is_some() && expected.field != refused.field {
                let (wanted, found) = (expected.field.as_deref(), refused.field.as_deref());
                problems.push(format!("refused: expected field {wanted:?}, found {found:?}"));
            }
            if let Some(words) = expected
                .says
                .as_ref()
                .filter(|words| !refused.message.contains(*words))
            {
                problems.push(format!(
                    "refused: expected a message with {words:?}, found {:?}",
                    refused.message
                ));
            }
            if let Some(required) = &expected.required {
                let found = refused
                    .required
                    .as_ref()
                    .map(|(asset, amount)| format!("{amount} {asset}"));
                if found.as_deref() != Some(&required.to_string()) {
                    problems.push(format!(
                        "refused: expected {required} to be required, found {found:?}"
                    ));
                }
            }
        }
    }
}

fn differ(name: &str, expected: &[Money], found: &[(Asset, Nanos)], problems: &mut Vec<String>) {
    let fits = expected.iter().all(|money| {
        let sum = found
            .iter()
            .find(|(asset, _)| *asset == money.asset)
            .map_or(Nanos::ZERO, |(_, amount)| *amount);
        sum == money.amount
    });
    let named = |asset: &Asset| expected.iter().any(|money| money.asset == *asset);
    let complete = found
        .iter()
        .all(|(asset, amount)| named(asset) || amount.is_zero());
    if !fits || !complete {
        let found = list(found.iter().map(|(asset, amount)| format!("{amount} {asset}")));
        problems.push(format!("{name}: expected {}, found {found}", list(expected)));
    }
}

fn totals(charges: &[Charge]) -> Vec<(Asset, Nanos)> {
    let mut totals: Vec<(Asset, Nanos)> = Vec::new();
    for charge in charges {
        let amount = charge.price.amount.get();
        match totals.iter_mut().find(|(asset, _)| *asset == charge.price.asset) {
            Some((_, total)) => *total = Nanos::new(total.get() + amount),
            None => totals.push((charge.price.asset.clone(), Nanos::new(amount))),
        }
    }
    totals
}

fn charge_fits(expected: &ExpectedCharge, charge: &Charge) -> bool {
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
}

fn show_charge(charge: &Charge) -> String {
    format!(
        "{} {} {} ({})",
        charge.code, charge.price.amount, charge.price.asset, charge.quantity
    )
}

fn show_expected(charge: &ExpectedCharge) -> String {
    let quantity = charge
        .quantity
        .map_or(String::new(), |Count(quantity)| format!(" ({quantity})"));
    format!("{} {}{quantity}", charge.code, charge.amount)
}

fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
