//! Chooses how a logical plan is run: access paths, join order and methods, orders, sub-plans.
//!
//! Called last by `plan()`, after `rewrite/`. Whatever the estimates say, the plan chosen computes what
//! the logical plan means; estimates decide only how fast.

pub mod plan;

mod access;
mod build;
mod dml;
pub mod fixed;
mod join;
mod join_order;
mod lower;
mod number;
mod ordering;
mod scope;
mod set_ops;
mod sub_plan;

use std::sync::Arc;

use types::{Field, Result, Schema};

use crate::context::PlanContext;
use crate::logical::{LogicalPlan, LogicalStatement};
use build::Want;
use lower::Lowering;
use plan::PhysicalPlan;

/// The best plan found for a statement that has been rewritten.
///
/// 0A000 for what no operator can do; XX000 if the logical plan contradicts itself.
pub fn choose(statement: LogicalStatement, cx: &PlanContext<'_>) -> Result<PhysicalPlan> {
    let is_read_only = !writes(&statement.plan);
    let mut lowering = Lowering::new(cx, &statement);
    let wanted: Vec<expr::ColumnId> = statement.result.iter().map(|column| column.column).collect();
    let root = lowering.lower(&statement.plan, &Want::columns(&wanted))?;
    let root = if statement.result.is_empty() { root } else { lowering.deliver(root, &wanted)? };
    let fields = statement
        .result
        .iter()
        .map(|column| Field {
            name: column.name.clone(),
            data_type: column.data_type,
            table_oid: column.source.map_or(0, |(table, _)| table.0),
            column_number: column.source.map_or(0, |(_, number)| number),
        })
        .collect();
    let mut plan = PhysicalPlan {
        planned_rows: Vec::new(),
        root: Arc::new(root.node),
        schema: Schema { fields },
        parameter_types: statement.parameter_types.clone(),
        plan_parameters: lowering.plan_parameters(),
        depends_on: lowering.depends_on(),
        sub_plans: std::mem::take(&mut lowering.sub_plans),
        ctes: lowering.take_ctes(),
        is_read_only,
    };
    number::number(&mut plan);
    Ok(plan)
}

/// Whether a plan changes rows or locks them.
fn writes(plan: &LogicalPlan) -> bool {
    matches!(
        plan,
        LogicalPlan::Insert(_)
            | LogicalPlan::Update(_)
            | LogicalPlan::Delete(_)
            | LogicalPlan::Merge(_)
            | LogicalPlan::Lock { .. }
    ) || plan.inputs().into_iter().any(writes)
}
