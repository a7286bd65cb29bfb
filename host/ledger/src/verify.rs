//! Checks that hold for every wallet at every moment.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::ids::{GrantId, Hash, LimitName};
use farebox_record::outcome::{Effect, Outcome};
use farebox_record::record::Record;
use farebox_record::spending::{LimitState, Used};

use crate::apply::apply;
use crate::refusal::Refusal;
use crate::spending::held_of;
use crate::wallet::Wallet;

/// A rule that a wallet breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The accounts of an asset do not sum to zero.
    #[error("the accounts of {asset} sum to {sum}, not to zero")]
    Unbalanced {
        /// Which asset.
        asset: Asset,
        /// What they sum to.
        sum: Nanos,
    },
    /// A grant's held value is not what open holds have pinned.
    #[error("grant {grant} has {stored} held, and holds have pinned {pinned}")]
    Held {
        /// Which grant.
        grant: GrantId,
        /// What the grant says.
        stored: Nanos,
        /// What the holds say.
        pinned: Nanos,
    },
    /// The credit of open holds is not what the asset says.
    #[error("{asset} has {stored} held on credit, and holds say {pinned}")]
    Credit {
        /// Which asset.
        asset: Asset,
        /// What the asset says.
        stored: Nanos,
        /// What the holds say.
        pinned: Nanos,
    },
    /// What a spending limit counts as held is not what open holds have set aside.
    #[error("limit {limit} counts {stored} {asset} as held, and holds say {pinned}")]
    LimitHeld {
        /// Which limit.
        limit: LimitName,
        /// In which asset.
        asset: Asset,
        /// What the limit says.
        stored: Nanos,
        /// What the holds say.
        pinned: Nanos,
    },
    /// What a spending limit counts as used is below zero.
    #[error("limit {limit} counts {used} {asset} as used")]
    LimitUsed {
        /// Which limit.
        limit: LimitName,
        /// In which asset.
        asset: Asset,
        /// What the limit says.
        used: Nanos,
    },
    /// The entries of a record do not sum to zero.
    #[error("the entries of record {sequence} leave {sum} of {asset}")]
    Record {
        /// Which record.
        sequence: u64,
        /// In which asset.
        asset: Asset,
        /// What they leave.
        sum: Nanos,
    },
    /// A record does not follow on the one before.
    #[error("record {sequence} does not follow on the one before: {what}")]
    Chain {
        /// Which record.
        sequence: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The wallet is not what its history gives.
    #[error("the stored wallet is not the fold of its {sequence} records")]
    State {
        /// How many records.
        sequence: u64,
    },
    /// An effect does not fit.
    #[error("record {sequence}: {what}")]
    Effect {
        /// Which record.
        sequence: u64,
        /// What is wrong.
        what: String,
    },
}

/// Every rule that the wallet's present state breaks.
pub fn verify(wallet: &Wallet) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut sums: BTreeMap<Asset, i128> = BTreeMap::new();
    for (asset, t) in &wallet.header.assets {
        let accounts = [
            t.debt,
            t.receivable,
            t.revenue,
            t.breakage,
            t.purchases,
            t.promotional,
            t.included,
            t.adjustments,
        ];
        *sums.entry(asset.clone()).or_default() += accounts.iter().map(|a| a.get()).sum::<i128>();
    }
    let mut pinned: BTreeMap<&GrantId, i128> = BTreeMap::new();
    let mut credit: BTreeMap<&Asset, i128> = BTreeMap::new();
    for hold in wallet.holds.values() {
        for pin in &hold.pins {
            *pinned.entry(&pin.grant).or_default() += pin.amount.get();
        }
        for (asset, amount) in &hold.overdraft {
            *credit.entry(asset).or_default() += amount.get();
        }
    }
    for (id, grant) in &wallet.grants {
        *sums.entry(grant.asset.clone()).or_default() += grant.available.get() + grant.held.get();
        let pinned = Nanos::new(pinned.remove(id).unwrap_or(0));
        if grant.held != pinned {
            violations.push(Violation::Held {
                grant: id.clone(),
                stored: grant.held,
                pinned,
            });
        }
    }
    for (grant, amount) in pinned {
        let pinned = Nanos::new(amount);
        violations.push(Violation::Held {
            grant: grant.clone(),
            stored: Nanos::ZERO,
            pinned,
        });
    }
    for (asset, totals) in &wallet.header.assets {
        let pinned = Nanos::new(credit.remove(asset).unwrap_or(0));
        if totals.overdraft_held != pinned {
            violations.push(Violation::Credit {
                asset: asset.clone(),
                stored: totals.overdraft_held,
                pinned,
            });
        }
    }
    for (asset, amount) in credit {
        violations.push(Violation::Credit {
            asset: asset.clone(),
            stored: Nanos::ZERO,
            pinned: Nanos::new(amount),
        });
    }
    violations.extend(broken_limits(wallet));
    for (asset, sum) in sums {
        if sum != 0 {
            violations.push(Violation::Unbalanced {
                asset,
                sum: Nanos::new(sum),
            });
        }
    }
    violations
}

/// Limits whose counters cannot be right.
fn broken_limits(wallet: &Wallet) -> Vec<Violation> {
    let mut broken = Vec::new();
    for (name, limit) in &wallet.limits {
        let (terms, used) = (&limit.terms, least_used(limit));
        let matching = wallet
            .holds
            .values()
            .filter(|hold| terms.scope.holds(&hold.event.attributes));
        let pinned = Nanos::new(matching.map(|hold| held_of(hold, &terms.asset).get()).sum());
        if limit.held != pinned {
            broken.push(Violation::LimitHeld {
                limit: name.clone(),
                asset: terms.asset.clone(),
                stored: limit.held,
                pinned,
            });
        }
        if used.is_negative() {
            broken.push(Violation::LimitUsed {
                limit: name.clone(),
                asset: terms.asset.clone(),
                used,
            });
        }
    }
    broken
}

/// The least that a limit counts anywhere: in its window, or in a step of it.
fn least_used(limit: &LimitState) -> Nanos {
    match &limit.used {
        Used::Calendar { amount, .. } => *amount,
        Used::Rolling(counted) => counted
            .iter()
            .map(|(_, amount)| *amount)
            .min()
            .unwrap_or_default(),
    }
}

/// What a record's command comes to when it is decided again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedOtherwise {
    /// It is refused.
    Refused(Refusal),
    /// It has another outcome.
    Outcome(Box<Outcome>),
}

impl Wallet {
    /// Folds one record of the wallet's history, checking that it follows on the one before and that its entries sum
    /// to zero. `bytes` are the record as kept.
    pub fn replay(&mut self, record: &Record, bytes: &[u8]) -> Result<(), Violation> {
        let sequence = record.sequence;
        if sequence != self.header.sequence + 1 {
            return Err(Violation::Chain {
                sequence,
                what: "its sequence",
            });
        }
        if record.previous != self.header.chain {
            return Err(Violation::Chain {
                sequence,
                what: "the hash of the record before it",
            });
        }
        if record.at < self.header.at {
            return Err(Violation::Chain {
                sequence,
                what: "its time, which steps back",
            });
        }
        let mut sums: BTreeMap<&Asset, i128> = BTreeMap::new();
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect {
                *sums.entry(&entry.asset).or_default() += entry.amount.get();
            }
            self.fold(effect).map_err(|e| Violation::Effect {
                sequence,
                what: e.to_string(),
            })?;
        }
        if let Some((asset, sum)) = sums.into_iter().find(|(_, sum)| *sum != 0) {
            return Err(Violation::Record {
                sequence,
                asset: asset.clone(),
                sum: Nanos::new(sum),
            });
        }
        self.seal(Hash::of(bytes), record);
        Ok(())
    }

    /// Decides a record again: its command, with what was seen then, at its time. Where the outcome is the recorded one, the
    /// wallet is one record further, as behind [`Wallet::replay`].
    ///
    /// # Errors
    /// What comes out now. The wallet is of no use then.
    pub fn decide_again(&mut self, record: &Record, bytes: &[u8]) -> Result<(), DecidedOtherwise> {
        let outcome =
            apply(self, &record.command, &record.seen, record.at).map_err(DecidedOtherwise::Refused)?;
        if outcome != record.outcome {
            return Err(DecidedOtherwise::Outcome(Box::new(outcome)));
        }
        self.seal(Hash::of(bytes), record);
        Ok(())
    }

    /// Whether two wallets hold the same, whatever of it is still to be written.
    pub fn same_state(&self, other: &Wallet) -> bool {
        self.header == other.header
            && self.grants == other.grants
            && self.holds == other.holds
            && self.subscriptions == other.subscriptions
            && self.limits == other.limits
            && self.used == other.used
            && self.write_offs == other.write_offs
            && self.given == other.given
            && self.plan_since == other.plan_since
            && self.above_hold == other.above_hold
            && self.timers == other.timers
    }
}
