//! GRANT and REVOKE of rights on objects, ALTER DEFAULT PRIVILEGES.
//!
//! Each statement comes to the lists of rights as they are to be. Who grants, what is refused and what is only
//! warned about follows `aclchk.c`.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::acl::{
    self, AclDef, AclItem, AclKind, AclTarget, Circular, DefaultAcl, Dependent, EVERYBODY, Rights,
};
use catalog::{Relation, RoleId, SchemaId};
use parser::ast::{self, DropBehavior, GrantObjects, GrantStmt, ObjectRef, ObjectType};
use types::{Error, Result, SqlState};

use super::Binder;
use super::ddl::undefined_database;
use super::rights::{denied, owner_of};
use crate::ddl::Ddl;

/// The lists being changed, each once.
#[derive(Default)]
pub(super) struct Acls {
    changed: BTreeMap<AclTarget, AclDef>,
}

impl Acls {
    pub(super) fn edit(&mut self, catalog: &catalog::Catalog, target: AclTarget) -> &mut AclDef {
        self.changed.entry(target).or_insert_with(|| {
            catalog.acl(target).map_or_else(|| AclDef::empty(target), |def| def.as_ref().clone())
        })
    }

    pub(super) fn into_ddl(self) -> Ddl {
        Ddl::SetAcls(self.changed.into_values().map(Arc::new).collect())
    }
}

/// What a statement grants or revokes, and to whom, on objects of one kind.
struct Change<'s> {
    statement: &'s GrantStmt,
    grantees: Vec<RoleId>,
}

/// One right of the list, as written: `None` is ALL.
struct Wanted {
    rights: Option<Rights>,
    columns: Vec<String>,
}

impl Binder<'_> {
    pub(super) fn grant(&mut self, grant: &GrantStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        if let Some(by) = &grant.granted_by
            && self.role(by)?.id != self.cx.role
        {
            return Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, "grantor must be current user"));
        }
        let change = Change { statement: grant, grantees: self.grantees(grant)? };
        let mut acls = Acls::default();
        match grant.object_type {
            ObjectType::Table | ObjectType::Sequence => {
                let wanted = wanted(grant)?;
                check_kinds(&wanted, grant.object_type)?;
                for relation in self.granted_relations(grant)? {
                    self.grant_on_relation(&relation, &wanted, &change, &mut acls, notices)?;
                }
            }
            ObjectType::Schema => {
                let rights = whole_rights(grant, AclKind::Schema, "schema")?;
                for name in names(grant)? {
                    let schema = self.cx.catalog.schema(self.schema_named(name)?);
                    let schema = schema.ok_or_else(|| Error::internal("no such schema"))?;
                    let target = AclTarget::Schema(schema.id);
                    let what =
                        Granted { kind: AclKind::Schema, target, owner: schema.owner, name: &schema.name };
                    self.grant_on(&what, "schema", rights, &change, &mut acls, notices)?;
                }
            }
            ObjectType::Database => {
                let rights = whole_rights(grant, AclKind::Database, "database")?;
                for name in names(grant)? {
                    let name = name.parts.join(".");
                    let database = self.cx.catalog.database_by_name(&name);
                    let database = database.ok_or_else(|| undefined_database(&name))?;
                    let target = AclTarget::Database(database.id);
                    let what =
                        Granted { kind: AclKind::Database, target, owner: database.owner, name: &name };
                    self.grant_on(&what, "database", rights, &change, &mut acls, notices)?;
                }
            }
            // Functions, types and languages are all built in, and open to everybody.
            kind => {
                let verb = if grant.is_grant { "GRANT" } else { "REVOKE" };
                return Err(Error::not_supported(format!("{verb} on a {}", kind.keyword().to_lowercase()))
                    .with_hint(
                        "Rights are kept for databases, schemas, tables, columns, views and sequences.",
                    )
                    .at(grant.span));
            }
        }
        Ok(acls.into_ddl())
    }

    fn grantees(&self, grant: &GrantStmt) -> Result<Vec<RoleId>> {
        let mut grantees = Vec::with_capacity(grant.grantees.len());
        for role in &grant.grantees {
            grantees.push(match role.kind {
                ast::RoleSpecKind::Public if grant.is_grant && grant.grant_option => {
                    return Err(invalid_grant("grant options can only be granted to roles"));
                }
                ast::RoleSpecKind::Public => EVERYBODY,
                _ => self.role(role)?.id,
            });
        }
        Ok(grantees)
    }

    fn granted_relations(&self, grant: &GrantStmt) -> Result<Vec<Relation>> {
        let sequences = grant.object_type == ObjectType::Sequence;
        match &grant.objects {
            GrantObjects::AllInSchema(schemas) => {
                let mut found = Vec::new();
                for name in schemas {
                    let schema = self
                        .cx
                        .catalog
                        .schema_by_name(name)
                        .ok_or_else(|| catalog::catalog::undefined_schema(name))?
                        .id;
                    let fits = |relation: &&Relation| match relation {
                        Relation::Table(_) | Relation::View(_) => !sequences,
                        Relation::Sequence(_) => sequences,
                        Relation::Index { .. } | Relation::Virtual(_) => false,
                    };
                    let relations = self.cx.catalog.relations();
                    found.extend(relations.filter(|r| r.schema() == schema).filter(fits).cloned());
                }
                Ok(found)
            }
            _ => {
                let mut found = Vec::new();
                for name in names(grant)? {
                    let relation = self.relation_named(name)?;
                    let shown = relation.name();
                    let wrong = |what: &str| Err(Error::new(SqlState::WRONG_OBJECT_TYPE, what.to_string()));
                    match &relation {
                        Relation::Index { .. } => return wrong(&format!("\"{shown}\" is an index")),
                        Relation::Virtual(_) => {
                            return Err(Error::not_supported(format!(
                                "rights on the system's view \"{shown}\""
                            ))
                            .with_hint("The system's views show each role what it may see.")
                            .at(name.span));
                        }
                        Relation::Table(_) | Relation::View(_) if sequences => {
                            return wrong(&format!("\"{shown}\" is not a sequence"));
                        }
                        _ => found.push(relation),
                    }
                }
                Ok(found)
            }
        }
    }

    fn grant_on_relation(
        &self,
        relation: &Relation,
        wanted: &[Wanted],
        change: &Change<'_>,
        acls: &mut Acls,
        notices: &mut Vec<Error>,
    ) -> Result<()> {
        let owner = owner_of(relation).ok_or_else(|| Error::internal("a relation without an owner"))?;
        let is_sequence = matches!(relation, Relation::Sequence(_));
        let kind = if is_sequence { AclKind::Sequence } else { AclKind::Table };
        let target = AclTarget::Relation(relation.id());
        let name = relation.name();
        let mut rights = Rights::NONE;
        for wanted in wanted.iter().filter(|wanted| wanted.columns.is_empty()) {
            rights = rights.or(wanted.rights.unwrap_or(kind.all()));
        }
        let odd = rights.without(kind.all());
        if !odd.is_empty() && is_sequence {
            let message = format!("sequence \"{name}\" only supports USAGE, SELECT, and UPDATE privileges");
            notices.push(Error::new(SqlState::WARNING, message));
            rights = rights.and(kind.all());
        } else if let Some(word) = odd.words().next() {
            return Err(invalid_grant(format!("invalid privilege type {word} for table")));
        }
        // What is taken from the whole is taken from each of its columns.
        let mut by_column: BTreeMap<i16, Rights> = BTreeMap::new();
        if !change.statement.is_grant {
            let own = self.cx.catalog.acl(target);
            for (number, _) in own.iter().flat_map(|def| &def.columns) {
                by_column.insert(*number, rights.and(AclKind::Column.all()));
            }
        }
        let mut said = Vec::new();
        for wanted in wanted {
            for column in &wanted.columns {
                let number = column_number(relation, column)?;
                let right = wanted.rights.unwrap_or(AclKind::Column.all());
                let so_far = by_column.entry(number).or_default();
                *so_far = so_far.or(right);
                said.push(number);
            }
        }
        if said.is_empty() || wanted.iter().any(|wanted| wanted.columns.is_empty()) {
            let what = Granted { kind, target, owner, name };
            self.grant_on(&what, relation.kind_name(), rights, change, acls, notices)?;
        }
        for (number, rights) in by_column {
            let def = acls.edit(self.cx.catalog, target);
            let mut items = def.column(number).to_vec();
            let mut all = def.items.clone().unwrap_or_else(|| self.cx.catalog.acl_items(target, kind, owner));
            all.extend_from_slice(&items);
            let (grantor, available) = self.grantor(&all, owner, AclKind::Column, rights);
            let given = rights.and(available);
            if said.contains(&number) {
                if available.is_empty() && !self.cx.catalog.rights_in(self.cx.role, &all).has_any(kind.all())
                {
                    return Err(denied(format!("permission denied for {} {name}", relation.kind_name())));
                }
                let column = column_name(relation, number);
                let shown = format!("column \"{column}\" of relation \"{name}\"");
                self.warn(rights, given, change.statement, &shown, notices);
            }
            apply(&mut items, &change.grantees, grantor, given, change.statement, owner)?;
            let def = acls.edit(self.cx.catalog, target);
            def.columns.retain(|(known, _)| *known != number);
            if !items.is_empty() {
                def.columns.push((number, items));
                def.columns.sort_by_key(|(number, _)| *number);
            }
        }
        Ok(())
    }

    fn grant_on(
        &self,
        what: &Granted<'_>,
        kind_name: &str,
        rights: Rights,
        change: &Change<'_>,
        acls: &mut Acls,
        notices: &mut Vec<Error>,
    ) -> Result<()> {
        let catalog = self.cx.catalog;
        let def = acls.edit(catalog, what.target);
        let mut items =
            def.items.clone().unwrap_or_else(|| catalog.acl_items(what.target, what.kind, what.owner));
        let (grantor, available) = self.grantor(&items, what.owner, what.kind, rights);
        if available.is_empty() && catalog.rights_in(self.cx.role, &items).is_empty() {
            return Err(denied(format!("permission denied for {kind_name} {}", what.name)));
        }
        let given = rights.and(available);
        let shown = format!("\"{}\"", what.name);
        self.warn(rights, given, change.statement, &shown, notices);
        apply(&mut items, &change.grantees, grantor, given, change.statement, what.owner)?;
        def.items = Some(items);
        Ok(())
    }

    /// Who is said to grant, and which of `rights` it may: the owner if the role has its rights, else the one
    /// among its roles with most of the grant options asked for.
    fn grantor(&self, items: &[AclItem], owner: RoleId, kind: AclKind, rights: Rights) -> (RoleId, Rights) {
        let catalog = self.cx.catalog;
        if self.acts_for(owner) {
            return (owner, kind.all());
        }
        let mut best = (self.cx.role, Rights::NONE);
        for role in catalog.roles().filter(|role| catalog.has_rights_of(self.cx.role, role.id)) {
            let options = acl::grantable(items, role.id, owner, kind);
            let (count, most) = (options.and(rights).0.count_ones(), best.1.and(rights).0.count_ones());
            if count > most || (best.1.is_empty() && !options.is_empty()) {
                best = (role.id, options);
            }
        }
        best
    }

    /// 01007 and 01006, when not all that was asked for could be done.
    fn warn(&self, asked: Rights, given: Rights, grant: &GrantStmt, what: &str, notices: &mut Vec<Error>) {
        let all = grant.privileges.is_empty();
        let (code, verb) = match grant.is_grant {
            true => (SqlState::PRIVILEGE_NOT_GRANTED, "were granted"),
            false => (SqlState::PRIVILEGE_NOT_REVOKED, "could be revoked"),
        };
        if given.is_empty() && !asked.is_empty() {
            notices.push(Error::new(code, format!("no privileges {verb} for {what}")));
        } else if given != asked && !all {
            notices.push(Error::new(code, format!("not all privileges {verb} for {what}")));
        }
    }

    // ---- ALTER DEFAULT PRIVILEGES ----

    pub(super) fn alter_default_privileges(
        &mut self,
        alter: &ast::AlterDefaultPrivilegesStmt,
    ) -> Result<Ddl> {
        let grant = &alter.grant;
        let (kind, word) = match grant.object_type {
            ObjectType::Table => (AclKind::Table, "relation"),
            ObjectType::Sequence => (AclKind::Sequence, "sequence"),
            ObjectType::Schema => (AclKind::Schema, "schema"),
            other => {
                let what = format!("ALTER DEFAULT PRIVILEGES for a {}", other.keyword().to_lowercase());
                return Err(Error::not_supported(what)
                    .with_hint("There are no objects of this kind but those built in.")
                    .at(grant.span));
            }
        };
        let rights = whole_rights(grant, kind, word)?;
        if kind == AclKind::Schema && !alter.schemas.is_empty() {
            return Err(invalid_grant("cannot use IN SCHEMA clause when using GRANT/REVOKE ON SCHEMAS"));
        }
        let grantees = self.grantees(grant)?;
        let mut roles = Vec::new();
        for role in &alter.roles {
            let role = self.role(role)?.id;
            if !self.acts_for(role) {
                self.check_member(role)?;
            }
            roles.push(role);
        }
        if alter.roles.is_empty() {
            roles.push(self.cx.role);
        }
        let mut schemas: Vec<Option<SchemaId>> = Vec::new();
        for name in &alter.schemas {
            let schema = self.cx.catalog.schema_by_name(name);
            schemas.push(Some(schema.ok_or_else(|| catalog::catalog::undefined_schema(name))?.id));
        }
        if alter.schemas.is_empty() {
            schemas.push(None);
        }
        let mut acls = Acls::default();
        for role in roles {
            for schema in &schemas {
                let def = acls.edit(self.cx.catalog, AclTarget::Defaults(role));
                let built_in = match schema {
                    Some(_) => Vec::new(),
                    None => acl::default_items(kind, role, Rights::NONE),
                };
                let at = def.defaults.iter().position(|known| known.schema == *schema && known.kind == kind);
                let mut items = at.map_or_else(|| built_in.clone(), |at| def.defaults.remove(at).items);
                apply(&mut items, &grantees, role, rights, grant, role)?;
                if !acl::same(&items, &built_in) {
                    def.defaults.push(DefaultAcl { schema: *schema, kind, items });
                }
            }
        }
        Ok(acls.into_ddl())
    }
}

/// An object whose list changes.
struct Granted<'a> {
    kind: AclKind,
    target: AclTarget,
    owner: RoleId,
    name: &'a str,
}

fn apply(
    items: &mut Vec<AclItem>,
    grantees: &[RoleId],
    grantor: RoleId,
    rights: Rights,
    statement: &GrantStmt,
    owner: RoleId,
) -> Result<()> {
    let (option, cascade) = (statement.grant_option, statement.behavior == DropBehavior::Cascade);
    for grantee in grantees {
        if statement.is_grant {
            acl::grant_checked(items, *grantee, grantor, rights, option, owner).map_err(|Circular| {
                invalid_grant("grant options cannot be granted back to your own grantor")
            })?;
        } else {
            acl::revoke(items, *grantee, grantor, rights, option, cascade, owner).map_err(|Dependent| {
                Error::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist")
                    .with_hint("Use CASCADE to revoke them too.")
            })?;
        }
    }
    Ok(())
}

/// The rights as written. 42601 for a word that is none.
fn wanted(grant: &GrantStmt) -> Result<Vec<Wanted>> {
    if grant.privileges.is_empty() {
        return Ok(vec![Wanted { rights: None, columns: Vec::new() }]);
    }
    let read = |privilege: &ast::Privilege| {
        let rights = match privilege.name.as_str() {
            "" => None,
            word => Some(
                Rights::named(word)
                    .ok_or_else(|| Error::syntax(format!("unrecognized privilege type \"{word}\"")))?,
            ),
        };
        Ok(Wanted { rights, columns: privilege.columns.clone() })
    };
    grant.privileges.iter().map(read).collect()
}

/// 0LP01 for rights that tables (or sequences, or columns) do not have.
fn check_kinds(wanted: &[Wanted], kind: ObjectType) -> Result<()> {
    let (known, word) = match kind {
        ObjectType::Sequence => (AclKind::Sequence.all(), "sequence"),
        _ => (AclKind::Table.all().or(AclKind::Sequence.all()), "relation"),
    };
    for wanted in wanted {
        let (known, word) = match (wanted.columns.is_empty(), kind) {
            (true, _) => (known, word),
            (false, ObjectType::Sequence) => {
                return Err(invalid_grant("column privileges are only valid for relations"));
            }
            (false, _) => (AclKind::Column.all(), "column"),
        };
        let odd = wanted.rights.unwrap_or_default().without(known);
        if let Some(privilege) = odd.words().next() {
            return Err(invalid_grant(format!("invalid privilege type {privilege} for {word}")));
        }
    }
    Ok(())
}

/// The rights of a statement about objects without columns. 0LP01.
fn whole_rights(grant: &GrantStmt, kind: AclKind, word: &str) -> Result<Rights> {
    let mut rights = Rights::NONE;
    for wanted in wanted(grant)? {
        if !wanted.columns.is_empty() {
            return Err(invalid_grant("column privileges are only valid for relations"));
        }
        let these = wanted.rights.unwrap_or(kind.all());
        if let Some(privilege) = these.without(kind.all()).words().next() {
            return Err(invalid_grant(format!("invalid privilege type {privilege} for {word}")));
        }
        rights = rights.or(these);
    }
    Ok(rights)
}

fn names(grant: &GrantStmt) -> Result<Vec<&ast::QualifiedName>> {
    let GrantObjects::Named(objects) = &grant.objects else { return Ok(Vec::new()) };
    objects
        .iter()
        .map(|object| match object {
            ObjectRef::Name(name) => Ok(name),
            other => Err(Error::internal("an object without a name").at(other.span())),
        })
        .collect()
}

/// 42703.
fn column_number(relation: &Relation, column: &str) -> Result<i16> {
    let number = match relation {
        Relation::Table(table) => {
            table.column_index(column).and_then(|at| table.columns.get(at)).map(|column| column.number)
        }
        Relation::View(view) => {
            let at = view.columns.iter().position(|other| other.name == column);
            at.and_then(|at| i16::try_from(at + 1).ok())
        }
        _ => None,
    };
    number.ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{column}\" of relation \"{}\" does not exist", relation.name()),
        )
    })
}

fn column_name(relation: &Relation, number: i16) -> &str {
    let name = match relation {
        Relation::Table(table) => {
            table.columns.iter().find(|column| column.number == number).map(|column| column.name.as_str())
        }
        Relation::View(view) => {
            let at = usize::try_from(number - 1).unwrap_or(usize::MAX);
            view.columns.get(at).map(|column| column.name.as_str())
        }
        _ => None,
    };
    name.unwrap_or("")
}

/// 0LP01.
fn invalid_grant(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_GRANT_OPERATION, message)
}
