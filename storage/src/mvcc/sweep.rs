//! Forgets versions that no snapshot needs, removes tombstones, frees dropped trees.
//!
//! Run by a background thread whenever there are version tables, at a pace that keeps its share of the
//! processor small. What committed before the oldest snapshot is the same for everyone: its entries go, as do
//! those of records that were made and deleted between two snapshots; a tombstone that nothing speaks for any
//! more leaves the page, an empty leaf its tree.

use types::Result;

use crate::btree::node::Node;
use crate::buffer::Access;
use crate::directory::{self, DIRECTORY};
use crate::engine::Engine;
use crate::page::{self, PageId, PageKind};
use crate::undo::Live;
use crate::wal::Room;

impl Engine {
    /// One round over all pages with version tables; returns how many tables are left.
    pub fn sweep(&self) -> Result<usize> {
        let _sweeping = self.sweeping.lock();
        let live = self.active.live();
        let mut dropped = Vec::new();
        let swept = self
            .pager
            .pool
            .versioned_pages()
            .into_iter()
            .try_for_each(|id| self.sweep_page(id, &live, &mut dropped));
        dropped.into_iter().for_each(|tree| self.drop_later(tree));
        swept?;
        self.finish_drops()?;
        Ok(self.pager.pool.versioned_count())
    }

    fn sweep_page(&self, id: PageId, live: &Live, dropped: &mut Vec<u64>) -> Result<()> {
        let pool = &self.pager.pool;
        if !pool.is_resident(id) {
            // Only a page with tombstones to remove is worth reading back.
            let needs_page = pool.with_parked(id, |versions| {
                if versions.has_deletes {
                    return (true, false);
                }
                versions.prune(live, |_| ());
                (false, versions.is_empty())
            });
            if needs_page != Some(true) {
                return Ok(());
            }
        }
        let mut guard = if pool.is_resident(id) {
            // A page somebody works on is left for the next round.
            match pool.try_write(id)? {
                Some(guard) => guard,
                None => return Ok(()),
            }
        } else {
            pool.write(id, Access::Scan)?
        };
        let Some(versions) = guard.versions_mut() else {
            pool.forget_versions(id);
            return Ok(());
        };
        let mut settled = Vec::new();
        let has_deletes = versions.has_deletes;
        versions.prune(live, |slot| {
            if has_deletes {
                settled.push(slot);
            }
        });
        let mut empty_at = None;
        if has_deletes && page::kind(guard.page()) == PageKind::Node {
            let node = Node::new(guard.page());
            let tree_id = page::tree(guard.page());
            if tree_id == DIRECTORY {
                let ghosts = settled.iter().filter(|slot| **slot < node.count() && node.is_ghost(**slot));
                dropped.extend(ghosts.filter_map(|slot| directory::id_of(&node.key(*slot))));
            } else if let Some(tree) = self.directory.find(tree_id) {
                tree.purge(&self.pager, &mut guard, Room::Free { owes: 0 })?;
                let node = Node::new(guard.page());
                if node.count() == 0 && node.is_leaf() {
                    empty_at = Some((tree, node.lower().to_vec()));
                }
                let ghosts = node.ghosts();
                if let Some(versions) = guard.versions_mut() {
                    versions.has_deletes = ghosts > 0;
                }
            }
        }
        if guard.versions().is_some_and(|versions| versions.is_empty()) {
            *guard.versions_mut() = None;
            pool.forget_versions(id);
        }
        drop(guard);
        if let Some((tree, key)) = empty_at {
            tree.remove_empty_leaf(&self.pager, &key)?;
        }
        Ok(())
    }
}
