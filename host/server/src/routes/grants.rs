//! `POST /v1/customers/{customer}/grants`: value in.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_record::command::Command;
use farebox_record::ids::CustomerId;
use farebox_record::outcome::Answer;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::decode::body::Strict;
use crate::decode::parameters;
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::Server;
use crate::wire::account::{GrantBody, GrantedView};
use crate::wire::amount::Amount;
use crate::wire::balance::BalanceView;
use crate::wire::time::Time;

/// Puts value into a wallet.
///
/// Bought value (`paid`) pays debt first; given value never does.
#[utoipa::path(
    post, path = "/v1/customers/{customer}/grants", tag = "customers", operation_id = "grant", request_body = GrantBody,
    params(("customer" = String, Path, description = "The customer")),
    responses(
        (status = 200, description = "It was there already, under this id", body = GrantedView),
        (status = 201, description = "It is in the wallet", body = GrantedView)
    )
)]
pub(crate) async fn grant(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Strict(body): Strict<GrantBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let grant = body.command()?;
    let id = grant.id.clone();
    let done = server.command(&caller, &customer, Command::Grant(grant)).await?;
    let Answer::Granted { paid_debt, balances } = done.answer else {
        return Err(internal("a grant was answered like something else"));
    };
    let view = GrantedView {
        id,
        granted_at: Time(done.at),
        paid_debt: Amount(paid_debt),
        balance: BalanceView::list(&balances),
        replayed: done.replayed,
    };
    Ok(answer(Made::new_unless(done.replayed), &view))
}
