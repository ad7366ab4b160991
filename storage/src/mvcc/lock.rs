//! Row locks that are not writes, waiting for other transactions, and deadlocks.
//!
//! A record whose newest version belongs to a running transaction is locked by that alone; the table here
//! holds what FOR UPDATE, FOR SHARE and foreign keys lock, in memory only. Locks end with their
//! transaction: an entry of one that is over counts as gone. A wait names the transactions waited for in a
//! graph, which is searched at once: a cycle is 40P01 for the one that closed it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::buffer::guard::Held;
use crate::transaction::RowLock;
use crate::undo::{Fate, TxState};
use crate::wait::{self, Signal, WaitReason};

const SHARDS: usize = 16;

type Key = (u64, Box<[u8]>);
type Holders = Vec<(Arc<TxState>, RowLock)>;

/// True when two transactions cannot hold these at once (PostgreSQL, table 13.3).
pub fn conflicts(a: RowLock, b: RowLock) -> bool {
    use RowLock::{KeyShare, NoKeyUpdate, Share, Update};
    matches!(
        (a.min(b), a.max(b)),
        (KeyShare, Update) | (Share, NoKeyUpdate | Update) | (NoKeyUpdate | Update, _)
    )
}

#[derive(Default)]
pub struct RowLocks {
    shards: [Mutex<HashMap<Key, Holders>>; SHARDS],
    /// Entries in all shards: writers look no further while it is zero.
    count: AtomicUsize,
}

impl RowLocks {
    fn shard(&self, tree: u64, key: &[u8]) -> &Mutex<HashMap<Key, Holders>> {
        let hash = crate::page::crc32c(key) as usize ^ tree as usize;
        &self.shards[hash % SHARDS]
    }

    /// Somebody else who holds a lock that conflicts with `mode`.
    pub fn blocker(&self, tree: u64, key: &[u8], mode: RowLock, me: &TxState) -> Option<Arc<TxState>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let shard = self.shard(tree, key).lock();
        let holders = shard.get(&(tree, Box::from(key)))?;
        holders
            .iter()
            .find(|(tx, held)| tx.id != me.id && conflicts(*held, mode) && tx.fate() == Fate::Running)
            .map(|(tx, _)| tx.clone())
    }

    /// True when `me` holds at least `mode`.
    pub fn holds(&self, tree: u64, key: &[u8], mode: RowLock, me: &TxState) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let shard = self.shard(tree, key).lock();
        shard
            .get(&(tree, Box::from(key)))
            .is_some_and(|holders| holders.iter().any(|(tx, held)| tx.id == me.id && *held >= mode))
    }

    /// Grants the lock, or names who is in the way. Returns `Ok(true)` when `me` had none on it before.
    pub fn acquire(
        &self,
        tree: u64,
        key: &[u8],
        mode: RowLock,
        me: &Arc<TxState>,
    ) -> std::result::Result<bool, Arc<TxState>> {
        let mut shard = self.shard(tree, key).lock();
        let before = shard.len();
        let holders = shard.entry((tree, Box::from(key))).or_default();
        holders.retain(|(tx, _)| tx.fate() == Fate::Running);
        if let Some((tx, _)) = holders.iter().find(|(tx, held)| tx.id != me.id && conflicts(*held, mode)) {
            return Err(tx.clone());
        }
        let fresh = match holders.iter_mut().find(|(tx, _)| tx.id == me.id) {
            Some((_, held)) => {
                *held = (*held).max(mode);
                false
            }
            None => {
                holders.push((me.clone(), mode));
                true
            }
        };
        self.count.fetch_add(shard.len() - before, Ordering::AcqRel);
        Ok(fresh)
    }

    /// Forgets the locks of a transaction that is over.
    pub fn release(&self, me: &TxState, keys: impl Iterator<Item = (u64, Vec<u8>)>) {
        for (tree, key) in keys {
            let mut shard = self.shard(tree, &key).lock();
            let key = (tree, key.into_boxed_slice());
            if let Some(holders) = shard.get_mut(&key) {
                holders.retain(|(tx, _)| tx.id != me.id);
                if holders.is_empty() {
                    shard.remove(&key);
                    self.count.fetch_sub(1, Ordering::AcqRel);
                }
            }
        }
    }
}

struct Waiting {
    process_id: i32,
    on: Arc<TxState>,
    /// `ShareLock on transaction 7`, as deadlock reports say it.
    what: String,
}

/// Who waits for whom.
#[derive(Default)]
pub struct WaitGraph {
    waiting: Mutex<HashMap<u64, Waiting>>,
}

impl WaitGraph {
    /// Returns once `owner` is over. 40P01, 55P03, or what the waiter says.
    pub fn wait_for(&self, me: &TxState, owner: &Arc<TxState>, timeout: Option<Duration>) -> Result<()> {
        let what = format!("ShareLock on transaction {}", owner.id);
        self.wait_until(me, owner, &owner.done, what, timeout)
    }

    /// Returns once `owner` has given its locks back; `what` is wanted of it.
    pub fn wait_for_release(
        &self,
        me: &TxState,
        owner: &Arc<TxState>,
        what: String,
        timeout: Option<Duration>,
    ) -> Result<()> {
        self.wait_until(me, owner, &owner.released, what, timeout)
    }

    fn wait_until(
        &self,
        me: &TxState,
        owner: &Arc<TxState>,
        signal: &Arc<Signal>,
        what: String,
        timeout: Option<Duration>,
    ) -> Result<()> {
        Held::assert_none();
        {
            let mut waiting = self.waiting.lock();
            if let Some(detail) = cycle(&waiting, me, owner, &what) {
                return Err(Error::new(SqlState::DEADLOCK_DETECTED, "deadlock detected")
                    .with_detail(detail)
                    .with_hint("See server log for query details."));
            }
            waiting.insert(me.id, Waiting { process_id: me.process_id, on: owner.clone(), what });
        }
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let result = wait::wait(signal, WaitReason::Lock, deadline);
        self.waiting.lock().remove(&me.id);
        if result? {
            Ok(())
        } else {
            Err(Error::new(SqlState::LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout"))
        }
    }
}

/// PostgreSQL's detail lines when `owner` waits, directly or not, for `me`.
fn cycle(waiting: &HashMap<u64, Waiting>, me: &TxState, owner: &Arc<TxState>, what: &str) -> Option<String> {
    let line = |process: i32, on: &TxState, what: &str| {
        format!("Process {process} waits for {what}; blocked by process {}.", on.process_id)
    };
    let mut lines = vec![line(me.process_id, owner, what)];
    let mut at = owner.id;
    for _ in 0..=waiting.len() {
        let next = waiting.get(&at)?;
        lines.push(line(next.process_id, &next.on, &next.what));
        if next.on.id == me.id {
            return Some(lines.join("\n"));
        }
        at = next.on.id;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_conflict_as_in_postgresqls_table() {
        use RowLock::{KeyShare, NoKeyUpdate, Share, Update};
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
    fn a_cycle_of_three_is_found_by_the_one_who_closes_it() {
        let graph = Arc::new(WaitGraph::default());
        let tx: Vec<_> = (1..=3).map(|id| Arc::new(TxState::new(id, 10 * id as i32))).collect();
        let waiters: Vec<_> = [(0, 1), (1, 2)]
            .map(|(a, b)| {
                let (graph, a, b) = (graph.clone(), tx[a].clone(), tx[b].clone());
                std::thread::spawn(move || graph.wait_for(&a, &b, None))
            })
            .into();
        while graph.waiting.lock().len() < 2 {
            std::thread::yield_now();
        }
        let error = graph.wait_for(&tx[2], &tx[0], None).unwrap_err();
        assert_eq!(error.code().as_str(), "40P01");
        let detail = error.detail().unwrap();
        assert!(
            detail.starts_with("Process 30 waits for ShareLock on transaction 1; blocked by process 10.")
        );
        assert_eq!(detail.lines().count(), 3);
        tx.iter().for_each(|tx| tx.done.set());
        for waiter in waiters {
            waiter.join().unwrap().unwrap();
        }
        let timeout = Some(Duration::from_millis(1));
        let other = Arc::new(TxState::new(9, 9));
        assert_eq!(graph.wait_for(&tx[0], &other, timeout).unwrap_err().code().as_str(), "55P03");
    }
}
