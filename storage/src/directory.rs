//! The trees of a store: which there are, and where their roots lie.
//!
//! Kept in tree 0, one record per tree (key: id, big-endian; record: root page, little-endian), changed by the same
//! logged, undoable operations as any record. A tombstone there means: the tree's pages are yet to be
//! freed. That is how a dropped tree, or one whose creator rolled back or died, leaves no page behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use rapidhash::RapidHashMap;
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::Tree;
use crate::btree::node::{Node, NodeMut};
use crate::buffer::Access;
use crate::engine::Engine;
use crate::mvcc::write::Write;
use crate::page::{self, PageId};
use crate::transaction::{InsertOutcome, WriteOutcome};
use crate::undo::version::Entry;
use crate::wal::{PageOp, Room};

const FREE: Room = Room::Free { owes: 0 };

/// The directory's own tree; its root is the page after the first bitmap.
pub const DIRECTORY: u64 = 0;
pub const DIRECTORY_ROOT: PageId = PageId(1);
/// Ids below this exist, empty, without being created.
pub const FIRST_USER: u64 = 100;
/// The tree of another tree's long records has that tree's id with this bit.
pub const OVERFLOW_BIT: u64 = 1 << 63;

pub struct Directory {
    trees: RwLock<RapidHashMap<u64, Arc<Tree>>>,
    next: AtomicU64,
    /// Serialises the making of trees on demand.
    making: Mutex<()>,
    /// Serialises the freeing of trees: a rollback and the sweeper may both find the same one.
    dropping: Mutex<()>,
}

impl Directory {
    pub fn new() -> Directory {
        let root = Arc::new(Tree::new(DIRECTORY, DIRECTORY_ROOT));
        Directory {
            trees: RwLock::new(RapidHashMap::from_iter([(DIRECTORY, root)])),
            next: AtomicU64::new(FIRST_USER),
            making: Mutex::new(()),
            dropping: Mutex::new(()),
        }
    }

    pub fn find(&self, id: u64) -> Option<Arc<Tree>> {
        self.trees.read().get(&id).cloned()
    }

    pub fn root(&self) -> Arc<Tree> {
        self.find(DIRECTORY).expect("the directory is always there")
    }

    pub fn all(&self) -> Vec<Arc<Tree>> {
        let mut trees: Vec<_> = self.trees.read().values().cloned().collect();
        trees.sort_by_key(|tree| tree.id);
        trees
    }

    pub fn put(&self, tree: Tree) -> Arc<Tree> {
        let tree = Arc::new(tree);
        self.trees.write().insert(tree.id, tree.clone());
        tree
    }

    pub fn forget(&self, id: u64) {
        self.trees.write().remove(&id);
    }

    pub fn next_id(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Ids up to `used` are taken.
    pub fn note_used(&self, used: u64) {
        if used & OVERFLOW_BIT == 0 {
            self.next.fetch_max(used + 1, Ordering::Relaxed);
        }
    }

    pub fn new_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

pub fn key_of(id: u64) -> [u8; 8] {
    id.to_be_bytes()
}

pub fn id_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}

impl Engine {
    /// The tree with this id. XX000 when there is none: the layer above knows which exist.
    pub fn tree(&self, id: u64) -> Result<Option<Arc<Tree>>> {
        match self.directory.find(id) {
            Some(tree) => Ok(Some(tree)),
            None if id < FIRST_USER || id & OVERFLOW_BIT != 0 => Ok(None),
            None => Err(Error::internal(format!("tree {id} does not exist"))),
        }
    }

    /// The tree with this id, made on demand if it is one of those that always exist.
    pub fn tree_to_write(&self, id: u64) -> Result<Arc<Tree>> {
        if let Some(tree) = self.tree(id)? {
            return Ok(tree);
        }
        let _making = self.directory.making.lock();
        if let Some(tree) = self.directory.find(id) {
            return Ok(tree);
        }
        // Its own transaction, over at once: the tree stays whatever becomes of who wanted it. Whoever
        // uses it commits later in the same log.
        self.in_system_transaction(|write| self.create_tree(write, id))
    }

    /// Writes the directory's record first: if the process dies before the root is there, undoing the
    /// record finds nothing to free. A tombstone of the same tree, whose creation failed before, is freed first:
    /// written over, it would lose its root, and undo would bring it back empty.
    pub fn create_tree(&self, write: &Write<'_>, id: u64) -> Result<Arc<Tree>> {
        self.finish_drop(id)?;
        let root = self.pager.reserve(FREE)?;
        let release = |_: &Error| self.pager.space.release(root);
        let directory = self.directory.root();
        let outcome = write.insert(&directory, &key_of(id), &root.0.to_le_bytes(), 0).inspect_err(release)?;
        if outcome != InsertOutcome::Done {
            self.pager.space.release(root);
            return Err(Error::internal(format!("tree {id} exists already")));
        }
        self.format_root(id, root).inspect_err(release)?;
        Ok(self.directory.put(Tree::new(id, root)))
    }

    /// Allocates and formats an empty root.
    pub fn format_root(&self, id: u64, root: PageId) -> Result<()> {
        let mut image = page::zeroed();
        NodeMut::format(&mut image, root, id, 0, &[], None);
        let (head, tail) = Node::new(&image).image();
        let mut guard = self.pager.pool.create(root)?;
        self.pager.smo(id, &mut [&mut guard], vec![(0, PageOp::Image { head, tail })], &[(root, true)], FREE)
    }

    /// Marks a tree for removal once the transaction has committed and no snapshot needs it.
    pub fn drop_tree(&self, write: &Write<'_>, id: u64) -> Result<()> {
        let directory = self.directory.root();
        match write.delete(&directory, &key_of(id))?.outcome {
            WriteOutcome::Done => Ok(()),
            WriteOutcome::SelfModified | WriteOutcome::Missing | WriteOutcome::Changed => {
                Err(Error::new(SqlState::UNDEFINED_TABLE, format!("tree {id} does not exist")))
            }
        }
    }

    /// True when the directory has a tombstone for the tree that no version speaks for: its creator took
    /// the creation back, or its drop is history for everyone.
    pub fn is_to_be_freed(&self, id: u64) -> Result<bool> {
        let leaf = self.directory.root().leaf_read(&self.pager, &key_of(id), Access::Normal)?;
        let node = Node::new(leaf.page());
        Ok(node.search(&key_of(id)).is_ok_and(|at| {
            let entry = leaf.versions().map_or(Entry::Settled, |versions| versions.entry(at));
            node.is_ghost(at) && matches!(entry, Entry::Settled)
        }))
    }

    /// Frees the pages of a tree whose directory record is a settled tombstone, then that record. Does
    /// nothing when that has been done already.
    pub fn finish_drop(&self, id: u64) -> Result<()> {
        let _dropping = self.directory.dropping.lock();
        if !self.is_to_be_freed(id)? {
            return Ok(());
        }
        if self.directory.find(id | OVERFLOW_BIT).is_some() {
            self.free_tree(id | OVERFLOW_BIT)?;
        }
        self.free_tree(id)
    }

    fn free_tree(&self, id: u64) -> Result<()> {
        if let Some(tree) = self.directory.find(id) {
            tree.free_pages(&self.pager)?;
        }
        let directory = self.directory.root();
        let mut leaf = directory.leaf_write(&self.pager, &key_of(id))?;
        let node = Node::new(leaf.page());
        if let Ok(at) = node.search(&key_of(id)) {
            let count = node.count();
            let part = PageOp::Purge { slots: vec![at as u16] };
            self.pager.smo(DIRECTORY, &mut [&mut leaf], vec![(0, part)], &[], FREE)?;
            if let Some(versions) = leaf.versions_mut() {
                versions.remove(at, count);
            }
        }
        drop(leaf);
        self.directory.forget(id);
        tracing::debug!(tree = id, "freed a dropped tree");
        Ok(())
    }

    /// Fills the directory from tree 0. Returns the trees whose pages are yet to be freed.
    pub fn load_directory(&self) -> Result<Vec<u64>> {
        let directory = self.directory.root();
        let mut dropped = Vec::new();
        let mut position = Vec::new();
        loop {
            let leaf = directory.leaf_read(&self.pager, &position, Access::Normal)?;
            let node = Node::new(leaf.page());
            for i in 0..node.count() {
                let key = node.key(i);
                let (Some(id), Ok(root)) = (id_of(&key), <[u8; 8]>::try_from(node.record(i))) else {
                    return Err(Error::corrupted(format!(
                        "page {} has an invalid directory entry",
                        leaf.id()
                    )));
                };
                self.directory.put(Tree::new(id, PageId(u64::from_le_bytes(root))));
                self.directory.note_used(id);
                if node.is_ghost(i) {
                    dropped.push(id);
                }
            }
            match node.upper() {
                Some(upper) => position = upper.to_vec(),
                None => return Ok(dropped),
            }
        }
    }
}
