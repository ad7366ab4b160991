//! Verifies a tree's structure, page by page.
//!
//! Called by `Store::check` and tests. Finds: pages of another tree, wrong levels, fences that do not meet,
//! keys out of order or outside their fences. Reports; repairs nothing.

use std::collections::HashSet;

use types::Result;

use super::node::Node;
use super::tree::Tree;
use crate::buffer::Access;
use crate::page::{self, PageId, PageKind};
use crate::pager::Pager;

/// Live records and problems of one tree; `pages` gathers every page that belongs to it.
pub fn check_tree(
    tree: &Tree,
    pager: &Pager,
    pages: &mut HashSet<PageId>,
    problems: &mut Vec<String>,
) -> Result<u64> {
    let mut records = 0;
    // Page, expected level, expected fences.
    let mut todo: Vec<(PageId, Option<u8>, Vec<u8>, Option<Vec<u8>>)> =
        vec![(tree.root, None, Vec::new(), None)];
    while let Some((id, level, lower, upper)) = todo.pop() {
        let mut report = |what: String| problems.push(format!("tree {}, page {id}: {what}", tree.id));
        if !pages.insert(id) {
            report("is reached twice".into());
            continue;
        }
        let guard = match pager.pool.read(id, Access::Scan) {
            Ok(guard) => guard,
            Err(error) => {
                report(format!("cannot be read: {}", error.message()));
                continue;
            }
        };
        if page::kind(guard.page()) != PageKind::Node || page::tree(guard.page()) != tree.id {
            report("is not a node of this tree".into());
            continue;
        }
        let node = Node::new(guard.page());
        if level.is_some_and(|level| level != node.level()) {
            report(format!("has level {}, expected {level:?}", node.level()));
        }
        if node.lower() != lower || node.upper() != upper.as_deref() {
            report("has fences other than its parent says".into());
        }
        let keys: Vec<Vec<u8>> = (0..node.count()).map(|i| node.key(i)).collect();
        let first = usize::from(!node.is_leaf());
        for (i, key) in keys.iter().enumerate().skip(first) {
            if !node.covers(key) {
                report(format!("entry {i} lies outside the fences"));
            }
            if i > first && keys[i - 1] >= *key {
                report(format!("entries {} and {i} are out of order", i - 1));
            }
            if node.search(key) != Ok(i) {
                report(format!("entry {i} is not found by its key"));
            }
        }
        let ghosts = (0..node.count()).filter(|i| node.is_ghost(*i)).count();
        if ghosts != node.ghosts() {
            report(format!("counts {} tombstones, has {ghosts}", node.ghosts()));
        }
        if node.is_leaf() {
            records += (node.count() - ghosts) as u64;
            continue;
        }
        if node.count() == 0 {
            report("is an inner node without children".into());
        }
        for i in 0..node.count() {
            let lower = if i == 0 { lower.clone() } else { keys[i].clone() };
            let upper = keys.get(i + 1).cloned().or_else(|| upper.clone());
            todo.push((node.child(i), Some(node.level() - 1), lower, upper));
        }
    }
    Ok(records)
}
