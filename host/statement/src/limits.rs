//! Every limit of statements, with its unit last. What exceeds one is refused by its name.

/// Lines of one statement. Usage is summed up; what takes a line for each is a grant, a correction, a payment.
pub const STATEMENT_LINES_MAX: usize = 10_000;
/// Records that are read, decoded and folded at a time.
pub const STATEMENT_READ_RECORDS: usize = 1_000;
