//! Starting and ending the threads behind a store.

use std::thread::{self, JoinHandle};

use crate::contract::StoreError;

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map_err(|source| StoreError::Io {
            doing: format!("starting thread {name}"),
            source,
        })
}

/// Waits for a thread. That it panicked was noted by the latch that it held.
pub(crate) fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread
        && thread.join().is_err()
    {
        tracing::error!("a thread of the store panicked");
    }
}
