//! The system views: `pg_catalog` and `information_schema`, computed from the catalog when read.
//!
//! A family per file. Columns and OIDs are PostgreSQL 15's, so that psql and drivers read them.

use std::sync::{Arc, OnceLock};

use types::{DataType, Result, Value};

pub mod functions;

use crate::catalog::Catalog;
use crate::object::{RelationId, SchemaId};
use crate::runtime::Runtime;

/// A table whose rows are made when it is scanned.
pub struct VirtualTable {
    pub id: RelationId,
    pub schema: SchemaId,
    pub name: &'static str,
    pub columns: Vec<(&'static str, DataType)>,
    /// All rows, each with one value per column.
    pub rows: fn(&SystemContext<'_>) -> Result<Vec<Vec<Value>>>,
}

/// What the rows are made from.
pub struct SystemContext<'a> {
    pub catalog: &'a Catalog,
    pub runtime: &'a dyn Runtime,
}

impl std::fmt::Debug for VirtualTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VirtualTable({})", self.name)
    }
}

/// Every system view there is.
pub fn virtual_tables() -> &'static [Arc<VirtualTable>] {
    static TABLES: OnceLock<Vec<Arc<VirtualTable>>> = OnceLock::new();
    TABLES.get_or_init(Vec::new)
}
