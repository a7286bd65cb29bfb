//! `/v1/customers/{customer}/unpriced`: what waits for a price.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_record::ids::CustomerId;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::cursor;
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::routes::Page;
use crate::server::Server;
use crate::wire::unpriced::{UnpricedPage, UnpricedView};

/// Lists what waits for a price, oldest first: usage that no plan could price, and renewals and timers that a plan had no
/// answer to.
///
/// Each is looked at again when a subscription or a revision comes that may have a price for it; nothing has to be done about
/// it by hand. Usage can be voided or amended meanwhile. Reads your own writes.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/unpriced", tag = "customers", operation_id = "listUnpriced",
    params(("customer" = String, Path, description = "The customer"), Page),
    responses((status = 200, description = "A page of what waits", body = UnpricedPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let limit = parameters::page_size(page.limit)?;
    let after = page.cursor.as_deref().map(cursor::sequence).transpose()?;
    server.wallet(&caller, &customer).await?; // 404 for a customer that is none; and what is overdue has happened
    let tenant = caller.tenant.clone();
    // One more than is shown tells whether there is more.
    let mut waiting = server
        .blocking(move |engine| engine.unpriced(&tenant, &customer, after, limit.saturating_add(1)))
        .await?;
    let more = waiting.len() > limit;
    waiting.truncate(limit);
    let last = waiting.last().filter(|_| more);
    let next = last.map(|(sequence, _)| cursor::behind(*sequence));
    let unpriced = waiting
        .iter()
        .map(|(sequence, kept)| UnpricedView::new(*sequence, kept));
    Ok(answer(
        Made::Done,
        &UnpricedPage {
            unpriced: unpriced.collect(),
            next,
        },
    ))
}
