//! One request from authorize to its end, as an application would send it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rust_decimal::Decimal;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::pace::Pace;
use super::script::{Ending, Script, Turn};
use super::tally::{Fate, Record, SharedTally, Timed};
use crate::client::{Allowed, Answer, Authorize, Balance, Call, Client, Denied, Line, Settle, Settled};

/// Microseconds of trace time that a token of the prompt takes to be read, and one of the answer to be written.
const CONTEXT_TOKEN_US: u64 = 200;
const GENERATED_TOKEN_US: u64 = 15_000;
/// A model is never waited for longer, however slow the replay.
const GENERATION_MAX: Duration = Duration::from_secs(20);
/// Life of a hold that is going to expire: the shortest that there is.
const SHORT_TTL_SECONDS: u32 = 1;
/// How long after the answer such a hold has expired for certain.
const EXPIRED_AFTER: Duration = Duration::from_millis(1_400);

/// Plays turns of a script. Shared by all of them.
#[derive(Debug)]
pub struct Player {
    /// Talks to the server.
    pub client: Client,
    /// Who sends what.
    pub script: Arc<Script>,
    /// Where everything is noted.
    pub tally: Arc<SharedTally>,
    /// Connections that are free.
    pub permits: Semaphore,
    /// How fast.
    pub pace: Pace,
}

impl Player {
    /// Plays one turn. What must not happen is noted as a failure; the others go on.
    pub async fn play(&self, index: usize) {
        let turn = &self.script.turns[index];
        match self.through(index, turn).await {
            Ok(record) => self.tally.lock().over(record),
            Err(error) => self.tally.lock().failed(&turn.id, format!("{error:#}")),
        }
    }

    async fn through(&self, index: usize, turn: &Turn) -> anyhow::Result<Record> {
        let answer = self.authorize(turn).await.context("authorize")?;
        if answer.status == 402 {
            let denied = Denied::deserialize(&answer.body).with_context(|| answer.body.to_string())?;
            let fate = Fate::Denied {
                code: denied.code,
                required: denied.required,
                available: denied.available,
            };
            return Ok(Record {
                turn: index,
                revision: None,
                held: None,
                fate,
            });
        }
        let allowed: Allowed = answer.success().context("authorize")?;
        self.note_balance(turn, &answer);
        let hold = allowed.hold.as_ref();
        let held = hold.map(|hold| hold.amounts.iter().map(|held| held.amount).sum());
        let fate = match (turn.ending, hold) {
            (Ending::OneShot, None) => Fate::Charged {
                amount: total(&allowed.quote),
                late: false,
            },
            (Ending::OneShot, Some(_)) => bail!("a debit at once left a hold behind"),
            (_, None) => bail!("an authorize was allowed without a hold"),
            (Ending::Forget, Some(_)) => {
                tokio::time::sleep(EXPIRED_AFTER).await;
                Fate::Forgotten
            }
            (Ending::Release, Some(hold)) => {
                self.generate(turn).await;
                self.release(turn, &hold.id).await.context("release")?;
                Fate::Released
            }
            (Ending::Settle | Ending::SettleLate, Some(hold)) => {
                match turn.ending {
                    Ending::SettleLate => tokio::time::sleep(EXPIRED_AFTER).await,
                    _ => self.generate(turn).await,
                }
                let settled = self.settle(turn, &hold.id).await.context("settle")?;
                ensure!(
                    settled.revision == allowed.revision,
                    "settled by another revision than the one that quoted"
                );
                Fate::Charged {
                    amount: total(&settled.charges),
                    late: settled.late,
                }
            }
        };
        Ok(Record {
            turn: index,
            revision: Some(allowed.revision),
            held,
            fate,
        })
    }

    async fn authorize(&self, turn: &Turn) -> anyhow::Result<Answer> {
        let one_shot = turn.ending == Ending::OneShot;
        let expiring = matches!(turn.ending, Ending::SettleLate | Ending::Forget);
        let body = Authorize {
            id: turn.id.clone(),
            customer: self.script.customers[turn.customer].id.clone(),
            event: Call {
                event_type: "llm.call",
                measures: measures(turn, if one_shot { turn.generated } else { turn.max_output }),
                attributes: BTreeMap::from([("model", turn.model.clone())]),
            },
            ttl_seconds: expiring.then_some(SHORT_TTL_SECONDS),
            settle: one_shot,
        };
        let first = self.timed(Timed::Authorize, self.client.authorize(&body)).await?;
        if turn.retries.authorize {
            let again = self.untimed(self.client.authorize(&body)).await?;
            self.same(&first, &again)?;
        }
        Ok(first)
    }

    async fn settle(&self, turn: &Turn, hold: &str) -> anyhow::Result<Settled> {
        let body = Settle {
            id: format!("{}-end", turn.id),
            measures: measures(turn, turn.generated),
        };
        let first = self.timed(Timed::Settle, self.client.settle(hold, &body)).await?;
        let settled = first.success()?;
        self.note_balance(turn, &first);
        if turn.retries.settle {
            let again = self.untimed(self.client.settle(hold, &body)).await?;
            self.same(&first, &again)?;
        }
        Ok(settled)
    }

    async fn release(&self, turn: &Turn, hold: &str) -> anyhow::Result<()> {
        let id = format!("{}-end", turn.id);
        let first = self.timed(Timed::Settle, self.client.release(hold, &id)).await?;
        first.success::<serde_json::Value>()?;
        if turn.retries.settle {
            let again = self.untimed(self.client.release(hold, &id)).await?;
            self.same(&first, &again)?;
        }
        Ok(())
    }

    /// A retry gets the same answer, marked, and nothing else.
    fn same(&self, first: &Answer, again: &Answer) -> anyhow::Result<()> {
        self.tally.lock().retried += 1;
        ensure!(again.is_replayed(), "a retry was not recognised: {}", again.body);
        ensure!(
            first.unmarked() == again.unmarked(),
            "a retry got another answer: first {}, then {}",
            first.body,
            again.body
        );
        Ok(())
    }

    /// Waits as long as a model would take.
    async fn generate(&self, turn: &Turn) {
        let micros =
            u64::from(turn.context) * CONTEXT_TOKEN_US + u64::from(turn.generated) * GENERATED_TOKEN_US;
        tokio::time::sleep(self.pace.wall_at(micros).min(GENERATION_MAX)).await;
    }

    async fn timed(
        &self,
        which: Timed,
        call: impl Future<Output = anyhow::Result<Answer>>,
    ) -> anyhow::Result<Answer> {
        let _permit = self.permits.acquire().await?;
        let started = Instant::now();
        let answer = call.await?;
        self.tally.lock().took(which, started.elapsed());
        no_server_error(answer)
    }

    async fn untimed(&self, call: impl Future<Output = anyhow::Result<Answer>>) -> anyhow::Result<Answer> {
        let _permit = self.permits.acquire().await?;
        no_server_error(call.await?)
    }

    fn note_balance(&self, turn: &Turn, answer: &Answer) {
        let balances = answer.body.get("balance").map(Vec::<Balance>::deserialize);
        let usd = balances
            .and_then(Result::ok)
            .into_iter()
            .flatten()
            .find(|b| b.asset == "usd");
        if let Some(balance) = usd {
            let net = balance.available - balance.debt;
            self.tally.lock().available[turn.customer] = Some(net);
        }
    }
}

fn no_server_error(answer: Answer) -> anyhow::Result<Answer> {
    if answer.status >= 500 || answer.status == 429 {
        answer.success::<serde_json::Value>()?;
    }
    Ok(answer)
}

/// The kinds of tokens are stated one by one: what is not said could turn out as anything.
fn measures(turn: &Turn, output: u32) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("input_tokens", u64::from(turn.context)),
        ("output_tokens", u64::from(output)),
        ("cache_read_tokens", 0),
        ("cache_write_5m_tokens", 0),
        ("cache_write_1h_tokens", 0),
        ("reasoning_tokens", 0),
    ])
}

fn total(lines: &[Line]) -> Decimal {
    lines.iter().map(|line| line.amount).sum()
}
