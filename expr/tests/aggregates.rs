//! Aggregates: PostgreSQL's answers, and merged states that agree with one pass.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use expr::{Accumulator, Coercer, EvalContext, Expr};
use types::{DataType, Span, Value, Vector, VectorBuilder};

/// A column read from text; `NULL` is NULL.
fn column(data_type: DataType, texts: &[&str]) -> Arc<Vector> {
    let cx = EvalContext::default();
    let mut builder = VectorBuilder::new(data_type.physical, texts.len());
    for text in texts {
        let value = if *text == "NULL" {
            Value::Null
        } else {
            expr::cast::value_from_text(text, data_type, &cx).unwrap()
        };
        builder.push(&value);
    }
    Arc::new(builder.finish())
}

fn accumulator(name: &str, types: &[DataType]) -> (Box<dyn Accumulator>, DataType) {
    let cx = EvalContext::default();
    let args = types.iter().enumerate().map(|(i, &t)| Expr::input(i, t)).collect();
    let call = Coercer::new(&cx, Vec::new()).function(name, args, false, Span::default()).unwrap();
    let types: Vec<DataType> = call.args.iter().map(Expr::data_type).collect();
    (call.function.accumulator(&types, call.data_type).unwrap(), call.data_type)
}

fn text(vector: &Vector, row: usize, data_type: DataType) -> String {
    match vector.value(row) {
        Value::Null => "NULL".to_string(),
        value => expr::cast::value_to_text(&value, data_type, &EvalContext::default()).unwrap(),
    }
}

/// All rows in one group; in two halves, merged; in two groups, merged into one.
fn check(name: &str, types: &[DataType], args: &[&[&str]], expected: &str) {
    let cx = EvalContext::default();
    let columns: Vec<Arc<Vector>> = types.iter().zip(args).map(|(&t, a)| column(t, a)).collect();
    let len = args.first().map_or(3, |a| a.len());

    let (mut whole, data_type) = accumulator(name, types);
    whole.resize(1);
    whole.update_all(&columns, len, &cx).unwrap();
    assert_eq!(text(&whole.finish(&cx).unwrap(), 0, data_type), expected, "{name} at once");

    let (mut grouped, _) = accumulator(name, types);
    grouped.resize(2);
    let groups: Vec<u32> = (0..len as u32).map(|row| u32::from(row >= len as u32 / 2)).collect();
    grouped.update(&groups, &columns, &cx).unwrap();
    let state: Vec<Arc<Vector>> = grouped.export(&cx).unwrap().into_iter().map(Arc::new).collect();
    assert_eq!(state.len(), grouped.state_types().len());
    for (vector, data_type) in state.iter().zip(grouped.state_types()) {
        assert_eq!(vector.data().physical(), data_type.physical, "{name}'s state");
    }
    let (mut merged, _) = accumulator(name, types);
    merged.resize(1);
    merged.merge(&[0, 0], &state, &cx).unwrap();
    assert_eq!(text(&merged.finish(&cx).unwrap(), 0, data_type), expected, "{name} merged");

    let (mut empty, _) = accumulator(name, types);
    empty.resize(1);
    let nothing = if name.contains("count") { "0" } else { "NULL" };
    assert_eq!(text(&empty.finish(&cx).unwrap(), 0, data_type), nothing, "{name} of nothing");
}

const INTS: &[&str] = &["1", "2", "NULL", "4", "4"];
const NUMERICS: &[&str] = &["1.10", "2.5", "NULL", "-3", "0.001"];
const FLOATS: &[&str] = &["1.5", "2.5", "NULL", "4", "-1"];
const TEXTS: &[&str] = &["b", "a", "NULL", "cc", "a"];

#[test]
fn counts_and_sums() {
    check("count", &[], &[], "3");
    check("count", &[DataType::TEXT], &[TEXTS], "4");
    check("sum", &[DataType::INT2], &[INTS], "11");
    check("sum", &[DataType::INT4], &[INTS], "11");
    check("sum", &[DataType::INT8], &[&["9223372036854775807", "1", "NULL"]], "9223372036854775808");
    check("sum", &[DataType::NUMERIC], &[NUMERICS], "0.601");
    check("sum", &[DataType::FLOAT8], &[FLOATS], "7");
    check("sum", &[DataType::INTERVAL], &[&["1 day", "NULL", "25 hours"]], "1 day 25:00:00");
    check("avg", &[DataType::INT4], &[INTS], "2.7500000000000000");
    check("avg", &[DataType::INT8], &[&["1", "2", "2"]], "1.6666666666666667");
    check("avg", &[DataType::NUMERIC], &[NUMERICS], "0.15025000000000000000");
    check("avg", &[DataType::FLOAT4], &[FLOATS], "1.75");
    check("avg", &[DataType::INTERVAL], &[&["1 day", "NULL", "2 days"]], "1 day 12:00:00");
}

#[test]
fn extremes_and_logic() {
    check("min", &[DataType::INT4], &[INTS], "1");
    check("max", &[DataType::INT8], &[INTS], "4");
    check("max", &[DataType::NUMERIC], &[NUMERICS], "2.5");
    check("min", &[DataType::NUMERIC], &[NUMERICS], "-3");
    check("min", &[DataType::TEXT], &[TEXTS], "a");
    check("max", &[DataType::BPCHAR], &[TEXTS], "cc");
    check("max", &[DataType::FLOAT8], &[&["1", "NaN", "Infinity"]], "NaN");
    check("max", &[DataType::DATE], &[&["2020-01-01", "NULL", "2021-01-01"]], "2021-01-01");
    check("max", &[DataType::INTERVAL], &[&["1 day", "1 month", "NULL"]], "1 mon");
    check("bool_and", &[DataType::BOOL], &[&["t", "f", "NULL"]], "f");
    check("bool_or", &[DataType::BOOL], &[&["t", "f", "NULL"]], "t");
    check("every", &[DataType::BOOL], &[&["t", "t", "NULL"]], "t");
    check("bit_and", &[DataType::INT4], &[&["6", "3", "NULL"]], "2");
    check("bit_or", &[DataType::INT8], &[&["6", "3", "NULL"]], "7");
    check("bit_xor", &[DataType::INT2], &[&["6", "3", "NULL"]], "5");
}

#[test]
fn collections_keep_the_order_given() {
    let commas: &[&str] = &[",", ";", ",", "|", ","];
    check("string_agg", &[DataType::TEXT, DataType::TEXT], &[TEXTS, commas], "b;a|cc,a");
    check("array_agg", &[DataType::INT4], &[INTS], "{1,2,NULL,4,4}");
    check("array_agg", &[DataType::INT4_ARRAY], &[&["{1,2}", "{3,4}"]], "{{1,2},{3,4}}");
}

#[test]
fn statistics_have_postgres_digits() {
    check("variance", &[DataType::INT4], &[INTS], "2.2500000000000000");
    check("stddev", &[DataType::INT4], &[INTS], "1.5000000000000000");
    check("stddev_pop", &[DataType::INT4], &[INTS], "1.2990381056766580");
    check("var_pop", &[DataType::NUMERIC], &[NUMERICS], "4.0924251875000000");
    check("var_samp", &[DataType::NUMERIC], &[NUMERICS], "5.4565669166666667");
    check("stddev_samp", &[DataType::FLOAT8], &[&["1", "2", "3", "4"]], "1.2909944487358056");
    let (x, y): (&[&str], &[&str]) = (&["1", "2", "3", "4"], &["2", "4", "6", "8"]);
    check("corr", &[DataType::FLOAT8, DataType::FLOAT8], &[y, x], "1");
    check("regr_slope", &[DataType::FLOAT8, DataType::FLOAT8], &[y, x], "2");
    check("regr_intercept", &[DataType::FLOAT8, DataType::FLOAT8], &[y, x], "0");
    check("regr_count", &[DataType::FLOAT8, DataType::FLOAT8], &[y, x], "4");
    check("covar_pop", &[DataType::FLOAT8, DataType::FLOAT8], &[y, x], "2.5");
}

#[test]
fn decimals_of_several_scales_keep_the_largest() {
    let cx = EvalContext::default();
    let (mut sum, data_type) = accumulator("sum", &[DataType::NUMERIC]);
    sum.resize(2);
    let scaled = |scale: u16, values: Vec<i64>| {
        Arc::new(Vector::flat(types::Data::Decimal { scale, values }, types::Validity::all()))
    };
    sum.update(&[0, 1], &[scaled(2, vec![150, 250])], &cx).unwrap();
    sum.update(&[0], &[scaled(0, vec![1])], &cx).unwrap();
    sum.resize(3);
    sum.update(&[2], &[scaled(0, vec![7])], &cx).unwrap();
    let result = sum.finish(&cx).unwrap();
    let shown: Vec<String> = (0..3).map(|group| text(&result, group, data_type)).collect();
    assert_eq!(shown, ["2.50", "2.50", "7"]);
}

#[test]
fn ordered_sets_take_rows_in_order() {
    let cx = EvalContext::default();
    let run = |name: &str, types: &[DataType], args: &[&[&str]]| -> String {
        let columns: Vec<Arc<Vector>> = types.iter().zip(args).map(|(&t, a)| column(t, a)).collect();
        let (mut ordered, data_type) = accumulator(name, types);
        ordered.resize(1);
        ordered.update_all(&columns, args[0].len(), &cx).unwrap();
        text(&ordered.finish(&cx).unwrap(), 0, data_type)
    };
    let (float, half) = (DataType::FLOAT8, &["0.5"; 5][..]);
    let values: &[&str] = &["1", "2", "4", "10", "NULL"];
    assert_eq!(run("percentile_cont", &[float, float], &[half, values]), "3");
    assert_eq!(run("percentile_disc", &[float, DataType::INT4], &[half, values]), "2");
    assert_eq!(
        run("percentile_cont", &[DataType::FLOAT8_ARRAY, float], &[&["{0,0.25,1}"; 5], values]),
        "{1,1.75,10}"
    );
    assert_eq!(run("mode", &[DataType::TEXT], &[&["a", "b", "b", "c", "c"]]), "b");
    assert_eq!(run("percentile_cont", &[float, float], &[half, &["NULL"; 5]]), "NULL");
}
