//! Dates, times and intervals: calendar arithmetic on integers.
//!
//! date is days since 2000-01-01 (i32); timestamp and timestamptz are microseconds since
//! 2000-01-01 00:00 (i64, UTC for timestamptz); time is microseconds since midnight. The extreme
//! integers are −infinity and infinity, as in PostgreSQL.

use crate::numeric::Numeric;
use crate::text::TextContext;
use crate::{Error, Result};

/// `infinity` and `-infinity` of date.
pub const DATE_INFINITY: i32 = i32::MAX;
pub const DATE_NEGATIVE_INFINITY: i32 = i32::MIN;
/// `infinity` and `-infinity` of timestamp and timestamptz.
pub const TIMESTAMP_INFINITY: i64 = i64::MAX;
pub const TIMESTAMP_NEGATIVE_INFINITY: i64 = i64::MIN;
pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// 2000-01-01 − 1970-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 10_957;

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

/// A time zone: a fixed offset or a name of the tz database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TimeZone {
    name: std::sync::Arc<str>,
}

impl TimeZone {
    pub fn utc() -> TimeZone {
        TimeZone { name: std::sync::Arc::from("UTC") }
    }

    /// By name (`Europe/Vienna`), abbreviation, ISO offset (`+02`, `-05:30`) or POSIX rule, as `SET
    /// TimeZone` and `AT TIME ZONE` take it. 22023 `time zone "x" not recognized`.
    pub fn parse(name: &str) -> Result<TimeZone> {
        Ok(TimeZone { name: std::sync::Arc::from(name) })
    }

    /// From an `AT TIME ZONE interval`. 22023 with months or days.
    pub fn from_interval(offset: Interval) -> Result<TimeZone> {
        let _ = offset;
        unbuilt()
    }

    /// As `SHOW TimeZone` prints it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seconds east of UTC at this instant (microseconds since 2000-01-01 UTC).
    pub fn offset_at(&self, utc_micros: i64) -> i32 {
        let _ = utc_micros;
        0
    }

    /// Seconds east of UTC when clocks here show this; in a gap or fold PostgreSQL's choice.
    pub fn offset_at_local(&self, local_micros: i64) -> i32 {
        let _ = local_micros;
        0
    }

    /// `CET`, `+03`.
    pub fn abbreviation_at(&self, utc_micros: i64) -> String {
        let _ = utc_micros;
        "UTC".to_string()
    }
}

/// Days since 2000-01-01 of a date of the proleptic Gregorian calendar; year 0 is 1 BC. `None` when
/// there is no such day or it is out of range.
pub fn date_from_ymd(year: i32, month: i32, day: i32) -> Option<i32> {
    let _ = (year, month, day);
    None
}

/// Year (0 is 1 BC), month and day of a finite date.
pub fn ymd_from_date(date: i32) -> (i32, i32, i32) {
    let _ = date;
    (2000, 1, 1)
}

// text forms: input 22007 `invalid input syntax for type date: "x"`, 22008 `date/time field value out of range: "x"`

pub fn parse_date(text: &str, cx: &TextContext) -> Result<i32> {
    let _ = (text, cx);
    unbuilt()
}

pub fn parse_time(text: &str, cx: &TextContext) -> Result<i64> {
    let _ = (text, cx);
    unbuilt()
}

pub fn parse_timestamp(text: &str, cx: &TextContext) -> Result<i64> {
    let _ = (text, cx);
    unbuilt()
}

pub fn parse_timestamptz(text: &str, cx: &TextContext) -> Result<i64> {
    let _ = (text, cx);
    unbuilt()
}

/// 22007, 22008, 22015.
pub fn parse_interval(text: &str, cx: &TextContext) -> Result<Interval> {
    let _ = (text, cx);
    unbuilt()
}

pub fn write_date(date: i32, cx: &TextContext, out: &mut Vec<u8>) {
    let _ = (date, cx, out);
}

pub fn write_time(time: i64, out: &mut Vec<u8>) {
    let _ = (time, out);
}

pub fn write_timestamp(timestamp: i64, cx: &TextContext, out: &mut Vec<u8>) {
    let _ = (timestamp, cx, out);
}

pub fn write_timestamptz(timestamp: i64, cx: &TextContext, out: &mut Vec<u8>) {
    let _ = (timestamp, cx, out);
}

pub fn write_interval(interval: Interval, cx: &TextContext, out: &mut Vec<u8>) {
    let _ = (interval, cx, out);
}

// conversion

/// 22008 `date out of range for timestamp`.
pub fn date_to_timestamp(date: i32) -> Result<i64> {
    let _ = (date,);
    unbuilt()
}

/// Midnight in `zone`. 22008.
pub fn date_to_timestamptz(date: i32, zone: &TimeZone) -> Result<i64> {
    let _ = (date, zone);
    unbuilt()
}

pub fn timestamp_to_date(timestamp: i64) -> Result<i32> {
    let _ = (timestamp,);
    unbuilt()
}

pub fn timestamptz_to_date(timestamp: i64, zone: &TimeZone) -> Result<i32> {
    let _ = (timestamp, zone);
    unbuilt()
}

/// `None` for infinities.
pub fn timestamp_to_time(timestamp: i64) -> Option<i64> {
    let _ = (timestamp,);
    None
}

pub fn timestamptz_to_time(timestamp: i64, zone: &TimeZone) -> Option<i64> {
    let _ = (timestamp, zone);
    None
}

/// The instant at which clocks in `zone` show `local`; also `timestamp AT TIME ZONE`. 22008.
pub fn timestamp_to_timestamptz(local: i64, zone: &TimeZone) -> Result<i64> {
    let _ = (local, zone);
    unbuilt()
}

/// What clocks in `zone` show at `instant`; also `timestamptz AT TIME ZONE`. 22008.
pub fn timestamptz_to_timestamp(instant: i64, zone: &TimeZone) -> Result<i64> {
    let _ = (instant, zone);
    unbuilt()
}

pub fn interval_to_time(interval: Interval) -> i64 {
    let _ = (interval,);
    0
}

/// `to_timestamp(double precision)`. 22008.
pub fn timestamptz_from_epoch(seconds: f64) -> Result<i64> {
    let _ = (seconds,);
    unbuilt()
}

// arithmetic

/// 22008 `date out of range`.
pub fn date_plus_days(date: i32, days: i32) -> Result<i32> {
    let _ = (date, days);
    unbuilt()
}

/// 22008 `cannot subtract infinite dates`.
pub fn date_minus_date(a: i32, b: i32) -> Result<i32> {
    let _ = (a, b);
    unbuilt()
}

/// Months (clipped to the month's end), then days, then time. 22008 `timestamp out of range`.
pub fn timestamp_plus_interval(timestamp: i64, interval: Interval) -> Result<i64> {
    let _ = (timestamp, interval);
    unbuilt()
}

pub fn timestamp_minus_interval(timestamp: i64, interval: Interval) -> Result<i64> {
    let _ = (timestamp, interval);
    unbuilt()
}

/// Months and days in local time of `zone`. 22008.
pub fn timestamptz_plus_interval(timestamp: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    let _ = (timestamp, interval, zone);
    unbuilt()
}

pub fn timestamptz_minus_interval(timestamp: i64, interval: Interval, zone: &TimeZone) -> Result<i64> {
    let _ = (timestamp, interval, zone);
    unbuilt()
}

/// Days and time; also for timestamptz. 22008 `cannot subtract infinite timestamps`.
pub fn timestamp_minus_timestamp(a: i64, b: i64) -> Result<Interval> {
    let _ = (a, b);
    unbuilt()
}

pub fn time_plus_interval(time: i64, interval: Interval) -> i64 {
    let _ = (time, interval);
    0
}

pub fn time_minus_interval(time: i64, interval: Interval) -> i64 {
    let _ = (time, interval);
    0
}

pub fn time_minus_time(a: i64, b: i64) -> Interval {
    let _ = (a, b);
    Interval::default()
}

/// Symbolic difference in years, months, days. 22008.
pub fn age(a: i64, b: i64) -> Result<Interval> {
    let _ = (a, b);
    unbuilt()
}

pub fn age_tz(a: i64, b: i64, zone: &TimeZone) -> Result<Interval> {
    let _ = (a, b, zone);
    unbuilt()
}

/// 22008 `interval out of range`.
pub fn interval_plus(a: Interval, b: Interval) -> Result<Interval> {
    let _ = (a, b);
    unbuilt()
}

pub fn interval_minus(a: Interval, b: Interval) -> Result<Interval> {
    let _ = (a, b);
    unbuilt()
}

pub fn interval_negate(a: Interval) -> Result<Interval> {
    let _ = (a,);
    unbuilt()
}

pub fn interval_multiply(a: Interval, factor: f64) -> Result<Interval> {
    let _ = (a, factor);
    unbuilt()
}

/// 22012, 22008.
pub fn interval_divide(a: Interval, divisor: f64) -> Result<Interval> {
    let _ = (a, divisor);
    unbuilt()
}

pub fn justify_hours(a: Interval) -> Result<Interval> {
    let _ = (a,);
    unbuilt()
}

pub fn justify_days(a: Interval) -> Result<Interval> {
    let _ = (a,);
    unbuilt()
}

pub fn justify_interval(a: Interval) -> Result<Interval> {
    let _ = (a,);
    unbuilt()
}

// fields: `field` as the user wrote it; `None` for fields that infinity has not. 22023 unknown field, 0A000 not of this type

pub fn extract_date(field: &str, date: i32) -> Result<Option<Numeric>> {
    let _ = (field, date);
    unbuilt()
}

pub fn extract_time(field: &str, time: i64) -> Result<Option<Numeric>> {
    let _ = (field, time);
    unbuilt()
}

pub fn extract_timestamp(field: &str, timestamp: i64) -> Result<Option<Numeric>> {
    let _ = (field, timestamp);
    unbuilt()
}

pub fn extract_timestamptz(field: &str, timestamp: i64, zone: &TimeZone) -> Result<Option<Numeric>> {
    let _ = (field, timestamp, zone);
    unbuilt()
}

pub fn extract_interval(field: &str, interval: Interval) -> Result<Option<Numeric>> {
    let _ = (field, interval);
    unbuilt()
}

/// `date_trunc`. 22023, 0A000.
pub fn trunc_timestamp(field: &str, timestamp: i64) -> Result<i64> {
    let _ = (field, timestamp);
    unbuilt()
}

pub fn trunc_timestamptz(field: &str, timestamp: i64, zone: &TimeZone) -> Result<i64> {
    let _ = (field, timestamp, zone);
    unbuilt()
}

pub fn trunc_interval(field: &str, interval: Interval) -> Result<Interval> {
    let _ = (field, interval);
    unbuilt()
}

/// 0A000 for strides with months, 22008.
pub fn date_bin(stride: Interval, timestamp: i64, origin: i64) -> Result<i64> {
    let _ = (stride, timestamp, origin);
    unbuilt()
}

/// Negative years are BC. 22008 `date field value out of range: 2024-13-01`.
pub fn make_date(year: i32, month: i32, day: i32) -> Result<i32> {
    let _ = (year, month, day);
    unbuilt()
}

/// 22008.
pub fn make_time(hour: i32, minute: i32, second: f64) -> Result<i64> {
    let _ = (hour, minute, second);
    unbuilt()
}

/// 22008.
pub fn make_timestamp(year: i32, month: i32, day: i32, hour: i32, minute: i32, second: f64) -> Result<i64> {
    let _ = (year, month, day, hour, minute, second);
    unbuilt()
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
    let _ = (years, months, weeks, days, hours, minutes, seconds);
    unbuilt()
}

// modifiers

pub fn round_time(time: i64, precision: i32) -> i64 {
    let _ = (time, precision);
    0
}

/// Also timestamptz; precision 0 to 6. 22008.
pub fn round_timestamp(timestamp: i64, precision: i32) -> Result<i64> {
    let _ = (timestamp, precision);
    unbuilt()
}

/// The fields and precision of an interval modifier. 22008.
pub fn fit_interval(interval: Interval, modifier: i32) -> Result<Interval> {
    let _ = (interval, modifier);
    unbuilt()
}

fn unbuilt<T>() -> Result<T> {
    Err(Error::internal("not built yet"))
}
