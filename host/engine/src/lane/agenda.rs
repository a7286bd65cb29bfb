//! What falls due in a wallet by itself: handled before any command of its time, each item with its plan asked at once.

use farebox_ledger::Wallet;
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::state::{HoldState, HoldUsage};

use crate::controls::Controls;
use crate::lane::Lane;
use crate::lane::job::Job;
use crate::lane::pricing::{self, Needs, Reported};
use crate::lane::transition::{self, Told};
use crate::lane::turn::{Agenda, Decided, Staged, Step, Turn};
use crate::limits::AGENDA_ITEMS_PER_TURN_MAX;
use crate::loader::Load;

impl Lane {
    /// Handles what is overdue, before any command of this time: all of it, or as much as one turn handles.
    pub(super) fn run_agenda(&mut self, turn: &mut Turn, controls: &Controls) -> Agenda {
        let mut handled = 0;
        let items_max = AGENDA_ITEMS_PER_TURN_MAX.min(self.room_commands);
        while let Some(due) = turn
            .slot
            .wallet
            .as_ref()
            .and_then(|wallet| wallet.overdue(turn.now))
        {
            if handled == items_max || (handled > 0 && self.room_bytes == 0) {
                return Agenda::Open;
            }
            if turn.slot.stuck.as_ref() == Some(&due) {
                return Agenda::Empty;
            }
            let asks = Wallet::needs_plan(&due.item) || matches!(due.item, DueItem::HoldExpiry(_));
            if asks && let Some(siding) = self.siding_of_wallet(turn, None, controls) {
                turn.siding = Some(siding);
                return Agenda::Waits;
            }
            let step = match self.due(turn, &due, controls) {
                Ok(step) if turn.slot.oversized.as_ref() == Some(&due) => unanswered(step),
                Ok(step) => step,
                Err(load) => {
                    turn.slot.wait();
                    self.ask(load);
                    return Agenda::Waits;
                }
            };
            let job = Job::due(&turn.key, due.clone());
            let before = turn.slot.wallet.as_ref().map(|w| w.header().sequence);
            let staged = Staged { job, id: None, step };
            match turn.decide(staged, controls, |_| None) {
                Decided::Done => {}
                Decided::NotYet(_) => {
                    // The event that a timer charges for must be looked for first.
                    turn.slot.look_ahead(turn.now);
                    self.look_for_wanted(turn);
                    return Agenda::Waits;
                }
                Decided::TooLarge => {
                    self.take_back(turn);
                    return Agenda::Waits;
                }
            }
            if turn.slot.wallet.as_ref().map(|w| w.header().sequence) == before {
                tracing::error!(wallet = ?turn.key, ?due, "an item on the agenda cannot be handled; the agenda waits");
                return Agenda::Empty;
            }
            handled += 1;
            turn.slot.caught_up += 1;
            self.room_bytes = self.room_bytes.saturating_sub(turn.slot.newest_record_bytes());
        }
        Agenda::Empty
    }

    /// How an item of the agenda is decided: its plan is asked at once. An error is what must be loaded first.
    fn due(&self, turn: &Turn, due: &Due, controls: &Controls) -> Result<Step, Load> {
        let plain = |pricing: Option<Pricing>| Step::Apply {
            control: pricing.is_some(),
            pricing: pricing.map(Box::new),
        };
        let Some(wallet) = &turn.slot.wallet else {
            return Ok(plain(None));
        };
        if let DueItem::HoldExpiry(hold) = &due.item {
            let ends = wallet.hold(hold).filter(|held| held.expired.is_some());
            return match ends.zip(wallet.used(hold)) {
                Some((held, used)) => self.conclusion(turn, wallet, held, used, controls),
                None => Ok(plain(None)),
            };
        }
        if !Wallet::needs_plan(&due.item) {
            return Ok(plain(None));
        }
        let mut subject = None;
        if let DueItem::Timer {
            subscription,
            key,
            about: Some(about),
        } = &due.item
        {
            if wallet.is_over(subscription, key, about) {
                return Ok(plain(None));
            }
            subject = Some((&about.subject[..], turn.state_of(subscription, &about.subject)?));
        }
        let command = Command::Due(due.clone());
        let told = Told {
            subject,
            ..self.told(turn, controls)
        };
        Ok(plain(transition::due(&command, due, wallet, &told)))
    }

    /// The grace of a hold is over of which parts were settled: the plan is asked about the whole of them once more.
    fn conclusion(
        &self,
        turn: &Turn,
        wallet: &Wallet,
        held: &HoldState,
        used: &HoldUsage,
        controls: &Controls,
    ) -> Result<Step, Load> {
        let nobody = Step::Apply {
            pricing: None,
            control: false,
        };
        let reported = Reported::used(used);
        let needs = pricing::hold_question(
            held,
            wallet,
            &reported,
            &turn.tenant,
            controls,
            &turn.terms(),
            turn.now,
        );
        let mut question = match needs {
            Needs::Answer(question) => question,
            Needs::Nothing => return Ok(nobody),
            Needs::Term(subscription, number) => {
                return Err(Load::Term {
                    wallet: turn.key.clone(),
                    subscription,
                    number,
                });
            }
        };
        question.turn_to_reader(wallet, None, None, &turn.tenant, controls, turn.now);
        let mut state = turn.subject_state(&question)?;
        while state.is_some()
            && question.turn_to_reader(wallet, None, state, &turn.tenant, controls, turn.now)
        {
            state = turn.subject_state(&question)?;
        }
        let verdict = question.ask_alone(&self.shared.runtime, wallet, None, state);
        Ok(verdict.map_or(nobody, |verdict| Step::Answered(question, verdict)))
    }
}

/// The same where what the plan answered cannot be kept: nothing that a plan says may stop a wallet's time.
fn unanswered(step: Step) -> Step {
    match step {
        Step::Apply {
            pricing: Some(mut pricing),
            control,
        } => {
            pricing.verdict = Verdict::Failed {
                code: "record_too_large".into(),
                message: "what the plan answered makes a record that is too large".into(),
            };
            Step::Apply {
                pricing: Some(pricing),
                control,
            }
        }
        Step::Answered(..) => Step::Apply {
            pricing: None,
            control: false,
        },
        other => other,
    }
}
