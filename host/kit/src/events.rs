//! Files of events, in the form in which the API takes them: one JSON object, an array, or one object a line.

use std::collections::BTreeMap;

use farebox_money::Nanos;
use farebox_record::command::default_source;
use farebox_record::event::Event;
use farebox_record::ids::{EventId, EventType, Source};
use farebox_record::time::Timestamp;
use serde::Deserialize;
use serde_json::{Number, Value, json};

/// What is wrong with a file of events, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EventsError(String);

/// An event, and who pays for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// The customer, where the event says one.
    pub customer: Option<String>,
    /// The event.
    pub event: Event,
}

/// An event as the API takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    customer: Option<String>,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    measures: BTreeMap<String, Exact>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A number as it was written, or in quotes.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Exact {
    Number(Number),
    Text(String),
}

/// Reads a file of events, in its order, whoever they are of: that makes no difference to a plan that is asked by itself. One
/// without an id is called by its place: `event-1`.
pub fn read_events(text: &str) -> Result<Vec<Event>, EventsError> {
    let used = read_used(text)?.into_iter();
    Ok(used.map(|used| used.event).collect())
}

/// The same with whom each is of.
pub fn read_used(text: &str) -> Result<Vec<Used>, EventsError> {
    let array = text.trim_start().starts_with('[');
    let said: Vec<Said> = match array {
        true => serde_json::from_str(text).map_err(|error| EventsError(error.to_string()))?,
        false => {
            let objects = serde_json::Deserializer::from_str(text).into_iter::<Said>();
            let read: Result<Vec<Said>, _> = objects.collect();
            read.map_err(|error| EventsError(error.to_string()))?
        }
    };
    let events = said.into_iter().enumerate();
    let events = events.map(|(at, mut said)| {
        let customer = said.customer.take();
        let event = said.event(at + 1)?;
        Ok(Used { customer, event })
    });
    let events: Result<Vec<Used>, EventsError> = events.collect();
    match events {
        Ok(events) if events.is_empty() => Err(EventsError("there are no events in it".into())),
        events => events,
    }
}

impl Said {
    fn event(self, place: usize) -> Result<Event, EventsError> {
        let wrong = |field: &str, error: &dyn std::fmt::Display| {
            EventsError(format!("event {place}, {field}: {error}"))
        };
        let made = format!("event-{place}");
        let mut measures = BTreeMap::new();
        for (name, number) in self.measures {
            let text = match number {
                Exact::Number(number) => number.to_string(),
                Exact::Text(text) => text,
            };
            let amount: Nanos = text
                .parse()
                .map_err(|error| wrong(&format!("measures.{name}"), &error))?;
            measures.insert(name, amount);
        }
        let source = self.source.as_deref().map(Source::new).transpose();
        let time = self.time.as_deref().map(str::parse::<Timestamp>).transpose();
        Ok(Event {
            source: source
                .map_err(|error| wrong("source", &error))?
                .unwrap_or_else(default_source),
            id: EventId::new(self.id.as_deref().unwrap_or(&made)).map_err(|error| wrong("id", &error))?,
            event_type: EventType::new(&self.event_type).map_err(|error| wrong("type", &error))?,
            time: time.map_err(|error| wrong("time", &error))?,
            measures: measures.into(),
            attributes: self.attributes.into(),
        })
    }
}

/// An event in the form in which the API takes it.
pub fn to_json(event: &Event) -> Value {
    let measures: BTreeMap<&str, String> = event
        .measures
        .iter()
        .map(|(k, v)| (k.as_str(), v.to_string()))
        .collect();
    let mut json = json!({
        "id": event.id.as_str(), "type": event.event_type.as_str(), "measures": measures, "attributes": event.attributes,
    });
    if let Some(time) = event.time {
        json["time"] = time.to_string().into();
    }
    if event.source != default_source() {
        json["source"] = event.source.as_str().into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"type": "llm.call", "measures": {"input_tokens": 0.000000001, "output_tokens": "20"},
        "attributes": {"model": "gpt-5"}, "time": "2026-03-01T00:00:00Z", "customer": "acme"}"#;

    #[test]
    fn every_form_says_the_same() {
        let one = read_events(CALL).unwrap();
        assert_eq!(one.len(), 1);
        assert_eq!(
            (one[0].id.as_str(), one[0].measures["input_tokens"]),
            ("event-1", Nanos::new(1))
        );
        assert_eq!(read_events(&format!("[{CALL}]")).unwrap(), one);
        let two = read_events(&format!("{CALL}\n{CALL}\n")).unwrap();
        assert_eq!((two.len(), two[1].id.as_str()), (2, "event-2"));
        assert_eq!(read_used(CALL).unwrap()[0].customer.as_deref(), Some("acme"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |text: &str| read_events(text).unwrap_err().to_string();
        assert_eq!(told("[]"), "there are no events in it");
        assert!(told(r#"{"type": "x", "meassures": {}}"#).starts_with("unknown field `meassures`"));
        assert!(
            told(r#"[{"type": "x"}, {"type": "x", "measures": {"n": "1.0000000001"}}]"#)
                .starts_with("event 2, measures.n: ")
        );
        assert!(told(r#"{"type": "x", "time": "yesterday"}"#).starts_with("event 1, time: "));
        assert!(told(r#"{"type": ""}"#).starts_with("event 1, type: "));
    }
}
