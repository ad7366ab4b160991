//! PostgreSQL's text and binary form of each type, both ways.
//!
//! `server/wire` writes results and reads parameters with it, COPY and the binder read literals.
//! char(n) values are kept without trailing blanks everywhere (so that they compare, hash and index as
//! they should); output pads them to `n` again.

mod array;
mod binary;
mod modifier;
mod number;
mod string;

pub use binary::{push_binary, read_binary, write_binary, write_vector_binary};
pub use modifier::apply_modifier;
pub use number::{write_float32, write_float64, write_integer};

use std::sync::Arc;

use crate::datatype::{DataType, Physical};
use crate::datetime::{self, TimeZone};
use crate::json::{self, Json, Jsonb};
use crate::jsonpath::JsonPath;
use crate::numeric::{Numeric, write_decimal};
use crate::row::decimal_scale;
use crate::sqlstate::SqlState;
use crate::value::Value;
use crate::vector::{Data, Vector, VectorBuilder};
use crate::{Error, Result};

/// `DateStyle`, first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateStyle {
    #[default]
    Iso,
    Sql,
    Postgres,
    German,
}

/// `DateStyle`, second part: how `01/02/03` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DateOrder {
    #[default]
    Mdy,
    Dmy,
    Ymd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IntervalStyle {
    #[default]
    Postgres,
    PostgresVerbose,
    SqlStandard,
    Iso8601,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ByteaOutput {
    #[default]
    Hex,
    Escape,
}

/// The session settings that text forms depend on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TextContext {
    pub date_style: DateStyle,
    pub date_order: DateOrder,
    pub interval_style: IntervalStyle,
    pub time_zone: TimeZone,
    pub extra_float_digits: i32,
    pub bytea_output: ByteaOutput,
    /// The statement's time (microseconds since 2000-01-01 UTC), for the inputs `now` and `today`;
    /// without it they are refused.
    pub now: Option<i64>,
}

impl Default for TextContext {
    fn default() -> TextContext {
        TextContext {
            date_style: DateStyle::default(),
            date_order: DateOrder::default(),
            interval_style: IntervalStyle::default(),
            time_zone: TimeZone::utc(),
            extra_float_digits: 1,
            bytea_output: ByteaOutput::default(),
            now: None,
        }
    }
}

/// 22P02 `invalid input syntax for type integer: "x"`.
pub fn invalid_syntax(type_name: &str, text: &str) -> Error {
    Error::new(
        SqlState::INVALID_TEXT_REPRESENTATION,
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// `bytes` as text. 22021 `invalid byte sequence for encoding "UTF8": 0xff`, also for a zero byte.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    let bad = |at: &[u8]| {
        let shown: Vec<String> = at.iter().map(|byte| format!("0x{byte:02x}")).collect();
        Error::new(
            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
            format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" ")),
        )
    };
    if bytes.contains(&0) {
        return Err(bad(&[0]));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        // As many bytes as the first one announces.
        let announced = match bytes.get(start) {
            Some(0xf0..=0xff) => 4,
            Some(0xe0..=0xef) => 3,
            Some(0xc0..=0xdf) => 2,
            _ => 1,
        };
        bad(&bytes[start..bytes.len().min(start + announced)])
    })
}

/// Reads a literal, with the type's modifier applied as on assignment.
///
/// 22P02 `invalid input syntax for type integer: "x"`, 22003 out of range, 22001 too long for
/// varchar(n), 22007/22008 dates, 0A000 for types whose input needs the catalog.
pub fn parse_text(data_type: DataType, text: &str, cx: &TextContext) -> Result<Value> {
    Ok(match data_type.oid {
        16 => Value::Bool(string::parse_bool(text)?),
        17 => Value::Bytea(string::parse_bytea(text)?.into()),
        18 => Value::text(string::parse_char(text)),
        19 => name_value(text),
        20 => Value::Int64(number::parse_integer(text, "bigint")?),
        21 => Value::Int16(number::parse_integer(text, "smallint")?),
        23 => Value::Int32(number::parse_integer(text, "integer")?),
        700 => Value::Float32(number::parse_float32(text)?),
        701 => Value::Float64(number::parse_float64(text)?),
        1700 => return apply_modifier(Value::Numeric(Numeric::parse(text)?), data_type, false),
        1042 | 1043 => Value::text(string::fit_characters(text, data_type, false)?),
        1082 => Value::Int32(datetime::parse_date(text, cx)?),
        1083 => {
            return apply_modifier(Value::Int64(datetime::parse_time(text, cx)?), data_type, false);
        }
        1114 => {
            let timestamp = datetime::parse_timestamp(text, cx)?;
            return apply_modifier(Value::Int64(timestamp), data_type, false);
        }
        1184 => {
            let timestamp = datetime::parse_timestamptz(text, cx)?;
            return apply_modifier(Value::Int64(timestamp), data_type, false);
        }
        1186 => Value::Interval(datetime::parse_interval_with(text, data_type.modifier, cx)?),
        114 => {
            json::validate(text)?;
            Value::text(text)
        }
        3802 => Value::jsonb(&Json::parse(text)?)?,
        4072 => Value::text(JsonPath::parse(text)?.to_string()),
        2249 => return Err(Error::not_supported("input of anonymous composite types")),
        2950 => Value::Uuid(string::parse_uuid(text)?),
        22 | 30 => array::parse_plain_vector(data_type, text)?,
        _ => match data_type.physical {
            Physical::UInt32 => Value::UInt32(number::parse_oid(text, data_type.name())?),
            Physical::Text => Value::text(text),
            Physical::Composed if data_type.element().is_some() => array::parse(data_type, text, cx)?,
            _ => return Err(Error::not_supported(format!("text input of type {data_type}"))),
        },
    })
}

/// Reads text bytes straight into a vector (COPY); otherwise as [`parse_text`]. 22021 for bytes that
/// are not UTF-8 or hold a zero.
pub fn push_text(
    builder: &mut VectorBuilder,
    data_type: DataType,
    text: &[u8],
    cx: &TextContext,
) -> Result<()> {
    let pushed = match (data_type.oid, builder.data_mut()) {
        (20, Data::Int64(v)) => number::short_integer(text).map(|n| v.push(n)),
        (23, Data::Int32(v)) => {
            number::short_integer(text).and_then(|n| i32::try_from(n).ok()).map(|n| v.push(n))
        }
        (1082, Data::Int32(v)) => datetime::parse_iso_date(text).map(|date| v.push(date)),
        (1700, Data::Decimal { scale, values }) => match data_type.numeric_precision_scale() {
            Some((precision, _)) if decimal_scale(data_type) == Some(*scale) => {
                number::short_decimal(text, precision, *scale).map(|n| values.push(n))
            }
            _ => None,
        },
        (25, Data::Text(strings)) => {
            utf8(text)?;
            strings.push(text);
            Some(())
        }
        (1042 | 1043, Data::Text(strings)) => {
            let fitted = string::fit_characters(utf8(text)?, data_type, false)?;
            strings.push(fitted.as_bytes());
            Some(())
        }
        _ => None,
    };
    if pushed.is_some() {
        builder.appended();
        return Ok(());
    }
    let value = parse_text(data_type, utf8(text)?, cx)?;
    if !builder.takes(&value) {
        return Err(Error::internal(format!("builder does not fit type {data_type}")));
    }
    builder.push(&value);
    Ok(())
}

/// Appends the text form of `value`, which is not NULL.
pub fn write_text(value: &Value, data_type: DataType, cx: &TextContext, out: &mut Vec<u8>) {
    match value {
        Value::Null => {}
        Value::Bool(v) => out.push(if *v { b't' } else { b'f' }),
        Value::Int16(v) => write_integer(i64::from(*v), out),
        Value::Int32(v) => write_int32(*v, data_type, cx, out),
        Value::Int64(v) => write_int64(*v, data_type, cx, out),
        Value::UInt32(v) => write_uint32(*v, data_type, out),
        Value::Float32(v) => write_float32(*v, cx.extra_float_digits, out),
        Value::Float64(v) => write_float64(*v, cx.extra_float_digits, out),
        Value::Numeric(v) => v.write_text(out),
        Value::Interval(v) => datetime::write_interval(*v, cx, out),
        Value::Text(v) => string::write_text(v.as_bytes(), data_type, out),
        Value::Bytea(v) => string::write_bytea(v, cx.bytea_output, out),
        Value::Uuid(v) => string::write_uuid(*v, out),
        Value::Jsonb(v) => json::write_text(Jsonb(v), out),
        Value::Array(array) => array::write(array, data_type, cx, out),
        Value::Record(fields) => array::write_record(fields, cx, out),
    }
}

fn write_int32(value: i32, data_type: DataType, cx: &TextContext, out: &mut Vec<u8>) {
    if data_type.oid == DataType::DATE.oid {
        datetime::write_date(value, cx, out);
    } else {
        write_integer(i64::from(value), out);
    }
}

fn write_int64(value: i64, data_type: DataType, cx: &TextContext, out: &mut Vec<u8>) {
    match data_type.oid {
        1083 => datetime::write_time(value, out),
        1114 => datetime::write_timestamp(value, cx, out),
        1184 => datetime::write_timestamptz(value, cx, out),
        _ => write_integer(value, out),
    }
}

fn write_uint32(value: u32, data_type: DataType, out: &mut Vec<u8>) {
    let alias = matches!(data_type.oid, 24 | 2202..=2206 | 4089 | 4096);
    if alias && value == 0 {
        out.push(b'-');
    } else {
        write_integer(i64::from(value), out);
    }
}

/// As [`write_text`], to a `String`; NULL is empty.
pub fn to_text(value: &Value, data_type: DataType, cx: &TextContext) -> String {
    let mut out = Vec::new();
    write_text(value, data_type, cx, &mut out);
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Appends the text form of row `row`, which is not NULL, without making a `Value`.
pub fn write_vector_text(
    vector: &Vector,
    row: usize,
    data_type: DataType,
    cx: &TextContext,
    out: &mut Vec<u8>,
) {
    let at = vector.index(row);
    match vector.data() {
        Data::Bool(v) => out.push(if v[at] { b't' } else { b'f' }),
        Data::Int16(v) => write_integer(i64::from(v[at]), out),
        Data::Int32(v) => write_int32(v[at], data_type, cx, out),
        Data::Int64(v) => write_int64(v[at], data_type, cx, out),
        Data::UInt32(v) => write_uint32(v[at], data_type, out),
        Data::Float32(v) => write_float32(v[at], cx.extra_float_digits, out),
        Data::Float64(v) => write_float64(v[at], cx.extra_float_digits, out),
        Data::Decimal { scale, values } => write_decimal(i128::from(values[at]), *scale, out),
        Data::Numeric(v) => v[at].write_text(out),
        Data::Interval(v) => datetime::write_interval(v[at], cx, out),
        Data::Text(v) => string::write_text(v.get(at), data_type, out),
        Data::Bytea(v) => string::write_bytea(v.get(at), cx.bytea_output, out),
        Data::Uuid(v) => string::write_uuid(v[at], out),
        Data::Jsonb(v) => json::write_text(Jsonb(v.get(at)), out),
        Data::Composed(v) => write_text(&v[at], data_type, cx, out),
    }
}

/// The longest prefix of `name` that has at most 63 bytes and ends between characters.
pub fn truncate_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(63)]
}

/// A value of type `name`.
pub fn name_value(name: &str) -> Value {
    Value::Text(Arc::from(truncate_name(name)))
}
