//! Putting vectors together: the pieces of a CASE, arrays, subscripts and slices.

use std::sync::Arc;

use types::value::ArrayDimension;
use types::{
    ArrayValue, Batch, Data, DataType, Error, Physical, Result, SqlState, Strings, Validity, Value, Vector,
    VectorBuilder,
};

use super::{eval_with, same_shape};
use crate::context::EvalContext;
use crate::expr::Expr;

/// Results for disjoint sets of rows, to become one vector. Rows without a piece are NULL.
pub(super) struct Pieces {
    len: usize,
    pieces: Vec<(Vec<u32>, Arc<Vector>)>,
}

impl Pieces {
    pub fn new(len: usize) -> Pieces {
        Pieces { len, pieces: Vec::new() }
    }

    /// `vector[i]` is the value of row `rows[i]`.
    pub fn add(&mut self, rows: Vec<u32>, vector: Arc<Vector>) {
        self.pieces.push((rows, vector));
    }

    pub fn finish(mut self, physical: Physical) -> Arc<Vector> {
        let len = self.len;
        if self.pieces.len() == 1
            && let Some((rows, _)) = self.pieces.first()
            && rows.len() == len
            && let Some((_, vector)) = self.pieces.pop()
        {
            return vector;
        }
        if self.pieces.is_empty() {
            return Arc::new(Vector::nulls(physical, len));
        }
        macro_rules! scatter {
            ($variant:ident, $zero:expr) => {{
                let mut out = vec![$zero; len];
                let mut fits = true;
                for (rows, vector) in &self.pieces {
                    match vector.data() {
                        Data::$variant(values) => {
                            for (index, &row) in rows.iter().enumerate() {
                                out[row as usize] = values[vector.index(index)].clone();
                            }
                        }
                        _ => fits = false,
                    }
                }
                fits.then(|| Data::$variant(out))
            }};
        }
        let data = match physical {
            Physical::Bool => scatter!(Bool, false),
            Physical::Int16 => scatter!(Int16, 0),
            Physical::Int32 => scatter!(Int32, 0),
            Physical::Int64 => scatter!(Int64, 0),
            Physical::UInt32 => scatter!(UInt32, 0),
            Physical::Float32 => scatter!(Float32, 0.0),
            Physical::Float64 => scatter!(Float64, 0.0),
            Physical::Numeric => self.scatter_decimals(),
            Physical::Text => self.scatter_strings(),
            _ => None,
        };
        match data {
            Some(data) => Arc::new(Vector::flat(data, self.validity())),
            None => Arc::new(self.by_value(physical)),
        }
    }

    fn validity(&self) -> Validity {
        let covered: usize = self.pieces.iter().map(|(rows, _)| rows.len()).sum();
        if covered == self.len && self.pieces.iter().all(|(_, v)| v.validity().is_all()) {
            return Validity::all();
        }
        let mut valid = vec![false; self.len];
        for (rows, vector) in &self.pieces {
            for (index, &row) in rows.iter().enumerate() {
                valid[row as usize] = vector.is_valid(index);
            }
        }
        Validity::from_fn(self.len, |row| valid[row])
    }

    /// Scaled integers when all pieces share a scale: it is the values' display scale.
    fn scatter_decimals(&self) -> Option<Data> {
        let mut shared = None;
        let mut out = vec![0i64; self.len];
        for (rows, vector) in &self.pieces {
            let Data::Decimal { scale, values } = vector.data() else { return None };
            if *shared.get_or_insert(*scale) != *scale {
                return None;
            }
            for (index, &row) in rows.iter().enumerate() {
                out[row as usize] = values[vector.index(index)];
            }
        }
        shared.map(|scale| Data::Decimal { scale, values: out })
    }

    fn scatter_strings(&self) -> Option<Data> {
        let mut at: Vec<Option<(usize, usize)>> = vec![None; self.len];
        let mut columns = Vec::with_capacity(self.pieces.len());
        for (piece, (rows, vector)) in self.pieces.iter().enumerate() {
            let Data::Text(strings) = vector.data() else { return None };
            columns.push(strings);
            for (index, &row) in rows.iter().enumerate() {
                at[row as usize] = Some((piece, vector.index(index)));
            }
        }
        let mut out = Strings::with_capacity(self.len, 0);
        for place in at {
            out.push(place.map_or(b"".as_slice(), |(piece, index)| columns[piece].get(index)));
        }
        Some(Data::Text(out))
    }

    fn by_value(&self, physical: Physical) -> Vector {
        let mut at: Vec<Option<(usize, usize)>> = vec![None; self.len];
        for (piece, (rows, _)) in self.pieces.iter().enumerate() {
            for (index, &row) in rows.iter().enumerate() {
                at[row as usize] = Some((piece, index));
            }
        }
        values(physical, self.len, |row| match at[row] {
            Some((piece, index)) => self.pieces[piece].1.value(index),
            None => Value::Null,
        })
    }
}

/// A vector built value by value.
pub(super) fn values(physical: Physical, len: usize, mut f: impl FnMut(usize) -> Value) -> Vector {
    let mut builder = VectorBuilder::new(physical, len);
    for row in 0..len {
        builder.push(&f(row));
    }
    builder.finish()
}

/// ARRAY[…] of each row; `nested`: of arrays, which must agree in shape (2202E).
pub(super) fn array(
    vectors: &[Arc<Vector>],
    nested: bool,
    data_type: DataType,
    len: usize,
) -> Result<Vector> {
    let element = data_type.element().unwrap_or(DataType::TEXT);
    let constant = vectors.iter().all(|v| v.is_constant());
    let count = if constant { len.min(1) } else { len };
    let mut rows = Vec::with_capacity(count);
    for row in 0..count {
        let items: Vec<Value> = vectors.iter().map(|v| v.value(row)).collect();
        let array = if nested { stack(&items, element)? } else { ArrayValue::from_elements(element, items) };
        rows.push(Value::Array(Arc::new(array)));
    }
    if constant && len > 0 {
        return Ok(Vector::repeat(Data::Composed(rows), Validity::all(), len));
    }
    Ok(Vector::flat(Data::Composed(rows), Validity::all()))
}

/// Arrays as the rows of an array with one more dimension.
pub(crate) fn stack(items: &[Value], element: DataType) -> Result<ArrayValue> {
    let mismatch = || {
        Error::new(
            SqlState::ARRAY_SUBSCRIPT_ERROR,
            "multidimensional arrays must have array expressions with matching dimensions",
        )
    };
    let mut shape: Option<Vec<ArrayDimension>> = None;
    let mut elements = Vec::new();
    let mut empty = false;
    for item in items {
        match item {
            Value::Array(array) if !array.dimensions.is_empty() => {
                match &shape {
                    Some(shape) if *shape != array.dimensions => return Err(mismatch()),
                    _ => shape = Some(array.dimensions.clone()),
                }
                elements.extend(array.elements.iter().cloned());
            }
            _ => empty = true,
        }
    }
    let Some(inner) = shape else { return Ok(ArrayValue::from_elements(element, Vec::new())) };
    if empty {
        return Err(mismatch());
    }
    let length = i32::try_from(items.len()).unwrap_or(i32::MAX);
    let mut dimensions = vec![ArrayDimension { length, lower_bound: 1 }];
    dimensions.extend(inner);
    Ok(ArrayValue { element, dimensions, elements })
}

fn index_of(vector: &Vector, row: usize) -> Option<i32> {
    vector.value(row).as_i64().and_then(|index| i32::try_from(index).ok())
}

/// `array[i][j]`: NULL outside the bounds or with too few or many subscripts.
pub(super) fn subscript(array: &Vector, indexes: &[Arc<Vector>], data_type: DataType, len: usize) -> Vector {
    values(data_type.physical, len, |row| {
        let array = match array.value(row) {
            Value::Array(array) => array,
            Value::Text(name) => return name_byte(&name, indexes, row),
            _ => return Value::Null,
        };
        if array.dimensions.len() != indexes.len() {
            return Value::Null;
        }
        let mut offset = 0usize;
        for (dimension, index) in array.dimensions.iter().zip(indexes) {
            let Some(index) = index_of(index, row) else { return Value::Null };
            let position = i64::from(index) - i64::from(dimension.lower_bound);
            if position < 0 || position >= i64::from(dimension.length) {
                return Value::Null;
            }
            offset = offset * dimension.length as usize + position as usize;
        }
        array.elements.get(offset).cloned().unwrap_or(Value::Null)
    })
}

/// `name[i]`: a byte of its 64 as "char"; those past its end are zero, which prints as nothing.
fn name_byte(name: &str, indexes: &[Arc<Vector>], row: usize) -> Value {
    let [index] = indexes else { return Value::Null };
    let index = index_of(index, row).and_then(|index| usize::try_from(index).ok());
    match index.filter(|index| *index < 64).map(|index| name.as_bytes().get(index)) {
        None => Value::Null,
        Some(None) => Value::text(""),
        Some(Some(byte)) if byte.is_ascii() => Value::text(char::from(*byte).to_string()),
        Some(Some(byte)) => Value::text(format!("\\{byte:03o}")),
    }
}

/// `array[a:b]`: what lies within, numbered from 1; NULL when a bound is.
pub(super) fn slice(
    array: &Vector,
    bounds: &[(Option<Arc<Vector>>, Option<Arc<Vector>>)],
    data_type: DataType,
    len: usize,
) -> Vector {
    values(data_type.physical, len, |row| {
        let Value::Array(array) = array.value(row) else { return Value::Null };
        let empty = || Value::Array(Arc::new(ArrayValue::from_elements(array.element, Vec::new())));
        let mut ranges = Vec::with_capacity(array.dimensions.len());
        for (position, dimension) in array.dimensions.iter().enumerate() {
            let (first, last) = (
                i64::from(dimension.lower_bound),
                i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1,
            );
            let (mut lower, mut upper) = (first, last);
            if let Some((a, b)) = bounds.get(position) {
                if let Some(a) = a {
                    let Some(a) = index_of(a, row) else { return Value::Null };
                    lower = lower.max(i64::from(a));
                }
                if let Some(b) = b {
                    let Some(b) = index_of(b, row) else { return Value::Null };
                    upper = upper.min(i64::from(b));
                }
            }
            if lower > upper {
                return empty();
            }
            ranges.push(((lower - first) as usize, (upper - first) as usize));
        }
        if bounds.len() > array.dimensions.len() || ranges.is_empty() {
            return empty();
        }
        let mut elements = Vec::new();
        collect(&array, &ranges, 0, 0, &mut elements);
        let dimensions = ranges
            .iter()
            .map(|(lower, upper)| ArrayDimension { length: (upper - lower + 1) as i32, lower_bound: 1 })
            .collect();
        Value::Array(Arc::new(ArrayValue { element: array.element, dimensions, elements }))
    })
}

/// Copies the block that `ranges` cuts out; arrays have few dimensions, so the recursion is shallow.
fn collect(array: &ArrayValue, ranges: &[(usize, usize)], depth: usize, offset: usize, out: &mut Vec<Value>) {
    let (Some(&(lower, upper)), Some(dimension)) = (ranges.get(depth), array.dimensions.get(depth)) else {
        return;
    };
    for position in lower..=upper {
        let offset = offset * dimension.length as usize + position;
        if depth + 1 == ranges.len() {
            out.push(array.elements.get(offset).cloned().unwrap_or(Value::Null));
        } else {
            collect(array, ranges, depth + 1, offset, out);
        }
    }
}

/// Casts each array by casting all its elements at once.
pub(super) fn cast_arrays(
    vector: &Vector,
    element: &Expr,
    data_type: DataType,
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Vector> {
    let target = data_type.element().unwrap_or(element.data_type());
    let count = if vector.is_constant() { len.min(1) } else { len };
    let mut rows = Vec::with_capacity(count);
    let mut validity = Validity::all();
    for row in 0..count {
        let Value::Array(array) = vector.value(row) else {
            validity.set_null(row, count);
            rows.push(Value::Null);
            continue;
        };
        let items = array.elements.len();
        let source = values(array.element.physical, items, |index| array.elements[index].clone());
        let cast = eval_with(element, &Batch::new(Vec::new(), items), cx, Some(&Arc::new(source)))?;
        let elements = (0..items).map(|index| cast.value(index)).collect();
        rows.push(Value::Array(Arc::new(ArrayValue {
            element: target.without_modifier(),
            dimensions: array.dimensions.clone(),
            elements,
        })));
    }
    if vector.is_constant() && len > 0 {
        return Ok(same_shape(vector, Data::Composed(rows), validity));
    }
    Ok(Vector::flat(Data::Composed(rows), validity))
}
