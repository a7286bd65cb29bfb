//! What can be seen from outside: requests by route, method and status, their latency, and decisions.

use std::sync::OnceLock;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::access::endpoint;

const REQUESTS: &str = "farebox_http_requests_total";
const SECONDS: &str = "farebox_http_request_seconds";
const IN_WORK: &str = "farebox_http_requests_in_work";
const DECISIONS: &str = "farebox_decisions_total";
const EVENTS: &str = "farebox_events_total";

/// From a hundred microseconds to the request's time.
const BUCKETS_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    30.0,
];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Makes this process's metrics visible at `/metrics`. Metrics that were touched before are lost, so a binary calls this
/// first. Calling it again does nothing. Where something else records the process's metrics already, `/metrics` is empty.
pub fn install() {
    handle();
}

fn handle() -> Option<&'static PrometheusHandle> {
    let recorder = RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), BUCKETS_SECONDS);
        let installed = builder.and_then(PrometheusBuilder::install_recorder);
        if let Err(error) = &installed {
            tracing::warn!(%error, "/metrics stays empty: the process's metrics are recorded elsewhere");
        }
        describe_counter!(REQUESTS, "Requests by route, method and status");
        describe_histogram!(
            SECONDS,
            metrics::Unit::Seconds,
            "Time from a request's head to its answer"
        );
        describe_gauge!(IN_WORK, "Requests in work");
        describe_counter!(
            DECISIONS,
            "Authorizations by decision and code; replays are not counted again"
        );
        describe_counter!(
            EVENTS,
            "Reported events by what became of them; replays are counted as `replayed`"
        );
        describe_counter!(
            "farebox_engine_busy_total",
            "Calls that were refused because too many commands wait"
        );
        describe_counter!(
            "farebox_engine_shunted_total",
            "Times that a wallet left its lane because a plan of it is slow"
        );
        installed.ok()
    });
    recorder.as_ref()
}

/// Everything that was recorded, as Prometheus reads it.
pub(crate) fn render() -> String {
    handle().map(PrometheusHandle::render).unwrap_or_default()
}

/// Lets go of what histograms have gathered.
pub(crate) fn upkeep() {
    if let Some(handle) = handle() {
        handle.run_upkeep();
    }
}

/// Counts and times a request.
pub(crate) async fn watch(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    // Only names from the table become labels: nobody outside can make new ones.
    let known = matched.and_then(|path| endpoint(request.method(), path.as_str()));
    let (method, route) = known.map_or(("other", "other"), |e| (e.method.as_str(), e.path));
    let working = Working::new();
    let response = next.run(request).await;
    drop(working);
    let status = response.status().as_u16();
    counter!(REQUESTS, "route" => route, "method" => method, "status" => status.to_string()).increment(1);
    histogram!(SECONDS, "route" => route, "method" => method).record(started.elapsed());
    tracing::debug!(
        method,
        route,
        status,
        micros = started.elapsed().as_micros(),
        "answered"
    );
    response
}

/// Counts a request for as long as it lives, however it ends.
struct Working;

impl Working {
    fn new() -> Working {
        gauge!(IN_WORK).increment(1);
        Working
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        gauge!(IN_WORK).decrement(1);
    }
}

/// Counts a decision of authorize.
pub(crate) fn decided(decision: &'static str, code: &'static str) {
    counter!(DECISIONS, "decision" => decision, "code" => code).increment(1);
}

/// Counts reported events.
pub(crate) fn reported(status: &'static str, count: usize) {
    if count > 0 {
        counter!(EVENTS, "status" => status).increment(count as u64);
    }
}
