//! The real binary on a disk that fails: an fsync with EIO, no space left, a short write. It stops, says so, answers nothing
//! that is not durable, and has everything that it answered at the next start.
//!
//! `strace` makes the faults: it needs nothing built into the server, and fails the very system calls that it makes. On a
//! disk that is really full (a small tmpfs, where this machine lets us mount one) the kernel itself cuts a write short.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use farebox_crash::{Log, Mounted, load, recheck_all, verify};
use farebox_spine::{Client, PRICES, Server, farebox};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

const CUSTOMERS: [&str; 2] = ["ada", "ben"];
const STREAMS: usize = 4;
/// What `farebox serve` ends with when its store has stopped; see `farebox serve --help`.
const STOPPED: i32 = 70;
/// Time in which load must have met a fault.
const PATIENCE: Duration = Duration::from_secs(120);

/// Segments that fit on a small disk too.
const SEGMENT_BYTES: &str = "1048576";
/// Two segments: the least that a server accepts.
const DISK_FREE_BYTES_MIN: &str = "2097152";

/// A folder with customers on a plan, and what was answered about them.
struct Scene {
    key: String,
    log: Arc<Mutex<Log>>,
    counter: Arc<AtomicU64>,
}

impl Scene {
    async fn make(data: &Path) -> Result<Scene> {
        let server = Server::start_as(small(Command::new(farebox()?)), data)?;
        let key = server.admin_key.clone().context("a key")?;
        let client = Client::new(&server.url, &key);
        client.push_plan(PRICES).await?;
        for customer in CUSTOMERS {
            client.customer(customer, "0.2").await?; // runs dry under load: denials are answers too
        }
        server.stop()?;
        Ok(Scene {
            key,
            log: Arc::default(),
            counter: Arc::default(),
        })
    }

    /// Calls until the server gives no answers any more.
    async fn load(&self, url: &str) -> Result<()> {
        let client = Client::new(url, &self.key);
        let mut streams = JoinSet::new();
        for stream in 0..STREAMS {
            let (log, counter) = (Arc::clone(&self.log), Arc::clone(&self.counter));
            let random = SmallRng::seed_from_u64(stream as u64);
            let customer = CUSTOMERS[stream % CUSTOMERS.len()];
            streams.spawn(load(client.clone(), log, counter, customer, random));
        }
        let ended = tokio::time::timeout(PATIENCE, streams.join_all()).await;
        ensure!(ended.is_ok(), "the fault was never met");
        Ok(())
    }

    /// Starts without any fault: everything that was answered is there, and is answered again as it was.
    async fn recheck(&self, data: &Path) -> Result<usize> {
        verify(data)?;
        let server = Server::start_as(small(Command::new(farebox()?)), data)?;
        recheck_all(&Client::new(&server.url, &self.key), &self.log).await?;
        server.stop()?;
        verify(data)?;
        Ok(self.log.lock().await.len())
    }
}

fn small(mut command: Command) -> Command {
    command.env("FAREBOX_SEGMENT_BYTES", SEGMENT_BYTES);
    // What a server of this size keeps free; the usual 256 MiB are more than the whole disk.
    command.env("FAREBOX_DISK_FREE_BYTES_MIN", DISK_FREE_BYTES_MIN);
    command
}

/// Runs under load while `strace` injects, and checks that the server stops as it should and has lost nothing.
async fn check(inject: &str, says: &str, answers_min: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let scene = Scene::make(&data).await?;
    let said = folder.path().join("stderr");
    let mut strace = Command::new("strace");
    strace
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=fdatasync,pwrite64",
            "-e",
            &format!("inject={inject}"),
            "-o",
            "/dev/null",
        ])
        .arg(farebox()?)
        .stderr(Stdio::from(File::create(&said)?));
    let server = Server::start_as(small(strace), &data)?;
    scene.load(&server.url.clone()).await?;
    let code = server.ended()?;
    let said = std::fs::read_to_string(said)?;
    ensure!(
        code == Some(STOPPED),
        "{inject}: it ended with {code:?} and said {said}"
    );
    // What happened, and what to do.
    for part in ["Farebox has stopped", says, "start it again", "same id"] {
        ensure!(said.contains(part), "{inject}: nothing of {part:?} in {said}");
    }
    let answers = scene.recheck(&data).await?;
    println!("{inject}: {answers} answers, all there");
    ensure!(
        answers >= answers_min,
        "{inject}: only {answers} answers: the fault struck too early to mean anything"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_fdatasync_that_fails_stops_the_server_and_loses_nothing() -> Result<()> {
    // Also where it would succeed if it were tried again: the pages may be gone all the same.
    check("fdatasync:error=EIO:when=40", "os error 5", 20).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_space_stops_the_server_and_loses_nothing() -> Result<()> {
    check("pwrite64:error=ENOSPC:when=60+", "os error 28", 10).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_short_stops_the_server_and_loses_nothing() -> Result<()> {
    // Only 512 bytes are said to be written: less than any frame has.
    check("pwrite64:retval=512:when=60+", "has stopped", 10).await
}

/// A disk of 24 MiB, most of which is the plan, its compiled form and sled.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = Mounted::tmpfs(folder.path(), "24m")? else {
        println!(
            "skipped: this machine lets nobody mount a tmpfs; the faults that strace injects are tested all the same"
        );
        return Ok(());
    };
    let data = folder.path().join("data");
    let scene = Scene::make(&data).await?;
    let said = tempfile::NamedTempFile::new()?;
    let mut command = small(Command::new(farebox()?));
    command.stderr(Stdio::from(said.reopen()?));
    let mut server = Server::start_as(command, &data)?;
    scene.load(&server.url.clone()).await?;
    // Whoever sees the end coming may refuse and go on; whoever does not stops.
    let stopped = match server.is_running()? && refuses_early(&server, &scene.key).await {
        true => {
            println!("it refused before the disk was full");
            server.stop()?;
            None
        }
        false => server.ended()?,
    };
    let said = std::fs::read_to_string(said.path())?;
    if let Some(code) = stopped {
        println!("it stopped when the disk was full");
        ensure!(
            code == STOPPED && said.contains("Farebox has stopped"),
            "it ended with {code} and said {said}"
        );
    }
    disk.grow("96m")?;
    let answers = scene.recheck(&data).await?;
    println!("{answers} answers, all there");
    ensure!(answers > 200, "only {answers} answers filled the disk");
    Ok(())
}

/// Whether it is still there to say no.
async fn refuses_early(server: &Server, key: &str) -> bool {
    let client = Client::new(&server.url, key);
    let answer = client.authorize(CUSTOMERS[0], "one-more", 1_000, 0).await;
    answer.is_ok_and(|answer| answer.body["code"] == "disk_nearly_full")
}
