//! Schema changes: OIDs, trees, index builds, system rows.
//!
//! The planner has made every check that the catalog can answer; the checks that need rows are made here.
//! A change is written to the system tree in the statement's transaction, and a rollback takes trees and
//! objects back alike. The caller holds the schema lock: nobody else changes the catalog, and nobody uses
//! a table that is being altered.

pub mod alter;
pub mod analyze;
pub mod create;
pub mod rebuild;

use std::sync::Arc;

use ::catalog::acl::{self, AclDef, AclKind, AclTarget};
use ::catalog::{
    Catalog, CatalogChange, ConstraintKind, DatabaseDef, IndexDef, Object, ObjectId as StoredId, Relation,
    RelationId, RoleDef, RoleId, SchemaDef, SchemaId, TableDef, TreeNumber, bootstrap,
};
use planner::ddl::{BoundDdl, Ddl, ObjectId, Truncate};
use storage::TreeId;
use types::{Error, Result};

use crate::context::ExecContext;
use crate::table::catalog;

/// What a DDL statement did.
#[derive(Debug, Default)]
pub struct DdlOutcome {
    /// Already written to the system tree in the statement's transaction; the session applies it to its
    /// own catalog at once and publishes it at commit.
    pub change: CatalogChange,
    /// The table that CREATE TABLE AS has made; the session plans the query and feeds a [`crate::CopyIn`].
    pub created_table: Option<RelationId>,
}

/// Carries out `ddl` in the statement's transaction. The notices in it are the session's to send.
///
/// Besides what storage returns: 23502, 23503, 23505 and 23514 when rows do not meet a new constraint.
pub fn execute_ddl(ddl: &BoundDdl, cx: &ExecContext) -> Result<DdlOutcome> {
    let mut work = Work {
        cx,
        catalog: cx.catalog().as_ref().clone(),
        change: CatalogChange::default(),
        created_table: None,
    };
    work.run(&ddl.ddl)?;
    catalog::save(cx.transaction(), work.catalog.database(), &work.change)?;
    Ok(DdlOutcome { change: work.change, created_table: work.created_table })
}

/// A DDL statement under way: the catalog as changed so far.
pub(crate) struct Work<'c> {
    pub cx: &'c ExecContext,
    pub catalog: Catalog,
    change: CatalogChange,
    created_table: Option<RelationId>,
}

impl Work<'_> {
    fn run(&mut self, ddl: &Ddl) -> Result<()> {
        match ddl {
            Ddl::Nothing => Ok(()),
            Ddl::CreateTable(create) => self.create_table(create).map(|_| ()),
            Ddl::CreateTableAs(create) => {
                self.created_table = Some(self.create_table(&create.table)?);
                Ok(())
            }
            Ddl::CreateIndex(create) => self.create_index(create),
            Ddl::CreateView(create) => self.create_view(create),
            Ddl::CreateSequence(create) => {
                let id = self.new_relation_id()?;
                self.create_sequence(id, &create.sequence, create.owner, create.owned_by)
            }
            Ddl::AlterSequence(alter) => self.alter_sequence(alter),
            Ddl::CreateSchema { name, owner, elements } => {
                let id = SchemaId(self.cx.tables().take_oid()?);
                let schema = SchemaDef { id, name: name.clone(), owner: *owner, comment: None };
                self.put(Object::Schema(Arc::new(schema)));
                self.begin_acl(AclTarget::Schema(id), AclKind::Schema, *owner, None);
                elements.iter().try_for_each(|element| self.run(&in_schema(element, id)))
            }
            Ddl::Drop(drop) => drop.objects.iter().try_for_each(|object| self.drop_object(*object)),
            Ddl::Truncate(truncate) => self.truncate(truncate),
            Ddl::AlterTable(alter) => self.alter_table(alter),
            Ddl::Rename { object, new_name } => self.rename(*object, new_name),
            Ddl::SetSchema { object, schema } => self.set_schema(*object, *schema),
            Ddl::SetOwner { object, owner } => self.set_owner(*object, *owner),
            Ddl::CreateRole { role, members } => {
                let id = RoleId(self.cx.tables().take_oid()?);
                self.put(Object::Role(Arc::new(RoleDef { id, ..(**role).clone() })));
                members
                    .iter()
                    .try_for_each(|(member, admin)| self.grant_roles(true, *admin, &[(id, *member)]))
            }
            Ddl::AlterRole(role) => {
                self.put(Object::Role(Arc::new((**role).clone())));
                Ok(())
            }
            Ddl::DropRoles(roles) => {
                for role in roles {
                    self.drop_stored(StoredId::Role(*role));
                    self.leave_all(*role);
                }
                Ok(())
            }
            Ddl::GrantRole { grant, admin, memberships } => self.grant_roles(*grant, *admin, memberships),
            Ddl::CreateDatabase { name, owner, connection_limit, allow_connections } => {
                let id = ::catalog::DatabaseId(self.cx.tables().take_oid()?);
                self.put(Object::Database(Arc::new(DatabaseDef {
                    id,
                    name: name.clone(),
                    owner: *owner,
                    allow_connections: *allow_connections,
                    connection_limit: *connection_limit,
                })));
                catalog::save(self.cx.transaction(), id, &bootstrap::database_objects())
            }
            Ddl::DropDatabase { id, .. } => {
                for object in catalog::remove_database(self.cx.transaction(), *id)? {
                    if let Object::Table(table) = object {
                        self.drop_trees(&table)?;
                    }
                }
                self.drop_stored(StoredId::Database(*id));
                self.forget_acl(AclTarget::Database(*id));
                Ok(())
            }
            Ddl::Comment { object, comment } => self.comment(*object, comment),
            Ddl::Analyze(targets) => {
                for target in targets {
                    let stats = analyze::analyze(&target.table, &target.columns, self.cx)?;
                    self.put(Object::Stats(Arc::new(stats)));
                }
                Ok(())
            }
            Ddl::SetAcls(acls) => {
                acls.iter().for_each(|acl| self.set_acl(acl));
                Ok(())
            }
            Ddl::Several(parts) => parts.iter().try_for_each(|part| self.run(part)),
        }
    }

    // ---- the catalog being made ----

    pub(crate) fn put(&mut self, object: Object) {
        let change = CatalogChange::put(object);
        self.catalog = self.catalog.apply(&change);
        self.change.then(change);
    }

    pub(crate) fn drop_stored(&mut self, id: StoredId) {
        let change = CatalogChange { drops: vec![id], puts: Vec::new() };
        self.catalog = self.catalog.apply(&change);
        self.change.then(change);
    }

    pub(crate) fn new_relation_id(&self) -> Result<RelationId> {
        self.cx.tables().take_oid().map(RelationId)
    }

    /// A new tree, empty.
    pub(crate) fn new_tree(&self) -> Result<TreeNumber> {
        let tree = self.cx.transaction().create_tree()?;
        Ok(TreeNumber(tree.0))
    }

    pub(crate) fn new_table_tree(&self) -> Result<TreeNumber> {
        let tree = self.new_tree()?;
        self.cx.tables().tree_created(TreeId(tree.0));
        Ok(tree)
    }

    pub(crate) fn table(&self, id: RelationId) -> Result<Arc<TableDef>> {
        self.catalog.table(id).cloned().ok_or_else(|| gone("table", id))
    }

    /// The table and the definition of an index.
    pub(crate) fn index(&self, id: RelationId) -> Result<(Arc<TableDef>, Arc<IndexDef>)> {
        match self.catalog.relation(id) {
            Some(Relation::Index { table, index }) => Ok((table.clone(), index.clone())),
            _ => Err(gone("index", id)),
        }
    }

    /// Changes a table's definition.
    pub(crate) fn edit_table(&mut self, id: RelationId, edit: impl FnOnce(&mut TableDef)) -> Result<()> {
        let mut table = self.table(id)?.as_ref().clone();
        edit(&mut table);
        self.put(Object::Table(Arc::new(table)));
        Ok(())
    }

    fn edit_index(&mut self, id: RelationId, edit: impl FnOnce(&mut IndexDef)) -> Result<()> {
        let (table, _) = self.index(id)?;
        self.edit_table(table.id, |table| {
            if let Some(index) = table.indexes.iter_mut().find(|index| index.id == id) {
                edit(Arc::make_mut(index));
            }
        })
    }

    // ---- rights ----

    fn set_acl(&mut self, acl: &Arc<AclDef>) {
        if !acl.is_default() {
            self.put(Object::Acl(Arc::clone(acl)));
        } else {
            self.forget_acl(acl.target);
        }
    }

    fn forget_acl(&mut self, target: AclTarget) {
        if self.catalog.acl(target).is_some() {
            self.drop_stored(StoredId::Acl(target));
        }
    }

    /// A dropped column's rights go with it.
    pub(crate) fn forget_column_acl(&mut self, id: RelationId, position: usize) -> Result<()> {
        let number = self.table(id)?.columns.get(position).map_or(0, |column| column.number);
        let Some(acl) = self.catalog.acl(AclTarget::Relation(id)).cloned() else { return Ok(()) };
        if !acl.column(number).is_empty() {
            let mut acl = acl.as_ref().clone();
            acl.columns.retain(|(known, _)| *known != number);
            self.set_acl(&Arc::new(acl));
        }
        Ok(())
    }

    /// What a new object's owner has said its objects begin with.
    pub(crate) fn begin_acl(
        &mut self,
        target: AclTarget,
        kind: AclKind,
        owner: RoleId,
        schema: Option<SchemaId>,
    ) {
        if let Some(items) = self.catalog.initial_acl(kind, owner, schema) {
            self.set_acl(&Arc::new(AclDef { items: Some(items), ..AclDef::empty(target) }));
        }
    }

    /// The old owner's rights and grants are the new owner's.
    fn give_acl(&mut self, target: AclTarget, old: RoleId, new: RoleId) {
        if let Some(acl) = self.catalog.acl(target).cloned() {
            let mut acl = acl.as_ref().clone();
            acl.items = acl.items.map(|items| acl::change_owner(&items, old, new));
            for (_, items) in &mut acl.columns {
                *items = acl::change_owner(items, old, new);
            }
            self.set_acl(&Arc::new(acl));
        }
    }

    // ---- DROP, TRUNCATE ----

    pub(crate) fn drop_trees(&self, table: &TableDef) -> Result<()> {
        let transaction = self.cx.transaction();
        transaction.drop_tree(TreeId(table.tree.0))?;
        for index in table.indexes.iter().filter(|index| !index.is_clustered) {
            transaction.drop_tree(TreeId(index.tree.0))?;
        }
        Ok(())
    }

    pub(crate) fn drop_object(&mut self, object: ObjectId) -> Result<()> {
        match object {
            ObjectId::Table(id) => {
                // A table that goes with another object may be gone already.
                let Some(table) = self.catalog.table(id).cloned() else { return Ok(()) };
                self.drop_trees(&table)?;
                self.drop_stored(StoredId::Table(id));
                self.forget_acl(AclTarget::Relation(id));
                if self.cx.catalog().stats(id).is_some() {
                    self.drop_stored(StoredId::Stats(id));
                }
                Ok(())
            }
            ObjectId::Index(id) => {
                let Ok((table, index)) = self.index(id) else { return Ok(()) };
                if index.is_clustered {
                    return self.uncluster(&table);
                }
                self.cx.transaction().drop_tree(TreeId(index.tree.0))?;
                self.edit_table(table.id, |table| table.indexes.retain(|index| index.id != id))
            }
            ObjectId::View(id) => {
                self.drop_stored(StoredId::View(id));
                self.forget_acl(AclTarget::Relation(id));
                Ok(())
            }
            ObjectId::Sequence(id) => {
                self.cx.tables().sequences().forget(id, self.cx.transaction())?;
                self.drop_stored(StoredId::Sequence(id));
                self.forget_acl(AclTarget::Relation(id));
                Ok(())
            }
            ObjectId::Schema(id) => {
                self.drop_stored(StoredId::Schema(id));
                self.forget_acl(AclTarget::Schema(id));
                Ok(())
            }
            ObjectId::Role(id) => {
                self.drop_stored(StoredId::Role(id));
                self.leave_all(id);
                Ok(())
            }
            ObjectId::Database(id) => {
                self.drop_stored(StoredId::Database(id));
                Ok(())
            }
            ObjectId::Column(table, number) => {
                let Some(definition) = self.catalog.table(table) else { return Ok(()) };
                match definition.columns.iter().position(|column| column.number == number) {
                    Some(position) => {
                        self.forget_column_acl(table, position)?;
                        self.edit_table(table, |table| alter::mark_dropped(table, position))
                    }
                    None => Ok(()),
                }
            }
            ObjectId::ColumnDefault(table, number) => {
                if self.catalog.table(table).is_none() {
                    return Ok(());
                }
                self.edit_table(table, |table| {
                    table.columns.iter_mut().filter(|c| c.number == number).for_each(|c| c.default = None);
                })
            }
            ObjectId::Constraint(table, constraint) => {
                let Some(definition) = self.catalog.table(table).cloned() else { return Ok(()) };
                let found = definition.constraints.iter().find(|c| c.id == constraint);
                let index = found.and_then(|found| match found.kind {
                    ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => Some(index),
                    _ => None,
                });
                self.edit_table(table, |table| table.constraints.retain(|c| c.id != constraint))?;
                match index {
                    Some(index) => self.drop_object(ObjectId::Index(index)),
                    None => Ok(()),
                }
            }
        }
    }

    fn truncate(&mut self, truncate: &Truncate) -> Result<()> {
        for table in &truncate.tables {
            let table = self.table(table.id)?;
            self.drop_trees(&table)?;
            let mut fresh = table.as_ref().clone();
            fresh.tree = self.new_table_tree()?;
            for index in &mut fresh.indexes {
                let tree = if index.is_clustered { fresh.tree } else { self.new_tree()? };
                Arc::make_mut(index).tree = tree;
            }
            self.put(Object::Table(Arc::new(fresh)));
        }
        for id in &truncate.restart {
            if let Some(sequence) = self.catalog.sequence(*id).cloned() {
                self.cx.tables().sequences().setval(&sequence, sequence.start, false)?;
            }
        }
        Ok(())
    }

    // ---- names, owners, comments ----

    fn rename(&mut self, object: ObjectId, new_name: &str) -> Result<()> {
        let name = new_name.to_string();
        match object {
            ObjectId::Table(id) => self.edit_table(id, |table| table.name = name),
            ObjectId::Index(id) => {
                let (table, _) = self.index(id)?;
                self.edit_index(id, |index| index.name = name.clone())?;
                self.edit_table(table.id, |table| {
                    // A constraint and its index share their name.
                    for constraint in &mut table.constraints {
                        if matches!(constraint.kind, ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } if index == id)
                        {
                            constraint.name = name.clone();
                        }
                    }
                })
            }
            ObjectId::Constraint(table, constraint) => {
                let definition = self.table(table)?;
                let index = definition.constraints.iter().find(|c| c.id == constraint).and_then(|c| match c
                    .kind
                {
                    ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => Some(index),
                    _ => None,
                });
                match index {
                    Some(index) => self.rename(ObjectId::Index(index), new_name),
                    None => self.edit_table(table, |table| {
                        table
                            .constraints
                            .iter_mut()
                            .filter(|c| c.id == constraint)
                            .for_each(|c| c.name = name.clone());
                    }),
                }
            }
            ObjectId::Column(relation, number) => match self.catalog.relation(relation).cloned() {
                Some(Relation::Table(_)) => self.edit_table(relation, |table| {
                    table
                        .columns
                        .iter_mut()
                        .filter(|c| c.number == number)
                        .for_each(|c| c.name = name.clone());
                }),
                Some(Relation::View(view)) => {
                    let mut view = view.as_ref().clone();
                    let position = usize::try_from(number - 1).unwrap_or(usize::MAX);
                    if let Some(column) = view.columns.get_mut(position) {
                        column.name = name;
                    }
                    self.put(Object::View(Arc::new(view)));
                    Ok(())
                }
                _ => Err(gone("relation", relation)),
            },
            ObjectId::View(_) | ObjectId::Sequence(_) => self.edit_relation(object, |view, sequence| {
                if let Some(view) = view {
                    view.name = name.clone();
                }
                if let Some(sequence) = sequence {
                    sequence.name = name.clone();
                }
            }),
            ObjectId::Schema(id) => {
                let schema = self.catalog.schema(id).ok_or_else(|| Error::internal("no such schema"))?;
                let schema = SchemaDef { name, ..schema.as_ref().clone() };
                self.put(Object::Schema(Arc::new(schema)));
                Ok(())
            }
            ObjectId::Role(id) => {
                let role = self.catalog.role(id).ok_or_else(|| Error::internal("no such role"))?;
                let role = RoleDef { name, ..role.as_ref().clone() };
                self.put(Object::Role(Arc::new(role)));
                Ok(())
            }
            ObjectId::Database(id) => {
                let database = self.catalog.databases().find(|database| database.id == id);
                let database = database.ok_or_else(|| Error::internal("no such database"))?;
                let database = DatabaseDef { name, ..database.as_ref().clone() };
                self.put(Object::Database(Arc::new(database)));
                Ok(())
            }
            ObjectId::ColumnDefault(..) => Err(Error::internal("a default has no name")),
        }
    }

    /// Changes a view or a sequence.
    fn edit_relation(
        &mut self,
        object: ObjectId,
        edit: impl FnOnce(Option<&mut ::catalog::ViewDef>, Option<&mut ::catalog::SequenceDef>),
    ) -> Result<()> {
        let (ObjectId::View(id) | ObjectId::Sequence(id)) = object else {
            return Err(Error::internal("neither view nor sequence"));
        };
        match self.catalog.relation(id).cloned() {
            Some(Relation::View(view)) => {
                let mut view = view.as_ref().clone();
                edit(Some(&mut view), None);
                self.put(Object::View(Arc::new(view)));
            }
            Some(Relation::Sequence(sequence)) => {
                let mut sequence = sequence.as_ref().clone();
                edit(None, Some(&mut sequence));
                self.put(Object::Sequence(Arc::new(sequence)));
            }
            _ => return Err(gone("relation", id)),
        }
        Ok(())
    }

    fn set_schema(&mut self, object: RelationId, schema: SchemaId) -> Result<()> {
        match self.catalog.relation(object).cloned() {
            Some(Relation::Table(table)) => {
                self.edit_table(object, |table| {
                    table.schema = schema;
                    table.indexes.iter_mut().for_each(|index| Arc::make_mut(index).schema = schema);
                })?;
                let owned: Vec<RelationId> = self.owned_sequences(table.id);
                owned.into_iter().try_for_each(|sequence| self.set_schema(sequence, schema))
            }
            Some(Relation::View(_)) => self.edit_relation(ObjectId::View(object), |view, _| {
                view.into_iter().for_each(|view| view.schema = schema);
            }),
            Some(Relation::Sequence(_)) => self.edit_relation(ObjectId::Sequence(object), |_, sequence| {
                sequence.into_iter().for_each(|sequence| sequence.schema = schema);
            }),
            _ => Err(gone("relation", object)),
        }
    }

    fn owned_sequences(&self, table: RelationId) -> Vec<RelationId> {
        self.catalog
            .relations()
            .filter_map(|relation| match relation {
                Relation::Sequence(s) if s.owned_by.is_some_and(|(owner, _)| owner == table) => Some(s.id),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn set_owner(&mut self, object: ObjectId, owner: RoleId) -> Result<()> {
        match object {
            ObjectId::Table(id) => {
                let old = self.table(id)?.owner;
                self.edit_table(id, |table| table.owner = owner)?;
                self.give_acl(AclTarget::Relation(id), old, owner);
                let owned = self.owned_sequences(id);
                owned.into_iter().try_for_each(|id| self.set_owner(ObjectId::Sequence(id), owner))
            }
            ObjectId::View(id) | ObjectId::Sequence(id) => {
                let mut old = owner;
                self.edit_relation(object, |view, sequence| {
                    if let Some(view) = view {
                        old = std::mem::replace(&mut view.owner, owner);
                    }
                    if let Some(sequence) = sequence {
                        old = std::mem::replace(&mut sequence.owner, owner);
                    }
                })?;
                self.give_acl(AclTarget::Relation(id), old, owner);
                Ok(())
            }
            ObjectId::Schema(id) => {
                let schema = self.catalog.schema(id).ok_or_else(|| Error::internal("no such schema"))?;
                let old = schema.owner;
                let schema = SchemaDef { owner, ..schema.as_ref().clone() };
                self.give_acl(AclTarget::Schema(id), old, owner);
                self.put(Object::Schema(Arc::new(schema)));
                Ok(())
            }
            ObjectId::Database(id) => {
                let database = self.catalog.databases().find(|database| database.id == id);
                let database = database.ok_or_else(|| Error::internal("no such database"))?;
                let old = database.owner;
                let database = DatabaseDef { owner, ..database.as_ref().clone() };
                self.give_acl(AclTarget::Database(id), old, owner);
                self.put(Object::Database(Arc::new(database)));
                Ok(())
            }
            _ => Err(Error::not_supported("changing the owner of this object")),
        }
    }

    fn comment(&mut self, object: ObjectId, comment: &Option<String>) -> Result<()> {
        let text = comment.clone();
        match object {
            ObjectId::Table(id) => self.edit_table(id, |table| table.comment = text),
            ObjectId::Index(id) => self.edit_index(id, |index| index.comment = text),
            ObjectId::View(_) | ObjectId::Sequence(_) => self.edit_relation(object, |view, sequence| {
                view.into_iter().for_each(|view| view.comment = text.clone());
                sequence.into_iter().for_each(|sequence| sequence.comment = text.clone());
            }),
            ObjectId::Schema(id) => {
                let schema = self.catalog.schema(id).ok_or_else(|| Error::internal("no such schema"))?;
                let schema = SchemaDef { comment: text, ..schema.as_ref().clone() };
                self.put(Object::Schema(Arc::new(schema)));
                Ok(())
            }
            ObjectId::Column(relation, number) if self.catalog.table(relation).is_some() => {
                self.edit_table(relation, |table| {
                    table
                        .columns
                        .iter_mut()
                        .filter(|c| c.number == number)
                        .for_each(|c| c.comment = text.clone());
                })
            }
            _ => Err(Error::not_supported("COMMENT on this kind of object")),
        }
    }

    // ---- roles ----

    fn grant_roles(&mut self, grant: bool, admin: bool, memberships: &[(RoleId, RoleId)]) -> Result<()> {
        for (role, member) in memberships {
            let definition = self.catalog.role(*member).ok_or_else(|| Error::internal("no such role"))?;
            let mut definition = definition.as_ref().clone();
            let put = |list: &mut Vec<RoleId>, is_in: bool| {
                let was_in = list.contains(role);
                match (was_in, is_in) {
                    (false, true) => list.push(*role),
                    (true, false) => list.retain(|known| known != role),
                    _ => {}
                }
            };
            match (grant, admin) {
                (true, _) => {
                    put(&mut definition.member_of, true);
                    if admin {
                        put(&mut definition.admin_of, true);
                    }
                }
                (false, true) => put(&mut definition.admin_of, false),
                (false, false) => {
                    put(&mut definition.member_of, false);
                    put(&mut definition.admin_of, false);
                }
            }
            self.put(Object::Role(Arc::new(definition)));
        }
        Ok(())
    }

    /// Takes a dropped role out of everyone's memberships.
    fn leave_all(&mut self, role: RoleId) {
        let members: Vec<RoleDef> = self
            .catalog
            .roles()
            .filter(|member| member.member_of.contains(&role))
            .map(|member| member.as_ref().clone())
            .collect();
        for mut member in members {
            member.member_of.retain(|known| *known != role);
            member.admin_of.retain(|known| *known != role);
            self.put(Object::Role(Arc::new(member)));
        }
    }
}

fn gone(kind: &str, id: RelationId) -> Error {
    Error::internal(format!("{kind} {id} is not in the catalog"))
}

/// An element of CREATE SCHEMA, in the schema that did not exist when it was bound.
fn in_schema(element: &Ddl, schema: SchemaId) -> Ddl {
    let mut element = element.clone();
    match &mut element {
        Ddl::CreateTable(create) if create.schema == SchemaId(0) => create.schema = schema,
        Ddl::CreateView(create) if create.schema == SchemaId(0) => create.schema = schema,
        Ddl::CreateSequence(create) if create.sequence.schema == SchemaId(0) => {
            create.sequence.schema = schema
        }
        _ => {}
    }
    element
}
