//! Corrections: what a void or an amendment means to the plan decides how it is carried out.

use std::collections::BTreeMap;

use farebox_ledger::Refusal;
use farebox_record::command::Command;
use farebox_record::correction::{Amend, Consequence, PricedBy, RefundTarget, Standing, StandingStatus};
use farebox_record::ids::{PlanName, SubscriptionId};
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{EventRef, Order, Priced};
use farebox_record::state::{HoldState, KeptBy, SubjectState};

use crate::controls::Controls;
use crate::lane::Lane;
use crate::lane::job::Job;
use crate::lane::pricing::{Asked, Calls, Needs, Question};
use crate::lane::stage::Next;
use crate::lane::transition::{self, Told};
use crate::lane::turn::{Step, Turn};
use crate::loader::Load;
use crate::refold::Refolded;

/// How far the correction of an event reaches.
enum Reach {
    /// No further than the event: its plan prices each event by itself, or none has priced it.
    Event,
    /// Its plan follows subjects, is told, and answers for them; the subject, where the event is about one.
    Subject(PricedBy, Option<String>),
    /// To every event behind it: they are priced again.
    Term,
}

impl Reach {
    fn of(standing: &Standing, controls: &Controls) -> Reach {
        let by = match (&standing.priced, standing.status) {
            (Some(by), StandingStatus::Charged) => by,
            // One that was voided before is refused by the ledger.
            _ => return Reach::Event,
        };
        let Some(revision) = controls.revision(&by.revision) else {
            return Reach::Event;
        };
        let description = revision.description();
        let subject = match &description.subject_attribute {
            Some(attribute) => standing.event.attributes.get(attribute),
            None => None,
        };
        match (description.order, &description.subject_attribute, subject) {
            (_, Some(_), Some(subject)) => Reach::Subject(by.clone(), Some(subject.to_string())),
            (Order::Independent, ..) => Reach::Event,
            (_, Some(_), None) => Reach::Subject(by.clone(), None),
            (_, None, _) => Reach::Term,
        }
    }
}

/// What a plan answered to an event that is taken back.
enum Reversal {
    Answered(Pricing),
    Not(Next),
}

impl Lane {
    /// A refund, a void or an amendment.
    pub(super) fn correction(
        &self,
        turn: &mut Turn,
        job: &Job,
        command: &Command,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        match command {
            Command::Refund(refund) => match &refund.target {
                RefundTarget::Grant { .. } => Next::Ready(plain(None, false)),
                RefundTarget::Event { event, .. } => {
                    self.with_original(turn, event, |_, _| Next::Last(plain(None, false)))
                }
            },
            Command::Void(void) => self.with_original(turn, &void.event, |turn, standing| {
                self.void(turn, job, command, &standing, controls)
            }),
            Command::Amend(amend) => self.with_original(turn, &amend.event.reference(), |turn, standing| {
                self.amend(turn, job, command, amend, &standing, controls, calls)
            }),
            _ => Next::NotYet,
        }
    }

    /// A command that corrects an event: the event must be found as it stands, with nothing undecided or in flight that
    /// could change it.
    fn with_original(
        &self,
        turn: &mut Turn,
        event: &EventRef,
        then: impl FnOnce(&mut Turn, Standing) -> Next,
    ) -> Next {
        if !turn.staged.is_empty() {
            return Next::NotYet;
        }
        // One that was settled in part may be settled late, and is not known for good before that time is over.
        let held = turn.slot.wallet.as_ref().is_some_and(|wallet| {
            let open = |hold: &HoldState| hold.expired.is_none();
            wallet.hold(event).is_some_and(open) || wallet.used(event).is_some()
        });
        if held {
            return Next::Last(Step::Refuse(Refusal::StillHeld));
        }
        if turn.slot.take_archived_original(event) {
            return Next::Last(Step::Archived);
        }
        if turn.slot.original(event).is_none() && turn.slot.wait_to_land() {
            return Next::Land;
        }
        match turn.slot.original(event) {
            None => Next::Wait(Load::Original {
                wallet: turn.key.clone(),
                event: event.clone(),
            }),
            Some(None) => Next::Last(Step::Refuse(match &turn.slot.wallet {
                Some(wallet) if wallet.header().customer.is_none() => Refusal::UnknownCustomer,
                _ => Refusal::UnknownEvent,
            })),
            Some(Some(original)) => {
                let standing = original.standing.clone();
                then(turn, standing)
            }
        }
    }

    fn void(
        &self,
        turn: &Turn,
        job: &Job,
        command: &Command,
        standing: &Standing,
        controls: &Controls,
    ) -> Next {
        match Reach::of(standing, controls) {
            Reach::Event => Next::Last(plain(None, false)),
            Reach::Term => self.with_fold(turn, job, standing, None, controls),
            Reach::Subject(by, subject) => {
                match self.reversed(turn, command, standing, &by, subject.as_deref(), controls) {
                    Reversal::Answered(pricing) => Next::Last(plain(Some(pricing), true)),
                    Reversal::Not(next) => next,
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a command is decided on has that many parts"
    )]
    fn amend(
        &self,
        turn: &mut Turn,
        job: &Job,
        command: &Command,
        amend: &Amend,
        standing: &Standing,
        controls: &Controls,
        calls: &mut Calls,
    ) -> Next {
        match Reach::of(standing, controls) {
            Reach::Event => match self.price(turn, command, Some(standing.time), controls, calls) {
                // A rating of the same event may be next in the queue; it must find what was decided here.
                Next::Ready(step) => Next::Last(step),
                other => other,
            },
            Reach::Term => self.with_fold(turn, job, standing, Some(amend), controls),
            Reach::Subject(by, subject) => {
                let reversal = self.reversed(turn, command, standing, &by, subject.as_deref(), controls);
                match reversal {
                    Reversal::Answered(reversal) => {
                        self.price_behind(turn, command, standing, subject.as_deref(), &reversal, controls)
                    }
                    Reversal::Not(next) => next,
                }
            }
        }
    }

    /// A correction that other events are priced again behind: it goes aside until they are, and comes back.
    fn with_fold(
        &self,
        turn: &Turn,
        job: &Job,
        standing: &Standing,
        amend: Option<&Amend>,
        controls: &Controls,
    ) -> Next {
        let event = standing.event.reference();
        let Some(wallet) = &turn.slot.wallet else {
            return Next::NotYet;
        };
        let fold = match &job.folded {
            None => {
                let ask = job.to_fold(&event, None);
                return Next::Aside(event, Box::new(ask));
            }
            Some(Refolded::Cannot(why)) => {
                return Next::Last(Step::Refuse(Refusal::CannotRefold(why.clone())));
            }
            Some(Refolded::Done(fold)) => fold,
        };
        let is_whole =
            fold.up_to == wallet.header().sequence && fold.control == controls.version(&turn.tenant);
        if !is_whole {
            return Next::Fold(Box::new(job.to_fold(&event, Some(fold.clone()))));
        }
        Next::Last(Step::Correct {
            pricing: fold.pricing.clone().map(Box::new),
            consequence: Box::new(Consequence::Refolded(Box::new(fold.refold.clone()))),
            ended: fold.ended.clone(),
            time: amend.map(|amend| amend.event.time.unwrap_or(standing.time)),
        })
    }

    /// Tells the plan that an event of its subject is taken back.
    fn reversed(
        &self,
        turn: &Turn,
        command: &Command,
        standing: &Standing,
        by: &PricedBy,
        subject: Option<&str>,
        controls: &Controls,
    ) -> Reversal {
        let Some(wallet) = turn.slot.wallet.as_ref() else {
            return Reversal::Not(Next::NotYet);
        };
        let subject = match subject {
            None => None,
            Some(name) => match turn.slot.subject(&by.subscription, name) {
                Some(state) => Some((name, state)),
                None => return Reversal::Not(wait_for_subject(turn, &by.subscription, name)),
            },
        };
        let told = Told {
            subject,
            ..self.told(turn, controls)
        };
        match transition::reversed(command, standing, wallet, &told, turn.now) {
            Some(pricing) => Reversal::Answered(pricing),
            // Its subscription is forgotten, or its plan has no revision: what it took comes back all the same.
            None => Reversal::Not(Next::Last(plain(None, false))),
        }
    }

    /// Prices what takes the place of an event behind what the plan answered to its end.
    fn price_behind(
        &self,
        turn: &Turn,
        command: &Command,
        standing: &Standing,
        subject: Option<&str>,
        reversal: &Pricing,
        controls: &Controls,
    ) -> Next {
        let answered = match &reversal.verdict {
            Verdict::Priced(priced) => priced,
            Verdict::Rejected(rejection) => {
                return Next::Last(Step::Refuse(Refusal::PlanRefused(rejection.clone())));
            }
            Verdict::Failed { code, message } => {
                return Next::Last(Step::Refuse(Refusal::PlanFailed {
                    code: code.clone(),
                    message: message.clone(),
                }));
            }
        };
        let (Some(wallet), Some(asked)) = (
            turn.slot.wallet.as_ref(),
            Asked::of(command, turn.now, Some(standing.time)),
        ) else {
            return Next::NotYet;
        };
        let mut question = match asked.needs(wallet, &turn.tenant, controls, &turn.terms(), turn.now) {
            Needs::Answer(question) => question,
            Needs::Nothing => return Next::Last(plain(None, true)),
            Needs::Term(subscription, number) => {
                return Next::Wait(Load::Term {
                    wallet: turn.key.clone(),
                    subscription,
                    number,
                });
            }
        };
        let of_reversal = wallet.subscription(&reversal.subscription);
        let verdict = loop {
            let behind = Behind {
                question: &question,
                reversal,
                answered,
                subject,
                plan: of_reversal.map(|subscription| &subscription.plan),
            };
            let followed = match question.subject() {
                None => None,
                Some(name) => match behind.subject_state(turn, name) {
                    Some(state) => Some(state),
                    None => return wait_for_subject(turn, &question.subscription, name),
                },
            };
            let (state, tenant) = (behind.state(), &turn.tenant);
            if question.turn_to_reader(wallet, state, followed.as_ref(), tenant, controls, turn.now) {
                continue;
            }
            match question.ask_alone(&self.shared.runtime, wallet, state, followed.as_ref()) {
                Some(verdict) => break verdict,
                None => return Next::NotYet,
            }
        };
        Next::Last(Step::Correct {
            pricing: Some(Box::new(question.answered(verdict))),
            consequence: Box::new(Consequence::Reversed(Box::new(reversal.clone()))),
            ended: BTreeMap::new(),
            time: Some(question.time),
        })
    }
}

/// An event that takes the place of one whose end the plan was told.
struct Behind<'b, 'q> {
    question: &'q Question,
    reversal: &'b Pricing,
    answered: &'b Priced,
    /// What the event before was about.
    subject: Option<&'b str>,
    /// The plan that answered.
    plan: Option<&'b PlanName>,
}

impl<'b> Behind<'b, '_> {
    /// The subscription's state, where the plan's answer changed that which the question is about; with its version.
    fn state(&self) -> Option<(u32, &'b [u8])> {
        let same = self.question.subscription == self.reversal.subscription && self.question.term.is_none();
        let state = self.answered.state.as_deref().filter(|_| same)?;
        Some((self.reversal.state_version, state))
    }

    /// The state of the question's subject; none where it must be fetched.
    fn subject_state(&self, turn: &'b Turn, name: &str) -> Option<SubjectState> {
        let same = self.question.subscription == self.reversal.subscription && self.subject == Some(name);
        match self.answered.subject.as_ref().filter(|_| same) {
            Some(change) => Some(SubjectState {
                state: change.state.clone(),
                expires: change.expires,
                kept_by: self.plan.map(|plan| KeptBy {
                    plan: plan.clone(),
                    version: self.reversal.state_version,
                }),
            }),
            None => turn.slot.subject(&self.question.subscription, name).cloned(),
        }
    }
}

fn plain(pricing: Option<Pricing>, control: bool) -> Step {
    Step::Apply {
        pricing: pricing.map(Box::new),
        control,
    }
}

fn wait_for_subject(turn: &Turn, subscription: &SubscriptionId, name: &str) -> Next {
    Next::Wait(Load::Subject {
        wallet: turn.key.clone(),
        subscription: subscription.clone(),
        subject: name.to_string(),
    })
}
