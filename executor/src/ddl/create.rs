//! CREATE TABLE, INDEX, VIEW and SEQUENCE.

use std::sync::Arc;

use catalog::acl::{AclKind, AclTarget};
use catalog::{
    ConstraintDef, ConstraintId, ConstraintKind, ForeignKey, IndexDef, Object, ObjectId as StoredId,
    RelationId, RoleId, SequenceDef, TableDef, ViewDef,
};
use planner::ddl::{
    AlterSequence, CreateIndex, CreateTable, CreateView, NewConstraint, NewConstraintIndex,
    NewConstraintKind, NewForeignKey, NewIndex, NewSequence, ReferencedTable,
};
use types::{Error, Result};

use crate::ddl::Work;

impl Work<'_> {
    pub(crate) fn create_table(&mut self, create: &CreateTable) -> Result<RelationId> {
        let id = self.new_relation_id()?;
        let row_type = self.cx.tables().take_oid()?;
        for owned in &create.sequences {
            let number = create.columns.get(owned.column).map(|column| column.number);
            let number = number.ok_or_else(|| Error::internal("a sequence for no column"))?;
            let sequence = self.new_relation_id()?;
            self.create_sequence(sequence, &owned.sequence, create.owner, Some((id, number)))?;
        }
        let mut table = TableDef {
            id,
            schema: create.schema,
            name: create.name.clone(),
            owner: create.owner,
            columns: create.columns.clone(),
            tree: self.new_table_tree()?,
            clustered_by: None,
            indexes: Vec::new(),
            constraints: Vec::new(),
            persistence: create.persistence,
            comment: create.comment.clone(),
            row_type,
        };
        for new in &create.indexes {
            let clusters = new.primary && table.clustered_by.is_none();
            let tree = if clusters { table.tree } else { self.new_tree()? };
            let index = self.index_def(&table, new, tree, clusters)?;
            if clusters {
                table.clustered_by = Some(index.columns.iter().filter_map(|column| column.column).collect());
                for column in index.columns.iter().filter_map(|column| column.column) {
                    table.columns[column].not_null = true;
                }
            }
            table.indexes.push(Arc::new(index));
        }
        for new in &create.constraints {
            let constraint = self
                .constraint_def(&table, new, &|position| table.indexes.get(position).map(|index| index.id))?;
            table.constraints.push(constraint);
        }
        self.put(Object::Table(Arc::new(table)));
        self.begin_acl(AclTarget::Relation(id), AclKind::Table, create.owner, Some(create.schema));
        Ok(id)
    }

    /// An index of `table`, with an OID of its own.
    pub(crate) fn index_def(
        &self,
        table: &TableDef,
        new: &NewIndex,
        tree: catalog::TreeNumber,
        is_clustered: bool,
    ) -> Result<IndexDef> {
        Ok(IndexDef {
            id: self.new_relation_id()?,
            table: table.id,
            schema: table.schema,
            name: new.name.clone(),
            columns: new.columns.clone(),
            include: new.include.clone(),
            unique: new.unique,
            primary: new.primary,
            nulls_not_distinct: new.nulls_not_distinct,
            is_clustered,
            tree,
            predicate: new.predicate.clone(),
            comment: new.comment.clone(),
        })
    }

    /// A constraint of `table`; `new_index` finds the indexes made with it.
    pub(crate) fn constraint_def(
        &self,
        table: &TableDef,
        new: &NewConstraint,
        new_index: &dyn Fn(usize) -> Option<RelationId>,
    ) -> Result<ConstraintDef> {
        let index_of = |index: &NewConstraintIndex| match index {
            NewConstraintIndex::New(position) => {
                new_index(*position).ok_or_else(|| Error::internal("a constraint without its index"))
            }
            NewConstraintIndex::Existing(id) => Ok(*id),
        };
        let kind = match &new.kind {
            NewConstraintKind::PrimaryKey(index) => ConstraintKind::PrimaryKey { index: index_of(index)? },
            NewConstraintKind::Unique(index) => ConstraintKind::Unique { index: index_of(index)? },
            NewConstraintKind::Check { expression, columns, .. } => {
                ConstraintKind::Check { expression: expression.clone(), columns: columns.clone() }
            }
            NewConstraintKind::ForeignKey(key) => {
                let (referenced_table, referenced_index) = match &key.referenced {
                    ReferencedTable::Existing { table, index } => (*table, *index),
                    ReferencedTable::Itself(index) => (table.id, index_of(index)?),
                };
                ConstraintKind::ForeignKey(foreign_key(key, referenced_table, referenced_index))
            }
        };
        Ok(ConstraintDef {
            id: ConstraintId(self.cx.tables().take_oid()?),
            name: new.name.clone(),
            kind,
            deferrable: new.deferrable,
            initially_deferred: new.initially_deferred,
            validated: new.validated,
        })
    }

    pub(crate) fn create_index(&mut self, create: &CreateIndex) -> Result<()> {
        let table = self.table(create.table.id)?;
        let tree = self.new_tree()?;
        let index = Arc::new(self.index_def(&table, &create.index, tree, false)?);
        self.build_index(&table, &index, &create.keys, create.predicate.as_ref())?;
        self.edit_table(table.id, |table| table.indexes.push(index))
    }

    pub(crate) fn create_view(&mut self, create: &CreateView) -> Result<()> {
        let (id, comment) = match create.replaces.and_then(|id| self.catalog.relation(id)) {
            Some(catalog::Relation::View(view)) => (view.id, view.comment.clone()),
            _ => (self.new_relation_id()?, None),
        };
        self.put(Object::View(Arc::new(ViewDef {
            id,
            schema: create.schema,
            name: create.name.clone(),
            owner: create.owner,
            columns: create.columns.clone(),
            definition: create.definition.clone(),
            search_path: create.search_path.clone(),
            depends_on: create.depends_on.clone(),
            comment,
        })));
        if create.replaces.is_none() {
            self.begin_acl(AclTarget::Relation(id), AclKind::Table, create.owner, Some(create.schema));
        }
        Ok(())
    }

    pub(crate) fn create_sequence(
        &mut self,
        id: RelationId,
        new: &NewSequence,
        owner: RoleId,
        owned_by: Option<(RelationId, i16)>,
    ) -> Result<()> {
        self.put(Object::Sequence(Arc::new(SequenceDef {
            id,
            schema: new.schema,
            name: new.name.clone(),
            owner,
            data_type: new.data_type,
            start: new.start,
            increment: new.increment,
            min: new.min,
            max: new.max,
            cache: new.cache,
            cycle: new.cycle,
            owned_by,
            comment: None,
        })));
        self.begin_acl(AclTarget::Relation(id), AclKind::Sequence, owner, Some(new.schema));
        Ok(())
    }

    pub(crate) fn alter_sequence(&mut self, alter: &AlterSequence) -> Result<()> {
        self.put(Object::Sequence(Arc::new(alter.sequence.clone())));
        if let Some(value) = alter.restart {
            self.cx.tables().sequences().setval(&alter.sequence, value, false)?;
        }
        Ok(())
    }

    pub(crate) fn drop_sequence(&mut self, id: RelationId) -> Result<()> {
        self.cx.tables().sequences().forget(id, self.cx.transaction())?;
        self.drop_stored(StoredId::Sequence(id));
        Ok(())
    }
}

pub(crate) fn foreign_key(key: &NewForeignKey, table: RelationId, index: RelationId) -> ForeignKey {
    ForeignKey {
        columns: key.columns.clone(),
        referenced_table: table,
        referenced_columns: key.referenced_columns.clone(),
        referenced_index: index,
        on_update: key.on_update,
        on_delete: key.on_delete,
        match_full: key.match_full,
    }
}
