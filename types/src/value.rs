//! One scalar value: order, equality and hash as SQL's `ORDER BY`, `GROUP BY` and `DISTINCT` see it.
//!
//! A `Value` knows its physical form, not its type: `integer` and `date` are both told apart by the
//! [`crate::DataType`] beside it. Vectors hold the bulk of the data; a `Value` is for literals,
//! parameters, catalog rows and corners.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::datatype::DataType;
use crate::datetime::Interval;
use crate::json::{self, Json, Jsonb};
use crate::numeric::Numeric;

#[derive(Debug, Clone, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int16(i16),
    /// integer, date
    Int32(i32),
    /// bigint, time, timestamp, timestamptz
    Int64(i64),
    /// oid and its aliases
    UInt32(u32),
    Float32(f32),
    Float64(f64),
    Numeric(Numeric),
    Interval(Interval),
    Text(Arc<str>),
    Bytea(Arc<[u8]>),
    Uuid(u128),
    /// The bytes of [`crate::json::binary`].
    Jsonb(Arc<[u8]>),
    Array(Arc<ArrayValue>),
    /// A composite value or ROW(…): the fields in order.
    Record(Arc<[Value]>),
}

/// An array: elements in row-major order, and for each dimension its length and lower bound.
/// No dimensions is the empty array.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArrayValue {
    pub element: DataType,
    pub dimensions: Vec<ArrayDimension>,
    pub elements: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArrayDimension {
    pub length: i32,
    pub lower_bound: i32,
}

impl ArrayValue {
    /// A one-dimensional array from 1.
    pub fn from_elements(element: DataType, elements: Vec<Value>) -> ArrayValue {
        let dimensions = match i32::try_from(elements.len()) {
            Ok(0) | Err(_) => Vec::new(),
            Ok(length) => vec![ArrayDimension { length, lower_bound: 1 }],
        };
        ArrayValue { element, dimensions, elements }
    }
}

impl Value {
    pub fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A jsonb value. 54000, 54001.
    pub fn jsonb(json: &Json) -> crate::Result<Value> {
        Ok(Value::Jsonb(json.encode()?.into()))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Any integer form, widened.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Value::Int16(value) => Some(i64::from(*value)),
            Value::Int32(value) => Some(i64::from(*value)),
            Value::Int64(value) => Some(*value),
            Value::UInt32(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Bool(_) => 0,
            Value::Int16(_) => 1,
            Value::Int32(_) => 2,
            Value::Int64(_) => 3,
            Value::UInt32(_) => 4,
            Value::Float32(_) => 5,
            Value::Float64(_) => 6,
            Value::Numeric(_) => 7,
            Value::Interval(_) => 8,
            Value::Text(_) => 9,
            Value::Bytea(_) => 10,
            Value::Uuid(_) => 11,
            Value::Jsonb(_) => 12,
            Value::Array(_) => 13,
            Value::Record(_) => 14,
            Value::Null => 15,
        }
    }
}

/// PostgreSQL's float order: NaN equals NaN and is above everything, −0 equals 0.
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    /// Ascending order of one type's values, NULL last. Text compares by bytes (collation "C").
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int16(a), Value::Int16(b)) => a.cmp(b),
            (Value::Int32(a), Value::Int32(b)) => a.cmp(b),
            (Value::Int64(a), Value::Int64(b)) => a.cmp(b),
            (Value::UInt32(a), Value::UInt32(b)) => a.cmp(b),
            (Value::Float32(a), Value::Float32(b)) => compare_floats(f64::from(*a), f64::from(*b)),
            (Value::Float64(a), Value::Float64(b)) => compare_floats(*a, *b),
            (Value::Numeric(a), Value::Numeric(b)) => a.cmp(b),
            (Value::Interval(a), Value::Interval(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Value::Bytea(a), Value::Bytea(b)) => a.cmp(b),
            (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
            (Value::Jsonb(a), Value::Jsonb(b)) => json::order::compare(Jsonb(a), Jsonb(b)),
            (Value::Array(a), Value::Array(b)) => {
                let shape = |array: &ArrayValue| -> Vec<i32> {
                    array.dimensions.iter().flat_map(|d| [d.length, d.lower_bound]).collect()
                };
                a.elements
                    .cmp(&b.elements)
                    .then_with(|| a.dimensions.len().cmp(&b.dimensions.len()))
                    .then_with(|| shape(a).cmp(&shape(b)))
            }
            (Value::Record(a), Value::Record(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Value::Null => {}
            Value::Bool(value) => value.hash(state),
            Value::Int16(value) => value.hash(state),
            Value::Int32(value) => value.hash(state),
            Value::Int64(value) => value.hash(state),
            Value::UInt32(value) => value.hash(state),
            Value::Float32(value) => hash_float(f64::from(*value), state),
            Value::Float64(value) => hash_float(*value, state),
            Value::Numeric(value) => value.hash(state),
            Value::Interval(value) => value.hash(state),
            Value::Text(value) => value.hash(state),
            Value::Bytea(value) => value.hash(state),
            Value::Uuid(value) => value.hash(state),
            Value::Jsonb(value) => {
                let mut key = Vec::new();
                crate::key::write_jsonb(Jsonb(value), &mut key);
                key.hash(state);
            }
            Value::Array(value) => value.elements.hash(state),
            Value::Record(value) => value.hash(state),
        }
    }
}

fn hash_float<H: Hasher>(value: f64, state: &mut H) {
    let canonical = if value.is_nan() {
        f64::NAN
    } else if value == 0.0 {
        0.0
    } else {
        value
    };
    canonical.to_bits().hash(state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_order_as_postgres_does() {
        let nan = Value::Float64(f64::NAN);
        assert_eq!(nan, Value::Float64(-f64::NAN));
        assert!(nan > Value::Float64(f64::INFINITY));
        assert_eq!(Value::Float64(-0.0), Value::Float64(0.0));
        assert!(Value::Null > nan);
    }

    #[test]
    fn arrays_order_by_elements_then_shape() {
        let array = |elements: &[i32]| {
            let values = elements.iter().map(|&n| Value::Int32(n)).collect();
            Value::Array(Arc::new(ArrayValue::from_elements(DataType::INT4, values)))
        };
        assert!(array(&[1, 2]) < array(&[1, 3]));
        assert!(array(&[1]) < array(&[1, 0]));
        assert_eq!(array(&[]), array(&[]));
    }
}
