//! One round of a lane: take from each wallet what can be decided now, ask the plans in few calls, then decide in order.

use farebox_ledger::{Refusal, Wallet, retold, timer_of};
use farebox_record::command::{Command, Identity};
use farebox_record::event::Attributes;
use farebox_record::outcome::{Effect, HoldEnd, Pricing};
use farebox_record::plan::EventRef;
use farebox_record::record::identity_hash;
use farebox_record::time::Timestamp;
use farebox_runtime::Purpose;
use farebox_store::IdHash;

use crate::controls::Controls;
use crate::ids;
use crate::lane::Lane;
use crate::lane::job::{Job, Task};
use crate::lane::limit_bytes::LimitBytes;
use crate::lane::pricing::{self, Asked, Calls, Needs, Reported};
use crate::lane::siding;
use crate::lane::slot::{Known, Slot};
use crate::lane::slots::{Owner, SlotId};
use crate::lane::transition::{self, Told};
use crate::lane::turn::{Agenda, Decided, Staged, Step, Turn};
use crate::loader::Load;
use crate::refold;

/// What an extension says of a call besides its maximums.
static SAME_ATTRIBUTES: Attributes = Attributes::EMPTY;

/// Commands that one wallet contributes to a round, so that one busy wallet does not hold up its lane.
const STAGED_PER_WALLET_MAX: usize = 1_024;

/// What becomes of the head of a wallet's queue.
pub(super) enum Next {
    /// It is ready; more can follow in this round.
    Ready(Step),
    /// It is ready; nothing can follow before it is decided.
    Last(Step),
    /// It must see what this round decides first.
    NotYet,
    /// A loader must bring something first.
    Wait(Load),
    /// Everything that was decided before must be durable first.
    Land,
    /// The events behind the one that it corrects must be folded first; the wallet goes on without it.
    Aside(EventRef, Box<refold::Ask>),
    /// The few events that came while it was aside must be folded first.
    Fold(Box<refold::Ask>),
    /// Its plan is slow: it is asked on this [siding](super::siding), where nobody else waits for it.
    Slow(usize),
}

impl Lane {
    /// One round for these wallets; those that can go on after it are runnable again.
    pub(super) fn round(&mut self, controls: &Controls, ids: &[SlotId]) {
        let mut calls = std::mem::take(&mut self.calls);
        let mut turns = Vec::with_capacity(ids.len());
        for id in ids {
            if self.room_bytes == 0 || self.room_commands == 0 {
                self.slots.wake(*id);
            } else if let Some(turn) = self.turn(*id, controls, &mut calls) {
                turns.push(turn);
            }
        }
        let mut answers = calls.evaluate(&self.asking());
        self.calls = calls;
        for mut turn in turns {
            let mut staged = std::mem::take(&mut turn.staged).into_iter();
            while let Some(next) = staged.next() {
                let id = next.id;
                if let Step::Ask(question, place) = &next.step
                    && !answers.has(*place)
                {
                    turn.siding = Some(siding::of(&turn.tenant, &question.revision));
                    put_back(&mut turn.slot, Some((next.job, id)), staged);
                    break;
                }
                match turn.decide(next, controls, |place| answers.take(place)) {
                    Decided::Done => {}
                    Decided::NotYet(job) => {
                        put_back(&mut turn.slot, Some((job, id)), staged);
                        break;
                    }
                    Decided::TooLarge => {
                        put_back(&mut turn.slot, None, staged);
                        self.take_back(&mut turn);
                        break;
                    }
                }
            }
            if let Some(siding) = turn.siding {
                self.shunted.push((turn.id, siding));
            } else if turn.agenda == Agenda::Empty && turn.slot.can_run() && !turn.slot.queue.is_empty() {
                self.slots.wake(turn.id);
            }
            self.slots.put_back(turn.id, turn.slot);
        }
    }

    /// Takes what can be decided now from a wallet's queue. The slot leaves its place until the round is over.
    fn turn(&mut self, id: SlotId, controls: &Controls, calls: &mut Calls) -> Option<Turn> {
        if !self.slots.get(id)?.can_run() {
            return None;
        }
        let Owner { key, names } = self.slots.owner(id)?.clone();
        let (tenant, customer) = names?;
        let slot = self.slots.take(id)?;
        let clock = controls.now(&*self.shared.clock, &tenant);
        let now = slot.wallet.as_ref().map_or(clock, |w| clock.max(w.header().at));
        let sandbox = controls.sandbox_clock(&tenant);
        let sandbox = sandbox.map(|_| self.shared.clock.now(&tenant));
        let mut turn = Turn {
            id,
            key,
            tenant,
            customer,
            slot,
            now,
            sandbox,
            staged: Vec::new(),
            agenda: Agenda::Empty,
            siding: None,
            record_bytes_max: self.shared.store.record_bytes_max(),
        };
        // A wallet that only hears that its records are durable has nobody who asks for its present: its agenda can wait
        // for whoever does, or for the sweeper.
        if turn.slot.touched || !turn.slot.queue.is_empty() {
            turn.agenda = self.run_agenda(&mut turn, controls);
        }
        turn.slot.touched = turn.agenda != Agenda::Empty;
        let limits = turn.slot.wallet.as_ref().map(LimitBytes::of).unwrap_or_default();
        if !turn.slot.queue.is_empty() {
            self.room_bytes = self.room_bytes.saturating_sub(limits.once);
        }
        if turn.agenda == Agenda::Empty && self.look_for_wanted(&mut turn) {
            return Some(turn);
        }
        // One command at least: what a wallet's limits take alone may be more than a round has room for.
        while turn.agenda == Agenda::Empty
            && turn.staged.len() < STAGED_PER_WALLET_MAX
            && self.room_commands > 0
            && (self.room_bytes > 0 || turn.staged.is_empty())
            && let Some(job) = turn.slot.queue.pop_front()
        {
            let id = job.id(&turn.tenant, &turn.customer);
            let bytes = job.record_bytes() + limits.each;
            match self.next(&mut turn, &job, id, controls, calls) {
                Next::Ready(step) => {
                    self.takes_room(bytes);
                    turn.staged.push(Staged { job, id, step });
                }
                Next::Last(step) => {
                    self.takes_room(bytes);
                    turn.staged.push(Staged { job, id, step });
                    break;
                }
                Next::Slow(siding) => {
                    turn.slot.queue.push_front(job);
                    turn.siding = Some(siding);
                    break;
                }
                Next::NotYet => {
                    turn.slot.queue.push_front(job);
                    break;
                }
                Next::Land => {
                    turn.slot.queue.push_front(job);
                    break;
                }
                Next::Wait(load) => {
                    turn.slot.queue.push_front(job);
                    turn.slot.wait();
                    self.ask(load);
                    break;
                }
                Next::Aside(event, ask) => {
                    turn.slot.put_aside(event, job);
                    self.ask_fold(*ask);
                }
                Next::Fold(ask) => {
                    turn.slot.queue.push_front(job);
                    turn.slot.wait();
                    self.ask_fold(*ask);
                    break;
                }
            }
        }
        Some(turn)
    }

    /// A command is staged whose record may have so many bytes.
    fn takes_room(&mut self, bytes: usize) {
        self.room_bytes = self.room_bytes.saturating_sub(bytes);
        self.room_commands = self.room_commands.saturating_sub(1);
    }

    /// What was decided last cannot be kept: the wallet goes back to what was shipped, and what was decided since is decided
    /// again.
    pub(super) fn take_back(&self, turn: &mut Turn) {
        if turn.slot.take_back() {
            self.load(&turn.key, false);
        }
    }

    /// Has a loader look for the events that the plan gives back of when it prices the head of the queue. True: the wallet
    /// waits for that. The plan is asked again then, about a wallet that may have moved on.
    pub(super) fn look_for_wanted(&self, turn: &mut Turn) -> bool {
        if !turn.slot.wants() {
            return false;
        }
        // What is decided may be about them, and is found when it is durable.
        if turn.slot.wait_to_land() {
            return true;
        }
        if let Some(wanted) = turn.slot.wanted() {
            turn.slot.wait();
            self.ask(Load::Named {
                wallet: turn.key.clone(),
                events: wanted.events,
                ahead: wanted.ahead,
                behind: wanted.behind,
            });
        }
        true
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
            match self.look_up(turn, id) {
                Known::Present(record) => return Next::Ready(Step::Replay(record)),
                Known::Archived => return Next::Ready(Step::Archived),
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
            Task::CatchUp => Next::Ready(Step::CaughtUp),
            Task::ReadHold(hold) => self.hold_end(turn, hold, |end| Next::Ready(Step::ShowHold(end))),
            Task::Command(command) => self.next_command(turn, job, command, controls, calls),
        };
        if let (Some(id), Next::Wait(_) | Next::NotYet | Next::Land | Next::Fold(_) | Next::Slow(_)) =
            (id, &next)
        {
            // The look-up was for this command and may be needed again; nobody else asks in between. One that goes aside
            // is looked up again, because the same may have been asked, and carried out, meanwhile.
            turn.slot.keep_absent(id);
        }
        next
    }

    fn next_command(
        &self,
        turn: &mut Turn,
        job: &Job,
        command: &Command,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        let plain = |control| Step::Apply {
            pricing: None,
            control,
        };
        if let Some(siding) = self.siding_for(turn, command, controls) {
            return Next::Slow(siding);
        }
        match command {
            Command::PutCustomer(_)
            | Command::Grant(_)
            | Command::Due(_)
            | Command::Adjust(_)
            | Command::Pay(_)
            | Command::PutLimit(_)
            | Command::DeleteLimit(_) => Next::Ready(plain(false)),
            Command::Subscribe(subscribe) => self.transition(turn, |wallet| {
                // The ledger refuses a customer that does not exist.
                wallet.header().customer.as_ref()?;
                transition::start(command, subscribe, wallet, &self.told(turn, controls), turn.now)
            }),
            Command::ChangeSubscription(change) => self.transition(turn, |wallet| {
                transition::change(command, change, wallet, &self.told(turn, controls), turn.now)
            }),
            Command::RetryTransition(_) | Command::RetryChange(_) => self.retry(turn, command, controls),
            // What is staged behind it may belong to the term.
            Command::RememberTerm(_) if turn.staged.is_empty() => Next::Last(plain(false)),
            Command::RememberTerm(_) => Next::NotYet,
            Command::Usage(_) | Command::Authorize(_) | Command::RateUnpriced(_) | Command::Backfill(_) => {
                self.price(turn, command, None, controls, calls)
            }
            Command::Refund(_) | Command::Void(_) | Command::Amend(_) => {
                self.correction(turn, job, command, controls, calls)
            }
            Command::Settle(settle) => self.with_hold(
                turn,
                &settle.hold,
                Some(Reported {
                    measures: &settle.measures,
                    attributes: &settle.attributes,
                    purpose: Purpose::Usage,
                }),
                controls,
                calls,
            ),
            Command::Extend(extend) if !extend.measures.is_empty() => self.with_hold(
                turn,
                &extend.hold,
                Some(Reported {
                    measures: &extend.measures,
                    attributes: &SAME_ATTRIBUTES,
                    purpose: Purpose::WorstCase,
                }),
                controls,
                calls,
            ),
            Command::Extend(extend) => self.with_hold(turn, &extend.hold, None, controls, calls),
            // What parts of it used is what it used, and the plan is asked about the whole of that once more.
            Command::Release(release) => {
                let wallet = turn.slot.wallet.as_ref();
                let used = wallet.and_then(|wallet| wallet.used(&release.hold)).cloned();
                let reported = used.as_ref().map(Reported::used);
                self.with_hold(turn, &release.hold, reported, controls, calls)
            }
        }
    }

    /// An event that is to be priced by the plan that owns its type. `corrected` is when the event of an amendment
    /// happened.
    pub(super) fn price(
        &self,
        turn: &mut Turn,
        command: &Command,
        corrected: Option<Timestamp>,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        let plain = || {
            Next::Ready(Step::Apply {
                pricing: None,
                control: true,
            })
        };
        let (Some(wallet), Some(asked)) =
            (turn.slot.wallet.as_ref(), Asked::of(command, turn.now, corrected))
        else {
            return plain();
        };
        let needs = asked.needs(wallet, &turn.tenant, controls, &turn.terms(), turn.now);
        match needs {
            Needs::Nothing => plain(),
            needs => self.ask_plan(turn, needs, controls, calls),
        }
    }

    pub(super) fn told<'a>(&'a self, turn: &'a Turn, controls: &'a Controls) -> Told<'a> {
        Told {
            runtime: &self.shared.runtime,
            tenant: &turn.tenant,
            controls,
            now: turn.now,
            subject: None,
        }
    }

    /// A change of a subscription: its plan is asked at once, about the wallet as it is.
    fn transition(&self, turn: &Turn, ask: impl FnOnce(&Wallet) -> Option<Pricing>) -> Next {
        if !turn.staged.is_empty() {
            return Next::NotYet;
        }
        let pricing = turn.slot.wallet.as_ref().and_then(ask);
        Next::Last(Step::Apply {
            pricing: pricing.map(Box::new),
            control: true,
        })
    }

    /// A plan that had no answer is asked again: the one that was asked, where its term is over by now.
    fn retry(&self, turn: &Turn, command: &Command, controls: &Controls) -> Next {
        let wallet = turn.slot.wallet.as_ref();
        let Some(again) = wallet.and_then(|wallet| retold(wallet, command)) else {
            return self.transition(turn, |_| None);
        };
        let mut term = None;
        if let (Some(number), true) = (again.term, turn.staged.is_empty()) {
            let id = &again.subscription;
            match turn.slot.term(id, number) {
                Some(known) => term = known,
                None => {
                    return Next::Wait(Load::Term {
                        wallet: turn.key.clone(),
                        subscription: id.clone(),
                        number,
                    });
                }
            }
        }
        let mut subject = None;
        if let (Some(about), true) = (timer_of(command), turn.staged.is_empty()) {
            match turn.state_of(&again.subscription, &about.subject) {
                Ok(state) => subject = Some((&about.subject[..], state)),
                Err(load) => return Next::Wait(load),
            }
        }
        self.transition(turn, |wallet| {
            let told = Told {
                subject,
                ..self.told(turn, controls)
            };
            transition::retry(command, &again, term, wallet, &told, turn.now)
        })
    }

    /// A command about a hold: it must be there, and no command before it in this round may be about it too.
    fn with_hold(
        &self,
        turn: &mut Turn,
        hold: &EventRef,
        reported: Option<Reported<'_>>,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        let about = |staged: &Staged| staged.job.command().is_some_and(|c| is_about(c, hold));
        if turn.staged.iter().any(about) {
            return Next::NotYet;
        }
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Next::NotYet;
        };
        let Some(held) = wallet.hold(hold) else {
            return self.hold_end(turn, hold, |end| {
                Next::Ready(Step::Refuse(match end {
                    Some(end) => Refusal::HoldEnded { end },
                    None => Refusal::UnknownHold,
                }))
            });
        };
        let needs = match reported {
            None => Needs::Nothing,
            Some(reported) => pricing::hold_question(
                held,
                wallet,
                &reported,
                &turn.tenant,
                controls,
                &turn.terms(),
                turn.now,
            ),
        };
        match needs {
            Needs::Nothing => Next::Ready(Step::Apply {
                pricing: None,
                control: false,
            }),
            needs => self.ask_plan(turn, needs, controls, calls),
        }
    }

    /// What is known of an id.
    fn look_up(&self, turn: &mut Turn, id: IdHash) -> Known {
        let (store, is_sandbox) = (&*self.shared.store, turn.sandbox.is_some());
        turn.slot
            .lookup(id, |id| ids::may_have_seen(store, id, is_sandbox))
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
        match self.look_up(turn, id) {
            Known::Unknown => Next::Wait(Load::Find {
                wallet: turn.key.clone(),
                id,
            }),
            Known::Absent => then(None),
            Known::Archived => Next::Ready(Step::Archived),
            Known::Present(record) => then(record.outcome.effects.iter().find_map(|effect| match effect {
                Effect::HoldEnded(ended, end) if ended == hold => Some(*end),
                _ => None,
            })),
        }
    }

    fn ask_plan(&self, turn: &mut Turn, needs: Needs, controls: &Controls, calls: &mut Calls) -> Next {
        let mut question = match needs {
            Needs::Answer(question) => question,
            Needs::Nothing => return Next::NotYet,
            Needs::Term(subscription, number) if turn.staged.is_empty() => {
                return Next::Wait(Load::Term {
                    wallet: turn.key.clone(),
                    subscription,
                    number,
                });
            }
            // What is staged may change the term.
            Needs::Term(..) => return Next::NotYet,
        };
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Next::NotYet;
        };
        question.turn_to_reader(wallet, None, None, &turn.tenant, controls, turn.now);
        loop {
            if let Some(siding) = self.siding_of(&turn.tenant, &question.revision) {
                return Next::Slow(siding);
            }
            // A price that depends on state or balances must see everything before it decided.
            let alone = !question.is_independent();
            if alone && !turn.staged.is_empty() {
                return Next::NotYet;
            }
            if alone && question.purpose == Purpose::WorstCase && question.term.is_none() {
                return self.quote(turn, question, controls);
            }
            let state = match turn.subject_state(&question) {
                Ok(state) => state,
                Err(load) => return Next::Wait(load),
            };
            if state.is_some()
                && question.turn_to_reader(wallet, None, state, &turn.tenant, controls, turn.now)
            {
                continue;
            }
            let place = calls.ask(&turn.tenant, wallet, &question, state);
            let step = Step::Ask(question, place);
            return if alone {
                Next::Last(step)
            } else {
                Next::Ready(step)
            };
        }
    }
}

/// Puts commands that cannot be decided yet back into their queue: one, with those that were staged behind it.
fn put_back(slot: &mut Slot, head: Option<(Job, Option<IdHash>)>, behind: impl Iterator<Item = Staged>) {
    let mut jobs = Vec::from_iter(head);
    for Staged { job, id, step } in behind {
        // An id that was answered before is looked up again.
        let absent = id.filter(|_| !matches!(step, Step::Replay(_) | Step::Archived));
        jobs.push((job, absent));
    }
    for (job, absent) in jobs.into_iter().rev() {
        if let Some(id) = absent {
            slot.keep_absent(id);
        }
        slot.queue.push_front(job);
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
