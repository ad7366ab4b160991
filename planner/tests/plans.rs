//! Plans of a statement of every shape: `testdata/statements.sql` → `testdata/plans.txt`.
//!
//! Debug builds check the logical plan after each rewrite rule, so a rule that breaks one shows here as
//! an error of class XX. `UPDATE=1 cargo test -p planner` rewrites the file.

#![allow(clippy::unwrap_used)]

mod support;

use std::fmt::Write;
use std::path::Path;

use planner::PlannerSettings;
use planner::explain::{ExplainOptions, ExplainTimes, explain};
use planner::physical::plan::{Node, PhysicalPlan};

fn statements() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/statements.sql");
    std::fs::read_to_string(path).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn plans_are_the_golden_ones() {
    let catalog = support::tpch();
    let options = ExplainOptions { costs: false, ..ExplainOptions::default() };
    let mut text = String::new();
    for sql in statements() {
        writeln!(text, "-- {sql}\n{}\n", support::explained(&catalog, &sql, &options)).unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/plans.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    for (expected, found) in golden.split("\n\n").zip(text.split("\n\n")) {
        assert_eq!(found, expected, "a plan has changed; if for the better, UPDATE=1 and say why");
    }
    assert_eq!(golden.len(), text.len());
    assert!(!text.contains("XX000"), "a plan could not be made");
}

/// Every way of joining has to plan every statement, whatever it costs.
#[test]
fn settings_forbid_paths_without_making_plans_impossible() {
    let catalog = support::tpch();
    let base = PlannerSettings::default();
    for settings in [
        PlannerSettings { enable_hashjoin: false, ..base.clone() },
        PlannerSettings { enable_nestloop: false, enable_indexscan: false, ..base.clone() },
        PlannerSettings { enable_seqscan: false, ..base.clone() },
    ] {
        for sql in statements() {
            if let Err(error) = support::plan(&catalog, &sql, &settings) {
                assert!(!error.code().to_string().starts_with("XX"), "{sql}: {error:?}");
            }
        }
    }
    let sql = "select * from nation n join region r on n.n_regionkey = r.r_regionkey";
    let plan = |settings: &PlannerSettings| {
        let plan = support::plan(&catalog, sql, settings).unwrap();
        explain(&plan, &ExplainOptions::default(), None, ExplainTimes::default(), &[]).join("\n")
    };
    assert!(plan(&base).contains("Hash Join"));
    assert!(!plan(&PlannerSettings { enable_hashjoin: false, ..base.clone() }).contains("Hash Join"));
}

#[test]
fn nodes_are_numbered_once_each_from_zero() {
    let catalog = support::tpch();
    for sql in statements() {
        let Ok(plan) = support::plan(&catalog, &sql, &PlannerSettings::default()) else { continue };
        let mut ids = Vec::new();
        let mut visit = |root: &Node| collect(root, &mut ids);
        visit(&plan.root);
        plan.ctes.iter().for_each(|cte| visit(&cte.node));
        plan.sub_plans.iter().for_each(|sub_plan| visit(&sub_plan.node));
        ids.sort_unstable();
        let expected: Vec<u32> = (0..ids.len() as u32).collect();
        assert_eq!(ids, expected, "{sql}");
    }
}

fn collect(node: &Node, ids: &mut Vec<u32>) {
    ids.push(node.id.0);
    assert!(node.estimate.rows >= 0.0 && node.estimate.total_cost >= node.estimate.startup_cost);
    node.op.inputs().into_iter().for_each(|input| collect(input, ids));
}

/// JSON has PostgreSQL's keys, each once, and balanced brackets.
#[test]
fn structured_formats_are_well_formed() {
    let catalog = support::tpch();
    let sql = "select n_name, (select count(*) from customer where c_nationkey > n_nationkey) from nation \
               where n_regionkey in (select r_regionkey from region) order by 1 limit 3";
    let plan: PhysicalPlan = support::plan(&catalog, sql, &PlannerSettings::default()).unwrap();
    let json = explain(
        &plan,
        &ExplainOptions { format: planner::explain::ExplainFormat::Json, ..ExplainOptions::default() },
        None,
        ExplainTimes::default(),
        &[],
    )
    .join("\n");
    for key in [
        "\"Plan\"",
        "\"Node Type\"",
        "\"Parent Relationship\"",
        "\"Startup Cost\"",
        "\"Plan Rows\"",
        "\"Plans\"",
    ] {
        assert!(json.contains(key), "{key} is not in {json}");
    }
    let (mut depth, mut in_text, mut escaped) = (0i32, false, false);
    for character in json.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '{' | '[' if !in_text => depth += 1,
            '}' | ']' if !in_text => depth -= 1,
            _ => {}
        }
        assert!(depth >= 0);
    }
    assert_eq!((depth, in_text), (0, false));
}
