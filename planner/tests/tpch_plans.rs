//! The plans of TPC-H's 22 queries at scale 1, as EXPLAIN prints them: `testdata/tpch_plans.txt`.
//! `UPDATE=1 cargo test -p planner` rewrites the file.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::path::Path;

use planner::explain::ExplainOptions;

fn queries() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tpch/queries");
    (1..=22)
        .map(|number| {
            let name = format!("q{number:02}");
            let mut sql = std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
            if number == 15 {
                // The specification's variant with WITH instead of a view.
                let view = std::fs::read_to_string(folder.join("q15_create.sql")).unwrap();
                let body = view.split_once(" as\n").or_else(|| view.split_once(" as ")).unwrap().1;
                let with = "with revenue (supplier_no, total_revenue) as (";
                sql = format!(
                    "{with}{}) {}",
                    body.trim_end_matches([';', '\n']),
                    sql.replace("revenue{view}", "revenue")
                );
            }
            (name, sql.replace("{fraction}", "0.0001"))
        })
        .collect()
}

#[test]
fn plans_are_the_golden_ones() {
    let catalog = support::tpch();
    let mut text = String::new();
    for (name, sql) in queries() {
        let plan = support::explained(&catalog, &sql, &ExplainOptions::default());
        writeln!(text, "-- {name}\n{plan}\n").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tpch_plans.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (expected, found) in golden.split("\n\n").zip(text.split("\n\n")) {
        assert_eq!(found, expected, "a plan has changed; if for the better, UPDATE=1 and say why");
    }
    assert_eq!(golden.len(), text.len());
}
