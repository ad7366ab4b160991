//! Runs the scripts in `slt/`, each on an empty server: `cargo slt`, `cargo slt join`.
//!
//! `CAIRN_SLT_URL=postgres://…` runs them against that server instead, each in a schema of its own, which is
//! how we know that they are true of PostgreSQL. `UPDATE=1` writes the rows that came into the scripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::Server;
use tests::script::{self, Expect, Record};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS; // asked by tools that collect tests: we have none of the usual kind
    }
    let mut failed = 0;
    let scripts = scripts(&filters);
    for path in &scripts {
        let name = name(path);
        match run(path).await {
            Ok(records) => println!("{name}: {records} records ok"),
            Err(problems) => {
                failed += 1;
                println!("{name}: FAILED\n{problems}");
            }
        }
    }
    println!("{} scripts, {failed} failed", scripts.len());
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn scripts(filters: &[String]) -> Vec<PathBuf> {
    let dir = tests::root().join("tests/slt");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "slt"))
        .filter(|path| {
            filters.is_empty() || filters.iter().any(|filter| name(path).contains(filter.as_str()))
        })
        .collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Where a script's sessions come from.
enum Target {
    Own(Box<Server>),
    Other { url: String, schema: String },
}

impl Target {
    async fn session(&self) -> Client {
        match self {
            Target::Own(server) => server.client().await,
            Target::Other { url, schema } => {
                let (client, connection) =
                    tokio_postgres::connect(url, NoTls).await.expect("CAIRN_SLT_URL answers");
                tokio::spawn(async move { connection.await.ok() });
                client
                    .batch_execute(&format!("set search_path = {schema}"))
                    .await
                    .expect("search_path can be set");
                client
            }
        }
    }
}

/// Runs one script; returns how many records ran, or everything that was wrong.
async fn run(path: &Path) -> Result<usize, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let records = script::parse(&text)?;
    let target = match std::env::var("CAIRN_SLT_URL") {
        Ok(url) => Target::Other { url, schema: format!("slt_{}_{}", name(path), std::process::id()) },
        Err(_) => Target::Own(Box::new(Server::start().await)),
    };
    if let Target::Other { url, schema } = &target {
        let setup = Target::Other { url: url.clone(), schema: "public".to_owned() }.session().await;
        setup.batch_execute(&format!("create schema {schema}")).await.map_err(|e| format!("{e:?}"))?;
    }
    let result = run_records(&target, &records).await;
    if let Target::Other { schema, .. } = &target {
        let client = target.session().await;
        let _ = client.batch_execute(&format!("drop schema {schema} cascade")).await;
    }
    let Outcome { ran, problems, changes } = result;
    if std::env::var_os("UPDATE").is_some() && !changes.is_empty() {
        let rewritten = script::rewrite(&text, &records, &changes);
        std::fs::write(path, rewritten).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    if problems.is_empty() { Ok(ran) } else { Err(problems.join("\n")) }
}

#[derive(Default)]
struct Outcome {
    ran: usize,
    problems: Vec<String>,
    /// Records whose rows differ, with the rows that came; only when updating.
    changes: Vec<(usize, Vec<String>)>,
}

async fn run_records(target: &Target, records: &[Record]) -> Outcome {
    let server = if matches!(target, Target::Own(_)) { "cairn" } else { "postgresql" };
    let update = std::env::var_os("UPDATE").is_some();
    let mut sessions: Vec<(String, Client)> = Vec::new();
    let mut outcome = Outcome::default();
    for (number, record) in records.iter().enumerate() {
        if record.condition.as_ref().is_some_and(|(name, only)| (name == server) != *only) {
            continue;
        }
        let session = match sessions.iter().position(|(name, _)| *name == record.connection) {
            Some(known) => known,
            None => {
                sessions.push((record.connection.clone(), target.session().await));
                sessions.len() - 1
            }
        };
        outcome.ran += 1;
        let result = sessions[session].1.simple_query(&record.sql).await;
        let Err(problem) = judge(record, result) else { continue };
        match problem {
            Problem::Rows(_, came) if update => outcome.changes.push((number, came)),
            problem => {
                outcome.problems.push(format!("  line {}: {}\n{}", record.line, record.sql, problem.text()))
            }
        }
    }
    outcome
}

enum Problem {
    /// Expected rows, rows that came.
    Rows(Vec<String>, Vec<String>),
    Other(String),
}

impl Problem {
    fn text(&self) -> String {
        match self {
            Problem::Rows(expected, came) => {
                format!(
                    "    expected:\n      {}\n    got:\n      {}",
                    expected.join("\n      "),
                    came.join("\n      ")
                )
            }
            Problem::Other(text) => format!("    {text}"),
        }
    }
}

fn judge(
    record: &Record,
    result: Result<Vec<SimpleQueryMessage>, tokio_postgres::Error>,
) -> Result<(), Problem> {
    let messages = match (result, &record.expect) {
        (Ok(messages), _) => messages,
        (Err(error), Expect::Error { code, message }) => {
            let Some(db) = error.as_db_error() else { return Err(Problem::Other(format!("{error:?}"))) };
            if db.code().code() == code && db.message().contains(message.as_str()) {
                return Ok(());
            }
            let got = format!("{} {}", db.code().code(), db.message());
            return Err(Problem::Other(format!("expected error {code} {message}\n    got error {got}")));
        }
        (Err(error), _) => {
            let text = error.as_db_error().map(|db| format!("{} {}", db.code().code(), db.message()));
            return Err(Problem::Other(format!("error {}", text.unwrap_or_else(|| format!("{error:?}")))));
        }
    };
    match &record.expect {
        Expect::Ok => Ok(()),
        Expect::Error { code, .. } => Err(Problem::Other(format!("expected error {code}, but it succeeded"))),
        Expect::Count(expected) => {
            let counts = messages.iter().filter_map(|message| match message {
                SimpleQueryMessage::CommandComplete(count) => Some(*count),
                _ => None,
            });
            let count = counts.last().unwrap_or(0);
            if count == *expected {
                Ok(())
            } else {
                Err(Problem::Other(format!("expected {expected} rows, got {count}")))
            }
        }
        Expect::Rows { sorted, rows } => {
            let mut came: Vec<String> = messages.iter().filter_map(row).collect();
            let mut expected = rows.clone();
            if *sorted {
                came.sort();
                expected.sort();
            }
            if came == expected { Ok(()) } else { Err(Problem::Rows(expected, came)) }
        }
    }
}

fn row(message: &SimpleQueryMessage) -> Option<String> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    let values: Vec<Option<String>> = (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect();
    Some(script::row_text(&values))
}
