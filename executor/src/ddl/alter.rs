//! ALTER TABLE, action by action.

use std::sync::Arc;

use catalog::{ConstraintKind, Identity, Object, RelationId, TableDef};
use expr::Expr;
use planner::ddl::{
    AlterTable, AlterTableAction, NewConstraint, NewConstraintIndex, NewConstraintKind, ObjectId,
};
use planner::physical::plan::ForeignKeyCheck;
use types::row::decimal_scale;
use types::{Batch, Data, Error, Result, SqlState, Validity, Value, Vector};

use crate::ddl::Work;
use crate::ddl::create::foreign_key;
use crate::ddl::rebuild::each_batch;
use crate::dml::foreign_key::ReferencingKeys;
use crate::table::layout::TableLayout;
use crate::table::row::{index_exprs, located};

/// Turns a column into a placeholder: stored rows keep its place.
pub(crate) fn mark_dropped(table: &mut TableDef, position: usize) {
    if let Some(column) = table.columns.get_mut(position) {
        column.name = format!("........pg.dropped.{}........", column.number);
        column.dropped = true;
        column.not_null = false;
        column.default = None;
        column.generated = false;
        column.identity = Identity::None;
        column.missing = Value::Null;
        column.comment = None;
    }
}

impl Work<'_> {
    pub(crate) fn alter_table(&mut self, alter: &AlterTable) -> Result<()> {
        let id = alter.table.id;
        alter.actions.iter().try_for_each(|action| self.alter_action(id, alter, action))
    }

    fn alter_action(&mut self, id: RelationId, alter: &AlterTable, action: &AlterTableAction) -> Result<()> {
        match action {
            AlterTableAction::AddColumn { column, sequence, fill } => {
                let old = self.table(id)?;
                let mut new = old.as_ref().clone();
                new.columns.push(column.clone());
                let position = new.columns.len() - 1;
                let mut numbers = None;
                if let Some(sequence) = sequence {
                    let sequence_id = self.new_relation_id()?;
                    self.create_sequence(sequence_id, sequence, old.owner, Some((id, column.number)))?;
                    numbers = self.catalog.sequence(sequence_id).cloned();
                }
                if numbers.is_none() && fill.is_none() {
                    self.put(Object::Table(Arc::new(new)));
                    return if column.not_null && column.missing.is_null() {
                        self.check_not_null(id, position)
                    } else {
                        Ok(())
                    };
                }
                new.columns[position].missing = Value::Null;
                let cx = self.cx;
                self.rewrite_table(&old, &mut new, |rows| {
                    let value = match (&numbers, fill) {
                        (Some(sequence), _) => {
                            let next = || cx.tables().sequences().nextval(sequence);
                            let numbers = (0..rows.len()).map(|_| next()).collect::<Result<Vec<_>>>()?;
                            integers(numbers, column.data_type)?
                        }
                        (None, Some(fill)) => cx.eval(fill, rows)?,
                        (None, None) => Arc::new(Vector::nulls(column.data_type.physical, rows.len())),
                    };
                    let mut columns = rows.columns().to_vec();
                    columns.push(value);
                    Ok(Batch::new(columns, rows.len()))
                })?;
                self.put(Object::Table(Arc::new(new)));
                if column.not_null { self.check_not_null(id, position) } else { Ok(()) }
            }
            AlterTableAction::DropColumn { column, objects } => {
                objects.iter().try_for_each(|object| self.drop_object(*object))?;
                self.forget_column_acl(id, *column)?;
                self.edit_table(id, |table| mark_dropped(table, *column))
            }
            AlterTableAction::AlterColumnType { column, data_type, value, rewrite, default } => {
                let old = self.table(id)?;
                let before = old.columns[*column].data_type;
                let mut new = old.as_ref().clone();
                new.columns[*column].data_type = *data_type;
                new.columns[*column].default = default.clone();
                for index in &mut new.indexes {
                    for key in &mut Arc::make_mut(index).columns {
                        if key.column == Some(*column) {
                            key.data_type = *data_type;
                        }
                    }
                }
                let differs = before.physical != data_type.physical
                    || decimal_scale(before) != decimal_scale(*data_type);
                if *rewrite || differs {
                    new.columns[*column].missing = Value::Null;
                    let cx = self.cx;
                    self.rewrite_table(&old, &mut new, |rows| {
                        let mut columns = rows.columns().to_vec();
                        columns[*column] = cx.eval(value, rows)?;
                        Ok(Batch::new(columns, rows.len()))
                    })?;
                }
                self.put(Object::Table(Arc::new(new)));
                if old.columns[*column].not_null { self.check_not_null(id, *column) } else { Ok(()) }
            }
            AlterTableAction::SetDefault { column, default } => {
                self.edit_table(id, |table| table.columns[*column].default = default.clone())
            }
            AlterTableAction::SetNotNull { column } => {
                self.edit_table(id, |table| table.columns[*column].not_null = true)?;
                self.check_not_null(id, *column)
            }
            AlterTableAction::DropNotNull { column } => {
                self.edit_table(id, |table| table.columns[*column].not_null = false)
            }
            AlterTableAction::AddIdentity { column, identity, sequence } => {
                let table = self.table(id)?;
                let sequence_id = self.new_relation_id()?;
                let number = table.columns[*column].number;
                self.create_sequence(sequence_id, sequence, table.owner, Some((id, number)))?;
                self.edit_table(id, |table| table.columns[*column].identity = *identity)
            }
            AlterTableAction::SetIdentity { column, identity, sequence } => {
                if let Some(sequence) = sequence {
                    self.alter_sequence(sequence)?;
                }
                self.edit_table(id, |table| table.columns[*column].identity = *identity)
            }
            AlterTableAction::DropIdentity { column, sequence } => {
                if let Some(sequence) = sequence {
                    self.drop_sequence(*sequence)?;
                }
                self.edit_table(id, |table| table.columns[*column].identity = Identity::None)
            }
            AlterTableAction::DropExpression { column } => self.edit_table(id, |table| {
                table.columns[*column].generated = false;
                table.columns[*column].default = None;
            }),
            AlterTableAction::AddConstraint(constraint) => self.add_constraint(id, alter, constraint),
            AlterTableAction::DropConstraint { objects } => {
                objects.iter().try_for_each(|object| self.drop_object(*object))
            }
            AlterTableAction::ValidateConstraint { constraint } => {
                let table = self.table(id)?;
                let found = table.constraints.iter().find(|c| c.id == *constraint);
                match found.map(|found| (&found.kind, &found.name)) {
                    Some((ConstraintKind::ForeignKey(key), name)) => {
                        let key = key.clone();
                        self.check_foreign_key(&table, name, key)?;
                    }
                    Some((ConstraintKind::Check { .. }, name)) => {
                        let checks =
                            self.cx.with_planning(|planning| planner::bind_checks(&table, planning))?;
                        if let Some(check) = checks.iter().find(|check| check.constraint == *name) {
                            self.check_predicate(&table, name, &check.predicate)?;
                        }
                    }
                    _ => {}
                }
                self.edit_table(id, |table| {
                    table
                        .constraints
                        .iter_mut()
                        .filter(|c| c.id == *constraint)
                        .for_each(|c| c.validated = true);
                })
            }
            AlterTableAction::AlterConstraint { constraint, deferrable, initially_deferred } => self
                .edit_table(id, |table| {
                    for known in table.constraints.iter_mut().filter(|c| c.id == *constraint) {
                        known.deferrable = *deferrable;
                        known.initially_deferred = *initially_deferred;
                    }
                }),
            AlterTableAction::SetOwner(owner) => self.set_owner(ObjectId::Table(id), *owner),
        }
    }

    fn add_constraint(&mut self, id: RelationId, alter: &AlterTable, new: &NewConstraint) -> Result<()> {
        let index = match &new.kind {
            NewConstraintKind::PrimaryKey(NewConstraintIndex::New(position))
            | NewConstraintKind::Unique(NewConstraintIndex::New(position)) => {
                let wanted = alter.indexes.get(*position);
                let wanted = wanted.ok_or_else(|| Error::internal("a constraint without its index"))?;
                Some(self.add_constraint_index(id, wanted)?)
            }
            NewConstraintKind::PrimaryKey(NewConstraintIndex::Existing(existing))
            | NewConstraintKind::Unique(NewConstraintIndex::Existing(existing)) => {
                let primary = matches!(new.kind, NewConstraintKind::PrimaryKey(_));
                let (_, definition) = self.index(*existing)?;
                self.edit_table(id, |table| {
                    for index in table.indexes.iter_mut().filter(|index| index.id == *existing) {
                        let index = Arc::make_mut(index);
                        index.primary = primary;
                        index.name = new.name.clone();
                    }
                })?;
                if primary {
                    for column in definition.columns.iter().filter_map(|column| column.column) {
                        self.edit_table(id, |table| table.columns[column].not_null = true)?;
                        self.check_not_null(id, column)?;
                    }
                }
                Some(*existing)
            }
            _ => None,
        };
        let table = self.table(id)?;
        let constraint = self.constraint_def(&table, new, &|_| index)?;
        self.edit_table(id, |table| table.constraints.push(constraint))?;
        if !new.validated {
            return Ok(());
        }
        let table = self.table(id)?;
        match &new.kind {
            NewConstraintKind::Check { predicate, .. } => self.check_predicate(&table, &new.name, predicate),
            NewConstraintKind::ForeignKey(key) => {
                let stored = table.constraints.iter().find_map(|c| match &c.kind {
                    ConstraintKind::ForeignKey(stored) if c.name == new.name => Some(stored.clone()),
                    _ => None,
                });
                let stored = stored.unwrap_or_else(|| foreign_key(key, id, id));
                self.check_foreign_key(&table, &new.name, stored)
            }
            _ => Ok(()),
        }
    }

    /// Makes the index of a new PRIMARY KEY or UNIQUE constraint. A table without order takes the primary
    /// key's: its rows are written anew.
    fn add_constraint_index(
        &mut self,
        id: RelationId,
        wanted: &planner::ddl::NewIndex,
    ) -> Result<RelationId> {
        if wanted.primary {
            for column in wanted.columns.iter().filter_map(|column| column.column) {
                self.edit_table(id, |table| table.columns[column].not_null = true)?;
                self.check_not_null(id, column)?;
            }
        }
        let table = self.table(id)?;
        if wanted.primary && table.clustered_by.is_none() {
            let mut new = table.as_ref().clone();
            let index = self.index_def(&table, wanted, table.tree, true)?;
            let index_id = index.id;
            new.clustered_by = Some(index.columns.iter().filter_map(|column| column.column).collect());
            new.indexes.insert(0, Arc::new(index));
            self.rewrite_table(&table, &mut new, |rows| Ok(rows.clone()))?;
            self.put(Object::Table(Arc::new(new)));
            return Ok(index_id);
        }
        let tree = self.new_tree()?;
        let index = Arc::new(self.index_def(&table, wanted, tree, false)?);
        let (keys, predicate) = index_exprs(&index, &table, self.cx)?;
        self.build_index(&table, &index, &keys, predicate.as_ref())?;
        let index_id = index.id;
        self.edit_table(id, |table| table.indexes.push(index))?;
        Ok(index_id)
    }

    /// 23502 when a row has NULL in that column.
    fn check_not_null(&mut self, id: RelationId, position: usize) -> Result<()> {
        let table = self.table(id)?;
        let layout = TableLayout::new(&table);
        each_batch(&layout, self.cx, |rows, _| {
            if !rows.column(position).has_nulls() {
                return Ok(());
            }
            let name = &table.columns[position].name;
            let message = format!("column \"{name}\" of relation \"{}\" contains null values", table.name);
            let error = Error::new(SqlState::NOT_NULL_VIOLATION, message).with_column(name.clone());
            Err(located(error, &table, self.cx))
        })
    }

    /// 23514 when a row does not satisfy the predicate.
    fn check_predicate(&mut self, table: &Arc<TableDef>, name: &str, predicate: &Expr) -> Result<()> {
        let layout = TableLayout::new(table);
        each_batch(&layout, self.cx, |rows, _| {
            let result = self.cx.eval(predicate, rows)?;
            if (0..rows.len()).all(|row| result.value(row) != Value::Bool(false)) {
                return Ok(());
            }
            let message =
                format!("check constraint \"{name}\" of relation \"{}\" is violated by some row", table.name);
            let error = Error::new(SqlState::CHECK_VIOLATION, message).with_constraint(name);
            Err(located(error, table, self.cx))
        })
    }

    /// 23503 when a row refers to nothing.
    fn check_foreign_key(
        &mut self,
        table: &Arc<TableDef>,
        name: &str,
        key: catalog::ForeignKey,
    ) -> Result<()> {
        let check = ForeignKeyCheck {
            constraint: name.to_string(),
            referencing: table.clone(),
            referenced: self.table(key.referenced_table)?,
            key,
        };
        let mut keys = ReferencingKeys::new(&[check], None);
        each_batch(&TableLayout::new(table), self.cx, |rows, _| keys.check(rows, self.cx))?;
        keys.finish(self.cx)
    }
}

/// Sequence values as a column. 22003 when one does not fit.
fn integers(values: Vec<i64>, data_type: types::DataType) -> Result<Arc<Vector>> {
    let out_of_range = |_| {
        let message = format!("{} out of range", data_type.sql_name());
        Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
    };
    let data = match data_type.physical {
        types::Physical::Int16 => Data::Int16(
            values.into_iter().map(i16::try_from).collect::<Result<_, _>>().map_err(out_of_range)?,
        ),
        types::Physical::Int32 => Data::Int32(
            values.into_iter().map(i32::try_from).collect::<Result<_, _>>().map_err(out_of_range)?,
        ),
        _ => Data::Int64(values),
    };
    Ok(Arc::new(Vector::flat(data, Validity::all())))
}
