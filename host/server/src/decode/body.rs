//! Extractors of bodies: bounded, in time, strictly typed.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use crate::code::Code;
use crate::decode::json::json;
use crate::decode::media::require_json;
use crate::limits::{BODY_TIMEOUT, INLINE_DECODE_BYTES_MAX};
use crate::problem::Problem;
use crate::refusal::internal;

/// The bytes of a body, within the route's limit and [`BODY_TIMEOUT`].
pub(crate) struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Raw, Problem> {
        match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
            Ok(Ok(bytes)) => Ok(Raw(bytes)),
            Ok(Err(rejection)) if rejection.status() == Code::TooLarge.status() => Err(Problem::new(
                Code::TooLarge,
                "the body is larger than this endpoint takes",
            )
            .with("limit", "BODY_BYTES_MAX")),
            Ok(Err(rejection)) => Err(Problem::new(Code::Malformed, rejection.body_text())),
            Err(_) => {
                let detail = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
                Err(Problem::new(Code::BodyTimeout, detail).with("limit", "BODY_TIMEOUT"))
            }
        }
    }
}

/// A JSON body of a type that refuses what it does not know.
pub(crate) struct Strict<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Strict<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Strict<T>, Problem> {
        require_json(request.headers())?;
        let Raw(bytes) = Raw::from_request(request, state).await?;
        json(&bytes, "").map(Strict)
    }
}

/// A JSON body that may be left away.
pub(crate) struct Optional<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for Optional<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Optional<T>, Problem> {
        let headers = request.headers().clone();
        let Raw(bytes) = Raw::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(Optional(T::default()));
        }
        require_json(&headers)?;
        json(&bytes, "").map(Optional)
    }
}

/// Decodes where it stands, or, where that takes long, on a thread that nobody else waits for.
pub(crate) async fn decode_aside<T: Send + 'static>(
    bytes: Bytes,
    decode: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Result<T, Problem> {
    if bytes.len() <= INLINE_DECODE_BYTES_MAX {
        return Ok(decode(&bytes));
    }
    tokio::task::spawn_blocking(move || decode(&bytes))
        .await
        .map_err(|_| internal("decoding panicked"))
}
