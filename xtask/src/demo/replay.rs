//! Sends the script: each request at its time, each in a task of its own, and the new prices in between.

use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::PLAN;
use super::play::Player;
use super::revise::revised;
use super::screen::Watching;
use super::setup::{Scene, Stage};
use super::tally::SharedTally;
use crate::client::Revision;

/// Requests that are on the wire at once, and so connections.
const CONNECTIONS_MAX: usize = 64;
/// Requests that fail before the replay gives up: the rest would tell nothing new.
const FAILURES_MAX: u64 = 100;

/// The price list that came into force midway.
#[derive(Debug)]
pub struct Revised {
    /// Which revision it made.
    pub revision: Revision,
    /// Its text.
    pub parameters: String,
}

/// Sends everything, waits until everything is over. An error means that the replay did not get to its end.
pub async fn run(
    stage: &Stage,
    scene: &Scene,
    tally: &Arc<SharedTally>,
    watching: &Watching,
) -> anyhow::Result<Revised> {
    let player = Arc::new(Player {
        client: scene.client.clone(),
        script: Arc::clone(&stage.script),
        tally: Arc::clone(tally),
        permits: Semaphore::new(CONNECTIONS_MAX),
        pace: stage.pace,
    });
    let turns = &stage.script.turns;
    let midway = turns.len() / 2;
    let mut tasks = JoinSet::new();
    let mut revision = None;
    let started = Instant::now();
    tally.lock().started = started;
    for (index, turn) in turns.iter().enumerate() {
        if index == midway {
            revision = Some(tokio::spawn(revise(scene_parts(scene))));
        }
        let due = started + stage.pace.wall_at(turn.at_us);
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = watching.interrupted() => bail!("interrupted"),
        }
        if tally.lock().failed > FAILURES_MAX {
            break;
        }
        let player = Arc::clone(&player);
        tasks.spawn(async move { player.play(index).await });
        while tasks.try_join_next().is_some() {}
    }
    let drain = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = drain => {}
        () = watching.interrupted() => bail!("interrupted"),
    }
    match revision {
        Some(task) => task.await?,
        None => bail!("too many requests failed before the new prices came"),
    }
}

fn scene_parts(scene: &Scene) -> (crate::client::Client, String, String) {
    (
        scene.client.clone(),
        scene.component.clone(),
        scene.first_parameters.clone(),
    )
}

async fn revise(
    (client, component, parameters): (crate::client::Client, String, String),
) -> anyhow::Result<Revised> {
    let parameters = revised(&parameters)?;
    let revision = client.push_revision(PLAN, &component, &parameters).await?;
    Ok(Revised { revision, parameters })
}
