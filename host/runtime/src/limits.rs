//! Every limit that a plan runs under, in one place, each with its unit last.
//!
//! A limit that is exceeded is named in the error with the field's name below, so that a person who reads
//! `state_bytes_max` in a log finds it here.

/// States of an earlier version that a batch keeps as they were taken over, so that the plan is not asked again: as long as its
/// revision is the same. At most two states each.
pub const TAKEN_OVER_KEPT_MAX: usize = 64;

/// The limits of one tier of plans. The defaults are tier `native`: plans compiled ahead of time from Rust and its
/// like, tens of kilobytes of code, a few thousand instructions per event.
///
/// Guests that carry a language runtime (TypeScript, Python) are a tier of their own, [`Limits::interpreted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    // ---- what is admitted ------------------------------------------------------------------------------------
    /// Size of the component. A plan built with the SDK has 30 to 150 KiB.
    pub component_bytes_max: usize,
    /// Functions in all core modules together. Bounds the compiler.
    pub functions_max: u32,
    /// Code of one function. Compilers are worse than linear in it, so this bounds them more than the total does.
    pub function_bytes_max: usize,
    /// Largest maximum that the plan's memory may declare. One size for the tier: the pool hands the same slots to
    /// all plans, and equal sizes make that free of system calls.
    pub memory_bytes_max: usize,
    /// Memories of one plan. With more than one, none needs to declare a maximum: the pool's is in force.
    pub memories_max: u32,
    /// Elements of one table.
    pub table_elements_max: u32,
    /// Tables of one plan: the one that compilers make, and those that components add for their own wiring.
    pub tables_max: u32,
    /// Core instances of one plan.
    pub core_instances_max: u32,
    /// Wall-clock time of one compilation.
    pub compile_seconds_max: u32,
    /// Address space of the compiling process, where compilation has its own (see [`crate::Compiler`]).
    pub compile_memory_bytes_max: u64,

    // ---- what a call may use ---------------------------------------------------------------------------------
    /// Fuel (about one per instruction) of one trigger that is evaluated alone, of a transition, an explanation, a
    /// migration. The default is some 10 ms.
    pub fuel_per_call: u64,
    /// Fuel of a batch, whatever is in it ...
    pub fuel_per_batch: u64,
    /// ... and on top for each of its triggers. Never more than [`Limits::fuel_per_call`] in sum, see
    /// [`Limits::batch_fuel`].
    pub fuel_per_trigger: u64,
    /// Fuel of creating an instance: its start function, if any. Set apart because what instantiation itself costs
    /// differs between platforms.
    pub instantiation_fuel: u64,
    /// Fuel of `describe`.
    pub describe_fuel: u64,
    /// Fuel of `prepare`, which may parse 64 KiB of JSON.
    pub prepare_fuel: u64,
    /// Wall-clock time of one call. A backstop behind fuel, for what fuel misjudges and for machines that stall: far
    /// above what fuel allows, because hitting it says nothing about the plan.
    pub epoch_deadline_ms: u64,
    /// Stack of the plan's code. Threads that evaluate need at least 1 MiB more than this.
    pub stack_bytes: usize,
    /// Bytes that one answer may make the host allocate, while it is read.
    pub lifted_bytes_max: usize,
    /// Instances alive at once in this process: at least one per thread that evaluates. So many plans also keep a slot of their
    /// own between their calls. From 128 on `wasmtime` deals the slots out among the threads, so that each thread has few.
    pub instances_max: u32,

    // ---- what goes in ----------------------------------------------------------------------------------------
    /// Parameters, as JSON text.
    pub parameters_bytes_max: usize,
    /// Triggers of one batch.
    pub triggers_per_batch_max: usize,
    /// A batch is full once it has this many bytes. It must leave the plan room to work in its memory.
    pub batch_bytes_max: usize,

    // ---- what comes out --------------------------------------------------------------------------------------
    /// Prepared parameters.
    pub prepared_bytes_max: usize,
    /// State of a subscription or of a subject.
    pub state_bytes_max: usize,
    /// Charges of one trigger.
    pub charges_per_trigger_max: usize,
    /// Links of one charge's `otherwise` chain.
    pub otherwise_links_max: usize,
    /// Grants of one trigger.
    pub grants_per_trigger_max: usize,
    /// Timers of one trigger.
    pub timers_per_trigger_max: usize,
    /// Conditions (codes and attributes together) of one grant.
    pub grant_conditions_max: usize,
    /// How far ahead a subject may ask to be kept.
    pub subject_days_max: i64,
    /// The name of a subject: the value of the attribute that a plan follows. It is part of the key under which the subject is
    /// kept.
    pub subject_bytes_max: usize,
    /// Codes of charges, keys of timers, names of measures and attributes.
    pub name_bytes_max: usize,
    /// Labels and units that people read.
    pub label_bytes_max: usize,
    /// Messages of rejections and errors, each text of an explanation.
    pub message_bytes_max: usize,
    /// Steps of one explanation.
    pub steps_max: usize,
    /// Errors that `prepare` may list.
    pub parameter_errors_max: usize,

    // ---- what a plan describes -------------------------------------------------------------------------------
    /// Assets.
    pub assets_max: usize,
    /// Types of events.
    pub event_types_max: usize,
    /// Measures.
    pub measures_max: usize,
    /// Attributes.
    pub attributes_max: usize,
    /// Charges.
    pub charges_max: usize,
    /// JSON Schema of the parameters.
    pub schema_bytes_max: usize,

    // ---- when a revision is taken out of service -------------------------------------------------------------
    /// Of this many triggers that share a batch, one is evaluated again alone and compared. 0: none.
    pub sample_every_triggers: u64,
    /// Faults of one batch after which the rest of it is given up.
    pub faults_per_batch_max: usize,
    /// Triggers of one batch that ran into the wall clock (twice, and alone) after which the rest of it is given up.
    pub timeouts_per_batch_max: usize,
    /// Faults after which the revision is quarantined ...
    pub faults_tolerated: u32,
    /// ... of which one is forgiven for each so many triggers that it answers.
    pub fault_forgiven_after_triggers: u32,

    // ---- when a revision is slow -------------------------------------------------------------------------------
    /// Fuel that a call may take on average, whatever is in it ...
    pub quick_fuel_per_call: u64,
    /// ... and on top for each of its triggers. What a revision takes beyond, it owes. Standard plans take 8,000 to 60,000 for a
    /// call of one trigger, most of it for their parameters, and 2,000 to 5,000 for each further one.
    pub quick_fuel_per_trigger: u64,
    /// Fuel that a revision may owe before it is slow ([`crate::Revision::is_slow`]): two calls that run to their limit.
    pub owed_fuel_tolerated: u64,
    /// Fuel that a revision owes at most, however much it took: so that one which became quick is quick again soon.
    pub owed_fuel_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            component_bytes_max: 1 << 20,
            functions_max: 8_192,
            function_bytes_max: 128 << 10,
            memory_bytes_max: 4 * 65_536,
            memories_max: 1,
            table_elements_max: 1_000,
            tables_max: 4,
            core_instances_max: 4,
            compile_seconds_max: 20,
            compile_memory_bytes_max: 2 << 30,

            fuel_per_call: 12_000_000,
            fuel_per_batch: 2_000_000,
            fuel_per_trigger: 40_000,
            instantiation_fuel: 1_000_000,
            describe_fuel: 20_000_000,
            prepare_fuel: 100_000_000,
            epoch_deadline_ms: 500,
            stack_bytes: 256 << 10,
            lifted_bytes_max: 1 << 20,
            instances_max: 127,

            parameters_bytes_max: 64 << 10,
            triggers_per_batch_max: 256,
            batch_bytes_max: 96 << 10,

            prepared_bytes_max: 64 << 10,
            state_bytes_max: 16 << 10,
            charges_per_trigger_max: 64,
            otherwise_links_max: 3,
            grants_per_trigger_max: 16,
            timers_per_trigger_max: 16,
            grant_conditions_max: 64,
            subject_days_max: 400,
            subject_bytes_max: 256,
            name_bytes_max: 64,
            label_bytes_max: 256,
            message_bytes_max: 1_024,
            steps_max: 1_024,
            parameter_errors_max: 100,

            assets_max: 16,
            event_types_max: 64,
            measures_max: 64,
            attributes_max: 64,
            charges_max: 256,
            schema_bytes_max: 64 << 10,

            sample_every_triggers: 256,
            faults_per_batch_max: 16,
            timeouts_per_batch_max: 1,
            faults_tolerated: 16,
            fault_forgiven_after_triggers: 1_024,

            quick_fuel_per_call: 60_000,
            quick_fuel_per_trigger: 20_000,
            owed_fuel_tolerated: 24_000_000,
            owed_fuel_max: 96_000_000,
        }
    }
}

impl Limits {
    /// The limits of tier `interpreted`: what a language runtime needs that was built into the component. Measured with QuickJS
    /// (1.9 MiB, 1.6 MiB of memory) and CPython (18 MiB, 12.3 MiB of memory); an event of a plan with tiers takes either of them
    /// some 1,100,000 instructions.
    pub fn interpreted() -> Limits {
        Limits {
            component_bytes_max: 24 << 20,
            functions_max: 16_384,
            function_bytes_max: 512 << 10,
            memory_bytes_max: 32 << 20,
            memories_max: 4,
            table_elements_max: 10_000,
            tables_max: 8,
            core_instances_max: 128,
            compile_seconds_max: 120,
            compile_memory_bytes_max: 4 << 30,

            fuel_per_call: 400_000_000,
            fuel_per_batch: 20_000_000,
            fuel_per_trigger: 4_000_000,
            instantiation_fuel: 20_000_000,
            describe_fuel: 200_000_000,
            prepare_fuel: 1_000_000_000,
            epoch_deadline_ms: 5_000,
            stack_bytes: 512 << 10,
            instances_max: 64,

            triggers_per_batch_max: 64,
            ..Limits::default()
        }
    }

    /// Fuel of a batch of `triggers`.
    ///
    /// Never more than one trigger gets alone, and that is what makes a batch mean the same as its triggers one at a
    /// time: whatever a trigger did within a batch, it can do alone. A batch that needs more is evaluated one trigger
    /// at a time, where each has [`Limits::fuel_per_call`].
    pub fn batch_fuel(&self, triggers: usize) -> u64 {
        if triggers == 1 {
            return self.fuel_per_call;
        }
        let wanted = self
            .fuel_per_trigger
            .saturating_mul(triggers as u64)
            .saturating_add(self.fuel_per_batch);
        wanted.min(self.fuel_per_call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_never_gets_more_than_one_trigger_alone() {
        for limits in [Limits::default(), Limits::interpreted()] {
            for triggers in 0..=limits.triggers_per_batch_max {
                assert!(limits.batch_fuel(triggers) <= limits.batch_fuel(1), "{triggers}");
            }
        }
    }

    #[test]
    fn any_single_trigger_leaves_a_plan_half_of_its_memory() {
        let limits = Limits::default();
        let numbers = limits.measures_max * 8 + 256;
        let largest = limits.prepared_bytes_max + 2 * limits.state_bytes_max + numbers;
        assert!(largest <= limits.memory_bytes_max / 2);
    }
}
