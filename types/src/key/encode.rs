//! Values → key bytes, ascending; the caller inverts for DESC.

use super::{
    END, ESCAPE, NULL_LAST, NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE, NUMERIC_NEGATIVE_INFINITY,
    NUMERIC_POSITIVE, NUMERIC_ZERO, PRESENT,
};
use crate::datetime::Interval;
use crate::json::{Jsonb, order};
use crate::numeric::{Numeric, signed};
use crate::sqlstate::SqlState;
use crate::value::Value;
use crate::vector::Data;
use crate::{Error, Result};

/// Composed values nest at most this deep.
pub(super) const MAX_DEPTH: usize = 64;

/// Appends a value that is not NULL.
pub(super) fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    write_nested(value, out, 0)
}

fn write_nested(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    match value {
        Value::Null => return Err(Error::internal("NULL has no key bytes of its own")),
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int16(v) => int16(*v, out),
        Value::Int32(v) => int32(*v, out),
        Value::Int64(v) => int64(*v, out),
        Value::UInt32(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float32(v) => float32(*v, out),
        Value::Float64(v) => float64(*v, out),
        Value::Numeric(v) => numeric(v, out),
        Value::Interval(v) => interval(*v, out),
        Value::Text(v) => bytes(v.as_bytes(), out),
        Value::Bytea(v) => bytes(v, out),
        Value::Uuid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Jsonb(v) => jsonb(Jsonb(v), out),
        Value::Array(array) => {
            elements(&array.elements, out, depth)?;
            out.push(u8::try_from(array.dimensions.len()).unwrap_or(u8::MAX));
            for dimension in &array.dimensions {
                int32(dimension.length, out);
                int32(dimension.lower_bound, out);
            }
        }
        Value::Record(fields) => elements(fields, out, depth)?,
    }
    Ok(())
}

/// Each with its form, so that a composed value can be skipped without knowing its type.
fn elements(values: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "composite value is nested too deep"));
    }
    for value in values {
        if value.is_null() {
            out.push(NULL_LAST);
        } else {
            out.push(PRESENT);
            out.push(form_code(value));
            write_nested(value, out, depth + 1)?;
        }
    }
    out.push(END);
    Ok(())
}

fn form_code(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int16(_) => 2,
        Value::Int32(_) => 3,
        Value::Int64(_) => 4,
        Value::UInt32(_) => 5,
        Value::Float32(_) => 6,
        Value::Float64(_) => 7,
        Value::Numeric(_) => 8,
        Value::Interval(_) => 9,
        Value::Text(_) => 10,
        Value::Bytea(_) => 11,
        Value::Uuid(_) => 12,
        Value::Array(_) => 13,
        Value::Record(_) => 14,
        Value::Jsonb(_) => 15,
    }
}

/// Appends stored value `at` of a vector, which is not NULL.
#[inline]
pub(super) fn write_stored(data: &Data, at: usize, out: &mut Vec<u8>) -> Result<()> {
    match data {
        Data::Bool(v) => out.push(u8::from(v[at])),
        Data::Int16(v) => int16(v[at], out),
        Data::Int32(v) => int32(v[at], out),
        Data::Int64(v) => int64(v[at], out),
        Data::UInt32(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Float32(v) => float32(v[at], out),
        Data::Float64(v) => float64(v[at], out),
        Data::Decimal { scale, values } => small_numeric(i128::from(values[at]), *scale, out),
        Data::Numeric(v) => numeric(&v[at], out),
        Data::Interval(v) => interval(v[at], out),
        Data::Text(v) | Data::Bytea(v) => bytes(v.get(at), out),
        Data::Uuid(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Jsonb(v) => jsonb(Jsonb(v.get(at)), out),
        Data::Composed(v) => write_value(&v[at], out)?,
    }
    Ok(())
}

/// Appends the key bytes of a jsonb value.
pub(crate) fn jsonb(value: Jsonb<'_>, out: &mut Vec<u8>) {
    order::write_key(value, out, bytes, numeric);
}

#[inline]
fn int16(value: i16, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ 1 << 15).to_be_bytes());
}

#[inline]
fn int32(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ 1 << 31).to_be_bytes());
}

#[inline]
fn int64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ 1 << 63).to_be_bytes());
}

fn float32(value: f32, out: &mut Vec<u8>) {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = if value.is_nan() { f32::NAN.to_bits() & 0x7fff_ffff } else { value.to_bits() };
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn float64(value: f64, out: &mut Vec<u8>) {
    let value = if value == 0.0 { 0.0 } else { value };
    let bits = if value.is_nan() { f64::NAN.to_bits() & (u64::MAX >> 1) } else { value.to_bits() };
    let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.extend_from_slice(&ordered.to_be_bytes());
}

fn interval(value: Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.span_micros().cast_unsigned() ^ 1 << 127).to_be_bytes());
}

#[inline]
fn bytes(value: &[u8], out: &mut Vec<u8>) {
    if value.iter().all(|&byte| byte > ESCAPE) {
        out.extend_from_slice(value);
    } else {
        for &byte in value {
            if byte <= ESCAPE {
                out.push(ESCAPE);
                out.push(byte + 1);
            } else {
                out.push(byte);
            }
        }
    }
    out.push(END);
}

fn numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::Small { unscaled, scale } => small_numeric(*unscaled, *scale, out),
        Numeric::Big(_) => {
            let Some(parts) = value.parts() else { return };
            let mut digits = parts.magnitude.to_digits();
            if parts.scale % 2 == 1 {
                digits.push(0);
            }
            let pairs: Vec<u8> =
                digits.rchunks(2).rev().map(|pair| pair.iter().fold(0, |n, digit| n * 10 + digit)).collect();
            let exponent = signed(pairs.len()) - signed(parts.scale.div_ceil(2));
            write_pairs(parts.negative, exponent, &pairs, out);
        }
        Numeric::NaN => out.push(NUMERIC_NAN),
        Numeric::Infinity => out.push(NUMERIC_INFINITY),
        Numeric::NegativeInfinity => out.push(NUMERIC_NEGATIVE_INFINITY),
    }
}

fn small_numeric(unscaled: i128, scale: u16, out: &mut Vec<u8>) {
    if unscaled == 0 {
        return out.push(NUMERIC_ZERO);
    }
    // Base-100 digits, aligned at the point.
    let mut pairs = [0u8; 21];
    let mut at = pairs.len();
    let mut rest = unscaled.unsigned_abs();
    let half_pairs = i64::from(scale.div_ceil(2));
    if scale % 2 == 1 {
        at -= 1;
        pairs[at] = (rest % 10) as u8 * 10;
        rest /= 10;
    }
    while rest > u128::from(u64::MAX) {
        at -= 1;
        pairs[at] = (rest % 100) as u8;
        rest /= 100;
    }
    let mut short = rest as u64;
    while short > 0 {
        at -= 1;
        pairs[at] = (short % 100) as u8;
        short /= 100;
    }
    let pairs = &pairs[at..];
    let exponent = i64::try_from(pairs.len()).unwrap_or(0) - half_pairs;
    write_pairs(unscaled < 0, exponent, pairs, out);
}

/// The number 0.pairs × 100^exponent, not 0. The first pairs may be 0.
fn write_pairs(negative: bool, exponent: i64, pairs: &[u8], out: &mut Vec<u8>) {
    let leading = pairs.iter().take_while(|&&pair| pair == 0).count();
    let kept = pairs.iter().rposition(|&pair| pair != 0).map_or(0, |last| last + 1);
    let exponent = exponent - signed(leading);
    out.push(if negative { NUMERIC_NEGATIVE } else { NUMERIC_POSITIVE });
    let start = out.len();
    match i8::try_from(exponent) {
        Ok(short) if short.unsigned_abs() <= 100 => out.push(short.cast_unsigned() ^ 0x80),
        _ => {
            // Exponents lie within ±70,000: four bytes, behind a byte outside the short ones.
            let wide = i32::try_from(exponent).unwrap_or(i32::MAX);
            out.push(if exponent > 0 { 0xf0 } else { 0x0f });
            out.extend_from_slice(&(wide.cast_unsigned() ^ 1 << 31).to_be_bytes());
        }
    }
    out.extend(pairs[leading..kept].iter().map(|pair| pair + 1));
    out.push(END);
    if negative {
        super::invert(&mut out[start..]);
    }
}
