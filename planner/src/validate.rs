//! Checks that a logical plan makes sense: run after every rewrite in tests.
//!
//! Holds for a valid plan: every column that an expression reads is made below it (or around it, for
//! subqueries and dependent joins); no column is made twice; set operations have sides of equal width and
//! types; joins name a mark exactly if they are mark joins.

use std::collections::HashSet;

use expr::{ColumnId, Expr};

use crate::logical::{BoundSubquery, ColumnTable, JoinKind, LogicalPlan, LogicalStatement};
use crate::rewrite::free::{expr_columns, free_columns};

/// What is wrong with a statement's plan, if anything.
pub fn validate(statement: &LogicalStatement) -> Result<(), String> {
    let check = Check { columns: &statement.columns, subqueries: &statement.subqueries };
    let outer = HashSet::new();
    check.plan(&statement.plan, &outer)?;
    let mut made = HashSet::new();
    check.made_once(&statement.plan, &mut made)?;
    let output = statement.plan.output();
    for column in &statement.result {
        if !output.contains(&column.column) {
            return Err(format!("the result's column \"{}\" is not in the plan's output", column.name));
        }
    }
    Ok(())
}

struct Check<'a> {
    columns: &'a ColumnTable,
    subqueries: &'a [BoundSubquery],
}

impl Check<'_> {
    /// `outer`: columns that may be read without being made here.
    fn plan(&self, plan: &LogicalPlan, outer: &HashSet<ColumnId>) -> Result<(), String> {
        let mut visible: HashSet<ColumnId> = outer.clone();
        for input in plan.inputs() {
            visible.extend(input.output());
        }
        match plan {
            LogicalPlan::Insert(insert) => {
                visible.extend(insert.row.iter().map(|(id, _)| *id));
                if let Some(update) = insert.on_conflict.as_ref().and_then(|c| c.update.as_ref()) {
                    visible.extend(update.existing.iter().chain(&update.excluded).map(|(id, _)| *id));
                }
            }
            LogicalPlan::Update(update) => visible.extend(update.row.iter().map(|(id, _)| *id)),
            _ => {}
        }
        let mut wrong: Option<String> = None;
        plan.each_expr(&mut |expr| {
            for id in expr_columns(expr, self.subqueries) {
                if !visible.contains(&id) {
                    wrong.get_or_insert_with(|| {
                        format!(
                            "{} reads column {} ({}), which is not in its input",
                            kind(plan),
                            id.0,
                            self.name(id)
                        )
                    });
                }
            }
            expr::walk::visit(expr, &mut |part| {
                if let Expr::Subquery(subquery) = part {
                    match self.subqueries.iter().find(|bound| bound.id == subquery.id) {
                        None => {
                            wrong.get_or_insert_with(|| format!("subquery {} has no plan", subquery.id.0));
                        }
                        Some(bound) => {
                            if let Err(error) = self.plan(&bound.plan, &visible) {
                                wrong.get_or_insert(error);
                            }
                        }
                    }
                }
            });
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match plan {
            LogicalPlan::Join(join) => {
                if join.mark.is_some() != (join.kind == JoinKind::Mark) {
                    return Err(format!("a {:?} join with mark {:?}", join.kind, join.mark));
                }
                self.plan(&join.left, outer)?;
                let mut around = outer.clone();
                if join.dependent {
                    around.extend(join.left.output());
                } else if let Some(id) =
                    free_columns(&join.right, self.subqueries).into_iter().find(|id| !outer.contains(id))
                {
                    return Err(format!("a join's right side reads column {} ({})", id.0, self.name(id)));
                }
                return self.plan(&join.right, &around);
            }
            LogicalPlan::SetOp(set_op) => {
                for side in [&set_op.left, &set_op.right] {
                    let output = side.output();
                    let types = output.iter().map(|id| self.columns.entry(*id).data_type.oid);
                    let wanted = set_op.columns.iter().map(|id| self.columns.entry(*id).data_type.oid);
                    if output.len() != set_op.columns.len() || !types.eq(wanted) {
                        return Err("a set operation's side has other columns".to_string());
                    }
                }
            }
            _ => {}
        }
        plan.inputs().into_iter().try_for_each(|input| self.plan(input, outer))
    }

    fn made_once(&self, plan: &LogicalPlan, made: &mut HashSet<ColumnId>) -> Result<(), String> {
        let passed: HashSet<ColumnId> = plan.inputs().iter().flat_map(|input| input.output()).collect();
        for id in plan.output() {
            if !passed.contains(&id) && !made.insert(id) {
                return Err(format!(
                    "column {} ({}) is made twice, by a {}",
                    id.0,
                    self.name(id),
                    kind(plan)
                ));
            }
        }
        plan.inputs().into_iter().try_for_each(|input| self.made_once(input, made))
    }

    fn name(&self, id: ColumnId) -> &str {
        &self.columns.entry(id).name
    }
}

fn kind(plan: &LogicalPlan) -> String {
    let text = format!("{plan:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_string()
}
