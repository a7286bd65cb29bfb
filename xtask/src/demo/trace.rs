//! What is replayed: requests with their times and sizes.
//!
//! A trace file has the columns of the Azure LLM inference traces, `TIMESTAMP,ContextTokens,GeneratedTokens`, with
//! times as `2023-11-16 18:15:46.6805900`. Other columns are ignored; rows must be in order of time.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// One call to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Microseconds since the first one.
    pub at_us: u64,
    /// Tokens of the prompt.
    pub context: u32,
    /// Tokens of the answer.
    pub generated: u32,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "TIMESTAMP")]
    timestamp: String,
    #[serde(rename = "ContextTokens")]
    context: u32,
    #[serde(rename = "GeneratedTokens")]
    generated: u32,
}

/// Reads a trace file. Errors name the row.
pub fn read(path: &Path) -> anyhow::Result<Vec<Request>> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot open the trace {}", path.display()))?;
    parse(file).with_context(|| format!("the trace {}", path.display()))
}

/// Reads a trace.
pub fn parse(input: impl std::io::Read) -> anyhow::Result<Vec<Request>> {
    let mut reader = csv::Reader::from_reader(input);
    let mut requests: Vec<Request> = Vec::new();
    let mut start = None;
    for (index, row) in reader.deserialize::<Row>().enumerate() {
        let line = index + 2; // counted from 1, below the header
        let row = row.with_context(|| format!("line {line}"))?;
        let at =
            micros(&row.timestamp).with_context(|| format!("line {line}: TIMESTAMP {:?}", row.timestamp))?;
        let start = *start.get_or_insert(at);
        let at_us = u64::try_from(at - start)
            .ok()
            .with_context(|| format!("line {line} is before the first"))?;
        if requests.last().is_some_and(|before| before.at_us > at_us) {
            bail!("line {line} is before the line above it; sort the trace by TIMESTAMP");
        }
        requests.push(Request {
            at_us,
            context: row.context,
            generated: row.generated,
        });
    }
    if requests.is_empty() {
        bail!("it holds no requests");
    }
    Ok(requests)
}

fn micros(text: &str) -> anyhow::Result<i64> {
    let civil: jiff::civil::DateTime = text.trim().parse()?;
    Ok(jiff::tz::Offset::UTC.to_timestamp(civil)?.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

    #[test]
    fn rows_become_requests() {
        let text = format!("{HEAD}2023-11-16 23:59:59.5000000,374,44\n2023-11-17 00:00:00.7500010,396,109\n");
        let expected = [
            Request {
                at_us: 0,
                context: 374,
                generated: 44,
            },
            Request {
                at_us: 1_250_001,
                context: 396,
                generated: 109,
            },
        ];
        assert_eq!(parse(text.as_bytes()).unwrap(), expected);
    }

    fn error(rows: &str) -> String {
        format!("{:#}", parse(format!("{HEAD}{rows}").as_bytes()).unwrap_err())
    }

    #[test]
    fn errors_name_the_line() {
        assert!(error("yesterday,1,2\n").starts_with("line 2: TIMESTAMP \"yesterday\""));
        assert!(error("2023-11-16 18:15:46,1,-2\n").starts_with("line 2"));
        assert!(error("2023-11-16 18:15:47,1,2\n2023-11-16 18:15:46,1,2\n").starts_with("line 3"));
        assert_eq!(error(""), "it holds no requests");
    }
}
