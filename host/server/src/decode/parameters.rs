//! Names in paths, parameters in queries, and the `Idempotency-Key` header.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use farebox_record::ids::CallId;
use farebox_record::time::{CalendarSpan, Timestamp};
use serde::de::DeserializeOwned;

use crate::code::Code;
use crate::handle::HoldHandle;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::problem::Problem;

/// Keys that the server makes itself begin like this, so that no caller's key meets one.
pub(crate) const DERIVED_KEY_PREFIX: &str = "auto:";

/// Typed query parameters; unknown ones are refused.
pub(crate) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|Query(read)| Params(read)).map_err(|rejection| {
            let said = rejection.body_text();
            let (_, detail) = said.split_once(": ").unwrap_or(("", said.as_str()));
            // The text names the parameter where it can: `limit: invalid digit`, or "unknown field `x`".
            let name = detail
                .split([':', '`'])
                .map(str::trim)
                .find(|part| parts_of_query(parts).any(|p| p == *part));
            Problem::parameter(name.unwrap_or("query"), detail)
        })
    }
}

fn parts_of_query(parts: &Parts) -> impl Iterator<Item = &str> {
    parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split('=').next().unwrap_or_default())
}

/// A name that stands in the path or in the query.
pub(crate) fn name<T: FromStr<Err: Display>>(parameter: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|e: T::Err| Problem::parameter(parameter, e.to_string()))
}

/// A calendar month in UTC, from its beginning to that of the next; none: the present one.
pub(crate) fn month(text: Option<&str>, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let present = now.to_string();
    let month = text.unwrap_or(present.get(..7).unwrap_or_default());
    let wrong = || {
        Problem::parameter(
            "month",
            format!("{month:?} is no month: expected one such as 2026-11"),
        )
    };
    let is_month = month.len() == 7 && month.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let from: Timestamp = match is_month {
        true => format!("{month}-01T00:00:00Z").parse().map_err(|_| wrong())?,
        false => return Err(wrong()),
    };
    let one: CalendarSpan = "P1M".parse().map_err(|_| wrong())?;
    Ok((from, one.after(from).ok_or_else(wrong)?))
}

/// A hold's handle; what is none names no hold.
pub(crate) fn hold(text: &str) -> Result<HoldHandle, Problem> {
    text.parse()
        .map_err(|_| Problem::new(Code::UnknownHold, "this is not the id of a hold"))
}

/// How many items a page has.
pub(crate) fn page_size(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(PAGE_DEFAULT),
        Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
        Some(_) => {
            Err(Problem::parameter("limit", format!("must be 1 to {PAGE_MAX}")).with("limit", "PAGE_MAX"))
        }
    }
}

/// The caller's key for a call without an id of its own.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<CallId>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value
        .to_str()
        .map_err(|_| Problem::parameter("Idempotency-Key", "is not text"))?;
    // A draft of the header writes it as a quoted string; clients do both.
    let text = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text);
    if text.starts_with(DERIVED_KEY_PREFIX) {
        let detail = format!("keys that begin with {DERIVED_KEY_PREFIX:?} are the server's own");
        return Err(Problem::parameter("Idempotency-Key", detail));
    }
    name("Idempotency-Key", text).map(Some)
}

/// The same where a call that is repeated would do something else: there has to be one.
pub(crate) fn required_key(headers: &HeaderMap) -> Result<CallId, Problem> {
    idempotency_key(headers)?.ok_or_else(|| {
        let detail = "is missing: make one up for this change, and repeat it with a retry, which is carried out once then";
        Problem::parameter("Idempotency-Key", detail)
    })
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, Request};
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<usize>,
    }

    async fn page(uri: &str) -> Result<Option<usize>, Problem> {
        let (mut parts, ()) = Request::get(uri).body(()).unwrap().into_parts();
        Params::<Page>::from_request_parts(&mut parts, &())
            .await
            .map(|Params(page)| page.limit)
    }

    #[tokio::test]
    async fn unknown_parameters_are_refused_by_name() {
        assert_eq!(page("/").await.unwrap(), None);
        assert_eq!(page("/?limit=3").await.unwrap(), Some(3));
        for (uri, name) in [
            ("/?limt=3", "limt"),
            ("/?limit=x", "limit"),
            ("/?limit=-1", "limit"),
        ] {
            let problem = page(uri).await.unwrap_err();
            assert_eq!(problem.member("parameter").unwrap(), name, "{}", problem.detail());
        }
    }

    #[test]
    fn pages_have_a_size() {
        assert_eq!(page_size(None).unwrap(), PAGE_DEFAULT);
        assert!(page_size(Some(0)).is_err());
        assert!(page_size(Some(PAGE_MAX + 1)).is_err());
    }

    #[test]
    fn keys_are_names() {
        let key = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("idempotency-key", HeaderValue::from_static(text));
            idempotency_key(&headers).map(|key| key.unwrap().to_string())
        };
        assert_eq!(key("a-1").unwrap(), "a-1");
        assert_eq!(key("\"a-1\"").unwrap(), "a-1");
        assert!(key("").is_err());
        assert!(key("a b").is_err());
        assert!(key("auto:1").is_err());
        assert_eq!(idempotency_key(&HeaderMap::new()).unwrap(), None);
    }
}
