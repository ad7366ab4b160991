//! The seam between the store and its files.
//!
//! `file.rs` is the real one, `sim.rs` a disk that forgets, tears and fails. Everything else in the crate
//! reaches files only through [`Disk`]. Writes are durable after `sync`, names after `sync_dir`.

pub mod file;
pub mod sim;

use std::io;
use std::sync::Arc;

use types::{Error, Result};

/// A directory of files.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing; with `create` it is made when missing.
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names in the directory, in no order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// An open file; offsets in bytes.
pub trait DiskFile: Send + Sync {
    /// Fills `buf`; an error of kind `UnexpectedEof` when the file ends before.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buf`, extending the file as needed.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Makes all writes so far durable (fdatasync).
    fn sync(&self) -> io::Result<()>;
    fn size(&self) -> io::Result<u64>;
    fn truncate(&self, len: u64) -> io::Result<()>;
}

/// 58030 (53100 on a full disk) in PostgreSQL's words: `could not read file "x"`.
pub fn failed(verb: &str, name: &str, source: &io::Error) -> Error {
    Error::io(format!("could not {verb} file \"{name}\""), source)
}

/// An io result as the crate's result.
pub fn checked<T>(verb: &str, name: &str, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| failed(verb, name, &source))
}
