//! Making, changing and taking away limits.

use std::collections::BTreeMap;

use farebox_money::Nanos;
use farebox_record::command::{DeleteLimit, PutLimit};
use farebox_record::outcome::{Answer, Effect, Outcome};
use farebox_record::plan::EventRef;
use farebox_record::spending::{LimitState, LimitTerms, OnExceed, Threshold, Window};
use farebox_record::state::HoldState;
use farebox_record::time::Timestamp;

use crate::draft::Draft;
use crate::grant::GRANT_NANOS_MAX;
use crate::limits::{
    ROLLING_LENGTH_MAX, ROLLING_STEP_MIN, ROLLING_STEPS_MAX, SCOPE_ATTRIBUTES_MAX, SCOPE_BYTES_MAX,
    SPENDING_LIMITS_PER_WALLET_MAX, THRESHOLD_PERCENT_MAX, THRESHOLDS_PER_LIMIT_MAX,
};
use crate::refusal::{Refusal, too_many};
use crate::spending::count::announce;
use crate::spending::fold::held_of;
use crate::spending::window::{move_on, reached, unused};
use crate::wallet::Wallet;

/// Makes a limit, or changes one. It begins at nothing used, with what matching holds have set aside. A change that
/// leaves asset, scope and window as they were keeps what was used, and announces what that has reached by the new
/// terms and had not by the old ones; any other change begins anew.
pub(crate) fn put_limit(wallet: &mut Wallet, put: &PutLimit, at: Timestamp) -> Result<Outcome, Refusal> {
    check(&put.terms)?;
    let present = wallet.limits.get(&put.name);
    let created = present.is_none();
    if created && wallet.limits.len() >= SPENDING_LIMITS_PER_WALLET_MAX {
        let max = SPENDING_LIMITS_PER_WALLET_MAX;
        return Err(too_many("spending limits", "SPENDING_LIMITS_PER_WALLET_MAX", max));
    }
    let mut state = match present {
        Some(present) if is_same_counter(&present.terms, &put.terms) => changed(present, &put.terms, at),
        _ => LimitState {
            terms: put.terms.clone(),
            since: at,
            used: unused(put.terms.window, at),
            held: Nanos::ZERO,
            crossed: Vec::new(),
            apart: taken_before(wallet, &put.terms),
        },
    };
    let mut draft = Draft::new(wallet, at);
    state.held = held(draft.wallet, &put.terms);
    draft.put(Effect::LimitPut(put.name.clone(), Box::new(state)));
    announce(&mut draft, &put.name, at);
    let kept = draft.wallet.limits.get(&put.name).cloned();
    let limit = Box::new(kept.ok_or(Refusal::UnknownLimit)?);
    Ok(draft.finish(|_| Answer::LimitPut { created, limit }))
}

/// Takes a limit away, and what was counted with it.
pub(crate) fn delete_limit(
    wallet: &mut Wallet,
    delete: &DeleteLimit,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let limit = wallet
        .limits
        .get(&delete.name)
        .cloned()
        .ok_or(Refusal::UnknownLimit)?;
    let mut draft = Draft::new(wallet, at);
    draft.put(Effect::LimitDeleted(delete.name.clone()));
    Ok(draft.finish(|_| Answer::LimitDeleted(Box::new(limit))))
}

/// Whether what one limit counted is what the other would have.
fn is_same_counter(a: &LimitTerms, b: &LimitTerms) -> bool {
    a.asset == b.asset && a.scope == b.scope && a.window == b.window
}

fn changed(present: &LimitState, terms: &LimitTerms, at: Timestamp) -> LimitState {
    let mut state = present.clone();
    move_on(&mut state, at);
    let used = crate::spending::window::used_at(&state, at);
    state
        .crossed
        .retain(|threshold| terms.thresholds.contains(threshold) && reached(*threshold, terms.amount, used));
    state.terms = terms.clone();
    state
}

/// Holds that parts were settled of before a limit begins: of what those took it counts nothing.
fn taken_before(wallet: &Wallet, terms: &LimitTerms) -> BTreeMap<EventRef, Nanos> {
    let took = |hold: &HoldState| hold.taken.iter().any(|slice| slice.asset == terms.asset);
    let holds = wallet.holds.iter();
    holds
        .filter(|(_, hold)| terms.scope.holds(&hold.event.attributes) && took(hold))
        .map(|(event, _)| (event.clone(), Nanos::ZERO))
        .collect()
}

/// What the holds of the wallet have set aside that count towards a limit.
fn held(wallet: &Wallet, terms: &LimitTerms) -> Nanos {
    let matching = wallet
        .holds
        .values()
        .filter(|hold| terms.scope.holds(&hold.event.attributes));
    Nanos::new(matching.map(|hold| held_of(hold, &terms.asset).get()).sum())
}

fn check(terms: &LimitTerms) -> Result<(), Refusal> {
    let amount = |problem| {
        Err(Refusal::Amount {
            field: "amount",
            problem,
        })
    };
    if terms.amount.is_negative() {
        return amount("of a limit must be zero or more");
    }
    if terms.amount.get() > GRANT_NANOS_MAX {
        return amount("is more than 10^18 (limit GRANT_NANOS_MAX)");
    }
    if terms.scope.0.len() > SCOPE_ATTRIBUTES_MAX {
        return Err(too_many(
            "attributes in the scope of a limit",
            "SCOPE_ATTRIBUTES_MAX",
            SCOPE_ATTRIBUTES_MAX,
        ));
    }
    let bytes = terms.scope.0.iter().map(|(name, value)| name.len() + value.len());
    if bytes.sum::<usize>() > SCOPE_BYTES_MAX {
        return Err(too_many(
            "bytes in the scope of a limit",
            "SCOPE_BYTES_MAX",
            SCOPE_BYTES_MAX,
        ));
    }
    check_window(terms.window)?;
    check_thresholds(terms)
}

fn check_window(window: Window) -> Result<(), Refusal> {
    let Window::Rolling { step, steps } = window else {
        return Ok(());
    };
    let refuse = |problem: &str| {
        Err(Refusal::Time {
            field: "window",
            problem: problem.into(),
        })
    };
    if steps == 0 || steps > ROLLING_STEPS_MAX {
        return refuse("must have 1 to 60 steps (limit ROLLING_STEPS_MAX)");
    }
    if step < ROLLING_STEP_MIN {
        return refuse("must have steps of at least a second (limit ROLLING_STEP_MIN)");
    }
    let length = step.as_micros().saturating_mul(i64::from(steps));
    if length > ROLLING_LENGTH_MAX.as_micros() {
        return refuse("must be at most 366 days long (limit ROLLING_LENGTH_MAX)");
    }
    Ok(())
}

fn check_thresholds(terms: &LimitTerms) -> Result<(), Refusal> {
    let thresholds = &terms.thresholds;
    if thresholds.len() > THRESHOLDS_PER_LIMIT_MAX {
        return Err(too_many(
            "thresholds of a limit",
            "THRESHOLDS_PER_LIMIT_MAX",
            THRESHOLDS_PER_LIMIT_MAX,
        ));
    }
    let refuse = |problem| {
        Err(Refusal::Amount {
            field: "thresholds",
            problem,
        })
    };
    for (index, threshold) in thresholds.iter().enumerate() {
        let sensible = match threshold {
            Threshold::Percent(percent) => (1..=THRESHOLD_PERCENT_MAX).contains(percent),
            Threshold::Amount(amount) => amount.is_positive() && amount.get() <= GRANT_NANOS_MAX,
        };
        if !sensible {
            return refuse("must be 1 to 1000 percent, or an amount of more than zero and at most 10^18");
        }
        if thresholds[..index].contains(threshold) {
            return refuse("must not hold the same threshold twice");
        }
    }
    match (terms.on_exceed, thresholds.is_empty()) {
        (OnExceed::Notify, true) => refuse("must hold one at least where the limit only notifies"),
        (OnExceed::Notify | OnExceed::Deny, _) => Ok(()),
    }
}
