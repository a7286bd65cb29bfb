//! Holds: value set aside before a call. A hold ends once, and never lets a wallet spend what it has not.

use farebox_money::{Asset, Nanos};
use farebox_record::command::{Authorize, AuthorizeMode, Extend, Release};
use farebox_record::correction::GiveBacks;
use farebox_record::event::Attributes;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::SubscriptionStatus;
use farebox_record::outcome::{
    Allowed, Answer, DenialReason, Denied, Effect, HoldEnd, Outcome, Pricing, Seen, Verdict,
};
use farebox_record::plan::{EventRef, Priced, Rejection};
use farebox_record::state::HoldState;
use farebox_record::time::{Span, Timestamp};

use crate::conclude::conclude;
use crate::cover::{Covered, Origin, cover, lines, owned_by};
use crate::credit::{asset_in_debt, beyond, too_short, totals};
use crate::draft::{Draft, grant_of};
use crate::giving::{Giving, check_named, gives_back};
use crate::limits::{self, HOLDS_PER_WALLET_MAX};
use crate::orders::{Cause, Ready, check_priced, unpostable};
use crate::pins::{held, merged, per_asset, pin, pins, unpin_all};
use crate::refusal::{Refusal, too_many};
use crate::spending::{Demand, exceeded};
use crate::wallet::Wallet;

/// Sets the worst case aside, or debits known usage at once; or says no, for ever under this id.
pub(crate) fn authorize(
    wallet: &mut Wallet,
    authorize: &Authorize,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    check_ttl(authorize.ttl)?;
    let Some(pricing) = &seen.pricing else {
        return Ok(deny(wallet, at, denied(DenialReason::NoSubscription)));
    };
    if is_paused(wallet, &pricing.subscription) {
        return Ok(deny(wallet, at, denied(DenialReason::Paused)));
    }
    let priced = match priced(pricing)? {
        Ok(priced) => priced,
        Err(rejection) => return Ok(deny(wallet, at, denied(DenialReason::Unpriceable(rejection)))),
    };
    if authorize.mode == AuthorizeMode::Settle && gives_back(&priced.charges) {
        return debit_behind_give_backs(wallet, authorize, pricing, priced, seen, at);
    }
    if let Some(why) = in_debt(wallet, priced) {
        return Ok(deny(wallet, at, why));
    }
    check_priced(wallet, priced, pricing, Cause::Event(&authorize.event))?;
    // A hold relies on nothing that a settlement may give back: its quote is held without that.
    let attributes = &authorize.event.attributes;
    let covered = match fits(wallet, priced, attributes, at)? {
        Ok(covered) => covered,
        Err(why) => return Ok(deny(wallet, at, why)),
    };
    match authorize.mode {
        AuthorizeMode::Hold => open(wallet, authorize, pricing, priced, &covered, seen.time, at),
        AuthorizeMode::Settle => debit(wallet, authorize, pricing, priced, at),
    }
}

/// What covers the charges, where the wallet has enough and its spending limits allow it; or why not.
fn fits(
    wallet: &Wallet,
    priced: &Priced,
    attributes: &Attributes,
    at: Timestamp,
) -> Result<Result<Covered, Denied>, Refusal> {
    let covered = cover(wallet, &priced.charges, attributes, Vec::new()).map_err(unpostable)?;
    if let Some(short) = too_short(wallet, &covered, &[]) {
        return Ok(Err(short));
    }
    let over = match wallet.limits.is_empty() {
        true => None,
        false => exceeded(wallet, attributes, &Demand::of(&covered), at),
    };
    Ok(over.map_or(Ok(covered), Err))
}

/// Nothing more is set aside while the customer owes more than its policy allows.
fn in_debt(wallet: &Wallet, priced: &Priced) -> Option<Denied> {
    let asset = asset_in_debt(wallet, &priced.charges)?;
    let owed = totals(wallet, &asset).debt;
    Some(Denied {
        asset: Some(asset),
        required: Nanos::new(-owed.get()),
        ..denied(DenialReason::Debt)
    })
}

fn open(
    wallet: &mut Wallet,
    authorize: &Authorize,
    pricing: &Pricing,
    priced: &Priced,
    covered: &Covered,
    time: Timestamp,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    if wallet.holds.len() >= HOLDS_PER_WALLET_MAX {
        return Err(too_many(
            "open holds",
            "HOLDS_PER_WALLET_MAX",
            HOLDS_PER_WALLET_MAX,
        ));
    }
    let expires = at.saturating_add(authorize.ttl);
    let event = authorize.event.reference();
    if wallet.holds.contains_key(&event) {
        return Err(Refusal::HoldExists);
    }
    let hold = HoldState {
        event: authorize.event.clone(),
        time,
        opened: at,
        expires,
        expired: None,
        revision: pricing.revision,
        subscription: pricing.subscription.clone(),
        period: pricing.period,
        // Of the term whose state priced the quote: an event of just before a boundary belongs to the term that it closed.
        term: match &pricing.term {
            Some(term) => term.number,
            None => wallet.subscription(&pricing.subscription).map_or(0, |s| s.term),
        },
        quoted: quoted(priced),
        pins: pins(&covered.draws),
        overdraft: per_asset(covered.uncovered.iter().map(|u| (&u.asset, u.missing))),
        taken: Vec::new(),
        codes: Vec::new(),
    };
    let held = held(&hold);
    let mut draft = Draft::new(wallet, at);
    draft.open_portions(&covered.draws);
    pin(&mut draft, &hold.pins);
    draft.put(Effect::HoldPut(event, Box::new(hold)));
    let (quote, revision) = (lines(&priced.charges), pricing.revision);
    Ok(draft.finish(|wallet| {
        let balances = wallet.balances();
        Answer::Allowed(Box::new(Allowed {
            held,
            expires: Some(expires),
            quote,
            revision,
            balances,
        }))
    }))
}

/// What a quote comes to, without what it gives back.
fn quoted(priced: &Priced) -> Vec<(Asset, Nanos)> {
    let charges = priced.charges.iter().filter(|c| c.price.amount.is_positive());
    per_asset(charges.map(|c| (&c.price.asset, c.price.amount)))
}

/// What a price is above the quote of a hold that has expired: nothing is set aside for it any more, so it is plain usage, and
/// whoever wants nothing charged above the hold means what was set aside.
pub(crate) fn above_quote(priced: &Priced, hold: &HoldState) -> Vec<(Asset, Nanos)> {
    let mut above = quoted(priced);
    for (asset, price) in &mut above {
        let quote = hold.quoted.iter().find(|(quoted, _)| quoted == asset);
        *price = Nanos::new(price.get() - quote.map_or(0, |(_, amount)| amount.get()));
    }
    above.retain(|(_, more)| more.is_positive());
    above
}

/// One-shot: the usage is known, so it is checked and debited in one step.
fn debit(
    wallet: &mut Wallet,
    authorize: &Authorize,
    pricing: &Pricing,
    priced: &Priced,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let cause = Cause::Event(&authorize.event);
    let ready = Ready::new(wallet, priced, pricing, cause)?;
    let mut draft = Draft::new(wallet, at);
    ready.post(&mut draft, pricing, cause, at);
    Ok(debited(draft, pricing, priced))
}

/// The same for an answer that gives back: that comes first, so what it brings can pay for the charges. Denied, nothing of
/// it happened.
fn debit_behind_give_backs(
    wallet: &mut Wallet,
    authorize: &Authorize,
    pricing: &Pricing,
    priced: &Priced,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let event = &authorize.event;
    let mut copy = wallet.clone();
    let mut draft = Draft::new(&mut copy, at);
    let (giver, nothing) = (event.reference(), GiveBacks::default());
    let mut giving = Giving::of(draft.wallet, &giver, &nothing, &priced.charges, &seen.named)?;
    draft.answer_holds(priced.charges.len());
    giving.give(&mut draft, at);
    giving.take_again(&mut draft, at)?;
    let denied = match in_debt(draft.wallet, priced) {
        Some(why) => Some(why),
        None => fits(draft.wallet, priced, &event.attributes, at)?.err(),
    };
    if let Some(why) = denied {
        return Ok(deny(wallet, at, why));
    }
    let cause = Cause::Event(event);
    let ready = Ready::behind_give_backs(draft.wallet, priced, pricing, cause)?;
    ready.post(&mut draft, pricing, cause, at);
    let outcome = debited(draft, pricing, priced);
    *wallet = copy;
    Ok(outcome)
}

fn debited(draft: Draft<'_>, pricing: &Pricing, priced: &Priced) -> Outcome {
    let (quote, revision) = (lines(&priced.charges), pricing.revision);
    draft.finish(|wallet| {
        let balances = wallet.balances();
        Answer::Allowed(Box::new(Allowed {
            held: Vec::new(),
            expires: None,
            quote,
            revision,
            balances,
        }))
    })
}

fn is_paused(wallet: &Wallet, subscription: &SubscriptionId) -> bool {
    let subscription = wallet.subscription(subscription);
    subscription.is_some_and(|s| matches!(s.status, SubscriptionStatus::Paused(_)))
}

/// Moves the expiry, and holds more where the maximums grew. What is held never shrinks: that is what a release is
/// for. A pause allows a call that is under way more time, and nothing else.
pub(crate) fn extend(
    wallet: &mut Wallet,
    extend: &Extend,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    check_ttl(extend.ttl)?;
    let mut hold = wallet.hold(&extend.hold).cloned().ok_or(Refusal::UnknownHold)?;
    check_open(hold.expires, at)?;
    let (mut added, mut live) = (Vec::new(), Vec::new());
    if !extend.measures.is_empty() {
        if is_paused(wallet, &hold.subscription) {
            return Ok(deny(wallet, at, denied(DenialReason::Paused)));
        }
        let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
        let priced = priced(pricing)?.map_err(Refusal::InvalidEvent)?;
        if let Some(why) = in_debt(wallet, priced) {
            return Ok(deny(wallet, at, why));
        }
        check_priced(wallet, priced, pricing, Cause::Event(&hold.event))?;
        let covered = cover(
            wallet,
            &priced.charges,
            &hold.event.attributes,
            owned_by(wallet, &hold),
        )
        .map_err(unpostable)?;
        if let Some(short) = too_short(wallet, &covered, &hold.overdraft) {
            return Ok(deny(wallet, at, short));
        }
        let fresh = beyond(&hold.overdraft, &covered.uncovered);
        let before = held(&hold);
        let draws = covered.draws.iter();
        live = draws.filter(|d| d.origin == Origin::Live).cloned().collect();
        added = pins(&live);
        hold.pins = merged(hold.pins.iter().chain(&added).cloned());
        let overdraft = hold.overdraft.iter().map(|(asset, amount)| (asset, *amount));
        hold.overdraft = per_asset(overdraft.chain(fresh.iter().map(|u| (&u.asset, u.missing))));
        hold.quoted = quoted(priced);
        hold.event.measures.clone_from(&extend.measures);
        if !wallet.limits.is_empty() {
            let demand = Demand::growing(&before, &held(&hold), &covered);
            if let Some(why) = exceeded(wallet, &hold.event.attributes, &demand, at) {
                return Ok(deny(wallet, at, why));
            }
        }
    }
    hold.expires = hold.expires.max(at.saturating_add(extend.ttl));
    let (held, expires) = (held(&hold), hold.expires);
    let mut draft = Draft::new(wallet, at);
    draft.open_portions(&live);
    pin(&mut draft, &added);
    draft.put(Effect::HoldPut(extend.hold.clone(), Box::new(hold)));
    Ok(draft.finish(|wallet| Answer::Extended {
        held,
        expires,
        balances: wallet.balances(),
    }))
}

/// Gives back what is still pinned. What the call used so far is what it used.
pub(crate) fn release(
    wallet: &mut Wallet,
    release: &Release,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let hold = wallet.hold(&release.hold).cloned().ok_or(Refusal::UnknownHold)?;
    check_open(hold.expires, at)?;
    match wallet.used(&release.hold).cloned() {
        Some(usage) => Ok(conclude(wallet, &hold, &usage, seen, at)),
        None => Ok(give_up(wallet, &hold, HoldEnd::Released, at)),
    }
}

/// The hold's time is over. One that was settled in part may still be settled late; when that time is over too, what it
/// used so far is what it used.
pub(crate) fn expire(
    wallet: &mut Wallet,
    event: &EventRef,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let hold = wallet.hold(event).cloned().ok_or(Refusal::UnknownHold)?;
    match wallet.used(event).cloned().filter(|_| hold.expired.is_some()) {
        Some(usage) => Ok(conclude(wallet, &hold, &usage, seen, at)),
        None => Ok(give_up(wallet, &hold, HoldEnd::Expired, at)),
    }
}

fn give_up(wallet: &mut Wallet, hold: &HoldState, how: HoldEnd, at: Timestamp) -> Outcome {
    let mut draft = Draft::new(wallet, at);
    let returned = unpin_all(&mut draft, hold);
    end(&mut draft, &hold.event.reference(), how);
    draft.finish(|wallet| Answer::HoldEnded {
        end: how,
        returned,
        balances: wallet.balances(),
    })
}

fn check_ttl(ttl: Span) -> Result<(), Refusal> {
    match (limits::HOLD_TTL_MIN..=limits::HOLD_TTL_MAX).contains(&ttl) {
        true => Ok(()),
        false => Err(Refusal::Time {
            field: "ttl_seconds",
            problem: "must be 1 to 86400".into(),
        }),
    }
}

/// Refuses what comes at or after the end of a hold, whether or not anybody noted that end.
pub(crate) fn check_open(until: Timestamp, at: Timestamp) -> Result<(), Refusal> {
    match at < until {
        true => Ok(()),
        false => Err(Refusal::HoldEnded {
            end: HoldEnd::Expired,
        }),
    }
}

/// Ends the hold, and looks again at every grant that it kept alive.
pub(crate) fn end(draft: &mut Draft<'_>, event: &EventRef, how: HoldEnd) {
    let taken: Vec<GrantId> = draft
        .wallet
        .hold(event)
        .map(|hold| {
            hold.taken
                .iter()
                .filter_map(|slice| grant_of(&slice.from))
                .collect()
        })
        .unwrap_or_default();
    for grant in taken {
        draft.touch(grant);
    }
    draft.put(Effect::HoldEnded(event.clone(), how));
}

/// A price; or a rejection that stays; or an error that leaves no trace.
pub(crate) fn priced(pricing: &Pricing) -> Result<Result<&Priced, Rejection>, Refusal> {
    match &pricing.verdict {
        Verdict::Priced(priced) => check_named(&priced.charges).map(|()| Ok(priced)),
        Verdict::Rejected(rejection @ Rejection::InvalidEvent { .. }) => {
            Err(Refusal::InvalidEvent(rejection.clone()))
        }
        Verdict::Rejected(rejection) => Ok(Err(rejection.clone())),
        Verdict::Failed { code, message } => Err(Refusal::PlanFailed {
            code: code.clone(),
            message: message.clone(),
        }),
    }
}

pub(crate) fn denied(reason: DenialReason) -> Denied {
    Denied {
        reason,
        asset: None,
        required: Nanos::ZERO,
        available: Nanos::ZERO,
    }
}

/// A denial is kept like any other answer: the same id gets it again, whatever the wallet holds by then.
fn deny(wallet: &mut Wallet, at: Timestamp, why: Denied) -> Outcome {
    Draft::new(wallet, at).finish(|_| Answer::Denied(Box::new(why)))
}
