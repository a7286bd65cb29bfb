//! `/v1/subscriptions`: which customer is on which plan.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_record::command::Command;
use farebox_record::ids::{CustomerId, PlanName, SubscriptionId};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
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
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::subscription::{
    ChangeBody, ChangedView, SubscribedView, SubscriptionBody, SubscriptionList, SubscriptionView, status,
    when_schema,
};
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
    check_plan(&server, &caller, &plan)?;
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

/// Plans never go away, so looking before an id is looked up cannot refuse a retry.
fn check_plan(server: &Server, caller: &Caller, plan: &PlanName) -> Result<(), Problem> {
    let controls = server.engine().controls();
    match controls.plan(&caller.tenant, plan) {
        Some(known) if !known.timeline.is_empty() => Ok(()),
        _ => {
            let detail = format!("plan {plan} is unknown, or no revision of it was ever activated");
            Err(Problem::new(Code::UnknownPlan, detail).with("pointer", "/plan"))
        }
    }
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
        .map(|(id, state)| SubscriptionView::new(&customer, id, state, &wallet))
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
    Ok(answer(
        Made::Done,
        &SubscriptionView::new(&customer, &id, state, &wallet),
    ))
}

/// Changes a subscription: seats or plan, pause or resume; at once, or at the end of the period.
///
/// One change a call. A change at once is told to the plan, which may charge or credit the part of the period that is left;
/// one for the end of the period waits in `scheduled`, where a later one of its kind takes its place. Under its
/// `Idempotency-Key` a call is carried out once, and a retry gets the same answer again.
#[utoipa::path(
    patch, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "changeSubscription",
    request_body = ChangeBody,
    params(
        ("subscription" = String, Path, description = "The subscription"), Of,
        ("Idempotency-Key" = String, Header, description = "Made by you; carried out once under this key")
    ),
    responses((status = 200, description = "It is changed, or the change is scheduled", body = ChangedView))
)]
pub(crate) async fn change(
    State(server): State<Server>,
    caller: Caller,
    Path(subscription): Path<String>,
    Params(of): Params<Of>,
    headers: HeaderMap,
    Strict(body): Strict<ChangeBody>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &of.customer)?;
    let subscription: SubscriptionId = parameters::name("subscription", &subscription)?;
    let change = body.change()?;
    if let SubscriptionChange::Plan { plan, .. } = &change {
        check_plan(&server, &caller, plan)?;
    }
    let key = parameters::required_key(&headers)?;
    carry_out(&server, &caller, &customer, body.command(subscription, key)?).await
}

/// Whose subscription ends, and when.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Ending {
    /// The customer.
    customer: String,
    /// `now`, or `period_end`: at the end of the present period. `now` unless told.
    #[param(schema_with = when_schema)]
    when: Option<When>,
    /// Whether the plan is asked to credit the part of the period that is left; `true` unless told.
    prorate: Option<bool>,
}

/// Cancels a subscription: it ends, for good.
///
/// What it granted as included ends with it, and it owns no types of events any more. With `when=period_end` it runs until
/// then, and the cancellation can be taken back (`unschedule`). Under its `Idempotency-Key` a retry gets the same answer again.
#[utoipa::path(
    delete, path = "/v1/subscriptions/{subscription}", tag = "subscriptions", operation_id = "cancelSubscription",
    params(
        ("subscription" = String, Path, description = "The subscription"), Ending,
        ("Idempotency-Key" = String, Header, description = "Made by you; carried out once under this key")
    ),
    responses((status = 200, description = "It has ended, or will", body = ChangedView))
)]
pub(crate) async fn cancel(
    State(server): State<Server>,
    caller: Caller,
    Path(subscription): Path<String>,
    Params(ending): Params<Ending>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &ending.customer)?;
    let asked = ChangeSubscription {
        subscription: parameters::name("subscription", &subscription)?,
        id: parameters::required_key(&headers)?,
        change: SubscriptionChange::Cancel,
        when: ending.when.unwrap_or_default(),
        proration: match ending.prorate {
            Some(false) => Proration::None,
            Some(true) | None => Proration::Prorate,
        },
    };
    carry_out(&server, &caller, &customer, asked).await
}

async fn carry_out(
    server: &Server,
    caller: &Caller,
    customer: &CustomerId,
    asked: ChangeSubscription,
) -> Result<Response, Problem> {
    let id = asked.subscription.clone();
    let done = server
        .command(caller, customer, Command::ChangeSubscription(asked))
        .await?;
    let Answer::SubscriptionChanged(changed) = done.answer else {
        return Err(internal(
            "a change of a subscription was answered like something else",
        ));
    };
    let view = ChangedView {
        id,
        changed_at: Time(done.at),
        effective_at: Time(changed.effective),
        status: status(changed.status),
        seats: changed.seats,
        period: changed.period.into(),
        charges: LineView::list(&changed.charges),
        balance: BalanceView::list(&changed.balances),
        replayed: done.replayed,
    };
    Ok(answer(Made::done_unless(done.replayed), &view))
}
