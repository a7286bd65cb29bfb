//! Events that count in the same rows, added up before any row is looked for: a pass has thousands of events, and often many of
//! one customer within a minute.

use farebox_record::event::Attributes;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use farebox_store::FastMap;

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
    places: FastMap<Place, usize>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::sample::{attributes, measures};

    /// A minute of 2026 begins at second 0.
    fn counted(second: i64, model: &str, tokens: &str) -> Counted {
        Counted {
            time: Timestamp::from_micros(1_767_225_600_000_000 + second * 1_000_000),
            attributes: Some(attributes(&[("model", model)])),
            totals: Totals {
                events: 1,
                measures: measures(tokens),
                ..Totals::default()
            },
        }
    }

    #[test]
    fn events_of_one_minute_and_combination_are_one_sum_in_the_order_in_which_they_began() {
        let tenant = TenantId::new("default").unwrap();
        let [ada, ben] = ["ada", "ben"].map(|name| CustomerId::new(name).unwrap());
        let mut gathered = Gathered::default();
        for (customer, event) in [
            (&ben, counted(59, "two", "1")),
            (&ada, counted(0, "one", "2")),
            (&ben, counted(0, "two", "4")),
            (&ben, counted(60, "two", "8")),
            (&ada, counted(1, "two", "16")),
            (&ada, counted(2, "one", "32")),
        ] {
            gathered.add(&tenant, customer, event);
        }
        let told = gathered.take().map(|(_, customer, counted)| {
            let model = counted.attributes.unwrap()["model"].clone();
            let tokens = counted.totals.measures["tokens"].to_string();
            let minute = counted.time.as_micros() / 60_000_000 % 60;
            (
                format!("{customer} {model} {minute}"),
                counted.totals.events,
                tokens,
            )
        });
        let one = |place: &str, events, tokens: &str| (place.to_string(), events, tokens.to_string());
        assert_eq!(
            told.collect::<Vec<_>>(),
            [
                one("ben two 0", 2, "5"),
                one("ada one 0", 2, "34"),
                one("ben two 1", 1, "8"),
                one("ada two 0", 1, "16"),
            ]
        );
        assert_eq!(gathered.take().count(), 0);
    }
}
