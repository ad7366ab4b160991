//! Text and binary forms: whatever comes in, an answer or an error; whatever goes out, the same comes back.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use types::datatype::BUILTIN_TYPES;
use types::row::builder_for;
use types::text::{
    ByteaOutput, DateOrder, DateStyle, IntervalStyle, parse_text, push_binary, push_text, read_binary,
    to_text, write_binary, write_vector_binary, write_vector_text,
};
use types::{DataType, Interval, Numeric, TextContext, TimeZone, Value};

fn types() -> Vec<DataType> {
    let mut types: Vec<DataType> = BUILTIN_TYPES.iter().filter_map(|t| DataType::from_oid(t.oid)).collect();
    types.extend([
        DataType::numeric(9, 3).unwrap(),
        DataType::numeric(40, 10).unwrap(),
        DataType::VARCHAR.with_modifier(7),
        DataType::BPCHAR.with_modifier(7),
        DataType::TIMESTAMP.with_modifier(2),
        DataType::INTERVAL.with_modifier(1 << 28 | 0xffff),
    ]);
    types
}

fn context(
    style: DateStyle,
    order: DateOrder,
    interval: IntervalStyle,
    zone: &str,
    bytea: ByteaOutput,
) -> TextContext {
    TextContext {
        date_style: style,
        date_order: order,
        interval_style: interval,
        time_zone: TimeZone::parse(zone).unwrap(),
        bytea_output: bytea,
        now: Some(700_000_000_000_000_000),
        ..TextContext::default()
    }
}

fn contexts() -> impl Strategy<Value = TextContext> {
    let style = prop_oneof![Just(DateStyle::Iso), Just(DateStyle::German)];
    let order = prop_oneof![Just(DateOrder::Mdy), Just(DateOrder::Dmy), Just(DateOrder::Ymd)];
    let interval = prop_oneof![
        Just(IntervalStyle::Postgres),
        Just(IntervalStyle::PostgresVerbose),
        Just(IntervalStyle::Iso8601),
    ];
    let zone = prop_oneof![Just("UTC"), Just("Asia/Kolkata"), Just("-03")];
    let bytea = prop_oneof![Just(ByteaOutput::Hex), Just(ByteaOutput::Escape)];
    (style, order, interval, zone, bytea).prop_map(|(s, o, i, z, b)| {
        // German dates are read day first; but for ISO zones print as abbreviations, which are ambiguous.
        match s {
            DateStyle::Iso => context(s, o, i, z, b),
            _ => context(s, DateOrder::Dmy, i, "UTC", b),
        }
    })
}

/// Text that looks like something, and text that does not.
fn input() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,20}",
        "[-+0-9.:eE ]{0,24}",
        "[0-9]{1,5}[-/.][0-9a-zA-Z]{1,4}[-/.][0-9]{1,5}([ T][0-9]{1,2}:[0-9]{1,3}(:[0-9.]{1,9})?)?([+-][0-9:]{1,6}| BC| PM| UTC)?",
        "P[0-9YMWDTHS.:-]{0,16}",
        "([-+]?[0-9.]{1,12} ?(years?|mons?|days?|h|min|s|us|weeks|ago|decades|mil)? ?){1,4}",
        "[{}\\[\\]:=\",\\\\ a-zN0-9]{0,24}",
        "-?[0-9]{1,30}(\\.[0-9]{0,30})?(e-?[0-9]{1,5})?",
        "[a-zA-Z]{3,9} [0-9]{1,2},? [0-9]{1,6}( [0-9:]{4,8})?( [A-Za-z/]{2,12})?",
    ]
}

fn value_of(data_type: DataType) -> BoxedStrategy<Value> {
    const DAY: i64 = 86_400_000_000;
    match data_type.oid {
        16 => any::<bool>().prop_map(Value::Bool).boxed(),
        17 => any::<Vec<u8>>().prop_map(|bytes| Value::Bytea(bytes.into())).boxed(),
        20 => any::<i64>().prop_map(Value::Int64).boxed(),
        21 => any::<i16>().prop_map(Value::Int16).boxed(),
        23 => any::<i32>().prop_map(Value::Int32).boxed(),
        26 => any::<u32>().prop_map(Value::UInt32).boxed(),
        700 => any::<f32>().prop_map(Value::Float32).boxed(),
        701 => any::<f64>().prop_map(Value::Float64).boxed(),
        1082 => {
            prop_oneof![-2_451_545..=2_145_031_948i32, -40_000..40_000i32, Just(i32::MAX), Just(i32::MIN)]
                .prop_map(Value::Int32)
                .boxed()
        }
        1083 => (0..=DAY).prop_map(Value::Int64).boxed(),
        1114 | 1184 => prop_oneof![
            -211_810_000_000_000_000..9_223_371_000_000_000_000i64,
            -3_000_000 * 1_000_000_000i64..1_000_000 * 1_000_000_000i64,
            Just(i64::MAX),
            Just(i64::MIN)
        ]
        .prop_map(Value::Int64)
        .boxed(),
        1186 => {
            (-2_000_000i32..2_000_000, any::<i32>(), -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000)
                .prop_map(|(months, days, micros)| Value::Interval(Interval { months, days, micros }))
                .boxed()
        }
        1700 => prop_oneof![
            "-?[0-9]{1,30}(\\.[0-9]{1,30})?",
            "-?[0-9]{1,9}(\\.[0-9]{1,3})?",
            Just("NaN".to_string())
        ]
        .prop_map(|text| Value::Numeric(Numeric::parse(&text).unwrap()))
        .boxed(),
        2950 => any::<u128>().prop_map(Value::Uuid).boxed(),
        _ => "[^\u{0}]{0,20}".prop_map(Value::text).boxed(),
    }
}

fn typed() -> impl Strategy<Value = (DataType, Value)> {
    let scalar = [16, 17, 20, 21, 23, 25, 26, 700, 701, 1043, 1082, 1083, 1114, 1184, 1186, 1700, 2950];
    let types: Vec<DataType> = scalar.into_iter().filter_map(DataType::from_oid).collect();
    proptest::sample::select(types)
        .prop_flat_map(|data_type| value_of(data_type).prop_map(move |v| (data_type, v)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn any_text_is_read_or_refused(text in input(), cx in contexts()) {
        for data_type in types() {
            let direct = parse_text(data_type, &text, &cx);
            let mut builder = builder_for(data_type, 1);
            let pushed = push_text(&mut builder, data_type, text.as_bytes(), &cx);
            match direct {
                Err(error) => {
                    let code = error.code().to_string();
                    let syntax = data_type == DataType::JSONPATH && code == "42601";
                    prop_assert!(code.starts_with("22") || code == "0A000" || code == "54000" || syntax, "{error:?}");
                    prop_assert!(pushed.is_err(), "{data_type}");
                }
                // Decimals pushed may show another scale than decimals read only where both are equal.
                Ok(value) if !text.contains('\0') => {
                    pushed.unwrap();
                    prop_assert_eq!(&builder.finish().value(0), &value);
                }
                Ok(_) => {}
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        for data_type in types() {
            if let Ok(value) = read_binary(data_type, &bytes) {
                let cx = TextContext::default();
                let _ = to_text(&value, data_type, &cx);
            }
            let mut builder = builder_for(data_type, 1);
            let _ = push_text(&mut builder, data_type, &bytes, &TextContext::default());
            let _ = push_binary(&mut builder, data_type, &bytes);
        }
    }

    #[test]
    fn text_and_binary_come_back((data_type, value) in typed(), cx in contexts()) {
        let text = to_text(&value, data_type, &cx);
        let back = parse_text(data_type, &text, &cx);
        prop_assert_eq!(format!("{:?}", back.as_ref().ok()), format!("{:?}", Some(&value)), "{} {}", data_type, text);
        let mut bytes = Vec::new();
        write_binary(&value, data_type, &mut bytes);
        let back = read_binary(data_type, &bytes).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));

        let mut builder = builder_for(data_type, 1);
        builder.push(&value);
        let vector = builder.finish();
        let (mut direct, mut binary) = (Vec::new(), Vec::new());
        write_vector_text(&vector, 0, data_type, &cx, &mut direct);
        write_vector_binary(&vector, 0, data_type, &mut binary);
        prop_assert_eq!(String::from_utf8(direct).unwrap(), text);
        prop_assert_eq!(binary, bytes);
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_as_postgres_does() {
    let mut builder = builder_for(DataType::TEXT, 1);
    for (bytes, message) in [
        (&b"a\xff"[..], "invalid byte sequence for encoding \"UTF8\": 0xff"),
        (b"a\0b", "invalid byte sequence for encoding \"UTF8\": 0x00"),
        (b"\xe2\x28\xa1", "invalid byte sequence for encoding \"UTF8\": 0xe2 0x28 0xa1"),
    ] {
        let error = push_text(&mut builder, DataType::TEXT, bytes, &TextContext::default()).unwrap_err();
        assert_eq!((error.message(), error.code().as_str()), (message, "22021"));
    }
}
