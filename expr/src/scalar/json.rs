//! json and jsonb: reading, testing and changing values. What builds them is in `json_build.rs`, paths
//! in the path language in `json_path.rs`.
//!
//! jsonb is read in place; json is parsed for each call, its parts given back as they were written.

use std::sync::Arc;

use types::json::{Jsonb, JsonbKind, Raw, RawNode, parse_raw};
use types::{ArrayValue, DataType, Error, Json, Physical, Result, SqlState, Value, Vector, VectorBuilder};

use super::args::N;
use crate::function::{Args, Kernel, TableKernel};
use crate::table::TableRows;

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

pub(super) fn jsonb_at<'a>(args: &'a Args<'_>, position: usize, row: usize) -> Jsonb<'a> {
    Jsonb(args.bytes(position, row))
}

fn jsonb_value(value: Jsonb<'_>) -> Value {
    Value::Jsonb(value.0.into())
}

/// What `->>` gives: a string without its quotes, NULL for JSON null.
fn as_text(value: Jsonb<'_>) -> Option<String> {
    match value.as_str() {
        Some(text) => Some(text.to_string()),
        None if value.is_null() => None,
        None => Some(value.to_string()),
    }
}

/// The same of a json value; its strings must have been read.
fn raw_text(raw: &Raw<'_>) -> Option<String> {
    match &raw.node {
        RawNode::Null => None,
        RawNode::String(text) => Some(text.clone()),
        _ => Some(raw.text.to_string()),
    }
}

/// jsonb in, a part of it out, as jsonb or as text by the function's result.
fn jsonb_part<'a>(
    args: &'a Args<'_>,
    find: impl Fn(Jsonb<'a>, usize) -> Option<Jsonb<'a>>,
) -> Result<Vector> {
    let text = args.result.physical == Physical::Text;
    args.build_text_opt(|row, out| {
        let Some(found) = find(jsonb_at(args, 0, row), row) else { return Ok(false) };
        if !text {
            out.extend_from_slice(found.0);
            return Ok(true);
        }
        match as_text(found) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return Ok(false),
        }
        Ok(true)
    })
}

/// The same for json.
fn json_part(
    args: &Args<'_>,
    find: impl for<'r, 't> Fn(&'r Raw<'t>, usize) -> Option<&'r Raw<'t>>,
) -> Result<Vector> {
    let text = args.result.oid == DataType::TEXT.oid;
    args.build_text_opt(|row, out| {
        let raw = parse_raw(args.str(0, row), true)?;
        let Some(found) = find(&raw, row) else { return Ok(false) };
        if !text {
            out.extend_from_slice(found.text.as_bytes());
            return Ok(true);
        }
        match raw_text(found) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return Ok(false),
        }
        Ok(true)
    })
}

fn raw_field<'r, 't>(raw: &'r Raw<'t>, key: &str) -> Option<&'r Raw<'t>> {
    match &raw.node {
        RawNode::Object(pairs) => pairs.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
        _ => None,
    }
}

fn raw_element<'r, 't>(raw: &'r Raw<'t>, index: i64) -> Option<&'r Raw<'t>> {
    match &raw.node {
        RawNode::Array(items) => {
            let index = if index < 0 { index + items.len() as i64 } else { index };
            usize::try_from(index).ok().and_then(|index| items.get(index))
        }
        _ => None,
    }
}

/// A text[] argument; None where an element is NULL.
fn path_at(args: &Args<'_>, position: usize, row: usize) -> Option<Vec<String>> {
    match args.value(position, row) {
        Value::Array(array) => {
            array.elements.iter().map(|element| element.as_str().map(str::to_string)).collect()
        }
        _ => None,
    }
}

/// A path element as an array index: all of it must be an integer.
fn path_index(step: &str) -> Option<i64> {
    let digits = step.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    digits.parse::<i32>().ok().map(i64::from)
}

fn jsonb_walk<'a>(value: Jsonb<'a>, path: &[String]) -> Option<Jsonb<'a>> {
    path.iter().try_fold(value, |value, step| match value.kind() {
        JsonbKind::Object => value.field(step),
        JsonbKind::Array => value.element(path_index(step)?),
        _ => None,
    })
}

/// Element `index`; a scalar that stands alone counts as an array of one.
fn element_of(value: Jsonb<'_>, index: i64) -> Option<Jsonb<'_>> {
    if value.is_scalar() { (index == 0 || index == -1).then_some(value) } else { value.element(index) }
}

fn extract_path(args: &Args<'_>) -> Result<Vector> {
    jsonb_part(args, |value, row| jsonb_walk(value, &path_at(args, 1, row)?))
}

fn json_extract_path(args: &Args<'_>) -> Result<Vector> {
    json_part(args, |raw, row| {
        let path = path_at(args, 1, row)?;
        path.iter().try_fold(raw, |raw, step| match &raw.node {
            RawNode::Object(_) => raw_field(raw, step),
            RawNode::Array(_) => raw_element(raw, path_index(step)?),
            _ => None,
        })
    })
}

// ---- tests ----

/// Whether `whole` contains `part`: as `@>` has it.
fn contains(whole: Jsonb<'_>, part: Jsonb<'_>, outermost: bool) -> bool {
    match (whole.kind(), part.kind()) {
        (JsonbKind::Object, JsonbKind::Object) => {
            whole.len() >= part.len()
                && part.pairs().all(|(key, value)| {
                    whole.field(key).is_some_and(|found| {
                        if value.is_scalar() { equal(found, value) } else { contains(found, value, false) }
                    })
                })
        }
        (JsonbKind::Array, JsonbKind::Array) => part.children().all(|value| {
            whole.children().any(|found| {
                if value.is_scalar() { equal(found, value) } else { contains(found, value, false) }
            })
        }),
        // A lone scalar counts as an element of an array, but only at the top.
        (JsonbKind::Array, _) if outermost && part.is_scalar() => {
            whole.children().any(|found| equal(found, part))
        }
        _ => whole.is_scalar() && part.is_scalar() && equal(whole, part),
    }
}

fn equal(a: Jsonb<'_>, b: Jsonb<'_>) -> bool {
    a.kind() == b.kind() && types::json::order::compare(a, b).is_eq()
}

/// `?`: a key of an object, or a string of an array, or the string itself.
fn has_key(value: Jsonb<'_>, key: &str) -> bool {
    match value.kind() {
        JsonbKind::Object => value.field(key).is_some(),
        JsonbKind::Array => value.children().any(|item| item.as_str() == Some(key)),
        _ => value.as_str() == Some(key),
    }
}

/// The strings of a text[], without NULLs.
fn keys_at(args: &Args<'_>, position: usize, row: usize) -> Vec<String> {
    match args.value(position, row) {
        Value::Array(array) => {
            array.elements.iter().filter_map(|element| element.as_str().map(str::to_string)).collect()
        }
        _ => Vec::new(),
    }
}

// ---- changes ----

fn build_json(args: &Args<'_>, mut f: impl FnMut(usize) -> Result<Option<Json>>) -> Result<Vector> {
    args.build_text_opt(|row, out| match f(row)? {
        Some(json) => {
            out.extend_from_slice(&json.encode()?);
            Ok(true)
        }
        None => Ok(false),
    })
}

/// `||`: objects are merged, everything else becomes arrays one after the other.
fn concat(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| {
        let (a, b) = (jsonb_at(args, 0, row), jsonb_at(args, 1, row));
        Ok(Some(match (a.to_json(), b.to_json()) {
            (Json::Object(mut pairs), Json::Object(more)) => {
                pairs.extend(more);
                Json::Object(pairs)
            }
            (Json::Array(mut items), Json::Array(more)) => {
                items.extend(more);
                Json::Array(items)
            }
            (Json::Array(mut items), one) => {
                items.push(one);
                Json::Array(items)
            }
            (one, Json::Array(mut items)) => {
                items.insert(0, one);
                Json::Array(items)
            }
            (a, b) => Json::Array(vec![a, b]),
        }))
    })
}

fn delete_keys(value: Jsonb<'_>, keys: &[String]) -> Result<Json> {
    Ok(match value.to_json() {
        Json::Object(pairs) => {
            Json::Object(pairs.into_iter().filter(|(key, _)| !keys.contains(key)).collect())
        }
        Json::Array(items) => Json::Array(
            items
                .into_iter()
                .filter(|item| !matches!(item, Json::String(text) if keys.contains(text)))
                .collect(),
        ),
        _ => return Err(invalid("cannot delete from scalar")),
    })
}

fn delete_index(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| {
        let index = args.int(1, row);
        match jsonb_at(args, 0, row).to_json() {
            Json::Object(_) => Err(invalid("cannot delete from object using integer index")),
            Json::Array(mut items) => {
                let index = if index < 0 { index + items.len() as i64 } else { index };
                if let Some(index) = usize::try_from(index).ok().filter(|&index| index < items.len()) {
                    items.remove(index);
                }
                Ok(Some(Json::Array(items)))
            }
            _ => Err(invalid("cannot delete from scalar")),
        }
    })
}

/// What happens at the end of a path.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    /// jsonb_set: replace, and create if the flag says so.
    Set {
        create: bool,
    },
    /// jsonb_insert: objects take a new key only.
    Insert {
        after: bool,
    },
    Delete,
    /// `j['a'] = …`: create everything on the way, fill gaps with null.
    Assign,
}

/// 22P02 for what is no index at position `level` of the path.
fn change_index(step: &str, level: usize) -> Result<i64> {
    path_index(step).ok_or_else(|| {
        Error::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("path element at position {} is not an integer: \"{step}\"", level + 1),
        )
    })
}

/// What a path that leads nowhere creates, for [`Change::Assign`].
fn created(path: &[String], value: Json) -> Json {
    path.iter().rev().fold(value, |value, step| match path_index(step) {
        // PostgreSQL fills from 0 up to the index.
        Some(index) => {
            let mut items = vec![Json::Null; usize::try_from(index).unwrap_or(0)];
            items.push(value);
            Json::Array(items)
        }
        None => Json::Object(vec![(step.clone(), value)]),
    })
}

/// The most elements that filling a gap may make.
const MAX_FILL: i64 = 10_000_000;

fn change_at(json: Json, path: &[String], level: usize, new: Option<&Json>, change: Change) -> Result<Json> {
    let Some(step) = path.get(level) else { return Ok(json) };
    let last = level + 1 == path.len();
    let rest = path.get(level + 1..).unwrap_or_default();
    match json {
        Json::Object(mut pairs) => {
            let at = pairs.iter().position(|(key, _)| key == step);
            match (at, last) {
                (Some(at), true) => match change {
                    Change::Delete => {
                        pairs.remove(at);
                    }
                    Change::Insert { .. } => {
                        return Err(invalid("cannot replace existing key")
                            .with_hint("Try using the function jsonb_set to replace key value."));
                    }
                    Change::Set { .. } | Change::Assign => {
                        pairs[at].1 = new.cloned().unwrap_or(Json::Null);
                    }
                },
                (Some(at), false) => {
                    let inner = std::mem::replace(&mut pairs[at].1, Json::Null);
                    if change == Change::Assign && is_scalar(&inner) {
                        return Err(cannot_replace_scalar());
                    }
                    pairs[at].1 = change_at(inner, path, level + 1, new, change)?;
                }
                (None, true) => {
                    if let (
                        Change::Set { create: true } | Change::Insert { .. } | Change::Assign,
                        Some(new),
                    ) = (change, new)
                    {
                        pairs.push((step.clone(), new.clone()));
                    }
                }
                (None, false) => {
                    if let (Change::Assign, Some(new)) = (change, new) {
                        pairs.push((step.clone(), checked_created(rest, new)?));
                    }
                }
            }
            Ok(Json::Object(pairs))
        }
        Json::Array(mut items) => {
            let index = change_index(step, level)?;
            let count = items.len() as i64;
            let position = if index < 0 { index + count } else { index };
            if position < 0 && change == Change::Assign {
                return Err(invalid(format!(
                    "path element at position {} is out of range: {index}",
                    level + 1
                )));
            }
            let inside = usize::try_from(position).ok().filter(|&at| at < items.len());
            match (inside, last) {
                (Some(at), true) => match (change, new) {
                    (Change::Delete, _) => {
                        items.remove(at);
                    }
                    (Change::Insert { after }, Some(new)) => {
                        items.insert(at + usize::from(after), new.clone())
                    }
                    (_, Some(new)) => items[at] = new.clone(),
                    _ => {}
                },
                (Some(at), false) => {
                    let inner = std::mem::replace(&mut items[at], Json::Null);
                    if change == Change::Assign && is_scalar(&inner) {
                        return Err(cannot_replace_scalar());
                    }
                    items[at] = change_at(inner, path, level + 1, new, change)?;
                }
                (None, _) => match (change, new) {
                    (Change::Set { create: true } | Change::Insert { .. }, Some(new)) if last => {
                        if position < 0 {
                            items.insert(0, new.clone());
                        } else {
                            items.push(new.clone());
                        }
                    }
                    (Change::Assign, Some(new)) => {
                        if position > MAX_FILL {
                            return Err(too_many_elements());
                        }
                        items.resize(usize::try_from(position).unwrap_or(0), Json::Null);
                        items.push(checked_created(rest, new)?);
                    }
                    _ => {}
                },
            }
            Ok(Json::Array(items))
        }
        scalar => Ok(scalar),
    }
}

fn too_many_elements() -> Error {
    Error::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "number of jsonb array elements exceeds the maximum allowed")
}

fn checked_created(path: &[String], new: &Json) -> Result<Json> {
    let most = path.iter().filter_map(|step| path_index(step)).max().unwrap_or(0);
    if most > MAX_FILL {
        return Err(too_many_elements());
    }
    if let Some((level, index)) = path
        .iter()
        .enumerate()
        .find_map(|(level, step)| path_index(step).filter(|&index| index < 0).map(|index| (level, index)))
    {
        return Err(invalid(format!("path element at position {} is out of range: {index}", level + 1)));
    }
    Ok(created(path, new.clone()))
}

fn is_scalar(json: &Json) -> bool {
    !matches!(json, Json::Array(_) | Json::Object(_))
}

fn cannot_replace_scalar() -> Error {
    invalid("cannot replace existing key")
        .with_detail("The path assumes key is a composite object, but it is a scalar value.")
}

/// 22004 for a path with a NULL in it.
fn change_path(args: &Args<'_>, row: usize) -> Result<Vec<String>> {
    let Value::Array(array) = args.value(1, row) else { return Ok(Vec::new()) };
    if array.dimensions.len() > 1 {
        return Err(Error::new(SqlState::ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts"));
    }
    let mut path = Vec::with_capacity(array.elements.len());
    for (index, element) in array.elements.iter().enumerate() {
        match element.as_str() {
            Some(step) => path.push(step.to_string()),
            None => {
                return Err(Error::new(
                    SqlState::NULL_VALUE_NOT_ALLOWED,
                    format!("path element at position {} is null", index + 1),
                ));
            }
        }
    }
    Ok(path)
}

fn changed(args: &Args<'_>, row: usize, change: Change) -> Result<Json> {
    let value = jsonb_at(args, 0, row);
    if value.is_scalar() {
        return Err(invalid(if change == Change::Delete {
            "cannot delete path in scalar"
        } else {
            "cannot set path in scalar"
        }));
    }
    let path = change_path(args, row)?;
    let fixed = matches!(change, Change::Delete | Change::Set { create: false });
    if path.is_empty() || value.is_empty() && fixed {
        return Ok(value.to_json());
    }
    let new = (change != Change::Delete).then(|| jsonb_at(args, 2, row).to_json());
    change_at(value.to_json(), &path, 0, new.as_ref(), change)
}

fn set(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| changed(args, row, Change::Set { create: args.bool(3, row) }).map(Some))
}

fn insert(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| changed(args, row, Change::Insert { after: args.bool(3, row) }).map(Some))
}

fn set_lax(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| {
        if args.is_null(0, row) || args.is_null(1, row) || args.is_null(3, row) {
            return Ok(None);
        }
        if args.is_null(4, row) {
            return Err(invalid(
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            ));
        }
        let create = args.bool(3, row);
        if !args.is_null(2, row) {
            return changed(args, row, Change::Set { create }).map(Some);
        }
        match args.str(4, row) {
            "raise_exception" => Err(Error::new(
                SqlState::NULL_VALUE_NOT_ALLOWED,
                "JSON value must not be null",
            )
            .with_detail("Exception was raised because null_value_treatment is \"raise_exception\".")
            .with_hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.")),
            // The NULL's bytes read as JSON null.
            "use_json_null" => changed(args, row, Change::Set { create }).map(Some),
            "delete_key" => changed(args, row, Change::Delete).map(Some),
            "return_target" => Ok(Some(jsonb_at(args, 0, row).to_json())),
            _ => Err(invalid(
                "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
            )),
        }
    })
}

/// `UPDATE … SET j[…] = …`: the new value of the column. A NULL column counts as empty, a NULL value as
/// JSON null; a NULL subscript is refused (22004).
fn assign(args: &Args<'_>) -> Result<Vector> {
    build_json(args, |row| {
        let Value::Array(path) = args.value(1, row) else { return Ok(None) };
        let mut steps = Vec::with_capacity(path.elements.len());
        for element in &path.elements {
            match element.as_str() {
                Some(step) => steps.push(step.to_string()),
                None => {
                    return Err(Error::new(
                        SqlState::NULL_VALUE_NOT_ALLOWED,
                        "jsonb subscript in assignment must not be null",
                    ));
                }
            }
        }
        let new = jsonb_at(args, 2, row).to_json();
        let target = if args.is_null(0, row) {
            match steps.first().and_then(|step| path_index(step)) {
                Some(_) => Json::Array(Vec::new()),
                None => Json::Object(Vec::new()),
            }
        } else {
            jsonb_at(args, 0, row).to_json()
        };
        if is_scalar(&target) {
            return Err(cannot_replace_scalar());
        }
        change_at(target, &steps, 0, Some(&new), Change::Assign).map(Some)
    })
}

/// What a subscripted column becomes when an element is assigned: no function of SQL's.
pub fn assign_function() -> &'static crate::function::Function {
    use crate::function::{Function, FunctionKind, Implementation, Volatility};
    static ASSIGN: std::sync::LazyLock<Function> = std::sync::LazyLock::new(|| Function {
        oid: u32::MAX,
        name: "jsonb_assign",
        args: &[DataType::JSONB, DataType::TEXT_ARRAY, DataType::JSONB],
        variadic: None,
        defaults: 0,
        result: DataType::JSONB,
        strict: false,
        volatility: Volatility::Immutable,
        kind: FunctionKind::Function,
        returns_set: false,
        source: "jsonb_assign",
        implementation: Implementation::Scalar(assign),
    });
    &ASSIGN
}

fn strip_nulls(json: Json) -> Json {
    match json {
        Json::Object(pairs) => Json::Object(
            pairs
                .into_iter()
                .filter(|(_, value)| *value != Json::Null)
                .map(|(key, value)| (key, strip_nulls(value)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(strip_nulls).collect()),
        other => other,
    }
}

/// json without the pairs whose value is null; blanks go, repeated keys stay.
fn write_stripped(raw: &Raw<'_>, out: &mut Vec<u8>) {
    match &raw.node {
        RawNode::Object(pairs) => {
            out.push(b'{');
            let kept = pairs.iter().filter(|(_, value)| value.node != RawNode::Null);
            for (index, (key, value)) in kept.enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                types::json::escape(key, out);
                out.push(b':');
                write_stripped(value, out);
            }
            out.push(b'}');
        }
        RawNode::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_stripped(item, out);
            }
            out.push(b']');
        }
        RawNode::String(text) => types::json::escape(text, out),
        _ => out.extend_from_slice(raw.text.as_bytes()),
    }
}

// ---- jsonb to numbers and booleans ----

fn cannot_cast(value: Jsonb<'_>, to: DataType) -> Error {
    let what = match value.kind() {
        JsonbKind::Null => "jsonb null",
        JsonbKind::String => "jsonb string",
        JsonbKind::Number => "jsonb numeric",
        JsonbKind::Bool => "jsonb boolean",
        JsonbKind::Array => "jsonb array",
        JsonbKind::Object => "jsonb object",
    };
    invalid(format!("cannot cast {what} to type {}", to.sql_name()))
}

fn number_at(args: &Args<'_>, row: usize) -> Result<types::Numeric> {
    let value = jsonb_at(args, 0, row);
    value.as_number().ok_or_else(|| cannot_cast(value, args.result))
}

// ---- rows ----

fn columns(keys: Vec<Value>, values: Vec<Value>, physical: Physical) -> Vec<Arc<Vector>> {
    let build = |physical, values: &[Value]| {
        let mut builder = VectorBuilder::new(physical, values.len());
        values.iter().for_each(|value| builder.push(value));
        builder.finish()
    };
    vec![Arc::new(build(Physical::Text, &keys)), Arc::new(build(physical, &values))]
}

fn one_column(args: &Args<'_>, values: Vec<Value>) -> Vec<Arc<Vector>> {
    let mut builder = VectorBuilder::new(args.result.physical, values.len());
    values.iter().for_each(|value| builder.push(value));
    vec![Arc::new(builder.finish())]
}

fn text_value(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::text)
}

fn each(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let source = args.function.source;
    let wants_text = source.ends_with("_text");
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    if source.starts_with("jsonb") {
        let value = jsonb_at(args, 0, 0);
        if value.kind() != JsonbKind::Object {
            return Err(invalid(format!("cannot call {source} on a non-object")));
        }
        for (key, value) in value.pairs() {
            keys.push(Value::text(key));
            values.push(if wants_text { text_value(as_text(value)) } else { jsonb_value(value) });
        }
        let physical = if wants_text { Physical::Text } else { Physical::Jsonb };
        return Ok(columns(keys, values, physical));
    }
    let raw = parse_raw(args.str(0, 0), true)?;
    let pairs = match &raw.node {
        RawNode::Object(pairs) => pairs,
        RawNode::Array(_) => return Err(invalid("cannot deconstruct an array as an object")),
        _ => return Err(invalid("cannot deconstruct a scalar")),
    };
    for (key, value) in pairs {
        keys.push(Value::text(key.as_str()));
        values.push(if wants_text { text_value(raw_text(value)) } else { Value::text(value.text) });
    }
    Ok(columns(keys, values, Physical::Text))
}

fn elements(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let source = args.function.source;
    let wants_text = source.ends_with("_text");
    if source.starts_with("jsonb") {
        let value = jsonb_at(args, 0, 0);
        return match value.kind() {
            JsonbKind::Array => Ok(one_column(
                args,
                value
                    .children()
                    .map(|item| if wants_text { text_value(as_text(item)) } else { jsonb_value(item) })
                    .collect(),
            )),
            JsonbKind::Object => Err(invalid("cannot extract elements from an object")),
            _ => Err(invalid("cannot extract elements from a scalar")),
        };
    }
    let raw = parse_raw(args.str(0, 0), wants_text)?;
    match &raw.node {
        RawNode::Array(items) => Ok(one_column(
            args,
            items
                .iter()
                .map(|item| if wants_text { text_value(raw_text(item)) } else { Value::text(item.text) })
                .collect(),
        )),
        RawNode::Object(_) => Err(invalid(format!("cannot call {source} on a non-array"))),
        _ => Err(invalid(format!("cannot call {source} on a scalar"))),
    }
}

fn object_keys(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let source = args.function.source;
    let refuse = |what: &str| Err(invalid(format!("cannot call {source} on {what}")));
    let keys = if source.starts_with("jsonb") {
        let value = jsonb_at(args, 0, 0);
        match value.kind() {
            JsonbKind::Object => value.pairs().map(|(key, _)| Value::text(key)).collect(),
            JsonbKind::Array => return refuse("an array"),
            _ => return refuse("a scalar"),
        }
    } else {
        match parse_raw(args.str(0, 0), true)?.node {
            RawNode::Object(pairs) => pairs.into_iter().map(|(key, _)| Value::text(key)).collect(),
            RawNode::Array(_) => return refuse("an array"),
            _ => return refuse("a scalar"),
        }
    };
    Ok(one_column(args, keys))
}

/// json(b)_to_record(set): behind the value stand the names of the columns (text[]) and, two by two, OID
/// and modifier of their types (int4[]), as the binder adds them from the column definition list.
fn to_record(args: &Args<'_>) -> Result<Vec<Arc<Vector>>> {
    let source = args.function.source;
    let names = keys_at(args, args.count() - 2, 0);
    let numbers: Vec<i64> = match args.value(args.count() - 1, 0) {
        Value::Array(array) => array.elements.iter().filter_map(Value::as_i64).collect(),
        _ => Vec::new(),
    };
    let types: Vec<DataType> = numbers
        .chunks_exact(2)
        .filter_map(|pair| {
            let oid = u32::try_from(pair[0]).ok()?;
            DataType::from_oid(oid).map(|t| t.with_modifier(i32::try_from(pair[1]).unwrap_or(-1)))
        })
        .collect();
    if types.len() != names.len() {
        return Err(Error::internal(format!("{source} without the types of its columns")));
    }
    let mut builders: Vec<VectorBuilder> = types.iter().map(|t| VectorBuilder::for_type(*t, 1)).collect();
    let set = source.ends_with("recordset");
    let mut add = |field: &dyn Fn(&str) -> Result<Option<Field>>| -> Result<()> {
        for ((builder, name), data_type) in builders.iter_mut().zip(&names).zip(&types) {
            let value = match field(name)? {
                Some(field) => field.value(*data_type, args.cx)?,
                None => Value::Null,
            };
            builder.push(&value);
        }
        Ok(())
    };
    if args.is_null(0, 0) {
        // No rows.
    } else if source.starts_with("jsonb") {
        let value = jsonb_at(args, 0, 0);
        let one =
            |object: Jsonb<'_>, add: &mut dyn FnMut(&dyn Fn(&str) -> Result<Option<Field>>) -> Result<()>| {
                add(&|name| Ok(object.field(name).map(Field::of_jsonb)))
            };
        if set {
            match value.kind() {
                JsonbKind::Array => {}
                JsonbKind::Object => return Err(invalid(format!("cannot call {source} on an object"))),
                _ => return Err(invalid(format!("cannot call {source} on a scalar"))),
            }
            for item in value.children() {
                if item.kind() != JsonbKind::Object {
                    return Err(invalid(format!("argument of {source} must be an array of objects")));
                }
                one(item, &mut add)?;
            }
        } else {
            match value.kind() {
                JsonbKind::Object => one(value, &mut add)?,
                JsonbKind::Array => return Err(invalid(format!("cannot call {source} on an array"))),
                _ => return Err(invalid(format!("cannot call {source} on a scalar"))),
            }
        }
    } else {
        let raw = parse_raw(args.str(0, 0), true)?;
        let mut one = |object: &Raw<'_>| add(&|name| Ok(raw_field(object, name).map(Field::of_raw)));
        match &raw.node {
            RawNode::Array(items) if set => {
                for item in items {
                    match item.node {
                        RawNode::Object(_) => one(item)?,
                        _ => {
                            return Err(invalid(format!("argument of {source} must be an array of objects")));
                        }
                    }
                }
            }
            RawNode::Object(_) if !set => one(&raw)?,
            RawNode::Array(_) => return Err(invalid(format!("cannot call {source} on an array"))),
            RawNode::Object(_) => return Err(invalid(format!("cannot call {source} on an object"))),
            _ => return Err(invalid(format!("cannot call {source} on a scalar"))),
        }
    }
    Ok(builders.into_iter().map(|builder| Arc::new(builder.finish())).collect())
}

/// A field of an object, on its way to a column.
struct Field {
    /// As `->>` gives it.
    text: Option<String>,
    /// As `->` gives it.
    json: String,
    items: Option<Vec<Field>>,
}

impl Field {
    fn of_jsonb(value: Jsonb<'_>) -> Field {
        let items =
            (value.kind() == JsonbKind::Array).then(|| value.children().map(Field::of_jsonb).collect());
        Field { text: as_text(value), json: value.to_string(), items }
    }

    fn of_raw(raw: &Raw<'_>) -> Field {
        let items = match &raw.node {
            RawNode::Array(items) => Some(items.iter().map(Field::of_raw).collect()),
            _ => None,
        };
        Field { text: raw_text(raw), json: raw.text.to_string(), items }
    }

    /// As a value of `data_type`, read from its text. 22P02 and what the type's input raises.
    fn value(&self, data_type: DataType, cx: &crate::context::EvalContext<'_>) -> Result<Value> {
        let Some(text) = &self.text else { return Ok(Value::Null) };
        if data_type.oid == DataType::JSON.oid || data_type.oid == DataType::JSONB.oid {
            return crate::cast::value_from_text(&self.json, data_type, cx);
        }
        match (data_type.element(), &self.items) {
            (Some(element), Some(items)) => {
                if items.iter().any(|item| item.items.is_some()) {
                    return Err(Error::not_supported("a JSON array of arrays as an SQL array"));
                }
                let element = element.with_modifier(data_type.modifier);
                let values = items.iter().map(|item| item.value(element, cx)).collect::<Result<_>>()?;
                Ok(Value::Array(Arc::new(ArrayValue::from_elements(element.without_modifier(), values))))
            }
            _ => crate::cast::value_from_text(text, data_type, cx),
        }
    }
}

/// The set-returning kernels.
pub(crate) fn table_kernel(source: &str) -> Option<TableKernel> {
    Some(match source {
        "json_each" | "json_each_text" | "jsonb_each" | "jsonb_each_text" => {
            |args| each(args).map(TableRows::whole)
        }
        "json_array_elements"
        | "json_array_elements_text"
        | "jsonb_array_elements"
        | "jsonb_array_elements_text" => |args| elements(args).map(TableRows::whole),
        "json_object_keys" | "jsonb_object_keys" => |args| object_keys(args).map(TableRows::whole),
        "json_to_recordset" | "jsonb_to_recordset" => |args| to_record(args).map(TableRows::whole),
        "jsonb_path_query" | "jsonb_path_query_tz" => {
            |args| super::json_path::query_rows(args).map(TableRows::whole)
        }
        _ => return None,
    })
}

/// json(b)_to_record returns one row, and only in FROM.
pub fn record_kernel(source: &str) -> Option<TableKernel> {
    let kernel: TableKernel = |args| to_record(args).map(TableRows::whole);
    matches!(source, "json_to_record" | "jsonb_to_record").then_some(kernel)
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("jsonb_object_field", |args| jsonb_part(args, |value, row| value.field(args.str(1, row)))),
    ("jsonb_object_field_text", |args| jsonb_part(args, |value, row| value.field(args.str(1, row)))),
    ("jsonb_array_element", |args| jsonb_part(args, |value, row| element_of(value, args.int(1, row)))),
    ("jsonb_array_element_text", |args| jsonb_part(args, |value, row| element_of(value, args.int(1, row)))),
    ("jsonb_extract_path", extract_path),
    ("jsonb_extract_path_text", extract_path),
    ("json_object_field", |args| json_part(args, |raw, row| raw_field(raw, args.str(1, row)))),
    ("json_object_field_text", |args| json_part(args, |raw, row| raw_field(raw, args.str(1, row)))),
    ("json_array_element", |args| json_part(args, |raw, row| raw_element(raw, args.int(1, row)))),
    ("json_array_element_text", |args| json_part(args, |raw, row| raw_element(raw, args.int(1, row)))),
    ("json_extract_path", json_extract_path),
    ("json_extract_path_text", json_extract_path),
    ("jsonb_contains", |args| {
        args.build(|row| Ok(contains(jsonb_at(args, 0, row), jsonb_at(args, 1, row), true)))
    }),
    ("jsonb_contained", |args| {
        args.build(|row| Ok(contains(jsonb_at(args, 1, row), jsonb_at(args, 0, row), true)))
    }),
    ("jsonb_exists", |args| args.build(|row| Ok(has_key(jsonb_at(args, 0, row), args.str(1, row))))),
    ("jsonb_exists_any", |args| {
        args.build(|row| {
            let value = jsonb_at(args, 0, row);
            Ok(keys_at(args, 1, row).iter().any(|key| has_key(value, key)))
        })
    }),
    ("jsonb_exists_all", |args| {
        args.build(|row| {
            let value = jsonb_at(args, 0, row);
            Ok(keys_at(args, 1, row).iter().all(|key| has_key(value, key)))
        })
    }),
    ("jsonb_concat", concat),
    ("jsonb_delete", |args| {
        build_json(args, |row| delete_keys(jsonb_at(args, 0, row), &[args.str(1, row).to_string()]).map(Some))
    }),
    ("jsonb_delete_array", |args| {
        build_json(args, |row| delete_keys(jsonb_at(args, 0, row), &keys_at(args, 1, row)).map(Some))
    }),
    ("jsonb_delete_idx", delete_index),
    ("jsonb_delete_path", |args| build_json(args, |row| changed(args, row, Change::Delete).map(Some))),
    ("jsonb_set", set),
    ("jsonb_set_lax", set_lax),
    ("jsonb_insert", insert),
    ("jsonb_strip_nulls", |args| {
        build_json(args, |row| Ok(Some(strip_nulls(jsonb_at(args, 0, row).to_json()))))
    }),
    ("json_strip_nulls", |args| {
        args.build_text(|row, out| {
            write_stripped(&parse_raw(args.str(0, row), true)?, out);
            Ok(())
        })
    }),
    ("jsonb_pretty", |args| {
        args.build_text(|row, out| {
            types::json::pretty(jsonb_at(args, 0, row), out);
            Ok(())
        })
    }),
    ("jsonb_typeof", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(jsonb_at(args, 0, row).type_name().as_bytes());
            Ok(())
        })
    }),
    ("json_typeof", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(parse_raw(args.str(0, row), false)?.type_name().as_bytes());
            Ok(())
        })
    }),
    ("jsonb_array_length", |args| {
        args.build(|row| {
            let value = jsonb_at(args, 0, row);
            match value.kind() {
                JsonbKind::Array => Ok(i32::try_from(value.len()).unwrap_or(i32::MAX)),
                JsonbKind::Object => Err(invalid("cannot get array length of a non-array")),
                _ => Err(invalid("cannot get array length of a scalar")),
            }
        })
    }),
    ("json_array_length", |args| {
        args.build(|row| match parse_raw(args.str(0, row), false)?.node {
            RawNode::Array(items) => Ok(i32::try_from(items.len()).unwrap_or(i32::MAX)),
            RawNode::Object(_) => Err(invalid("cannot get array length of a non-array")),
            _ => Err(invalid("cannot get array length of a scalar")),
        })
    }),
    ("jsonb_numeric", |args| args.build(|row| number_at(args, row).map(N))),
    ("jsonb_int2", |args| args.build(|row| number_at(args, row)?.to_i16())),
    ("jsonb_int4", |args| args.build(|row| number_at(args, row)?.to_i32())),
    ("jsonb_int8", |args| args.build(|row| number_at(args, row)?.to_i64())),
    ("jsonb_float4", |args| args.build(|row| number_at(args, row)?.to_f32())),
    ("jsonb_float8", |args| args.build(|row| number_at(args, row)?.to_f64())),
    ("jsonb_bool", |args| {
        args.build(|row| {
            let value = jsonb_at(args, 0, row);
            value.as_bool().ok_or_else(|| cannot_cast(value, args.result))
        })
    }),
];
