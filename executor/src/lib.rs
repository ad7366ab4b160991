//! Plan and transaction in, batches out.
//!
//! [`execute`] makes [`Rows`], which the session pulls; [`ddl::execute_ddl`], [`dml::copy::CopyIn`] and
//! [`analyze`] are the other doors. Everything runs synchronously on the caller's thread; waits happen
//! inside `storage`.

pub mod context;
pub mod memory;

pub mod build;
pub mod operator;
pub mod row_buffer;

pub mod ops;

pub mod dml;
pub mod table;

pub mod ddl;

mod entry_sorter;
pub mod instrument;
pub mod spill;

use std::collections::VecDeque;
use std::sync::Arc;

use planner::physical::plan::{NodeStats, PhysicalPlan};
use types::{Batch, Result, Schema};

pub use context::{Environment, ExecContext, SharedHost, SharedRuntime};
pub use ddl::{DdlOutcome, execute_ddl};
pub use dml::copy::CopyIn;
pub use dml::is_restart;
pub use table::Tables;

use operator::BoxOperator;

/// Prepares `plan` to run. Nothing is read or written before the first [`Rows::next`].
pub fn execute(plan: &Arc<PhysicalPlan>, environment: Environment) -> Result<Rows> {
    let cx = ExecContext::with_plan(environment, Some(plan.clone()));
    let root = build::build(&plan.root, &cx)?;
    Ok(Rows { plan: plan.clone(), cx, root: Some(root), ahead: VecDeque::new() })
}

/// A running plan. Owned and `Send`: a portal may keep it between messages, as long as it is dropped
/// before its transaction ends.
pub struct Rows {
    plan: Arc<PhysicalPlan>,
    cx: ExecContext,
    root: Option<BoxOperator>,
    /// Rows computed already, see [`Rows::run_ahead`].
    ahead: VecDeque<Batch>,
}

impl Rows {
    /// The next rows, at least one; `None` at the end. A statement that returns no rows (DML without
    /// RETURNING) does all its work in the first call and answers `None`.
    ///
    /// Any error ends the execution; the caller rolls back what the statement wrote. An error for
    /// which [`is_restart`] holds asks for the statement to be run again with a newer snapshot.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Batch>> {
        if let Some(batch) = self.ahead.pop_front() {
            return Ok(Some(batch));
        }
        let Some(root) = &mut self.root else { return Ok(None) };
        let result = self.cx.check_interrupt().and_then(|()| root.next(&self.cx));
        match result {
            Ok(Some(batch)) => Ok(Some(batch)),
            Ok(None) => {
                self.root = None;
                self.finish()?;
                Ok(None)
            }
            Err(error) => {
                self.root = None;
                Err(error)
            }
        }
    }

    /// What is left to do when the last row is out: changes of WITH that nobody has read to their end (the
    /// last first, since it may read those before it), and the checks of all changes.
    fn finish(&mut self) -> Result<()> {
        for cte in self.plan.ctes.iter().rev().filter(|cte| cte.node.target().is_some()) {
            ops::cte::run_to_end(cte.id, &self.cx)?;
        }
        self.cx.finish_changes()
    }

    /// Makes all changes of the statement now, keeping the rows it returns: a portal that is read in parts, or
    /// not to its end, must not make half of them. Does nothing when the statement changes no rows.
    pub fn run_ahead(&mut self) -> Result<()> {
        if self.plan.targets().next().is_none() {
            return Ok(());
        }
        let mut rows = VecDeque::new();
        while let Some(batch) = self.next()? {
            rows.push_back(batch);
        }
        self.ahead = rows;
        Ok(())
    }

    /// `batch` with the columns chosen by `is_text` as the client reads them: those whose text form
    /// needs the catalog (`regclass` and its kin) become text, the others stay for the wire to print.
    pub fn printed(&self, batch: Batch, is_text: impl Fn(usize) -> bool) -> Result<Batch> {
        let fields = self.plan.schema.fields.iter().enumerate();
        let wanted: Vec<usize> = fields
            .filter(|(at, field)| expr::cast::needs_host(field.data_type) && is_text(*at))
            .map(|(at, _)| at)
            .collect();
        if wanted.is_empty() {
            return Ok(batch);
        }
        let len = batch.len();
        let mut columns = batch.into_columns();
        for at in wanted {
            let (Some(column), Some(field)) = (columns.get_mut(at), self.plan.schema.fields.get(at)) else {
                continue;
            };
            let mut builder = types::VectorBuilder::new(types::Physical::Text, len);
            for row in 0..len {
                let value = match column.value(row) {
                    types::Value::Null => types::Value::Null,
                    value => types::Value::text(
                        self.cx.with_eval(|cx| expr::cast::value_to_text(&value, field.data_type, cx))?,
                    ),
                };
                builder.push(&value);
            }
            *column = Arc::new(builder.finish());
        }
        Ok(Batch::new(columns, len))
    }

    /// The client's columns; empty when the statement returns none.
    pub fn schema(&self) -> &Schema {
        &self.plan.schema
    }

    /// Rows inserted, updated or deleted so far (the count of the command tag).
    pub fn affected(&self) -> u64 {
        self.cx.affected()
    }

    /// What each node has done so far, by `NodeId`; empty unless instrumented.
    pub fn stats(&self) -> Vec<NodeStats> {
        self.cx.stats()
    }

    pub fn peak_memory_bytes(&self) -> usize {
        self.cx.peak_memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_portal_may_move_between_threads() {
        fn is_send<T: Send>() {}
        is_send::<super::Rows>();
        is_send::<super::CopyIn>();
    }
}
