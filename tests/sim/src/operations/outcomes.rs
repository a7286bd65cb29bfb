//! Outcomes of conversations: claimed, confirmed, objected to. Few conversations, so that all of it happens to each.

use farebox_record::command::{AboveHold, Command, Subscribe, default_source};
use farebox_record::event::{Event, Measures};
use farebox_record::ids::{EventId, EventType, SubscriptionId};
use farebox_record::state::Cadence;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::{Scene, asset, name};
use crate::plans::{OUTCOMES, plan_name};

/// In dollars, which is all that this plan takes.
pub(super) fn grant(scene: &mut Scene<'_>) -> Vec<Command> {
    let mut commands = super::grant(scene);
    for command in &mut commands {
        if let Command::Grant(grant) = command {
            grant.asset = asset("usd");
        }
    }
    commands
}

/// The first is there for good; no other can have its events.
pub(super) fn subscribe(scene: &mut Scene<'_>) -> Vec<Command> {
    let number = scene.number();
    vec![Command::Subscribe(Subscribe {
        id: name(SubscriptionId::new(&format!("s{number}"))),
        plan: plan_name(OUTCOMES),
        seats: 0,
        anchor: None,
        cadence: Cadence::Days(10),
        above_hold: AboveHold::AsSubscribed,
    })]
}

/// Several in one call: their deadlines are due together.
pub(super) fn claims(scene: &mut Scene<'_>) -> Vec<Command> {
    let mut commands = Vec::new();
    for _ in 0..scene.random.random_range(1..5) {
        let kind = ["resolution", "handoff"].choose(scene.random).copied();
        commands.extend(outcome(scene, "outcome.claimed", kind));
    }
    commands
}

/// Of the kind that was claimed, or of one that it says itself.
pub(super) fn confirm(scene: &mut Scene<'_>) -> Vec<Command> {
    let kind = scene.one_in(2).then_some("resolution");
    outcome(scene, "outcome.confirmed", kind)
}

pub(super) fn object(scene: &mut Scene<'_>) -> Vec<Command> {
    outcome(scene, "outcome.objected", None)
}

fn outcome(scene: &mut Scene<'_>, event_type: &str, kind: Option<&str>) -> Vec<Command> {
    let number = scene.number();
    let conversation = format!("talk-{}", scene.random.random_range(0..4));
    let kind = kind.map(|kind| ("outcome".to_string(), kind.to_string()));
    vec![Command::Usage(Event {
        source: default_source(),
        id: name(EventId::new(&format!("e{number}"))),
        event_type: name(EventType::new(event_type)),
        time: None,
        measures: Measures::EMPTY,
        attributes: [("conversation".to_string(), conversation)]
            .into_iter()
            .chain(kind)
            .collect(),
    })]
}
