//! `cargo tpcc`: loads TPC-C into a server, runs its transactions, checks its conditions, prints the figures.
//!
//! The exit status is 0 when no transaction failed for good, every condition holds and everything
//! acknowledged is there; 1 otherwise.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tpcc::client::Client;
use tpcc::conditions::{self, Moment, Verdict};
use tpcc::ledger::{self, Before};
use tpcc::local::LocalServer;
use tpcc::run::{self, Outcome, Plan};
use tpcc::scale::Scale;
use tpcc::transaction::Isolation;
use tpcc::{Error, Result, load, report};

/// TPC-C over the wire: load, run, check, report.
///
/// Without --url it starts a cairn server on a scratch directory and ends it afterwards.
#[derive(Debug, Parser)]
#[command(name = "tpcc")]
struct Options {
    /// Size of the population: a warehouse is about 75 MB of text.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    warehouses: u16,
    /// Terminals, each with a connection; terminal N works for warehouse N modulo the warehouses.
    #[arg(long, default_value = "8", value_parser = clap::value_parser!(u16).range(1..))]
    clients: u16,
    /// Seconds that count; 0 loads and checks only.
    #[arg(long, default_value = "60")]
    duration: u32,
    /// Seconds that run before and do not count.
    #[arg(long, default_value = "2")]
    warmup: u32,
    /// How often each server is measured; with --against they take turns.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[arg(long, value_enum, default_value = "read-committed")]
    isolation: Isolation,
    /// The server to test, as postgres://USER@HOST:PORT/DATABASE.
    #[arg(long)]
    url: Option<String>,
    /// A second server: gets the same data and the same run.
    #[arg(long)]
    against: Option<String>,
    /// Process of the server at --url, if it runs here, to report its CPU time (PostgreSQL: the postmaster).
    #[arg(long, requires = "url")]
    url_pid: Option<u32>,
    /// Process of the server at --against, likewise.
    #[arg(long, requires = "against")]
    against_pid: Option<u32>,
    /// Keep the tables (and the scratch directory) afterwards.
    #[arg(long)]
    keep: bool,
    /// Use the tables that are there (from an earlier run with --keep).
    #[arg(long)]
    no_load: bool,
    /// Drop the nine tables first where they exist.
    #[arg(long, conflicts_with = "no_load")]
    replace: bool,
    /// Only check the conditions of the tables that are there.
    #[arg(long, conflicts_with_all = ["replace", "kill_after"])]
    check_only: bool,
    /// With --check-only: nothing ran on the population yet, so condition 11 must hold too.
    #[arg(long, requires = "check_only")]
    fresh: bool,
    /// Seconds after which the server is killed (kill -9), started again and checked; then the rest is run.
    #[arg(long, conflicts_with_all = ["url", "against"], value_parser = clap::value_parser!(u32).range(1..))]
    kill_after: Option<u32>,
    /// Declare the foreign keys too.
    #[arg(long, conflicts_with = "no_load")]
    foreign_keys: bool,
    /// Type and think as people do (5.2.5) instead of never being idle.
    #[arg(long)]
    think: bool,
    /// Seed of the population and of the transactions.
    #[arg(long, default_value = "1")]
    seed: u64,
    /// Threads of this client; half the cores without it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// A population that is far too small for TPC-C (1,000 items, 60 customers a district), for tests.
    #[arg(long)]
    tiny: bool,
    /// The server binary to start; the `cairn` of this build without it.
    #[arg(long, conflicts_with = "url")]
    server: Option<PathBuf>,
    /// The started server's data directory; a scratch one without it.
    #[arg(long, conflicts_with = "url")]
    data: Option<PathBuf>,
    /// A setting for the started server, as name=value; repeatable.
    #[arg(short = 'c', conflicts_with = "url")]
    setting: Vec<String>,
}

impl Options {
    fn scale(&self) -> Scale {
        if self.tiny { Scale::tiny(self.warehouses.into()) } else { Scale::full(self.warehouses.into()) }
    }

    /// Whether the tables are somebody else's.
    fn found(&self) -> bool {
        self.no_load || self.check_only
    }

    fn plan(&self, round: u16, seconds: u32) -> Plan {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Plan {
            scale: self.scale(),
            clients: self.clients.into(),
            threads: self.threads.map_or((cores / 2).max(1) as u32, u32::from),
            isolation: self.isolation,
            think: self.think,
            // A round does not repeat the last one's inputs.
            seed: self.seed.wrapping_add(u64::from(round).wrapping_mul(0x9e37_79b9)),
            warmup: Duration::from_secs(self.warmup.into()),
            duration: Duration::from_secs(seconds.into()),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    match tpcc(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tpcc: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A server under test.
struct Side {
    client: Client,
    pid: Option<u32>,
    outcome: Option<Outcome>,
}

/// Starts, loads, runs, reports, cleans up. Returns whether everything was right.
async fn tpcc(options: &Options) -> Result<bool> {
    if options.found() && options.url.is_none() && options.data.is_none() {
        return Err(Error::new(
            "the tables of an earlier run are where? name their server (--url) or --data",
        ));
    }
    let mut local = match &options.url {
        Some(_) => None,
        None => {
            Some(LocalServer::start(options.server.as_deref(), options.data.as_deref(), &options.setting)?)
        }
    };
    let mut sides = connect(options, local.as_ref()).await?;
    let result = measure(options, &mut sides, &mut local).await;
    if !options.keep && !options.found() {
        // The tables in a scratch directory go with it.
        let first = usize::from(local.is_some() && options.data.is_none());
        for side in sides.iter_mut().skip(first) {
            // A failed run says more than this would.
            if let (Err(error), true) = (load::drop_tables(&mut side.client).await, result.is_ok()) {
                eprintln!("{}: could not drop the tables: {error}", side.client.name);
            }
        }
    }
    drop(sides);
    if let Some(server) = &mut local
        && (options.keep || !matches!(result, Ok(true)))
        && let Some(scratch) = server.keep_scratch()
    {
        eprintln!("kept: {} (--data … --no-load uses it again)", scratch.join("data").display());
    }
    let stopped = local.map_or(Ok(()), LocalServer::stop);
    let all_right = result?;
    stopped?;
    Ok(all_right)
}

async fn connect(options: &Options, local: Option<&LocalServer>) -> Result<Vec<Side>> {
    let own = local.map(LocalServer::address);
    let first = options.url.as_ref().or(own.as_ref());
    let pids = [local.map(LocalServer::pid).or(options.url_pid), options.against_pid];
    let mut sides: Vec<Side> = Vec::new();
    for (address, pid) in [first, options.against.as_ref()].into_iter().zip(pids) {
        let Some(address) = address else { continue };
        let mut client = Client::connect(address).await?;
        if sides.iter().any(|other| other.client.name == client.name) {
            client.name.push_str(" (2)");
        }
        eprintln!("{}: {}", client.name, client.version);
        if !options.found() {
            make_room(options, &mut client).await?;
        }
        sides.push(Side { client, pid, outcome: None });
    }
    Ok(sides)
}

/// Refuses to touch tables that we did not make, unless told to.
async fn make_room(options: &Options, client: &mut Client) -> Result<()> {
    if options.replace {
        return load::drop_tables(client).await;
    }
    match load::existing(client).await? {
        Some(table) => Err(Error::new(format!(
            "{}: table \"{}\" exists already; --no-load uses it, --replace drops all nine",
            client.name,
            table.name()
        ))),
        None => Ok(()),
    }
}

async fn measure(options: &Options, sides: &mut [Side], local: &mut Option<LocalServer>) -> Result<bool> {
    let mut all_right = true;
    for side in sides.iter_mut() {
        let client = &mut side.client;
        if options.found() {
            load::verify_loaded(client, &options.scale()).await?;
        } else {
            let loaded = load::load(client, &options.scale(), options.seed, options.foreign_keys).await?;
            println!("{}", report::load(&client.name, &loaded));
        }
        let used = options.found() && !options.fresh;
        let moment = if used { Moment::Used } else { Moment::Loaded };
        let when = if options.found() { "as found" } else { "after the load" };
        all_right &= check(client, &options.scale(), moment, when).await?;
    }
    // Figures of a database that is wrong already tell nothing.
    if options.check_only || !all_right || options.duration == 0 {
        return Ok(all_right);
    }
    println!(
        "\nTPC-C: {} warehouse(s), {} clients, {}, seed {}{}\n",
        options.warehouses,
        options.clients,
        options.isolation.name(),
        options.seed,
        if options.tiny { ", a TINY population" } else { "" }
    );
    let mut rest = options.duration;
    if let Some(seconds) = options.kill_after {
        let server = local.as_mut().ok_or_else(|| Error::new("only a server of our own can be killed"))?;
        for side in sides.iter_mut() {
            all_right &= kill(options, side, server, seconds).await?;
        }
        rest = options.duration.saturating_sub(seconds);
    }
    for round in 0..if rest > 0 { options.rounds } else { 0 } {
        for side in sides.iter_mut() {
            all_right &= round_of(options, side, round, rest).await?;
        }
    }
    for side in sides.iter_mut() {
        all_right &= check(&mut side.client, &options.scale(), Moment::Used, "after the run").await?;
    }
    if let [Side { client: a, outcome: Some(first), .. }, Side { client: b, outcome: Some(second), .. }] =
        sides
    {
        println!("{}", report::compare([&a.name, &b.name], [first, second]));
    }
    Ok(all_right)
}

/// Runs one server for a while, and checks what it acknowledged.
async fn round_of(options: &Options, side: &mut Side, round: u16, seconds: u32) -> Result<bool> {
    let client = &mut side.client;
    let before = Before::read(client).await?;
    let plan = options.plan(round, seconds);
    let outcome = run::run(&plan, &client.name, &client.config, side.pid, None).await?;
    println!("{}", report::run(&client.name, &outcome));
    let right = check_ledger(client, &before, &outcome).await?;
    match &mut side.outcome {
        None => side.outcome = Some(outcome),
        Some(sum) => sum.add(outcome)?,
    }
    Ok(right)
}

/// Kills the server under load, starts it again, and checks everything.
async fn kill(options: &Options, side: &mut Side, server: &mut LocalServer, seconds: u32) -> Result<bool> {
    let client = &mut side.client;
    let before = Before::read(client).await?;
    // Seeds of rounds are small numbers; this one is none of theirs.
    let plan = options.plan(u16::MAX, seconds);
    let outcome = run::run(&plan, &client.name, &client.config, side.pid, Some(server)).await?;
    println!("{}", report::run(&client.name, &outcome));
    let time = server.restart()?;
    side.pid = Some(server.pid());
    client.reconnect().await?;
    println!("{}: killed under load, and back after {:.2} s", client.name, time.as_secs_f64());
    let right = check(client, &options.scale(), Moment::Used, "after the kill").await?;
    Ok(check_ledger(client, &before, &outcome).await? && right)
}

async fn check(client: &mut Client, scale: &Scale, moment: Moment, when: &str) -> Result<bool> {
    let verdicts = conditions::check(client, scale, moment).await?;
    let all_hold = verdicts.iter().all(Verdict::holds);
    let word = if all_hold { "hold" } else { "do NOT all hold" };
    println!("{}: the consistency conditions {word} {when}", client.name);
    print!("{}", report::conditions(&verdicts));
    Ok(all_hold)
}

async fn check_ledger(client: &mut Client, before: &Before, outcome: &Outcome) -> Result<bool> {
    let wrong = ledger::verify(client, before, &outcome.ledger).await?;
    let (orders, deliveries, unknown) = outcome.ledger.sizes();
    let word = if wrong.is_empty() { "ok" } else { "WRONG" };
    println!(
        "{}: acknowledged: {word} ({orders} orders, {deliveries} deliveries, all payments; {unknown} unanswered)",
        client.name
    );
    for line in &wrong {
        println!("  {line}");
    }
    Ok(wrong.is_empty())
}
