//! The seam between the store and its files.
//!
//! `file.rs` is the real one, `sim.rs` a disk that forgets, tears and fails. Everything else in the crate
//! reaches files only through [`Disk`]. Writes are durable after `sync`, names after `sync_dir`.

pub mod file;
pub mod sim;

use std::io;
use std::sync::Arc;

use types::sqlstate::SqlState;
use types::{Error, Result};

/// How the log is made durable: PostgreSQL's `wal_sync_method`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum LogSync {
    #[default]
    Fdatasync,
    Fsync,
    /// Each write is durable when it returns (O_DSYNC).
    OpenDatasync,
    /// The same, with all metadata (O_SYNC).
    OpenSync,
}

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
    /// Tells the system that these bytes will be read soon. Nothing may come of it.
    fn prefetch(&self, _offset: u64, _len: u64) {}
    /// Makes the file at least `len` bytes long and gets room for all of them, so that writes below `len` need
    /// no more (on file systems that write in place). New bytes are zeros.
    fn extend(&self, len: u64) -> io::Result<()>;
}

/// Writes zeros from `from` to `to`: room for a file where there is no better way.
pub(crate) fn fill(file: &dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    const ZEROS: usize = 1 << 20;
    let zeros = vec![0u8; ZEROS.min(to.saturating_sub(from) as usize)];
    let mut at = from;
    while at < to {
        let n = (to - at).min(ZEROS as u64);
        file.write_at(&zeros[..n as usize], at)?;
        at += n;
    }
    Ok(())
}

/// 58030 (53100 on a full disk) in PostgreSQL's words: `could not read file "x"`. A failed fsync is 58030
/// whatever its reason: what the disk holds is unknown then.
pub fn failed(verb: &str, name: &str, source: &io::Error) -> Error {
    let error = Error::io(format!("could not {verb} file \"{name}\""), source);
    if verb == "fsync" && error.code() == SqlState::DISK_FULL {
        return Error::new(SqlState::IO_ERROR, error.message());
    }
    error
}

/// An io result as the crate's result.
pub fn checked<T>(verb: &str, name: &str, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| failed(verb, name, &source))
}
