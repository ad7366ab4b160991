//! Builds a tree from sorted input: full pages, one after the other, at the right edge.
//!
//! Called by CREATE INDEX and by loads into a table made in the same transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use types::{Error, Result};

use crate::btree::Tree;
use crate::btree::node::{NODE_HEADER, SLOT, common_prefix, separator};
use crate::btree::tree::check_key;
use crate::engine::Engine;
use crate::page::PAGE_SIZE;
use crate::transaction::Transaction;

/// Appends sorted records to an empty tree that the same transaction created. Every page it adds is at
/// once part of the tree and logged, so a crash or rollback drops the tree with all its pages. The records
/// have no versions: nobody else can know the tree before its creator commits.
pub struct BulkBuilder<'t> {
    engine: &'t Engine,
    tree: Arc<Tree>,
    /// Keys and records of the leaf to be, one after the other; (key length, record length, flags) each.
    bytes: Vec<u8>,
    lengths: Vec<(usize, usize, u8)>,
    /// The leaf's lower fence.
    lower: Vec<u8>,
    last: Option<Vec<u8>>,
    total: u64,
    transaction: &'t Transaction,
}

impl<'t> BulkBuilder<'t> {
    pub(crate) fn new(transaction: &'t Transaction, engine: &'t Engine, tree: Arc<Tree>) -> BulkBuilder<'t> {
        BulkBuilder {
            transaction,
            engine,
            tree,
            bytes: Vec::with_capacity(2 * PAGE_SIZE),
            lengths: Vec::new(),
            lower: Vec::new(),
            last: None,
            total: 0,
        }
    }

    /// Adds a record; keys must be strictly ascending. Returns false (adding nothing) when `key` equals
    /// the one before: the caller knows how to report a duplicate (23505).
    ///
    /// 54000 for a key or record that is too long; XX000 when `key` is less than the one before.
    pub fn append(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        check_key(key)?;
        if let Some(last) = &self.last {
            if key == last.as_slice() {
                return Ok(false);
            }
            if key < last.as_slice() {
                return Err(Error::internal("records for a bulk load are not sorted"));
            }
        }
        let stored = self.transaction.store_record(&self.tree, record)?;
        let (record, flags) = (stored.bytes(), stored.flags());
        if let Some(last) = &self.last {
            let cut = separator(last, key);
            // A key that shares less with the others than they do among themselves takes the prefix they
            // were counted with: what filled one leaf then fills several.
            while self.lengths.len() > 1 && NODE_HEADER + self.size(cut).0 > PAGE_SIZE {
                self.flush_half()?;
            }
            // All keys of the leaf, this one included, share at least this prefix with its fences.
            let (size, prefix) = self.size(cut);
            let more = key.len() - prefix.min(key.len()) + record.len() + SLOT;
            // The fence after the next key is unknown; it is no longer than that key and one byte more.
            if NODE_HEADER + size + more + key.len() + 1 > PAGE_SIZE {
                self.flush(Some(cut))?;
                self.lower.clear();
                self.lower.extend_from_slice(cut);
            }
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(record);
        self.lengths.push((key.len(), record.len(), flags));
        match &mut self.last {
            Some(last) => {
                last.clear();
                last.extend_from_slice(key);
            }
            None => self.last = Some(key.to_vec()),
        }
        self.total += 1;
        Ok(true)
    }

    /// The bytes that the leaf takes with `upper` as its upper fence, and the prefix that it saves.
    fn size(&self, upper: &[u8]) -> (usize, usize) {
        let prefix = common_prefix(&self.lower, upper);
        let entries = self.bytes.len() - self.lengths.len() * prefix + self.lengths.len() * SLOT;
        (entries + self.lower.len() + upper.len(), prefix)
    }

    fn flush(&mut self, next: Option<&[u8]>) -> Result<()> {
        crate::wait::check_interrupt()?;
        self.engine.with_room(|| {
            let mut rest = self.bytes.as_slice();
            let entries = self.lengths.iter().map(|(key, record, flags)| {
                let (this, after) = rest.split_at(key + record);
                rest = after;
                let (key, record) = this.split_at(*key);
                (key, record, *flags)
            });
            self.tree.append_leaf(&self.engine.pager, entries, next)
        })?;
        self.tree.records.fetch_add(self.lengths.len() as i64, Ordering::Relaxed);
        self.bytes.clear();
        self.lengths.clear();
        Ok(())
    }

    /// Completes the tree and returns the number of records.
    pub fn finish(mut self) -> Result<u64> {
        // The last leaf has no upper fence, so its keys share no stored prefix and may need more room.
        while NODE_HEADER + self.bytes.len() + self.lengths.len() * SLOT + self.lower.len() > PAGE_SIZE {
            self.flush_half()?;
        }
        if !self.lengths.is_empty() {
            self.flush(None)?;
        }
        Ok(self.total)
    }

    fn flush_half(&mut self) -> Result<()> {
        let rest = self.lengths.split_off(self.lengths.len() / 2);
        let cut_at: usize = self.lengths.iter().map(|(key, record, _)| key + record).sum();
        let after = self.bytes.split_off(cut_at);
        let Some(((key_len, record_len, _), (next_len, ..))) = self.lengths.last().zip(rest.first()) else {
            return Err(Error::internal("a single record does not fit in a leaf"));
        };
        let last_at = cut_at - key_len - record_len;
        let cut = separator(&self.bytes[last_at..last_at + key_len], &after[..*next_len]).to_vec();
        self.flush(Some(&cut))?;
        self.lower = cut;
        self.bytes = after;
        self.lengths = rest;
        Ok(())
    }
}
