//! What one customer pays over several periods.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod corrections;
mod objections;
mod pause;
mod seats;
mod unanswered;

use farebox_plan::testing::{Bill, Event, Harness};
use farebox_plan::{Change, EventRef, Instant, Period, Proration};
use per_outcome::PerOutcome;

/// 1 for a resolution and 0.5 for a handoff, a day to object, 10 for a period at least, 30 for a seat.
const DEAL: &str = include_str!("../../parameters/example.json");

/// Days from 1970 on to the first of April, May, June, July and August of 2026.
const MONTHS: [i64; 5] = [20_544, 20_574, 20_605, 20_635, 20_666];

/// 00:00 UTC of a day of 2026; months are counted from April on, days from 1 on.
fn day(month: usize, day: i64) -> Instant {
    Instant::from_micros(0).plus_days(MONTHS[month] + day - 1)
}

fn noon(month: usize, of: i64) -> Instant {
    day(month, of).plus_seconds(43_200)
}

/// Two seats, monthly.
struct Customer(Harness<PerOutcome>);

impl Customer {
    fn starts() -> Customer {
        let mut customer = Customer(Harness::new(DEAL).unwrap());
        customer.0.seats = 2;
        customer.at(0, day(0, 1));
        assert_eq!(lines(&customer.0.start().unwrap()), ["60 seats"]);
        customer
    }

    /// Time goes on to an instant in that month, and the host tells nobody.
    fn at(&mut self, month: usize, now: Instant) -> &mut Harness<PerOutcome> {
        self.0.now = now;
        self.0.period = Period {
            start: day(month, 1),
            end: day(month + 1, 1),
            index: u32::try_from(month).unwrap(),
        };
        &mut self.0
    }

    /// An event of a conversation, whose id is the name of the event.
    fn says(&mut self, event: &str, conversation: &str, kind: &str) -> Vec<String> {
        let event = Event::new(&format!("outcome.{event}"))
            .attribute("conversation", conversation)
            .attribute("outcome", kind)
            .attribute("event.source", "api")
            .attribute("event.id", &format!("{event} {conversation}"));
        lines(&self.0.use_(&event).unwrap())
    }

    /// An event of a conversation is taken back.
    fn takes_back(&mut self, event: &str, conversation: &str) -> Vec<String> {
        let reversed = Change::Reversed {
            event: EventRef {
                source: "api".into(),
                id: format!("{event} {conversation}"),
            },
            time: self.0.now,
            charges: Vec::new(),
            amended: false,
        };
        lines(&self.0.change_of(conversation, reversed).unwrap())
    }

    /// The wait for an objection is over.
    fn is_waited_for(&mut self, conversation: &str) -> Vec<String> {
        let due = Change::Due {
            key: "deadline".into(),
        };
        lines(&self.0.change_of(conversation, due).unwrap())
    }

    /// Other parameters, at once.
    fn takes_over(&mut self) -> Vec<String> {
        self.is_told(Change::PlanChanged {
            previous_plan: "per-outcome".into(),
            previous_since: self.0.period.start,
            remaining: Vec::new(),
            proration: Proration::Now,
        })
    }

    fn is_told(&mut self, change: Change) -> Vec<String> {
        lines(&self.0.change(change).unwrap())
    }
}

fn lines(bill: &Bill) -> Vec<String> {
    let lines = bill.charges.iter();
    lines
        .map(|line| format!("{} {}", line.amount, line.code))
        .collect()
}

/// What is given, in dollars.
fn gets(customer: &mut Customer, change: Change) -> Vec<String> {
    let bill = customer.0.change(change).unwrap();
    bill.grants.iter().map(|grant| grant.amount.to_string()).collect()
}

const NOTHING: [&str; 0] = [];

fn renewed() -> Change {
    Change::Renewed {
        remaining: Vec::new(),
    }
}
