//! How a catalog moves: whole objects are put or dropped, nothing is edited in place.
//!
//! A DDL statement yields a [`CatalogChange`]. The executor writes it to the system tree inside the
//! statement's transaction; the session applies it to its own view at once and publishes it at
//! commit. Putting an object replaces the one with its id.

use std::sync::Arc;

use crate::acl::{AclDef, AclTarget};
use crate::object::{
    DatabaseDef, DatabaseId, RelationId, RoleDef, RoleId, SchemaDef, SchemaId, SequenceDef, TableDef, ViewDef,
};
use crate::stats::TableStats;

/// One object of the catalog. A table carries its indexes and constraints.
#[derive(Debug, Clone, PartialEq)]
pub enum Object {
    Database(Arc<DatabaseDef>),
    Role(Arc<RoleDef>),
    Schema(Arc<SchemaDef>),
    Table(Arc<TableDef>),
    View(Arc<ViewDef>),
    Sequence(Arc<SequenceDef>),
    Stats(Arc<TableStats>),
    Acl(Arc<AclDef>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectId {
    Database(DatabaseId),
    Role(RoleId),
    Schema(SchemaId),
    Table(RelationId),
    View(RelationId),
    Sequence(RelationId),
    Stats(RelationId),
    Acl(AclTarget),
}

/// Applied in order: drops first, then puts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CatalogChange {
    pub drops: Vec<ObjectId>,
    pub puts: Vec<Object>,
}

impl Object {
    pub fn id(&self) -> ObjectId {
        match self {
            Object::Database(def) => ObjectId::Database(def.id),
            Object::Role(def) => ObjectId::Role(def.id),
            Object::Schema(def) => ObjectId::Schema(def.id),
            Object::Table(def) => ObjectId::Table(def.id),
            Object::View(def) => ObjectId::View(def.id),
            Object::Sequence(def) => ObjectId::Sequence(def.id),
            Object::Stats(stats) => ObjectId::Stats(stats.table),
            Object::Acl(def) => ObjectId::Acl(def.target),
        }
    }
}

impl ObjectId {
    /// Databases and roles belong to the server, the rest to one database.
    pub fn is_shared(self) -> bool {
        matches!(self, ObjectId::Database(_) | ObjectId::Role(_) | ObjectId::Acl(AclTarget::Database(_)))
    }
}

impl CatalogChange {
    pub fn put(object: Object) -> CatalogChange {
        CatalogChange { drops: Vec::new(), puts: vec![object] }
    }

    pub fn is_empty(&self) -> bool {
        self.drops.is_empty() && self.puts.is_empty()
    }

    /// This change, then `later`.
    pub fn then(&mut self, later: CatalogChange) {
        self.puts.retain(|object| {
            !later.drops.contains(&object.id()) && !later.puts.iter().any(|put| put.id() == object.id())
        });
        for id in later.drops {
            if !self.drops.contains(&id) {
                self.drops.push(id);
            }
        }
        self.puts.extend(later.puts);
    }
}
