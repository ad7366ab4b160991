//! IN lists and `op ANY|ALL (array)`.

use std::collections::HashSet;
use std::sync::Arc;

use rapidhash::fast::RandomState;
use types::{Data, DataType, Error, Result, Validity, Value, Vector};

use super::call;
use crate::context::EvalContext;
use crate::expr::Expr;
use crate::function::{Comparison, Operator};

/// Lists up to here are compared item by item, in loops that vectorise.
const SHORT: usize = 4;

/// `arg [NOT] IN (items)`.
pub(super) fn in_list(
    arg: &Arc<Vector>,
    items: &[Arc<Vector>],
    operator: &Operator,
    types: [DataType; 2],
    negated: bool,
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Vector> {
    // Constants first, by hashing where their form allows.
    let constants: Vec<&Arc<Vector>> = items.iter().filter(|v| v.is_constant()).collect();
    let mut has_null = constants.iter().any(|v| v.is_null(0));
    let present: Vec<&Arc<Vector>> = constants.into_iter().filter(|v| v.is_valid(0)).collect();
    let mut found = None;
    if present.len() > SHORT && operator.comparison == Some(Comparison::Equal) {
        found = hashed(arg, &present, len);
    }
    let hashed = found.is_some();
    let mut found = found.unwrap_or_else(|| vec![false; len]);
    let mut nulls: Vec<bool> = Vec::new();
    for item in items {
        if item.is_constant() && (hashed || item.is_null(0)) {
            continue;
        }
        let args = [Arc::clone(arg), Arc::clone(item)];
        let equal = call(operator.function, &args, &types, DataType::BOOL, len, cx)?;
        let values = super::bools(&equal)?;
        if equal.is_constant() {
            if equal.validity().is_valid(0) {
                if values.first() == Some(&true) {
                    found.fill(true);
                }
            } else if !arg.is_constant() || arg.is_valid(0) {
                has_null = true;
            }
        } else if equal.validity().is_all() {
            found.iter_mut().zip(values).for_each(|(found, &value)| *found |= value);
        } else {
            for row in 0..len {
                if equal.validity().is_valid(row) {
                    found[row] |= values[row];
                } else if arg.is_valid(row) {
                    nulls.resize(len, false);
                    nulls[row] = true;
                }
            }
        }
    }
    let validity = if !has_null && nulls.is_empty() && arg.validity().is_all() {
        Validity::all()
    } else {
        Validity::from_fn(len, |row| {
            arg.is_valid(row) && (found[row] || !has_null && !nulls.get(row).copied().unwrap_or(false))
        })
    };
    if negated {
        found.iter_mut().for_each(|value| *value = !*value);
    }
    Ok(Vector::flat(Data::Bool(found), validity))
}

/// `arg [NOT] IN (list)` for a longer list of literals; None for what must go item by item.
pub(super) fn in_literals(arg: &Vector, list: &[Expr], negated: bool, len: usize) -> Option<Vector> {
    if list.len() <= SHORT || arg.is_constant() {
        return None;
    }
    let mut has_null = false;
    let mut values = Vec::with_capacity(list.len());
    for item in list {
        match item.as_literal()? {
            Value::Null => has_null = true,
            value => values.push(value),
        }
    }
    macro_rules! by_integer {
        ($stored:expr) => {{
            let set: HashSet<i64, RandomState> =
                values.iter().map(|value| value.as_i64()).collect::<Option<_>>()?;
            $stored.iter().map(|&value| set.contains(&i64::from(value)) != negated).collect::<Vec<bool>>()
        }};
    }
    let found = match arg.data() {
        Data::Int16(stored) => by_integer!(stored),
        Data::Int32(stored) => by_integer!(stored),
        Data::Int64(stored) => by_integer!(stored),
        Data::Text(stored) => {
            let set: HashSet<&[u8], RandomState> =
                values.iter().map(|value| value.as_str().map(str::as_bytes)).collect::<Option<_>>()?;
            stored.iter().map(|value| set.contains(value) != negated).collect()
        }
        _ => return None,
    };
    let validity = if !has_null {
        arg.validity().clone()
    } else {
        // Not found among the values, but perhaps it is the NULL.
        Validity::from_fn(len, |row| arg.is_valid(row) && found[row] != negated)
    };
    Some(Vector::flat(Data::Bool(found), validity))
}

/// Membership by hashing; None for forms that are compared one by one.
fn hashed(arg: &Vector, items: &[&Arc<Vector>], len: usize) -> Option<Vec<bool>> {
    fn integers(vector: &Vector) -> Option<i64> {
        vector.value(0).as_i64()
    }
    macro_rules! by_integer {
        ($values:expr) => {{
            let set: HashSet<i64, RandomState> = items.iter().map(|v| integers(v)).collect::<Option<_>>()?;
            Some((0..len).map(|row| set.contains(&i64::from($values[arg.index(row)]))).collect())
        }};
    }
    match arg.data() {
        Data::Int16(values) => by_integer!(values),
        Data::Int32(values) => by_integer!(values),
        Data::Int64(values) => by_integer!(values),
        Data::UInt32(values) => by_integer!(values),
        Data::Text(strings) => {
            let set: HashSet<&[u8], RandomState> = items
                .iter()
                .map(|item| match item.data() {
                    Data::Text(strings) => Some(strings.get(0)),
                    _ => None,
                })
                .collect::<Option<_>>()?;
            Some((0..len).map(|row| set.contains(strings.get(arg.index(row)))).collect())
        }
        Data::Decimal { .. } | Data::Numeric(_) | Data::Uuid(_) | Data::Float64(_) => {
            let set: HashSet<Value, RandomState> = items.iter().map(|item| item.value(0)).collect();
            Some((0..len).map(|row| set.contains(&arg.value(row))).collect())
        }
        _ => None,
    }
}

/// `left op ANY (array)` or `left op ALL (array)`.
pub(super) fn any_all(
    left: &Arc<Vector>,
    array: &Arc<Vector>,
    operator: &Operator,
    types: [DataType; 2],
    all: bool,
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Vector> {
    let physical = types[1].physical;
    if array.is_constant() {
        let elements = match array.value(0) {
            Value::Array(array) => array,
            Value::Null => return Ok(Vector::nulls(types::Physical::Bool, len)),
            other => return Err(Error::internal(format!("{other:?} as an array"))),
        };
        let items: Vec<Arc<Vector>> =
            elements.elements.iter().map(|v| Arc::new(super::constant(v, physical, len))).collect();
        if !all && operator.comparison == Some(Comparison::Equal) {
            return in_list(left, &items, operator, types, false, len, cx);
        }
        // ANY is true on one true, ALL false on one false; NULL if undecided and one was.
        let mut decided = vec![false; len];
        let mut nulls = vec![false; len];
        for item in &items {
            let args = [Arc::clone(left), Arc::clone(item)];
            let result = call(operator.function, &args, &types, DataType::BOOL, len, cx)?;
            let values = super::bools(&result)?;
            for row in 0..len {
                let index = result.index(row);
                if result.validity().is_valid(index) {
                    decided[row] |= values[index] != all;
                } else {
                    nulls[row] = true;
                }
            }
        }
        let validity = Validity::from_fn(len, |row| decided[row] || !nulls[row]);
        let values = decided.iter().map(|&decided| decided != all).collect();
        return Ok(Vector::flat(Data::Bool(values), validity));
    }
    let mut values = vec![all; len];
    let mut validity = Validity::all();
    for (row, outcome) in values.iter_mut().enumerate() {
        let Value::Array(elements) = array.value(row) else {
            validity.set_null(row, len);
            continue;
        };
        let count = elements.elements.len();
        if count == 0 {
            continue;
        }
        let mut right = types::VectorBuilder::new(physical, count);
        elements.elements.iter().for_each(|element| right.push(element));
        let one = Arc::new(super::constant(&left.value(row), types[0].physical, count));
        let result =
            call(operator.function, &[one, Arc::new(right.finish())], &types, DataType::BOOL, count, cx)?;
        let outcomes: Vec<Value> = (0..count).map(|index| result.value(index)).collect();
        if outcomes.contains(&Value::Bool(!all)) {
            *outcome = !all;
        } else if outcomes.contains(&Value::Null) {
            validity.set_null(row, len);
        }
    }
    Ok(Vector::flat(Data::Bool(values), validity))
}
