//! What plans call their charges.

use std::collections::BTreeMap;

use farebox_ledger::Wallet;
use farebox_record::control::ControlState;
use farebox_record::ids::{PlanName, SubscriptionId};
use farebox_statement::Line;

/// Labels of charge codes, by plan and code, and which plan each subscription is on.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    plans: BTreeMap<SubscriptionId, PlanName>,
    charges: BTreeMap<PlanName, BTreeMap<String, String>>,
}

impl Labels {
    /// Of the plans of a wallet's subscriptions. The newest component that describes a code names it.
    pub fn of(wallet: &Wallet, control: Option<&ControlState>) -> Labels {
        let mut labels = Labels::default();
        for (id, subscription) in wallet.subscriptions() {
            labels.plans.insert(id.clone(), subscription.plan.clone());
        }
        for name in labels.plans.values() {
            let Some((plan, control)) = control.and_then(|control| Some((control.plans.get(name)?, control)))
            else {
                continue;
            };
            let components = plan
                .components
                .iter()
                .filter_map(|hash| control.components.get(hash));
            let described = components.flat_map(|component| &component.description.charges);
            let charges = described.map(|charge| (charge.code.clone(), charge.label.clone()));
            labels.charges.insert(name.clone(), charges.collect()); // the last one stays
        }
        labels
    }

    /// What the plan calls the line's charge; its code where no plan that serves the subscription now knows it.
    pub fn charge<'l>(&'l self, line: &'l Line) -> &'l str {
        let code = line.code.as_deref().unwrap_or("charge");
        let plan = line.subscription.as_ref().and_then(|id| self.plans.get(id));
        let label = plan.and_then(|plan| self.charges.get(plan)?.get(code));
        label.map_or(code, String::as_str)
    }
}
