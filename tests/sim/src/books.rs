//! A second set of books, kept by addition alone: what every entry of a wallet's history sums to, and what callers were told.
//! It shares no code with the ledger, knows no rule of it, and never decides anything.

use std::collections::BTreeMap;

use farebox_ledger::Wallet;
use farebox_money::Asset;
use farebox_record::command::{Backfill, Command};
use farebox_record::correction::{AdjustTarget, RefundTarget};
use farebox_record::outcome::{Account, Answer, Corrected, Effect, Pricing, Verdict};
use farebox_record::plan::{Category, EventRef};
use farebox_record::record::Record;
use farebox_record::state::GrantPhase;

use crate::history::concluded;

/// Per asset.
type Sums = BTreeMap<String, i128>;

/// See the module.
#[derive(Debug, Default)]
pub struct Books {
    /// (account, asset) -> sum of its entries.
    accounts: BTreeMap<(&'static str, String), i128>,
    /// Grant -> asset, free, held.
    grants: BTreeMap<String, (String, i128, i128)>,
    /// (category, asset) -> what was put in, by callers and by plans.
    put_in: BTreeMap<(Category, String), i128>,
    /// Fees that plans ordered.
    fees: Sums,
    /// Event -> what callers were told that it costs.
    told: BTreeMap<String, i128>,
    /// What adjustments took away, less what they wrote off, as callers said it, and less what of that was not owed.
    adjusted: Sums,
    /// What is written off.
    written_off: Sums,
    /// Events that wait for a price.
    waiting: i64,
}

impl Books {
    /// Enters one record.
    ///
    /// # Errors
    /// If its entries do not sum to zero.
    pub fn enter(&mut self, record: &Record) -> Result<(), String> {
        let mut sums = Sums::new();
        for effect in &record.outcome.effects {
            match effect {
                Effect::Entry(entry) => {
                    let (asset, amount) = (entry.asset.to_string(), entry.amount.get());
                    *sums.entry(asset.clone()).or_default() += amount;
                    self.post(&entry.account, asset, amount);
                }
                Effect::UnpricedKept(_) => self.waiting += 1,
                Effect::UnpricedRated(_) => self.waiting -= 1,
                _ => {}
            }
        }
        if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
            return Err(format!(
                "record {} leaves {sum} nanos of {asset}",
                record.sequence
            ));
        }
        self.order(record);
        self.correct(record)?;
        self.undo_write_offs(record)?;
        self.tell(record);
        Ok(())
    }

    fn post(&mut self, account: &Account, asset: String, amount: i128) {
        let name = match account {
            Account::Available(grant) | Account::Held(grant) => {
                let kept = self
                    .grants
                    .entry(grant.to_string())
                    .or_insert((asset.clone(), 0, 0));
                match account {
                    Account::Held(_) => kept.2 += amount,
                    _ => kept.1 += amount,
                }
                "grants"
            }
            account => name_of(account),
        };
        *self.accounts.entry((name, asset)).or_default() += amount;
    }

    /// What callers and plans put in, as they said it.
    fn order(&mut self, record: &Record) {
        if let Command::Grant(grant) = &record.command {
            let key = (grant.category, grant.asset.to_string());
            *self.put_in.entry(key).or_default() += grant.amount.get();
        }
        let is_change = matches!(
            record.command,
            Command::Subscribe(_)
                | Command::Due(_)
                | Command::ChangeSubscription(_)
                | Command::RetryTransition(_)
                | Command::RetryChange(_)
        );
        let Some(Pricing {
            verdict: Verdict::Priced(priced),
            ..
        }) = record
            .seen
            .pricing
            .as_ref()
            .filter(|_| is_change && concluded(record).is_none())
        else {
            return;
        };
        for grant in &priced.grants {
            let key = (grant.category, grant.asset.to_string());
            *self.put_in.entry(key).or_default() += grant.amount.get();
        }
        for charge in &priced.charges {
            *self.fees.entry(charge.price.asset.to_string()).or_default() += charge.price.amount.get();
        }
    }

    /// What was put right, as callers said it and were told.
    fn correct(&mut self, record: &Record) -> Result<(), String> {
        let paid_in = |asset: &Asset| (Category::Paid, asset.to_string());
        match (&record.command, &record.outcome.answer) {
            (Command::Pay(pay), _) => {
                *self.put_in.entry(paid_in(&pay.asset)).or_default() += pay.amount.get();
            }
            (Command::Adjust(adjust), _) => {
                let (asset, amount) = (adjust.asset.to_string(), adjust.amount.get());
                let amount = match adjust.target {
                    AdjustTarget::Balance => amount,
                    AdjustTarget::Debt | AdjustTarget::Receivable => {
                        *self.written_off.entry(asset.clone()).or_default() += amount;
                        -amount
                    }
                };
                *self.adjusted.entry(asset).or_default() += amount;
            }
            (Command::Refund(refund), Answer::Corrected(corrected)) => match &refund.target {
                RefundTarget::Grant { .. } => {
                    for (asset, amount) in &corrected.reversed {
                        *self.put_in.entry(paid_in(asset)).or_default() -= amount.get();
                    }
                }
                RefundTarget::Event { event, .. } => {
                    came_back(record, corrected)?;
                    self.take_back(event, corrected);
                }
            },
            (Command::Void(void), Answer::Corrected(corrected)) => {
                came_back(record, corrected)?;
                self.take_back(&void.event, corrected);
            }
            (Command::Amend(amend), Answer::Corrected(corrected)) => {
                came_back(record, corrected)?;
                self.take_back(&amend.event.reference(), corrected);
            }
            _ => {}
        }
        Ok(())
    }

    /// What was written off and turns out not to be owed is written off no more.
    fn undo_write_offs(&mut self, record: &Record) -> Result<(), String> {
        if matches!(record.command, Command::Adjust(_)) {
            return Ok(());
        }
        for effect in &record.outcome.effects {
            let Effect::Entry(entry) = effect else { continue };
            if entry.account != Account::Adjustments {
                continue;
            }
            let (asset, amount) = (entry.asset.to_string(), entry.amount.get());
            let left = self.written_off.entry(asset.clone()).or_default();
            *left -= amount;
            if *left < 0 || entry.charge.is_none() {
                return Err(format!(
                    "record {} takes {amount} nanos of {asset} back of what was written off, which leaves {left}",
                    record.sequence
                ));
            }
            *self.adjusted.entry(asset).or_default() += amount;
        }
        Ok(())
    }

    /// What came back lowers what the event costs; what is charged instead raises it.
    fn take_back(&mut self, event: &EventRef, corrected: &Corrected) {
        let back: i128 = corrected.reversed.iter().map(|(_, amount)| amount.get()).sum();
        *self.told.entry(format!("{event:?}")).or_default() += sum(&corrected.charges) - back;
    }

    /// What the event of a record costs by now, as callers were told. Nobody is told what the end of a call that was settled in
    /// part still costs: that is what is posted for it.
    fn tell(&mut self, record: &Record) {
        if let Some(event) = concluded(record) {
            let revenue = record.outcome.effects.iter().filter_map(|effect| match effect {
                Effect::Entry(entry) if entry.account == Account::Revenue => Some(entry.amount.get()),
                _ => None,
            });
            *self.told.entry(format!("{event:?}")).or_default() += revenue.sum::<i128>();
            return;
        }
        let (event, cost) = match (&record.command, &record.outcome.answer) {
            (
                Command::Usage(event) | Command::Backfill(Backfill { event, .. }),
                Answer::Charged { charges, .. },
            ) => (event.reference(), sum(charges)),
            (Command::RateUnpriced(rate), Answer::Charged { charges, .. }) => {
                (rate.event.reference(), sum(charges))
            }
            (Command::Authorize(authorize), Answer::Allowed(allowed)) if allowed.expires.is_none() => {
                (authorize.event.reference(), sum(&allowed.quote))
            }
            (Command::Settle(settle), Answer::Settled(settled)) => {
                let waived: i128 = settled.waived.iter().map(|(_, amount)| amount.get()).sum();
                (settle.hold.clone(), sum(&settled.charges) - waived)
            }
            // The parts before came back until the whole has a price.
            (Command::Settle(settle), Answer::Unpriced(_)) => (settle.hold.clone(), 0),
            _ => return,
        };
        self.told.insert(format!("{event:?}"), cost);
    }

    fn account(&self, name: &'static str, asset: &str) -> i128 {
        self.accounts
            .get(&(name, asset.to_string()))
            .copied()
            .unwrap_or(0)
    }

    /// Compares the sums with a wallet of the same history.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, wallet: &Wallet) -> Result<(), String> {
        let same = |what: &str, ours: i128, theirs: i128| match ours == theirs {
            true => Ok(()),
            false => Err(format!("{what}: the books say {ours} nanos, the wallet {theirs}")),
        };
        let header = wallet.header();
        for ((_, asset), _) in self.accounts.iter().filter(|(_, sum)| **sum != 0) {
            if !header.assets.keys().any(|known| known.as_str() == asset) {
                return Err(format!("the wallet knows nothing of {asset}"));
            }
        }
        for (asset, totals) in &header.assets {
            let name = asset.as_str();
            let of = |account| self.account(account, name);
            for (account, theirs) in [
                ("debt", totals.debt),
                ("receivable", totals.receivable),
                ("revenue", totals.revenue),
                ("breakage", totals.breakage),
                ("purchases", totals.purchases),
                ("promotional", totals.promotional),
                ("included", totals.included),
                ("adjustments", totals.adjustments),
            ] {
                same(&format!("{account} of {name}"), of(account), theirs.get())?;
            }
            for (category, account) in [
                (Category::Paid, "purchases"),
                (Category::Promotional, "promotional"),
                (Category::Included, "included"),
            ] {
                let put_in = self
                    .put_in
                    .get(&(category, name.to_string()))
                    .copied()
                    .unwrap_or(0);
                same(
                    &format!("{account} of {name} that were asked for"),
                    put_in,
                    -of(account),
                )?;
            }
            let adjusted = self.adjusted.get(name).copied().unwrap_or(0);
            same(
                &format!("adjustments of {name} that were asked for"),
                adjusted,
                of("adjustments"),
            )?;
            // What was put in or is owed is still there, was earned, or expired.
            let came = -(of("purchases") + of("promotional") + of("included") + of("adjustments"));
            let owed = -(of("debt") + of("receivable"));
            let went = of("grants") + of("revenue") + of("breakage");
            same(&format!("what became of all {name}"), came + owed, went)?;
        }
        self.compare_grants(wallet)?;
        same(
            "events without a price",
            i128::from(self.waiting),
            i128::from(header.unpriced),
        )
    }

    fn compare_grants(&self, wallet: &Wallet) -> Result<(), String> {
        let mut shown: BTreeMap<String, (i128, i128)> = BTreeMap::new();
        for (id, grant) in wallet.grants() {
            let (free, held) = (grant.available.get(), grant.held.get());
            let ours = self
                .grants
                .get(id.as_str())
                .map_or((0, 0), |kept| (kept.1, kept.2));
            if ours != (free, held) {
                return Err(format!(
                    "grant {id}: the books say {ours:?}, the wallet {:?}",
                    (free, held)
                ));
            }
            if free < 0 || held < 0 {
                return Err(format!("grant {id} has {free} free and {held} held"));
            }
            let sums = shown.entry(grant.asset.to_string()).or_default();
            sums.0 += if grant.phase == GrantPhase::Active {
                free
            } else {
                0
            };
            sums.1 += held;
        }
        let gone = self.grants.iter().find(|(id, kept)| {
            (kept.1, kept.2) != (0, 0) && !wallet.grants().any(|(known, _)| known.as_str() == id.as_str())
        });
        if let Some((id, kept)) = gone {
            return Err(format!("grant {id} is gone with {kept:?}"));
        }
        let mut pinned = Sums::new();
        let mut on_credit = Sums::new();
        for (_, hold) in wallet.holds() {
            for pin in &hold.pins {
                *pinned.entry(pin.asset.to_string()).or_default() += pin.amount.get();
            }
            for (asset, amount) in &hold.overdraft {
                *on_credit.entry(asset.to_string()).or_default() += amount.get();
            }
        }
        for balance in wallet.balances() {
            let asset = balance.asset.to_string();
            let (free, held) = shown.get(&asset).copied().unwrap_or_default();
            let credit = on_credit.get(&asset).copied().unwrap_or(0);
            if held != pinned.get(&asset).copied().unwrap_or(0) {
                return Err(format!(
                    "{asset}: grants hold {held}, and open holds have pinned {pinned:?}"
                ));
            }
            if (free, held + credit) != (balance.available.get(), balance.held.get()) {
                return Err(format!(
                    "{asset}: {free} free, {held} + {credit} held, and the balance is {balance:?}"
                ));
            }
        }
        Ok(())
    }

    /// That the customer was charged what it was told, to the nano. Only where no plan charges one event in two assets,
    /// because an answer names the price and not which asset paid it.
    ///
    /// # Errors
    /// How much the two differ.
    pub fn compare_told(&self, asset: &str) -> Result<(), String> {
        let told: i128 = self.told.values().sum::<i128>() + self.fees.get(asset).copied().unwrap_or(0);
        let earned = self.account("revenue", asset);
        match told == earned {
            true => Ok(()),
            false => Err(format!(
                "callers were told of {told} nanos of {asset}, and {earned} were charged"
            )),
        }
    }
}

/// What callers were told came back is what revenue lost, and what of it had expired is breakage. Where something is
/// charged instead, revenue says both at once, and only breakage is compared.
fn came_back(record: &Record, corrected: &Corrected) -> Result<(), String> {
    let mut posted: BTreeMap<(bool, &Asset), i128> = BTreeMap::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect {
            match entry.account {
                Account::Revenue => *posted.entry((true, &entry.asset)).or_default() -= entry.amount.get(),
                Account::Breakage => *posted.entry((false, &entry.asset)).or_default() += entry.amount.get(),
                _ => {}
            }
        }
    }
    for (asset, amount) in &corrected.reversed {
        *posted.entry((true, asset)).or_default() -= amount.get();
    }
    for (asset, amount) in &corrected.expired {
        *posted.entry((false, asset)).or_default() -= amount.get();
    }
    posted.retain(|(is_revenue, _), amount| *amount != 0 && (!is_revenue || corrected.charges.is_empty()));
    match posted.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "record {} told {corrected:?}, and differs in {posted:?}",
            record.sequence
        )),
    }
}

fn sum(lines: &[farebox_record::outcome::Line]) -> i128 {
    lines.iter().map(|line| line.amount.get()).sum()
}

/// What an account is called, whichever grant it is of.
pub fn name_of(account: &Account) -> &'static str {
    match account {
        Account::Available(_) => "available",
        Account::Held(_) => "held",
        Account::Debt => "debt",
        Account::Receivable => "receivable",
        Account::Revenue => "revenue",
        Account::Breakage => "breakage",
        Account::Purchases => "purchases",
        Account::Promotional => "promotional",
        Account::Included => "included",
        Account::Adjustments => "adjustments",
    }
}
