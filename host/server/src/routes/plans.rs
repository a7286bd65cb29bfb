//! `/v1/plans`: code, prices, and when they apply.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use farebox_engine::{ControlDone, NewRevision};
use farebox_record::ids::PlanName;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::cursor;
use crate::decode::body::{Optional, Raw, Strict};
use crate::decode::media::{media_type, named, unsupported};
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::routes::Page;
use crate::server::Server;
use crate::wire::plan::{
    ActivationView, ComponentView, Detail, PlanPage, PlanView, RevisionBody, RollbackBody,
};

/// Makes a component known under a plan's name.
///
/// It is inspected, compiled, and asked what it is. The same bytes again change nothing. Nothing is priced by it until a
/// revision is activated.
#[utoipa::path(
    post, path = "/v1/plans/{plan}/components", tag = "plans", operation_id = "pushComponent",
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "A WebAssembly component"),
    params(("plan" = String, Path, description = "The plan; it comes into being with its first component")),
    responses(
        (status = 200, description = "It was known already", body = ComponentView),
        (status = 201, description = "It is known", body = ComponentView)
    )
)]
pub(crate) async fn push(
    State(server): State<Server>,
    caller: Caller,
    Path(plan): Path<String>,
    headers: HeaderMap,
    Raw(bytes): Raw,
) -> Result<Response, Problem> {
    let plan: PlanName = parameters::name("plan", &plan)?;
    match media_type(&headers)?.as_deref() {
        Some("application/wasm") => {}
        other => return Err(unsupported(&named(other), "application/wasm")),
    }
    let pushed = server
        .blocking(move |engine| engine.push_component(&caller.tenant, &plan, &bytes))
        .await?;
    let view = ComponentView::pushed(pushed.hash, &pushed.done, &pushed.description);
    Ok(answer(
        if view.created == Some(true) {
            Made::New
        } else {
            Made::Done
        },
        &view,
    ))
}

/// Puts a revision - a component with parameters - on a plan's timeline.
///
/// It prices events from `effective_at` on; what was priced stays priced. The revision that is in force anyway changes
/// nothing. The component's state version must be the one in force. Under its `Idempotency-Key` it is carried out once: a retry
/// that arrives when something newer is in force gets the same answer again, and changes nothing.
#[utoipa::path(
    post, path = "/v1/plans/{plan}/revisions", tag = "plans", operation_id = "activateRevision",
    request_body = RevisionBody,
    params(
        ("plan" = String, Path, description = "The plan"),
        ("Idempotency-Key" = String, Header, description = "Made by you; carried out once under this key")
    ),
    responses(
        (
            status = 200, body = ActivationView,
            description = "It was in force already, or an earlier call under this key put it there"
        ),
        (status = 201, description = "It is on the timeline", body = ActivationView)
    )
)]
pub(crate) async fn activate(
    State(server): State<Server>,
    caller: Caller,
    Path(plan): Path<String>,
    headers: HeaderMap,
    Strict(body): Strict<RevisionBody>,
) -> Result<Response, Problem> {
    let plan: PlanName = parameters::name("plan", &plan)?;
    if let Some(migrate) = body.migrate.as_deref().filter(|migrate| *migrate != "now") {
        let detail = match migrate {
            "period_end" | "new_only" => format!("`migrate` {migrate:?} is not supported; only \"now\" is"),
            _ => {
                return Err(Problem::field(
                    "/migrate",
                    format!("expected \"now\", found {migrate:?}"),
                ));
            }
        };
        return Err(Problem::new(Code::Unsupported, detail).with("pointer", "/migrate"));
    }
    // Hashed without the spaces between its parts: a file that was only indented anew is no new revision.
    let parameters: serde_json::Value =
        crate::decode::json::json(body.parameters.get().as_bytes(), "/parameters")?;
    let key = parameters::required_key(&headers)?;
    let activated = server
        .blocking(move |engine| {
            let new = NewRevision {
                component: body.component.0,
                parameters: &parameters.to_string(),
                effective: body.effective_at.map(|at| at.0),
                open_holds: body.open_holds,
            };
            engine.activate(&caller.tenant, &plan, &new, Some(&key))
        })
        .await?;
    let made = match (activated.replayed, &activated.done) {
        (true, _) => Made::Before,
        (false, ControlDone::Changed) => Made::New,
        (false, ControlDone::Unchanged) => Made::Done,
    };
    Ok(answer(made, &ActivationView::activated(&activated)))
}

/// Puts the revision before the present one back in force, from now on.
///
/// What was priced stays priced. Under its `Idempotency-Key` it is carried out once. Say `from`, and nothing changes where
/// somebody else went back already.
#[utoipa::path(
    post, path = "/v1/plans/{plan}/rollback", tag = "plans", operation_id = "rollBack",
    request_body = Option<RollbackBody>,
    params(
        ("plan" = String, Path, description = "The plan"),
        ("Idempotency-Key" = String, Header, description = "Made by you; carried out once under this key")
    ),
    responses((status = 200, description = "What the rollback put in force, or found in force", body = ActivationView))
)]
pub(crate) async fn roll_back(
    State(server): State<Server>,
    caller: Caller,
    Path(plan): Path<String>,
    headers: HeaderMap,
    Optional(body): Optional<RollbackBody>,
) -> Result<Response, Problem> {
    let plan: PlanName = parameters::name("plan", &plan)?;
    let from = body.from.map(|from| from.hash());
    let key = parameters::required_key(&headers)?;
    let activated = server
        .blocking(move |engine| engine.rollback(&caller.tenant, &plan, from, Some(&key)))
        .await?;
    let made = Made::done_unless(activated.replayed);
    Ok(answer(made, &ActivationView::activated(&activated)))
}

/// Shows a plan: its components, its timeline, and what is in force.
#[utoipa::path(
    get, path = "/v1/plans/{plan}", tag = "plans", operation_id = "getPlan",
    params(("plan" = String, Path, description = "The plan")),
    responses((status = 200, description = "The plan", body = PlanView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(plan): Path<String>,
) -> Result<Response, Problem> {
    let name: PlanName = parameters::name("plan", &plan)?;
    let controls = server.engine().controls();
    let now = server.engine().now(&caller.tenant);
    let unknown = || Problem::new(Code::UnknownPlan, format!("there is no plan {name}"));
    let tenant = controls.tenant(&caller.tenant).ok_or_else(unknown)?;
    let plan = tenant.plans.get(&name).ok_or_else(unknown)?;
    let mut view = PlanView::new(&name, plan, now, Detail::Full, |hash| tenant.components.get(hash));
    if let Some(present) = plan.in_force(now) {
        let hash = present.revision.parameters;
        let text = server.blocking(move |engine| engine.parameters(hash)).await?;
        view.parameters = text.and_then(|text| serde_json::from_str(&text).ok());
    }
    Ok(answer(Made::Done, &view))
}

/// Lists plans, in order of name.
#[utoipa::path(
    get, path = "/v1/plans", tag = "plans", operation_id = "listPlans", params(Page),
    responses((status = 200, description = "A page of plans", body = PlanPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(page.limit)?;
    let after = cursor::name(page.cursor.as_deref())?;
    let controls = server.engine().controls();
    let now = server.engine().now(&caller.tenant);
    let mut plans = Vec::new();
    let mut next = None;
    if let Some(tenant) = controls.tenant(&caller.tenant) {
        let behind = |name: &PlanName| after.as_deref().is_none_or(|after| name.as_str() > after);
        let mut rest = tenant.plans.iter().filter(|(name, _)| behind(name));
        for (name, plan) in rest.by_ref().take(limit) {
            plans.push(PlanView::new(name, plan, now, Detail::Short, |hash| {
                tenant.components.get(hash)
            }));
        }
        if rest.next().is_some() {
            next = plans.last().map(|last| cursor::after(last.plan.as_str()));
        }
    }
    Ok(answer(Made::Done, &PlanPage { plans, next }))
}
