//! Intervals as text: units, SQL standard and ISO 8601 in, each IntervalStyle out.

use super::arithmetic::{
    FIELD_DAY, FIELD_HOUR, FIELD_MINUTE, FIELD_MONTH, FIELD_SECOND, FIELD_YEAR, fit_interval, lowest_field,
};
use super::format::{fraction, pad};
use super::parse::fraction_micros;
use super::{Interval, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND};
use crate::sqlstate::SqlState;
use crate::text::{IntervalStyle, TextContext, write_integer};
use crate::{Error, Result};

const MAX_LENGTH: usize = 256;

enum Fault {
    Syntax,
    /// One field.
    Range,
    /// The fields together.
    Total,
}

type Parse<T> = std::result::Result<T, Fault>;

/// 22007 `invalid input syntax for type interval: "x"`, 22015 `interval field value out of range: "x"`.
pub fn parse_interval(text: &str, cx: &TextContext) -> Result<Interval> {
    parse_interval_with(text, -1, cx)
}

/// As [`parse_interval`], for an interval type with this modifier: a bare number is of its smallest field
/// (`interval '5' day`), and other fields are cut off.
pub fn parse_interval_with(text: &str, modifier: i32, cx: &TextContext) -> Result<Interval> {
    let parsed = if text.len() > MAX_LENGTH || !text.is_ascii() {
        Err(Fault::Syntax)
    } else {
        read(text, modifier, cx)
    };
    let interval = parsed.map_err(|fault| match fault {
        Fault::Syntax => Error::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type interval: \"{text}\""),
        ),
        Fault::Total => Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "interval out of range"),
        Fault::Range => Error::new(
            SqlState::INTERVAL_FIELD_OVERFLOW,
            format!("interval field value out of range: \"{text}\""),
        ),
    })?;
    fit_interval(interval, modifier)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros(i64),
    Days(i64),
    Months(i64),
}

fn unit_of(word: &str) -> Option<Unit> {
    Some(match word {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" | "usecond" | "useconds" | "microsecon" => {
            Unit::Micros(1)
        }
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" | "msecond" | "mseconds" | "millisecon" => {
            Unit::Micros(1000)
        }
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(MICROS_PER_SECOND),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(MICROS_PER_MINUTE),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(MICROS_PER_HOUR),
        "d" | "day" | "days" => Unit::Days(1),
        "w" | "week" | "weeks" => Unit::Days(7),
        "mon" | "mons" | "month" | "months" => Unit::Months(1),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12),
        "dec" | "decs" | "decade" | "decades" => Unit::Months(120),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200),
        "mil" | "mils" | "millennium" | "millennia" => Unit::Months(12_000),
        _ => return None,
    })
}

/// The sum so far. Years and months are apart because PostgreSQL checks them apart.
#[derive(Default)]
struct Sum {
    years: i64,
    months: i64,
    days: i64,
    micros: i64,
}

/// `sum + value · size` within a 32-bit field.
fn plus(sum: i64, value: i64, size: i64) -> Parse<i64> {
    let total = value.checked_mul(size).and_then(|product| sum.checked_add(product));
    total.filter(|total| i32::try_from(*total).is_ok()).ok_or(Fault::Range)
}

impl Sum {
    /// Adds `whole.fraction` units; a fraction spills into smaller fields.
    #[allow(clippy::cast_possible_truncation)]
    fn add(&mut self, negative: bool, whole: i64, fraction: f64, unit: Unit) -> Parse<()> {
        let (whole, fraction) = if negative { (-whole, -fraction) } else { (whole, fraction) };
        match unit {
            Unit::Micros(size) => {
                let total = whole.checked_mul(size).and_then(|product| self.micros.checked_add(product));
                self.micros = total.ok_or(Fault::Range)?;
                self.add_micros(fraction * size as f64)?;
            }
            Unit::Days(size) => {
                self.days = plus(self.days, whole, size)?;
                self.add_days(fraction * size as f64)?;
            }
            Unit::Months(1) => {
                self.months = plus(self.months, whole, 1)?;
                self.add_days(fraction * 30.0)?;
            }
            Unit::Months(size) => {
                self.years = plus(self.years, whole, size / 12)?;
                self.months = plus(self.months, (fraction * size as f64).round_ties_even() as i64, 1)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation)]
    fn add_days(&mut self, days: f64) -> Parse<()> {
        let whole = days.trunc();
        self.days = plus(self.days, whole as i64, 1)?;
        self.add_micros((days - whole) * MICROS_PER_DAY as f64)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn add_micros(&mut self, micros: f64) -> Parse<()> {
        self.micros = self.micros.checked_add(micros.round_ties_even() as i64).ok_or(Fault::Range)?;
        Ok(())
    }

    fn finish(self, negate: bool) -> Parse<Interval> {
        let sign = if negate { -1 } else { 1 };
        let months = i32::try_from(sign * (self.years * 12 + self.months)).map_err(|_| Fault::Total)?;
        let days = i32::try_from(sign * self.days).map_err(|_| Fault::Total)?;
        let micros = self.micros.checked_mul(sign).ok_or(Fault::Total)?;
        Ok(Interval { months, days, micros })
    }
}

struct Reader<'t> {
    rest: &'t [u8],
}

impl<'t> Reader<'t> {
    fn skip_space(&mut self) {
        while let [byte, tail @ ..] = self.rest
            && (byte.is_ascii_whitespace() || *byte == 0x0b)
        {
            self.rest = tail;
        }
    }

    fn take(&mut self, belongs: impl Fn(u8) -> bool) -> &'t [u8] {
        let count = self.rest.iter().take_while(|byte| belongs(**byte)).count();
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn digits(&mut self) -> Parse<i64> {
        let digits = self.take(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Fault::Syntax);
        }
        let digit = |value: i64, digit: &u8| value.checked_mul(10)?.checked_add(i64::from(digit - b'0'));
        digits.iter().try_fold(0, digit).ok_or(Fault::Range)
    }

    /// The digits after a point, if there is one.
    fn fraction(&mut self) -> Option<&'t [u8]> {
        self.eat(b'.').then(|| self.take(|byte| byte.is_ascii_digit()))
    }
}

fn fraction_value(digits: &[u8]) -> f64 {
    let text = format!("0.{}", String::from_utf8_lossy(digits));
    text.parse().unwrap_or(0.0)
}

/// One thing an interval's text says.
enum Item {
    /// A number, and its unit if one follows.
    Number {
        negative: bool,
        whole: i64,
        fraction: f64,
        unit: Option<Unit>,
    },
    /// `YEARS-MONTHS`
    YearMonth {
        negative: bool,
        years: i64,
        months: i64,
    },
    Clock {
        negative: bool,
        hours: i64,
        minutes: i64,
        seconds: i64,
        micros: i64,
    },
}

fn read(text: &str, modifier: i32, cx: &TextContext) -> Parse<Interval> {
    let mut reader = Reader { rest: text.as_bytes() };
    reader.skip_space();
    if reader.rest.first() == Some(&b'P') {
        return read_iso(&text[text.len() - reader.rest.len()..]);
    }
    let mut items = Vec::new();
    let mut ago = false;
    // A leading sign in SQL standard style reaches every field that has none of its own.
    let global_negative = cx.interval_style == IntervalStyle::SqlStandard
        && reader.rest.first() == Some(&b'-')
        && signs(text) == 1;
    loop {
        reader.skip_space();
        let Some(&byte) = reader.rest.first() else { break };
        match byte {
            b'@' => {
                reader.rest = &reader.rest[1..];
            }
            b'a' | b'A' if reader.rest.len() >= 3 && reader.rest[..3].eq_ignore_ascii_case(b"ago") => {
                reader.rest = &reader.rest[3..];
                ago = true;
            }
            b'+' | b'-' | b'.' | b'0'..=b'9' => {
                let negative = match byte {
                    b'-' => reader.eat(b'-'),
                    b'+' => !reader.eat(b'+'),
                    _ => global_negative,
                };
                reader.skip_space();
                items.push(item(&mut reader, negative, modifier)?);
            }
            _ => return Err(Fault::Syntax),
        }
    }
    if items.is_empty() { Err(Fault::Syntax) } else { total(&items, modifier)?.finish(ago) }
}

/// Adds up, last first: what a number without unit means depends on what follows. No field comes twice.
fn total(items: &[Item], modifier: i32) -> Parse<Sum> {
    const SECONDS: u32 = 0b111;
    let mut sum = Sum::default();
    let mut seen = 0u32;
    let mut following = None;
    for item in items.iter().rev() {
        let mask = match *item {
            Item::Clock { negative, hours, minutes, seconds, micros } => {
                sum.add(negative, hours, 0.0, Unit::Micros(MICROS_PER_HOUR))?;
                sum.add(negative, minutes, 0.0, Unit::Micros(MICROS_PER_MINUTE))?;
                sum.add(negative, seconds, 0.0, Unit::Micros(MICROS_PER_SECOND))?;
                sum.add(negative, micros, 0.0, Unit::Micros(1))?;
                following = Some(Unit::Days(1));
                SECONDS
                    | unit_mask(Unit::Micros(MICROS_PER_MINUTE))
                    | unit_mask(Unit::Micros(MICROS_PER_HOUR))
            }
            Item::YearMonth { negative, years, months } => {
                sum.add(negative, years, 0.0, Unit::Months(12))?;
                sum.add(negative, months, 0.0, Unit::Months(1))?;
                following = Some(Unit::Months(1));
                unit_mask(Unit::Months(12)) | unit_mask(Unit::Months(1))
            }
            Item::Number { negative, whole, fraction, unit } => {
                let unit = unit.or(following).unwrap_or_else(|| bare_unit(modifier));
                sum.add(negative, whole, fraction, unit)?;
                let hour = unit == Unit::Micros(MICROS_PER_HOUR);
                following = Some(if hour { Unit::Days(1) } else { unit });
                let seconds = unit == Unit::Micros(MICROS_PER_SECOND) && fraction != 0.0;
                if seconds { SECONDS } else { unit_mask(unit) }
            }
        };
        if seen & mask != 0 {
            return Err(Fault::Syntax);
        }
        seen |= mask;
    }
    Ok(sum)
}

fn unit_mask(unit: Unit) -> u32 {
    match unit {
        Unit::Micros(1) => 1 << 0,
        Unit::Micros(1000) => 1 << 1,
        Unit::Micros(MICROS_PER_SECOND) => 1 << 2,
        Unit::Micros(MICROS_PER_MINUTE) => 1 << 3,
        Unit::Micros(_) => 1 << 4,
        Unit::Days(1) => 1 << 5,
        Unit::Days(_) => 1 << 6,
        Unit::Months(1) => 1 << 7,
        Unit::Months(12) => 1 << 8,
        Unit::Months(120) => 1 << 9,
        Unit::Months(1200) => 1 << 10,
        Unit::Months(_) => 1 << 11,
    }
}

fn signs(text: &str) -> usize {
    let bytes = text.as_bytes();
    let at_start = |at: usize| at == 0 || bytes[at - 1].is_ascii_whitespace();
    (0..bytes.len()).filter(|&at| matches!(bytes[at], b'+' | b'-') && at_start(at)).count()
}

/// One number and its unit, a clock, or years and months.
fn item(reader: &mut Reader<'_>, negative: bool, modifier: i32) -> Parse<Item> {
    let whole = if reader.rest.first() == Some(&b'.') { 0 } else { reader.digits()? };
    match reader.rest {
        [b':', ..] => return clock(reader, negative, whole, modifier),
        [b'-', byte, ..] if byte.is_ascii_digit() => {
            reader.eat(b'-');
            let months = reader.digits()?;
            return if months >= 12 {
                Err(Fault::Range)
            } else {
                Ok(Item::YearMonth { negative, years: whole, months })
            };
        }
        _ => {}
    }
    let fraction = reader.fraction().map_or(0.0, fraction_value);
    reader.skip_space();
    let before = reader.rest;
    let word = String::from_utf8_lossy(reader.take(|byte| byte.is_ascii_alphabetic())).to_ascii_lowercase();
    let unit = match word.as_str() {
        "" | "ago" => {
            reader.rest = before;
            None
        }
        word => Some(unit_of(word).ok_or(Fault::Syntax)?),
    };
    Ok(Item::Number { negative, whole, fraction, unit })
}

/// The unit of a number without one.
fn bare_unit(modifier: i32) -> Unit {
    match lowest_field(modifier) {
        Some(FIELD_YEAR) => Unit::Months(12),
        Some(FIELD_MONTH) => Unit::Months(1),
        Some(FIELD_DAY) => Unit::Days(1),
        Some(FIELD_HOUR) => Unit::Micros(MICROS_PER_HOUR),
        Some(FIELD_MINUTE) => Unit::Micros(MICROS_PER_MINUTE),
        _ => Unit::Micros(MICROS_PER_SECOND),
    }
}

/// `:MM[:SS[.f]]` after the hours; `MM:SS.f` when a fraction follows two fields or the type says so.
fn clock(reader: &mut Reader<'_>, negative: bool, first: i64, modifier: i32) -> Parse<Item> {
    reader.eat(b':');
    let second = reader.digits()?;
    let third = if reader.eat(b':') { Some(reader.digits()?) } else { None };
    let fraction = reader.fraction();
    let minutes_first = modifier >= 0 && (modifier >> 16 & 0x7fff) == (FIELD_MINUTE | FIELD_SECOND);
    let (hours, minutes, seconds) = match third {
        Some(third) => (first, second, third),
        None if fraction.is_some() || minutes_first => (0, first, second),
        None => (first, second, 0),
    };
    if minutes > 59 && third.is_some() || third.is_none() && second > 59 || seconds > 60 {
        return Err(Fault::Range);
    }
    Ok(Item::Clock { negative, hours, minutes, seconds, micros: fraction.map_or(0, fraction_micros) })
}

/// `P1Y2M3DT4H5M6.7S`, `P0001-02-03T04:05:06`
fn read_iso(text: &str) -> Parse<Interval> {
    let mut reader = Reader { rest: &text.as_bytes()[1..] };
    let mut sum = Sum::default();
    let (mut in_time, mut any) = (false, false);
    while let Some(&byte) = reader.rest.first() {
        if byte == b'T' && !in_time {
            reader.rest = &reader.rest[1..];
            in_time = true;
            any = true;
            continue;
        }
        let negative = match byte {
            b'-' => reader.eat(b'-'),
            b'+' => !reader.eat(b'+'),
            _ => false,
        };
        let whole = if matches!(reader.rest.first(), Some(b'.')) { 0 } else { reader.digits()? };
        let fraction = reader.fraction().map_or(0.0, fraction_value);
        any = true;
        match reader.rest {
            [b'-', ..] if !in_time => {
                // Alternative form: years-months-days.
                reader.eat(b'-');
                let months = reader.digits()?;
                let days = if reader.eat(b'-') { reader.digits()? } else { 0 };
                sum.add(negative, whole, 0.0, Unit::Months(12))?;
                sum.add(negative, months, 0.0, Unit::Months(1))?;
                sum.add(negative, days, 0.0, Unit::Days(1))?;
                continue;
            }
            [b':', ..] if in_time => {
                let clock = clock(&mut reader, negative, whole, -1)?;
                let time = total(&[clock], -1)?;
                sum.micros = sum.micros.checked_add(time.micros).ok_or(Fault::Range)?;
                continue;
            }
            _ => {}
        }
        let unit = match (reader.rest.first(), in_time) {
            (Some(b'Y'), false) => Unit::Months(12),
            (Some(b'M'), false) => Unit::Months(1),
            (Some(b'W'), false) => Unit::Days(7),
            (Some(b'D'), false) => Unit::Days(1),
            (Some(b'H'), true) => Unit::Micros(MICROS_PER_HOUR),
            (Some(b'M'), true) => Unit::Micros(MICROS_PER_MINUTE),
            (Some(b'S'), true) => Unit::Micros(MICROS_PER_SECOND),
            _ => return Err(Fault::Syntax),
        };
        reader.rest = &reader.rest[1..];
        sum.add(negative, whole, fraction, unit)?;
    }
    if any { sum.finish(false) } else { Err(Fault::Syntax) }
}

/// An interval's printed fields; those of time share a sign.
struct Fields {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Fields {
    fn of(interval: Interval) -> Fields {
        Fields {
            years: i64::from(interval.months) / 12,
            months: i64::from(interval.months) % 12,
            days: i64::from(interval.days),
            hours: interval.micros / MICROS_PER_HOUR,
            minutes: interval.micros / MICROS_PER_MINUTE % 60,
            seconds: interval.micros / MICROS_PER_SECOND % 60,
            micros: interval.micros % MICROS_PER_SECOND,
        }
    }

    fn has_time(&self) -> bool {
        self.hours != 0 || self.minutes != 0 || self.seconds != 0 || self.micros != 0
    }

    fn time_is_negative(&self) -> bool {
        self.hours < 0 || self.minutes < 0 || self.seconds < 0 || self.micros < 0
    }

    /// `HH:MM:SS.f` without sign.
    fn clock(&self, hour_width: usize, out: &mut Vec<u8>) {
        pad(self.hours, hour_width, out);
        out.push(b':');
        pad(self.minutes, 2, out);
        out.push(b':');
        pad(self.seconds, 2, out);
        fraction(self.micros.abs(), out);
    }
}

/// Appends an interval in the context's style.
pub fn write_interval(interval: Interval, cx: &TextContext, out: &mut Vec<u8>) {
    let fields = Fields::of(interval);
    match cx.interval_style {
        IntervalStyle::Postgres => write_postgres(&fields, out),
        IntervalStyle::PostgresVerbose => write_verbose(&fields, out),
        IntervalStyle::SqlStandard => write_sql(interval, out),
        IntervalStyle::Iso8601 => write_iso(&fields, out),
    }
}

/// `1 year 2 mons -3 days +04:05:06`
fn write_postgres(fields: &Fields, out: &mut Vec<u8>) {
    let mut first = true;
    let mut after_negative = false;
    for (value, name) in [(fields.years, "year"), (fields.months, "mon"), (fields.days, "day")] {
        if value == 0 {
            continue;
        }
        if !first {
            out.push(b' ');
        }
        if after_negative && value > 0 {
            out.push(b'+');
        }
        write_integer(value, out);
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        after_negative = value < 0;
        first = false;
    }
    if first || fields.has_time() {
        if !first {
            out.push(b' ');
        }
        if fields.time_is_negative() {
            out.push(b'-');
        } else if after_negative {
            out.push(b'+');
        }
        fields.clock(2, out);
    }
}

/// `@ 1 year 2 mons ago`
fn write_verbose(fields: &Fields, out: &mut Vec<u8>) {
    out.push(b'@');
    let mut first = true;
    let mut ago = false;
    let units = [
        (fields.years, "year"),
        (fields.months, "mon"),
        (fields.days, "day"),
        (fields.hours, "hour"),
        (fields.minutes, "min"),
    ];
    for (value, name) in units {
        if value == 0 {
            continue;
        }
        if first {
            ago = value < 0;
        }
        let value = if ago { -value } else { value };
        out.push(b' ');
        write_integer(value, out);
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        first = false;
    }
    if fields.seconds != 0 || fields.micros != 0 {
        out.push(b' ');
        let negative = fields.seconds < 0 || fields.micros < 0;
        if first {
            ago = negative;
        } else if negative != ago {
            out.push(b'-');
        }
        write_integer(fields.seconds.abs(), out);
        fraction(fields.micros.abs(), out);
        out.extend_from_slice(b" sec");
        if fields.seconds.abs() != 1 || fields.micros != 0 {
            out.push(b's');
        }
        first = false;
    }
    if first {
        out.extend_from_slice(b" 0");
    }
    if ago {
        out.extend_from_slice(b" ago");
    }
}

/// `P1Y2M3DT4H5M6.7S`
fn write_iso(fields: &Fields, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'P');
    let part = |value: i64, unit: u8, out: &mut Vec<u8>| {
        if value != 0 {
            write_integer(value, out);
            out.push(unit);
        }
    };
    part(fields.years, b'Y', out);
    part(fields.months, b'M', out);
    part(fields.days, b'D', out);
    if fields.has_time() {
        out.push(b'T');
        part(fields.hours, b'H', out);
        part(fields.minutes, b'M', out);
        if fields.seconds != 0 || fields.micros != 0 {
            if fields.seconds < 0 || fields.micros < 0 {
                out.push(b'-');
            }
            write_integer(fields.seconds.abs(), out);
            fraction(fields.micros.abs(), out);
            out.push(b'S');
        }
    }
    if out.len() == start + 1 {
        out.extend_from_slice(b"T0S");
    }
}

/// `1-2`, `3 4:05:06`, or with every sign when fields of both kinds or signs meet.
fn write_sql(interval: Interval, out: &mut Vec<u8>) {
    let Interval { months, days, micros } = interval;
    let negative = months < 0 || days < 0 || micros < 0;
    let positive = months > 0 || days > 0 || micros > 0;
    let mixed = negative && positive || months != 0 && (days != 0 || micros != 0);
    let sign = |value: bool| if value { b'-' } else { b'+' };
    let mut fields = Fields::of(interval);
    if !negative && !positive {
        return out.push(b'0');
    }
    if mixed {
        out.push(sign(months < 0));
        pad(fields.years, 1, out);
        out.push(b'-');
        pad(fields.months, 1, out);
        out.extend_from_slice(&[b' ', sign(days < 0)]);
        pad(fields.days, 1, out);
        out.extend_from_slice(&[b' ', sign(micros < 0)]);
        return fields.clock(1, out);
    }
    if negative {
        out.push(b'-');
    }
    fields.days = fields.days.abs();
    if months != 0 {
        pad(fields.years, 1, out);
        out.push(b'-');
        pad(fields.months, 1, out);
    } else {
        if days != 0 {
            pad(fields.days, 1, out);
            out.push(b' ');
        }
        fields.clock(1, out);
    }
}
