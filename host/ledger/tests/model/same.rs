//! Compares the ledger's wallet with the model's, to the nano and the grant.

use std::collections::BTreeMap;

use farebox_ledger::LimitView;
use farebox_money::Nanos;
use farebox_record::codec;
use farebox_record::ids::{LimitName, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange, SubscriptionStatus, TermState};
use farebox_record::state::{GrantPhase, Part, SliceSource, SubjectState, SubscriptionState, TimerState};
use farebox_record::time::Period;
use proptest::prelude::*;

use crate::drive::{Pair, since_start};
use crate::reference::{Model, Source, Sums, of};
use crate::subscriptions::{Change, Status, Sub, Term};
use crate::timers::Timer;
use crate::words::{ASSETS, PLANS, named, reference};
use crate::world::{World, bound, t};

/// Everything that both know.
pub fn same(pair: &Pair) -> Result<(), TestCaseError> {
    let (world, model) = (&pair.world, &pair.model);
    let header = world.wallet.header();
    prop_assert_eq!(header.sequence, model.records, "records");
    prop_assert_eq!(header.unpriced, model.unpriced.len() as u64, "unpriced");
    same_totals(world, model)?;
    same_grants(world, model)?;
    same_holds(world, model)?;
    lifetimes(world)?;
    same_subscriptions(world, model)?;
    same_terms(world, model)?;
    same_subjects(world, model)?;
    same_timers(world, model)?;
    same_limits(world, model)
}

fn same_subjects(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let mut stored = Vec::new();
    for (key, value) in world.parts() {
        if let Ok(Part::Subject(sub, team)) = Part::from_key(&key) {
            let kept: SubjectState = codec::decode(&value).unwrap();
            stored.push((sub.to_string(), team, kept.state));
        }
    }
    let expected = model.subjects.iter();
    let expected = expected.map(|(sub, team, state)| (sub.clone(), team.to_string(), vec![*state]));
    let mut expected: Vec<_> = expected.collect();
    stored.sort();
    expected.sort();
    prop_assert_eq!(stored, expected, "what is kept of teams");
    Ok(())
}

fn same_timers(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let mut stored = Vec::new();
    for (key, value) in world.parts() {
        if let Ok(Part::SubjectTimer(timer)) = Part::from_key(&key) {
            let state: TimerState = codec::decode(&value).unwrap();
            stored.push(format!(
                "{} {} {} {} {} {} {}",
                timer.subscription,
                timer.key,
                timer.subject,
                since_start(state.at),
                since_start(state.set),
                state.plan,
                state.event.map_or("-".to_string(), |event| named(&event))
            ));
        }
    }
    let expected = model.timers.iter().map(|((sub, key, team), timer)| {
        let plan = PLANS[timer.plan].0;
        let Timer { at, set, event, .. } = timer;
        let event = event.as_deref().unwrap_or("-");
        format!("{sub} {key} {team} {at} {set} {plan} {event}")
    });
    let mut expected: Vec<String> = expected.collect();
    stored.sort();
    expected.sort();
    prop_assert_eq!(stored, expected, "timers of teams");
    Ok(())
}

fn same_totals(world: &World, model: &Model) -> Result<(), TestCaseError> {
    for asset in ASSETS {
        let active = model.grants.iter().filter(|g| g.asset == asset);
        let free: i128 = active.clone().filter(|g| !g.waiting).map(|g| g.free).sum();
        let all: i128 = active.clone().map(|g| g.free).sum();
        let pinned: i128 = active.map(|g| model.held(&g.id)).sum();
        let credit: i128 = model.holds.iter().filter_map(|h| h.credit.get(asset)).sum();
        let (debt, receivable) = (of(&model.debt, asset), of(&model.receivable, asset));
        let expected = [free, pinned + credit, debt, receivable];
        prop_assert_eq!(world.balance(asset), expected.map(Nanos::new), "{}", asset);
        let totals = world.wallet.header().assets.get(asset).map(|totals| **totals);
        let totals = totals.unwrap_or_default();
        let [promotional, included, paid] = [0, 1, 2].map(|category| of(&model.given[category], asset));
        for (name, stored, expected) in [
            ("revenue", totals.revenue, of(&model.revenue, asset)),
            ("breakage", totals.breakage, of(&model.breakage, asset)),
            ("purchases", totals.purchases, -paid),
            ("promotional", totals.promotional, -promotional),
            ("included", totals.included, -included),
            ("adjustments", totals.adjustments, of(&model.adjusted, asset)),
        ] {
            prop_assert_eq!(stored.get(), expected, "{} of {}", name, asset);
        }
        // The model's own books.
        let sum = all + pinned - debt - receivable + of(&model.revenue, asset) + of(&model.breakage, asset)
            - paid
            - promotional
            - included
            + of(&model.adjusted, asset);
        prop_assert_eq!(sum, 0, "the model's accounts of {}", asset);
    }
    Ok(())
}

fn same_grants(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let mut stored: BTreeMap<String, _> = BTreeMap::new();
    for (id, grant) in world.wallet.grants() {
        stored.insert(id.to_string(), grant);
    }
    for grant in &model.grants {
        let expected = (grant.free, model.held(&grant.id));
        let Some(stored) = stored.remove(&grant.id) else {
            prop_assert_eq!(expected, (0, 0), "grant {} is gone", &grant.id);
            continue;
        };
        let there = (stored.available.get(), stored.held.get());
        prop_assert_eq!(there, expected, "grant {}", &grant.id);
        let phase = match (grant.waiting, grant.dead) {
            (true, _) => GrantPhase::Waiting,
            (false, true) => GrantPhase::Expired,
            (false, false) => GrantPhase::Active,
        };
        prop_assert_eq!(stored.phase, phase, "grant {}", &grant.id);
        let subscription = stored.subscription.as_ref().map(SubscriptionId::as_str);
        prop_assert_eq!(subscription, grant.sub.as_deref(), "grant {}", &grant.id);
    }
    prop_assert!(stored.is_empty(), "the model has no {:?}", stored.keys());
    Ok(())
}

fn same_holds(world: &World, model: &Model) -> Result<(), TestCaseError> {
    for hold in &model.holds {
        let reference = reference(&hold.id);
        let Some(stored) = world.wallet.hold(&reference) else {
            prop_assert!(hold.ended || hold.forgotten, "hold {} is gone", &hold.id);
            continue;
        };
        prop_assert!(!hold.ended && !hold.forgotten, "hold {} is still there", &hold.id);
        prop_assert_eq!(stored.expired.is_some(), hold.expired);
        prop_assert_eq!(stored.expires, t(hold.expires));
        prop_assert_eq!(
            (stored.subscription.as_str(), stored.term),
            (&hold.sub[..], hold.term)
        );
        let pins: BTreeMap<String, i128> = stored
            .pins
            .iter()
            .map(|p| (p.grant.to_string(), p.amount.get()))
            .collect();
        prop_assert_eq!(&pins, &hold.pins, "pins of {}", &hold.id);
        prop_assert_eq!(pins.len(), stored.pins.len(), "one pin for each grant");
        let mut credit = Sums::new();
        for (asset, amount) in &stored.overdraft {
            let asset = ASSETS.iter().find(|a| **a == asset.as_str()).unwrap();
            credit.insert(asset, amount.get());
        }
        let expected: Sums = hold.credit.clone().into_iter().filter(|(_, n)| *n != 0).collect();
        prop_assert_eq!(credit, expected, "credit of {}", &hold.id);
        let mut taken: BTreeMap<(usize, &str, Source), i128> = BTreeMap::new();
        for slice in &stored.taken {
            let source = match &slice.from {
                SliceSource::Grant(id) => Source::Grant(id.to_string()),
                SliceSource::Debt => Source::Debt,
                SliceSource::Receivable => Source::Receivable,
            };
            let asset = *ASSETS.iter().find(|a| **a == slice.asset.as_str()).unwrap();
            taken.insert((usize::from(slice.charge), asset, source), slice.amount.get());
        }
        prop_assert_eq!(&taken, &hold.taken, "slices of {}", &hold.id);
    }
    let open = model.holds.iter().filter(|h| !h.ended && !h.forgotten).count();
    prop_assert_eq!(world.wallet.holds().count(), open, "holds");
    Ok(())
}

/// A grant is there as long as there is something of it or something may come back to it, and no longer.
fn lifetimes(world: &World) -> Result<(), TestCaseError> {
    let holds: Vec<_> = world.wallet.holds().map(|(_, hold)| hold).collect();
    let named = |id: &farebox_record::ids::GrantId| {
        let source = SliceSource::Grant(id.clone());
        holds
            .iter()
            .any(|h| h.taken.iter().any(|slice| slice.from == source))
    };
    for (id, grant) in world.wallet.grants() {
        let empty = grant.available.is_zero() && grant.held.is_zero();
        let tells_who_had = grant.portions.is_some()
            && grant.subscription.is_some()
            && grant.expires.is_some()
            && grant.phase != GrantPhase::Expired;
        prop_assert!(!empty || named(id) || tells_who_had, "{} should be gone", id);
    }
    for slice in holds.iter().flat_map(|h| &h.taken) {
        if let SliceSource::Grant(id) = &slice.from {
            prop_assert!(
                world.wallet.grants().any(|(g, _)| g == id),
                "{} is gone too early",
                id
            );
        }
    }
    Ok(())
}

fn same_subscriptions(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let stored = world.wallet.subscriptions();
    let stored: Vec<Sub> = stored.map(|(id, state)| sub(id, state)).collect();
    let mut expected = model.subs.clone();
    expected.sort_by(|a, b| a.id.cmp(&b.id));
    prop_assert_eq!(stored, expected);
    Ok(())
}

/// Every term that is kept is one that a subscription remembers, and the other way around.
fn same_terms(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let mut stored: BTreeMap<(String, u32), Term> = BTreeMap::new();
    for (key, value) in world.parts() {
        if let Part::Term(id, number) = Part::from_key(&key).unwrap() {
            let state: TermState = codec::decode(&value).unwrap();
            prop_assert_eq!(state.number, number);
            stored.insert((id.to_string(), number), term(state));
        }
    }
    prop_assert_eq!(&stored, &model.terms, "terms");
    let remembered = model.subs.iter();
    let remembered = remembered.flat_map(|s| s.past.iter().map(|past| (s.id.clone(), past.0)));
    let mut remembered: Vec<(String, u32)> = remembered.collect();
    remembered.sort();
    let kept: Vec<(String, u32)> = stored.into_keys().collect();
    prop_assert_eq!(kept, remembered, "terms that are kept");
    Ok(())
}

fn same_limits(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let names: Vec<&str> = world.wallet.limits().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<&str> = model.limits.keys().map(String::as_str).collect();
    prop_assert_eq!(names, expected, "limits");
    for (name, limit) in world.wallet.limits() {
        let view = LimitView::at(limit, world.now);
        let counted = (view.used.get(), view.held.get());
        prop_assert_eq!(counted, model.limit(LimitName::as_str(name)), "limit {}", name);
    }
    let announced: Vec<String> = world.records.iter().flat_map(bound::announced).collect();
    prop_assert_eq!(&announced, &model.announced, "announcements");
    Ok(())
}

/// A term in the model's terms.
pub fn term(state: TermState) -> Term {
    Term {
        plan: plan(state.plan.as_str()),
        period: period(state.period),
        since: since_start(state.since),
        until: since_start(state.until),
        seats: state.seats,
        opening: state.opening,
        state: state.state,
        opened: state.opened,
    }
}

fn plan(name: &str) -> usize {
    PLANS.iter().position(|(plan, _)| *plan == name).unwrap()
}

fn period(period: Period) -> (i64, i64, u32) {
    (since_start(period.start), since_start(period.end), period.index)
}

/// A subscription in the model's terms.
fn sub(id: &SubscriptionId, state: &SubscriptionState) -> Sub {
    let owned: Vec<&str> = state.event_types.iter().map(|kind| kind.as_str()).collect();
    let scheduled = state.scheduled.iter().map(|scheduled| match &scheduled.change {
        SubscriptionChange::Seats(seats) => Change::Seats(*seats),
        SubscriptionChange::Plan { plan: name, cadence } => Change::Plan(plan(name.as_str()), *cadence),
        SubscriptionChange::Pause => Change::Pause,
        SubscriptionChange::Resume => Change::Resume,
        SubscriptionChange::Cancel => Change::Cancel,
        SubscriptionChange::Unschedule => Change::Unschedule,
        SubscriptionChange::AboveHold(_) => unreachable!("it is never scheduled"),
    });
    let key = |key: &str| if key == "k" { "k" } else { "l" };
    Sub {
        id: id.to_string(),
        plan: plan(state.plan.as_str()),
        started: since_start(state.started),
        anchor: since_start(state.anchor),
        cadence: state.cadence,
        period: period(state.period),
        seats: state.seats,
        owns: PLANS.iter().position(|(_, kinds)| *kinds == owned).unwrap(),
        state: state.state.clone(),
        timers: state
            .timers
            .iter()
            .map(|(name, at)| (key(name), since_start(*at)))
            .collect(),
        status: match state.status {
            SubscriptionStatus::Active => Status::Active,
            SubscriptionStatus::Paused(at) => Status::Paused(since_start(at)),
            SubscriptionStatus::Cancelled(at) => Status::Cancelled(since_start(at)),
        },
        scheduled: scheduled.collect(),
        term: state.term,
        since: since_start(state.since),
        opened: state.opened,
        opening: state.opening.clone(),
        past: state
            .past
            .iter()
            .map(|past| (past.number, since_start(past.since), since_start(past.until)))
            .collect(),
    }
}
