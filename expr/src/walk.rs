//! Visiting and rewriting expression trees.
//!
//! The planner's rewrites go through here, so that a new [`Expr`] variant is taught to them once.
//! Recursion is bounded by the parser's depth limit.

use types::Result;

use crate::expr::Expr;

/// Calls `f` on every node, parents first.
pub fn visit(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    f(expr);
    each_child(expr, &mut |child| visit(child, f));
}

/// Replaces nodes bottom-up: `f` sees each node after its children were rewritten.
pub fn rewrite(expr: Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
    let mut expr = expr;
    each_child_mut(&mut expr, &mut |child| {
        let old = std::mem::replace(child, Expr::bool(false));
        *child = rewrite(old, f);
    });
    f(expr)
}

/// [`rewrite`] that can fail; the first error wins.
pub fn try_rewrite(expr: Expr, f: &mut dyn FnMut(Expr) -> Result<Expr>) -> Result<Expr> {
    let mut expr = expr;
    let mut failure = None;
    each_child_mut(&mut expr, &mut |child| {
        if failure.is_some() {
            return;
        }
        let old = std::mem::replace(child, Expr::bool(false));
        match try_rewrite(old, f) {
            Ok(new) => *child = new,
            Err(error) => failure = Some(error),
        }
    });
    match failure {
        Some(error) => Err(error),
        None => f(expr),
    }
}

/// Replaces nodes top-down: where `f` gives an answer, that subtree is done.
pub fn replace(expr: &mut Expr, f: &mut dyn FnMut(&Expr) -> Option<Expr>) {
    match f(expr) {
        Some(new) => *expr = new,
        None => each_child_mut(expr, &mut |child| replace(child, f)),
    }
}

/// Calls `f` on each direct child, in evaluation order.
pub fn each_child(expr: &Expr, f: &mut dyn FnMut(&Expr)) {
    match expr {
        Expr::Column { .. }
        | Expr::Input { .. }
        | Expr::Literal { .. }
        | Expr::Parameter { .. }
        | Expr::PlanParameter { .. }
        | Expr::CaseValue { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::MinMax { args, .. }
        | Expr::Array { elements: args, .. }
        | Expr::Row { fields: args, .. } => args.iter().for_each(f),
        Expr::Not(arg)
        | Expr::IsNull { arg, .. }
        | Expr::BoolTest { arg, .. }
        | Expr::Field { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::IoCast { arg, .. } => f(arg),
        Expr::ArrayCast { arg, element, .. } => {
            f(arg);
            f(element);
        }
        Expr::Distinct { left, right, .. }
        | Expr::NullIf { left, right, .. }
        | Expr::AnyAll { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                f(condition);
                f(result);
            }
            if let Some(otherwise) = otherwise {
                f(otherwise);
            }
        }
        Expr::InList { arg, list, .. } => {
            f(arg);
            list.iter().for_each(f);
        }
        Expr::Subscript { array, indexes, .. } => {
            f(array);
            indexes.iter().for_each(f);
        }
        Expr::Slice { array, bounds, .. } => {
            f(array);
            for (lower, upper) in bounds {
                lower.iter().chain(upper).for_each(&mut *f);
            }
        }
        Expr::Subquery(subquery) => subquery.tests.iter().for_each(f),
    }
}

/// [`each_child`], to change the children in place.
pub fn each_child_mut(expr: &mut Expr, f: &mut dyn FnMut(&mut Expr)) {
    match expr {
        Expr::Column { .. }
        | Expr::Input { .. }
        | Expr::Literal { .. }
        | Expr::Parameter { .. }
        | Expr::PlanParameter { .. }
        | Expr::CaseValue { .. } => {}
        Expr::Call { args, .. }
        | Expr::And(args)
        | Expr::Or(args)
        | Expr::Coalesce { args, .. }
        | Expr::MinMax { args, .. }
        | Expr::Array { elements: args, .. }
        | Expr::Row { fields: args, .. } => args.iter_mut().for_each(f),
        Expr::Not(arg)
        | Expr::IsNull { arg, .. }
        | Expr::BoolTest { arg, .. }
        | Expr::Field { arg, .. }
        | Expr::Relabel { arg, .. }
        | Expr::IoCast { arg, .. } => f(arg),
        Expr::ArrayCast { arg, element, .. } => {
            f(arg);
            f(element);
        }
        Expr::Distinct { left, right, .. }
        | Expr::NullIf { left, right, .. }
        | Expr::AnyAll { left, array: right, .. } => {
            f(left);
            f(right);
        }
        Expr::Case { branches, otherwise, .. } => {
            for (condition, result) in branches {
                f(condition);
                f(result);
            }
            if let Some(otherwise) = otherwise {
                f(otherwise);
            }
        }
        Expr::InList { arg, list, .. } => {
            f(arg);
            list.iter_mut().for_each(f);
        }
        Expr::Subscript { array, indexes, .. } => {
            f(array);
            indexes.iter_mut().for_each(f);
        }
        Expr::Slice { array, bounds, .. } => {
            f(array);
            for (lower, upper) in bounds {
                lower.iter_mut().chain(upper).for_each(&mut *f);
            }
        }
        Expr::Subquery(subquery) => subquery.tests.iter_mut().for_each(f),
    }
}
