//! Brings the pages to where the log ends, then undoes who was not finished.
//!
//! Called by `store.rs` when a directory is opened, before anyone else is let in. Three passes after ARIES:
//! *analysis* reads the log from the last checkpoint to its tail and learns who was running; *redo* repeats
//! every change that a page has missed (page LSN below the record's end), exactly as it happened; *undo*
//! takes back the unfinished transactions, newest change first, logging compensations. Each pass may be
//! cut short and begun again: redo is idempotent, and undo goes on behind its last compensation.

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::node::Node;
use crate::btree::redo;
use crate::buffer::{Access, WriteGuard};
use crate::directory::{self, DIRECTORY, OVERFLOW_BIT};
use crate::engine::Engine;
use crate::page::{self, PageId, PageKind};
use crate::undo::TxState;
use crate::wal::reader::{LogReader, read_at};
use crate::wal::record::CheckpointData;
use crate::wal::segment::Segments;
use crate::wal::{Lsn, PageOp, Record, RowOp};

/// What analysis learns.
pub struct Analysis {
    pub checkpoint: CheckpointData,
    pub checkpoint_lsn: Lsn,
    pub end: Lsn,
    pub last_checksum: u32,
    /// Unfinished transactions and their last records.
    pub losers: HashMap<u64, Lsn>,
    pub next_transaction: u64,
    pub next_chunk: u64,
    pub next_tree: u64,
    pub bitmap_groups: u64,
    pub records: u64,
}

/// Reads the log once from the checkpoint's redo position. XX001 when the checkpoint itself is not there.
pub fn analyse(segments: &Segments, checkpoint_lsn: Lsn) -> Result<Analysis> {
    let body = read_at(segments, checkpoint_lsn)?;
    let Record::Checkpoint(checkpoint) = Record::decode(&body)? else {
        return Err(Error::corrupted(format!("the log has no checkpoint at {checkpoint_lsn}")));
    };
    let mut found = Analysis {
        checkpoint_lsn,
        end: checkpoint_lsn,
        last_checksum: 0,
        losers: checkpoint.open.iter().map(|open| (open.id, open.last)).collect(),
        next_transaction: checkpoint.next_transaction,
        next_chunk: checkpoint.next_chunk,
        next_tree: checkpoint.next_tree,
        bitmap_groups: checkpoint.bitmap_groups,
        records: 0,
        checkpoint,
    };
    let mut reader = LogReader::new(segments, found.checkpoint.redo.min(checkpoint_lsn));
    while let Some((lsn, _, body)) = reader.next()? {
        found.records += 1;
        match Record::decode(body)? {
            Record::Row { transaction, tree, op, .. } => {
                found.losers.insert(transaction, lsn);
                found.next_transaction = found.next_transaction.max(transaction + 1);
                if let RowOp::Insert { key, .. } = op {
                    if tree & OVERFLOW_BIT != 0 {
                        let used = crate::overflow::chunk_of(key).map_or(0, |id| id + 1);
                        found.next_chunk = found.next_chunk.max(used);
                    } else if tree == DIRECTORY {
                        let used = directory::id_of(key).filter(|id| id & OVERFLOW_BIT == 0);
                        found.next_tree = found.next_tree.max(used.map_or(0, |id| id + 1));
                    }
                }
            }
            Record::Commit { transaction, .. } | Record::End { transaction } => {
                found.losers.remove(&transaction);
                found.next_transaction = found.next_transaction.max(transaction + 1);
            }
            Record::Smo { parts, .. } => {
                for (id, op) in parts {
                    if matches!(op, PageOp::Allocate { .. }) {
                        found.bitmap_groups = found.bitmap_groups.max(id.0 / crate::space::GROUP + 1);
                    }
                }
            }
            Record::Checkpoint(_) => {}
        }
    }
    let (end, last_checksum) = reader.position();
    let Some(last_checksum) = last_checksum.filter(|_| end > checkpoint_lsn) else {
        return Err(Error::corrupted(format!(
            "the log ends at {end}, before its last checkpoint at {checkpoint_lsn}"
        )));
    };
    found.end = end;
    found.last_checksum = last_checksum;
    Ok(found)
}

impl Engine {
    /// Redo and undo, after `analyse`; the log has been started at its end.
    pub fn recover(&self, found: &Analysis) -> Result<()> {
        let started = Instant::now();
        let mut sizes: HashMap<u64, (i64, i64)> = found
            .checkpoint
            .trees
            .iter()
            .map(|(tree, pages, records)| (*tree, (*pages as i64, *records as i64)))
            .collect();
        let (redone, swept_later) = self.redo(found, &mut sizes)?;
        self.pager.space.load(&self.pager.pool, found.bitmap_groups)?;
        self.keep_room()?;
        self.active.reset(found.next_transaction, found.end);
        self.next_chunk.store(found.next_chunk, Ordering::Relaxed);
        self.directory.note_used(found.next_tree.saturating_sub(1));
        self.load_directory()?;
        for tree in self.directory.all() {
            if let Some((pages, records)) = sizes.get(&tree.id) {
                tree.pages.store((*pages).max(1), Ordering::Relaxed);
                tree.records.store(*records, Ordering::Relaxed);
            }
        }
        let undone = self.undo_losers(found)?;
        self.recovered();
        swept_later.into_iter().try_for_each(|id| self.pager.pool.note_deletes(id))?;
        // Undo may have left trees whose creators are gone; a crash may have left dropped ones.
        let dropped = self.load_directory_again()?;
        dropped.iter().for_each(|tree| self.drop_later(*tree));
        match self.finish_drops() {
            // The sweeper does it once there is room.
            Err(error) if error.code() == SqlState::DISK_FULL => {}
            result => result?,
        }
        let log_bytes = found.end.0 - found.checkpoint.redo.min(found.checkpoint_lsn).0;
        tracing::info!(
            from = %found.checkpoint.redo,
            to = %found.end,
            log_mb = log_bytes as f64 / 1e6,
            records = found.records,
            redone,
            pages_read = self.pager.pool.miss_count(),
            transactions_undone = found.losers.len(),
            changes_undone = undone,
            trees_freed = dropped.len(),
            ms = started.elapsed().as_millis() as u64,
            "recovery complete"
        );
        Ok(())
    }

    /// Returns the number of records redone, and the pages that it left with tombstones or empty: the version
    /// tables that would have led the sweeper there are gone.
    fn redo(&self, found: &Analysis, sizes: &mut HashMap<u64, (i64, i64)>) -> Result<(u64, HashSet<PageId>)> {
        let mut swept_later = HashSet::new();
        let mut reader =
            LogReader::new(self.pager.log.segments(), found.checkpoint.redo.min(found.checkpoint_lsn));
        let mut redone = 0;
        while let Some((lsn, end, body)) = reader.next()? {
            if lsn >= found.end {
                break;
            }
            let counted = lsn > found.checkpoint_lsn;
            match Record::decode(body)? {
                Record::Row { tree, page, op, .. } => {
                    let mut guard = self.pager.pool.write(page, Access::Redo)?;
                    let delta = if page::lsn(guard.page()) < end.0 {
                        guard.dirty_at(lsn);
                        let delta = redo::apply_row(guard.page_mut(), page, &op)?;
                        guard.set_lsn(end);
                        redone += 1;
                        delta
                    } else {
                        record_delta(&op)
                    };
                    if counted {
                        sizes.entry(tree).or_insert((1, 0)).1 += delta;
                    }
                    note_tombstones(&guard, &mut swept_later);
                }
                Record::Smo { tree, parts } => {
                    // A page may be named twice: its LSN decides once.
                    let mut begun: Vec<PageId> = Vec::new();
                    for (id, op) in &parts {
                        if let (PageOp::Allocate { allocated, .. }, true) = (op, counted) {
                            let size = sizes.entry(tree).or_insert((0, 0));
                            size.0 += if *allocated { 1 } else { -1 };
                        }
                        let mut guard = self.pager.pool.write(*id, Access::Redo)?;
                        if page::lsn(guard.page()) < end.0 {
                            begun.push(*id);
                        }
                        if begun.contains(id) {
                            guard.dirty_at(lsn);
                            redo::apply(guard.page_mut(), *id, tree, op)?;
                            guard.set_lsn(end);
                        }
                        note_tombstones(&guard, &mut swept_later);
                    }
                    redone += u64::from(!begun.is_empty());
                }
                Record::Commit { .. } | Record::End { .. } | Record::Checkpoint(_) => {}
            }
        }
        Ok((redone, swept_later))
    }

    /// Takes the losers back in the reverse order of the log, as if all had rolled back at the crash.
    fn undo_losers(&self, found: &Analysis) -> Result<u64> {
        let mut todo: BinaryHeap<(Lsn, u64)> = BinaryHeap::new();
        let mut losers = HashMap::new();
        for (id, last) in &found.losers {
            let tx = Arc::new(TxState::recovered(*id, *last));
            let first = found.checkpoint.open.iter().find(|open| open.id == *id).map(|open| open.first);
            tx.note_first(first.unwrap_or(found.checkpoint.redo));
            self.active.begin_writing(&tx);
            losers.insert(*id, tx);
            todo.push((*last, *id));
        }
        let mut undone = 0;
        while let Some((lsn, id)) = todo.pop() {
            let tx = &losers[&id];
            let next = self.undo_record(tx, lsn)?;
            undone += 1;
            if next == Lsn::ZERO {
                self.end_undone(tx)?;
            } else {
                todo.push((next, id));
            }
        }
        Ok(undone)
    }

    fn load_directory_again(&self) -> Result<Vec<u64>> {
        let known: HashMap<u64, Arc<crate::btree::Tree>> =
            self.directory.all().into_iter().map(|tree| (tree.id, tree)).collect();
        let dropped = self.load_directory()?;
        for tree in self.directory.all() {
            if let Some(known) = known.get(&tree.id) {
                tree.pages.store(known.pages.load(Ordering::Relaxed), Ordering::Relaxed);
                tree.records.store(known.records.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        }
        Ok(dropped)
    }
}

fn note_tombstones(guard: &WriteGuard<'_>, swept_later: &mut HashSet<PageId>) {
    let node = Node::new(guard.page());
    let is_leaf = page::kind(guard.page()) == PageKind::Node && node.is_leaf();
    if is_leaf && page::tree(guard.page()) != DIRECTORY && (node.ghosts() > 0 || node.count() == 0) {
        swept_later.insert(guard.id());
    } else {
        swept_later.remove(&guard.id());
    }
}

/// By how much a change that the page has already changes the number of live records.
fn record_delta(op: &RowOp<'_>) -> i64 {
    use crate::wal::record::GHOST;
    match op {
        RowOp::Insert { .. } | RowOp::Unghost { .. } => 1,
        RowOp::Ghost { .. } | RowOp::Remove { .. } => -1,
        RowOp::Replace { change, .. } => {
            i64::from(change.old_flags & GHOST != 0) - i64::from(change.new_flags & GHOST != 0)
        }
    }
}
