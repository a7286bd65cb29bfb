//! An outcome in the making: every effect is carried out as it is noted, and the whole is checked at the end.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Account, Answer, Effect, Entry, Outcome};
use farebox_record::plan::{AppliesTo, Category, EventRef};
use farebox_record::state::{GrantPhase, GrantState, SliceSource};
use farebox_record::time::Timestamp;

use crate::cover::{Draw, Origin};
use crate::grant::pay_debt;
use crate::limits;
use crate::portions::is_remembered;
use crate::refusal::Refusal;
use crate::wallet::Wallet;

/// How many effects room is made for: those of an event with three charges.
const EFFECTS_EXPECTED: usize = 8;

/// Changes of one command. Started only when the command is known to succeed: there is no way back.
pub(crate) struct Draft<'w> {
    pub wallet: &'w mut Wallet,
    effects: Vec<Effect>,
    touched: Vec<GrantId>,
    /// Grants for what came back, by asset.
    returned: BTreeMap<Asset, GrantId>,
    /// How many charges the plan's answer of this record holds.
    answered: usize,
    /// See [`Outcome::earlier`].
    earlier: Vec<String>,
}

impl<'w> Draft<'w> {
    /// Starts with what is overdue for the host's own reasons: expired holds whose grace is over.
    pub fn new(wallet: &'w mut Wallet, at: Timestamp) -> Draft<'w> {
        let forgettable = wallet.forgettable(at);
        let mut draft = Draft {
            wallet,
            effects: Vec::with_capacity(EFFECTS_EXPECTED),
            touched: Vec::new(),
            returned: BTreeMap::new(),
            answered: 0,
            earlier: Vec::new(),
        };
        for event in forgettable {
            let taken: Vec<GrantId> = draft
                .wallet
                .hold(&event)
                .map(|hold| {
                    hold.taken
                        .iter()
                        .filter_map(|slice| grant_of(&slice.from))
                        .collect()
                })
                .unwrap_or_default();
            draft.touched.extend(taken);
            draft.put(Effect::HoldForgotten(event));
        }
        draft
    }

    /// Says how many charges the plan's answer of this record holds: indices of earlier charges go on behind them.
    pub fn answer_holds(&mut self, charges: usize) {
        debug_assert!(self.earlier.is_empty(), "told before any earlier charge is named");
        self.answered = charges;
    }

    /// Says which earlier charges entries name, in the order of their indices.
    pub fn name_earlier(&mut self, answered: usize, codes: Vec<String>) {
        self.answered = answered;
        self.earlier = codes;
    }

    /// The index under which entries name a charge of an earlier record.
    pub fn earlier_charge(&mut self, code: &str) -> u16 {
        let known = self.earlier.iter().position(|c| c == code);
        let index = known.unwrap_or_else(|| {
            self.earlier.push(code.to_string());
            self.earlier.len() - 1
        });
        // An event has at most as many charges as an answer may hold, far below 65,536.
        u16::try_from(self.answered + index).unwrap_or(u16::MAX)
    }

    /// Carries an effect out and notes it.
    pub fn put(&mut self, effect: Effect) {
        #[expect(
            clippy::expect_used,
            reason = "a ledger that does not fit together stops the process, in release too"
        )]
        self.wallet
            .fold(&effect)
            .expect("an effect fits the wallet that it was decided on");
        self.effects.push(effect);
    }

    /// Looks at the grant again at the end: it may be spent now.
    pub fn touch(&mut self, grant: GrantId) {
        self.touched.push(grant);
    }

    /// Posts to one account; nothing is posted for nothing.
    pub fn post(&mut self, account: Account, asset: &Asset, amount: Nanos, charge: Option<u16>) {
        if amount.is_zero() {
            return;
        }
        if let Account::Available(grant) | Account::Held(grant) = &account {
            self.touched.push(grant.clone());
        }
        self.put(Effect::Entry(Entry {
            account,
            asset: asset.clone(),
            amount,
            charge,
        }));
    }

    /// Posts what draws take, and the revenue that they make.
    pub fn take(&mut self, draws: &[Draw]) {
        self.open_portions(draws);
        let mut revenue: BTreeMap<(u16, Asset), i128> = BTreeMap::new();
        for draw in draws {
            let slice = &draw.slice;
            let account = match (&slice.from, draw.origin) {
                (_, Origin::Refunded) => continue,
                (_, Origin::Taken(charge)) if charge == slice.charge => continue,
                (SliceSource::Grant(_), Origin::Lost) => Account::Breakage,
                (SliceSource::Grant(grant), Origin::Live) => Account::Available(grant.clone()),
                (SliceSource::Grant(grant), _) => Account::Held(grant.clone()),
                (SliceSource::Debt, _) => Account::Debt,
                (SliceSource::Receivable, _) => Account::Receivable,
            };
            if let Origin::Taken(other) = draw.origin {
                // From one charge to another: it goes back and is taken again.
                self.post(account.clone(), &slice.asset, slice.amount, Some(other));
                *revenue.entry((other, slice.asset.clone())).or_default() -= slice.amount.get();
            }
            self.post(
                account,
                &slice.asset,
                Nanos::new(-slice.amount.get()),
                Some(slice.charge),
            );
            *revenue.entry((slice.charge, slice.asset.clone())).or_default() += slice.amount.get();
        }
        for ((charge, asset), amount) in revenue {
            self.post(Account::Revenue, &asset, Nanos::new(amount), Some(charge));
        }
    }

    /// Opens the portions that draws take from.
    pub fn open_portions(&mut self, draws: &[Draw]) {
        for portion in draws.iter().filter_map(|draw| draw.portion.as_deref()) {
            self.open_portion(portion);
        }
    }

    /// Moves value that a hold had pinned back into the wallet, or to breakage where its grant expired meanwhile. Bought
    /// value pays debt first. Tells how much the wallet got.
    pub fn unpin(&mut self, grant: &GrantId, asset: &Asset, amount: Nanos) -> Nanos {
        let expired = self
            .wallet
            .grants
            .get(grant)
            .is_none_or(|g| g.phase == GrantPhase::Expired);
        let to = if expired {
            Account::Breakage
        } else {
            Account::Available(grant.clone())
        };
        self.post(
            Account::Held(grant.clone()),
            asset,
            Nanos::new(-amount.get()),
            None,
        );
        self.post(to, asset, amount, None);
        if expired {
            return Nanos::ZERO;
        }
        pay_debt(self, grant, amount);
        amount
    }

    /// A name for a grant that the host opens: the first of `wanted` that is a name, and with a number behind it
    /// where a caller has taken it already.
    pub fn unused_grant_id(&self, wanted: &[String]) -> Option<GrantId> {
        let numbered = (2..).map(|n| format!("{}:{n}", wanted.last().map_or("", String::as_str)));
        let names = wanted
            .iter()
            .cloned()
            .chain(numbered.take(limits::GRANTS_PER_WALLET_MAX));
        names
            .filter_map(|name| GrantId::new(&name).ok())
            .find(|id| !self.wallet.grants.contains_key(id))
    }

    /// The grant for bought value that comes back because what it paid was not owed, by its name: one for each asset, however
    /// many events it comes back from. The caller posts the value.
    pub fn open_returned(
        &mut self,
        event: &EventRef,
        asset: &Asset,
        amount: Nanos,
        at: Timestamp,
    ) -> Option<GrantId> {
        let label = format!("Returned from {}", event.id);
        let known = self.returned.get(asset);
        if let Some((id, grant)) = known.and_then(|id| Some((id.clone(), self.wallet.grants.get(id)?))) {
            let mut more = grant.clone();
            more.amount = Nanos::new(more.amount.get() + amount.get());
            if more.label.as_ref() != Some(&label) {
                more.label = Some("Returned from several events".to_string());
            }
            self.put(Effect::GrantReopened(id.clone(), more));
            return Some(id);
        }
        let sequence = self.wallet.header.sequence + 1;
        let id = self.unused_grant_id(&[format!("returned:{sequence}:{asset}")])?;
        self.returned.insert(asset.clone(), id.clone());
        let grant = GrantState {
            asset: asset.clone(),
            amount,
            available: Nanos::ZERO,
            held: Nanos::ZERO,
            category: Category::Paid,
            priority: 0,
            effective: at,
            expires: None,
            applies_to: AppliesTo::default(),
            label: Some(label),
            subscription: None,
            phase: GrantPhase::Active,
            portions: None,
            portion_of: None,
        };
        self.put(Effect::GrantOpened(id.clone(), Box::new(grant)));
        Some(id)
    }

    /// Ends the grants that this command emptied, checks the whole, and gives the outcome.
    pub fn finish(mut self, answer: impl FnOnce(&Wallet) -> Answer) -> Outcome {
        self.touched.sort();
        self.touched.dedup();
        for grant in std::mem::take(&mut self.touched) {
            if self.is_spent(&grant) {
                self.put(Effect::GrantEnded(grant));
            }
        }
        assert_balanced(&self.effects);
        self.assert_in_range();
        Outcome {
            answer: answer(self.wallet),
            earlier: self.earlier,
            effects: self.effects,
        }
    }

    /// Whether nothing of the grant is left, and no open hold could give any of it back.
    fn is_spent(&self, id: &GrantId) -> bool {
        let empty =
            |g: &GrantState| g.available.is_zero() && g.held.is_zero() && !is_remembered(self.wallet, id, g);
        let source = SliceSource::Grant(id.clone());
        self.wallet.grant(id).is_some_and(empty)
            && !self
                .wallet
                .holds
                .values()
                .any(|hold| hold.taken.iter().any(|slice| slice.from == source))
    }

    /// No account is on the wrong side of zero.
    fn assert_in_range(&self) {
        for effect in &self.effects {
            let Effect::Entry(entry) = effect else { continue };
            if let Account::Available(id) | Account::Held(id) = &entry.account
                && let Some(grant) = self.wallet.grants.get(id)
            {
                assert!(!grant.available.is_negative(), "grant {id} is overdrawn");
                assert!(!grant.held.is_negative(), "grant {id} has less than nothing held");
            }
            let totals = self
                .wallet
                .header
                .assets
                .get(&entry.asset)
                .map(|totals| **totals)
                .unwrap_or_default();
            assert!(!totals.debt.is_positive(), "debt of {} is overpaid", entry.asset);
            assert!(
                !totals.receivable.is_positive(),
                "receivable of {} is overpaid",
                entry.asset
            );
            assert!(
                !totals.overdraft_held.is_negative(),
                "less than nothing of {} held",
                entry.asset
            );
        }
    }
}

/// Decides on a copy of the wallet, which takes its place only where all of it succeeded. For commands whose second step
/// depends on what the first one did.
pub(crate) fn attempt(
    wallet: &mut Wallet,
    decide: impl FnOnce(&mut Wallet) -> Result<Outcome, Refusal>,
) -> Result<Outcome, Refusal> {
    let mut copy = wallet.clone();
    let outcome = decide(&mut copy)?;
    *wallet = copy;
    Ok(outcome)
}

/// The entries of every record sum to zero per asset.
fn assert_balanced(effects: &[Effect]) {
    let mut sums: BTreeMap<&Asset, i128> = BTreeMap::new();
    for effect in effects {
        if let Effect::Entry(entry) = effect {
            *sums.entry(&entry.asset).or_default() += entry.amount.get();
        }
    }
    for (asset, sum) in sums {
        assert!(sum == 0, "the entries of one record leave {sum} nanos of {asset}");
    }
}

pub(crate) fn grant_of(source: &SliceSource) -> Option<GrantId> {
    match source {
        SliceSource::Grant(id) => Some(id.clone()),
        SliceSource::Debt | SliceSource::Receivable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Posts to accounts of dollars, with a grant of 3 to post to, and finishes.
    fn post(postings: &[(Account, i128)]) {
        let usd = Asset::new("usd").unwrap();
        let mut wallet = Wallet::default();
        let mut draft = Draft::new(&mut wallet, Timestamp::EPOCH);
        let grant = GrantState {
            asset: usd.clone(),
            amount: Nanos::new(3),
            available: Nanos::ZERO,
            held: Nanos::ZERO,
            category: Category::Paid,
            priority: 0,
            effective: Timestamp::EPOCH,
            expires: None,
            applies_to: AppliesTo::default(),
            label: None,
            subscription: None,
            phase: GrantPhase::Active,
            portions: None,
            portion_of: None,
        };
        draft.put(Effect::GrantOpened(g(), Box::new(grant)));
        draft.post(Account::Available(g()), &usd, Nanos::new(3), None);
        draft.post(Account::Purchases, &usd, Nanos::new(-3), None);
        for (account, amount) in postings {
            draft.post(account.clone(), &usd, Nanos::new(*amount), None);
        }
        draft.finish(|_| Answer::Handled);
    }

    fn g() -> GrantId {
        GrantId::new("g").unwrap()
    }

    #[test]
    fn what_balances_is_kept() {
        post(&[(Account::Available(g()), -3), (Account::Revenue, 3)]);
    }

    #[test]
    #[should_panic(expected = "the entries of one record leave 5 nanos of usd")]
    fn entries_that_do_not_sum_to_zero_stop_the_process() {
        post(&[(Account::Adjustments, 5)]);
    }

    #[test]
    #[should_panic(expected = "grant g is overdrawn")]
    fn a_grant_below_nothing_stops_the_process() {
        post(&[(Account::Available(g()), -4), (Account::Revenue, 4)]);
    }

    #[test]
    #[should_panic(expected = "grant g has less than nothing held")]
    fn less_than_nothing_held_stops_the_process() {
        post(&[(Account::Held(g()), -1), (Account::Revenue, 1)]);
    }

    #[test]
    #[should_panic(expected = "debt of usd is overpaid")]
    fn debt_that_is_overpaid_stops_the_process() {
        post(&[(Account::Debt, 1), (Account::Adjustments, -1)]);
    }

    #[test]
    #[should_panic(expected = "receivable of usd is overpaid")]
    fn a_receivable_that_is_overpaid_stops_the_process() {
        post(&[(Account::Receivable, 1), (Account::Adjustments, -1)]);
    }
}
