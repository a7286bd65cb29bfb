//! Numbers and texts of an event, as a command line says them.

use farebox_money::Nanos;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// `input_tokens=1200`.
pub(crate) fn measure(text: &str) -> Result<(String, Nanos), String> {
    let (name, number) = text
        .split_once('=')
        .ok_or("expected NAME=NUMBER such as input_tokens=1200")?;
    let number = number.parse().map_err(|problem| format!("{name}: {problem}"))?;
    Ok((name.to_string(), number))
}

/// `model=gpt-5`.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE such as model=gpt-5")?;
    Ok((name.to_string(), value.to_string()))
}

/// Measures as the server takes them: decimal texts, which lose nothing.
pub(crate) fn measures(measures: &[(String, Nanos)]) -> Result<Value, Failure> {
    each_once("measure", measures, |number| json!(number.to_string()))
}

/// Attributes as the server takes them.
pub(crate) fn attributes(attributes: &[(String, String)]) -> Result<Value, Failure> {
    each_once("attribute", attributes, |text| json!(text))
}

/// Of two values under one name neither could be told to be meant.
fn each_once<T>(what: &str, pairs: &[(String, T)], value: impl Fn(&T) -> Value) -> Result<Value, Failure> {
    let mut named = Map::new();
    for (name, said) in pairs {
        if named.insert(name.clone(), value(said)).is_some() {
            return Err(Failure::usage(format!("the {what} {name} is given twice")));
        }
    }
    Ok(named.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_people_write_them() {
        let said = [
            measure("images=0.5").unwrap(),
            measure("input_tokens=1200").unwrap(),
        ];
        assert_eq!(
            measures(&said).unwrap(),
            json!({"images": "0.5", "input_tokens": "1200"})
        );
        let said = [attribute("note=a=b").unwrap()];
        assert_eq!(attributes(&said).unwrap(), json!({"note": "a=b"}));
        for (bad, why) in [
            ("input_tokens", "input_tokens=1200"),
            ("input_tokens=", "input_tokens: expected a decimal number"),
            ("input_tokens=many", "found 'm' at character 1"),
            ("images=0.0000000001", "images: has more than nine decimals"),
        ] {
            let told = measure(bad).unwrap_err();
            assert!(told.contains(why), "{bad}: {told}");
        }
        assert!(attribute("model").unwrap_err().contains("model=gpt-5"));
        let twice = [measure("images=1").unwrap(), measure("images=2").unwrap()];
        assert_eq!(
            measures(&twice).unwrap_err().message,
            "the measure images is given twice"
        );
    }
}
