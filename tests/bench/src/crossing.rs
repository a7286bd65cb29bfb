//! What it costs that events cross into a plan's memory: as columns, as the contract has them, and as rows, each event with
//! names and values of its own.
//!
//! The component does nothing with them; its memory is handed out upwards, as cheaply as can be. So this is the price of crossing
//! alone, and what a plan would pay for reading rows comes on top.

use std::hint::black_box;

use anyhow::Context as _;
use farebox_runtime::native_engine;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, InstanceAllocationStrategy, Store};

use crate::choices::{PLENTY, ROUNDS, each, median};
use crate::measured::Measured;

/// Events of a call: as many as fill one.
const EVENTS: usize = 256;
/// Calls of a round.
const CALLS: u64 = 200;

const MEASURES: [&str; 4] = [
    "cache_read_tokens",
    "input_tokens",
    "output_tokens",
    "reasoning_tokens",
];
const ATTRIBUTES: [(&str, &str); 4] = [
    ("feature", "chat"),
    ("model", "gpt-5"),
    ("service_tier", "priority"),
    ("team", "support"),
];

/// Of each kind of call, one that takes everything and leaves at once.
const COMPONENT: &str = r#"(component
  (core module $m
    (memory (export "memory") 4 4)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $start i32)
      (local.set $start
        (i32.and
          (i32.add (global.get $top) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $top (i32.add (local.get $start) (local.get $size)))
      (local.get $start))
    (func (export "columns") (param i32 i32 i32 i32 i32 i32) (result i32) (global.get $top))
    (func (export "rows") (param i32 i32) (result i32) (global.get $top)))
  (core instance $i (instantiate $m))
  (func (export "columns")
    (param "measures" (list s64)) (param "text" string) (param "text-ends" (list u32)) (result u32)
    (canon lift (core func $i "columns") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
  (func (export "rows")
    (param "rows" (list (tuple (list (tuple string s64)) (list (tuple string string))))) (result u32)
    (canon lift (core func $i "rows") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#;

/// An event with names and values of its own.
type Row = (Vec<(&'static str, i64)>, Vec<(&'static str, &'static str)>);

/// The component, ready for a fresh instance with each call.
struct Crossing {
    engine: Engine,
    instance: InstancePre<()>,
    columns: ComponentExportIndex,
    rows: ComponentExportIndex,
}

impl Crossing {
    fn new() -> anyhow::Result<Crossing> {
        let (mut config, pool) = native_engine();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::new(&engine, wat::parse_str(COMPONENT)?)?;
        let find = |name: &str| {
            let found = component.get_export_index(None, name);
            found.with_context(|| format!("no {name}"))
        };
        Ok(Crossing {
            columns: find("columns")?,
            rows: find("rows")?,
            instance: Linker::new(&engine).instantiate_pre(&component)?,
            engine,
        })
    }

    fn store(&self) -> anyhow::Result<Store<()>> {
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(PLENTY)?;
        store.set_epoch_deadline(PLENTY);
        Ok(store)
    }

    /// How much memory was handed out.
    fn columns(&self, measures: &[i64], text: &str, ends: &[u32]) -> anyhow::Result<u32> {
        let mut store = self.store()?;
        let instance = self.instance.instantiate(&mut store)?;
        let call = instance.get_typed_func::<(&[i64], &str, &[u32]), (u32,)>(&mut store, &self.columns)?;
        Ok(call.call(&mut store, (measures, text, ends))?.0)
    }

    /// How much memory was handed out.
    fn rows(&self, rows: &[Row]) -> anyhow::Result<u32> {
        let mut store = self.store()?;
        let instance = self.instance.instantiate(&mut store)?;
        let call = instance.get_typed_func::<(&[Row],), (u32,)>(&mut store, &self.rows)?;
        Ok(call.call(&mut store, (rows,))?.0)
    }
}

/// Nanoseconds an event of a full call, as columns and as rows.
pub fn run() -> anyhow::Result<Vec<Measured>> {
    let crossing = Crossing::new()?;
    let rows: Vec<Row> = (0..EVENTS)
        .map(|_| {
            let measures = (1_200..).zip(MEASURES).map(|(amount, name)| (name, amount));
            (measures.collect(), ATTRIBUTES.to_vec())
        })
        .collect();
    let (mut measures, mut text, mut ends) = (Vec::new(), String::new(), Vec::new());
    for (amounts, attributes) in &rows {
        measures.extend(amounts.iter().map(|(_, amount)| *amount));
        for (_, value) in attributes {
            text.push_str(value);
            ends.push(u32::try_from(text.len())?);
        }
    }
    let (mut as_columns, mut as_rows) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        as_columns.push(each(CALLS, || {
            black_box(crossing.columns(&measures, &text, &ends)?);
            Ok(())
        })?);
        as_rows.push(each(CALLS, || {
            black_box(crossing.rows(&rows)?);
            Ok(())
        })?);
    }
    let an_event = |rounds| median(rounds) / EVENTS as u64;
    Ok(vec![
        Measured::nanos("choice_columns_crossing", an_event(as_columns)),
        Measured::nanos("choice_rows_crossing", an_event(as_rows)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_carry_the_same_event() {
        let crossing = Crossing::new().unwrap();
        let one: Row = (vec![("input_tokens", 7)], vec![("model", "gpt-5")]);
        // Behind the first 1,024 bytes: eight of the number, five of the text, three to align, four of its end.
        assert_eq!(
            crossing.columns(&[7], "gpt-5", &[5]).unwrap(),
            1_024 + 8 + 5 + 3 + 4
        );
        // Two lists of 8 bytes; a name, 4 bytes to align, a number; a name and a text; and the texts themselves.
        let lists = 16 + 16 + 16;
        assert_eq!(crossing.rows(&[one]).unwrap(), 1_024 + lists + 12 + 5 + 5);
    }
}
