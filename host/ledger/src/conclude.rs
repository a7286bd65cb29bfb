//! Holds that end without a last settlement though parts were settled: what the call used so far is what it used. It is
//! settled for good as that, so that parts that nobody finishes dodge no tier, and it can be refunded like any other.

use farebox_record::correction::{Standing, StandingStatus, TakenSlice};
use farebox_record::outcome::{Answer, Effect, HoldEnd, Outcome, Pricing, Seen};
use farebox_record::plan::Priced;
use farebox_record::state::{HoldState, HoldUsage};
use farebox_record::time::Timestamp;

use crate::correct::priced_by;
use crate::cover::lines;
use crate::draft::{Draft, grant_of};
use crate::giving::gives_back;
use crate::hold::end;
use crate::orders::{Cause, carry_out};
use crate::pins::unpin_all;
use crate::settle::{Left, Reckoned, price};
use crate::wallet::Wallet;

/// Ends a hold that was settled in part: released, or expired with its grace over. The plan is asked once more, about the
/// whole of it: other usage may have come between the parts, and its state must hold all of it. Where the plan has no
/// answer, or one that gives back, the event stands as it was settled last.
pub(crate) fn conclude(
    wallet: &mut Wallet,
    hold: &HoldState,
    usage: &HoldUsage,
    seen: &Seen,
    at: Timestamp,
) -> Outcome {
    let answer = price(wallet, &usage.event, seen).ok();
    let answer = answer.filter(|(_, priced)| !gives_back(&priced.charges));
    let answered = answer.and_then(|(pricing, priced)| {
        let reckoned = Reckoned::unfinished(wallet, hold, priced, usage).ok()?;
        Some((pricing, priced, reckoned))
    });
    let mut draft = Draft::new(wallet, at);
    let event = usage.event.reference();
    let (returned, last) = match answered {
        Some((pricing, priced, reckoned)) => {
            let summary = reckoned.post(&mut draft, priced, &usage.event, Left::Freed, at);
            (summary.returned, Some((pricing, priced)))
        }
        None => (unpin_all(&mut draft, hold), None),
    };
    let standing = stands(draft.wallet.hold(&event).unwrap_or(hold), usage, last);
    draft.put(Effect::StandingPut(event.clone(), Box::new(standing)));
    match hold.expired {
        None => end(&mut draft, &event, HoldEnd::Released),
        Some(_) => {
            for grant in hold.taken.iter().filter_map(|slice| grant_of(&slice.from)) {
                draft.touch(grant);
            }
            draft.put(Effect::HoldForgotten(event));
        }
    }
    if let Some((pricing, priced)) = last {
        carry_out(&mut draft, priced, pricing, Cause::Event(&usage.event), at);
    }
    let expired = hold.expired.is_some();
    draft.finish(|wallet| match expired {
        true => Answer::Handled,
        false => Answer::HoldEnded {
            end: HoldEnd::Released,
            returned,
            balances: wallet.balances(),
        },
    })
}

/// The event as the hold leaves it.
fn stands(hold: &HoldState, usage: &HoldUsage, last: Option<(&Pricing, &Priced)>) -> Standing {
    let (priced, said) = match last {
        Some((pricing, priced)) => (priced_by(pricing), lines(&priced.charges)),
        None => (usage.priced.clone(), usage.lines.clone()),
    };
    Standing {
        event: usage.event.clone(),
        time: hold.time,
        status: StandingStatus::Charged,
        priced: Some(priced),
        lines: said,
        slices: taken(hold),
    }
}

/// What a hold took, by the codes of its charges. In which of its settlements it took each part is not known: it counts as
/// posted when it was opened.
pub(crate) fn taken(hold: &HoldState) -> Vec<TakenSlice> {
    let code = |charge: u16| hold.codes.get(usize::from(charge)).cloned().unwrap_or_default();
    let slices = hold.taken.iter().map(|slice| TakenSlice {
        code: code(slice.charge).into(),
        asset: slice.asset.clone(),
        from: slice.from.clone(),
        amount: slice.amount,
        posted: Some(hold.opened),
    });
    slices.collect()
}
