//! REASSIGN OWNED and DROP OWNED: all that a role has in this database.

use std::collections::BTreeSet;

use catalog::acl::AclTarget;
use catalog::{Relation, RoleId, bootstrap};
use parser::ast;
use types::{Error, Result, SqlState};

use super::Binder;
use super::ddl::relation_object;
use super::ddl_grant::Acls;
use super::rights::{denied, owner_of};
use crate::ddl::{Ddl, DropObjects, ObjectId};

impl Binder<'_> {
    pub(super) fn owned(&mut self, owned: &ast::OwnedStmt, notices: &mut Vec<Error>) -> Result<Ddl> {
        let drops = owned.new_owner.is_none();
        let verb = if drops { "drop" } else { "reassign" };
        let mut roles = Vec::new();
        for role in &owned.roles {
            let role = self.role(role)?;
            if !self.acts_for(role.id) {
                return Err(denied(format!("permission denied to {verb} objects")));
            }
            if role.id == bootstrap::BOOTSTRAP_ROLE {
                return Err(Error::new(
                    SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
                    format!(
                        "cannot {verb} {} owned by role {} because they are required by the database system",
                        if drops { "objects" } else { "ownership of objects" },
                        role.name
                    ),
                ));
            }
            roles.push(role.id);
        }
        let Some(owner) = &owned.new_owner else { return self.drop_owned(&roles, owned.behavior, notices) };
        let owner = self.role(owner)?.id;
        if !self.acts_for(owner) {
            return Err(denied("permission denied to reassign objects"));
        }
        let mut objects = self.objects_of(&roles);
        objects.extend(
            self.cx
                .catalog
                .databases()
                .filter(|d| roles.contains(&d.owner))
                .map(|d| ObjectId::Database(d.id)),
        );
        let give = |object| Ddl::SetOwner { object, owner };
        Ok(Ddl::Several(objects.into_iter().map(give).collect()))
    }

    fn drop_owned(
        &mut self,
        roles: &[RoleId],
        behavior: ast::DropBehavior,
        notices: &mut Vec<Error>,
    ) -> Result<Ddl> {
        let named = self.objects_of(roles);
        let objects = self.with_dependents(&named, behavior, notices)?;
        let mut acls = Acls::default();
        let targets: Vec<AclTarget> = self
            .cx
            .catalog
            .acls()
            .filter(|def| {
                let own = matches!(def.target, AclTarget::Defaults(role) if roles.contains(&role));
                own || def.all_items().any(|item| roles.contains(&item.grantee))
            })
            .map(|def| def.target)
            .collect();
        for target in targets {
            let def = acls.edit(self.cx.catalog, target);
            for role in roles {
                match target {
                    AclTarget::Defaults(of) if of == *role => def.defaults.clear(),
                    _ => def.forget(*role),
                }
            }
        }
        // Objects last: their own lists go with them.
        Ok(Ddl::Several(vec![acls.into_ddl(), Ddl::Drop(DropObjects { objects, named })]))
    }

    /// What the roles own in this database; a column's sequence and a table's index go with the table.
    fn objects_of(&self, roles: &[RoleId]) -> Vec<ObjectId> {
        let mut objects: Vec<ObjectId> = Vec::new();
        for relation in self.cx.catalog.relations() {
            let is_part = match relation {
                Relation::Index { .. } => true,
                Relation::Sequence(sequence) => sequence.owned_by.is_some(),
                _ => false,
            };
            if !is_part && owner_of(relation).is_some_and(|owner| roles.contains(&owner)) {
                objects.push(relation_object(relation));
            }
        }
        for schema in self.cx.catalog.schemas().filter(|schema| roles.contains(&schema.owner)) {
            objects.push(ObjectId::Schema(schema.id));
        }
        objects
    }

    /// The lists that a role is named in, as DROP ROLE tells of them.
    pub(super) fn granted_objects(&self, role: RoleId) -> Vec<String> {
        let catalog = self.cx.catalog;
        let mut found = BTreeSet::new();
        for def in catalog.acls() {
            let named = def.all_items().any(|item| item.grantee == role || item.grantor == role);
            match def.target {
                AclTarget::Defaults(of) if of == role || named => {
                    let owner = catalog.role(of).map_or("", |role| role.name.as_str());
                    let each = def.defaults.iter().filter(|default| {
                        of == role || default.items.iter().any(|i| i.grantee == role || i.grantor == role)
                    });
                    for default in each {
                        let kind = match default.kind {
                            catalog::acl::AclKind::Sequence => "sequences",
                            catalog::acl::AclKind::Schema => "schemas",
                            _ => "relations",
                        };
                        let schema = default.schema.and_then(|schema| catalog.schema(schema));
                        let place = schema.map_or(String::new(), |s| format!(" in schema {}", s.name));
                        found.insert(format!(
                            "privileges for default privileges on new {kind} belonging to role {owner}{place}"
                        ));
                    }
                }
                AclTarget::Defaults(_) => {}
                _ if !named => {}
                AclTarget::Database(id) => {
                    found.insert(format!("privileges for {}", self.describe(ObjectId::Database(id))));
                }
                AclTarget::Schema(id) => {
                    found.insert(format!("privileges for {}", self.describe(ObjectId::Schema(id))));
                }
                AclTarget::Relation(id) => {
                    let Some(relation) = catalog.relation(id) else { continue };
                    // What it owns is told of as such.
                    if owner_of(relation) != Some(role) {
                        found.insert(format!("privileges for {}", self.describe(relation_object(relation))));
                    }
                }
            }
        }
        found.into_iter().collect()
    }
}
