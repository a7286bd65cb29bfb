//! Taking a backfill back, as a whole or not at all.
//!
//! That is as many corrections as it has events, each of which may be refused: what it took is in an archive that is not at
//! hand, too much behind it would cost something else. So all of them are tried out first, one upon the other, and where one
//! cannot be made, none is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use farebox_ledger::Refusal;
use farebox_record::command::{Command, Identity};
use farebox_record::control::{BackfillStage, BackfillState};
use farebox_record::correction::Void;
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, Hash, TenantId};

use super::rehearsal::Rehearsal;
use super::{Events, Forgive, REQUESTS_AT_ONCE};
use crate::engine::Engine;
use crate::error::{ControlError, EngineError};
use crate::request::{Ask, Reply, Request};

impl Engine {
    /// Takes its events back, the last one first: all of them, or none where one cannot be. What was corrected meanwhile comes
    /// back as it stands. Blocks until all of it is durable.
    pub fn revert_backfill(&self, tenant: &TenantId, id: &CallId) -> Result<BackfillState, ControlError> {
        let _alone = self.alone(tenant, id)?;
        let state = self.backfill(tenant, id)?;
        let is_begun = match state.stage {
            BackfillStage::Committed => false,
            BackfillStage::Reverting => true,
            BackfillStage::Reverted => return Ok(state),
            stage => {
                return Err(ControlError::BackfillStage {
                    id: id.to_string(),
                    stage,
                });
            }
        };
        let events = self.events_of(&state)?;
        let reverting = self.reverting(tenant, id, &events, is_begun)?;
        if !is_begun {
            let mut rehearsal = Rehearsal::new(self.shared(), tenant, &reverting.requests)?;
            let replies = take_back(&reverting.requests, |wave| rehearsal.call(wave))?;
            let (_, stays) = reverting.outcome(&replies)?;
            stays.nothing("Nothing is taken back; put this right and revert again")?;
            self.move_backfill(tenant, id, BackfillStage::Reverting, None)?;
        }
        let replies = take_back(&reverting.requests, |wave| Ok(self.call_patiently(tenant, wave)?))?;
        let (reverted, stays) = reverting.outcome(&replies)?;
        // Possible only by what others did since it was tried out.
        stays.nothing("All else is taken back; put this right and revert again")?;
        let mut tally = state.tally;
        tally.reverted = reverted;
        self.move_backfill(tenant, id, BackfillStage::Reverted, Some(tally))?;
        self.backfill(tenant, id)
    }

    /// What has to be asked for to take the events back that this backfill posted.
    fn reverting<'e>(
        &self,
        tenant: &TenantId,
        id: &CallId,
        events: &'e Events,
        is_begun: bool,
    ) -> Result<Reverting<'e>, ControlError> {
        // Terms that were forgotten since are needed to fold them again. One that is begun goes on as far as it can without.
        let terms = match self.posting(tenant, id, events, Forgive::Own) {
            Ok(posting) => posting.terms_only(),
            Err(ControlError::Stopped) => return Err(ControlError::Stopped),
            Err(_) if is_begun => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut reverting = Reverting {
            requests: terms,
            events: Vec::new(),
        };
        reverting.events.resize(reverting.requests.len(), None);
        let key = revert_key(id)?;
        let mut seen = BTreeSet::new();
        for (customer, event) in events.iter().rev() {
            let once = seen.insert((customer, event.reference()));
            if !once || !self.is_part(tenant, customer, event, id)? {
                continue;
            }
            let void = Command::Void(Void {
                event: event.reference(),
                id: key.clone(),
                reason: Some(format!("backfill {id} is reverted")),
            });
            reverting.events.push(Some((customer, event)));
            reverting.requests.push(Request {
                customer: customer.clone(),
                ask: Ask::Command(Box::new(void)),
            });
        }
        Ok(reverting)
    }

    /// Whether the event was posted by this backfill.
    fn is_part(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        event: &Event,
        id: &CallId,
    ) -> Result<bool, ControlError> {
        let record = self.find(tenant, customer, &Identity::Backfilled(event.reference()))?;
        Ok(record.is_some_and(
            |record| matches!(&record.command, Command::Backfill(posted) if posted.backfill == *id),
        ))
    }
}

/// Asks for one thing of each customer at a time: what has to be folded behind a correction depends on those before it, and
/// several of one wallet that are on their way at once are not carried out in the order in which they were asked for.
fn take_back(
    requests: &[Request],
    mut call: impl FnMut(&[Request]) -> Result<Vec<Reply>, ControlError>,
) -> Result<Vec<Reply>, ControlError> {
    let mut waiting: BTreeMap<&CustomerId, VecDeque<usize>> = BTreeMap::new();
    for (place, request) in requests.iter().enumerate() {
        waiting.entry(&request.customer).or_default().push_back(place);
    }
    let mut replies = BTreeMap::new();
    while !waiting.is_empty() {
        let next = waiting.values_mut().take(REQUESTS_AT_ONCE);
        let places: Vec<usize> = next.filter_map(VecDeque::pop_front).collect();
        let wave: Vec<Request> = places.iter().map(|place| requests[*place].clone()).collect();
        replies.extend(places.into_iter().zip(call(&wave)?));
        waiting.retain(|_, places| !places.is_empty());
    }
    Ok(replies.into_values().collect())
}

/// What is asked of the lanes to take events back, in order.
struct Reverting<'e> {
    requests: Vec<Request>,
    /// The event of each request; none for terms that are to be remembered.
    events: Vec<Option<(&'e CustomerId, &'e Event)>>,
}

impl Reverting<'_> {
    /// How many events are taken back behind these replies, and which are not.
    fn outcome(&self, replies: &[Reply]) -> Result<(u64, Stays), ControlError> {
        let mut stays = Stays::default();
        let mut reverted = 0;
        for (event, reply) in self.events.iter().zip(replies) {
            let Some((customer, event)) = event else { continue };
            match reply {
                // Or it was voided by hand before.
                Reply::Done(_) | Reply::Refused(Refusal::EventVoided) => reverted += 1,
                Reply::Archived => stays.add(
                    customer,
                    event,
                    "what it took is in an archive that is not at hand; set archive_dir",
                ),
                Reply::Refused(refusal) => stays.add(customer, event, &refusal.to_string()),
                _ => return Err(ControlError::Stopped),
            }
        }
        Ok((reverted, stays))
    }
}

/// Events of a backfill that could not be taken back.
#[derive(Default)]
struct Stays {
    events: u64,
    /// The first of them, and why.
    first: Option<String>,
}

impl Stays {
    fn add(&mut self, customer: &CustomerId, event: &Event, why: &str) {
        self.events += 1;
        self.first
            .get_or_insert_with(|| format!("event {} of customer {customer}: {why}", event.id));
    }

    /// An error, where something stays. `then` says what became of the others.
    fn nothing(self, then: &str) -> Result<(), ControlError> {
        let Some(first) = self.first else { return Ok(()) };
        let others = match self.events - 1 {
            0 => String::new(),
            1 => ", nor can 1 other".to_string(),
            n => format!(", nor can {n} others"),
        };
        Err(ControlError::Backfill(format!(
            "it cannot be taken back as a whole: not {first}{others}. {then}"
        )))
    }
}

/// Under which key the events of a backfill are taken back, so that going on with it takes nothing back twice.
fn revert_key(id: &CallId) -> Result<CallId, ControlError> {
    let short = Hash::of(id.as_str().as_bytes());
    CallId::new(&format!("backfill-revert:{short}")).map_err(|e| EngineError::State(e.to_string()).into())
}
