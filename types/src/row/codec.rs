//! The bytes of variable values: numerics without a short fixed form, arrays and records.
//!
//! Self-describing, so that a composed value needs no schema to be read back.

use std::sync::Arc;

use super::{checked_str, interval_from, malformed};
use crate::datatype::{DataType, Physical};
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::value::{ArrayDimension, ArrayValue, Value};
use crate::{Error, Result};

/// Composed values nest at most this deep.
const MAX_DEPTH: usize = 64;
/// PostgreSQL's limit of array dimensions.
const MAX_DIMENSIONS: usize = 6;

/// First bytes of a numeric: up to here it is the scale, the rest an integer's shortest bytes.
const MAX_INLINE_SCALE: u16 = 200;
const NUMERIC_WIDE_SCALE: u8 = 201;
const NUMERIC_BIG: u8 = 202;
const NUMERIC_NAN: u8 = 203;
const NUMERIC_INFINITY: u8 = 204;
const NUMERIC_NEGATIVE_INFINITY: u8 = 205;

/// Appends a numeric's bytes.
pub(crate) fn write_numeric(value: &Numeric, out: &mut Vec<u8>) {
    match value {
        Numeric::Small { unscaled, scale } => {
            match u8::try_from(*scale) {
                Ok(short) if *scale <= MAX_INLINE_SCALE => out.push(short),
                _ => {
                    out.push(NUMERIC_WIDE_SCALE);
                    out.extend_from_slice(&scale.to_le_bytes());
                }
            }
            // Sign bits at the top say nothing: all but one may go.
            let spare = if *unscaled < 0 { unscaled.leading_ones() } else { unscaled.leading_zeros() };
            let bytes = usize::try_from((128 - spare) / 8 + 1).unwrap_or(16).min(16);
            let bytes = if *unscaled == 0 { 0 } else { bytes };
            out.extend_from_slice(&unscaled.to_le_bytes()[..bytes]);
        }
        Numeric::Big(_) => {
            out.push(NUMERIC_BIG);
            value.write_binary(out);
        }
        Numeric::NaN => out.push(NUMERIC_NAN),
        Numeric::Infinity => out.push(NUMERIC_INFINITY),
        Numeric::NegativeInfinity => out.push(NUMERIC_NEGATIVE_INFINITY),
    }
}

/// Reads what [`write_numeric`] wrote.
pub(crate) fn read_numeric(bytes: &[u8]) -> Result<Numeric> {
    let [first, rest @ ..] = bytes else { return Err(malformed("an empty numeric")) };
    let (scale, digits) = match *first {
        NUMERIC_NAN => return Ok(Numeric::NaN),
        NUMERIC_INFINITY => return Ok(Numeric::Infinity),
        NUMERIC_NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
        NUMERIC_BIG => return Numeric::read_binary(rest).map_err(|_| malformed("a bad numeric")),
        NUMERIC_WIDE_SCALE => match rest {
            [low, high, digits @ ..] => (u16::from_le_bytes([*low, *high]), digits),
            _ => return Err(malformed("a short numeric")),
        },
        scale if u16::from(scale) <= MAX_INLINE_SCALE => (u16::from(scale), rest),
        _ => return Err(malformed("a numeric of unknown kind")),
    };
    if digits.len() > 16 || scale > crate::numeric::MAX_SCALE {
        return Err(malformed("a numeric out of bounds"));
    }
    let negative = digits.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut whole = if negative { [0xff; 16] } else { [0; 16] };
    whole[..digits.len()].copy_from_slice(digits);
    Ok(Numeric::new(i128::from_le_bytes(whole), scale))
}

const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT16: u8 = 2;
const INT32: u8 = 3;
const INT64: u8 = 4;
const UINT32: u8 = 5;
const FLOAT32: u8 = 6;
const FLOAT64: u8 = 7;
const NUMERIC: u8 = 8;
const INTERVAL: u8 = 9;
const TEXT: u8 = 10;
const BYTEA: u8 = 11;
const UUID: u8 = 12;
const ARRAY: u8 = 13;
const RECORD: u8 = 14;
const JSONB: u8 = 15;

/// Appends any value with a tag that says its form. 54001 when it nests too deep.
pub(crate) fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    write_nested(value, out, 0)
}

fn write_nested(value: &Value, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    fn sized(tag: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
        out.push(tag);
        let length = u32::try_from(bytes.len())
            .map_err(|_| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "value is too big: over 4 GB"))?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(bytes);
        Ok(())
    }
    fn tagged(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
        out.push(tag);
        out.extend_from_slice(bytes);
    }
    if depth > MAX_DEPTH {
        return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "composite value is nested too deep"));
    }
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(v) => tagged(BOOL, &[u8::from(*v)], out),
        Value::Int16(v) => tagged(INT16, &v.to_le_bytes(), out),
        Value::Int32(v) => tagged(INT32, &v.to_le_bytes(), out),
        Value::Int64(v) => tagged(INT64, &v.to_le_bytes(), out),
        Value::UInt32(v) => tagged(UINT32, &v.to_le_bytes(), out),
        Value::Float32(v) => tagged(FLOAT32, &v.to_le_bytes(), out),
        Value::Float64(v) => tagged(FLOAT64, &v.to_le_bytes(), out),
        Value::Numeric(v) => {
            let mut bytes = Vec::with_capacity(16);
            write_numeric(v, &mut bytes);
            sized(NUMERIC, &bytes, out)?;
        }
        Value::Interval(v) => {
            tagged(INTERVAL, &v.months.to_le_bytes(), out);
            out.extend_from_slice(&v.days.to_le_bytes());
            out.extend_from_slice(&v.micros.to_le_bytes());
        }
        Value::Text(v) => sized(TEXT, v.as_bytes(), out)?,
        Value::Bytea(v) => sized(BYTEA, v, out)?,
        Value::Jsonb(v) => sized(JSONB, v, out)?,
        Value::Uuid(v) => tagged(UUID, &v.to_le_bytes(), out),
        Value::Array(array) => {
            tagged(ARRAY, &array.element.oid.to_le_bytes(), out);
            out.extend_from_slice(&array.element.modifier.to_le_bytes());
            out.push(physical_code(array.element.physical));
            let dimensions = u8::try_from(array.dimensions.len()).unwrap_or(u8::MAX);
            out.push(dimensions);
            for dimension in &array.dimensions {
                out.extend_from_slice(&dimension.length.to_le_bytes());
                out.extend_from_slice(&dimension.lower_bound.to_le_bytes());
            }
            write_all(&array.elements, out, depth)?;
        }
        Value::Record(fields) => {
            out.push(RECORD);
            write_all(fields, out, depth)?;
        }
    }
    Ok(())
}

fn write_all(values: &[Value], out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let count = u32::try_from(values.len())
        .map_err(|_| Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "composite value has too many elements"))?;
    out.extend_from_slice(&count.to_le_bytes());
    values.iter().try_for_each(|value| write_nested(value, out, depth + 1))
}

/// Reads one value that takes up all of `bytes`.
pub(crate) fn read_whole_value(bytes: &[u8]) -> Result<Value> {
    let mut rest = bytes;
    let value = read_value(&mut rest)?;
    if rest.is_empty() { Ok(value) } else { Err(malformed("bytes after a composite value")) }
}

/// Reads what [`write_value`] wrote, and moves `bytes` behind it.
pub(crate) fn read_value(bytes: &mut &[u8]) -> Result<Value> {
    read_nested(bytes, 0)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or_else(|| malformed("a short composite value"))?;
    *bytes = rest;
    Ok(*head)
}

fn take_sized<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8]> {
    let length = usize::try_from(u32::from_le_bytes(take(bytes)?)).unwrap_or(usize::MAX);
    let (head, rest) = bytes.split_at_checked(length).ok_or_else(|| malformed("a short composite value"))?;
    *bytes = rest;
    Ok(head)
}

fn read_nested(bytes: &mut &[u8], depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(malformed("a composite value nested too deep"));
    }
    let [tag] = take::<1>(bytes)?;
    Ok(match tag {
        NULL => Value::Null,
        BOOL => Value::Bool(take::<1>(bytes)?[0] != 0),
        INT16 => Value::Int16(i16::from_le_bytes(take(bytes)?)),
        INT32 => Value::Int32(i32::from_le_bytes(take(bytes)?)),
        INT64 => Value::Int64(i64::from_le_bytes(take(bytes)?)),
        UINT32 => Value::UInt32(u32::from_le_bytes(take(bytes)?)),
        FLOAT32 => Value::Float32(f32::from_le_bytes(take(bytes)?)),
        FLOAT64 => Value::Float64(f64::from_le_bytes(take(bytes)?)),
        NUMERIC => Value::Numeric(read_numeric(take_sized(bytes)?)?),
        INTERVAL => Value::Interval(interval_from(take(bytes)?)),
        TEXT => Value::text(checked_str(take_sized(bytes)?)?),
        BYTEA => Value::Bytea(take_sized(bytes)?.into()),
        JSONB => {
            let bytes = take_sized(bytes)?;
            crate::json::binary::check(bytes)?;
            Value::Jsonb(bytes.into())
        }
        UUID => Value::Uuid(u128::from_le_bytes(take(bytes)?)),
        ARRAY => {
            let oid = u32::from_le_bytes(take(bytes)?);
            let modifier = i32::from_le_bytes(take(bytes)?);
            let physical = physical_from(take::<1>(bytes)?[0])?;
            let count = usize::from(take::<1>(bytes)?[0]);
            if count > MAX_DIMENSIONS {
                return Err(malformed("an array of too many dimensions"));
            }
            let mut dimensions = Vec::with_capacity(count);
            for _ in 0..count {
                let length = i32::from_le_bytes(take(bytes)?);
                dimensions.push(ArrayDimension { length, lower_bound: i32::from_le_bytes(take(bytes)?) });
            }
            let elements = read_all(bytes, depth)?;
            let size = dimensions.iter().map(|d| i64::from(d.length)).try_fold(1i64, i64::checked_mul);
            let size = if dimensions.is_empty() { Some(0) } else { size };
            if size != i64::try_from(elements.len()).ok() {
                return Err(malformed("an array whose elements do not fill it"));
            }
            Value::Array(Arc::new(ArrayValue {
                element: DataType { oid, modifier, physical },
                dimensions,
                elements,
            }))
        }
        RECORD => Value::Record(read_all(bytes, depth)?.into()),
        _ => return Err(malformed("a composite value of unknown kind")),
    })
}

fn read_all(bytes: &mut &[u8], depth: usize) -> Result<Vec<Value>> {
    let count = usize::try_from(u32::from_le_bytes(take(bytes)?)).unwrap_or(usize::MAX);
    // A value takes at least a byte, so a lie about the count cannot make us allocate.
    if count > bytes.len() {
        return Err(malformed("a short composite value"));
    }
    (0..count).map(|_| read_nested(bytes, depth + 1)).collect()
}

const PHYSICALS: [Physical; 14] = [
    Physical::Bool,
    Physical::Int16,
    Physical::Int32,
    Physical::Int64,
    Physical::UInt32,
    Physical::Float32,
    Physical::Float64,
    Physical::Numeric,
    Physical::Interval,
    Physical::Text,
    Physical::Bytea,
    Physical::Uuid,
    Physical::Composed,
    Physical::Jsonb,
];

fn physical_code(physical: Physical) -> u8 {
    let position = PHYSICALS.iter().position(|&p| p == physical);
    position.and_then(|position| u8::try_from(position).ok()).unwrap_or(u8::MAX)
}

fn physical_from(code: u8) -> Result<Physical> {
    PHYSICALS.get(usize::from(code)).copied().ok_or_else(|| malformed("an array of unknown elements"))
}
