//! Dates and times as text, in each DateStyle.

use super::{
    DATE_INFINITY, DATE_NEGATIVE_INFINITY, MICROS_PER_SECOND, TIMESTAMP_INFINITY,
    TIMESTAMP_NEGATIVE_INFINITY, TimeZone, civil_from_days, split_timestamp,
};
use crate::text::{DateOrder, DateStyle, TextContext};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Appends `value` in at least `width` digits.
pub(super) fn pad(value: i64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = [b'0'; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[at.min(buffer.len() - width)..]);
}

/// Two digits, the usual width.
#[inline]
fn two(value: i64, out: &mut Vec<u8>) {
    out.push(b'0' + (value / 10 % 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// `.5`: microseconds without trailing zeros, nothing for none.
pub(super) fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros == 0 {
        return;
    }
    out.push(b'.');
    pad(micros, 6, out);
    while out.last() == Some(&b'0') {
        out.pop();
    }
}

/// `HH:MM:SS[.ffffff]` of microseconds since midnight.
fn clock(time: i64, out: &mut Vec<u8>) {
    let seconds = time / MICROS_PER_SECOND;
    two(seconds / 3600, out);
    out.push(b':');
    two(seconds / 60 % 60, out);
    out.push(b':');
    two(seconds % 60, out);
    fraction(time % MICROS_PER_SECOND, out);
}

/// The date's numbers and separators, without BC; for style Postgres as dates alone look.
fn calendar(days: i64, cx: &TextContext, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(days);
    let bc = year <= 0;
    let shown = if bc { 1 - year } else { year };
    let (separator, style) = match cx.date_style {
        DateStyle::Iso => (b'-', DateOrder::Ymd),
        DateStyle::German => (b'.', DateOrder::Dmy),
        DateStyle::Sql => (b'/', order_of(cx)),
        DateStyle::Postgres => (b'-', order_of(cx)),
    };
    match style {
        DateOrder::Ymd if shown <= 9999 => {
            let mut text = [separator; 10];
            for (at, number) in [(0, shown / 100), (2, shown % 100), (5, month), (8, day)] {
                text[at] = b'0' + (number / 10) as u8;
                text[at + 1] = b'0' + (number % 10) as u8;
            }
            out.extend_from_slice(&text);
        }
        DateOrder::Ymd => {
            pad(shown, 4, out);
            out.push(separator);
            two(month, out);
            out.push(separator);
            two(day, out);
        }
        DateOrder::Dmy | DateOrder::Mdy => {
            let (first, second) = if style == DateOrder::Dmy { (day, month) } else { (month, day) };
            two(first, out);
            out.push(separator);
            two(second, out);
            out.push(separator);
            pad(shown, 4, out);
        }
    }
    bc
}

/// SQL and Postgres styles know two orders.
fn order_of(cx: &TextContext) -> DateOrder {
    if cx.date_order == DateOrder::Dmy { DateOrder::Dmy } else { DateOrder::Mdy }
}

/// Appends a date.
pub fn write_date(date: i32, cx: &TextContext, out: &mut Vec<u8>) {
    match date {
        DATE_INFINITY => out.extend_from_slice(b"infinity"),
        DATE_NEGATIVE_INFINITY => out.extend_from_slice(b"-infinity"),
        _ => {
            if calendar(i64::from(date), cx, out) {
                out.extend_from_slice(b" BC");
            }
        }
    }
}

/// Appends a time of day.
pub fn write_time(time: i64, out: &mut Vec<u8>) {
    clock(time, out);
}

/// Appends a timestamp.
pub fn write_timestamp(timestamp: i64, cx: &TextContext, out: &mut Vec<u8>) {
    write(timestamp, None, cx, out);
}

/// Appends a timestamptz as the clock in the context's zone shows it.
pub fn write_timestamptz(timestamp: i64, cx: &TextContext, out: &mut Vec<u8>) {
    write(timestamp, Some(&cx.time_zone), cx, out);
}

fn write(timestamp: i64, zone: Option<&TimeZone>, cx: &TextContext, out: &mut Vec<u8>) {
    match timestamp {
        TIMESTAMP_INFINITY => return out.extend_from_slice(b"infinity"),
        TIMESTAMP_NEGATIVE_INFINITY => return out.extend_from_slice(b"-infinity"),
        _ => {}
    }
    let offset = zone.map_or(0, |zone| zone.offset_at(timestamp));
    let (days, time) = split_timestamp(timestamp.saturating_add(i64::from(offset) * MICROS_PER_SECOND));
    let bc = if cx.date_style == DateStyle::Postgres {
        postgres_style(days, time, cx, out)
    } else {
        let bc = calendar(days, cx, out);
        out.push(b' ');
        clock(time, out);
        bc
    };
    if let Some(zone) = zone {
        if cx.date_style == DateStyle::Iso {
            write_offset(offset, out);
        } else {
            out.push(b' ');
            out.extend_from_slice(zone.abbreviation_at(timestamp).as_bytes());
        }
    }
    if bc {
        out.extend_from_slice(b" BC");
    }
}

/// `Wed Dec 17 07:37:16 1997`
fn postgres_style(days: i64, time: i64, cx: &TextContext, out: &mut Vec<u8>) -> bool {
    let (year, month, day) = civil_from_days(days);
    let name = |names: &[&'static str], index: i64| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("")
    };
    // 2000-01-01 was a Saturday.
    out.extend_from_slice(name(&DAYS, (days + 6).rem_euclid(7)).as_bytes());
    out.push(b' ');
    let month = name(&MONTHS, month - 1);
    if order_of(cx) == DateOrder::Dmy {
        two(day, out);
        out.push(b' ');
        out.extend_from_slice(month.as_bytes());
    } else {
        out.extend_from_slice(month.as_bytes());
        out.push(b' ');
        two(day, out);
    }
    out.push(b' ');
    clock(time, out);
    out.push(b' ');
    pad(if year <= 0 { 1 - year } else { year }, 4, out);
    year <= 0
}

/// `+02`, `-05:30`
fn write_offset(seconds: i32, out: &mut Vec<u8>) {
    out.push(if seconds < 0 { b'-' } else { b'+' });
    let size = i64::from(seconds).abs();
    two(size / 3600, out);
    if size % 3600 != 0 {
        out.push(b':');
        two(size / 60 % 60, out);
        if size % 60 != 0 {
            out.push(b':');
            two(size % 60, out);
        }
    }
}
