//! The API's description, made from the code: OpenAPI 3.1.

use std::sync::OnceLock;

use axum::Router;
use axum::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, PathItem, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::access::{Access, endpoint};
use crate::code::Code;
use crate::problem::{ParameterErrorDocument, ProblemDocument};
use crate::routes::{
    authorize, backfills, books, changes, corrections, customers, entries, events, grants, holds, keys,
    limits, plans, statement, subscriptions, system, tenants, unpriced, usage,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Farebox",
        version = "1",
        description = "Real-time billing for AI: authorize a call before it happens, settle it after, report usage, and \
            explain every line.\n\n\
            **Amounts** are decimal strings with their asset. **Times** are RFC 3339. **Ids** are made by the caller: the \
            same id with the same content gets the same answer again, with `\"replayed\": true` and the header \
            `Idempotency-Replayed: true`; with other content it is a `conflict` and changes nothing. **Problems** are \
            `application/problem+json` with a stable `code`; `Code` lists them all. Unknown fields are refused.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        authorize::authorize, holds::show, holds::settle, holds::extend, holds::release, events::report,
        entries::event, customers::list, customers::put, customers::show, customers::balance, entries::list,
        unpriced::list, usage::show, statement::show, books::show, changes::list,
        grants::grant, corrections::adjust, corrections::pay, corrections::refund, corrections::void, corrections::amend,
        backfills::create, backfills::list, backfills::show, backfills::preview, backfills::commit, backfills::revert,
        limits::list, limits::put, limits::show, limits::delete,
        subscriptions::start, subscriptions::list, subscriptions::show, subscriptions::change, subscriptions::cancel,
        plans::list, plans::show,
        plans::push, plans::activate, plans::roll_back, keys::create, keys::list, keys::revoke,
        tenants::create, tenants::list, tenants::show, tenants::create_key, tenants::clock, tenants::advance, system::alive,
        system::ready, system::metrics, system::openapi,
    ),
    components(schemas(ProblemDocument, ParameterErrorDocument, Code)),
    tags(
        (name = "authorize", description = "Before a call, and after it"),
        (name = "events", description = "Usage that happened"),
        (name = "customers", description = "Who pays, and what they have"),
        (name = "corrections", description = "What is put right: adjustments, payments, refunds, voids, amendments"),
        (name = "backfills", description = "Usage from long ago, posted and taken back as a whole"),
        (name = "limits", description = "How much may be spent, and what is announced on the way"),
        (name = "subscriptions", description = "Which customer is on which plan"),
        (name = "books", description = "All customers together, for whoever keeps the accounts"),
        (name = "changes", description = "What happened"),
        (name = "plans", description = "Code, prices, and when they apply"),
        (name = "keys", description = "Who is let in"),
        (name = "tenants", description = "Organisations, and the clocks of sandboxes"),
        (name = "system", description = "The server itself")
    ),
    modifiers(&Bearer, &Problems, &Roles)
)]
struct Api;

/// The description of the API.
pub fn document() -> Document {
    Api::openapi()
}

/// The description as it is served, and checked in.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| document().to_pretty_json().unwrap_or_default())
}

/// The pages that show the description. Everything that they need is in the binary; nothing is fetched from elsewhere.
pub(crate) fn pages() -> Router {
    let config = Config::from("/openapi.json")
        .validator_url("none") // it would be asked on the internet
        .persist_authorization(true)
        .try_it_out_enabled(true);
    SwaggerUi::new("/docs").config(config).into()
}

/// How callers say who they are.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("fbx_...")
            .description(Some("An API key. Its tenant is the only one that it reaches."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new("key", [] as [&str; 0])]);
    }
}

/// The problems of each operation: those that any request can meet, and those of its own.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        each_operation(document, |method, path, operation| {
            let Some(endpoint) = endpoint(method, path) else {
                return;
            };
            for codes in by_status(&problems_of(path, operation, endpoint.access)) {
                let status = codes[0].status().as_u16().to_string();
                let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.as_str())).collect();
                let content = ContentBuilder::new()
                    .schema(Some(Ref::from_schema_name("Problem")))
                    .build();
                let response = ResponseBuilder::new()
                    .description(names.join(", "))
                    .content("application/problem+json", content)
                    .build();
                operation.responses.responses.insert(status, response.into());
            }
        });
    }
}

fn by_status(codes: &[Code]) -> Vec<Vec<Code>> {
    let mut groups: Vec<Vec<Code>> = Vec::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        match groups.iter_mut().find(|group| group[0].status() == code.status()) {
            Some(group) => group.push(*code),
            None => groups.push(vec![*code]),
        }
    }
    groups
}

/// The codes that an operation can answer with.
fn problems_of(path: &str, operation: &Operation, access: Access) -> Vec<Code> {
    use Code as C;
    let mut codes = match access {
        Access::Open => Vec::new(),
        Access::Metrics | Access::Roles(_) => {
            vec![
                C::Unauthenticated,
                C::Forbidden,
                C::Busy,
                C::Internal,
                C::Stopped,
                C::Timeout,
            ]
        }
    };
    if path == "/readyz" {
        codes.extend([C::Stopped, C::DiskNearlyFull]);
    }
    if operation.request_body.is_some() {
        codes.extend([
            C::DiskNearlyFull,
            C::Malformed,
            C::BodyTimeout,
            C::TooLarge,
            C::UnsupportedMediaType,
            C::InvalidRequest,
        ]);
    }
    if operation
        .parameters
        .as_ref()
        .is_some_and(|parameters| !parameters.is_empty())
        && !path.contains("/holds/")
    {
        codes.push(C::InvalidParameter);
    }
    if path.contains("{customer}") {
        codes.push(C::UnknownCustomer);
    }
    // An id, or the history that it takes, may be in an archive.
    let of_wallets = [
        "/v1/customers/{",
        "/v1/authorize",
        "/v1/holds",
        "/v1/events",
        "/v1/subscriptions",
    ];
    if of_wallets.iter().any(|prefix| path.starts_with(prefix)) {
        codes.push(C::Archived);
    }
    codes.extend(own_problems(
        operation.operation_id.as_deref().unwrap_or_default(),
    ));
    codes
}

fn own_problems(operation: &str) -> &'static [Code] {
    use Code as C;
    match operation {
        "authorize" => &[
            C::InsufficientFunds,
            C::Debt,
            C::SpendingLimit,
            C::UnknownCustomer,
            C::Conflict,
            C::HoldExists,
            C::InvalidEvent,
            C::Unpriceable,
            C::NoSubscription,
            C::InvalidTime,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "settleHold" => &[
            C::UnknownHold,
            C::UnknownPlan,
            C::Conflict,
            C::HoldEnded,
            C::AboveHold,
            C::InvalidEvent,
            C::Unpriceable,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "extendHold" => &[
            C::InsufficientFunds,
            C::SpendingLimit,
            C::UnknownHold,
            C::UnknownPlan,
            C::Conflict,
            C::HoldEnded,
            C::InvalidEvent,
            C::Unpriceable,
            C::InvalidTime,
            C::InvalidAmount,
            C::PlanFailed,
        ],
        "releaseHold" => &[C::UnknownHold, C::Conflict, C::HoldEnded, C::InvalidParameter],
        "getHold" => &[C::UnknownHold],
        "reportEvents" => &[
            C::UnknownCustomer,
            C::Conflict,
            C::TooManyEvents,
            C::InvalidParameter,
            C::InvalidTime,
            C::NoRoom,
        ],
        "getStatement" => &[C::UnknownSubscription],
        "getEvent" => &[C::UnknownEvent],
        "putCustomer" => &[C::Conflict, C::NoRoom],
        "putLimit" => &[C::Conflict, C::InvalidTime, C::InvalidAmount, C::NoRoom],
        "getLimit" => &[C::UnknownLimit],
        "deleteLimit" => &[C::UnknownLimit, C::Conflict],
        "getBooks" => &[C::BooksBehind],
        "listChanges" => &[C::ChangesExpired],
        "grant" => &[
            C::Conflict,
            C::GrantExists,
            C::InvalidTime,
            C::InvalidAmount,
            C::NoRoom,
        ],
        "adjust" | "pay" => &[C::Conflict, C::InvalidAmount],
        "refund" => &[
            C::UnknownEvent,
            C::UnknownGrant,
            C::Conflict,
            C::StillHeld,
            C::EventVoided,
            C::NothingToGiveBack,
            C::NotRefundable,
            C::InvalidAmount,
        ],
        "voidEvent" => &[
            C::UnknownEvent,
            C::Conflict,
            C::StillHeld,
            C::EventVoided,
            C::CannotRefold,
            C::PlanRefused,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "amendEvent" => &[
            C::UnknownEvent,
            C::UnknownPlan,
            C::Conflict,
            C::StillHeld,
            C::EventVoided,
            C::CannotRefold,
            C::InvalidEvent,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "subscribe" => &[
            C::UnknownCustomer,
            C::UnknownPlan,
            C::Conflict,
            C::EventTypeOwned,
            C::PlanRefused,
            C::InvalidTime,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "listSubscriptions" => &[C::UnknownCustomer],
        "getSubscription" => &[C::UnknownCustomer, C::UnknownSubscription],
        "changeSubscription" => &[
            C::UnknownCustomer,
            C::UnknownSubscription,
            C::UnknownPlan,
            C::Conflict,
            C::SubscriptionEnded,
            C::ChangeNotPossible,
            C::EventTypeOwned,
            C::PlanRefused,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "cancelSubscription" => &[
            C::UnknownCustomer,
            C::UnknownSubscription,
            C::UnknownPlan,
            C::Conflict,
            C::SubscriptionEnded,
            C::PlanRefused,
            C::InvalidAmount,
            C::NoRoom,
            C::PlanFailed,
        ],
        "pushComponent" => &[C::ComponentRefused, C::Contended, C::NoRoom],
        "activateRevision" => &[
            C::UnknownPlan,
            C::UnknownComponent,
            C::Contended,
            C::NoRoom,
            C::Unsupported,
            C::ParametersRefused,
            C::EffectiveInThePast,
            C::StateVersion,
        ],
        "rollBack" => &[C::UnknownPlan, C::NothingToRollBack, C::Contended],
        "getPlan" => &[C::UnknownPlan],
        "createKey" => &[C::KeyExists, C::Contended, C::NoRoom],
        "createTenant" => &[
            C::Conflict,
            C::TenantExists,
            C::Contended,
            C::InvalidTime,
            C::NoRoom,
        ],
        "createBackfill" => &[C::Conflict, C::Contended, C::TooManyEvents, C::NoRoom],
        "getBackfill" => &[C::UnknownBackfill],
        "previewBackfill" => &[C::UnknownBackfill, C::BackfillNotPossible],
        "commitBackfill" | "revertBackfill" => &[
            C::UnknownBackfill,
            C::BackfillNotPossible,
            C::BackfillBusy,
            C::Contended,
        ],
        "getTenant" | "getClock" => &[C::UnknownTenant],
        "createTenantKey" => &[C::UnknownTenant, C::KeyExists, C::Contended],
        "advanceClock" => &[
            C::UnknownTenant,
            C::LiveTenant,
            C::Advancing,
            C::Conflict,
            C::Contended,
            C::InvalidTime,
        ],
        "revokeKey" => &[C::UnknownKey, C::Contended],
        _ => &[],
    }
}

/// Who may call what, from the table that decides it.
struct Roles;

impl Modify for Roles {
    fn modify(&self, document: &mut Document) {
        each_operation(document, |method, path, operation| {
            let Some(endpoint) = endpoint(method, path) else {
                return;
            };
            if endpoint.access == Access::Open {
                return;
            }
            let roles: Vec<String> = endpoint
                .access
                .names()
                .iter()
                .map(|role| format!("`{role}`"))
                .collect();
            let described = operation.description.take().unwrap_or_default();
            let text = format!("{described}\n\nRoles: {}.", roles.join(", "));
            operation.description = Some(text.trim().to_string());
        });
    }
}

fn each_operation(document: &mut Document, mut change: impl FnMut(&Method, &str, &mut Operation)) {
    for (path, item) in &mut document.paths.paths {
        let PathItem {
            get,
            put,
            post,
            patch,
            delete,
            ..
        } = item;
        for (method, operation) in [
            (Method::GET, get),
            (Method::PUT, put),
            (Method::POST, post),
            (Method::PATCH, patch),
            (Method::DELETE, delete),
        ] {
            if let Some(operation) = operation {
                change(&method, path, operation);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::access::ENDPOINTS;

    /// Set it to write the checked-in document anew.
    const REFRESH: &str = "FAREBOX_REFRESH_OPENAPI";

    #[test]
    fn the_document_is_the_one_that_is_checked_in() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
        let made = format!("{}\n", text());
        if std::env::var_os(REFRESH).is_some() {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = made
            .lines()
            .zip(kept.lines())
            .position(|(made, kept)| made != kept);
        assert!(
            made == kept,
            "{} differs from the code (first in line {:?}). The document is a contract: look at what changes, then run \
             this test with {REFRESH}=1 and check the file in",
            path.display(),
            differs.map(|line| line + 1)
        );
    }

    #[test]
    fn every_endpoint_is_described_and_every_description_has_an_endpoint() {
        let mut described = BTreeSet::new();
        each_operation(&mut document(), |method, path, operation| {
            assert!(
                operation.summary.is_some() && operation.operation_id.is_some(),
                "{method} {path}"
            );
            described.insert(format!("{method} {path}"));
        });
        let pages = |path: &str| path.starts_with("/docs");
        let endpoints: BTreeSet<_> = ENDPOINTS
            .iter()
            .filter(|e| !pages(e.path))
            .map(|e| format!("{} {}", e.method, e.path))
            .collect();
        assert_eq!(described, endpoints);
    }

    #[test]
    fn every_code_is_documented_somewhere() {
        let text = text();
        // These two stand before all endpoints.
        let general = [Code::NotFound, Code::MethodNotAllowed];
        for code in Code::ALL.iter().filter(|code| !general.contains(code)) {
            assert!(
                text.matches(&format!("`{}`", code.as_str())).count() > 1,
                "{} is in no response",
                code.as_str()
            );
        }
        assert!(text.contains("\"openapi\": \"3.1"), "{}", &text[..80]);
    }
}
