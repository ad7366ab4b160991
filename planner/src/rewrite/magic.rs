//! Groups only what will be asked for: a selective filter on the other side of a join is joined into an
//! aggregate's input as well.
//!
//! `part ⋈ (SELECT l_partkey, avg(l_quantity) FROM lineitem GROUP BY l_partkey)` with 200 parts wanted
//! needs 200 groups, not 200,000 (TPC-H Q17, Q2, Q20). When: the join's equalities give a value for group
//! keys; the other side has a part in which those values are unique, so that joining it in multiplies
//! nothing; and that part keeps few of its table's rows. The aggregate must have groups and be joined
//! inner, left or semi from the other side. Counter-example: `orders ⋈ (… GROUP BY l_orderkey)` without a filter on
//! orders: it would join twice for nothing.
//! Source: magic sets (Mumick et al. 1990); Neumann & Kemper's domain, made of a side that is there.

use expr::{ColumnId, Expr};

use super::Rewriter;
use super::decorrelate::is_unique;
use super::renumber::renumbered;
use crate::cost::cardinality::table_profile;
use crate::cost::selectivity;
use crate::logical::{Join, JoinKind, LogicalPlan};

/// A part that keeps more of its rows than this is no help.
const SELECTIVE: f64 = 0.1;

impl Rewriter<'_> {
    pub(super) fn reduced(&mut self, plan: LogicalPlan) -> LogicalPlan {
        let mut plan = plan;
        self.reduce_aggregates(&mut plan);
        plan
    }

    fn reduce_aggregates(&mut self, plan: &mut LogicalPlan) {
        for input in plan.inputs_mut() {
            self.reduce_aggregates(input);
        }
        let LogicalPlan::Join(join) = plan else { return };
        if join.dependent {
            return;
        }
        match join.kind {
            JoinKind::Inner => {
                self.reduce(join, true);
                self.reduce(join, false);
            }
            JoinKind::Left | JoinKind::Semi => self.reduce(join, true),
            _ => {}
        }
    }

    /// Reduces the aggregate on the right (or left) by what the other side keeps.
    fn reduce(&mut self, join: &mut Join, right: bool) {
        let (other, side) = if right { (&join.left, &mut join.right) } else { (&join.right, &mut join.left) };
        let made = side.output();
        let elsewhere = other.output();
        let mut pairs: Vec<(ColumnId, Expr)> = Vec::new();
        for condition in &join.on {
            let Some((operator, a, b)) = condition.as_operator() else { continue };
            let (Some(x), Some(y)) = (a.as_column(), b.as_column()) else { continue };
            if !operator.is_equality() {
                continue;
            }
            if made.contains(&x) && elsewhere.contains(&y) {
                pairs.push((y, condition.clone()));
            } else if made.contains(&y) && elsewhere.contains(&x) {
                pairs.push((x, condition.clone()));
            }
        }
        let Some(place) = aggregate_of(side) else { return };
        // The group key behind each column joined on; those that are none do not count.
        let pairs: Vec<(ColumnId, Expr, Expr)> = pairs
            .into_iter()
            .filter_map(|(outer, condition)| {
                let inner = condition.columns().into_iter().find(|id| *id != outer)?;
                let key = group_key(place, inner)?;
                Some((outer, condition, key))
            })
            .collect();
        if pairs.is_empty() {
            return;
        }
        let outer: Vec<ColumnId> = pairs.iter().map(|(outer, _, _)| *outer).collect();
        let Some(domain) = unique_part(other, &outer) else { return };
        let covered: Vec<ColumnId> = domain.output();
        if self.kept_fraction(domain) > SELECTIVE || !is_plain(domain) {
            return;
        }
        let domain = domain.clone();
        let (copy, map) = renumbered(&domain, self.columns, &mut self.subqueries, &mut self.next_cte);
        let mut on = Vec::new();
        for (outer, condition, key) in pairs.iter().filter(|(outer, _, _)| covered.contains(outer)) {
            let Some(renamed) = map.get(outer) else { return };
            let mut condition = condition.clone();
            let (renamed, data_type) = (*renamed, self.data_type(*outer));
            expr::walk::replace(&mut condition, &mut |part| {
                let id = part.as_column()?;
                Some(if id == *outer { Expr::column(renamed, data_type) } else { key.clone() })
            });
            on.push(condition);
        }
        let Some(LogicalPlan::Aggregate(aggregate)) = find_aggregate(side) else { return };
        // Done before: the same part is there already.
        let input = aggregate.input.take();
        *aggregate.input = LogicalPlan::Join(Join {
            kind: JoinKind::Inner,
            left: Box::new(input),
            right: Box::new(copy),
            on,
            mark: None,
            dependent: false,
        });
    }

    /// The fraction of its table's rows that a plan keeps, as far as filters and semi joins say.
    fn kept_fraction(&self, plan: &LogicalPlan) -> f64 {
        match plan {
            LogicalPlan::Filter { input, predicate } => match &**input {
                LogicalPlan::Scan(scan) => {
                    let profile = table_profile(scan, self.cx, 0);
                    selectivity::conjunction(predicate, &profile)
                }
                input => self.kept_fraction(input),
            },
            LogicalPlan::Project { input, .. } => self.kept_fraction(input),
            LogicalPlan::Join(join) => match join.kind {
                JoinKind::Semi => self.kept_fraction(&join.left) * self.kept_fraction(&join.right),
                JoinKind::Anti | JoinKind::NullAwareAnti => self.kept_fraction(&join.left),
                _ => 1.0,
            },
            _ => 1.0,
        }
    }
}

/// The aggregate under projections.
fn aggregate_of(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Aggregate(aggregate)
            if aggregate.grouping_sets.is_none() && !aggregate.groups.is_empty() =>
        {
            Some(plan)
        }
        LogicalPlan::Project { input, exprs } => {
            let inner = aggregate_of(input)?;
            // Names may change on the way only for what is not joined on.
            exprs.iter().any(|computed| computed.expr.as_column() == Some(computed.id)).then_some(inner)
        }
        LogicalPlan::Filter { input, .. } => aggregate_of(input),
        _ => None,
    }
}

fn find_aggregate(plan: &mut LogicalPlan) -> Option<&mut LogicalPlan> {
    match plan {
        LogicalPlan::Aggregate(_) => Some(plan),
        LogicalPlan::Project { input, .. } | LogicalPlan::Filter { input, .. } => find_aggregate(input),
        _ => None,
    }
}

fn group_key(plan: &LogicalPlan, id: ColumnId) -> Option<Expr> {
    let LogicalPlan::Aggregate(aggregate) = plan else { return None };
    let group = aggregate.groups.iter().find(|group| group.id == id)?;
    (group.expr.volatility() < expr::Volatility::Volatile).then(|| group.expr.clone())
}

/// The largest part of a plan that makes some of `columns`, in which no two rows agree on those it makes.
fn unique_part<'p>(plan: &'p LogicalPlan, columns: &[ColumnId]) -> Option<&'p LogicalPlan> {
    let output = plan.output();
    let here: Vec<ColumnId> = columns.iter().copied().filter(|id| output.contains(id)).collect();
    if here.is_empty() {
        return None;
    }
    if is_unique(plan, &here) {
        return Some(plan);
    }
    match plan {
        LogicalPlan::Filter { input, .. } => unique_part(input, columns),
        LogicalPlan::Join(join) if !join.dependent => match join.kind {
            JoinKind::Inner => unique_part(&join.left, columns).or_else(|| unique_part(&join.right, columns)),
            JoinKind::Left | JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti | JoinKind::Mark => {
                unique_part(&join.left, columns)
            }
            _ => None,
        },
        _ => None,
    }
}

/// Scans, filters and semi joins only: cheap to have twice.
fn is_plain(plan: &LogicalPlan) -> bool {
    let mut simple = true;
    plan.each_expr(&mut |expr| {
        simple &= !expr.has_subquery() && expr.volatility() < expr::Volatility::Volatile;
    });
    simple
        && matches!(
            plan,
            LogicalPlan::Scan(_)
                | LogicalPlan::Filter { .. }
                | LogicalPlan::Project { .. }
                | LogicalPlan::Join(_)
        )
        && plan.inputs().into_iter().all(is_plain)
}
