//! `has_table_privilege` and its kin.
//!
//! And rights as the views show them: arrays of `aclitem`, as `\\dp` and `\\l` print them.

use expr::quote_identifier;
use types::{ArrayValue, DataType, Error, Result, SqlState, Value};

use super::SystemContext;
use super::names::undefined_role;
use super::relations::{NAMESPACE, owner};
use super::row::{array, row};
use crate::acl::{AclItem, AclKind, AclTarget, Rights, item_text};
use crate::catalog::{Relation, built_in_public, undefined_schema};
use crate::object::{
    DatabaseDef, DatabaseId, FIRST_USER_OID, RelationId, RoleDef, RoleId, SchemaDef, SchemaId,
};

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
    let Some(target) = target(cx, kind, object)? else { return Ok(Value::Null) };
    let column = match columns {
        0 => None,
        _ => match column_number(cx, object, rest.get(1))? {
            Some(number) => Some(number),
            None => return Ok(Value::Null),
        },
    };
    let has = |wanted: &Wanted| match &target {
        Target::Object(object) => {
            let mut rights = object.rights(cx, role, wanted.option);
            if let Object::Relation(relation) = object {
                let id = relation.id();
                match (kind, column) {
                    (_, Some(number)) => {
                        rights = rights.or(column_rights(cx, role, id, number, wanted.option))
                    }
                    ("any_column", None) => {
                        for (number, _) in
                            cx.catalog.acl(AclTarget::Relation(id)).iter().flat_map(|d| &d.columns)
                        {
                            rights = rights.or(column_rights(cx, role, id, *number, wanted.option));
                        }
                    }
                    _ => {}
                }
            }
            rights.has_any(wanted.right)
        }
        Target::Everybodys => role.superuser || !wanted.option,
        Target::Superusers => role.superuser,
    };
    Ok(Value::Bool(privileges.iter().any(has)))
}

/// A right that is asked about, perhaps with the option to grant it.
struct Wanted {
    right: Rights,
    option: bool,
}

enum Object<'a> {
    Relation(&'a Relation),
    Schema(&'a SchemaDef),
    Database(&'a DatabaseDef),
}

enum Target<'a> {
    Object(Object<'a>),
    /// Functions, types, languages: on which nothing can be granted.
    Everybodys,
    Superusers,
}

impl Object<'_> {
    /// What the role may do with it; with `option`: what it may let others do.
    fn rights(&self, cx: &SystemContext<'_>, role: &RoleDef, option: bool) -> Rights {
        let catalog = cx.catalog;
        let (target, kind, owned_by) = match self {
            Object::Relation(relation) => {
                let kind = match relation {
                    Relation::Sequence(_) => AclKind::Sequence,
                    _ => AclKind::Table,
                };
                (AclTarget::Relation(relation.id()), kind, RoleId(owner(relation)))
            }
            Object::Schema(schema) => (AclTarget::Schema(schema.id), AclKind::Schema, schema.owner),
            Object::Database(database) => {
                (AclTarget::Database(database.id), AclKind::Database, database.owner)
            }
        };
        if !option {
            return match self {
                Object::Relation(relation) => catalog.relation_rights(role.id, relation),
                Object::Schema(schema) => catalog.schema_rights(role.id, schema.id),
                Object::Database(database) => catalog.database_rights(role.id, database.id),
            };
        }
        if catalog.is_superuser(role.id) || catalog.has_rights_of(role.id, owned_by) {
            return kind.all();
        }
        grantable(cx, role, &catalog.acl_items(target, kind, owned_by))
    }
}

fn grantable(cx: &SystemContext<'_>, role: &RoleDef, items: &[AclItem]) -> Rights {
    let options: Vec<AclItem> =
        items.iter().map(|item| AclItem { rights: item.grantable, ..*item }).collect();
    cx.catalog.rights_in(role.id, &options)
}

fn column_rights(
    cx: &SystemContext<'_>,
    role: &RoleDef,
    id: RelationId,
    number: i16,
    option: bool,
) -> Rights {
    match option {
        false => cx.catalog.column_rights(role.id, id, number),
        true => cx
            .catalog
            .acl(AclTarget::Relation(id))
            .map_or(Rights::NONE, |def| grantable(cx, role, def.column(number))),
    }
}

/// `aclitem[]`; NULL when nothing was granted.
pub(super) fn stored_acl(cx: &SystemContext<'_>, target: AclTarget) -> Value {
    match cx.catalog.acl(target).and_then(|def| def.items.as_deref()) {
        Some(items) => acl_value(cx, items),
        None => Value::Null,
    }
}

pub(super) fn column_acl(cx: &SystemContext<'_>, relation: RelationId, number: i16) -> Value {
    match cx.catalog.acl(AclTarget::Relation(relation)).map_or(&[][..], |def| def.column(number)) {
        [] => Value::Null,
        items => acl_value(cx, items),
    }
}

/// `pg_init_privs`: what the system's schemas grant from the beginning, which no dump repeats.
pub(super) fn init_privs(cx: &SystemContext<'_>) -> Result<Vec<Vec<Value>>> {
    let built_in = cx.catalog.schemas().filter(|schema| {
        let target = AclTarget::Schema(schema.id);
        schema.id.0 < FIRST_USER_OID
            && cx.catalog.acl(target).is_none()
            && !built_in_public(target).is_empty()
    });
    Ok(built_in.map(|schema| row![schema.id.0, NAMESPACE, 0, 'i', schema_acl(cx, schema)]).collect())
}

/// The system's schemas show what everybody may do with them, as in PostgreSQL.
pub(super) fn schema_acl(cx: &SystemContext<'_>, schema: &SchemaDef) -> Value {
    let target = AclTarget::Schema(schema.id);
    match (cx.catalog.acl(target), built_in_public(target).is_empty()) {
        (None, true) => Value::Null,
        _ => acl_value(cx, &cx.catalog.acl_items(target, AclKind::Schema, schema.owner)),
    }
}

pub(super) fn acl_value(cx: &SystemContext<'_>, items: &[AclItem]) -> Value {
    let name = |role: RoleId| match cx.catalog.role(role) {
        Some(role) => role.name.clone(),
        None => role.0.to_string(),
    };
    array(DataType::ACLITEM, items.iter().map(|item| item_text(item, name)))
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

/// `SELECT, INSERT WITH GRANT OPTION` → the rights. 22023.
fn parse_privileges(kind: &str, text: &str) -> Result<Vec<Wanted>> {
    let known: Option<Rights> = match kind {
        "table" => Some(AclKind::Table.all()),
        "column" | "any_column" => Some(AclKind::Column.all()),
        "sequence" => Some(AclKind::Sequence.all()),
        "schema" => Some(AclKind::Schema.all()),
        "database" => Some(AclKind::Database.all()),
        "function" => Some(Rights::EXECUTE),
        "tablespace" => Some(Rights::CREATE),
        "parameter" => None,
        _ => Some(Rights::USAGE),
    };
    let parse = |part: &str| {
        let upper = part.trim().to_ascii_uppercase();
        let (word, option) = match upper.strip_suffix(" WITH GRANT OPTION") {
            Some(word) => (word, true),
            None => (upper.as_str(), false),
        };
        let right = match known {
            // Rights that are no object's: nobody has RULE, superusers may set parameters.
            None if ["SET", "ALTER SYSTEM"].contains(&word) => Some(Rights::NONE),
            Some(_) if kind == "table" && word == "RULE" => Some(Rights::NONE),
            Some(known) => Rights::named(word).filter(|right| known.has_all(*right)),
            None => None,
        };
        right.map(|right| Wanted { right, option }).ok_or_else(|| {
            Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized privilege type: \"{}\"", part.trim()),
            )
        })
    };
    text.split(',').map(parse).collect()
}

/// The object of that name or OID; None when no object has the OID.
fn target<'a>(cx: &SystemContext<'a>, kind: &str, object: &Value) -> Result<Option<Target<'a>>> {
    let oid = object.as_i64().and_then(|oid| u32::try_from(oid).ok());
    let found = match kind {
        "table" | "column" | "any_column" | "sequence" => {
            let relation = match (object.as_str(), oid) {
                (Some(name), _) => Some(cx.relation_named(name)?),
                (None, oid) => oid.and_then(|oid| cx.catalog.relation(RelationId(oid))),
            };
            relation.map(Object::Relation)
        }
        "schema" => {
            let schema = match (object.as_str(), oid) {
                (Some(name), _) => {
                    Some(cx.catalog.schema_by_name(name).ok_or_else(|| undefined_schema(name))?)
                }
                (None, oid) => oid.and_then(|oid| cx.catalog.schema(SchemaId(oid))),
            };
            schema.map(|schema| Object::Schema(schema.as_ref()))
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
            database.map(|database| Object::Database(database.as_ref()))
        }
        "function" | "type" | "language" => return Ok(Some(Target::Everybodys)),
        _ => return Ok(Some(Target::Superusers)),
    };
    Ok(found.map(Target::Object))
}

/// The number of the column, given by name or number. 42703 for a name that is none.
fn column_number(cx: &SystemContext<'_>, object: &Value, column: Option<&Value>) -> Result<Option<i16>> {
    let relation = match (object.as_str(), object.as_i64()) {
        (Some(name), _) => Some(cx.relation_named(name)?),
        (None, oid) => {
            oid.and_then(|oid| u32::try_from(oid).ok()).and_then(|oid| cx.catalog.relation(RelationId(oid)))
        }
    };
    let (Some(relation), Some(column)) = (relation, column) else { return Ok(None) };
    let columns: Vec<(i64, &str)> = match relation {
        Relation::Table(table) => {
            table.live_columns().map(|(_, column)| (i64::from(column.number), column.name.as_str())).collect()
        }
        Relation::View(view) => (1..).zip(view.columns.iter().map(|column| column.name.as_str())).collect(),
        Relation::Virtual(table) => (1..).zip(table.columns.iter().map(|(name, _)| *name)).collect(),
        _ => Vec::new(),
    };
    let number = match column.as_str() {
        Some(wanted) => Some(columns.iter().find(|(_, name)| *name == wanted).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{wanted}\" of relation \"{}\" does not exist", relation.name()),
            )
        })?),
        None => columns.iter().find(|(number, _)| column.as_i64() == Some(*number)),
    };
    Ok(number.and_then(|(number, _)| i16::try_from(*number).ok()))
}

/// True when `role` is `group` or in it, directly or through others; a superuser is in every one.
pub(super) fn is_member(cx: &SystemContext<'_>, role: &RoleDef, group: RoleId) -> bool {
    role.superuser || cx.catalog.is_member(role.id, group)
}
