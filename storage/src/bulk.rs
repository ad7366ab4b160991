//! Builds a tree from sorted input: full pages, one after the other, at the right edge.
//!
//! Called by CREATE INDEX and by loads into a table made in the same transaction.

use types::{Error, Result};

/// Appends sorted records to an empty tree that the same transaction created. Every page it adds is at
/// once part of the tree and logged, so a crash or rollback drops the tree with all its pages.
pub struct BulkBuilder<'t> {
    _transaction: std::marker::PhantomData<&'t ()>,
}

impl BulkBuilder<'_> {
    /// Adds a record; keys must be strictly ascending. Returns false (adding nothing) when `key` equals
    /// the one before: the caller knows how to report a duplicate (23505).
    ///
    /// 54000 for a key that is too long; XX000 when `key` is less than the one before.
    pub fn append(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        let _ = (key, record);
        Err(Error::internal("the store is not built yet"))
    }

    /// Completes the tree and returns the number of records.
    pub fn finish(self) -> Result<u64> {
        Err(Error::internal("the store is not built yet"))
    }
}
