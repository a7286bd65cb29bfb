//! Events that count in the same rows, added up before any row is looked for: a pass has thousands of events, and often many of
//! one customer within a minute.

use std::collections::HashMap;

use farebox_record::event::Attributes;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;

use super::rows::Every;
use super::usage::{Counted, Totals};

/// Which rows an event counts in: hours and days consist of whole minutes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    tenant: TenantId,
    customer: CustomerId,
    minute: Timestamp,
    attributes: Option<Attributes>,
}

/// Sums that no row has yet, in the order in which each was begun: a bucket gives rows of their own to the combinations that
/// came first.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    sums: Vec<Totals>,
    places: HashMap<Place, usize>,
}

impl Gathered {
    /// Adds what an event counts for.
    pub fn add(&mut self, tenant: &TenantId, customer: &CustomerId, counted: Counted) {
        let place = Place {
            tenant: tenant.clone(),
            customer: customer.clone(),
            minute: Every::Minute.floor(counted.time),
            attributes: counted.attributes,
        };
        let next = self.sums.len();
        match *self.places.entry(place).or_insert(next) {
            known if known < next => self.sums[known].add(&counted.totals),
            _ => self.sums.push(counted.totals),
        }
    }

    /// Takes all of it out: whose, and what counts in the rows of a minute.
    pub fn take(&mut self) -> impl Iterator<Item = (TenantId, CustomerId, Counted)> + use<> {
        let mut places: Vec<(Place, usize)> = std::mem::take(&mut self.places).into_iter().collect();
        places.sort_unstable_by_key(|(_, index)| *index);
        let sums = std::mem::take(&mut self.sums).into_iter();
        places.into_iter().zip(sums).map(|((place, _), totals)| {
            let counted = Counted {
                time: place.minute,
                attributes: place.attributes,
                totals,
            };
            (place.tenant, place.customer, counted)
        })
    }
}
