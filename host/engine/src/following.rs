//! Asking for what follows the records.

use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::Position;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::projection::{
    Books, FeedError, FeedPage, FeedQuery, UsagePage, UsageQuery, Watch, books_between, feed_page,
    is_identifier, usage_found, usage_page,
};

impl Engine {
    /// A piece of the tenant's change feed. Blocks.
    pub fn changes(&self, tenant: &TenantId, query: &FeedQuery) -> Result<FeedPage, FeedError> {
        feed_page(&*self.shared().store, self.now(tenant), tenant, query)
    }

    /// A piece of what a customer used. Blocks.
    pub fn usage(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        query: &UsageQuery,
    ) -> Result<UsagePage, EngineError> {
        let controls = self.controls();
        let store = &*self.shared().store;
        match query
            .by
            .iter()
            .any(|name| is_identifier(name) || controls.follows(tenant, name))
        {
            true => usage_found(store, tenant, customer, query),
            false => usage_page(store, tenant, customer, query),
        }
    }

    /// What moved in the accounts of all the tenant's wallets together from the day of `from` on and before the day of `to`, in
    /// UTC, and what was there before. Blocks.
    ///
    /// # Errors
    /// What the store cannot read, and books that do not balance.
    pub fn books(&self, tenant: &TenantId, from: Timestamp, to: Timestamp) -> Result<Books, EngineError> {
        let _at_rest = self.status().at_rest();
        books_between(&*self.shared().store, tenant, from, to)
    }

    /// Sees how far the change feed and the usage are.
    pub fn watch_projections(&self) -> Watch {
        self.status().watch()
    }

    /// Behind everything that is durable now.
    pub fn durable(&self) -> Result<Position, EngineError> {
        Ok(self.shared().store.end()?)
    }

    /// Up to where the change feed and the usage are. Blocks.
    pub fn projected(&self) -> Result<Position, EngineError> {
        Ok(self.shared().store.projected()?)
    }
}
