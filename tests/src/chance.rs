//! Reproducible chance: a seed is printed, and the same seed replays the same choices.
//!
//! Called by the tests that choose at random. SplitMix64 (Steele, Lea and Flood 2014).

/// A generator of numbers that look random.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The seed in the variable `name`, or one from the clock; printed either way.
    pub fn from_env(name: &str) -> Chance {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let clock = clock.map_or(1, |d| d.as_nanos() as u64);
        let seed = std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(clock);
        println!("again with {name}={seed}");
        Chance(seed)
    }

    /// Any 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, not including, `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end.max(1)
    }

    /// A generator of its own, for a task beside this one.
    pub fn split(&mut self) -> Chance {
        Chance(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays() {
        let (mut a, mut b) = (Chance::new(7), Chance::new(7));
        assert!((0..100).all(|_| a.number() == b.number()));
        assert!((0..1000).all(|_| a.below(3) < 3));
    }
}
