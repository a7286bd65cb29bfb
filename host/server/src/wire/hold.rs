//! Holds after they were opened.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::command::{AboveHold, Extend, Finality, Settle};
use farebox_record::ids::{CallId, CustomerId};
use farebox_record::outcome::Settled;
use farebox_record::plan::EventRef;
use farebox_record::state::HoldState;
use farebox_record::time::Span;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::handle::HoldHandle;
use crate::problem::Problem;
use crate::wire::account::choice;
use crate::wire::amount::{Amount, AssetAmount};
use crate::wire::balance::{BalanceView, LineView};
use crate::wire::event::RevisionView;
use crate::wire::measures::{Attributes, Measures};
use crate::wire::time::Time;
use crate::wire::usage::{OpenAiUsage, measures_of};

/// What a held call used so far.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Settle, example = json!({"id": "settle-1", "measures": {"input_tokens": 1200, "output_tokens": 350}}))]
pub struct SettleBody {
    /// The settlement's own id.
    #[schema(value_type = String, example = "settle-1")]
    id: CallId,
    /// Usage so far, all of it: cumulative.
    measures: Option<Measures>,
    /// Usage so far, as OpenAI's API reported it.
    usage: Option<OpenAiUsage>,
    /// Attributes that were not known before; they replace those of the authorize.
    attributes: Option<Attributes>,
    /// `false`: more will come, and the rest stays held. `true` unless told.
    #[serde(default = "yes", rename = "final")]
    last: bool,
    /// What happens to a price above the hold: it is refused; what the wallet has is charged and the rest let go; or it is
    /// charged, and what the wallet cannot cover becomes debt. As the subscription says unless told, and `allow_debt` where
    /// that says nothing.
    #[schema(schema_with = above_hold_schema)]
    above_hold: Option<AboveHoldBody>,
}

fn yes() -> bool {
    true
}

/// What happens to a price above a hold, as a caller says it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AboveHoldBody {
    Deny,
    ChargeAvailable,
    AllowDebt,
}

impl From<AboveHoldBody> for AboveHold {
    fn from(body: AboveHoldBody) -> AboveHold {
        match body {
            AboveHoldBody::Deny => AboveHold::Deny,
            AboveHoldBody::ChargeAvailable => AboveHold::ChargeAvailable,
            AboveHoldBody::AllowDebt => AboveHold::AllowDebt,
        }
    }
}

pub(crate) fn above_hold_schema() -> Object {
    choice(&["deny", "charge_available", "allow_debt"])
}

impl SettleBody {
    /// As the ledger knows it.
    pub fn command(self, hold: EventRef) -> Result<Settle, Problem> {
        if self.measures.is_none() && self.usage.is_none() {
            let detail = "say what was used: 0 of each measure if it was nothing, or release the hold";
            return Err(Problem::field("/measures", detail));
        }
        Ok(Settle {
            hold,
            id: self.id,
            measures: measures_of("", self.measures, self.usage.as_ref())?,
            attributes: self.attributes.unwrap_or_default().0,
            finality: if self.last {
                Finality::Final
            } else {
                Finality::Partial
            },
            above: self.above_hold.map_or(AboveHold::AsSubscribed, AboveHold::from),
        })
    }
}

/// More time, or more room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Extend, example = json!({"id": "extend-1", "ttl_seconds": 600}))]
pub struct ExtendBody {
    /// The extension's own id.
    #[schema(value_type = String, example = "extend-1")]
    id: CallId,
    /// How long from now, 1 to 86400. An expiry that is later already stays.
    #[schema(minimum = 1, maximum = 86400)]
    ttl_seconds: u32,
    /// New maximums, all of them; not there: as they were.
    measures: Option<Measures>,
}

impl ExtendBody {
    /// As the ledger knows it.
    pub fn command(self, hold: EventRef) -> Extend {
        Extend {
            hold,
            id: self.id,
            ttl: Span::seconds(self.ttl_seconds),
            measures: self.measures.unwrap_or_default().0,
        }
    }
}

/// A release; the body may be left away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = Release)]
pub struct ReleaseBody {
    /// The release's own id; not there: the `Idempotency-Key` header, or `release`.
    #[schema(value_type = Option<String>)]
    pub id: Option<CallId>,
}

/// A hold that was settled, wholly or in part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settled)]
pub struct SettledView {
    /// The hold.
    pub hold: String,
    /// `settled`, or `pending` while more will come.
    #[schema(example = "settled")]
    pub state: &'static str,
    /// What the call costs so far, as a whole.
    pub charges: Vec<LineView>,
    /// What this settlement took.
    pub posted: Vec<AssetAmount>,
    /// What went back to the wallet.
    pub returned: Vec<AssetAmount>,
    /// What stays held.
    pub held: Vec<AssetAmount>,
    /// What became debt.
    pub debt: Vec<AssetAmount>,
    /// What was let go.
    pub waived: Vec<AssetAmount>,
    /// Whether it came after the hold's expiry, within its grace.
    pub late: bool,
    /// Which revision.
    pub revision: RevisionView,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl SettledView {
    /// As it was answered.
    pub fn new(hold: &HoldHandle, settled: &Settled, replayed: bool) -> SettledView {
        SettledView {
            hold: hold.to_string(),
            state: if settled.ended { "settled" } else { "pending" },
            charges: LineView::list(&settled.charges),
            posted: AssetAmount::list(&settled.posted),
            returned: AssetAmount::list(&settled.returned),
            held: AssetAmount::list(&settled.held),
            debt: AssetAmount::list(&settled.debt),
            waived: AssetAmount::list(&settled.waived),
            late: settled.late,
            revision: settled.revision.into(),
            balance: BalanceView::list(&settled.balances),
            replayed,
        }
    }
}

/// A hold that was extended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Extended)]
pub struct ExtendedView {
    /// The hold.
    pub hold: String,
    /// What it holds now.
    pub held: Vec<AssetAmount>,
    /// Until when.
    pub expires_at: Time,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// A hold that was given back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Released)]
pub struct ReleasedView {
    /// The hold.
    pub hold: String,
    /// `released`.
    #[schema(example = "released")]
    pub state: &'static str,
    /// What went back to the wallet.
    pub returned: Vec<AssetAmount>,
    /// Afterwards.
    pub balance: Vec<BalanceView>,
    /// Whether an earlier request under this id got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

/// A hold as it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hold)]
pub struct HoldView {
    /// The hold.
    pub id: String,
    /// Whose.
    #[schema(value_type = String)]
    pub customer: CustomerId,
    /// Where the event comes from.
    pub source: String,
    /// The event's id.
    pub event: String,
    /// `pending`, `settled`, `released` or `expired`.
    #[schema(example = "pending")]
    pub state: &'static str,
    /// More about it while the wallet keeps it: until it ends, or until the grace after its expiry is over.
    #[serde(flatten)]
    #[schema(value_type = HoldDetails)]
    pub details: Option<HoldDetails>,
}

/// What a wallet keeps of a hold.
#[derive(Debug, Serialize, ToSchema)]
pub struct HoldDetails {
    /// When it was opened.
    #[schema(required = false)]
    pub opened_at: Time,
    /// The instant from which on it can no longer be settled.
    #[schema(required = false)]
    pub expires_at: Time,
    /// The worst case, per asset.
    #[schema(required = false)]
    pub quoted: Vec<AssetAmount>,
    /// What is set aside now, per asset.
    #[schema(required = false)]
    pub held: Vec<AssetAmount>,
    /// What settlements took so far, per asset.
    #[schema(required = false)]
    pub taken: Vec<AssetAmount>,
    /// The revision that quoted.
    #[schema(required = false)]
    pub revision: RevisionView,
    /// Whose state it was quoted with.
    #[schema(required = false)]
    pub subscription: String,
}

impl HoldDetails {
    /// As the wallet keeps it.
    pub fn new(hold: &HoldState) -> HoldDetails {
        let pinned = hold.pins.iter().map(|pin| (&pin.asset, pin.amount));
        let credit = hold.overdraft.iter().map(|(asset, amount)| (asset, *amount));
        HoldDetails {
            opened_at: Time(hold.opened),
            expires_at: Time(hold.expires),
            quoted: AssetAmount::list(&hold.quoted),
            held: per_asset(pinned.chain(credit)),
            taken: per_asset(hold.taken.iter().map(|slice| (&slice.asset, slice.amount))),
            revision: hold.revision.into(),
            subscription: hold.subscription.to_string(),
        }
    }
}

fn per_asset<'a>(amounts: impl Iterator<Item = (&'a Asset, Nanos)>) -> Vec<AssetAmount> {
    let mut sums: BTreeMap<&Asset, Nanos> = BTreeMap::new();
    for (asset, amount) in amounts {
        let sum = sums.entry(asset).or_default();
        *sum = sum.checked_add(amount).unwrap_or(*sum); // a wallet's amounts stay far inside 128 bits
    }
    sums.into_iter()
        .map(|(asset, amount)| AssetAmount {
            asset: asset.clone(),
            amount: Amount(amount),
        })
        .collect()
}
