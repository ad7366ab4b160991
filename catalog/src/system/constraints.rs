//! Constraints and what hangs on what: `pg_constraint`, `pg_depend`.

use types::{DataType, Result, Value};

use super::definition;
use super::relations::{ATTRDEF, CLASS, CONSTRAINT, NAMESPACE, attrdef_oid};
use super::row::{NULL, array, row};
use super::{RowsFn, SystemContext};
use crate::catalog::Relation;
use crate::object::{ConstraintDef, ConstraintKind, ForeignKeyAction, Identity, TableDef};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[("pg_constraint", constraint), ("pg_depend", depend)];

type Rows = Result<Vec<Vec<Value>>>;

/// `pg_constraint.contype`.
pub(super) fn kind_letter(kind: &ConstraintKind) -> char {
    match kind {
        ConstraintKind::PrimaryKey { .. } => 'p',
        ConstraintKind::Unique { .. } => 'u',
        ConstraintKind::Check { .. } => 'c',
        ConstraintKind::ForeignKey(_) => 'f',
    }
}

fn action_letter(action: ForeignKeyAction) -> char {
    match action {
        ForeignKeyAction::NoAction => 'a',
        ForeignKeyAction::Restrict => 'r',
        ForeignKeyAction::Cascade => 'c',
        ForeignKeyAction::SetNull => 'n',
        ForeignKeyAction::SetDefault => 'd',
    }
}

/// The columns a constraint is on, as indexes into the table's columns.
pub(super) fn columns(table: &TableDef, kind: &ConstraintKind) -> Vec<usize> {
    match kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => table
            .indexes
            .iter()
            .find(|def| def.id == *index)
            .map(|def| def.columns.iter().filter_map(|key| key.column).collect())
            .unwrap_or_default(),
        ConstraintKind::Check { columns, .. } => columns.clone(),
        ConstraintKind::ForeignKey(key) => key.columns.clone(),
    }
}

pub(super) fn all<'a>(cx: &SystemContext<'a>) -> impl Iterator<Item = (&'a TableDef, &'a ConstraintDef)> {
    cx.catalog
        .tables()
        .flat_map(|table| table.constraints.iter().map(move |constraint| (table.as_ref(), constraint)))
}

/// `conkey`: column numbers; NULL when there are none.
fn numbers(table: &TableDef, columns: &[usize]) -> Option<Value> {
    let numbers: Vec<i16> =
        columns.iter().filter_map(|at| table.columns.get(*at)).map(|column| column.number).collect();
    (!numbers.is_empty()).then(|| array(DataType::INT2, numbers))
}

fn constraint(cx: &SystemContext<'_>) -> Rows {
    Ok(all(cx).map(|(table, constraint)| constraint_row(cx, table, constraint)).collect())
}

fn constraint_row(cx: &SystemContext<'_>, table: &TableDef, constraint: &ConstraintDef) -> Vec<Value> {
    let key = match &constraint.kind {
        ConstraintKind::ForeignKey(key) => Some(key),
        _ => None,
    };
    let index = match &constraint.kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => index.0,
        ConstraintKind::ForeignKey(key) => key.referenced_index.0,
        ConstraintKind::Check { .. } => 0,
    };
    let referenced = key.and_then(|key| cx.catalog.table(key.referenced_table));
    let equality = |table: &TableDef, columns: &[usize]| {
        let registry = expr::registry::registry();
        let operators = columns
            .iter()
            .filter_map(|at| table.columns.get(*at))
            .map(|column| registry.equality(column.data_type).map_or(0, |operator| operator.oid));
        array(DataType::OID, operators)
    };
    let referenced_equality =
        || key.zip(referenced).map(|(key, table)| equality(table, &key.referenced_columns));
    row![
        constraint.id.0,
        &constraint.name,
        table.schema.0,
        kind_letter(&constraint.kind),
        constraint.deferrable,
        constraint.initially_deferred,
        constraint.validated,
        table.id.0,
        0_u32,
        index,
        0_u32,
        key.map_or(0, |key| key.referenced_table.0),
        key.map_or(' ', |key| action_letter(key.on_update)),
        key.map_or(' ', |key| action_letter(key.on_delete)),
        key.map_or(' ', |key| if key.match_full { 'f' } else { 's' }),
        true,
        0_i32,
        !matches!(constraint.kind, ConstraintKind::Check { .. }),
        numbers(table, &columns(table, &constraint.kind)),
        key.zip(referenced).and_then(|(key, table)| numbers(table, &key.referenced_columns)),
        referenced_equality(),
        referenced_equality(),
        key.map(|key| equality(table, &key.columns)),
        NULL,
        NULL,
        match &constraint.kind {
            ConstraintKind::Check { expression, .. } => Some(expression.as_str()),
            _ => None,
        },
    ]
}

/// Who goes when what is dropped. Columns are named by number; pinned objects are not listed.
fn depend(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    let mut push = |object: (u32, u32, i32), referenced: (u32, u32, i32), kind: char| {
        rows.push(row![object.0, object.1, object.2, referenced.0, referenced.1, referenced.2, kind]);
    };
    for relation in cx.catalog.relations() {
        let id = (CLASS, relation.id().0, 0);
        match relation {
            Relation::Virtual(_) => continue,
            Relation::Index { .. } => {}
            _ => push(id, (NAMESPACE, relation.schema().0, 0), 'n'),
        }
        match relation {
            Relation::Table(table) => {
                table_dependencies(table, &mut push);
                for (_, column) in table.live_columns() {
                    if let Some(sequence) = super::defaults::sequence(cx, table, column) {
                        let default = (ATTRDEF, attrdef_oid(table.id, column.number), 0);
                        push(default, (CLASS, sequence.id.0, 0), 'n');
                    }
                }
            }
            Relation::Index { table, index } => {
                let constraint = table.constraints.iter().find(|constraint| {
                    matches!(&constraint.kind, ConstraintKind::PrimaryKey { index: of } | ConstraintKind::Unique { index: of } if *of == index.id)
                });
                match constraint {
                    Some(constraint) => push(id, (CONSTRAINT, constraint.id.0, 0), 'i'),
                    None => {
                        let columns = index.columns.iter().filter_map(|key| key.column);
                        for at in columns.chain(index.include.iter().copied()) {
                            push(id, column_address(table, at), 'a');
                        }
                        if index.predicate.is_some() || index.columns.iter().all(|key| key.column.is_none()) {
                            push(id, (CLASS, table.id.0, 0), 'a');
                        }
                    }
                }
            }
            Relation::Sequence(sequence) => {
                if let Some((table, number)) = sequence.owned_by {
                    let identity = cx.catalog.table(table).is_some_and(|table| {
                        table
                            .columns
                            .iter()
                            .any(|column| column.number == number && column.identity != Identity::None)
                    });
                    push(id, (CLASS, table.0, i32::from(number)), if identity { 'i' } else { 'a' });
                }
            }
            Relation::View(view) => {
                for other in &view.depends_on {
                    push(id, (CLASS, other.0, 0), 'n');
                }
            }
            Relation::Virtual(_) => {}
        }
    }
    Ok(rows)
}

fn column_address(table: &TableDef, at: usize) -> (u32, u32, i32) {
    (CLASS, table.id.0, i32::from(super::relations::column_number(table, Some(at))))
}

fn table_dependencies(table: &TableDef, push: &mut impl FnMut((u32, u32, i32), (u32, u32, i32), char)) {
    for (at, column) in table.live_columns() {
        if column.default.is_some() {
            push((ATTRDEF, attrdef_oid(table.id, column.number), 0), column_address(table, at), 'a');
        }
    }
    for constraint in &table.constraints {
        let id = (CONSTRAINT, constraint.id.0, 0);
        for at in columns(table, &constraint.kind) {
            push(id, column_address(table, at), 'a');
        }
        if let ConstraintKind::ForeignKey(key) = &constraint.kind {
            push(id, (CLASS, key.referenced_table.0, 0), 'n');
            push(id, (CLASS, key.referenced_index.0, 0), 'n');
        }
    }
}

/// The constraint with this OID.
pub(super) fn find<'a>(cx: &SystemContext<'a>, oid: u32) -> Option<(&'a TableDef, &'a ConstraintDef)> {
    all(cx).find(|(_, constraint)| constraint.id.0 == oid)
}

/// As `pg_get_constraintdef` prints it; None when there is no such constraint.
pub(super) fn text(cx: &SystemContext<'_>, oid: u32, pretty: bool) -> Option<String> {
    find(cx, oid).map(|(table, constraint)| definition::constraint(cx, table, constraint, pretty))
}
