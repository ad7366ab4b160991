//! Roles and databases: what belongs to the server rather than to one database.

use std::sync::Arc;

use catalog::{Relation, RoleDef, RoleId};
use parser::ast;
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::ddl::{invalid_parameter, skipping, undefined_database};
use crate::ddl::Ddl;

impl Binder<'_> {
    pub(super) fn role_named(&self, name: &str) -> Result<Arc<RoleDef>> {
        self.cx
            .catalog
            .role_by_name(name)
            .cloned()
            .ok_or_else(|| Error::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
    }

    pub(super) fn role(&self, role: &ast::RoleSpec) -> Result<Arc<RoleDef>> {
        match &role.kind {
            ast::RoleSpecKind::Name(name) => self.role_named(name),
            ast::RoleSpecKind::CurrentRole | ast::RoleSpecKind::CurrentUser => {
                self.role_named(self.cx.role_name())
            }
            ast::RoleSpecKind::SessionUser => self.role_named(&self.cx.host.session_user()),
            ast::RoleSpecKind::Public => {
                Err(Error::new(SqlState::UNDEFINED_OBJECT, "role \"public\" does not exist").at(role.span))
            }
        }
    }

    pub(super) fn create_role(&mut self, create: &ast::CreateRoleStmt) -> Result<Ddl> {
        let ast::RoleSpecKind::Name(name) = &create.name.kind else {
            return Err(Error::new(SqlState::RESERVED_NAME, "a key word cannot be used as a role name here")
                .at(create.name.span));
        };
        if name.starts_with("pg_") {
            return Err(Error::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
                .with_detail("Role names starting with \"pg_\" are reserved."));
        }
        self.check_may_manage_roles("create role")?;
        if self.cx.catalog.role_by_name(name).is_some() {
            return Err(Error::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")));
        }
        let plain = RoleDef {
            id: RoleId(0),
            name: name.clone(),
            superuser: false,
            inherit: true,
            create_role: false,
            create_db: false,
            login: create.kind == ast::RoleStmtKind::User,
            replication: false,
            bypass_rls: false,
            connection_limit: -1,
            password: None,
            valid_until: None,
            member_of: Vec::new(),
        };
        Ok(Ddl::CreateRole(Box::new(self.role_options(plain, &create.options)?)))
    }

    pub(super) fn alter_role(&mut self, alter: &ast::AlterRoleStmt) -> Result<Ddl> {
        let role = self.role(&alter.name)?;
        if role.id != self.cx.role {
            self.check_may_manage_roles("alter role")?;
        }
        Ok(Ddl::AlterRole(Box::new(self.role_options((*role).clone(), &alter.options)?)))
    }

    fn role_options(&self, mut role: RoleDef, options: &[ast::RoleOption]) -> Result<RoleDef> {
        use ast::RoleOptionKind as Kind;
        for option in options {
            match &option.kind {
                Kind::SuperUser(on) => role.superuser = *on,
                Kind::CreateDb(on) => role.create_db = *on,
                Kind::CreateRole(on) => role.create_role = *on,
                Kind::Inherit(on) => role.inherit = *on,
                Kind::Login(on) => role.login = *on,
                Kind::Replication(on) => role.replication = *on,
                Kind::BypassRls(on) => role.bypass_rls = *on,
                Kind::ConnectionLimit(limit) => {
                    role.connection_limit = i32::try_from(*limit)
                        .ok()
                        .filter(|limit| *limit >= -1)
                        .ok_or_else(|| invalid_parameter(format!("invalid connection limit: {limit}")))?;
                }
                // The plain text: the session turns it into a SCRAM verifier before it is stored.
                Kind::Password(password) => role.password.clone_from(password),
                Kind::ValidUntil(text) => {
                    let value = self.cx.parse_literal(text, DataType::TIMESTAMPTZ)?;
                    role.valid_until = value.as_i64();
                }
                Kind::InRole(roles) => {
                    for other in roles {
                        let id = self.role(other)?.id;
                        if !role.member_of.contains(&id) {
                            role.member_of.push(id);
                        }
                    }
                }
                Kind::Members(_) | Kind::AdminMembers(_) | Kind::DropMembers(_) => {
                    return Err(Error::not_supported("ROLE, ADMIN and USER lists of a role")
                        .with_hint("Use GRANT role TO member.")
                        .at(option.span));
                }
                Kind::SysId(_) => {}
            }
        }
        Ok(role)
    }

    fn check_may_manage_roles(&self, what: &str) -> Result<()> {
        let allowed =
            self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser || role.create_role);
        if allowed {
            return Ok(());
        }
        Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, format!("permission denied to {what}")))
    }

    pub(super) fn drop_roles(&mut self, drop: &ast::DropRoleStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        self.check_may_manage_roles("drop role")?;
        let mut roles = Vec::new();
        for spec in &drop.roles {
            let ast::RoleSpecKind::Name(name) = &spec.kind else {
                return Err(Error::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    "cannot use special role specifier in DROP ROLE",
                ));
            };
            let Some(role) = self.cx.catalog.role_by_name(name) else {
                if drop.missing_ok {
                    notices.push(skipping(format!("role \"{name}\" does not exist, skipping")));
                    continue;
                }
                return Err(Error::new(
                    SqlState::UNDEFINED_OBJECT,
                    format!("role \"{name}\" does not exist"),
                ));
            };
            if role.id == self.cx.role {
                return Err(Error::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
            }
            let owned = self.owned_objects(role.id);
            if !owned.is_empty() {
                return Err(Error::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("role \"{name}\" cannot be dropped because some objects depend on it"),
                )
                .with_detail(owned.join("\n")));
            }
            roles.push(role.id);
        }
        Ok(if roles.is_empty() { Ddl::Nothing } else { Ddl::DropRoles(roles) })
    }

    /// What a role owns, as DROP ROLE lists it.
    fn owned_objects(&self, role: RoleId) -> Vec<String> {
        let catalog = self.cx.catalog;
        let mut owned = Vec::new();
        for database in catalog.databases().filter(|database| database.owner == role) {
            owned.push(format!("owner of database {}", database.name));
        }
        for schema in catalog.schemas().filter(|schema| schema.owner == role) {
            owned.push(format!("owner of schema {}", schema.name));
        }
        for relation in catalog.relations() {
            let owner = match relation {
                Relation::Table(table) => table.owner,
                Relation::View(view) => view.owner,
                Relation::Sequence(sequence) if sequence.owned_by.is_none() => sequence.owner,
                _ => continue,
            };
            if owner == role {
                owned.push(format!("owner of {} {}", relation.kind_name(), relation.name()));
            }
        }
        owned
    }

    pub(super) fn grant_role(&mut self, grant: &ast::GrantRoleStmt) -> Result<Ddl> {
        self.check_may_manage_roles("grant role")?;
        if grant.admin_option {
            return Err(Error::not_supported("WITH ADMIN OPTION").at(grant.span));
        }
        if grant.granted_by.is_some() {
            return Err(Error::not_supported("GRANTED BY").at(grant.span));
        }
        let mut memberships = Vec::new();
        for (name, span) in &grant.roles {
            let role = self.role_named(name).map_err(|error| error.at(*span))?;
            for grantee in &grant.grantees {
                let member = self.role(grantee)?;
                let circular = grant.is_grant && (member.id == role.id || self.is_member(role.id, member.id));
                if circular {
                    return Err(Error::new(
                        SqlState(*b"0LP01"),
                        format!("role \"{}\" is a member of role \"{}\"", role.name, member.name),
                    ));
                }
                memberships.push((role.id, member.id));
            }
        }
        Ok(Ddl::GrantRole { grant: grant.is_grant, memberships })
    }

    pub(super) fn create_database(&mut self, create: &ast::CreateDatabaseStmt) -> Result<Ddl> {
        let allowed = self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser || role.create_db);
        if !allowed {
            return Err(Error::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to create database"));
        }
        if self.cx.catalog.database_by_name(&create.name).is_some() {
            return Err(Error::new(
                SqlState::DUPLICATE_DATABASE,
                format!("database \"{}\" already exists", create.name),
            ));
        }
        let (mut owner, mut connection_limit, mut allow_connections) = (self.cx.role, -1, true);
        for option in &create.options {
            let text = match &option.value {
                Some(ast::DefValue::String(text) | ast::DefValue::Word(text)) => Some(text.as_str()),
                _ => None,
            };
            match (option.name.as_str(), text, &option.value) {
                (_, _, None) | (_, Some("default"), _) => {}
                ("owner", Some(name), _) => owner = self.role_named(name)?.id,
                ("template", Some("template0" | "template1"), _) => {}
                ("encoding", Some(name), _)
                    if matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") => {}
                ("locale" | "lc_collate" | "lc_ctype", Some("C" | "POSIX" | "C.UTF-8" | "C.utf8"), _) => {}
                ("connection_limit" | "connection limit", _, Some(ast::DefValue::Integer(limit))) => {
                    connection_limit = i32::try_from(*limit)
                        .ok()
                        .filter(|limit| *limit >= -1)
                        .ok_or_else(|| invalid_parameter(format!("invalid connection limit: {limit}")))?;
                }
                ("allow_connections", Some(word), _) => allow_connections = matches!(word, "true" | "on"),
                ("is_template", Some("false" | "off"), _) => {}
                (name, _, _) => {
                    return Err(Error::not_supported(format!("database option \"{name}\" with this value"))
                        .with_hint("Databases are UTF8 with the locale C.")
                        .at(option.span));
                }
            }
        }
        Ok(Ddl::CreateDatabase { name: create.name.clone(), owner, connection_limit, allow_connections })
    }

    pub(super) fn drop_database(
        &mut self,
        drop: &ast::DropDatabaseStmt,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let Some(database) = self.cx.catalog.database_by_name(&drop.name) else {
            if drop.missing_ok {
                notices.push(skipping(format!("database \"{}\" does not exist, skipping", drop.name)));
                return Ok(Ddl::Nothing);
            }
            return Err(undefined_database(&drop.name));
        };
        if database.id == self.cx.database {
            return Err(Error::new(SqlState::OBJECT_IN_USE, "cannot drop the currently open database"));
        }
        let superuser = self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser);
        if !superuser && database.owner != self.cx.role {
            return Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("must be owner of database {}", drop.name),
            ));
        }
        Ok(Ddl::DropDatabase { id: database.id, force: drop.force })
    }
}
