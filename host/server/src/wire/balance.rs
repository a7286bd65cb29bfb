//! What a wallet holds.

use farebox_ledger::Wallet;
use farebox_money::Asset;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::outcome::{AssetBalance, Line};
use farebox_record::plan::ChargeCode;
use farebox_record::state::{GrantPhase, GrantState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::account::{AppliesToBody, EachBody, category_schema};
use crate::wire::amount::Amount;
use crate::wire::time::Time;

/// A wallet's value in one asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Balance)]
pub struct BalanceView {
    /// Which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// What is free.
    pub available: Amount,
    /// What holds have set aside.
    pub held: Amount,
    /// What the customer owes for usage that the wallet could not cover; zero or more.
    pub debt: Amount,
    /// What the customer owes for fees; zero or more.
    pub receivable: Amount,
}

impl BalanceView {
    /// Every asset.
    pub fn list(balances: &[AssetBalance]) -> Vec<BalanceView> {
        let one = |b: &AssetBalance| BalanceView {
            asset: b.asset.clone(),
            available: Amount(b.available),
            held: Amount(b.held),
            debt: Amount(b.debt),
            receivable: Amount(b.receivable),
        };
        balances.iter().map(one).collect()
    }
}

/// A charge.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Charge)]
pub struct LineView {
    /// The plan's code for it.
    #[schema(value_type = String, example = "input-tokens")]
    pub code: ChargeCode,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much.
    pub amount: Amount,
    /// Of how much it is the price, in the unit of its code.
    pub quantity: Amount,
}

impl LineView {
    /// Every charge, in the plan's order.
    pub fn list(lines: &[Line]) -> Vec<LineView> {
        LineView::list_of(lines.to_vec())
    }

    /// The same, of charges that nobody else needs.
    pub fn list_of(lines: Vec<Line>) -> Vec<LineView> {
        let one = |line: Line| LineView {
            code: line.code,
            asset: line.asset,
            amount: Amount(line.amount),
            quantity: Amount(line.quantity),
        };
        lines.into_iter().map(one).collect()
    }
}

/// A block of one asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Grant)]
pub struct GrantView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: GrantId,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much it was.
    pub amount: Amount,
    /// What is free.
    pub available: Amount,
    /// What open holds have pinned.
    pub held: Amount,
    /// What kind of value it is.
    #[schema(schema_with = category_schema)]
    pub category: farebox_record::plan::Category,
    /// Low burns first.
    pub priority: i32,
    /// From when it is good.
    pub effective_at: Time,
    /// Until when; not there: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// What it may pay for; not there: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applies_to: Option<AppliesToBody>,
    /// It pays for nothing itself: each value of an attribute has a portion of it, a grant of its own from the first event on
    /// that needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<EachBody>,
    /// It is a portion of this grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub portion_of: Option<GrantId>,
    /// What a person reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The subscription that gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub subscription: Option<SubscriptionId>,
    /// `waiting` until it is good, then `active`; `expired` while only holds that pinned it may still use it.
    #[schema(example = "active")]
    pub state: &'static str,
}

impl GrantView {
    fn new(id: &GrantId, grant: &GrantState) -> GrantView {
        GrantView {
            id: id.clone(),
            asset: grant.asset.clone(),
            amount: Amount(grant.amount),
            available: Amount(grant.available),
            held: Amount(grant.held),
            category: grant.category,
            priority: grant.priority,
            effective_at: Time(grant.effective),
            expires_at: grant.expires.map(Time),
            applies_to: AppliesToBody::shown(&grant.applies_to),
            each: grant.portions.as_deref().map(EachBody::shown),
            portion_of: grant.portion_of.clone(),
            label: grant.label.clone(),
            subscription: grant.subscription.clone(),
            state: match grant.phase {
                GrantPhase::Waiting => "waiting",
                GrantPhase::Active => "active",
                GrantPhase::Expired => "expired",
            },
        }
    }
}

/// A wallet: per asset, and grant by grant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
pub struct WalletView {
    /// Whose.
    pub customer: String,
    /// Per asset.
    pub balance: Vec<BalanceView>,
    /// Grants that are not used up.
    pub grants: Vec<GrantView>,
    /// How many holds are open.
    pub open_holds: usize,
    /// How many events wait for a price.
    pub unpriced_events: u64,
    /// How many records the wallet has: the version of what is shown.
    pub sequence: u64,
}

impl WalletView {
    /// The wallet as it is.
    pub fn new(customer: &str, wallet: &Wallet) -> WalletView {
        WalletView {
            customer: customer.to_string(),
            balance: BalanceView::list(&wallet.balances()),
            grants: wallet
                .grants()
                .map(|(id, grant)| GrantView::new(id, grant))
                .collect(),
            open_holds: wallet.holds().filter(|(_, hold)| hold.expired.is_none()).count(),
            unpriced_events: wallet.header().unpriced,
            sequence: wallet.header().sequence,
        }
    }
}
