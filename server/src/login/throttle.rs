//! Guessing passwords takes time: each failure of a role from an address delays its next answer.
//!
//! Attempts from one address for one role queue behind each other, so that many connections guess no
//! faster than one. What is remembered is bounded and forgotten after a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures that cost nothing: people mistype.
const FREE_FAILURES: u32 = 2;
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(8);
/// A pair without failures for this long starts afresh.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Pairs remembered at once; beyond it the longest untouched goes.
const MAX_PAIRS: usize = 10_000;

#[derive(Debug, Default)]
pub struct Throttle {
    pairs: Mutex<HashMap<Pair, Failures>>,
}

/// A role's name and where the client is (`None`: a Unix-domain socket).
type Pair = (String, Option<IpAddr>);

#[derive(Debug)]
struct Failures {
    count: u32,
    last: Instant,
    /// When the next answer may be given.
    next: Instant,
}

impl Throttle {
    /// A password has been sent: how long its answer must wait.
    pub fn attempt(&self, role: &str, address: Option<IpAddr>, now: Instant) -> Duration {
        let mut pairs = self.pairs.lock();
        let Some(failures) = pairs.get_mut(&(role.to_string(), address)) else { return Duration::ZERO };
        if now.saturating_duration_since(failures.last) > FORGET_AFTER {
            return Duration::ZERO;
        }
        let delay = delay(failures.count);
        if delay.is_zero() {
            return delay;
        }
        failures.next = failures.next.max(now) + delay;
        failures.next - now
    }

    /// The password was wrong.
    pub fn failed(&self, role: &str, address: Option<IpAddr>, now: Instant) {
        let mut pairs = self.pairs.lock();
        let pair = (role.to_string(), address);
        if pairs.len() >= MAX_PAIRS && !pairs.contains_key(&pair) {
            pairs.retain(|_, failures| now.saturating_duration_since(failures.last) <= FORGET_AFTER);
            if pairs.len() >= MAX_PAIRS
                && let Some(oldest) = pairs.iter().min_by_key(|(_, failures)| failures.last)
            {
                let oldest = oldest.0.clone();
                pairs.remove(&oldest);
            }
        }
        let failures = pairs.entry(pair).or_insert(Failures { count: 0, last: now, next: now });
        if now.saturating_duration_since(failures.last) > FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
    }

    /// The password was right.
    pub fn passed(&self, role: &str, address: Option<IpAddr>) {
        self.pairs.lock().remove(&(role.to_string(), address));
    }
}

fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None | Some(0) => Duration::ZERO,
        Some(doubled) => (FIRST_DELAY * 2u32.saturating_pow((doubled - 1).min(10))).min(LONGEST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_queue_and_end_with_success() {
        let throttle = Throttle::default();
        let here = Some(IpAddr::from([127, 0, 0, 1]));
        let now = Instant::now();
        for _ in 0..2 {
            assert_eq!(throttle.attempt("ann", here, now), Duration::ZERO);
            throttle.failed("ann", here, now);
        }
        assert_eq!(throttle.attempt("ann", here, now), Duration::ZERO);
        throttle.failed("ann", here, now);
        assert_eq!(throttle.attempt("ann", here, now), FIRST_DELAY);
        assert_eq!(throttle.attempt("ann", here, now), FIRST_DELAY * 2, "beside the first: behind it");
        throttle.failed("ann", here, now);
        let later = now + Duration::from_secs(60);
        assert_eq!(throttle.attempt("ann", here, later), FIRST_DELAY * 2);
        assert_eq!(throttle.attempt("bob", here, later), Duration::ZERO);
        assert_eq!(throttle.attempt("ann", None, later), Duration::ZERO);
        assert_eq!(throttle.attempt("ann", here, later + FORGET_AFTER), Duration::ZERO);
        throttle.passed("ann", here);
        assert_eq!(throttle.attempt("ann", here, later), Duration::ZERO);
        assert_eq!(delay(1000), LONGEST_DELAY);
    }

    #[test]
    fn the_memory_is_bounded() {
        let throttle = Throttle::default();
        let now = Instant::now();
        for role in 0..MAX_PAIRS + 50 {
            throttle.failed(&role.to_string(), None, now);
        }
        assert_eq!(throttle.pairs.lock().len(), MAX_PAIRS);
    }
}
