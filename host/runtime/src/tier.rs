//! Classes of plans, each with an engine and limits of its own.
//!
//! A plan that was compiled ahead of time from Rust and its like is tens of kilobytes of code and one small memory. A plan
//! in TypeScript or Python carries the whole runtime of its language: megabytes of code, modules that are linked within
//! the component, a heap that was filled when it was built. Limits that fit the one are no limits for the other, and
//! instances of both in one pool would make every slot as large as the largest.
//!
//! **Rejected**: letting a plan say what it is (it would say what gives it more); one set of limits that fits all (a Rust
//! plan could then take a thousand times what it needs, on the thread that prices for others).

use std::sync::Arc;

use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use crate::cache::Cache;
use crate::engine::engine;
use crate::error::RuntimeError;
use crate::limits::Limits;

/// A class of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Compiled ahead of time: Rust and its like.
    Native,
    /// It carries the runtime of its language: TypeScript, JavaScript, Python.
    Interpreted,
}

impl Tier {
    /// As people and programs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tier::Native => "native",
            Tier::Interpreted => "interpreted",
        }
    }

    /// The tier with this name.
    pub fn named(name: &str) -> Option<Tier> {
        [Tier::Native, Tier::Interpreted]
            .into_iter()
            .find(|tier| tier.as_str() == name)
    }

    /// Where a component belongs: what links modules within itself, as only runtimes of languages do, is interpreted. What is
    /// no component at all is native, so that it is told what is wrong with it.
    pub fn of(component: &[u8]) -> Tier {
        match links_modules(component) {
            true => Tier::Interpreted,
            false => Tier::Native,
        }
    }

    /// The limits of the tier where nobody says otherwise.
    pub fn limits(self) -> Limits {
        match self {
            Tier::Native => Limits::default(),
            Tier::Interpreted => Limits::interpreted(),
        }
    }
}

/// Core modules of a native plan: its own, and what its toolchain may put around it.
const NATIVE_MODULES_MAX: usize = 4;

/// Whether a component carries more modules than a native plan has, or has one in a component within it.
fn links_modules(component: &[u8]) -> bool {
    let (mut depth, mut modules) = (0_usize, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload {
            Ok(Payload::ModuleSection { .. }) => {
                modules += 1;
                if modules > NATIVE_MODULES_MAX || depth > 0 {
                    return true;
                }
                depth += 1;
            }
            Ok(Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(_) => return false, // the inspection says what is wrong
        }
    }
    false
}

/// What runs the plans of one tier.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) cache: Option<Cache>,
    pub(crate) limits: Arc<Limits>,
}

impl Bench {
    /// Reserves the pool and starts the clock.
    pub(crate) fn new(
        tier: Tier,
        limits: Limits,
        cache_dir: Option<&std::path::Path>,
    ) -> Result<Bench, RuntimeError> {
        let engine = engine(tier, &limits)?;
        let cache = cache_dir.map(|dir| Cache::open(dir, &engine)).transpose()?;
        Ok(Bench {
            engine,
            cache,
            limits: Arc::new(limits),
        })
    }
}
