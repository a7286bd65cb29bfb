//! Being told to stop. Once: finish what was taken in. Twice: leave at once, which loses nothing that was answered.

use std::future::Future;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Exit code of a program that a second signal ended, as shells count it.
const SECOND_SIGNAL: i32 = 130;

/// Ends at the first SIGINT or SIGTERM; a second one ends the process.
///
/// # Errors
/// Where the operating system does not tell about signals.
pub fn stop() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping: what was taken in is answered first; a second signal leaves at once");
        tokio::spawn(async move {
            either(&mut interrupt, &mut terminate).await;
            tracing::warn!("left at once; the next start goes on from the last durable answer");
            std::process::exit(SECOND_SIGNAL);
        });
    })
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
