//! Numbers and texts of an event, as a command line says them.

use farebox_money::Nanos;
use serde_json::{Map, Value, json};

/// `input_tokens=1200`.
pub(crate) fn measure(text: &str) -> Result<(String, Nanos), String> {
    let expected = "expected NAME=NUMBER such as input_tokens=1200";
    let (name, number) = text.split_once('=').ok_or(expected)?;
    Ok((name.to_string(), number.parse().map_err(|_| expected)?))
}

/// `model=gpt-5`.
pub(crate) fn attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("expected NAME=VALUE such as model=gpt-5")?;
    Ok((name.to_string(), value.to_string()))
}

/// Measures as the server takes them: decimal texts, which lose nothing.
pub(crate) fn measures(measures: &[(String, Nanos)]) -> Value {
    let numbers = measures
        .iter()
        .map(|(name, n)| (name.clone(), json!(n.to_string())));
    numbers.collect::<Map<_, _>>().into()
}

/// Attributes as the server takes them.
pub(crate) fn attributes(attributes: &[(String, String)]) -> Value {
    let texts = attributes
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)));
    texts.collect::<Map<_, _>>().into()
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
        assert_eq!(measures(&said), json!({"images": "0.5", "input_tokens": "1200"}));
        let said = [attribute("note=a=b").unwrap()];
        assert_eq!(attributes(&said), json!({"note": "a=b"}));
        for bad in ["input_tokens", "input_tokens=", "input_tokens=many"] {
            assert!(measure(bad).unwrap_err().contains("input_tokens=1200"), "{bad}");
        }
        assert!(attribute("model").unwrap_err().contains("model=gpt-5"));
    }
}
