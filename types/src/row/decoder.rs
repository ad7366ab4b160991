//! The scan loop: records into vectors, only the columns asked for.

use std::sync::Arc;

use super::{
    COUNT_MASK, DECIMAL_NAN, Fixed, HAS_NULLS, RowLayout, Slot, Variable, codec, interval_from, malformed,
};
use crate::numeric::Numeric;
use crate::value::Value;
use crate::vector::{Data, VectorBuilder};
use crate::{Error, Result};

/// A projection of a layout's columns, resolved to offsets once.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    layout: Arc<RowLayout>,
    projection: Vec<usize>,
    /// The header of a record with all columns and no NULL, but for its ends' width.
    full: u16,
    /// Where the ends start in such a record, and how many there are.
    ends: usize,
    variables: usize,
}

/// What all records of a call have in common: the stronger it is, the less each value costs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// All columns, no NULL, a whole fixed part.
    Plain,
    /// All columns.
    Whole,
    Any,
}

impl RowDecoder {
    /// `projection` names columns of `layout`, in the order of the builders.
    pub fn new(layout: &Arc<RowLayout>, projection: &[usize]) -> RowDecoder {
        let full = u16::try_from(layout.len()).unwrap_or(0);
        let ends = 2 + layout.fixed_bytes[layout.len()];
        let variables = layout.variables[layout.len()];
        RowDecoder { layout: layout.clone(), projection: projection.to_vec(), full, ends, variables }
    }

    /// Builders for the projection, of the right forms.
    pub fn builders(&self, capacity: usize) -> Vec<VectorBuilder> {
        self.projection.iter().map(|&column| self.layout.builder(column, capacity)).collect()
    }

    /// Appends one record's values to `builders` (from [`RowDecoder::builders`]). XX001 on malformed
    /// bytes; the builders are then of unequal length and must be dropped.
    #[inline]
    pub fn decode(&self, record: &[u8], builders: &mut [VectorBuilder]) -> Result<()> {
        let shape = self.shape(&[record]);
        if shape != Shape::Plain {
            return self.decode_shaped(&[record], shape, builders);
        }
        for (&column, builder) in self.projection.iter().zip(builders) {
            if !self.push_plain(record, column, builder)? {
                self.decode_column(&[record], column, shape, builder)?;
            }
        }
        Ok(())
    }

    /// The commonest forms of one value of a plain record; whether it was one.
    #[inline]
    fn push_plain(&self, record: &[u8], column: usize, builder: &mut VectorBuilder) -> Result<bool> {
        fn bytes<const N: usize>(record: &[u8], offset: usize) -> [u8; N] {
            // The shape says that it is long enough; the default is never taken.
            record.get(2 + offset..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
        }
        match (self.layout.slot(column), builder.data_mut()) {
            (Slot::Fixed(at, Fixed::Int32), Data::Int32(v)) => v.push(i32::from_le_bytes(bytes(record, at))),
            (Slot::Fixed(at, Fixed::Int64), Data::Int64(v)) => v.push(i64::from_le_bytes(bytes(record, at))),
            (Slot::Fixed(at, Fixed::Float64), Data::Float64(v)) => {
                v.push(f64::from_le_bytes(bytes(record, at)))
            }
            (Slot::Fixed(at, Fixed::Decimal(scale)), Data::Decimal { scale: s, values }) if scale == *s => {
                match i64::from_le_bytes(bytes(record, at)) {
                    DECIMAL_NAN => return Ok(false),
                    value => values.push(value),
                }
            }
            (Slot::Variable(ordinal, Variable::Text), Data::Text(strings)) => {
                match self.variable(record, column, ordinal)? {
                    Some(bytes) if bytes.is_ascii() => strings.push(bytes),
                    _ => return Ok(false),
                }
            }
            _ => return Ok(false),
        }
        builder.appended_one();
        Ok(true)
    }

    /// As [`RowDecoder::decode`] for many records, column by column: the fastest way.
    pub fn decode_many(&self, records: &[&[u8]], builders: &mut [VectorBuilder]) -> Result<()> {
        self.decode_shaped(records, self.shape(records), builders)
    }

    fn decode_shaped(&self, records: &[&[u8]], shape: Shape, builders: &mut [VectorBuilder]) -> Result<()> {
        for (&column, builder) in self.projection.iter().zip(builders) {
            if shape != Shape::Any {
                self.decode_column(records, column, shape, builder)?;
            } else {
                // Some were written before the last column was added.
                for record in records {
                    let value = self.layout.decode_value(record, column)?;
                    push_checked(builder, &value)?;
                }
            }
        }
        Ok(())
    }

    fn shape(&self, records: &[&[u8]]) -> Shape {
        let plain = |record: &&[u8]| {
            header(record) & (HAS_NULLS | COUNT_MASK) == self.full && record.len() >= self.ends
        };
        if records.iter().all(plain) {
            Shape::Plain
        } else if records.iter().all(|record| header(record) & COUNT_MASK == self.full) {
            Shape::Whole
        } else {
            Shape::Any
        }
    }

    /// One column of records that have all columns.
    fn decode_column(
        &self,
        records: &[&[u8]],
        column: usize,
        shape: Shape,
        builder: &mut VectorBuilder,
    ) -> Result<()> {
        let mut nulls = Vec::new();
        let slot = self.layout.slot(column);
        match (slot, builder.data_mut()) {
            (Slot::Fixed(at, Fixed::Bool), Data::Bool(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, |[byte]: [u8; 1]| byte != 0)?;
            }
            (Slot::Fixed(at, Fixed::Int16), Data::Int16(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, i16::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Int32), Data::Int32(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, i32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Int64), Data::Int64(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, i64::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::UInt32), Data::UInt32(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, u32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Float32), Data::Float32(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, f32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Float64), Data::Float64(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, f64::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Interval), Data::Interval(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, interval_from)?;
            }
            (Slot::Fixed(at, Fixed::Uuid), Data::Uuid(v)) => {
                self.fixed(records, column, shape, at, v, &mut nulls, u128::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Decimal(scale)), Data::Decimal { scale: s, values }) if scale == *s => {
                let before = values.len();
                self.fixed(records, column, shape, at, values, &mut nulls, i64::from_le_bytes)?;
                if values[before..].contains(&DECIMAL_NAN) {
                    let nans: Vec<usize> =
                        (before..values.len()).filter(|&i| values[i] == DECIMAL_NAN).collect();
                    let wide = builder.widen();
                    for index in nans {
                        wide[index] = Numeric::NaN;
                    }
                }
            }
            (Slot::Variable(ordinal, Variable::Text), Data::Text(strings)) => {
                for record in records {
                    match self.variable(record, column, ordinal)? {
                        Some(bytes) => {
                            if !bytes.is_ascii() {
                                super::checked_str(bytes)?;
                            }
                            strings.push(bytes);
                        }
                        None => {
                            nulls.push(strings.len());
                            strings.push(b"");
                        }
                    }
                }
            }
            (Slot::Variable(ordinal, Variable::Bytea), Data::Bytea(strings)) => {
                for record in records {
                    let bytes = self.variable(record, column, ordinal)?;
                    if bytes.is_none() {
                        nulls.push(strings.len());
                    }
                    strings.push(bytes.unwrap_or_default());
                }
            }
            (Slot::Variable(ordinal, Variable::Jsonb), Data::Jsonb(values)) => {
                for record in records {
                    match self.variable(record, column, ordinal)? {
                        Some(bytes) => {
                            crate::json::binary::check(bytes)?;
                            values.push(bytes);
                        }
                        None => {
                            nulls.push(values.len());
                            values.push(b"");
                        }
                    }
                }
            }
            (Slot::Variable(ordinal, Variable::Numeric), Data::Numeric(values)) => {
                for record in records {
                    match self.variable(record, column, ordinal)? {
                        Some(bytes) => values.push(codec::read_numeric(bytes)?),
                        None => {
                            nulls.push(values.len());
                            values.push(Numeric::ZERO);
                        }
                    }
                }
            }
            _ => {
                for record in records {
                    let value = self.layout.decode_value(record, column)?;
                    push_checked(builder, &value)?;
                }
                return Ok(());
            }
        }
        builder.appended();
        for index in nulls {
            builder.set_null(index);
        }
        Ok(())
    }

    /// Appends a fixed-width column's values; `nulls` takes the indices of NULLs.
    #[inline(always)]
    fn fixed<const N: usize, T: Default>(
        &self,
        records: &[&[u8]],
        column: usize,
        shape: Shape,
        offset: usize,
        values: &mut Vec<T>,
        nulls: &mut Vec<usize>,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<()> {
        if shape == Shape::Plain {
            let start = 2 + offset;
            // The shape says that they are long enough; the default is never taken.
            let bytes =
                |record: &[u8]| record.get(start..start + N).and_then(|b| <[u8; N]>::try_from(b).ok());
            values.extend(records.iter().map(|record| bytes(record).map_or_else(T::default, &read)));
            return Ok(());
        }
        values.reserve(records.len());
        for record in records {
            let mut start = 2 + offset;
            if header(record) & HAS_NULLS != 0 {
                let open = self.layout.open(record)?;
                if open.is_null(column) {
                    nulls.push(values.len());
                    values.push(T::default());
                    continue;
                }
                start += self.layout.len().div_ceil(8);
            }
            match record.get(start..).and_then(|rest| rest.first_chunk::<N>()) {
                Some(bytes) => values.push(read(*bytes)),
                None => return Err(malformed("shorter than its fixed part")),
            }
        }
        Ok(())
    }

    #[inline]
    fn variable<'r>(&self, record: &'r [u8], column: usize, ordinal: usize) -> Result<Option<&'r [u8]>> {
        // The usual record: no NULLs, ends of one byte.
        if header(record) == self.full && record.len() >= self.ends + self.variables {
            let (ends, data) = record[self.ends..].split_at(self.variables);
            let start = if ordinal == 0 { 0 } else { usize::from(ends[ordinal - 1]) };
            let bytes = data.get(start..usize::from(ends[ordinal]));
            return bytes.map(Some).ok_or_else(|| malformed("a value reaches beyond the row"));
        }
        let open = self.layout.open(record)?;
        if open.is_null(column) { Ok(None) } else { open.variable(ordinal).map(Some) }
    }
}

/// The header word; 0 for a record too short to have one.
#[inline]
fn header(record: &[u8]) -> u16 {
    record.first_chunk::<2>().map_or(0, |head| u16::from_le_bytes(*head))
}

/// Pushes a value, unless a caller has brought builders of other forms.
fn push_checked(builder: &mut VectorBuilder, value: &Value) -> Result<()> {
    if builder.takes(value) {
        builder.push(value);
        return Ok(());
    }
    Err(Error::internal("builders do not fit the projection"))
}
