//! Types: `pg_type`, the built-in ones and the row types of tables.

use types::{Result, Value};

use super::builtin::type_rows;
use super::row::{NULL, row};
use super::{RowsFn, SystemContext};
use crate::catalog::Relation;
use crate::object::{RelationId, SchemaId};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[("pg_type", rows)];

/// `record_in` and its kin, by which row types are read and printed.
const RECORD_IN: u32 = 2290;
const RECORD_OUT: u32 = 2291;
const RECORD_RECEIVE: u32 = 2402;
const RECORD_SEND: u32 = 2403;

fn rows(cx: &SystemContext<'_>) -> Result<Vec<Vec<Value>>> {
    let mut rows = type_rows()?;
    for relation in cx.catalog.relations() {
        if let Some(oid) = row_type(relation) {
            rows.push(composite(
                oid,
                relation.name(),
                relation.schema(),
                super::relations::owner(relation),
                relation.id(),
            ));
        }
    }
    Ok(rows)
}

/// OID of the row type of a relation that has one.
pub(super) fn row_type(relation: &Relation) -> Option<u32> {
    let oid = match relation {
        Relation::Table(table) => table.row_type,
        Relation::Virtual(table) => table.row_type,
        _ => 0,
    };
    (oid != 0).then_some(oid)
}

fn composite(oid: u32, name: &str, schema: SchemaId, owner: u32, relation: RelationId) -> Vec<Value> {
    row![
        oid,
        name,
        schema.0,
        owner,
        -1_i16,
        false,
        'c',
        'C',
        false,
        true,
        ',',
        relation.0,
        0_u32,
        0_u32,
        0_u32,
        RECORD_IN,
        RECORD_OUT,
        RECORD_RECEIVE,
        RECORD_SEND,
        0_u32,
        0_u32,
        0_u32,
        'd',
        'x',
        false,
        0_u32,
        -1_i32,
        0_i32,
        0_u32,
        NULL,
        NULL,
        NULL,
    ]
}
