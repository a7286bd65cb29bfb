//! Usage events, many in a call: how many a second are priced, debited and durable.

use std::num::NonZero;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;

use crate::measured::{Measured, nanos_since, times};
use crate::wire::{Connection, Form, Target};

/// Digits of the number in an id.
const DIGITS: usize = 12;
/// Share of the time that is not counted, at the start.
const WARM_UP: u32 = 5;

/// How events are sent.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// Connections, each with one call at a time.
    pub connections: usize,
    /// Events of a call.
    pub batch: usize,
    /// Their form.
    pub form: Form,
    /// Events a second over all connections; none: as many as the server takes.
    pub rate: Option<NonZero<u32>>,
}

impl Calls {
    /// When a connection makes its call of a number; none: as soon as the one before is answered. Connections take turns.
    fn planned(&self, begun: Instant, index: usize, number: u64) -> Option<Instant> {
        let calls = number * self.connections as u64 + index as u64;
        let nanos = u128::from(calls) * self.batch as u128 * 1_000_000_000 / u128::from(self.rate?.get());
        Some(begun + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// Events a second, and how many there were, those of the warm-up among them; times of a call; bytes of an event as it is sent.
pub async fn run(target: &Target, calls: Calls, name: &str) -> anyhow::Result<Vec<Measured>> {
    let start = Instant::now();
    let counted = start + target.time / WARM_UP;
    let end = counted + target.time;
    let mut tasks = Vec::new();
    for index in 0..calls.connections {
        let target = target.clone();
        tasks.push(tokio::spawn(async move {
            one(&target, index, calls, (start, counted, end)).await
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
    let bytes = Body::new(target, 0, calls).bytes.len() / calls.batch;
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
    calls: Calls,
    (begun, counted, end): (Instant, Instant, Instant),
) -> anyhow::Result<Sent> {
    let mut connection = Connection::open(target, "/v1/events", calls.form.media_type()).await?;
    let Calls { batch, .. } = calls;
    let mut body = Body::new(target, index, calls);
    let mut all = Sent {
        accepted: 0,
        sent: 0,
        last: counted,
        times: times()?,
    };
    for number in 0.. {
        let planned = calls.planned(begun, index, number);
        // One that has to wait for the call before it began when it was planned.
        let start = planned.unwrap_or_else(Instant::now);
        if start >= end {
            break;
        }
        if planned.is_some() {
            tokio::time::sleep_until(start.into()).await;
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
    Ok(all)
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
    fn new(target: &Target, index: usize, calls: Calls) -> Body {
        let Calls { batch, form, .. } = calls;
        let [before, between, behind] = form.joints();
        let mut bytes = before.as_bytes().to_vec();
        let mut places = Vec::with_capacity(batch);
        let mut customer = u32::try_from(index * 131).unwrap_or(0) % target.customers;
        for number in 0..batch {
            if number > 0 {
                bytes.extend_from_slice(between.as_bytes());
            }
            let (id, whose) = (
                format!("{}-{index}-", target.run),
                format!("{}-{customer:06}", target.prefix),
            );
            let (front, rest) = form.event(&id, &whose, target.shape, &target.model);
            bytes.extend_from_slice(front.as_bytes());
            places.push(bytes.len());
            bytes.extend_from_slice(&[b'0'; DIGITS]);
            bytes.extend_from_slice(rest.as_bytes());
            customer = (customer + 1) % target.customers;
        }
        bytes.extend_from_slice(behind.as_bytes());
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
    fn calls_at_a_rate_are_planned_in_turns() {
        let calls = Calls {
            connections: 2,
            batch: 100,
            form: Form::Ndjson,
            rate: NonZero::new(1_000),
        };
        let begun = Instant::now();
        let planned = |index, number| {
            calls
                .planned(begun, index, number)
                .map(|at| (at - begun).as_millis())
        };
        // Ten calls a second: every second one of them on each connection.
        assert_eq!(
            [planned(0, 0), planned(1, 0), planned(0, 1), planned(1, 7)],
            [Some(0), Some(100), Some(200), Some(1_500)]
        );
        let free = Calls { rate: None, ..calls };
        assert_eq!(free.planned(begun, 0, 5), None);
    }

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
        for form in [Form::Ndjson, Form::Json, Form::Cloudevents] {
            let calls = Calls {
                connections: 1,
                batch: 10,
                form,
                rate: None,
            };
            let mut body = Body::new(&target, 2, calls);
            let mut seen = BTreeSet::new();
            for _ in 0..3 {
                let text = String::from_utf8(body.bytes.clone()).unwrap();
                let events: Vec<serde_json::Value> = match form {
                    Form::Ndjson => text
                        .lines()
                        .map(|line| serde_json::from_str(line).unwrap())
                        .collect(),
                    Form::Json | Form::Cloudevents => serde_json::from_str(&text).unwrap(),
                };
                for event in events {
                    assert!(seen.insert(event["id"].as_str().unwrap().to_string()), "{event}");
                }
                body.next();
            }
            assert_eq!(seen.len(), 30);
        }
    }

    #[test]
    fn the_count_stands_behind_the_results() {
        let answer =
            b"{\"results\":[{\"status\":\"accepted\"}],\"accepted\":9999,\"unpriced\":1,\"conflict\":0}";
        assert_eq!(count(answer).unwrap(), 9_999);
        assert!(count(b"{}").is_err());
    }
}
