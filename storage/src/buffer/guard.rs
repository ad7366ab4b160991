//! Holding a page: a latch with the page behind it.
//!
//! The latch is the pin: a frame is only taken away under its exclusive latch. Whoever changes a page
//! says so first (`WriteGuard::dirty`), so that no checkpoint overlooks the log record to come.

use std::sync::atomic::Ordering;

use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

use super::pool::{Frame, FrameData};
use crate::page::{self, PageBytes, PageId};
use crate::undo::PageVersions;
use crate::wal::{Log, Lsn};

/// Counts the latches a thread holds, so that debug builds can refuse to wait with one.
#[derive(Debug)]
pub struct Held;

#[cfg(debug_assertions)]
thread_local! {
    static HELD: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Held {
    #[inline]
    pub fn new() -> Held {
        #[cfg(debug_assertions)]
        HELD.with(|held| held.set(held.get() + 1));
        Held
    }

    /// Panics, in debug builds, when this thread holds a latch.
    #[inline]
    pub fn assert_none() {
        #[cfg(debug_assertions)]
        HELD.with(|held| assert_eq!(held.get(), 0, "a statement waits while it holds page latches"));
    }
}

impl Default for Held {
    fn default() -> Held {
        Held::new()
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        #[cfg(debug_assertions)]
        HELD.with(|held| held.set(held.get() - 1));
    }
}

/// A page that nobody changes meanwhile.
pub struct ReadGuard<'a> {
    data: RwLockReadGuard<'a, FrameData>,
    _held: Held,
}

impl<'a> ReadGuard<'a> {
    pub(super) fn new(data: RwLockReadGuard<'a, FrameData>) -> ReadGuard<'a> {
        ReadGuard { data, _held: Held::new() }
    }

    #[inline]
    pub fn page(&self) -> &PageBytes {
        &self.data.page
    }

    #[inline]
    pub fn versions(&self) -> Option<&PageVersions> {
        self.data.versions.as_deref()
    }

    pub fn id(&self) -> PageId {
        self.data.id
    }
}

/// A page that nobody else sees meanwhile.
pub struct WriteGuard<'a> {
    data: RwLockWriteGuard<'a, FrameData>,
    frame: &'a Frame,
    _held: Held,
}

impl<'a> WriteGuard<'a> {
    pub(super) fn new(data: RwLockWriteGuard<'a, FrameData>, frame: &'a Frame) -> WriteGuard<'a> {
        WriteGuard { data, frame, _held: Held::new() }
    }

    #[inline]
    pub fn page(&self) -> &PageBytes {
        &self.data.page
    }

    /// The bytes, to change them: after `dirty`, together with an appended log record.
    #[inline]
    pub fn page_mut(&mut self) -> &mut PageBytes {
        &mut self.data.page
    }

    pub fn versions(&self) -> Option<&PageVersions> {
        self.data.versions.as_deref()
    }

    /// The version table's place; a table put there must be registered (`Pool::note_versions`).
    pub fn versions_mut(&mut self) -> &mut Option<Box<PageVersions>> {
        &mut self.data.versions
    }

    pub fn id(&self) -> PageId {
        self.data.id
    }

    /// Announces a change. Comes before the append of its record. True when the page was unchanged so far:
    /// if the append fails, `clean` takes the announcement back.
    #[inline]
    pub fn dirty(&self, log: &Log) -> bool {
        if self.frame.rec_lsn.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.frame.rec_lsn.store(log.end().0.max(1), Ordering::SeqCst);
        true
    }

    /// Takes back what `dirty` announced and did not happen.
    pub fn clean(&self) {
        self.frame.rec_lsn.store(0, Ordering::SeqCst);
    }

    /// As `dirty`, during recovery, for the record at `lsn`.
    pub fn dirty_at(&self, lsn: Lsn) {
        if self.frame.rec_lsn.load(Ordering::Relaxed) == 0 {
            self.frame.rec_lsn.store(lsn.0.max(1), Ordering::SeqCst);
        }
    }

    /// The change is in the log up to `end`.
    #[inline]
    pub fn set_lsn(&mut self, end: Lsn) {
        page::set_lsn(&mut self.data.page, end.0);
    }
}
