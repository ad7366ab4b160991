//! Rewrites that are better whatever the data: each a file, [`rewrite`] their order.
//!
//! Called by `lib.rs` between binding and the choice of algorithms. Every rule keeps the statement's
//! meaning, NULLs and duplicates included; the header of each tells when it applies and an example where
//! it must not. Rules work on the plan and on the plans of subqueries that stay in expressions.

mod ctes;
mod decorrelate;
mod fold;
pub mod free;
mod infer;
mod magic;
mod outer_to_inner;
mod pull_up;
mod push_filter;
pub mod renumber;
pub(crate) mod simplify;

use std::collections::HashSet;

use expr::SubqueryId;
use types::Result;

use crate::context::PlanContext;
use crate::logical::{BoundSubquery, ColumnTable, CteId, LogicalPlan, LogicalStatement};

/// What rules share: the statement's columns and subqueries, to which they add.
pub(crate) struct Rewriter<'a> {
    cx: &'a PlanContext<'a>,
    columns: &'a mut ColumnTable,
    subqueries: Vec<BoundSubquery>,
    next_cte: u32,
    /// Subqueries whose plan was put somewhere already.
    used: HashSet<SubqueryId>,
}

/// The statement, rewritten. Errors are those of constant expressions that cannot be evaluated at all
/// (`1 / 0` outside of a branch that may not be taken) — they are left for the execution to raise.
pub fn rewrite(statement: LogicalStatement, cx: &PlanContext<'_>) -> Result<LogicalStatement> {
    let LogicalStatement { plan, result, mut columns, subqueries, parameter_types } = statement;
    let next_cte = 1 + subqueries.iter().map(|bound| last_cte(&bound.plan)).fold(last_cte(&plan), u32::max);
    let mut rewriter = Rewriter { cx, columns: &mut columns, subqueries, next_cte, used: HashSet::new() };
    let mut plan = plan;
    rewriter.inline_ctes(&mut plan);
    rewriter.each_plan(&mut plan, &mut |rewriter, plan| rewriter.fold(plan));
    rewriter.each_plan(&mut plan, &mut |_, plan| simplify::simplify(plan));
    let mut plan = rewriter.decorrelate(plan);
    rewriter.each_plan(&mut plan, &mut |rewriter, plan| {
        let taken = plan.take();
        *plan = rewriter.push_filters(taken);
        infer::infer(plan, rewriter);
        let taken = plan.take();
        *plan = rewriter.push_filters(taken);
        rewriter.reduce_aggregates(plan);
        infer::infer(plan, rewriter);
        let taken = plan.take();
        *plan = rewriter.push_filters(taken);
    });
    let subqueries = rewriter.subqueries;
    Ok(LogicalStatement { plan, result, columns, subqueries, parameter_types })
}

impl Rewriter<'_> {
    /// Applies a rule to the plan and to every subquery's plan.
    fn each_plan(&mut self, plan: &mut LogicalPlan, rule: &mut dyn FnMut(&mut Self, &mut LogicalPlan)) {
        rule(self, plan);
        for position in 0..self.subqueries.len() {
            let mut bound_plan = self.subqueries[position].plan.take();
            rule(self, &mut bound_plan);
            self.subqueries[position].plan = bound_plan;
        }
    }

    fn data_type(&self, id: expr::ColumnId) -> types::DataType {
        self.columns.entry(id).data_type
    }
}

/// Whether a plan changes rows.
pub(crate) fn writes(plan: &LogicalPlan) -> bool {
    matches!(plan, LogicalPlan::Insert(_) | LogicalPlan::Update(_) | LogicalPlan::Delete(_))
        || plan.inputs().into_iter().any(writes)
}

fn last_cte(plan: &LogicalPlan) -> u32 {
    let here = match plan {
        LogicalPlan::With { id: CteId(id), .. }
        | LogicalPlan::CteRef { id: CteId(id), .. }
        | LogicalPlan::RecursiveUnion { id: CteId(id), .. } => *id,
        _ => 0,
    };
    plan.inputs().into_iter().map(last_cte).fold(here, u32::max)
}
