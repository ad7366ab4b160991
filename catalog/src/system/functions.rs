//! Functions that read the catalog: `format_type`, `pg_get_indexdef`, `to_regclass` … by their `prosrc`.

use types::{DataType, Error, Result, Value};

use crate::system::SystemContext;

/// Calls the catalog function `source`. 0A000 when there is none of that name.
pub fn call(cx: &SystemContext<'_>, source: &str, args: &[Value]) -> Result<Value> {
    let _ = (cx, args);
    Err(Error::not_supported(format!("function {source}")))
}

/// Reads text as a value of a type that is not built in, or a `reg…` type.
pub fn value_from_text(cx: &SystemContext<'_>, text: &str, data_type: DataType) -> Result<Value> {
    let _ = (cx, text);
    Err(Error::not_supported(format!("input of type {data_type}")))
}

/// Prints a value of such a type.
pub fn value_to_text(cx: &SystemContext<'_>, value: &Value, data_type: DataType) -> Result<String> {
    let _ = (cx, value);
    Err(Error::not_supported(format!("output of type {data_type}")))
}
