//! The store: one directory of trees, a log, and the transactions over them.
//!
//! Called by the executor (through [`Transaction`]) and by the server (open, close, statistics). One
//! process opens a directory at a time; everything here may be called from any thread.

use std::path::PathBuf;
use std::sync::Arc;

use types::{Error, Result};

use crate::transaction::{Transaction, TransactionOptions};

/// One ordered map of records: a table clustered by its key, or an index.
///
/// Ids are given out by [`Transaction::create_tree`] and never reused. 1 to 99 are reserved for the layer
/// above (the catalog's system trees): they exist in every store, empty, from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TreeId(pub u64);

impl TreeId {
    /// The first id that `create_tree` gives out.
    pub const FIRST_USER: TreeId = TreeId(100);
}

/// How to open a store. `StoreOptions::new(dir)` has the defaults.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub directory: PathBuf,
    /// Memory for page frames; the data may be far larger.
    pub buffer_size_bytes: usize,
    /// A checkpoint begins when this much log was written since the last one.
    pub checkpoint_log_bytes: u64,
    /// Size of one log segment file.
    pub segment_size_bytes: u64,
}

impl StoreOptions {
    pub fn new(directory: impl Into<PathBuf>) -> StoreOptions {
        StoreOptions {
            directory: directory.into(),
            buffer_size_bytes: 256 << 20,
            checkpoint_log_bytes: 512 << 20,
            segment_size_bytes: 16 << 20,
        }
    }
}

/// Live figures; the counters count from `open`.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    pub buffer_hits: u64,
    pub buffer_misses: u64,
    pub pages_written: u64,
    pub pages_allocated: u64,
    pub log_bytes: u64,
    pub log_flushes: u64,
    pub commits: u64,
    pub rollbacks: u64,
    pub checkpoints: u64,
    /// Pages that carry version information now.
    pub versioned_pages: u64,
    pub active_transactions: u64,
}

/// What [`Store::check`] found; `problems` is empty in a sound store.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    pub trees: u64,
    pub pages: u64,
    pub records: u64,
    /// One line each, naming tree and page.
    pub problems: Vec<String>,
}

/// An open directory. Dropping the last `Arc` without [`Store::close`] is like a crash: safe, but the
/// next open has the log to replay.
pub struct Store {}

impl Store {
    /// Opens the store in `options.directory`, creating it when the directory is missing or empty, and
    /// recovers what a crash left behind.
    ///
    /// F0001 when another process has it open; 22023 (with a hint) when the format version is foreign or
    /// the directory is not empty and not ours; XX001 when a page or the log is damaged; 58030 on I/O errors.
    pub fn open(options: StoreOptions) -> Result<Arc<Store>> {
        let _ = options;
        Err(Error::internal("the store is not built yet"))
    }

    /// True when `directory` holds a store (whatever its version).
    pub fn exists(directory: &std::path::Path) -> bool {
        directory.join("cairn.control").exists()
    }

    /// Begins a transaction; it rolls back when dropped without commit.
    pub fn begin(self: &Arc<Store>, options: TransactionOptions) -> Transaction {
        let _ = options;
        Transaction {}
    }

    /// Writes every changed page and a checkpoint, then releases the directory. Transactions still
    /// open are lost (rolled back by the next open).
    pub fn close(&self) -> Result<()> {
        Err(Error::internal("the store is not built yet"))
    }

    /// Makes a checkpoint now (CHECKPOINT).
    pub fn checkpoint(&self) -> Result<()> {
        Err(Error::internal("the store is not built yet"))
    }

    /// Live figures.
    pub fn stats(&self) -> StoreStats {
        StoreStats::default()
    }

    /// Pages of `tree`, for costing and relation sizes; 0 for an unknown tree.
    pub fn tree_pages(&self, tree: TreeId) -> u64 {
        let _ = tree;
        0
    }

    /// About how many records `tree` holds, uncommitted ones included; 0 for an unknown tree.
    pub fn tree_records(&self, tree: TreeId) -> u64 {
        let _ = tree;
        0
    }

    /// Bytes of all data files, log included.
    pub fn size_bytes(&self) -> Result<u64> {
        Err(Error::internal("the store is not built yet"))
    }

    /// Verifies the structure of every tree and the page allocation. Best called while nothing writes.
    pub fn check(&self) -> Result<CheckReport> {
        Err(Error::internal("the store is not built yet"))
    }
}
