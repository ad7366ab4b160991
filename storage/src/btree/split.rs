//! Restructures a tree: splits a full node, removes an empty leaf, frees a whole tree.
//!
//! Called by writers that found no room, by the sweeper, and after a drop. Each step is one structure
//! modification (`Pager::smo`) with the latches of all its pages held, from the root down: at every
//! moment, and after a crash at any moment, each key has exactly one way to it and each page one owner.
//!
//! ```text
//! parent [.. 40 ..]                 parent [.. 40 70 ..]
//!            │             ──▶                │  │
//!     [40 55 70 90]                     [40 55] [70 90]
//! ```
//!
//! An append at the end of a node leaves it full and begins an empty one (sequential loads fill pages);
//! otherwise a node is cut in the middle of its bytes.

use std::sync::atomic::Ordering;

use types::{Error, Result};

use super::node::{Node, NodeMut, separator};
use super::tree::Tree;
use crate::buffer::{Access, WriteGuard};
use crate::page::{self, PageBytes, PageId, PageKind};
use crate::pager::Pager;
use crate::undo::PageVersions;
use crate::undo::version::Entry;
use crate::wal::{PageOp, Room};

const FREE: Room = Room::Free { owes: 0 };

/// Where a node is cut, and both halves as they will be.
struct Cut {
    at: usize,
    separator: Vec<u8>,
    right: Box<PageBytes>,
    left: Box<PageBytes>,
}

impl Tree {
    /// Splits until `fits` says that the leaf of `key` has room. The caller holds no latch.
    pub fn make_room(
        &self,
        pager: &Pager,
        key: &[u8],
        room: Room,
        fits: impl Fn(Node<'_>) -> bool,
    ) -> Result<()> {
        loop {
            let mut path = self.path_write(pager, key)?;
            let mut level = path.len() - 1;
            if fits(Node::new(path[level].page())) {
                return Ok(());
            }
            loop {
                let cut = self.cut(path[level].page(), key)?;
                if level == 0 {
                    self.grow(pager, &mut path[0], cut, room)?;
                    break;
                }
                let parent = Node::new(path[level - 1].page());
                if parent.free_space() >= parent.entry_size(&cut.separator, 8) {
                    let (above, below) = path.split_at_mut(level);
                    self.split(pager, &mut above[level - 1], &mut below[0], cut, false, room)?;
                    break;
                }
                // The parent must be split first; then all begins anew from the root.
                level -= 1;
            }
        }
    }

    /// Fills the last leaf, which is empty, with the sorted `entries` and, unless they are the last,
    /// begins a new last leaf for the keys from `separator` on.
    pub fn append_leaf<'e>(
        &self,
        pager: &Pager,
        entries: impl Iterator<Item = (&'e [u8], &'e [u8], u8)>,
        next: Option<&[u8]>,
    ) -> Result<()> {
        let mut filled = page::zeroed();
        let mut pending = Some(entries);
        loop {
            let mut path = match next {
                Some(key) => self.path_write(pager, key)?,
                None => self.path_write_last(pager)?,
            };
            let mut level = path.len() - 1;
            let leaf = Node::new(path[level].page());
            if leaf.count() > 0 || leaf.upper().is_some() {
                return Err(Error::internal("a tree in bulk build has been written to"));
            }
            if let Some(entries) = pending.take() {
                let lower = leaf.lower();
                let mut node = NodeMut::format(&mut filled, path[level].id(), self.id, 0, lower, next);
                for (i, (key, record, flags)) in entries.enumerate() {
                    if !node.insert(i, key, record, flags) {
                        return Err(Error::internal("a bulk-built leaf is overfull"));
                    }
                }
            }
            let Some(separator) = next else {
                let guard = &mut path[level];
                let (head, tail) = Node::new(&filled).image();
                return pager.smo(self.id, &mut [guard], vec![(0, PageOp::Image { head, tail })], &[], FREE);
            };
            let mut right = page::zeroed();
            NodeMut::format(&mut right, PageId(0), self.id, 0, separator, None);
            let mut cut = Cut { at: 0, separator: separator.to_vec(), left: filled.clone(), right };
            loop {
                let is_leaf = level == path.len() - 1;
                if level == 0 {
                    self.grow(pager, &mut path[0], cut, FREE)?;
                    if is_leaf {
                        return Ok(());
                    }
                    break;
                }
                let parent = Node::new(path[level - 1].page());
                if parent.free_space() >= parent.entry_size(&cut.separator, 8) {
                    let (above, below) = path.split_at_mut(level);
                    self.split(pager, &mut above[level - 1], &mut below[0], cut, is_leaf, FREE)?;
                    if is_leaf {
                        return Ok(());
                    }
                    break;
                }
                level -= 1;
                cut = self.cut(path[level].page(), separator)?;
            }
        }
    }

    /// Decides where to cut; the page ids of the halves are filled in later.
    fn cut(&self, page: &PageBytes, key: &[u8]) -> Result<Cut> {
        let node = Node::new(page);
        let count = node.count();
        let at = if node.is_leaf() && count == 1 && node.search(key) == Err(0) {
            0
        } else if node.is_leaf() && node.search(key) == Err(count) {
            count
        } else if !node.is_leaf() && node.child_slot(key) + 1 == count {
            count - 1
        } else {
            let total: usize = (0..count).map(|i| node.rest(i).len() + node.record(i).len() + 10).sum();
            let mut sum = 0;
            let mut at = 0;
            while at < count && sum < total / 2 {
                sum += node.rest(at).len() + node.record(at).len() + 10;
                at += 1;
            }
            at.min(count - 1).max(1)
        };
        // A long new fence may push an entry over: then the cut moves, first to the left.
        let others = (1..at).rev().chain(at + 1..count);
        for at in [at].into_iter().chain(others) {
            let separator = if !node.is_leaf() {
                node.key(at)
            } else if at == count {
                separator(&node.key(at - 1), key).to_vec()
            } else if at == 0 {
                separator(key, &node.key(0)).to_vec()
            } else {
                separator(&node.key(at - 1), &node.key(at)).to_vec()
            };
            let (mut left, mut right) = (page::zeroed(), page::zeroed());
            let fits = NodeMut::new(&mut left).rebuild(page, 0, at, node.lower(), Some(&separator))
                && NodeMut::new(&mut right).rebuild(page, at, count, &separator, node.upper());
            if fits {
                return Ok(Cut { at, separator, left, right });
            }
        }
        Err(Error::internal(format!("a node of tree {} cannot be split", self.id)))
    }

    fn split<'p>(
        &self,
        pager: &'p Pager,
        parent: &mut WriteGuard<'p>,
        node: &mut WriteGuard<'p>,
        mut cut: Cut,
        left_is_new: bool,
        room: Room,
    ) -> Result<()> {
        let id = pager.reserve(room)?;
        let mut fresh = pager.pool.create(id).inspect_err(|_| pager.space.release(id))?;
        set_id(&mut cut.right, id);
        set_id(&mut cut.left, node.id());
        let (head, tail) = Node::new(&cut.right).image();
        let left = if left_is_new {
            let (head, tail) = Node::new(&cut.left).image();
            PageOp::Image { head, tail }
        } else {
            PageOp::Truncate { at: cut.at as u16, upper: &cut.separator }
        };
        let parts = vec![
            (0, PageOp::Image { head, tail }),
            (1, left),
            (2, PageOp::AddChild { key: &cut.separator, child: id }),
        ];
        pager
            .smo(self.id, &mut [&mut fresh, node, parent], parts, &[(id, true)], room)
            .inspect_err(|_| pager.space.release(id))?;
        self.pages.fetch_add(1, Ordering::Relaxed);
        if let Some(versions) = node.versions_mut() {
            let right = versions.split_off(cut.at);
            put_versions(pager, &mut fresh, right);
        }
        Ok(())
    }

    /// The root moves into two new children.
    fn grow<'p>(&self, pager: &'p Pager, root: &mut WriteGuard<'p>, mut cut: Cut, room: Room) -> Result<()> {
        let level = Node::new(root.page()).level() + 1;
        let left_id = pager.reserve(room)?;
        let right_id = pager.reserve(room).inspect_err(|_| pager.space.release(left_id))?;
        let release = |_: &Error| {
            pager.space.release(left_id);
            pager.space.release(right_id);
        };
        let mut left = pager.pool.create(left_id).inspect_err(release)?;
        let mut right = pager.pool.create(right_id).inspect_err(release)?;
        set_id(&mut cut.left, left_id);
        set_id(&mut cut.right, right_id);
        let mut top = page::zeroed();
        {
            let old = Node::new(root.page());
            let mut node = NodeMut::format(&mut top, self.root, self.id, level, old.lower(), old.upper());
            let room = node.insert(0, &[], &left_id.0.to_le_bytes(), 0)
                && node.insert(1, &cut.separator, &right_id.0.to_le_bytes(), 0);
            assert!(room, "two children fit in an empty root");
        }
        let image = |page: &'_ PageBytes| -> (Vec<u8>, Vec<u8>) {
            let (head, tail) = Node::new(page).image();
            (head.to_vec(), tail.to_vec())
        };
        let images = [image(&cut.left), image(&cut.right), image(&top)];
        let parts =
            images.iter().enumerate().map(|(i, (head, tail))| (i, PageOp::Image { head, tail })).collect();
        pager
            .smo(
                self.id,
                &mut [&mut left, &mut right, root],
                parts,
                &[(left_id, true), (right_id, true)],
                room,
            )
            .inspect_err(release)?;
        self.pages.fetch_add(2, Ordering::Relaxed);
        if let Some(mut versions) = root.versions_mut().take() {
            pager.pool.forget_versions(self.root);
            let above = versions.split_off(cut.at);
            put_versions(pager, &mut right, above);
            put_versions(pager, &mut left, *versions);
        }
        Ok(())
    }

    /// Removes the tombstones that no version speaks for any more; returns how many.
    pub fn purge<'p>(&self, pager: &'p Pager, leaf: &mut WriteGuard<'p>, room: Room) -> Result<usize> {
        let node = Node::new(leaf.page());
        // In the directory, finishing a drop removes them.
        if node.ghosts() == 0 || self.id == 0 {
            return Ok(0);
        }
        let count = node.count();
        let slots: Vec<u16> = (0..count)
            .filter(|i| node.is_ghost(*i))
            .filter(|i| leaf.versions().is_none_or(|versions| matches!(versions.entry(*i), Entry::Settled)))
            .map(|i| i as u16)
            .collect();
        if slots.is_empty() {
            return Ok(0);
        }
        pager.smo(self.id, &mut [leaf], vec![(0, PageOp::Purge { slots: slots.clone() })], &[], room)?;
        if let Some(versions) = leaf.versions_mut() {
            for (removed, slot) in slots.iter().rev().enumerate() {
                versions.remove(*slot as usize, count - removed);
            }
        }
        Ok(slots.len())
    }

    /// Gives the leaf of `key` back, when it is empty, to its neighbour. Leaves it when it is the only
    /// child of its parent or the neighbour's keys would not fit under the wider fences.
    pub fn remove_empty_leaf(&self, pager: &Pager, key: &[u8]) -> Result<bool> {
        let mut path = self.path_write(pager, key)?;
        if path.len() < 2 {
            return Ok(false);
        }
        let mut leaf = path.pop().expect("at least two nodes");
        let mut parent = path.pop().expect("at least two nodes");
        drop(path);
        let (leaf_node, parent_node) = (Node::new(leaf.page()), Node::new(parent.page()));
        if leaf_node.count() > 0 || parent_node.count() < 2 {
            return Ok(false);
        }
        let slot = parent_node.child_slot(key);
        let heir_slot = if slot == 0 { 1 } else { slot - 1 };
        // Nobody waits for our latches while holding the heir's: leaves lead nowhere.
        let mut heir = self.write(pager, parent_node.child(heir_slot))?;
        let heir_node = Node::new(heir.page());
        let (lower, upper) = if slot == 0 {
            (leaf_node.lower().to_vec(), heir_node.upper().map(<[u8]>::to_vec))
        } else {
            (heir_node.lower().to_vec(), leaf_node.upper().map(<[u8]>::to_vec))
        };
        let mut trial = page::zeroed();
        page::format(&mut trial, heir.id(), PageKind::Node, self.id);
        if !NodeMut::new(&mut trial).rebuild(heir.page(), 0, heir_node.count(), &lower, upper.as_deref()) {
            return Ok(false);
        }
        let id = leaf.id();
        let parts = vec![
            (0, PageOp::RemoveChild { slot: slot as u16 }),
            (1, PageOp::Fences { lower: &lower, upper: upper.as_deref() }),
            (2, PageOp::Free),
        ];
        pager.smo(self.id, &mut [&mut parent, &mut heir, &mut leaf], parts, &[(id, false)], FREE)?;
        if leaf.versions_mut().take().is_some() {
            pager.pool.forget_versions(id);
        }
        drop(leaf);
        pager.space.release(id);
        self.pages.fetch_sub(1, Ordering::Relaxed);
        Ok(true)
    }

    /// Frees every page, the root last. Restartable: a crash in the middle leaves a smaller tree.
    /// The caller has made sure that nobody uses the tree.
    pub fn free_pages(&self, pager: &Pager) -> Result<()> {
        self.dropped.store(true, Ordering::Release);
        loop {
            let mut guard = pager.pool.write(self.root, Access::Redo)?;
            if page::kind(guard.page()) != PageKind::Node || page::tree(guard.page()) != self.id {
                return Ok(());
            }
            // Down the last children to the lowest inner node; its leaves go in one step.
            while Node::new(guard.page()).level() > 1 {
                let node = Node::new(guard.page());
                guard = self.write(pager, node.child(node.count() - 1))?;
            }
            let node = Node::new(guard.page());
            if node.is_leaf() && guard.id() != self.root {
                // An inner node that lost its last child in an earlier step.
                let at = guard.id();
                drop(guard);
                self.free_branch(pager, at, &[])?;
                continue;
            }
            if node.is_leaf() {
                // Only the root is left.
                let root = self.root;
                pager.smo(self.id, &mut [&mut guard], vec![(0, PageOp::Free)], &[(root, false)], FREE)?;
                self.forget(pager, &mut guard);
                drop(guard);
                pager.space.release(root);
                self.pages.store(0, Ordering::Relaxed);
                return Ok(());
            }
            let children: Vec<PageId> = (0..node.count()).map(|i| node.child(i)).collect();
            let at = guard.id();
            let bits: Vec<(PageId, bool)> = children.iter().map(|id| (*id, false)).collect();
            if at == self.root {
                pager.smo(self.id, &mut [&mut guard], vec![(0, PageOp::Clear)], &bits, FREE)?;
                drop(guard);
            } else {
                drop(guard);
                self.free_branch(pager, at, &bits)?;
            }
            for id in children {
                self.discard(pager, id)?;
            }
        }
    }

    /// Frees a lowest inner node and its leaves, taking it out of its parent. Nobody else is here.
    fn free_branch(&self, pager: &Pager, branch: PageId, leaves: &[(PageId, bool)]) -> Result<()> {
        let mut parent = self.write(pager, self.root)?;
        loop {
            let node = Node::new(parent.page());
            let last = node.count() - 1;
            let child = node.child(last);
            if child != branch {
                parent = self.write(pager, child)?;
                continue;
            }
            let part = if last == 0 { PageOp::Clear } else { PageOp::RemoveChild { slot: last as u16 } };
            let mut bits = leaves.to_vec();
            bits.push((branch, false));
            pager.smo(self.id, &mut [&mut parent], vec![(0, part)], &bits, FREE)?;
            drop(parent);
            return self.discard(pager, branch);
        }
    }

    fn forget(&self, pager: &Pager, guard: &mut WriteGuard<'_>) {
        if guard.versions_mut().take().is_some() {
            pager.pool.forget_versions(guard.id());
        }
    }

    /// A page whose bit is cleared: forgets its versions and lets it be reused.
    fn discard(&self, pager: &Pager, id: PageId) -> Result<()> {
        if pager.pool.is_resident(id) {
            let mut guard = self.write(pager, id)?;
            self.forget(pager, &mut guard);
        }
        pager.pool.with_parked(id, |_| ((), true));
        pager.pool.forget_versions(id);
        pager.space.release(id);
        self.pages.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }
}

fn set_id(page: &mut PageBytes, id: PageId) {
    page::put_u64(page, 8, id.0);
}

fn put_versions(pager: &Pager, guard: &mut WriteGuard<'_>, versions: PageVersions) {
    if !versions.is_empty() {
        *guard.versions_mut() = Some(Box::new(versions));
        pager.pool.note_versions(guard.id());
    }
}
