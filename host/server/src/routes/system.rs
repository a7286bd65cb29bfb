//! What machines ask about the server itself.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{Made, answer};
use crate::problem::Problem;
use crate::refusal::stopped;
use crate::server::Server;
use crate::{openapi, watch};

/// That the server is there.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process answers. It does not look at the store: a process that waits to be restarted is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "system", operation_id = "alive", security(()),
    responses((status = 200, description = "It does", body = Health))
)]
pub(crate) async fn alive() -> Response {
    answer(Made::Done, &Health { status: "ok" })
}

/// Whether requests are taken in. While the disk is nearly full reads are, and nothing that would be written.
#[utoipa::path(
    get, path = "/readyz", tag = "system", operation_id = "ready", security(()),
    responses((status = 200, description = "They are", body = Health))
)]
pub(crate) async fn ready(State(server): State<Server>) -> Result<Response, Problem> {
    if !server.engine().is_running() {
        return Err(stopped());
    }
    server.engine().check_room()?;
    Ok(answer(Made::Done, &Health { status: "ok" }))
}

/// The process's metrics, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "system", operation_id = "metrics",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics() -> Response {
    let mut response = watch::render().into_response();
    let text = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "system", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value))
)]
pub(crate) async fn openapi() -> Response {
    let mut response = openapi::text().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
