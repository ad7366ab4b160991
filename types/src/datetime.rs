//! Dates, times and intervals: calendar arithmetic on integers.
//!
//! date is days since 2000-01-01 (i32); timestamp and timestamptz are microseconds since
//! 2000-01-01 00:00 (i64, UTC for timestamptz); time is microseconds since midnight. The extreme
//! integers are −infinity and infinity, as in PostgreSQL. The calendar is proleptic Gregorian from
//! 4714-11-24 BC on. Here: the calendar; below: zones, arithmetic, fields, text.

mod arithmetic;
mod field;
mod format;
mod interval_text;
mod parse;
mod zone;

pub use arithmetic::*;
pub use field::{
    date_bin, extract_date, extract_interval, extract_time, extract_timestamp, extract_timestamptz,
    trunc_interval, trunc_timestamp, trunc_timestamptz,
};
pub use format::{write_date, write_time, write_timestamp, write_timestamptz};
pub use interval_text::{parse_interval, parse_interval_with, write_interval};
pub use parse::{parse_date, parse_iso_date, parse_time, parse_timestamp, parse_timestamptz};
pub use zone::TimeZone;

/// `infinity` and `-infinity` of date.
pub const DATE_INFINITY: i32 = i32::MAX;
pub const DATE_NEGATIVE_INFINITY: i32 = i32::MIN;
/// `infinity` and `-infinity` of timestamp and timestamptz.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
pub const TIMESTAMP_NEGATIVE_INFINITY: i64 = i64::MIN;
pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60_000_000;
pub const MICROS_PER_HOUR: i64 = 3_600_000_000;
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 2000-01-01 − 1970-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10_957;
/// Julian day of 2000-01-01.
pub const EPOCH_JULIAN: i64 = 2_451_545;

/// The first and last finite date: 4714-11-24 BC and 5874897-12-31.
pub(crate) const MIN_DATE: i64 = -EPOCH_JULIAN;
pub(crate) const MAX_DATE: i64 = 2_145_031_948;
/// The first finite timestamp, and the first beyond the last: 294277-01-01.
pub(crate) const MIN_TIMESTAMP: i64 = -211_813_488_000_000_000;
pub(crate) const END_TIMESTAMP: i64 = 9_223_371_331_200_000_000;

/// Months, days and microseconds: three fields that do not add up, as in PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl Interval {
    /// The length by which intervals compare: a month is 30 days, a day 24 hours.
    pub fn span_micros(self) -> i128 {
        const DAY: i128 = 86_400_000_000;
        i128::from(self.micros) + (i128::from(self.days) + i128::from(self.months) * 30) * DAY
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.span_micros() == other.span_micros()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> std::cmp::Ordering {
        self.span_micros().cmp(&other.span_micros())
    }
}

impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.span_micros().hash(state);
    }
}

/// Days since 2000-01-01 of year, month 1–12 and any day of the proleptic Gregorian calendar.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last one (Howard Hinnant's days_from_civil).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 - UNIX_EPOCH_DAYS
}

/// Year (0 is 1 BC), month and day of days since 2000-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468 + UNIX_EPOCH_DAYS;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 2000-01-01 of a date of the proleptic Gregorian calendar; year 0 is 1 BC. `None` when
/// there is no such day or it is out of range.
pub fn date_from_ymd(year: i32, month: i32, day: i32) -> Option<i32> {
    let (year, month, day) = (i64::from(year), i64::from(month), i64::from(day));
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if (MIN_DATE..=MAX_DATE).contains(&days) { i32::try_from(days).ok() } else { None }
}

/// Year (0 is 1 BC), month and day of a finite date.
pub fn ymd_from_date(date: i32) -> (i32, i32, i32) {
    let (year, month, day) = civil_from_days(i64::from(date));
    // A date's year has at most seven digits.
    let narrow = |n: i64| i32::try_from(n).unwrap_or(0);
    (narrow(year), narrow(month), narrow(day))
}

/// Whether a timestamp is neither of the infinities.
pub fn is_finite_timestamp(timestamp: i64) -> bool {
    timestamp != TIMESTAMP_INFINITY && timestamp != TIMESTAMP_NEGATIVE_INFINITY
}

/// Whether a date is neither of the infinities.
pub fn is_finite_date(date: i32) -> bool {
    date != DATE_INFINITY && date != DATE_NEGATIVE_INFINITY
}

/// Whether a date is infinite or within the calendar.
pub fn date_in_range(date: i32) -> bool {
    !is_finite_date(date) || (MIN_DATE..=MAX_DATE).contains(&i64::from(date))
}

/// Whether a timestamp is infinite or within the calendar.
pub fn timestamp_in_range(timestamp: i64) -> bool {
    !is_finite_timestamp(timestamp) || (MIN_TIMESTAMP..END_TIMESTAMP).contains(&timestamp)
}

/// Days since 2000-01-01 and microseconds of the day.
pub(crate) fn split_timestamp(timestamp: i64) -> (i64, i64) {
    (timestamp.div_euclid(MICROS_PER_DAY), timestamp.rem_euclid(MICROS_PER_DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_counts_days() {
        assert_eq!(date_from_ymd(2000, 1, 1), Some(0));
        assert_eq!(date_from_ymd(1970, 1, 1), Some(-10_957));
        assert_eq!(date_from_ymd(1900, 2, 29), None);
        assert_eq!(date_from_ymd(-4713, 11, 24), Some(-2_451_545));
        assert_eq!(date_from_ymd(-4713, 11, 23), None);
        assert_eq!(date_from_ymd(5_874_897, 12, 31), Some(2_145_031_948));
        for date in (-2_451_545..=3_000_000).step_by(97) {
            let (year, month, day) = ymd_from_date(date);
            assert_eq!(date_from_ymd(year, month, day), Some(date));
        }
    }
}
