//! Drivers in other languages, each with a script of its own in `drivers/`.
//!
//! `CAIRN_PYTHON` names a Python that has psycopg 3 (`pip install "psycopg[binary]"`); `python3` without it.
//! Where there is none the test says so and passes.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use tests::Server;

#[tokio::test]
async fn psycopg_3() {
    let python = std::env::var("CAIRN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import psycopg"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no psycopg");
        return;
    }
    let server = Server::start().await;
    let address = format!("host=127.0.0.1 port={} user=postgres dbname=postgres", server.port());
    let script = tests::root().join("tests/drivers/psycopg_test.py");
    let output = Command::new(&python).arg(script).arg(address).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.trim() == "ok",
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
