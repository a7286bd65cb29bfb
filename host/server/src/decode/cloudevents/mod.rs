//! CloudEvents 1.0: structured, batch, and binary in headers.
//!
//! `subject` is the customer. `data` is either `{measures, usage, attributes}`, or flat: its numbers are measures and its
//! texts attributes. Extension attributes (`traceparent`) are allowed and not read: they say how an event travelled, not
//! what it is, and would make every retry another event.

mod data;

use std::collections::BTreeMap;
use std::fmt;

use crate::decode::events::Item;
use crate::decode::json::{escaped, problem};
use crate::decode::media::{is_json, named, unsupported};
use crate::problem::Problem;
use crate::wire::usage::measures_of;
use axum::http::HeaderMap;
use data::{Data, Once};
use farebox_record::event::Event;

/// Whether the event's attributes are in headers.
pub(crate) fn is_binary(headers: &HeaderMap) -> bool {
    headers.contains_key("ce-specversion") || headers.contains_key("ce-id")
}

/// Where an event's attributes stand.
enum Place<'a> {
    /// In the body, below this pointer.
    Body(&'a str),
    /// In headers.
    Headers,
}

impl Place<'_> {
    fn problem(&self, attribute: &str, detail: impl Into<String>) -> Problem {
        match self {
            Place::Body(at) => Problem::field(format!("{at}/{}", escaped(attribute)), detail),
            Place::Headers => Problem::parameter(&format!("ce-{attribute}"), detail),
        }
    }
}

/// An event whose attributes stand beside its data in one object.
pub(crate) fn structured(text: &[u8], at: &str) -> Item {
    let place = Place::Body(at);
    let fields: Once<'_> = serde_json::from_slice(text).map_err(|error| problem(&error, at))?;
    let mut context = BTreeMap::new();
    let mut data = None;
    for (name, value) in fields.0 {
        match name.as_str() {
            "data" => data = Some(value.get()),
            "data_base64" => {
                return Err(place.problem(&name, "binary data is not understood; send JSON in `data`"));
            }
            _ if !is_attribute(&name) => {
                let detail = format!("unknown field `{name}`: attributes of CloudEvents are of a-z and 0-9");
                return Err(place.problem(&name, detail));
            }
            _ if is_context(&name) => {
                let text: String = serde_json::from_str(value.get())
                    .map_err(|_| place.problem(&name, "expected a string"))?;
                context.insert(name, text);
            }
            _ => {} // an extension
        }
    }
    assemble(&context, &place, data.map(str::as_bytes), &format!("{at}/data"))
}

/// An event whose attributes stand in headers and whose data is the body.
pub(crate) fn binary(headers: &HeaderMap, media: Option<&str>, body: &[u8]) -> Item {
    if !body.is_empty() && !media.is_some_and(is_json) {
        return Err(unsupported(&named(media), "JSON as the data of a CloudEvent"));
    }
    let mut context = BTreeMap::new();
    for (header, value) in headers {
        let Some(name) = header
            .as_str()
            .strip_prefix("ce-")
            .filter(|name| is_context(name))
        else {
            continue;
        };
        let text = value
            .to_str()
            .ok()
            .and_then(percent_decoded)
            .ok_or_else(|| Place::Headers.problem(name, "is not percent-encoded UTF-8"))?;
        if context.insert(name.to_string(), text).is_some() {
            return Err(Place::Headers.problem(name, "is given twice"));
        }
    }
    let data = (!body.is_empty()).then_some(body);
    assemble(&context, &Place::Headers, data, "")
}

/// The attributes that are read.
fn is_context(name: &str) -> bool {
    matches!(
        name,
        "specversion" | "id" | "source" | "type" | "subject" | "time" | "datacontenttype"
    )
}

fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

fn assemble(
    context: &BTreeMap<String, String>,
    place: &Place<'_>,
    data: Option<&[u8]>,
    data_at: &str,
) -> Item {
    let needed = |attribute: &str, why: &str| {
        context
            .get(attribute)
            .ok_or_else(|| place.problem(attribute, format!("is missing: {why}")))
    };
    let version = needed("specversion", "expected \"1.0\"")?;
    if version != "1.0" {
        return Err(place.problem("specversion", format!("expected \"1.0\", found {version:?}")));
    }
    if let Some(media) = context.get("datacontenttype").filter(|media| {
        let media = media
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        !is_json(&media)
    }) {
        return Err(place.problem(
            "datacontenttype",
            format!("expected application/json, found {media:?}"),
        ));
    }
    fn parsed<T: std::str::FromStr<Err: fmt::Display>>(
        place: &Place<'_>,
        attribute: &str,
        text: &str,
    ) -> Result<T, Problem> {
        text.parse()
            .map_err(|e: T::Err| place.problem(attribute, e.to_string()))
    }
    let customer = parsed(place, "subject", needed("subject", "it names the customer")?)?;
    let id = parsed(
        place,
        "id",
        needed("id", "it identifies the event within its source")?,
    )?;
    let source = parsed(
        place,
        "source",
        needed("source", "it says where the event comes from")?,
    )?;
    let event_type = parsed(place, "type", needed("type", "it says what kind of usage it is")?)?;
    let time = context
        .get("time")
        .map(|text| parsed(place, "time", text))
        .transpose()?;
    let data = data
        .map(|data| Data::read(data, data_at))
        .transpose()?
        .unwrap_or_default();
    let measures = measures_of(data_at, data.measures, data.usage.as_ref())?;
    let attributes = data.attributes.unwrap_or_default().0;
    Ok((
        customer,
        Event {
            source,
            id,
            event_type,
            time,
            measures,
            attributes,
        },
    ))
}

/// Header values of CloudEvents are percent-encoded.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
                bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;
    use crate::decode::events::{Sent, events};

    fn shown(item: &Item) -> String {
        let (customer, event) = match item {
            Ok(read) => read,
            Err(problem) => {
                let place = problem.member("pointer").or(problem.member("parameter"));
                return format!(
                    "{} {}",
                    problem.code().as_str(),
                    place.and_then(|p| p.as_str()).unwrap_or("-")
                );
            }
        };
        let Event {
            source,
            id,
            event_type,
            measures,
            attributes,
            ..
        } = event;
        format!("{customer} {source} {id} {event_type} {measures:?} {attributes:?}")
    }

    fn check(body: &str, expected: &str) {
        assert_eq!(shown(&structured(body.as_bytes(), "")), expected, "{body}");
    }

    fn with(more: &str) -> String {
        format!(
            r#"{{"specversion": "1.0", "id": "e", "source": "/gw", "type": "llm.call", "subject": "acme"{more}}}"#
        )
    }

    #[test]
    fn a_structured_event_is_read() {
        check(&with(""), "acme /gw e llm.call {} {}");
        check(
            &with(
                r#", "data": {"measures": {"input_tokens": 0.1}, "attributes": {"model": "m"}}, "traceparent": "00-1""#,
            ),
            r#"acme /gw e llm.call {"input_tokens": 0.1} {"model": "m"}"#,
        );
        check(
            &with(
                r#", "data": {"tokens": 12.000000001, "model": "m", "team": ""}, "datacontenttype": "application/json""#,
            ),
            r#"acme /gw e llm.call {"tokens": 12.000000001} {"model": "m"}"#,
        );
        check(
            &with(
                r#", "data": {"usage": {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 1}}}"#,
            ),
            r#"acme /gw e llm.call {"cache_read_tokens": 1, "input_tokens": 2} {}"#,
        );
    }

    #[test]
    fn what_does_not_fit_has_a_place() {
        check("[]", "invalid_request ");
        check("{", "malformed -");
        check("{}", "invalid_request /specversion");
        check(r#"{"specversion": "0.3"}"#, "invalid_request /specversion");
        check(
            r#"{"specversion": "1.0", "id": "e", "source": "s", "type": "t"}"#,
            "invalid_request /subject",
        );
        check(&with(r#", "id": "f""#), "invalid_request ");
        check(&with(r#", "Subject": "x""#), "invalid_request /Subject");
        check(
            &with(r#", "data_base64": "aaaa""#),
            "invalid_request /data_base64",
        );
        check(
            &with(r#", "datacontenttype": "text/xml""#),
            "invalid_request /datacontenttype",
        );
        check(&with(r#", "time": "now""#), "invalid_request /time");
        check(
            &with(r#", "data": {"measures": {"a": "x"}}"#),
            "invalid_request /data/measures/a",
        );
        check(
            &with(r#", "data": {"measures": {}, "model": "m"}"#),
            "invalid_request /data/model",
        );
        check(
            &with(r#", "data": {"mesures": {"a": 1}}"#),
            "invalid_request /data/mesures",
        );
        check(
            &with(r#", "data": {"a": 0.0000000001}"#),
            "invalid_request /data/a",
        );
        check(&with(r#", "data": {"a": 1, "a": 2}"#), "invalid_request /data");
        check(&with(r#", "data": 7"#), "invalid_request /data");
    }

    #[test]
    fn a_batch_has_an_answer_for_each() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/cloudevents-batch+json"),
        );
        let body = format!("[{}, {{}}]", with(""));
        let Ok(Sent::Many(items)) = events(&headers, body.as_bytes()) else {
            panic!()
        };
        let shown: Vec<_> = items.iter().map(shown).collect();
        assert_eq!(
            shown,
            ["acme /gw e llm.call {} {}", "invalid_request /1/specversion"]
        );
    }

    #[test]
    fn headers_carry_an_event() {
        let send = |more: &[(&'static str, &'static str)], body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let usual = [
                ("ce-specversion", "1.0"),
                ("ce-id", "e%2D1"),
                ("ce-source", "/gw"),
                ("ce-type", "t"),
            ];
            for (name, value) in usual.iter().chain(more) {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            match events(&headers, body.as_bytes()) {
                Ok(Sent::One(item)) => shown(&item),
                other => panic!("{other:?}"),
            }
        };
        let data = r#"{"tokens": 5}"#;
        assert_eq!(
            send(&[("ce-subject", "acme")], data),
            r#"acme /gw e-1 t {"tokens": 5} {}"#
        );
        assert_eq!(
            send(&[("ce-subject", "acme"), ("ce-traceparent", "x")], ""),
            "acme /gw e-1 t {} {}"
        );
        assert_eq!(send(&[], data), "invalid_parameter ce-subject");
        assert_eq!(
            send(&[("ce-subject", "a%")], data),
            "invalid_parameter ce-subject"
        );
        assert_eq!(
            send(&[("ce-subject", "acme"), ("content-type", "text/xml")], data),
            "unsupported_media_type -"
        );
    }
}
