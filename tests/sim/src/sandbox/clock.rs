//! A sandbox's time, worked out by hand from its control plane's records.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use farebox_record::control::{ControlCommand, ControlEffect, ControlRecord, TenantKind};
use farebox_record::ids::CallId;
use farebox_record::time::Timestamp;

use super::Sandbox;

/// A sandbox's time, from its control plane's records.
pub(super) struct Clock {
    /// Where it stands now.
    pub stands: Timestamp,
    /// Since which record it stood where.
    pub stood: BTreeMap<u64, Timestamp>,
    /// Advances by their ids.
    pub moves: BTreeMap<CallId, Moved>,
    /// How many advances there were.
    pub advances: u64,
}

/// An advance.
#[derive(Debug)]
pub(super) struct Moved {
    pub from: Timestamp,
    pub to: Timestamp,
    /// None: its end was not noted.
    pub handled: Option<u64>,
}

impl Clock {
    /// From the first record on; each is from where the clock stood.
    pub fn of(control: &[ControlRecord], sandbox: &Sandbox) -> anyhow::Result<Clock> {
        let first = control.first().context("a sandbox without a record")?;
        ensure!(
            matches!(first.command, ControlCommand::CreateTenant { .. }),
            "a sandbox began with {first:?}"
        );
        let mut clock = Clock {
            stands: first.at,
            stood: BTreeMap::new(),
            moves: BTreeMap::new(),
            advances: 0,
        };
        for record in control {
            ensure!(
                record.at == clock.stands,
                "control record {} is from {}, and the clock stands at {}",
                record.sequence,
                record.at,
                clock.stands
            );
            match &record.command {
                ControlCommand::AdvanceClock { id, .. } => clock.advance(record, id.as_ref(), sandbox)?,
                ControlCommand::FinishAdvance {
                    id,
                    sequence,
                    handled,
                } => clock.finish(control, record, id.as_ref(), *sequence, *handled)?,
                _ => {}
            }
            clock.stood.insert(record.sequence, clock.stands);
        }
        Ok(clock)
    }

    fn advance(
        &mut self,
        record: &ControlRecord,
        id: Option<&CallId>,
        sandbox: &Sandbox,
    ) -> anyhow::Result<()> {
        let to = record.effects.iter().find_map(|effect| match effect {
            ControlEffect::TenantPut(state) => match state.kind {
                TenantKind::Sandbox { now } => Some(now),
                TenantKind::Live => None,
            },
            _ => None,
        });
        let to = to.with_context(|| format!("{record:?} moves no clock"))?;
        ensure!(to >= self.stands, "the clock moved from {} to {to}", self.stands);
        if let Some(id) = id {
            let asked = sandbox.asked.iter().find(|asked| asked.id == *id);
            let asked = asked.with_context(|| format!("nobody asked for {id}"))?;
            ensure!(
                asked.step.after(self.stands) == Some(to),
                "{asked:?} moved the clock from {} to {to}",
                self.stands
            );
            let moved = Moved {
                from: self.stands,
                to,
                handled: None,
            };
            let before = self.moves.insert(id.clone(), moved);
            ensure!(before.is_none(), "{id} moved the clock twice");
        }
        self.stands = to;
        self.advances += 1;
        Ok(())
    }

    fn finish(
        &mut self,
        control: &[ControlRecord],
        record: &ControlRecord,
        id: Option<&CallId>,
        sequence: u64,
        handled: u64,
    ) -> anyhow::Result<()> {
        let begun = control
            .iter()
            .take_while(|before| before.sequence < record.sequence)
            .find(|before| before.sequence == sequence);
        let same = begun.is_some_and(|begun| match &begun.command {
            ControlCommand::AdvanceClock { id: first, .. } => first.as_ref() == id,
            _ => false,
        });
        ensure!(same, "{record:?} ends what did not begin");
        if let Some(moved) = id.and_then(|id| self.moves.get_mut(id)) {
            let before = moved.handled.replace(handled);
            ensure!(before.is_none(), "{record:?} ends what had ended");
        }
        Ok(())
    }
}
