//! How a table's rows and index entries lie in trees.
//!
//! ```text
//! table tree   key     primary-key columns (never NULL), or an 8-byte row id, big-endian
//!              record  the row (`types::row`), all columns
//! index tree   key     key columns (nullable), then the table key unless the entry is unique
//!              record  the table key; with INCLUDE columns: u16 its length, the table key, a row of them
//! ```
//!
//! An entry of a unique index is unique unless it holds a NULL (and NULLS NOT DISTINCT was not said).

use std::sync::Arc;

use catalog::{IndexDef, TableDef};
use storage::TreeId;
use types::key::{KeyColumn, KeyLayout};
use types::row::RowLayout;
use types::{DataType, Error, Result, Value};

/// A table version's layout. Made once (`Tables::layout`), shared.
#[derive(Debug)]
pub struct TableLayout {
    pub table: Arc<TableDef>,
    pub tree: TreeId,
    pub row: Arc<RowLayout>,
    /// The clustering key; `None`: hidden row ids.
    pub key: Option<ClusterKey>,
    /// Those with a tree of their own.
    pub indexes: Vec<Arc<IndexLayout>>,
}

#[derive(Debug)]
pub struct ClusterKey {
    pub columns: Vec<usize>,
    pub layout: KeyLayout,
}

#[derive(Debug)]
pub struct IndexLayout {
    pub index: Arc<IndexDef>,
    pub tree: TreeId,
    pub key: KeyLayout,
    /// The INCLUDE columns.
    pub include: Option<Arc<RowLayout>>,
}

impl TableLayout {
    pub fn new(table: &Arc<TableDef>) -> TableLayout {
        let types: Vec<DataType> = table.columns.iter().map(|column| column.data_type).collect();
        let missing = if table.columns.iter().any(|column| !column.missing.is_null()) {
            table.columns.iter().map(|column| column.missing.clone()).collect()
        } else {
            Vec::new()
        };
        let clustered = table.indexes.iter().find(|index| index.is_clustered);
        let key = table.clustered_by.as_ref().map(|columns| {
            let layout = columns.iter().enumerate().map(|(position, &column)| {
                let declared = clustered.and_then(|index| index.columns.get(position));
                KeyColumn {
                    descending: declared.is_some_and(|c| c.descending),
                    nulls_first: declared.is_some_and(|c| c.nulls_first),
                    ..KeyColumn::not_null(types[column])
                }
            });
            ClusterKey { columns: columns.clone(), layout: KeyLayout::new(layout.collect()) }
        });
        let indexes = table.indexes.iter().filter(|index| !index.is_clustered);
        TableLayout {
            tree: TreeId(table.tree.0),
            row: Arc::new(RowLayout::with_missing(&types, missing)),
            key,
            indexes: indexes.map(|index| Arc::new(IndexLayout::new(index, &types))).collect(),
            table: table.clone(),
        }
    }

    /// The layout of an index of this table; `None` for the clustering index.
    pub fn index(&self, index: &IndexDef) -> Option<&Arc<IndexLayout>> {
        self.indexes.iter().find(|layout| layout.index.id == index.id)
    }
}

impl IndexLayout {
    /// `types` are those of the table's columns.
    pub fn new(index: &Arc<IndexDef>, types: &[DataType]) -> IndexLayout {
        let columns = index.columns.iter().map(|column| KeyColumn {
            data_type: column.data_type,
            descending: column.descending,
            nulls_first: column.nulls_first,
            nullable: true,
        });
        let include = (!index.include.is_empty()).then(|| {
            let types: Vec<DataType> = index.include.iter().map(|&column| types[column]).collect();
            Arc::new(RowLayout::new(&types))
        });
        IndexLayout {
            tree: TreeId(index.tree.0),
            key: KeyLayout::new(columns.collect()),
            include,
            index: index.clone(),
        }
    }

    /// Whether an entry with (or without) a NULL among its key columns excludes all equal ones.
    pub fn is_unique(&self, has_null: bool) -> bool {
        self.index.unique && (!has_null || self.index.nulls_not_distinct)
    }

    /// The table key in an entry's record. XX001 when it is malformed.
    pub fn row_key<'r>(&self, record: &'r [u8]) -> Result<&'r [u8]> {
        Ok(self.split_record(record)?.0)
    }

    /// The table key and the INCLUDE row.
    pub fn split_record<'r>(&self, record: &'r [u8]) -> Result<(&'r [u8], &'r [u8])> {
        if self.include.is_none() {
            return Ok((record, &[]));
        }
        let malformed = || Error::corrupted(format!("malformed entry in index \"{}\"", self.index.name));
        let (length, rest) = record.split_first_chunk::<2>().ok_or_else(malformed)?;
        rest.split_at_checked(usize::from(u16::from_le_bytes(*length))).ok_or_else(malformed)
    }

    /// Appends an entry's record.
    pub fn encode_record(&self, row_key: &[u8], include: &[Value], out: &mut Vec<u8>) -> Result<()> {
        let Some(layout) = &self.include else {
            out.extend_from_slice(row_key);
            return Ok(());
        };
        let length = u16::try_from(row_key.len()).map_err(|_| Error::internal("table key too long"))?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(row_key);
        layout.encode(include, out)
    }
}
