//! Where windows begin and end, and what of a limit's usage is in the present one. All in UTC.

use farebox_money::Nanos;
use farebox_record::spending::{CalendarUnit, LimitState, Threshold, Used, Window};
use farebox_record::time::{Span, Timestamp};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
/// 1970-01-01 was a Thursday: the Monday before it.
const FIRST_MONDAY: i64 = -3 * DAY;

/// The window of the calendar that holds `at`: its start, inclusive, and its end, exclusive. At the end of what the
/// calendar can say, one that never ends.
pub(crate) fn calendar_window(unit: CalendarUnit, at: Timestamp) -> (Timestamp, Timestamp) {
    match unit {
        CalendarUnit::Hour => even(at, HOUR, 0),
        CalendarUnit::Day => even(at, DAY, 0),
        CalendarUnit::Week => even(at, WEEK, FIRST_MONDAY),
        CalendarUnit::Month | CalendarUnit::Year => {
            uneven(unit, at).unwrap_or((Timestamp::EPOCH.min(at), Timestamp::from_micros(i64::MAX)))
        }
    }
}

/// Windows of equal length, counted from `origin`.
fn even(at: Timestamp, length: i64, origin: i64) -> (Timestamp, Timestamp) {
    let behind = at.as_micros().saturating_sub(origin).rem_euclid(length);
    let start = at.as_micros().saturating_sub(behind);
    (
        Timestamp::from_micros(start),
        Timestamp::from_micros(start.saturating_add(length)),
    )
}

/// Months and years.
fn uneven(unit: CalendarUnit, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let now = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?;
    let today = TimeZone::UTC.to_datetime(now).date();
    let (first, length) = match unit {
        CalendarUnit::Year => (today.first_of_year(), 1.year()),
        _ => (today.first_of_month(), 1.month()),
    };
    Some((midnight(first)?, midnight(first.checked_add(length).ok()?)?))
}

fn midnight(date: Date) -> Option<Timestamp> {
    let instant = TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    Some(Timestamp::from_micros(instant.as_microsecond()))
}

/// Which step an instant is in.
fn step_at(at: Timestamp, step: Span) -> i64 {
    at.as_micros().div_euclid(step.as_micros().max(1))
}

/// When a step begins.
fn step_start(index: i64, step: Span) -> Timestamp {
    Timestamp::from_micros(index.saturating_mul(step.as_micros()))
}

/// The oldest step that counts at `at`: the whole length lies behind it, so the window is never too short.
fn oldest_step(at: Timestamp, step: Span, steps: u16) -> i64 {
    step_at(at, step).saturating_sub(i64::from(steps))
}

/// Nothing used.
pub(crate) fn unused(window: Window, at: Timestamp) -> Used {
    match window {
        Window::Calendar(unit) => {
            let (start, end) = calendar_window(unit, at);
            Used::Calendar {
                start,
                end,
                amount: Nanos::ZERO,
            }
        }
        Window::Rolling { .. } => Used::Rolling(Vec::new()),
    }
}

/// The window that holds `at`; a rolling one has no end, and begins with the oldest instant that may still count.
pub(crate) fn bounds(window: Window, at: Timestamp) -> (Timestamp, Option<Timestamp>) {
    match window {
        Window::Calendar(unit) => {
            let (start, end) = calendar_window(unit, at);
            (start, Some(end))
        }
        Window::Rolling { step, steps } => (step_start(oldest_step(at, step, steps), step), None),
    }
}

/// What is used in the window that holds `at`.
pub(crate) fn used_at(limit: &LimitState, at: Timestamp) -> Nanos {
    match (&limit.used, limit.terms.window) {
        (Used::Calendar { end, amount, .. }, _) if at < *end => *amount,
        (Used::Rolling(counted), Window::Rolling { step, steps }) => {
            let oldest = oldest_step(at, step, steps);
            let inside = counted.iter().filter(|(index, _)| *index >= oldest);
            Nanos::new(inside.map(|(_, amount)| amount.get()).sum())
        }
        (Used::Calendar { .. } | Used::Rolling(_), _) => Nanos::ZERO,
    }
}

/// Whether usage has reached a threshold. Nothing used reaches none.
pub(crate) fn reached(threshold: Threshold, amount: Nanos, used: Nanos) -> bool {
    used.is_positive() && used >= threshold.level(amount)
}

/// Moves the limit's window on to `at`: what is no longer inside is forgotten, and thresholds are armed again that its
/// usage has not reached.
pub(crate) fn move_on(limit: &mut LimitState, at: Timestamp) {
    match (&mut limit.used, limit.terms.window) {
        (Used::Calendar { end, .. }, window @ Window::Calendar(_)) => {
            if at >= *end {
                limit.used = unused(window, at);
                limit.crossed.clear();
            }
        }
        (Used::Rolling(counted), Window::Rolling { step, steps }) => {
            let oldest = oldest_step(at, step, steps);
            counted.retain(|(index, _)| *index >= oldest);
            arm_again(limit, at);
        }
        (Used::Calendar { .. } | Used::Rolling(_), window) => limit.used = unused(window, at),
    }
}

/// In a rolling window, what usage fell below may be reached again.
pub(crate) fn arm_again(limit: &mut LimitState, at: Timestamp) {
    if matches!(limit.terms.window, Window::Rolling { .. }) {
        let (amount, used) = (limit.terms.amount, used_at(limit, at));
        limit
            .crossed
            .retain(|threshold| reached(*threshold, amount, used));
    }
}

/// Counts something at `at`, to which the window has moved on. Usage is never below zero; what is taken back from a
/// rolling window is taken from its oldest steps, so that the rest counts for as long as it can. None: out of range.
#[must_use]
pub(crate) fn add(limit: &mut LimitState, at: Timestamp, change: Nanos) -> Option<()> {
    match (&mut limit.used, limit.terms.window) {
        (Used::Calendar { amount, .. }, _) => {
            *amount = amount.checked_add(change)?.max(Nanos::ZERO);
        }
        (Used::Rolling(counted), Window::Rolling { step, .. }) if change.is_positive() => {
            let present = step_at(at, step);
            match counted.last_mut() {
                Some((index, amount)) if *index == present => *amount = amount.checked_add(change)?,
                _ => counted.push((present, change)),
            }
        }
        (Used::Rolling(counted), _) => {
            let mut back = change.get().checked_neg()?;
            for (_, amount) in counted.iter_mut() {
                let taken = back.min(amount.get());
                *amount = Nanos::new(amount.get() - taken);
                back -= taken;
            }
            counted.retain(|(_, amount)| amount.is_positive());
        }
    }
    arm_again(limit, at);
    Some(())
}

/// When `missing` more fits than does at `at`, with nothing used meanwhile. See
/// [`farebox_record::spending::ExceededLimit::resets`].
pub(crate) fn resets(limit: &LimitState, at: Timestamp, missing: Nanos) -> Option<Timestamp> {
    let Window::Rolling { step, steps } = limit.terms.window else {
        return bounds(limit.terms.window, at).1;
    };
    let Used::Rolling(counted) = &limit.used else {
        return None;
    };
    let oldest = oldest_step(at, step, steps);
    let (mut freed, mut when) = (0, None);
    for (index, amount) in counted.iter().filter(|(index, _)| *index >= oldest) {
        let leaves = index.saturating_add(i64::from(steps)).saturating_add(1);
        when = Some(step_start(leaves, step));
        freed += amount.get();
        if freed >= missing.get() {
            break;
        }
    }
    when
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_of_the_calendar_are_those_of_utc() {
        use CalendarUnit::{Day, Hour, Month, Week, Year};
        for (unit, now, start, end) in [
            (
                Hour,
                "2026-03-01T00:59:59.999999Z",
                "2026-03-01T00:00:00Z",
                "2026-03-01T01:00:00Z",
            ),
            (
                Hour,
                "2026-03-01T01:00:00Z",
                "2026-03-01T01:00:00Z",
                "2026-03-01T02:00:00Z",
            ),
            (
                Day,
                "2026-03-01T23:59:59Z",
                "2026-03-01T00:00:00Z",
                "2026-03-02T00:00:00Z",
            ),
            // Before 1970 too: a week began on Monday, 29 December 1969.
            (
                Week,
                "1970-01-01T00:00:00Z",
                "1969-12-29T00:00:00Z",
                "1970-01-05T00:00:00Z",
            ),
            // ISO week 53 of 2026 begins on Monday, 28 December, and ends in 2027.
            (
                Week,
                "2027-01-03T23:59:59Z",
                "2026-12-28T00:00:00Z",
                "2027-01-04T00:00:00Z",
            ),
            (
                Week,
                "2027-01-04T00:00:00Z",
                "2027-01-04T00:00:00Z",
                "2027-01-11T00:00:00Z",
            ),
            (
                Month,
                "2026-01-31T12:00:00Z",
                "2026-01-01T00:00:00Z",
                "2026-02-01T00:00:00Z",
            ),
            (
                Month,
                "2026-02-28T12:00:00Z",
                "2026-02-01T00:00:00Z",
                "2026-03-01T00:00:00Z",
            ),
            (
                Month,
                "2028-02-29T12:00:00Z",
                "2028-02-01T00:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            (
                Month,
                "2026-12-31T23:59:59Z",
                "2026-12-01T00:00:00Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                Year,
                "2028-02-29T12:00:00Z",
                "2028-01-01T00:00:00Z",
                "2029-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(
                calendar_window(unit, at(now)),
                (at(start), at(end)),
                "{unit:?} {now}"
            );
        }
    }

    #[test]
    fn the_end_of_the_calendar_is_a_window_without_end() {
        for instant in [i64::MAX, i64::MIN] {
            let instant = Timestamp::from_micros(instant);
            for unit in [CalendarUnit::Hour, CalendarUnit::Month, CalendarUnit::Year] {
                let (start, end) = calendar_window(unit, instant);
                assert!(start <= instant && instant <= end, "{unit:?}");
            }
        }
    }
}
