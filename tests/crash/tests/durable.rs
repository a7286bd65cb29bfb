//! Seen from outside: no answer leaves before an fdatasync of its bytes has returned.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use farebox_crash::{Call, Trace, frame};
use farebox_spine::{Client, PRICES, Server, farebox};
use tokio::task::JoinSet;

/// Concurrent calls, so that group commit is at work.
const CLIENTS: usize = 8;
const CALLS_PER_CLIENT: usize = 15;
/// Denials, one after another.
const DENIALS: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_follows_an_fdatasync_of_its_bytes() -> Result<()> {
    let version = Command::new("strace").arg("--version").output();
    ensure!(
        version.is_ok(),
        "this test needs strace (Debian: apt-get install strace)"
    );
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("trace");
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-y",
            "-s",
            "1000000",
            "-e",
            "trace=pwrite64,fdatasync,write,writev,sendto,sendmsg",
            "-o",
        ])
        .arg(&log)
        .arg(farebox()?);
    let server = Server::start_as(strace, &folder.path().join("data"))?;
    let client = Client::new(&server.url, server.admin_key.as_deref().context("a key")?);
    client.push_plan(PRICES).await?;
    client.customer("ada", "0.12").await?; // covers every call of the streams, and nothing after them
    let mut streams = JoinSet::new();
    for stream in 0..CLIENTS {
        let client = client.clone();
        streams.spawn(async move {
            for n in 0..CALLS_PER_CLIENT {
                client
                    .authorize("ada", &format!("marker-{stream}-{n}-end"), 1_000, 0)
                    .await?
                    .ok()?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(stream) = streams.join_next().await {
        stream??;
    }
    // Denials are answers too. One at a time, since a denial carries no name to find it by.
    for n in 0..DENIALS {
        let denied = client
            .authorize("ada", &format!("marker-denied-{n}-end"), 1_000, 0)
            .await?;
        ensure!(denied.status == 402, "{denied:?}");
    }
    server.kill_traced()?;
    let trace = Trace::parse(&String::from_utf8_lossy(&std::fs::read(&log)?))?;
    let seen = Seen::of(&trace)?;
    for stream in 0..CLIENTS {
        for n in 0..CALLS_PER_CLIENT {
            let marker = format!("marker-{stream}-{n}-end");
            let handle = URL_SAFE_NO_PAD.encode(format!("ada\0api\0{marker}"));
            seen.check(&marker, &handle)?;
        }
    }
    for n in 0..DENIALS {
        seen.check(&format!("marker-denied-{n}-end"), "HTTP/1.1 402")?;
    }
    Ok(())
}

/// What matters of a trace: found once, as its largest lines hold megabytes.
struct Seen<'t> {
    /// Writes to the journal with a record of a marker in them, each with its records as text.
    writes: Vec<(&'t Call, String)>,
    syncs: Vec<&'t Call>,
    /// Answers to requests.
    answers: Vec<&'t Call>,
}

impl<'t> Seen<'t> {
    fn of(trace: &'t Trace) -> Result<Seen<'t>> {
        let named = |names: &[&str]| -> Vec<&'t Call> {
            let calls = trace.calls.iter();
            calls.filter(|call| names.contains(&call.name.as_str())).collect()
        };
        let mut writes = Vec::new();
        for call in named(&["pwrite64"]) {
            // Not those that make room: megabytes of nothing.
            let is_frame = call.arguments.contains("\"FBXF");
            if is_frame && file_of(call).is_some_and(|file| file.contains("/journal/")) {
                let records = frame::records(&call.bytes())?;
                let text = String::from_utf8_lossy(&records).into_owned();
                writes.extend(text.contains("marker-").then_some((call, text)));
            }
        }
        let mut answers: Vec<&Call> = named(&["sendto", "write", "writev", "sendmsg"]);
        answers.retain(|call| call.arguments.contains("HTTP/1.1"));
        Ok(Seen {
            writes,
            syncs: named(&["fdatasync"]),
            answers,
        })
    }

    /// The record with this marker was written, then synced, and only then was the answer sent that is known by `sign`.
    fn check(&self, marker: &str, sign: &str) -> Result<()> {
        let mut writes = self.writes.iter();
        let (write, _) = writes
            .find(|(_, records)| records.contains(marker))
            .with_context(|| format!("no write of {marker}"))?;
        let file = file_of(write).context("a file")?;
        let mut syncs = self.syncs.iter();
        let sync = syncs
            .find(|call| {
                call.result == "0" && call.arguments.starts_with(file) && call.begun > write.returned
            })
            .with_context(|| format!("no fdatasync behind the write of {marker}"))?;
        let mut answers = self.answers.iter();
        let answer = answers
            .find(|call| call.begun > write.begun && call.arguments.contains(sign))
            .with_context(|| format!("no answer with {sign} for {marker}"))?;
        ensure!(
            answer.begun > sync.returned,
            "{marker} was answered on line {} before its fdatasync returned on line {}",
            answer.begun,
            sync.returned
        );
        Ok(())
    }
}

/// The file that a call is about: its first argument.
fn file_of(call: &Call) -> Option<&str> {
    call.arguments.split(',').next()
}
