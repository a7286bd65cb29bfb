use farebox_record::command::{AboveHold, Finality, Release};
use farebox_record::correction::{Amend, Original};
use farebox_record::outcome::Corrected;

use super::super::sample::*;
use super::*;

/// None of these records is about an event that was priced before.
fn usage_of(record: &Record, before: Option<Counted>) -> Usage {
    super::usage_of(record, before, &Keeps::Rows(BTreeMap::new()))
}

fn settle(tokens: &str, pairs: &[(&str, &str)], ended: bool, charges: Vec<Effect>) -> Record {
    let command = Command::Settle(Settle {
        hold: reference(),
        id: "s".parse().unwrap(),
        measures: measures(tokens),
        attributes: attributes(pairs),
        finality: if ended { Finality::Final } else { Finality::Partial },
        above: AboveHold::AllowDebt,
    });
    let mut effects = charges;
    effects.push(hold_put());
    record(command, settled(ended), effects)
}

fn charges(totals: &Totals) -> Vec<(&str, String, String)> {
    let all = totals.charges.iter();
    all.map(|((code, _), c)| (code.as_str(), c.amount.to_string(), c.quantity.to_string()))
        .collect()
}

fn row(amount: &str, quantity: &str) -> (&'static str, String, String) {
    ("tokens", amount.to_string(), quantity.to_string())
}

#[test]
fn usage_counts_what_was_posted_at_its_time() {
    let mut used = with_price(
        record(Command::Usage(event("100")), answered(), charged("0.5", 0)),
        &[("tokens", "0.5", "100"), ("free", "0", "7")],
    );
    used.seen.time = Timestamp::from_micros(5);
    let added = usage_of(&used, None).added.unwrap();
    assert_eq!(
        (added.time.as_micros(), added.totals.events, added.totals.unpriced),
        (5, 1, 0)
    );
    assert_eq!(added.totals.measures, measures("100"));
    let free = ("free", "0".to_string(), "7".to_string());
    assert_eq!(charges(&added.totals), [free, row("0.5", "100")]);
    assert_eq!(added.attributes, Some(attributes(&[("model", "one")])));
}

#[test]
fn parts_of_a_settlement_are_one_event() {
    let first = settle("40", &[], false, charged("0.4", 0));
    let first = usage_of(&with_price(first, &[("tokens", "0.4", "40")]), None);
    let note = first.added.clone().unwrap();
    assert_eq!(first.notes, [(reference(), Some(note.clone()))]);
    assert_eq!(charges(&note.totals), [row("0.4", "40")]);
    // The last part tells of 100 tokens in all, costs 0.8 in all, and names a feature that was not known before.
    let last = settle("100", &[("feature", "chat")], true, charged("0.4", 0));
    let last = usage_of(&with_price(last, &[("tokens", "0.8", "100")]), Some(note.clone()));
    let now = last.added.unwrap();
    assert_eq!(
        (last.taken, last.notes),
        (Some(note.clone()), vec![(reference(), None)])
    );
    assert_eq!(
        (now.totals.events, now.totals.measures.clone()),
        (1, measures("100"))
    );
    assert_eq!(charges(&now.totals), [row("0.8", "100")]);
    assert_eq!(
        now.attributes,
        Some(attributes(&[("feature", "chat"), ("model", "one")]))
    );
    let mut sums = note.totals.clone();
    sums.change(Sign::Minus, &note.totals);
    assert!(sums.is_empty() && sums.measures.is_empty(), "{sums:?}");
}

#[test]
fn a_settlement_that_takes_less_than_the_part_before_gives_back() {
    let first = usage_of(
        &with_price(
            settle("40", &[], false, charged("0.4", 0)),
            &[("tokens", "0.4", "40")],
        ),
        None,
    );
    let last = settle("10", &[], true, charged("-0.3", 0));
    let last = usage_of(&with_price(last, &[("tokens", "0.1", "10")]), first.added);
    assert_eq!(charges(&last.added.unwrap().totals), [row("0.1", "10")]);
}

#[test]
fn what_had_no_price_counts_once() {
    let reason = farebox_record::outcome::UnpricedReason::NoSubscription;
    let kept = usage_of(
        &record(Command::Usage(event("5")), Answer::Unpriced(reason), Vec::new()),
        None,
    );
    let waiting = kept.added.clone().unwrap();
    assert_eq!((waiting.totals.events, waiting.totals.unpriced), (1, 1));
    assert_eq!(kept.notes, [(reference(), Some(waiting.clone()))]);
    let rating = with_price(
        record(rate("5"), answered(), charged("0.5", 0)),
        &[("tokens", "0.5", "5")],
    );
    assert_eq!(continued(&rating), Some(reference()));
    let rated = usage_of(&rating, Some(waiting.clone()));
    assert_eq!(
        (rated.taken, rated.notes),
        (Some(waiting), vec![(reference(), None)])
    );
    let now = rated.added.unwrap().totals;
    assert_eq!(
        (now.events, now.unpriced, charges(&now)),
        (1, 0, vec![row("0.5", "5")])
    );
}

#[test]
fn a_hold_is_no_usage_until_it_is_settled() {
    let held = with_price(
        record(
            authorize(AuthorizeMode::Hold),
            allowed(Some(noon())),
            vec![hold_put()],
        ),
        &[("tokens", "1", "100")],
    );
    assert_eq!(usage_of(&held, None), Usage::default());
    let at_once = with_price(
        record(authorize(AuthorizeMode::Settle), allowed(None), charged("1", 0)),
        &[("tokens", "1", "100")],
    );
    assert_eq!(
        charges(&usage_of(&at_once, None).added.unwrap().totals),
        [row("1", "100")]
    );
    let release = Command::Release(Release {
        hold: reference(),
        id: "r".parse().unwrap(),
    });
    let released = record(
        release,
        Answer::Handled,
        vec![Effect::HoldEnded(reference(), HoldEnd::Released)],
    );
    let usage = usage_of(&released, None);
    assert_eq!((usage.added, usage.notes), (None, vec![(reference(), None)]));
}

#[test]
fn fees_count_without_an_event() {
    let subscribe = Command::Due(farebox_record::command::Due {
        instant: noon(),
        item: farebox_record::command::DueItem::Renewal("s".parse().unwrap()),
    });
    let fee = with_price(
        record(subscribe, Answer::Handled, charged("20", 0)),
        &[("base", "20", "1")],
    );
    let added = usage_of(&fee, None).added.unwrap();
    assert_eq!(
        (added.totals.events, added.attributes),
        (0, Some(Attributes::EMPTY))
    );
    assert_eq!(
        charges(&added.totals),
        [("base", "20".to_string(), "1".to_string())]
    );
    // Its plan was told an earlier instant: it counts when it was posted all the same.
    let mut late = fee;
    late.seen.time = noon();
    late.at = noon().saturating_add(farebox_record::time::Span::days(3));
    assert_eq!(usage_of(&late, None).added.unwrap().time, late.at);
}

/// What a timer charges counts where its event does, and at that event's time.
#[test]
fn a_timer_of_a_subject_counts_for_the_event_that_set_it() {
    use farebox_record::command::{Due, DueItem, TimerAbout};
    use farebox_record::correction::TakenSlice;
    use farebox_record::outcome::Line;
    use farebox_record::state::SliceSource;
    let before = Standing {
        event: event("100"),
        time: noon(),
        priced: None,
        status: StandingStatus::Charged,
        lines: Vec::new(),
        slices: Vec::new(),
    };
    let after = Standing {
        lines: vec![Line {
            code: "tokens".into(),
            asset: usd(),
            amount: amount("0.99"),
            quantity: amount("1"),
        }],
        slices: vec![TakenSlice {
            code: "tokens".into(),
            asset: usd(),
            from: SliceSource::Grant(grant_id()),
            amount: amount("0.99"),
            posted: Some(noon()),
        }],
        ..before.clone()
    };
    let due = Command::Due(Due {
        instant: noon(),
        item: DueItem::Timer {
            subscription: "s".parse().unwrap(),
            key: "deadline".into(),
            about: Some(Box::new(TimerAbout {
                subject: "c1".into(),
                event: Some(reference()),
            })),
        },
    });
    let mut effects = charged("0.99", 0);
    effects.push(Effect::StandingPut(reference(), Box::new(after)));
    let mut timer = with_price(
        record(due.clone(), Answer::Handled, effects),
        &[("tokens", "0.99", "1")],
    );
    timer.seen.named.push(Original {
        standing: before,
        ended: BTreeMap::new(),
        give_backs: Default::default(),
    });
    let usage = usage_of(&timer, None);
    assert_eq!((usage.added, usage.others.len()), (None, 1));
    let (before, now) = &usage.others[0];
    assert_eq!(charges(&before.totals), []);
    assert_eq!(charges(&now.totals), [row("0.99", "1")]);
    assert_eq!(
        (now.time, &now.attributes),
        (noon(), &Some(attributes(&[("model", "one")])))
    );
    // Where nobody knows the event any more, it was earned without one.
    let alone = with_price(
        record(due, Answer::Handled, charged("0.99", 0)),
        &[("tokens", "0.99", "1")],
    );
    assert_eq!(
        charges(&usage_of(&alone, None).added.unwrap().totals),
        [row("0.99", "1")]
    );
}

#[test]
fn a_renewal_that_could_not_be_posted_counts_for_nothing() {
    use farebox_record::command::{Due, DueItem};
    use farebox_record::outcome::UnpricedReason;
    use farebox_record::state::{MissedTransition, UnpricedState, Waiting};
    let due = Due {
        instant: noon(),
        item: DueItem::Renewal("s".parse().unwrap()),
    };
    let kept = UnpricedState {
        received: noon(),
        what: Waiting::Transition(MissedTransition {
            due: due.clone(),
            period: period(),
            seats: 1,
        }),
        reason: UnpricedReason::PlanFailed {
            code: "unpostable".into(),
            message: "too many assets".into(),
        },
    };
    let effects = vec![Effect::UnpricedKept(Box::new(kept))];
    let renewal = record(Command::Due(due), Answer::Handled, effects);
    let renewal = with_price(renewal, &[("base", "20", "1")]);
    assert_eq!(usage_of(&renewal, None), Usage::default());
}

#[test]
fn a_timer_that_is_asked_again_for_an_event_that_was_taken_back_counts_for_nothing() {
    use farebox_record::command::{Due, DueItem, RetryChange, TimerAbout};
    use farebox_record::state::{DueChange, MissedChange, MissedTransition};
    let due = Due {
        instant: noon(),
        item: DueItem::Timer {
            subscription: "s".parse().unwrap(),
            key: "deadline".into(),
            about: Some(Box::new(TimerAbout {
                subject: "c1".into(),
                event: Some(reference()),
            })),
        },
    };
    let again = Command::RetryChange(RetryChange {
        sequence: 7,
        missed: Box::new(MissedChange {
            transition: MissedTransition {
                due,
                period: period(),
                seats: 1,
            },
            plan: "outcomes".parse().unwrap(),
            change: DueChange::Timer("deadline".into()),
        }),
    });
    let effects = vec![Effect::UnpricedRated(7)];
    let nothing = record(again.clone(), Answer::Handled, effects);
    let nothing = with_price(nothing, &[("tokens", "0.99", "1")]);
    assert_eq!(usage_of(&nothing, None), Usage::default());
    // Where it counts, it says so.
    let charged = with_price(
        record(again, answered(), charged("0.99", 0)),
        &[("tokens", "0.99", "1")],
    );
    assert_eq!(
        charges(&usage_of(&charged, None).added.unwrap().totals),
        [row("0.99", "1")]
    );
}

#[test]
fn identifiers_tell_no_rows_apart_and_long_attributes_are_other() {
    let mut used = event("1");
    used.attributes = attributes(&[
        ("model", "one"),
        ("request_id", "r1"),
        ("id", "x"),
        ("chat", "subject"),
    ]);
    let of = |event: Event| {
        let record = with_price(record(Command::Usage(event), answered(), Vec::new()), &[]);
        usage_of(&record, None).added.unwrap().attributes
    };
    assert_eq!(of(used.clone()), Some(attributes(&[("model", "one")])));
    used.attributes
        .insert("note".into(), "n".repeat(USAGE_COMBINATION_BYTES_MAX - 12).into());
    assert!(of(used.clone()).is_some(), "model, one and note are 12 bytes");
    used.attributes
        .insert("note".into(), "n".repeat(USAGE_COMBINATION_BYTES_MAX - 11).into());
    assert_eq!(of(used), None);
}

/// A record that amends `event`, which waits for a price.
fn amending(event: Event) -> Record {
    let command = Command::Amend(Amend {
        event: event.clone(),
        id: "a".parse().unwrap(),
    });
    let corrected = Corrected {
        reversed: Vec::new(),
        paid: Vec::new(),
        expired: Vec::new(),
        charges: Vec::new(),
        balances: Vec::new(),
    };
    let mut record = record(command, Answer::Corrected(Box::new(corrected)), Vec::new());
    record.seen.original = Some(Box::new(Original {
        standing: Standing {
            event,
            time: noon(),
            priced: None,
            status: StandingStatus::Unpriced(5),
            lines: Vec::new(),
            slices: Vec::new(),
        },
        ended: BTreeMap::new(),
        give_backs: Default::default(),
    }));
    record
}

/// The plan that had no price for it follows the chat all the same; of what waits it is not known which plan that was.
#[test]
fn what_waited_and_is_corrected_leaves_the_row_that_it_was_put_in() {
    let mut used = event("100");
    used.attributes = attributes(&[("model", "one"), ("chat", "c-1")]);
    let reason = farebox_record::outcome::UnpricedReason::NoSubscription;
    let kept = record(Command::Usage(used.clone()), Answer::Unpriced(reason), Vec::new());
    let mut kept = with_price(kept, &[]);
    kept.seen.pricing.as_mut().unwrap().subject_attribute = Some("chat".into());
    let kept = usage_of(&kept, None).added.unwrap();
    assert_eq!(kept.attributes, Some(attributes(&[("model", "one")])));
    let amended = amending(used);
    assert_eq!(continued(&amended), Some(reference()));
    let usage = usage_of(&amended, Some(kept.clone()));
    assert_eq!(
        (usage.taken, usage.notes),
        (Some(kept), vec![(reference(), None)])
    );
}

#[test]
fn an_entry_of_no_known_charge_still_counts() {
    let used = with_price(
        record(Command::Usage(event("1")), answered(), charged("0.5", 9)),
        &[],
    );
    let totals = usage_of(&used, None).added.unwrap().totals;
    assert_eq!(
        charges(&totals),
        [("unknown", "0.5".to_string(), "0".to_string())]
    );
}

#[test]
fn sums_stay_where_they_can_grow_no_further() {
    let mut sums = Totals::default();
    let most = Totals {
        measures: Measures::from([("x".to_string(), Nanos::new(i128::MAX))]),
        ..Totals::default()
    };
    sums.add(&most);
    sums.add(&most);
    assert_eq!(sums.measures["x"], Nanos::new(i128::MAX));
}
