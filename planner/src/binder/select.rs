//! SELECT: from its clauses to a plan.
//!
//! Clauses are bound in PostgreSQL's order (FROM, select list, WHERE, HAVING, ORDER BY, GROUP BY, DISTINCT,
//! LIMIT); the plan is built inside out: FROM, WHERE, groups, HAVING, windows, sets, select list, DISTINCT,
//! ORDER BY, locks, LIMIT. Follows `transformSelectStmt` and `parse_clause.c`.

use catalog::RelationId;
use expr::{ColumnId, Expr, SortKey};
use parser::ast::{self, SelectBody, SelectCore, SelectStmt};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use super::aggregate::Upper;
use super::locking::lock_name;
use super::ordering::Order;
use super::scope::{Clause, Level};
use super::target::Target;
use crate::logical::{Computed, LogicalPlan};

/// A bound query.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub plan: LogicalPlan,
    pub columns: Vec<OutputColumn>,
}

#[derive(Debug, Clone)]
pub(super) struct OutputColumn {
    pub name: String,
    pub id: ColumnId,
    pub data_type: DataType,
    /// The literal or parameter it is, while its type is not decided.
    pub literal: Option<Expr>,
    /// The table column it is.
    pub source: Option<(RelationId, i16)>,
    pub span: Span,
}

impl Binder<'_> {
    /// Binds a query in a level of its own; with the outer columns it uses.
    ///
    /// `settle`: literals of unknown type in the select list become text; otherwise whoever asks decides.
    pub(super) fn query(&mut self, select: &SelectStmt, settle: bool) -> Result<(Query, Vec<ColumnId>)> {
        self.push_level(Level::new())?;
        let result = self.query_here(select, settle);
        let level = self.pop_level();
        let query = result?;
        let mut outer: Vec<ColumnId> = Vec::new();
        for id in level.outer {
            if !outer.contains(&id) {
                outer.push(id);
            }
        }
        Ok((query, outer))
    }

    fn query_here(&mut self, select: &SelectStmt, settle: bool) -> Result<Query> {
        let pending = self.with_clause(select.with.as_deref())?;
        let mut query = match &select.body {
            SelectBody::Select(core) => self.select_core(core, select, settle)?,
            SelectBody::Values(rows) => {
                let query = self.values(rows, settle)?;
                self.order_result(query, select, "VALUES")?
            }
            SelectBody::SetOp(set) => {
                let query = self.set_operation(set)?;
                self.order_result(query, select, "UNION/INTERSECT/EXCEPT")?
            }
        };
        query.plan = self.wrap_with(pending, query.plan);
        Ok(query)
    }

    // ---- one SELECT ----

    fn select_core(&mut self, core: &SelectCore, select: &SelectStmt, settle: bool) -> Result<Query> {
        let self_references = self.step_references();
        let mut plan = self.bind_from(&core.from)?;
        self.window_clause(&core.windows)?;
        let mut targets = self.targets(&core.targets, Clause::SelectList)?;
        let visible = targets.len();

        if let Some(condition) = &core.where_ {
            let predicate = self.condition(condition, Clause::Where)?.into_conjuncts();
            if !predicate.is_empty() {
                plan = LogicalPlan::Filter { input: Box::new(plan), predicate };
            }
        }
        let having_start = self.level().uses.len();
        let mut having = match &core.having {
            Some(condition) => self.condition(condition, Clause::Having)?.into_conjuncts(),
            None => Vec::new(),
        };
        let having_uses = having_start..self.level().uses.len();

        let order = self.order_by(&select.order_by, &mut targets)?;
        let (groups, sets) = self.group_by(core, &mut targets)?;
        let distinct_on = self.distinct(core, &mut targets, visible, &order)?;
        if settle {
            for target in targets.iter_mut() {
                target.expr = self.settled(target.expr.clone(), target.span)?;
            }
        }
        let (limit, offset) = self.limit(select, &plan)?;

        // From here on nothing new is named.
        let mut level = std::mem::replace(self.level(), Level::new());
        let grouped = !core.group_by.is_empty()
            || core.having.is_some()
            || !level.aggregates.is_empty()
            || !level.groupings.is_empty();
        self.refuse_recursive_aggregates(self_references, &level)?;
        self.refuse_locking(core, select, grouped, &level)?;
        if grouped {
            let mut windows = std::mem::take(&mut level.windows);
            let mut set_calls = std::mem::take(&mut level.set_calls);
            let window_ids: Vec<ColumnId> =
                windows.iter().flat_map(|(_, calls)| calls.iter().map(|(id, _)| *id)).collect();
            let set_ids: Vec<ColumnId> = set_calls.iter().map(|(id, _)| *id).collect();
            let everything = 0..level.uses.len();
            let mut upper: Vec<Upper<'_>> = Vec::new();
            upper.extend(
                targets.iter_mut().map(|target| Upper { expr: &mut target.expr, uses: target.uses.clone() }),
            );
            upper.extend(having.iter_mut().map(|expr| Upper { expr, uses: having_uses.clone() }));
            for (spec, calls) in &mut windows {
                let exprs =
                    spec.partition_by.iter_mut().chain(spec.order_by.iter_mut().map(|key| &mut key.expr));
                upper.extend(exprs.map(|expr| Upper { expr, uses: everything.clone() }));
                for (_, call) in calls {
                    let exprs = call.args.iter_mut().chain(&mut call.filter);
                    upper.extend(exprs.map(|expr| Upper { expr, uses: everything.clone() }));
                }
            }
            for (_, call) in &mut set_calls {
                upper.extend(call.args.iter_mut().map(|expr| Upper { expr, uses: everything.clone() }));
            }
            level.above_groups = window_ids.into_iter().chain(set_ids).collect();
            plan = self.group(&mut level, plan, groups, sets, upper)?;
            level.windows = windows;
            level.set_calls = set_calls;
        }
        if !having.is_empty() {
            plan = LogicalPlan::Filter { input: Box::new(plan), predicate: having };
        }
        for (window, calls) in std::mem::take(&mut level.windows) {
            plan = LogicalPlan::Window { input: Box::new(plan), window, calls };
        }
        plan = expand_sets(plan, std::mem::take(&mut level.set_calls));
        *self.level() = level;

        self.finish_select(
            plan,
            targets,
            visible,
            Tail { order, distinct: core.distinct.is_some(), distinct_on, limit, offset },
            select,
        )
    }

    /// Select list, DISTINCT, ORDER BY, locks, LIMIT over what the rest of the SELECT yields.
    fn finish_select(
        &mut self,
        plan: LogicalPlan,
        targets: Vec<Target>,
        visible: usize,
        tail: Tail,
        select: &SelectStmt,
    ) -> Result<Query> {
        let mut plan = plan;
        let mut locks = Vec::new();
        if !select.locking.is_empty() {
            locks = self.lock_targets(select, &mut plan)?;
        }
        let mut exprs: Vec<Computed> = Vec::with_capacity(targets.len());
        let mut ids = Vec::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            let id = match target.expr.as_column() {
                Some(id) if exprs.iter().all(|computed| computed.id != id) => id,
                // A hidden copy of a column that is there already.
                Some(id) if at >= visible => {
                    ids.push(id);
                    continue;
                }
                Some(source) => self.columns.add(self.columns.entry(source).clone()),
                None => self.add_column(&target.name, target.expr.data_type()),
            };
            exprs.push(Computed { id, expr: target.expr.clone() });
            ids.push(id);
        }
        let shown = visible.min(exprs.len());
        for lock in &locks {
            exprs.push(Computed { id: lock.row_key, expr: Expr::column(lock.row_key, DataType::BYTEA) });
        }
        let hidden = exprs.len() > shown;
        plan = LogicalPlan::Project { input: Box::new(plan), exprs };
        let key = |order: &Order| SortKey {
            expr: Expr::column(
                ids.get(order.target).copied().unwrap_or(ColumnId(0)),
                targets.get(order.target).map_or(DataType::UNKNOWN, |target| target.expr.data_type()),
            ),
            descending: order.descending,
            nulls_first: order.nulls_first,
        };
        let keys: Vec<SortKey> = tail.order.iter().map(key).collect();
        match &tail.distinct_on {
            None => {
                if tail.distinct {
                    plan = LogicalPlan::Distinct { input: Box::new(plan), on: None };
                }
                if !keys.is_empty() {
                    plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
                }
            }
            Some(on) => {
                if !keys.is_empty() {
                    plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
                }
                let on = on
                    .iter()
                    .filter_map(|target| {
                        let data_type = targets.get(*target)?.expr.data_type();
                        Some(Expr::column(*ids.get(*target)?, data_type))
                    })
                    .collect();
                plan = LogicalPlan::Distinct { input: Box::new(plan), on: Some(on) };
            }
        }
        if !locks.is_empty() {
            plan = LogicalPlan::Lock { input: Box::new(plan), relations: locks };
        }
        plan = limited(plan, tail.limit, tail.offset, select.with_ties.then_some(keys));
        let mut columns = Vec::with_capacity(visible);
        for (target, id) in targets.into_iter().zip(&ids).take(visible) {
            let data_type = target.expr.data_type();
            let source = target.expr.as_column().and_then(|id| self.source_of(id));
            let literal = (data_type.oid == DataType::UNKNOWN.oid).then_some(target.expr);
            columns.push(OutputColumn {
                name: target.name,
                id: *id,
                data_type,
                literal,
                source,
                span: target.span,
            });
        }
        if hidden {
            let exprs = columns
                .iter()
                .map(|column| Computed { id: column.id, expr: Expr::column(column.id, column.data_type) })
                .collect();
            plan = LogicalPlan::Project { input: Box::new(plan), exprs };
        }
        Ok(Query { plan, columns })
    }

    /// The table column that `id` is, by number.
    pub(super) fn source_of(&self, id: ColumnId) -> Option<(RelationId, i16)> {
        let (relation, ordinal) = self.columns.entry(id).source?;
        let number = match self.cx.catalog.relation(relation)? {
            catalog::Relation::Table(table) => table.columns.get(ordinal)?.number,
            _ => i16::try_from(ordinal + 1).ok()?,
        };
        Some((relation, number))
    }

    // ---- ORDER BY and LIMIT of VALUES and set operations ----

    fn order_result(&mut self, query: Query, select: &SelectStmt, what: &str) -> Result<Query> {
        if let Some(locking) = select.locking.first() {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("{} is not allowed with {what}", lock_name(locking.strength)),
            )
            .at(locking.span));
        }
        let Query { mut plan, columns } = query;
        let targets: Vec<Target> = columns
            .iter()
            .map(|column| Target {
                name: column.name.clone(),
                expr: Expr::column(column.id, column.data_type),
                span: column.span,
                uses: 0..0,
            })
            .collect();
        let mut keys: Vec<SortKey> = Vec::new();
        for sort in &select.order_by {
            let Some(at) = self.named_target(&sort.expr, &targets, Clause::OrderBy)? else {
                // PostgreSQL knows the columns by name here, and nothing else.
                if let ast::Expr::ColumnRef(reference) = &sort.expr
                    && let [name] = reference.fields.as_slice()
                {
                    return Err(Error::undefined_column(name).at(sort.expr.start_span()));
                }
                return Err(Error::new(
                    SqlState::FEATURE_NOT_SUPPORTED,
                    format!("invalid {what} ORDER BY clause"),
                )
                .with_detail("Only result column names can be used, not expressions or functions.")
                .with_hint(format!(
                    "Add the expression/function to every SELECT, or move the {} into a FROM clause.",
                    if what == "VALUES" { "VALUES" } else { "UNION" }
                ))
                .at(sort.expr.start_span()));
            };
            if let Some(target) = targets.get(at) {
                let key = self.sort_key(target.expr.clone(), sort)?;
                if keys.iter().all(|other| other.expr != key.expr) {
                    keys.push(key);
                }
            }
        }
        let (limit, offset) = self.limit(select, &plan)?;
        if !keys.is_empty() {
            plan = LogicalPlan::Sort { input: Box::new(plan), keys: keys.clone() };
        }
        plan = limited(plan, limit, offset, select.with_ties.then_some(keys));
        Ok(Query { plan, columns })
    }

    /// LIMIT and OFFSET, as bigint.
    fn limit(&mut self, select: &SelectStmt, from: &LogicalPlan) -> Result<(Option<Expr>, Option<Expr>)> {
        if select.with_ties && select.order_by.is_empty() {
            return Err(Error::syntax("WITH TIES cannot be specified without ORDER BY clause"));
        }
        let limit = self.limit_expr(select.limit.as_ref(), Clause::Limit, from)?;
        let offset = self.limit_expr(select.offset.as_ref(), Clause::Offset, from)?;
        Ok((
            limit.filter(|limit| !limit.is_null_literal()),
            offset.filter(|offset| !offset.is_null_literal()),
        ))
    }

    fn limit_expr(
        &mut self,
        expr: Option<&ast::Expr>,
        clause: Clause,
        from: &LogicalPlan,
    ) -> Result<Option<Expr>> {
        let Some(expr) = expr else { return Ok(None) };
        let bound = self.clause_expr(expr, clause)?;
        let bound = self.coercer.bigint(bound, clause.name(), expr.start_span())?;
        let columns = bound.columns();
        if !columns.is_empty() {
            let own = from.output();
            if columns.iter().any(|id| own.contains(id)) {
                return Err(Error::new(
                    SqlState::INVALID_COLUMN_REFERENCE,
                    format!("argument of {} must not contain variables", clause.name()),
                )
                .at(expr.start_span()));
            }
        }
        Ok(Some(bound))
    }
}

/// What follows the select list.
struct Tail {
    order: Vec<Order>,
    distinct: bool,
    distinct_on: Option<Vec<usize>>,
    limit: Option<Expr>,
    offset: Option<Expr>,
}

fn limited(
    plan: LogicalPlan,
    limit: Option<Expr>,
    offset: Option<Expr>,
    with_ties: Option<Vec<SortKey>>,
) -> LogicalPlan {
    if limit.is_none() && offset.is_none() {
        return plan;
    }
    LogicalPlan::Limit { input: Box::new(plan), limit, offset, with_ties }
}

/// ProjectSet nodes for set-returning calls: those that take the result of others come above them.
fn expand_sets(plan: LogicalPlan, calls: Vec<(ColumnId, expr::TableFunctionCall)>) -> LogicalPlan {
    let mut plan = plan;
    let mut rest = calls;
    while !rest.is_empty() {
        let pending: Vec<ColumnId> = rest.iter().map(|(id, _)| *id).collect();
        let (ready, later): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(_, call)| {
            call.args.iter().all(|arg| arg.columns().iter().all(|id| !pending.contains(id)))
        });
        plan = LogicalPlan::ProjectSet { input: Box::new(plan), calls: ready };
        rest = later;
    }
    plan
}
