//! The log's records, as bytes and back.
//!
//! Written by whoever changes a page, read by recovery, by rollback and by readers of old versions. A
//! record is a 12-byte frame (`writer.rs`) and this body: a kind, then fields, numbers as LEB128.
//! Every record that belongs to a transaction names that transaction's record before it, so that undo can
//! walk back. Byte tables: docs/storage-format.md.

use types::{Error, Result};

use crate::page::PageId;
use crate::wal::Lsn;

const ROW: u8 = 1;
const SMO: u8 = 2;
const COMMIT: u8 = 3;
const END: u8 = 4;
const CHECKPOINT: u8 = 5;

/// A record is a tombstone: its key is there, its row is not.
pub const GHOST: u8 = 1;
/// The record's bytes are a pointer to chunks in the tree's overflow tree.
pub const OVERFLOW: u8 = 2;
/// The record's bytes, or those of its chunks, are compressed (`overflow.rs`).
pub const COMPRESSED: u8 = 4;

/// A change to one record of a leaf. Undo goes by key, for the record may have moved to another page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowOp<'a> {
    Insert {
        key: &'a [u8],
        record: &'a [u8],
        flags: u8,
    },
    /// Sets the tombstone flag; the record's bytes stay.
    Ghost {
        key: &'a [u8],
    },
    Replace {
        key: &'a [u8],
        change: RowChange<'a>,
    },
    /// Only as compensation.
    Unghost {
        key: &'a [u8],
    },
    /// Only as compensation.
    Remove {
        key: &'a [u8],
    },
}

/// How record bytes changed: the first `prefix` and last `suffix` bytes stayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowChange<'a> {
    pub old_flags: u8,
    pub new_flags: u8,
    pub prefix: u32,
    pub suffix: u32,
    pub old: &'a [u8],
    pub new: &'a [u8],
}

impl<'a> RowChange<'a> {
    pub fn between(old: &'a [u8], old_flags: u8, new: &'a [u8], new_flags: u8) -> RowChange<'a> {
        let most = old.len().min(new.len());
        let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
        let suffix =
            old.iter().rev().zip(new.iter().rev()).take(most - prefix).take_while(|(a, b)| a == b).count();
        RowChange {
            old_flags,
            new_flags,
            prefix: prefix as u32,
            suffix: suffix as u32,
            old: &old[prefix..old.len() - suffix],
            new: &new[prefix..new.len() - suffix],
        }
    }

    /// The change that takes this one back.
    pub fn reversed(&self) -> RowChange<'a> {
        RowChange {
            old_flags: self.new_flags,
            new_flags: self.old_flags,
            prefix: self.prefix,
            suffix: self.suffix,
            old: self.new,
            new: self.old,
        }
    }

    /// `middle` between the unchanged ends of `current`; `None` when the ends do not fit.
    pub fn splice(current: &[u8], prefix: u32, suffix: u32, middle: &[u8]) -> Option<Vec<u8>> {
        let head = current.get(..prefix as usize)?;
        let tail = current.get(current.len().checked_sub(suffix as usize)?..)?;
        if head.len() + tail.len() > current.len() {
            return None;
        }
        Some([head, middle, tail].concat())
    }
}

impl<'a> RowOp<'a> {
    pub fn key(&self) -> &'a [u8] {
        match self {
            RowOp::Insert { key, .. }
            | RowOp::Ghost { key }
            | RowOp::Replace { key, .. }
            | RowOp::Unghost { key }
            | RowOp::Remove { key } => key,
        }
    }
}

/// A change to one page within a structure modification; never undone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageOp<'a> {
    /// Marks pages of a bitmap page's group allocated or free.
    Allocate { first: u32, allocated: bool },
    /// The whole page: its bytes up to the hole and after it.
    Image { head: &'a [u8], tail: &'a [u8] },
    /// Keeps the slots before `at` and makes `upper` the upper fence.
    Truncate { at: u16, upper: &'a [u8] },
    /// Adds a child to an inner node.
    AddChild { key: &'a [u8], child: PageId },
    /// Takes a child out of an inner node; the one before it (or, for the first, after it) gets its range.
    RemoveChild { slot: u16 },
    /// Removes tombstones; ascending slot numbers.
    Purge { slots: Vec<u16> },
    /// Widens a leaf's range.
    Fences { lower: &'a [u8], upper: Option<&'a [u8]> },
    /// The page is free now.
    Free,
    /// Takes all children from an inner node, which becomes an empty leaf.
    Clear,
}

/// A transaction that was writing at a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenTransaction {
    pub id: u64,
    pub first: Lsn,
    pub last: Lsn,
}

/// What a checkpoint knows; redo begins at `redo`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckpointData {
    pub redo: Lsn,
    pub next_transaction: u64,
    pub next_tree: u64,
    pub next_chunk: u64,
    pub bitmap_groups: u64,
    pub open: Vec<OpenTransaction>,
    /// Tree, pages, records.
    pub trees: Vec<(u64, u64, u64)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    Row {
        transaction: u64,
        previous: Lsn,
        /// For a compensation: the next record to undo.
        undo_next: Option<Lsn>,
        tree: u64,
        page: PageId,
        op: RowOp<'a>,
    },
    /// All of it or nothing: splits, page removals, allocations.
    Smo {
        tree: u64,
        parts: Vec<(PageId, PageOp<'a>)>,
    },
    Commit {
        transaction: u64,
        previous: Lsn,
    },
    /// The transaction is completely undone.
    End {
        transaction: u64,
    },
    Checkpoint(CheckpointData),
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

impl<'a> Record<'a> {
    /// Appends the body to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Record::Row { transaction, previous, undo_next, tree, page, op } => {
                let kind = match op {
                    RowOp::Insert { .. } => 0u8,
                    RowOp::Ghost { .. } => 1,
                    RowOp::Replace { .. } => 2,
                    RowOp::Unghost { .. } => 3,
                    RowOp::Remove { .. } => 4,
                };
                let compensation = if undo_next.is_some() { 8 } else { 0 };
                out.push(ROW << 4 | compensation | kind);
                put(out, *transaction);
                put(out, previous.0);
                if let Some(next) = undo_next {
                    put(out, next.0);
                }
                put(out, *tree);
                put(out, page.0);
                put_bytes(out, op.key());
                match op {
                    RowOp::Insert { record, flags, .. } => {
                        out.push(*flags);
                        put_bytes(out, record);
                    }
                    RowOp::Replace { change, .. } => {
                        out.push(change.old_flags << 4 | change.new_flags);
                        put(out, change.prefix.into());
                        put(out, change.suffix.into());
                        put_bytes(out, change.old);
                        put_bytes(out, change.new);
                    }
                    _ => {}
                }
            }
            Record::Smo { tree, parts } => {
                out.push(SMO << 4);
                put(out, *tree);
                put(out, parts.len() as u64);
                for (page, op) in parts {
                    put(out, page.0);
                    op.encode(out);
                }
            }
            Record::Commit { transaction, previous } => {
                out.push(COMMIT << 4);
                put(out, *transaction);
                put(out, previous.0);
            }
            Record::End { transaction } => {
                out.push(END << 4);
                put(out, *transaction);
            }
            Record::Checkpoint(data) => {
                out.push(CHECKPOINT << 4);
                for value in
                    [data.redo.0, data.next_transaction, data.next_tree, data.next_chunk, data.bitmap_groups]
                {
                    put(out, value);
                }
                put(out, data.open.len() as u64);
                for open in &data.open {
                    put(out, open.id);
                    put(out, open.first.0);
                    put(out, open.last.0);
                }
                put(out, data.trees.len() as u64);
                for (tree, pages, records) in &data.trees {
                    put(out, *tree);
                    put(out, *pages);
                    put(out, *records);
                }
            }
        }
    }

    /// Reads a body back. XX001 when it makes no sense (its checksum was right, so a bug wrote it).
    pub fn decode(body: &'a [u8]) -> Result<Record<'a>> {
        let mut fields = Fields { rest: body };
        fields
            .record()
            .filter(|_| fields.rest.is_empty())
            .ok_or_else(|| Error::corrupted("log record with a valid checksum cannot be decoded"))
    }
}

impl<'a> PageOp<'a> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            PageOp::Allocate { first, allocated } => {
                out.push(if *allocated { 1 } else { 2 });
                put(out, (*first).into());
            }
            PageOp::Image { head, tail } => {
                out.push(3);
                put_bytes(out, head);
                put_bytes(out, tail);
            }
            PageOp::Truncate { at, upper } => {
                out.push(4);
                put(out, (*at).into());
                put_bytes(out, upper);
            }
            PageOp::AddChild { key, child } => {
                out.push(5);
                put_bytes(out, key);
                put(out, child.0);
            }
            PageOp::RemoveChild { slot } => {
                out.push(6);
                put(out, (*slot).into());
            }
            PageOp::Purge { slots } => {
                out.push(7);
                put(out, slots.len() as u64);
                let mut before = 0;
                for slot in slots {
                    put(out, (slot - before).into());
                    before = *slot;
                }
            }
            PageOp::Fences { lower, upper } => {
                out.push(if upper.is_some() { 8 } else { 9 });
                put_bytes(out, lower);
                if let Some(upper) = upper {
                    put_bytes(out, upper);
                }
            }
            PageOp::Free => out.push(10),
            PageOp::Clear => out.push(11),
        }
    }
}

struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    fn short(&mut self) -> Option<u16> {
        u16::try_from(self.number()?).ok()
    }

    fn word(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn record(&mut self) -> Option<Record<'a>> {
        let kind = self.byte()?;
        match kind >> 4 {
            ROW => {
                let transaction = self.number()?;
                let previous = Lsn(self.number()?);
                let undo_next = if kind & 8 != 0 { Some(Lsn(self.number()?)) } else { None };
                let tree = self.number()?;
                let page = PageId(self.number()?);
                let key = self.bytes()?;
                let op = match kind & 7 {
                    0 => {
                        let flags = self.byte()?;
                        RowOp::Insert { key, flags, record: self.bytes()? }
                    }
                    1 => RowOp::Ghost { key },
                    2 => {
                        let flags = self.byte()?;
                        let (prefix, suffix) = (self.word()?, self.word()?);
                        let (old, new) = (self.bytes()?, self.bytes()?);
                        let (old_flags, new_flags) = (flags >> 4, flags & 15);
                        RowOp::Replace {
                            key,
                            change: RowChange { old_flags, new_flags, prefix, suffix, old, new },
                        }
                    }
                    3 => RowOp::Unghost { key },
                    4 => RowOp::Remove { key },
                    _ => return None,
                };
                Some(Record::Row { transaction, previous, undo_next, tree, page, op })
            }
            SMO => {
                let tree = self.number()?;
                let n = self.number()?;
                let mut parts = Vec::new();
                for _ in 0..n {
                    parts.push((PageId(self.number()?), self.page_op()?));
                }
                Some(Record::Smo { tree, parts })
            }
            COMMIT => Some(Record::Commit { transaction: self.number()?, previous: Lsn(self.number()?) }),
            END => Some(Record::End { transaction: self.number()? }),
            CHECKPOINT => {
                let mut data = CheckpointData {
                    redo: Lsn(self.number()?),
                    next_transaction: self.number()?,
                    next_tree: self.number()?,
                    next_chunk: self.number()?,
                    bitmap_groups: self.number()?,
                    ..CheckpointData::default()
                };
                for _ in 0..self.number()? {
                    let (id, first, last) = (self.number()?, Lsn(self.number()?), Lsn(self.number()?));
                    data.open.push(OpenTransaction { id, first, last });
                }
                for _ in 0..self.number()? {
                    data.trees.push((self.number()?, self.number()?, self.number()?));
                }
                Some(Record::Checkpoint(data))
            }
            _ => None,
        }
    }

    fn page_op(&mut self) -> Option<PageOp<'a>> {
        Some(match self.byte()? {
            1 => PageOp::Allocate { first: self.word()?, allocated: true },
            2 => PageOp::Allocate { first: self.word()?, allocated: false },
            3 => PageOp::Image { head: self.bytes()?, tail: self.bytes()? },
            4 => PageOp::Truncate { at: self.short()?, upper: self.bytes()? },
            5 => PageOp::AddChild { key: self.bytes()?, child: PageId(self.number()?) },
            6 => PageOp::RemoveChild { slot: self.short()? },
            7 => {
                let n = self.number()?;
                let mut slots = Vec::new();
                let mut before = 0u16;
                for _ in 0..n {
                    before = before.checked_add(self.short()?)?;
                    slots.push(before);
                }
                PageOp::Purge { slots }
            }
            8 => PageOp::Fences { lower: self.bytes()?, upper: Some(self.bytes()?) },
            9 => PageOp::Fences { lower: self.bytes()?, upper: None },
            10 => PageOp::Free,
            11 => PageOp::Clear,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(record: &Record<'_>) -> usize {
        let mut body = Vec::new();
        record.encode(&mut body);
        assert_eq!(Record::decode(&body).unwrap(), *record);
        for cut in 0..body.len() {
            assert!(Record::decode(&body[..cut]).is_err());
        }
        body.len()
    }

    #[test]
    fn records_survive_the_round_trip_and_truncation_is_noticed() {
        let row = |op| Record::Row {
            transaction: 100_000,
            previous: Lsn(1 << 35),
            undo_next: None,
            tree: 100,
            page: PageId(70_000),
            op,
        };
        let size = round_trip(&row(RowOp::Insert { key: &[7; 8], record: &[1; 100], flags: 0 }));
        assert!(size + 12 - 108 <= 32, "an insert costs {} bytes beyond its data", size + 12 - 108);
        round_trip(&row(RowOp::Ghost { key: b"k" }));
        let change = RowChange::between(b"one two three", 0, b"one 2 three", OVERFLOW);
        assert_eq!((change.prefix, change.suffix, change.old, change.new), (4, 6, &b"two"[..], &b"2"[..]));
        assert_eq!(
            RowChange::splice(b"one 2 three", change.prefix, change.suffix, change.old).unwrap(),
            b"one two three"
        );
        round_trip(&row(RowOp::Replace { key: b"k", change }));
        round_trip(&Record::Row {
            transaction: 1,
            previous: Lsn(5),
            undo_next: Some(Lsn(3)),
            tree: 2,
            page: PageId(1),
            op: RowOp::Remove { key: b"" },
        });
        round_trip(&Record::Smo {
            tree: 9,
            parts: vec![
                (PageId(0), PageOp::Allocate { first: 3, allocated: true }),
                (PageId(3), PageOp::Image { head: b"abc", tail: b"z" }),
                (PageId(4), PageOp::Truncate { at: 3, upper: b"m" }),
                (PageId(5), PageOp::AddChild { key: b"m", child: PageId(3) }),
                (PageId(5), PageOp::RemoveChild { slot: 1 }),
                (PageId(6), PageOp::Purge { slots: vec![1, 2, 9] }),
                (PageId(6), PageOp::Fences { lower: b"", upper: None }),
                (PageId(6), PageOp::Free),
                (PageId(6), PageOp::Clear),
            ],
        });
        round_trip(&Record::Checkpoint(CheckpointData {
            redo: Lsn(9),
            open: vec![OpenTransaction { id: 1, first: Lsn(2), last: Lsn(3) }],
            trees: vec![(1, 2, 3)],
            ..CheckpointData::default()
        }));
    }

    #[test]
    fn a_change_of_overlapping_ends_is_still_exact() {
        for (old, new) in [("aaaa", "aa"), ("aa", "aaaa"), ("", "x"), ("x", ""), ("same", "same")] {
            let change = RowChange::between(old.as_bytes(), 0, new.as_bytes(), 0);
            let forward =
                RowChange::splice(old.as_bytes(), change.prefix, change.suffix, change.new).unwrap();
            assert_eq!(forward, new.as_bytes());
            let back = RowChange::splice(new.as_bytes(), change.prefix, change.suffix, change.old).unwrap();
            assert_eq!(back, old.as_bytes());
        }
    }
}
