//! Rows kept by column: what hash joins, sorts and materialisations hold.

use std::sync::Arc;

use types::row::builder_for;
use types::{Batch, DataType, VectorBuilder};

/// A batch that grows.
#[derive(Debug)]
pub struct RowBuffer {
    columns: Vec<VectorBuilder>,
    len: usize,
    bytes: usize,
}

impl RowBuffer {
    pub fn new(types: &[DataType]) -> RowBuffer {
        RowBuffer { columns: types.iter().map(|&t| builder_for(t, 0)).collect(), len: 0, bytes: 0 }
    }

    pub fn append(&mut self, batch: &Batch) {
        for (column, vector) in self.columns.iter_mut().zip(batch.columns()) {
            column.extend(vector);
        }
        self.len += batch.len();
        self.bytes += batch.size_bytes();
    }

    /// Appends the rows of `batch` at `rows`.
    pub fn append_rows(&mut self, batch: &Batch, rows: &[u32]) {
        for (column, vector) in self.columns.iter_mut().zip(batch.columns()) {
            column.extend_at(vector, rows);
        }
        self.len += rows.len();
        self.bytes += batch.size_bytes() * rows.len() / batch.len().max(1);
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// About how much memory the rows take.
    pub fn size_bytes(&self) -> usize {
        self.bytes
    }

    pub fn finish(self) -> Batch {
        let columns = self.columns.into_iter().map(|column| Arc::new(column.finish())).collect();
        Batch::new(columns, self.len)
    }
}
