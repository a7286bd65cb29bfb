//! The data of a CloudEvent, and objects whose fields are read one by one.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::json::{escaped, json, problem};
use crate::problem::Problem;
use crate::wire::amount::{Exact, kind_of};
use crate::wire::measures::{Attributes, Measures, check_name, check_text};
use crate::wire::usage::OpenAiUsage;

/// What an event says besides its context.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(super) struct Data {
    pub measures: Option<Measures>,
    pub usage: Option<OpenAiUsage>,
    pub attributes: Option<Attributes>,
}

impl Data {
    pub fn read(text: &[u8], at: &str) -> Result<Data, Problem> {
        let fields: Once<'_> = serde_json::from_slice(text).map_err(|error| problem(&error, at))?;
        let typed = |name: &str| matches!(name, "measures" | "usage" | "attributes");
        if fields.0.is_empty() || fields.0.iter().any(|(name, _)| typed(name)) {
            return json(text, at);
        }
        let mut measures = Measures::default();
        let mut attributes = Attributes::default();
        for (name, value) in fields.0 {
            let refuse = |detail: String| Problem::field(format!("{at}/{}", escaped(&name)), detail);
            check_name(&name).map_err(refuse)?;
            let value: serde_json::Value = json(value.get().as_bytes(), at)?;
            match value {
                serde_json::Value::Number(number) => {
                    let Exact(exact) =
                        json(number.to_string().as_bytes(), &format!("{at}/{}", escaped(&name)))?;
                    measures.0.insert(name.into(), exact);
                }
                serde_json::Value::String(text) => {
                    check_text(&text).map_err(refuse)?;
                    if !text.is_empty() {
                        attributes.0.insert(name.into(), text.into());
                    }
                }
                other => {
                    let detail = format!(
                        "expected a number (a measure) or a string (an attribute), found {}; or send `measures` and \
                         `attributes`",
                        kind_of(&other)
                    );
                    return Err(refuse(detail));
                }
            }
        }
        limits(&measures, &attributes, at)?;
        Ok(Data {
            measures: Some(measures),
            usage: None,
            attributes: Some(attributes),
        })
    }
}

fn limits(measures: &Measures, attributes: &Attributes, at: &str) -> Result<(), Problem> {
    use crate::limits::{ATTRIBUTES_PER_EVENT_MAX, MEASURES_PER_EVENT_MAX};
    for (what, count, name, max) in [
        (
            "measures",
            measures.0.len(),
            "MEASURES_PER_EVENT_MAX",
            MEASURES_PER_EVENT_MAX,
        ),
        (
            "attributes",
            attributes.0.len(),
            "ATTRIBUTES_PER_EVENT_MAX",
            ATTRIBUTES_PER_EVENT_MAX,
        ),
    ] {
        if count > max {
            let detail = format!("{count} {what} (limit {name} is {max})");
            return Err(Problem::field(at, detail).with("limit", name));
        }
    }
    Ok(())
}

/// The fields of an object, each given once, unread.
pub(super) struct Once<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Once<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once<'de>, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Once<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Once<'de>, A::Error> {
                let mut seen = std::collections::BTreeSet::new();
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("{name} is given twice")));
                    }
                    fields.push((name, value));
                }
                Ok(Once(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}
