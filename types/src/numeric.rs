//! NUMERIC: exact decimals with PostgreSQL's precision, scale and rounding rules.
//!
//! Up to 38 digits a number is an `i128` and a scale; beyond, a [`Magnitude`], up to PostgreSQL's limits
//! of 131,072 digits before the point and 16,383 after. A value has one form: `Big` only when its unscaled
//! digits do not fit `i128`. Here: the type, its order, equality and hash; below, a family of operations per
//! file.

mod arithmetic;
mod convert;
mod functions;
mod magnitude;
mod text;

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::sqlstate::SqlState;
use crate::{Error, Result};
pub(crate) use magnitude::Magnitude;
pub(crate) use text::write_decimal;

/// Most digits after the point that a value may have.
pub const MAX_SCALE: u16 = 16_383;
/// Most digits before the point.
pub const MAX_INTEGER_DIGITS: usize = 131_072;

/// An exact decimal, NaN or ±infinity. Equality, order and hash ignore trailing zeros (1.0 = 1.00);
/// NaN equals itself and is above everything.
#[derive(Debug, Clone)]
pub enum Numeric {
    /// `unscaled / 10^scale`; `scale` is PostgreSQL's display scale.
    Small {
        unscaled: i128,
        scale: u16,
    },
    /// More digits than an `i128` holds.
    Big(Box<BigNumeric>),
    NaN,
    Infinity,
    NegativeInfinity,
}

/// A number of more than 38 digits.
#[derive(Debug, Clone)]
pub struct BigNumeric {
    negative: bool,
    scale: u16,
    magnitude: Magnitude,
}

/// `POWERS[n]` is 10^n.
pub(crate) const POWERS: [i128; 39] = {
    let mut powers = [1i128; 39];
    let mut n = 1;
    while n < 39 {
        powers[n] = powers[n - 1] * 10;
        n += 1;
    }
    powers
};

/// 10^n if it fits.
#[inline]
pub(crate) fn power_of_ten(n: usize) -> Option<i128> {
    POWERS.get(n).copied()
}

/// Sign, digits and scale of a finite number, whatever its form.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) negative: bool,
    pub(crate) magnitude: Magnitude,
    pub(crate) scale: usize,
}

impl Parts {
    /// The digits at a scale not below this one's.
    pub(crate) fn magnitude_at(&self, scale: usize) -> Magnitude {
        self.magnitude.shift_up(scale.saturating_sub(self.scale))
    }

    /// Decimal exponent of the leading digit plus one: digits before the point. 0.05 has −1.
    pub(crate) fn integer_digits(&self) -> i64 {
        signed(self.magnitude.decimal_len()) - signed(self.scale)
    }
}

/// A size as a signed number; sizes here are far below 2^63.
pub(crate) fn signed(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(crate) fn overflow() -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

impl Numeric {
    pub const ZERO: Numeric = Numeric::Small { unscaled: 0, scale: 0 };
    pub const ONE: Numeric = Numeric::Small { unscaled: 1, scale: 0 };

    pub fn new(unscaled: i128, scale: u16) -> Numeric {
        Numeric::Small { unscaled, scale }
    }

    pub fn is_nan(&self) -> bool {
        matches!(self, Numeric::NaN)
    }

    /// Neither NaN nor infinite.
    pub fn is_finite(&self) -> bool {
        matches!(self, Numeric::Small { .. } | Numeric::Big(_))
    }

    pub fn is_zero(&self) -> bool {
        matches!(self, Numeric::Small { unscaled: 0, .. })
    }

    /// Digits shown after the point; 0 when not finite.
    pub fn scale(&self) -> u16 {
        match self {
            Numeric::Small { scale, .. } => *scale,
            Numeric::Big(big) => big.scale,
            _ => 0,
        }
    }

    /// −1, 0 or 1; `None` for NaN.
    pub fn signum(&self) -> Option<i32> {
        match self {
            Numeric::Small { unscaled, .. } => {
                Some(if *unscaled > 0 { 1 } else { -i32::from(*unscaled < 0) })
            }
            Numeric::Big(big) => Some(if big.negative { -1 } else { 1 }),
            Numeric::Infinity => Some(1),
            Numeric::NegativeInfinity => Some(-1),
            Numeric::NaN => None,
        }
    }

    /// The finite number's parts; `None` for NaN and infinities.
    pub(crate) fn parts(&self) -> Option<Parts> {
        match self {
            Numeric::Small { unscaled, scale } => Some(Parts {
                negative: *unscaled < 0,
                magnitude: Magnitude::from_u128(unscaled.unsigned_abs()),
                scale: usize::from(*scale),
            }),
            Numeric::Big(big) => Some(Parts {
                negative: big.negative,
                magnitude: big.magnitude.clone(),
                scale: usize::from(big.scale),
            }),
            _ => None,
        }
    }

    /// In its one form. 22003 when it is beyond the limits; digits after the 16,383rd are rounded off.
    pub(crate) fn from_parts(parts: Parts) -> Result<Numeric> {
        let Parts { negative, mut magnitude, mut scale } = parts;
        if scale > usize::from(MAX_SCALE) {
            magnitude = magnitude.shift_down_rounded(scale - usize::from(MAX_SCALE));
            scale = usize::from(MAX_SCALE);
        }
        let short = u16::try_from(scale).map_err(|_| overflow())?;
        if let Some(unscaled) = magnitude.to_u128().and_then(|value| i128::try_from(value).ok()) {
            return Ok(Numeric::new(if negative { -unscaled } else { unscaled }, short));
        }
        if magnitude.decimal_len() > scale + MAX_INTEGER_DIGITS {
            return Err(overflow());
        }
        Ok(Numeric::Big(Box::new(BigNumeric { negative, scale: short, magnitude })))
    }

    /// Digits after the point that are needed: `scale()` after [`Numeric::trim_scale`].
    pub fn min_scale(&self) -> u16 {
        match self {
            Numeric::Small { unscaled, scale } => strip_zeros(*unscaled, *scale).1,
            Numeric::Big(big) => {
                let zeros = u16::try_from(big.magnitude.trailing_zeros()).unwrap_or(u16::MAX);
                big.scale.saturating_sub(zeros)
            }
            _ => 0,
        }
    }

    /// Without trailing zeros after the point.
    pub fn trim_scale(&self) -> Numeric {
        match self {
            Numeric::Small { unscaled, scale } => {
                let (unscaled, scale) = strip_zeros(*unscaled, *scale);
                Numeric::new(unscaled, scale)
            }
            Numeric::Big(big) => {
                let scale = self.min_scale();
                let magnitude = big.magnitude.shift_down(usize::from(big.scale - scale));
                let parts = Parts { negative: big.negative, magnitude, scale: usize::from(scale) };
                Numeric::from_parts(parts).unwrap_or_else(|_| self.clone())
            }
            _ => self.clone(),
        }
    }

    /// Where infinities and NaN stand around the finite numbers.
    fn class(&self) -> u8 {
        match self {
            Numeric::NegativeInfinity => 0,
            Numeric::Small { .. } | Numeric::Big(_) => 1,
            Numeric::Infinity => 2,
            Numeric::NaN => 3,
        }
    }
}

/// The same number with the smallest scale.
pub(crate) fn strip_zeros(mut unscaled: i128, mut scale: u16) -> (i128, u16) {
    if unscaled == 0 {
        return (0, 0);
    }
    if let Ok(mut short) = i64::try_from(unscaled) {
        while scale > 0 && short % 10 == 0 {
            short /= 10;
            scale -= 1;
        }
        return (i128::from(short), scale);
    }
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    (unscaled, scale)
}

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
        Numeric::new(i128::from(value), 0)
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::new(value, 0)
    }
}

impl From<i32> for Numeric {
    fn from(value: i32) -> Numeric {
        Numeric::new(i128::from(value), 0)
    }
}

impl From<i16> for Numeric {
    fn from(value: i16) -> Numeric {
        Numeric::new(i128::from(value), 0)
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Numeric) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Numeric) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numeric {
    #[inline]
    fn cmp(&self, other: &Numeric) -> Ordering {
        if let (Numeric::Small { unscaled: a, scale: s }, Numeric::Small { unscaled: b, scale: t }) =
            (self, other)
        {
            if s == t {
                return a.cmp(b);
            }
            let (a, b) = match s.cmp(t) {
                Ordering::Less => {
                    (power_of_ten(usize::from(t - s)).and_then(|power| a.checked_mul(power)), Some(*b))
                }
                _ => (Some(*a), power_of_ten(usize::from(s - t)).and_then(|power| b.checked_mul(power))),
            };
            if let (Some(a), Some(b)) = (a, b) {
                return a.cmp(&b);
            }
        }
        compare_general(self, other)
    }
}

fn compare_general(a: &Numeric, b: &Numeric) -> Ordering {
    let (Some(x), Some(y)) = (a.parts(), b.parts()) else {
        return a.class().cmp(&b.class());
    };
    let signs = a.signum().cmp(&b.signum());
    if signs != Ordering::Equal || x.magnitude.is_zero() {
        return signs;
    }
    let by_size = x.integer_digits().cmp(&y.integer_digits()).then_with(|| {
        let scale = x.scale.max(y.scale);
        x.magnitude_at(scale).cmp(&y.magnitude_at(scale))
    });
    if x.negative { by_size.reverse() } else { by_size }
}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.trim_scale() {
            Numeric::Small { unscaled, scale } => (unscaled, scale).hash(state),
            Numeric::Big(big) => (big.negative, big.scale, big.magnitude.to_digits()).hash(state),
            other => other.class().hash(state),
        }
    }
}
