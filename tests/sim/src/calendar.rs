//! The calendar in UTC, by hand: so that what the product says of months is compared with another's arithmetic.

/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// Year, month from 1, and day from 1, of a number of days since 1970-01-01.
pub fn date(days: i64) -> (i64, i64, i64) {
    // Years begin on 1 March here, so that a leap day is a year's last, and eras of 400 years are all alike.
    let since = days + 719_468;
    let (era, day) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let of_month = of_year - (153 * march + 2) / 5 + 1;
    (era * 400 + year + i64::from(month <= 2), month, of_month)
}

/// Days since 1970-01-01.
pub fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// So many months later, in microseconds since 1970: the same day of its month, or the last where that is shorter.
pub fn months_later(micros: i64, months: i64) -> i64 {
    let (year, month, day) = date(micros.div_euclid(DAY));
    let index = year * 12 + month - 1 + months;
    let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
    let next = if month == 12 {
        days(year + 1, 1, 1)
    } else {
        days(year, month + 1, 1)
    };
    let length = next - days(year, month, 1);
    days(year, month, day.min(length)) * DAY + micros.rem_euclid(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        for (number, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (19_782, (2024, 2, 29)),
            (20_454, (2026, 1, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(date(number), expected);
            assert_eq!(days(expected.0, expected.1, expected.2), number);
        }
    }

    #[test]
    fn the_last_day_stays_within_its_month() {
        let at = |year, month, day| days(year, month, day) * DAY + 5;
        assert_eq!(months_later(at(2026, 1, 31), 1), at(2026, 2, 28));
        assert_eq!(months_later(at(2024, 2, 29), 12), at(2025, 2, 28));
        assert_eq!(months_later(at(2025, 12, 1), 1), at(2026, 1, 1));
        assert_eq!(months_later(at(2026, 3, 31), 14), at(2027, 5, 31));
    }
}
