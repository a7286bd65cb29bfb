//! Settlements: what a call really used is charged, and what its hold does not need goes back.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::command::{AboveHold, Finality, Settle};
use farebox_record::correction::GiveBacks;
use farebox_record::event::Event;
use farebox_record::ids::{GrantId, RevisionHash};
use farebox_record::outcome::{
    Account, Answer, Effect, HoldEnd, Line, Outcome, Pricing, Seen, Settled, UnpricedReason, Verdict,
};
use farebox_record::plan::{Charge, Priced, Rejection};
use farebox_record::state::{HoldState, HoldUsage, Pin, Slice, SliceSource, UnpricedState, Waiting};
use farebox_record::time::Timestamp;

use crate::correct::priced_by;
use crate::cover::{Covered, Draw, Origin, Owned, above_hold, cover, cover_by_hold, lines, owned_by};
use crate::credit::{beyond, credit};
use crate::draft::{Draft, attempt};
use crate::giving::{Giving, UNPOSTABLE, check_final, gives_back};
use crate::hold::{above_quote, check_open, end, priced};
use crate::limits::LATE_SETTLE_GRACE;
use crate::orders::{Cause, carry_out, check_priced, debt, unpostable};
use crate::owed::{NotOwed, Owed, Owing, Returned, give_back_paid, relieve};
use crate::pins::{held, merged, per_asset, pin};
use crate::refusal::Refusal;
use crate::spending::count_settlement;
use crate::wallet::Wallet;

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
    let mut event = hold.event.clone();
    event.measures.clone_from(&settle.measures);
    event.attributes.extend(&settle.attributes);
    let above = wallet.above_hold(&hold.subscription, settle.above);
    let ended = hold.expired.is_some() || settle.finality == Finality::Final;
    let call = Call {
        settle,
        hold: &hold,
        event: &event,
        above,
        ended,
    };
    // What gives back is decided on a copy: what is charged depends on it.
    let decided = price(wallet, &event, seen).and_then(|(_, priced)| match gives_back(&priced.charges) {
        true => attempt(wallet, |wallet| call.carry_out(wallet, seen, at)),
        false => call.carry_out(wallet, seen, at),
    });
    decided.or_else(|refusal| match keeps(&refusal).filter(|_| ended) {
        Some(reason) => Ok(keep(wallet, &hold, event.clone(), reason, seen, at)),
        None => Err(refusal),
    })
}

/// A held call, and what is said of it.
struct Call<'c> {
    settle: &'c Settle,
    hold: &'c HoldState,
    /// As it turned out.
    event: &'c Event,
    /// What happens to a price above the hold.
    above: AboveHold,
    /// Whether its hold is over with that.
    ended: bool,
}

impl Call<'_> {
    /// Posts the difference to what was settled before. Where it is refused, the wallet is as it was, but for what its plan
    /// gives back.
    fn carry_out(&self, wallet: &mut Wallet, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
        let Call {
            settle,
            hold,
            event,
            above,
            ended,
        } = *self;
        let (pricing, priced) = price(wallet, event, seen)?;
        check_final(&priced.charges, ended)?;
        let (mut draft, reckoned) = match gives_back(&priced.charges) {
            false => {
                let reckoned = Reckoned::of(wallet, hold, priced, event, above)?;
                (Draft::new(wallet, at), reckoned)
            }
            true => {
                let mut draft = Draft::new(wallet, at);
                let nothing = GiveBacks::default();
                let mut giving =
                    Giving::of(draft.wallet, &settle.hold, &nothing, &priced.charges, &seen.named)?;
                giving.give(&mut draft, at);
                giving.take_again(&mut draft, at)?;
                let reckoned = Reckoned::of(draft.wallet, hold, priced, event, above)?;
                (draft, reckoned)
            }
        };
        let what = if ended { Left::Freed } else { Left::Kept };
        let summary = reckoned.post(&mut draft, priced, event, what, at);
        let charges = lines(&priced.charges);
        if ended {
            end(&mut draft, &settle.hold, HoldEnd::Settled);
            carry_out(&mut draft, priced, pricing, Cause::Event(event), at);
        } else {
            let usage = HoldUsage {
                event: event.clone(),
                above,
                priced: priced_by(pricing),
                lines: charges.clone(),
            };
            draft.put(Effect::HoldUsed(settle.hold.clone(), Box::new(usage)));
        }
        let (revision, late) = (pricing.revision, hold.expired.is_some());
        Ok(draft.finish(|wallet| summary.answer(charges, ended, late, revision, wallet)))
    }
}

/// What a plan said of a held call, where the wallet has room for it.
pub(crate) fn price<'s>(
    wallet: &Wallet,
    event: &Event,
    seen: &'s Seen,
) -> Result<(&'s Pricing, &'s Priced), Refusal> {
    let pricing = seen.pricing.as_ref().ok_or(Refusal::NoPlan)?;
    let priced = priced(pricing)?.map_err(Refusal::InvalidEvent)?;
    check_priced(wallet, priced, pricing, Cause::Event(event))?;
    Ok((pricing, priced))
}

/// Why usage that is known for good is kept until it has a price; none where its caller can correct it.
fn keeps(refusal: &Refusal) -> Option<UnpricedReason> {
    Some(match refusal {
        Refusal::InvalidEvent(Rejection::InvalidEvent { .. }) | Refusal::AboveHold { .. } => return None,
        Refusal::InvalidEvent(rejection) => UnpricedReason::Rejected(rejection.clone()),
        Refusal::NoPlan => UnpricedReason::NoPlan,
        Refusal::PlanFailed { code, message } => UnpricedReason::PlanFailed {
            code: code.clone(),
            message: message.clone(),
        },
        other => UnpricedReason::PlanFailed {
            code: UNPOSTABLE.into(),
            message: other.to_string(),
        },
    })
}

/// Ends a hold whose usage is known and has no price. All that parts of it took comes back: the event will be priced as a
/// whole.
fn keep(
    wallet: &mut Wallet,
    hold: &HoldState,
    mut event: Event,
    reason: UnpricedReason,
    seen: &Seen,
    at: Timestamp,
) -> Outcome {
    let answered = match seen.pricing.as_ref().map(|pricing| &pricing.verdict) {
        Some(Verdict::Priced(priced)) => &priced.charges[..],
        _ => &[],
    };
    let (hold, earlier) = renumbered(hold.clone(), answered);
    let owned = owned_by(wallet, &hold);
    let mut draft = Draft::new(wallet, at);
    draft.name_earlier(answered.len(), earlier);
    give_back(&mut draft, &owned, Left::Freed, &hold, at);
    let name = event.reference();
    let now = after_settlement(&hold, &[], Vec::new(), &[]);
    let nothing = HoldState {
        overdraft: Vec::new(),
        ..now
    };
    draft.put(Effect::HoldPut(name.clone(), Box::new(nothing)));
    count_settlement(&mut draft, &hold, &event.attributes, at);
    match hold.expired {
        None => end(&mut draft, &name, HoldEnd::Settled),
        Some(_) => draft.put(Effect::HoldForgotten(name)),
    }
    event.time = Some(hold.time);
    let kept = UnpricedState {
        received: at,
        what: Waiting::Event(event),
        reason: reason.clone(),
    };
    draft.put(Effect::UnpricedKept(Box::new(kept)));
    draft.finish(|_| Answer::Unpriced(reason))
}

/// What a call used so far, covered as a whole.
pub(crate) struct Reckoned {
    /// As it was, with slices that name the charges of the present answer.
    hold: HoldState,
    /// Codes of charges that the answer does not hold any more.
    earlier: Vec<String>,
    covered: Covered,
    waived: Vec<(Asset, Nanos)>,
}

impl Reckoned {
    pub fn of(
        wallet: &Wallet,
        hold: &HoldState,
        priced: &Priced,
        event: &Event,
        above: AboveHold,
    ) -> Result<Reckoned, Refusal> {
        let (hold, earlier) = renumbered(hold.clone(), &priced.charges);
        let (charges, attributes) = (&priced.charges, &event.attributes);
        let mut covered = cover(wallet, charges, attributes, owned_by(wallet, &hold)).map_err(unpostable)?;
        let waived = match above {
            AboveHold::Deny if hold.expired.is_some() => refuse_more(&above_quote(priced, &hold))?,
            AboveHold::Deny => {
                let above = above_hold(wallet, charges, attributes, &hold).map_err(unpostable)?;
                refuse_more(&per_asset(above.iter().map(|u| (&u.asset, u.missing))))?
            }
            AboveHold::ChargeAvailable => waive(&hold, &mut covered),
            AboveHold::AllowDebt | AboveHold::AsSubscribed => Vec::new(),
        };
        Ok(Reckoned::owing(hold, earlier, covered, waived))
    }

    /// The end of a call of which parts were settled and that nobody settles for good. Whoever wanted no debt pays no more
    /// than the hold has: what was let go before stays let go, though there may be value for it by now.
    pub fn unfinished(
        wallet: &Wallet,
        hold: &HoldState,
        priced: &Priced,
        usage: &HoldUsage,
    ) -> Result<Reckoned, Refusal> {
        match usage.above {
            AboveHold::AllowDebt | AboveHold::AsSubscribed => {
                Reckoned::of(wallet, hold, priced, &usage.event, AboveHold::AllowDebt)
            }
            AboveHold::ChargeAvailable | AboveHold::Deny => {
                let (hold, earlier) = renumbered(hold.clone(), &priced.charges);
                let owned = owned_by(wallet, &hold);
                let covered = cover_by_hold(wallet, &priced.charges, &usage.event.attributes, owned);
                let mut covered = covered.map_err(unpostable)?;
                let waived = waive(&hold, &mut covered);
                Ok(Reckoned::owing(hold, earlier, covered, waived))
            }
        }
    }

    /// With what nothing covers, and nobody lets go of, as debt.
    fn owing(
        hold: HoldState,
        earlier: Vec<String>,
        mut covered: Covered,
        waived: Vec<(Asset, Nanos)>,
    ) -> Reckoned {
        let owed = std::mem::take(&mut covered.uncovered).into_iter().map(debt);
        covered.draws.extend(owed);
        Reckoned {
            hold,
            earlier,
            covered,
            waived,
        }
    }

    /// Posts the difference to what was taken before. The hold stays: the caller ends it.
    pub fn post(
        self,
        draft: &mut Draft<'_>,
        priced: &Priced,
        event: &Event,
        what: Left,
        at: Timestamp,
    ) -> Summary {
        let Reckoned {
            hold,
            earlier,
            covered,
            waived,
        } = self;
        draft.name_earlier(priced.charges.len(), earlier);
        draft.take(&covered.draws);
        let back = give_back(draft, &covered.left, what, &hold, at);
        let mut now = after_settlement(&hold, &covered.draws, back.pins, &back.credit);
        now.codes = priced.charges.iter().map(|c| c.code.to_string()).collect();
        let summary = Summary::of(&hold, &now, &covered, back.returned, waived, what);
        draft.put(Effect::HoldPut(event.reference(), Box::new(now)));
        count_settlement(draft, &hold, &event.attributes, at);
        summary
    }
}

/// Lets the slices that were taken before name the charges of the present answer: the one of the same code, and of
/// several such the one in the same place among them. Gives the codes of those that the answer does not hold any more,
/// whose indices go on behind it.
fn renumbered(mut hold: HoldState, charges: &[Charge]) -> (HoldState, Vec<String>) {
    let mut earlier = Vec::new();
    let numbers: Vec<u16> = (0..hold.codes.len())
        .map(|old| {
            let code = &hold.codes[old];
            let nth = hold.codes[..old].iter().filter(|c| *c == code).count();
            let same = charges
                .iter()
                .enumerate()
                .filter(|(_, charge)| charge.code == *code && !charge.price.amount.is_negative());
            let index = same.map(|(index, _)| index).nth(nth).unwrap_or_else(|| {
                earlier.push(code.clone());
                charges.len() + earlier.len() - 1
            });
            // An answer has far fewer than 65,536 charges.
            u16::try_from(index).unwrap_or(u16::MAX)
        })
        .collect();
    for slice in &mut hold.taken {
        if let Some(number) = numbers.get(usize::from(slice.charge)) {
            slice.charge = *number;
        }
    }
    (hold, earlier)
}

/// Refuses a price that the hold alone does not cover, wherever its value is really taken from.
fn refuse_more(above: &[(Asset, Nanos)]) -> Result<Vec<(Asset, Nanos)>, Refusal> {
    match above.first().cloned() {
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
pub(crate) enum Left {
    /// The hold is over: back into the wallet.
    Freed,
    /// More settlements may come: it stays pinned.
    Kept,
}

/// An amount, and the charge that its entries name.
type Part = (Option<u16>, Nanos);

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

/// Deals with what a settlement leaves of the hold's own value. What an earlier settlement took too much goes first
/// to the debt that it made, then to where it came from.
fn give_back(draft: &mut Draft<'_>, left: &[Owned], what: Left, hold: &HoldState, at: Timestamp) -> Back {
    let event = hold.event.reference();
    let mut back = Back::default();
    let taken = hold.taken.iter();
    let mut owing = Owing::of(taken.map(|slice| (&slice.from, &slice.asset, slice.amount)));
    let mut unpaid: Vec<(&Asset, Nanos)> = Vec::new();
    let mut paid: BTreeMap<(&SliceSource, &Asset), Vec<Part>> = BTreeMap::new();
    // What was owed first: else value that is freed would pay it.
    let is_value = |own: &&Owned| matches!(own.from, SliceSource::Grant(_));
    for own in left.iter().filter(|own| !is_value(own)) {
        let owed = match &own.from {
            SliceSource::Debt => Owed::Debt,
            _ => Owed::Receivable,
        };
        let charge = taken_for(draft, own);
        let not = NotOwed {
            what: owed,
            since: hold.opened,
            asset: &own.asset,
            amount: own.amount,
            charge,
        };
        let relieved = relieve(draft, &not, &mut owing);
        paid.entry((&own.from, &own.asset))
            .or_default()
            .push((charge, relieved.paid));
        if owed == Owed::Debt {
            unpaid.push((&own.asset, relieved.unpaid));
        }
    }
    for ((from, asset), parts) in paid {
        let returned = give_back_paid(draft, &event, asset, &parts, at);
        if let (SliceSource::Debt, Left::Kept, Some(returned)) = (from, what, returned) {
            keep_returned(draft, asset, returned, &mut back);
        }
    }
    if what == Left::Kept {
        for (asset, unpaid) in per_asset(unpaid.into_iter()) {
            let free = credit(draft.wallet, &asset).map_or(unpaid.get(), |free| free.clamp(0, unpaid.get()));
            back.credit.push((asset, Nanos::new(free)));
        }
    }
    for own in left.iter().filter(is_value) {
        if let SliceSource::Grant(grant) = &own.from {
            let charge = taken_for(draft, own);
            give_back_value(draft, grant, own, charge, what, &mut back);
        }
    }
    back.pins = merged(back.pins);
    back.returned = per_asset(back.returned.iter().map(|(asset, amount)| (asset, *amount)));
    back
}

/// The charge that an earlier settlement took it for, which earns it no more; none where it was only pinned.
fn taken_for(draft: &mut Draft<'_>, own: &Owned) -> Option<u16> {
    let Origin::Taken(charge) = own.origin else {
        return None;
    };
    let lost = Nanos::new(-own.amount.get());
    draft.post(Account::Revenue, &own.asset, lost, Some(charge));
    Some(charge)
}

/// Value of a grant: it stays pinned, or goes back.
fn give_back_value(
    draft: &mut Draft<'_>,
    grant: &GrantId,
    own: &Owned,
    charge: Option<u16>,
    what: Left,
    back: &mut Back,
) {
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

/// Bought value that comes back in place of debt while the call is still under way: the hold keeps it.
fn keep_returned(draft: &mut Draft<'_>, asset: &Asset, returned: Returned, back: &mut Back) {
    let kept = Pin {
        grant: returned.grant,
        asset: asset.clone(),
        amount: Nanos::new(returned.amount.get() - returned.paid_debt.get()),
    };
    if kept.amount.is_positive() {
        pin(draft, std::slice::from_ref(&kept));
        back.pins.push(kept);
    }
}

/// The hold after a settlement: what it took so far, what is still pinned, and what is left of its credit.
fn after_settlement(
    hold: &HoldState,
    draws: &[Draw],
    pins: Vec<Pin>,
    restored: &[(Asset, Nanos)],
) -> HoldState {
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
        taken: in_order(&hold.taken, draws),
        ..hold.clone()
    }
}

/// What draws take, in the order in which it was taken: what is still taken of earlier slices stands where it stood, what
/// is new stands behind. A refund goes through it from its end.
fn in_order(before: &[Slice], draws: &[Draw]) -> Vec<Slice> {
    let nothing = |slice: &Slice| Slice {
        amount: Nanos::ZERO,
        ..slice.clone()
    };
    let mut taken: Vec<Slice> = before.iter().map(nothing).collect();
    for Draw { slice, .. } in draws {
        let same =
            |s: &&mut Slice| s.charge == slice.charge && s.asset == slice.asset && s.from == slice.from;
        match taken.iter_mut().find(same) {
            Some(known) => known.amount = Nanos::new(known.amount.get() + slice.amount.get()),
            None => taken.push(slice.clone()),
        }
    }
    taken.retain(|slice| slice.amount.is_positive());
    taken
}

/// What a settlement did, in sums per asset.
pub(crate) struct Summary {
    posted: Vec<(Asset, Nanos)>,
    /// What went back to the wallet.
    pub returned: Vec<(Asset, Nanos)>,
    held: Vec<(Asset, Nanos)>,
    debt: Vec<(Asset, Nanos)>,
    waived: Vec<(Asset, Nanos)>,
}

impl Summary {
    fn of(
        before: &HoldState,
        now: &HoldState,
        covered: &Covered,
        returned: Vec<(Asset, Nanos)>,
        waived: Vec<(Asset, Nanos)>,
        what: Left,
    ) -> Summary {
        // Told in the order of the charges.
        let total = |hold: &HoldState| {
            let mut taken: Vec<&Slice> = hold.taken.iter().collect();
            taken.sort_by_key(|slice| slice.charge);
            per_asset(taken.into_iter().map(|s| (&s.asset, s.amount)))
        };
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
            held: match what {
                Left::Freed => Vec::new(),
                Left::Kept => held(now),
            },
            debt: per_asset(new_debt.map(|d| (&d.slice.asset, d.slice.amount))),
            waived,
        }
    }

    fn answer(
        self,
        charges: Vec<Line>,
        ended: bool,
        late: bool,
        revision: RevisionHash,
        wallet: &Wallet,
    ) -> Answer {
        Answer::Settled(Box::new(Settled {
            charges,
            posted: self.posted,
            returned: self.returned,
            held: self.held,
            debt: self.debt,
            waived: self.waived,
            ended,
            late,
            revision,
            balances: wallet.balances(),
        }))
    }
}
