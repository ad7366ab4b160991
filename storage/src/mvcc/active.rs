//! The transactions that are writing, the snapshots in use, and the order of commits.
//!
//! Used by transactions (begin, commit, snapshots), checkpoints (who is writing) and the sweeper (how
//! far back must versions reach). A commit's timestamp is the end of its record in the log; commits
//! become visible in that order, once durable: what a snapshot sees can no longer be lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::undo::{Live, TxState};
use crate::wait::Signal;
use crate::wal::{Lsn, OnDurable};

#[derive(Default)]
pub struct Active {
    next: AtomicU64,
    /// The newest timestamp whose commit is visible.
    visible: AtomicU64,
    /// Timestamp → snapshots that have it.
    snapshots: Mutex<BTreeMap<u64, usize>>,
    writing: Mutex<HashMap<u64, Arc<TxState>>>,
    pub commits: AtomicU64,
    pub rollbacks: AtomicU64,
}

impl Active {
    /// `next` is the first transaction id to give out, `visible` the end of the recovered log.
    pub fn reset(&self, next: u64, visible: Lsn) {
        self.next.store(next, Ordering::Release);
        self.visible.store(visible.0, Ordering::Release);
    }

    pub fn new_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub fn next_id(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Comes before a transaction's first log record.
    pub fn begin_writing(&self, tx: &Arc<TxState>) {
        self.writing.lock().insert(tx.id, tx.clone());
    }

    pub fn end_writing(&self, tx: &TxState) {
        self.writing.lock().remove(&tx.id);
    }

    /// The transactions that have begun to write and are not yet over.
    pub fn writing(&self) -> Vec<Arc<TxState>> {
        let mut writing: Vec<_> = self.writing.lock().values().cloned().collect();
        writing.sort_unstable_by_key(|tx| tx.id);
        writing
    }

    /// The newest timestamp whose commit is visible.
    pub fn visible(&self) -> u64 {
        self.visible.load(Ordering::Acquire)
    }

    /// The newest timestamp, held against the sweeper until `release`.
    pub fn hold(&self) -> u64 {
        let mut snapshots = self.snapshots.lock();
        let timestamp = self.visible.load(Ordering::Acquire);
        *snapshots.entry(timestamp).or_default() += 1;
        timestamp
    }

    pub fn release(&self, timestamp: u64) {
        let mut snapshots = self.snapshots.lock();
        if let Some(count) = snapshots.get_mut(&timestamp) {
            *count -= 1;
            if *count == 0 {
                snapshots.remove(&timestamp);
            }
        }
    }

    /// The snapshots in use. Those taken later are at or after its `visible`.
    pub fn live(&self) -> Live {
        let snapshots = self.snapshots.lock();
        Live {
            timestamps: snapshots.keys().copied().collect(),
            visible: self.visible.load(Ordering::Acquire),
        }
    }
}

/// Makes a commit visible when its record is durable.
pub struct CommitHook {
    pub active: Arc<Active>,
    pub tx: Arc<TxState>,
    /// Set when the outcome is known, or known to stay unknown.
    pub settled: Arc<Signal>,
}

impl OnDurable for CommitHook {
    fn durable(&self, end: Lsn) {
        self.tx.set_committed(end.0);
        self.active.visible.store(end.0, Ordering::Release);
        self.active.end_writing(&self.tx);
        self.active.commits.fetch_add(1, Ordering::Relaxed);
        self.tx.bump();
        self.settled.set();
    }

    fn failed(&self) {
        // Those who wait for its rows find the log failed; the rows stay its own.
        self.tx.end();
        self.settled.set();
    }
}
