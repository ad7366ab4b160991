//! The parts of an open store, and what they do together that belongs to none of them.
//!
//! Shared by the store's face, its transactions and its background threads.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use types::{Error, Result};

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
use crate::transaction::IsolationLevel;
use crate::undo::TxState;
use crate::wait::Signal;
use crate::wal::{Lsn, Record};

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
        });
        match result {
            Ok(value) => {
                self.append_commit(&tx)?;
                Ok(value)
            }
            Err(error) => {
                self.roll_back(&tx)?;
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
        let note = |start, _| tx.note_commit(start);
        let (_, end) = self.pager.log.append_commit(&body, Arc::new(hook), note)?;
        Ok((settled, end.0))
    }

    /// Undoes the records of `tx` that are newer than `stop`.
    pub fn undo_to(&self, tx: &TxState, stop: Lsn) -> Result<()> {
        let mut next = tx.last();
        while next > stop {
            next = self.undo_record(tx, next)?;
        }
        Ok(())
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

    /// Ends a transaction of which nothing is left.
    pub fn end_undone(&self, tx: &TxState) -> Result<()> {
        let mut body = Vec::with_capacity(16);
        Record::End { transaction: tx.id }.encode(&mut body);
        self.pager.log.append(&body, |start, _| tx.note_commit(start))?;
        tx.set_undone();
        self.active.end_writing(tx);
        self.active.rollbacks.fetch_add(1, Ordering::Relaxed);
        tx.bump();
        Ok(())
    }
}
