//! Mathematical functions on double precision, random numbers, and a few on integers.

use types::{Error, Result, SqlState, Vector};

use crate::function::{Args, Kernel};

fn domain(code: SqlState, message: &str) -> Error {
    Error::new(code, message)
}

fn out_of_range_input() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

/// Overflow when infinite out of finite input, underflow when zero out of non-zero.
fn checked(value: f64, finite_input: bool, nonzero: bool) -> Result<f64> {
    let error = |what: &str| {
        Err(Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("value out of range: {what}")))
    };
    if value.is_infinite() && finite_input {
        return error("overflow");
    }
    if value == 0.0 && nonzero {
        return error("underflow");
    }
    Ok(value)
}

fn unary(args: &Args<'_>, f: impl Fn(f64) -> Result<f64>) -> Result<Vector> {
    args.build(|row| f(args.f64(0, row)))
}

fn power(args: &Args<'_>) -> Result<Vector> {
    args.build(|row| {
        let (base, exponent) = (args.f64(0, row), args.f64(1, row));
        let bad = |message: &str| Err(domain(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
        if base == 0.0 && exponent < 0.0 {
            return bad("zero raised to a negative power is undefined");
        }
        if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
            return bad("a negative number raised to a non-integer power yields a complex result");
        }
        let finite = base.is_finite() && exponent.is_finite();
        checked(base.powf(exponent), finite, finite && base != 0.0)
    })
}

fn logarithm(args: &Args<'_>, f: fn(f64) -> f64) -> Result<Vector> {
    unary(args, |x| {
        if x == 0.0 {
            return Err(domain(SqlState::INVALID_ARGUMENT_FOR_LOG, "cannot take logarithm of zero"));
        }
        if x < 0.0 {
            return Err(domain(
                SqlState::INVALID_ARGUMENT_FOR_LOG,
                "cannot take logarithm of a negative number",
            ));
        }
        Ok(f(x))
    })
}

/// Trigonometric functions refuse infinities.
fn trigonometric(args: &Args<'_>, f: fn(f64) -> f64) -> Result<Vector> {
    unary(args, |x| if x.is_infinite() { Err(out_of_range_input()) } else { Ok(f(x)) })
}

/// Inverse functions of −1 … 1.
fn inverse(args: &Args<'_>, f: fn(f64) -> f64) -> Result<Vector> {
    unary(
        args,
        |x| if (-1.0..=1.0).contains(&x) || x.is_nan() { Ok(f(x)) } else { Err(out_of_range_input()) },
    )
}

/// Sine of degrees, exact at multiples of 30 where the answer is.
fn sin_degrees(x: f64) -> f64 {
    let turned = x % 360.0;
    let (sign, angle) = if turned < 0.0 { (-1.0, -turned) } else { (1.0, turned) };
    let (sign, angle) = if angle > 180.0 { (-sign, angle - 180.0) } else { (sign, angle) };
    let angle = if angle > 90.0 { 180.0 - angle } else { angle };
    let value = if angle == 30.0 {
        0.5
    } else if angle == 90.0 {
        1.0
    } else if angle == 0.0 {
        0.0
    } else {
        angle.to_radians().sin()
    };
    sign * value
}

fn cos_degrees(x: f64) -> f64 {
    let angle = (x % 360.0).abs();
    let angle = if angle > 180.0 { 360.0 - angle } else { angle };
    let (sign, angle) = if angle > 90.0 { (-1.0, 180.0 - angle) } else { (1.0, angle) };
    let value = if angle == 60.0 {
        0.5
    } else if angle == 0.0 {
        1.0
    } else if angle == 90.0 {
        0.0
    } else {
        angle.to_radians().cos()
    };
    sign * value
}

fn tan_degrees(x: f64) -> f64 {
    let angle = x % 180.0;
    if angle == 45.0 || angle == -135.0 {
        1.0
    } else if angle == -45.0 || angle == 135.0 {
        -1.0
    } else {
        sin_degrees(x) / cos_degrees(x)
    }
}

fn cot_degrees(x: f64) -> f64 {
    let angle = x % 180.0;
    if angle == 45.0 || angle == -135.0 {
        1.0
    } else if angle == -45.0 || angle == 135.0 {
        -1.0
    } else {
        cos_degrees(x) / sin_degrees(x)
    }
}

fn asin_degrees(x: f64) -> f64 {
    match x {
        0.5 => 30.0,
        -0.5 => -30.0,
        _ => x.asin().to_degrees(),
    }
}

fn acos_degrees(x: f64) -> f64 {
    match x {
        0.5 => 60.0,
        -0.5 => 120.0,
        _ => x.acos().to_degrees(),
    }
}

fn random(args: &Args<'_>) -> Result<Vector> {
    args.build(|_| Ok(args.cx.random()))
}

fn set_seed(args: &Args<'_>) -> Result<Vector> {
    args.build_text(|row, _| {
        let seed = args.f64(0, row);
        if !(-1.0..=1.0).contains(&seed) {
            return Err(Error::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("setseed parameter {seed} is out of allowed range [-1,1]"),
            ));
        }
        args.cx.random_state.set(seed.to_bits());
        Ok(())
    })
}

pub(crate) static KERNELS: &[(&str, Kernel)] = &[
    ("dround", |args| unary(args, |x| Ok(x.round_ties_even()))),
    ("dtrunc", |args| unary(args, |x| Ok(x.trunc()))),
    ("dceil", |args| unary(args, |x| Ok(x.ceil()))),
    ("dfloor", |args| unary(args, |x| Ok(x.floor()))),
    ("dsign", |args| {
        unary(args, |x| {
            Ok(if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            })
        })
    }),
    ("dsqrt", |args| {
        unary(args, |x| {
            if x < 0.0 {
                return Err(domain(
                    SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                    "cannot take square root of a negative number",
                ));
            }
            Ok(x.sqrt())
        })
    }),
    ("dcbrt", |args| unary(args, |x| Ok(x.cbrt()))),
    ("dpow", power),
    ("dexp", |args| unary(args, |x| checked(x.exp(), x.is_finite(), x.is_finite()))),
    ("dlog1", |args| logarithm(args, f64::ln)),
    ("dlog10", |args| logarithm(args, f64::log10)),
    ("dsin", |args| trigonometric(args, f64::sin)),
    ("dcos", |args| trigonometric(args, f64::cos)),
    ("dtan", |args| trigonometric(args, f64::tan)),
    ("dcot", |args| trigonometric(args, |x| 1.0 / x.tan())),
    ("dasin", |args| inverse(args, f64::asin)),
    ("dacos", |args| inverse(args, f64::acos)),
    ("datan", |args| unary(args, |x| Ok(x.atan()))),
    ("datan2", |args| args.build(|row| Ok(args.f64(0, row).atan2(args.f64(1, row))))),
    ("dsind", |args| trigonometric(args, sin_degrees)),
    ("dcosd", |args| trigonometric(args, cos_degrees)),
    ("dtand", |args| trigonometric(args, tan_degrees)),
    ("dcotd", |args| trigonometric(args, cot_degrees)),
    ("dasind", |args| inverse(args, asin_degrees)),
    ("dacosd", |args| inverse(args, acos_degrees)),
    ("datand", |args| {
        unary(args, |x| {
            Ok(match x {
                1.0 => 45.0,
                -1.0 => -45.0,
                _ => x.atan().to_degrees(),
            })
        })
    }),
    ("datan2d", |args| args.build(|row| Ok(args.f64(0, row).atan2(args.f64(1, row)).to_degrees()))),
    ("dsinh", |args| unary(args, |x| Ok(x.sinh()))),
    ("dcosh", |args| unary(args, |x| Ok(x.cosh()))),
    ("dtanh", |args| unary(args, |x| Ok(x.tanh()))),
    ("dasinh", |args| unary(args, |x| Ok(x.asinh()))),
    ("dacosh", |args| unary(args, |x| if x < 1.0 { Err(out_of_range_input()) } else { Ok(x.acosh()) })),
    ("datanh", |args| inverse(args, f64::atanh)),
    ("degrees", |args| unary(args, |x| checked(x.to_degrees(), x.is_finite(), false))),
    ("radians", |args| unary(args, |x| Ok(x.to_radians()))),
    ("dpi", |args| args.build(|_| Ok(std::f64::consts::PI))),
    ("drandom", random),
    ("setseed", set_seed),
];
