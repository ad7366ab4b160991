//! Finds the leaf of a key.
//!
//! Called by `transaction.rs`, `scan.rs` and undo. Descents couple latches from parent to child, so a page
//! cannot be split away or freed under a reader. A tree's root page never changes. Leaves have no
//! sibling links: whoever leaves a leaf goes down again with its fence as the key.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use types::sqlstate::SqlState;
use types::{Error, Result};

use super::node::Node;
use crate::buffer::{Access, ReadGuard, WriteGuard};
use crate::page::{self, PageBytes, PageId, PageKind};
use crate::pager::Pager;

/// Longest key. Two fences and one entry of this size must fit in a page.
pub const KEY_MOST: usize = 3900;
/// Longest record kept in the leaf; longer ones go to the overflow tree.
pub const RECORD_INLINE_MOST: usize = 4000;

pub struct Tree {
    pub id: u64,
    pub root: PageId,
    pub records: AtomicI64,
    pub pages: AtomicI64,
    /// Its pages are being freed.
    pub dropped: AtomicBool,
    /// When what was loaded into it without versions was committed; zero when it was not, or before this start.
    pub loaded_at: AtomicU64,
}

/// How far a scan has had leaves fetched ahead of it.
#[derive(Default)]
pub struct ReadAhead {
    /// The child where the scan is.
    last: Option<PageId>,
    /// Leaves it has gone through.
    passed: usize,
    /// Leaves fetched that it has not reached yet.
    fetched: usize,
}

impl ReadAhead {
    /// Leaves fetched ahead at most, and the fewest worth asking for.
    const MOST: usize = 32;
    const LEAST: usize = 8;
    /// A short scan asks for nothing.
    const FROM: usize = 2;

    fn at(&mut self, node: Node<'_>, slot: usize, pager: &Pager) {
        let child = node.child(slot);
        if self.last.replace(child) == Some(child) {
            return;
        }
        self.passed += 1;
        self.fetched = self.fetched.saturating_sub(1);
        // Twice as many with each leaf, for who has read two leaves may not want thirty more.
        let most = Self::MOST.min(1 << self.passed.min(16));
        if self.passed <= Self::FROM || self.fetched + Self::LEAST > most {
            return;
        }
        let end = node.count().min(slot + 1 + most);
        let begin = (slot + 1 + self.fetched).min(end);
        pager.pool.prefetch((begin..end).map(|slot| node.child(slot)));
        // At the end of its parent the scan begins anew.
        self.fetched = end - slot - 1;
    }
}

impl Tree {
    pub fn new(id: u64, root: PageId) -> Tree {
        Tree {
            id,
            root,
            records: AtomicI64::new(0),
            pages: AtomicI64::new(1),
            dropped: AtomicBool::new(false),
            loaded_at: AtomicU64::new(0),
        }
    }

    fn gone(&self) -> Error {
        Error::new(SqlState::UNDEFINED_TABLE, format!("tree {} was dropped", self.id))
    }

    #[inline]
    pub(crate) fn read<'p>(&self, pager: &'p Pager, id: PageId, access: Access) -> Result<ReadGuard<'p>> {
        pager.pool.read(id, access).map_err(|error| error.in_tree(self.id))
    }

    #[inline]
    pub(super) fn write<'p>(&self, pager: &'p Pager, id: PageId) -> Result<WriteGuard<'p>> {
        pager.pool.write(id, Access::Normal).map_err(|error| error.in_tree(self.id))
    }

    pub(super) fn expect_mine(&self, page: &PageBytes, id: PageId) -> Result<()> {
        if page::kind(page) == PageKind::Node && page::tree(page) == self.id {
            return Ok(());
        }
        if self.dropped.load(Ordering::Acquire) {
            return Err(self.gone());
        }
        Err(Error::corrupted(format!(
            "page {id} (offset {}) of file \"{}\" does not belong to tree {}",
            id.offset(),
            crate::buffer::double_write::PAGE_FILE,
            self.id
        ))
        .in_tree(self.id))
    }

    /// XX001 unless the leaf is where the keys looked for belong: an old version of a page (a write that the
    /// disk lost) passes every check of its own, and would send a scan back to where it was.
    fn expect_covered(&self, covered: bool, id: PageId) -> Result<()> {
        if covered {
            return Ok(());
        }
        Err(Error::corrupted(format!(
            "page {id} (offset {}) of file \"{}\" does not fit its parent in tree {}",
            id.offset(),
            crate::buffer::double_write::PAGE_FILE,
            self.id
        ))
        .in_tree(self.id))
    }

    fn descend<'p>(
        &self,
        pager: &'p Pager,
        access: Access,
        mut pick: impl FnMut(Node<'_>) -> usize,
    ) -> Result<ReadGuard<'p>> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(self.gone());
        }
        let mut guard = self.read(pager, self.root, Access::Normal)?;
        loop {
            self.expect_mine(guard.page(), guard.id())?;
            let node = Node::new(guard.page());
            if node.is_leaf() {
                return Ok(guard);
            }
            let access = if node.level() == 1 { access } else { Access::Normal };
            let child = node.child(pick(node));
            guard = self.read(pager, child, access)?;
        }
    }

    /// The leaf that covers `key`, for a scan that goes on upwards: the leaves to come are fetched ahead.
    pub fn leaf_read_ahead<'p>(
        &self,
        pager: &'p Pager,
        key: &[u8],
        ahead: &mut ReadAhead,
    ) -> Result<ReadGuard<'p>> {
        let leaf = self.descend(pager, Access::Scan, |node| {
            let slot = node.child_slot(key);
            if node.level() == 1 {
                ahead.at(node, slot, pager);
            }
            slot
        })?;
        self.expect_covered(Node::new(leaf.page()).covers(key), leaf.id())?;
        Ok(leaf)
    }

    /// The leaf that covers `key`.
    #[inline]
    pub fn leaf_read<'p>(&self, pager: &'p Pager, key: &[u8], access: Access) -> Result<ReadGuard<'p>> {
        let leaf = self.descend(pager, access, |node| node.child_slot(key))?;
        self.expect_covered(Node::new(leaf.page()).covers(key), leaf.id())?;
        Ok(leaf)
    }

    /// The leaf that covers the keys just below `key`, or the last leaf.
    pub fn leaf_read_before<'p>(
        &self,
        pager: &'p Pager,
        key: Option<&[u8]>,
        access: Access,
    ) -> Result<ReadGuard<'p>> {
        let leaf = self.descend(pager, access, |node| match key {
            Some(key) => node.child_slot_before(key),
            None => node.count().saturating_sub(1),
        })?;
        let node = Node::new(leaf.page());
        let covered = match key {
            Some(key) => {
                (node.lower() < key || key.is_empty()) && node.upper().is_none_or(|upper| key <= upper)
            }
            None => node.upper().is_none(),
        };
        self.expect_covered(covered, leaf.id())?;
        Ok(leaf)
    }

    /// The leaf that covers `key`, to change it.
    pub fn leaf_write<'p>(&self, pager: &'p Pager, key: &[u8]) -> Result<WriteGuard<'p>> {
        if self.dropped.load(Ordering::Acquire) {
            return Err(self.gone());
        }
        loop {
            let mut guard = self.read(pager, self.root, Access::Normal)?;
            self.expect_mine(guard.page(), guard.id())?;
            if Node::new(guard.page()).is_leaf() {
                drop(guard);
                let guard = self.write(pager, self.root)?;
                self.expect_mine(guard.page(), guard.id())?;
                if Node::new(guard.page()).is_leaf() {
                    return Ok(guard);
                }
                continue;
            }
            loop {
                let node = Node::new(guard.page());
                let child = node.child(node.child_slot(key));
                if node.level() == 1 {
                    let leaf = self.write(pager, child)?;
                    self.expect_mine(leaf.page(), leaf.id())?;
                    self.expect_covered(Node::new(leaf.page()).covers(key), leaf.id())?;
                    return Ok(leaf);
                }
                guard = self.read(pager, child, Access::Normal)?;
                self.expect_mine(guard.page(), guard.id())?;
            }
        }
    }

    /// All nodes from the root to the leaf of `key`, to change them.
    pub(super) fn path_write<'p>(&self, pager: &'p Pager, key: &[u8]) -> Result<Vec<WriteGuard<'p>>> {
        self.path(pager, |node| node.child_slot(key))
    }

    /// All nodes from the root to the last leaf, to change them.
    pub(super) fn path_write_last<'p>(&self, pager: &'p Pager) -> Result<Vec<WriteGuard<'p>>> {
        self.path(pager, |node| node.count().saturating_sub(1))
    }

    fn path<'p>(&self, pager: &'p Pager, pick: impl Fn(Node<'_>) -> usize) -> Result<Vec<WriteGuard<'p>>> {
        let mut path = vec![self.write(pager, self.root)?];
        loop {
            let guard = path.last().expect("the path begins with the root");
            self.expect_mine(guard.page(), guard.id())?;
            let node = Node::new(guard.page());
            if node.is_leaf() {
                return Ok(path);
            }
            let child = node.child(pick(node));
            path.push(self.write(pager, child)?);
        }
    }
}

/// 54000 for a key that no page could hold.
pub fn check_key(key: &[u8]) -> Result<()> {
    if key.len() <= KEY_MOST {
        return Ok(());
    }
    Err(Error::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("index row size {} exceeds maximum {KEY_MOST}", key.len()),
    )
    .with_hint(
        "Values larger than 1/4 of a buffer page cannot be indexed.\nConsider a function index of an MD5 hash of the value, or use full text indexing.",
    ))
}
