//! Conditions and what they guard: AND, OR, CASE, COALESCE, and the rows a predicate keeps.

use std::sync::Arc;

use types::{Batch, Data, DataType, Result, Validity, Vector};

use super::{bools, compose, eval_with};
use crate::context::EvalContext;
use crate::expr::{CallForm, Expr};
use crate::scalar::compare::true_rows;

/// The rows of `batch` for which `expr` is true, ascending.
pub fn eval_predicate(expr: &Expr, batch: &Batch, cx: &EvalContext<'_>) -> Result<Vec<u32>> {
    predicate(expr, batch, cx, None)
}

fn predicate(
    expr: &Expr,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
) -> Result<Vec<u32>> {
    let len = batch.len();
    if len == 0 {
        return Ok(Vec::new());
    }
    match expr {
        Expr::And(parts) => {
            let mut rows: Option<Vec<u32>> = None;
            for part in parts {
                rows = Some(match rows {
                    None => predicate(part, batch, cx, supplied)?,
                    Some(rows) if rows.is_empty() => return Ok(rows),
                    Some(rows) if rows.len() == len => predicate(part, batch, cx, supplied)?,
                    // Looking at all rows is cheaper than moving the ones that are left.
                    Some(rows) if rows.len() * 8 >= len && is_cheap(part) => {
                        let vector = eval_with(part, batch, cx, supplied)?;
                        keep_true(rows, &vector)?
                    }
                    Some(rows) => {
                        let (batch, supplied) = narrow(&[part], batch, supplied, &rows);
                        let inner = predicate(part, &batch, cx, supplied.as_ref())?;
                        inner.iter().map(|&row| rows[row as usize]).collect()
                    }
                });
            }
            Ok(rows.unwrap_or_else(|| (0..len as u32).collect()))
        }
        Expr::Or(parts) => {
            let mut found = vec![false; len];
            let mut left: Vec<u32> = (0..len as u32).collect();
            for part in parts {
                if left.is_empty() {
                    break;
                }
                let whole = left.len() == len;
                let hits = if whole {
                    predicate(part, batch, cx, supplied)?
                } else {
                    let (batch, supplied) = narrow(&[part], batch, supplied, &left);
                    let inner = predicate(part, &batch, cx, supplied.as_ref())?;
                    inner.iter().map(|&row| left[row as usize]).collect()
                };
                if !hits.is_empty() {
                    hits.iter().for_each(|&row| found[row as usize] = true);
                    left.retain(|&row| !found[row as usize]);
                }
            }
            Ok(true_rows(&found, &Validity::all(), false, len))
        }
        _ => {
            let vector = eval_with(expr, batch, cx, supplied)?;
            Ok(true_rows(bools(&vector)?, vector.validity(), vector.is_constant(), len))
        }
    }
}

/// A comparison of a fixed-width column with a constant: cannot fail, costs next to nothing.
fn is_cheap(expr: &Expr) -> bool {
    let is_leaf = |expr: &Expr| {
        !matches!(expr.data_type().physical, types::Physical::Text | types::Physical::Composed)
            && matches!(
                expr,
                Expr::Input { .. }
                    | Expr::Literal { .. }
                    | Expr::Parameter { .. }
                    | Expr::PlanParameter { .. }
            )
    };
    match expr {
        Expr::Call { form: CallForm::Operator(operator), args, .. } => {
            operator.comparison.is_some() && args.iter().all(is_leaf)
        }
        _ => false,
    }
}

fn keep_true(mut rows: Vec<u32>, vector: &Vector) -> Result<Vec<u32>> {
    let values = bools(vector)?;
    if vector.is_constant() {
        let keep = values.first() == Some(&true) && vector.validity().is_valid(0);
        return Ok(if keep { rows } else { Vec::new() });
    }
    let all = vector.validity().is_all();
    let mut count = 0;
    for index in 0..rows.len() {
        let row = rows[index];
        rows[count] = row;
        let value = values[row as usize] & (all || vector.validity().is_valid(row as usize));
        count += usize::from(value);
    }
    rows.truncate(count);
    Ok(rows)
}

/// The rows at `rows`, of the columns that `exprs` use; the others are left as NULLs.
fn narrow(
    exprs: &[&Expr],
    batch: &Batch,
    supplied: Option<&Arc<Vector>>,
    rows: &[u32],
) -> (Batch, Option<Arc<Vector>>) {
    let mut used = vec![false; batch.columns().len()];
    let mut whole = false;
    for expr in exprs {
        crate::walk::visit(expr, &mut |expr| match expr {
            Expr::Input { position, .. } => {
                if let Some(slot) = used.get_mut(*position) {
                    *slot = true;
                }
            }
            // A subquery's arguments are the runner's to find.
            Expr::Subquery(_) => whole = true,
            _ => {}
        });
    }
    let blank = Arc::new(Vector::nulls(types::Physical::Bool, rows.len()));
    let columns = batch
        .columns()
        .iter()
        .zip(used)
        .map(|(column, used)| if used || whole { Arc::new(column.gather(rows)) } else { Arc::clone(&blank) })
        .collect();
    (Batch::new(columns, rows.len()), supplied.map(|vector| Arc::new(vector.gather(rows))))
}

/// AND and OR as a three-valued vector.
pub(super) fn eval_logic(
    expr: &Expr,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let len = batch.len();
    // `settled` is the value that decides: false for AND, true for OR.
    let (parts, settled) = match expr {
        Expr::And(parts) => (parts, false),
        Expr::Or(parts) => (parts, true),
        _ => return Err(types::Error::internal("neither AND nor OR")),
    };
    let mut values = vec![!settled; len];
    let mut nulls = vec![false; len];
    let mut any_null = false;
    // Rows that no part has settled yet; None is all.
    let mut open: Option<Vec<u32>> = None;
    for part in parts {
        let vector = match &open {
            Some(rows) if rows.is_empty() => break,
            Some(rows) if rows.len() < len => {
                let (batch, supplied) = narrow(&[part], batch, supplied, rows);
                eval_with(part, &batch, cx, supplied.as_ref())?
            }
            _ => eval_with(part, batch, cx, supplied)?,
        };
        let stored = bools(&vector)?;
        let rows = open.take().unwrap_or_else(|| (0..len as u32).collect());
        let mut still = Vec::with_capacity(rows.len());
        for (at, &row) in rows.iter().enumerate() {
            let index = vector.index(at);
            let row_index = row as usize;
            if !vector.validity().is_valid(index) {
                nulls[row_index] = true;
                any_null = true;
                still.push(row);
            } else if stored[index] == settled {
                values[row_index] = settled;
                nulls[row_index] = false;
            } else {
                still.push(row);
            }
        }
        open = Some(still);
    }
    let validity = if any_null { Validity::from_fn(len, |row| !nulls[row]) } else { Validity::all() };
    Ok(Arc::new(Vector::flat(Data::Bool(values), validity)))
}

/// Each row's result comes from the first branch whose condition holds.
pub(super) fn eval_case(
    branches: &[(Expr, Expr)],
    otherwise: Option<&Expr>,
    data_type: DataType,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let len = batch.len();
    let mut pieces = compose::Pieces::new(len);
    let mut left: Vec<u32> = (0..len as u32).collect();
    for (condition, result) in branches {
        if left.is_empty() {
            break;
        }
        let hits: Vec<u32> = if left.len() == len {
            predicate(condition, batch, cx, supplied)?
        } else {
            let (batch, supplied) = narrow(&[condition], batch, supplied, &left);
            let inner = predicate(condition, &batch, cx, supplied.as_ref())?;
            inner.iter().map(|&row| left[row as usize]).collect()
        };
        if hits.is_empty() {
            continue;
        }
        if hits.len() == left.len() {
            left.clear();
        } else {
            left = difference(&left, &hits);
        }
        let vector = on_rows(result, batch, cx, supplied, &hits)?;
        pieces.add(hits, vector);
    }
    if !left.is_empty()
        && let Some(otherwise) = otherwise
    {
        let vector = on_rows(otherwise, batch, cx, supplied, &left)?;
        pieces.add(left, vector);
    }
    Ok(pieces.finish(data_type.physical))
}

/// Each row's first value that is not NULL.
pub(super) fn eval_coalesce(
    args: &[Expr],
    data_type: DataType,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let len = batch.len();
    let mut pieces = compose::Pieces::new(len);
    let mut left: Vec<u32> = (0..len as u32).collect();
    for arg in args {
        if left.is_empty() {
            break;
        }
        let vector = on_rows(arg, batch, cx, supplied, &left)?;
        if vector.validity().is_all() {
            pieces.add(std::mem::take(&mut left), vector);
            break;
        }
        let (mut hits, mut at, mut still) = (Vec::new(), Vec::new(), Vec::new());
        for (index, &row) in left.iter().enumerate() {
            if vector.is_valid(index) {
                hits.push(row);
                at.push(index as u32);
            } else {
                still.push(row);
            }
        }
        if !hits.is_empty() {
            pieces.add(hits, Arc::new(vector.gather(&at)));
        }
        left = still;
    }
    Ok(pieces.finish(data_type.physical))
}

fn on_rows(
    expr: &Expr,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
    rows: &[u32],
) -> Result<Arc<Vector>> {
    if rows.len() == batch.len() {
        return eval_with(expr, batch, cx, supplied);
    }
    let (batch, supplied) = narrow(&[expr], batch, supplied, rows);
    eval_with(expr, &batch, cx, supplied.as_ref())
}

/// `all` without `some`; both ascending, `some` within `all`.
fn difference(all: &[u32], some: &[u32]) -> Vec<u32> {
    let mut some = some.iter().peekable();
    all.iter().copied().filter(|row| some.next_if_eq(&row).is_none()).collect()
}
