//! Evaluates what is constant.
//!
//! When: an expression reads nothing and its functions are immutable. `now()` and other stable functions
//! stay: the plan may be cached. What fails to evaluate stays as it is and fails when it is run, if it
//! is run: in `CASE WHEN x = 0 THEN 1/0 …` the branch may never be taken.
//! Source: PostgreSQL's eval_const_expressions().

use expr::{BoolTest, Comparison, Expr, Volatility};
use types::{DataType, Value};

use super::Rewriter;
use crate::logical::LogicalPlan;

impl Rewriter<'_> {
    pub(super) fn folded(&mut self, plan: LogicalPlan) -> LogicalPlan {
        let mut plan = plan;
        self.fold(&mut plan);
        plan
    }

    fn fold(&mut self, plan: &mut LogicalPlan) {
        plan.each_expr_mut(&mut |expr| {
            let taken = std::mem::replace(expr, Expr::bool(false));
            *expr = expr::walk::rewrite(taken, &mut |part| self.fold_one(part));
        });
        for input in plan.inputs_mut() {
            self.fold(input);
        }
    }

    fn fold_one(&self, expr: Expr) -> Expr {
        match expr {
            Expr::And(parts) => fold_junction(parts, true),
            Expr::Or(parts) => fold_junction(parts, false),
            Expr::Case { branches, otherwise, data_type } => fold_case(branches, otherwise, data_type),
            Expr::Literal { .. } | Expr::CaseValue { .. } | Expr::ArrayCast { .. } => expr,
            Expr::Not(arg) => match *arg {
                Expr::Not(inner) => *inner,
                Expr::Literal { value: Value::Bool(value), .. } => Expr::bool(!value),
                Expr::Literal { value: Value::Null, .. } => Expr::null(DataType::BOOL),
                arg => negated(arg),
            },
            expr if expr.as_operator().is_some_and(|(o, _, _)| o.comparison.is_some())
                && !is_foldable(&expr) =>
            {
                date_bound(&expr).unwrap_or(expr)
            }
            expr if is_foldable(&expr) => match expr::eval_constant(&expr, &self.cx.eval_context()) {
                Ok(value) => Expr::literal(value, expr.data_type()),
                Err(_) => expr,
            },
            expr => expr,
        }
    }
}

/// `date < timestamp literal` as a comparison of dates: it needs no cast per row, and can be a key range.
fn date_bound(expr: &Expr) -> Option<Expr> {
    let (operator, left, right) = expr.as_operator()?;
    let comparison = operator.comparison?;
    let (date, literal, comparison) = match (left.as_literal(), right.as_literal()) {
        (None, Some(literal)) => (left, (literal, right.data_type()), comparison),
        (Some(literal), None) => (right, (literal, left.data_type()), comparison.commuted()),
        _ => return None,
    };
    let (Value::Int64(micros), data_type) = literal else { return None };
    if date.data_type().oid != DataType::DATE.oid || data_type.oid != DataType::TIMESTAMP.oid {
        return None;
    }
    // Infinity has no day.
    if *micros == i64::MAX || *micros == i64::MIN {
        return None;
    }
    const DAY: i64 = 86_400_000_000;
    let day = i32::try_from(micros.div_euclid(DAY)).ok()?;
    let comparison = match (micros.rem_euclid(DAY) == 0, comparison) {
        (true, same) => same,
        (false, Comparison::Less | Comparison::LessEqual) => Comparison::LessEqual,
        (false, Comparison::Greater | Comparison::GreaterEqual) => Comparison::Greater,
        // A day is never equal to a time within one.
        (false, Comparison::Equal | Comparison::NotEqual) => return None,
    };
    let operator = expr::registry().comparison(comparison, DataType::DATE)?;
    Some(Expr::operator(operator, date.clone(), Expr::literal(Value::Int32(day), DataType::DATE)))
}

/// All arguments are literals and nothing varies. Looking one level down is enough: it goes bottom-up.
fn is_foldable(expr: &Expr) -> bool {
    let mut literal = true;
    expr::walk::each_child(expr, &mut |child| literal &= matches!(child, Expr::Literal { .. }));
    literal
        && expr.is_constant()
        && expr.volatility() == Volatility::Immutable
        && !matches!(expr, Expr::Subquery(_))
}

/// AND or OR without what decides nothing; decided by what decides all.
fn fold_junction(parts: Vec<Expr>, is_and: bool) -> Expr {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Expr::Literal { value: Value::Bool(value), .. } if value == is_and => {}
            Expr::Literal { value: Value::Bool(value), .. } => return Expr::bool(value),
            part => kept.push(part),
        }
    }
    if is_and { Expr::and(kept) } else { Expr::or(kept) }
}

fn fold_case(branches: Vec<(Expr, Expr)>, otherwise: Option<Box<Expr>>, data_type: DataType) -> Expr {
    let mut kept = Vec::new();
    let mut otherwise = otherwise;
    for (condition, result) in branches {
        match condition {
            Expr::Literal { value: Value::Bool(false) | Value::Null, .. } => {}
            Expr::Literal { value: Value::Bool(true), .. } => {
                otherwise = Some(Box::new(result));
                break;
            }
            condition => kept.push((condition, result)),
        }
    }
    if kept.is_empty() {
        return otherwise.map_or(Expr::null(data_type), |otherwise| *otherwise);
    }
    Expr::Case { branches: kept, otherwise, data_type }
}

/// NOT, moved into what it negates where that is exact for NULLs too.
pub(super) fn negated(arg: Expr) -> Expr {
    match arg {
        Expr::Not(inner) => *inner,
        Expr::And(parts) => Expr::or(parts.into_iter().map(negated)),
        Expr::Or(parts) => Expr::and(parts.into_iter().map(negated)),
        Expr::IsNull { arg, negated } => Expr::IsNull { arg, negated: !negated },
        Expr::InList { arg, list, operator, negated } => {
            Expr::InList { arg, list, operator, negated: !negated }
        }
        Expr::Distinct { left, right, operator, negated } => {
            Expr::Distinct { left, right, operator, negated: !negated }
        }
        Expr::BoolTest { arg, test } => {
            let test = match test {
                BoolTest::IsTrue => BoolTest::IsNotTrue,
                BoolTest::IsNotTrue => BoolTest::IsTrue,
                BoolTest::IsFalse => BoolTest::IsNotFalse,
                BoolTest::IsNotFalse => BoolTest::IsFalse,
                BoolTest::IsUnknown => BoolTest::IsNotUnknown,
                BoolTest::IsNotUnknown => BoolTest::IsUnknown,
            };
            Expr::BoolTest { arg, test }
        }
        arg => {
            let opposite = arg.as_operator().and_then(|(operator, left, right)| {
                operator.comparison?;
                Some(Expr::operator(operator.negator()?, left.clone(), right.clone()))
            });
            opposite.unwrap_or_else(|| Expr::Not(Box::new(arg)))
        }
    }
}
