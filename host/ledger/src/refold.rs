//! Events behind a corrected one, priced again: what they cost less comes back, what they cost more is charged.
//!
//! All that comes back does so before anything is charged, so that value that one event frees can pay for another, also where
//! the grant that it came from is over. Each event's entries stand together twice at most, and the standing behind them says
//! whose they are.

use std::collections::BTreeSet;

use farebox_money::{Asset, Nanos};
use farebox_record::correction::{Original, Refold, Repriced, Standing, TakenSlice};
use farebox_record::outcome::{Effect, RepricedEvent};
use farebox_record::plan::{Charge, Priced};
use farebox_record::state::Slice;
use farebox_record::time::Timestamp;

use crate::cover::{Covered, Draw, Grants, Known, Origin, Owned, cover_again, lines};
use crate::draft::Draft;
use crate::funds::Funds;
use crate::giving::check_none;
use crate::lost::Lost;
use crate::orders::{check_values, debt, unpostable};
use crate::pins::per_asset;
use crate::refusal::Refusal;
use crate::reverse::{Reversed, give_back, split};
use crate::spending::count_event;
use crate::wallet::Wallet;

/// The events that are priced again, half done: what they cost less has come back.
pub(crate) struct Refolding<'r> {
    refold: &'r Refold,
    original: &'r Original,
    halves: Vec<Half<'r>>,
}

/// One event, half done.
struct Half<'r> {
    repriced: &'r Repriced,
    reversed: Reversed,
    /// What it took before and still needs, and what a refund keeps covered.
    kept: Vec<TakenSlice>,
    /// Whether it costs more than that.
    grows: bool,
}

impl<'r> Refolding<'r> {
    /// Gives back what the events cost less; what of that would be lost joins `lost`.
    pub fn begin(
        draft: &mut Draft<'_>,
        refold: &'r Refold,
        original: &'r Original,
        lost: &mut Lost,
        at: Timestamp,
    ) -> Result<Refolding<'r>, Refusal> {
        let mut halves = Vec::with_capacity(refold.repriced.len());
        for repriced in &refold.repriced {
            let charges = Priced {
                charges: repriced.charges.clone(),
                ..Priced::default()
            };
            check_values(draft.wallet, &charges)?;
            check_none(&charges.charges)?;
            let mut half = Half::begin(draft, repriced, original, at)?;
            lost.join(std::mem::take(&mut half.reversed.lost));
            halves.push(half);
        }
        Ok(Refolding {
            refold,
            original,
            halves,
        })
    }

    /// Charges what the events cost more, and puts the plan's state behind all of them. What would be `lost` pays first; what the
    /// wallet lacks becomes debt, because it happened.
    pub fn finish(
        self,
        draft: &mut Draft<'_>,
        lost: &mut Lost,
        at: Timestamp,
    ) -> Result<Vec<RepricedEvent>, Refusal> {
        let mut told = Vec::with_capacity(self.halves.len());
        for half in self.halves {
            told.push(half.finish(draft, self.original, lost, at)?);
        }
        put_state(draft, self.refold);
        Ok(told)
    }
}

impl<'r> Half<'r> {
    fn begin(
        draft: &mut Draft<'_>,
        repriced: &'r Repriced,
        original: &Original,
        at: Timestamp,
    ) -> Result<Half<'r>, Refusal> {
        let (mut kept, mut left, mut grows) = (Vec::new(), Vec::new(), false);
        for code in codes(repriced) {
            let charges = charges_of(repriced, code);
            let grants = Grants::with_ended(draft.wallet, &original.ended);
            let known = known_of(repriced, code, Vec::new());
            let covered = cover_code(grants, &charges, repriced, known, Funds::none())?;
            // What goes on the statement is covered by nothing that the wallet has: it is drawn though there are no funds.
            let is_new = |draw: &Draw| draw.origin == Origin::Live;
            grows |= !covered.uncovered.is_empty() || covered.draws.iter().any(is_new);
            let mut taken = slices_of(repriced, code);
            for draw in covered.draws.iter().filter(|draw| is_taken(draw.origin)) {
                keep(&mut taken, &draw.slice, &mut kept);
            }
            left.extend(taken);
        }
        let (back, _) = split(&left, None);
        let reversed = give_back(draft, &repriced.standing, &back, &original.ended, at);
        let half = Half {
            repriced,
            reversed,
            kept,
            grows,
        };
        if !half.grows || !half.reversed.total.is_empty() {
            half.put_standing(draft, half.kept.clone());
        }
        Ok(half)
    }

    fn finish(
        mut self,
        draft: &mut Draft<'_>,
        original: &Original,
        lost: &mut Lost,
        at: Timestamp,
    ) -> Result<RepricedEvent, Refusal> {
        let repriced = self.repriced;
        let event = &repriced.standing.event;
        let mut charged: Vec<(Asset, Nanos)> = Vec::new();
        for code in codes(repriced).into_iter().filter(|_| self.grows) {
            let charges = charges_of(repriced, code);
            let grants = Grants::with_ended(draft.wallet, &original.ended);
            let known = known_of(repriced, code, lost.good_at(repriced.standing.time, grants));
            let covered = cover_code(grants, &charges, repriced, known, Funds::of(draft.wallet))?;
            let owed = covered.uncovered.into_iter().map(debt);
            let fresh = covered
                .draws
                .into_iter()
                .filter(|draw| matches!(draw.origin, Origin::Live | Origin::Lost));
            let index = draft.earlier_charge(code);
            let mut draws: Vec<Draw> = fresh.chain(owed).collect();
            for draw in &mut draws {
                draw.slice.charge = index;
                charged.push((draw.slice.asset.clone(), draw.slice.amount));
                self.kept.push(TakenSlice {
                    code: code.into(),
                    asset: draw.slice.asset.clone(),
                    from: draw.slice.from.clone(),
                    amount: draw.slice.amount,
                    posted: Some(at),
                });
            }
            lost.spend(&draws);
            draft.take(&draws);
            count_event(draft, event, &draws, at);
        }
        if self.grows {
            self.put_standing(draft, self.kept.clone());
        }
        Ok(RepricedEvent {
            event: event.reference(),
            reversed: self.reversed.total,
            charged: per_asset(charged.iter().map(|(asset, amount)| (asset, *amount))),
            charges: lines(&repriced.charges),
        })
    }

    fn put_standing(&self, draft: &mut Draft<'_>, slices: Vec<TakenSlice>) {
        let after = Standing {
            lines: lines(&self.repriced.charges),
            slices,
            ..self.repriced.standing.clone()
        };
        draft.put(Effect::StandingPut(after.event.reference(), Box::new(after)));
    }
}

/// Codes of what the event costs now and of what it took, each once: in the order of its charges, and behind them what it does
/// not cost any more. The order of what it took says nothing: refunds change it.
fn codes(repriced: &Repriced) -> Vec<&str> {
    let taken = repriced.standing.slices.iter().chain(&repriced.refunded);
    let taken = taken.map(|slice| slice.code.as_str());
    let charged = repriced.charges.iter().map(|charge| charge.code.as_str());
    let mut known = BTreeSet::new();
    charged.chain(taken).filter(|code| known.insert(*code)).collect()
}

fn charges_of(repriced: &Repriced, code: &str) -> Vec<Charge> {
    let same = repriced.charges.iter().filter(|charge| charge.code == code);
    same.cloned().collect()
}

/// What was taken for one code, so that entries name the code that they belong to.
fn known_of(repriced: &Repriced, code: &str, lost: Vec<Owned>) -> Known {
    Known {
        refunded: owned(&repriced.refunded, code, Origin::Refunded),
        taken: owned(&repriced.standing.slices, code, Origin::Taken(0)),
        lost,
    }
}

/// Covers the charges of one code.
fn cover_code(
    grants: Grants<'_>,
    charges: &[Charge],
    repriced: &Repriced,
    known: Known,
    funds: Funds<'_>,
) -> Result<Covered, Refusal> {
    let attributes = &repriced.standing.event.attributes;
    cover_again(grants, charges, attributes, known, funds).map_err(unpostable)
}

/// Slices of one code, those from one source together, in the order in which they were taken.
fn owned(slices: &[TakenSlice], code: &str, origin: Origin) -> Vec<Owned> {
    let mut owned: Vec<Owned> = Vec::new();
    for slice in slices.iter().filter(|slice| slice.code == code) {
        let same = |own: &&mut Owned| own.from == slice.from && own.asset == slice.asset;
        match owned.iter_mut().find(same) {
            Some(own) => own.amount = Nanos::new(own.amount.get() + slice.amount.get()),
            None => owned.push(Owned {
                from: slice.from.clone(),
                asset: slice.asset.clone(),
                amount: slice.amount,
                origin,
            }),
        }
    }
    owned
}

fn is_taken(origin: Origin) -> bool {
    matches!(origin, Origin::Taken(_))
}

fn slices_of(repriced: &Repriced, code: &str) -> Vec<TakenSlice> {
    let same = repriced.standing.slices.iter().filter(|slice| slice.code == code);
    same.cloned().collect()
}

/// Moves from `taken` to `kept` what is still needed of one source, what was posted first before the rest.
fn keep(taken: &mut Vec<TakenSlice>, needed: &Slice, kept: &mut Vec<TakenSlice>) {
    let mut rest = needed.amount.get();
    for slice in taken
        .iter_mut()
        .filter(|s| s.from == needed.from && s.asset == needed.asset)
    {
        let part = slice.amount.get().min(rest);
        rest -= part;
        slice.amount = Nanos::new(slice.amount.get() - part);
        if part > 0 {
            put_with_its_like(kept, slice, part);
        }
    }
    taken.retain(|slice| slice.amount.is_positive());
}

/// Adds this much of a slice, in one with what was taken from the same source at the same time for the same code.
fn put_with_its_like(kept: &mut Vec<TakenSlice>, slice: &TakenSlice, amount: i128) {
    let is_like = |s: &&mut TakenSlice| {
        s.code == slice.code && s.from == slice.from && s.asset == slice.asset && s.posted == slice.posted
    };
    match kept.iter_mut().find(is_like) {
        Some(known) => known.amount = Nanos::new(known.amount.get() + amount),
        None => kept.push(TakenSlice {
            amount: Nanos::new(amount),
            ..slice.clone()
        }),
    }
}

/// The plan's state behind all events of the term. A closed term's stays its own: nothing cascades past a renewal.
fn put_state(draft: &mut Draft<'_>, refold: &Refold) {
    let id = &refold.subscription;
    if let Some(term) = &refold.closed {
        let after = term.with_state(&refold.state, refold.state_version, refold.revision);
        draft.put(Effect::TermPut(id.clone(), Box::new(after)));
        return;
    }
    let Some(mut changed) = draft.wallet.subscription(id).cloned() else {
        return;
    };
    changed.keep(&refold.state, refold.state_version, refold.revision);
    if draft.wallet.subscription(id) != Some(&changed) {
        draft.put(Effect::SubscriptionPut(id.clone(), Box::new(changed)));
    }
}

/// Whether the wallet's term is the one that was folded: a fold of another one must not be put.
pub(crate) fn fits(wallet: &Wallet, refold: &Refold) -> bool {
    let term = wallet.subscription(&refold.subscription).map(|s| s.term);
    match refold.closed {
        None => term == Some(refold.term),
        Some(_) => term.is_some_and(|open| refold.term < open),
    }
}
