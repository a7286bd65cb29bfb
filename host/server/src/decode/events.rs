//! The forms in which events come: one JSON object, a JSON array, NDJSON, CloudEvents.

use axum::http::HeaderMap;
use farebox_record::event::Event;
use farebox_record::ids::CustomerId;
use serde_json::value::RawValue;

use crate::code::Code;
use crate::decode::cloudevents;
use crate::decode::json::{json, problem};
use crate::decode::media::{is_json, media_type, named, unsupported};
use crate::limits::EVENTS_PER_CALL_MAX;
use crate::problem::Problem;
use crate::wire::event::EventBody;

/// An event, or why it is none.
pub(crate) type Item = Result<(CustomerId, Event), Problem>;

/// What a call of `POST /v1/events` carried.
#[derive(Debug)]
pub(crate) enum Sent {
    /// One event, in a form that holds one: what is wrong with it is wrong with the call.
    One(Box<Item>),
    /// Events in a form that holds many: each has its own answer.
    Many(Vec<Item>),
}

const UNDERSTOOD: &str = "application/json, application/x-ndjson, application/cloudevents+json, \
                          application/cloudevents-batch+json, or `ce-` headers with a JSON body";

/// Reads what was sent.
pub(crate) fn events(headers: &HeaderMap, body: &[u8]) -> Result<Sent, Problem> {
    let media = media_type(headers)?;
    match media.as_deref() {
        Some("application/cloudevents+json") => Ok(Sent::One(Box::new(cloudevents::structured(body, "")))),
        Some("application/cloudevents-batch+json") => {
            array(body, |text, at| cloudevents::structured(text.as_bytes(), at))
        }
        media if cloudevents::is_binary(headers) => {
            Ok(Sent::One(Box::new(cloudevents::binary(headers, media, body))))
        }
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => lines(body),
        Some(media) if is_json(media) => {
            let begins = body.iter().find(|byte| !byte.is_ascii_whitespace());
            match begins {
                Some(b'[') => array(body, |text, at| flat(text.as_bytes(), at)),
                _ => Ok(Sent::One(Box::new(flat(body, "")))),
            }
        }
        other => Err(unsupported(&named(other), UNDERSTOOD)),
    }
}

/// One event in Farebox's own form.
fn flat(text: &[u8], at: &str) -> Item {
    json::<EventBody>(text, at)?.event(at)
}

/// An array whose items are read one by one, so that one that does not fit leaves the others alone.
fn array(body: &[u8], read: impl Fn(&str, &str) -> Item) -> Result<Sent, Problem> {
    let items: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| problem(&error, ""))?;
    check_count(items.len())?;
    let read = |(index, item): (usize, &&RawValue)| read(item.get(), &format!("/{index}"));
    Ok(Sent::Many(items.iter().enumerate().map(read).collect()))
}

/// One event per line; empty lines are none.
fn lines(body: &[u8]) -> Result<Sent, Problem> {
    let lines = || {
        body.split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii)
            .filter(|line| !line.is_empty())
    };
    check_count(lines().count())?;
    Ok(Sent::Many(lines().map(|line| flat(line, "")).collect()))
}

fn check_count(count: usize) -> Result<(), Problem> {
    match count > EVENTS_PER_CALL_MAX {
        true => {
            let detail = format!("{count} events in one call; EVENTS_PER_CALL_MAX is {EVENTS_PER_CALL_MAX}");
            Err(Problem::new(Code::TooManyEvents, detail).with("limit", "EVENTS_PER_CALL_MAX"))
        }
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn send(media: &'static str, body: &str) -> Result<Sent, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        events(&headers, body.as_bytes())
    }

    /// `id@customer`, or `code pointer`.
    fn shown(item: &Item) -> String {
        match item {
            Ok((customer, event)) => format!("{}@{customer}", event.id),
            Err(problem) => {
                let pointer = problem.member("pointer").and_then(|p| p.as_str()).unwrap_or("-");
                format!("{} {pointer}", problem.code().as_str())
            }
        }
    }

    fn many(media: &'static str, body: &str) -> Vec<String> {
        match send(media, body) {
            Ok(Sent::Many(items)) => items.iter().map(shown).collect(),
            other => panic!("{other:?}"),
        }
    }

    const GOOD: &str = r#"{"id": "e", "customer": "acme", "type": "t"}"#;

    #[test]
    fn a_malformed_item_leaves_the_others_alone() {
        let body = format!(r#"[{GOOD}, {{"id": 1}}, 7, {{"id": "e", "custmer": "x"}}, {GOOD}]"#);
        let expected = [
            "e@acme",
            "invalid_request /1/id",
            "invalid_request /2",
            "invalid_request /3/custmer",
            "e@acme",
        ];
        assert_eq!(many("application/json", &body), expected);
    }

    #[test]
    fn a_line_is_an_event() {
        let body = format!("{GOOD}\r\n\n{{\"id\": \n{GOOD}\n\u{fffd}\n");
        let expected = ["e@acme", "malformed -", "e@acme", "malformed -"];
        assert_eq!(many("application/x-ndjson", &body), expected);
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        );
        let Ok(Sent::Many(items)) = events(&headers, b"{\"id\": \"\xff\"}\n") else {
            panic!()
        };
        assert_eq!(shown(&items[0]), "malformed -", "a line that is not UTF-8");
    }

    #[test]
    fn one_object_is_one_event() {
        for (body, expected) in [
            (GOOD, "e@acme"),
            ("{}", "invalid_request "),
            ("", "malformed -"),
            ("7", "invalid_request "),
            (
                r#"{"id": "e", "customer": "a b", "type": "t"}"#,
                "invalid_request /customer",
            ),
        ] {
            match send("application/json; charset=utf-8", body) {
                Ok(Sent::One(item)) => assert_eq!(shown(&item), expected, "{body}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_broken_array_is_no_events_at_all() {
        assert_eq!(
            send("application/json", "[{},").unwrap_err().code(),
            Code::Malformed
        );
        assert_eq!(
            send("text/csv", "a,b").unwrap_err().code(),
            Code::UnsupportedMediaType
        );
    }

    #[test]
    fn a_call_has_a_limit() {
        let body = vec!["{}"; EVENTS_PER_CALL_MAX + 1].join(",");
        let problem = send("application/json", &format!("[{body}]")).unwrap_err();
        assert_eq!(problem.code(), Code::TooManyEvents);
        assert_eq!(problem.member("limit").unwrap(), "EVENTS_PER_CALL_MAX");
        assert!(many("application/json", "[]").is_empty());
    }

    #[test]
    fn usage_is_normalised_with_its_place() {
        let body = r#"[{"id": "e", "customer": "c", "type": "t",
            "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 3}}}]"#;
        let expected = ["invalid_request /0/usage/prompt_tokens_details/cached_tokens"];
        assert_eq!(many("application/json", body), expected);
    }
}
