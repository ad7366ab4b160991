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
mod min_max;
mod outer_to_inner;
mod pull_up;
mod push_filter;
pub mod renumber;
pub(crate) mod simplify;

pub(crate) use outer_to_inner::rejects_nulls;

use std::collections::HashSet;

use expr::SubqueryId;
use types::{Error, Result};

use crate::context::PlanContext;
use crate::logical::{BoundSubquery, ColumnTable, CteId, LogicalPlan, LogicalStatement, ResultColumn};

/// What rules share: the statement's columns and subqueries, to which they add.
pub(crate) struct Rewriter<'a> {
    cx: &'a PlanContext<'a>,
    columns: &'a mut ColumnTable,
    subqueries: Vec<BoundSubquery>,
    next_cte: u32,
    /// Subqueries whose plan was put somewhere already.
    used: HashSet<SubqueryId>,
}

/// The statement, rewritten. What cannot be evaluated while planning (`1 / 0` in a branch that may not be
/// taken) is left for the execution to raise. XX000 in debug builds when a rule broke the plan.
pub fn rewrite(statement: LogicalStatement, cx: &PlanContext<'_>) -> Result<LogicalStatement> {
    let LogicalStatement { plan, result, mut columns, subqueries, parameter_types } = statement;
    let next_cte = 1 + subqueries.iter().map(|bound| last_cte(&bound.plan)).fold(last_cte(&plan), u32::max);
    let mut rewriter = Rewriter { cx, columns: &mut columns, subqueries, next_cte, used: HashSet::new() };
    let mut plan = plan;
    for rule in RULES {
        rewriter.apply(&mut plan, rule);
        if cfg!(debug_assertions) {
            rewriter.check(rule.name, &plan, &result)?;
        }
    }
    let subqueries = rewriter.subqueries;
    Ok(LogicalStatement { plan, result, columns, subqueries, parameter_types })
}

struct Rule {
    name: &'static str,
    /// Applied to the plans of subqueries too. (Decorrelation takes those as it meets them.)
    everywhere: bool,
    apply: fn(&mut Rewriter<'_>, LogicalPlan) -> LogicalPlan,
}

const fn rule(
    name: &'static str,
    everywhere: bool,
    apply: fn(&mut Rewriter<'_>, LogicalPlan) -> LogicalPlan,
) -> Rule {
    Rule { name, everywhere, apply }
}

/// The order. Filters are pushed again after each rule that finds new ones.
const RULES: &[Rule] = &[
    rule("inline_ctes", true, |rewriter, plan| rewriter.inline_ctes_in(plan)),
    rule("fold", true, |rewriter, plan| rewriter.folded(plan)),
    rule("simplify", true, |_, plan| simplify::simplified(plan)),
    rule("decorrelate", false, |rewriter, plan| rewriter.decorrelate(plan)),
    rule("push_filter", true, |rewriter, plan| rewriter.push_filters(plan)),
    rule("infer", true, |rewriter, plan| infer::inferred(plan, rewriter)),
    rule("push_filter", true, |rewriter, plan| rewriter.push_filters(plan)),
    rule("magic", true, |rewriter, plan| rewriter.reduced(plan)),
    rule("infer", true, |rewriter, plan| infer::inferred(plan, rewriter)),
    rule("push_filter", true, |rewriter, plan| rewriter.push_filters(plan)),
    rule("min_max", true, |_, plan| min_max::min_max(plan)),
];

impl Rewriter<'_> {
    fn apply(&mut self, plan: &mut LogicalPlan, rule: &Rule) {
        *plan = (rule.apply)(self, plan.take());
        let mut position = 0;
        // Rules may add subqueries while they copy plans.
        while rule.everywhere && position < self.subqueries.len() {
            let bound_plan = self.subqueries[position].plan.take();
            self.subqueries[position].plan = (rule.apply)(self, bound_plan);
            position += 1;
        }
    }

    fn check(&self, rule: &str, plan: &LogicalPlan, result: &[ResultColumn]) -> Result<()> {
        let statement = LogicalStatement {
            plan: plan.clone(),
            result: result.to_vec(),
            columns: self.columns.clone(),
            subqueries: self.subqueries.clone(),
            parameter_types: Vec::new(),
        };
        crate::logical_print::validate(&statement).map_err(|error| {
            Error::internal(format!("rewrite rule \"{rule}\" broke the plan: {}", error.message()))
        })
    }

    fn data_type(&self, id: expr::ColumnId) -> types::DataType {
        self.columns.entry(id).data_type
    }
}

/// Whether a plan changes rows.
pub(crate) fn writes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Insert(_) | LogicalPlan::Update(_) | LogicalPlan::Delete(_) | LogicalPlan::Merge(_)
    ) || plan.inputs().into_iter().any(writes)
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
