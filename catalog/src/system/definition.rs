//! The statements that would make an object again: `pg_get_indexdef`, `pg_get_constraintdef`,
//! `pg_get_viewdef`, in PostgreSQL's words.

use std::fmt::Write;

use expr::quote_identifier;

use super::SystemContext;
use super::pretty::{looks_like_function, pretty};
use crate::object::{
    ConstraintDef, ConstraintKind, ForeignKey, ForeignKeyAction, IndexColumn, IndexDef, TableDef, ViewDef,
};

/// A stored expression, with or without the parentheses that can go.
pub(super) fn expression(text: &str, is_pretty: bool) -> String {
    if is_pretty { pretty(text) } else { text.to_string() }
}

/// `CREATE INDEX …`. The table's name carries its schema, unless pretty and visible.
pub(super) fn index(cx: &SystemContext<'_>, table: &TableDef, index: &IndexDef, is_pretty: bool) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let table_name =
        if is_pretty { cx.relation_name(table.id) } else { cx.qualified_name(table.schema, &table.name) };
    let mut out =
        format!("CREATE {unique}INDEX {} ON {table_name} USING btree (", quote_identifier(&index.name));
    for (at, key) in index.columns.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(&index_key(table, key, is_pretty));
        out.push_str(match (key.descending, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
    }
    out.push(')');
    if !index.include.is_empty() {
        let _ = write!(out, " INCLUDE ({})", column_list(table, &index.include));
    }
    if index.nulls_not_distinct {
        out.push_str(" NULLS NOT DISTINCT");
    }
    if let Some(predicate) = &index.predicate {
        let _ = write!(out, " WHERE {}", expression(predicate, is_pretty));
    }
    out
}

/// One key, without its order: a column, or an expression in parentheses unless it is a call.
fn index_key(table: &TableDef, key: &IndexColumn, is_pretty: bool) -> String {
    match (key.column.and_then(|at| table.columns.get(at)), &key.expression) {
        (Some(column), _) => quote_identifier(&column.name),
        (None, Some(text)) if looks_like_function(text) => expression(text, is_pretty),
        (None, Some(text)) => format!("({})", expression(text, is_pretty)),
        (None, None) => String::new(),
    }
}

/// Column `number` (from 1) of an index; empty when there is none.
pub(super) fn index_column(table: &TableDef, index: &IndexDef, number: usize, is_pretty: bool) -> String {
    let Some(at) = number.checked_sub(1) else { return String::new() };
    match index.columns.get(at) {
        Some(key) => index_key(table, key, is_pretty),
        None => index
            .include
            .get(at - index.columns.len())
            .and_then(|column| table.columns.get(*column))
            .map(|column| quote_identifier(&column.name))
            .unwrap_or_default(),
    }
}

/// Names of an index's columns, as `pg_attribute` has them: an expression goes by its function or as
/// `expr`, and what comes twice is numbered.
pub(super) fn index_column_names(table: &TableDef, index: &IndexDef) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let column_name = |at: usize| table.columns.get(at).map(|column| column.name.clone());
    let keys = index.columns.iter().map(|key| {
        key.column
            .and_then(column_name)
            .unwrap_or_else(|| key.expression.as_deref().map_or_else(String::new, expression_name))
    });
    let included = index.include.iter().filter_map(|at| column_name(*at));
    for base in keys.chain(included) {
        let mut name = base.clone();
        let mut number = 1;
        while names.contains(&name) {
            name = format!("{base}{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

fn expression_name(text: &str) -> String {
    let head = text.split('(').next().unwrap_or("");
    if looks_like_function(text) {
        return head.rsplit('.').next().unwrap_or(head).trim_matches('"').to_ascii_lowercase();
    }
    if text.starts_with("CASE ") { "case".to_string() } else { "expr".to_string() }
}

fn column_list(table: &TableDef, columns: &[usize]) -> String {
    let names: Vec<String> = columns
        .iter()
        .filter_map(|at| table.columns.get(*at))
        .map(|column| quote_identifier(&column.name))
        .collect();
    names.join(", ")
}

/// What follows `CONSTRAINT name`.
pub(super) fn constraint(
    cx: &SystemContext<'_>,
    table: &TableDef,
    constraint: &ConstraintDef,
    is_pretty: bool,
) -> String {
    let mut out = match &constraint.kind {
        ConstraintKind::PrimaryKey { index } | ConstraintKind::Unique { index } => {
            let word = if matches!(constraint.kind, ConstraintKind::Unique { .. }) {
                "UNIQUE"
            } else {
                "PRIMARY KEY"
            };
            let def = table.indexes.iter().find(|def| def.id == *index);
            let nulls =
                if def.is_some_and(|def| def.nulls_not_distinct) { " NULLS NOT DISTINCT" } else { "" };
            let columns = super::constraints::columns(table, &constraint.kind);
            let mut out = format!("{word}{nulls} ({})", column_list(table, &columns));
            if let Some(def) = def.filter(|def| !def.include.is_empty()) {
                let _ = write!(out, " INCLUDE ({})", column_list(table, &def.include));
            }
            out
        }
        ConstraintKind::Check { expression: text, .. } => {
            format!("CHECK ({})", expression(text, is_pretty))
        }
        ConstraintKind::ForeignKey(key) => foreign_key(cx, table, key),
    };
    if constraint.deferrable {
        out.push_str(" DEFERRABLE");
    }
    if constraint.initially_deferred {
        out.push_str(" INITIALLY DEFERRED");
    }
    if !constraint.validated {
        out.push_str(" NOT VALID");
    }
    out
}

fn foreign_key(cx: &SystemContext<'_>, table: &TableDef, key: &ForeignKey) -> String {
    let referenced =
        cx.catalog.table(key.referenced_table).map(|other| column_list(other, &key.referenced_columns));
    let mut out = format!(
        "FOREIGN KEY ({}) REFERENCES {}({})",
        column_list(table, &key.columns),
        cx.relation_name(key.referenced_table),
        referenced.unwrap_or_default()
    );
    if key.match_full {
        out.push_str(" MATCH FULL");
    }
    for (event, action) in [("UPDATE", key.on_update), ("DELETE", key.on_delete)] {
        if action != ForeignKeyAction::NoAction {
            let _ = write!(out, " ON {event} {}", action_name(action));
        }
    }
    out
}

/// `CASCADE`, `SET NULL` …
pub(super) fn action_name(action: ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::NoAction => "NO ACTION",
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
    }
}

/// The view's query, as it was stored, with a semicolon.
pub(super) fn view(view: &ViewDef) -> String {
    let query = view.definition.trim_end().trim_end_matches(';');
    let space = if query.starts_with(' ') { "" } else { " " };
    format!("{space}{query};")
}
