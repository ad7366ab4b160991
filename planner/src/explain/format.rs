//! The four formats of EXPLAIN.

use super::tree::{Shown, Value};
use super::{ExplainOptions, ExplainTimes};

/// Keys that text leaves to the label.
fn text_shows(key: &str) -> bool {
    !matches!(key, "Shared Hit Blocks" | "Shared Read Blocks")
}

pub(super) fn text(
    root: &Shown,
    options: &ExplainOptions,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> Vec<String> {
    let mut lines = Vec::new();
    text_node(root, options, 0, &mut lines);
    if options.settings && !settings.is_empty() {
        let list: Vec<String> = settings.iter().map(|(name, value)| format!("{name} = '{value}'")).collect();
        lines.push(format!("Settings: {}", list.join(", ")));
    }
    if options.summary {
        lines.push(format!("Planning Time: {:.3} ms", times.planning_ms));
        if let Some(execution) = times.execution_ms {
            lines.push(format!("Execution Time: {execution:.3} ms"));
        }
    }
    lines
}

/// `indent` counts as PostgreSQL's `es->indent`: 0 at the root, 3 per level below.
fn text_node(shown: &Shown, options: &ExplainOptions, indent: usize, lines: &mut Vec<String>) {
    let mut indent = indent;
    if let Some(name) = &shown.subplan_name {
        lines.push(format!("{}{name}", " ".repeat(indent * 2)));
        indent += 1;
    }
    let mut line = " ".repeat(indent * 2);
    if indent > 0 {
        line.push_str("->  ");
        indent += 2;
    }
    line.push_str(&shown.label);
    if options.costs {
        let e = &shown.estimate;
        line.push_str(&format!(
            "  (cost={:.2}..{:.2} rows={:.0} width={})",
            e.startup_cost, e.total_cost, e.rows, e.width
        ));
    }
    if let Some(actual) = &shown.actual {
        if actual.loops == 0 {
            line.push_str(" (never executed)");
        } else {
            let rows = actual.rows.round();
            match actual.times.filter(|_| options.timing) {
                Some((first, total)) => line.push_str(&format!(
                    " (actual time={first:.3}..{total:.3} rows={rows:.0} loops={})",
                    actual.loops
                )),
                None => line.push_str(&format!(" (actual rows={rows:.0} loops={})", actual.loops)),
            }
        }
    }
    lines.push(line);
    let pad = " ".repeat(indent * 2 + 2);
    for (key, value) in shown.properties.iter().filter(|(key, _)| text_shows(key)) {
        let value = match value {
            Value::Text(text) => text.clone(),
            Value::List(list) => list.join(", "),
            Value::Integer(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
        };
        lines.push(format!("{pad}{key}: {value}"));
    }
    let blocks = |name: &str| {
        shown.properties.iter().find(|(key, _)| key == name).map_or(0, |(_, value)| match value {
            Value::Integer(number) => *number,
            _ => 0,
        })
    };
    let (hit, read) = (blocks("Shared Hit Blocks"), blocks("Shared Read Blocks"));
    if hit + read > 0 {
        let mut line = format!("{pad}Buffers: shared");
        if hit > 0 {
            line.push_str(&format!(" hit={hit}"));
        }
        if read > 0 {
            line.push_str(&format!(" read={read}"));
        }
        lines.push(line);
    }
    for child in &shown.children {
        // Children stand one step in; PostgreSQL's indent grows by one for the node and two for the arrow.
        text_node(child, options, indent + 1, lines);
    }
}

/// A value of the structured formats.
enum Json {
    Text(String),
    Number(String),
    Bool(bool),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

fn document(
    root: &Shown,
    options: &ExplainOptions,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> Json {
    let mut query = vec![("Plan".to_string(), node(root, options))];
    if options.settings {
        let map = settings.iter().map(|(name, value)| (name.clone(), Json::Text(value.clone()))).collect();
        query.push(("Settings".to_string(), Json::Map(map)));
    }
    if options.summary {
        query.push(("Planning Time".to_string(), Json::Number(format!("{:.3}", times.planning_ms))));
    }
    if options.analyze {
        query.push(("Triggers".to_string(), Json::List(Vec::new())));
    }
    if let Some(execution) = times.execution_ms.filter(|_| options.summary) {
        query.push(("Execution Time".to_string(), Json::Number(format!("{execution:.3}"))));
    }
    Json::List(vec![Json::Map(query)])
}

fn node(shown: &Shown, options: &ExplainOptions) -> Json {
    let mut map: Vec<(String, Json)> = Vec::new();
    let mut put = |key: &str, value: Json| {
        // A key may come once: grouping sets share one, and a filter above a filter joins it.
        match map.iter_mut().find(|(known, _)| known == key) {
            None => map.push((key.to_string(), value)),
            Some((_, Json::Text(old))) => {
                if let Json::Text(new) = value {
                    *old = format!("({old} AND {new})");
                }
            }
            Some((_, Json::List(old))) => {
                if let Json::List(new) = value {
                    old.extend(new);
                }
            }
            Some(_) => {}
        }
    };
    put("Node Type", Json::Text(shown.node_type.to_string()));
    for (key, value) in shown
        .identity
        .iter()
        .filter(|(key, _)| matches!(*key, "Strategy" | "Partial Mode" | "Operation" | "Command"))
    {
        put(key, scalar(value));
    }
    if let Some(relationship) = shown.relationship {
        put("Parent Relationship", Json::Text(relationship.to_string()));
    }
    if let Some(name) = &shown.subplan_name {
        put("Subplan Name", Json::Text(name.clone()));
    }
    put("Parallel Aware", Json::Bool(false));
    put("Async Capable", Json::Bool(false));
    for (key, value) in &shown.identity {
        if !matches!(*key, "Strategy" | "Partial Mode" | "Operation" | "Command") {
            put(key, scalar(value));
        }
    }
    if options.costs {
        let e = &shown.estimate;
        put("Startup Cost", Json::Number(format!("{:.2}", e.startup_cost)));
        put("Total Cost", Json::Number(format!("{:.2}", e.total_cost)));
        put("Plan Rows", Json::Number(format!("{:.0}", e.rows)));
        put("Plan Width", Json::Number(e.width.to_string()));
    }
    if let Some(actual) = &shown.actual {
        if let Some((first, total)) = actual.times.filter(|_| options.timing) {
            put("Actual Startup Time", Json::Number(format!("{first:.3}")));
            put("Actual Total Time", Json::Number(format!("{total:.3}")));
        }
        put("Actual Rows", Json::Number(format!("{:.0}", actual.rows.round())));
        put("Actual Loops", Json::Number(actual.loops.to_string()));
    }
    for (key, value) in &shown.properties {
        put(key, scalar(value));
    }
    if !shown.children.is_empty() {
        put("Plans", Json::List(shown.children.iter().map(|child| node(child, options)).collect()));
    }
    Json::Map(map)
}

fn scalar(value: &Value) -> Json {
    match value {
        Value::Text(text) => Json::Text(text.clone()),
        Value::List(list) => Json::List(list.iter().cloned().map(Json::Text).collect()),
        Value::Integer(number) => Json::Number(number.to_string()),
        Value::Bool(flag) => Json::Bool(*flag),
    }
}

pub(super) fn json(
    root: &Shown,
    options: &ExplainOptions,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> String {
    let mut out = String::new();
    write_json(&document(root, options, times, settings), 0, &mut out);
    out
}

fn write_json(value: &Json, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent + 1);
    match value {
        Json::Text(text) => out.push_str(&json_string(text)),
        Json::Number(number) => out.push_str(number),
        Json::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Json::List(list) if list.iter().all(|item| matches!(item, Json::Text(_))) => {
            let items: Vec<String> = list
                .iter()
                .map(|item| match item {
                    Json::Text(text) => json_string(text),
                    _ => String::new(),
                })
                .collect();
            out.push_str(&format!("[{}]", items.join(", ")));
        }
        Json::List(list) => {
            out.push('[');
            for (index, item) in list.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                out.push_str(&pad);
                write_json(item, indent + 1, out);
            }
            out.push_str(&format!("\n{}]", "  ".repeat(indent)));
        }
        Json::Map(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "\n" } else { ",\n" });
                out.push_str(&format!("{pad}{}: ", json_string(key)));
                write_json(item, indent + 1, out);
            }
            out.push_str(&format!("\n{}}}", "  ".repeat(indent)));
        }
    }
}

fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if (control as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", control as u32)),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

pub(super) fn yaml(
    root: &Shown,
    options: &ExplainOptions,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> String {
    let mut out = String::new();
    if let Json::List(list) = document(root, options, times, settings) {
        for item in &list {
            write_yaml_item(item, 0, &mut out);
        }
    }
    out.trim_end().to_string()
}

/// An element of a list: its dash stands on the first key's line.
fn write_yaml_item(item: &Json, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match item {
        Json::Map(map) => {
            for (index, (key, value)) in map.iter().enumerate() {
                let lead = if index == 0 { format!("{pad}- ") } else { format!("{pad}  ") };
                out.push_str(&format!("{lead}{key}: "));
                write_yaml_value(value, indent + 4, out);
            }
        }
        other => {
            out.push_str(&format!("{pad}- "));
            write_yaml_value(other, indent + 2, out);
        }
    }
}

fn write_yaml_value(value: &Json, indent: usize, out: &mut String) {
    match value {
        Json::Text(text) => out.push_str(&format!("{}\n", json_string(text))),
        Json::Number(number) => out.push_str(&format!("{number}\n")),
        Json::Bool(flag) => out.push_str(&format!("{flag}\n")),
        Json::List(list) => {
            out.push('\n');
            list.iter().for_each(|item| write_yaml_item(item, indent, out));
        }
        Json::Map(map) => {
            out.push('\n');
            for (key, value) in map {
                out.push_str(&format!("{}{key}: ", " ".repeat(indent)));
                write_yaml_value(value, indent + 2, out);
            }
        }
    }
}

pub(super) fn xml(
    root: &Shown,
    options: &ExplainOptions,
    times: ExplainTimes,
    settings: &[(String, String)],
) -> String {
    let mut out = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n".to_string();
    if let Json::List(list) = document(root, options, times, settings) {
        for item in &list {
            write_xml("Query", item, 1, &mut out);
        }
    }
    out.push_str("</explain>");
    out
}

fn write_xml(key: &str, value: &Json, indent: usize, out: &mut String) {
    let tag = key.replace(' ', "-");
    let pad = "  ".repeat(indent);
    match value {
        Json::Text(text) => out.push_str(&format!("{pad}<{tag}>{}</{tag}>\n", xml_text(text))),
        Json::Number(number) => out.push_str(&format!("{pad}<{tag}>{number}</{tag}>\n")),
        Json::Bool(flag) => out.push_str(&format!("{pad}<{tag}>{flag}</{tag}>\n")),
        Json::List(list) => {
            let item_tag = if key == "Plans" { "Plan" } else { "Item" };
            out.push_str(&format!("{pad}<{tag}>\n"));
            list.iter().for_each(|item| write_xml(item_tag, item, indent + 1, out));
            out.push_str(&format!("{pad}</{tag}>\n"));
        }
        Json::Map(map) => {
            out.push_str(&format!("{pad}<{tag}>\n"));
            map.iter().for_each(|(key, item)| write_xml(key, item, indent + 1, out));
            out.push_str(&format!("{pad}</{tag}>\n"));
        }
    }
}

fn xml_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
