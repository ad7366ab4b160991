//! Who may do what: superusers everything, owners what they own, members what their roles may.
//!
//! Rights are not granted object by object yet, so that ownership decides; the system's views are open
//! to all. What a view reads is checked against the view's owner. 42501, in PostgreSQL's words.

use catalog::{Relation, RoleId, SchemaId};
use types::{Error, Result, SqlState};

use super::Binder;

impl Binder<'_> {
    /// Does the acting role have the rights of `owner`?
    fn acts_for(&self, owner: RoleId) -> bool {
        let catalog = self.cx.catalog;
        catalog.is_superuser(self.acting) || catalog.has_rights_of(self.acting, owner)
    }

    /// Reading or changing a relation's rows. 42501 `permission denied for table t`.
    pub(super) fn check_access(&self, relation: &Relation) -> Result<()> {
        match owner_of(relation) {
            Some(owner) if !self.acts_for(owner) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for {} {}", relation.kind_name(), relation.name()),
            )),
            _ => Ok(()),
        }
    }

    /// Altering or dropping a relation. 42501 `must be owner of table t`.
    pub(super) fn check_owner(&self, relation: &Relation) -> Result<()> {
        match owner_of(relation) {
            Some(owner) if !self.acts_for(owner) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("must be owner of {} {}", relation.kind_name(), relation.name()),
            )),
            _ => Ok(()),
        }
    }

    /// Altering or dropping a schema.
    pub(super) fn check_schema_owner(&self, schema: SchemaId) -> Result<()> {
        match self.cx.catalog.schema(schema) {
            Some(schema) if !self.acts_for(schema.owner) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("must be owner of schema {}", schema.name),
            )),
            _ => Ok(()),
        }
    }

    /// Making something in a schema. 42501 `permission denied for schema public`.
    pub(super) fn check_may_create(&self, schema: SchemaId) -> Result<()> {
        match self.cx.catalog.schema(schema) {
            Some(schema) if !self.acts_for(schema.owner) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for schema {}", schema.name),
            )),
            _ => Ok(()),
        }
    }

    /// Making a schema. 42501 `permission denied for database d`.
    pub(super) fn check_may_create_schema(&self) -> Result<()> {
        match self.cx.catalog.databases().find(|database| database.id == self.cx.database) {
            Some(database) if !self.acts_for(database.owner) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied for database {}", database.name),
            )),
            _ => Ok(()),
        }
    }
}

fn owner_of(relation: &Relation) -> Option<RoleId> {
    match relation {
        Relation::Table(table) => Some(table.owner),
        Relation::Index { table, .. } => Some(table.owner),
        Relation::View(view) => Some(view.owner),
        Relation::Sequence(sequence) => Some(sequence.owner),
        Relation::Virtual(_) => None,
    }
}
