//! Whom a command asks, and what is said.

use super::*;

impl Pair {
    /// Who prices a call, as the ledger says and as the model says, and what is said.
    pub(super) fn pricing_of(&self, call: &Call, word: &Word) -> Option<Pricing> {
        self.pricing_at(call.kind, call.time.unwrap_or(self.model.now), word)
    }

    pub(super) fn pricing_at(&self, kind: &str, time: i64, word: &Word) -> Option<Pricing> {
        let owner = self
            .world
            .wallet
            .owner_at(&EventType::new(kind).unwrap(), t(time));
        let found = owner.map(|(id, sub)| Asked {
            sub: id.to_string(),
            term: term_of(sub, t(time)).map(|past| past.number),
        });
        let asked = self.model.asked(kind, time);
        assert_eq!(found, asked, "who prices {kind} at {time}");
        self.pricing_by(&asked?, word, self.model.now)
    }

    pub(super) fn pricing_by(&self, asked: &Asked, word: &Word, base: i64) -> Option<Pricing> {
        let subscription = SubscriptionId::new(&asked.sub).unwrap();
        let term = asked.term.map(|number| self.term(&subscription, number));
        let follows = self.model.follows(asked);
        Some(Pricing {
            subscription,
            term: term.map(Box::new),
            subject_attribute: follows.then(|| "team".into()),
            ..make::pricing(word.verdict(base)?)
        })
    }

    /// A closed term as it was stored.
    pub(super) fn term(&self, id: &SubscriptionId, number: u32) -> TermState {
        let parts = self.world.parts();
        codec::decode(&parts[&Part::Term(id.clone(), number).key()]).unwrap()
    }
}
