//! COPY's binary format: rows of length-prefixed fields between a signature and an end marker.
//!
//! Used by `copy.rs` instead of its lines. Source: PostgreSQL 15, COPY, "Binary Format".

use types::text::{push_binary, write_vector_binary};
use types::{BATCH_SIZE, Batch, DataType, Error, Result, Schema, SqlState, VectorBuilder};

use crate::session::copy::Fields;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Bits of the header's flags that a reader must know to read on.
const CRITICAL: u32 = 0xffff_0000;
/// A field is at most this long.
const FIELD_MOST: usize = 1 << 30;

/// What comes before the first row.
pub fn write_header(out: &mut Vec<u8>) {
    out.extend_from_slice(SIGNATURE);
    // No flags, no extension.
    out.extend_from_slice(&[0; 8]);
}

/// What comes after the last row.
pub fn write_trailer(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1i16).to_be_bytes());
}

/// Appends one row.
pub fn write_row(batch: &Batch, row: usize, schema: &Schema, out: &mut Vec<u8>) {
    out.extend_from_slice(&(schema.fields.len() as i16).to_be_bytes());
    for (column, field) in batch.columns().iter().zip(&schema.fields) {
        if column.is_null(row) {
            out.extend_from_slice(&(-1i32).to_be_bytes());
            continue;
        }
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        write_vector_binary(column, row, field.data_type, out);
        let length = (out.len() - at - 4) as i32;
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// Takes rows apart into vectors.
pub struct BinaryReader<'a> {
    table: &'a str,
    names: &'a [&'a str],
    types: &'a [DataType],
    builders: Vec<VectorBuilder>,
    header_due: bool,
    /// Rows read so far.
    row: u64,
    first_row: u64,
    ended: bool,
}

impl<'a> BinaryReader<'a> {
    pub fn new(table: &'a str, names: &'a [&'a str], types: &'a [DataType]) -> BinaryReader<'a> {
        let mut reader = BinaryReader {
            table,
            names,
            types,
            builders: Vec::new(),
            header_due: true,
            row: 0,
            first_row: 1,
            ended: false,
        };
        reader.reset();
        reader
    }

    fn reset(&mut self) {
        self.builders = self.types.iter().map(|t| VectorBuilder::for_type(*t, BATCH_SIZE)).collect();
    }

    /// How long the header is; `None` when it is not all there.
    fn header(&self, data: &[u8]) -> Result<Option<usize>> {
        let signature = data.get(..SIGNATURE.len().min(data.len())).unwrap_or_default();
        if !SIGNATURE.starts_with(signature) {
            return Err(bad("COPY file signature not recognized"));
        }
        let Some(flags) = word(data, SIGNATURE.len()) else { return Ok(None) };
        if flags & CRITICAL & !(1 << 16) != 0 {
            return Err(bad("unrecognized critical flags in COPY file header"));
        }
        if flags & CRITICAL != 0 {
            return Err(bad("invalid COPY file header (WITH OIDS)"));
        }
        let Some(extension) = word(data, SIGNATURE.len() + 4) else { return Ok(None) };
        if extension > FIELD_MOST as u32 {
            return Err(bad("invalid COPY file header (wrong length)"));
        }
        let length = SIGNATURE.len() + 8 + extension as usize;
        Ok((data.len() >= length).then_some(length))
    }

    /// How long the row at the start of `data` is; `None` when it is not all there.
    fn row_length(&self, data: &[u8]) -> Result<Option<usize>> {
        let mut at = 2;
        for column in 0..self.types.len() {
            let Some(length) = word(data, at) else { return Ok(None) };
            at += 4;
            match length as i32 {
                -1 => {}
                length if length < 0 || length as usize > FIELD_MOST => {
                    return Err(self.with_column(bad("invalid field size"), column));
                }
                length => at += length as usize,
            }
        }
        Ok((data.len() >= at).then_some(at))
    }

    fn one_row(&mut self, data: &[u8]) -> Result<()> {
        let mut at = 2;
        for column in 0..self.types.len() {
            let length = word(data, at).unwrap_or_default() as i32;
            at += 4;
            let (Some(builder), Some(data_type)) = (self.builders.get_mut(column), self.types.get(column))
            else {
                return Err(Error::internal("a COPY field without column"));
            };
            if length < 0 {
                builder.push_null();
                continue;
            }
            let field = data.get(at..at + length as usize).unwrap_or_default();
            at += length as usize;
            push_binary(builder, *data_type, field).map_err(|error| self.with_column(error, column))?;
        }
        Ok(())
    }

    fn with_column(&self, error: Error, column: usize) -> Error {
        let name = self.names.get(column).copied().unwrap_or_default();
        error.with_context(format!("COPY {}, line {}, column {name}", self.table, self.row))
    }

    fn with_row(&self, error: Error) -> Error {
        error.with_context(format!("COPY {}, line {}", self.table, self.row))
    }
}

impl Fields for BinaryReader<'_> {
    fn read(&mut self, data: &[u8], last: bool) -> Result<(usize, bool)> {
        let mut used = 0;
        if self.header_due {
            match self.header(data)? {
                Some(length) => used = length,
                None if last => return Err(bad("COPY file signature not recognized")),
                None => return Ok((0, false)),
            }
            self.header_due = false;
        }
        while !self.ended {
            let rest = data.get(used..).unwrap_or_default();
            let Some(count) = rest.first_chunk::<2>().map(|bytes| i16::from_be_bytes(*bytes)) else {
                if last && !rest.is_empty() {
                    return Err(self.with_row(bad("unexpected EOF in COPY data")));
                }
                break;
            };
            if count == -1 {
                used += 2;
                self.ended = true;
                if rest.len() > 2 {
                    return Err(self.with_row(bad("received copy data after EOF marker")));
                }
                break;
            }
            self.row += 1;
            if count as usize != self.types.len() || count < 0 {
                let message = format!("row field count is {count}, expected {}", self.types.len());
                return Err(self.with_row(bad(message)));
            }
            let Some(length) = self.row_length(rest)? else {
                if last {
                    return Err(self.with_row(bad("unexpected EOF in COPY data")));
                }
                self.row -= 1;
                break;
            };
            self.one_row(rest.get(..length).unwrap_or_default())?;
            used += length;
            if self.rows() >= BATCH_SIZE {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    fn rows(&self) -> usize {
        (self.row + 1 - self.first_row) as usize
    }

    fn take_batch(&mut self) -> (u64, Batch) {
        let (first, len) = (self.first_row, self.rows());
        let builders = std::mem::take(&mut self.builders);
        self.reset();
        self.first_row = self.row + 1;
        (first, Batch::new(builders.into_iter().map(|builder| builder.finish().into()).collect(), len))
    }

    fn has_ended(&self) -> bool {
        self.ended
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..).and_then(|rest| rest.first_chunk::<4>()).map(|bytes| u32::from_be_bytes(*bytes))
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(SqlState::BAD_COPY_FILE_FORMAT, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use types::{Field, Value};

    const TYPES: [DataType; 2] = [DataType::INT4, DataType::TEXT];

    fn read(data: &[u8], step: usize) -> Result<Vec<Vec<Value>>> {
        let mut reader = BinaryReader::new("t", &["a", "b"], &TYPES);
        let (mut taken, mut end) = (0, 0);
        while end < data.len() {
            end = (end + step).min(data.len());
            taken += reader.read(&data[taken..end], end == data.len())?.0;
        }
        let (first, batch) = reader.take_batch();
        assert_eq!(first, 1);
        Ok((0..batch.len()).map(|row| batch.row(row)).collect())
    }

    fn written() -> (Vec<u8>, Vec<Vec<Value>>) {
        let rows = vec![
            vec![Value::Int32(-7), Value::text("é")],
            vec![Value::Null, Value::text("")],
            vec![Value::Int32(1), Value::Null],
        ];
        let mut builders: Vec<_> = TYPES.iter().map(|t| VectorBuilder::for_type(*t, 3)).collect();
        for row in &rows {
            builders.iter_mut().zip(row).for_each(|(builder, value)| builder.push(value));
        }
        let batch = Batch::new(builders.into_iter().map(|builder| Arc::new(builder.finish())).collect(), 3);
        let schema = Schema { fields: TYPES.iter().map(|t| Field::new("x", *t)).collect() };
        let mut out = Vec::new();
        write_header(&mut out);
        (0..3).for_each(|row| write_row(&batch, row, &schema, &mut out));
        write_trailer(&mut out);
        (out, rows)
    }

    #[test]
    fn what_is_written_reads_back_however_it_is_cut() {
        let (data, rows) = written();
        for step in [1, 2, 3, 7, data.len()] {
            assert_eq!(read(&data, step).unwrap(), rows, "{step}");
        }
        // The end marker may be left out.
        assert_eq!(read(&data[..data.len() - 2], 5).unwrap(), rows);
    }

    #[test]
    fn damaged_data_is_refused() {
        let (data, _) = written();
        let message = |data: &[u8]| read(data, data.len()).unwrap_err().message().to_owned();
        assert_eq!(message(b"1\tone\n"), "COPY file signature not recognized");
        for end in 1..data.len() {
            let result = read(&data[..end], 3);
            let is_whole = [19, 35, 45, 59].contains(&end);
            assert_eq!(result.is_ok(), is_whole, "{end}: {result:?}");
        }
        let with = |at: usize, byte: u8| {
            let mut data = data.clone();
            data[at] = byte;
            message(&data)
        };
        assert_eq!(with(11, 4), "unrecognized critical flags in COPY file header");
        assert_eq!(with(20, 3), "row field count is 3, expected 2");
        assert_eq!(with(21, 0xf0), "invalid field size");
        assert_eq!(message(&[&data[..], b"x"].concat()), "received copy data after EOF marker");
    }
}
