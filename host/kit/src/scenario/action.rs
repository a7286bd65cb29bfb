//! What a step can do, with the defaults that an accountant would assume.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::{At, Count, Money};

/// An action without details: `{}`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// How long a period is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// `"monthly"`, unless said.
    #[default]
    Monthly,
    /// `"yearly"`
    Yearly,
    /// `"weekly"`
    Weekly,
    /// `"daily"`
    Daily,
    /// `{ days = 30 }`
    Days(u16),
}

/// When a change counts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Starting {
    /// `"now"`, unless said, with proration.
    #[default]
    Now,
    /// `"period_end"`
    PeriodEnd,
}

/// See [`Step::subscribe`](super::Step::subscribe).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// 1 unless said.
    #[serde(default = "one")]
    pub seats: u32,
    /// How long a period is.
    #[serde(default)]
    pub cadence: Cadence,
    /// When the first period starts; none: now.
    #[serde(default)]
    pub anchor: Option<At>,
    /// What happens to a price above what was held, where a settlement does not say.
    #[serde(default)]
    pub above_hold: Option<AboveHold>,
}

fn one() -> u32 {
    1
}

/// What kind of value comes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// `"paid"`, unless said.
    #[default]
    Paid,
    /// `"promotional"`
    Promotional,
    /// `"included"`
    Included,
}

/// See [`Step::top_up`](super::Step::top_up).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopUp {
    /// How much of what.
    pub amount: Money,
    /// Its id; one is made of the number of the step, unless said.
    #[serde(default)]
    pub id: Option<String>,
    /// What kind of value it is.
    #[serde(default)]
    pub category: Category,
    /// Low burns first; 0 unless said.
    #[serde(default)]
    pub priority: i32,
    /// From when it is good; none: at once.
    #[serde(default)]
    pub effective: Option<At>,
    /// Until when it is good; none: for good.
    #[serde(default)]
    pub expires: Option<At>,
    /// Codes of charges that may burn it; none: any.
    #[serde(default)]
    pub codes: Vec<String>,
    /// Attributes that an event must have to burn it.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Each value of an attribute has a portion of its own; none: it is not divided.
    #[serde(default)]
    pub each: Option<EachValue>,
    /// What a person reads.
    #[serde(default)]
    pub label: Option<String>,
}

/// See [`TopUp::each`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EachValue {
    /// The attribute: `user`.
    pub attribute: String,
    /// How much each of its values gets, in the asset of the grant.
    pub amount: Count,
}

/// See [`Step::use_`](super::Step::use_).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Its id, where a later step names it; one is made of the number of the step, unless said.
    #[serde(default)]
    pub id: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub source: Option<String>,
    /// When it happened, where that is not when it is reported.
    #[serde(default)]
    pub time: Option<At>,
    /// Its numbers.
    #[serde(default)]
    pub measures: BTreeMap<String, Count>,
    /// Its texts.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// What the provider bills for it, in US dollars.
    #[serde(default)]
    pub cost: Option<Count>,
}

/// See [`Step::authorize`](super::Step::authorize).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorize {
    /// The type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The id of the event and of its hold.
    pub id: String,
    /// Maximums; with `settle`, what is used.
    #[serde(default)]
    pub measures: BTreeMap<String, Count>,
    /// Its texts.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// How long the hold lasts; 15 minutes unless said.
    #[serde(default)]
    pub ttl_seconds: Option<u32>,
    /// Whether to check and debit at once instead of holding.
    #[serde(default)]
    pub settle: bool,
}

/// What happens to a price above what was held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AboveHold {
    /// The settlement is refused.
    Deny,
    /// What the wallet has is charged; the rest is let go.
    ChargeAvailable,
    /// It is charged; what the wallet cannot cover becomes debt.
    AllowDebt,
}

/// See [`Step::settle`](super::Step::settle).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// The id of the authorize.
    pub hold: String,
    /// Usage so far, all of it.
    #[serde(default)]
    pub measures: BTreeMap<String, Count>,
    /// Texts that were not known before.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Whether it ends the hold; it does unless said.
    #[serde(default = "yes", rename = "final")]
    pub is_final: bool,
    /// What happens to a price above what was held; as the subscription says, unless said here.
    #[serde(default)]
    pub above_hold: Option<AboveHold>,
}

fn yes() -> bool {
    true
}

/// See [`Step::extend`](super::Step::extend).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// The id of the authorize.
    pub hold: String,
    /// How long from now.
    pub ttl_seconds: u32,
    /// New maximums, all of them; none: as they were.
    #[serde(default)]
    pub measures: BTreeMap<String, Count>,
}

/// See [`Step::release`](super::Step::release).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The id of the authorize.
    pub hold: String,
}

/// See [`Step::change_seats`](super::Step::change_seats).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeSeats {
    /// How many there are afterwards.
    pub to: u32,
    /// From when.
    #[serde(default)]
    pub from: Starting,
    /// Whether the plan is asked to settle the part of the period that is left; it is unless said.
    #[serde(default = "yes")]
    pub prorate: bool,
}

/// See [`Step::change_plan`](super::Step::change_plan).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePlan {
    /// The folder of the other plan, a path from the scenario file's folder; none: this plan's code with other parameters, or
    /// the very plan that serves where there is nothing but another `cadence`.
    #[serde(default)]
    pub plan: Option<String>,
    /// A path from the scenario file's folder; none: those that the other plan's `plan.toml` names.
    #[serde(default)]
    pub parameters: Option<String>,
    /// Under which name the other plan is in force; one is made of the number of the step, unless said.
    #[serde(default)]
    pub name: Option<String>,
    /// From when.
    #[serde(default)]
    pub from: Starting,
    /// Whether the plan is asked to settle the part of the period that is left; it is unless said.
    #[serde(default = "yes")]
    pub prorate: bool,
    /// Another length of periods; none: as it was.
    #[serde(default)]
    pub cadence: Option<Cadence>,
}

/// See [`Step::revise`](super::Step::revise).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revise {
    /// The new parameters; a path beside the scenario file.
    pub parameters: String,
}

/// See [`Step::pause`](super::Step::pause).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// From when.
    #[serde(default)]
    pub from: Starting,
}

/// See [`Step::cancel`](super::Step::cancel).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// From when.
    #[serde(default)]
    pub from: Starting,
}

/// See [`Step::void`](super::Step::void).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// The id of the event: that of an earlier `use` or `authorize`.
    pub event: String,
}

/// See [`Step::amend`](super::Step::amend).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amend {
    /// The id of the event: that of an earlier `use` or `authorize`, whose type it keeps.
    pub event: String,
    /// All of its numbers.
    #[serde(default)]
    pub measures: BTreeMap<String, Count>,
    /// All of its texts.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// See [`Step::refund`](super::Step::refund). Exactly one of `event` and `grant`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// What this event took comes back: the id of an earlier `use` or `authorize`.
    #[serde(default)]
    pub event: Option<String>,
    /// Unused value of this grant goes back to the customer: the id of an earlier `top_up`.
    #[serde(default)]
    pub grant: Option<String>,
    /// How much of what; none: all that is left.
    #[serde(default)]
    pub amount: Option<Money>,
}

/// What an adjustment puts right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// `"balance"`: value is taken away.
    Balance,
    /// `"debt"`: what is owed for usage is written off.
    Debt,
    /// `"receivable"`: what is owed for fees is written off.
    Receivable,
}

/// See [`Step::adjust`](super::Step::adjust).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adjust {
    /// How much of what.
    pub amount: Money,
    /// What is put right.
    pub target: Target,
}

/// See [`Step::pay`](super::Step::pay).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    /// How much of what.
    pub amount: Money,
}

/// See [`Step::limit`](super::Step::limit).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// How much of what may be used and held in a window.
    pub amount: Money,
    /// Attributes that an event must have to count, `"team=search"`, from the top of the tree down; none: all count.
    #[serde(default)]
    pub scope: Vec<String>,
    /// Over which time.
    #[serde(default)]
    pub window: Window,
    /// What is announced on the way: percents (`80`) and amounts (`"25 usd"`); 50, 80 and 100 percent unless said.
    #[serde(default = "usual_thresholds")]
    pub thresholds: Vec<Threshold>,
    /// Whether a call that does not fit goes ahead all the same, and thresholds alone are announced.
    #[serde(default)]
    pub notify: bool,
}

fn usual_thresholds() -> Vec<Threshold> {
    [50, 80, 100].map(Threshold::Percent).to_vec()
}

/// Over which time a limit counts, in UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// `"hour"`
    Hour,
    /// `"day"`
    Day,
    /// `"week"`, from Monday.
    Week,
    /// `"month"`, unless said.
    #[default]
    Month,
    /// `"year"`
    Year,
    /// `{ rolling = { seconds = 86_400, step_seconds = 3_600 } }`: the last so many seconds.
    Rolling(Rolling),
}

/// A window that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rolling {
    /// Its length.
    pub seconds: u32,
    /// How exact it is: the length divided by 1 to 60.
    pub step_seconds: u32,
}

/// How far usage is before it is announced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "a percent such as 80, or an amount such as \"25 usd\"")]
pub enum Threshold {
    /// `80`: of the limit.
    Percent(u16),
    /// `"25 usd"`
    Amount(Money),
}

/// See [`Step::remove_limit`](super::Step::remove_limit).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveLimit {
    /// Which one: the name of an earlier `limit`.
    pub name: String,
}

/// See [`Step::backfill`](super::Step::backfill).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    /// Its name.
    pub id: String,
    /// What was used, each with its `id` and `time`.
    pub events: Vec<Use>,
    /// Whether to look at what it would do, and to post nothing.
    #[serde(default)]
    pub preview: bool,
}

/// See [`Step::revert`](super::Step::revert).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revert {
    /// Which one: the id of an earlier `backfill`.
    pub backfill: String,
}
