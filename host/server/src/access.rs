//! Who may do what: one line per endpoint, and nothing without a line.

use axum::http::Method;
use farebox_record::control::Role;

use crate::limits::{BODY_BYTES_MAX, COMPONENT_BODY_BYTES_MAX, EVENTS_BODY_BYTES_MAX};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone, without a key.
    Open,
    /// Keys that may read; anyone where the configuration says that metrics are public.
    Metrics,
    /// Keys with one of these roles.
    Roles(&'static [Role]),
}

/// An endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Endpoint {
    /// Its method.
    pub method: &'static Method,
    /// Its path, with its parameters named.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
}

impl Endpoint {
    /// Bytes of a body that it takes.
    pub(crate) fn body_bytes_max(&self) -> usize {
        match self.path {
            EVENTS => EVENTS_BODY_BYTES_MAX,
            COMPONENTS => COMPONENT_BODY_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        }
    }
}

/// Where usage is reported.
pub(crate) const EVENTS: &str = "/v1/events";
/// Where components are pushed.
pub(crate) const COMPONENTS: &str = "/v1/plans/{plan}/components";

use Role::{Admin, Authorize, Billing, Ingest, Operator, Read};

/// Holds: a gateway's work. Looking at a hold is part of it.
const HOLD: Access = Access::Roles(&[Operator, Admin, Authorize]);
/// Looking at a hold.
const HOLD_READ: Access = Access::Roles(&[Operator, Admin, Billing, Authorize, Read]);
/// Reporting usage.
const SEND: Access = Access::Roles(&[Operator, Admin, Ingest, Authorize]);
/// Customers and their money.
const BILL: Access = Access::Roles(&[Operator, Admin, Billing]);
/// Looking at anything but keys.
const READ: Access = Access::Roles(READERS);
/// Tenants.
const OPERATE: Access = Access::Roles(&[Operator]);
/// Prices, keys and a sandbox's clock.
const ADMINISTER: Access = Access::Roles(&[Operator, Admin]);

const READERS: &[Role] = &[Operator, Admin, Billing, Read];

const fn get(path: &'static str, access: Access) -> Endpoint {
    Endpoint {
        method: &Method::GET,
        path,
        access,
    }
}

const fn post(path: &'static str, access: Access) -> Endpoint {
    Endpoint {
        method: &Method::POST,
        path,
        access,
    }
}

const fn put(path: &'static str, access: Access) -> Endpoint {
    Endpoint {
        method: &Method::PUT,
        path,
        access,
    }
}

const fn patch(path: &'static str, access: Access) -> Endpoint {
    Endpoint {
        method: &Method::PATCH,
        path,
        access,
    }
}

const fn delete(path: &'static str, access: Access) -> Endpoint {
    Endpoint {
        method: &Method::DELETE,
        path,
        access,
    }
}

/// All endpoints.
pub static ENDPOINTS: &[Endpoint] = &[
    post("/v1/authorize", HOLD),
    get("/v1/holds/{hold}", HOLD_READ),
    post("/v1/holds/{hold}/settle", HOLD),
    post("/v1/holds/{hold}/extend", HOLD),
    post("/v1/holds/{hold}/release", HOLD),
    post(EVENTS, SEND),
    get("/v1/customers", READ),
    put("/v1/customers/{customer}", BILL),
    get("/v1/customers/{customer}", READ),
    get("/v1/customers/{customer}/balance", READ),
    get("/v1/customers/{customer}/entries", READ),
    get("/v1/customers/{customer}/unpriced", READ),
    get("/v1/customers/{customer}/usage", READ),
    get("/v1/customers/{customer}/statement", READ),
    get("/v1/customers/{customer}/events/{event}", READ),
    put("/v1/customers/{customer}/events/{event}", BILL),
    post("/v1/customers/{customer}/events/{event}/void", BILL),
    post("/v1/customers/{customer}/grants", BILL),
    post("/v1/customers/{customer}/adjustments", BILL),
    post("/v1/customers/{customer}/payments", BILL),
    post("/v1/customers/{customer}/refunds", BILL),
    get("/v1/customers/{customer}/limits", READ),
    put("/v1/customers/{customer}/limits/{limit}", BILL),
    get("/v1/customers/{customer}/limits/{limit}", READ),
    delete("/v1/customers/{customer}/limits/{limit}", BILL),
    post("/v1/subscriptions", BILL),
    get("/v1/subscriptions", READ),
    get("/v1/subscriptions/{subscription}", READ),
    patch("/v1/subscriptions/{subscription}", BILL),
    delete("/v1/subscriptions/{subscription}", BILL),
    post("/v1/backfills", BILL),
    get("/v1/backfills", READ),
    get("/v1/backfills/{backfill}", READ),
    post("/v1/backfills/{backfill}/preview", BILL),
    post("/v1/backfills/{backfill}/commit", BILL),
    post("/v1/backfills/{backfill}/revert", BILL),
    get("/v1/books", READ),
    get("/v1/changes", READ),
    get("/v1/plans", READ),
    get("/v1/plans/{plan}", READ),
    post(COMPONENTS, ADMINISTER),
    post("/v1/plans/{plan}/revisions", ADMINISTER),
    post("/v1/plans/{plan}/rollback", ADMINISTER),
    post("/v1/keys", ADMINISTER),
    get("/v1/keys", ADMINISTER),
    delete("/v1/keys/{key}", ADMINISTER),
    post("/v1/tenants", OPERATE),
    get("/v1/tenants", OPERATE),
    get("/v1/tenants/{tenant}", READ),
    post("/v1/tenants/{tenant}/keys", OPERATE),
    get("/v1/tenants/{tenant}/clock", READ),
    post("/v1/tenants/{tenant}/clock", ADMINISTER),
    get("/healthz", Access::Open),
    get("/readyz", Access::Open),
    get("/metrics", Access::Metrics),
    get("/openapi.json", Access::Open),
    get("/docs", Access::Open),
    get("/docs/", Access::Open),
    get("/docs/{*rest}", Access::Open),
];

/// The endpoint that answers a request; none where there is none.
pub(crate) fn endpoint(method: &Method, path: &str) -> Option<&'static Endpoint> {
    // HEAD is answered wherever GET is.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    ENDPOINTS
        .iter()
        .find(|endpoint| endpoint.path == path && endpoint.method == method)
}

impl Access {
    /// Whether a key with this role may.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Access::Open => true,
            Access::Metrics => READERS.contains(&role),
            Access::Roles(roles) => roles.contains(&role),
        }
    }

    /// The roles, for people.
    pub fn names(self) -> Vec<&'static str> {
        let all = [Operator, Admin, Billing, Ingest, Authorize, Read];
        all.into_iter()
            .filter(|role| self.allows(*role))
            .map(role_name)
            .collect()
    }
}

/// A role as callers name it.
pub(crate) fn role_name(role: Role) -> &'static str {
    match role {
        Operator => "operator",
        Admin => "admin",
        Billing => "billing",
        Ingest => "ingest",
        Authorize => "authorize",
        Read => "read",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn may(role: Role) -> Vec<String> {
        let closed = ENDPOINTS.iter().filter(|e| e.access != Access::Open);
        closed
            .filter(|e| e.access.allows(role))
            .map(|e| format!("{} {}", e.method, e.path))
            .collect()
    }

    #[test]
    fn every_role_may_do_what_its_line_says_and_nothing_else() {
        assert_eq!(may(Ingest), ["POST /v1/events"]);
        assert_eq!(
            may(Authorize),
            [
                "POST /v1/authorize",
                "GET /v1/holds/{hold}",
                "POST /v1/holds/{hold}/settle",
                "POST /v1/holds/{hold}/extend",
                "POST /v1/holds/{hold}/release",
                "POST /v1/events",
            ]
        );
        assert!(
            may(Read)
                .iter()
                .all(|e| e.starts_with("GET ") && !e.contains("/keys")),
            "{:?}",
            may(Read)
        );
        let writes = |role| {
            may(role)
                .into_iter()
                .filter(|e| !e.starts_with("GET "))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            writes(Billing),
            [
                "PUT /v1/customers/{customer}",
                "PUT /v1/customers/{customer}/events/{event}",
                "POST /v1/customers/{customer}/events/{event}/void",
                "POST /v1/customers/{customer}/grants",
                "POST /v1/customers/{customer}/adjustments",
                "POST /v1/customers/{customer}/payments",
                "POST /v1/customers/{customer}/refunds",
                "PUT /v1/customers/{customer}/limits/{limit}",
                "DELETE /v1/customers/{customer}/limits/{limit}",
                "POST /v1/subscriptions",
                "PATCH /v1/subscriptions/{subscription}",
                "DELETE /v1/subscriptions/{subscription}",
                "POST /v1/backfills",
                "POST /v1/backfills/{backfill}/preview",
                "POST /v1/backfills/{backfill}/commit",
                "POST /v1/backfills/{backfill}/revert"
            ]
        );
        let closed = ENDPOINTS.iter().filter(|e| e.access != Access::Open).count();
        assert_eq!(may(Operator).len(), closed);
        let beyond: Vec<_> = may(Operator)
            .into_iter()
            .filter(|e| !may(Admin).contains(e))
            .collect();
        assert_eq!(
            beyond,
            [
                "POST /v1/tenants",
                "GET /v1/tenants",
                "POST /v1/tenants/{tenant}/keys"
            ]
        );
    }

    #[test]
    fn an_endpoint_has_one_line() {
        let lines: BTreeSet<_> = ENDPOINTS.iter().map(|e| (e.method.as_str(), e.path)).collect();
        assert_eq!(lines.len(), ENDPOINTS.len());
    }
}
