//! Corrections with the events behind them, and terms that are kept again.

use farebox_ledger::refunded_of;
use farebox_record::command::{Command, RememberTerm};
use farebox_record::correction::{Consequence, Refold as Folded, Repriced, TakenSlice};
use farebox_record::ids::{CallId, SubscriptionId};
use farebox_record::lifecycle::TermState;
use farebox_record::outcome::Effect;
use farebox_record::plan::Charge as PlanCharge;

use super::{Both, Pair, event, pick};
use crate::corrections::Stands;
use crate::refold::Refold;
use crate::same;
use crate::steps::Step;
use crate::words::{Charge, Word, charged, reference};
use crate::world::make;

impl Pair {
    pub(super) fn refold(&mut self, step: &Step) -> Option<Both> {
        let Step::Refold {
            event: which,
            amended,
            term,
            behind,
            state,
            is_stale,
        } = step
        else {
            unreachable!("a fold")
        };
        let id = CallId::new(&self.name("r")).unwrap();
        let corrected = self.event(*which)?;
        let Some((reported, word)) = amended else {
            let sub = self.model.events.get(&corrected)?.sub.clone()?;
            let refold = self.folded(&sub, &corrected, *term, behind, *state, *is_stale);
            let Command::Void(mut void) = make::void("e") else {
                unreachable!("a void")
            };
            (void.id, void.event) = (id, reference(&corrected));
            let consequence = self.consequence(&refold);
            let asked = self.world.correct(Command::Void(void), None, Some(consequence));
            return Some((asked, self.model.void(&corrected, &Word::Silent, Some(&refold))));
        };
        let call = self.call_named(corrected, reported);
        let before = self.model.events.get(&call.id)?.time;
        let time = call.time.unwrap_or(before);
        let asked = self.model.asked(call.kind, time)?;
        let refold = Refold {
            closed: asked.term,
            ..self.folded(&asked.sub, &call.id, 0, behind, *state, false)
        };
        let pricing = self.pricing_at(call.kind, time, word);
        let Command::Amend(mut amend) = make::amend("e") else {
            unreachable!("an amendment")
        };
        (amend.id, amend.event) = (id, event(&call));
        let consequence = self.consequence(&refold);
        let asked = self
            .world
            .correct(Command::Amend(amend), pricing, Some(consequence));
        Some((asked, self.model.amend(&call, word, None, Some(&refold))))
    }

    /// Others of the same subscription that a fold may reach.
    fn folded(
        &self,
        sub: &str,
        corrected: &str,
        term: usize,
        behind: &[(usize, Vec<Charge>)],
        state: u8,
        is_stale: bool,
    ) -> Refold {
        let others = self.model.events.iter().filter(|(id, event)| {
            let is_settled = |h: &&crate::reference::Hold| h.id == **id && h.parted.is_some() && !h.ended;
            *id != corrected
                && event.stands == Stands::Charged
                && event.sub.as_deref() == Some(sub)
                && event.by.is_empty()
                && !self.model.holds.iter().any(|h| is_settled(&h))
        });
        let others: Vec<&String> = others.map(|(id, _)| id).collect();
        let mut folded: Vec<(String, Vec<Charge>)> = Vec::new();
        for (which, charges) in behind {
            if let Some(id) = pick(*which, others.len()).map(|index| others[index].clone())
                && !folded.iter().any(|(known, _)| *known == id)
            {
                folded.push((id, charges.clone()));
            }
        }
        let there = self.model.subs.iter().find(|s| s.id == sub);
        let (open, past) = there.map_or((0, Vec::new()), |s| (s.term, s.past.clone()));
        let closed = past.get(term).map(|past| past.0);
        Refold {
            sub: sub.into(),
            open: open + u32::from(is_stale),
            closed: closed.filter(|_| !is_stale),
            behind: folded,
            state,
        }
    }

    /// The same as the ledger sees it.
    fn consequence(&self, refold: &Refold) -> Consequence {
        let subscription = SubscriptionId::new(&refold.sub).unwrap();
        let repriced = refold.behind.iter().map(|(id, charges)| Repriced {
            standing: self.world.original(&reference(id)).unwrap().standing,
            refunded: self.refunded(id),
            charges: charges.iter().map(charged).collect::<Vec<PlanCharge>>(),
        });
        let closed = refold.closed.map(|number| self.term(&subscription, number));
        Consequence::Refolded(Box::new(Folded {
            term: refold.closed.unwrap_or(refold.open),
            closed: closed.map(Box::new),
            checkpoint: 1,
            events: refold.behind.len() as u64,
            repriced: repriced.collect(),
            state: vec![refold.state],
            state_version: 1,
            revision: make::revision(),
            subscription,
        }))
    }

    /// What refunds gave back of an event since it has its price, as the records say.
    fn refunded(&self, id: &str) -> Vec<TakenSlice> {
        let event = reference(id);
        let mut refunded = Vec::new();
        for record in &self.world.records {
            match (&record.command, refunded_of(record)) {
                (Command::Amend(amend), _) if amend.event.reference() == event => refunded.clear(),
                (_, Some((of, back))) if of == event => refunded.extend(back),
                _ => {}
            }
        }
        refunded
    }

    pub(super) fn remember(&mut self, which: usize) -> Option<Both> {
        let effects = self.world.records.iter().flat_map(|r| &r.outcome.effects);
        let closed = effects.filter_map(|effect| match effect {
            Effect::TermPut(id, term) => Some((id.clone(), (**term).clone())),
            _ => None,
        });
        let closed: Vec<(SubscriptionId, TermState)> = closed.collect();
        let (id, term) = closed.get(pick(which, closed.len())?)?;
        // As it stood last.
        let newest = closed.iter().rev();
        let (_, term) = newest
            .clone()
            .find(|(of, t)| of == id && t.number == term.number)?;
        let command = Command::RememberTerm(RememberTerm {
            subscription: id.clone(),
            term: term.clone(),
        });
        let told = self
            .model
            .remember_term(id.as_str(), term.number, &same::term(term.clone()));
        Some((self.world.decide(command, None), told))
    }
}
