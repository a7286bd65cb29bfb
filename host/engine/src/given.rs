//! What plans gave back between events, for whoever looks at one of them.
//!
//! The giver keeps what it gave and has not taken again; the event that it was given of keeps who gave. So both sides are
//! read from what the wallet holds, without its history.

use farebox_record::correction::{GiveBacks, GivenBack};
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::plan::EventRef;
use farebox_store::WalletKey;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loader;

/// How an event stands to others by what their plan gave back, and did not take again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// What came back of it, each slice with the later event that gave it; givers in the order in which they gave.
    pub of_it: Vec<(EventRef, GivenBack)>,
    /// What it gave back of earlier events, in the order in which it was given.
    pub by_it: Vec<GivenBack>,
}

impl Engine {
    /// What a plan gave back of a durable event, and by it. Nothing of either for an event that is not known. Blocks.
    ///
    /// At most [`farebox_ledger::limits::GIVERS_PER_EVENT_MAX`] events gave back of one.
    pub fn given(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        event: &EventRef,
    ) -> Result<Given, EngineError> {
        let wallet = WalletKey::new(tenant.as_str(), customer.as_str());
        let own = self.give_backs(&wallet, event)?;
        let mut given = Given {
            of_it: Vec::new(),
            by_it: own.gave,
        };
        for giver in own.by {
            let gave = self.give_backs(&wallet, &giver)?.gave;
            let of_it = gave.into_iter().filter(|slice| slice.event == *event);
            given.of_it.extend(of_it.map(|slice| (giver.clone(), slice)));
        }
        Ok(given)
    }

    fn give_backs(&self, wallet: &WalletKey, event: &EventRef) -> Result<GiveBacks, EngineError> {
        Ok(loader::give_backs(&*self.shared().store, wallet, event)?)
    }
}
