//! NUMERIC's roots, logarithms, powers and integer functions, at PostgreSQL's result scales.
//!
//! Computed in fixed point on [`Magnitude`] with spare digits, then rounded to the scale PostgreSQL would
//! choose. Series stop when a term is below the last digit, so the work is bounded by the digits asked for.

use super::arithmetic::{MAX_RESULT_SCALE, MIN_SIGNIFICANT_DIGITS};
use super::{MAX_INTEGER_DIGITS, Magnitude, Numeric, Parts, overflow, signed};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// `exp` overflows beyond this (PostgreSQL's limit).
const MAX_EXPONENT: f64 = 6000.0;
/// Digits computed beyond those shown.
const GUARD_DIGITS: i64 = 12;

fn power_error(message: &str) -> Error {
    Error::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message.to_string())
}

fn log_error(of: &str) -> Error {
    Error::new(SqlState::INVALID_ARGUMENT_FOR_LOG, format!("cannot take logarithm of {of}"))
}

fn shown(scale: i64) -> i64 {
    scale.clamp(0, MAX_RESULT_SCALE)
}

/// A signed fixed-point number: `±magnitude / 10^scale`, the scale being its user's.
#[derive(Clone)]
struct Fixed {
    negative: bool,
    magnitude: Magnitude,
}

impl Fixed {
    /// `value` at `scale` digits, rounded.
    fn from_numeric(value: &Numeric, scale: i64) -> Fixed {
        let Some(parts) = value.parts() else {
            return Fixed { negative: false, magnitude: Magnitude::zero() };
        };
        let cut = signed(parts.scale) - scale;
        let distance = usize::try_from(cut.unsigned_abs()).unwrap_or(0);
        let magnitude = if cut > 0 {
            parts.magnitude.shift_down_rounded(distance)
        } else {
            parts.magnitude.shift_up(distance)
        };
        Fixed { negative: parts.negative, magnitude }
    }

    fn one(scale: usize) -> Fixed {
        Fixed { negative: false, magnitude: Magnitude::from_u128(1).shift_up(scale) }
    }

    fn add(&self, other: &Fixed) -> Fixed {
        if self.negative == other.negative {
            return Fixed { negative: self.negative, magnitude: self.magnitude.add(&other.magnitude) };
        }
        if self.magnitude >= other.magnitude {
            Fixed { negative: self.negative, magnitude: self.magnitude.sub(&other.magnitude) }
        } else {
            Fixed { negative: other.negative, magnitude: other.magnitude.sub(&self.magnitude) }
        }
    }

    fn sub(&self, other: &Fixed) -> Fixed {
        self.add(&Fixed { negative: !other.negative, magnitude: other.magnitude.clone() })
    }

    fn mul(&self, other: &Fixed, scale: usize) -> Fixed {
        Fixed {
            negative: self.negative != other.negative,
            magnitude: self.magnitude.mul(&other.magnitude).shift_down_rounded(scale),
        }
    }

    fn div(&self, other: &Fixed, scale: usize) -> Fixed {
        Fixed {
            negative: self.negative != other.negative,
            magnitude: self.magnitude.shift_up(scale).div_rounded(&other.magnitude),
        }
    }

    fn div_small(&self, divisor: u32) -> Fixed {
        Fixed { negative: self.negative, magnitude: self.magnitude.divrem_small(divisor).0 }
    }

    fn round_to(&self, scale: usize, wanted: i64) -> Result<Numeric> {
        let wanted = usize::try_from(wanted).map_err(|_| overflow())?;
        let magnitude = if wanted <= scale {
            self.magnitude.shift_down_rounded(scale - wanted)
        } else {
            self.magnitude.shift_up(wanted - scale)
        };
        Numeric::from_parts(Parts { negative: self.negative, magnitude, scale: wanted })
    }
}

fn spare(scale: i64) -> usize {
    usize::try_from(scale.max(0)).unwrap_or(0)
}

/// `2·atanh(z)` by its series, for small z.
fn twice_atanh(z: &Fixed, scale: usize) -> Fixed {
    let square = z.mul(z, scale);
    let mut power = z.clone();
    let mut sum = z.clone();
    for n in (3u32..).step_by(2) {
        power = power.mul(&square, scale);
        let term = power.div_small(n);
        if term.magnitude.is_zero() {
            break;
        }
        sum = sum.add(&term);
    }
    Fixed { negative: sum.negative, magnitude: sum.magnitude.mul_small(2) }
}

/// The natural logarithm of a positive number, to `scale` digits and a few of noise beyond `scale − 8`.
fn ln_fixed(value: &Numeric, scale: i64) -> Fixed {
    let Some(parts) = value.parts() else { return Fixed { negative: false, magnitude: Magnitude::zero() } };
    // x = m · 10^e with m in [0.1, 1): few digits whatever the size of x.
    let exponent = parts.integer_digits();
    let scale = spare(scale);
    let cut = signed(parts.magnitude.decimal_len()) - signed(scale);
    let distance = usize::try_from(cut.unsigned_abs()).unwrap_or(0);
    let near_one = exponent == 0 || exponent == 1;
    let (mantissa, exponent) = if near_one {
        // Close to 1 the logarithm is small: keep every digit and do not add ln 10.
        (Fixed::from_numeric(value, signed(scale)).magnitude, 0)
    } else if cut > 0 {
        (parts.magnitude.shift_down_rounded(distance), exponent)
    } else {
        (parts.magnitude.shift_up(distance), exponent)
    };
    let one = Fixed::one(scale);
    let mut x = Fixed { negative: false, magnitude: mantissa };
    // Towards 1 by square roots; each doubles the result.
    let tenth = one.div_small(10);
    let mut doublings = 0u32;
    loop {
        let difference = x.sub(&one);
        if difference.magnitude <= tenth.magnitude || doublings > 64 {
            break;
        }
        x.magnitude = x.magnitude.shift_up(scale).isqrt();
        doublings += 1;
    }
    let z = x.sub(&one).div(&x.add(&one), scale);
    let mut result = twice_atanh(&z, scale);
    for _ in 0..doublings {
        result.magnitude = result.magnitude.mul_small(2);
    }
    if exponent != 0 {
        let factor = u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX);
        let ten = ln_ten(scale);
        let shift = Fixed { negative: exponent < 0, magnitude: ten.magnitude.mul_small(factor) };
        result = result.add(&shift);
    }
    result
}

/// ln 10 = 46·atanh(1/31) + 34·atanh(1/49) + 20·atanh(1/161).
fn ln_ten(scale: usize) -> Fixed {
    let one = Fixed::one(scale);
    let part = |factor: u32, divisor: u32| {
        let twice = twice_atanh(&one.div_small(divisor), scale);
        Fixed { negative: false, magnitude: twice.magnitude.mul_small(factor / 2) }
    };
    part(46, 31).add(&part(34, 49)).add(&part(20, 161))
}

/// PostgreSQL's estimate of the decimal weight of `ln(value)`.
fn ln_weight(value: &Numeric) -> i64 {
    let near = Numeric::new(9, 1) <= *value && *value <= Numeric::new(11, 1);
    if near {
        return match value.sub(&Numeric::ONE) {
            Ok(difference) if !difference.is_zero() => {
                let (weight, first) = difference.leading();
                weight * 4 + first_digit_weight(first)
            }
            _ => 0,
        };
    }
    if value.is_zero() {
        return 0;
    }
    let (digits, weight) = leading_two(value);
    let estimate = digits.ln() + weight * std::f64::consts::LN_10;
    truncated(estimate.abs().log10())
}

fn first_digit_weight(first: i64) -> i64 {
    truncated((first.max(1) as f64).log10())
}

#[allow(clippy::cast_possible_truncation)]
fn truncated(value: f64) -> i64 {
    value as i64
}

/// The first two base-10⁴ digits as one number, and the decimal weight of its last digit.
fn leading_two(value: &Numeric) -> (f64, f64) {
    let (weight, first) = value.leading();
    let Some(parts) = value.parts() else { return (1.0, 0.0) };
    let digits = parts.magnitude.to_digits();
    let lead = if first >= 1000 {
        4
    } else if first >= 100 {
        3
    } else if first >= 10 {
        2
    } else {
        1
    };
    let significant = digits.iter().rposition(|&digit| digit != 0).map_or(0, |last| last + 1);
    if significant <= lead {
        return (first as f64, (weight * 4) as f64);
    }
    let second =
        (lead..lead + 4).fold(0i64, |n, index| n * 10 + digits.get(index).map_or(0, |&d| i64::from(d)));
    ((first * 10_000 + second) as f64, (weight * 4 - 4) as f64)
}

/// `e^value` rounded to `scale` digits.
fn exp_rounded(value: &Fixed, value_scale: usize, approximate: f64, scale: i64) -> Result<Numeric> {
    if approximate.abs() >= MAX_EXPONENT {
        if approximate > 0.0 {
            return Err(overflow());
        }
        return Numeric::from_parts(Parts {
            negative: false,
            magnitude: Magnitude::zero(),
            scale: spare(scale),
        });
    }
    // Digits before the point add to those needed after it.
    let weight = truncated(approximate * std::f64::consts::LOG10_E);
    let working = spare(scale + weight.max(0) + GUARD_DIGITS);
    // Halve, then square back: each squaring may cost a bit, but the more digits, the more terms it saves.
    let mut halvings = 0u32;
    let mut reduced = approximate.abs();
    let small = 0.5f64.powf(7.0 + (working as f64).sqrt() / 2.0);
    while reduced > small {
        reduced /= 2.0;
        halvings += 1;
    }
    let digits = working + usize::try_from(halvings).unwrap_or(0) / 3 + 8;
    let digits = digits + spare(truncated((approximate.abs() * std::f64::consts::LOG10_E).ceil()));
    let negative = value.negative;
    let mut x = Fixed {
        negative: false,
        magnitude: if digits >= value_scale {
            value.magnitude.shift_up(digits - value_scale)
        } else {
            value.magnitude.shift_down_rounded(value_scale - digits)
        },
    };
    let mut left = halvings;
    while left > 0 {
        let step = left.min(29);
        x.magnitude = x.magnitude.divrem_small(1 << step).0;
        left -= step;
    }
    let mut sum = Fixed::one(digits);
    let mut term = sum.clone();
    for n in 1u32.. {
        term = term.mul(&x, digits).div_small(n);
        if term.magnitude.is_zero() {
            break;
        }
        sum = sum.add(&term);
    }
    for _ in 0..halvings {
        sum = sum.mul(&sum, digits);
    }
    if negative {
        sum = Fixed::one(digits).div(&sum, digits);
    }
    sum.round_to(digits, scale)
}

impl Numeric {
    /// 2201F for negatives.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() == Some(-1) {
            return Err(power_error("cannot take square root of a negative number"));
        }
        let Some(parts) = self.parts() else { return Ok(self.clone()) };
        let (weight, _) = self.leading();
        let root_weight = (weight + 1) * 4 / 2 - 1;
        let scale = shown((MIN_SIGNIFICANT_DIGITS - root_weight).max(signed(parts.scale)));
        let scale = spare(scale);
        // One digit more than shown, and whether anything is left: enough to round half up.
        let shift = 2 * (scale + 1);
        let root = parts.magnitude.shift_up(shift.saturating_sub(parts.scale)).isqrt();
        let magnitude = root.shift_down_rounded(1);
        Numeric::from_parts(Parts { negative: false, magnitude, scale })
    }

    /// 22003 when it overflows.
    pub fn exp(&self) -> Result<Numeric> {
        let Some(parts) = self.parts() else {
            return Ok(if *self == Numeric::NegativeInfinity { Numeric::ZERO } else { self.clone() });
        };
        let approximate = self.to_f64_lossy();
        let weight = truncated((approximate * std::f64::consts::LOG10_E).clamp(-2000.0, 2000.0));
        let scale = shown((MIN_SIGNIFICANT_DIGITS - weight).max(signed(parts.scale)));
        let value = Fixed { negative: parts.negative, magnitude: parts.magnitude };
        exp_rounded(&value, parts.scale, approximate, scale)
    }

    /// 2201E for zero and below.
    pub fn ln(&self) -> Result<Numeric> {
        self.check_logarithm()?;
        if !self.is_finite() {
            return Ok(self.clone());
        }
        let scale = shown((MIN_SIGNIFICANT_DIGITS - ln_weight(self)).max(i64::from(self.scale())));
        let working = scale + GUARD_DIGITS + 8;
        ln_fixed(self, working).round_to(spare(working), scale)
    }

    fn check_logarithm(&self) -> Result<()> {
        match self.signum() {
            Some(0) => Err(log_error("zero")),
            Some(-1) => Err(log_error("a negative number")),
            _ => Ok(()),
        }
    }

    /// The logarithm of `self` to `base`. 2201E for zero and below, 22012 for base 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NaN);
        }
        for argument in [base, self] {
            if argument.signum() == Some(-1) {
                return Err(log_error("a negative number"));
            }
        }
        for argument in [base, self] {
            argument.check_logarithm()?;
        }
        match (base.is_finite(), self.is_finite()) {
            (true, true) => {}
            (false, false) => return Ok(Numeric::NaN),
            (false, true) => return Ok(Numeric::ZERO),
            (true, false) => return Ok(Numeric::Infinity),
        }
        let weight = ln_weight(self) - ln_weight(base);
        let scale =
            (MIN_SIGNIFICANT_DIGITS - weight).max(i64::from(base.scale())).max(i64::from(self.scale()));
        let scale = shown(scale);
        let working = scale + weight.abs() + ln_weight(base).abs() + ln_weight(self).abs() + GUARD_DIGITS + 8;
        let denominator = ln_fixed(base, working);
        if denominator.magnitude.is_zero() {
            return Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"));
        }
        let working = spare(working);
        ln_fixed(self, signed(working)).div(&denominator, working).round_to(working, scale)
    }

    /// To the base 10.
    pub fn log10(&self) -> Result<Numeric> {
        self.log(&Numeric::from(10))
    }

    /// `self ^ exponent`. 2201F for zero to a negative and a negative to a fraction.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        if self.is_nan() {
            return Ok(if exponent.is_zero() { Numeric::ONE } else { Numeric::NaN });
        }
        if exponent.is_nan() {
            return Ok(if *self == Numeric::ONE { Numeric::ONE } else { Numeric::NaN });
        }
        let (sign, exponent_sign) = (self.signum().unwrap_or(0), exponent.signum().unwrap_or(0));
        if sign == 0 && exponent_sign < 0 {
            return Err(power_error("zero raised to a negative power is undefined"));
        }
        let integral = !exponent.is_finite() || exponent.min_scale() == 0;
        if sign < 0 && !integral {
            return Err(power_error(
                "a negative number raised to a non-integer power yields a complex result",
            ));
        }
        if !self.is_finite() || !exponent.is_finite() {
            return Ok(self.power_infinite(exponent, sign, exponent_sign));
        }
        if integral && let Ok(whole) = exponent.to_i32() {
            return self.power_integer(i64::from(whole));
        }
        if sign == 0 {
            return Ok(Numeric::new(0, 16));
        }
        let odd = exponent.trunc(0).parts().is_some_and(|parts| !parts.magnitude.is_even());
        let base = self.abs();
        let base_weight = ln_weight(&base);
        let rough = (8 - base_weight).max(0);
        let rough_ln = ln_fixed(&base, rough + GUARD_DIGITS).round_to(spare(rough + GUARD_DIGITS), rough)?;
        let approximate = rough_ln.mul(exponent)?.rescale_unclamped(rough, true)?.to_f64_lossy();
        if approximate.abs() > MAX_EXPONENT * 1.003_334 {
            if approximate > 0.0 {
                return Err(overflow());
            }
            return Ok(Numeric::new(0, 1000));
        }
        let weight = truncated(approximate * std::f64::consts::LOG10_E);
        let scale =
            (MIN_SIGNIFICANT_DIGITS - weight).max(i64::from(self.scale())).max(i64::from(exponent.scale()));
        let scale = shown(scale);
        // The product's error is the result's relative error.
        let exponent_digits = exponent.parts().map_or(0, |parts| parts.integer_digits().max(0));
        let working = scale + weight.abs() + base_weight.abs() + exponent_digits + 2 * GUARD_DIGITS;
        let ln = ln_fixed(&base, working);
        let factor = Fixed::from_numeric(exponent, i64::from(exponent.scale()));
        let product = ln.mul(&factor, usize::from(exponent.scale()));
        let result = exp_rounded(&product, spare(working), approximate, scale)?;
        Ok(if sign < 0 && odd { result.neg() } else { result })
    }

    /// `power` where an operand is infinite, as POSIX has it.
    fn power_infinite(&self, exponent: &Numeric, sign: i32, exponent_sign: i32) -> Numeric {
        if *self == Numeric::ONE || exponent_sign == 0 {
            return Numeric::ONE;
        }
        if sign == 0 {
            return Numeric::ZERO;
        }
        if !exponent.is_finite() {
            let size = self.abs().cmp(&Numeric::ONE);
            return match (size.is_gt(), exponent_sign > 0) {
                _ if size.is_eq() => Numeric::ONE,
                (true, true) | (false, false) => Numeric::Infinity,
                _ => Numeric::ZERO,
            };
        }
        if exponent_sign < 0 {
            return Numeric::ZERO;
        }
        let odd = exponent.trunc(0).parts().is_some_and(|parts| !parts.magnitude.is_even());
        if sign < 0 && odd { Numeric::NegativeInfinity } else { Numeric::Infinity }
    }

    fn power_integer(&self, exponent: i64) -> Result<Numeric> {
        let scale = shown(MIN_SIGNIFICANT_DIGITS.max(i64::from(self.scale())));
        let Some(parts) = self.parts() else { return Ok(Numeric::NaN) };
        let zero = Numeric::new(0, u16::try_from(scale).unwrap_or(0));
        if exponent == 0 {
            return Numeric::ONE.rescale_unclamped(scale, true);
        }
        if parts.magnitude.is_zero() {
            return if exponent < 0 {
                Err(Error::new(SqlState::DIVISION_BY_ZERO, "division by zero"))
            } else {
                Ok(zero)
            };
        }
        let (digits, weight) = leading_two(&self.abs());
        let estimate = exponent as f64 * (digits.log10() + weight);
        // The estimate is good to seven digits: what it lets through may still overflow below.
        if estimate > 1.001 * MAX_INTEGER_DIGITS as f64 {
            return Err(overflow());
        }
        if estimate + 1.0 < -(scale as f64) {
            return Ok(zero);
        }
        // Keep so many significant digits through the squarings.
        let kept =
            scale + truncated(estimate.abs()) + truncated((exponent.unsigned_abs() as f64).log10()) + 16;
        let kept = usize::try_from(kept).map_err(|_| overflow())?;
        let mut mask = exponent.unsigned_abs();
        let mut base = Floating { magnitude: parts.magnitude.clone(), exponent: -signed(parts.scale) };
        let mut result = Floating { magnitude: Magnitude::from_u128(1), exponent: 0 };
        loop {
            if mask & 1 == 1 {
                result = result.mul(&base, kept);
            }
            mask >>= 1;
            if mask == 0 {
                break;
            }
            base = base.mul(&base, kept);
        }
        let negative = parts.negative && exponent % 2 != 0;
        let scale = spare(scale);
        let (magnitude, exponent) = if exponent > 0 {
            (result.magnitude, result.exponent)
        } else {
            let shift = kept + result.magnitude.decimal_len();
            let one = Magnitude::from_u128(1).shift_up(shift);
            (one.div_rounded(&result.magnitude), -result.exponent - signed(shift))
        };
        let shift = exponent + signed(scale);
        let distance = usize::try_from(shift.unsigned_abs()).map_err(|_| overflow())?;
        if shift > 300_000 {
            return Err(overflow());
        }
        let magnitude =
            if shift >= 0 { magnitude.shift_up(distance) } else { magnitude.shift_down_rounded(distance) };
        Numeric::from_parts(Parts { negative, magnitude, scale })
    }

    /// `n!`. 22003.
    pub fn factorial(n: i64) -> Result<Numeric> {
        if n < 0 {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                "factorial of a negative number is undefined",
            ));
        }
        if n > 32_177 {
            return Err(overflow());
        }
        let mut magnitude = Magnitude::from_u128(1);
        for factor in 2..=u32::try_from(n).unwrap_or(0) {
            magnitude = magnitude.mul_small(factor);
        }
        Numeric::from_parts(Parts { negative: false, magnitude, scale: 0 })
    }

    /// PostgreSQL's `gcd`.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let scale = a.scale.max(b.scale);
        let (mut x, mut y) = (a.magnitude_at(scale), b.magnitude_at(scale));
        while !y.is_zero() {
            let rest = x.divrem(&y).1;
            x = y;
            y = rest;
        }
        Numeric::from_parts(Parts { negative: false, magnitude: x, scale })
    }

    /// PostgreSQL's `lcm`. 22003.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let scale = a.scale.max(b.scale);
        let Some(common) = self.gcd(other)?.parts() else { return Ok(Numeric::NaN) };
        if a.magnitude.is_zero() || b.magnitude.is_zero() {
            return Numeric::from_parts(Parts { negative: false, magnitude: Magnitude::zero(), scale });
        }
        let quotient = a.magnitude_at(scale).divrem(&common.magnitude).0;
        let magnitude = quotient.mul(&b.magnitude_at(scale));
        Numeric::from_parts(Parts { negative: false, magnitude, scale })
    }
}

/// `magnitude · 10^exponent`, kept to a number of significant digits.
struct Floating {
    magnitude: Magnitude,
    exponent: i64,
}

impl Floating {
    fn mul(&self, other: &Floating, digits: usize) -> Floating {
        let mut magnitude = self.magnitude.mul(&other.magnitude);
        let mut exponent = self.exponent + other.exponent;
        let excess = magnitude.decimal_len().saturating_sub(digits);
        if excess > 0 {
            magnitude = magnitude.shift_down_rounded(excess);
            exponent += signed(excess);
        }
        Floating { magnitude, exponent }
    }
}
