//! Column defaults as they are shown: a sequence that one reads is named as the session's search path wants it.
//!
//! Used by `pg_attrdef`, `information_schema` and `pg_depend`. A default is stored as text; `pg_dump` sets an empty search
//! path and expects every name in full, and a serial column reads its sequence whatever that is called by now.

use super::SystemContext;
use super::names::split_name;
use crate::catalog::Relation;
use crate::object::{ColumnDef, Identity, SequenceDef, TableDef};

const BEFORE: &str = "nextval('";
const AFTER: &str = "'::regclass)";

/// The text between, when a default is nothing but the next value of a sequence.
fn sequence_name(text: &str) -> Option<&str> {
    text.strip_prefix(BEFORE)?.strip_suffix(AFTER)
}

/// The sequence that the column's default reads, if that is all it does.
pub(super) fn sequence<'a>(
    cx: &SystemContext<'a>,
    table: &TableDef,
    column: &ColumnDef,
) -> Option<&'a SequenceDef> {
    if column.generated || column.identity != Identity::None {
        return None;
    }
    let name = sequence_name(column.default.as_deref()?)?;
    let owned = cx.catalog.relations().find_map(|relation| match relation {
        Relation::Sequence(sequence) if sequence.owned_by == Some((table.id, column.number)) => {
            Some(sequence.as_ref())
        }
        _ => None,
    });
    if owned.is_some() {
        return owned;
    }
    // The search path of whoever wrote it is not known: next to the table is most likely.
    let name = name.replace("''", "'");
    let parts = split_name(&name).ok()?;
    let found = match parts.as_slice() {
        [schema, name] => cx.catalog.relation_in(cx.catalog.schema_by_name(schema)?.id, name),
        [only] => cx
            .catalog
            .relation_in(table.schema, only)
            .or_else(|| cx.catalog.relation_in(cx.catalog.schema_by_name("public")?.id, only))
            .or_else(|| cx.relation_named(&name).ok()),
        _ => None,
    };
    match found? {
        Relation::Sequence(sequence) => Some(sequence),
        _ => None,
    }
}

/// The default's text.
pub(super) fn text(cx: &SystemContext<'_>, table: &TableDef, column: &ColumnDef) -> Option<String> {
    let text = column.default.as_ref()?;
    Some(match sequence(cx, table, column) {
        Some(sequence) => format!("{BEFORE}{}{AFTER}", cx.relation_name(sequence.id).replace('\'', "''")),
        None => text.clone(),
    })
}
