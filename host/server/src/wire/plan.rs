//! Plans, their timelines, and API keys.

use farebox_engine::{Activated, ControlDone};
use farebox_record::control::{Activation, ComponentState, KeyState, OpenHolds, PlanState, Role};
use farebox_record::ids::{CallId, Hash, PlanName, RevisionHash};
use farebox_record::plan::{Description, Order};
use farebox_record::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::wire::account::choice;
use crate::wire::event::RevisionView;
use crate::wire::time::Time;

/// A revision to put on a plan's timeline.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostRevision)]
pub struct RevisionBody {
    /// Hash of a component that was pushed under this plan.
    #[schema(value_type = String)]
    pub component: HashText,
    /// What the component's `parameters_schema` describes. Spaces between its parts do not matter.
    #[schema(value_type = Object)]
    pub parameters: Box<RawValue>,
    /// From which event time on; not there: now. Never in the past.
    pub effective_at: Option<Time>,
    /// What happens to running subscriptions. Only `now` is supported: the revision prices their next event.
    #[schema(schema_with = migrate_schema)]
    pub migrate: Option<String>,
    /// Which revision settles holds that an earlier one quoted: that one (`quoted`), or the new one (`new`). `quoted` unless
    /// told.
    #[serde(default)]
    #[schema(schema_with = open_holds_schema)]
    pub open_holds: OpenHolds,
}

fn migrate_schema() -> Object {
    choice(&["now"])
}

fn open_holds_schema() -> Object {
    choice(&["quoted", "new"])
}

pub(crate) fn role_schema() -> Object {
    choice(&["operator", "admin", "billing", "ingest", "authorize", "read"])
}

/// 64 hexadecimal digits.
#[derive(Debug, Clone, Copy)]
pub struct HashText(pub Hash);

impl<'de> Deserialize<'de> for HashText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HashText, D::Error> {
        let text = String::deserialize(deserializer)?;
        let refuse = || serde::de::Error::custom("expected a hash of 64 hexadecimal digits");
        Hash::from_hex(&text).map(HashText).ok_or_else(refuse)
    }
}

/// A component that is known under a plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Component)]
pub struct ComponentView {
    /// Hash of its bytes.
    pub component: String,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When it was pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Time>,
    /// Whether this call made it known; only in the answer to a push.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
    /// What it says of itself; not in lists of plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<DescriptionView>,
}

impl ComponentView {
    /// As it was just pushed.
    pub fn pushed(hash: Hash, done: &ControlDone, description: &Description) -> ComponentView {
        ComponentView {
            component: hash.to_string(),
            bytes: None,
            added_at: None,
            created: Some(*done == ControlDone::Changed),
            description: Some(DescriptionView::new(description)),
        }
    }

    fn known(hash: Hash, state: Option<&ComponentState>, detail: Detail) -> ComponentView {
        ComponentView {
            component: hash.to_string(),
            bytes: state.map(|state| state.bytes),
            added_at: state.map(|state| Time(state.added)),
            created: None,
            description: match detail {
                Detail::Full => state.map(|state| DescriptionView::new(&state.description)),
                Detail::Short => None,
            },
        }
    }
}

/// What a plan is and what it reads.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanDescription)]
pub struct DescriptionView {
    /// Its own name.
    pub name: String,
    /// Its own version, for people.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// Assets that it charges in or grants.
    pub assets: Vec<Described>,
    /// Types of events that it rates.
    pub event_types: Vec<String>,
    /// Measures that it reads.
    pub measures: Vec<String>,
    /// Attributes that it reads.
    pub attributes: Vec<String>,
    /// Charges that it makes.
    pub charges: Vec<Described>,
    /// JSON Schema of its parameters.
    #[schema(value_type = Object)]
    pub parameters_schema: serde_json::Value,
    /// The attribute that names its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_attribute: Option<String>,
    /// Version of its state.
    pub state_version: u32,
    /// How a price depends on what came before: `independent`, `cumulative` or `sequential`.
    #[schema(schema_with = order_schema)]
    pub order: Order,
}

fn order_schema() -> Object {
    choice(&["independent", "cumulative", "sequential"])
}

/// Something that a plan names.
#[derive(Debug, Serialize, ToSchema)]
pub struct Described {
    /// Its name: an asset, or the code of a charge.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// What its quantity counts; for charges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl DescriptionView {
    fn new(description: &Description) -> DescriptionView {
        let Description {
            name,
            version,
            summary,
            measures,
            attributes,
            subject_attribute,
            ..
        } = description.clone();
        let schema = &description.parameters_schema;
        let assets = description.assets.iter();
        let charges = description.charges.iter();
        DescriptionView {
            name,
            version,
            summary,
            assets: assets
                .map(|a| Described {
                    name: a.asset.to_string(),
                    label: a.label.clone(),
                    unit: None,
                })
                .collect(),
            event_types: description.event_types.iter().map(ToString::to_string).collect(),
            measures,
            attributes,
            charges: charges
                .map(|c| Described {
                    name: c.code.clone(),
                    label: c.label.clone(),
                    unit: Some(c.unit.clone()),
                })
                .collect(),
            // Admission checked that it is JSON; a text that is not is shown as the text that it is.
            parameters_schema: serde_json::from_str(schema).unwrap_or_else(|_| schema.clone().into()),
            subject_attribute,
            state_version: description.state_version,
            order: description.order,
        }
    }
}

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy)]
pub enum Detail {
    /// Everything.
    Full,
    /// What fits a list.
    Short,
}

/// A plan: its components, and its revisions by effective time.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanView {
    /// Its name.
    #[schema(value_type = String)]
    pub plan: PlanName,
    /// The revision that prices what happens now; not there before the first one is effective.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_force: Option<ActivationView>,
    /// The parameters of that revision; not in lists of plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<serde_json::Value>,
    /// In order of addition.
    pub components: Vec<ComponentView>,
    /// In order of activation. An event is priced by the latest that is effective at its time; of those effective at one
    /// instant, by the last activated.
    pub timeline: Vec<ActivationView>,
}

impl PlanView {
    /// As it is at `now`. `component` tells what is known of a component.
    pub fn new<'a>(
        name: &PlanName,
        plan: &PlanState,
        now: Timestamp,
        detail: Detail,
        component: impl Fn(&Hash) -> Option<&'a ComponentState>,
    ) -> PlanView {
        let known = |hash: &Hash| ComponentView::known(*hash, component(hash), detail);
        PlanView {
            plan: name.clone(),
            in_force: plan.in_force(now).map(ActivationView::new),
            parameters: None,
            components: plan.components.iter().map(known).collect(),
            timeline: plan.timeline.iter().map(ActivationView::new).collect(),
        }
    }
}

/// A revision on a plan's timeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Activation)]
pub struct ActivationView {
    /// Which code with which parameters.
    pub revision: RevisionView,
    /// From which event time on.
    pub effective_at: Time,
    /// When it was put there.
    pub activated_at: Time,
    /// Which revision settles holds that were quoted before.
    #[schema(schema_with = open_holds_schema)]
    pub open_holds: OpenHolds,
    /// Whether the change put it there: `false` where it was in force anyway. Only in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<bool>,
    /// Whether an earlier call under the same key did it, and this is its answer. Only in the answer to such a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed: Option<bool>,
}

impl ActivationView {
    fn new(activation: &Activation) -> ActivationView {
        ActivationView {
            revision: activation.revision.into(),
            effective_at: Time(activation.effective),
            activated_at: Time(activation.activated),
            open_holds: activation.open_holds,
            created: None,
            replayed: None,
        }
    }

    /// As a call put it there.
    pub fn activated(activated: &Activated) -> ActivationView {
        ActivationView {
            created: Some(activated.done == ControlDone::Changed),
            replayed: Some(activated.replayed),
            ..ActivationView::new(&activated.activation)
        }
    }
}

/// Which revision is to be left.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rollback)]
pub struct RollbackBody {
    /// The revision that is in force, as a plan shows it. Where another one is by now, nothing changes.
    #[serde(default)]
    pub from: Option<RevisionText>,
}

/// A revision as a caller names it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RevisionName)]
pub struct RevisionText {
    /// Hash of the component.
    #[schema(value_type = String)]
    pub component: HashText,
    /// Hash of the parameters.
    #[schema(value_type = String)]
    pub parameters: HashText,
}

impl RevisionText {
    /// The revision.
    pub fn hash(&self) -> RevisionHash {
        RevisionHash {
            component: self.component.0,
            parameters: self.parameters.0,
        }
    }
}

/// A page of plans, in order of name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanPage)]
pub struct PlanPage {
    /// The plans, without descriptions and parameters.
    pub plans: Vec<PlanView>,
    /// Give it as `cursor` for what comes after; not there: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A new API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostKey, example = json!({"id": "gateway", "role": "authorize"}))]
pub struct KeyBody {
    /// Its name, for people and for revoking it; taken for good.
    #[schema(value_type = String, example = "gateway")]
    pub id: CallId,
    /// What it may do.
    #[schema(schema_with = role_schema)]
    pub role: Role,
}

/// An API key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Key)]
pub struct KeyView {
    /// Its name.
    #[schema(value_type = String)]
    pub id: CallId,
    /// The secret itself. In the answer that made it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "fbx_...")]
    pub key: Option<String>,
    /// What it may do.
    #[schema(schema_with = role_schema)]
    pub role: Role,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// When it was revoked; not there: it is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
}

impl KeyView {
    /// What is known of a key before it is looked up.
    pub fn named(id: &CallId, role: Role) -> KeyView {
        KeyView {
            id: id.clone(),
            key: None,
            role,
            created_at: None,
            revoked_at: None,
        }
    }

    /// As it is kept, without its secret.
    pub fn new(id: &CallId, key: &KeyState) -> KeyView {
        KeyView {
            id: id.clone(),
            key: None,
            role: key.role,
            created_at: Some(Time(key.created)),
            revoked_at: key.revoked.map(Time),
        }
    }
}

/// A page of API keys, in order of name, revoked ones included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeyPage)]
pub struct KeyPage {
    /// The keys, without their secrets.
    pub keys: Vec<KeyView>,
    /// Give it as `cursor` for what comes after; not there: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
