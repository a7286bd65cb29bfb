//! Units of a plan whose price depends on those before them: on time, late, taken back and amended.

use farebox_money::Nanos;
use farebox_record::command::{AboveHold, Command, Subscribe, default_source};
use farebox_record::correction::Amend;
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{EventId, EventType, SubscriptionId};
use farebox_record::state::Cadence;
use farebox_record::time::Span;
use rand::Rng as _;
use rand::seq::IndexedRandom as _;

use super::{Scene, name};
use crate::plans::{TOTALS, plan_name};
use crate::totals::PERIOD_DAYS;

/// The first is there for good; no other can have its events.
pub(super) fn subscribe(scene: &mut Scene<'_>) -> Vec<Command> {
    let number = scene.number();
    vec![Command::Subscribe(Subscribe {
        id: name(SubscriptionId::new(&format!("s{number}"))),
        plan: plan_name(TOTALS),
        seats: 1,
        anchor: None,
        cadence: Cadence::Days(PERIOD_DAYS),
        above_hold: AboveHold::AsSubscribed,
    })]
}

/// Some of them late, in a period that is over.
pub(super) fn units(scene: &mut Scene<'_>) -> Vec<Command> {
    let mut commands = Vec::new();
    for _ in 0..scene.random.random_range(1..4) {
        let number = scene.number();
        let late = scene.one_in(3).then(|| {
            let seconds = scene.random.random_range(0..1_700_000);
            scene.now.saturating_sub(Span::seconds(seconds))
        });
        commands.push(Command::Usage(Event {
            source: default_source(),
            id: name(EventId::new(&format!("e{number}"))),
            event_type: name(EventType::new("api.call")),
            time: late,
            measures: measures(scene),
            attributes: Attributes::EMPTY,
        }));
    }
    commands
}

pub(super) fn amend(scene: &mut Scene<'_>) -> Vec<Command> {
    let own = scene
        .events
        .iter()
        .filter(|event| event.event_type.as_str() == "api.call");
    let own: Vec<&Event> = own.collect();
    let Some(mut event) = own.choose(scene.random).map(|event| (*event).clone()) else {
        return Vec::new();
    };
    event.measures = measures(scene);
    vec![Command::Amend(Amend {
        event,
        id: scene.call_id(),
    })]
}

fn measures(scene: &mut Scene<'_>) -> Measures {
    let units = Nanos::units(scene.random.random_range(0..60));
    [("units".to_string(), units)].into()
}
