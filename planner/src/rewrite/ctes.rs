//! Puts the definition of a CTE where it is read.
//!
//! When: it is read once, does not write, is not recursive and not volatile, and MATERIALIZED was not
//! written; NOT MATERIALIZED puts a copy at every reader; a definition that takes columns from outside
//! (inside a LATERAL or correlated subquery) must be put in place, since a shared result would be that
//! of one outer row only. A definition read by nobody goes, unless it writes.
//! Counter-example: `WITH r AS (SELECT random())` read twice must show one number, so it stays.
//! Source: PostgreSQL 12's inline_cte().

use expr::{Expr, Volatility};

use super::Rewriter;
use super::free::free_columns;
use super::renumber::renumbered;
use crate::logical::{Computed, CteId, LogicalPlan};

impl Rewriter<'_> {
    pub(super) fn inline_ctes_in(&mut self, plan: LogicalPlan) -> LogicalPlan {
        let mut plan = plan;
        self.inline_ctes(&mut plan);
        plan
    }

    fn inline_ctes(&mut self, plan: &mut LogicalPlan) {
        for input in plan.inputs_mut() {
            self.inline_ctes(input);
        }
        let LogicalPlan::With { id, definition, body, materialized, .. } = plan else { return };
        let id = *id;
        let writes = super::writes(definition);
        let mut readers = count(body, id);
        for bound in &self.subqueries {
            readers += count(&bound.plan, id);
        }
        if readers == 0 && !writes {
            *plan = body.take();
            return;
        }
        let is_correlated = !free_columns(definition, &self.subqueries).is_empty();
        let is_recursive = matches!(**definition, LogicalPlan::RecursiveUnion { .. });
        let stays = writes
            || is_volatile(definition, self)
            || *materialized == Some(true)
            || (is_recursive && readers > 1)
            || (readers > 1 && *materialized != Some(false));
        if stays && (writes || !is_correlated) {
            return;
        }
        let definition = definition.take();
        let mut body = body.take();
        self.put(&mut body, id, &definition);
        // Readers inside subqueries that the body's expressions hold.
        for position in 0..self.subqueries.len() {
            let mut bound_plan = self.subqueries[position].plan.take();
            self.put(&mut bound_plan, id, &definition);
            self.subqueries[position].plan = bound_plan;
        }
        *plan = body;
    }

    fn put(&mut self, plan: &mut LogicalPlan, id: CteId, definition: &LogicalPlan) {
        if let LogicalPlan::CteRef { id: read, columns, .. } = plan
            && *read == id
        {
            let old = definition.output();
            let (copy, map) = renumbered(definition, self.columns, &mut self.subqueries, &mut self.next_cte);
            let exprs = columns
                .iter()
                .zip(old)
                .map(|(new, old)| {
                    let source = map.get(&old).copied().unwrap_or(old);
                    Computed { id: *new, expr: Expr::column(source, self.columns.entry(source).data_type) }
                })
                .collect();
            *plan = LogicalPlan::Project { input: Box::new(copy), exprs };
            return;
        }
        for input in plan.inputs_mut() {
            self.put(input, id, definition);
        }
    }
}

fn count(plan: &LogicalPlan, id: CteId) -> usize {
    let here = usize::from(matches!(plan, LogicalPlan::CteRef { id: read, .. } if *read == id));
    here + plan.inputs().into_iter().map(|input| count(input, id)).sum::<usize>()
}

fn is_volatile(plan: &LogicalPlan, rewriter: &Rewriter<'_>) -> bool {
    let mut volatile = false;
    plan.each_expr(&mut |expr| {
        expr::walk::visit(expr, &mut |part| match part {
            Expr::Call { function, .. } => volatile |= function.volatility == Volatility::Volatile,
            Expr::Subquery(subquery) => {
                if let Some(bound) = rewriter.subqueries.iter().find(|bound| bound.id == subquery.id) {
                    volatile |= is_volatile(&bound.plan, rewriter);
                }
            }
            _ => {}
        });
    });
    if let LogicalPlan::FunctionScan { call, .. } = plan {
        volatile |= call.function.volatility == Volatility::Volatile;
    }
    volatile
        || matches!(plan, LogicalPlan::Lock { .. })
        || plan.inputs().into_iter().any(|input| is_volatile(input, rewriter))
}
