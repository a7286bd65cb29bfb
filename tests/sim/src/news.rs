//! What a record is news of, worked out by hand: from the command, the answer, and what accounts, grants and subscriptions
//! were before. Shares nothing with the engine but the words in which it is said.

use std::collections::{BTreeMap, BTreeSet};

use farebox_engine::projection::{Change, Changed, Revised, Subscribed, What};
use farebox_money::{Asset, Nanos};
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::control::{ControlCommand, ControlEffect, ControlRecord, TimelineChange};
use farebox_record::correction::RefundTarget;
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::lifecycle::{SubscriptionChange, SubscriptionStatus};
use farebox_record::outcome::{Account, Answer, Corrected, Effect, HoldEnd};
use farebox_record::plan::EventRef;
use farebox_record::record::Record;
use farebox_record::state::{MissedTransition, UnpricedState, Waiting};

/// A wallet, as far as news depend on it.
#[derive(Debug, Default)]
pub struct Before {
    /// What is free of each grant.
    free: BTreeMap<GrantId, (Asset, i128)>,
    expired: BTreeSet<GrantId>,
    subscriptions: BTreeMap<SubscriptionId, (Subscribed, SubscriptionStatus)>,
}

impl Before {
    /// What a record is news of, in order; afterwards this is what the next one finds. None of it is left out because of
    /// its age.
    pub fn news(&mut self, record: &Record) -> Vec<Change> {
        // Of debt: what usage made or was not to make of it, and what was paid.
        let mut debt: BTreeMap<Asset, [i128; 2]> = BTreeMap::new();
        let (mut happened, mut breakage) = (Vec::new(), Vec::new());
        let mut returned: Vec<(Asset, i128)> = Vec::new();
        for effect in &record.outcome.effects {
            if let Effect::Entry(entry) = effect {
                match &entry.account {
                    Account::Available(grant) => {
                        self.free_of(grant, &entry.asset, entry.amount.get());
                        if entry.amount.is_positive() {
                            add(&mut returned, &entry.asset, entry.amount.get());
                        }
                    }
                    Account::Held(grant)
                        if entry.charge.is_none()
                            && entry.amount.is_negative()
                            && self.expired.contains(grant) =>
                    {
                        breakage.push(What::BreakagePosted {
                            grant: grant.clone(),
                            asset: entry.asset.clone(),
                            amount: Nanos::new(-entry.amount.get()),
                        });
                    }
                    Account::Debt => {
                        // Whoever pays pays for nothing in particular.
                        let is_paid = entry.charge.is_none() && !matches!(record.command, Command::Adjust(_));
                        debt.entry(entry.asset.clone()).or_default()[usize::from(is_paid)] +=
                            entry.amount.get();
                    }
                    _ => {}
                }
            }
            happened.extend(self.happened(effect));
        }
        for what in &mut happened {
            if let What::HoldExpired { returned: told, .. } = what {
                *told = nanos(&returned);
            }
        }
        let mut news: Vec<What> = self.asked(record).into_iter().collect();
        if let Answer::Refolded(told) = &record.outcome.answer
            && let Some(behind) = event_of(&record.command)
        {
            news.extend(told.repriced.iter().map(|repriced| What::Repriced {
                behind: behind.clone(),
                repriced: repriced.clone(),
            }));
        }
        news.extend(happened);
        news.extend(breakage);
        for (asset, [usage, paid]) in debt {
            let told = |amount: i128| (asset.clone(), Nanos::new(amount.abs()));
            let (asset, amount) = told(usage);
            match usage {
                0 => {}
                ..0 => news.push(What::DebtIncurred { asset, amount }),
                1.. => news.push(What::DebtCancelled { asset, amount }),
            }
            if paid != 0 {
                let (asset, amount) = told(paid);
                news.push(What::DebtPaid { asset, amount });
            }
        }
        let change = |what| Change {
            customer: Some(record.customer.clone()),
            sequence: record.sequence,
            at: record.at,
            what,
        };
        news.into_iter().map(change).collect()
    }

    fn free_of(&mut self, grant: &GrantId, asset: &Asset, amount: i128) {
        let fresh = || (asset.clone(), 0);
        self.free.entry(grant.clone()).or_insert_with(fresh).1 += amount;
    }

    /// What an effect is news of, and what it leaves behind.
    fn happened(&mut self, effect: &Effect) -> Option<What> {
        match effect {
            Effect::GrantOpened(grant, state) => {
                self.expired.remove(grant);
                state.portion_of.is_none().then(|| What::GrantReceived {
                    grant: grant.clone(),
                    asset: state.asset.clone(),
                    amount: state.amount,
                    category: state.category,
                    effective: state.effective,
                    expires: state.expires,
                    subscription: state.subscription.clone(),
                })
            }
            Effect::GrantReopened(grant, _) => {
                self.expired.remove(grant);
                None
            }
            Effect::GrantExpired(grant) => {
                self.expired.insert(grant.clone());
                let left = self.free.get(grant).filter(|(_, free)| *free > 0);
                Some(What::GrantExpired {
                    grant: grant.clone(),
                    asset: left.map(|(asset, _)| asset.clone()),
                    breakage: Nanos::new(left.map_or(0, |(_, free)| *free)),
                })
            }
            Effect::HoldEnded(event, HoldEnd::Expired) => Some(What::HoldExpired {
                event: event.clone(),
                returned: Vec::new(),
            }),
            Effect::UnpricedKept(kept) => Some(match &kept.what {
                Waiting::Event(event) => What::UsageUnpriced {
                    event: event.reference(),
                    event_type: event.event_type.clone(),
                    reason: kept.reason.clone(),
                },
                Waiting::Transition(missed) => unanswered(missed, kept)?,
                Waiting::Change(missed) => unanswered(&missed.transition, kept)?,
            }),
            Effect::ThresholdCrossed(crossed) => Some(What::ThresholdCrossed((**crossed).clone())),
            Effect::SubscriptionPut(id, state) => {
                let stands = Subscribed {
                    subscription: id.clone(),
                    plan: state.plan.clone(),
                    period: state.period,
                    seats: state.seats,
                };
                self.subscriptions.insert(id.clone(), (stands, state.status));
                None
            }
            _ => None,
        }
    }

    /// What the command itself is news of.
    fn asked(&self, record: &Record) -> Option<What> {
        Some(match (&record.command, &record.outcome.answer) {
            (Command::Authorize(asked), Answer::Denied(why)) => What::Denied {
                event: asked.event.reference(),
                event_type: Some(asked.event.event_type.clone()),
                reason: why.reason.clone(),
                asset: why.asset.clone(),
                required: why.required,
                available: why.available,
            },
            (Command::Extend(asked), Answer::Denied(why)) => What::Denied {
                event: asked.hold.clone(),
                event_type: None,
                reason: why.reason.clone(),
                asset: why.asset.clone(),
                required: why.required,
                available: why.available,
            },
            (Command::RateUnpriced(rate), Answer::Charged { charges, .. }) => What::UsageRated {
                event: rate.event.reference(),
                event_type: rate.event.event_type.clone(),
                charges: charges.clone(),
            },
            (Command::RetryTransition(retry), told) => answered_late(&retry.missed, told)?,
            (Command::RetryChange(retry), told) => answered_late(&retry.missed.transition, told)?,
            (Command::Subscribe(asked), Answer::Subscribed { period, .. }) => {
                What::SubscriptionStarted(Subscribed {
                    subscription: asked.id.clone(),
                    plan: asked.plan.clone(),
                    period: *period,
                    seats: asked.seats,
                })
            }
            // Neither seats, plan nor status.
            (Command::ChangeSubscription(asked), _)
                if matches!(asked.change, SubscriptionChange::AboveHold(_)) =>
            {
                return None;
            }
            (Command::ChangeSubscription(asked), Answer::SubscriptionChanged(told)) => {
                What::SubscriptionChanged(Changed {
                    now: Subscribed {
                        period: told.period,
                        seats: told.seats,
                        ..self.subscriptions.get(&asked.subscription)?.0.clone()
                    },
                    status: told.status,
                    effective: told.effective,
                })
            }
            (command, Answer::Corrected(told)) => corrected(command, told),
            (command, Answer::Refolded(told)) => corrected(command, &told.corrected),
            (Command::Due(due), _) => match &due.item {
                DueItem::Renewal(id) => {
                    let (now, status) = self.subscriptions.get(id)?.clone();
                    match status {
                        SubscriptionStatus::Active => What::SubscriptionRenewed(now),
                        // It ended, or it pauses.
                        _ => What::SubscriptionChanged(Changed {
                            now,
                            status,
                            effective: due.instant,
                        }),
                    }
                }
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// What a record of a control plane is news of.
pub fn control_news(record: &ControlRecord) -> Option<Change> {
    let put = record.effects.iter().find_map(|effect| match effect {
        ControlEffect::PlanPut(_, state) => state.timeline.last(),
        _ => None,
    });
    let what = match &record.command {
        // What was in force already is no news.
        ControlCommand::ChangeTimeline { plan, change, .. } => {
            let put = put?;
            match change {
                TimelineChange::Activate {
                    revision, effective, ..
                } => What::RevisionActivated(Revised {
                    plan: plan.clone(),
                    revision: *revision,
                    effective: effective.unwrap_or(record.at),
                }),
                TimelineChange::Rollback { .. } => What::RevisionRolledBack(Revised {
                    plan: plan.clone(),
                    revision: put.revision,
                    effective: record.at,
                }),
            }
        }
        ControlCommand::Quarantine {
            plan,
            revision,
            reason,
        } => What::RevisionQuarantined {
            plan: plan.clone(),
            revision: *revision,
            reason: reason.clone(),
        },
        _ => return None,
    };
    Some(Change {
        customer: None,
        sequence: record.sequence,
        at: record.at,
        what,
    })
}

fn corrected(command: &Command, told: &Corrected) -> What {
    What::Corrected {
        event: event_of(command),
        reversed: told.reversed.clone(),
        charges: told.charges.clone(),
    }
}

fn answered_late(missed: &MissedTransition, told: &Answer) -> Option<What> {
    Some(What::TransitionAnswered {
        subscription: whose(&missed.due)?,
        due: missed.due.instant,
        charges: match told {
            Answer::Charged { charges, .. } => charges.clone(),
            _ => Vec::new(),
        },
    })
}

fn unanswered(missed: &MissedTransition, kept: &UnpricedState) -> Option<What> {
    Some(What::TransitionUnanswered {
        subscription: whose(&missed.due)?,
        due: missed.due.instant,
        reason: kept.reason.clone(),
    })
}

fn event_of(command: &Command) -> Option<EventRef> {
    match command {
        Command::Void(void) => Some(void.event.clone()),
        Command::Amend(amend) => Some(amend.event.reference()),
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event, .. } => Some(event.clone()),
            RefundTarget::Grant { .. } => None,
        },
        _ => None,
    }
}

fn whose(due: &Due) -> Option<SubscriptionId> {
    match &due.item {
        DueItem::Renewal(id) | DueItem::Timer { subscription: id, .. } => Some(id.clone()),
        _ => None,
    }
}

fn add(sums: &mut Vec<(Asset, i128)>, asset: &Asset, amount: i128) {
    match sums.iter_mut().find(|(known, _)| known == asset) {
        Some((_, sum)) => *sum += amount,
        None => sums.push((asset.clone(), amount)),
    }
}

fn nanos(sums: &[(Asset, i128)]) -> Vec<(Asset, Nanos)> {
    sums.iter()
        .map(|(asset, sum)| (asset.clone(), Nanos::new(*sum)))
        .collect()
}
