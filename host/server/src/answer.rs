//! How successes are sent.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::REPLAYED_HEADER;
use crate::refusal::internal;

/// Whether something was made by this request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Made {
    /// It is new: 201.
    New,
    /// It was done: 200.
    Done,
    /// An earlier request did it: 200, and the header says so.
    Before,
}

impl Made {
    /// Something new, unless it was replayed.
    pub fn new_unless(replayed: bool) -> Made {
        if replayed { Made::Before } else { Made::New }
    }

    /// Something done, unless it was replayed.
    pub fn done_unless(replayed: bool) -> Made {
        if replayed { Made::Before } else { Made::Done }
    }
}

/// `body` as JSON.
pub(crate) fn answer(made: Made, body: &impl Serialize) -> Response {
    let status = match made {
        Made::New => StatusCode::CREATED,
        Made::Done | Made::Before => StatusCode::OK,
    };
    let text = match serde_json::to_vec(body) {
        Ok(text) => text,
        Err(error) => return internal(&format!("an answer could not be encoded: {error}")).into_response(),
    };
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if made == Made::Before {
        headers.insert(REPLAYED_HEADER, HeaderValue::from_static("true"));
    }
    response
}
