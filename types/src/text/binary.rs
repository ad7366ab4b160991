//! The wire's binary form of each type, both ways.

use std::sync::Arc;

use super::array::{MAX_DIMENSIONS, natural_type, too_many_dimensions};
use super::modifier::apply_modifier;
use super::string;
use super::{name_value, utf8};
use crate::datatype::{DataType, Physical};
use crate::datetime::{self, Interval};
use crate::json::{self, Json, Jsonb};
use crate::jsonpath::JsonPath;
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::value::{ArrayDimension, ArrayValue, Value};
use crate::vector::{Data, Vector, VectorBuilder};
use crate::{Error, Result};

/// Composed values nest at most this deep.
const MAX_DEPTH: usize = 64;

fn malformed(message: &str) -> Error {
    Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message.to_string())
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N]> {
    <[u8; N]>::try_from(bytes).map_err(|_| {
        if bytes.len() < N {
            Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
        } else {
            malformed("incorrect binary data format")
        }
    })
}

/// Reads the wire's binary form, modifier applied. 22P03 for malformed bytes (08P01 for too few), 22021 for
/// bad UTF-8, 0A000 for a type without binary form.
pub fn read_binary(data_type: DataType, bytes: &[u8]) -> Result<Value> {
    read_nested(data_type, bytes, 0)
}

fn read_nested(data_type: DataType, bytes: &[u8], depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(Error::new(SqlState::STATEMENT_TOO_COMPLEX, "composite value is nested too deep"));
    }
    let value = match data_type.physical {
        Physical::Bool => Value::Bool(exactly::<1>(bytes)?[0] != 0),
        Physical::Int16 => Value::Int16(i16::from_be_bytes(exactly(bytes)?)),
        Physical::Int32 => {
            let value = i32::from_be_bytes(exactly(bytes)?);
            if data_type.oid == DataType::DATE.oid && !datetime::date_in_range(value) {
                return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "date out of range"));
            }
            Value::Int32(value)
        }
        Physical::Int64 => {
            let value = i64::from_be_bytes(exactly(bytes)?);
            if data_type.oid == DataType::TIME.oid && !(0..=86_400_000_000).contains(&value) {
                return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "time out of range"));
            }
            if matches!(data_type.oid, 1114 | 1184) && !datetime::timestamp_in_range(value) {
                return Err(Error::new(SqlState::DATETIME_FIELD_OVERFLOW, "timestamp out of range"));
            }
            Value::Int64(value)
        }
        Physical::UInt32 => Value::UInt32(u32::from_be_bytes(exactly(bytes)?)),
        Physical::Float32 => Value::Float32(f32::from_be_bytes(exactly(bytes)?)),
        Physical::Float64 => Value::Float64(f64::from_be_bytes(exactly(bytes)?)),
        Physical::Numeric => Value::Numeric(Numeric::read_binary(bytes)?),
        Physical::Interval => {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = exactly::<16>(bytes)?;
            Value::Interval(Interval {
                micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                days: i32::from_be_bytes([i, j, k, l]),
                months: i32::from_be_bytes([m, n, o, p]),
            })
        }
        Physical::Text if data_type.oid == DataType::NAME.oid => name_value(utf8(bytes)?),
        Physical::Text if data_type.oid == DataType::CHAR.oid => match exactly::<1>(bytes)?[0] {
            0 => Value::text(""),
            byte => Value::text(char::from(byte).to_string()),
        },
        Physical::Text if data_type.oid == DataType::JSON.oid => {
            let text = utf8(bytes)?;
            json::validate(text)?;
            Value::text(text)
        }
        Physical::Text if data_type.oid == DataType::JSONPATH.oid => {
            Value::text(JsonPath::parse(versioned(bytes, "jsonpath")?)?.to_string())
        }
        Physical::Jsonb => Value::jsonb(&Json::parse(versioned(bytes, "jsonb")?)?)?,
        Physical::Text => Value::text(utf8(bytes)?),
        Physical::Bytea => Value::Bytea(bytes.into()),
        Physical::Uuid => Value::Uuid(u128::from_be_bytes(exactly(bytes)?)),
        Physical::Composed if data_type.oid == DataType::RECORD.oid => read_record(bytes, depth)?,
        Physical::Composed => read_array(data_type, bytes, depth)?,
    };
    apply_modifier(value, data_type, false)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let short = || Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message");
    let (head, tail) = rest.split_first_chunk::<N>().ok_or_else(short)?;
    *rest = tail;
    Ok(*head)
}

/// A length word and so many bytes; −1 is NULL.
fn take_field<'b>(rest: &mut &'b [u8]) -> Result<Option<&'b [u8]>> {
    let length = i32::from_be_bytes(take(rest)?);
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| malformed("invalid message format"))?;
    let short = || Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message");
    let (head, tail) = rest.split_at_checked(length).ok_or_else(short)?;
    *rest = tail;
    Ok(Some(head))
}

fn read_array(data_type: DataType, bytes: &[u8], depth: usize) -> Result<Value> {
    let mut rest = bytes;
    let count = i32::from_be_bytes(take(&mut rest)?);
    let count = usize::try_from(count).map_err(|_| malformed("invalid number of dimensions"))?;
    if count > MAX_DIMENSIONS {
        return Err(too_many_dimensions(count));
    }
    let flags = i32::from_be_bytes(take(&mut rest)?);
    if flags != 0 && flags != 1 {
        return Err(malformed("invalid array flags"));
    }
    let sent = u32::from_be_bytes(take(&mut rest)?);
    let element = match data_type.element() {
        Some(element) if element.oid == sent => element,
        Some(element) => {
            return Err(Error::new(
                SqlState::DATATYPE_MISMATCH,
                format!("binary data has array element type {sent} instead of expected {}", element.oid),
            ));
        }
        None => DataType::from_oid(sent)
            .ok_or_else(|| Error::not_supported(format!("binary input of type {data_type}")))?,
    };
    let mut dimensions = Vec::with_capacity(count);
    let mut size = 1i64;
    for _ in 0..count {
        let length = i32::from_be_bytes(take(&mut rest)?);
        let lower_bound = i32::from_be_bytes(take(&mut rest)?);
        size = size.checked_mul(i64::from(length)).filter(|size| *size >= 0).unwrap_or(i64::MAX);
        dimensions.push(ArrayDimension { length, lower_bound });
    }
    let size = if dimensions.is_empty() { 0 } else { usize::try_from(size).unwrap_or(usize::MAX) };
    // Each element has a length word: a lie about the size cannot make us allocate.
    if size.saturating_mul(4) > rest.len() {
        return Err(Error::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"));
    }
    if size == 0 {
        dimensions.clear();
    }
    let typed = element.with_modifier(data_type.modifier);
    let mut elements = Vec::with_capacity(size);
    for _ in 0..size {
        elements.push(match take_field(&mut rest)? {
            None => Value::Null,
            Some(field) => read_nested(typed, field, depth + 1)?,
        });
    }
    if !rest.is_empty() {
        return Err(malformed("incorrect binary data format"));
    }
    Ok(Value::Array(Arc::new(ArrayValue { element, dimensions, elements })))
}

fn read_record(bytes: &[u8], depth: usize) -> Result<Value> {
    let mut rest = bytes;
    let count = usize::try_from(i32::from_be_bytes(take(&mut rest)?))
        .ok()
        .filter(|count| count.saturating_mul(8) <= rest.len())
        .ok_or_else(|| malformed("invalid number of columns"))?;
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let oid = u32::from_be_bytes(take(&mut rest)?);
        let data_type = DataType::from_oid(oid)
            .ok_or_else(|| Error::not_supported(format!("a record field of type {oid}")))?;
        fields.push(match take_field(&mut rest)? {
            None => Value::Null,
            Some(field) => read_nested(data_type, field, depth + 1)?,
        });
    }
    if rest.is_empty() { Ok(Value::Record(fields.into())) } else { Err(malformed("improper binary format")) }
}

/// Reads the wire's binary form straight into a vector; otherwise as [`read_binary`].
pub fn push_binary(builder: &mut VectorBuilder, data_type: DataType, bytes: &[u8]) -> Result<()> {
    let value = read_binary(data_type, bytes)?;
    if !builder.takes(&value) {
        return Err(Error::internal(format!("builder does not fit type {data_type}")));
    }
    builder.push(&value);
    Ok(())
}

/// Appends the wire's binary form of `value`, which is not NULL (without its length word).
pub fn write_binary(value: &Value, data_type: DataType, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(u8::from(*v)),
        Value::Int16(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int32(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int64(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::UInt32(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float32(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float64(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Numeric(v) => v.write_binary(out),
        Value::Interval(v) => write_interval(*v, out),
        Value::Text(v) => write_text(v.as_bytes(), data_type, out),
        Value::Bytea(v) => out.extend_from_slice(v),
        Value::Uuid(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Jsonb(v) => write_jsonb(v, out),
        Value::Array(array) => write_array(array, data_type, out),
        Value::Record(fields) => {
            out.extend_from_slice(&i32::try_from(fields.len()).unwrap_or(i32::MAX).to_be_bytes());
            for field in fields.iter() {
                let natural = natural_type(field);
                out.extend_from_slice(&natural.oid.to_be_bytes());
                write_field(field, natural, out);
            }
        }
    }
}

/// The version of the binary form of jsonb and jsonpath, which is their text behind it.
const VERSION: u8 = 1;

/// The text behind the version. XX000 for another version, as PostgreSQL.
fn versioned<'b>(bytes: &'b [u8], name: &str) -> Result<&'b str> {
    match bytes.split_first() {
        Some((&VERSION, text)) => utf8(text),
        Some((version, _)) => Err(Error::internal(format!("unsupported {name} version number {version}"))),
        None => Err(Error::new(SqlState::PROTOCOL_VIOLATION, "no data left in message")),
    }
}

fn write_jsonb(value: &[u8], out: &mut Vec<u8>) {
    out.push(VERSION);
    json::write_text(Jsonb(value), out);
}

fn write_text(text: &[u8], data_type: DataType, out: &mut Vec<u8>) {
    if data_type.oid == DataType::CHAR.oid {
        // One byte, also where there is none.
        let first = std::str::from_utf8(text).ok().and_then(|text| text.chars().next());
        out.push(first.and_then(|first| u8::try_from(first).ok()).unwrap_or(0));
    } else {
        if data_type.oid == DataType::JSONPATH.oid {
            out.push(VERSION);
        }
        string::write_text(text, data_type, out);
    }
}

fn write_interval(value: Interval, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.micros.to_be_bytes());
    out.extend_from_slice(&value.days.to_be_bytes());
    out.extend_from_slice(&value.months.to_be_bytes());
}

fn write_field(value: &Value, data_type: DataType, out: &mut Vec<u8>) {
    if value.is_null() {
        return out.extend_from_slice(&(-1i32).to_be_bytes());
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write_binary(value, data_type, out);
    let length = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn write_array(array: &ArrayValue, data_type: DataType, out: &mut Vec<u8>) {
    let element = match data_type.element() {
        Some(element) if element.physical == array.element.physical => {
            element.with_modifier(data_type.modifier)
        }
        _ => array.element,
    };
    let has_null = array.elements.iter().any(Value::is_null);
    out.extend_from_slice(&i32::try_from(array.dimensions.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&i32::from(has_null).to_be_bytes());
    out.extend_from_slice(&element.oid.to_be_bytes());
    for dimension in &array.dimensions {
        out.extend_from_slice(&dimension.length.to_be_bytes());
        out.extend_from_slice(&dimension.lower_bound.to_be_bytes());
    }
    array.elements.iter().for_each(|value| write_field(value, element, out));
}

/// As [`write_binary`], straight from a vector.
pub fn write_vector_binary(vector: &Vector, row: usize, data_type: DataType, out: &mut Vec<u8>) {
    let at = vector.index(row);
    match vector.data() {
        Data::Bool(v) => out.push(u8::from(v[at])),
        Data::Int16(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Int32(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Int64(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::UInt32(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Float32(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Float64(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Decimal { scale, values } => Numeric::new(i128::from(values[at]), *scale).write_binary(out),
        Data::Numeric(v) => v[at].write_binary(out),
        Data::Interval(v) => write_interval(v[at], out),
        Data::Text(v) => write_text(v.get(at), data_type, out),
        Data::Bytea(v) => out.extend_from_slice(v.get(at)),
        Data::Uuid(v) => out.extend_from_slice(&v[at].to_be_bytes()),
        Data::Jsonb(v) => write_jsonb(v.get(at), out),
        Data::Composed(v) => write_binary(&v[at], data_type, out),
    }
}
