//! Instants and lengths of time, as they are written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z. The store's clock gives them out monotonically per tenant.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// Why a text is not a [`Timestamp`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time: expected RFC 3339 such as \"2026-11-23T09:30:00Z\"")]
pub struct TimestampError {
    text: String,
}

impl Timestamp {
    /// The first instant that Farebox knows.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Later by `span`; stays at the end of time rather than wrapping.
    pub const fn saturating_add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// Earlier by `span`; stays at the beginning of time rather than wrapping.
    pub const fn saturating_sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Timestamp, TimestampError> {
        let parsed: jiff::Timestamp = text.parse().map_err(|_| TimestampError {
            text: text.chars().take(64).collect(),
        })?;
        Ok(Timestamp(parsed.as_microsecond()))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => fmt::Display::fmt(&at, f),
            Err(_) => write!(f, "{} us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A length of time in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    /// Whole seconds.
    pub const fn seconds(seconds: u32) -> Span {
        Span(seconds as i64 * 1_000_000)
    }

    /// Days of 24 hours.
    pub const fn days(days: u32) -> Span {
        Span(days as i64 * 86_400_000_000)
    }

    /// The number of microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }
}

/// A length of time by the calendar: whole months, then what is left in microseconds. In UTC every day has 24 hours, so
/// months (and years, which are twelve) are all that has no fixed length. Never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalendarSpan {
    months: u32,
    micros: u64,
}

/// Why a text is not a [`CalendarSpan`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a length of time: expected ISO 8601 such as \"P1M\" or \"PT36H\", or words such as \"1 month\" or \
     \"2 days 12 hours\", in whole microseconds and not negative"
)]
pub struct CalendarSpanError {
    text: String,
}

impl CalendarSpan {
    /// Whole seconds.
    pub const fn seconds(seconds: u64) -> CalendarSpan {
        CalendarSpan {
            months: 0,
            micros: seconds.saturating_mul(1_000_000),
        }
    }

    /// The instant so much later: months first, where the 31st becomes the last day of a shorter month. None outside of
    /// the calendar.
    pub fn after(self, instant: Timestamp) -> Option<Timestamp> {
        let start = jiff::Timestamp::from_microsecond(instant.0).ok()?;
        let months = jiff::Span::new().try_months(self.months).ok()?;
        let moved = jiff::tz::TimeZone::UTC
            .to_datetime(start)
            .checked_add(months)
            .ok()?;
        let moved = jiff::tz::TimeZone::UTC.to_timestamp(moved).ok()?;
        let micros = moved.as_microsecond().checked_add_unsigned(self.micros)?;
        jiff::Timestamp::from_microsecond(micros).ok()?;
        Some(Timestamp(micros))
    }

    fn of(span: &jiff::Span) -> Option<CalendarSpan> {
        if span.is_negative() || span.get_nanoseconds() != 0 {
            return None;
        }
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        let hours =
            (i64::from(span.get_weeks()) * 7 + i64::from(span.get_days())) * 24 + i64::from(span.get_hours());
        let seconds =
            i128::from(hours) * 3_600 + i128::from(span.get_minutes()) * 60 + i128::from(span.get_seconds());
        let micros = seconds * 1_000_000
            + i128::from(span.get_milliseconds()) * 1_000
            + i128::from(span.get_microseconds());
        Some(CalendarSpan {
            months: u32::try_from(months).ok()?,
            micros: u64::try_from(micros).ok()?,
        })
    }
}

impl FromStr for CalendarSpan {
    type Err = CalendarSpanError;
    fn from_str(text: &str) -> Result<CalendarSpan, CalendarSpanError> {
        let parsed: Option<jiff::Span> = text.parse().ok();
        parsed
            .as_ref()
            .and_then(CalendarSpan::of)
            .ok_or_else(|| CalendarSpanError {
                text: text.chars().take(64).collect(),
            })
    }
}

/// A billing period of a subscription. An event exactly at `end` belongs to the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Inclusive.
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    /// 0 for the period in which the subscription started.
    pub index: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(span: &str, from: &str, to: &str) {
        let span: CalendarSpan = span.parse().unwrap();
        let to: Timestamp = to.parse().unwrap();
        assert_eq!(span.after(from.parse().unwrap()), Some(to));
    }

    #[test]
    fn months_follow_the_calendar_and_the_rest_does_not() {
        check("P1M", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z");
        check("1 month", "2026-02-28T10:00:00Z", "2026-03-28T10:00:00Z");
        check("P1Y", "2024-02-29T00:00:00Z", "2025-02-28T00:00:00Z");
        check("12 months", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("P1M1D", "2026-01-31T00:00:00Z", "2026-03-01T00:00:00Z");
        check("P2W", "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z");
        check("2d 12h", "2026-01-01T00:00:00Z", "2026-01-03T12:00:00Z");
        check("PT0.25S", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.25Z");
        check("PT0S", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        for text in [
            "",
            "P",
            "1",
            "-P1M",
            "1 month ago",
            "P1.5M",
            "2026-01-01",
            "PT0.0000001S",
        ] {
            assert!(text.parse::<CalendarSpan>().is_err(), "{text}");
        }
        let end: Timestamp = "9999-12-01T00:00:00Z".parse().unwrap();
        assert_eq!("P2M".parse::<CalendarSpan>().unwrap().after(end), None);
        assert_eq!(CalendarSpan::seconds(u64::MAX).after(end), None);
    }
}
