//! What was tried and what was found.

use std::fmt;

use farebox_record::event::Event;

/// How many examples of a broken rule are kept; all are counted.
const PROBLEMS_KEPT: usize = 3;

/// What a plan must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Every event has a price or a reason: no trap, no answer that breaks the contract, no limit passed.
    Answers,
    /// The same question twice has the same answer, and takes the same fuel.
    SameTwice,
    /// An instance that answered something else before answers the same.
    NoMemory,
    /// A batch is its events one by one.
    BatchIsFold,
    /// What one customer does changes no other one's price.
    CustomersApart,
    /// No usage within the maximums of a call costs more than its quote.
    WithinQuote,
    /// What is below zero gives back of an event that was charged as much.
    NothingBelowZero,
    /// A plan that says that its prices depend on nothing but the event keeps its word.
    Independent,
    /// What has a price has an explanation, and what has none has the same reason there.
    Explains,
    /// Every change of a subscription is answered: renewals, seats, pauses, timers, events that are taken back.
    Changes,
}

impl Rule {
    /// All of them, in the order of a report.
    pub const ALL: [Rule; 10] = [
        Rule::Answers,
        Rule::SameTwice,
        Rule::NoMemory,
        Rule::BatchIsFold,
        Rule::CustomersApart,
        Rule::WithinQuote,
        Rule::NothingBelowZero,
        Rule::Independent,
        Rule::Explains,
        Rule::Changes,
    ];

    /// Stable name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Rule::Answers => "answers",
            Rule::SameTwice => "same_twice",
            Rule::NoMemory => "no_memory",
            Rule::BatchIsFold => "batch_is_fold",
            Rule::CustomersApart => "customers_apart",
            Rule::WithinQuote => "within_quote",
            Rule::NothingBelowZero => "nothing_below_zero",
            Rule::Independent => "independent",
            Rule::Explains => "explains",
            Rule::Changes => "changes",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Answers => "every event has a price or a reason",
            Rule::SameTwice => "the same question has the same answer and takes the same fuel",
            Rule::NoMemory => "nothing is remembered beside the state",
            Rule::BatchIsFold => "a batch is its events one by one",
            Rule::CustomersApart => "customers do not change each other's prices",
            Rule::WithinQuote => "no usage within its maximums costs more than its quote",
            Rule::NothingBelowZero => "what comes back was charged before",
            Rule::Independent => "prices depend on nothing but the event, as the plan says",
            Rule::Explains => "every price is explained",
            Rule::Changes => "every change of a subscription is answered",
        })
    }
}

/// How a rule was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What came, and what should have come.
    pub what: String,
    /// The event that it is about, if it is about one.
    pub event: Option<Event>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub rule: Rule,
    /// How often it was tried.
    pub tried: u64,
    /// How often it was broken.
    pub broken: u64,
    /// The first few times.
    pub problems: Vec<Problem>,
}

/// The most of something that a plan needed, and what it may need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Most {
    /// The most.
    pub most: u64,
    /// The limit.
    pub max: u64,
    /// The event with which it was needed.
    pub event: Option<Event>,
}

impl Most {
    pub(super) fn of(max: u64) -> Most {
        Most {
            most: 0,
            max,
            event: None,
        }
    }

    pub(super) fn saw(&mut self, amount: u64, event: &Event) {
        if amount > self.most {
            self.most = amount;
            self.event = Some(event.clone());
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What all events followed from.
    pub seed: u64,
    /// How many events were asked about.
    pub events: u64,
    /// How many of them have a price.
    pub priced: u64,
    /// Each rule, in the order of [`Rule::ALL`].
    pub checks: Vec<Checked>,
    /// Fuel of one event by itself.
    pub fuel: Most,
    /// Bytes of the largest state, of a subscription or of a subject.
    pub state: Most,
}

impl Report {
    pub(super) fn begin(seed: u64, fuel_max: u64, state_max: u64) -> Report {
        let checks = Rule::ALL.into_iter().map(|rule| Checked {
            rule,
            tried: 0,
            broken: 0,
            problems: Vec::new(),
        });
        Report {
            seed,
            events: 0,
            priced: 0,
            checks: checks.collect(),
            fuel: Most::of(fuel_max),
            state: Most::of(state_max),
        }
    }

    /// Whether no rule was broken, and anything was tried.
    pub fn holds(&self) -> bool {
        self.priced > 0 && self.checks.iter().all(|check| check.broken == 0)
    }

    /// A rule was tried; the problem where it was broken.
    pub(super) fn tried(&mut self, rule: Rule, event: Option<&Event>, problem: Option<String>) {
        let Some(check) = self.checks.iter_mut().find(|check| check.rule == rule) else {
            return;
        };
        check.tried += 1;
        let Some(what) = problem else { return };
        check.broken += 1;
        if check.problems.len() < PROBLEMS_KEPT {
            let event = event.cloned();
            check.problems.push(Problem { what, event });
        }
    }
}
