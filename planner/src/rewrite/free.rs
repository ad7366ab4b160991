//! The columns a plan takes from outside itself.

use std::collections::HashSet;

use expr::{ColumnId, Expr};

use crate::logical::{BoundSubquery, LogicalPlan};

/// Columns that `plan` reads but no node in it makes, in order of first use: what makes a subquery
/// correlated. Subqueries inside its expressions count with what they take in turn.
pub fn free_columns(plan: &LogicalPlan, subqueries: &[BoundSubquery]) -> Vec<ColumnId> {
    let mut used = Vec::new();
    let mut made = HashSet::new();
    walk(plan, subqueries, &mut used, &mut made);
    let mut free = Vec::new();
    for column in used {
        if !made.contains(&column) && !free.contains(&column) {
            free.push(column);
        }
    }
    free
}

/// Columns that an expression reads, those of its subqueries' plans that they do not make included.
pub fn expr_columns(expr: &Expr, subqueries: &[BoundSubquery]) -> Vec<ColumnId> {
    let mut used = Vec::new();
    let mut made = HashSet::new();
    expr_walk(expr, subqueries, &mut used, &mut made);
    let mut columns = Vec::new();
    for column in used {
        if !made.contains(&column) && !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}

fn walk(
    plan: &LogicalPlan,
    subqueries: &[BoundSubquery],
    used: &mut Vec<ColumnId>,
    made: &mut HashSet<ColumnId>,
) {
    plan.each_expr(&mut |expr| expr_walk(expr, subqueries, used, made));
    match plan {
        LogicalPlan::Lock { relations, .. } => used.extend(relations.iter().map(|target| target.row_key)),
        LogicalPlan::Insert(insert) => {
            used.extend(&insert.columns);
            made.extend(insert.row.iter().map(|(id, _)| *id));
            if let Some(update) = insert.on_conflict.as_ref().and_then(|conflict| conflict.update.as_ref()) {
                made.extend(update.existing.iter().chain(&update.excluded).map(|(id, _)| *id));
            }
        }
        LogicalPlan::Update(update) => {
            used.push(update.row_key);
            used.extend(update.old.iter().map(|(id, _)| *id));
            used.extend(update.assignments.iter().map(|(_, id)| *id));
            made.extend(update.row.iter().map(|(id, _)| *id));
        }
        LogicalPlan::Delete(delete) => {
            used.push(delete.row_key);
            used.extend(delete.old.iter().map(|(id, _)| *id));
        }
        LogicalPlan::Merge(merge) => {
            used.push(merge.row_key);
            used.extend(merge.old.iter().map(|(id, _)| *id));
            made.extend(merge.row.iter().map(|(id, _)| *id));
        }
        _ => {}
    }
    // What a node hands on it also makes, unless it was made below: passing on is not making, but then
    // the maker is below and in the set as well.
    match plan {
        LogicalPlan::Project { exprs, .. } => {
            made.extend(exprs.iter().filter(|c| c.expr.as_column() != Some(c.id)).map(|c| c.id));
        }
        LogicalPlan::Aggregate(aggregate) => {
            made.extend(aggregate.groups.iter().filter(|c| c.expr.as_column() != Some(c.id)).map(|c| c.id));
            made.extend(aggregate.grouping_calls.iter().map(|(id, _)| *id));
            made.extend(aggregate.calls.iter().map(|(id, _)| *id));
        }
        LogicalPlan::Window { calls, .. } => made.extend(calls.iter().map(|(id, _)| *id)),
        LogicalPlan::ProjectSet { calls, .. } => made.extend(calls.iter().map(|(id, _)| *id)),
        LogicalPlan::Join(join) => made.extend(join.mark),
        LogicalPlan::Scan(_)
        | LogicalPlan::VirtualScan { .. }
        | LogicalPlan::FunctionScan { .. }
        | LogicalPlan::Values { .. }
        | LogicalPlan::SetOp(_)
        | LogicalPlan::CteRef { .. }
        | LogicalPlan::RecursiveUnion { .. } => made.extend(plan.output()),
        _ => {}
    }
    for input in plan.inputs() {
        walk(input, subqueries, used, made);
    }
}

fn expr_walk(
    expr: &Expr,
    subqueries: &[BoundSubquery],
    used: &mut Vec<ColumnId>,
    made: &mut HashSet<ColumnId>,
) {
    expr::walk::visit(expr, &mut |part| match part {
        Expr::Column { id, .. } => used.push(*id),
        Expr::Subquery(subquery) => {
            if let Some(bound) = subqueries.iter().find(|bound| bound.id == subquery.id) {
                walk(&bound.plan, subqueries, used, made);
            }
        }
        _ => {}
    });
}
