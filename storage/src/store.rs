//! The store: one directory of trees, a log, and the transactions over them.
//!
//! Called by the executor (through [`Transaction`]) and by the server (open, close, statistics). One
//! process opens a directory at a time; everything here may be called from any thread.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use types::sqlstate::SqlState;
use types::{Error, Result};

use crate::btree::check::check_tree;
use crate::buffer::Pool;
use crate::buffer::double_write::{DOUBLE_WRITE_FILE, PAGE_FILE, PageFile};
use crate::control::{CONTROL_FILE, Control, ControlData, TEMPORARY};
use crate::directory::{self, DIRECTORY, DIRECTORY_ROOT, OVERFLOW_BIT};
use crate::disk::file::{DirectoryLock, FileDisk, Ways};
use crate::disk::{Disk, LogSync, checked};
use crate::engine::Engine;
use crate::mvcc::advisory::{AdvisoryKey, SessionLocks};
use crate::mvcc::table_lock::TableLock;
use crate::page::PageId;
use crate::pager::Pager;
use crate::recovery;
use crate::space::{GROUP, Space};
use crate::transaction::{Transaction, TransactionOptions};
use crate::undo::TxState;
use crate::wal::segment::{Segments, number_of};
use crate::wal::{Log, Lsn};

/// One ordered map of records: a table clustered by its key, or an index.
///
/// Ids are given out by [`Transaction::create_tree`] and never reused. 1 to 99 are reserved for the layer
/// above (the catalog's system trees): they exist in every store, empty, from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TreeId(pub u64);

impl TreeId {
    /// The first id that `create_tree` gives out.
    pub const FIRST_USER: TreeId = TreeId(100);

    /// The tree whose long records it holds, or itself.
    pub fn owner(self) -> TreeId {
        TreeId(self.0 & !OVERFLOW_BIT)
    }
}

/// How to open a store. `StoreOptions::new(dir)` has the defaults.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub directory: PathBuf,
    /// Memory for page frames; the data may be far larger.
    pub buffer_size_bytes: usize,
    /// A checkpoint begins when this much log was written since the last one.
    pub checkpoint_log_bytes: u64,
    /// Size of one log segment file.
    pub segment_size_bytes: u64,
    /// How commits become durable.
    pub log_sync: LogSync,
    /// Pages are read and written past the system's cache (O_DIRECT).
    pub direct_pages: bool,
    /// Threads do the upkeep. Without them the caller does ([`Store::upkeep`]), and one thread's calls always
    /// do the same: for simulations.
    pub background: bool,
}

/// A piece of the work that background threads do otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// The checkpointer's round: log files for what is to come, rollbacks that wait for room, a checkpoint if
    /// there is enough log.
    Checkpointer,
    /// Old versions, tombstones and dropped trees go.
    Sweeper,
    /// Changed pages are written ahead of the clock's hand.
    PageWriter,
}

impl StoreOptions {
    pub fn new(directory: impl Into<PathBuf>) -> StoreOptions {
        StoreOptions {
            directory: directory.into(),
            buffer_size_bytes: 256 << 20,
            checkpoint_log_bytes: 512 << 20,
            segment_size_bytes: 16 << 20,
            log_sync: LogSync::default(),
            direct_pages: false,
            background: true,
        }
    }
}

/// Live figures; the counters count from `open`.
#[derive(Clone, Debug, Default)]
pub struct StoreStats {
    pub buffer_hits: u64,
    pub buffer_misses: u64,
    pub pages_written: u64,
    pub pages_allocated: u64,
    /// The log's end: bytes of log ever written, about.
    pub log_end: u64,
    pub log_flushes: u64,
    pub commits: u64,
    pub rollbacks: u64,
    pub checkpoints: u64,
    /// Pages that carry version information now.
    pub versioned_pages: u64,
    pub writing_transactions: u64,
}

/// What [`Store::check`] found; `problems` is empty in a sound store.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    pub trees: u64,
    pub pages: u64,
    pub records: u64,
    /// Trees that users of the store have made.
    pub made: Vec<TreeId>,
    /// One line each, naming tree and page.
    pub problems: Vec<String>,
}

/// An open directory. Dropping the last `Arc` without [`Store::close`] is like a crash: safe, but the
/// next open has the log to replay.
pub struct Store {
    engine: Arc<Engine>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stop: Arc<Stop>,
    closed: Mutex<bool>,
    lock: Mutex<Option<DirectoryLock>>,
}

/// Tells the background threads to end.
#[derive(Default)]
struct Stop {
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Sleeps; true when it is time to end.
    fn sleep(&self, time: Duration) -> bool {
        let mut stopping = self.stopping.lock();
        if !*stopping {
            self.changed.wait_for(&mut stopping, time);
        }
        *stopping
    }
}

const CHECKPOINT_LOOK: Duration = Duration::from_millis(50);
const UNDO_LOOK: Duration = Duration::from_millis(20);
const WRITER_PAUSE: Duration = Duration::from_millis(10);
/// The page writer goes on at once as long as it finds so many pages to write.
const WRITER_LEAST: usize = 64;
const SWEEP_PAUSE: Duration = Duration::from_millis(20);
/// The sweeper rests this many times as long as it works.
const SWEEP_REST: u32 = 10;

/// What a lock is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LockSubject {
    Table(u64),
    Advisory(AdvisoryKey),
    Transaction(u64),
}

/// One lock, held or waited for.
#[derive(Clone, Copy, Debug)]
pub struct LockInfo {
    pub subject: LockSubject,
    /// PostgreSQL's name, such as `AccessShareLock`.
    pub mode: &'static str,
    pub process_id: i32,
    /// Of the holder.
    pub transaction: u64,
    pub granted: bool,
}

impl Store {
    /// Opens the store in `options.directory`, creating it when the directory is missing or empty, and
    /// recovers what a crash left behind.
    ///
    /// F0001 when another process has it open; 22023 (with a hint) when the format version is foreign or
    /// the directory is not empty and not ours; XX001 when a page or the log is damaged; 58030 on I/O errors;
    /// 0A000 where the file system has no direct I/O and `direct_pages` asks for it.
    pub fn open(options: StoreOptions) -> Result<Arc<Store>> {
        let directory = &options.directory;
        let disk = FileDisk::new(directory, ways(&options))
            .map_err(|e| Error::io(format!("could not create directory \"{}\"", directory.display()), &e))?;
        refuse_foreign(&disk, directory)?;
        let lock = DirectoryLock::take(directory)?;
        disk.probe()?;
        Store::open_disk(Arc::new(disk), &options, Some(lock))
    }

    /// As `open`, on another disk (tests: `disk::sim::SimDisk`); `options.directory` is not looked at.
    pub fn open_on(disk: Arc<dyn Disk>, options: &StoreOptions) -> Result<Arc<Store>> {
        Store::open_disk(disk, options, None)
    }

    fn open_disk(
        disk: Arc<dyn Disk>,
        options: &StoreOptions,
        lock: Option<DirectoryLock>,
    ) -> Result<Arc<Store>> {
        let names = checked("list", "the data directory", disk.list())?;
        let engine = if names.iter().any(|name| name == CONTROL_FILE) {
            open_existing(disk, options)?
        } else {
            create(disk, &names, options)?
        };
        let store = Arc::new(Store {
            engine: Arc::new(engine),
            threads: Mutex::new(Vec::new()),
            stop: Arc::new(Stop::default()),
            closed: Mutex::new(false),
            lock: Mutex::new(lock),
        });
        if options.background {
            store.start_threads()?;
        }
        Ok(store)
    }

    fn start_threads(&self) -> Result<()> {
        let spawn = |name: &str, work: fn(&Engine, &Stop)| {
            let (engine, stop) = (self.engine.clone(), self.stop.clone());
            std::thread::Builder::new()
                .name(name.into())
                .spawn(move || work(&engine, &stop))
                .map_err(|e| Error::io(format!("could not start the {name}"), &e))
        };
        let mut threads = self.threads.lock();
        threads.push(spawn("checkpointer", checkpointer)?);
        threads.push(spawn("sweeper", sweeper)?);
        threads.push(spawn("page writer", page_writer)?);
        threads.push(spawn("undo", undo)?);
        self.engine.undoes_later();
        Ok(())
    }

    fn stop_threads(&self) {
        *self.stop.stopping.lock() = true;
        self.stop.changed.notify_all();
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }

    /// True when `directory` holds a store (whatever its version).
    pub fn exists(directory: &Path) -> bool {
        directory.join(CONTROL_FILE).exists()
    }

    /// Begins a transaction; it rolls back when dropped without commit.
    pub fn begin(self: &Arc<Store>, options: TransactionOptions) -> Transaction {
        Transaction::new(self.clone(), options)
    }

    /// A holder of advisory locks beyond transactions, for the session with this process id.
    pub fn session_locks(self: &Arc<Store>, process_id: i32) -> SessionLocks {
        SessionLocks::new(self.clone(), process_id)
    }

    /// Locks held and waited for: tables, advisory locks, and transactions for the rows they have written.
    pub fn locks(&self) -> Vec<LockInfo> {
        let mut found = Vec::new();
        let engine = &self.engine;
        let info = |subject, mode: &'static str, tx: &TxState, granted| LockInfo {
            subject,
            mode,
            process_id: tx.process_id(),
            transaction: tx.id,
            granted,
        };
        engine.table_locks.each(|table, tx, bit, granted| {
            found.push(info(LockSubject::Table(*table), TableLock::name_of(bit), tx, granted));
        });
        engine.advisory.each(|key, tx, bit, granted| {
            found.push(info(LockSubject::Advisory(*key), TableLock::name_of(bit), tx, granted));
        });
        for tx in engine.active.writing() {
            found.push(info(LockSubject::Transaction(tx.id), "ExclusiveLock", &tx, true));
        }
        for (process_id, transaction) in engine.waits.row_waits() {
            let subject = LockSubject::Transaction(transaction);
            found.push(LockInfo { subject, mode: "ShareLock", process_id, transaction, granted: false });
        }
        found
    }

    /// The process ids that the session `process_id` waits for; empty when it does not wait.
    pub fn blocking(&self, process_id: i32) -> Vec<i32> {
        self.engine.waits.blocking(process_id)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes every changed page and a checkpoint, then releases the directory. Transactions still
    /// open are lost (rolled back by the next open).
    pub fn close(&self) -> Result<()> {
        let mut closed = self.closed.lock();
        if *closed {
            return Ok(());
        }
        *closed = true;
        self.stop_threads();
        let clean = self.engine.active.writing().is_empty();
        // Nothing tells the next process where tombstones are. Without room they stay: no harm but to that.
        if clean && let Err(error) = self.engine.sweep() {
            tracing::debug!(%error, "tombstones stay in a store that is being closed");
        }
        let result = self.engine.checkpoint(clean);
        self.engine.pager.log.stop();
        *self.lock.lock() = None;
        result
    }

    /// Makes a checkpoint now (CHECKPOINT).
    pub fn checkpoint(&self) -> Result<()> {
        self.engine.checkpoint(false)
    }

    /// Does one round of what a background thread would.
    pub fn upkeep(&self, upkeep: Upkeep) -> Result<()> {
        match upkeep {
            Upkeep::Checkpointer => {
                self.engine.checkpointer_round().and_then(|()| self.engine.settle_unfinished(|| true))
            }
            Upkeep::Sweeper => self.engine.sweep().map(|_| ()),
            Upkeep::PageWriter => self.engine.pager.pool.write_ahead().map(|_| ()),
        }
    }

    /// Live figures.
    pub fn stats(&self) -> StoreStats {
        let engine = &self.engine;
        let pool = &engine.pager.pool;
        StoreStats {
            buffer_hits: pool.hit_count(),
            buffer_misses: pool.miss_count(),
            pages_written: pool.written_count(),
            pages_allocated: engine.pager.space.allocated(),
            log_end: engine.pager.log.end().0,
            log_flushes: engine.pager.log.flush_count(),
            commits: engine.active.commits.load(Ordering::Relaxed),
            rollbacks: engine.active.rollbacks.load(Ordering::Relaxed),
            checkpoints: engine.checkpoints.load(Ordering::Relaxed),
            versioned_pages: pool.versioned_count() as u64,
            writing_transactions: engine.active.writing().len() as u64,
        }
    }

    /// Pages of `tree`, for costing and relation sizes; 0 for an unknown tree. Long records count.
    pub fn tree_pages(&self, tree: TreeId) -> u64 {
        let pages = |id| {
            let tree = self.engine.directory.find(id);
            tree.map_or(0, |tree| tree.pages.load(Ordering::Relaxed).max(0) as u64)
        };
        pages(tree.0) + pages(tree.0 | OVERFLOW_BIT)
    }

    /// About how many records `tree` holds, uncommitted ones included; 0 for an unknown tree.
    pub fn tree_records(&self, tree: TreeId) -> u64 {
        let tree = self.engine.directory.find(tree.0);
        tree.map_or(0, |tree| tree.records.load(Ordering::Relaxed).max(0) as u64)
    }

    /// Bytes of all data files, log included.
    pub fn size_bytes(&self) -> Result<u64> {
        let disk = &self.engine.disk;
        let mut size = 0;
        for name in checked("list", "the data directory", disk.list())? {
            if name == PAGE_FILE || name == DOUBLE_WRITE_FILE || number_of(&name).is_some() {
                match disk.open(&name, false) {
                    Ok(file) => size += checked("stat", &name, file.size())?,
                    // The log's files come and go.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => return Err(crate::disk::failed("open", &name, &error)),
                }
            }
        }
        Ok(size)
    }

    /// Verifies the structure of every tree and that exactly the pages in use are allocated. Best called
    /// while nothing writes: what changes meanwhile is reported as a problem.
    pub fn check(&self) -> Result<CheckReport> {
        let engine = &self.engine;
        // The sweeper would change the trees meanwhile.
        let _sweeping = engine.sweeping.lock();
        let mut report = CheckReport::default();
        let mut used: HashSet<PageId> = HashSet::new();
        for tree in engine.directory.all() {
            let before = used.len();
            let records = check_tree(&tree, &engine.pager, &mut used, &mut report.problems)?;
            if tree.id != DIRECTORY {
                report.trees += 1;
                report.records += records;
            }
            if tree.id >= directory::FIRST_USER && tree.id & OVERFLOW_BIT == 0 {
                report.made.push(TreeId(tree.id));
            }
            let pages = (used.len() - before) as i64;
            let counted = tree.pages.load(Ordering::Relaxed);
            if pages != counted && tree.id != DIRECTORY {
                tracing::debug!(tree = tree.id, pages, counted, "page count is off");
            }
        }
        let groups = engine.pager.space.groups();
        used.extend((0..groups).map(|group| PageId(group * GROUP)));
        report.pages = used.len() as u64;
        for id in &used {
            if !engine.pager.space.is_allocated(*id) {
                report.problems.push(format!("page {id} is in use and not allocated"));
            }
        }
        for id in (0..groups * GROUP).map(PageId) {
            if engine.pager.space.is_allocated(id) && !used.contains(&id) {
                report.problems.push(format!("page {id} is allocated and not in use"));
            }
        }
        Ok(report)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !*self.closed.get_mut() {
            self.stop_threads();
            self.engine.pager.log.stop();
        }
    }
}

fn ways(options: &StoreOptions) -> Ways {
    let is_direct: fn(&str) -> bool = |name| name == PAGE_FILE || name == DOUBLE_WRITE_FILE;
    Ways {
        is_log: |name| number_of(name).is_some(),
        log_sync: options.log_sync,
        is_direct: options.direct_pages.then_some(is_direct),
    }
}

/// Names that a store makes.
fn is_ours(name: &str) -> bool {
    name.starts_with("cairn.") || number_of(name).is_some()
}

/// 22023 for a directory with other things in it: it is taken for a mistake.
fn refuse_foreign(disk: &FileDisk, directory: &Path) -> Result<()> {
    let names = checked("list", "the data directory", disk.list())?;
    if names.iter().any(|name| name == CONTROL_FILE) {
        return Ok(());
    }
    let Some(foreign) = names.iter().find(|name| !is_ours(name) && *name != "lost+found") else {
        return Ok(());
    };
    Err(Error::new(
        SqlState::INVALID_PARAMETER_VALUE,
        format!("directory \"{}\" exists but is not empty and holds no cairn database", directory.display()),
    )
    .with_detail(format!("It contains \"{foreign}\"."))
    .with_hint("Name another directory, or remove what is in it."))
}

fn create(disk: Arc<dyn Disk>, names: &[String], options: &StoreOptions) -> Result<Engine> {
    let made = |name: &&String| *name == PAGE_FILE || *name == DOUBLE_WRITE_FILE || number_of(name).is_some();
    if let Some(found) = names.iter().find(made)
        && !names.iter().any(|name| name == TEMPORARY)
    {
        return Err(Error::corrupted(format!("file \"{CONTROL_FILE}\" is missing beside \"{found}\""))
            .with_hint("Put the file back, or restore a backup. Nothing was changed."));
    }
    Control::announce(&*disk)?;
    // What an interrupted creation has left.
    for name in names.iter().filter(made) {
        checked("remove", name, disk.remove(name))?;
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let store_id = now.as_nanos() as u64 ^ u64::from(std::process::id()) << 48;
    let file = PageFile::open(&*disk, true)?;
    checked("fsync", "the data directory", disk.sync_dir())?;
    let segments = Segments::new(disk.clone(), options.segment_size_bytes, store_id);
    let start = Lsn(segments.first_lsn());
    let log = Log::start(segments, start, 0, !options.background)?;
    let built = (|| {
        let pager = Pager {
            pool: Pool::new(file, log.clone(), options.buffer_size_bytes),
            log: log.clone(),
            space: Space::empty(),
        };
        // The log must hold a checkpoint before the control file can point at it.
        let data = ControlData {
            generation: 1,
            store_id,
            segment_size: options.segment_size_bytes,
            checkpoint: start,
            clean: false,
        };
        let root = pager.space.reserve();
        assert_eq!(root, DIRECTORY_ROOT, "the first page after the bitmap is the directory's root");
        let control = Control::prepare(&*disk, data)?;
        let engine = Engine::new(disk.clone(), control, pager, options.checkpoint_log_bytes, false);
        engine.keep_room()?;
        engine.format_root(DIRECTORY, root)?;
        engine.active.reset(1, engine.pager.log.end());
        engine.checkpoint(false)?;
        engine.control.lock().publish(&*disk)?;
        Ok(engine)
    })();
    if built.is_err() {
        log.stop();
    }
    built
}

fn open_existing(disk: Arc<dyn Disk>, options: &StoreOptions) -> Result<Engine> {
    let control = Control::open(&*disk)?;
    let data = control.data;
    let file = PageFile::open(&*disk, false)?;
    let repaired = file.repair()?;
    if repaired > 0 {
        tracing::warn!(pages = repaired, "repaired torn pages from the double-write file");
    }
    let segments = Segments::new(disk.clone(), data.segment_size, data.store_id);
    if !data.clean {
        tracing::info!(checkpoint = %data.checkpoint, "the store was not closed in good order; recovering");
    }
    let found = recovery::analyse(&segments, data.checkpoint)?;
    if !data.clean {
        // What a killed process wrote and did not sync may be in the system's cache only; from now on it counts as
        // durable.
        segments.sync(found.checkpoint.redo.min(data.checkpoint).0, found.end.0)?;
    }
    let log = Log::start(segments, found.end, found.last_checksum, !options.background)?;
    let built = (|| {
        let pager = Pager {
            pool: Pool::new(file, log.clone(), options.buffer_size_bytes),
            log: log.clone(),
            space: Space::empty(),
        };
        let engine = Engine::new(disk, control, pager, options.checkpoint_log_bytes, true);
        engine.keep_room()?;
        engine.recover(&found)?;
        engine.checkpoint(false)?;
        Ok(engine)
    })();
    if built.is_err() {
        log.stop();
    }
    built
}

/// Checkpoints by log volume, and has the next log file ready before it is needed.
fn checkpointer(engine: &Engine, stop: &Stop) {
    let mut was_full = false;
    while !stop.sleep(CHECKPOINT_LOOK) {
        if engine.pager.log.check_healthy().is_err() {
            continue;
        }
        match engine.checkpointer_round() {
            Err(error) if error.code() == SqlState::DISK_FULL => {
                if !was_full {
                    tracing::warn!(%error, "the disk has no room for the log to come");
                }
                was_full = true;
            }
            Err(error) => tracing::error!(%error, "checkpoint failed"),
            Ok(()) => {
                if was_full {
                    tracing::info!("the disk has room again");
                }
                was_full = false;
            }
        }
    }
}

/// Completes rollbacks that sessions have left.
fn undo(engine: &Engine, stop: &Stop) {
    let mut pause = UNDO_LOOK;
    while !stop.sleep(pause) {
        pause = UNDO_LOOK;
        if engine.pager.log.check_healthy().is_err() {
            continue;
        }
        let result = engine.settle_unfinished(|| !*stop.stopping.lock());
        if let Err(error) = result {
            pause = Duration::from_secs(1);
            if error.code() != SqlState::DISK_FULL {
                tracing::error!(%error, "rollback failed; the next start finishes it");
            } else if let Err(error) = engine.checkpoint_for_room() {
                tracing::debug!(%error, "no checkpoint for a rollback that waits for room");
            }
        }
    }
}

/// Keeps pages that can leave at once ahead of those who need frames.
fn page_writer(engine: &Engine, stop: &Stop) {
    while !stop.sleep(WRITER_PAUSE) {
        if engine.pager.log.check_healthy().is_err() {
            continue;
        }
        // Fewer than this are not worth two syncs yet.
        let mut worthwhile = true;
        while worthwhile {
            worthwhile = match engine.pager.pool.write_ahead() {
                Ok(written) => written >= WRITER_LEAST && !*stop.stopping.lock(),
                Err(error) => {
                    if error.code() != SqlState::DISK_FULL {
                        tracing::error!(%error, "writing pages failed");
                    }
                    false
                }
            };
        }
    }
}

fn sweeper(engine: &Engine, stop: &Stop) {
    let mut pause = SWEEP_PAUSE;
    while !stop.sleep(pause) {
        pause = SWEEP_PAUSE;
        let idle = engine.pager.pool.versioned_count() == 0 && !engine.has_drops();
        if idle || engine.pager.log.check_healthy().is_err() {
            continue;
        }
        let started = Instant::now();
        if let Err(error) = engine.sweep() {
            // The checkpointer says when the disk is full.
            if error.code() != SqlState::DISK_FULL {
                tracing::error!(%error, "removal of old versions failed");
            }
            pause = Duration::from_secs(1);
        }
        pause = pause.max(started.elapsed() * SWEEP_REST);
    }
}
