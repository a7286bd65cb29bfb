//! What counts: everything that charges take for events, at the time of its posting, debt and receivables included.

use farebox_money::{Asset, Nanos};
use farebox_record::correction::{Standing, TakenSlice};
use farebox_record::event::{Attributes, Event};
use farebox_record::ids::LimitName;
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_record::spending::{CrossedThreshold, LimitState, Threshold};
use farebox_record::state::{HoldState, Slice};
use farebox_record::time::Timestamp;

use crate::cover::Draw;
use crate::draft::Draft;
use crate::reverse::posted;
use crate::spending::window::{bounds, reached, used_at};

/// Counts what an event took that no hold was open for.
pub(crate) fn count_event(draft: &mut Draft<'_>, event: &Event, draws: &[Draw], at: Timestamp) {
    if draft.wallet.limits.is_empty() {
        return;
    }
    let slices = || draws.iter().map(|draw| &draw.slice);
    for (name, asset) in counting(draft, &event.attributes) {
        count(draft, &name, taken_of(slices(), &asset), at);
    }
}

/// Counts what an event gives back towards the limits that counted it: those that it was posted within the present window
/// of. What a limit never counted, or counted in a window that is over, frees nothing of this one.
pub(crate) fn count_back(draft: &mut Draft<'_>, standing: &Standing, slices: &[TakenSlice], at: Timestamp) {
    count_as_counted(draft, standing, slices, -1, at);
}

/// Counts what had been counted back, and is taken again.
pub(crate) fn count_again(draft: &mut Draft<'_>, standing: &Standing, slices: &[TakenSlice], at: Timestamp) {
    count_as_counted(draft, standing, slices, 1, at);
}

fn count_as_counted(
    draft: &mut Draft<'_>,
    standing: &Standing,
    slices: &[TakenSlice],
    sign: i128,
    at: Timestamp,
) {
    if draft.wallet.limits.is_empty() {
        return;
    }
    for (name, asset) in counting(draft, &standing.event.attributes) {
        let from = draft
            .wallet
            .limits
            .get(&name)
            .map(|limit| limit.since.max(bounds(limit.terms.window, at).0));
        let counted = |slice: &&TakenSlice| from.is_none_or(|from| from <= posted(slice, standing));
        let same = slices.iter().filter(|slice| slice.asset == asset);
        let amount: i128 = same.filter(counted).map(|slice| slice.amount.get()).sum();
        count(draft, &name, Nanos::new(sign * amount), at);
    }
}

/// Counts what a settlement took beyond the ones before it, or less. `before` is its hold before it, the wallet has it
/// after it; `attributes` are those of the call as it turned
/// out; where they leave a limit, or enter one, what was taken before does too.
pub(crate) fn count_settlement(
    draft: &mut Draft<'_>,
    before: &HoldState,
    attributes: &Attributes,
    at: Timestamp,
) {
    if draft.wallet.limits.is_empty() {
        return;
    }
    let event = before.event.reference();
    let Some(now) = draft.wallet.hold(&event).cloned() else {
        return;
    };
    // As the settlement before it said that the call is.
    let known = draft.wallet.used(&event).map(|usage| &usage.event);
    let earlier = known.unwrap_or(&before.event).attributes.clone();
    let names: Vec<LimitName> = draft.wallet.limits.keys().cloned().collect();
    for name in names {
        let Some(limit) = draft.wallet.limits.get(&name) else {
            continue;
        };
        let terms = &limit.terms;
        let own = terms.scope.holds(&before.event.attributes);
        let taken = |hold: &HoldState, counts| match counts {
            true => taken_of(hold.taken.iter(), &terms.asset),
            false => Nanos::ZERO,
        };
        let counted = limit.apart.get(&event).copied().unwrap_or(taken(before, own));
        let counts = match (terms.scope.holds(&earlier), terms.scope.holds(attributes)) {
            // What was taken before the limit began is not counted, and frees nothing when it comes back.
            (true, true) => {
                let more = taken(&now, true).get() - taken(before, true).get();
                Nanos::new((counted.get() + more).max(0))
            }
            (_, counts) => taken(&now, counts),
        };
        let apart = (counts != taken(&now, own)).then_some(counts);
        let change = Nanos::new(counts.get() - counted.get());
        // Of a call that began in an earlier window nobody knows how much of it that one counted, so it frees nothing here: a
        // limit may say no too early, and never too late.
        let frees = before.opened >= bounds(terms.window, at).0;
        if limit.apart.get(&event).copied() != apart {
            count_apart(draft, &name, &event, apart);
        }
        if frees || !change.is_negative() {
            count(draft, &name, change, at);
        }
    }
}

fn count_apart(draft: &mut Draft<'_>, limit: &LimitName, hold: &EventRef, amount: Option<Nanos>) {
    draft.put(Effect::LimitCountedApart {
        limit: limit.clone(),
        hold: hold.clone(),
        amount,
    });
}

/// The limits that count an event with these attributes, each with its asset.
fn counting(draft: &Draft<'_>, attributes: &Attributes) -> Vec<(LimitName, Asset)> {
    let limits = draft.wallet.limits.iter();
    limits
        .filter(|(_, limit)| limit.terms.scope.holds(attributes))
        .map(|(name, limit)| (name.clone(), limit.terms.asset.clone()))
        .collect()
}

fn taken_of<'s>(slices: impl Iterator<Item = &'s Slice>, asset: &Asset) -> Nanos {
    let amounts = slices.filter(|slice| slice.asset == *asset);
    Nanos::new(amounts.map(|slice| slice.amount.get()).sum())
}

/// Counts towards one limit, and announces the thresholds that it reaches.
fn count(draft: &mut Draft<'_>, name: &LimitName, amount: Nanos, at: Timestamp) {
    if amount.is_zero() {
        return;
    }
    draft.put(Effect::LimitCounted {
        limit: name.clone(),
        at,
        amount,
    });
    announce(draft, name, at);
}

/// Announces every threshold that usage has reached and that was not announced yet, the lowest first.
pub(super) fn announce(draft: &mut Draft<'_>, name: &LimitName, at: Timestamp) {
    let Some(limit) = draft.wallet.limits.get(name) else {
        return;
    };
    for crossed in newly_crossed(name, limit, at) {
        draft.put(Effect::ThresholdCrossed(Box::new(crossed)));
    }
}

fn newly_crossed(name: &LimitName, limit: &LimitState, at: Timestamp) -> Vec<CrossedThreshold> {
    let (terms, used) = (&limit.terms, used_at(limit, at));
    let is_new = |threshold: &&Threshold| {
        reached(**threshold, terms.amount, used) && !limit.crossed.contains(threshold)
    };
    let mut new: Vec<Threshold> = terms.thresholds.iter().filter(is_new).copied().collect();
    new.sort_by_key(|threshold| threshold.level(terms.amount));
    let (window_start, window_end) = bounds(terms.window, at);
    let crossed = new.into_iter().map(|threshold| CrossedThreshold {
        limit: name.clone(),
        level: terms.scope.to_string(),
        asset: terms.asset.clone(),
        amount: terms.amount,
        threshold,
        at_usage: threshold.level(terms.amount),
        used,
        window_start,
        window_end,
    });
    crossed.collect()
}
