//! How far the projections are, for those who wait for them.

use farebox_record::time::Timestamp;
use farebox_store::Position;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;

/// Told by the projector.
#[derive(Debug)]
pub(crate) struct Status {
    reached: watch::Sender<Reached>,
    /// Held while rows change, and by who reads many of them that must belong together.
    rows: RwLock<()>,
}

/// A place, and when the newest record before it was made.
#[derive(Debug, Clone, Copy, Default)]
struct Reached {
    position: Position,
    at: Timestamp,
}

impl Status {
    pub(crate) fn new() -> Status {
        Status {
            reached: watch::Sender::new(Reached::default()),
            rows: RwLock::new(()),
        }
    }

    /// Rows may change until this is dropped.
    pub(crate) fn changing(&self) -> RwLockWriteGuard<'_, ()> {
        self.rows.write()
    }

    /// No row changes until this is dropped: for milliseconds, since the projector waits.
    pub(crate) fn at_rest(&self) -> RwLockReadGuard<'_, ()> {
        self.rows.read()
    }

    pub(crate) fn reached(&self, position: Position, at: Option<Timestamp>) {
        self.reached.send_if_modified(|known| {
            let further = position > known.position;
            known.position = position.max(known.position);
            known.at = at.unwrap_or(known.at).max(known.at);
            further
        });
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(self.reached.subscribe())
    }
}

/// Sees how far the change feed and the usage have followed the records.
#[derive(Debug, Clone)]
pub struct Watch(watch::Receiver<Reached>);

impl Watch {
    /// Waits until everything up to `position` is in them. Never returns once the engine has stopped before that: bound it.
    pub async fn until(&mut self, position: Position) {
        if self
            .0
            .wait_for(|reached| reached.position >= position)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }

    /// How far they are: when the newest record was made that this process put in them (the epoch: none yet), and where.
    pub fn reached(&self) -> (Timestamp, Position) {
        let reached = *self.0.borrow();
        (reached.at, reached.position)
    }

    /// Waits until more is in them than when this was last called. Never returns once the engine has stopped.
    pub async fn more(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
