//! Chooses what leaves memory, and writes changed pages back.
//!
//! `vacant` is called by a miss, `write_ahead` by the page writer, `write_back_all` and `oldest_change` by
//! checkpoints. The clock gives pages
//! that were used more than once several rounds, and pages that only scans touched none. A page is
//! written only after the log that describes it is durable, from a copy, without its latch being held.

use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::{RwLock, RwLockWriteGuard};
use types::sqlstate::SqlState;
use types::{Error, Result};

use super::pool::{Frame, FrameData, NO_PAGE, Pool};
use crate::page::{self, PageBytes, PageId};
use crate::wal::Lsn;

/// Changed pages that an eviction writes together.
const WRITE_TOGETHER: usize = 256;

impl Pool {
    /// A frame that holds no page, under its exclusive latch.
    pub(super) fn vacant(&self) -> Result<(usize, RwLockWriteGuard<'_, FrameData>, &Frame)> {
        let made = self.made.load(Ordering::Relaxed);
        if made < self.frames.len() {
            let index = self.made.fetch_add(1, Ordering::Relaxed);
            if let Some(cell) = self.frames.get(index) {
                let frame = cell.get_or_init(|| Frame {
                    latch: RwLock::new(FrameData { id: NO_PAGE, page: page::zeroed(), versions: None }),
                    rec_lsn: 0.into(),
                    writing_lsn: 0.into(),
                    usage: 0.into(),
                });
                return Ok((index, frame.latch.write(), frame));
            }
            self.made.store(self.frames.len(), Ordering::Relaxed);
        }
        let mut changed = Vec::new();
        let (mut steps, mut barren_rounds) = (0, 0);
        loop {
            if steps > self.frames.len() * 5 || changed.len() >= self.write_together() {
                // What was found changed is written and may leave in the next round.
                if self.write_back(&std::mem::take(&mut changed), false)? == 0 {
                    barren_rounds += 1;
                    if barren_rounds > 10_000 {
                        return Err(Error::internal("every page of the buffer pool is in use"));
                    }
                    std::thread::sleep(Duration::from_micros(50 * barren_rounds.min(20)));
                }
                steps = 0;
            }
            let index = self.hand.fetch_add(1, Ordering::Relaxed) % self.frames.len();
            steps += 1;
            let Some(frame) = self.frames[index].get() else { continue };
            let usage = frame.usage.load(Ordering::Relaxed);
            if usage > 0 {
                frame.usage.store(usage - 1, Ordering::Relaxed);
                continue;
            }
            if frame.writing_lsn.load(Ordering::SeqCst) != 0 {
                continue;
            }
            if frame.rec_lsn.load(Ordering::SeqCst) != 0 {
                if !changed.contains(&index) {
                    changed.push(index);
                }
                continue;
            }
            let Some(mut data) = frame.latch.try_write() else { continue };
            if frame.rec_lsn.load(Ordering::SeqCst) != 0 || frame.writing_lsn.load(Ordering::SeqCst) != 0 {
                continue;
            }
            if data.id != NO_PAGE {
                let id = std::mem::replace(&mut data.id, NO_PAGE);
                if let Some(versions) = data.versions.take() {
                    self.parked.lock().insert(id, versions);
                }
                self.entry(id)?.store(0, Ordering::Release);
            }
            return Ok((index, data, frame));
        }
    }

    /// How many frames may be claimed for writing at once: the others are left to those who need one.
    pub fn write_together(&self) -> usize {
        WRITE_TOGETHER.min(self.frames.len() / 4)
    }

    /// Writes the changed ones of these frames; returns how many. It waits for a latch only with `wait`, and
    /// then for a single frame: who holds the latch may be waiting for a frame that is claimed here.
    fn write_back(&self, frames: &[usize], wait: bool) -> Result<usize> {
        debug_assert!(!wait || frames.len() == 1);
        let mut copies: Vec<(PageId, Box<PageBytes>)> = Vec::with_capacity(frames.len());
        let mut taken = Vec::with_capacity(frames.len());
        let mut newest = Lsn::ZERO;
        for index in frames {
            let Some(frame) = self.frames[*index].get() else { continue };
            let data = if wait { Some(frame.latch.read()) } else { frame.latch.try_read() };
            let Some(data) = data else { continue };
            let rec_lsn = frame.rec_lsn.load(Ordering::SeqCst);
            if rec_lsn == 0 || data.id == NO_PAGE {
                continue;
            }
            // One writer at a time per frame, or an older copy could land on a newer one.
            if frame.writing_lsn.compare_exchange(0, rec_lsn, Ordering::SeqCst, Ordering::SeqCst).is_err() {
                continue;
            }
            frame.rec_lsn.store(0, Ordering::SeqCst);
            let mut copy = data.page.clone();
            let id = data.id;
            newest = newest.max(Lsn(page::lsn(&copy)));
            drop(data);
            page::seal(&mut copy);
            copies.push((id, copy));
            taken.push((frame, rec_lsn));
        }
        if copies.is_empty() {
            return Ok(0);
        }
        let result = self.log.flush(newest).and_then(|()| self.file.write(&copies));
        match &result {
            Ok(()) => {
                self.written.fetch_add(copies.len() as u64, Ordering::Relaxed);
            }
            // A full disk may get room again; of any other failure nobody knows what it left.
            Err(error) if error.code() == SqlState::DISK_FULL => {}
            Err(error) => self.log.fail(error.clone()),
        }
        for (frame, rec_lsn) in taken {
            if result.is_err() {
                let _ = frame.rec_lsn.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |_| Some(rec_lsn));
            }
            frame.writing_lsn.store(0, Ordering::SeqCst);
        }
        result.map(|()| copies.len())
    }

    /// Writes changed pages that the clock is about to reach, so that a miss rarely has to; returns how
    /// many. Does nothing while there are frames to spare. The caller holds no latch.
    pub fn write_ahead(&self) -> Result<usize> {
        if self.made.load(Ordering::Relaxed) < self.frames.len() {
            return Ok(0);
        }
        let hand = self.hand.load(Ordering::Relaxed);
        let mut changed = Vec::new();
        for step in 0..self.frames.len() / 4 {
            let index = (hand + step) % self.frames.len();
            let Some(frame) = self.frames[index].get() else { continue };
            let cold = frame.usage.load(Ordering::Relaxed) <= 1;
            if cold && frame.rec_lsn.load(Ordering::Relaxed) != 0 {
                changed.push(index);
                if changed.len() == self.write_together() {
                    break;
                }
            }
        }
        self.write_back(&changed, false)
    }

    /// Writes every page that is changed now. The caller holds no latch.
    pub fn write_back_all(&self) -> Result<()> {
        let made = self.made.load(Ordering::Relaxed).min(self.frames.len());
        let mut changed: Vec<(u64, usize)> = Vec::new();
        for index in 0..made {
            let Some(frame) = self.frames[index].get() else { continue };
            let lsn = frame.rec_lsn.load(Ordering::SeqCst);
            if lsn != 0 {
                changed.push((lsn, index));
            }
        }
        changed.sort_unstable();
        for batch in changed.chunks(self.write_together()) {
            let frames: Vec<usize> = batch.iter().map(|(_, index)| *index).collect();
            self.write_back(&frames, false)?;
            for (lsn, index) in batch {
                // Somebody held it: now wait for it, with nothing claimed.
                if self.frames[*index].get().is_some_and(|f| f.rec_lsn.load(Ordering::SeqCst) == *lsn) {
                    self.write_back(&[*index], true)?;
                }
            }
        }
        Ok(())
    }

    /// The LSN from which on some page in memory is ahead of its file; `otherwise` when none is.
    pub fn oldest_change(&self, otherwise: Lsn) -> Lsn {
        let made = self.made.load(Ordering::Relaxed).min(self.frames.len());
        let mut oldest = otherwise.0;
        for index in 0..made {
            let Some(frame) = self.frames[index].get() else { continue };
            for lsn in [&frame.rec_lsn, &frame.writing_lsn] {
                let lsn = lsn.load(Ordering::SeqCst);
                if lsn != 0 {
                    oldest = oldest.min(lsn);
                }
            }
        }
        Lsn(oldest)
    }
}
