//! Who is calling: from the key to the tenant and the role.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use farebox_engine::Controls;
use farebox_record::control::Role;
use farebox_record::ids::{CallId, TenantId};

use crate::access::{Access, role_name};
use crate::code::Code;
use crate::problem::Problem;
use crate::refusal::internal;
use crate::secret::Secret;

/// Whoever makes a request. There is no other source of a tenant than the key.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub tenant: TenantId,
    pub key: CallId,
    pub role: Role,
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| internal("a handler that needs a caller stands behind an open endpoint"))
    }
}

/// The caller, where its key is good and its role suffices.
pub(crate) fn authenticate(
    headers: &HeaderMap,
    access: Access,
    controls: &Controls,
) -> Result<Caller, Problem> {
    let unauthenticated = |detail: &str| Problem::new(Code::Unauthenticated, detail);
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthenticated("the request has no `Authorization` header"));
    };
    let text = value
        .to_str()
        .map_err(|_| unauthenticated("the `Authorization` header is not text"))?;
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => {
            return Err(unauthenticated(
                "the `Authorization` header does not begin with `Bearer`",
            ));
        }
    };
    let secret = Secret::parse(token).ok_or_else(|| unauthenticated("the text is not a key of Farebox"))?;
    // Nothing compares secrets here, so nothing has to take constant time: what is looked up is a hash, and how long that
    // takes says nothing about a secret with another hash.
    let Some((tenant, id, key)) = controls.key(&secret.hash()) else {
        return Err(unauthenticated("the key is unknown or revoked"));
    };
    if !access.allows(key.role) {
        let detail = format!("the key {id} has role {}", role_name(key.role));
        let roles = access.names();
        return Err(Problem::new(Code::Forbidden, detail)
            .hint(format!("This needs one of the roles {}.", roles.join(", ")))
            .with("roles", roles));
    }
    Ok(Caller {
        tenant: tenant.clone(),
        key: id.clone(),
        role: key.role,
    })
}
