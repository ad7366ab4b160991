//! PostgreSQL's text and binary form of each type, both ways.
//!
//! `server/wire` writes results and reads parameters with it, COPY and the binder read literals.
//! char(n) values are kept without trailing blanks everywhere (so that they compare, hash and index as
//! they should); output pads them to `n` again.

use std::sync::Arc;

use crate::datatype::DataType;
use crate::datetime::TimeZone;
use crate::value::Value;
use crate::vector::{Vector, VectorBuilder};
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

/// Reads a literal, with the type's modifier applied as on assignment.
///
/// 22P02 `invalid input syntax for type integer: "x"`, 22003 out of range, 22001 too long for
/// varchar(n), 22007/22008 dates.
pub fn parse_text(data_type: DataType, text: &str, cx: &TextContext) -> Result<Value> {
    let _ = (data_type, text, cx);
    Err(Error::internal("not built yet"))
}

/// Reads text bytes straight into a vector (COPY); otherwise as [`parse_text`]. 22021 for bytes that
/// are not UTF-8 or hold a zero.
pub fn push_text(
    builder: &mut VectorBuilder,
    data_type: DataType,
    text: &[u8],
    cx: &TextContext,
) -> Result<()> {
    let _ = (builder, data_type, text, cx);
    Err(Error::internal("not built yet"))
}

/// Appends the text form of `value`, which is not NULL.
pub fn write_text(value: &Value, data_type: DataType, cx: &TextContext, out: &mut Vec<u8>) {
    let _ = (value, data_type, cx, out);
}

/// As [`write_text`], to a `String`; NULL is empty.
pub fn to_text(value: &Value, data_type: DataType, cx: &TextContext) -> String {
    let mut out = Vec::new();
    if !value.is_null() {
        write_text(value, data_type, cx, &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends the text form of row `row`, which is not NULL, without making a `Value`.
pub fn write_vector_text(
    vector: &Vector,
    row: usize,
    data_type: DataType,
    cx: &TextContext,
    out: &mut Vec<u8>,
) {
    write_text(&vector.value(row), data_type, cx, out);
}

/// Reads the wire's binary form, modifier applied. 22P03 for malformed bytes, 22021 for bad UTF-8,
/// 0A000 for a type without binary form.
pub fn read_binary(data_type: DataType, bytes: &[u8]) -> Result<Value> {
    let _ = (data_type, bytes);
    Err(Error::internal("not built yet"))
}

/// Reads the wire's binary form straight into a vector; otherwise as [`read_binary`].
pub fn push_binary(builder: &mut VectorBuilder, data_type: DataType, bytes: &[u8]) -> Result<()> {
    builder.push(&read_binary(data_type, bytes)?);
    Ok(())
}

/// Appends the wire's binary form of `value`, which is not NULL (without its length word).
pub fn write_binary(value: &Value, data_type: DataType, out: &mut Vec<u8>) {
    let _ = (value, data_type, out);
}

/// As [`write_binary`], straight from a vector.
pub fn write_vector_binary(vector: &Vector, row: usize, data_type: DataType, out: &mut Vec<u8>) {
    write_binary(&vector.value(row), data_type, out);
}

/// Fits `value` to the type's modifier: numeric(p,s), varchar(n), char(n), timestamp(p), interval fields.
///
/// `explicit` is a written cast, which truncates text silently; assignment allows only blanks to be cut
/// off. 22003 `numeric field overflow`, 22001 `value too long for type character varying(5)`.
pub fn apply_modifier(value: Value, data_type: DataType, explicit: bool) -> Result<Value> {
    let _ = (data_type, explicit);
    Ok(value)
}

/// The longest prefix of `name` that has at most 63 bytes and ends between characters.
pub fn truncate_name(name: &str) -> &str {
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// `text` cut to its text form's characters: helper for casts to `name`.
pub fn name_value(name: &str) -> Value {
    Value::Text(Arc::from(truncate_name(name)))
}
