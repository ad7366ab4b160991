//! NUMERIC: exact decimals with PostgreSQL's precision, scale and rounding rules.
//!
//! Up to 38 digits a number is an `i128` and a scale; beyond, a vector of decimal digits.

use std::cmp::Ordering;

use crate::{Error, Result};

/// An exact decimal, NaN or ±infinity. Equality, order and hash ignore trailing zeros (1.0 = 1.00);
/// NaN equals itself and is above everything.
#[derive(Debug, Clone)]
pub enum Numeric {
    /// `unscaled / 10^scale`; `scale` is PostgreSQL's display scale.
    Small {
        unscaled: i128,
        scale: u16,
    },
    /// More than 38 digits.
    Big(Box<BigNumeric>),
    NaN,
    Infinity,
    NegativeInfinity,
}

/// A number of more than 38 digits.
#[derive(Debug, Clone)]
pub struct BigNumeric {
    pub(crate) negative: bool,
    pub(crate) scale: u16,
    pub(crate) digits: Vec<u32>,
}

/// Signature marker while the insides are being written.
fn unbuilt<T>() -> Result<T> {
    Err(Error::internal("not built yet"))
}

impl Numeric {
    pub const ZERO: Numeric = Numeric::Small { unscaled: 0, scale: 0 };
    pub const ONE: Numeric = Numeric::Small { unscaled: 1, scale: 0 };

    pub fn new(unscaled: i128, scale: u16) -> Numeric {
        Numeric::Small { unscaled, scale }
    }

    /// Digits, point, exponent, `NaN`, `[+-]Infinity`, `inf`; blanks around are ignored.
    /// 22P02 `invalid input syntax for type numeric: "x"`, 22003 beyond 131072 or 16383 digits.
    pub fn parse(text: &str) -> Result<Numeric> {
        let _ = text;
        unbuilt()
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
        None
    }

    /// 22003 `value overflows numeric format`, as for the other operators.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// The result's scale is the sum of the scales.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// At least 16 significant digits, as PostgreSQL. 22012 `division by zero`.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// PostgreSQL's `div(a, b)`: the quotient cut towards zero. 22012.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// Remainder with the sign of `self`. 22012.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    pub fn neg(&self) -> Numeric {
        self.clone()
    }

    pub fn abs(&self) -> Numeric {
        self.clone()
    }

    /// PostgreSQL's `sign`: NaN for NaN.
    pub fn sign(&self) -> Numeric {
        self.clone()
    }

    /// Half away from zero, to `digits` after the point (negative: before it).
    pub fn round(&self, digits: i32) -> Numeric {
        let _ = digits;
        self.clone()
    }

    pub fn trunc(&self, digits: i32) -> Numeric {
        let _ = digits;
        self.clone()
    }

    pub fn ceil(&self) -> Numeric {
        self.clone()
    }

    pub fn floor(&self) -> Numeric {
        self.clone()
    }

    /// 2201F for negatives.
    pub fn sqrt(&self) -> Result<Numeric> {
        unbuilt()
    }

    /// 22003 when it overflows.
    pub fn exp(&self) -> Result<Numeric> {
        unbuilt()
    }

    /// 2201E for zero and below.
    pub fn ln(&self) -> Result<Numeric> {
        unbuilt()
    }

    /// The logarithm of `self` to `base`. 2201E for zero and below, 22012 for base 1.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        let _ = base;
        unbuilt()
    }

    /// To the base 10.
    pub fn log10(&self) -> Result<Numeric> {
        self.log(&Numeric::from(10))
    }

    /// `self ^ exponent`. 2201F for zero to a negative and a negative to a fraction.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let _ = exponent;
        unbuilt()
    }

    /// `n!`. 22003.
    pub fn factorial(n: i64) -> Result<Numeric> {
        let _ = n;
        unbuilt()
    }

    /// PostgreSQL's `gcd`.
    pub fn gcd(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// PostgreSQL's `lcm`. 22003.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric> {
        let _ = other;
        unbuilt()
    }

    /// `scale()` would be this after `trim_scale`.
    pub fn min_scale(&self) -> u16 {
        self.scale()
    }

    /// Without trailing zeros after the point.
    pub fn trim_scale(&self) -> Numeric {
        self.clone()
    }

    /// Rounded to an integer. 22003 `smallint out of range`, 0A000 `cannot convert NaN to smallint`.
    pub fn to_i16(&self) -> Result<i16> {
        unbuilt()
    }

    /// As [`Numeric::to_i16`], `integer`.
    pub fn to_i32(&self) -> Result<i32> {
        unbuilt()
    }

    /// As [`Numeric::to_i16`], `bigint`.
    pub fn to_i64(&self) -> Result<i64> {
        unbuilt()
    }

    /// The nearest float. 22003 when beyond the type's range.
    pub fn to_f64(&self) -> Result<f64> {
        unbuilt()
    }

    pub fn to_f32(&self) -> Result<f32> {
        unbuilt()
    }

    /// 15 significant digits, as PostgreSQL's cast.
    pub fn from_f64(value: f64) -> Numeric {
        let _ = value;
        Numeric::NaN
    }

    /// 6 significant digits, as PostgreSQL's cast.
    pub fn from_f32(value: f32) -> Numeric {
        let _ = value;
        Numeric::NaN
    }

    /// Rounded to `scale` and checked for numeric(precision, scale). 22003 `numeric field overflow`.
    pub fn fit(&self, precision: i32, scale: i32) -> Result<Numeric> {
        let _ = (precision, scale);
        unbuilt()
    }

    /// Exactly `self * 10^scale`; `None` when that is not an integer of the type, or not finite.
    pub fn as_scaled_i64(&self, scale: u16) -> Option<i64> {
        i64::try_from(self.as_scaled_i128(scale)?).ok()
    }

    pub fn as_scaled_i128(&self, scale: u16) -> Option<i128> {
        match self {
            Numeric::Small { unscaled, scale: s } if *s == scale => Some(*unscaled),
            _ => None,
        }
    }

    /// The wire's binary form.
    pub fn write_binary(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// 22P03 for malformed bytes.
    pub fn read_binary(bytes: &[u8]) -> Result<Numeric> {
        let _ = bytes;
        unbuilt()
    }
}

impl std::fmt::Display for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::str::FromStr for Numeric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Numeric> {
        Numeric::parse(text)
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

impl From<i64> for Numeric {
    fn from(value: i64) -> Numeric {
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
    fn cmp(&self, _other: &Numeric) -> Ordering {
        Ordering::Equal
    }
}

impl std::hash::Hash for Numeric {
    fn hash<H: std::hash::Hasher>(&self, _state: &mut H) {}
}
