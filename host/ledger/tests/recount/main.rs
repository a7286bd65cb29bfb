//! Random histories with spending limits, counted twice: by the ledger as it goes, and naively from the records
//! afterwards, from their entries alone. Both must come to the same usage, the same held amounts and the same
//! announcements, after every command; and every check of the ledger itself runs too (see `world`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what cannot be has failed"
)]

#[path = "../world/mod.rs"]
mod world;

mod naive;

use farebox_ledger::LimitView;
use farebox_record::command::PutLimit;
use farebox_record::ids::LimitName;
use farebox_record::outcome::{Answer, DenialReason};
use farebox_record::spending::{CalendarUnit, OnExceed};
use farebox_record::state::Shortfall;
use proptest::prelude::*;

use naive::recount;
use world::World;
use world::bound::{self, Bound};
use world::make::{self, charge, fee, n, priced};
use world::tally::is_within;

const TEAMS: [&str; 3] = ["", "a", "b"];
const NAMES: [&str; 4] = ["all", "team", "agent", "burst"];

/// One command.
#[derive(Debug, Clone)]
enum Step {
    Put {
        name: usize,
        amount: u32,
        window: usize,
        team: usize,
        thresholds: usize,
        notify: bool,
    },
    Delete(usize),
    Usage {
        team: usize,
        agent: bool,
        amount: u32,
        receivable: bool,
    },
    Hold {
        team: usize,
        agent: bool,
        amount: u32,
        one_shot: bool,
        ttl: u32,
    },
    /// Settles with the team of the authorize, or with another one.
    Settle {
        hold: usize,
        amount: u32,
        last: bool,
        team: Option<usize>,
    },
    Extend {
        hold: usize,
        amount: u32,
    },
    Release(usize),
    Advance(i64),
    Crash,
}

fn any_step() -> impl Strategy<Value = Step> {
    let put = (
        0..NAMES.len(),
        0..40_u32,
        0..5_usize,
        0..TEAMS.len(),
        0..4_usize,
        any::<bool>(),
    )
        .prop_map(|(name, amount, window, team, thresholds, notify)| Step::Put {
            name,
            amount,
            window,
            team,
            thresholds,
            notify,
        });
    let usage = (0..TEAMS.len(), any::<bool>(), 0..12_u32, any::<bool>()).prop_map(
        |(team, agent, amount, receivable)| Step::Usage {
            team,
            agent,
            amount,
            receivable,
        },
    );
    let hold = (
        0..TEAMS.len(),
        any::<bool>(),
        0..15_u32,
        prop::bool::weighted(0.2),
        1..4_000_u32,
    )
        .prop_map(|(team, agent, amount, one_shot, ttl)| Step::Hold {
            team,
            agent,
            amount,
            one_shot,
            ttl,
        });
    let settle = (
        0..99_usize,
        0..20_u32,
        any::<bool>(),
        prop::option::weighted(0.3, 1..TEAMS.len()),
    )
        .prop_map(|(hold, amount, last, team)| Step::Settle {
            hold,
            amount,
            last,
            team,
        });
    prop_oneof![
        3 => put,
        1 => (0..NAMES.len()).prop_map(Step::Delete),
        4 => usage,
        6 => hold,
        7 => settle,
        2 => (0..99_usize, 0..25_u32).prop_map(|(hold, amount)| Step::Extend { hold, amount }),
        1 => (0..99_usize).prop_map(Step::Release),
        5 => prop_oneof![1..120_i64, 1_000..90_000_i64].prop_map(Step::Advance),
        1 => Just(Step::Crash),
    ]
}

fn attributes(team: usize, agent: bool) -> Vec<(&'static str, &'static str)> {
    let mut attributes = Vec::new();
    if team > 0 {
        attributes.push(("team", TEAMS[team]));
    }
    if agent {
        attributes.push(("agent", "bot"));
    }
    attributes
}

fn limit(step: &Step) -> PutLimit {
    let Step::Put {
        name,
        amount,
        window,
        team,
        thresholds,
        notify,
    } = step
    else {
        unreachable!("a limit")
    };
    let mut put = bound::limit(NAMES[*name], "usd", &amount.to_string());
    if *team > 0 {
        put = put.on("team", TEAMS[*team]);
    }
    if NAMES[*name] == "agent" {
        put = put.on("agent", "bot");
    }
    put = match window {
        0 => put.per(CalendarUnit::Hour),
        1 => put.per(CalendarUnit::Day),
        2 => put.per(CalendarUnit::Month),
        3 => put.rolling(3, 60),
        _ => put.rolling(60, 600),
    };
    let percents: [&[u16]; 4] = [&[], &[50], &[100, 50, 80], &[200, 1]];
    put = put.percent(percents[*thresholds]);
    match *notify && *thresholds > 0 {
        true => put.amount("7").notify(),
        false => put,
    }
}

/// Gives a command to the wallet. A call that is let through fits every limit that can say no.
fn take(world: &mut World, step: &Step, made: usize, holds: &mut Vec<String>) -> Result<(), TestCaseError> {
    let id = format!("e{made:04}");
    match step {
        Step::Put { .. } => drop(world.act(limit(step).set()).unwrap()),
        Step::Delete(name) => drop(world.act(bound::delete(NAMES[*name]))), // it may not be there
        Step::Usage {
            team,
            agent,
            amount,
            receivable,
        } => {
            let part = n(&amount.to_string()).to_string();
            let charges = match receivable {
                true => vec![charge("t", "usd", &part), fee("f", "usd", "1")],
                false => vec![charge("t", "usd", &part)],
            };
            world
                .ask(bound::usage_of(&id, &attributes(*team, *agent)), priced(&charges))
                .unwrap();
        }
        Step::Hold {
            team,
            agent,
            amount,
            one_shot,
            ttl,
        } => {
            let attributes = attributes(*team, *agent);
            let mut command = match one_shot {
                true => bound::one_shot_of(&id, &attributes),
                false => bound::hold_of(&id, &attributes),
            };
            if let farebox_record::command::Command::Authorize(authorize) = &mut command {
                authorize.ttl = world::seconds(*ttl);
            }
            let answer = world.ask(command, make::usd(&amount.to_string())).unwrap();
            match answer {
                Answer::Allowed(_) => {
                    if !one_shot {
                        holds.push(id);
                    }
                    if *amount > 0 {
                        fits(world, &attributes)?;
                    }
                }
                Answer::Denied(denied) => {
                    prop_assert!(denied.required > denied.available, "{:?}", denied);
                    let limited = matches!(denied.reason, DenialReason::Limit(_));
                    prop_assert!(limited, "{:?}", denied);
                }
                other => panic!("{other:?}"),
            }
        }
        Step::Settle {
            hold,
            amount,
            last,
            team,
        } => {
            let Some(hold) = hold.checked_rem(holds.len()).map(|index| &holds[index]) else {
                return Ok(());
            };
            let settlement = match last {
                true => make::settle(hold),
                false => make::part(hold, &id),
            };
            let brought: Vec<(&str, &str)> = team.iter().map(|team| ("team", TEAMS[*team])).collect();
            let settlement = bound::with_attributes(settlement, &brought);
            drop(world.ask(settlement, make::usd(&amount.to_string()))); // it may have ended
        }
        Step::Extend { hold, amount } => {
            if let Some(index) = hold.checked_rem(holds.len()) {
                let extension = make::extend(&holds[index], &id, 60, &[("tokens", "1")]);
                drop(world.ask(extension, make::usd(&amount.to_string()))); // it may have ended, or be denied
            }
        }
        Step::Release(hold) => {
            if let Some(index) = hold.checked_rem(holds.len()) {
                drop(world.act(make::release(&holds[index]))); // it may have ended
            }
        }
        Step::Advance(seconds) => world.advance(*seconds),
        Step::Crash => world.crash(),
    }
    Ok(())
}

fn fits(world: &World, attributes: &[(&str, &str)]) -> Result<(), TestCaseError> {
    let attributes = make::event_with("any", attributes).attributes;
    for (name, limit) in world.wallet.limits() {
        let denies = limit.terms.on_exceed == OnExceed::Deny && is_within(&limit.terms.scope, &attributes);
        let LimitView { used, held, .. } = LimitView::at(limit, world.now);
        let taken = used.checked_add(held).unwrap();
        prop_assert!(!denies || taken <= limit.terms.amount, "{} was let through", name);
    }
    Ok(())
}

/// Compares the counters with what the records say.
fn same(world: &World) -> Result<(), TestCaseError> {
    let counted = recount(&world.records, world.now);
    let names: Vec<&LimitName> = world.wallet.limits().map(|(name, _)| name).collect();
    prop_assert_eq!(names, counted.limits.keys().collect::<Vec<_>>());
    for (name, limit) in world.wallet.limits() {
        let present = LimitView::at(limit, world.now);
        let (used, held) = counted.limits[name];
        prop_assert_eq!(present.used.get(), used, "used of {}", name);
        prop_assert_eq!(present.held.get(), held, "held of {}", name);
    }
    let announced: Vec<String> = world.records.iter().flat_map(bound::announced).collect();
    prop_assert_eq!(announced, counted.announced);
    Ok(())
}

fn run(script: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::owing(&[("usd", Shortfall::Unlimited)]);
    let mut holds = Vec::new();
    for (made, step) in script.iter().enumerate() {
        let after = |e| TestCaseError::fail(format!("after {step:?}: {e}"));
        take(&mut world, step, made, &mut holds).map_err(after)?;
        same(&world).map_err(after)?;
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        // More with PROPTEST_CASES.
        cases: ProptestConfig::default().cases.max(1_000),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn counters_are_what_the_records_say(script in proptest::collection::vec(any_step(), 1..50)) {
        run(&script)?;
    }
}
