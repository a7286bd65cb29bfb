//! What a plan orders: its answer is checked against the wallet, then carried out.

use std::collections::BTreeMap;

use farebox_record::command::TimerAbout;
use farebox_record::correction::{Standing, TakenSlice};
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Effect, Line, Pricing};
use farebox_record::plan::{EventRef, GrantOrder, Priced};
use farebox_record::state::{GrantState, KeptBy, Slice, SliceSource, SubjectState, TimerState};
use farebox_record::time::Timestamp;

use crate::cover::{
    Covered, Draw, Grants, Known, Origin, Owned, Uncoverable, Uncovered, cover, cover_again, lines,
};
use crate::draft::Draft;
use crate::funds::Funds;
use crate::giving::check_none;
use crate::grant::{GRANT_NANOS_MAX, check_room, is_sensible, open_grant_state, ordered_grant};
use crate::limits;
use crate::refusal::Refusal;
use crate::spending::count_event;
use crate::timer::{check_timers, note_charged, put_timer};
use crate::wallet::Wallet;

/// A plan's answer that is known to fit the wallet: every charge has its slices.
pub(crate) struct Ready<'p> {
    priced: &'p Priced,
    draws: Vec<Draw>,
}

impl<'p> Ready<'p> {
    /// Covers the charges of an answer that gives nothing back; what the wallet lacks becomes debt, because it happened.
    pub fn new(
        wallet: &Wallet,
        priced: &'p Priced,
        pricing: &Pricing,
        cause: Cause<'_>,
    ) -> Result<Ready<'p>, Refusal> {
        check_none(&priced.charges)?;
        Ready::behind_give_backs(wallet, priced, pricing, cause)
    }

    /// The same for an answer to an event, whose give-backs are posted already.
    pub fn behind_give_backs(
        wallet: &Wallet,
        priced: &'p Priced,
        pricing: &Pricing,
        cause: Cause<'_>,
    ) -> Result<Ready<'p>, Refusal> {
        check_priced(wallet, priced, pricing, cause)?;
        let covered = cover(wallet, &priced.charges, cause.attributes(), Vec::new());
        Ok(Ready::covered(priced, covered.map_err(unpostable)?))
    }

    /// The same for an event that takes the place of another: what would be `lost` of that covers it first. `ended`: grants
    /// that the wallet no longer has, as they were opened.
    pub fn in_place_of(
        wallet: &Wallet,
        priced: &'p Priced,
        pricing: &Pricing,
        cause: Cause<'_>,
        lost: Vec<Owned>,
        ended: &BTreeMap<GrantId, GrantState>,
    ) -> Result<Ready<'p>, Refusal> {
        check_priced(wallet, priced, pricing, cause)?;
        let known = Known {
            lost,
            ..Known::default()
        };
        let (grants, funds) = (Grants::with_ended(wallet, ended), Funds::of(wallet));
        let covered = cover_again(grants, &priced.charges, cause.attributes(), known, funds);
        Ok(Ready::covered(priced, covered.map_err(unpostable)?))
    }

    fn covered(priced: &'p Priced, covered: Covered) -> Ready<'p> {
        let mut draws = covered.draws;
        draws.extend(covered.uncovered.into_iter().map(debt));
        Ready { priced, draws }
    }

    /// What its plan said that it costs.
    pub fn lines(&self) -> Vec<Line> {
        lines(&self.priced.charges)
    }

    /// What its charges take at `at`, and from where.
    pub fn slices(&self, at: Timestamp) -> Vec<TakenSlice> {
        let taken = self.draws.iter().map(|draw| TakenSlice {
            code: self
                .priced
                .charges
                .get(usize::from(draw.slice.charge))
                .map(|charge| charge.code.clone())
                .unwrap_or_default(),
            asset: draw.slice.asset.clone(),
            from: draw.slice.from.clone(),
            amount: draw.slice.amount,
            posted: Some(at),
        });
        taken.collect()
    }

    /// What covers it.
    pub fn draws(&self) -> &[Draw] {
        &self.draws
    }

    /// Names the charges behind those of the record's own answer.
    pub fn name_earlier(&mut self, draft: &mut Draft<'_>) {
        for draw in &mut self.draws {
            let charge = self.priced.charges.get(usize::from(draw.slice.charge));
            let code = charge.map_or("", |charge| charge.code.as_str());
            draw.slice.charge = draft.earlier_charge(code);
        }
    }

    /// Posts charges and nothing else that the plan answered.
    pub fn charge(self, draft: &mut Draft<'_>, event: &Event, at: Timestamp) {
        draft.take(&self.draws);
        count_event(draft, event, &self.draws, at);
    }

    /// Posts charges, then grants, then the plan's state, its subject's state and its timers.
    pub fn post(self, draft: &mut Draft<'_>, pricing: &Pricing, cause: Cause<'_>, at: Timestamp) {
        draft.take(&self.draws);
        if let Some(event) = cause.event() {
            count_event(draft, event, &self.draws, at);
        }
        carry_out(draft, self.priced, pricing, cause, at);
    }

    /// The same, noted with the event that its charges belong to.
    pub fn post_for(
        self,
        draft: &mut Draft<'_>,
        pricing: &Pricing,
        cause: Cause<'_>,
        owner: Option<&Standing>,
        at: Timestamp,
    ) {
        if let Some(owner) = owner {
            note_charged(draft, owner, &self, at);
        }
        self.post(draft, pricing, cause, at);
    }
}

/// What a plan was asked about.
#[derive(Clone, Copy)]
pub(crate) enum Cause<'e> {
    /// An event.
    Event(&'e Event),
    /// That an event of its subject was taken back.
    Reversal(&'e Event),
    /// The start of its subscription.
    Start,
    /// Something that fell due at this instant.
    Due(Timestamp),
    /// A timer of a subject that fell due at this instant, and the event that set it, where that still counts.
    Timer(Timestamp, &'e TimerAbout, Option<&'e Event>),
}

impl<'e> Cause<'e> {
    /// The event that what is charged is charged for.
    fn event(self) -> Option<&'e Event> {
        match self {
            Cause::Event(event) | Cause::Reversal(event) | Cause::Timer(.., Some(event)) => Some(event),
            Cause::Start | Cause::Due(_) | Cause::Timer(.., None) => None,
        }
    }

    /// What that event carries.
    fn attributes(self) -> &'e Attributes {
        static NONE: Attributes = Attributes::EMPTY;
        self.event().map_or(&NONE, |event| &event.attributes)
    }

    /// The event that what is given is given for.
    fn giver(self) -> Option<EventRef> {
        match self {
            Cause::Event(event) | Cause::Timer(.., Some(event)) => Some(event.reference()),
            Cause::Reversal(_) | Cause::Start | Cause::Due(_) | Cause::Timer(.., None) => None,
        }
    }

    /// When it should have happened, where that may be long before it is handled.
    fn instant(self) -> Option<Timestamp> {
        match self {
            Cause::Due(instant) | Cause::Timer(instant, ..) => Some(instant),
            Cause::Event(_) | Cause::Reversal(_) | Cause::Start => None,
        }
    }

    /// The subject that the plan was asked about, and the event that its timers are set for. One that was taken back is none.
    fn subject(self, pricing: &Pricing) -> Option<(&'e str, Option<EventRef>)> {
        let (event, timers_of) = match self {
            Cause::Event(event) => (event, Some(event.reference())),
            Cause::Reversal(event) => (event, None),
            Cause::Timer(_, about, _) => return Some((&about.subject, about.event.clone())),
            Cause::Start | Cause::Due(_) => return None,
        };
        let subject = event.attributes.get(pricing.subject_attribute.as_ref()?)?;
        Some((subject, timers_of))
    }
}

/// Whether the wallet has room for what a plan answered, and the grants in it make sense.
pub(crate) fn check_priced(
    wallet: &Wallet,
    priced: &Priced,
    pricing: &Pricing,
    cause: Cause<'_>,
) -> Result<(), Refusal> {
    check_values(wallet, priced)?;
    let subject = cause.subject(pricing).map(|(subject, _)| subject);
    check_timers(wallet, &pricing.subscription, subject, &priced.timers)
}

/// The same of what it charges and gives alone.
pub(crate) fn check_values(wallet: &Wallet, priced: &Priced) -> Result<(), Refusal> {
    let sensible = |order: &GrantOrder| {
        order.amount.is_positive()
            && order.amount.get() <= GRANT_NANOS_MAX
            && order.each.iter().all(is_sensible)
    };
    if !priced.grants.iter().all(sensible) {
        let problem = "of a grant that the plan gives must be more than zero and at most 10^18";
        return Err(Refusal::Amount {
            field: "amount",
            problem,
        });
    }
    let charges = priced.charges.iter();
    let prices = charges.flat_map(|c| std::iter::once(&c.price).chain(&c.otherwise));
    let charged = prices.filter(|p| !p.amount.is_zero()).map(|p| &p.asset);
    let granted = priced.grants.iter().map(|order| &order.asset);
    check_room(wallet, charged.chain(granted), priced.grants.len())
}

/// What a plan orders besides charges.
pub(crate) fn carry_out(
    draft: &mut Draft<'_>,
    priced: &Priced,
    pricing: &Pricing,
    cause: Cause<'_>,
    at: Timestamp,
) {
    // What is caught up later than it fell due opens as it would have at its instant: a grant for the month after waits for
    // that month, though it may have begun by now.
    let from = cause.instant().unwrap_or(at);
    for (index, order) in priced.grants.iter().enumerate() {
        let sequence = draft.wallet.header.sequence + 1;
        // A subscription's name may take all of the room; its grants then go by the record alone.
        let wanted = [
            format!("{}:{sequence}:{index}", pricing.subscription),
            format!("plan:{sequence}:{index}"),
        ];
        let Some(id) = draft.unused_grant_id(&wanted) else {
            continue;
        };
        open_grant_state(draft, &id, ordered_grant(order, &pricing.subscription, from));
        if let Some(giver) = cause.giver() {
            draft.put(Effect::GrantGiven(id, giver));
        }
    }
    if priced.state.is_none() && priced.timers.is_empty() && priced.subject.is_none() {
        return; // A plan without a memory, as most events have: the subscription stays as it is.
    }
    let Some(subscription) = draft.wallet.subscription(&pricing.subscription) else {
        return;
    };
    let mut changed = subscription.clone();
    if let (Some(term), Some(state)) = (&pricing.term, &priced.state) {
        // The open term knows nothing of it: nothing cascades past a renewal.
        let after = term.with_state(state, pricing.state_version, pricing.revision);
        draft.put(Effect::TermPut(pricing.subscription.clone(), Box::new(after)));
    } else if let Some(state) = &priced.state {
        changed.keep(state, pricing.state_version, pricing.revision);
    }
    // A plan that no longer serves the subscription sets no timers in it.
    let serves = pricing.term.as_ref().is_none_or(|term| term.plan == changed.plan);
    let subject = cause.subject(pricing);
    for timer in priced.timers.iter().filter(|_| serves) {
        // A plan that is woken can only ask for a later time: else it would be woken for ever at one instant.
        let least = cause
            .instant()
            .map(|instant| instant.saturating_add(limits::TIMER_STEP_MIN));
        let goes_off = timer.at.map(|at| least.map_or(at, |least| at.max(least)));
        match (&subject, goes_off) {
            (Some((subject, event)), goes_off) => {
                let state = goes_off.map(|goes_off| TimerState {
                    at: goes_off,
                    set: at,
                    plan: changed.plan.clone(),
                    event: event.clone(),
                });
                put_timer(draft, &pricing.subscription, &timer.key, subject, state);
            }
            (None, Some(goes_off)) => {
                changed.timers.insert(timer.key.clone(), goes_off);
            }
            (None, None) => {
                changed.timers.remove(&timer.key);
            }
        }
    }
    let plan = changed.plan.clone();
    if draft.wallet.subscription(&pricing.subscription) != Some(&changed) {
        draft.put(Effect::SubscriptionPut(
            pricing.subscription.clone(),
            Box::new(changed),
        ));
    }
    let plan = pricing.term.as_ref().map_or(plan, |term| term.plan.clone());
    if let (Some(change), Some((subject, _))) = (&priced.subject, subject) {
        draft.put(Effect::SubjectPut(
            pricing.subscription.clone(),
            subject.to_string(),
            SubjectState {
                state: change.state.clone(),
                expires: change.expires,
                kept_by: Some(KeptBy {
                    plan,
                    version: pricing.state_version,
                }),
            },
        ));
    }
}

/// What nothing covers is owed.
pub(crate) fn debt(uncovered: Uncovered) -> Draw {
    Draw {
        slice: Slice {
            charge: uncovered.charge,
            asset: uncovered.asset,
            from: SliceSource::Debt,
            amount: uncovered.missing,
        },
        origin: Origin::Live,
        portion: None,
    }
}

pub(crate) fn unpostable(why: Uncoverable) -> Refusal {
    let problem = match why {
        Uncoverable::Chain => {
            "of every price in an `otherwise` chain must be more than zero, in at most 4 prices"
        }
    };
    Refusal::Amount {
        field: "charge",
        problem,
    }
}
