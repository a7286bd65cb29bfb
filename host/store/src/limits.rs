//! Every limit of the stores, with its unit last.
//!
//! What a caller can exceed is refused by [`crate::StoreError::Limit`] with the name given here; the others bound what
//! the journal store keeps in memory or does at once.

/// Largest encoded record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Ids that one record may answer for: the command's own few, and one for each grant that it opens. That are 16 of each of two
/// answers of a plan, and what comes back in each of 32 assets.
pub const IDS_PER_RECORD_MAX: usize = 128; // below 256: a byte says how many
/// Fewest records of a commit: one without any would change a wallet without a version to show for it.
pub const RECORDS_PER_COMMIT_MIN: usize = 1;
/// Shortest name of a tenant or a wallet.
pub const NAME_BYTES_MIN: usize = 1;
/// Longest name of a tenant or a wallet.
pub const NAME_BYTES_MAX: usize = 128;
/// Longest key of a part: of a timer, with the names of its subscription (128), its key (64) and its subject (256).
pub const PART_KEY_BYTES_MAX: usize = 512;
/// Largest part. The state keeps it in rows of [`STATE_ROW_BYTES_MAX`], so larger ones cost rows, not safety.
pub const PART_BYTES_MAX: usize = 1 << 20;
/// Largest frame: everything that one `commit` call keeps. Smaller where a segment is (see [`frame_bytes_max`]).
pub const FRAME_BYTES_MAX: usize = 16 << 20;
/// Largest blob.
pub const BLOB_BYTES_MAX: usize = 64 << 20;
/// Longest name of a blob.
pub const BLOB_NAME_BYTES_MAX: usize = 80; // written in hexadecimal it must still be a file name

/// Longest key of a projection.
pub const PROJECTION_KEY_BYTES_MAX: usize = 640;
/// Largest value of a projection.
pub const PROJECTION_BYTES_MAX: usize = 1 << 20;
/// Bytes of records after which a read of the tail stops; the rest comes with the next.
pub const TAIL_BYTES_MAX: usize = 16 << 20;
/// Bytes of the newest records that are kept in memory until the projections have them; further ones are read from the journal.
/// What they were made from takes some five times as much.
pub const RECENT_BYTES_MAX: usize = 32 << 20;

/// Smallest segment of a journal; tests use it, so that there are many.
pub const SEGMENT_BYTES_MIN: u64 = 16 << 10;
/// Largest segment of a journal.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Bytes of records, or of a segment, that are compressed together: what reading one record has to decompress.
pub const PACK_BLOCK_BYTES: usize = 64 << 10;
/// Blocks of records that stay decompressed, for whoever reads a wallet's history.
pub const JOURNAL_BLOCKS_KEPT: usize = 16;
/// Share of one processor that compressing segments may take.
pub const PACK_CPU_PERCENT_MAX: u32 = 25;
/// How often a journal is listed whose segments are packed or archived meanwhile.
pub const JOURNAL_LIST_ATTEMPTS_MAX: u32 = 10;
/// Least age of the newest record of a segment that is archived, in days: the late window, and two days for what an event
/// may be ahead of the clock and for ids that are still kept. Below it corrections and retries would need the archive.
pub const ARCHIVE_RETENTION_DAYS_MIN: u32 = 37;
/// The same where nobody says how long: a year of statements and corrections, and a month to spare.
pub const ARCHIVE_RETENTION_DAYS_DEFAULT: u32 = 400;
/// Ids of archived segments that are gathered in memory before they are written to a sorted run.
pub const ARCHIVE_IDS_GATHERED_MAX: usize = 1 << 20;
/// Cache of each state that a snapshot is made in, in bytes.
pub const SNAPSHOT_CACHE_BYTES: u64 = 32 << 20;
/// Bytes that must be free on the disk for new work to be begun: two segments, and as much again for the state and the
/// ids. With segments of another size it is at least two of them.
pub const DISK_FREE_BYTES_MIN: u64 = 256 << 20;
/// Bytes that must be free beyond that for work to be begun again, once the disk was nearly full.
pub const DISK_FREE_BYTES_BACK: u64 = 16 << 20;
/// Time between two looks at how much is free.
pub const DISK_LOOK_INTERVAL_MS: u64 = 1_000;
/// Segment files kept open for reading.
pub const SEGMENTS_OPEN_MAX: usize = 64;

/// Bytes of changes that may wait for the state before commits wait too.
pub const PENDING_BYTES_MAX: usize = 64 << 20;
/// Wallets whose version and newest positions stay in memory.
pub const HEADS_CACHED_MAX: usize = 200_000;
/// Bytes of records that are folded into the state at once when a journal is replayed. Twice as much is in memory: what is
/// folded, and what is read meanwhile.
pub const REPLAY_BATCH_BYTES: usize = 64 << 20;

/// Cache of the state.
pub const STATE_CACHE_BYTES: u64 = 128 << 20;
/// Largest value of a row of the state. sled keeps up to 17 of them in a page, and a page beyond a quarter of its segment
/// goes to a file that is never synced; rows of this size stay far below.
pub const STATE_ROW_BYTES_MAX: usize = 3 << 10;
/// How long an open waits for the lock of its folder. Longer only where another process works there.
pub const LOCK_WAIT_MS: u64 = 500;
/// How long an open waits for sled to let go of a state that this process closed just before.
pub const STATE_LOCK_WAIT_MS: u64 = 10_000;
/// Bytes of the journal that the state lacks with which a pass over it is due. A restart replays what the last synced pass
/// lacks, so this bounds it, however fast records come.
pub const STATE_PASS_JOURNAL_BYTES: u64 = 16 << 20;
/// Time after which a pass is due though the journal has grown by less: the longer, the more of a wallet's changes coalesce.
pub const STATE_PASS_INTERVAL_MS: u64 = 10_000;
/// Bytes of rows of projections that are kept, and read, in memory until the state is synced, so that a row that changes with
/// every step of a projection is written once. With more of them they are written at once.
pub const PROJECTION_AHEAD_BYTES_MAX: usize = 32 << 20;

/// Memory for the filters of sealed ids. Runs beyond it answer "maybe" and are searched on disk: slower, never wrong.
pub const ID_FILTER_BYTES_MAX: usize = 1 << 30;
/// Bits of filter for each id: about 1 in 400 unknown ids is looked for on disk. With the fences (16 bytes for each block
/// of 170) an id takes less than 2 bytes of memory.
pub const ID_FILTER_BITS_PER_KEY: usize = 14;
/// Longest stretch of time that one run of ids may cover before its usage ids are forgotten. They are forgotten a run at a
/// time, so this is also how much longer than the window they may be remembered.
pub const ID_RUN_DAYS_MAX: i64 = 7;
/// Runs of ids of one level that become one of the next.
pub const ID_RUNS_MERGED: usize = 4;

/// The largest frame of a journal whose segments have `segment_bytes`: the whole segment but its header block.
pub const fn frame_bytes_max(segment_bytes: u64) -> usize {
    let room = segment_bytes.saturating_sub(4096);
    if room < FRAME_BYTES_MAX as u64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "smaller than FRAME_BYTES_MAX, which is a usize"
        )]
        let room = room as usize;
        room
    } else {
        FRAME_BYTES_MAX
    }
}

const _: () = assert!(PACK_BLOCK_BYTES.is_multiple_of(4096));
const _: () = assert!(0 < PACK_CPU_PERCENT_MAX && PACK_CPU_PERCENT_MAX <= 100);
const _: () = assert!(RECORD_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(FRAME_BYTES_MAX as u64 <= SEGMENT_BYTES_MAX);
const _: () = assert!(STATE_ROW_BYTES_MAX * 17 < 128 << 10);
