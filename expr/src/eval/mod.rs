//! Runs expressions over batches.
//!
//! A batch's rows are evaluated together, column by column. Constants stay constant. Where SQL says
//! that something is not reached (CASE, COALESCE, AND, OR), the batch is narrowed to the rows that
//! reach it, so that a division by zero in an untaken branch raises nothing.

mod compose;
mod condition;
mod member;

use std::sync::Arc;

use types::{Batch, Data, DataType, Error, Numeric, Physical, Result, Strings, Validity, Value, Vector};

use crate::context::EvalContext;
use crate::expr::Expr;
use crate::function::{Args, Function, Implementation, Volatility};
use crate::scalar::compare;

pub(crate) use compose::stack;
pub use condition::eval_predicate;

/// The value of `expr` for each row of `batch`: `batch.len()` long, constant where possible.
///
/// Errors are those of the functions called; a column or subquery that the planner should have
/// lowered is XX000.
pub fn eval(expr: &Expr, batch: &Batch, cx: &EvalContext<'_>) -> Result<Arc<Vector>> {
    eval_with(expr, batch, cx, None)
}

/// The one value of an expression without columns. The caller decides whether its volatility allows it.
pub fn eval_constant(expr: &Expr, cx: &EvalContext<'_>) -> Result<Value> {
    Ok(eval(expr, &Batch::new(Vec::new(), 1), cx)?.value(0))
}

/// `supplied` is what [`Expr::CaseValue`] stands for.
fn eval_with(
    expr: &Expr,
    batch: &Batch,
    cx: &EvalContext<'_>,
    supplied: Option<&Arc<Vector>>,
) -> Result<Arc<Vector>> {
    let len = batch.len();
    let child = |expr: &Expr| eval_with(expr, batch, cx, supplied);
    Ok(match expr {
        Expr::Input { position, .. } => match batch.columns().get(*position) {
            Some(column) => Arc::clone(column),
            None => return Err(Error::internal(format!("no input column {position}"))),
        },
        Expr::Literal { value, data_type, .. } => Arc::new(constant(value, data_type.physical, len)),
        Expr::Parameter { index, data_type } => match cx.parameters.get(*index) {
            Some(value) => Arc::new(constant(value, data_type.physical, len)),
            None => {
                return Err(Error::new(
                    types::SqlState::UNDEFINED_PARAMETER,
                    format!("no value found for parameter {}", index + 1),
                ));
            }
        },
        Expr::PlanParameter { id, data_type } => {
            let value = cx.plan_parameters.get(id.0 as usize).unwrap_or(&Value::Null);
            Arc::new(constant(value, data_type.physical, len))
        }
        Expr::CaseValue { .. } => match supplied {
            Some(vector) => Arc::clone(vector),
            None => return Err(Error::internal("a case value outside its construct")),
        },
        Expr::Column { id, .. } => {
            return Err(Error::internal(format!("column #{} was not lowered", id.0)));
        }
        Expr::Call { function, args, data_type, .. } => {
            let vectors = args.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            let types: Vec<DataType> = args.iter().map(Expr::data_type).collect();
            call(function, &vectors, &types, *data_type, len, cx)?
        }
        Expr::And(_) | Expr::Or(_) => condition::eval_logic(expr, batch, cx, supplied)?,
        Expr::Not(arg) => {
            let vector = child(arg)?;
            let values = bools(&vector)?;
            let negated: Vec<bool> = values.iter().map(|value| !value).collect();
            Arc::new(same_shape(&vector, Data::Bool(negated), vector.validity().clone()))
        }
        Expr::IsNull { arg, negated } => {
            let vector = child(arg)?;
            if is_record(arg) {
                let values = (0..len).map(|row| record_is_null(&vector.value(row), *negated)).collect();
                Arc::new(Vector::flat(Data::Bool(values), Validity::all()))
            } else if vector.is_constant() || vector.validity().is_all() {
                let null = len > 0 && vector.is_null(0);
                Arc::new(Vector::repeat(Data::Bool(vec![null != *negated]), Validity::all(), len))
            } else {
                let values = (0..len).map(|row| vector.is_null(row) != *negated).collect();
                Arc::new(Vector::flat(Data::Bool(values), Validity::all()))
            }
        }
        Expr::BoolTest { arg, test } => {
            use crate::expr::BoolTest;
            let vector = child(arg)?;
            let values = bools(&vector)?;
            let tested: Vec<bool> = (0..values.len())
                .map(|index| {
                    let (valid, value) = (vector.validity().is_valid(index), values[index]);
                    match test {
                        BoolTest::IsTrue => valid && value,
                        BoolTest::IsNotTrue => !(valid && value),
                        BoolTest::IsFalse => valid && !value,
                        BoolTest::IsNotFalse => !valid || value,
                        BoolTest::IsUnknown => !valid,
                        BoolTest::IsNotUnknown => valid,
                    }
                })
                .collect();
            Arc::new(same_shape(&vector, Data::Bool(tested), Validity::all()))
        }
        Expr::Distinct { left, right, operator, negated } => {
            let (a, b) = (child(left)?, child(right)?);
            let mut values = if operator.comparison.is_some() && a.data().physical() == b.data().physical() {
                compare::distinct(&a, &b, len)?
            } else {
                distinct_by_operator(
                    operator.function,
                    &a,
                    &b,
                    [left.data_type(), right.data_type()],
                    len,
                    cx,
                )?
            };
            if *negated {
                values.iter_mut().for_each(|value| *value = !*value);
            }
            Arc::new(Vector::flat(Data::Bool(values), Validity::all()))
        }
        Expr::Case { branches, otherwise, data_type } => {
            condition::eval_case(branches, otherwise.as_deref(), *data_type, batch, cx, supplied)?
        }
        Expr::Coalesce { args, data_type } => {
            condition::eval_coalesce(args, *data_type, batch, cx, supplied)?
        }
        Expr::NullIf { left, right, operator, .. } => {
            let (a, b) = (child(left)?, child(right)?);
            let types = [left.data_type(), right.data_type()];
            let equal = call(operator.function, &[Arc::clone(&a), b], &types, DataType::BOOL, len, cx)?;
            let flat = a.flatten();
            let validity =
                Validity::from_fn(len, |row| flat.is_valid(row) && equal.value(row) != Value::Bool(true));
            Arc::new(Vector::flat(flat.into_data(), validity))
        }
        Expr::MinMax { args, greatest, data_type } => {
            let vectors = args.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            Arc::new(min_max(&vectors, *greatest, *data_type, len))
        }
        Expr::InList { arg, list, operator, negated } => {
            let arg_vector = child(arg)?;
            if operator.comparison == Some(crate::function::Comparison::Equal)
                && let Some(vector) = member::in_literals(&arg_vector, list, *negated, len)
            {
                return Ok(Arc::new(vector));
            }
            let items = list.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            let types = [arg.data_type(), list.first().map_or(arg.data_type(), Expr::data_type)];
            Arc::new(member::in_list(&arg_vector, &items, operator, types, *negated, len, cx)?)
        }
        Expr::AnyAll { left, array, operator, all } => {
            let (left_vector, array_vector) = (child(left)?, child(array)?);
            let types = [left.data_type(), array.data_type().element().unwrap_or(left.data_type())];
            Arc::new(member::any_all(&left_vector, &array_vector, operator, types, *all, len, cx)?)
        }
        Expr::Array { elements, nested, data_type } => {
            let vectors = elements.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            Arc::new(compose::array(&vectors, *nested, *data_type, len)?)
        }
        Expr::Row { fields, .. } => {
            let vectors = fields.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            let rows = (0..len)
                .map(|row| Value::Record(vectors.iter().map(|v| v.value(row)).collect::<Vec<_>>().into()))
                .collect();
            Arc::new(Vector::flat(Data::Composed(rows), Validity::all()))
        }
        Expr::Field { arg, index, data_type } => {
            let vector = child(arg)?;
            Arc::new(compose::values(data_type.physical, len, |row| match vector.value(row) {
                Value::Record(fields) => fields.get(*index).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            }))
        }
        Expr::Subscript { array, indexes, data_type } => {
            let array = child(array)?;
            let indexes = indexes.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
            Arc::new(compose::subscript(&array, &indexes, *data_type, len))
        }
        Expr::Slice { array, bounds, data_type } => {
            let array = child(array)?;
            let mut evaluated = Vec::with_capacity(bounds.len());
            for (lower, upper) in bounds {
                evaluated
                    .push((lower.as_ref().map(child).transpose()?, upper.as_ref().map(child).transpose()?));
            }
            Arc::new(compose::slice(&array, &evaluated, *data_type, len))
        }
        Expr::Relabel { arg, data_type, .. } => {
            let vector = child(arg)?;
            let trims = data_type.oid == DataType::BPCHAR.oid && arg.data_type().oid != DataType::BPCHAR.oid;
            if trims { Arc::new(trim_blanks(&vector)) } else { relabeled(vector, *data_type) }
        }
        Expr::IoCast { arg, data_type, .. } => {
            let vector = child(arg)?;
            Arc::new(crate::cast::through_text(&vector, arg.data_type(), *data_type, len, cx)?)
        }
        Expr::ArrayCast { arg, element, data_type, .. } => {
            let vector = child(arg)?;
            Arc::new(compose::cast_arrays(&vector, element, *data_type, len, cx)?)
        }
        Expr::Subquery(subquery) => match cx.subqueries {
            Some(runner) => {
                let tests = subquery.tests.iter().map(child).collect::<Result<Vec<Arc<Vector>>>>()?;
                runner.run(subquery, &tests, batch, cx)?
            }
            None => return Err(Error::internal("a subquery was left in an expression")),
        },
    })
}

/// A vector under another type of the same bytes: integer and oid differ in their sign alone.
fn relabeled(vector: Arc<Vector>, to: DataType) -> Arc<Vector> {
    let data = match (vector.data(), to.physical) {
        (Data::Int32(values), Physical::UInt32) => {
            Data::UInt32(values.iter().map(|value| value.cast_unsigned()).collect())
        }
        (Data::UInt32(values), Physical::Int32) => {
            Data::Int32(values.iter().map(|value| value.cast_signed()).collect())
        }
        _ => return vector,
    };
    Arc::new(if vector.is_constant() {
        Vector::repeat(data, vector.validity().clone(), vector.len())
    } else {
        Vector::flat(data, vector.validity().clone())
    })
}

/// `len` times `value`; small numerics as scaled integers.
pub(crate) fn constant(value: &Value, physical: Physical, len: usize) -> Vector {
    if let Value::Numeric(Numeric::Small { unscaled, scale }) = value
        && let Ok(unscaled) = i64::try_from(*unscaled)
    {
        return Vector::repeat(Data::Decimal { scale: *scale, values: vec![unscaled] }, Validity::all(), len);
    }
    Vector::constant(value, physical, len)
}

/// Calls a scalar function: once if all arguments are constant, not at all if it is strict and one is
/// a constant NULL.
pub(crate) fn call(
    function: &'static Function,
    vectors: &[Arc<Vector>],
    types: &[DataType],
    result: DataType,
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Arc<Vector>> {
    let Implementation::Scalar(kernel) = function.implementation else {
        function.check_implemented()?;
        return Err(Error::internal(format!("{} is no scalar function", function.signature())));
    };
    if function.strict && vectors.iter().any(|v| v.is_constant() && v.is_null(0)) {
        return Ok(Arc::new(Vector::nulls(result.physical, len)));
    }
    let once = function.volatility < Volatility::Volatile && vectors.iter().all(|v| v.is_constant());
    let args = Args { vectors, types, result, len: if once { 1 } else { len }, cx, function };
    let vector = kernel(&args)?;
    if once && (len != 1 || !vector.is_constant()) {
        let validity = vector.validity().clone();
        return Ok(Arc::new(Vector::repeat(vector.into_data(), validity, len)));
    }
    Ok(Arc::new(vector))
}

/// The stored booleans of a vector.
fn bools(vector: &Vector) -> Result<&[bool]> {
    match vector.data() {
        Data::Bool(values) => Ok(values),
        other => Err(Error::internal(format!("a {:?} vector as a condition", other.physical()))),
    }
}

/// A vector of `data`, constant like the one it was made from.
fn same_shape(like: &Vector, data: Data, validity: Validity) -> Vector {
    if like.is_constant() { Vector::repeat(data, validity, like.len()) } else { Vector::flat(data, validity) }
}

fn is_record(expr: &Expr) -> bool {
    expr.data_type().oid == DataType::RECORD.oid
        || expr.data_type().category() == types::TypeCategory::Composite
}

/// ROW IS NULL: all fields are; ROW IS NOT NULL: none is.
fn record_is_null(value: &Value, negated: bool) -> bool {
    match value {
        Value::Record(fields) if negated => fields.iter().all(|field| !field.is_null()),
        Value::Record(fields) => fields.iter().all(Value::is_null),
        other => other.is_null() != negated,
    }
}

fn distinct_by_operator(
    equality: &'static Function,
    a: &Arc<Vector>,
    b: &Arc<Vector>,
    types: [DataType; 2],
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Vec<bool>> {
    let equal = call(equality, &[Arc::clone(a), Arc::clone(b)], &types, DataType::BOOL, len, cx)?;
    Ok((0..len)
        .map(|row| match (a.is_null(row), b.is_null(row)) {
            (true, true) => false,
            (false, false) => equal.value(row) != Value::Bool(true),
            _ => true,
        })
        .collect())
}

fn min_max(vectors: &[Arc<Vector>], greatest: bool, data_type: DataType, len: usize) -> Vector {
    compose::values(data_type.physical, len, |row| {
        let mut best: Option<usize> = None;
        for (index, vector) in vectors.iter().enumerate().filter(|(_, v)| v.is_valid(row)) {
            let better = best.and_then(|b| vectors.get(b)).is_none_or(|current| {
                let order = compare::order_at(vector, row, current, row);
                if greatest { order.is_gt() } else { order.is_lt() }
            });
            if better {
                best = Some(index);
            }
        }
        best.and_then(|b| vectors.get(b)).map_or(Value::Null, |v| v.value(row))
    })
}

fn trim_blanks(vector: &Vector) -> Vector {
    let Data::Text(strings) = vector.data() else { return vector.clone() };
    let mut out = Strings::with_capacity(strings.len(), strings.bytes().len());
    for value in strings.iter() {
        let end = value.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
        out.push(&value[..end]);
    }
    same_shape(vector, Data::Text(out), vector.validity().clone())
}
