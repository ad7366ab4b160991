//! Integers, floats and oids as text.

use std::io::Write;

use super::invalid_syntax;
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// What C's `isspace` takes.
pub(super) fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| u8::try_from(c).is_ok_and(is_space))
}

/// An integer type's input. 22P02, 22003 `value "…" is out of range for type integer`.
pub(super) fn parse_integer<T: TryFrom<i64>>(text: &str, type_name: &str) -> Result<T> {
    let digits = trim(text);
    let (negative, digits) = match digits.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(invalid_syntax(type_name, text));
    }
    // Downwards, so that the lowest bigint fits.
    let value = digits
        .iter()
        .try_fold(0i64, |value, digit| value.checked_mul(10)?.checked_sub(i64::from(digit - b'0')));
    let value = value.and_then(|value| if negative { Some(value) } else { value.checked_neg() });
    value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
        Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    })
}

/// The usual case: a sign and at most 18 digits. `None` says nothing.
#[inline]
pub(super) fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

/// A decimal that lies exactly in numeric(precision, scale) as a scaled integer. `None` says nothing.
#[inline]
pub(super) fn short_decimal(text: &[u8], precision: i32, scale: u16) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.len() > 19 {
        return None;
    }
    let (mut value, mut count, mut fraction, mut point) = (0i64, 0usize, 0u16, false);
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if count == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit);
            count += 1;
            fraction += u16::from(point);
        } else if byte == b'.' && !point {
            point = true;
        } else {
            return None;
        }
    }
    if count == 0 || fraction > scale {
        return None;
    }
    let power = |n: u32| 10i64.checked_pow(n);
    let scaled = value.checked_mul(power(u32::from(scale - fraction))?)?;
    let fits = scaled < power(u32::try_from(precision).ok()?)?;
    fits.then_some(if negative { -scaled } else { scaled })
}

/// An oid: also negative, as its two's complement. 22P02, 22003.
pub(super) fn parse_oid(text: &str, type_name: &str) -> Result<u32> {
    let digits = trim(text);
    if digits == "-" && type_name.starts_with("reg") {
        return Ok(0);
    }
    let negative = digits.starts_with('-');
    let plain = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid_syntax(type_name, text));
    }
    let value = plain.parse::<i64>().ok().map(|value| if negative { -value } else { value });
    let oid = value.and_then(|value| {
        if negative { i32::try_from(value).ok().map(i32::cast_unsigned) } else { u32::try_from(value).ok() }
    });
    oid.ok_or_else(|| {
        Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{text}\" is out of range for type {type_name}"),
        )
    })
}

/// 22P02, 22003 `"1e400" is out of range for type double precision`.
pub(super) fn parse_float64(text: &str) -> Result<f64> {
    let (trimmed, value) = float_text(text, "double precision")?;
    match value {
        Some(value) => Ok(value),
        None => {
            let value: f64 = trimmed.parse().map_err(|_| invalid_syntax("double precision", text))?;
            check_range(value.is_infinite(), value == 0.0, trimmed, "double precision").map(|()| value)
        }
    }
}

/// As [`parse_float64`], `real`.
pub(super) fn parse_float32(text: &str) -> Result<f32> {
    let (trimmed, value) = float_text(text, "real")?;
    match value {
        #[allow(clippy::cast_possible_truncation)]
        Some(value) => Ok(value as f32),
        None => {
            let value: f32 = trimmed.parse().map_err(|_| invalid_syntax("real", text))?;
            check_range(value.is_infinite(), value == 0.0, trimmed, "real").map(|()| value)
        }
    }
}

/// The trimmed text, and its value if it is a word.
fn float_text<'t>(text: &'t str, type_name: &str) -> Result<(&'t str, Option<f64>)> {
    let trimmed = trim(text);
    let (negative, word) = match trimmed.as_bytes() {
        [b'-', ..] => (true, &trimmed[1..]),
        [b'+', ..] => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let starts = word.bytes().next().unwrap_or(0);
    if starts.is_ascii_digit() || starts == b'.' {
        return Ok((trimmed, None));
    }
    let value = if word.eq_ignore_ascii_case("infinity") || word.eq_ignore_ascii_case("inf") {
        f64::INFINITY
    } else if word.eq_ignore_ascii_case("nan") {
        f64::NAN
    } else {
        return Err(invalid_syntax(type_name, text));
    };
    Ok((trimmed, Some(if negative { -value } else { value })))
}

fn check_range(infinite: bool, zero: bool, text: &str, type_name: &str) -> Result<()> {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let underflow = zero && mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    if infinite || underflow {
        return Err(Error::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{text}\" is out of range for type {type_name}"),
        ));
    }
    Ok(())
}

/// Appends an integer in decimal.
#[inline]
pub fn write_integer(value: i64, out: &mut Vec<u8>) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&buffer[at..]);
}

/// Appends `value` as PostgreSQL prints double precision.
pub fn write_float64(value: f64, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(value, out) {
        return;
    }
    if extra_float_digits <= 0 {
        let digits = usize::try_from(15 + extra_float_digits).unwrap_or(1).max(1);
        let text = format!("{value:.*e}", digits - 1);
        return write_exponential(&text, i32::try_from(digits).unwrap_or(15), true, out);
    }
    let mut text = format!("{value:e}");
    if value.abs() >= TWO_54 && value.abs() < 1e38 {
        let (below, above) = (value.abs().next_down(), value.abs().next_up());
        let on_edge = |text: &str| between(text, value.abs(), below, above);
        if on_edge(&text) {
            text = longer(text, 17, &on_edge, |n| format!("{value:.n$e}"), |t| t.parse() == Ok(value));
        }
    }
    write_exponential(&text, 15, false, out);
}

/// Appends `value` as PostgreSQL prints real.
pub fn write_float32(value: f32, extra_float_digits: i32, out: &mut Vec<u8>) {
    if write_special(f64::from(value), out) {
        return;
    }
    if extra_float_digits <= 0 {
        let digits = usize::try_from(6 + extra_float_digits).unwrap_or(1).max(1);
        let text = format!("{value:.*e}", digits - 1);
        return write_exponential(&text, i32::try_from(digits).unwrap_or(6), true, out);
    }
    let mut text = format!("{value:e}");
    let size = f64::from(value.abs());
    if (33_554_432.0..1e38).contains(&size) {
        let (below, above) = (f64::from(value.abs().next_down()), f64::from(value.abs().next_up()));
        let on_edge = |text: &str| between(text, size, below, above);
        if on_edge(&text) {
            text = longer(text, 9, &on_edge, |n| format!("{value:.n$e}"), |t| t.parse() == Ok(value));
        }
    }
    write_exponential(&text, 6, false, out);
}

const TWO_54: f64 = 18_014_398_509_481_984.0;

/// Whether `text` is exactly half-way to a neighbour: such digits PostgreSQL's printer does not accept,
/// though reading rounds them back to even. Only integers can be so short and half-way.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn between(text: &str, value: f64, below: f64, above: f64) -> bool {
    let Some((mantissa, exponent)) = text.trim_start_matches('-').split_once('e') else { return false };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let (Ok(number), Ok(exponent)) = (digits.parse::<u128>(), exponent.parse::<i64>()) else { return false };
    let zeros = exponent + 1 - i64::try_from(digits.len()).unwrap_or(0);
    let Ok(zeros) = u32::try_from(zeros) else { return false };
    let Some(exact) = 10u128.checked_pow(zeros).and_then(|power| number.checked_mul(power)) else {
        return false;
    };
    let (value, below, above) = (value as u128, below as u128, above as u128);
    2 * exact == value + above || 2 * exact == value + below
}

/// The fewest digits more than `text` has that read back and are not half-way.
fn longer(
    text: String,
    most: usize,
    on_edge: &dyn Fn(&str) -> bool,
    print: impl Fn(usize) -> String,
    reads_back: impl Fn(&str) -> bool,
) -> String {
    let digits = text.split('e').next().unwrap_or("").bytes().filter(u8::is_ascii_digit).count();
    (digits..most).map(print).find(|t| reads_back(t) && !on_edge(t)).unwrap_or(text)
}

fn write_special(value: f64, out: &mut Vec<u8>) -> bool {
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        return false;
    }
    true
}

/// Lays out `d.ddde±x` as C's `%g` does: plain from 10⁻⁴ up to 10^`limit`, else with an exponent.
fn write_exponential(text: &str, limit: i32, strip_zeros: bool, out: &mut Vec<u8>) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let mut digits = [0u8; 40];
    let mut count = 0;
    for byte in mantissa.bytes().filter(u8::is_ascii_digit) {
        if let Some(place) = digits.get_mut(count) {
            *place = byte;
            count += 1;
        }
    }
    if strip_zeros {
        while count > 1 && digits[count - 1] == b'0' {
            count -= 1;
        }
    }
    let digits = &digits[..count];
    out.extend_from_slice(sign.as_bytes());
    if exponent < -4 || exponent >= limit {
        out.extend_from_slice(&digits[..1]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to memory does not fail.
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + usize::try_from(-exponent - 1).unwrap_or(0), b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = usize::try_from(exponent + 1).unwrap_or(1);
        if digits.len() <= whole {
            out.extend_from_slice(digits);
            out.resize(out.len() + whole - digits.len(), b'0');
        } else {
            out.extend_from_slice(&digits[..whole]);
            out.push(b'.');
            out.extend_from_slice(&digits[whole..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float64(value, 1, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn real(value: f32) -> String {
        let mut out = Vec::new();
        write_float32(value, 1, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_print_as_postgres_prints_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (0.1, "0.1"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1e20, "1e+20"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (123_456.789, "123456.789"),
            (1e23, "9.999999999999999e+22"),
            (8.41e21, "8.409999999999999e+21"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(value), text);
        }
        assert_eq!(
            (real(1e6), real(99999.5), real(2e-44)),
            ("1e+06".into(), "99999.5".into(), "2e-44".into())
        );
        let mut out = Vec::new();
        write_float64(1.0 / 3.0, 0, &mut out);
        write_float64(100.0, -3, &mut out);
        assert_eq!(out, b"0.333333333333333100");
    }

    #[test]
    fn integers_read_and_refuse() {
        assert_eq!(parse_integer::<i64>(" -9223372036854775808 ", "bigint").unwrap(), i64::MIN);
        assert_eq!(
            parse_integer::<i16>("32768", "smallint").unwrap_err().message(),
            "value \"32768\" is out of range for type smallint"
        );
        assert_eq!(
            parse_integer::<i32>("1_0", "integer").unwrap_err().code(),
            SqlState::INVALID_TEXT_REPRESENTATION
        );
        assert_eq!(parse_oid("-1", "oid").unwrap(), u32::MAX);
        assert_eq!(short_decimal(b"-12.5", 4, 2), Some(-1250));
        assert_eq!(short_decimal(b"123", 4, 2), None);
        assert_eq!(parse_float64("1e-400").unwrap_err().code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
        assert_eq!(parse_float32("-inf").unwrap(), f32::NEG_INFINITY);
    }
}
