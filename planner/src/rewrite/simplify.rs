//! Makes conditions flat and finds what all arms of an OR have in common.
//!
//! `(a AND x) OR (a AND y)` becomes `a AND (x OR y)`: TPC-H Q19's join condition is inside each arm.
//! From an OR whose every arm says something about one table alone, an OR over that table follows and is
//! added (Q7's nation pairs); it decides nothing, so the original stays. Not for volatile conditions:
//! evaluating `random() < 0.5` once instead of twice changes the odds.
//! Source: PostgreSQL's process_duplicate_ors() and extract_restriction_or_clauses().

use expr::{ColumnId, Expr, Volatility};

use crate::logical::LogicalPlan;

/// Applies to every Filter and join condition of the plan.
pub(super) fn simplified(plan: LogicalPlan) -> LogicalPlan {
    let mut plan = plan;
    simplify(&mut plan);
    plan
}

fn simplify(plan: &mut LogicalPlan) {
    match plan {
        LogicalPlan::Filter { predicate, .. } => *predicate = conjuncts(std::mem::take(predicate)),
        LogicalPlan::Join(join) => join.on = conjuncts(std::mem::take(&mut join.on)),
        _ => {}
    }
    for input in plan.inputs_mut() {
        simplify(input);
    }
}

/// Flat conjuncts without repeats, ORs factored.
pub(super) fn conjuncts(predicates: Vec<Expr>) -> Vec<Expr> {
    let mut flat: Vec<Expr> = Vec::new();
    for conjunct in predicates.into_iter().flat_map(Expr::into_conjuncts) {
        for part in factored(conjunct).into_conjuncts() {
            if part.volatility() == Volatility::Volatile || !flat.contains(&part) {
                flat.push(part);
            }
        }
    }
    flat
}

/// Conjuncts common to all arms of an OR, moved out of it.
fn factored(expr: Expr) -> Expr {
    let Expr::Or(arms) = expr else { return expr };
    if arms.iter().any(|arm| arm.volatility() == Volatility::Volatile && !arm.has_subquery()) {
        return Expr::Or(arms);
    }
    let mut arms: Vec<Vec<Expr>> = arms
        .into_iter()
        .flat_map(|arm| match arm {
            Expr::Or(inner) => inner,
            other => vec![other],
        })
        .map(|arm| {
            arm.into_conjuncts().into_iter().flat_map(|part| factored(part).into_conjuncts()).collect()
        })
        .collect();
    let Some(first) = arms.first().cloned() else { return Expr::bool(false) };
    let common: Vec<Expr> =
        first.into_iter().filter(|part| arms.iter().all(|arm| arm.contains(part))).collect();
    if common.is_empty() {
        return Expr::or(arms.into_iter().map(Expr::and));
    }
    for arm in &mut arms {
        arm.retain(|part| !common.contains(part));
    }
    // An arm with nothing left is true whenever the common part is.
    if arms.iter().any(Vec::is_empty) {
        return Expr::and(common);
    }
    let rest = Expr::or(arms.into_iter().map(Expr::and));
    Expr::and(common.into_iter().chain([rest]))
}

/// What an OR over several relations says about `columns` alone: the OR of what each arm says. None when
/// some arm says nothing about them.
pub(crate) fn implied(expr: &Expr, columns: &dyn Fn(ColumnId) -> bool) -> Option<Expr> {
    let Expr::Or(arms) = expr else { return None };
    let mut implied = Vec::new();
    for arm in arms {
        let parts: Vec<Expr> = match arm {
            Expr::And(parts) => parts.clone(),
            other => vec![other.clone()],
        };
        let of_columns: Vec<Expr> = parts
            .into_iter()
            .filter(|part| {
                let used = part.columns();
                !used.is_empty() && used.into_iter().all(columns) && part.volatility() < Volatility::Volatile
            })
            .collect();
        if of_columns.is_empty() {
            return None;
        }
        let arm = Expr::and(of_columns);
        if !implied.contains(&arm) {
            implied.push(arm);
        }
    }
    Some(Expr::or(implied))
}
