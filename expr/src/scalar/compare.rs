//! Comparison operators and the `…cmp`, `…larger` and `…smaller` functions of every ordered type.
//!
//! All types compare by their physical form (a char(n) is kept without trailing blanks), so one
//! generic kernel serves them; the loops over plain numbers vectorise.

use std::cmp::Ordering;

use types::value::compare_floats;
use types::{Data, Error, Numeric, Result, Strings, Validity, Vector};

use super::args::{Column, both_valid, numeric_at, zip};
use crate::function::{Args, Comparison, Kernel};

const EQ: u8 = 0;
const NE: u8 = 1;
const LT: u8 = 2;
const LE: u8 = 3;
const GT: u8 = 4;
const GE: u8 = 5;

const fn comparison(op: u8) -> Comparison {
    match op {
        EQ => Comparison::Equal,
        NE => Comparison::NotEqual,
        LT => Comparison::Less,
        LE => Comparison::LessEqual,
        GT => Comparison::Greater,
        _ => Comparison::GreaterEqual,
    }
}

#[inline(always)]
fn test<T: PartialOrd, const OP: u8>(a: T, b: T) -> bool {
    match OP {
        EQ => a == b,
        NE => a != b,
        LT => a < b,
        LE => a <= b,
        GT => a > b,
        _ => a >= b,
    }
}

fn compare<const OP: u8>(args: &Args<'_>) -> Result<Vector> {
    let (a, b) = (args.arg(0)?, args.arg(1)?);
    let values = compare_vectors::<OP>(a, b, args.len)?;
    Ok(Vector::flat(Data::Bool(values), both_valid(a, b)))
}

fn compare_vectors<const OP: u8>(a: &Vector, b: &Vector, len: usize) -> Result<Vec<bool>> {
    let (ac, bc) = (a.is_constant(), b.is_constant());
    macro_rules! plain {
        ($x:expr, $y:expr) => {
            zip(Column { values: $x, constant: ac }, Column { values: $y, constant: bc }, len, test::<_, OP>)
        };
    }
    macro_rules! widened {
        ($x:expr, $y:expr, $wide:ty) => {
            zip(Column { values: $x, constant: ac }, Column { values: $y, constant: bc }, len, |x, y| {
                test::<$wide, OP>(<$wide>::from(x), <$wide>::from(y))
            })
        };
    }
    macro_rules! ordered {
        ($x:expr, $y:expr, $order:expr) => {
            zip(Column { values: $x, constant: ac }, Column { values: $y, constant: bc }, len, |x, y| {
                comparison(OP).holds($order(x, y))
            })
        };
    }
    Ok(match (a.data(), b.data()) {
        (Data::Bool(x), Data::Bool(y)) => plain!(x, y),
        (Data::Int16(x), Data::Int16(y)) => plain!(x, y),
        (Data::Int32(x), Data::Int32(y)) => plain!(x, y),
        (Data::Int64(x), Data::Int64(y)) => plain!(x, y),
        (Data::UInt32(x), Data::UInt32(y)) => plain!(x, y),
        (Data::Uuid(x), Data::Uuid(y)) => plain!(x, y),
        (Data::Int16(x), Data::Int32(y)) => widened!(x, y, i32),
        (Data::Int32(x), Data::Int16(y)) => widened!(x, y, i32),
        (Data::Int16(x), Data::Int64(y)) => widened!(x, y, i64),
        (Data::Int64(x), Data::Int16(y)) => widened!(x, y, i64),
        (Data::Int32(x), Data::Int64(y)) => widened!(x, y, i64),
        (Data::Int64(x), Data::Int32(y)) => widened!(x, y, i64),
        (Data::UInt32(x), Data::Int32(y)) => widened!(x, y, i64),
        (Data::Float32(x), Data::Float32(y)) => {
            ordered!(x, y, |x, y| compare_floats(f64::from(x), f64::from(y)))
        }
        (Data::Float64(x), Data::Float64(y)) => ordered!(x, y, compare_floats),
        (Data::Float32(x), Data::Float64(y)) => ordered!(x, y, |x, y| compare_floats(f64::from(x), y)),
        (Data::Float64(x), Data::Float32(y)) => ordered!(x, y, |x, y| compare_floats(x, f64::from(y))),
        (Data::Interval(x), Data::Interval(y)) => {
            ordered!(x, y, |x: types::Interval, y: types::Interval| x.cmp(&y))
        }
        (Data::Decimal { scale: sx, values: x }, Data::Decimal { scale: sy, values: y }) => {
            compare_decimals::<OP>(
                (*sx, Column { values: x, constant: ac }),
                (*sy, Column { values: y, constant: bc }),
                len,
            )
        }
        (Data::Decimal { .. } | Data::Numeric(_), Data::Decimal { .. } | Data::Numeric(_)) => {
            compare_numerics::<OP>(a, b, len)
        }
        (Data::Text(x) | Data::Bytea(x), Data::Text(y) | Data::Bytea(y)) => {
            compare_strings::<OP>(x, ac, y, bc, len)
        }
        (Data::Jsonb(x), Data::Jsonb(y)) => (0..len)
            .map(|row| {
                let (left, right) = (x.get(if ac { 0 } else { row }), y.get(if bc { 0 } else { row }));
                comparison(OP).holds(types::json::order::compare(types::Jsonb(left), types::Jsonb(right)))
            })
            .collect(),
        (Data::Composed(x), Data::Composed(y)) => (0..len)
            .map(|row| {
                let order = x[if ac { 0 } else { row }].cmp(&y[if bc { 0 } else { row }]);
                comparison(OP).holds(order)
            })
            .collect(),
        (x, y) => {
            return Err(Error::internal(format!(
                "comparison of {:?} with {:?} vectors",
                x.physical(),
                y.physical()
            )));
        }
    })
}

fn compare_decimals<const OP: u8>(
    (sx, x): (u16, Column<'_, i64>),
    (sy, y): (u16, Column<'_, i64>),
    len: usize,
) -> Vec<bool> {
    if sx == sy {
        return zip(x, y, len, test::<i64, OP>);
    }
    // A constant takes the column's scale when it fits there exactly.
    if y.constant
        && sy < sx
        && let Some(rescaled) = rescale_up(y.values[0], sx - sy)
    {
        return zip(x, Column { values: &[rescaled], constant: true }, len, test::<i64, OP>);
    }
    if x.constant
        && sx < sy
        && let Some(rescaled) = rescale_up(x.values[0], sy - sx)
    {
        return zip(Column { values: &[rescaled], constant: true }, y, len, test::<i64, OP>);
    }
    let (up_x, up_y) = (sy.saturating_sub(sx), sx.saturating_sub(sy));
    match (power_of_ten(up_x), power_of_ten(up_y)) {
        (Some(fx), Some(fy)) => {
            zip(x, y, len, |x, y| test::<i128, OP>(i128::from(x) * fx, i128::from(y) * fy))
        }
        _ => (0..len)
            .map(|row| {
                let left = Numeric::new(i128::from(x.at(row)), sx);
                comparison(OP).holds(left.cmp(&Numeric::new(i128::from(y.at(row)), sy)))
            })
            .collect(),
    }
}

/// `value * 10^digits` if it fits.
pub(crate) fn rescale_up(value: i64, digits: u16) -> Option<i64> {
    10i64.checked_pow(u32::from(digits)).and_then(|factor| value.checked_mul(factor))
}

/// 10^digits when a product with any i64 stays an i128.
pub(crate) fn power_of_ten(digits: u16) -> Option<i128> {
    if digits <= 18 { 10i128.checked_pow(u32::from(digits)) } else { None }
}

fn compare_numerics<const OP: u8>(a: &Vector, b: &Vector, len: usize) -> Vec<bool> {
    // The common case of one general constant is converted once.
    if b.is_constant() {
        let right = numeric_at(b, 0);
        return (0..len).map(|row| comparison(OP).holds(numeric_at(a, row).cmp(&right))).collect();
    }
    (0..len).map(|row| comparison(OP).holds(numeric_at(a, row).cmp(&numeric_at(b, row)))).collect()
}

fn compare_strings<const OP: u8>(x: &Strings, xc: bool, y: &Strings, yc: bool, len: usize) -> Vec<bool> {
    if yc && !xc {
        let right = y.get(0);
        return match OP {
            EQ => (0..len).map(|row| x.get(row) == right).collect(),
            NE => (0..len).map(|row| x.get(row) != right).collect(),
            _ => (0..len).map(|row| comparison(OP).holds(x.get(row).cmp(right))).collect(),
        };
    }
    (0..len)
        .map(|row| {
            let (left, right) = (x.get(if xc { 0 } else { row }), y.get(if yc { 0 } else { row }));
            match OP {
                EQ => left == right,
                NE => left != right,
                _ => comparison(OP).holds(left.cmp(right)),
            }
        })
        .collect()
}

/// The order of two rows' values, neither NULL.
pub(crate) fn order_at(a: &Vector, row_a: usize, b: &Vector, row_b: usize) -> Ordering {
    let (i, j) = (a.index(row_a), b.index(row_b));
    match (a.data(), b.data()) {
        (Data::Int16(x), Data::Int16(y)) => x[i].cmp(&y[j]),
        (Data::Int32(x), Data::Int32(y)) => x[i].cmp(&y[j]),
        (Data::Int64(x), Data::Int64(y)) => x[i].cmp(&y[j]),
        (Data::Float64(x), Data::Float64(y)) => compare_floats(x[i], y[j]),
        (Data::Decimal { scale: sx, values: x }, Data::Decimal { scale: sy, values: y }) if sx == sy => {
            x[i].cmp(&y[j])
        }
        (Data::Text(x) | Data::Bytea(x), Data::Text(y) | Data::Bytea(y)) => x.get(i).cmp(y.get(j)),
        _ => a.value(row_a).cmp(&b.value(row_b)),
    }
}

/// −1, 0, 1 for sorting: `btint4cmp` and its kin.
fn three_way(args: &Args<'_>) -> Result<Vector> {
    let (a, b) = (args.arg(0)?, args.arg(1)?);
    args.build(|row| Ok(order_at(a, row, b, row) as i32))
}

fn pick<const LARGER: bool>(args: &Args<'_>) -> Result<Vector> {
    let (a, b) = (args.arg(0)?, args.arg(1)?);
    args.build_values(|row| {
        let order = order_at(a, row, b, row);
        let first = if LARGER { order.is_ge() } else { order.is_le() };
        Ok(if first { a.value(row) } else { b.value(row) })
    })
}

// date against timestamp: a date is its midnight, infinities stay infinite.

fn date_micros(date: i32) -> i128 {
    match date {
        i32::MAX => i128::MAX,
        i32::MIN => i128::MIN,
        days => i128::from(days) * 86_400_000_000,
    }
}

fn timestamp_micros(timestamp: i64) -> i128 {
    match timestamp {
        i64::MAX => i128::MAX,
        i64::MIN => i128::MIN,
        micros => i128::from(micros),
    }
}

/// Microseconds of either side, in the zone's local time where a timestamptz meets a local one.
fn moment(args: &Args<'_>, position: usize, other: types::DataType) -> impl Fn(usize) -> i128 {
    use types::DataType;
    let own = args.types.get(position).copied().unwrap_or(DataType::TIMESTAMP);
    let zoned = other.oid == DataType::TIMESTAMPTZ.oid && own.oid != DataType::TIMESTAMPTZ.oid;
    move |row| {
        let local = if own.oid == DataType::DATE.oid {
            date_micros(args.i32(position, row))
        } else {
            timestamp_micros(args.int(position, row))
        };
        match i64::try_from(local) {
            Ok(micros) if zoned => {
                local - i128::from(args.cx.text.time_zone.offset_at_local(micros)) * 1_000_000
            }
            _ => local,
        }
    }
}

fn compare_moments<const OP: u8>(args: &Args<'_>) -> Result<Vector> {
    let type_of = |position: usize| args.types.get(position).copied().unwrap_or(types::DataType::TIMESTAMP);
    let is_date = |position: usize| type_of(position).oid == types::DataType::DATE.oid;
    if (is_date(0) || is_date(1))
        && let Some(vector) = super::datetime::compare_dates(args, comparison(OP), is_date(1))?
    {
        return Ok(vector);
    }
    let left = moment(args, 0, type_of(1));
    let right = moment(args, 1, type_of(0));
    args.build(|row| Ok(test::<i128, OP>(left(row), right(row))))
}

/// `IS [NOT] DISTINCT FROM`: NULLs compare like values.
pub(crate) fn distinct(a: &Vector, b: &Vector, len: usize) -> Result<Vec<bool>> {
    let mut differs = if a.has_nulls() && a.is_constant() || b.has_nulls() && b.is_constant() {
        vec![false; len]
    } else {
        compare_vectors::<NE>(a, b, len)?
    };
    if a.validity().is_all() && b.validity().is_all() {
        return Ok(differs);
    }
    for (row, differ) in differs.iter_mut().enumerate() {
        match (a.is_null(row), b.is_null(row)) {
            (true, true) => *differ = false,
            (false, false) => {}
            _ => *differ = true,
        }
    }
    Ok(differs)
}

/// True where the mask of a boolean vector is set and valid.
pub(crate) fn true_rows(values: &[bool], validity: &Validity, constant: bool, len: usize) -> Vec<u32> {
    if constant {
        let all = values.first() == Some(&true) && validity.is_valid(0);
        return if all { (0..len as u32).collect() } else { Vec::new() };
    }
    let mut rows = vec![0u32; len];
    let mut count = 0;
    if validity.is_all() {
        for (row, &value) in values[..len].iter().enumerate() {
            rows[count] = row as u32;
            count += usize::from(value);
        }
    } else {
        for (row, &value) in values[..len].iter().enumerate() {
            rows[count] = row as u32;
            count += usize::from(value & validity.is_valid(row));
        }
    }
    rows.truncate(count);
    rows
}

macro_rules! six {
    ($($eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal;)*) => {
        [$(
            ($eq, compare::<EQ> as Kernel), ($ne, compare::<NE>), ($lt, compare::<LT>),
            ($le, compare::<LE>), ($gt, compare::<GT>), ($ge, compare::<GE>),
        )*]
    };
}

macro_rules! six_moments {
    ($($eq:literal $ne:literal $lt:literal $le:literal $gt:literal $ge:literal;)*) => {
        [$(
            ($eq, compare_moments::<EQ> as Kernel), ($ne, compare_moments::<NE>), ($lt, compare_moments::<LT>),
            ($le, compare_moments::<LE>), ($gt, compare_moments::<GT>), ($ge, compare_moments::<GE>),
        )*]
    };
}

pub(crate) static OPERATORS: &[(&str, Kernel)] = &six! {
    "booleq" "boolne" "boollt" "boolle" "boolgt" "boolge";
    "int2eq" "int2ne" "int2lt" "int2le" "int2gt" "int2ge";
    "int4eq" "int4ne" "int4lt" "int4le" "int4gt" "int4ge";
    "int8eq" "int8ne" "int8lt" "int8le" "int8gt" "int8ge";
    "int24eq" "int24ne" "int24lt" "int24le" "int24gt" "int24ge";
    "int42eq" "int42ne" "int42lt" "int42le" "int42gt" "int42ge";
    "int28eq" "int28ne" "int28lt" "int28le" "int28gt" "int28ge";
    "int82eq" "int82ne" "int82lt" "int82le" "int82gt" "int82ge";
    "int48eq" "int48ne" "int48lt" "int48le" "int48gt" "int48ge";
    "int84eq" "int84ne" "int84lt" "int84le" "int84gt" "int84ge";
    "float4eq" "float4ne" "float4lt" "float4le" "float4gt" "float4ge";
    "float8eq" "float8ne" "float8lt" "float8le" "float8gt" "float8ge";
    "float48eq" "float48ne" "float48lt" "float48le" "float48gt" "float48ge";
    "float84eq" "float84ne" "float84lt" "float84le" "float84gt" "float84ge";
    "numeric_eq" "numeric_ne" "numeric_lt" "numeric_le" "numeric_gt" "numeric_ge";
    "texteq" "textne" "text_lt" "text_le" "text_gt" "text_ge";
    "bpchareq" "bpcharne" "bpcharlt" "bpcharle" "bpchargt" "bpcharge";
    "nameeq" "namene" "namelt" "namele" "namegt" "namege";
    "chareq" "charne" "charlt" "charle" "chargt" "charge";
    "byteaeq" "byteane" "bytealt" "byteale" "byteagt" "byteage";
    "date_eq" "date_ne" "date_lt" "date_le" "date_gt" "date_ge";
    "time_eq" "time_ne" "time_lt" "time_le" "time_gt" "time_ge";
    "timestamp_eq" "timestamp_ne" "timestamp_lt" "timestamp_le" "timestamp_gt" "timestamp_ge";
    "interval_eq" "interval_ne" "interval_lt" "interval_le" "interval_gt" "interval_ge";
    "oideq" "oidne" "oidlt" "oidle" "oidgt" "oidge";
    "uuid_eq" "uuid_ne" "uuid_lt" "uuid_le" "uuid_gt" "uuid_ge";
    "jsonb_eq" "jsonb_ne" "jsonb_lt" "jsonb_le" "jsonb_gt" "jsonb_ge";
    "array_eq" "array_ne" "array_lt" "array_le" "array_gt" "array_ge";
    "record_eq" "record_ne" "record_lt" "record_le" "record_gt" "record_ge";
};

pub(crate) static MIXED: &[(&str, Kernel)] = &six! {
    "text_pattern_eq" "text_pattern_ne" "text_pattern_lt" "text_pattern_le" "text_pattern_gt" "text_pattern_ge";
    "nameeqtext" "namenetext" "namelttext" "nameletext" "namegttext" "namegetext";
    "texteqname" "textnename" "textltname" "textlename" "textgtname" "textgename";
    "oidvectoreq" "oidvectorne" "oidvectorlt" "oidvectorle" "oidvectorgt" "oidvectorge";
};

pub(crate) static MOMENTS: &[(&str, Kernel)] = &six_moments! {
    "date_eq_timestamp" "date_ne_timestamp" "date_lt_timestamp" "date_le_timestamp" "date_gt_timestamp" "date_ge_timestamp";
    "timestamp_eq_date" "timestamp_ne_date" "timestamp_lt_date" "timestamp_le_date" "timestamp_gt_date" "timestamp_ge_date";
    "date_eq_timestamptz" "date_ne_timestamptz" "date_lt_timestamptz" "date_le_timestamptz" "date_gt_timestamptz" "date_ge_timestamptz";
    "timestamptz_eq_date" "timestamptz_ne_date" "timestamptz_lt_date" "timestamptz_le_date" "timestamptz_gt_date" "timestamptz_ge_date";
    "timestamp_eq_timestamptz" "timestamp_ne_timestamptz" "timestamp_lt_timestamptz" "timestamp_le_timestamptz" "timestamp_gt_timestamptz" "timestamp_ge_timestamptz";
    "timestamptz_eq_timestamp" "timestamptz_ne_timestamp" "timestamptz_lt_timestamp" "timestamptz_le_timestamp" "timestamptz_gt_timestamp" "timestamptz_ge_timestamp";
};

pub(crate) static OTHERS: &[(&str, Kernel)] = &[
    ("xideq", compare::<EQ>),
    ("xidneq", compare::<NE>),
    ("cideq", compare::<EQ>),
    ("tideq", compare::<EQ>),
    ("tidne", compare::<NE>),
    ("btint2cmp", three_way),
    ("btint4cmp", three_way),
    ("btint8cmp", three_way),
    ("btfloat4cmp", three_way),
    ("btfloat8cmp", three_way),
    ("bttextcmp", three_way),
    ("btnamecmp", three_way),
    ("btoidcmp", three_way),
    ("btboolcmp", three_way),
    ("bpcharcmp", three_way),
    ("byteacmp", three_way),
    ("date_cmp", three_way),
    ("time_cmp", three_way),
    ("timestamp_cmp", three_way),
    ("interval_cmp", three_way),
    ("numeric_cmp", three_way),
    ("uuid_cmp", three_way),
    ("jsonb_cmp", three_way),
    ("btarraycmp", three_way),
    ("btrecordcmp", three_way),
    ("int2larger", pick::<true>),
    ("int2smaller", pick::<false>),
    ("int4larger", pick::<true>),
    ("int4smaller", pick::<false>),
    ("int8larger", pick::<true>),
    ("int8smaller", pick::<false>),
    ("float4larger", pick::<true>),
    ("float4smaller", pick::<false>),
    ("float8larger", pick::<true>),
    ("float8smaller", pick::<false>),
    ("numeric_larger", pick::<true>),
    ("numeric_smaller", pick::<false>),
    ("text_larger", pick::<true>),
    ("text_smaller", pick::<false>),
    ("date_larger", pick::<true>),
    ("date_smaller", pick::<false>),
    ("timestamp_larger", pick::<true>),
    ("timestamp_smaller", pick::<false>),
    ("interval_larger", pick::<true>),
    ("interval_smaller", pick::<false>),
    ("time_larger", pick::<true>),
    ("time_smaller", pick::<false>),
];
