//! What was asked and what was answered: the memory of a caller who trusts nobody.

use std::collections::BTreeMap;

use farebox_engine::limits::ID_WINDOW_DAYS;
use farebox_engine::{Done, Reply};
use farebox_record::command::{Command, Identity};
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::outcome::Answer;
use farebox_record::time::{Span, Timestamp};

use crate::house::SANDBOXES;

/// For how long an id of usage may be used again: not for as long as it is kept, because time passes until a request is
/// carried out.
pub const REMEMBERED: Span = Span::days(35);
const _: () = assert!(REMEMBERED.as_micros() < Span::days(ID_WINDOW_DAYS - 1).as_micros());

/// A wallet of a tenant.
pub type Owner = (TenantId, CustomerId);

/// Something that was asked under an id.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was asked.
    pub command: Command,
    /// When it was asked for first, by the machine's clock: ids age by that in a sandbox too.
    pub asked: Timestamp,
    /// What was answered; none: refused without a trace, or not answered yet.
    pub told: Option<Told>,
    /// Somebody was told that it was carried out just then. Of two who ask at once, either may be, and hear of it second.
    is_made: bool,
    /// Somebody who asked had no answer, because the store stopped.
    was_stopped: bool,
    /// It may have been carried out without anybody having been told: the store stopped meanwhile.
    pub is_open: bool,
}

/// An answer that must never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What the caller was told.
    pub answer: Answer,
    /// When it was carried out.
    pub at: Timestamp,
    /// Its place in the wallet's history.
    pub sequence: u64,
}

/// Why a request was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// For what it does, for the first time or again.
    Plainly,
    /// With other content than the first request under its id, which was answered: a conflict.
    Altered,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Log {
    entries: BTreeMap<(Owner, Identity), Entry>,
    /// Keys of answered requests, in order of their first answer.
    answered: Vec<(Owner, Identity)>,
    /// Up to where all of `answered` was repeated and found right since the last start.
    pub repeated: usize,
    /// Answers that were compared with an earlier one.
    pub compared: u64,
    /// Conflicts that were found.
    pub conflicts: u64,
    /// Requests that were refused without a trace.
    pub refused: u64,
}

impl Log {
    /// Notes that a request is on its way.
    pub fn asked(&mut self, owner: &Owner, command: &Command, now: Timestamp) {
        if let Some(identity) = command.identity() {
            let entry = Entry {
                command: command.clone(),
                asked: now,
                told: None,
                is_made: false,
                was_stopped: false,
                is_open: false,
            };
            self.entries.entry((owner.clone(), identity)).or_insert(entry);
        }
    }

    /// Whether a request may be made again: the id of one that was made before is still known for certain. Ids of usage are
    /// forgotten, but for those of sandboxes, and what comes again after that is new.
    pub fn may_ask(&self, owner: &Owner, command: &Command, now: Timestamp) -> bool {
        let Some(identity) = command.identity() else {
            return true;
        };
        let is_for_good = identity.is_for_good() || SANDBOXES.contains(&owner.0.as_str());
        let entry = self.entries.get(&(owner.clone(), identity));
        is_for_good || entry.is_none_or(|entry| entry.asked >= now.saturating_sub(REMEMBERED))
    }

    /// Judges a reply.
    ///
    /// # Errors
    /// What it breaks.
    pub fn judge(
        &mut self,
        owner: &Owner,
        command: &Command,
        asked: Asked,
        reply: &Reply,
    ) -> Result<(), String> {
        let wrong = |what: &str| {
            Err(format!(
                "{what}: {owner:?} asked {command:?} ({asked:?}) and got {reply:?}"
            ))
        };
        let Some(identity) = command.identity() else {
            return wrong("a command without an id");
        };
        let key = (owner.clone(), identity);
        let Some(entry) = self.entries.get_mut(&key) else {
            return wrong("nobody asked");
        };
        match (asked, reply) {
            (_, Reply::Stopped) => {
                entry.was_stopped = true;
                entry.is_open |= entry.told.is_none();
                Ok(())
            }
            (Asked::Altered, Reply::Conflict { field }) if !field.is_empty() => {
                self.conflicts += 1;
                Ok(())
            }
            (Asked::Altered, _) => wrong("another request under an id that was answered is no conflict"),
            (Asked::Plainly, Reply::Done(done)) => {
                let told = told(done);
                match &entry.told {
                    Some(first) if *first != told => return wrong(&format!("the answer was {first:?}")),
                    Some(_) if !done.replayed && entry.is_made => return wrong("it was carried out twice"),
                    Some(_) => self.compared += 1,
                    None => {
                        entry.told = Some(told);
                        entry.is_open = false;
                        self.answered.push(key);
                    }
                }
                entry.is_made |= !done.replayed;
                Ok(())
            }
            (Asked::Plainly, Reply::Refused(_)) if entry.told.is_none() => {
                entry.is_open = false;
                self.refused += 1;
                Ok(())
            }
            (Asked::Plainly, _) => wrong("an answer became another"),
        }
    }

    /// Checks, once nobody waits for an answer any more, that each answer was the first one for somebody.
    ///
    /// # Errors
    /// The first that everybody was told again.
    pub fn check_made(&self) -> Result<(), String> {
        let mut answered = self.entries.iter().filter(|(_, entry)| entry.told.is_some());
        match answered.find(|(_, entry)| !entry.is_made && !entry.was_stopped) {
            Some(((owner, _), entry)) => {
                Err(format!("{owner:?}: nobody was told of {:?} first", entry.command))
            }
            None => Ok(()),
        }
    }

    /// How many requests were answered.
    pub fn answers(&self) -> usize {
        self.answered.len()
    }

    /// The answered request with this number, in order of first answer.
    pub fn answer(&self, number: usize) -> Option<(&Owner, &Entry)> {
        let key = self.answered.get(number)?;
        self.entries.get(key).map(|entry| (&key.0, entry))
    }

    /// Requests of which nobody knows whether they were carried out.
    pub fn open(&self) -> Vec<(Owner, Command)> {
        let open = self.entries.iter().filter(|(_, entry)| entry.is_open);
        open.map(|((owner, _), entry)| (owner.clone(), entry.command.clone()))
            .collect()
    }

    /// Everything that was asked about a wallet and answered.
    pub fn of<'l>(&'l self, owner: &'l Owner) -> impl Iterator<Item = (&'l Identity, &'l Command, &'l Told)> {
        let of = self.entries.iter().filter(move |((who, _), _)| who == owner);
        of.filter_map(|((_, identity), entry)| Some((identity, &entry.command, entry.told.as_ref()?)))
    }
}

fn told(done: &Done) -> Told {
    Told {
        answer: done.answer.clone(),
        at: done.at,
        sequence: done.sequence,
    }
}
