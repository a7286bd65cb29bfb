//! What a server can be told.

/// How a server is set up. Limits are not among it: they are the same everywhere, and stand in [`crate::limits`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Keys that may read.
    #[default]
    Readers,
    /// Anyone: for a scraper within a private network.
    Public,
}
