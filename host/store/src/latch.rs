//! Fail-stop: after the first failed write nothing is accepted any more, and the first reason is the one that is told.
//!
//! A sync that failed is never tried again: the kernel may have dropped the pages and report success the second time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::contract::StoreError;

/// Open until something fails or the store is closed; then shut for ever.
#[derive(Debug, Default)]
pub(crate) struct Latch {
    failure: OnceLock<String>,
    is_closed: AtomicBool,
}

impl Latch {
    /// The error of the first failure, if there was one; or that the store is closed.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.check_failure()?;
        match self.is_closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(StoreError::Stopped {
                reason: "it was closed".into(),
            }),
        }
    }

    /// The error of the first failure, if there was one: what fails while a store closes is told as well.
    pub(crate) fn check_failure(&self) -> Result<(), StoreError> {
        match self.failure.get() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Stopped {
                reason: reason.clone(),
            }),
        }
    }

    /// Stops the store; the answer is the error to give (of the first failure, if this is not the first).
    pub(crate) fn stop(&self, reason: String) -> StoreError {
        if self.failure.set(reason.clone()).is_ok() {
            tracing::error!(reason, "the store has stopped");
        }
        StoreError::Stopped {
            reason: self.failure.get().cloned().unwrap_or(reason),
        }
    }

    /// Closes the store: nothing more is accepted, and nobody must act.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// Stops the store if the thread that holds this ends by a panic.
    pub(crate) fn guard(&self, thread: &'static str) -> PanicGuard<'_> {
        PanicGuard { latch: self, thread }
    }
}

/// See [`Latch::guard`].
pub(crate) struct PanicGuard<'a> {
    latch: &'a Latch,
    thread: &'static str,
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.latch.stop(format!("the {} panicked", self.thread));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let latch = Latch::default();
        latch.check().unwrap();
        assert!(latch.stop("first".into()).to_string().contains("first"));
        assert!(latch.stop("second".into()).to_string().contains("first"));
        latch.close();
        assert!(latch.check().unwrap_err().to_string().contains("first"));
    }

    #[test]
    fn what_fails_while_the_store_closes_is_told() {
        let latch = Latch::default();
        latch.close();
        assert!(latch.check().unwrap_err().to_string().contains("closed"));
        latch.check_failure().unwrap();
        assert!(latch.stop("no room".into()).to_string().contains("no room"));
        assert!(latch.check().unwrap_err().to_string().contains("no room"));
        assert!(latch.check_failure().is_err());
    }
}
