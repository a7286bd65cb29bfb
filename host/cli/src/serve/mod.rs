//! `farebox serve`: from a command line to a server that answers, and back to a folder that is closed.
//!
//! Everything that can refuse comes before the port answers, in the order in which a person would look for the mistake:
//! configuration, port, data folder, store, plans.

mod first_key;
mod log;
mod open_files;
mod signals;
mod welcome;

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use clap::Args;
use farebox_engine::{Config as EngineConfig, Engine, Round, SystemClock};
use serde_json::json;

use crate::cli::{Data, Global};
use crate::data;
use crate::failure::{Exit, Failure};
use crate::output::{Form, Output, say};
use crate::settings::{Settings, Sources};

/// See [`crate::cli::Command::Serve`].
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  farebox serve
  farebox serve --listen 0.0.0.0:8080 --data /var/lib/farebox
  farebox serve --print-config")]
pub struct Serve {
    #[command(flatten)]
    data: Data,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Threads that own wallets [default: one per core]
    #[arg(long, value_name = "NUMBER")]
    lanes: Option<usize>,
    /// Who may read /metrics: readers (keys that may read) or public [default: readers]
    #[arg(long, value_name = "WHO")]
    metrics: Option<String>,
    /// What is logged to standard error: error, warn, info, debug, or by module [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Make one more operator's key and print it, for whoever lost theirs
    #[arg(long)]
    recover_key: bool,
    /// Show every setting and where it comes from, and start nothing
    #[arg(long)]
    print_config: bool,
}

impl Serve {
    /// Runs until it is told to stop.
    pub fn run(&self, global: &Global) -> Result<Output, Failure> {
        let settings = Settings::read(&self.sources(global))?;
        if self.print_config {
            return Ok(settings.print());
        }
        let form = Form::of(global.json);
        log::start(&settings.log)?;
        open_files::raise();
        farebox_server::install_metrics();
        let listener = listen(&settings)?;
        data::make(&settings.data)?;
        let engine = start(&settings, form)?;
        // Nothing was answered up to here, so a failure needed no order; from here on the store is closed in any case.
        let served = self.serve(&engine, listener, &settings, form);
        let stopped = engine.stop();
        served?;
        stopped?;
        tracing::info!("stopped; everything that was answered is on the disk");
        let text = match form {
            Form::Text => "Farebox has stopped.",
            Form::Json => "",
        };
        Ok(Output::new(text, json!({ "event": "stopped" })))
    }

    fn sources(&self, global: &Global) -> Sources {
        self.data
            .flags(Sources::of_process(global.config.clone()))
            .flag("listen", self.listen.as_ref())
            .flag("lanes", self.lanes)
            .flag("metrics", self.metrics.as_ref())
            .flag("log", self.log.as_ref())
    }

    fn serve(
        &self,
        engine: &Engine,
        listener: TcpListener,
        settings: &Settings,
        form: Form,
    ) -> Result<(), Failure> {
        let internal = |what: &str, error: &dyn std::fmt::Display| {
            Failure::new(Exit::Internal, "serve", format!("{what}: {error}"))
        };
        let address = listener
            .local_addr()
            .map_err(|error| internal("the port has no address", &error))?;
        let first = match self.recover_key {
            true => Some(first_key::recovered(engine)?),
            false => first_key::of_first_start(engine)?,
        };
        if first_key::is_locked_out(engine)? {
            tracing::warn!(
                "no admin key of tenant `default` is good any more; start with --recover-key to make one"
            );
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| internal("no threads for connections", &error))?;
        let config = farebox_server::Config {
            metrics: settings.metrics,
        };
        runtime.block_on(async {
            let stop = signals::stop().map_err(|error| internal("signals cannot be heard", &error))?;
            let listener = tokio::net::TcpListener::from_std(listener)
                .map_err(|error| internal("the port cannot be used", &error))?;
            // Only now does a request that arrives get an answer, and a signal an orderly end.
            say(&match form {
                Form::Text => welcome::text(&program(), address, &settings.data, first.as_ref()),
                Form::Json => welcome::json(address, &settings.data, first.as_ref()).to_string(),
            });
            tracing::info!(%address, lanes = settings.lanes, data = %settings.data.display(), "listening");
            if let Err(error) = farebox_server::serve(listener, engine.clone(), config, stop).await {
                // Their callers repeat under the same ids; nothing that was answered is touched by it.
                tracing::warn!(%error, "requests were cut off");
            }
            Ok(())
        })
    }
}

/// Takes the port first: a second server on one machine is the most likely mistake, and it is told at once.
fn listen(settings: &Settings) -> Result<TcpListener, Failure> {
    let address = settings.listen;
    let refused = |error: io::Error| {
        let failure = Failure::new(Exit::Io, "port", format!("cannot listen on {address}: {error}"));
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                failure.hint("another program uses this port; stop it, or choose another with --listen")
            }
            io::ErrorKind::PermissionDenied => {
                failure.hint("ports below 1024 need a privilege; choose a higher one")
            }
            _ => failure.hint("--listen takes an address of this machine, such as 127.0.0.1:8080"),
        }
    };
    let listener = TcpListener::bind(address).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    Ok(listener)
}

/// How this program was called, so that what it proposes can be copied.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "farebox".to_string())
}

fn start(settings: &Settings, form: Form) -> Result<Engine, Failure> {
    let store = data::open(&settings.data, settings.store_options())?;
    let runtime = data::runtime(&settings.data, settings.interpreted_plans)?;
    let config = EngineConfig {
        lanes: settings.lanes,
        round: Round::default(),
        on_failure: Box::new(move |why| fail_stop(why, form)),
    };
    Ok(Engine::start(
        config,
        Arc::new(store),
        runtime,
        Arc::new(SystemClock::default()),
    )?)
}

/// Leaves at once: whatever is in memory can no longer be trusted, and the disk has everything that was answered.
fn fail_stop(why: &str, form: Form) {
    let failure = Failure::new(Exit::Internal, "stopped", format!("Farebox has stopped: {why}")).hint(
        "start it again: it recovers to the last durable answer; repeat what got no answer under the same id",
    );
    let text = match form {
        Form::Text => failure.text(),
        Form::Json => format!("{}\n", failure.json()),
    };
    let _ = io::stderr().write_all(text.as_bytes()); // nobody is left to tell
    std::process::exit(i32::from(Exit::Internal as u8));
}
