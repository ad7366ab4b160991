//! What relations are: `pg_class`, `pg_attribute`, `pg_index`, `pg_attrdef`, `pg_sequence`, `pg_namespace`,
//! `pg_description`, and the views PostgreSQL makes of them.

use std::sync::Arc;

use types::datatype::builtin;
use types::{DataType, Result, Value};

use super::builtin::{operator_class, storage};
use super::definition;
use super::privileges::{column_acl, schema_acl, stored_acl};
use super::row::{NULL, count_i16, int2_vector, oid_vector, row};
use super::{RowsFn, SystemContext, VirtualTable};
use crate::acl::AclTarget;
use crate::catalog::Relation;
use crate::object::{
    ConstraintKind, Identity, IndexDef, Persistence, RelationId, SequenceDef, TableDef, TreeNumber, ViewDef,
};

pub(super) const VIEWS: &[(&str, RowsFn)] = &[
    ("pg_init_privs", super::privileges::init_privs),
    ("pg_class", class),
    ("pg_attribute", attribute),
    ("pg_attrdef", attrdef),
    ("pg_index", index),
    ("pg_sequence", sequence),
    ("pg_namespace", namespace),
    ("pg_description", description),
    ("pg_tables", tables),
    ("pg_views", views),
    ("pg_indexes", indexes),
    ("pg_sequences", sequences),
];

type Rows = Result<Vec<Vec<Value>>>;

/// OIDs of the catalogs that comments and dependencies name.
pub(super) const CLASS: u32 = 1259;
pub(super) const NAMESPACE: u32 = 2615;
pub(super) const CONSTRAINT: u32 = 2606;
pub(super) const ATTRDEF: u32 = 2604;

const HEAP: u32 = 2;
const BTREE: u32 = 403;
const BOOTSTRAP: u32 = 10;

/// Size of one page of the store, in which `relpages` counts.
const PAGE_BYTES: u64 = 16 << 10;

/// A default's OID: made of its table's and its column's number, for nothing else stores one.
pub(super) fn attrdef_oid(table: RelationId, number: i16) -> u32 {
    table.0.wrapping_mul(1664).wrapping_add(u32::from(number.unsigned_abs()))
}

/// `pg_class.relkind`.
pub(super) fn kind_letter(relation: &Relation) -> char {
    match relation {
        Relation::Table(_) => 'r',
        Relation::Index { .. } => 'i',
        Relation::View(_) => 'v',
        Relation::Sequence(_) => 'S',
        Relation::Virtual(table) if table.is_table => 'r',
        Relation::Virtual(_) => 'v',
    }
}

pub(super) fn owner(relation: &Relation) -> u32 {
    match relation {
        Relation::Table(table) | Relation::Index { table, .. } => table.owner.0,
        Relation::View(view) => view.owner.0,
        Relation::Sequence(sequence) => sequence.owner.0,
        Relation::Virtual(_) => BOOTSTRAP,
    }
}

/// Rows in a table: as ANALYZE found, else as the store counts; −1 when neither knows.
fn row_count(cx: &SystemContext<'_>, table: &TableDef) -> f32 {
    match cx.catalog.stats(table.id) {
        Some(stats) => stats.rows as f32,
        None => cx.runtime.row_count(table.id).map_or(-1.0, |rows| rows as f32),
    }
}

fn page_count(cx: &SystemContext<'_>, tree: TreeNumber) -> i32 {
    i32::try_from(cx.runtime.tree_bytes(tree) / PAGE_BYTES).unwrap_or(i32::MAX)
}

// ---- pg_class ----

/// What differs between kinds of relation in `pg_class`.
#[derive(Default)]
struct Class {
    row_type: u32,
    method: u32,
    file: u32,
    pages: i32,
    rows: f32,
    has_index: bool,
    temporary: bool,
    columns: usize,
    checks: usize,
    has_rules: bool,
    has_triggers: bool,
    replica_identity: bool,
}

fn class(cx: &SystemContext<'_>) -> Rows {
    Ok(cx.catalog.relations().map(|relation| class_row(cx, relation, &describe(cx, relation))).collect())
}

fn describe(cx: &SystemContext<'_>, relation: &Relation) -> Class {
    match relation {
        Relation::Table(table) => Class {
            row_type: table.row_type,
            method: HEAP,
            file: table.id.0,
            pages: page_count(cx, table.tree),
            rows: row_count(cx, table),
            has_index: !table.indexes.is_empty(),
            temporary: table.persistence == Persistence::Temporary,
            columns: table.columns.len(),
            checks: table
                .constraints
                .iter()
                .filter(|constraint| matches!(constraint.kind, ConstraintKind::Check { .. }))
                .count(),
            has_triggers: has_triggers(cx, table),
            replica_identity: true,
            ..Class::default()
        },
        Relation::Index { table, index } => Class {
            method: BTREE,
            file: index.id.0,
            // A clustered key is the table's own tree.
            pages: page_count(cx, index.tree),
            rows: row_count(cx, table),
            temporary: table.persistence == Persistence::Temporary,
            columns: index.columns.len() + index.include.len(),
            ..Class::default()
        },
        Relation::View(view) => Class { columns: view.columns.len(), has_rules: true, ..Class::default() },
        Relation::Sequence(sequence) => {
            Class { file: sequence.id.0, pages: 1, rows: 1.0, columns: 3, ..Class::default() }
        }
        Relation::Virtual(table) => Class {
            row_type: table.row_type,
            method: if table.is_table { HEAP } else { 0 },
            rows: if table.is_table { -1.0 } else { 0.0 },
            columns: table.columns.len(),
            has_rules: !table.is_table,
            ..Class::default()
        },
    }
}

/// Foreign keys are triggers to PostgreSQL, on both sides; psql looks for them only where this is true.
pub(super) fn has_triggers(cx: &SystemContext<'_>, table: &TableDef) -> bool {
    table.constraints.iter().any(|constraint| matches!(constraint.kind, ConstraintKind::ForeignKey(_)))
        || cx.catalog.referencing_tables(table.id).next().is_some()
}

fn class_row(cx: &SystemContext<'_>, relation: &Relation, class: &Class) -> Vec<Value> {
    const SHARED: [u32; 9] = [1213, 1214, 1260, 1261, 1262, 2396, 2964, 3592, 6000];
    let kind = kind_letter(relation);
    row![
        relation.id().0,
        relation.name(),
        relation.schema().0,
        class.row_type,
        0_u32,
        owner(relation),
        class.method,
        class.file,
        0_u32,
        class.pages,
        class.rows,
        0_i32,
        0_u32,
        class.has_index,
        SHARED.contains(&relation.id().0),
        if class.temporary { 't' } else { 'p' },
        kind,
        count_i16(class.columns),
        count_i16(class.checks),
        class.has_rules,
        class.has_triggers,
        false,
        false,
        false,
        true,
        if class.replica_identity { 'd' } else { 'n' },
        false,
        0_u32,
        0_u32,
        0_u32,
        stored_acl(cx, AclTarget::Relation(relation.id())),
        NULL,
        NULL,
    ]
}

// ---- pg_attribute ----

/// One row of `pg_attribute`, less what follows from the type.
struct Attribute<'a> {
    relation: u32,
    name: &'a str,
    data_type: DataType,
    number: i16,
    not_null: bool,
    has_default: bool,
    identity: Identity,
    generated: bool,
    dropped: bool,
    missing: Option<Value>,
    acl: Value,
}

impl<'a> Attribute<'a> {
    fn new(relation: RelationId, at: usize, name: &'a str, data_type: DataType) -> Attribute<'a> {
        Attribute {
            relation: relation.0,
            name,
            data_type,
            number: count_i16(at + 1),
            not_null: false,
            has_default: false,
            identity: Identity::None,
            generated: false,
            dropped: false,
            missing: None,
            acl: Value::Null,
        }
    }

    fn row(self) -> Vec<Value> {
        let data_type = self.data_type;
        let storage = storage(data_type.oid);
        let is_array = builtin(data_type.oid).is_some_and(|t| t.name.starts_with('_'));
        let missing = self.missing.map(|value| super::row::array(data_type, [value]));
        row![
            self.relation,
            self.name,
            if self.dropped { 0 } else { data_type.oid },
            if self.dropped { 0 } else { -1 },
            storage.length,
            self.number,
            i32::from(is_array),
            -1_i32,
            data_type.modifier,
            storage.by_value,
            storage.align,
            storage.storage,
            "",
            self.not_null && !self.dropped,
            self.has_default && !self.dropped,
            missing.is_some(),
            match self.identity {
                Identity::None => "",
                Identity::Always => "a",
                Identity::ByDefault => "d",
            },
            if self.generated { "s" } else { "" },
            self.dropped,
            true,
            0_i32,
            storage.collation,
            self.acl,
            NULL,
            NULL,
            missing,
        ]
    }
}

fn attribute(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for relation in cx.catalog.relations() {
        match relation {
            Relation::Table(table) => table_attributes(cx, table, &mut rows),
            Relation::Index { table, index } => {
                let names = definition::index_column_names(table, index);
                let types = index.columns.iter().map(|column| column.data_type);
                let included = index.include.iter().filter_map(|at| table.columns.get(*at));
                let types = types.chain(included.map(|column| column.data_type));
                for (at, (name, data_type)) in names.iter().zip(types).enumerate() {
                    rows.push(Attribute::new(index.id, at, name, data_type).row());
                }
            }
            Relation::View(view) => {
                for (at, column) in view.columns.iter().enumerate() {
                    let mut attribute = Attribute::new(view.id, at, &column.name, column.data_type);
                    attribute.acl = column_acl(cx, view.id, attribute.number);
                    rows.push(attribute.row());
                }
            }
            Relation::Sequence(sequence) => {
                let columns = [
                    ("last_value", DataType::INT8),
                    ("log_cnt", DataType::INT8),
                    ("is_called", DataType::BOOL),
                ];
                for (at, (name, data_type)) in columns.into_iter().enumerate() {
                    let attribute = Attribute::new(sequence.id, at, name, data_type);
                    rows.push(Attribute { not_null: true, ..attribute }.row());
                }
            }
            Relation::Virtual(table) => virtual_attributes(table, &mut rows),
        }
    }
    Ok(rows)
}

fn table_attributes(cx: &SystemContext<'_>, table: &TableDef, rows: &mut Vec<Vec<Value>>) {
    for column in &table.columns {
        let dropped_name = format!("........pg.dropped.{}........", column.number);
        let attribute = Attribute {
            relation: table.id.0,
            name: if column.dropped { &dropped_name } else { &column.name },
            data_type: column.data_type,
            number: column.number,
            not_null: column.not_null,
            has_default: column.default.is_some(),
            identity: column.identity,
            generated: column.generated,
            dropped: column.dropped,
            missing: Some(column.missing.clone()).filter(|value| !value.is_null() && !column.dropped),
            acl: column_acl(cx, table.id, column.number),
        };
        rows.push(attribute.row());
    }
}

fn virtual_attributes(table: &VirtualTable, rows: &mut Vec<Vec<Value>>) {
    for (at, ((name, data_type), not_null)) in table.columns.iter().zip(&table.not_null).enumerate() {
        let attribute = Attribute::new(table.id, at, name, *data_type);
        rows.push(Attribute { not_null: *not_null, ..attribute }.row());
    }
}

fn attrdef(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for table in cx.catalog.tables() {
        for (_, column) in table.live_columns() {
            if let Some(default) = super::defaults::text(cx, table, column) {
                rows.push(row![attrdef_oid(table.id, column.number), table.id.0, column.number, default]);
            }
        }
    }
    Ok(rows)
}

// ---- indexes ----

/// Every index with its table, by ascending id of the table.
pub(super) fn all_indexes<'a>(
    cx: &SystemContext<'a>,
) -> impl Iterator<Item = (&'a Arc<TableDef>, &'a Arc<IndexDef>)> {
    cx.catalog.tables().flat_map(|table| table.indexes.iter().map(move |index| (table, index)))
}

/// The number of the column at `at`; 0 stands for an expression.
pub(super) fn column_number(table: &TableDef, at: Option<usize>) -> i16 {
    at.and_then(|at| table.columns.get(at)).map_or(0, |column| column.number)
}

fn index(cx: &SystemContext<'_>) -> Rows {
    let row = |(table, index): (&Arc<TableDef>, &Arc<IndexDef>)| {
        let keys = index.columns.iter().map(|key| key.column);
        let included = index.include.iter().map(|at| Some(*at));
        let expressions: Vec<&str> =
            index.columns.iter().filter_map(|key| key.expression.as_deref()).collect();
        let deferrable = table.constraints.iter().any(|constraint| {
            constraint.deferrable
                && matches!(&constraint.kind, ConstraintKind::PrimaryKey { index: id } | ConstraintKind::Unique { index: id } if *id == index.id)
        });
        row![
            index.id.0,
            table.id.0,
            count_i16(index.columns.len() + index.include.len()),
            count_i16(index.columns.len()),
            index.unique,
            index.nulls_not_distinct,
            index.primary,
            false,
            !deferrable,
            false,
            true,
            false,
            true,
            true,
            false,
            int2_vector(keys.chain(included).map(|at| column_number(table, at))),
            oid_vector(index.columns.iter().map(|key| storage(key.data_type.oid).collation)),
            oid_vector(index.columns.iter().map(|key| operator_class(key.data_type))),
            int2_vector(
                index.columns.iter().map(|key| i16::from(key.descending) | (i16::from(key.nulls_first) << 1))
            ),
            Some(expressions.join(", ")).filter(|text| !text.is_empty()),
            index.predicate.as_deref(),
        ]
    };
    Ok(all_indexes(cx).map(row).collect())
}

fn indexes(cx: &SystemContext<'_>) -> Rows {
    Ok(all_indexes(cx)
        .map(|(table, index)| {
            row![
                cx.schema_name(table.schema),
                &table.name,
                &index.name,
                NULL,
                definition::index(cx, table, index, false),
            ]
        })
        .collect())
}

// ---- sequences ----

pub(super) fn all_sequences<'a>(cx: &SystemContext<'a>) -> impl Iterator<Item = &'a Arc<SequenceDef>> {
    cx.catalog.relations().filter_map(|relation| match relation {
        Relation::Sequence(sequence) => Some(sequence),
        _ => None,
    })
}

fn sequence(cx: &SystemContext<'_>) -> Rows {
    Ok(all_sequences(cx)
        .map(|def| {
            row![
                def.id.0,
                def.data_type.oid,
                def.start,
                def.increment,
                def.max,
                def.min,
                def.cache,
                def.cycle
            ]
        })
        .collect())
}

fn sequences(cx: &SystemContext<'_>) -> Rows {
    Ok(all_sequences(cx)
        .map(|def| {
            row![
                cx.schema_name(def.schema),
                &def.name,
                cx.role_name(def.owner),
                def.data_type.oid,
                def.start,
                def.min,
                def.max,
                def.increment,
                def.cycle,
                def.cache,
                cx.runtime.sequence_last_value(def.id),
            ]
        })
        .collect())
}

/// What a sequence has as its row: `log_cnt` is 0, for nobody but PostgreSQL's log knows it.
pub(super) fn sequence_states(cx: &SystemContext<'_>) -> Rows {
    Ok(all_sequences(cx)
        .filter_map(|def| {
            let (last, is_called) = cx.runtime.sequence_state(def.id)?;
            Some(row![def.id.0, last, 0_i64, is_called])
        })
        .collect())
}

// ---- schemas, comments ----

fn namespace(cx: &SystemContext<'_>) -> Rows {
    Ok(cx
        .catalog
        .schemas()
        .map(|schema| row![schema.id.0, &schema.name, schema.owner.0, schema_acl(cx, schema)])
        .collect())
}

/// Every comment: object, catalog the object is in, column, text.
pub(super) fn comments<'a>(cx: &SystemContext<'a>) -> Vec<(u32, u32, i32, &'a str)> {
    let mut comments = Vec::new();
    for schema in cx.catalog.schemas() {
        comments.extend(schema.comment.as_deref().map(|text| (schema.id.0, NAMESPACE, 0, text)));
    }
    for relation in cx.catalog.relations() {
        let comment = match relation {
            Relation::Table(table) => {
                for (_, column) in table.live_columns() {
                    let text = column.comment.as_deref();
                    comments.extend(text.map(|text| (table.id.0, CLASS, i32::from(column.number), text)));
                }
                &table.comment
            }
            Relation::Index { index, .. } => &index.comment,
            Relation::View(view) => &view.comment,
            Relation::Sequence(sequence) => &sequence.comment,
            Relation::Virtual(_) => &None,
        };
        comments.extend(comment.as_deref().map(|text| (relation.id().0, CLASS, 0, text)));
    }
    comments.extend(BUILTIN_COMMENTS);
    comments
}

/// Comments of what PostgreSQL is born with and clients show.
const BUILTIN_COMMENTS: [(u32, u32, i32, &str); 7] = [
    (HEAP, 2601, 0, "heap table access method"),
    (BTREE, 2601, 0, "b-tree index access method"),
    (12, 2612, 0, "built-in functions"),
    (100, 3456, 0, "database's default collation"),
    (950, 3456, 0, "standard C collation"),
    (951, 3456, 0, "standard POSIX collation"),
    (12340, 3456, 0, "UTF-8 collation in codepoint order"),
];

fn description(cx: &SystemContext<'_>) -> Rows {
    Ok(comments(cx)
        .into_iter()
        .map(|(object, catalog, column, text)| row![object, catalog, column, text])
        .collect())
}

// ---- views of tables and views ----

fn tables(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for relation in cx.catalog.relations() {
        let (has_indexes, triggers) = match relation {
            Relation::Table(table) => (!table.indexes.is_empty(), has_triggers(cx, table)),
            Relation::Virtual(table) if table.is_table => (false, false),
            _ => continue,
        };
        rows.push(row![
            cx.schema_name(relation.schema()),
            relation.name(),
            cx.role_name(crate::object::RoleId(owner(relation))),
            NULL,
            has_indexes,
            false,
            triggers,
            false
        ]);
    }
    Ok(rows)
}

pub(super) fn all_views<'a>(cx: &SystemContext<'a>) -> impl Iterator<Item = &'a Arc<ViewDef>> {
    cx.catalog.relations().filter_map(|relation| match relation {
        Relation::View(view) => Some(view),
        _ => None,
    })
}

fn views(cx: &SystemContext<'_>) -> Rows {
    let mut rows: Vec<Vec<Value>> = all_views(cx)
        .map(|view| {
            row![cx.schema_name(view.schema), &view.name, cx.role_name(view.owner), definition::view(view),]
        })
        .collect();
    for relation in cx.catalog.relations() {
        if let Relation::Virtual(table) = relation
            && !table.is_table
        {
            // Made by the server, not by a query.
            rows.push(row![
                cx.schema_name(table.schema),
                table.name,
                cx.role_name(crate::object::RoleId(BOOTSTRAP)),
                NULL
            ]);
        }
    }
    Ok(rows)
}
