//! The terminals: each enters one transaction after another until the time is up.
//!
//! Called by `main.rs`, once per server and round. Few threads, each with a runtime of its own and its share of
//! the terminals, so that the client takes little from a server on the same machine. 40001 and 40P01 are tried
//! again with the same input; any other error ends the run.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{mpsc, watch};
use tokio_postgres::Config;

use crate::chance::Chance;
use crate::cpu;
use crate::ledger::Ledger;
use crate::local::LocalServer;
use crate::scale::{DISTRICTS, Scale};
use crate::transaction::{Ending, Input, Isolation, Kind, Place, Session, attempt};
use crate::{Error, Result};

/// A transaction that fails so often is stuck, and that is an error.
const MOST_TRIES: u32 = 1_000;

/// The longest pause before another try; the first ones are shorter.
const LONGEST_PAUSE_MS: i32 = 64;

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    pub scale: Scale,
    pub clients: u32,
    pub threads: u32,
    pub isolation: Isolation,
    /// Keying and thinking times (5.2.5); without them a terminal is never idle.
    pub think: bool,
    pub seed: u64,
    /// Runs before the time counts; what it commits is in the ledger, but in no figure.
    pub warmup: Duration,
    pub duration: Duration,
}

/// The figures of one transaction.
#[derive(Debug, Clone)]
pub struct Tally {
    /// µs from entering to the commit's (or wanted rollback's) answer, all tries and pauses included.
    pub latency: Histogram<u64>,
    pub rolled_back: u64,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The time that counted.
    pub duration: Duration,
    /// In the order of [`Kind::ALL`].
    pub tallies: Vec<Tally>,
    /// Tries that failed, each tried again; the warm-up's too.
    pub errors: BTreeMap<(Kind, String), u64>,
    pub ledger: Ledger,
    /// What the server's processes used meanwhile, where we know which they are.
    pub cpu: Option<Duration>,
}

impl Outcome {
    fn new() -> Result<Outcome> {
        let mut tallies = Vec::new();
        for _ in Kind::ALL {
            let latency = Histogram::new(3).map_err(|e| Error::new(e.to_string()))?;
            tallies.push(Tally { latency, rolled_back: 0 });
        }
        let (errors, ledger) = (BTreeMap::new(), Ledger::default());
        Ok(Outcome { duration: Duration::ZERO, tallies, errors, ledger, cpu: None })
    }

    fn tally(&mut self, kind: Kind) -> &mut Tally {
        &mut self.tallies[kind as usize]
    }

    /// Adds another part: a terminal's, or a round's.
    pub fn add(&mut self, other: Outcome) -> Result<()> {
        for (mine, theirs) in self.tallies.iter_mut().zip(other.tallies) {
            mine.latency.add(theirs.latency).map_err(|e| Error::new(e.to_string()))?;
            mine.rolled_back += theirs.rolled_back;
        }
        for (key, count) in other.errors {
            *self.errors.entry(key).or_default() += count;
        }
        self.ledger.add(other.ledger);
        self.duration += other.duration;
        if let (Some(mine), Some(theirs)) = (self.cpu, other.cpu) {
            self.cpu = Some(mine + theirs);
        }
        Ok(())
    }

    /// Transactions that ended as they should.
    pub fn transactions(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.latency.len()).sum()
    }

    /// Committed New-Orders a minute. The wanted rollbacks do not count, other than in 5.4.2.
    pub fn tpmc(&self) -> f64 {
        let new_orders = &self.tallies[Kind::NewOrder as usize];
        let committed = new_orders.latency.len() - new_orders.rolled_back;
        committed as f64 * 60.0 / self.duration.as_secs_f64().max(1e-9)
    }

    pub fn cpu_us_per_transaction(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() * 1e6 / self.transactions().max(1) as f64)
    }
}

/// What the terminals share.
struct Control {
    /// Somebody failed: end after the current transaction.
    stop: AtomicBool,
    /// The server is being killed: a broken connection is no failure any more.
    killed: AtomicBool,
    new_orders: AtomicU64,
}

/// When the terminals begin, when the time counts from, and when it ends (never, when the server is to be killed).
#[derive(Debug, Clone, Copy)]
struct Times {
    counted_from: Instant,
    end: Option<Instant>,
}

/// Runs the terminals. With `kill`, the server is killed after `plan.duration`, under full load.
pub async fn run(
    plan: &Plan,
    name: &str,
    config: &Config,
    pid: Option<u32>,
    kill: Option<&mut LocalServer>,
) -> Result<Outcome> {
    let control = Arc::new(Control {
        stop: AtomicBool::new(false),
        killed: AtomicBool::new(false),
        new_orders: AtomicU64::new(0),
    });
    let (ready, mut all_ready) = mpsc::unbounded_channel();
    let (go, gone) = watch::channel(None);
    let threads: Vec<_> = (0..plan.threads.clamp(1, plan.clients))
        .map(|thread| {
            let (plan, config, control) = (plan.clone(), config.clone(), Arc::clone(&control));
            let (ready, gone) = (ready.clone(), gone.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(terminals(thread, plan, config, control, ready, gone))
            })
        })
        .collect();
    drop(ready);
    let mut opened = 0;
    while opened < plan.clients && all_ready.recv().await.is_some() {
        opened += 1;
    }
    let mut cpu = None;
    let mut duration = plan.duration;
    if opened == plan.clients {
        let counted_from = Instant::now() + plan.warmup;
        let end = counted_from + plan.duration;
        let _ = go.send(Some(Times { counted_from, end: kill.is_none().then_some(end) }));
        let before = wait_until(counted_from, name, &control, pid).await;
        let after = wait_until(end, name, &control, pid).await;
        duration = counted_from.elapsed();
        if let Some(server) = kill {
            control.killed.store(true, Ordering::SeqCst);
            server.kill()?;
        }
        cpu = before.zip(after).map(|(before, after)| after.saturating_sub(before));
    }
    drop(go); // who still waits for the start need not any more
    let mut outcome = Outcome::new()?;
    let mut failure = None;
    for thread in threads {
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined.map_err(|_| Error::new("a terminal thread was lost"))? {
            Ok(Ok(part)) => outcome.add(part)?,
            Ok(Err(error)) => failure = failure.or(Some(error)),
            Err(_) => failure = failure.or(Some(Error::new("a terminal panicked"))),
        }
    }
    if let Some(error) = failure {
        return Err(error.within(name));
    }
    (outcome.duration, outcome.cpu) = (duration, cpu);
    Ok(outcome)
}

/// Shows on stderr how it goes, until `end` or a failure; returns the CPU time used by then.
async fn wait_until(end: Instant, name: &str, control: &Control, pid: Option<u32>) -> Option<Duration> {
    let terminal = std::io::stderr().is_terminal();
    let pause = Duration::from_secs(if terminal { 1 } else { 10 });
    let (mut shown, mut seen) = (Instant::now(), control.new_orders.load(Ordering::Relaxed));
    while Instant::now() < end && !control.stop.load(Ordering::Relaxed) {
        let left = end.saturating_duration_since(Instant::now());
        tokio::time::sleep(left.min(Duration::from_millis(100))).await;
        if shown.elapsed() >= pause {
            let now = control.new_orders.load(Ordering::Relaxed);
            let rate = (now - seen) as f64 * 60.0 / shown.elapsed().as_secs_f64();
            let line = format!("{name}: {:>4} s left  {rate:>9.0} tpmC", left.as_secs());
            let mut stderr = std::io::stderr().lock();
            // Progress is a courtesy: a closed stderr must not end the run.
            let _ = if terminal { write!(stderr, "\r{line}  \r") } else { writeln!(stderr, "{line}") };
            (shown, seen) = (Instant::now(), now);
        }
    }
    pid.and_then(cpu::used_by)
}

/// One thread's terminals: those whose number leaves `thread` when divided by the number of threads.
async fn terminals(
    thread: u32,
    plan: Plan,
    config: Config,
    control: Arc<Control>,
    ready: mpsc::UnboundedSender<()>,
    mut go: watch::Receiver<Option<Times>>,
) -> Result<Outcome> {
    let threads = plan.threads.clamp(1, plan.clients);
    let mut sessions = Vec::new();
    for number in (thread..plan.clients).step_by(threads as usize) {
        sessions.push((number, Session::open(&config, plan.isolation).await?));
        let _ = ready.send(());
    }
    drop(ready);
    if go.changed().await.is_err() {
        return Outcome::new(); // another thread could not connect, and says so
    }
    let Some(times) = *go.borrow() else { return Outcome::new() };
    let plan = Arc::new(plan);
    let tasks: Vec<_> = sessions
        .into_iter()
        .map(|(number, session)| {
            let (plan, control) = (Arc::clone(&plan), Arc::clone(&control));
            tokio::spawn(async move {
                let ended = terminal(number, &session, &plan, &control, times).await;
                if ended.is_err() {
                    control.stop.store(true, Ordering::Relaxed);
                }
                ended
            })
        })
        .collect();
    let mut outcome = Outcome::new()?;
    for task in tasks {
        outcome.add(task.await.map_err(|_| Error::new("a terminal panicked"))??)?;
    }
    Ok(outcome)
}

async fn terminal(
    number: u32,
    session: &Session,
    plan: &Plan,
    control: &Control,
    times: Times,
) -> Result<Outcome> {
    let warehouses = plan.scale.warehouses as u32;
    let place = Place {
        warehouse: (number % warehouses) as i32 + 1,
        district: (number / warehouses % DISTRICTS as u32) as i32 + 1,
    };
    let mut chance = Chance::new(plan.seed, 1_000_000 + u64::from(number));
    let mut outcome = Outcome::new()?;
    let over = || control.stop.load(Ordering::Relaxed) || times.end.is_some_and(|end| Instant::now() >= end);
    while !over() {
        let kind = Kind::draw(&mut chance);
        if plan.think && !pause(kind.keying_seconds(), times).await {
            break;
        }
        let input = Input::draw(kind, place, &plan.scale, &mut chance);
        let start = Instant::now();
        let rolled_back = match perform(session, kind, &input, control, &mut chance, &mut outcome).await? {
            Done::Committed => false,
            Done::RolledBack => true,
            Done::ServerKilled => break,
        };
        let now = Instant::now();
        if now >= times.counted_from && times.end.is_none_or(|end| now <= end) {
            let latency_us = (now - start).as_micros() as u64;
            let tally = outcome.tally(kind);
            tally.latency.record(latency_us).map_err(|e| Error::new(e.to_string()))?;
            tally.rolled_back += u64::from(rolled_back);
        }
        if kind == Kind::NewOrder && !rolled_back {
            control.new_orders.fetch_add(1, Ordering::Relaxed);
        }
        // 5.2.5.4: a negative exponential distribution, cut at ten times its mean.
        let seconds = kind.thinking_seconds() * (-(1.0 - chance.fraction()).ln()).min(10.0);
        if plan.think && !pause(seconds, times).await {
            break;
        }
    }
    Ok(outcome)
}

/// Sleeps; false when the run is over before that.
async fn pause(seconds: f64, times: Times) -> bool {
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let end = times.end.unwrap_or(until);
    tokio::time::sleep_until(until.min(end).into()).await;
    until < end
}

enum Done {
    Committed,
    RolledBack,
    ServerKilled,
}

/// One transaction, tried until it ends as it should.
async fn perform(
    session: &Session,
    kind: Kind,
    input: &Input,
    control: &Control,
    chance: &mut Chance,
    outcome: &mut Outcome,
) -> Result<Done> {
    for tries in 1..=MOST_TRIES {
        let error = match attempt(session, input).await {
            Ending::Committed(effect) => {
                outcome.ledger.acknowledged(effect);
                return Ok(Done::Committed);
            }
            Ending::RolledBack => return Ok(Done::RolledBack),
            Ending::Unknown(effect, error) => {
                outcome.ledger.unknown(effect);
                error
            }
            Ending::Failed(error) => error,
        };
        if error.disconnected && control.killed.load(Ordering::SeqCst) {
            return Ok(Done::ServerKilled);
        }
        if !error.is_transient() {
            return Err(error.within(format!("{} {input:?}", kind.name())));
        }
        let code = error.sqlstate.as_ref().map_or("", |state| state.code());
        *outcome.errors.entry((kind, code.to_owned())).or_default() += 1;
        if control.stop.load(Ordering::Relaxed) {
            break;
        }
        let most = LONGEST_PAUSE_MS.min(1 << tries.min(10));
        let pause_us = chance.within(0, most * 1_000);
        tokio::time::sleep(Duration::from_micros(pause_us as u64)).await;
    }
    Err(Error::new(format!("gave up after {MOST_TRIES} tries")).within(format!("{} {input:?}", kind.name())))
}
