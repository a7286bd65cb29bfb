//! Which handler answers what.

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Router, handler::Handler};
use farebox_engine::Engine;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::{COMPONENTS, EVENTS};
use crate::config::Config;
use crate::limits::{BODY_BYTES_MAX, COMPONENT_BODY_BYTES_MAX, EVENTS_BODY_BYTES_MAX};
use crate::refusal::internal;
use crate::routes::{
    authorize, backfills, books, changes, corrections, customers, entries, events, grants, holds, keys,
    limits, plans, statement, subscriptions, system, tenants, unpriced, usage,
};
use crate::server::Server;
use crate::{gate, openapi, watch};

/// The API of an engine.
pub fn router(engine: Engine, config: &Config) -> Router {
    Server::new(engine, config.clone()).router()
}

impl Server {
    /// Its API.
    pub fn router(&self) -> Router {
        let events = events::report.layer(DefaultBodyLimit::max(EVENTS_BODY_BYTES_MAX));
        let component = plans::push.layer(DefaultBodyLimit::max(COMPONENT_BODY_BYTES_MAX));
        Router::new()
            .route("/v1/authorize", post(authorize::authorize))
            .route("/v1/holds/{hold}", get(holds::show))
            .route("/v1/holds/{hold}/settle", post(holds::settle))
            .route("/v1/holds/{hold}/extend", post(holds::extend))
            .route("/v1/holds/{hold}/release", post(holds::release))
            .route(EVENTS, post(events))
            .route("/v1/customers", get(customers::list))
            .route(
                "/v1/customers/{customer}",
                get(customers::show).put(customers::put),
            )
            .route("/v1/customers/{customer}/balance", get(customers::balance))
            .route("/v1/customers/{customer}/entries", get(entries::list))
            .route(
                "/v1/customers/{customer}/events/{event}",
                get(entries::event).put(corrections::amend),
            )
            .route(
                "/v1/customers/{customer}/events/{event}/void",
                post(corrections::void),
            )
            .route("/v1/customers/{customer}/unpriced", get(unpriced::list))
            .route("/v1/customers/{customer}/usage", get(usage::show))
            .route("/v1/customers/{customer}/statement", get(statement::show))
            .route("/v1/customers/{customer}/grants", post(grants::grant))
            .route("/v1/customers/{customer}/adjustments", post(corrections::adjust))
            .route("/v1/customers/{customer}/payments", post(corrections::pay))
            .route("/v1/customers/{customer}/refunds", post(corrections::refund))
            .route("/v1/customers/{customer}/limits", get(limits::list))
            .route(
                "/v1/customers/{customer}/limits/{limit}",
                get(limits::show).put(limits::put).delete(limits::delete),
            )
            .route(
                "/v1/subscriptions",
                post(subscriptions::start).get(subscriptions::list),
            )
            .route(
                "/v1/subscriptions/{subscription}",
                get(subscriptions::show)
                    .patch(subscriptions::change)
                    .delete(subscriptions::cancel),
            )
            .route("/v1/backfills", post(backfills::create).get(backfills::list))
            .route("/v1/backfills/{backfill}", get(backfills::show))
            .route("/v1/backfills/{backfill}/preview", post(backfills::preview))
            .route("/v1/backfills/{backfill}/commit", post(backfills::commit))
            .route("/v1/backfills/{backfill}/revert", post(backfills::revert))
            .route("/v1/books", get(books::show))
            .route("/v1/changes", get(changes::list))
            .route("/v1/plans", get(plans::list))
            .route("/v1/plans/{plan}", get(plans::show))
            .route(COMPONENTS, post(component))
            .route("/v1/plans/{plan}/revisions", post(plans::activate))
            .route("/v1/plans/{plan}/rollback", post(plans::roll_back))
            .route("/v1/keys", post(keys::create).get(keys::list))
            .route("/v1/keys/{key}", delete(keys::revoke))
            .route("/v1/tenants", post(tenants::create).get(tenants::list))
            .route("/v1/tenants/{tenant}", get(tenants::show))
            .route("/v1/tenants/{tenant}/keys", post(tenants::create_key))
            .route(
                "/v1/tenants/{tenant}/clock",
                get(tenants::clock).post(tenants::advance),
            )
            .route("/healthz", get(system::alive))
            .route("/readyz", get(system::ready))
            .route("/metrics", get(system::metrics))
            .route("/openapi.json", get(system::openapi))
            .with_state(self.clone())
            .merge(openapi::pages())
            .fallback(|| async { StatusCode::NOT_FOUND }) // the gate answers before it
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(from_fn_with_state(self.clone(), gate::gate))
            .layer(CatchPanicLayer::custom(
                |panic: Box<dyn std::any::Any + Send>| -> Response {
                    let said = panic.downcast_ref::<&str>().map(|s| (*s).to_string());
                    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
                    internal(&format!("a handler panicked: {}", said.unwrap_or_default())).into_response()
                },
            ))
            .layer(from_fn(watch::watch))
    }
}
