//! Sub-selects in expressions: scalar, EXISTS, IN, ANY, ALL, ARRAY.
//!
//! The plan is kept beside the statement, named by an id; a correlated one knows which outer columns
//! it uses. `rewrite/` turns most into joins.

use expr::{Expr, Subquery, SubqueryKind};
use parser::ast::{self, SubLinkKind};
use types::{DataType, Error, Result, Span, SqlState};

use super::Binder;
use crate::logical::{Computed, LogicalPlan};

impl Binder<'_> {
    pub(super) fn sub_link(&mut self, link: &ast::SubLink) -> Result<Expr> {
        let span = link.span;
        match link.kind {
            SubLinkKind::Exists => {
                let (query, outer) = self.query(&link.query, true)?;
                let id = self.add_subquery(query.plan, outer, "exists");
                Ok(subquery(id, SubqueryKind::Exists, DataType::BOOL, link))
            }
            SubLinkKind::Expr | SubLinkKind::Array => {
                let (query, outer) = self.query(&link.query, true)?;
                let [column] = query.columns.as_slice() else {
                    return Err(Error::syntax("subquery must return only one column").at(span));
                };
                let data_type = column.data_type;
                let (kind, data_type) = if link.kind == SubLinkKind::Expr {
                    (SubqueryKind::Scalar, data_type)
                } else {
                    let array =
                        if data_type.element().is_some() { Some(data_type) } else { data_type.array_of() };
                    let array = array.ok_or_else(|| {
                        Error::new(
                            SqlState::UNDEFINED_OBJECT,
                            format!(
                                "could not find array type for data type {}",
                                data_type.without_modifier()
                            ),
                        )
                        .at(span)
                    })?;
                    (SubqueryKind::Array, array)
                };
                let name = column.name.clone();
                let id = self.add_subquery(query.plan, outer, &name);
                Ok(subquery(id, kind, data_type, link))
            }
            SubLinkKind::Any | SubLinkKind::All => {
                let Some(test) = &link.test else {
                    return Err(Error::internal("ANY or ALL without a left side"));
                };
                let symbol = match &link.operator {
                    Some(name) => self.operator_symbol(name, link.span)?,
                    None => "=",
                };
                let kind = if link.kind == SubLinkKind::Any { SubqueryKind::Any } else { SubqueryKind::All };
                self.compared(test, symbol, kind, &link.query, link.span)
            }
        }
    }

    /// `test op ANY|ALL (select)`, IN; `row op (select)`.
    pub(super) fn compared(
        &mut self,
        test: &ast::Expr,
        symbol: &str,
        kind: SubqueryKind,
        query: &ast::SelectStmt,
        span: Span,
    ) -> Result<Expr> {
        let test = self.expr(test)?;
        let tests = match test {
            Expr::Row { fields, .. } => fields,
            single => vec![single],
        };
        // Rows differ when they are not equal: <> ALL is NOT = ANY, and <> ANY is NOT = ALL.
        let negated = tests.len() > 1 && symbol == "<>";
        let (symbol, kind) = match kind {
            _ if !negated => (symbol, kind),
            SubqueryKind::Any => ("=", SubqueryKind::All),
            SubqueryKind::All => ("=", SubqueryKind::Any),
            other => ("=", other),
        };
        let (query, outer) = self.query(query, true)?;
        if tests.len() < query.columns.len() {
            return Err(Error::syntax("subquery has too many columns").at(span));
        }
        if tests.len() > query.columns.len() {
            return Err(Error::syntax("subquery has too few columns").at(span));
        }
        if tests.len() > 1 && symbol != "=" {
            return Err(Error::not_supported(format!("row comparison {symbol} with a sub-select"))
                .with_hint("Compare the columns one by one.")
                .at(span));
        }
        let mut operators = Vec::new();
        let mut cast_tests = Vec::new();
        let mut outputs = Vec::new();
        for (test, column) in tests.into_iter().zip(&query.columns) {
            let right = Expr::column(column.id, column.data_type);
            let (operator, test, right) = self.coercer.comparison(symbol, test, right, span)?;
            if operator.result.oid != DataType::BOOL.oid {
                return Err(Error::new(
                    SqlState::DATATYPE_MISMATCH,
                    format!("row comparison operator must yield type boolean, not type {}", operator.result),
                )
                .at(span));
            }
            operators.push(operator);
            cast_tests.push(test);
            let id = match right.as_column() {
                Some(id) => id,
                None => self.add_column(&column.name, right.data_type()),
            };
            outputs.push(Computed { id, expr: right });
        }
        let plan = if outputs.iter().all(|output| output.expr.as_column() == Some(output.id)) {
            query.plan
        } else {
            LogicalPlan::Project { input: Box::new(query.plan), exprs: outputs }
        };
        let id = self.add_subquery(plan, outer, "");
        let expr = Expr::Subquery(Box::new(Subquery {
            id,
            kind,
            tests: cast_tests,
            operators,
            data_type: DataType::BOOL,
            location: span.into(),
        }));
        Ok(if negated { Expr::Not(Box::new(expr)) } else { expr })
    }
}

fn subquery(id: expr::SubqueryId, kind: SubqueryKind, data_type: DataType, link: &ast::SubLink) -> Expr {
    Expr::Subquery(Box::new(Subquery {
        id,
        kind,
        tests: Vec::new(),
        operators: Vec::new(),
        data_type,
        location: link.span.into(),
    }))
}
