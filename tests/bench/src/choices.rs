//! What each choice of the sandbox costs: the engine as it is shipped, beside the same with one choice taken back.
//!
//! A call that does next to nothing (`migrate`, which the plan refuses) in a fresh instance shows what an instance costs; one
//! that computes (`prepare`, which reads a price list) shows what counting fuel and watching the clock cost. All take turns,
//! so that a slow moment of the machine meets all of them.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use farebox_runtime::{INTERFACE, native_engine};
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use crate::crossing;
use crate::many;
use crate::measured::{Measured, nanos_since};

/// Instances of a round.
const INSTANCES: u64 = 2_000;
/// Calls of `prepare` of a round.
const PREPARED: u64 = 20;
/// Rounds; the median is told.
pub(crate) const ROUNDS: usize = 9;
/// Fuel and time that never run out here.
pub(crate) const PLENTY: u64 = 1 << 40;
/// Bytes of a page of memory.
const PAGE: usize = 64 << 10;
/// The largest memory that is tried.
const MEMORY_MAX: usize = 16 << 20;

/// One choice taken back.
pub(crate) struct Choice {
    pub(crate) name: &'static str,
    pub(crate) set: fn(&mut Config, &mut PoolingAllocationConfig),
    pub(crate) pooled: bool,
    pub(crate) fuel: bool,
    pub(crate) epochs: bool,
}

pub(crate) const SHIPPED: Choice = Choice {
    name: "shipped",
    set: |_, _| {},
    pooled: true,
    fuel: true,
    epochs: true,
};

pub(crate) const COPIED: Choice = Choice {
    name: "with_copied_memory",
    set: |config, _| {
        config.memory_init_cow(false);
    },
    ..SHIPPED
};

const CHOICES: [Choice; 8] = [
    SHIPPED,
    Choice {
        name: "without_fuel",
        set: |config, _| {
            config.consume_fuel(false);
        },
        fuel: false,
        ..SHIPPED
    },
    Choice {
        name: "without_epochs",
        set: |config, _| {
            config.epoch_interruption(false);
        },
        epochs: false,
        ..SHIPPED
    },
    Choice {
        name: "without_pool",
        pooled: false,
        ..SHIPPED
    },
    Choice {
        name: "without_pagemap_scan",
        set: |_, pool| {
            pool.pagemap_scan(Enabled::No);
        },
        ..SHIPPED
    },
    Choice {
        name: "without_resident_memory",
        set: |_, pool| {
            pool.linear_memory_keep_resident(0).table_keep_resident(0);
        },
        ..SHIPPED
    },
    COPIED,
    Choice {
        name: "with_backtraces",
        set: |config, _| {
            config.wasm_backtrace_max_frames(std::num::NonZeroUsize::new(20));
            config.generate_address_map(true).native_unwind_info(true);
        },
        ..SHIPPED
    },
];

impl Choice {
    pub(crate) fn engine(&self) -> anyhow::Result<Engine> {
        let (mut config, mut pool) = native_engine();
        (self.set)(&mut config, &mut pool);
        if self.pooled {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        }
        Ok(Engine::new(&config)?)
    }
}

/// An error of `prepare`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct ParameterError {
    #[expect(dead_code, reason = "a part of the type")]
    pointer: String,
    message: String,
}

/// A plan under one choice.
pub(crate) struct Tried {
    choice: &'static Choice,
    engine: Engine,
    instance: InstancePre<()>,
    migrate: ComponentExportIndex,
    prepare: ComponentExportIndex,
}

impl Tried {
    fn new(choice: &'static Choice, bytes: &[u8]) -> anyhow::Result<Tried> {
        let engine = choice.engine()?;
        let component = Component::new(&engine, bytes)?;
        Tried::on(choice, engine, &component)
    }

    /// A component that is compiled already.
    pub(crate) fn on(
        choice: &'static Choice,
        engine: Engine,
        component: &Component,
    ) -> anyhow::Result<Tried> {
        let interface = component.get_export_index(None, INTERFACE).context("no plan")?;
        let find = |name: &str| {
            let found = component.get_export_index(Some(&interface), name);
            found.with_context(|| format!("no {name}"))
        };
        Ok(Tried {
            choice,
            migrate: find("migrate")?,
            prepare: find("prepare")?,
            instance: Linker::new(&engine).instantiate_pre(component)?,
            engine,
        })
    }

    fn store(&self) -> anyhow::Result<Store<()>> {
        let mut store = Store::new(&self.engine, ());
        if self.choice.fuel {
            store.set_fuel(PLENTY)?;
        }
        if self.choice.epochs {
            store.set_epoch_deadline(PLENTY);
        }
        Ok(store)
    }

    /// A fresh instance and a call that does next to nothing.
    pub(crate) fn call(&self) -> anyhow::Result<()> {
        let mut store = self.store()?;
        let instance = self.instance.instantiate(&mut store)?;
        let migrate =
            instance.get_typed_func::<(u32, &[u8]), (Result<Vec<u8>, String>,)>(&mut store, &self.migrate)?;
        let (refused,) = migrate.call(&mut store, (1, &[]))?;
        black_box(refused.is_err());
        Ok(())
    }

    /// The same call, in one instance for all of them.
    fn reused(&self, calls: u64) -> anyhow::Result<u64> {
        let mut store = self.store()?;
        let instance = self.instance.instantiate(&mut store)?;
        let migrate =
            instance.get_typed_func::<(u32, &[u8]), (Result<Vec<u8>, String>,)>(&mut store, &self.migrate)?;
        let start = Instant::now();
        for _ in 0..calls {
            let (refused,) = migrate.call(&mut store, (1, &[]))?;
            black_box(refused.is_err());
        }
        Ok(nanos_since(start) / calls)
    }

    /// A call that computes.
    fn prepare(&self, parameters: &str) -> anyhow::Result<()> {
        let mut store = self.store()?;
        let instance = self.instance.instantiate(&mut store)?;
        let prepare = instance
            .get_typed_func::<(&str,), (Result<Vec<u8>, Vec<ParameterError>>,)>(&mut store, &self.prepare)?;
        let (prepared,) = prepare.call(&mut store, (parameters,))?;
        if let Err(errors) = black_box(prepared) {
            let first = errors.first().map(|error| error.message.clone());
            bail!("the parameters are refused: {first:?}");
        }
        Ok(())
    }
}

/// Nanoseconds of an instance and of a call that computes, for each choice, and of instances with larger memories.
pub fn run(component: &Path, parameters: &Path) -> anyhow::Result<Vec<Measured>> {
    let bytes = std::fs::read(component).with_context(|| format!("cannot read {}", component.display()))?;
    let parameters = std::fs::read_to_string(parameters)?;
    let tried: Vec<Tried> = (CHOICES.iter())
        .map(|choice| Tried::new(choice, &bytes))
        .collect::<anyhow::Result<_>>()?;
    let (mut instances, mut computed) = (vec![Vec::new(); tried.len()], vec![Vec::new(); tried.len()]);
    let mut reused = Vec::new();
    for _ in 0..ROUNDS {
        for (at, plan) in tried.iter().enumerate() {
            instances[at].push(each(INSTANCES, || plan.call())?);
            computed[at].push(each(PREPARED, || plan.prepare(&parameters))?);
        }
        reused.push(tried[0].reused(INSTANCES)?);
    }
    let mut all = Vec::new();
    for ((plan, instance), compute) in tried.iter().zip(instances).zip(computed) {
        let name = plan.choice.name;
        all.push(Measured::nanos(
            format!("choice_{name}_instance"),
            median(instance),
        ));
        all.push(Measured::nanos(format!("choice_{name}_prepare"), median(compute)));
    }
    all.push(Measured::nanos("choice_reused_instance", median(reused)));
    all.extend(many::run(&bytes)?);
    all.extend(memories()?);
    all.extend(crossing::run()?);
    Ok(all)
}

/// What a fresh instance costs by the size of its memory, of which it writes one page, with the pages that were written
/// looked for and without.
fn memories() -> anyhow::Result<Vec<Measured>> {
    let mut all = Vec::new();
    for bytes in [4 * PAGE, 1 << 20, MEMORY_MAX] {
        for (way, scan) in [("scanned", Enabled::Auto), ("whole", Enabled::No)] {
            let (mut config, mut pool) = native_engine();
            pool.max_memory_size(MEMORY_MAX)
                .linear_memory_keep_resident(MEMORY_MAX)
                .pagemap_scan(scan);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
            let engine = Engine::new(&config)?;
            let pages = bytes / PAGE;
            let text = format!(
                "(module (memory {pages} {pages}) (func (export \"touch\") (i32.store (i32.const 5000) (i32.const 1))))"
            );
            let module = wasmtime::Module::new(&engine, wat::parse_str(text)?)?;
            let instance = wasmtime::Linker::<()>::new(&engine).instantiate_pre(&module)?;
            let touch = || {
                let mut store = Store::new(&engine, ());
                store.set_fuel(PLENTY)?;
                store.set_epoch_deadline(PLENTY);
                let instance = instance.instantiate(&mut store)?;
                instance
                    .get_typed_func::<(), ()>(&mut store, "touch")?
                    .call(&mut store, ())?;
                Ok(())
            };
            let rounds = (0..ROUNDS).map(|_| each(INSTANCES / 10, touch));
            let rounds = rounds.collect::<anyhow::Result<Vec<u64>>>()?;
            let name = format!("choice_memory_{}_kib_{way}", bytes >> 10);
            all.push(Measured::nanos(name, median(rounds)));
        }
    }
    Ok(all)
}

/// Nanoseconds of each of so many calls.
pub(crate) fn each(calls: u64, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(nanos_since(start) / calls)
}

pub(crate) fn median(mut rounds: Vec<u64>) -> u64 {
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}
