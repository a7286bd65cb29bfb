//! A small typed client of the HTTP API: what the demo and the benches need, and no more.
//!
//! It shares no type with the server, so that a change of the API that breaks callers breaks this one too. Amounts
//! are decimals of `rust_decimal`.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use reqwest::Method;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Time for one request as a whole; pushing a component compiles it.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that rest longer are closed from this side, before the server does it under a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Items of a page.
const PAGE: &str = "200";

/// A server and a key to it. Clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    server: String,
    key: String,
}

/// What a server answered, whatever it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null where it is no JSON.
    pub body: Value,
}

impl Answer {
    /// The typed body of an answer that must be a success.
    pub fn success<T: for<'de> Deserialize<'de>>(&self) -> anyhow::Result<T> {
        if !(200..300).contains(&self.status) {
            bail!("status {}: {}", self.status, self.problem());
        }
        T::deserialize(&self.body).with_context(|| format!("an answer of another shape: {}", self.body))
    }

    /// The stable code of a problem; empty where there is none.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether an earlier request got this answer first.
    pub fn is_replayed(&self) -> bool {
        self.body.get("replayed").and_then(Value::as_bool) == Some(true)
    }

    /// The answer without the mark of a replay: what must be the same however often a request is sent.
    pub fn unmarked(&self) -> Answer {
        let mut answer = self.clone();
        if let Some(body) = answer.body.as_object_mut() {
            body.remove("replayed");
        }
        answer
    }

    fn problem(&self) -> String {
        let field = |name: &str| self.body.get(name).and_then(Value::as_str);
        match (field("code"), field("detail")) {
            (Some(code), Some(detail)) => format!("{code}: {detail}"),
            _ => self.body.to_string(),
        }
    }
}

/// A call that is about to happen, or (with `settle`) that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Authorize {
    /// The event's id.
    pub id: String,
    /// Who pays.
    pub customer: String,
    /// The call.
    pub event: Call,
    /// How long its hold lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u32>,
    /// Debit at once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub settle: bool,
}

/// What kind of call, how much, what for.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// `llm.call`.
    #[serde(rename = "type")]
    pub event_type: &'static str,
    /// Numbers.
    pub measures: BTreeMap<&'static str, u64>,
    /// Texts.
    pub attributes: BTreeMap<&'static str, String>,
}

/// What a held call used.
#[derive(Debug, Clone, Serialize)]
pub struct Settle {
    /// The settlement's own id.
    pub id: String,
    /// Usage so far.
    pub measures: BTreeMap<&'static str, u64>,
}

/// The call may go ahead.
#[derive(Debug, Clone, Deserialize)]
pub struct Allowed {
    /// What is set aside.
    pub hold: Option<Hold>,
    /// What it costs, at most or (with `settle`) really.
    pub quote: Vec<Line>,
    /// Which revision said so.
    pub revision: Revision,
}

/// What is set aside.
#[derive(Debug, Clone, Deserialize)]
pub struct Hold {
    /// Its handle.
    pub id: String,
    /// How much.
    pub amounts: Vec<AssetAmount>,
}

/// A settlement.
#[derive(Debug, Clone, Deserialize)]
pub struct Settled {
    /// What the call costs.
    pub charges: Vec<Line>,
    /// Whether it came after the hold's expiry.
    pub late: bool,
    /// Which revision priced it.
    pub revision: Revision,
}

/// Why not.
#[derive(Debug, Clone, Deserialize)]
pub struct Denied {
    /// The stable code.
    pub code: String,
    /// How much would be needed.
    pub required: Option<Decimal>,
    /// How much is there.
    pub available: Option<Decimal>,
}

/// A charge.
#[derive(Debug, Clone, Deserialize)]
pub struct Line {
    /// In which asset.
    pub asset: String,
    /// How much.
    pub amount: Decimal,
}

/// An amount of an asset.
#[derive(Debug, Clone, Deserialize)]
pub struct AssetAmount {
    /// Which asset.
    pub asset: String,
    /// How much.
    pub amount: Decimal,
}

/// Which code with which parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Revision {
    /// Hash of the component.
    pub component: String,
    /// Hash of the parameters.
    pub parameters: String,
}

/// A wallet's value in one asset.
#[derive(Debug, Clone, Deserialize)]
pub struct Balance {
    /// Which asset.
    pub asset: String,
    /// What is free.
    pub available: Decimal,
    /// What holds have set aside.
    pub held: Decimal,
    /// What the customer owes for usage.
    pub debt: Decimal,
    /// What the customer owes for fees.
    pub receivable: Decimal,
}

/// A posting to one account of a wallet.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    /// Which account: `revenue`, `available`.
    pub account: String,
    /// In which asset.
    pub asset: String,
    /// How much.
    pub amount: Decimal,
}

/// Frames of a journal, each of them one sync, and the records in them.
#[derive(Debug, Clone, Copy)]
pub struct Frames {
    frames: f64,
    records: f64,
}

impl Frames {
    /// Records of a frame, of those that were written since.
    #[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
    pub fn records_each_since(self, before: Frames) -> f64 {
        (self.records - before.records) / (self.frames - before.frames).max(1.0)
    }
}

impl Client {
    /// For `server` (`http://127.0.0.1:8080`) with `key`. Connects to nothing yet.
    pub fn new(server: &str, key: &str) -> anyhow::Result<Client> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_nodelay(true)
            .no_proxy()
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Client {
            http,
            server: server.trim_end_matches('/').to_string(),
            key: key.to_string(),
        })
    }

    /// Authorizes a call, or debits it at once.
    pub async fn authorize(&self, body: &Authorize) -> anyhow::Result<Answer> {
        self.send(Method::POST, "/v1/authorize", Some(serde_json::to_vec(body)?))
            .await
    }

    /// Settles a hold.
    pub async fn settle(&self, hold: &str, body: &Settle) -> anyhow::Result<Answer> {
        self.send(
            Method::POST,
            &format!("/v1/holds/{hold}/settle"),
            Some(serde_json::to_vec(body)?),
        )
        .await
    }

    /// Gives a hold back.
    pub async fn release(&self, hold: &str, id: &str) -> anyhow::Result<Answer> {
        let body = serde_json::to_vec(&json!({ "id": id }))?;
        self.send(Method::POST, &format!("/v1/holds/{hold}/release"), Some(body))
            .await
    }

    /// Creates or changes a customer.
    pub async fn put_customer(&self, customer: &str, body: &Value) -> anyhow::Result<Value> {
        self.expect(Method::PUT, &format!("/v1/customers/{customer}"), body)
            .await
    }

    /// Puts value into a wallet.
    pub async fn grant(&self, customer: &str, body: &Value) -> anyhow::Result<Value> {
        self.expect(Method::POST, &format!("/v1/customers/{customer}/grants"), body)
            .await
    }

    /// Puts a customer on a plan.
    pub async fn subscribe(&self, body: &Value) -> anyhow::Result<Value> {
        self.expect(Method::POST, "/v1/subscriptions", body).await
    }

    /// Pushes a component; gives its hash.
    pub async fn push_component(&self, plan: &str, component: Vec<u8>) -> anyhow::Result<String> {
        let path = format!("/v1/plans/{plan}/components");
        let request = self
            .request(Method::POST, &path)
            .header("content-type", "application/wasm")
            .body(component);
        let answer = answer(request).await.with_context(|| format!("POST {path}"))?;
        let body: Value = answer.success().with_context(|| format!("POST {path}"))?;
        let hash = body.get("component").and_then(Value::as_str);
        Ok(hash.with_context(|| format!("no hash in {body}"))?.to_string())
    }

    /// Puts a revision into force, from now on; holds that are open keep the one that quoted them.
    pub async fn push_revision(
        &self,
        plan: &str,
        component: &str,
        parameters: &str,
    ) -> anyhow::Result<Revision> {
        let parameters: Value = serde_json::from_str(parameters).context("the parameters")?;
        let body = json!({ "component": component, "parameters": parameters, "open_holds": "quoted" });
        let path = format!("/v1/plans/{plan}/revisions");
        let made_up = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let request = self
            .request(Method::POST, &path)
            .header("idempotency-key", format!("revision-{made_up}"))
            .json(&body);
        let answer = answer(request).await?.success();
        let answer: Value = answer.with_context(|| format!("POST {path}"))?;
        let revision = answer.get("revision").map(Revision::deserialize);
        Ok(revision.with_context(|| format!("no revision in {answer}"))??)
    }

    /// What a wallet holds.
    pub async fn balance(&self, customer: &str) -> anyhow::Result<Vec<Balance>> {
        let path = format!("/v1/customers/{customer}/balance");
        let answer: Value = self
            .send(Method::GET, &path, None)
            .await?
            .success()
            .with_context(|| path.clone())?;
        let balance = answer
            .get("balance")
            .with_context(|| format!("no balance in {answer}"))?;
        Vec::deserialize(balance).with_context(|| format!("GET {path}: {answer}"))
    }

    /// Every posting of a wallet. Calls `visit` with each.
    pub async fn entries(&self, customer: &str, mut visit: impl FnMut(Entry)) -> anyhow::Result<()> {
        let mut cursor: Option<String> = None;
        loop {
            let mut path = format!("/v1/customers/{customer}/entries?limit={PAGE}");
            if let Some(cursor) = &cursor {
                path.push_str(&format!("&cursor={cursor}"));
            }
            let answer: Value = self
                .send(Method::GET, &path, None)
                .await?
                .success()
                .with_context(|| path.clone())?;
            let entries = answer.get("entries").and_then(Value::as_array);
            for entry in entries.with_context(|| format!("no entries in {answer}"))? {
                visit(Entry::deserialize(entry).with_context(|| format!("GET {path}: {entry}"))?);
            }
            match answer.get("next").and_then(Value::as_str) {
                Some(next) => cursor = Some(next.to_string()),
                None => return Ok(()),
            }
        }
    }

    /// How many frames the server has written to its journal, and how many records.
    pub async fn frames(&self) -> anyhow::Result<Frames> {
        let answer = self
            .request(Method::GET, "/metrics")
            .send()
            .await?
            .error_for_status()?;
        let text = answer.text().await?;
        let number = |name: &str| -> anyhow::Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            // Nothing was written yet.
            line.map_or(Ok(0.0), |rest| {
                rest.trim().parse().with_context(|| format!("{name}{rest}"))
            })
        };
        Ok(Frames {
            frames: number("farebox_store_frame_records_count ")?,
            records: number("farebox_store_frame_records_sum ")?,
        })
    }

    /// A request that must succeed.
    async fn expect(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let answer = self
            .send(method.clone(), path, Some(serde_json::to_vec(body)?))
            .await?;
        answer.success().with_context(|| format!("{method} {path}"))
    }

    /// A request with a JSON body, and whatever comes back. An error means that nothing came back.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> anyhow::Result<Answer> {
        let mut request = self.request(method.clone(), path);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        answer(request).await.with_context(|| format!("{method} {path}"))
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.server))
            .bearer_auth(&self.key)
    }
}

async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let bytes = response.bytes().await?;
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_differs_in_its_mark_alone() {
        let first = Answer {
            status: 402,
            body: json!({"code": "insufficient_funds"}),
        };
        let again = Answer {
            status: 402,
            body: json!({"code": "insufficient_funds", "replayed": true}),
        };
        assert!(again.is_replayed() && !first.is_replayed());
        assert_eq!(first.unmarked(), again.unmarked());
    }

    #[test]
    fn answers_are_read_as_the_api_writes_them() {
        let body = json!({
            "allowed": true,
            "hold": {"id": "hold_x", "amounts": [{"asset": "usd", "amount": "0.0366"}], "expires_at": "x"},
            "quote": [{"code": "input-tokens", "asset": "usd", "amount": "0.0366", "quantity": "1200"}],
            "balance": [], "revision": {"component": "aa", "parameters": "bb"}
        });
        let allowed: Allowed = Answer { status: 200, body }.success().unwrap();
        assert_eq!(allowed.hold.unwrap().amounts[0].amount, Decimal::new(366, 4));
        assert_eq!(allowed.quote[0].amount, Decimal::new(366, 4));
    }

    #[test]
    fn a_problem_is_an_error_with_its_code() {
        let answer = Answer {
            status: 409,
            body: json!({"code": "conflict", "detail": "time differs"}),
        };
        let error = answer.success::<Value>().unwrap_err().to_string();
        assert_eq!(error, "status 409: conflict: time differs");
    }
}
