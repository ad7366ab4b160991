//! Which version of each page was written last, to notice a write that the disk acknowledged and lost.
//!
//! Called by `double_write.rs` for every page written and by `pool.rs` for every page read. An old version of a
//! page passes every check of its own; only a note elsewhere can tell. The notes are of this run, 4 bytes a page
//! that was written: what was lost before a restart is not noticed (docs/decisions/0014-lost-writes.md).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::page::{self, PageBytes, PageId};

const CHUNK: usize = 1 << 16;
/// As many as the pool's table: 4 TiB of pages.
const CHUNKS: usize = 1 << 12;

pub struct Written {
    /// Page id → the low half of the LSN it was written with; 0 when it was not (and 1 for an LSN that ends in 0).
    chunks: Box<[OnceLock<Box<[AtomicU32]>>]>,
}

fn mark(lsn: u64) -> u32 {
    (lsn as u32).max(1)
}

impl Written {
    pub fn new() -> Written {
        Written { chunks: (0..CHUNKS).map(|_| OnceLock::new()).collect() }
    }

    fn place(id: PageId) -> (usize, usize) {
        ((id.0 / CHUNK as u64) as usize, id.0 as usize % CHUNK)
    }

    pub fn note(&self, id: PageId, page: &PageBytes) {
        let (chunk, at) = Self::place(id);
        if let Some(chunk) = self.chunks.get(chunk) {
            let marks = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
            marks[at].store(mark(page::lsn(page)), Ordering::Release);
        }
    }

    /// True when `page`, as it was read, is the version that was written last, or none was in this run.
    pub fn agrees(&self, id: PageId, page: &PageBytes) -> bool {
        let (chunk, at) = Self::place(id);
        let Some(marks) = self.chunks.get(chunk).and_then(OnceLock::get) else { return true };
        let known = marks[at].load(Ordering::Acquire);
        known == 0 || known == mark(page::lsn(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_written_last_agrees() {
        let written = Written::new();
        let mut page = page::zeroed();
        for id in [PageId(3), PageId(CHUNK as u64 + 3)] {
            assert!(written.agrees(id, &page));
            page::set_lsn(&mut page, 1 << 40 | 77);
            written.note(id, &page);
            assert!(written.agrees(id, &page));
            page::set_lsn(&mut page, 1 << 40 | 76);
            assert!(!written.agrees(id, &page));
            assert!(written.agrees(PageId(4), &page));
            // Nothing at all where something was written.
            assert!(!written.agrees(id, &page::zeroed()));
        }
    }
}
