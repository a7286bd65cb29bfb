//! What a plan remembers, across events, batches, rejections and versions, seen through the columns of the contract.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use farebox_plan::bindings::exports::farebox::plan::pricing::{self as wit, Guest};
use farebox_plan::testing::{Event, Harness};
use farebox_plan::*;
use serde::{Deserialize, Serialize};

vocabulary! {
    assets { USD: "usd", "US dollars"; POOL: "pool", "Included minutes"; }
    events { MINUTES: "voice.minutes"; }
    measures { COUNT: "count"; }
    attributes { CONVERSATION: "conversation_id"; }
    charges { MINUTES: "minutes", "Minutes", "minutes"; SEATS: "seats", "Seats", "seats"; }
}

/// The first 10 minutes of a period cost 1.00, the others 0.50; a conversation is charged at most once a day more than
/// it was before; more than 100 at a time are refused.
struct Tiered;

#[derive(Deserialize, schemars::JsonSchema)]
struct Nothing {}

#[derive(Default, Serialize, Deserialize)]
struct Total {
    period: u32,
    minutes: Nanos,
}

impl Plan for Tiered {
    type Parameters = Nothing;
    type Prepared = Graduated;
    type State = Total;
    type Subject = u64;
    const PARAMETERS_SCHEMA: &'static str = "{}";

    fn describe() -> Description {
        Description {
            order: Order::Cumulative,
            subject: Some(attribute::CONVERSATION),
            state_version: 2,
            wants_balances: true,
            ..Description::new("tiered", "1", "Minutes.", VOCABULARY)
        }
    }

    fn prepare(_: Nothing) -> Result<Graduated, Vec<ParameterError>> {
        let rate = |text: &str| Rate::new(text.parse().unwrap(), Per::Unit).unwrap();
        Ok(Graduated::new(rate("1"), &[(Nanos::units(10), rate("0.5"))]).unwrap())
    }

    fn evaluate(
        prices: &Graduated,
        usage: &Usage<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let minutes = usage.needed(measure::COUNT)?;
        let before = memory.state.minutes;
        let after = before.checked_add(minutes).ok_or(Overflow)?;
        let price = prices.between(before, after)?;
        // State and charge first, refusal afterwards: the refusal must undo both.
        memory.state.minutes = after;
        let seen = memory.subject.get().copied().unwrap_or(0) + 1;
        memory.subject.keep(seen, usage.time().plus_days(1));
        let charge = outcome
            .charge(charge::MINUTES, asset::POOL)
            .amount(minutes, minutes, || "from the pool".to_string())?;
        charge.otherwise(asset::USD, price)?;
        match minutes > Nanos::units(100) {
            true => Err(Rejection::out_of_range(
                measure::COUNT.name(),
                "expected at most 100",
            )),
            false => Ok(()),
        }
    }

    fn transition(
        _: &Graduated,
        transition: &Transition<'_>,
        memory: &mut Memory<Self>,
        outcome: &mut Outcome,
    ) -> Result<(), Rejection> {
        let period = transition.period();
        if matches!(transition.change, Change::Started | Change::Renewed { .. }) {
            memory.state = Total {
                period: period.index,
                minutes: Nanos::ZERO,
            };
            let pool = Grant::included(asset::POOL, Nanos::units(10), "Included minutes")
                .expires(period.end)
                .priority(-1);
            outcome.grant(pool)?;
            let seats = Nanos::units(transition.seats().into());
            outcome
                .charge(charge::SEATS, asset::USD)
                .invoice()
                .amount(seats, seats, || "1 a seat".to_string())?;
            outcome.timer("half", period.start.plus_days(15));
        }
        Ok(())
    }

    fn migrate_state(from: u32, state: &[u8]) -> Result<Total, String> {
        match (from, state) {
            (1, [minutes]) => Ok(Total {
                period: 0,
                minutes: Nanos::units((*minutes).into()),
            }),
            _ => Err("unknown".to_string()),
        }
    }
}

fn plan() -> Harness<Tiered> {
    Harness::new("{}").unwrap()
}

fn minutes(count: i64) -> Event {
    Event::new("voice.minutes")
        .measure("count", count)
        .attribute("conversation_id", "c1")
}

/// What each event would cost on demand, in cents: nothing where nothing is charged.
fn cents(bills: &[Result<testing::Bill, Rejection>]) -> Vec<Option<i128>> {
    let on_demand = |bill: &testing::Bill| {
        bill.charges
            .iter()
            .find(|charge| charge.otherwise)
            .map_or(Nanos::ZERO, |link| link.amount)
    };
    bills
        .iter()
        .map(|bill| bill.as_ref().ok().map(|bill| on_demand(bill).get() / 10_000_000))
        .collect()
}

#[test]
fn a_batch_is_its_events_one_at_a_time() {
    let events: Vec<_> = [4, 5, 500, 3, 1, 200, 0, 7].map(minutes).to_vec();
    let together = plan().batch_of(&events);
    let mut alone = plan();
    let one_at_a_time: Vec<_> = events.iter().map(|event| alone.use_(event)).collect();
    assert_eq!(together, one_at_a_time);
    // 4 + 5 at 1.00; 500 refused and forgotten; 1 at 1.00 and 2 at 0.50; ...
    assert_eq!(
        cents(&together),
        [
            Some(400),
            Some(500),
            None,
            Some(200),
            Some(50),
            None,
            Some(0),
            Some(350)
        ]
    );
    assert_eq!(
        alone.subject("c1").map(<[u8]>::to_vec),
        Some([&MINE[..], &[6]].concat()),
        "the two refused ones did not count"
    );
}

#[test]
fn of_a_charge_of_nothing_nothing_is_left_and_nothing_goes_beyond_for_free() {
    let links = |bill: testing::Bill| -> Vec<i128> {
        let links = bill.charges.iter().filter(|charge| charge.otherwise);
        links.map(|link| link.amount.get()).collect()
    };
    let mut plan = plan();
    assert_eq!(links(plan.use_(&minutes(0)).unwrap()), Vec::<i128>::new());
    plan.use_(&minutes(20)).unwrap();
    // A billionth of a minute for half of a billionth, which is rounded to nothing.
    let least = Event::new("voice.minutes")
        .measure_exact("count", Nanos::new(1))
        .attribute("conversation_id", "c1");
    assert_eq!(links(plan.use_(&least).unwrap()), [1]);
}

/// What stands before the state of a subject: that it is one, and the plan's, `tiered` in FNV-1a.
const MINE: [u8; 5] = [3, 32, 114, 209, 156];

#[test]
fn what_another_plan_remembers_of_a_subject_is_nothing() {
    for (known, seen) in [
        (&[&MINE[..], &[6]].concat()[..], 7),
        // From before it was said whose it is.
        (&[2, 6], 7),
        (&[3, 0, 0, 0, 0, 6], 1),
        // It need not even be of the same type.
        (&[3, 0, 0, 0, 0], 1),
        (&[3, 32], 1),
    ] {
        let mut plan = plan();
        plan.remember("c1", known);
        plan.use_(&minutes(1)).unwrap();
        let now = [&MINE[..], &[seen]].concat();
        assert_eq!(plan.subject("c1"), Some(&now[..]), "{known:?}");
    }
    let theirs = vec![3, 0, 0, 0, 0, 6];
    assert_eq!(
        <Exported<Tiered> as Guest>::migrate(1, theirs.clone()),
        Ok(theirs)
    );
}

#[test]
fn a_quote_changes_nothing_but_the_quotes_behind_it() {
    let mut plan = plan();
    plan.use_(&minutes(9)).unwrap();
    assert_eq!(
        cents(&[plan.quote(&minutes(3)), plan.quote(&minutes(3))]),
        [Some(200), Some(200)]
    );
    let folded = plan.quotes_of(&[minutes(3), minutes(3)]);
    assert_eq!(cents(&folded), [Some(200), Some(150)]);
    assert_eq!(cents(&[plan.use_(&minutes(3))]), [Some(200)]);
}

#[test]
fn periods_begin_with_what_the_plan_gives() {
    let mut plan = plan();
    plan.seats = 3;
    let started = plan.start().unwrap();
    assert_eq!(started.grants.len(), 1);
    assert_eq!(
        (started.grants[0].priority, started.grants[0].expires),
        (-1, Some(plan.period.end))
    );
    assert_eq!(
        (
            started.total("usd").to_string().as_str(),
            started.charges[0].invoice
        ),
        ("3", true)
    );
    assert_eq!(
        started.timers,
        [("half".to_string(), Some(plan.period.start.plus_days(15)))]
    );
    plan.use_(&minutes(10)).unwrap();
    assert_eq!(cents(&[plan.use_(&minutes(1))]), [Some(50)]);
    plan.renew().unwrap();
    assert_eq!(cents(&[plan.use_(&minutes(1))]), [Some(100)]);
    assert_eq!(plan.due("half").unwrap(), testing::Bill::default());
}

#[test]
fn a_state_that_did_not_change_is_not_written() {
    let mut plan = plan();
    plan.use_(&minutes(0)).unwrap();
    assert!(plan.state().is_empty(), "still as it was at the start");
    plan.use_(&minutes(1)).unwrap();
    assert!(!plan.state().is_empty());
}

#[test]
fn states_of_earlier_versions_are_brought_up_or_refused() {
    let migrate = <Exported<Tiered> as Guest>::migrate;
    // The first byte says whose state it is.
    let state = migrate(1, vec![1, 12]).unwrap();
    assert_eq!(state[0], 1);
    assert_eq!(postcard_total(&state[1..]), Nanos::units(12));
    assert!(migrate(0, vec![1, 12]).is_err());
    assert!(
        migrate(1, vec![2, 12])
            .unwrap_err()
            .contains("subjects of state version 1")
    );
    assert_eq!(migrate(1, Vec::new()), Ok(Vec::new()));
}

fn postcard_total(bytes: &[u8]) -> Nanos {
    postcard::from_bytes::<Total>(bytes).unwrap().minutes
}

#[test]
fn contexts_and_subjects_of_one_batch_do_not_mix() {
    let prepared = <Exported<Tiered> as Guest>::prepare("{}".to_string()).unwrap();
    let whole = wit::Span {
        start: 0,
        end: u32::try_from(prepared.len()).unwrap(),
    };
    let nothing = wit::Span { start: 0, end: 0 };
    let context = wit::Context {
        prepared: whole,
        state: nothing,
        period: wit::Period {
            start: 0,
            end: 1_000_000,
            index: 0,
        },
        seats: 1,
        balances: 0,
    };
    let trigger = |context: u32, subject: Option<u32>| wit::Trigger {
        purpose: wit::Purpose::Usage,
        event_type: 0,
        context,
        subject,
        time: 5,
        cost: None,
    };
    let outcomes = <Exported<Tiered> as Guest>::evaluate(wit::Batch {
        bytes: prepared,
        contexts: vec![context, context],
        subjects: vec![
            wit::Subject {
                name: wit::Span { start: 8, end: 9 },
                state: nothing,
            },
            wit::Subject {
                name: wit::Span { start: 9, end: 10 },
                state: nothing,
            },
        ],
        balances: vec![0, 0],
        triggers: vec![
            trigger(0, Some(0)),
            trigger(1, Some(1)),
            trigger(0, Some(1)),
            trigger(1, None),
        ],
        measures: vec![8_000_000_000; 4],
        text: "aabbaabbab".to_string(),
        text_ends: vec![2, 4, 6, 8],
    });
    let on_demand: Vec<_> = outcomes
        .charges
        .iter()
        .filter(|charge| charge.otherwise)
        .map(|charge| charge.amount)
        .collect();
    assert_eq!(
        on_demand,
        [8_000_000_000, 8_000_000_000, 5_000_000_000, 5_000_000_000]
    );
    let subjects: Vec<_> = outcomes
        .subjects
        .iter()
        .map(|change| (change.trigger, change.expires))
        .collect();
    assert_eq!(
        subjects,
        [(0, 86_400_000_005), (1, 86_400_000_005), (2, 86_400_000_005)]
    );
    let last = outcomes.subjects[2].state;
    assert_eq!(
        outcomes.bytes[last.start as usize..last.end as usize],
        [3, 32, 114, 209, 156, 2],
        "b was seen twice"
    );
}
