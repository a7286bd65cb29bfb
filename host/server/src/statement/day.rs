//! Instants as people read them on a page. All in UTC.

use farebox_record::time::Timestamp;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `1 December 2026`, with the time of the day where it is not midnight: `1 December 2026, 09:30`.
pub(crate) fn day(at: Timestamp) -> String {
    let text = at.to_string();
    // RFC 3339: 2026-12-01T09:30:00Z, with or without a fraction.
    let read = || {
        let (date, time) = text.split_once('T')?;
        let (rest, day) = date.rsplit_once('-')?;
        let (year, month) = rest.rsplit_once('-')?;
        let month = MONTHS.get(month.parse::<usize>().ok()?.checked_sub(1)?)?;
        let date = format!("{} {month} {year}", day.trim_start_matches('0'));
        Some(match time.trim_end_matches('Z') {
            "00:00:00" => date,
            time => {
                let time = time.split('.').next().unwrap_or(time);
                format!("{date}, {}", time.strip_suffix(":00").unwrap_or(time))
            }
        })
    };
    read().unwrap_or_else(|| text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_said_in_words() {
        for (at, said) in [
            ("2026-12-01T00:00:00Z", "1 December 2026"),
            ("2026-02-28T09:30:05Z", "28 February 2026, 09:30:05"),
            ("2026-01-10T09:30:00.000001Z", "10 January 2026, 09:30"),
        ] {
            assert_eq!(day(at.parse().unwrap()), said);
        }
    }
}
