//! Money that is put right: adjustments, payments, refunds, events taken back and events replaced. Many of them ask for more
//! than there is, and must then leave no trace.

use farebox_money::Nanos;
use farebox_record::command::Command;
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Pay, Refund, RefundTarget, Void};
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::{Scene, asset};

pub(super) fn adjust(scene: &mut Scene<'_>) -> Vec<Command> {
    let targets = [
        AdjustTarget::Balance,
        AdjustTarget::Balance,
        AdjustTarget::Debt,
        AdjustTarget::Receivable,
    ];
    vec![Command::Adjust(Adjust {
        id: scene.call_id(),
        asset: scene.asset(),
        amount: scene.amount(60),
        target: targets
            .choose(scene.random)
            .copied()
            .unwrap_or(AdjustTarget::Balance),
        reason: "put right".into(),
    })]
}

pub(super) fn pay(scene: &mut Scene<'_>) -> Vec<Command> {
    // A fee of the plan that remembers is five dollars.
    let whole = scene.one_in(2).then(|| Nanos::units(5));
    vec![Command::Pay(Pay {
        id: scene.call_id(),
        asset: asset("usd"),
        amount: whole.unwrap_or_else(|| scene.amount(500)),
        label: None,
    })]
}

/// All that the event took, or a part, sometimes a second time, sometimes of an event that never was charged.
pub(super) fn refund_event(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some(event) = scene.events.choose(scene.random).cloned() else {
        return Vec::new();
    };
    let part = scene.one_in(2).then(|| {
        let amount = Nanos::new(scene.random.random_range(1..=300_000_000));
        (scene.asset(), amount)
    });
    vec![Command::Refund(Refund {
        id: scene.call_id(),
        target: RefundTarget::Event {
            event: event.reference(),
            amount: part,
        },
        reason: "not as promised".into(),
    })]
}

pub(super) fn refund_grant(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some(grant) = scene.grants.choose(scene.random).cloned() else {
        return Vec::new();
    };
    let part = scene.one_in(2).then(|| scene.amount(50));
    vec![Command::Refund(Refund {
        id: scene.call_id(),
        target: RefundTarget::Grant { grant, amount: part },
        reason: "bought too much".into(),
    })]
}

pub(super) fn void(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some(event) = scene.events.choose(scene.random).cloned() else {
        return Vec::new();
    };
    vec![Command::Void(Void {
        event: event.reference(),
        id: scene.call_id(),
        reason: scene.one_in(2).then(|| "a test".into()),
    })]
}

/// With other measures, sometimes for another model.
pub(super) fn amend(scene: &mut Scene<'_>) -> Vec<Command> {
    let Some(mut event) = scene.events.choose(scene.random).cloned() else {
        return Vec::new();
    };
    event.measures = scene.measures(&event.event_type, 60);
    if event.attributes.contains_key("model") && scene.one_in(3) {
        let model = ["one", "two", "three"].choose(scene.random).copied();
        event
            .attributes
            .insert("model".into(), model.unwrap_or("one").into());
    }
    vec![Command::Amend(Amend {
        event,
        id: scene.call_id(),
    })]
}
