//! The parts of an open store, and what they do together that belongs to none of them.
//!
//! Shared by the store's face, its transactions and its background threads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::buffer::guard::Held;
use crate::control::Control;
use crate::directory::Directory;
use crate::disk::Disk;
use crate::mvcc::active::CommitHook;
use crate::mvcc::advisory::AdvisoryLocks;
use crate::mvcc::lock::RowLocks;
use crate::mvcc::serializable::Serializable;
use crate::mvcc::table_lock::TableLocks;
use crate::mvcc::wait_graph::WaitGraph;
use crate::mvcc::write::Write;
use crate::mvcc::{Active, Snapshot};
use crate::pager::Pager;
use crate::transaction::{IsolationLevel, Locks};
use crate::undo::TxState;
use crate::wait::Signal;
use crate::wal::{Lsn, Record, Room};

pub struct Engine {
    pub disk: Arc<dyn Disk>,
    pub control: Mutex<Control>,
    pub pager: Pager,
    pub directory: Directory,
    pub active: Arc<Active>,
    pub locks: RowLocks,
    pub table_locks: TableLocks,
    pub advisory: AdvisoryLocks,
    pub waits: WaitGraph,
    pub serializable: Arc<Serializable>,
    /// Serialises checkpoints.
    pub checkpointing: Mutex<()>,
    pub checkpoints: AtomicU64,
    /// The log's end at the last checkpoint.
    pub checkpoint_end: AtomicU64,
    pub checkpoint_log_bytes: u64,
    pub next_chunk: AtomicU64,
    recovering: AtomicBool,
    /// Transactions whose old versions are partly in the log only.
    spilled: Mutex<Vec<Weak<TxState>>>,
    /// Rollbacks that nobody waits for, the oldest first: long ones, and those that found no room on the disk.
    unfinished: Mutex<VecDeque<Unfinished>>,
    /// A thread takes long rollbacks off the hands of sessions.
    undoes_later: AtomicBool,
    /// Held by a round of the sweeper, and by who wants none meanwhile.
    pub sweeping: Mutex<()>,
    /// Dropped trees whose pages are yet to be freed.
    to_drop: Mutex<Vec<u64>>,
}

/// A rollback that owes the log no more than this is done at once: some milliseconds.
pub const QUICK_UNDO: u64 = 256 << 10;

/// A transaction that is over for its session, with what it holds until it is undone.
pub struct Unfinished {
    pub tx: Arc<TxState>,
    pub created: Vec<u64>,
    pub locks: Locks,
}

impl Unfinished {
    fn new(tx: Arc<TxState>) -> Unfinished {
        Unfinished { tx, created: Vec::new(), locks: Locks::default() }
    }
}

impl Engine {
    pub fn new(
        disk: Arc<dyn Disk>,
        control: Control,
        pager: Pager,
        checkpoint_log_bytes: u64,
        recovering: bool,
    ) -> Engine {
        Engine {
            disk,
            control: Mutex::new(control),
            pager,
            directory: Directory::new(),
            active: Arc::new(Active::default()),
            locks: RowLocks::new(false),
            table_locks: TableLocks::new(true),
            advisory: AdvisoryLocks::new(true),
            waits: WaitGraph::default(),
            serializable: Arc::default(),
            checkpointing: Mutex::new(()),
            checkpoints: AtomicU64::new(0),
            checkpoint_end: AtomicU64::new(0),
            checkpoint_log_bytes,
            next_chunk: AtomicU64::new(1),
            recovering: AtomicBool::new(recovering),
            spilled: Mutex::new(Vec::new()),
            unfinished: Mutex::default(),
            undoes_later: AtomicBool::new(false),
            sweeping: Mutex::new(()),
            to_drop: Mutex::new(Vec::new()),
        }
    }

    /// While true, tombstones may belong to transactions that are yet to be undone.
    pub fn is_recovering(&self) -> bool {
        self.recovering.load(Ordering::Acquire)
    }

    pub fn recovered(&self) {
        self.recovering.store(false, Ordering::Release);
    }

    pub fn new_chunk_id(&self) -> u64 {
        self.next_chunk.fetch_add(1, Ordering::Relaxed)
    }

    /// Keeps the log back to the first record of `tx` as long as a version mentions it.
    pub fn keep_log_for(&self, tx: &Arc<TxState>) {
        let mut spilled = self.spilled.lock();
        if !spilled.iter().any(|known| known.as_ptr() == Arc::as_ptr(tx)) {
            spilled.push(Arc::downgrade(tx));
        }
    }

    /// The oldest log record that somebody may still read.
    pub fn oldest_needed(&self, redo: Lsn) -> Lsn {
        let mut oldest = redo;
        for tx in self.active.writing() {
            if tx.first() != Lsn::ZERO {
                oldest = oldest.min(tx.first());
            }
        }
        self.spilled.lock().retain(|tx| match tx.upgrade() {
            Some(tx) => {
                oldest = oldest.min(tx.first());
                true
            }
            None => false,
        });
        oldest
    }

    /// Runs `work`, which changes nothing when it fails; on a full disk once more after a checkpoint, if that
    /// gives the log room. The caller holds no latch.
    pub fn with_room<R>(&self, work: impl Fn() -> Result<R>) -> Result<R> {
        loop {
            match work() {
                Err(error) if error.code() == SqlState::DISK_FULL && !self.is_recovering() => {
                    Held::assert_none();
                    if !self.checkpoint_for_room().unwrap_or(false) {
                        return Err(error);
                    }
                }
                result => return result,
            }
        }
    }

    /// Gets the room that writing back will need: for the double-write file, and the page file up to the last
    /// page in use. 53100.
    pub fn keep_room(&self) -> Result<()> {
        let pool = &self.pager.pool;
        pool.file().extend_double(pool.write_together())?;
        pool.file().extend(self.pager.space.end())
    }

    /// Leaves a rollback that failed for want of room to `settle_unfinished`; passes another `error` on.
    pub fn undo_later(&self, rest: Unfinished, error: Error) -> Result<()> {
        if error.code() != SqlState::DISK_FULL {
            // Its rows stay its own until recovery; who waits for them finds the log failed.
            rest.locks.release(self, &rest.tx);
            return Err(error);
        }
        tracing::warn!(%error, transaction = rest.tx.id, "rollback waits for room on the disk");
        rest.tx.leave();
        self.unfinished.lock().push_back(rest);
        Ok(())
    }

    /// From now on a thread calls `settle_unfinished` again and again.
    pub fn undoes_later(&self) {
        self.undoes_later.store(true, Ordering::Release);
    }

    /// True when undoing `tx` takes so long that its session should not wait, and there is somebody to do it.
    pub fn should_undo_later(&self, tx: &TxState) -> bool {
        tx.owed() > QUICK_UNDO && self.undoes_later.load(Ordering::Acquire)
    }

    /// Leaves a rollback to `settle_unfinished`. Its rows and tables stay locked until it is done.
    pub fn undo_behind(&self, rest: Unfinished) {
        rest.tx.leave();
        self.unfinished.lock().push_back(rest);
    }

    /// Completes the rollbacks that were left, as long as `goes_on`. 53100 when the disk has no room for one.
    pub fn settle_unfinished(&self, goes_on: impl Fn() -> bool) -> Result<()> {
        while goes_on() {
            let Some(rest) = self.unfinished.lock().pop_front() else { break };
            let started = Instant::now();
            match self.roll_back_while(&rest.tx, &goes_on) {
                Ok(true) => {}
                Ok(false) => {
                    self.unfinished.lock().push_front(rest);
                    break;
                }
                Err(error) if error.code() == SqlState::DISK_FULL => {
                    self.unfinished.lock().push_front(rest);
                    return Err(error);
                }
                Err(error) => return self.undo_later(rest, error),
            }
            tracing::info!(
                transaction = rest.tx.id,
                ms = started.elapsed().as_millis() as u64,
                "rollback completed"
            );
            rest.created.iter().for_each(|tree| self.drop_later(*tree));
            rest.locks.release(self, &rest.tx);
            self.finish_drops()?;
        }
        Ok(())
    }

    /// Has `finish_drops` free the tree.
    pub fn drop_later(&self, tree: u64) {
        self.to_drop.lock().push(tree);
    }

    /// Frees the pages of dropped trees; those for which there is no room in the log stay for later.
    pub fn finish_drops(&self) -> Result<()> {
        let trees = std::mem::take(&mut *self.to_drop.lock());
        for (i, tree) in trees.iter().enumerate() {
            if let Err(error) = self.finish_drop(*tree) {
                // A tree that cannot be freed for another reason stays as it is until the next open.
                let again = if error.code() == SqlState::DISK_FULL { i } else { i + 1 };
                self.to_drop.lock().extend_from_slice(&trees[again..]);
                return Err(error);
            }
        }
        Ok(())
    }

    pub fn has_drops(&self) -> bool {
        !self.to_drop.lock().is_empty()
    }

    /// Runs `work` in a transaction of its own that does not wait to be durable: whoever depends on it
    /// commits later in the same log.
    pub fn in_system_transaction<R>(&self, work: impl FnOnce(&Write<'_>) -> Result<R>) -> Result<R> {
        let tx = Arc::new(TxState::new(self.active.new_id(), 0));
        self.active.begin_writing(&tx);
        let snapshot = Snapshot::take(&self.active, &tx, 0);
        let undo_bytes = AtomicUsize::new(0);
        let result = work(&Write {
            engine: self,
            tx: &tx,
            snapshot: &snapshot,
            isolation: IsolationLevel::ReadCommitted,
            lock_timeout: None,
            undo_bytes: &undo_bytes,
            locked: &Mutex::default(),
        });
        match result {
            Ok(value) => {
                self.append_commit(&tx)?;
                Ok(value)
            }
            Err(error) => {
                if let Err(undoing) = self.roll_back(&tx) {
                    self.undo_later(Unfinished::new(tx), undoing)?;
                }
                Err(error)
            }
        }
    }

    /// Puts the commit record of `tx` in the log; it takes effect once durable, which the signal tells.
    /// Returns its timestamp as well.
    pub fn append_commit(&self, tx: &Arc<TxState>) -> Result<(Arc<Signal>, u64)> {
        let mut body = Vec::with_capacity(32);
        Record::Commit { transaction: tx.id, previous: tx.last() }.encode(&mut body);
        let settled = Signal::new();
        let hook = CommitHook { active: self.active.clone(), tx: tx.clone(), settled: settled.clone() };
        let pays = tx.pay(u64::MAX);
        let note = |start, _| tx.note_commit(start);
        let appended = self.pager.log.append_commit(&body, Room::Kept { pays }, Arc::new(hook), note);
        let (_, end) = appended.inspect_err(|_| tx.owe(pays))?;
        Ok((settled, end.0))
    }

    /// Undoes the records of `tx` that are newer than `stop`.
    pub fn undo_to(&self, tx: &TxState, stop: Lsn) -> Result<()> {
        self.undo_while(tx, stop, &|| true).map(|_| ())
    }

    /// As `undo_to`; false when it ended early because `goes_on` did not hold any more.
    fn undo_while(&self, tx: &TxState, stop: Lsn, goes_on: &impl Fn() -> bool) -> Result<bool> {
        let mut next = tx.last();
        let mut count = 0u32;
        while next > stop {
            count = count.wrapping_add(1);
            if count.is_multiple_of(256) && !goes_on() {
                return Ok(false);
            }
            next = self.undo_record(tx, next)?;
        }
        Ok(true)
    }

    /// Undoes the record at `lsn`, if it needs to be; returns the next one to look at.
    pub fn undo_record(&self, tx: &TxState, lsn: Lsn) -> Result<Lsn> {
        let body = self.pager.log.read_record(lsn)?;
        match Record::decode(&body)? {
            Record::Row { transaction, undo_next: Some(next), .. } if transaction == tx.id => Ok(next),
            Record::Row { transaction, previous, tree, op, .. } if transaction == tx.id => {
                let known = self.directory.find(tree);
                let tree = known.ok_or_else(|| {
                    Error::corrupted(format!("the log names tree {tree}, which does not exist"))
                })?;
                self.undo_row(tx, previous, &tree, &op)?;
                Ok(previous)
            }
            _ => Err(Error::corrupted(format!(
                "the log record at {lsn} does not belong to transaction {}",
                tx.id
            ))),
        }
    }

    /// Undoes `tx` completely and ends it.
    pub fn roll_back(&self, tx: &TxState) -> Result<()> {
        self.undo_to(tx, Lsn::ZERO)?;
        self.end_undone(tx)
    }

    /// As `roll_back`; false when it ended early because `goes_on` did not hold any more.
    fn roll_back_while(&self, tx: &TxState, goes_on: &impl Fn() -> bool) -> Result<bool> {
        let done = self.undo_while(tx, Lsn::ZERO, goes_on)?;
        if done {
            self.end_undone(tx)?;
        }
        Ok(done)
    }

    /// Ends a transaction of which nothing is left.
    pub fn end_undone(&self, tx: &TxState) -> Result<()> {
        let mut body = Vec::with_capacity(16);
        Record::End { transaction: tx.id }.encode(&mut body);
        let pays = tx.pay(u64::MAX);
        let appended = self.pager.log.append(&body, Room::Kept { pays }, |start, _| tx.note_commit(start));
        if let Err(error) = appended {
            tx.owe(pays);
            return Err(error);
        }
        tx.set_undone();
        self.active.end_writing(tx);
        self.active.rollbacks.fetch_add(1, Ordering::Relaxed);
        tx.bump();
        Ok(())
    }
}
