//! From a command to its outcome.

use farebox_record::command::{Command, Due, DueItem, PutCustomer};
use farebox_record::event::Event;
use farebox_record::ids::{CustomerId, Hash, TenantId};
use farebox_record::outcome::{Answer, Effect, Outcome, Seen};
use farebox_record::record::Record;
use farebox_record::state::{Customer, Shortfall};
use farebox_record::time::Timestamp;

use crate::adjust;
use crate::change::change_subscription;
use crate::correct;
use crate::draft::Draft;
use crate::grant::{activate_grant, expire_grant, open_grant};
use crate::hold;
use crate::limits;
use crate::refusal::{Refusal, too_many};
use crate::renewal::renew;
use crate::retry::retry;
use crate::settle;
use crate::spending;
use crate::subscription::start_subscription;
use crate::term::remember_term;
use crate::timer::wake;
use crate::usage::{charge_usage, rate_unpriced};
use crate::wallet::Wallet;

/// Decides `command` and carries it out, all of it or nothing.
///
/// `at` is the store's time and never before the wallet's newest record. Everything on the wallet's agenda up to the
/// command's time has been handled before, by commands of its own.
pub fn apply(wallet: &mut Wallet, command: &Command, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
    if wallet.header.customer.is_none() && !matches!(command, Command::PutCustomer(_)) {
        return Err(Refusal::UnknownCustomer);
    }
    match command {
        Command::PutCustomer(put) => put_customer(wallet, put, at),
        Command::Grant(grant) => open_grant(wallet, grant, at),
        Command::Subscribe(subscribe) => start_subscription(wallet, subscribe, seen, at),
        Command::Usage(event) => {
            check_event_time(event.time, at)?;
            charge_usage(wallet, event, seen, at)
        }
        Command::Backfill(backfill) => {
            check_backfill_time(&backfill.event, at)?;
            charge_usage(wallet, &backfill.event, seen, at)
        }
        Command::RememberTerm(remember) => remember_term(wallet, remember, at),
        Command::RateUnpriced(rate) => rate_unpriced(wallet, rate, seen, at),
        Command::Authorize(authorize) => {
            check_event_time(authorize.event.time, at)?;
            hold::authorize(wallet, authorize, seen, at)
        }
        Command::Settle(settle) => settle::settle(wallet, settle, seen, at),
        Command::Extend(extend) => hold::extend(wallet, extend, seen, at),
        Command::Release(release) => hold::release(wallet, release, seen, at),
        Command::Due(due) => handle_due(wallet, due, seen, at),
        Command::RetryTransition(_) | Command::RetryChange(_) => retry(wallet, command, seen, at),
        Command::ChangeSubscription(change) => change_subscription(wallet, change, seen, at),
        Command::Adjust(adjust) => adjust::adjust(wallet, adjust, at),
        Command::Pay(pay) => adjust::pay(wallet, pay, at),
        Command::Refund(refund) => correct::refund(wallet, refund, seen, at),
        Command::Void(void) => correct::void(wallet, void, seen, at),
        Command::Amend(amend) => {
            // Without a time of its own it happened when the event that it replaces did.
            let original = seen.original.as_deref();
            let happened = amend
                .event
                .time
                .or(original.map(|original| original.standing.time));
            check_event_time(happened, at)?;
            correct::amend(wallet, amend, seen, at)
        }
        Command::PutLimit(put) => spending::put_limit(wallet, put, at),
        Command::DeleteLimit(delete) => spending::delete_limit(wallet, delete, at),
    }
}

/// Decides `command` and makes its record: the wallet is one record further. The bytes are what is kept and hashed.
pub fn append(
    wallet: &mut Wallet,
    tenant: &TenantId,
    customer: &CustomerId,
    command: Command,
    seen: Seen,
    at: Timestamp,
) -> Result<(Record, Vec<u8>), Refusal> {
    assert!(at >= wallet.header.at, "the store's time stepped back");
    let outcome = apply(wallet, &command, &seen, at)?;
    let record = Record {
        tenant: tenant.clone(),
        customer: customer.clone(),
        sequence: wallet.header.sequence + 1,
        previous: wallet.header.chain,
        at,
        command,
        seen,
        outcome,
    };
    let bytes = record.encode();
    wallet.seal(Hash::of(&bytes), &record);
    Ok((record, bytes))
}

fn put_customer(wallet: &mut Wallet, put: &PutCustomer, at: Timestamp) -> Result<Outcome, Refusal> {
    let created = wallet.header.customer.as_ref().map(|c| c.created);
    if put.shortfall.len() > limits::ASSETS_PER_WALLET_MAX {
        return Err(too_many(
            "assets",
            "ASSETS_PER_WALLET_MAX",
            limits::ASSETS_PER_WALLET_MAX,
        ));
    }
    let negative =
        |shortfall: &Shortfall| matches!(shortfall, Shortfall::Floor(floor) if floor.is_negative());
    if put.shortfall.values().any(negative) {
        return Err(Refusal::Amount {
            field: "shortfall",
            problem: "must allow a debt of zero or more",
        });
    }
    let customer = Customer {
        name: put.name.clone(),
        created: created.unwrap_or(at),
        shortfall: put.shortfall.clone(),
    };
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::CustomerPut(customer));
    Ok(draft.finish(|_| Answer::Customer {
        created: created.is_none(),
    }))
}

fn handle_due(wallet: &mut Wallet, due: &Due, seen: &Seen, at: Timestamp) -> Result<Outcome, Refusal> {
    let listed = wallet
        .next_due()
        .is_some_and(|(instant, item)| *instant == due.instant && *item == due.item);
    if !listed || due.instant > at {
        return Err(Refusal::NotDue);
    }
    match &due.item {
        DueItem::HoldExpiry(hold) => hold::expire(wallet, hold, seen, at),
        DueItem::GrantExpiry(id) => Ok(expire_grant(wallet, id, at)),
        DueItem::GrantEffective(id) => Ok(activate_grant(wallet, id, at)),
        DueItem::Renewal(id) => renew(wallet, id, due, seen, at),
        DueItem::Timer {
            subscription,
            key,
            about,
        } => wake(wallet, subscription, key, about.as_deref(), due, seen, at),
    }
}

/// Older than what usage may be: what is not comes as usage, under an id that is looked up as such.
fn check_backfill_time(event: &Event, at: Timestamp) -> Result<(), Refusal> {
    let problem = match event.time {
        None => "must be said of an event of a backfill".to_string(),
        Some(time) if time >= at.saturating_sub(limits::LATE_WINDOW) => {
            format!("{time} is within the last 35 days (limit LATE_WINDOW); send it as usage")
        }
        Some(_) => return Ok(()),
    };
    Err(Refusal::Time {
        field: "time",
        problem,
    })
}

/// Not in the future, and not so old that its id may be forgotten.
fn check_event_time(time: Option<Timestamp>, at: Timestamp) -> Result<(), Refusal> {
    let Some(time) = time else { return Ok(()) };
    if time > at.saturating_add(limits::EVENT_AHEAD_MAX) {
        let problem = format!(
            "{time} is more than 5 minutes ahead of the server's clock, {at} (limit EVENT_AHEAD_MAX)"
        );
        return Err(Refusal::Time {
            field: "time",
            problem,
        });
    }
    if time < at.saturating_sub(limits::LATE_WINDOW) {
        let problem = format!("{time} is more than 35 days ago (limit LATE_WINDOW); use a backfill");
        return Err(Refusal::Time {
            field: "time",
            problem,
        });
    }
    Ok(())
}
