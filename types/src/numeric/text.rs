//! NUMERIC's text form: parsing and printing.

use std::fmt;

use super::{MAX_INTEGER_DIGITS, MAX_SCALE, Magnitude, Numeric, POWERS, Parts, overflow, signed};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// Digits that certainly fit an i128.
const SMALL_DIGITS: usize = 38;

impl Numeric {
    /// Digits, point, exponent, `NaN`, `[+-]Infinity`, `inf`; blanks around are ignored.
    /// 22P02 `invalid input syntax for type numeric: "x"`, 22003 beyond 131072 or 16383 digits.
    pub fn parse(text: &str) -> Result<Numeric> {
        let invalid = || {
            Error::new(
                SqlState::INVALID_TEXT_REPRESENTATION,
                format!("invalid input syntax for type numeric: \"{text}\""),
            )
        };
        let trimmed = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
        let bytes = trimmed.as_bytes();
        if let Some(value) = parse_short(bytes) {
            return Ok(value);
        }
        let (negative, rest) = match bytes.first() {
            Some(b'-') => (true, &bytes[1..]),
            Some(b'+') => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        if !rest.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.') {
            let word = rest.to_ascii_lowercase();
            return match word.as_slice() {
                b"nan" if rest.len() == bytes.len() => Ok(Numeric::NaN),
                b"infinity" | b"inf" if negative => Ok(Numeric::NegativeInfinity),
                b"infinity" | b"inf" => Ok(Numeric::Infinity),
                _ => Err(invalid()),
            };
        }
        let mut digits = Vec::with_capacity(rest.len());
        let mut point = None;
        let mut at = 0;
        while let Some(&byte) = rest.get(at) {
            match byte {
                b'0'..=b'9' => digits.push(byte - b'0'),
                b'.' if point.is_none() => point = Some(digits.len()),
                _ => break,
            }
            at += 1;
        }
        if digits.is_empty() {
            return Err(invalid());
        }
        let exponent = match rest.get(at) {
            None => 0,
            Some(b'e' | b'E') => parse_exponent(&rest[at + 1..]).ok_or_else(invalid)??,
            Some(_) => return Err(invalid()),
        };
        let fraction = digits.len() - point.unwrap_or(digits.len());
        from_digits(negative, &digits, fraction, exponent)
    }
}

/// The usual literal: at most 18 digits, a point, nothing else.
fn parse_short(bytes: &[u8]) -> Option<Numeric> {
    if bytes.len() > 20 {
        return None;
    }
    let (negative, rest) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        _ => (false, bytes),
    };
    let mut value = 0i64;
    let mut digits = 0usize;
    let mut point = None;
    for &byte in rest {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits > 18 {
                    return None;
                }
                value = value * 10 + i64::from(byte - b'0');
            }
            b'.' if point.is_none() => point = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 {
        return None;
    }
    let scale = u16::try_from(digits - point.unwrap_or(digits)).ok()?;
    Some(Numeric::new(i128::from(if negative { -value } else { value }), scale))
}

/// The exponent after `e`; `None` is bad syntax, an error inside is one beyond all limits.
fn parse_exponent(bytes: &[u8]) -> Option<Result<i64>> {
    let (negative, digits) = match bytes.first()? {
        b'-' => (true, &bytes[1..]),
        b'+' => (false, &bytes[1..]),
        _ => (false, bytes),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value =
        digits.iter().fold(0i64, |value, &d| value.saturating_mul(10).saturating_add(i64::from(d - b'0')));
    if value >= i64::from(i32::MAX / 2) {
        return Some(Err(overflow()));
    }
    Some(Ok(if negative { -value } else { value }))
}

/// `digits`, of which `fraction` stand after the point, times 10^exponent.
fn from_digits(negative: bool, digits: &[u8], fraction: usize, exponent: i64) -> Result<Numeric> {
    let leading = digits.iter().take_while(|&&digit| digit == 0).count();
    let significant = &digits[leading..];
    let point = signed(fraction) - exponent;
    let scale = usize::try_from(point.max(0)).map_err(|_| overflow())?;
    if scale > usize::from(MAX_SCALE) {
        return Err(overflow());
    }
    if significant.is_empty() {
        return Ok(Numeric::new(0, u16::try_from(scale).map_err(|_| overflow())?));
    }
    let shift = usize::try_from((-point).max(0)).map_err(|_| overflow())?;
    if signed(significant.len()) - point > signed(MAX_INTEGER_DIGITS) {
        return Err(overflow());
    }
    if significant.len() + shift <= SMALL_DIGITS {
        let value =
            significant.iter().fold(0i128, |value, &digit| value * 10 + i128::from(digit)) * POWERS[shift];
        let short = u16::try_from(scale).map_err(|_| overflow())?;
        return Ok(Numeric::new(if negative { -value } else { value }, short));
    }
    let magnitude = Magnitude::from_digits(significant).shift_up(shift);
    Numeric::from_parts(Parts { negative, magnitude, scale })
}

impl std::str::FromStr for Numeric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Numeric> {
        Numeric::parse(text)
    }
}

/// Appends `unscaled / 10^scale`.
pub(crate) fn write_decimal(unscaled: i128, scale: u16, out: &mut Vec<u8>) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let magnitude = unscaled.unsigned_abs();
    let scale = usize::from(scale);
    let mut buffer = [b'0'; 40];
    let mut at = buffer.len();
    if let Ok(mut short) = u64::try_from(magnitude) {
        while short > 0 {
            at -= 1;
            buffer[at] = b'0' + (short % 10) as u8;
            short /= 10;
        }
    } else {
        let mut rest = magnitude;
        while rest > 0 {
            at -= 1;
            buffer[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    write_digits(&buffer[at..], scale, out);
}

/// Appends ASCII `digits`, of which `scale` stand after the point.
fn write_digits(digits: &[u8], scale: usize, out: &mut Vec<u8>) {
    if digits.len() > scale {
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        out.extend_from_slice(whole);
        if scale > 0 {
            out.push(b'.');
            out.extend_from_slice(fraction);
        }
        return;
    }
    out.push(b'0');
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

impl Numeric {
    /// Appends the text form.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        match self {
            Numeric::Small { unscaled, scale } => write_decimal(*unscaled, *scale, out),
            Numeric::Big(big) => {
                if big.negative {
                    out.push(b'-');
                }
                let digits: Vec<u8> = big.magnitude.to_digits().iter().map(|digit| b'0' + digit).collect();
                write_digits(&digits, usize::from(big.scale), out);
            }
            Numeric::NaN => out.extend_from_slice(b"NaN"),
            Numeric::Infinity => out.extend_from_slice(b"Infinity"),
            Numeric::NegativeInfinity => out.extend_from_slice(b"-Infinity"),
        }
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(24);
        self.write_text(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(text: &str) -> String {
        Numeric::parse(text).map_or_else(|e| format!("{e:?}"), |value| value.to_string())
    }

    #[test]
    fn reads_and_prints_what_postgres_does() {
        for (input, output) in [
            (" 1.50 ", "1.50"),
            ("-0", "0"),
            ("-0.00", "0.00"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+7e2", "700"),
            ("1.5e-3", "0.0015"),
            ("123.45e1", "1234.5"),
            ("0e5", "0"),
            ("nan", "NaN"),
            ("-INF", "-Infinity"),
            ("+infinity", "Infinity"),
            ("000000000000000000000000000000000000000000000001.5", "1.5"),
            ("170141183460469231731687303715884105728", "170141183460469231731687303715884105728"),
            ("-1e40", "-10000000000000000000000000000000000000000"),
            ("1e131071x", "22P02: invalid input syntax for type numeric: \"1e131071x\""),
            ("1e131072", "22003: value overflows numeric format"),
            ("1e-16384", "22003: value overflows numeric format"),
            ("1e9999999999999", "22003: value overflows numeric format"),
            ("", "22P02: invalid input syntax for type numeric: \"\""),
            ("1 2", "22P02: invalid input syntax for type numeric: \"1 2\""),
            ("+nan", "22P02: invalid input syntax for type numeric: \"+nan\""),
            ("1e", "22P02: invalid input syntax for type numeric: \"1e\""),
            ("é", "22P02: invalid input syntax for type numeric: \"é\""),
        ] {
            assert_eq!(there_and_back(input), output, "{input}");
        }
    }
}
