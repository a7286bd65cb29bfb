//! `cargo xtask bench`: this machine's disk, Farebox on it, and others, in one run and side by side.
//!
//! Numbers of different days and machines say little; ratios within one run do. So everything is measured here and
//! now: the sync of the disk that Farebox writes to, HTTP without Farebox's work (an empty POST that is refused
//! after the key was checked), Farebox, and Redis and PostgreSQL where they are installed. The load generator is the crate
//! `farebox-bench`, a process of its own. Both are built as they are shipped.

mod customers;
mod device;
mod peers;
mod report;
mod runs;
mod soak;
mod spent;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::client::Client;
use crate::server::Server;
use crate::terminal::Part;
use crate::workspace::{self, Build};
use customers::{Customers, Priced, Revisions};
use device::Device;
use report::{EVENTS, Measured, Report};
use spent::Spent;

/// Wallets that share a load. Those of batches are others than those of single requests, whose holds stay open.
const CALLERS: Customers = Customers {
    prefix: "caller",
    count: 1_000,
    priced: Priced::PerToken,
};
const SENDERS: Customers = Customers {
    prefix: "sender",
    count: 10_000,
    priced: Priced::PerToken,
};
/// One of those: all events are for the same wallet.
const HOT: Customers = Customers { count: 1, ..SENDERS };
const GRADUATED: Customers = Customers {
    prefix: "graduated",
    count: 10_000,
    priced: Priced::Graduated,
};
const DEALS: Customers = Customers {
    prefix: "deal",
    count: 10_000,
    priced: Priced::Deals,
};
/// Those of `--wallets`.
const MANY: &str = "many";
/// Connections of the single requests.
const CONNECTIONS: [usize; 3] = [1, 16, 256];
/// Loads of events.
const BATCHES: [Batches; 8] = [
    Batches::of("events_16x500", 16, 500, SENDERS),
    Batches::of(EVENTS, 4, 2_000, SENDERS),
    Batches {
        form: "json",
        ..Batches::of("events_json_4x2000", 4, 2_000, SENDERS)
    },
    Batches {
        form: "cloudevents",
        ..Batches::of("events_cloudevents_4x2000", 4, 2_000, SENDERS)
    },
    Batches::of("events_4x10000", 4, 10_000, SENDERS),
    Batches::of("events_hot_4x2000", 4, 2_000, HOT),
    Batches {
        beside_calls: Some(16),
        ..Batches::of("events_graduated_4x2000", 4, 2_000, GRADUATED)
    },
    Batches::of("events_deals_4x2000", 4, 2_000, DEALS),
];
/// After a load, until what is written behind the answers is written.
const SETTLING: Duration = Duration::from_secs(3);

/// Flags of `cargo xtask bench`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print one JSON object a line: name, value, unit, low, high, reference, ratio, target, holds.
    #[arg(long)]
    json: bool,
    /// How long each run of a load lasts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Runs of each load: the median is told, with the least and the most.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,
    /// Send so many events before the loads, so that ids are looked for among them.
    #[arg(long, value_name = "N", default_value_t = 0)]
    ids: u64,
    /// Measure a load of events of so many customers, too. Making a million takes some minutes.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wallets: u32,
    /// Send events for so many minutes behind the loads, at four fifths of the rate that there is at full speed for a tenth of
    /// that time before, and measure `events_4x2000` again. Ten million events take some 2 GB of disk.
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=1440))]
    soak: u64,
    /// Leave Redis and PostgreSQL out, though they are installed.
    #[arg(long)]
    alone: bool,
}

/// A load of events.
#[derive(Debug, Clone, Copy)]
struct Batches {
    name: &'static str,
    connections: usize,
    batch: usize,
    customers: Customers,
    /// In which form the events come.
    form: &'static str,
    /// Connections on which the same customers make calls meanwhile, whose holds stay open.
    beside_calls: Option<usize>,
}

impl Batches {
    const fn of(name: &'static str, connections: usize, batch: usize, customers: Customers) -> Batches {
        Batches {
            name,
            connections,
            batch,
            customers,
            form: "ndjson",
            beside_calls: None,
        }
    }
}

/// Builds, measures, reports. A target that is missed is reported as such, and is no failure of the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    workspace::ensure_plan_target()?;
    let farebox = workspace::build(Build::Bench)?;
    let priced: Vec<(Priced, Revisions)> = Priced::ALL
        .into_iter()
        .map(|priced| Ok((priced, priced.revisions(&farebox)?)))
        .collect::<anyhow::Result<_>>()?;
    // Below the target folder: a temporary folder is often in memory, where a sync costs nothing.
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(workspace::target_dir())?;
    let bench = Bench {
        program: Build::Bench.program("farebox-bench")?,
        farebox,
        folder: folder.path().to_path_buf(),
        device: Device::of(folder.path())?,
        options,
    };
    let mut measured = Vec::new();
    let done = bench.everything(&priced, &mut measured);
    // What was measured before something failed took its time, and is true all the same.
    let report = Report::new(&measured);
    match options.json {
        true => report.lines().iter().for_each(|line| println!("{line}")),
        false => println!("{}", report.text()),
    }
    done.context("the rest was not measured")?;
    Ok(ExitCode::SUCCESS)
}

/// What measures.
struct Bench<'a> {
    /// The load generator.
    program: PathBuf,
    farebox: PathBuf,
    folder: PathBuf,
    /// None: the system does not tell what it writes.
    device: Option<Device>,
    options: &'a Options,
}

impl Bench<'_> {
    /// Measures into `measured`, so that what was measured is there whatever fails behind it.
    fn everything(&self, priced: &[(Priced, Revisions)], measured: &mut Vec<Measured>) -> anyhow::Result<()> {
        let part = Part::silent("disk");
        measured.extend(self.disk()?);
        part.done();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (data, log) = (self.folder.join("data"), self.folder.join("server.log"));
        let server = Server::start(&self.farebox, &data, &log)?;
        let part = Part::silent("customers");
        let mut customers = vec![CALLERS, SENDERS, GRADUATED, DEALS];
        customers.extend(self.many());
        runtime.block_on(customers::prepare(&server, priced, &customers))?;
        part.done();
        measured.extend(self.requests(&server, &runtime)?);
        measured.extend(self.ids(&server)?);
        for load in BATCHES {
            measured.extend(self.events(&server, load)?);
        }
        self.soak(&server, measured)?;
        if let Some(many) = self.many() {
            measured.extend(self.events(&server, Batches::of("events_wallets_4x2000", 4, 2_000, many))?);
        }
        let resident = float(server.resident_mib()?);
        measured.push(Measured::new("resident_memory", resident, "MiB"));
        let key = server.key().to_string();
        server.kill()?;
        let part = Part::silent("the next start after a kill, and the state anew from the journal");
        let server = Server::again(&self.farebox, &data, &log, key)?;
        measured.push(Measured::new(
            "open_after_kill",
            server.started_in().as_secs_f64(),
            "s",
        ));
        server.stop()?;
        let rebuilt = self.rebuild(&data, measured)?;
        measured.push(rebuilt);
        part.done();
        if !self.options.alone {
            measured.extend(peers::run(&self.folder, self.options.seconds)?);
        }
        let part = Part::silent("disk, once more");
        measured.extend(self.disk()?);
        part.done();
        let part = Part::silent("plans without a server");
        if let Some((_, revisions)) = priced.iter().find(|(kind, _)| *kind == Priced::PerToken) {
            measured.extend(self.plan(revisions)?);
        }
        part.done();
        Ok(())
    }

    /// Those of `--wallets`.
    fn many(&self) -> Option<Customers> {
        let count = self.options.wallets;
        (count > 0).then_some(Customers {
            prefix: MANY,
            count,
            priced: Priced::PerToken,
        })
    }

    fn disk(&self) -> anyhow::Result<Vec<Measured>> {
        self.ask(Command::new(&self.program).arg("disk").arg(&self.folder))
    }

    fn requests(&self, server: &Server, runtime: &tokio::runtime::Runtime) -> anyhow::Result<Vec<Measured>> {
        let client = Client::new(server.address(), server.key())?;
        let mut all = Vec::new();
        for connections in CONNECTIONS {
            for what in ["empty", "authorize"] {
                let part = Part::silent(&format!("{what}, {connections} connections"));
                let before = runtime.block_on(client.frames())?;
                all.extend(runs::repeat(self.options.runs, |run| {
                    let id = format!("{what}{connections}-{run}");
                    let mut command = self.against(server, "load", CALLERS, &id);
                    command.args(["--what", what, "--connections", &connections.to_string()]);
                    self.ask(&mut command)
                })?);
                if what == "authorize" {
                    let now = runtime.block_on(client.frames())?;
                    let name = format!("authorize_{connections}_records_a_sync");
                    all.push(Measured::new(name, now.records_each_since(before), ""));
                }
                part.done();
            }
        }
        Ok(all)
    }

    /// Sends the events of `--ids`.
    fn ids(&self, server: &Server) -> anyhow::Result<Option<Measured>> {
        let wanted = float(self.options.ids);
        if self.options.ids == 0 {
            return Ok(None);
        }
        let part = Part::silent("ids");
        let mut sent = 0.0;
        for round in 0_u32.. {
            let mut command = self.against(server, "events", SENDERS, &format!("ids{round}"));
            command.args(["--connections", "4", "--batch", "10000", "--name", "ids"]);
            sent = plus(sent, value_of(&self.ask(&mut command)?, "ids_sent")?);
            part.now(&format!("{sent:.0} of {wanted:.0}"));
            if sent >= wanted {
                break;
            }
        }
        part.done();
        Ok(Some(Measured::new("ids_sent", sent, "")))
    }

    fn events(&self, server: &Server, load: Batches) -> anyhow::Result<Vec<Measured>> {
        let name = load.name;
        let part = Part::silent(name);
        let before = self.spent(server)?;
        let mut measured = runs::repeat(self.options.runs, |run| {
            let mut calls = match load.beside_calls {
                None => None,
                Some(connections) => {
                    let mut calls =
                        self.against(server, "load", load.customers, &format!("{name}-calls-{run}"));
                    calls.args(["--what", "authorize", "--connections", &connections.to_string()]);
                    calls.args(["--name", &format!("{name}_beside")]);
                    Some(calls.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
                }
            };
            let mut command = self.against(server, "events", load.customers, &format!("{name}-{run}"));
            command.args(["--connections", &load.connections.to_string()]);
            command.args([
                "--batch",
                &load.batch.to_string(),
                "--form",
                load.form,
                "--name",
                name,
            ]);
            let mut told = self.ask(&mut command)?;
            if let Some(calls) = calls.take() {
                let output = calls.wait_with_output()?;
                told.extend(measurements(&String::from_utf8_lossy(&output.stdout))?);
            }
            Ok(told)
        })?;
        std::thread::sleep(SETTLING);
        let sent = value_of(&measured, &format!("{name}_sent"))?;
        measured.extend(self.spent(server)?.since(&before, name, sent));
        measured.extend(throughput(&measured, name));
        part.done();
        Ok(measured)
    }

    fn spent(&self, server: &Server) -> anyhow::Result<Spent> {
        Spent::now(self.device.as_ref(), server)
    }

    /// A plan, and the choices of its sandbox.
    fn plan(&self, revisions: &Revisions) -> anyhow::Result<Vec<Measured>> {
        let parameters = self.folder.join("parameters.json");
        let (_, text) = revisions.plans.first().context("a plan without parameters")?;
        std::fs::write(&parameters, text)?;
        let mut plan = Command::new(&self.program);
        plan.arg("plan").arg(&revisions.component).arg(&parameters);
        plan.args(["--model", Priced::PerToken.model()]);
        let mut choices = Command::new(&self.program);
        choices.arg("choices").arg(&revisions.component).arg(&parameters);
        let mut all = self.ask(&mut plan)?;
        all.extend(self.ask(&mut choices)?);
        Ok(all)
    }

    /// How many events a second the state is made anew with from the journal, as after a loss of all but the journal.
    #[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
    fn rebuild(&self, data: &Path, measured: &[Measured]) -> anyhow::Result<Measured> {
        let sent = measured.iter().filter(|one| one.name.ends_with("_sent"));
        let events = sent.map(|one| one.value).sum::<f64>();
        let started = Instant::now();
        workspace::output(
            Command::new(&self.farebox)
                .args(["journal", "rebuild", "--data"])
                .arg(data),
        )?;
        let took = started.elapsed().as_secs_f64();
        Ok(Measured::new("rebuild", events / took.max(f64::EPSILON), "1/s"))
    }

    /// A command with a server. The key goes through the environment, where no list of processes shows it.
    fn against(&self, server: &Server, command: &str, customers: Customers, run: &str) -> Command {
        self.against_for(self.options.seconds, server, command, customers, run)
    }

    /// The same, for so many seconds.
    fn against_for(
        &self,
        seconds: u64,
        server: &Server,
        command: &str,
        customers: Customers,
        run: &str,
    ) -> Command {
        let mut all = Command::new(&self.program);
        all.env("FAREBOX_KEY", server.key()).arg(command);
        all.args(["--address", server.address().trim_start_matches("http://")]);
        all.args([
            "--prefix",
            customers.prefix,
            "--customers",
            &customers.count.to_string(),
        ]);
        all.args([
            "--shape",
            customers.priced.shape(),
            "--model",
            customers.priced.model(),
        ]);
        all.args(["--run", run, "--seconds", &seconds.to_string()]);
        all
    }

    fn ask(&self, command: &mut Command) -> anyhow::Result<Vec<Measured>> {
        measurements(&workspace::output(command)?)
    }
}

fn measurements(said: &str) -> anyhow::Result<Vec<Measured>> {
    said.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("not a measurement: {line}")))
        .collect()
}

/// A load's bytes a second, to be shown beside what the disk takes when there is nothing else to do.
#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn throughput(measured: &[Measured], name: &str) -> Option<Measured> {
    let bytes = value_of(measured, &format!("{name}_bytes")).ok()?;
    let kib = value_of(measured, name).ok()? * bytes / 1024.0;
    Some(Measured::new(format!("{name}_throughput"), kib, "KiB/s"))
}

#[expect(clippy::float_arithmetic, reason = "a measurement, no money")]
fn plus(a: f64, b: f64) -> f64 {
    a + b
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
