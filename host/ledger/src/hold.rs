//! Holds: value set aside before a call, settled after it. A hold ends once, and never lets a wallet spend what it has not.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::command::{AboveHold, Authorize, AuthorizeMode, Extend, Finality, Release, Settle};
use farebox_record::ids::GrantId;
use farebox_record::outcome::{
    Account, Allowed, Answer, DenialReason, Denied, Effect, HoldEnd, Outcome, Pricing, Seen, Settled, Verdict,
};
use farebox_record::plan::{Charge, Collect, EventRef, Priced, Rejection};
use farebox_record::state::{AssetTotals, HoldState, Pin, Shortfall, Slice, SliceSource};
use farebox_record::time::Timestamp;

use crate::apply::{
    Cause, Ready, Refusal, carry_out, check_priced, check_ttl, debt, has_give_back, too_many, unpostable,
};
use crate::cover::{Covered, Draw, Origin, Owned, Uncovered, above_hold, cover, lines, owned_by};
use crate::draft::{Draft, grant_of};
use crate::limits::{HOLDS_PER_WALLET_MAX, LATE_SETTLE_GRACE};
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
    let priced = match priced(pricing)? {
        Ok(priced) => priced,
        Err(rejection) => return Ok(deny(wallet, at, denied(DenialReason::Unpriceable(rejection)))),
    };
    if let Some(asset) = asset_in_debt(wallet, &priced.charges) {
        let owed = totals(wallet, &asset).debt;
        let why = Denied {
            asset: Some(asset),
            required: Nanos::new(-owed.get()),
            ..denied(DenialReason::Debt)
        };
        return Ok(deny(wallet, at, why));
    }
    check_priced(wallet, priced)?;
    let attributes = &authorize.event.attributes;
    let covered = cover(wallet, &priced.charges, attributes, Vec::new()).map_err(unpostable)?;
    if let Err(short) = on_credit(wallet, &covered, &[]) {
        return Ok(deny(wallet, at, short));
    }
    match authorize.mode {
        AuthorizeMode::Hold => open(wallet, authorize, pricing, priced, &covered, seen.time, at),
        AuthorizeMode::Settle => debit(wallet, authorize, pricing, priced, at),
    }
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
        quoted: per_asset(priced.charges.iter().map(|c| (&c.price.asset, c.price.amount))),
        pins: pins(&covered.draws),
        overdraft: per_asset(covered.uncovered.iter().map(|u| (&u.asset, u.missing))),
        taken: Vec::new(),
    };
    let held = held(&hold);
    let mut draft = Draft::new(wallet, at);
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

/// One-shot: the usage is known, so it is checked and debited in one step.
fn debit(
    wallet: &mut Wallet,
    authorize: &Authorize,
    pricing: &Pricing,
    priced: &Priced,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let ready = Ready::new(wallet, priced, &authorize.event.attributes)?;
    let mut draft = Draft::new(wallet, at);
    ready.post(&mut draft, pricing, Cause::Event(&authorize.event), at);
    let (quote, revision) = (lines(&priced.charges), pricing.revision);
    Ok(draft.finish(|wallet| {
        let balances = wallet.balances();
        Answer::Allowed(Box::new(Allowed {
            held: Vec::new(),
            expires: None,
            quote,
            revision,
            balances,
        }))
    }))
}

/// Charges what a call used so far. The event is covered as a whole, with what the hold already took and pinned first,
/// and the difference is posted: parts cannot dodge a tier, and nothing is rounded twice.
pub(crate) fn settle(
    wallet: &mut Wallet,
    settle: &Settle,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let hold = wallet.hold(&settle.hold).cloned().ok_or(Refusal::UnknownHold)?;
    let usable_until = match hold.expired {
        None => hold.expires,
        Some(expired) => expired.saturating_add(LATE_SETTLE_GRACE),
    };
    check_open(usable_until, at)?;
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
    let priced = priced(pricing)?.map_err(Refusal::InvalidEvent)?;
    check_priced(wallet, priced)?;
    let mut event = hold.event.clone();
    event.measures.clone_from(&settle.measures);
    event.attributes.extend(settle.attributes.clone());
    let mut covered = cover(
        wallet,
        &priced.charges,
        &event.attributes,
        owned_by(wallet, &hold),
    )
    .map_err(unpostable)?;
    let waived = match settle.above {
        AboveHold::Deny => {
            let above = above_hold(wallet, &priced.charges, &event.attributes, &hold).map_err(unpostable)?;
            refuse_above(&above)?
        }
        AboveHold::ChargeAvailable => waive(&hold, &mut covered),
        AboveHold::AllowDebt => Vec::new(),
    };
    let late = hold.expired.is_some();
    let ended = late || settle.finality == Finality::Final;
    covered
        .draws
        .extend(std::mem::take(&mut covered.uncovered).into_iter().map(debt));

    let mut draft = Draft::new(wallet, at);
    draft.take(&covered.draws);
    let what = if ended { Left::Freed } else { Left::Kept };
    let back = give_back(&mut draft, &covered.left, what, &settle.hold, at);
    let now = after_settlement(&hold, &covered.draws, back.pins, &back.credit);
    let summary = Summary::of(&hold, &now, &covered, back.returned, waived, ended, late);
    draft.put(Effect::HoldPut(settle.hold.clone(), Box::new(now)));
    if ended {
        end(&mut draft, &settle.hold, HoldEnd::Settled);
        carry_out(&mut draft, priced, pricing, Cause::Event(&event), at);
    }
    let charges = lines(&priced.charges);
    let revision = pricing.revision;
    Ok(draft.finish(|wallet| summary.answer(charges, revision, wallet)))
}

/// Moves the expiry, and holds more where the maximums grew. What is held never shrinks: that is what a release is for.
pub(crate) fn extend(
    wallet: &mut Wallet,
    extend: &Extend,
    seen: &Seen,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    check_ttl(extend.ttl)?;
    let mut hold = wallet.hold(&extend.hold).cloned().ok_or(Refusal::UnknownHold)?;
    check_open(hold.expires, at)?;
    let mut added = Vec::new();
    if !extend.measures.is_empty() {
        let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
        let priced = priced(pricing)?.map_err(Refusal::InvalidEvent)?;
        check_priced(wallet, priced)?;
        let covered = cover(
            wallet,
            &priced.charges,
            &hold.event.attributes,
            owned_by(wallet, &hold),
        )
        .map_err(unpostable)?;
        if let Err(short) = on_credit(wallet, &covered, &hold.overdraft) {
            return Ok(deny(wallet, at, short));
        }
        let fresh = beyond(&hold.overdraft, &covered.uncovered);
        let live: Vec<Draw> = covered
            .draws
            .into_iter()
            .filter(|d| d.origin == Origin::Live)
            .collect();
        added = pins(&live);
        hold.pins = merged(hold.pins.iter().chain(&added).cloned());
        let overdraft = hold.overdraft.iter().map(|(asset, amount)| (asset, *amount));
        hold.overdraft = per_asset(overdraft.chain(fresh.iter().map(|u| (&u.asset, u.missing))));
        hold.quoted = per_asset(priced.charges.iter().map(|c| (&c.price.asset, c.price.amount)));
        hold.event.measures.clone_from(&extend.measures);
    }
    hold.expires = hold.expires.max(at.saturating_add(extend.ttl));
    let (held, expires) = (held(&hold), hold.expires);
    let mut draft = Draft::new(wallet, at);
    pin(&mut draft, &added);
    draft.put(Effect::HoldPut(extend.hold.clone(), Box::new(hold)));
    Ok(draft.finish(|wallet| Answer::Extended {
        held,
        expires,
        balances: wallet.balances(),
    }))
}

/// Gives back what is still pinned.
pub(crate) fn release(wallet: &mut Wallet, release: &Release, at: Timestamp) -> Result<Outcome, Refusal> {
    give_up(wallet, &release.hold, HoldEnd::Released, at)
}

/// The hold's time is over.
pub(crate) fn expire(wallet: &mut Wallet, hold: &EventRef, at: Timestamp) -> Result<Outcome, Refusal> {
    give_up(wallet, hold, HoldEnd::Expired, at)
}

fn give_up(wallet: &mut Wallet, event: &EventRef, how: HoldEnd, at: Timestamp) -> Result<Outcome, Refusal> {
    let hold = wallet.hold(event).cloned().ok_or(Refusal::UnknownHold)?;
    if how != HoldEnd::Expired {
        check_open(hold.expires, at)?;
    }
    let mut draft = Draft::new(wallet, at);
    let mut returned = Vec::with_capacity(hold.pins.len());
    for pin in &hold.pins {
        returned.push((&pin.asset, draft.unpin(&pin.grant, &pin.asset, pin.amount)));
    }
    let returned = per_asset(returned.into_iter());
    end(&mut draft, event, how);
    Ok(draft.finish(|wallet| Answer::HoldEnded {
        end: how,
        returned,
        balances: wallet.balances(),
    }))
}

/// Refuses what comes at or after the end of a hold, whether or not anybody noted that end.
fn check_open(until: Timestamp, at: Timestamp) -> Result<(), Refusal> {
    match at < until {
        true => Ok(()),
        false => Err(Refusal::HoldEnded {
            end: HoldEnd::Expired,
        }),
    }
}

/// Ends the hold, and looks again at every grant that it kept alive.
fn end(draft: &mut Draft<'_>, event: &EventRef, how: HoldEnd) {
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
fn priced(pricing: &Pricing) -> Result<Result<&Priced, Rejection>, Refusal> {
    match &pricing.verdict {
        Verdict::Priced(priced) if has_give_back(&priced.charges) => {
            Err(unpostable(crate::cover::Uncoverable::GiveBack))
        }
        Verdict::Priced(priced) => Ok(Ok(priced)),
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

fn denied(reason: DenialReason) -> Denied {
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

fn totals(wallet: &Wallet, asset: &Asset) -> AssetTotals {
    wallet.header.assets.get(asset).copied().unwrap_or_default()
}

fn shortfall(wallet: &Wallet, asset: &Asset) -> Shortfall {
    wallet
        .header
        .customer
        .as_ref()
        .and_then(|c| c.shortfall.get(asset))
        .copied()
        .unwrap_or_default()
}

/// The first asset of the charges in which the customer owes more than its policy allows.
fn asset_in_debt(wallet: &Wallet, charges: &[Charge]) -> Option<Asset> {
    let prices = charges
        .iter()
        .flat_map(|c| std::iter::once(&c.price).chain(&c.otherwise));
    let mut balance = prices.filter(|p| p.collect == Collect::Balance);
    let beyond = |asset: &Asset| {
        let owed = -totals(wallet, asset).debt.get();
        match shortfall(wallet, asset) {
            Shortfall::Deny => owed > 0,
            Shortfall::Floor(floor) => owed > floor.get(),
            Shortfall::Unlimited => false,
        }
    };
    balance
        .find(|price| beyond(&price.asset))
        .map(|price| price.asset.clone())
}

/// Whether the shortfall policies allow what no grant covers, beyond what a hold has on credit already.
fn on_credit(wallet: &Wallet, covered: &Covered, overdraft: &[(Asset, Nanos)]) -> Result<(), Denied> {
    let fresh = beyond(overdraft, &covered.uncovered);
    for (asset, missing) in per_asset(fresh.iter().map(|u| (&u.asset, u.missing))) {
        let Some(free) = credit(wallet, &asset) else {
            continue;
        };
        if missing.get() > free {
            let drawn = covered.draws.iter().map(|d| &d.slice);
            let drawn = drawn.filter(|s| s.asset == asset && s.from != SliceSource::Receivable);
            let had: i128 = drawn.map(|s| s.amount.get()).sum::<i128>()
                + overdraft
                    .iter()
                    .filter(|(a, _)| *a == asset)
                    .map(|(_, n)| n.get())
                    .sum::<i128>();
            return Err(Denied {
                asset: Some(asset),
                required: Nanos::new(had + missing.get()),
                available: Nanos::new(had + free.max(0)),
                ..denied(DenialReason::InsufficientFunds)
            });
        }
    }
    Ok(())
}

/// How much more of an asset can be used without a grant; none: any amount.
fn credit(wallet: &Wallet, asset: &Asset) -> Option<i128> {
    let totals = totals(wallet, asset);
    let line = match shortfall(wallet, asset) {
        Shortfall::Deny => 0,
        Shortfall::Floor(floor) => floor.get(),
        Shortfall::Unlimited => return None,
    };
    Some(line + totals.debt.get() - totals.overdraft_held.get())
}

/// What of `uncovered` goes beyond what the hold has on credit already.
fn beyond(overdraft: &[(Asset, Nanos)], uncovered: &[Uncovered]) -> Vec<Uncovered> {
    let mut credit: BTreeMap<&Asset, i128> = overdraft.iter().map(|(a, n)| (a, n.get())).collect();
    let mut rest = Vec::new();
    for short in uncovered {
        let credit = credit.entry(&short.asset).or_default();
        let used = short.missing.get().min(*credit);
        *credit -= used;
        if short.missing.get() > used {
            rest.push(Uncovered {
                missing: Nanos::new(short.missing.get() - used),
                ..short.clone()
            });
        }
    }
    rest
}

/// Refuses a price that the hold alone does not cover, wherever its value is really taken from.
fn refuse_above(above: &[Uncovered]) -> Result<Vec<(Asset, Nanos)>, Refusal> {
    match per_asset(above.iter().map(|u| (&u.asset, u.missing)))
        .into_iter()
        .next()
    {
        None => Ok(Vec::new()),
        Some((asset, missing)) => Err(Refusal::AboveHold { asset, missing }),
    }
}

/// Lets go of what neither the wallet nor the hold's credit covers, and tells how much that is.
fn waive(hold: &HoldState, covered: &mut Covered) -> Vec<(Asset, Nanos)> {
    let waived = beyond(&hold.overdraft, &covered.uncovered);
    for gone in &waived {
        for short in covered
            .uncovered
            .iter_mut()
            .filter(|u| u.charge == gone.charge && u.asset == gone.asset)
        {
            short.missing = Nanos::new(short.missing.get() - gone.missing.get());
        }
    }
    covered.uncovered.retain(|u| u.missing.is_positive());
    per_asset(waived.iter().map(|u| (&u.asset, u.missing)))
}

/// What becomes of the value that a hold does not need.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The hold is over: back into the wallet.
    Freed,
    /// More settlements may come: it stays pinned.
    Kept,
}

/// What became of the value that a settlement leaves.
#[derive(Default)]
struct Back {
    /// What stays pinned.
    pins: Vec<Pin>,
    /// What stays held on credit, in place of debt that is not owed for now.
    credit: Vec<(Asset, Nanos)>,
    /// What of the pins the wallet got.
    returned: Vec<(Asset, Nanos)>,
}

/// Deals with what a settlement leaves of the hold's own value. What an earlier settlement took too much goes first to the
/// debt that it made, then to where it came from.
fn give_back(draft: &mut Draft<'_>, left: &[Owned], what: Left, event: &EventRef, at: Timestamp) -> Back {
    let mut back = Back::default();
    let mut debts: Vec<(&Asset, Nanos)> = Vec::new();
    for own in left {
        let charge = match own.origin {
            Origin::Taken(charge) => Some(charge),
            Origin::Pinned | Origin::Live => None,
        };
        if charge.is_some() {
            let lost = Nanos::new(-own.amount.get());
            draft.post(Account::Revenue, &own.asset, lost, charge);
        }
        match &own.from {
            SliceSource::Grant(grant) => {
                if charge.is_some() {
                    draft.post(Account::Held(grant.clone()), &own.asset, own.amount, charge);
                }
                match what {
                    Left::Kept => back.pins.push(Pin {
                        grant: grant.clone(),
                        asset: own.asset.clone(),
                        amount: own.amount,
                    }),
                    Left::Freed => {
                        let returned = draft.unpin(grant, &own.asset, own.amount);
                        if charge.is_none() {
                            back.returned.push((own.asset.clone(), returned));
                        }
                    }
                }
            }
            SliceSource::Debt => debts.push((&own.asset, own.amount)),
            SliceSource::Receivable => {
                draft.post(Account::Receivable, &own.asset, own.amount, charge);
            }
        }
    }
    for (asset, amount) in per_asset(debts.into_iter()) {
        return_debt(draft, &asset, amount, what, event, at, &mut back);
    }
    back.pins = merged(back.pins);
    back.returned = per_asset(back.returned.iter().map(|(asset, amount)| (asset, *amount)));
    back
}

/// Debt that turns out not to be owed. What of it was paid meanwhile was paid with bought value, so it comes back as such.
fn return_debt(
    draft: &mut Draft<'_>,
    asset: &Asset,
    amount: Nanos,
    what: Left,
    event: &EventRef,
    at: Timestamp,
    back: &mut Back,
) {
    let owed = -totals(draft.wallet, asset).debt.get();
    let unpaid = Nanos::new(owed.min(amount.get()));
    let paid = Nanos::new(amount.get() - unpaid.get());
    draft.post(Account::Debt, asset, unpaid, None);
    if what == Left::Kept {
        let free = credit(draft.wallet, asset).map_or(unpaid.get(), |free| free.clamp(0, unpaid.get()));
        back.credit.push((asset.clone(), Nanos::new(free)));
    }
    if !paid.is_positive() {
        return;
    }
    let Some(grant) = draft.open_returned(event, asset, paid, at) else {
        return;
    };
    if what == Left::Kept {
        let returned = Pin {
            grant,
            asset: asset.clone(),
            amount: paid,
        };
        pin(draft, std::slice::from_ref(&returned));
        back.pins.push(returned);
    }
}

/// The hold after a settlement: what it took so far, what is still pinned, and what is left of its credit.
fn after_settlement(
    hold: &HoldState,
    draws: &[Draw],
    pins: Vec<Pin>,
    restored: &[(Asset, Nanos)],
) -> HoldState {
    let mut taken: BTreeMap<(u16, Asset, SliceSource), i128> = BTreeMap::new();
    for draw in draws {
        let slice = &draw.slice;
        *taken
            .entry((slice.charge, slice.asset.clone(), slice.from.clone()))
            .or_default() += slice.amount.get();
    }
    let new_debt = |d: &&Draw| d.slice.from == SliceSource::Debt && d.origin == Origin::Live;
    let left = hold.overdraft.iter().map(|(asset, credit)| {
        let new = draws.iter().filter(new_debt).filter(|d| d.slice.asset == *asset);
        let owed: i128 = new.map(|d| d.slice.amount.get()).sum();
        (asset, Nanos::new((credit.get() - owed).max(0)))
    });
    let restored = restored.iter().map(|(asset, amount)| (asset, *amount));
    HoldState {
        pins,
        overdraft: per_asset(left.chain(restored)),
        taken: taken
            .into_iter()
            .map(|((charge, asset, from), amount)| Slice {
                charge,
                asset,
                from,
                amount: Nanos::new(amount),
            })
            .collect(),
        ..hold.clone()
    }
}

/// What a settlement did, in sums per asset.
struct Summary {
    posted: Vec<(Asset, Nanos)>,
    returned: Vec<(Asset, Nanos)>,
    held: Vec<(Asset, Nanos)>,
    debt: Vec<(Asset, Nanos)>,
    waived: Vec<(Asset, Nanos)>,
    ended: bool,
    late: bool,
}

impl Summary {
    fn of(
        before: &HoldState,
        now: &HoldState,
        covered: &Covered,
        returned: Vec<(Asset, Nanos)>,
        waived: Vec<(Asset, Nanos)>,
        ended: bool,
        late: bool,
    ) -> Summary {
        let total = |hold: &HoldState| per_asset(hold.taken.iter().map(|s| (&s.asset, s.amount)));
        let negative: Vec<(Asset, Nanos)> = total(before)
            .into_iter()
            .map(|(a, n)| (a, Nanos::new(-n.get())))
            .collect();
        let now_total = total(now);
        let posted = per_asset(now_total.iter().chain(&negative).map(|(a, n)| (a, *n)));
        let new_debt = covered
            .draws
            .iter()
            .filter(|d| d.slice.from == SliceSource::Debt && d.origin == Origin::Live);
        Summary {
            posted,
            returned,
            held: if ended { Vec::new() } else { held(now) },
            debt: per_asset(new_debt.map(|d| (&d.slice.asset, d.slice.amount))),
            waived,
            ended,
            late,
        }
    }

    fn answer(
        self,
        charges: Vec<farebox_record::outcome::Line>,
        revision: farebox_record::ids::RevisionHash,
        wallet: &Wallet,
    ) -> Answer {
        Answer::Settled(Box::new(Settled {
            charges,
            posted: self.posted,
            returned: self.returned,
            held: self.held,
            debt: self.debt,
            waived: self.waived,
            ended: self.ended,
            late: self.late,
            revision,
            balances: wallet.balances(),
        }))
    }
}

/// Moves pins' value from free to held.
fn pin(draft: &mut Draft<'_>, pins: &[Pin]) {
    for pin in pins {
        let taken = Nanos::new(-pin.amount.get());
        draft.post(Account::Available(pin.grant.clone()), &pin.asset, taken, None);
        draft.post(Account::Held(pin.grant.clone()), &pin.asset, pin.amount, None);
    }
}

/// The grants' part of draws; receivables and debt cannot be pinned.
fn pins(draws: &[Draw]) -> Vec<Pin> {
    merged(draws.iter().filter_map(|draw| {
        let grant = grant_of(&draw.slice.from)?;
        Some(Pin {
            grant,
            asset: draw.slice.asset.clone(),
            amount: draw.slice.amount,
        })
    }))
}

/// One pin per grant, in the order in which the grants first appear: the order in which they burn.
fn merged(pins: impl IntoIterator<Item = Pin>) -> Vec<Pin> {
    let mut merged: Vec<Pin> = Vec::new();
    for pin in pins {
        match merged.iter_mut().find(|p| p.grant == pin.grant) {
            Some(same) => same.amount = Nanos::new(same.amount.get() + pin.amount.get()),
            None => merged.push(pin),
        }
    }
    merged
}

/// What a hold holds per asset, on credit included.
fn held(hold: &HoldState) -> Vec<(Asset, Nanos)> {
    let pins = hold.pins.iter().map(|pin| (&pin.asset, pin.amount));
    per_asset(pins.chain(hold.overdraft.iter().map(|(asset, amount)| (asset, *amount))))
}

/// Sums per asset, in order of first appearance; sums of nothing are left out.
fn per_asset<'a>(amounts: impl Iterator<Item = (&'a Asset, Nanos)>) -> Vec<(Asset, Nanos)> {
    let mut sums: Vec<(Asset, Nanos)> = Vec::new();
    for (asset, amount) in amounts {
        match sums.iter_mut().find(|(a, _)| a == asset) {
            Some((_, sum)) => *sum = Nanos::new(sum.get() + amount.get()),
            None => sums.push((asset.clone(), amount)),
        }
    }
    sums.retain(|(_, sum)| !sum.is_zero());
    sums
}
