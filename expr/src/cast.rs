//! Casts through the text forms; the host reads and prints what the catalog knows.

use types::{Data, DataType, Physical, Result, Strings, Validity, Value, Vector, VectorBuilder};

use crate::context::EvalContext;

/// True for the types whose text form needs the catalog: `regclass` and its kin, enums, composites.
pub fn needs_host(data_type: DataType) -> bool {
    const REG: [u32; 7] = [24, 2202, 2203, 2205, 2206, 4089, 4096];
    REG.contains(&data_type.oid) || types::datatype::builtin(data_type.oid).is_none()
}

/// Reads text as a value of `data_type`, modifier applied as on assignment. 22P02, 22003, 22007 …
pub fn value_from_text(text: &str, data_type: DataType, cx: &EvalContext<'_>) -> Result<Value> {
    if needs_host(data_type) {
        return cx.host.value_from_text(text, data_type);
    }
    types::text::parse_text(data_type, text, &cx.text)
}

/// Prints a value that is not NULL.
pub fn value_to_text(value: &Value, data_type: DataType, cx: &EvalContext<'_>) -> Result<String> {
    if needs_host(data_type) {
        return cx.host.value_to_text(value, data_type);
    }
    Ok(types::text::to_text(value, data_type, &cx.text))
}

/// Prints row `row`, which is not NULL, at the end of `out`.
pub(crate) fn write_row(
    vector: &Vector,
    row: usize,
    data_type: DataType,
    cx: &EvalContext<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    if needs_host(data_type) {
        out.extend_from_slice(cx.host.value_to_text(&vector.value(row), data_type)?.as_bytes());
    } else {
        types::text::write_vector_text(vector, row, data_type, &cx.text, out);
    }
    Ok(())
}

/// Each value printed as `from` and read as `to`.
pub(crate) fn through_text(
    vector: &Vector,
    from: DataType,
    to: DataType,
    len: usize,
    cx: &EvalContext<'_>,
) -> Result<Vector> {
    let count = if vector.is_constant() { len.min(1) } else { len };
    let to_string = to.physical == Physical::Text && !needs_host(to);
    let from_string = from.physical == Physical::Text && !needs_host(from);
    // These read their text; the other strings take it as it is.
    let reads = [DataType::NAME, DataType::CHAR, DataType::JSON, DataType::JSONPATH];
    let result = if to_string && !reads.iter().any(|t| t.oid == to.oid) {
        let mut strings = Strings::with_capacity(count, count * 8);
        let mut validity = Validity::all();
        for row in 0..count {
            if vector.is_valid(row) {
                write_row(vector, row, from, cx, strings.open())?;
            } else {
                validity.set_null(row, count);
            }
            strings.close();
        }
        Vector::flat(Data::Text(strings), validity)
    } else {
        let mut builder = VectorBuilder::new(to.physical, count);
        let mut text = Vec::new();
        for row in 0..count {
            if vector.is_null(row) {
                builder.push_null();
                continue;
            }
            if from_string && let Data::Text(strings) = vector.data() {
                let text = strings.str(vector.index(row));
                builder.push(&value_from_text(text, to, cx)?);
                continue;
            }
            text.clear();
            write_row(vector, row, from, cx, &mut text)?;
            builder.push(&value_from_text(&String::from_utf8_lossy(&text), to, cx)?);
        }
        builder.finish()
    };
    if vector.is_constant() && count == 1 {
        let validity = result.validity().clone();
        return Ok(Vector::repeat(result.into_data(), validity, len));
    }
    Ok(result)
}
