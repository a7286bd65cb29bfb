//! `/v1/keys`: who is let in.

use axum::extract::{Path, State};
use axum::response::Response;
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
use crate::secret::Secret;
use crate::server::Server;
use crate::wire::plan::{KeyBody, KeyPage, KeyView};

/// Makes an API key for this tenant. Its secret is in this answer, and never shown again.
///
/// There is no replay, because the secret is not kept: a name that is taken is a conflict. Where the answer was lost,
/// revoke the key and make another.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", operation_id = "createKey", request_body = KeyBody,
    responses((status = 201, description = "The key, with its secret", body = KeyView))
)]
pub(crate) async fn create(
    State(server): State<Server>,
    caller: Caller,
    Strict(body): Strict<KeyBody>,
) -> Result<Response, Problem> {
    make_key(&server, &caller, &caller.tenant, &body).await
}

/// Makes a key for a tenant that the caller reaches.
pub(crate) async fn make_key(
    server: &Server,
    caller: &Caller,
    tenant: &TenantId,
    body: &KeyBody,
) -> Result<Response, Problem> {
    only_operators_touch_operators(caller, body.role)?;
    let secret = Secret::random().map_err(|error| internal(&format!("no randomness: {error}")))?;
    let (owner, id, hash, role) = (tenant.clone(), body.id.clone(), secret.hash(), body.role);
    server
        .blocking(move |engine| engine.create_key(&owner, id, hash, role))
        .await?;
    let controls = server.engine().controls();
    let known = controls
        .tenant(tenant)
        .and_then(|tenant| tenant.keys.get(&body.id));
    let view = KeyView {
        key: Some(secret.reveal().to_string()),
        ..known.map_or_else(
            || KeyView::named(&body.id, body.role),
            |key| KeyView::new(&body.id, key),
        )
    };
    Ok(answer(Made::New, &view))
}

/// Lists the tenant's API keys, in order of name, revoked ones included.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "listKeys", params(Page),
    responses((status = 200, description = "A page of keys, without their secrets", body = KeyPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(page.limit)?;
    let after = cursor::name(page.cursor.as_deref())?;
    let controls = server.engine().controls();
    let mut keys = Vec::new();
    let mut next = None;
    if let Some(tenant) = controls.tenant(&caller.tenant) {
        let behind = |id: &CallId| after.as_deref().is_none_or(|after| id.as_str() > after);
        let mut rest = tenant.keys.iter().filter(|(id, _)| behind(id));
        keys.extend(rest.by_ref().take(limit).map(|(id, key)| KeyView::new(id, key)));
        if rest.next().is_some() {
            next = keys.last().map(|last: &KeyView| cursor::after(last.id.as_str()));
        }
    }
    Ok(answer(Made::Done, &KeyPage { keys, next }))
}

/// Revokes an API key, from the next request on. Revoking it again changes nothing.
#[utoipa::path(
    delete, path = "/v1/keys/{key}", tag = "keys", operation_id = "revokeKey",
    params(("key" = String, Path, description = "The key's name")),
    responses((status = 200, description = "It is revoked", body = KeyView))
)]
pub(crate) async fn revoke(
    State(server): State<Server>,
    caller: Caller,
    Path(key): Path<String>,
) -> Result<Response, Problem> {
    let id: CallId = parameters::name("key", &key)?;
    let controls = server.engine().controls();
    let unknown = || Problem::new(Code::UnknownKey, format!("there is no key {id}"));
    let known = controls
        .tenant(&caller.tenant)
        .and_then(|tenant| tenant.keys.get(&id))
        .ok_or_else(unknown)?;
    only_operators_touch_operators(&caller, known.role)?;
    let (tenant, revoked) = (caller.tenant.clone(), id.clone());
    server
        .blocking(move |engine| engine.revoke_key(&tenant, revoked))
        .await?;
    tracing::info!(tenant = %caller.tenant, key = %id, by = %caller.key, "a key was revoked");
    let controls = server.engine().controls();
    let known = controls
        .tenant(&caller.tenant)
        .and_then(|tenant| tenant.keys.get(&id))
        .ok_or_else(unknown)?;
    Ok(answer(Made::Done, &KeyView::new(&id, known)))
}

/// An admin may do everything within its tenant; an operator key reaches beyond it.
fn only_operators_touch_operators(caller: &Caller, role: Role) -> Result<(), Problem> {
    match (role, caller.role) {
        (Role::Operator, by) if by != Role::Operator => {
            let detail = format!("the key {} is not an operator's", caller.key);
            Err(Problem::new(Code::Forbidden, detail)
                .hint("Only an operator makes or revokes keys of operators."))
        }
        _ => Ok(()),
    }
}
