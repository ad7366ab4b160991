//! Sums, differences and conversions of dates, times and intervals.

use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, END_TIMESTAMP, Interval, MAX_DATE, MICROS_PER_DAY,
    MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, MIN_DATE, MIN_TIMESTAMP, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, TimeZone, UNIX_EPOCH_DAYS, civil_from_days, date_from_ymd, days_from_civil,
    days_in_month, is_finite_date, is_finite_timestamp, split_timestamp,
};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

const DAYS_PER_MONTH: i32 = 30;

fn out_of_range(what: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range"))
}

fn check_timestamp(timestamp: Option<i64>) -> Result<i64> {
    timestamp
        .filter(|timestamp| (MIN_TIMESTAMP..END_TIMESTAMP).contains(timestamp))
        .ok_or_else(|| out_of_range("timestamp"))
}

fn check_date(days: i64) -> Result<i32> {
    if (MIN_DATE..=MAX_DATE).contains(&days) {
        i32::try_from(days).map_err(|_| out_of_range("date"))
    } else {
        Err(out_of_range("date"))
    }
}

fn interval_of(months: Option<i32>, days: Option<i32>, micros: Option<i64>) -> Result<Interval> {
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(out_of_range("interval")),
    }
}

/// Midnight of the date. 22008 `date out of range for timestamp`.
pub fn date_to_timestamp(date: i32) -> Result<i64> {
    match date {
        DATE_INFINITY => Ok(TIMESTAMP_INFINITY),
        DATE_NEGATIVE_INFINITY => Ok(TIMESTAMP_NEGATIVE_INFINITY),
        _ => check_timestamp(i64::from(date).checked_mul(MICROS_PER_DAY))
            .map_err(|_| Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range for timestamp")),
    }
}

/// Midnight in `zone`. 22008.
pub fn date_to_timestamptz(date: i32, zone: &TimeZone) -> Result<i64> {
    timestamp_to_timestamptz(date_to_timestamp(date)?, zone)
}

pub fn timestamp_to_date(timestamp: i64) -> Result<i32> {
    match timestamp {
        TIMESTAMP_INFINITY => Ok(DATE_INFINITY),
        TIMESTAMP_NEGATIVE_INFINITY => Ok(DATE_NEGATIVE_INFINITY),
        _ => check_date(split_timestamp(timestamp).0),
    }
}

pub fn timestamptz_to_date(timestamp: i64, zone: &TimeZone) -> Result<i32> {
    timestamp_to_date(timestamptz_to_timestamp(timestamp, zone)?)
}

/// `None` for infinities.
pub fn timestamp_to_time(timestamp: i64) -> Option<i64> {
    is_finite_timestamp(timestamp).then(|| split_timestamp(timestamp).1)
}

/// `None` for infinities.
pub fn timestamptz_to_time(timestamp: i64, zone: &TimeZone) -> Option<i64> {
    timestamp_to_time(timestamptz_to_timestamp(timestamp, zone).ok()?)
}

/// The instant at which clocks in `zone` show `local`; also `timestamp AT TIME ZONE`. 22008.
pub fn timestamp_to_timestamptz(local: i64, zone: &TimeZone) -> Result<i64> {
    if !is_finite_timestamp(local) {
        return Ok(local);
    }
    check_timestamp(local.checked_sub(i64::from(zone.offset_at_local(local)) * MICROS_PER_SECOND))
}

/// What clocks in `zone` show at `instant`; also `timestamptz AT TIME ZONE`. 22008.
pub fn timestamptz_to_timestamp(instant: i64, zone: &TimeZone) -> Result<i64> {
    if !is_finite_timestamp(instant) {
        return Ok(instant);
    }
    check_timestamp(instant.checked_add(i64::from(zone.offset_at(instant)) * MICROS_PER_SECOND))
}

/// The time part, within a day.
pub fn interval_to_time(interval: Interval) -> i64 {
    interval.micros.rem_euclid(MICROS_PER_DAY)
}

/// `to_timestamp(double precision)`. 22008.
pub fn timestamptz_from_epoch(seconds: f64) -> Result<i64> {
    if seconds.is_nan() {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(if seconds > 0.0 { TIMESTAMP_INFINITY } else { TIMESTAMP_NEGATIVE_INFINITY });
    }
    let error =
        || Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("timestamp out of range: \"{seconds}\""));
    let micros = ((seconds - 946_684_800.0) * 1e6).round_ties_even();
    to_i64(micros).and_then(|micros| check_timestamp(Some(micros)).ok()).ok_or_else(error)
}

const TWO_63: f64 = (1u64 << 63) as f64;

/// A float that is an integer within i64.
#[allow(clippy::cast_possible_truncation)]
fn to_i64(value: f64) -> Option<i64> {
    (-TWO_63..TWO_63).contains(&value).then_some(value as i64)
}

#[allow(clippy::cast_possible_truncation)]
fn to_i32(value: f64) -> Option<i32> {
    (value > -2_147_483_649.0 && value < 2_147_483_648.0).then_some(value as i32)
}

/// 22008 `date out of range`.
pub fn date_plus_days(date: i32, days: i32) -> Result<i32> {
    if !is_finite_date(date) {
        return Ok(date);
    }
    check_date(i64::from(date) + i64::from(days))
}

/// 22008 `cannot subtract infinite dates`.
pub fn date_minus_date(a: i32, b: i32) -> Result<i32> {
    if !is_finite_date(a) || !is_finite_date(b) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite dates"));
    }
    i32::try_from(i64::from(a) - i64::from(b)).map_err(|_| out_of_range("date"))
}

/// Months (clipped to the month's end), then days, then time. 22008 `timestamp out of range`.
pub fn timestamp_plus_interval(timestamp: i64, interval: Interval) -> Result<i64> {
    if !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    let local = add_months_and_days(timestamp, interval)?;
    check_timestamp(local.checked_add(interval.micros))
}

fn add_months_and_days(timestamp: i64, interval: Interval) -> Result<i64> {
    let mut moved = timestamp;
    if interval.months != 0 {
        let (days, time) = split_timestamp(timestamp);
        let (year, month, day) = civil_from_days(days);
        let index = year * 12 + month - 1 + i64::from(interval.months);
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        let days = days_from_civil(year, month, day.min(days_in_month(year, month)));
        moved = check_timestamp(
            days.checked_mul(MICROS_PER_DAY).and_then(|midnight| midnight.checked_add(time)),
        )?;
    }
    if interval.days != 0 {
        let days = i64::from(interval.days).checked_mul(MICROS_PER_DAY);
        moved = check_timestamp(days.and_then(|days| moved.checked_add(days)))?;
    }
    Ok(moved)
}

/// 22008 `timestamp out of range`.
pub fn timestamp_minus_interval(timestamp: i64, interval: Interval) -> Result<i64> {
    timestamp_plus_interval(timestamp, interval_negate(interval)?)
}

/// Months and days in local time of `zone`. 22008.
pub fn timestamptz_plus_interval(timestamp: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    if !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    let mut moved = timestamp;
    // Each in local time of its own, as PostgreSQL does.
    for part in [Interval { days: 0, micros: 0, ..interval }, Interval { months: 0, micros: 0, ..interval }] {
        if part.months != 0 || part.days != 0 {
            let local = add_months_and_days(timestamptz_to_timestamp(moved, zone)?, part)?;
            moved = timestamp_to_timestamptz(local, zone)?;
        }
    }
    check_timestamp(moved.checked_add(interval.micros))
}

/// As [`timestamptz_plus_interval`].
pub fn timestamptz_minus_interval(timestamp: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    timestamptz_plus_interval(timestamp, interval_negate(interval)?, zone)
}

/// Days and time; also for timestamptz. 22008 `cannot subtract infinite timestamps`.
pub fn timestamp_minus_timestamp(a: i64, b: i64) -> Result<Interval> {
    if !is_finite_timestamp(a) || !is_finite_timestamp(b) {
        return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "cannot subtract infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| out_of_range("interval"))?;
    justify_hours(Interval { months: 0, days: 0, micros })
}

/// Wraps around midnight.
pub fn time_plus_interval(time: i64, interval: Interval) -> i64 {
    (time % MICROS_PER_DAY + interval.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY)
}

/// Wraps around midnight.
pub fn time_minus_interval(time: i64, interval: Interval) -> i64 {
    (time % MICROS_PER_DAY - interval.micros % MICROS_PER_DAY).rem_euclid(MICROS_PER_DAY)
}

pub fn time_minus_time(a: i64, b: i64) -> Interval {
    Interval { months: 0, days: 0, micros: a - b }
}

/// Symbolic difference in years, months, days. 22008.
pub fn age(a: i64, b: i64) -> Result<Interval> {
    if !is_finite_timestamp(a) || !is_finite_timestamp(b) {
        return Err(out_of_range("timestamp"));
    }
    let ((days_a, time_a), (days_b, time_b)) = (split_timestamp(a), split_timestamp(b));
    let (first, second) = (civil_from_days(days_a), civil_from_days(days_b));
    let negative = a < b;
    let sign = if negative { -1 } else { 1 };
    let mut micros = sign * (time_a - time_b);
    let mut days = sign * (first.2 - second.2);
    let mut months = sign * ((first.0 - second.0) * 12 + first.1 - second.1);
    if micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    // Borrow the month of the earlier moment.
    let borrowed = if negative { first } else { second };
    while days < 0 {
        days += days_in_month(borrowed.0, borrowed.1);
        months -= 1;
    }
    interval_of(i32::try_from(sign * months).ok(), i32::try_from(sign * days).ok(), Some(sign * micros))
}

/// As [`age`], in local time of `zone`.
pub fn age_tz(a: i64, b: i64, zone: &TimeZone) -> Result<Interval> {
    age(timestamptz_to_timestamp(a, zone)?, timestamptz_to_timestamp(b, zone)?)
}

/// 22008 `interval out of range`.
pub fn interval_plus(a: Interval, b: Interval) -> Result<Interval> {
    interval_of(a.months.checked_add(b.months), a.days.checked_add(b.days), a.micros.checked_add(b.micros))
}

/// 22008 `interval out of range`.
pub fn interval_minus(a: Interval, b: Interval) -> Result<Interval> {
    interval_of(a.months.checked_sub(b.months), a.days.checked_sub(b.days), a.micros.checked_sub(b.micros))
}

/// 22008 `interval out of range`.
pub fn interval_negate(a: Interval) -> Result<Interval> {
    interval_of(a.months.checked_neg(), a.days.checked_neg(), a.micros.checked_neg())
}

/// Fractions of months spill into days of 30 to a month, fractions of days into time. 22008.
pub fn interval_multiply(a: Interval, factor: f64) -> Result<Interval> {
    scale(a, |part| part * factor)
}

/// As [`interval_multiply`]. 22012, 22008.
pub fn interval_divide(a: Interval, divisor: f64) -> Result<Interval> {
    if divisor == 0.0 {
        return Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
    }
    scale(a, |part| part / divisor)
}

#[allow(clippy::cast_precision_loss)]
fn scale(a: Interval, by: impl Fn(f64) -> f64) -> Result<Interval> {
    let error = || out_of_range("interval");
    let to_micros = |value: f64| (value * 1e6).round_ties_even() / 1e6;
    let (months, days) = (by(f64::from(a.months)), by(f64::from(a.days)));
    let whole_months = to_i32(months).ok_or_else(error)?;
    let whole_days = to_i32(days).ok_or_else(error)?;
    let month_days = to_micros((months - f64::from(whole_months)) * f64::from(DAYS_PER_MONTH));
    let mut seconds = to_micros((days - f64::from(whole_days) + month_days - month_days.trunc()) * 86_400.0);
    let mut result_days = whole_days;
    if seconds.abs() >= 86_400.0 {
        let spill = to_i32(seconds / 86_400.0).ok_or_else(error)?;
        result_days = result_days.checked_add(spill).ok_or_else(error)?;
        seconds -= f64::from(spill) * 86_400.0;
    }
    result_days = to_i32(month_days).and_then(|more| result_days.checked_add(more)).ok_or_else(error)?;
    let micros = to_i64((by(a.micros as f64) + seconds * 1e6).round_ties_even()).ok_or_else(error)?;
    Ok(Interval { months: whole_months, days: result_days, micros })
}

/// 24 hours become a day. 22008.
pub fn justify_hours(a: Interval) -> Result<Interval> {
    let whole = i32::try_from(a.micros / MICROS_PER_DAY).ok();
    let mut days =
        whole.and_then(|whole| a.days.checked_add(whole)).ok_or_else(|| out_of_range("interval"))?;
    let mut micros = a.micros % MICROS_PER_DAY;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { days, micros, ..a })
}

/// 30 days become a month. 22008.
pub fn justify_days(a: Interval) -> Result<Interval> {
    let whole = a.days / DAYS_PER_MONTH;
    let mut months = a.months.checked_add(whole).ok_or_else(|| out_of_range("interval"))?;
    let mut days = a.days % DAYS_PER_MONTH;
    if months > 0 && days < 0 {
        days += DAYS_PER_MONTH;
        months -= 1;
    } else if months < 0 && days > 0 {
        days -= DAYS_PER_MONTH;
        months += 1;
    }
    Ok(Interval { months, days, ..a })
}

/// Both, and every part of the same sign. 22008.
pub fn justify_interval(a: Interval) -> Result<Interval> {
    let error = || out_of_range("interval");
    let (mut months, mut days, mut micros) = (a.months, a.days, a.micros);
    if (days > 0 && micros > 0) || (days < 0 && micros < 0) {
        months = months.checked_add(days / DAYS_PER_MONTH).ok_or_else(error)?;
        days %= DAYS_PER_MONTH;
    }
    let whole = i32::try_from(micros / MICROS_PER_DAY).ok();
    days = whole.and_then(|whole| days.checked_add(whole)).ok_or_else(error)?;
    micros %= MICROS_PER_DAY;
    months = months.checked_add(days / DAYS_PER_MONTH).ok_or_else(error)?;
    days %= DAYS_PER_MONTH;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        days += DAYS_PER_MONTH;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        days -= DAYS_PER_MONTH;
        months += 1;
    }
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    Ok(Interval { months, days, micros })
}

/// Negative years are BC. 22008 `date field value out of range: 2024-13-01`.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    let error = || {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date field value out of range: {year}-{month:02}-{day:02}"),
        )
    };
    let astronomical = match year {
        0 => return Err(error()),
        ..0 => year.checked_add(1).ok_or_else(error)?,
        _ => year,
    };
    date_from_ymd(astronomical, month, day).ok_or_else(|| {
        let valid = (1..=12).contains(&month)
            && (1..=days_in_month(i64::from(astronomical), i64::from(month))).contains(&i64::from(day));
        if !valid {
            return error();
        }
        let shown = format!("date out of range: {year}-{month:02}-{day:02}");
        Error::new(SqlState::DATETIME_FIELD_OVERFLOW, shown)
    })
}

/// 22008 `time field value out of range: 25:00:00`.
pub fn make_time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let error = || {
        Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("time field value out of range: {hour}:{minute:02}:{second:02}"),
        )
    };
    if !(0..=24).contains(&hour) || !(0..60).contains(&minute) || !(0.0..=60.0).contains(&second) {
        return Err(error());
    }
    let micros = to_i64((second * 1e6).round_ties_even()).ok_or_else(error)?;
    let time = i64::from(hour) * MICROS_PER_HOUR + i64::from(minute) * MICROS_PER_MINUTE + micros;
    if time > MICROS_PER_DAY { Err(error()) } else { Ok(time) }
}

/// 22008.
pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let date = make_date(year, month, day)?;
    let time = make_time(hour, minute, second)?;
    check_timestamp(date_to_timestamp(date)?.checked_add(time))
}

/// 22008.
pub fn make_interval(
    years: i32,
    months: i32,
    weeks: i32,
    days: i32,
    hours: i32,
    minutes: i32,
    seconds: f64,
) -> Result<Interval> {
    let micros = to_i64((seconds * 1e6).round_ties_even()).and_then(|micros| {
        let clock = i64::from(hours) * MICROS_PER_HOUR + i64::from(minutes) * MICROS_PER_MINUTE;
        clock.checked_add(micros)
    });
    let months = years.checked_mul(12).and_then(|n| n.checked_add(months));
    interval_of(months, weeks.checked_mul(7).and_then(|n| n.checked_add(days)), micros)
}

/// Seconds since 1970 of a timestamptz, with six digits as an integer.
pub(super) fn epoch_micros(timestamp: i64) -> i128 {
    i128::from(timestamp) + i128::from(UNIX_EPOCH_DAYS * MICROS_PER_DAY)
}

fn round_micros(micros: i64, precision: i32) -> Option<i64> {
    let digits = u32::try_from(precision.clamp(0, 6)).unwrap_or(6);
    let unit = 10i64.pow(6 - digits);
    let half = unit / 2;
    if micros >= 0 {
        micros.checked_add(half).map(|n| n / unit * unit)
    } else {
        micros.checked_sub(half).map(|n| n / unit * unit)
    }
}

/// To 0 to 6 digits of a second; a negative precision changes nothing.
pub fn round_time(time: i64, precision: i32) -> i64 {
    if precision < 0 { time } else { round_micros(time, precision).unwrap_or(time) }
}

/// Also timestamptz; precision 0 to 6. 22008.
pub fn round_timestamp(timestamp: i64, precision: i32) -> Result<i64> {
    if precision < 0 || !is_finite_timestamp(timestamp) {
        return Ok(timestamp);
    }
    check_timestamp(round_micros(timestamp, precision))
}

/// Bits of an interval modifier's field mask.
pub(super) const FIELD_MONTH: i32 = 1 << 1;
pub(super) const FIELD_YEAR: i32 = 1 << 2;
pub(super) const FIELD_DAY: i32 = 1 << 3;
pub(super) const FIELD_HOUR: i32 = 1 << 10;
pub(super) const FIELD_MINUTE: i32 = 1 << 11;
pub(super) const FIELD_SECOND: i32 = 1 << 12;
pub(super) const FULL_RANGE: i32 = 0x7fff;
const FULL_PRECISION: i32 = 0xffff;

/// The smallest field an interval modifier keeps; `None` keeps all.
pub(super) fn lowest_field(modifier: i32) -> Option<i32> {
    let range = modifier >> 16 & 0x7fff;
    if modifier < 0 || range == FULL_RANGE {
        return None;
    }
    [FIELD_SECOND, FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_YEAR]
        .into_iter()
        .find(|field| range & field != 0)
}

/// The fields and precision of an interval modifier. 22008.
pub fn fit_interval(interval: Interval, modifier: i32) -> Result<Interval> {
    if modifier < 0 {
        return Ok(interval);
    }
    let Interval { months, days, micros } = interval;
    let kept = match lowest_field(modifier) {
        Some(FIELD_YEAR) => Interval { months: months / 12 * 12, days: 0, micros: 0 },
        Some(FIELD_MONTH) => Interval { months, days: 0, micros: 0 },
        Some(FIELD_DAY) => Interval { months, days, micros: 0 },
        Some(FIELD_HOUR) => Interval { months, days, micros: micros / MICROS_PER_HOUR * MICROS_PER_HOUR },
        Some(FIELD_MINUTE) => {
            Interval { months, days, micros: micros / MICROS_PER_MINUTE * MICROS_PER_MINUTE }
        }
        _ => interval,
    };
    let precision = modifier & 0xffff;
    if precision == FULL_PRECISION || precision > 6 {
        return Ok(kept);
    }
    interval_of(Some(kept.months), Some(kept.days), round_micros(kept.micros, precision))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(months: i32, days: i32, micros: i64) -> Interval {
        Interval { months, days, micros }
    }

    fn fields(a: Interval) -> (i32, i32, i64) {
        (a.months, a.days, a.micros)
    }

    #[test]
    fn months_clip_and_zones_keep_the_clock() {
        let day = |year, month, day| date_to_timestamp(date_from_ymd(year, month, day).unwrap()).unwrap();
        assert_eq!(timestamp_plus_interval(day(2024, 1, 31), interval(1, 0, 0)).unwrap(), day(2024, 2, 29));
        assert_eq!(timestamp_minus_interval(day(2024, 3, 31), interval(1, 0, 0)).unwrap(), day(2024, 2, 29));
        let zone = TimeZone::parse("Europe/Vienna").unwrap();
        // Over the start of summer time a day has 23 hours.
        let before = timestamp_to_timestamptz(day(2024, 3, 30) + 12 * MICROS_PER_HOUR, &zone).unwrap();
        let after = timestamptz_plus_interval(before, interval(0, 1, 0), &zone).unwrap();
        assert_eq!(after - before, 23 * MICROS_PER_HOUR);
        assert_eq!(fields(age(day(2024, 3, 1), day(2023, 1, 31)).unwrap()), (13, 1, 0));
        assert_eq!(fields(age(day(2023, 1, 31), day(2024, 3, 1)).unwrap()), (-13, -1, 0));
        assert!(timestamp_plus_interval(day(294_276, 12, 31), interval(1, 0, 0)).is_err());
    }

    #[test]
    fn intervals_scale_and_justify() {
        assert_eq!(fields(interval_multiply(interval(1, 0, 0), 1.5).unwrap()), (1, 15, 0));
        assert_eq!(fields(interval_divide(interval(1, 1, 0), 2.0).unwrap()), (0, 15, 12 * MICROS_PER_HOUR));
        assert_eq!(
            fields(justify_interval(interval(1, 0, -MICROS_PER_HOUR)).unwrap()),
            (0, 29, 23 * MICROS_PER_HOUR)
        );
        assert_eq!(
            fields(justify_hours(interval(0, 0, 27 * MICROS_PER_HOUR)).unwrap()),
            (0, 1, 3 * MICROS_PER_HOUR)
        );
        assert!(interval_negate(interval(i32::MIN, 0, 0)).is_err());
    }
}
