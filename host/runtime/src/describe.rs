//! What a plan says about itself, checked.

use std::collections::BTreeSet;

use farebox_money::Asset;
use farebox_record::ids::EventType;
use farebox_record::plan::{AssetDescription, ChargeDescription, Description, Order};

use crate::bindings;
use crate::limits::Limits;
use crate::refused::Refused;

/// The plain form of a description, or what is wrong with it.
pub(crate) fn describe(said: bindings::Description, limits: &Limits) -> Result<Description, Refused> {
    let description = Description {
        name: name("name", said.name, limits)?,
        version: name("version", said.version, limits)?,
        summary: text("summary", said.summary, limits.message_bytes_max)?,
        assets: assets(said.assets, limits)?,
        event_types: event_types(&said.event_types, limits)?,
        measures: names("measures", said.measures, limits.measures_max, limits)?,
        attributes: names("attributes", said.attributes, limits.attributes_max, limits)?,
        charges: charges(said.charges, limits)?,
        parameters_schema: schema(said.parameters_schema, limits)?,
        subject_attribute: said
            .subject_attribute
            .map(|a| name("subject-attribute", a, limits))
            .transpose()?,
        state_version: said.state_version,
        order: match said.order {
            bindings::Order::Independent => Order::Independent,
            bindings::Order::Cumulative => Order::Cumulative,
            bindings::Order::Sequential => Order::Sequential,
        },
        wants_cost: said.wants_cost,
        wants_balances: said.wants_balances,
    };
    Ok(description)
}

fn assets(said: Vec<bindings::AssetDescription>, limits: &Limits) -> Result<Vec<AssetDescription>, Refused> {
    count("assets", said.len(), "assets_max", limits.assets_max)?;
    let assets = said
        .into_iter()
        .enumerate()
        .map(|(i, said)| {
            let asset =
                Asset::new(&said.name).map_err(|e| refuse(format!("assets[{i}].name"), e.to_string()))?;
            Ok(AssetDescription {
                asset,
                label: text("asset label", said.label, limits.label_bytes_max)?,
            })
        })
        .collect::<Result<Vec<_>, Refused>>()?;
    unique("assets", assets.iter().map(|a| a.asset.as_str()))?;
    Ok(assets)
}

fn event_types(said: &[String], limits: &Limits) -> Result<Vec<EventType>, Refused> {
    count(
        "event-types",
        said.len(),
        "event_types_max",
        limits.event_types_max,
    )?;
    unique("event-types", said.iter().map(String::as_str))?;
    let checked = said.iter().enumerate().map(|(i, said)| {
        EventType::new(said).map_err(|e| refuse(format!("event-types[{i}]"), e.to_string()))
    });
    checked.collect()
}

fn names(
    field: &'static str,
    said: Vec<String>,
    max: usize,
    limits: &Limits,
) -> Result<Vec<String>, Refused> {
    let limit = if field == "measures" {
        "measures_max"
    } else {
        "attributes_max"
    };
    count(field, said.len(), limit, max)?;
    unique(field, said.iter().map(String::as_str))?;
    said.into_iter().map(|said| name(field, said, limits)).collect()
}

fn charges(
    said: Vec<bindings::ChargeDescription>,
    limits: &Limits,
) -> Result<Vec<ChargeDescription>, Refused> {
    count("charges", said.len(), "charges_max", limits.charges_max)?;
    unique("charges", said.iter().map(|c| c.code.as_str()))?;
    let checked = said.into_iter().enumerate().map(|(i, said)| {
        let field = || format!("charges[{i}].code");
        let allowed = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        if said.code.is_empty() || said.code.len() > limits.name_bytes_max || !said.code.bytes().all(allowed)
        {
            let reason = format!(
                "{:?} is no code: expected 1 to {} (name_bytes_max) of a-z, 0-9, '-', '_' and '.', such as \
                 \"input-tokens\"",
                shown(&said.code),
                limits.name_bytes_max
            );
            return Err(refuse(field(), reason));
        }
        Ok(ChargeDescription {
            code: said.code,
            label: text("charge label", said.label, limits.label_bytes_max)?,
            unit: text("charge unit", said.unit, limits.label_bytes_max)?,
        })
    });
    checked.collect()
}

fn schema(said: String, limits: &Limits) -> Result<String, Refused> {
    let said = text("parameters-schema", said, limits.schema_bytes_max)?;
    match serde_json::from_str::<serde_json::Value>(&said) {
        Ok(serde_json::Value::Object(_) | serde_json::Value::Bool(_)) => Ok(said),
        Ok(_) => Err(refuse("parameters-schema", "a JSON Schema is an object")),
        Err(e) => Err(refuse("parameters-schema", format!("it is not JSON: {e}"))),
    }
}

/// A name: one line, not empty.
fn name(field: &str, said: String, limits: &Limits) -> Result<String, Refused> {
    if said.is_empty() {
        return Err(refuse(field, "a name must not be empty"));
    }
    if said.chars().any(char::is_control) {
        return Err(refuse(
            field,
            format!("{:?} holds a control character", shown(&said)),
        ));
    }
    if said.len() > limits.name_bytes_max {
        let reason = format!(
            "{:?} has {} bytes (name_bytes_max = {})",
            shown(&said),
            said.len(),
            limits.name_bytes_max
        );
        return Err(refuse(field, reason));
    }
    Ok(said)
}

/// A text for people.
fn text(field: &str, said: String, max: usize) -> Result<String, Refused> {
    if said.len() > max {
        return Err(refuse(
            field,
            format!("it has {} bytes, and {max} are allowed", said.len()),
        ));
    }
    Ok(said)
}

fn count(field: &str, found: usize, limit: &str, max: usize) -> Result<(), Refused> {
    if found > max {
        return Err(refuse(field, format!("there are {found} ({limit} = {max})")));
    }
    Ok(())
}

fn unique<'a>(field: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(refuse(field, format!("{:?} is there twice", shown(name))));
        }
    }
    Ok(())
}

/// The beginning of something that may be very long.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

fn refuse(field: impl Into<String>, reason: impl Into<String>) -> Refused {
    Refused::Description {
        field: field.into(),
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> bindings::Description {
        bindings::Description {
            name: "plan".into(),
            version: "1".into(),
            summary: String::new(),
            assets: vec![bindings::AssetDescription {
                name: "usd".into(),
                label: "US dollars".into(),
            }],
            event_types: vec!["llm.call".into()],
            measures: vec!["input_tokens".into()],
            attributes: vec!["model".into()],
            charges: vec![bindings::ChargeDescription {
                code: "input-tokens".into(),
                label: "Input tokens".into(),
                unit: "tokens".into(),
            }],
            parameters_schema: "{}".into(),
            subject_attribute: None,
            state_version: 1,
            order: bindings::Order::Independent,
            wants_cost: false,
            wants_balances: false,
        }
    }

    fn refuse(change: impl Fn(&mut bindings::Description), names: &str) {
        let mut said = good();
        change(&mut said);
        let refused = describe(said, &Limits::default()).unwrap_err();
        assert_eq!(refused.code(), "description");
        assert!(
            refused.to_string().contains(names),
            "{refused} does not name {names}"
        );
    }

    #[test]
    fn each_part_is_checked_and_named() {
        assert!(describe(good(), &Limits::default()).is_ok());
        refuse(|d| d.name = String::new(), "name");
        refuse(|d| d.name = "a\nb".into(), "name");
        refuse(|d| d.assets[0].name = "USD".into(), "assets[0].name");
        refuse(|d| d.assets.push(d.assets[0].clone()), "assets");
        refuse(|d| d.event_types.push("llm.call".into()), "event-types");
        refuse(|d| d.event_types.push("a b".into()), "event-types[1]");
        refuse(
            |d| d.measures = (0..65).map(|i| i.to_string()).collect(),
            "measures_max",
        );
        refuse(
            |d| d.attributes = (0..65).map(|i| i.to_string()).collect(),
            "attributes_max",
        );
        refuse(|d| d.measures = vec!["x".repeat(65)], "name_bytes_max");
        refuse(|d| d.charges[0].code = "Input".into(), "charges[0].code");
        refuse(|d| d.parameters_schema = "[]".into(), "parameters-schema");
        refuse(|d| d.parameters_schema = "{".into(), "parameters-schema");
        refuse(|d| d.subject_attribute = Some(String::new()), "subject-attribute");
    }
}
