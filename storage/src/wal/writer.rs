//! Appends records, and flushes them in groups.
//!
//! Appended to by whoever changes a page, under that page's latch. One log-writer thread takes whatever
//! has gathered, writes and syncs it, and begins again at once when more is wanted (no timer): those who
//! commit during a flush share the next. A record is framed by
//!
//! ```text
//! length u32 · checksum u32 · checksum of the record before u32 · body (record.rs)
//! ```
//!
//! where length counts the frame and the checksum covers the record's own LSN, so that neither a stale
//! record of a recycled segment nor one beyond a torn neighbour is taken for part of the log.
//! After a failed write or sync nothing is appended any more, for good: what the disk holds is unknown.
//!
//! A full disk is another matter. A record is accepted only when the segments that will hold it are there, and
//! with them the room to take back every change of the open transactions (`Room`): who asks for more is told
//! 53100, with nothing changed, while rollbacks, commits and checkpoints go on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use types::sqlstate::SqlState;
use types::{Error, Result};

use super::Lsn;
use super::segment::Segments;
use crate::page::crc32c;

/// Bytes before a record's body.
pub const FRAME: usize = 12;
/// Written out (not synced) without being asked.
const WRITE_AT: usize = 1 << 20;
/// Appenders wait for the writer beyond this.
const BUFFER_MOST: usize = 16 << 20;
/// Kept back besides what is owed: for the structure changes of undo and for checkpoints.
const KEPT_LEAST: u64 = 64 << 10;
/// At most so much is kept back for undo. A transaction that owes more may have to wait for room when it rolls
/// back on a full disk.
const OWED_MOST: u64 = 256 << 20;
/// How long the log writer waits before it tries again on a full disk.
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// What room in the log a record may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// What nobody else may come to need; taking the record back needs up to `owes` bytes.
    Free { owes: u64 },
    /// What was kept back: the record undoes or ends what owed `pays` bytes.
    Kept { pays: u64 },
}

/// Told, in log order and by the log-writer thread, when a record is durable.
pub trait OnDurable: Send + Sync {
    fn durable(&self, end: Lsn);
    /// The log has failed: it will never be known to be durable.
    fn failed(&self);
}

struct State {
    /// Stream bytes from `start` on that the writer has not taken yet.
    buffer: Vec<u8>,
    start: u64,
    last_checksum: u32,
    pending: VecDeque<(u64, Arc<dyn OnDurable>)>,
    /// Wanted on disk, wanted durable: up to here.
    write_to: u64,
    sync_to: u64,
    stopping: bool,
    /// Segments are there up to here.
    ready: u64,
    /// What the open transactions may need to be undone.
    owed: u64,
    /// Why the log writer cannot write for now: the disk is full.
    full: Option<Error>,
}

/// What the log writer did.
enum Step {
    Worked,
    Idle,
    Failed,
}

pub struct Log {
    segments: Segments,
    /// There is no log-writer thread: whoever waits for the log writes it.
    inline: bool,
    state: Mutex<State>,
    /// Wakes the log writer.
    work: Condvar,
    /// Wakes those who wait for `written` or `flushed`.
    progress: Condvar,
    written: AtomicU64,
    flushed: AtomicU64,
    flushes: AtomicU64,
    failure: OnceLock<Error>,
    /// Kept back besides what is owed.
    kept: AtomicU64,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The checksum of a record at `lsn` that follows one with checksum `before`.
pub fn record_checksum(lsn: u64, before: u32, body: &[u8]) -> u32 {
    mix(lsn, before, (body.len() + FRAME) as u32, crc32c(body))
}

fn mix(lsn: u64, before: u32, length: u32, body: u32) -> u32 {
    let mut bytes = [0u8; 20];
    bytes[..8].copy_from_slice(&lsn.to_le_bytes());
    bytes[8..12].copy_from_slice(&before.to_le_bytes());
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    bytes[16..].copy_from_slice(&body.to_le_bytes());
    crc32c(&bytes)
}

impl Log {
    /// Goes on after the record that ends at `end` and has checksum `last_checksum`.
    /// With `inline` there is no log-writer thread: whoever waits for the log writes it, which makes one
    /// caller's doings deterministic.
    pub fn start(segments: Segments, end: Lsn, last_checksum: u32, inline: bool) -> Result<Arc<Log>> {
        let log = Arc::new(Log {
            segments,
            inline,
            state: Mutex::new(State {
                buffer: Vec::with_capacity(WRITE_AT * 2),
                start: end.0,
                last_checksum,
                pending: VecDeque::new(),
                write_to: end.0,
                sync_to: end.0,
                stopping: false,
                ready: end.0,
                owed: 0,
                full: None,
            }),
            work: Condvar::new(),
            progress: Condvar::new(),
            written: AtomicU64::new(end.0),
            flushed: AtomicU64::new(end.0),
            flushes: AtomicU64::new(0),
            failure: OnceLock::new(),
            kept: AtomicU64::new(KEPT_LEAST),
            thread: Mutex::new(None),
        });
        if inline {
            return Ok(log);
        }
        let writer = log.clone();
        let thread = std::thread::Builder::new()
            .name("log writer".into())
            .spawn(move || writer.run())
            .map_err(|e| Error::io("could not start the log writer", &e))?;
        *log.thread.lock() = Some(thread);
        Ok(log)
    }

    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// The end of everything appended so far.
    pub fn end(&self) -> Lsn {
        let state = self.state.lock();
        Lsn(state.start + state.buffer.len() as u64)
    }

    pub fn flush_count(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    /// 58030 (or 53100) once a write or sync of the log has failed.
    pub fn check_healthy(&self) -> Result<()> {
        match self.failure.get() {
            None => Ok(()),
            Some(error) => Err(Error::new(
                error.code(),
                format!(
                    "the store takes no more writes since its log could not be written: {}",
                    error.message()
                ),
            )
            .with_hint("Repair the disk and restart; recovery keeps every acknowledged commit.")),
        }
    }

    /// Says how long the last checkpoint's record was: the next must find room.
    pub fn keep_for_checkpoint(&self, length: u64) {
        self.kept.store(KEPT_LEAST + 2 * length, Ordering::Relaxed);
    }

    /// Has the segments ready that will be needed next. 53100 when there is no room for them.
    pub fn prepare_ahead(&self) -> Result<()> {
        let need = {
            let state = self.state.lock();
            state.start + state.buffer.len() as u64 + self.kept_back(&state)
        };
        self.make_ready(self.segments.end_of(self.segments.number(need) + 1))
    }

    fn kept_back(&self, state: &State) -> u64 {
        state.owed.min(OWED_MOST) + self.kept.load(Ordering::Relaxed)
    }

    /// Gets the segments for positions below `need`.
    fn make_ready(&self, need: u64) -> Result<()> {
        let mut ready = self.state.lock().ready;
        while ready < need {
            let number = self.segments.number(ready);
            if let Err(error) = self.segments.prepare(number) {
                // A file of which it is unknown what of it is on disk must never hold the log.
                if error.code() != SqlState::DISK_FULL {
                    self.fail(error.clone());
                }
                return Err(error);
            }
            let mut state = self.state.lock();
            state.ready = state.ready.max(self.segments.end_of(number));
            ready = state.ready;
        }
        Ok(())
    }

    /// Poisons the store: see the header.
    pub fn fail(&self, error: Error) {
        if self.failure.set(error.clone()).is_ok() {
            tracing::error!(%error, "the store takes no more writes");
        }
        let _state = self.state.lock();
        self.progress.notify_all();
        self.work.notify_all();
    }

    /// Appends `body`. `note` runs with the record's start and end while no other record can follow: what
    /// a checkpoint must see as one with the record belongs there.
    /// 53100 when there is no room for it, with nothing appended.
    pub fn append(&self, body: &[u8], room: Room, note: impl FnOnce(Lsn, Lsn)) -> Result<(Lsn, Lsn)> {
        self.append_inner(body, room, None, note)
    }

    /// Like `append`; `hook` is told when the record is durable.
    pub fn append_commit(
        &self,
        body: &[u8],
        room: Room,
        hook: Arc<dyn OnDurable>,
        note: impl FnOnce(Lsn, Lsn),
    ) -> Result<(Lsn, Lsn)> {
        self.append_inner(body, room, Some(hook), note)
    }

    fn append_inner(
        &self,
        body: &[u8],
        room: Room,
        hook: Option<Arc<dyn OnDurable>>,
        note: impl FnOnce(Lsn, Lsn),
    ) -> Result<(Lsn, Lsn)> {
        let body_checksum = crc32c(body);
        let length = (body.len() + FRAME) as u32;
        let mut state = self.state.lock();
        while self.failure.get().is_none() {
            if let (Some(full), Room::Free { .. }) = (&state.full, room) {
                return Err(full.clone());
            }
            if state.buffer.len() > BUFFER_MOST {
                if let Some(full) = &state.full {
                    return Err(full.clone());
                }
                state.write_to = state.start + state.buffer.len() as u64;
                state = self.progress(state);
                continue;
            }
            let mut need = state.start + state.buffer.len() as u64 + u64::from(length);
            if let Room::Free { owes } = room {
                need += self.kept_back(&state) + owes;
            }
            if need <= state.ready {
                break;
            }
            drop(state);
            self.make_ready(need)?;
            state = self.state.lock();
        }
        if self.failure.get().is_some() {
            drop(state);
            self.check_healthy()?;
            return Err(Error::internal("the log has failed without an error"));
        }
        let lsn = state.start + state.buffer.len() as u64;
        let before = state.last_checksum;
        let checksum = mix(lsn, before, length, body_checksum);
        state.buffer.extend_from_slice(&length.to_le_bytes());
        state.buffer.extend_from_slice(&checksum.to_le_bytes());
        state.buffer.extend_from_slice(&before.to_le_bytes());
        state.buffer.extend_from_slice(body);
        state.last_checksum = checksum;
        let end = lsn + u64::from(length);
        match room {
            Room::Free { owes } => state.owed += owes,
            Room::Kept { pays } => state.owed = state.owed.saturating_sub(pays),
        }
        note(Lsn(lsn), Lsn(end));
        if let Some(hook) = hook {
            state.pending.push_back((end, hook));
            state.sync_to = end;
            self.work.notify_one();
            if self.inline {
                drop(state);
                self.work_here();
            }
        } else if state.buffer.len() >= WRITE_AT && state.write_to < state.start + WRITE_AT as u64 {
            state.write_to = end;
            self.work.notify_one();
        }
        Ok((Lsn(lsn), Lsn(end)))
    }

    /// Runs `look` while nothing can be appended, with the end of the log.
    pub fn frozen<R>(&self, look: impl FnOnce(Lsn) -> R) -> R {
        let state = self.state.lock();
        look(Lsn(state.start + state.buffer.len() as u64))
    }

    /// Returns once the log up to `lsn` is durable. Sleeps the thread.
    pub fn flush(&self, lsn: Lsn) -> Result<()> {
        if self.flushed.load(Ordering::Acquire) >= lsn.0 {
            return Ok(());
        }
        let mut state = self.state.lock();
        loop {
            if self.flushed.load(Ordering::Acquire) >= lsn.0 {
                return Ok(());
            }
            if self.failure.get().is_some() {
                drop(state);
                return self.check_healthy();
            }
            if let Some(full) = &state.full {
                return Err(full.clone());
            }
            if state.sync_to < lsn.0 {
                state.sync_to = lsn.0;
            }
            state = self.progress(state);
        }
    }

    /// Returns once the log up to `lsn` can be read from the segments. Sleeps the thread.
    pub fn write_out(&self, lsn: Lsn) -> Result<()> {
        let mut state = self.state.lock();
        loop {
            if self.written.load(Ordering::Acquire) >= lsn.0 {
                return Ok(());
            }
            if self.failure.get().is_some() {
                drop(state);
                return self.check_healthy();
            }
            if let Some(full) = &state.full {
                return Err(full.clone());
            }
            if state.write_to < lsn.0 {
                state.write_to = lsn.0;
            }
            state = self.progress(state);
        }
    }

    /// Flushes the rest and ends the log-writer thread.
    pub fn stop(&self) {
        {
            let mut state = self.state.lock();
            state.stopping = true;
            self.work.notify_all();
        }
        if self.inline {
            return self.work_here();
        }
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }

    /// Writes, and on a disk that is full although there was room (it copies on write, or others took what
    /// it had promised) tries again until there is.
    fn write_with_patience(&self, start: u64, bytes: &[u8]) -> Result<()> {
        loop {
            let result = self.segments.write(start, bytes);
            let mut state = self.state.lock();
            match result {
                Err(error) if error.code() == SqlState::DISK_FULL && !state.stopping && !self.inline => {
                    if state.full.is_none() {
                        tracing::warn!(%error, "the log waits for room on the disk");
                    }
                    state.full = Some(error);
                    self.progress.notify_all();
                    self.work.wait_for(&mut state, FULL_PAUSE);
                }
                result => {
                    state.full = None;
                    return result;
                }
            }
        }
    }

    fn run(&self) {
        let mut spare: Vec<u8> = Vec::with_capacity(WRITE_AT * 2);
        let mut state = self.state.lock();
        loop {
            let step;
            (state, step) = self.step(state, &mut spare);
            match step {
                Step::Failed => return,
                Step::Worked => {}
                Step::Idle if state.stopping => return,
                Step::Idle => self.work.wait(&mut state),
            }
        }
    }

    /// Without a log-writer thread: does its work here and now.
    fn work_here(&self) {
        let mut state = self.state.lock();
        loop {
            let step;
            (state, step) = self.step(state, &mut Vec::new());
            if !matches!(step, Step::Worked) {
                return;
            }
        }
    }

    /// Sleeps until the log writer has got on, or does its work.
    fn progress<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if self.inline {
            drop(state);
            self.work_here();
            return self.state.lock();
        }
        self.work.notify_one();
        self.progress.wait(&mut state);
        state
    }

    /// Writes, and syncs if somebody wants it, what has gathered.
    fn step<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        spare: &mut Vec<u8>,
    ) -> (MutexGuard<'s, State>, Step) {
        if self.failure.get().is_some() {
            // Nothing is appended after the failure, so these are all who wait.
            let pending = std::mem::take(&mut state.pending);
            self.progress.notify_all();
            drop(state);
            for (_, hook) in pending {
                hook.failed();
            }
            return (self.state.lock(), Step::Failed);
        }
        let written = self.written.load(Ordering::Relaxed);
        let flushed = self.flushed.load(Ordering::Relaxed);
        let sync = state.sync_to > flushed;
        if !(sync || state.write_to > written) {
            return (state, Step::Idle);
        }
        let start = state.start;
        let taken = std::mem::replace(&mut state.buffer, std::mem::take(spare));
        let end = start + taken.len() as u64;
        state.start = end;
        drop(state);

        let mut result = self.write_with_patience(start, &taken);
        if sync && result.is_ok() {
            result = self.segments.sync(flushed, end);
            self.flushes.fetch_add(1, Ordering::Relaxed);
        }
        *spare = taken;
        spare.clear();
        if let Err(error) = result {
            self.fail(Error::new(SqlState::IO_ERROR, error.message()));
            return (self.state.lock(), Step::Worked);
        }
        self.written.store(end, Ordering::Release);
        let mut state = self.state.lock();
        let mut due = Vec::new();
        if sync {
            self.flushed.store(end, Ordering::Release);
            while state.pending.front().is_some_and(|(lsn, _)| *lsn <= end) {
                due.extend(state.pending.pop_front());
            }
        }
        self.progress.notify_all();
        if !due.is_empty() {
            drop(state);
            for (lsn, hook) in due {
                hook.durable(Lsn(lsn));
            }
            state = self.state.lock();
        }
        (state, Step::Worked)
    }
}
