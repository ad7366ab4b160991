//! Stored row bytes ⇄ values: what a table's records hold after the storage header.
//!
//! `executor/table` encodes on insert and decodes on scan; `storage` runs a [`RowPredicate`] on the bytes
//! before anything is decoded. A record knows how many columns it was written with, so that ALTER TABLE
//! ADD COLUMN rewrites nothing: columns beyond take [`RowLayout`]'s `missing` value. A dropped column
//! keeps its place and type (new records say NULL there). Bytes come from disk: whatever they hold,
//! decoding answers or fails with XX001, it never panics.
//!
//! ```text
//! u16 little-endian   bits 0–10 column count k · bits 12–13 width of an end: 1, 2, 4 · bit 15 has nulls
//! null bitmap         ceil(k/8) bytes, only if "has nulls"; a set bit is NULL
//! fixed part          every fixed-width column of the first k, in order, unaligned, little-endian
//! ends                for every variable column of the first k: where its bytes end, from the first's start
//! variable part
//! ```
//!
//! numeric(p ≤ 18, 0 ≤ s ≤ p) is fixed: an i64 scaled by 10^s, `i64::MAX` is NaN. Other numerics, text,
//! bytea, jsonb and composed values are variable ([`codec`]).

pub(crate) mod codec;
mod decoder;
mod predicate;

pub use decoder::RowDecoder;
pub use predicate::{ColumnTest, Comparison, RowPredicate};

use crate::batch::Batch;
use crate::datatype::{DataType, Physical};
use crate::datetime::Interval;
use crate::numeric::Numeric;
use crate::sqlstate::SqlState;
use crate::value::Value;
use crate::vector::{Data, VectorBuilder};
use crate::{Error, Result};

/// PostgreSQL's limit of columns of a table.
pub const MAX_COLUMNS: usize = 1600;
/// NaN among scaled integers: above every number, as in SQL's order.
pub(crate) const DECIMAL_NAN: i64 = i64::MAX;

const COUNT_MASK: u16 = 0x07ff;
const WIDTH_SHIFT: u32 = 12;
const HAS_NULLS: u16 = 0x8000;
/// A row of this many bytes is refused (54000).
const MAX_ROW_BYTES: usize = 1 << 30;

/// How the columns of a table lie in its records. Cheap to share (`Arc`), made once per table version.
#[derive(Debug, Clone)]
pub struct RowLayout {
    types: Vec<DataType>,
    missing: Vec<Value>,
    slots: Vec<Slot>,
    /// `fixed_bytes[k]`: size of the fixed part of a record of k columns; `variables[k]` likewise counts.
    fixed_bytes: Vec<usize>,
    variables: Vec<usize>,
}

/// Where a column lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Offset in the fixed part.
    Fixed(usize, Fixed),
    /// Ordinal among the variable columns.
    Variable(usize, Variable),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fixed {
    Bool,
    Int16,
    Int32,
    Int64,
    UInt32,
    Float32,
    Float64,
    Decimal(u16),
    Interval,
    Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Numeric,
    Text,
    Bytea,
    Jsonb,
    Composed,
}

impl Fixed {
    pub(crate) fn width(self) -> usize {
        match self {
            Fixed::Bool => 1,
            Fixed::Int16 => 2,
            Fixed::Int32 | Fixed::UInt32 | Fixed::Float32 => 4,
            Fixed::Int64 | Fixed::Float64 | Fixed::Decimal(_) => 8,
            Fixed::Interval | Fixed::Uuid => 16,
        }
    }
}

/// How values of a type lie: `Ok` fixed, `Err` variable.
fn form_of(data_type: DataType) -> Result<Fixed, Variable> {
    Ok(match data_type.physical {
        Physical::Bool => Fixed::Bool,
        Physical::Int16 => Fixed::Int16,
        Physical::Int32 => Fixed::Int32,
        Physical::Int64 => Fixed::Int64,
        Physical::UInt32 => Fixed::UInt32,
        Physical::Float32 => Fixed::Float32,
        Physical::Float64 => Fixed::Float64,
        Physical::Interval => Fixed::Interval,
        Physical::Uuid => Fixed::Uuid,
        Physical::Numeric => match decimal_scale(data_type) {
            Some(scale) => Fixed::Decimal(scale),
            None => return Err(Variable::Numeric),
        },
        Physical::Text => return Err(Variable::Text),
        Physical::Bytea => return Err(Variable::Bytea),
        Physical::Jsonb => return Err(Variable::Jsonb),
        Physical::Composed => return Err(Variable::Composed),
    })
}

pub(crate) fn malformed(what: &str) -> Error {
    Error::corrupted(format!("malformed row: {what}"))
}

impl RowLayout {
    /// Columns that a record lacks are NULL.
    pub fn new(types: &[DataType]) -> RowLayout {
        RowLayout::with_missing(types, Vec::new())
    }

    /// `missing[i]` is what column `i` holds in records written before it was added; absent means NULL.
    pub fn with_missing(types: &[DataType], missing: Vec<Value>) -> RowLayout {
        let mut layout = RowLayout {
            types: types.to_vec(),
            missing,
            slots: Vec::with_capacity(types.len()),
            fixed_bytes: vec![0],
            variables: vec![0],
        };
        let (mut fixed, mut variable) = (0, 0);
        for &data_type in types {
            layout.slots.push(match form_of(data_type) {
                Ok(form) => {
                    fixed += form.width();
                    Slot::Fixed(fixed - form.width(), form)
                }
                Err(form) => {
                    variable += 1;
                    Slot::Variable(variable - 1, form)
                }
            });
            layout.fixed_bytes.push(fixed);
            layout.variables.push(variable);
        }
        layout
    }

    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// The number of columns.
    pub fn len(&self) -> usize {
        self.types.len()
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// A builder of the form that column `column` decodes into (`Data::Decimal` for short decimals).
    pub fn builder(&self, column: usize, capacity: usize) -> VectorBuilder {
        builder_for(self.types[column], capacity)
    }

    /// What records without the column hold there.
    pub(crate) fn missing_value(&self, column: usize) -> &Value {
        self.missing.get(column).unwrap_or(&Value::Null)
    }

    pub(crate) fn slot(&self, column: usize) -> Slot {
        self.slots[column]
    }

    /// Appends the record of `values` (one per column, each NULL or of its column's form) to `out`.
    ///
    /// XX000 when a value is of another form; 54000 when the row is too large.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        if values.len() != self.len() {
            return Err(Error::internal(format!(
                "a row of {} columns has {} values",
                self.len(),
                values.len()
            )));
        }
        let start = out.len();
        let fixed_start =
            self.begin(out, values.iter().any(Value::is_null), |column| values[column].is_null());
        for (slot, value) in self.slots.iter().zip(values) {
            if let Slot::Fixed(offset, form) = slot
                && !value.is_null()
            {
                let place = &mut out[fixed_start + offset..][..form.width()];
                put_fixed(*form, value, place)?;
            }
        }
        let data_start = out.len();
        let mut ends = Ends::default();
        for (slot, value) in self.slots.iter().zip(values) {
            if let Slot::Variable(_, form) = slot {
                match (form, value) {
                    (_, Value::Null) => {}
                    (Variable::Text, Value::Text(text)) => out.extend_from_slice(text.as_bytes()),
                    (Variable::Bytea, Value::Bytea(bytes)) | (Variable::Jsonb, Value::Jsonb(bytes)) => {
                        out.extend_from_slice(bytes);
                    }
                    (Variable::Numeric, Value::Numeric(numeric)) => codec::write_numeric(numeric, out),
                    (Variable::Composed, Value::Array(_) | Value::Record(_)) => {
                        codec::write_value(value, out)?
                    }
                    (form, value) => return Err(wrong_form(form, value)),
                }
                ends.push(out.len() - data_start);
            }
        }
        ends.insert(start, data_start, out)
    }

    /// Appends the record of row `row` of `batch`, whose columns are this layout's, in order.
    pub fn encode_batch_row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns();
        if columns.len() != self.len() {
            return Err(Error::internal(format!(
                "a row of {} columns has {} vectors",
                self.len(),
                columns.len()
            )));
        }
        let start = out.len();
        let any_null = columns.iter().any(|column| !column.validity().is_all() && column.is_null(row));
        let fixed_start = self.begin(out, any_null, |column| columns[column].is_null(row));
        for (slot, vector) in self.slots.iter().zip(columns) {
            let Slot::Fixed(offset, form) = slot else { continue };
            if any_null && vector.is_null(row) {
                continue;
            }
            let at = vector.index(row);
            let place = &mut out[fixed_start + offset..][..form.width()];
            match (form, vector.data()) {
                (Fixed::Bool, Data::Bool(v)) => place[0] = u8::from(v[at]),
                (Fixed::Int16, Data::Int16(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::Int32, Data::Int32(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::Int64, Data::Int64(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::UInt32, Data::UInt32(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::Float32, Data::Float32(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::Float64, Data::Float64(v)) => place.copy_from_slice(&v[at].to_le_bytes()),
                (Fixed::Decimal(scale), Data::Decimal { scale: s, values }) if s == scale => {
                    place.copy_from_slice(&values[at].to_le_bytes());
                }
                _ => put_fixed(*form, &vector.value(row), place)?,
            }
        }
        let data_start = out.len();
        let mut ends = Ends::default();
        for (slot, vector) in self.slots.iter().zip(columns) {
            let Slot::Variable(_, form) = slot else { continue };
            if !(any_null && vector.is_null(row)) {
                let at = vector.index(row);
                match (form, vector.data()) {
                    (Variable::Text, Data::Text(v))
                    | (Variable::Bytea, Data::Bytea(v))
                    | (Variable::Jsonb, Data::Jsonb(v)) => {
                        out.extend_from_slice(v.get(at));
                    }
                    (Variable::Numeric, Data::Numeric(v)) => codec::write_numeric(&v[at], out),
                    (Variable::Numeric, Data::Decimal { scale, values }) => {
                        codec::write_numeric(&Numeric::new(i128::from(values[at]), *scale), out);
                    }
                    (Variable::Composed, Data::Composed(v)) => codec::write_value(&v[at], out)?,
                    (form, data) => {
                        return Err(Error::internal(format!("{:?} for a {form:?} column", data.physical())));
                    }
                }
            }
            ends.push(out.len() - data_start);
        }
        ends.insert(start, data_start, out)
    }

    /// Header, bitmap and room for the fixed part; the offset of the latter.
    fn begin(&self, out: &mut Vec<u8>, any_null: bool, is_null: impl Fn(usize) -> bool) -> usize {
        debug_assert!(self.len() <= MAX_COLUMNS);
        let count = u16::try_from(self.len()).unwrap_or(0) & COUNT_MASK;
        let word = if any_null { count | HAS_NULLS } else { count };
        out.extend_from_slice(&word.to_le_bytes());
        if any_null {
            let bitmap = out.len();
            out.resize(bitmap + self.len().div_ceil(8), 0);
            for column in 0..self.len() {
                if is_null(column) {
                    out[bitmap + column / 8] |= 1 << (column % 8);
                }
            }
        }
        let fixed_start = out.len();
        out.resize(fixed_start + self.fixed_bytes[self.len()], 0);
        fixed_start
    }

    /// One column of one record. XX001 on malformed bytes.
    pub fn decode_value(&self, record: &[u8], column: usize) -> Result<Value> {
        let Some(record) = self.open(record)?.with_column(column)? else {
            return Ok(self.missing_value(column).clone());
        };
        if record.is_null(column) {
            return Ok(Value::Null);
        }
        match self.slots[column] {
            Slot::Fixed(offset, form) => take_fixed(form, record.fixed(offset, form.width())?),
            Slot::Variable(ordinal, form) => {
                let bytes = record.variable(ordinal)?;
                Ok(match form {
                    Variable::Text => Value::text(checked_str(bytes)?),
                    Variable::Bytea => Value::Bytea(bytes.into()),
                    Variable::Jsonb => {
                        crate::json::binary::check(bytes)?;
                        Value::Jsonb(bytes.into())
                    }
                    Variable::Numeric => Value::Numeric(codec::read_numeric(bytes)?),
                    Variable::Composed => codec::read_whole_value(bytes)?,
                })
            }
        }
    }

    /// All columns of one record. XX001 on malformed bytes.
    pub fn decode_row(&self, record: &[u8]) -> Result<Vec<Value>> {
        (0..self.len()).map(|column| self.decode_value(record, column)).collect()
    }

    /// Finds a record's parts.
    #[inline]
    pub(crate) fn open<'r>(&self, record: &'r [u8]) -> Result<OpenRecord<'r>> {
        let word = record.first_chunk::<2>().map(|head| u16::from_le_bytes(*head));
        let word = word.ok_or_else(|| malformed("shorter than its header"))?;
        let count = usize::from(word & COUNT_MASK);
        let fixed_bytes =
            *self.fixed_bytes.get(count).ok_or_else(|| malformed("more columns than the table"))?;
        let bitmap = if word & HAS_NULLS != 0 { count.div_ceil(8) } else { 0 };
        let width_bits = word >> WIDTH_SHIFT & 3;
        let width = 1usize << width_bits;
        let ends = 2 + bitmap + fixed_bytes;
        let data = ends + self.variables[count] * width;
        if data > record.len() || width_bits == 3 {
            return Err(malformed("shorter than its fixed part"));
        }
        Ok(OpenRecord { record, count, bitmap, ends, data, width })
    }
}

/// A record whose fixed part and ends are known to be there.
pub(crate) struct OpenRecord<'r> {
    record: &'r [u8],
    count: usize,
    /// Size of the null bitmap, which starts at byte 2.
    bitmap: usize,
    ends: usize,
    data: usize,
    width: usize,
}

impl<'r> OpenRecord<'r> {
    /// `None` when the record was written before this column was added.
    #[inline]
    pub(crate) fn with_column(self, column: usize) -> Result<Option<OpenRecord<'r>>> {
        Ok(if column < self.count { Some(self) } else { None })
    }

    #[inline]
    pub(crate) fn is_null(&self, column: usize) -> bool {
        self.bitmap > 0 && self.record[2 + column / 8] >> (column % 8) & 1 == 1
    }

    #[inline]
    pub(crate) fn fixed(&self, offset: usize, width: usize) -> Result<&'r [u8]> {
        let start = 2 + self.bitmap + offset;
        self.record.get(start..start + width).ok_or_else(|| malformed("shorter than its fixed part"))
    }

    #[inline]
    fn end(&self, ordinal: usize) -> usize {
        let at = self.ends + ordinal * self.width;
        let bytes = &self.record[at..];
        match (self.width, bytes) {
            (1, [a, ..]) => usize::from(*a),
            (2, [a, b, ..]) => usize::from(u16::from_le_bytes([*a, *b])),
            (_, [a, b, c, d, ..]) => {
                usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        }
    }

    /// The bytes of variable column `ordinal`, which is among the record's columns.
    #[inline]
    pub(crate) fn variable(&self, ordinal: usize) -> Result<&'r [u8]> {
        let start = if ordinal == 0 { 0 } else { self.end(ordinal - 1) };
        let end = self.end(ordinal);
        let data = &self.record[self.data..];
        data.get(start..end).ok_or_else(|| malformed("a value reaches beyond the row"))
    }
}

pub(crate) fn checked_str(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("text that is not UTF-8"))
}

fn wrong_form(form: impl std::fmt::Debug, value: &Value) -> Error {
    Error::internal(format!("{value:?} for a {form:?} column"))
}

/// Writes a value that is not NULL into its place.
fn put_fixed(form: Fixed, value: &Value, place: &mut [u8]) -> Result<()> {
    match (form, value) {
        (Fixed::Bool, Value::Bool(v)) => place[0] = u8::from(*v),
        (Fixed::Int16, Value::Int16(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::Int32, Value::Int32(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::Int64, Value::Int64(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::UInt32, Value::UInt32(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::Float32, Value::Float32(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::Float64, Value::Float64(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (Fixed::Decimal(scale), Value::Numeric(v)) => {
            let scaled = match v {
                Numeric::NaN => Some(DECIMAL_NAN),
                _ => v.as_scaled_i64(scale).filter(|&scaled| scaled != DECIMAL_NAN),
            };
            let scaled =
                scaled.ok_or_else(|| Error::internal(format!("{v} for a decimal of scale {scale}")))?;
            place.copy_from_slice(&scaled.to_le_bytes());
        }
        (Fixed::Interval, Value::Interval(v)) => {
            place[..4].copy_from_slice(&v.months.to_le_bytes());
            place[4..8].copy_from_slice(&v.days.to_le_bytes());
            place[8..].copy_from_slice(&v.micros.to_le_bytes());
        }
        (Fixed::Uuid, Value::Uuid(v)) => place.copy_from_slice(&v.to_le_bytes()),
        (form, value) => return Err(wrong_form(form, value)),
    }
    Ok(())
}

/// Reads a value back from its place.
fn take_fixed(form: Fixed, place: &[u8]) -> Result<Value> {
    fn array<const N: usize>(place: &[u8]) -> Result<[u8; N]> {
        place.first_chunk::<N>().copied().ok_or_else(|| malformed("shorter than its fixed part"))
    }
    Ok(match form {
        Fixed::Bool => Value::Bool(array::<1>(place)?[0] != 0),
        Fixed::Int16 => Value::Int16(i16::from_le_bytes(array(place)?)),
        Fixed::Int32 => Value::Int32(i32::from_le_bytes(array(place)?)),
        Fixed::Int64 => Value::Int64(i64::from_le_bytes(array(place)?)),
        Fixed::UInt32 => Value::UInt32(u32::from_le_bytes(array(place)?)),
        Fixed::Float32 => Value::Float32(f32::from_le_bytes(array(place)?)),
        Fixed::Float64 => Value::Float64(f64::from_le_bytes(array(place)?)),
        Fixed::Decimal(scale) => Value::Numeric(decimal_value(i64::from_le_bytes(array(place)?), scale)),
        Fixed::Interval => Value::Interval(interval_from(array(place)?)),
        Fixed::Uuid => Value::Uuid(u128::from_le_bytes(array(place)?)),
    })
}

pub(crate) fn decimal_value(scaled: i64, scale: u16) -> Numeric {
    if scaled == DECIMAL_NAN { Numeric::NaN } else { Numeric::new(i128::from(scaled), scale) }
}

pub(crate) fn interval_from(bytes: [u8; 16]) -> Interval {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
    Interval {
        months: i32::from_le_bytes([a, b, c, d]),
        days: i32::from_le_bytes([e, f, g, h]),
        micros: i64::from_le_bytes([i, j, k, l, m, n, o, p]),
    }
}

/// Where the variable values end; few rows have more than 16.
#[derive(Default)]
struct Ends {
    first: [u32; 16],
    more: Vec<u32>,
    count: usize,
    last: usize,
}

impl Ends {
    #[inline]
    fn push(&mut self, end: usize) {
        let short = u32::try_from(end).unwrap_or(u32::MAX);
        match self.first.get_mut(self.count) {
            Some(place) => *place = short,
            None => self.more.push(short),
        }
        self.count += 1;
        self.last = end;
    }

    /// Moves the values up and puts their ends before them.
    fn insert(&self, start: usize, data_start: usize, out: &mut Vec<u8>) -> Result<()> {
        let data_end = out.len();
        if data_end - start > MAX_ROW_BYTES {
            return Err(Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "row is too big: over 1 GB"));
        }
        let bits = if self.last <= 0xff { 0u32 } else { 1 + u32::from(self.last > 0xffff) };
        let width = 1usize << bits;
        out.resize(data_end + self.count * width, 0);
        out.copy_within(data_start..data_end, data_start + self.count * width);
        let inline = self.first.iter().take(self.count);
        for (place, end) in out[data_start..].chunks_exact_mut(width).zip(inline.chain(&self.more)) {
            place.copy_from_slice(&end.to_le_bytes()[..width]);
        }
        if bits > 0 {
            out[start + 1] |= u8::try_from(bits << (WIDTH_SHIFT - 8)).unwrap_or(0);
        }
        Ok(())
    }
}

/// A builder of the form in which values of `data_type` come out of records and literals:
/// `Data::Decimal` for numeric(p ≤ 18, 0 ≤ s ≤ p).
pub fn builder_for(data_type: DataType, capacity: usize) -> VectorBuilder {
    match decimal_scale(data_type) {
        Some(scale) => VectorBuilder::decimal(scale, capacity),
        None => VectorBuilder::new(data_type.physical, capacity),
    }
}

/// The scale if values of `data_type` lie as scaled i64: numeric(p ≤ 18, 0 ≤ s ≤ p).
pub fn decimal_scale(data_type: DataType) -> Option<u16> {
    match data_type.numeric_precision_scale() {
        Some((precision, scale)) if precision <= 18 && (0..=precision).contains(&scale) => {
            u16::try_from(scale).ok()
        }
        _ => None,
    }
}

/// How many bytes values of this type take in a record, if always the same.
pub fn fixed_width(data_type: DataType) -> Option<usize> {
    form_of(data_type).ok().map(Fixed::width)
}
