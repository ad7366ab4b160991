//! Changes records of a tree under the rules of isolation.
//!
//! Called by `transaction.rs` and `overflow.rs`. Each change happens under the leaf's exclusive latch: look at
//! the newest version, decide (wait, refuse, or go on), append the log record, change the page, note the
//! version. Waiting happens with nothing held; afterwards all begins anew.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use types::sqlstate::SqlState;
use types::{Error, Result};

use super::Snapshot;
use super::lock::{Asking, Mode, Owner, running};
use super::wait_graph::{Blockers, deadline};
use crate::btree::node::{Node, NodeMut};
use crate::btree::{Tree, redo};
use crate::buffer::WriteGuard;
use crate::engine::Engine;
use crate::transaction::{InsertOutcome, IsolationLevel, RowLock, WriteOutcome};
use crate::undo::version::Entry;
use crate::undo::{Before, Fate, PageVersions, TxState, Writer};
use crate::wal::record::GHOST;
use crate::wal::{Log, Lsn, Record, Room, RowChange, RowOp};

/// Old versions of one transaction kept in memory; further ones are read from the log when needed.
const UNDO_IN_MEMORY: usize = 32 << 20;

/// The transaction and statement that write.
pub struct Write<'a> {
    pub engine: &'a Engine,
    pub tx: &'a Arc<TxState>,
    pub snapshot: &'a Snapshot,
    pub isolation: IsolationLevel,
    pub lock_timeout: Option<Duration>,
    pub undo_bytes: &'a AtomicUsize,
    /// Row locks that the transaction holds: a writer who has waited for a row that has changed gets one.
    pub locked: &'a Mutex<Locked>,
}

/// Row locks in the order they were granted, each with the one mode that was new.
pub type Locked = Vec<((u64, Box<[u8]>), u8)>;

/// The record that a write replaced, for what hangs on it (overflow chunks).
pub struct Replaced {
    pub outcome: WriteOutcome,
    pub old: Vec<u8>,
    pub old_flags: u8,
}

impl Replaced {
    fn nothing(outcome: WriteOutcome) -> Replaced {
        Replaced { outcome, old: Vec::new(), old_flags: 0 }
    }
}

/// What the newest version says to a writer.
enum Standing {
    Free,
    Wait(Owner),
    Own {
        this_command: bool,
    },
    /// Committed after the snapshot.
    Newer,
}

const FREE: Room = Room::Free { owes: 0 };

thread_local! {
    static BODY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A bound on the log that a compensation and its framing take beyond key and records.
const COMPENSATION: u64 = 96;

/// How much log undoing `op` may need. What a change gave up of a page others may have taken: to restore a
/// longer record a page may have to be split.
fn owes(op: &RowOp<'_>) -> u64 {
    let key = op.key().len() as u64;
    match op {
        RowOp::Replace { change, .. } => {
            let (old, new) = (change.old.len() as u64, change.new.len() as u64);
            COMPENSATION + key + old + new + 2 * old.saturating_sub(new)
        }
        _ => COMPENSATION + key,
    }
}

/// Appends the record of a change to `page`; the caller then carries it out. A compensation uses the room
/// that was kept for it.
pub fn log_row(
    log: &Log,
    tx: &TxState,
    undo_next: Option<Lsn>,
    tree: u64,
    guard: &WriteGuard<'_>,
    op: RowOp<'_>,
) -> Result<(Lsn, Lsn)> {
    let room = match undo_next {
        Some(_) => Room::Kept { pays: tx.pay(owes(&op)) },
        // The first change owes the transaction's last record, too.
        None if tx.first() == Lsn::ZERO => Room::Free { owes: owes(&op) + COMPENSATION },
        None => Room::Free { owes: owes(&op) },
    };
    let announced = guard.dirty(log);
    let appended = BODY.with(|body| {
        let mut body = body.borrow_mut();
        body.clear();
        let record =
            Record::Row { transaction: tx.id, previous: tx.last(), undo_next, tree, page: guard.id(), op };
        record.encode(&mut body);
        log.append(&body, room, |start, _| tx.note(start))
    });
    match (&appended, room) {
        (Ok(_), Room::Free { owes }) => tx.owe(owes),
        (Ok(_), Room::Kept { .. }) => {}
        (Err(_), room) => {
            if let Room::Kept { pays } = room {
                tx.owe(pays);
            }
            if announced {
                guard.clean();
            }
        }
    }
    appended
}

/// The version table of a page that is being changed.
pub fn versions_of<'g>(engine: &Engine, guard: &'g mut WriteGuard<'_>) -> &'g mut PageVersions {
    if guard.versions().is_none() {
        engine.pager.pool.note_versions(guard.id());
    }
    guard.versions_mut().get_or_insert_default()
}

impl Write<'_> {
    fn writer(&self) -> Writer {
        Writer { tx: self.tx.clone(), command: self.snapshot.command }
    }

    fn entry<'g>(guard: &'g WriteGuard<'_>, slot: usize) -> Entry<'g> {
        guard.versions().map_or(Entry::Settled, |versions| versions.entry(slot))
    }

    fn standing(&self, entry: Entry<'_>) -> Standing {
        let Some(writer) = entry.newest() else { return Standing::Free };
        if Arc::ptr_eq(&writer.tx, self.tx) {
            return Standing::Own { this_command: writer.command >= self.snapshot.command };
        }
        if let Some(signal) = running(&writer.tx) {
            return Standing::Wait((writer.tx.clone(), signal));
        }
        match writer.tx.fate() {
            Fate::Committed(timestamp) if timestamp > self.snapshot.timestamp => Standing::Newer,
            _ => Standing::Free,
        }
    }

    fn place<'k>(&'k self, tree: u64, key: &'k [u8]) -> Place<'k> {
        Place {
            write: self,
            tree,
            key,
            asking: Asking { queue: true, jump: false },
            deadline: None,
            queued: false,
            fulfilled: false,
        }
    }

    /// Adds a record; `flags` says whether it is a pointer to overflow chunks.
    pub fn insert(&self, tree: &Tree, key: &[u8], record: &[u8], flags: u8) -> Result<InsertOutcome> {
        self.engine.with_room(|| self.try_insert(tree, key, record, flags))
    }

    fn try_insert(&self, tree: &Tree, key: &[u8], record: &[u8], flags: u8) -> Result<InsertOutcome> {
        let pager = &self.engine.pager;
        let mut place = self.place(tree.id, key);
        loop {
            let mut leaf = tree.leaf_write(pager, key)?;
            let node = Node::new(leaf.page());
            match node.search(key) {
                Err(at) => {
                    if node.free_space() < node.entry_size(key, record.len()) {
                        if tree.purge(pager, &mut leaf, FREE)? == 0 {
                            drop(leaf);
                            tree.make_room(pager, key, FREE, |node| {
                                node.free_space() >= node.entry_size(key, record.len())
                            })?;
                        }
                        continue;
                    }
                    self.snapshot.note_write(tree.id, key);
                    let count = node.count();
                    let (_, end) = log_row(
                        &pager.log,
                        self.tx,
                        None,
                        tree.id,
                        &leaf,
                        RowOp::Insert { key, record, flags },
                    )?;
                    let inserted = NodeMut::new(leaf.page_mut()).insert(at, key, record, flags);
                    assert!(inserted, "a leaf of tree {} had room for a record and now has not", tree.id);
                    leaf.set_lsn(end);
                    versions_of(self.engine, &mut leaf).insert(at, count, &self.writer());
                    tree.records.fetch_add(1, Ordering::Relaxed);
                    place.fulfilled = true;
                    return Ok(InsertOutcome::Done);
                }
                Ok(at) => {
                    let entry = Self::entry(&leaf, at);
                    if let Standing::Wait(owner) = self.standing(entry) {
                        let blockers = place.blockers(RowLock::Update.mode(), Some(owner));
                        drop(leaf);
                        place.wait(blockers)?;
                        continue;
                    }
                    if !node.is_ghost(at) {
                        return Ok(InsertOutcome::Duplicate);
                    }
                    if !node.can_replace(at, record.len()) {
                        self.make_room_to_replace(tree, leaf, key, record.len())?;
                        continue;
                    }
                    self.snapshot.note_write(tree.id, key);
                    self.revive(tree, &mut leaf, at, key, record, flags)?;
                    place.fulfilled = true;
                    return Ok(InsertOutcome::Done);
                }
            }
        }
    }

    /// Puts a record where a tombstone is.
    fn revive(
        &self,
        tree: &Tree,
        leaf: &mut WriteGuard<'_>,
        at: usize,
        key: &[u8],
        record: &[u8],
        flags: u8,
    ) -> Result<()> {
        let node = Node::new(leaf.page());
        let count = node.count();
        let old_flags = node.flags(at);
        // Nobody needs the bytes of a settled tombstone; otherwise undo and old snapshots do.
        let settled = matches!(Self::entry(leaf, at), Entry::Settled);
        let old = if settled { Vec::new() } else { node.record(at).to_vec() };
        let change = RowChange { old_flags, new_flags: flags, prefix: 0, suffix: 0, old: &old, new: record };
        let log = &self.engine.pager.log;
        let (_, end) = log_row(log, self.tx, None, tree.id, leaf, RowOp::Replace { key, change })?;
        let replaced = NodeMut::new(leaf.page_mut()).replace(at, record, flags);
        assert!(replaced, "a leaf of tree {} had room for a record and now has not", tree.id);
        leaf.set_lsn(end);
        let versions = versions_of(self.engine, leaf);
        let bytes_needed = match versions.entry(at) {
            Entry::Deleted(_) => true,
            Entry::Changed(version) => matches!(version.before, Before::Same),
            _ => false,
        };
        if bytes_needed {
            self.undo_bytes.fetch_add(old.len(), Ordering::Relaxed);
            let middle = old.into_boxed_slice();
            versions.set_before(
                at,
                count,
                Before::Delta { prefix: 0, suffix: 0, flags: old_flags & !GHOST, middle },
            );
        }
        versions.push(at, count, self.writer(), Before::Absent);
        tree.records.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn make_room_to_replace<'p>(
        &'p self,
        tree: &Tree,
        mut leaf: WriteGuard<'p>,
        key: &[u8],
        len: usize,
    ) -> Result<()> {
        let pager = &self.engine.pager;
        if tree.purge(pager, &mut leaf, FREE)? > 0 {
            return Ok(());
        }
        drop(leaf);
        tree.make_room(pager, key, FREE, |node| match node.search(key) {
            Ok(at) => node.can_replace(at, len),
            Err(_) => true,
        })
    }

    /// What an update or delete must know before it changes slot `at`: `None` to go on.
    fn obstacle(
        &self,
        leaf: &WriteGuard<'_>,
        at: usize,
        place: &mut Place<'_>,
        mode: RowLock,
    ) -> Result<Option<std::result::Result<WriteOutcome, Blockers>>> {
        let mode = mode.mode();
        let ghost = Node::new(leaf.page()).is_ghost(at);
        match self.standing(Self::entry(leaf, at)) {
            Standing::Wait(owner) => return Ok(Some(Err(place.blockers(mode, Some(owner))))),
            Standing::Own { this_command: true } => return Ok(Some(Ok(WriteOutcome::SelfModified))),
            Standing::Newer => {
                if self.isolation != IsolationLevel::ReadCommitted {
                    return Err(serialization_failure(ghost));
                }
                if ghost {
                    return Ok(Some(Ok(WriteOutcome::Missing)));
                }
                if !place.is_locked() {
                    // The caller looks at it again: nobody comes between.
                    return Ok(Some(place.lock(mode).map(|()| WriteOutcome::Changed)));
                }
            }
            Standing::Free | Standing::Own { .. } => {
                if ghost {
                    return Ok(Some(Ok(WriteOutcome::Missing)));
                }
            }
        }
        if self.engine.locks.is_empty() {
            return Ok(None);
        }
        let blockers = place.blockers(mode, None);
        Ok(if blockers.is_empty() { None } else { Some(Err(blockers)) })
    }

    /// Replaces a record.
    pub fn update(&self, tree: &Tree, key: &[u8], record: &[u8], flags: u8) -> Result<Replaced> {
        self.engine.with_room(|| self.try_update(tree, key, record, flags))
    }

    fn try_update(&self, tree: &Tree, key: &[u8], record: &[u8], flags: u8) -> Result<Replaced> {
        let mut place = self.place(tree.id, key);
        loop {
            let mut leaf = tree.leaf_write(&self.engine.pager, key)?;
            let node = Node::new(leaf.page());
            let Ok(at) = node.search(key) else { return Ok(Replaced::nothing(WriteOutcome::Missing)) };
            match self.obstacle(&leaf, at, &mut place, RowLock::NoKeyUpdate)? {
                Some(Ok(outcome)) => return Ok(Replaced::nothing(outcome)),
                Some(Err(blockers)) => {
                    drop(leaf);
                    place.wait(blockers)?;
                    continue;
                }
                None => {}
            }
            if !node.can_replace(at, record.len()) {
                self.make_room_to_replace(tree, leaf, key, record.len())?;
                continue;
            }
            self.snapshot.note_write(tree.id, key);
            let count = node.count();
            let (old, old_flags) = (node.record(at).to_vec(), node.flags(at));
            let change = RowChange::between(&old, old_flags, record, flags);
            let log = &self.engine.pager.log;
            let (lsn, end) = log_row(log, self.tx, None, tree.id, &leaf, RowOp::Replace { key, change })?;
            let replaced = NodeMut::new(leaf.page_mut()).replace(at, record, flags);
            assert!(replaced, "a leaf of tree {} had room for a record and now has not", tree.id);
            leaf.set_lsn(end);
            let before = self.before(&change, lsn);
            let versions = versions_of(self.engine, &mut leaf);
            versions.push(at, count, self.writer(), before);
            // A long chain is cut short by whoever makes it longer: an old snapshot costs its own history.
            if versions.is_long(at) {
                versions.thin(at, record, flags, &self.engine.active.live());
            }
            drop(leaf);
            place.fulfilled = true;
            return Ok(Replaced { outcome: WriteOutcome::Done, old, old_flags });
        }
    }

    fn before(&self, change: &RowChange<'_>, lsn: Lsn) -> Before {
        let size = change.old.len() + 48;
        if self.undo_bytes.fetch_add(size, Ordering::Relaxed) > UNDO_IN_MEMORY {
            self.engine.keep_log_for(self.tx);
            return Before::Logged(lsn);
        }
        Before::Delta {
            prefix: change.prefix,
            suffix: change.suffix,
            flags: change.old_flags,
            middle: Box::from(change.old),
        }
    }

    /// Turns a record into a tombstone.
    pub fn delete(&self, tree: &Tree, key: &[u8]) -> Result<Replaced> {
        self.engine.with_room(|| self.try_delete(tree, key))
    }

    fn try_delete(&self, tree: &Tree, key: &[u8]) -> Result<Replaced> {
        let mut place = self.place(tree.id, key);
        loop {
            let mut leaf = tree.leaf_write(&self.engine.pager, key)?;
            let node = Node::new(leaf.page());
            let Ok(at) = node.search(key) else { return Ok(Replaced::nothing(WriteOutcome::Missing)) };
            match self.obstacle(&leaf, at, &mut place, RowLock::Update)? {
                Some(Ok(outcome)) => return Ok(Replaced::nothing(outcome)),
                Some(Err(blockers)) => {
                    drop(leaf);
                    place.wait(blockers)?;
                    continue;
                }
                None => {}
            }
            self.snapshot.note_write(tree.id, key);
            let count = node.count();
            let (old, old_flags) = (node.record(at).to_vec(), node.flags(at));
            let (_, end) =
                log_row(&self.engine.pager.log, self.tx, None, tree.id, &leaf, RowOp::Ghost { key })?;
            NodeMut::new(leaf.page_mut()).set_flags(at, old_flags | GHOST);
            leaf.set_lsn(end);
            let versions = versions_of(self.engine, &mut leaf);
            versions.push(at, count, self.writer(), Before::Same);
            versions.has_deletes = true;
            tree.records.fetch_sub(1, Ordering::Relaxed);
            place.fulfilled = true;
            return Ok(Replaced { outcome: WriteOutcome::Done, old, old_flags });
        }
    }
}

/// A writer's place in the queue for a record: taken when it must wait, left when dropped.
struct Place<'a> {
    write: &'a Write<'a>,
    tree: u64,
    key: &'a [u8],
    asking: Asking,
    /// Of all waits for this record together.
    deadline: Option<Instant>,
    queued: bool,
    /// It has written: those behind wait for its end now.
    fulfilled: bool,
}

impl Place<'_> {
    fn lock_key(&self) -> (u64, Box<[u8]>) {
        (self.tree, Box::from(self.key))
    }

    /// Who is in the way; takes the place if anybody is.
    fn blockers(&mut self, mode: Mode, owner: Option<Owner>) -> Blockers {
        let locks = &self.write.engine.locks;
        let found = locks.blockers(&self.lock_key(), mode, self.write.tx, owner, self.asking);
        self.queued |= found.is_some();
        found.unwrap_or_default()
    }

    /// Makes the place a lock.
    fn lock(&mut self, mode: Mode) -> std::result::Result<(), Blockers> {
        let key = self.lock_key();
        match self.write.engine.locks.acquire(&key, mode, self.write.tx, self.asking) {
            Ok(fresh) => {
                if fresh {
                    self.write.locked.lock().push((key, mode.bit));
                }
                self.queued = false;
                Ok(())
            }
            Err(blockers) => {
                self.queued = true;
                Err(blockers)
            }
        }
    }

    /// True when the transaction holds a lock on the record that lets nobody change it.
    fn is_locked(&self) -> bool {
        let locks = &self.write.engine.locks;
        let modes = RowLock::NoKeyUpdate.mode().bit | RowLock::Update.mode().bit;
        !locks.is_empty() && locks.holds(&self.lock_key(), modes, self.write.tx)
    }

    fn wait(&mut self, blockers: Blockers) -> Result<()> {
        let Write { engine, tx, lock_timeout, .. } = self.write;
        if self.deadline.is_none() {
            self.deadline = deadline(*lock_timeout);
        }
        self.asking.jump = engine.waits.wait(tx, blockers, None, self.deadline)?;
        // After a failed commit the owner stays what it is; so do its rows.
        engine.pager.log.check_healthy()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.queued {
            self.write.engine.locks.leave_queue(&self.lock_key(), self.write.tx, !self.fulfilled);
        }
    }
}

/// 40001, worded as PostgreSQL does for an update or a delete that came first.
pub fn serialization_failure(deleted: bool) -> Error {
    let what = if deleted { "delete" } else { "update" };
    Error::new(
        SqlState::SERIALIZATION_FAILURE,
        format!("could not serialize access due to concurrent {what}"),
    )
}

impl Engine {
    /// Takes back one logged change of `tx`, writing a compensation that leads on to `previous`.
    pub fn undo_row(&self, tx: &TxState, previous: Lsn, tree: &Tree, op: &RowOp<'_>) -> Result<()> {
        let pager = &self.pager;
        loop {
            let mut leaf = tree.leaf_write(pager, op.key())?;
            let node = Node::new(leaf.page());
            let Ok(at) = node.search(op.key()) else {
                return Err(Error::corrupted(format!(
                    "a record to be undone is missing from page {} of tree {}",
                    leaf.id(),
                    tree.id
                )));
            };
            let key = op.key();
            let compensation = match op {
                // A tree that its creator takes back still has pages to free: its tombstone says so.
                RowOp::Insert { .. } if tree.id == crate::directory::DIRECTORY => RowOp::Ghost { key },
                RowOp::Insert { .. } => RowOp::Remove { key },
                RowOp::Ghost { .. } => RowOp::Unghost { key },
                RowOp::Replace { change, .. } => {
                    let change = change.reversed();
                    let len = (change.prefix + change.suffix) as usize + change.new.len();
                    if !node.can_replace(at, len) {
                        let kept = Room::Kept { pays: 0 };
                        if self.is_recovering() || tree.purge(pager, &mut leaf, kept)? == 0 {
                            drop(leaf);
                            tree.make_room(pager, key, kept, |node| match node.search(key) {
                                Ok(at) => node.can_replace(at, len),
                                Err(_) => true,
                            })?;
                        }
                        continue;
                    }
                    RowOp::Replace { key, change }
                }
                RowOp::Unghost { .. } | RowOp::Remove { .. } => {
                    return Err(Error::corrupted("a compensation is not marked as such in the log"));
                }
            };
            let count = node.count();
            let (_, end) = log_row(&pager.log, tx, Some(previous), tree.id, &leaf, compensation.clone())?;
            let id = leaf.id();
            let delta = redo::apply_row(leaf.page_mut(), id, &compensation)
                .unwrap_or_else(|error| panic!("a compensation in the log cannot be applied: {error:?}"));
            leaf.set_lsn(end);
            if let Some(versions) = leaf.versions_mut() {
                if matches!(compensation, RowOp::Remove { .. }) {
                    versions.remove(at, count);
                } else {
                    versions.pop(at, count);
                }
            }
            let node = Node::new(leaf.page());
            if node.count() == 0 && tree.id != crate::directory::DIRECTORY {
                // The sweeper gives an empty leaf back.
                versions_of(self, &mut leaf).has_deletes = true;
            }
            tree.records.fetch_add(delta, Ordering::Relaxed);
            return Ok(());
        }
    }
}
