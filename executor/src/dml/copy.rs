//! Bulk ingestion: COPY FROM and CREATE TABLE AS hand over batches instead of pulling a plan.

use std::sync::Arc;

use ::catalog::TableDef;
use planner::physical::plan::PhysicalPlan;
use types::{Batch, Error, Result};

use crate::context::{Environment, ExecContext};

/// An open load. Dropped without [`CopyIn::finish`] the rows stay until the caller rolls back.
pub struct CopyIn {
    cx: ExecContext,
}

impl CopyIn {
    /// Rows go where `plan`, whose root is an INSERT without ON CONFLICT or RETURNING, would put them;
    /// its input is not run.
    pub fn for_plan(plan: &Arc<PhysicalPlan>, environment: Environment) -> Result<CopyIn> {
        let cx = ExecContext::with_plan(environment, Some(plan.clone()));
        Ok(CopyIn { cx })
    }

    /// Rows go into a table that has neither constraints nor indexes of its own (CREATE TABLE AS).
    pub fn for_table(table: &Arc<TableDef>, environment: Environment) -> Result<CopyIn> {
        let _ = table;
        Ok(CopyIn { cx: ExecContext::new(environment) })
    }

    /// Takes rows: one column per column of the plan's INSERT input (`for_table`: per table column),
    /// defaults filled in. 23502, 23505, 23514, 23503 as INSERT.
    pub fn push_batch(&mut self, batch: &Batch) -> Result<()> {
        let _ = (batch, &self.cx);
        Err(Error::internal("not built yet"))
    }

    /// Makes the checks that wait for the end, and returns the number of rows taken.
    pub fn finish(self) -> Result<u64> {
        Err(Error::internal("not built yet"))
    }
}
