//! Writes pages in place such that a torn write can be repaired.
//!
//! Called by `evict.rs` with sealed copies of pages. A batch goes to the double-write file in one piece,
//! is synced, and only then written in place; before the file is used again the in-place writes are
//! synced. So at any moment each page is whole in one of the two. `repair` runs before anything is read.

use std::sync::Arc;

use parking_lot::Mutex;
use types::Result;

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
    /// The buffer a batch is assembled in, and whether in-place writes are yet to be synced.
    batch: Mutex<(Vec<u8>, bool)>,
}

impl PageFile {
    pub fn open(disk: &dyn Disk, create: bool) -> Result<PageFile> {
        Ok(PageFile {
            pages: checked("open", PAGE_FILE, disk.open(PAGE_FILE, create))?,
            double: checked("open", DOUBLE_WRITE_FILE, disk.open(DOUBLE_WRITE_FILE, create))?,
            batch: Mutex::new((Vec::new(), false)),
        })
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

    /// XX001 when the page's bytes are not what was written.
    pub fn read(&self, id: PageId, page: &mut PageBytes) -> Result<()> {
        self.read_raw(id, page)?;
        page::verify(page, id, PAGE_FILE)
    }

    /// Writes sealed pages; durable after the next `sync`.
    pub fn write(&self, pages: &[(PageId, Box<PageBytes>)]) -> Result<()> {
        for batch in pages.chunks(BATCH_MOST) {
            let mut guard = self.batch.lock();
            let (buffer, unsynced) = &mut *guard;
            if *unsynced {
                checked("fsync", PAGE_FILE, self.pages.sync())?;
                *unsynced = false;
            }
            buffer.clear();
            buffer.resize(PAGE_SIZE, 0);
            buffer[..8].copy_from_slice(MAGIC);
            buffer[8..12].copy_from_slice(&(batch.len() as u32).to_le_bytes());
            for (i, (id, page)) in batch.iter().enumerate() {
                buffer[16 + i * 8..24 + i * 8].copy_from_slice(&id.0.to_le_bytes());
                buffer.extend_from_slice(&page[..]);
            }
            let checksum = page::crc32c(&buffer[16..PAGE_SIZE]);
            buffer[12..16].copy_from_slice(&checksum.to_le_bytes());
            checked("write", DOUBLE_WRITE_FILE, self.double.write_at(buffer, 0))?;
            checked("fsync", DOUBLE_WRITE_FILE, self.double.sync())?;
            *unsynced = true;
            for (id, page) in batch {
                checked("write", PAGE_FILE, self.pages.write_at(&page[..], id.offset()))?;
            }
        }
        Ok(())
    }

    /// Makes all written pages durable.
    pub fn sync(&self) -> Result<()> {
        let mut guard = self.batch.lock();
        checked("fsync", PAGE_FILE, self.pages.sync())?;
        guard.1 = false;
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
