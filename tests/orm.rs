//! Object mappers and migration tools, each with a script of its own in `orm/`.
//!
//! `CAIRN_PYTHON` names a Python that has them (`pip install "sqlalchemy==2.*" alembic "django==5.*"
//! "psycopg[binary]"`); `python3` without it. Where one is missing its test says so and passes.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use tests::Server;

/// Runs a script against a server of its own, if this Python has all of `modules`.
async fn run(script: &str, modules: &str) {
    let python = std::env::var("CAIRN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} cannot import {modules}");
        return;
    }
    let server = Server::start().await;
    let path = tests::root().join("tests/orm").join(script);
    let output = Command::new(&python)
        .arg(path)
        .arg(server.port().to_string())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.trim() == "ok",
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn sqlalchemy_2_and_alembic() {
    run("sqlalchemy_test.py", "sqlalchemy, alembic, psycopg").await;
}

#[tokio::test]
async fn django_5() {
    run("django_test.py", "django, psycopg").await;
}
