//! The books of a tenant, in JSON and as a table.

use csv::{Terminator, WriterBuilder};
use farebox_engine::projection::{BookAccount, Booked, Books};
use farebox_money::Asset;
use farebox_record::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::wire::account::choice;
use crate::wire::amount::Amount;
use crate::wire::time::Time;
use crate::wire::usage_page::AsOf;

/// What moved in each account of all customers together. The accounts of an asset sum to zero, in each of the three columns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Books)]
pub struct BooksView {
    /// The first day, inclusive.
    pub from: Time,
    /// Exclusive.
    pub to: Time,
    /// Up to where they are complete.
    pub as_of: AsOf,
    /// Per asset, in order of asset.
    pub assets: Vec<AssetBooks>,
}

/// The books of one asset.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssetBooks {
    /// Which one.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// All accounts, the customers' first.
    pub accounts: Vec<AccountBooks>,
}

/// An account. Positive in a customer's account: to the customer's good. Those against it have the opposite sign: what was bought
/// is negative in `purchases`, and what was earned is positive in `revenue`.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountBooks {
    /// Which one.
    #[schema(schema_with = account_schema)]
    pub account: &'static str,
    /// What was there before the first day.
    pub opening: Amount,
    /// What moved.
    pub moved: Amount,
    /// What is there behind the last day.
    pub closing: Amount,
}

fn account_schema() -> Object {
    choice(&BookAccount::ALL.map(BookAccount::as_str))
}

impl BooksView {
    /// Of a range of days.
    pub fn new(from: Timestamp, to: Timestamp, books: &Books, as_of: AsOf) -> BooksView {
        let assets = books.assets.iter();
        BooksView {
            from: Time(from),
            to: Time(to),
            as_of,
            assets: assets
                .map(|(asset, booked)| AssetBooks::new(asset, booked))
                .collect(),
        }
    }

    /// As a table: RFC 4180, one row for each account. Columns only ever grow at the end.
    pub fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut writer = WriterBuilder::new()
            .terminator(Terminator::CRLF)
            .from_writer(Vec::new());
        writer.write_record(["from", "to", "asset", "account", "opening", "moved", "closing"])?;
        let (from, to) = (self.from.0.to_string(), self.to.0.to_string());
        for asset in &self.assets {
            for account in &asset.accounts {
                let amounts = [&account.opening, &account.moved, &account.closing].map(|a| a.0.to_string());
                let named = [&from, &to, asset.asset.as_str(), account.account];
                let row = named.into_iter().chain(amounts.iter().map(String::as_str));
                writer.write_record(row)?;
            }
        }
        writer
            .into_inner()
            .map_err(|error| csv::Error::from(std::io::Error::other(error.to_string())))
    }
}

impl AssetBooks {
    fn new(asset: &Asset, booked: &Booked) -> AssetBooks {
        let closing = booked.closing();
        let accounts = BookAccount::ALL.map(|account| AccountBooks {
            account: account.as_str(),
            opening: Amount(booked.opening.get(account)),
            moved: Amount(booked.moved.get(account)),
            closing: Amount(closing.get(account)),
        });
        AssetBooks {
            asset: asset.clone(),
            accounts: accounts.into(),
        }
    }
}
