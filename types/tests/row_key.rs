//! Rows and keys: there and back, key order is value order, pushed tests agree with decoded values, and
//! bytes from a broken disk never panic.

#![allow(clippy::unwrap_used)]

use std::cmp::Ordering;
use std::sync::Arc;

use proptest::prelude::*;
use types::key::{KeyColumn, KeyLayout, successor, text_prefix_range};
use types::row::{ColumnTest, Comparison, RowDecoder, RowLayout, RowPredicate, builder_for};
use types::{ArrayValue, Batch, DataType, Interval, Numeric, Value};

fn all_types() -> Vec<DataType> {
    vec![
        DataType::BOOL,
        DataType::INT2,
        DataType::INT4,
        DataType::INT8,
        DataType::OID,
        DataType::FLOAT4,
        DataType::FLOAT8,
        DataType::numeric(15, 2).unwrap(),
        DataType::NUMERIC,
        DataType::INTERVAL,
        DataType::TEXT,
        DataType::BYTEA,
        DataType::UUID,
        DataType::INT4_ARRAY,
        DataType::TEXT_ARRAY,
    ]
}

fn numeric() -> BoxedStrategy<Numeric> {
    let text = prop_oneof![
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?",
        "-?[0-9]{1,50}(\\.[0-9]{1,50})?",
        "-?[1-9](\\.[0-9]{1,4})?e-?[1-9][0-9]{1,2}",
        Just("NaN".to_string()),
        Just("Infinity".to_string()),
        Just("-Infinity".to_string()),
    ];
    text.prop_map(|text| Numeric::parse(&text).unwrap()).boxed()
}

fn value_of(data_type: DataType) -> BoxedStrategy<Value> {
    match data_type.oid {
        16 => any::<bool>().prop_map(Value::Bool).boxed(),
        21 => any::<i16>().prop_map(Value::Int16).boxed(),
        23 => prop_oneof![any::<i32>(), -3..3i32].prop_map(Value::Int32).boxed(),
        20 => prop_oneof![any::<i64>(), -3..3i64].prop_map(Value::Int64).boxed(),
        26 => any::<u32>().prop_map(Value::UInt32).boxed(),
        700 => any::<f32>().prop_map(Value::Float32).boxed(),
        701 => prop_oneof![any::<f64>(), Just(-0.0), Just(0.0)].prop_map(Value::Float64).boxed(),
        1700 if data_type.modifier > 0 => prop_oneof![
            9 => (-10i64.pow(15) + 1..10i64.pow(15)).prop_map(|n| Numeric::new(i128::from(n), 2)),
            5 => (-300i64..300).prop_map(|n| Numeric::new(i128::from(n), 2)),
            1 => Just(Numeric::NaN),
        ]
        .prop_map(Value::Numeric)
        .boxed(),
        1700 => numeric().prop_map(Value::Numeric).boxed(),
        1186 => (-5i32..5, -100i32..100, prop_oneof![any::<i64>(), -3i64..3])
            .prop_map(|(months, days, micros)| Value::Interval(Interval { months, days, micros }))
            .boxed(),
        25 => prop_oneof![".{0,12}", "[a\u{1}]{0,3}", "x{250,300}"].prop_map(Value::text).boxed(),
        17 => proptest::collection::vec(prop_oneof![0u8..3, any::<u8>()], 0..12)
            .prop_map(|bytes| Value::Bytea(bytes.into()))
            .boxed(),
        2950 => any::<u128>().prop_map(Value::Uuid).boxed(),
        _ => {
            let element = data_type.element().unwrap();
            let one = prop_oneof![1 => Just(Value::Null), 5 => value_of(element)];
            proptest::collection::vec(one, 0..4)
                .prop_map(move |values| Value::Array(Arc::new(ArrayValue::from_elements(element, values))))
                .boxed()
        }
    }
}

fn row() -> impl Strategy<Value = Vec<Value>> {
    let columns: Vec<_> =
        all_types().into_iter().map(|t| prop_oneof![1 => Just(Value::Null), 6 => value_of(t)]).collect();
    columns
}

fn text_of(values: &[Value]) -> String {
    format!("{values:?}")
}

fn batch_of(types: &[DataType], rows: &[Vec<Value>]) -> Batch {
    let mut builders: Vec<_> = types.iter().map(|&t| builder_for(t, rows.len())).collect();
    for row in rows {
        row.iter().zip(&mut builders).for_each(|(value, builder)| builder.push(value));
    }
    Batch::new(builders.into_iter().map(|b| Arc::new(b.finish())).collect(), rows.len())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn rows_come_back(rows in proptest::collection::vec(row(), 1..6)) {
        let types = all_types();
        let layout = Arc::new(RowLayout::new(&types));
        let batch = batch_of(&types, &rows);
        let mut records = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let (mut a, mut b) = (Vec::new(), vec![7]);
            layout.encode(row, &mut a).unwrap();
            layout.encode_batch_row(&batch, index, &mut b).unwrap();
            prop_assert_eq!(&a, &b[1..]);
            prop_assert_eq!(text_of(&layout.decode_row(&a).unwrap()), text_of(row));
            records.push(a);
        }
        let projection = [10, 7, 0, 9, 13, 8, 6];
        let decoder = RowDecoder::new(&layout, &projection);
        let mut builders = decoder.builders(4);
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        decoder.decode_many(&slices, &mut builders).unwrap();
        decoder.decode(&records[0], &mut builders).unwrap();
        for (builder, column) in builders.into_iter().zip(projection) {
            let vector = builder.finish();
            for (index, row) in rows.iter().chain([&rows[0]]).enumerate() {
                prop_assert_eq!(text_of(&[vector.value(index)]), text_of(&[row[column].clone()]));
            }
        }
    }

    #[test]
    fn broken_records_do_not_panic(row in row(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let types = all_types();
        let layout = Arc::new(RowLayout::new(&types));
        let mut record = Vec::new();
        layout.encode(&row, &mut record).unwrap();
        let place = at.index(record.len());
        record[place] = byte;
        let tests = [
            (2, ColumnTest::Compare(Comparison::Less, Value::Int32(5))),
            (10, ColumnTest::StartsWith("a".into())),
            (12, ColumnTest::Compare(Comparison::Less, Value::Uuid(5))),
        ];
        for record in [&record[..], &record[..cut.index(record.len())]] {
            let _ = layout.decode_row(record);
            let decoder = RowDecoder::new(&layout, &(0..types.len()).collect::<Vec<_>>());
            let _ = decoder.decode(record, &mut decoder.builders(1));
            for (column, test) in &tests {
                let _ = RowPredicate::new(&layout, *column, test).unwrap().matches(record);
            }
        }
    }

    #[test]
    fn pushed_tests_agree_with_values(row in row(), other in row(), third in row(), n in numeric()) {
        let types = all_types();
        let layout = Arc::new(RowLayout::new(&types));
        let mut record = Vec::new();
        layout.encode(&row, &mut record).unwrap();
        for column in 0..types.len() {
            let constants = [other[column].clone(), row[column].clone(), Value::Numeric(n.clone()), Value::Int64(2)];
            for constant in constants {
                for comparison in [
                    Comparison::Equal, Comparison::NotEqual, Comparison::Less,
                    Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual,
                ] {
                    let test = ColumnTest::Compare(comparison, constant.clone());
                    if let Some(predicate) = RowPredicate::new(&layout, column, &test) {
                        prop_assert_eq!(predicate.matches(&record).unwrap(), test.holds(&row[column]), "{} {:?}", column, test);
                    }
                }
            }
            let tests = [
                ColumnTest::Between(other[column].clone(), third[column].clone()),
                ColumnTest::In(vec![other[column].clone(), Value::Null, row[column].clone()]),
                ColumnTest::In(vec![third[column].clone()]),
                ColumnTest::IsNull,
                ColumnTest::IsNotNull,
                ColumnTest::StartsWith("a".into()),
            ];
            for test in tests {
                if let Some(predicate) = RowPredicate::new(&layout, column, &test) {
                    prop_assert_eq!(predicate.matches(&record).unwrap(), test.holds(&row[column]), "{} {:?}", column, test);
                }
            }
        }
    }

    #[test]
    fn key_order_is_value_order(a in row(), b in row(), flags in proptest::collection::vec(any::<(bool, bool)>(), 15)) {
        for (column, (&data_type, &(descending, nulls_first))) in all_types().iter().zip(&flags).enumerate() {
            let key = KeyColumn { data_type, descending, nulls_first, nullable: true };
            let layout = KeyLayout::new(vec![key]);
            let (mut x, mut y) = (Vec::new(), Vec::new());
            layout.encode(&a[column..=column], &mut x).unwrap();
            layout.encode(&b[column..=column], &mut y).unwrap();
            let order = match (a[column].is_null(), b[column].is_null()) {
                (true, true) => Ordering::Equal,
                (true, false) => if nulls_first { Ordering::Less } else { Ordering::Greater },
                (false, true) => if nulls_first { Ordering::Greater } else { Ordering::Less },
                _ if descending => b[column].cmp(&a[column]),
                _ => a[column].cmp(&b[column]),
            };
            prop_assert_eq!(x.cmp(&y), order, "{:?} {:?}", a[column], b[column]);
            prop_assert!(x == y || (!x.starts_with(&y) && !y.starts_with(&x)));
        }
    }

    #[test]
    fn keys_come_back(row in row(), flags in proptest::collection::vec(any::<(bool, bool)>(), 15)) {
        let columns: Vec<KeyColumn> = all_types().iter().zip(&flags)
            .map(|(&data_type, &(descending, nulls_first))| KeyColumn { data_type, descending, nulls_first, nullable: true })
            .collect();
        let layout = KeyLayout::new(columns.clone());
        let (mut key, mut from_vectors) = (Vec::new(), Vec::new());
        layout.encode(&row, &mut key).unwrap();
        let batch = batch_of(&all_types(), std::slice::from_ref(&row));
        let vectors: Vec<_> = batch.columns().iter().map(|v| &**v).collect();
        layout.encode_vectors(&vectors, 0, &mut from_vectors).unwrap();
        prop_assert_eq!(&key, &from_vectors);
        let back = layout.decode(&key).unwrap();
        prop_assert_eq!(&back, &row);
        for (index, column) in columns.iter().enumerate() {
            if column.is_lossless() {
                prop_assert_eq!(text_of(&back[index..=index]), text_of(&row[index..=index]));
            }
        }
        let mut prefix = Vec::new();
        layout.encode(&row[..5], &mut prefix).unwrap();
        prop_assert_eq!(layout.prefix_len(&key, 5).unwrap(), prefix.len());
        prop_assert!(key.starts_with(&prefix));
    }

    #[test]
    fn broken_keys_do_not_panic(row in row(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let layout = KeyLayout::new(all_types().into_iter().map(KeyColumn::ascending).collect());
        let mut key = Vec::new();
        layout.encode(&row, &mut key).unwrap();
        let place = at.index(key.len());
        key[place] = byte;
        let _ = layout.decode(&key);
        let _ = layout.decode(&key[..cut.index(key.len())]);
    }
}

#[test]
fn records_written_before_a_column_was_added_take_its_missing_value() {
    let old = RowLayout::new(&[DataType::INT4, DataType::TEXT]);
    let types = [DataType::INT4, DataType::TEXT, DataType::INT8, DataType::TEXT, DataType::BOOL];
    let missing = vec![Value::Null, Value::Null, Value::Int64(7), Value::text("x")];
    let new = Arc::new(RowLayout::with_missing(&types, missing));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    old.encode(&[Value::Int32(1), Value::text("a")], &mut first).unwrap();
    let row = [Value::Int32(2), Value::Null, Value::Null, Value::text("y"), Value::Bool(true)];
    new.encode(&row, &mut second).unwrap();
    assert_eq!(
        new.decode_row(&first).unwrap(),
        [Value::Int32(1), Value::text("a"), Value::Int64(7), Value::text("x"), Value::Null]
    );
    let decoder = RowDecoder::new(&new, &[3, 2, 1]);
    let mut builders = decoder.builders(2);
    decoder.decode_many(&[&first, &second], &mut builders).unwrap();
    let columns: Vec<_> = builders.into_iter().map(|b| b.finish()).collect();
    let values = |column: usize| [columns[column].value(0), columns[column].value(1)];
    assert_eq!(values(0), [Value::text("x"), Value::text("y")]);
    assert_eq!(values(1), [Value::Int64(7), Value::Null]);
    assert_eq!(values(2), [Value::text("a"), Value::Null]);
    let predicate =
        RowPredicate::new(&new, 2, &ColumnTest::Compare(Comparison::Greater, Value::Int32(6))).unwrap();
    assert!(predicate.matches(&first).unwrap() && !predicate.matches(&second).unwrap());
    assert_eq!(old.decode_row(&second).unwrap_err().code().as_str(), "XX001");
}

#[test]
fn ranges_end_behind_their_prefix() {
    assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
    assert_eq!(successor(&[0xff]), None);
    let column = KeyColumn::ascending(DataType::TEXT);
    let (start, end) = text_prefix_range("ab", &column).unwrap();
    let key = |text: &str| {
        let mut key = Vec::new();
        types::key::encode_value(&Value::text(text), &column, &mut key).unwrap();
        key
    };
    let end = end.unwrap();
    assert!(["ab", "abc", "ab\u{10ffff}"].iter().all(|text| key(text) >= start && key(text) < end));
    assert!(["aa\u{10ffff}", "a", ""].iter().all(|text| key(text) < start) && key("ac") >= end);
}
