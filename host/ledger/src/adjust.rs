//! Adjustments, payments of receivables, and bought value that goes back to the customer.

use farebox_money::{Asset, Nanos};
use farebox_record::correction::{Adjust, AdjustTarget, Pay};
use farebox_record::event::Attributes;
use farebox_record::ids::GrantId;
use farebox_record::outcome::{Account, Answer, Corrected, Outcome};
use farebox_record::plan::Category;
use farebox_record::state::GrantPhase;
use farebox_record::time::Timestamp;

use crate::credit::totals;
use crate::draft::Draft;
use crate::funds::{Funds, Purpose};
use crate::owed::{Owed, note_write_off};
use crate::refusal::Refusal;
use crate::wallet::Wallet;

/// Takes value away, or writes off what is owed. Value is put in by a grant, which says what kind of value it is.
pub(crate) fn adjust(wallet: &mut Wallet, adjust: &Adjust, at: Timestamp) -> Result<Outcome, Refusal> {
    check_amount(adjust.amount)?;
    let asset = &adjust.asset;
    let mut postings: Vec<(Account, Nanos)> = Vec::new();
    let mut written_off = None;
    match adjust.target {
        AdjustTarget::Balance => {
            // No code and no attributes: a grant that pays for certain usage only is left alone.
            let purpose = Purpose {
                code: "",
                attributes: &Attributes::EMPTY,
            };
            let draws = Funds::of(wallet).draw(asset, purpose, adjust.amount);
            let free = Nanos::new(draws.iter().map(|drawn| drawn.amount.get()).sum());
            check_at_most(adjust.amount, free, "is more than is free")?;
            let taken = draws
                .into_iter()
                .map(|drawn| (Account::Available(drawn.grant), Nanos::new(-drawn.amount.get())));
            postings.extend(taken);
            postings.push((Account::Adjustments, adjust.amount));
        }
        AdjustTarget::Debt => {
            let owed = Nanos::new(-totals(wallet, asset).debt.get());
            check_at_most(adjust.amount, owed, "is more than the debt")?;
            written_off = Some(Owed::Debt);
            postings.push((Account::Debt, adjust.amount));
            postings.push((Account::Adjustments, Nanos::new(-adjust.amount.get())));
        }
        AdjustTarget::Receivable => {
            let owed = Nanos::new(-totals(wallet, asset).receivable.get());
            check_at_most(adjust.amount, owed, "is more than the receivable")?;
            written_off = Some(Owed::Receivable);
            postings.push((Account::Receivable, adjust.amount));
            postings.push((Account::Adjustments, Nanos::new(-adjust.amount.get())));
        }
    }
    let mut draft = Draft::new(wallet, at);
    for (account, amount) in postings {
        draft.post(account, asset, amount, None);
    }
    if let Some(what) = written_off {
        note_write_off(&mut draft, what, asset, adjust.amount, at);
    }
    Ok(draft.finish(|wallet| Answer::Adjusted {
        balances: wallet.balances(),
    }))
}

/// The customer paid fees that were on its statement.
pub(crate) fn pay(wallet: &mut Wallet, pay: &Pay, at: Timestamp) -> Result<Outcome, Refusal> {
    check_amount(pay.amount)?;
    let owed = Nanos::new(-totals(wallet, &pay.asset).receivable.get());
    check_at_most(
        pay.amount,
        owed,
        "is more than the receivable; put the rest in with a grant",
    )?;
    let mut draft = Draft::new(wallet, at);
    draft.post(Account::Receivable, &pay.asset, pay.amount, None);
    draft.post(
        Account::Purchases,
        &pay.asset,
        Nanos::new(-pay.amount.get()),
        None,
    );
    Ok(draft.finish(|wallet| Answer::Paid {
        balances: wallet.balances(),
    }))
}

/// Unused bought value leaves the wallet: the customer gets its money back.
pub(crate) fn refund_grant(
    wallet: &mut Wallet,
    id: &GrantId,
    amount: Option<Nanos>,
    at: Timestamp,
) -> Result<Outcome, Refusal> {
    let grant = wallet
        .grants
        .get(id)
        .ok_or_else(|| Refusal::UnknownGrant(id.clone()))?;
    if grant.category != Category::Paid {
        return Err(Refusal::NotRefundable(id.clone()));
    }
    let (asset, free) = (grant.asset.clone(), grant.available);
    let free = match grant.phase {
        GrantPhase::Active | GrantPhase::Waiting => free,
        GrantPhase::Expired => Nanos::ZERO,
    };
    let amount = amount.unwrap_or(free);
    check_amount(amount)?;
    check_at_most(amount, free, "is more than is free of the grant")?;
    let mut draft = Draft::new(wallet, at);
    let taken = Nanos::new(-amount.get());
    draft.post(Account::Available(id.clone()), &asset, taken, None);
    draft.post(Account::Purchases, &asset, amount, None);
    let reversed: Vec<(Asset, Nanos)> = vec![(asset, amount)];
    Ok(draft.finish(|wallet| {
        Answer::Corrected(Box::new(Corrected {
            reversed,
            paid: Vec::new(),
            expired: Vec::new(),
            charges: Vec::new(),
            balances: wallet.balances(),
        }))
    }))
}

pub(crate) fn check_amount(amount: Nanos) -> Result<(), Refusal> {
    match amount.is_positive() {
        true => Ok(()),
        false => Err(Refusal::Amount {
            field: "amount",
            problem: "must be more than zero",
        }),
    }
}

pub(crate) fn check_at_most(amount: Nanos, most: Nanos, problem: &'static str) -> Result<(), Refusal> {
    match amount <= most {
        true => Ok(()),
        false => Err(Refusal::TooMuch { problem, most }),
    }
}
