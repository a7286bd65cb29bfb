//! That a step was refused, and why.

use farebox_ledger::Refusal;
use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{DenialReason, Denied, UnpricedReason};
use farebox_record::plan::Rejection;

use super::expect;

/// Why a step was refused.
#[derive(Debug)]
pub(super) struct Refused {
    code: String,
    message: String,
    field: Option<String>,
    required: Option<(Asset, Nanos)>,
}

impl Refused {
    /// An authorize that is denied.
    pub fn of_denial(denied: &Denied) -> Refused {
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
                let resets = why.resets.map(|at| format!(", resets at {at}"));
                let message = format!(
                    "limit {} at {}{}",
                    why.limit,
                    why.level,
                    resets.unwrap_or_default()
                );
                plain("limit_exceeded", message, None)
            }
        };
        Refused { required, ..refused }
    }

    /// Usage that is kept without a price.
    pub fn of_unpriced(reason: &UnpricedReason) -> Refused {
        match reason {
            UnpricedReason::NoSubscription => plain("no_subscription", String::new(), None),
            UnpricedReason::NoPlan => plain("unknown_plan", String::new(), None),
            UnpricedReason::Rejected(rejection) => of_rejection(rejection),
            UnpricedReason::PlanFailed { code, message } => plain(code, message.clone(), None),
        }
    }

    /// A command that the ledger refuses.
    pub fn of_refusal(refusal: &Refusal) -> Refused {
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
            Refusal::Limit { .. } | Refusal::RecordTooLarge { .. } => plain("no_room", said, None),
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
}

pub(super) fn plain(code: &str, message: String, field: Option<String>) -> Refused {
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

/// Whether it was refused as it should be, or not at all.
pub(super) fn compare_refusal(
    expected: Option<&expect::Refusal>,
    found: Option<&Refused>,
    problems: &mut Vec<String>,
) {
    match (expected, found) {
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
