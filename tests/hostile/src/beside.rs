//! An honest plan that keeps being served while another one attacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use farebox_runtime::{Revision, Runtime, Verdict};

use crate::{batch, guest};

/// Runs `attack` while another thread evaluates an honest plan in the same runtime; prints what the honest one got
/// done per second before and meanwhile.
///
/// # Errors
/// When the honest plan gets no further, or gets another answer than before.
pub fn beside<R>(name: &str, runtime: &Runtime, attack: impl FnOnce() -> R) -> anyhow::Result<R> {
    let plan = runtime.admit(&guest::hostile("")?)?;
    let honest = runtime.prepare(&plan, "total")?;
    let (stop, evaluated) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let serving = scope.spawn(|| serve(runtime, &honest, &stop, &evaluated));
        thread::sleep(Duration::from_millis(50));
        let before = rate(&evaluated, || thread::sleep(Duration::from_millis(100))).0;
        let (during, result) = rate(&evaluated, || {
            let result = attack();
            // Attacks may end sooner than a batch takes, or than a busy machine gets back to the other thread.
            let (begun, ended) = (evaluated.load(Ordering::Relaxed), Instant::now());
            while evaluated.load(Ordering::Relaxed) == begun && ended.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(5));
            }
            result
        });
        stop.store(true, Ordering::Relaxed);
        let served = serving
            .join()
            .map_err(|_| anyhow::anyhow!("the honest plan's thread panicked"))?;
        println!("{name}: an honest plan priced {before:.0} events/s before, {during:.0} meanwhile");
        anyhow::ensure!(during > 0.0, "{name}: the honest plan made no progress");
        served.map(|()| result)
    })
}

/// Evaluates the same batch over and over, each time with the same answer.
fn serve(
    runtime: &Runtime,
    revision: &Arc<Revision>,
    stop: &AtomicBool,
    evaluated: &AtomicU64,
) -> anyhow::Result<()> {
    let batch = batch(revision, &[&["", "", ""], &["", ""]])?;
    let first = runtime.evaluate(&batch).verdicts;
    anyhow::ensure!(
        first.iter().all(|v| matches!(v, Verdict::Priced(_))),
        "the honest plan has no price: {first:?}"
    );
    while !stop.load(Ordering::Relaxed) {
        anyhow::ensure!(
            runtime.evaluate(&batch).verdicts == first,
            "the honest plan answers differently"
        );
        evaluated.fetch_add(first.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Events per second while `work` runs, and its result.
#[expect(clippy::float_arithmetic, reason = "a rate for people, no money")]
fn rate<R>(evaluated: &AtomicU64, work: impl FnOnce() -> R) -> (f64, R) {
    let (start, count) = (Instant::now(), evaluated.load(Ordering::Relaxed));
    let result = work();
    let done = evaluated.load(Ordering::Relaxed) - count;
    #[expect(clippy::cast_precision_loss, reason = "a count of some seconds")]
    let done = done as f64;
    (done / start.elapsed().as_secs_f64(), result)
}
