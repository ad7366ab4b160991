//! The scan loop: records into vectors, only the columns asked for.

use std::sync::Arc;

use super::{COUNT_MASK, DECIMAL_NAN, Fixed, RowLayout, Slot, Variable, codec, interval_from, malformed};
use crate::numeric::Numeric;
use crate::value::Value;
use crate::vector::{Data, VectorBuilder};
use crate::{Error, Result};

/// A projection of a layout's columns, resolved to offsets once.
#[derive(Debug, Clone)]
pub struct RowDecoder {
    layout: Arc<RowLayout>,
    projection: Vec<usize>,
    /// The header's first bytes of a record with all columns and no NULL, whatever its ends' width.
    full: u16,
}

impl RowDecoder {
    /// `projection` names columns of `layout`, in the order of the builders.
    pub fn new(layout: &Arc<RowLayout>, projection: &[usize]) -> RowDecoder {
        let full = u16::try_from(layout.len()).unwrap_or(0);
        RowDecoder { layout: layout.clone(), projection: projection.to_vec(), full }
    }

    /// Builders for the projection, of the right forms.
    pub fn builders(&self, capacity: usize) -> Vec<VectorBuilder> {
        self.projection.iter().map(|&column| self.layout.builder(column, capacity)).collect()
    }

    /// Appends one record's values to `builders` (from [`RowDecoder::builders`]). XX001 on malformed
    /// bytes; the builders are then of unequal length and must be dropped.
    #[inline]
    pub fn decode(&self, record: &[u8], builders: &mut [VectorBuilder]) -> Result<()> {
        self.decode_many(&[record], builders)
    }

    /// As [`RowDecoder::decode`] for many records, column by column: the fastest way.
    pub fn decode_many(&self, records: &[&[u8]], builders: &mut [VectorBuilder]) -> Result<()> {
        let whole = records.iter().all(|record| header(record) & COUNT_MASK == self.full);
        for (&column, builder) in self.projection.iter().zip(builders) {
            if whole {
                self.decode_column(records, column, builder)?;
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

    /// One column of records that have all columns.
    fn decode_column(&self, records: &[&[u8]], column: usize, builder: &mut VectorBuilder) -> Result<()> {
        let mut nulls = Vec::new();
        let slot = self.layout.slot(column);
        match (slot, builder.data_mut()) {
            (Slot::Fixed(at, Fixed::Bool), Data::Bool(v)) => {
                self.fixed(records, column, at, v, &mut nulls, |[byte]: [u8; 1]| byte != 0)?;
            }
            (Slot::Fixed(at, Fixed::Int16), Data::Int16(v)) => {
                self.fixed(records, column, at, v, &mut nulls, i16::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Int32), Data::Int32(v)) => {
                self.fixed(records, column, at, v, &mut nulls, i32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Int64), Data::Int64(v)) => {
                self.fixed(records, column, at, v, &mut nulls, i64::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::UInt32), Data::UInt32(v)) => {
                self.fixed(records, column, at, v, &mut nulls, u32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Float32), Data::Float32(v)) => {
                self.fixed(records, column, at, v, &mut nulls, f32::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Float64), Data::Float64(v)) => {
                self.fixed(records, column, at, v, &mut nulls, f64::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Interval), Data::Interval(v)) => {
                self.fixed(records, column, at, v, &mut nulls, interval_from)?;
            }
            (Slot::Fixed(at, Fixed::Uuid), Data::Uuid(v)) => {
                self.fixed(records, column, at, v, &mut nulls, u128::from_le_bytes)?;
            }
            (Slot::Fixed(at, Fixed::Decimal(scale)), Data::Decimal { scale: s, values }) if scale == *s => {
                let before = values.len();
                self.fixed(records, column, at, values, &mut nulls, i64::from_le_bytes)?;
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
        offset: usize,
        values: &mut Vec<T>,
        nulls: &mut Vec<usize>,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<()> {
        values.reserve(records.len());
        for record in records {
            let mut start = 2 + offset;
            if header(record) & super::HAS_NULLS != 0 {
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
