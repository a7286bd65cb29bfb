//! What can go wrong with the engine as a whole, and with its control plane.

use farebox_record::control::BackfillStage;
use farebox_record::time::Timestamp;
use farebox_store::StoreError;

use crate::request::Rejected;

/// Why the engine cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The runtime.
    #[error(transparent)]
    Runtime(#[from] farebox_runtime::RuntimeError),
    /// What the store holds cannot be used.
    #[error("the stored state cannot be used: {0}")]
    State(String),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Usage by an attribute that names one thing of many is found in the records, and there are too many of them.
    #[error(
        "too many records since {since} to find usage by an identifier in them (limit USAGE_FOUND_RECORDS_MAX)"
    )]
    TooMuchUsage {
        /// The beginning of the range.
        since: Timestamp,
    },
}

impl EngineError {
    /// Where what was asked for is in an archive that is not at hand: no archived record of the tenant is newer than this.
    pub fn archived(&self) -> Option<Timestamp> {
        match self {
            EngineError::Store(StoreError::Archived { newest, .. }) => Some(Timestamp::from_micros(*newest)),
            _ => None,
        }
    }
}

/// Why a change of the control plane was not made.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The component, or the parameters.
    #[error("{0}")]
    Refused(Box<farebox_runtime::Refused>),
    /// No such plan.
    #[error("there is no plan named {0}; push a component first")]
    UnknownPlan(String),
    /// No such component.
    #[error("component {0} is not known under this plan; push it first")]
    UnknownComponent(String),
    /// No such key.
    #[error("there is no key named {0}")]
    UnknownKey(String),
    /// A key's name is taken for good, so that a history of keys stays readable.
    #[error("a key named {0} exists already; choose another name")]
    KeyExists(String),
    /// The plan has only ever had one revision.
    #[error("there is no earlier revision to go back to")]
    NothingToRollBack,
    /// Effective times are for what comes, not for what was.
    #[error("effective_at must not be in the past: what was priced stays priced")]
    EffectiveInThePast,
    /// A revision that is on the timeline from a later instant on keeps its states in an earlier version, or one from an earlier
    /// instant on in a later one.
    #[error(
        "its plan keeps states in version {new}, and the revision from {effective} on in version {other}: versions only go up \
         with time; give the plan another name, or keep to that version"
    )]
    VersionOrder {
        /// Of the revision.
        new: u32,
        /// From when on the other one is in force.
        effective: Timestamp,
        /// Of that one.
        other: u32,
    },
    /// The revision does not read a state that there is.
    #[error("customer {}, subscription {}: {}: {}", .0.customer, .0.subscription, .0.of, .0.why)]
    StateVersion(Box<Unreadable>),
    /// More than a named limit.
    #[error("plan {plan} would have more than {max} {what} (limit {limit}); use another plan name")]
    Limit {
        /// Which plan.
        plan: String,
        /// Of what.
        what: &'static str,
        /// Name of the limit.
        limit: &'static str,
        /// How many it may have.
        max: usize,
    },
    /// No such tenant.
    #[error("there is no tenant named {0}")]
    UnknownTenant(String),
    /// The name is taken by a tenant that was not made by such a request.
    #[error("a tenant named {0} exists already; choose another name")]
    TenantExists(String),
    /// More tenants than one Farebox may have.
    #[error("there are {max} tenants already (limit TENANTS_MAX)")]
    TooManyTenants {
        /// How many there may be.
        max: usize,
    },
    /// Another request was made under this id.
    #[error("another request was made under this id: `{field}` differs")]
    Conflict {
        /// The first field that differs.
        field: &'static str,
    },
    /// The time of a live tenant is the machine's.
    #[error("tenant {0} is live: its time is the machine's and cannot be advanced")]
    LiveTenant(String),
    /// A sandbox's clock cannot stand there.
    #[error("{problem}")]
    Clock {
        /// Which field of the request says so.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// Name of the limit, where one was exceeded.
        limit: Option<&'static str>,
    },
    /// One advance of a sandbox at a time.
    #[error("the clock of tenant {0} is being advanced by another request")]
    Advancing(String),
    /// No such backfill.
    #[error("there is no backfill named {0}; make it with POST /v1/backfills")]
    UnknownBackfill(String),
    /// No events, or more than a backfill may have.
    #[error("{events} events; a backfill has at least 1 and at most {max} (limit BACKFILL_EVENTS_MAX)")]
    BackfillSize {
        /// How many there were.
        events: usize,
        /// How many there may be.
        max: usize,
    },
    /// It is past that, or not there yet.
    #[error("backfill {id} is {}: only a draft is committed, and only what is committed is reverted", stage.as_str())]
    BackfillStage {
        /// Which.
        id: String,
        /// Where it stands.
        stage: BackfillStage,
    },
    /// One request at a time moves a backfill.
    #[error("backfill {0} is being carried out by another request")]
    Backfilling(String),
    /// More backfills than a tenant may have.
    #[error("there are {max} backfills already (limit BACKFILLS_PER_TENANT_MAX)")]
    TooManyBackfills {
        /// How many there may be.
        max: usize,
    },
    /// It cannot be carried out as it is.
    #[error("{0}")]
    Backfill(String),
    /// The engine has stopped.
    #[error("the store has stopped; restart the server")]
    Stopped,
    /// The disk has less room than is kept free for what was taken in.
    #[error("{0}")]
    DiskNearlyFull(crate::request::Rejected),
    /// Other processes kept changing the same control plane.
    #[error("the control plane kept changing; try again")]
    Contended,
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ControlError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ControlError::Refused(refused) => refused.code(),
            ControlError::UnknownPlan(_) => "unknown_plan",
            ControlError::UnknownComponent(_) => "unknown_component",
            ControlError::UnknownKey(_) => "unknown_key",
            ControlError::KeyExists(_) => "key_exists",
            ControlError::NothingToRollBack => "nothing_to_roll_back",
            ControlError::EffectiveInThePast => "effective_in_the_past",
            ControlError::StateVersion(_) | ControlError::VersionOrder { .. } => "state_version",
            ControlError::Limit { .. } => "limit",
            ControlError::UnknownTenant(_) => "unknown_tenant",
            ControlError::TenantExists(_) => "tenant_exists",
            ControlError::TooManyTenants { .. } => "limit",
            ControlError::Conflict { .. } => "conflict",
            ControlError::LiveTenant(_) => "live_tenant",
            ControlError::Clock { .. } => "clock",
            ControlError::Advancing(_) => "advancing",
            ControlError::UnknownBackfill(_) => "unknown_backfill",
            ControlError::BackfillSize { .. } | ControlError::TooManyBackfills { .. } => "limit",
            ControlError::BackfillStage { .. } => "backfill_stage",
            ControlError::Backfilling(_) => "backfilling",
            ControlError::Backfill(_) => "backfill",
            ControlError::Stopped => "stopped",
            ControlError::DiskNearlyFull(_) => "disk_nearly_full",
            ControlError::Contended => "contended",
            ControlError::Engine(_) => "internal",
        }
    }
}

impl From<Rejected> for ControlError {
    fn from(rejected: Rejected) -> ControlError {
        match rejected {
            Rejected::Stopped => ControlError::Stopped,
            full @ Rejected::DiskNearlyFull { .. } => ControlError::DiskNearlyFull(full),
            other @ (Rejected::Busy | Rejected::TenantBusy | Rejected::TooMany { .. }) => {
                ControlError::Engine(EngineError::State(other.to_string()))
            }
        }
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> ControlError {
        match error {
            StoreError::Stopped { .. } => ControlError::Stopped,
            StoreError::DiskNearlyFull {
                free_bytes,
                free_bytes_min,
                ..
            } => ControlError::DiskNearlyFull(crate::request::Rejected::DiskNearlyFull {
                free_bytes,
                free_bytes_min,
            }),
            other => ControlError::Engine(other.into()),
        }
    }
}

/// A state that a revision cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Whose.
    pub customer: String,
    /// Of which subscription.
    pub subscription: String,
    /// Of what there: the subscription itself, a closed term, a subject.
    pub of: String,
    /// What the plan says.
    pub why: String,
}
