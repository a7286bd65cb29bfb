//! `/v1/backfills`: events from before the late window, as a whole.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_engine::ControlDone;
use farebox_record::ids::CallId;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::cursor;
use crate::decode::body::Strict;
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::routes::Page;
use crate::server::Server;
use crate::wire::backfill::{BackfillBody, BackfillPage, BackfillView, PreviewView};

/// Makes a backfill: keeps its events, and posts nothing.
///
/// For usage that is older than `POST /v1/events` takes it (35 days). Look at what it would do with `/preview`, then post it
/// with `/commit`; `/revert` takes all of it back. The same request again changes nothing.
#[utoipa::path(
    post, path = "/v1/backfills", tag = "backfills", operation_id = "createBackfill", request_body = BackfillBody,
    responses(
        (status = 200, description = "It was made so before", body = BackfillView),
        (status = 201, description = "The backfill, a draft", body = BackfillView)
    )
)]
pub(crate) async fn create(
    State(server): State<Server>,
    caller: Caller,
    Strict(body): Strict<BackfillBody>,
) -> Result<Response, Problem> {
    let new = body.read()?;
    let (tenant, id) = (caller.tenant.clone(), new.id.clone());
    let (state, done) = server
        .blocking(move |engine| engine.make_backfill(&tenant, &new.id, new.reason, &new.events))
        .await?;
    let replayed = done == ControlDone::Unchanged;
    let view = BackfillView {
        replayed,
        ..BackfillView::new(&id, &state)
    };
    Ok(answer(Made::new_unless(replayed), &view))
}

/// Lists backfills, in order of id.
#[utoipa::path(
    get, path = "/v1/backfills", tag = "backfills", operation_id = "listBackfills", params(Page),
    responses((status = 200, description = "A page of backfills", body = BackfillPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(page.limit)?;
    let after = cursor::name(page.cursor.as_deref())?;
    let controls = server.engine().controls();
    let known = controls.tenant(&caller.tenant).map(|state| &state.backfills);
    let mut rest = known
        .into_iter()
        .flatten()
        .filter(|(id, _)| after.as_deref().is_none_or(|after| id.as_str() > after));
    let page = rest.by_ref().take(limit);
    let backfills: Vec<BackfillView> = page.map(|(id, state)| BackfillView::new(id, state)).collect();
    let next = match rest.next() {
        Some(_) => backfills.last().map(|last| cursor::after(&last.id)),
        None => None,
    };
    Ok(answer(Made::Done, &BackfillPage { backfills, next }))
}

/// Shows a backfill.
#[utoipa::path(
    get, path = "/v1/backfills/{backfill}", tag = "backfills", operation_id = "getBackfill",
    params(("backfill" = String, Path, description = "The backfill")),
    responses((status = 200, description = "The backfill", body = BackfillView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CallId = parameters::name("backfill", &id)?;
    let state = server.engine().backfill(&caller.tenant, &id)?;
    Ok(answer(Made::Done, &BackfillView::new(&id, &state)))
}

/// Tells what committing a backfill would do, and changes nothing.
///
/// It is carried out by the code that would post it, on the wallets as they are, and thrown away.
#[utoipa::path(
    post, path = "/v1/backfills/{backfill}/preview", tag = "backfills", operation_id = "previewBackfill",
    params(("backfill" = String, Path, description = "The backfill")),
    responses((status = 200, description = "What it would do", body = PreviewView))
)]
pub(crate) async fn preview(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CallId = parameters::name("backfill", &id)?;
    let tenant = caller.tenant.clone();
    let preview = server
        .blocking(move |engine| engine.preview_backfill(&tenant, &id))
        .await?;
    Ok(answer(Made::Done, &PreviewView::new(&preview)))
}

/// Posts the events of a backfill.
///
/// Each is priced by the revision of when it happened, with the state of its period, and posted in the open period. An event
/// that the customer has already is left out. Where the server stops in the middle, it goes on at its next start; the call can
/// be repeated.
#[utoipa::path(
    post, path = "/v1/backfills/{backfill}/commit", tag = "backfills", operation_id = "commitBackfill",
    params(("backfill" = String, Path, description = "The backfill")),
    responses((status = 200, description = "It is posted", body = BackfillView))
)]
pub(crate) async fn commit(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CallId = parameters::name("backfill", &id)?;
    let (tenant, name) = (caller.tenant.clone(), id.clone());
    let state = server
        .blocking(move |engine| engine.commit_backfill(&tenant, &name))
        .await?;
    Ok(answer(Made::Done, &BackfillView::new(&id, &state)))
}

/// Takes all events of a backfill back, the last one first, or none.
///
/// It is tried out first: where one event cannot be taken back, the answer names it, and nothing changes. What was corrected
/// meanwhile comes back as it stands. The ids stay taken: what should be charged after all comes under others. The call can be
/// repeated.
#[utoipa::path(
    post, path = "/v1/backfills/{backfill}/revert", tag = "backfills", operation_id = "revertBackfill",
    params(("backfill" = String, Path, description = "The backfill")),
    responses((status = 200, description = "It is taken back", body = BackfillView))
)]
pub(crate) async fn revert(
    State(server): State<Server>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: CallId = parameters::name("backfill", &id)?;
    let (tenant, name) = (caller.tenant.clone(), id.clone());
    let state = server
        .blocking(move |engine| engine.revert_backfill(&tenant, &name))
        .await?;
    Ok(answer(Made::Done, &BackfillView::new(&id, &state)))
}
