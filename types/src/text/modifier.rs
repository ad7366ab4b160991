//! Type modifiers: what `numeric(10,2)` or `varchar(5)` does to a value.

use std::sync::Arc;

use super::string::fit_characters;
use crate::Result;
use crate::datatype::DataType;
use crate::datetime;
use crate::value::{ArrayValue, Value};

/// Fits `value` to the type's modifier: numeric(p,s), varchar(n), char(n), timestamp(p), interval fields;
/// an array's elements likewise. NULL stays NULL. A char value without modifier loses its trailing blanks.
///
/// `explicit` is a written cast, which truncates text silently; assignment allows only blanks to be cut
/// off. 22003 `numeric field overflow`, 22001 `value too long for type character varying(5)`.
pub fn apply_modifier(value: Value, data_type: DataType, explicit: bool) -> Result<Value> {
    if data_type.modifier < 0 && data_type.oid != DataType::BPCHAR.oid {
        return Ok(value);
    }
    Ok(match (data_type.oid, value) {
        (1700, Value::Numeric(numeric)) => match data_type.numeric_precision_scale() {
            Some((precision, scale)) => Value::Numeric(numeric.fit(precision, scale)?),
            None => Value::Numeric(numeric),
        },
        (1042 | 1043, Value::Text(text)) => {
            let fitted = fit_characters(&text, data_type, explicit)?;
            if fitted.len() == text.len() { Value::Text(text) } else { Value::text(fitted) }
        }
        (1083, Value::Int64(time)) => Value::Int64(datetime::round_time(time, data_type.modifier)),
        (1114 | 1184, Value::Int64(timestamp)) => {
            Value::Int64(datetime::round_timestamp(timestamp, data_type.modifier)?)
        }
        (1186, Value::Interval(interval)) => {
            Value::Interval(datetime::fit_interval(interval, data_type.modifier)?)
        }
        (_, Value::Array(array)) => match data_type.element() {
            Some(element) => {
                let element = element.with_modifier(data_type.modifier);
                let fit = |value: &Value| apply_modifier(value.clone(), element, explicit);
                let elements = array.elements.iter().map(fit).collect::<Result<Vec<Value>>>()?;
                let dimensions = array.dimensions.clone();
                Value::Array(Arc::new(ArrayValue { element: array.element, dimensions, elements }))
            }
            None => Value::Array(array),
        },
        (_, value) => value,
    })
}
