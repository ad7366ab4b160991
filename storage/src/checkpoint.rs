//! Checkpoints: bound what recovery has to redo, and let old log go.
//!
//! Called by the background thread when enough log has gathered, at the end of recovery, on CHECKPOINT and
//! on close. Fuzzy: others go on writing meanwhile. Order: see who is writing; write the pages that are
//! changed now; sync them; log what recovery must know; sync that; point the control file at it.

use std::sync::atomic::Ordering;

use types::Result;
use types::sqlstate::SqlState;

use crate::engine::Engine;
use crate::wal::record::{CheckpointData, OpenTransaction};
use crate::wal::{Lsn, Record, Room};

impl Engine {
    /// Ends all writing when something failed for another reason than a full disk: an old control slot or
    /// log file of which it is unknown whether it is still there must not be relied on.
    fn fatal_unless_full<R>(&self, result: Result<R>) -> Result<R> {
        if let Err(error) = &result
            && error.code() != SqlState::DISK_FULL
        {
            self.pager.log.fail(error.clone());
        }
        result
    }

    /// Has log files ready for what is to come, and makes a checkpoint when there is enough log since the last.
    /// 53100 while there is no room.
    pub fn checkpointer_round(&self) -> Result<()> {
        let log = &self.pager.log;
        if let Err(error) = log.prepare_ahead() {
            // Files that nobody needs any more can be used again.
            if error.code() == SqlState::DISK_FULL {
                self.checkpoint_for_room()?;
            }
            return Err(error);
        }
        let since = log.end().0 - self.checkpoint_end.load(Ordering::Acquire);
        if since >= self.checkpoint_log_bytes { self.checkpoint(false) } else { Ok(()) }
    }

    /// A checkpoint to get room in the log: files that nobody needs any more are used again. False when
    /// there is too little log since the last one for that.
    pub fn checkpoint_for_room(&self) -> Result<bool> {
        let log = &self.pager.log;
        let since = self.checkpoint_end.load(Ordering::Acquire);
        if log.segments().number(since) == log.segments().number(log.end().0) {
            return Ok(false);
        }
        self.checkpoint(false)?;
        Ok(true)
    }

    /// Makes a checkpoint; `clean` promises that nothing is written after it.
    pub fn checkpoint(&self, clean: bool) -> Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        self.pager.log.check_healthy()?;
        let started = std::time::Instant::now();
        // In one moment of the log: its end, and who has records before it without being over.
        let (begin, open) = self.pager.log.frozen(|end| {
            let writing = self.active.writing();
            let open: Vec<OpenTransaction> = writing
                .iter()
                .filter(|tx| tx.first() != Lsn::ZERO && tx.commit_lsn() == Lsn::ZERO)
                .map(|tx| OpenTransaction { id: tx.id, first: tx.first(), last: tx.last() })
                .collect();
            (end, open)
        });
        let written = self.pager.pool.written_count();
        self.pager.pool.write_back_all()?;
        let redo = self.pager.pool.oldest_change(begin);
        self.fatal_unless_full(self.pager.pool.file().sync())?;
        let trees = self.directory.all();
        let data = CheckpointData {
            redo,
            next_transaction: self.active.next_id(),
            next_tree: self.directory.next_id(),
            next_chunk: self.next_chunk.load(Ordering::Relaxed),
            bitmap_groups: self.pager.space.groups(),
            open,
            trees: trees
                .iter()
                .map(|tree| {
                    let pages = tree.pages.load(Ordering::Relaxed).max(0) as u64;
                    (tree.id, pages, tree.records.load(Ordering::Relaxed).max(0) as u64)
                })
                .collect(),
        };
        let oldest_open = data.open.iter().map(|open| open.first).min().unwrap_or(redo);
        let mut body = Vec::new();
        Record::Checkpoint(data).encode(&mut body);
        let (lsn, end) = self.pager.log.append(&body, Room::Kept { pays: 0 }, |_, _| ())?;
        self.pager.log.keep_for_checkpoint(end.0 - lsn.0);
        self.pager.log.flush(end)?;
        let updated = self.control.lock().update(lsn, clean);
        self.fatal_unless_full(updated)?;
        self.checkpoint_end.store(end.0, Ordering::Release);
        self.checkpoints.fetch_add(1, Ordering::Relaxed);
        let needed = self.oldest_needed(redo.min(lsn).min(oldest_open));
        self.fatal_unless_full(self.pager.log.segments().recycle(needed.0, end.0))?;
        tracing::debug!(
            %lsn,
            %redo,
            pages = self.pager.pool.written_count() - written,
            ms = started.elapsed().as_millis() as u64,
            "checkpoint complete"
        );
        Ok(())
    }
}
