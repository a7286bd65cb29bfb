//! What waits for a price, as callers see it.

use std::collections::BTreeMap;

use farebox_record::command::DueItem;
use farebox_record::event::Event;
use farebox_record::state::{MissedTransition, UnpricedState, Waiting};
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::events::unpriced;
use crate::wire::amount::Amount;
use crate::wire::correction::shown;
use crate::wire::measures::{Attributes, Measures};
use crate::wire::time::Time;

/// A page of what waits for a price, oldest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnpricedPage)]
pub struct UnpricedPage {
    /// What waits.
    pub unpriced: Vec<UnpricedView>,
    /// Give it as `cursor` for what came later; not there: nothing did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that waits for a price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unpriced)]
pub struct UnpricedView {
    /// The record that kept it: its place in the wallet's history.
    pub sequence: u64,
    /// `usage`, `renewal` or `timer`.
    #[schema(example = "usage")]
    pub kind: &'static str,
    /// When it was received, or should have been carried out.
    pub received_at: Time,
    /// Why it has no price: the code of a problem.
    #[schema(example = "no_subscription")]
    pub code: &'static str,
    /// Why, for people.
    pub detail: String,
    /// The usage; not there for a renewal or a timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<WaitingEventView>,
    /// Whose renewal or timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// When the renewal or the timer fell due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
}

/// Usage that waits for a price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WaitingEvent)]
pub struct WaitingEventView {
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// What kind of usage it is.
    pub r#type: String,
    /// When it happened, where its sender said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// What was used.
    #[schema(value_type = Measures)]
    pub measures: BTreeMap<String, Amount>,
    /// What it was used for.
    #[schema(value_type = Attributes)]
    pub attributes: BTreeMap<String, String>,
}

impl UnpricedView {
    pub(crate) fn new(sequence: u64, kept: &UnpricedState) -> UnpricedView {
        let (code, detail) = unpriced(&kept.reason);
        let missed = match &kept.what {
            Waiting::Event(_) => None,
            Waiting::Transition(missed) => Some(missed),
            Waiting::Change(missed) => Some(&missed.transition),
        };
        UnpricedView {
            sequence,
            kind: kind(missed),
            received_at: Time(kept.received),
            code: code.as_str(),
            detail,
            event: match &kept.what {
                Waiting::Event(event) => Some(WaitingEventView::new(event)),
                Waiting::Transition(_) | Waiting::Change(_) => None,
            },
            subscription: missed.and_then(|missed| match &missed.due.item {
                DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. } => Some(id.to_string()),
                DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => None,
            }),
            due_at: missed.map(|missed| Time(missed.due.instant)),
        }
    }
}

fn kind(missed: Option<&MissedTransition>) -> &'static str {
    match missed.map(|missed| &missed.due.item) {
        None => "usage",
        Some(DueItem::Renewal(_)) => "renewal",
        Some(_) => "timer",
    }
}

impl WaitingEventView {
    fn new(event: &Event) -> WaitingEventView {
        WaitingEventView {
            id: event.id.to_string(),
            source: event.source.to_string(),
            r#type: event.event_type.to_string(),
            time: event.time.map(Time),
            measures: shown(&event.measures),
            attributes: (&event.attributes).into(),
        }
    }
}
