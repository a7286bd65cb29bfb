//! What is to be held for a call whose price depends on what came before.

use farebox_runtime::{Fault, Verdict};

use crate::controls::Controls;
use crate::lane::Lane;
use crate::lane::folded::WorstCase;
use crate::lane::pricing::Question;
use crate::lane::siding;
use crate::lane::slot::Quote;
use crate::lane::stage::Next;
use crate::lane::turn::{Step, Turn};
use crate::loader::Load;

impl Lane {
    /// A worst case whose price depends on what came before: asked for at once, behind what is held for other calls.
    pub(super) fn quote(&self, turn: &mut Turn, mut question: Box<Question>, controls: &Controls) -> Next {
        loop {
            let worst = WorstCase {
                revision: &question.revision,
                subscription: &question.subscription,
                period: question.period,
                seats: question.seats,
                time: question.time,
                event: &question.event,
                cost: question.event.cost_usd(),
            };
            let verdict = match turn.slot.quote(&worst, &self.asking()) {
                None => return Next::NotYet,
                Some(Quote::Of(verdict)) => verdict,
                Some(Quote::Slow) => return Next::Slow(siding::of(&turn.tenant, &question.revision)),
                Some(Quote::Needs(subjects)) => {
                    return Next::Wait(Load::Subjects {
                        wallet: turn.key.clone(),
                        subscription: question.subscription,
                        subjects,
                    });
                }
            };
            // One of the subjects that it is about, or that other calls are about, is known to a later revision only.
            let plan = turn.slot.wallet.as_ref().and_then(|wallet| question.plan(wallet));
            let later = plan.and_then(|plan| {
                let newest = later_version(&verdict);
                controls.reading(&turn.tenant, plan, newest, &question.revision, turn.now)
            });
            match later.cloned() {
                Some(later) => question.revision = later,
                None => return Next::Last(Step::Answered(question, verdict)),
            }
        }
    }
}

/// The version of a state that is later than that of the revision which was asked.
fn later_version(verdict: &Verdict) -> Option<u32> {
    match verdict {
        Verdict::Failed(Fault::StateVersion { from, to, .. }) if from > to => Some(*from),
        _ => None,
    }
}
