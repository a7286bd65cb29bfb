//! A wallet's part in a round: its commands, once they can be decided, and how each is decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_ledger::{Refusal, Retry, Wallet, append, compare, timer_of};
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::correction::Consequence;
use farebox_record::ids::{CustomerId, GrantId, SubscriptionId, TenantId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{HoldEnd, Pricing, Seen, Verdict};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{GrantState, SubjectState};
use farebox_record::time::Timestamp;
use farebox_store::{IdHash, WalletKey};

use crate::controls::Controls;
use crate::lane::job::Job;
use crate::lane::pricing::{Place, Question};
use crate::lane::slot::Slot;
use crate::lane::slots::SlotId;
use crate::lane::transition::retried_at;
use crate::loader::Load;
use crate::request::{Done, Reply};

/// A wallet's part in a round.
pub(super) struct Turn {
    pub id: SlotId,
    pub key: WalletKey,
    pub tenant: TenantId,
    pub customer: CustomerId,
    pub slot: Box<Slot>,
    pub now: Timestamp,
    /// The machine's time, where the tenant is a sandbox: that can stand in any year.
    pub sandbox: Option<Timestamp>,
    pub staged: Vec<Staged>,
    pub agenda: Agenda,
    /// Where the wallet goes on, because a plan of it is slow.
    pub siding: Option<usize>,
    /// Largest record that the store takes.
    pub record_bytes_max: usize,
}

/// What came of deciding a command.
pub(super) enum Decided {
    /// It is decided.
    Done,
    /// Events must be looked for first: those that the plan's answer gives back of, or the one that a timer charges for.
    NotYet(Job),
    /// The record would be larger than the store takes; it is answered so. The wallet must go back to what is shipped
    /// ([`Slot::take_back`]).
    TooLarge,
}

/// Where a wallet's agenda stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agenda {
    /// Nothing that can be handled is overdue.
    Empty,
    /// What comes next waits for a loader.
    Waits,
    /// More is overdue than one turn handles. The wallet goes on when what it made is durable, so that a long past holds
    /// up neither other wallets nor memory.
    Open,
}

/// A command that is ready to be decided.
pub(super) struct Staged {
    pub job: Job,
    pub id: Option<IdHash>,
    pub step: Step,
}

/// How a command is decided.
pub(super) enum Step {
    /// An earlier request was made under its id.
    Replay(Arc<Record>),
    /// It cannot be carried out, and leaves no trace.
    Refuse(Refusal),
    /// What it is about is archived, and not at hand. It leaves no trace.
    Archived,
    /// The ledger decides, with what a plan says.
    Ask(Box<Question>, Place),
    /// The ledger decides, with what a plan said already.
    Answered(Box<Question>, farebox_runtime::Verdict),
    /// The ledger decides.
    Apply {
        /// What a plan said already.
        pricing: Option<Box<Pricing>>,
        /// Whether the decision depends on the control plane.
        control: bool,
    },
    /// The ledger decides a correction that reaches further than its event.
    Correct {
        /// What the plan says of what takes the event's place.
        pricing: Option<Box<Pricing>>,
        /// What it means beyond the event.
        consequence: Box<Consequence>,
        /// Grants that other events took from, as they were opened.
        ended: BTreeMap<GrantId, GrantState>,
        /// When what takes the event's place happened.
        time: Option<Timestamp>,
    },
    /// The wallet is shown.
    Show,
    /// The wallet is shown, and how a hold ended.
    ShowHold(Option<HoldEnd>),
    /// What was handled of the agenda is told.
    CaughtUp,
}

impl Turn {
    /// What is known of closed terms.
    pub fn terms(&self) -> impl Fn(&SubscriptionId, u32) -> Option<Option<TermState>> {
        |subscription, number| Some(self.slot.term(subscription, number)?.cloned())
    }

    /// The state of the subject that a question is about; none where it is about none. An error is what must be loaded first.
    pub fn subject_state(&self, question: &Question) -> Result<Option<&SubjectState>, Load> {
        let Some(subject) = question.subject() else {
            return Ok(None);
        };
        self.state_of(&question.subscription, subject).map(Some)
    }

    /// The state of a subject. An error is what must be loaded first.
    pub fn state_of(&self, subscription: &SubscriptionId, name: &str) -> Result<&SubjectState, Load> {
        match self.slot.subject(subscription, name) {
            Some(state) => Ok(state),
            None => Err(Load::Subject {
                wallet: self.key.clone(),
                subscription: subscription.clone(),
                subject: name.to_string(),
            }),
        }
    }

    /// Decides one command. Its answer is kept until everything that it shows is durable.
    pub fn decide(
        &mut self,
        staged: Staged,
        controls: &Controls,
        answer: impl FnOnce(Place) -> Option<farebox_runtime::Verdict>,
    ) -> Decided {
        let Staged { job, id, step } = staged;
        let mut beyond = None;
        let (pricing, control, time) = match step {
            Step::Replay(record) => {
                self.replay(job, &record);
                return Decided::Done;
            }
            Step::Refuse(refusal) => {
                self.slot.answered(job, Some(Reply::Refused(refusal)));
                return Decided::Done;
            }
            Step::Archived => {
                self.slot.answered(job, Some(Reply::Archived));
                return Decided::Done;
            }
            Step::Show => {
                self.show(job, Reply::Wallet);
                return Decided::Done;
            }
            Step::CaughtUp => {
                let reply = Reply::CaughtUp(self.slot.caught_up);
                self.slot.answered(job, Some(reply));
                return Decided::Done;
            }
            Step::ShowHold(end) => {
                self.show(job, |wallet| Reply::Hold(wallet, end));
                return Decided::Done;
            }
            Step::Apply { pricing, control } => (pricing.map(|p| *p), control, None),
            Step::Correct {
                pricing,
                consequence,
                ended,
                time,
            } => {
                beyond = Some((consequence, ended));
                (pricing.map(|p| *p), true, time)
            }
            Step::Answered(question, verdict) => {
                (Some(question.answered(verdict)), true, Some(question.time))
            }
            Step::Ask(question, place) => {
                let pricing = answer(place).map(|verdict| question.answered(verdict));
                (pricing, true, Some(question.time))
            }
        };
        let Some(command) = job.command().cloned() else {
            return Decided::Done;
        };
        let names = named_by(&command, pricing.as_ref());
        let corrects = job.corrects();
        if names
            .iter()
            .any(|event| !self.slot.looked_for(event, corrects.as_ref()))
        {
            let archived = names.iter().any(|event| self.slot.take_archived_original(event));
            if !archived {
                self.slot.want(names);
                return Decided::NotYet(job);
            }
            // What a timer charges for an event that nobody can read any more belongs to the subscription alone.
            if timer_of(&command).is_none() {
                self.slot.answered(job, Some(Reply::Archived));
                return Decided::Done;
            }
        }
        let (mut original, mut named) = match command {
            Command::Void(_) | Command::Amend(_) | Command::Refund(_) => self.slot.take_original(),
            _ => (None, Vec::new()),
        };
        let known: Vec<EventRef> = named.iter().map(|o| o.standing.event.reference()).collect();
        let more = self.slot.named(&names).into_iter();
        named.extend(more.filter(|o| !known.contains(&o.standing.event.reference())));
        if timer_of(&command).is_none() {
            let found = |event: &EventRef| named.iter().any(|o| o.standing.event.reference() == *event);
            for event in names.into_iter().filter(|event| !found(event)) {
                self.slot.awaits(event);
            }
        }
        let consequence = beyond.map(|(consequence, ended)| {
            if let Some(original) = &mut original {
                original.ended.extend(ended);
            }
            consequence
        });
        let Some(wallet) = self.slot.wallet.as_mut() else {
            return Decided::Done;
        };
        let version = controls.version(&self.tenant);
        let time = time.unwrap_or_else(|| event_time(&command).unwrap_or(self.now));
        let seen = Seen {
            control: version,
            time,
            pricing,
            original,
            consequence,
            named,
        };
        match append(wallet, &self.tenant, &self.customer, command, seen, self.now) {
            Ok((_, body)) if body.len() > self.record_bytes_max => {
                self.too_large(job, body.len());
                return Decided::TooLarge;
            }
            Ok((record, body)) => {
                let (answer, at) = (record.outcome.answer.clone(), record.at);
                let done = Done {
                    answer,
                    replayed: false,
                    at,
                    sequence: record.sequence,
                };
                self.slot.decided(
                    job,
                    id,
                    (record, body),
                    Some(Reply::Done(done)),
                    control.then_some(version),
                    self.sandbox,
                );
            }
            Err(refusal) => self.slot.answered(job, Some(Reply::Refused(refusal))),
        }
        Decided::Done
    }

    /// Its record cannot be kept. What fell due by itself comes up again without what its plan answered; where it is too large
    /// even so, it waits until the wallet is loaded anew.
    fn too_large(&mut self, job: Job, bytes: usize) {
        let refusal = Refusal::RecordTooLarge {
            bytes,
            max: self.record_bytes_max,
        };
        if let Some(Command::Due(due)) = job.command() {
            if self.slot.oversized.as_ref() == Some(due) {
                tracing::error!(wallet = ?self.key, ?due, %refusal, "an item on the agenda cannot be kept; the agenda waits");
                self.slot.stuck = Some(due.clone());
            }
            self.slot.oversized = Some(due.clone());
        }
        job.answer(Some(Reply::Refused(refusal)));
    }

    fn replay(&mut self, job: Job, first: &Record) {
        let Some(command) = job.command() else { return };
        let reply = match compare(command, first) {
            Retry::Same(answer) => Reply::Done(Done {
                answer,
                replayed: true,
                at: first.at,
                sequence: first.sequence,
            }),
            Retry::Conflict { field } => Reply::Conflict { field },
        };
        self.slot.answered(job, Some(reply));
    }

    fn show(&mut self, job: Job, reply: impl FnOnce(Arc<Wallet>) -> Reply) {
        let Some(wallet) = self.slot.wallet.clone() else {
            return;
        };
        self.slot.answered(job, Some(reply(Arc::new(wallet))));
    }
}

/// The events that must be known for an answer to be carried out.
fn named_by(command: &Command, pricing: Option<&Pricing>) -> Vec<EventRef> {
    let Some(about) = timer_of(command) else {
        return gives_back_of(command, pricing);
    };
    let matters = pricing.is_some_and(|pricing| match &pricing.verdict {
        // An answer that comes late counts for nothing where the event was taken back meanwhile.
        Verdict::Priced(_) if command.retried().is_some() => true,
        Verdict::Priced(priced) => !priced.charges.is_empty() || !priced.grants.is_empty(),
        Verdict::Rejected(_) | Verdict::Failed { .. } => false,
    });
    match matters {
        true => about.event.iter().cloned().collect(),
        false => Vec::new(),
    }
}

/// The events that an answer gives back of, where it is carried out. A hold relies on no give-back, and what is asked about
/// no event cannot give any.
fn gives_back_of(command: &Command, pricing: Option<&Pricing>) -> Vec<EventRef> {
    let carried_out = match command {
        Command::Authorize(authorize) => authorize.mode == AuthorizeMode::Settle,
        Command::Usage(_)
        | Command::Backfill(_)
        | Command::RateUnpriced(_)
        | Command::Settle(_)
        | Command::Amend(_) => true,
        _ => false,
    };
    match pricing.filter(|_| carried_out) {
        Some(pricing) => farebox_ledger::gives_back_of(&pricing.verdict),
        None => Vec::new(),
    }
}

/// When what a command tells happened, where that does not go by now.
fn event_time(command: &Command) -> Option<Timestamp> {
    match command {
        Command::Usage(event) => event.time,
        Command::Backfill(backfill) => backfill.event.time,
        Command::Authorize(authorize) => authorize.event.time,
        Command::RateUnpriced(rate) => Some(rate.event.time.unwrap_or(rate.received)),
        Command::Amend(amend) => amend.event.time,
        other => retried_at(other),
    }
}
