//! `/v1/customers/{customer}/limits`: how much may be spent.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_ledger::Wallet;
use farebox_record::command::{Command, DeleteLimit, PutLimit};
use farebox_record::ids::{CallId, CustomerId, Hash, LimitName};
use farebox_record::outcome::Answer;
use farebox_record::spending::{LimitState, LimitTerms};

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::decode::body::Strict;
use crate::decode::parameters::{self, DERIVED_KEY_PREFIX};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::Server;
use crate::wire::limit::{LimitBody, LimitList, LimitView};

/// Makes a spending limit, or changes one.
///
/// The body says all of it. A limit that says so already is left alone, so the call can be repeated; with an
/// `Idempotency-Key` it is carried out once under that key. Counting starts when the limit is put; a change of `asset`,
/// `scope` or `window` starts it anew, and any other change keeps what was counted.
#[utoipa::path(
    put, path = "/v1/customers/{customer}/limits/{limit}", tag = "limits", operation_id = "putLimit",
    request_body = LimitBody,
    params(
        ("customer" = String, Path, description = "The customer"),
        ("limit" = String, Path, description = "Made by the caller: 1 to 128 of letters, digits and . _ - : / @ + = | ~"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carried out once under this key")
    ),
    responses(
        (status = 200, description = "Changed, or so already", body = LimitView),
        (status = 201, description = "Created", body = LimitView)
    )
)]
pub(crate) async fn put(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, limit)): Path<(String, String)>,
    headers: HeaderMap,
    Strict(body): Strict<LimitBody>,
) -> Result<Response, Problem> {
    let (customer, name) = names(&customer, &limit)?;
    let terms = body.terms()?;
    let id = match parameters::idempotency_key(&headers)? {
        Some(key) => key,
        None => {
            let wallet = server.wallet(&caller, &customer).await?;
            if let Some(limit) = wallet.limit(&name).filter(|limit| limit.terms == terms) {
                return Ok(answer(
                    Made::Done,
                    &view(&server, &caller, &customer, &wallet, &name, limit),
                ));
            }
            derived_key(&wallet, Some(&terms))?
        }
    };
    let command = Command::PutLimit(PutLimit {
        id,
        name: name.clone(),
        terms,
    });
    let done = server.command(&caller, &customer, command).await?;
    let Answer::LimitPut { created, limit } = &done.answer else {
        return Err(internal("a limit was answered like something else"));
    };
    let made = match created {
        true => Made::new_unless(done.replayed),
        false => Made::done_unless(done.replayed),
    };
    let shown = LimitView {
        replayed: done.replayed,
        ..LimitView::new(&customer, &name, limit, done.at)
    };
    Ok(answer(made, &shown))
}

/// Shows a spending limit, and how much of it is taken.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/limits/{limit}", tag = "limits", operation_id = "getLimit",
    params(
        ("customer" = String, Path, description = "The customer"),
        ("limit" = String, Path, description = "The limit")
    ),
    responses((status = 200, description = "The limit", body = LimitView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, limit)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let (customer, name) = names(&customer, &limit)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let limit = wallet
        .limit(&name)
        .ok_or_else(|| unknown_limit(&customer, &name))?;
    Ok(answer(
        Made::Done,
        &view(&server, &caller, &customer, &wallet, &name, limit),
    ))
}

/// Lists a customer's spending limits.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/limits", tag = "limits", operation_id = "listLimits",
    params(("customer" = String, Path, description = "The customer")),
    responses((status = 200, description = "All of them", body = LimitList))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let limits = wallet
        .limits()
        .map(|(name, limit)| view(&server, &caller, &customer, &wallet, name, limit))
        .collect();
    Ok(answer(Made::Done, &LimitList { limits }))
}

/// Takes a spending limit away, and what was counted with it.
///
/// Answers with the limit as it was. With an `Idempotency-Key`, a retry gets the same answer again.
#[utoipa::path(
    delete, path = "/v1/customers/{customer}/limits/{limit}", tag = "limits", operation_id = "deleteLimit",
    params(
        ("customer" = String, Path, description = "The customer"),
        ("limit" = String, Path, description = "The limit"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carried out once under this key")
    ),
    responses((status = 200, description = "It is gone; this is how it was", body = LimitView))
)]
pub(crate) async fn delete(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, limit)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (customer, name) = names(&customer, &limit)?;
    let id = match parameters::idempotency_key(&headers)? {
        Some(key) => key,
        None => derived_key(&*server.wallet(&caller, &customer).await?, None)?,
    };
    let command = Command::DeleteLimit(DeleteLimit {
        id,
        name: name.clone(),
    });
    let done = server.command(&caller, &customer, command).await?;
    let Answer::LimitDeleted(limit) = &done.answer else {
        return Err(internal("a limit was answered like something else"));
    };
    let shown = LimitView {
        replayed: done.replayed,
        ..LimitView::new(&customer, &name, limit, done.at)
    };
    Ok(answer(Made::done_unless(done.replayed), &shown))
}

fn names(customer: &str, limit: &str) -> Result<(CustomerId, LimitName), Problem> {
    Ok((
        parameters::name("customer", customer)?,
        parameters::name("limit", limit)?,
    ))
}

fn view(
    server: &Server,
    caller: &Caller,
    customer: &CustomerId,
    wallet: &Wallet,
    name: &LimitName,
    limit: &LimitState,
) -> LimitView {
    let now = server.engine().now(&caller.tenant).max(wallet.header().at);
    LimitView::new(customer, name, limit, now)
}

/// A key for a change without one: what is said, and the version of the wallet that it was said about. The same change
/// twice at once is one change, and going back to what was said before is another.
fn derived_key(wallet: &Wallet, terms: Option<&LimitTerms>) -> Result<CallId, Problem> {
    let said = Hash::of(&farebox_record::codec::naming(&terms));
    let sequence = wallet.header().sequence;
    CallId::new(&format!("{DERIVED_KEY_PREFIX}{sequence}:{said}")).map_err(|e| internal(&e.to_string()))
}

fn unknown_limit(customer: &CustomerId, name: &LimitName) -> Problem {
    Problem::new(
        Code::UnknownLimit,
        format!("{customer} has no spending limit {name}"),
    )
}
