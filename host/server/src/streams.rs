//! Open streams: how many a tenant has, and how they learn that the server shuts down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use farebox_record::ids::TenantId;
use tokio::sync::watch;

use crate::code::Code;
use crate::limits::CHANGE_STREAMS_PER_TENANT_MAX;
use crate::problem::Problem;

/// All open streams of a server.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Arc<Mutex<BTreeMap<TenantId, usize>>>,
    closing: watch::Sender<bool>,
}

/// Room for one stream; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    tenant: TenantId,
    open: Arc<Mutex<BTreeMap<TenantId, usize>>>,
}

/// Told when the server shuts down.
#[derive(Debug)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Streams {
    pub fn new() -> Streams {
        Streams {
            open: Arc::default(),
            closing: watch::Sender::new(false),
        }
    }

    /// Room for one more stream of a tenant.
    pub fn open(&self, tenant: &TenantId) -> Result<Permit, Problem> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(tenant.clone()).or_default();
        if *count >= CHANGE_STREAMS_PER_TENANT_MAX {
            let detail = format!("{CHANGE_STREAMS_PER_TENANT_MAX} streams of changes are open already");
            return Err(Problem::new(Code::Busy, detail)
                .hint("Close one of them, or read pages without `Accept: text/event-stream`.")
                .with("limit", "CHANGE_STREAMS_PER_TENANT_MAX"));
        }
        *count += 1;
        Ok(Permit {
            tenant: tenant.clone(),
            open: Arc::clone(&self.open),
        })
    }

    /// Ends all streams, now and from now on.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    pub fn closing(&self) -> Closing {
        Closing(self.closing.subscribe())
    }
}

impl Closing {
    /// Waits until the server shuts down.
    pub async fn closed(&mut self) {
        let _ = self.0.wait_for(|closing| *closing).await; // a server that is gone has shut down
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_own_room_and_gets_it_back() {
        let streams = Streams::new();
        let (one, two) = (TenantId::new("one").unwrap(), TenantId::new("two").unwrap());
        let mut held: Vec<Permit> = (0..CHANGE_STREAMS_PER_TENANT_MAX)
            .map(|_| streams.open(&one).unwrap())
            .collect();
        let full = streams.open(&one).unwrap_err();
        assert_eq!(full.member("limit").unwrap(), "CHANGE_STREAMS_PER_TENANT_MAX");
        streams.open(&two).unwrap();
        held.pop();
        streams.open(&one).unwrap();
    }
}
