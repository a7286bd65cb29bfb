//! Waking a thread ahead of its work, so that it is awake when the work comes.
//!
//! A sleeping thread takes tens of microseconds to wake up, about as long as a lane takes for one command. So whoever begins
//! what will be work for a thread that rests rings its bell: it wakes up while the work is being made, looks out for it for a
//! moment, and rests again where nothing comes. Where nobody rests nothing is rung: a bell is one atomic that is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::limits::BELL_PATIENCE;

/// What a thread takes from its queue, and the ring of its bell among it.
pub(crate) trait Rings {
    /// Wakes the thread, and is no work.
    fn ring() -> Self;
    /// Whether this is a ring.
    fn is_ring(&self) -> bool;
}

/// Tells whether the thread behind a queue rests. See the module.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    resting: AtomicBool,
}

impl Bell {
    /// Wakes the thread that takes from this queue, where it rests.
    pub fn ring<T: Rings>(&self, queue: &Sender<T>) {
        if self.resting.load(Ordering::Relaxed) && self.resting.swap(false, Ordering::Relaxed) {
            let _ = queue.send(T::ring()); // gone: there will be no work either
        }
    }

    /// The next work of a queue; none once every sender is gone.
    pub fn next<T: Rings>(&self, queue: &Receiver<T>) -> Option<T> {
        let mut next = queue.try_recv().ok();
        loop {
            match next {
                Some(work) if !work.is_ring() => return Some(work),
                Some(_) => next = watched(queue, BELL_PATIENCE),
                None => {
                    self.resting.store(true, Ordering::Relaxed);
                    let woken = queue.recv();
                    self.resting.store(false, Ordering::Relaxed);
                    next = Some(woken.ok()?);
                }
            }
        }
    }
}

/// What comes within so long. Whoever else wants the processor has it meanwhile.
fn watched<T>(queue: &Receiver<T>, patience: Duration) -> Option<T> {
    let begun = Instant::now();
    loop {
        match queue.try_recv() {
            Ok(work) => return Some(work),
            Err(_) if begun.elapsed() > patience => return None,
            Err(_) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    enum Thing {
        Work(u8),
        Ring,
    }

    impl Rings for Thing {
        fn ring() -> Thing {
            Thing::Ring
        }

        fn is_ring(&self) -> bool {
            *self == Thing::Ring
        }
    }

    #[test]
    fn a_ring_wakes_who_rests_and_is_no_work() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let bell = Bell::default();
        bell.ring(&sender);
        assert!(receiver.is_empty(), "nobody rests");
        std::thread::scope(|scope| {
            let sender = sender; // goes with whatever fails here, so that nobody waits for ever
            let works = scope.spawn(|| bell.next(&receiver));
            while !bell.resting.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            bell.ring(&sender);
            // It wakes up without any work, and rests again: only who is awake says that it rests.
            while !bell.resting.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            assert!(receiver.is_empty(), "the ring was taken");
            sender.send(Thing::Work(1)).unwrap();
            assert_eq!(works.join().unwrap(), Some(Thing::Work(1)));
        });
    }

    #[test]
    fn rings_among_the_work_change_nothing() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let bell = Bell::default();
        for thing in [
            Thing::Ring,
            Thing::Work(1),
            Thing::Ring,
            Thing::Ring,
            Thing::Work(2),
        ] {
            sender.send(thing).unwrap();
        }
        drop(sender);
        let taken: Vec<_> = std::iter::from_fn(|| bell.next(&receiver)).collect();
        assert_eq!(taken, [Thing::Work(1), Thing::Work(2)]);
    }
}
