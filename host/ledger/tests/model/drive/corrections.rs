//! Commands that put money right.

use farebox_money::Nanos;
use farebox_record::command::Command;
use farebox_record::correction::{Adjust, AdjustTarget, Consequence, Pay, Refund, RefundTarget};
use farebox_record::ids::{CallId, GrantId};
use farebox_record::outcome::Pricing;

use super::{Both, Pair, event, pick};
use crate::corrections::Stands;
use crate::steps::Step;
use crate::subscriptions::Asked;
use crate::words::{Word, reference};
use crate::world::make::{self, asset};

impl Pair {
    /// An event that was named: mostly one that stands.
    pub(super) fn event(&self, which: usize) -> Option<String> {
        let standing = self.model.events.iter();
        let standing = standing.filter(|(_, event)| event.stands != Stands::Voided);
        let standing: Vec<&String> = standing.map(|(id, _)| id).collect();
        let any: Vec<&String> = self.named.iter().collect();
        let from = if which.is_multiple_of(6) { any } else { standing };
        Some(from.get(pick(which, from.len())?)?.to_string())
    }

    /// What the plan of an event that is replaced says to that, where it follows teams and the event is of one.
    fn reversal<'w>(&self, id: &str, word: Option<&'w Word>) -> Option<(&'w Word, Pricing)> {
        let event = self.model.events.get(id)?;
        let sub = event.sub.clone()?;
        self.model.subs.iter().find(|s| s.id == sub)?;
        let asked = Asked { sub, term: None };
        self.model.about(&asked, event.labels, id)?;
        let pricing = self.pricing_by(&asked, word?, self.model.now)?;
        Some((word?, pricing))
    }

    pub fn correct(&mut self, step: &Step) -> Option<Both> {
        let id = CallId::new(&self.name("r")).unwrap();
        Some(match step {
            Step::Adjust {
                target,
                asset: name,
                tenths,
            } => {
                let amount = self.model.adjustable(*target, name) * tenths / 10;
                let command = Command::Adjust(Adjust {
                    id,
                    asset: asset(name),
                    amount: Nanos::new(amount),
                    target: *target,
                    reason: "goodwill".into(),
                });
                let asked = self.world.decide(command, None);
                (asked, self.model.adjust(*target, name, amount))
            }
            Step::Pay(name, tenths) => {
                let amount = self.model.adjustable(AdjustTarget::Receivable, name) * tenths / 10;
                let command = Command::Pay(Pay {
                    id,
                    asset: asset(name),
                    amount: Nanos::new(amount),
                    label: None,
                });
                (self.world.decide(command, None), self.model.pay(name, amount))
            }
            Step::RefundEvent(event, part) => {
                let event = self.event(*event)?;
                let amount = part.and_then(|(which, tenths)| {
                    let slices = &self.model.events.get(&event)?.slices;
                    let name = slices.get(pick(which, slices.len())?)?.asset;
                    let taken = slices.iter().filter(|s| s.asset == name).map(|s| s.amount);
                    Some((name, taken.sum::<i128>() * tenths / 10))
                });
                let target = RefundTarget::Event {
                    event: reference(&event),
                    amount: amount.map(|(name, amount)| (asset(name), Nanos::new(amount))),
                };
                let reason = "bad answer".into();
                let asked = self
                    .world
                    .decide(Command::Refund(Refund { id, target, reason }), None);
                (asked, self.model.refund_event(&event, amount))
            }
            Step::RefundGrant(grant, tenths) => {
                let index = pick(*grant, self.model.grants.len())?;
                let grant = self.model.grants[index].clone();
                let amount = tenths.map(|tenths| grant.free * tenths / 10);
                let target = RefundTarget::Grant {
                    grant: GrantId::new(&grant.id).unwrap(),
                    amount: amount.map(Nanos::new),
                };
                let reason = "leaves".into();
                let asked = self
                    .world
                    .decide(Command::Refund(Refund { id, target, reason }), None);
                (asked, self.model.refund_grant(&grant.id, amount))
            }
            Step::Void(event, word) => {
                let event = self.event(*event)?;
                let Command::Void(mut void) = make::void("e") else {
                    unreachable!("a void")
                };
                (void.id, void.event) = (id, reference(&event));
                // A subscription that is forgotten is asked nothing.
                let sub = self.model.events.get(&event).and_then(|e| e.sub.clone());
                let sub = sub.filter(|sub| self.model.subs.iter().any(|s| s.id == *sub));
                let word = if sub.is_some() { word } else { &Word::Silent };
                let asked = sub.map(|sub| Asked { sub, term: None });
                let pricing = asked.and_then(|asked| self.pricing_by(&asked, word, self.model.now));
                let asked = self.world.decide(Command::Void(void), pricing);
                (asked, self.model.void(&event, word, None))
            }
            Step::Amend {
                event: named,
                call: reported,
                word,
                reversed,
            } => {
                let call = self.call_named(self.event(*named)?, reported);
                let Command::Amend(mut amend) = make::amend("e") else {
                    unreachable!("an amendment")
                };
                (amend.id, amend.event) = (id, event(&call));
                let before = self.model.events.get(&call.id).map(|event| event.time);
                let time = call.time.or(before).unwrap_or(self.model.now);
                let pricing = self.pricing_at(call.kind, time, word);
                let (said, reversal) = self.reversal(&call.id, reversed.as_ref()).unzip();
                let consequence = reversal.map(|pricing| Consequence::Reversed(Box::new(pricing)));
                let asked = self.world.correct(Command::Amend(amend), pricing, consequence);
                (asked, self.model.amend(&call, word, said, None))
            }
            _ => unreachable!("not a command"),
        })
    }
}
