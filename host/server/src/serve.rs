//! Connections: how many, how long, and how they end.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use farebox_engine::Engine;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::limits::{
    CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_TIMEOUT, HEADERS_MAX, METRICS_UPKEEP_INTERVAL, SHUTDOWN_TIMEOUT,
    STREAMS_PER_CONNECTION_MAX,
};
use crate::server::Server;
use crate::watch;

/// Rest after the operating system had no connection to give (out of file descriptors): trying at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server did not end as it should.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Requests were still in work when the time for shutting down was over. They were cut off.
    #[error(
        "{connections} connections were cut off: they did not finish within 35 s (limit SHUTDOWN_TIMEOUT)"
    )]
    Unfinished {
        /// How many.
        connections: usize,
    },
}

/// Answers requests until `shutdown` completes; then accepts no more, lets those in work finish within
/// [`SHUTDOWN_TIMEOUT`], and returns. Stopping the engine is the caller's next step.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    config: Config,
    shutdown: impl Future,
) -> Result<(), ServeError> {
    Server::new(engine, config).serve(listener, shutdown).await
}

impl Server {
    /// See [`serve`].
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future) -> Result<(), ServeError> {
        let upkeep = tokio::spawn(async {
            loop {
                tokio::time::sleep(METRICS_UPKEEP_INTERVAL).await;
                watch::upkeep();
            }
        });
        let shutdown = async {
            shutdown.await;
            self.streams().close(); // they would go on for ever
        };
        let ended = accept_until(listener, self.router(), shutdown).await;
        upkeep.abort();
        ended
    }
}

async fn accept_until(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future,
) -> Result<(), ServeError> {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let (stream, permit) = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            _ = &mut shutdown => break,
        };
        connections.spawn(converse(stream, router.clone(), graceful.watcher(), permit));
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.try_join_next().is_some() {}
    tracing::info!(
        connections = connections.len(),
        "no more connections; finishing what is in work"
    );
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful.shutdown())
        .await
        .is_ok()
    {
        return Ok(());
    }
    while connections.try_join_next().is_some() {}
    match connections.len() {
        0 => Ok(()),
        unfinished => Err(ServeError::Unfinished {
            connections: unfinished,
        }),
    }
}

/// The next connection, as soon as there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        let accepted: std::io::Result<(TcpStream, SocketAddr)> = listener.accept().await;
        match accepted {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection, HTTP/1 or HTTP/2.
async fn converse(stream: TcpStream, router: Router, watcher: Watcher, permit: Option<OwnedSemaphorePermit>) {
    // Small answers must not wait for more to send; without it they only come later.
    let _ = stream.set_nodelay(true);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD_TIMEOUT)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    let connection = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}
