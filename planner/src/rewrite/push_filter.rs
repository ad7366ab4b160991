//! Moves conditions down to where their columns come from.
//!
//! Through projections (with what they compute put in), inner joins, the kept side of other joins,
//! aggregates (conditions on group keys), windows (on partition keys), DISTINCT, set operations and
//! sorts. Joins become inner on the way where a condition rejects the rows they add
//! (`outer_to_inner.rs`). Not past LIMIT (it would keep other rows), not what is volatile (it would be
//! asked another number of times), not onto the null-extended side of an outer join.
//! Source: PostgreSQL's deconstruct_jointree() and subquery_push_qual().

use std::collections::HashSet;

use expr::{ColumnId, Expr, Volatility};
use types::Value;

use super::Rewriter;
use super::free::expr_columns;
use super::outer_to_inner::rejects_nulls;
use super::simplify::{conjuncts, implied};
use crate::logical::{Computed, Join, JoinKind, LogicalPlan};

impl Rewriter<'_> {
    pub(super) fn push_filters(&mut self, plan: LogicalPlan) -> LogicalPlan {
        self.push(plan, Vec::new())
    }

    /// The plan under these conjuncts, each as far down as it may go.
    fn push(&mut self, plan: LogicalPlan, predicates: Vec<Expr>) -> LogicalPlan {
        if predicates.iter().any(|p| matches!(p.as_literal(), Some(Value::Bool(false) | Value::Null))) {
            return LogicalPlan::Values { rows: Vec::new(), columns: plan.output() };
        }
        match plan {
            LogicalPlan::Filter { input, predicate } => {
                let all = conjuncts(predicate.into_iter().chain(predicates).collect());
                self.push(*input, all)
            }
            LogicalPlan::Project { input, exprs } => self.push_through_project(*input, exprs, predicates),
            LogicalPlan::Join(join) => self.push_through_join(join, predicates),
            LogicalPlan::Aggregate(mut aggregate) => {
                let by_key = aggregate.grouping_sets.is_none() && !aggregate.groups.is_empty();
                let (down, stay): (Vec<Expr>, Vec<Expr>) = predicates.into_iter().partition(|predicate| {
                    by_key
                        && is_movable(predicate)
                        && predicate.columns().iter().all(|id| {
                            aggregate.groups.iter().any(|group| {
                                group.id == *id && group.expr.volatility() < Volatility::Volatile
                            })
                        })
                });
                let down =
                    down.into_iter().map(|predicate| substituted(predicate, &aggregate.groups)).collect();
                let input = aggregate.input.take();
                *aggregate.input = self.push(input, down);
                filtered(LogicalPlan::Aggregate(aggregate), stay)
            }
            LogicalPlan::Window { input, window, calls } => {
                let keys: Vec<ColumnId> = window.partition_by.iter().filter_map(Expr::as_column).collect();
                let (down, stay): (Vec<Expr>, Vec<Expr>) = predicates.into_iter().partition(|predicate| {
                    is_movable(predicate) && predicate.columns().iter().all(|id| keys.contains(id))
                });
                let input = Box::new(self.push(*input, down));
                filtered(LogicalPlan::Window { input, window, calls }, stay)
            }
            LogicalPlan::Sort { input, keys } => {
                let input = Box::new(self.push(*input, predicates));
                LogicalPlan::Sort { input, keys }
            }
            LogicalPlan::Distinct { input, on } => {
                let (down, stay): (Vec<Expr>, Vec<Expr>) = match &on {
                    None => predicates.into_iter().partition(is_movable_or_subquery),
                    Some(on) => {
                        let keys: Vec<ColumnId> = on.iter().filter_map(Expr::as_column).collect();
                        predicates.into_iter().partition(|predicate| {
                            is_movable(predicate) && predicate.columns().iter().all(|id| keys.contains(id))
                        })
                    }
                };
                let input = Box::new(self.push(*input, down));
                filtered(LogicalPlan::Distinct { input, on }, stay)
            }
            LogicalPlan::SetOp(mut set_op) => {
                let (down, stay): (Vec<Expr>, Vec<Expr>) = predicates.into_iter().partition(is_movable);
                for side in [&mut set_op.left, &mut set_op.right] {
                    let exprs: Vec<Computed> = set_op
                        .columns
                        .iter()
                        .zip(side.output())
                        .map(|(id, source)| Computed {
                            id: *id,
                            expr: Expr::column(source, self.data_type(source)),
                        })
                        .collect();
                    let of_side =
                        down.iter().map(|predicate| substituted(predicate.clone(), &exprs)).collect();
                    let taken = side.take();
                    **side = self.push(taken, of_side);
                }
                filtered(LogicalPlan::SetOp(set_op), stay)
            }
            LogicalPlan::With { id, name, definition, body, materialized } => {
                let definition = Box::new(self.push(*definition, Vec::new()));
                let body = Box::new(self.push(*body, predicates));
                LogicalPlan::With { id, name, definition, body, materialized }
            }
            LogicalPlan::ProjectSet { input, calls } => {
                let (down, stay): (Vec<Expr>, Vec<Expr>) = predicates.into_iter().partition(|predicate| {
                    is_movable(predicate)
                        && !predicate.columns().iter().any(|id| calls.iter().any(|(call, _)| call == id))
                });
                let input = Box::new(self.push(*input, down));
                filtered(LogicalPlan::ProjectSet { input, calls }, stay)
            }
            mut other => {
                for input in other.inputs_mut() {
                    let taken = input.take();
                    *input = self.push(taken, Vec::new());
                }
                filtered(other, predicates)
            }
        }
    }

    fn push_through_project(
        &mut self,
        input: LogicalPlan,
        exprs: Vec<Computed>,
        predicates: Vec<Expr>,
    ) -> LogicalPlan {
        let (down, stay): (Vec<Expr>, Vec<Expr>) = predicates.into_iter().partition(|predicate| {
            if predicate.volatility() == Volatility::Volatile && !predicate.has_subquery() {
                return false;
            }
            expr_columns(predicate, &self.subqueries).iter().all(|id| {
                match exprs.iter().find(|computed| computed.id == *id) {
                    // A subquery names columns inside its own plan, where nothing is put in.
                    Some(computed) if predicate.has_subquery() => computed.expr.as_column() == Some(*id),
                    Some(computed) => {
                        computed.expr.volatility() < Volatility::Volatile && !computed.expr.has_subquery()
                    }
                    None => true,
                }
            })
        });
        let down = down.into_iter().map(|predicate| substituted(predicate, &exprs)).collect();
        let input = Box::new(self.push(input, down));
        filtered(LogicalPlan::Project { input, exprs }, stay)
    }

    fn push_through_join(&mut self, join: Join, predicates: Vec<Expr>) -> LogicalPlan {
        let Join { mut kind, left, right, on, mark, dependent } = join;
        let left_columns: HashSet<ColumnId> = left.output().into_iter().collect();
        let right_columns: HashSet<ColumnId> = right.output().into_iter().collect();
        let of_left = |id: ColumnId| left_columns.contains(&id);
        let of_right = |id: ColumnId| right_columns.contains(&id);

        // A condition above that NULLs fail makes the join stricter.
        let rejects =
            |columns: &dyn Fn(ColumnId) -> bool| predicates.iter().any(|p| rejects_nulls(p, columns));
        if matches!(kind, JoinKind::Full) {
            kind = match (rejects(&of_left), rejects(&of_right)) {
                (true, true) => JoinKind::Inner,
                (true, false) => JoinKind::Left,
                (false, true) => JoinKind::Right,
                (false, false) => JoinKind::Full,
            };
        }
        if kind == JoinKind::Left && rejects(&of_right) || kind == JoinKind::Right && rejects(&of_left) {
            kind = JoinKind::Inner;
        }

        let mut to_left: Vec<Expr> = Vec::new();
        let mut to_right: Vec<Expr> = Vec::new();
        let mut kept_on: Vec<Expr> = Vec::new();
        let mut above: Vec<Expr> = Vec::new();
        let side = |rewriter: &Self, predicate: &Expr| {
            let columns = expr_columns(predicate, &rewriter.subqueries);
            let touches_left = columns.iter().any(|id| of_left(*id));
            let touches_right = columns.iter().any(|id| of_right(*id));
            let touches_mark = mark.is_some_and(|mark| columns.contains(&mark));
            (touches_left, touches_right, touches_mark)
        };
        let volatile =
            |predicate: &Expr| predicate.volatility() == Volatility::Volatile && !predicate.has_subquery();

        for predicate in predicates {
            let (touches_left, touches_right, touches_mark) = side(self, &predicate);
            if volatile(&predicate) || touches_mark {
                above.push(predicate);
                continue;
            }
            match kind {
                JoinKind::Inner => match (touches_left, touches_right) {
                    (true, false) => to_left.push(predicate),
                    (false, true) => to_right.push(predicate),
                    (true, true) if dependent || predicate.has_subquery() => above.push(predicate),
                    (true, true) => kept_on.push(predicate),
                    // Reads neither: once, at the top.
                    (false, false) => above.push(predicate),
                },
                JoinKind::Left
                | JoinKind::Semi
                | JoinKind::Anti
                | JoinKind::NullAwareAnti
                | JoinKind::Mark
                | JoinKind::Single
                    if touches_left && !touches_right =>
                {
                    to_left.push(predicate);
                }
                JoinKind::Right if touches_right && !touches_left => to_right.push(predicate),
                _ => above.push(predicate),
            }
        }
        let null_aware = matches!(kind, JoinKind::NullAwareAnti | JoinKind::Mark);
        for (position, predicate) in conjuncts_kept(on, null_aware).into_iter().enumerate() {
            let (touches_left, touches_right, _) = side(self, &predicate);
            let barred = volatile(&predicate) || predicate.has_subquery() || (null_aware && position == 0);
            let right_only = touches_right && !touches_left && !barred;
            let left_only = touches_left && !touches_right && !barred;
            match kind {
                JoinKind::Inner | JoinKind::Semi if right_only => to_right.push(predicate),
                JoinKind::Inner | JoinKind::Semi if left_only => to_left.push(predicate),
                JoinKind::Left
                | JoinKind::Single
                | JoinKind::Anti
                | JoinKind::NullAwareAnti
                | JoinKind::Mark
                    if right_only =>
                {
                    to_right.push(predicate);
                }
                JoinKind::Right if left_only => to_left.push(predicate),
                _ => kept_on.push(predicate),
            }
        }
        // What an OR over both sides says of one side alone goes there too.
        for predicate in &kept_on {
            if matches!(kind, JoinKind::Inner | JoinKind::Semi)
                && let Some(part) = implied(predicate, &of_left)
            {
                to_left.push(part);
            }
            if !matches!(kind, JoinKind::Full | JoinKind::Right)
                && !null_aware
                && let Some(part) = implied(predicate, &of_right)
            {
                to_right.push(part);
            }
        }
        let kept_on = if null_aware { kept_on } else { conjuncts(kept_on) };
        let left = Box::new(self.push(*left, to_left));
        let right = Box::new(self.push(*right, to_right));
        let join = LogicalPlan::Join(Join { kind, left, right, on: kept_on, mark, dependent });
        filtered(join, above)
    }
}

/// Conjuncts, flat; for a null-aware join the first condition stays first and whole.
fn conjuncts_kept(on: Vec<Expr>, null_aware: bool) -> Vec<Expr> {
    if !null_aware {
        return conjuncts(on);
    }
    let mut on = on.into_iter();
    let first = on.next();
    first.into_iter().chain(conjuncts(on.collect())).collect()
}

/// `plan` under a Filter, merged with one that is there already.
pub(super) fn filtered(plan: LogicalPlan, predicates: Vec<Expr>) -> LogicalPlan {
    if predicates.is_empty() {
        return plan;
    }
    match plan {
        LogicalPlan::Filter { input, predicate } => {
            let predicate = conjuncts(predicate.into_iter().chain(predicates).collect());
            LogicalPlan::Filter { input, predicate }
        }
        plan => LogicalPlan::Filter { input: Box::new(plan), predicate: conjuncts(predicates) },
    }
}

fn is_movable(predicate: &Expr) -> bool {
    predicate.volatility() < Volatility::Volatile
}

fn is_movable_or_subquery(predicate: &Expr) -> bool {
    predicate.has_subquery() || is_movable(predicate)
}

/// `predicate` with the projection's expressions in place of its columns.
fn substituted(predicate: Expr, exprs: &[Computed]) -> Expr {
    let mut predicate = predicate;
    expr::walk::replace(&mut predicate, &mut |part| {
        let id = part.as_column()?;
        exprs.iter().find(|computed| computed.id == id).map(|computed| computed.expr.clone())
    });
    predicate
}
