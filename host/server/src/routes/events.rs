//! `POST /v1/events`: usage that happened.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use farebox_engine::{Ask, Reply, Request};
use farebox_record::command::Command;
use farebox_record::ids::{EventId, Source};
use farebox_record::outcome::{Answer, UnpricedReason};

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::decode::body::{Raw, decode_aside};
use crate::decode::events::{Item, Sent, events};
use crate::problem::Problem;
use crate::refusal::internal;
use crate::server::{Server, unexpected};
use crate::watch;
use crate::wire::balance::LineView;
use crate::wire::event::{CloudEventDocument, EventResult, EventResults, EventStatus, EventsDocument};

/// Reports usage: prices and debits it.
///
/// One event as JSON, several as a JSON array or as NDJSON (`application/x-ndjson`), or CloudEvents: structured
/// (`application/cloudevents+json`), batch (`application/cloudevents-batch+json`), binary (`ce-` headers). Of a CloudEvent,
/// `subject` is the customer, and `data` is either `{measures, usage, attributes}` or flat: its numbers are measures, its
/// texts attributes; extension attributes are not read.
///
/// Each event has its own result, in order, and none fails the others. A call of many is answered 200. A call of one is
/// answered with the status of its result: a refused one is a problem, with the result in `results`. Where the call as a
/// whole is refused (`busy`), nothing of it was done.
#[utoipa::path(
    post, path = "/v1/events", tag = "events", operation_id = "reportEvents",
    request_body(content(
        (EventsDocument = "application/json"),
        (String = "application/x-ndjson"),
        (CloudEventDocument = "application/cloudevents+json"),
        (Vec<CloudEventDocument> = "application/cloudevents-batch+json")
    ), description = "One event or up to 10000"),
    responses((status = 200, description = "A result per event", body = EventResults, example = json!({
        "results": [
            {"index": 0, "status": "accepted", "id": "call-1", "source": "api",
             "charges": [{"code": "input-tokens", "asset": "usd", "amount": "0.0012", "quantity": "1200"}]},
            {"index": 1, "status": "rejected", "code": "invalid_request", "detail": "missing field `customer`", "pointer": "/1"}
        ],
        "accepted": 1, "unpriced": 0, "conflict": 0, "rejected": 1
    })))
)]
pub(crate) async fn report(
    State(server): State<Server>,
    caller: Caller,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    match decode_aside(body, move |body| events(&headers, body)).await?? {
        Sent::Many(items) => {
            let results = take_in(&server, &caller, items).await?;
            Ok(answer(
                Made::Done,
                &summary(results.into_iter().map(|(result, _)| result).collect()),
            ))
        }
        Sent::One(item) => {
            let Some((result, problem)) = take_in(&server, &caller, vec![*item]).await?.pop() else {
                return Err(internal("an event has no result"));
            };
            let replayed = result.replayed;
            let summary = summary(vec![result]);
            match problem {
                None => Ok(answer(if replayed { Made::Before } else { Made::Done }, &summary)),
                Some(problem) => {
                    let results = serde_json::to_value(&summary.results)
                        .map_err(|error| internal(&format!("an answer could not be encoded: {error}")))?;
                    Ok(problem.with("results", results).into_response())
                }
            }
        }
    }
}

/// Has everything carried out that is an event; a result for each item, in order, with the problem that it stands for.
async fn take_in(
    server: &Server,
    caller: &Caller,
    items: Vec<Item>,
) -> Result<Vec<(EventResult, Option<Problem>)>, Problem> {
    let mut requests = Vec::with_capacity(items.len());
    let mut open: Vec<Result<(EventId, Source), Problem>> = Vec::with_capacity(items.len());
    for item in items {
        open.push(item.map(|(customer, event)| {
            let named = (event.id.clone(), event.source.clone());
            requests.push(Request {
                customer,
                ask: Ask::Command(Box::new(Command::Usage(event))),
            });
            named
        }));
    }
    let mut replies = server.engine().call(&caller.tenant, requests).await?.into_iter();
    let mut results = Vec::with_capacity(open.len());
    for (index, item) in open.into_iter().enumerate() {
        let (named, outcome) = match item {
            Err(problem) => (None, Err(problem)),
            Ok(named) => match replies.next().unwrap_or(Reply::Stopped) {
                // What became of it is not known, and the same holds for the call: its events are repeated under their ids.
                Reply::Stopped => return Err(unexpected(Reply::Stopped)),
                Reply::Done(done) => (Some(named), Ok(done)),
                other => (Some(named), Err(unexpected(other))),
            },
        };
        results.push(result(index, named, outcome)?);
    }
    Ok(results)
}

fn result(
    index: usize,
    named: Option<(EventId, Source)>,
    outcome: Result<farebox_engine::Done, Problem>,
) -> Result<(EventResult, Option<Problem>), Problem> {
    let (id, source) = named.unzip();
    let mut result = EventResult {
        index,
        status: EventStatus::Accepted,
        id,
        source,
        charges: None,
        code: None,
        detail: None,
        pointer: None,
        parameter: None,
        field: None,
        limit: None,
        replayed: false,
    };
    let problem = match outcome {
        Ok(done) => {
            result.replayed = done.replayed;
            match done.answer {
                Answer::Charged { charges, .. } => result.charges = Some(LineView::list_of(charges)),
                Answer::Unpriced(reason) => {
                    let (code, detail) = unpriced(&reason);
                    result.status = EventStatus::Unpriced;
                    (result.code, result.detail) = (Some(code.as_str()), Some(detail));
                }
                _ => return Err(internal("an event was answered like something else")),
            }
            None
        }
        Err(problem) => {
            result.status = match problem.code() {
                Code::Conflict => EventStatus::Conflict,
                _ => EventStatus::Rejected,
            };
            result.code = Some(problem.code().as_str());
            result.detail = Some(problem.detail().to_string());
            let member = |name| {
                problem
                    .member(name)
                    .and_then(serde_json::Value::as_str)
                    .map(str::to_string)
            };
            result.pointer = member("pointer");
            result.parameter = member("parameter");
            result.field = member("field");
            result.limit = member("limit");
            Some(problem)
        }
    };
    Ok((result, problem))
}

fn summary(results: Vec<EventResult>) -> EventResults {
    let count = |status| results.iter().filter(|result| result.status == status).count();
    for status in [
        EventStatus::Accepted,
        EventStatus::Unpriced,
        EventStatus::Conflict,
        EventStatus::Rejected,
    ] {
        let first = results
            .iter()
            .filter(|result| result.status == status && !result.replayed)
            .count();
        watch::reported(status.as_str(), first);
    }
    watch::reported(
        "replayed",
        results.iter().filter(|result| result.replayed).count(),
    );
    EventResults {
        accepted: count(EventStatus::Accepted),
        unpriced: count(EventStatus::Unpriced),
        conflict: count(EventStatus::Conflict),
        rejected: count(EventStatus::Rejected),
        results,
    }
}

/// Why an event has no price yet.
pub(crate) fn unpriced(reason: &UnpricedReason) -> (Code, String) {
    match reason {
        UnpricedReason::NoSubscription => (
            Code::NoSubscription,
            "no subscription of the customer prices this type of event".to_string(),
        ),
        UnpricedReason::Rejected(rejection @ farebox_record::plan::Rejection::InvalidEvent { .. }) => {
            (Code::InvalidEvent, rejection.to_string())
        }
        UnpricedReason::Rejected(rejection) => (Code::Unpriceable, rejection.to_string()),
        UnpricedReason::NoPlan => (
            Code::UnknownPlan,
            "no revision of the subscription's plan is in force".to_string(),
        ),
        UnpricedReason::PlanFailed { message, .. } => {
            (Code::PlanFailed, format!("the plan failed: {message}"))
        }
    }
}
