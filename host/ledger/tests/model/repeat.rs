//! Requests that come twice: the same one gets the same answer; another one under the same id is a conflict that names
//! what differs. Neither leaves a trace.

use farebox_ledger::{Retry, compare};
use farebox_money::Nanos;
use farebox_record::Record;
use farebox_record::command::{
    AboveHold, Authorize, AuthorizeMode, Backfill, Command, Extend, Finality, Grant, PutCustomer, PutLimit,
    Settle, Subscribe,
};
use farebox_record::correction::{Adjust, AdjustTarget, Amend, Pay, Refund, RefundTarget, Void};
use farebox_record::event::Event;
use farebox_record::ids::{CallId, EventType, PlanName};
use farebox_record::lifecycle::{ChangeSubscription, Proration, SubscriptionChange, When};
use farebox_record::state::Shortfall;
use farebox_record::time::Timestamp;
use proptest::prelude::*;

use crate::books::Books;
use crate::world::World;
use crate::world::make::asset;

/// The record that answers for the id of an earlier request, as it was stored; none where there is no such request.
fn first(world: &World, books: &Books, which: usize) -> Option<(Command, Record)> {
    let asked: Vec<&Record> = world
        .records
        .iter()
        .filter(|r| r.command.identity().is_some())
        .collect();
    let command = asked.get(which.checked_rem(asked.len())?)?.command.clone();
    let place = *books.answered.get(&command.identity()?)?;
    let stored = world.records[place].encode();
    Some((command, Record::decode(&stored).unwrap()))
}

/// The same request again.
pub fn again(world: &World, books: &Books, which: usize) -> Result<(), TestCaseError> {
    let Some((command, record)) = first(world, books, which) else {
        return Ok(());
    };
    let same = Retry::Same(record.outcome.answer.clone());
    prop_assert_eq!(compare(&command, &record), same, "{:?} again", command);
    Ok(())
}

/// Another request under the same id.
pub fn conflict(world: &World, books: &Books, which: usize, how: usize) -> Result<(), TestCaseError> {
    let Some((command, record)) = first(world, books, which) else {
        return Ok(());
    };
    let others = others(&command);
    let Some((other, field)) = how.checked_rem(others.len()).map(|index| &others[index]) else {
        return Ok(());
    };
    prop_assert_eq!(other.identity(), command.identity());
    let field = field.to_string();
    prop_assert_eq!(compare(other, &record), Retry::Conflict { field }, "{:?}", other);
    Ok(())
}

type Other = (Command, &'static str);

/// Requests that differ in one field, and the field.
fn others(command: &Command) -> Vec<Other> {
    let changed = |change: &dyn Fn(&mut Command), field| {
        let mut other = command.clone();
        change(&mut other);
        (other, field)
    };
    macro_rules! other {
        ($kind:ident, $field:literal, $change:expr) => {
            changed(
                &|command| {
                    if let Command::$kind(it) = command {
                        $change(it);
                    }
                },
                $field,
            )
        };
    }
    match command {
        Command::PutCustomer(_) => vec![
            other!(PutCustomer, "name", |it: &mut PutCustomer| it.name =
                Some("new".into())),
            other!(PutCustomer, "shortfall.w", |it: &mut PutCustomer| {
                it.shortfall.insert(asset("w"), Shortfall::Unlimited);
            }),
        ],
        Command::Grant(_) => vec![
            other!(Grant, "asset", |it: &mut Grant| it.asset = asset("w")),
            other!(Grant, "amount", |it: &mut Grant| more(&mut it.amount)),
            other!(Grant, "priority", |it: &mut Grant| it.priority += 1),
            other!(Grant, "expires_at", |it: &mut Grant| {
                it.expires = Some(Timestamp::EPOCH)
            }),
        ],
        Command::Subscribe(_) => vec![
            other!(Subscribe, "plan", |it: &mut Subscribe| it.plan =
                PlanName::new("w").unwrap()),
            other!(Subscribe, "above_hold", |it: &mut Subscribe| it.above_hold =
                another(it.above_hold)),
            other!(Subscribe, "seats", |it: &mut Subscribe| it.seats += 1),
            other!(Subscribe, "anchor", |it: &mut Subscribe| it.anchor =
                Some(Timestamp::EPOCH)),
        ],
        Command::Authorize(first) => vec![
            other!(Authorize, "type", |it: &mut Authorize| retype(&mut it.event)),
            other!(
                Authorize,
                "settle",
                |it: &mut Authorize| it.mode = match it.mode {
                    AuthorizeMode::Hold => AuthorizeMode::Settle,
                    AuthorizeMode::Settle => AuthorizeMode::Hold,
                }
            ),
            (Command::Usage(first.event.clone()), "the kind of request"),
        ],
        Command::Backfill(_) => vec![
            other!(Backfill, "type", |it: &mut Backfill| retype(&mut it.event)),
            other!(Backfill, "backfill", |it: &mut Backfill| {
                it.backfill = CallId::new("w").unwrap();
            }),
        ],
        // The host's own: no caller repeats it.
        Command::RememberTerm(_) => Vec::new(),
        Command::Usage(_) => vec![
            other!(Usage, "type", retype),
            other!(Usage, "attributes.w", |it: &mut Event| {
                it.attributes.insert("w".into(), "1".into());
            }),
            other!(Usage, "measures.w", |it: &mut Event| {
                it.measures.insert("w".into(), Nanos::ZERO);
            }),
        ],
        Command::Settle(_) => vec![
            other!(
                Settle,
                "final",
                |it: &mut Settle| it.finality = match it.finality {
                    Finality::Final => Finality::Partial,
                    Finality::Partial => Finality::Final,
                }
            ),
            other!(Settle, "above_hold", |it: &mut Settle| it.above =
                another(it.above)),
        ],
        Command::Extend(_) => vec![other!(Extend, "measures.w", |it: &mut Extend| {
            it.measures.insert("w".into(), Nanos::ZERO);
        })],
        Command::ChangeSubscription(first) => {
            let mut others = vec![
                other!(ChangeSubscription, "when", |it: &mut ChangeSubscription| it
                    .when = match it.when {
                    When::Now => When::PeriodEnd,
                    When::PeriodEnd => When::Now,
                }),
                other!(ChangeSubscription, "prorate", |it: &mut ChangeSubscription| it
                    .proration =
                    match it.proration {
                        Proration::Prorate => Proration::None,
                        Proration::None => Proration::Prorate,
                    }),
            ];
            if first.change != SubscriptionChange::Seats(99) {
                others.push(other!(
                    ChangeSubscription,
                    "seats",
                    |it: &mut ChangeSubscription| it.change = SubscriptionChange::Seats(99)
                ));
            }
            others
        }
        Command::Adjust(_) => vec![
            other!(Adjust, "asset", |it: &mut Adjust| it.asset = asset("w")),
            other!(Adjust, "amount", |it: &mut Adjust| { more(&mut it.amount) }),
            other!(Adjust, "target", |it: &mut Adjust| it.target = match it.target {
                AdjustTarget::Balance => AdjustTarget::Debt,
                AdjustTarget::Debt | AdjustTarget::Receivable => AdjustTarget::Balance,
            }),
            other!(Adjust, "reason", |it: &mut Adjust| { it.reason = "other".into() }),
        ],
        Command::Pay(_) => vec![
            other!(Pay, "asset", |it: &mut Pay| it.asset = asset("w")),
            other!(Pay, "amount", |it: &mut Pay| more(&mut it.amount)),
            other!(Pay, "label", |it: &mut Pay| it.label = Some("other".into())),
        ],
        Command::Refund(_) => vec![other!(Refund, "amount", |it: &mut Refund| match &mut it.target {
            RefundTarget::Event { amount, .. } => *amount = Some((asset("w"), Nanos::ZERO)),
            RefundTarget::Grant { amount, .. } => *amount = Some(Nanos::new(-7)),
        })],
        Command::Void(_) => vec![other!(Void, "reason", |it: &mut Void| it.reason = Some("other".into()))],
        Command::Amend(_) => vec![other!(Amend, "type", |it: &mut Amend| retype(&mut it.event))],
        Command::PutLimit(_) => vec![other!(PutLimit, "amount", |it: &mut PutLimit| more(
            &mut it.terms.amount
        ))],
        Command::Release(_)
        | Command::DeleteLimit(_)
        | Command::RateUnpriced(_)
        | Command::RetryTransition(_)
        | Command::RetryChange(_)
        | Command::Due(_) => Vec::new(),
    }
}

fn another(above: AboveHold) -> AboveHold {
    match above {
        AboveHold::Deny => AboveHold::AllowDebt,
        AboveHold::AllowDebt | AboveHold::ChargeAvailable | AboveHold::AsSubscribed => AboveHold::Deny,
    }
}

fn more(amount: &mut Nanos) {
    *amount = Nanos::new(amount.get() + 1);
}

fn retype(event: &mut Event) {
    event.event_type = EventType::new("other").unwrap();
}
