//! `/v1/changes`: what happened to a tenant's wallets and plans, as a page or as a stream.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use farebox_engine::projection::{FeedCursor, FeedError, FeedQuery, Kind};
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::cursor;
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::routes::changes_stream;
use crate::server::Server;
use crate::wire::change::{ChangePage, ChangeView};

/// What of the feed is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// `next` of the page before, or the `cursor` of a change: what is behind it. Without it: from the oldest change that is
    /// kept.
    after: Option<String>,
    /// Changes of a page, 1 to 200; 50 unless told. A stream has no pages.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// Only those of this customer.
    customer: Option<String>,
    /// Only those of this kind.
    kind: Option<String>,
}

/// Tells what happened: denials, renewals, expiries, debt, unpriced usage, new prices, quarantines.
///
/// The feed is durable and made of the records themselves: what is in it happened, and what happened is in it once. It comes
/// in commit order, so that of one wallet in the order in which it happened. Everything is kept for 35 days; a cursor behind
/// which something is no longer kept is refused with 410, and nothing is passed over in silence.
///
/// With `Accept: text/event-stream` it is a stream of server-sent events that goes on: `id` is the cursor, `data` the change.
/// `Last-Event-ID` is honoured, so that a client that reconnects misses nothing. A stream that fell too far behind is ended
/// with an event named `problem`.
#[utoipa::path(
    get, path = "/v1/changes", tag = "changes", operation_id = "listChanges",
    params(Wanted, ("Last-Event-ID" = Option<String>, Header, description = "As `after`, for streams; goes before it")),
    responses((status = 200, description = "A page of changes; or a stream of them", content(
        (ChangePage = "application/json"), (String = "text/event-stream")
    )))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let limit = parameters::page_size(wanted.limit)?;
    let mut query = FeedQuery {
        after: place("after", wanted.after.as_deref())?,
        limit,
        customer: (wanted.customer.as_deref())
            .map(|customer| parameters::name("customer", customer))
            .transpose()?,
        kind: wanted.kind.as_deref().map(kind).transpose()?,
    };
    if wants_stream(&headers) {
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok());
        query.after = place("Last-Event-ID", last)?.or(query.after);
        return changes_stream::open(server, caller, query);
    }
    server.caught_up(&caller.tenant).await?;
    let page = page(&server, &caller, query).await?;
    Ok(answer(Made::Done, &page))
}

/// Reads a page of a caller's feed.
pub(super) async fn page(server: &Server, caller: &Caller, query: FeedQuery) -> Result<ChangePage, Problem> {
    let tenant = caller.tenant.clone();
    let found = server
        .blocking(move |engine| engine.changes(&tenant, &query))
        .await?;
    Ok(ChangePage {
        changes: (found.changes.iter())
            .map(|(place, change)| ChangeView::new(&caller.tenant, *place, change))
            .collect(),
        next: cursor::feed(found.next),
        more: found.more,
    })
}

fn place(parameter: &str, text: Option<&str>) -> Result<Option<FeedCursor>, Problem> {
    text.map(|text| cursor::feed_place(parameter, text)).transpose()
}

fn kind(text: &str) -> Result<Kind, Problem> {
    let known = Kind::ALL.iter().find(|kind| kind.as_str() == text);
    known.copied().ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        Problem::parameter("kind", format!("{text:?} is none of {}", names.join(", ")))
    })
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            kind.split(';')
                .next()
                .is_some_and(|kind| kind.trim() == "text/event-stream")
        })
}

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Problem {
        let said = error.to_string();
        match error {
            FeedError::Expired => Problem::new(Code::ChangesExpired, said).with("limit", "CHANGES_KEPT"),
            FeedError::Ahead => Problem::parameter("after", said),
            FeedError::Engine(error) => error.into(),
        }
    }
}
