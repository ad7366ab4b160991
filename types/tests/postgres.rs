//! The cases of `testdata/*.txt`, whose results PostgreSQL gave (`testdata/refresh.py`): input and output of
//! every type, numeric arithmetic, dates and intervals.
#![allow(clippy::unwrap_used)]

use types::datetime::{self as dt, TimeZone};
use types::text::{DateOrder, DateStyle, IntervalStyle, apply_modifier, parse_text, to_text};
use types::{DataType, Error, Numeric, Result, TextContext, Value};

/// Results that differ on purpose, or are known to: kind and arguments, then why.
const KNOWN: &[(&str, &str)] = &[
    ("to_tz\tinfinity\tFoo", "a zone is looked up once for all rows, whatever they hold"),
    ("from_tz\tinfinity\tFoo", "likewise"),
];

fn type_named(name: &str) -> DataType {
    if let Some(element) = name.strip_suffix("[]") {
        return type_named(element).array_of().unwrap();
    }
    let (base, modifiers) = match name.split_once('(') {
        Some((base, rest)) if !name.starts_with("interval") => (base, rest.trim_end_matches(')')),
        _ => (name, ""),
    };
    let numbers: Vec<i32> = modifiers.split(',').filter_map(|n| n.parse().ok()).collect();
    match (base, numbers.as_slice()) {
        ("numeric", [precision, scale]) => DataType::numeric(*precision, *scale).unwrap(),
        ("varchar", [n]) => DataType::VARCHAR.with_modifier(n + 4),
        ("time" | "timestamp" | "timestamptz", [n]) => DataType::from_name(base).unwrap().with_modifier(*n),
        (interval, _) if interval.starts_with("interval") => {
            DataType::INTERVAL.with_modifier(interval_modifier(interval))
        }
        _ => DataType::from_name(base).unwrap_or_else(|| panic!("type {name}")),
    }
}

fn interval_modifier(name: &str) -> i32 {
    let fields = ["month", "year", "day", "hour", "minute", "second"];
    let bits = [1, 2, 3, 10, 11, 12];
    let place = |field: &str| fields.iter().position(|name| *name == field).unwrap();
    let rest = name.strip_prefix("interval").unwrap().trim();
    let (rest, precision) = match rest.split_once('(') {
        Some((rest, n)) => (rest.trim(), n.trim_end_matches(')').parse().unwrap()),
        None => (rest, 0xffff),
    };
    let range = match rest.split_once(" to ") {
        _ if rest.is_empty() && precision == 0xffff => return -1,
        _ if rest.is_empty() => 0x7fff,
        None => 1 << bits[place(rest)],
        Some(("year", "month")) => 1 << 2 | 1 << 1,
        Some((from, to)) => (place(from)..=place(to)).map(|at| 1 << bits[at]).sum(),
    };
    range << 16 | precision
}

fn number(text: &str) -> Numeric {
    Numeric::parse(text).unwrap()
}

fn int<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn run(name: &str, args: &[&str], cx: &TextContext) -> Result<String> {
    if let Some(data_type) = name.strip_prefix("in:").map(type_named) {
        return parse_text(data_type, args[0], cx).map(|value| to_text(&value, data_type, cx));
    }
    if let Some(data_type) = name.strip_prefix("cast:").map(type_named) {
        let value = apply_modifier(Value::text(args[0]), data_type, true)?;
        return Ok(to_text(&value, data_type, cx));
    }
    let numeric = |value: Result<Numeric>| value.map(|value| value.to_string());
    let interval = |text: &str| dt::parse_interval(text, cx);
    let timestamp = |text: &str| dt::parse_timestamp(text, cx);
    let timestamptz = |text: &str| dt::parse_timestamptz(text, cx);
    let shown = |value: Value, data_type: DataType| Ok(to_text(&value, data_type, cx));
    let show_ts = |value: Result<i64>| shown(Value::Int64(value?), DataType::TIMESTAMP);
    let show_tz = |value: Result<i64>| shown(Value::Int64(value?), DataType::TIMESTAMPTZ);
    let show_iv = |value: Result<types::Interval>| shown(Value::Interval(value?), DataType::INTERVAL);
    let show_field = |value: Result<Option<Numeric>>| Ok(value?.map_or("NULL".into(), |v| v.to_string()));
    match name {
        "add" => numeric(number(args[0]).add(&number(args[1]))),
        "sub" => numeric(number(args[0]).sub(&number(args[1]))),
        "mul" => numeric(number(args[0]).mul(&number(args[1]))),
        "div" => numeric(number(args[0]).div(&number(args[1]))),
        "rem" => numeric(number(args[0]).rem(&number(args[1]))),
        "divt" => numeric(number(args[0]).div_trunc(&number(args[1]))),
        "power" => numeric(number(args[0]).power(&number(args[1]))),
        "log" => numeric(number(args[0]).log(&number(args[1]))),
        "ln" => numeric(number(args[0]).ln()),
        "exp" => numeric(number(args[0]).exp()),
        "sqrt" => numeric(number(args[0]).sqrt()),
        "round" => Ok(number(args[0]).round(int(args[1])).to_string()),
        "trunc" => Ok(number(args[0]).trunc(int(args[1])).to_string()),
        "ceil" => Ok(number(args[0]).ceil().to_string()),
        "floor" => Ok(number(args[0]).floor().to_string()),
        "gcd" => numeric(number(args[0]).gcd(&number(args[1]))),
        "lcm" => numeric(number(args[0]).lcm(&number(args[1]))),
        "int2" => number(args[0]).to_i16().map(|n| n.to_string()),
        "int4" => number(args[0]).to_i32().map(|n| n.to_string()),
        "int8" => number(args[0]).to_i64().map(|n| n.to_string()),
        "to_float8" => number(args[0]).to_f64().and_then(|n| shown(Value::Float64(n), DataType::FLOAT8)),
        "to_float4" => number(args[0]).to_f32().and_then(|n| shown(Value::Float32(n), DataType::FLOAT4)),
        "from_float8" => Ok(Numeric::from_f64(int(args[0])).to_string()),
        "from_float4" => Ok(Numeric::from_f32(int(args[0])).to_string()),
        "cmp" => Ok((number(args[0]).cmp(&number(args[1])) as i8).to_string()),
        "send" => {
            let mut out = Vec::new();
            number(args[0]).write_binary(&mut out);
            assert_eq!(Numeric::read_binary(&out).unwrap().to_string(), number(args[0]).to_string());
            Ok(out.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        "extract_date" => show_field(dt::extract_date(args[0], dt::parse_date(args[1], cx)?)),
        "extract_time" => show_field(dt::extract_time(args[0], dt::parse_time(args[1], cx)?)),
        "extract_timestamp" => show_field(dt::extract_timestamp(args[0], timestamp(args[1])?)),
        "extract_timestamptz" => {
            show_field(dt::extract_timestamptz(args[0], timestamptz(args[1])?, &cx.time_zone))
        }
        "extract_interval" => show_field(dt::extract_interval(args[0], interval(args[1])?)),
        "trunc_timestamp" => show_ts(dt::trunc_timestamp(args[0], timestamp(args[1])?)),
        "trunc_timestamptz" => show_tz(dt::trunc_timestamptz(args[0], timestamptz(args[1])?, &cx.time_zone)),
        "trunc_interval" => show_iv(dt::trunc_interval(args[0], interval(args[1])?)),
        "age" => show_iv(dt::age(timestamp(args[0])?, timestamp(args[1])?)),
        "minus" => show_iv(dt::timestamp_minus_timestamp(timestamp(args[0])?, timestamp(args[1])?)),
        "plus" => show_ts(dt::timestamp_plus_interval(timestamp(args[0])?, interval(args[1])?)),
        "plus_tz" => {
            show_tz(dt::timestamptz_plus_interval(timestamptz(args[0])?, interval(args[1])?, &cx.time_zone))
        }
        "minus_interval" => show_ts(dt::timestamp_minus_interval(timestamp(args[0])?, interval(args[1])?)),
        "to_tz" => show_tz(dt::timestamp_to_timestamptz(timestamp(args[0])?, &TimeZone::parse(args[1])?)),
        "from_tz" => show_ts(dt::timestamptz_to_timestamp(timestamptz(args[0])?, &TimeZone::parse(args[1])?)),
        "interval_plus" => show_iv(dt::interval_plus(interval(args[0])?, interval(args[1])?)),
        "interval_times" => show_iv(dt::interval_multiply(interval(args[0])?, int(args[1]))),
        "interval_by" => show_iv(dt::interval_divide(interval(args[0])?, int(args[1]))),
        "justify_hours" => show_iv(dt::justify_hours(interval(args[0])?)),
        "justify_days" => show_iv(dt::justify_days(interval(args[0])?)),
        "justify_interval" => show_iv(dt::justify_interval(interval(args[0])?)),
        "make_date" => {
            shown(Value::Int32(dt::make_date(int(args[0]), int(args[1]), int(args[2]))?), DataType::DATE)
        }
        "make_time" => {
            shown(Value::Int64(dt::make_time(int(args[0]), int(args[1]), int(args[2]))?), DataType::TIME)
        }
        "date_bin" => show_ts(dt::date_bin(interval(args[0])?, timestamp(args[1])?, timestamp(args[2])?)),
        "time_plus" => {
            let time = dt::time_plus_interval(dt::parse_time(args[0], cx)?, interval(args[1])?);
            shown(Value::Int64(time), DataType::TIME)
        }
        _ => panic!("unknown case {name}"),
    }
}

fn set(name: &str, value: &str, cx: &mut TextContext) {
    match name {
        "timezone" => cx.time_zone = TimeZone::parse_setting(value).unwrap(),
        "intervalstyle" => {
            cx.interval_style = match value {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            }
        }
        "datestyle" => {
            let (style, order) = value.split_once(", ").unwrap_or((value, "DMY"));
            cx.date_style = match style {
                "SQL" => DateStyle::Sql,
                "Postgres" => DateStyle::Postgres,
                "German" => DateStyle::German,
                _ => DateStyle::Iso,
            };
            cx.date_order = match order {
                "DMY" => DateOrder::Dmy,
                "YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            };
        }
        _ => panic!("unknown setting {name}"),
    }
}

fn check(file: &str) {
    let path = format!("{}/testdata/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut cx = TextContext::default();
    let (mut cases, mut wrong) = (0, Vec::new());
    for (line, case) in text.lines().enumerate() {
        if case.is_empty() || case.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = case.split('\t').collect();
        if fields[0] == "set" {
            set(fields[1], fields[2], &mut cx);
            continue;
        }
        let (args, expected) = (&fields[1..fields.len() - 1], fields[fields.len() - 1]);
        cases += 1;
        let describe = |error: Error| format!("{}: {}", error.code(), error.message());
        let answer = run(fields[0], args, &cx).unwrap_or_else(describe);
        let key = format!("{}\t{}", fields[0], args.join("\t"));
        if answer != expected && !KNOWN.iter().any(|(known, _)| *known == key) {
            wrong.push(format!(
                "{}: {} {args:?}\n  expected {expected}\n  answered {answer}",
                line + 1,
                fields[0]
            ));
        }
    }
    assert!(cases > 500);
    assert!(wrong.is_empty(), "{} of {cases} cases of {file} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn numeric_cases_answer_as_postgres_does() {
    check("numeric.txt");
}

#[test]
fn text_forms_are_those_of_postgres() {
    check("text.txt");
}

#[test]
fn dates_and_intervals_are_those_of_postgres() {
    check("datetime.txt");
}
