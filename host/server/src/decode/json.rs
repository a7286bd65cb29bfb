//! JSON into typed bodies, with the place of whatever does not fit.

use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::code::Code;
use crate::problem::Problem;

/// Reads a body. `at` is the JSON pointer of `text` within the whole body.
pub(crate) fn json<T: DeserializeOwned>(text: &[u8], at: &str) -> Result<T, Problem> {
    // Keeping track of where the reader is takes a third as long as reading, and matters only to what cannot be read.
    match serde_json::from_slice(text) {
        Ok(read) => Ok(read),
        Err(_) => json_with_place(text, at),
    }
}

fn json_with_place<T: DeserializeOwned>(text: &[u8], at: &str) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = format!("{at}{}", pointer(error.path()));
        misread(text, error.inner(), &pointer)
    })?;
    reader.end().map_err(|error| problem(&error, at))?;
    Ok(read)
}

/// What is wrong with a text that a type could not be read from. The reader's own word is not enough: it stops at the first
/// field that does not fit, before it has seen the rest, and calls `true` where a choice is expected a slip of syntax.
fn misread(text: &[u8], error: &serde_json::Error, pointer: &str) -> Problem {
    if let Err(error) = std::str::from_utf8(text) {
        return Problem::new(Code::Malformed, format!("the body is not UTF-8: {error}"));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        Err(malformed) => problem(&malformed, pointer),
        Ok(_) if error.is_data() => problem(error, pointer),
        Ok(_) => Problem::field(pointer, "expected the text of one of the choices"),
    }
}

/// What is wrong with it: the JSON itself (400), or a field (422).
pub(crate) fn problem(error: &serde_json::Error, pointer: &str) -> Problem {
    match error.classify() {
        Category::Data => Problem::field(pointer, without_place(&error.to_string())),
        Category::Syntax | Category::Eof | Category::Io => {
            Problem::new(Code::Malformed, format!("the body is not JSON: {error}"))
        }
    }
}

/// The pointer says where; line and column are for text that nobody could read.
fn without_place(said: &str) -> &str {
    said.rfind(" at line ").map_or(said, |end| &said[..end])
}

/// A path as RFC 6901 writes it.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                text.push('/');
                text.push_str(&escaped(key));
            }
            // A variant of an enum is a key of the JSON, too; an unknown segment has no name.
            Segment::Enum { variant } => {
                text.push('/');
                text.push_str(&escaped(variant));
            }
            Segment::Unknown => {}
        }
    }
    text
}

/// A key as a JSON pointer writes it.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::account::{CustomerBody, GrantBody};
    use crate::wire::event::{AuthorizeBody, EventBody};
    use crate::wire::hold::{ExtendBody, SettleBody};
    use crate::wire::subscription::SubscriptionBody;

    fn check<T: DeserializeOwned>(body: &str, code: Code, pointer: &str, said: &str) {
        let Err(problem) = json::<T>(body.as_bytes(), "") else {
            panic!("accepted: {body}")
        };
        assert_eq!(problem.code(), code, "{body}: {}", problem.detail());
        assert!(problem.detail().contains(said), "{body}: {}", problem.detail());
        if code == Code::InvalidRequest {
            assert_eq!(
                problem.member("pointer").unwrap(),
                pointer,
                "{body}: {}",
                problem.detail()
            );
        }
    }

    const GOOD_AND_MORE: &str = r#"{"id": "a", "ttl_seconds": 1} {}"#;

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in [
            "",
            "{",
            "nonsense",
            "{\"id\": }",
            "{\"id\": \"\u{1}\"}",
            "{\"id\": \"a\",}",
            "{\"unknown\": 1,}",
            "{\"ttl_seconds\": \"x\"} {}",
            GOOD_AND_MORE,
        ] {
            check::<ExtendBody>(body, Code::Malformed, "", "the body is not JSON");
        }
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        use Code::InvalidRequest as Field;
        check::<ExtendBody>(
            r#"{"idd": "x"}"#,
            Field,
            "/idd",
            "unknown field `idd`, expected one of `id`",
        );
        check::<EventBody>(
            r#"{"id": "x", "specversion": "1.0"}"#,
            Field,
            "/specversion",
            "unknown field",
        );
        check::<AuthorizeBody>(
            r#"{"id": "x", "dry_run": true}"#,
            Field,
            "/dry_run",
            "unknown field `dry_run`",
        );
        let nested = r#"{"id": "x", "customer": "c", "event": {"type": "t", "mesures": {}}}"#;
        check::<AuthorizeBody>(nested, Field, "/event/mesures", "unknown field `mesures`");
        check::<SettleBody>(
            r#"{"id": "x", "usage": {"prompt_tokens": 1, "x/y": 2}}"#,
            Field,
            "/usage/x~1y",
            "x/y",
        );
        check::<GrantBody>(
            r#"{"applies_to": {"code": []}}"#,
            Field,
            "/applies_to/code",
            "unknown field `code`",
        );
        check::<CustomerBody>(r#"{"limits": 1}"#, Field, "/limits", "unknown field `limits`");
        check::<CustomerBody>(
            r#"{"shortfall": {"usd": "never"}}"#,
            Field,
            "/shortfall/usd",
            "unknown variant `never`",
        );
    }

    #[test]
    fn every_field_says_what_it_expects() {
        use Code::InvalidRequest as Field;
        check::<ExtendBody>("[]", Field, "", "expected an object");
        check::<ExtendBody>("{}", Field, "", "missing field `id`");
        check::<ExtendBody>(r#"{"id": 1}"#, Field, "/id", "expected a string");
        check::<ExtendBody>(r#"{"id": ""}"#, Field, "/id", "must not be empty");
        check::<ExtendBody>(r#"{"id": "a b"}"#, Field, "/id", "holds ' '");
        check::<ExtendBody>(
            r#"{"id": "a", "ttl_seconds": -1}"#,
            Field,
            "/ttl_seconds",
            "expected u32",
        );
        check::<ExtendBody>(
            r#"{"id": "a", "ttl_seconds": 1.5}"#,
            Field,
            "/ttl_seconds",
            "expected u32",
        );
        check::<EventBody>(r#"{"time": "yesterday"}"#, Field, "/time", "expected RFC 3339");
        check::<EventBody>(
            r#"{"id": "a", "event_id": "a"}"#,
            Field,
            "",
            "duplicate field `id`",
        );
        check::<EventBody>(
            r#"{"measures": {"a": 1e-10}}"#,
            Field,
            "/measures/a",
            "more than nine decimals",
        );
        check::<EventBody>(r#"{"measures": {"a": null}}"#, Field, "/measures/a", "found null");
        check::<EventBody>(
            r#"{"measures": {"a": 1, "a": 2}}"#,
            Field,
            "/measures",
            "given twice",
        );
        check::<EventBody>(
            r#"{"attributes": {"a": 1}}"#,
            Field,
            "/attributes/a",
            "expected a string",
        );
        check::<EventBody>(
            r#"{"usage": {"prompt_tokens": "x"}}"#,
            Field,
            "/usage/prompt_tokens",
            "found 'x'",
        );
        check::<GrantBody>(r#"{"asset": "USD"}"#, Field, "/asset", "is not an asset");
        check::<GrantBody>(r#"{"amount": 1}"#, Field, "/amount", "decimal string");
        check::<GrantBody>(
            r#"{"amount": "1.0000000001"}"#,
            Field,
            "/amount",
            "more than nine decimals",
        );
        check::<GrantBody>(
            r#"{"category": "free"}"#,
            Field,
            "/category",
            "unknown variant `free`",
        );
        check::<SubscriptionBody>(
            r#"{"cadence": "hourly"}"#,
            Field,
            "/cadence",
            "unknown variant `hourly`",
        );
        check::<SettleBody>(
            r#"{"above_hold": true}"#,
            Field,
            "/above_hold",
            "one of the choices",
        );
    }

    #[test]
    fn the_id_of_an_event_has_many_names() {
        for name in [
            "id",
            "transaction_id",
            "idempotency_key",
            "identifier",
            "event_id",
        ] {
            let body = format!(r#"{{"{name}": "e-1", "customer": "acme", "type": "llm.call"}}"#);
            let (customer, event) = json::<EventBody>(body.as_bytes(), "").unwrap().event("").unwrap();
            assert_eq!(
                (customer.as_str(), event.id.as_str(), event.source.as_str()),
                ("acme", "e-1", "api")
            );
        }
    }
}
