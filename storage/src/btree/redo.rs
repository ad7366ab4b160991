//! Applies logged changes to pages: the one place where they are carried out.
//!
//! Called by forward processing after the append, and by recovery for what the page has missed, so both
//! do the same. A change that does not fit the page it names is XX001: page and log disagree.

use types::{Error, Result};

use super::node::{Node, NodeMut};
use crate::page::{self, PageBytes, PageId, PageKind};
use crate::space;
use crate::wal::record::GHOST;
use crate::wal::{PageOp, RowChange, RowOp};

fn mismatch(id: PageId, what: &str) -> Error {
    Error::corrupted(format!("log record does not fit page {id}: {what}"))
}

/// Applies one part of a structure modification.
pub fn apply(page: &mut PageBytes, id: PageId, tree: u64, op: &PageOp<'_>) -> Result<()> {
    match op {
        PageOp::Allocate { first, allocated } => {
            if page::kind(page) != PageKind::Bitmap {
                space::format_bitmap(page, id);
            }
            space::set_bit(page, *first, *allocated);
        }
        PageOp::Image { head, tail } => {
            if head.len() + tail.len() > page.len() {
                return Err(mismatch(id, "an image larger than a page"));
            }
            page.fill(0);
            page[..head.len()].copy_from_slice(head);
            let at = page.len() - tail.len();
            page[at..].copy_from_slice(tail);
            if page::id(page) != id || page::tree(page) != tree {
                return Err(mismatch(id, "an image of another page"));
            }
        }
        PageOp::Truncate { at, upper } => {
            node_only(page, id)?;
            let old = *page;
            let lower = Node::new(&old).lower();
            if !NodeMut::new(page).rebuild(&old, 0, *at as usize, lower, Some(upper)) {
                return Err(mismatch(id, "the left half of a split does not fit"));
            }
        }
        PageOp::AddChild { key, child } => {
            node_only(page, id)?;
            let mut node = NodeMut::new(page);
            let Err(at) = node.node().search(key) else {
                return Err(mismatch(id, "a child is there already"));
            };
            if !node.insert(at, key, &child.0.to_le_bytes(), 0) {
                return Err(mismatch(id, "no room for a child"));
            }
        }
        PageOp::RemoveChild { slot } => {
            node_only(page, id)?;
            let slot = *slot as usize;
            let mut node = NodeMut::new(page);
            if slot >= node.node().count() || node.node().count() < 2 {
                return Err(mismatch(id, "no such child"));
            }
            if slot == 0 {
                let heir = node.node().child(1);
                node.remove(1);
                if !node.replace(0, &heir.0.to_le_bytes(), 0) {
                    return Err(mismatch(id, "no room for a child"));
                }
            } else {
                node.remove(slot);
            }
        }
        PageOp::Purge { slots } => {
            node_only(page, id)?;
            let mut node = NodeMut::new(page);
            for slot in slots.iter().rev() {
                if *slot as usize >= node.node().count() {
                    return Err(mismatch(id, "no such entry to remove"));
                }
                node.remove(*slot as usize);
            }
        }
        PageOp::Fences { lower, upper } => {
            node_only(page, id)?;
            let old = *page;
            let count = Node::new(&old).count();
            if !NodeMut::new(page).rebuild(&old, 0, count, lower, *upper) {
                return Err(mismatch(id, "a widened node does not fit"));
            }
        }
        PageOp::Free => page::format(page, id, PageKind::Free, 0),
        PageOp::Clear => {
            let lower = Node::new(page).lower().to_vec();
            let upper = Node::new(page).upper().map(<[u8]>::to_vec);
            NodeMut::format(page, id, tree, 0, &lower, upper.as_deref());
        }
    }
    Ok(())
}

fn node_only(page: &PageBytes, id: PageId) -> Result<()> {
    if page::kind(page) == PageKind::Node { Ok(()) } else { Err(mismatch(id, "the page is not a tree node")) }
}

/// Applies a change to one record. Returns by how much the number of live records changes.
pub fn apply_row(page: &mut PageBytes, id: PageId, op: &RowOp<'_>) -> Result<i64> {
    node_only(page, id)?;
    let mut node = NodeMut::new(page);
    let found = node.node().search(op.key());
    let slot = match (op, found) {
        (RowOp::Insert { key, record, flags }, Err(at)) => {
            if !node.insert(at, key, record, *flags) {
                return Err(mismatch(id, "no room for a record"));
            }
            return Ok(1);
        }
        (RowOp::Insert { .. }, Ok(_)) => return Err(mismatch(id, "the key is there already")),
        (_, Err(_)) => return Err(mismatch(id, "the key is not there")),
        (_, Ok(slot)) => slot,
    };
    let flags = node.node().flags(slot);
    match op {
        RowOp::Insert { .. } => Err(mismatch(id, "the key is there already")),
        RowOp::Ghost { .. } => {
            node.set_flags(slot, flags | GHOST);
            Ok(-1)
        }
        RowOp::Unghost { .. } => {
            node.set_flags(slot, flags & !GHOST);
            Ok(1)
        }
        RowOp::Remove { .. } => {
            node.remove(slot);
            Ok(if flags & GHOST == 0 { -1 } else { 0 })
        }
        RowOp::Replace { change, .. } => {
            let record =
                RowChange::splice(node.node().record(slot), change.prefix, change.suffix, change.new)
                    .ok_or_else(|| mismatch(id, "a change longer than its record"))?;
            if !node.replace(slot, &record, change.new_flags) {
                return Err(mismatch(id, "no room for a longer record"));
            }
            Ok(i64::from(change.old_flags & GHOST != 0) - i64::from(change.new_flags & GHOST != 0))
        }
    }
}
