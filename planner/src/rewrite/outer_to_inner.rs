//! Which predicates reject NULLs, and so turn outer joins into inner ones.
//!
//! `(a LEFT JOIN b) WHERE b.x > 5`: a row without a match has NULL in `b.x` and never passes, so the join
//! may be inner. Counter-example: `WHERE b.x IS NULL` or `coalesce(b.x, 9) > 5` keep such rows.
//! Used by `push_filter.rs`. Source: Galindo-Legaria & Rosenthal 1997; PostgreSQL's
//! find_nonnullable_rels().

use expr::{BoolTest, ColumnId, Expr};

/// Whether `predicate` cannot be true where all of `columns` are NULL.
pub(crate) fn rejects_nulls(predicate: &Expr, columns: &dyn Fn(ColumnId) -> bool) -> bool {
    match predicate {
        Expr::And(parts) => parts.iter().any(|part| rejects_nulls(part, columns)),
        Expr::Or(parts) => parts.iter().all(|part| rejects_nulls(part, columns)),
        Expr::IsNull { arg, negated: true } => is_null(arg, columns),
        Expr::BoolTest { arg, test: BoolTest::IsTrue } => rejects_nulls(arg, columns),
        Expr::BoolTest { arg, test: BoolTest::IsFalse | BoolTest::IsNotUnknown } => is_null(arg, columns),
        Expr::Literal { value: types::Value::Bool(false) | types::Value::Null, .. } => true,
        other => is_null(other, columns),
    }
}

/// Whether the expression is NULL as soon as all of `columns` are.
fn is_null(expr: &Expr, columns: &dyn Fn(ColumnId) -> bool) -> bool {
    match expr {
        Expr::Column { id, .. } => columns(*id),
        Expr::Call { function, args, .. } => function.strict && args.iter().any(|arg| is_null(arg, columns)),
        Expr::Relabel { arg, .. } | Expr::IoCast { arg, .. } | Expr::Not(arg) => is_null(arg, columns),
        Expr::InList { arg, .. } => is_null(arg, columns),
        Expr::AnyAll { left, operator, .. } => operator.function.strict && is_null(left, columns),
        // AND and OR of NULLs alone are NULL.
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(|part| is_null(part, columns)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{DataType, Value};

    #[test]
    fn what_rejects_and_what_does_not() {
        let column = Expr::column(ColumnId(1), DataType::INT4);
        let of = |id: ColumnId| id == ColumnId(1);
        let equal = Expr::equality(column.clone(), Expr::literal(Value::Int32(5), DataType::INT4)).unwrap();
        assert!(rejects_nulls(&equal, &of));
        assert!(!rejects_nulls(&Expr::IsNull { arg: Box::new(column.clone()), negated: false }, &of));
        let coalesce = Expr::Coalesce {
            args: vec![column.clone(), Expr::literal(Value::Int32(5), DataType::INT4)],
            data_type: DataType::INT4,
        };
        let guarded = Expr::equality(coalesce, Expr::literal(Value::Int32(5), DataType::INT4)).unwrap();
        assert!(!rejects_nulls(&guarded, &of));
        let other = Expr::equality(
            Expr::column(ColumnId(2), DataType::INT4),
            Expr::literal(Value::Int32(5), DataType::INT4),
        )
        .unwrap();
        assert!(!rejects_nulls(&Expr::Or(vec![equal.clone(), other.clone()]), &of));
        assert!(rejects_nulls(&Expr::And(vec![equal, other]), &of));
    }
}
