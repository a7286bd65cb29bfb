//! The same id with the same content gets the same answer; with other content it is a conflict that names the field.

use std::collections::BTreeSet;

use farebox_ledger::{Retry, compare};
use farebox_record::command::{AboveHold, AuthorizeMode, Command, Finality};
use farebox_record::ids::PlanName;
use farebox_record::plan::Category::Promotional;
use farebox_record::state::Cadence;
use farebox_record::state::Shortfall::{Floor, Unlimited};

use crate::world::World;
use crate::world::make::{
    Shape, customer, event_with, extend, grant, hold, hold_for, n, one_shot, part, release, settle, settling,
    subscribe, usage, usd,
};
use crate::world::{seconds, t};

/// `again` comes after `first` was recorded under the same id.
fn differs(first: &Command, again: &Command, field: Option<&str>) {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    if !matches!(
        first,
        Command::Authorize(_) | Command::PutCustomer(_) | Command::Grant(_)
    ) {
        world.ask(hold("h"), usd("1")).unwrap();
    }
    world.ask(first.clone(), usd("1")).unwrap();
    assert_eq!(first.identity(), again.identity(), "not the same id at all");
    let record = world.records.last().unwrap();
    let expected = match field {
        None => Retry::Same(record.outcome.answer.clone()),
        Some(field) => Retry::Conflict {
            field: field.to_string(),
        },
    };
    assert_eq!(compare(again, record), expected, "{again:#?}");
    // The record as it comes back from a store answers the same.
    let stored = farebox_record::Record::decode(&record.encode()).unwrap();
    assert_eq!(compare(again, &stored), expected);
}

/// A change of a command.
type Change<T> = fn(&mut T);

/// One command, and changes of it with the field that each differs in.
fn check<T: Clone>(first: T, wrap: fn(T) -> Command, changes: &[(&str, Change<T>)]) {
    differs(&wrap(first.clone()), &wrap(first.clone()), None);
    for (field, change) in changes {
        let mut again = first.clone();
        change(&mut again);
        differs(&wrap(first.clone()), &wrap(again), Some(field));
    }
}

#[test]
fn a_customer() {
    let Command::PutCustomer(first) = customer("k", &[("usd", Floor(n("5")))]) else {
        unreachable!()
    };
    check(
        first,
        Command::PutCustomer,
        &[
            ("name", |c| c.name = Some("Ada".into())),
            ("shortfall.usd", |c| {
                c.shortfall.insert(crate::world::make::asset("usd"), Unlimited);
            }),
            ("shortfall.credits", |c| {
                c.shortfall
                    .insert(crate::world::make::asset("credits"), Unlimited);
            }),
            ("shortfall.usd", |c| c.shortfall.clear()),
        ],
    );
}

#[test]
fn a_grant() {
    check(
        grant("k", "usd", "5"),
        Command::Grant,
        &[
            ("asset", |g| g.asset = crate::world::make::asset("credits")),
            ("amount", |g| g.amount = n("5.000000001")),
            ("category", |g| g.category = Promotional),
            ("priority", |g| g.priority = 1),
            ("effective_at", |g| g.effective = Some(t(0))),
            ("expires_at", |g| g.expires = Some(t(50))),
            ("applies_to", |g| g.applies_to.codes = vec!["x".into()]),
            ("label", |g| g.label = Some(String::new())),
            // The first one is named.
            ("asset", |g| {
                g.asset = crate::world::make::asset("credits");
                g.amount = n("6");
            }),
        ],
    );
}

#[test]
fn a_subscription() {
    let Command::Subscribe(first) = subscribe("k", Cadence::Monthly) else {
        unreachable!()
    };
    check(
        first,
        Command::Subscribe,
        &[
            ("plan", |s| s.plan = PlanName::new("other").unwrap()),
            ("seats", |s| s.seats = 2),
            ("anchor", |s| s.anchor = Some(t(0))),
            ("cadence", |s| s.cadence = Cadence::Yearly),
        ],
    );
}

#[test]
fn usage_and_authorize() {
    let event = event_with("k", &[("model", "m")]);
    let mut event = event;
    event.measures.insert("tokens".into(), n("10"));
    check(
        event.clone(),
        Command::Usage,
        &[
            ("type", |e| e.event_type = "other".parse().unwrap()),
            ("time", |e| e.time = Some(t(0))),
            ("measures.tokens", |e| {
                e.measures.insert("tokens".into(), n("11"));
            }),
            ("measures.more", |e| {
                e.measures.insert("more".into(), n("0"));
            }),
            ("measures.tokens", |e| e.measures.clear()),
            ("attributes.model", |e| {
                e.attributes.insert("model".into(), "other".into());
            }),
            ("attributes.agent", |e| {
                e.attributes.insert("agent".into(), "".into());
            }),
        ],
    );
    let Command::Authorize(mut first) = hold("k") else {
        unreachable!()
    };
    first.event = event.clone();
    check(
        first.clone(),
        Command::Authorize,
        &[
            ("type", |a| a.event.event_type = "other".parse().unwrap()),
            ("measures.tokens", |a| {
                a.event.measures.insert("tokens".into(), n("11"));
            }),
            ("ttl_seconds", |a| a.ttl = seconds(901)),
            ("settle", |a| a.mode = AuthorizeMode::Settle),
        ],
    );
    // An event is one thing: reported and authorized under one id, it is another request.
    differs(
        &Command::Usage(event),
        &Command::Authorize(first),
        Some("the kind of request"),
    );
}

#[test]
fn what_is_done_to_a_hold() {
    let Command::Settle(mut first) = settle("h") else {
        unreachable!()
    };
    first.measures.insert("tokens".into(), n("3"));
    check(
        first,
        Command::Settle,
        &[
            ("measures.tokens", |s| {
                s.measures.insert("tokens".into(), n("4"));
            }),
            ("attributes.model", |s| {
                s.attributes.insert("model".into(), "m".into());
            }),
            ("final", |s| s.finality = Finality::Partial),
            ("above_hold", |s| s.above = AboveHold::Deny),
        ],
    );
    let Command::Extend(first) = extend("h", "k", 60, &[("tokens", "3")]) else {
        unreachable!()
    };
    check(
        first,
        Command::Extend,
        &[
            ("ttl_seconds", |e| e.ttl = seconds(61)),
            ("measures.tokens", |e| {
                e.measures.insert("tokens".into(), n("4"));
            }),
            ("measures.tokens", |e| e.measures.clear()),
        ],
    );
    differs(&release("h"), &release("h"), None);
}

#[test]
fn other_things_have_other_names() {
    let commands = [
        customer("k", &[]),
        grant("k", "usd", "1").put(),
        subscribe("k", Cadence::Monthly),
        usage("k"),
        settling("k", "k", Finality::Final, AboveHold::Deny),
        extend("k", "k", 60, &[]),
        release("k"),
        part("h", "k"),
        part("k", "h"),
        usage("h"),
    ];
    let names: BTreeSet<_> = commands.iter().map(|c| c.identity().unwrap()).collect();
    assert_eq!(names.len(), commands.len());
    // An authorize, one-shot or not, and a usage report are one event.
    assert_eq!(hold("k").identity(), usage("k").identity());
    assert_eq!(one_shot("k").identity(), usage("k").identity());
    // Where an id comes from is part of it.
    let mut elsewhere = crate::world::make::event("k");
    elsewhere.source = "worker".parse().unwrap();
    assert_ne!(Command::Usage(elsewhere).identity(), usage("k").identity());
}

#[test]
fn a_denial_stays_a_denial_after_a_top_up() {
    let mut world = World::new();
    let denied = world.ask(hold("h"), usd("5")).unwrap();
    world.ok(grant("g", "usd", "10").put());
    let record = &world.records[1];
    assert_eq!(record.command.identity(), hold("h").identity());
    assert_eq!(compare(&hold("h"), record), Retry::Same(denied));
    assert_eq!(
        compare(&hold_for("h", 60), record),
        Retry::Conflict {
            field: "ttl_seconds".into()
        }
    );
    // A new attempt takes a new id.
    assert_eq!(
        crate::world::say::say(&world.ask(hold("h2"), usd("5"))),
        "allowed, held usd 5"
    );
}

#[test]
fn a_replay_has_the_balances_of_its_time() {
    let mut world = World::new();
    world.ok(grant("g", "usd", "10").put());
    let first = world.ask(usage("e"), usd("4")).unwrap();
    world.ask(usage("e2"), usd("4")).unwrap();
    assert_eq!(compare(&usage("e"), &world.records[2]), Retry::Same(first));
}
