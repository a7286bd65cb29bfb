//! A wallet in memory: its parts, how effects change them, and which of them must be written again.

use std::collections::{BTreeMap, BTreeSet};

use farebox_money::{Asset, Nanos};
use farebox_record::codec::{self, CodecError};
use farebox_record::command::{AboveHold, DueItem};
use farebox_record::correction::{GiveBacks, Noted};
use farebox_record::ids::{GrantId, Hash, LimitName, SubscriptionId};
use farebox_record::outcome::{Account, Effect, Entry, HoldEnd};
use farebox_record::plan::EventRef;
use farebox_record::portion::PortionKey;
use farebox_record::record::Record;
use farebox_record::spending::LimitState;
use farebox_record::state::{
    AssetTotals, Carried, GrantPhase, GrantState, Header, HoldState, HoldUsage, Part, SubscriptionState,
    TimerState, WriteOffs,
};
use farebox_record::time::Timestamp;

use crate::limits::{CARRIED_RECORDS, LATE_SETTLE_GRACE};
use crate::spending::{forget_hold, hold_put, hold_removed};
use crate::timers::Timers;

/// A customer's wallet.
///
/// It changes through [`Wallet::fold`] only. Subjects and unpriced events are parts of it too, but are read on
/// demand: the wallet only passes their changes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wallet {
    pub(crate) header: Header,
    // In boxes: a map has room for eleven at once, and most wallets have one of each.
    pub(crate) grants: BTreeMap<GrantId, Box<GrantState>>,
    pub(crate) holds: BTreeMap<EventRef, Box<HoldState>>,
    pub(crate) subscriptions: BTreeMap<SubscriptionId, Box<SubscriptionState>>,
    pub(crate) limits: BTreeMap<LimitName, LimitState>,
    /// What held calls used so far that were settled in part.
    pub(crate) used: BTreeMap<EventRef, HoldUsage>,
    pub(crate) write_offs: BTreeMap<Asset, WriteOffs>,
    /// Grants that were given for an event, and for which one.
    pub(crate) given: BTreeMap<GrantId, EventRef>,
    /// Portions that were opened since the newest record.
    pub(crate) portions_opened: u32,
    /// Since when a subscription is on its plan, where that is not its first one.
    pub(crate) plan_since: BTreeMap<SubscriptionId, Timestamp>,
    /// What subscriptions say happens to a price above a hold.
    pub(crate) above_hold: BTreeMap<SubscriptionId, AboveHold>,
    /// Timers of subjects.
    pub(crate) timers: Timers,
    /// What falls due besides timers of subjects, in the order in which it is handled. Follows from the parts.
    agenda: BTreeSet<(Timestamp, DueItem)>,
    /// Expired holds, by the end of their grace. Follows from the parts.
    forgettable: BTreeSet<(Timestamp, EventRef)>,
    /// Parts changed since they were last taken.
    dirty: BTreeSet<Part>,
    /// New values of changed parts that the wallet does not keep.
    passed_on: BTreeMap<Part, Option<Vec<u8>>>,
}

/// Why parts do not make a wallet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// A part cannot be read.
    #[error("{part}: {source}")]
    Codec {
        /// Which one.
        part: String,
        /// Why.
        source: CodecError,
    },
    /// An effect names something that is not there.
    #[error("an effect names {what}, which the wallet does not have")]
    Missing {
        /// What is missing.
        what: String,
    },
    /// An amount left the range of the ledger.
    #[error("an amount of {asset} left the range of the ledger")]
    Overflow {
        /// Which asset.
        asset: Asset,
    },
}

impl Wallet {
    /// A wallet from its parts, as they were kept.
    pub fn from_parts<'a>(
        parts: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Wallet, WalletError> {
        let mut wallet = Wallet::default();
        for (key, value) in parts {
            let codec = |source| WalletError::Codec {
                part: format!("part {key:02x?}"),
                source,
            };
            match Part::from_key(key).map_err(codec)? {
                Part::Header => wallet.header = codec::decode(value).map_err(codec)?,
                Part::Grant(id) => {
                    let grant: GrantState = codec::decode(value).map_err(codec)?;
                    wallet.enter_grant(&id, &grant);
                    wallet.grants.insert(id, Box::new(grant));
                }
                Part::Hold(event) => {
                    let hold: HoldState = codec::decode(value).map_err(codec)?;
                    wallet.holds.insert(event, Box::new(hold));
                }
                Part::HoldUsage(event) => {
                    wallet.used.insert(event, codec::decode(value).map_err(codec)?);
                }
                Part::Subscription(id) => {
                    let subscription: SubscriptionState = codec::decode(value).map_err(codec)?;
                    wallet.enter_subscription(&id, &subscription);
                    wallet.subscriptions.insert(id, Box::new(subscription));
                }
                Part::Limit(name) => {
                    wallet.limits.insert(name, codec::decode(value).map_err(codec)?);
                }
                Part::WriteOffs(asset) => {
                    let value = codec::decode(value).map_err(codec)?;
                    wallet.write_offs.insert(asset, value);
                }
                Part::Given(grant) => {
                    wallet.given.insert(grant, codec::decode(value).map_err(codec)?);
                }
                Part::PlanSince(id) => {
                    wallet.plan_since.insert(id, codec::decode(value).map_err(codec)?);
                }
                Part::AboveHold(id) => {
                    wallet.above_hold.insert(id, codec::decode(value).map_err(codec)?);
                }
                Part::SubjectTimer(timer) => {
                    let state: TimerState = codec::decode(value).map_err(codec)?;
                    wallet.timers.put(&timer, Some(&state));
                }
                Part::Subject(..)
                | Part::Unpriced(_)
                | Part::Term(..)
                | Part::Standing(_)
                | Part::GiveBacks(_)
                | Part::Carried(_) => {}
            }
        }
        // What falls due for a hold depends on what it used.
        let holds = std::mem::take(&mut wallet.holds);
        for (event, hold) in &holds {
            wallet.enter_hold(event, hold);
        }
        wallet.holds = holds;
        Ok(wallet)
    }

    /// What the wallet knows besides its other parts.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Grants that are not used up.
    pub fn grants(&self) -> impl Iterator<Item = (&GrantId, &GrantState)> {
        self.grants.iter().map(|(id, grant)| (id, &**grant))
    }

    /// One grant.
    pub(crate) fn grant(&self, id: &GrantId) -> Option<&GrantState> {
        self.grants.get(id).map(|grant| &**grant)
    }

    /// Open holds, and expired ones within their grace.
    pub fn holds(&self) -> impl Iterator<Item = (&EventRef, &HoldState)> {
        self.holds.iter().map(|(event, hold)| (event, &**hold))
    }

    /// One hold.
    pub fn hold(&self, event: &EventRef) -> Option<&HoldState> {
        self.holds.get(event).map(|hold| &**hold)
    }

    /// What happens to a price above a hold of the subscription: what the settlement says, else what the subscription says,
    /// else it is charged and may become debt.
    pub fn above_hold(&self, subscription: &SubscriptionId, said: AboveHold) -> AboveHold {
        let of_subscription = || self.above_hold.get(subscription).copied();
        match said {
            AboveHold::AsSubscribed => of_subscription().unwrap_or(AboveHold::AllowDebt),
            said => said,
        }
    }

    /// What a held call used so far, as its newest settlement said; none where it was not settled in part.
    pub fn used(&self, event: &EventRef) -> Option<&HoldUsage> {
        self.used.get(event)
    }

    /// Subscriptions.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&SubscriptionId, &SubscriptionState)> {
        let all = self.subscriptions.iter();
        all.map(|(id, subscription)| (id, &**subscription))
    }

    /// One subscription.
    pub fn subscription(&self, id: &SubscriptionId) -> Option<&SubscriptionState> {
        self.subscriptions.get(id).map(|subscription| &**subscription)
    }

    /// Spending limits, in order of name.
    pub fn limits(&self) -> impl Iterator<Item = (&LimitName, &LimitState)> {
        self.limits.iter()
    }

    /// One spending limit.
    pub fn limit(&self, name: &LimitName) -> Option<&LimitState> {
        self.limits.get(name)
    }

    /// The earliest thing that falls due.
    pub fn next_due(&self) -> Option<&(Timestamp, DueItem)> {
        self.agenda
            .first()
            .into_iter()
            .chain(self.timers.next_due())
            .min()
    }

    /// Carries one effect out. An error means that the history does not fit together: nothing can be trusted after it.
    pub fn fold(&mut self, effect: &Effect) -> Result<(), WalletError> {
        match effect {
            Effect::CustomerPut(customer) => {
                self.header.customer = Some(customer.clone());
                self.dirty.insert(Part::Header);
            }
            Effect::Entry(entry) => self.fold_entry(entry)?,
            Effect::GrantOpened(id, grant) | Effect::GrantReopened(id, grant) => {
                self.enter_grant(id, grant);
                self.note_portion(id, grant);
                self.grants.insert(id.clone(), grant.clone());
                self.dirty.insert(Part::Grant(id.clone()));
            }
            Effect::GrantActivated(id) => self.set_phase(id, GrantPhase::Active)?,
            Effect::GrantExpired(id) => self.set_phase(id, GrantPhase::Expired)?,
            Effect::GrantEnded(id) => {
                let grant = self.grants.remove(id).ok_or_else(|| missing("grant", id))?;
                self.leave_grant(id, &grant);
                self.dirty.insert(Part::Grant(id.clone()));
                if self.given.remove(id).is_some() {
                    self.dirty.insert(Part::Given(id.clone()));
                }
            }
            Effect::GrantGiven(id, event) => {
                self.given.insert(id.clone(), event.clone());
                self.dirty.insert(Part::Given(id.clone()));
            }
            Effect::HoldPut(event, hold) => {
                self.leave_hold(event);
                self.count_overdraft(&hold.overdraft)?;
                self.enter_hold(event, hold);
                if !self.limits.is_empty() {
                    hold_put(&mut self.limits, &mut self.dirty, hold);
                }
                self.holds.insert(event.clone(), hold.clone());
                self.dirty.insert(Part::Hold(event.clone()));
            }
            Effect::HoldEnded(event, end) => self.end_hold(event, *end)?,
            Effect::HoldForgotten(event) => {
                self.leave_hold(event);
                self.holds.remove(event);
                self.dirty.insert(Part::Hold(event.clone()));
                self.forget_hold(event);
            }
            Effect::HoldUsed(event, usage) => {
                self.used.insert(event.clone(), (**usage).clone());
                self.dirty.insert(Part::HoldUsage(event.clone()));
            }
            Effect::SubscriptionPut(id, subscription) => {
                self.leave_subscription(id);
                self.enter_subscription(id, subscription);
                self.subscriptions.insert(id.clone(), subscription.clone());
                self.dirty.insert(Part::Subscription(id.clone()));
            }
            Effect::SubjectTimerPut(timer, state) => {
                self.timers.put(timer, state.as_deref());
                self.dirty.insert(Part::SubjectTimer((**timer).clone()));
            }
            Effect::SubjectPut(id, subject, kept) => {
                let value = (!kept.state.is_empty()).then(|| codec::encode(kept));
                self.passed_on
                    .insert(Part::Subject(id.clone(), subject.clone()), value);
            }
            Effect::UnpricedKept(unpriced) => {
                self.header.unpriced += 1;
                self.dirty.insert(Part::Header);
                let part = Part::Unpriced(self.header.sequence + 1);
                self.passed_on.insert(part, Some(codec::encode(&**unpriced)));
            }
            Effect::UnpricedRated(sequence) => {
                self.header.unpriced = self.header.unpriced.saturating_sub(1);
                self.dirty.insert(Part::Header);
                self.passed_on.insert(Part::Unpriced(*sequence), None);
            }
            Effect::TermPut(id, term) => {
                let part = Part::Term(id.clone(), term.number);
                self.passed_on.insert(part, Some(codec::encode(&**term)));
            }
            Effect::TermForgotten(id, number) => {
                self.passed_on.insert(Part::Term(id.clone(), *number), None);
            }
            Effect::SubscriptionForgotten(id) => {
                self.leave_subscription(id);
                self.subscriptions.remove(id);
                self.dirty.insert(Part::Subscription(id.clone()));
                if self.plan_since.remove(id).is_some() {
                    self.dirty.insert(Part::PlanSince(id.clone()));
                }
                if self.above_hold.remove(id).is_some() {
                    self.dirty.insert(Part::AboveHold(id.clone()));
                }
            }
            Effect::StandingPut(event, standing) => {
                let part = Part::Standing(event.clone());
                self.passed_on
                    .insert(part, Some(Noted::encode(&**standing, self.header.sequence + 1)));
            }
            Effect::GiveBacksPut(event, give_backs) => {
                let part = Part::GiveBacks(event.clone());
                let kept = **give_backs != GiveBacks::default();
                let value = kept.then(|| Noted::encode(&**give_backs, self.header.sequence + 1));
                self.passed_on.insert(part, value);
            }
            Effect::PlanTaken(id, since) => {
                self.plan_since.insert(id.clone(), *since);
                self.dirty.insert(Part::PlanSince(id.clone()));
            }
            Effect::AboveHoldPut(id, above) => {
                match above {
                    AboveHold::AsSubscribed => self.above_hold.remove(id),
                    said => self.above_hold.insert(id.clone(), *said),
                };
                self.dirty.insert(Part::AboveHold(id.clone()));
            }
            Effect::WriteOffsPut(asset, write_offs) => {
                match **write_offs == WriteOffs::default() {
                    true => self.write_offs.remove(asset),
                    false => self.write_offs.insert(asset.clone(), (**write_offs).clone()),
                };
                self.dirty.insert(Part::WriteOffs(asset.clone()));
            }
            Effect::LimitPut(..)
            | Effect::LimitDeleted(_)
            | Effect::LimitCounted { .. }
            | Effect::LimitCountedApart { .. }
            | Effect::ThresholdCrossed(_) => self.fold_limit(effect)?,
        }
        Ok(())
    }

    /// Notes that the record with this hash is now the newest. Called once per record, behind its effects.
    pub(crate) fn seal(&mut self, chain: Hash, record: &Record) {
        self.header.sequence += 1;
        self.portions_opened = 0;
        self.header.chain = chain;
        self.header.at = record.at;
        self.dirty.insert(Part::Header);
        if self.header.sequence.is_multiple_of(CARRIED_RECORDS) {
            let carried = Carried {
                instant: record.instant(),
                assets: self.customer_accounts(),
            };
            let part = Part::Carried(self.header.sequence);
            self.passed_on.insert(part, Some(codec::encode(&carried)));
        }
    }

    /// Notes that a part has to be written again.
    pub(crate) fn mark(&mut self, part: Part) {
        self.dirty.insert(part);
    }

    /// The parts changed since this was last called, as they are to be kept; none for those that are gone.
    pub fn take_changes(&mut self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut changes = Vec::with_capacity(self.dirty.len() + self.passed_on.len());
        for part in std::mem::take(&mut self.dirty) {
            let value = match &part {
                Part::Header => Some(codec::encode(&self.header)),
                Part::Grant(id) => self.grants.get(id).map(codec::encode),
                Part::Hold(event) => self.holds.get(event).map(codec::encode),
                Part::Subscription(id) => self.subscriptions.get(id).map(codec::encode),
                Part::Limit(name) => self.limits.get(name).map(codec::encode),
                Part::HoldUsage(event) => self.used.get(event).map(codec::encode),
                Part::WriteOffs(asset) => self.write_offs.get(asset).map(codec::encode),
                Part::Given(grant) => self.given.get(grant).map(codec::encode),
                Part::PlanSince(id) => self.plan_since.get(id).map(codec::encode),
                Part::AboveHold(id) => self.above_hold.get(id).map(codec::encode),
                Part::SubjectTimer(timer) => self.timers.get(timer).map(codec::encode),
                Part::Subject(..)
                | Part::Unpriced(_)
                | Part::Term(..)
                | Part::Standing(_)
                | Part::GiveBacks(_)
                | Part::Carried(_) => continue,
            };
            changes.push((part.key(), value));
        }
        for (part, value) in std::mem::take(&mut self.passed_on) {
            changes.push((part.key(), value));
        }
        changes
    }

    /// Drops what would have to be written again: for who decides without keeping.
    pub fn forget_changes(&mut self) {
        self.dirty.clear();
        self.passed_on.clear();
    }

    /// Holds whose grace is over at `at`.
    pub(crate) fn forgettable(&self, at: Timestamp) -> Vec<EventRef> {
        self.forgettable
            .iter()
            .take_while(|(until, _)| *until <= at)
            .map(|(_, event)| event.clone())
            .collect()
    }

    fn fold_entry(&mut self, entry: &Entry) -> Result<(), WalletError> {
        let overflow = || WalletError::Overflow {
            asset: entry.asset.clone(),
        };
        let add = |balance: &mut Nanos| -> Result<(), WalletError> {
            *balance = balance.checked_add(entry.amount).ok_or_else(overflow)?;
            Ok(())
        };
        match &entry.account {
            Account::Available(id) | Account::Held(id) => {
                let grant = self.grants.get_mut(id).ok_or_else(|| missing("grant", id))?;
                match entry.account {
                    Account::Held(_) => add(&mut grant.held)?,
                    _ => add(&mut grant.available)?,
                }
                self.header.assets.entry(entry.asset.clone()).or_default();
                self.dirty.insert(Part::Grant(id.clone()));
            }
            account => {
                let totals = self.header.assets.entry(entry.asset.clone()).or_default();
                add(match account {
                    Account::Debt => &mut totals.debt,
                    Account::Receivable => &mut totals.receivable,
                    Account::Revenue => &mut totals.revenue,
                    Account::Breakage => &mut totals.breakage,
                    Account::Purchases => &mut totals.purchases,
                    Account::Promotional => &mut totals.promotional,
                    Account::Included => &mut totals.included,
                    Account::Adjustments | Account::Available(_) | Account::Held(_) => {
                        &mut totals.adjustments
                    }
                })?;
            }
        }
        self.dirty.insert(Part::Header);
        Ok(())
    }

    fn end_hold(&mut self, event: &EventRef, end: HoldEnd) -> Result<(), WalletError> {
        self.leave_hold(event);
        let mut hold = self
            .holds
            .remove(event)
            .ok_or_else(|| missing("hold", &event.id))?;
        if end == HoldEnd::Expired {
            hold.expired = Some(hold.expires);
            hold.pins.clear();
            hold.overdraft.clear();
            self.enter_hold(event, &hold);
            self.holds.insert(event.clone(), hold);
        } else {
            self.forget_hold(event);
        }
        self.dirty.insert(Part::Hold(event.clone()));
        Ok(())
    }

    /// A hold can be settled no more: nothing has to be known of what it used or counted for.
    fn forget_hold(&mut self, event: &EventRef) {
        forget_hold(&mut self.limits, &mut self.dirty, event);
        if self.used.remove(event).is_some() {
            self.dirty.insert(Part::HoldUsage(event.clone()));
        }
    }

    fn set_phase(&mut self, id: &GrantId, phase: GrantPhase) -> Result<(), WalletError> {
        let mut grant = self.grants.remove(id).ok_or_else(|| missing("grant", id))?;
        self.leave_grant(id, &grant);
        grant.phase = phase;
        self.enter_grant(id, &grant);
        self.grants.insert(id.clone(), grant);
        self.dirty.insert(Part::Grant(id.clone()));
        Ok(())
    }

    fn enter_grant(&mut self, id: &GrantId, grant: &GrantState) {
        self.agenda.extend(Wallet::grant_due(id, grant));
    }

    /// A portion is opened once, as long as its grant has something to open.
    fn note_portion(&mut self, id: &GrantId, grant: &GrantState) {
        let of = grant.portion_of.as_ref().and_then(|of| self.grants.get_mut(of));
        if let Some((of, key)) = of.zip(PortionKey::of(id))
            && let Some(portions) = of.portions.as_mut()
            && portions.opened.insert(key)
        {
            of.amount = Nanos::new(of.amount.get() - grant.amount.get());
            self.portions_opened += 1;
            self.dirty.extend(grant.portion_of.clone().map(Part::Grant));
        }
    }

    fn leave_grant(&mut self, id: &GrantId, grant: &GrantState) {
        if let Some(due) = Wallet::grant_due(id, grant) {
            self.agenda.remove(&due);
        }
    }

    fn enter_hold(&mut self, event: &EventRef, hold: &HoldState) {
        match hold.expired {
            None => {
                self.agenda
                    .insert((hold.expires, DueItem::HoldExpiry(event.clone())));
            }
            Some(expired) => {
                let over = expired.saturating_add(LATE_SETTLE_GRACE);
                // One that was settled in part falls due, because its plan has the last word; others are forgotten by the way.
                if self.used.contains_key(event) {
                    self.agenda.insert((over, DueItem::HoldExpiry(event.clone())));
                } else {
                    self.forgettable.insert((over, event.clone()));
                }
            }
        }
    }

    /// Takes a hold that is about to change out of the totals that follow from it.
    fn leave_hold(&mut self, event: &EventRef) {
        let Some(hold) = self.holds.get(event) else { return };
        self.agenda
            .remove(&(hold.expires, DueItem::HoldExpiry(event.clone())));
        if let Some(expired) = hold.expired {
            let over = expired.saturating_add(LATE_SETTLE_GRACE);
            self.agenda.remove(&(over, DueItem::HoldExpiry(event.clone())));
            self.forgettable.remove(&(over, event.clone()));
        }
        for (asset, amount) in &hold.overdraft {
            let totals = self.header.assets.entry(asset.clone()).or_default();
            totals.overdraft_held = Nanos::new(totals.overdraft_held.get() - amount.get());
            self.dirty.insert(Part::Header);
        }
        if !self.limits.is_empty() {
            hold_removed(&mut self.limits, &mut self.dirty, hold);
        }
    }

    fn count_overdraft(&mut self, overdraft: &[(Asset, Nanos)]) -> Result<(), WalletError> {
        for (asset, amount) in overdraft {
            let totals: &mut AssetTotals = self.header.assets.entry(asset.clone()).or_default();
            totals.overdraft_held = totals
                .overdraft_held
                .checked_add(*amount)
                .ok_or_else(|| WalletError::Overflow { asset: asset.clone() })?;
            self.dirty.insert(Part::Header);
        }
        Ok(())
    }

    fn enter_subscription(&mut self, id: &SubscriptionId, subscription: &SubscriptionState) {
        self.agenda.extend(Wallet::subscription_due(id, subscription));
    }

    fn leave_subscription(&mut self, id: &SubscriptionId) {
        let Some(subscription) = self.subscriptions.get(id) else {
            return;
        };
        for due in Wallet::subscription_due(id, subscription) {
            self.agenda.remove(&due);
        }
    }
}

pub(crate) fn missing(what: &str, id: &impl std::fmt::Display) -> WalletError {
    WalletError::Missing {
        what: format!("{what} {id}"),
    }
}
