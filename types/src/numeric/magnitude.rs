//! Natural numbers of any size, in base 10⁹: what [`super::Numeric`] computes with beyond 38 digits.
//!
//! Little-endian limbs without a zero on top; zero has no limbs. Base 10⁹ makes shifting by decimal digits,
//! which rounding and rescaling are made of, cheap. Sizes are bounded by the callers (147,455 digits).

use std::cmp::Ordering;

const BASE: u64 = 1_000_000_000;
const LIMB_DIGITS: usize = 9;
const POW10: [u32; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Magnitude {
    limbs: Vec<u32>,
}

impl Magnitude {
    pub(crate) fn zero() -> Magnitude {
        Magnitude::default()
    }

    pub(crate) fn from_u128(mut value: u128) -> Magnitude {
        let mut limbs = Vec::with_capacity(5);
        while value > 0 {
            limbs.push(low(value % u128::from(BASE)));
            value /= u128::from(BASE);
        }
        Magnitude { limbs }
    }

    pub(crate) fn to_u128(&self) -> Option<u128> {
        if self.limbs.len() > 5 {
            return None;
        }
        self.limbs.iter().rev().try_fold(0u128, |value, &limb| {
            value.checked_mul(u128::from(BASE))?.checked_add(u128::from(limb))
        })
    }

    /// Decimal digits, most significant first; leading zeros do not matter.
    pub(crate) fn from_digits(digits: &[u8]) -> Magnitude {
        let limb = |chunk: &[u8]| chunk.iter().fold(0u32, |limb, &digit| limb * 10 + u32::from(digit));
        let mut magnitude = Magnitude { limbs: digits.rchunks(LIMB_DIGITS).map(limb).collect() };
        magnitude.trim();
        magnitude
    }

    /// Decimal digits, most significant first, without leading zeros; zero has none.
    pub(crate) fn to_digits(&self) -> Vec<u8> {
        let mut digits = Vec::with_capacity(self.limbs.len() * LIMB_DIGITS);
        for &limb in self.limbs.iter().rev() {
            for power in POW10.iter().rev() {
                digits.push(u8::try_from(limb / power % 10).unwrap_or(0));
            }
        }
        let leading = digits.iter().take_while(|&&digit| digit == 0).count();
        digits.drain(..leading);
        digits
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.limbs.is_empty()
    }

    /// The number of decimal digits; zero has none.
    pub(crate) fn decimal_len(&self) -> usize {
        match self.limbs.last() {
            None => 0,
            Some(&top) => {
                (self.limbs.len() - 1) * LIMB_DIGITS + POW10.iter().filter(|&&power| top >= power).count()
            }
        }
    }

    pub(crate) fn is_even(&self) -> bool {
        self.limbs.first().is_none_or(|limb| limb % 2 == 0)
    }

    /// How many decimal zeros it ends in; 0 for zero.
    pub(crate) fn trailing_zeros(&self) -> usize {
        let Some(whole) = self.limbs.iter().position(|&limb| limb != 0) else { return 0 };
        let limb = self.limbs[whole];
        whole * LIMB_DIGITS + POW10.iter().skip(1).filter(|&&power| limb.is_multiple_of(power)).count()
    }

    pub(crate) fn add(&self, other: &Magnitude) -> Magnitude {
        let (long, short) = if self.limbs.len() >= other.limbs.len() { (self, other) } else { (other, self) };
        let mut limbs = Vec::with_capacity(long.limbs.len() + 1);
        let mut carry = 0u64;
        for (index, &limb) in long.limbs.iter().enumerate() {
            let sum = u64::from(limb) + u64::from(short.limbs.get(index).copied().unwrap_or(0)) + carry;
            limbs.push(low(u128::from(sum % BASE)));
            carry = sum / BASE;
        }
        if carry > 0 {
            limbs.push(low(u128::from(carry)));
        }
        Magnitude { limbs }
    }

    /// `self − other`; `other` is not larger.
    pub(crate) fn sub(&self, other: &Magnitude) -> Magnitude {
        debug_assert!(*self >= *other);
        let mut limbs = Vec::with_capacity(self.limbs.len());
        let mut borrow = 0u64;
        for (index, &limb) in self.limbs.iter().enumerate() {
            let take = u64::from(other.limbs.get(index).copied().unwrap_or(0)) + borrow;
            let have = u64::from(limb);
            borrow = u64::from(have < take);
            limbs.push(low(u128::from(have + borrow * BASE - take)));
        }
        let mut difference = Magnitude { limbs };
        difference.trim();
        difference
    }

    pub(crate) fn mul(&self, other: &Magnitude) -> Magnitude {
        let mut limbs = vec![0u32; self.limbs.len() + other.limbs.len()];
        for (i, &a) in self.limbs.iter().enumerate() {
            if a == 0 {
                continue;
            }
            let mut carry = 0u64;
            for (slot, &b) in limbs[i..].iter_mut().zip(&other.limbs) {
                let sum = u64::from(a) * u64::from(b) + u64::from(*slot) + carry;
                *slot = low(u128::from(sum % BASE));
                carry = sum / BASE;
            }
            limbs[i + other.limbs.len()] = low(u128::from(carry));
        }
        let mut product = Magnitude { limbs };
        product.trim();
        product
    }

    pub(crate) fn mul_small(&self, factor: u32) -> Magnitude {
        let mut limbs = Vec::with_capacity(self.limbs.len() + 1);
        let mut carry = 0u64;
        for &limb in &self.limbs {
            let product = u64::from(limb) * u64::from(factor) + carry;
            limbs.push(low(u128::from(product % BASE)));
            carry = product / BASE;
        }
        while carry > 0 {
            limbs.push(low(u128::from(carry % BASE)));
            carry /= BASE;
        }
        let mut product = Magnitude { limbs };
        product.trim();
        product
    }

    /// Quotient and remainder; `divisor` is not 0.
    pub(crate) fn divrem_small(&self, divisor: u32) -> (Magnitude, u32) {
        let mut limbs = vec![0u32; self.limbs.len()];
        let mut rest = 0u64;
        for (slot, &limb) in limbs.iter_mut().zip(&self.limbs).rev() {
            let part = rest * BASE + u64::from(limb);
            *slot = low(u128::from(part / u64::from(divisor)));
            rest = part % u64::from(divisor);
        }
        let mut quotient = Magnitude { limbs };
        quotient.trim();
        (quotient, low(u128::from(rest)))
    }

    /// Quotient and remainder (Knuth's algorithm D); `divisor` is not 0.
    pub(crate) fn divrem(&self, divisor: &Magnitude) -> (Magnitude, Magnitude) {
        if *self < *divisor {
            return (Magnitude::zero(), self.clone());
        }
        let n = divisor.limbs.len();
        if n == 1 {
            let (quotient, rest) = self.divrem_small(divisor.limbs[0]);
            return (quotient, Magnitude::from_u128(u128::from(rest)));
        }
        let scale = low(u128::from(BASE / (u64::from(divisor.limbs[n - 1]) + 1)));
        let v = divisor.mul_small(scale).limbs;
        let mut u = self.mul_small(scale).limbs;
        u.resize(self.limbs.len() + 1, 0);
        let m = u.len() - 1 - n;
        let mut quotient = vec![0u32; m + 1];
        let (v1, v2) = (u64::from(v[n - 1]), u64::from(v[n - 2]));
        for j in (0..=m).rev() {
            let top = u64::from(u[j + n]) * BASE + u64::from(u[j + n - 1]);
            let (mut q, mut r) = (top / v1, top % v1);
            while q >= BASE || q * v2 > r * BASE + u64::from(u[j + n - 2]) {
                q -= 1;
                r += v1;
                if r >= BASE {
                    break;
                }
            }
            // u[j..=j+n] -= q * v
            let (mut carry, mut borrow) = (0u64, 0u64);
            for i in 0..n {
                let product = q * u64::from(v[i]) + carry;
                carry = product / BASE;
                let take = product % BASE + borrow;
                let have = u64::from(u[j + i]);
                borrow = u64::from(have < take);
                u[j + i] = low(u128::from(have + borrow * BASE - take));
            }
            let take = carry + borrow;
            let have = u64::from(u[j + n]);
            if have >= take {
                u[j + n] = low(u128::from(have - take));
            } else {
                // One too many: add the divisor back.
                q -= 1;
                let mut carry = 0u64;
                for i in 0..n {
                    let sum = u64::from(u[j + i]) + u64::from(v[i]) + carry;
                    u[j + i] = low(u128::from(sum % BASE));
                    carry = sum / BASE;
                }
                u[j + n] = low(u128::from((have + BASE + carry - take) % BASE));
            }
            quotient[j] = low(u128::from(q));
        }
        u.truncate(n);
        let mut rest = Magnitude { limbs: u };
        rest.trim();
        let mut quotient = Magnitude { limbs: quotient };
        quotient.trim();
        (quotient, rest.divrem_small(scale).0)
    }

    /// `self · 10^digits`
    pub(crate) fn shift_up(&self, digits: usize) -> Magnitude {
        if self.is_zero() || digits == 0 {
            return self.clone();
        }
        let partial = self.mul_small(POW10[digits % LIMB_DIGITS]);
        let mut limbs = vec![0u32; digits / LIMB_DIGITS];
        limbs.extend_from_slice(&partial.limbs);
        Magnitude { limbs }
    }

    /// `self / 10^digits`, cut off.
    pub(crate) fn shift_down(&self, digits: usize) -> Magnitude {
        let whole = (digits / LIMB_DIGITS).min(self.limbs.len());
        let kept = Magnitude { limbs: self.limbs[whole..].to_vec() };
        if digits.is_multiple_of(LIMB_DIGITS) {
            kept
        } else {
            kept.divrem_small(POW10[digits % LIMB_DIGITS]).0
        }
    }

    /// `self / 10^digits`, rounded half up.
    pub(crate) fn shift_down_rounded(&self, digits: usize) -> Magnitude {
        if digits == 0 {
            return self.clone();
        }
        let (quotient, last) = self.shift_down(digits - 1).divrem_small(10);
        if last >= 5 { quotient.add(&Magnitude::from_u128(1)) } else { quotient }
    }

    /// `self / divisor`, rounded half up.
    pub(crate) fn div_rounded(&self, divisor: &Magnitude) -> Magnitude {
        let (quotient, rest) = self.divrem(divisor);
        if rest.mul_small(2) >= *divisor { quotient.add(&Magnitude::from_u128(1)) } else { quotient }
    }

    /// The largest number whose square is not above `self` (Newton's method).
    pub(crate) fn isqrt(&self) -> Magnitude {
        if self.is_zero() {
            return Magnitude::zero();
        }
        // From above: 10^ceil(len/2) is at least the root.
        let mut root = Magnitude::from_u128(1).shift_up(self.decimal_len().div_ceil(2));
        loop {
            let next = root.add(&self.divrem(&root).0).divrem_small(2).0;
            if next >= root {
                return root;
            }
            root = next;
        }
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

impl PartialOrd for Magnitude {
    fn partial_cmp(&self, other: &Magnitude) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Magnitude {
    fn cmp(&self, other: &Magnitude) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }
}

/// A limb, from a computation that has reduced it below the base.
#[allow(clippy::cast_possible_truncation)]
#[inline]
fn low(value: u128) -> u32 {
    debug_assert!(value <= u128::from(u32::MAX));
    value as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits() -> impl Strategy<Value = Magnitude> {
        proptest::collection::vec(prop_oneof![0u8..10, Just(9u8), Just(0u8)], 0..120)
            .prop_map(|digits| Magnitude::from_digits(&digits))
    }

    proptest! {
        #[test]
        fn division_undoes_multiplication(a in digits(), b in digits(), c in digits()) {
            prop_assume!(!b.is_zero());
            let (quotient, rest) = a.divrem(&b);
            prop_assert!(rest < b);
            prop_assert_eq!(quotient.mul(&b).add(&rest), a.clone());
            prop_assert_eq!(a.mul(&b).divrem(&b), (a.clone(), Magnitude::zero()));
            prop_assert_eq!(a.add(&c).sub(&c), a.clone());
            prop_assert_eq!(a.mul(&c), c.mul(&a));
        }

        #[test]
        fn digits_and_shifts_come_back(a in digits(), n in 0usize..40) {
            prop_assert_eq!(Magnitude::from_digits(&a.to_digits()), a.clone());
            prop_assert_eq!(a.to_digits().len(), a.decimal_len());
            prop_assert_eq!(a.shift_up(n).shift_down(n), a.clone());
            let power = Magnitude::from_u128(1).shift_up(n);
            prop_assert_eq!(a.shift_down(n), a.divrem(&power).0);
            prop_assert_eq!(a.shift_down_rounded(n), a.div_rounded(&power));
            let root = a.isqrt();
            let above = root.add(&Magnitude::from_u128(1));
            prop_assert!(root.mul(&root) <= a && above.mul(&above) > a);
        }
    }
}
