//! What an empty data directory starts with.

use std::sync::Arc;

use crate::catalog::{INFORMATION_SCHEMA, PG_CATALOG, PUBLIC};
use crate::change::{CatalogChange, Object};
use crate::object::{DatabaseDef, DatabaseId, RoleDef, RoleId, SchemaDef};

/// The role `postgres`, PostgreSQL's bootstrap superuser OID.
pub const BOOTSTRAP_ROLE: RoleId = RoleId(10);
/// The database `postgres`.
pub const POSTGRES_DATABASE: DatabaseId = DatabaseId(5);

/// A superuser that may log in.
pub fn superuser(id: RoleId, name: &str) -> RoleDef {
    RoleDef {
        id,
        name: name.to_string(),
        superuser: true,
        inherit: true,
        create_role: true,
        create_db: true,
        login: true,
        replication: true,
        bypass_rls: true,
        connection_limit: -1,
        password: None,
        valid_until: None,
        member_of: Vec::new(),
        admin_of: Vec::new(),
    }
}

/// Roles that every server has, with PostgreSQL's OIDs: their rights are in the code, their members anybody's.
pub const MONITOR: RoleId = RoleId(3373);
pub const READ_ALL_SETTINGS: RoleId = RoleId(3374);
pub const READ_ALL_STATS: RoleId = RoleId(3375);
pub const STAT_SCAN_TABLES: RoleId = RoleId(3377);
pub const READ_SERVER_FILES: RoleId = RoleId(4569);
pub const WRITE_SERVER_FILES: RoleId = RoleId(4570);
pub const EXECUTE_SERVER_PROGRAM: RoleId = RoleId(4571);
/// Its one member is whoever owns the current database.
pub const DATABASE_OWNER: RoleId = RoleId(6171);
pub const READ_ALL_DATA: RoleId = RoleId(6181);
pub const WRITE_ALL_DATA: RoleId = RoleId(6182);
pub const SIGNAL_BACKEND: RoleId = RoleId(4200);
pub const CHECKPOINT: RoleId = RoleId(4544);

/// The definitions of those roles; they are in every catalog and never stored.
pub fn predefined_roles() -> impl Iterator<Item = RoleDef> {
    const ROLES: [(RoleId, &str, &[RoleId]); 12] = [
        (MONITOR, "pg_monitor", &[READ_ALL_SETTINGS, READ_ALL_STATS, STAT_SCAN_TABLES]),
        (READ_ALL_SETTINGS, "pg_read_all_settings", &[]),
        (READ_ALL_STATS, "pg_read_all_stats", &[]),
        (STAT_SCAN_TABLES, "pg_stat_scan_tables", &[]),
        (SIGNAL_BACKEND, "pg_signal_backend", &[]),
        (READ_SERVER_FILES, "pg_read_server_files", &[]),
        (WRITE_SERVER_FILES, "pg_write_server_files", &[]),
        (EXECUTE_SERVER_PROGRAM, "pg_execute_server_program", &[]),
        (CHECKPOINT, "pg_checkpoint", &[]),
        (DATABASE_OWNER, "pg_database_owner", &[]),
        (READ_ALL_DATA, "pg_read_all_data", &[]),
        (WRITE_ALL_DATA, "pg_write_all_data", &[]),
    ];
    ROLES.into_iter().map(|(id, name, member_of)| RoleDef {
        superuser: false,
        create_role: false,
        create_db: false,
        login: false,
        replication: false,
        bypass_rls: false,
        member_of: member_of.to_vec(),
        ..superuser(id, name)
    })
}

/// A database that takes connections.
pub fn database(id: DatabaseId, name: &str, owner: RoleId) -> DatabaseDef {
    DatabaseDef { id, name: name.to_string(), owner, allow_connections: true, connection_limit: -1 }
}

/// The server's own objects: superusers `postgres` and `user`, and a database of each name.
/// `next_oid` gives the OIDs of the second pair when `user` is another name.
pub fn shared_objects(user: &str, mut next_oid: impl FnMut() -> u32) -> CatalogChange {
    let mut puts = vec![
        Object::Role(Arc::new(superuser(BOOTSTRAP_ROLE, "postgres"))),
        Object::Database(Arc::new(database(POSTGRES_DATABASE, "postgres", BOOTSTRAP_ROLE))),
    ];
    if user != "postgres" && !user.is_empty() {
        let role = RoleId(next_oid());
        puts.push(Object::Role(Arc::new(superuser(role, user))));
        puts.push(Object::Database(Arc::new(database(DatabaseId(next_oid()), user, role))));
    }
    CatalogChange { drops: Vec::new(), puts }
}

/// A new database's schemas.
pub fn database_objects() -> CatalogChange {
    let schema = |id, name: &str, owner: RoleId, comment: &str| {
        Object::Schema(Arc::new(SchemaDef {
            id,
            name: name.to_string(),
            owner,
            comment: Some(comment.to_string()).filter(|text| !text.is_empty()),
        }))
    };
    CatalogChange {
        drops: Vec::new(),
        puts: vec![
            schema(PG_CATALOG, "pg_catalog", BOOTSTRAP_ROLE, "system catalog schema"),
            schema(PUBLIC, "public", DATABASE_OWNER, "standard public schema"),
            schema(INFORMATION_SCHEMA, "information_schema", BOOTSTRAP_ROLE, ""),
        ],
    }
}
