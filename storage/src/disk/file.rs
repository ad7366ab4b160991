//! Real files in a real directory, and the lock that keeps other processes out.
//!
//! Used by `store.rs` to open a directory. One process holds the lock from open to close; the kernel
//! drops it with the process, so a stale lock file is no obstacle.

use std::cell::RefCell;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;
use types::sqlstate::SqlState;
use types::{Error, Result};

use super::{Disk, DiskFile, LogSync};

/// The name of the lock file.
pub const LOCK_FILE: &str = "cairn.pid";

/// What direct I/O asks of offsets, lengths and addresses: the most that any disk wants.
const ALIGNMENT: usize = 4096;
const PROBE: &str = "cairn.probe";

pub struct FileDisk {
    directory: PathBuf,
    ways: Ways,
}

/// How files are treated, by their names.
#[derive(Clone, Copy)]
pub struct Ways {
    /// Of these, `log_sync` makes what was written durable.
    pub is_log: fn(&str) -> bool,
    pub log_sync: LogSync,
    /// These are read and written past the system's cache, if there are any: in whole pages.
    pub is_direct: Option<fn(&str) -> bool>,
}

impl FileDisk {
    /// Makes the directory (mode 0700) when it is missing.
    pub fn new(directory: &Path, ways: Ways) -> io::Result<FileDisk> {
        if !directory.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(FileDisk { directory: directory.to_owned(), ways })
    }

    /// 0A000 when the file system cannot do what the settings ask for.
    pub fn probe(&self) -> Result<()> {
        if self.ways.is_direct.is_none() {
            return Ok(());
        }
        let file = self.open_as(PROBE, true, OFlags::DIRECT);
        let written = file.and_then(|file| {
            let file =
                RealFile { file, sync: LogSync::Fdatasync, direct: true, settled: AtomicBool::new(false) };
            file.write_at(&[1; ALIGNMENT], 0)?;
            file.read_at(&mut [0; ALIGNMENT], 0)
        });
        let _ = self.remove(PROBE);
        match written {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(Error::not_supported(
                "direct I/O on the file system of the data directory",
            )
            .with_hint("Leave the setting debug_io_direct empty, or keep the data on another file system.")),
            other => super::checked("write", PROBE, other),
        }
    }

    fn open_as(&self, name: &str, create: bool, flags: OFlags) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags.bits() as i32)
            .open(self.directory.join(name))
    }
}

impl Disk for FileDisk {
    fn open(&self, name: &str, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let sync = if (self.ways.is_log)(name) { self.ways.log_sync } else { LogSync::Fdatasync };
        let direct = self.ways.is_direct.is_some_and(|is_direct| is_direct(name));
        let flags = match sync {
            LogSync::Fdatasync | LogSync::Fsync => OFlags::empty(),
            LogSync::OpenDatasync => OFlags::DSYNC,
            LogSync::OpenSync => OFlags::SYNC,
        };
        let flags = if direct { flags | OFlags::DIRECT } else { flags };
        let file = self.open_as(name, create, flags)?;
        Ok(Arc::new(RealFile { file, sync, direct, settled: AtomicBool::new(false) }))
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

struct RealFile {
    file: File,
    sync: LogSync,
    direct: bool,
    /// What was there when it was opened is durable, too.
    settled: AtomicBool,
}

/// Runs `work` on `len` bytes that lie as direct I/O wants them.
fn aligned<R>(len: usize, work: impl FnOnce(&mut [u8]) -> R) -> R {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with(|buffer| {
        let mut buffer = buffer.borrow_mut();
        if buffer.len() < len + ALIGNMENT {
            buffer.resize(len + ALIGNMENT, 0);
        }
        let from = buffer.as_ptr().align_offset(ALIGNMENT);
        work(&mut buffer[from..from + len])
    })
}

/// Longer transfers are done in pieces, so that the buffers stay small.
const DIRECT_MOST: usize = 1 << 20;

impl DiskFile for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if !self.direct {
            return self.file.read_exact_at(buf, offset);
        }
        let mut at = offset;
        for piece in buf.chunks_mut(DIRECT_MOST) {
            aligned(piece.len(), |place| {
                self.file.read_exact_at(place, at)?;
                piece.copy_from_slice(place);
                io::Result::Ok(())
            })?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if !self.direct {
            return self.file.write_all_at(buf, offset);
        }
        let mut at = offset;
        for piece in buf.chunks(DIRECT_MOST) {
            aligned(piece.len(), |place| {
                place.copy_from_slice(piece);
                self.file.write_all_at(place, at)
            })?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.sync {
            LogSync::Fdatasync => self.file.sync_data(),
            LogSync::Fsync => self.file.sync_all(),
            // Durable already, but for what another process left in the system's cache.
            LogSync::OpenDatasync | LogSync::OpenSync if self.settled.load(Ordering::Acquire) => Ok(()),
            LogSync::OpenDatasync | LogSync::OpenSync => {
                self.file.sync_all()?;
                self.settled.store(true, Ordering::Release);
                Ok(())
            }
        }
    }

    fn prefetch(&self, offset: u64, len: u64) {
        if let (false, Some(len)) = (self.direct, NonZeroU64::new(len)) {
            let _ = rustix::fs::fadvise(&self.file, offset, Some(len), rustix::fs::Advice::WillNeed);
        }
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn extend(&self, len: u64) -> io::Result<()> {
        let have = self.size()?;
        if len <= have {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), have, len - have) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ways(log_sync: LogSync, direct: bool) -> Ways {
        let is_direct: fn(&str) -> bool = |name| name == "pages";
        Ways { is_log: |name| name == "log", log_sync, is_direct: direct.then_some(is_direct) }
    }

    const METHODS: [LogSync; 4] =
        [LogSync::Fdatasync, LogSync::Fsync, LogSync::OpenDatasync, LogSync::OpenSync];

    #[test]
    fn each_way_writes_what_the_others_read() {
        let directory = tempfile::tempdir().unwrap();
        let direct = FileDisk::new(directory.path(), ways(LogSync::default(), true)).unwrap().probe().is_ok();
        for (i, method) in METHODS.into_iter().enumerate() {
            let disk = FileDisk::new(directory.path(), ways(method, direct && i % 2 == 1)).unwrap();
            disk.probe().unwrap();
            for name in ["pages", "log"] {
                let file = disk.open(name, true).unwrap();
                let mut bytes = vec![0; 3 << 20];
                if i > 0 {
                    file.read_at(&mut bytes, 0).unwrap();
                    assert!(bytes.iter().all(|byte| *byte == i as u8), "{name} {method:?}");
                }
                file.write_at(&vec![i as u8 + 1; 3 << 20], 0).unwrap();
                file.sync().unwrap();
                file.sync().unwrap();
                file.prefetch(0, 3 << 20);
                let short = file.read_at(&mut bytes, 1 << 20).unwrap_err();
                assert_eq!(short.kind(), io::ErrorKind::UnexpectedEof);
            }
        }
    }

    /// File systems that have no direct I/O become rare; the first of these has no files that can be written.
    #[test]
    fn direct_io_is_refused_where_there_is_none() {
        let disk = FileDisk { directory: "/proc/self".into(), ways: ways(LogSync::default(), true) };
        assert!(disk.probe().is_err());
        let disk = FileDisk { directory: "/dev/shm".into(), ways: ways(LogSync::default(), true) };
        if let Err(error) = disk.probe() {
            assert_eq!(error.code(), SqlState::FEATURE_NOT_SUPPORTED);
            assert!(error.hint().is_some_and(|hint| hint.contains("debug_io_direct")));
        }
    }
}
