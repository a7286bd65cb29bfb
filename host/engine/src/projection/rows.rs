//! Keys of what is projected. The tenant leads every key, and within a wallet the time does.
//!
//! ```text
//! f tenant 0 position index                    an item of the feed
//! k tenant 0                                   up to where the feed was cut off
//! o tenant 0 customer 0 source 0 id            what an event counts for of which more may be said
//! m|h|d tenant 0 customer 0 time kind hash     usage of a minute, an hour, a day
//! b tenant 0 time asset                        what moved in all wallets together on a day
//! w tenant 0 customer                          the day up to which a wallet's history has come
//! v                                            the format of all of it
//! ```
//! No name holds a 0.

use farebox_money::Asset;
use farebox_record::event::Attributes;
use farebox_record::ids::{CustomerId, RevisionHash, TenantId};
use farebox_record::plan::EventRef;
use farebox_record::time::{Span, Timestamp};
use farebox_store::Position;
use serde::{Deserialize, Serialize};

use super::change::FeedCursor;
use super::usage::Totals;
use crate::limits::{USAGE_HOURS_KEPT, USAGE_MINUTES_KEPT};

/// Format of keys and values; another one is thrown away and made again.
pub(crate) const FORMAT: &[u8] = &[5];
pub(crate) const FORMAT_KEY: &[u8] = b"v";
pub(crate) const FEED: u8 = b'f';
const CUT: u8 = b'k';
const NOTE: u8 = b'o';
const SUBJECT: u8 = b's';
const CLOCK: u8 = b't';
pub(crate) const BOOKS: u8 = b'b';
const WALLET_DAY: u8 = b'w';

/// A row of a combination of attributes.
const COMBINATION: u8 = 1;
/// The row of everything that has none of its own.
const OTHER: u8 = 2;

/// How long the times are that usage is summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Every {
    /// 60 seconds, kept for [`USAGE_MINUTES_KEPT`].
    Minute,
    /// 60 minutes, kept for [`USAGE_HOURS_KEPT`].
    Hour,
    /// 24 hours in UTC, kept for good.
    Day,
}

impl Every {
    /// All of them, shortest first.
    pub const ALL: [Every; 3] = [Every::Minute, Every::Hour, Every::Day];

    /// As programs name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Every::Minute => "minute",
            Every::Hour => "hour",
            Every::Day => "day",
        }
    }

    /// How long each is.
    pub const fn span(self) -> Span {
        match self {
            Every::Minute => Span::seconds(60),
            Every::Hour => Span::seconds(3_600),
            Every::Day => Span::days(1),
        }
    }

    /// How long rows are kept; none: for good.
    pub const fn kept(self) -> Option<Span> {
        match self {
            Every::Minute => Some(USAGE_MINUTES_KEPT),
            Every::Hour => Some(USAGE_HOURS_KEPT),
            Every::Day => None,
        }
    }

    /// The beginning of the one that an instant is in.
    pub fn floor(self, time: Timestamp) -> Timestamp {
        let micros = time.as_micros();
        Timestamp::from_micros(micros.saturating_sub(micros.rem_euclid(self.span().as_micros())))
    }

    /// The first whose rows are kept; none: all are.
    pub fn oldest_kept(self, now: Timestamp) -> Option<Timestamp> {
        self.kept().map(|kept| self.floor(now.saturating_sub(kept)))
    }

    pub(crate) const fn key(self) -> u8 {
        match self {
            Every::Minute => b'm',
            Every::Hour => b'h',
            Every::Day => b'd',
        }
    }
}

/// Sums of one combination of attributes within one minute, hour or day of one wallet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsageRow {
    /// Which; none for the row of everything that has none of its own.
    pub attributes: Option<Attributes>,
    pub totals: Totals,
}

/// What every key of a tenant's feed begins with.
pub(crate) fn feed(tenant: &TenantId) -> Vec<u8> {
    named(FEED, &[tenant.as_str()])
}

pub(crate) fn item(tenant: &TenantId, cursor: FeedCursor) -> Vec<u8> {
    let mut key = feed(tenant);
    key.extend_from_slice(&cursor.position.0.to_be_bytes());
    key.extend_from_slice(&cursor.index.to_be_bytes());
    key
}

/// Where the item with this key is in its feed.
pub(crate) fn cursor_of(key: &[u8]) -> Option<FeedCursor> {
    let (_, place) = key.split_last_chunk::<10>()?;
    let (position, index) = place.split_first_chunk::<8>()?;
    Some(FeedCursor {
        position: Position(u64::from_be_bytes(*position)),
        index: u16::from_be_bytes(index.try_into().ok()?),
    })
}

/// Up to where a tenant's feed was cut off.
pub(crate) fn cut(tenant: &TenantId) -> Vec<u8> {
    named(CUT, &[tenant.as_str()])
}

/// Where a sandbox's clock stands.
pub(crate) fn clock(tenant: &TenantId) -> Vec<u8> {
    named(CLOCK, &[tenant.as_str()])
}

pub(crate) fn note(tenant: &TenantId, customer: &CustomerId, event: &EventRef) -> Vec<u8> {
    let names = [
        tenant.as_str(),
        customer.as_str(),
        event.source.as_str(),
        event.id.as_str(),
    ];
    named(NOTE, &names)
}

/// The attribute that the plan of a revision follows.
pub(crate) fn subject(tenant: &TenantId, revision: &RevisionHash) -> Vec<u8> {
    named(SUBJECT, &[tenant.as_str(), &revision.to_string()])
}

/// What every usage key of a wallet begins with.
pub(crate) fn usage(every: Every, tenant: &TenantId, customer: &CustomerId) -> Vec<u8> {
    named(every.key(), &[tenant.as_str(), customer.as_str()])
}

/// What every usage key of one minute, hour or day of a wallet begins with.
pub(crate) fn bucket(every: Every, tenant: &TenantId, customer: &CustomerId, time: Timestamp) -> Vec<u8> {
    timed(usage(every, tenant, customer), time)
}

/// What every key of a tenant's books begins with.
pub(crate) fn books(tenant: &TenantId) -> Vec<u8> {
    named(BOOKS, &[tenant.as_str()])
}

/// What moved in an asset on the day that begins at `day`.
pub(crate) fn booked(tenant: &TenantId, day: Timestamp, asset: &Asset) -> Vec<u8> {
    let mut key = timed(books(tenant), day);
    key.extend_from_slice(asset.as_str().as_bytes());
    key
}

/// The asset of a key of the books.
pub(crate) fn booked_asset(prefix: &[u8], key: &[u8]) -> Option<Asset> {
    let (_, asset) = key.strip_prefix(prefix)?.split_first_chunk::<8>()?;
    Asset::new(std::str::from_utf8(asset).ok()?).ok()
}

/// Whose books a key belongs to, of which day and in which asset.
pub(crate) fn whose_books(key: &[u8]) -> Option<(TenantId, Timestamp, Asset)> {
    let name = key.strip_prefix(&[BOOKS])?.split(|byte| *byte == 0).next()?;
    let tenant = TenantId::new(std::str::from_utf8(name).ok()?).ok()?;
    let prefix = books(&tenant);
    let (day, asset) = (time_of(&prefix, key)?, booked_asset(&prefix, key)?);
    Some((tenant, day, asset))
}

/// The day up to which a wallet's history has come.
pub(crate) fn wallet_day(tenant: &TenantId, customer: &CustomerId) -> Vec<u8> {
    named(WALLET_DAY, &[tenant.as_str(), customer.as_str()])
}

/// A key that goes on with a time. With the sign turned over, times before the epoch sort before it.
fn timed(mut key: Vec<u8>, time: Timestamp) -> Vec<u8> {
    key.extend_from_slice(&(time.as_micros().cast_unsigned() ^ (1 << 63)).to_be_bytes());
    key
}

/// What tells a combination of attributes apart: the same in each bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination([u8; 16]);

/// That of these attributes.
pub(crate) fn combination(attributes: &Attributes) -> Combination {
    let hash = blake3::hash(&farebox_record::codec::naming(attributes));
    let mut first = [0; 16];
    first.copy_from_slice(&hash.as_bytes()[..16]);
    Combination(first)
}

/// The row of a combination within a bucket.
pub(crate) fn own(bucket: &[u8], combination: &Combination) -> Vec<u8> {
    let mut key = Vec::with_capacity(bucket.len() + 1 + combination.0.len());
    key.extend_from_slice(bucket);
    key.push(COMBINATION);
    key.extend_from_slice(&combination.0);
    key
}

/// The row of everything within a bucket that has none of its own.
pub(crate) fn other(bucket: &[u8]) -> Vec<u8> {
    let mut key = bucket.to_vec();
    key.push(OTHER);
    key
}

/// When the bucket of a usage key, or the day of a key of the books, begins. `prefix` is what all of its wallet, or of its
/// tenant, begin with.
pub(crate) fn time_of(prefix: &[u8], key: &[u8]) -> Option<Timestamp> {
    let (time, _) = key.strip_prefix(prefix)?.split_first_chunk::<8>()?;
    Some(Timestamp::from_micros(
        (u64::from_be_bytes(*time) ^ (1 << 63)).cast_signed(),
    ))
}

/// What the keys of the same feed or the same wallet begin with, and whose they are: tenant, and customer if any.
pub(crate) fn owner(key: &[u8]) -> Option<(Vec<u8>, TenantId, Option<CustomerId>)> {
    let (&kind, rest) = key.split_first()?;
    let mut names = rest.split(|byte| *byte == 0);
    let tenant = TenantId::new(std::str::from_utf8(names.next()?).ok()?).ok()?;
    if kind == FEED {
        return Some((feed(&tenant), tenant, None));
    }
    let customer = CustomerId::new(std::str::from_utf8(names.next()?).ok()?).ok()?;
    let prefix = named(kind, &[tenant.as_str(), customer.as_str()]);
    Some((prefix, tenant, Some(customer)))
}

fn named(kind: u8, names: &[&str]) -> Vec<u8> {
    let mut key = vec![kind];
    for name in names {
        key.extend_from_slice(name.as_bytes());
        key.push(0);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::super::usage::Charged;
    use super::*;

    #[test]
    fn times_are_cut_to_what_they_are_in() {
        let check = |every: Every, time: &str, expected: &str| {
            let time: Timestamp = time.parse().unwrap();
            assert_eq!(every.floor(time).to_string(), expected, "{every:?}");
        };
        check(
            Every::Minute,
            "2026-11-23T09:30:59.999999Z",
            "2026-11-23T09:30:00Z",
        );
        check(Every::Minute, "2026-11-23T09:31:00Z", "2026-11-23T09:31:00Z");
        check(Every::Hour, "2026-11-23T09:59:59Z", "2026-11-23T09:00:00Z");
        check(Every::Day, "2026-11-23T23:59:59Z", "2026-11-23T00:00:00Z");
        check(Every::Minute, "1969-12-31T23:59:59.5Z", "1969-12-31T23:59:00Z");
    }

    /// What the choice of separate rows for minutes, hours and days rests on: see `ARCHITECTURE.md`.
    #[test]
    fn a_row_of_a_usual_event_is_small() {
        let names = ["input_tokens", "output_tokens", "cache_read_tokens", "cost_usd"];
        let mut totals = Totals {
            events: 40,
            ..Totals::default()
        };
        for (name, code) in names.into_iter().zip(["input", "output", "cache-read"]) {
            let sum = farebox_money::Nanos::units(123_456);
            let charged = Charged {
                amount: farebox_money::Nanos::new(370_368_000),
                quantity: sum,
            };
            totals.measures.insert(name.into(), sum);
            totals
                .charges
                .insert((code.into(), "usd".parse().unwrap()), charged);
        }
        totals
            .measures
            .insert("cost_usd".into(), farebox_money::Nanos::new(290_000_000));
        let attributes = [
            ("feature", "chat"),
            ("model", "claude-sonnet-4.6"),
            ("team", "support"),
        ];
        let attributes: Attributes = attributes.map(|(a, b)| (a.to_string(), b.to_string())).into();
        let bucket = bucket(
            Every::Minute,
            &"default".parse().unwrap(),
            &"acme".parse().unwrap(),
            Timestamp::EPOCH,
        );
        let key = own(&bucket, &combination(&attributes)).len();
        let row = UsageRow {
            attributes: Some(attributes),
            totals,
        };
        let bytes = key + farebox_record::codec::encode(&row).len();
        println!("{bytes} bytes");
        assert!(bytes < 300, "{bytes}");
    }

    #[test]
    fn keys_sort_by_wallet_then_time_and_name_both() {
        let (tenant, a, ab) = ("t".parse().unwrap(), "a".parse().unwrap(), "a-b".parse().unwrap());
        let at = |customer, seconds: i64| {
            let time = Timestamp::from_micros(seconds * 1_000_000);
            other(&bucket(Every::Minute, &tenant, customer, time))
        };
        let keys = [at(&a, -60), at(&a, 0), at(&a, 60), at(&ab, -60)];
        assert!(keys.is_sorted());
        let prefix = usage(Every::Minute, &tenant, &a);
        assert_eq!(
            time_of(&prefix, &keys[0]),
            Some(Timestamp::from_micros(-60_000_000))
        );
        assert_eq!(
            owner(&keys[3]),
            Some((usage(Every::Minute, &tenant, &ab), tenant.clone(), Some(ab)))
        );
        let cursor = FeedCursor {
            position: Position(7),
            index: 2,
        };
        let item = item(&tenant, cursor);
        assert_eq!(
            (cursor_of(&item), owner(&item)),
            (Some(cursor), Some((feed(&tenant), tenant, None)))
        );
    }
}
