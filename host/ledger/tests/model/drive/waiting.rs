//! What waits for a price, or for an answer, is asked about again.

use farebox_record::codec;
use farebox_record::command::Command;
use farebox_record::state::{DueChange, MissedChange, Part, UnpricedState, Waiting};

use super::{Both, Pair, since_start};
use crate::subscriptions::{Asked, DueKind, Waits};
use crate::timers::About;
use crate::words::Word;

impl Pair {
    pub(super) fn rate(&mut self, sequence: u64, waits: &Waits, word: &Word) -> Both {
        let key = Part::Unpriced(sequence).key();
        let kept: UnpricedState = codec::decode(&self.world.parts()[&key]).unwrap();
        match (kept.what, waits) {
            (Waiting::Event(event), Waits::Event(call, time)) => {
                let command = Command::RateUnpriced(farebox_record::command::RateUnpriced {
                    sequence,
                    received: kept.received,
                    event,
                });
                let pricing = self.pricing_at(call.kind, *time, word);
                let asked = self.world.decide(command, pricing);
                (asked, self.model.rate(sequence, call, *time, word))
            }
            (
                Waiting::Change(missed),
                Waits::Due {
                    sub,
                    at,
                    kind,
                    key,
                    about,
                },
            ) => self.retry(sequence, missed, (sub, *at, *kind, key), about.as_ref(), word),
            (what, _) => panic!("{what:?} waits, and not {waits:?}"),
        }
    }

    fn retry(
        &mut self,
        sequence: u64,
        missed: Box<MissedChange>,
        (sub, at, kind, key): (&str, i64, DueKind, &str),
        about: Option<&About>,
        word: &Word,
    ) -> Both {
        let told = match &missed.change {
            DueChange::Renewed(_) => DueKind::Renewal,
            DueChange::PlanChanged { .. } => DueKind::NewPlan,
            DueChange::Cancelled(_) => DueKind::End,
            DueChange::Paused => DueKind::Pause,
            DueChange::Timer(_) => DueKind::Timer,
        };
        let instant = since_start(missed.transition.due.instant);
        assert_eq!((instant, told), (at, kind), "what fell due when");
        let there = self.model.subs.iter().any(|s| s.id == sub);
        let word = if there { word } else { &Word::Silent };
        let asked = Asked {
            sub: sub.into(),
            term: None,
        };
        let pricing = self.pricing_by(&asked, word, at);
        let command = Command::RetryChange(farebox_record::command::RetryChange { sequence, missed });
        let asked = self.world.decide(command, pricing);
        (
            asked,
            self.model.retry(sequence, (sub, at, kind, key), about, word),
        )
    }
}
