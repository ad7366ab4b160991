//! Fields of dates and times: `extract`, `date_trunc`, `date_bin`.

use super::arithmetic::epoch_micros;
use super::{
    DATE_INFINITY, END_TIMESTAMP, EPOCH_JULIAN, Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE,
    MICROS_PER_SECOND, MIN_TIMESTAMP, TIMESTAMP_INFINITY, TimeZone, UNIX_EPOCH_DAYS, civil_from_days,
    days_from_civil, is_finite_date, is_finite_timestamp, split_timestamp, timestamp_to_timestamptz,
    timestamptz_to_timestamp,
};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// What can be asked for, under all its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Microseconds,
    Milliseconds,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    Decade,
    Century,
    Millennium,
    Epoch,
    Julian,
    IsoYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayOfYear,
    TimeZone,
    TimeZoneHour,
    TimeZoneMinute,
}

fn field_of(name: &str, type_name: &str) -> Result<Field> {
    let lower = name.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "microseconds" | "microsecond" | "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecon" => {
            Field::Microseconds
        }
        "milliseconds" | "millisecond" | "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecon" => {
            Field::Milliseconds
        }
        "second" | "seconds" | "sec" | "secs" | "s" => Field::Second,
        "minute" | "minutes" | "min" | "mins" | "m" => Field::Minute,
        "hour" | "hours" | "hr" | "hrs" | "h" => Field::Hour,
        "day" | "days" | "d" => Field::Day,
        "week" | "weeks" | "w" => Field::Week,
        "month" | "months" | "mon" | "mons" => Field::Month,
        "quarter" | "qtr" => Field::Quarter,
        "year" | "years" | "yr" | "yrs" | "y" => Field::Year,
        "decade" | "decades" | "dec" | "decs" => Field::Decade,
        "century" | "centuries" | "cent" | "c" => Field::Century,
        "millennium" | "millennia" | "mil" | "mils" => Field::Millennium,
        "epoch" => Field::Epoch,
        "julian" | "jd" | "j" => Field::Julian,
        "isoyear" => Field::IsoYear,
        "dow" => Field::DayOfWeek,
        "isodow" => Field::IsoDayOfWeek,
        "doy" => Field::DayOfYear,
        "timezone" => Field::TimeZone,
        "timezone_hour" | "timezone_h" => Field::TimeZoneHour,
        "timezone_minute" | "timezone_m" => Field::TimeZoneMinute,
        _ => return Err(unrecognized(name, type_name)),
    })
}

fn unrecognized(name: &str, type_name: &str) -> Error {
    let shown = name.to_ascii_lowercase();
    Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("unit \"{shown}\" not recognized for type {type_name}"),
    )
}

fn unsupported(name: &str, type_name: &str) -> Error {
    let shown = name.to_ascii_lowercase();
    Error::new(
        SqlState::FEATURE_NOT_SUPPORTED,
        format!("unit \"{shown}\" not supported for type {type_name}"),
    )
}

/// What `date_trunc` says to a field that nothing is cut to.
fn no_precision(which: Field, name: &str, type_name: &str) -> Error {
    match which {
        Field::TimeZone | Field::TimeZoneHour | Field::TimeZoneMinute => unsupported(name, type_name),
        _ => unrecognized(name, type_name),
    }
}

/// Whole years are counted without a year 0.
fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

fn decade(year: i64) -> i64 {
    if year >= 0 { year / 10 } else { -((8 - (year - 1)) / 10) }
}

fn century(year: i64) -> i64 {
    if year > 0 { (year + 99) / 100 } else { -((99 - (year - 1)) / 100) }
}

fn millennium(year: i64) -> i64 {
    if year > 0 { (year + 999) / 1000 } else { -((999 - (year - 1)) / 1000) }
}

/// 0 is Sunday.
fn day_of_week(days: i64) -> i64 {
    (days + 6).rem_euclid(7)
}

/// The ISO year and week of a day.
fn iso_week(days: i64) -> (i64, i64) {
    // A week belongs to the year of its Thursday.
    let thursday = days - (day_of_week(days) + 6) % 7 + 3;
    let year = civil_from_days(thursday).0;
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// A field of a calendar day.
fn date_field(field: Field, days: i64) -> Option<i64> {
    let (year, month, day) = civil_from_days(days);
    Some(match field {
        Field::Day => day,
        Field::Week => iso_week(days).1,
        Field::Month => month,
        Field::Quarter => (month - 1) / 3 + 1,
        Field::Year => shown_year(year),
        Field::Decade => decade(year),
        Field::Century => century(year),
        Field::Millennium => millennium(year),
        Field::IsoYear => shown_year(iso_week(days).0),
        Field::DayOfWeek => day_of_week(days),
        Field::IsoDayOfWeek => (day_of_week(days) + 6) % 7 + 1,
        Field::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        _ => return None,
    })
}

/// A field of a time of day (or of an interval's time part, which may be negative or beyond a day).
fn time_field(field: Field, micros: i64) -> Option<Numeric> {
    Some(match field {
        Field::Microseconds => Numeric::from(micros % MICROS_PER_MINUTE),
        Field::Milliseconds => Numeric::new(i128::from(micros % MICROS_PER_MINUTE), 3),
        Field::Second => Numeric::new(i128::from(micros % MICROS_PER_MINUTE), 6),
        Field::Minute => Numeric::from(micros / MICROS_PER_MINUTE % 60),
        Field::Hour => Numeric::from(micros / MICROS_PER_HOUR),
        _ => return None,
    })
}

/// What an infinity answers: infinite for what grows without end, else nothing.
fn infinite_field(field: Field, positive: bool) -> Option<Numeric> {
    match field {
        Field::Year
        | Field::Decade
        | Field::Century
        | Field::Millennium
        | Field::Julian
        | Field::IsoYear
        | Field::Epoch => Some(if positive { Numeric::Infinity } else { Numeric::NegativeInfinity }),
        _ => None,
    }
}

/// 22023 for an unknown field, 0A000 for one a date has not; `None` for fields that infinity has not.
pub fn extract_date(field: &str, date: i32) -> Result<Option<Numeric>> {
    let which = field_of(field, "date")?;
    let days = i64::from(date);
    let calendar = date_field(which, if is_finite_date(date) { days } else { 0 });
    let value = match (which, calendar) {
        (_, Some(value)) => value,
        (Field::Epoch, _) => (days + UNIX_EPOCH_DAYS) * 86_400,
        (Field::Julian, _) => days + EPOCH_JULIAN,
        _ => return Err(unsupported(field, "date")),
    };
    if !is_finite_date(date) {
        return Ok(infinite_field(which, date == DATE_INFINITY));
    }
    Ok(Some(Numeric::from(value)))
}

/// 22023 for an unknown field, 0A000 for one a time has not.
pub fn extract_time(field: &str, time: i64) -> Result<Option<Numeric>> {
    const TYPE: &str = "time without time zone";
    let which = field_of(field, TYPE)?;
    match which {
        Field::Epoch => Ok(Some(Numeric::new(i128::from(time), 6))),
        _ => match time_field(which, time) {
            Some(value) => Ok(Some(value)),
            None => Err(unsupported(field, TYPE)),
        },
    }
}

/// 22023 for an unknown field, 0A000 for one a timestamp has not; `None` for fields that infinity has not.
pub fn extract_timestamp(field: &str, timestamp: i64) -> Result<Option<Numeric>> {
    const TYPE: &str = "timestamp without time zone";
    let which = field_of(field, TYPE)?;
    match local_field(which, timestamp) {
        _ if !is_finite_timestamp(timestamp) => Ok(infinite_field(which, timestamp == TIMESTAMP_INFINITY)),
        _ if matches!(which, Field::TimeZone | Field::TimeZoneHour | Field::TimeZoneMinute) => {
            Err(unsupported(field, TYPE))
        }
        Some(value) => Ok(Some(value)),
        None => Ok(Some(Numeric::new(epoch_micros(timestamp), 6))),
    }
}

/// Any field of a local timestamp but its epoch and zone.
fn local_field(which: Field, local: i64) -> Option<Numeric> {
    let (days, time) = split_timestamp(local);
    if which == Field::Julian {
        let day = Numeric::from(i128::from(MICROS_PER_DAY));
        let fraction = Numeric::from(time).div(&day).ok()?;
        return Numeric::from(days + EPOCH_JULIAN).add(&fraction).ok();
    }
    date_field(which, days).map(Numeric::from).or_else(|| time_field(which, time))
}

/// As [`extract_timestamp`], with the zone's fields.
pub fn extract_timestamptz(field: &str, timestamp: i64, zone: &TimeZone) -> Result<Option<Numeric>> {
    let which = field_of(field, "timestamp with time zone")?;
    if !is_finite_timestamp(timestamp) {
        return Ok(infinite_field(which, timestamp == TIMESTAMP_INFINITY));
    }
    let offset = i64::from(zone.offset_at(timestamp));
    Ok(Some(match which {
        Field::TimeZone => Numeric::from(offset),
        Field::TimeZoneHour => Numeric::from(offset / 3600),
        Field::TimeZoneMinute => Numeric::from(offset / 60 % 60),
        Field::Epoch => Numeric::new(epoch_micros(timestamp), 6),
        _ => {
            let local = timestamp.saturating_add(offset * MICROS_PER_SECOND);
            local_field(which, local).unwrap_or(Numeric::ZERO)
        }
    }))
}

/// 22023 for an unknown field, 0A000 for one an interval has not.
pub fn extract_interval(field: &str, interval: Interval) -> Result<Option<Numeric>> {
    let which = field_of(field, "interval")?;
    let months = i64::from(interval.months);
    let (years, rest) = (months / 12, months % 12);
    let value = match which {
        Field::Day => i64::from(interval.days),
        Field::Month => rest,
        Field::Quarter => rest / 3 + 1,
        Field::Year => years,
        Field::Decade => years / 10,
        Field::Century => years / 100,
        Field::Millennium => years / 1000,
        Field::Epoch => {
            // A year has 365.25 days here, a month 30.
            let quarters = years * 1461 + rest * 120 + i64::from(interval.days) * 4;
            let micros = i128::from(quarters) * i128::from(MICROS_PER_DAY / 4) + i128::from(interval.micros);
            return Ok(Some(Numeric::new(micros, 6)));
        }
        _ => {
            return time_field(which, interval.micros)
                .map(Some)
                .ok_or_else(|| unsupported(field, "interval"));
        }
    };
    Ok(Some(Numeric::from(value)))
}

/// The first year of a decade, century or millennium.
fn first_year(which: Field, year: i64) -> i64 {
    match which {
        Field::Millennium if year > 0 => (year + 999) / 1000 * 1000 - 999,
        Field::Millennium => -((999 - (year - 1)) / 1000) * 1000 + 1,
        Field::Century if year > 0 => (year + 99) / 100 * 100 - 99,
        Field::Century => -((99 - (year - 1)) / 100) * 100 + 1,
        Field::Decade if year > 0 => year / 10 * 10,
        Field::Decade => -((8 - (year - 1)) / 10) * 10,
        _ => year,
    }
}

/// A finite local timestamp cut to a field; `None` for a field that nothing is cut to.
fn cut(which: Field, timestamp: i64) -> Option<i64> {
    let (days, time) = split_timestamp(timestamp);
    let (year, month, _) = civil_from_days(days);
    let unit = match which {
        Field::Microseconds => 1,
        Field::Milliseconds => 1000,
        Field::Second => MICROS_PER_SECOND,
        Field::Minute => MICROS_PER_MINUTE,
        Field::Hour => MICROS_PER_HOUR,
        _ => {
            let first = match which {
                Field::Day => days,
                Field::Week => days - (day_of_week(days) + 6) % 7,
                Field::Month => days_from_civil(year, month, 1),
                Field::Quarter => days_from_civil(year, (month - 1) / 3 * 3 + 1, 1),
                Field::Year | Field::Decade | Field::Century | Field::Millennium => {
                    days_from_civil(first_year(which, year), 1, 1)
                }
                _ => return None,
            };
            return first.checked_mul(MICROS_PER_DAY);
        }
    };
    days.checked_mul(MICROS_PER_DAY)?.checked_add(time - time % unit)
}

fn checked(timestamp: i64) -> Result<i64> {
    if (MIN_TIMESTAMP..END_TIMESTAMP).contains(&timestamp) {
        return Ok(timestamp);
    }
    Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}

/// `date_trunc`. 22023, 0A000.
pub fn trunc_timestamp(field: &str, timestamp: i64) -> Result<i64> {
    const TYPE: &str = "timestamp without time zone";
    let which = field_of(field, TYPE)?;
    if !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    checked(cut(which, timestamp).ok_or_else(|| no_precision(which, field, TYPE))?)
}

/// `date_trunc` in local time of `zone`. 22023, 0A000.
pub fn trunc_timestamptz(field: &str, timestamp: i64, zone: &TimeZone) -> Result<i64> {
    const TYPE: &str = "timestamp with time zone";
    let which = field_of(field, TYPE)?;
    if !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    let local = timestamptz_to_timestamp(timestamp, zone)?;
    let short = cut(which, local).ok_or_else(|| no_precision(which, field, TYPE))?;
    let within_day = matches!(
        which,
        Field::Microseconds | Field::Milliseconds | Field::Second | Field::Minute | Field::Hour
    );
    // Within a day the offset stays what it was.
    if within_day { checked(short - (local - timestamp)) } else { timestamp_to_timestamptz(short, zone) }
}

/// `date_trunc` of an interval. 22023, 0A000.
pub fn trunc_interval(field: &str, interval: Interval) -> Result<Interval> {
    let which = field_of(field, "interval")?;
    let Interval { months, days, micros } = interval;
    let years = |unit: i32| Interval { months: months / (12 * unit) * (12 * unit), days: 0, micros: 0 };
    let time = |unit: i64| Interval { months, days, micros: micros / unit * unit };
    Ok(match which {
        Field::Millennium => years(1000),
        Field::Century => years(100),
        Field::Decade => years(10),
        Field::Year => years(1),
        Field::Quarter => Interval { months: months / 3 * 3, days: 0, micros: 0 },
        Field::Month => Interval { months, days: 0, micros: 0 },
        Field::Day => Interval { months, days, micros: 0 },
        Field::Hour => time(MICROS_PER_HOUR),
        Field::Minute => time(MICROS_PER_MINUTE),
        Field::Second => time(MICROS_PER_SECOND),
        Field::Milliseconds => time(1000),
        Field::Microseconds => interval,
        Field::Week => {
            return Err(unsupported(field, "interval").with_detail("Months usually have fractional weeks."));
        }
        _ => return Err(no_precision(which, field, "interval")),
    })
}

/// 0A000 for strides with months, 22008.
pub fn date_bin(stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    if !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    let overflow = |message: &str| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, message.to_string());
    if !is_finite_timestamp(origin) {
        return Err(overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(Error::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "timestamps cannot be binned into intervals containing months or years",
        ));
    }
    let width =
        i64::from(stride.days).checked_mul(MICROS_PER_DAY).and_then(|days| days.checked_add(stride.micros));
    let width = width.ok_or_else(|| overflow("interval out of range"))?;
    if width <= 0 {
        return Err(overflow("stride must be greater than zero"));
    }
    let distance = timestamp.checked_sub(origin).ok_or_else(|| overflow("interval out of range"))?;
    checked(timestamp.saturating_sub(distance.rem_euclid(width)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::make_timestamp;

    fn at(year: i32, month: i32, day: i32) -> i64 {
        make_timestamp(year, month, day, 20, 38, 40.125).unwrap()
    }

    fn extracted(field: &str, timestamp: i64) -> String {
        match extract_timestamp(field, timestamp) {
            Ok(value) => value.map_or("NULL".into(), |value| value.to_string()),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn fields_are_those_postgres_gives() {
        for (field, value) in [
            ("century", "21"),
            ("day", "16"),
            ("decade", "200"),
            ("dow", "5"),
            ("doy", "47"),
            ("epoch", "982355920.125000"),
            ("isodow", "5"),
            ("isoyear", "2001"),
            ("julian", "2451957.86018663194444444444"),
            ("microseconds", "40125000"),
            ("milliseconds", "40125.000"),
            ("second", "40.125000"),
            ("week", "7"),
            ("timezone", "0A000: unit \"timezone\" not supported for type timestamp without time zone"),
            ("x", "22023: unit \"x\" not recognized for type timestamp without time zone"),
        ] {
            assert_eq!(extracted(field, at(2001, 2, 16)), value, "{field}");
        }
        assert_eq!(extracted("year", TIMESTAMP_INFINITY), "Infinity");
        assert_eq!(extracted("day", TIMESTAMP_INFINITY), "NULL");
        assert_eq!(extracted("year", at(-44, 3, 15)), "-44");
        assert_eq!(
            extract_interval("epoch", Interval { months: 13, days: 1, micros: 5 })
                .unwrap()
                .unwrap()
                .to_string(),
            "34236000.000005"
        );
    }

    #[test]
    fn truncation_goes_back_to_the_start() {
        let day = |year, month, day| make_timestamp(year, month, day, 0, 0, 0.0).unwrap();
        assert_eq!(trunc_timestamp("week", at(2001, 2, 16)).unwrap(), day(2001, 2, 12));
        assert_eq!(trunc_timestamp("quarter", at(2001, 2, 16)).unwrap(), day(2001, 1, 1));
        assert_eq!(trunc_timestamp("century", at(2000, 2, 16)).unwrap(), day(1901, 1, 1));
        let bin =
            date_bin(Interval { months: 0, days: 7, micros: 0 }, at(2001, 2, 16), day(2001, 3, 1)).unwrap();
        assert_eq!(bin, day(2001, 2, 15));
    }
}
