//! A calendar that counts days one by one, in UTC: for tests that must not trust the ledger's.

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// A date as year, month from 1 and day from 1, from the number of days since 1 January 1970.
pub fn date(days: i64) -> (i64, i64, i64) {
    let (mut year, mut month, mut left) = (1970, 1, days);
    assert!(left >= 0, "no test goes back behind 1970");
    while left >= days_of_year(year) {
        left -= days_of_year(year);
        year += 1;
    }
    while left >= days_of_month(year, month) {
        left -= days_of_month(year, month);
        month += 1;
    }
    (year, month, left + 1)
}

/// Days since 1 January 1970; a day that the month does not have is its last one.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let years: i64 = (1970..year).map(days_of_year).sum();
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    years + months + day.min(days_of_month(year, month)) - 1
}

fn days_of_year(year: i64) -> i64 {
    (1..=12).map(|month| days_of_month(year, month)).sum()
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
