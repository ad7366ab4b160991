//! Roles and databases: `pg_authid`, `pg_roles`, `pg_auth_members`, `pg_database` and their views.

use types::{DataType, Result, Value};

use super::privileges::{acl_value, stored_acl};
use super::row::{NULL, array, row};
use super::{RowsFn, SystemContext};
use crate::acl::{AclKind, AclTarget};
use crate::bootstrap::BOOTSTRAP_ROLE;
use crate::object::RoleDef;

pub(super) const VIEWS: &[(&str, RowsFn)] = &[
    ("pg_authid", authid),
    ("pg_roles", roles),
    ("pg_user", |cx| users(cx, false)),
    ("pg_shadow", |cx| users(cx, true)),
    ("pg_group", groups),
    ("pg_auth_members", members),
    ("pg_database", databases),
    ("pg_default_acl", default_acls),
];

type Rows = Result<Vec<Vec<Value>>>;

/// `pg_default`.
pub(super) const DEFAULT_TABLESPACE: u32 = 1663;
/// The encoding UTF8.
pub(super) const UTF8: i32 = 6;

fn timestamp(value: Option<i64>) -> Value {
    value.map_or(Value::Null, Value::Int64)
}

fn authid(cx: &SystemContext<'_>) -> Rows {
    let row = |role: &RoleDef| {
        row![
            role.id.0,
            &role.name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_db,
            role.login,
            role.replication,
            role.bypass_rls,
            role.connection_limit,
            role.password.as_deref().filter(|_| cx.is_superuser()),
            timestamp(role.valid_until),
        ]
    };
    Ok(cx.catalog.roles().map(|role| row(role)).collect())
}

fn roles(cx: &SystemContext<'_>) -> Rows {
    let row = |role: &RoleDef| {
        row![
            &role.name,
            role.superuser,
            role.inherit,
            role.create_role,
            role.create_db,
            role.login,
            role.replication,
            role.connection_limit,
            "********",
            timestamp(role.valid_until),
            role.bypass_rls,
            NULL,
            role.id.0,
        ]
    };
    Ok(cx.catalog.roles().map(|role| row(role)).collect())
}

/// `pg_user`, and with verifiers `pg_shadow`.
fn users(cx: &SystemContext<'_>, shadow: bool) -> Rows {
    let row = |role: &RoleDef| {
        let password = match shadow {
            true => role.password.clone().filter(|_| cx.is_superuser()),
            false => Some("********".to_string()),
        };
        row![
            &role.name,
            role.id.0,
            role.create_db,
            role.superuser,
            role.replication,
            role.bypass_rls,
            password,
            timestamp(role.valid_until),
            NULL
        ]
    };
    Ok(cx.catalog.roles().filter(|role| role.login).map(|role| row(role)).collect())
}

fn groups(cx: &SystemContext<'_>) -> Rows {
    let row = |group: &RoleDef| {
        let members = cx.catalog.roles().filter(|role| role.member_of.contains(&group.id));
        row![&group.name, group.id.0, array(DataType::OID, members.map(|role| role.id.0))]
    };
    Ok(cx.catalog.roles().filter(|role| !role.login).map(|role| row(role)).collect())
}

fn members(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for role in cx.catalog.roles() {
        for group in &role.member_of {
            rows.push(row![group.0, role.id.0, BOOTSTRAP_ROLE.0, role.admin_of.contains(group)]);
        }
    }
    Ok(rows)
}

fn databases(cx: &SystemContext<'_>) -> Rows {
    Ok(cx
        .catalog
        .databases()
        .map(|database| {
            row![
                database.id.0,
                &database.name,
                database.owner.0,
                UTF8,
                'c',
                false,
                database.allow_connections,
                database.connection_limit,
                0_u32,
                0_u32,
                DEFAULT_TABLESPACE,
                "C",
                "C",
                NULL,
                NULL,
                stored_acl(cx, AclTarget::Database(database.id)),
            ]
        })
        .collect())
}

fn default_acls(cx: &SystemContext<'_>) -> Rows {
    let mut rows = Vec::new();
    for def in cx.catalog.acls() {
        let AclTarget::Defaults(role) = def.target else { continue };
        for (position, default) in (0u32..).zip(&def.defaults) {
            let kind = match default.kind {
                AclKind::Sequence => 'S',
                AclKind::Schema => 'n',
                _ => 'r',
            };
            // They have no OIDs of their own: the role's, and which of its defaults it is.
            let oid = role.0.wrapping_shl(4).wrapping_add(position);
            let schema = default.schema.map_or(0, |schema| schema.0);
            rows.push(row![oid, role.0, schema, kind, acl_value(cx, &default.items)]);
        }
    }
    Ok(rows)
}
