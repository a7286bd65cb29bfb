//! What is read, what is refused, and with which words.

use super::*;
use crate::Decimal;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Shape {
    Flat,
    Tiers(Vec<u32>),
    Pool { size: Option<u32> },
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prices {
    models: BTreeMap<String, BTreeMap<String, Decimal>>,
    #[serde(default)]
    shapes: Vec<Shape>,
}

fn check(json: &str, pointer: &str, message: &str) {
    let error = parse::<Prices>(json).unwrap_err();
    assert_eq!(error.pointer, pointer, "{error}");
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    check(
        r#"{"models": {"gpt-5": {"output": 0.3}}}"#,
        "/models/gpt-5/output",
        "number `0.3`, expected a decimal",
    );
    check(
        r#"{"models": {"gpt-5": {"output": 3}}}"#,
        "/models/gpt-5/output",
        "in quotes",
    );
    check(
        r#"{"models": {"a/b": {"output": "x"}}}"#,
        "/models/a~1b/output",
        "\"x\" is not a decimal",
    );
    check(
        "{\n \"model\": {}}",
        "/model",
        "unknown field `model`, expected `models` or `shapes` (line 2, column 9)",
    );
    check("{}", "", "missing field `models`");
    check(r#"{"models": {}} x"#, "", "expected the end, found 'x'");
    check("", "", "expected a value, found the end");
    check(
        r#"{"models": {}, "shapes": ["flat", "round"]}"#,
        "/shapes/1",
        "unknown variant `round`",
    );
    check(
        r#"{"models": {}, "shapes": [{"pool": {"size": "x"}}]}"#,
        "/shapes/0/size",
        "invalid type",
    );
    check(
        r#"{"models": {}, "shapes": [1,]}"#,
        "/shapes/0",
        "a name in quotes",
    );
    check(
        r#"{"models": {"a": {}"#,
        "/models",
        "expected `,` or `}`, found the end",
    );
    check(r#"{"models" {}}"#, "/models", "expected `:`, found '{'");
    check("[{}]", "", "invalid type: sequence");
}

#[test]
fn depth_has_an_end() {
    let error = parse::<Value>(&"[".repeat(100)).unwrap_err();
    assert!(error.message.contains("nested more than 32 deep"), "{error}");
    assert!(parse::<Value>(&format!("{}{}", "[".repeat(32), "]".repeat(32))).is_ok());
}

#[test]
fn enums_are_names_or_objects() {
    let json = r#"{"models": {}, "shapes": ["flat", {"tiers": [1, 2]}, {"pool": {"size": null}}, {"pool": {"size": 3}}]}"#;
    let shapes = [
        Shape::Flat,
        Shape::Tiers(vec![1, 2]),
        Shape::Pool { size: None },
        Shape::Pool { size: Some(3) },
    ];
    assert_eq!(parse::<Prices>(json).unwrap().shapes, shapes);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_others_write_is_read(value in value(), pretty in any::<bool>()) {
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        prop_assert_eq!(parse::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn no_text_panics(text in r#"[\[\]{}":,a-f0-9\\u. -]{0,40}"#) {
        let (ours, theirs) = (parse::<Value>(&text), serde_json::from_str::<Value>(&text));
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours, theirs);
        }
    }
}
