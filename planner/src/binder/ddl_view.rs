//! CREATE VIEW: its columns, its text, what it reads.
//!
//! The definition is kept as the user wrote it, but for its stars: each is replaced by the columns it stood for.

use std::collections::HashSet;
use std::sync::Arc;

use catalog::{Relation, RelationId, ViewColumn, ViewDef};
use expr::ColumnId;
use parser::ast;
use types::{Error, Result, Span, SqlState};

use super::Binder;
use super::ddl_table::check_column_type;
use crate::ddl::{CreateView, Ddl};
use crate::logical::LogicalPlan;

impl Binder<'_> {
    pub(super) fn create_view(&mut self, create: &ast::CreateViewStmt) -> Result<Ddl> {
        self.refuse_persistence(create.persistence, create.relation.span)?;
        if create.recursive {
            return Err(Error::not_supported("CREATE RECURSIVE VIEW")
                .with_hint("Write CREATE VIEW … AS WITH RECURSIVE.")
                .at(create.span));
        }
        if create.check_option != ast::ViewCheckOption::None {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "WITH CHECK OPTION is supported only on automatically updatable views",
            )
            .at(create.span));
        }
        if let Some(option) = create.options.first() {
            return Err(Error::not_supported(format!("view option \"{}\"", option.name)).at(option.span));
        }
        if changes_rows(&create.query) {
            return Err(Error::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "views must not contain data-modifying statements in WITH",
            ));
        }
        let schema = self.creation_schema(&create.relation)?;
        self.stars = Some(Vec::new());
        let (query, _) = self.query(&create.query, true)?;
        let stars = self.stars.take().unwrap_or_default();
        if let Some(span) = self.parameter_spans.iter().flatten().next() {
            return Err(Error::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1").at(*span));
        }
        if create.columns.len() > query.columns.len() {
            return Err(Error::syntax("CREATE VIEW specifies more column names than columns"));
        }
        let mut columns: Vec<ViewColumn> = Vec::with_capacity(query.columns.len());
        for (at, column) in query.columns.iter().enumerate() {
            let name = create.columns.get(at).unwrap_or(&column.name);
            if columns.iter().any(|other| other.name == *name) {
                return Err(Error::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{name}\" specified more than once"),
                ));
            }
            check_column_type(name, column.data_type)?;
            columns.push(ViewColumn { name: name.clone(), data_type: column.data_type });
        }
        let name = &create.relation.name;
        let mut owner = self.cx.role;
        let replaces = match self.cx.catalog.relation_in(schema, name) {
            None => None,
            Some(_) if !create.or_replace => {
                return Err(Error::new(
                    SqlState::DUPLICATE_TABLE,
                    format!("relation \"{name}\" already exists"),
                ));
            }
            Some(relation @ Relation::View(view)) => {
                self.check_owner(relation)?;
                owner = view.owner;
                check_replacement(&view.columns, &columns)?;
                Some(view.id)
            }
            Some(_) => {
                return Err(Error::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a view")));
            }
        };
        let definition = with_stars_expanded(self.cx.query_text, create.query_text, stars);
        let search_path = self
            .search
            .iter()
            .filter_map(|schema| self.cx.catalog.schema(*schema))
            .map(|schema| schema.name.clone())
            .collect();
        Ok(Ddl::CreateView(Box::new(CreateView {
            schema,
            name: name.clone(),
            owner,
            persistence: catalog::Persistence::Permanent,
            columns,
            definition,
            search_path,
            depends_on: self.relations.iter().copied().collect(),
            replaces,
        })))
    }
}

impl Binder<'_> {
    /// The views that read column `ordinal` of a table. A view that cannot be bound counts as reading all.
    pub(super) fn views_reading(&self, table: RelationId, ordinal: usize) -> Vec<Arc<ViewDef>> {
        let reads = |view: &&Arc<ViewDef>| {
            self.view_columns(view).is_none_or(|columns| columns.contains(&(table, ordinal)))
        };
        self.cx.catalog.dependent_views(table).filter(reads).cloned().collect()
    }

    /// The table columns that a view reads, those behind other views included; `None` when it cannot be told.
    fn view_columns(&self, view: &Arc<ViewDef>) -> Option<HashSet<(RelationId, usize)>> {
        // What a NATURAL JOIN compares hangs on every name of both sides.
        if view.definition.to_lowercase().contains("natural") {
            return None;
        }
        let mut binder = Binder::new(self.cx, self.coercer);
        let query = binder.view_query(view).ok()?;
        let mut ids: HashSet<ColumnId> = query.columns.iter().map(|column| column.id).collect();
        note_columns(&query.plan, &mut ids);
        for subquery in &binder.subqueries {
            ids.extend(subquery.plan.output());
            note_columns(&subquery.plan, &mut ids);
        }
        Some(ids.into_iter().filter_map(|id| binder.columns.entry(id).source).collect())
    }
}

/// The columns that a plan's expressions name, and those that nodes read without naming them.
fn note_columns(plan: &LogicalPlan, ids: &mut HashSet<ColumnId>) {
    plan.each_expr(&mut |expr| ids.extend(expr.columns()));
    match plan {
        LogicalPlan::SetOp(_)
        | LogicalPlan::RecursiveUnion { .. }
        | LogicalPlan::With { .. }
        | LogicalPlan::Distinct { on: None, .. } => {
            ids.extend(plan.inputs().into_iter().flat_map(LogicalPlan::output));
        }
        _ => {}
    }
    plan.inputs().into_iter().for_each(|input| note_columns(input, ids));
}

/// Whether the query's own WITH holds a statement that changes rows.
pub(super) fn changes_rows(query: &ast::SelectStmt) -> bool {
    query.with.iter().flat_map(|with| &with.ctes).any(|cte| !matches!(cte.query, ast::Node::Select(_)))
}

/// 42P16 when a replaced view would lose or change a column.
fn check_replacement(old: &[ViewColumn], new: &[ViewColumn]) -> Result<()> {
    let invalid = |message: String| Error::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if new.len() < old.len() {
        return Err(invalid("cannot drop columns from view".to_string()));
    }
    for (old, new) in old.iter().zip(new) {
        if old.name != new.name {
            return Err(invalid(format!(
                "cannot change name of view column \"{}\" to \"{}\"",
                old.name, new.name
            ))
            .with_hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if old.data_type != new.data_type {
            return Err(invalid(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name, old.data_type, new.data_type
            )));
        }
    }
    Ok(())
}

/// The query's text with each star replaced by the columns it stood for: they stay what they were.
fn with_stars_expanded(text: &str, query: Span, mut stars: Vec<(Span, String)>) -> String {
    let start = query.start as usize;
    let mut out = text.get(start..query.end as usize).unwrap_or("").trim_end().to_string();
    stars.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    for (span, columns) in stars {
        let from = (span.start as usize).saturating_sub(start);
        // `t.*` begins at `t`; its last character is the star.
        let Some(star) = out.get(from..).and_then(|rest| rest.find('*')) else { continue };
        out.replace_range(from..=from + star, &columns);
    }
    out
}
