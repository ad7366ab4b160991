//! INSERT, UPDATE, DELETE and MERGE: positions of rows, and everything that changing a row must keep true.

use std::sync::Arc;

use catalog::{ConstraintKind, TableDef};
use expr::{ColumnId, Expr};
use types::{Error, Result};

use super::build::{Built, Cost, Want};
use super::lower::Lowering;
use super::plan::{
    CheckOp, DeleteOp, ForeignKeyCheck, IndexMaintenance, InsertOp, MergeAction, MergeOp, MergeWhenOp,
    OnConflictOp, OnConflictUpdateOp, Op, Recheck, UpdateOp,
};
use crate::cost::Profile;
use crate::logical::{Check, Computed, Delete, Insert, LogicalPlan, Merge, Update};

/// Which column of a table a column id is.
type Ordinals = [(ColumnId, usize)];

impl Lowering<'_> {
    pub(super) fn insert(&mut self, insert: &Insert) -> Result<Built> {
        self.depend_on(insert.table.id);
        let source = insert.source.output();
        let input = self.lower(&insert.source, &Want::columns(&source))?;
        let columns = insert.columns.iter().map(|id| position(&input, *id)).collect::<Result<Vec<_>>>()?;
        let row = by_ordinal(&insert.row, insert.table.columns.len());
        let checks = self.checks(&insert.checks, &row)?;
        let on_conflict = match &insert.on_conflict {
            None => None,
            Some(conflict) => {
                let update = match &conflict.update {
                    None => None,
                    Some(update) => {
                        let width = insert.table.columns.len();
                        let mut both = by_ordinal(&update.existing, width);
                        both.extend(by_ordinal(&update.excluded, width));
                        let assignments = update
                            .assignments
                            .iter()
                            .map(|(ordinal, value)| Ok((*ordinal, self.expr(value, &both)?)))
                            .collect::<Result<Vec<_>>>()?;
                        let filter =
                            update.filter.as_ref().map(|filter| self.expr(filter, &both)).transpose()?;
                        Some(OnConflictUpdateOp { assignments, filter })
                    }
                };
                Some(OnConflictOp { arbiters: conflict.arbiters.clone(), update })
            }
        };
        let returning = self.returning(insert.returning.as_deref(), &row)?;
        let foreign_keys = self.foreign_keys(&insert.table)?;
        let indexes = self.index_maintenance(&insert.table)?;
        let table = insert.table.clone();
        self.written(input, insert.returning.as_deref(), |input| {
            Op::Insert(InsertOp {
                table,
                input,
                columns,
                checks,
                on_conflict,
                returning,
                foreign_keys,
                indexes,
            })
        })
    }

    pub(super) fn update(&mut self, update: &Update) -> Result<Built> {
        self.depend_on(update.table.id);
        let source = update.source.output();
        let input = self.lower(&update.source, &Want::columns(&source))?;
        let row_key = position(&input, update.row_key)?;
        let old = old_positions(&input, &update.table, &update.old)?;
        let assignments = update
            .assignments
            .iter()
            .map(|(ordinal, id)| Ok((*ordinal, position(&input, *id)?)))
            .collect::<Result<Vec<_>>>()?;
        let width = update.table.columns.len();
        let row = by_ordinal(&update.row, width);
        let checks = self.checks(&update.checks, &row)?;
        let mut visible = row.clone();
        visible.extend(&input.columns);
        let returning = self.returning(update.returning.as_deref(), &visible)?;
        let recheck = self.recheck(&update.source, &update.table, &update.assignments)?;
        let foreign_keys = self.foreign_keys(&update.table)?;
        let referenced_by = self.referenced_by(&update.table);
        let indexes = self.index_maintenance(&update.table)?;
        let table = update.table.clone();
        self.written(input, update.returning.as_deref(), |input| {
            Op::Update(UpdateOp {
                table,
                input,
                row_key,
                old,
                assignments,
                recheck,
                checks,
                returning,
                foreign_keys,
                referenced_by,
                indexes,
            })
        })
    }

    pub(super) fn delete(&mut self, delete: &Delete) -> Result<Built> {
        self.depend_on(delete.table.id);
        let source = delete.source.output();
        let input = self.lower(&delete.source, &Want::columns(&source))?;
        let row_key = position(&input, delete.row_key)?;
        let old = old_positions(&input, &delete.table, &delete.old)?;
        let mut visible = by_ordinal(&delete.old, delete.table.columns.len());
        visible.extend(&input.columns);
        let returning = self.returning(delete.returning.as_deref(), &visible)?;
        let recheck = self.recheck(&delete.source, &delete.table, &[])?;
        let referenced_by = self.referenced_by(&delete.table);
        let indexes = self.index_maintenance(&delete.table)?;
        let table = delete.table.clone();
        self.written(input, delete.returning.as_deref(), |input| {
            Op::Delete(DeleteOp { table, input, row_key, old, recheck, returning, referenced_by, indexes })
        })
    }

    pub(super) fn merge(&mut self, merge: &Merge) -> Result<Built> {
        self.depend_on(merge.table.id);
        let source = merge.source.output();
        let input = self.lower(&merge.source, &Want::columns(&source))?;
        let row_key = position(&input, merge.row_key)?;
        let old = old_positions(&input, &merge.table, &merge.old)?;
        let visible = input.columns.clone();
        let mut whens = Vec::with_capacity(merge.whens.len());
        for when in &merge.whens {
            let action = match &when.action {
                MergeAction::DoNothing => MergeAction::DoNothing,
                MergeAction::Delete => MergeAction::Delete,
                MergeAction::Update(assignments) => MergeAction::Update(
                    assignments
                        .iter()
                        .map(|(ordinal, value)| Ok((*ordinal, self.expr(value, &visible)?)))
                        .collect::<Result<Vec<_>>>()?,
                ),
                MergeAction::Insert(values) => MergeAction::Insert(self.exprs(values, &visible)?),
            };
            let condition = self.exprs(&when.condition, &visible)?;
            whens.push(MergeWhenOp { matched: when.matched, condition, action });
        }
        let row = by_ordinal(&merge.row, merge.table.columns.len());
        let checks = self.checks(&merge.checks, &row)?;
        let generated = merge
            .generated
            .iter()
            .map(|(ordinal, value)| Ok((*ordinal, self.expr(value, &row)?)))
            .collect::<Result<Vec<_>>>()?;
        let foreign_keys = self.foreign_keys(&merge.table)?;
        let referenced_by = self.referenced_by(&merge.table);
        let indexes = self.index_maintenance(&merge.table)?;
        let table = merge.table.clone();
        self.written(input, None, |input| {
            Op::Merge(MergeOp {
                table,
                input,
                row_key,
                old,
                whens,
                generated,
                checks,
                foreign_keys,
                referenced_by,
                indexes,
            })
        })
    }

    /// The node of a statement that writes: its output is RETURNING's.
    fn written(
        &mut self,
        input: Built,
        returning: Option<&[Computed]>,
        op: impl FnOnce(Arc<super::plan::Node>) -> Op,
    ) -> Result<Built> {
        let columns: Vec<ColumnId> =
            returning.unwrap_or_default().iter().map(|computed| computed.id).collect();
        let outputs = self.outputs(&columns);
        let rows = if returning.is_some() { input.rows() } else { 0.0 };
        let profile = Profile { rows, columns: input.profile.columns.clone(), keys: Vec::new() };
        let cost = Cost { startup: input.startup_cost(), total: input.total_cost() };
        Ok(input.above(op, outputs, columns, profile, cost, Vec::new()))
    }

    fn returning(
        &mut self,
        returning: Option<&[Computed]>,
        visible: &[ColumnId],
    ) -> Result<Option<Vec<Expr>>> {
        match returning {
            None => Ok(None),
            Some(exprs) => Ok(Some(self.exprs(exprs.iter().map(|computed| &computed.expr), visible)?)),
        }
    }

    fn checks(&mut self, checks: &[Check], row: &[ColumnId]) -> Result<Vec<CheckOp>> {
        checks
            .iter()
            .map(|check| {
                let predicate = self.expr(&check.predicate, row)?;
                Ok(CheckOp { constraint: check.constraint.clone(), predicate })
            })
            .collect()
    }

    /// Foreign keys of a table, to be checked when its rows come or change.
    fn foreign_keys(&mut self, table: &Arc<TableDef>) -> Result<Vec<ForeignKeyCheck>> {
        let mut checks = Vec::new();
        for constraint in &table.constraints {
            if let ConstraintKind::ForeignKey(key) = &constraint.kind {
                let referenced = if key.referenced_table == table.id {
                    table.clone()
                } else {
                    self.cx
                        .catalog
                        .table(key.referenced_table)
                        .cloned()
                        .ok_or_else(|| Error::internal("a foreign key refers to a table that is gone"))?
                };
                self.depend_on(referenced.id);
                checks.push(ForeignKeyCheck {
                    constraint: constraint.name.clone(),
                    referencing: table.clone(),
                    referenced,
                    key: key.clone(),
                });
            }
        }
        Ok(checks)
    }

    /// Foreign keys of any table that point at this one.
    fn referenced_by(&mut self, table: &Arc<TableDef>) -> Vec<ForeignKeyCheck> {
        let mut checks = Vec::new();
        let catalog = self.cx.catalog;
        for referencing in catalog.referencing_tables(table.id) {
            self.depend_on(referencing.id);
            for constraint in &referencing.constraints {
                if let ConstraintKind::ForeignKey(key) = &constraint.kind
                    && key.referenced_table == table.id
                {
                    checks.push(ForeignKeyCheck {
                        constraint: constraint.name.clone(),
                        referencing: referencing.clone(),
                        referenced: table.clone(),
                        key: key.clone(),
                    });
                }
            }
        }
        checks
    }

    /// How the entries of each secondary index are made from a row.
    fn index_maintenance(&mut self, table: &Arc<TableDef>) -> Result<Vec<IndexMaintenance>> {
        let mut all = Vec::new();
        for index in table.indexes.iter().filter(|index| !index.is_clustered) {
            let (keys, predicate) = crate::binder::bind_index(table, index, self.cx)?;
            all.push(IndexMaintenance { index: index.clone(), keys, predicate });
        }
        Ok(all)
    }

    /// For READ COMMITTED: what must still hold of a row that changed under us, and its new values, when
    /// the source is one scan of the target.
    fn recheck(
        &mut self,
        source: &LogicalPlan,
        table: &TableDef,
        assignments: &[(usize, ColumnId)],
    ) -> Result<Option<Recheck>> {
        let mut filters: Vec<Expr> = Vec::new();
        let mut computed: Vec<Computed> = Vec::new();
        let mut plan = source;
        let scan = loop {
            match plan {
                LogicalPlan::Scan(scan) if scan.table.id == table.id && scan.row_key.is_some() => break scan,
                LogicalPlan::Filter { input, predicate } => {
                    filters.extend(predicate.iter().cloned());
                    plan = input;
                }
                LogicalPlan::Project { input, exprs } => {
                    // Only the top one computes; below it there is nothing to look through.
                    if !computed.is_empty() || !filters.is_empty() {
                        return Ok(None);
                    }
                    computed = exprs.clone();
                    plan = input;
                }
                _ => return Ok(None),
            }
        };
        let mut values: Vec<(usize, Expr)> = Vec::new();
        for (ordinal, id) in assignments {
            let expr = match computed.iter().find(|c| c.id == *id) {
                Some(computed) => computed.expr.clone(),
                None => Expr::column(*id, self.columns.entry(*id).data_type),
            };
            values.push((*ordinal, expr));
        }
        if filters.iter().chain(values.iter().map(|(_, value)| value)).any(Expr::has_subquery) {
            return Ok(None);
        }
        // The scan may have been pruned of columns that only the filter of an index range reads.
        let row = by_ordinal(&scan.columns, table.columns.len());
        let filter = self.exprs(&filters, &row)?;
        let assignments = values
            .iter()
            .map(|(ordinal, value)| Ok((*ordinal, self.expr(value, &row)?)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Recheck { filter, assignments }))
    }
}

fn position(input: &Built, id: ColumnId) -> Result<usize> {
    input
        .position(id)
        .ok_or_else(|| Error::internal(format!("column {} is not in the rows to be written", id.0)))
}

/// Column ids by ordinal; places without a column hold an id that nothing names.
fn by_ordinal(columns: &Ordinals, width: usize) -> Vec<ColumnId> {
    let mut row = vec![ColumnId(u32::MAX); width];
    for (id, ordinal) in columns {
        if let Some(place) = row.get_mut(*ordinal) {
            *place = *id;
        }
    }
    row
}

fn old_positions(input: &Built, table: &TableDef, old: &Ordinals) -> Result<Vec<Option<usize>>> {
    let mut positions = vec![None; table.columns.len()];
    for (id, ordinal) in old {
        if let Some(place) = positions.get_mut(*ordinal) {
            *place = Some(position(input, *id)?);
        }
    }
    Ok(positions)
}
