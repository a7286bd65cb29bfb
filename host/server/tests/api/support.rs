//! A server of its own for each test, and a caller.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use farebox_engine::{Config as EngineConfig, Engine, ManualClock, Round};
use farebox_record::control::Role;
use farebox_record::ids::{CallId, TenantId};
use farebox_record::time::Timestamp;
use farebox_runtime::{Config as RuntimeConfig, Runtime};
use farebox_server::{Config, Secret, ServeError, serve};
use farebox_store::{MemoryStore, Store};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Model `one`: 1 usd per million tokens in, 2 out.
pub const PRICES: &str = r#"{"asset": "usd", "providers": {"p": {"source": "https://example.com", "as_of": "2026",
    "models": {"one": {"prices": {"input": "1", "cache_read": "0.1", "output": "2"}}}}}}"#;

/// A running server.
pub struct House {
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub url: String,
    pub address: SocketAddr,
    pub admin: Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
}

/// Calls with one key.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub key: String,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

/// One for the process, as in production; it keeps what it compiled.
fn runtime() -> Runtime {
    static RUNTIME: OnceLock<(Runtime, tempfile::TempDir)> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let cache = tempfile::tempdir().unwrap();
        let config = RuntimeConfig {
            cache_dir: Some(cache.path().to_path_buf()),
            ..RuntimeConfig::default()
        };
        (Runtime::new(config).unwrap(), cache)
    });
    made.0.clone()
}

/// The per-token plan, built once per test run.
pub fn per_token() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token");
        let built = farebox_kit::build::build_plan(&dir, &Default::default());
        built.unwrap_or_else(|error| panic!("{error}")).component
    })
}

/// Lanes, and how much each does at once: drawn anew for each engine, since nothing may depend on it. What was drawn stands in
/// the output of a test that fails.
fn drawn() -> (usize, Round) {
    let lanes = rand::random_range(1..=4);
    let round = Round {
        commands: [1, 7, 4_096][rand::random_range(0..3)],
        bytes: [1, 20_000, 4 << 20][rand::random_range(0..3)],
    };
    eprintln!("{lanes} lanes, {round:?}");
    (lanes, round)
}

impl House {
    /// Empty, with an admin's key.
    pub async fn open() -> House {
        House::open_with(Config::default()).await
    }

    pub async fn open_with(config: Config) -> House {
        House::open_over(Arc::new(MemoryStore::new()), config).await
    }

    pub async fn open_over(store: Arc<dyn Store>, config: Config) -> House {
        let clock = Arc::new(ManualClock::at(
            "2026-11-23T09:30:00Z".parse::<Timestamp>().unwrap(),
        ));
        let (lanes, round) = drawn();
        let engine_config = EngineConfig {
            lanes,
            round,
            on_failure: Box::new(|why| panic!("{why}")),
        };
        let engine = Engine::start(engine_config, store, runtime(), clock.clone()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(listener, engine.clone(), config, stopped));
        let url = format!("http://{address}");
        let admin = key(&engine, "default", "boss", Role::Admin, &url).await;
        House {
            engine,
            clock,
            url,
            address,
            admin,
            stop: Some(stop),
            serving: Some(serving),
        }
    }

    /// With a plan in force and a customer on it who has `usd`.
    pub async fn with_customer(usd: &str) -> House {
        let house = House::open().await;
        house.push_plan().await;
        house.customer("acme", usd).await;
        house
    }

    pub async fn key(&self, role: Role) -> Client {
        key(&self.engine, "default", &format!("key-{role:?}"), role, &self.url).await
    }

    pub async fn push_plan(&self) -> String {
        let parameters = serde_json::from_str(PRICES).unwrap();
        self.admin.push("tokens", per_token(), parameters).await
    }

    pub async fn customer(&self, name: &str, usd: &str) {
        self.admin
            .call(Method::PUT, &format!("/v1/customers/{name}"), Some(json!({})))
            .await
            .expect(201);
        if usd != "0" {
            let grant = json!({"id": "start", "asset": "usd", "amount": usd, "category": "paid"});
            self.admin
                .post(&format!("/v1/customers/{name}/grants"), grant)
                .await
                .expect(201);
        }
        let subscription = json!({"id": "tokens", "customer": name, "plan": "tokens"});
        self.admin
            .post("/v1/subscriptions", subscription)
            .await
            .expect(201);
    }

    /// Ends the server, and waits until it has.
    pub async fn close(mut self) -> Result<(), ServeError> {
        self.stop.take().unwrap().send(()).unwrap();
        let ended = self.serving.take().unwrap().await.unwrap();
        let engine = self.engine.clone();
        tokio::task::spawn_blocking(move || engine.stop())
            .await
            .unwrap()
            .unwrap();
        ended
    }

    /// Begins to end the server.
    pub fn begin_close(&mut self) -> JoinHandle<Result<(), ServeError>> {
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.take().unwrap()
    }
}

/// A key made beside the API, as a first start does it.
pub async fn key(engine: &Engine, tenant: &str, id: &str, role: Role, url: &str) -> Client {
    let secret = Secret::random().unwrap();
    let (tenant, id, hash) = (
        TenantId::new(tenant).unwrap(),
        CallId::new(id).unwrap(),
        secret.hash(),
    );
    let engine = engine.clone();
    tokio::task::spawn_blocking(move || engine.create_key(&tenant, id, hash, role))
        .await
        .unwrap()
        .unwrap();
    Client {
        http: reqwest::Client::new(),
        url: url.to_string(),
        key: secret.reveal().to_string(),
    }
}

/// Whether a call may only be made under a key.
fn needs_key(method: &Method, path: &str) -> bool {
    match *method {
        Method::PATCH => true,
        Method::DELETE => path.starts_with("/v1/subscriptions/"),
        Method::PUT => path.contains("/events/"),
        Method::POST => path.ends_with("/revisions") || path.ends_with("/rollback"),
        _ => false,
    }
}

impl Client {
    /// Under a key that was never used, where the call needs one.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        if needs_key(&method, path) {
            static MADE: AtomicU64 = AtomicU64::new(0);
            let key = format!("made-{}", MADE.fetch_add(1, Ordering::Relaxed));
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        answer(request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub async fn send(&self, path: &str, media: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .http
            .post(format!("{}{path}", self.url))
            .bearer_auth(&self.key);
        answer(request.header("content-type", media).body(body)).await
    }

    /// Pushes a component under a plan's name, and puts it in force with these parameters. The component's hash.
    pub async fn push(&self, plan: &str, component: &[u8], parameters: Value) -> String {
        let path = format!("/v1/plans/{plan}/components");
        let pushed = self.send(&path, "application/wasm", component.to_vec()).await;
        let component = pushed.expect(201)["component"].as_str().unwrap().to_string();
        self.put_in_force(plan, &component, parameters).await;
        component
    }

    /// Puts a component in force with these parameters.
    pub async fn put_in_force(&self, plan: &str, component: &str, parameters: Value) {
        let revision = json!({"component": component, "parameters": parameters});
        let path = format!("/v1/plans/{plan}/revisions");
        self.post(&path, revision).await.expect(201);
    }

    /// Holds for at most this many tokens of model `one`.
    pub async fn authorize(&self, id: &str, input: u64, output: u64) -> Answer {
        let event = json!({
            "type": "llm.call", "measures": {"input_tokens": input, "output_tokens": output},
            "attributes": {"model": "one"}
        });
        self.post(
            "/v1/authorize",
            json!({"id": id, "customer": "acme", "event": event}),
        )
        .await
    }

    /// What is available and held in usd.
    pub async fn balance(&self, customer: &str) -> (String, String) {
        let wallet = self
            .get(&format!("/v1/customers/{customer}/balance"))
            .await
            .expect(200);
        let usd = wallet["balance"]
            .as_array()
            .unwrap()
            .iter()
            .find(|b| b["asset"] == "usd")
            .unwrap()
            .clone();
        let text = |name: &str| usd[name].as_str().unwrap().to_string();
        (text("available"), text("held"))
    }
}

pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer {
        status,
        body,
        headers,
    }
}

impl Answer {
    /// The body, where the status is this one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// Checks a problem: its status, its code, its form.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status.as_u16(), self.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            self.body
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        for member in ["type", "title", "detail", "hint"] {
            assert!(
                self.body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member}: {}",
                self.body
            );
        }
        self.body
    }

    /// Whether it says that it is a replay, in its header and its body.
    #[track_caller]
    pub fn is_replayed(&self) -> bool {
        let header = self
            .headers
            .get("idempotency-replayed")
            .is_some_and(|value| value == "true");
        assert_eq!(header, self.body["replayed"] == true, "{}", self.body);
        header
    }
}

/// The plan of the kit's tests in which an event gives back what an earlier one took, built once per test run.
pub fn outcomes() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kit/tests/plans/outcomes");
        let built = farebox_kit::build::build_plan(&dir, &Default::default());
        built.unwrap_or_else(|error| panic!("{error}")).component
    })
}

/// The plan in `tests/plans/team`, built once per test run: seats on the statement, and calls that depend on those before.
pub fn team() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans/team");
        let built = farebox_kit::build::build_plan(&dir, &Default::default());
        built.unwrap_or_else(|error| panic!("{error}")).component
    })
}

/// The standard plan for outcomes, built once per test run.
pub fn per_outcome() -> &'static [u8] {
    static BUILT: OnceLock<Vec<u8>> = OnceLock::new();
    BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-outcome");
        let built = farebox_kit::build::build_plan(&dir, &Default::default());
        built.unwrap_or_else(|error| panic!("{error}")).component
    })
}
