//! Answers and refusals as short text, so that a table of cases can be read by an accountant.

use farebox_ledger::Refusal;
use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{Account, Answer, DenialReason, Denied, RepricedEvent};

use super::t;

/// `allowed, held usd 5`, or `refused: ...`.
pub fn say(result: &Result<Answer, Refusal>) -> String {
    match result {
        Ok(answer) => say_answer(answer),
        Err(refusal) => format!("refused: {refusal}"),
    }
}

fn say_answer(answer: &Answer) -> String {
    match answer {
        Answer::Customer { created: true } => "created".into(),
        Answer::Customer { created: false } => "changed".into(),
        Answer::Granted { paid_debt, .. } if paid_debt.is_zero() => "granted".into(),
        Answer::Granted { paid_debt, .. } => format!("granted, {paid_debt} paid debt"),
        Answer::Subscribed { .. } => "subscribed".into(),
        Answer::Allowed(a) => parts("allowed", &[("held", &a.held)]),
        Answer::Denied(d) => say_denied(d),
        Answer::Charged { .. } => "charged".into(),
        Answer::Unpriced(reason) => format!("unpriced: {reason:?}"),
        Answer::Settled(s) => {
            let mut text = parts(
                if s.ended { "settled" } else { "part" },
                &[
                    ("posted", &s.posted),
                    ("returned", &s.returned),
                    ("held", &s.held),
                    ("debt", &s.debt),
                    ("waived", &s.waived),
                ],
            );
            if s.late {
                text.push_str(", late");
            }
            text
        }
        Answer::Extended { held, expires, .. } => {
            format!(
                "{} until {}",
                parts("extended", &[("held", held)]),
                since_start(*expires)
            )
        }
        Answer::HoldEnded { end, returned, .. } => {
            parts(&format!("{end:?}").to_lowercase(), &[("returned", returned)])
        }
        Answer::Handled => "handled".into(),
        Answer::SubscriptionChanged(changed) => format!(
            "{:?}, seats {}, period {}, in force at {}",
            changed.status,
            changed.seats,
            changed.period.index,
            since_start(changed.effective)
        ),
        Answer::Adjusted { .. } => "adjusted".into(),
        Answer::Paid { .. } => "paid".into(),
        Answer::Refolded(r) => {
            let repriced: Vec<String> = r.repriced.iter().map(say_repriced).collect();
            let corrected = say_answer(&Answer::Corrected(Box::new(r.corrected.clone())));
            format!("{corrected}; {}", repriced.join("; "))
        }
        Answer::Corrected(c) => {
            let charged: Vec<(Asset, Nanos)> = c
                .charges
                .iter()
                .map(|line| (line.asset.clone(), line.amount))
                .collect();
            parts(
                "corrected",
                &[
                    ("reversed", &c.reversed),
                    ("paid", &c.paid),
                    ("expired", &c.expired),
                    ("charged", &charged),
                ],
            )
        }
        Answer::LimitPut { created: true, .. } => "limited".into(),
        Answer::LimitPut { created: false, .. } => "limit changed".into(),
        Answer::LimitDeleted(_) => "limit deleted".into(),
    }
}

/// `denied: InsufficientFunds, 4 of 5 usd`; `denied by team at team=search until 60: 4 of 5 usd`.
fn say_repriced(repriced: &RepricedEvent) -> String {
    parts(
        repriced.event.id.as_str(),
        &[("back", &repriced.reversed), ("charged", &repriced.charged)],
    )
}

fn say_denied(denied: &Denied) -> String {
    let asset = denied.asset.as_ref();
    let amounts = asset.map(|asset| format!("{} of {} {asset}", denied.available, denied.required));
    match (&denied.reason, amounts) {
        (DenialReason::Limit(why), amounts) => {
            let seconds =
                |at: farebox_record::time::Timestamp| (at.as_micros() - t(0).as_micros()) / 1_000_000;
            let until = why.resets.map_or("-".to_string(), |at| seconds(at).to_string());
            let amounts = amounts.unwrap_or_default();
            format!(
                "denied by {} at {} until {until}: {amounts}",
                why.limit, why.level
            )
        }
        (reason, Some(amounts)) => format!("denied: {reason:?}, {amounts}"),
        (reason, None) => format!("denied: {reason:?}"),
    }
}

fn since_start(at: farebox_record::time::Timestamp) -> i64 {
    (at.as_micros() - t(0).as_micros()) / 1_000_000
}

fn parts(head: &str, lists: &[(&str, &[(Asset, Nanos)])]) -> String {
    let mut text = head.to_string();
    for (name, amounts) in lists.iter().filter(|(_, amounts)| !amounts.is_empty()) {
        let amounts: Vec<String> = amounts.iter().map(|(a, n)| format!("{a} {n}")).collect();
        text.push_str(&format!(", {name} {}", amounts.join(" + ")));
    }
    text
}

/// `available:g`, `revenue`.
pub fn account(account: &Account) -> String {
    match account {
        Account::Available(id) => format!("available:{id}"),
        Account::Held(id) => format!("held:{id}"),
        other => format!("{other:?}").to_lowercase(),
    }
}
