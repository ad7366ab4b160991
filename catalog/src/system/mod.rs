//! The system views: `pg_catalog` and `information_schema`, computed from the catalog when read.
//!
//! A family per file. Columns and OIDs are PostgreSQL 15's (`data/relations.tsv`), so that psql and
//! drivers read them; each view's rows come from the function its family lists under its name.

use std::sync::{Arc, OnceLock};

use types::{DataType, Result, Value};

pub mod functions;

mod activity;
mod builtin;
mod constraints;
mod defaults;
mod definition;
mod empty;
mod information_schema;
mod names;
mod pretty;
mod privileges;
mod procedures;
mod relations;
mod roles;
mod row;
mod statistics;
mod types_view;

use crate::catalog::{Catalog, INFORMATION_SCHEMA, PG_CATALOG};
use crate::object::{RelationId, SchemaId};
use crate::runtime::Runtime;

/// A table whose rows are made when it is scanned.
pub struct VirtualTable {
    pub id: RelationId,
    pub schema: SchemaId,
    pub name: &'static str,
    /// PostgreSQL keeps it as a table (`relkind` r), not as a view.
    pub is_table: bool,
    /// OID of its row type.
    pub row_type: u32,
    pub columns: Vec<(&'static str, DataType)>,
    /// By column: declared NOT NULL.
    pub not_null: Vec<bool>,
    /// All rows, each with one value per column.
    pub rows: RowsFn,
}

/// Makes the rows of a view.
pub type RowsFn = fn(&SystemContext<'_>) -> Result<Vec<Vec<Value>>>;

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
    TABLES.get_or_init(|| declarations().filter_map(read_declaration).map(Arc::new).collect())
}

/// The rows of all sequences (`SELECT … FROM sequence` reads one of them): which, then the columns it has.
pub fn sequence_rows() -> &'static Arc<VirtualTable> {
    static TABLE: OnceLock<Arc<VirtualTable>> = OnceLock::new();
    TABLE.get_or_init(|| {
        Arc::new(VirtualTable {
            id: RelationId(0),
            schema: PG_CATALOG,
            name: "sequence",
            is_table: true,
            row_type: 0,
            columns: vec![
                ("seqrelid", DataType::OID),
                ("last_value", DataType::INT8),
                ("log_cnt", DataType::INT8),
                ("is_called", DataType::BOOL),
            ],
            not_null: vec![true; 4],
            rows: relations::sequence_states,
        })
    })
}

fn declarations() -> impl Iterator<Item = &'static str> {
    include_str!("data/relations.tsv").lines().filter(|line| !line.starts_with('#'))
}

/// `oid schema name relkind row-type column:type[!],…`; None when nothing makes its rows.
fn read_declaration(line: &'static str) -> Option<VirtualTable> {
    let mut fields = line.split('\t');
    let id = RelationId(fields.next()?.parse().ok()?);
    let schema = match fields.next()? {
        "pg_catalog" => PG_CATALOG,
        _ => INFORMATION_SCHEMA,
    };
    let name = fields.next()?;
    let is_table = fields.next()? == "r";
    let row_type = fields.next()?.parse().ok()?;
    let mut columns = Vec::new();
    let mut not_null = Vec::new();
    for column in fields.next()?.split(',') {
        let (column, type_name) = column.split_once(':')?;
        not_null.push(type_name.ends_with('!'));
        columns.push((column, DataType::from_name(type_name.trim_end_matches('!'))?));
    }
    let families = if schema == PG_CATALOG { &FAMILIES[..] } else { &INFORMATION[..] };
    let rows = families
        .iter()
        .flat_map(|family| family.iter())
        .find(|(view, _)| *view == name)
        .map(|(_, rows)| *rows)
        .or_else(|| empty::rows(name))?;
    Some(VirtualTable { id, schema, name, is_table, row_type, columns, not_null, rows })
}

/// A family of views: their names and what makes their rows.
type Family = &'static [(&'static str, RowsFn)];

static INFORMATION: [Family; 1] = [information_schema::VIEWS];

static FAMILIES: [Family; 8] = [
    relations::VIEWS,
    constraints::VIEWS,
    types_view::VIEWS,
    procedures::VIEWS,
    roles::VIEWS,
    statistics::VIEWS,
    activity::VIEWS,
    builtin::VIEWS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{RoleId, TreeNumber};
    use crate::runtime::{SessionRow, SettingRow};

    /// A server where nothing happens.
    pub(super) struct Quiet;

    impl Runtime for Quiet {
        fn settings(&self) -> Vec<SettingRow> {
            Vec::new()
        }
        fn sessions(&self) -> Vec<SessionRow> {
            Vec::new()
        }
        fn session_rows(&self, _view: &str) -> Vec<Vec<Value>> {
            Vec::new()
        }
        fn row_count(&self, _table: RelationId) -> Option<u64> {
            None
        }
        fn tree_bytes(&self, _tree: TreeNumber) -> u64 {
            16 << 10
        }
        fn current_role(&self) -> RoleId {
            crate::bootstrap::BOOTSTRAP_ROLE
        }
        fn search_path(&self) -> Vec<SchemaId> {
            vec![PG_CATALOG, crate::catalog::PUBLIC]
        }
    }

    #[test]
    fn every_declared_view_has_rows_of_its_own() {
        let declared = declarations().count();
        assert_eq!(virtual_tables().len(), declared);
    }
}
