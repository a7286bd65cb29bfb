//! Histories in which the two came apart once.

use farebox_money::Nanos;
use farebox_record::spending::{CalendarUnit, LimitTerms, OnExceed, Scope, Threshold, Window};
use farebox_record::state::Cadence;

use crate::reference::Above;
use crate::run;
use crate::steps::{Reported, Step};
use crate::words::{Charge, Labels, Link, Order, Says, Word};

fn call() -> Reported {
    Reported {
        kind: "chat",
        labels: Labels::default(),
        tokens: None,
        elsewhere: false,
        ago: None,
    }
}

fn charge(code: &'static str, prices: &[(&'static str, i128)]) -> Charge {
    let link = |&(asset, amount)| Link {
        asset,
        amount,
        invoice: false,
    };
    Charge {
        code,
        links: prices.iter().map(link).collect(),
    }
}

/// A grant for everything.
fn given(asset: &'static str, amount: i128) -> Order {
    Order {
        asset,
        amount,
        category: 0,
        priority: 0,
        delay: None,
        life: None,
        code: None,
        labels: Labels::default(),
        each: None,
    }
}

fn says(charges: &[Charge]) -> Word {
    Word::Says(Says {
        charges: charges.to_vec(),
        ..Says::default()
    })
}

/// Debt that a refold gives back is not lost. It was noted as lost, with an amount of nothing, and nothing was asked for the
/// rest of a chain whose second price was rounded to nothing by then: the first one's rest was let go.
#[test]
fn nothing_that_is_lost_pays_for_nothing() {
    let costs = [
        charge("in", &[("y", 1)]),
        charge("in", &[("z", 4), ("x", 1), ("x", 25)]),
    ];
    let script = [
        Step::Subscribe {
            plan: 2,
            seats: 1,
            anchor: None,
            cadence: Cadence::Monthly,
            above: Above::Subscribed,
            word: says(&[]),
        },
        Step::Grant(given("z", 64)),
        Step::Usage(
            call(),
            says(&[charge("in", &[("x", 21)]), charge("out", &[("x", 1)])]),
        ),
        Step::Usage(call(), says(&[])),
        Step::Refold {
            event: 1,
            amended: None,
            term: 0,
            behind: vec![(0, costs.to_vec())],
            state: 0,
            is_stale: false,
        },
    ];
    run(&script).unwrap();
}

/// A refund changes in which order it is kept what an event took, and that had been the order in which a refold charged and
/// announced: it is that of the plan's charges.
#[test]
fn what_an_event_costs_is_charged_in_the_order_of_its_charges() {
    let took = [charge("out", &[("x", 1)]), charge("in", &[("x", 1)])];
    let costs = [charge("in", &[("x", 2)]), charge("out", &[("x", 4)])];
    let terms = LimitTerms {
        asset: "x".parse().unwrap(),
        amount: Nanos::ZERO,
        scope: Scope(Vec::new()),
        window: Window::Calendar(CalendarUnit::Hour),
        thresholds: vec![Threshold::Percent(50)],
        on_exceed: OnExceed::Deny,
    };
    let script = [
        Step::Subscribe {
            plan: 2,
            seats: 1,
            anchor: None,
            cadence: Cadence::Monthly,
            above: Above::Subscribed,
            word: says(&[]),
        },
        Step::Usage(call(), says(&took)),
        Step::PutLimit(0, terms),
        Step::Usage(call(), says(&[])),
        Step::Refold {
            event: 1,
            amended: None,
            term: 0,
            behind: vec![(0, costs.to_vec())],
            state: 0,
            is_stale: false,
        },
    ];
    run(&script).unwrap();
}
