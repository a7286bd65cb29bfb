//! `/v1/tenants`: the organisations that run on this Farebox, and the clocks of its sandboxes.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_engine::{ControlDone, Controls, DEFAULT_TENANT};
use farebox_record::control::Role;
use farebox_record::ids::{CallId, TenantId};

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::cursor;
use crate::decode::body::Strict;
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::routes::Page;
use crate::routes::keys::make_key;
use crate::secret::Secret;
use crate::server::Server;
use crate::wire::plan::{KeyBody, KeyView};
use crate::wire::tenant::{AdvancedView, ClockBody, ClockView, TenantBody, TenantPage, TenantView};

/// What a tenant's first key is called.
const FIRST_KEY: &str = "first-admin";

/// Makes a tenant, and its first key.
///
/// The key is an admin's and is in this answer alone. The same request again changes nothing and shows no key: where the
/// answer was lost, make another with `POST /v1/tenants/{tenant}/keys`. A sandbox's time stands still until
/// `POST /v1/tenants/{tenant}/clock` advances it.
#[utoipa::path(
    post, path = "/v1/tenants", tag = "tenants", operation_id = "createTenant", request_body = TenantBody,
    responses(
        (status = 200, description = "It was made so before", body = TenantView),
        (status = 201, description = "The tenant, with its first key", body = TenantView)
    )
)]
pub(crate) async fn create(
    State(server): State<Server>,
    caller: Caller,
    Strict(body): Strict<TenantBody>,
) -> Result<Response, Problem> {
    let new = body.new_tenant()?;
    let secret = Secret::random().map_err(|error| internal(&format!("no randomness: {error}")))?;
    let first = CallId::new(FIRST_KEY).map_err(|error| internal(&error.to_string()))?;
    let (tenant, id, hash) = (body.id.clone(), first.clone(), secret.hash());
    let made = server
        .blocking(move |engine| engine.create_tenant(&tenant, new, id, hash))
        .await?;
    let replayed = made.done == ControlDone::Unchanged;
    let mut view = view(&server, &server.engine().controls(), &body.id);
    view.replayed = replayed;
    if !replayed {
        tracing::info!(tenant = %body.id, by = %caller.key, "a tenant was made");
        let controls = server.engine().controls();
        let known = controls
            .tenant(&body.id)
            .and_then(|control| control.keys.get(&first));
        view.first_key = known.map(|key| KeyView {
            key: Some(secret.reveal().to_string()),
            ..KeyView::new(&first, key)
        });
    }
    Ok(answer(Made::new_unless(replayed), &view))
}

/// Lists tenants, in order of id.
#[utoipa::path(
    get, path = "/v1/tenants", tag = "tenants", operation_id = "listTenants", params(Page),
    responses((status = 200, description = "A page of tenants", body = TenantPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(page.limit)?;
    let after = cursor::name(page.cursor.as_deref())?;
    let controls = server.engine().controls();
    let mut rest = controls
        .tenants()
        .filter(|id| after.as_deref().is_none_or(|after| id.as_str() > after));
    let tenants: Vec<TenantView> = rest
        .by_ref()
        .take(limit)
        .map(|id| view(&server, &controls, id))
        .collect();
    let next = match rest.next() {
        Some(_) => tenants.last().map(|last| cursor::after(last.id.as_str())),
        None => None,
    };
    Ok(answer(Made::Done, &TenantPage { tenants, next }))
}

/// Shows a tenant, and where its clock stands.
///
/// An operator sees every tenant, other keys their own.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}", tag = "tenants", operation_id = "getTenant",
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, description = "The tenant", body = TenantView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let id = within_reach(&server, &caller, &tenant)?;
    Ok(answer(
        Made::Done,
        &view(&server, &server.engine().controls(), &id),
    ))
}

/// Makes an API key for any tenant.
///
/// For a tenant whose first key was lost; within a tenant its admins make keys with `POST /v1/keys`. The secret is in this
/// answer, and never shown again.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/keys", tag = "tenants", operation_id = "createTenantKey", request_body = KeyBody,
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 201, description = "The key, with its secret", body = KeyView))
)]
pub(crate) async fn create_key(
    State(server): State<Server>,
    caller: Caller,
    Path(tenant): Path<String>,
    Strict(body): Strict<KeyBody>,
) -> Result<Response, Problem> {
    let id = within_reach(&server, &caller, &tenant)?;
    make_key(&server, &caller, &id, &body).await
}

/// Shows a tenant's clock.
#[utoipa::path(
    get, path = "/v1/tenants/{tenant}/clock", tag = "tenants", operation_id = "getClock",
    params(("tenant" = String, Path, description = "The tenant")),
    responses((status = 200, description = "The clock", body = ClockView))
)]
pub(crate) async fn clock(
    State(server): State<Server>,
    caller: Caller,
    Path(tenant): Path<String>,
) -> Result<Response, Problem> {
    let id = within_reach(&server, &caller, &tenant)?;
    let TenantView { id, kind, now, .. } = view(&server, &server.engine().controls(), &id);
    let view = ClockView {
        tenant: id,
        kind,
        now,
    };
    Ok(answer(Made::Done, &view))
}

/// Advances a sandbox's clock.
///
/// Everything that falls due up to the new instant is handled for every wallet of the tenant, in order of instant, and
/// durable when this is answered: holds end, periods renew, grants begin and expire. The clock only moves forward, by at
/// most 400 days a call. With an `Idempotency-Key` it is done once, and the same request again gets the same answer; where
/// no answer came, repeat it under the same key. One advance of a tenant runs at a time.
#[utoipa::path(
    post, path = "/v1/tenants/{tenant}/clock", tag = "tenants", operation_id = "advanceClock", request_body = ClockBody,
    params(
        ("tenant" = String, Path, description = "The sandbox"),
        ("Idempotency-Key" = Option<String>, Header, description = "Carried out once under this key")
    ),
    responses((status = 200, description = "It is later now, and nothing is overdue", body = AdvancedView))
)]
pub(crate) async fn advance(
    State(server): State<Server>,
    caller: Caller,
    Path(tenant): Path<String>,
    headers: HeaderMap,
    Strict(body): Strict<ClockBody>,
) -> Result<Response, Problem> {
    let id = within_reach(&server, &caller, &tenant)?;
    let key = parameters::idempotency_key(&headers)?;
    let step = body.step()?;
    let advancing = id.clone();
    let advanced = server
        .blocking(move |engine| engine.advance_clock(&advancing, key, step))
        .await?;
    let view = AdvancedView::new(&id, &advanced);
    Ok(answer(Made::done_unless(view.replayed), &view))
}

/// The tenant that a path names, where it is there and the caller may look at it: an operator at any, others at their own.
fn within_reach(server: &Server, caller: &Caller, tenant: &str) -> Result<TenantId, Problem> {
    let id: TenantId = parameters::name("tenant", tenant)?;
    // Before anything tells whether there is such a tenant.
    if caller.role != Role::Operator && caller.tenant != id {
        let detail = format!("the key {} belongs to tenant {}", caller.key, caller.tenant);
        return Err(Problem::new(Code::Forbidden, detail)
            .hint("Use a key of that tenant, or an operator's, which reaches every tenant."));
    }
    let exists = id.as_str() == DEFAULT_TENANT || server.engine().controls().tenant(&id).is_some();
    exists
        .then_some(id)
        .ok_or_else(|| Problem::new(Code::UnknownTenant, format!("there is no tenant {tenant}")))
}

fn view(server: &Server, controls: &Controls, id: &TenantId) -> TenantView {
    let sandbox = controls.sandbox_clock(id);
    let now = sandbox.unwrap_or_else(|| server.engine().now(id));
    let state = controls.tenant(id).and_then(|control| control.tenant);
    TenantView::new(id, state, sandbox, now)
}
