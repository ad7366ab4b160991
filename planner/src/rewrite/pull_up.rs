//! Frees a subquery's plan of the outer columns it names, by moving the conditions that name them up
//! and out of it.
//!
//! `(SELECT sum(y) FROM t WHERE t.k = o.k)` becomes `SELECT k, sum(y) FROM t GROUP BY k`, to be joined on
//! `k = o.k`. A condition climbs through projections (which hand on what it reads), joins (from a side
//! that adds no rows), and, if it is an equality of inner and outer expressions, through aggregates
//! (a group key more), DISTINCT, windows (a partition key more), LIMIT (a row number per key) and set
//! operations. Counter-examples, for which the answer is None: a condition that is no equality under
//! an aggregate (`sum` over `t.k < o.k` belongs to no group), an outer column computed with in the
//! select list, one below the null-extended side of an outer join. `decorrelate.rs` deals with those.
//! Source: Neumann & Kemper 2015, with equivalent columns instead of the domain, as in Neumann 2025.

use std::collections::HashSet;

use expr::{ColumnId, Expr, Location, SortKey, Volatility, WindowCall};
use types::DataType;

use super::Rewriter;
use super::free::expr_columns;
use super::push_filter::filtered;
use crate::logical::{
    Aggregate, ColumnEntry, Computed, Join, JoinKind, LogicalPlan, SetOp, WindowFrame, WindowSpec,
};

/// A plan without outer columns, and the conditions to join it on. Its output is that of the plan it was
/// made from, and after it columns that the conditions read.
pub(super) struct Pulled {
    pub plan: LogicalPlan,
    pub conditions: Vec<Expr>,
}

/// The outer columns that a subquery's plan names.
pub(super) type Free = HashSet<ColumnId>;

impl Rewriter<'_> {
    /// `only_existence`: how often a row comes, and in which order, does not matter.
    pub(super) fn pull_up(
        &mut self,
        plan: &LogicalPlan,
        free: &Free,
        only_existence: bool,
    ) -> Option<Pulled> {
        if !self.names(plan, free) {
            return Some(Pulled { plan: plan.clone(), conditions: Vec::new() });
        }
        match plan {
            LogicalPlan::Filter { input, predicate } => {
                let mut pulled = self.pull_up(input, free, only_existence)?;
                let mut kept = Vec::new();
                for condition in predicate {
                    if !self.expr_names(condition, free) {
                        kept.push(condition.clone());
                    } else if condition.has_subquery() || condition.volatility() == Volatility::Volatile {
                        return None;
                    } else {
                        pulled.conditions.push(condition.clone());
                    }
                }
                pulled.plan = filtered(pulled.plan, kept);
                Some(pulled)
            }
            LogicalPlan::Project { input, exprs } => {
                if exprs.iter().any(|computed| self.expr_names(&computed.expr, free)) {
                    return None;
                }
                let pulled = self.pull_up(input, free, only_existence)?;
                let mut exprs = exprs.clone();
                for id in inner_columns(&pulled.conditions, free) {
                    if !exprs.iter().any(|computed| computed.id == id) {
                        exprs.push(Computed { id, expr: Expr::column(id, self.data_type(id)) });
                    }
                }
                let plan = LogicalPlan::Project { input: Box::new(pulled.plan), exprs };
                Some(Pulled { plan, conditions: pulled.conditions })
            }
            LogicalPlan::Join(join) => self.pull_up_join(join, free, only_existence),
            LogicalPlan::Aggregate(aggregate) => {
                if aggregate.groups.is_empty() {
                    return None;
                }
                self.pull_up_aggregate(aggregate, free)
            }
            LogicalPlan::Distinct { input, on: None } => {
                let pulled = self.pull_up(input, free, only_existence)?;
                if !only_existence {
                    equalities(&pulled.conditions, free)?;
                }
                let plan = LogicalPlan::Distinct { input: Box::new(pulled.plan), on: None };
                Some(Pulled { plan, conditions: pulled.conditions })
            }
            LogicalPlan::Sort { input, .. } => self.pull_up(input, free, only_existence),
            LogicalPlan::Limit { input, limit, offset, with_ties: None } => {
                let parts = limit.iter().chain(offset);
                if parts.clone().any(|part| self.expr_names(part, free)) {
                    return None;
                }
                self.pull_up_limit(input, limit.as_ref(), offset.as_ref(), free)
            }
            LogicalPlan::Window { input, window, calls } => {
                let mut named = false;
                plan.each_expr(&mut |expr| {
                    named |= expr_columns(expr, &self.subqueries).iter().any(|id| free.contains(id))
                });
                if named {
                    return None;
                }
                let pulled = self.pull_up(input, free, false)?;
                let mut window = window.clone();
                for (inner, _) in equalities(&pulled.conditions, free)? {
                    if !window.partition_by.contains(&inner) {
                        window.partition_by.push(inner);
                    }
                }
                let plan = LogicalPlan::Window { input: Box::new(pulled.plan), window, calls: calls.clone() };
                // The window sits on top of what was handed on; its columns come last.
                Some(Pulled { plan, conditions: pulled.conditions })
            }
            LogicalPlan::SetOp(set_op) => self.pull_up_set_op(set_op, free),
            LogicalPlan::With { id, name, definition, body, materialized } => {
                if self.names(definition, free) {
                    return None;
                }
                let pulled = self.pull_up(body, free, only_existence)?;
                let plan = LogicalPlan::With {
                    id: *id,
                    name: name.clone(),
                    definition: definition.clone(),
                    body: Box::new(pulled.plan),
                    materialized: *materialized,
                };
                Some(Pulled { plan, conditions: pulled.conditions })
            }
            _ => None,
        }
    }

    fn pull_up_join(&mut self, join: &Join, free: &Free, only_existence: bool) -> Option<Pulled> {
        if join.dependent {
            return None;
        }
        let rebuilt = |left: LogicalPlan, right: LogicalPlan, on: Vec<Expr>| {
            LogicalPlan::Join(Join {
                kind: join.kind,
                left: Box::new(left),
                right: Box::new(right),
                on,
                mark: join.mark,
                dependent: false,
            })
        };
        if join.kind == JoinKind::Inner {
            let left = self.pull_up(&join.left, free, only_existence)?;
            let right = self.pull_up(&join.right, free, only_existence)?;
            let mut conditions = left.conditions;
            conditions.extend(right.conditions);
            let mut on = Vec::new();
            for condition in &join.on {
                if !self.expr_names(condition, free) {
                    on.push(condition.clone());
                } else if condition.has_subquery() {
                    return None;
                } else {
                    conditions.push(condition.clone());
                }
            }
            return Some(Pulled { plan: rebuilt(left.plan, right.plan, on), conditions });
        }
        let (outer_side, other, is_left) = match join.kind {
            JoinKind::Right => (&join.right, &join.left, false),
            JoinKind::Full => return None,
            _ => (&join.left, &join.right, true),
        };
        if self.names(other, free) || join.on.iter().any(|condition| self.expr_names(condition, free)) {
            return None;
        }
        let pulled = self.pull_up(outer_side, free, only_existence)?;
        let other = (**other).clone();
        let plan = if is_left {
            rebuilt(pulled.plan, other, join.on.clone())
        } else {
            rebuilt(other, pulled.plan, join.on.clone())
        };
        Some(Pulled { plan, conditions: pulled.conditions })
    }

    /// The aggregate with a group key more for each equality; without groups at first, an empty group is
    /// one that is not there, which is the caller's to mend.
    pub(super) fn pull_up_aggregate(&mut self, aggregate: &Aggregate, free: &Free) -> Option<Pulled> {
        if aggregate.grouping_sets.is_some() || !aggregate.grouping_calls.is_empty() {
            return None;
        }
        let mut named = false;
        LogicalPlan::Aggregate(Aggregate { input: Box::new(LogicalPlan::nothing()), ..aggregate.clone() })
            .each_expr(&mut |expr| named |= self.expr_names(expr, free));
        if named {
            return None;
        }
        let pulled = self.pull_up(&aggregate.input, free, false)?;
        let mut groups = aggregate.groups.clone();
        let mut conditions = Vec::new();
        for (position, (inner, outer)) in equalities(&pulled.conditions, free)?.into_iter().enumerate() {
            let id = match groups.iter().find(|group| group.expr == inner) {
                Some(group) => group.id,
                None => {
                    let id = match inner.as_column() {
                        Some(id) => id,
                        None => self.new_column("key", inner.data_type()),
                    };
                    groups.push(Computed { id, expr: inner.clone() });
                    id
                }
            };
            let condition = pulled.conditions.get(position)?;
            let (operator, left, _) = condition.as_operator()?;
            let key = Expr::column(id, inner.data_type());
            // The sides stay where they were: the operator may compare two types.
            conditions.push(if *left == inner {
                Expr::operator(operator, key, outer)
            } else {
                Expr::operator(operator, outer, key)
            });
        }
        // A group key that is no column of the output order's front would shift it: keys come first, so
        // a projection restores the order promised.
        let own: Vec<ColumnId> = aggregate
            .groups
            .iter()
            .map(|group| group.id)
            .chain(aggregate.calls.iter().map(|(id, _)| *id))
            .collect();
        let added: Vec<ColumnId> =
            groups.iter().map(|group| group.id).filter(|id| !own.contains(id)).collect();
        let plan = LogicalPlan::Aggregate(Aggregate {
            input: Box::new(pulled.plan),
            groups,
            grouping_sets: None,
            grouping_calls: Vec::new(),
            calls: aggregate.calls.clone(),
        });
        let plan = self.passing(plan, own.into_iter().chain(added));
        Some(Pulled { plan, conditions })
    }

    /// The first rows of each key instead of the first rows.
    fn pull_up_limit(
        &mut self,
        input: &LogicalPlan,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        free: &Free,
    ) -> Option<Pulled> {
        let (input, keys) = match input {
            LogicalPlan::Sort { input, keys } => (&**input, keys.clone()),
            other => (other, Vec::<SortKey>::new()),
        };
        if keys.iter().any(|key| self.expr_names(&key.expr, free)) {
            return None;
        }
        let output = input.output();
        let pulled = self.pull_up(input, free, false)?;
        let partition_by: Vec<Expr> =
            equalities(&pulled.conditions, free)?.into_iter().map(|(inner, _)| inner).collect();
        let function = expr::registry().function("row_number", &[])?;
        let number = self.new_column("row_number", DataType::INT8);
        let call = WindowCall {
            function,
            args: Vec::new(),
            filter: None,
            order_by: Vec::new(),
            distinct: false,
            data_type: DataType::INT8,
            location: Location(None),
        };
        let window = WindowSpec { partition_by, order_by: keys, frame: WindowFrame::default() };
        let registry = expr::registry();
        let of = |symbol: &str| registry.operator(symbol, Some(DataType::INT8), DataType::INT8);
        let rank = Expr::column(number, DataType::INT8);
        let mut conditions = Vec::new();
        if let Some(limit) = limit {
            let last = match offset {
                Some(offset) => Expr::operator(of("+")?, limit.clone(), offset.clone()),
                None => limit.clone(),
            };
            conditions.push(Expr::operator(of("<=")?, rank.clone(), last));
        }
        if let Some(offset) = offset {
            conditions.push(Expr::operator(of(">")?, rank, offset.clone()));
        }
        let added: Vec<ColumnId> =
            pulled.plan.output().into_iter().filter(|id| !output.contains(id)).collect();
        let plan = LogicalPlan::Window { input: Box::new(pulled.plan), window, calls: vec![(number, call)] };
        let plan = filtered(plan, conditions);
        let plan = self.passing(plan, output.into_iter().chain(added));
        Some(Pulled { plan, conditions: pulled.conditions })
    }

    /// Both arms with the same outer expressions, in the same order.
    fn pull_up_set_op(&mut self, set_op: &SetOp, free: &Free) -> Option<Pulled> {
        let left = self.pull_up(&set_op.left, free, false)?;
        let right = self.pull_up(&set_op.right, free, false)?;
        let left_keys = equalities(&left.conditions, free)?;
        let right_keys = equalities(&right.conditions, free)?;
        if left_keys.len() != right_keys.len() {
            return None;
        }
        let mut columns = set_op.columns.clone();
        let mut left_columns = set_op.left.output();
        let mut right_columns = set_op.right.output();
        let mut left_exprs: Vec<Computed> = self.passed(&left_columns);
        let mut right_exprs: Vec<Computed> = self.passed(&right_columns);
        let mut conditions = Vec::new();
        for (position, (inner, outer)) in left_keys.iter().enumerate() {
            let (other, _) = right_keys.iter().find(|(_, o)| o == outer)?;
            if other.data_type().oid != inner.data_type().oid {
                return None;
            }
            for (expr, exprs, ids) in
                [(inner, &mut left_exprs, &mut left_columns), (other, &mut right_exprs, &mut right_columns)]
            {
                let id = self.new_column("key", expr.data_type());
                exprs.push(Computed { id, expr: expr.clone() });
                ids.push(id);
            }
            let key = self.new_column("key", inner.data_type());
            columns.push(key);
            let (operator, first, _) = left.conditions.get(position)?.as_operator()?;
            let key = Expr::column(key, inner.data_type());
            conditions.push(if first == inner {
                Expr::operator(operator, key, outer.clone())
            } else {
                Expr::operator(operator, outer.clone(), key)
            });
        }
        let plan = LogicalPlan::SetOp(SetOp {
            kind: set_op.kind,
            all: set_op.all,
            left: Box::new(LogicalPlan::Project { input: Box::new(left.plan), exprs: left_exprs }),
            right: Box::new(LogicalPlan::Project { input: Box::new(right.plan), exprs: right_exprs }),
            columns,
        });
        Some(Pulled { plan, conditions })
    }

    pub(super) fn names(&self, plan: &LogicalPlan, free: &Free) -> bool {
        super::free::free_columns(plan, &self.subqueries).iter().any(|id| free.contains(id))
    }

    pub(super) fn expr_names(&self, expr: &Expr, free: &Free) -> bool {
        expr_columns(expr, &self.subqueries).iter().any(|id| free.contains(id))
    }

    pub(super) fn new_column(&mut self, name: &str, data_type: DataType) -> ColumnId {
        self.columns.add(ColumnEntry {
            name: name.to_string(),
            relation: String::new(),
            data_type,
            source: None,
        })
    }

    pub(super) fn passed(&self, columns: &[ColumnId]) -> Vec<Computed> {
        columns.iter().map(|id| Computed { id: *id, expr: Expr::column(*id, self.data_type(*id)) }).collect()
    }

    /// The plan with exactly these of its columns.
    pub(super) fn passing(
        &self,
        plan: LogicalPlan,
        columns: impl IntoIterator<Item = ColumnId>,
    ) -> LogicalPlan {
        let columns: Vec<ColumnId> = columns.into_iter().collect();
        if plan.output() == columns {
            return plan;
        }
        LogicalPlan::Project { input: Box::new(plan), exprs: self.passed(&columns) }
    }
}

/// The columns that the conditions read of the subquery itself.
fn inner_columns(conditions: &[Expr], free: &Free) -> Vec<ColumnId> {
    let mut columns = Vec::new();
    for id in conditions.iter().flat_map(Expr::columns) {
        if !free.contains(&id) && !columns.contains(&id) {
            columns.push(id);
        }
    }
    columns
}

/// Each condition as inner expression = outer expression; None if one is something else.
fn equalities(conditions: &[Expr], free: &Free) -> Option<Vec<(Expr, Expr)>> {
    conditions
        .iter()
        .map(|condition| {
            let (operator, left, right) = condition.as_operator()?;
            if !operator.is_equality() {
                return None;
            }
            let outer = |expr: &Expr| expr.columns().iter().all(|id| free.contains(id));
            let inner = |expr: &Expr| {
                let columns = expr.columns();
                !columns.is_empty() && columns.iter().all(|id| !free.contains(id))
            };
            if inner(left) && outer(right) {
                Some((left.clone(), right.clone()))
            } else if inner(right) && outer(left) {
                Some((right.clone(), left.clone()))
            } else {
                None
            }
        })
        .collect()
}
