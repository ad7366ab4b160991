//! `psql` as a person uses it: each script in `psql/` against an empty server, its whole output compared.
//!
//! The `.out` files are what PostgreSQL 15 makes `psql` print; `UPDATE=1` writes them. Without a `psql` on
//! the path these tests say so and pass.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::Server;

fn psql(server: &Server) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-h", "127.0.0.1", "-p", &server.port().to_string(), "-U", "postgres"]);
    command
        .env("PSQL_PAGER", "")
        .env("PAGER", "")
        .env("COLUMNS", "120")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("PGOPTIONS");
    command
}

/// Whether there is a psql; its version as it tells it.
fn psql_version() -> Option<String> {
    let output = Command::new("psql").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{}", text.trim());
    Some(text)
}

#[tokio::test]
async fn scripts_print_what_postgresql_makes_psql_print() {
    // Other versions of psql ask other questions and draw other tables.
    if !psql_version().is_some_and(|version| version.contains(" 15.")) {
        println!("skipped: no psql 15");
        return;
    }
    let dir = tests::root().join("tests/psql");
    let mut scripts: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect();
    scripts.sort();
    let mut wrong = Vec::new();
    for script in scripts {
        let server = Server::start().await;
        // Standard input, as typed: psql then shows the caret for errors, and no file names.
        let mut child = psql(&server)
            .args(["-a", "-q"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .current_dir(server.data().parent().unwrap())
            .spawn()
            .unwrap();
        let text = std::fs::read(&script).unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&text));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let got = format!(
            "{}-- standard error:\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let expected = script.with_extension("out");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            wrong.push(format!("{}: got\n{got}", script.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn lists_of_databases_and_roles() {
    if psql_version().is_none() {
        println!("skipped: no psql");
        return;
    }
    let server = Server::start().await;
    for (command, parts) in [
        ("\\l", &["List of databases", "postgres", "UTF8"][..]),
        ("\\du", &["List of roles", "postgres", "Superuser"]),
        ("\\dn", &["List of schemas", "public"]),
        ("\\conninfo", &["connected to database \"postgres\" as user \"postgres\""]),
    ] {
        let output = psql(&server).args(["-c", command]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        for part in parts {
            assert!(text.contains(part), "{command}: {text}");
        }
    }
}

#[tokio::test]
async fn control_c_cancels_the_query_and_not_the_session() {
    if psql_version().is_none() {
        println!("skipped: no psql");
        return;
    }
    let server = Server::start().await;
    let client = server.client().await;
    client.batch_execute("create table t (a int primary key)").await.unwrap();
    for a in 0..2_000i32 {
        client.execute("insert into t values ($1)", &[&a]).await.unwrap();
    }
    let mut child = psql(&server)
        .args(["-At", "-c", "select count(*) from t x, t y, t z where x.a + y.a + z.a = -1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let asked = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(asked.elapsed() < Duration::from_secs(60), "psql does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("ended {} ms after Ctrl-C", asked.elapsed().as_millis());
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("canceling statement due to user request"), "{complaint}");
}
