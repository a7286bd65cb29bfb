//! Every limit of the engine, with its unit last. What exceeds one is refused by its name.

use std::time::Duration;

use farebox_record::time::{Span, Timestamp};

/// Commands that one lane takes in before it is called full (429, nothing done). One tenant may have as many as it leaves to
/// others: half, where it is alone.
pub const LANE_QUEUE_MAX: usize = 65_536;
/// Commands of one call.
pub const COMMANDS_PER_CALL_MAX: usize = 10_000;
/// Threads on which plans are asked that are slow, so that nobody else waits for them. A revision of a tenant has one of them.
pub const SIDINGS: usize = 8;
/// Commands that a siding handles before it sends their wallets back, and goes on to the next.
pub const SIDING_COMMANDS_MAX: usize = 64;
/// Commands that a lane handles before it hands its records to the committer.
pub const LANE_ROUND_MAX: usize = 4_096;
/// Bytes of records, estimated, that a lane makes before it ships them. With [`FRAME_BYTES_SOFT_MAX`] it stays below the
/// largest frame of the store.
pub const LANE_ROUND_BYTES_MAX: usize = 4 << 20;
/// Activations on one plan's timeline.
pub const ACTIVATIONS_PER_PLAN_MAX: usize = 4_096;
/// Components of one plan.
pub const COMPONENTS_PER_PLAN_MAX: usize = 1_024;
/// Tenants of one Farebox, `default` included.
pub const TENANTS_MAX: usize = 10_000;
/// How far one call may advance a sandbox's clock: a year, and a month to spare.
pub const ADVANCE_SPAN_MAX: Span = Span::days(400);
/// Where a sandbox's clock may stand at the earliest: 1970-01-01T00:00:00Z.
pub const SANDBOX_CLOCK_MIN: Timestamp = Timestamp::EPOCH;
/// Where a sandbox's clock may stand at the latest: 2200-01-01T00:00:00Z.
pub const SANDBOX_CLOCK_MAX: Timestamp = Timestamp::from_micros(7_258_118_400_000_000);
/// Wallets that an advance has catch up at once.
pub const CATCH_UP_WALLETS_MAX: usize = 1_024;
/// Overdue items that one wallet handles before others have their turn and the disk has what it made.
pub const AGENDA_ITEMS_PER_TURN_MAX: usize = 256;
/// Wallets that all lanes together keep in memory, some 4 KB each; beyond, those that rest longest are let go.
pub const WALLETS_IN_MEMORY_MAX: usize = 150_000;
/// How long the committer, woken ahead of a shipment, looks out for it before it rests again.
pub const BELL_PATIENCE: Duration = Duration::from_micros(100);
/// Commands of a round for which the committer is woken ahead.
pub const BELL_COMMANDS_MAX: usize = 16;
/// Threads that fetch wallets and records for the lanes.
pub const LOADER_THREADS: usize = 2;
/// Wallets that one sweep wakes, of all tenants; each gets at most half of what those before it have left.
pub const SWEEP_WALLETS_MAX: usize = 1_024;
/// Time between two sweeps for what fell due.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Days for which ids of usage are kept, by the time of their record: the late window, what an event may be ahead of the
/// clock, and a day to spare. Ids of money in, subscriptions and customers are kept for good. A
/// sandbox keeps them for good as well.
pub const ID_WINDOW_DAYS: u32 = 37;
/// Least time between two steps of forgetting ids of usage.
pub const ID_FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// Subjects of one wallet whose states are fetched at once; a quote behind open holds about more of them waits for several.
pub const SUBJECTS_PER_LOAD_MAX: usize = 256;
/// Unpriced events that one wallet rates in one go.
pub const UNPRICED_RATED_MAX: usize = 1_024;
/// Bytes of the records that the committer writes in one frame; what is queued beyond waits for the next.
pub const FRAME_BYTES_SOFT_MAX: usize = 8 << 20;

// ---- what follows the records --------------------------------------------------------------------------------
/// Records that one pass of the projections takes in; what was committed meanwhile comes with the next.
pub const PROJECTION_PASS_RECORDS_MAX: usize = 16_384;
/// Least time between two passes, so that what is committed at once is written at once.
pub const PROJECTION_PASS_INTERVAL: Duration = Duration::from_millis(2);
/// Most time between two passes of a busy server, which rests as long as the last one took: many records at once cost less.
pub const PROJECTION_REST_MAX: Duration = Duration::from_millis(100);
/// Rows of usage, and wallets, that the projections know from the passes before; beyond, all are read again.
pub const PROJECTION_KNOWN_MAX: usize = 32_768;
/// How long a server that stops goes on following the records; what is left then comes with the next start.
pub const PROJECTION_STOP_MAX: Duration = Duration::from_secs(5);
/// Rest after a pass failed before it is tried again.
pub const PROJECTION_RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Time between two looks for what is no longer kept.
pub const PROJECTION_UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Feeds and wallets that one look visits, and rows that it removes of each.
pub const PROJECTION_UPKEEP_MAX: usize = 256;
/// How long an item of the change feed is kept, by its tenant's clock.
pub const CHANGES_KEPT: Span = Span::days(35);
/// Items of a feed that are looked at for one page; where a filter leaves few of them, the page is short and says so.
pub const CHANGES_SCANNED_PER_PAGE_MAX: usize = 5_000;
/// How long usage is kept by the minute.
pub const USAGE_MINUTES_KEPT: Span = Span::days(35);
/// How long usage is kept by the hour. By the day it is kept for good.
pub const USAGE_HOURS_KEPT: Span = Span::days(400);
/// Combinations of attributes that one wallet's minute, hour or day tells apart; further ones are summed up as `other`.
pub const USAGE_COMBINATIONS_MAX: usize = 1_000;
/// Bytes of names and values of the attributes of a combination; usage with longer ones is summed up as `other`.
pub const USAGE_COMBINATION_BYTES_MAX: usize = 2_048;
/// Records of a wallet that are read for its usage by an attribute that names one thing of many.
pub const USAGE_FOUND_RECORDS_MAX: u64 = 50_000;
/// Rows of usage that are read for one page.
pub const USAGE_SCANNED_PER_PAGE_MAX: usize = 20_000;
/// Time between two looks for revisions that the runtime took out of service.
pub const QUARANTINE_INTERVAL: Duration = Duration::from_millis(250);
/// Time between two looks for plans that answer otherwise than before.
pub const RATE_INTERVAL: Duration = Duration::from_millis(250);
/// Wallets that are looked at in one go for events that wait for a price.
pub const RATE_WALLETS_PER_PAGE: usize = 1_000;
/// Time between two such goes, so that callers have the disk meanwhile.
pub const RATE_PAGE_PAUSE: Duration = Duration::from_millis(2);
/// Events that are looked for at once when the timers of several are overdue.
pub const EVENTS_AHEAD_MAX: usize = 256;
/// Records that are read back for an event that is to be corrected and whose id is forgotten, where the store does not have
/// all of its runs of past ids.
pub const CORRECTION_RECORDS_MAX: usize = 1_000_000;
/// Events of one backfill.
pub const BACKFILL_EVENTS_MAX: usize = 10_000;
/// Events of a backfill's preview that are named as left out.
pub const BACKFILL_PROBLEMS_MAX: usize = 100;
/// Backfills of one tenant, those that are over included.
pub const BACKFILLS_PER_TENANT_MAX: usize = 10_000;
/// How much later than it was reported at first a backfill may say that an event happened, and still be known for the same.
pub const BACKFILL_LATER_MAX: Span = Span::days(1);
/// Records of one wallet that are read back for the events of a backfill.
pub const BACKFILL_RECORDS_MAX: usize = 1_000_000;
/// Records that are read back to fold a term's events again behind a corrected one.
pub const REFOLD_RECORDS_MAX: usize = 100_000;
/// Events that may cost something else behind one correction.
pub const REFOLD_REPRICED_MAX: usize = 1_000;
/// Bytes, estimated, that these events may take in the correction's record; with the rest it stays below the largest record
/// of the store.
pub const REFOLD_BYTES_MAX: usize = 640 << 10;
