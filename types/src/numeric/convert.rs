//! NUMERIC to and from integers, floats, numeric(p,s), scaled integers and the wire's binary form.

use super::{Magnitude, Numeric, Parts, power_of_ten, signed};
use crate::sqlstate::SqlState;
use crate::{Error, Result};

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xc000;
const SIGN_INFINITY: u16 = 0xd000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xf000;

fn out_of_range(type_name: &str) -> Error {
    Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
}

impl Numeric {
    /// Rounded to an integer. 22003 `smallint out of range`, 0A000 `cannot convert NaN to smallint`.
    pub fn to_i16(&self) -> Result<i16> {
        self.to_integer("smallint")
    }

    /// As [`Numeric::to_i16`], `integer`.
    pub fn to_i32(&self) -> Result<i32> {
        self.to_integer("integer")
    }

    /// As [`Numeric::to_i16`], `bigint`.
    pub fn to_i64(&self) -> Result<i64> {
        self.to_integer("bigint")
    }

    fn to_integer<T: TryFrom<i128>>(&self, type_name: &str) -> Result<T> {
        match self {
            Numeric::NaN => {
                Err(Error::new(SqlState::FEATURE_NOT_SUPPORTED, format!("cannot convert NaN to {type_name}")))
            }
            Numeric::Infinity | Numeric::NegativeInfinity => Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!("cannot convert infinity to {type_name}"),
            )),
            _ => match self.round(0) {
                Numeric::Small { unscaled, .. } => T::try_from(unscaled).map_err(|_| out_of_range(type_name)),
                _ => Err(out_of_range(type_name)),
            },
        }
    }

    /// The nearest float. 22003 when beyond the type's range.
    pub fn to_f64(&self) -> Result<f64> {
        let value = self.to_f64_lossy();
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{self}\" is out of range for type double precision"),
            ));
        }
        Ok(value)
    }

    /// The nearest float; infinite or 0 beyond the range of floats.
    pub fn to_f64_lossy(&self) -> f64 {
        match self {
            // Both operands exact: one rounding, hence the nearest.
            Numeric::Small { unscaled, scale } if *scale <= 22 && unscaled.unsigned_abs() < 1 << 53 => {
                decimal_to_f64(*unscaled, *scale)
            }
            Numeric::NaN => f64::NAN,
            Numeric::Infinity => f64::INFINITY,
            Numeric::NegativeInfinity => f64::NEG_INFINITY,
            _ => self.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// As [`Numeric::to_f64`], `real`.
    pub fn to_f32(&self) -> Result<f32> {
        let value = match self {
            Numeric::NaN => f32::NAN,
            Numeric::Infinity => f32::INFINITY,
            Numeric::NegativeInfinity => f32::NEG_INFINITY,
            _ => self.to_string().parse().unwrap_or(f32::NAN),
        };
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(Error::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("\"{self}\" is out of range for type real"),
            ));
        }
        Ok(value)
    }

    /// 15 significant digits, as PostgreSQL's cast.
    pub fn from_f64(value: f64) -> Numeric {
        if value.is_nan() {
            Numeric::NaN
        } else if value.is_infinite() {
            if value > 0.0 { Numeric::Infinity } else { Numeric::NegativeInfinity }
        } else {
            from_exponential(&format!("{value:.14e}"))
        }
    }

    /// 6 significant digits, as PostgreSQL's cast.
    pub fn from_f32(value: f32) -> Numeric {
        if value.is_finite() {
            from_exponential(&format!("{value:.5e}"))
        } else {
            Numeric::from_f64(f64::from(value))
        }
    }

    /// Rounded to `scale` and checked for numeric(precision, scale). 22003 `numeric field overflow`.
    pub fn fit(&self, precision: i32, scale: i32) -> Result<Numeric> {
        let overflow = |detail: String| {
            Error::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow").with_detail(detail)
        };
        match self {
            Numeric::NaN => return Ok(Numeric::NaN),
            Numeric::Infinity | Numeric::NegativeInfinity => {
                return Err(overflow(format!(
                    "A field with precision {precision}, scale {scale} cannot hold an infinite value."
                )));
            }
            _ => {}
        }
        let rounded = self.rescale_unclamped(i64::from(scale), true)?;
        let allowed = i64::from(precision) - i64::from(scale);
        let digits = match &rounded {
            Numeric::Small { unscaled: 0, .. } => return Ok(rounded),
            Numeric::Small { unscaled, scale } => {
                i64::from(unscaled.unsigned_abs().ilog10()) + 1 - i64::from(*scale)
            }
            other => other.parts().map_or(0, |parts| parts.integer_digits()),
        };
        if digits > allowed {
            let limit = if allowed == 0 { "1".to_string() } else { format!("10^{allowed}") };
            return Err(overflow(format!(
                "A field with precision {precision}, scale {scale} must round to an absolute value less than {limit}."
            )));
        }
        Ok(rounded)
    }

    /// Exactly `self * 10^scale`; `None` when that is not an integer of the type, or not finite.
    #[inline]
    pub fn as_scaled_i64(&self, scale: u16) -> Option<i64> {
        i64::try_from(self.as_scaled_i128(scale)?).ok()
    }

    /// As [`Numeric::as_scaled_i64`].
    #[inline]
    pub fn as_scaled_i128(&self, scale: u16) -> Option<i128> {
        match self {
            Numeric::Small { unscaled, scale: s } if *s == scale => Some(*unscaled),
            Numeric::Small { unscaled, scale: s } if *s < scale => {
                unscaled.checked_mul(power_of_ten(usize::from(scale - s))?)
            }
            Numeric::Small { unscaled, scale: s } => match power_of_ten(usize::from(s - scale)) {
                Some(power) => (unscaled % power == 0).then_some(unscaled / power),
                None => (*unscaled == 0).then_some(0),
            },
            Numeric::Big(_) => match self.trim_scale() {
                trimmed @ Numeric::Small { .. } => trimmed.as_scaled_i128(scale),
                _ => None,
            },
            _ => None,
        }
    }

    /// Appends the wire's binary form: count, weight, sign, scale and base-10⁴ digits.
    pub fn write_binary(&self, out: &mut Vec<u8>) {
        // PostgreSQL sends a scale of 32 with infinities.
        let special = |sign: u16, out: &mut Vec<u8>| {
            for word in [0, 0, sign, if sign == SIGN_NAN { 0 } else { 32 }] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        };
        let (negative, scale, groups) = match self {
            Numeric::NaN => return special(SIGN_NAN, out),
            Numeric::Infinity => return special(SIGN_INFINITY, out),
            Numeric::NegativeInfinity => return special(SIGN_NEGATIVE_INFINITY, out),
            Numeric::Small { unscaled, scale } => {
                let pad = (4 - u32::from(*scale) % 4) % 4;
                match unscaled.unsigned_abs().checked_mul(10u128.pow(pad)) {
                    Some(mut rest) => {
                        let mut groups = Vec::with_capacity(10);
                        while rest > 0 {
                            groups.push((rest % 10_000) as u16);
                            rest /= 10_000;
                        }
                        groups.reverse();
                        (*unscaled < 0, *scale, groups)
                    }
                    None => (*unscaled < 0, *scale, self.groups()),
                }
            }
            Numeric::Big(big) => (big.negative, big.scale, self.groups()),
        };
        let weight = signed(groups.len()) - i64::from(scale.div_ceil(4)) - 1;
        let last = groups.iter().rposition(|&group| group != 0).map_or(0, |index| index + 1);
        let kept = &groups[..last];
        let weight = if kept.is_empty() { 0 } else { i16::try_from(weight).unwrap_or(i16::MAX) };
        let sign = if negative { SIGN_NEGATIVE } else { SIGN_POSITIVE };
        out.extend_from_slice(&u16::try_from(kept.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(&weight.to_be_bytes());
        out.extend_from_slice(&sign.to_be_bytes());
        out.extend_from_slice(&scale.to_be_bytes());
        for group in kept {
            out.extend_from_slice(&group.to_be_bytes());
        }
    }

    /// Base-10⁴ digits aligned at the point, most significant first, the first not 0.
    fn groups(&self) -> Vec<u16> {
        let Some(parts) = self.parts() else { return Vec::new() };
        let digits = parts.magnitude.shift_up((4 - parts.scale % 4) % 4).to_digits();
        let group = |chunk: &[u8]| chunk.iter().fold(0u16, |group, &digit| group * 10 + u16::from(digit));
        digits.rchunks(4).rev().map(group).collect()
    }

    /// 22P03 for malformed bytes.
    pub fn read_binary(bytes: &[u8]) -> Result<Numeric> {
        let malformed =
            |message: &str| Error::new(SqlState::INVALID_BINARY_REPRESENTATION, message.to_string());
        let words: Vec<u16> =
            bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        let [count, weight, sign, scale, groups @ ..] = words.as_slice() else {
            return Err(malformed("insufficient data left in message"));
        };
        if groups.len() != usize::from(*count) || !bytes.len().is_multiple_of(2) {
            return Err(malformed("invalid length in external \"numeric\" value"));
        }
        let negative = match *sign {
            SIGN_POSITIVE => false,
            SIGN_NEGATIVE => true,
            SIGN_NAN => return Ok(Numeric::NaN),
            SIGN_INFINITY => return Ok(Numeric::Infinity),
            SIGN_NEGATIVE_INFINITY => return Ok(Numeric::NegativeInfinity),
            _ => return Err(malformed("invalid sign in external \"numeric\" value")),
        };
        if *scale > super::MAX_SCALE {
            return Err(malformed("invalid scale in external \"numeric\" value"));
        }
        let weight = i64::from(i16::from_be_bytes(weight.to_be_bytes()));
        let mut digits = Vec::with_capacity(groups.len() * 4);
        for &group in groups {
            if group > 9_999 {
                return Err(malformed("invalid digit in external \"numeric\" value"));
            }
            digits.extend(
                [group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| digit as u8),
            );
        }
        // The last digit stands at 10^exponent; digits beyond the scale are cut off.
        let exponent = 4 * (weight - signed(groups.len()) + 1) + i64::from(*scale);
        let magnitude = Magnitude::from_digits(&digits);
        let distance = usize::try_from(exponent.unsigned_abs()).unwrap_or(usize::MAX);
        let magnitude =
            if exponent >= 0 { magnitude.shift_up(distance) } else { magnitude.shift_down(distance) };
        Numeric::from_parts(Parts { negative, magnitude, scale: usize::from(*scale) })
    }
}

/// The nearest float of `unscaled / 10^scale` where |unscaled| < 2^53 and scale ≤ 22.
#[inline]
#[allow(clippy::cast_precision_loss)]
pub(crate) fn decimal_to_f64(unscaled: i128, scale: u16) -> f64 {
    const EXACT: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    unscaled as f64 / EXACT[usize::from(scale)]
}

/// `d.ddde±x` without the mantissa's trailing zeros, as `%g` prints floats.
fn from_exponential(text: &str) -> Numeric {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0') } else { mantissa };
    Numeric::parse(&format!("{mantissa}e{exponent}")).unwrap_or(Numeric::NaN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn floats_convert_with_postgres_digits() {
        assert_eq!(Numeric::from_f64(0.1).to_string(), "0.1");
        assert_eq!(Numeric::from_f64(1e20).to_string(), "100000000000000000000");
        assert_eq!(Numeric::from_f64(123_456.789_012_345_67).to_string(), "123456.789012346");
        assert_eq!(Numeric::from_f32(0.1).to_string(), "0.1");
        assert_eq!(Numeric::from_f32(1_234_567.0).to_string(), "1234570");
        assert_eq!(n("0.3").to_f64().unwrap(), 0.3);
        assert_eq!(n("1e400").to_f64().unwrap_err().code(), SqlState::NUMERIC_VALUE_OUT_OF_RANGE);
    }

    #[test]
    fn fitting_rounds_and_refuses() {
        assert_eq!(n("1.005").fit(3, 2).unwrap().to_string(), "1.01");
        assert_eq!(n("12345").fit(3, -2).unwrap().to_string(), "12300");
        let error = n("999.995").fit(5, 2).unwrap_err();
        assert_eq!(error.message(), "numeric field overflow");
        assert_eq!(
            error.detail(),
            Some("A field with precision 5, scale 2 must round to an absolute value less than 10^3.")
        );
        assert_eq!(n("2.5").to_i16().unwrap(), 3);
        assert_eq!(n("99999").to_i16().unwrap_err().message(), "smallint out of range");
    }

    proptest! {
        #[test]
        fn binary_there_and_back(text in "-?[0-9]{1,60}(\\.[0-9]{0,60})?") {
            let value = n(&text);
            let mut bytes = Vec::new();
            value.write_binary(&mut bytes);
            let back = Numeric::read_binary(&bytes).unwrap();
            prop_assert_eq!(back.to_string(), value.to_string());
        }

        #[test]
        fn binary_reader_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Numeric::read_binary(&bytes);
        }
    }
}
