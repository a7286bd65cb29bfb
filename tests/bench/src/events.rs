//! Usage events, many in a call: how many a second are priced, debited and durable.

use std::time::Instant;

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;

use crate::measured::{Measured, nanos_since, times};
use crate::wire::{Connection, Target};

/// Digits of the number in an id.
const DIGITS: usize = 12;
/// Share of the time that is not counted, at the start.
const WARM_UP: u32 = 5;

/// Events a second, and how many there were, those of the warm-up among them; times of a call; bytes of an event as it is sent.
pub async fn run(
    target: &Target,
    connections: usize,
    batch: usize,
    name: &str,
) -> anyhow::Result<Vec<Measured>> {
    let start = Instant::now();
    let counted = start + target.time / WARM_UP;
    let end = counted + target.time;
    let mut tasks = Vec::new();
    for index in 0..connections {
        let target = target.clone();
        tasks.push(tokio::spawn(async move {
            one(&target, index, batch, (counted, end)).await
        }));
    }
    let (mut accepted, mut sent, mut last, mut all) = (0, 0, counted, times()?);
    for task in tasks {
        let one = task.await??;
        accepted += one.accepted;
        sent += one.sent;
        last = last.max(one.last);
        all.add(one.times)?;
    }
    let bytes = Body::new(target, 0, batch).bytes.len() / batch;
    // The call that is on its way at the end is counted, and so is its time.
    Ok(vec![
        Measured::per_second(name, accepted, last - counted),
        Measured::micros(format!("{name}_p50"), all.value_at_quantile(0.5)),
        Measured::micros(format!("{name}_p99"), all.value_at_quantile(0.99)),
        Measured::count(format!("{name}_sent"), sent),
        Measured::count(format!("{name}_bytes"), u64::try_from(bytes)?),
    ])
}

/// What one connection did.
struct Sent {
    /// Events that were accepted, in calls that began after the warm-up.
    accepted: u64,
    /// All events.
    sent: u64,
    /// When the last call was answered.
    last: Instant,
    /// Times of the calls after the warm-up.
    times: Histogram<u64>,
}

async fn one(
    target: &Target,
    index: usize,
    batch: usize,
    (counted, end): (Instant, Instant),
) -> anyhow::Result<Sent> {
    let mut connection = Connection::open(target, "/v1/events", "application/x-ndjson").await?;
    let mut body = Body::new(target, index, batch);
    let mut all = Sent {
        accepted: 0,
        sent: 0,
        last: counted,
        times: times()?,
    };
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(all);
        }
        let (status, answer) = connection.post(&body.bytes).await?;
        if status != 200 {
            bail!("status {status}: {}", String::from_utf8_lossy(answer));
        }
        let count = count(answer)?;
        if count != batch as u64 {
            bail!(
                "{count} of {batch} events accepted: {}",
                String::from_utf8_lossy(&answer[..answer.len().min(600)])
            );
        }
        all.sent += count;
        if start >= counted {
            all.accepted += count;
            all.last = Instant::now();
            all.times.saturating_record(nanos_since(start));
        }
        body.next();
    }
}

/// The member `accepted` of an answer, which stands behind the results.
fn count(answer: &[u8]) -> anyhow::Result<u64> {
    let tail = &answer[answer.len().saturating_sub(200)..];
    let text = String::from_utf8_lossy(tail);
    let (_, behind) = text
        .rsplit_once("\"accepted\":")
        .with_context(|| format!("no count in ...{text}"))?;
    let digits: String = behind
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().with_context(|| format!("no count in ...{text}"))
}

/// A body whose ids are counted on in place: made once, so that making it costs the measurement nothing.
struct Body {
    bytes: Vec<u8>,
    /// Where the numbers of the ids are.
    places: Vec<usize>,
    number: u64,
}

impl Body {
    fn new(target: &Target, index: usize, batch: usize) -> Body {
        let mut bytes = Vec::new();
        let fields = target.shape.fields(&target.model);
        let mut places = Vec::with_capacity(batch);
        let mut customer = u32::try_from(index * 131).unwrap_or(0) % target.customers;
        for _ in 0..batch {
            bytes.extend_from_slice(format!("{{\"id\":\"{}-{index}-", target.run).as_bytes());
            places.push(bytes.len());
            let rest = format!(
                "{:0width$}\",\"customer\":\"{}-{customer:06}\",{fields}}}\n",
                0,
                target.prefix,
                width = DIGITS
            );
            bytes.extend_from_slice(rest.as_bytes());
            customer = (customer + 1) % target.customers;
        }
        let mut body = Body {
            bytes,
            places,
            number: 0,
        };
        body.next();
        body
    }

    /// Gives every event a new id.
    fn next(&mut self) {
        for place in &self.places {
            self.number += 1;
            let mut rest = self.number;
            for digit in self.bytes[*place..*place + DIGITS].iter_mut().rev() {
                *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                rest /= 10;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_id_is_sent_twice() {
        let target = Target {
            address: "127.0.0.1:1".parse().unwrap(),
            key: "k".into(),
            prefix: "c".into(),
            customers: 3,
            shape: crate::wire::Shape::Llm,
            model: "gpt-5".into(),
            run: "r".into(),
            time: Duration::from_secs(1),
        };
        let mut body = Body::new(&target, 2, 10);
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            for line in String::from_utf8(body.bytes.clone()).unwrap().lines() {
                let event: serde_json::Value = serde_json::from_str(line).unwrap();
                assert!(seen.insert(event["id"].as_str().unwrap().to_string()), "{event}");
            }
            body.next();
        }
        assert_eq!(seen.len(), 30);
    }

    #[test]
    fn the_count_stands_behind_the_results() {
        let answer =
            b"{\"results\":[{\"status\":\"accepted\"}],\"accepted\":9999,\"unpriced\":1,\"conflict\":0}";
        assert_eq!(count(answer).unwrap(), 9_999);
        assert!(count(b"{}").is_err());
    }
}
