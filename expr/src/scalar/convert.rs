//! Cast kernels between numbers, strings, dates and times, and the length coercions.

use types::{Data, DataType, Error, Numeric, Physical, Result, SqlState, Value, Vector};

use super::args::{N, f64s, i16s, i32s, i64s, map, numeric_at};
use super::arithmetic::out_of_range;
use crate::function::{Args, Kernel};

macro_rules! widen {
    ($from:ident, $to:ty) => {
        |args| {
            let values = map($from(args.arg(0)?)?, args.len, <$to>::from);
            Ok(Vector::flat(super::args::Native::data(values), args.validity()))
        }
    };
}

fn narrow_integer<T: super::args::Native + TryFrom<i64>>(args: &Args<'_>, name: &str) -> Result<Vector> {
    args.build(|row| T::try_from(args.int(0, row)).map_err(|_| out_of_range(name)))
}

/// Rounds half to even, as C's rint; the bounds are those of the target type.
fn float_to_integer(value: f64, low: f64, high: f64, name: &str) -> Result<i64> {
    let rounded = value.round_ties_even();
    if rounded.is_nan() || rounded < low || rounded >= high {
        return Err(out_of_range(name));
    }
    Ok(rounded as i64)
}

fn float_to_i16(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| float_to_integer(args.f64(0, row), -32768.0, 32768.0, "smallint").map(|v| v as i16))
}

fn float_to_i32(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        float_to_integer(args.f64(0, row), -2147483648.0, 2147483648.0, "integer").map(|v| v as i32)
    })
}

fn float_to_i64(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        float_to_integer(args.f64(0, row), -9223372036854775808.0, 9223372036854775808.0, "bigint")
    })
}

fn integer_to_numeric(args: &Args<'_>) -> Result<Vector> {
    let vector = args.arg(0)?;
    let values = match vector.data() {
        Data::Int16(_) => map(i16s(vector)?, args.len, i64::from),
        Data::Int32(_) => map(i32s(vector)?, args.len, i64::from),
        _ => map(i64s(vector)?, args.len, |value| value),
    };
    Ok(Vector::flat(Data::Decimal { scale: 0, values }, args.validity()))
}

fn numeric_to_f64(args: &Args<'_>) -> Result<Vector> {
    let vector = args.arg(0)?;
    // An exact integer divided by an exact power of ten is correctly rounded.
    if let Data::Decimal { scale, values } = vector.data()
        && *scale <= 22
        && !vector.is_constant()
        && values.iter().all(|value| value.unsigned_abs() < 1 << 53)
    {
        let divisor = 10f64.powi(i32::from(*scale));
        let floats = values.iter().map(|&value| value as f64 / divisor).collect();
        return Ok(Vector::flat(Data::Float64(floats), args.validity()));
    }
    args.build(|row| numeric_at(vector, row).to_f64())
}

/// numeric(p,s) of a numeric.
fn fit_numeric(args: &Args<'_>) -> Result<Vector> {
    let vector = args.arg(0)?;
    let modifier = args.i32(1, 0);
    let Some((precision, scale)) = DataType::NUMERIC.with_modifier(modifier).numeric_precision_scale() else {
        return args.build(|row| Ok(N(numeric_at(vector, row))));
    };
    // Scaled integers stay scaled when the target is as short.
    if let (Data::Decimal { scale: from, values }, Ok(to)) = (vector.data(), u16::try_from(scale))
        && precision <= 18
        && let Some(limit) = 10i64.checked_pow(precision as u32)
    {
        let validity = args.validity();
        let mut out = Vec::with_capacity(args.len);
        for row in 0..args.len {
            let value = values[vector.index(row)];
            let fitted = if to >= *from {
                super::compare::rescale_up(value, to - from)
            } else {
                10i64
                    .checked_pow(u32::from(from - to))
                    .map(|divisor| round_half_up(value, divisor))
                    .or(Some(0))
            };
            match fitted.filter(|value| value.unsigned_abs() < limit.unsigned_abs()) {
                Some(value) => out.push(value),
                None if !validity.is_valid(row) => out.push(0),
                None => {
                    // Raises PostgreSQL's overflow error, with its detail.
                    Numeric::new(i128::from(value), *from).fit(precision, scale)?;
                    return Err(out_of_range("numeric"));
                }
            }
        }
        return Ok(Vector::flat(Data::Decimal { scale: to, values: out }, validity));
    }
    args.build(|row| numeric_at(vector, row).fit(precision, scale).map(N))
}

/// Half away from zero.
fn round_half_up(value: i64, divisor: i64) -> i64 {
    let (quotient, rest) = (value / divisor, value % divisor);
    let up = rest.unsigned_abs() * 2 >= divisor.unsigned_abs();
    if up { quotient + value.signum() } else { quotient }
}

/// varchar(n) and char(n): `explicit` cuts silently, otherwise only blanks may go.
fn fit_string(args: &Args<'_>) -> Result<Vector> {
    let modifier = args.i32(1, 0);
    let explicit = args.bool(2, 0);
    let fixed = args.result.oid == DataType::BPCHAR.oid;
    let limit = usize::try_from(modifier - 4).ok();
    args.build_text(|row, out| {
        let mut text = args.str(0, row);
        if let Some(limit) = limit
            && text.len() > limit
            && let Some((end, _)) = text.char_indices().nth(limit)
        {
            let (head, tail) = text.split_at(end);
            if !explicit && tail.bytes().any(|byte| byte != b' ') {
                let name = if fixed { "character" } else { "character varying" };
                return Err(Error::new(
                    SqlState::STRING_DATA_RIGHT_TRUNCATION,
                    format!("value too long for type {name}({limit})"),
                ));
            }
            text = head;
        }
        if fixed {
            text = text.trim_end_matches(' ');
        }
        out.extend_from_slice(text.as_bytes());
        Ok(())
    })
}

fn same_text(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        out.extend_from_slice(args.bytes(0, row));
        Ok(())
    })
}

fn to_name(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        out.extend_from_slice(types::text::truncate_name(args.str(0, row)).as_bytes());
        Ok(())
    })
}

fn to_char_type(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| {
        let text = args.str(0, row);
        let end = text.char_indices().nth(1).map_or(text.len(), |(end, _)| end);
        out.extend_from_slice(&text.as_bytes()[..end]);
        Ok(())
    })
}

/// The value's own length coercion (times, intervals), through `types`.
fn fit_modifier(args: &Args<'_>) -> Result<Vector> {
    let target = args.types.first().copied().unwrap_or(args.result).with_modifier(args.i32(1, 0));
    args.build_values(|row| types::text::apply_modifier(args.value(0, row), target, true))
}

fn to_regclass(args: &Args<'_>) -> Result<Vector> {
    args.build_values(|row| args.cx.host.value_from_text(args.str(0, row), DataType::REGCLASS))
}

fn date_or_time(args: &Args<'_>) -> Result<Vector> {
    use types::datetime as dt;
    let zone = &args.cx.text.time_zone;
    match args.function.source {
        "date_timestamp" => args.build(|row| dt::date_to_timestamp(args.i32(0, row))),
        "date_timestamptz" => args.build(|row| dt::date_to_timestamptz(args.i32(0, row), zone)),
        "timestamp_date" => args.build(|row| dt::timestamp_to_date(args.int(0, row))),
        "timestamptz_date" => args.build(|row| dt::timestamptz_to_date(args.int(0, row), zone)),
        "timestamp_time" => args.build_opt(|row| Ok(dt::timestamp_to_time(args.int(0, row)))),
        "timestamptz_time" => args.build_opt(|row| Ok(dt::timestamptz_to_time(args.int(0, row), zone))),
        "timestamp_timestamptz" => args.build(|row| dt::timestamp_to_timestamptz(args.int(0, row), zone)),
        "timestamptz_timestamp" => args.build(|row| dt::timestamptz_to_timestamp(args.int(0, row), zone)),
        "time_interval" => {
            args.build(|row| Ok(types::Interval { micros: args.int(0, row), ..types::Interval::default() }))
        }
        "interval_time" => args.build(|row| Ok(dt::interval_to_time(args.interval(0, row)))),
        other => Err(Error::internal(format!("{other} is no date cast"))),
    }
}

fn to_oid(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| u32::try_from(args.int(0, row)).map_err(|_| out_of_range("OID")))
}

fn char_code(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| Ok(args.bytes(0, row).first().map_or(0, |&byte| i32::from(byte as i8))))
}

fn code_char(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, out| match args.int(0, row) {
        code @ 0..=127 => {
            if code != 0 {
                out.push(code as u8);
            }
            Ok(())
        }
        _ => Err(out_of_range("\"char\"")),
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("i2toi4", widen!(i16s, i32)),
    ("int28", widen!(i16s, i64)),
    ("int48", widen!(i32s, i64)),
    ("i2tod", widen!(i16s, f64)),
    ("i4tod", widen!(i32s, f64)),
    ("i2tof", widen!(i16s, f32)),
    ("i4toi2", |args| narrow_integer::<i16>(args, "smallint")),
    ("int82", |args| narrow_integer::<i16>(args, "smallint")),
    ("int84", |args| narrow_integer::<i32>(args, "integer")),
    ("i8tod", |args| args.build(|row| Ok(args.int(0, row) as f64))),
    ("i8tof", |args| args.build(|row| Ok(args.int(0, row) as f32))),
    ("i4tof", |args| args.build(|row| Ok(args.int(0, row) as f32))),
    ("ftod", |args| args.build(|row| Ok(args.f64(0, row)))),
    ("dtof", |args| {
        args.build(|row| {
            let value = args.f64(0, row);
            let narrowed = value as f32;
            if narrowed.is_infinite() && !value.is_infinite() {
                return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
            }
            if narrowed == 0.0 && value != 0.0 {
                return Err(Error::new(
                    SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                    "value out of range: underflow",
                ));
            }
            Ok(narrowed)
        })
    }),
    ("dtoi2", float_to_i16),
    ("ftoi2", float_to_i16),
    ("dtoi4", float_to_i32),
    ("ftoi4", float_to_i32),
    ("dtoi8", float_to_i64),
    ("ftoi8", float_to_i64),
    ("int2_numeric", integer_to_numeric),
    ("int4_numeric", integer_to_numeric),
    ("int8_numeric", integer_to_numeric),
    ("float8_numeric", |args| {
        let values = f64s(args.arg(0)?)?;
        args.build(|row| Ok(N(Numeric::from_f64(values.at(row)))))
    }),
    ("float4_numeric", |args| args.build(|row| Ok(N(Numeric::from_f32(args.f64(0, row) as f32))))),
    ("numeric_int2", |args| args.build(|row| args.numeric(0, row).to_i16())),
    ("numeric_int4", |args| args.build(|row| args.numeric(0, row).to_i32())),
    ("numeric_int8", |args| args.build(|row| args.numeric(0, row).to_i64())),
    ("numeric_float8", numeric_to_f64),
    ("numeric_float4", |args| args.build(|row| args.numeric(0, row).to_f32())),
    ("numeric", fit_numeric),
    ("varchar", fit_string),
    ("bpchar", fit_string),
    ("rtrim1", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(args.str(0, row).trim_end_matches(' ').as_bytes());
            Ok(())
        })
    }),
    ("name_text", same_text),
    ("name_bpchar", same_text),
    ("char_text", same_text),
    ("char_bpchar", same_text),
    ("text_name", to_name),
    ("bpchar_name", to_name),
    ("text_char", to_char_type),
    ("chartoi4", char_code),
    ("i4tochar", code_char),
    ("booltext", |args| {
        args.build_text(|row, out| {
            out.extend_from_slice(if args.bool(0, row) { b"true" } else { b"false" });
            Ok(())
        })
    }),
    ("bool_int4", |args| args.build(|row| Ok(i32::from(args.bool(0, row))))),
    ("int4_bool", |args| args.build(|row| Ok(args.int(0, row) != 0))),
    ("i8tooid", to_oid),
    ("oidtoi8", |args| args.build(|row| Ok(args.int(0, row)))),
    ("text_regclass", to_regclass),
    ("date_timestamp", date_or_time),
    ("date_timestamptz", date_or_time),
    ("timestamp_date", date_or_time),
    ("timestamptz_date", date_or_time),
    ("timestamp_time", date_or_time),
    ("timestamptz_time", date_or_time),
    ("timestamp_timestamptz", date_or_time),
    ("timestamptz_timestamp", date_or_time),
    ("time_interval", date_or_time),
    ("interval_time", date_or_time),
    ("timestamp_scale", fit_modifier),
    ("timestamptz_scale", fit_modifier),
    ("time_scale", fit_modifier),
    ("interval_scale", fit_modifier),
];

/// The text of any value, for functions of `"any"`: NULL gives false.
pub(crate) fn push_any(args: &Args<'_>, position: usize, row: usize, out: &mut Vec<u8>) -> Result<bool> {
    let vector = args.arg(position)?;
    if vector.is_null(row) {
        return Ok(false);
    }
    let data_type = args.types.get(position).copied().unwrap_or(DataType::TEXT);
    if data_type.oid == DataType::BOOL.oid {
        // Functions of "any" print through the output function.
        out.push(if vector.value(row) == Value::Bool(true) { b't' } else { b'f' });
        return Ok(true);
    }
    if data_type.physical == Physical::Text && data_type.oid != DataType::BPCHAR.oid {
        out.extend_from_slice(args.bytes(position, row));
        return Ok(true);
    }
    crate::cast::write_row(vector, row, data_type, args.cx, out)?;
    Ok(true)
}
