//! COPY FROM: an INSERT whose rows the session supplies.
//!
//! The statement is planned like any INSERT; its source is an empty VALUES with one column per table column,
//! in whose place the executor's `CopyIn` takes batches. What the data leave out the session fills in.

use std::sync::Arc;

use catalog::TableDef;
use catalog::acl::Rights;
use expr::Expr;
use parser::ast;
use types::{Error, Result, SqlState};

use super::Binder;
use super::scope::Clause;
use super::stored::as_inputs;
use crate::context::PlanContext;
use crate::logical::{Insert, LogicalPlan, LogicalStatement};

/// A bound `COPY table (columns) FROM`.
#[derive(Debug)]
pub struct CopyFrom {
    pub table: Arc<TableDef>,
    /// Ordinals of the columns that the data hold, in the data's order.
    pub columns: Vec<usize>,
    /// The other columns' values (defaults, NULL for dropped ones), by ordinal; evaluated for each row.
    pub defaults: Vec<(usize, Expr)>,
    /// Generated columns, by ordinal, over `Expr::Input(i)` = column `i` of the row so far.
    pub generated: Vec<(usize, Expr)>,
    /// WHERE, over the same: rows for which it is not true are skipped.
    pub filter: Option<Expr>,
    /// The INSERT: its source has one column per table column, in order.
    pub statement: LogicalStatement,
}

/// Binds the target of COPY FROM. An empty `columns` means all that can be written.
///
/// 42P01, 42703, 42701 as INSERT; 42P10 for a generated column.
pub fn bind_copy_from(
    relation: &ast::RangeVar,
    columns: &[String],
    filter: Option<&ast::Expr>,
    cx: &PlanContext<'_>,
) -> Result<CopyFrom> {
    let eval = cx.eval_context();
    let coercer = expr::Coercer::new(&eval, Vec::new());
    let mut binder = Binder::new(cx, &coercer);
    let table = binder.target_table(relation, "copy to", Rights::INSERT)?;
    let ordinals = copied_columns(&table, columns)?;
    binder.note_columns(&table, Rights::INSERT, &ordinals);
    let inputs = as_inputs(&table);
    let mut defaults = Vec::new();
    let mut generated = Vec::new();
    for (ordinal, column) in table.columns.iter().enumerate() {
        if ordinals.contains(&ordinal) {
            continue;
        }
        if column.dropped {
            defaults.push((ordinal, Expr::null(column.data_type)));
        } else if column.generated {
            generated.push((ordinal, binder.generated_value(&table, column, &inputs)?));
        } else {
            defaults.push((ordinal, binder.default_value(&table, column)?));
        }
    }
    let filter = match filter {
        Some(filter) => {
            Some(binder.over_table(&table, &inputs, |binder| binder.condition(filter, Clause::CopyWhere))?)
        }
        None => None,
    };
    let source: Vec<_> =
        table.columns.iter().map(|column| binder.add_column(&column.name, column.data_type)).collect();
    let row = binder.row_columns(&table, &table.name);
    let row_exprs: Vec<(usize, Expr)> =
        row.iter().map(|(id, ordinal)| (*ordinal, binder.column_expr(*id))).collect();
    let checks = binder.checks(&table, &row_exprs)?;
    let plan = LogicalPlan::Insert(Insert {
        table: Arc::clone(&table),
        source: Box::new(LogicalPlan::Values { rows: Vec::new(), columns: source.clone() }),
        columns: source,
        checks,
        on_conflict: None,
        returning: None,
        row,
    });
    let statement = binder.finish(plan, Vec::new())?;
    Ok(CopyFrom { table, columns: ordinals, defaults, generated, filter, statement })
}

/// The ordinals that a COPY's column list means.
pub(super) fn copied_columns(table: &TableDef, columns: &[String]) -> Result<Vec<usize>> {
    if columns.is_empty() {
        return Ok(table
            .live_columns()
            .filter(|(_, column)| !column.generated)
            .map(|(ordinal, _)| ordinal)
            .collect());
    }
    let mut ordinals = Vec::with_capacity(columns.len());
    for name in columns {
        let ordinal = table.column_index(name).ok_or_else(|| {
            Error::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" of relation \"{}\" does not exist", table.name),
            )
        })?;
        if table.columns.get(ordinal).is_some_and(|column| column.generated) {
            return Err(Error::new(
                SqlState::INVALID_COLUMN_REFERENCE,
                format!("column \"{name}\" is a generated column"),
            )
            .with_detail("Generated columns cannot be used in COPY."));
        }
        if ordinals.contains(&ordinal) {
            return Err(Error::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" specified more than once"),
            ));
        }
        ordinals.push(ordinal);
    }
    Ok(ordinals)
}
