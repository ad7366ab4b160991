//! Array functions. Arrays are values; nothing here is hot.

use std::sync::Arc;

use types::value::ArrayDimension;
use types::{ArrayValue, DataType, Error, Result, SqlState, Value, Vector};

use super::convert::push_any;
use crate::function::{Args, Kernel};

fn array_at(args: &Args<'_>, position: usize, row: usize) -> Option<Arc<ArrayValue>> {
    match args.value(position, row) {
        Value::Array(array) => Some(array),
        _ => None,
    }
}

fn wrap(array: ArrayValue) -> Value {
    Value::Array(Arc::new(array))
}

fn element_type(args: &Args<'_>) -> DataType {
    args.result.element().unwrap_or(DataType::TEXT).without_modifier()
}

fn incompatible() -> Error {
    Error::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays")
}

fn one_dimension_only() -> Error {
    Error::new(SqlState::DATA_EXCEPTION, "argument must be empty or one-dimensional array")
}

fn append(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let (array, value) = (array_at(args, 0, row), args.value(1, row));
        let Some(array) = array else {
            return Ok(wrap(ArrayValue::from_elements(element_type(args), vec![value])));
        };
        extend(&array, value, false).map(wrap)
    })
}

fn prepend(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let (value, array) = (args.value(0, row), array_at(args, 1, row));
        let Some(array) = array else {
            return Ok(wrap(ArrayValue::from_elements(element_type(args), vec![value])));
        };
        extend(&array, value, true).map(wrap)
    })
}

fn extend(array: &ArrayValue, value: Value, front: bool) -> Result<ArrayValue> {
    match array.dimensions.as_slice() {
        [] => Ok(ArrayValue::from_elements(array.element, vec![value])),
        [dimension] => {
            let mut elements = array.elements.clone();
            elements.insert(if front { 0 } else { elements.len() }, value);
            let length = dimension.length + 1;
            let lower_bound = dimension.lower_bound;
            let dimensions = vec![ArrayDimension { length, lower_bound }];
            Ok(ArrayValue { element: array.element, dimensions, elements })
        }
        _ => Err(one_dimension_only()),
    }
}

/// array || array: of the same shape but for the first dimension, or one with a row of the other.
fn concatenate(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let (a, b) = match (array_at(args, 0, row), array_at(args, 1, row)) {
            (None, None) => return Ok(Value::Null),
            (Some(one), None) | (None, Some(one)) => return Ok(Value::Array(one)),
            (Some(a), Some(b)) => (a, b),
        };
        if a.dimensions.is_empty() {
            return Ok(Value::Array(b));
        }
        if b.dimensions.is_empty() {
            return Ok(Value::Array(a));
        }
        let shape =
            |dimensions: &[ArrayDimension]| -> Vec<i32> { dimensions.iter().map(|d| d.length).collect() };
        let mut dimensions;
        match a.dimensions.len() as i64 - b.dimensions.len() as i64 {
            0 if shape(&a.dimensions[1..]) == shape(&b.dimensions[1..]) => {
                dimensions = a.dimensions.clone();
                dimensions[0].length += b.dimensions[0].length;
            }
            1 if shape(&a.dimensions[1..]) == shape(&b.dimensions) => {
                dimensions = a.dimensions.clone();
                dimensions[0].length += 1;
            }
            -1 if shape(&b.dimensions[1..]) == shape(&a.dimensions) => {
                dimensions = b.dimensions.clone();
                dimensions[0].length += 1;
            }
            _ => {
                return Err(incompatible()
                    .with_detail("Arrays with differing dimensions are not compatible for concatenation."));
            }
        }
        let elements = a.elements.iter().chain(&b.elements).cloned().collect();
        Ok(wrap(ArrayValue { element: a.element, dimensions, elements }))
    })
}

fn dimension(args: &Args<'_>, f: fn(&ArrayDimension) -> i32) -> Result<Vector> {
    args.build_opt(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(None) };
        let index = usize::try_from(args.int(1, row) - 1).ok();
        Ok(index.and_then(|index| array.dimensions.get(index)).map(f))
    })
}

fn dims(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        let Some(array) = array_at(args, 0, row) else { return Ok(false) };
        for d in &array.dimensions {
            out.extend_from_slice(format!("[{}:{}]", d.lower_bound, d.lower_bound + d.length - 1).as_bytes());
        }
        Ok(!array.dimensions.is_empty())
    })
}

fn remove(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(Value::Null) };
        if array.dimensions.len() > 1 {
            return Err(Error::not_supported("removing elements from multidimensional arrays"));
        }
        let unwanted = args.value(1, row);
        let elements: Vec<Value> = array.elements.iter().filter(|&e| *e != unwanted).cloned().collect();
        Ok(wrap(ArrayValue::from_elements(array.element, elements)))
    })
}

fn replace(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(Value::Null) };
        let (from, to) = (args.value(1, row), args.value(2, row));
        let swap = |e: &Value| if *e == from { to.clone() } else { e.clone() };
        let elements = array.elements.iter().map(swap).collect();
        Ok(wrap(ArrayValue { element: array.element, dimensions: array.dimensions.clone(), elements }))
    })
}

fn flat_only(array: &ArrayValue) -> Result<i32> {
    match array.dimensions.as_slice() {
        [] => Ok(1),
        [dimension] => Ok(dimension.lower_bound),
        _ => Err(Error::not_supported("searching for elements in multidimensional arrays")),
    }
}

fn position(args: &Args<'_>) -> Result<Vector> {
    args.build_opt(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(None) };
        let first = flat_only(&array)?;
        let wanted = args.value(1, row);
        let start = if args.count() > 2 {
            if args.is_null(2, row) {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "initial position must not be null",
                ));
            }
            usize::try_from(args.i32(2, row) - first).unwrap_or(0)
        } else {
            0
        };
        let found = array.elements.iter().skip(start).position(|e| *e == wanted);
        Ok(found.map(|at| (at + start) as i32 + first))
    })
}

fn positions(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(Value::Null) };
        let first = flat_only(&array)?;
        let wanted = args.value(1, row);
        let found = array.elements.iter().enumerate().filter(|(_, e)| **e == wanted);
        let values = found.map(|(at, _)| Value::Int32(at as i32 + first)).collect();
        Ok(wrap(ArrayValue::from_elements(DataType::INT4, values)))
    })
}

/// What an array may hold at most.
const MAX_ELEMENTS: usize = 16_777_216;

fn fill(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let Some(lengths) = array_at(args, 1, row) else {
            return Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "dimension array or low bound array cannot be null",
            ));
        };
        let bounds = if args.count() > 2 { array_at(args, 2, row) } else { None };
        let mut dimensions = Vec::new();
        let mut total = 1usize;
        for (index, length) in lengths.elements.iter().enumerate() {
            let Some(length) = length.as_i64() else {
                return Err(Error::new(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null"));
            };
            let lower =
                bounds.as_ref().and_then(|b| b.elements.get(index)).and_then(Value::as_i64).unwrap_or(1);
            total = total.saturating_mul(usize::try_from(length).unwrap_or(0));
            dimensions.push(ArrayDimension { length: length as i32, lower_bound: lower as i32 });
        }
        if total > MAX_ELEMENTS {
            return Err(Error::new(
                SqlState::PROGRAM_LIMIT_EXCEEDED,
                format!("array size exceeds the maximum allowed ({MAX_ELEMENTS})"),
            ));
        }
        if total == 0 || dimensions.is_empty() {
            return Ok(wrap(ArrayValue::from_elements(element_type(args), Vec::new())));
        }
        let elements = vec![args.value(0, row); total];
        Ok(wrap(ArrayValue { element: element_type(args), dimensions, elements }))
    })
}

fn trim(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        let Some(array) = array_at(args, 0, row) else { return Ok(Value::Null) };
        let length = array.dimensions.first().map_or(0, |d| d.length);
        let cut = args.i32(1, row);
        if cut < 0 || cut > length {
            return Err(Error::new(
                SqlState::ARRAY_SUBSCRIPT_ERROR,
                format!("number of elements to trim must be between 0 and {length}"),
            ));
        }
        let mut dimensions = array.dimensions.clone();
        let Some(first) = dimensions.first_mut().filter(|d| d.length > cut) else {
            return Ok(wrap(ArrayValue::from_elements(array.element, Vec::new())));
        };
        first.length -= cut;
        first.lower_bound = 1;
        let keep = array.elements.len() / length.max(1) as usize * (length - cut) as usize;
        let elements = array.elements.iter().take(keep).cloned().collect();
        Ok(wrap(ArrayValue { element: array.element, dimensions, elements }))
    })
}

fn contains(whole: &ArrayValue, part: &ArrayValue) -> bool {
    part.elements.iter().all(|e| !e.is_null() && whole.elements.contains(e))
}

fn containment(args: &Args<'_>, test: fn(&ArrayValue, &ArrayValue) -> bool) -> Result<Vector> {
    args.build(|row| match (array_at(args, 0, row), array_at(args, 1, row)) {
        (Some(a), Some(b)) => Ok(test(&a, &b)),
        _ => Ok(false),
    })
}

fn overlaps(a: &ArrayValue, b: &ArrayValue) -> bool {
    a.elements.iter().any(|e| !e.is_null() && b.elements.contains(e))
}

/// array_to_string: NULLs are left out, or written as the third argument.
fn to_text(args: &Args<'_>) -> Result<Vector> {
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) || args.is_null(1, row) {
            return Ok(false);
        }
        let Some(array) = array_at(args, 0, row) else { return Ok(false) };
        let mut first = true;
        for element in &array.elements {
            let null_text = args.count() > 2 && !args.is_null(2, row);
            if element.is_null() && !null_text {
                continue;
            }
            if !first {
                out.extend_from_slice(args.bytes(1, row));
            }
            first = false;
            match element {
                Value::Null => out.extend_from_slice(args.bytes(2, row)),
                Value::Bool(value) => out.push(if *value { b't' } else { b'f' }),
                value => {
                    let text = crate::cast::value_to_text(value, array.element, args.cx)?;
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
        Ok(true)
    })
}

/// The fields of `text` between delimiters; without a delimiter its characters.
pub(crate) fn split(text: &str, delimiter: Option<&str>, null: Option<&str>) -> Vec<Value> {
    let parts: Vec<String> = match delimiter {
        _ if text.is_empty() => Vec::new(),
        None => text.chars().map(String::from).collect(),
        Some("") => vec![text.to_string()],
        Some(delimiter) => text.split(delimiter).map(str::to_string).collect(),
    };
    parts
        .into_iter()
        .map(|part| if Some(part.as_str()) == null { Value::Null } else { Value::text(part) })
        .collect()
}

fn from_text(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| {
        if args.is_null(0, row) {
            return Ok(Value::Null);
        }
        let delimiter = (!args.is_null(1, row)).then(|| args.str(1, row));
        let null = (args.count() > 2 && !args.is_null(2, row)).then(|| args.str(2, row));
        let values = split(args.str(0, row), delimiter, null);
        Ok(wrap(ArrayValue::from_elements(DataType::TEXT, values)))
    })
}

/// format(): `%s`, `%I`, `%L` with positions and widths. 22023 for a bad template.
fn format(args: &Args<'_>) -> Result<Vector> {
    let bad = |message: String| Error::new(SqlState::INVALID_PARAMETER_VALUE, message);
    args.build_text_opt(|row, out| {
        if args.is_null(0, row) {
            return Ok(false);
        }
        let template = args.str(0, row);
        let mut next = 1usize;
        let mut chars = template.chars().peekable();
        let mut buffer = [0; 4];
        while let Some(c) = chars.next() {
            if c != '%' {
                out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
                continue;
            }
            let unterminated = || {
                bad("unterminated format() type specifier".to_string())
                    .with_hint("For a single \"%\" use \"%%\".")
            };
            if chars.peek() == Some(&'%') {
                chars.next();
                out.push(b'%');
                continue;
            }
            let number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| -> Option<usize> {
                let mut value: Option<usize> = None;
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize));
                    chars.next();
                }
                value
            };
            let mut position = None;
            let mut width = None;
            let mut left = false;
            let first = number(&mut chars);
            if first.is_some() && chars.peek() == Some(&'$') {
                chars.next();
                if first == Some(0) {
                    return Err(bad(
                        "format specifies argument 0, but arguments are numbered from 1".to_string()
                    ));
                }
                position = first;
            } else if first.is_some() {
                width = first;
            }
            if width.is_none() {
                while chars.peek() == Some(&'-') {
                    chars.next();
                    left = true;
                }
                if chars.peek() == Some(&'*') {
                    chars.next();
                    let given = number(&mut chars);
                    let at = match given {
                        Some(n) if chars.peek() == Some(&'$') => {
                            chars.next();
                            n
                        }
                        _ => {
                            next += 1;
                            next - 1
                        }
                    };
                    if at >= args.count() {
                        return Err(bad("too few arguments for format()".to_string()));
                    }
                    let wanted = args.int(at, row);
                    left |= wanted < 0;
                    width = usize::try_from(wanted.unsigned_abs()).ok();
                } else {
                    width = number(&mut chars);
                }
            }
            let Some(kind) = chars.next() else { return Err(unterminated()) };
            if !matches!(kind, 's' | 'I' | 'L') {
                return Err(bad(format!("unrecognized format() type specifier \"{kind}\""))
                    .with_hint("For a single \"%\" use \"%%\"."));
            }
            let at = position.unwrap_or(next);
            next = at + 1;
            if at >= args.count() {
                return Err(bad("too few arguments for format()".to_string()));
            }
            let mut raw = Vec::new();
            let present = push_any(args, at, row, &mut raw)?;
            let raw = String::from_utf8_lossy(&raw).into_owned();
            let shown = match (kind, present) {
                ('s', false) => String::new(),
                ('s', true) => raw,
                ('L', false) => "NULL".to_string(),
                ('L', true) => crate::print::quote_literal(&raw),
                (_, false) => {
                    return Err(Error::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        "null values cannot be formatted as an SQL identifier",
                    ));
                }
                (_, true) => crate::print::quote_identifier(&raw),
            };
            let padding = width.unwrap_or(0).saturating_sub(shown.chars().count());
            if padding > 0x0fff_ffff {
                return Err(super::string::too_long());
            }
            if !left {
                out.resize(out.len() + padding, b' ');
            }
            out.extend_from_slice(shown.as_bytes());
            if left {
                out.resize(out.len() + padding, b' ');
            }
        }
        Ok(true)
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("array_append", append),
    ("array_prepend", prepend),
    ("array_cat", concatenate),
    ("array_length", |args| dimension(args, |d| d.length)),
    ("array_lower", |args| dimension(args, |d| d.lower_bound)),
    ("array_upper", |args| dimension(args, |d| d.lower_bound + d.length - 1)),
    ("array_ndims", |args| {
        args.build_opt(|row| {
            let count = array_at(args, 0, row).map_or(0, |array| array.dimensions.len());
            Ok((count > 0).then_some(count as i32))
        })
    }),
    ("array_cardinality", |args| {
        args.build(|row| Ok(array_at(args, 0, row).map_or(0, |array| array.elements.len() as i32)))
    }),
    ("array_dims", dims),
    ("array_remove", remove),
    ("array_replace", replace),
    ("array_position", position),
    ("array_position_start", position),
    ("array_positions", positions),
    ("array_fill", fill),
    ("array_fill_with_lower_bounds", fill),
    ("trim_array", trim),
    ("arraycontains", |args| containment(args, contains)),
    ("arraycontained", |args| containment(args, |a, b| contains(b, a))),
    ("arrayoverlap", |args| containment(args, overlaps)),
    ("array_to_text", to_text),
    ("array_to_text_null", to_text),
    ("text_to_array", from_text),
    ("text_to_array_null", from_text),
    ("text_format", format),
    ("text_format_nv", format),
];
