//! Every limit of the stores, with its unit last.

/// Largest encoded record.
pub const RECORD_BYTES_MAX: usize = 1 << 20;
/// Ids that one record may answer for.
pub const IDS_PER_RECORD_MAX: usize = 4;
