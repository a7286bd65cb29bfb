//! The numbers and the texts of an event.

use std::fmt;
use std::marker::PhantomData;

use farebox_record::event;
use farebox_record::fields::Text;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::limits::{
    ATTRIBUTE_BYTES_MAX, ATTRIBUTES_PER_EVENT_MAX, FIELD_NAME_BYTES_MAX, MEASURES_PER_EVENT_MAX,
};
use crate::wire::amount::Exact;

/// How many fields room is made for before they are read: a usual event has fewer.
const FIELDS_EXPECTED: usize = 8;

/// Numbers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measures(pub event::Measures);

/// Texts by name. An empty text is the same as none, so it is left out: SDKs send those for what they do not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes(pub event::Attributes);

impl<'de> Deserialize<'de> for Measures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Measures, D::Error> {
        let limit = Limit {
            what: "measures",
            name: "MEASURES_PER_EVENT_MAX",
            max: MEASURES_PER_EVENT_MAX,
        };
        let read: Vec<(Text, Exact)> = deserializer.deserialize_map(Fields {
            limit,
            of: PhantomData,
        })?;
        Ok(Measures(
            read.into_iter().map(|(name, exact)| (name, exact.0)).collect(),
        ))
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
        let limit = Limit {
            what: "attributes",
            name: "ATTRIBUTES_PER_EVENT_MAX",
            max: ATTRIBUTES_PER_EVENT_MAX,
        };
        let read: Vec<(Text, Value)> = deserializer.deserialize_map(Fields {
            limit,
            of: PhantomData,
        })?;
        let told = read.into_iter().filter(|(_, text)| !text.0.is_empty());
        Ok(Attributes(told.map(|(name, text)| (name, text.0)).collect()))
    }
}

struct Limit {
    what: &'static str,
    name: &'static str,
    max: usize,
}

/// Reads an object whose names are free: each once, so that nobody's second number is dropped unseen.
struct Fields<T> {
    limit: Limit,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Vec<(Text, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of {}", self.limit.what)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Limit {
            what,
            name: limit,
            max,
        } = self.limit;
        let mut fields: Vec<(Text, T)> = Vec::with_capacity(FIELDS_EXPECTED);
        while let Some(name) = map.next_key::<Text>()? {
            check_name(&name).map_err(A::Error::custom)?;
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("{name} is given twice")));
            }
            if fields.len() == max {
                return Err(A::Error::custom(format!(
                    "more than {max} {what} (limit {limit})"
                )));
            }
            fields.push((name, map.next_value()?));
        }
        Ok(fields)
    }
}

/// A name that plans can describe.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name must not be empty".to_string());
    }
    if name.len() > FIELD_NAME_BYTES_MAX {
        let length = name.len();
        return Err(format!(
            "a name has {length} bytes; FIELD_NAME_BYTES_MAX is {FIELD_NAME_BYTES_MAX}"
        ));
    }
    match name.chars().any(char::is_control) {
        true => Err(format!("the name {name:?} holds a control character")),
        false => Ok(()),
    }
}

/// An attribute's text.
struct Value(Text);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        let text = Text::deserialize(deserializer)?;
        check_text(&text).map_err(D::Error::custom)?;
        Ok(Value(text))
    }
}

/// A text that an attribute can have.
pub(crate) fn check_text(text: &str) -> Result<(), String> {
    match text.len() > ATTRIBUTE_BYTES_MAX {
        true => Err(format!(
            "the text has {} bytes; ATTRIBUTE_BYTES_MAX is {ATTRIBUTE_BYTES_MAX}",
            text.len()
        )),
        false => Ok(()),
    }
}

impl PartialSchema for Measures {
    fn schema() -> RefOr<Schema> {
        let about = "Numbers by name, exact to nine decimals. Token measures are disjoint pools: `input_tokens` (uncached), \
                     `cache_read_tokens`, `cache_write_5m_tokens`, `cache_write_1h_tokens`, `output_tokens`, \
                     `reasoning_tokens`. `cost_usd` is what the provider bills.";
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(Exact::schema())))
            .description(Some(about))
            .examples([serde_json::json!({"input_tokens": 1200, "output_tokens": 350})])
            .into()
    }
}

impl ToSchema for Measures {}

impl PartialSchema for Attributes {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new()
            .schema_type(Type::String)
            .max_length(Some(ATTRIBUTE_BYTES_MAX));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(AdditionalProperties::RefOr(text.into())))
            .description(Some(
                "Texts by name; an empty text is the same as none. With a meaning: `model`, `provider`, `feature`, \
                 `agent`, `team`, `conversation_id`, `service_tier`.",
            ))
            .examples([serde_json::json!({"model": "gpt-5"})])
            .into()
    }
}

impl ToSchema for Attributes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_texts_are_no_attributes() {
        let read: Attributes = serde_json::from_str(r#"{"model": "m", "team": ""}"#).unwrap();
        assert_eq!(read.0.len(), 1);
    }

    #[test]
    fn nothing_is_dropped_unseen() {
        let long = "n".repeat(65);
        let many: Vec<String> = (0..65).map(|i| format!("\"m{i}\": 1")).collect();
        for (json, said) in [
            (r#"{"a": 1, "a": 1}"#.to_string(), "a is given twice"),
            (r#"{"": 1}"#.to_string(), "must not be empty"),
            (format!("{{\"{long}\": 1}}"), "FIELD_NAME_BYTES_MAX"),
            (format!("{{{}}}", many.join(",")), "MEASURES_PER_EVENT_MAX"),
            ("[]".to_string(), "an object of measures"),
        ] {
            let error = serde_json::from_str::<Measures>(&json).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(1_025));
        let error = serde_json::from_str::<Attributes>(&long).unwrap_err().to_string();
        assert!(error.contains("ATTRIBUTE_BYTES_MAX"), "{error}");
    }
}
