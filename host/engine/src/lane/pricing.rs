//! From a command to what its plan is asked, and from the plan's answer to what the ledger sees.

use std::sync::Arc;

use farebox_ledger::{Wallet, term_of};
use farebox_money::{Asset, Nanos};
use farebox_record::command::{AuthorizeMode, Command};
use farebox_record::control::OpenHolds;
use farebox_record::event::{Attributes, Event, Measures};
use farebox_record::ids::{PlanName, SubscriptionId, TenantId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{Description, EventRef, Order};
use farebox_record::state::{GrantPhase, HoldState, HoldUsage, Slice, SliceSource, SubjectState};
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Batch, Context, Evaluation, Purpose, Revision, Runtime, Subject, Trigger};

use crate::controls::Controls;

/// A question to a plan: everything but its state.
pub(crate) struct Question {
    pub revision: Arc<Revision>,
    pub subscription: SubscriptionId,
    /// The closed term that it belongs to; none: the open one.
    pub term: Option<Box<TermState>>,
    pub period: Period,
    pub seats: u32,
    pub purpose: Purpose,
    pub time: Timestamp,
    /// The event as it is to be priced.
    pub event: Event,
}

impl Question {
    /// Whose plan is asked.
    pub fn plan<'w>(&'w self, wallet: &'w Wallet) -> Option<&'w PlanName> {
        match &self.term {
            Some(term) => Some(&term.plan),
            None => Some(&wallet.subscription(&self.subscription)?.plan),
        }
    }

    /// Whether it can share a call with other questions about the same wallet.
    pub fn is_independent(&self) -> bool {
        let description = self.revision.description();
        description.order == Order::Independent && !description.wants_balances
    }

    /// The subject that the event is about, for plans that follow one.
    pub fn subject(&self) -> Option<&str> {
        let name = self.revision.description().subject_attribute.as_ref()?;
        self.event.attributes.get(name).map(|name| name.as_str())
    }

    /// A revision cannot read a state that a later one has taken over into a version of its own. What is asked of it then (an
    /// event that comes late, a call that it quoted) is asked of the revision in force now. `state` and `subject` are as for
    /// [`Question::ask_alone`]. Whether it is another revision now: then it may follow another subject, in another order.
    pub fn turn_to_reader(
        &mut self,
        wallet: &Wallet,
        state: Option<(u32, &[u8])>,
        subject: Option<&SubjectState>,
        tenant: &TenantId,
        controls: &Controls,
        now: Timestamp,
    ) -> bool {
        let open = wallet.subscription(&self.subscription);
        let (plan, kept, own) = match (&self.term, open) {
            (Some(term), _) => (&term.plan, term.state_version, &term.state[..]),
            (None, Some(open)) => (&open.plan, open.state_version, &open.state[..]),
            (None, None) => return false,
        };
        let (kept, state) = state.unwrap_or((kept, own));
        let newest = newest_of(plan, Some(kept), state, subject);
        let later = controls.reading(tenant, plan, newest, &self.revision, now);
        if let Some(later) = later {
            self.revision = Arc::clone(later);
        }
        later.is_some()
    }

    /// The plan's answer at once, apart from all other questions. `state` (with the version that it is kept in) and `subject`
    /// are those that it is asked with; without a state, it is that of the wallet or of the term.
    pub fn ask_alone(
        &self,
        runtime: &Runtime,
        wallet: &Wallet,
        state: Option<(u32, &[u8])>,
        subject: Option<&SubjectState>,
    ) -> Option<farebox_runtime::Verdict> {
        let mut batch = Batch::new(&self.revision);
        self.push(&mut batch, wallet, state, subject);
        runtime.evaluate(&batch).verdicts.pop()
    }

    /// Puts the question into a batch, and tells its place there.
    fn push(
        &self,
        batch: &mut Batch,
        wallet: &Wallet,
        state: Option<(u32, &[u8])>,
        subject: Option<&SubjectState>,
    ) -> usize {
        let open = wallet.subscription(&self.subscription);
        let (kept, state) = match (state, &self.term, open) {
            (Some((version, state)), _, _) => (Some(version), state),
            (None, Some(term), _) => (Some(term.state_version), &term.state[..]),
            (None, None, Some(open)) => (Some(open.state_version), &open.state[..]),
            (None, None, None) => (None, &[][..]),
        };
        let balances = balances_for(wallet, self.revision.description(), &self.event.reference());
        let context = Context {
            prepared: None,
            state,
            period: self.period,
            seats: self.seats,
            balances: &balances,
        };
        let context = batch.context_from(kept, &context);
        let subject = self.subject().map(|name| {
            let state = subject.map_or(&[][..], |kept| &kept.state);
            let plan = self.plan(wallet);
            let kept = subject.zip(plan).and_then(|(kept, plan)| kept.version_of(plan));
            batch.subject_from(kept, &Subject { name, state })
        });
        batch.push(&Trigger {
            purpose: self.purpose,
            event_type: &self.event.event_type,
            context,
            subject,
            time: self.time,
            cost: self.event.cost_usd(),
            measures: &self.event.measures,
            attributes: &self.event.attributes,
            source: self.event.source.as_str(),
            id: self.event.id.as_str(),
        })
    }

    /// What the ledger sees of the answer.
    pub fn answered(&self, verdict: farebox_runtime::Verdict) -> Pricing {
        let cost = if self.revision.description().wants_cost {
            self.event.cost_usd()
        } else {
            None
        };
        let mut pricing = pricing(
            &self.revision,
            self.subscription.clone(),
            self.period,
            self.seats,
            cost,
            verdict,
        );
        pricing.term = self.term.clone();
        pricing
    }
}

/// The latest version in which a plan keeps one of the states; an empty one is in none.
pub(crate) fn newest_of(
    plan: &PlanName,
    kept: Option<u32>,
    state: &[u8],
    subject: Option<&SubjectState>,
) -> Option<u32> {
    let of_state = kept.filter(|_| !state.is_empty());
    let of_subject = subject.filter(|subject| !subject.state.is_empty());
    of_state.max(of_subject.and_then(|subject| subject.version_of(plan)))
}

pub(crate) fn pricing(
    revision: &Revision,
    subscription: SubscriptionId,
    period: Period,
    seats: u32,
    cost: Option<Nanos>,
    verdict: farebox_runtime::Verdict,
) -> Pricing {
    let description = revision.description();
    Pricing {
        revision: revision.hash(),
        subscription,
        period,
        term: None,
        seats,
        cost,
        event_types: Vec::new(),
        subject_attribute: description.subject_attribute.clone(),
        state_version: description.state_version,
        verdict: match verdict {
            farebox_runtime::Verdict::Priced(priced) => Verdict::Priced(priced),
            farebox_runtime::Verdict::Rejected(rejection) => Verdict::Rejected(rejection),
            farebox_runtime::Verdict::Failed(fault) => Verdict::Failed {
                code: fault.code().to_string(),
                message: fault.to_string(),
            },
        },
    }
}

/// What is known of a closed term: it is here (or forgotten), or a loader must be asked.
pub(crate) type Terms<'a> = dyn Fn(&SubscriptionId, u32) -> Option<Option<TermState>> + 'a;

/// What an event command needs.
pub(crate) enum Needs {
    /// A plan's answer.
    Answer(Box<Question>),
    /// Nothing: no plan of the customer prices this type of event.
    Nothing,
    /// A closed term, first.
    Term(SubscriptionId, u32),
}

/// An event that is to be priced.
pub(crate) struct Asked<'a> {
    pub event: &'a Event,
    pub purpose: Purpose,
    /// When it happened.
    pub time: Timestamp,
    /// By which instant's revision it is priced.
    pub priced_at: Timestamp,
}

impl<'a> Asked<'a> {
    /// What an event command asks; none for other commands. `corrected` is when the event of an amendment happened.
    pub fn of(command: &'a Command, now: Timestamp, corrected: Option<Timestamp>) -> Option<Asked<'a>> {
        let at = |event: &'a Event, purpose, otherwise| {
            let time = event.time.unwrap_or(otherwise);
            Asked {
                event,
                purpose,
                time,
                priced_at: time,
            }
        };
        Some(match command {
            Command::Usage(event) => at(event, Purpose::Usage, now),
            Command::Backfill(backfill) => at(&backfill.event, Purpose::Usage, now),
            Command::Authorize(authorize) => match authorize.mode {
                AuthorizeMode::Hold => at(&authorize.event, Purpose::WorstCase, now),
                AuthorizeMode::Settle => at(&authorize.event, Purpose::Usage, now),
            },
            // What had no price when it came is priced by what is in force now.
            Command::RateUnpriced(rate) => Asked {
                priced_at: now,
                ..at(&rate.event, Purpose::Usage, rate.received)
            },
            Command::Amend(amend) => at(&amend.event, Purpose::Usage, corrected.unwrap_or(now)),
            _ => return None,
        })
    }

    /// The question to the plan that owns events of this type.
    pub fn needs(
        &self,
        wallet: &Wallet,
        tenant: &TenantId,
        controls: &Controls,
        terms: &Terms<'_>,
        now: Timestamp,
    ) -> Needs {
        let Some((id, subscription)) = wallet.owner_at(&self.event.event_type, self.time) else {
            return Needs::Nothing;
        };
        let mut past = None;
        if let Some(closed) = term_of(subscription, self.time) {
            match terms(id, closed.number) {
                None => return Needs::Term(id.clone(), closed.number),
                Some(term) => past = term.map(Box::new),
            }
        }
        let plan = past.as_ref().map_or(&subscription.plan, |term| &term.plan);
        let Some(revision) = controls.pricing_now(tenant, plan, self.priced_at, now) else {
            return Needs::Nothing;
        };
        Needs::Answer(Box::new(Question {
            revision: Arc::clone(revision),
            subscription: id.clone(),
            period: past.as_ref().map_or(subscription.period, |term| term.period),
            seats: past.as_ref().map_or(subscription.seats, |term| term.seats),
            term: past,
            purpose: self.purpose,
            time: self.time,
            event: self.event.clone(),
        }))
    }
}

/// What a settlement, an extension or the end of a hold says of a held call.
pub(crate) struct Reported<'a> {
    pub measures: &'a Measures,
    pub attributes: &'a Attributes,
    pub purpose: Purpose,
}

impl<'a> Reported<'a> {
    /// What parts that were settled say, once no other part will come.
    pub fn used(usage: &'a HoldUsage) -> Reported<'a> {
        Reported {
            measures: &usage.event.measures,
            attributes: &usage.event.attributes,
            purpose: Purpose::Usage,
        }
    }
}

/// The question behind a settlement, a raise or the end of a hold: in the terms that were pinned when it was quoted.
pub(crate) fn hold_question(
    hold: &HoldState,
    wallet: &Wallet,
    reported: &Reported<'_>,
    tenant: &TenantId,
    controls: &Controls,
    terms: &Terms<'_>,
    now: Timestamp,
) -> Needs {
    let subscription = wallet.subscription(&hold.subscription);
    let mut past = None;
    if subscription.is_some_and(|s| s.term != hold.term) {
        match terms(&hold.subscription, hold.term) {
            None => return Needs::Term(hold.subscription.clone(), hold.term),
            Some(term) => past = term.map(Box::new),
        }
    }
    // The hold's own plan, which may not be the subscription's any more.
    let plan = match &past {
        Some(term) => Some(&term.plan),
        None => subscription.filter(|s| s.term == hold.term).map(|s| &s.plan),
    };
    let replaced = plan.and_then(|plan| {
        let present = controls.plan(tenant, plan)?.in_force(now)?;
        let replaces = present.open_holds == OpenHolds::New && present.activated > hold.opened;
        replaces.then_some(present.revision)
    });
    let Some(revision) = controls.revision(&replaced.unwrap_or(hold.revision)) else {
        return Needs::Nothing;
    };
    let revision = plan.map_or(revision, |plan| controls.not_ahead(tenant, plan, revision, now));
    let mut event = hold.event.clone();
    event.measures.clone_from(reported.measures);
    event.attributes.extend(reported.attributes);
    Needs::Answer(Box::new(Question {
        revision: Arc::clone(revision),
        subscription: hold.subscription.clone(),
        period: hold.period,
        seats: match &past {
            Some(term) => term.seats,
            None => subscription.map_or(0, |s| s.seats),
        },
        term: past,
        purpose: reported.purpose,
        time: hold.time,
        event,
    }))
}

/// What is free of each described asset, for plans that want to know.
pub(crate) fn balances(wallet: &Wallet, description: &Description) -> Vec<Nanos> {
    free(wallet, description, None)
}

/// The same for a question about an event: what its own hold keeps, and what parts of it took from grants, counts as free, so
/// that the event is priced as a whole by what was there before it.
pub(crate) fn balances_for(wallet: &Wallet, description: &Description, event: &EventRef) -> Vec<Nanos> {
    free(wallet, description, wallet.hold(event))
}

fn free(wallet: &Wallet, description: &Description, own: Option<&HoldState>) -> Vec<Nanos> {
    if !description.wants_balances {
        return Vec::new();
    }
    let free = |asset: &Asset| {
        let active = wallet
            .grants()
            .filter(|(_, g)| g.asset == *asset && g.phase == GrantPhase::Active);
        let active = active.map(|(_, g)| g.available.get());
        let own = own.into_iter().flat_map(|hold| {
            let pinned = hold.pins.iter().filter(|pin| pin.asset == *asset);
            let from_grant = |slice: &&Slice| matches!(slice.from, SliceSource::Grant(_));
            let taken = hold.taken.iter().filter(from_grant).filter(|s| s.asset == *asset);
            let pinned = pinned.map(|pin| pin.amount.get());
            pinned.chain(taken.map(|slice| slice.amount.get()))
        });
        Nanos::new(active.chain(own).sum())
    };
    let assets = description.assets.iter();
    assets.map(|described| free(&described.asset)).collect()
}

/// Questions of one round, sorted into calls: never two tenants in one, never more than a call may carry.
#[derive(Default)]
pub(crate) struct Calls {
    calls: Vec<(TenantId, Batch)>,
    /// Emptied batches, kept for their memory.
    spare: Vec<Batch>,
}

/// Where a question's answer will be.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    call: usize,
    position: usize,
}

impl Calls {
    /// Adds a question about a wallet.
    pub fn ask(
        &mut self,
        tenant: &TenantId,
        wallet: &Wallet,
        question: &Question,
        subject: Option<&SubjectState>,
    ) -> Place {
        let hash = question.revision.hash();
        let fits = |(owner, batch): &(TenantId, Batch)| {
            owner == tenant && batch.revision().hash() == hash && !batch.is_full()
        };
        let call = match self.calls.iter().rposition(fits) {
            Some(call) => call,
            None => {
                let batch = match self.spare.pop() {
                    Some(mut spare) => {
                        spare.restart(&question.revision);
                        spare
                    }
                    None => Batch::new(&question.revision),
                };
                self.calls.push((tenant.clone(), batch));
                self.calls.len() - 1
            }
        };
        let position = question.push(&mut self.calls[call].1, wallet, None, subject);
        Place { call, position }
    }

    /// Evaluates everything that was asked, but for what takes more time than there is.
    pub fn evaluate(&mut self, asking: &Asking<'_>) -> Answers {
        let mut answers = Vec::with_capacity(self.calls.len());
        for (_, mut batch) in self.calls.drain(..) {
            let verdicts = asking.evaluate(&batch);
            answers.push(verdicts.map(|verdicts| verdicts.into_iter().map(Some).collect()));
            batch.clear();
            self.spare.push(batch);
        }
        Answers { answers }
    }
}

/// How plans are asked: by whom, and how much time there is.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub runtime: &'a Runtime,
    /// Whether others wait: then nobody is asked who is slow.
    pub at_once: bool,
}

impl Asking<'_> {
    /// The plan's answers; none where it takes more time than there is.
    pub fn evaluate(&self, batch: &Batch) -> Option<Vec<farebox_runtime::Verdict>> {
        let evaluation = match self.at_once {
            // Calls of this round may have shown it to be so.
            true if batch.revision().is_slow() => None,
            true => self.runtime.evaluate_at_once(batch),
            false => Some(self.runtime.evaluate(batch)),
        };
        evaluation.map(|Evaluation { verdicts, .. }| verdicts)
    }
}

/// Answers to the questions of one round.
pub(crate) struct Answers {
    /// Of each call; none for one that was left for whoever has the time.
    answers: Vec<Option<Vec<Option<farebox_runtime::Verdict>>>>,
}

impl Answers {
    /// Whether the call was made.
    pub fn has(&self, place: Place) -> bool {
        self.answers.get(place.call).is_some_and(Option::is_some)
    }

    /// Takes an answer out; each is there once.
    pub fn take(&mut self, place: Place) -> Option<farebox_runtime::Verdict> {
        let call = self.answers.get_mut(place.call)?.as_mut()?;
        call.get_mut(place.position)?.take()
    }
}

#[cfg(test)]
#[path = "pricing_tests.rs"]
mod tests;
