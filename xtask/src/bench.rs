//! `cargo xtask bench`: this machine's disk, and Farebox on it, in one run and side by side.
//!
//! Numbers of different days and machines say little; ratios within one run do. So everything is measured here and
//! now: the sync of the disk that Farebox writes to, HTTP without Farebox's work (an empty POST that is refused
//! after the key was checked), and Farebox. What is measured in release is in the crate `farebox-bench`.

mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

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
const CUSTOMERS: u32 = 1_000;
/// What the names of the customers of single requests begin with, and of those of batches.
const CALLERS: &str = "caller";
const SENDERS: &str = "sender";
/// Customers that are created at once.
const CREATED_AT_ONCE: u32 = 32;
/// Connections of the single requests.
const CONNECTIONS: [usize; 3] = [1, 16, 256];
/// Connections and events a call of the batches.
const BATCHES: [(usize, usize); 3] = [(2, 1_000), (4, 10_000), (8, 10_000)];

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
    server.stop()?;

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
        for (connections, batch) in BATCHES {
            let part = Part::silent(&format!("events, {connections} connections, {batch} a call"));
            let mut command = self.against(server, "events", SENDERS, &format!("e{connections}x{batch}"));
            command.args([
                "--connections",
                &connections.to_string(),
                "--batch",
                &batch.to_string(),
            ]);
            all.extend(self.ask(&mut command)?);
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
    fn against(&self, server: &Server, command: &str, prefix: &str, run: &str) -> Command {
        let mut all = Command::new(&self.program);
        all.env("FAREBOX_KEY", server.key()).arg(command);
        all.args(["--address", server.address().trim_start_matches("http://")]);
        all.args([
            "--customers",
            &CUSTOMERS.to_string(),
            "--model",
            MODEL,
            "--run",
            run,
        ]);
        all.args(["--prefix", prefix, "--seconds", &self.seconds.to_string()]);
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
            for index in (first..CUSTOMERS).step_by(CREATED_AT_ONCE as usize) {
                for prefix in [CALLERS, SENDERS] {
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
