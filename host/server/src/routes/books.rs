//! `/v1/books`: what moved in each account, all customers together.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use farebox_record::time::{CalendarSpan, Timestamp};
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::decode::accept::{Format, format_of};
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::Server;
use crate::wire::books::BooksView;

/// Which days, and in which form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// A calendar month in UTC, such as `2026-11`. The present one where nothing is asked for.
    #[param(example = "2026-11")]
    month: Option<String>,
    /// The first day; instead of a month.
    #[param(example = "2026-11-01")]
    from: Option<String>,
    /// The day behind the last one; tomorrow unless told.
    #[param(example = "2026-12-01")]
    to: Option<String>,
    /// `json` or `csv`; goes before `Accept`.
    format: Option<String>,
}

/// Sums up the books of all customers: per asset and account what was there, what moved, and what is there at the end.
///
/// The accounts of an asset sum to zero, in each of the three. Entries count on the day of the instant at which they happened,
/// and never before a day that the customer's history had come to, as on statements: in the customers' accounts (`available`,
/// `held`, `debt`, `receivable`) the books are the sum of the statements of all customers over the same days. Reads your own
/// writes, and what fell due before the last day ended happens first. Answers `books_behind` where that takes too long, or where
/// records are missing in them.
#[utoipa::path(
    get, path = "/v1/books", tag = "books", operation_id = "getBooks", params(Wanted),
    responses((status = 200, description = "The books, in the form that `format` or `Accept` asks for", content(
        (BooksView = "application/json"), (String = "text/csv")
    )))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let format = match format_of(wanted.format.as_deref(), &headers)? {
        Format::Html if wanted.format.is_some() => {
            return Err(Problem::parameter("format", "books come as json or csv"));
        }
        format => format,
    };
    let (from, to) = wanted.days(server.engine().now(&caller.tenant))?;
    let as_of = server.complete(&caller.tenant, to).await?;
    let tenant = caller.tenant;
    let books = server
        .blocking(move |engine| engine.books(&tenant, from, to))
        .await?;
    let view = BooksView::new(from, to, &books, as_of);
    let mut response = match format {
        Format::Csv => match view.csv() {
            Ok(body) => {
                let media = "text/csv; charset=utf-8; header=present";
                ([(header::CONTENT_TYPE, media)], body).into_response()
            }
            Err(error) => return Err(internal(&format!("books are no table: {error}"))),
        },
        Format::Json | Format::Html => answer(Made::Done, &view),
    };
    let varies = HeaderValue::from_static("accept");
    response.headers_mut().insert(header::VARY, varies);
    Ok(response)
}

impl Wanted {
    fn days(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
        let Some(from) = &self.from else {
            return match (&self.month, &self.to) {
                (_, Some(_)) => Err(Problem::parameter("from", "is missing; say from which day on")),
                (month, None) => parameters::month(month.as_deref(), now),
            };
        };
        if self.month.is_some() {
            let detail = "goes not with `month`: a range is given in one way";
            return Err(Problem::parameter("from", detail));
        }
        let from = day("from", from)?;
        let to = match &self.to {
            Some(to) => day("to", to)?,
            None => tomorrow(now)?,
        };
        match from < to {
            true => Ok((from, to)),
            false => Err(Problem::parameter("from", format!("{from} is not before {to}"))),
        }
    }
}

/// The beginning of a day in UTC.
fn day(parameter: &str, text: &str) -> Result<Timestamp, Problem> {
    let wrong = || {
        Problem::parameter(
            parameter,
            format!("{text:?} is no day: expected one such as 2026-11-01"),
        )
    };
    match text.len() {
        10 => format!("{text}T00:00:00Z").parse().map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

fn tomorrow(now: Timestamp) -> Result<Timestamp, Problem> {
    let text = now.to_string();
    let today = day("to", text.get(..10).unwrap_or_default())?;
    let one: Option<CalendarSpan> = "P1D".parse().ok();
    one.and_then(|one| one.after(today))
        .ok_or_else(|| Problem::parameter("to", "is missing; say until which day"))
}
