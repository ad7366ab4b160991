//! Runs the scripts in `isolation/`: `cargo isolation`, `cargo isolation skew`.
//!
//! A script is a list of tests; each runs once for every isolation level it names, in a schema of its own, and
//! what happened is compared with `isolation/expected/NAME.out`. `UPDATE=1` writes that file anew.
//! `CAIRN_ISOLATION_URL=postgres://…` runs the scripts against that server instead; a test with a `differs:` line
//! is compared with `NAME.postgresql.out` there.
//!
//! ```text
//! # a comment
//! test dirty write                       the name of a test
//! levels: read committed, serializable   default: all three
//! differs: why PostgreSQL does something else
//! setup: create table t (a int)          one or more, by a session of its own
//! a: begin isolation level $level        a step: session and statement; sessions are made when first named
//! b!: select 1                           the same, but waited for to its end, wait as it may (lock_timeout)
//! b: update t set a = 1
//!     where a = 0                        a line that begins with a blank goes on with the statement
//! ```
//!
//! In the output a step that cannot go on says `waits`; when it ends later, a line `b goes on` tells what came. A
//! session waits when the server says so (`pg_blocking_pids`), not when it is slow.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::Server;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

/// How long a step may take before the run is given up.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Test {
    name: String,
    levels: Vec<String>,
    differs: bool,
    setup: Vec<String>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    session: String,
    /// To its end, whatever it waits for.
    to_its_end: bool,
    sql: String,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let url = std::env::var("CAIRN_ISOLATION_URL").ok();
    let server = if url.is_none() { Some(Server::start().await) } else { None };
    let target = match (&url, &server) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => format!("postgres://postgres@127.0.0.1:{}/postgres", server.port()),
        (None, None) => return ExitCode::FAILURE,
    };
    let runs: Vec<_> = scripts(&filters)
        .into_iter()
        .map(|path| (name(&path), tokio::spawn(run(path, target.clone(), url.is_some()))))
        .collect();
    let (count, mut failed) = (runs.len(), 0);
    for (name, run) in runs {
        match run.await {
            Ok(Ok(tests)) => println!("{name}: {tests} tests ok"),
            Ok(Err(problem)) => {
                failed += 1;
                println!("{name}: FAILED\n{problem}");
            }
            Err(panic) => {
                failed += 1;
                println!("{name}: FAILED\n{panic}");
            }
        }
    }
    println!("{count} scripts, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn scripts(filters: &[String]) -> Vec<PathBuf> {
    let dir = tests::root().join("tests/isolation");
    let mut found: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "test"))
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

fn parse(text: &str) -> Result<Vec<Test>, String> {
    let mut tests: Vec<Test> = Vec::new();
    let mut last_is_setup = false;
    for (number, line) in text.lines().enumerate() {
        let wrong = |what: &str| Err(format!("line {}: {what}", number + 1));
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("test ") {
            tests.push(Test { name: name.trim().to_owned(), ..Test::default() });
            continue;
        }
        let Some(test) = tests.last_mut() else { return wrong("no test has begun") };
        if line.starts_with(' ') {
            let last = if last_is_setup {
                test.setup.last_mut()
            } else {
                test.steps.last_mut().map(|step| &mut step.sql)
            };
            let Some(last) = last else { return wrong("goes on with nothing") };
            last.push('\n');
            last.push_str(line.trim());
            continue;
        }
        let Some((word, rest)) = line.split_once(':') else { return wrong("neither a step nor a test") };
        let rest = rest.trim().to_owned();
        last_is_setup = word == "setup";
        match word {
            "levels" => test.levels = rest.split(',').map(|level| level.trim().to_owned()).collect(),
            "differs" => test.differs = true,
            "setup" => test.setup.push(rest),
            session if session.trim_end_matches('!').chars().all(|c| c.is_ascii_alphanumeric()) => {
                let name = session.trim_end_matches('!');
                test.steps.push(Step { session: name.to_owned(), to_its_end: name != session, sql: rest });
            }
            _ => return wrong("no name of a session"),
        }
    }
    for test in &mut tests {
        if test.levels.is_empty() {
            test.levels = LEVELS.map(str::to_owned).to_vec();
        }
        if let Some(level) = test.levels.iter().find(|level| !LEVELS.contains(&level.as_str())) {
            return Err(format!("test {}: no level {level}", test.name));
        }
    }
    Ok(tests)
}

/// The transcripts of a file, by their heading.
fn transcripts(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("== ") {
            Some(heading) => found.push((heading.to_owned(), String::new())),
            None => {
                if let Some((_, body)) = found.last_mut() {
                    body.push_str(line);
                    body.push('\n');
                }
            }
        }
    }
    for (_, body) in &mut found {
        *body = body.trim_end().to_owned();
    }
    found
}

async fn run(path: PathBuf, url: String, is_other: bool) -> Result<usize, String> {
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let tests = parse(&text)?;
    let update = std::env::var_os("UPDATE").is_some();
    let expected_at = path.with_file_name(format!("expected/{}.out", name(&path)));
    let other_at = path.with_file_name(format!("expected/{}.postgresql.out", name(&path)));
    let read = |path: &Path| transcripts(&std::fs::read_to_string(path).unwrap_or_default());
    let (own, other) = (read(&expected_at), read(&other_at));
    let mut problems = Vec::new();
    let mut written = String::new();
    let mut ran = 0;
    for (number, test) in tests.iter().enumerate() {
        for level in &test.levels {
            let heading =
                if test.levels.len() == 1 { test.name.clone() } else { format!("{} @ {level}", test.name) };
            let schema =
                format!("iso_{}_{number}_{}_{}", name(&path), level.replace(' ', "_"), std::process::id());
            let came = run_test(test, level, &schema, &url, is_other).await?;
            let from = if is_other && test.differs { &other } else { &own };
            ran += 1;
            if !update || !is_other || test.differs {
                written.push_str(&format!("== {heading}\n{came}\n\n"));
            }
            let expected = from.iter().find(|(known, _)| *known == heading).map(|(_, body)| body.as_str());
            let fails = expected != Some(came.as_str());
            let into_own = update && (!is_other || test.differs);
            if fails && !into_own {
                problems.push(difference(&heading, expected.unwrap_or("(nothing)"), &came));
            }
        }
    }
    if update {
        let differing = tests.iter().any(|test| test.differs);
        let (at, wanted) = if is_other { (other_at, differing) } else { (expected_at, true) };
        if wanted {
            let only_differing = |heading: &str| {
                tests.iter().any(|test| {
                    test.differs
                        && (heading == test.name || heading.starts_with(&format!("{} @ ", test.name)))
                })
            };
            let text: String = transcripts(&written)
                .into_iter()
                .filter(|(heading, _)| !is_other || only_differing(heading))
                .map(|(heading, body)| format!("== {heading}\n{body}\n\n"))
                .collect();
            std::fs::write(&at, text.trim_end().to_owned() + "\n")
                .map_err(|e| format!("{}: {e}", at.display()))?;
        }
    }
    if problems.is_empty() { Ok(ran) } else { Err(problems.join("\n")) }
}

fn difference(heading: &str, expected: &str, came: &str) -> String {
    let (expected, came): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), came.lines().collect());
    let same = expected.iter().zip(&came).take_while(|(a, b)| a == b).count();
    let show = |lines: &[&str]| {
        lines.iter().skip(same).take(6).map(|line| format!("      {line}\n")).collect::<String>()
    };
    let before = came[..same].last().map_or(String::new(), |line| format!("    after: {line}\n"));
    format!("  {heading}\n{before}    expected:\n{}    got:\n{}", show(&expected), show(&came))
}

struct Session {
    name: String,
    /// A query for how many it waits for.
    is_blocked: String,
    client: std::sync::Arc<Client>,
    running: Option<JoinHandle<String>>,
}

async fn connect(url: &str) -> Result<Client, String> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|e| format!("{url}: {e}"))?;
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

async fn run_test(
    test: &Test,
    level: &str,
    schema: &str,
    url: &str,
    is_other: bool,
) -> Result<String, String> {
    let control = connect(url).await?;
    let fails = |what: &str, e: tokio_postgres::Error| format!("{}: {what}: {}", test.name, text_of(&e, &[]));
    control
        .batch_execute(&format!("create schema {schema}; set search_path = {schema}"))
        .await
        .map_err(|e| fails("schema", e))?;
    for sql in &test.setup {
        control.batch_execute(sql).await.map_err(|e| fails(sql, e))?;
    }
    let result = run_steps(test, level, schema, url, &control, is_other).await;
    control
        .batch_execute(&format!("drop schema {schema} cascade"))
        .await
        .map_err(|e| fails("drop schema", e))?;
    result
}

async fn run_steps(
    test: &Test,
    level: &str,
    schema: &str,
    url: &str,
    control: &Client,
    is_other: bool,
) -> Result<String, String> {
    let mut sessions: Vec<Session> = Vec::new();
    let mut out: Vec<String> = Vec::new();
    let mut names: Vec<(i32, String)> = Vec::new();
    for Step { session: name, to_its_end, sql } in &test.steps {
        let at = match sessions.iter().position(|session| session.name == *name) {
            Some(at) => at,
            None => {
                let client = connect(url).await?;
                let mut setup = format!("set search_path = {schema}; set application_name = '{schema}'");
                if is_other {
                    // Whoever closes the cycle finds it, as the others have looked long before.
                    setup.push_str("; set deadlock_timeout = '5ms'");
                }
                client.batch_execute(&setup).await.map_err(|e| text_of(&e, &[]))?;
                let row =
                    client.query_one("select pg_backend_pid()", &[]).await.map_err(|e| text_of(&e, &[]))?;
                let pid: i32 = row.get(0);
                let mut blockers = format!("pg_blocking_pids({pid})");
                if is_other {
                    blockers.push_str(&format!(" || pg_safe_snapshot_blocking_pids({pid})"));
                }
                // Another script's schema change is nothing of this test's.
                let is_blocked = format!(
                    "select count(*) from pg_stat_activity where pid = any({blockers}) and application_name = '{schema}'"
                );
                names.push((pid, name.clone()));
                let client = std::sync::Arc::new(client);
                sessions.push(Session { name: name.clone(), is_blocked, client, running: None });
                sessions.len() - 1
            }
        };
        let sql = sql.replace("$level", level).replace("$schema", schema);
        out.push(format!("{name}: {}", sql.replace('\n', "\n   ").replace(schema, "$schema")));
        if sql == "disconnect" {
            sessions.remove(at);
            tokio::time::sleep(Duration::from_millis(50)).await;
        } else {
            if sessions[at].running.is_some() {
                return Err(format!("{} @ {level}: {name} still waits\n{}", test.name, out.join("\n")));
            }
            let (client, known) = (sessions[at].client.clone(), names.clone());
            sessions[at].running = Some(tokio::spawn(async move {
                match client.simple_query(&sql).await {
                    Ok(messages) => result_of(&messages),
                    Err(error) => text_of(&error, &known),
                }
            }));
            match settle(&mut sessions[at], control, *to_its_end).await? {
                Some(result) => out.push(indented(&result)),
                None => out.push("    waits".to_owned()),
            }
        }
        // Who waited may go on, and let others go on. Several are told by name: which is seen first is chance.
        let mut going = Vec::new();
        loop {
            let before = going.len();
            for session in sessions.iter_mut().filter(|session| session.running.is_some()) {
                if let Some(result) = settle(session, control, false).await? {
                    going.push(format!("{} goes on\n{}", session.name, indented(&result)));
                }
            }
            if going.len() == before {
                break;
            }
        }
        going.sort();
        out.append(&mut going);
    }
    let waiting: Vec<&str> =
        sessions.iter().filter(|s| s.running.is_some()).map(|s| s.name.as_str()).collect();
    if !waiting.is_empty() {
        return Err(format!("{} @ {level}: at the end {waiting:?} wait\n{}", test.name, out.join("\n")));
    }
    let text = out.join("\n");
    Ok(text.replace(&format!("{schema}."), ""))
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// What came of a session's statement; `None` when it waits for another session.
async fn settle(session: &mut Session, control: &Client, to_its_end: bool) -> Result<Option<String>, String> {
    let start = Instant::now();
    let mut blocked = 0;
    loop {
        let Some(running) = &mut session.running else { return Ok(None) };
        if let Ok(result) = tokio::time::timeout(Duration::from_millis(4), running).await {
            session.running = None;
            return Ok(Some(result.map_err(|e| e.to_string())?));
        }
        let row = control.query_one(&session.is_blocked, &[]).await.map_err(|e| text_of(&e, &[]))?;
        let count: i64 = row.get(0);
        blocked = if count > 0 { blocked + 1 } else { 0 };
        // Several times in a row: it is no moment's wait, and PostgreSQL has looked for deadlocks.
        if blocked >= 6 && !to_its_end {
            return Ok(None);
        }
        if start.elapsed() > PATIENCE {
            return Err(format!("{} neither ends nor waits", session.name));
        }
    }
}

fn result_of(messages: &[SimpleQueryMessage]) -> String {
    let mut lines = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => {
                let values: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("null")).collect();
                lines.push(format!("| {}", values.join(" | ")).trim_end().to_owned());
            }
            SimpleQueryMessage::CommandComplete(0) => lines.push("ok".to_owned()),
            SimpleQueryMessage::CommandComplete(count) => lines.push(format!("ok {count}")),
            _ => {}
        }
    }
    lines.join("\n")
}

/// `error CODE message`, and the detail where both servers word it alike.
fn text_of(error: &tokio_postgres::Error, names: &[(i32, String)]) -> String {
    let Some(db) = error.as_db_error() else { return format!("lost: {error}") };
    let code = db.code().code();
    let mut text = format!("error {code} {}", db.message());
    if let (Some(detail), "40P01" | "23503" | "23505") = (db.detail(), code) {
        let mut detail = detail.to_owned();
        for (pid, name) in names {
            detail = detail.replace(&format!("rocess {pid} "), &format!("rocess {name} "));
            detail = detail.replace(&format!("rocess {pid}."), &format!("rocess {name}."));
        }
        text.push('\n');
        text.push_str(&without_numbers(&detail));
    }
    text
}

/// Deadlock reports without the numbers of transactions, relations and databases.
fn without_numbers(detail: &str) -> String {
    let mut words: Vec<String> = detail.split(' ').map(str::to_owned).collect();
    for i in 1..words.len() {
        if matches!(words[i - 1].as_str(), "transaction" | "relation" | "database") {
            let rest = words[i].trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
            words[i] = format!("N{rest}");
        }
        if words[i].starts_with('[') {
            let (_, rest) = words[i].split_once(',').unwrap_or_default();
            words[i] = format!("[N,{rest}");
        }
    }
    words.join(" ")
}
