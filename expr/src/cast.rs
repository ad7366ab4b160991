//! Casts through the text forms; the host reads and prints what the catalog knows.

use types::{DataType, Result, Value};

use crate::context::EvalContext;

/// True for the types whose text form needs the catalog: `regclass` and its kin, enums, composites.
fn needs_host(data_type: DataType) -> bool {
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
