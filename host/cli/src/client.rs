//! Talking to a server: one request at a time, and every refusal as a failure that says what to do.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::failure::{Exit, Failure};
use crate::settings::Settings;

/// Time for one request as a whole; a component may have to be compiled within it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a request that a busy server did not take in is sent again, where repeating is safe.
const BUSY_RETRIES_MAX: u32 = 30;

/// A server, and the key to it.
pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    server: Url,
    key: String,
}

/// What a request carries.
pub enum Body<'a> {
    /// Nothing.
    None,
    /// JSON.
    Json(&'a Value),
    /// Bytes of a kind.
    Bytes(&'static str, Vec<u8>),
}

/// A request with everything that it can have.
pub struct Call<'a> {
    /// How.
    pub method: Method,
    /// Where, behind `/v1`.
    pub path: &'a [&'a str],
    /// What is asked for there.
    pub query: &'a [(&'a str, String)],
    /// Carried out once under this key.
    pub key: Option<&'a str>,
    /// What it carries.
    pub body: Body<'a>,
}

impl<'a> Call<'a> {
    /// Sends to a place.
    pub fn post(path: &'a [&'a str]) -> Call<'a> {
        Call {
            method: Method::POST,
            path,
            query: &[],
            key: None,
            body: Body::None,
        }
    }

    /// Sets what is at a place.
    pub fn put(path: &'a [&'a str]) -> Call<'a> {
        Call {
            method: Method::PUT,
            ..Call::post(path)
        }
    }
}

impl Client {
    /// Checks the address and the key; connects to nothing yet.
    pub fn new(settings: &Settings) -> Result<Client, Failure> {
        let server = &settings.server;
        let not_a_server = |why: &str| {
            Failure::usage(format!("{server:?} is no address of a server: {why}"))
                .hint("an address looks like http://127.0.0.1:8080")
        };
        let url = Url::parse(server).map_err(|error| not_a_server(&error.to_string()))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(no_tls(server)),
            _ => return Err(not_a_server("it does not begin with http://")),
        }
        let key = settings.key.clone().ok_or_else(|| {
            Failure::usage("no API key").hint(
                "give it with --key, in FAREBOX_KEY, or as `key` in farebox.toml; `farebox serve` prints the first one",
            )
        })?;
        let internal =
            |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, "client", error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| internal(&error))?;
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy() // a key must not reach a proxy that only the environment knows of
            .user_agent(concat!("farebox/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| internal(&error))?;
        Ok(Client {
            runtime,
            http,
            server: url,
            key,
        })
    }

    /// Reads.
    pub fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Value, Failure> {
        self.send(Method::GET, path, query, &Body::None)
    }

    /// Sends something to a place.
    pub fn post(&self, path: &[&str], body: &Body<'_>) -> Result<Value, Failure> {
        self.send(Method::POST, path, &[], body)
    }

    /// Asks for a decision. A denial is an answer too: the problem that says why, with `"allowed": false` in it.
    pub fn decide(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let (status, retry, bytes) = self.exchange(None, Method::POST, path, &[], &Body::Json(body))?;
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(decision) if decision.get("allowed").is_some_and(Value::is_boolean) => Ok(decision),
            _ if status.is_success() => Err(self.not_farebox()),
            _ => Err(self.refused(status, retry.as_deref(), &bytes)),
        }
    }

    /// Sends JSON to a place where it is carried out once under `key`.
    pub fn post_once(&self, path: &[&str], key: &str, body: &Value) -> Result<Value, Failure> {
        self.send_under(Some(key), Method::POST, path, &[], &Body::Json(body))
    }

    /// Sets what is at a place.
    pub fn put(&self, path: &[&str], body: &Body<'_>) -> Result<Value, Failure> {
        self.send(Method::PUT, path, &[], body)
    }

    /// Takes away what is at a place.
    pub fn delete(&self, path: &[&str]) -> Result<Value, Failure> {
        self.send(Method::DELETE, path, &[], &Body::None)
    }

    /// Sends a request.
    pub fn call(&self, call: &Call<'_>) -> Result<Value, Failure> {
        self.send_under(call.key, call.method.clone(), call.path, call.query, &call.body)
    }

    /// Sends, and again while the server says that it is busy. Only for what is the same however often it comes.
    pub fn post_until_taken(&self, path: &[&str], body: &Body<'_>) -> Result<Value, Failure> {
        for _ in 0..BUSY_RETRIES_MAX {
            match self.post(path, body) {
                Err(failure) if failure.code == "busy" => std::thread::sleep(Duration::from_secs(1)),
                other => return other,
            }
        }
        self.post(path, body)
    }

    /// All items of a list that comes in pages, under `name`.
    pub fn all(&self, path: &[&str], name: &str, query: &[(&str, String)]) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut query = query.to_vec();
        loop {
            let page = self.get(path, &query)?;
            items.extend(crate::output::list(&page, &format!("/{name}")).iter().cloned());
            let Some(next) = page.get("next").and_then(Value::as_str) else {
                return Ok(items);
            };
            query.retain(|(name, _)| *name != "cursor");
            query.push(("cursor", next.to_string()));
        }
    }

    fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: &Body<'_>,
    ) -> Result<Value, Failure> {
        self.send_under(None, method, path, query, body)
    }

    /// Reads what is no JSON, as it is.
    pub fn text(&self, path: &[&str], query: &[(&str, String)]) -> Result<String, Failure> {
        let (status, retry, bytes) = self.exchange(None, Method::GET, path, query, &Body::None)?;
        if status.is_success() {
            return String::from_utf8(bytes).map_err(|_| self.not_farebox());
        }
        Err(self.refused(status, retry.as_deref(), &bytes))
    }

    fn send_under(
        &self,
        idempotency_key: Option<&str>,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: &Body<'_>,
    ) -> Result<Value, Failure> {
        let (status, retry, bytes) = self.exchange(idempotency_key, method, path, query, body)?;
        if status.is_success() {
            return match (serde_json::from_slice(&bytes).ok(), bytes.is_empty()) {
                (Some(json), _) => Ok(json),
                (None, true) => Ok(Value::Null),
                (None, false) => Err(self.not_farebox()),
            };
        }
        Err(self.refused(status, retry.as_deref(), &bytes))
    }

    /// The status, when to come back, and the body of the answer.
    fn exchange(
        &self,
        idempotency_key: Option<&str>,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: &Body<'_>,
    ) -> Result<(StatusCode, Option<String>, Vec<u8>), Failure> {
        let mut url = self.server.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => segments.pop_if_empty().push("v1").extend(path),
            Err(()) => {
                return Err(Failure::usage(format!(
                    "{} is no address of a server",
                    self.server
                )));
            }
        };
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.http.request(method, url).bearer_auth(&self.key);
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        request = match body {
            Body::None => request,
            Body::Json(value) => request.json(value),
            Body::Bytes(kind, bytes) => request.header(CONTENT_TYPE, *kind).body(bytes.clone()),
        };
        let answer = self.runtime.block_on(async {
            let response = request.send().await?;
            let status = response.status();
            let retry = response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|v| v.to_str().ok())
                .map(str::to_string);
            Ok((status, retry, response.bytes().await?.to_vec()))
        });
        answer.map_err(|error| self.unreachable(&error))
    }

    fn refused(&self, status: StatusCode, retry: Option<&str>, body: &[u8]) -> Failure {
        match serde_json::from_slice(body) {
            Ok(problem) => of_problem(status, retry, &problem),
            Err(_) => self.not_farebox().detail(format!("HTTP status {status}")),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        if error.is_timeout() {
            return Failure::new(
                Exit::Unavailable,
                "timeout",
                format!("{} gave no answer in time", self.server),
            )
            .hint("it may have been carried out; repeat it under the same id to learn that");
        }
        if error.is_request() && !error.is_connect() {
            let message = format!(
                "{} ended the connection before it answered: {reason}",
                self.server
            );
            return Failure::new(Exit::Unavailable, "cut_off", message).hint(
                "it may not take so large a body, or have stopped; repeat it under the same id to learn what came of it",
            );
        }
        Failure::new(
            Exit::Unavailable,
            "unreachable",
            format!("{} cannot be reached: {reason}", self.server),
        )
        .hint("start a server with `farebox serve`, or name another with --server or FAREBOX_SERVER")
    }

    fn not_farebox(&self) -> Failure {
        Failure::new(
            Exit::Unavailable,
            "no_farebox",
            format!("{} answers, but not like a Farebox", self.server),
        )
        .hint("check the address; a proxy before the server may have answered instead")
    }
}

fn no_tls(server: &str) -> Failure {
    Failure::usage(format!(
        "{server:?} asks for TLS, which this build does not speak"
    ))
    .hint("reach the server through a tunnel, and name the tunnel's end: http://127.0.0.1:8080")
}

/// A problem document as a failure.
fn of_problem(status: StatusCode, retry: Option<&str>, problem: &Value) -> Failure {
    let text = |name: &str| problem.get(name).and_then(Value::as_str);
    let exit = match status.as_u16() {
        429 | 502..=504 => Exit::Unavailable,
        500.. => Exit::Internal,
        _ => Exit::Refused,
    };
    let message = text("detail")
        .or(text("title"))
        .unwrap_or("the server refused without saying why");
    let mut failure = Failure::new(exit, text("code").unwrap_or("refused"), message);
    let errors = crate::output::list(problem, "/errors");
    for error in errors {
        let pointer = error
            .get("pointer")
            .and_then(Value::as_str)
            .filter(|p| !p.is_empty())
            .unwrap_or("(all)");
        let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
        failure = failure.detail(format!("{pointer}: {message}"));
    }
    if !errors.is_empty() {
        // The sentence repeats every one of them in a line.
        failure.message = text("title").unwrap_or(message).to_string();
    }
    for name in ["pointer", "parameter", "field"] {
        if let Some(place) = text(name).filter(|place| !place.is_empty()) {
            failure = failure.detail(format!("at {place}"));
        }
    }
    if let Some(limit) = text("limit") {
        failure = failure.detail(format!("limit {limit}"));
    }
    if let Some(at) = text("resets_at") {
        failure = failure.detail(format!("begins anew at {at}"));
    }
    failure.hint = text("hint").map(str::to_string);
    if let Some(seconds) = retry {
        failure = failure.detail(format!("try again in {seconds} s"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refused_parameters_are_listed_by_pointer() {
        let problem = json!({
            "title": "The plan refuses the parameters", "status": 422, "code": "parameters_refused",
            "detail": "the parameters are refused: /models/a/output: expected a decimal; /currency: unknown",
            "hint": "correct the parameters at the places named",
            "errors": [
                {"pointer": "/models/a/output", "message": "expected a decimal such as \"0.30\", found 3"},
                {"pointer": "", "message": "`models` is missing"},
            ],
        });
        insta::assert_snapshot!(of_problem(StatusCode::UNPROCESSABLE_ENTITY, None, &problem).text());
    }

    #[test]
    fn exit_codes_follow_the_status() {
        let exit = |status: u16| of_problem(StatusCode::from_u16(status).unwrap(), None, &json!({})).exit;
        let found = [401, 404, 422, 429, 500, 503].map(exit);
        let expected = [
            Exit::Refused,
            Exit::Refused,
            Exit::Refused,
            Exit::Unavailable,
            Exit::Internal,
            Exit::Unavailable,
        ];
        assert_eq!(found, expected);
    }
}
