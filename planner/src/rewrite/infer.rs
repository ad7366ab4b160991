//! Conditions that follow from equalities: `a = b AND a < 5` also says `b < 5`.
//!
//! When: `column = column` of one type holds for every row (inner joins and filters, not the conditions
//! of outer joins), and the other condition compares the column with a constant or a list by the type's
//! own order. Not for other conditions: 1.0 = 1.00, but their texts differ.
//! Source: PostgreSQL's equivalence classes (generate_implied_equalities), there for `=` only.

use expr::{ColumnId, Expr, Volatility};

use super::Rewriter;
use super::push_filter::filtered;
use crate::logical::{JoinKind, LogicalPlan};

/// Adds what follows, on top of each tree of inner joins; `push_filter.rs` takes it down.
pub(super) fn inferred(plan: LogicalPlan, rewriter: &Rewriter<'_>) -> LogicalPlan {
    let mut plan = plan;
    infer(&mut plan, rewriter);
    plan
}

fn infer(plan: &mut LogicalPlan, rewriter: &Rewriter<'_>) {
    if !matches!(plan, LogicalPlan::Join(_) | LogicalPlan::Filter { .. }) {
        for input in plan.inputs_mut() {
            infer(input, rewriter);
        }
        return;
    }
    let mut facts = Facts::default();
    facts.collect(plan, rewriter);
    let new = facts.consequences(rewriter);
    if !new.is_empty() {
        let taken = plan.take();
        *plan = filtered(taken, new);
    }
}

#[derive(Default)]
struct Facts {
    classes: Vec<Vec<ColumnId>>,
    conditions: Vec<(ColumnId, Expr)>,
}

impl Facts {
    /// Facts that hold for every row of the plan; other parts of it are looked at on their own.
    fn collect(&mut self, plan: &mut LogicalPlan, rewriter: &Rewriter<'_>) {
        match plan {
            LogicalPlan::Filter { input, predicate } => {
                predicate.iter().for_each(|fact| self.add(fact));
                self.collect(input, rewriter);
            }
            LogicalPlan::Join(join) if !join.dependent => match join.kind {
                JoinKind::Inner => {
                    join.on.iter().for_each(|fact| self.add(fact));
                    self.collect(&mut join.left, rewriter);
                    self.collect(&mut join.right, rewriter);
                }
                JoinKind::Semi => {
                    // Its condition holds for the rows kept.
                    join.on.iter().for_each(|fact| self.add(fact));
                    self.collect(&mut join.left, rewriter);
                    infer(&mut join.right, rewriter);
                    let known = join.right.output();
                    self.narrow_right(&mut join.right, &join.on, rewriter);
                    // The right side's columns end here.
                    for class in &mut self.classes {
                        class.retain(|id| !known.contains(id));
                    }
                    self.conditions.retain(|(id, _)| !known.contains(id));
                }
                JoinKind::Left | JoinKind::Anti | JoinKind::Single => {
                    self.collect(&mut join.left, rewriter);
                    infer(&mut join.right, rewriter);
                    self.narrow_right(&mut join.right, &join.on, rewriter);
                }
                JoinKind::NullAwareAnti | JoinKind::Mark => {
                    self.collect(&mut join.left, rewriter);
                    infer(&mut join.right, rewriter);
                }
                _ => {
                    infer(&mut join.left, rewriter);
                    infer(&mut join.right, rewriter);
                }
            },
            other => {
                for input in other.inputs_mut() {
                    infer(input, rewriter);
                }
            }
        }
    }

    /// What holds of all left rows, or is part of the condition, may be asked of the right rows: others
    /// meet no left row. (Where NULLs on the right count without a match, as for NOT IN, it may not.)
    fn narrow_right(&self, right: &mut LogicalPlan, on: &[Expr], rewriter: &Rewriter<'_>) {
        let mut facts = Facts { classes: self.classes.clone(), conditions: self.conditions.clone() };
        on.iter().for_each(|fact| facts.add(fact));
        let known = right.output();
        let new: Vec<Expr> = facts
            .consequences(rewriter)
            .into_iter()
            .filter(|new| new.columns().iter().all(|id| known.contains(id)))
            .collect();
        if !new.is_empty() {
            let taken = right.take();
            *right = filtered(taken, new);
        }
    }

    fn add(&mut self, fact: &Expr) {
        if let Some((operator, left, right)) = fact.as_operator()
            && operator.is_equality()
            && let (Some(a), Some(b)) = (left.as_column(), right.as_column())
            && left.data_type().oid == right.data_type().oid
        {
            self.unite(a, b);
            return;
        }
        let columns = fact.columns();
        let [column] = columns.as_slice() else { return };
        if transferable(fact, *column) {
            self.conditions.push((*column, fact.clone()));
        }
    }

    fn unite(&mut self, a: ColumnId, b: ColumnId) {
        let find = |classes: &[Vec<ColumnId>], id| classes.iter().position(|class| class.contains(&id));
        match (find(&self.classes, a), find(&self.classes, b)) {
            (Some(x), Some(y)) if x != y => {
                let moved = self.classes.swap_remove(x.max(y));
                self.classes[x.min(y)].extend(moved);
            }
            (Some(_), Some(_)) => {}
            (Some(x), None) => self.classes[x].push(b),
            (None, Some(y)) => self.classes[y].push(a),
            (None, None) => self.classes.push(vec![a, b]),
        }
    }

    fn consequences(&self, rewriter: &Rewriter<'_>) -> Vec<Expr> {
        let mut new: Vec<Expr> = Vec::new();
        for class in &self.classes {
            for (column, condition) in self.conditions.iter().filter(|(id, _)| class.contains(id)) {
                for other in class.iter().filter(|id| *id != column) {
                    let mut moved = condition.clone();
                    expr::walk::replace(&mut moved, &mut |part| {
                        (part.as_column() == Some(*column))
                            .then(|| Expr::column(*other, rewriter.data_type(*other)))
                    });
                    let known = self.conditions.iter().any(|(_, old)| *old == moved);
                    if !known && !new.contains(&moved) {
                        new.push(moved);
                    }
                }
            }
        }
        new
    }
}

/// Whether what the condition says of one column it says of any equal one.
fn transferable(fact: &Expr, column: ColumnId) -> bool {
    if fact.volatility() == Volatility::Volatile {
        return false;
    }
    match fact {
        Expr::InList { arg, operator, .. } => operator.is_equality() && arg.as_column() == Some(column),
        Expr::Or(parts) => parts.iter().all(|part| transferable(part, column)),
        other => other.as_operator().is_some_and(|(operator, left, right)| {
            operator.comparison.is_some()
                && (left.as_column() == Some(column) && right.columns().is_empty()
                    || right.as_column() == Some(column) && left.columns().is_empty())
        }),
    }
}
