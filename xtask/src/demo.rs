//! `cargo xtask demo`: a real server, real traffic, new prices midway, and a proof at the end.
//!
//! Everything goes over HTTP, as a user's programs would. Every amount is computed a second time by `prices`, which
//! shares no code with the product. The demo fails if one request fails, or if one amount differs anywhere.

mod dice;
mod generate;
mod pace;
mod play;
mod prices;
mod proof;
mod replay;
mod revise;
mod screen;
mod script;
mod setup;
mod summary;
mod tally;
mod trace;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use rust_decimal::Decimal;

use crate::server::Server;
use crate::terminal::{Part, grouped, seconds};
use crate::workspace::{self, Build};
use dice::Dice;
use pace::Pace;
use prices::PriceList;
use tally::SharedTally;

/// The plan that prices the traffic.
const PLAN: &str = "per-token";
/// Where its price list is.
const PARAMETERS: &str = "example-plans/per-token/parameters/list-prices.json";

/// Flags of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A trace to replay: a CSV of TIMESTAMP,ContextTokens,GeneratedTokens. Without it, traffic is made up from the
    /// seed.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How long the replay lasts at most.
    #[arg(long, value_name = "N", default_value = "1")]
    minutes: Decimal,
    /// How many times faster than in the trace; as fast as fits the minutes unless told.
    #[arg(long, value_name = "X")]
    speed: Option<Decimal>,
    /// Print the summary as one JSON object on stdout, and no live view.
    #[arg(long)]
    json: bool,
    /// Decides who sends what, and what becomes of it.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many customers share the traffic.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u16).range(2..=1000))]
    customers: u16,
    /// Keep the server's data folder, at this place.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Whether the replay is watched live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    /// A live view on the terminal.
    Live,
    /// A line now and then.
    Lines,
}

/// Builds, replays, proves. Fails when anything does not hold.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let dice = Dice::new(options.seed);
    let (trace, source) = match &options.trace {
        Some(path) => (trace::read(path)?, path.display().to_string()),
        None => (
            generate::generate(dice, generate::REQUESTS),
            format!("made up from seed {}", options.seed),
        ),
    };
    let pace = Pace::new(&trace, options.minutes, options.speed)?;
    eprintln!(
        "==> {} of {} requests ({source}), {}",
        grouped(u64::try_from(pace.requests)?),
        grouped(u64::try_from(trace.len())?),
        pace.described()
    );
    let parameters = std::fs::read_to_string(workspace::root().join(PARAMETERS))
        .with_context(|| format!("cannot read {PARAMETERS}"))?;
    let first = PriceList::parse(&parameters)?;
    let script = script::write(&trace[..pace.requests], &first, options.customers.into(), dice)?;

    workspace::ensure_plan_target()?;
    let farebox = workspace::build(Build::Farebox)?;
    let component = workspace::build_plan(&farebox, PLAN)?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let data = options.keep.clone().unwrap_or_else(|| folder.path().join("data"));
    let data = std::path::absolute(&data)?;
    let view = match std::io::stdout().is_terminal() && !options.json {
        true => View::Live,
        false => View::Lines,
    };

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let server = Server::start(&farebox, &data, &folder.path().join("server.log"))?;
    let stage = setup::Stage {
        script: Arc::new(script),
        pace,
        parameters,
        component,
        view,
    };
    let summary = runtime.block_on(demonstrate(stage, server, &farebox, &data))?;
    if options.json {
        println!("{}", summary.json());
    } else {
        println!("{}", summary.text());
    }
    Ok(if summary.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn demonstrate(
    stage: setup::Stage,
    mut server: Server,
    farebox: &Path,
    data: &Path,
) -> anyhow::Result<summary::Summary> {
    let part = Part::silent("customers, grants and prices");
    let scene = setup::prepare(&stage, server.address(), server.key()).await?;
    part.done();

    let tally = Arc::new(SharedTally::new(stage.script.customers.len())?);
    let watching = screen::watch(
        stage.view,
        Arc::clone(&stage.script),
        Arc::clone(&tally),
        stage.pace.wall(),
    );
    let replayed = replay::run(&stage, &scene, &tally, &watching).await;
    watching.close();
    let revised = replayed?;
    server.check_running()?;

    let part = Part::silent("reading every wallet's history");
    let wallets = proof::wallets(&scene.client, &stage.script).await?;
    part.done();
    let stopped = server.stop()?;
    eprintln!("    the server stopped in {}", seconds(stopped));

    let part = Part::silent("farebox ledger verify, farebox journal verify");
    let verified = proof::verify(farebox, data)?;
    part.done();
    let mut tally = tally.lock();
    let prices = proof::Prices::new(&scene, &revised)?;
    let proof = proof::prove(&stage.script, &tally, &prices, &wallets, &verified);
    Ok(summary::Summary::new(&stage, &mut tally, &prices, proof))
}
