//! Select lists and RETURNING lists: stars expanded, columns named.
//!
//! Names are those PostgreSQL gives (`FigureColname`).

use expr::print::quote_identifier;
use expr::{Expr, walk};
use parser::ast;
use types::{Error, Result, Span};

use super::Binder;
use super::scope::{Clause, Item};

/// One entry of a select list.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub name: String,
    pub expr: Expr,
    pub span: Span,
    /// What binding it added to `Level::uses`.
    pub uses: std::ops::Range<usize>,
}

impl Binder<'_> {
    /// Binds a select list. 42601 for `*` without FROM.
    pub(super) fn targets(&mut self, list: &[ast::ResTarget], clause: Clause) -> Result<Vec<Target>> {
        let before = std::mem::replace(&mut self.level().clause, clause);
        let result = self.target_list(list, clause);
        self.level().clause = before;
        result
    }

    fn target_list(&mut self, list: &[ast::ResTarget], clause: Clause) -> Result<Vec<Target>> {
        let mut targets = Vec::with_capacity(list.len());
        for entry in list {
            match &entry.expr {
                ast::Expr::ColumnRef(reference) if reference.star => {
                    if reference.fields.is_empty() {
                        self.expand_all(reference.span, clause, &mut targets)?;
                    } else {
                        let start = self.level().uses.len();
                        let item = self.star_item(&reference.fields, reference.span)?;
                        self.note_star(reference.span, std::slice::from_ref(&item));
                        self.expand(&item, reference.span, start, &mut targets);
                    }
                }
                ast::Expr::Indirection(indirection)
                    if matches!(indirection.path.last(), Some(ast::Indirection::Star)) =>
                {
                    let start = self.level().uses.len();
                    let item = match (&indirection.arg, indirection.path.len()) {
                        (ast::Expr::ColumnRef(reference), 1) => self.row_in_scope(reference)?,
                        _ => None,
                    };
                    let item = item.ok_or_else(|| {
                        Error::not_supported("expansion of a composite value")
                            .with_hint("Name the fields, or put the function into FROM.")
                            .at(indirection.span)
                    })?;
                    self.expand(&item, indirection.span, start, &mut targets);
                }
                expr => {
                    let start = self.level().uses.len();
                    let bound = self.expr(expr)?;
                    let end = self.level().uses.len();
                    let name = match &entry.name {
                        Some(name) => name.clone(),
                        None => self.figure_name(expr, &bound),
                    };
                    targets.push(Target { name, expr: bound, span: expr.start_span(), uses: start..end });
                }
            }
        }
        Ok(targets)
    }

    /// `*`.
    fn expand_all(&mut self, span: Span, clause: Clause, targets: &mut Vec<Target>) -> Result<()> {
        let items: Vec<Item> =
            self.level().items.iter().filter(|item| item.columns_visible).cloned().collect();
        if self.level().items.is_empty() {
            let what = if clause == Clause::Returning { "RETURNING" } else { "SELECT" };
            return Err(Error::syntax(format!("{what} * with no tables specified is not valid")).at(span));
        }
        self.note_star(span, &items);
        let depth = self.level_index();
        for item in &items {
            let start = self.level().uses.len();
            for column in &item.columns {
                self.note_use(depth, &column.expr, false, span);
            }
            self.expand(item, span, start, targets);
        }
        Ok(())
    }

    /// Keeps what a star stood for, as text, for a view's definition.
    fn note_star(&mut self, span: Span, items: &[Item]) {
        if self.stars.is_none() {
            return;
        }
        let mut names = Vec::new();
        for item in items {
            for column in &item.columns {
                // A join's column is named by the relation it comes from, if it comes from one alone.
                let owner = if item.relation_visible {
                    Some(item)
                } else {
                    self.level().items.iter().find(|other| {
                        other.relation_visible
                            && other.columns.iter().any(|c| c.name == column.name && c.expr == column.expr)
                    })
                };
                let name = quote_identifier(&column.name);
                names.push(match owner {
                    Some(owner) => format!("{}.{name}", quote_identifier(&owner.name)),
                    None => name,
                });
            }
        }
        if let Some(stars) = &mut self.stars {
            stars.push((span, names.join(", ")));
        }
    }

    fn expand(&mut self, item: &Item, span: Span, start: usize, targets: &mut Vec<Target>) {
        let end = self.level().uses.len();
        targets.extend(item.columns.iter().map(|column| Target {
            name: column.name.clone(),
            expr: column.expr.clone(),
            span,
            uses: start..end,
        }));
    }

    /// What PostgreSQL calls an output column without AS.
    pub(super) fn figure_name(&self, expr: &ast::Expr, bound: &Expr) -> String {
        match self.figure(expr, bound) {
            Some((name, _)) => name,
            None => "?column?".to_string(),
        }
    }

    /// A name, and whether it is a strong one that a cast or CASE around it keeps.
    fn figure(&self, expr: &ast::Expr, bound: &Expr) -> Option<(String, bool)> {
        let strong = |name: &str| Some((name.to_string(), true));
        match expr {
            ast::Expr::ColumnRef(reference) => reference.fields.last().map(|name| (name.clone(), true)),
            ast::Expr::Indirection(indirection) => {
                let field = indirection.path.iter().rev().find_map(|step| match step {
                    ast::Indirection::Field(name) => Some((name.clone(), true)),
                    _ => None,
                });
                field.or_else(|| self.figure(&indirection.arg, bound))
            }
            ast::Expr::FuncCall(call) => call.name.last().map(|name| (name.clone(), true)),
            ast::Expr::NullIf(_) => strong("nullif"),
            ast::Expr::TypeCast(cast) => match self.figure(&cast.arg, bound) {
                Some((name, true)) => Some((name, true)),
                _ => cast.type_name.names.last().map(|name| (name.clone(), false)),
            },
            ast::Expr::Collate(collate) => self.figure(&collate.arg, bound),
            ast::Expr::Grouping(_) => strong("grouping"),
            ast::Expr::SubLink(link) => match link.kind {
                ast::SubLinkKind::Exists => strong("exists"),
                ast::SubLinkKind::Array => strong("array"),
                ast::SubLinkKind::Expr => {
                    let mut found = None;
                    walk::visit(bound, &mut |part| {
                        if let Expr::Subquery(subquery) = part {
                            found.get_or_insert(subquery.id);
                        }
                    });
                    found
                        .and_then(|id| self.subquery_names.get(id.0 as usize))
                        .map(|name| (name.clone(), true))
                }
                ast::SubLinkKind::Any | ast::SubLinkKind::All => None,
            },
            ast::Expr::Case(case) => {
                match case.else_.as_ref().and_then(|otherwise| self.figure(otherwise, bound)) {
                    Some((name, true)) => Some((name, true)),
                    _ => Some(("case".to_string(), false)),
                }
            }
            ast::Expr::Array(_) => strong("array"),
            ast::Expr::Row(_) => strong("row"),
            ast::Expr::Coalesce(_) => strong("coalesce"),
            ast::Expr::MinMax(min_max) => strong(if min_max.greatest { "greatest" } else { "least" }),
            ast::Expr::SqlValueFunction(function) => strong(sql_value_name(function.kind)),
            _ => None,
        }
    }
}

fn sql_value_name(kind: ast::SqlValueFunctionKind) -> &'static str {
    use ast::SqlValueFunctionKind as Kind;
    match kind {
        Kind::CurrentDate => "current_date",
        Kind::CurrentTime => "current_time",
        Kind::CurrentTimestamp => "current_timestamp",
        Kind::LocalTime => "localtime",
        Kind::LocalTimestamp => "localtimestamp",
        Kind::CurrentRole => "current_role",
        Kind::CurrentUser => "current_user",
        Kind::User => "user",
        Kind::SessionUser => "session_user",
        Kind::CurrentCatalog => "current_catalog",
        Kind::CurrentSchema => "current_schema",
    }
}
