//! A transaction as others see it: running, committed at a time, or undone.
//!
//! Shared by the transaction itself, the version tables of pages it changed, and those who wait for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::wait::Signal;
use crate::wal::Lsn;

const RUNNING: u64 = 0;
const UNDONE: u64 = u64::MAX;

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Running,
    /// At this commit timestamp.
    Committed(u64),
    Undone,
}

pub struct TxState {
    pub id: u64,
    /// The session's process id.
    process_id: i32,
    /// Its session has left it; only its undo still runs.
    left: AtomicBool,
    fate: AtomicU64,
    /// First and last record in the log; zero when there is none.
    first: AtomicU64,
    last: AtomicU64,
    /// Set once its commit record is in the log: it can no longer be undone.
    commit: AtomicU64,
    /// Log that undoing it, or ending it, may still need.
    owed: AtomicU64,
    turn: Mutex<Turn>,
}

/// What others wait for: made when somebody does.
#[derive(Default)]
struct Turn {
    next: Option<Arc<Signal>>,
    over: bool,
}

impl TxState {
    pub fn new(id: u64, process_id: i32) -> TxState {
        TxState {
            id,
            process_id,
            left: AtomicBool::new(false),
            fate: AtomicU64::new(RUNNING),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            commit: AtomicU64::new(0),
            owed: AtomicU64::new(0),
            turn: Mutex::default(),
        }
    }

    /// The session's process id, for deadlock reports; 0 for one that has none (any more).
    pub fn process_id(&self) -> i32 {
        if self.left.load(Ordering::Acquire) { 0 } else { self.process_id }
    }

    /// Who waits and is waited for: the same for all that one process does.
    pub fn session(&self) -> u64 {
        match self.process_id() {
            0 => self.id,
            process_id => (1 << 63) | u64::from(process_id as u32),
        }
    }

    /// From now on it is nobody's: its session may have to wait for it like anybody else.
    pub fn leave(&self) {
        self.left.store(true, Ordering::Release);
    }

    /// Set the next time that something of this transaction is given back: all, when it ends, or what came
    /// after a savepoint; also when it leaves a queue. Take it before making sure that there is something to wait for.
    pub fn signal(&self) -> Arc<Signal> {
        let mut turn = self.turn.lock();
        let over = turn.over;
        let signal = turn.next.get_or_insert_with(Signal::new).clone();
        drop(turn);
        if over {
            signal.set();
        }
        signal
    }

    /// Lets those who wait for it look again.
    pub fn bump(&self) {
        let signal = self.turn.lock().next.take();
        if let Some(signal) = signal {
            signal.set();
        }
    }

    /// The last bump: there will be nothing to wait for.
    pub fn end(&self) {
        let signal = {
            let mut turn = self.turn.lock();
            turn.over = true;
            turn.next.take()
        };
        if let Some(signal) = signal {
            signal.set();
        }
    }

    /// Nothing of it can be waited for any more, and no statement of it runs.
    pub fn is_over(&self) -> bool {
        self.turn.lock().over
    }

    /// A transaction found in the log by recovery.
    pub fn recovered(id: u64, last: Lsn) -> TxState {
        let state = TxState::new(id, 0);
        state.note(last);
        state
    }

    #[inline]
    pub fn fate(&self) -> Fate {
        match self.fate.load(Ordering::Acquire) {
            RUNNING => Fate::Running,
            UNDONE => Fate::Undone,
            timestamp => Fate::Committed(timestamp),
        }
    }

    /// True when it committed at or before `timestamp`.
    #[inline]
    pub fn committed_by(&self, timestamp: u64) -> bool {
        self.fate.load(Ordering::Acquire).wrapping_sub(1) < timestamp
    }

    pub fn set_committed(&self, timestamp: u64) {
        self.fate.store(timestamp, Ordering::Release);
    }

    pub fn set_undone(&self) {
        self.fate.store(UNDONE, Ordering::Release);
    }

    /// Takes note of its newest log record; called while nothing else can be appended.
    pub fn note(&self, lsn: Lsn) {
        if self.first.load(Ordering::Relaxed) == 0 {
            self.first.store(lsn.0, Ordering::Release);
        }
        self.last.store(lsn.0, Ordering::Release);
    }

    /// Where its first record is, when that is known better than by `note`.
    pub fn note_first(&self, lsn: Lsn) {
        self.first.store(lsn.0, Ordering::Release);
    }

    /// It owes so many bytes more.
    pub fn owe(&self, bytes: u64) {
        self.owed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// About how many bytes of log undoing it would write.
    pub fn owed(&self) -> u64 {
        self.owed.load(Ordering::Relaxed)
    }

    /// Takes up to `most` off what it owes; returns how many.
    pub fn pay(&self, most: u64) -> u64 {
        let before = self
            .owed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |owed| Some(owed.saturating_sub(most)));
        before.unwrap_or_else(|owed| owed).min(most)
    }

    pub fn note_commit(&self, lsn: Lsn) {
        self.commit.store(lsn.0, Ordering::Release);
    }

    pub fn commit_lsn(&self) -> Lsn {
        Lsn(self.commit.load(Ordering::Acquire))
    }

    pub fn first(&self) -> Lsn {
        Lsn(self.first.load(Ordering::Acquire))
    }

    pub fn last(&self) -> Lsn {
        Lsn(self.last.load(Ordering::Acquire))
    }
}

impl std::fmt::Debug for TxState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TxState({}, {:?})", self.id, self.fate())
    }
}
