//! Rows of system views: plain Rust values become [`Value`]s, in the order of the view's columns.

use std::sync::Arc;

use types::value::{ArrayDimension, ArrayValue};
use types::{DataType, Value};

/// One row: `row![table.id.0, table.name, None::<&str>, 'r']`.
macro_rules! row {
    ($($field:expr),* $(,)?) => { vec![$($crate::system::row::Field::value($field)),*] };
}
pub(super) use row;

/// What can stand in a row.
pub(super) trait Field {
    fn value(self) -> Value;
}

macro_rules! field {
    ($($from:ty => $variant:ident;)*) => {$(
        impl Field for $from {
            fn value(self) -> Value {
                Value::$variant(self)
            }
        }
    )*};
}

field! {
    bool => Bool;
    i16 => Int16;
    i32 => Int32;
    i64 => Int64;
    u32 => UInt32;
    f32 => Float32;
    f64 => Float64;
}

impl Field for Value {
    fn value(self) -> Value {
        self
    }
}

/// `"char"`, or text of one letter.
impl Field for char {
    fn value(self) -> Value {
        Value::text(self.encode_utf8(&mut [0; 4]).to_string())
    }
}

impl Field for &str {
    fn value(self) -> Value {
        Value::text(self)
    }
}

impl Field for &String {
    fn value(self) -> Value {
        Value::text(self.as_str())
    }
}

impl Field for String {
    fn value(self) -> Value {
        Value::text(self)
    }
}

impl<T: Field> Field for Option<T> {
    fn value(self) -> Value {
        self.map_or(Value::Null, Field::value)
    }
}

/// NULL, whatever the column's type.
pub(super) const NULL: Option<bool> = None;

/// A one-dimensional array from 1.
pub(super) fn array<T: Field>(element: DataType, items: impl IntoIterator<Item = T>) -> Value {
    let items = items.into_iter().map(Field::value).collect();
    Value::Array(Arc::new(ArrayValue::from_elements(element, items)))
}

/// An int2vector or oidvector: from 0, and of one dimension even when empty.
fn vector<T: Field>(element: DataType, items: impl IntoIterator<Item = T>) -> Value {
    let elements: Vec<Value> = items.into_iter().map(Field::value).collect();
    let length = i32::try_from(elements.len()).unwrap_or(i32::MAX);
    Value::Array(Arc::new(ArrayValue {
        element,
        dimensions: vec![ArrayDimension { length, lower_bound: 0 }],
        elements,
    }))
}

pub(super) fn int2_vector(items: impl IntoIterator<Item = i16>) -> Value {
    vector(DataType::INT2, items)
}

pub(super) fn oid_vector(items: impl IntoIterator<Item = u32>) -> Value {
    vector(DataType::OID, items)
}

/// A count as the narrower integer the column has; the largest where it does not fit.
pub(super) fn count_i16(count: usize) -> i16 {
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// YES or NO, as information_schema says it.
pub(super) fn yes_no(yes: bool) -> &'static str {
    if yes { "YES" } else { "NO" }
}
