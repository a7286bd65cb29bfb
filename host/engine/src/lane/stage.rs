//! One round of a lane: take from each wallet what can be decided now, ask the plans in few calls, then decide in order.

use std::sync::Arc;

use farebox_ledger::{Refusal, Retry, Wallet, append, compare};
use farebox_record::command::{Command, Identity};
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::outcome::{Effect, HoldEnd, Pricing, Seen};
use farebox_record::plan::EventRef;
use farebox_record::record::{Record, identity_hash};
use farebox_record::time::Timestamp;
use farebox_runtime::Purpose;
use farebox_store::{IdHash, WalletKey};

use crate::controls::Controls;
use crate::lane::Lane;
use crate::lane::job::{Job, Task, customer_of, tenant_of};
use crate::lane::pricing::{self, Calls, Place, Question, Reported};
use crate::lane::slot::{Known, Slot};
use crate::loader::Load;
use crate::request::{Done, Reply};

/// Commands that one wallet contributes to a round, so that one busy wallet does not hold up its lane.
const STAGED_PER_WALLET_MAX: usize = 1_024;

/// A wallet's part in a round.
struct Turn {
    key: WalletKey,
    tenant: TenantId,
    customer: CustomerId,
    slot: Slot,
    now: Timestamp,
    staged: Vec<Staged>,
}

/// A command that is ready to be decided.
struct Staged {
    job: Job,
    id: Option<IdHash>,
    step: Step,
}

/// How a command is decided.
enum Step {
    /// An earlier request was made under its id.
    Replay(Arc<Record>),
    /// It cannot be carried out, and leaves no trace.
    Refuse(Refusal),
    /// The ledger decides, with what a plan says.
    Ask(Box<Question>, Place),
    /// The ledger decides.
    Apply {
        /// What a plan said already.
        pricing: Option<Box<Pricing>>,
        /// Whether the decision depends on the control plane.
        control: bool,
    },
    /// The wallet is shown.
    Show,
    /// The wallet is shown, and how a hold ended.
    ShowHold(Option<HoldEnd>),
}

/// What becomes of the head of a wallet's queue.
enum Next {
    /// It is ready; more can follow in this round.
    Ready(Step),
    /// It is ready; nothing can follow before it is decided.
    Last(Step),
    /// It must see what this round decides first.
    NotYet,
    /// A loader must bring something first.
    Wait(Load),
}

impl Lane {
    /// One round for these wallets; those that can go on after it are runnable again.
    pub(super) fn round(&mut self, controls: &Controls, keys: &[WalletKey]) {
        let mut calls = std::mem::take(&mut self.calls);
        let mut turns = Vec::with_capacity(keys.len());
        for key in keys {
            if self.room_bytes == 0 {
                self.runnable.push(key.clone());
            } else if let Some(turn) = self.turn(key, controls, &mut calls) {
                turns.push(turn);
            }
        }
        let mut answers = calls.evaluate(&self.shared.runtime);
        self.calls = calls;
        for mut turn in turns {
            for staged in std::mem::take(&mut turn.staged) {
                turn.decide(staged, controls, |place| answers.take(place));
            }
            if turn.slot.can_run() && !turn.slot.queue.is_empty() {
                self.runnable.push(turn.key.clone());
            }
            self.slots.insert(turn.key, turn.slot);
        }
    }

    /// Takes what can be decided now from a wallet's queue. The slot leaves the lane's map until the round is over.
    fn turn(&mut self, key: &WalletKey, controls: &Controls, calls: &mut Calls) -> Option<Turn> {
        if !self.slots.get(key)?.can_run() {
            return None;
        }
        let (tenant, customer) = (tenant_of(key)?, customer_of(key)?);
        let slot = self.slots.remove(key)?;
        let clock = self.shared.clock.now(&tenant);
        let now = slot.wallet.as_ref().map_or(clock, |w| clock.max(w.header().at));
        let mut turn = Turn {
            key: key.clone(),
            tenant,
            customer,
            slot,
            now,
            staged: Vec::new(),
        };
        turn.slot.touched = false;
        self.run_agenda(&mut turn, controls);
        while turn.staged.len() < STAGED_PER_WALLET_MAX
            && self.room_bytes > 0
            && let Some(job) = turn.slot.queue.pop_front()
        {
            let id = job.id(&turn.tenant, &turn.customer);
            let bytes = job.record_bytes();
            match self.next(&mut turn, &job, id, controls, calls) {
                Next::Ready(step) => {
                    self.room_bytes = self.room_bytes.saturating_sub(bytes);
                    turn.staged.push(Staged { job, id, step });
                }
                Next::Last(step) => {
                    self.room_bytes = self.room_bytes.saturating_sub(bytes);
                    turn.staged.push(Staged { job, id, step });
                    break;
                }
                Next::NotYet => {
                    turn.slot.queue.push_front(job);
                    break;
                }
                Next::Wait(load) => {
                    turn.slot.queue.push_front(job);
                    turn.slot.wait();
                    self.ask(load);
                    break;
                }
            }
        }
        Some(turn)
    }

    /// Handles everything that is overdue, before any command of this time. Where that is more than may be shipped at once,
    /// the wallet is runnable again, and nothing else is done for it before.
    fn run_agenda(&mut self, turn: &mut Turn, controls: &Controls) {
        while let Some(due) = turn
            .slot
            .wallet
            .as_ref()
            .and_then(|wallet| wallet.overdue(turn.now))
        {
            if self.room_bytes == 0 {
                self.runnable.push(turn.key.clone());
                return;
            }
            let pricing = match (&turn.slot.wallet, Wallet::needs_plan(&due.item)) {
                (Some(wallet), true) => {
                    pricing::due(&due, wallet, &self.shared.runtime, &turn.tenant, controls).map(Box::new)
                }
                _ => None,
            };
            let control = pricing.is_some();
            let job = Job::due(&turn.key, due.clone());
            let before = turn.slot.wallet.as_ref().map(|w| w.header().sequence);
            turn.decide(
                Staged {
                    job,
                    id: None,
                    step: Step::Apply { pricing, control },
                },
                controls,
                |_| None,
            );
            if turn.slot.wallet.as_ref().map(|w| w.header().sequence) == before {
                tracing::error!(wallet = ?turn.key, ?due, "an item on the agenda cannot be handled; the agenda waits");
                return;
            }
            self.room_bytes = self.room_bytes.saturating_sub(turn.slot.newest_bytes());
        }
    }

    /// Looks at the head of the queue.
    fn next(
        &self,
        turn: &mut Turn,
        job: &Job,
        id: Option<IdHash>,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        if let Some(id) = id {
            if turn.staged.iter().any(|staged| staged.id == Some(id)) {
                return Next::NotYet;
            }
            match turn.slot.lookup(id, |id| self.shared.store.may_have_seen(id)) {
                Known::Present(record) => return Next::Ready(Step::Replay(record)),
                Known::Unknown => {
                    return Next::Wait(Load::Find {
                        wallet: turn.key.clone(),
                        id,
                    });
                }
                Known::Absent => {}
            }
        }
        let next = match &job.task {
            Task::Read => Next::Ready(Step::Show),
            Task::ReadHold(hold) => self.hold_end(turn, hold, |end| Next::Ready(Step::ShowHold(end))),
            Task::Command(command) => self.next_command(turn, command, controls, calls),
        };
        if let (Some(id), Next::Wait(_) | Next::NotYet) = (id, &next) {
            // The look-up was for this command and may be needed again; nobody else asks in between.
            turn.slot.keep_absent(id);
        }
        next
    }

    fn next_command(
        &self,
        turn: &mut Turn,
        command: &Command,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        let plain = |control| Step::Apply {
            pricing: None,
            control,
        };
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Next::NotYet;
        };
        match command {
            Command::PutCustomer(_) | Command::Grant(_) | Command::Due(_) => Next::Ready(plain(false)),
            Command::Subscribe(subscribe) => {
                if !turn.staged.is_empty() {
                    return Next::NotYet;
                }
                let started = match wallet.header().customer {
                    None => None,
                    Some(_) => {
                        pricing::start(subscribe, &self.shared.runtime, &turn.tenant, controls, turn.now)
                    }
                };
                Next::Last(Step::Apply {
                    pricing: started.map(Box::new),
                    control: true,
                })
            }
            Command::Usage(_) | Command::Authorize(_) | Command::RateUnpriced(_) => {
                match pricing::event_question(command, wallet, &turn.tenant, controls, turn.now) {
                    None => Next::Ready(plain(true)),
                    Some(question) => self.ask_plan(turn, question, calls),
                }
            }
            Command::Settle(settle) => self.with_hold(
                turn,
                &settle.hold,
                |turn, wallet| {
                    let hold = wallet.hold(&settle.hold)?;
                    pricing::hold_question(
                        hold,
                        wallet,
                        &Reported {
                            measures: &settle.measures,
                            attributes: &settle.attributes,
                            purpose: Purpose::Usage,
                        },
                        &turn.tenant,
                        controls,
                        turn.now,
                    )
                },
                calls,
            ),
            Command::Extend(extend) if !extend.measures.is_empty() => self.with_hold(
                turn,
                &extend.hold,
                |turn, wallet| {
                    let hold = wallet.hold(&extend.hold)?;
                    let same = &hold.event.attributes;
                    pricing::hold_question(
                        hold,
                        wallet,
                        &Reported {
                            measures: &extend.measures,
                            attributes: same,
                            purpose: Purpose::WorstCase,
                        },
                        &turn.tenant,
                        controls,
                        turn.now,
                    )
                },
                calls,
            ),
            Command::Extend(extend) => self.with_hold(turn, &extend.hold, |_, _| None, calls),
            Command::Release(release) => self.with_hold(turn, &release.hold, |_, _| None, calls),
        }
    }

    /// A command about a hold: it must be there, and no command before it in this round may be about it too.
    fn with_hold(
        &self,
        turn: &mut Turn,
        hold: &EventRef,
        question: impl FnOnce(&Turn, &Wallet) -> Option<Question>,
        calls: &mut Calls,
    ) -> Next {
        if turn
            .staged
            .iter()
            .any(|staged| staged.job.command().is_some_and(|c| is_about(c, hold)))
        {
            return Next::NotYet;
        }
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Next::NotYet;
        };
        if wallet.hold(hold).is_none() {
            return self.hold_end(turn, hold, |end| {
                Next::Ready(Step::Refuse(match end {
                    Some(end) => Refusal::HoldEnded { end },
                    None => Refusal::UnknownHold,
                }))
            });
        }
        match question(turn, wallet) {
            Some(question) => self.ask_plan(turn, question, calls),
            None => Next::Ready(Step::Apply {
                pricing: None,
                control: false,
            }),
        }
    }

    /// How a hold that the wallet does not have ended.
    fn hold_end(&self, turn: &mut Turn, hold: &EventRef, then: impl FnOnce(Option<HoldEnd>) -> Next) -> Next {
        if turn
            .slot
            .wallet
            .as_ref()
            .is_some_and(|wallet| wallet.hold(hold).is_some())
        {
            return then(None);
        }
        let identity = Identity::HoldEnd(hold.clone());
        let id = IdHash(identity_hash(&turn.tenant, &turn.customer, &identity));
        match turn.slot.lookup(id, |id| self.shared.store.may_have_seen(id)) {
            Known::Unknown => Next::Wait(Load::Find {
                wallet: turn.key.clone(),
                id,
            }),
            Known::Absent => then(None),
            Known::Present(record) => then(record.outcome.effects.iter().find_map(|effect| match effect {
                Effect::HoldEnded(ended, end) if ended == hold => Some(*end),
                _ => None,
            })),
        }
    }

    fn ask_plan(&self, turn: &Turn, question: Question, calls: &mut Calls) -> Next {
        // A price that depends on state or balances must see everything before it decided.
        let alone = !question.is_independent();
        if alone && !turn.staged.is_empty() {
            return Next::NotYet;
        }
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Next::NotYet;
        };
        let mut state = None;
        if let Some(subject) = question.subject() {
            state = turn.slot.subject(&question.subscription, subject);
            if state.is_none() {
                let (subscription, subject) = (question.subscription.clone(), subject.to_string());
                return Next::Wait(Load::Subject {
                    wallet: turn.key.clone(),
                    subscription,
                    subject,
                });
            }
        }
        let place = calls.ask(&turn.tenant, wallet, &question, state);
        let step = Step::Ask(Box::new(question), place);
        if alone {
            Next::Last(step)
        } else {
            Next::Ready(step)
        }
    }
}

/// Whether a command opens, changes or ends this hold.
fn is_about(command: &Command, hold: &EventRef) -> bool {
    match command {
        Command::Authorize(authorize) => {
            authorize.event.id == hold.id && authorize.event.source == hold.source
        }
        Command::Settle(settle) => settle.hold == *hold,
        Command::Extend(extend) => extend.hold == *hold,
        Command::Release(release) => release.hold == *hold,
        _ => false,
    }
}

impl Turn {
    /// Decides one command. Its answer is kept until everything that it shows is durable.
    fn decide(
        &mut self,
        staged: Staged,
        controls: &Controls,
        answer: impl FnOnce(Place) -> Option<farebox_runtime::Verdict>,
    ) {
        let Staged { job, step, .. } = staged;
        let (pricing, control, time) = match step {
            Step::Replay(record) => return self.replay(job, &record),
            Step::Refuse(refusal) => return self.slot.answered(job, Some(Reply::Refused(refusal))),
            Step::Show => return self.show(job, Reply::Wallet),
            Step::ShowHold(end) => return self.show(job, |wallet| Reply::Hold(wallet, end)),
            Step::Apply { pricing, control } => (pricing.map(|p| *p), control, None),
            Step::Ask(question, place) => {
                let pricing = answer(place).map(|verdict| question.answered(verdict));
                (pricing, true, Some(question.time))
            }
        };
        let Some(command) = job.command().cloned() else {
            return;
        };
        let Some(wallet) = self.slot.wallet.as_mut() else {
            return;
        };
        let version = controls.version(&self.tenant);
        let time = time.unwrap_or_else(|| event_time(&command).unwrap_or(self.now));
        let seen = Seen {
            control: version,
            time,
            pricing,
        };
        match append(wallet, &self.tenant, &self.customer, command, seen, self.now) {
            Ok((record, body)) => {
                let answer = record.outcome.answer.clone();
                let done = Done {
                    answer,
                    replayed: false,
                    at: record.at,
                    sequence: record.sequence,
                };
                self.slot.decided(
                    job,
                    record,
                    body,
                    Some(Reply::Done(done)),
                    control.then_some(version),
                );
            }
            Err(refusal) => self.slot.answered(job, Some(Reply::Refused(refusal))),
        }
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

fn event_time(command: &Command) -> Option<Timestamp> {
    match command {
        Command::Usage(event) => event.time,
        Command::Authorize(authorize) => authorize.event.time,
        Command::RateUnpriced(rate) => Some(rate.event.time.unwrap_or(rate.received)),
        _ => None,
    }
}
