//! The version table of a page: who wrote its records lately, and what they were before.
//!
//! Lives beside the page's frame (and outlives it, parked, when the page is evicted); guarded by the
//! page's latch. A page without one is wholly visible to everybody. Invariants: `slots` runs parallel to
//! the page's slots, or is empty, and then every slot has the entry `default`: a bulk load costs a few
//! bytes a page. Entries of transactions that undid themselves do not exist: undo removes them.

use std::sync::Arc;

use super::writer::TxState;
use crate::wal::Lsn;

/// A transaction's command: what a version is attributed to.
#[derive(Clone, Debug)]
pub struct Writer {
    pub tx: Arc<TxState>,
    pub command: u32,
}

impl Writer {
    fn same(&self, other: &Writer) -> bool {
        self.command == other.command && Arc::ptr_eq(&self.tx, &other.tx)
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

/// One write to a record, and the ones before it.
#[derive(Debug)]
pub struct Version {
    pub writer: Writer,
    pub before: Before,
    pub older: Option<Box<Version>>,
}

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
    Changed(&'a Version),
}

impl<'a> Entry<'a> {
    /// Who wrote it last.
    pub fn newest(&self) -> Option<&'a Writer> {
        match self {
            Entry::Settled => None,
            Entry::Inserted(writer) => Some(writer),
            Entry::Changed(version) => Some(&version.writer),
        }
    }
}

/// 0: settled; even: 2 + 2 × index into `writers`; odd: 1 + 2 × index into `chains`.
type Code = u32;

#[derive(Debug, Default)]
pub struct PageVersions {
    writers: Vec<Writer>,
    slots: Vec<Code>,
    default: Code,
    chains: Vec<Option<Version>>,
    /// A tombstone may be waiting for its removal.
    pub has_deletes: bool,
}

impl PageVersions {
    fn intern(&mut self, writer: &Writer) -> Code {
        // Only the latest few are looked at: a duplicate costs some bytes until the next sweep.
        let from = self.writers.len().saturating_sub(4);
        let known = self.writers[from..].iter().rposition(|known| known.same(writer)).map(|at| from + at);
        let index = known.unwrap_or_else(|| {
            self.writers.push(writer.clone());
            self.writers.len() - 1
        });
        2 + 2 * index as Code
    }

    fn add_chain(&mut self, version: Version) -> Code {
        self.chains.push(Some(version));
        let index = self.chains.len() - 1;
        1 + 2 * index as Code
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
        match code {
            0 => Entry::Settled,
            code if code & 1 == 0 => Entry::Inserted(&self.writers[(code / 2 - 1) as usize]),
            code => {
                Entry::Changed(self.chains[(code / 2) as usize].as_ref().expect("codes name live chains"))
            }
        }
    }

    #[inline]
    pub fn entry(&self, slot: usize) -> Entry<'_> {
        self.decode(self.code(slot))
    }

    /// When all slots have the same simple entry: that entry.
    pub fn uniform(&self) -> Option<Entry<'_>> {
        if self.slots.is_empty() && self.default & 1 == 0 { Some(self.decode(self.default)) } else { None }
    }

    /// A slot was inserted before `slot` of a page that then had `count` slots.
    pub fn insert(&mut self, slot: usize, count: usize, writer: &Writer) {
        let code = self.intern(writer);
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
        let older = match code {
            0 => None,
            code if code & 1 == 0 => {
                let writer = self.writers[(code / 2 - 1) as usize].clone();
                Some(Box::new(Version { writer, before: Before::Absent, older: None }))
            }
            code => self.chains[(code / 2) as usize].take().map(Box::new),
        };
        let version = Version { writer, before, older };
        self.slots[slot] = if code & 1 == 1 {
            self.chains[(code / 2) as usize] = Some(version);
            code
        } else {
            self.add_chain(version)
        };
    }

    /// Replaces what the newest write of `slot` found.
    pub fn set_before(&mut self, slot: usize, before: Before) {
        let code = self.code(slot);
        if code & 1 == 1
            && let Some(version) = &mut self.chains[(code / 2) as usize]
        {
            version.before = before;
        }
    }

    /// Forgets the newest write of `slot`: it was undone.
    pub fn pop(&mut self, slot: usize, count: usize) {
        self.spell_out(count);
        let Some(code) = self.slots.get(slot).copied() else { return };
        self.slots[slot] = if code & 1 == 1 {
            match self.chains[(code / 2) as usize].take().and_then(|mut version| version.older.take()) {
                Some(older) => {
                    self.chains[(code / 2) as usize] = Some(*older);
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
        if code & 1 == 1 {
            self.chains[(code / 2) as usize] = None;
        }
    }

    /// Takes the entries from `at` on for the page's new right neighbour.
    pub fn split_off(&mut self, at: usize) -> PageVersions {
        let mut right = PageVersions { has_deletes: self.has_deletes, ..PageVersions::default() };
        if self.slots.is_empty() {
            if self.default != 0 {
                let writer = self.writers[(self.default / 2 - 1) as usize].clone();
                right.default = right.intern(&writer);
            }
            return right;
        }
        for code in self.slots.split_off(at.min(self.slots.len())) {
            let moved = match code {
                0 => 0,
                code if code & 1 == 0 => {
                    let writer = self.writers[(code / 2 - 1) as usize].clone();
                    right.intern(&writer)
                }
                code => match self.chains[(code / 2) as usize].take() {
                    Some(version) => right.add_chain(version),
                    None => 0,
                },
            };
            right.slots.push(moved);
        }
        right
    }

    /// Drops what every snapshot from `horizon` on agrees on. Returns the slots whose newest write is
    /// settled by that (a tombstone among them can be removed from the page).
    pub fn prune(&mut self, horizon: u64, mut settled: impl FnMut(usize)) {
        if self.slots.is_empty() {
            // Uniform pages have no tombstones to report: an insert is all that happened.
            if self.default != 0 && self.writers[(self.default / 2 - 1) as usize].tx.committed_by(horizon) {
                self.default = 0;
            }
        }
        for slot in 0..self.slots.len() {
            let code = self.slots[slot];
            if code == 0 {
                settled(slot);
            } else if code & 1 == 0 {
                if self.writers[(code / 2 - 1) as usize].tx.committed_by(horizon) {
                    self.slots[slot] = 0;
                    settled(slot);
                }
            } else if let Some(version) = &mut self.chains[(code / 2) as usize] {
                if version.writer.tx.committed_by(horizon) {
                    self.chains[(code / 2) as usize] = None;
                    self.slots[slot] = 0;
                    settled(slot);
                } else {
                    let mut at = version;
                    while let Some(older) = &at.older {
                        if older.writer.tx.committed_by(horizon) {
                            at.older = None;
                            break;
                        }
                        at = at.older.as_mut().expect("looked at just now");
                    }
                }
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
        let chains = self.slots.iter().filter(|code| **code & 1 == 1).count();
        let inserts = self.slots.iter().filter(|code| **code != 0).count() - chains;
        if self.chains.len() <= 2 * chains + 8 && self.writers.len() <= 2 * inserts + 8 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
        table.prune(10, |_| ());
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
            table.prune(id, |_| ());
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
        table.prune(7, |slot| assert_ne!(slot, 3));
        match table.entry(3) {
            Entry::Changed(version) => assert!(version.older.is_none()),
            other => panic!("{other:?}"),
        }
        two.tx.set_committed(8);
        let mut settled = Vec::new();
        table.prune(8, |slot| settled.push(slot));
        assert_eq!(settled, vec![0, 1, 2, 3, 4]);
        assert!(table.is_empty());
    }
}
