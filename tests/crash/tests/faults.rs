//! The real binary on a disk that fails: an fsync with EIO, no space left, a short write. It stops, says so, answers nothing
//! that is not durable, and has everything that it answered at the next start.
//!
//! `strace` makes the faults: it needs nothing built into the server, and fails the very system calls that it makes. A short
//! write is the kernel's own: a file that may grow no further (`prlimit`) takes the part that fits. So does a disk that is really
//! full (a small tmpfs, where this machine lets us mount one).

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
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
        Scene::make_as(data, small).await
    }

    async fn make_as(data: &Path, with: impl Fn(Command) -> Command) -> Result<Scene> {
        let server = Server::start_as(with(Command::new(farebox()?)), data)?;
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
        self.recheck_as(data, small).await
    }

    async fn recheck_as(&self, data: &Path, with: impl Fn(Command) -> Command) -> Result<usize> {
        verify(data)?;
        let server = Server::start_as(with(Command::new(farebox()?)), data)?;
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

/// The kernel cuts a write short where a file may grow no further than into the middle of it: some bytes of a frame land, and the
/// others do not. Files may grow up to 8 MiB and 512 bytes; only the journal, whose segments have 16 MiB here, ever gets there.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_short_stops_the_server_and_loses_nothing() -> Result<()> {
    const GROWS_TO: u64 = 8 * 1_024 * 1_024 + 512;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let roomy = |mut command: Command| {
        command.env("FAREBOX_SEGMENT_BYTES", "16777216");
        command
    };
    let scene = Scene::make_as(&data, roomy).await?;
    let said = folder.path().join("stderr");
    // What a process does with SIGXFSZ it has from its parent: here nothing, so that the write itself tells.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(farebox()?)
        .stderr(Stdio::from(File::create(&said)?));
    let server = Server::start_as(roomy(command), &data)?;
    wait_for_segments(&data, 2)?;
    let limited = Command::new("prlimit")
        .args([format!("--pid={}", server.id()), format!("--fsize={GROWS_TO}")])
        .status()?;
    ensure!(limited.success(), "prlimit ended with {limited}");
    scene.load(&server.url.clone()).await?;
    let code = server.ended()?;
    let said = std::fs::read_to_string(said)?;
    ensure!(code == Some(STOPPED), "it ended with {code:?} and said {said}");
    for part in ["Farebox has stopped", "start it again"] {
        ensure!(said.contains(part), "nothing of {part:?} in {said}");
    }
    let (written, of, at) = short_write(&said).with_context(|| format!("no short write in {said}"))?;
    ensure!(written > 0 && written < of, "{written} of {of} is no part");
    ensure!(
        at + written == GROWS_TO,
        "{written} at {at} is not up to {GROWS_TO}"
    );
    let answers = scene.recheck_as(&data, roomy).await?;
    println!("{answers} answers, all there");
    ensure!(answers > 200, "only {answers} answers");
    Ok(())
}

/// How many bytes of how many were written, and where.
fn short_write(said: &str) -> Option<(u64, u64, u64)> {
    let number = |text: &str| {
        let digits = text.split(|c: char| !c.is_ascii_digit());
        digits.into_iter().next()?.parse().ok()
    };
    let (_, written) = said.split_once("only ")?;
    let (_, of) = written.split_once(" of ")?;
    let (_, at) = of.split_once(" were written at ")?;
    Some((number(written)?, number(of)?, number(at)?))
}

/// Waits until so many segments are prepared: the one that is written to, and the next.
fn wait_for_segments(data: &Path, count: usize) -> Result<()> {
    for _ in 0..1_000 {
        let files = std::fs::read_dir(data.join("journal"))?;
        let names = files.map(|file| Ok(file?.file_name().to_string_lossy().into_owned()));
        let names = names.collect::<Result<Vec<String>>>()?;
        if names.iter().filter(|name| name.ends_with(".journal")).count() >= count {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("the next segment was not prepared")
}

/// A disk of 24 MiB, most of which is the plan, its compiled form and sled.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = Mounted::tmpfs(folder.path(), "24m")? else {
        // To the terminal itself: what a test that passes prints is swallowed.
        writeln!(
            std::io::stderr(),
            "a_disk_that_is_full_loses_nothing: SKIPPED, this machine lets nobody mount a tmpfs; the faults that strace \
             injects are tested all the same"
        )?;
        return Ok(());
    };
    let data = folder.path().join("data");
    let scene = Scene::make(&data).await?;
    let said = tempfile::NamedTempFile::new()?;
    let mut command = small(Command::new(farebox()?));
    command.stderr(Stdio::from(said.reopen()?));
    let mut server = Server::start_as(command, &data)?;
    scene.load(&server.url.clone()).await?;
    // Whoever sees the end coming may refuse and go on; whoever does not stops. What was kept in memory of the state until then
    // needs room too, and where there is none for it, the end is the same: the journal has it.
    let refused = server.is_running()? && refuses_early(&server, &scene.key).await;
    let code = match refused {
        true => server.stopped()?,
        false => server.ended()?,
    };
    let said = std::fs::read_to_string(said.path())?;
    println!("refused before the disk was full: {refused}; ended with {code:?}");
    let stopped = code == Some(STOPPED) && said.contains("has stopped") && said.contains("os error 28");
    ensure!(
        stopped || (refused && code == Some(0)),
        "it ended with {code:?} and said {said}"
    );
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
