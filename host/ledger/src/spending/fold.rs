//! How effects change limits.

use std::collections::{BTreeMap, BTreeSet};

use farebox_money::{Asset, Nanos};
use farebox_record::ids::LimitName;
use farebox_record::outcome::Effect;
use farebox_record::plan::EventRef;
use farebox_record::spending::LimitState;
use farebox_record::state::{HoldState, Part};

use crate::spending::window::{add, move_on};
use crate::wallet::{Wallet, WalletError, missing};

type Limits = BTreeMap<LimitName, LimitState>;

impl Wallet {
    /// Carries out an effect on a limit; others are none of its business.
    pub(crate) fn fold_limit(&mut self, effect: &Effect) -> Result<(), WalletError> {
        let changed = match effect {
            Effect::LimitPut(name, state) => {
                self.limits.insert(name.clone(), (**state).clone());
                name
            }
            Effect::LimitDeleted(name) => {
                self.limits.remove(name).ok_or_else(|| missing("limit", name))?;
                name
            }
            Effect::LimitCounted {
                limit: name,
                at,
                amount,
            } => {
                let limit = self.limit_mut(name)?;
                move_on(limit, *at);
                let asset = limit.terms.asset.clone();
                add(limit, *at, *amount).ok_or(WalletError::Overflow { asset })?;
                name
            }
            Effect::LimitCountedApart {
                limit: name,
                hold,
                amount,
            } => {
                let limit = self.limit_mut(name)?;
                match amount {
                    Some(amount) => limit.apart.insert(hold.clone(), *amount),
                    None => limit.apart.remove(hold),
                };
                name
            }
            Effect::ThresholdCrossed(crossed) => {
                self.limit_mut(&crossed.limit)?.crossed.push(crossed.threshold);
                &crossed.limit
            }
            _ => return Ok(()),
        };
        self.mark(Part::Limit(changed.clone()));
        Ok(())
    }

    fn limit_mut(&mut self, name: &LimitName) -> Result<&mut LimitState, WalletError> {
        self.limits.get_mut(name).ok_or_else(|| missing("limit", name))
    }
}

/// What a hold has set aside of an asset: its pins, and its credit.
pub(crate) fn held_of(hold: &HoldState, asset: &Asset) -> Nanos {
    let pins = hold.pins.iter().filter(|pin| pin.asset == *asset);
    let credit = hold.overdraft.iter().filter(|(a, _)| a == asset);
    let pinned: i128 = pins.map(|pin| pin.amount.get()).sum();
    Nanos::new(pinned + credit.map(|(_, amount)| amount.get()).sum::<i128>())
}

/// A hold is there: what it has set aside counts.
pub(crate) fn hold_put(limits: &mut Limits, dirty: &mut BTreeSet<Part>, hold: &HoldState) {
    change_held(limits, dirty, hold, 1);
}

/// A hold is gone, or is about to change.
pub(crate) fn hold_removed(limits: &mut Limits, dirty: &mut BTreeSet<Part>, hold: &HoldState) {
    change_held(limits, dirty, hold, -1);
}

fn change_held(limits: &mut Limits, dirty: &mut BTreeSet<Part>, hold: &HoldState, sign: i128) {
    for (name, limit) in limits {
        if !limit.terms.scope.holds(&hold.event.attributes) {
            continue;
        }
        let amount = held_of(hold, &limit.terms.asset);
        if !amount.is_zero() {
            limit.held = Nanos::new(limit.held.get() + sign * amount.get());
            dirty.insert(Part::Limit(name.clone()));
        }
    }
}

/// A hold can be settled no more: nothing has to be known of what it counted for.
pub(crate) fn forget_hold(limits: &mut Limits, dirty: &mut BTreeSet<Part>, event: &EventRef) {
    for (name, limit) in limits {
        if limit.apart.remove(event).is_some() {
            dirty.insert(Part::Limit(name.clone()));
        }
    }
}
