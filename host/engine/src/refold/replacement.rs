//! How an event is priced that takes the place of the corrected one.

use std::sync::Arc;

use farebox_ledger::{Wallet, term_of};
use farebox_record::correction::PricedBy;
use farebox_record::event::Event;
use farebox_record::ids::{PlanName, TenantId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Pricing;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::Revision;

use super::Fold;
use super::fold::{Cannot, Folded};
use crate::controls::Controls;
use crate::lane::pricing;

/// What an event is replaced by, and how that is priced.
pub(super) struct Replacement {
    pub event: Event,
    pub time: Timestamp,
    pub revision: Arc<Revision>,
    pub period: Period,
    pub seats: u32,
}

/// Prices a replacement by what is on the plan's timeline.
pub(super) struct Controlled<'c> {
    pub tenant: &'c TenantId,
    pub controls: &'c Controls,
    pub now: Timestamp,
}

impl Controlled<'_> {
    /// How a replacement is priced: within the same term, or not at all.
    pub fn replacement(
        &self,
        wallet: &Wallet,
        priced: &PricedBy,
        closed: Option<&TermState>,
        event: &Event,
        time: Timestamp,
    ) -> Result<Replacement, Cannot> {
        let elsewhere = || {
            "the event would belong to another period or plan; void it, and send it under another id"
                .to_string()
        };
        let owner = wallet.owner_at(&event.event_type, time);
        let (_, owner) = owner
            .filter(|(id, _)| **id == priced.subscription)
            .ok_or_else(elsewhere)?;
        let term = term_of(owner, time).map(|past| past.number);
        if term != closed.map(|term| term.number) {
            return Err(elsewhere());
        }
        let plan = closed.map_or(&owner.plan, |term| &term.plan);
        let revision = self.controls.pricing_now(self.tenant, plan, time, self.now);
        let revision = revision.ok_or_else(|| format!("plan {plan} has no revision in force at its time"))?;
        // The event may have been priced by a later one, where that of its time could not read the state any more.
        let before = self.controls.revision(&priced.revision);
        let before = before.map(|before| self.controls.not_ahead(self.tenant, plan, before, self.now));
        let version = |revision: &Revision| revision.description().state_version;
        let revision = before
            .filter(|before| version(before) > version(revision))
            .unwrap_or(revision);
        Ok(Replacement {
            event: event.clone(),
            time,
            revision: Arc::clone(revision),
            period: closed.map_or(owner.period, |term| term.period),
            seats: closed.map_or(owner.seats, |term| term.seats),
        })
    }
}

impl Controlled<'_> {
    /// A fold, unless the revision in force could not read the state that it leaves: where one of a later version priced an
    /// event, left the state as it was, and was taken back.
    pub fn readable(&self, plan: &PlanName, fold: Fold) -> Result<Fold, Cannot> {
        let present = self.controls.pricing(self.tenant, plan, self.now);
        match present.map(|present| present.description().state_version) {
            Some(version) if version < fold.refold.state_version => Err(format!(
                "events behind it were priced by a revision that keeps its state in version {}, and the one in force reads \
                 version {version}; refund the event",
                fold.refold.state_version
            )),
            _ => Ok(fold),
        }
    }
}

/// What the ledger sees of the plan's answer about a replacement.
pub(super) fn replaced_pricing(
    folded: &Folded,
    replacement: Option<&Replacement>,
    closed: Option<&TermState>,
) -> Option<Pricing> {
    let (replacement, verdict) = replacement.zip(folded.replaced.clone())?;
    let wants_cost = replacement.revision.description().wants_cost;
    let cost = wants_cost.then(|| replacement.event.cost_usd()).flatten();
    let mut pricing = pricing(
        &replacement.revision,
        folded.subscription.clone(),
        replacement.period,
        replacement.seats,
        cost,
        verdict,
    );
    pricing.term = closed.map(|term| Box::new(term.clone()));
    Some(pricing)
}
