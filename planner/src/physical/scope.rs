//! Columns become positions: logical expressions over an operator's input.
//!
//! A column that the input does not have belongs to an enclosing query: it is read as the plan
//! parameter that the enclosing sub-plan or dependent join sets.

use expr::print::quote_identifier;
use expr::{AggregateCall, ColumnId, Expr, PlanParameterId, TableFunctionCall, WindowCall};
use types::{DataType, Error, Result};

use super::lower::Lowering;
use super::plan::{FrameBound, OutputColumn, SortKey, WindowSpec};

impl Lowering<'_> {
    /// `expr` over an input with these columns.
    pub(super) fn expr(&mut self, expr: &Expr, columns: &[ColumnId]) -> Result<Expr> {
        let mut out = expr.clone();
        let mut failure = None;
        expr::walk::replace(&mut out, &mut |part| {
            if failure.is_some() {
                return None;
            }
            let result = match part {
                Expr::Column { id, data_type } => self.column(*id, *data_type, columns),
                Expr::Subquery(subquery) => self.sub_plan(subquery, columns),
                _ => return None,
            };
            match result {
                Ok(new) => Some(new),
                Err(error) => {
                    failure = Some(error);
                    None
                }
            }
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(out),
        }
    }

    pub(super) fn column(&mut self, id: ColumnId, data_type: DataType, columns: &[ColumnId]) -> Result<Expr> {
        if let Some(position) = columns.iter().position(|column| *column == id) {
            return Ok(Expr::input(position, data_type));
        }
        match self.outer.get(&id) {
            Some(parameter) => Ok(Expr::PlanParameter { id: *parameter, data_type }),
            None => Err(Error::internal(format!(
                "column {} ({}) is not among the input of its operator",
                id.0,
                self.columns.entry(id).name
            ))),
        }
    }

    pub(super) fn exprs<'e>(
        &mut self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        columns: &[ColumnId],
    ) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.expr(expr, columns)).collect()
    }

    pub(super) fn sort_keys(&mut self, keys: &[SortKey], columns: &[ColumnId]) -> Result<Vec<SortKey>> {
        keys.iter()
            .map(|key| {
                let expr = self.expr(&key.expr, columns)?;
                Ok(SortKey { expr, descending: key.descending, nulls_first: key.nulls_first })
            })
            .collect()
    }

    pub(super) fn aggregate_call(
        &mut self,
        call: &AggregateCall,
        columns: &[ColumnId],
    ) -> Result<AggregateCall> {
        Ok(AggregateCall {
            function: call.function,
            args: self.exprs(&call.args, columns)?,
            distinct: call.distinct,
            order_by: self.sort_keys(&call.order_by, columns)?,
            filter: call.filter.as_ref().map(|filter| self.expr(filter, columns)).transpose()?,
            data_type: call.data_type,
            location: call.location,
        })
    }

    pub(super) fn window_call(&mut self, call: &WindowCall, columns: &[ColumnId]) -> Result<WindowCall> {
        let mut lowered = call.clone();
        lowered.args = self.exprs(&call.args, columns)?;
        lowered.order_by = self.sort_keys(&call.order_by, columns)?;
        lowered.filter = call.filter.as_ref().map(|filter| self.expr(filter, columns)).transpose()?;
        Ok(lowered)
    }

    pub(super) fn window_spec(&mut self, window: &WindowSpec, columns: &[ColumnId]) -> Result<WindowSpec> {
        let mut lowered = window.clone();
        lowered.partition_by = self.exprs(&window.partition_by, columns)?;
        lowered.order_by = self.sort_keys(&window.order_by, columns)?;
        for bound in [&mut lowered.frame.start, &mut lowered.frame.end] {
            if let FrameBound::Preceding(offset) | FrameBound::Following(offset) = bound {
                *offset = self.expr(offset, columns)?;
            }
        }
        Ok(lowered)
    }

    pub(super) fn table_call(
        &mut self,
        call: &TableFunctionCall,
        columns: &[ColumnId],
    ) -> Result<TableFunctionCall> {
        let mut lowered = call.clone();
        lowered.args = self.exprs(&call.args, columns)?;
        Ok(lowered)
    }

    /// How a column is named and typed in a node's output.
    pub(super) fn output(&self, id: ColumnId) -> OutputColumn {
        let entry = self.columns.entry(id);
        let name = if entry.relation.is_empty() {
            entry.name.clone()
        } else {
            format!("{}.{}", quote_identifier(&entry.relation), quote_identifier(&entry.name))
        };
        OutputColumn { name, data_type: entry.data_type }
    }

    pub(super) fn outputs(&self, columns: &[ColumnId]) -> Vec<OutputColumn> {
        columns.iter().map(|id| self.output(*id)).collect()
    }

    pub(super) fn new_parameter(&mut self) -> PlanParameterId {
        let id = PlanParameterId(self.next_parameter);
        self.next_parameter += 1;
        id
    }
}
