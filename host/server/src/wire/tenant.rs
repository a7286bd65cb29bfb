//! Tenants and their clocks.

use farebox_engine::{Advanced, ControlDone};
use farebox_record::control::{ClockStep, NewTenant, TenantState};
use farebox_record::ids::TenantId;
use farebox_record::time::{CalendarSpan, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::wire::plan::KeyView;
use crate::wire::time::Time;

/// A new tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostTenant, example = json!({"id": "acme-test", "kind": "sandbox", "clock": "2027-01-01T00:00:00Z"}))]
pub struct TenantBody {
    /// Made by the caller; taken for good.
    #[schema(value_type = String, example = "acme-test")]
    pub id: TenantId,
    /// What kind of tenant it is, for good.
    pub kind: TenantKindBody,
    /// `sandbox`: where its time begins, from 1970 to 2200; not there: now.
    pub clock: Option<Time>,
}

/// What kind of tenant it is: `live` - its time is the machine's; `sandbox` - its time stands still until it is advanced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = TenantKind)]
pub enum TenantKindBody {
    /// Its time is the machine's.
    Live,
    /// Its time stands still until it is advanced.
    Sandbox,
}

impl TenantBody {
    /// As the engine knows it.
    pub fn new_tenant(&self) -> Result<NewTenant, Problem> {
        match (self.kind, self.clock) {
            (TenantKindBody::Live, None) => Ok(NewTenant::Live),
            (TenantKindBody::Live, Some(_)) => {
                let detail = "only a sandbox has a clock of its own; leave `clock` away, or say `\"kind\": \"sandbox\"`";
                Err(Problem::field("/clock", detail))
            }
            (TenantKindBody::Sandbox, clock) => Ok(NewTenant::Sandbox {
                clock: clock.map(|time| time.0),
            }),
        }
    }
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    /// Its id.
    #[schema(value_type = String)]
    pub id: TenantId,
    /// What kind of tenant it is.
    pub kind: TenantKindBody,
    /// Now, by its clock.
    pub now: Time,
    /// When it was made, by its clock; not there for `default`, which exists from the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Time>,
    /// Its first key, an admin's, with its secret. In the answer that made the tenant, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_key: Option<KeyView>,
    /// Whether an earlier request made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl TenantView {
    /// As it is kept. One of which nothing was ever said (`default`) is live.
    pub fn new(
        id: &TenantId,
        state: Option<TenantState>,
        sandbox: Option<Timestamp>,
        now: Timestamp,
    ) -> TenantView {
        TenantView {
            id: id.clone(),
            kind: match sandbox {
                Some(_) => TenantKindBody::Sandbox,
                None => TenantKindBody::Live,
            },
            now: Time(now),
            created_at: state.map(|state| Time(state.created)),
            first_key: None,
            replayed: false,
        }
    }
}

/// A page of tenants, in order of id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantPage)]
pub struct TenantPage {
    /// The tenants.
    pub tenants: Vec<TenantView>,
    /// Give it as `cursor` for what comes after; not there: nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How far a sandbox's clock is to move: exactly one of the fields.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
#[schema(as = PostClock, example = json!({"advance": "P1M"}))]
pub struct ClockBody {
    /// By so many seconds.
    #[schema(example = 3600)]
    advance_seconds: Option<u64>,
    /// By a length of time, by the calendar: ISO 8601 such as `P1M` or `PT36H`, or words such as `1 month`.
    #[schema(example = "P1M")]
    advance: Option<String>,
    /// To this instant.
    to: Option<Time>,
}

impl ClockBody {
    /// As the engine knows it.
    pub fn step(&self) -> Result<ClockStep, Problem> {
        match (self.advance_seconds, &self.advance, self.to) {
            (Some(seconds), None, None) => Ok(ClockStep::By(CalendarSpan::seconds(seconds))),
            (None, Some(text), None) => {
                text.parse()
                    .map(ClockStep::By)
                    .map_err(|error: farebox_record::time::CalendarSpanError| {
                        Problem::field("/advance", error.to_string())
                    })
            }
            (None, None, Some(to)) => Ok(ClockStep::To(to.0)),
            _ => Err(Problem::field(
                "",
                "expected exactly one of `advance_seconds`, `advance` and `to`",
            )),
        }
    }
}

/// A tenant's clock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Clock)]
pub struct ClockView {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// What kind of tenant it is.
    pub kind: TenantKindBody,
    /// Where the clock stands, or the machine's time.
    pub now: Time,
}

/// A sandbox's clock that was advanced, with everything that fell due by that handled and durable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Advanced)]
pub struct AdvancedView {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Where the clock stood.
    pub from: Time,
    /// Where it was moved to.
    pub now: Time,
    /// Items that fell due and were handled: renewals, expiries, timers.
    pub handled: u64,
    /// Whether an earlier request under this key got this answer first.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replayed: bool,
}

impl AdvancedView {
    /// As the engine tells it.
    pub fn new(tenant: &TenantId, advanced: &Advanced) -> AdvancedView {
        AdvancedView {
            tenant: tenant.clone(),
            from: Time(advanced.from),
            now: Time(advanced.to),
            handled: advanced.handled,
            replayed: advanced.done == ControlDone::Unchanged,
        }
    }
}
