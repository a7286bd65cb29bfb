//! What a plan is told when a period of its subscription ends: kept where the plan has no answer, so that it can be told the
//! same again, whatever became of the wallet meanwhile.

use farebox_record::ids::SubscriptionId;
use farebox_record::plan::RemainingGrant;
use farebox_record::state::{DueChange, SubscriptionState};

use crate::renewal::NextKind;
use crate::wallet::Wallet;

/// What is left of the grants that a subscription gave, without what open holds keep: that stays good for their calls, so a
/// plan that rolled it over would give it twice.
pub fn remaining(wallet: &Wallet, id: &SubscriptionId) -> Vec<RemainingGrant> {
    let given = wallet
        .grants()
        .filter(|(_, g)| g.subscription.as_ref() == Some(id))
        // A grant that was given out in portions says no more than who has had one.
        .filter(|(_, g)| g.portions.is_none() || g.available.is_positive());
    given
        .map(|(_, grant)| RemainingGrant {
            asset: grant.asset.clone(),
            category: grant.category,
            label: grant.label.clone().unwrap_or_default(),
            granted: grant.amount,
            remaining: grant.available,
            expires: grant.expires,
        })
        .collect()
}

/// What a plan is told at the end of a period of the subscription, `before` it ends.
pub(crate) fn told_at_the_end(
    wallet: &Wallet,
    id: &SubscriptionId,
    before: &SubscriptionState,
    kind: NextKind,
) -> DueChange {
    let remaining = remaining(wallet, id);
    match kind {
        NextKind::Cancelled => DueChange::Cancelled(remaining),
        NextKind::PlanChanged => DueChange::PlanChanged {
            previous: before.plan.clone(),
            since: before.since,
            remaining,
        },
        NextKind::Pauses => DueChange::Paused,
        NextKind::Renewed | NextKind::Paused => DueChange::Renewed(remaining),
    }
}
