//! Reproducible chance, and the specification's ways of drawing from it (2.1.6, 4.3.2).
//!
//! Called by `data.rs` for the population and by `transaction/` for inputs. SplitMix64 (Steele, Lea and Flood
//! 2014): fast, seedable, good enough for drawing keys.

use crate::decimal::Decimal;

/// A generator of numbers that look random; the same seed gives the same ones.
#[derive(Debug, Clone)]
pub struct Chance(u64);

/// The run-time constants of NURand (2.1.6): they shift which customers and items are the popular ones.
///
/// Fixed, so that runs on a kept database compare. The one for last names must differ between load and
/// run by 65 to 119, but not by 96 or 112 (2.1.6.1): here by 86.
const C_LAST_LOAD: i32 = 123;
const C_LAST_RUN: i32 = 209;
const C_CUSTOMER: i32 = 259;
const C_ITEM: i32 = 7_911;

/// The syllables of customers' last names (4.3.2.3).
const SYLLABLES: [&str; 10] =
    ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];

impl Chance {
    /// A generator for one use of many under the same seed; uses with different `stream` are unrelated.
    pub fn new(seed: u64, stream: u64) -> Chance {
        let mut chance = Chance(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform, both ends included (the specification's "random within").
    pub fn within(&mut self, low: i32, high: i32) -> i32 {
        let width = (i64::from(high) - i64::from(low) + 1) as u64;
        // The high half of a product: as even as a remainder, without its division.
        let offset = ((u128::from(self.next()) * u128::from(width)) >> 64) as i64;
        (i64::from(low) + offset) as i32
    }

    /// True in `percent` cases of a hundred.
    pub fn percent(&mut self, percent: i32) -> bool {
        self.within(1, 100) <= percent
    }

    /// Uniform in [0, 1).
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A decimal between two whole counts of its smallest unit: `decimal(1, 500_000, 2)` is 0.01 to 5000.00.
    pub fn decimal(&mut self, low: i32, high: i32, scale: u8) -> Decimal {
        Decimal::new(i64::from(self.within(low, high)), scale)
    }

    /// NURand (2.1.6): some values of the range are drawn far more often than others.
    fn nonuniform(&mut self, a: i32, c: i32, low: i32, high: i32) -> i32 {
        ((self.within(0, a) | self.within(low, high)) + c) % (high - low + 1) + low
    }

    pub fn customer(&mut self, customers: i32) -> i32 {
        self.nonuniform(1_023, C_CUSTOMER, 1, customers)
    }

    pub fn item(&mut self, items: i32) -> i32 {
        self.nonuniform(8_191, C_ITEM, 1, items)
    }

    /// A last name for a transaction to look for.
    pub fn last_name_to_find(&mut self, names: i32) -> String {
        last_name(self.nonuniform(255, C_LAST_RUN, 0, names - 1))
    }

    /// A last name for a customer of the population.
    pub fn last_name_to_load(&mut self, names: i32) -> String {
        last_name(self.nonuniform(255, C_LAST_LOAD, 0, names - 1))
    }

    /// An a-string: letters and digits, `low` to `high` of them.
    pub fn letters(&mut self, low: i32, high: i32, out: &mut Vec<u8>) {
        const ALPHABET: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZab";
        self.characters(low, high, |bits| ALPHABET[bits & 63], out);
    }

    /// An n-string: digits.
    pub fn digits(&mut self, low: i32, high: i32, out: &mut Vec<u8>) {
        self.characters(low, high, |bits| b'0' + (bits & 63) as u8 % 10, out);
    }

    /// Ten characters from each number drawn.
    fn characters(&mut self, low: i32, high: i32, character: impl Fn(usize) -> u8, out: &mut Vec<u8>) {
        let mut bits = 0;
        for i in 0..self.within(low, high) {
            if i % 10 == 0 {
                bits = self.next();
            }
            out.push(character(bits as usize));
            bits >>= 6;
        }
    }

    /// The numbers 1 to `n` in random order (Fisher and Yates).
    pub fn permutation(&mut self, n: i32) -> Vec<i32> {
        let mut numbers: Vec<i32> = (1..=n).collect();
        for i in (1..numbers.len()).rev() {
            let j = self.within(0, i as i32) as usize;
            numbers.swap(i, j);
        }
        numbers
    }
}

/// The name of a number from 0 to 999: a syllable for each of its three digits.
pub fn last_name(number: i32) -> String {
    let syllable = |digit: i32| SYLLABLES[digit as usize % 10];
    [syllable(number / 100), syllable(number / 10), syllable(number)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_streams_differ() {
        let draw = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..100).map(|_| chance.within(-5, 1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn draws_cover_their_range_and_stay_in_it() {
        let mut chance = Chance::new(1, 0);
        let mut seen = [0; 6];
        for _ in 0..6_000 {
            seen[(chance.within(10, 15) - 10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1_200).contains(&n)), "{seen:?}");
        for _ in 0..10_000 {
            assert!((1..=3_000).contains(&chance.customer(3_000)));
            assert!((1..=100_000).contains(&chance.item(100_000)));
            assert!((1..=20).contains(&chance.item(20)));
            assert!((0.0..1.0).contains(&chance.fraction()));
        }
    }

    /// 2.1.6: a bitwise or makes values with many ones likely.
    #[test]
    fn nurand_is_not_uniform() {
        let mut chance = Chance::new(1, 0);
        let mut hits = vec![0; 3_001];
        for _ in 0..300_000 {
            hits[chance.customer(3_000) as usize] += 1;
        }
        hits.sort_unstable();
        assert!(hits[3_000] > 1_000, "a uniform draw hits each about 100 times, not {}", hits[3_000]);
    }

    #[test]
    fn last_names_are_syllables() {
        assert_eq!(last_name(0), "BARBARBAR");
        assert_eq!(last_name(371), "PRICALLYOUGHT");
        assert_eq!(last_name(999), "EINGEINGEING");
    }

    #[test]
    fn the_constants_differ_as_they_must() {
        let delta = C_LAST_RUN - C_LAST_LOAD;
        assert!((65..=119).contains(&delta) && delta != 96 && delta != 112);
        assert!((0..=255).contains(&C_LAST_LOAD) && (0..=255).contains(&C_LAST_RUN));
        assert!((0..=1_023).contains(&C_CUSTOMER) && (0..=8_191).contains(&C_ITEM));
    }

    #[test]
    fn strings_and_permutations() {
        let mut chance = Chance::new(3, 0);
        for _ in 0..1_000 {
            let mut text = Vec::new();
            chance.letters(8, 16, &mut text);
            assert!((8..=16).contains(&text.len()) && text.iter().all(u8::is_ascii_alphanumeric));
            text.clear();
            chance.digits(16, 16, &mut text);
            assert!(text.len() == 16 && text.iter().all(u8::is_ascii_digit));
        }
        let mut numbers = chance.permutation(3_000);
        assert_ne!(numbers, (1..=3_000).collect::<Vec<_>>());
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=3_000).collect::<Vec<_>>());
    }
}
