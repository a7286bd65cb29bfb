//! What a body says that it is.

use axum::http::{HeaderMap, header};

use crate::code::Code;
use crate::problem::Problem;

/// The media type in lower case, without its parameters; none where the request names none. A text that is not UTF-8 is
/// refused here.
pub(crate) fn media_type(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| unsupported("something unreadable", "application/json"))?;
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim_matches('"');
        if name.eq_ignore_ascii_case("charset") && !value.eq_ignore_ascii_case("utf-8") {
            return Err(unsupported(text, "UTF-8"));
        }
    }
    Ok(Some(media))
}

/// JSON, or a format built on it.
pub(crate) fn is_json(media: &str) -> bool {
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}

/// Refuses everything but JSON.
pub(crate) fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    match media_type(headers)? {
        Some(media) if is_json(&media) => Ok(()),
        other => Err(unsupported(&named(other.as_deref()), "application/json")),
    }
}

/// How a missing content type is called.
pub(crate) fn named(media: Option<&str>) -> String {
    media.map_or_else(|| "no content type".to_string(), str::to_string)
}

/// What was found, and what would be understood.
pub(crate) fn unsupported(found: &str, expected: &str) -> Problem {
    Problem::new(
        Code::UnsupportedMediaType,
        format!("found {found}, expected {expected}"),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_in_utf8_is_json() {
        for (text, good) in [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/vnd.x+json", true),
            ("application/json; charset=latin1", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(text));
            assert_eq!(require_json(&headers).is_ok(), good, "{text}");
        }
        assert_eq!(
            require_json(&HeaderMap::new()).unwrap_err().code(),
            Code::UnsupportedMediaType
        );
    }
}
