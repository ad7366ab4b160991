//! INSERT, UPDATE, DELETE: the rows they work on, the values assigned, RETURNING.
//!
//! The source plan yields everything the executor needs: for INSERT the whole new row; for UPDATE and
//! DELETE the target's key, its old columns, and the new values. Follows `analyze.c` and `parse_target.c`.

use std::sync::Arc;

use catalog::acl::Rights;
use catalog::{ColumnDef, ConstraintKind, Identity, IndexDef, Relation, TableDef};
use expr::{ColumnId, Expr};
use parser::ast::{self, SelectBody};
use types::{DataType, Error, Result, SqlState};

use super::Binder;
use super::from::alias_name;
use super::scope::{Clause, Item, ItemColumn, Level, RelationEntry};
use super::select::OutputColumn;
use crate::logical::{
    ColumnEntry, Computed, Delete, Insert, Join, JoinKind, LogicalPlan, OnConflict, OnConflictUpdate, Update,
};

/// A change with its RETURNING columns.
pub(super) struct BoundChange {
    pub plan: LogicalPlan,
    pub columns: Vec<OutputColumn>,
}

impl Binder<'_> {
    /// Binds INSERT in a level of its own.
    pub(super) fn insert(&mut self, insert: &ast::InsertStmt) -> Result<BoundChange> {
        self.in_level(|binder| binder.insert_here(insert))
    }

    pub(super) fn update(&mut self, update: &ast::UpdateStmt) -> Result<BoundChange> {
        self.in_level(|binder| binder.update_here(update))
    }

    pub(super) fn delete(&mut self, delete: &ast::DeleteStmt) -> Result<BoundChange> {
        self.in_level(|binder| binder.delete_here(delete))
    }

    pub(super) fn in_level(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<BoundChange>,
    ) -> Result<BoundChange> {
        self.push_level(Level::new())?;
        let result = f(self);
        self.pop_level();
        result
    }

    // ---- INSERT ----

    fn insert_here(&mut self, insert: &ast::InsertStmt) -> Result<BoundChange> {
        let pending = self.with_clause(insert.with.as_deref())?;
        let table = self.target_table(&insert.relation, "insert into", Rights::INSERT)?;
        let targets = self.insert_targets(&table, insert)?;
        self.level().relations.push(RelationEntry {
            name: alias_name(&insert.relation),
            hidden_name: insert.relation.alias.is_some().then(|| table.name.clone()),
            columns: table.live_columns().map(|(_, column)| column.name.clone()).collect(),
            table: None,
        });
        let source = match &insert.source {
            None => self.value_rows(&table, &targets, insert, &[Vec::new()])?,
            Some(select) => match &select.body {
                SelectBody::Values(rows) if is_plain(select) => {
                    self.value_rows(&table, &targets, insert, rows)?
                }
                _ => self.selected_rows(&table, &targets, insert, select)?,
            },
        };
        let (source, columns) = self.with_generated(&table, source)?;
        let alias = alias_name(&insert.relation);
        let row = self.row_columns(&table, &alias);
        let checks = self.checks(&table, &as_exprs(&row, &table))?;
        let on_conflict = match &insert.on_conflict {
            Some(clause) => Some(self.on_conflict(&table, &alias, clause, insert)?),
            None => None,
        };
        let item = self.row_item(&table, &insert.relation, &row);
        self.note_row_readers(&table, &row);
        self.level().items = vec![item];
        let (returning, output) = self.returning(&insert.returning)?;
        let plan = LogicalPlan::Insert(Insert {
            table,
            source: Box::new(source),
            columns,
            checks,
            on_conflict,
            returning,
            row,
        });
        Ok(BoundChange { plan: self.wrap_with(pending, plan), columns: output })
    }

    /// The table a change is made to. 42P01; 42809 and 0A000 for what is no table.
    pub(super) fn target_table(
        &mut self,
        range: &ast::RangeVar,
        verb: &str,
        rights: Rights,
    ) -> Result<Arc<TableDef>> {
        let relation = self.find_relation(range)?;
        self.note_access(&relation, rights);
        self.relations.insert(relation.id());
        match relation {
            Relation::Table(table) => Ok(table),
            Relation::View(view) => Err(Error::not_supported(format!("{verb} view \"{}\"", view.name))
                .with_hint("Change the tables that the view reads.")
                .at(range.span)),
            Relation::Virtual(table) => Err(Error::new(
                SqlState::INSUFFICIENT_PRIVILEGE,
                format!("permission denied: \"{}\" is a system catalog", table.name),
            )
            .at(range.span)),
            Relation::Sequence(sequence) => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot change sequence \"{}\"", sequence.name),
            )),
            Relation::Index { index, .. } => Err(Error::new(
                SqlState::WRONG_OBJECT_TYPE,
                format!("cannot open relation \"{}\"", index.name),
            )
            .with_detail("This operation is not supported for indexes.")
            .at(range.span)),
        }
    }

    /// Ordinals of the columns that values are given for.
    pub(super) fn insert_targets(
        &self,
        table: &Arc<TableDef>,
        insert: &ast::InsertStmt,
    ) -> Result<Vec<usize>> {
        if insert.columns.is_empty() {
            return Ok(table.live_columns().map(|(ordinal, _)| ordinal).collect());
        }
        let mut targets = Vec::with_capacity(insert.columns.len());
        for column in &insert.columns {
            let ordinal = target_column(table, column)?;
            if targets.contains(&ordinal) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", column.name),
                )
                .at(column.span));
            }
            targets.push(ordinal);
        }
        Ok(targets)
    }

    /// VALUES straight into the table's shape: one column per table column, defaults in place.
    pub(super) fn value_rows(
        &mut self,
        table: &Arc<TableDef>,
        targets: &[usize],
        insert: &ast::InsertStmt,
        rows: &[Vec<ast::Expr>],
    ) -> Result<LogicalPlan> {
        let width = rows.first().map_or(0, Vec::len);
        for row in rows {
            if row.len() != width {
                let span = row.first().map(ast::Expr::start_span).unwrap_or_default();
                return Err(Error::syntax("VALUES lists must all be the same length").at(span));
            }
        }
        if insert.source.is_some() {
            check_width(targets, insert, width, |at| {
                rows.first().and_then(|row| row.get(at)).map(ast::Expr::start_span).unwrap_or_default()
            })?;
        }
        let given: Vec<usize> = targets.iter().take(width).copied().collect();
        self.note_columns(table, Rights::INSERT, &given);
        let mut defaults: Vec<Option<Expr>> = vec![None; table.columns.len()];
        let mut bound = Vec::with_capacity(rows.len());
        let before = std::mem::replace(&mut self.level().clause, Clause::InsertValues);
        for row in rows {
            let mut values = Vec::with_capacity(table.columns.len());
            for (ordinal, column) in table.columns.iter().enumerate() {
                let value = given.iter().position(|at| *at == ordinal).and_then(|at| row.get(at));
                let value = match value {
                    Some(ast::Expr::SetToDefault(_)) | None => None,
                    Some(value) if ignores_value(column, insert.overriding) => {
                        self.expr(value)?;
                        None
                    }
                    Some(value) => {
                        check_may_set(column, insert.overriding)?;
                        let expr = self.expr(value)?;
                        Some(self.coercer.assign(expr, column.data_type, &column.name, value.start_span())?)
                    }
                };
                values.push(match value {
                    Some(value) => value,
                    None => self.default_once(table, ordinal, &mut defaults)?,
                });
            }
            bound.push(values);
        }
        self.level().clause = before;
        let columns =
            table.columns.iter().map(|column| self.add_column(&column.name, column.data_type)).collect();
        Ok(LogicalPlan::Values { rows: bound, columns })
    }

    fn default_once(
        &mut self,
        table: &TableDef,
        ordinal: usize,
        defaults: &mut [Option<Expr>],
    ) -> Result<Expr> {
        if let Some(Some(known)) = defaults.get(ordinal) {
            return Ok(known.clone());
        }
        let value = self.absent_value(table, ordinal)?;
        if let Some(slot) = defaults.get_mut(ordinal) {
            *slot = Some(value.clone());
        }
        Ok(value)
    }

    /// What a column gets that no value is given for; generated ones are filled in later.
    fn absent_value(&mut self, table: &TableDef, ordinal: usize) -> Result<Expr> {
        match table.columns.get(ordinal) {
            Some(column) if column.dropped => Ok(Expr::null(column.data_type)),
            Some(column) => self.default_value(table, column),
            None => Err(Error::internal("column out of range")),
        }
    }

    /// The rows of a query in the table's shape.
    fn selected_rows(
        &mut self,
        table: &Arc<TableDef>,
        targets: &[usize],
        insert: &ast::InsertStmt,
        select: &ast::SelectStmt,
    ) -> Result<LogicalPlan> {
        let (query, _) = self.query(select, false)?;
        check_width(targets, insert, query.columns.len(), |at| {
            query.columns.get(at).map(|column| column.span).unwrap_or_default()
        })?;
        let given: Vec<usize> = targets.iter().take(query.columns.len()).copied().collect();
        self.note_columns(table, Rights::INSERT, &given);
        let mut exprs = Vec::with_capacity(table.columns.len());
        for (ordinal, column) in table.columns.iter().enumerate() {
            let source =
                targets.iter().position(|at| *at == ordinal).and_then(|at| query.columns.get(at)).cloned();
            let expr = match source {
                Some(_) if ignores_value(column, insert.overriding) => self.absent_value(table, ordinal)?,
                Some(source) => {
                    check_may_set(column, insert.overriding)?;
                    let from = source.literal.unwrap_or_else(|| Expr::column(source.id, source.data_type));
                    self.coercer.assign(from, column.data_type, &column.name, source.span)?
                }
                None => self.absent_value(table, ordinal)?,
            };
            exprs.push(Computed { id: self.add_column(&column.name, column.data_type), expr });
        }
        Ok(LogicalPlan::Project { input: Box::new(query.plan), exprs })
    }

    /// Adds generated columns to a source in table order; the source's column for each table column.
    fn with_generated(
        &mut self,
        table: &Arc<TableDef>,
        source: LogicalPlan,
    ) -> Result<(LogicalPlan, Vec<ColumnId>)> {
        let ids = source.output();
        if !table.live_columns().any(|(_, column)| column.generated) {
            return Ok((source, ids));
        }
        let columns: Vec<(usize, Expr)> = table
            .live_columns()
            .filter_map(|(ordinal, column)| {
                Some((ordinal, Expr::column(*ids.get(ordinal)?, column.data_type)))
            })
            .collect();
        let mut exprs = Vec::with_capacity(ids.len());
        for (id, column) in ids.iter().zip(&table.columns) {
            let computed = if column.generated && !column.dropped {
                let expr = self.generated_value(table, column, &columns)?;
                Computed { id: self.add_column(&column.name, column.data_type), expr }
            } else {
                Computed { id: *id, expr: Expr::column(*id, column.data_type) }
            };
            exprs.push(computed);
        }
        let ids = exprs.iter().map(|computed| computed.id).collect();
        Ok((LogicalPlan::Project { input: Box::new(source), exprs }, ids))
    }

    /// ON CONFLICT: which indexes arbitrate, and what happens to the row that is there.
    fn on_conflict(
        &mut self,
        table: &Arc<TableDef>,
        alias: &str,
        clause: &ast::OnConflict,
        insert: &ast::InsertStmt,
    ) -> Result<OnConflict> {
        let arbiters = self.arbiters(table, clause)?;
        let Some(update) = &clause.update else { return Ok(OnConflict { arbiters, update: None }) };
        if matches!(clause.target, ast::ConflictTarget::None) {
            return Err(Error::syntax(
                "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            )
            .with_hint("For example, ON CONFLICT (column_name).")
            .at(clause.span));
        }
        let existing = self.row_columns(table, alias);
        self.note_row_readers(table, &existing);
        let excluded = self.row_columns(table, "excluded");
        let target = self.row_item(table, &insert.relation, &existing);
        let mut proposed = self.row_item(table, &insert.relation, &excluded);
        proposed.name = "excluded".to_string();
        proposed.relation = None;
        self.level().items = vec![target, proposed];
        let mut assigned = self.assignments(table, &update.set)?;
        if !assigned.joins.is_empty() {
            return Err(Error::not_supported("a sub-select for several columns in ON CONFLICT DO UPDATE")
                .at(clause.span));
        }
        let filter = match &update.where_ {
            Some(condition) => Some(self.condition(condition, Clause::Where)?),
            None => None,
        };
        self.generated_assignments(table, &existing, &mut assigned.values)?;
        Ok(OnConflict {
            arbiters,
            update: Some(OnConflictUpdate { existing, excluded, assignments: assigned.values, filter }),
        })
    }

    /// 42P10 when no unique index matches.
    fn arbiters(&mut self, table: &Arc<TableDef>, clause: &ast::OnConflict) -> Result<Vec<Arc<IndexDef>>> {
        match &clause.target {
            ast::ConflictTarget::None => Ok(Vec::new()),
            ast::ConflictTarget::Constraint(name) => {
                let constraint =
                    table.constraints.iter().find(|constraint| constraint.name == *name).ok_or_else(
                        || {
                            Error::new(
                                SqlState::UNDEFINED_OBJECT,
                                format!("constraint \"{name}\" for table \"{}\" does not exist", table.name),
                            )
                        },
                    )?;
                let index = match &constraint.kind {
                    ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => index,
                    _ => {
                        return Err(Error::new(
                            SqlState::WRONG_OBJECT_TYPE,
                            "constraint in ON CONFLICT clause has no associated index",
                        ));
                    }
                };
                let found: Vec<_> =
                    table.indexes.iter().filter(|other| other.id == *index).cloned().collect();
                let keys: Vec<usize> = found
                    .iter()
                    .flat_map(|index| index.columns.iter().filter_map(|key| key.column))
                    .collect();
                self.note_columns(table, Rights::SELECT, &keys);
                Ok(found)
            }
            ast::ConflictTarget::Index { elements, where_ } => {
                let inputs = super::stored::as_inputs(table);
                let mut wanted: Vec<Expr> = Vec::new();
                for element in elements {
                    wanted.push(match &element.key {
                        ast::IndexKey::Column(name) => {
                            let ordinal = table
                                .column_index(name)
                                .ok_or_else(|| Error::undefined_column(name).at(element.span))?;
                            self.note_columns(table, Rights::SELECT, &[ordinal]);
                            let column = table.columns.get(ordinal).map_or(DataType::TEXT, |c| c.data_type);
                            Expr::input(ordinal, column)
                        }
                        ast::IndexKey::Expr(expr) => self.over_table(table, &inputs, |binder| {
                            let bound = binder.clause_expr(expr, Clause::IndexExpression)?;
                            binder.coercer.settle(bound)
                        })?,
                    });
                }
                let condition = match where_ {
                    Some(condition) => Some(self.over_table(table, &inputs, |binder| {
                        binder.condition(condition, Clause::IndexPredicate)
                    })?),
                    None => None,
                };
                let mut found = Vec::new();
                for index in table.indexes.iter().filter(|index| index.unique) {
                    let (keys, predicate) = self.index_exprs(table, index, &inputs)?;
                    let same_keys = keys.iter().all(|key| wanted.contains(key))
                        && wanted.iter().all(|key| keys.contains(key));
                    let implied = predicate.is_none() || predicate == condition;
                    if same_keys && implied {
                        found.push(Arc::clone(index));
                    }
                }
                if found.is_empty() {
                    return Err(Error::new(
                        SqlState::INVALID_COLUMN_REFERENCE,
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                    ));
                }
                Ok(found)
            }
        }
    }

    // ---- UPDATE ----

    fn update_here(&mut self, update: &ast::UpdateStmt) -> Result<BoundChange> {
        let pending = self.with_clause(update.with.as_deref())?;
        let table = self.target_table(&update.relation, "update", Rights::UPDATE)?;
        let (mut plan, row_key, old) = self.target_scan(&table, &update.relation, &update.from)?;
        let mut assigned = self.assignments(&table, &update.set)?;
        if let Some(condition) = &update.where_ {
            let predicate = self.condition(condition, Clause::Where)?.into_conjuncts();
            if !predicate.is_empty() {
                plan = LogicalPlan::Filter { input: Box::new(plan), predicate };
            }
        }
        for (right, dependent) in std::mem::take(&mut assigned.joins) {
            plan = LogicalPlan::Join(Join {
                kind: JoinKind::Single,
                left: Box::new(plan),
                right: Box::new(right),
                on: Vec::new(),
                mark: None,
                dependent,
            });
        }
        self.generated_assignments(&table, &old, &mut assigned.values)?;
        let mut exprs: Vec<Computed> =
            plan.output().into_iter().map(|id| Computed { id, expr: self.column_expr(id) }).collect();
        let mut assignments = Vec::with_capacity(assigned.values.len());
        for (ordinal, value) in assigned.values {
            let id = match value.as_column() {
                Some(id) => id,
                None => {
                    let name = table.columns.get(ordinal).map_or("", |column| column.name.as_str());
                    let id = self.add_column(name, value.data_type());
                    exprs.push(Computed { id, expr: value });
                    id
                }
            };
            assignments.push((ordinal, id));
        }
        let source = LogicalPlan::Project { input: Box::new(plan), exprs };
        let alias = alias_name(&update.relation);
        let row = self.row_columns(&table, &alias);
        let checks = self.checks(&table, &as_exprs(&row, &table))?;
        // RETURNING sees the new row, and the other relations as they were.
        self.note_row_readers(&table, &row);
        let item = self.row_item(&table, &update.relation, &row);
        if let Some(first) = self.level().items.first_mut() {
            *first = item;
        }
        let (returning, output) = self.returning(&update.returning)?;
        let plan = LogicalPlan::Update(Update {
            table,
            source: Box::new(source),
            row_key,
            old,
            assignments,
            checks,
            returning,
            row,
        });
        Ok(BoundChange { plan: self.wrap_with(pending, plan), columns: output })
    }

    /// The target and the other relations, cross joined, in scope; the target's key and columns.
    fn target_scan(
        &mut self,
        table: &Arc<TableDef>,
        range: &ast::RangeVar,
        others: &[ast::TableRef],
    ) -> Result<(LogicalPlan, ColumnId, Vec<(ColumnId, usize)>)> {
        let part = self.table(table, range, true)?;
        let (row_key, old) = match &part.plan {
            LogicalPlan::Scan(scan) => (scan.row_key, scan.columns.clone()),
            _ => (None, Vec::new()),
        };
        let row_key = row_key.ok_or_else(|| Error::internal("target scan without a row key"))?;
        self.level().items.extend(part.items);
        // The target is not part of FROM: only LATERAL items there could see it, and PostgreSQL refuses that too.
        if let Some(item) = self.level().items.first_mut() {
            item.lateral_only = true;
            item.lateral_ok = false;
        }
        let mut plan = part.plan;
        for entry in others {
            plan = self.add_from_entry(Some(plan), entry)?;
        }
        for item in &mut self.level().items {
            item.lateral_only = false;
        }
        Ok((plan, row_key, old))
    }

    /// SET: the new values by ordinal, cast to their columns, and sub-selects to be joined in.
    pub(super) fn assignments(&mut self, table: &Arc<TableDef>, set: &[ast::SetClause]) -> Result<Assigned> {
        let before = std::mem::replace(&mut self.level().clause, Clause::UpdateSource);
        let result = self.assignment_list(table, set);
        self.level().clause = before;
        if let Ok(assigned) = &result {
            let ordinals: Vec<usize> = assigned.values.iter().map(|(ordinal, _)| *ordinal).collect();
            self.note_columns(table, Rights::UPDATE, &ordinals);
        }
        result
    }

    fn assignment_list(&mut self, table: &Arc<TableDef>, set: &[ast::SetClause]) -> Result<Assigned> {
        let mut assigned = Assigned { values: Vec::new(), parts: Vec::new(), joins: Vec::new() };
        for clause in set {
            match clause {
                ast::SetClause::Single { target, value } => {
                    self.assign(table, target, value, &mut assigned)?
                }
                ast::SetClause::Multiple { targets, value } => match value {
                    ast::Expr::Row(row) => {
                        if row.fields.len() != targets.len() {
                            return Err(Error::syntax("number of columns does not match number of values")
                                .at(row.span));
                        }
                        for (target, value) in targets.iter().zip(&row.fields) {
                            self.assign(table, target, value, &mut assigned)?;
                        }
                    }
                    ast::Expr::SubLink(link) if link.kind == ast::SubLinkKind::Expr => {
                        let (query, outer) = self.query(&link.query, true)?;
                        if query.columns.len() != targets.len() {
                            return Err(Error::syntax("number of columns does not match number of values")
                                .at(link.span));
                        }
                        for (target, column) in targets.iter().zip(&query.columns) {
                            let ordinal = assigned.target(table, target)?;
                            let definition = settable(table, ordinal)?;
                            let value = Expr::column(column.id, column.data_type);
                            let value = self.coercer.assign(
                                value,
                                definition.data_type,
                                &definition.name,
                                target.span,
                            )?;
                            assigned.values.push((ordinal, value));
                        }
                        assigned.joins.push((query.plan, !outer.is_empty()));
                    }
                    other => {
                        return Err(Error::new(
                            SqlState::FEATURE_NOT_SUPPORTED,
                            "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
                        )
                        .at(other.start_span()));
                    }
                },
            }
        }
        Ok(assigned)
    }

    fn assign(
        &mut self,
        table: &Arc<TableDef>,
        target: &ast::ColumnTarget,
        value: &ast::Expr,
        assigned: &mut Assigned,
    ) -> Result<()> {
        if !target.path.is_empty() {
            return self.assign_part(table, target, value, assigned);
        }
        let ordinal = assigned.target(table, target)?;
        let column = table.columns.get(ordinal).ok_or_else(|| Error::internal("column out of range"))?;
        if let ast::Expr::SetToDefault(_) = value {
            if !column.generated {
                let value = self.default_value(table, column)?;
                assigned.values.push((ordinal, value));
            }
            return Ok(());
        }
        let column = settable(table, ordinal)?;
        let bound = self.expr(value)?;
        let bound = self.coercer.assign(bound, column.data_type, &column.name, value.start_span())?;
        assigned.values.push((ordinal, bound));
        Ok(())
    }

    /// `SET j['a'][0] = value` of a jsonb column; several of one column follow one another. 0A000 for
    /// parts of other types.
    fn assign_part(
        &mut self,
        table: &Arc<TableDef>,
        target: &ast::ColumnTarget,
        value: &ast::Expr,
        assigned: &mut Assigned,
    ) -> Result<()> {
        let whole = ast::ColumnTarget { path: Vec::new(), ..target.clone() };
        let ordinal = target_column(table, &whole)?;
        let column = settable(table, ordinal)?;
        let mut indexes = Vec::with_capacity(target.path.len());
        for step in &target.path {
            match step {
                ast::Indirection::Index(index) if column.data_type.oid == DataType::JSONB.oid => {
                    indexes.push(self.expr(index)?);
                }
                ast::Indirection::Slice(..) if column.data_type.oid == DataType::JSONB.oid => {
                    return Err(Error::new(
                        SqlState::DATATYPE_MISMATCH,
                        "jsonb subscript does not support slices",
                    )
                    .at(target.span));
                }
                _ => return target_column(table, target).map(|_| ()),
            }
        }
        if let ast::Expr::SetToDefault(_) = value {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot set an array element to DEFAULT",
            )
            .at(target.span));
        }
        let bound = self.expr(value)?;
        let bound = self.coercer.assign(bound, column.data_type, &column.name, value.start_span())?;
        let parts = assigned.parts.contains(&ordinal);
        let earlier = assigned.values.iter().position(|(at, _)| *at == ordinal);
        if earlier.is_some() && !parts {
            return assigned.target(table, &whole).map(|_| ());
        }
        let old = match earlier {
            Some(at) => assigned.values.remove(at).1,
            None => {
                let item = self.level().items.first().cloned();
                let found = item
                    .and_then(|item| item.columns.into_iter().find(|other| other.name == column.name))
                    .ok_or_else(|| Error::internal("the target of UPDATE is not in scope"))?;
                found.expr
            }
        };
        let changed = self.coercer.assign_jsonb(old, indexes, bound, target.span)?;
        assigned.parts.push(ordinal);
        assigned.values.push((ordinal, changed));
        Ok(())
    }

    /// Generated columns follow the columns they are computed from.
    fn generated_assignments(
        &mut self,
        table: &Arc<TableDef>,
        old: &[(ColumnId, usize)],
        values: &mut Vec<(usize, Expr)>,
    ) -> Result<()> {
        if !table.live_columns().any(|(_, column)| column.generated) {
            return Ok(());
        }
        let mut columns = as_exprs(old, table);
        for (ordinal, expr) in &mut columns {
            if let Some((_, value)) = values.iter().find(|(at, _)| at == ordinal) {
                expr.clone_from(value);
            }
        }
        for (ordinal, column) in table.live_columns().filter(|(_, column)| column.generated) {
            let value = self.generated_value(table, column, &columns)?;
            values.push((ordinal, value));
        }
        Ok(())
    }

    // ---- DELETE ----

    fn delete_here(&mut self, delete: &ast::DeleteStmt) -> Result<BoundChange> {
        let pending = self.with_clause(delete.with.as_deref())?;
        let table = self.target_table(&delete.relation, "delete from", Rights::DELETE)?;
        let (mut plan, row_key, old) = self.target_scan(&table, &delete.relation, &delete.using)?;
        if let Some(condition) = &delete.where_ {
            let predicate = self.condition(condition, Clause::Where)?.into_conjuncts();
            if !predicate.is_empty() {
                plan = LogicalPlan::Filter { input: Box::new(plan), predicate };
            }
        }
        let (returning, output) = self.returning(&delete.returning)?;
        let plan = LogicalPlan::Delete(Delete { table, source: Box::new(plan), row_key, old, returning });
        Ok(BoundChange { plan: self.wrap_with(pending, plan), columns: output })
    }

    // ---- shared ----

    /// New ids for a row of the table, by ordinal.
    pub(super) fn row_columns(&mut self, table: &TableDef, alias: &str) -> Vec<(ColumnId, usize)> {
        table
            .live_columns()
            .map(|(ordinal, column)| {
                let id = self.columns.add(ColumnEntry {
                    name: column.name.clone(),
                    relation: alias.to_string(),
                    data_type: column.data_type,
                    source: Some((table.id, ordinal)),
                });
                (id, ordinal)
            })
            .collect()
    }

    /// The target as RETURNING and ON CONFLICT see it.
    pub(super) fn row_item(
        &self,
        table: &TableDef,
        range: &ast::RangeVar,
        row: &[(ColumnId, usize)],
    ) -> Item {
        let columns = as_exprs(row, table)
            .into_iter()
            .filter_map(|(ordinal, expr)| {
                Some(ItemColumn { name: table.columns.get(ordinal)?.name.clone(), expr })
            })
            .collect();
        Item {
            name: alias_name(range),
            relation: range.alias.is_none().then_some(table.id),
            table: Some(table.id),
            columns,
            relation_visible: true,
            columns_visible: true,
            lateral_only: false,
            lateral_ok: true,
            is_scalar: false,
        }
    }

    fn returning(&mut self, list: &[ast::ResTarget]) -> Result<(Option<Vec<Computed>>, Vec<OutputColumn>)> {
        if list.is_empty() {
            return Ok((None, Vec::new()));
        }
        let targets = self.targets(list, Clause::Returning)?;
        let mut exprs: Vec<Computed> = Vec::with_capacity(targets.len());
        let mut columns = Vec::with_capacity(targets.len());
        for target in targets {
            let expr = self.coercer.settle(target.expr)?;
            let data_type = expr.data_type();
            let source = expr.as_column().and_then(|id| self.source_of(id));
            let id = match expr.as_column() {
                Some(id) if exprs.iter().all(|computed| computed.id != id) => id,
                _ => self.add_column(&target.name, data_type),
            };
            exprs.push(Computed { id, expr });
            columns.push(OutputColumn {
                name: target.name,
                id,
                data_type,
                literal: None,
                source,
                span: target.span,
            });
        }
        Ok((Some(exprs), columns))
    }
}

/// The new values of SET.
pub(super) struct Assigned {
    pub values: Vec<(usize, Expr)>,
    /// Columns of which parts were assigned.
    parts: Vec<usize>,
    /// Sub-selects that give several columns, and whether they are correlated.
    pub joins: Vec<(LogicalPlan, bool)>,
}

impl Assigned {
    /// The ordinal of a column that is assigned to. 42601 when it was already.
    fn target(&self, table: &TableDef, target: &ast::ColumnTarget) -> Result<usize> {
        let ordinal = target_column(table, target)?;
        if self.values.iter().any(|(at, _)| *at == ordinal) {
            return Err(Error::syntax(format!("multiple assignments to same column \"{}\"", target.name)));
        }
        Ok(ordinal)
    }
}

/// 42703, and 0A000 for a part of a column.
fn target_column(table: &TableDef, target: &ast::ColumnTarget) -> Result<usize> {
    let ordinal = table.column_index(&target.name).ok_or_else(|| {
        Error::new(
            SqlState::UNDEFINED_COLUMN,
            format!("column \"{}\" of relation \"{}\" does not exist", target.name, table.name),
        )
        .at(target.span)
    })?;
    if !target.path.is_empty() {
        return Err(Error::not_supported("assignment to a part of a column")
            .with_hint("Assign the whole value.")
            .at(target.span));
    }
    Ok(ordinal)
}

/// The column, if values may be assigned to it. 428C9 otherwise.
fn settable(table: &TableDef, ordinal: usize) -> Result<&ColumnDef> {
    let column = table.columns.get(ordinal).ok_or_else(|| Error::internal("column out of range"))?;
    let only_default = || {
        Error::new(
            SqlState::GENERATED_ALWAYS,
            format!("column \"{}\" can only be updated to DEFAULT", column.name),
        )
    };
    if column.generated {
        return Err(only_default().with_detail(format!("Column \"{}\" is a generated column.", column.name)));
    }
    if column.identity == Identity::Always {
        return Err(only_default().with_detail(format!(
            "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
            column.name
        )));
    }
    Ok(column)
}

/// OVERRIDING USER VALUE: an identity column takes its next value whatever is given.
fn ignores_value(column: &ColumnDef, overriding: ast::Overriding) -> bool {
    overriding == ast::Overriding::UserValue && column.identity != Identity::None
}

/// 428C9 for a value given to a column that makes its own.
fn check_may_set(column: &ColumnDef, overriding: ast::Overriding) -> Result<()> {
    let refused = || {
        Error::new(
            SqlState::GENERATED_ALWAYS,
            format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name),
        )
    };
    if column.generated {
        return Err(refused().with_detail(format!("Column \"{}\" is a generated column.", column.name)));
    }
    if column.identity == Identity::Always && overriding != ast::Overriding::SystemValue {
        return Err(refused()
            .with_detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            ))
            .with_hint("Use OVERRIDING SYSTEM VALUE to override."));
    }
    Ok(())
}

/// 42601 when there are more values than columns, or fewer than the columns that were listed.
fn check_width(
    targets: &[usize],
    insert: &ast::InsertStmt,
    width: usize,
    span_of: impl Fn(usize) -> types::Span,
) -> Result<()> {
    if width > targets.len() {
        return Err(
            Error::syntax("INSERT has more expressions than target columns").at(span_of(targets.len()))
        );
    }
    if width < targets.len() && !insert.columns.is_empty() {
        let span = insert.columns.get(width).map(|column| column.span).unwrap_or_default();
        return Err(Error::syntax("INSERT has more target columns than expressions").at(span));
    }
    Ok(())
}

/// Just VALUES, without clauses around them.
fn is_plain(select: &ast::SelectStmt) -> bool {
    select.with.is_none()
        && select.order_by.is_empty()
        && select.limit.is_none()
        && select.offset.is_none()
        && select.locking.is_empty()
}

pub(super) fn as_exprs(row: &[(ColumnId, usize)], table: &TableDef) -> Vec<(usize, Expr)> {
    row.iter()
        .filter_map(|(id, ordinal)| {
            Some((*ordinal, Expr::column(*id, table.columns.get(*ordinal)?.data_type)))
        })
        .collect()
}
