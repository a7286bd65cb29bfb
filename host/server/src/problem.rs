//! What a refused request is told: `application/problem+json` (RFC 9457) with a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::code::Code;
use crate::limits::RETRY_AFTER_SECONDS;

/// Marks an answer that an earlier request got first.
pub const REPLAYED_HEADER: &str = "idempotency-replayed";

/// Why a request was not carried out, and what its caller can do.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    status: StatusCode,
    detail: String,
    hint: String,
    members: Map<String, Value>,
}

impl Problem {
    /// `detail` says what happened, for people.
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem(Box::new(Inner {
            code,
            status: code.status(),
            detail: detail.into(),
            hint: code.hint().to_string(),
            members: Map::new(),
        }))
    }

    /// A field of the body does not fit. `pointer` is a JSON pointer: `/event/measures/input_tokens`.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Problem {
        Problem::new(Code::InvalidRequest, detail).with("pointer", pointer.into())
    }

    /// A parameter of the path or the query, or a header, does not fit.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        Problem::new(Code::InvalidParameter, detail).with("parameter", name)
    }

    /// With a member of its own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Problem {
        self.0.members.insert(name.to_string(), value.into());
        self
    }

    /// With a better hint than the code's own.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.0.hint = hint.into();
        self
    }

    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// One of its own members.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.0.members.get(name)
    }

    /// The document, without its place in HTTP.
    pub fn document(&self) -> Value {
        let inner = &*self.0;
        let mut document = Map::new();
        document.insert(
            "type".into(),
            format!("urn:farebox:problem:{}", inner.code.as_str()).into(),
        );
        document.insert("title".into(), inner.code.title().into());
        document.insert("status".into(), inner.status.as_u16().into());
        document.insert("code".into(), inner.code.as_str().into());
        document.insert("detail".into(), inner.detail.clone().into());
        document.insert("hint".into(), inner.hint.clone().into());
        document.extend(inner.members.clone());
        Value::Object(document)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.document().to_string();
        let mut response = (self.0.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if matches!(
            self.0.status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::INSUFFICIENT_STORAGE
        ) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.0.members.get("replayed") == Some(&Value::Bool(true)) {
            headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
        }
        response
    }
}

/// How a problem looks, for the documentation; the members that go with a code are named there.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:farebox:problem:insufficient_funds", "title": "The wallet has not enough", "status": 402,
    "code": "insufficient_funds", "detail": "0.0366 usd needed, 0.01 usd available",
    "hint": "Put value into the wallet, then authorize again under a new id: this one stays denied.",
    "allowed": false, "asset": "usd", "required": "0.0366", "available": "0.01"
}))]
pub struct ProblemDocument {
    /// `urn:farebox:problem:` and the code.
    pub r#type: String,
    /// A short sentence, the same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What kind of problem it is.
    #[schema(value_type = Code)]
    pub code: String,
    /// What happened.
    pub detail: String,
    /// What the caller can do.
    pub hint: String,
    /// `invalid_request`: where in the body, as a JSON pointer.
    pub pointer: Option<String>,
    /// `invalid_parameter`: which parameter or header.
    pub parameter: Option<String>,
    /// `conflict`: the first field that differs from the first request. `invalid_event`, `invalid_time`,
    /// `invalid_amount`: which one.
    pub field: Option<String>,
    /// Where authorize says no: `false`.
    pub allowed: Option<bool>,
    /// In which asset, where it is about value.
    pub asset: Option<String>,
    /// How much would be needed of it.
    pub required: Option<String>,
    /// How much is there for it.
    pub available: Option<String>,
    /// `hold_ended`: `settled`, `released` or `expired`.
    pub state: Option<String>,
    /// The name of the limit, where one was exceeded.
    pub limit: Option<String>,
    /// `component_refused`, `parameters_refused`, `plan_failed`: stable code of the reason.
    pub reason: Option<String>,
    /// `parameters_refused`: everything that is wrong, each with its `pointer` and `message`.
    pub errors: Option<Vec<ParameterErrorDocument>>,
    /// Whether an earlier request under this id got this answer first.
    pub replayed: Option<bool>,
}

/// One thing that is wrong with a plan's parameters.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ParameterError)]
pub struct ParameterErrorDocument {
    /// Where in the parameters, as a JSON pointer; empty: the whole.
    pub pointer: String,
    /// What was expected and what was found.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_happened_and_what_to_do() {
        let problem = Problem::field("/id", "expected a string").with("limit", "NAME_BYTES_MAX");
        let document = problem.document();
        assert_eq!(document["type"], "urn:farebox:problem:invalid_request");
        assert_eq!(document["status"], 422);
        assert_eq!(document["pointer"], "/id");
        assert_eq!(document["limit"], "NAME_BYTES_MAX");
        let response = problem.into_response();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }

    #[test]
    fn whoever_shall_come_back_is_told_when() {
        for code in [Code::Busy, Code::Stopped, Code::BooksBehind, Code::DiskNearlyFull] {
            assert!(
                Problem::new(code, "")
                    .into_response()
                    .headers()
                    .contains_key(header::RETRY_AFTER)
            );
        }
    }
}
