//! Writes pages in place such that a torn write can be repaired.
//!
//! Called by `evict.rs` with sealed copies of pages. A batch goes to the double-write file in one piece,
//! is synced, and only then written in place; before the file is used again the in-place writes are
//! synced. So at any moment each page is whole in one of the two. `repair` runs before anything is read.
//! Room for both files is got before it is needed (`extend`), so that writing back does not fail on a full disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use types::{Error, Result};

use super::written::Written;
use crate::disk::{Disk, DiskFile, checked};
use crate::page::{self, PAGE_SIZE, PageBytes, PageId};

pub const PAGE_FILE: &str = "cairn.pages";
pub const DOUBLE_WRITE_FILE: &str = "cairn.doublewrite";
const MAGIC: &[u8; 8] = b"cairndw1";
/// Pages in one batch at most; their ids fit in the header page.
pub const BATCH_MOST: usize = 256;

/// The page file, and the double-write file that guards it.
pub struct PageFile {
    pages: Arc<dyn DiskFile>,
    double: Arc<dyn DiskFile>,
    batch: Mutex<Batch>,
    written: Written,
    /// Pages that the page file has room for.
    room: AtomicU64,
    /// Serialises the growth of the page file.
    growing: Mutex<()>,
}

#[derive(Default)]
struct Batch {
    /// The batch as it is in the double-write file.
    buffer: Vec<u8>,
    ids: Vec<PageId>,
    /// Writes in place are yet to be synced.
    unsynced: bool,
    /// A write in place failed on a full disk: pages of the batch may be torn there, and their doubles must
    /// stay until they are not.
    unfinished: bool,
}

/// The page file grows by a thirty-second, within these bounds (pages).
const GROWTH: std::ops::RangeInclusive<u64> = 16..=1024;

impl PageFile {
    pub fn open(disk: &dyn Disk, create: bool) -> Result<PageFile> {
        let pages = checked("open", PAGE_FILE, disk.open(PAGE_FILE, create))?;
        let size = checked("stat", PAGE_FILE, pages.size())?;
        Ok(PageFile {
            pages,
            double: checked("open", DOUBLE_WRITE_FILE, disk.open(DOUBLE_WRITE_FILE, create))?,
            batch: Mutex::new(Batch::default()),
            written: Written::new(),
            room: AtomicU64::new(size / PAGE_SIZE as u64),
            growing: Mutex::new(()),
        })
    }

    /// Gets room for batches of so many pages. 53100.
    pub fn extend_double(&self, batch: usize) -> Result<()> {
        let len = (batch + 1) * PAGE_SIZE;
        checked("extend", DOUBLE_WRITE_FILE, self.double.extend(len as u64))
    }

    /// Makes sure that the page file has room for `count` pages, with some ahead if there is. 53100.
    pub fn extend(&self, count: u64) -> Result<()> {
        if count <= self.room.load(Ordering::Acquire) {
            return Ok(());
        }
        let _growing = self.growing.lock();
        let room = self.room.load(Ordering::Acquire);
        if count <= room {
            return Ok(());
        }
        let ahead = count.max(room + (room / 32).clamp(*GROWTH.start(), *GROWTH.end()));
        let mut got = ahead;
        let mut result = self.pages.extend(ahead * PAGE_SIZE as u64);
        if result.is_err() && count < ahead {
            got = count;
            result = self.pages.extend(count * PAGE_SIZE as u64);
        }
        checked("extend", PAGE_FILE, result)?;
        self.room.store(got, Ordering::Release);
        Ok(())
    }

    /// Reads a page without looking at it. A page beyond the end of the file is all zeros.
    pub fn read_raw(&self, id: PageId, page: &mut PageBytes) -> Result<()> {
        match self.pages.read_at(page, id.offset()) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                page.fill(0);
                Ok(())
            }
            other => checked("read", PAGE_FILE, other),
        }
    }

    /// Has the system fetch pages that follow each other.
    pub fn prefetch(&self, first: PageId, count: u64) {
        self.pages.prefetch(first.offset(), count * PAGE_SIZE as u64);
    }

    /// XX001 when the page's bytes are not what was written.
    pub fn read(&self, id: PageId, page: &mut PageBytes) -> Result<()> {
        self.read_raw(id, page)?;
        page::verify(page, id, PAGE_FILE)
    }

    /// XX001 when a page that was read is not the version that was written last in this run.
    pub fn expect_newest(&self, id: PageId, page: &PageBytes) -> Result<()> {
        if self.written.agrees(id, page) {
            return Ok(());
        }
        let what = format!(
            "page {id} of file \"{PAGE_FILE}\" (offset {}) is not what was written last",
            id.offset()
        );
        let detail = format!("It is of the log position {}: the disk has lost a write.", page::lsn(page));
        Err(Error::corrupted(what).with_detail(detail))
    }

    /// Writes sealed pages; durable after the next `sync`.
    pub fn write(&self, pages: &[(PageId, Box<PageBytes>)]) -> Result<()> {
        for batch in pages.chunks(BATCH_MOST) {
            let mut guard = self.batch.lock();
            if guard.unfinished {
                self.write_in_place(&guard)?;
                guard.unfinished = false;
            }
            if guard.unsynced {
                checked("fsync", PAGE_FILE, self.pages.sync())?;
                guard.unsynced = false;
            }
            let Batch { buffer, ids, .. } = &mut *guard;
            ids.clear();
            buffer.clear();
            buffer.resize(PAGE_SIZE, 0);
            buffer[..8].copy_from_slice(MAGIC);
            buffer[8..12].copy_from_slice(&(batch.len() as u32).to_le_bytes());
            for (i, (id, page)) in batch.iter().enumerate() {
                buffer[16 + i * 8..24 + i * 8].copy_from_slice(&id.0.to_le_bytes());
                buffer.extend_from_slice(&page[..]);
                ids.push(*id);
            }
            let checksum = page::crc32c(&buffer[16..PAGE_SIZE]);
            buffer[12..16].copy_from_slice(&checksum.to_le_bytes());
            checked("write", DOUBLE_WRITE_FILE, self.double.write_at(buffer, 0))?;
            checked("fsync", DOUBLE_WRITE_FILE, self.double.sync())?;
            guard.unsynced = true;
            guard.unfinished = true;
            self.write_in_place(&guard)?;
            guard.unfinished = false;
        }
        Ok(())
    }

    fn write_in_place(&self, batch: &Batch) -> Result<()> {
        for (id, page) in batch.ids.iter().zip(batch.buffer[PAGE_SIZE..].chunks(PAGE_SIZE)) {
            checked("write", PAGE_FILE, self.pages.write_at(page, id.offset()))?;
            if let Ok(page) = page.try_into() {
                self.written.note(*id, page);
            }
        }
        Ok(())
    }

    /// Makes all written pages durable.
    pub fn sync(&self) -> Result<()> {
        let mut guard = self.batch.lock();
        checked("fsync", PAGE_FILE, self.pages.sync())?;
        guard.unsynced = false;
        Ok(())
    }

    /// Puts back the pages of the last batch that were torn in place; returns how many. A batch that is
    /// itself torn was never written in place.
    pub fn repair(&self) -> Result<usize> {
        let mut header = page::zeroed();
        if self.double.read_at(&mut header[..], 0).is_err() || &header[..8] != MAGIC {
            return Ok(0);
        }
        if page::u32_at(&header, 12) != page::crc32c(&header[16..]) {
            return Ok(0);
        }
        let count = (page::u32_at(&header, 8) as usize).min(BATCH_MOST);
        let mut repaired = 0;
        for i in 0..count {
            let id = PageId(page::u64_at(&header, 16 + i * 8));
            let mut copy = page::zeroed();
            let offset = ((i + 1) * PAGE_SIZE) as u64;
            if self.double.read_at(&mut copy[..], offset).is_err() || !page::is_valid(&copy, id) {
                continue;
            }
            let mut place = page::zeroed();
            self.read_raw(id, &mut place)?;
            if !page::is_valid(&place, id) {
                checked("write", PAGE_FILE, self.pages.write_at(&copy[..], id.offset()))?;
                repaired += 1;
            }
        }
        if repaired > 0 {
            checked("fsync", PAGE_FILE, self.pages.sync())?;
        }
        Ok(repaired)
    }
}
