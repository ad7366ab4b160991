//! Order-preserving key bytes: memcmp order of the bytes is ORDER BY order of the values.
//!
//! The keys of primary-key trees, secondary indexes and sorts. Keys of one layout never are a proper
//! prefix of one another, so columns can be appended; a shorter prefix of columns makes a range start.
//!
//! ```text
//! per column  nullable: 1 byte  NULL first 00, value 01, NULL last 02   (not inverted by DESC)
//!             then the value, every byte inverted if DESC
//! integers    big-endian, sign bit flipped          floats   IEEE bits, ordered; −0 is 0, one NaN, last
//! text, bytea 00 → 01 01, 01 → 01 02, end 00        numeric  class, exponent, base-100 digits, end
//! interval    its length in microseconds, 16 bytes  uuid, bool, oid   as they are
//! jsonb       [`crate::json::order`]
//! arrays      per element 01 value or 02 for NULL, end 00, then number and extent of dimensions
//! ```
//!
//! The bytes depend only on a value's physical form and are equal exactly when the values are equal
//! (1.0 and 1.00; '1 month' and '30 days'; −0 and 0).

mod decode;
mod encode;

pub(crate) use encode::jsonb as write_jsonb;

use crate::datatype::{DataType, Physical};
use crate::value::Value;
use crate::vector::{Vector, VectorBuilder};
use crate::{Error, Result};

/// Tag of a value that is not NULL in a nullable column, and of an element of a composed value.
const PRESENT: u8 = 0x01;
const NULL_FIRST: u8 = 0x00;
const NULL_LAST: u8 = 0x02;
/// Ends text, bytea, digits and composed values.
const END: u8 = 0x00;
/// Text bytes 00 and 01 are written as this and 01 or 02.
const ESCAPE: u8 = 0x01;

/// First byte of a numeric, in order.
const NUMERIC_NEGATIVE_INFINITY: u8 = 0x01;
const NUMERIC_NEGATIVE: u8 = 0x02;
const NUMERIC_ZERO: u8 = 0x03;
const NUMERIC_POSITIVE: u8 = 0x04;
const NUMERIC_INFINITY: u8 = 0x05;
const NUMERIC_NAN: u8 = 0x06;

/// One column of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyColumn {
    pub data_type: DataType,
    pub descending: bool,
    pub nulls_first: bool,
    /// Without NULLs a column saves its tag byte. Fixed for the life of a tree: part of its format.
    pub nullable: bool,
}

impl KeyColumn {
    /// Ascending, NULLs last, nullable: PostgreSQL's default.
    pub fn ascending(data_type: DataType) -> KeyColumn {
        KeyColumn { data_type, descending: false, nulls_first: false, nullable: true }
    }

    /// Ascending and never NULL: a primary key's column.
    pub fn not_null(data_type: DataType) -> KeyColumn {
        KeyColumn { data_type, descending: false, nulls_first: false, nullable: false }
    }

    /// Whether [`KeyLayout::decode`] gives back exactly the value (not so for floats' −0, intervals,
    /// numeric without scale, jsonb, records).
    pub fn is_lossless(&self) -> bool {
        lossless(self.data_type)
    }
}

fn lossless(data_type: DataType) -> bool {
    match data_type.physical {
        Physical::Bool
        | Physical::Int16
        | Physical::Int32
        | Physical::Int64
        | Physical::UInt32
        | Physical::Text
        | Physical::Bytea
        | Physical::Uuid => true,
        Physical::Numeric => data_type.numeric_precision_scale().is_some(),
        Physical::Composed => data_type.element().is_some_and(lossless),
        Physical::Float32 | Physical::Float64 | Physical::Interval | Physical::Jsonb => false,
    }
}

/// The columns of a key, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLayout {
    columns: Vec<KeyColumn>,
}

impl KeyLayout {
    pub fn new(columns: Vec<KeyColumn>) -> KeyLayout {
        KeyLayout { columns }
    }

    pub fn columns(&self) -> &[KeyColumn] {
        &self.columns
    }

    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    pub fn is_lossless(&self) -> bool {
        self.columns.iter().all(KeyColumn::is_lossless)
    }

    /// Appends the key of `values`: one per column, or fewer for a prefix (a range's start).
    ///
    /// XX000 for NULL in a column that is not nullable, or a value of another form.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        for (column, value) in self.columns.iter().zip(values) {
            encode_value(value, column, out)?;
        }
        Ok(())
    }

    /// Appends the key of row `row`: `columns[i]` is the vector of key column `i`.
    pub fn encode_vectors(&self, columns: &[&Vector], row: usize, out: &mut Vec<u8>) -> Result<()> {
        for (column, vector) in self.columns.iter().zip(columns) {
            encode_vector_row(vector, row, column, out)?;
        }
        Ok(())
    }

    /// The keys of all rows one after another in `out`; key `i` ends at `ends[i]`. The fastest way to
    /// make many keys (sorts, index builds).
    pub fn encode_all(
        &self,
        columns: &[&Vector],
        rows: usize,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<()> {
        for row in 0..rows {
            self.encode_vectors(columns, row, out)?;
            ends.push(out.len());
        }
        Ok(())
    }

    /// The values of a key. Columns that are not lossless come back equal, not identical. XX001 on
    /// malformed bytes.
    pub fn decode(&self, key: &[u8]) -> Result<Vec<Value>> {
        let mut rest = key;
        let values = self.columns.iter().map(|column| decode::read_column(&mut rest, column)).collect();
        if rest.is_empty() { values } else { values.and(Err(malformed("bytes after the last column"))) }
    }

    /// Appends key column `wanted[i]` to `builders[i]`. XX001 on malformed bytes, XX000 for builders of
    /// another form.
    pub fn decode_columns(&self, key: &[u8], wanted: &[usize], builders: &mut [VectorBuilder]) -> Result<()> {
        let values = self.decode(key)?;
        for (&column, builder) in wanted.iter().zip(builders) {
            match values.get(column) {
                Some(value) if builder.takes(value) => builder.push(value),
                _ => return Err(Error::internal("builders do not fit the key")),
            }
        }
        Ok(())
    }

    /// Length of the first `columns` columns of `key`, for grouping by a prefix. XX001 on malformed bytes.
    pub fn prefix_len(&self, key: &[u8], columns: usize) -> Result<usize> {
        let mut rest = key;
        for column in self.columns.iter().take(columns) {
            decode::read_column(&mut rest, column)?;
        }
        Ok(key.len() - rest.len())
    }
}

fn malformed(what: &str) -> Error {
    Error::corrupted(format!("malformed key: {what}"))
}

/// Appends one column of a key. XX000 for NULL in a column that is not nullable.
pub fn encode_value(value: &Value, column: &KeyColumn, out: &mut Vec<u8>) -> Result<()> {
    if !tag(value.is_null(), column, out)? {
        return Ok(());
    }
    let start = out.len();
    encode::write_value(value, out)?;
    if column.descending {
        invert(&mut out[start..]);
    }
    Ok(())
}

/// Appends one column of a key, straight from a vector.
#[inline]
pub fn encode_vector_row(vector: &Vector, row: usize, column: &KeyColumn, out: &mut Vec<u8>) -> Result<()> {
    if !tag(vector.is_null(row), column, out)? {
        return Ok(());
    }
    let start = out.len();
    encode::write_stored(vector.data(), vector.index(row), out)?;
    if column.descending {
        invert(&mut out[start..]);
    }
    Ok(())
}

/// Writes the tag of a nullable column; whether a value follows.
#[inline]
fn tag(is_null: bool, column: &KeyColumn, out: &mut Vec<u8>) -> Result<bool> {
    match (is_null, column.nullable) {
        (false, true) => out.push(PRESENT),
        (false, false) => {}
        (true, true) => out.push(if column.nulls_first { NULL_FIRST } else { NULL_LAST }),
        (true, false) => return Err(Error::internal("NULL in a key column that is not nullable")),
    }
    Ok(!is_null)
}

fn invert(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

/// The smallest byte string above everything that starts with `prefix`: a range's exclusive end.
/// `None` when there is none (all 0xff): the range is open.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=kept].to_vec();
    end[kept] += 1;
    Some(end)
}

/// The key range of text values that start with `prefix`: `(start, end)`, end exclusive, `None` is open.
/// For an ascending column, first in its key.
pub fn text_prefix_range(prefix: &str, column: &KeyColumn) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    if column.descending {
        return Err(Error::internal("prefix range of a descending key"));
    }
    let mut start = Vec::new();
    encode_value(&Value::text(prefix), column, &mut start)?;
    start.pop();
    let end = successor(&start);
    Ok((start, end))
}
