//! `has_table_privilege` and its kin.
//!
//! No grants are stored: superusers may do everything, owners (and members of the owner) what they
//! like with what is theirs, everybody what PostgreSQL gives to PUBLIC.

use expr::quote_identifier;
use types::{ArrayValue, DataType, Error, Result, SqlState, Value};

use super::SystemContext;
use super::names::undefined_role;
use super::relations::owner;
use crate::catalog::{INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, Relation, undefined_schema};
use crate::object::{DatabaseId, RelationId, RoleDef, RoleId, SchemaId};

/// Answers `has_…_privilege`; None when the name is another function's.
///
/// NULL for an OID that nothing has; 42P01, 3F000, 3D000, 42704 for such a name; 22023 for a privilege
/// that this kind of object does not know.
pub(super) fn call(cx: &SystemContext<'_>, name: &str, args: &[Value]) -> Option<Result<Value>> {
    let kind = name.strip_prefix("has_")?.strip_suffix("_privilege")?;
    Some(check(cx, kind, args))
}

fn check(cx: &SystemContext<'_>, kind: &str, args: &[Value]) -> Result<Value> {
    let columns = usize::from(kind == "column");
    let (role, rest) = match args {
        [user, rest @ ..] if args.len() == 3 + columns => (role_of(cx, user)?, rest),
        _ => (cx.catalog.role(cx.runtime.current_role()).map(AsRef::as_ref), args),
    };
    let (Some(object), Some(wanted)) = (rest.first(), rest.last().and_then(Value::as_str)) else {
        return Ok(Value::Null);
    };
    let Some(role) = role else { return Ok(Value::Null) };
    let privileges = parse_privileges(kind, wanted)?;
    let Some((owned_by, public)) = target(cx, kind, object)? else { return Ok(Value::Null) };
    if columns == 1 && !has_column(cx, object, rest.get(1))? {
        return Ok(Value::Null);
    }
    let everything = role.superuser || owned_by.is_some_and(|owner| is_member(cx, role, owner));
    let granted = |privilege: &str| everything || public.contains(&privilege);
    Ok(Value::Bool(privileges.iter().any(|privilege| granted(privilege))))
}

/// `acldefault`: what a new object of this kind grants to everybody and to its owner.
///
/// XX000 for a kind that PostgreSQL does not have, as there.
pub(super) fn default_acl(cx: &SystemContext<'_>, kind: &str, owner: u32) -> Result<Value> {
    let (public, owned) = match kind {
        "c" => ("", ""),
        "r" => ("", "arwdDxt"),
        "s" => ("", "rwU"),
        "d" => ("Tc", "CTc"),
        "f" => ("X", "X"),
        "l" | "T" => ("U", "U"),
        "L" => ("", "rw"),
        "n" => ("", "UC"),
        "p" => ("", "sA"),
        "t" => ("", "C"),
        "F" | "S" => ("", "U"),
        _ => return Err(Error::internal(format!("unrecognized objtype abbreviation: {kind}"))),
    };
    let owner =
        cx.catalog.role(RoleId(owner)).map_or_else(|| owner.to_string(), |role| quote_identifier(&role.name));
    let items = [("", public), (owner.as_str(), owned)]
        .into_iter()
        .filter(|(_, granted)| !granted.is_empty())
        .map(|(grantee, granted)| Value::text(format!("{grantee}={granted}/{owner}")))
        .collect();
    Ok(Value::Array(ArrayValue::from_elements(DataType::ACLITEM, items).into()))
}

fn role_of<'a>(cx: &SystemContext<'a>, user: &Value) -> Result<Option<&'a RoleDef>> {
    match user {
        Value::Text(name) if &**name == "public" => Ok(None),
        Value::Text(name) => {
            Ok(Some(cx.catalog.role_by_name(name).ok_or_else(|| undefined_role(name))?.as_ref()))
        }
        Value::UInt32(oid) => Ok(cx.catalog.role(RoleId(*oid)).map(AsRef::as_ref)),
        _ => Ok(None),
    }
}

/// `SELECT, INSERT WITH GRANT OPTION` → the privileges. 22023.
fn parse_privileges<'t>(kind: &str, text: &'t str) -> Result<Vec<&'static str>> {
    let known: &[&'static str] = match kind {
        "table" => &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "RULE"],
        "column" | "any_column" => &["SELECT", "INSERT", "UPDATE", "REFERENCES"],
        "sequence" => &["USAGE", "SELECT", "UPDATE"],
        "schema" => &["CREATE", "USAGE"],
        "database" => &["CREATE", "TEMPORARY", "TEMP", "CONNECT"],
        "function" => &["EXECUTE"],
        "tablespace" => &["CREATE"],
        "parameter" => &["SET", "ALTER SYSTEM"],
        _ => &["USAGE"],
    };
    let parse = |part: &'t str| {
        let upper = part.trim().to_ascii_uppercase();
        let word = upper.strip_suffix(" WITH GRANT OPTION").unwrap_or(&upper);
        known.iter().copied().find(|privilege| *privilege == word).ok_or_else(|| {
            Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized privilege type: \"{}\"", part.trim()),
            )
        })
    };
    text.split(',').map(parse).collect()
}

/// Owner of an object and what everybody may do with it; None when no object has the OID.
type Target = Option<(Option<RoleId>, &'static [&'static str])>;

fn target(cx: &SystemContext<'_>, kind: &str, object: &Value) -> Result<Target> {
    let oid = object.as_i64().and_then(|oid| u32::try_from(oid).ok());
    Ok(match kind {
        "table" | "column" | "any_column" | "sequence" => {
            let relation = match (object.as_str(), oid) {
                (Some(name), _) => Some(cx.relation_named(name)?),
                (None, oid) => oid.and_then(|oid| cx.catalog.relation(RelationId(oid))),
            };
            relation.map(|relation| {
                let public: &[&str] = match relation {
                    Relation::Virtual(table) if !["pg_authid", "pg_shadow"].contains(&table.name) => {
                        &["SELECT"]
                    }
                    _ => &[],
                };
                (Some(RoleId(owner(relation))), public)
            })
        }
        "schema" => {
            let schema = match (object.as_str(), oid) {
                (Some(name), _) => {
                    Some(cx.catalog.schema_by_name(name).ok_or_else(|| undefined_schema(name))?)
                }
                (None, oid) => oid.and_then(|oid| cx.catalog.schema(SchemaId(oid))),
            };
            schema.map(|schema| {
                let everybody = [PG_CATALOG, INFORMATION_SCHEMA, PUBLIC].contains(&schema.id);
                let public: &[&str] = if everybody { &["USAGE"] } else { &[] };
                (Some(schema.owner), public)
            })
        }
        "database" => {
            let database = match (object.as_str(), oid) {
                (Some(name), _) => Some(cx.catalog.database_by_name(name).ok_or_else(|| {
                    Error::new(SqlState::INVALID_CATALOG_NAME, format!("database \"{name}\" does not exist"))
                })?),
                (None, oid) => {
                    cx.catalog.databases().find(|database| oid.map(DatabaseId) == Some(database.id))
                }
            };
            database.map(|database| (Some(database.owner), &["CONNECT", "TEMP", "TEMPORARY"][..]))
        }
        "function" => Some((None, &["EXECUTE"])),
        "type" | "language" => Some((None, &["USAGE"])),
        _ => Some((None, &[])),
    })
}

/// Whether the relation has the column, by name or number. 42703 for a name that is none.
fn has_column(cx: &SystemContext<'_>, object: &Value, column: Option<&Value>) -> Result<bool> {
    let relation = match (object.as_str(), object.as_i64()) {
        (Some(name), _) => Some(cx.relation_named(name)?),
        (None, oid) => {
            oid.and_then(|oid| u32::try_from(oid).ok()).and_then(|oid| cx.catalog.relation(RelationId(oid)))
        }
    };
    let (Some(relation), Some(column)) = (relation, column) else { return Ok(false) };
    let columns: Vec<(i64, &str)> = match relation {
        Relation::Table(table) => {
            table.live_columns().map(|(_, column)| (i64::from(column.number), column.name.as_str())).collect()
        }
        Relation::View(view) => (1..).zip(view.columns.iter().map(|column| column.name.as_str())).collect(),
        Relation::Virtual(table) => (1..).zip(table.columns.iter().map(|(name, _)| *name)).collect(),
        _ => Vec::new(),
    };
    match column.as_str() {
        Some(name) if columns.iter().any(|(_, column)| *column == name) => Ok(true),
        Some(name) => Err(Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{name}\" of relation \"{}\" does not exist", relation.name()),
        )),
        None => Ok(columns.iter().any(|(number, _)| column.as_i64() == Some(*number))),
    }
}

/// True when `role` is `group` or in it, directly or through others; a superuser is in every one.
pub(super) fn is_member(cx: &SystemContext<'_>, role: &RoleDef, group: RoleId) -> bool {
    role.superuser || cx.catalog.is_member(role.id, group)
}
