//! What a run did, in numbers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::disk::DiskTally;
use crate::log::Log;
use crate::look::LookTally;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations drawn.
    pub operations: u64,
    /// Commands made, by the name of their operation.
    pub by_name: BTreeMap<&'static str, u64>,
    /// Requests answered for the first time.
    pub answers: u64,
    /// Answers given again and compared.
    pub compared: u64,
    /// Conflicts found as they should be.
    pub conflicts: u64,
    /// Requests refused without a trace.
    pub refused: u64,
    /// Wallets shown.
    pub reads: u64,
    /// Times that every wallet was checked against all of its history.
    pub looks: u64,
    /// Starts.
    pub starts: u64,
    /// Ends without order.
    pub crashes: u64,
    /// Ends in order.
    pub stopped: u64,
    /// Times that the machine's clock was set back before a start.
    pub set_back: u64,
    /// Times that the engine stopped by itself because the disk failed.
    pub stops: u64,
    /// What looks found.
    pub looked: LookTally,
    /// What the disk did.
    pub disk: DiskTally,
}

impl Tally {
    /// Adds what a disk did.
    pub fn add_disk(&mut self, disk: DiskTally) {
        self.disk.operations += disk.operations;
        self.disk.syncs += disk.syncs;
        self.disk.faults += disk.faults;
        self.disk.torn += disk.torn;
    }

    /// Adds what callers were told.
    pub fn add_log(&mut self, log: &Log) {
        self.answers += log.answers() as u64;
        self.compared += log.compared;
        self.conflicts += log.conflicts;
        self.refused += log.refused;
    }

    /// Adds what a look of the same episode found.
    pub fn add_looked(&mut self, look: &LookTally) {
        self.looked.news += look.news;
        self.looked.rows += look.rows;
        self.looked.statements += look.statements;
        // Each look sees them all.
        self.looked.proved = look.proved;
        self.looked.taken_over = look.taken_over;
        self.looked.outcomes = look.outcomes;
        self.looked.repriced = look.repriced;
        self.looked.late = look.late;
        self.looked.backfilled = look.backfilled;
        self.looked.advances = look.advances;
        self.looked.thresholds = look.thresholds;
        self.looked.denials = look.denials;
    }

    /// Adds another episode's.
    pub fn add(&mut self, other: &Tally) {
        for (name, count) in &other.by_name {
            *self.by_name.entry(name).or_default() += count;
        }
        for (sum, more) in [
            (&mut self.operations, other.operations),
            (&mut self.answers, other.answers),
            (&mut self.compared, other.compared),
            (&mut self.conflicts, other.conflicts),
            (&mut self.refused, other.refused),
            (&mut self.reads, other.reads),
            (&mut self.looks, other.looks),
            (&mut self.starts, other.starts),
            (&mut self.crashes, other.crashes),
            (&mut self.stopped, other.stopped),
            (&mut self.set_back, other.set_back),
            (&mut self.stops, other.stops),
            (&mut self.looked.news, other.looked.news),
            (&mut self.looked.rows, other.looked.rows),
            (&mut self.looked.statements, other.looked.statements),
            (&mut self.looked.proved, other.looked.proved),
            (&mut self.looked.taken_over, other.looked.taken_over),
            (&mut self.looked.outcomes, other.looked.outcomes),
            (&mut self.looked.repriced, other.looked.repriced),
            (&mut self.looked.late, other.looked.late),
            (&mut self.looked.backfilled, other.looked.backfilled),
            (&mut self.looked.advances, other.looked.advances),
            (&mut self.looked.thresholds, other.looked.thresholds),
            (&mut self.looked.denials, other.looked.denials),
        ] {
            *sum += more;
        }
        self.add_disk(other.disk);
    }

    /// For people.
    pub fn text(&self) -> String {
        let commands: u64 = self.by_name.values().sum();
        format!(
            "{} operations: {commands} commands, {} answers ({} given again and compared), {} conflicts, {} refusals\n\
             {} starts after {} crashes and {} stops in order, {} with a clock set back; \
             the disk failed {} times, the engine stopped {} times for it\n\
             {} disk operations, {} syncs, {} crashes with something unsynced; \
             every wallet checked against its history {} times\n\
             {} answers of plans given again, {} from states that they took over; {} outcomes charged or given back; \
             {} corrections that priced others anew; {} changes answered late; {} events of backfills; {} advances of sandboxes; \
             {} thresholds and {} denials of spending limits; \
             compared were {} items of change feeds, {} rows of usage and {} statements",
            self.operations,
            self.answers,
            self.compared,
            self.conflicts,
            self.refused,
            self.starts,
            self.crashes,
            self.stopped,
            self.set_back,
            self.disk.faults,
            self.stops,
            self.disk.operations,
            self.disk.syncs,
            self.disk.torn,
            self.looks,
            self.looked.proved,
            self.looked.taken_over,
            self.looked.outcomes,
            self.looked.repriced,
            self.looked.late,
            self.looked.backfilled,
            self.looked.advances,
            self.looked.thresholds,
            self.looked.denials,
            self.looked.news,
            self.looked.rows,
            self.looked.statements,
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "operations": self.operations,
            "commands": self.by_name,
            "answers": self.answers,
            "compared": self.compared,
            "conflicts": self.conflicts,
            "refused": self.refused,
            "reads": self.reads,
            "looks": self.looks,
            "starts": self.starts,
            "crashes": self.crashes,
            "stopped_in_order": self.stopped,
            "clock_set_back": self.set_back,
            "engine_stops": self.stops,
            "disk_operations": self.disk.operations,
            "syncs": self.disk.syncs,
            "faults": self.disk.faults,
            "torn": self.disk.torn,
            "proved": self.looked.proved,
            "taken_over": self.looked.taken_over,
            "outcomes": self.looked.outcomes,
            "repriced": self.looked.repriced,
            "late": self.looked.late,
            "backfilled": self.looked.backfilled,
            "advances": self.looked.advances,
            "thresholds": self.looked.thresholds,
            "denials_by_limits": self.looked.denials,
            "news": self.looked.news,
            "usage_rows": self.looked.rows,
            "statements": self.looked.statements,
        })
    }
}
