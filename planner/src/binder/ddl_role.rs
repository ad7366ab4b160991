//! Roles and databases: what belongs to the server rather than to one database.

use std::sync::Arc;

use catalog::{Relation, RoleDef, RoleId};
use parser::ast;
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::ddl::{invalid_parameter, skipping, undefined_database};
use super::rights::denied;
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
            admin_of: Vec::new(),
        };
        let role = self.role_options(plain, &create.options)?;
        let superuser = self.cx.catalog.is_superuser(self.cx.role);
        let what = [
            (role.superuser, "superusers"),
            (role.replication, "replication users"),
            (role.bypass_rls, "bypassrls users"),
        ];
        match what.iter().find(|(is_one, _)| *is_one && !superuser) {
            Some((_, what)) => return Err(denied(format!("must be superuser to create {what}"))),
            None => self.check_may_manage_roles("create role")?,
        }
        for group in &role.member_of {
            let group = self.role_by_id(*group)?;
            self.check_may_grant(&group)?;
        }
        let mut members = Vec::new();
        for option in &create.options {
            let (roles, admin) = match &option.kind {
                ast::RoleOptionKind::Members(roles) => (roles, false),
                ast::RoleOptionKind::AdminMembers(roles) => (roles, true),
                _ => continue,
            };
            for member in roles {
                let member = self.role(member)?;
                if role.member_of.iter().any(|group| self.cx.catalog.is_member(*group, member.id)) {
                    return Err(circular(&member.name, name));
                }
                members.push((member.id, admin));
            }
        }
        Ok(Ddl::CreateRole { role: Box::new(role), members })
    }

    pub(super) fn alter_role(&mut self, alter: &ast::AlterRoleStmt) -> Result<Ddl> {
        use ast::RoleOptionKind as Kind;
        let role = self.role(&alter.name)?;
        if role.name.starts_with("pg_") {
            return Err(Error::new(
                SqlState::RESERVED_NAME,
                format!("role name \"{}\" is reserved", role.name),
            )
            .with_detail("Cannot alter reserved roles."));
        }
        if let [ast::RoleOption { kind: Kind::Members(members) | Kind::DropMembers(members), .. }] =
            alter.options.as_slice()
        {
            self.check_may_grant(&role)?;
            let grant = matches!(alter.options.first().map(|o| &o.kind), Some(Kind::Members(_)));
            let mut memberships = Vec::new();
            for member in members {
                memberships.push(self.membership(grant, &role, member)?);
            }
            return Ok(Ddl::GrantRole { grant, admin: false, memberships });
        }
        if !self.cx.catalog.is_superuser(self.cx.role) {
            let has = |is_it: fn(&Kind) -> bool| alter.options.iter().any(|option| is_it(&option.kind));
            if role.superuser || has(|kind| matches!(kind, Kind::SuperUser(_))) {
                return Err(denied(
                    "must be superuser to alter superuser roles or change superuser attribute",
                ));
            }
            if role.replication || has(|kind| matches!(kind, Kind::Replication(_))) {
                return Err(denied(
                    "must be superuser to alter replication roles or change replication attribute",
                ));
            }
            if has(|kind| matches!(kind, Kind::BypassRls(_))) {
                return Err(denied("must be superuser to change bypassrls attribute"));
            }
            let creates = self.cx.catalog.role(self.cx.role).is_some_and(|role| role.create_role);
            let own_password = role.id == self.cx.role && !has(|kind| !matches!(kind, Kind::Password(_)));
            if !creates && !own_password {
                return Err(denied("permission denied"));
            }
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
                // The caller's matter: they change other roles.
                Kind::Members(_) | Kind::AdminMembers(_) | Kind::DropMembers(_) => {}
                Kind::SysId(_) => {}
            }
        }
        Ok(role)
    }

    /// 42501 with `message` unless the role creates roles, and is a superuser if `role` is.
    pub(super) fn check_may_alter_role(&self, role: &RoleDef, message: &str) -> Result<()> {
        let Some(own) = self.cx.catalog.role(self.cx.role) else { return Err(denied(message)) };
        match own.superuser || own.create_role && !role.superuser {
            true => Ok(()),
            false if role.superuser => Err(denied("must be superuser to alter superusers")),
            false => Err(denied(message)),
        }
    }

    fn check_may_manage_roles(&self, what: &str) -> Result<()> {
        let allowed =
            self.cx.catalog.role(self.cx.role).is_some_and(|role| role.superuser || role.create_role);
        if allowed {
            return Ok(());
        }
        Err(denied(format!("permission denied to {what}")))
    }

    fn role_by_id(&self, id: RoleId) -> Result<Arc<RoleDef>> {
        self.cx.catalog.role(id).cloned().ok_or_else(|| Error::internal("no such role"))
    }

    /// Who may choose the members of `role`. 42501.
    fn check_may_grant(&self, role: &RoleDef) -> Result<()> {
        let catalog = self.cx.catalog;
        if catalog.is_superuser(self.cx.role) {
            return Ok(());
        }
        if role.superuser {
            return Err(denied("must be superuser to alter superusers"));
        }
        let creates = catalog.role(self.cx.role).is_some_and(|role| role.create_role);
        if creates || catalog.is_admin(self.cx.role, role.id) {
            return Ok(());
        }
        Err(denied(format!("must have admin option on role \"{}\"", role.name)))
    }

    /// The pair (role, member), checked for circles. 0LP01.
    fn membership(&self, grant: bool, role: &RoleDef, member: &ast::RoleSpec) -> Result<(RoleId, RoleId)> {
        let member = self.role(member)?;
        if grant && self.cx.catalog.is_member(role.id, member.id) {
            return Err(circular(&role.name, &member.name));
        }
        Ok((role.id, member.id))
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
            if role.name == self.cx.host.session_user() {
                return Err(Error::new(SqlState::OBJECT_IN_USE, "session user cannot be dropped"));
            }
            if name.starts_with("pg_") {
                return Err(Error::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!("cannot drop role {name} because it is required by the database system"),
                ));
            }
            if role.superuser && !self.cx.catalog.is_superuser(self.cx.role) {
                return Err(denied("must be superuser to drop superusers"));
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
        let mut owned = self.granted_objects(role);
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

    pub(super) fn grant_role(&mut self, grant: &ast::GrantRoleStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        if let Some(by) = &grant.granted_by
            && self.role(by)?.id != self.cx.role
        {
            return Err(Error::not_supported("GRANTED BY another role").at(grant.span));
        }
        let mut memberships = Vec::new();
        for (name, span) in &grant.roles {
            let role = self.role_named(name).map_err(|error| error.at(*span))?;
            self.check_may_grant(&role)?;
            for grantee in &grant.grantees {
                let (id, member) = self.membership(grant.is_grant, &role, grantee)?;
                let member = self.role_by_id(member)?;
                let is_in = member.member_of.contains(&id);
                let is_admin = member.admin_of.contains(&id);
                match (grant.is_grant, is_in) {
                    (true, true) if is_admin || !grant.admin_option => notices.push(skipping(format!(
                        "role \"{}\" is already a member of role \"{}\"",
                        member.name, role.name
                    ))),
                    (false, false) => notices.push(Error::new(
                        SqlState::WARNING,
                        format!("role \"{}\" is not a member of role \"{}\"", member.name, role.name),
                    )),
                    _ => memberships.push((id, member.id)),
                }
            }
        }
        Ok(Ddl::GrantRole { grant: grant.is_grant, admin: grant.admin_option, memberships })
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
        self.check_database_owner(database)?;
        Ok(Ddl::DropDatabase { id: database.id, force: drop.force })
    }
}

/// 0LP01.
fn circular(role: &str, member: &str) -> Error {
    Error::new(SqlState(*b"0LP01"), format!("role \"{role}\" is a member of role \"{member}\""))
}
