//! `/v1/holds/{hold}`: what becomes of value that was set aside.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_engine::{Ask, Reply};
use farebox_record::command::{Command, Release};
use farebox_record::ids::CallId;
use farebox_record::outcome::Answer;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::decode::body::{Optional, Strict};
use crate::decode::parameters;
use crate::handle::HoldHandle;
use crate::problem::Problem;
use crate::refusal::{denied, hold_end, internal};
use crate::routes::events::unpriced;
use crate::server::{Server, unexpected};
use crate::watch;
use crate::wire::amount::AssetAmount;
use crate::wire::balance::BalanceView;
use crate::wire::hold::{
    ExtendBody, ExtendedView, HoldDetails, HoldView, ReleaseBody, ReleasedView, SettleBody, SettledView,
};
use crate::wire::time::Time;

/// The id of a release whose caller names none: a hold is released once, so a plain retry means the same release.
const RELEASE: &str = "release";

/// Charges what a held call used so far.
///
/// Usage is cumulative: each settlement says all of it, and the difference is charged. `final: false` keeps the rest held.
#[utoipa::path(
    post, path = "/v1/holds/{hold}/settle", tag = "authorize", operation_id = "settleHold", request_body = SettleBody,
    params(("hold" = String, Path, description = "The hold's id, as authorize answered it")),
    responses((status = 200, description = "Settled, wholly or in part", body = SettledView))
)]
pub(crate) async fn settle(
    State(server): State<Server>,
    caller: Caller,
    Path(hold): Path<String>,
    Strict(body): Strict<SettleBody>,
) -> Result<Response, Problem> {
    let handle = parameters::hold(&hold)?;
    let command = Command::Settle(body.command(handle.event.clone())?);
    let done = on_hold(&server, &caller, &handle, command).await?;
    match done.answer {
        Answer::Settled(settled) => {
            let view = SettledView::new(&handle, &settled, done.replayed);
            Ok(answer(Made::done_unless(done.replayed), &view))
        }
        Answer::Unpriced(reason) => {
            let (code, detail) = unpriced(&reason);
            let kept = "the hold has ended, and the usage is kept until it has a price";
            Err(Problem::new(code, format!("{detail}; {kept}")))
        }
        _ => Err(internal("settle was answered like something else")),
    }
}

/// Gives a held call more time, or more room.
///
/// What is held never shrinks. Where the wallet cannot cover more, or a spending limit does not allow it, the hold
/// stays as it was.
#[utoipa::path(
    post, path = "/v1/holds/{hold}/extend", tag = "authorize", operation_id = "extendHold", request_body = ExtendBody,
    params(("hold" = String, Path, description = "The hold's id, as authorize answered it")),
    responses((status = 200, description = "Extended", body = ExtendedView))
)]
pub(crate) async fn extend(
    State(server): State<Server>,
    caller: Caller,
    Path(hold): Path<String>,
    Strict(body): Strict<ExtendBody>,
) -> Result<Response, Problem> {
    let handle = parameters::hold(&hold)?;
    let command = Command::Extend(body.command(handle.event.clone()));
    let done = on_hold(&server, &caller, &handle, command).await?;
    match done.answer {
        Answer::Extended {
            held,
            expires,
            balances,
        } => {
            let view = ExtendedView {
                hold: handle.to_string(),
                held: AssetAmount::list(&held),
                expires_at: Time(expires),
                balance: BalanceView::list(&balances),
                replayed: done.replayed,
            };
            Ok(answer(Made::done_unless(done.replayed), &view))
        }
        Answer::Denied(why) => {
            let problem = denied(&why, done.replayed);
            if !done.replayed {
                watch::decided("denied", problem.code().as_str());
            }
            let hint = match problem.code() {
                Code::SpendingLimit => {
                    "The hold stays as it was. Extend again under a new id when the limit allows it."
                }
                _ => "The hold stays as it was. Extend again under a new id when the wallet holds more.",
            };
            Err(problem.hint(hint))
        }
        _ => Err(internal("extend was answered like something else")),
    }
}

/// Gives back what a held call did not use.
///
/// The body may be left away. Without an id in it or in `Idempotency-Key`, a retry means the same release.
#[utoipa::path(
    post, path = "/v1/holds/{hold}/release", tag = "authorize", operation_id = "releaseHold",
    request_body = Option<ReleaseBody>,
    params(
        ("hold" = String, Path, description = "The hold's id, as authorize answered it"),
        ("Idempotency-Key" = Option<String>, Header, description = "The release's own id, where the body has none")
    ),
    responses((status = 200, description = "Released", body = ReleasedView))
)]
pub(crate) async fn release(
    State(server): State<Server>,
    caller: Caller,
    Path(hold): Path<String>,
    headers: HeaderMap,
    Optional(body): Optional<ReleaseBody>,
) -> Result<Response, Problem> {
    let handle = parameters::hold(&hold)?;
    let id = match (body.id, parameters::idempotency_key(&headers)?) {
        (Some(id), Some(key)) if id != key => {
            return Err(Problem::field(
                "/id",
                "differs from `Idempotency-Key`; give one of the two",
            ));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => CallId::new(RELEASE).map_err(|e| internal(&e.to_string()))?,
    };
    let command = Command::Release(Release {
        hold: handle.event.clone(),
        id,
    });
    let done = on_hold(&server, &caller, &handle, command).await?;
    match done.answer {
        Answer::HoldEnded {
            end,
            returned,
            balances,
        } => {
            let view = ReleasedView {
                hold: handle.to_string(),
                state: hold_end(end),
                returned: AssetAmount::list(&returned),
                balance: BalanceView::list(&balances),
                replayed: done.replayed,
            };
            Ok(answer(Made::done_unless(done.replayed), &view))
        }
        _ => Err(internal("release was answered like something else")),
    }
}

/// Shows a hold.
#[utoipa::path(
    get, path = "/v1/holds/{hold}", tag = "authorize", operation_id = "getHold",
    params(("hold" = String, Path, description = "The hold's id, as authorize answered it")),
    responses((status = 200, description = "The hold", body = HoldView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(hold): Path<String>,
) -> Result<Response, Problem> {
    let handle = parameters::hold(&hold)?;
    let ask = Ask::ReadHold(handle.event.clone());
    let (wallet, ended) = match server.ask(&caller.tenant, &handle.customer, ask).await? {
        Reply::Hold(wallet, ended) => (wallet, ended),
        other => return Err(of_hold(unexpected(other))),
    };
    let kept = wallet.hold(&handle.event);
    let state = match (kept, ended) {
        (Some(hold), _) if hold.expired.is_none() => "pending",
        (Some(_), _) => "expired",
        (None, Some(end)) => hold_end(end),
        (None, None) => {
            return Err(Problem::new(
                Code::UnknownHold,
                "there was never a hold with this id",
            ));
        }
    };
    let view = HoldView {
        id: handle.to_string(),
        customer: handle.customer.clone(),
        source: handle.event.source.to_string(),
        event: handle.event.id.to_string(),
        state,
        details: kept.map(HoldDetails::new),
    };
    Ok(answer(Made::Done, &view))
}

async fn on_hold(
    server: &Server,
    caller: &Caller,
    handle: &HoldHandle,
    command: Command,
) -> Result<farebox_engine::Done, Problem> {
    server
        .command(caller, &handle.customer, command)
        .await
        .map_err(of_hold)
}

/// A handle whose customer is unknown names no hold: callers know holds by their handles alone.
fn of_hold(problem: Problem) -> Problem {
    match problem.code() {
        Code::UnknownCustomer => Problem::new(Code::UnknownHold, "there was never a hold with this id"),
        _ => problem,
    }
}
