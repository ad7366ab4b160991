//! The tree's own rules: which crate may use which, headers, file lengths, links.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crate → the workspace crates it may use. Change it together with docs/architecture.md.
const ARROWS: [(&str, &[&str]); 12] = [
    ("types", &[]),
    ("expr", &["types"]),
    ("catalog", &["types", "expr"]),
    ("parser", &["types"]),
    ("planner", &["types", "expr", "catalog", "parser"]),
    ("storage", &["types"]),
    ("executor", &["types", "expr", "catalog", "planner", "storage"]),
    ("server", &["types", "expr", "catalog", "parser", "planner", "storage", "executor"]),
    ("tests", &["server"]),
    ("tpch", &[]),
    ("tpcc", &[]),
    ("storebench", &["types", "storage"]),
];

/// A foreign crate → the only workspace crates that may use it.
const RESERVED: [(&str, &[&str]); 3] =
    [("sqlparser", &["parser"]), ("pgwire", &["server"]), ("tokio", &["server", "tests", "tpch", "tpcc"])];

/// Past this a file has two ideas, and the second wants a name.
const MANY_LINES: usize = 1_000;

fn manifest(dir: &Path) -> toml::Table {
    let path = dir.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every crate's dependencies, of all kinds.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let workspace = manifest(tests::root());
    let members = workspace["workspace"]["members"].as_array().unwrap();
    let members = members.iter().map(|member| member.as_str().unwrap());
    members
        .map(|member| {
            let manifest = manifest(&tests::root().join(member));
            assert_eq!(manifest["package"]["name"].as_str(), Some(member), "package name = folder name");
            let mut found = BTreeSet::new();
            collect(&manifest, &mut found);
            (member.to_owned(), found)
        })
        .collect()
}

fn collect(table: &toml::Table, found: &mut BTreeSet<String>) {
    for (key, value) in table {
        let Some(inner) = value.as_table() else { continue };
        if matches!(key.as_str(), "dependencies" | "dev-dependencies" | "build-dependencies") {
            found.extend(inner.keys().cloned());
        } else if key == "target" {
            inner.values().filter_map(toml::Value::as_table).for_each(|target| collect(target, found));
        }
    }
}

#[test]
fn arrows_are_the_tables() {
    let dependencies = dependencies();
    let members: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    assert_eq!(members, listed, "the workspace's members and the table of arrows");
    let mut wrong = Vec::new();
    for (name, allowed) in ARROWS {
        for used in &dependencies[name] {
            if members.contains(used.as_str()) && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} → {used}"));
            }
        }
    }
    for (foreign, users) in RESERVED {
        for (name, used) in &dependencies {
            if used.contains(foreign) && !users.contains(&name.as_str()) {
                wrong.push(format!("{name} → {foreign}"));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that must not be: {}", wrong.join(", "));
}

/// Every file below the workspace that ends in `extension`, but for what builds and git leave behind.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![tests::root().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "cairn-data" {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(tests::root()).unwrap_or(path).display().to_string()
}

#[test]
fn every_source_file_has_a_header() {
    let bare: Vec<String> = files("rs")
        .iter()
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| shown(path))
        .collect();
    assert!(bare.is_empty(), "files without a //! header: {}", bare.join(", "));
}

/// A report, not a rule: run with --nocapture to read it.
#[test]
fn long_files_are_reported() {
    for path in files("rs") {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        if lines > MANY_LINES {
            println!("{lines:>5} lines: {}", shown(&path));
        }
    }
}

#[test]
fn relative_links_resolve() {
    let mut broken = Vec::new();
    for path in files("md") {
        let text = std::fs::read_to_string(&path).unwrap();
        for link in links(&text) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !path.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {link}", shown(&path)));
            }
        }
    }
    assert!(broken.is_empty(), "broken links:\n{}", broken.join("\n"));
}

/// The targets of `[text](target)`, outside code blocks and code spans.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("``");
        let mut rest = prose.as_str();
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else { break };
            found.push(target.split_whitespace().next().unwrap_or_default().to_owned());
            rest = after;
        }
    }
    found
}

#[test]
fn links_are_found_where_they_are_links() {
    let text = "see [a](x.md#y) and [b](z \"title\"), not `[c](d)`\n```\n[e](f)\n```\n[`g`](h)";
    assert_eq!(links(text), ["x.md#y", "z", "h"]);
}

/// `SqlState::NAME` in sources that users run: the names.
fn raised() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let ours = ["types", "expr", "catalog", "parser", "planner", "storage", "executor", "server"];
    for path in files("rs") {
        let name = shown(&path);
        if !ours.iter().any(|member| name.starts_with(&format!("{member}/src/")))
            || name.ends_with("sqlstate.rs")
        {
            continue;
        }
        for part in std::fs::read_to_string(&path).unwrap().split("SqlState::").skip(1) {
            let end = part.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            let constant = &part[..end.unwrap_or(part.len())];
            // `SqlState::new` and the like begin small.
            if constant.len() > 1 {
                found.insert(constant.to_lowercase());
            }
        }
    }
    found
}

#[test]
fn every_error_is_documented() {
    let page = std::fs::read_to_string(tests::root().join("docs/errors.md")).unwrap();
    let codes = std::fs::read_to_string(tests::root().join("types/src/sqlstate.rs")).unwrap();
    let code_of = |name: &str| {
        let line = format!("    {} = b\"", name.to_uppercase());
        codes.split(&line).nth(1).map(|rest| rest[..5].to_owned())
    };
    let rows: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            (cells.len() >= 5 && cells[1].len() == 5).then(|| (cells[2].to_owned(), cells[1].to_owned()))
        })
        .collect();
    let raised = raised();
    assert!(raised.len() > 80, "{} codes found", raised.len());
    let missing: Vec<_> = raised.iter().filter(|name| !rows.contains_key(*name)).collect();
    assert!(missing.is_empty(), "not in docs/errors.md: {missing:?}");
    for (name, code) in &rows {
        assert_eq!(code_of(name).as_ref(), Some(code), "{name} in docs/errors.md");
        assert!(raised.contains(name), "docs/errors.md has {name}, which nothing raises");
    }
}
