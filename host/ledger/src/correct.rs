//! Corrections of events: refunds, voids and amendments. The original stays as it was written; what it took is given back
//! by entries that name it, and from then on the event *stands* otherwise than its own record says.

use farebox_record::command::Command;
use farebox_record::correction::{
    Amend, Consequence, Original, PricedBy, Refold, Refund, RefundTarget, Repriced, Standing, StandingStatus,
    TakenSlice, Void,
};
use farebox_record::outcome::{
    Account, Answer, Corrected, Effect, Line, Outcome, Pricing, Refolded, Seen, Verdict,
};
use farebox_record::plan::{Charge, EventRef, Priced};
use farebox_record::record::Record;
use farebox_record::state::{SliceSource, Waiting};
use farebox_record::time::Timestamp;

use farebox_money::{Asset, Nanos};

use crate::adjust::{check_amount, check_at_most, refund_grant};
use crate::conclude::taken as taken_by;
use crate::cover::{Grants, lines};
use crate::draft::{Draft, attempt};
use crate::giving::Giving;
use crate::lost::Lost;
use crate::orders::{Cause, Ready};
use crate::refold::{Refolding, fits};
use crate::refusal::Refusal;
use crate::reverse::{Reversed, give_back, split, take_back_given};
use crate::timer::take_away_timers;
use crate::wallet::Wallet;

/// Gives money back: what an event took, to where it came from; or unused bought value, to the customer.
pub(crate) fn refund(
    wallet: &mut Wallet,
    refund: &Refund,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    match &refund.target {
        RefundTarget::Grant { grant, amount } => refund_grant(wallet, grant, *amount, at),
        RefundTarget::Event { event, amount } => {
            check_ended(wallet, event)?;
            let original = charged(seen)?;
            refund_event(wallet, event, amount.as_ref(), original, at)
        }
    }
}

fn refund_event(
    wallet: &mut Wallet,
    event: &EventRef,
    amount: Option<&(Asset, Nanos)>,
    original: &Original,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let standing = &original.standing;
    if let Some((asset, amount)) = amount {
        check_amount(*amount)?;
        let same = standing.slices.iter().filter(|slice| slice.asset == *asset);
        let taken = Nanos::new(same.map(|slice| slice.amount.get()).sum());
        check_at_most(
            *amount,
            taken,
            "is more than the event took and has not given back",
        )?;
    }
    let (back, stays) = split(&standing.slices, amount);
    if back.is_empty() {
        return Err(Refusal::NothingToGiveBack);
    }
    let mut draft = Draft::new(wallet, at);
    let reversed = give_back(&mut draft, standing, &back, &original.ended, at);
    let after = Standing {
        slices: stays,
        ..standing.clone()
    };
    draft.put(Effect::StandingPut(event.clone(), Box::new(after)));
    Ok(draft.finish(|wallet| Answer::Corrected(Box::new(corrected(reversed, Vec::new(), wallet)))))
}

/// Takes an event back: all that it took comes back. A plan that follows subjects is told, and may answer.
pub(crate) fn void(wallet: &mut Wallet, void: &Void, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
    check_ended(wallet, &void.event)?;
    let original = standing(seen)?;
    attempt(wallet, |wallet| {
        let mut draft = Draft::new(wallet, at);
        // What the plan charges for it comes first in the record's list of charges; what comes back goes on behind it.
        draft.answer_holds(charges_of(seen));
        let mut reversed = take_back(&mut draft, original, at);
        take_back_given(&mut draft, &void.event);
        let behind = begin_refold(&mut draft, seen, original, &mut reversed.lost, at)?;
        let mut charges = match &seen.pricing {
            None => Vec::new(),
            Some(pricing) => carry_out_reversal(&mut draft, pricing, Names::Answer, original, at)?,
        };
        // What it gave back of other events is theirs again.
        let giving = Giving::of(draft.wallet, &void.event, &original.give_backs, &[], &seen.named)?;
        charges.extend(giving.take_again(&mut draft, at)?);
        let after = Standing {
            status: StandingStatus::Voided,
            lines: Vec::new(),
            slices: Vec::new(),
            ..original.standing.clone()
        };
        draft.put(Effect::StandingPut(void.event.clone(), Box::new(after)));
        finish_refold(draft, behind, reversed, charges, at)
    })
}

/// Gives back what the events behind cost less, where the plan's prices depend on what came before; what of that would be lost
/// joins `lost`.
fn begin_refold<'s>(
    draft: &mut Draft<'_>,
    seen: &'s Seen,
    original: &'s Original,
    lost: &mut Lost,
    at: Timestamp,
) -> Result<Option<(Refolding<'s>, u64)>, Refusal> {
    let Some(Consequence::Refolded(refold)) = seen.consequence.as_deref() else {
        return Ok(None);
    };
    if !fits(draft.wallet, refold) {
        let why = "a period ended meanwhile; send it again";
        return Err(Refusal::CannotRefold(why.to_string()));
    }
    // An event's standing closes the entries that are about it: what came back of this one is told from what follows.
    let event = original.standing.event.reference();
    let nothing = Standing {
        lines: Vec::new(),
        slices: Vec::new(),
        ..original.standing.clone()
    };
    draft.put(Effect::StandingPut(event, Box::new(nothing)));
    let begun = Refolding::begin(draft, refold, original, lost, at)?;
    Ok(Some((begun, refold.events)))
}

/// Charges what the events behind cost more, and tells all of it.
fn finish_refold(
    mut draft: Draft<'_>,
    behind: Option<(Refolding<'_>, u64)>,
    mut reversed: Reversed,
    charges: Vec<Line>,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let Some((behind, events)) = behind else {
        return Ok(draft.finish(|wallet| Answer::Corrected(Box::new(corrected(reversed, charges, wallet)))));
    };
    let repriced = behind.finish(&mut draft, &mut reversed.lost, at)?;
    Ok(draft.finish(|wallet| {
        Answer::Refolded(Box::new(Refolded {
            corrected: corrected(reversed, charges, wallet),
            events,
            repriced,
        }))
    }))
}

/// Replaces an event: all that it took comes back, and what it should have been is charged.
pub(crate) fn amend(
    wallet: &mut Wallet,
    amend: &Amend,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    check_ended(wallet, &amend.event.reference())?;
    let original = standing(seen)?;
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
    let priced = replacement(pricing, original, seen)?;
    let event = amend.event.reference();
    attempt(wallet, |wallet| {
        let mut draft = Draft::new(wallet, at);
        // What is charged now comes first in the record's list of charges; what comes back goes on behind it.
        draft.answer_holds(priced.charges.len());
        let mut reversed = take_back(&mut draft, original, at);
        let behind = begin_refold(&mut draft, seen, original, &mut reversed.lost, at)?;
        let mut giving = Giving::of(
            draft.wallet,
            &event,
            &original.give_backs,
            &priced.charges,
            &seen.named,
        )?;
        giving.give(&mut draft, at);
        if let Some(Consequence::Reversed(reversal)) = seen.consequence.as_deref() {
            carry_out_reversal(&mut draft, reversal, Names::Earlier, original, at)?;
        }
        if behind.is_none() {
            take_back_given(&mut draft, &event);
        }
        giving.take_again(&mut draft, at)?;
        let cause = Cause::Event(&amend.event);
        let ended = &original.ended;
        let grants = Grants::with_ended(draft.wallet, ended);
        let lost = reversed.lost.good_at(seen.time, grants);
        let ready = Ready::in_place_of(draft.wallet, priced, pricing, cause, lost, ended)?;
        reversed.lost.spend(ready.draws());
        let slices = ready.slices(at);
        match behind {
            // Its state is the one behind all events of the term, and what it gives it gave before.
            Some(_) => ready.charge(&mut draft, &amend.event, at),
            None => ready.post(&mut draft, pricing, cause, at),
        }
        let after = Standing {
            event: amend.event.clone(),
            time: seen.time,
            status: StandingStatus::Charged,
            priced: Some(priced_by(pricing)),
            lines: lines(&priced.charges),
            slices,
        };
        draft.put(Effect::StandingPut(event.clone(), Box::new(after)));
        finish_refold(draft, behind, reversed, lines(&priced.charges), at)
    })
}

/// What the event costs that takes the place of another, where it has a price and may take that place.
fn replacement<'s>(pricing: &'s Pricing, original: &Original, seen: &Seen) -> Result<&'s Priced, Refusal> {
    let priced = match &pricing.verdict {
        Verdict::Priced(priced) => priced,
        Verdict::Rejected(rejection) => return Err(Refusal::InvalidEvent(rejection.clone())),
        Verdict::Failed { code, message } => {
            return Err(Refusal::PlanFailed {
                code: code.clone(),
                message: message.clone(),
            });
        }
    };
    if let Some(giver) = original.give_backs.by.first() {
        return Err(Refusal::CannotRefold(format!(
            "event {} gave back of it; void that event first, then amend this one",
            giver.id
        )));
    }
    if let Some(Consequence::Refolded(refold)) = seen.consequence.as_deref() {
        check_not_repriced(refold, &priced.charges)?;
    }
    Ok(priced)
}

/// What is left of an event that is priced again is not known before it is.
fn check_not_repriced(refold: &Refold, charges: &[Charge]) -> Result<(), Refusal> {
    let given_of = |repriced: &&Repriced| {
        let event = Some(repriced.standing.event.reference());
        charges.iter().any(|charge| charge.gives_back == event)
    };
    match refold.repriced.iter().find(given_of) {
        Some(repriced) => Err(Refusal::CannotRefold(format!(
            "the event would give back of event {}, which would cost something else behind it",
            repriced.standing.event.id
        ))),
        None => Ok(()),
    }
}

/// What a call used is not known for good while its hold may still be settled, late or not.
fn check_ended(wallet: &Wallet, event: &EventRef) -> Result<(), Refusal> {
    match wallet.used(event) {
        Some(_) => Err(Refusal::StillHeld),
        None => Ok(()),
    }
}

/// How many charges the plan's answer holds.
fn charges_of(seen: &Seen) -> usize {
    match seen.pricing.as_ref().map(|pricing| &pricing.verdict) {
        Some(Verdict::Priced(priced)) => priced.charges.len(),
        _ => 0,
    }
}

/// All that an event took comes back; one that waits for a price waits no longer, and the timers of its subject that it set
/// go off no more.
fn take_back(draft: &mut Draft<'_>, original: &Original, at: Timestamp) -> Reversed {
    if let StandingStatus::Unpriced(sequence) = original.standing.status {
        draft.put(Effect::UnpricedRated(sequence));
    }
    take_away_timers(draft, &original.standing.event.reference());
    let (back, _) = split(&original.standing.slices, None);
    give_back(draft, &original.standing, &back, &original.ended, at)
}

/// Under which indices the charges of an answer are named in a record.
#[derive(Clone, Copy)]
enum Names {
    /// Their own: it is the record's answer.
    Answer,
    /// Those behind the record's answer.
    Earlier,
}

/// What a plan says to an event of its subject that was taken back.
fn carry_out_reversal(
    draft: &mut Draft<'_>,
    pricing: &Pricing,
    names: Names,
    original: &Original,
    at: Timestamp,
) -> Result<Vec<Line>, Refusal> {
    let priced = match &pricing.verdict {
        Verdict::Priced(priced) => priced,
        Verdict::Rejected(rejection) => return Err(Refusal::PlanRefused(rejection.clone())),
        Verdict::Failed { code, message } => {
            return Err(Refusal::PlanFailed {
                code: code.clone(),
                message: message.clone(),
            });
        }
    };
    let cause = Cause::Reversal(&original.standing.event);
    let mut ready = Ready::new(draft.wallet, priced, pricing, cause)?;
    if let Names::Earlier = names {
        ready.name_earlier(draft);
    }
    ready.post(draft, pricing, cause, at);
    Ok(lines(&priced.charges))
}

fn standing(seen: &Seen) -> Result<&Original, Refusal> {
    let original = seen.original.as_deref().ok_or(Refusal::UnknownEvent)?;
    match original.standing.status {
        StandingStatus::Voided => Err(Refusal::EventVoided),
        StandingStatus::Charged | StandingStatus::Unpriced(_) => Ok(original),
    }
}

fn charged(seen: &Seen) -> Result<&Original, Refusal> {
    let original = standing(seen)?;
    match original.standing.status {
        StandingStatus::Charged => Ok(original),
        StandingStatus::Unpriced(_) | StandingStatus::Voided => Err(Refusal::NothingToGiveBack),
    }
}

fn corrected(reversed: Reversed, charges: Vec<Line>, wallet: &Wallet) -> Corrected {
    Corrected {
        reversed: reversed.total,
        paid: reversed.paid,
        expired: reversed.lost.expired(),
        charges,
        balances: wallet.balances(),
    }
}

pub(crate) fn priced_by(pricing: &Pricing) -> PricedBy {
    PricedBy {
        revision: pricing.revision,
        subscription: pricing.subscription.clone(),
        period: pricing.period,
    }
}

/// An event as the record that ended it says: usage, a one-shot, the last settlement of a hold, or the end of one that was
/// settled in part. None for a record that charges no event.
pub fn standing_of(record: &Record) -> Option<Standing> {
    let pricing = record.seen.pricing.as_ref();
    let said = pricing.map_or_else(Vec::new, |pricing| match &pricing.verdict {
        Verdict::Priced(priced) => lines(&priced.charges),
        Verdict::Rejected(_) | Verdict::Failed { .. } => Vec::new(),
    });
    let charged = |event: &farebox_record::event::Event, slices| Standing {
        event: event.clone(),
        time: record.seen.time,
        status: StandingStatus::Charged,
        priced: pricing.map(priced_by),
        lines: said.clone(),
        slices,
    };
    let unpriced = |event: &farebox_record::event::Event| Standing {
        // A call that is kept happened when it was held for, not when it was settled.
        time: event.time.unwrap_or(record.seen.time),
        status: StandingStatus::Unpriced(record.sequence),
        priced: None,
        lines: Vec::new(),
        ..charged(event, Vec::new())
    };
    let effects = || record.outcome.effects.iter();
    match (&record.command, &record.outcome.answer) {
        (Command::Usage(event), Answer::Unpriced(_)) => Some(unpriced(event)),
        (Command::Usage(event), Answer::Charged { .. }) => Some(charged(event, taken(record))),
        (Command::Backfill(backfill), Answer::Unpriced(_)) => Some(Standing {
            status: StandingStatus::Unpriced(record.sequence),
            priced: None,
            ..charged(&backfill.event, Vec::new())
        }),
        (Command::Backfill(backfill), Answer::Charged { .. }) => {
            Some(charged(&backfill.event, taken(record)))
        }
        (Command::RateUnpriced(rate), Answer::Charged { .. }) => Some(charged(&rate.event, taken(record))),
        (Command::Authorize(authorize), Answer::Allowed(allowed)) if allowed.expires.is_none() => {
            Some(charged(&authorize.event, taken(record)))
        }
        (Command::Settle(_), Answer::Unpriced(_)) => {
            let kept = effects().find_map(|effect| match effect {
                Effect::UnpricedKept(kept) => Some(&kept.what),
                _ => None,
            });
            match kept? {
                Waiting::Event(event) => Some(unpriced(event)),
                Waiting::Transition(_) | Waiting::Change(_) => None,
            }
        }
        // A call that was settled in part ended without a last settlement.
        (Command::Release(_) | Command::Due(_), _) => effects().find_map(|effect| match effect {
            Effect::StandingPut(_, standing) => Some((**standing).clone()),
            _ => None,
        }),
        (Command::Settle(settle), Answer::Settled(settled)) if settled.ended => {
            let hold = record.outcome.effects.iter().find_map(|effect| match effect {
                Effect::HoldPut(event, hold) if *event == settle.hold => Some(hold),
                _ => None,
            })?;
            let mut event = hold.event.clone();
            event.measures.clone_from(&settle.measures);
            event.attributes.extend(&settle.attributes);
            Some(Standing {
                time: hold.time,
                ..charged(&event, taken_by(hold))
            })
        }
        _ => None,
    }
}

/// What a record of a refund gave back of an event; none for other records.
pub fn refunded_of(record: &Record) -> Option<(EventRef, Vec<TakenSlice>)> {
    let (Command::Refund(refund), Answer::Corrected(_)) = (&record.command, &record.outcome.answer) else {
        return None;
    };
    let RefundTarget::Event { event, amount } = &refund.target else {
        return None;
    };
    let original = record.seen.original.as_deref()?;
    let (back, _) = split(&original.standing.slices, amount.as_ref());
    Some((event.clone(), back))
}

/// What the entries of a record took for its charges, in the order in which they were posted.
fn taken(record: &Record) -> Vec<TakenSlice> {
    let entries = record.outcome.effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) if entry.amount.is_negative() => Some(entry),
        _ => None,
    });
    let slices = entries.filter_map(|entry| {
        let from = match &entry.account {
            Account::Available(grant) | Account::Held(grant) => SliceSource::Grant(grant.clone()),
            Account::Debt => SliceSource::Debt,
            Account::Receivable => SliceSource::Receivable,
            _ => return None,
        };
        Some(TakenSlice {
            code: record.charge_code(entry.charge?)?.into(),
            asset: entry.asset.clone(),
            from,
            amount: Nanos::new(-entry.amount.get()),
            posted: Some(record.at),
        })
    });
    slices.collect()
}
