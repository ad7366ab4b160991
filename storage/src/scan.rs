//! Ordered reads of a key range.
//!
//! A [`Scan`] remembers where it stands by key, holds no latch between calls, and stays right while
//! others split pages or change rows: it returns exactly what its snapshot sees. The executor implements
//! [`RecordSink`] and decodes records straight from page bytes.

use std::ops::Bound;
use std::sync::Arc;

use types::{Result, SqlState};

use crate::btree::node::Node;
use crate::btree::{ReadAhead, Tree};
use crate::buffer::{Access, ReadGuard};
use crate::engine::Engine;
use crate::mvcc::Snapshot;
use crate::mvcc::visibility::{Sight, sight};
use crate::store::Store;
use crate::undo::version::Entry;
use crate::wait;
use crate::wal::record::{COMPRESSED, GHOST, OVERFLOW};

/// The order of a scan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Forward,
    Backward,
}

/// Keys from `lower` to `upper`, in memcmp order.
#[derive(Clone, Debug)]
pub struct KeyRange {
    pub lower: Bound<Vec<u8>>,
    pub upper: Bound<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange { lower: Bound::Unbounded, upper: Bound::Unbounded }
    }

    pub fn new(lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> KeyRange {
        KeyRange { lower, upper }
    }

    /// Exactly `key`.
    pub fn point(key: &[u8]) -> KeyRange {
        KeyRange { lower: Bound::Included(key.to_vec()), upper: Bound::Included(key.to_vec()) }
    }

    /// Every key that begins with `prefix`.
    pub fn prefix(prefix: &[u8]) -> KeyRange {
        KeyRange { lower: Bound::Included(prefix.to_vec()), upper: after_prefix(prefix) }
    }
}

/// The upper bound of the keys that begin with `prefix`; unbounded when it is empty or all 0xff.
pub fn after_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// Takes the records of a scan, one call each.
///
/// It runs under the page's latch: it must not call the store or wait, and should only copy or decode.
pub trait RecordSink {
    /// Set to false when `key` is not looked at; it is then passed empty, and the scan is cheaper.
    const NEEDS_KEY: bool = true;

    /// One visible record. Returns false to stop after it (the batch is full); the next `fill` goes on
    /// behind it. An error ends the fill and is returned by it.
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool>;
}

/// An open scan. Independent of the transaction's later statements: it keeps its own snapshot (so it
/// must not outlive the transaction's end by much: it holds back the removal of old versions).
pub struct Scan {
    store: Arc<Store>,
    id: u64,
    /// `None` for a tree that nobody has written to yet.
    tree: Option<Arc<Tree>>,
    snapshot: Snapshot,
    direction: Direction,
    /// What is still to come.
    range: KeyRange,
    done: bool,
    key: Vec<u8>,
    long: Vec<u8>,
    ahead: ReadAhead,
}

/// What a page has given.
enum Page {
    /// The sink has enough; the scan goes on behind the key in `Scan::key`.
    Full,
    /// The record of the key in `Scan::key` is in chunks: this is its pointer, and these are its flags. They are
    /// fetched with no latch held, for that may take long.
    Chunks(Vec<u8>, u8),
    /// All of it; the next page begins (or, backward, ends) at this fence.
    Next(Vec<u8>),
    /// The range is exhausted.
    End,
}

impl Scan {
    pub(crate) fn new(
        store: Arc<Store>,
        id: u64,
        tree: Option<Arc<Tree>>,
        snapshot: Snapshot,
        range: KeyRange,
        direction: Direction,
    ) -> Scan {
        let done = tree.is_none();
        Scan {
            store,
            id,
            tree,
            snapshot,
            direction,
            range,
            done,
            key: Vec::new(),
            long: Vec::new(),
            ahead: ReadAhead::default(),
        }
    }

    /// Passes records to `sink` until it returns false or the range ends. Returns false when the range
    /// is exhausted.
    ///
    /// 57014 when the waiter says so (asked once a page); XX001 on damaged pages; what the sink returns.
    pub fn fill<S: RecordSink>(&mut self, sink: &mut S) -> Result<bool> {
        let id = self.id;
        // What the sink cannot decode is damaged, too.
        self.fill_tracked(sink).map_err(|error| match error.code() {
            SqlState::DATA_CORRUPTED => error.in_tree(id),
            _ => error,
        })
    }

    fn fill_tracked<S: RecordSink>(&mut self, sink: &mut S) -> Result<bool> {
        let Some(tracked) = self.snapshot.tracked().cloned() else { return self.walk(sink) };
        let mut walked = self.range.clone();
        let more = self.walk(sink);
        // At the end, and after an error, which tells something too, all of it counts as read.
        if matches!(more, Ok(true)) {
            let key = |bound: &Bound<Vec<u8>>| match bound {
                Bound::Excluded(key) => Bound::Included(key.clone()),
                other => other.clone(),
            };
            match self.direction {
                Direction::Forward => walked.upper = key(&self.range.lower),
                Direction::Backward => walked.lower = key(&self.range.upper),
            }
        }
        tracked.read_range(self.id, &walked);
        more
    }

    fn walk<S: RecordSink>(&mut self, sink: &mut S) -> Result<bool> {
        let Some(tree) = self.tree.clone() else { return Ok(false) };
        while !self.done {
            wait::check_interrupt()?;
            let mut page = match self.direction {
                Direction::Forward => self.forward(&tree, sink)?,
                Direction::Backward => self.backward(&tree, sink)?,
            };
            if let Page::Chunks(pointer, flags) = &page {
                let engine = self.store.engine();
                engine.fetch_record(&tree, (pointer, *flags), &mut self.long, false)?;
                let more = sink.record(&self.key, &self.long)?;
                self.long.clear();
                self.long.shrink_to(LONG_KEPT);
                if !more {
                    page = Page::Full;
                }
            }
            let (position, full) = match page {
                Page::End => {
                    self.done = true;
                    break;
                }
                Page::Full => (Bound::Excluded(std::mem::take(&mut self.key)), true),
                Page::Chunks(..) => (Bound::Excluded(std::mem::take(&mut self.key)), false),
                Page::Next(fence) if self.direction == Direction::Forward => (Bound::Included(fence), false),
                Page::Next(fence) => (Bound::Excluded(fence), false),
            };
            match self.direction {
                Direction::Forward => self.range.lower = position,
                Direction::Backward => self.range.upper = position,
            }
            if full {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn forward<S: RecordSink>(&mut self, tree: &Tree, sink: &mut S) -> Result<Page> {
        let engine = self.store.engine();
        let start: &[u8] = match &self.range.lower {
            Bound::Unbounded => &[],
            Bound::Included(key) | Bound::Excluded(key) => key,
        };
        let leaf = tree.leaf_read_ahead(&engine.pager, start, &mut self.ahead)?;
        let node = Node::new(leaf.page());
        let from = match (&self.range.lower, node.search(start)) {
            (Bound::Excluded(_), Ok(at)) => at + 1,
            (_, Ok(at) | Err(at)) => at,
        };
        let inside = node.upper().is_some_and(|fence| match &self.range.upper {
            Bound::Unbounded => true,
            Bound::Included(upper) | Bound::Excluded(upper) => fence <= upper.as_slice(),
        });
        let (to, last) = if inside {
            (node.count(), false)
        } else {
            match &self.range.upper {
                Bound::Unbounded => (node.count(), true),
                Bound::Included(upper) if !node.covers(upper) && upper.as_slice() < node.lower() => (0, true),
                Bound::Excluded(upper) if !node.covers(upper) && upper.as_slice() < node.lower() => (0, true),
                Bound::Included(upper) => (node.search(upper).map_or_else(|at| at, |at| at + 1), true),
                Bound::Excluded(upper) => (node.search(upper).unwrap_or_else(|at| at), true),
            }
        };
        let mut reader = Reader {
            engine,
            tree,
            snapshot: &self.snapshot,
            leaf: &leaf,
            key: &mut self.key,
            long: &mut self.long,
        };
        match reader.visit(from..to.max(from), sink)? {
            Visit::All => {}
            Visit::Full => return Ok(Page::Full),
            Visit::Chunks(pointer, flags) => return Ok(Page::Chunks(pointer, flags)),
        }
        match node.upper() {
            Some(fence) if !last => Ok(Page::Next(fence.to_vec())),
            _ => Ok(Page::End),
        }
    }

    fn backward<S: RecordSink>(&mut self, tree: &Tree, sink: &mut S) -> Result<Page> {
        let engine = self.store.engine();
        let leaf = match &self.range.upper {
            Bound::Unbounded => tree.leaf_read_before(&engine.pager, None, Access::Scan)?,
            Bound::Included(key) => tree.leaf_read(&engine.pager, key, Access::Scan)?,
            Bound::Excluded(key) => tree.leaf_read_before(&engine.pager, Some(key), Access::Scan)?,
        };
        let node = Node::new(leaf.page());
        // The bound may lie at the fence, above every key of this leaf.
        let to = match &self.range.upper {
            Bound::Unbounded => node.count(),
            Bound::Excluded(key) if node.upper() == Some(key) => node.count(),
            Bound::Included(key) => node.search(key).map_or_else(|at| at, |at| at + 1),
            Bound::Excluded(key) => node.search(key).unwrap_or_else(|at| at),
        };
        let (from, last) = match &self.range.lower {
            Bound::Unbounded => (0, node.lower().is_empty()),
            Bound::Included(lower) | Bound::Excluded(lower) if lower.as_slice() < node.lower() => (0, false),
            Bound::Included(lower) if node.covers(lower) => {
                (node.search(lower).unwrap_or_else(|at| at), true)
            }
            Bound::Excluded(lower) if node.covers(lower) => {
                (node.search(lower).map_or_else(|at| at, |at| at + 1), true)
            }
            _ => (to, true),
        };
        let mut reader = Reader {
            engine,
            tree,
            snapshot: &self.snapshot,
            leaf: &leaf,
            key: &mut self.key,
            long: &mut self.long,
        };
        match reader.visit((from.min(to)..to).rev(), sink)? {
            Visit::All => {}
            Visit::Full => return Ok(Page::Full),
            Visit::Chunks(pointer, flags) => return Ok(Page::Chunks(pointer, flags)),
        }
        if last { Ok(Page::End) } else { Ok(Page::Next(node.lower().to_vec())) }
    }
}

/// How far a page's entries were visited.
enum Visit {
    All,
    /// The sink has enough; `key` is that of the last record passed.
    Full,
    /// `key` is that of a record in chunks, which has not been passed: its pointer and flags.
    Chunks(Vec<u8>, u8),
}

/// Memory for long records that a scan keeps from one to the next.
const LONG_KEPT: usize = 1 << 20;

/// Passes the visible versions of some entries of a leaf to a sink.
struct Reader<'a, 'p> {
    engine: &'a Engine,
    tree: &'a Tree,
    snapshot: &'a Snapshot,
    leaf: &'a ReadGuard<'p>,
    key: &'a mut Vec<u8>,
    long: &'a mut Vec<u8>,
}

impl Reader<'_, '_> {
    fn visit<S: RecordSink>(&mut self, slots: impl Iterator<Item = usize>, sink: &mut S) -> Result<Visit> {
        let node = Node::new(self.leaf.page());
        // One look at the page decides for all its records, most of the time.
        let settled = match self.leaf.versions() {
            None => true,
            Some(versions) => match versions.uniform() {
                Some(entry) if entry.newest().is_none_or(|writer| self.snapshot.sees(writer)) => true,
                Some(_) => return Ok(Visit::All),
                None => false,
            },
        };
        if !settled {
            return self.visit_versions(node, slots, sink);
        }
        let prefix = node.prefix();
        self.key.clear();
        self.key.extend_from_slice(prefix);
        for slot in slots {
            let (rest, record, flags) = node.entry(slot);
            let more = if flags == 0 {
                if S::NEEDS_KEY {
                    self.key.truncate(prefix.len());
                    self.key.extend_from_slice(rest);
                    sink.record(self.key, record)?
                } else {
                    sink.record(&[], record)?
                }
            } else if flags & GHOST != 0 {
                continue;
            } else {
                node.key_into(slot, self.key);
                if flags & OVERFLOW != 0 {
                    return Ok(Visit::Chunks(record.to_vec(), flags));
                }
                self.engine.fetch_record(self.tree, (record, flags), self.long, true)?;
                sink.record(self.key, self.long)?
            };
            if !more {
                node.key_into(slot, self.key);
                return Ok(Visit::Full);
            }
        }
        Ok(Visit::All)
    }

    fn visit_versions<S: RecordSink>(
        &mut self,
        node: Node<'_>,
        slots: impl Iterator<Item = usize>,
        sink: &mut S,
    ) -> Result<Visit> {
        for slot in slots {
            let (_, record, flags) = node.entry(slot);
            let entry = self.leaf.versions().map_or(Entry::Settled, |versions| versions.entry(slot));
            let past;
            let (record, flags) = match sight(entry, record, flags, self.snapshot, &self.engine.pager.log)? {
                Sight::Hidden => continue,
                Sight::Here => (record, flags),
                Sight::Past(bytes, flags) => {
                    past = bytes;
                    (past.as_slice(), flags)
                }
            };
            node.key_into(slot, self.key);
            if flags & OVERFLOW != 0 {
                return Ok(Visit::Chunks(record.to_vec(), flags));
            }
            let more = if flags & COMPRESSED != 0 {
                self.engine.fetch_record(self.tree, (record, flags), self.long, true)?;
                sink.record(self.key, self.long)?
            } else {
                sink.record(self.key, record)?
            };
            if !more {
                return Ok(Visit::Full);
            }
        }
        Ok(Visit::All)
    }
}

/// Passes the version of `key` that `snapshot` sees to `read`.
pub(crate) fn get<R>(
    engine: &Engine,
    tree: &Tree,
    snapshot: &Snapshot,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> R,
) -> Result<Option<R>> {
    snapshot.note_key(tree.id, key);
    let leaf = tree.leaf_read(&engine.pager, key, Access::Normal)?;
    let Ok(slot) = Node::new(leaf.page()).search(key) else { return Ok(None) };
    let (stored, flags) = match look(engine, snapshot, &leaf, slot)? {
        Look::Hidden => return Ok(None),
        Look::Record(record) => return Ok(Some(read(record))),
        Look::Stored(stored, flags) if flags & (OVERFLOW | COMPRESSED) == 0 => {
            return Ok(Some(read(&stored)));
        }
        Look::Stored(stored, flags) => (stored, flags),
    };
    drop(leaf);
    let mut long = Vec::new();
    // Whoever gets one record may hold latches of its own.
    engine.fetch_record(tree, (&stored, flags), &mut long, true)?;
    Ok(Some(read(&long)))
}

/// What a snapshot sees of an entry.
enum Look<'a> {
    Hidden,
    Record(&'a [u8]),
    /// Not the record itself, or not the newest one.
    Stored(Vec<u8>, u8),
}

fn look<'a>(engine: &Engine, snapshot: &Snapshot, leaf: &'a ReadGuard<'_>, slot: usize) -> Result<Look<'a>> {
    let (_, record, flags) = Node::new(leaf.page()).entry(slot);
    match leaf.versions() {
        None if flags & GHOST != 0 => return Ok(Look::Hidden),
        None => {}
        Some(versions) => match sight(versions.entry(slot), record, flags, snapshot, &engine.pager.log)? {
            Sight::Hidden => return Ok(Look::Hidden),
            Sight::Here => {}
            Sight::Past(bytes, flags) => return Ok(Look::Stored(bytes, flags)),
        },
    }
    if flags & (OVERFLOW | COMPRESSED) == 0 {
        return Ok(Look::Record(record));
    }
    Ok(Look::Stored(record.to_vec(), flags))
}

/// As `get` for each of `keys`; neighbours on one page share the descent.
pub(crate) fn multi_get<K: AsRef<[u8]>>(
    engine: &Engine,
    tree: &Tree,
    snapshot: &Snapshot,
    keys: &[K],
    mut read: impl FnMut(usize, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut held: Option<ReadGuard<'_>> = None;
    let mut long = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        let key = key.as_ref();
        snapshot.note_key(tree.id, key);
        let leaf = match held.take().filter(|leaf| Node::new(leaf.page()).covers(key)) {
            Some(leaf) => leaf,
            None => {
                wait::check_interrupt()?;
                tree.leaf_read(&engine.pager, key, Access::Normal)?
            }
        };
        if let Ok(slot) = Node::new(leaf.page()).search(key) {
            match look(engine, snapshot, &leaf, slot)? {
                Look::Hidden => {}
                Look::Record(record) => read(i, record)?,
                Look::Stored(stored, flags) if flags & (OVERFLOW | COMPRESSED) == 0 => read(i, &stored)?,
                Look::Stored(stored, flags) => {
                    drop(leaf);
                    engine.fetch_record(tree, (&stored, flags), &mut long, false)?;
                    read(i, &long)?;
                    continue;
                }
            }
        }
        held = Some(leaf);
    }
    Ok(())
}

/// Keys of the tree's inner nodes that cut `range` into pieces: those of the highest level that has
/// enough of them.
pub(crate) fn split_points(
    engine: &Engine,
    tree: &Tree,
    range: &KeyRange,
    parts: usize,
) -> Result<Vec<Vec<u8>>> {
    let inside = |key: &[u8]| {
        let above = match &range.lower {
            Bound::Unbounded => true,
            Bound::Included(lower) | Bound::Excluded(lower) => key > lower.as_slice(),
        };
        above
            && match &range.upper {
                Bound::Unbounded => true,
                Bound::Included(upper) | Bound::Excluded(upper) => key < upper.as_slice(),
            }
    };
    let mut level = vec![tree.root];
    let mut keys: Vec<Vec<u8>> = Vec::new();
    while keys.len() + 1 < parts {
        let (mut below, mut found) = (Vec::new(), Vec::new());
        for id in &level {
            let guard = tree.read(&engine.pager, *id, Access::Normal)?;
            let node = Node::new(guard.page());
            // A page that was split off or freed meanwhile costs some balance, nothing else.
            if crate::page::tree(guard.page()) != tree.id || node.is_leaf() {
                continue;
            }
            for i in 0..node.count() {
                let key = if i == 0 { node.lower().to_vec() } else { node.key(i) };
                let next = if i + 1 < node.count() { Some(node.key(i + 1)) } else { None };
                let overlaps = match (&range.lower, &next) {
                    (Bound::Included(lower) | Bound::Excluded(lower), Some(next)) => next > lower,
                    _ => true,
                } && match &range.upper {
                    Bound::Included(upper) | Bound::Excluded(upper) => key <= *upper,
                    Bound::Unbounded => true,
                };
                if overlaps {
                    below.push(node.child(i));
                }
                if inside(&key) {
                    found.push(key);
                }
            }
        }
        if below.is_empty() {
            break;
        }
        keys = found;
        level = below;
    }
    if keys.len() < parts {
        return Ok(keys);
    }
    let step = keys.len() as f64 / parts as f64;
    Ok((1..parts).map(|i| keys[(i as f64 * step) as usize].clone()).collect())
}
