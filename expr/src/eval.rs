//! Runs expressions over batches.

use std::sync::Arc;

use types::{Batch, Error, Result, Value, Vector};

use crate::context::EvalContext;
use crate::expr::Expr;

/// The value of `expr` for each row of `batch`: `batch.len()` long, constant where possible.
pub fn eval(expr: &Expr, batch: &Batch, cx: &EvalContext<'_>) -> Result<Arc<Vector>> {
    let _ = (batch, cx);
    Err(Error::not_supported(format!("{expr:?}")))
}

/// The rows of `batch` for which `expr` is true, ascending.
pub fn eval_predicate(expr: &Expr, batch: &Batch, cx: &EvalContext<'_>) -> Result<Vec<u32>> {
    let vector = eval(expr, batch, cx)?;
    Ok((0..batch.len()).filter(|&row| vector.value(row) == Value::Bool(true)).map(|row| row as u32).collect())
}

/// The one value of an expression without columns. The caller decides whether its volatility allows it.
pub fn eval_constant(expr: &Expr, cx: &EvalContext<'_>) -> Result<Value> {
    Ok(eval(expr, &Batch::new(Vec::new(), 1), cx)?.value(0))
}
