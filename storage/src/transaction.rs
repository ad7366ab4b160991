//! A transaction: reads and writes records of trees under a snapshot, with savepoints.
//!
//! Called by the executor, one statement at a time. All methods take `&self`, so that scans may stay open
//! while the same statement writes. A statement sees nothing of what it writes itself: its snapshot ends
//! at the command before it (PostgreSQL's command ids).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::Tree;
use crate::btree::node::Node;
use crate::btree::tree::check_key;
use crate::buffer::Access;
use crate::buffer::guard::Held;
use crate::bulk::BulkBuilder;
use crate::compress::COMPRESS_LEAST;
use crate::engine::{Engine, QUICK_UNDO, Unfinished};
use crate::mvcc::Snapshot;
use crate::mvcc::advisory::{self, AdvisoryKey};
use crate::mvcc::lock::{Asking, conflicts, running};
use crate::mvcc::table_lock::TableLock;
use crate::mvcc::visibility::{Sight, sight};
use crate::mvcc::wait_graph::deadline;
use crate::mvcc::write::{Locked, Write, serialization_failure};
use crate::overflow::Stored;
use crate::scan::{self, Direction, KeyRange, Scan};
use crate::store::{Store, TreeId};
use crate::undo::version::Entry;
use crate::undo::{Before, Fate, TxState};
use crate::wait::{self, WaitReason};
use crate::wal::Lsn;
use crate::wal::record::{COMPRESSED, GHOST, OVERFLOW};

/// What concurrent transactions may do to each other; READ UNCOMMITTED is READ COMMITTED.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum IsolationLevel {
    /// A snapshot for each statement; after waiting for a row the newest version is re-checked.
    #[default]
    ReadCommitted,
    /// One snapshot, taken by the first statement; 40001 when a row it writes has changed since.
    RepeatableRead,
    /// As `RepeatableRead`, and 40001 at commit when something it has read was changed by a SERIALIZABLE
    /// transaction that committed since the snapshot (`mvcc/serializable.rs`). Never for one that writes nothing.
    Serializable,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionOptions {
    pub isolation: IsolationLevel,
    /// It will write nothing: SERIALIZABLE then costs no more than REPEATABLE READ, and a write is 25006.
    pub read_only: bool,
    /// How long to wait for a row lock before 55P03; `None` waits for ever.
    pub lock_timeout: Option<Duration>,
    /// The session's process id, for the detail of a deadlock report; what one session holds is in its own
    /// way nowhere. Zero for a transaction that is nobody's.
    pub process_id: i32,
    /// The database's OID, for deadlock reports.
    pub database: u32,
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
pub struct Savepoint {
    last: Lsn,
    locked: usize,
    table_locks: usize,
    advisory: usize,
}

/// A running transaction; rolls back when dropped. `Send`; used by one statement at a time.
///
/// After an error of a write the executor rolls back (to a savepoint or wholly): the failed operation
/// itself has changed nothing, but what the statement did before it stays until then.
///
/// Every write may return 58030 after a failed log flush (the store takes no more writes), 53100 when the
/// disk is full, 57014 from the waiter, 40P01 (deadlock, both parties in the detail), 55P03 (lock_timeout)
/// and, under REPEATABLE READ, 40001.
pub struct Transaction {
    store: Arc<Store>,
    tx: Arc<TxState>,
    inner: Mutex<Inner>,
    undo_bytes: AtomicUsize,
    /// The rows it has locked; beside `inner`, as writes add to it.
    locked: Mutex<Locked>,
    database: u32,
}

struct Inner {
    isolation: IsolationLevel,
    read_only: bool,
    lock_timeout: Option<Duration>,
    /// Of the current statement; taken when first needed.
    snapshot: Option<Snapshot>,
    command: u32,
    writing: bool,
    over: bool,
    /// What it has locked, in order, each with the one mode it added: savepoints give back from the end.
    table_locks: Vec<(u64, TableLock)>,
    advisory: Vec<(AdvisoryKey, u8)>,
    created: BTreeSet<u64>,
    /// Trees that it has loaded in bulk.
    loaded: Vec<Arc<Tree>>,
}

impl Transaction {
    pub(crate) fn new(store: Arc<Store>, options: TransactionOptions) -> Transaction {
        let id = store.engine().active.new_id();
        Transaction {
            store,
            tx: Arc::new(TxState::new(id, options.process_id)),
            inner: Mutex::new(Inner {
                isolation: options.isolation,
                read_only: options.read_only,
                lock_timeout: options.lock_timeout,
                snapshot: None,
                command: 1,
                writing: false,
                over: false,
                table_locks: Vec::new(),
                advisory: Vec::new(),
                created: BTreeSet::new(),
                loaded: Vec::new(),
            }),
            undo_bytes: AtomicUsize::new(0),
            locked: Mutex::default(),
            database: options.database,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// Begins the next statement: later reads see what earlier statements of this transaction wrote
    /// and, in READ COMMITTED, what others have committed by now. Call it before each statement (and for
    /// each data-modifying part that must see the ones before it).
    pub fn start_statement(&self) {
        let mut inner = self.inner.lock();
        inner.command += 1;
        let command = inner.command;
        let again = match (&inner.snapshot, inner.isolation) {
            (Some(snapshot), IsolationLevel::RepeatableRead | IsolationLevel::Serializable) => {
                snapshot.at_command(command)
            }
            _ => self.take_snapshot(&inner, command),
        };
        inner.snapshot = Some(again);
    }

    fn take_snapshot(&self, inner: &Inner, command: u32) -> Snapshot {
        let engine = self.engine();
        let take = || Snapshot::take(&engine.active, &self.tx, command);
        if inner.isolation != IsolationLevel::Serializable || inner.read_only {
            return take();
        }
        let (snapshot, tracked) = engine.serializable.track(&engine.active, || {
            let snapshot = take();
            let timestamp = snapshot.timestamp;
            (snapshot, timestamp)
        });
        snapshot.tracked_by(Some(tracked))
    }

    /// Runs `look` with a snapshot of now, whatever the isolation level: for checks that must not miss what
    /// was committed since this transaction's snapshot. Writes meanwhile are not for this: they would overwrite
    /// what the transaction has not seen.
    pub fn with_newest<R>(&self, look: impl FnOnce() -> R) -> R {
        let own = self.snapshot();
        let newest = Snapshot::take(&self.engine().active, &self.tx, own.command);
        self.inner.lock().snapshot = Some(newest.tracked_by(own.tracked().cloned()));
        let result = look();
        self.inner.lock().snapshot = Some(own);
        result
    }

    /// Ends the current statement: in READ COMMITTED its snapshot no longer keeps old versions alive. The
    /// next operation or `start_statement` takes a new one. Good before waiting for the client.
    pub fn finish_statement(&self) {
        let mut inner = self.inner.lock();
        if inner.isolation == IsolationLevel::ReadCommitted {
            inner.snapshot = None;
            inner.command += 1;
        }
    }

    /// The current statement's snapshot.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut inner = self.inner.lock();
        if let Some(snapshot) = &inner.snapshot {
            return snapshot.clone();
        }
        let snapshot = self.take_snapshot(&inner, inner.command);
        inner.snapshot = Some(snapshot.clone());
        snapshot
    }

    pub fn isolation(&self) -> IsolationLevel {
        self.inner.lock().isolation
    }

    /// Changes the level; only before the first statement (25001 is the caller's to raise).
    pub fn set_isolation(&self, isolation: IsolationLevel, read_only: bool) {
        let mut inner = self.inner.lock();
        inner.isolation = isolation;
        // What has begun to take notes goes on.
        inner.read_only = read_only;
    }

    pub fn set_lock_timeout(&self, timeout: Option<Duration>) {
        self.inner.lock().lock_timeout = timeout;
    }

    /// A number for this transaction, unique in the life of the store (txid_current, xmin).
    pub fn id(&self) -> u64 {
        self.tx.id
    }

    /// True once this transaction has written anything.
    pub fn has_written(&self) -> bool {
        self.tx.first() != Lsn::ZERO
    }

    /// Runs a write of the current statement.
    fn write<R>(&self, work: impl FnOnce(&Write<'_>) -> Result<R>) -> Result<R> {
        let snapshot = self.snapshot();
        let (isolation, lock_timeout) = {
            let mut inner = self.inner.lock();
            if inner.isolation == IsolationLevel::Serializable && snapshot.tracked().is_none() {
                // Its reads are not known.
                return Err(Error::new(
                    SqlState::READ_ONLY_SQL_TRANSACTION,
                    "cannot write in a read-only transaction",
                ));
            }
            if !inner.writing {
                inner.writing = true;
                self.engine().active.begin_writing(&self.tx);
            }
            (inner.isolation, inner.lock_timeout)
        };
        work(&Write {
            engine: self.engine(),
            tx: &self.tx,
            snapshot: &snapshot,
            isolation,
            lock_timeout,
            undo_bytes: &self.undo_bytes,
            locked: &self.locked,
        })
    }

    /// Reads the visible version of `key`: `read` is called with it, under the page's latch (it must not
    /// call the store); `None` when there is none.
    pub fn get<R>(&self, tree: TreeId, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let snapshot = self.snapshot();
        let Some(tree) = self.engine().tree(tree.0)? else {
            snapshot.note_key(tree.0, key);
            return Ok(None);
        };
        check_age(&tree, &snapshot)?;
        scan::get(self.engine(), &tree, &snapshot, key, read)
    }

    /// Reads many keys: `read(i, record)` for each of `keys` that has a visible version, in the order given.
    /// Cheap when neighbouring keys share pages, so sort them when there is a choice. 57014 from the waiter.
    pub fn multi_get<K: AsRef<[u8]>>(
        &self,
        tree: TreeId,
        keys: &[K],
        read: impl FnMut(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let snapshot = self.snapshot();
        let Some(tree) = self.engine().tree(tree.0)? else {
            keys.iter().for_each(|key| snapshot.note_key(tree.0, key.as_ref()));
            return Ok(());
        };
        check_age(&tree, &snapshot)?;
        scan::multi_get(self.engine(), &tree, &snapshot, keys, read)
    }

    /// Opens a scan of `range` with the current statement's snapshot.
    pub fn scan(&self, tree: TreeId, range: KeyRange, direction: Direction) -> Result<Scan> {
        let found = self.engine().tree(tree.0)?;
        let snapshot = self.snapshot();
        found.iter().try_for_each(|tree| check_age(tree, &snapshot))?;
        Ok(Scan::new(self.store.clone(), tree.0, found, snapshot, range, direction))
    }

    /// Up to `parts - 1` keys that cut `range` into pieces of about equal size, ascending, for scans in
    /// parallel; empty for a small tree.
    pub fn split_points(&self, tree: TreeId, range: &KeyRange, parts: usize) -> Result<Vec<Vec<u8>>> {
        let Some(tree) = self.engine().tree(tree.0)? else { return Ok(Vec::new()) };
        scan::split_points(self.engine(), &tree, range, parts)
    }

    /// Inserts a record, waiting for a transaction that has the key in flight.
    /// 54000 when the key exceeds about 3.9 kB or the record 1 GiB.
    pub fn insert(&self, tree: TreeId, key: &[u8], record: &[u8]) -> Result<InsertOutcome> {
        check_key(key)?;
        let tree = self.engine().tree_to_write(tree.0)?;
        self.write(|write| {
            let stored = self.engine().store_record(write, &tree, record)?;
            let outcome = write.insert(&tree, key, stored.bytes(), stored.flags())?;
            if outcome == InsertOutcome::Duplicate {
                self.delete_chunks(write, &tree, stored.bytes(), stored.flags())?;
            }
            if let (InsertOutcome::Duplicate, Some(tracked)) = (outcome, write.snapshot.tracked()) {
                // Whoever looked before and found nothing is told the reason, not the symptom.
                tracked.check()?;
                tracked.read_key(tree.id, key);
            }
            Ok(outcome)
        })
    }

    /// Deletes the chunks, if there are any, of a record whose leaf has (or had) `stored`.
    fn delete_chunks(&self, write: &Write<'_>, tree: &Tree, stored: &[u8], flags: u8) -> Result<()> {
        if flags & OVERFLOW == 0 {
            return Ok(());
        }
        let snapshot = write.snapshot.all_seeing();
        self.engine().delete_chunks(&Write { snapshot: &snapshot, ..*write }, tree, stored, flags)
    }

    /// Replaces the record of `key` (the key itself cannot change: delete and insert). 54000 as for an insert.
    pub fn update(&self, tree: TreeId, key: &[u8], record: &[u8]) -> Result<WriteOutcome> {
        let tree = self.engine().tree_to_write(tree.0)?;
        self.write(|write| {
            let stored = self.engine().store_record(write, &tree, record)?;
            let replaced = write.update(&tree, key, stored.bytes(), stored.flags())?;
            if replaced.outcome == WriteOutcome::Done {
                self.delete_chunks(write, &tree, &replaced.old, replaced.old_flags)?;
            } else {
                self.delete_chunks(write, &tree, stored.bytes(), stored.flags())?;
            }
            Ok(replaced.outcome)
        })
    }

    /// Deletes the record of `key`.
    pub fn delete(&self, tree: TreeId, key: &[u8]) -> Result<WriteOutcome> {
        let tree = self.engine().tree_to_write(tree.0)?;
        self.write(|write| {
            let replaced = write.delete(&tree, key)?;
            if replaced.outcome == WriteOutcome::Done {
                self.delete_chunks(write, &tree, &replaced.old, replaced.old_flags)?;
            }
            Ok(replaced.outcome)
        })
    }

    /// Locks the record of `key` till the transaction's end and passes its newest version to `read` (under
    /// the latch). In REPEATABLE READ and SERIALIZABLE a version newer than the snapshot is 40001, but for KEY SHARE
    /// only a deletion is: an update leaves the key, and a record that came since is missing.
    pub fn lock(
        &self,
        tree: TreeId,
        key: &[u8],
        mode: RowLock,
        wait: bool,
        read: impl FnOnce(&[u8]),
    ) -> Result<LockOutcome> {
        let outcome = self.lock_record(tree, key, mode, wait, read)?;
        if !matches!(outcome, LockOutcome::Locked | LockOutcome::LockedNewer) {
            self.snapshot().note_key(tree.0, key);
        }
        Ok(outcome)
    }

    fn lock_record(
        &self,
        tree: TreeId,
        key: &[u8],
        mode: RowLock,
        wait: bool,
        read: impl FnOnce(&[u8]),
    ) -> Result<LockOutcome> {
        let lock_key = (tree.0, Box::from(key));
        // Who cannot wait does not heed those who do.
        let mut asking = Asking { queue: wait, jump: !wait };
        let mut queued = false;
        let result = self.lock_queued(tree, key, &lock_key, mode, &mut asking, &mut queued, read);
        if queued && !matches!(result, Ok(LockOutcome::Locked | LockOutcome::LockedNewer)) {
            self.engine().locks.leave_queue(&lock_key, &self.tx, true);
        }
        result
    }

    fn lock_queued(
        &self,
        tree: TreeId,
        key: &[u8],
        lock_key: &(u64, Box<[u8]>),
        mode: RowLock,
        asking: &mut Asking,
        queued: &mut bool,
        read: impl FnOnce(&[u8]),
    ) -> Result<LockOutcome> {
        let wait = asking.queue;
        let Some(tree) = self.engine().tree(tree.0)? else { return Ok(LockOutcome::Missing) };
        let engine = self.engine();
        let snapshot = self.snapshot();
        let (isolation, lock_timeout) = {
            let inner = self.inner.lock();
            (inner.isolation, inner.lock_timeout)
        };
        let deadline = deadline(lock_timeout);
        loop {
            let leaf = tree.leaf_read(&engine.pager, key, Access::Normal)?;
            let node = Node::new(leaf.page());
            let Ok(at) = node.search(key) else { return Ok(LockOutcome::Missing) };
            let (_, record, flags) = node.entry(at);
            let ghost = flags & GHOST != 0;
            let entry = leaf.versions().map_or(Entry::Settled, |versions| versions.entry(at));
            let mut newer = false;
            let mut blockers = None;
            if let Some(writer) = entry.newest() {
                let others = !Arc::ptr_eq(&writer.tx, &self.tx);
                let owner = if others { running(&writer.tx) } else { None };
                match (owner, writer.tx.fate()) {
                    (Some(signal), _) => {
                        if is_insert(entry) {
                            // Not there yet for anyone else.
                            return Ok(LockOutcome::Missing);
                        }
                        let theirs = if ghost { RowLock::Update } else { RowLock::NoKeyUpdate };
                        if conflicts(theirs, mode) {
                            let owner = Some((writer.tx.clone(), signal));
                            blockers = engine.locks.blockers(lock_key, mode.mode(), &self.tx, owner, *asking);
                        }
                    }
                    (None, Fate::Committed(timestamp)) if timestamp > snapshot.timestamp => {
                        newer = true;
                        if isolation != IsolationLevel::ReadCommitted {
                            if mode != RowLock::KeyShare || ghost {
                                return Err(serialization_failure(false));
                            }
                            // That the key is there is all that KEY SHARE asks, and it is still.
                            if sight(entry, record, flags, &snapshot, &engine.pager.log)? == Sight::Hidden {
                                return Ok(LockOutcome::Missing);
                            }
                            newer = false;
                        }
                    }
                    _ => {}
                }
            }
            if blockers.is_none() {
                if ghost {
                    return Ok(LockOutcome::Missing);
                }
                match engine.locks.acquire(lock_key, mode.mode(), &self.tx, *asking) {
                    Ok(fresh) => {
                        if fresh {
                            self.locked.lock().push((lock_key.clone(), mode.mode().bit));
                        }
                        if flags & (OVERFLOW | COMPRESSED) != 0 {
                            // Under the latch: no snapshot of ours need see this version, so that only
                            // the latch keeps another writer from replacing it.
                            let mut long = Vec::new();
                            engine.fetch_record(&tree, (record, flags), &mut long, true)?;
                            read(&long);
                        } else {
                            read(record);
                        }
                        return Ok(if newer { LockOutcome::LockedNewer } else { LockOutcome::Locked });
                    }
                    Err(holders) => blockers = Some(holders),
                }
            }
            drop(leaf);
            if !wait {
                return Ok(LockOutcome::WouldBlock);
            }
            if let Some(blockers) = blockers {
                *queued = true;
                asking.jump = engine.waits.wait(&self.tx, blockers, None, deadline)?;
                engine.pager.log.check_healthy()?;
            }
        }
    }

    /// 40001 in REPEATABLE READ and SERIALIZABLE when the record of `key` has changed since the snapshot.
    pub fn check_not_newer(&self, tree: TreeId, key: &[u8]) -> Result<()> {
        let Some(tree) = self.engine().tree(tree.0)? else { return Ok(()) };
        if self.isolation() == IsolationLevel::ReadCommitted {
            return Ok(());
        }
        let snapshot = self.snapshot();
        let leaf = tree.leaf_read(&self.engine().pager, key, Access::Normal)?;
        let node = Node::new(leaf.page());
        let Ok(at) = node.search(key) else { return Ok(()) };
        let entry = leaf.versions().map_or(Entry::Settled, |versions| versions.entry(at));
        match entry.newest().map(|writer| writer.tx.fate()) {
            Some(Fate::Committed(timestamp)) if timestamp > snapshot.timestamp => {
                Err(serialization_failure(node.is_ghost(at)))
            }
            _ => Ok(()),
        }
    }

    /// Locks the table that the caller calls `table`, till the transaction's end. False when `wait` is false
    /// and another transaction is in the way. 40P01, 55P03, 57014.
    pub fn lock_table(&self, table: u64, mode: TableLock, wait: bool) -> Result<bool> {
        let lock_timeout = {
            let inner = self.inner.lock();
            if inner.table_locks.iter().any(|(held, held_mode)| *held == table && *held_mode == mode) {
                return Ok(true);
            }
            inner.lock_timeout
        };
        let engine = self.engine();
        let deadline = deadline(lock_timeout);
        let mut asking = Asking { queue: wait, jump: false };
        loop {
            match engine.table_locks.acquire(&table, mode.mode(), &self.tx, asking) {
                Ok(fresh) => {
                    if fresh {
                        self.inner.lock().table_locks.push((table, mode));
                    }
                    return Ok(true);
                }
                Err(_) if !wait => return Ok(false),
                Err(blockers) => {
                    let what = format!("{} on relation {table} of database {}", mode.name(), self.database);
                    let waited = engine.waits.wait(&self.tx, blockers, Some(what), deadline);
                    asking.jump =
                        waited.inspect_err(|_| engine.table_locks.leave_queue(&table, &self.tx, true))?;
                }
            }
        }
    }

    /// Takes an advisory lock till the transaction's end. False when `wait` is false and another session is in
    /// the way. 40P01, 55P03, 57014.
    pub fn lock_advisory(&self, key: AdvisoryKey, shared: bool, wait: bool) -> Result<bool> {
        let lock_timeout = self.inner.lock().lock_timeout;
        let granted = advisory::acquire(self.engine(), &self.tx, key, shared, wait, lock_timeout)?;
        if granted == Some(true) {
            self.inner.lock().advisory.push((key, advisory::mode(shared).bit));
        }
        Ok(granted.is_some())
    }

    /// Creates an empty tree; gone again if the transaction rolls back or the process dies.
    pub fn create_tree(&self) -> Result<TreeId> {
        let id = self.engine().directory.new_id();
        // Before it is there: a failure in the middle leaves a directory record to be taken back.
        self.inner.lock().created.insert(id);
        self.write(|write| self.engine().create_tree(write, id))?;
        if let Some(tracked) = self.snapshot().tracked() {
            tracked.wrote_tree(id);
        }
        Ok(TreeId(id))
    }

    /// Drops a tree when the transaction commits; its pages are reused once no snapshot needs them. The
    /// caller sees to it that nobody uses the tree meanwhile (table locks). 42P01 when there is none.
    pub fn drop_tree(&self, tree: TreeId) -> Result<()> {
        let snapshot = self.snapshot();
        if let Some(tracked) = snapshot.tracked() {
            tracked.wrote_tree(tree.0);
        }
        let snapshot = snapshot.all_seeing();
        self.write(|write| self.engine().drop_tree(&Write { snapshot: &snapshot, ..*write }, tree.0))
    }

    /// A loader of sorted records into `tree`, which must be empty and made by this transaction (XX000).
    pub fn bulk_build(&self, tree: TreeId) -> Result<BulkBuilder<'_>> {
        if !self.inner.lock().created.contains(&tree.0) {
            return Err(Error::internal(format!("tree {} was not created by this transaction", tree.0)));
        }
        let tree = self.engine().tree_to_write(tree.0)?;
        self.inner.lock().loaded.push(tree.clone());
        Ok(BulkBuilder::new(self, self.engine(), tree))
    }

    /// What a leaf of a tree in bulk build is to have of a record; the chunks of a long one are stored.
    pub(crate) fn store_record<'r>(&self, tree: &Tree, record: &'r [u8]) -> Result<Stored<'r>> {
        if record.len() <= COMPRESS_LEAST {
            return Ok(Stored::Plain(record));
        }
        self.write(|write| self.engine().store_record(write, tree, record))
    }

    pub fn savepoint(&self) -> Savepoint {
        let inner = self.inner.lock();
        Savepoint {
            last: self.tx.last(),
            locked: self.locked.lock().len(),
            table_locks: inner.table_locks.len(),
            advisory: inner.advisory.len(),
        }
    }

    /// Undoes everything written since `savepoint`, which stays valid, and gives back what was locked since.
    pub fn rollback_to(&self, savepoint: Savepoint) -> Result<()> {
        self.undo_to(savepoint)?;
        let engine = self.engine();
        let (locked, tables, advisory) = {
            let mut inner = self.inner.lock();
            (
                split_off(&mut self.locked.lock(), savepoint.locked),
                split_off(&mut inner.table_locks, savepoint.table_locks),
                split_off(&mut inner.advisory, savepoint.advisory),
            )
        };
        let snapshot = if locked.is_empty() { None } else { Some(self.snapshot()) };
        for ((tree, key), mode) in &locked {
            // From now on it may change: what the lock told counts as read.
            snapshot.iter().for_each(|snapshot| snapshot.note_key(*tree, key));
            engine.locks.release(&(*tree, key.clone()), *mode, &self.tx);
        }
        tables.iter().for_each(|(table, mode)| engine.table_locks.release(table, mode.mode().bit, &self.tx));
        advisory.iter().for_each(|(key, mode)| engine.advisory.release(key, *mode, &self.tx));
        self.tx.bump();
        Ok(())
    }

    /// True when undoing what was written since `savepoint` takes some milliseconds at most.
    pub fn is_quickly_undone(&self, savepoint: Savepoint) -> bool {
        // The log in between is others' as well.
        let between = self.tx.last().0.saturating_sub(savepoint.last.0);
        between.min(2 * self.tx.owed()) <= 2 * QUICK_UNDO
    }

    /// Undoes everything written since `savepoint`, but keeps the locks: a statement that is run again must not
    /// lose what it waited for.
    pub fn undo_to(&self, savepoint: Savepoint) -> Result<()> {
        let engine = self.engine();
        engine.undo_to(&self.tx, savepoint.last)?;
        let created: Vec<u64> = self.inner.lock().created.iter().copied().collect();
        for tree in created {
            if engine.is_to_be_freed(tree)? {
                self.inner.lock().created.remove(&tree);
                engine.drop_later(tree);
            }
        }
        self.tx.bump();
        finish_drops(engine)
    }

    /// Commits: returns once the log is on disk and the changes are visible to new snapshots.
    /// On 58030 the outcome is unknown until the next open; on 40001 (SERIALIZABLE) everything is undone.
    pub fn commit(self) -> Result<()> {
        self.commit_then(|| Ok(()))
    }

    /// As [`Transaction::commit`]; calls `publish` when the changes are visible and the table locks are
    /// still held, so that whoever waits for those sees what it published. Its error is returned, but
    /// undoes nothing.
    pub fn commit_then(self, publish: impl FnOnce() -> Result<()>) -> Result<()> {
        Held::assert_none();
        let tracked = {
            let mut inner = self.inner.lock();
            inner.over = true;
            // One that tried to write may have met what its snapshot does not see.
            if inner.writing { inner.snapshot.as_ref().and_then(Snapshot::tracked).cloned() } else { None }
        };
        if !self.has_written() {
            let allowed = tracked.map_or(Ok(()), |tracked| tracked.check());
            let published = allowed.and_then(|()| publish());
            self.end_reading();
            return published;
        }
        let engine = self.engine();
        let appended = match &tracked {
            Some(tracked) => match tracked.commit(|| engine.append_commit(&self.tx)) {
                Ok(appended) => appended,
                Err(refused) => {
                    self.undo_all()?;
                    return Err(refused);
                }
            },
            None => engine.append_commit(&self.tx),
        };
        let settled = match appended {
            Ok((settled, _)) => settled,
            Err(error) if error.code() == SqlState::DISK_FULL => {
                // Nothing is in the log of it, so it is as good as rolled back.
                self.undo_all()?;
                return Err(error);
            }
            Err(error) => {
                self.release_locks();
                return Err(error);
            }
        };
        self.inner.lock().snapshot = None;
        while !settled.is_set() {
            // An error cannot stop a commit that is in the log; a spurious return only looks again.
            if wait::wait(&settled, WaitReason::Commit, None).is_err() {
                settled.park(None);
            }
        }
        let Fate::Committed(timestamp) = self.tx.fate() else {
            self.release_locks();
            engine.pager.log.check_healthy()?;
            return Err(Error::internal("a commit failed although the log did not"));
        };
        // Before anybody else hears of them.
        for tree in std::mem::take(&mut self.inner.lock().loaded) {
            tree.loaded_at.store(timestamp, Ordering::Release);
        }
        let published = publish();
        self.release_locks();
        published
    }

    /// Undoes everything. An error means that the store must be reopened to finish the undo. A long undo is only
    /// begun: what it changed is invisible at once, but stays locked until it is done. Should there be no room for
    /// it on the disk, that is no error either: it goes on when there is.
    pub fn rollback(self) -> Result<()> {
        self.undo_all()
    }

    fn undo_all(&self) -> Result<()> {
        self.inner.lock().over = true;
        if !self.has_written() {
            self.end_reading();
            return Ok(());
        }
        let engine = self.engine();
        let behind = engine.should_undo_later(&self.tx);
        let undone = if behind { Ok(()) } else { engine.roll_back(&self.tx) };
        let created = {
            let mut inner = self.inner.lock();
            inner.snapshot = None;
            std::mem::take(&mut inner.created)
        };
        if behind || undone.is_err() {
            let mut locks = self.take_locks();
            locks.keep_tables(engine, &self.tx);
            let rest = Unfinished { tx: self.tx.clone(), created: created.into_iter().collect(), locks };
            return match undone {
                Ok(()) => {
                    engine.undo_behind(rest);
                    Ok(())
                }
                Err(error) => engine.undo_later(rest, error),
            };
        }
        created.into_iter().for_each(|tree| engine.drop_later(tree));
        let dropped = finish_drops(engine);
        self.release_locks();
        dropped
    }

    fn end_reading(&self) {
        self.inner.lock().snapshot = None;
        self.tx.set_undone();
        self.engine().active.end_writing(&self.tx);
        self.release_locks();
    }

    fn take_locks(&self) -> Locks {
        let mut inner = self.inner.lock();
        Locks {
            rows: std::mem::take(&mut *self.locked.lock()),
            tables: std::mem::take(&mut inner.table_locks),
            advisory: std::mem::take(&mut inner.advisory),
        }
    }

    fn release_locks(&self) {
        self.take_locks().release(self.engine(), &self.tx);
    }
}

/// What a transaction has locked.
#[derive(Default)]
pub struct Locks {
    rows: Locked,
    tables: Vec<(u64, TableLock)>,
    advisory: Vec<(AdvisoryKey, u8)>,
}

impl Locks {
    /// Gives back all but table locks: undo needs nothing else to be left alone.
    fn keep_tables(&mut self, engine: &Engine, tx: &TxState) {
        std::mem::take(&mut self.rows).iter().for_each(|(key, mode)| engine.locks.release(key, *mode, tx));
        let advisory = std::mem::take(&mut self.advisory);
        advisory.iter().for_each(|(key, mode)| engine.advisory.release(key, *mode, tx));
        tx.bump();
    }

    /// Gives all back: `tx` is over.
    pub fn release(self, engine: &Engine, tx: &TxState) {
        self.rows.iter().for_each(|(key, mode)| engine.locks.release(key, *mode, tx));
        self.tables.iter().for_each(|(table, mode)| engine.table_locks.release(table, mode.mode().bit, tx));
        self.advisory.iter().for_each(|(key, mode)| engine.advisory.release(key, *mode, tx));
        tx.end();
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.inner.get_mut().over
            && let Err(error) = self.undo_all()
        {
            tracing::error!(%error, transaction = self.tx.id, "rollback failed; the next start finishes it");
        }
    }
}

/// Frees dropped trees now; without room for that, the sweeper will.
fn finish_drops(engine: &Engine) -> Result<()> {
    match engine.finish_drops() {
        Err(error) if error.code() == SqlState::DISK_FULL => Ok(()),
        result => result,
    }
}

/// 40001 when the tree was loaded after the snapshot: it has only what was there then (a new index, a table that was
/// rewritten), and not what the snapshot should see.
fn check_age(tree: &Tree, snapshot: &Snapshot) -> Result<()> {
    if tree.loaded_at.load(Ordering::Acquire) <= snapshot.timestamp {
        return Ok(());
    }
    Err(Error::new(
        SqlState::SERIALIZATION_FAILURE,
        "could not serialize access due to a concurrent change of the schema",
    )
    .with_detail("A table or index was built after this transaction's snapshot was taken.")
    .with_hint("The transaction might succeed if retried."))
}

fn split_off<T>(list: &mut Vec<T>, at: usize) -> Vec<T> {
    list.split_off(at.min(list.len()))
}

/// True when everything known of the slot is by one running transaction that made it.
fn is_insert(entry: Entry<'_>) -> bool {
    match entry {
        Entry::Settled | Entry::Deleted(_) | Entry::Logged(..) => false,
        Entry::Inserted(_) => true,
        Entry::Changed(version) => {
            let mut at = version;
            loop {
                match &at.older {
                    Some(older) if Arc::ptr_eq(&older.writer.tx, &version.writer.tx) => at = older,
                    _ => return matches!(at.before, Before::Absent),
                }
            }
        }
    }
}
