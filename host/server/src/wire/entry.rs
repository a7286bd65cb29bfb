//! A wallet's history, line by line, each line with what it came from.

use farebox_engine::Given;
use farebox_ledger::timer_of;
use farebox_money::Asset;
use farebox_record::Record;
use farebox_record::command::{Command, Due, DueItem};
use farebox_record::correction::{RefundTarget, Standing};
use farebox_record::event::Event;
use farebox_record::outcome::{Account, Answer, Effect, Entry};
use farebox_record::plan::EventRef;
use serde::Serialize;
use utoipa::ToSchema;

use crate::refusal;
use crate::wire::amount::Amount;
use crate::wire::balance::LineView;
use crate::wire::correction::{StandingView, shown};
use crate::wire::event::RevisionView;
use crate::wire::measures::{Attributes, Measures};
use crate::wire::time::Time;

/// A posting to one account of a wallet. Those of one record sum to zero per asset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Entry)]
pub struct EntryView {
    /// The record that it is part of: its place in the wallet's history.
    pub sequence: u64,
    /// When it was posted.
    pub at: Time,
    /// When what it is about happened, as far as pricing goes.
    pub time: Time,
    /// What was done: `usage`, `authorize`, `settle`, `grant`, `hold_expired`, ...
    #[schema(example = "usage")]
    pub kind: &'static str,
    /// The charge that it pays: the plan's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// `available` and `held` (of a grant), `debt`, `receivable`; the others are their counterparts: `revenue`, `breakage`,
    /// `purchases`, `promotional`, `included`, `adjustments`.
    #[schema(example = "available")]
    pub account: &'static str,
    /// Whose `available` or `held`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// In which asset.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// How much; positive: to the customer's good.
    pub amount: Amount,
    /// The event that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRefView>,
    /// The revision that priced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
    /// The subscription whose plan priced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Why, in the words of whoever put something right: the reason of an adjustment, a refund or a void, the label of a
    /// payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Identifies an event of a customer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventRef)]
pub struct EventRefView {
    /// Where it came from.
    pub source: String,
    /// Its id there.
    pub id: String,
}

impl EventRefView {
    /// As it is kept.
    pub fn new(event: &EventRef) -> EventRefView {
        EventRefView {
            source: event.source.to_string(),
            id: event.id.to_string(),
        }
    }
}

/// A page of a wallet's entries, newest record first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EntryPage)]
pub struct EntryPage {
    /// The entries; those of one record in the order in which they were posted.
    pub entries: Vec<EntryView>,
    /// Give it as `cursor` for what is older; not there: nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// `true` where older entries are in an archive that the server does not read: the list ends here, the history does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub archived: bool,
}

/// Every entry of a record.
pub(crate) fn entries(record: &Record) -> impl Iterator<Item = EntryView> + '_ {
    record.outcome.effects.iter().filter_map(|effect| match effect {
        Effect::Entry(entry) => Some(view(record, entry)),
        _ => None,
    })
}

fn view(record: &Record, entry: &Entry) -> EntryView {
    let (account, grant) = account(&entry.account);
    let pricing = record.seen.pricing.as_ref();
    EntryView {
        sequence: record.sequence,
        at: Time(record.at),
        time: Time(record.seen.time),
        kind: kind(&record.command),
        code: entry
            .charge
            .and_then(|charge| record.charge_code(charge))
            .map(str::to_string),
        account,
        grant,
        asset: entry.asset.clone(),
        amount: Amount(entry.amount),
        event: event_of(&record.command).as_ref().map(EventRefView::new),
        revision: pricing.map(|pricing| pricing.revision.into()),
        subscription: pricing.map(|pricing| pricing.subscription.to_string()),
        reason: reason(&record.command),
    }
}

fn reason(command: &Command) -> Option<String> {
    match command {
        Command::Adjust(adjust) => Some(adjust.reason.clone()),
        Command::Pay(pay) => pay.label.clone(),
        Command::Refund(refund) => Some(refund.reason.clone()),
        Command::Void(void) => void.reason.clone(),
        _ => None,
    }
}

fn account(account: &Account) -> (&'static str, Option<String>) {
    match account {
        Account::Available(grant) => ("available", Some(grant.to_string())),
        Account::Held(grant) => ("held", Some(grant.to_string())),
        Account::Debt => ("debt", None),
        Account::Receivable => ("receivable", None),
        Account::Revenue => ("revenue", None),
        Account::Breakage => ("breakage", None),
        Account::Purchases => ("purchases", None),
        Account::Promotional => ("promotional", None),
        Account::Included => ("included", None),
        Account::Adjustments => ("adjustments", None),
    }
}

fn kind(command: &Command) -> &'static str {
    match command {
        Command::PutCustomer(_) => "customer",
        Command::Grant(_) => "grant",
        Command::Subscribe(_) => "subscribe",
        Command::Authorize(_) => "authorize",
        Command::Settle(_) => "settle",
        Command::Extend(_) => "extend",
        Command::Release(_) => "release",
        Command::Usage(_) => "usage",
        Command::Backfill(_) => "backfill",
        Command::RememberTerm(_) => "term_remembered",
        Command::RateUnpriced(_) => "usage_rated",
        Command::RetryTransition(_) | Command::RetryChange(_) => "transition_retried",
        Command::ChangeSubscription(_) => "subscription_changed",
        Command::Adjust(_) => "adjustment",
        Command::Pay(_) => "payment",
        Command::Refund(_) => "refund",
        Command::Void(_) => "void",
        Command::Amend(_) => "amend",
        Command::PutLimit(_) => "limit",
        Command::DeleteLimit(_) => "limit_deleted",
        Command::Due(due) => match &due.item {
            DueItem::HoldExpiry(_) => "hold_expired",
            DueItem::Timer { .. } => "timer",
            DueItem::Renewal(_) => "renewal",
            DueItem::GrantExpiry(_) => "grant_expired",
            DueItem::GrantEffective(_) => "grant_effective",
        },
    }
}

/// The event that a command is about.
pub(crate) fn event_of(command: &Command) -> Option<EventRef> {
    let reference = match command {
        Command::Authorize(authorize) => authorize.event.reference(),
        Command::Usage(event) => event.reference(),
        Command::Backfill(backfill) => backfill.event.reference(),
        Command::RateUnpriced(rate) => rate.event.reference(),
        Command::Settle(settle) => settle.hold.clone(),
        Command::Extend(extend) => extend.hold.clone(),
        Command::Release(release) => release.hold.clone(),
        Command::Due(Due {
            item: DueItem::HoldExpiry(hold),
            ..
        }) => hold.clone(),
        Command::Due(_) | Command::RetryTransition(_) | Command::RetryChange(_) => {
            timer_of(command)?.event.clone()?
        }
        Command::Void(void) => void.event.clone(),
        Command::Amend(amend) => amend.event.reference(),
        Command::Refund(refund) => match &refund.target {
            RefundTarget::Event { event, .. } => event.clone(),
            RefundTarget::Grant { .. } => return None,
        },
        Command::PutCustomer(_)
        | Command::RememberTerm(_)
        | Command::Grant(_)
        | Command::Subscribe(_)
        | Command::PutLimit(_)
        | Command::DeleteLimit(_)
        | Command::ChangeSubscription(_)
        | Command::Adjust(_)
        | Command::Pay(_) => return None,
    };
    Some(reference)
}

/// An event as it was received, every record that it led to, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventHistory)]
pub struct EventView {
    /// Its id.
    pub id: String,
    /// Where it came from.
    pub source: String,
    /// Whose.
    pub customer: String,
    /// What kind of usage it is.
    pub r#type: String,
    /// When it happened, where its sender said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// When it was received.
    pub received_at: Time,
    /// What was used; of an authorize, the maximums.
    #[schema(value_type = Measures)]
    pub measures: std::collections::BTreeMap<String, Amount>,
    /// What it was used for.
    #[schema(value_type = Attributes)]
    pub attributes: std::collections::BTreeMap<String, String>,
    /// How it stands after all corrections. Not there while nothing was charged for it and nothing waits to be: it was
    /// denied, or its hold is open or was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingView>,
    /// What was done with it, oldest first: how it was received, how its hold ended or how it was priced later, how it was
    /// corrected, and which other events gave back of it, or were corrected so that it costs something else. Settlements in
    /// part stand in the wallet's entries; so does what lies further back than the newest 2000 records of the wallet.
    pub records: Vec<EventRecordView>,
}

/// Something that was done with an event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventRecord)]
pub struct EventRecordView {
    /// Its place in the wallet's history.
    pub sequence: u64,
    /// When.
    pub at: Time,
    /// What: `usage`, `authorize`, `settle`, `release`, `hold_expired`, `usage_rated`, `refund`, `void`, `amend`.
    #[schema(example = "usage")]
    pub kind: &'static str,
    /// The event that this was done with, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<EventRefView>,
    /// What came of it: `charged`, `unpriced`, `allowed`, `denied`, `settled`, `released`, `expired`,
    /// `corrected`.
    #[schema(example = "charged")]
    pub answer: &'static str,
    /// Why, for `unpriced` and `denied`: the code of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it costs, as a whole.
    pub charges: Vec<LineView>,
    /// The revision that priced it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<RevisionView>,
    /// Why, in the words of whoever corrected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was posted.
    pub entries: Vec<EntryView>,
}

impl EventView {
    /// `records`: oldest first; the first received the event.
    pub fn new(
        event: &Event,
        records: &[Record],
        standing: Option<&Standing>,
        given: &Given,
    ) -> Option<EventView> {
        let reference = event.reference();
        let first = records.first()?;
        Some(EventView {
            id: event.id.to_string(),
            source: event.source.to_string(),
            customer: first.customer.to_string(),
            r#type: event.event_type.to_string(),
            time: event.time.map(Time),
            received_at: Time(first.at),
            measures: shown(&event.measures),
            attributes: (&event.attributes).into(),
            standing: standing.map(|standing| StandingView::new(standing, given)),
            records: records
                .iter()
                .map(|record| EventRecordView::new(record, &reference))
                .collect(),
        })
    }
}

impl EventRecordView {
    fn new(record: &Record, shown: &EventRef) -> EventRecordView {
        let about = event_of(&record.command).filter(|event| event != shown);
        let mut view = EventRecordView {
            sequence: record.sequence,
            at: Time(record.at),
            kind: kind(&record.command),
            event: about.as_ref().map(EventRefView::new),
            answer: "handled",
            code: None,
            detail: None,
            charges: Vec::new(),
            revision: record
                .seen
                .pricing
                .as_ref()
                .map(|pricing| pricing.revision.into()),
            reason: reason(&record.command),
            entries: entries(record).collect(),
        };
        match &record.outcome.answer {
            Answer::Charged { charges, .. } => {
                view.answer = "charged";
                view.charges = LineView::list(charges);
            }
            Answer::Unpriced(reason) => {
                let (code, detail) = crate::routes::events::unpriced(reason);
                (view.answer, view.code, view.detail) = ("unpriced", Some(code.as_str()), Some(detail));
            }
            Answer::Allowed(allowed) => {
                view.answer = "allowed";
                view.charges = LineView::list(&allowed.quote);
            }
            Answer::Denied(denied) => {
                let problem = refusal::denied(denied, false);
                view.answer = "denied";
                view.code = Some(problem.code().as_str());
                view.detail = Some(problem.detail().to_string());
            }
            Answer::Settled(settled) => {
                view.answer = "settled";
                view.charges = LineView::list(&settled.charges);
            }
            Answer::HoldEnded { end, .. } => view.answer = refusal::hold_end(*end),
            Answer::Corrected(corrected) => {
                view.answer = "corrected";
                view.charges = LineView::list(&corrected.charges);
            }
            Answer::Refolded(refolded) => {
                view.answer = "corrected";
                view.charges = LineView::list(&refolded.corrected.charges);
            }
            Answer::Customer { .. }
            | Answer::SubscriptionChanged(_)
            | Answer::Adjusted { .. }
            | Answer::Paid { .. }
            | Answer::Granted { .. }
            | Answer::Subscribed { .. }
            | Answer::Extended { .. }
            | Answer::LimitPut { .. }
            | Answer::LimitDeleted(_)
            | Answer::Handled => {}
        }
        view
    }
}
