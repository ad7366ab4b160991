//! Key bytes → values. Keys come from disk: any bytes give a value or XX001.

use std::sync::Arc;

use super::encode::MAX_DEPTH;
use super::{
    END, ESCAPE, KeyColumn, NULL_FIRST, NULL_LAST, NUMERIC_INFINITY, NUMERIC_NAN, NUMERIC_NEGATIVE,
    NUMERIC_NEGATIVE_INFINITY, NUMERIC_POSITIVE, NUMERIC_ZERO, PRESENT, malformed,
};
use crate::Result;
use crate::datatype::{DataType, Physical};
use crate::datetime::Interval;
use crate::json::order::{self, KeySource};
use crate::numeric::{Magnitude, Numeric, Parts};
use crate::value::{ArrayDimension, ArrayValue, Value};

/// A key's bytes, uninverted while they are read.
struct Reader<'k> {
    rest: &'k [u8],
    mask: u8,
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8> {
        let (byte, rest) = self.rest.split_first().ok_or_else(|| malformed("too short"))?;
        self.rest = rest;
        Ok(byte ^ self.mask)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| malformed("too short"))?;
        self.rest = rest;
        Ok(bytes.map(|byte| byte ^ self.mask))
    }

    fn int32(&mut self) -> Result<i32> {
        Ok((u32::from_be_bytes(self.array()?) ^ 1 << 31).cast_signed())
    }

    /// Text or bytea, unescaped, its end read.
    fn bytes(&mut self) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            match self.byte()? {
                END => return Ok(out),
                ESCAPE => match self.byte()? {
                    escaped @ (1 | 2) => out.push(escaped - 1),
                    _ => return Err(malformed("bad escape")),
                },
                byte => out.push(byte),
            }
        }
    }
}

impl KeySource for Reader<'_> {
    fn byte(&mut self) -> Result<u8> {
        Reader::byte(self)
    }

    fn count(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| malformed("text that is not UTF-8"))
    }

    fn number(&mut self) -> Result<Numeric> {
        read_numeric(self)
    }

    fn malformed(&self) -> crate::Error {
        malformed("a jsonb value of unknown form")
    }
}

/// Reads one column and moves `key` behind it.
pub(super) fn read_column(key: &mut &[u8], column: &KeyColumn) -> Result<Value> {
    if column.nullable {
        let (tag, rest) = key.split_first().ok_or_else(|| malformed("too short"))?;
        *key = rest;
        match *tag {
            NULL_FIRST | NULL_LAST => return Ok(Value::Null),
            PRESENT => {}
            _ => return Err(malformed("bad tag")),
        }
    }
    let mut reader = Reader { rest: key, mask: if column.descending { 0xff } else { 0 } };
    let value = read_typed(&mut reader, column.data_type, 0)?;
    *key = reader.rest;
    Ok(value)
}

fn read_typed(reader: &mut Reader<'_>, data_type: DataType, depth: usize) -> Result<Value> {
    Ok(match data_type.physical {
        Physical::Numeric => {
            let numeric = read_numeric(reader)?;
            match data_type.numeric_precision_scale() {
                Some((_, scale)) if numeric.is_finite() => Value::Numeric(numeric.round(scale.max(0))),
                _ => Value::Numeric(numeric),
            }
        }
        Physical::Composed if data_type.oid == DataType::RECORD.oid => read_form(reader, 14, None, depth)?,
        Physical::Composed => read_form(reader, 13, data_type.element(), depth)?,
        physical => read_form(reader, simple_code(physical), None, depth)?,
    })
}

fn simple_code(physical: Physical) -> u8 {
    match physical {
        Physical::Bool => 1,
        Physical::Int16 => 2,
        Physical::Int32 => 3,
        Physical::Int64 => 4,
        Physical::UInt32 => 5,
        Physical::Float32 => 6,
        Physical::Float64 => 7,
        Physical::Numeric => 8,
        Physical::Interval => 9,
        Physical::Text => 10,
        Physical::Bytea => 11,
        Physical::Uuid => 12,
        Physical::Composed => 13,
        Physical::Jsonb => 15,
    }
}

/// Reads a value of the form that `encode::form_code` names.
fn read_form(reader: &mut Reader<'_>, form: u8, element: Option<DataType>, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(malformed("nested too deep"));
    }
    Ok(match form {
        1 => Value::Bool(reader.byte()? != 0),
        2 => Value::Int16((u16::from_be_bytes(reader.array()?) ^ 1 << 15).cast_signed()),
        3 => Value::Int32(reader.int32()?),
        4 => Value::Int64((u64::from_be_bytes(reader.array()?) ^ 1 << 63).cast_signed()),
        5 => Value::UInt32(u32::from_be_bytes(reader.array()?)),
        6 => {
            let bits = u32::from_be_bytes(reader.array()?);
            Value::Float32(f32::from_bits(if bits >> 31 == 1 { bits ^ 1 << 31 } else { !bits }))
        }
        7 => {
            let bits = u64::from_be_bytes(reader.array()?);
            Value::Float64(f64::from_bits(if bits >> 63 == 1 { bits ^ 1 << 63 } else { !bits }))
        }
        8 => Value::Numeric(read_numeric(reader)?),
        9 => {
            let span = (u128::from_be_bytes(reader.array()?) ^ 1 << 127).cast_signed();
            Value::Interval(interval_of(span)?)
        }
        10 => {
            let text = String::from_utf8(reader.bytes()?).map_err(|_| malformed("text that is not UTF-8"))?;
            Value::text(text)
        }
        11 => Value::Bytea(reader.bytes()?.into()),
        12 => Value::Uuid(u128::from_be_bytes(reader.array()?)),
        13 => {
            let elements = read_elements(reader, element, depth)?;
            let count = usize::from(reader.byte()?);
            if count > 6 {
                return Err(malformed("an array of too many dimensions"));
            }
            let mut dimensions = Vec::with_capacity(count);
            for _ in 0..count {
                dimensions.push(ArrayDimension { length: reader.int32()?, lower_bound: reader.int32()? });
            }
            let element = element.unwrap_or_else(|| element_type(&elements));
            Value::Array(Arc::new(ArrayValue { element, dimensions, elements }))
        }
        14 => Value::Record(read_elements(reader, None, depth)?.into()),
        15 => Value::jsonb(&order::read_key(reader, 0)?).map_err(|_| malformed("a bad jsonb value"))?,
        _ => return Err(malformed("a value of unknown form")),
    })
}

fn read_elements(reader: &mut Reader<'_>, element: Option<DataType>, depth: usize) -> Result<Vec<Value>> {
    let mut values = Vec::new();
    loop {
        match reader.byte()? {
            END => return Ok(values),
            NULL_LAST => values.push(Value::Null),
            PRESENT => {
                let form = reader.byte()?;
                let inner = element.and_then(DataType::element);
                values.push(match element {
                    Some(element) if simple_code(element.physical) == form => {
                        read_typed(reader, element, depth + 1)?
                    }
                    _ => read_form(reader, form, inner, depth + 1)?,
                });
            }
            _ => return Err(malformed("bad tag")),
        }
    }
}

/// A built-in type of the elements' form, where the key's type does not say which.
fn element_type(elements: &[Value]) -> DataType {
    match elements.iter().find(|value| !value.is_null()) {
        Some(Value::Bool(_)) => DataType::BOOL,
        Some(Value::Int16(_)) => DataType::INT2,
        Some(Value::Int32(_)) => DataType::INT4,
        Some(Value::Int64(_)) => DataType::INT8,
        Some(Value::UInt32(_)) => DataType::OID,
        Some(Value::Float32(_)) => DataType::FLOAT4,
        Some(Value::Float64(_)) => DataType::FLOAT8,
        Some(Value::Numeric(_)) => DataType::NUMERIC,
        Some(Value::Interval(_)) => DataType::INTERVAL,
        Some(Value::Bytea(_)) => DataType::BYTEA,
        Some(Value::Uuid(_)) => DataType::UUID,
        Some(Value::Jsonb(_)) => DataType::JSONB,
        Some(Value::Record(_)) => DataType::RECORD,
        Some(Value::Text(_) | Value::Array(_) | Value::Null) | None => DataType::TEXT,
    }
}

/// An interval of that length: as many days of 24 hours as fit, then time.
fn interval_of(span: i128) -> Result<Interval> {
    const DAY: i128 = 86_400_000_000;
    let days = span / DAY;
    let months = if i32::try_from(days).is_ok() { 0 } else { days / 30 };
    let days = days - months * 30;
    match (i32::try_from(months), i32::try_from(days), i64::try_from(span % DAY)) {
        (Ok(months), Ok(days), Ok(micros)) => Ok(Interval { months, days, micros }),
        _ => Err(malformed("an interval out of range")),
    }
}

fn read_numeric(reader: &mut Reader<'_>) -> Result<Numeric> {
    let negative = match reader.byte()? {
        NUMERIC_NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
        NUMERIC_ZERO => return Ok(Numeric::ZERO),
        NUMERIC_INFINITY => return Ok(Numeric::Infinity),
        NUMERIC_NAN => return Ok(Numeric::NaN),
        NUMERIC_NEGATIVE => true,
        NUMERIC_POSITIVE => false,
        _ => return Err(malformed("a numeric of unknown class")),
    };
    let outer = reader.mask;
    if negative {
        reader.mask ^= 0xff;
    }
    let exponent = match reader.byte()? {
        0xf0 | 0x0f => i64::from(reader.int32()?),
        short => i64::from((short ^ 0x80).cast_signed()),
    };
    let mut digits = Vec::with_capacity(20);
    loop {
        match reader.byte()? {
            END => break,
            pair @ 1..=100 => digits.extend([(pair - 1) / 10, (pair - 1) % 10]),
            _ => return Err(malformed("a bad digit")),
        }
    }
    reader.mask = outer;
    if exponent.unsigned_abs() > 80_000 {
        return Err(malformed("a numeric out of bounds"));
    }
    // 0.digits × 100^exponent: so many digits stand after the point.
    let fraction = i64::try_from(digits.len()).unwrap_or(i64::MAX) - 2 * exponent;
    let magnitude = Magnitude::from_digits(&digits);
    let parts = match usize::try_from(fraction) {
        Ok(scale) => Parts { negative, magnitude, scale },
        Err(_) => {
            let zeros = usize::try_from(-fraction).unwrap_or(0);
            Parts { negative, magnitude: magnitude.shift_up(zeros), scale: 0 }
        }
    };
    let numeric = Numeric::from_parts(parts).map_err(|_| malformed("a numeric out of bounds"))?;
    Ok(numeric.trim_scale())
}
