//! Prices a term's events again, in the order in which they arrived.

use std::collections::BTreeMap;
use std::sync::Arc;

use farebox_record::codec;
use farebox_record::correction::{Refold, Repriced, TakenSlice};
use farebox_record::event::Event;
use farebox_record::ids::{RevisionHash, SubscriptionId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Pricing;
use farebox_record::plan::{Charge, EventRef};
use farebox_record::state::Part;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{Batch, Context, Purpose, Revision, Trigger, Verdict};
use farebox_store::StoreError;

use super::history::{Place, PlanState, Since, Term};
use super::replacement::{Controlled, Replacement, replaced_pricing};
use super::step::{Orders, Past, Said, Step, Told};
use super::{Fold, Work, state};
use crate::fold::wallet_of;
use crate::limits::{REFOLD_BYTES_MAX, REFOLD_REPRICED_MAX};
use crate::loader;

/// What a fold comes to, without what can only be read beside it.
pub(super) struct Folded {
    pub subscription: SubscriptionId,
    pub term: u32,
    pub checkpoint: u64,
    pub state: PlanState,
    pub events: u64,
    /// Events that cost something else now, with what refunds gave back of them.
    pub repriced: Vec<(EventRef, Vec<Charge>, Vec<TakenSlice>)>,
    pub replaced: Option<Verdict>,
}

pub(super) type Cannot = String;

impl Work<'_> {
    /// The events behind a correction, priced again, up to the newest record of the wallet.
    pub fn fold(
        &self,
        event: &EventRef,
        replacement: Option<&Event>,
        by: &Controlled<'_>,
        begun: Option<Box<Fold>>,
    ) -> Result<Result<Fold, Cannot>, StoreError> {
        let image = self.store.load(self.wallet)?;
        let wallet = wallet_of(&image).map_err(|what| state(self.wallet, &what))?;
        let standing = loader::standing(self.store, self.wallet, event)?;
        let Some((standing, priced)) = standing.and_then(|s| s.priced.clone().map(|by| (s, by))) else {
            return Ok(Err("the event was not priced by a plan".to_string()));
        };
        let Some(subscription) = wallet.subscription(&priced.subscription) else {
            return Ok(Err("its subscription is too long over".to_string()));
        };
        let place = Place {
            store: self.store,
            wallet: self.wallet,
            subscription: &priced.subscription,
            open_term: subscription.term,
            before: image.version + 1,
        };
        if let Some(fold) = begun
            && let Since::Steps(steps) = place.since(fold.refold.term, fold.up_to)?
        {
            let plan = fold
                .refold
                .closed
                .as_ref()
                .map_or(&subscription.plan, |term| &term.plan)
                .clone();
            let folded = self.go_on(*fold, &steps, image.version)?;
            return Ok(folded.and_then(|fold| by.readable(&plan, fold)));
        }
        let term = match place.term_of(event)? {
            Ok(term) => term,
            Err(why) => return Ok(Err(why)),
        };
        let closed = match self.closed(&place, term.number)? {
            Ok(closed) => closed,
            Err(why) => return Ok(Err(why)),
        };
        let time = replacement.map_or(standing.time, |event| event.time.unwrap_or(standing.time));
        let replacement = match replacement {
            None => None,
            Some(event) => match by.replacement(&wallet, &priced, closed.as_deref(), event, time) {
                Ok(replacement) => Some(replacement),
                Err(why) => return Ok(Err(why)),
            },
        };
        let folded = match self.fold_term(&priced.subscription, term, event, replacement.as_ref()) {
            Ok(folded) => folded,
            Err(why) => return Ok(Err(why)),
        };
        let pricing = replaced_pricing(&folded, replacement.as_ref(), closed.as_deref());
        let plan = closed
            .as_ref()
            .map_or(&subscription.plan, |term| &term.plan)
            .clone();
        let folded = self.complete(folded, closed, pricing, image.version)?;
        Ok(folded.and_then(|fold| by.readable(&plan, fold)))
    }

    /// The same from the history before a record, for the proof that the record is right.
    pub fn fold_before(
        &self,
        subscription: &SubscriptionId,
        open_term: u32,
        event: &EventRef,
        replacement: Option<&Replacement>,
        before: u64,
    ) -> Result<Result<Folded, Cannot>, StoreError> {
        let place = Place {
            store: self.store,
            wallet: self.wallet,
            subscription,
            open_term,
            before,
        };
        Ok(place
            .term_of(event)?
            .and_then(|term| self.fold_term(subscription, term, event, replacement)))
    }

    fn fold_term(
        &self,
        subscription: &SubscriptionId,
        term: Term,
        event: &EventRef,
        replacement: Option<&Replacement>,
    ) -> Result<Folded, Cannot> {
        let mut run = Run::new(self, term.state);
        run.steps(&term.steps, Some((event, replacement)))?;
        Ok(Folded {
            subscription: subscription.clone(),
            term: term.number,
            checkpoint: term.checkpoint,
            state: run.state,
            events: run.events,
            repriced: run.repriced,
            replaced: run.replaced,
        })
    }

    /// Folds what happened since a fold was begun.
    fn go_on(&self, begun: Fold, steps: &[Step], up_to: u64) -> Result<Result<Fold, Cannot>, StoreError> {
        let start = PlanState {
            bytes: begun.refold.state.clone(),
            version: begun.refold.state_version,
            revision: begun.refold.revision,
        };
        let mut run = Run::new(self, start);
        if let Err(why) = run.steps(steps, None) {
            return Ok(Err(why));
        }
        let mut refold = begun.refold;
        refold.events += run.events;
        refold.state = run.state.bytes;
        refold.state_version = run.state.version;
        refold.revision = run.state.revision;
        let mut fold = Fold {
            up_to,
            refold,
            ..begun
        };
        self.add_repriced(&mut fold, run.repriced)
            .map(|added| added.map(|()| fold))
    }

    /// Adds what has to be read of each repriced event.
    fn complete(
        &self,
        folded: Folded,
        closed: Option<Box<TermState>>,
        pricing: Option<Pricing>,
        up_to: u64,
    ) -> Result<Result<Fold, Cannot>, StoreError> {
        let mut fold = Fold {
            up_to,
            control: 0,
            refold: Refold {
                subscription: folded.subscription,
                term: folded.term,
                closed,
                checkpoint: folded.checkpoint,
                events: folded.events,
                repriced: Vec::new(),
                state: folded.state.bytes,
                state_version: folded.state.version,
                revision: folded.state.revision,
            },
            pricing,
            ended: BTreeMap::new(),
        };
        self.add_repriced(&mut fold, folded.repriced)
            .map(|added| added.map(|()| fold))
    }

    fn add_repriced(
        &self,
        fold: &mut Fold,
        repriced: Vec<(EventRef, Vec<Charge>, Vec<TakenSlice>)>,
    ) -> Result<Result<(), Cannot>, StoreError> {
        let count = fold.refold.repriced.len() + repriced.len();
        if count > REFOLD_REPRICED_MAX {
            return Ok(Err(format!(
                "{count} events behind it would cost something else, and a correction changes at most {REFOLD_REPRICED_MAX} \
                 (limit REFOLD_REPRICED_MAX); put the balance right with an adjustment"
            )));
        }
        for (event, charges, refunded) in repriced {
            let Some(original) = loader::original(self.store, self.wallet, &event)? else {
                return Err(state(self.wallet, &format!("event {} has no standing", event.id)));
            };
            if let Some(giver) = original.give_backs.by.first() {
                return Ok(Err(format!(
                    "event {} behind it would cost something else, and event {} gave back of it; void that one first",
                    event.id, giver.id
                )));
            }
            fold.ended.extend(original.ended);
            // What a refund gave back covers as if it were still taken, though its grant may have been used up since.
            fold.ended
                .extend(loader::sources(self.store, self.wallet, &refunded)?);
            fold.refold.repriced.push(Repriced {
                standing: original.standing,
                refunded,
                charges,
            });
        }
        let bytes = fold.record_bytes();
        Ok(match bytes > REFOLD_BYTES_MAX {
            true => Err(format!(
                "the events behind it that would cost something else take {bytes} bytes, and a record has room for \
                 {REFOLD_BYTES_MAX} (limit REFOLD_BYTES_MAX); put the balance right with an adjustment"
            )),
            false => Ok(()),
        })
    }

    /// The term, where it is over; an error where it is over for too long.
    fn closed(
        &self,
        place: &Place<'_>,
        number: u32,
    ) -> Result<Result<Option<Box<TermState>>, Cannot>, StoreError> {
        if number == place.open_term {
            return Ok(Ok(None));
        }
        let part = Part::Term(place.subscription.clone(), number).key();
        Ok(match self.store.part(self.wallet, &part)? {
            Some(bytes) => {
                let term = codec::decode(&bytes).map_err(|e| state(self.wallet, &e.to_string()))?;
                Ok(Some(Box::new(term)))
            }
            None => Err(
                "its period is too long over (limit TERM_KEPT); put the balance right with an adjustment"
                    .to_string(),
            ),
        })
    }
}

/// A fold on its way.
struct Run<'w> {
    work: &'w Work<'w>,
    state: PlanState,
    events: u64,
    repriced: Vec<(EventRef, Vec<Charge>, Vec<TakenSlice>)>,
    replaced: Option<Verdict>,
}

/// An event that is to be priced again.
struct Item<'s> {
    event: &'s Event,
    time: Timestamp,
    what: What<'s>,
}

enum What<'s> {
    /// It arrived, and cost what this says.
    Past(&'s Past),
    /// It takes the place of the corrected one, which cost what this says.
    Replacement(&'s Past),
}

impl<'w> Run<'w> {
    fn new(work: &'w Work<'w>, state: PlanState) -> Run<'w> {
        Run {
            work,
            state,
            events: 0,
            repriced: Vec::new(),
            replaced: None,
        }
    }

    /// Folds steps. `corrected` is the event that is left out, or replaced.
    fn steps(
        &mut self,
        steps: &[Step],
        corrected: Option<(&EventRef, Option<&Replacement>)>,
    ) -> Result<(), Cannot> {
        let mut group: Option<(Group, Vec<Item<'_>>)> = None;
        for step in steps {
            let (key, item) = match step {
                Step::Told(told) => {
                    if let Some((key, items)) = group.take() {
                        self.price(&key, &items)?;
                    }
                    self.tell(told)?;
                    continue;
                }
                Step::Event(past) if corrected.is_some_and(|(event, _)| past.event.reference() == *event) => {
                    let Some(replacement) = corrected.and_then(|(_, replacement)| replacement) else {
                        if !past.orders.grants.is_empty() {
                            return Err(
                                "the event was given grants, which cannot be taken back with it".to_string()
                            );
                        }
                        continue;
                    };
                    let item = Item {
                        event: &replacement.event,
                        time: replacement.time,
                        what: What::Replacement(past),
                    };
                    (Group::of_replacement(replacement), item)
                }
                Step::Event(past) if past.counts => {
                    let item = Item {
                        event: &past.event,
                        time: past.time,
                        what: What::Past(past),
                    };
                    (Group::of(past), item)
                }
                Step::Event(_) => continue,
            };
            match &mut group {
                Some((present, items)) if *present == key => items.push(item),
                _ => {
                    if let Some((key, items)) = group.replace((key, vec![item])) {
                        self.price(&key, &items)?;
                    }
                }
            }
        }
        match group {
            Some((key, items)) => self.price(&key, &items),
            None => Ok(()),
        }
    }

    /// A revision, with the state in its version.
    fn revision(&mut self, hash: &RevisionHash) -> Result<Arc<Revision>, Cannot> {
        let revision = (self.work.revisions)(hash);
        let revision = revision.ok_or_else(|| format!("revision {hash} is not at hand"))?;
        let description = revision.description();
        if description.wants_balances {
            return Err("the plan's prices depend on the balance of their moment".to_string());
        }
        if description.state_version < self.state.version {
            return Err(format!(
                "revision {hash} keeps its state in an earlier version than the revisions before it"
            ));
        }
        let state = revision.up_to_date(Some(self.state.version), &self.state.bytes);
        self.state.bytes = state.map_err(|fault| fault.to_string())?.into_owned();
        self.state.version = description.state_version;
        Ok(revision)
    }

    /// Prices events of one group, in as few calls as they fit in.
    fn price(&mut self, group: &Group, items: &[Item<'_>]) -> Result<(), Cannot> {
        let revision = self.revision(&group.revision)?;
        let mut rest = items;
        while !rest.is_empty() {
            let mut batch = Batch::new(&revision);
            let context = batch.context(&Context {
                prepared: None,
                state: &self.state.bytes,
                period: group.period,
                seats: group.seats,
                balances: &[],
            });
            let mut taken = 0;
            for item in rest {
                if batch.is_full() {
                    break;
                }
                batch.push(&Trigger {
                    purpose: Purpose::Usage,
                    event_type: &item.event.event_type,
                    context,
                    subject: None,
                    time: item.time,
                    cost: item.event.cost_usd(),
                    measures: &item.event.measures,
                    attributes: &item.event.attributes,
                    source: item.event.source.as_str(),
                    id: item.event.id.as_str(),
                });
                taken += 1;
            }
            let verdicts = self.work.runtime.evaluate(&batch).verdicts;
            let (now, later) = rest.split_at(taken);
            for (item, verdict) in now.iter().zip(verdicts) {
                self.take(item, verdict, group.revision)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// Notes what an event costs now.
    fn take(&mut self, item: &Item<'_>, verdict: Verdict, revision: RevisionHash) -> Result<(), Cannot> {
        self.events += 1;
        let past = match item.what {
            What::Past(past) | What::Replacement(past) => past,
        };
        let is_replacement = matches!(item.what, What::Replacement(_));
        if is_replacement {
            self.replaced = Some(verdict.clone());
        }
        let priced = match verdict {
            Verdict::Priced(priced) => priced,
            // The caller is told what is wrong with what it sent.
            _ if is_replacement => return Ok(()),
            Verdict::Rejected(rejection) => {
                return Err(format!(
                    "event {} behind it has no price then: {rejection:?}",
                    item.event.id
                ));
            }
            Verdict::Failed(fault) => {
                return Err(format!(
                    "the plan failed on event {} behind it: {fault}",
                    item.event.id
                ));
            }
        };
        if Orders::of(&priced) != past.orders {
            let which = if is_replacement {
                "the event"
            } else {
                "an event behind it"
            };
            return Err(format!(
                "{which} ({}) would order other grants or timers, and what was granted stands",
                item.event.id
            ));
        }
        if let Some(state) = &priced.state {
            self.state.bytes.clone_from(state);
            self.state.revision = revision;
        }
        if !is_replacement && priced.charges != past.charges {
            let back = |charges: &[Charge]| charges.iter().any(|charge| charge.price.amount.is_negative());
            if back(&priced.charges) || back(&past.charges) {
                return Err(format!(
                    "event {} behind it gives back what another event took",
                    item.event.id
                ));
            }
            self.repriced
                .push((item.event.reference(), priced.charges, past.refunded.clone()));
        }
        Ok(())
    }

    /// Tells the plan again what it was told, for its state alone: what it charged or granted then stands.
    fn tell(&mut self, told: &Told) -> Result<(), Cannot> {
        let Said::Change(change) = &told.said else {
            if let Some(state) = &told.state {
                self.state.bytes.clone_from(state);
                self.state.version = told.state_version;
                self.state.revision = told.revision;
            }
            return Ok(());
        };
        let revision = self.revision(&told.revision)?;
        let context = Context {
            prepared: None,
            state: &self.state.bytes,
            period: told.period,
            seats: told.seats,
            balances: &[],
        };
        let answer = self
            .work
            .runtime
            .transition(&revision, &context, None, told.at, change);
        match answer.verdict {
            Verdict::Priced(priced) => {
                if let Some(state) = priced.state {
                    self.state.bytes = state;
                    self.state.revision = told.revision;
                }
                Ok(())
            }
            Verdict::Rejected(rejection) => Err(format!(
                "the plan would have refused a change of the subscription behind it: {rejection:?}"
            )),
            Verdict::Failed(fault) => Err(format!(
                "the plan failed on a change of the subscription behind it: {fault}"
            )),
        }
    }
}

/// What events share that are priced in one call.
#[derive(PartialEq, Eq)]
struct Group {
    revision: RevisionHash,
    period: Period,
    seats: u32,
}

impl Group {
    fn of(past: &Past) -> Group {
        Group {
            revision: past.revision,
            period: past.period,
            seats: past.seats,
        }
    }

    fn of_replacement(replacement: &Replacement) -> Group {
        Group {
            revision: replacement.revision.hash(),
            period: replacement.period,
            seats: replacement.seats,
        }
    }
}
