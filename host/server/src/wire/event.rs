//! Events, authorize, and how they are answered.

use farebox_ledger::limits::HOLD_TTL_DEFAULT;
use farebox_record::command::{Authorize, AuthorizeMode, default_source};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, EventId, EventType, RevisionHash, Source};
use farebox_record::time::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::amount::AssetAmount;
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::measures::{Attributes, Measures};
use crate::wire::time::Time;
use crate::wire::usage::{OpenAiUsage, measures_of};

/// One usage report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Event, example = json!({
    "id": "call-1", "customer": "acme", "type": "llm.call", "time": "2026-11-23T09:30:00Z",
    "measures": {"input_tokens": 1200, "output_tokens": 350}, "attributes": {"model": "gpt-5"}
}))]
pub struct EventBody {
    /// Unique with its source within the customer. Also understood: `transaction_id`, `idempotency_key`, `identifier`,
    /// `event_id`.
    #[serde(
        alias = "transaction_id",
        alias = "idempotency_key",
        alias = "identifier",
        alias = "event_id"
    )]
    #[schema(value_type = String, example = "call-1")]
    id: EventId,
    /// Where it comes from; `api` unless told.
    #[schema(value_type = Option<String>)]
    source: Option<Source>,
    /// Who pays.
    #[schema(value_type = String, example = "acme")]
    customer: CustomerId,
    /// What kind of usage it is.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "llm.call")]
    event_type: EventType,
    /// When it happened; not there: when it is received. At most 5 minutes ahead, and 35 days ago.
    time: Option<Time>,
    /// What was used.
    measures: Option<Measures>,
    /// What was used, as OpenAI's API reported it.
    usage: Option<OpenAiUsage>,
    /// What it was used for.
    attributes: Option<Attributes>,
}

impl EventBody {
    /// As the ledger knows it. `at` is where the event is in the body.
    pub fn event(self, at: &str) -> Result<(CustomerId, Event), Problem> {
        let event = Event {
            source: self.source.unwrap_or_else(default_source),
            id: self.id,
            event_type: self.event_type,
            time: self.time.map(|time| time.0),
            measures: measures_of(at, self.measures, self.usage.as_ref())?,
            attributes: self.attributes.unwrap_or_default().0,
        };
        Ok((self.customer, event))
    }
}

/// One event, or an array of up to 10000. The forms of a JSON body, for the documentation: events are read one by one.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Events)]
#[expect(dead_code, reason = "a schema; what it describes is read item by item")]
pub(crate) enum EventsDocument {
    /// One event: the call has the status of its result.
    One(Box<EventBody>),
    /// Many events: each has its own result.
    Many(Vec<EventBody>),
}

/// A CloudEvent 1.0 in structured form.
#[derive(ToSchema)]
#[schema(as = CloudEvent, example = json!({
    "specversion": "1.0", "id": "call-1", "source": "/gateway", "type": "llm.call", "subject": "acme",
    "data": {"measures": {"input_tokens": 1200}, "attributes": {"model": "gpt-5"}}
}))]
#[expect(
    dead_code,
    reason = "a schema; what it describes is read attribute by attribute"
)]
pub(crate) struct CloudEventDocument {
    /// `1.0`.
    specversion: String,
    /// Unique with its source within the customer.
    id: String,
    /// Where it comes from.
    source: String,
    /// What kind of usage it is.
    r#type: String,
    /// The customer.
    subject: String,
    /// When it happened; not there: when it is received.
    time: Option<Time>,
    /// JSON, where it is there.
    datacontenttype: Option<String>,
    /// `{measures, usage, attributes}`, or flat: numbers are measures, texts are attributes.
    #[schema(value_type = Option<Object>)]
    data: Option<serde_json::Value>,
}

/// A call that is about to happen, or that happened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Authorize, example = json!({
    "id": "call-1", "customer": "acme", "ttl_seconds": 300,
    "event": {"type": "llm.call", "measures": {"input_tokens": 1200, "output_tokens": 4096}, "attributes": {"model": "gpt-5"}}
}))]
pub struct AuthorizeBody {
    /// The event's id, and the hold's. A denial under an id stays a denial: a new attempt takes a new one.
    #[schema(value_type = String, example = "call-1")]
    id: EventId,
    /// Where it comes from; `api` unless told.
    #[schema(value_type = Option<String>)]
    source: Option<Source>,
    /// Who pays.
    #[schema(value_type = String, example = "acme")]
    customer: CustomerId,
    /// The call. Its measures are maximums, unless `settle`.
    event: CallBody,
    /// How long the hold lasts, 1 to 86400; 900 unless told.
    #[schema(minimum = 1, maximum = 86400)]
    ttl_seconds: Option<u32>,
    /// `true`: the measures are known usage; check and debit at once, without a hold.
    #[serde(default)]
    settle: bool,
}

/// A call: what kind, how much, what for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Call)]
pub struct CallBody {
    /// What kind of usage it is.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "llm.call")]
    event_type: EventType,
    /// When it happens; not there: now.
    time: Option<Time>,
    /// Maximums to hold for; with `settle`, what was used.
    measures: Option<Measures>,
    /// What was used, as OpenAI's API reported it; makes sense with `settle`.
    usage: Option<OpenAiUsage>,
    /// What it is used for.
    attributes: Option<Attributes>,
}

impl AuthorizeBody {
    /// As the ledger knows it.
    pub fn command(self) -> Result<(CustomerId, Authorize), Problem> {
        let call = self.event;
        if call.usage.is_some() && !self.settle {
            let detail = "a `usage` object says what was used; a hold needs maximums in `measures`";
            return Err(Problem::field("/event/usage", detail));
        }
        if self.settle && self.ttl_seconds.is_some() {
            return Err(Problem::field(
                "/ttl_seconds",
                "with `settle` there is no hold that could last",
            ));
        }
        let event = Event {
            source: self.source.unwrap_or_else(default_source),
            id: self.id,
            event_type: call.event_type,
            time: call.time.map(|time| time.0),
            measures: measures_of("/event", call.measures, call.usage.as_ref())?,
            attributes: call.attributes.unwrap_or_default().0,
        };
        let ttl = self.ttl_seconds.map_or(HOLD_TTL_DEFAULT, Span::seconds);
        let mode = if self.settle {
            AuthorizeMode::Settle
        } else {
            AuthorizeMode::Hold
        };
        Ok((self.customer, Authorize { event, ttl, mode }))
    }
}

/// Which code with which parameters.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Revision)]
pub struct RevisionView {
    /// Hash of the component.
    pub component: String,
    /// Hash of the parameters.
    pub parameters: String,
}

impl From<RevisionHash> for RevisionView {
    fn from(hash: RevisionHash) -> RevisionView {
        RevisionView {
            component: hash.component.to_string(),
            parameters: hash.parameters.to_string(),
        }
    }
}

/// The call may go ahead.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Allowed)]
pub struct AllowedView {
    /// `true`.
    pub allowed: bool,
    /// What is set aside; not there with `settle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldOpened>,
    /// What the worst case costs; with `settle`, what was debited.
    pub quote: Vec<LineView>,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Which revision said so.
    pub revision: RevisionView,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What is set aside.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenedHold)]
pub struct HoldOpened {
    /// The handle for settle, extend and release.
    #[schema(example = "hold_YWNtZQBhcGkAY2FsbC0x")]
    pub id: String,
    /// How much, per asset.
    pub amounts: Vec<AssetAmount>,
    /// From this instant on it can no longer be settled.
    pub expires_at: Time,
}

/// What became of the events of a call, in the order in which they came.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventResults)]
pub struct EventResults {
    /// One per event.
    pub results: Vec<EventResult>,
    /// How many were accepted, replayed ones included.
    pub accepted: usize,
    /// How many are kept until they have a price.
    pub unpriced: usize,
    /// How many differ from the first event under their id.
    pub conflict: usize,
    /// How many were refused.
    pub rejected: usize,
}

/// What became of one event.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = EventResult)]
pub struct EventResult {
    /// Its place in the call, from 0.
    pub index: usize,
    /// What became of it.
    pub status: EventStatus,
    /// Its id, where it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub id: Option<EventId>,
    /// Where it came from, where that could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub source: Option<Source>,
    /// What was charged; for `accepted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charges: Option<Vec<LineView>>,
    /// Why, for all but `accepted`: the code of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<crate::code::Code>)]
    pub code: Option<&'static str>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `invalid_request`: where in the body, as a JSON pointer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// `invalid_parameter`: which header of a CloudEvent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// `conflict`: the first field that differs from the first event. `invalid_time`, `invalid_event`: which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The name of the limit, where one was exceeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Priced and charged.
    Accepted,
    /// Kept, and charged as soon as something prices it. Nothing to do for the sender.
    Unpriced,
    /// Differs from the first event under its id; that one stands.
    Conflict,
    /// Refused without a trace: correct it, and send it again under the same id.
    Rejected,
}

impl EventStatus {
    /// As programs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventStatus::Accepted => "accepted",
            EventStatus::Unpriced => "unpriced",
            EventStatus::Conflict => "conflict",
            EventStatus::Rejected => "rejected",
        }
    }
}
