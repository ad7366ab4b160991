//! Date and time: arithmetic, EXTRACT, date_trunc, age, the clocks.

use types::datetime::{self as dt, TimeZone};
use types::{Data, DataType, Interval, Numeric, Result, Validity, Vector};

use super::args::{N, both_valid, i32s, i64s, map};
use super::arithmetic::out_of_range;
use crate::function::{Args, Comparison, Kernel};

fn zone<'a>(args: &'a Args<'_>) -> &'a TimeZone {
    &args.cx.text.time_zone
}

fn date_pl(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| dt::date_plus_days(args.i32(0, row), args.i32(1, row)))
}

fn date_mi_days(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let days = args.i32(1, row).checked_neg().ok_or_else(|| out_of_range("date"))?;
        dt::date_plus_days(args.i32(0, row), days)
    })
}

fn date_interval(args: &Args<'_>, negated: bool) -> Result<Vector> {
    args.build(|row| {
        let timestamp = dt::date_to_timestamp(args.i32(0, row))?;
        if negated {
            dt::timestamp_minus_interval(timestamp, args.interval(1, row))
        } else {
            dt::timestamp_plus_interval(timestamp, args.interval(1, row))
        }
    })
}

/// date + time.
fn date_time(args: &Args<'_>, date: usize, time: usize) -> Result<Vector> {
    args.build(|row| {
        let midnight = dt::date_to_timestamp(args.i32(date, row))?;
        if midnight == i64::MAX || midnight == i64::MIN {
            return Ok(midnight);
        }
        midnight.checked_add(args.int(time, row)).ok_or_else(|| out_of_range("timestamp"))
    })
}

/// The year of each date, without a detour for constants of the field.
fn years(args: &Args<'_>) -> Result<Option<Vector>> {
    let (field, dates) = (args.arg(0)?, args.arg(1)?);
    if !field.is_constant() || !args.str(0, 0).eq_ignore_ascii_case("year") || dates.is_constant() {
        return Ok(None);
    }
    let column = i32s(dates)?;
    let limits = [i32::MAX, i32::MIN];
    if column.values.iter().any(|date| limits.contains(date)) {
        return Ok(None);
    }
    let values = map(column, args.len, |date| {
        let year = dt::ymd_from_date(date).0;
        // There is no year 0: 1 BC is −1.
        i64::from(if year > 0 { year } else { year - 1 })
    });
    Ok(Some(Vector::flat(Data::Decimal { scale: 0, values }, both_valid(field, dates))))
}

fn field_of(args: &Args<'_>, row: usize) -> Result<Option<Numeric>> {
    let field = args.str(0, row);
    match args.types.get(1).map(|t| t.oid) {
        Some(oid) if oid == DataType::DATE.oid => dt::extract_date(field, args.i32(1, row)),
        Some(oid) if oid == DataType::TIME.oid => dt::extract_time(field, args.int(1, row)),
        Some(oid) if oid == DataType::TIMESTAMP.oid => dt::extract_timestamp(field, args.int(1, row)),
        Some(oid) if oid == DataType::TIMESTAMPTZ.oid => {
            dt::extract_timestamptz(field, args.int(1, row), zone(args))
        }
        _ => dt::extract_interval(field, args.interval(1, row)),
    }
}

fn extract(args: &Args<'_>) -> Result<Vector> {
    if args.function.source == "extract_date"
        && let Some(vector) = years(args)?
    {
        return Ok(vector);
    }
    args.build_opt(|row| Ok(field_of(args, row)?.map(N)))
}

/// date_part: EXTRACT as double precision.
fn date_part(args: &Args<'_>) -> Result<Vector> {
    if args.types.get(1).is_some_and(|t| t.oid == DataType::DATE.oid) {
        // date_part(text, date) is date_part of the timestamp.
        return args.build_opt(|row| {
            let timestamp = dt::date_to_timestamp(args.i32(1, row))?;
            dt::extract_timestamp(args.str(0, row), timestamp)?.map(|value| value.to_f64()).transpose()
        });
    }
    args.build_opt(|row| field_of(args, row)?.map(|value| value.to_f64()).transpose())
}

fn trunc_zone(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let zone = TimeZone::parse(args.str(2, row))?;
        dt::trunc_timestamptz(args.str(0, row), args.int(1, row), &zone)
    })
}

/// `timestamp AT TIME ZONE zone` and back, the zone by name or as an interval.
fn at_zone(args: &Args<'_>) -> Result<Vector> {
    let by_name = matches!(args.function.source, "timestamp_zone" | "timestamptz_zone");
    let to_local = args.result.oid == DataType::TIMESTAMP.oid;
    args.build(|row| {
        let zone = if by_name {
            TimeZone::parse(args.str(0, row))?
        } else {
            TimeZone::from_interval(args.interval(0, row))?
        };
        if to_local {
            dt::timestamptz_to_timestamp(args.int(1, row), &zone)
        } else {
            dt::timestamp_to_timestamptz(args.int(1, row), &zone)
        }
    })
}

fn midnight_today(args: &Args<'_>) -> Result<i64> {
    dt::date_to_timestamp(dt::timestamptz_to_date(args.cx.transaction_time, zone(args))?)
}

fn overlaps(args: &Args<'_>) -> Result<Vector> {
    // Ends may be given as lengths; NULL bounds leave some answers open.
    let end = |start: usize, stop: usize, row: usize| -> Result<(Option<i64>, Option<i64>)> {
        let first = (!args.is_null(start, row)).then(|| args.int(start, row));
        let last = if args.is_null(stop, row) {
            None
        } else if args.types.get(stop).is_some_and(|t| t.oid == DataType::INTERVAL.oid) {
            match first {
                None => None,
                Some(first) => Some(match args.types.get(start).map(|t| t.oid) {
                    Some(oid) if oid == DataType::TIMESTAMPTZ.oid => {
                        dt::timestamptz_plus_interval(first, args.interval(stop, row), zone(args))?
                    }
                    Some(oid) if oid == DataType::TIME.oid => {
                        dt::time_plus_interval(first, args.interval(stop, row))
                    }
                    _ => dt::timestamp_plus_interval(first, args.interval(stop, row))?,
                }),
            }
        } else {
            Some(args.int(stop, row))
        };
        // The earlier first; a NULL counts as the later.
        Ok(match (first, last) {
            (None, last) => (last, None),
            (Some(a), Some(b)) if a > b => (Some(b), Some(a)),
            other => other,
        })
    };
    args.build_opt(|row| {
        let (s1, e1) = end(0, 1, row)?;
        let (s2, e2) = end(2, 3, row)?;
        let (Some(s1), Some(s2)) = (s1, s2) else { return Ok(None) };
        if s1 == s2 {
            // Both start together: they overlap unless an end is unknown.
            return Ok(if e1.is_some() && e2.is_some() { Some(true) } else { None });
        }
        let (start, end) = if s1 > s2 { (s1, e2) } else { (s2, e1) };
        Ok(match end {
            Some(end) if start < end => Some(true),
            None => None,
            // Points past the end of what is known to be over.
            Some(_) => {
                let other = if s1 > s2 { e1 } else { e2 };
                if other.is_none() { None } else { Some(false) }
            }
        })
    })
}

/// A date column against a constant timestamp: the timestamp becomes a day, and the loop vectorises.
pub(crate) fn compare_dates(args: &Args<'_>, op: Comparison, swapped: bool) -> Result<Option<Vector>> {
    let (date_at, stamp_at) = if swapped { (1, 0) } else { (0, 1) };
    let (dates, stamp) = (args.arg(date_at)?, args.arg(stamp_at)?);
    let zoned = args.types.get(stamp_at).is_some_and(|t| t.oid == DataType::TIMESTAMPTZ.oid);
    if !stamp.is_constant() || dates.is_constant() || zoned {
        return Ok(None);
    }
    let stamp = i64s(stamp)?.values.first().copied().unwrap_or(0);
    if stamp == i64::MAX || stamp == i64::MIN {
        return Ok(None);
    }
    let op = if swapped { op.commuted() } else { op };
    let whole = stamp.rem_euclid(dt::MICROS_PER_DAY) == 0;
    let Ok(day) = i32::try_from(stamp.div_euclid(dt::MICROS_PER_DAY)) else { return Ok(None) };
    let column = i32s(dates)?;
    let values: Vec<bool> = match (op, whole) {
        (Comparison::Less, true) => map(column, args.len, |date| date < day),
        (Comparison::Less | Comparison::LessEqual, _) => map(column, args.len, |date| date <= day),
        (Comparison::GreaterEqual, true) => map(column, args.len, |date| date >= day),
        (Comparison::Greater | Comparison::GreaterEqual, _) => map(column, args.len, |date| date > day),
        (Comparison::Equal, whole) => map(column, args.len, |date| whole && date == day),
        (Comparison::NotEqual, whole) => map(column, args.len, |date| !whole || date != day),
    };
    Ok(Some(Vector::flat(Data::Bool(values), args.validity())))
}

fn clock(args: &Args<'_>) -> Result<Vector> {
    let now = match args.function.source {
        "now" => args.cx.transaction_time,
        "statement_timestamp" => args.cx.statement_time,
        _ => args.cx.clock_time(),
    };
    Ok(Vector::repeat(Data::Int64(vec![now]), Validity::all(), args.len))
}

fn finite(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        Ok(match args.function.source {
            "date_finite" => !matches!(args.i32(0, row), i32::MAX | i32::MIN),
            "timestamp_finite" => !matches!(args.int(0, row), i64::MAX | i64::MIN),
            _ => true,
        })
    })
}

fn make(args: &Args<'_>) -> Result<Vector> {
    let field = |position: usize, row: usize| args.i32(position, row);
    match args.function.source {
        "make_date" => args.build(|row| dt::make_date(field(0, row), field(1, row), field(2, row))),
        "make_time" => args.build(|row| dt::make_time(field(0, row), field(1, row), args.f64(2, row))),
        "make_interval" => args.build(|row| {
            dt::make_interval(
                field(0, row),
                field(1, row),
                field(2, row),
                field(3, row),
                field(4, row),
                field(5, row),
                args.f64(6, row),
            )
        }),
        source => args.build(|row| {
            let local = dt::make_timestamp(
                field(0, row),
                field(1, row),
                field(2, row),
                field(3, row),
                field(4, row),
                args.f64(5, row),
            )?;
            match source {
                "make_timestamp" => Ok(local),
                "make_timestamptz" => dt::timestamp_to_timestamptz(local, zone(args)),
                _ => dt::timestamp_to_timestamptz(local, &TimeZone::parse(args.str(6, row))?),
            }
        }),
    }
}

fn interval_binary(args: &Args<'_>, f: fn(Interval, Interval) -> Result<Interval>) -> Result<Vector> {
    args.build(|row| f(args.interval(0, row), args.interval(1, row)))
}

fn interval_unary(args: &Args<'_>, f: fn(Interval) -> Result<Interval>) -> Result<Vector> {
    args.build(|row| f(args.interval(0, row)))
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("date_pli", date_pl),
    ("date_mii", date_mi_days),
    ("integer_pl_date_2550", |args| args.build(|row| dt::date_plus_days(args.i32(1, row), args.i32(0, row)))),
    ("date_mi", |args| args.build(|row| dt::date_minus_date(args.i32(0, row), args.i32(1, row)))),
    ("date_pl_interval", |args| date_interval(args, false)),
    ("date_mi_interval", |args| date_interval(args, true)),
    ("interval_pl_date_2546", |args| {
        args.build(|row| {
            dt::timestamp_plus_interval(dt::date_to_timestamp(args.i32(1, row))?, args.interval(0, row))
        })
    }),
    ("datetime_timestamp", |args| date_time(args, 0, 1)),
    ("timedate_pl_1296", |args| date_time(args, 1, 0)),
    ("timestamptz_1176", |args| {
        args.build(|row| {
            let midnight = dt::date_to_timestamp(args.i32(0, row))?;
            let local = midnight.checked_add(args.int(1, row)).ok_or_else(|| out_of_range("timestamp"))?;
            dt::timestamp_to_timestamptz(local, zone(args))
        })
    }),
    ("timestamp_pl_interval", |args| {
        args.build(|row| dt::timestamp_plus_interval(args.int(0, row), args.interval(1, row)))
    }),
    ("timestamp_mi_interval", |args| {
        args.build(|row| dt::timestamp_minus_interval(args.int(0, row), args.interval(1, row)))
    }),
    ("interval_pl_timestamp_2548", |args| {
        args.build(|row| dt::timestamp_plus_interval(args.int(1, row), args.interval(0, row)))
    }),
    ("timestamptz_pl_interval", |args| {
        args.build(|row| dt::timestamptz_plus_interval(args.int(0, row), args.interval(1, row), zone(args)))
    }),
    ("timestamptz_mi_interval", |args| {
        args.build(|row| dt::timestamptz_minus_interval(args.int(0, row), args.interval(1, row), zone(args)))
    }),
    ("interval_pl_timestamptz_2549", |args| {
        args.build(|row| dt::timestamptz_plus_interval(args.int(1, row), args.interval(0, row), zone(args)))
    }),
    ("timestamp_mi", |args| {
        args.build(|row| dt::timestamp_minus_timestamp(args.int(0, row), args.int(1, row)))
    }),
    ("time_pl_interval", |args| {
        args.build(|row| Ok(dt::time_plus_interval(args.int(0, row), args.interval(1, row))))
    }),
    ("time_mi_interval", |args| {
        args.build(|row| Ok(dt::time_minus_interval(args.int(0, row), args.interval(1, row))))
    }),
    ("interval_pl_time_1848", |args| {
        args.build(|row| Ok(dt::time_plus_interval(args.int(1, row), args.interval(0, row))))
    }),
    ("time_mi_time", |args| args.build(|row| Ok(dt::time_minus_time(args.int(0, row), args.int(1, row))))),
    ("interval_pl", |args| interval_binary(args, dt::interval_plus)),
    ("interval_mi", |args| interval_binary(args, dt::interval_minus)),
    ("interval_um", |args| interval_unary(args, dt::interval_negate)),
    ("interval_mul", |args| args.build(|row| dt::interval_multiply(args.interval(0, row), args.f64(1, row)))),
    ("mul_d_interval", |args| {
        args.build(|row| dt::interval_multiply(args.interval(1, row), args.f64(0, row)))
    }),
    ("interval_div", |args| args.build(|row| dt::interval_divide(args.interval(0, row), args.f64(1, row)))),
    ("interval_justify_hours", |args| interval_unary(args, dt::justify_hours)),
    ("interval_justify_days", |args| interval_unary(args, dt::justify_days)),
    ("interval_justify_interval", |args| interval_unary(args, dt::justify_interval)),
    ("extract_date", extract),
    ("extract_time", extract),
    ("extract_timestamp", extract),
    ("extract_timestamptz", extract),
    ("extract_interval", extract),
    ("date_part_1384", date_part),
    ("time_part", date_part),
    ("timestamp_part", date_part),
    ("timestamptz_part", date_part),
    ("interval_part", date_part),
    ("timestamp_trunc", |args| args.build(|row| dt::trunc_timestamp(args.str(0, row), args.int(1, row)))),
    ("timestamptz_trunc", |args| {
        args.build(|row| dt::trunc_timestamptz(args.str(0, row), args.int(1, row), zone(args)))
    }),
    ("timestamptz_trunc_zone", trunc_zone),
    ("interval_trunc", |args| args.build(|row| dt::trunc_interval(args.str(0, row), args.interval(1, row)))),
    ("timestamp_bin", |args| {
        args.build(|row| dt::date_bin(args.interval(0, row), args.int(1, row), args.int(2, row)))
    }),
    ("timestamptz_bin", |args| {
        args.build(|row| dt::date_bin(args.interval(0, row), args.int(1, row), args.int(2, row)))
    }),
    ("timestamp_zone", at_zone),
    ("timestamp_izone", at_zone),
    ("timestamptz_zone", at_zone),
    ("timestamptz_izone", at_zone),
    ("timestamp_age", |args| args.build(|row| dt::age(args.int(0, row), args.int(1, row)))),
    ("timestamptz_age", |args| args.build(|row| dt::age_tz(args.int(0, row), args.int(1, row), zone(args)))),
    ("age_2059", |args| args.build(|row| dt::age(midnight_today(args)?, args.int(0, row)))),
    ("age_1386", |args| {
        args.build(|row| {
            let today = dt::timestamp_to_timestamptz(midnight_today(args)?, zone(args))?;
            dt::age_tz(today, args.int(0, row), zone(args))
        })
    }),
    ("overlaps_timestamp", overlaps),
    ("overlaps_time", overlaps),
    ("overlaps_1305", overlaps),
    ("overlaps_1306", overlaps),
    ("overlaps_1307", overlaps),
    ("overlaps_1309", overlaps),
    ("overlaps_1310", overlaps),
    ("overlaps_1311", overlaps),
    ("overlaps_2042", overlaps),
    ("overlaps_2043", overlaps),
    ("overlaps_2044", overlaps),
    ("now", clock),
    ("statement_timestamp", clock),
    ("clock_timestamp", clock),
    ("date_finite", finite),
    ("timestamp_finite", finite),
    ("interval_finite", finite),
    ("make_date", make),
    ("make_time", make),
    ("make_timestamp", make),
    ("make_timestamptz", make),
    ("make_timestamptz_at_timezone", make),
    ("make_interval", make),
    ("float8_timestamptz", |args| args.build(|row| dt::timestamptz_from_epoch(args.f64(0, row)))),
];
