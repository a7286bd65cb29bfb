//! What stands before every handler: room, time, key and role.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::{Access, ENDPOINTS, Endpoint, endpoint};
use crate::auth::authenticate;
use crate::code::Code;
use crate::config::MetricsAccess;
use crate::limits::{REQUEST_TIMEOUT, REQUESTS_IN_WORK_MAX};
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
    if !public {
        let controls = server.engine().controls();
        let caller = authenticate(request.headers(), found.access, &controls)?;
        request.extensions_mut().insert(caller);
    }
    let Ok(_room) = server.in_work().try_acquire() else {
        let detail = format!("{REQUESTS_IN_WORK_MAX} requests are in work already");
        return Err(Problem::new(Code::Busy, detail).with("limit", "REQUESTS_IN_WORK_MAX"));
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, next.run(request)).await {
        Ok(response) => Ok(response),
        Err(_) => {
            let detail = format!("there was no answer within {} s", REQUEST_TIMEOUT.as_secs());
            Err(Problem::new(Code::Timeout, detail).with("limit", "REQUEST_TIMEOUT"))
        }
    }
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
    use farebox_record::control::Role;
    use farebox_record::ids::{CallId, TenantId};
    use farebox_runtime::{Config as RuntimeConfig, Runtime};
    use farebox_store::MemoryStore;

    use super::*;
    use crate::config::Config;
    use crate::secret::Secret;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_without_room_says_so_and_stays_alive() {
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
        engine.create_key(&tenant, id, secret.hash(), Role::Read).unwrap();
        let server = Server::new(engine, Config::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener, std::future::pending::<()>()).await }
        });
        let get = |path: &str| {
            let request = reqwest::Client::new()
                .get(format!("{url}{path}"))
                .bearer_auth(secret.reveal());
            async move { request.send().await.unwrap() }
        };
        let taken = server
            .in_work()
            .acquire_many(u32::try_from(REQUESTS_IN_WORK_MAX).unwrap())
            .await
            .unwrap();
        let refused = get("/v1/plans").await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(get("/healthz").await.status(), 200);
        drop(taken);
        assert_eq!(get("/v1/plans").await.status(), 200);
        serving.abort();
    }
}
