//! Golden tests of the binder: SQL over a small catalog → the logical plan, or the error.
//!
//! `testdata/bind*.txt` hold cases: lines that begin with `>` are SQL, what follows is the answer, a blank
//! line ends it. DDL changes the catalog of the cases after it. `UPDATE=1` rewrites the answers.
#![allow(clippy::unwrap_used)] // a test may fail

mod catalog_builder;

use std::fmt::Write as _;

use catalog_builder::TestCatalog;
use planner::Bound;
use types::Error;

#[test]
fn binds_as_recorded() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("bind"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = String::new();
    for file in files {
        let recorded = std::fs::read_to_string(&file).unwrap();
        let actual = run_file(&recorded);
        if actual == recorded {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, actual).unwrap();
        } else {
            let _ = writeln!(failures, "{}:\n{}", file.display(), difference(&recorded, &actual));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Answers every case of a file anew.
fn run_file(recorded: &str) -> String {
    let mut catalog = TestCatalog::new();
    let mut out = String::new();
    let mut lines = recorded.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.strip_prefix('>') else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let mut sql = first.trim_start().to_string();
        let _ = writeln!(out, "{line}");
        while let Some(more) = lines.peek().and_then(|line| line.strip_prefix('>')) {
            let _ = writeln!(sql);
            sql.push_str(more.strip_prefix(' ').unwrap_or(more));
            let _ = writeln!(out, "{}", lines.next().unwrap());
        }
        while lines.peek().is_some_and(|line| !line.is_empty()) {
            lines.next();
        }
        out.push_str(&answer(&mut catalog, &sql));
    }
    out
}

fn answer(catalog: &mut TestCatalog, sql: &str) -> String {
    let statements = match parser::parse(sql) {
        Ok(statements) => statements,
        Err(error) => return show_error(&error, sql),
    };
    let mut out = String::new();
    for statement in &statements {
        match catalog.bind(statement, sql) {
            Ok(Bound::Query(query)) => {
                out.push_str(&planner::logical_print::print_statement(&query));
                if let Err(error) = planner::logical_print::validate(&query) {
                    let _ = writeln!(out, "INVALID: {}", error.message());
                }
            }
            Ok(Bound::Ddl(ddl)) => {
                for notice in &ddl.notices {
                    let _ = writeln!(out, "NOTICE: {}", notice.message());
                    if let Some(detail) = notice.detail() {
                        let _ = writeln!(out, "DETAIL: {}", detail.replace('\n', "\n        "));
                    }
                }
                out.push_str(&catalog.apply(&ddl.ddl));
            }
            Ok(Bound::Utility) => out.push_str("utility\n"),
            Err(error) => out.push_str(&show_error(&error, sql)),
        }
    }
    out
}

fn show_error(error: &Error, sql: &str) -> String {
    let mut out = format!("ERROR {}: {}", error.code(), error.message());
    if let Some(span) = error.span() {
        let _ = write!(out, " at {}", span.character_position(sql));
    }
    out.push('\n');
    if let Some(detail) = error.detail() {
        let _ = writeln!(out, "DETAIL: {}", detail.replace('\n', "\n        "));
    }
    if let Some(hint) = error.hint() {
        let _ = writeln!(out, "HINT: {hint}");
    }
    out
}

/// The first lines that differ.
fn difference(recorded: &str, actual: &str) -> String {
    let mut out = String::new();
    let mut shown = 0;
    for (at, (was, is)) in recorded.lines().zip(actual.lines()).enumerate() {
        if was != is {
            let _ = writeln!(out, "line {}\n  recorded: {was}\n  now:      {is}", at + 1);
            shown += 1;
            if shown == 10 {
                break;
            }
        }
    }
    if shown == 0 {
        let _ = writeln!(out, "lengths differ: {} and {}", recorded.len(), actual.len());
    }
    out
}
