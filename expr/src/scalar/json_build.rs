//! What makes JSON of SQL values: to_json, json_build_object and their kin, and rows.
//!
//! One writer of JSON text serves both types; jsonb reads that text. A row arrives as a call of
//! [`row_function`], which the coercer puts where a row's columns are known.

use std::sync::LazyLock;

use types::{ArrayValue, DataType, Error, Json, Physical, Result, SqlState, Value, Vector};

use super::json::invalid;
use crate::context::EvalContext;
use crate::expr::{CallForm, Expr, Location};
use crate::function::{Args, Function, FunctionKind, Implementation, Kernel, Volatility};

/// The modifier of json that was a row: json has none of its own.
const ROW: i32 = 1;

/// Arrays and rows stand on lines of their own in json_agg.
pub(crate) fn is_structured(data_type: DataType) -> bool {
    data_type.element().is_some() || data_type.oid == DataType::JSON.oid && data_type.modifier == ROW
}

/// Appends `value` as JSON. Dates and times are ISO 8601 whatever the settings say. 0A000 for a record
/// whose columns are not known.
pub(crate) fn write_json(
    value: &Value,
    data_type: DataType,
    lines: bool,
    cx: &EvalContext<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::Array(array) if data_type.oid != 22 && data_type.oid != 30 => {
            write_array(array, data_type, lines, cx, out)?;
        }
        Value::Record(_) => return Err(unknown_columns()),
        Value::Text(text) if data_type.oid == DataType::JSON.oid => out.extend_from_slice(text.as_bytes()),
        Value::Jsonb(bytes) => out.extend_from_slice(types::Jsonb(bytes).to_string().as_bytes()),
        _ => {
            let text = plain_text(value, data_type, cx)?;
            let number = matches!(
                data_type.physical,
                Physical::Int16
                    | Physical::Int32
                    | Physical::Int64
                    | Physical::Float32
                    | Physical::Float64
                    | Physical::Numeric
            ) && is_number_type(data_type);
            if number && text.ends_with(|c: char| c.is_ascii_digit()) {
                out.extend_from_slice(text.as_bytes());
            } else {
                types::json::escape(&text, out);
            }
        }
    }
    Ok(())
}

fn is_number_type(data_type: DataType) -> bool {
    [
        DataType::INT2,
        DataType::INT4,
        DataType::INT8,
        DataType::FLOAT4,
        DataType::FLOAT8,
        DataType::NUMERIC,
    ]
    .iter()
    .any(|t| t.oid == data_type.oid)
}

fn unknown_columns() -> Error {
    Error::not_supported("JSON of a record whose columns are not known")
        .with_hint("Name the row of a table or subquery directly, or build the object from its columns.")
}

/// As the type prints, but booleans by name and moments in ISO 8601.
fn plain_text(value: &Value, data_type: DataType, cx: &EvalContext<'_>) -> Result<String> {
    if let Value::Bool(value) = value {
        return Ok(value.to_string());
    }
    let moment = [DataType::DATE, DataType::TIMESTAMP, DataType::TIMESTAMPTZ];
    if !moment.iter().any(|t| t.oid == data_type.oid) {
        return crate::cast::value_to_text(value, data_type, cx);
    }
    let mut text_cx = cx.text.clone();
    text_cx.date_style = types::text::DateStyle::Iso;
    let text = types::text::to_text(value, data_type, &text_cx);
    let (moment, era) = match text.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (text.as_str(), ""),
    };
    let mut moment = moment.replacen(' ', "T", 1);
    if data_type.oid == DataType::TIMESTAMPTZ.oid
        && let Some(zone) = moment.rfind(['+', '-'])
        && moment.contains('T')
        && !moment.get(zone..).unwrap_or_default().contains(':')
    {
        moment.push_str(":00");
    }
    Ok(moment + era)
}

fn write_array(
    array: &ArrayValue,
    data_type: DataType,
    lines: bool,
    cx: &EvalContext<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let element = match data_type.element() {
        Some(element) if element.physical == array.element.physical => {
            element.with_modifier(data_type.modifier)
        }
        _ => array.element,
    };
    if array.elements.is_empty() {
        out.extend_from_slice(b"[]");
        return Ok(());
    }
    let mut spans: Vec<usize> = Vec::with_capacity(array.dimensions.len());
    let mut span = 1;
    for dimension in array.dimensions.iter().rev() {
        span *= usize::try_from(dimension.length).unwrap_or(1).max(1);
        spans.push(span);
    }
    // How many elements one item of the outermost dimension spans.
    let item = spans.iter().rev().nth(1).copied().unwrap_or(1);
    for (index, value) in array.elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
            if lines && index % item == 0 {
                out.extend_from_slice(b"\n ");
            }
        }
        spans.iter().filter(|&&span| index % span == 0).for_each(|_| out.push(b'['));
        write_json(value, element, false, cx, out)?;
        spans.iter().filter(|&&span| (index + 1) % span == 0).for_each(|_| out.push(b']'));
    }
    Ok(())
}

/// Appends `value` as an object's key. 22023 for what is no scalar.
pub(crate) fn write_key(
    value: &Value,
    data_type: DataType,
    cx: &EvalContext<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let scalar = !matches!(value, Value::Array(_) | Value::Record(_) | Value::Jsonb(_))
        && data_type.oid != DataType::JSON.oid;
    if !scalar {
        return Err(invalid("key value must be scalar, not array, composite, or json"));
    }
    types::json::escape(&plain_text(value, data_type, cx)?, out);
    Ok(())
}

fn type_at(args: &Args<'_>, position: usize) -> DataType {
    args.types.get(position).copied().unwrap_or(DataType::TEXT)
}

/// The result as json, or read as jsonb.
fn build(args: &Args<'_>, mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<bool>) -> Result<Vector> {
    if args.result.physical != Physical::Jsonb {
        return args.build_text_opt(write);
    }
    let mut text = Vec::new();
    args.build_text_opt(|row, out| {
        text.clear();
        if !write(row, &mut text)? {
            return Ok(false);
        }
        out.extend_from_slice(&to_jsonb(&text)?);
        Ok(true)
    })
}

/// jsonb of JSON text that was written here.
pub(crate) fn to_jsonb(text: &[u8]) -> Result<Vec<u8>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::internal("JSON that is not UTF-8"))?;
    Json::parse(text)?.encode()
}

fn one_value(args: &Args<'_>) -> Result<Vector> {
    let lines = args.count() > 1;
    build(args, |row, out| {
        let lines = lines && args.bool(1, row);
        write_json(&args.value(0, row), type_at(args, 0), lines, args.cx, out)?;
        Ok(true)
    })
}

fn build_array(args: &Args<'_>) -> Result<Vector> {
    build(args, |row, out| {
        out.push(b'[');
        for position in 0..args.count() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            write_json(&args.value(position, row), type_at(args, position), false, args.cx, out)?;
        }
        out.push(b']');
        Ok(true)
    })
}

fn build_object(args: &Args<'_>) -> Result<Vector> {
    let name = args.function.name;
    if args.count() % 2 != 0 {
        return Err(invalid("argument list must have even number of elements").with_hint(format!(
            "The arguments of {name}() must consist of alternating keys and values."
        )));
    }
    build(args, |row, out| {
        out.push(b'{');
        for position in (0..args.count()).step_by(2) {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            let key = args.value(position, row);
            if key.is_null() {
                return Err(if name == "json_build_object" {
                    invalid(format!("argument {} cannot be null", position + 1))
                        .with_hint("Object keys should be text.")
                } else {
                    invalid(format!("argument {}: key must not be null", position + 1))
                });
            }
            write_key(&key, type_at(args, position), args.cx, out)?;
            out.extend_from_slice(b" : ");
            let value = args.value(position + 1, row);
            write_json(&value, type_at(args, position + 1), false, args.cx, out)?;
        }
        out.push(b'}');
        Ok(true)
    })
}

/// json(b)_object of one array of pairs, or of keys and values.
fn object(args: &Args<'_>) -> Result<Vector> {
    let subscripts = |message: &str| Error::new(SqlState::ARRAY_SUBSCRIPT_ERROR, message.to_string());
    let array = |position, row| match args.value(position, row) {
        Value::Array(array) => Ok(array),
        _ => Err(Error::internal("an array was promised")),
    };
    build(args, |row, out| {
        let first = array(0, row)?;
        let mut pairs: Vec<(Value, Value)> = Vec::new();
        if args.count() > 1 {
            let second = array(1, row)?;
            if first.dimensions.len() > 1 || first.dimensions.len() != second.dimensions.len() {
                return Err(subscripts("wrong number of array subscripts"));
            }
            if first.elements.len() != second.elements.len() {
                return Err(subscripts("mismatched array dimensions"));
            }
            pairs.extend(first.elements.iter().cloned().zip(second.elements.iter().cloned()));
        } else {
            match first.dimensions.as_slice() {
                [] => {}
                [dimension] if dimension.length % 2 != 0 => {
                    return Err(subscripts("array must have even number of elements"));
                }
                [_] => {}
                [_, columns] if columns.length != 2 => {
                    return Err(subscripts("array must have two columns"));
                }
                [_, _] => {}
                _ => return Err(subscripts("wrong number of array subscripts")),
            }
            pairs.extend(first.elements.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())));
        }
        out.push(b'{');
        for (index, (key, value)) in pairs.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b", ");
            }
            let Some(key) = key.as_str() else {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    "null value not allowed for object key",
                ));
            };
            types::json::escape(key, out);
            out.extend_from_slice(b" : ");
            write_json(value, DataType::TEXT, false, args.cx, out)?;
        }
        out.push(b'}');
        Ok(true)
    })
}

// ---- rows ----

/// `names, lines, field …` → the object of a row, as row_to_json prints it: no function of SQL's.
pub(crate) fn row_function() -> &'static Function {
    static ROW_FUNCTION: LazyLock<Function> = LazyLock::new(|| Function {
        oid: u32::MAX - 1,
        name: "row_to_json",
        args: &[DataType::TEXT_ARRAY, DataType::BOOL, DataType::ANY],
        variadic: Some(DataType::ANY),
        defaults: 0,
        result: DataType::JSON,
        strict: false,
        volatility: Volatility::Stable,
        kind: FunctionKind::Function,
        returns_set: false,
        source: "row_object",
        implementation: Implementation::Scalar(row_object),
    });
    &ROW_FUNCTION
}

fn row_object(args: &Args<'_>) -> Result<Vector> {
    let names: Vec<String> = match args.value(0, 0) {
        Value::Array(array) => {
            array.elements.iter().map(|name| name.as_str().unwrap_or_default().to_string()).collect()
        }
        _ => Vec::new(),
    };
    args.build_text(|row, out| {
        let between: &[u8] = if args.bool(1, row) { b",\n " } else { b"," };
        out.push(b'{');
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(between);
            }
            types::json::escape(name, out);
            out.push(b':');
            write_json(&args.value(index + 2, row), type_at(args, index + 2), false, args.cx, out)?;
        }
        out.push(b'}');
        Ok(())
    })
}

/// Whether a function makes JSON of whatever it is given, so that rows must come with their names.
pub(crate) fn takes_rows(function: &Function) -> bool {
    matches!(
        function.source,
        "to_json"
            | "to_jsonb"
            | "row_to_json"
            | "row_to_json_pretty"
            | "json_build_array"
            | "json_build_object"
            | "jsonb_build_array"
            | "jsonb_build_object"
            | "row_object"
    ) || matches!(function.name, "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg")
}

/// A row whose columns are known, as the call that makes its object; anything else as it is.
pub(crate) fn row_as_json(expr: Expr, lines: Option<Expr>) -> Expr {
    let Expr::Row { fields, names, .. } = expr else { return expr };
    let name = |index: usize| names.get(index).cloned().unwrap_or_else(|| format!("f{}", index + 1));
    let names: Vec<Value> = (0..fields.len()).map(|index| Value::text(name(index))).collect();
    let names = Value::Array(std::sync::Arc::new(ArrayValue::from_elements(DataType::TEXT, names)));
    let mut args = vec![
        Expr::literal(names, DataType::TEXT_ARRAY),
        lines.unwrap_or_else(|| Expr::bool(false)),
    ];
    args.extend(fields.into_iter().map(|field| row_as_json(field, None)));
    Expr::Call {
        function: row_function(),
        args,
        data_type: DataType::JSON.with_modifier(ROW),
        form: CallForm::Function,
        location: Location(None),
    }
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("to_json", one_value),
    ("to_jsonb", one_value),
    ("array_to_json", one_value),
    ("array_to_json_pretty", one_value),
    ("row_to_json", one_value),
    ("row_to_json_pretty", one_value),
    ("json_build_array", build_array),
    ("json_build_array_noargs", build_array),
    ("json_build_object", build_object),
    ("json_build_object_noargs", build_object),
    ("jsonb_build_array", build_array),
    ("jsonb_build_array_noargs", build_array),
    ("jsonb_build_object", build_object),
    ("jsonb_build_object_noargs", build_object),
    ("json_object", object),
    ("json_object_two_arg", object),
    ("jsonb_object", object),
    ("jsonb_object_two_arg", object),
];
