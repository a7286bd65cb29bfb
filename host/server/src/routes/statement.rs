//! What happened to a customer in a range of time, summed up and proven to sum.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use farebox_engine::Engine;
use farebox_ledger::{Wallet, period_with_index};
use farebox_record::command::Identity;
use farebox_record::ids::{CustomerId, SubscriptionId, TenantId};
use farebox_record::time::Timestamp;
use farebox_statement::limits::STATEMENT_READ_RECORDS;
use farebox_statement::{Reach, Reading, Statement, StatementError, Wants, balances};
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::decode::accept::{Format, format_of};
use crate::decode::parameters::{self, Params};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::Server;
use crate::statement::{Labels, csv, page};
use crate::wire::statement::{Range, StatementView};

/// Which range, and in which form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// A calendar month in UTC, such as `2026-11`. The present one where nothing is asked for.
    #[param(example = "2026-11")]
    month: Option<String>,
    /// From when on, in RFC 3339; instead of a month.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Until when, exclusive; now unless told.
    to: Option<String>,
    /// A subscription, of which `period` says which period; instead of a month.
    subscription: Option<String>,
    /// Number of the period, counted from the subscription's anchor; the present one unless told.
    period: Option<u32>,
    /// `json`, `csv` or `html`; goes before `Accept`.
    format: Option<String>,
}

/// Gives a customer's statement: opening, what came in, what was used, charged, corrected and paid, what expired, closing.
///
/// The lines sum to the balance. What fell due counts at the instant at which it fell due, and what is late or corrected stands
/// in the range in which it was posted, with the period that it belongs to. Reads your own writes. The statement of a range
/// that is over never changes.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/statement", tag = "customers", operation_id = "getStatement",
    params(("customer" = String, Path, description = "The customer"), Wanted),
    responses((status = 200, description = "The statement, in the form that `format` or `Accept` asks for", content(
        (StatementView = "application/json"), (String = "text/csv"), (String = "text/html")
    )))
)]
pub(crate) async fn show(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    headers: HeaderMap,
    Params(wanted): Params<Wanted>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let format = format_of(wanted.format.as_deref(), &headers)?;
    let now = server.engine().now(&caller.tenant);
    let wallet = server.wallet(&caller, &customer).await?; // what is overdue has happened, the renewal at the boundary too
    let range = wanted.range(&customer, &wallet, now)?;
    let tenant = caller.tenant;
    let labels = Labels::of(&wallet, server.engine().controls().tenant(&tenant));
    let _turn = server.statements().acquire().await;
    // Gone with this call: nothing is read on for somebody who no longer waits.
    let asked = Arc::new(());
    let asks = Arc::downgrade(&asked);
    server
        .blocking(move |engine| {
            let statement = read(engine, &tenant, &customer, &range, &wallet, &|| {
                asks.strong_count() > 0
            })?;
            let view = StatementView::new(&customer, &range, &wallet, now, statement, &labels);
            Ok::<_, Problem>(sent(format, &view?))
        })
        .await
}

impl Wanted {
    fn range(&self, customer: &CustomerId, wallet: &Wallet, now: Timestamp) -> Result<Range, Problem> {
        let given = [
            ("month", self.month.is_some()),
            ("from", self.from.is_some() || self.to.is_some()),
            (
                "subscription",
                self.subscription.is_some() || self.period.is_some(),
            ),
        ];
        let mut ways = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        let (way, second) = (ways.next(), ways.next());
        if let (Some(first), Some(second)) = (way, second) {
            let detail = format!("goes not with `{first}`: a range is given in one way");
            return Err(Problem::parameter(second, detail));
        }
        let range = match way {
            Some("from") => self.times(now)?,
            Some("subscription") => self.period(customer, wallet)?,
            _ => {
                let (from, to) = parameters::month(self.month.as_deref(), now)?;
                let period = None;
                Range { from, to, period }
            }
        };
        match range.from < range.to {
            true => Ok(range),
            false => Err(Problem::parameter(
                "from",
                format!("{} is not before {}", range.from, range.to),
            )),
        }
    }

    fn times(&self, now: Timestamp) -> Result<Range, Problem> {
        let Some(from) = &self.from else {
            return Err(Problem::parameter("from", "is missing; say from when on"));
        };
        Ok(Range {
            from: parameters::name("from", from)?,
            to: match &self.to {
                Some(to) => parameters::name("to", to)?,
                // Now itself is wanted, and a range ends before its end.
                None => Timestamp::from_micros(now.as_micros().saturating_add(1)),
            },
            period: None,
        })
    }

    fn period(&self, customer: &CustomerId, wallet: &Wallet) -> Result<Range, Problem> {
        let Some(name) = &self.subscription else {
            return Err(Problem::parameter(
                "subscription",
                "is missing; say whose period it is",
            ));
        };
        let id: SubscriptionId = parameters::name("subscription", name)?;
        let subscription = wallet.subscription(&id).ok_or_else(|| {
            let detail = format!("{customer} has no subscription {id}");
            Problem::new(Code::UnknownSubscription, detail)
        })?;
        let index = self.period.unwrap_or(subscription.period.index);
        if index > subscription.period.index {
            let detail = format!("the present period of {id} is {}", subscription.period.index);
            return Err(Problem::parameter("period", detail));
        }
        let period = match index == subscription.period.index {
            true => subscription.period,
            false => period_with_index(subscription.anchor, subscription.cadence, index)
                .map_err(|error| Problem::parameter("period", error.to_string()))?,
        };
        Ok(Range {
            from: period.start,
            to: period.end,
            period: Some((id, period)),
        })
    }
}

/// Reads the wallet's history back to the beginning of the range, from the first balances carried forward behind its end, else
/// from the newest record.
fn read(
    engine: &Engine,
    tenant: &TenantId,
    customer: &CustomerId,
    range: &Range,
    wallet: &Arc<Wallet>,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Statement, Problem> {
    let newest = wallet.header().sequence;
    let (last, accounts) = match engine.carried(tenant, customer, range.to, newest)? {
        Some((sequence, carried)) => (sequence, carried.assets),
        None => (newest, wallet.customer_accounts()),
    };
    let mut reading = Reading::new(range.from, range.to, balances(accounts))?;
    let mut before = last.saturating_add(1);
    let mut reach = None;
    while reach.is_none() {
        if !is_wanted() {
            return Err(Problem::new(
                Code::Timeout,
                "nobody waits for the statement any more",
            ));
        }
        let records = match engine.history(tenant, customer, Some(before), STATEMENT_READ_RECORDS) {
            // What is archived happened before the range: it is the opening, which follows from the closing.
            Err(error) if error.archived().is_some_and(|newest| newest < range.from) => {
                reach = Some(Reach::Range);
                break;
            }
            records => records?,
        };
        if records.is_empty() {
            reach = Some(Reach::Beginning);
        }
        for record in records {
            before = record.sequence;
            if reading.take(record)? == Wants::Enough {
                reach = Some(Reach::Range);
                break;
            }
        }
    }
    for grant in reading.unknown_grants()? {
        match engine.find(tenant, customer, &Identity::Grant(grant)) {
            Ok(record) => record.iter().for_each(|record| reading.learn(record)),
            // Its line has its id then, and no label.
            Err(error) if error.archived().is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(reading.finish(reach.unwrap_or(Reach::Range))?)
}

impl From<StatementError> for Problem {
    fn from(error: StatementError) -> Problem {
        let said = error.to_string();
        match error {
            StatementError::Range => Problem::parameter("from", said),
            StatementError::TooManyLines => {
                Problem::parameter("from", format!("{said}; ask for a shorter range"))
                    .with("limit", "STATEMENT_LINES_MAX")
            }
            StatementError::Overflow | StatementError::Imbalance { .. } => internal(&said),
        }
    }
}

fn sent(format: Format, view: &StatementView) -> Response {
    let (media, body) = match format {
        Format::Json => {
            let mut response = answer(Made::Done, view);
            vary(&mut response);
            return response;
        }
        Format::Csv => match csv(view) {
            Ok(body) => ("text/csv; charset=utf-8; header=present", body),
            Err(error) => return internal(&format!("a statement is no table: {error}")).into_response(),
        },
        Format::Html => match page(view) {
            Ok(body) => ("text/html; charset=utf-8", body.into_bytes()),
            Err(error) => return internal(&format!("a statement is no page: {error}")).into_response(),
        },
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    // Nothing in it runs, and nothing is fetched for it.
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    vary(&mut response);
    response
}

fn vary(response: &mut Response) {
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
}
