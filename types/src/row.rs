//! Stored row bytes ⇄ values: what a table's records hold after the storage header.
//!
//! `executor/table` encodes on insert and decodes on scan; `storage` runs a [`RowPredicate`] on the bytes
//! before anything is decoded. A record knows how many columns it was written with, so that ALTER TABLE
//! ADD COLUMN rewrites nothing: columns beyond take [`RowLayout`]'s `missing` value. A dropped column
//! keeps its place and type (new records say NULL there). Bytes come from disk: whatever they hold,
//! decoding answers or fails with XX001, it never panics.
//!
//! ```text
//! u16 little-endian   bits 0–10 column count k · bits 12–13 width of an end (1, 2, 4) · bit 15 has nulls
//! null bitmap         ceil(k/8) bytes, only if "has nulls"; a set bit is NULL
//! fixed part          every fixed-width column of the first k, in order, unaligned, little-endian
//! ends                for every variable column of the first k: where its bytes end, from the first's start
//! variable part
//! ```
//!
//! numeric(p ≤ 18, s ≥ 0) is fixed: an i64 scaled by 10^s, `i64::MIN` is NaN.

use std::sync::Arc;

use crate::batch::Batch;
use crate::datatype::{DataType, Physical};
use crate::value::Value;
use crate::vector::VectorBuilder;
use crate::{Error, Result};

/// PostgreSQL's limit of columns of a table.
pub const MAX_COLUMNS: usize = 1600;

/// How the columns of a table lie in its records. Cheap to share (`Arc`), made once per table version.
#[derive(Debug, Clone)]
pub struct RowLayout {
    types: Vec<DataType>,
    missing: Vec<Value>,
}

impl RowLayout {
    /// Every record was written with all of these columns (or lacks columns that are NULL then).
    pub fn new(types: &[DataType]) -> RowLayout {
        RowLayout::with_missing(types, Vec::new())
    }

    /// `missing[i]` is what column `i` holds in records written before it was added; absent means NULL.
    pub fn with_missing(types: &[DataType], missing: Vec<Value>) -> RowLayout {
        RowLayout { types: types.to_vec(), missing }
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

    /// Appends the record of `values` (one per column, each NULL or of its column's form) to `out`.
    ///
    /// XX000 when a value is of another form; 54000 when the row is over 1 GiB.
    pub fn encode(&self, values: &[Value], out: &mut Vec<u8>) -> Result<()> {
        let _ = (values, out);
        Err(Error::internal("not built yet"))
    }

    /// Appends the record of row `row` of `batch`, whose columns are this layout's, in order.
    pub fn encode_batch_row(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> Result<()> {
        let _ = (batch, row, out);
        Err(Error::internal("not built yet"))
    }

    /// One column of one record. XX001 on malformed bytes.
    pub fn decode_value(&self, record: &[u8], column: usize) -> Result<Value> {
        let _ = (record, column, &self.missing);
        Err(Error::internal("not built yet"))
    }

    /// All columns of one record. XX001 on malformed bytes.
    pub fn decode_row(&self, record: &[u8]) -> Result<Vec<Value>> {
        (0..self.len()).map(|column| self.decode_value(record, column)).collect()
    }
}

/// A builder of the form in which values of `data_type` come out of records and literals:
/// `Data::Decimal` for numeric(p ≤ 18, s ≥ 0).
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

/// The scan loop's decoder: a projection of a layout's columns, resolved to offsets once.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    layout: Arc<RowLayout>,
    projection: Vec<usize>,
}

impl RowDecoder {
    /// `projection` names columns of `layout`, in the order of the builders.
    pub fn new(layout: &Arc<RowLayout>, projection: &[usize]) -> RowDecoder {
        RowDecoder { layout: layout.clone(), projection: projection.to_vec() }
    }

    /// Builders for the projection, of the right forms.
    pub fn builders(&self, capacity: usize) -> Vec<VectorBuilder> {
        self.projection.iter().map(|&column| self.layout.builder(column, capacity)).collect()
    }

    /// Appends one record's values to `builders` (from [`RowDecoder::builders`]). XX001 on malformed
    /// bytes; the builders are then of unequal length and must be dropped.
    pub fn decode(&self, record: &[u8], builders: &mut [VectorBuilder]) -> Result<()> {
        for (&column, builder) in self.projection.iter().zip(builders) {
            builder.push(&self.layout.decode_value(record, column)?);
        }
        Ok(())
    }

    /// As [`RowDecoder::decode`] for many records, column by column: the fastest way.
    pub fn decode_many(&self, records: &[&[u8]], builders: &mut [VectorBuilder]) -> Result<()> {
        for record in records {
            self.decode(record, builders)?;
        }
        Ok(())
    }
}

/// How a column is compared with a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is asked of one column. NULL satisfies nothing but `IsNull`.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnTest {
    Compare(Comparison, Value),
    /// `low <= column AND column <= high`
    Between(Value, Value),
    In(Vec<Value>),
    /// Text that begins with this.
    StartsWith(Arc<str>),
    IsNull,
    IsNotNull,
}

/// A test of one column, evaluated on record bytes.
#[derive(Debug, Clone)]
pub struct RowPredicate {
    layout: Arc<RowLayout>,
    column: usize,
    test: ColumnTest,
}

impl RowPredicate {
    /// `None` when this test cannot be answered from bytes: the caller then filters after decoding.
    /// A constant may be of another number type than the column (`int4 < 2.5`): it is fitted exactly.
    /// Text compares by bytes (collation "C").
    pub fn new(layout: &Arc<RowLayout>, column: usize, test: &ColumnTest) -> Option<RowPredicate> {
        Some(RowPredicate { layout: layout.clone(), column, test: test.clone() })
    }

    pub fn column(&self) -> usize {
        self.column
    }

    /// Whether the record passes. XX001 on malformed bytes.
    pub fn matches(&self, record: &[u8]) -> Result<bool> {
        let value = self.layout.decode_value(record, self.column)?;
        Ok(match &self.test {
            ColumnTest::IsNull => value.is_null(),
            ColumnTest::IsNotNull => !value.is_null(),
            _ => return Err(Error::internal("not built yet")),
        })
    }

    /// The indices of the records that pass, appended to `selection`. XX001 on malformed bytes.
    pub fn select(&self, records: &[&[u8]], selection: &mut Vec<u32>) -> Result<()> {
        for (index, record) in records.iter().enumerate() {
            if self.matches(record)? {
                selection.push(u32::try_from(index).unwrap_or(u32::MAX));
            }
        }
        Ok(())
    }
}

/// Whether values of this form take a known number of bytes in a record.
pub fn fixed_width(data_type: DataType) -> Option<usize> {
    match data_type.physical {
        Physical::Bool => Some(1),
        Physical::Int16 => Some(2),
        Physical::Int32 | Physical::UInt32 | Physical::Float32 => Some(4),
        Physical::Int64 | Physical::Float64 => Some(8),
        Physical::Interval | Physical::Uuid => Some(16),
        Physical::Numeric => decimal_scale(data_type).map(|_| 8),
        Physical::Text | Physical::Bytea | Physical::Composed => None,
    }
}
