//! Subqueries that stayed apart from the tree: init plans, and subqueries inside expressions.
//!
//! An init plan runs at most once, before the first operator that reads it. A correlated subquery runs
//! once per distinct set of outer values (up to [`MAX_MEMO`] of them are remembered), an uncorrelated
//! one once; `= ANY` over one column looks its value up in a hash set.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use expr::{EvalContext, Expr, Subquery, SubqueryKind, SubqueryRunner};
use parking_lot::Mutex;
use planner::physical::plan::{SubPlan, SubPlanKind};
use types::{ArrayValue, Batch, DataType, Error, Result, SqlState, Value, Vector, VectorBuilder};

use crate::build::build;
use crate::context::ExecContext;
use crate::row_buffer::RowBuffer;

/// Distinct outer values whose result is remembered.
const MAX_MEMO: usize = 50_000;

/// What has been computed of a statement's sub-plans.
pub struct SubPlanStates {
    init: Vec<Mutex<Option<Value>>>,
    memo: Vec<Mutex<HashMap<Vec<Value>, Outcome>>>,
}

/// The result of one run.
#[derive(Clone)]
enum Outcome {
    Value(Value),
    Rows(Arc<SubRows>),
}

/// All rows of an ANY or ALL subquery.
struct SubRows {
    rows: Batch,
    /// The distinct values of a single column, and whether NULL is among them.
    set: Option<(HashSet<Value>, bool)>,
}

impl SubPlanStates {
    pub(crate) fn new(count: usize) -> SubPlanStates {
        SubPlanStates {
            init: (0..count).map(|_| Mutex::default()).collect(),
            memo: (0..count).map(|_| Mutex::default()).collect(),
        }
    }
}

/// Computes init plan `index` unless that has been done, and sets its parameter.
pub(crate) fn run_init_plan(index: usize, cx: &ExecContext) -> Result<()> {
    let plan = cx.plan()?.clone();
    let sub_plan = plan.sub_plans.get(index).ok_or_else(no_such)?;
    let slot = cx.sub_plans().init.get(index).ok_or_else(no_such)?;
    let known = slot.lock().clone();
    let value = match known {
        Some(value) => value,
        None => {
            let value = match sub_plan.kind {
                SubPlanKind::Scalar => scalar(sub_plan, cx)?,
                SubPlanKind::Exists => exists(sub_plan, cx)?,
                SubPlanKind::Array => array(sub_plan, None, cx)?,
                SubPlanKind::Any | SubPlanKind::All | SubPlanKind::Row => {
                    return Err(Error::internal("subqueries that are compared are no init plans"));
                }
            };
            *slot.lock() = Some(value.clone());
            value
        }
    };
    cx.set_plan_parameter(sub_plan.result, value);
    Ok(())
}

fn no_such() -> Error {
    Error::internal("no such sub-plan")
}

fn scalar(sub_plan: &SubPlan, cx: &ExecContext) -> Result<Value> {
    let mut operator = build(&sub_plan.node, cx)?;
    let mut value = None;
    while let Some(batch) = operator.next(cx)? {
        if batch.len() > 1 || value.is_some() {
            return Err(more_than_one_row());
        }
        value = Some(batch.columns().first().map_or(Value::Null, |column| column.value(0)));
    }
    Ok(value.unwrap_or_default())
}

/// 21000.
pub(crate) fn more_than_one_row() -> Error {
    Error::new(
        SqlState::CARDINALITY_VIOLATION,
        "more than one row returned by a subquery used as an expression",
    )
}

fn exists(sub_plan: &SubPlan, cx: &ExecContext) -> Result<Value> {
    let mut operator = build(&sub_plan.node, cx)?;
    Ok(Value::Bool(operator.next(cx)?.is_some()))
}

fn array(sub_plan: &SubPlan, data_type: Option<DataType>, cx: &ExecContext) -> Result<Value> {
    let mut operator = build(&sub_plan.node, cx)?;
    let mut elements = Vec::new();
    while let Some(batch) = operator.next(cx)? {
        if let Some(column) = batch.columns().first() {
            elements.extend((0..batch.len()).map(|row| column.value(row)));
        }
    }
    let column = sub_plan.node.columns.first().map(|column| column.data_type);
    let element = data_type.and_then(DataType::element).or(column).unwrap_or(DataType::TEXT);
    Ok(Value::Array(Arc::new(ArrayValue::from_elements(element, elements))))
}

fn rows(sub_plan: &SubPlan, cx: &ExecContext) -> Result<SubRows> {
    let mut operator = build(&sub_plan.node, cx)?;
    let types: Vec<DataType> = sub_plan.node.columns.iter().map(|column| column.data_type).collect();
    let mut buffer = RowBuffer::new(&types);
    while let Some(batch) = operator.next(cx)? {
        buffer.append(&batch);
    }
    let rows = buffer.finish();
    let set = match rows.columns() {
        [column] => {
            let mut values = HashSet::with_capacity(rows.len());
            let mut has_null = false;
            for row in 0..rows.len() {
                match column.value(row) {
                    Value::Null => has_null = true,
                    value => {
                        values.insert(value);
                    }
                }
            }
            Some((values, has_null))
        }
        _ => None,
    };
    Ok(SubRows { rows, set })
}

impl SubqueryRunner for ExecContext {
    fn run(
        &self,
        subquery: &Subquery,
        tests: &[Arc<Vector>],
        batch: &Batch,
        cx: &EvalContext<'_>,
    ) -> Result<Arc<Vector>> {
        let plan = self.plan()?.clone();
        let index = subquery.id.0 as usize;
        let sub_plan = plan.sub_plans.get(index).ok_or_else(no_such)?;
        let memo = self.sub_plans().memo.get(index).ok_or_else(no_such)?;
        let arguments =
            sub_plan.arguments.iter().map(|arg| expr::eval(arg, batch, cx)).collect::<Result<Vec<_>>>()?;
        let mut out = VectorBuilder::new(subquery.data_type.physical, batch.len());
        for row in 0..batch.len() {
            let key: Vec<Value> = arguments.iter().map(|argument| argument.value(row)).collect();
            let known = memo.lock().get(&key).cloned();
            let outcome = match known {
                Some(outcome) => outcome,
                None => {
                    self.check_interrupt()?;
                    let outcome = self.run_with(sub_plan, subquery, &key, cx)?;
                    let mut memo = memo.lock();
                    if memo.len() >= MAX_MEMO {
                        memo.clear();
                    }
                    memo.insert(key, outcome.clone());
                    outcome
                }
            };
            match outcome {
                Outcome::Value(value) => out.push(&value),
                Outcome::Rows(rows) => {
                    let tests: Vec<Value> = tests.iter().map(|test| test.value(row)).collect();
                    out.push(&quantified(subquery, &tests, &rows, cx)?);
                }
            }
        }
        Ok(Arc::new(out.finish()))
    }
}

impl ExecContext {
    fn run_with(
        &self,
        sub_plan: &SubPlan,
        subquery: &Subquery,
        arguments: &[Value],
        cx: &EvalContext<'_>,
    ) -> Result<Outcome> {
        let inner = self.child(cx.plan_parameters.clone());
        for (id, value) in sub_plan.parameters.iter().zip(arguments) {
            inner.set_plan_parameter(*id, value.clone());
        }
        Ok(match subquery.kind {
            SubqueryKind::Scalar => Outcome::Value(scalar(sub_plan, &inner)?),
            SubqueryKind::Exists => Outcome::Value(exists(sub_plan, &inner)?),
            SubqueryKind::Array => Outcome::Value(array(sub_plan, Some(subquery.data_type), &inner)?),
            SubqueryKind::Any | SubqueryKind::All => Outcome::Rows(Arc::new(rows(sub_plan, &inner)?)),
            SubqueryKind::Row => {
                let rows = rows(sub_plan, &inner)?;
                if rows.rows.len() > 1 {
                    return Err(more_than_one_row());
                }
                Outcome::Rows(Arc::new(rows))
            }
        })
    }
}

/// `tests operators ANY|ALL (rows)`, or of the one row there is; three-valued.
fn quantified(subquery: &Subquery, tests: &[Value], rows: &SubRows, cx: &EvalContext<'_>) -> Result<Value> {
    let any = subquery.kind == SubqueryKind::Any;
    if rows.rows.is_empty() {
        return Ok(if subquery.kind == SubqueryKind::Row { Value::Null } else { Value::Bool(!any) });
    }
    if let (true, Some((values, has_null)), [operator], [test], [expr]) =
        (any, &rows.set, subquery.operators.as_slice(), tests, subquery.tests.as_slice())
        && operator.is_equality()
        && operator.left.is_some_and(|left| left.physical == operator.right.physical)
        && expr.data_type().physical == operator.right.physical
    {
        return Ok(match test {
            Value::Null => Value::Null,
            test if values.contains(test) => Value::Bool(true),
            _ if *has_null => Value::Null,
            _ => Value::Bool(false),
        });
    }
    let comparisons = subquery.operators.iter().zip(tests).zip(&subquery.tests).enumerate();
    let comparisons = comparisons.map(|(position, ((operator, test), expr))| {
        let left = Expr::literal(test.clone(), expr.data_type());
        Expr::operator(operator, left, Expr::input(position, operator.right))
    });
    let results = expr::eval(&Expr::and(comparisons), &rows.rows, cx)?;
    let mut unknown = false;
    for row in 0..rows.rows.len() {
        match results.value(row) {
            Value::Bool(holds) if holds == any => return Ok(Value::Bool(any)),
            Value::Bool(_) => {}
            _ => unknown = true,
        }
    }
    Ok(if unknown { Value::Null } else { Value::Bool(!any) })
}
