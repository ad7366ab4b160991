//! NUMERIC: exact decimals with PostgreSQL's precision, scale and rounding rules.
//!
//! Up to 38 digits a number is an `i128` and a scale; beyond, a vector of decimal digits.

use std::cmp::Ordering;

/// An exact decimal, NaN or ±infinity. Equality, order and hash ignore trailing zeros (1.0 = 1.00);
/// NaN equals itself and is above everything.
#[derive(Debug, Clone)]
pub enum Numeric {
    /// `unscaled / 10^scale`; `scale` is PostgreSQL's display scale.
    Small {
        unscaled: i128,
        scale: u16,
    },
    NaN,
    Infinity,
    NegativeInfinity,
}

impl Numeric {
    pub fn new(unscaled: i128, scale: u16) -> Numeric {
        Numeric::Small { unscaled, scale }
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
