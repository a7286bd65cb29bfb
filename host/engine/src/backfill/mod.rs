//! Backfills: events from before the late window, posted as a whole, after they were looked at, and taken back as a whole.
//!
//! A backfill is a part of the tenant's control plane, and moves from stage to stage there; its events are kept beside the
//! journal. Posting and taking back are many records in many wallets, so they are no one step: they are carried out in order,
//! each event under an id that is kept for good, and go on after a restart where they were. What a backfill would do is found
//! out by doing it, with the same code, on a store whose records go nowhere ([`rehearsal`]).

mod past;
mod rehearsal;
mod revert;

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::codec;
use farebox_record::command::{Backfill, Command, RememberTerm};
use farebox_record::control::{
    BackfillStage, BackfillState, BackfillTally, ControlCommand, ControlEffect, ControlState,
};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, CustomerId, Hash, TenantId};
use farebox_record::outcome::{Answer, AssetBalance, Line};
use farebox_record::plan::{ChargeCode, EventRef};
use farebox_record::time::Timestamp;
use farebox_store::WalletKey;

use self::rehearsal::Rehearsal;
use crate::control::ControlDone;
use crate::engine::Engine;
use crate::error::{ControlError, EngineError};
use crate::limits::{BACKFILL_EVENTS_MAX, BACKFILL_PROBLEMS_MAX, BACKFILLS_PER_TENANT_MAX};
use crate::request::{Ask, Reply, Request};

/// Requests that are handed to the lanes at once.
const REQUESTS_AT_ONCE: usize = 1_000;

/// What committing a backfill would do, or why parts of it cannot be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackfillPreview {
    /// When it was found out, by the tenant's clock.
    pub as_of: Timestamp,
    /// What would come of its events.
    pub tally: BackfillTally,
    /// What would be charged in all, as the plans state it, by code and asset.
    pub charges: Vec<Line>,
    /// Each customer in order of name.
    pub customers: Vec<BackfilledCustomer>,
    /// Events that would be left out, and why: the first [`BACKFILL_PROBLEMS_MAX`].
    pub problems: Vec<BackfillProblem>,
}

/// What a backfill would do to one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfilledCustomer {
    /// Who.
    pub customer: CustomerId,
    /// How many of its events would be charged.
    pub charged: u64,
    /// What for, by code and asset.
    pub charges: Vec<Line>,
    /// What the customer would have afterwards; empty where nothing of it would be charged.
    pub balances: Vec<AssetBalance>,
}

/// An event that is left out of a backfill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillProblem {
    /// Place among the backfill's events, from 0.
    pub index: usize,
    /// Whose event.
    pub customer: CustomerId,
    /// Which one.
    pub event: EventRef,
    /// Stable, for programs: `known`, or the code of a refusal.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// Its events, each with its customer, in the order in which they are posted.
type Events = Vec<(CustomerId, Event)>;

impl Engine {
    /// Keeps events for a backfill; nothing is posted. The same again changes nothing. Blocks until it is durable.
    pub fn make_backfill(
        &self,
        tenant: &TenantId,
        id: &CallId,
        reason: Option<String>,
        events: &[(CustomerId, Event)],
    ) -> Result<(BackfillState, ControlDone), ControlError> {
        if events.is_empty() || events.len() > BACKFILL_EVENTS_MAX {
            return Err(ControlError::BackfillSize {
                events: events.len(),
                max: BACKFILL_EVENTS_MAX,
            });
        }
        let bytes = codec::encode(&events);
        let hash = Hash::of(&bytes);
        self.shared().store.put_blob(&events_blob(hash), &bytes)?;
        let mut customers: Vec<&CustomerId> = events.iter().map(|(customer, _)| customer).collect();
        customers.sort_unstable();
        customers.dedup();
        let command = ControlCommand::MakeBackfill {
            id: id.clone(),
            events: hash,
            count: events.len() as u64,
            customers: customers.len() as u64,
            reason,
        };
        let done = self.change(tenant, &command, None, None)?;
        Ok((self.backfill(tenant, id)?, done))
    }

    /// A backfill as it stands.
    pub fn backfill(&self, tenant: &TenantId, id: &CallId) -> Result<BackfillState, ControlError> {
        let controls = self.controls();
        let state = controls.tenant(tenant).and_then(|state| state.backfills.get(id));
        state
            .cloned()
            .ok_or_else(|| ControlError::UnknownBackfill(id.to_string()))
    }

    /// Finds out what committing it would do. Changes nothing. Blocks.
    pub fn preview_backfill(&self, tenant: &TenantId, id: &CallId) -> Result<BackfillPreview, ControlError> {
        let state = self.backfill(tenant, id)?;
        let events = self.events_of(&state)?;
        let posting = self.posting(tenant, id, &events, Forgive::Nothing)?;
        let requests = posting.requests();
        let replies = Rehearsal::new(self.shared(), tenant, &requests)?.call(&requests)?;
        Ok(posting.preview(self.now(tenant), &events, replies))
    }

    /// Posts its events. One that is posted already stays so. Blocks until all of it is durable.
    pub fn commit_backfill(&self, tenant: &TenantId, id: &CallId) -> Result<BackfillState, ControlError> {
        let _alone = self.alone(tenant, id)?;
        let state = self.backfill(tenant, id)?;
        match state.stage {
            BackfillStage::Draft => self.move_backfill(tenant, id, BackfillStage::Committing, None)?,
            BackfillStage::Committing => {}
            BackfillStage::Committed => return Ok(state),
            stage => {
                return Err(ControlError::BackfillStage {
                    id: id.to_string(),
                    stage,
                });
            }
        }
        let events = self.events_of(&state)?;
        let posting = self.posting(tenant, id, &events, Forgive::Own)?;
        let mut tally = posting.tally();
        for chunk in posting.requests().chunks(REQUESTS_AT_ONCE) {
            for (request, reply) in chunk.iter().zip(self.call_patiently(tenant, chunk)?) {
                if is_event(request) {
                    count(&mut tally, &reply)?;
                }
            }
        }
        self.move_backfill(tenant, id, BackfillStage::Committed, Some(tally))?;
        self.backfill(tenant, id)
    }

    /// Goes on with what a stop interrupted. One that cannot be finished keeps no other from it. Blocks.
    pub(crate) fn resume_backfills(&self) {
        let controls = self.controls();
        for tenant in controls.tenants() {
            let Some(state) = controls.tenant(tenant) else {
                continue;
            };
            for (id, backfill) in &state.backfills {
                let finished = match backfill.stage {
                    BackfillStage::Committing => self.commit_backfill(tenant, id).map(drop),
                    BackfillStage::Reverting => self.revert_backfill(tenant, id).map(drop),
                    BackfillStage::Draft | BackfillStage::Committed | BackfillStage::Reverted => Ok(()),
                };
                match finished {
                    Ok(()) => {}
                    Err(ControlError::Stopped) => return,
                    Err(error) => {
                        tracing::error!(%tenant, backfill = %id, %error, "not finished; commit or revert it again");
                    }
                }
            }
        }
    }

    fn move_backfill(
        &self,
        tenant: &TenantId,
        id: &CallId,
        to: BackfillStage,
        tally: Option<BackfillTally>,
    ) -> Result<(), ControlError> {
        let command = ControlCommand::MoveBackfill {
            id: id.clone(),
            to,
            tally,
        };
        self.change(tenant, &command, None, None).map(drop)
    }

    fn alone(&self, tenant: &TenantId, id: &CallId) -> Result<crate::shared::Backfilling, ControlError> {
        let busy = || ControlError::Backfilling(id.to_string());
        self.shared().begin_backfill(tenant, id).ok_or_else(busy)
    }

    fn events_of(&self, state: &BackfillState) -> Result<Events, ControlError> {
        let name = events_blob(state.events);
        let missing = || {
            EngineError::State(format!(
                "{name} is missing beside the journal; restore it from a backup"
            ))
        };
        let bytes = self.shared().store.blob(&name)?.ok_or_else(missing)?;
        let unreadable = |e: codec::CodecError| EngineError::State(format!("{name}: {e}"));
        Ok(codec::decode(&bytes).map_err(unreadable)?)
    }

    /// What has to be asked for to post the events: which of them are known, and which terms must be remembered.
    fn posting(
        &self,
        tenant: &TenantId,
        id: &CallId,
        events: &Events,
        forgive: Forgive,
    ) -> Result<Posting, ControlError> {
        let mut by_customer: BTreeMap<&CustomerId, Vec<usize>> = BTreeMap::new();
        for (index, (customer, _)) in events.iter().enumerate() {
            by_customer.entry(customer).or_default().push(index);
        }
        let mut posting = Posting::default();
        let mut seen: BTreeMap<(CustomerId, EventRef), usize> = BTreeMap::new();
        for (customer, indices) in by_customer {
            let key = WalletKey::new(tenant.as_str(), customer.as_str());
            let own: Vec<&Event> = indices.iter().map(|index| &events[*index].1).collect();
            let own_id = matches!(forgive, Forgive::Own).then_some(id);
            let past = past::read(&*self.shared().store, &key, &own, own_id)?;
            let terms = past
                .terms
                .into_iter()
                .map(|(subscription, term)| Command::RememberTerm(RememberTerm { subscription, term }));
            let mut requests: Vec<(Option<usize>, Command)> = terms.map(|command| (None, command)).collect();
            for index in indices {
                let event = &events[index].1;
                let reference = event.reference();
                let first = *seen.entry((customer.clone(), reference.clone())).or_insert(index);
                let known = match first == index {
                    true => past.known.get(&reference).cloned(),
                    false => Some(event.differs_from(&events[first].1)),
                };
                if let Some(differs) = known {
                    posting.known.push((index, differs));
                    continue;
                }
                let backfill = Backfill {
                    backfill: id.clone(),
                    event: event.clone(),
                };
                requests.push((Some(index), Command::Backfill(backfill)));
            }
            posting.requests.extend(
                requests
                    .into_iter()
                    .map(|(index, command)| (index, customer.clone(), command)),
            );
        }
        posting.known.sort_unstable();
        Ok(posting)
    }
}

/// Whether events that the backfill itself posted before count as known.
#[derive(Clone, Copy)]
enum Forgive {
    /// They do: a preview tells what would be new.
    Nothing,
    /// They do not: they are sent again, and answered again.
    Own,
}

/// What is asked of the lanes for a backfill.
#[derive(Default)]
struct Posting {
    /// In order, each with the place of its event; none for terms that are to be remembered.
    requests: Vec<(Option<usize>, CustomerId, Command)>,
    /// Events that the history or the backfill has already, each with the field in which what it has differs, if it does.
    known: Vec<(usize, Option<String>)>,
}

impl Posting {
    fn requests(&self) -> Vec<Request> {
        let requests = self.requests.iter();
        requests
            .map(|(_, customer, command)| request(customer, command))
            .collect()
    }

    fn terms_only(&self) -> Vec<Request> {
        let terms = self.requests.iter().filter(|(index, ..)| index.is_none());
        terms
            .map(|(_, customer, command)| request(customer, command))
            .collect()
    }

    /// What is left out before anything is asked.
    fn tally(&self) -> BackfillTally {
        let same = self.known.iter().filter(|(_, differs)| differs.is_none()).count() as u64;
        BackfillTally {
            known: same,
            refused: self.known.len() as u64 - same,
            ..BackfillTally::default()
        }
    }

    /// What the replies of a rehearsal come to.
    fn preview(&self, as_of: Timestamp, events: &Events, replies: Vec<Reply>) -> BackfillPreview {
        let mut preview = BackfillPreview {
            as_of,
            tally: self.tally(),
            ..BackfillPreview::default()
        };
        let mut all = Sums::default();
        let mut customers: BTreeMap<&CustomerId, (u64, Sums, Vec<AssetBalance>)> = BTreeMap::new();
        let mut problems = Vec::new();
        for (index, differs) in &self.known {
            let has = "the customer has an event of this id already";
            problems.push(match differs {
                None => problem(events, *index, "known", has.to_string()),
                Some(field) => problem(events, *index, "conflict", format!("{has}: {field} differs")),
            });
        }
        for ((index, customer, _), reply) in self.requests.iter().zip(replies) {
            let Some(index) = *index else { continue };
            let own = customers.entry(customer).or_default();
            match reply {
                Reply::Done(done) => match done.answer {
                    Answer::Charged { charges, balances } => {
                        preview.tally.charged += 1;
                        own.0 += 1;
                        own.1.add(&charges);
                        all.add(&charges);
                        own.2 = balances;
                    }
                    _ => preview.tally.unpriced += 1,
                },
                Reply::Conflict { field } => {
                    preview.tally.refused += 1;
                    let message = format!("another event was backfilled under this id: {field} differs");
                    problems.push(problem(events, index, "conflict", message));
                }
                Reply::Refused(refusal) => {
                    preview.tally.refused += 1;
                    problems.push(problem(events, index, "refused", refusal.to_string()));
                }
                _ => {
                    preview.tally.refused += 1;
                    problems.push(problem(events, index, "stopped", "the server stops".to_string()));
                }
            }
        }
        problems.sort_by_key(|problem| problem.index);
        problems.truncate(BACKFILL_PROBLEMS_MAX);
        preview.problems = problems;
        preview.charges = all.lines();
        let customers = customers.into_iter();
        preview.customers = customers
            .map(|(customer, (charged, sums, balances))| BackfilledCustomer {
                customer: customer.clone(),
                charged,
                charges: sums.lines(),
                balances,
            })
            .collect();
        preview
    }
}

/// Sums of charges, by code and asset.
#[derive(Default)]
struct Sums(BTreeMap<(ChargeCode, Asset), (i128, i128)>);

impl Sums {
    fn add(&mut self, charges: &[Line]) {
        for line in charges {
            let sum = self.0.entry((line.code.clone(), line.asset.clone())).or_default();
            sum.0 = sum.0.saturating_add(line.amount.get());
            sum.1 = sum.1.saturating_add(line.quantity.get());
        }
    }

    fn lines(self) -> Vec<Line> {
        let sums = self.0.into_iter();
        sums.map(|((code, asset), (amount, quantity))| Line {
            code,
            asset,
            amount: Nanos::new(amount),
            quantity: Nanos::new(quantity),
        })
        .collect()
    }
}

fn request(customer: &CustomerId, command: &Command) -> Request {
    Request {
        customer: customer.clone(),
        ask: Ask::Command(Box::new(command.clone())),
    }
}

fn is_event(request: &Request) -> bool {
    matches!(&request.ask, Ask::Command(command) if matches!(**command, Command::Backfill(_)))
}

fn count(tally: &mut BackfillTally, reply: &Reply) -> Result<(), ControlError> {
    match reply {
        Reply::Done(done) => match done.answer {
            Answer::Charged { .. } => tally.charged += 1,
            _ => tally.unpriced += 1,
        },
        Reply::Conflict { .. } | Reply::Refused(_) => tally.refused += 1,
        _ => return Err(ControlError::Stopped),
    }
    Ok(())
}

fn problem(events: &Events, index: usize, code: &'static str, message: String) -> BackfillProblem {
    let (customer, event) = &events[index];
    BackfillProblem {
        index,
        customer: customer.clone(),
        event: event.reference(),
        code,
        message,
    }
}

/// Under which name the events of a backfill are kept.
fn events_blob(hash: Hash) -> String {
    format!("backfill-{hash}")
}

/// What a change of a backfill changes in its control plane.
pub(crate) fn make(
    state: &ControlState,
    id: &CallId,
    new: BackfillState,
) -> Result<Vec<ControlEffect>, ControlError> {
    if let Some(known) = state.backfills.get(id) {
        return match (known.events == new.events, known.reason == new.reason) {
            (true, true) => Ok(Vec::new()),
            (false, _) => Err(ControlError::Conflict { field: "events" }),
            (true, false) => Err(ControlError::Conflict { field: "reason" }),
        };
    }
    if state.backfills.len() >= BACKFILLS_PER_TENANT_MAX {
        return Err(ControlError::TooManyBackfills {
            max: BACKFILLS_PER_TENANT_MAX,
        });
    }
    Ok(vec![ControlEffect::BackfillPut(id.clone(), Box::new(new))])
}

/// What moving a backfill on changes; nothing where it stands there already.
pub(crate) fn advance(
    state: &ControlState,
    id: &CallId,
    to: BackfillStage,
    tally: Option<BackfillTally>,
    at: Timestamp,
) -> Result<Vec<ControlEffect>, ControlError> {
    let unknown = || ControlError::UnknownBackfill(id.to_string());
    let mut moved = state.backfills.get(id).cloned().ok_or_else(unknown)?;
    if moved.stage >= to {
        return Ok(Vec::new());
    }
    moved.stage = to;
    moved.moved = at;
    moved.tally = tally.unwrap_or(moved.tally);
    Ok(vec![ControlEffect::BackfillPut(id.clone(), Box::new(moved))])
}
