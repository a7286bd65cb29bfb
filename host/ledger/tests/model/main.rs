//! Random histories, decided twice: by the ledger and by a naive model that shares no code with it. After every
//! command both must have told the caller the same and hold the same, to the nano and to the grant; and every check
//! of the ledger itself runs too (see `world`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what cannot be has failed"
)]

#[path = "../world/mod.rs"]
mod world;

mod calls;
mod cover;
mod fraction;
mod reference;
mod steps;

use std::collections::BTreeMap;

use farebox_ledger::{Refusal, Retry, compare};
use farebox_money::Nanos;
use farebox_record::outcome::{Answer, HoldEnd};
use farebox_record::state::{GrantPhase, SliceSource};
use proptest::prelude::*;

use reference::{Model, Source, Told};
use steps::{ASSETS, Step, Steps};
use world::{START, World};

/// The ledger's word, in the model's terms.
fn told(result: &Result<Answer, Refusal>) -> Told {
    let answer = match result {
        Ok(answer) => answer,
        Err(Refusal::UnknownHold)
        | Err(Refusal::HoldEnded {
            end: HoldEnd::Expired,
        }) => {
            return Told::new("gone");
        }
        Err(Refusal::AboveHold { .. }) => return Told::new("above hold"),
        Err(other) => panic!("refused: {other}"),
    };
    let mut told = Told::default();
    let mut add = |name, amounts: &[(farebox_money::Asset, Nanos)]| {
        for (asset, amount) in amounts {
            told.add(name, asset.as_str(), amount.get());
        }
    };
    let what = match answer {
        Answer::Charged { .. } => "charged".to_string(),
        Answer::Allowed(a) => {
            add("held", &a.held);
            "allowed".into()
        }
        Answer::Extended { held, .. } => {
            add("held", held);
            "extended".into()
        }
        Answer::HoldEnded { returned, .. } => {
            add("returned", returned);
            "released".into()
        }
        Answer::Denied(d) => {
            let asset = d.asset.clone().unwrap();
            add("required", &[(asset.clone(), d.required)]);
            add("available", &[(asset, d.available)]);
            format!("denied: {:?}", d.reason)
        }
        Answer::Settled(s) => {
            add("posted", &s.posted);
            add("returned", &s.returned);
            add("held", &s.held);
            add("debt", &s.debt);
            add("waived", &s.waived);
            let what = if s.ended { "settled" } else { "part" };
            format!("{what}{}", if s.late { " late" } else { "" })
        }
        Answer::Granted { paid_debt, .. } => {
            for asset in ASSETS {
                // The model says in which asset; the answer need not.
                told.add("paid debt", asset, paid_debt.get());
            }
            "granted".into()
        }
        other => panic!("{other:?}"),
    };
    told.what = what;
    told
}

/// Compares everything that both know.
fn same(world: &World, model: &Model) -> Result<(), TestCaseError> {
    let wallet = &world.wallet;
    prop_assert_eq!(wallet.header().sequence, model.records, "records");
    for asset in ASSETS {
        let of = |sums: &BTreeMap<&'static str, i128>| sums.get(asset).copied().unwrap_or(0);
        let active = model.grants.iter().filter(|g| g.asset == asset);
        let free: i128 = active.clone().filter(|g| !g.waiting).map(|g| g.free).sum();
        let pinned: i128 = active.map(|g| model.held(&g.id)).sum();
        let credit: i128 = model.holds.iter().filter_map(|h| h.credit.get(asset)).sum();
        let expected = [free, pinned + credit, of(&model.debt), of(&model.receivable)];
        prop_assert_eq!(world.balance(asset), expected.map(Nanos::new), "{}", asset);
        let totals = wallet.header().assets.get(asset).copied().unwrap_or_default();
        prop_assert_eq!(totals.revenue.get(), of(&model.revenue), "revenue of {}", asset);
        prop_assert_eq!(
            totals.breakage.get(),
            of(&model.breakage),
            "breakage of {}",
            asset
        );
    }
    let mut stored: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    for (id, grant) in wallet.grants() {
        stored.insert(id.to_string(), (grant.available.get(), grant.held.get()));
    }
    for grant in &model.grants {
        let expected = (grant.free, model.held(&grant.id));
        let (free, held) = stored.remove(&grant.id).unwrap_or_default();
        prop_assert_eq!((free, held), expected, "grant {}", &grant.id);
    }
    prop_assert!(stored.is_empty(), "the model has no {:?}", stored);
    same_holds(world, model)?;
    lifetimes(world)
}

fn same_holds(world: &World, model: &Model) -> Result<(), TestCaseError> {
    for hold in &model.holds {
        let reference = world::make::reference(&hold.id);
        let Some(stored) = world.wallet.hold(&reference) else {
            prop_assert!(hold.ended || hold.forgotten, "hold {} is gone", &hold.id);
            continue;
        };
        prop_assert!(!hold.ended && !hold.forgotten, "hold {} is still there", &hold.id);
        prop_assert_eq!(stored.expired.is_some(), hold.expired);
        prop_assert_eq!(stored.expires, world::t(hold.expires));
        let pins: BTreeMap<String, i128> = stored
            .pins
            .iter()
            .map(|p| (p.grant.to_string(), p.amount.get()))
            .collect();
        prop_assert_eq!(&pins, &hold.pins, "pins of {}", &hold.id);
        prop_assert_eq!(pins.len(), stored.pins.len(), "one pin for each grant");
        let mut taken: BTreeMap<(usize, &str, Source), i128> = BTreeMap::new();
        for slice in &stored.taken {
            let source = match &slice.from {
                SliceSource::Grant(id) => Source::Grant(id.to_string()),
                SliceSource::Debt => Source::Debt,
                SliceSource::Receivable => Source::Receivable,
            };
            let asset = *ASSETS.iter().find(|a| **a == slice.asset.as_str()).unwrap();
            taken.insert((usize::from(slice.charge), asset, source), slice.amount.get());
        }
        prop_assert_eq!(&taken, &hold.taken, "slices of {}", &hold.id);
    }
    Ok(())
}

/// A grant is there as long as there is something of it or something may come back to it, and no longer.
fn lifetimes(world: &World) -> Result<(), TestCaseError> {
    let holds: Vec<_> = world.wallet.holds().map(|(_, hold)| hold).collect();
    let named = |id: &farebox_record::ids::GrantId| {
        let source = SliceSource::Grant(id.clone());
        holds
            .iter()
            .any(|h| h.taken.iter().any(|slice| slice.from == source))
    };
    for (id, grant) in world.wallet.grants() {
        let empty = grant.available.is_zero() && grant.held.is_zero();
        prop_assert!(
            !empty || grant.phase == GrantPhase::Waiting || named(id),
            "{} should be gone",
            id
        );
    }
    for slice in holds.iter().flat_map(|h| &h.taken) {
        if let SliceSource::Grant(id) = &slice.from {
            prop_assert!(
                world.wallet.grants().any(|(g, _)| g == id),
                "{} is gone too early",
                id
            );
        }
    }
    Ok(())
}

/// Every request that was ever answered gets the same answer again, and changes nothing.
fn retried(world: &World, index: usize) -> Result<(), TestCaseError> {
    let record = &world.records[index % world.records.len()];
    if record.command.identity().is_none() {
        return Ok(()); // What the host does by itself is never asked for twice.
    }
    let same = Retry::Same(record.outcome.answer.clone());
    prop_assert_eq!(compare(&record.command, record), same);
    Ok(())
}

fn run(script: &[Step]) -> Result<(), TestCaseError> {
    let mut steps = Steps::new();
    for step in script {
        match step {
            Step::Crash => steps.world.crash(),
            Step::Retry(index) => retried(&steps.world, *index)?,
            Step::Advance(by) => {
                steps.world.advance(*by);
                let seconds = (steps.world.now.as_micros() - START.as_micros()) / 1_000_000;
                steps.model.advance(seconds);
            }
            other => {
                if let Some((asked, expected)) = steps.take(other) {
                    let mut told = told(&asked);
                    if told.what == "granted" {
                        // Only in the asset of the grant.
                        told.amounts.retain(|key, _| expected.amounts.contains_key(key));
                    }
                    prop_assert_eq!(told, expected, "{:?}", other);
                }
            }
        }
        same(&steps.world, &steps.model).map_err(|e| TestCaseError::fail(format!("after {step:?}: {e}")))?;
    }
    Ok(())
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        // More with PROPTEST_CASES.
        cases: ProptestConfig::default().cases.max(2_000),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_ledger_does_what_the_model_says(script in proptest::collection::vec(steps::any_step(), 1..60)) {
        run(&script)?;
    }
}
