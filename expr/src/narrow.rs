//! Comparisons between two types, rewritten to the type of the side that is no constant.
//!
//! `date_column <= timestamp '1998-09-02 00:00'` and `int4_column = 5::bigint` say the same as a
//! comparison of the column's own type. Key ranges, zone maps and the fast kernels want that form. The
//! planner calls it after folding constants.

use types::datetime::MICROS_PER_DAY;
use types::{DataType, Physical, Value};

use crate::expr::Expr;
use crate::function::Comparison;
use crate::registry::registry;

/// The same comparison with a constant of the other side's type; None when it is so already, or when
/// no constant of that type says the same.
pub fn narrow_comparison(expr: &Expr) -> Option<Expr> {
    let (operator, left, right) = expr.as_operator()?;
    let comparison = operator.comparison?;
    let (side, value, from, comparison) = match (left, right) {
        (Expr::Literal { .. }, Expr::Literal { .. }) => return None,
        (side, Expr::Literal { value, data_type, .. }) => (side, value, *data_type, comparison),
        (Expr::Literal { value, data_type, .. }, side) => (side, value, *data_type, comparison.commuted()),
        _ => return None,
    };
    let to = side.data_type();
    if from.oid == to.oid || value.is_null() {
        return None;
    }
    let (comparison, value) = match (to.oid, value) {
        (oid, Value::Int64(micros)) if oid == DataType::DATE.oid && from.oid == DataType::TIMESTAMP.oid => {
            date_bound(comparison, *micros)?
        }
        _ => {
            let number = value.as_i64()?;
            let value = match to.physical {
                Physical::Int16 if is_integer(to, from) => Value::Int16(i16::try_from(number).ok()?),
                Physical::Int32 if is_integer(to, from) => Value::Int32(i32::try_from(number).ok()?),
                Physical::Int64 if is_integer(to, from) => Value::Int64(number),
                _ => return None,
            };
            (comparison, value)
        }
    };
    let operator = registry().comparison(comparison, to)?;
    Some(Expr::operator(operator, side.clone(), Expr::literal(value, to.without_modifier())))
}

fn is_integer(to: DataType, from: DataType) -> bool {
    let integers = [DataType::INT2.oid, DataType::INT4.oid, DataType::INT8.oid];
    integers.contains(&to.oid) && integers.contains(&from.oid)
}

/// What a date must be to compare like this with a timestamp.
fn date_bound(comparison: Comparison, micros: i64) -> Option<(Comparison, Value)> {
    if micros == i64::MAX || micros == i64::MIN {
        return None;
    }
    let whole = micros.rem_euclid(MICROS_PER_DAY) == 0;
    let day = Value::Int32(i32::try_from(micros.div_euclid(MICROS_PER_DAY)).ok()?);
    let comparison = match (comparison, whole) {
        (comparison, true) => comparison,
        (Comparison::Less | Comparison::LessEqual, false) => Comparison::LessEqual,
        (Comparison::Greater | Comparison::GreaterEqual, false) => Comparison::Greater,
        (Comparison::Equal | Comparison::NotEqual, false) => return None,
    };
    Some((comparison, day))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coerce::Coercer;
    use crate::context::EvalContext;
    use types::Span;

    fn narrowed(column: DataType, symbol: &str, literal: &str, data_type: DataType) -> Option<String> {
        let cx = EvalContext::default();
        let c = Coercer::new(&cx, Vec::new());
        let literal =
            c.cast(Expr::unknown(Some(literal), Span::default()), data_type, Span::default()).unwrap();
        let expr = c.operator(symbol, Some(Expr::input(0, column)), literal, Span::default()).unwrap();
        narrow_comparison(&expr).map(|expr| crate::print::print(&expr, &|_: &Expr| "c".to_string()))
    }

    #[test]
    fn timestamps_become_days() {
        let against = |symbol: &str, text: &str| narrowed(DataType::DATE, symbol, text, DataType::TIMESTAMP);
        assert_eq!(against("<=", "1998-09-02").unwrap(), "(c <= '1998-09-02'::date)");
        assert_eq!(against("<", "1998-09-02 12:00").unwrap(), "(c <= '1998-09-02'::date)");
        assert_eq!(against(">=", "1998-09-02 12:00").unwrap(), "(c > '1998-09-02'::date)");
        assert_eq!(against("=", "1998-09-02 12:00"), None);
        assert_eq!(against(">", "infinity"), None);
    }

    #[test]
    fn integers_narrow_when_they_fit() {
        assert_eq!(narrowed(DataType::INT4, "=", "5", DataType::INT8).unwrap(), "(c = 5)");
        assert_eq!(narrowed(DataType::INT4, "=", "5000000000", DataType::INT8), None);
        assert_eq!(narrowed(DataType::INT8, "<", "5", DataType::INT4).unwrap(), "(c < '5'::bigint)");
    }
}
