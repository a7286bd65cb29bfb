//! The new price list that comes into force midway: made from the one before by a rule.
//!
//! The rule: each price of input tokens falls by a fifth (times 0.8) and each price of output tokens rises by a
//! quarter (times 1.25), for short prompts and for long ones. Nothing else changes.

use anyhow::Context as _;
use rust_decimal::Decimal;
use serde_json::Value;

/// On prices of input tokens.
const INPUT: Decimal = Decimal::from_parts(8, 0, 0, false, 1);
/// On prices of output tokens.
const OUTPUT: Decimal = Decimal::from_parts(125, 0, 0, false, 2);

/// The revised price list, as text. An error means that `text` is no price list of the per-token plan.
pub fn revised(text: &str) -> anyhow::Result<String> {
    let mut list: Value = serde_json::from_str(text).context("the price list")?;
    let providers = object(&mut list, "providers")?;
    for provider in providers.values_mut() {
        for model in object(provider, "models")?.values_mut() {
            bracket(model)?;
            let above = model.get_mut("above").and_then(Value::as_array_mut);
            for long in above.into_iter().flatten() {
                bracket(long)?;
            }
        }
    }
    Ok(serde_json::to_string_pretty(&list)?)
}

fn object<'v>(value: &'v mut Value, field: &str) -> anyhow::Result<&'v mut serde_json::Map<String, Value>> {
    let found = value.get_mut(field).and_then(Value::as_object_mut);
    found.with_context(|| format!("the price list has no object {field:?} where one belongs"))
}

fn bracket(holder: &mut Value) -> anyhow::Result<()> {
    let prices = object(holder, "prices")?;
    for (field, factor) in [("input", INPUT), ("output", OUTPUT)] {
        if let Some(price) = prices.get_mut(field) {
            let text = price.as_str().context("a price is not a text")?;
            let before: Decimal = text.parse().with_context(|| format!("the price {text:?}"))?;
            *price = Value::String((before * factor).normalize().to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_prices_of_input_and_output_change() {
        let before = r#"{"asset":"usd","providers":{"p":{"note":"n","models":{"m":{
            "prices":{"input":"3","cache_read":"0.30","output":"15"},
            "above":[{"prompt_tokens":1000,"prices":{"input":"2.5","output":"0.4"}}]}}}}}"#;
        let after: Value = serde_json::from_str(&revised(before).unwrap()).unwrap();
        let model = &after["providers"]["p"]["models"]["m"];
        assert_eq!(
            model["prices"],
            serde_json::json!({"input": "2.4", "cache_read": "0.30", "output": "18.75"})
        );
        assert_eq!(
            model["above"][0]["prices"],
            serde_json::json!({"input": "2", "output": "0.5"})
        );
        assert_eq!(model["above"][0]["prompt_tokens"], 1000);
        assert_eq!(after["providers"]["p"]["note"], "n");
    }

    #[test]
    fn something_else_is_refused() {
        assert!(revised("{}").is_err());
        assert!(revised(r#"{"providers":{"p":{"models":{"m":{}}}}}"#).is_err());
    }
}
