//! One call into a plan: a fresh store and instance, fuel and deadline set, the store dropped afterwards.
//!
//! A fresh instance costs a few microseconds and makes the question of what an earlier call left behind go away,
//! also after a trap.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Linker, Lower,
    TypedFunc,
};
use wasmtime::{Engine, ResourceLimiter, Store};

use crate::bindings::{Batch, Change, Description, Outcomes, ParameterError, Rejection, Step};
use crate::engine::DEADLINE_TICKS;
use crate::fault::{Fault, Fuel, classify};
use crate::inspect::INTERFACE;
use crate::limits::Limits;
use crate::refused::Refused;

/// What a call gave, and the fuel that it took (without instantiation).
pub(crate) struct Called<R> {
    pub(crate) answer: Result<R, Fault>,
    pub(crate) fuel: u64,
}

/// A component that is ready to be instantiated, with its functions found and their types checked.
pub(crate) struct Callable {
    instance: InstancePre<Guard>,
    describe: ComponentExportIndex,
    prepare: ComponentExportIndex,
    evaluate: ComponentExportIndex,
    transition: ComponentExportIndex,
    explain: ComponentExportIndex,
    migrate: ComponentExportIndex,
}

/// What a store knows of the call that it is for.
#[derive(Default)]
pub(crate) struct Guard {
    memory_bytes_max: usize,
    table_elements_max: usize,
    grow_refused: bool,
}

impl ResourceLimiter for Guard {
    fn memory_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = desired <= maximum.unwrap_or(usize::MAX).min(self.memory_bytes_max);
        // Remembered, so that the trap in which most allocators then end can be told from other traps.
        self.grow_refused |= !allowed;
        Ok(allowed)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.grow_refused = true;
        Ok(())
    }

    fn table_growing(&mut self, _: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= maximum.unwrap_or(usize::MAX).min(self.table_elements_max))
    }
}

impl Callable {
    /// Finds the functions of the contract and checks their types.
    pub(crate) fn new(engine: &Engine, component: &Component) -> Result<Callable, Refused> {
        let missing = |found: String| Refused::Export {
            expected: INTERFACE.to_string(),
            found,
        };
        let instance = Linker::new(engine)
            .instantiate_pre(component)
            .map_err(|e| Refused::Compile {
                reason: format!("it cannot be linked: {e:#}"),
            })?;
        let interface = component
            .get_export_index(None, INTERFACE)
            .ok_or_else(|| missing("it is missing".into()))?;
        let finder = Finder { component, interface };
        Ok(Callable {
            describe: finder.find::<(), (Description,)>("describe")?,
            prepare: finder.find::<(&str,), (Result<Vec<u8>, Vec<ParameterError>>,)>("prepare")?,
            evaluate: finder.find::<(Batch<'_>,), (Outcomes,)>("evaluate")?,
            transition: finder.find::<(Batch<'_>, i64, Change<'_>), (Outcomes,)>("transition")?,
            explain: finder.find::<(Batch<'_>,), (Result<Vec<Step>, Rejection>,)>("explain")?,
            migrate: finder.find::<(u32, &[u8]), (Result<Vec<u8>, String>,)>("migrate")?,
            instance,
        })
    }

    pub(crate) fn describe(&self, limits: &Limits) -> Called<Description> {
        let fuel = Fuel {
            limit: "describe_fuel",
            max: limits.describe_fuel,
        };
        self.call(&self.describe, (), fuel, limits).first()
    }

    pub(crate) fn prepare(
        &self,
        parameters: &str,
        limits: &Limits,
    ) -> Called<Result<Vec<u8>, Vec<ParameterError>>> {
        let fuel = Fuel {
            limit: "prepare_fuel",
            max: limits.prepare_fuel,
        };
        self.call(&self.prepare, (parameters,), fuel, limits).first()
    }

    pub(crate) fn evaluate(&self, batch: Batch<'_>, fuel: u64, limits: &Limits) -> Called<Outcomes> {
        let fuel = Fuel {
            limit: "fuel_per_call",
            max: fuel,
        };
        self.call(&self.evaluate, (batch,), fuel, limits).first()
    }

    /// The second of two batches that one instance evaluates, one after the other: what the first left in its memory is
    /// there.
    pub(crate) fn evaluate_second(
        &self,
        first: Batch<'_>,
        second: Batch<'_>,
        fuel: u64,
        limits: &Limits,
    ) -> Called<Outcomes> {
        let fuel = Fuel {
            limit: "fuel_per_call",
            max: fuel,
        };
        let mut store = Store::new(self.instance.engine(), Guard::of(limits));
        let called = self.instantiate(&mut store, limits).and_then(|instance| {
            let _: (Outcomes,) = self.call_on(&mut store, instance, &self.evaluate, (first,), fuel)?;
            self.call_on(&mut store, instance, &self.evaluate, (second,), fuel)
        });
        finished(&store, called, fuel, limits).first()
    }

    pub(crate) fn transition(
        &self,
        batch: Batch<'_>,
        time: i64,
        change: Change<'_>,
        limits: &Limits,
    ) -> Called<Outcomes> {
        self.call(&self.transition, (batch, time, change), one_call(limits), limits)
            .first()
    }

    pub(crate) fn explain(&self, batch: Batch<'_>, limits: &Limits) -> Called<Result<Vec<Step>, Rejection>> {
        self.call(&self.explain, (batch,), one_call(limits), limits)
            .first()
    }

    pub(crate) fn migrate(
        &self,
        from: u32,
        state: &[u8],
        limits: &Limits,
    ) -> Called<Result<Vec<u8>, String>> {
        self.call(&self.migrate, (from, state), one_call(limits), limits)
            .first()
    }

    /// Private, so that each index meets the types that it was checked against: see the safety comment.
    fn call<P, R>(&self, export: &ComponentExportIndex, params: P, fuel: Fuel, limits: &Limits) -> Called<R>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        let mut store = Store::new(self.instance.engine(), Guard::of(limits));
        let called = self
            .instantiate(&mut store, limits)
            .and_then(|instance| self.call_on(&mut store, instance, export, params, fuel));
        finished(&store, called, fuel, limits)
    }

    /// With each error comes which fuel the guest had when it happened.
    fn instantiate(
        &self,
        store: &mut Store<Guard>,
        limits: &Limits,
    ) -> Result<Instance, (wasmtime::Error, Fuel)> {
        let starting = Fuel {
            limit: "instantiation_fuel",
            max: limits.instantiation_fuel,
        };
        store.limiter(|guard| guard);
        store.set_hostcall_fuel(limits.lifted_bytes_max);
        store.set_max_component_handles(0);
        store.set_epoch_deadline(DEADLINE_TICKS);
        store.set_fuel(starting.max).map_err(|e| (e, starting))?;
        let instance = self.instance.instantiate(&mut *store);
        instance.map_err(|e| (e, starting))
    }

    fn call_on<P, R>(
        &self,
        store: &mut Store<Guard>,
        instance: Instance,
        export: &ComponentExportIndex,
        params: P,
        fuel: Fuel,
    ) -> Result<R, (wasmtime::Error, Fuel)>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift + 'static,
    {
        // Set again: what instantiation costs differs between platforms, what the call costs does not.
        store.set_fuel(fuel.max).map_err(|e| (e, fuel))?;
        let function = instance
            .get_func(&mut *store, export)
            .ok_or_else(|| (wasmtime::format_err!("the function is gone"), fuel))?;
        // SAFETY: `Finder::find` checked this very function of this very component against these types (lifetimes
        // aside, which have no part in a component's types), and only the typed methods above come here.
        let function = unsafe { TypedFunc::<P, R>::new_unchecked(function) };
        function.call(&mut *store, params).map_err(|e| (e, fuel))
    }
}

/// What a call gave, or which fault, and the fuel that the last call in its store took.
fn finished<R>(
    store: &Store<Guard>,
    called: Result<R, (wasmtime::Error, Fuel)>,
    fuel: Fuel,
    limits: &Limits,
) -> Called<R> {
    let answer = called.map_err(|(error, had)| classify(&error, had, store.data().grow_refused, limits));
    // A store whose fuel cannot be read has spent none of it: fuel is always on.
    let left = store.get_fuel().unwrap_or(fuel.max).min(fuel.max);
    Called {
        answer,
        fuel: fuel.max - left,
    }
}

impl Guard {
    fn of(limits: &Limits) -> Guard {
        Guard {
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max as usize,
            grow_refused: false,
        }
    }
}

impl<R> Called<(R,)> {
    fn first(self) -> Called<R> {
        Called {
            answer: self.answer.map(|(answer,)| answer),
            fuel: self.fuel,
        }
    }
}

fn one_call(limits: &Limits) -> Fuel {
    Fuel {
        limit: "fuel_per_call",
        max: limits.fuel_per_call,
    }
}

/// Looks up the functions of the interface.
struct Finder<'a> {
    component: &'a Component,
    interface: ComponentExportIndex,
}

impl Finder<'_> {
    fn find<P, R>(&self, name: &str) -> Result<ComponentExportIndex, Refused>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let refuse = |found: String| Refused::Export {
            expected: format!("{INTERFACE}#{name}"),
            found,
        };
        let (item, index) = self
            .component
            .get_export(Some(&self.interface), name)
            .ok_or_else(|| refuse("the function is missing".into()))?;
        let ComponentItem::ComponentFunc(function) = item else {
            return Err(refuse("it is no function".into()));
        };
        if function.async_() {
            return Err(refuse("the function is asynchronous".into()));
        }
        function
            .typecheck::<P, R>(&self.component.component_type().instance_type())
            .map_err(|e| refuse(format!("the function has another type: {e:#}")))?;
        Ok(index)
    }
}
