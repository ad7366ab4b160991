//! NOT NULL and CHECK over new rows. UNIQUE is found out by writing (`table/row.rs`), FOREIGN KEY has a file
//! of its own.

use ::catalog::TableDef;
use planner::physical::plan::CheckOp;
use types::{Batch, Error, Result, SqlState, Value};

use crate::context::ExecContext;
use crate::table::row::{located, value_text};

/// Values longer than this are cut in "Failing row contains".
const SHOWN: usize = 64;

/// Checks rows in table order. 23502 or 23514 for the first row that fails; in one row NOT NULL comes
/// first, then the checks in their order.
pub fn check_rows(table: &TableDef, checks: &[CheckOp], rows: &Batch, cx: &ExecContext) -> Result<()> {
    let mut first: Option<(usize, Error)> = None;
    let mut note = |row: usize, error: &dyn Fn() -> Error| {
        if first.as_ref().is_none_or(|(before, _)| row < *before) {
            first = Some((row, error()));
        }
    };
    for (position, column) in table.columns.iter().enumerate() {
        if !column.not_null || column.dropped {
            continue;
        }
        let vector = rows.column(position);
        if vector.has_nulls()
            && let Some(row) = (0..rows.len()).find(|&row| vector.is_null(row))
        {
            note(row, &|| {
                let message = format!(
                    "null value in column \"{}\" of relation \"{}\" violates not-null constraint",
                    column.name, table.name
                );
                located(Error::new(SqlState::NOT_NULL_VIOLATION, message), table, cx)
                    .with_detail(failing_row(table, rows, row, cx))
                    .with_column(column.name.clone())
            });
        }
    }
    for check in checks {
        // A check fails only where it is false: NULL passes.
        let result = cx.eval(&check.predicate, rows)?;
        if let Some(row) = (0..rows.len()).find(|&row| result.value(row) == Value::Bool(false)) {
            note(row, &|| {
                let message = format!(
                    "new row for relation \"{}\" violates check constraint \"{}\"",
                    table.name, check.constraint
                );
                located(Error::new(SqlState::CHECK_VIOLATION, message), table, cx)
                    .with_detail(failing_row(table, rows, row, cx))
                    .with_constraint(check.constraint.clone())
            });
        }
    }
    first.map_or(Ok(()), |(_, error)| Err(error))
}

/// `Failing row contains (1, null, x).`
pub fn failing_row(table: &TableDef, rows: &Batch, row: usize, cx: &ExecContext) -> String {
    let values: Vec<String> = table
        .live_columns()
        .map(|(position, column)| {
            let text = value_text(&rows.column(position).value(row), column.data_type, cx);
            match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        })
        .collect();
    format!("Failing row contains ({}).", values.join(", "))
}
