//! Room that tenants share, so that none of them fills all of it.
//!
//! A tenant may take as much as it leaves free for others: half of it where it is alone, a third each where there are two. So
//! whoever comes next always finds some, and no share has to be set aside for anybody.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use farebox_record::ids::TenantId;
use parking_lot::RwLock;

/// Room that is shared. Clones are handles of the same room.
#[derive(Debug, Clone)]
pub struct Shares {
    whole: Arc<Whole>,
    parts: Arc<RwLock<HashMap<TenantId, Arc<Part>>>>,
}

#[derive(Debug)]
struct Whole {
    max: usize,
    free: AtomicUsize,
}

/// What one tenant has of it.
#[derive(Debug)]
struct Part {
    whole: Arc<Whole>,
    taken: AtomicUsize,
}

/// Why there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There is not as much left.
    All,
    /// It would be more than the tenant leaves for others.
    Tenant,
}

/// Some of the room, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    part: Arc<Part>,
    count: usize,
}

impl Shares {
    /// Room for `max` of whatever is counted.
    pub fn new(max: usize) -> Shares {
        Shares {
            whole: Arc::new(Whole {
                max,
                free: AtomicUsize::new(max),
            }),
            parts: Arc::default(),
        }
    }

    /// Takes `count` for a tenant, or nothing.
    ///
    /// # Errors
    /// Why there is no room.
    pub fn take(&self, tenant: &TenantId, count: usize) -> Result<Share, Full> {
        let part = self.part(tenant);
        let take = |free: usize| free.checked_sub(count);
        let free = &self.whole.free;
        let before = free.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        let left = before.map_err(|_| Full::All)? - count;
        let taken = part.taken.fetch_add(count, Ordering::AcqRel) + count;
        let share = Share { part, count };
        match taken <= left {
            true => Ok(share),
            false => Err(Full::Tenant), // gives back what it took
        }
    }

    /// Whether nobody has any of it.
    pub fn is_unused(&self) -> bool {
        self.whole.free.load(Ordering::Acquire) == self.whole.max
    }

    fn part(&self, tenant: &TenantId) -> Arc<Part> {
        if let Some(part) = self.parts.read().get(tenant) {
            return Arc::clone(part);
        }
        let mut parts = self.parts.write();
        let part = parts.entry(tenant.clone()).or_insert_with(|| {
            Arc::new(Part {
                whole: Arc::clone(&self.whole),
                taken: AtomicUsize::new(0),
            })
        });
        Arc::clone(part)
    }
}

impl Share {
    /// Splits one off; none where nothing is left.
    pub fn split_one(&mut self) -> Option<Share> {
        self.count = self.count.checked_sub(1)?;
        Some(Share {
            part: Arc::clone(&self.part),
            count: 1,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.part.taken.fetch_sub(self.count, Ordering::AcqRel);
        self.part.whole.free.fetch_add(self.count, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn a_tenant_takes_as_much_as_it_leaves_for_others() {
        let shares = Shares::new(12);
        let alone = shares.take(&tenant("a"), 6).unwrap();
        assert_eq!(shares.take(&tenant("a"), 1).unwrap_err(), Full::Tenant);
        // 6 are left: of them another takes 3, which leaves 3 and is as much.
        let other = shares.take(&tenant("b"), 3).unwrap();
        assert_eq!(shares.take(&tenant("b"), 1).unwrap_err(), Full::Tenant);
        let third = shares.take(&tenant("c"), 1).unwrap();
        assert_eq!(shares.take(&tenant("d"), 3).unwrap_err(), Full::All);
        drop((alone, other, third));
        assert!(shares.is_unused());
    }

    #[test]
    fn a_refusal_takes_nothing() {
        let shares = Shares::new(4);
        for _ in 0..100 {
            assert_eq!(shares.take(&tenant("a"), 5).unwrap_err(), Full::All);
            assert_eq!(shares.take(&tenant("a"), 3).unwrap_err(), Full::Tenant);
        }
        assert!(shares.is_unused());
        assert!(shares.take(&tenant("a"), 2).is_ok());
    }

    #[test]
    fn a_share_is_given_back_one_by_one() {
        let shares = Shares::new(4);
        let mut share = shares.take(&tenant("a"), 2).unwrap();
        let ones = [share.split_one().unwrap(), share.split_one().unwrap()];
        assert!(share.split_one().is_none());
        drop(share);
        assert_eq!(shares.take(&tenant("a"), 1).unwrap_err(), Full::Tenant);
        let [first, second] = ones;
        drop(first);
        assert!(shares.take(&tenant("a"), 1).is_ok());
        drop(second);
        assert!(shares.is_unused());
    }
}
