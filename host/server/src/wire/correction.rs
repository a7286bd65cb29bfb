//! Money that is put right: adjustments, payments, refunds, and events that are taken back or replaced.

use std::collections::BTreeMap;
use std::fmt;

use farebox_engine::Given;
use farebox_money::Asset;
use farebox_record::command::default_source;
use farebox_record::correction::{
    Adjust, AdjustTarget, Pay, Refund, RefundTarget, Standing, StandingStatus, TakenSlice,
};
use farebox_record::event::{self, Event};
use farebox_record::ids::{CallId, EventId, EventType, GrantId, Source};
use farebox_record::outcome::{Corrected, Refolded, RepricedEvent};
use farebox_record::plan::EventRef;
use farebox_record::state::SliceSource;
use farebox_record::time::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, OneOfBuilder};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Problem;
use crate::wire::account::choice;
use crate::wire::amount::{Amount, AssetAmount};
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::event::RevisionView;
use crate::wire::given::GivenBackView;
use crate::wire::measures::{Attributes, Measures};
use crate::wire::text::Label;
use crate::wire::time::{PeriodView, Time};
use crate::wire::usage::{OpenAiUsage, measures_of};

/// What is put right by hand. Value is put in with a grant, which says what kind of value it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostAdjustment, example = json!({
    "id": "fix-7", "asset": "usd", "amount": "5", "target": "balance", "reason": "granted twice"
}))]
pub struct AdjustmentBody {
    /// Made by the caller; kept for good, so that no retry adjusts twice.
    #[schema(value_type = String, example = "fix-7")]
    id: CallId,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    asset: Asset,
    /// How much; more than zero, and no more than there is.
    amount: Amount,
    /// `balance`: value is taken away, in the order in which grants burn; what only certain usage may burn is left alone.
    /// `debt`, `receivable`: what is owed is written off.
    #[schema(schema_with = target_schema)]
    target: AdjustTarget,
    /// Why, for the people who read the statement.
    reason: Label,
}

fn target_schema() -> Object {
    choice(&["balance", "debt", "receivable"])
}

impl AdjustmentBody {
    /// As the ledger knows it.
    pub fn command(self) -> Adjust {
        Adjust {
            id: self.id,
            asset: self.asset,
            amount: self.amount.0,
            target: self.target,
            reason: self.reason.0,
        }
    }
}

/// What a customer paid of its receivable: fees that stand on its statement.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostPayment, example = json!({"id": "payment-12", "asset": "usd", "amount": "49", "label": "Invoice 2026-11"}))]
pub struct PaymentBody {
    /// Made by the caller; kept for good, so that no retry pays twice.
    #[schema(value_type = String, example = "payment-12")]
    id: CallId,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    asset: Asset,
    /// How much; more than zero, and no more than the receivable. The rest is put in with a grant.
    amount: Amount,
    /// What a person reads: the number of an invoice.
    label: Option<Label>,
}

impl PaymentBody {
    /// As the ledger knows it.
    pub fn command(self) -> Pay {
        Pay {
            id: self.id,
            asset: self.asset,
            amount: self.amount.0,
            label: self.label.map(|label| label.0),
        }
    }
}

/// A balance that was put right.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adjusted)]
pub struct AdjustedView {
    /// The id of the adjustment or the payment.
    #[schema(value_type = String)]
    pub id: CallId,
    /// When it was posted.
    pub posted_at: Time,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// What is given back: what an event took, or unused value of a bought grant. Exactly one of `event` and `grant`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostRefund, example = json!({
    "id": "refund-3", "event": {"id": "call-1"}, "amount": {"asset": "usd", "amount": "0.5"}, "reason": "cut short"
}))]
pub struct RefundBody {
    /// Made by the caller; kept for good, so that no retry gives back twice.
    #[schema(value_type = String, example = "refund-3")]
    id: CallId,
    /// What this event took comes back to where it came from.
    event: Option<EventRefBody>,
    /// Unused value of this grant leaves the wallet: it goes back to the customer. Only what was bought.
    #[schema(value_type = Option<String>, example = json!(null))]
    grant: Option<GrantId>,
    /// How much: of an event `{"asset": "usd", "amount": "0.5"}`, of a grant `"0.5"`. Not there: all that is left.
    amount: Option<RefundAmount>,
    /// Why, for the people who read the statement.
    reason: Label,
}

/// Which event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = EventName)]
pub struct EventRefBody {
    /// Its id.
    #[schema(value_type = String, example = "call-1")]
    id: EventId,
    /// Where it came from; `api` unless told.
    #[schema(value_type = Option<String>)]
    source: Option<Source>,
}

/// Part of what could be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundAmount {
    /// Of a grant, which has one asset.
    Plain(Amount),
    /// Of an event, which may have taken several.
    OfAsset(AssetAmount),
}

impl<'de> Deserialize<'de> for RefundAmount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RefundAmount, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RefundAmount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of `asset` and `amount`, or, of a grant, a decimal string")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<RefundAmount, E> {
                Amount::deserialize(serde::de::value::StrDeserializer::<E>::new(text))
                    .map(RefundAmount::Plain)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RefundAmount, A::Error> {
                AssetAmount::deserialize(MapAccessDeserializer::new(map)).map(RefundAmount::OfAsset)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl PartialSchema for RefundAmount {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(AssetAmount::schema())
            .item(Amount::schema())
            .description(Some(
                "Of an event, how much of which asset; of a grant, how much of it.",
            ))
            .into()
    }
}

impl ToSchema for RefundAmount {}

impl RefundBody {
    /// As the ledger knows it.
    pub fn command(self) -> Result<Refund, Problem> {
        let target = match (self.event, self.grant) {
            (Some(event), None) => RefundTarget::Event {
                event: EventRef {
                    source: event.source.unwrap_or_else(default_source),
                    id: event.id,
                },
                amount: match self.amount {
                    None => None,
                    Some(RefundAmount::OfAsset(AssetAmount { asset, amount })) => Some((asset, amount.0)),
                    Some(RefundAmount::Plain(_)) => {
                        let detail =
                            "an event may take several assets: say {\"asset\": \"usd\", \"amount\": \"0.5\"}";
                        return Err(Problem::field("/amount", detail));
                    }
                },
            },
            (None, Some(grant)) => RefundTarget::Grant {
                grant,
                amount: match self.amount {
                    None => None,
                    Some(RefundAmount::Plain(amount)) => Some(amount.0),
                    Some(RefundAmount::OfAsset(_)) => {
                        let detail = "a grant has one asset: say the amount alone, such as \"0.5\"";
                        return Err(Problem::field("/amount", detail));
                    }
                },
            },
            (Some(_), Some(_)) => {
                return Err(Problem::field("/grant", "`event` is there too; say one of them"));
            }
            (None, None) => return Err(Problem::field("", "say `event` or `grant`: what is given back")),
        };
        Ok(Refund {
            id: self.id,
            target,
            reason: self.reason.0,
        })
    }
}

/// Why an event is taken back.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = VoidEvent, example = json!({"reason": "sent twice"}))]
pub struct VoidBody {
    /// For the people who read the statement.
    pub reason: Option<Label>,
}

/// An event as it should have been, all of it: what is left away is as if it had never been said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = AmendEvent, example = json!({
    "type": "llm.call", "measures": {"input_tokens": 1200, "output_tokens": 350}, "attributes": {"model": "gpt-5"}
}))]
pub struct AmendBody {
    /// What kind of usage it is.
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "llm.call")]
    event_type: EventType,
    /// When it happened; not there: when it counted before.
    time: Option<Time>,
    /// What was used.
    measures: Option<Measures>,
    /// What was used, as OpenAI's API reported it.
    usage: Option<OpenAiUsage>,
    /// What it was used for.
    attributes: Option<Attributes>,
}

impl AmendBody {
    /// The event as it is to stand.
    pub fn event(self, reference: EventRef) -> Result<Event, Problem> {
        Ok(Event {
            source: reference.source,
            id: reference.id,
            event_type: self.event_type,
            time: self.time.map(|time| time.0),
            measures: measures_of("", self.measures, self.usage.as_ref())?,
            attributes: self.attributes.unwrap_or_default().0,
        })
    }
}

/// What a correction gave back, and what it charged instead.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Corrected)]
pub struct CorrectedView {
    /// When it was posted.
    pub corrected_at: Time,
    /// What came back, in all.
    pub reversed: Vec<AssetAmount>,
    /// What of it made up for debt or a receivable that nobody had paid yet.
    pub paid: Vec<AssetAmount>,
    /// What of it had expired meanwhile, and does not become value again. Of an event that was replaced: without what pays for
    /// the one that takes its place.
    pub expired: Vec<AssetAmount>,
    /// What is charged instead: of an event that was replaced, its new price.
    pub charges: Vec<LineView>,
    /// Events behind it that cost something else now, in the order in which they arrived: where the plan's prices depend on
    /// what came before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub repriced: Vec<RepricedView>,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// An event that costs something else because one before it was corrected.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Repriced)]
pub struct RepricedView {
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// What came back of it.
    pub reversed: Vec<AssetAmount>,
    /// What was charged in addition.
    pub charged: Vec<AssetAmount>,
    /// What it costs now, by its plan's word.
    pub charges: Vec<LineView>,
}

impl RepricedView {
    fn new(repriced: &RepricedEvent) -> RepricedView {
        RepricedView {
            id: repriced.event.id.to_string(),
            source: repriced.event.source.to_string(),
            reversed: AssetAmount::list(&repriced.reversed),
            charged: AssetAmount::list(&repriced.charged),
            charges: LineView::list(&repriced.charges),
        }
    }
}

impl CorrectedView {
    /// What came of a correction that other events were priced anew behind.
    pub fn refolded(refolded: &Refolded, at: Timestamp, replayed: bool) -> CorrectedView {
        CorrectedView {
            repriced: refolded.repriced.iter().map(RepricedView::new).collect(),
            ..CorrectedView::new(&refolded.corrected, at, replayed)
        }
    }

    /// What came of it.
    pub fn new(corrected: &Corrected, at: Timestamp, replayed: bool) -> CorrectedView {
        CorrectedView {
            repriced: Vec::new(),
            corrected_at: Time(at),
            reversed: AssetAmount::list(&corrected.reversed),
            paid: AssetAmount::list(&corrected.paid),
            expired: AssetAmount::list(&corrected.expired),
            charges: LineView::list(&corrected.charges),
            balance: BalanceView::list(&corrected.balances),
            replayed,
        }
    }
}

/// An event as it stands, after all corrections.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Standing)]
pub struct StandingView {
    /// `charged`; `unpriced`: it waits for a price; `voided`: it was taken back.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// What kind of usage it is.
    pub r#type: String,
    /// When it happened, as far as pricing goes.
    pub time: Time,
    /// What was used.
    #[schema(value_type = Measures)]
    pub measures: BTreeMap<String, Amount>,
    /// What it was used for.
    #[schema(value_type = Attributes)]
    pub attributes: BTreeMap<String, String>,
    /// What it costs, by its plan's word; refunds do not change that.
    pub charges: Vec<LineView>,
    /// What it took and has not given back, in the order in which it was taken.
    pub taken: Vec<TakenView>,
    /// What later events gave back of it because the plan said so, each part with the event that gave it. What refunds gave
    /// back is not among it.
    pub given_back: Vec<GivenBackView>,
    /// What it gave back of earlier events because the plan said so, and has not taken again.
    pub gave_back: Vec<GivenBackView>,
    /// The revision that priced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
    /// The subscription whose plan priced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The period that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodView>,
}

fn status_schema() -> Object {
    choice(&["charged", "unpriced", "voided"])
}

/// Part of a charge, and where it was taken from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Taken)]
pub struct TakenView {
    /// The charge: the plan's code.
    pub code: String,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much; more than zero.
    pub amount: Amount,
    /// `grant`; `debt`: nothing was there, the customer owes it; `receivable`: it stands on the statement.
    #[schema(schema_with = source_schema)]
    pub from: &'static str,
    /// Which grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

fn source_schema() -> Object {
    choice(&["grant", "debt", "receivable"])
}

impl StandingView {
    /// As it is kept.
    pub fn new(standing: &Standing, given: &Given) -> StandingView {
        let priced = standing.priced.as_ref();
        StandingView {
            status: match standing.status {
                StandingStatus::Charged => "charged",
                StandingStatus::Unpriced(_) => "unpriced",
                StandingStatus::Voided => "voided",
            },
            r#type: standing.event.event_type.to_string(),
            time: Time(standing.time),
            measures: shown(&standing.event.measures),
            attributes: (&standing.event.attributes).into(),
            charges: LineView::list(&standing.lines),
            taken: standing.slices.iter().map(TakenView::new).collect(),
            given_back: GivenBackView::of_it(given),
            gave_back: GivenBackView::by_it(given),
            revision: priced.map(|by| by.revision.into()),
            subscription: priced.map(|by| by.subscription.to_string()),
            period: priced.map(|by| by.period.into()),
        }
    }
}

/// The measures of an event, as they are shown.
pub(crate) fn shown(measures: &event::Measures) -> BTreeMap<String, Amount> {
    measures
        .iter()
        .map(|(name, n)| (name.to_string(), Amount(*n)))
        .collect()
}

impl TakenView {
    /// As it is kept.
    pub fn new(slice: &TakenSlice) -> TakenView {
        let (from, grant) = match &slice.from {
            SliceSource::Grant(grant) => ("grant", Some(grant.to_string())),
            SliceSource::Debt => ("debt", None),
            SliceSource::Receivable => ("receivable", None),
        };
        TakenView {
            code: slice.code.to_string(),
            asset: slice.asset.clone(),
            amount: Amount(slice.amount),
            from,
            grant,
        }
    }
}
