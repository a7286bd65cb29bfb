//! What the runtime takes out of service is written down, so that it stays out after a restart and everybody learns of it.
//!
//! The runtime notices in the middle of a call, on a lane, where nothing may wait; so a thread of its own looks at what it
//! noticed and has the change of the control plane made like any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use farebox_record::control::ControlCommand;
use farebox_record::ids::{PlanName, RevisionHash, TenantId};

use crate::controls::Controls;
use crate::engine::Engine;
use crate::error::ControlError;
use crate::limits::QUARANTINE_INTERVAL;

/// Longest reason that is kept, in bytes.
const REASON_BYTES_MAX: usize = 1_024;

/// Looks until the engine stops or is gone. `engine` gives its handle while there is one.
pub(crate) fn run(engine: &(dyn Fn() -> Option<Engine> + Send), stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(QUARANTINE_INTERVAL);
        let Some(engine) = engine() else { return };
        if let Err(ControlError::Stopped) = write(&engine) {
            return;
        }
    }
}

/// Writes down what was noticed and is not written. The only error is that the engine has stopped.
pub(crate) fn write(engine: &Engine) -> Result<(), ControlError> {
    for (tenant, command) in unwritten(&engine.controls()) {
        match engine.quarantine(&tenant, &command) {
            Ok(()) => metrics::counter!("farebox_revisions_quarantined_total").increment(1),
            Err(ControlError::Stopped) => return Err(ControlError::Stopped),
            Err(error) => {
                tracing::error!(%error, "a quarantine could not be written down; it is tried again")
            }
        }
    }
    Ok(())
}

/// Quarantines that a timeline's tenant does not have in its control plane yet.
fn unwritten(controls: &Controls) -> Vec<(TenantId, ControlCommand)> {
    let out: Vec<(RevisionHash, String)> = (controls.out_of_service())
        .map(|(revision, reason)| (revision, shortened(reason)))
        .collect();
    if out.is_empty() {
        return Vec::new();
    }
    let mut commands = Vec::new();
    for tenant in controls.tenants() {
        let Some(state) = controls.tenant(tenant) else {
            continue;
        };
        for (plan, known) in &state.plans {
            let on = |revision: &RevisionHash| known.timeline.iter().any(|a| a.revision == *revision);
            for (revision, reason) in out.iter().filter(|(revision, _)| on(revision)) {
                if !state.quarantines.contains_key(&(plan.clone(), *revision)) {
                    commands.push((tenant.clone(), command(plan, *revision, reason)));
                }
            }
        }
    }
    commands
}

fn command(plan: &PlanName, revision: RevisionHash, reason: &str) -> ControlCommand {
    ControlCommand::Quarantine {
        plan: plan.clone(),
        revision,
        reason: reason.to_string(),
    }
}

fn shortened(mut reason: String) -> String {
    let end = (0..=REASON_BYTES_MAX.min(reason.len()))
        .rev()
        .find(|at| reason.is_char_boundary(*at));
    reason.truncate(end.unwrap_or(0));
    reason
}
