//! Plans in WebAssembly text, for lies that no compiler tells.
//!
//! [`Raw::component`] makes a whole plan out of the few lines that differ. Its memory:
//!
//! | at | what |
//! |---|---|
//! | 64 | what `describe` answers: one asset, one type of events, one charge |
//! | 512 | what `evaluate` and `transition` answer: `outcomes`, seven lists of pointer and length |
//! | 640 | what `prepare` answers: ok, no bytes |
//! | 1024 | texts |
//! | 2048 | items of the lists of `outcomes` |
//! | 8192 | what `cabi_realloc` gives out, from there on |

use anyhow::Context as _;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::guest::encode;

/// Where the list of results of `outcomes` begins.
pub const ITEMS: u32 = 2_048;

/// A plan of which some parts are replaced.
pub struct Raw {
    /// Limits of the memory in pages: `4 4`.
    pub memory: &'static str,
    /// Instructions before `evaluate` answers.
    pub evaluate: &'static str,
    /// Body of `cabi_realloc(old, old size, align, new size)`.
    pub realloc: &'static str,
    /// Fields of the module: a start function, more data.
    pub fields: String,
    /// The seven lists of `outcomes`: pointer and length.
    pub outcomes: [(u32, u32); 7],
    /// What stands at [`ITEMS`].
    pub items: Vec<u8>,
}

/// Gives out the memory from 8192 on and never takes any back.
const BUMP: &str = "
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3)))";

impl Default for Raw {
    /// Answers each trigger of a batch of one with a price of no charges.
    fn default() -> Raw {
        Raw {
            memory: "4 4",
            evaluate: "",
            realloc: BUMP,
            fields: String::new(),
            outcomes: [(ITEMS, 1), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)],
            items: vec![0; 64],
        }
    }
}

impl Raw {
    /// The core module, without its interface.
    ///
    /// # Errors
    /// When the text is no module.
    pub fn module(&self) -> anyhow::Result<Vec<u8>> {
        wat::parse_str(self.text()).context("the text is no module")
    }

    /// The whole plan.
    ///
    /// # Errors
    /// When the text is no module or does not fit the interface.
    pub fn component(&self) -> anyhow::Result<Vec<u8>> {
        let mut module = self.module()?;
        embed(&mut module, include_str!("../../../wit/plan.wit"))?;
        encode(&module)
    }

    fn text(&self) -> String {
        let Raw {
            memory,
            evaluate,
            realloc,
            fields,
            ..
        } = self;
        let interface = "farebox:plan/pricing@0.1.0";
        let batch = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)";
        let outcomes: Vec<u8> = self
            .outcomes
            .iter()
            .flat_map(|(at, length)| [at.to_le_bytes(), length.to_le_bytes()].concat())
            .collect();
        format!(
            r#"(module
                (memory (export "memory") {memory})
                (global $next (mut i32) (i32.const 8192))
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "{interface}#describe") (result i32) (i32.const 64))
                (func (export "{interface}#prepare") (param i32 i32) (result i32) (i32.const 640))
                (func (export "{interface}#evaluate") {batch} {evaluate} (i32.const 512))
                (func (export "{interface}#transition") (param i32) (result i32) (i32.const 512))
                (func (export "{interface}#explain") {batch} (unreachable))
                (func (export "{interface}#migrate") (param i32 i32 i32) (result i32) (unreachable))
                (data (i32.const 64) "{description}")
                (data (i32.const 512) "{outcomes}")
                (data (i32.const 1024) "{texts}")
                (data (i32.const {ITEMS}) "{items}")
                {fields})"#,
            description = escaped(&description()),
            outcomes = escaped(&outcomes),
            texts = escaped(TEXTS),
            items = escaped(&self.items),
        )
    }
}

/// Gives a core module the interface that `wit` describes.
///
/// # Errors
/// When `wit` describes none.
pub fn embed(module: &mut Vec<u8>, wit: &str) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plan.wit", wit)?;
    let world = resolve.select_world(&[package], Some("plan"))?;
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8, false)
}

/// What the description points to.
const TEXTS: &[u8] = b"rawusdllm.callx{}";

/// `description` as the canonical ABI lays it out; the items of its lists stand behind it, at 192.
fn description() -> Vec<u8> {
    let (raw, usd, call, x, schema) = ((1_024, 3), (1_027, 3), (1_030, 8), (1_038, 1), (1_039, 2));
    let empty = (0, 0);
    let record = [
        raw,
        raw,
        empty,
        (192, 1),
        (208, 1),
        empty,
        empty,
        (216, 1),
        schema,
        empty,
        (0, 1),
        empty,
    ];
    let mut bytes: Vec<u8> = record
        .iter()
        .flat_map(|(at, n): &(u32, u32)| [*at, *n])
        .flat_map(u32::to_le_bytes)
        .collect();
    bytes.resize(192 - 64, 0);
    // The asset (name, label), the type of events, the charge (code, label, unit).
    let items = [usd, usd, call, x, x, x];
    bytes.extend(
        items
            .iter()
            .flat_map(|(at, n)| [*at, *n])
            .flat_map(u32::to_le_bytes),
    );
    bytes
}

/// Bytes as the text format writes them.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
