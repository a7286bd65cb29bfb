//! The `wasmtime` engine of a tier: what is switched on, what is off, and why.

use std::thread;
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, Strategy,
};

use crate::error::RuntimeError;
use crate::limits::Limits;
use crate::tier::Tier;

/// Ticks per deadline: a call is stopped at most this fraction of its deadline too late.
const TICKS_PER_DEADLINE: u64 = 10;

/// For how many ticks a call may run.
pub(crate) const DEADLINE_TICKS: u64 = TICKS_PER_DEADLINE;

/// An engine that runs plans, and the thread that moves its clock.
pub(crate) fn engine(tier: Tier, limits: &Limits) -> Result<Engine, RuntimeError> {
    let mut config = config(tier, limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(tier, limits)));
    let engine = Engine::new(&config).map_err(|e| RuntimeError::Engine {
        reason: format!("{e:#}"),
    })?;
    tick(
        &engine,
        Duration::from_millis((limits.epoch_deadline_ms / TICKS_PER_DEADLINE).max(1)),
    )?;
    Ok(engine)
}

/// How the engine of native plans is set up, for whoever measures what each choice costs. Nobody else needs it.
#[doc(hidden)]
pub fn native_engine() -> (Config, PoolingAllocationConfig) {
    let (tier, limits) = (Tier::Native, Limits::default());
    (config(tier, &limits), pool(tier, &limits))
}

/// An engine that only compiles: the same code comes out, without the pool's terabyte of address space, so that the
/// process can run under a memory limit.
pub(crate) fn compiling_engine(tier: Tier, limits: &Limits) -> Result<Engine, RuntimeError> {
    Engine::new(&config(tier, limits)).map_err(|e| RuntimeError::Engine {
        reason: format!("{e:#}"),
    })
}

/// What both have in common: all that decides the compiled code.
fn config(tier: Tier, limits: &Limits) -> Config {
    let mut config = Config::new();
    // What a plan may use: what compilers emit for wasm32-unknown-unknown, and no more. Each proposal that is off is
    // surface that does not exist.
    config
        .wasm_component_model(true)
        .wasm_bulk_memory(true)
        .wasm_multi_value(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        // What joins the components within a component copies from one memory to another. A plan's own modules have one: the
        // inspection allows no more.
        .wasm_multi_memory(tier == Tier::Interpreted)
        .wasm_memory64(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        // Sums of addresses where modules are linked within a component: what only language runtimes do.
        .wasm_extended_const(tier == Tier::Interpreted);
    // The same bytes everywhere: canonical NaNs; fuel as the limit that decides, wall clock only as a backstop.
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(limits.stack_bytes);
    // Errors without addresses in them: cheaper, and the same on each machine.
    config
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false);
    // One compilation takes one core: the others belong to those who pay.
    config.parallel_compilation(false);
    // What a memory begins with is mapped, not copied: the copy takes as long as all the rest of a small instance, and several
    // times that where source and destination lie badly to each other, which is luck of each plan's layout.
    config.memory_init_cow(true);
    config
}

/// Slots for instances, reserved once, so that a fresh instance per batch costs no system call.
fn pool(tier: Tier, limits: &Limits) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let (resident, warm) = match tier {
        // A slot goes back to the plan that had it: another one would have to map its own memory there, which takes five times
        // as long as an instance. Slots of plans that are not used wait until all are taken.
        Tier::Native => (limits.memory_bytes_max.max(1 << 20), limits.instances_max),
        // Pages beyond are given back, and mapped anew from the image. Memories are large and calls are long: the slot that was
        // just left is taken, whichever plan had it.
        Tier::Interpreted => (1 << 20, 1),
    };
    pool.linear_memory_keep_resident(resident)
        .table_keep_resident(64 << 10)
        // Resets the pages that were written and no others; off by itself where the kernel is too old (before 6.7).
        .pagemap_scan(Enabled::Auto)
        .max_unused_warm_slots(warm)
        .total_component_instances(limits.instances_max)
        .total_core_instances(limits.instances_max.saturating_mul(limits.core_instances_max))
        .total_memories(limits.instances_max.saturating_mul(limits.memories_max))
        .total_tables(limits.instances_max.saturating_mul(limits.tables_max))
        .table_elements(limits.table_elements_max as usize)
        .max_memory_size(limits.memory_bytes_max)
        .max_core_instances_per_component(limits.core_instances_max)
        .max_memories_per_component(limits.memories_max)
        .max_memories_per_module(1)
        .max_tables_per_component(limits.tables_max)
        .max_tables_per_module(limits.tables_max);
    pool
}

/// Moves the engine's clock for as long as the engine lives. A thread of its own: timers of a busy executor starve
/// just when a plan loops.
fn tick(engine: &Engine, every: Duration) -> Result<(), RuntimeError> {
    let engine = engine.weak();
    let ticking = move || {
        loop {
            thread::sleep(every);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    thread::Builder::new()
        .name("farebox-epoch".into())
        .spawn(ticking)
        .map(drop)
        .map_err(|e| RuntimeError::Engine {
            reason: format!("no thread for the clock: {e}"),
        })
}
