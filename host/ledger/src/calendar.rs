//! Where billing periods begin and end. All in UTC.

use farebox_record::state::Cadence;
use farebox_record::time::{Period, Timestamp};
use jiff::Span as Calendar;
use jiff::tz::TimeZone;

/// A period that no calendar holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("period {index} from {anchor} is outside of the calendar")]
pub struct CalendarError {
    anchor: Timestamp,
    index: u32,
}

/// The period number `index`, counted from the anchor. Every boundary is computed from the anchor itself, so an
/// anchor on the 31st comes back to the 31st after a shorter month.
pub fn period_with_index(anchor: Timestamp, cadence: Cadence, index: u32) -> Result<Period, CalendarError> {
    Ok(Period {
        start: boundary(anchor, cadence, index)?,
        end: boundary(anchor, cadence, index.saturating_add(1))?,
        index,
    })
}

/// The period that holds `at`; period 0 for an instant before the anchor.
pub fn period_at(anchor: Timestamp, cadence: Cadence, at: Timestamp) -> Result<Period, CalendarError> {
    // Galloping, then bisection: a daily cadence over years must not count days one by one.
    let (mut low, mut high) = (0_u32, 1_u32);
    while boundary(anchor, cadence, high)? <= at {
        low = high;
        high = high.saturating_mul(2);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match boundary(anchor, cadence, middle)? <= at {
            true => low = middle,
            false => high = middle,
        }
    }
    period_with_index(anchor, cadence, low)
}

fn boundary(anchor: Timestamp, cadence: Cadence, index: u32) -> Result<Timestamp, CalendarError> {
    let error = || CalendarError { anchor, index };
    let many = i64::from(index);
    let span: Calendar = match cadence {
        Cadence::Monthly => Calendar::new().try_months(many).map_err(|_| error())?,
        Cadence::Yearly => Calendar::new().try_years(many).map_err(|_| error())?,
        Cadence::Weekly => Calendar::new().try_weeks(many).map_err(|_| error())?,
        Cadence::Daily => Calendar::new().try_days(many).map_err(|_| error())?,
        Cadence::Days(0) => return Err(error()),
        Cadence::Days(days) => Calendar::new()
            .try_days(many * i64::from(days))
            .map_err(|_| error())?,
    };
    let anchor = jiff::Timestamp::from_microsecond(anchor.as_micros()).map_err(|_| error())?;
    let moved = TimeZone::UTC
        .to_datetime(anchor)
        .checked_add(span)
        .map_err(|_| error())?;
    let instant = TimeZone::UTC.to_timestamp(moved).map_err(|_| error())?;
    Ok(Timestamp::from_micros(instant.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn check(anchor: &str, cadence: Cadence, now: &str, index: u32, start: &str, end: &str) {
        let period = period_at(at(anchor), cadence, at(now)).unwrap();
        assert_eq!(
            period,
            Period {
                start: at(start),
                end: at(end),
                index
            },
            "{now}"
        );
    }

    #[test]
    fn a_month_that_is_too_short_ends_on_its_last_day() {
        let anchor = "2026-01-31T10:00:00Z";
        check(
            anchor,
            Cadence::Monthly,
            anchor,
            0,
            anchor,
            "2026-02-28T10:00:00Z",
        );
        check(
            anchor,
            Cadence::Monthly,
            "2026-02-28T10:00:00Z",
            1,
            "2026-02-28T10:00:00Z",
            "2026-03-31T10:00:00Z",
        );
        check(
            anchor,
            Cadence::Monthly,
            "2026-04-30T09:59:59Z",
            2,
            "2026-03-31T10:00:00Z",
            "2026-04-30T10:00:00Z",
        );
    }

    #[test]
    fn other_cadences() {
        let leap = "2024-02-29T00:00:00Z";
        check(
            leap,
            Cadence::Yearly,
            "2025-03-01T00:00:00Z",
            1,
            "2025-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
        );
        check(
            leap,
            Cadence::Yearly,
            "2028-02-29T00:00:00Z",
            4,
            leap.replace("2024", "2028").as_str(),
            "2029-02-28T00:00:00Z",
        );
        check(
            "2026-01-01T00:00:00Z",
            Cadence::Weekly,
            "2026-01-15T00:00:00Z",
            2,
            "2026-01-15T00:00:00Z",
            "2026-01-22T00:00:00Z",
        );
        check(
            "2026-01-01T00:00:00Z",
            Cadence::Daily,
            "2027-01-01T12:00:00Z",
            365,
            "2027-01-01T00:00:00Z",
            "2027-01-02T00:00:00Z",
        );
        check(
            "2026-01-01T00:00:00Z",
            Cadence::Days(10),
            "2026-01-21T00:00:00Z",
            2,
            "2026-01-21T00:00:00Z",
            "2026-01-31T00:00:00Z",
        );
    }
}
