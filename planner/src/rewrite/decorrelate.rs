//! Turns subqueries in expressions, and dependent joins, into joins.
//!
//! | in the statement | becomes |
//! |---|---|
//! | WHERE EXISTS (…), x IN (…), x < ANY (…) | Semi |
//! | WHERE NOT EXISTS (…) | Anti |
//! | WHERE x NOT IN (…), x < ALL (…) | NullAwareAnti; Anti if neither side can be NULL |
//! | EXISTS, IN, ALL elsewhere (under OR, in the select list) | Mark |
//! | a correlated scalar subquery | Left onto its grouped aggregate, else Single |
//! | LATERAL | Inner or Left |
//!
//! Uncorrelated scalar subqueries and EXISTS stay: they are run once. What `pull_up.rs` cannot free of
//! outer columns stays too, to be run per distinct outer value. Counter-example to doing more: a scalar
//! subquery in a CASE branch that may yield two rows must not fail for rows that never take the branch.
//! `count` over no rows is 0, not NULL: the joined column gets `coalesce(…, 0)`.
//! Source: Neumann & Kemper, "Unnesting Arbitrary Queries", BTW 2015.

use std::collections::HashSet;

use expr::{BoolTest, ColumnId, Expr, Subquery, SubqueryId, SubqueryKind};
use types::{DataType, Value};

use super::Rewriter;
use super::free::free_columns;
use super::pull_up::{Free, Pulled};
use super::push_filter::filtered;
use super::renumber::renumbered;
use crate::logical::{Aggregate, Computed, Join, JoinKind, LogicalPlan};

impl Rewriter<'_> {
    pub(super) fn decorrelate(&mut self, plan: LogicalPlan) -> LogicalPlan {
        let mut plan = plan;
        for input in plan.inputs_mut() {
            let taken = input.take();
            *input = self.decorrelate(taken);
        }
        let mut has_subquery = false;
        plan.each_expr(&mut |expr| has_subquery |= expr.has_subquery());
        if let LogicalPlan::Join(join) = &plan
            && join.dependent
        {
            let LogicalPlan::Join(join) = plan else { return plan };
            return self.dependent_join(join);
        }
        if !has_subquery {
            return plan;
        }
        match plan {
            LogicalPlan::Filter { input, predicate } => self.filter_subqueries(*input, predicate),
            LogicalPlan::Join(join) if join.kind == JoinKind::Inner => {
                let (with, without) = join.on.into_iter().partition(Expr::has_subquery);
                let joined = LogicalPlan::Join(Join { on: without, ..join });
                self.filter_subqueries(joined, with)
            }
            LogicalPlan::Project { .. }
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Window { .. }
            | LogicalPlan::Sort { .. }
            | LogicalPlan::ProjectSet { .. } => {
                let output = plan.output();
                let mut input = match plan.inputs_mut().first_mut() {
                    Some(input) => input.take(),
                    None => return plan,
                };
                plan.each_expr_mut(&mut |expr| self.replace_subqueries(expr, &mut input));
                if let Some(place) = plan.inputs_mut().into_iter().next() {
                    *place = input;
                }
                self.passing(plan, output)
            }
            // Conditions of outer joins, VALUES, LIMIT: as they are, their own subqueries unnested.
            other => {
                let mut found = Vec::new();
                other.each_expr(&mut |expr| subqueries_of(expr, &mut found));
                for id in found {
                    self.settle(id);
                }
                other
            }
        }
    }

    fn filter_subqueries(&mut self, input: LogicalPlan, predicate: Vec<Expr>) -> LogicalPlan {
        let output = input.output();
        let (with, without): (Vec<Expr>, Vec<Expr>) = predicate.into_iter().partition(Expr::has_subquery);
        let mut plan = filtered(input, without);
        let mut rest = Vec::new();
        for conjunct in with {
            if !self.join_conjunct(&conjunct, &mut plan) {
                let mut conjunct = conjunct;
                self.replace_subqueries(&mut conjunct, &mut plan);
                rest.push(conjunct);
            }
        }
        let plan = filtered(plan, rest);
        self.passing(plan, output)
    }

    /// A conjunct that is a subquery by itself, as a join. False when it has to stay an expression.
    fn join_conjunct(&mut self, conjunct: &Expr, plan: &mut LogicalPlan) -> bool {
        let (subquery, negated) = match conjunct {
            Expr::Subquery(subquery) => (subquery, false),
            Expr::Not(arg) => match &**arg {
                Expr::Subquery(subquery) => (subquery, true),
                _ => return false,
            },
            _ => return false,
        };
        let kind = match (subquery.kind, negated) {
            (SubqueryKind::Exists, false) => JoinKind::Semi,
            (SubqueryKind::Exists, true) => JoinKind::Anti,
            (SubqueryKind::Any, false) | (SubqueryKind::All, true) => JoinKind::Semi,
            (SubqueryKind::Any, true) | (SubqueryKind::All, false) => JoinKind::NullAwareAnti,
            _ => return false,
        };
        let Some(inner) = self.subquery_plan(subquery.id) else { return false };
        let inner = if subquery.kind == SubqueryKind::Exists { stripped(inner) } else { inner };
        let free: Free = free_columns(&inner, &self.subqueries).into_iter().collect();
        if subquery.kind == SubqueryKind::Exists && free.is_empty() {
            self.keep(subquery.id, inner);
            return false;
        }
        let columns = inner.output();
        let Some(Pulled { plan: right, conditions }) = self.pull_up(&inner, &free, true) else {
            self.keep(subquery.id, inner);
            return false;
        };
        let mut tests = subquery.tests.clone();
        for test in &mut tests {
            self.replace_subqueries(test, plan);
        }
        // `x op ALL` fails where `x negated-op ANY` holds or is unknown.
        let through_negator = subquery.kind == SubqueryKind::All;
        let Some(comparison) = self.comparison(subquery, tests, &columns, through_negator) else {
            self.keep(subquery.id, inner);
            return false;
        };
        let mut kind = kind;
        let mut on: Vec<Expr> = Vec::new();
        if kind == JoinKind::NullAwareAnti {
            let nullable =
                comparison.columns().iter().any(|id| !is_not_null(plan, *id) && !is_not_null(&right, *id))
                    || !strict_operands(&comparison);
            if nullable {
                on.push(comparison);
            } else {
                kind = JoinKind::Anti;
                on.extend(comparison.into_conjuncts());
            }
        } else {
            on.extend(comparison.into_conjuncts());
        }
        on.extend(conditions);
        let left = Box::new(plan.take());
        *plan =
            LogicalPlan::Join(Join { kind, left, right: Box::new(right), on, mark: None, dependent: false });
        true
    }

    /// The test of IN, ANY or ALL against the subquery's columns; TRUE for EXISTS.
    fn comparison(
        &self,
        subquery: &Subquery,
        tests: Vec<Expr>,
        columns: &[ColumnId],
        negate: bool,
    ) -> Option<Expr> {
        let mut parts = Vec::new();
        for ((test, operator), column) in tests.into_iter().zip(&subquery.operators).zip(columns) {
            let operator = if negate { operator.negator()? } else { operator };
            parts.push(Expr::operator(operator, test, Expr::column(*column, self.data_type(*column))));
        }
        // NOT (a = x AND b = y) is a <> x OR b <> y.
        Some(if negate { Expr::or(parts) } else { Expr::and(parts) })
    }

    /// Puts joins under an expression for the subqueries in it.
    fn replace_subqueries(&mut self, expr: &mut Expr, plan: &mut LogicalPlan) {
        self.replace_in(expr, plan, false);
    }

    /// `lazy`: the expression may not be evaluated for every row, so nothing in it may fail early.
    fn replace_in(&mut self, expr: &mut Expr, plan: &mut LogicalPlan, lazy: bool) {
        if !expr.has_subquery() {
            return;
        }
        match expr {
            Expr::Subquery(subquery) => {
                let subquery = subquery.clone();
                if let Some(new) = self.joined(&subquery, plan, lazy) {
                    *expr = new;
                }
            }
            Expr::Case { .. } | Expr::Coalesce { .. } => {
                expr::walk::each_child_mut(expr, &mut |child| self.replace_in(child, plan, true));
            }
            other => expr::walk::each_child_mut(other, &mut |child| self.replace_in(child, plan, lazy)),
        }
    }

    /// What stands for a subquery after it was joined to `plan`; None if it stays.
    fn joined(&mut self, subquery: &Subquery, plan: &mut LogicalPlan, lazy: bool) -> Option<Expr> {
        let inner = self.subquery_plan(subquery.id)?;
        let free: Free = free_columns(&inner, &self.subqueries).into_iter().collect();
        let available: HashSet<ColumnId> = plan.output().into_iter().collect();
        let reachable = free.iter().all(|id| available.contains(id));
        let result = match subquery.kind {
            SubqueryKind::Scalar if !free.is_empty() && reachable => {
                self.join_scalar(&inner, &free, plan, lazy)
            }
            SubqueryKind::Exists if !free.is_empty() && reachable => {
                let inner = stripped(inner.clone());
                self.join_mark(subquery, &inner, &free, plan)
            }
            SubqueryKind::Any | SubqueryKind::All if reachable => {
                self.join_mark(subquery, &inner, &free, plan)
            }
            _ => None,
        };
        if result.is_none() {
            self.keep(subquery.id, inner);
        }
        result
    }

    fn join_mark(
        &mut self,
        subquery: &Subquery,
        inner: &LogicalPlan,
        free: &Free,
        plan: &mut LogicalPlan,
    ) -> Option<Expr> {
        let columns = inner.output();
        let Pulled { plan: right, conditions } = self.pull_up(inner, free, true)?;
        let mut tests = subquery.tests.clone();
        for test in &mut tests {
            self.replace_subqueries(test, plan);
        }
        let is_all = subquery.kind == SubqueryKind::All;
        let mut on = Vec::new();
        if subquery.kind == SubqueryKind::Exists {
            // Nothing here is three-valued once the mark is asked IS TRUE; an equality first, to hash by.
            on.extend(conditions);
            on.sort_by_key(|condition| !condition.as_operator().is_some_and(|(o, _, _)| o.is_equality()));
        } else {
            on.push(self.comparison(subquery, tests, &columns, is_all)?);
            on.extend(conditions);
        }
        let mark = self.new_column("mark", DataType::BOOL);
        let left = Box::new(plan.take());
        *plan = LogicalPlan::Join(Join {
            kind: JoinKind::Mark,
            left,
            right: Box::new(right),
            on,
            mark: Some(mark),
            dependent: false,
        });
        let mark = Expr::column(mark, DataType::BOOL);
        Some(match subquery.kind {
            SubqueryKind::Exists => Expr::BoolTest { arg: Box::new(mark), test: BoolTest::IsTrue },
            SubqueryKind::All => Expr::Not(Box::new(mark)),
            _ => mark,
        })
    }

    fn join_scalar(
        &mut self,
        inner: &LogicalPlan,
        free: &Free,
        plan: &mut LogicalPlan,
        lazy: bool,
    ) -> Option<Expr> {
        let value = *inner.output().first()?;
        if let Some((right, conditions, hoisted)) = self.ungrouped(inner, free) {
            let left = Box::new(plan.take());
            *plan = left_join(*left, right, conditions);
            return hoisted.into_iter().find(|computed| computed.id == value).map(|computed| computed.expr);
        }
        let Pulled { plan: right, conditions } = self.pull_up(inner, free, false)?;
        let unique = is_unique_by(&right, &conditions);
        if lazy && !unique {
            return None;
        }
        let kind = if unique { JoinKind::Left } else { JoinKind::Single };
        let left = Box::new(plan.take());
        *plan = LogicalPlan::Join(Join {
            kind,
            left,
            right: Box::new(right),
            on: conditions,
            mark: None,
            dependent: false,
        });
        Some(Expr::column(value, self.data_type(value)))
    }

    /// A plan that always yields one row, because it aggregates without groups: the grouped plan to join
    /// (outer: a missing group is an empty one), on what, and its output computed over the join.
    fn ungrouped(
        &mut self,
        inner: &LogicalPlan,
        free: &Free,
    ) -> Option<(LogicalPlan, Vec<Expr>, Vec<Computed>)> {
        let (aggregate, mut exprs): (&Aggregate, Vec<Computed>) = match inner {
            LogicalPlan::Aggregate(aggregate) => (aggregate, self.passed(&inner.output())),
            LogicalPlan::Project { input, exprs } => match &**input {
                LogicalPlan::Aggregate(aggregate) => (aggregate, exprs.clone()),
                _ => return None,
            },
            _ => return None,
        };
        if !aggregate.groups.is_empty() || aggregate.grouping_sets.is_some() {
            return None;
        }
        if exprs.iter().any(|computed| computed.expr.volatility() == expr::Volatility::Volatile) {
            return None;
        }
        let Pulled { plan, conditions } = self.pull_up_aggregate(aggregate, free)?;
        for (id, call) in &aggregate.calls {
            if !matches!(call.function.name, "count" | "regr_count") {
                continue;
            }
            let zero = Expr::literal(Value::Int64(0), call.data_type);
            let column = Expr::column(*id, call.data_type);
            let mended = Expr::Coalesce { args: vec![column, zero], data_type: call.data_type };
            for computed in &mut exprs {
                expr::walk::replace(&mut computed.expr, &mut |part| {
                    (part.as_column() == Some(*id)).then(|| mended.clone())
                });
            }
        }
        Some((plan, conditions, exprs))
    }

    /// LATERAL.
    fn dependent_join(&mut self, join: Join) -> LogicalPlan {
        let free: Free = free_columns(&join.right, &self.subqueries)
            .into_iter()
            .collect::<HashSet<_>>()
            .intersection(&join.left.output().into_iter().collect())
            .copied()
            .collect();
        if free.is_empty() {
            return LogicalPlan::Join(Join { dependent: false, ..join });
        }
        if !matches!(join.kind, JoinKind::Inner | JoinKind::Left) {
            return LogicalPlan::Join(join);
        }
        let output: Vec<ColumnId> = join.left.output().into_iter().chain(join.right.output()).collect();
        if let Some((right, conditions, hoisted)) = self.ungrouped(&join.right, &free) {
            // One row for every left row. A condition on it is not one of the join for LEFT: NULLs then.
            let trivial = join.on.is_empty();
            if join.kind == JoinKind::Inner || trivial {
                let joined = left_join(*join.left.clone(), right, conditions);
                let mut exprs = self.passed(&join.left.output());
                exprs.extend(hoisted);
                let plan = LogicalPlan::Project { input: Box::new(joined), exprs };
                let plan = filtered(plan, join.on);
                return self.passing(plan, output);
            }
        }
        match self.pull_up(&join.right, &free, false) {
            Some(Pulled { plan: right, conditions }) => {
                let on = join.on.into_iter().chain(conditions).collect();
                let plan = LogicalPlan::Join(Join { right: Box::new(right), on, dependent: false, ..join });
                self.passing(plan, output)
            }
            None => LogicalPlan::Join(join),
        }
    }

    /// The plan of a subquery, itself unnested. A second use gets a copy with columns of its own.
    fn subquery_plan(&mut self, id: SubqueryId) -> Option<LogicalPlan> {
        let bound = self.subqueries.iter().find(|bound| bound.id == id)?;
        let mut plan = bound.plan.clone();
        if !self.used.insert(id) {
            plan = renumbered(&plan, self.columns, &mut self.subqueries, &mut self.next_cte).0;
        }
        Some(self.decorrelate(plan))
    }

    /// Puts an unnested plan back for a subquery that stays an expression.
    fn keep(&mut self, id: SubqueryId, plan: LogicalPlan) {
        let outer = free_columns(&plan, &self.subqueries);
        if let Some(bound) = self.subqueries.iter_mut().find(|bound| bound.id == id) {
            bound.outer = outer;
            bound.plan = plan;
        }
    }

    fn settle(&mut self, id: SubqueryId) {
        if let Some(plan) = self.subquery_plan(id) {
            self.keep(id, plan);
        }
    }
}

fn left_join(left: LogicalPlan, right: LogicalPlan, on: Vec<Expr>) -> LogicalPlan {
    LogicalPlan::Join(Join {
        kind: JoinKind::Left,
        left: Box::new(left),
        right: Box::new(right),
        on,
        mark: None,
        dependent: false,
    })
}

fn subqueries_of(expr: &Expr, out: &mut Vec<SubqueryId>) {
    expr::walk::visit(expr, &mut |part| {
        if let Expr::Subquery(subquery) = part {
            out.push(subquery.id);
        }
    });
}

/// Without what does not matter to EXISTS: select list, order, DISTINCT, LIMIT of one or more.
fn stripped(plan: LogicalPlan) -> LogicalPlan {
    match plan {
        LogicalPlan::Project { input, exprs }
            if exprs.iter().all(|c| c.expr.volatility() < expr::Volatility::Volatile) =>
        {
            stripped(*input)
        }
        LogicalPlan::Sort { input, .. } | LogicalPlan::Distinct { input, .. } => stripped(*input),
        LogicalPlan::Limit { input, limit: Some(limit), offset: None, .. }
            if limit.as_literal().and_then(Value::as_i64).is_some_and(|limit| limit > 0) =>
        {
            stripped(*input)
        }
        other => other,
    }
}

/// Whether every operand is a plain column (or a value known not to be NULL): only then does the absence
/// of NULLs in columns mean that no comparison is unknown.
fn strict_operands(comparison: &Expr) -> bool {
    let parts: Vec<&Expr> = match comparison {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().collect(),
        other => vec![other],
    };
    parts.into_iter().all(|part| {
        part.as_operator().is_some_and(|(_, left, right)| {
            [left, right].into_iter().all(|side| match side {
                Expr::Column { .. } => true,
                Expr::Relabel { arg, .. } => arg.as_column().is_some(),
                Expr::Literal { value, .. } => !value.is_null(),
                _ => false,
            })
        })
    })
}

/// Whether the column is never NULL in the plan's rows.
pub(super) fn is_not_null(plan: &LogicalPlan, id: ColumnId) -> bool {
    match plan {
        LogicalPlan::Scan(scan) => scan.columns.iter().any(|(column, ordinal)| {
            *column == id && scan.table.columns.get(*ordinal).is_some_and(|column| column.not_null)
        }),
        LogicalPlan::Filter { input, predicate } => {
            is_not_null(input, id)
                || (input.output().contains(&id)
                    && predicate.iter().any(|p| super::outer_to_inner::rejects_nulls(p, &|c| c == id)))
        }
        LogicalPlan::Project { input, exprs } => exprs.iter().any(|computed| {
            computed.id == id
                && match &computed.expr {
                    Expr::Column { id, .. } => is_not_null(input, *id),
                    Expr::Literal { value, .. } => !value.is_null(),
                    _ => false,
                }
        }),
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.calls.iter().any(|(call, function)| *call == id && function.function.name == "count")
                || (aggregate.grouping_sets.is_none()
                    && aggregate.groups.iter().any(|group| {
                        group.id == id
                            && group.expr.as_column().is_some_and(|id| is_not_null(&aggregate.input, id))
                    }))
        }
        LogicalPlan::Join(join) => match join.kind {
            JoinKind::Inner => is_not_null(&join.left, id) || is_not_null(&join.right, id),
            JoinKind::Left
            | JoinKind::Single
            | JoinKind::Semi
            | JoinKind::Anti
            | JoinKind::NullAwareAnti
            | JoinKind::Mark => is_not_null(&join.left, id),
            JoinKind::Right => is_not_null(&join.right, id),
            _ => false,
        },
        LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. }
        | LogicalPlan::Distinct { input, .. }
        | LogicalPlan::Window { input, .. }
        | LogicalPlan::Lock { input, .. } => is_not_null(input, id),
        LogicalPlan::With { body, .. } => is_not_null(body, id),
        _ => false,
    }
}

/// Whether the plan has at most one row for given outer values: its equalities pin a unique key.
fn is_unique_by(plan: &LogicalPlan, conditions: &[Expr]) -> bool {
    let pinned: Vec<ColumnId> = conditions
        .iter()
        .filter_map(|condition| {
            let (operator, left, right) = condition.as_operator()?;
            if !operator.is_equality() {
                return None;
            }
            let made = plan.output();
            match (left.as_column(), right.as_column()) {
                (Some(id), _) if made.contains(&id) && !right.columns().iter().any(|c| made.contains(c)) => {
                    Some(id)
                }
                (_, Some(id)) if made.contains(&id) && !left.columns().iter().any(|c| made.contains(c)) => {
                    Some(id)
                }
                _ => None,
            }
        })
        .collect();
    is_unique(plan, &pinned)
}

/// Whether no two rows agree on `columns`.
pub(super) fn is_unique(plan: &LogicalPlan, columns: &[ColumnId]) -> bool {
    match plan {
        LogicalPlan::Scan(scan) => scan.table.indexes.iter().any(|index| {
            index.unique
                && index.predicate.is_none()
                && index.columns.iter().all(|key| {
                    key.column.is_some_and(|ordinal| {
                        scan.columns.iter().any(|(id, column)| *column == ordinal && columns.contains(id))
                    })
                })
        }),
        LogicalPlan::Filter { input, .. }
        | LogicalPlan::Sort { input, .. }
        | LogicalPlan::Limit { input, .. } => is_unique(input, columns),
        LogicalPlan::Project { input, exprs } => {
            let below: Vec<ColumnId> = exprs
                .iter()
                .filter(|computed| columns.contains(&computed.id))
                .filter_map(|computed| computed.expr.as_column())
                .collect();
            is_unique(input, &below)
        }
        LogicalPlan::Aggregate(aggregate) => {
            aggregate.grouping_sets.is_none()
                && aggregate.groups.iter().all(|group| columns.contains(&group.id))
        }
        LogicalPlan::Join(join) => match join.kind {
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti | JoinKind::Mark | JoinKind::Single => {
                is_unique(&join.left, columns)
            }
            _ => false,
        },
        _ => false,
    }
}
