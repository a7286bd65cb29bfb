//! A caller, as an application would write one.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use farebox_kit::build::{BuildOptions, build_plan};
use reqwest::Method;
use serde_json::{Value, json};

/// Talks to one server with one key.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

/// What a call was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Answer {
    /// The body, where the call succeeded.
    pub fn ok(self) -> Result<Value> {
        ensure!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        Ok(self.body)
    }

    /// The body without what tells a replay from the first answer.
    pub fn first(mut self) -> Value {
        if let Some(object) = self.body.as_object_mut() {
            object.remove("replayed");
        }
        self.body
    }
}

impl Client {
    /// To this server.
    pub fn new(url: &str, key: &str) -> Client {
        let http = reqwest::Client::new();
        Client {
            http,
            url: url.to_string(),
            key: key.to_string(),
        }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Any call. An error means that there was no answer.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        answered(request).await
    }

    /// `POST` under an `Idempotency-Key`.
    pub async fn post_once(&self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        let request = self.request(Method::POST, path).json(body);
        answered(request.header("idempotency-key", key)).await
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.key)
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// `POST`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Pushes the per-token plan as `tokens`, and puts these prices in force.
    pub async fn push_plan(&self, prices: &str) -> Result<()> {
        self.push("tokens", per_token()?, prices).await
    }

    /// Pushes a component under a plan's name, and puts it in force with these parameters.
    pub async fn push(&self, plan: &str, component: &[u8], parameters: &str) -> Result<()> {
        let response = self
            .http
            .post(format!("{}/v1/plans/{plan}/components", self.url))
            .bearer_auth(&self.key)
            .header("content-type", "application/wasm")
            .body(component.to_vec())
            .send()
            .await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{status} {text}");
        let pushed: Value = serde_json::from_str(&text)?;
        let component = pushed["hash"]
            .as_str()
            .or(pushed["component"].as_str())
            .context("a hash")?
            .to_string();
        let parameters: Value = serde_json::from_str(parameters)?;
        let revision = json!({"component": component, "parameters": parameters});
        let path = format!("/v1/plans/{plan}/revisions");
        static MADE: AtomicU64 = AtomicU64::new(0);
        let key = format!("push-{}", MADE.fetch_add(1, Ordering::Relaxed));
        self.post_once(&path, &key, &revision).await?.ok()?;
        Ok(())
    }

    /// A customer with a balance, on the plan.
    pub async fn customer(&self, name: &str, usd: &str) -> Result<()> {
        self.call(Method::PUT, &format!("/v1/customers/{name}"), Some(&json!({})))
            .await?
            .ok()?;
        let grant = json!({"id": "start", "asset": "usd", "amount": usd, "category": "paid"});
        self.post(&format!("/v1/customers/{name}/grants"), &grant)
            .await?
            .ok()?;
        let subscription = json!({"id": format!("{name}-tokens"), "customer": name, "plan": "tokens"});
        self.post("/v1/subscriptions", &subscription).await?.ok()?;
        Ok(())
    }

    /// Holds for at most this many tokens of model `one`.
    pub async fn authorize(&self, customer: &str, id: &str, input: u64, output: u64) -> Result<Answer> {
        let event = json!({
            "type": "llm.call",
            "measures": {"input_tokens": input, "output_tokens": output},
            "attributes": {"model": "one"},
        });
        self.post(
            "/v1/authorize",
            &json!({"id": id, "customer": customer, "event": event}),
        )
        .await
    }

    /// Settles a hold, by its handle.
    pub async fn settle(&self, hold: &str, id: &str, input: u64, output: u64) -> Result<Answer> {
        let body = json!({"id": id, "measures": {"input_tokens": input, "output_tokens": output}});
        self.post(&format!("/v1/holds/{hold}/settle"), &body).await
    }

    /// Available and held dollars, as decimal strings.
    pub async fn balance(&self, customer: &str) -> Result<(String, String)> {
        let wallet = self
            .get(&format!("/v1/customers/{customer}/balance"))
            .await?
            .ok()?;
        let balances = wallet["balance"].as_array().context("balances")?;
        let usd = balances.iter().find(|b| b["asset"] == "usd").context("usd")?;
        let text = |name: &str| -> Result<String> {
            Ok(usd[name]
                .as_str()
                .with_context(|| format!("{name}: {usd}"))?
                .to_string())
        };
        Ok((text("available")?, text("held")?))
    }
}

async fn answered(request: reqwest::RequestBuilder) -> Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let text = response.text().await?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).context(text)?
    };
    Ok(Answer { status, body })
}

/// The component, built once.
fn per_token() -> Result<&'static [u8]> {
    static BUILT: OnceLock<Result<Vec<u8>, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../example-plans/per-token");
        build_plan(&dir, &BuildOptions::default())
            .map(|b| b.component)
            .map_err(|e| e.to_string())
    });
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}
