//! `--goals`: the store against what it promises itself, and against the disk below it.
//!
//! Called by `main.rs`. Inserts in key order, by processor time; one durable commit beside a bare write and
//! fdatasync of as many bytes, in turn on the same disk; many committers beside one; a scan of a tree that
//! was written in random order and is four times the cache, with the system's cache emptied before each.

use std::fs::File;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use storage::{
    Direction, InsertOutcome, KeyRange, RecordSink, Store, StoreOptions, TransactionOptions, TreeId,
};

use crate::engine::Result;

const BATCH: u64 = 10_000;
const VALUE: [u8; 100] = [7; 100];
/// Commits in a row before the bare writes have their turn.
const TURN: usize = 25;
const COMMITTERS: u64 = 64;

pub struct Goals<'a> {
    pub directory: &'a Path,
    pub records: u64,
    pub memory_bytes: usize,
    pub runs: usize,
    pub seconds: f64,
}

/// Seconds of processor time that this process has used.
fn processor_seconds() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    // utime and stime, in hundredths.
    Ok((ticks(11) + ticks(12)) / 100.0)
}

fn median(mut figures: Vec<f64>) -> (f64, f64) {
    figures.sort_by(f64::total_cmp);
    let middle = figures[figures.len() / 2];
    (middle, (figures[figures.len() - 1] - figures[0]) / middle * 100.0)
}

fn print(what: &str, figures: Vec<f64>, unit: &str) {
    let (middle, spread) = median(figures);
    println!("{what:<58}{middle:>14.2} {unit} (spread {spread:.0} %)");
}

fn insert(store: &Arc<Store>, keys: impl Iterator<Item = u64>) -> Result<()> {
    let tx = store.begin(TransactionOptions::default());
    for key in keys {
        if tx.insert(TreeId(1), &key.to_be_bytes(), &VALUE)? != InsertOutcome::Done {
            return Err("a key came twice".into());
        }
    }
    Ok(tx.commit()?)
}

/// Runs all of it and prints a line each.
pub fn measure(goals: &Goals<'_>) -> Result<()> {
    sequential(goals)?;
    commits(goals)?;
    scans(goals)
}

fn options(goals: &Goals<'_>, name: &str) -> StoreOptions {
    StoreOptions { buffer_size_bytes: goals.memory_bytes, ..StoreOptions::new(goals.directory.join(name)) }
}

fn sequential(goals: &Goals<'_>) -> Result<()> {
    let (mut by_clock, mut by_processor) = (Vec::new(), Vec::new());
    for run in 0..goals.runs {
        let store = Store::open(options(goals, &format!("sequential{run}")))?;
        let (started, processor) = (Instant::now(), processor_seconds()?);
        for first in (0..goals.records).step_by(BATCH as usize) {
            insert(&store, first..goals.records.min(first + BATCH))?;
        }
        by_clock.push(goals.records as f64 / 1e6 / started.elapsed().as_secs_f64());
        by_processor.push(goals.records as f64 / 1e6 / (processor_seconds()? - processor).max(0.01));
        store.close()?;
    }
    print("inserts in order, 10,000 a commit", by_clock, "M/s");
    print("the same, by the processor time of all threads", by_processor, "M/s");
    Ok(())
}

fn commits(goals: &Goals<'_>) -> Result<()> {
    let store = Store::open(options(goals, "commits"))?;
    insert(&store, 0..1000)?;
    let next = AtomicU64::new(1_000_000);
    let commit = || insert(&store, std::iter::once(next.fetch_add(1, Ordering::Relaxed)));
    // The same bytes at the same kind of place: a file that is written already.
    let before = store.stats().log_end;
    for _ in 0..100 {
        commit()?;
    }
    let bytes = vec![7u8; ((store.stats().log_end - before) / 100) as usize];
    let file = File::create(goals.directory.join("bare"))?;
    file.write_all_at(&vec![0; 16 << 20], 0)?;
    file.sync_all()?;
    let mut at = 64;
    let mut bare = || -> std::io::Result<()> {
        file.write_all_at(&bytes, at)?;
        at = (at + bytes.len() as u64) % (15 << 20);
        file.sync_data()
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let end = Instant::now() + Duration::from_secs_f64(goals.seconds * goals.runs as f64);
    while Instant::now() < end {
        for _ in 0..TURN {
            let started = Instant::now();
            commit()?;
            ours.push(started.elapsed().as_secs_f64() * 1e6);
        }
        for _ in 0..TURN {
            let started = Instant::now();
            bare()?;
            theirs.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    let ratio = median(ours.clone()).0 / median(theirs.clone()).0;
    println!("one durable commit ({} bytes of log), median of {}", bytes.len(), ours.len());
    print("  commit", ours, "µs");
    print("  bare write and fdatasync", theirs, "µs");
    println!("{:<58}{ratio:>14.2} ×", "  ratio");

    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..goals.runs {
        for (threads, rates) in [(1, &mut alone), (COMMITTERS, &mut together)] {
            rates.push(committers(&commit, threads, goals.seconds)?);
        }
    }
    let ratio = median(together.clone()).0 / median(alone.clone()).0;
    print("commits of one thread", alone, "/s");
    print("commits of 64 threads", together, "/s");
    println!("{:<58}{ratio:>14.1} ×", "  ratio");
    store.close()?;
    Ok(())
}

fn committers(commit: &(impl Fn() -> Result<()> + Sync), threads: u64, seconds: f64) -> Result<f64> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| -> std::result::Result<(), String> {
                    while !stop.load(Ordering::Relaxed) {
                        commit().map_err(|error| error.to_string())?;
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs_f64(seconds));
        stop.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}

struct Count(u64);

impl RecordSink for Count {
    const NEEDS_KEY: bool = false;

    fn record(&mut self, _key: &[u8], record: &[u8]) -> types::Result<bool> {
        self.0 += u64::from(std::hint::black_box(record[0]) == 7);
        Ok(true)
    }
}

fn scans(goals: &Goals<'_>) -> Result<()> {
    let directory = goals.directory.join("scans");
    let data = goals.records as usize * 128;
    let store = Store::open(StoreOptions { buffer_size_bytes: data, ..StoreOptions::new(&directory) })?;
    let scattered = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for first in (0..goals.records).step_by(BATCH as usize) {
        insert(&store, (first..goals.records.min(first + BATCH)).map(scattered))?;
    }
    store.close()?;
    let store = Store::open(StoreOptions { buffer_size_bytes: data / 4, ..StoreOptions::new(&directory) })?;
    // Backward scans do not read ahead: what that is worth is the difference.
    let (mut cold, mut warm, mut backward) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..3 * goals.runs {
        let (rates, direction) = match run % 3 {
            0 => (&mut cold, Direction::Forward),
            1 => (&mut warm, Direction::Forward),
            _ => (&mut backward, Direction::Backward),
        };
        if run % 3 != 1 {
            let pages = File::open(directory.join("cairn.pages"))?;
            pages.sync_all()?;
            let all = NonZeroU64::new(pages.metadata()?.len());
            rustix::fs::fadvise(&pages, 0, all, rustix::fs::Advice::DontNeed)?;
        }
        let tx = store.begin(TransactionOptions::default());
        let mut count = Count(0);
        let mut scan = tx.scan(TreeId(1), KeyRange::all(), direction)?;
        let started = Instant::now();
        while scan.fill(&mut count)? {}
        let rate = goals.records as f64 / 1e6 / started.elapsed().as_secs_f64();
        if count.0 != goals.records {
            return Err(format!("a scan found {} of {} records", count.0, goals.records).into());
        }
        rates.push(rate);
    }
    print("scan of four times the cache, from the disk: records", cold, "M/s");
    print("the same backward, which does not read ahead: records", backward, "M/s");
    print("the same forward, from the system's cache: records", warm, "M/s");
    store.close()?;
    Ok(())
}
