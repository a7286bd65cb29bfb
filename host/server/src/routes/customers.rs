//! `/v1/customers`: who pays, and what they have.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_engine::{Ask, Reply, Request};
use farebox_record::command::{Command, PutCustomer};
use farebox_record::ids::{CallId, CustomerId, Hash};
use farebox_record::outcome::Answer;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::cursor;
use crate::decode::body::Strict;
use crate::decode::parameters::{self, DERIVED_KEY_PREFIX, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::routes::Page;
use crate::server::{Server, unexpected, unknown_customer};
use crate::wire::account::{CustomerBody, CustomerPage, CustomerView};
use crate::wire::balance::WalletView;

/// Creates a customer, or changes what is said of it.
///
/// The body says all of it: what is left away is taken away. A customer that is so already is left alone, so the call can
/// be repeated. With an `Idempotency-Key` it is carried out once under that key: repeated later, when something else has
/// been said in between, it changes nothing.
#[utoipa::path(
    put, path = "/v1/customers/{customer}", tag = "customers", operation_id = "putCustomer", request_body = CustomerBody,
    params(
        ("customer" = String, Path, description = "Made by the caller: 1 to 128 of letters, digits and . _ - : / @ + = | ~"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carried out once under this key")
    ),
    responses(
        (status = 200, description = "Changed, or so already", body = CustomerView),
        (status = 201, description = "Created", body = CustomerView)
    )
)]
pub(crate) async fn put(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    headers: HeaderMap,
    Strict(body): Strict<CustomerBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let shortfall = body.shortfalls()?;
    let name = body.name.map(|label| label.0);
    let id = match parameters::idempotency_key(&headers)? {
        Some(key) => key,
        None => {
            let wallet = match server.ask(&caller.tenant, &customer, Ask::Read).await? {
                Reply::Wallet(wallet) => wallet,
                other => return Err(unexpected(other)),
            };
            let header = wallet.header();
            if let Some(said) = &header.customer
                && said.name == name
                && said.shortfall == shortfall
            {
                return Ok(answer(Made::Done, &CustomerView::new(&customer, said)));
            }
            derived_key(header.sequence, &name, &shortfall)?
        }
    };
    let command = Command::PutCustomer(PutCustomer { id, name, shortfall });
    let done = server.command(&caller, &customer, command).await?;
    let made = match done.answer {
        Answer::Customer { created: true } => Made::new_unless(done.replayed),
        Answer::Customer { created: false } => Made::done_unless(done.replayed),
        _ => return Err(internal("a customer was answered like something else")),
    };
    let wallet = server.wallet(&caller, &customer).await?;
    let said = wallet
        .header()
        .customer
        .as_ref()
        .ok_or_else(|| unknown_customer(&customer))?;
    let view = CustomerView {
        replayed: done.replayed,
        ..CustomerView::new(&customer, said)
    };
    Ok(answer(made, &view))
}

/// A key for a change without one: what is said, and the version of the wallet that it was said about. The same change
/// twice at once is one change, and going back to what was said before is another.
fn derived_key(
    sequence: u64,
    name: &Option<String>,
    shortfall: &std::collections::BTreeMap<farebox_money::Asset, farebox_record::state::Shortfall>,
) -> Result<CallId, Problem> {
    let said = Hash::of(&farebox_record::codec::naming(&(name, shortfall)));
    CallId::new(&format!("{DERIVED_KEY_PREFIX}{sequence}:{said}")).map_err(|e| internal(&e.to_string()))
}

/// Shows a customer.
#[utoipa::path(
    get, path = "/v1/customers/{customer}", tag = "customers", operation_id = "getCustomer",
    params(("customer" = String, Path, description = "The customer")),
    responses((status = 200, description = "The customer", body = CustomerView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let said = wallet
        .header()
        .customer
        .as_ref()
        .ok_or_else(|| unknown_customer(&customer))?;
    Ok(answer(Made::Done, &CustomerView::new(&customer, said)))
}

/// Lists customers, in order of id.
#[utoipa::path(
    get, path = "/v1/customers", tag = "customers", operation_id = "listCustomers", params(Page),
    responses((status = 200, description = "A page of customers", body = CustomerPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(page.limit)?;
    let after = cursor::name(page.cursor.as_deref())?;
    let tenant = caller.tenant.clone();
    // One more than the page holds tells whether there is another.
    let mut ids = server
        .blocking(move |engine| engine.customers(&tenant, after.as_deref(), limit + 1))
        .await?;
    let more = ids.len() > limit;
    ids.truncate(limit);
    let next = ids
        .last()
        .filter(|_| more)
        .map(|last| cursor::after(last.as_str()));
    let reads = ids
        .iter()
        .map(|id| Request {
            customer: id.clone(),
            ask: Ask::Read,
        })
        .collect();
    let replies = server.engine().call(&caller.tenant, reads).await?;
    let mut customers = Vec::with_capacity(ids.len());
    for (id, reply) in ids.iter().zip(replies) {
        match reply {
            Reply::Wallet(wallet) => {
                customers.extend(
                    wallet
                        .header()
                        .customer
                        .as_ref()
                        .map(|said| CustomerView::new(id, said)),
                );
            }
            other => return Err(unexpected(other)),
        }
    }
    Ok(answer(Made::Done, &CustomerPage { customers, next }))
}

/// Shows a wallet: per asset, and grant by grant.
///
/// Reads your own writes, and handles what is overdue first: nothing that is shown has expired.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/balance", tag = "customers", operation_id = "getBalance",
    params(("customer" = String, Path, description = "The customer")),
    responses((status = 200, description = "The wallet", body = WalletView))
)]
pub(crate) async fn balance(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let wallet = server.wallet(&caller, &customer).await?;
    Ok(answer(Made::Done, &WalletView::new(customer.as_str(), &wallet)))
}
