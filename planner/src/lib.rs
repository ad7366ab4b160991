//! Statement and catalog in, plan out: a pure function.

pub mod context;
pub mod ddl;
pub mod logical;
pub mod logical_print;
pub mod physical;

pub mod binder;
pub mod cache;
pub mod cost;
pub mod explain;
pub mod rewrite;

use types::Result;

pub use binder::{
    Bound, CopyFrom, bind, bind_checks, bind_copy_from, bind_default, bind_index, bind_node, bind_query,
};
pub use context::{NoStatistics, PlanContext, PlannerSettings, Statistics, UNDECLARED};

/// From a bound query to the plan that runs it. Errors: as [`rewrite::rewrite`] and [`physical::choose`].
pub fn optimize(
    statement: logical::LogicalStatement,
    cx: &PlanContext<'_>,
) -> Result<physical::plan::PhysicalPlan> {
    let rewritten = rewrite::rewrite(statement, cx)?; // better whatever the data
    physical::choose(rewritten, cx) // better by cost
}
