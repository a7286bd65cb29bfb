//! From the refusals of the layers below to problems: what is internal stays in the log.

use farebox_engine::{ControlError, EngineError, Rejected};
use farebox_ledger::Refusal;
use farebox_record::outcome::{DenialReason, Denied, HoldEnd};
use farebox_record::plan::Rejection;
use farebox_record::spending::ExceededLimit;
use farebox_runtime::Refused;
use serde_json::{Value, json};

use crate::code::Code;
use crate::problem::Problem;

/// What to do about a spending limit that time alone does not help.
const NO_RESET: &str =
    "Let open holds end, or raise the limit; then authorize again under a new id: this one stays denied.";

/// A command that was refused without a trace.
pub(crate) fn refused(refusal: &Refusal) -> Problem {
    let said = refusal.to_string();
    match refusal {
        Refusal::UnknownCustomer => Problem::new(Code::UnknownCustomer, "the customer was never created"),
        Refusal::UnknownHold => Problem::new(Code::UnknownHold, "there was never a hold with this id"),
        Refusal::UnknownLimit => Problem::new(
            Code::UnknownLimit,
            "the customer has no spending limit of this name",
        ),
        Refusal::HoldExists => Problem::new(Code::HoldExists, said),
        Refusal::HoldEnded { end } => hold_ended(*end),
        Refusal::AboveHold { asset, missing } => {
            let detail = format!("the usage costs {missing} {asset} more than was held for it");
            Problem::new(Code::AboveHold, detail)
                .with("asset", asset.as_str())
                .with("required", missing.to_string())
        }
        Refusal::InvalidEvent(rejection) => rejected(Code::InvalidEvent, rejection),
        Refusal::PlanFailed { code, message } => {
            Problem::new(Code::PlanFailed, format!("the plan failed: {message}")).with("reason", code.clone())
        }
        Refusal::EventTypeOwned { event_type, owner } => {
            let detail = format!("events of type {event_type} belong to subscription {owner}");
            Problem::new(Code::EventTypeOwned, detail).with("subscription", owner.as_str())
        }
        Refusal::NoPlan => Problem::new(Code::UnknownPlan, said),
        Refusal::GrantExists(_) => Problem::new(Code::GrantExists, said),
        Refusal::PlanRefused(rejection) => rejected(Code::PlanRefused, rejection),
        Refusal::Time { field, .. } => Problem::new(Code::InvalidTime, said).with("field", *field),
        Refusal::Amount { field, .. } => Problem::new(Code::InvalidAmount, said).with("field", *field),
        Refusal::RecordTooLarge { .. } => Problem::new(Code::NoRoom, said).with("limit", "RECORD_BYTES_MAX"),
        Refusal::Limit { limit, .. } => Problem::new(Code::NoRoom, said).with("limit", *limit),
        Refusal::TooMuch { most, .. } => Problem::new(Code::InvalidAmount, said)
            .with("field", "amount")
            .with("available", most.to_string()),
        Refusal::UnknownGrant(_) => Problem::new(Code::UnknownGrant, said),
        Refusal::NotRefundable(_) => Problem::new(Code::NotRefundable, said),
        Refusal::UnknownEvent => Problem::new(Code::UnknownEvent, said),
        Refusal::StillHeld => Problem::new(Code::StillHeld, said),
        Refusal::EventVoided => Problem::new(Code::EventVoided, said),
        Refusal::NothingToGiveBack => Problem::new(Code::NothingToGiveBack, said),
        Refusal::CannotRefold(_) => Problem::new(Code::CannotRefold, said),
        Refusal::UnknownSubscription(_) => Problem::new(Code::UnknownSubscription, said),
        Refusal::SubscriptionEnded => Problem::new(Code::SubscriptionEnded, said),
        Refusal::ChangeNotPossible(_) => Problem::new(Code::ChangeNotPossible, said),
        Refusal::NotDue => internal("a caller's command was called not due"),
    }
}

/// A second attempt to end a hold.
pub(crate) fn hold_ended(end: HoldEnd) -> Problem {
    let state = hold_end(end);
    Problem::new(Code::HoldEnded, format!("the hold has ended: it is {state}")).with("state", state)
}

/// How a hold ended, as programs see it.
pub(crate) fn hold_end(end: HoldEnd) -> &'static str {
    match end {
        HoldEnd::Settled => "settled",
        HoldEnd::Released => "released",
        HoldEnd::Expired => "expired",
    }
}

/// An authorize that said no. Kept under its id, so a retry gets it again.
pub(crate) fn denied(denied: &Denied, replayed: bool) -> Problem {
    let asset = denied.asset.as_ref().map_or("", |asset| asset.as_str());
    let problem = match &denied.reason {
        DenialReason::InsufficientFunds => {
            let detail = format!(
                "{} {asset} needed, {} {asset} available",
                denied.required, denied.available
            );
            Problem::new(Code::InsufficientFunds, detail)
        }
        DenialReason::Debt => {
            let detail = format!("the customer owes {} {asset}", denied.required);
            Problem::new(Code::Debt, detail)
        }
        DenialReason::NoSubscription => Problem::new(
            Code::NoSubscription,
            "no subscription of the customer prices this type of event",
        ),
        DenialReason::Unpriceable(rejection) => rejected(Code::Unpriceable, rejection),
        DenialReason::Paused => Problem::new(Code::SubscriptionPaused, "the subscription is paused"),
        DenialReason::Limit(why) => {
            let ExceededLimit { limit, level, resets } = &**why;
            let detail = format!(
                "limit {limit} at {level}: {} {asset} needed, {} {asset} left",
                denied.required, denied.available
            );
            let problem = Problem::new(Code::SpendingLimit, detail)
                .with("limit", limit.as_str())
                .with("level", level.clone());
            match resets {
                Some(at) => problem.with("resets_at", at.to_string()),
                None => problem.hint(NO_RESET),
            }
        }
    };
    let problem = problem.with("allowed", false);
    let problem = match &denied.asset {
        None => problem,
        Some(asset) => problem
            .with("asset", asset.as_str())
            .with("required", denied.required.to_string())
            .with("available", denied.available.to_string()),
    };
    match replayed {
        true => problem.with("replayed", true),
        false => problem,
    }
}

fn rejected(code: Code, rejection: &Rejection) -> Problem {
    let problem = Problem::new(code, rejection.to_string());
    match rejection {
        Rejection::InvalidEvent { field, .. } => problem.with("field", field.clone()),
        Rejection::Unpriceable { .. } | Rejection::NotAllowed { .. } | Rejection::Overflow => problem,
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Problem {
        let said = rejected.to_string();
        match rejected {
            Rejected::Busy | Rejected::TenantBusy => {
                Problem::new(Code::Busy, said).with("limit", "LANE_QUEUE_MAX")
            }
            Rejected::TooMany { .. } => {
                Problem::new(Code::TooManyEvents, said).with("limit", "COMMANDS_PER_CALL_MAX")
            }
            Rejected::DiskNearlyFull { .. } => {
                Problem::new(Code::DiskNearlyFull, said).with("limit", "DISK_FREE_BYTES_MIN")
            }
            Rejected::Stopped => stopped(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Problem {
        if error.archived().is_some() {
            return archived();
        }
        match error {
            EngineError::TooMuchUsage { .. } => {
                let detail = format!("{error}; ask for a later beginning");
                Problem::parameter("from", detail).with("limit", "USAGE_FOUND_RECORDS_MAX")
            }
            _ => internal(&error.to_string()),
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Problem {
        let said = error.to_string();
        match error {
            ControlError::Refused(refused) => plan_refused(&refused),
            ControlError::UnknownPlan(_) => Problem::new(Code::UnknownPlan, said),
            ControlError::UnknownComponent(_) => Problem::new(Code::UnknownComponent, said),
            ControlError::UnknownKey(_) => Problem::new(Code::UnknownKey, said),
            ControlError::KeyExists(_) => Problem::new(Code::KeyExists, said),
            ControlError::NothingToRollBack => Problem::new(Code::NothingToRollBack, said),
            ControlError::EffectiveInThePast => {
                Problem::new(Code::EffectiveInThePast, said).with("pointer", "/effective_at")
            }
            ControlError::VersionOrder { .. } => Problem::new(Code::StateVersion, said),
            ControlError::StateVersion(of) => Problem::new(Code::StateVersion, said)
                .with("customer", of.customer.clone())
                .with("subscription", of.subscription.clone()),
            ControlError::UnknownTenant(_) => Problem::new(Code::UnknownTenant, said),
            ControlError::TenantExists(_) => Problem::new(Code::TenantExists, said),
            ControlError::TooManyTenants { .. } => {
                Problem::new(Code::NoRoom, said).with("limit", "TENANTS_MAX")
            }
            ControlError::Conflict { field } => Problem::new(Code::Conflict, said).with("field", field),
            ControlError::LiveTenant(_) => Problem::new(Code::LiveTenant, said),
            ControlError::Clock { field, limit, .. } => {
                let problem = Problem::new(Code::InvalidTime, said).with("field", field);
                match limit {
                    Some(limit) => problem.with("limit", limit),
                    None => problem,
                }
            }
            ControlError::Advancing(_) => Problem::new(Code::Advancing, said),
            ControlError::UnknownBackfill(_) => Problem::new(Code::UnknownBackfill, said),
            ControlError::BackfillSize { .. } => {
                Problem::new(Code::TooManyEvents, said).with("limit", "BACKFILL_EVENTS_MAX")
            }
            ControlError::TooManyBackfills { .. } => {
                Problem::new(Code::NoRoom, said).with("limit", "BACKFILLS_PER_TENANT_MAX")
            }
            ControlError::BackfillStage { .. } | ControlError::Backfill(_) => {
                Problem::new(Code::BackfillNotPossible, said)
            }
            ControlError::Backfilling(_) => Problem::new(Code::BackfillBusy, said),
            ControlError::Stopped => stopped(),
            ControlError::DiskNearlyFull(rejected) => rejected.into(),
            ControlError::Contended => Problem::new(Code::Contended, said),
            ControlError::Limit { limit, .. } => Problem::new(Code::NoRoom, said).with("limit", limit),
            ControlError::Engine(error) => error.into(),
        }
    }
}

fn plan_refused(refused: &Refused) -> Problem {
    let said = refused.to_string();
    match refused {
        Refused::CompilerBusy => Problem::new(Code::Busy, said),
        Refused::Parameters { errors } => {
            let errors: Vec<Value> = errors
                .iter()
                .map(|e| json!({"pointer": e.pointer, "message": e.message}))
                .collect();
            Problem::new(Code::ParametersRefused, said)
                .hint(refused.advice())
                .with("reason", refused.code())
                .with("errors", errors)
        }
        Refused::Faulted {
            during: "prepare", ..
        } => Problem::new(Code::ParametersRefused, said)
            .hint(refused.advice())
            .with("reason", refused.code()),
        _ => Problem::new(Code::ComponentRefused, said)
            .hint(refused.advice())
            .with("reason", refused.code()),
    }
}

/// What was asked for is in an archive that the server does not read.
pub(crate) fn archived() -> Problem {
    let detail = "what this needs is older than the history that the server has at hand";
    Problem::new(Code::Archived, detail)
}

/// The engine takes nothing in any more.
pub(crate) fn stopped() -> Problem {
    Problem::new(Code::Stopped, "the store has stopped")
}

/// Nobody's fault but ours: the log has the reason, the caller only that there is one.
pub(crate) fn internal(reason: &str) -> Problem {
    tracing::error!(reason, "a request failed for a reason that it should not");
    Problem::new(Code::Internal, "the request failed within the server")
}
