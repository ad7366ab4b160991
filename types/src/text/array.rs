//! Arrays and records as text: `{1,NULL,"a b"}`, `[0:1]={1,2}`, `(1,,"x y")`.

use std::sync::Arc;

use super::number::{is_space, parse_integer, trim};
use super::{TextContext, parse_text, write_integer, write_text};
use crate::datatype::DataType;
use crate::sqlstate::SqlState;
use crate::value::{ArrayDimension, ArrayValue, Value};
use crate::{Error, Result};

/// PostgreSQL's limit of dimensions.
pub(super) const MAX_DIMENSIONS: usize = 6;

fn malformed(text: &str, detail: &str) -> Error {
    Error::new(SqlState::INVALID_TEXT_REPRESENTATION, format!("malformed array literal: \"{text}\""))
        .with_detail(detail)
}

/// Reads an array literal. 22P02 `malformed array literal: "x"`, 54000 beyond six dimensions, and what the
/// element's input raises.
pub(super) fn parse(data_type: DataType, text: &str, cx: &TextContext) -> Result<Value> {
    let element = data_type.element().unwrap_or(DataType::TEXT).with_modifier(data_type.modifier);
    let mut scanner = Scanner { text, rest: text.as_bytes() };
    let declared = scanner.dimensions()?;
    let (lengths, items) = scanner.items()?;
    let mut elements = Vec::with_capacity(items.len());
    for item in items {
        elements.push(match item {
            None => Value::Null,
            Some(item) => parse_text(element, &item, cx)?,
        });
    }
    let dimensions = match declared {
        None => lengths.iter().map(|&length| ArrayDimension { length, lower_bound: 1 }).collect(),
        Some(declared) if declared.iter().map(|d| d.length).eq(lengths.iter().copied()) => declared,
        Some(_) => return Err(malformed(text, "Specified array dimensions do not match array contents.")),
    };
    Ok(Value::Array(Arc::new(ArrayValue { element: element.without_modifier(), dimensions, elements })))
}

struct Scanner<'t> {
    text: &'t str,
    rest: &'t [u8],
}

impl<'t> Scanner<'t> {
    fn skip_space(&mut self) {
        while let [byte, tail @ ..] = self.rest
            && is_space(*byte)
        {
            self.rest = tail;
        }
    }

    fn fail<T>(&self, detail: &str) -> Result<T> {
        Err(malformed(self.text, detail))
    }

    /// `[l:u]…=` before the braces.
    fn dimensions(&mut self) -> Result<Option<Vec<ArrayDimension>>> {
        self.skip_space();
        let mut dimensions = Vec::new();
        while let [b'[', tail @ ..] = self.rest {
            if dimensions.len() == MAX_DIMENSIONS {
                return Err(too_many_dimensions(dimensions.len() + 1));
            }
            let close = tail.iter().position(|&byte| byte == b']');
            let Some(close) = close else { return self.fail("Missing array dimension value.") };
            let inside = std::str::from_utf8(&tail[..close]).unwrap_or("");
            let (low, high) = inside.split_once(':').unwrap_or(("1", inside));
            let (Ok(low), Ok(high)) =
                (parse_integer::<i32>(low, "integer"), parse_integer::<i32>(high, "integer"))
            else {
                return self.fail("\"[\" must introduce explicitly-specified array dimensions.");
            };
            let length = i64::from(high) - i64::from(low) + 1;
            match i32::try_from(length) {
                Ok(length) if length > 0 => dimensions.push(ArrayDimension { length, lower_bound: low }),
                _ => {
                    return Err(Error::new(
                        SqlState::ARRAY_SUBSCRIPT_ERROR,
                        "upper bound cannot be less than lower bound",
                    ));
                }
            }
            self.rest = &tail[close + 1..];
            self.skip_space();
        }
        if dimensions.is_empty() {
            return if self.rest.first() == Some(&b'{') {
                Ok(None)
            } else {
                self.fail("Array value must start with \"{\" or dimension information.")
            };
        }
        let [b'=', tail @ ..] = self.rest else {
            return self.fail("Missing \"=\" after array dimensions.");
        };
        self.rest = tail;
        self.skip_space();
        if self.rest.first() == Some(&b'{') {
            Ok(Some(dimensions))
        } else {
            self.fail("Array contents must start with \"{\".")
        }
    }

    /// The braces: the length of each dimension, and the items in order.
    fn items(&mut self) -> Result<(Vec<i32>, Vec<Option<String>>)> {
        const MISMATCH: &str = "Multidimensional arrays must have sub-arrays with matching dimensions.";
        let mut lengths: Vec<Option<i32>> = Vec::new();
        let mut counts: Vec<i32> = Vec::new();
        let mut items = Vec::new();
        // The depth at which items stand, once known.
        let mut leaf = None;
        // Whether a value or sub-array may come, and whether a comma or brace may.
        let mut want_item = true;
        loop {
            self.skip_space();
            let Some(&byte) = self.rest.first() else { return self.fail("Unexpected end of input.") };
            match byte {
                b'{' => {
                    if !want_item {
                        return self.fail("Unexpected \"{\" character.");
                    }
                    if leaf.is_some_and(|leaf| counts.len() >= leaf) {
                        return self.fail(MISMATCH);
                    }
                    if counts.len() == MAX_DIMENSIONS {
                        return Err(too_many_dimensions(counts.len() + 1));
                    }
                    counts.push(0);
                    if lengths.len() < counts.len() {
                        lengths.push(None);
                    }
                    self.rest = &self.rest[1..];
                    self.skip_space();
                    if self.rest.first() == Some(&b'}') {
                        if counts.len() > 1 {
                            return self.fail("Unexpected \"}\" character.");
                        }
                        leaf = Some(*leaf.get_or_insert(counts.len()));
                        want_item = false;
                    }
                }
                b'}' => {
                    if want_item {
                        return self.fail("Unexpected \"}\" character.");
                    }
                    self.rest = &self.rest[1..];
                    let count = counts.pop().unwrap_or(0);
                    let place = &mut lengths[counts.len()];
                    if *place.get_or_insert(count) != count {
                        return self.fail(MISMATCH);
                    }
                    match counts.last_mut() {
                        Some(outer) => *outer += 1,
                        None => break,
                    }
                }
                b',' => {
                    if want_item {
                        return self.fail("Unexpected \",\" character.");
                    }
                    self.rest = &self.rest[1..];
                    want_item = true;
                }
                _ => {
                    if !want_item {
                        return self.fail("Unexpected array element.");
                    }
                    if *leaf.get_or_insert(counts.len()) != counts.len() {
                        return self.fail(MISMATCH);
                    }
                    items.push(self.item()?);
                    if let Some(count) = counts.last_mut() {
                        *count += 1;
                    }
                    want_item = false;
                }
            }
        }
        self.skip_space();
        if !self.rest.is_empty() {
            return self.fail("Junk after closing right brace.");
        }
        if items.is_empty() {
            return Ok((Vec::new(), items));
        }
        let lengths: Vec<i32> = lengths.into_iter().map(|length| length.unwrap_or(0)).collect();
        let size = lengths.iter().try_fold(1i64, |size, &length| size.checked_mul(i64::from(length)));
        if size != i64::try_from(items.len()).ok() {
            return self.fail(MISMATCH);
        }
        Ok((lengths, items))
    }

    /// One item: quoted, or up to a comma or brace; `None` is NULL.
    fn item(&mut self) -> Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.rest.first() == Some(&b'"') {
            self.rest = &self.rest[1..];
            loop {
                match self.rest {
                    [] => return self.fail("Unexpected end of input."),
                    [b'"', tail @ ..] => {
                        self.rest = tail;
                        break;
                    }
                    [b'\\', byte, tail @ ..] | [byte, tail @ ..] => {
                        bytes.push(*byte);
                        self.rest = tail;
                    }
                }
            }
            self.skip_space();
            if !matches!(self.rest.first(), Some(b',' | b'}')) {
                return self.fail("Unexpected array element.");
            }
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
        let mut escaped = false;
        // Blanks at the end go, unless escaped.
        let mut kept = 0;
        loop {
            match self.rest {
                [] => return self.fail("Unexpected end of input."),
                [b',' | b'}', ..] => break,
                [b'{' | b'"', ..] => return self.fail("Unexpected array element."),
                [b'\\', byte, tail @ ..] => {
                    bytes.push(*byte);
                    kept = bytes.len();
                    escaped = true;
                    self.rest = tail;
                }
                [byte, tail @ ..] => {
                    bytes.push(*byte);
                    if !is_space(*byte) {
                        kept = bytes.len();
                    }
                    self.rest = tail;
                }
            }
        }
        bytes.truncate(kept);
        if !escaped && bytes.eq_ignore_ascii_case(b"null") {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

pub(super) fn too_many_dimensions(count: usize) -> Error {
    Error::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions ({count}) exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

/// int2vector and oidvector: numbers between blanks, from index 0.
pub(super) fn parse_plain_vector(data_type: DataType, text: &str) -> Result<Value> {
    let element = data_type.element().unwrap_or(DataType::INT2);
    let cx = TextContext::default();
    let words = trim(text).split_ascii_whitespace();
    let elements = words.map(|word| parse_text(element, word, &cx)).collect::<Result<Vec<Value>>>()?;
    let mut array = ArrayValue::from_elements(element, elements);
    array.dimensions.iter_mut().for_each(|dimension| dimension.lower_bound = 0);
    Ok(Value::Array(Arc::new(array)))
}

/// Appends an array; `data_type` is the array's.
pub(super) fn write(array: &ArrayValue, data_type: DataType, cx: &TextContext, out: &mut Vec<u8>) {
    let element = match data_type.element() {
        Some(element) if element.physical == array.element.physical => {
            element.with_modifier(data_type.modifier)
        }
        _ => array.element,
    };
    if data_type.oid == DataType::INT2VECTOR.oid || data_type.oid == DataType::OIDVECTOR.oid {
        for (index, value) in array.elements.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            write_text(value, element, cx, out);
        }
        return;
    }
    if array.dimensions.iter().any(|dimension| dimension.lower_bound != 1) {
        for dimension in &array.dimensions {
            out.push(b'[');
            write_integer(i64::from(dimension.lower_bound), out);
            out.push(b':');
            write_integer(i64::from(dimension.lower_bound) + i64::from(dimension.length) - 1, out);
            out.push(b']');
        }
        out.push(b'=');
    }
    if array.elements.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    // How many elements one brace of each depth spans.
    let mut spans: Vec<usize> = Vec::with_capacity(array.dimensions.len());
    let mut span = 1;
    for dimension in array.dimensions.iter().rev() {
        span *= usize::try_from(dimension.length).unwrap_or(1).max(1);
        spans.push(span);
    }
    let mut scratch = Vec::new();
    for (index, value) in array.elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        spans.iter().filter(|&&span| index % span == 0).for_each(|_| out.push(b'{'));
        match value {
            Value::Null => out.extend_from_slice(b"NULL"),
            _ => {
                scratch.clear();
                write_text(value, element, cx, &mut scratch);
                write_item(&scratch, out);
            }
        }
        spans.iter().filter(|&&span| (index + 1) % span == 0).for_each(|_| out.push(b'}'));
    }
}

fn write_item(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || is_space(*byte);
    if !text.is_empty() && !text.iter().any(special) && !text.eq_ignore_ascii_case(b"null") {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A type under which a value prints when nothing says what it is.
pub(super) fn natural_type(value: &Value) -> DataType {
    match value {
        Value::Bool(_) => DataType::BOOL,
        Value::Int16(_) => DataType::INT2,
        Value::Int32(_) => DataType::INT4,
        Value::Int64(_) => DataType::INT8,
        Value::UInt32(_) => DataType::OID,
        Value::Float32(_) => DataType::FLOAT4,
        Value::Float64(_) => DataType::FLOAT8,
        Value::Numeric(_) => DataType::NUMERIC,
        Value::Interval(_) => DataType::INTERVAL,
        Value::Text(_) | Value::Null => DataType::TEXT,
        Value::Bytea(_) => DataType::BYTEA,
        Value::Uuid(_) => DataType::UUID,
        Value::Jsonb(_) => DataType::JSONB,
        Value::Array(array) => array.element.array_of().unwrap_or(DataType::TEXT_ARRAY),
        Value::Record(_) => DataType::RECORD,
    }
}

/// Appends a record. Its fields carry no types: dates and times in it print as numbers.
pub(super) fn write_record(fields: &[Value], cx: &TextContext, out: &mut Vec<u8>) {
    out.push(b'(');
    let mut scratch = Vec::new();
    for (index, value) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if value.is_null() {
            continue;
        }
        scratch.clear();
        write_text(value, natural_type(value), cx, &mut scratch);
        write_field(&scratch, out);
    }
    out.push(b')');
}

fn write_field(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'(' | b')' | b',' | b'"' | b'\\') || is_space(*byte);
    if !text.is_empty() && !text.iter().any(special) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::to_text;

    fn there_and_back(data_type: DataType, text: &str) -> String {
        let cx = TextContext::default();
        match parse(data_type, text, &cx) {
            Ok(value) => to_text(&value, data_type, &cx),
            Err(error) => error.detail().unwrap_or(error.message()).to_string(),
        }
    }

    #[test]
    fn arrays_read_and_print_as_postgres_does() {
        for (input, output) in [
            ("{}", "{}"),
            (" { 1 , NULL,3 } ", "{1,NULL,3}"),
            ("{{1,2},{3,4}}", "{{1,2},{3,4}}"),
            ("[0:1]={1,2}", "[0:1]={1,2}"),
            ("[1:2]={1,2}", "{1,2}"),
            ("{1,2", "Unexpected end of input."),
            ("{1,,2}", "Unexpected \",\" character."),
            ("{{1,2},{3}}", "Multidimensional arrays must have sub-arrays with matching dimensions."),
            ("{1,{2}}", "Multidimensional arrays must have sub-arrays with matching dimensions."),
            ("[1:3]={1,2}", "Specified array dimensions do not match array contents."),
            ("x", "Array value must start with \"{\" or dimension information."),
            ("{1}}", "Junk after closing right brace."),
            ("{x}", "invalid input syntax for type integer: \"x\""),
            ("{{{{{{{1}}}}}}}", "number of array dimensions (7) exceeds the maximum allowed (6)"),
        ] {
            assert_eq!(there_and_back(DataType::INT4_ARRAY, input), output, "{input}");
        }
        for (input, output) in [
            (
                "{a b, \"\" ,\"null\",null,\"x\\\"y\",a\\,b}",
                "{\"a b\",\"\",\"null\",NULL,\"x\\\"y\",\"a,b\"}",
            ),
            ("{\"a\"b}", "Unexpected array element."),
        ] {
            assert_eq!(there_and_back(DataType::TEXT_ARRAY, input), output, "{input}");
        }
    }

    #[test]
    fn records_quote_what_must_be() {
        let fields =
            [Value::Int32(1), Value::text("a b"), Value::Null, Value::text(""), Value::text("x\"y\\z")];
        let record = Value::Record(fields.to_vec().into());
        assert_eq!(
            to_text(&record, DataType::RECORD, &TextContext::default()),
            "(1,\"a b\",,\"\",\"x\"\"y\\\\z\")"
        );
    }
}
