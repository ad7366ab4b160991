//! The rows PostgreSQL is born with: types, operators, casts, operator classes, collations.
//!
//! Kept as PostgreSQL 15's COPY prints them (`data/*.tsv`), read once; rows about types, functions or
//! operators that the registry has not are left out.

use std::collections::HashMap;
use std::sync::LazyLock;

use types::text::{TextContext, parse_text};
use types::{DataType, Error, Result, Value};

use super::{RowsFn, VirtualTable};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[
    ("pg_am", |_| rows(&AM)),
    ("pg_amop", |_| rows(&AMOP)),
    ("pg_amproc", |_| rows(&AMPROC)),
    ("pg_cast", |_| rows(&CAST)),
    ("pg_collation", |_| rows(&COLLATION)),
    ("pg_language", |_| rows(&LANGUAGE)),
    ("pg_opclass", |_| rows(&OPCLASS)),
    ("pg_operator", |_| rows(&OPERATOR)),
    ("pg_opfamily", |_| rows(&OPFAMILY)),
    ("pg_tablespace", |_| rows(&TABLESPACE)),
    ("pg_aggregate", |_| rows(&AGGREGATE)),
];

type Rows = Vec<Vec<Value>>;
type Stored = LazyLock<Result<Rows>>;

static AM: Stored = Stored::new(|| read("pg_am", include_str!("data/pg_am.tsv"), &[]));
static AMOP: Stored = Stored::new(|| {
    read("pg_amop", include_str!("data/pg_amop.tsv"), &[(2, has_type), (3, has_type), (6, has_operator)])
});
static AMPROC: Stored =
    Stored::new(|| read("pg_amproc", include_str!("data/pg_amproc.tsv"), &[(2, has_type), (3, has_type)]));
static CAST: Stored =
    Stored::new(|| read("pg_cast", include_str!("data/pg_cast.tsv"), &[(1, has_type), (2, has_type)]));
static COLLATION: Stored = Stored::new(|| read("pg_collation", include_str!("data/pg_collation.tsv"), &[]));
static LANGUAGE: Stored = Stored::new(|| read("pg_language", include_str!("data/pg_language.tsv"), &[]));
static OPCLASS: Stored =
    Stored::new(|| read("pg_opclass", include_str!("data/pg_opclass.tsv"), &[(6, has_type)]));
static OPERATOR: Stored =
    Stored::new(|| read("pg_operator", include_str!("data/pg_operator.tsv"), &[(0, has_operator)]));
static OPFAMILY: Stored = Stored::new(|| read("pg_opfamily", include_str!("data/pg_opfamily.tsv"), &[]));
static TABLESPACE: Stored =
    Stored::new(|| read("pg_tablespace", include_str!("data/pg_tablespace.tsv"), &[]));
static TYPE: Stored = Stored::new(|| read("pg_type", include_str!("data/pg_type.tsv"), &[(0, has_type)]));
static AGGREGATE: Stored =
    Stored::new(|| read("pg_aggregate", include_str!("data/pg_aggregate.tsv"), &[(0, has_function)]));

fn has_type(oid: u32) -> bool {
    oid == 0 || DataType::from_oid(oid).is_some()
}

fn has_operator(oid: u32) -> bool {
    expr::registry::registry().operator_by_oid(oid).is_some()
}

fn has_function(oid: u32) -> bool {
    expr::registry::registry()
        .function_by_oid(oid)
        .is_some_and(|function| function.check_implemented().is_ok())
}

/// The rows of `view` in COPY's text form whose columns pass the tests.
fn read(view: &str, text: &str, tests: &[(usize, fn(u32) -> bool)]) -> Result<Rows> {
    let table = super::virtual_tables()
        .iter()
        .find(|table| table.name == view)
        .ok_or_else(|| Error::internal(format!("no system view {view}")))?;
    let mut rows = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let row = read_row(table, line)?;
        let oid_at = |column: usize| match row.get(column) {
            Some(Value::UInt32(oid)) => *oid,
            _ => 0,
        };
        if tests.iter().all(|(column, test)| test(oid_at(*column))) {
            rows.push(row);
        }
    }
    Ok(rows)
}

fn read_row(table: &VirtualTable, line: &str) -> Result<Vec<Value>> {
    let cx = TextContext::default();
    let mut fields = line.split('\t');
    table
        .columns
        .iter()
        .map(|(name, data_type)| {
            let field = fields.next().ok_or_else(|| Error::internal(format!("no {name} in: {line}")))?;
            if field == "\\N" {
                return Ok(Value::Null);
            }
            let plain = if field.contains('\\') { field.replace("\\\\", "\\") } else { field.to_string() };
            match data_type.physical {
                types::Physical::UInt32 => plain
                    .parse()
                    .map(Value::UInt32)
                    .map_err(|_| Error::internal(format!("{name} is no OID in: {line}"))),
                _ => parse_text(*data_type, &plain, &cx),
            }
        })
        .collect()
}

fn rows(stored: &Stored) -> Result<Rows> {
    (**stored).clone()
}

/// `pg_type` of the built-in types.
pub(super) fn type_rows() -> Result<Rows> {
    rows(&TYPE)
}

/// How values of a type lie in PostgreSQL's rows: what `pg_attribute` repeats of `pg_type`.
#[derive(Clone)]
pub(super) struct Storage {
    pub length: i16,
    pub by_value: bool,
    pub align: Value,
    pub storage: Value,
    pub collation: u32,
}

/// The storage of a built-in type; of anything else as of a composite value.
pub(super) fn storage(oid: u32) -> Storage {
    static STORAGE: LazyLock<HashMap<u32, Storage>> = LazyLock::new(|| {
        let rows = TYPE.as_deref().unwrap_or_default();
        rows.iter()
            .filter_map(|row| {
                let (Some(Value::UInt32(oid)), Some(Value::Int16(length)), Some(Value::Bool(by_value))) =
                    (row.first(), row.get(4), row.get(5))
                else {
                    return None;
                };
                let collation = match row.get(28) {
                    Some(Value::UInt32(oid)) => *oid,
                    _ => 0,
                };
                let letter = |at: usize| row.get(at).cloned().unwrap_or_default();
                let storage = Storage {
                    length: *length,
                    by_value: *by_value,
                    align: letter(22),
                    storage: letter(23),
                    collation,
                };
                Some((*oid, storage))
            })
            .collect()
    });
    STORAGE.get(&oid).cloned().unwrap_or(Storage {
        length: -1,
        by_value: false,
        align: Value::text("d"),
        storage: Value::text("x"),
        collation: 0,
    })
}

/// The btree operator class an index column of this type has when none is named; 0 when there is none.
pub(super) fn operator_class(data_type: DataType) -> u32 {
    // varchar goes by text's, other aliases of oid by oid's, arrays and enums by the polymorphic ones.
    let stand_in = match data_type.oid {
        1043 => 25,
        24 | 2202..=2206 | 4089 | 4096 => 26,
        oid => oid,
    };
    let rows = OPCLASS.as_deref().unwrap_or_default();
    let class_of = |oid: u32| {
        rows.iter()
            .find(|row| row.get(6) == Some(&Value::UInt32(oid)) && row.get(7) == Some(&Value::Bool(true)))
            .and_then(|row| row.first())
            .and_then(Value::as_i64)
            .and_then(|oid| u32::try_from(oid).ok())
    };
    class_of(stand_in)
        .or_else(|| data_type.element().and_then(|_| class_of(DataType::ANYARRAY.oid)))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemContext;

    #[test]
    fn every_stored_list_reads() {
        for (name, rows) in VIEWS {
            let catalog = crate::Catalog::empty(crate::DatabaseId(5));
            let cx = SystemContext { catalog: &catalog, runtime: &super::super::tests::Quiet };
            assert!(!rows(&cx).unwrap().is_empty(), "{name}");
        }
        assert!(type_rows().unwrap().len() > 60);
    }

    #[test]
    fn storage_and_classes_are_postgres_ones() {
        let text = storage(25);
        assert_eq!((text.length, text.by_value, text.collation), (-1, false, 100));
        assert_eq!(operator_class(DataType::INT4), 1978);
        assert_eq!(operator_class(DataType::VARCHAR), operator_class(DataType::TEXT));
        assert_ne!(operator_class(DataType::INT4_ARRAY), 0);
    }
}
