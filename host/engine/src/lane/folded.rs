//! Worst cases of plans whose price depends on what came before.
//!
//! A quote at the committed state alone would let a hundred holds, each quoted in the first tier, settle in the second one
//! uncovered. So such a quote is asked for twice, at the committed state and behind the worst cases of all open holds, and
//! the dearer one is held.

use std::sync::Arc;

use farebox_ledger::Wallet;
use farebox_money::Nanos;
use farebox_record::event::Event;
use farebox_record::ids::SubscriptionId;
use farebox_record::plan::{EventRef, Priced};
use farebox_record::state::HoldState;
use farebox_record::time::{Period, Timestamp};
use farebox_runtime::{
    Batch, Context, ContextIndex, Purpose, Revision, Runtime, Subject, SubjectIndex, Trigger, Verdict,
};

use crate::lane::pricing::balances_for;

/// A worst case that is asked for.
pub(crate) struct WorstCase<'a> {
    pub revision: &'a Arc<Revision>,
    pub subscription: &'a SubscriptionId,
    pub period: Period,
    pub seats: u32,
    pub time: Timestamp,
    /// With its maximums.
    pub event: &'a Event,
    pub cost: Option<Nanos>,
    /// What the event is about, with its state, for plans that follow something. Holds about something else are not folded:
    /// their states are not at hand.
    pub subject: Option<Subject<'a>>,
}

impl WorstCase<'_> {
    /// The dearer one of the two quotes. A quote that fails, or that the plan rejects, decides.
    pub fn quote(&self, runtime: &Runtime, wallet: &Wallet) -> Verdict {
        let committed = self.ask(runtime, wallet, &[]);
        let open: Vec<&HoldState> = self.open_holds(wallet).collect();
        if open.is_empty() {
            return committed;
        }
        match (committed, self.ask(runtime, wallet, &open)) {
            (Verdict::Priced(committed), Verdict::Priced(folded)) => {
                Verdict::Priced(dearer(committed, folded))
            }
            (Verdict::Priced(_), other) => other,
            (decided, _) => decided,
        }
    }

    /// Open holds that the same state stands behind, without the event's own.
    fn open_holds<'w>(&self, wallet: &'w Wallet) -> impl Iterator<Item = &'w HoldState> {
        let term = wallet.subscription(self.subscription).map(|s| s.term);
        let own: EventRef = self.event.reference();
        let about = |event: &Event| {
            let attribute = self.revision.description().subject_attribute.as_ref()?;
            event.attributes.get(attribute).cloned()
        };
        let subject = about(self.event);
        let open = wallet.holds().filter(move |(name, hold)| {
            hold.expired.is_none()
                && hold.subscription == *self.subscription
                && Some(hold.term) == term
                && **name != own
                && about(&hold.event) == subject
        });
        open.map(|(_, hold)| hold)
    }

    /// The quote behind these holds, in as many calls as they need.
    fn ask(&self, runtime: &Runtime, wallet: &Wallet, holds: &[&HoldState]) -> Verdict {
        let mut state = wallet
            .subscription(self.subscription)
            .map_or_else(Vec::new, |s| s.state.clone());
        let mut subject = self.subject.as_ref().map_or_else(Vec::new, |s| s.state.to_vec());
        let mut rest = holds;
        loop {
            let mut batch = Batch::new(self.revision);
            let free = balances_for(wallet, self.revision.description(), &self.event.reference());
            let context = batch.context(&Context {
                prepared: None,
                state: &state,
                period: self.period,
                seats: self.seats,
                balances: &free,
            });
            let about = self.subject.as_ref().map(|followed| {
                batch.subject(&Subject {
                    name: followed.name,
                    state: &subject,
                })
            });
            while let Some((hold, behind)) = rest.split_first()
                && !batch.is_full()
            {
                let cost = hold.event.cost_usd();
                batch.push(&worst_case(&hold.event, hold.time, cost, context, about));
                rest = behind;
            }
            let last = rest.is_empty() && !batch.is_full();
            if last {
                batch.push(&worst_case(self.event, self.time, self.cost, context, about));
            }
            let mut verdicts = runtime.evaluate(&batch).verdicts;
            if last && let Some(quote) = verdicts.pop() {
                return quote;
            }
            for verdict in verdicts {
                if let Verdict::Priced(priced) = verdict {
                    state = priced.state.unwrap_or(state);
                    subject = priced.subject.map_or(subject, |change| change.state);
                }
            }
        }
    }
}

fn worst_case<'e>(
    event: &'e Event,
    time: Timestamp,
    cost: Option<Nanos>,
    context: ContextIndex,
    subject: Option<SubjectIndex>,
) -> Trigger<'e> {
    Trigger {
        purpose: Purpose::WorstCase,
        event_type: &event.event_type,
        context,
        subject,
        time,
        cost,
        measures: &event.measures,
        attributes: &event.attributes,
    }
}

/// The one that owes more; the first where they owe the same.
fn dearer(committed: Priced, folded: Priced) -> Priced {
    let total = |priced: &Priced| -> i128 { priced.charges.iter().map(|c| c.price.amount.get()).sum() };
    match total(&folded) > total(&committed) {
        true => folded,
        false => committed,
    }
}
