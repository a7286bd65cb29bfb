//! What is checked about a component before any of it is compiled or run.

use wasmparser::{Chunk, ComponentExternalKind, Encoding, Parser, Payload, Validator, WasmFeatures};
use wasmtime::Engine;

use crate::limits::Limits;
use crate::refused::Refused;
use crate::tier::Tier;

/// The interface that a plan exports.
pub const INTERFACE: &str = "farebox:plan/pricing@0.1.0";

/// Its name without the version, to tell another version from another thing.
const INTERFACE_UNVERSIONED: &str = "farebox:plan/pricing";

/// The proposals that the engine has switched on, for the validator (which is a newer version of the same code).
fn features(tier: Tier) -> WasmFeatures {
    let common = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::SIMD
        | WasmFeatures::FLOATS
        | WasmFeatures::COMPONENT_MODEL;
    match tier {
        Tier::Native => common,
        Tier::Interpreted => common | WasmFeatures::EXTENDED_CONST,
    }
}

/// Refuses what is no plan, with a reason that its author understands.
pub(crate) fn inspect(bytes: &[u8], tier: Tier, limits: &Limits) -> Result<(), Refused> {
    too_large(
        "the component, in bytes,",
        "component_bytes_max",
        bytes.len(),
        limits.component_bytes_max,
    )?;
    if Engine::detect_precompiled(bytes).is_some() {
        return Err(Refused::Precompiled);
    }
    if !bytes.starts_with(b"\0asm") {
        let reason = if bytes.is_empty() {
            "the file is empty"
        } else {
            "it does not begin like WebAssembly"
        };
        return Err(Refused::Malformed {
            reason: reason.into(),
            offset: 0,
        });
    }
    if matches!(
        Parser::new(0).parse(bytes, true),
        Ok(Chunk::Parsed {
            payload: Payload::Version {
                encoding: Encoding::Module,
                ..
            },
            ..
        })
    ) {
        return Err(Refused::CoreModule);
    }
    Validator::new_with_features(features(tier))
        .validate_all(bytes)
        .map_err(|e| malformed(&e))?;
    let found = Findings::of(bytes, limits)?;
    if let Some(import) = found.import {
        return Err(Refused::Imports { import });
    }
    found.check_exports()?;
    found.check_memories(limits)
}

/// What a walk over the sections found.
#[derive(Default)]
struct Findings {
    /// The first import of the component itself.
    import: Option<String>,
    /// Names of exported instances.
    instances: Vec<String>,
    /// Names of everything else that is exported.
    others: Vec<String>,
    /// Each memory's maximum in bytes, where it has one.
    memories: Vec<Option<u64>>,
    functions: u32,
}

/// What encloses the payload that is being read.
#[derive(Clone, Copy, PartialEq)]
enum Enclosing {
    Root,
    NestedComponent,
    Module,
}

impl Findings {
    fn of(bytes: &[u8], limits: &Limits) -> Result<Findings, Refused> {
        let mut found = Findings::default();
        let mut enclosing = vec![Enclosing::Root];
        for payload in Parser::new(0).parse_all(bytes) {
            let here = enclosing.last().copied().unwrap_or(Enclosing::Root);
            match payload.map_err(|e| malformed(&e))? {
                Payload::ModuleSection { .. } => enclosing.push(Enclosing::Module),
                Payload::ComponentSection { .. } => enclosing.push(Enclosing::NestedComponent),
                Payload::End(_) => {
                    enclosing.pop();
                }
                Payload::ComponentImportSection(imports) if here == Enclosing::Root => {
                    for import in imports {
                        let import = import.map_err(|e| malformed(&e))?;
                        found.import.get_or_insert_with(|| import.name.name.to_string());
                    }
                }
                Payload::ComponentExportSection(exports) if here == Enclosing::Root => {
                    for export in exports {
                        let export = export.map_err(|e| malformed(&e))?;
                        let names = match export.kind {
                            ComponentExternalKind::Instance => &mut found.instances,
                            _ => &mut found.others,
                        };
                        names.push(export.name.name.to_string());
                    }
                }
                module => found.module(module, limits)?,
            }
        }
        Ok(found)
    }

    /// What a section of a core module adds.
    fn module(&mut self, payload: Payload<'_>, limits: &Limits) -> Result<(), Refused> {
        match payload {
            Payload::MemorySection(memories) => {
                for memory in memories {
                    let memory = memory.map_err(|e| malformed(&e))?;
                    self.memories
                        .push(memory.maximum.map(|pages| pages.saturating_mul(65_536)));
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table.map_err(|e| malformed(&e))?;
                    let elements = usize::try_from(table.ty.initial).unwrap_or(usize::MAX);
                    too_large(
                        "a table, in elements,",
                        "table_elements_max",
                        elements,
                        limits.table_elements_max as usize,
                    )?;
                }
            }
            Payload::CodeSectionStart { count, .. } => {
                self.functions = self.functions.saturating_add(count);
                let (actual, max) = (self.functions as usize, limits.functions_max as usize);
                too_large("the number of functions", "functions_max", actual, max)?;
            }
            Payload::CodeSectionEntry(body) => {
                too_large(
                    "a function, in bytes,",
                    "function_bytes_max",
                    body.as_bytes().len(),
                    limits.function_bytes_max,
                )?;
            }
            _ => {}
        }
        Ok(())
    }

    fn check_exports(&self) -> Result<(), Refused> {
        if self.instances.iter().any(|name| name == INTERFACE) {
            return Ok(());
        }
        let mut names = self.instances.iter().chain(&self.others);
        let found = match names.clone().find(|name| name.starts_with(INTERFACE_UNVERSIONED)) {
            Some(other) => format!("it exports `{other}`, and this Farebox speaks 0.1.0"),
            None => match names.next() {
                Some(first) => format!("it exports `{first}`"),
                None => "it exports nothing".to_string(),
            },
        };
        Err(Refused::Export {
            expected: INTERFACE.to_string(),
            found,
        })
    }

    fn check_memories(&self, limits: &Limits) -> Result<(), Refused> {
        let max = limits.memory_bytes_max as u64;
        let refuse = |reason: String| Err(Refused::Memory { reason, max });
        if limits.memories_max > 1 {
            let all = self.memories.len();
            return match all <= limits.memories_max as usize && all > 0 {
                true => Ok(()),
                false => refuse(format!(
                    "it has {all} memories, and memories_max is {}",
                    limits.memories_max
                )),
            };
        }
        match self.memories[..] {
            [Some(maximum)] if maximum <= max => Ok(()),
            [Some(maximum)] => refuse(format!("its memory may grow to {maximum} bytes")),
            [None] => refuse("its memory declares no maximum".into()),
            [] => refuse("it has no memory".into()),
            [..] => refuse(format!("it has {} memories instead of one", self.memories.len())),
        }
    }
}

fn malformed(error: &wasmparser::BinaryReaderError) -> Refused {
    Refused::Malformed {
        reason: error.message().to_string(),
        offset: error.offset(),
    }
}

fn too_large(what: &str, limit: &'static str, actual: usize, max: usize) -> Result<(), Refused> {
    if actual > max {
        return Err(Refused::TooLarge {
            what: what.into(),
            limit,
            actual: actual as u64,
            max: max as u64,
        });
    }
    Ok(())
}
