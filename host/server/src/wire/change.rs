//! The change feed in JSON.

use farebox_engine::projection::{Change, FeedCursor, Revised, Subscribed, What};
use farebox_money::{Asset, Nanos};
use farebox_record::ids::TenantId;
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::DenialReason;
use farebox_record::plan::{Category, EventRef};
use farebox_record::spending::CrossedThreshold;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::routes::events::unpriced;
use crate::wire::amount::AssetAmount;
use crate::wire::balance::LineView;
use crate::wire::event::RevisionView;
use crate::wire::time::{PeriodView, Time};

/// Something that happened to one of the tenant's wallets, or to one of its plans.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change, example = json!({
    "cursor": "YzE2Nzc3MjE3OjA", "tenant": "default", "customer": "acme", "sequence": 7, "at": "2026-11-23T09:30:00Z",
    "kind": "denied", "data": {"event": {"source": "api", "id": "call-7"}, "event_type": "llm.call",
        "reason": "insufficient_funds", "asset": "usd", "required": "0.0366", "available": "0.01"}
}))]
pub struct ChangeView {
    /// Its place in the feed: what to give as `after` (or `Last-Event-ID`) to read on behind it.
    pub cursor: String,
    /// Whose feed.
    pub tenant: String,
    /// Whose wallet; none for what happened to plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Its record's place in the wallet's history, or in that of the tenant's plans and keys.
    pub sequence: u64,
    /// When it happened.
    pub at: Time,
    /// What happened. Stable; a new version only adds to them, so a program passes over those that it does not know.
    ///
    /// | kind | data |
    /// |---|---|
    /// | `denied` | `event`, `event_type`, `reason`, `message`; `asset`, `required`, `available` where it is about value |
    /// | `subscription_started`, `subscription_renewed` | `subscription`, `plan`, `period`, `seats` |
    /// | `grant_received` | `grant`, `asset`, `amount`, `category`, `effective_at`, `expires_at`, `subscription` |
    /// | `grant_expired` | `grant`, `asset`, `breakage`: what was free of it and is gone |
    /// | `breakage_posted` | `grant`, `asset`, `amount`: what a hold had kept of an expired grant, and gave back |
    /// | `hold_expired` | `event`, `returned` |
    /// | `debt_incurred`, `debt_paid`, `debt_cancelled` | `asset`, `amount` |
    /// | `usage_unpriced` | `event`, `event_type`, `reason`, `message` |
    /// | `usage_rated` | `event`, `event_type`, `charges` |
    /// | `revision_activated`, `revision_rolled_back` | `plan`, `revision`, `effective_at` |
    /// | `revision_quarantined` | `plan`, `revision`, `message` |
    /// | `threshold_crossed` | `limit`, `level`, `asset`, `amount`, `at_usage`, `used`, `window_start`, `window_end` |
    /// | `subscription_changed` | as `subscription_started`, `status` (`active`, `paused`, `cancelled`), `effective_at` |
    /// | `transition_unanswered` | `subscription`, `due_at`, `reason`, `message`: waits for its plan |
    /// | `transition_answered` | `subscription`, `due_at`, `charges`: its plan answered late |
    /// | `corrected` | `event`, `reversed`, `charges`: a refund, a void or an amendment |
    /// | `repriced` | `event`, `behind`, `reversed`, `charged`, `charges`: it costs something else behind `behind` |
    ///
    /// The `reason` of a denial is `insufficient_funds`, `debt`, `no_subscription`, `unpriceable`, `limit_exceeded` or
    /// `subscription_paused`.
    #[schema(value_type = String, example = "denied")]
    pub kind: &'static str,
    /// What goes with the kind. Amounts are decimal strings.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// A piece of the change feed, in commit order: what happened to one wallet comes in the order in which it happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangePage)]
pub struct ChangePage {
    /// What happened.
    pub changes: Vec<ChangeView>,
    /// What to give as `after` next time, also where nothing happened.
    pub next: String,
    /// Whether there is more behind `next` already, or may be. A page that a filter leaves short says so here.
    pub more: bool,
}

impl ChangeView {
    /// An item of a tenant's feed.
    pub fn new(tenant: &TenantId, cursor: FeedCursor, change: &Change) -> ChangeView {
        ChangeView {
            cursor: crate::cursor::feed(cursor),
            tenant: tenant.to_string(),
            customer: change.customer.as_ref().map(ToString::to_string),
            sequence: change.sequence,
            at: Time(change.at),
            kind: change.what.kind().as_str(),
            data: data(&change.what),
        }
    }
}

fn data(what: &What) -> Value {
    match what {
        What::Denied {
            event,
            event_type,
            reason,
            asset,
            required,
            available,
        } => {
            let (code, message) = denial(reason);
            let mut data = members(json!({"event": event_view(event), "reason": code}));
            insert(
                &mut data,
                "event_type",
                event_type.as_ref().map(ToString::to_string),
            );
            insert(&mut data, "message", message);
            if let Some(asset) = asset {
                data.insert("asset".into(), asset.as_str().into());
                data.insert("required".into(), required.to_string().into());
                data.insert("available".into(), available.to_string().into());
            }
            data.into()
        }
        What::SubscriptionStarted(subscribed) | What::SubscriptionRenewed(subscribed) => {
            subscription(subscribed)
        }
        What::GrantReceived {
            grant,
            asset,
            amount,
            category,
            effective,
            expires,
            subscription,
        } => {
            let mut data = value_of(grant.as_str(), asset, *amount);
            data.insert("category".into(), category_name(*category).into());
            data.insert("effective_at".into(), effective.to_string().into());
            insert(&mut data, "expires_at", expires.map(|at| at.to_string()));
            insert(
                &mut data,
                "subscription",
                subscription.as_ref().map(ToString::to_string),
            );
            data.into()
        }
        What::GrantExpired {
            grant,
            asset,
            breakage,
        } => {
            let mut data = members(json!({"grant": grant.as_str(), "breakage": breakage.to_string()}));
            insert(&mut data, "asset", asset.as_ref().map(ToString::to_string));
            data.into()
        }
        What::BreakagePosted { grant, asset, amount } => value_of(grant.as_str(), asset, *amount).into(),
        What::HoldExpired { event, returned } => {
            json!({"event": event_view(event), "returned": AssetAmount::list(returned)})
        }
        What::DebtIncurred { asset, amount }
        | What::DebtPaid { asset, amount }
        | What::DebtCancelled { asset, amount } => {
            json!({"asset": asset.as_str(), "amount": amount.to_string()})
        }
        What::UsageUnpriced {
            event,
            event_type,
            reason,
        } => {
            let (code, message) = unpriced(reason);
            json!({"event": event_view(event), "event_type": event_type.as_str(), "reason": code.as_str(),
                "message": message})
        }
        What::UsageRated {
            event,
            event_type,
            charges,
        } => {
            let charges = LineView::list(charges);
            json!({"event": event_view(event), "event_type": event_type.as_str(), "charges": charges})
        }
        What::RevisionActivated(revised) | What::RevisionRolledBack(revised) => revision(revised),
        What::RevisionQuarantined {
            plan,
            revision,
            reason,
        } => {
            json!({"plan": plan.as_str(), "revision": RevisionView::from(*revision), "message": reason})
        }
        What::ThresholdCrossed(crossed) => threshold(crossed),
        What::SubscriptionChanged(changed) => {
            let mut data = members(subscription(&changed.now));
            data.insert("status".into(), status(changed.status).into());
            data.insert("effective_at".into(), changed.effective.to_string().into());
            data.into()
        }
        What::TransitionUnanswered {
            subscription,
            due,
            reason,
        } => {
            let (code, message) = unpriced(reason);
            json!({"subscription": subscription.as_str(), "due_at": due.to_string(), "reason": code.as_str(),
                "message": message})
        }
        What::TransitionAnswered {
            subscription,
            due,
            charges,
        } => {
            let charges = LineView::list(charges);
            json!({"subscription": subscription.as_str(), "due_at": due.to_string(), "charges": charges})
        }
        What::Corrected {
            event,
            reversed,
            charges,
        } => {
            let mut data = members(json!({
                "reversed": AssetAmount::list(reversed),
                "charges": LineView::list(charges),
            }));
            if let Some(event) = event {
                data.insert("event".into(), event_view(event));
            }
            data.into()
        }
        What::Repriced { behind, repriced } => json!({
            "event": event_view(&repriced.event),
            "behind": event_view(behind),
            "reversed": AssetAmount::list(&repriced.reversed),
            "charged": AssetAmount::list(&repriced.charged),
            "charges": LineView::list(&repriced.charges),
        }),
    }
}

fn denial(reason: &DenialReason) -> (&'static str, Option<String>) {
    match reason {
        DenialReason::InsufficientFunds => ("insufficient_funds", None),
        DenialReason::Debt => ("debt", None),
        DenialReason::NoSubscription => ("no_subscription", None),
        DenialReason::Unpriceable(rejection) => ("unpriceable", Some(rejection.to_string())),
        DenialReason::Paused => ("subscription_paused", None),
        DenialReason::Limit(why) => {
            let message = format!("limit {} at {}", why.limit, why.level);
            ("limit_exceeded", Some(message))
        }
    }
}

fn event_view(event: &EventRef) -> Value {
    json!({"source": event.source.as_str(), "id": event.id.as_str()})
}

fn threshold(crossed: &CrossedThreshold) -> Value {
    let mut data = members(json!({
        "limit": crossed.limit.as_str(),
        "level": crossed.level,
        "asset": crossed.asset.as_str(),
        "amount": crossed.amount.to_string(),
        "at_usage": crossed.at_usage.to_string(),
        "used": crossed.used.to_string(),
        "window_start": crossed.window_start.to_string(),
    }));
    insert(
        &mut data,
        "window_end",
        crossed.window_end.map(|at| at.to_string()),
    );
    data.into()
}

/// Whether a subscription runs, as programs see it.
pub(crate) fn status(status: SubscriptionStatus) -> &'static str {
    match status {
        SubscriptionStatus::Active => "active",
        SubscriptionStatus::Paused(_) => "paused",
        SubscriptionStatus::Cancelled(_) => "cancelled",
    }
}

fn subscription(subscribed: &Subscribed) -> Value {
    json!({
        "subscription": subscribed.subscription.as_str(),
        "plan": subscribed.plan.as_str(),
        "period": PeriodView::from(subscribed.period),
        "seats": subscribed.seats,
    })
}

fn revision(revised: &Revised) -> Value {
    json!({
        "plan": revised.plan.as_str(),
        "revision": RevisionView::from(revised.revision),
        "effective_at": revised.effective.to_string(),
    })
}

fn value_of(grant: &str, asset: &Asset, amount: Nanos) -> Map<String, Value> {
    members(json!({"grant": grant, "asset": asset.as_str(), "amount": amount.to_string()}))
}

fn category_name(category: Category) -> &'static str {
    match category {
        Category::Paid => "paid",
        Category::Promotional => "promotional",
        Category::Included => "included",
    }
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn insert(members: &mut Map<String, Value>, name: &str, value: Option<String>) {
    if let Some(value) = value {
        members.insert(name.into(), value.into());
    }
}
