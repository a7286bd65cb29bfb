//! A command on its way through a lane.

use farebox_record::command::{Command, Due, DueItem, Identity, RateUnpriced, RetryChange, RetryTransition};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::record::{Record, identity_hash};
use farebox_record::state::{UnpricedState, Waiting};
use farebox_store::{IdHash, WalletKey};

use crate::refold::{self, Refolded};
use crate::request::{Reply, ReplyTo};

/// One thing to do for one wallet.
pub(crate) struct Job {
    /// Whose.
    pub wallet: WalletKey,
    /// What.
    pub task: Task,
    /// What it means to events behind the one that it corrects, once that was folded.
    pub folded: Option<Refolded>,
    /// Who waits for it; none for what the host does by itself.
    reply: Option<ReplyTo>,
}

/// What to do.
pub(crate) enum Task {
    /// Change the wallet.
    Command(Box<Command>),
    /// Show it.
    Read,
    /// Show it, and how a hold ended.
    ReadHold(EventRef),
    /// Handle what is overdue, and tell how much that was.
    CatchUp,
}

impl Job {
    pub fn new(wallet: WalletKey, task: Task, reply: ReplyTo) -> Job {
        Job {
            wallet,
            task,
            folded: None,
            reply: Some(reply),
        }
    }

    /// Asks again about what waited for a price.
    pub fn retry(wallet: &WalletKey, sequence: u64, unpriced: UnpricedState) -> Job {
        let command = match unpriced.what {
            Waiting::Event(event) => Command::RateUnpriced(RateUnpriced {
                sequence,
                received: unpriced.received,
                event,
            }),
            Waiting::Transition(missed) => Command::RetryTransition(RetryTransition { sequence, missed }),
            Waiting::Change(missed) => Command::RetryChange(RetryChange { sequence, missed }),
        };
        Job {
            wallet: wallet.clone(),
            task: Task::Command(Box::new(command)),
            folded: None,
            reply: None,
        }
    }

    /// Handles something that fell due.
    pub fn due(wallet: &WalletKey, due: Due) -> Job {
        Job {
            wallet: wallet.clone(),
            task: Task::Command(Box::new(Command::Due(due))),
            folded: None,
            reply: None,
        }
    }

    pub fn command(&self) -> Option<&Command> {
        match &self.task {
            Task::Command(command) => Some(command),
            Task::Read | Task::ReadHold(_) | Task::CatchUp => None,
        }
    }

    /// Whether it must be carried out again if it is lost: what falls due comes up again by itself.
    pub fn is_repeated_when_lost(&self) -> bool {
        !matches!(self.command(), Some(Command::Due(_)))
    }

    /// Whether what waited for a price may have one once this is done.
    pub fn brings_a_plan(&self) -> bool {
        match self.command() {
            Some(Command::Subscribe(_) | Command::ChangeSubscription(_)) => true,
            // A change that was scheduled, or the end of a pause.
            Some(Command::Due(due)) => matches!(due.item, DueItem::Renewal(_)),
            _ => false,
        }
    }

    /// Tells whoever waits.
    pub fn answer(self, reply: Option<Reply>) {
        if let (Some(to), Some(reply)) = (self.reply, reply) {
            to.send(reply);
        }
    }

    /// How large its record may become, roughly: the event stands in the command, and again in a hold or an unpriced
    /// event; the rest is the plan's answer and what the ledger makes of it.
    pub fn record_bytes(&self) -> usize {
        const BESIDES_THE_EVENT: usize = 2 << 10;
        let fields = |event: &Event| {
            let measures: usize = event.measures.keys().map(|name| name.len() + 20).sum();
            let attributes: usize = event
                .attributes
                .iter()
                .map(|(name, text)| name.len() + text.len() + 4)
                .sum();
            measures + attributes
        };
        let event = match self.command() {
            Some(Command::Usage(event)) => fields(event),
            Some(Command::Backfill(backfill)) => fields(&backfill.event),
            Some(Command::Authorize(authorize)) => fields(&authorize.event),
            Some(Command::RateUnpriced(rate)) => fields(&rate.event),
            Some(Command::Amend(amend)) => fields(&amend.event),
            _ => 0,
        };
        let folded = match &self.folded {
            Some(Refolded::Done(fold)) => fold.record_bytes(),
            Some(Refolded::Cannot(_)) | None => 0,
        };
        BESIDES_THE_EVENT + 3 * event + folded
    }

    /// The event that it corrects.
    pub fn corrects(&self) -> Option<EventRef> {
        match self.command()? {
            Command::Void(void) => Some(void.event.clone()),
            Command::Amend(amend) => Some(amend.event.reference()),
            _ => None,
        }
    }

    /// What has to be folded for it, with what is folded already.
    pub fn to_fold(&self, event: &EventRef, begun: Option<Box<refold::Fold>>) -> refold::Ask {
        let replacement = match self.command() {
            Some(Command::Amend(amend)) => Some(amend.event.clone()),
            _ => None,
        };
        refold::Ask {
            wallet: self.wallet.clone(),
            event: event.clone(),
            replacement,
            begun,
        }
    }

    /// The id under which it may have been carried out before.
    pub fn id(&self, tenant: &TenantId, customer: &CustomerId) -> Option<IdHash> {
        let identity = identity_of(self.command()?)?;
        Some(IdHash(identity_hash(tenant, customer, &identity)))
    }
}

/// Under which identity a command may have been carried out before.
fn identity_of(command: &Command) -> Option<Identity> {
    match (command, command.retried()) {
        (_, Some((sequence, _))) => Some(Identity::Retried(sequence)),
        (Command::RateUnpriced(rate), None) => Some(Identity::Rated(rate.event.reference())),
        (command, None) => command.identity(),
    }
}

/// Under which ids a record is found.
pub(crate) fn id_hashes(record: &Record) -> Vec<IdHash> {
    id_hashes_with(record, None)
}

/// The same, where the id of the record's own command ([`Job::id`]) may be known already.
pub(crate) fn id_hashes_with(record: &Record, known: Option<IdHash>) -> Vec<IdHash> {
    let known = known.and_then(|id| Some((identity_of(&record.command)?, id)));
    let hash = |identity| match &known {
        Some((own, id)) if *own == identity => *id,
        _ => IdHash(identity_hash(&record.tenant, &record.customer, &identity)),
    };
    record.identities().into_iter().map(hash).collect()
}

pub(crate) fn tenant_of(key: &WalletKey) -> Option<TenantId> {
    TenantId::new(key.tenant()).ok()
}
