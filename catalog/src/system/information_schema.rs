//! The SQL standard's views, `information_schema`: what the current role may see of relations, columns,
//! constraints, sequences, schemas and roles.

use types::datatype::builtin;
use types::{DataType, Result, TypeCategory, Value};

use super::builtin::storage;
use super::privileges::is_member;
use super::relations::{all_sequences, all_views, owner};
use super::row::{NULL, row, yes_no};
use super::{Family, SystemContext, constraints, definition};
use crate::acl::{AclItem, AclKind, AclTarget, EVERYBODY, Rights, grant};
use crate::catalog::{PG_CATALOG, Relation};
use crate::object::{
    ConstraintDef, ConstraintKind, ForeignKeyAction, Identity, Persistence, RoleId, SequenceDef, TableDef,
};

pub(super) const VIEWS: Family = &[
    ("information_schema_catalog_name", |cx| Ok(vec![row![cx.database_name()]])),
    ("applicable_roles", |cx| role_memberships(cx, false)),
    ("administrable_role_authorizations", |cx| role_memberships(cx, true)),
    ("enabled_roles", enabled_roles),
    ("character_sets", character_sets),
    ("collations", collations),
    ("schemata", schemata),
    ("tables", tables),
    ("views", views),
    ("view_table_usage", view_table_usage),
    ("columns", columns),
    ("element_types", element_types),
    ("sequences", sequences),
    ("table_constraints", table_constraints),
    ("check_constraints", check_constraints),
    ("key_column_usage", key_column_usage),
    ("constraint_column_usage", constraint_column_usage),
    ("constraint_table_usage", constraint_table_usage),
    ("referential_constraints", referential_constraints),
    ("table_privileges", table_privileges),
    ("role_table_grants", table_privileges),
    ("column_privileges", column_privileges),
    ("role_column_grants", column_privileges),
];

type Rows = Result<Vec<Vec<Value>>>;

/// True when the current role owns the relation, or owns the role that does.
fn owns(cx: &SystemContext<'_>, relation: &Relation) -> bool {
    let role = cx.catalog.role(cx.runtime.current_role());
    role.is_some_and(|role| is_member(cx, role, RoleId(owner(relation))))
}

/// What the role owns, and what everybody may read.
fn sees(cx: &SystemContext<'_>, relation: &Relation) -> bool {
    matches!(relation, Relation::Virtual(_)) || owns(cx, relation)
}

/// Tables and views, the system's among them.
fn visible<'a>(cx: &SystemContext<'a>) -> impl Iterator<Item = &'a Relation> {
    cx.catalog.relations().filter(|relation| {
        !matches!(relation, Relation::Index { .. } | Relation::Sequence(_)) && sees(cx, relation)
    })
}

// ---- roles, character sets ----

fn role_memberships(cx: &SystemContext<'_>, only_grantable: bool) -> Rows {
    let mut rows = Vec::new();
    if only_grantable {
        return Ok(rows);
    }
    for role in cx.catalog.roles() {
        for group in &role.member_of {
            rows.push(row![&role.name, cx.role_name(*group), "NO"]);
        }
    }
    Ok(rows)
}

fn enabled_roles(cx: &SystemContext<'_>) -> Rows {
    let Some(current) = cx.catalog.role(cx.runtime.current_role()) else { return Ok(Vec::new()) };
    let enabled = cx.catalog.roles().filter(|role| is_member(cx, current, role.id));
    Ok(enabled.map(|role| row![&role.name]).collect())
}

fn character_sets(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    Ok(vec![row![NULL, NULL, "UTF8", "UCS", "UTF8", &database, "pg_catalog", "default"]])
}

fn collations(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let names = ["default", "C", "POSIX", "ucs_basic"];
    Ok(names.into_iter().map(|name| row![&database, "pg_catalog", name, "NO PAD"]).collect())
}

// ---- schemas, tables, views ----

fn schemata(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let Some(role) = cx.catalog.role(cx.runtime.current_role()) else { return Ok(Vec::new()) };
    Ok(cx
        .catalog
        .schemas()
        .filter(|schema| is_member(cx, role, schema.owner))
        .map(|schema| row![&database, &schema.name, cx.role_name(schema.owner), NULL, NULL, NULL, NULL])
        .collect())
}

fn tables(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    Ok(visible(cx)
        .map(|relation| {
            let (kind, insertable) = match relation {
                Relation::Table(table) if table.persistence == Persistence::Temporary => {
                    ("LOCAL TEMPORARY", true)
                }
                Relation::Table(_) => ("BASE TABLE", true),
                Relation::Virtual(table) if table.is_table => ("BASE TABLE", false),
                _ => ("VIEW", false),
            };
            row![
                &database,
                cx.schema_name(relation.schema()),
                relation.name(),
                kind,
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                yes_no(insertable),
                "NO",
                NULL,
            ]
        })
        .collect())
}

fn views(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in visible(cx) {
        let definition = match relation {
            Relation::View(view) => Some(definition::view(view)),
            Relation::Virtual(table) if !table.is_table => None,
            _ => continue,
        };
        rows.push(row![
            &database,
            cx.schema_name(relation.schema()),
            relation.name(),
            definition,
            "NONE",
            "NO",
            "NO",
            "NO",
            "NO",
            "NO",
        ]);
    }
    Ok(rows)
}

fn view_table_usage(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for view in all_views(cx) {
        for used in view.depends_on.iter().filter_map(|id| cx.catalog.relation(*id)) {
            if owns(cx, used) {
                rows.push(row![
                    &database,
                    cx.schema_name(view.schema),
                    &view.name,
                    &database,
                    cx.schema_name(used.schema()),
                    used.name(),
                ]);
            }
        }
    }
    Ok(rows)
}

// ---- columns ----

/// What the standard asks of a type.
struct Shape {
    data_type: &'static str,
    character_length: Option<i32>,
    octet_length: Option<i32>,
    numeric_precision: Option<i32>,
    numeric_radix: Option<i32>,
    numeric_scale: Option<i32>,
    datetime_precision: Option<i32>,
    collation: Option<&'static str>,
    udt_name: &'static str,
}

fn shape(data_type: DataType) -> Shape {
    let is_array = data_type.element().is_some() && data_type.name().starts_with('_');
    let limit = data_type.character_limit().and_then(|limit| i32::try_from(limit).ok());
    let is_text = matches!(data_type.oid, 25 | 1042 | 1043);
    let integer_bits = match data_type.oid {
        21 => Some(16),
        23 => Some(32),
        20 => Some(64),
        700 => Some(24),
        701 => Some(53),
        _ => None,
    };
    let numeric = data_type.numeric_precision_scale();
    let is_time = matches!(data_type.category(), TypeCategory::DateTime | TypeCategory::Timespan);
    Shape {
        data_type: match builtin(data_type.oid) {
            _ if is_array => "ARRAY",
            Some(known) => known.sql_name,
            None => "USER-DEFINED",
        },
        character_length: limit,
        octet_length: is_text.then(|| limit.map_or(1 << 30, |limit| limit.saturating_mul(4))),
        numeric_precision: integer_bits.or(numeric.map(|(precision, _)| precision)),
        numeric_radix: match data_type.oid {
            1700 => Some(10),
            _ => integer_bits.map(|_| 2),
        },
        numeric_scale: match data_type.oid {
            20 | 21 | 23 => Some(0),
            _ => numeric.map(|(_, scale)| scale),
        },
        datetime_precision: is_time.then_some(match data_type.oid {
            1082 => 0,
            1186 if data_type.modifier >= 0 && data_type.modifier & 0xffff != 0xffff => {
                data_type.modifier & 0xffff
            }
            1186 => 6,
            _ if data_type.modifier >= 0 => data_type.modifier,
            _ => 6,
        }),
        // The database's own collation stays unsaid.
        collation: (storage(data_type.oid).collation == 950).then_some("C"),
        udt_name: data_type.name(),
    }
}

/// One column of any relation.
struct Column<'a> {
    name: &'a str,
    number: i32,
    data_type: DataType,
    not_null: bool,
    default: Option<String>,
    generated: Option<&'a str>,
    identity: Identity,
    sequence: Option<&'a SequenceDef>,
}

fn columns_of<'a>(cx: &SystemContext<'a>, relation: &'a Relation) -> Vec<Column<'a>> {
    let plain = |at: usize, name: &'a str, data_type: DataType, not_null: bool| Column {
        name,
        number: i32::try_from(at + 1).unwrap_or(i32::MAX),
        data_type,
        not_null,
        default: None,
        generated: None,
        identity: Identity::None,
        sequence: None,
    };
    match relation {
        Relation::Table(table) => table
            .live_columns()
            .map(|(at, column)| Column {
                number: i32::from(column.number),
                default: super::defaults::text(cx, table, column).filter(|_| !column.generated),
                generated: column.default.as_deref().filter(|_| column.generated),
                identity: column.identity,
                sequence: (column.identity != Identity::None)
                    .then(|| all_sequences(cx).find(|def| def.owned_by == Some((table.id, column.number))))
                    .flatten()
                    .map(AsRef::as_ref),
                ..plain(at, &column.name, column.data_type, column.not_null)
            })
            .collect(),
        Relation::View(view) => view
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| plain(at, &column.name, column.data_type, false))
            .collect(),
        Relation::Virtual(table) => table
            .columns
            .iter()
            .zip(&table.not_null)
            .enumerate()
            .map(|(at, ((name, data_type), not_null))| plain(at, name, *data_type, *not_null))
            .collect(),
        _ => Vec::new(),
    }
}

fn columns(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in visible(cx) {
        let updatable = matches!(relation, Relation::Table(_));
        for column in columns_of(cx, relation) {
            let shape = shape(column.data_type);
            let identity = column.sequence;
            rows.push(row![
                &database,
                cx.schema_name(relation.schema()),
                relation.name(),
                column.name,
                column.number,
                column.default,
                yes_no(!column.not_null),
                shape.data_type,
                shape.character_length,
                shape.octet_length,
                shape.numeric_precision,
                shape.numeric_radix,
                shape.numeric_scale,
                shape.datetime_precision,
                NULL,
                NULL,
                NULL,
                NULL,
                NULL,
                shape.collation.map(|_| database.as_str()),
                shape.collation.map(|_| "pg_catalog"),
                shape.collation,
                NULL,
                NULL,
                NULL,
                &database,
                cx.schema_name(PG_CATALOG),
                shape.udt_name,
                NULL,
                NULL,
                NULL,
                NULL,
                column.number.to_string(),
                "NO",
                yes_no(column.identity != Identity::None),
                match column.identity {
                    Identity::None => None,
                    Identity::Always => Some("ALWAYS"),
                    Identity::ByDefault => Some("BY DEFAULT"),
                },
                identity.map(|def| def.start.to_string()),
                identity.map(|def| def.increment.to_string()),
                identity.map(|def| def.max.to_string()),
                identity.map(|def| def.min.to_string()),
                identity.map_or("NO", |def| yes_no(def.cycle)),
                if column.generated.is_some() { "ALWAYS" } else { "NEVER" },
                column.generated,
                yes_no(updatable),
            ]);
        }
    }
    Ok(rows)
}

/// Element types of array columns. Lengths and precisions are not kept for elements.
fn element_types(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in visible(cx) {
        for column in columns_of(cx, relation) {
            let Some(element) =
                column.data_type.element().filter(|_| column.data_type.name().starts_with('_'))
            else {
                continue;
            };
            let shape = shape(element);
            let kind = match relation {
                Relation::Table(_) => "TABLE",
                Relation::Virtual(table) if table.is_table => "TABLE",
                _ => "VIEW",
            };
            let mut row = row![
                &database,
                cx.schema_name(relation.schema()),
                relation.name(),
                kind,
                column.number.to_string(),
                shape.data_type
            ];
            row.resize(20, Value::Null);
            // domain_default, then the element's type.
            row.extend(row![NULL, &database, "pg_catalog", shape.udt_name, NULL, NULL, NULL, NULL]);
            row.push(Value::text(format!("a{}", column.number)));
            rows.push(row);
        }
    }
    Ok(rows)
}

fn sequences(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in cx.catalog.relations() {
        let Relation::Sequence(def) = relation else { continue };
        // The sequence of an identity column is part of the column.
        let is_identity = def.owned_by.and_then(|(table, number)| {
            let table = cx.catalog.table(table)?;
            table.columns.iter().find(|column| column.number == number).map(|column| column.identity)
        });
        if !owns(cx, relation) || is_identity.is_some_and(|identity| identity != Identity::None) {
            continue;
        }
        let shape = shape(def.data_type);
        rows.push(row![
            &database,
            cx.schema_name(def.schema),
            &def.name,
            shape.data_type,
            shape.numeric_precision,
            2_i32,
            0_i32,
            def.start.to_string(),
            def.min.to_string(),
            def.max.to_string(),
            def.increment.to_string(),
            yes_no(def.cycle),
        ]);
    }
    Ok(rows)
}

// ---- constraints ----

/// Constraints of the tables the role owns.
fn owned_constraints<'a>(cx: &SystemContext<'a>) -> Vec<(&'a TableDef, &'a ConstraintDef)> {
    constraints::all(cx)
        .filter(|(table, _)| cx.catalog.relation(table.id).is_some_and(|relation| owns(cx, relation)))
        .collect()
}

/// The name of a NOT NULL as a check constraint, which PostgreSQL makes of the numbers.
fn not_null_name(table: &TableDef, number: i16) -> String {
    format!("{}_{}_{number}_not_null", table.schema, table.id)
}

/// NOT NULL columns of the tables the role owns.
fn not_nulls<'a>(cx: &SystemContext<'a>) -> Vec<(&'a TableDef, &'a str, i16)> {
    let mut found = Vec::new();
    for table in cx.catalog.tables() {
        if !cx.catalog.relation(table.id).is_some_and(|relation| owns(cx, relation)) {
            continue;
        }
        for (_, column) in table.live_columns().filter(|(_, column)| column.not_null) {
            found.push((table.as_ref(), column.name.as_str(), column.number));
        }
    }
    found
}

fn table_constraints(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let row = |table: &TableDef, name: String, kind: &str, deferrable, deferred, nulls: Option<&str>| {
        let schema = cx.schema_name(table.schema);
        row![
            &database,
            schema,
            name,
            &database,
            schema,
            &table.name,
            kind,
            yes_no(deferrable),
            yes_no(deferred),
            "YES",
            nulls,
        ]
    };
    let mut rows: Vec<Vec<Value>> = owned_constraints(cx)
        .into_iter()
        .map(|(table, constraint)| {
            let (kind, nulls) = match &constraint.kind {
                ConstraintKind::PrimaryKey { .. } => ("PRIMARY KEY", None),
                ConstraintKind::Unique { index } => {
                    let index = table.indexes.iter().find(|def| def.id == *index);
                    ("UNIQUE", Some(yes_no(!index.is_some_and(|def| def.nulls_not_distinct))))
                }
                ConstraintKind::Check { .. } => ("CHECK", None),
                ConstraintKind::ForeignKey(_) => ("FOREIGN KEY", None),
            };
            let name = constraint.name.clone();
            row(table, name, kind, constraint.deferrable, constraint.initially_deferred, nulls)
        })
        .collect();
    for (table, _, number) in not_nulls(cx) {
        rows.push(row(table, not_null_name(table, number), "CHECK", false, false, None));
    }
    Ok(rows)
}

fn check_constraints(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for (table, constraint) in owned_constraints(cx) {
        if let ConstraintKind::Check { expression, .. } = &constraint.kind {
            let schema = cx.schema_name(table.schema);
            rows.push(row![&database, schema, &constraint.name, format!("({expression})")]);
        }
    }
    for (table, column, number) in not_nulls(cx) {
        let schema = cx.schema_name(table.schema);
        let clause = format!("{column} IS NOT NULL");
        rows.push(row![&database, schema, not_null_name(table, number), clause]);
    }
    Ok(rows)
}

fn key_column_usage(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for (table, constraint) in owned_constraints(cx) {
        if matches!(constraint.kind, ConstraintKind::Check { .. }) {
            continue;
        }
        let unique_columns = unique_key(cx, &constraint.kind);
        let schema = cx.schema_name(table.schema);
        for (position, at) in constraints::columns(table, &constraint.kind).into_iter().enumerate() {
            let Some(column) = table.columns.get(at) else { continue };
            let referenced = match &constraint.kind {
                ConstraintKind::ForeignKey(key) => key.referenced_columns.get(position),
                _ => None,
            };
            let in_unique = referenced
                .and_then(|at| unique_columns.iter().position(|unique| unique == at))
                .and_then(|position| i32::try_from(position + 1).ok());
            rows.push(row![
                &database,
                schema,
                &constraint.name,
                &database,
                schema,
                &table.name,
                &column.name,
                i32::try_from(position + 1).unwrap_or(i32::MAX),
                in_unique,
            ]);
        }
    }
    Ok(rows)
}

/// Columns of the unique key that a foreign key refers to, in the key's order.
fn unique_key(cx: &SystemContext<'_>, kind: &ConstraintKind) -> Vec<usize> {
    let ConstraintKind::ForeignKey(key) = kind else { return Vec::new() };
    let table = cx.catalog.table(key.referenced_table);
    let index = table.and_then(|table| table.indexes.iter().find(|index| index.id == key.referenced_index));
    index.map(|index| index.columns.iter().filter_map(|key| key.column).collect()).unwrap_or_default()
}

/// The table a constraint speaks of: its own, or for a foreign key the one referred to; with columns.
fn used_table<'a>(
    cx: &SystemContext<'a>,
    table: &'a TableDef,
    constraint: &ConstraintDef,
) -> Option<(&'a TableDef, Vec<usize>)> {
    match &constraint.kind {
        ConstraintKind::ForeignKey(key) => {
            Some((cx.catalog.table(key.referenced_table)?.as_ref(), key.referenced_columns.clone()))
        }
        kind => Some((table, constraints::columns(table, kind))),
    }
}

fn constraint_column_usage(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for (table, constraint) in owned_constraints(cx) {
        let Some((used, columns)) = used_table(cx, table, constraint) else { continue };
        for column in columns.iter().filter_map(|at| used.columns.get(*at)) {
            rows.push(row![
                &database,
                cx.schema_name(used.schema),
                &used.name,
                &column.name,
                &database,
                cx.schema_name(table.schema),
                &constraint.name,
            ]);
        }
    }
    Ok(rows)
}

fn constraint_table_usage(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for (table, constraint) in owned_constraints(cx) {
        if matches!(constraint.kind, ConstraintKind::Check { .. }) {
            continue;
        }
        let Some((used, _)) = used_table(cx, table, constraint) else { continue };
        rows.push(row![
            &database,
            cx.schema_name(used.schema),
            &used.name,
            &database,
            cx.schema_name(table.schema),
            &constraint.name,
        ]);
    }
    Ok(rows)
}

fn referential_constraints(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for (table, constraint) in owned_constraints(cx) {
        let ConstraintKind::ForeignKey(key) = &constraint.kind else { continue };
        let referenced = cx.catalog.table(key.referenced_table);
        let unique = referenced.and_then(|referenced| {
            referenced.constraints.iter().find(|other| {
                matches!(&other.kind, ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } if *index == key.referenced_index)
            })
        });
        let unique_schema =
            referenced.filter(|_| unique.is_some()).and_then(|table| cx.schema_name(table.schema));
        let rule = |action: ForeignKeyAction| definition::action_name(action);
        rows.push(row![
            &database,
            cx.schema_name(table.schema),
            &constraint.name,
            unique.map(|_| database.as_str()),
            unique_schema,
            unique.map(|unique| unique.name.as_str()),
            if key.match_full { "FULL" } else { "NONE" },
            rule(key.on_update),
            rule(key.on_delete),
        ]);
    }
    Ok(rows)
}

// ---- privileges ----

/// What was granted on relations, or their owners have from the start.
fn table_privileges(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in visible(cx) {
        for grant in grants(cx, &relation_items(cx, relation), AclKind::Table.all()) {
            rows.push(row![
                grant.grantor,
                grant.grantee,
                &database,
                cx.schema_name(relation.schema()),
                relation.name(),
                grant.privilege,
                yes_no(grant.is_grantable),
                yes_no(grant.privilege == "SELECT"),
            ]);
        }
    }
    Ok(rows)
}

fn column_privileges(cx: &SystemContext<'_>) -> Rows {
    let database = cx.database_name();
    let mut rows = Vec::new();
    for relation in visible(cx) {
        let whole = relation_items(cx, relation);
        let own = cx.catalog.acl(AclTarget::Relation(relation.id()));
        for (number, column) in (1i16..).zip(columns_of(cx, relation)) {
            let mut items = whole.clone();
            items.extend_from_slice(own.map_or(&[], |def| def.column(number)));
            for grant in grants(cx, &items, AclKind::Column.all()) {
                rows.push(row![
                    grant.grantor,
                    grant.grantee,
                    &database,
                    cx.schema_name(relation.schema()),
                    relation.name(),
                    column.name,
                    grant.privilege,
                    yes_no(grant.is_grantable),
                ]);
            }
        }
    }
    Ok(rows)
}

fn relation_items(cx: &SystemContext<'_>, relation: &Relation) -> Vec<AclItem> {
    let owner = RoleId(owner(relation));
    let mut items = cx.catalog.acl_items(AclTarget::Relation(relation.id()), AclKind::Table, owner);
    if matches!(relation, Relation::Virtual(_)) {
        grant(&mut items, EVERYBODY, owner, Rights::SELECT, false);
    }
    items
}

struct Grant {
    grantor: String,
    grantee: String,
    privilege: &'static str,
    is_grantable: bool,
}

/// The rights among `wanted`, one by one. Owners may always pass theirs on.
fn grants(cx: &SystemContext<'_>, items: &[AclItem], wanted: Rights) -> Vec<Grant> {
    let mut grants = Vec::new();
    for item in items {
        for privilege in item.rights.and(wanted).words() {
            let right = Rights::named(privilege).unwrap_or_default();
            grants.push(Grant {
                grantor: cx.role_name(item.grantor),
                grantee: match item.grantee {
                    EVERYBODY => "PUBLIC".to_string(),
                    role => cx.role_name(role),
                },
                privilege,
                is_grantable: item.grantable.has_any(right) || item.grantee == item.grantor,
            });
        }
    }
    grants
}
