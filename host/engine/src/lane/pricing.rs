//! From a command to what its plan is asked, and from the plan's answer to what the ledger sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_ledger::{Wallet, period_at, period_with_index};
use farebox_money::Nanos;
use farebox_record::command::{AuthorizeMode, Command, Due, DueItem, Subscribe};
use farebox_record::control::OpenHolds;
use farebox_record::event::Event;
use farebox_record::ids::{SubscriptionId, TenantId};
use farebox_record::outcome::{Pricing, Verdict};
use farebox_record::plan::{Description, Order};
use farebox_record::state::{GrantPhase, HoldState, SubscriptionState};
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{
    Batch, Change, Context, Evaluation, Purpose, RemainingGrant, Revision, Runtime, Subject, Trigger,
};

use crate::controls::Controls;

/// A question to a plan: everything but its state.
pub(crate) struct Question {
    pub revision: Arc<Revision>,
    pub subscription: SubscriptionId,
    pub period: Period,
    pub seats: u32,
    pub purpose: Purpose,
    pub time: Timestamp,
    /// The event as it is to be priced.
    pub event: Event,
}

impl Question {
    /// Whether it can share a call with other questions about the same wallet.
    pub fn is_independent(&self) -> bool {
        let description = self.revision.description();
        description.order == Order::Independent && !description.wants_balances
    }

    /// The subject that the event is about, for plans that follow one.
    pub fn subject(&self) -> Option<&str> {
        let name = self.revision.description().subject_attribute.as_ref()?;
        self.event.attributes.get(name).map(String::as_str)
    }

    /// What the ledger sees of the answer.
    pub fn answered(&self, verdict: farebox_runtime::Verdict) -> Pricing {
        let cost = if self.revision.description().wants_cost {
            self.event.cost_usd()
        } else {
            None
        };
        pricing(
            &self.revision,
            self.subscription.clone(),
            self.period,
            self.seats,
            cost,
            verdict,
        )
    }
}

fn pricing(
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

/// The question behind an event command; none where no plan of the customer prices this type of event.
pub(crate) fn event_question(
    command: &Command,
    wallet: &Wallet,
    tenant: &TenantId,
    controls: &Controls,
    now: Timestamp,
) -> Option<Question> {
    let (event, purpose, time, priced_at) = match command {
        Command::Usage(event) => {
            let time = event.time.unwrap_or(now);
            (event, Purpose::Usage, time, time)
        }
        Command::Authorize(authorize) => {
            let purpose = match authorize.mode {
                AuthorizeMode::Hold => Purpose::WorstCase,
                AuthorizeMode::Settle => Purpose::Usage,
            };
            let time = authorize.event.time.unwrap_or(now);
            (&authorize.event, purpose, time, time)
        }
        // What had no price when it came is priced by what is in force now.
        Command::RateUnpriced(rate) => (
            &rate.event,
            Purpose::Usage,
            rate.event.time.unwrap_or(rate.received),
            now,
        ),
        _ => return None,
    };
    let (id, subscription) = owner(wallet, event)?;
    let revision = controls.pricing(tenant, &subscription.plan, priced_at)?;
    Some(Question {
        revision: Arc::clone(revision),
        subscription: id.clone(),
        period: subscription.period,
        seats: subscription.seats,
        purpose,
        time,
        event: event.clone(),
    })
}

fn owner<'w>(wallet: &'w Wallet, event: &Event) -> Option<(&'w SubscriptionId, &'w SubscriptionState)> {
    wallet
        .subscriptions()
        .find(|(_, s)| s.event_types.contains(&event.event_type))
}

/// What a settlement or an extension says of a held call.
pub(crate) struct Reported<'a> {
    pub measures: &'a BTreeMap<String, Nanos>,
    pub attributes: &'a BTreeMap<String, String>,
    pub purpose: Purpose,
}

/// The question behind a settlement or a raise of a hold: in the terms that were pinned when it was quoted.
pub(crate) fn hold_question(
    hold: &HoldState,
    wallet: &Wallet,
    reported: &Reported<'_>,
    tenant: &TenantId,
    controls: &Controls,
    now: Timestamp,
) -> Option<Question> {
    let subscription = wallet.subscription(&hold.subscription);
    let replaced = subscription.and_then(|s| {
        let present = controls.plan(tenant, &s.plan)?.in_force(now)?;
        let replaces = present.open_holds == OpenHolds::New && present.activated > hold.opened;
        replaces.then_some(present.revision)
    });
    let revision = controls.revision(&replaced.unwrap_or(hold.revision))?;
    let mut event = hold.event.clone();
    event.measures.clone_from(reported.measures);
    event.attributes.extend(reported.attributes.clone());
    Some(Question {
        revision: Arc::clone(revision),
        subscription: hold.subscription.clone(),
        period: hold.period,
        seats: subscription.map_or(0, |s| s.seats),
        purpose: reported.purpose,
        time: hold.time,
        event,
    })
}

/// Starts a subscription: asks the plan at once. None where there is no such plan, or no calendar for it.
pub(crate) fn start(
    subscribe: &Subscribe,
    runtime: &Runtime,
    tenant: &TenantId,
    controls: &Controls,
    now: Timestamp,
) -> Option<Pricing> {
    let revision = controls.pricing(tenant, &subscribe.plan, now)?;
    let anchor = subscribe.anchor.unwrap_or(now);
    let period = period_at(anchor, subscribe.cadence, now).ok()?;
    let context = Context {
        prepared: None,
        state: &[],
        period,
        seats: subscribe.seats,
        balances: &[],
    };
    let answer = runtime.transition(revision, &context, None, now, &Change::Started);
    let mut pricing = pricing(
        revision,
        subscribe.id.clone(),
        period,
        subscribe.seats,
        None,
        answer.verdict,
    );
    pricing
        .event_types
        .clone_from(&revision.description().event_types);
    Some(pricing)
}

/// A renewal or a timer: asks the plan at once.
pub(crate) fn due(
    due: &Due,
    wallet: &Wallet,
    runtime: &Runtime,
    tenant: &TenantId,
    controls: &Controls,
) -> Option<Pricing> {
    let (id, change) = match &due.item {
        DueItem::Renewal(id) => (
            id,
            Change::Renewed {
                remaining: remaining(wallet, id),
            },
        ),
        DueItem::Timer { subscription, key } => (subscription, Change::Due { key: key.clone() }),
        DueItem::HoldExpiry(_) | DueItem::GrantExpiry(_) | DueItem::GrantEffective(_) => return None,
    };
    let subscription = wallet.subscription(id)?;
    let revision = controls.pricing(tenant, &subscription.plan, due.instant)?;
    let period = match &due.item {
        DueItem::Renewal(_) => period_with_index(
            subscription.anchor,
            subscription.cadence,
            subscription.period.index + 1,
        )
        .ok()?,
        _ => subscription.period,
    };
    let context = Context {
        prepared: None,
        state: &subscription.state,
        period,
        seats: subscription.seats,
        balances: &balances(wallet, revision.description()),
    };
    let answer = runtime.transition(revision, &context, None, due.instant, &change);
    Some(pricing(
        revision,
        id.clone(),
        period,
        subscription.seats,
        None,
        answer.verdict,
    ))
}

/// What is left of the grants that a subscription gave.
fn remaining(wallet: &Wallet, id: &SubscriptionId) -> Vec<RemainingGrant> {
    let given = wallet
        .grants()
        .filter(|(_, g)| g.subscription.as_ref() == Some(id));
    given
        .map(|(_, grant)| RemainingGrant {
            asset: grant.asset.clone(),
            category: grant.category,
            label: grant.label.clone().unwrap_or_default(),
            granted: grant.amount,
            remaining: Nanos::new(grant.available.get() + grant.held.get()),
            expires: grant.expires,
        })
        .collect()
}

/// What is free of each described asset, for plans that want to know.
fn balances(wallet: &Wallet, description: &Description) -> Vec<Nanos> {
    if !description.wants_balances {
        return Vec::new();
    }
    let free = |asset: &farebox_money::Asset| {
        let active = wallet
            .grants()
            .filter(|(_, g)| g.asset == *asset && g.phase == GrantPhase::Active);
        Nanos::new(active.map(|(_, g)| g.available.get()).sum())
    };
    description
        .assets
        .iter()
        .map(|described| free(&described.asset))
        .collect()
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
        subject: Option<&[u8]>,
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
        let batch = &mut self.calls[call].1;
        let state = wallet
            .subscription(&question.subscription)
            .map_or(&[][..], |s| &s.state);
        let balances = balances(wallet, question.revision.description());
        let context = batch.context(&Context {
            prepared: None,
            state,
            period: question.period,
            seats: question.seats,
            balances: &balances,
        });
        let subject = question.subject().map(|name| {
            batch.subject(&Subject {
                name,
                state: subject.unwrap_or_default(),
            })
        });
        let position = batch.push(&Trigger {
            purpose: question.purpose,
            event_type: &question.event.event_type,
            context,
            subject,
            time: question.time,
            cost: question.event.cost_usd(),
            measures: &question.event.measures,
            attributes: &question.event.attributes,
        });
        Place { call, position }
    }

    /// Evaluates everything that was asked.
    pub fn evaluate(&mut self, runtime: &Runtime) -> Answers {
        let mut answers = Vec::with_capacity(self.calls.len());
        for (_, mut batch) in self.calls.drain(..) {
            let Evaluation { verdicts, .. } = runtime.evaluate(&batch);
            answers.push(verdicts.into_iter().map(Some).collect());
            batch.clear();
            self.spare.push(batch);
        }
        Answers { answers }
    }
}

/// Answers to the questions of one round.
pub(crate) struct Answers {
    answers: Vec<Vec<Option<farebox_runtime::Verdict>>>,
}

impl Answers {
    /// Takes an answer out; each is there once.
    pub fn take(&mut self, place: Place) -> Option<farebox_runtime::Verdict> {
        self.answers.get_mut(place.call)?.get_mut(place.position)?.take()
    }
}
