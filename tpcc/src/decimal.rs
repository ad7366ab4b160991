//! An exact decimal number, and its binary form on the wire.
//!
//! Called by the transactions: money goes to the server and comes back as `numeric`, never as a float.
//! The wire form is PostgreSQL's: base-10,000 digits, the weight of the first, sign, digits after the point.

use std::error::Error;
use std::fmt;
use std::ops::{Add, AddAssign};

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

const NEGATIVE: u16 = 0x4000;

/// `units` × 10^-`scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Decimal {
    pub units: i64,
    pub scale: u8,
}

impl Decimal {
    pub const fn new(units: i64, scale: u8) -> Decimal {
        Decimal { units, scale }
    }

    /// Money: so many hundredths.
    pub const fn cents(cents: i64) -> Decimal {
        Decimal::new(cents, 2)
    }

    pub fn to_f64(self) -> f64 {
        self.units as f64 / 10f64.powi(self.scale.into())
    }

    /// The same number with more digits after the point.
    fn widened(self, scale: u8) -> Decimal {
        Decimal::new(self.units * 10i64.pow((scale - self.scale).into()), scale)
    }
}

impl Add for Decimal {
    type Output = Decimal;

    fn add(self, other: Decimal) -> Decimal {
        let scale = self.scale.max(other.scale);
        Decimal::new(self.widened(scale).units + other.widened(scale).units, scale)
    }
}

impl AddAssign for Decimal {
    fn add_assign(&mut self, other: Decimal) {
        *self = *self + other;
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, units) = (if self.units < 0 { "-" } else { "" }, self.units.unsigned_abs());
        let one = 10u64.pow(self.scale.into());
        match self.scale {
            0 => write!(f, "{sign}{units}"),
            scale => write!(f, "{sign}{}.{:0width$}", units / one, units % one, width = scale.into()),
        }
    }
}

impl ToSql for Decimal {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        // Whole groups of four digits after the point.
        let groups_after = self.scale.div_ceil(4);
        let mut rest = u128::from(self.units.unsigned_abs());
        rest *= 10u128.pow(u32::from(groups_after * 4 - self.scale));
        let mut digits = Vec::new();
        while rest > 0 {
            digits.push((rest % 10_000) as u16);
            rest /= 10_000;
        }
        let weight = digits.len() as i16 - 1 - i16::from(groups_after);
        digits.reverse();
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let sign = if self.units < 0 { NEGATIVE } else { 0 };
        out.extend_from_slice(&(digits.len() as u16).to_be_bytes());
        out.extend_from_slice(&if digits.is_empty() { 0 } else { weight }.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&u16::from(self.scale).to_be_bytes());
        for digit in digits {
            out.extend_from_slice(&digit.to_be_bytes());
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);

    to_sql_checked!();
}

impl FromSql<'_> for Decimal {
    fn from_sql(_: &Type, bytes: &[u8]) -> Result<Decimal, Box<dyn Error + Sync + Send>> {
        let mut words = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
        let mut word = || words.next().ok_or("a numeric that ends too early");
        let (count, weight, sign, scale) = (word()?, word()? as i16, word()?, word()?);
        if sign != 0 && sign != NEGATIVE {
            return Err("a numeric that is no number".into());
        }
        let scale = u8::try_from(scale).map_err(|_| "a numeric with too many digits after the point")?;
        let mut units: i128 = 0;
        // Each digit counts 10,000^power ones, and a one counts 10^scale units.
        for i in 0..count {
            let power = i32::from(weight) - i32::from(i);
            let exponent = power * 4 + i32::from(scale);
            let digit = i128::from(word()?);
            if exponent >= 0 {
                let one = 10i128.checked_pow(exponent as u32).ok_or("a numeric that is too large")?;
                units += digit * one;
            } else {
                units += digit / 10i128.checked_pow(-exponent as u32).ok_or("a numeric that is too small")?;
            }
        }
        let units = i64::try_from(units).map_err(|_| "a numeric that is too large")?;
        Ok(Decimal::new(if sign == NEGATIVE { -units } else { units }, scale))
    }

    accepts!(NUMERIC);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: Decimal) -> Vec<u8> {
        let mut out = BytesMut::new();
        value.to_sql(&Type::NUMERIC, &mut out).unwrap();
        out.to_vec()
    }

    /// As PostgreSQL 15's `numeric_send` answers.
    #[test]
    fn the_wire_form_is_postgresqls() {
        let words = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        assert_eq!(bytes(Decimal::cents(0)), words(&[0, 0, 0, 2]));
        assert_eq!(bytes(Decimal::cents(500_000)), words(&[1, 0, 0, 2, 5_000]));
        assert_eq!(bytes(Decimal::cents(1_234_567)), words(&[3, 1, 0, 2, 1, 2_345, 6_700]));
        assert_eq!(bytes(Decimal::cents(-1_001)), words(&[2, 0, NEGATIVE, 2, 10, 100]));
        assert_eq!(bytes(Decimal::new(7, 4)), words(&[1, 0xffff, 0, 4, 7]));
        assert_eq!(bytes(Decimal::new(30_000, 0)), words(&[1, 1, 0, 0, 3]));
    }

    #[test]
    fn there_and_back() {
        for units in [0, 1, 7, 99, 100, 12_345, 1_000_000, 123_456_789_012, -1, -100, -987_654_321] {
            for scale in 0..=6 {
                let value = Decimal::new(units, scale);
                assert_eq!(Decimal::from_sql(&Type::NUMERIC, &bytes(value)).unwrap(), value, "{value}");
            }
        }
    }

    #[test]
    fn sums_and_texts() {
        assert_eq!((Decimal::cents(150) + Decimal::new(25, 4)).to_string(), "1.5025");
        assert_eq!(Decimal::cents(-5).to_string(), "-0.05");
        assert_eq!(Decimal::new(42, 0).to_string(), "42");
    }
}
