//! The order of `jsonb` values, and their key bytes, which have the same order under memcmp.
//!
//! null < strings < numbers < false < true < arrays < objects; arrays and objects by their number of
//! elements, then element by element (key, value, key, value …). As in PostgreSQL, an empty array that
//! stands alone comes before everything. Equal values may differ in their numbers' scale.
//!
//! ```text
//! 01 empty array, outermost · 02 null · 03 string · 04 number · 05 false · 06 true
//! 07 count u32 big-endian, elements · 08 count, then key (as a string) and value of each pair
//! ```

use std::cmp::Ordering;

use super::{Json, Jsonb, JsonbKind, MAX_DEPTH};

pub(crate) const EMPTY: u8 = 1;
pub(crate) const NULL: u8 = 2;
pub(crate) const STRING: u8 = 3;
pub(crate) const NUMBER: u8 = 4;
pub(crate) const FALSE: u8 = 5;
pub(crate) const TRUE: u8 = 6;
pub(crate) const ARRAY: u8 = 7;
pub(crate) const OBJECT: u8 = 8;

/// The order of two whole values.
pub fn compare(a: Jsonb<'_>, b: Jsonb<'_>) -> Ordering {
    let empty = |value: Jsonb<'_>| value.kind() == JsonbKind::Array && value.is_empty();
    match (empty(a), empty(b)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => compare_nested(a, b),
    }
}

fn compare_nested(a: Jsonb<'_>, b: Jsonb<'_>) -> Ordering {
    a.kind().cmp(&b.kind()).then_with(|| match a.kind() {
        JsonbKind::Null => Ordering::Equal,
        JsonbKind::String => a.as_str().cmp(&b.as_str()),
        JsonbKind::Number => a.as_number().cmp(&b.as_number()),
        JsonbKind::Bool => a.as_bool().cmp(&b.as_bool()),
        JsonbKind::Array => a.len().cmp(&b.len()).then_with(|| {
            let each = a.children().zip(b.children()).map(|(a, b)| compare_nested(a, b));
            first_difference(each)
        }),
        JsonbKind::Object => a.len().cmp(&b.len()).then_with(|| {
            let each = a.pairs().zip(b.pairs());
            first_difference(each.map(|(a, b)| a.0.cmp(b.0).then_with(|| compare_nested(a.1, b.1))))
        }),
    })
}

fn first_difference(mut orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Appends the key bytes; `text` and `number` are the key's own forms of those.
pub(crate) fn write_key(
    value: Jsonb<'_>,
    out: &mut Vec<u8>,
    text: fn(&[u8], &mut Vec<u8>),
    number: fn(&crate::Numeric, &mut Vec<u8>),
) {
    if value.kind() == JsonbKind::Array && value.is_empty() {
        return out.push(EMPTY);
    }
    write_nested(value, out, text, number);
}

fn write_nested(
    value: Jsonb<'_>,
    out: &mut Vec<u8>,
    text: fn(&[u8], &mut Vec<u8>),
    number: fn(&crate::Numeric, &mut Vec<u8>),
) {
    let count = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
    match value.kind() {
        JsonbKind::Null => out.push(NULL),
        JsonbKind::String => {
            out.push(STRING);
            text(value.as_str().unwrap_or_default().as_bytes(), out);
        }
        JsonbKind::Number => {
            out.push(NUMBER);
            number(&value.as_number().unwrap_or(crate::Numeric::ZERO), out);
        }
        JsonbKind::Bool => out.push(if value.as_bool() == Some(true) { TRUE } else { FALSE }),
        JsonbKind::Array => {
            out.push(ARRAY);
            out.extend_from_slice(&count);
            value.children().for_each(|item| write_nested(item, out, text, number));
        }
        JsonbKind::Object => {
            out.push(OBJECT);
            out.extend_from_slice(&count);
            for (key, item) in value.pairs() {
                text(key.as_bytes(), out);
                write_nested(item, out, text, number);
            }
        }
    }
}

/// What key bytes are read from.
pub(crate) trait KeySource {
    fn byte(&mut self) -> crate::Result<u8>;
    fn count(&mut self) -> crate::Result<u32>;
    fn text(&mut self) -> crate::Result<String>;
    fn number(&mut self) -> crate::Result<crate::Numeric>;
    fn malformed(&self) -> crate::Error;
}

/// Reads what [`write_key`] wrote; numbers have lost the zeros at their end.
pub(crate) fn read_key(source: &mut impl KeySource, depth: usize) -> crate::Result<Json> {
    if depth > MAX_DEPTH {
        return Err(source.malformed());
    }
    Ok(match source.byte()? {
        EMPTY => Json::Array(Vec::new()),
        NULL => Json::Null,
        STRING => Json::String(source.text()?),
        NUMBER => Json::Number(source.number()?),
        FALSE => Json::Bool(false),
        TRUE => Json::Bool(true),
        ARRAY => {
            let count = source.count()?;
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(read_key(source, depth + 1)?);
            }
            Json::Array(items)
        }
        OBJECT => {
            let count = source.count()?;
            let mut pairs = Vec::new();
            for _ in 0..count {
                pairs.push((source.text()?, read_key(source, depth + 1)?));
            }
            Json::Object(pairs)
        }
        _ => return Err(source.malformed()),
    })
}
