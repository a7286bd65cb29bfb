//! A statement in JSON. The other formats show the same.

use farebox_ledger::Wallet;
use farebox_money::Asset;
use farebox_record::ids::{CustomerId, SubscriptionId};
use farebox_record::plan::Category;
use farebox_record::time::{Period, Timestamp};
use farebox_statement::{AssetStatement, Line, Moved, Statement, StatementError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::statement::{Labels, describe};
use crate::wire::account::{category_schema, choice};
use crate::wire::amount::Amount;
use crate::wire::time::{PeriodView, Time};

/// What happened in a customer's wallet in a range of time. Per asset and account, opening and lines sum to the closing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statement)]
pub struct StatementView {
    /// Whose.
    pub customer: String,
    /// What people call the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Inclusive.
    pub from: Time,
    /// Exclusive.
    pub to: Time,
    /// The subscription whose period it is, where a period was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// Number of that period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u32>,
    /// `closed`: the range is over, and its amounts never change (names of charges are the newest). `open`: it is not.
    #[schema(schema_with = status_schema)]
    pub status: &'static str,
    /// How many records of the wallet the range holds.
    pub records: u64,
    /// The state of the wallet that the statement was made from.
    pub as_of: MadeFrom,
    /// Per asset, in order of asset.
    pub assets: Vec<AssetView>,
}

/// The state of the wallet that a statement was made from. `farebox ledger verify` proves the chain that leads to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatementState)]
pub struct MadeFrom {
    /// By the store's clock.
    pub time: Time,
    /// The wallet's newest record.
    pub sequence: u64,
    /// Hash of that record, and by its chain of all before.
    pub chain: String,
}

/// What happened in one asset.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AssetStatement)]
pub struct AssetView {
    /// Which one.
    #[schema(value_type = String, example = "usd")]
    pub asset: Asset,
    /// Before.
    pub opening: MovedView,
    /// What moved: grants, usage, late usage, fees, corrections, payments, adjustments, expiry, and what holds set aside.
    pub lines: Vec<LineView>,
    /// Afterwards.
    pub closing: MovedView,
}

/// Value in the customer's accounts. Positive: to the customer's good; what is owed is negative.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatementAmounts)]
pub struct MovedView {
    /// What grants have free, those that are not effective yet included.
    pub available: Amount,
    /// What open holds have set aside of grants.
    pub held: Amount,
    /// Owed for usage; a balance is zero or negative.
    pub debt: Amount,
    /// Owed for fees; a balance is zero or negative.
    pub receivable: Amount,
    /// The sum of the four.
    pub amount: Amount,
}

/// A line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatementLine)]
pub struct LineView {
    /// What it is about.
    #[schema(schema_with = kind_schema)]
    pub kind: &'static str,
    /// The same for people.
    pub description: String,
    /// The plan's code, where it is about a charge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The grant that came in or expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// What kind of value that grant is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = category_schema)]
    pub category: Option<Category>,
    /// Why that grant was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = cause_schema)]
    pub cause: Option<&'static str>,
    /// Whose charge or grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The period that it belongs to, where a plan charged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodView>,
    /// The event that is corrected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Where that event came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When; not there where a line sums up what happened at many times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// In the unit of the code. A call that is settled in parts counts when it is settled for good. Where another asset paid
    /// part of a charge, its quantity stands with the asset in which the plan states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Amount>,
    /// What moved.
    #[serde(flatten)]
    pub moved: MovedView,
}

/// What a statement is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// The period of a subscription, where one was asked for.
    pub period: Option<(SubscriptionId, Period)>,
}

impl StatementView {
    /// `now` is when the wallet was read, at the earliest.
    pub(crate) fn new(
        customer: &CustomerId,
        range: &Range,
        wallet: &Wallet,
        now: Timestamp,
        statement: Statement,
        labels: &Labels,
    ) -> Result<StatementView, StatementError> {
        let header = wallet.header();
        let (subscription, period) = range
            .period
            .as_ref()
            .map(|(s, p)| (s.to_string(), p.index))
            .unzip();
        let assets: Result<Vec<AssetView>, StatementError> = statement
            .assets
            .into_iter()
            .map(|asset| AssetView::new(asset, labels))
            .collect();
        Ok(StatementView {
            customer: customer.to_string(),
            name: header.customer.as_ref().and_then(|said| said.name.clone()),
            from: Time(statement.from),
            to: Time(statement.to),
            subscription,
            period,
            status: if statement.to <= now { "closed" } else { "open" },
            records: statement.records,
            as_of: MadeFrom {
                time: Time(now),
                sequence: header.sequence,
                chain: header.chain.to_string(),
            },
            assets: assets?,
        })
    }
}

impl AssetView {
    fn new(statement: AssetStatement, labels: &Labels) -> Result<AssetView, StatementError> {
        let lines: Result<Vec<LineView>, StatementError> = statement
            .lines
            .into_iter()
            .map(|line| LineView::new(line, labels))
            .collect();
        Ok(AssetView {
            asset: statement.asset,
            opening: MovedView::new(statement.opening)?,
            lines: lines?,
            closing: MovedView::new(statement.closing)?,
        })
    }
}

impl LineView {
    fn new(line: Line, labels: &Labels) -> Result<LineView, StatementError> {
        let description = describe(&line, labels);
        let (source, event) = line
            .event
            .map(|e| (e.source.to_string(), e.id.to_string()))
            .unzip();
        Ok(LineView {
            kind: line.kind.as_str(),
            description,
            code: line.code,
            grant: line.grant.map(|grant| grant.to_string()),
            category: line.category,
            cause: line.cause.map(|cause| cause.as_str()),
            subscription: line.subscription.map(|id| id.to_string()),
            period: line.period.map(PeriodView::from),
            event,
            source,
            at: line.at.map(Time),
            quantity: line.quantity.map(Amount),
            moved: MovedView::new(line.moved)?,
        })
    }
}

impl MovedView {
    fn new(moved: Moved) -> Result<MovedView, StatementError> {
        Ok(MovedView {
            available: Amount(moved.available),
            held: Amount(moved.held),
            debt: Amount(moved.debt),
            receivable: Amount(moved.receivable),
            amount: Amount(moved.total()?),
        })
    }

    /// In the order of the columns.
    pub fn columns(&self) -> [Amount; 5] {
        [self.available, self.held, self.debt, self.receivable, self.amount]
    }
}

fn status_schema() -> Object {
    choice(&["open", "closed"])
}

fn kind_schema() -> Object {
    choice(&[
        "grant",
        "usage",
        "late_usage",
        "fee",
        "void",
        "amendment",
        "repriced",
        "refund",
        "payment",
        "adjustment",
        "debt_paid",
        "expiry",
        "holds",
    ])
}

fn cause_schema() -> Object {
    choice(&[
        "order",
        "start",
        "renewal",
        "change",
        "timer",
        "event",
        "correction",
    ])
}
