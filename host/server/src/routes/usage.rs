//! `/v1/customers/{customer}/usage`: what was used and charged, by attribute and time.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_engine::projection::{Every, UsageQuery};
use farebox_record::ids::CustomerId;
use farebox_record::time::{Span, Timestamp};
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::cursor;
use crate::decode::parameters::{self, Params};
use crate::limits::{FIELD_NAME_BYTES_MAX, USAGE_BY_MAX};
use crate::problem::Problem;
use crate::server::Server;
use crate::wire::usage_page::{UsagePageView, UsageRowView};

/// Which usage is wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// From when on (RFC 3339), cut to the beginning of its minute, hour or day. Unless told: an hour, a day or thirty days
    /// before `to`, for `every` `minute`, `hour` and `day`.
    from: Option<String>,
    /// Until when (RFC 3339); minutes, hours and days that begin before it are in the answer. Unless told: until now.
    to: Option<String>,
    /// Names of up to 4 attributes, with commas between: `feature,model`. Without it all are summed up in one.
    by: Option<String>,
    /// `minute`, `hour` (unless told) or `day`; all in UTC.
    every: Option<String>,
    /// Rows of a page, 1 to 200; 50 unless told.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Sums up what a customer used and was charged, by attribute and time, this minute included.
///
/// An event counts once, when it happened and under the attributes that are known of it last: a call that was settled in
/// parts, settled late, or priced after it was kept, too. Charges are what was posted, so the rows of a customer sum to its
/// ledger. Identifiers (the attribute that a plan follows as its subject, `id`, and what ends in `_id`) tell no rows apart; by
/// one of them the answer is found in the customer's records since `from`, of which there may be up to 50,000. Minutes are
/// kept for 35 days, hours for 400, days for good. Reads your own writes; `as_of` says up to where it is complete.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/usage", tag = "customers", operation_id = "getUsage",
    params(("customer" = String, Path, description = "The customer"), Wanted),
    responses((status = 200, description = "A page of usage", body = UsagePageView))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let now = server.engine().now(&caller.tenant);
    let query = wanted.query(now)?;
    server.wallet(&caller, &customer).await?; // 404 for a customer that is none; and what is overdue has happened
    let as_of = server.caught_up(&caller.tenant).await?;
    let (tenant, asked) = (caller.tenant.clone(), query.clone());
    let page = server
        .blocking(move |engine| engine.usage(&tenant, &customer, &asked))
        .await?;
    let groups = page.groups.into_iter();
    let view = UsagePageView {
        rows: groups.map(|group| UsageRowView::new(&query.by, group)).collect(),
        next: page.next.as_ref().map(cursor::usage),
        as_of,
    };
    Ok(answer(Made::Done, &view))
}

impl Wanted {
    fn query(&self, now: Timestamp) -> Result<UsageQuery, Problem> {
        let every = match self.every.as_deref() {
            None => Every::Hour,
            Some(text) => (Every::ALL.into_iter().find(|every| every.as_str() == text)).ok_or_else(|| {
                Problem::parameter("every", format!("{text:?} is none of minute, hour, day"))
            })?,
        };
        // Now itself is wanted, and a time range ends before its end.
        let to = time("to", self.to.as_deref())?.unwrap_or(Timestamp::from_micros(now.as_micros() + 1));
        let from = match time("from", self.from.as_deref())? {
            Some(from) => from,
            None => to.saturating_sub(usual(every)),
        };
        if from >= to {
            return Err(Problem::parameter("from", format!("{from} is not before {to}")));
        }
        if let Some(oldest) = every.oldest_kept(now)
            && every.floor(from) < oldest
        {
            let name = every.as_str();
            let detail =
                format!("usage by the {name} is kept from {oldest} on; ask for longer times with `every`");
            return Err(Problem::parameter("from", detail).with("limit", kept_limit(every)));
        }
        Ok(UsageQuery {
            from,
            to,
            every,
            by: self.attributes()?,
            limit: parameters::page_size(self.limit)?,
            after: self.cursor.as_deref().map(cursor::usage_place).transpose()?,
        })
    }

    fn attributes(&self) -> Result<Vec<String>, Problem> {
        let by: Vec<String> = match self.by.as_deref() {
            None => Vec::new(),
            Some(text) => text.split(',').map(|name| name.trim().to_string()).collect(),
        };
        if by.len() > USAGE_BY_MAX {
            let detail = format!(
                "names {} attributes; the limit USAGE_BY_MAX is {USAGE_BY_MAX}",
                by.len()
            );
            return Err(Problem::parameter("by", detail).with("limit", "USAGE_BY_MAX"));
        }
        for (at, name) in by.iter().enumerate() {
            let wrong = match name {
                name if name.is_empty() => "an attribute has a name".to_string(),
                name if name.len() > FIELD_NAME_BYTES_MAX => {
                    format!("the name of an attribute has at most {FIELD_NAME_BYTES_MAX} bytes")
                }
                name if by[..at].contains(name) => format!("{name} is named twice"),
                _ => continue,
            };
            return Err(Problem::parameter("by", wrong));
        }
        Ok(by)
    }
}

/// How much is shown to who does not say.
fn usual(every: Every) -> Span {
    match every {
        Every::Minute => Span::seconds(3_600),
        Every::Hour => Span::days(1),
        Every::Day => Span::days(30),
    }
}

fn kept_limit(every: Every) -> &'static str {
    match every {
        Every::Minute => "USAGE_MINUTES_KEPT",
        Every::Hour | Every::Day => "USAGE_HOURS_KEPT",
    }
}

fn time(parameter: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    text.map(|text| parameters::name(parameter, text)).transpose()
}
