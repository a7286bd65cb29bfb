//! Value in the four accounts that are the customer's.

use std::collections::BTreeMap;

use farebox_money::{Asset, Nanos};
use farebox_record::outcome::{Account, Entry};
use farebox_record::state::CustomerAccounts;

use crate::statement::StatementError;

/// What the accounts of one asset hold, or what moved in them. Positive: to the customer's good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// What grants have free, those that are not effective yet included.
    pub available: Nanos,
    /// What open holds have set aside of grants.
    pub held: Nanos,
    /// Owed for usage; as a balance zero or negative.
    pub debt: Nanos,
    /// Owed for fees; as a balance zero or negative.
    pub receivable: Nanos,
}

/// The accounts of each asset.
pub type Balances = BTreeMap<Asset, Moved>;

impl Moved {
    /// What an entry moves; none for an account that is not the customer's.
    pub fn by(entry: &Entry) -> Option<Moved> {
        let mut moved = Moved::default();
        let column = match &entry.account {
            Account::Available(_) => &mut moved.available,
            Account::Held(_) => &mut moved.held,
            Account::Debt => &mut moved.debt,
            Account::Receivable => &mut moved.receivable,
            _ => return None,
        };
        *column = entry.amount;
        Some(moved)
    }

    /// Free value alone.
    pub fn free(available: Nanos) -> Moved {
        Moved {
            available,
            ..Moved::default()
        }
    }

    /// Whether nothing moved in any account.
    pub fn is_zero(&self) -> bool {
        *self == Moved::default()
    }

    /// All four: what the customer is better off by.
    pub fn total(&self) -> Result<Nanos, StatementError> {
        let columns = [self.available, self.held, self.debt, self.receivable];
        Nanos::checked_sum(columns).ok_or(StatementError::Overflow)
    }

    /// Both together.
    pub fn plus(self, other: Moved) -> Result<Moved, StatementError> {
        self.each(other, Nanos::checked_add)
    }

    /// What is left without the other.
    pub fn minus(self, other: Moved) -> Result<Moved, StatementError> {
        self.each(other, Nanos::checked_sub)
    }

    fn each(
        self,
        other: Moved,
        with: impl Fn(Nanos, Nanos) -> Option<Nanos>,
    ) -> Result<Moved, StatementError> {
        let with = |a, b| with(a, b).ok_or(StatementError::Overflow);
        Ok(Moved {
            available: with(self.available, other.available)?,
            held: with(self.held, other.held)?,
            debt: with(self.debt, other.debt)?,
            receivable: with(self.receivable, other.receivable)?,
        })
    }
}

/// Balances of a wallet, as it is or as it carried them forward.
pub fn balances(accounts: BTreeMap<Asset, CustomerAccounts>) -> Balances {
    let accounts = accounts.into_iter();
    accounts
        .map(|(asset, accounts)| (asset, Moved::from(accounts)))
        .collect()
}

impl From<CustomerAccounts> for Moved {
    fn from(accounts: CustomerAccounts) -> Moved {
        Moved {
            available: accounts.available,
            held: accounts.held,
            debt: accounts.debt,
            receivable: accounts.receivable,
        }
    }
}

/// Adds to the accounts of an asset.
pub(crate) fn add(balances: &mut Balances, asset: &Asset, moved: Moved) -> Result<(), StatementError> {
    let balance = balances.entry(asset.clone()).or_default();
    *balance = balance.plus(moved)?;
    Ok(())
}
