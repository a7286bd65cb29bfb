//! Money that is put right: adjustments, payments, refunds, and events that are taken back or replaced.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_engine::Done;
use farebox_record::command::Command;
use farebox_record::correction::{Amend, Void};
use farebox_record::ids::{CallId, CustomerId, Hash};
use farebox_record::outcome::Answer;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::decode::body::{Optional, Strict};
use crate::decode::parameters::{self, DERIVED_KEY_PREFIX, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::routes::entries::FromSource;
use crate::server::Server;
use crate::wire::balance::BalanceView;
use crate::wire::correction::{
    AdjustedView, AdjustmentBody, AmendBody, CorrectedView, PaymentBody, RefundBody, VoidBody,
};
use crate::wire::time::Time;

/// Takes value away by hand, or writes off what is owed.
///
/// Never more than is free, or than is owed. Value is put in with a grant.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/adjustments", tag = "corrections", operation_id = "adjust",
    request_body = AdjustmentBody,
    params(("customer" = String, Path, description = "The customer")),
    responses(
        (status = 200, description = "It was posted already, under this id", body = AdjustedView),
        (status = 201, description = "It is posted", body = AdjustedView)
    )
)]
pub(crate) async fn adjust(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Strict(body): Strict<AdjustmentBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let adjust = body.command();
    let id = adjust.id.clone();
    let done = server
        .command(&caller, &customer, Command::Adjust(adjust))
        .await?;
    posted(id, &done)
}

/// Notes that a customer paid fees that stood on its statement.
///
/// Pays the receivable, and no more than that: the rest is put in with a grant.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/payments", tag = "corrections", operation_id = "pay",
    request_body = PaymentBody,
    params(("customer" = String, Path, description = "The customer")),
    responses(
        (status = 200, description = "It was posted already, under this id", body = AdjustedView),
        (status = 201, description = "It is posted", body = AdjustedView)
    )
)]
pub(crate) async fn pay(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Strict(body): Strict<PaymentBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let pay = body.command();
    let id = pay.id.clone();
    let done = server.command(&caller, &customer, Command::Pay(pay)).await?;
    posted(id, &done)
}

fn posted(id: CallId, done: &Done) -> Result<Response, Problem> {
    let (Answer::Adjusted { balances } | Answer::Paid { balances }) = &done.answer else {
        return Err(internal("a posting by hand was answered like something else"));
    };
    let view = AdjustedView {
        id,
        posted_at: Time(done.at),
        balance: BalanceView::list(balances),
        replayed: done.replayed,
    };
    Ok(answer(Made::new_unless(done.replayed), &view))
}

/// Gives money back: what an event took, or unused bought value.
///
/// What an event took comes back to what it made the customer owe, then to the grants that it came from, up to what it has
/// not given back yet; what has expired meanwhile is gone. The event keeps its price. Unused value of a bought grant leaves
/// the wallet: pay it to the customer.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/refunds", tag = "corrections", operation_id = "refund",
    request_body = RefundBody,
    params(("customer" = String, Path, description = "The customer")),
    responses(
        (status = 200, description = "It was given back already, under this id", body = CorrectedView),
        (status = 201, description = "It is given back", body = CorrectedView)
    )
)]
pub(crate) async fn refund(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Strict(body): Strict<RefundBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let refund = body.command()?;
    let done = server
        .command(&caller, &customer, Command::Refund(refund))
        .await?;
    Ok(answer(Made::new_unless(done.replayed), &corrected(&done)?))
}

/// Takes an event back: all that it took comes back.
///
/// The event stays readable, and its id stays used up. Without an `Idempotency-Key` the same call again gets the same
/// answer again. Where the plan's price depends on earlier events (`cumulative`, `sequential`), the events of the period that
/// came behind it are priced again, and `repriced` says which cost something else; a plan that follows subjects is told
/// instead, and answers for itself. What cannot be carried through is refused with `cannot_refold`, and changes nothing.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/events/{event}/void", tag = "corrections", operation_id = "voidEvent",
    request_body = Option<VoidBody>,
    params(
        ("customer" = String, Path, description = "The customer"),
        ("event" = String, Path, description = "The event's id"),
        FromSource,
        ("Idempotency-Key" = Option<String>, Header, description = "Carried out once under this key")
    ),
    responses((status = 200, description = "It is taken back", body = CorrectedView))
)]
pub(crate) async fn void(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, event)): Path<(String, String)>,
    Params(from): Params<FromSource>,
    headers: HeaderMap,
    Optional(body): Optional<VoidBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let event = from.reference(&event)?;
    let reason = body.reason.map(|reason| reason.0);
    let id = match parameters::idempotency_key(&headers)? {
        Some(key) => key,
        // An event is taken back once, so what is said is enough to know the call again.
        None => derived_key(&reason)?,
    };
    let command = Command::Void(Void { event, id, reason });
    let done = server.command(&caller, &customer, command).await?;
    Ok(answer(Made::done_unless(done.replayed), &corrected(&done)?))
}

/// Replaces an event: all that it took comes back, and what it should have been is charged.
///
/// The body is the whole event. It is priced by the revision of when it happened. Where the plan's price depends on earlier
/// events (`cumulative`, `sequential`), it is priced in its place among the others, and those behind it are priced again:
/// `repriced` says which cost something else. It must stay in its period and plan, and what cannot be carried through is
/// refused with `cannot_refold`, and changes nothing. Under its `Idempotency-Key` it is carried out once, and a retry gets the
/// same answer again.
#[utoipa::path(
    put, path = "/v1/customers/{customer}/events/{event}", tag = "corrections", operation_id = "amendEvent",
    request_body = AmendBody,
    params(
        ("customer" = String, Path, description = "The customer"),
        ("event" = String, Path, description = "The event's id"),
        FromSource,
        ("Idempotency-Key" = String, Header, description = "Made by you; carried out once under this key")
    ),
    responses((status = 200, description = "It is replaced", body = CorrectedView))
)]
pub(crate) async fn amend(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, event)): Path<(String, String)>,
    Params(from): Params<FromSource>,
    headers: HeaderMap,
    Strict(body): Strict<AmendBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let event = body.event(from.reference(&event)?)?;
    let id = parameters::required_key(&headers)?;
    let command = Command::Amend(Amend { event, id });
    let done = server.command(&caller, &customer, command).await?;
    Ok(answer(Made::done_unless(done.replayed), &corrected(&done)?))
}

fn corrected(done: &Done) -> Result<CorrectedView, Problem> {
    match &done.answer {
        Answer::Corrected(corrected) => Ok(CorrectedView::new(corrected, done.at, done.replayed)),
        Answer::Refolded(refolded) => Ok(CorrectedView::refolded(refolded, done.at, done.replayed)),
        _ => Err(internal("a correction was answered like something else")),
    }
}

/// A key for a void without one: what is said.
fn derived_key(said: &impl serde::Serialize) -> Result<CallId, Problem> {
    let said = Hash::of(&farebox_record::codec::naming(said));
    CallId::new(&format!("{DERIVED_KEY_PREFIX}void:{said}")).map_err(|e| internal(&e.to_string()))
}
