//! Real files in a real directory, and the lock that keeps other processes out.
//!
//! Used by `store.rs` to open a directory. One process holds the lock from open to close; the kernel
//! drops it with the process, so a stale lock file is no obstacle.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use types::sqlstate::SqlState;
use types::{Error, Result};

use super::{Disk, DiskFile};

/// The name of the lock file.
pub const LOCK_FILE: &str = "cairn.pid";

pub struct FileDisk {
    directory: PathBuf,
}

impl FileDisk {
    /// Makes the directory (mode 0700) when it is missing.
    pub fn new(directory: &Path) -> io::Result<FileDisk> {
        if !directory.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(FileDisk { directory: directory.to_owned() })
    }
}

impl Disk for FileDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .open(self.directory.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn extend(&self, len: u64) -> io::Result<()> {
        let have = self.size()?;
        if len <= have {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.0, rustix::fs::FallocateFlags::empty(), have, len - have) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => {
                super::fill(self, have, len)
            }
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Held while the store is open.
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// F0001, naming the other process, when the directory is in use.
    pub fn take(directory: &Path) -> Result<DirectoryLock> {
        let io = |source: &io::Error| super::failed("open", LOCK_FILE, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(directory.join(LOCK_FILE))
            .map_err(|e| io(&e))?;
        if let Err(errno) = rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            if errno != rustix::io::Errno::WOULDBLOCK {
                return Err(super::failed("lock", LOCK_FILE, &errno.into()));
            }
            let mut owner = String::new();
            let _ = file.read_to_string(&mut owner);
            let owner = owner.lines().next().unwrap_or("unknown").to_owned();
            return Err(Error::new(
                SqlState::LOCK_FILE_EXISTS,
                format!("lock file \"{LOCK_FILE}\" already exists (PID {owner})"),
            )
            .with_hint(format!(
                "Is another cairn (PID {owner}) running in data directory \"{}\"?",
                directory.display()
            )));
        }
        file.set_len(0).map_err(|e| io(&e))?;
        file.rewind().map_err(|e| io(&e))?;
        writeln!(file, "{}", std::process::id()).map_err(|e| io(&e))?;
        Ok(DirectoryLock { _file: file })
    }
}
