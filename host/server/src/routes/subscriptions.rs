//! `/v1/subscriptions`: which customer is on which plan.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_record::command::Command;
use farebox_record::ids::{CustomerId, SubscriptionId};
use farebox_record::outcome::Answer;
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::decode::body::Strict;
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::Server;
use crate::wire::account::{SubscribedView, SubscriptionBody, SubscriptionList, SubscriptionView};
use crate::wire::balance::BalanceView;
use crate::wire::time::Time;

/// Puts a customer on a plan.
///
/// The plan is asked at once, and may charge and grant. The subscription owns the types of events that the plan describes.
#[utoipa::path(
    post, path = "/v1/subscriptions", tag = "subscriptions", operation_id = "subscribe", request_body = SubscriptionBody,
    responses(
        (status = 200, description = "It ran already, under this id", body = SubscribedView),
        (status = 201, description = "It runs", body = SubscribedView)
    )
)]
pub(crate) async fn start(
    State(server): State<Server>,
    caller: Caller,
    Strict(body): Strict<SubscriptionBody>,
) -> Result<Response, Problem> {
    let (customer, plan) = (body.customer.clone(), body.plan.clone());
    let subscribe = body.command()?;
    let id = subscribe.id.clone();
    // Plans never go away, so looking before the id is looked up cannot refuse a retry.
    let controls = server.engine().controls();
    if controls
        .plan(&caller.tenant, &plan)
        .is_none_or(|plan| plan.timeline.is_empty())
    {
        let detail = format!("plan {plan} is unknown, or no revision of it was ever activated");
        return Err(Problem::new(Code::UnknownPlan, detail).with("pointer", "/plan"));
    }
    let done = server
        .command(&caller, &customer, Command::Subscribe(subscribe))
        .await?;
    let Answer::Subscribed {
        period,
        revision,
        balances,
    } = done.answer
    else {
        return Err(internal("a subscription was answered like something else"));
    };
    let view = SubscribedView {
        id,
        started_at: Time(done.at),
        period: period.into(),
        revision: revision.into(),
        balance: BalanceView::list(&balances),
        replayed: done.replayed,
    };
    Ok(answer(Made::new_unless(done.replayed), &view))
}

/// Whose subscriptions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Of {
    /// The customer.
    customer: String,
}

/// Lists a customer's subscriptions.
#[utoipa::path(
    get, path = "/v1/subscriptions", tag = "subscriptions", operation_id = "listSubscriptions", params(Of),
    responses((status = 200, description = "All of them", body = SubscriptionList))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Params(of): Params<Of>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &of.customer)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let subscriptions = wallet.subscriptions();
    let subscriptions = subscriptions
        .map(|(id, state)| SubscriptionView::new(&customer, id, state))
        .collect();
    Ok(answer(Made::Done, &SubscriptionList { subscriptions }))
}

/// Shows a subscription.
#[utoipa::path(
    get, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "getSubscription",
    params(("subscription" = String, Path, description = "The subscription"), Of),
    responses((status = 200, description = "The subscription", body = SubscriptionView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(subscription): Path<String>,
    Params(of): Params<Of>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &of.customer)?;
    let id: SubscriptionId = parameters::name("subscription", &subscription)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let state = wallet.subscription(&id).ok_or_else(|| {
        Problem::new(
            Code::UnknownSubscription,
            format!("{customer} has no subscription {id}"),
        )
    })?;
    Ok(answer(Made::Done, &SubscriptionView::new(&customer, &id, state)))
}
