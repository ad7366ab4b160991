//! `cargo tpch`: loads TPC-H into a server, runs the 22 queries, checks every answer, prints the times.
//!
//! The exit status is 0 when every query ran and no answer was wrong, 1 otherwise.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tpch::answer::{self, Expected};
use tpch::client::Client;
use tpch::local::LocalServer;
use tpch::queries::{QUERIES, Query};
use tpch::report::{self, Line};
use tpch::{Error, Result, load, run};

/// TPC-H over the wire: load, run, check, report.
///
/// Without --url it starts a cairn server on a scratch directory and ends it afterwards.
#[derive(Debug, Parser)]
#[command(name = "tpch")]
struct Options {
    /// Scale factor: 1 is about 1 GB of text. Answers are stored for 0.01 and 1.
    #[arg(long, default_value = "0.1", value_parser = parse_scale)]
    scale: f64,
    /// How often each query runs; the best time counts.
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Which queries, such as 1,3,21; all 22 without it.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=22))]
    queries: Vec<u16>,
    /// The server to test, as postgres://USER@HOST:PORT/DATABASE.
    #[arg(long)]
    url: Option<String>,
    /// A second server: gets the same data, runs the same queries in turn, and must answer the same.
    #[arg(long)]
    against: Option<String>,
    /// Keep the tables (and the scratch directory) afterwards.
    #[arg(long)]
    keep: bool,
    /// Use the tables that are there (from an earlier run with --keep).
    #[arg(long)]
    no_load: bool,
    /// Drop the eight tables first where they exist.
    #[arg(long, conflicts_with = "no_load")]
    replace: bool,
    /// Directory with q01.txt … q22.txt to check against, instead of the stored answers.
    #[arg(long)]
    answers: Option<PathBuf>,
    /// Write q01.txt … q22.txt into this directory, as the tested server answers.
    #[arg(long)]
    write_answers: Option<PathBuf>,
    /// Print EXPLAIN ANALYZE of each query instead of timing it.
    #[arg(long)]
    explain: bool,
    /// Seconds after which a query is cancelled and counts as failed.
    #[arg(long, default_value = "600")]
    timeout: u64,
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

fn parse_scale(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && (0.001..=1_000.0).contains(&scale) => Ok(scale),
        _ => Err("expected a number from 0.001 to 1000".to_owned()),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    match tpch(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tpch: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts, loads, runs, reports, cleans up. Returns whether everything was right.
async fn tpch(options: &Options) -> Result<bool> {
    if options.no_load && options.url.is_none() && options.data.is_none() {
        return Err(Error::new("--no-load needs a server with tables: name it with --url, or its --data"));
    }
    let mut local = match &options.url {
        Some(_) => None,
        None => {
            Some(LocalServer::start(options.server.as_deref(), options.data.as_deref(), &options.setting)?)
        }
    };
    let mut clients = connect(options, local.as_ref()).await?;
    let result = measure(options, &mut clients, local.as_ref()).await;
    if !options.keep && !options.no_load {
        for client in &mut clients {
            // With a scratch directory the tables go with it, and a failed run says more than this would.
            if let (Err(error), true) = (load::drop_tables(client).await, result.is_ok()) {
                eprintln!("{}: could not drop the tables: {error}", client.name);
            }
        }
    }
    drop(clients);
    if let Some(server) = &mut local
        && options.keep
        && let Some(scratch) = server.keep_scratch()
    {
        let data = scratch.join("data");
        eprintln!("kept: again with --data {} --no-load", data.display());
    }
    let stopped = local.map_or(Ok(()), LocalServer::stop);
    let all_right = result?;
    stopped?;
    Ok(all_right)
}

async fn connect(options: &Options, local: Option<&LocalServer>) -> Result<Vec<Client>> {
    let own = local.map(LocalServer::address);
    let mut clients = Vec::new();
    for address in [options.url.as_ref().or(own.as_ref()), options.against.as_ref()].into_iter().flatten() {
        let mut client = Client::connect(address).await?;
        if clients.iter().any(|other: &Client| other.name == client.name) {
            client.name.push_str(" (2)");
        }
        eprintln!("{}: {}", client.name, client.version);
        if !options.no_load {
            make_room(options, &mut client).await?;
        }
        clients.push(client);
    }
    Ok(clients)
}

/// Refuses to touch tables that we did not make, unless told to.
async fn make_room(options: &Options, client: &mut Client) -> Result<()> {
    if options.replace {
        return load::drop_tables(client).await;
    }
    match load::existing(client).await? {
        Some(table) => Err(Error(format!(
            "{}: table \"{}\" exists already; --no-load uses it, --replace drops all eight",
            client.name,
            table.name()
        ))),
        None => Ok(()),
    }
}

async fn measure(options: &Options, clients: &mut [Client], local: Option<&LocalServer>) -> Result<bool> {
    let mut summary = Vec::new();
    for client in clients.iter_mut() {
        if options.no_load {
            load::verify_loaded(client, options.scale).await?;
        } else {
            let time = load::load(client, options.scale).await?;
            summary.push(report::load(&client.name, &time));
        }
        let size_bytes = load::size_on_disk(client).await;
        summary.push(report::size(&client.name, size_bytes));
    }
    let timeout = Duration::from_secs(options.timeout);
    if options.explain {
        return explain(options, clients, timeout).await;
    }
    let mut lines = Vec::new();
    for query in chosen(options) {
        eprintln!("Q{}: {}", query.number, query.title);
        let sides = run::run(query, clients, options.scale, options.runs.into(), timeout).await;
        let stored = expected(options, query)?;
        let verdict = run::judge(query, &sides, clients, stored.as_ref());
        lines.push(Line { query, sides, verdict });
    }
    if let Some(dir) = &options.write_answers {
        write_answers(dir, options, clients, &lines)?;
    }
    let names: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
    println!("\nTPC-H at scale {}, best of {} run(s)\n", options.scale, options.runs);
    print!("{}", report::queries(&names, options.runs.into(), &lines));
    for line in summary {
        println!("{line}");
    }
    if let Some(bytes) = local.and_then(LocalServer::peak_memory_bytes) {
        println!("{}: {:.0} MB of memory at its peak", names.first().unwrap_or(&""), bytes as f64 / 1e6);
    }
    let unchecked = lines.iter().filter(|line| line.verdict == run::Verdict::Unchecked).count();
    if unchecked > 0 {
        println!(
            "{unchecked} answers were NOT checked: none are stored for this scale, and there was no --against"
        );
    }
    Ok(!lines.iter().any(|line| line.verdict.is_bad()))
}

fn chosen(options: &Options) -> impl Iterator<Item = &'static Query> {
    let all = options.queries.is_empty();
    QUERIES.iter().filter(move |query| all || options.queries.iter().any(|&n| usize::from(n) == query.number))
}

async fn explain(options: &Options, clients: &mut [Client], timeout: Duration) -> Result<bool> {
    let mut all_right = true;
    for query in chosen(options) {
        for client in clients.iter_mut() {
            println!("-- Q{}: {}, on {}", query.number, query.title, client.name);
            match run::explain(query, client, options.scale, timeout).await {
                Ok(plan) => println!("{plan}\n"),
                Err(error) => {
                    println!("{error}\n");
                    all_right = false;
                }
            }
        }
    }
    Ok(all_right)
}

fn expected(options: &Options, query: &Query) -> Result<Option<Expected>> {
    match (&options.answers, &options.write_answers) {
        (Some(dir), _) => {
            let path = file_of(dir, query);
            let text =
                std::fs::read_to_string(&path).map_err(|e| Error(format!("{}: {e}", path.display())))?;
            answer::from_text(&text).map(Some)
        }
        (None, Some(_)) => Ok(None), // the stored answers are what is being replaced
        (None, None) => Ok(answer::stored(query.number, options.scale)),
    }
}

fn write_answers(dir: &Path, options: &Options, clients: &[Client], lines: &[Line<'_>]) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    let version = clients.first().map_or("", |client| client.version.as_str());
    let source = version.split(" on ").next().unwrap_or(version);
    for line in lines {
        if let Some(Ok(answer)) = line.sides.first().map(|side| &side.answer) {
            let text = answer::to_text(line.query, answer, options.scale, source);
            std::fs::write(file_of(dir, line.query), text)?;
        }
    }
    eprintln!("answers written to {}", dir.display());
    Ok(())
}

fn file_of(dir: &Path, query: &Query) -> PathBuf {
    dir.join(format!("q{:02}.txt", query.number))
}
