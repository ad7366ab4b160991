//! What is measured: an ordered map on disk with durable commits, behind one face.
//!
//! Implemented once per store. Keys are `u64`, big-endian; every `put` is one commit that is on disk when
//! it returns; every `read` and `scan` sees one moment.

use std::error::Error;
use std::path::Path;

/// Whatever a store reports.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// An open store.
pub trait Engine: Sync {
    /// A thread's own way in.
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// Waits for what the store does behind the writers' backs, where it can be waited for.
    fn settle(&self) {}
}

/// One thread's access.
pub trait Session {
    /// Reads `keys` in one snapshot; returns how many were there.
    fn read(&mut self, keys: &[u64]) -> Result<u64>;
    /// Writes `value` under each of `keys`, new or old, and commits durably.
    fn put(&mut self, keys: &[u64], value: &[u8]) -> Result<()>;
    /// Reads up to `limit` records from `from` on; returns how many there were.
    fn scan(&mut self, from: u64, limit: u64) -> Result<u64>;
}

/// The stores this program was built with, by name.
#[cfg(feature = "others")]
pub const NAMES: &[&str] = &["cairn", "redb", "fjall", "sqlite"];
/// The stores this program was built with, by name.
#[cfg(not(feature = "others"))]
pub const NAMES: &[&str] = &["cairn"];

/// Opens an empty store of that name with about `memory_bytes` of cache.
pub fn open(name: &str, directory: &Path, memory_bytes: usize) -> Result<Box<dyn Engine>> {
    match name {
        "cairn" => crate::cairn::open(directory, memory_bytes),
        #[cfg(feature = "others")]
        "redb" => crate::redb::open(directory, memory_bytes),
        #[cfg(feature = "others")]
        "fjall" => crate::fjall::open(directory, memory_bytes),
        #[cfg(feature = "others")]
        "sqlite" => crate::sqlite::open(directory, memory_bytes),
        other => Err(format!("no store named \"{other}\"; there are: {}", NAMES.join(", ")).into()),
    }
}
