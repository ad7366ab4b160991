//! Finds a page's frame, or loads the page into one.
//!
//! Called by the tree and space code with a `PageId`. A flat table maps page ids to frames; a hit takes
//! one load, the frame's latch, and a look whether the frame still holds that page: no lock is shared
//! between pages. A frame changes its page only under its exclusive latch, and the table always follows.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, RwLock};
use types::{Error, Result};

use super::double_write::{PAGE_FILE, PageFile};
use super::guard::{ReadGuard, WriteGuard};
use crate::page::{self, PAGE_SIZE, PageBytes, PageId, PageKind};
use crate::undo::PageVersions;
use crate::wal::Log;

/// How a page is used, for replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Likely to be used again.
    Normal,
    /// Part of a scan: leaves first.
    Scan,
    /// Recovery: a page that was never written is not an error.
    Redo,
}

pub(super) const NO_PAGE: PageId = PageId::NONE;
const USAGE_MOST: u8 = 3;
const CHUNK: usize = 1 << 16;
/// 4 TiB of 16 KiB pages.
const CHUNKS: usize = 1 << 12;
const LOAD_SHARDS: usize = 64;
pub(super) const FEWEST_FRAMES: usize = 64;

pub struct FrameData {
    pub(super) id: PageId,
    pub(super) page: Box<PageBytes>,
    pub(super) versions: Option<Box<PageVersions>>,
}

#[repr(align(64))]
pub struct Frame {
    pub(super) latch: RwLock<FrameData>,
    /// Changed since it was last written: from this LSN on; 0 when not.
    pub(super) rec_lsn: AtomicU64,
    /// As `rec_lsn`, for the changes in a copy that is being written.
    pub(super) writing_lsn: AtomicU64,
    pub(super) usage: AtomicU8,
}

/// Counted apart by thread, so that counting does not make readers share a cache line.
#[repr(align(64))]
#[derive(Default)]
struct HitCount(AtomicU64);

const HIT_SHARDS: usize = 16;

thread_local! {
    static HIT_SHARD: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % HIT_SHARDS
    };
}

pub struct Pool {
    pub(super) file: PageFile,
    pub(super) log: Arc<Log>,
    pub(super) frames: Box<[OnceLock<Frame>]>,
    /// Frames made so far.
    pub(super) made: AtomicUsize,
    /// Page id → frame index + 1.
    table: Box<[OnceLock<Box<[AtomicU32]>>]>,
    loading: Box<[Mutex<()>]>,
    pub(super) hand: AtomicUsize,
    /// Version tables of pages that are not in memory.
    pub(super) parked: Mutex<HashMap<PageId, Box<PageVersions>>>,
    /// Pages that may have version tables, in memory or parked.
    versioned: Mutex<HashSet<PageId>>,
    hits: Box<[HitCount]>,
    pub(super) misses: AtomicU64,
    pub(super) written: AtomicU64,
}

impl Pool {
    pub fn new(file: PageFile, log: Arc<Log>, budget_bytes: usize) -> Pool {
        let count = (budget_bytes / (PAGE_SIZE + 128)).max(FEWEST_FRAMES);
        Pool {
            file,
            log,
            frames: (0..count).map(|_| OnceLock::new()).collect(),
            made: AtomicUsize::new(0),
            table: (0..CHUNKS).map(|_| OnceLock::new()).collect(),
            loading: (0..LOAD_SHARDS).map(|_| Mutex::new(())).collect(),
            hand: AtomicUsize::new(0),
            parked: Mutex::new(HashMap::new()),
            versioned: Mutex::new(HashSet::new()),
            hits: (0..HIT_SHARDS).map(|_| HitCount::default()).collect(),
            misses: AtomicU64::new(0),
            written: AtomicU64::new(0),
        }
    }

    pub fn file(&self) -> &PageFile {
        &self.file
    }

    #[inline]
    pub(super) fn entry(&self, id: PageId) -> Result<&AtomicU32> {
        let chunk = self.table.get((id.0 / CHUNK as u64) as usize).ok_or_else(|| {
            Error::corrupted(format!("page {id} is beyond the end of every file \"{PAGE_FILE}\""))
        })?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| AtomicU32::new(0)).collect());
        Ok(&chunk[id.0 as usize % CHUNK])
    }

    #[inline]
    fn resident(&self, id: PageId) -> Result<Option<&Frame>> {
        let index = self.entry(id)?.load(Ordering::Acquire);
        if index == 0 {
            return Ok(None);
        }
        Ok(self.frames[index as usize - 1].get())
    }

    #[inline]
    fn touch(&self, frame: &Frame, access: Access, missed: bool) {
        if !missed {
            let shard = HIT_SHARD.with(|shard| *shard);
            self.hits[shard].0.fetch_add(1, Ordering::Relaxed);
        }
        if access == Access::Normal {
            let usage = frame.usage.load(Ordering::Relaxed);
            if usage < USAGE_MOST {
                frame.usage.store(usage + 1, Ordering::Relaxed);
            }
        }
    }

    /// The page under a shared latch.
    #[inline]
    pub fn read(&self, id: PageId, access: Access) -> Result<ReadGuard<'_>> {
        let mut missed = false;
        loop {
            if let Some(frame) = self.resident(id)? {
                let data = frame.latch.read();
                if data.id == id {
                    self.touch(frame, access, missed);
                    return Ok(ReadGuard::new(data));
                }
            } else {
                self.load(id, access)?;
                missed = true;
            }
        }
    }

    /// The page under an exclusive latch.
    #[inline]
    pub fn write(&self, id: PageId, access: Access) -> Result<WriteGuard<'_>> {
        let mut missed = false;
        loop {
            if let Some(frame) = self.resident(id)? {
                let data = frame.latch.write();
                if data.id == id {
                    self.touch(frame, access, missed);
                    return Ok(WriteGuard::new(data, frame));
                }
            } else {
                self.load(id, access)?;
                missed = true;
            }
        }
    }

    /// A page whose old bytes do not matter (it was free), empty, under an exclusive latch.
    pub fn create(&self, id: PageId) -> Result<WriteGuard<'_>> {
        loop {
            if let Some(frame) = self.resident(id)? {
                let mut data = frame.latch.write();
                if data.id == id {
                    // Should it not be used after all, it is still what log before this LSN is done with.
                    let lsn = page::lsn(&data.page);
                    page::format(&mut data.page, id, PageKind::Free, 0);
                    page::set_lsn(&mut data.page, lsn);
                    data.versions = None;
                    self.touch(frame, Access::Normal, true);
                    return Ok(WriteGuard::new(data, frame));
                }
                continue;
            }
            let _loading = self.loading[id.0 as usize % LOAD_SHARDS].lock();
            if self.entry(id)?.load(Ordering::Acquire) != 0 {
                continue;
            }
            let (index, mut data, frame) = self.vacant()?;
            data.id = id;
            data.page.fill(0);
            data.versions = None;
            self.parked.lock().remove(&id);
            frame.usage.store(1, Ordering::Relaxed);
            self.entry(id)?.store(index as u32 + 1, Ordering::Release);
            return Ok(WriteGuard::new(data, frame));
        }
    }

    fn load(&self, id: PageId, access: Access) -> Result<()> {
        let _loading = self.loading[id.0 as usize % LOAD_SHARDS].lock();
        if self.entry(id)?.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let (index, mut data, frame) = self.vacant()?;
        self.misses.fetch_add(1, Ordering::Relaxed);
        let read = if access == Access::Redo {
            self.file.read_raw(id, &mut data.page).and_then(|()| {
                if page::is_blank(&data.page) { Ok(()) } else { page::verify(&data.page, id, PAGE_FILE) }
            })
        } else {
            self.file.read(id, &mut data.page)
        };
        read.and_then(|()| self.file.expect_newest(id, &data.page))?;
        // The log is flushed before the page is written: a page ahead of it means that the log lost its end.
        let (lsn, end) = (page::lsn(&data.page), self.log.end().0);
        if lsn > end {
            return Err(Error::corrupted(format!(
                "page {id} of file \"{PAGE_FILE}\" (offset {}) is ahead of the log: its position is {lsn}, the log ends at {end}",
                id.offset()
            )));
        }
        data.id = id;
        data.versions = self.parked.lock().remove(&id);
        frame.usage.store(u8::from(access != Access::Scan), Ordering::Relaxed);
        self.entry(id)?.store(index as u32 + 1, Ordering::Release);
        Ok(())
    }

    /// Says that the page's version table has just come to be.
    pub fn note_versions(&self, id: PageId) {
        self.versioned.lock().insert(id);
    }

    /// Has the sweeper look at a page with tombstones, or without entries, that has no version table.
    pub fn note_deletes(&self, id: PageId) -> Result<()> {
        self.note_versions(id);
        if self.is_resident(id) {
            let mut guard = self.write(id, Access::Scan)?;
            guard.versions_mut().get_or_insert_default().has_deletes = true;
        } else {
            self.parked.lock().entry(id).or_default().has_deletes = true;
        }
        Ok(())
    }

    /// The pages that may have version tables.
    pub fn versioned_pages(&self) -> Vec<PageId> {
        let mut pages: Vec<_> = self.versioned.lock().iter().copied().collect();
        pages.sort_unstable();
        pages
    }

    pub fn versioned_count(&self) -> usize {
        self.versioned.lock().len()
    }

    /// The page's table is empty and gone; call with the page latched or the table parked.
    pub fn forget_versions(&self, id: PageId) {
        self.versioned.lock().remove(&id);
    }

    /// The page under an exclusive latch if it is in memory and nobody holds it; `None` otherwise.
    pub fn try_write(&self, id: PageId) -> Result<Option<WriteGuard<'_>>> {
        let Some(frame) = self.resident(id)? else { return Ok(None) };
        let Some(data) = frame.latch.try_write() else { return Ok(None) };
        Ok((data.id == id).then(|| WriteGuard::new(data, frame)))
    }

    pub fn is_resident(&self, id: PageId) -> bool {
        self.entry(id).is_ok_and(|entry| entry.load(Ordering::Acquire) != 0)
    }

    /// Has the system fetch those of these pages that are not in memory, neighbours at once.
    pub fn prefetch(&self, ids: impl Iterator<Item = PageId>) {
        let mut run: Option<(PageId, u64)> = None;
        for id in ids.filter(|id| !self.is_resident(*id)) {
            match &mut run {
                Some((first, count)) if first.0 + *count == id.0 => *count += 1,
                _ => {
                    if let Some((first, count)) = run.replace((id, 1)) {
                        self.file.prefetch(first, count);
                    }
                }
            }
        }
        if let Some((first, count)) = run {
            self.file.prefetch(first, count);
        }
    }

    /// Works on the version table of a page that is not in memory; `None` when there is none parked.
    pub fn with_parked<R>(&self, id: PageId, work: impl FnOnce(&mut PageVersions) -> (R, bool)) -> Option<R> {
        let mut parked = self.parked.lock();
        let (result, drop_it) = work(parked.get_mut(&id)?);
        if drop_it {
            parked.remove(&id);
            self.forget_versions(id);
        }
        Some(result)
    }

    /// Page accesses that found the page in memory.
    pub fn hit_count(&self) -> u64 {
        self.hits.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }

    pub fn miss_count(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    pub fn written_count(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}
