//! What a fresh instance costs where many plans take turns.
//!
//! A slot of the pool holds what its last plan left there: the memory of that plan, mapped. Whoever takes the slot of another
//! plan maps its own, so it matters whether there is a slot for each.

use anyhow::Context as _;
use wasmtime::component::Component;

use crate::choices::{COPIED, Choice, ROUNDS, SHIPPED, Tried, each, median};
use crate::measured::Measured;

/// Plans that take turns, each a component of its own.
const PLANS: usize = 96;
/// Turns of each plan in a round.
const TURNS: u64 = 20;

static CHOICES: [Choice; 3] = [
    Choice {
        name: "many_plans",
        ..SHIPPED
    },
    Choice {
        name: "many_plans_copied_memory",
        ..COPIED
    },
    Choice {
        name: "many_plans_without_slots_of_their_own",
        set: |_, pool| {
            pool.max_unused_warm_slots(1);
        },
        ..SHIPPED
    },
];

/// Nanoseconds of an instance, for each choice.
pub fn run(component: &[u8]) -> anyhow::Result<Vec<Measured>> {
    let plans: Vec<Vec<Tried>> = (CHOICES.iter())
        .map(|choice| many(choice, component))
        .collect::<anyhow::Result<_>>()?;
    let mut instances = vec![Vec::new(); plans.len()];
    for _ in 0..ROUNDS {
        for (plans, rounds) in plans.iter().zip(&mut instances) {
            let mut turns = plans.iter().cycle();
            rounds.push(each(TURNS * PLANS as u64, || {
                turns.next().context("no plan")?.call()
            })?);
        }
    }
    let names = CHOICES
        .iter()
        .map(|choice| format!("choice_{}_instance", choice.name));
    Ok(names
        .zip(instances)
        .map(|(name, rounds)| Measured::nanos(name, median(rounds)))
        .collect())
}

/// The same component many times, each a plan of its own to the pool.
fn many(choice: &'static Choice, component: &[u8]) -> anyhow::Result<Vec<Tried>> {
    let engine = choice.engine()?;
    let compiled = Component::new(&engine, component)?.serialize()?;
    (0..PLANS)
        .map(|_| {
            // SAFETY: these bytes come from `serialize` just above, by an engine that is set up alike: this very one.
            let again = unsafe { Component::deserialize(&engine, &compiled)? };
            Tried::on(choice, engine.clone(), &again)
        })
        .collect()
}
