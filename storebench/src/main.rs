//! `cargo bench-store`: the store under load, in process, printed beside redb, fjall and SQLite.
//!
//! Every store gets the same keys, values, threads and memory, one store after the other, on the same disk.
//! Loads are sequential and scattered, then point reads, scans, single commits, batches and a mix. The table
//! has operations (or records) a second: the median of the runs, and their spread.

mod cairn;
mod engine;
#[cfg(feature = "others")]
mod fjall;
mod goals;
#[cfg(feature = "others")]
mod redb;
#[cfg(feature = "others")]
mod sqlite;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use storage::disk::sim::Rng;

use crate::engine::{Engine, NAMES, Result};

/// Records of one load commit.
const LOAD_BATCH: u64 = 10_000;
/// Records of one `batch` commit.
const BATCH: u64 = 1_000;
/// Point reads that share a snapshot in `get`.
const READS: u64 = 100;
/// Records of a short scan.
const SHORT_SCAN: u64 = 100;

/// Measures ordered stores side by side.
#[derive(Debug, Parser)]
#[command(name = "storebench")]
struct Options {
    /// Which stores; all that were built without it.
    #[arg(long, value_delimiter = ',')]
    engines: Vec<String>,
    /// Which workloads: get, lookup, short-scan, full-scan, put, batch, mixed; all without it.
    #[arg(long, value_delimiter = ',')]
    workloads: Vec<String>,
    /// Numbers of threads to try.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16")]
    threads: Vec<u64>,
    /// Records loaded.
    #[arg(long, default_value = "1000000", value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// Bytes of each value.
    #[arg(long, default_value = "100", value_parser = clap::value_parser!(u16).range(1..=3000))]
    value: u16,
    /// Cache of each store in MiB. The data are records × (value + 8); choose a quarter of that to measure
    /// what does not fit.
    #[arg(long, default_value = "1024", value_parser = clap::value_parser!(u64).range(1..))]
    memory: u64,
    /// Seconds of each run.
    #[arg(long, default_value = "1")]
    seconds: f64,
    /// Runs of each workload.
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Measures the store's own goals instead, with a bare disk beside it.
    #[arg(long)]
    goals: bool,
    /// Where the files lie while it runs; the system's temporary directory without it.
    #[arg(long)]
    directory: Option<PathBuf>,
}

#[derive(Clone, Copy)]
struct Workload {
    name: &'static str,
    what: &'static str,
    /// One step of thread `thread`: returns how many operations it was.
    step: fn(&mut dyn engine::Session, &mut Keys) -> Result<u64>,
}

/// Where a thread takes its keys from.
struct Keys {
    rng: Rng,
    records: u64,
    value: Vec<u8>,
    chosen: Vec<u64>,
}

impl Keys {
    fn choose(&mut self, count: u64) {
        self.chosen.clear();
        self.chosen.extend((0..count).map(|_| self.rng.below(self.records)));
        self.value[0] = self.value[0].wrapping_add(1) % 250;
    }
}

fn read(session: &mut dyn engine::Session, keys: &mut Keys, count: u64) -> Result<u64> {
    keys.choose(count);
    let found = session.read(&keys.chosen)?;
    if found == count { Ok(count) } else { Err(format!("{found} of {count} records found").into()) }
}

fn put(session: &mut dyn engine::Session, keys: &mut Keys, count: u64) -> Result<u64> {
    keys.choose(count);
    // One order for all, or writers of the same keys would wait for each other in a circle.
    keys.chosen.sort_unstable();
    keys.chosen.dedup();
    session.put(&keys.chosen, &keys.value)?;
    Ok(keys.chosen.len() as u64)
}

const WORKLOADS: [Workload; 7] = [
    Workload { name: "get", what: "point reads, 100 a snapshot", step: |s, keys| read(s, keys, READS) },
    Workload { name: "lookup", what: "point reads, each its own snapshot", step: |s, keys| read(s, keys, 1) },
    Workload {
        name: "short-scan",
        what: "records of scans of 100",
        step: |session, keys| {
            let from = keys.rng.below(keys.records.saturating_sub(SHORT_SCAN).max(1));
            session.scan(from, SHORT_SCAN)
        },
    },
    Workload { name: "full-scan", what: "records", step: |session, _| session.scan(0, u64::MAX) },
    Workload { name: "put", what: "durable commits of one update", step: |s, keys| put(s, keys, 1) },
    Workload { name: "batch", what: "updates, 1,000 a durable commit", step: |s, keys| put(s, keys, BATCH) },
    Workload {
        name: "mixed",
        what: "operations: 95 point reads for 5 updates (one commit)",
        step: |session, keys| Ok(read(session, keys, 95)? + put(session, keys, 5)?),
    },
];

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storebench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let engines: Vec<&str> = match options.engines.as_slice() {
        [] => NAMES.to_vec(),
        chosen => chosen.iter().map(String::as_str).collect(),
    };
    if let Some(name) = options.workloads.iter().find(|name| WORKLOADS.iter().all(|w| w.name != **name)) {
        return Err(format!("no workload named \"{name}\"").into());
    }
    if options.goals {
        let scratch = match &options.directory {
            Some(directory) => tempfile::tempdir_in(directory)?,
            None => tempfile::tempdir()?,
        };
        return goals::measure(&goals::Goals {
            directory: scratch.path(),
            records: options.records,
            memory_bytes: (options.memory << 20) as usize,
            runs: usize::from(options.runs),
            seconds: options.seconds,
        });
    }
    let data_mib = (options.records * (u64::from(options.value) + 8)) >> 20;
    println!(
        "{} records of 8 + {} bytes ({data_mib} MiB), {} MiB of cache, {} runs of {} s; a second:",
        options.records, options.value, options.memory, options.runs, options.seconds
    );
    println!("{:<8}{:<14}{:>8}{:>14}{:>10}", "store", "workload", "threads", "median", "spread");
    for name in engines {
        let scratch = match &options.directory {
            Some(directory) => tempfile::tempdir_in(directory)?,
            None => tempfile::tempdir()?,
        };
        measure(name, scratch.path(), options)?;
    }
    for workload in WORKLOADS {
        println!("{}: {}", workload.name, workload.what);
    }
    Ok(())
}

fn measure(name: &str, directory: &std::path::Path, options: &Options) -> Result<()> {
    let memory = (options.memory << 20) as usize;
    let value = vec![7; usize::from(options.value)];
    for scattered in [true, false] {
        let part = directory.join(if scattered { "scattered" } else { "sequential" });
        std::fs::create_dir(&part)?;
        let engine = engine::open(name, &part, memory)?;
        let rate = load(&*engine, options.records, &value, scattered)?;
        let workload = if scattered { "load random" } else { "load in order" };
        println!("{name:<8}{workload:<14}{:>8}{rate:>14.0}{:>10}", 1, "");
        if scattered {
            drop(engine);
            std::fs::remove_dir_all(&part)?;
            continue;
        }
        for workload in WORKLOADS {
            if !options.workloads.is_empty() && options.workloads.iter().all(|w| w != workload.name) {
                continue;
            }
            for threads in &options.threads {
                engine.settle();
                let mut rates = Vec::new();
                for run in 0..options.runs {
                    rates.push(repeat(&*engine, workload, *threads, u64::from(run), options, &value)?);
                }
                rates.sort_by(f64::total_cmp);
                let median = rates[rates.len() / 2];
                let spread = (rates[rates.len() - 1] - rates[0]) / median * 100.0;
                println!("{name:<8}{:<14}{threads:>8}{median:>14.0}{spread:>9.0}%", workload.name);
            }
        }
    }
    Ok(())
}

/// Puts the records there; returns how many a second. Commits of 10,000, the last of them durable.
fn load(engine: &dyn Engine, records: u64, value: &[u8], scattered: bool) -> Result<f64> {
    let mut session = engine.session()?;
    let started = Instant::now();
    let mut keys = Vec::new();
    // A step that shares no factor with the number of records visits each once.
    let mut step = if scattered { (0x9e37_79b9_7f4a_7c15 % records) | 1 } else { 1 };
    while gcd(step, records) != 1 {
        step += 2;
    }
    let mut at = 0;
    for first in (0..records).step_by(LOAD_BATCH as usize) {
        keys.clear();
        for _ in first..records.min(first + LOAD_BATCH) {
            keys.push(at);
            at = (at + step) % records;
        }
        session.put(&keys, value)?;
    }
    Ok(records as f64 / started.elapsed().as_secs_f64())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Operations a second of `threads` threads together.
fn repeat(
    engine: &dyn Engine,
    workload: Workload,
    threads: u64,
    seed: u64,
    options: &Options,
    value: &[u8],
) -> Result<f64> {
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let (stop, done) = (&stop, &done);
    let started = Instant::now();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || -> std::result::Result<(), String> {
                    let work = || -> Result<()> {
                        let mut session = engine.session()?;
                        let mut keys = Keys {
                            rng: Rng::new(1 + thread + seed * 1000),
                            records: options.records,
                            value: value.to_vec(),
                            chosen: Vec::new(),
                        };
                        while !stop.load(Ordering::Relaxed) {
                            let count = (workload.step)(&mut *session, &mut keys)?;
                            done.fetch_add(count, Ordering::Relaxed);
                        }
                        Ok(())
                    };
                    work().map_err(|error| error.to_string())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs_f64(options.seconds));
        stop.store(true, Ordering::Relaxed);
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })?;
    // Threads end after their last step, so the time is taken when all have.
    Ok(done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64())
}
