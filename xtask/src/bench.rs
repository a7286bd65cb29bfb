//! `cargo xtask bench`: this machine's disk, and Farebox on it, in one run and side by side.
//!
//! Numbers of different days and machines say little; ratios within one run do. So everything is measured here and
//! now: the sync of the disk that Farebox writes to, HTTP without Farebox's work (an empty POST that is refused
//! after the key was checked), and Farebox. The load generator is the crate `farebox-bench`, a process of its own. Both are
//! built as they are shipped.

mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::server::Server;
use crate::terminal::Part;
use crate::workspace::{self, Build};
use report::{Measured, Report};

const PLAN: &str = "per-token";
const PARAMETERS: &str = "example-plans/per-token/parameters/list-prices.json";
const MODEL: &str = "gpt-5";
/// Wallets that share a load. Those of batches are others than those of single requests, whose holds stay open.
const CALLERS: Customers = Customers {
    prefix: "caller",
    count: 1_000,
};
const SENDERS: Customers = Customers {
    prefix: "sender",
    count: 10_000,
};
/// One of those: all events are for the same wallet.
const HOT: Customers = Customers {
    prefix: "sender",
    count: 1,
};
/// Customers that are created at once.
const CREATED_AT_ONCE: u32 = 32;
/// Connections of the single requests.
const CONNECTIONS: [usize; 3] = [1, 16, 256];
/// What a load of events is called, its connections and events a call, and whose they are.
const BATCHES: [(&str, usize, usize, Customers); 4] = [
    ("events_16x500", 16, 500, SENDERS),
    ("events_4x2000", 4, 2_000, SENDERS),
    ("events_4x10000", 4, 10_000, SENDERS),
    ("events_hot_4x2000", 4, 2_000, HOT),
];
/// After a load, until what is written behind the answers is written.
const SETTLING: Duration = Duration::from_secs(3);

/// Flags of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print one JSON object a line: name, value, unit, reference, ratio, target, holds.
    #[arg(long)]
    json: bool,
    /// How long each load lasts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// Customers `<prefix>-000000` and so on.
#[derive(Debug, Clone, Copy)]
struct Customers {
    prefix: &'static str,
    count: u32,
}

/// Builds, measures, reports. A target that is missed is reported as such, and is no failure of the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    workspace::ensure_plan_target()?;
    let farebox = workspace::build(Build::Bench)?;
    let component = workspace::build_plan(&farebox, PLAN)?;
    let bench = Bench {
        program: Build::Bench.program("farebox-bench")?,
        seconds: options.seconds,
    };
    // Below the target folder: a temporary folder is often in memory, where a sync costs nothing.
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(workspace::target_dir())?;

    let part = Part::silent("disk");
    let mut measured = bench.disk(folder.path())?;
    part.done();

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = Server::start(
        &farebox,
        &folder.path().join("data"),
        &folder.path().join("server.log"),
    )?;
    let part = Part::silent("customers");
    runtime.block_on(prepare(&server, &component))?;
    part.done();
    measured.extend(bench.requests(&server)?);
    measured.extend(bench.events(&server)?);
    measured.push(Measured::new(
        "resident_memory",
        float(server.resident_mib()?),
        "MiB",
    ));
    server.stop()?;
    let part = Part::silent("the state anew, from the journal");
    measured.extend(rebuild(&farebox, &folder.path().join("data"), &measured)?);
    part.done();

    let part = Part::silent("disk, once more");
    measured.extend(bench.disk(folder.path())?);
    part.done();
    let part = Part::silent("plans without a server");
    measured.extend(bench.plan(&component)?);
    part.done();

    let report = Report::new(&measured);
    match options.json {
        true => report.lines().iter().for_each(|line| println!("{line}")),
        false => println!("{}", report.text()),
    }
    Ok(ExitCode::SUCCESS)
}

/// The load generator.
struct Bench {
    program: PathBuf,
    seconds: u64,
}

impl Bench {
    fn disk(&self, folder: &Path) -> anyhow::Result<Vec<Measured>> {
        self.ask(Command::new(&self.program).arg("disk").arg(folder))
    }

    fn requests(&self, server: &Server) -> anyhow::Result<Vec<Measured>> {
        let mut all = Vec::new();
        for connections in CONNECTIONS {
            for what in ["empty", "authorize"] {
                let part = Part::silent(&format!("{what}, {connections} connections"));
                let mut command = self.against(server, "load", CALLERS, &format!("{what}{connections}"));
                command.args(["--what", what, "--connections", &connections.to_string()]);
                all.extend(self.ask(&mut command)?);
                part.done();
            }
        }
        Ok(all)
    }

    fn events(&self, server: &Server) -> anyhow::Result<Vec<Measured>> {
        let mut all = Vec::new();
        for (name, connections, batch, customers) in BATCHES {
            let part = Part::silent(name);
            let before = server.written_bytes()?;
            let mut command = self.against(server, "events", customers, name);
            command.args(["--connections", &connections.to_string()]);
            command.args(["--batch", &batch.to_string(), "--name", name]);
            let load = self.ask(&mut command)?;
            std::thread::sleep(SETTLING);
            let written = server.written_bytes()?.saturating_sub(before);
            let sent = value_of(&load, &format!("{name}_sent"))?;
            all.extend(load);
            all.push(written_each(name, written, sent));
            part.done();
        }
        Ok(all)
    }

    fn plan(&self, component: &Path) -> anyhow::Result<Vec<Measured>> {
        let parameters = workspace::root().join(PARAMETERS);
        let mut command = Command::new(&self.program);
        command
            .arg("plan")
            .arg(component)
            .arg(parameters)
            .args(["--model", MODEL]);
        self.ask(&mut command)
    }

    /// A command with a server. The key goes through the environment, where no list of processes shows it.
    fn against(&self, server: &Server, command: &str, customers: Customers, run: &str) -> Command {
        let mut all = Command::new(&self.program);
        all.env("FAREBOX_KEY", server.key()).arg(command);
        all.args(["--address", server.address().trim_start_matches("http://")]);
        all.args([
            "--customers",
            &customers.count.to_string(),
            "--model",
            MODEL,
            "--run",
            run,
        ]);
        all.args([
            "--prefix",
            customers.prefix,
            "--seconds",
            &self.seconds.to_string(),
        ]);
        all
    }

    fn ask(&self, command: &mut Command) -> anyhow::Result<Vec<Measured>> {
        let said = workspace::output(command)?;
        said.lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("not a measurement: {line}")))
            .collect()
    }
}

/// The plan in force, and customers who can pay for more than any run asks.
async fn prepare(server: &Server, component: &Path) -> anyhow::Result<()> {
    let client = Client::new(server.address(), server.key())?;
    let component = client.push_component(PLAN, std::fs::read(component)?).await?;
    let parameters = std::fs::read_to_string(workspace::root().join(PARAMETERS))?;
    client.push_revision(PLAN, &component, &parameters).await?;
    let mut tasks = JoinSet::new();
    for first in 0..CREATED_AT_ONCE {
        let client = client.clone();
        tasks.spawn(async move {
            for Customers { prefix, count } in [CALLERS, SENDERS] {
                for index in (first..count).step_by(CREATED_AT_ONCE as usize) {
                    customer(&client, &format!("{prefix}-{index:06}")).await?;
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn written_each(name: &str, written: u64, sent: f64) -> Measured {
    Measured::new(format!("{name}_written"), float(written) / sent.max(1.0), "bytes")
}

#[expect(clippy::cast_precision_loss, reason = "a measurement, far below 2^52")]
fn float(number: u64) -> f64 {
    number as f64
}

/// A measurement of a load, by its name.
fn value_of(measured: &[Measured], name: &str) -> anyhow::Result<f64> {
    let found = measured.iter().find(|one| one.name == name);
    found
        .map(|one| one.value)
        .with_context(|| format!("{name} was not measured"))
}

/// How many events a second the state is made anew with from the journal, as after a loss of all but the journal.
#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn rebuild(farebox: &Path, data: &Path, measured: &[Measured]) -> anyhow::Result<Vec<Measured>> {
    let sent = measured.iter().filter(|one| one.name.ends_with("_sent"));
    let events = sent.map(|one| one.value).sum::<f64>();
    let started = Instant::now();
    workspace::output(
        Command::new(farebox)
            .args(["journal", "rebuild", "--data"])
            .arg(data),
    )?;
    let took = started.elapsed().as_secs_f64();
    Ok(vec![Measured::new(
        "rebuild",
        events / took.max(f64::EPSILON),
        "1/s",
    )])
}

async fn customer(client: &Client, id: &str) -> anyhow::Result<()> {
    client.put_customer(id, &json!({ "name": id })).await?;
    client
        .subscribe(&json!({ "id": format!("{id}-{PLAN}"), "customer": id, "plan": PLAN }))
        .await?;
    let grant =
        json!({ "id": format!("{id}-paid"), "asset": "usd", "amount": "1000000", "category": "paid" });
    client.grant(id, &grant).await?;
    Ok(())
}
