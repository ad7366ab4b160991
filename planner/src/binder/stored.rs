//! Expressions the catalog keeps as text: defaults, generated columns, checks, index keys and predicates.
//!
//! Bound anew for each statement that needs them, over whatever stands for the table's columns: ids in a
//! plan, input positions for the executor. Their own errors cannot point into the user's text.

use std::sync::Arc;

use catalog::{ColumnDef, ConstraintKind, Identity, IndexDef, Relation, SequenceDef, TableDef};
use expr::Expr;
use parser::ast::{self, Node, SelectBody};
use types::{DataType, Error, Result, Span, Value};

use super::Binder;
use super::scope::{Clause, Item, ItemColumn, Level};
use crate::logical::Check;

impl Binder<'_> {
    /// Runs `f` where the table's columns, and nothing else, are in scope: `columns` by ordinal.
    pub(super) fn over_table<T>(
        &mut self,
        table: &TableDef,
        columns: &[(usize, Expr)],
        f: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let mut level = Level::new();
        level.barrier = true;
        let columns = columns
            .iter()
            .filter_map(|(ordinal, expr)| {
                let column = table.columns.get(*ordinal)?;
                Some(ItemColumn { name: column.name.clone(), expr: expr.clone() })
            })
            .collect();
        level.items.push(Item {
            name: table.name.clone(),
            relation: Some(table.id),
            table: Some(table.id),
            columns,
            relation_visible: true,
            columns_visible: true,
            lateral_only: false,
            lateral_ok: true,
            is_scalar: false,
        });
        self.push_level(level)?;
        self.stored_depth += 1;
        let result = f(self);
        self.stored_depth -= 1;
        self.pop_level();
        result
    }

    /// Binds stored text in the current level.
    fn stored(&mut self, text: &str, clause: Clause) -> Result<Expr> {
        let parsed = parse_expr(text)?;
        self.clause_expr(&parsed, clause).map_err(Error::without_span)
    }

    /// What a column gets when nothing is given: its default, its identity's next value, or NULL.
    pub(super) fn default_value(&mut self, table: &TableDef, column: &ColumnDef) -> Result<Expr> {
        if column.identity != Identity::None {
            let Some(sequence) = self.owned_sequence(table, column) else {
                return Err(Error::internal(format!("identity column \"{}\" has no sequence", column.name)));
            };
            return self.next_value(&sequence, column);
        }
        let Some(text) = column.default.as_ref().filter(|_| !column.generated) else {
            return Ok(Expr::null(column.data_type));
        };
        let parsed = parse_expr(text)?;
        // A serial column reads the sequence it owns, whatever it is called by now.
        if is_nextval(&parsed)
            && let Some(sequence) = self.owned_sequence(table, column)
        {
            return self.next_value(&sequence, column);
        }
        let search = std::mem::replace(&mut self.search, self.cx.search_schemas());
        let result = self.over_table(table, &[], |binder| {
            let bound = binder.clause_expr(&parsed, Clause::Default)?;
            binder.coercer.assign(bound, column.data_type, &column.name, Span::default())
        });
        self.search = search;
        result.map_err(Error::without_span)
    }

    fn next_value(&mut self, sequence: &SequenceDef, column: &ColumnDef) -> Result<Expr> {
        let argument = Expr::literal(Value::UInt32(sequence.id.0), DataType::REGCLASS);
        let call = self.coercer.call("nextval", vec![argument], Span::default())?;
        self.coercer
            .assign(call, column.data_type, &column.name, Span::default())
            .map_err(Error::without_span)
    }

    /// The sequence that a serial or identity column owns.
    pub(super) fn owned_sequence(&self, table: &TableDef, column: &ColumnDef) -> Option<Arc<SequenceDef>> {
        self.cx.catalog.relations().find_map(|relation| match relation {
            Relation::Sequence(sequence) if sequence.owned_by == Some((table.id, column.number)) => {
                Some(Arc::clone(sequence))
            }
            _ => None,
        })
    }

    /// The value of a generated column, over `columns`.
    pub(super) fn generated_value(
        &mut self,
        table: &TableDef,
        column: &ColumnDef,
        columns: &[(usize, Expr)],
    ) -> Result<Expr> {
        let text = column.default.as_deref().unwrap_or("NULL");
        self.over_table(table, columns, |binder| {
            let bound = binder.stored(text, Clause::Generated)?;
            binder.coercer.assign(bound, column.data_type, &column.name, Span::default())
        })
    }

    /// The table's CHECK constraints, over `columns`, by name as PostgreSQL makes them.
    pub(super) fn checks(&mut self, table: &TableDef, columns: &[(usize, Expr)]) -> Result<Vec<Check>> {
        let mut checks = Vec::new();
        for constraint in &table.constraints {
            if let ConstraintKind::Check { expression, .. } = &constraint.kind {
                let predicate = self.over_table(table, columns, |binder| {
                    let bound = binder.stored(expression, Clause::Check)?;
                    binder.coercer.boolean(bound, "CHECK", Span::default())
                })?;
                checks.push(Check { constraint: constraint.name.clone(), predicate });
            }
        }
        checks.sort_by(|a, b| a.constraint.cmp(&b.constraint));
        Ok(checks)
    }

    /// An index's key expressions and condition, over `columns`.
    pub(super) fn index_exprs(
        &mut self,
        table: &TableDef,
        index: &IndexDef,
        columns: &[(usize, Expr)],
    ) -> Result<(Vec<Expr>, Option<Expr>)> {
        let mut keys = Vec::with_capacity(index.columns.len());
        for key in &index.columns {
            let by_ordinal = key.column.and_then(|at| columns.iter().find(|(ordinal, _)| *ordinal == at));
            keys.push(match (by_ordinal, &key.expression) {
                (Some((_, expr)), _) => expr.clone(),
                (None, Some(text)) => self.over_table(table, columns, |binder| {
                    let bound = binder.stored(text, Clause::IndexExpression)?;
                    binder.coercer.settle(bound)
                })?,
                (None, None) => {
                    return Err(Error::internal(format!("index \"{}\" has an empty key", index.name)));
                }
            });
        }
        let predicate = match &index.predicate {
            Some(text) => Some(self.over_table(table, columns, |binder| {
                let bound = binder.stored(text, Clause::IndexPredicate)?;
                binder.coercer.boolean(bound, "WHERE", Span::default())
            })?),
            None => None,
        };
        Ok((keys, predicate))
    }
}

/// The table's columns as input positions equal to their ordinals.
pub(super) fn as_inputs(table: &TableDef) -> Vec<(usize, Expr)> {
    table.live_columns().map(|(ordinal, column)| (ordinal, Expr::input(ordinal, column.data_type))).collect()
}

/// Stored text → its syntax tree. XX000 if it does not parse: it did once.
pub(super) fn parse_expr(text: &str) -> Result<ast::Expr> {
    let broken = || Error::internal(format!("stored expression does not parse: {text}"));
    let mut statements = parser::parse(&format!("SELECT {text}")).map_err(|_| broken())?;
    let Some(Node::Select(select)) = statements.pop().map(|statement| statement.node) else {
        return Err(broken());
    };
    let SelectBody::Select(core) = select.body else { return Err(broken()) };
    core.targets.into_iter().next().map(|target| target.expr).ok_or_else(broken)
}

fn is_nextval(expr: &ast::Expr) -> bool {
    match expr {
        ast::Expr::FuncCall(call) => call.name.last().is_some_and(|name| name == "nextval"),
        ast::Expr::TypeCast(cast) => is_nextval(&cast.arg),
        _ => false,
    }
}
