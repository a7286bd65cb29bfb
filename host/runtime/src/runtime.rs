//! The handle: admits components and prepares revisions.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use farebox_record::ids::{Hash, RevisionHash};
use wasmtime::component::Component;

use crate::call::Callable;
use crate::compile::{Compiler, Compiling};
use crate::describe::describe;
use crate::error::RuntimeError;
use crate::health::{Counters, Health};
use crate::inspect::inspect;
use crate::limits::Limits;
use crate::pace::Pace;
use crate::plan::{Plan, Revision};
use crate::refused::{ParameterError, Refused};
use crate::tier::{Bench, Tier};

/// How a runtime is set up.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Where compiled plans are kept across restarts; none: nowhere. The directory belongs to this runtime alone.
    pub cache_dir: Option<PathBuf>,
    /// Limits of tier `native`.
    pub limits: Limits,
    /// Limits of tier `interpreted`; none: such plans are refused.
    pub interpreted: Option<Limits>,
    /// Whether plans of that tier are taken in ([`Runtime::take_in`]). Those that were taken in before run all the same.
    pub takes_interpreted: bool,
    /// Where compilation happens.
    pub compiler: Compiler,
}

/// Admits, compiles and runs plans. Clones share everything.
///
/// One per process: each has engines of its own, one for each tier that is used, with their own reservations of address space,
/// and plans of one cannot be used with another.
///
/// All calls block the thread that makes them, for microseconds (evaluation) to seconds (admission). That thread
/// needs a stack of at least [`Limits::stack_bytes`] + 1 MiB; the 2 MiB of Rust's threads are enough.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    native: Bench,
    /// Made when the first plan needs it: its pool is as large as that of all others.
    interpreted: OnceLock<Bench>,
    interpreted_limits: Option<Limits>,
    takes_interpreted: bool,
    cache_dir: Option<PathBuf>,
    compiling: Compiling,
    /// Plans that somebody still holds: code of megabytes is there once, however often it is admitted.
    admitted: Mutex<HashMap<Hash, Weak<Plan>>>,
}

impl Runtime {
    /// Reserves the pool and starts the clock.
    pub fn new(config: Config) -> Result<Runtime, RuntimeError> {
        let Config {
            cache_dir,
            limits,
            interpreted,
            takes_interpreted,
            compiler,
        } = config;
        Ok(Runtime {
            inner: Arc::new(Inner {
                native: Bench::new(Tier::Native, limits, cache_dir.as_deref())?,
                interpreted: OnceLock::new(),
                interpreted_limits: interpreted,
                takes_interpreted,
                cache_dir,
                compiling: Compiling::new(compiler),
                admitted: Mutex::default(),
            }),
        })
    }

    /// What runs the plans of a tier.
    fn bench(&self, tier: Tier) -> Result<&Bench, Refused> {
        let inner = &*self.inner;
        match (tier, &inner.interpreted_limits) {
            (Tier::Native, _) => Ok(&inner.native),
            (Tier::Interpreted, None) => Err(Refused::Interpreted),
            (Tier::Interpreted, Some(limits)) => {
                if inner.interpreted.get().is_none() {
                    let dir = inner.cache_dir.as_ref().map(|dir| dir.join(tier.as_str()));
                    let bench = Bench::new(tier, limits.clone(), dir.as_deref());
                    let bench = bench.map_err(|error| Refused::Compile {
                        reason: error.to_string(),
                    })?;
                    // Of two that were made at once, one goes.
                    let _ = inner.interpreted.set(bench);
                }
                inner.interpreted.get().ok_or(Refused::Interpreted)
            }
        }
    }

    /// Takes a component that comes from outside: like [`Runtime::admit`], and refuses what belongs to a tier that is
    /// switched off.
    pub fn take_in(&self, component: &[u8]) -> Result<Arc<Plan>, Refused> {
        match Tier::of(component) {
            Tier::Interpreted if !self.inner.takes_interpreted => Err(Refused::Interpreted),
            _ => self.admit(component),
        }
    }

    /// Takes a component, or says why not: inspects all of it, compiles it, asks it to describe itself.
    ///
    /// Takes tens of milliseconds for a plan of usual size that is not in the cache. A plan that was admitted before, and that
    /// anybody still holds, is the same one.
    pub fn admit(&self, component: &[u8]) -> Result<Arc<Plan>, Refused> {
        let hash = Hash::of(component);
        if let Some(plan) = self.admitted().get(&hash).and_then(Weak::upgrade) {
            return Ok(plan);
        }
        let tier = Tier::of(component);
        let bench = self.bench(tier)?;
        let limits = &bench.limits;
        inspect(component, tier, limits)?;
        let compiled = self.compiled(bench, tier, hash, component)?;
        let callable = Callable::new(&bench.engine, &compiled)?;
        let said = callable
            .describe(limits)
            .answer
            .map_err(|fault| Refused::Faulted {
                during: "describe",
                fault,
            })?;
        let description = describe(said, limits)?;
        let plan = Arc::new(Plan {
            hash,
            tier,
            description,
            callable,
            limits: limits.clone(),
        });
        let mut admitted = self.admitted();
        admitted.retain(|_, plan| plan.strong_count() > 0);
        admitted.insert(hash, Arc::downgrade(&plan));
        Ok(plan)
    }

    fn admitted(&self) -> MutexGuard<'_, HashMap<Hash, Weak<Plan>>> {
        // Whoever panicked with it has not left half of anything in it.
        self.inner.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives parameters (JSON text) to a plan.
    pub fn prepare(&self, plan: &Arc<Plan>, parameters: &str) -> Result<Arc<Revision>, Refused> {
        let limits = &plan.limits;
        let too_large = |what: &str, limit, actual: usize, max: usize| Refused::TooLarge {
            what: what.into(),
            limit,
            actual: actual as u64,
            max: max as u64,
        };
        if parameters.len() > limits.parameters_bytes_max {
            let (actual, max) = (parameters.len(), limits.parameters_bytes_max);
            return Err(too_large(
                "the text of the parameters, in bytes,",
                "parameters_bytes_max",
                actual,
                max,
            ));
        }
        let prepared = plan
            .callable
            .prepare(parameters, limits)
            .answer
            .map_err(|fault| Refused::Faulted {
                during: "prepare",
                fault,
            })?
            .map_err(|errors| Refused::Parameters {
                errors: parameter_errors(errors, limits),
            })?;
        if prepared.len() > limits.prepared_bytes_max {
            let (actual, max) = (prepared.len(), limits.prepared_bytes_max);
            return Err(too_large(
                "the prepared form of the parameters, in bytes,",
                "prepared_bytes_max",
                actual,
                max,
            ));
        }
        Ok(Arc::new(Revision {
            hash: RevisionHash {
                component: plan.hash,
                parameters: Hash::of(parameters.as_bytes()),
            },
            plan: plan.clone(),
            prepared: prepared.into(),
            counters: Counters::default(),
            pace: Pace::unknown(limits),
        }))
    }

    /// What a revision did since it was prepared in this process.
    pub fn health(&self, revision: &Revision) -> Health {
        revision.health()
    }

    /// From the cache, or from the compiler.
    fn compiled(
        &self,
        bench: &Bench,
        tier: Tier,
        hash: Hash,
        component: &[u8],
    ) -> Result<Component, Refused> {
        if let Some(component) = cached(bench, hash) {
            return Ok(component);
        }
        let turn = self.inner.compiling.turn(&bench.limits)?;
        // Whoever had the turn before may have compiled the same: a push that is tried again while it lasts.
        if let Some(component) = cached(bench, hash) {
            return Ok(component);
        }
        let code = self.inner.compiling.compile(&turn, bench, tier, component)?;
        // SAFETY: the bytes come straight from the compiler: this process, or the child that runs the same program.
        let compiled =
            unsafe { Component::deserialize(&bench.engine, &code) }.map_err(|e| Refused::Compile {
                reason: format!("{e:#}"),
            })?;
        if let Some(cache) = &bench.cache {
            cache.store(hash, &code);
        }
        Ok(compiled)
    }
}

/// What was compiled before, for this engine.
fn cached(bench: &Bench, hash: Hash) -> Option<Component> {
    let code = bench.cache.as_ref()?.load(hash)?;
    // SAFETY: the bytes carry the seal of this cache, so this program (or one with its key) wrote them with an engine of the
    // same fingerprint. The engine checks version and settings once more.
    match unsafe { Component::deserialize(&bench.engine, &code) } {
        Ok(component) => Some(component),
        Err(error) => {
            tracing::warn!(%error, "a compiled plan does not fit the engine; compiling again");
            None
        }
    }
}

/// The plan's own errors, cut to what the limits allow: an author must see them whatever their number.
fn parameter_errors(said: Vec<crate::bindings::ParameterError>, limits: &Limits) -> Vec<ParameterError> {
    let cut = |text: String| match text.len() > limits.message_bytes_max {
        true => text.chars().take(limits.message_bytes_max / 4).collect(),
        false => text,
    };
    let mut errors: Vec<_> = said
        .into_iter()
        .take(limits.parameter_errors_max)
        .map(|e| ParameterError {
            pointer: cut(e.pointer),
            message: cut(e.message),
        })
        .collect();
    if errors.is_empty() {
        let message = "the plan refuses them without saying why".to_string();
        errors.push(ParameterError {
            pointer: String::new(),
            message,
        });
    }
    errors
}
