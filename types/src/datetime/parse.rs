//! Dates and times from text, in the forms people write.
//!
//! ISO first; then words and numbers in any order that PostgreSQL would understand: month names, `BC`, AM/PM,
//! Julian days, day names (ignored), zones by offset, abbreviation or name, and the special words.

use super::zone::abbreviation_offset;
use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, END_TIMESTAMP, EPOCH_JULIAN, MAX_DATE, MICROS_PER_DAY,
    MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, MIN_DATE, MIN_TIMESTAMP, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, TimeZone, UNIX_EPOCH_DAYS, date_from_ymd, days_from_civil, split_timestamp,
    timestamptz_to_timestamp,
};
use crate::sqlstate::SqlState;
use crate::text::{DateOrder, TextContext};
use crate::{Error, Result};

/// Longer inputs are no dates (PostgreSQL has such a limit, too).
const MAX_LENGTH: usize = 256;
/// Offsets reach less than 16 hours.
const MAX_OFFSET: i32 = 15 * 3600 + 59 * 60 + 59;

/// What a text said.
#[derive(Debug, Default)]
struct Parsed {
    /// Days since 2000-01-01.
    date: Option<i64>,
    time: Option<i64>,
    zone: Option<Zone>,
    special: Option<Special>,
}

#[derive(Debug)]
enum Zone {
    Offset(i32),
    Named(TimeZone),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    Epoch,
    Infinity,
    NegativeInfinity,
    Now,
    /// So many days from today.
    Day(i64),
}

/// Why a text is no date; the caller knows the type.
enum Fault {
    Syntax,
    Range,
    /// Out of range, and another DateStyle may help.
    Order,
    Displacement,
    Other(Error),
}

type Parse<T> = std::result::Result<T, Fault>;

fn describe(fault: Fault, type_name: &str, text: &str) -> Error {
    match fault {
        Fault::Syntax => Error::new(
            SqlState::INVALID_DATETIME_FORMAT,
            format!("invalid input syntax for type {type_name}: \"{text}\""),
        ),
        Fault::Range => Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        ),
        Fault::Order => Error::new(
            SqlState::DATETIME_FIELD_OVERFLOW,
            format!("date/time field value out of range: \"{text}\""),
        )
        .with_hint("Perhaps you need a different \"datestyle\" setting."),
        Fault::Displacement => Error::new(
            SqlState::INVALID_TIME_ZONE_DISPLACEMENT_VALUE,
            format!("time zone displacement out of range: \"{text}\""),
        ),
        Fault::Other(error) => error,
    }
}

fn out_of_range(what: &str, text: &str) -> Error {
    Error::new(SqlState::DATETIME_FIELD_OVERFLOW, format!("{what} out of range: \"{text}\""))
}

/// The plain form `YYYY-MM-DD`, the hot path of COPY. `None` says nothing about validity.
#[inline]
pub fn parse_iso_date(text: &[u8]) -> Option<i32> {
    let [a, b, c, d, b'-', e, f, b'-', g, h] = text else { return None };
    let mut valid = true;
    let mut digit = |byte: &u8| {
        valid &= byte.is_ascii_digit();
        i32::from(byte.wrapping_sub(b'0'))
    };
    let year = digit(a) * 1000 + digit(b) * 100 + digit(c) * 10 + digit(d);
    let month = digit(e) * 10 + digit(f);
    let day = digit(g) * 10 + digit(h);
    if valid && year > 0 { date_from_ymd(year, month, day) } else { None }
}

/// 22007, 22008.
pub fn parse_date(text: &str, cx: &TextContext) -> Result<i32> {
    if let Some(date) = parse_iso_date(text.as_bytes()) {
        return Ok(date);
    }
    let parsed = parse(text, cx).map_err(|fault| describe(fault, "date", text))?;
    let days = match parsed.special {
        Some(Special::Infinity) => return Ok(DATE_INFINITY),
        Some(Special::NegativeInfinity) => return Ok(DATE_NEGATIVE_INFINITY),
        Some(Special::Epoch) => -UNIX_EPOCH_DAYS,
        Some(Special::Now) => split_timestamp(local_now(cx)?).0,
        Some(Special::Day(days)) => split_timestamp(local_now(cx)?).0 + days,
        None => parsed.date.ok_or_else(|| describe(Fault::Syntax, "date", text))?,
    };
    if !(MIN_DATE..=MAX_DATE).contains(&days) {
        return Err(out_of_range("date", text));
    }
    i32::try_from(days).map_err(|_| out_of_range("date", text))
}

/// 22007, 22008.
pub fn parse_time(text: &str, cx: &TextContext) -> Result<i64> {
    let parsed = parse_as(text, cx, true).map_err(|fault| describe(fault, "time", text))?;
    // What a named zone means depends on the date.
    if parsed.date.is_none() && matches!(parsed.zone, Some(Zone::Named(_))) {
        return Err(describe(Fault::Syntax, "time", text));
    }
    match (parsed.special, parsed.time) {
        (Some(Special::Now), _) => Ok(split_timestamp(local_now(cx)?).1),
        (None, Some(time)) => Ok(time),
        _ => Err(describe(Fault::Syntax, "time", text)),
    }
}

/// 22007, 22008. A zone in the text is ignored.
pub fn parse_timestamp(text: &str, cx: &TextContext) -> Result<i64> {
    let parsed = parse(text, cx).map_err(|fault| describe(fault, "timestamp", text))?;
    let timestamp = match parsed.special {
        Some(Special::Infinity) => return Ok(TIMESTAMP_INFINITY),
        Some(Special::NegativeInfinity) => return Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Some(Special::Epoch) => Some(-UNIX_EPOCH_DAYS * MICROS_PER_DAY),
        Some(Special::Now) => Some(local_now(cx)?),
        Some(Special::Day(days)) => combine(Some(split_timestamp(local_now(cx)?).0 + days), parsed.time),
        None if parsed.date.is_none() => return Err(describe(Fault::Syntax, "timestamp", text)),
        None => combine(parsed.date, parsed.time),
    };
    in_range(timestamp, text)
}

/// 22007, 22008. Without a zone in the text, the context's.
pub fn parse_timestamptz(text: &str, cx: &TextContext) -> Result<i64> {
    const TYPE: &str = "timestamp with time zone";
    let parsed = parse(text, cx).map_err(|fault| describe(fault, TYPE, text))?;
    let local = match parsed.special {
        Some(Special::Infinity) => return Ok(TIMESTAMP_INFINITY),
        Some(Special::NegativeInfinity) => return Ok(TIMESTAMP_NEGATIVE_INFINITY),
        Some(Special::Epoch) => return Ok(-UNIX_EPOCH_DAYS * MICROS_PER_DAY),
        Some(Special::Now) => return now(cx),
        Some(Special::Day(days)) => combine(Some(split_timestamp(local_now(cx)?).0 + days), parsed.time),
        None if parsed.date.is_none() => return Err(describe(Fault::Syntax, TYPE, text)),
        None => combine(parsed.date, parsed.time),
    };
    let local = local.ok_or_else(|| out_of_range("timestamp", text))?;
    let offset = match parsed.zone {
        Some(Zone::Offset(seconds)) => seconds,
        Some(Zone::Named(zone)) => zone.offset_at_local(local),
        None => cx.time_zone.offset_at_local(local),
    };
    in_range(local.checked_sub(i64::from(offset) * MICROS_PER_SECOND), text)
}

fn combine(date: Option<i64>, time: Option<i64>) -> Option<i64> {
    date?.checked_mul(MICROS_PER_DAY)?.checked_add(time.unwrap_or(0))
}

fn in_range(timestamp: Option<i64>, text: &str) -> Result<i64> {
    timestamp
        .filter(|timestamp| (MIN_TIMESTAMP..END_TIMESTAMP).contains(timestamp))
        .ok_or_else(|| out_of_range("timestamp", text))
}

fn now(cx: &TextContext) -> Result<i64> {
    cx.now.ok_or_else(|| Error::not_supported("the time of the statement here"))
}

fn local_now(cx: &TextContext) -> Result<i64> {
    timestamptz_to_timestamp(now(cx)?, &cx.time_zone)
}

/// Number or word of a date, in order.
#[derive(Debug, Clone, Copy)]
enum Part {
    Number { value: i64, digits: usize },
    Month(i64),
}

struct Reader<'t> {
    rest: &'t [u8],
    parts: Vec<Part>,
    parsed: Parsed,
    bc: bool,
    /// AM is false, PM is true.
    afternoon: Option<bool>,
    /// Whether the parts stood together with separators: `1/2/2024`.
    joined: bool,
    /// A time alone is wanted: four or six digits are one.
    time_only: bool,
}

fn parse(text: &str, cx: &TextContext) -> Parse<Parsed> {
    parse_as(text, cx, false)
}

fn parse_as(text: &str, cx: &TextContext, time_only: bool) -> Parse<Parsed> {
    if text.len() > MAX_LENGTH || !text.is_ascii() {
        return Err(Fault::Syntax);
    }
    let mut reader = Reader {
        rest: text.as_bytes(),
        parts: Vec::new(),
        parsed: Parsed::default(),
        bc: false,
        afternoon: None,
        joined: false,
        time_only,
    };
    while let Some(&byte) = reader.rest.first() {
        match byte {
            b' ' | b'\t'..=b'\r' | b',' => reader.rest = &reader.rest[1..],
            b'0'..=b'9' => reader.number(cx)?,
            b'+' | b'-' => reader.signed()?,
            b'.' if !reader.parts.is_empty() => reader.rest = &reader.rest[1..],
            _ if byte.is_ascii_alphabetic() => reader.word()?,
            _ => return Err(Fault::Syntax),
        }
    }
    reader.finish(cx)
}

fn value_of(digits: &[u8]) -> Parse<i64> {
    if digits.is_empty() || digits.len() > 9 {
        return Err(if digits.is_empty() { Fault::Syntax } else { Fault::Range });
    }
    Ok(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn month_of(word: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let found = NAMES.iter().position(|name| *name == word || name[..3] == *word);
    let found = found.or(if word == "sept" { Some(8) } else { None })?;
    i64::try_from(found + 1).ok()
}

fn is_day_name(word: &str) -> bool {
    const NAMES: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let short = ["tues", "wednes", "weds", "thur", "thurs"].contains(&word);
    short || NAMES.iter().any(|name| *name == word || name[..3] == *word)
}

impl<'t> Reader<'t> {
    fn take_digits(&mut self) -> &[u8] {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(count);
        self.rest = rest;
        digits
    }

    /// A field that starts with a digit: a time, a joined date, or a number.
    fn number(&mut self, cx: &TextContext) -> Parse<()> {
        let digits = self.take_digits().to_vec();
        match self.rest.first() {
            Some(b':') => self.clock(&digits),
            Some(separator @ (b'-' | b'/' | b'.')) => {
                let separator = *separator;
                let next = self.rest.get(1).copied().unwrap_or(0);
                let clock_fraction = separator == b'.' && self.has_date() && self.parsed.time.is_none();
                if clock_fraction || !(next.is_ascii_alphanumeric()) {
                    return self.plain(&digits);
                }
                if self.has_date() {
                    // 20240115T0405-08
                    return self.plain(&digits);
                }
                self.joined_date(&digits, separator, cx)
            }
            _ => self.plain(&digits),
        }
    }

    fn has_date(&self) -> bool {
        self.parsed.date.is_some() || self.joined || self.parts.len() >= 3
    }

    /// `1999-01-08`, `8/Jan/99`, `1999.008`: parts with one separator.
    fn joined_date(&mut self, first: &[u8], separator: u8, _cx: &TextContext) -> Parse<()> {
        self.parts.push(Part::Number { value: value_of(first)?, digits: first.len() });
        while self.rest.first() == Some(&separator) {
            self.rest = &self.rest[1..];
            let count = self.rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let digits = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let taken = if digits > 0 { digits } else { count };
            let (field, rest) = self.rest.split_at(taken);
            self.rest = rest;
            if digits > 0 {
                self.parts.push(Part::Number { value: value_of(field)?, digits });
            } else {
                let word = String::from_utf8_lossy(field).to_ascii_lowercase();
                self.parts.push(Part::Month(month_of(&word).ok_or(Fault::Syntax)?));
            }
            if self.parts.len() == 3 {
                break;
            }
        }
        self.joined = true;
        Ok(())
    }

    /// Digits alone: a compact date or time, a day or a year.
    fn plain(&mut self, digits: &[u8]) -> Parse<()> {
        let two = |at: usize| value_of(digits.get(at..at + 2).unwrap_or_default());
        let has_date = self.has_date();
        match digits.len() {
            8 if !has_date => {
                self.parts.push(Part::Number { value: value_of(&digits[..4])?, digits: 4 });
                self.parts.push(Part::Number { value: two(4)?, digits: 2 });
                self.parts.push(Part::Number { value: two(6)?, digits: 2 });
                self.joined = true;
            }
            6 if !has_date && self.parts.is_empty() && !self.time_only => {
                // YYMMDD
                let year = two(0)?;
                self.parts.push(Part::Number {
                    value: if year < 70 { 2000 + year } else { 1900 + year },
                    digits: 4,
                });
                self.parts.push(Part::Number { value: two(2)?, digits: 2 });
                self.parts.push(Part::Number { value: two(4)?, digits: 2 });
                self.joined = true;
            }
            6 | 4 if (has_date || self.time_only) && self.parsed.time.is_none() => {
                let seconds = if digits.len() == 6 { two(4)? } else { 0 };
                let micros = self.second_fraction()?;
                self.set_time(two(0)?, two(2)?, seconds, micros)?;
            }
            _ if has_date && !self.joined => return Err(Fault::Syntax),
            _ if has_date => return Err(Fault::Syntax),
            _ => self.parts.push(Part::Number { value: value_of(digits)?, digits: digits.len() }),
        }
        Ok(())
    }

    /// `.5` after seconds, in microseconds.
    fn second_fraction(&mut self) -> Parse<i64> {
        if self.rest.first() != Some(&b'.') {
            return Ok(0);
        }
        self.rest = &self.rest[1..];
        Ok(fraction_micros(self.take_digits()))
    }

    /// `:MM[:SS[.f]]` after the hour.
    fn clock(&mut self, hour: &[u8]) -> Parse<()> {
        if self.parsed.time.is_some() {
            return Err(Fault::Syntax);
        }
        let hour = value_of(hour)?;
        self.rest = &self.rest[1..];
        let minute = value_of(self.take_digits())?;
        let mut second = 0;
        if self.rest.first() == Some(&b':') {
            self.rest = &self.rest[1..];
            let digits = self.take_digits();
            second = if digits.is_empty() { 0 } else { value_of(digits)? };
        }
        let micros = self.second_fraction()?;
        self.set_time(hour, minute, second, micros)
    }

    fn set_time(&mut self, hour: i64, minute: i64, second: i64, micros: i64) -> Parse<()> {
        if minute > 59 || second > 60 || hour > 24 {
            return Err(Fault::Range);
        }
        let time = hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE + second * MICROS_PER_SECOND + micros;
        if time > MICROS_PER_DAY {
            return Err(Fault::Range);
        }
        self.parsed.time = Some(time);
        Ok(())
    }

    /// `+02:30`, `-infinity`.
    fn signed(&mut self) -> Parse<()> {
        let negative = self.rest.first() == Some(&b'-');
        self.rest = &self.rest[1..];
        match self.rest.first() {
            Some(byte) if byte.is_ascii_digit() => {}
            Some(byte) if byte.is_ascii_alphabetic() => {
                let word = self.take_word();
                self.parsed.special = Some(match (word.as_str(), negative) {
                    ("infinity", true) => Special::NegativeInfinity,
                    ("infinity", false) => Special::Infinity,
                    _ => return Err(Fault::Syntax),
                });
                return Ok(());
            }
            _ => return Err(Fault::Syntax),
        }
        if self.parsed.zone.is_some() || self.parsed.time.is_none() && !self.has_date() {
            return Err(Fault::Syntax);
        }
        let digits = self.take_digits().to_vec();
        let part = |from: usize, to: usize| value_of(digits.get(from..to).unwrap_or_default());
        let (hours, mut minutes, mut seconds) = match digits.len() {
            1 | 2 => (part(0, digits.len())?, 0, 0),
            3 => (part(0, 1)?, part(1, 3)?, 0),
            4 => (part(0, 2)?, part(2, 4)?, 0),
            6 => (part(0, 2)?, part(2, 4)?, part(4, 6)?),
            _ => return Err(Fault::Displacement),
        };
        if self.rest.first() == Some(&b':') {
            self.rest = &self.rest[1..];
            minutes = value_of(self.take_digits())?;
            if self.rest.first() == Some(&b':') {
                self.rest = &self.rest[1..];
                seconds = value_of(self.take_digits())?;
            }
        }
        if hours > 15 || minutes > 59 || seconds > 59 {
            return Err(Fault::Displacement);
        }
        let offset = i32::try_from(hours * 3600 + minutes * 60 + seconds).unwrap_or(MAX_OFFSET);
        self.parsed.zone = Some(Zone::Offset(if negative { -offset } else { offset }));
        Ok(())
    }

    fn take_word(&mut self) -> String {
        let count = self.rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let (word, rest) = self.rest.split_at(count);
        self.rest = rest;
        String::from_utf8_lossy(word).to_ascii_lowercase()
    }

    fn word(&mut self) -> Parse<()> {
        let whole = self.rest;
        let word = self.take_word();
        let next = self.rest.first().copied().unwrap_or(0);
        if matches!(next, b'/' | b'_') && month_of(&word).is_none() {
            return self.zone_name(whole);
        }
        if let Some(month) = month_of(&word) {
            self.parts.push(Part::Month(month));
            // `Jan-08-1999`
            while matches!(self.rest, [b'-' | b'/' | b'.', byte, ..] if byte.is_ascii_alphanumeric()) {
                self.rest = &self.rest[1..];
                let digits = self.take_digits().to_vec();
                if digits.is_empty() {
                    return Err(Fault::Syntax);
                }
                self.parts.push(Part::Number { value: value_of(&digits)?, digits: digits.len() });
            }
            return Ok(());
        }
        let special = match word.as_str() {
            "epoch" => Some(Special::Epoch),
            "infinity" => Some(Special::Infinity),
            "now" => Some(Special::Now),
            "today" => Some(Special::Day(0)),
            "tomorrow" => Some(Special::Day(1)),
            "yesterday" => Some(Special::Day(-1)),
            _ => None,
        };
        if special.is_some() {
            if self.parsed.special.is_some() {
                return Err(Fault::Syntax);
            }
            self.parsed.special = special;
            return Ok(());
        }
        match word.as_str() {
            "bc" => self.bc = true,
            "ad" | "at" | "on" => {}
            "am" => self.afternoon = Some(false),
            "pm" => self.afternoon = Some(true),
            "allballs" => self.parsed.time = Some(0),
            "t" if (self.has_date() || self.time_only) && next.is_ascii_digit() => {}
            "j" | "jd" | "julian" if next.is_ascii_digit() => {
                let digits = self.take_digits().to_vec();
                self.parsed.date = Some(value_of(&digits)? - EPOCH_JULIAN);
            }
            _ if is_day_name(&word) => {}
            _ => match abbreviation_offset(&word) {
                Some(offset) if self.parsed.zone.is_none() && !matches!(next, b'+' | b'-') => {
                    self.parsed.zone = Some(Zone::Offset(offset));
                }
                _ => return self.zone_name(whole),
            },
        }
        Ok(())
    }

    /// `Europe/Vienna`, `GMT+3`
    fn zone_name(&mut self, text: &'t [u8]) -> Parse<()> {
        let count = text
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_' | b'-' | b'+'))
            .count();
        let name = String::from_utf8_lossy(&text[..count]).to_ascii_lowercase();
        self.rest = &text[count..];
        if self.parsed.zone.is_some() {
            return Err(Fault::Syntax);
        }
        match TimeZone::parse(&name) {
            Ok(zone) => self.parsed.zone = Some(Zone::Named(zone)),
            Err(error) if name.contains('/') => {
                return Err(Fault::Other(error));
            }
            Err(_) => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn finish(mut self, cx: &TextContext) -> Parse<Parsed> {
        if let Some(afternoon) = self.afternoon {
            let time = self.parsed.time.ok_or(Fault::Syntax)?;
            let hour = time / MICROS_PER_HOUR;
            if hour > 12 {
                return Err(Fault::Range);
            }
            let half_day = 12 * MICROS_PER_HOUR;
            self.parsed.time = Some(match (afternoon, hour == 12) {
                (true, false) => time + half_day,
                (false, true) => time - half_day,
                _ => time,
            });
        }
        if !self.parts.is_empty() {
            if self.parsed.date.is_some() || self.parsed.special.is_some() {
                return Err(Fault::Syntax);
            }
            self.parsed.date = Some(date_of(&self.parts, self.bc, cx)?);
        } else if self.bc {
            return Err(Fault::Syntax);
        }
        if self.parsed.special.is_some() && self.parsed.date.is_some() {
            return Err(Fault::Syntax);
        }
        let nothing =
            self.parsed.special.is_none() && self.parsed.date.is_none() && self.parsed.time.is_none();
        if nothing { Err(Fault::Syntax) } else { Ok(self.parsed) }
    }
}

/// Digits after the point of seconds, rounded to microseconds.
pub(super) fn fraction_micros(digits: &[u8]) -> i64 {
    let mut micros = 0;
    for at in 0..6 {
        micros = micros * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0'));
    }
    micros + i64::from(digits.get(6).is_some_and(|digit| *digit >= b'5'))
}

/// Decides which part is year, month and day.
fn date_of(parts: &[Part], bc: bool, cx: &TextContext) -> Parse<i64> {
    let month_at = parts.iter().position(|part| matches!(part, Part::Month(_)));
    let number = |at: usize| match parts.get(at) {
        Some(Part::Number { value, digits }) => Ok((*value, *digits)),
        _ => Err(Fault::Syntax),
    };
    let ((year, year_digits), month, day) = match (parts.len(), month_at) {
        (2, None) => {
            // Year and day of the year.
            let ((year, digits), (day, day_digits)) = (number(0)?, number(1)?);
            if digits < 4 || day_digits != 3 {
                return Err(Fault::Syntax);
            }
            let year = full_year(year, digits, bc)?;
            if !(1..=366).contains(&day) {
                return Err(Fault::Range);
            }
            return Ok(days_from_civil(year, 1, 1) + day - 1);
        }
        (3, None) => {
            let (a, b, c) = (number(0)?, number(1)?, number(2)?);
            match cx.date_order {
                _ if a.1 >= 3 => (a, b.0, c.0),
                DateOrder::Ymd => (a, b.0, c.0),
                DateOrder::Dmy => (c, b.0, a.0),
                DateOrder::Mdy => (c, a.0, b.0),
            }
        }
        (3, Some(at)) => {
            let Some(Part::Month(month)) = parts.get(at).copied() else { return Err(Fault::Syntax) };
            let others: Vec<usize> = (0..3).filter(|index| *index != at).collect();
            let (first, second) = (number(others[0])?, number(others[1])?);
            let year_first = first.1 >= 3 || (cx.date_order == DateOrder::Ymd && at == 1 && second.1 < 3);
            if year_first { (first, month, second.0) } else { (second, month, first.0) }
        }
        _ => return Err(Fault::Syntax),
    };
    let year = full_year(year, year_digits, bc)?;
    let order =
        |number: i64, most: i64| if (1..=most).contains(&number) { Ok(()) } else { Err(Fault::Order) };
    order(month, 12)?;
    order(day, 31)?;
    if day > super::days_in_month(year, month) {
        return Err(Fault::Range);
    }
    Ok(days_from_civil(year, month, day))
}

/// The astronomical year: two digits mean 1970 to 2069, BC counts down from 0.
fn full_year(year: i64, digits: usize, bc: bool) -> Parse<i64> {
    if bc {
        return if year > 0 { Ok(1 - year) } else { Err(Fault::Range) };
    }
    match year {
        0..70 if digits <= 2 => Ok(year + 2000),
        70..100 if digits <= 2 => Ok(year + 1900),
        0 => Err(Fault::Range),
        _ => Ok(year),
    }
}
