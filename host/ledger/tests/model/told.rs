//! The ledger's word, in the model's terms.

use farebox_ledger::Refusal;
use farebox_money::{Asset, Nanos};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{Answer, AssetBalance, DenialReason};
use farebox_record::time::Period;

use crate::drive::since_start;
use crate::reference::Told;
use crate::subscriptions::Status;

/// `granted`: the asset that was asked for, where it was a grant: the answer leaves it out.
pub fn told(result: &Result<Answer, Refusal>, granted: Option<&str>) -> Told {
    let answer = match result {
        Ok(answer) => answer,
        Err(refusal) => return Told::new(&refused(refusal)),
    };
    let mut told = Told::default();
    let mut add = |name, amounts: &[(Asset, Nanos)]| {
        for (asset, amount) in amounts {
            told.add(name, asset.as_str(), amount.get());
        }
    };
    let what = match answer {
        Answer::Customer { .. } => "changed".to_string(),
        Answer::Subscribed { period, .. } => format!("subscribed {:?}", numbers(*period)),
        Answer::Charged { .. } => "charged".into(),
        Answer::Unpriced(_) => "unpriced".into(),
        Answer::Handled => "handled".into(),
        Answer::Allowed(a) => {
            add("held", &a.held);
            "allowed".into()
        }
        Answer::Extended { held, .. } => {
            add("held", held);
            "extended".into()
        }
        Answer::HoldEnded { returned, .. } => {
            add("returned", returned);
            "released".into()
        }
        Answer::Denied(d) => {
            if let (Some(asset), true) = (&d.asset, has_amounts(&d.reason)) {
                add("required", &[(asset.clone(), d.required)]);
                add("available", &[(asset.clone(), d.available)]);
            }
            denied(&d.reason)
        }
        Answer::Settled(s) => {
            add("posted", &s.posted);
            add("returned", &s.returned);
            add("held", &s.held);
            add("debt", &s.debt);
            add("waived", &s.waived);
            let what = if s.ended { "settled" } else { "part" };
            format!("{what}{}", if s.late { " late" } else { "" })
        }
        Answer::Granted { paid_debt, .. } => {
            told.add("paid debt", granted.unwrap(), paid_debt.get());
            "granted".into()
        }
        Answer::SubscriptionChanged(c) => {
            let status = match c.status {
                SubscriptionStatus::Active => Status::Active,
                SubscriptionStatus::Paused(at) => Status::Paused(since_start(at)),
                SubscriptionStatus::Cancelled(at) => Status::Cancelled(since_start(at)),
            };
            let (seats, period, effective) = (c.seats, numbers(c.period), since_start(c.effective));
            format!("changed {status:?} {seats} {period:?} at {effective}")
        }
        Answer::Adjusted { .. } => "adjusted".into(),
        Answer::Paid { .. } => "paid".into(),
        Answer::Corrected(c) => {
            add("reversed", &c.reversed);
            add("paid", &c.paid);
            add("expired", &c.expired);
            "corrected".into()
        }
        Answer::Refolded(r) => {
            add("reversed", &r.corrected.reversed);
            add("paid", &r.corrected.paid);
            add("expired", &r.corrected.expired);
            for repriced in &r.repriced {
                add("cheaper", &repriced.reversed);
                add("dearer", &repriced.charged);
            }
            "refolded".into()
        }
        Answer::LimitPut { created, .. } if *created => "limited".into(),
        Answer::LimitPut { .. } => "limit changed".into(),
        Answer::LimitDeleted(_) => "limit deleted".into(),
    };
    told.what = what;
    told
}

/// The balances that an answer tells, where it tells any.
pub fn balances(answer: &Answer) -> Option<&[AssetBalance]> {
    Some(match answer {
        Answer::Granted { balances, .. }
        | Answer::Subscribed { balances, .. }
        | Answer::Charged { balances, .. }
        | Answer::Extended { balances, .. }
        | Answer::HoldEnded { balances, .. }
        | Answer::Adjusted { balances }
        | Answer::Paid { balances } => balances,
        Answer::Allowed(a) => &a.balances,
        Answer::Settled(s) => &s.balances,
        Answer::SubscriptionChanged(c) => &c.balances,
        Answer::Corrected(c) => &c.balances,
        Answer::Refolded(r) => &r.corrected.balances,
        Answer::Customer { .. }
        | Answer::Denied(_)
        | Answer::Unpriced(_)
        | Answer::Handled
        | Answer::LimitPut { .. }
        | Answer::LimitDeleted(_) => return None,
    })
}

fn has_amounts(reason: &DenialReason) -> bool {
    matches!(
        reason,
        DenialReason::InsufficientFunds | DenialReason::Debt | DenialReason::Limit(_)
    )
}

fn denied(reason: &DenialReason) -> String {
    let why = match reason {
        DenialReason::InsufficientFunds => "InsufficientFunds".to_string(),
        DenialReason::Debt => "Debt".into(),
        DenialReason::NoSubscription => "NoSubscription".into(),
        DenialReason::Unpriceable(_) => "Unpriceable".into(),
        DenialReason::Paused => "Paused".into(),
        DenialReason::Limit(limit) => format!("Limit {}", limit.limit),
    };
    format!("denied: {why}")
}

fn refused(refusal: &Refusal) -> String {
    if let Refusal::UnknownHold | Refusal::HoldEnded { .. } = refusal {
        return "gone".into();
    }
    if let Refusal::AboveHold { .. } = refusal {
        return "above hold".into();
    }
    let name = format!("{refusal:?}");
    let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
    format!("refused: {name}")
}

fn numbers(period: Period) -> (i64, i64, u32) {
    (since_start(period.start), since_start(period.end), period.index)
}
