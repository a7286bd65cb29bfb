//! The change feed as server-sent events.
//!
//! Behind each stream is a task that reads pages and hands them on one by one; it waits where the client does not read, and
//! reads on when the feed has grown. It ends when the client goes away, when the key is revoked, and when the server shuts
//! down: the connection is then closed in order, and the client comes back with the last `id` that it saw.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use farebox_engine::projection::FeedQuery;
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::auth::Caller;
use crate::cursor;
use crate::limits::{CHANGES_KEEP_ALIVE_INTERVAL, CHANGES_STREAM_INTERVAL, PAGE_MAX};
use crate::problem::Problem;
use crate::routes::changes::page;
use crate::server::Server;
use crate::streams::Permit;
use crate::wire::change::ChangePage;

type Sent = Result<Event, Infallible>;

/// Opens a stream, or says why not.
pub(super) fn open(server: Server, caller: Caller, query: FeedQuery) -> Result<Response, Problem> {
    let permit = server.streams().open(&caller.tenant)?;
    // A page fits, so that reading the next one and sending this one overlap.
    let (sender, receiver) = mpsc::channel(PAGE_MAX);
    tokio::spawn(pump(server, caller, query, sender, permit));
    let alive = KeepAlive::new().interval(CHANGES_KEEP_ALIVE_INTERVAL);
    Ok(Sse::new(Events(receiver)).keep_alive(alive).into_response())
}

/// What the task behind a stream hands on.
struct Events(mpsc::Receiver<Sent>);

impl Stream for Events {
    type Item = Sent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Sent>> {
        self.0.poll_recv(context)
    }
}

async fn pump(server: Server, caller: Caller, query: FeedQuery, sender: mpsc::Sender<Sent>, permit: Permit) {
    let mut closing = server.streams().closing();
    tokio::select! {
        ended = feed(&server, &caller, query, &sender) => if let Err(problem) = ended {
            let event = Event::default().event("problem").data(problem.document().to_string());
            let _ = sender.send(Ok(event)).await; // gone: nobody is left to tell
        },
        () = closing.closed() => {}
        () = sender.closed() => {}
    }
    drop(permit);
}

/// Hands the feed on, page by page, for as long as the key is good.
async fn feed(
    server: &Server,
    caller: &Caller,
    mut query: FeedQuery,
    sender: &mpsc::Sender<Sent>,
) -> Result<(), Problem> {
    query.limit = PAGE_MAX;
    let mut grown = server.engine().watch_projections();
    while server.is_good(caller) {
        let ChangePage { changes, next, more } = page(server, caller, query.clone()).await?;
        for change in &changes {
            let data = serde_json::to_string(change).unwrap_or_default();
            let event = Event::default().id(&change.cursor).data(data);
            if sender.send(Ok(event)).await.is_err() {
                return Ok(());
            }
        }
        query.after = Some(cursor::feed_place("after", &next)?);
        if !more {
            // The timer is for the key: one that was revoked must not wait for the next change.
            let _ = tokio::time::timeout(CHANGES_KEEP_ALIVE_INTERVAL, grown.more()).await;
            tokio::time::sleep(CHANGES_STREAM_INTERVAL).await; // what comes together is read together
        }
    }
    Ok(())
}
