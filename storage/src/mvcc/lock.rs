//! Locks that are held to the end of a transaction (or session), and the queues for them.
//!
//! Used for rows (`write.rs`, `transaction.rs`), tables (`table_lock.rs`) and advisory locks (`advisory.rs`). A record
//! whose newest version belongs to a running transaction is locked by that alone; the table of row locks holds what
//! FOR UPDATE, FOR SHARE and foreign keys lock, and who waits, in memory only.
//!
//! **First come, first served.** Who must wait gets a place in the queue, and whoever comes later and cannot
//! share with him waits behind him: a stream of shared locks does not starve the one who wants to write. Two go
//! past the queue: who holds a lock on the thing already (waiting behind those who wait for him would be a
//! deadlock), and who is told to by the search for deadlocks (`wait_graph.rs`), when only the queue closes a
//! cycle.
//!
//! A lock of a transaction that is over counts as gone, except a table lock, which stays until what the
//! transaction published is published.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::wait_graph::Blockers;
use crate::transaction::RowLock;
use crate::undo::{Fate, TxState};
use crate::wait::Signal;

const SHARDS: usize = 16;

/// One of up to eight ways to hold a lock: its bit, and the bits it cannot be held beside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mode {
    pub bit: u8,
    pub conflicts: u8,
}

impl RowLock {
    /// They conflict as in PostgreSQL's table 13.3.
    pub(crate) fn mode(self) -> Mode {
        let conflicts = match self {
            RowLock::KeyShare => 0b1000,
            RowLock::Share => 0b1100,
            RowLock::NoKeyUpdate => 0b1110,
            RowLock::Update => 0b1111,
        };
        Mode { bit: 1 << (self as u8), conflicts }
    }
}

/// True when two transactions cannot hold these at once.
pub fn conflicts(a: RowLock, b: RowLock) -> bool {
    a.mode().conflicts & b.mode().bit != 0
}

/// How a lock is asked for.
#[derive(Clone, Copy, Default)]
pub struct Asking {
    /// Takes a place in the queue when it is not free.
    pub queue: bool,
    /// Past the queue.
    pub jump: bool,
}

struct Held {
    tx: Arc<TxState>,
    /// The modes, as bits.
    modes: u8,
}

struct Queued {
    tx: Arc<TxState>,
    mode: Mode,
}

#[derive(Default)]
struct Entry {
    held: Vec<Held>,
    queue: Vec<Queued>,
}

/// The owner of a row by a version, and the signal of the moment at which it was seen to be that.
pub type Owner = (Arc<TxState>, Arc<Signal>);

/// A signal for the end of `tx` if it still runs.
pub fn running(tx: &TxState) -> Option<Arc<Signal>> {
    if tx.fate() != Fate::Running {
        return None;
    }
    // Taken before the second look: what happens after that look sets it.
    let signal = tx.signal();
    (tx.fate() == Fate::Running).then_some(signal)
}

pub struct Locks<K> {
    shards: [Mutex<HashMap<K, Entry>>; SHARDS],
    hasher: rapidhash::fast::RandomState,
    /// Entries in all shards: writers look no further while it is zero.
    count: AtomicUsize,
    /// Locks of a transaction that is over count, until released.
    outlast: bool,
}

pub type RowLocks = Locks<(u64, Box<[u8]>)>;

impl<K: Hash + Eq + Clone> Locks<K> {
    pub fn new(outlast: bool) -> Locks<K> {
        Locks {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: rapidhash::fast::RandomState::default(),
            count: AtomicUsize::new(0),
            outlast,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, Entry>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    fn with_entry<R>(&self, key: &K, work: impl FnOnce(&mut Entry) -> R) -> R {
        let mut shard = self.shard(key).lock();
        if !shard.contains_key(key) {
            shard.insert(key.clone(), Entry::default());
            self.count.fetch_add(1, Ordering::AcqRel);
        }
        let Some(entry) = shard.get_mut(key) else { unreachable!("it was put there three lines above") };
        let result = work(entry);
        if entry.held.is_empty() && entry.queue.is_empty() {
            shard.remove(key);
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        result
    }

    /// Grants the lock and returns true when `me` did not have it in this mode; or says who is in the way.
    pub fn acquire(&self, key: &K, mode: Mode, me: &Arc<TxState>, asking: Asking) -> Result<bool, Blockers> {
        self.with_entry(key, |entry| {
            if let Some(blockers) = entry.blockers(mode, me, None, asking, self.outlast) {
                return Err(blockers);
            }
            entry.queue.retain(|queued| queued.tx.id != me.id);
            match entry.held.iter_mut().find(|held| held.tx.id == me.id) {
                Some(held) => {
                    let fresh = held.modes & mode.bit == 0;
                    held.modes |= mode.bit;
                    Ok(fresh)
                }
                None => {
                    entry.held.push(Held { tx: me.clone(), modes: mode.bit });
                    Ok(true)
                }
            }
        })
    }

    /// Says who is in the way of `mode`, `owner` among them, without granting anything.
    pub fn blockers(
        &self,
        key: &K,
        mode: Mode,
        me: &Arc<TxState>,
        owner: Option<Owner>,
        asking: Asking,
    ) -> Option<Blockers> {
        self.with_entry(key, |entry| entry.blockers(mode, me, owner, asking, self.outlast))
    }

    /// Leaves the queue: with the lock's purpose fulfilled, or without (then those behind look again).
    pub fn leave_queue(&self, key: &K, me: &Arc<TxState>, gave_up: bool) {
        self.with_entry(key, |entry| entry.queue.retain(|queued| queued.tx.id != me.id));
        if gave_up {
            me.bump();
        }
    }

    /// True when `me` holds one of `modes`.
    pub fn holds(&self, key: &K, modes: u8, me: &TxState) -> bool {
        let shard = self.shard(key).lock();
        shard
            .get(key)
            .is_some_and(|entry| entry.held.iter().any(|held| held.tx.id == me.id && held.modes & modes != 0))
    }

    /// Gives back `modes`. The caller bumps or ends `me` when all are given back.
    pub fn release(&self, key: &K, modes: u8, me: &TxState) {
        let mut shard = self.shard(key).lock();
        let Some(entry) = shard.get_mut(key) else { return };
        entry.held.retain_mut(|held| {
            if held.tx.id == me.id {
                held.modes &= !modes;
            }
            held.modes != 0
        });
        if entry.held.is_empty() && entry.queue.is_empty() {
            shard.remove(key);
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Every lock: key, transaction, mode's bit, granted.
    pub fn each(&self, mut look: impl FnMut(&K, &TxState, u8, bool)) {
        for shard in &self.shards {
            for (key, entry) in shard.lock().iter() {
                for held in &entry.held {
                    let counts = self.outlast || held.tx.fate() == Fate::Running;
                    (0..8).map(|bit| 1 << bit).filter(|bit| counts && held.modes & bit != 0).for_each(
                        |bit| {
                            look(key, &held.tx, bit, true);
                        },
                    );
                }
                entry.queue.iter().for_each(|queued| look(key, &queued.tx, queued.mode.bit, false));
            }
        }
    }
}

impl Entry {
    fn blockers(
        &mut self,
        mode: Mode,
        me: &Arc<TxState>,
        owner: Option<Owner>,
        asking: Asking,
        outlast: bool,
    ) -> Option<Blockers> {
        let mut blockers = Blockers::default();
        if let Some((tx, signal)) = owner {
            blockers.hard(tx, signal);
        }
        if !outlast {
            self.held.retain(|held| held.tx.fate() == Fate::Running);
        }
        let mut holds = false;
        for held in &self.held {
            if held.tx.session() == me.session() {
                holds = true;
            } else if held.modes & mode.conflicts != 0 {
                let signal = if outlast { Some(held.tx.signal()) } else { running(&held.tx) };
                if let Some(signal) = signal {
                    blockers.hard(held.tx.clone(), signal);
                }
            }
        }
        let place = self.queue.iter().position(|queued| queued.tx.id == me.id);
        if !holds && !asking.jump {
            for queued in &self.queue[..place.unwrap_or(self.queue.len())] {
                // Either way round: with several modes "conflicts" is symmetric.
                if queued.tx.session() != me.session() && queued.mode.bit & mode.conflicts != 0 {
                    blockers.soft(queued.tx.clone(), queued.tx.signal());
                }
            }
        }
        if blockers.is_empty() {
            return None;
        }
        if asking.queue && place.is_none() {
            self.queue.push(Queued { tx: me.clone(), mode });
        }
        Some(blockers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RowLock::{KeyShare, NoKeyUpdate, Share, Update};

    const QUEUE: Asking = Asking { queue: true, jump: false };

    fn tx(id: u64) -> Arc<TxState> {
        Arc::new(TxState::new(id, 0))
    }

    #[test]
    fn locks_conflict_as_in_postgresqls_table() {
        let all = [KeyShare, Share, NoKeyUpdate, Update];
        let expected = [
            [false, false, false, true],
            [false, false, true, true],
            [false, true, true, true],
            [true, true, true, true],
        ];
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(conflicts(*a, *b), expected[i][j], "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn who_comes_later_waits_behind_the_one_who_waits() {
        let locks = Locks::<u64>::new(false);
        let (a, b, c, d) = (tx(1), tx(2), tx(3), tx(4));
        let ask = |tx: &Arc<TxState>, mode: RowLock, asking| locks.acquire(&7, mode.mode(), tx, asking);
        assert!(ask(&a, Share, QUEUE).unwrap());
        assert!(!ask(&a, Share, QUEUE).unwrap());
        assert_eq!(ask(&b, Update, QUEUE).unwrap_err().ids(), (vec![1], vec![]));
        // A sharer could share with a, but b was first.
        let behind = ask(&c, Share, QUEUE).unwrap_err();
        assert_eq!(behind.ids(), (vec![], vec![2]));
        // Who holds already need not queue, and who is told not to does not.
        assert!(ask(&a, KeyShare, QUEUE).unwrap());
        assert!(ask(&d, KeyShare, Asking { queue: false, jump: true }).unwrap());
        locks.release(&7, 0xff, &d);
        // b is first when a goes, and c behind him until he gives up.
        a.set_undone();
        assert!(ask(&c, Share, QUEUE).is_err());
        assert!(ask(&b, Update, QUEUE).unwrap());
        assert_eq!(ask(&c, Share, QUEUE).unwrap_err().ids(), (vec![2], vec![]));
        locks.leave_queue(&7, &c, true);
        locks.release(&7, 0xff, &b);
        assert!(locks.is_empty());
    }

    #[test]
    fn who_gives_up_lets_those_behind_look_again() {
        let locks = Locks::<u64>::new(false);
        let (a, b, c) = (tx(1), tx(2), tx(3));
        assert!(locks.acquire(&7, Share.mode(), &a, QUEUE).unwrap());
        assert!(locks.acquire(&7, Update.mode(), &b, QUEUE).is_err());
        let behind = locks.acquire(&7, Share.mode(), &c, QUEUE).unwrap_err();
        let signal = behind.signal().unwrap();
        assert!(!signal.is_set());
        locks.leave_queue(&7, &b, true);
        assert!(signal.is_set());
        assert!(locks.acquire(&7, Share.mode(), &c, QUEUE).unwrap());
    }
}
