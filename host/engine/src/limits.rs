//! Every limit of the engine, with its unit last. What exceeds one is refused by its name.

use std::time::Duration;

/// Commands that one lane takes in before it is called full (429, nothing done).
pub const LANE_QUEUE_MAX: usize = 65_536;
/// Commands of one call.
pub const COMMANDS_PER_CALL_MAX: usize = 10_000;
/// Commands that a lane handles before it hands its records to the committer.
pub const LANE_ROUND_MAX: usize = 4_096;
/// Bytes of records, estimated, that a lane makes before it ships them. With [`FRAME_BYTES_SOFT_MAX`] it stays below the
/// largest frame of the store.
pub const LANE_ROUND_BYTES_MAX: usize = 4 << 20;
/// Activations on one plan's timeline.
pub const ACTIVATIONS_PER_PLAN_MAX: usize = 4_096;
/// Components of one plan.
pub const COMPONENTS_PER_PLAN_MAX: usize = 1_024;
/// Wallets that one lane keeps in memory; beyond, those that rest longest are let go.
pub const WALLETS_PER_LANE_MAX: usize = 200_000;
/// Threads that fetch wallets and records for the lanes.
pub const LOADER_THREADS: usize = 2;
/// Wallets that one sweep wakes.
pub const SWEEP_WALLETS_MAX: usize = 1_024;
/// Time between two sweeps for what fell due.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(250);
/// Days for which ids of usage are kept, by the time of their record: the late window, what an event may be ahead of the
/// clock, and a day to spare. Ids of money in, subscriptions and customers are kept for good.
pub const ID_WINDOW_DAYS: i64 = 37;
/// Least time between two steps of forgetting ids of usage.
pub const ID_FORGET_INTERVAL: Duration = Duration::from_secs(3_600);
/// Unpriced events that one wallet rates in one go.
pub const UNPRICED_RATED_MAX: usize = 1_024;
/// Bytes of the records that the committer writes in one frame; what is queued beyond waits for the next.
pub const FRAME_BYTES_SOFT_MAX: usize = 8 << 20;
