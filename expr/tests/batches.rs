//! Evaluation over columns: what rows reach what, NULLs, narrowing, long IN lists.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use expr::{Coercer, EvalContext, Expr};
use types::{Batch, Data, DataType, Result, Span, Validity, Value, Vector, VectorBuilder};

const AT: Span = Span { start: 0, end: 0 };

fn ints(values: &[Option<i32>]) -> Arc<Vector> {
    let mut builder = VectorBuilder::new(types::Physical::Int32, values.len());
    values.iter().for_each(|value| builder.push(&value.map_or(Value::Null, Value::Int32)));
    Arc::new(builder.finish())
}

fn a() -> Expr {
    Expr::input(0, DataType::INT4)
}

fn b() -> Expr {
    Expr::input(1, DataType::INT4)
}

fn int(value: i32) -> Expr {
    Expr::literal(Value::Int32(value), DataType::INT4)
}

fn sample() -> Batch {
    let a = ints(&[Some(10), Some(20), None, Some(40), Some(50)]);
    let b = ints(&[Some(0), Some(5), Some(2), None, Some(0)]);
    Batch::new(vec![a, b], 5)
}

fn values(expr: &Expr) -> Result<Vec<Value>> {
    let batch = sample();
    let vector = expr::eval(expr, &batch, &EvalContext::default())?;
    Ok((0..batch.len()).map(|row| vector.value(row)).collect())
}

fn op(symbol: &str, left: Expr, right: Expr) -> Expr {
    let cx = EvalContext::default();
    Coercer::new(&cx, Vec::new()).operator(symbol, Some(left), right, AT).unwrap()
}

#[test]
fn guards_keep_errors_out() {
    let cx = EvalContext::default();
    let divides = op("/", a(), b());
    assert_eq!(expr::eval(&divides, &sample(), &cx).unwrap_err().code(), types::SqlState::DIVISION_BY_ZERO);
    let guarded = Expr::And(vec![op("<>", b(), int(0)), op(">", divides.clone(), int(1))]);
    assert_eq!(expr::eval_predicate(&guarded, &sample(), &cx).unwrap(), [1]);
    let expected = [Value::Bool(false), Value::Bool(true), Value::Null, Value::Null, Value::Bool(false)];
    assert_eq!(values(&guarded).unwrap(), expected);
    let or = Expr::Or(vec![op("=", b(), int(0)), op(">", divides.clone(), int(1))]);
    assert_eq!(expr::eval_predicate(&or, &sample(), &cx).unwrap(), [0, 1, 4]);
    let case = Expr::Case {
        branches: vec![(op("=", b(), int(0)), int(-1))],
        otherwise: Some(Box::new(divides)),
        data_type: DataType::INT4,
    };
    let expected = [Value::Int32(-1), Value::Int32(4), Value::Null, Value::Null, Value::Int32(-1)];
    assert_eq!(values(&case).unwrap(), expected);
}

#[test]
fn overflow_below_a_null_is_no_error() {
    let cx = EvalContext::default();
    let batch = Batch::new(
        vec![
            Arc::new(Vector::flat(Data::Int32(vec![i32::MAX, 1]), Validity::from_fn(2, |row| row == 1))),
            ints(&[Some(1), Some(2)]),
        ],
        2,
    );
    let sum = expr::eval(&op("+", a(), b()), &batch, &cx).unwrap();
    assert_eq!((sum.value(0), sum.value(1)), (Value::Null, Value::Int32(3)));
}

#[test]
fn long_lists_answer_as_short_ones() {
    let cx = EvalContext::default();
    let c = Coercer::new(&cx, Vec::new());
    for negated in [false, true] {
        for null in [false, true] {
            let mut list: Vec<Expr> = [10, 50, 60, 70, 80, 90].map(int).to_vec();
            if null {
                list.push(Expr::null(DataType::INT4));
            }
            let long = c.in_list(a(), list.clone(), negated, AT).unwrap();
            assert!(matches!(long, Expr::InList { .. }));
            // The same by OR of equalities.
            let parts = list.into_iter().map(|item| op("=", a(), item));
            let plain = Expr::or(parts);
            let plain = if negated { Expr::Not(Box::new(plain)) } else { plain };
            assert_eq!(values(&long).unwrap(), values(&plain).unwrap(), "negated {negated}, null {null}");
        }
    }
}

#[test]
fn decimals_fall_back_when_they_outgrow_64_bits() {
    let cx = EvalContext::default();
    let big =
        |value: i64| Vector::flat(Data::Decimal { scale: 4, values: vec![value, 15_000] }, Validity::all());
    let batch = Batch::new(vec![Arc::new(big(i64::MAX)), Arc::new(big(20_000))], 2);
    let (x, y) = (Expr::input(0, DataType::NUMERIC), Expr::input(1, DataType::NUMERIC));
    let shown = |expr: &Expr| -> Vec<String> {
        let vector = expr::eval(expr, &batch, &cx).unwrap();
        (0..2)
            .map(|row| expr::cast::value_to_text(&vector.value(row), DataType::NUMERIC, &cx).unwrap())
            .collect()
    };
    assert_eq!(shown(&op("*", x.clone(), y.clone())), ["1844674407370955.16140000", "2.25000000"]);
    assert_eq!(shown(&op("+", x.clone(), x)), ["1844674407370955.1614", "3.0000"]);
    assert_eq!(shown(&op("-", y.clone(), y)), ["0.0000", "0.0000"]);
}
