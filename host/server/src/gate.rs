//! What stands before every handler: room, time, key and role.

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use farebox_engine::{Full, Share};
use farebox_record::ids::TenantId;

use crate::access::{Access, ENDPOINTS, Endpoint, endpoint};
use crate::auth::authenticate;
use crate::code::Code;
use crate::config::MetricsAccess;
use crate::limits::REQUEST_TIMEOUT;
use crate::problem::Problem;
use crate::server::Server;

/// Lets a request through to its handler, or answers for it.
pub(crate) async fn gate(State(server): State<Server>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        return not_found(request.method(), request.uri().path());
    };
    // What has no line in the table has no answer, whether it has a handler or not.
    let Some(found) = endpoint(request.method(), path.as_str()) else {
        return no_endpoint(request.method(), path.as_str());
    };
    match found.access {
        Access::Open => next.run(request).await,
        _ => admit(&server, found, request, next)
            .await
            .unwrap_or_else(IntoResponse::into_response),
    }
}

async fn admit(
    server: &Server,
    found: &Endpoint,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let public = found.access == Access::Metrics && server.config().metrics == MetricsAccess::Public;
    let mut tenant = None;
    if !public {
        let controls = server.engine().controls();
        let caller = authenticate(request.headers(), found.access, &controls)?;
        tenant = Some(caller.tenant.clone());
        request.extensions_mut().insert(caller);
    }
    // Held until the request is answered. Metrics that are public have nobody to count, and next to no work.
    let _room = tenant
        .as_ref()
        .map(|tenant| room(server, found, tenant, &request))
        .transpose()?;
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => {
            let detail = format!("there was no answer within {} s", REQUEST_TIMEOUT.as_secs());
            Err(Problem::new(Code::Timeout, detail).with("limit", "REQUEST_TIMEOUT"))
        }
    }
}

/// Room for a request and its body, which is not read before there is.
fn room(
    server: &Server,
    found: &Endpoint,
    tenant: &TenantId,
    request: &Request,
) -> Result<(Share, Share), Problem> {
    let full = |full, limit: &str, what: &str| {
        let detail = match full {
            Full::All => format!("{what} are in work already"),
            Full::Tenant => {
                format!("{what} of this tenant are in work already, as many as it leaves to others")
            }
        };
        Problem::new(Code::Busy, detail).with("limit", limit)
    };
    let one = server.in_work().take(tenant, 1);
    let one = one.map_err(|why| full(why, "REQUESTS_IN_WORK_MAX", "too many requests"))?;
    let bytes = request.body().size_hint().upper().unwrap_or(u64::MAX);
    let bytes = usize::try_from(bytes)
        .unwrap_or(usize::MAX)
        .min(found.body_bytes_max());
    let body = server.bodies().take(tenant, bytes);
    let body = body.map_err(|why| full(why, "BODY_BYTES_IN_WORK_MAX", "too many bytes of requests"))?;
    Ok((one, body))
}

fn no_endpoint(method: &Method, path: &str) -> Response {
    let methods: Vec<&str> = ENDPOINTS
        .iter()
        .filter(|e| e.path == path)
        .map(|e| e.method.as_str())
        .collect();
    if methods.is_empty() {
        return not_found(method, path);
    }
    let allow = methods.join(", ");
    let problem = Problem::new(
        Code::MethodNotAllowed,
        format!("{path} has {allow}, and no {method}"),
    );
    let mut response = problem.into_response();
    if let Ok(allow) = HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

fn not_found(method: &Method, path: &str) -> Response {
    let shown: String = path.chars().take(100).collect();
    Problem::new(Code::NotFound, format!("there is no {method} {shown}")).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use farebox_engine::{Config as EngineConfig, Engine, SystemClock};
    use farebox_record::control::{NewTenant, Role};
    use farebox_record::ids::{CallId, TenantId};
    use farebox_runtime::{Config as RuntimeConfig, Runtime};
    use farebox_store::MemoryStore;

    use super::*;
    use crate::config::Config;
    use crate::limits::REQUESTS_IN_WORK_MAX;
    use crate::secret::Secret;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_tenant_without_room_is_told_so_and_others_are_served() {
        let config = EngineConfig {
            lanes: 1,
            on_failure: Box::new(|why| panic!("{why}")),
            ..EngineConfig::default()
        };
        let runtime = Runtime::new(RuntimeConfig::default()).unwrap();
        let engine = Engine::start(
            config,
            Arc::new(MemoryStore::new()),
            runtime,
            Arc::new(SystemClock::default()),
        )
        .unwrap();
        let secret = Secret::random().unwrap();
        let (tenant, id) = (TenantId::new("default").unwrap(), CallId::new("k").unwrap());
        engine
            .create_key(&tenant, id.clone(), secret.hash(), Role::Read)
            .unwrap();
        let (sandbox, other) = (TenantId::new("other").unwrap(), Secret::random().unwrap());
        engine
            .create_tenant(&sandbox, NewTenant::Live, id, other.hash())
            .unwrap();
        let server = Server::new(engine, Config::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener, std::future::pending::<()>()).await }
        });
        let get = |path: &str, secret: &Secret| {
            let request = reqwest::Client::new()
                .get(format!("{url}{path}"))
                .bearer_auth(secret.reveal());
            async move { request.send().await.unwrap() }
        };
        // As many as it leaves to others.
        let taken = server.in_work().take(&tenant, REQUESTS_IN_WORK_MAX / 2).unwrap();
        let refused = get("/v1/plans", &secret).await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(get("/healthz", &secret).await.status(), 200);
        assert_eq!(get("/v1/plans", &other).await.status(), 200);
        drop(taken);
        assert_eq!(get("/v1/plans", &secret).await.status(), 200);
        serving.abort();
    }
}
