//! A B+-tree node: sorted slots over a heap of entries, in one page.
//!
//! Called by the rest of `btree/` with the page's latch held. All keys of a node share the prefix of its
//! fences, which is stored once; a slot carries the first four bytes of the rest, so that a search rarely
//! leaves the slots. After Graefe's "Modern B-Tree Techniques" and Müller et al., SIGMOD 2025.
//!
//! ```text
//! header 64 │ slots, 10 bytes each ▶        free        ◀ heap: key rest + record, fences │
//! ```
//!
//! An inner node's entries are children: entry i leads to keys from its own key up to the next one's; the
//! first has an empty key and stands for the lower fence.

use std::cmp::Ordering;

use crate::page::{self, PAGE_SIZE, PageBytes, PageId, PageKind, put_u16, put_u32, u16_at, u32_at};
use crate::wal::record::GHOST;

pub const NODE_HEADER: usize = 64;
pub const SLOT: usize = 10;

const COUNT: usize = 32;
const HEAP: usize = 34;
const DEAD: usize = 36;
const PREFIX: usize = 38;
const LOWER_LEN: usize = 40;
const LOWER_AT: usize = 42;
const UPPER_LEN: usize = 44;
const UPPER_AT: usize = 46;
const LEVEL: usize = 48;
const HAS_UPPER: usize = 49;
const GHOSTS: usize = 50;

/// Record lengths fit in 13 bits; the flags lie above.
const LENGTH_MASK: u16 = (1 << 13) - 1;

/// Tombstone and pointer lie in bits 14 and 15, compressed in bit 13.
#[inline]
fn flags_of(length: u16) -> u8 {
    (length >> 14) as u8 | (length >> 11) as u8 & 4
}

#[inline]
fn flag_bits(flags: u8) -> u16 {
    u16::from(flags & 3) << 14 | u16::from(flags & 4) << 11
}

/// The first four bytes of a key's rest, so that integer order is byte order.
#[inline]
fn head_of(rest: &[u8]) -> u32 {
    match rest {
        [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
        _ => {
            let mut bytes = [0u8; 4];
            bytes[..rest.len()].copy_from_slice(rest);
            u32::from_be_bytes(bytes)
        }
    }
}

pub fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// A node to look at.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    page: &'a PageBytes,
}

#[derive(Clone, Copy)]
struct Slot {
    at: usize,
    key_len: usize,
    record_len: usize,
    flags: u8,
}

impl<'a> Node<'a> {
    #[inline]
    pub fn new(page: &'a PageBytes) -> Node<'a> {
        Node { page }
    }

    #[inline]
    pub fn count(&self) -> usize {
        u16_at(self.page, COUNT) as usize
    }

    /// 0 for a leaf.
    #[inline]
    pub fn level(&self) -> u8 {
        self.page[LEVEL]
    }

    #[inline]
    pub fn is_leaf(&self) -> bool {
        self.level() == 0
    }

    /// Tombstones among the entries.
    #[inline]
    pub fn ghosts(&self) -> usize {
        u16_at(self.page, GHOSTS) as usize
    }

    /// Every key is at least this.
    pub fn lower(&self) -> &'a [u8] {
        let at = u16_at(self.page, LOWER_AT) as usize;
        &self.page[at..at + u16_at(self.page, LOWER_LEN) as usize]
    }

    /// Every key is less than this.
    pub fn upper(&self) -> Option<&'a [u8]> {
        if self.page[HAS_UPPER] == 0 {
            return None;
        }
        let at = u16_at(self.page, UPPER_AT) as usize;
        Some(&self.page[at..at + u16_at(self.page, UPPER_LEN) as usize])
    }

    #[inline]
    fn prefix_len(&self) -> usize {
        u16_at(self.page, PREFIX) as usize
    }

    /// What all keys here begin with.
    #[inline]
    pub fn prefix(&self) -> &'a [u8] {
        let at = u16_at(self.page, LOWER_AT) as usize;
        &self.page[at..at + self.prefix_len()]
    }

    #[inline]
    fn slot(&self, i: usize) -> Slot {
        let at = NODE_HEADER + i * SLOT;
        let bytes = &self.page[at..at + SLOT];
        let record = u16::from_le_bytes([bytes[4], bytes[5]]);
        Slot {
            at: u16::from_le_bytes([bytes[0], bytes[1]]) as usize,
            key_len: u16::from_le_bytes([bytes[2], bytes[3]]) as usize,
            record_len: (record & LENGTH_MASK) as usize,
            flags: flags_of(record),
        }
    }

    #[inline]
    fn head(&self, i: usize) -> u32 {
        u32_at(self.page, NODE_HEADER + i * SLOT + 6)
    }

    /// The key of entry i without the prefix.
    #[inline]
    pub fn rest(&self, i: usize) -> &'a [u8] {
        let slot = self.slot(i);
        &self.page[slot.at..slot.at + slot.key_len]
    }

    #[inline]
    pub fn record(&self, i: usize) -> &'a [u8] {
        let slot = self.slot(i);
        let at = slot.at + slot.key_len;
        &self.page[at..at + slot.record_len]
    }

    /// Key rest, record and flags of entry i at once: the scan's way.
    #[inline]
    pub fn entry(&self, i: usize) -> (&'a [u8], &'a [u8], u8) {
        let slot = self.slot(i);
        let bytes = &self.page[slot.at..slot.at + slot.key_len + slot.record_len];
        let (rest, record) = bytes.split_at(slot.key_len);
        (rest, record, slot.flags)
    }

    #[inline]
    pub fn flags(&self, i: usize) -> u8 {
        self.slot(i).flags
    }

    #[inline]
    pub fn is_ghost(&self, i: usize) -> bool {
        self.flags(i) & GHOST != 0
    }

    /// Writes the whole key of entry i to `out`.
    #[inline]
    pub fn key_into(&self, i: usize, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(self.prefix());
        out.extend_from_slice(self.rest(i));
    }

    pub fn key(&self, i: usize) -> Vec<u8> {
        let mut key = Vec::new();
        self.key_into(i, &mut key);
        key
    }

    /// True when `key` belongs here.
    pub fn covers(&self, key: &[u8]) -> bool {
        key >= self.lower() && self.upper().is_none_or(|upper| key < upper)
    }

    /// The entry with `key` (which belongs here), or where it would be.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let rest = &key[self.prefix_len().min(key.len())..];
        let head = head_of(rest);
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            let order = match self.head(middle).cmp(&head) {
                Ordering::Equal => self.rest(middle).cmp(rest),
                other => other,
            };
            match order {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// The entry whose child covers `key`.
    #[inline]
    pub fn child_slot(&self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(i) => i,
            Err(i) => i.saturating_sub(1),
        }
    }

    /// The entry whose child covers the keys just below `key`.
    pub fn child_slot_before(&self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(i) | Err(i) => i.saturating_sub(1),
        }
    }

    #[inline]
    pub fn child(&self, i: usize) -> PageId {
        let record = self.record(i);
        let mut bytes = [0u8; 8];
        let n = record.len().min(8);
        bytes[..n].copy_from_slice(&record[..n]);
        PageId(u64::from_le_bytes(bytes))
    }

    /// Bytes for new entries, slots included, once the heap is compact.
    pub fn free_space(&self) -> usize {
        let heap = u16_at(self.page, HEAP) as usize;
        heap - (NODE_HEADER + self.count() * SLOT) + u16_at(self.page, DEAD) as usize
    }

    fn gap(&self) -> usize {
        u16_at(self.page, HEAP) as usize - (NODE_HEADER + self.count() * SLOT)
    }

    /// True when entry i can have a record of this length.
    pub fn can_replace(&self, i: usize, record_len: usize) -> bool {
        let slot = self.slot(i);
        record_len <= slot.record_len || record_len <= self.free_space() + slot.record_len
    }

    /// What an entry takes here.
    #[inline]
    pub fn entry_size(&self, key: &[u8], record_len: usize) -> usize {
        SLOT + key.len() - self.prefix_len().min(key.len()) + record_len
    }

    /// The bytes before and after the unused middle, for the log.
    pub fn image(&self) -> (&'a [u8], &'a [u8]) {
        let heap = u16_at(self.page, HEAP) as usize;
        (&self.page[..NODE_HEADER + self.count() * SLOT], &self.page[heap..])
    }
}

/// A node to change.
pub struct NodeMut<'a> {
    page: &'a mut PageBytes,
}

impl<'a> NodeMut<'a> {
    #[inline]
    pub fn new(page: &'a mut PageBytes) -> NodeMut<'a> {
        NodeMut { page }
    }

    #[inline]
    pub fn node(&self) -> Node<'_> {
        Node { page: self.page }
    }

    /// An empty node with these fences.
    pub fn format(
        page: &'a mut PageBytes,
        id: PageId,
        tree: u64,
        level: u8,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> NodeMut<'a> {
        page::format(page, id, PageKind::Node, tree);
        page[LEVEL] = level;
        let mut heap = PAGE_SIZE - lower.len();
        page[heap..].copy_from_slice(lower);
        put_u16(page, LOWER_LEN, lower.len() as u16);
        put_u16(page, LOWER_AT, heap as u16);
        if let Some(upper) = upper {
            heap -= upper.len();
            page[heap..heap + upper.len()].copy_from_slice(upper);
            put_u16(page, UPPER_LEN, upper.len() as u16);
            put_u16(page, UPPER_AT, heap as u16);
            page[HAS_UPPER] = 1;
            put_u16(page, PREFIX, common_prefix(lower, upper) as u16);
        }
        put_u16(page, HEAP, heap as u16);
        NodeMut { page }
    }

    fn count(&self) -> usize {
        self.node().count()
    }

    #[inline]
    fn put_slot(&mut self, i: usize, at: usize, rest_len: usize, record_len: usize, flags: u8) {
        let slot = NODE_HEADER + i * SLOT;
        put_u16(self.page, slot, at as u16);
        put_u16(self.page, slot + 2, rest_len as u16);
        put_u16(self.page, slot + 4, record_len as u16 | flag_bits(flags));
    }

    /// Inserts an entry before entry i; false (nothing done) when there is no room.
    #[inline]
    pub fn insert(&mut self, i: usize, key: &[u8], record: &[u8], flags: u8) -> bool {
        let rest = &key[self.node().prefix_len().min(key.len())..];
        self.insert_rest(i, rest, record, flags)
    }

    fn insert_rest(&mut self, i: usize, rest: &[u8], record: &[u8], flags: u8) -> bool {
        let size = rest.len() + record.len();
        if self.node().gap() < size + SLOT {
            if self.node().free_space() < size + SLOT {
                return false;
            }
            self.compact();
        }
        let count = self.count();
        let at = u16_at(self.page, HEAP) as usize - size;
        self.page[at..at + rest.len()].copy_from_slice(rest);
        self.page[at + rest.len()..at + size].copy_from_slice(record);
        put_u16(self.page, HEAP, at as u16);
        let from = NODE_HEADER + i * SLOT;
        self.page.copy_within(from..NODE_HEADER + count * SLOT, from + SLOT);
        self.put_slot(i, at, rest.len(), record.len(), flags);
        put_u32(self.page, from + 6, head_of(rest));
        put_u16(self.page, COUNT, count as u16 + 1);
        if flags & GHOST != 0 {
            self.add_ghosts(1);
        }
        true
    }

    fn add_ghosts(&mut self, n: i32) {
        let ghosts = self.node().ghosts() as i32 + n;
        put_u16(self.page, GHOSTS, ghosts as u16);
    }

    pub fn remove(&mut self, i: usize) {
        let count = self.count();
        let slot = self.node().slot(i);
        if slot.flags & GHOST != 0 {
            self.add_ghosts(-1);
        }
        let dead = u16_at(self.page, DEAD) as usize + slot.key_len + slot.record_len;
        put_u16(self.page, DEAD, dead as u16);
        let from = NODE_HEADER + i * SLOT;
        self.page.copy_within(from + SLOT..NODE_HEADER + count * SLOT, from);
        put_u16(self.page, COUNT, count as u16 - 1);
    }

    pub fn set_flags(&mut self, i: usize, flags: u8) {
        let slot = self.node().slot(i);
        self.add_ghosts(i32::from(flags & GHOST != 0) - i32::from(slot.flags & GHOST != 0));
        self.put_slot(i, slot.at, slot.key_len, slot.record_len, flags);
    }

    /// Replaces the record of entry i; false (nothing done) when there is no room.
    pub fn replace(&mut self, i: usize, record: &[u8], flags: u8) -> bool {
        let slot = self.node().slot(i);
        if record.len() <= slot.record_len {
            let at = slot.at + slot.key_len;
            self.page[at..at + record.len()].copy_from_slice(record);
            self.set_flags(i, flags);
            let dead = u16_at(self.page, DEAD) as usize + slot.record_len - record.len();
            put_u16(self.page, DEAD, dead as u16);
            self.put_slot(i, slot.at, slot.key_len, record.len(), flags);
            return true;
        }
        if !self.node().can_replace(i, record.len()) {
            return false;
        }
        let rest = self.node().rest(i).to_vec();
        self.remove(i);
        let inserted = self.insert_rest(i, &rest, record, flags);
        assert!(inserted, "room for a longer record was counted but is not there");
        true
    }

    /// Moves the entries together so that all free space is one gap.
    pub fn compact(&mut self) {
        let old = *self.page;
        let node = Node { page: &old };
        let mut heap = PAGE_SIZE;
        let put = |page: &mut PageBytes, heap: &mut usize, bytes: &[u8]| {
            *heap -= bytes.len();
            page[*heap..*heap + bytes.len()].copy_from_slice(bytes);
            *heap as u16
        };
        let at = put(self.page, &mut heap, node.lower());
        put_u16(self.page, LOWER_AT, at);
        if let Some(upper) = node.upper() {
            let at = put(self.page, &mut heap, upper);
            put_u16(self.page, UPPER_AT, at);
        }
        for i in 0..node.count() {
            let slot = node.slot(i);
            let at = put(self.page, &mut heap, &old[slot.at..slot.at + slot.key_len + slot.record_len]);
            put_u16(self.page, NODE_HEADER + i * SLOT, at);
        }
        put_u16(self.page, HEAP, heap as u16);
        put_u16(self.page, DEAD, 0);
    }

    /// Makes this node hold the entries `from..to` of `source`, under new fences. Returns false, leaving
    /// garbage here, when they do not fit.
    pub fn rebuild(
        &mut self,
        source: &PageBytes,
        from: usize,
        to: usize,
        lower: &[u8],
        upper: Option<&[u8]>,
    ) -> bool {
        let node = Node { page: source };
        let (id, tree, level, lsn) =
            (page::id(self.page), page::tree(source), node.level(), page::lsn(self.page));
        let mut fresh = NodeMut::format(self.page, id, tree, level, lower, upper);
        page::set_lsn(fresh.page, lsn);
        let prefix = fresh.node().prefix_len();
        let mut key = Vec::new();
        for i in from..to {
            let (_, record, flags) = node.entry(i);
            node.key_into(i, &mut key);
            // The first child of an inner node stands for the lower fence and needs no key.
            let rest = if level > 0 && i == from { &[][..] } else { key.get(prefix..).unwrap_or_default() };
            if !fresh.insert_rest(i - from, rest, record, flags) {
                return false;
            }
        }
        true
    }
}

/// The shortest key that is above `left` and not above `right`.
pub fn separator<'k>(left: &[u8], right: &'k [u8]) -> &'k [u8] {
    let common = common_prefix(left, right);
    &right[..(common + 1).min(right.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::zeroed;

    #[test]
    fn insert_search_replace_remove_like_a_sorted_list() {
        let mut page = zeroed();
        let mut node = NodeMut::format(&mut page, PageId(9), 1, 0, b"key", Some(b"keyz"));
        let mut model: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut rng = crate::disk::sim::Rng::new(5);
        for _ in 0..4000 {
            let key = format!("key{:03}", rng.below(300)).into_bytes();
            let record = vec![rng.below(256) as u8; rng.below(60) as usize];
            match node.node().search(&key) {
                Ok(i) => {
                    assert_eq!(model[i].0, key);
                    if rng.below(2) == 0 {
                        node.remove(i);
                        model.remove(i);
                    } else if node.replace(i, &record, 0) {
                        model[i].1 = record;
                    }
                }
                Err(i) => {
                    if node.insert(i, &key, &record, 0) {
                        model.insert(i, (key, record));
                    }
                }
            }
        }
        assert!(model.len() > 50);
        assert_eq!(node.node().count(), model.len());
        for (i, (key, record)) in model.iter().enumerate() {
            assert_eq!(&node.node().key(i), key);
            assert_eq!(node.node().record(i), record);
        }
        let copy = *node.page;
        let mut other = zeroed();
        page::format(&mut other, PageId(10), PageKind::Node, 1);
        assert!(NodeMut::new(&mut other).rebuild(&copy, 10, 20, &model[10].0, Some(&model[20].0)));
        assert_eq!(Node::new(&other).key(3), model[13].0);
    }

    #[test]
    fn separators_are_short_and_separate() {
        assert_eq!(separator(b"abcdef", b"abxyz"), b"abx");
        assert_eq!(separator(b"ab", b"abc"), b"abc");
        assert_eq!(separator(b"", b"q"), b"q");
    }
}
