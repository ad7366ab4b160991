//! A transaction: reads and writes records of trees under a snapshot, with savepoints.
//!
//! Called by the executor, one statement at a time. All methods take `&self`, so that scans may stay open
//! while the same statement writes. A statement sees nothing of what it writes itself: its snapshot ends
//! at the command before it (PostgreSQL's command ids).

use std::time::Duration;

use types::{Error, Result};

use crate::bulk::BulkBuilder;
use crate::scan::{Direction, KeyRange, Scan};
use crate::store::TreeId;

/// What concurrent transactions may do to each other; READ UNCOMMITTED is READ COMMITTED.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IsolationLevel {
    /// A snapshot for each statement; after waiting for a row the newest version is re-checked.
    #[default]
    ReadCommitted,
    /// One snapshot, taken by the first statement; 40001 when a row it writes has changed since.
    RepeatableRead,
    /// For now as `RepeatableRead`, which is less than its name says: the layer above refuses it.
    Serializable,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionOptions {
    pub isolation: IsolationLevel,
    /// How long to wait for a row lock before 55P03; `None` waits for ever.
    pub lock_timeout: Option<Duration>,
    /// The session's process id, for the detail of a deadlock report.
    pub process_id: i32,
}

/// What became of an insert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum InsertOutcome {
    Done,
    /// A live record has that key (committed by anyone, or written by this transaction). Nothing was
    /// written. The one that holds the key may be invisible to this statement's snapshot.
    Duplicate,
}

/// What became of an update or delete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum WriteOutcome {
    Done,
    /// READ COMMITTED only: another transaction changed the record after this statement's snapshot. Call
    /// [`Transaction::lock`], re-check its newest version, and write again.
    Changed,
    /// No such record, or READ COMMITTED and another transaction has deleted it since the snapshot.
    Missing,
    /// This very statement has written the record already (a join met it twice). PostgreSQL ignores the
    /// second update; MERGE and ON CONFLICT raise 21000.
    SelfModified,
}

/// Row lock strengths; they conflict as in PostgreSQL's table 13.3. An update takes `NoKeyUpdate`, a
/// delete `Update`, by themselves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RowLock {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

/// What became of a lock request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum LockOutcome {
    /// Locked; the closure was given the version that the statement's snapshot sees.
    Locked,
    /// READ COMMITTED only: locked, but the closure was given a version newer than the snapshot's:
    /// re-check the predicates.
    LockedNewer,
    /// No such record any more; nothing is locked.
    Missing,
    /// `wait` was false and another transaction holds a conflicting lock (NOWAIT, SKIP LOCKED).
    WouldBlock,
}

/// A point to roll back to; valid until the transaction ends or rolls back to an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct Savepoint {}

/// A running transaction; rolls back when dropped. `Send`; used by one statement at a time.
///
/// After an error of a write the executor rolls back (to a savepoint or wholly): the failed operation
/// itself has changed nothing, but what the statement did before it stays until then.
///
/// Every write may return 58030 after a failed log flush (the store takes no more writes), 53100 when the
/// disk is full, 57014 from the waiter, 40P01 (deadlock, both parties in the detail), 55P03 (lock_timeout)
/// and, under REPEATABLE READ, 40001.
pub struct Transaction {}

impl Transaction {
    /// Begins the next statement: later reads see what earlier statements of this transaction wrote
    /// and, in READ COMMITTED, what others have committed by now. Call it before each statement (and for
    /// each data-modifying part that must see the ones before it).
    pub fn start_statement(&self) {}

    pub fn isolation(&self) -> IsolationLevel {
        IsolationLevel::ReadCommitted
    }

    /// Changes the level; only before the first statement (25001 is the caller's to raise).
    pub fn set_isolation(&self, isolation: IsolationLevel) {
        let _ = isolation;
    }

    pub fn set_lock_timeout(&self, timeout: Option<Duration>) {
        let _ = timeout;
    }

    /// A number for this transaction, unique in the life of the store (txid_current, xmin).
    pub fn id(&self) -> u64 {
        0
    }

    /// True once this transaction has written anything.
    pub fn has_written(&self) -> bool {
        false
    }

    /// Reads the visible version of `key`: `read` is called with it, under the page's latch (it must not
    /// call the store); `None` when there is none.
    pub fn get<R>(&self, tree: TreeId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let _ = (tree, key, read);
        Err(Error::internal("the store is not built yet"))
    }

    /// Reads many keys: `read(i, record)` for each of `keys` that has a visible version, in the order given.
    /// Cheap when neighbouring keys share pages, so sort them when there is a choice.
    pub fn multi_get<K: AsRef<[u8]>>(
        &self,
        tree: TreeId,
        keys: &[K],
        mut read: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let _ = (tree, keys, &mut read);
        Err(Error::internal("the store is not built yet"))
    }

    /// Opens a scan of `range` with the current statement's snapshot.
    pub fn scan(&self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<Scan> {
        let _ = (tree, range, direction);
        Err(Error::internal("the store is not built yet"))
    }

    /// Up to `parts - 1` keys that cut `range` into pieces of about equal size, ascending, for scans in
    /// parallel; empty for a small tree.
    pub fn split_points(&self, tree: TreeId, range: &KeyRange, parts: usize) -> Result<Vec<Vec<u8>>> {
        let _ = (tree, range, parts);
        Err(Error::internal("the store is not built yet"))
    }

    /// Inserts a record, waiting for a transaction that has the key in flight.
    /// 54000 when the key exceeds about 3.9 kB or the record 64 MiB.
    pub fn insert(&self, tree: TreeId, key: &[u8], record: &[u8]) -> Result<InsertOutcome> {
        let _ = (tree, key, record);
        Err(Error::internal("the store is not built yet"))
    }

    /// Replaces the record of `key` (the key itself cannot change: delete and insert).
    pub fn update(&self, tree: TreeId, key: &[u8], record: &[u8]) -> Result<WriteOutcome> {
        let _ = (tree, key, record);
        Err(Error::internal("the store is not built yet"))
    }

    /// Deletes the record of `key`.
    pub fn delete(&self, tree: TreeId, key: &[u8]) -> Result<WriteOutcome> {
        let _ = (tree, key);
        Err(Error::internal("the store is not built yet"))
    }

    /// Locks the record of `key` till the transaction's end and passes its newest version to `read` (under
    /// the latch). In REPEATABLE READ a version newer than the snapshot is 40001.
    pub fn lock(
        &self,
        tree: TreeId,
        key: &[u8],
        mode: RowLock,
        wait: bool,
        read: impl FnOnce(&[u8]),
    ) -> Result<LockOutcome> {
        let _ = (tree, key, mode, wait, read);
        Err(Error::internal("the store is not built yet"))
    }

    /// Creates an empty tree; gone again if the transaction rolls back or the process dies.
    pub fn create_tree(&self) -> Result<TreeId> {
        Err(Error::internal("the store is not built yet"))
    }

    /// Drops a tree when the transaction commits; its pages are reused once no snapshot needs them. The
    /// caller sees to it that nobody uses the tree meanwhile (table locks).
    pub fn drop_tree(&self, tree: TreeId) -> Result<()> {
        let _ = tree;
        Err(Error::internal("the store is not built yet"))
    }

    /// A loader of sorted records into `tree`, which must be empty and made by this transaction (XX000).
    pub fn bulk_build(&self, tree: TreeId) -> Result<BulkBuilder<'_>> {
        let _ = tree;
        Err(Error::internal("the store is not built yet"))
    }

    pub fn savepoint(&self) -> Savepoint {
        Savepoint {}
    }

    /// Undoes everything written since `savepoint`, which stays valid.
    pub fn rollback_to(&self, savepoint: Savepoint) -> Result<()> {
        let _ = savepoint;
        Err(Error::internal("the store is not built yet"))
    }

    /// Commits: returns once the log is on disk and the changes are visible to new snapshots.
    /// On 58030 the outcome is unknown until the next open.
    pub fn commit(self) -> Result<()> {
        Err(Error::internal("the store is not built yet"))
    }

    /// Undoes everything. An error means that the store must be reopened to finish the undo.
    pub fn rollback(self) -> Result<()> {
        Err(Error::internal("the store is not built yet"))
    }
}
