//! Instants as RFC 3339.

use farebox_record::time::{Period, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// An instant: RFC 3339, with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map(Time).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Time {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .examples(["2026-11-23T09:30:00Z"])
            .into()
    }
}

impl ToSchema for Time {}

/// A billing period. An event exactly at `end` belongs to the next one.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = Period)]
pub struct PeriodView {
    /// Inclusive.
    pub start: Time,
    /// Exclusive.
    pub end: Time,
    /// 0 for the period in which the subscription started.
    pub index: u32,
}

impl From<Period> for PeriodView {
    fn from(period: Period) -> PeriodView {
        PeriodView {
            start: Time(period.start),
            end: Time(period.end),
            index: period.index,
        }
    }
}
