//! The version table of a page: who wrote its records lately, and what they were before.
//!
//! Lives beside the page's frame (and outlives it, parked, when the page is evicted); guarded by the
//! page's latch. A page without one is wholly visible to everybody. Invariants: `slots` runs parallel to
//! the page's slots, or is empty, and then every slot has the entry `default`: a bulk load costs a few
//! bytes a page. Entries of transactions that undid themselves do not exist: undo removes them.

use std::sync::Arc;

use super::live::Live;
use super::writer::TxState;
use crate::wal::record::GHOST;
use crate::wal::{Lsn, RowChange};

/// A transaction's command: what a version is attributed to.
#[derive(Clone, Debug)]
pub struct Writer {
    pub tx: Arc<TxState>,
    pub command: u32,
}

impl Writer {
    fn same(&self, other: &Writer) -> bool {
        self.command == other.command && self.is_of(other)
    }

    /// Of one transaction.
    pub fn is_of(&self, other: &Writer) -> bool {
        Arc::ptr_eq(&self.tx, &other.tx)
    }
}

/// What a record was before a write.
#[derive(Clone, Debug)]
pub enum Before {
    /// There was none.
    Absent,
    /// It was live, with the bytes that the next newer state (a tombstone) still has.
    Same,
    /// The newer bytes with `middle` between their first `prefix` and last `suffix` bytes.
    Delta { prefix: u32, suffix: u32, flags: u8, middle: Box<[u8]> },
    /// As `Delta`, to be read from the Replace record at this place in the log.
    Logged(Lsn),
}

impl Before {
    /// The state before a write, given the one it left; `None` when only the log knows, or nothing fits.
    fn state(&self, bytes: &[u8], flags: u8) -> Option<(Vec<u8>, u8)> {
        match self {
            Before::Absent => Some((bytes.to_vec(), flags | GHOST)),
            Before::Same => Some((bytes.to_vec(), flags & !GHOST)),
            Before::Delta { prefix, suffix, flags, middle } => {
                Some((RowChange::splice(bytes, *prefix, *suffix, middle)?, *flags))
            }
            Before::Logged(_) => None,
        }
    }

    /// That the state was `bytes` and `flags`, where the write left `left` and `left_flags`.
    fn between(bytes: &[u8], flags: u8, left: &[u8], left_flags: u8) -> Before {
        if flags & GHOST != 0 {
            return Before::Absent;
        }
        if left_flags & GHOST != 0 {
            // A new record may take the tombstone's place, and its bytes: do not lean on them.
            return Before::Delta { prefix: 0, suffix: 0, flags, middle: bytes.into() };
        }
        let change = RowChange::between(bytes, flags, left, left_flags);
        Before::Delta { prefix: change.prefix, suffix: change.suffix, flags, middle: change.old.into() }
    }
}

/// One write to a record, and the ones before it.
#[derive(Debug)]
pub struct Version {
    pub writer: Writer,
    pub before: Before,
    pub older: Option<Box<Version>>,
    /// At least so many writes are in the chain that begins here, when it is the newest of its record.
    depth: u32,
}

/// A chain is looked through for versions nobody sees when it gets this long, and at every doubling.
const THIN_FROM: u32 = 8;

impl Drop for Version {
    /// One after the other: a long chain must not be a deep recursion.
    fn drop(&mut self) {
        let mut next = self.older.take();
        while let Some(mut version) = next {
            next = version.older.take();
        }
    }
}

/// What a slot's entry is.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// Nothing lately: visible to all.
    Settled,
    /// Inserted, where nothing was before.
    Inserted(&'a Writer),
    /// Made a tombstone, otherwise settled.
    Deleted(&'a Writer),
    /// Replaced, otherwise settled; the log record at this place has what was before.
    Logged(&'a Writer, Lsn),
    Changed(&'a Version),
}

impl<'a> Entry<'a> {
    /// Who wrote it last.
    pub fn newest(&self) -> Option<&'a Writer> {
        match self {
            Entry::Settled => None,
            Entry::Inserted(writer) | Entry::Deleted(writer) | Entry::Logged(writer, _) => Some(writer),
            Entry::Changed(version) => Some(&version.writer),
        }
    }
}

/// Zero is settled; otherwise the two low bits say what the rest is an index of. Mass changes by one
/// transaction need no more than this and, for an update, a place in the log.
type Code = u32;

/// Into `logged`, plus one.
const LOGGED: Code = 0;
/// Into `chains`.
const CHAIN: Code = 1;
/// Into `writers`.
const INSERTED: Code = 2;
const DELETED: Code = 3;

#[derive(Debug, Default)]
pub struct PageVersions {
    writers: Vec<Writer>,
    slots: Vec<Code>,
    default: Code,
    chains: Vec<Option<Version>>,
    /// Index into `writers`, and the log record.
    logged: Vec<(u32, Lsn)>,
    /// A tombstone may be waiting for its removal.
    pub has_deletes: bool,
}

impl PageVersions {
    fn intern(&mut self, writer: &Writer) -> u32 {
        // Only the latest few are looked at: a duplicate costs some bytes until the next sweep.
        let from = self.writers.len().saturating_sub(4);
        let known = self.writers[from..].iter().rposition(|known| known.same(writer)).map(|at| from + at);
        let index = known.unwrap_or_else(|| {
            self.writers.push(writer.clone());
            self.writers.len() - 1
        });
        index as u32
    }

    fn add_chain(&mut self, version: Version) -> Code {
        self.chains.push(Some(version));
        let index = self.chains.len() - 1;
        (index as Code) << 2 | CHAIN
    }

    fn add_logged(&mut self, writer: u32, lsn: Lsn) -> Code {
        self.logged.push((writer, lsn));
        (self.logged.len() as Code) << 2 | LOGGED
    }

    fn spell_out(&mut self, count: usize) {
        if self.slots.is_empty() && count > 0 {
            self.slots = vec![self.default; count];
            self.default = 0;
        }
    }

    #[inline]
    fn code(&self, slot: usize) -> Code {
        self.slots.get(slot).copied().unwrap_or(self.default)
    }

    fn decode(&self, code: Code) -> Entry<'_> {
        let index = (code >> 2) as usize;
        match code & 3 {
            _ if code == 0 => Entry::Settled,
            INSERTED => Entry::Inserted(&self.writers[index]),
            DELETED => Entry::Deleted(&self.writers[index]),
            CHAIN => Entry::Changed(self.chains[index].as_ref().expect("codes name live chains")),
            _ => {
                let (writer, lsn) = self.logged[index - 1];
                Entry::Logged(&self.writers[writer as usize], lsn)
            }
        }
    }

    /// The slot's only write as the first link of a chain.
    fn as_version(&self, code: Code) -> Option<Version> {
        let (writer, before) = match self.decode(code) {
            Entry::Settled | Entry::Changed(_) => return None,
            Entry::Inserted(writer) => (writer, Before::Absent),
            Entry::Deleted(writer) => (writer, Before::Same),
            Entry::Logged(writer, lsn) => (writer, Before::Logged(lsn)),
        };
        Some(Version { writer: writer.clone(), before, older: None, depth: 1 })
    }

    #[inline]
    pub fn entry(&self, slot: usize) -> Entry<'_> {
        self.decode(self.code(slot))
    }

    /// When all slots have the same simple entry: that entry.
    pub fn uniform(&self) -> Option<Entry<'_>> {
        if self.slots.is_empty() { Some(self.decode(self.default)) } else { None }
    }

    /// A slot was inserted before `slot` of a page that then had `count` slots.
    pub fn insert(&mut self, slot: usize, count: usize, writer: &Writer) {
        let code = self.intern(writer) << 2 | INSERTED;
        if self.slots.is_empty() {
            if count == 0 {
                self.default = code;
                return;
            }
            if self.default == code {
                return;
            }
            self.spell_out(count);
        }
        self.slots.insert(slot, code);
    }

    /// `writer` has changed the record of `slot`, which was `before`.
    pub fn push(&mut self, slot: usize, count: usize, writer: Writer, before: Before) {
        self.spell_out(count);
        let code = self.slots[slot];
        self.slots[slot] = match (code, &before) {
            (0, Before::Absent) => self.intern(&writer) << 2 | INSERTED,
            (0, Before::Same) => self.intern(&writer) << 2 | DELETED,
            (0, Before::Logged(lsn)) => {
                let writer = self.intern(&writer);
                self.add_logged(writer, *lsn)
            }
            (code, _) if code & 3 == CHAIN => {
                let place = &mut self.chains[(code >> 2) as usize];
                let older = place.take().map(Box::new);
                let depth = older.as_ref().map_or(1, |older| older.depth.saturating_add(1));
                *place = Some(Version { writer, before, older, depth });
                code
            }
            _ => {
                let older = self.as_version(code).map(Box::new);
                self.add_chain(Version { writer, before, older, depth: 2 })
            }
        };
    }

    /// Whether `thin` may have something to do at `slot`.
    #[inline]
    pub fn is_long(&self, slot: usize) -> bool {
        match self.entry(slot) {
            Entry::Changed(version) => version.depth >= THIN_FROM && version.depth.is_power_of_two(),
            _ => false,
        }
    }

    /// Drops the versions between those that somebody sees: a write takes over what the one before it found
    /// when no snapshot tells the two apart. `record` and `flags` are on the page now.
    pub fn thin(&mut self, slot: usize, record: &[u8], flags: u8, live: &Live) {
        let code = self.code(slot);
        if code & 3 != CHAIN {
            return;
        }
        let Some(newest) = self.chains[(code >> 2) as usize].as_mut() else { return };
        let (mut left, mut left_flags) = (record.to_vec(), flags);
        let mut at = &mut *newest;
        // What only the log knows ends the walk: the states behind it cannot be worked out here.
        while let Some((mut bytes, mut flags)) = at.before.state(&left, left_flags) {
            let mut merged = false;
            while let Some(older) = &mut at.older {
                if live.tells_apart(&older.writer, &at.writer) {
                    break;
                }
                let Some(state) = older.before.state(&bytes, flags) else { break };
                (bytes, flags) = state;
                merged = true;
                let next = older.older.take();
                at.older = next;
            }
            if merged {
                at.before = Before::between(&bytes, flags, &left, left_flags);
            }
            (left, left_flags) = (bytes, flags);
            match &mut at.older {
                Some(older) => at = older,
                None => break,
            }
        }
        let mut depth = 1;
        let mut next = newest.older.as_deref();
        while let Some(older) = next {
            depth += 1;
            next = older.older.as_deref();
        }
        newest.depth = depth;
    }

    /// Replaces what the newest write of `slot` found.
    pub fn set_before(&mut self, slot: usize, count: usize, before: Before) {
        self.spell_out(count);
        if let Some(version) = self.as_version(self.slots[slot]) {
            self.slots[slot] = self.add_chain(version);
        }
        let code = self.slots[slot];
        if code & 3 != CHAIN {
            return;
        }
        if let Some(version) = &mut self.chains[(code >> 2) as usize] {
            version.before = before;
        }
    }

    /// Forgets the newest write of `slot`: it was undone.
    pub fn pop(&mut self, slot: usize, count: usize) {
        self.spell_out(count);
        let Some(code) = self.slots.get(slot).copied() else { return };
        self.slots[slot] = if code & 3 == CHAIN {
            let place = &mut self.chains[(code >> 2) as usize];
            match place.take().and_then(|mut version| version.older.take()) {
                Some(older) => {
                    *place = Some(*older);
                    code
                }
                None => 0,
            }
        } else {
            0
        };
    }

    /// The slot is gone.
    pub fn remove(&mut self, slot: usize, count: usize) {
        if self.slots.is_empty() {
            if count == 1 {
                self.default = 0;
            }
            return;
        }
        let code = self.slots.remove(slot);
        if code & 3 == CHAIN {
            self.chains[(code >> 2) as usize] = None;
        }
    }

    /// Takes the entries from `at` on for the page's new right neighbour.
    pub fn split_off(&mut self, at: usize) -> PageVersions {
        let mut right = PageVersions { has_deletes: self.has_deletes, ..PageVersions::default() };
        if self.slots.is_empty() {
            right.default = self.move_code(self.default, &mut right);
            return right;
        }
        for code in self.slots.split_off(at.min(self.slots.len())) {
            let moved = self.move_code(code, &mut right);
            right.slots.push(moved);
        }
        right
    }

    fn move_code(&mut self, code: Code, right: &mut PageVersions) -> Code {
        match self.decode(code) {
            Entry::Settled => 0,
            Entry::Inserted(writer) => right.intern(writer) << 2 | INSERTED,
            Entry::Deleted(writer) => right.intern(writer) << 2 | DELETED,
            Entry::Logged(writer, lsn) => {
                let writer = right.intern(writer);
                right.add_logged(writer, lsn)
            }
            Entry::Changed(_) => match self.chains[(code >> 2) as usize].take() {
                Some(version) => right.add_chain(version),
                None => 0,
            },
        }
    }

    /// Drops what every snapshot agrees on. Returns the slots whose newest write is settled by that (a
    /// tombstone among them can be removed from the page).
    pub fn prune(&mut self, live: &Live, mut settled: impl FnMut(usize)) {
        let horizon = live.horizon();
        let committed = |entry: Entry<'_>| entry.newest().is_none_or(|w| w.tx.committed_by(horizon));
        // Uniform pages have no tombstones to report: an insert is all that happened.
        if self.slots.is_empty() && committed(self.decode(self.default)) {
            self.default = 0;
        }
        for slot in 0..self.slots.len() {
            let code = self.slots[slot];
            let entry = self.decode(code);
            if committed(entry) || came_and_went(entry, live) {
                if code & 3 == CHAIN {
                    self.chains[(code >> 2) as usize] = None;
                }
                self.slots[slot] = 0;
                settled(slot);
                continue;
            }
            if code & 3 != CHAIN {
                continue;
            }
            let mut next = self.chains[(code >> 2) as usize].as_mut();
            while let Some(version) = next {
                if version.older.as_ref().is_some_and(|older| older.writer.tx.committed_by(horizon)) {
                    version.older = None;
                }
                next = version.older.as_deref_mut();
            }
        }
        if self.is_empty() {
            *self = PageVersions::default();
        } else if !self.slots.is_empty() {
            self.compact();
        }
    }

    /// Forgets writers and chains that no slot names any more: a page that is never quiet must not grow.
    fn compact(&mut self) {
        let chains = self.slots.iter().filter(|code| **code & 3 == CHAIN).count();
        let others = self.slots.iter().filter(|code| **code != 0).count() - chains;
        let few = |len: usize, live: usize| len <= 2 * live + 8;
        if few(self.chains.len(), chains) && few(self.writers.len(), others) && few(self.logged.len(), others)
        {
            return;
        }
        let all = self.split_off(0);
        *self = all;
    }

    /// Nothing left to know.
    pub fn is_empty(&self) -> bool {
        self.default == 0 && self.slots.iter().all(|code| *code == 0)
    }
}

/// True for a tombstone of a record that no snapshot sees: it was made and deleted between two of them.
fn came_and_went(entry: Entry<'_>, live: &Live) -> bool {
    let Entry::Changed(newest) = entry else { return false };
    if !matches!(newest.before, Before::Same) {
        return false;
    }
    let mut oldest = newest;
    while let Some(older) = &oldest.older {
        oldest = older;
    }
    matches!(oldest.before, Before::Absent) && !live.tells_apart(&oldest.writer, &newest.writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(timestamp: u64) -> Live {
        Live { timestamps: Vec::new(), visible: timestamp }
    }

    /// What `reader` at `timestamp` sees, as `mvcc/visibility.rs` works it out.
    fn seen(table: &PageVersions, slot: usize, record: &[u8], timestamp: u64) -> Option<Vec<u8>> {
        let (mut bytes, mut flags) = (record.to_vec(), 0);
        if let Entry::Changed(version) = table.entry(slot) {
            let mut next = Some(version);
            while let Some(version) = next.filter(|version| !version.writer.tx.committed_by(timestamp)) {
                (bytes, flags) = version.before.state(&bytes, flags).unwrap();
                next = version.older.as_deref();
            }
        }
        (flags & GHOST == 0).then_some(bytes)
    }

    #[test]
    fn versions_that_nobody_sees_go_and_the_others_stay_what_they_were() {
        // Snapshots at 25 and 605; a write every 10, each another middle of another length.
        let live = |visible| Live { timestamps: vec![25, 605], visible };
        let record = |i: u64| format!("begin-{}-end", "x".repeat((i % 7) as usize) + &i.to_string());
        let mut table = PageVersions::default();
        let mut was = record(0).into_bytes();
        for i in 1..=200u64 {
            let now = record(i).into_bytes();
            let before = Before::between(&was, 0, &now, 0);
            let one = writer(i);
            table.push(0, 1, one.clone(), before);
            // The newest still runs.
            if table.is_long(0) {
                table.thin(0, &now, 0, &live(i * 10 - 10));
            }
            one.tx.set_committed(i * 10);
            one.tx.end();
            assert_eq!(seen(&table, 0, &now, 25).unwrap(), record(2.min(i)).as_bytes(), "at {i}");
            assert_eq!(seen(&table, 0, &now, 605).unwrap(), record(60.min(i)).as_bytes(), "at {i}");
            let Entry::Changed(version) = table.entry(0) else {
                assert!(i == 1);
                was = now;
                continue;
            };
            assert!(version.depth <= THIN_FROM, "{} versions", version.depth);
            was = now;
        }
    }

    #[test]
    fn a_record_that_came_and_went_between_snapshots_is_forgotten() {
        let mut table = PageVersions::default();
        let (made, gone) = (writer(1), writer(2));
        table.insert(0, 0, &writer(9));
        table.insert(1, 1, &made);
        table.push(1, 2, gone.clone(), Before::Same);
        made.tx.set_committed(20);
        gone.tx.set_committed(30);
        let settled = |table: &mut PageVersions, timestamps: &[u64], visible| {
            let mut slots = Vec::new();
            table.prune(&Live { timestamps: timestamps.to_vec(), visible }, |slot| slots.push(slot));
            slots
        };
        assert!(settled(&mut table, &[10, 25], 40).is_empty());
        assert!(settled(&mut table, &[10], 29).is_empty());
        assert_eq!(settled(&mut table, &[10, 30], 40), [1]);
    }

    fn writer(id: u64) -> Writer {
        Writer { tx: Arc::new(TxState::new(id, 0)), command: 0 }
    }

    fn newest(table: &PageVersions, slot: usize) -> u64 {
        table.entry(slot).newest().map_or(0, |writer| writer.tx.id)
    }

    #[test]
    fn a_page_loaded_by_one_transaction_needs_no_slots() {
        let mut table = PageVersions::default();
        let one = writer(1);
        for i in 0..100 {
            table.insert(i, i, &one);
        }
        assert!(table.slots.is_empty() && table.uniform().is_some());
        table.insert(50, 100, &writer(2));
        assert_eq!((newest(&table, 49), newest(&table, 50), newest(&table, 51)), (1, 2, 1));
        let right = table.split_off(50);
        assert_eq!((newest(&right, 0), newest(&right, 1), newest(&table, 49)), (2, 1, 1));
        one.tx.set_committed(10);
        table.prune(&at(10), |_| ());
        assert!(table.is_empty());
    }

    #[test]
    fn a_busy_page_does_not_grow_and_a_long_chain_does_not_recurse() {
        let mut table = PageVersions::default();
        let old = writer(1);
        table.push(0, 2, old, Before::Same);
        for id in 2..1000 {
            let busy = writer(id);
            table.insert(1, 2, &busy);
            table.push(1, 3, busy.clone(), Before::Same);
            busy.tx.set_committed(id);
            table.remove(1, 3);
            table.prune(&at(id), |_| ());
        }
        assert!(table.writers.len() < 20 && table.chains.len() < 20, "{table:?}");
        for id in 0..300_000 {
            table.push(0, 2, writer(id), Before::Same);
        }
        drop(table);
    }

    #[test]
    fn chains_push_pop_and_prune() {
        let mut table = PageVersions::default();
        let (one, two, three) = (writer(1), writer(2), writer(3));
        table.push(3, 5, one.clone(), Before::Same);
        table.push(3, 5, two.clone(), Before::Absent);
        table.push(3, 5, three.clone(), Before::Same);
        assert_eq!(newest(&table, 3), 3);
        table.pop(3, 5);
        assert_eq!(newest(&table, 3), 2);
        one.tx.set_committed(5);
        table.prune(&at(7), |slot| assert_ne!(slot, 3));
        match table.entry(3) {
            Entry::Changed(version) => assert!(version.older.is_none()),
            other => panic!("{other:?}"),
        }
        two.tx.set_committed(8);
        let mut settled = Vec::new();
        table.prune(&at(8), |slot| settled.push(slot));
        assert_eq!(settled, vec![0, 1, 2, 3, 4]);
        assert!(table.is_empty());
    }
}
