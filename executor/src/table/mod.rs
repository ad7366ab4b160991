//! Tables as the store holds them: layouts, rows with their index entries, scans, counters, the catalog.

pub mod keys;
pub mod layout;

pub mod row;
pub mod scan;

pub mod catalog;
pub mod check;
pub mod sequence;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::catalog::{RelationId, TableDef};
use parking_lot::{Mutex, RwLock};
use storage::{Direction, KeyRange, RecordSink, Store, Transaction, TreeId, wait};
use types::{Error, Result};

use crate::table::layout::TableLayout;
use crate::table::sequence::Sequences;

/// The system trees' numbers: part of the storage format.
pub mod trees {
    use storage::TreeId;

    /// Every object of every database (`catalog::record`).
    pub const CATALOG: TreeId = TreeId(1);
    /// Sequence OID (big-endian) → its state.
    pub const SEQUENCES: TreeId = TreeId(2);
    /// Names → u64: the next OID.
    pub const COUNTERS: TreeId = TreeId(3);
}

/// What the executor remembers of tables between statements, for one store. Shared by all sessions.
pub struct Tables {
    store: Arc<Store>,
    layouts: RwLock<HashMap<RelationId, Arc<TableLayout>>>,
    row_ids: RwLock<HashMap<TreeId, Arc<AtomicU64>>>,
    sequences: Sequences,
    oids: Mutex<OidRange>,
}

#[derive(Default)]
struct OidRange {
    next: u32,
    end: u32,
}

/// OIDs are taken from the store this many at a time.
const OID_RANGE: u32 = 64;

impl Tables {
    pub fn new(store: &Arc<Store>) -> Arc<Tables> {
        Arc::new(Tables {
            store: store.clone(),
            layouts: RwLock::default(),
            row_ids: RwLock::default(),
            sequences: Sequences::new(store.clone()),
            oids: Mutex::default(),
        })
    }

    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// nextval and setval: what the session's `Host` calls.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// How `table`'s rows lie, made once per version of the table.
    pub fn layout(&self, table: &Arc<TableDef>) -> Arc<TableLayout> {
        if let Some(layout) = self.layouts.read().get(&table.id)
            && Arc::ptr_eq(&layout.table, table)
        {
            return layout.clone();
        }
        let layout = Arc::new(TableLayout::new(table));
        self.layouts.write().insert(table.id, layout.clone());
        layout
    }

    /// Takes `count` hidden row ids of the table in `tree`, and returns the first: above every id in use.
    pub fn take_row_ids(&self, tree: TreeId, count: u64) -> Result<u64> {
        if let Some(counter) = self.row_ids.read().get(&tree) {
            return Ok(counter.fetch_add(count, Ordering::Relaxed));
        }
        // Whoever wrote to this tree since the store was opened has been here before, so a fresh
        // snapshot sees its last key.
        let transaction = self.store.begin(Default::default());
        transaction.start_statement();
        let mut last = LastRowId(0);
        transaction.scan(tree, KeyRange::all(), Direction::Backward)?.fill(&mut last)?;
        transaction.rollback()?;
        let mut counters = self.row_ids.write();
        let counter = counters.entry(tree).or_insert_with(|| Arc::new(AtomicU64::new(last.0 + 1)));
        Ok(counter.fetch_add(count, Ordering::Relaxed))
    }

    /// Says that `tree` was made just now and holds no rows, so that nobody needs to look.
    pub fn tree_created(&self, tree: TreeId) {
        self.row_ids.write().insert(tree, Arc::new(AtomicU64::new(1)));
    }

    /// An OID never given out before, unique in the store.
    pub fn take_oid(&self) -> Result<u32> {
        // Not suspended while the mutex is held.
        wait::blocking(|| self.take_oid_blocking())
    }

    fn take_oid_blocking(&self) -> Result<u32> {
        let mut range = self.oids.lock();
        if range.next == range.end {
            let transaction = self.store.begin(Default::default());
            transaction.start_statement();
            let stored = transaction
                .get(trees::COUNTERS, b"oid", |record| <[u8; 4]>::try_from(record).map(u32::from_be_bytes))?;
            let next = match &stored {
                None => ::catalog::FIRST_USER_OID,
                Some(Ok(next)) => *next,
                Some(Err(_)) => return Err(Error::corrupted("malformed OID counter")),
            };
            let end = next.checked_add(OID_RANGE).ok_or_else(|| Error::internal("out of OIDs"))?;
            put(&transaction, trees::COUNTERS, b"oid", &end.to_be_bytes(), stored.is_some())?;
            transaction.commit()?;
            *range = OidRange { next, end };
        }
        range.next += 1;
        Ok(range.next - 1)
    }
}

/// Writes a record that only one transaction at a time can be writing.
pub(crate) fn put(
    transaction: &Transaction,
    tree: TreeId,
    key: &[u8],
    record: &[u8],
    exists: bool,
) -> Result<()> {
    let done = if exists {
        transaction.update(tree, key, record)? == storage::WriteOutcome::Done
    } else {
        transaction.insert(tree, key, record)? == storage::InsertOutcome::Done
    };
    if !done {
        return Err(Error::internal(format!("tree {} changed under its only writer", tree.0)));
    }
    Ok(())
}

struct LastRowId(u64);

impl RecordSink for LastRowId {
    fn record(&mut self, key: &[u8], _record: &[u8]) -> Result<bool> {
        let bytes = <[u8; 8]>::try_from(key).map_err(|_| Error::corrupted("malformed row id"))?;
        self.0 = u64::from_be_bytes(bytes);
        Ok(false)
    }
}
