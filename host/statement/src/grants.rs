//! What is known of the grants that lines name.

use std::collections::BTreeMap;

use farebox_record::Record;
use farebox_record::command::{Command, DueItem};
use farebox_record::ids::{GrantId, SubscriptionId};
use farebox_record::outcome::Effect;
use farebox_record::plan::Category;

use crate::line::{Cause, Line};

/// Grants, as the records that opened them say.
#[derive(Debug, Default)]
pub(crate) struct Grants(BTreeMap<GrantId, Known>);

#[derive(Debug)]
struct Known {
    sequence: u64,
    label: Option<String>,
    category: Category,
    subscription: Option<SubscriptionId>,
    cause: Cause,
}

impl Grants {
    /// Learns of the grants that a record opens.
    pub fn learn(&mut self, record: &Record) {
        for effect in &record.outcome.effects {
            let Effect::GrantOpened(id, grant) = effect else {
                continue;
            };
            let known = Known {
                sequence: record.sequence,
                label: grant.label.clone(),
                category: grant.category,
                subscription: grant.subscription.clone(),
                cause: cause(&record.command),
            };
            // A name that is used again names the newer grant, in whichever order the records come.
            if self
                .0
                .get(id)
                .is_none_or(|before| before.sequence <= known.sequence)
            {
                self.0.insert(id.clone(), known);
            }
        }
    }

    pub fn knows(&self, grant: &GrantId) -> bool {
        self.0.contains_key(grant)
    }

    /// The line, with what is known of its grant.
    pub fn described(&self, line: &Line) -> Line {
        let mut line = line.clone();
        if let Some(known) = line.grant.as_ref().and_then(|grant| self.0.get(grant)) {
            line.label.clone_from(&known.label);
            line.category = Some(known.category);
            line.subscription.clone_from(&known.subscription);
            line.cause = Some(known.cause);
        }
        line
    }
}

fn cause(command: &Command) -> Cause {
    let due = |item: &DueItem| match item {
        DueItem::Renewal(_) => Cause::Renewal,
        _ => Cause::Timer,
    };
    if let Some((_, missed)) = command.retried() {
        return due(&missed.due.item);
    }
    match command {
        Command::Grant(_) => Cause::Order,
        Command::Subscribe(_) => Cause::Start,
        Command::ChangeSubscription(_) => Cause::Change,
        Command::Due(what) => due(&what.item),
        Command::Void(_) | Command::Amend(_) | Command::Refund(_) => Cause::Correction,
        _ => Cause::Event,
    }
}
