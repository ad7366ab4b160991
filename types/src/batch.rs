//! Vectors of equal length, and the names and types that go with them.

use std::sync::Arc;

use crate::datatype::DataType;
use crate::value::Value;
use crate::vector::Vector;

/// How many rows an operator aims to hand over at once.
pub const BATCH_SIZE: usize = 1024;

/// Rows, by column. Columns are shared: passing one through costs a reference count.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    columns: Vec<Arc<Vector>>,
    len: usize,
}

impl Batch {
    /// Every column is `len` long; a batch without columns still has rows.
    pub fn new(columns: Vec<Arc<Vector>>, len: usize) -> Batch {
        debug_assert!(columns.iter().all(|c| c.len() == len), "columns of unequal length");
        Batch { columns, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn columns(&self) -> &[Arc<Vector>] {
        &self.columns
    }

    pub fn column(&self, index: usize) -> &Arc<Vector> {
        &self.columns[index]
    }

    pub fn into_columns(self) -> Vec<Arc<Vector>> {
        self.columns
    }

    /// The rows at `indices`, in that order.
    pub fn gather(&self, indices: &[u32]) -> Batch {
        let columns = self.columns.iter().map(|c| Arc::new(c.gather(indices))).collect();
        Batch { columns, len: indices.len() }
    }

    /// Rows `start..end`.
    pub fn slice(&self, start: usize, end: usize) -> Batch {
        if start == 0 && end == self.len {
            return self.clone();
        }
        let columns = self.columns.iter().map(|c| Arc::new(c.slice(start, end))).collect();
        Batch { columns, len: end - start }
    }

    pub fn row(&self, row: usize) -> Vec<Value> {
        self.columns.iter().map(|c| c.value(row)).collect()
    }

    pub fn size_bytes(&self) -> usize {
        self.columns.iter().map(|c| c.size_bytes()).sum()
    }
}

/// A result column: what the client is told about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub data_type: DataType,
    /// The table's OID and the column's number when the column is a plain table column, else 0.
    pub table_oid: u32,
    pub column_number: i16,
}

/// The columns of a result, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schema {
    pub fields: Vec<Field>,
}

impl Field {
    pub fn new(name: impl Into<String>, data_type: DataType) -> Field {
        Field { name: name.into(), data_type, table_oid: 0, column_number: 0 }
    }
}
