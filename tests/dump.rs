//! `pg_dump` 15: what it dumps of cairn restores into cairn, and into PostgreSQL, and dumps the same again.
//!
//! Skipped, visibly, without psql and pg_dump 15. `CAIRN_DUMP_PORT` names a port of 127.0.0.1 where
//! PostgreSQL 15 lets `postgres` in: the dump of the same schema made there restores here as well.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use tests::Server;

/// A database on 127.0.0.1.
struct Place {
    port: String,
    database: &'static str,
}

impl Place {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port, "-U", "postgres", "-d", self.database]);
        command.env_remove("PGOPTIONS");
        command
    }

    /// An empty database of this name, in place of any that was.
    fn create(port: &str, database: &'static str) -> Place {
        let place = Place { port: port.to_owned(), database };
        let server = Place { port: port.to_owned(), database: "postgres" };
        let drop = format!("DROP DATABASE IF EXISTS {database}");
        let create = format!("CREATE DATABASE {database}");
        run(server.command("psql").args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", &drop, "-c", &create]));
        place
    }

    /// Runs a script, up to its first error.
    fn load(&self, path: &std::path::Path) {
        run(self.command("psql").args(["-qX", "-v", "ON_ERROR_STOP=1", "-f"]).arg(path));
    }

    /// The dump, without the lines that name a version or are drawn by chance.
    fn dump(&self) -> String {
        let text = run(&mut self.command("pg_dump"));
        let told = |line: &&str| {
            !["-- Dumped", "\\restrict", "\\unrestrict"].iter().any(|start| line.starts_with(start))
        };
        text.lines().filter(told).map(|line| format!("{line}\n")).collect()
    }

    /// Loads a dump, and dumps again.
    fn restored(&self, dump: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), dump).unwrap();
        self.load(file.path());
        self.dump()
    }
}

/// Its standard output; panics with its errors.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_dump_restores_and_dumps_the_same() {
    for program in ["psql", "pg_dump"] {
        let version = Command::new(program).arg("--version").output();
        if !version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" 15.")) {
            println!("skipped: no {program} 15");
            return;
        }
    }
    let server = Server::start().await;
    let port = server.port().to_string();
    let schema = tests::root().join("tests/dump/schema.sql");
    let original = Place::create(&port, "original");
    original.load(&schema);
    let dump = original.dump();
    assert!(dump.contains("CREATE VIEW app.v AS") && dump.contains("\nCOPY app.child "), "{dump}");
    assert_eq!(Place::create(&port, "restored").restored(&dump), dump);

    let Ok(postgresql) = std::env::var("CAIRN_DUMP_PORT") else { return };
    let theirs = Place::create(&postgresql, "cairn_dump_restored").restored(&dump);
    assert_eq!(without_views(&theirs), without_views(&dump));
    let theirs = Place::create(&postgresql, "cairn_dump_original");
    theirs.load(&schema);
    let dump = theirs.dump();
    let ours = Place::create(&port, "theirs").restored(&dump);
    assert_eq!(without_views(&ours), without_views(&dump));
}

/// A view's query is as it was written here, and as PostgreSQL writes it there.
fn without_views(dump: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in dump.lines() {
        inside |= line.starts_with("CREATE VIEW ");
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= !line.ends_with(';');
    }
    kept
}
