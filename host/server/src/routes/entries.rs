//! What was posted, and which event it came from.

use axum::extract::{Path, State};
use axum::response::Response;
use farebox_engine::{Engine, EngineError};
use farebox_ledger::timer_of;
use farebox_record::Record;
use farebox_record::command::{Command, Identity, default_source};
use farebox_record::correction::RefundTarget;
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::outcome::{Answer, Effect};
use farebox_record::plan::EventRef;
use serde::Deserialize;

use crate::answer::{Made, answer};
use crate::auth::Caller;
use crate::code::Code;
use crate::cursor::Place;
use crate::decode::parameters::{self, Params};
use crate::limits::{RECORDS_PER_PAGE_MAX, RECORDS_PER_READ};
use crate::problem::Problem;
use crate::routes::Page;
use crate::server::Server;
use crate::wire::entry::{self as wire, EntryPage, EventView, entries};

/// Lists what was posted to a wallet, newest first.
///
/// Every line names its charge, its event and the revision that priced it. Reads your own writes.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/entries", tag = "customers", operation_id = "listEntries",
    params(("customer" = String, Path, description = "The customer"), Page),
    responses((status = 200, description = "A page of entries", body = EntryPage))
)]
pub(crate) async fn list(
    State(server): State<Server>,
    caller: Caller,
    Path(customer): Path<String>,
    Params(page): Params<Page>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let limit = parameters::page_size(page.limit)?;
    let wallet = server.wallet(&caller, &customer).await?;
    let place = match page.cursor.as_deref() {
        Some(cursor) => Place::decode(cursor)?,
        None => Place {
            sequence: wallet.header().sequence,
            skip: 0,
        },
    };
    let tenant = caller.tenant.clone();
    let page = server
        .blocking(move |engine| page_of(engine, &tenant, &customer, place, limit))
        .await?;
    Ok(answer(Made::Done, &page))
}

/// Reads on until the page is full: many records have no entries.
fn page_of(
    engine: &Engine,
    tenant: &TenantId,
    customer: &CustomerId,
    place: Place,
    limit: usize,
) -> Result<EntryPage, EngineError> {
    let mut page = EntryPage {
        entries: Vec::with_capacity(limit),
        next: None,
        archived: false,
    };
    let mut place = place;
    let mut read = 0;
    while read < RECORDS_PER_PAGE_MAX {
        let before = place.sequence.saturating_add(1);
        let records = match engine.history(tenant, customer, Some(before), limit) {
            Err(error) if error.archived().is_some() => {
                page.archived = true;
                return Ok(page);
            }
            records => records?,
        };
        if records.is_empty() {
            return Ok(page);
        }
        read += records.len();
        for record in &records {
            place.sequence = record.sequence;
            for entry in entries(record).skip(place.skip) {
                if page.entries.len() == limit {
                    page.next = Some(place.encode());
                    return Ok(page);
                }
                page.entries.push(entry);
                place.skip += 1;
            }
            place = Place {
                sequence: record.sequence.saturating_sub(1),
                skip: 0,
            };
        }
        if place.sequence == 0 {
            return Ok(page);
        }
    }
    page.next = Some(place.encode());
    Ok(page)
}

/// Which source an event came from.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FromSource {
    /// The event's source; `api` unless told.
    source: Option<String>,
}

impl FromSource {
    /// The event of this id that came from there.
    pub fn reference(&self, event: &str) -> Result<EventRef, Problem> {
        Ok(EventRef {
            source: match &self.source {
                Some(source) => parameters::name("source", source)?,
                None => default_source(),
            },
            id: parameters::name("event", event)?,
        })
    }
}

/// Shows an event, what was done with it, what was posted for it, and how it stands after all corrections.
#[utoipa::path(
    get, path = "/v1/customers/{customer}/events/{event}", tag = "events", operation_id = "getEvent",
    params(
        ("customer" = String, Path, description = "The customer"),
        ("event" = String, Path, description = "The event's id"),
        FromSource
    ),
    responses((status = 200, description = "The event", body = EventView))
)]
pub(crate) async fn event(
    State(server): State<Server>,
    caller: Caller,
    Path((customer, event)): Path<(String, String)>,
    Params(from): Params<FromSource>,
) -> Result<Response, Problem> {
    let customer: CustomerId = parameters::name("customer", &customer)?;
    let reference = from.reference(&event)?;
    server.wallet(&caller, &customer).await?; // 404 for a customer that is none; and what is overdue has happened
    let unknown = || {
        Problem::new(
            Code::UnknownEvent,
            format!("there is no event {event} of {}", reference.source),
        )
    };
    let looked_up = reference.clone();
    let (records, standing, given) = server
        .blocking(move |engine| {
            let standing = engine.standing(&caller.tenant, &customer, &looked_up)?;
            let given = engine.given(&caller.tenant, &customer, &looked_up)?;
            let mut records = records_of(engine, &caller.tenant, &customer, &looked_up)?;
            let later = later_of(engine, &caller.tenant, &customer, &looked_up, &records)?;
            records.extend(later);
            Ok::<_, EngineError>((records, standing, given))
        })
        .await?;
    let reported = records
        .first()
        .and_then(|record| event_of(&record.command))
        .ok_or_else(unknown)?;
    let view = EventView::new(reported, &records, standing.as_ref(), &given).ok_or_else(unknown)?;
    Ok(answer(Made::Done, &view))
}

/// How the event was received, and how it was ended or priced later; oldest first.
fn records_of(
    engine: &Engine,
    tenant: &TenantId,
    customer: &CustomerId,
    event: &EventRef,
) -> Result<Vec<Record>, EngineError> {
    let mut records = Vec::new();
    for identity in [
        Identity::Event(event.clone()),
        Identity::Backfilled(event.clone()),
        Identity::HoldEnd(event.clone()),
        Identity::Rated(event.clone()),
    ] {
        let record = match engine.find(tenant, customer, &identity)? {
            None => engine.find_past(tenant, customer, &identity)?,
            found => found,
        };
        let Some(record) = record else {
            continue;
        };
        // A correction can make an end of waiting for a price; it is told with the corrections.
        let is_correction = matches!(record.command, Command::Void(_) | Command::Amend(_));
        if !is_correction
            && records
                .iter()
                .all(|known: &Record| known.sequence != record.sequence)
        {
            records.push(record);
        }
    }
    records.sort_by_key(|record| record.sequence);
    Ok(records)
}

/// Refunds of the event, its void and its amendments, what a timer that it set charged for it, and what was done with other
/// events that moved this one, oldest first.
/// Their identities hold what only their callers know, so they are looked for in the wallet's history: from its end back to
/// the event, as far as one page of entries reads.
fn later_of(
    engine: &Engine,
    tenant: &TenantId,
    customer: &CustomerId,
    event: &EventRef,
    records: &[Record],
) -> Result<Vec<Record>, EngineError> {
    let Some(received) = records.first().map(|record| record.sequence) else {
        return Ok(Vec::new());
    };
    if !engine.is_corrected(tenant, customer, event)? {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let (mut before, mut read) = (None, 0);
    while read < RECORDS_PER_PAGE_MAX {
        let page = engine.history(tenant, customer, before, RECORDS_PER_READ)?;
        read += page.len();
        let oldest = page.last().map(|record| record.sequence);
        let mine = page.into_iter().filter(|record| record.sequence > received);
        let tells =
            |record: &Record| corrects(record, event) || charges_later(record, event) || moves(record, event);
        found.extend(mine.filter(tells));
        match oldest {
            Some(oldest) if oldest > received => before = Some(oldest),
            _ => break,
        }
    }
    found.reverse();
    Ok(found)
}

/// Whether a record corrects the event, or one before it so that it costs something else.
fn corrects(record: &Record, event: &EventRef) -> bool {
    if let Answer::Refolded(refolded) = &record.outcome.answer
        && refolded.repriced.iter().any(|repriced| repriced.event == *event)
    {
        return true;
    }
    match &record.command {
        Command::Void(void) => void.event == *event,
        Command::Amend(amend) => amend.event.reference() == *event,
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event: given, .. } => given == event,
            RefundTarget::Grant { .. } => false,
        },
        _ => false,
    }
}

/// Whether a record is of a timer that the event set, and that charged for it.
fn charges_later(record: &Record, event: &EventRef) -> bool {
    let noted = |effect: &Effect| matches!(effect, Effect::StandingPut(noted, _) if noted == event);
    timer_of(&record.command).is_some_and(|about| about.event.as_ref() == Some(event))
        && record.outcome.effects.iter().any(noted)
}

/// Whether a record is about another event that gave back of this one, or took again what it had given.
fn moves(record: &Record, event: &EventRef) -> bool {
    let is_moved = |effect: &Effect| match effect {
        Effect::StandingPut(moved, _) | Effect::GiveBacksPut(moved, _) => moved == event,
        _ => false,
    };
    wire::event_of(&record.command).is_some_and(|about| about != *event)
        && record.outcome.effects.iter().any(is_moved)
}

fn event_of(command: &Command) -> Option<&Event> {
    match command {
        Command::Usage(event) => Some(event),
        Command::Backfill(backfill) => Some(&backfill.event),
        Command::Authorize(authorize) => Some(&authorize.event),
        _ => None,
    }
}
