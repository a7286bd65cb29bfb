//! Waking the committer ahead of a shipment, so that it is awake when that comes.
//!
//! A sleeping thread takes tens of microseconds to wake up, about as long as a lane takes for one command. So a lane that begins
//! a round of few commands rings: the committer wakes up while the round is made, looks out for it for a moment, and rests again
//! where nothing comes. Where it does not rest nothing is rung: a bell is one atomic that is read.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::committer::Shipment;
use crate::limits::BELL_PATIENCE;

/// Tells whether the committer rests. See the module.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    resting: AtomicBool,
}

impl Bell {
    /// Wakes the committer that takes from this queue, where it rests.
    pub fn ring(&self, queue: &Sender<Shipment>) {
        if self.resting.load(Ordering::Relaxed) && self.resting.swap(false, Ordering::Relaxed) {
            let _ = queue.send(Shipment::Soon); // gone: there will be no work either
        }
    }

    /// The next shipment of a queue, which is none that only announces one; none once every sender is gone.
    pub fn next(&self, queue: &Receiver<Shipment>) -> Option<Shipment> {
        let mut next = queue.try_recv().ok();
        loop {
            match next {
                Some(Shipment::Soon) => next = watched(queue, BELL_PATIENCE),
                Some(shipment) => return Some(shipment),
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
fn watched(queue: &Receiver<Shipment>, patience: Duration) -> Option<Shipment> {
    let begun = Instant::now();
    loop {
        match queue.try_recv() {
            Ok(shipment) => return Some(shipment),
            Err(_) if begun.elapsed() > patience => return None,
            Err(_) => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use farebox_record::command::{Command, PutCustomer};
    use farebox_record::ids::CallId;
    use farebox_record::time::Timestamp;
    use farebox_runtime::Runtime;
    use farebox_store::{MemoryStore, WalletKey};

    use super::*;
    use crate::clock::ManualClock;
    use crate::crew::Crew;
    use crate::engine::Config;
    use crate::lane::{Job, Message, Task};
    use crate::limits::BELL_COMMANDS_MAX;
    use crate::request::{Collector, ReplyTo};

    /// Of a lane, by whose number it is known again.
    fn shipment(lane: usize) -> Shipment {
        Shipment::Lane {
            lane,
            flights: Vec::new(),
        }
    }

    fn lane(shipment: &Shipment) -> Option<usize> {
        match shipment {
            Shipment::Lane { lane, .. } => Some(*lane),
            Shipment::Control { .. } | Shipment::Soon => None,
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
            sender.send(shipment(1)).unwrap();
            assert_eq!(works.join().unwrap().as_ref().and_then(lane), Some(1));
        });
    }

    #[test]
    fn rings_among_the_work_change_nothing() {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let bell = Bell::default();
        let soon = || Shipment::Soon;
        for shipment in [soon(), shipment(1), soon(), soon(), shipment(2)] {
            sender.send(shipment).unwrap();
        }
        drop(sender);
        let taken: Vec<_> = std::iter::from_fn(|| bell.next(&receiver)).collect();
        assert_eq!(taken.iter().map(lane).collect::<Vec<_>>(), [Some(1), Some(2)]);
    }

    /// Whether a lane rings for a resting committer that takes in so many commands, and so many reads.
    fn is_rung_for(commands: usize, reads: usize) -> bool {
        let store = Arc::new(MemoryStore::new());
        let runtime = Runtime::new(farebox_runtime::Config::default()).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
        let (crew, _committer) = Crew::gather(Config::default(), store, runtime, clock).unwrap();
        crew.bell.resting.store(true, Ordering::Relaxed);
        let wallet = WalletKey::new("default", "acme");
        let command = |n: usize| {
            let named = PutCustomer {
                id: CallId::new(&format!("put-{n}")).unwrap(),
                name: None,
                shortfall: BTreeMap::new(),
            };
            Task::Command(Box::new(Command::PutCustomer(named)))
        };
        let tasks = (0..commands).map(command).chain((0..reads).map(|_| Task::Read));
        let (collector, _woken) = Collector::new(commands + reads);
        let jobs = tasks
            .enumerate()
            .map(|(index, task)| Job::new(wallet.clone(), task, ReplyTo::new(&collector, index, None)));
        let (mut lane, inbox) = crew.lanes.into_iter().next().unwrap();
        lane.drain(Message::Jobs(jobs.collect()), &inbox);
        matches!(crew.shipments.try_recv(), Ok(Shipment::Soon))
    }

    #[test]
    fn a_lane_rings_for_a_few_commands() {
        assert!(is_rung_for(1, 0) && is_rung_for(BELL_COMMANDS_MAX, 30));
        assert!(
            !is_rung_for(BELL_COMMANDS_MAX + 1, 0),
            "they take longer than anybody looks out"
        );
        assert!(!is_rung_for(0, 1), "what is only read is shipped to nobody");
    }
}
