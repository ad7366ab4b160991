//! Dates, times and intervals: calendar arithmetic on integers.
//!
//! date is days since 2000-01-01 (i32); timestamp and timestamptz are microseconds since
//! 2000-01-01 00:00 (i64, UTC for timestamptz); time is microseconds since midnight. The extreme
//! integers are −infinity and infinity, as in PostgreSQL.

/// Months, days and microseconds: three fields that do not add up, as in PostgreSQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Interval {
    pub months: i32,
    pub days: i32,
    pub micros: i64,
}

impl Interval {
    /// The length by which intervals compare: a month is 30 days, a day 24 hours.
    pub fn span_micros(self) -> i128 {
        const DAY: i128 = 86_400_000_000;
        i128::from(self.micros) + (i128::from(self.days) + i128::from(self.months) * 30) * DAY
    }
}

impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        self.span_micros() == other.span_micros()
    }
}

impl Eq for Interval {}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Interval) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Interval) -> std::cmp::Ordering {
        self.span_micros().cmp(&other.span_micros())
    }
}

impl std::hash::Hash for Interval {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.span_micros().hash(state);
    }
}
