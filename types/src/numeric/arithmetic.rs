//! NUMERIC's operators, with PostgreSQL's result scales.

use std::cmp::Ordering;

use super::{MAX_SCALE, Magnitude, Numeric, Parts, power_of_ten, signed};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

/// A quotient shows at least this many significant digits.
pub(super) const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// Nor does a computed scale go beyond this.
pub(super) const MAX_RESULT_SCALE: i64 = 1000;
/// `round` and `trunc` go at most this far.
const MAX_ROUND_DIGITS: i32 = 2000;

fn division_by_zero() -> Error {
    Error::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

impl Numeric {
    /// 22003 `value overflows numeric format`, as for the other operators.
    #[inline]
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) =
            (self, other)
            && let Some((a, b)) = align(*a, *s, *b, *t)
            && let Some(sum) = a.checked_add(b)
        {
            return Ok(Numeric::new(sum, *s.max(t)));
        }
        add_general(self, other, false)
    }

    #[inline]
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) =
            (self, other)
            && let Some((a, b)) = align(*a, *s, *b, *t)
            && let Some(difference) = a.checked_sub(b)
        {
            return Ok(Numeric::new(difference, *s.max(t)));
        }
        add_general(self, other, true)
    }

    /// The result's scale is the sum of the scales.
    #[inline]
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) =
            (self, other)
            && s + t <= MAX_SCALE
            && let Some(product) = a.checked_mul(*b)
        {
            return Ok(Numeric::new(product, s + t));
        }
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else {
            return Ok(match (self.signum(), other.signum()) {
                (Some(a), Some(b)) => infinity(a * b),
                _ => Numeric::NaN,
            });
        };
        Numeric::from_parts(Parts {
            negative: a.negative != b.negative,
            magnitude: a.magnitude.mul(&b.magnitude),
            scale: a.scale + b.scale,
        })
    }

    /// At least 16 significant digits, as PostgreSQL. 22012 `division by zero`.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = divide_special(self, other)? {
            return Ok(special);
        }
        self.div_scaled(other, self.quotient_scale(other))
    }

    /// The quotient, rounded to `scale` digits; both finite, `other` not 0.
    pub(super) fn div_scaled(&self, other: &Numeric, scale: u16) -> Result<Numeric> {
        if let (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) =
            (self, other)
            && scale + t >= *s
            && let Some(power) = power_of_ten(usize::from(scale + t - s))
            && let Some(numerator) = a.checked_mul(power)
        {
            return Ok(Numeric::new(divide_rounded(numerator, *b), scale));
        }
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let wanted = usize::from(scale) + b.scale;
        let (numerator, denominator) = if wanted >= a.scale {
            (a.magnitude.shift_up(wanted - a.scale), b.magnitude)
        } else {
            (a.magnitude, b.magnitude.shift_up(a.scale - wanted))
        };
        let magnitude = numerator.div_rounded(&denominator);
        Numeric::from_parts(Parts {
            negative: a.negative != b.negative,
            magnitude,
            scale: usize::from(scale),
        })
    }

    /// PostgreSQL's `select_div_scale`.
    fn quotient_scale(&self, other: &Numeric) -> u16 {
        let (weight, first) = self.leading();
        let (other_weight, other_first) = other.leading();
        let quotient_weight = weight - other_weight - i64::from(first <= other_first);
        let scale = (MIN_SIGNIFICANT_DIGITS - quotient_weight * 4)
            .max(i64::from(self.scale()))
            .max(i64::from(other.scale()))
            .clamp(0, MAX_RESULT_SCALE);
        u16::try_from(scale).unwrap_or(MAX_SCALE)
    }

    /// Weight and value of the leading digit in base 10⁴, as PostgreSQL stores numbers; zero is (0, 0).
    pub(super) fn leading(&self) -> (i64, i64) {
        match self {
            Numeric::Small { unscaled: 0, .. } => (0, 0),
            Numeric::Small { unscaled, scale } => {
                let magnitude = unscaled.unsigned_abs();
                let digits = i64::from(magnitude.ilog10()) + 1;
                let weight = (digits - 1 - i64::from(*scale)).div_euclid(4);
                let shift = i64::from(*scale) + weight * 4;
                let power = |n: i64| 10u128.pow(u32::try_from(n).unwrap_or(0));
                let first = if shift >= 0 { magnitude / power(shift) } else { magnitude * power(-shift) };
                (weight, i64::try_from(first).unwrap_or(0))
            }
            Numeric::Big(big) => {
                let digits = big.magnitude.to_digits();
                let weight = (signed(digits.len()) - 1 - i64::from(big.scale)).div_euclid(4);
                let leading = signed(digits.len()) - i64::from(big.scale) - weight * 4;
                let count = usize::try_from(leading).unwrap_or(4);
                let first = (0..count).fold(0, |first, index| {
                    first * 10 + digits.get(index).map_or(0, |&digit| i64::from(digit))
                });
                (weight, first)
            }
            _ => (0, 0),
        }
    }

    /// PostgreSQL's `div(a, b)`: the quotient cut towards zero. 22012.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        if let Some(special) = divide_special(self, other)? {
            return Ok(special);
        }
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let scale = a.scale.max(b.scale);
        let magnitude = a.magnitude_at(scale).divrem(&b.magnitude_at(scale)).0;
        Numeric::from_parts(Parts { negative: a.negative != b.negative, magnitude, scale: 0 })
    }

    /// Remainder with the sign of `self`. 22012.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        match (self, other) {
            (Numeric::NaN, _) | (_, Numeric::NaN) => return Ok(Numeric::NaN),
            (_, zero) if zero.is_zero() => return Err(division_by_zero()),
            (Numeric::Infinity | Numeric::NegativeInfinity, _) => return Ok(Numeric::NaN),
            (_, Numeric::Infinity | Numeric::NegativeInfinity) => return Ok(self.clone()),
            (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) => {
                if let Some((a, b)) = align(*a, *s, *b, *t) {
                    return Ok(Numeric::new(a.checked_rem(b).unwrap_or(0), *s.max(t)));
                }
            }
            _ => {}
        }
        let (Some(a), Some(b)) = (self.parts(), other.parts()) else { return Ok(Numeric::NaN) };
        let scale = a.scale.max(b.scale);
        let magnitude = a.magnitude_at(scale).divrem(&b.magnitude_at(scale)).1;
        Numeric::from_parts(Parts { negative: a.negative, magnitude, scale })
    }

    pub fn neg(&self) -> Numeric {
        match self {
            Numeric::Small { unscaled, scale } => match unscaled.checked_neg() {
                Some(negated) => Numeric::new(negated, *scale),
                None => {
                    let magnitude = Magnitude::from_u128(unscaled.unsigned_abs());
                    let parts = Parts { negative: false, magnitude, scale: usize::from(*scale) };
                    Numeric::from_parts(parts).unwrap_or(Numeric::NaN)
                }
            },
            Numeric::Big(big) => {
                let mut negated = big.clone();
                negated.negative = !big.negative;
                Numeric::Big(negated)
            }
            Numeric::NaN => Numeric::NaN,
            Numeric::Infinity => Numeric::NegativeInfinity,
            Numeric::NegativeInfinity => Numeric::Infinity,
        }
    }

    pub fn abs(&self) -> Numeric {
        if self.signum() == Some(-1) { self.neg() } else { self.clone() }
    }

    /// PostgreSQL's `sign`: NaN for NaN.
    pub fn sign(&self) -> Numeric {
        self.signum().map_or(Numeric::NaN, Numeric::from)
    }

    /// Half away from zero, to `digits` after the point (negative: before it).
    pub fn round(&self, digits: i32) -> Numeric {
        self.rescale(digits, true)
    }

    /// Towards zero.
    pub fn trunc(&self, digits: i32) -> Numeric {
        self.rescale(digits, false)
    }

    fn rescale(&self, digits: i32, rounded: bool) -> Numeric {
        let digits = digits.clamp(-MAX_ROUND_DIGITS, MAX_ROUND_DIGITS);
        self.rescale_unclamped(i64::from(digits), rounded).unwrap_or(Numeric::NaN)
    }

    pub(super) fn rescale_unclamped(&self, digits: i64, rounded: bool) -> Result<Numeric> {
        let shown = u16::try_from(digits.max(0)).unwrap_or(MAX_SCALE);
        if let Numeric::Small { unscaled, scale } = self {
            let cut = i64::from(*scale) - digits;
            let distance = usize::try_from(cut.unsigned_abs()).unwrap_or(usize::MAX);
            if let Some(power) = power_of_ten(distance) {
                if cut <= 0 {
                    if let Some(scaled) = unscaled.checked_mul(power) {
                        return Ok(Numeric::new(scaled, shown));
                    }
                } else {
                    let kept = if rounded { divide_rounded(*unscaled, power) } else { unscaled / power };
                    let back = usize::try_from((-digits).max(0)).unwrap_or(usize::MAX);
                    if let Some(scaled) = power_of_ten(back).and_then(|power| kept.checked_mul(power)) {
                        return Ok(Numeric::new(scaled, shown));
                    }
                }
            }
        }
        let Some(parts) = self.parts() else { return Ok(self.clone()) };
        let cut = signed(parts.scale) - digits;
        let distance = usize::try_from(cut.unsigned_abs()).unwrap_or(usize::MAX);
        let magnitude = match (cut <= 0, rounded) {
            (true, _) => parts.magnitude.shift_up(distance),
            (false, true) => parts.magnitude.shift_down_rounded(distance),
            (false, false) => parts.magnitude.shift_down(distance),
        };
        let magnitude = magnitude.shift_up(usize::try_from((-digits).max(0)).unwrap_or(0));
        Numeric::from_parts(Parts { negative: parts.negative, magnitude, scale: usize::from(shown) })
    }

    pub fn ceil(&self) -> Numeric {
        let cut = self.trunc(0);
        if cut < *self { cut.add(&Numeric::ONE).unwrap_or(cut) } else { cut }
    }

    pub fn floor(&self) -> Numeric {
        let cut = self.trunc(0);
        if cut > *self { cut.sub(&Numeric::ONE).unwrap_or(cut) } else { cut }
    }
}

/// Both at the larger scale, if they fit.
#[inline]
fn align(a: i128, s: u16, b: i128, t: u16) -> Option<(i128, i128)> {
    match s.cmp(&t) {
        Ordering::Equal => Some((a, b)),
        Ordering::Less => Some((a.checked_mul(power_of_ten(usize::from(t - s))?)?, b)),
        Ordering::Greater => Some((a, b.checked_mul(power_of_ten(usize::from(s - t))?)?)),
    }
}

/// Half away from zero.
pub(crate) fn divide_rounded(numerator: i128, denominator: i128) -> i128 {
    if let (Ok(n), Ok(d)) = (i64::try_from(numerator), i64::try_from(denominator))
        && d != 0
        && n != i64::MIN
        && d != i64::MIN
    {
        let (quotient, rest) = (n / d, n % d);
        let away = i64::from(rest.unsigned_abs() >= d.unsigned_abs() - rest.unsigned_abs());
        return i128::from(if (n < 0) == (d < 0) { quotient + away } else { quotient - away });
    }
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    let away = i128::from(rest.unsigned_abs() >= denominator.unsigned_abs() - rest.unsigned_abs());
    if (numerator < 0) == (denominator < 0) { quotient + away } else { quotient - away }
}

fn infinity(sign: i32) -> Numeric {
    match sign {
        0 => Numeric::NaN,
        1 => Numeric::Infinity,
        _ => Numeric::NegativeInfinity,
    }
}

/// What a division gives when an operand is not finite; 22012 when the divisor is 0.
fn divide_special(a: &Numeric, b: &Numeric) -> Result<Option<Numeric>> {
    match (a, b) {
        (Numeric::NaN, _) | (_, Numeric::NaN) => Ok(Some(Numeric::NaN)),
        _ if b.is_zero() => Err(division_by_zero()),
        _ => match (a.is_finite(), b.is_finite()) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(Numeric::ZERO)),
            (false, true) => Ok(Some(infinity(a.signum().unwrap_or(0) * b.signum().unwrap_or(0)))),
            (false, false) => Ok(Some(Numeric::NaN)),
        },
    }
}

fn add_general(a: &Numeric, b: &Numeric, subtract: bool) -> Result<Numeric> {
    let (Some(x), Some(y)) = (a.parts(), b.parts()) else {
        let b = if subtract { b.neg() } else { b.clone() };
        return Ok(match (a.is_finite(), b.is_finite()) {
            _ if a.is_nan() || b.is_nan() => Numeric::NaN,
            (false, true) => a.clone(),
            (true, _) => b,
            (false, false) if a == &b => b,
            (false, false) => Numeric::NaN,
        });
    };
    let scale = x.scale.max(y.scale);
    let (left, right) = (x.magnitude_at(scale), y.magnitude_at(scale));
    let right_negative = y.negative != subtract;
    let (negative, magnitude) = if x.negative == right_negative {
        (x.negative, left.add(&right))
    } else if left >= right {
        (x.negative, left.sub(&right))
    } else {
        (right_negative, right.sub(&left))
    };
    Numeric::from_parts(Parts { negative, magnitude, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn operators_keep_postgres_scales() {
        assert_eq!(n("1.10").add(&n("2.345")).unwrap().to_string(), "3.445");
        assert_eq!(n("1.10").mul(&n("2.345")).unwrap().to_string(), "2.57950");
        assert_eq!(n("1").div(&n("3")).unwrap().to_string(), "0.33333333333333333333");
        assert_eq!(n("10").div(&n("2.00")).unwrap().to_string(), "5.0000000000000000");
        assert_eq!(n("-7.5").rem(&n("2")).unwrap().to_string(), "-1.5");
        assert_eq!(n("1").div(&n("0")).unwrap_err().code(), SqlState::DIVISION_BY_ZERO);
        assert_eq!(n("2.5").round(0).to_string(), "3");
        assert_eq!(n("-2.5").round(0).to_string(), "-3");
        assert_eq!(n("1250").round(-2).to_string(), "1300");
        assert_eq!(n("1.5").round(4).to_string(), "1.5000");
        assert_eq!(n("-1.5").ceil().to_string(), "-1");
        assert_eq!(n("-1.5").floor().to_string(), "-2");
        assert_eq!(n("inf").sub(&n("inf")).unwrap().to_string(), "NaN");
        assert_eq!(Numeric::new(i128::MIN, 0).neg().to_string(), "170141183460469231731687303715884105728");
    }

    #[test]
    fn equality_and_order_ignore_trailing_zeros() {
        assert_eq!(n("1.0"), n("1.000000000000000000000000000000000000000000000000"));
        assert!(n("1e50") > n("9.99e49") && n("-1e50") < n("-9.99e49"));
        assert!(n("1e-50") > n("0") && n("nan") > n("inf"));
        assert!(n("99999999999999999999999999999999999999") < n("1e38"));
    }
}
