//! A copy of a plan that makes columns of its own.
//!
//! Column ids are unique within a plan, so a plan that is to stand in two places must be copied with
//! fresh ids for everything it makes. What it takes from outside keeps its id.

use std::collections::HashMap;

use expr::{ColumnId, Expr, SubqueryId};

use crate::logical::{BoundSubquery, ColumnTable, CteId, LogicalPlan};

/// The copy, and the new id of each column made. Subqueries in its expressions are copied too.
pub fn renumbered(
    plan: &LogicalPlan,
    columns: &mut ColumnTable,
    subqueries: &mut Vec<BoundSubquery>,
    next_cte: &mut u32,
) -> (LogicalPlan, HashMap<ColumnId, ColumnId>) {
    let mut copy = plan.clone();
    let mut map = HashMap::new();
    let mut ctes = HashMap::new();
    Renumber { columns, subqueries, map: &mut map, ctes: &mut ctes, next_cte }.define(&mut copy);
    let mut renumber = Renumber { columns, subqueries, map: &mut map, ctes: &mut ctes, next_cte };
    renumber.rename(&mut copy);
    (copy, map)
}

struct Renumber<'a> {
    columns: &'a mut ColumnTable,
    subqueries: &'a mut Vec<BoundSubquery>,
    map: &'a mut HashMap<ColumnId, ColumnId>,
    ctes: &'a mut HashMap<CteId, CteId>,
    next_cte: &'a mut u32,
}

impl Renumber<'_> {
    fn fresh(&mut self, id: ColumnId) {
        if !self.map.contains_key(&id) {
            let entry = self.columns.entry(id).clone();
            let new = self.columns.add(entry);
            self.map.insert(id, new);
        }
    }

    fn fresh_cte(&mut self, id: CteId) {
        if !self.ctes.contains_key(&id) {
            self.ctes.insert(id, CteId(*self.next_cte));
            *self.next_cte += 1;
        }
    }

    /// Gives every column (and CTE) that the plan makes a new id.
    fn define(&mut self, plan: &mut LogicalPlan) {
        match plan {
            LogicalPlan::Scan(_)
            | LogicalPlan::VirtualScan { .. }
            | LogicalPlan::FunctionScan { .. }
            | LogicalPlan::Values { .. }
            | LogicalPlan::SetOp(_)
            | LogicalPlan::CteRef { .. } => {
                for id in plan.output() {
                    self.fresh(id);
                }
            }
            LogicalPlan::RecursiveUnion { id, columns, .. } => {
                let (id, columns) = (*id, columns.clone());
                self.fresh_cte(id);
                columns.into_iter().for_each(|column| self.fresh(column));
            }
            LogicalPlan::With { id, .. } => {
                let id = *id;
                self.fresh_cte(id);
            }
            LogicalPlan::Project { exprs, .. } => {
                let made: Vec<ColumnId> =
                    exprs.iter().filter(|c| c.expr.as_column() != Some(c.id)).map(|c| c.id).collect();
                made.into_iter().for_each(|id| self.fresh(id));
            }
            LogicalPlan::Aggregate(aggregate) => {
                let made: Vec<ColumnId> = aggregate
                    .groups
                    .iter()
                    .filter(|c| c.expr.as_column() != Some(c.id))
                    .map(|c| c.id)
                    .chain(aggregate.grouping_calls.iter().map(|(id, _)| *id))
                    .chain(aggregate.calls.iter().map(|(id, _)| *id))
                    .collect();
                made.into_iter().for_each(|id| self.fresh(id));
            }
            LogicalPlan::Window { calls, .. } => {
                let made: Vec<ColumnId> = calls.iter().map(|(id, _)| *id).collect();
                made.into_iter().for_each(|id| self.fresh(id));
            }
            LogicalPlan::ProjectSet { calls, .. } => {
                let made: Vec<ColumnId> = calls.iter().map(|(id, _)| *id).collect();
                made.into_iter().for_each(|id| self.fresh(id));
            }
            LogicalPlan::Join(join) => {
                if let Some(mark) = join.mark {
                    self.fresh(mark);
                }
            }
            _ => {}
        }
        // Subqueries get plans of their own, whose columns are made here as well.
        let mut copies: HashMap<SubqueryId, SubqueryId> = HashMap::new();
        let mut found = Vec::new();
        plan.each_expr(&mut |expr| {
            expr::walk::visit(expr, &mut |part| {
                if let Expr::Subquery(subquery) = part {
                    found.push(subquery.id);
                }
            });
        });
        for id in found {
            if copies.contains_key(&id) {
                continue;
            }
            let Some(bound) = self.subqueries.iter().find(|bound| bound.id == id) else { continue };
            let mut bound = bound.clone();
            self.define(&mut bound.plan);
            let new =
                SubqueryId(self.subqueries.iter().map(|bound| bound.id.0).max().map_or(0, |last| last + 1));
            bound.id = new;
            self.subqueries.push(bound);
            copies.insert(id, new);
        }
        if !copies.is_empty() {
            plan.each_expr_mut(&mut |expr| rename_subqueries(expr, &copies));
        }
        for input in plan.inputs_mut() {
            self.define(input);
        }
    }

    /// Puts the new ids in place, subqueries copied by [`Renumber::define`] included.
    fn rename(&mut self, plan: &mut LogicalPlan) {
        let map = &*self.map;
        let new = |id: &mut ColumnId| {
            if let Some(new) = map.get(id) {
                *id = *new;
            }
        };
        let mut subqueries = Vec::new();
        plan.each_expr_mut(&mut |expr| {
            expr::walk::replace(expr, &mut |part| match part {
                Expr::Column { id, data_type } => map.get(id).map(|new| Expr::column(*new, *data_type)),
                _ => None,
            });
            expr::walk::visit(expr, &mut |part| {
                if let Expr::Subquery(subquery) = part {
                    subqueries.push(subquery.id);
                }
            });
        });
        match plan {
            LogicalPlan::Scan(scan) => {
                scan.columns.iter_mut().for_each(|(id, _)| new(id));
                scan.row_key.iter_mut().for_each(new);
            }
            LogicalPlan::VirtualScan { columns, .. } => columns.iter_mut().for_each(|(id, _)| new(id)),
            LogicalPlan::FunctionScan { columns, ordinality, .. } => {
                columns.iter_mut().for_each(new);
                ordinality.iter_mut().for_each(new);
            }
            LogicalPlan::Values { columns, .. } => columns.iter_mut().for_each(new),
            LogicalPlan::SetOp(set_op) => set_op.columns.iter_mut().for_each(new),
            LogicalPlan::CteRef { id, columns, .. } => {
                columns.iter_mut().for_each(new);
                if let Some(cte) = self.ctes.get(id) {
                    *id = *cte;
                }
            }
            LogicalPlan::RecursiveUnion { id, columns, .. } => {
                columns.iter_mut().for_each(new);
                if let Some(cte) = self.ctes.get(id) {
                    *id = *cte;
                }
            }
            LogicalPlan::With { id, .. } => {
                if let Some(cte) = self.ctes.get(id) {
                    *id = *cte;
                }
            }
            LogicalPlan::Project { exprs, .. } => exprs.iter_mut().for_each(|c| new(&mut c.id)),
            LogicalPlan::Aggregate(aggregate) => {
                aggregate.groups.iter_mut().for_each(|c| new(&mut c.id));
                aggregate.grouping_calls.iter_mut().for_each(|(id, _)| new(id));
                aggregate.calls.iter_mut().for_each(|(id, _)| new(id));
            }
            LogicalPlan::Window { calls, .. } => calls.iter_mut().for_each(|(id, _)| new(id)),
            LogicalPlan::ProjectSet { calls, .. } => calls.iter_mut().for_each(|(id, _)| new(id)),
            LogicalPlan::Join(join) => join.mark.iter_mut().for_each(new),
            LogicalPlan::Lock { relations, .. } => relations.iter_mut().for_each(|t| new(&mut t.row_key)),
            _ => {}
        }
        for id in subqueries {
            let Some(position) = self.subqueries.iter().position(|bound| bound.id == id) else { continue };
            let mut bound_plan = self.subqueries[position].plan.take();
            self.rename(&mut bound_plan);
            let bound = &mut self.subqueries[position];
            bound.plan = bound_plan;
            for column in &mut bound.outer {
                if let Some(new) = self.map.get(column) {
                    *column = *new;
                }
            }
        }
        for input in plan.inputs_mut() {
            self.rename(input);
        }
    }
}

fn rename_subqueries(expr: &mut Expr, copies: &HashMap<SubqueryId, SubqueryId>) {
    expr::walk::replace(expr, &mut |part| match part {
        Expr::Subquery(subquery) => {
            let new = copies.get(&subquery.id)?;
            let mut subquery = subquery.clone();
            subquery.id = *new;
            subquery.tests.iter_mut().for_each(|test| rename_subqueries(test, copies));
            Some(Expr::Subquery(subquery))
        }
        _ => None,
    });
}
