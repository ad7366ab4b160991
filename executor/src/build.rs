//! PhysicalPlan → a tree of Operators.
//!
//! Nothing is read here and no expression is evaluated: init plans run before the first batch of the
//! operator whose expressions read them, which is why each such operator is wrapped.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{Node, Op};
use types::{Batch, Result};

use crate::context::ExecContext;
use crate::dml;
use crate::instrument::Instrument;
use crate::operator::{BoxOperator, Operator};
use crate::ops;

/// The operator of `node`, with all below it.
pub fn build(node: &Arc<Node>, cx: &ExecContext) -> Result<BoxOperator> {
    build_below(node, None, cx)
}

/// The same below a Limit, if one takes the node's rows as they come: locks must know it.
fn build_below(node: &Arc<Node>, limit: Option<&Arc<Node>>, cx: &ExecContext) -> Result<BoxOperator> {
    let mut operator = build_bare(node, limit, cx)?;
    let plan = cx.plan()?;
    if !plan.sub_plans.is_empty() {
        let mut init_plans = Vec::new();
        each_expr(&node.op, &mut |expr| {
            expr::walk::visit(expr, &mut |expr| {
                if let Expr::PlanParameter { id, .. } = expr {
                    let found =
                        plan.sub_plans.iter().position(|p| p.parameters.is_empty() && p.result == *id);
                    if let Some(index) = found
                        && !init_plans.contains(&index)
                    {
                        init_plans.push(index);
                    }
                }
            });
        });
        if !init_plans.is_empty() {
            operator = Box::new(AfterInitPlans { init_plans, inner: operator });
        }
    }
    if cx.is_instrumented() {
        operator = Box::new(Instrument::new(node.id, operator));
    }
    Ok(operator)
}

fn build_bare(node: &Arc<Node>, limit: Option<&Arc<Node>>, cx: &ExecContext) -> Result<BoxOperator> {
    Ok(match &node.op {
        Op::SeqScan(_) | Op::KeyScan(_) => ops::scan::build(node, cx)?,
        Op::IndexScan(_) => Box::new(ops::index_scan::IndexScan::new(node, cx)?),
        Op::VirtualScan { .. } => Box::new(ops::virtual_scan::VirtualScan::new(node)),
        Op::FunctionScan { .. } => Box::new(ops::function_scan::FunctionScan::new(node)),
        Op::Values { .. } => Box::new(ops::values::Values::new(node)),
        Op::Result { input, .. } => {
            let input = input.as_ref().map(|input| build(input, cx)).transpose()?;
            Box::new(ops::values::ResultRow::new(node, input))
        }
        Op::Filter { input, .. } => Box::new(ops::filter::Filter::new(node, build(input, cx)?)),
        Op::Project { input, .. } => {
            Box::new(ops::project::Project::new(node, build_below(input, limit, cx)?))
        }
        Op::ProjectSet { input, .. } => Box::new(ops::project_set::ProjectSet::new(node, build(input, cx)?)),
        Op::HashJoin(join) => Box::new(ops::hash_join::HashJoin::new(
            node,
            build(&join.left, cx)?,
            build(&join.right, cx)?,
            cx,
        )?),
        Op::NestedLoop(join) => {
            Box::new(ops::nested_loop::NestedLoop::new(node, build(&join.left, cx)?, cx)?)
        }
        Op::IndexJoin(join) => Box::new(ops::index_join::IndexJoin::new(node, build(&join.left, cx)?, cx)?),
        Op::Aggregate(op) => ops::aggregate::build(node, build(&op.input, cx)?, cx)?,
        Op::Sort { input, .. } => Box::new(ops::sort::Sort::new(node, build(input, cx)?, cx)),
        Op::TopN { input, .. } => Box::new(ops::top_n::TopN::new(node, build(input, cx)?, cx)),
        Op::Limit { input, with_ties, .. } => {
            let limit = with_ties.is_none().then_some(node);
            Box::new(ops::limit::Limit::new(node, build_below(input, limit, cx)?))
        }
        Op::Distinct { input, .. } => Box::new(ops::distinct::Distinct::new(node, build(input, cx)?, cx)),
        Op::Append { inputs } => {
            let inputs = inputs.iter().map(|input| build(input, cx)).collect::<Result<Vec<_>>>()?;
            Box::new(ops::append::Append::new(inputs))
        }
        Op::SetOp { left, right, .. } => {
            Box::new(ops::set_op::SetOp::new(node, build(left, cx)?, build(right, cx)?, cx))
        }
        Op::CteScan { .. } => Box::new(ops::cte::CteScan::new(node)),
        Op::RecursiveUnion { .. } => Box::new(ops::recursive_union::RecursiveUnion::new(node, cx)?),
        Op::WorkTableScan { .. } => Box::new(ops::cte::WorkTableScan::new(node)),
        Op::Window { input, .. } => Box::new(ops::window::Window::new(node, build(input, cx)?, cx)),
        Op::LockRows { input, .. } => {
            Box::new(ops::lock_rows::LockRows::new(node, build(input, cx)?, limit.cloned()))
        }
        Op::Insert(op) => Box::new(dml::insert::Insert::new(node, build(&op.input, cx)?, cx)?),
        Op::Update(op) => Box::new(dml::update::Update::new(node, build(&op.input, cx)?, cx)?),
        Op::Delete(op) => Box::new(dml::delete::Delete::new(node, build(&op.input, cx)?, cx)?),
        other => return Err(types::Error::internal(format!("no operator yet for {other:?}"))),
    })
}

/// Runs the init plans an operator's expressions read, before its first batch.
struct AfterInitPlans {
    init_plans: Vec<usize>,
    inner: BoxOperator,
}

impl Operator for AfterInitPlans {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        for index in self.init_plans.drain(..) {
            ops::sub_plan::run_init_plan(index, cx)?;
        }
        self.inner.next(cx)
    }
}

/// Calls `f` with every expression that the operator itself evaluates (not its inputs').
fn each_expr(op: &Op, f: &mut dyn FnMut(&Expr)) {
    use planner::physical::plan::{KeyRange, SeqScan, SortKey};
    fn all(exprs: &[Expr], f: &mut dyn FnMut(&Expr)) {
        exprs.iter().for_each(f);
    }
    fn keys(keys: &[SortKey], f: &mut dyn FnMut(&Expr)) {
        keys.iter().for_each(|key| f(&key.expr));
    }
    fn ranges(ranges: &[KeyRange], f: &mut dyn FnMut(&Expr)) {
        for range in ranges {
            all(&range.equals, f);
            range.lower.iter().chain(&range.upper).for_each(|(bound, _)| f(bound));
        }
    }
    fn scan(scan: &SeqScan, f: &mut dyn FnMut(&Expr)) {
        all(&scan.filter, f);
    }
    match op {
        Op::SeqScan(op) => scan(op, f),
        Op::KeyScan(op) => {
            scan(&op.scan, f);
            ranges(&op.ranges, f);
        }
        Op::IndexScan(op) => {
            scan(&op.scan, f);
            ranges(&op.ranges, f);
        }
        Op::VirtualScan { filter, .. } | Op::CteScan { filter, .. } | Op::WorkTableScan { filter, .. } => {
            all(filter, f);
        }
        Op::FunctionScan { call, filter, .. } => {
            all(&call.args, f);
            all(filter, f);
        }
        Op::Values { rows } => rows.iter().for_each(|row| all(row, f)),
        Op::Result { exprs, one_time_filter, .. } => {
            all(exprs, f);
            all(one_time_filter, f);
        }
        Op::Filter { predicate, .. } => all(predicate, f),
        Op::Project { exprs, .. } => all(exprs, f),
        Op::ProjectSet { calls, .. } => calls.iter().for_each(|call| all(&call.args, f)),
        Op::HashJoin(op) => {
            op.keys.iter().for_each(|(left, right)| {
                f(left);
                f(right);
            });
            all(&op.residual, f);
        }
        Op::MergeJoin(op) => {
            op.keys.iter().for_each(|(left, right)| {
                f(left);
                f(right);
            });
            all(&op.residual, f);
        }
        Op::NestedLoop(op) => {
            all(&op.condition, f);
            op.parameters.iter().for_each(|(_, expr)| f(expr));
        }
        Op::IndexJoin(op) => {
            scan(&op.inner, f);
            all(&op.keys, f);
            all(&op.residual, f);
        }
        Op::Aggregate(op) => {
            all(&op.groups, f);
            all(&op.having, f);
            for call in &op.calls {
                all(&call.args, f);
                call.filter.iter().for_each(&mut *f);
                call.order_by.iter().for_each(|key| f(&key.expr));
            }
        }
        Op::Window { window, calls, .. } => {
            all(&window.partition_by, f);
            keys(&window.order_by, f);
            use planner::physical::plan::FrameBound;
            for bound in [&window.frame.start, &window.frame.end] {
                if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                    f(offset);
                }
            }
            for call in calls {
                all(&call.args, f);
                call.filter.iter().for_each(&mut *f);
            }
        }
        Op::Sort { keys: sort, .. } => keys(sort, f),
        Op::TopN { keys: sort, limit, offset, .. } => {
            keys(sort, f);
            f(limit);
            offset.iter().for_each(f);
        }
        Op::Limit { limit, offset, with_ties, .. } => {
            limit.iter().chain(offset).for_each(&mut *f);
            with_ties.iter().for_each(|ties| keys(ties, f));
        }
        Op::Distinct { keys, .. } => keys.iter().for_each(|exprs| all(exprs, f)),
        Op::Append { .. } | Op::SetOp { .. } | Op::RecursiveUnion { .. } | Op::LockRows { .. } => {}
        Op::Insert(op) => {
            op.checks.iter().for_each(|check| f(&check.predicate));
            op.returning.iter().for_each(|exprs| all(exprs, f));
            if let Some(update) = op.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                update.assignments.iter().for_each(|(_, expr)| f(expr));
                update.filter.iter().for_each(f);
            }
        }
        Op::Update(op) => {
            op.checks.iter().for_each(|check| f(&check.predicate));
            op.returning.iter().for_each(|exprs| all(exprs, f));
            if let Some(recheck) = &op.recheck {
                all(&recheck.filter, f);
                recheck.assignments.iter().for_each(|(_, expr)| f(expr));
            }
        }
        Op::Delete(op) => {
            op.returning.iter().for_each(|exprs| all(exprs, f));
            if let Some(recheck) = &op.recheck {
                all(&recheck.filter, f);
            }
        }
    }
}
