//! The books of a tenant: what moved in each account of all its wallets together, by day.
//!
//! Every entry stands in one wallet, and its accounts there sum to zero per asset. Here they are added up across wallets, so
//! the same holds of each day and of each balance.
//!
//! An entry counts on the day of its record's instant, or on the day that its wallet has come to where that is later: a timer
//! that an event set which came late may fall due in a month that is over, and closed books are never edited. That is how
//! statements are cut, too: the books of a month are the sum of the statements of all customers in the accounts that are
//! theirs, and beside them the accounts against those.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use farebox_ledger::Wallet;
use farebox_money::{Asset, Nanos};
use farebox_record::Record;
use farebox_record::ids::TenantId;
use farebox_record::outcome::{Account, Effect};
use farebox_record::time::Timestamp;
use farebox_store::{FastMap, Position, ProjectionChange, Projections, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::pass::{decode, encode, read};
use super::rows::{self, Every};
use crate::error::EngineError;

/// Rows are read this many at a time.
const CHUNK: usize = 512;

/// Where a wallet has come to before its first record.
pub const BEFORE_ALL: Timestamp = Timestamp::from_micros(i64::MIN);

/// An account as books know it: those of single grants are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BookAccount {
    /// What grants have free.
    Available,
    /// What holds have set aside of grants.
    Held,
    /// What customers owe for usage.
    Debt,
    /// What customers owe for fees.
    Receivable,
    /// Contra: what was bought, and what was paid on fees.
    Purchases,
    /// Contra: what was given away.
    Promotional,
    /// Contra: what subscriptions included.
    Included,
    /// Contra: what was earned.
    Revenue,
    /// Contra: what expired unused.
    Breakage,
    /// Contra: what was put right by hand.
    Adjustments,
}

impl BookAccount {
    /// All of them, the customers' first.
    pub const ALL: [BookAccount; 10] = [
        BookAccount::Available,
        BookAccount::Held,
        BookAccount::Debt,
        BookAccount::Receivable,
        BookAccount::Purchases,
        BookAccount::Promotional,
        BookAccount::Included,
        BookAccount::Revenue,
        BookAccount::Breakage,
        BookAccount::Adjustments,
    ];

    /// As programs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            BookAccount::Available => "available",
            BookAccount::Held => "held",
            BookAccount::Debt => "debt",
            BookAccount::Receivable => "receivable",
            BookAccount::Purchases => "purchases",
            BookAccount::Promotional => "promotional",
            BookAccount::Included => "included",
            BookAccount::Revenue => "revenue",
            BookAccount::Breakage => "breakage",
            BookAccount::Adjustments => "adjustments",
        }
    }

    /// Where entries of a wallet's account count.
    pub const fn of(account: &Account) -> BookAccount {
        match account {
            Account::Available(_) => BookAccount::Available,
            Account::Held(_) => BookAccount::Held,
            Account::Debt => BookAccount::Debt,
            Account::Receivable => BookAccount::Receivable,
            Account::Revenue => BookAccount::Revenue,
            Account::Breakage => BookAccount::Breakage,
            Account::Purchases => BookAccount::Purchases,
            Account::Promotional => BookAccount::Promotional,
            Account::Included => BookAccount::Included,
            Account::Adjustments => BookAccount::Adjustments,
        }
    }
}

/// An amount for each account, in the order of [`BookAccount::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts([Nanos; BookAccount::ALL.len()]);

impl Accounts {
    /// What an account has, or what moved in it.
    pub fn get(&self, account: BookAccount) -> Nanos {
        self.0[account as usize]
    }

    /// Adds to an account.
    pub fn add(&mut self, account: BookAccount, amount: Nanos) {
        let sum = &mut self.0[account as usize];
        // All money there is has fewer digits than this holds.
        *sum = Nanos::new(sum.get().saturating_add(amount.get()));
    }

    /// All accounts together: zero, where books are right.
    pub fn sum(&self) -> i128 {
        self.0.iter().map(|amount| amount.get()).sum()
    }

    /// Whether no account has anything.
    pub fn is_zero(&self) -> bool {
        self.0.iter().all(|amount| amount.is_zero())
    }
}

impl AddAssign<&Accounts> for Accounts {
    fn add_assign(&mut self, other: &Accounts) {
        for account in BookAccount::ALL {
            self.add(account, other.get(account));
        }
    }
}

/// What a record posts, per asset.
pub fn booked(record: &Record) -> BTreeMap<Asset, Accounts> {
    let mut moved: BTreeMap<Asset, Accounts> = BTreeMap::new();
    for effect in &record.outcome.effects {
        if let Effect::Entry(entry) = effect {
            let accounts = moved.entry(entry.asset.clone()).or_default();
            accounts.add(BookAccount::of(&entry.account), entry.amount);
        }
    }
    moved
}

/// What is there in each account, per asset.
pub type Closing = BTreeMap<Asset, Accounts>;

/// What moved in each account, by day and asset.
pub type Days = BTreeMap<(Timestamp, Asset), Accounts>;

/// The day on which a record counts whose wallet had come to `reached` before it.
pub fn day_of(record: &Record, reached: Timestamp) -> Timestamp {
    Every::Day.floor(record.instant()).max(reached)
}

/// The days that wallets have come to: as they are kept, and as the records that were taken in since move them on.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Each with whether it was moved on since it was written.
    days: FastMap<Vec<u8>, (Timestamp, bool)>,
    /// Those that were, each once, however many days went by.
    moved: Vec<Vec<u8>>,
}

impl Reached {
    /// Takes the next record of its wallet in; the day on which it counts. Without a store nothing is kept of what came before.
    pub(crate) fn next(
        &mut self,
        store: Option<&dyn Projections>,
        record: &Record,
    ) -> Result<Timestamp, StoreError> {
        let key = rows::wallet_day(&record.tenant, &record.customer);
        let (reached, moved) = match (self.days.get(&key), store) {
            (Some(known), _) => *known,
            (None, Some(store)) => (read(store, &key)?.unwrap_or(BEFORE_ALL), false),
            (None, None) => (BEFORE_ALL, false),
        };
        let day = day_of(record, reached);
        if day > reached && !moved {
            self.moved.push(key.clone());
        }
        self.days.insert(key, (day, moved || day > reached));
        Ok(day)
    }

    /// What of it is to be kept, since this was last asked.
    pub(crate) fn changes(&mut self) -> Vec<ProjectionChange> {
        let moved = std::mem::take(&mut self.moved).into_iter();
        let told = moved.filter_map(|key| {
            let (day, moved) = self.days.get_mut(&key)?;
            *moved = false;
            let day = encode(day);
            Some((key, Some(day)))
        });
        told.collect()
    }

    /// How many wallets are known.
    pub(crate) fn len(&self) -> usize {
        self.days.len()
    }
}

/// The books of a range of days.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// In order of asset: those of which anything was ever posted before the end of the range.
    pub assets: BTreeMap<Asset, Booked>,
}

/// The books of one asset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Booked {
    /// What was there before.
    pub opening: Accounts,
    /// What moved.
    pub moved: Accounts,
}

impl Booked {
    /// What is there at the end.
    pub fn closing(&self) -> Accounts {
        let mut closing = self.opening;
        closing += &self.moved;
        closing
    }
}

/// Reads the days from `from` on and before `to`; both are cut to the beginning of their day in UTC.
pub(crate) fn between(
    store: &dyn Store,
    tenant: &TenantId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Books, EngineError> {
    let (from, to) = (Every::Day.floor(from), Every::Day.floor(to));
    let prefix = rows::books(tenant);
    let mut books = Books::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let found = store.projections(&prefix, after.as_deref(), CHUNK)?;
        let last = found.len() < CHUNK;
        for (key, value) in found {
            let place = rows::time_of(&prefix, &key).zip(rows::booked_asset(&prefix, &key));
            let (day, asset) = place.ok_or_else(|| EngineError::State("a key of the books".into()))?;
            if day >= to {
                return balanced(books);
            }
            let moved: Accounts = decode(&value)?;
            let booked = books.assets.entry(asset).or_default();
            match day < from {
                true => booked.opening += &moved,
                false => booked.moved += &moved,
            }
            after = Some(key);
        }
        if last {
            return balanced(books);
        }
    }
}

/// The books of every tenant up to the end of the journal: what is kept of them, and what the records behind that post; all
/// records, where none are kept in this format. For whoever has nothing but a store.
///
/// # Errors
/// What the store cannot read; among it records that are in an archive, where none of the books are kept.
pub fn days_of_all(store: &dyn Store) -> Result<BTreeMap<TenantId, Days>, StoreError> {
    let is_kept = store.projection(rows::FORMAT_KEY)?.as_deref() == Some(rows::FORMAT);
    let (mut books, mut position) = match is_kept {
        true => (kept(store)?, store.projected()?),
        false => (BTreeMap::new(), Position::default()),
    };
    let mut reached = Reached::default();
    loop {
        let tail = store.tail(position, CHUNK)?;
        if tail.reached == position {
            return Ok(books);
        }
        position = tail.reached;
        let records = tail
            .records
            .iter()
            .filter(|(_, stored)| !stored.wallet.is_control());
        for (_, stored) in records {
            let record = Record::decode(&stored.body).map_err(|error| StoreError::State {
                what: format!("a record: {error}"),
            })?;
            let known: Option<&dyn Projections> = if is_kept { Some(store) } else { None };
            let day = reached.next(known, &record)?;
            let own = books.entry(record.tenant.clone()).or_default();
            for (asset, moved) in booked(&record) {
                *own.entry((day, asset)).or_default() += &moved;
            }
        }
    }
}

/// The rows of all tenants.
fn kept(store: &dyn Store) -> Result<BTreeMap<TenantId, Days>, StoreError> {
    let mut books: BTreeMap<TenantId, Days> = BTreeMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let found = store.projections(&[rows::BOOKS], after.as_deref(), CHUNK)?;
        for (key, value) in &found {
            let (tenant, day, asset) = rows::whose_books(key).ok_or_else(|| StoreError::State {
                what: "a key of the books".into(),
            })?;
            books
                .entry(tenant)
                .or_default()
                .insert((day, asset), decode(value)?);
        }
        match found.last() {
            Some((key, _)) => after = Some(key.clone()),
            None => return Ok(books),
        }
    }
}

/// What a wallet adds to the books of its tenant.
pub fn accounts_of(wallet: &Wallet) -> Closing {
    let mut closing = Closing::new();
    for (asset, totals) in &wallet.header().assets {
        let accounts = closing.entry(asset.clone()).or_default();
        for (account, amount) in [
            (BookAccount::Debt, totals.debt),
            (BookAccount::Receivable, totals.receivable),
            (BookAccount::Purchases, totals.purchases),
            (BookAccount::Promotional, totals.promotional),
            (BookAccount::Included, totals.included),
            (BookAccount::Revenue, totals.revenue),
            (BookAccount::Breakage, totals.breakage),
            (BookAccount::Adjustments, totals.adjustments),
        ] {
            accounts.add(account, amount);
        }
    }
    for (_, grant) in wallet.grants() {
        let accounts = closing.entry(grant.asset.clone()).or_default();
        accounts.add(BookAccount::Available, grant.available);
        accounts.add(BookAccount::Held, grant.held);
    }
    closing
}

/// Books that do not sum to zero are a defect: none are given out.
fn balanced(books: Books) -> Result<Books, EngineError> {
    for (asset, booked) in &books.assets {
        for (what, accounts) in [("opening", &booked.opening), ("moved", &booked.moved)] {
            let sum = accounts.sum();
            if sum != 0 {
                let sum = Nanos::new(sum);
                return Err(EngineError::State(format!(
                    "the books of {asset} do not balance: {what} sums to {sum}"
                )));
            }
        }
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use farebox_record::command::AuthorizeMode;
    use farebox_record::time::Span;

    use super::*;
    use crate::projection::sample::{answered, authorize, noon, record};

    #[test]
    fn accounts_stand_in_the_order_in_which_they_are_listed() {
        for (place, account) in BookAccount::ALL.into_iter().enumerate() {
            let mut accounts = Accounts::default();
            accounts.add(account, Nanos::units(3));
            assert_eq!(account as usize, place);
            assert_eq!(accounts.0[place], Nanos::units(3), "{account:?}");
        }
    }

    /// Whoever reads a whole journal never asks what is to be kept.
    #[test]
    fn a_wallet_is_kept_once_however_many_days_it_has_come_to() {
        let mut reached = Reached::default();
        let mut record = record(authorize(AuthorizeMode::Settle), answered(), Vec::new());
        let mut day = |days: u32| {
            record.at = noon().saturating_add(Span::days(days));
            reached.next(None, &record).unwrap()
        };
        let first = day(0);
        assert_eq!(day(2), first.saturating_add(Span::days(2)));
        assert_eq!(day(1), first.saturating_add(Span::days(2)), "it never goes back");
        let kept = |changes: Vec<ProjectionChange>| {
            let days = changes.into_iter().map(|(_, day)| decode(&day.unwrap()).unwrap());
            days.collect::<Vec<Timestamp>>()
        };
        assert_eq!(kept(reached.changes()), [first.saturating_add(Span::days(2))]);
        assert_eq!(kept(reached.changes()), []);
    }

    #[test]
    fn books_that_do_not_balance_are_not_given_out() {
        let mut booked = Booked::default();
        booked.moved.add(BookAccount::Available, Nanos::units(5));
        let books = |booked| Books {
            assets: BTreeMap::from([("usd".parse().unwrap(), booked)]),
        };
        let error = balanced(books(booked)).unwrap_err().to_string();
        assert!(
            error.contains("the books of usd do not balance: moved sums to 5"),
            "{error}"
        );
        booked.moved.add(BookAccount::Purchases, Nanos::units(-5));
        assert!(balanced(books(booked)).is_ok());
    }
}
