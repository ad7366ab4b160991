//! Advisory locks: numbers that applications lock, for a transaction or for a session.
//!
//! Called for PostgreSQL's `pg_advisory_…` functions. A session's locks outlive its transactions and their
//! rollback, and are counted: each lock asks for an unlock. They end with [`SessionLocks`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use types::Result;

use super::lock::{Asking, Locks, Mode};
use super::table_lock::TableLock;
use super::wait_graph::deadline;
use crate::engine::Engine;
use crate::store::Store;
use crate::undo::TxState;

/// What is locked: a 64-bit number, or two of 32 bits, of one database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AdvisoryKey {
    pub database: u32,
    /// The upper half, or the first of two.
    pub class: u32,
    pub object: u32,
    pub is_pair: bool,
}

pub type AdvisoryLocks = Locks<AdvisoryKey>;

pub fn mode(shared: bool) -> Mode {
    if shared { TableLock::Share.mode() } else { TableLock::Exclusive.mode() }
}

/// Takes the lock for `me`. False when `wait` is false and somebody is in the way.
pub fn acquire(
    engine: &Engine,
    me: &Arc<TxState>,
    key: AdvisoryKey,
    shared: bool,
    wait: bool,
    lock_timeout: Option<Duration>,
) -> Result<Option<bool>> {
    let mode = mode(shared);
    let deadline = deadline(lock_timeout);
    let mut asking = Asking { queue: wait, jump: false };
    loop {
        match engine.advisory.acquire(&key, mode, me, asking) {
            Ok(fresh) => return Ok(Some(fresh)),
            Err(_) if !wait => return Ok(None),
            Err(blockers) => {
                let AdvisoryKey { database, class, object, is_pair } = key;
                let name = if shared { TableLock::Share.name() } else { TableLock::Exclusive.name() };
                let kind = if is_pair { 2 } else { 1 };
                let what = format!("{name} on advisory lock [{database},{class},{object},{kind}]");
                asking.jump = engine
                    .waits
                    .wait(me, blockers, Some(what), deadline)
                    .inspect_err(|_| engine.advisory.leave_queue(&key, me, true))?;
            }
        }
    }
}

/// The advisory locks that a session holds beyond its transactions; given back when dropped.
pub struct SessionLocks {
    store: Arc<Store>,
    owner: Arc<TxState>,
    /// How often each is held, exclusive and shared apart.
    counts: Mutex<HashMap<(AdvisoryKey, bool), usize>>,
}

impl SessionLocks {
    pub(crate) fn new(store: Arc<Store>, process_id: i32) -> SessionLocks {
        let owner = Arc::new(TxState::new(store.engine().active.new_id(), process_id));
        SessionLocks { store, owner, counts: Mutex::default() }
    }

    /// False when `wait` is false and another session is in the way. 40P01, 55P03, 57014.
    pub fn lock(
        &self,
        key: AdvisoryKey,
        shared: bool,
        wait: bool,
        lock_timeout: Option<Duration>,
    ) -> Result<bool> {
        let granted = acquire(self.store.engine(), &self.owner, key, shared, wait, lock_timeout)?.is_some();
        if granted {
            *self.counts.lock().entry((key, shared)).or_default() += 1;
        }
        Ok(granted)
    }

    /// Gives back one of the locks on `key`; false when it has none.
    pub fn unlock(&self, key: AdvisoryKey, shared: bool) -> bool {
        let mut counts = self.counts.lock();
        let Some(count) = counts.get_mut(&(key, shared)) else { return false };
        *count -= 1;
        if *count == 0 {
            counts.remove(&(key, shared));
            drop(counts);
            self.store.engine().advisory.release(&key, mode(shared).bit, &self.owner);
            self.owner.bump();
        }
        true
    }

    pub fn unlock_all(&self) {
        let held = std::mem::take(&mut *self.counts.lock());
        for (key, shared) in held.into_keys() {
            self.store.engine().advisory.release(&key, mode(shared).bit, &self.owner);
        }
        self.owner.bump();
    }
}

impl Drop for SessionLocks {
    fn drop(&mut self) {
        self.unlock_all();
        self.owner.end();
    }
}
