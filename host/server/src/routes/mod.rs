//! Handlers: decode, ask the engine, encode.

pub(crate) mod authorize;
pub(crate) mod backfills;
pub(crate) mod books;
pub(crate) mod changes;
mod changes_stream;
pub(crate) mod corrections;
pub(crate) mod customers;
pub(crate) mod entries;
pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod holds;
pub(crate) mod keys;
pub(crate) mod limits;
pub(crate) mod plans;
pub(crate) mod statement;
pub(crate) mod subscriptions;
pub(crate) mod system;
pub(crate) mod tenants;
pub(crate) mod unpriced;
pub(crate) mod usage;

use serde::Deserialize;

/// Which page of a list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Items of a page, 1 to 200; 50 unless told.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}
