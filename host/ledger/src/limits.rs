//! Every limit of a wallet, with its unit last. What exceeds one is refused by its name.

use farebox_record::time::Span;

/// Open holds of one wallet.
pub const HOLDS_PER_WALLET_MAX: usize = 10_000;
/// Grants of one wallet that are not used up, portions among them.
pub const GRANTS_PER_WALLET_MAX: usize = 1_000;
/// Grants of one wallet behind which nobody gets a portion any more: the rest is for what plans give and customers buy.
pub const GRANTS_BEFORE_PORTIONS_MAX: usize = 900;
/// Portions of one grant, those that are used up among them: 16 bytes each that are written with every further one.
pub const PORTIONS_PER_GRANT_MAX: usize = 4_096;
/// Portions that one command opens, a correction of many events too: each has an id of the record.
pub const PORTIONS_PER_COMMAND_MAX: u32 = 24;
/// Subscriptions of one wallet.
pub const SUBSCRIPTIONS_PER_WALLET_MAX: usize = 64;
/// Assets of one wallet.
pub const ASSETS_PER_WALLET_MAX: usize = 32;
/// Timers that the plans of one wallet have set at once. About 450 bytes of memory each.
pub const TIMERS_PER_WALLET_MAX: usize = 65_536;
/// Timers of one subscription that are of no subject: they stand in each of its records.
pub const TIMERS_PER_SUBSCRIPTION_MAX: usize = 1_024;
/// Slices, and lines, that an event keeps of what timers charged for it: each stands twice in the record of the next. What
/// goes beyond is charged for the subscription.
pub const TIMED_SLICES_PER_EVENT_MAX: usize = 256;
/// A wallet carries its balances forward behind every record whose sequence is a multiple of this: about 100 bytes each.
pub const CARRIED_RECORDS: u64 = 16_384;
/// Write-offs of debt, and of receivables, of one asset that are told apart by their time.
pub const WRITE_OFFS_PER_ASSET_MAX: usize = 32;
/// Charges of one answer that give back what earlier events took.
pub const GIVE_BACKS_PER_ANSWER_MAX: usize = 8;
/// Events that give back of one event, and whose giving stands.
pub const GIVERS_PER_EVENT_MAX: usize = 64;
/// Prices of one charge: the first and its `otherwise` links.
pub const CHAIN_PRICES_MAX: usize = 4;
/// How long after its expiry a hold can still be settled, as plain usage.
pub const LATE_SETTLE_GRACE: Span = Span::seconds(3_600);
/// Shortest life of a hold.
pub const HOLD_TTL_MIN: Span = Span::seconds(1);
/// Longest life of a hold, and longest extension.
pub const HOLD_TTL_MAX: Span = Span::seconds(86_400);
/// Life of a hold whose caller states none.
pub const HOLD_TTL_DEFAULT: Span = Span::seconds(900);
/// Least time from one waking of a plan by a timer to the next one that it asks for then.
pub const TIMER_STEP_MIN: Span = Span::seconds(1);
/// Spending limits of one wallet.
pub const SPENDING_LIMITS_PER_WALLET_MAX: usize = 64;
/// Attributes in the scope of one spending limit: how deep the tree can be.
pub const SCOPE_ATTRIBUTES_MAX: usize = 8;
/// Bytes of the names and values in the scope of one spending limit: they stand in every threshold that is announced.
pub const SCOPE_BYTES_MAX: usize = 512;
/// Thresholds of one spending limit.
pub const THRESHOLDS_PER_LIMIT_MAX: usize = 8;
/// Largest threshold of a spending limit, in percent of its amount.
pub const THRESHOLD_PERCENT_MAX: u16 = 1_000;
/// Steps of the rolling window of a spending limit.
pub const ROLLING_STEPS_MAX: u16 = 60;
/// Shortest step of the rolling window of a spending limit.
pub const ROLLING_STEP_MIN: Span = Span::seconds(1);
/// Longest rolling window of a spending limit.
pub const ROLLING_LENGTH_MAX: Span = Span::days(366);
/// How far ahead of the store's clock an event's time may be.
pub const EVENT_AHEAD_MAX: Span = Span::seconds(300);
/// How long after it happened an event may be reported. Ids are kept for longer, so that no retry bills twice.
pub const LATE_WINDOW: Span = Span::days(35);
/// How long after its end a term of a subscription is kept for late events: the window, and a day for holds that were
/// open when it ended.
pub const TERM_KEPT: Span = Span::days(36);
