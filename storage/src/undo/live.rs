//! The moments that somebody can look at: what a version must be kept for.
//!
//! Made by `mvcc/active.rs`; asked by writers and the sweeper. New snapshots only come at or after `visible`.

use super::{Fate, Writer};

/// Snapshots in use at one time.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Their timestamps, ascending.
    pub timestamps: Vec<u64>,
    /// The newest visible commit.
    pub visible: u64,
}

impl Live {
    /// What committed at or before this is the same for every snapshot, present and future.
    pub fn horizon(&self) -> u64 {
        self.timestamps.first().copied().unwrap_or(self.visible)
    }

    /// False when everybody, now and later, sees either both writes or neither: `newer` then stands for both.
    pub fn tells_apart(&self, older: &Writer, newer: &Writer) -> bool {
        let (Fate::Committed(from), Fate::Committed(to)) = (older.tx.fate(), newer.tx.fate()) else {
            return true;
        };
        if older.is_of(newer) {
            // Its own statements may still look in between.
            return !newer.tx.is_over();
        }
        let next = self.timestamps.partition_point(|timestamp| *timestamp < from);
        to > self.visible || self.timestamps.get(next).is_some_and(|timestamp| *timestamp < to)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::undo::TxState;

    fn committed(id: u64, at: u64) -> Writer {
        let tx = Arc::new(TxState::new(id, 0));
        tx.set_committed(at);
        Writer { tx, command: 0 }
    }

    #[test]
    fn writes_are_told_apart_by_whoever_looks_in_between() {
        let (older, newer) = (committed(1, 10), committed(2, 20));
        let apart = |timestamps: &[u64], visible| {
            Live { timestamps: timestamps.to_vec(), visible }.tells_apart(&older, &newer)
        };
        assert!(!apart(&[], 20) && !apart(&[9, 20], 25));
        assert!(apart(&[9, 10], 25) && apart(&[19], 25));
        // A snapshot taken next may have the timestamp 19.
        assert!(apart(&[], 19));
        let running = Writer { tx: Arc::new(TxState::new(3, 0)), command: 0 };
        assert!(Live { timestamps: Vec::new(), visible: 99 }.tells_apart(&newer, &running));
    }
}
