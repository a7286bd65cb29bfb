//! Every limit of statements, with its unit last. What exceeds one is refused by its name.

/// Records of a wallet that are read for one statement, from the newest one back to its beginning.
pub const STATEMENT_RECORDS_MAX: usize = 1_000_000;
/// Lines of one statement. Usage is summed up; what takes a line for each is a grant, a correction, a payment.
pub const STATEMENT_LINES_MAX: usize = 10_000;
/// Records that are read, decoded and folded at a time.
pub const STATEMENT_READ_RECORDS: usize = 1_000;
