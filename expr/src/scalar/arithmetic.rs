//! + − * / % and their kin on integers, floats and numerics.
//!
//! Integer loops gather an overflow flag and only look again when it is set. Decimals that lie as
//! scaled 64-bit integers stay so while the result fits; else the batch is done in `Numeric`.

use types::{Data, Error, Numeric, Result, SqlState, Validity, Vector};

use super::args::{Column, N, both_valid, i16s, i32s, i64s, map, numeric_at, zip};
use super::compare::rescale_up;
use crate::function::{Args, Kernel};

pub(crate) fn out_of_range(what: &str) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{what} out of range"))
}

pub(crate) fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

/// An integer type's arithmetic, by checked and overflowing operations.
trait Integer: Copy + Default + PartialEq + super::args::Native {
    const NAME: &'static str;
    fn overflowing(op: u8, a: Self, b: Self) -> (Self, bool);
    fn checked_div(self, other: Self) -> Option<Self>;
    fn wrapping_rem(self, other: Self) -> Self;
    fn is_zero(self) -> bool;
}

const ADD: u8 = 0;
const SUB: u8 = 1;
const MUL: u8 = 2;

macro_rules! integer {
    ($($type:ident $name:literal),*) => {$(
        impl Integer for $type {
            const NAME: &'static str = $name;
            #[inline(always)]
            fn overflowing(op: u8, a: Self, b: Self) -> (Self, bool) {
                match op {
                    ADD => a.overflowing_add(b),
                    SUB => a.overflowing_sub(b),
                    _ => a.overflowing_mul(b),
                }
            }
            fn checked_div(self, other: Self) -> Option<Self> {
                $type::checked_div(self, other)
            }
            fn wrapping_rem(self, other: Self) -> Self {
                $type::wrapping_rem(self, other)
            }
            fn is_zero(self) -> bool {
                self == 0
            }
        }
    )*};
}

integer!(i16 "smallint", i32 "integer", i64 "bigint");

#[inline]
fn checked<T: Integer, A: Copy + Into<T>, B: Copy + Into<T>, const OP: u8>(
    a: Column<'_, A>,
    b: Column<'_, B>,
    validity: Validity,
    len: usize,
) -> Result<Vector> {
    let mut flag = false;
    let values = zip(a, b, len, |x, y| {
        let (value, overflow) = T::overflowing(OP, x.into(), y.into());
        flag |= overflow;
        value
    });
    if flag {
        // Values under NULLs may overflow as they like.
        let bad =
            |row: usize| validity.is_valid(row) && T::overflowing(OP, a.at(row).into(), b.at(row).into()).1;
        if (0..len).any(bad) {
            return Err(out_of_range(T::NAME));
        }
    }
    Ok(Vector::flat(T::data(values), validity))
}

fn divide<T: Integer, A: Copy + Into<T>, B: Copy + Into<T>>(
    a: Column<'_, A>,
    b: Column<'_, B>,
    validity: Validity,
    len: usize,
) -> Result<Vector> {
    let mut values = Vec::with_capacity(len);
    for row in 0..len {
        let (x, y): (T, T) = (a.at(row).into(), b.at(row).into());
        values.push(match x.checked_div(y) {
            Some(value) => value,
            None if !validity.is_valid(row) => T::default(),
            None if y.is_zero() => return Err(division_by_zero()),
            None => return Err(out_of_range(T::NAME)),
        });
    }
    Ok(Vector::flat(T::data(values), validity))
}

fn remainder<T: Integer>(
    a: Column<'_, T>,
    b: Column<'_, T>,
    validity: Validity,
    len: usize,
) -> Result<Vector> {
    let mut values = Vec::with_capacity(len);
    for row in 0..len {
        let (x, y) = (a.at(row), b.at(row));
        values.push(if !y.is_zero() {
            x.wrapping_rem(y)
        } else if validity.is_valid(row) {
            return Err(division_by_zero());
        } else {
            T::default()
        });
    }
    Ok(Vector::flat(T::data(values), validity))
}

macro_rules! integer_kernels {
    ($($table:ident: $pl:literal $mi:literal $mul:literal $div:literal $left:ident $right:ident $wide:ty;)*) => {
        $(static $table: [(&str, Kernel); 4] = [
            ($pl, |args| {
                let (a, b) = (args.arg(0)?, args.arg(1)?);
                checked::<$wide, _, _, ADD>($left(a)?, $right(b)?, both_valid(a, b), args.len)
            }),
            ($mi, |args| {
                let (a, b) = (args.arg(0)?, args.arg(1)?);
                checked::<$wide, _, _, SUB>($left(a)?, $right(b)?, both_valid(a, b), args.len)
            }),
            ($mul, |args| {
                let (a, b) = (args.arg(0)?, args.arg(1)?);
                checked::<$wide, _, _, MUL>($left(a)?, $right(b)?, both_valid(a, b), args.len)
            }),
            ($div, |args| {
                let (a, b) = (args.arg(0)?, args.arg(1)?);
                divide::<$wide, _, _>($left(a)?, $right(b)?, both_valid(a, b), args.len)
            }),
        ];)*
        pub(crate) static INTEGERS: &[&[(&str, Kernel)]] = &[$(&$table),*];
    };
}

integer_kernels! {
    INT2: "int2pl" "int2mi" "int2mul" "int2div" i16s i16s i16;
    INT4: "int4pl" "int4mi" "int4mul" "int4div" i32s i32s i32;
    INT8: "int8pl" "int8mi" "int8mul" "int8div" i64s i64s i64;
    INT24: "int24pl" "int24mi" "int24mul" "int24div" i16s i32s i32;
    INT42: "int42pl" "int42mi" "int42mul" "int42div" i32s i16s i32;
    INT28: "int28pl" "int28mi" "int28mul" "int28div" i16s i64s i64;
    INT82: "int82pl" "int82mi" "int82mul" "int82div" i64s i16s i64;
    INT48: "int48pl" "int48mi" "int48mul" "int48div" i32s i64s i64;
    INT84: "int84pl" "int84mi" "int84mul" "int84div" i64s i32s i64;
}

macro_rules! int_mod {
    ($column:ident) => {
        |args| {
            let (a, b) = (args.arg(0)?, args.arg(1)?);
            remainder($column(a)?, $column(b)?, both_valid(a, b), args.len)
        }
    };
}

/// A result for each row, or the type's out-of-range error where there is none.
macro_rules! int_unary {
    ($column:ident, $name:literal, $f:expr) => {
        |args| {
            let values = $column(args.arg(0)?)?;
            args.build(|row| $f(values.at(row)).ok_or_else(|| out_of_range($name)))
        }
    };
}

macro_rules! int_binary {
    ($column:ident, $f:expr) => {
        |args| {
            let (a, b) = (args.arg(0)?, args.arg(1)?);
            Ok(Vector::flat(
                super::args::Native::data(zip($column(a)?, $column(b)?, args.len, $f)),
                both_valid(a, b),
            ))
        }
    };
}

// Floats: infinity out of finite arguments is an overflow, zero out of non-zero ones an underflow.

fn float_result(value: f64, infinite_input: bool, underflow: bool) -> Result<f64> {
    if value.is_infinite() && !infinite_input {
        return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    if underflow {
        return Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow"));
    }
    Ok(value)
}

fn float_op<const OP: u8>(a: f64, b: f64, single: bool) -> Result<f64> {
    let narrow = |value: f64| if single { f64::from(value as f32) } else { value };
    let infinite = a.is_infinite() || b.is_infinite();
    match OP {
        ADD => float_result(narrow(a + b), infinite, false),
        SUB => float_result(narrow(a - b), infinite, false),
        MUL => {
            let value = narrow(a * b);
            float_result(value, infinite, value == 0.0 && a != 0.0 && b != 0.0)
        }
        _ => {
            if b == 0.0 && !a.is_nan() {
                return Err(division_by_zero());
            }
            let value = narrow(a / b);
            float_result(value, a.is_infinite(), value == 0.0 && a != 0.0 && !b.is_infinite())
        }
    }
}

fn float8<const OP: u8>(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| float_op::<OP>(args.f64(0, row), args.f64(1, row), false))
}

fn float4<const OP: u8>(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| float_op::<OP>(args.f64(0, row), args.f64(1, row), true).map(|value| value as f32))
}

const DIV: u8 = 3;

// Numerics.

fn decimal(vector: &Vector) -> Option<(u16, Column<'_, i64>)> {
    match vector.data() {
        Data::Decimal { scale, values } => Some((*scale, Column { values, constant: vector.is_constant() })),
        _ => None,
    }
}

fn general(args: &Args<'_>, f: impl Fn(&Numeric, &Numeric) -> Result<Numeric>) -> Result<Vector> {
    let (a, b) = (args.arg(0)?, args.arg(1)?);
    args.build(|row| f(&numeric_at(a, row), &numeric_at(b, row)).map(N))
}

/// Addition or subtraction of scaled integers at the larger scale; None when something overflows.
fn add_decimals<const OP: u8>(a: &Vector, b: &Vector, len: usize) -> Option<Vector> {
    let (sa, x) = decimal(a)?;
    let (sb, y) = decimal(b)?;
    let scale = sa.max(sb);
    let mut flag = false;
    let values = if sa == sb {
        zip(x, y, len, |x, y| {
            let (value, overflow) = i64::overflowing(OP, x, y);
            flag |= overflow;
            value
        })
    } else {
        let fa = rescale_up(1, scale - sa)?;
        let fb = rescale_up(1, scale - sb)?;
        zip(x, y, len, |x, y| {
            let (x, o1) = x.overflowing_mul(fa);
            let (y, o2) = y.overflowing_mul(fb);
            let (value, o3) = i64::overflowing(OP, x, y);
            flag |= o1 | o2 | o3;
            value
        })
    };
    if flag {
        return None;
    }
    Some(Vector::flat(Data::Decimal { scale, values }, both_valid(a, b)))
}

fn numeric_add(args: &Args<'_>) -> Result<Vector> {
    match add_decimals::<ADD>(args.arg(0)?, args.arg(1)?, args.len) {
        Some(vector) => Ok(vector),
        None => general(args, Numeric::add),
    }
}

fn numeric_sub(args: &Args<'_>) -> Result<Vector> {
    match add_decimals::<SUB>(args.arg(0)?, args.arg(1)?, args.len) {
        Some(vector) => Ok(vector),
        None => general(args, Numeric::sub),
    }
}

fn multiply_decimals(a: &Vector, b: &Vector, len: usize) -> Option<Vector> {
    let (sa, x) = decimal(a)?;
    let (sb, y) = decimal(b)?;
    let scale = sa.checked_add(sb).filter(|&scale| scale <= 18)?;
    let mut flag = false;
    let values = zip(x, y, len, |x, y| {
        let (value, overflow) = x.overflowing_mul(y);
        flag |= overflow;
        value
    });
    if flag {
        return None;
    }
    Some(Vector::flat(Data::Decimal { scale, values }, both_valid(a, b)))
}

fn numeric_mul(args: &Args<'_>) -> Result<Vector> {
    match multiply_decimals(args.arg(0)?, args.arg(1)?, args.len) {
        Some(vector) => Ok(vector),
        None => general(args, Numeric::mul),
    }
}

fn numeric_uminus(args: &Args<'_>) -> Result<Vector> {
    let a = args.arg(0)?;
    if let Some((scale, column)) = decimal(a)
        && !column.values.contains(&i64::MIN)
    {
        let values = map(column, args.len, |x: i64| x.wrapping_neg());
        return Ok(Vector::flat(Data::Decimal { scale, values }, args.validity()));
    }
    args.build(|row| Ok(N(numeric_at(a, row).neg())))
}

fn numeric_unary(args: &Args<'_>, f: impl Fn(&Numeric) -> Result<Numeric>) -> Result<Vector> {
    let a = args.arg(0)?;
    args.build(|row| f(&numeric_at(a, row)).map(N))
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.abs()
}

fn lcm(a: i128, b: i128) -> i128 {
    if a == 0 || b == 0 { 0 } else { (a / gcd(a, b) * b).abs() }
}

/// width_bucket(operand, low, high, count). 2201G for a bad count or bounds.
fn width_bucket(args: &Args<'_>) -> Result<Vector> {
    let bad = |message: &str| Error::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET, message);
    let float = args.function.source == "width_bucket_float8";
    args.build(|row| {
        let count = args.int(3, row);
        if count <= 0 {
            return Err(bad("count must be greater than zero"));
        }
        let bucket = if float {
            let (operand, low, high) = (args.f64(0, row), args.f64(1, row), args.f64(2, row));
            if operand.is_nan() || low.is_nan() || high.is_nan() {
                return Err(bad("operand, lower bound, and upper bound cannot be NaN"));
            }
            if low.is_infinite() || high.is_infinite() {
                return Err(bad("lower and upper bounds must be finite"));
            }
            if low == high {
                return Err(bad("lower bound cannot equal upper bound"));
            }
            let (position, span) =
                if low < high { (operand - low, high - low) } else { (low - operand, low - high) };
            if position < 0.0 {
                0
            } else if position >= span {
                count + 1
            } else {
                ((count as f64 * (position / span)) as i64).min(count - 1) + 1
            }
        } else {
            let (operand, low, high) = (args.numeric(0, row), args.numeric(1, row), args.numeric(2, row));
            if operand.is_nan() || low.is_nan() || high.is_nan() {
                return Err(bad("operand, lower bound, and upper bound cannot be NaN"));
            }
            if !low.is_finite() || !high.is_finite() {
                return Err(bad("lower and upper bounds must be finite"));
            }
            if low == high {
                return Err(bad("lower bound cannot equal upper bound"));
            }
            let ascending = low < high;
            let before = if ascending { operand < low } else { operand > low };
            let after = if ascending { operand >= high } else { operand <= high };
            if before {
                0
            } else if after {
                count + 1
            } else {
                let (position, span) = if ascending {
                    (operand.sub(&low)?, high.sub(&low)?)
                } else {
                    (low.sub(&operand)?, low.sub(&high)?)
                };
                position.mul(&Numeric::from(count))?.div_trunc(&span)?.to_i64()? + 1
            }
        };
        i32::try_from(bucket).map_err(|_| out_of_range("integer"))
    })
}

pub(crate) static OTHERS: &[(&str, Kernel)] = &[
    ("int2mod", int_mod!(i16s)),
    ("int4mod", int_mod!(i32s)),
    ("int8mod", int_mod!(i64s)),
    ("int2um", int_unary!(i16s, "smallint", i16::checked_neg)),
    ("int4um", int_unary!(i32s, "integer", i32::checked_neg)),
    ("int8um", int_unary!(i64s, "bigint", i64::checked_neg)),
    ("int2abs", int_unary!(i16s, "smallint", i16::checked_abs)),
    ("int4abs", int_unary!(i32s, "integer", i32::checked_abs)),
    ("int8abs", int_unary!(i64s, "bigint", i64::checked_abs)),
    ("int2up", int_unary!(i16s, "smallint", Some)),
    ("int4up", int_unary!(i32s, "integer", Some)),
    ("int8up", int_unary!(i64s, "bigint", Some)),
    ("int4inc", int_unary!(i32s, "integer", |x: i32| x.checked_add(1))),
    ("int8inc", int_unary!(i64s, "bigint", |x: i64| x.checked_add(1))),
    ("int2not", int_unary!(i16s, "smallint", |x: i16| Some(!x))),
    ("int4not", int_unary!(i32s, "integer", |x: i32| Some(!x))),
    ("int8not", int_unary!(i64s, "bigint", |x: i64| Some(!x))),
    ("int2and", int_binary!(i16s, |x: i16, y: i16| x & y)),
    ("int4and", int_binary!(i32s, |x: i32, y: i32| x & y)),
    ("int8and", int_binary!(i64s, |x: i64, y: i64| x & y)),
    ("int2or", int_binary!(i16s, |x: i16, y: i16| x | y)),
    ("int4or", int_binary!(i32s, |x: i32, y: i32| x | y)),
    ("int8or", int_binary!(i64s, |x: i64, y: i64| x | y)),
    ("int2xor", int_binary!(i16s, |x: i16, y: i16| x ^ y)),
    ("int4xor", int_binary!(i32s, |x: i32, y: i32| x ^ y)),
    ("int8xor", int_binary!(i64s, |x: i64, y: i64| x ^ y)),
    ("int2shl", |args| {
        args.build(|row| Ok(((args.i32(0, row)).wrapping_shl(args.i32(1, row) as u32)) as i16))
    }),
    ("int2shr", |args| {
        args.build(|row| Ok(((args.i32(0, row)).wrapping_shr(args.i32(1, row) as u32)) as i16))
    }),
    ("int4shl", |args| args.build(|row| Ok(args.i32(0, row).wrapping_shl(args.i32(1, row) as u32)))),
    ("int4shr", |args| args.build(|row| Ok(args.i32(0, row).wrapping_shr(args.i32(1, row) as u32)))),
    ("int8shl", |args| args.build(|row| Ok(args.int(0, row).wrapping_shl(args.i32(1, row) as u32)))),
    ("int8shr", |args| args.build(|row| Ok(args.int(0, row).wrapping_shr(args.i32(1, row) as u32)))),
    ("int4gcd", |args| {
        args.build(|row| {
            let value = gcd(i128::from(args.int(0, row)), i128::from(args.int(1, row)));
            i32::try_from(value).map_err(|_| out_of_range("integer"))
        })
    }),
    ("int8gcd", |args| {
        args.build(|row| {
            let value = gcd(i128::from(args.int(0, row)), i128::from(args.int(1, row)));
            i64::try_from(value).map_err(|_| out_of_range("bigint"))
        })
    }),
    ("int4lcm", |args| {
        args.build(|row| {
            let value = lcm(i128::from(args.int(0, row)), i128::from(args.int(1, row)));
            i32::try_from(value).map_err(|_| out_of_range("integer"))
        })
    }),
    ("int8lcm", |args| {
        args.build(|row| {
            let value = lcm(i128::from(args.int(0, row)), i128::from(args.int(1, row)));
            i64::try_from(value).map_err(|_| out_of_range("bigint"))
        })
    }),
    ("float8pl", float8::<ADD>),
    ("float8mi", float8::<SUB>),
    ("float8mul", float8::<MUL>),
    ("float8div", float8::<DIV>),
    ("float48pl", float8::<ADD>),
    ("float48mi", float8::<SUB>),
    ("float48mul", float8::<MUL>),
    ("float48div", float8::<DIV>),
    ("float84pl", float8::<ADD>),
    ("float84mi", float8::<SUB>),
    ("float84mul", float8::<MUL>),
    ("float84div", float8::<DIV>),
    ("float4pl", float4::<ADD>),
    ("float4mi", float4::<SUB>),
    ("float4mul", float4::<MUL>),
    ("float4div", float4::<DIV>),
    ("float8um", |args| args.build(|row| Ok(-args.f64(0, row)))),
    ("float4um", |args| args.build(|row| Ok(-args.f64(0, row) as f32))),
    ("float8up", |args| args.build(|row| Ok(args.f64(0, row)))),
    ("float4up", |args| args.build(|row| Ok(args.f64(0, row) as f32))),
    ("float8abs", |args| args.build(|row| Ok(args.f64(0, row).abs()))),
    ("float4abs", |args| args.build(|row| Ok(args.f64(0, row).abs() as f32))),
    ("numeric_add", numeric_add),
    ("numeric_sub", numeric_sub),
    ("numeric_mul", numeric_mul),
    ("numeric_div", |args| general(args, Numeric::div)),
    ("numeric_div_trunc", |args| general(args, Numeric::div_trunc)),
    ("numeric_mod", |args| general(args, Numeric::rem)),
    ("numeric_power", |args| general(args, Numeric::power)),
    ("numeric_log", |args| general(args, |base, x| x.log(base))),
    ("numeric_gcd", |args| general(args, Numeric::gcd)),
    ("numeric_lcm", |args| general(args, Numeric::lcm)),
    ("numeric_uminus", numeric_uminus),
    ("numeric_uplus", |args| numeric_unary(args, |x| Ok(x.clone()))),
    ("numeric_abs", |args| numeric_unary(args, |x| Ok(x.abs()))),
    ("numeric_sign", |args| numeric_unary(args, |x| Ok(x.sign()))),
    ("numeric_ceil", |args| numeric_unary(args, |x| Ok(x.ceil()))),
    ("numeric_floor", |args| numeric_unary(args, |x| Ok(x.floor()))),
    ("numeric_sqrt", |args| numeric_unary(args, Numeric::sqrt)),
    ("numeric_exp", |args| numeric_unary(args, Numeric::exp)),
    ("numeric_ln", |args| numeric_unary(args, Numeric::ln)),
    ("log10_1481", |args| numeric_unary(args, Numeric::log10)),
    ("log_1741", |args| numeric_unary(args, Numeric::log10)),
    ("round_1708", |args| numeric_unary(args, |x| Ok(x.round(0)))),
    ("trunc_1710", |args| numeric_unary(args, |x| Ok(x.trunc(0)))),
    ("numeric_inc", |args| numeric_unary(args, |x| x.add(&Numeric::from(1)))),
    ("numeric_trim_scale", |args| numeric_unary(args, |x| Ok(x.trim_scale()))),
    ("numeric_round", |args| args.build(|row| Ok(N(args.numeric(0, row).round(args.i32(1, row)))))),
    ("numeric_trunc", |args| args.build(|row| Ok(N(args.numeric(0, row).trunc(args.i32(1, row)))))),
    ("numeric_fac", |args| args.build(|row| Numeric::factorial(args.int(0, row)).map(N))),
    ("numeric_scale", |args| {
        args.build_opt(|row| {
            let value = args.numeric(0, row);
            Ok(value.is_finite().then(|| i32::from(value.scale())))
        })
    }),
    ("numeric_min_scale", |args| {
        args.build_opt(|row| {
            let value = args.numeric(0, row);
            Ok(value.is_finite().then(|| i32::from(value.min_scale())))
        })
    }),
    ("width_bucket_float8", width_bucket),
    ("width_bucket_numeric", width_bucket),
];
