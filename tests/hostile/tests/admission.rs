//! What is refused before any of it runs, or while it is asked to describe itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

use farebox_hostile::beside::beside;
use farebox_hostile::raw::{Raw, embed};
use farebox_hostile::{guest, runtime};
use farebox_runtime::{Limits, Refused, Runtime};

/// Admission must refuse `component` with `code`, and the text must hold all of `words`.
fn refuse(component: &[u8], code: &str, words: &[&str]) -> Refused {
    refuse_under(component, |_| {}, code, words)
}

fn refuse_under(component: &[u8], change: impl FnOnce(&mut Limits), code: &str, words: &[&str]) -> Refused {
    refuse_by(&runtime(change).unwrap(), component, code, words)
}

fn refuse_by(runtime: &Runtime, component: &[u8], code: &str, words: &[&str]) -> Refused {
    let refused = beside(code, &honest_too(runtime), || runtime.admit(component))
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), code, "{refused}");
    for word in words {
        assert!(
            refused.to_string().contains(word),
            "{refused:?} does not say {word}"
        );
    }
    assert!(!refused.advice().is_empty());
    println!("    {refused}\n    -> {}", refused.advice());
    refused
}

/// Limits that refuse the attack may refuse the honest plan too: it then has a runtime of its own.
fn honest_too(runtime: &Runtime) -> Runtime {
    match runtime.admit(&guest::hostile("").unwrap()) {
        Ok(_) => runtime.clone(),
        Err(_) => farebox_hostile::runtime(|_| {}).unwrap(),
    }
}

#[test]
fn the_plain_raw_plan_is_a_plan() {
    // Otherwise the tests below could pass for the wrong reason.
    let runtime = runtime(|_| {}).unwrap();
    let plan = runtime.admit(&Raw::default().component().unwrap()).unwrap();
    assert_eq!(plan.description().name, "raw");
    assert_eq!(plan.description().charges[0].code, "x");
    runtime.prepare(&plan, "{}").unwrap();
}

#[test]
fn random_bytes() {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    })
    .take(10_000)
    .collect();
    refuse(&bytes, "malformed", &["not a valid component"]);
    refuse(b"", "malformed", &[]);
    refuse(b"\0asm", "malformed", &[]);
}

#[test]
fn a_truncated_file_at_every_length() {
    let runtime = runtime(|_| {}).unwrap();
    let component = guest::hostile("").unwrap();
    for length in (0..component.len()).step_by(211) {
        let refused = runtime.admit(&component[..length]).unwrap_err();
        assert!(
            matches!(refused.code(), "malformed" | "export" | "memory"),
            "{length}: {refused}"
        );
    }
    refuse(&component[..component.len() / 2], "malformed", &["byte"]);
}

#[test]
fn damaged_files() {
    // Whatever a flipped bit makes of it, the host answers.
    let runtime = runtime(|_| {}).unwrap();
    let component = guest::hostile("").unwrap();
    for at in (0..component.len()).step_by(component.len() / 40) {
        let mut damaged = component.clone();
        damaged[at] ^= 0x10;
        let _ = runtime.admit(&damaged);
    }
}

#[test]
fn a_core_module() {
    refuse(&guest::module("").unwrap(), "core_module", &["core module"]);
}

#[test]
fn a_precompiled_file() {
    // Machine code of the engine is an ELF file with a mark of the engine's.
    let dir = tempfile::tempdir().unwrap();
    let config = farebox_runtime::Config {
        cache_dir: Some(dir.path().into()),
        ..Default::default()
    };
    Runtime::new(config)
        .unwrap()
        .admit(&Raw::default().component().unwrap())
        .unwrap();
    let compiled = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let compiled = compiled
        .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
        .collect::<Vec<_>>();
    let sealed = std::fs::read(&compiled[0]).unwrap();
    refuse(&sealed[32..], "precompiled", &["machine code"]);
}

#[test]
fn a_component_that_is_too_large() {
    let fields = format!("(@custom \"padding\" \"{}\")", "x".repeat(1 << 20));
    let component = Raw {
        fields,
        ..Raw::default()
    }
    .component()
    .unwrap();
    refuse(&component, "too_large", &["component_bytes_max", "1048576"]);
}

#[test]
fn a_function_that_is_too_large_for_the_compiler() {
    let fields = format!(
        "(func {})",
        "(drop (i32.add (i32.const 1) (i32.const 2)))".repeat(30_000)
    );
    let component = Raw {
        fields,
        ..Raw::default()
    }
    .component()
    .unwrap();
    refuse(&component, "too_large", &["function_bytes_max"]);
}

#[test]
fn more_functions_than_the_compiler_should_see() {
    let component = Raw {
        fields: "(func)".repeat(9_000),
        ..Raw::default()
    }
    .component()
    .unwrap();
    refuse(&component, "too_large", &["functions_max", "8192"]);
}

#[test]
fn a_large_table() {
    let component = Raw {
        fields: "(table 1001 funcref)".into(),
        ..Raw::default()
    }
    .component()
    .unwrap();
    refuse(&component, "too_large", &["table_elements_max"]);
}

#[test]
fn any_import() {
    let with_import =
        |import: &str| wat::parse_str(format!("(component (import \"{import}\" (func)))")).unwrap();
    refuse(
        &with_import("made-up"),
        "imports",
        &["`made-up`", "a plan imports nothing"],
    );
    let clock = r#"(component (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64))))))"#;
    refuse(
        &wat::parse_str(clock).unwrap(),
        "imports",
        &["wasi:clocks/monotonic-clock@0.2.0"],
    );
}

#[test]
fn nothing_of_the_contract() {
    refuse(
        &wat::parse_str("(component)").unwrap(),
        "export",
        &["farebox:plan/pricing@0.1.0", "exports nothing"],
    );
    let other = r#"(component (instance $i) (export "acme:plan/pricing@1.0.0" (instance $i)))"#;
    refuse(
        &wat::parse_str(other).unwrap(),
        "export",
        &["acme:plan/pricing@1.0.0"],
    );
    let newer = r#"(component (instance $i) (export "farebox:plan/pricing@0.2.0" (instance $i)))"#;
    refuse(
        &wat::parse_str(newer).unwrap(),
        "export",
        &["pricing@0.2.0", "speaks 0.1.0"],
    );
}

#[test]
fn the_contract_with_other_functions() {
    let make = |wit: &str, export: &str| {
        let text = format!(
            "(module (memory (export \"memory\") 1 1) (func (export \"farebox:plan/pricing@0.1.0#describe\") {export}))"
        );
        let mut module = wat::parse_str(text).unwrap();
        embed(&mut module, wit).unwrap();
        guest::encode(&module).unwrap()
    };
    let wit = |f: &str| {
        format!(
            "package farebox:plan@0.1.0; interface pricing {{ describe: {f}; }} world plan {{ export pricing; }}"
        )
    };
    let component = make(&wit("func() -> u32"), "(result i32) (i32.const 1)");
    refuse(
        &component,
        "export",
        &["farebox:plan/pricing@0.1.0#describe", "another type"],
    );
}

#[test]
fn memories() {
    let refuse = |memory: &'static str, words: &[&str]| {
        refuse(
            &Raw {
                memory,
                ..Raw::default()
            }
            .component()
            .unwrap(),
            "memory",
            words,
        );
    };
    refuse("4", &["no maximum", "memory_bytes_max = 262144"]);
    refuse("4 5", &["327680", "memory_bytes_max"]);
    refuse("65536 65536", &["4294967296", "memory_bytes_max"]);
}

#[test]
fn two_memories_in_one_module() {
    let text = "(component (core module (memory 1 1) (memory 1 1)))";
    refuse(
        &wat::parse_str(text).unwrap(),
        "malformed",
        &["multiple memories"],
    );
}

#[test]
fn two_memories_in_two_modules() {
    let fields = "(core module (memory 1 1)) (core module (memory 1 1))";
    let interface = r#"(instance $i) (export "farebox:plan/pricing@0.1.0" (instance $i))"#;
    let text = format!("(component {fields} {interface})");
    refuse(&wat::parse_str(text).unwrap(), "memory", &["2 memories"]);
}

#[test]
fn code_in_a_nested_component() {
    let text = "(component (component (core module)))";
    refuse(
        &wat::parse_str(text).unwrap(),
        "interpreted",
        &["links modules", "switched off here"],
    );
}

#[test]
fn proposals_that_are_off() {
    for field in [
        "(tag)",
        "(memory 1 1 shared)",
        "(memory i64 1 1)",
        "(func (return_call 0))",
    ] {
        let text = format!("(component (core module {field}))");
        let refused = refuse(&wat::parse_str(text).unwrap(), "malformed", &[]);
        assert!(!refused.to_string().contains("unexpected end"), "{refused}");
    }
}

#[test]
fn a_loop_in_describe() {
    refuse(
        &guest::hostile("describe-loops").unwrap(),
        "out_of_fuel",
        &["describe", "describe_fuel"],
    );
}

#[test]
fn a_loop_in_the_start_function() {
    let fields = "(func $start (loop (br 0))) (start $start)".to_string();
    let component = Raw {
        fields,
        ..Raw::default()
    }
    .component()
    .unwrap();
    refuse(&component, "out_of_fuel", &["instantiation_fuel"]);
}

#[test]
fn a_trap_in_the_start_function() {
    let fields = "(func $start (unreachable)) (start $start)".to_string();
    refuse(
        &Raw {
            fields,
            ..Raw::default()
        }
        .component()
        .unwrap(),
        "trapped",
        &["describe", "unreachable"],
    );
}

#[test]
fn a_description_beyond_the_limits() {
    refuse(
        &guest::hostile("describe-lies").unwrap(),
        "description",
        &["measures", "measures_max = 64"],
    );
}

#[test]
fn a_compilation_that_takes_too_long() {
    // Many functions within the limits, and no patience.
    let body = "(drop (i32.mul (i32.const 3) (i32.const 4)))".repeat(400);
    let fields = format!("(func {body})").repeat(120);
    let component = Raw {
        fields,
        ..Raw::default()
    }
    .component()
    .unwrap();
    let impatient = |limits: &mut Limits| limits.compile_seconds_max = 0;
    refuse_under(&component, impatient, "compile_limit", &["compile_seconds_max"]);
}

#[test]
fn parameters() {
    let runtime = runtime(|_| {}).unwrap();
    let plan = runtime.admit(&guest::hostile("").unwrap()).unwrap();
    let refuse = |parameters: &str, code: &str, words: &[&str]| {
        let refused = beside(code, &runtime, || runtime.prepare(&plan, parameters))
            .unwrap()
            .unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        for word in words {
            assert!(refused.to_string().contains(word), "{refused}");
        }
    };
    refuse(
        &" ".repeat(65_537),
        "too_large",
        &["parameters_bytes_max", "65536"],
    );
    refuse(
        "prepare-refuses",
        "parameters",
        &["/models/gpt-5/output: expected a decimal string, found a list"],
    );
    refuse("prepare-loops", "out_of_fuel", &["prepare_fuel"]);
    refuse("prepare-is-long", "too_large", &["prepared_bytes_max", "66560"]);
}

#[test]
fn a_loop_in_the_allocator() {
    let runtime = runtime(|_| {}).unwrap();
    let realloc = "(loop (br 0)) (unreachable)";
    let plan = runtime
        .admit(
            &Raw {
                realloc,
                ..Raw::default()
            }
            .component()
            .unwrap(),
        )
        .unwrap();
    let refused = beside("allocator", &runtime, || runtime.prepare(&plan, "{}"))
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), "out_of_fuel");
    assert!(refused.to_string().contains("prepare_fuel"), "{refused}");
}

/// A component of the tier of language runtimes, with this within its nested component.
fn refuse_interpreted(nested: &str, code: &str, words: &[&str]) {
    let config = farebox_runtime::Config {
        interpreted: Some(Limits::interpreted()),
        ..farebox_runtime::Config::default()
    };
    let runtime = Runtime::new(config).unwrap();
    let interface = r#"(instance $i) (export "farebox:plan/pricing@0.1.0" (instance $i))"#;
    let text = format!("(component (component {nested}) {interface})");
    let component = wat::parse_str(text).unwrap();
    refuse_by(&runtime, &component, code, words);
}

#[test]
fn a_language_runtime_is_held_to_the_limits_of_its_tier() {
    let memories = "(core module (memory 1))".repeat(5);
    refuse_interpreted(&memories, "memory", &["5 memories", "memories_max is 4"]);
    let table = "(core module (memory 1) (table 10001 funcref))";
    refuse_interpreted(table, "too_large", &["table_elements_max"]);
    let body = "nop ".repeat(600_000);
    let function = format!("(core module (memory 1) (func {body}))");
    refuse_interpreted(&function, "too_large", &["function_bytes_max"]);
    let two = "(core module (memory 1) (memory 1))";
    refuse_interpreted(two, "malformed", &["multiple memories"]);
    let bytes = "x".repeat(25 << 20);
    let large = format!("(core module (memory 1 500) (data (i32.const 0) \"{bytes}\"))");
    refuse_interpreted(&large, "too_large", &["component_bytes_max"]);
    refuse_interpreted("(core module (memory 1))", "export", &[]);
}

#[test]
fn more_modules_than_a_native_plan_has_are_a_language_runtime() {
    let modules = |count: usize| {
        let modules = "(core module (memory 1 1))".repeat(count);
        let interface = r#"(instance $i) (export "farebox:plan/pricing@0.1.0" (instance $i))"#;
        wat::parse_str(format!("(component {modules} {interface})")).unwrap()
    };
    refuse(&modules(4), "memory", &["4 memories instead of one"]);
    refuse(&modules(5), "interpreted", &["switched off"]);
}
