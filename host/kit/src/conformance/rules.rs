//! Trying the rules, event by event.

mod changes;
mod compare;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use farebox_money::Asset;
use farebox_record::event::Event;
use farebox_record::plan::{ChargeCode, EventRef, Order, Priced};
use farebox_record::time::Timestamp;
use farebox_runtime::{Batch, Explanation, Fault, Purpose, ReversedCharge, Revision, Runtime, Verdict};

use self::compare::{above, difference, said, words};
use super::generate::Generator;
use super::report::{Report, Rule};
use super::{ConformanceError, Options, Subject};
use crate::probe::Probe;

/// Events that are priced together in one batch, at most.
const TOGETHER: usize = 48;
/// Usages that are tried within the maximums of one call.
const USAGES_WITHIN: usize = 3;
/// So many events of subjects are taken back each time.
const SUBJECTS_REVERSED: usize = 4;
/// After so many events something happens to the subscription.
const CHANGE_EVERY: usize = 25;

/// What was charged under a code in an asset.
type Charged = BTreeMap<(ChargeCode, Asset), i128>;

/// An event of a subject, as it is told when it is taken back.
#[derive(Debug, Clone)]
struct OfSubject {
    subject: String,
    event: EventRef,
    time: Timestamp,
    charges: Vec<ReversedCharge>,
}

/// A plan that is being tried.
pub(super) struct Examiner<'r> {
    runtime: &'r Runtime,
    revision: Arc<Revision>,
    options: Options,
    made: Generator,
    report: Report,
    /// The customer whose events are priced one after the other.
    customer: Probe<'r>,
    /// Another one, with more seats and a history of their own.
    other: Probe<'r>,
    /// One who just began.
    fresh: Probe<'r>,
    /// The batch before, for an instance that is used again.
    before: Option<Batch>,
    /// What events were charged and has not come back.
    charged: BTreeMap<EventRef, Charged>,
    /// The newest events of subjects that were charged, each with its subject.
    of_subjects: VecDeque<OfSubject>,
    /// Timers that the plan set, each with its subject.
    timers: BTreeSet<(String, Option<String>)>,
}

impl<'r> Examiner<'r> {
    pub fn begin(subject: &Subject<'r>, options: Options) -> Result<Examiner<'r>, ConformanceError> {
        let runtime = subject.runtime;
        let revision = runtime.prepare(subject.plan, subject.parameters)?;
        let begin = |seats| Probe::begin(runtime, Arc::clone(&revision), subject.began, seats);
        let fresh = begin(subject.seats)?;
        let limits = subject.plan.limits();
        Ok(Examiner {
            runtime,
            options,
            made: Generator::new(
                options.seed,
                revision.description(),
                subject.examples,
                subject.began,
            ),
            report: Report::begin(options.seed, limits.fuel_per_call, limits.state_bytes_max as u64),
            customer: fresh.clone(),
            other: begin(subject.seats.saturating_add(2))?,
            fresh,
            before: None,
            charged: BTreeMap::new(),
            of_subjects: VecDeque::new(),
            timers: BTreeSet::new(),
            revision,
        })
    }

    pub fn run(mut self) -> Result<Report, ConformanceError> {
        let mut window: Vec<(Event, Verdict)> = Vec::new();
        let mut opened = self.customer.clone();
        for number in 0..self.options.events {
            let event = self.made.event();
            let period = self.customer.period();
            self.customer.reach(&event)?;
            let is_over = self.customer.period() != period || window.len() == TOGETHER;
            let changes = number % CHANGE_EVERY == CHANGE_EVERY - 1;
            if is_over || changes {
                self.close(&opened, &window)?;
                window.clear();
                if changes {
                    self.change(&event);
                }
                opened = self.customer.clone();
            }
            let verdict = self.price(&event)?;
            window.push((event, verdict));
        }
        self.close(&opened, &window)?;
        Ok(self.report)
    }

    /// What is asked of the events since the period began, or the newest change, together.
    fn close(&mut self, opened: &Probe<'r>, window: &[(Event, Verdict)]) -> Result<(), ConformanceError> {
        self.batch_is_fold(opened, window);
        self.customers_apart(opened, window)
    }

    /// One event, with everything that can be asked about it alone.
    fn price(&mut self, event: &Event) -> Result<Verdict, ConformanceError> {
        let batch = self.customer.batch([event], Purpose::Usage);
        let first = self.runtime.evaluate(&batch);
        let second = self.runtime.evaluate(&batch);
        let verdict = first.verdicts[0].clone();
        self.report.events += 1;
        self.report.fuel.saw(first.fuel, event);
        self.made.took(event, first.fuel);
        self.answered(event, &verdict);
        let differs = difference(&verdict, &second.verdicts[0], "the first time")
            .map(|d| format!("the second time {d}"));
        let fuel = (first.fuel != second.fuel)
            .then(|| format!("it took {} fuel, and {} the second time", first.fuel, second.fuel));
        self.report.tried(Rule::SameTwice, Some(event), differs.or(fuel));
        if let Some(before) = &self.before
            && !matches!(verdict, Verdict::Failed(_))
        {
            let again = match self.runtime.evaluate_reused(before, &batch) {
                Ok(evaluation) => difference(&verdict, &evaluation.verdicts[0], "in a fresh one"),
                Err(fault) => Some(format!("there is no answer: {fault}")),
            };
            let again = again.map(|d| format!("in an instance that priced something else before, {d}"));
            self.report.tried(Rule::NoMemory, Some(event), again);
        }
        self.explained(event, &batch, &verdict);
        self.independent(event, &verdict);
        self.within_quote(event)?;
        self.customer.price(event)?;
        if let Verdict::Priced(priced) = &verdict {
            self.report.priced += 1;
            self.note(event, priced);
        }
        let bytes = self.customer.largest_state() as u64;
        self.report.state.saw(bytes, event);
        if !matches!(verdict, Verdict::Failed(_)) {
            self.before = Some(batch);
        }
        Ok(verdict)
    }

    fn answered(&mut self, event: &Event, verdict: &Verdict) {
        let problem = match verdict {
            Verdict::Failed(fault) => Some(fault.to_string()),
            Verdict::Priced(_) | Verdict::Rejected(_) => None,
        };
        self.report.tried(Rule::Answers, Some(event), problem);
    }

    fn explained(&mut self, event: &Event, batch: &Batch, verdict: &Verdict) {
        let problem = match (self.runtime.explain(batch), verdict) {
            (_, Verdict::Failed(_)) => return,
            (Explanation::Failed(fault), _) => Some(format!("it is not explained: {fault}")),
            (Explanation::Steps(steps), Verdict::Priced(priced)) => {
                let prices = priced.charges.iter().map(|charge| 1 + charge.otherwise.len());
                let prices: usize = prices.sum();
                let beyond = |charge: u32| charge as usize >= prices;
                let step = steps.iter().find(|step| step.charge.is_some_and(beyond));
                step.map(|step| format!("a step is about a charge that there is not: {}", step.what))
            }
            (Explanation::Rejected(why), Verdict::Rejected(reason)) if why == *reason => None,
            (Explanation::Rejected(why), Verdict::Rejected(reason)) => Some(format!(
                "its price is refused because {reason}, and its explanation because {why}"
            )),
            (Explanation::Rejected(why), Verdict::Priced(_)) => {
                Some(format!("it has a price, and its explanation is refused: {why}"))
            }
            (Explanation::Steps(_), Verdict::Rejected(reason)) => {
                Some(format!("it is explained, and has no price: {reason}"))
            }
        };
        self.report.tried(Rule::Explains, Some(event), problem);
    }

    /// A plan whose prices depend on nothing but the event charges somebody who just began the same.
    fn independent(&mut self, event: &Event, verdict: &Verdict) {
        if self.revision.description().order != Order::Independent {
            return;
        }
        let began = self.customer.with_memory_of(&self.fresh);
        let evaluation = self.runtime.evaluate(&began.batch([event], Purpose::Usage));
        let problem = match (&evaluation.verdicts[0], verdict) {
            (_, Verdict::Failed(_)) => return,
            (fresh @ Verdict::Priced(_), Verdict::Rejected(_))
            | (fresh @ Verdict::Rejected(_), Verdict::Priced(_)) => {
                difference(fresh, verdict, "for somebody who just began")
            }
            (Verdict::Priced(fresh), Verdict::Priced(priced)) if fresh.charges != priced.charges => {
                Some(format!(
                    "it costs {}, and {} behind other events",
                    said(fresh),
                    said(priced)
                ))
            }
            _ => None,
        };
        self.report.tried(Rule::Independent, Some(event), problem);
    }

    /// What is used within the maximums of a call costs no more than was quoted for it, as things stand.
    fn within_quote(&mut self, event: &Event) -> Result<(), ConformanceError> {
        let asked = self.customer.quote(event)?;
        self.answered(event, &asked.verdict);
        self.report.fuel.saw(asked.fuel, event);
        let is_sensible = event.measures.values().all(|amount| amount.get() >= 0);
        let Verdict::Priced(quote) = asked.verdict else {
            return Ok(());
        };
        for _ in 0..if is_sensible { USAGES_WITHIN } else { 0 } {
            let usage = self.made.within(event);
            let batch = self.customer.batch([&usage], Purpose::Usage);
            let verdict = self.runtime.evaluate(&batch).verdicts.remove(0);
            if let Verdict::Priced(priced) = verdict {
                let above = above(&priced, &quote).map(|(asset, cost, most)| {
                    format!(
                        "it costs {cost} {asset}, and at most {most} was quoted for {}",
                        words(event)
                    )
                });
                self.report.tried(Rule::WithinQuote, Some(&usage), above);
            }
        }
        Ok(())
    }

    /// Notes what was charged, and sees that no more comes back.
    fn note(&mut self, event: &Event, priced: &Priced) {
        let subject = self.customer.subject_of(event).map(str::to_string);
        if let (Some(subject), Some(time)) = (&subject, event.time) {
            let owed = priced.charges.iter().filter(|charge| charge.gives_back.is_none());
            let charges = owed.map(|charge| ReversedCharge {
                code: charge.code.to_string(),
                asset: charge.price.asset.clone(),
                amount: charge.price.amount,
                quantity: charge.quantity,
            });
            self.of_subjects.push_front(OfSubject {
                subject: subject.clone(),
                event: event.reference(),
                time,
                charges: charges.collect(),
            });
            self.of_subjects.truncate(SUBJECTS_REVERSED);
        }
        for timer in priced.timers.iter().filter(|timer| timer.at.is_some()) {
            self.timers.insert((timer.key.clone(), subject.clone()));
        }
        for charge in &priced.charges {
            let key = (charge.code.clone(), charge.price.asset.clone());
            let amount = charge.price.amount.get();
            let problem = match &charge.gives_back {
                None => {
                    let charged = self.charged.entry(event.reference()).or_default();
                    *charged.entry(key).or_default() += amount;
                    None
                }
                // An event that nobody knows of gives nothing back: its host refuses that.
                Some(of) => self.charged.get_mut(of).and_then(|charged| {
                    let left = charged.entry(key).or_default();
                    *left += amount;
                    let more = *left < 0;
                    more.then(|| format!("{} gives back more than event {} was charged", charge.code, of.id))
                }),
            };
            self.report.tried(Rule::NothingBelowZero, Some(event), problem);
        }
    }

    /// The events of one period in one batch, against the same one by one.
    fn batch_is_fold(&mut self, opened: &Probe<'_>, window: &[(Event, Verdict)]) {
        if window.len() < 2
            || window
                .iter()
                .any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
        {
            return;
        }
        let batch = opened.batch(window.iter().map(|(event, _)| event), Purpose::Usage);
        let evaluation = match self.runtime.evaluate_together(&batch) {
            Ok(evaluation) => evaluation,
            // Events that take more fuel together than one may have are priced one by one, which is slow, and not wrong.
            Err(Fault::OutOfFuel { .. }) => return,
            Err(fault) => {
                let problem = format!(
                    "{} events that have an answer alone have none together: {fault}",
                    batch.len()
                );
                return self.report.tried(Rule::BatchIsFold, None, Some(problem));
            }
        };
        for ((event, expected), verdict) in window.iter().zip(&evaluation.verdicts) {
            let problem =
                difference(expected, verdict, "alone").map(|d| format!("in a batch of {}, {d}", batch.len()));
            self.report.tried(Rule::BatchIsFold, Some(event), problem);
        }
    }

    /// Two customers in one batch, against each of them alone.
    fn customers_apart(
        &mut self,
        opened: &Probe<'r>,
        window: &[(Event, Verdict)],
    ) -> Result<(), ConformanceError> {
        let events: Vec<Event> = window
            .iter()
            .map(|(event, _)| event.clone())
            .take(TOGETHER / 2)
            .collect();
        let Some(last) = events.last() else { return Ok(()) };
        let mut other = self.other.clone();
        other.reach(last)?;
        let mut both = Vec::new();
        for (place, event) in events.iter().enumerate() {
            // The other one does the same in another order.
            both.push((0, event));
            both.push((1, &events[events.len() - 1 - place]));
        }
        let together = Probe::together(&[opened, &other], both.iter().copied(), Purpose::Usage);
        // Where they have no answer together, a batch of one customer says so.
        let Ok(all) = self.runtime.evaluate_together(&together) else {
            return Ok(());
        };
        let all = all.verdicts;
        for (customer, probe) in [opened, &other].into_iter().enumerate() {
            let own = both.iter().take(all.len()).enumerate();
            let own = own.filter(|(_, (whose, _))| *whose == customer);
            let own: Vec<(usize, &Event)> = own.map(|(at, (_, event))| (at, *event)).collect();
            let alone = self
                .runtime
                .evaluate(&probe.batch(own.iter().map(|(_, event)| *event), Purpose::Usage));
            for ((at, event), verdict) in own.iter().zip(&alone.verdicts) {
                let problem =
                    difference(verdict, &all[*at], "alone").map(|d| format!("beside another customer, {d}"));
                self.report.tried(Rule::CustomersApart, Some(event), problem);
            }
        }
        let turn = self.made.below(events.len());
        for event in &events[..=turn] {
            other.price(event)?;
        }
        self.other = other;
        Ok(())
    }
}
