//! What the engine is asked, and how it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farebox_ledger::{Refusal, Wallet};
use farebox_record::command::Command;
use farebox_record::ids::CustomerId;
use farebox_record::outcome::Answer;
use farebox_record::plan::EventRef;
use farebox_record::time::Timestamp;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::shares::Share;

/// A command or a read of one wallet.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose wallet.
    pub customer: CustomerId,
    /// What to do.
    pub ask: Ask,
}

/// What a wallet is asked.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Change it.
    Command(Box<Command>),
    /// Show it, with everything overdue handled first.
    Read,
    /// Show it, with everything overdue handled first, together with how a hold that is no longer there ended.
    ReadHold(EventRef),
    /// Handle everything overdue, and tell how much that was.
    CatchUp,
}

/// What a request gets, once everything that it shows is durable.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A command was carried out, now or before.
    Done(Done),
    /// The wallet as it is.
    Wallet(Arc<Wallet>),
    /// The wallet as it is, and how the hold that was asked for ended (none: there never was one, or it is open).
    Hold(Arc<Wallet>, Option<farebox_record::outcome::HoldEnd>),
    /// Everything overdue is handled: so many items since the request came.
    CaughtUp(u64),
    /// Another request was made under this id.
    Conflict {
        /// The first field that differs.
        field: String,
    },
    /// Refused without a trace.
    Refused(Refusal),
    /// Nothing was done: what it needs, the record that answers for its id or the event that it is about, is in an archive
    /// that is not at hand.
    Archived,
    /// The engine has stopped. Whether the request was carried out is known after a restart: repeat it then.
    Stopped,
}

/// A command that was carried out.
#[derive(Debug, Clone)]
pub struct Done {
    /// What the caller is told, now and at every retry.
    pub answer: Answer,
    /// Whether it was carried out by an earlier request.
    pub replayed: bool,
    /// When it was carried out.
    pub at: Timestamp,
    /// Its place in the wallet's history.
    pub sequence: u64,
}

/// Why a call was not taken in at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A lane has no room for all of it.
    #[error("the server is busy; nothing was done. Try again (limit LANE_QUEUE_MAX)")]
    Busy,
    /// The tenant has as many commands waiting on a lane as it leaves room for those of others.
    #[error(
        "too much of this tenant waits already; nothing was done. Try again (it may take half of the room that others leave: \
         limit LANE_QUEUE_MAX)"
    )]
    TenantBusy,
    /// More than a call may carry.
    #[error("{count} commands in one call; the limit COMMANDS_PER_CALL_MAX is 10000")]
    TooMany {
        /// How many there were.
        count: usize,
    },
    /// The disk has less room than is kept free for what was taken in. Reads go on.
    #[error(
        "the disk is nearly full ({free_bytes} bytes free, {free_bytes_min} must be); nothing was done. \
         Make room on the server's disk"
    )]
    DiskNearlyFull {
        /// How many bytes are free.
        free_bytes: u64,
        /// How many there must be.
        free_bytes_min: u64,
    },
    /// The engine has stopped.
    #[error("the store has stopped; nothing was done. Restart the server")]
    Stopped,
}

/// Collects the replies of one call, in order, and wakes the caller when the last is there.
#[derive(Debug)]
pub(crate) struct Collector {
    replies: Vec<Mutex<Option<Reply>>>,
    open: AtomicUsize,
    wake: Mutex<Option<oneshot::Sender<()>>>,
}

impl Collector {
    pub fn new(count: usize) -> (Arc<Collector>, oneshot::Receiver<()>) {
        let (wake, woken) = oneshot::channel();
        let collector = Collector {
            replies: (0..count).map(|_| Mutex::default()).collect(),
            open: AtomicUsize::new(count),
            wake: Mutex::new(Some(wake)),
        };
        (Arc::new(collector), woken)
    }

    /// Once for each: by the one [`ReplyTo`] of its index.
    fn set(&self, index: usize, reply: Reply) {
        *self.replies[index].lock() = Some(reply);
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            let wake = self.wake.lock().take();
            if let Some(wake) = wake {
                // Nobody may be listening any more: the caller went away, and the work stands all the same.
                let _ = wake.send(());
            }
        }
    }

    /// Takes the replies out, in order; what never came is [`Reply::Stopped`].
    pub fn take(&self) -> Vec<Reply> {
        let replies = self.replies.iter().map(|reply| reply.lock().take());
        replies.map(|reply| reply.unwrap_or(Reply::Stopped)).collect()
    }
}

/// Where one reply goes. Dropped without a reply, it says that the engine has stopped; either way it gives back the room
/// that was reserved on its lane.
#[derive(Debug)]
pub(crate) struct ReplyTo {
    collector: Arc<Collector>,
    index: usize,
    /// Given back when this is dropped.
    room: Option<Share>,
    sent: bool,
}

impl ReplyTo {
    pub fn new(collector: &Arc<Collector>, index: usize, room: Option<Share>) -> ReplyTo {
        ReplyTo {
            collector: Arc::clone(collector),
            index,
            room,
            sent: false,
        }
    }

    pub fn send(mut self, reply: Reply) {
        self.sent = true;
        self.room = None; // before the caller is woken: its next request finds the room
        self.collector.set(self.index, reply);
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.room = None;
        if !self.sent {
            self.collector.set(self.index, Reply::Stopped);
        }
    }
}
