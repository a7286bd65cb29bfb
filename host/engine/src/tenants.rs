//! Tenants: how one is made, and how a sandbox's time moves.
//!
//! A sandbox's time stands in its control plane, so it is durable, the same after a restart, and changed in one place. An
//! advance is two records with the work between them:
//!
//! ```text
//! AdvanceClock (durable: it is later now) -> every wallet with something due catches up -> FinishAdvance -> answer
//! ```
//!
//! The clock moves first, so that nothing is decided at a time that is yet to come. After a crash in between it stands where
//! it was moved to, the sweeper handles what is overdue, and the same request under the same key finishes the advance.
//!
//! **Rejected**: moving the clock from one due instant to the next (each step would cost a sync, and a wallet's agenda is in
//! order of instant anyway); handling wallets before the clock moves (they would be in a future that their tenant has not).

use farebox_record::control::{
    ClockStep, ControlCommand, ControlEffect, ControlIdentity, ControlRecord, ControlState, KeyState,
    NewTenant, Role, TenantKind, TenantState,
};
use farebox_record::ids::{CallId, Hash, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::WalletKey;

use crate::control::{ControlDone, decode};
use crate::engine::Engine;
use crate::error::ControlError;
use crate::limits::{ADVANCE_SPAN_MAX, SANDBOX_CLOCK_MAX, SANDBOX_CLOCK_MIN, TENANTS_MAX};

/// The tenant that exists from the start, and is live.
pub const DEFAULT_TENANT: &str = "default";

/// A tenant that is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantMade {
    /// What it was made as.
    pub state: TenantState,
    /// Whether this call made it. Where an earlier one did, that one's key is good, and this one's is not.
    pub done: ControlDone,
}

/// An advance of a sandbox's clock, with everything that fell due by it durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advanced {
    /// Where the clock stood.
    pub from: Timestamp,
    /// Where it stands since.
    pub to: Timestamp,
    /// Items of wallets' agendas that were handled for it: renewals, expiries, timers. What a request to a wallet at the
    /// same time handled for itself is not counted, nor is what was handled before a crash cut the advance in two.
    pub handled: u64,
    /// Whether an earlier request under the same key did it.
    pub done: ControlDone,
}

impl Engine {
    /// Makes a tenant and its first key, an admin's. The same again changes nothing, whatever the key: an earlier call's is
    /// good then. Blocks until it is durable.
    pub fn create_tenant(
        &self,
        tenant: &TenantId,
        new: NewTenant,
        key: CallId,
        secret: Hash,
    ) -> Result<TenantMade, ControlError> {
        check_birth(new)?;
        let _one_at_a_time = self.control_lock();
        let controls = self.shared().controls.load_full();
        let done = match controls.tenant(tenant) {
            None if tenant.as_str() == DEFAULT_TENANT => {
                return Err(ControlError::TenantExists(tenant.to_string()));
            }
            None if controls.tenants().count() >= TENANTS_MAX => {
                return Err(ControlError::TooManyTenants { max: TENANTS_MAX });
            }
            None => {
                let command = ControlCommand::CreateTenant {
                    tenant: new,
                    key,
                    secret,
                };
                match self.change_locked(tenant, &command, None, None) {
                    // Another process was faster.
                    Err(ControlError::TenantExists(_)) => self.made_so(tenant, new)?,
                    other => {
                        other?;
                        ControlDone::Changed
                    }
                }
            }
            Some(_) => self.made_so(tenant, new)?,
        };
        let controls = self.shared().controls.load();
        let state = controls.tenant(tenant).and_then(|control| control.tenant);
        let state = state.ok_or_else(|| ControlError::UnknownTenant(tenant.to_string()))?;
        Ok(TenantMade { state, done })
    }

    /// Whether the first record of a control plane made just this tenant.
    fn made_so(&self, tenant: &TenantId, new: NewTenant) -> Result<ControlDone, ControlError> {
        let first = self
            .shared()
            .store
            .history(&WalletKey::control(tenant.as_str()), Some(2), 1)?;
        let record = first.first().map(|stored| decode(&stored.body)).transpose()?;
        let Some(ControlCommand::CreateTenant { tenant: made, .. }) = record.map(|record| record.command)
        else {
            return Err(ControlError::TenantExists(tenant.to_string()));
        };
        match (made, new) {
            _ if made == new => Ok(ControlDone::Unchanged),
            (NewTenant::Sandbox { .. }, NewTenant::Sandbox { .. }) => {
                Err(ControlError::Conflict { field: "clock" })
            }
            _ => Err(ControlError::Conflict { field: "kind" }),
        }
    }

    /// Moves a sandbox's clock on, and handles everything that falls due by that, per wallet in order of instant. Under an
    /// `id` it is done once, and told again. Blocks until all of it is durable.
    pub fn advance_clock(
        &self,
        tenant: &TenantId,
        id: Option<CallId>,
        step: ClockStep,
    ) -> Result<Advanced, ControlError> {
        self.check_sandbox(tenant)?;
        let busy = || ControlError::Advancing(tenant.to_string());
        let _reserved = self.shared().begin_advance(tenant).ok_or_else(busy)?;
        let earlier = match &id {
            Some(id) => self.find_control(tenant, &ControlIdentity::Advance(id.clone()))?,
            None => None,
        };
        let (moved, done) = match earlier {
            Some(moved) => {
                check_same(&moved, step)?;
                (Some(moved), ControlDone::Unchanged)
            }
            None => {
                let command = ControlCommand::AdvanceClock { id: id.clone(), step };
                let _one_at_a_time = self.control_lock();
                (
                    self.change_locked(tenant, &command, None, None)?,
                    ControlDone::Changed,
                )
            }
        };
        let Some(moved) = moved else {
            // The clock stands there already, and nobody asks to be told so again.
            let now = self.now(tenant);
            let handled = self.catch_up(tenant, self.now(tenant), None)?.handled;
            return Ok(Advanced {
                from: now,
                to: now,
                handled,
                done,
            });
        };
        let (from, to) = (moved.at, moved_to(&moved).unwrap_or(moved.at));
        let finished = match (&id, done) {
            (Some(id), ControlDone::Unchanged) => {
                self.find_control(tenant, &ControlIdentity::Advanced(id.clone()))?
            }
            _ => None,
        };
        if let Some(ControlCommand::FinishAdvance { handled, .. }) = finished.map(|record| record.command) {
            return Ok(Advanced {
                from,
                to,
                handled,
                done: ControlDone::Unchanged,
            });
        }
        let handled = self.catch_up(tenant, self.now(tenant), None)?.handled;
        let command = ControlCommand::FinishAdvance {
            id,
            sequence: moved.sequence,
            handled,
        };
        let _one_at_a_time = self.control_lock();
        self.change_locked(tenant, &command, None, None)?;
        Ok(Advanced {
            from,
            to,
            handled,
            done: ControlDone::Changed,
        })
    }

    fn check_sandbox(&self, tenant: &TenantId) -> Result<(), ControlError> {
        let controls = self.shared().controls.load();
        match controls.tenant(tenant) {
            None if tenant.as_str() != DEFAULT_TENANT => Err(ControlError::UnknownTenant(tenant.to_string())),
            Some(control) if control.sandbox_clock().is_some() => Ok(()),
            _ => Err(ControlError::LiveTenant(tenant.to_string())),
        }
    }
}

/// When a tenant is made, by its own clock: where a new sandbox's begins. None for all other commands.
pub(crate) fn birth(command: &ControlCommand) -> Option<Timestamp> {
    match command {
        ControlCommand::CreateTenant {
            tenant: NewTenant::Sandbox { clock },
            ..
        } => *clock,
        _ => None,
    }
}

fn check_birth(new: NewTenant) -> Result<(), ControlError> {
    match new {
        NewTenant::Sandbox { clock: Some(clock) } => check_range("clock", clock),
        _ => Ok(()),
    }
}

fn check_range(field: &'static str, clock: Timestamp) -> Result<(), ControlError> {
    let limit = match clock {
        early if early < SANDBOX_CLOCK_MIN => "SANDBOX_CLOCK_MIN",
        late if late > SANDBOX_CLOCK_MAX => "SANDBOX_CLOCK_MAX",
        _ => return Ok(()),
    };
    Err(ControlError::Clock {
        field,
        problem: format!(
            "a sandbox's clock stands between {SANDBOX_CLOCK_MIN} and {SANDBOX_CLOCK_MAX}, not at {clock}"
        ),
        limit: Some(limit),
    })
}

/// What making a tenant changes; `at` is by the tenant's own clock.
pub(crate) fn create(
    tenant: &TenantId,
    state: &ControlState,
    new: NewTenant,
    key: &CallId,
    secret: Hash,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    if state.header.sequence > 0 {
        return Err(ControlError::TenantExists(tenant.to_string()));
    }
    let kind = match new {
        NewTenant::Live => TenantKind::Live,
        NewTenant::Sandbox { .. } => TenantKind::Sandbox { now: at },
    };
    let first = KeyState {
        secret,
        role: Role::Admin,
        created: at,
        revoked: None,
    };
    Ok(vec![
        ControlEffect::TenantPut(TenantState { created: at, kind }),
        ControlEffect::KeyPut(key.clone(), first),
    ])
}

/// What an advance changes. Nothing where the clock stands there already, unless a key is to remember it.
pub(crate) fn advance(
    tenant: &TenantId,
    state: &ControlState,
    id: Option<&CallId>,
    step: ClockStep,
) -> Result<Vec<ControlEffect>, ControlError> {
    let (Some(made), Some(now)) = (state.tenant, state.sandbox_clock()) else {
        return Err(ControlError::LiveTenant(tenant.to_string()));
    };
    let field = field_of(step);
    let refused = |problem: String, limit| ControlError::Clock {
        field,
        problem,
        limit,
    };
    let to = match step {
        ClockStep::To(to) => to,
        ClockStep::By(span) => span
            .after(now)
            .ok_or_else(|| refused("the calendar ends before that".into(), Some("ADVANCE_SPAN_MAX")))?,
    };
    if to < now {
        return Err(refused(
            format!("the clock of {tenant} stands at {now}, and only moves forward"),
            None,
        ));
    }
    if to > now.saturating_add(ADVANCE_SPAN_MAX) {
        let problem =
            format!("from {now} to {to} are more than 400 days (limit ADVANCE_SPAN_MAX); advance in steps");
        return Err(refused(problem, Some("ADVANCE_SPAN_MAX")));
    }
    check_range(field, to)?;
    if to == now && id.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![ControlEffect::TenantPut(TenantState {
        kind: TenantKind::Sandbox { now: to },
        ..made
    })])
}

fn field_of(step: ClockStep) -> &'static str {
    match step {
        ClockStep::By(_) => "advance",
        ClockStep::To(_) => "to",
    }
}

/// A retry asks for the same, or it is another request.
fn check_same(moved: &ControlRecord, step: ClockStep) -> Result<(), ControlError> {
    match &moved.command {
        ControlCommand::AdvanceClock { step: first, .. } if *first == step => Ok(()),
        _ => Err(ControlError::Conflict {
            field: field_of(step),
        }),
    }
}

/// Where a record moved the clock to.
fn moved_to(moved: &ControlRecord) -> Option<Timestamp> {
    moved.effects.iter().find_map(|effect| match effect {
        ControlEffect::TenantPut(TenantState {
            kind: TenantKind::Sandbox { now },
            ..
        }) => Some(*now),
        _ => None,
    })
}
