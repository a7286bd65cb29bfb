//! What `cargo xtask bench` runs in release: the disk, a load on a running server, and plans without a server.
//!
//! A crate of its own, so that the automation in `xtask` never compiles the plan runtime, and so that the load
//! generator is optimised: on two cores, a slow client is a slow server. Each command prints one JSON object a
//! line: `{"name": ..., "value": ..., "unit": ...}`; targets are the business of the caller.

mod choices;
mod crossing;
mod disk;
mod events;
mod load;
mod many;
mod measured;
mod plan;
mod wire;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use measured::Measured;
use wire::{Form, Shape, Target};

#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Time of one synced 4 KiB write, and the rate of larger ones.
    Disk {
        /// A folder on the disk.
        folder: PathBuf,
        /// How often.
        #[arg(long, default_value_t = 1000)]
        rounds: u32,
    },
    /// Requests against a server, with one number of connections.
    Load {
        #[command(flatten)]
        server: ServerArgs,
        /// What is sent.
        #[arg(long, value_enum)]
        what: load::What,
        /// Connections, each with one request at a time.
        #[arg(long)]
        connections: usize,
        /// What the measurement is called; else by what is sent, and the connections.
        #[arg(long)]
        name: Option<String>,
    },
    /// Usage events in calls of many.
    Events {
        #[command(flatten)]
        server: ServerArgs,
        /// Connections, each with one call at a time.
        #[arg(long)]
        connections: usize,
        /// Events of one call.
        #[arg(long)]
        batch: usize,
        /// In which form they come.
        #[arg(long, value_enum, default_value_t = Form::Ndjson)]
        form: Form,
        /// Events a second, over all connections, where they are fewer than there could be.
        #[arg(long)]
        rate: Option<NonZero<u32>>,
        /// What the measurement is called.
        #[arg(long)]
        name: String,
    },
    /// What an evaluation costs, in a sandbox and natively.
    Plan {
        /// The built component.
        component: PathBuf,
        /// Its parameters, as a file.
        parameters: PathBuf,
        /// The model of every event.
        #[arg(long)]
        model: String,
    },
    /// What each choice of the sandbox costs.
    Choices {
        /// The built component.
        component: PathBuf,
        /// Its parameters, as a file.
        parameters: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct ServerArgs {
    /// Where it listens.
    #[arg(long)]
    address: SocketAddr,
    /// A key to it.
    #[arg(long, env = "FAREBOX_KEY", hide_env_values = true)]
    key: String,
    /// The customers `<prefix>-000000` and so on are there, and on the plan.
    #[arg(long)]
    prefix: String,
    /// How many of them.
    #[arg(long)]
    customers: u32,
    /// What events say.
    #[arg(long, value_enum, default_value_t = Shape::Llm)]
    shape: Shape,
    /// The model of every event, where it has one.
    #[arg(long, default_value = "")]
    model: String,
    /// Makes the ids of this run its own.
    #[arg(long)]
    run: String,
    /// How long.
    #[arg(long)]
    seconds: u64,
}

impl ServerArgs {
    fn target(&self) -> Target {
        Target {
            address: self.address,
            key: self.key.clone(),
            prefix: self.prefix.clone(),
            customers: self.customers.max(1),
            shape: self.shape,
            model: self.model.clone(),
            run: self.run.clone(),
            time: Duration::from_secs(self.seconds.max(1)),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let all: Vec<Measured> = match Cli::parse().command {
        Command::Disk { folder, rounds } => disk::run(&folder, rounds)?,
        Command::Load {
            server,
            what,
            connections,
            name,
        } => runtime()?.block_on(load::run(&server.target(), what, connections, name.as_deref()))?,
        Command::Events {
            server,
            connections,
            batch,
            form,
            rate,
            name,
        } => {
            let calls = events::Calls {
                connections,
                batch,
                form,
                rate,
            };
            runtime()?.block_on(events::run(&server.target(), calls, &name))?
        }
        Command::Plan {
            component,
            parameters,
            model,
        } => plan::run(&component, &parameters, &model)?,
        Command::Choices {
            component,
            parameters,
        } => choices::run(&component, &parameters)?,
    };
    for measured in all {
        println!("{}", measured.json());
    }
    Ok(())
}

/// One thread: the server needs the others.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?)
}
