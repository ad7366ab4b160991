//! Bulk ingestion: COPY FROM and CREATE TABLE AS hand over batches instead of pulling a plan.

use std::sync::Arc;

use ::catalog::TableDef;
use planner::physical::plan::{InsertOp, Node, Op, PhysicalPlan};
use types::{Batch, Error, Result};

use crate::context::{Environment, ExecContext};
use crate::dml::insert::{Target, table_order};
use crate::table::row::RowWriter;

/// An open load. Dropped without [`CopyIn::finish`] the rows stay until the caller rolls back.
pub struct CopyIn {
    cx: ExecContext,
    sink: Sink,
    rows: u64,
}

enum Sink {
    Plan { node: Arc<Node>, target: Box<Target> },
    Table(Box<RowWriter>),
}

impl CopyIn {
    /// Rows go where `plan`, whose root is an INSERT without ON CONFLICT or RETURNING, would put them;
    /// its input is not run.
    pub fn for_plan(plan: &Arc<PhysicalPlan>, environment: Environment) -> Result<CopyIn> {
        let cx = ExecContext::with_plan(environment, Some(plan.clone()));
        let node = plan.root.clone();
        let op = insert(&node)?;
        if op.on_conflict.is_some() || op.returning.is_some() {
            return Err(Error::internal("a load neither resolves conflicts nor returns rows"));
        }
        let target = Box::new(Target::new(op, &cx)?);
        Ok(CopyIn { cx, sink: Sink::Plan { node, target }, rows: 0 })
    }

    /// Rows go into a table that has neither constraints nor indexes of its own (CREATE TABLE AS).
    pub fn for_table(table: &Arc<TableDef>, environment: Environment) -> Result<CopyIn> {
        let cx = ExecContext::new(environment);
        let writer = Box::new(RowWriter::for_table(table, &cx)?);
        Ok(CopyIn { cx, sink: Sink::Table(writer), rows: 0 })
    }

    /// Takes rows: one column per column of the plan's INSERT input (`for_table`: per table column),
    /// defaults filled in. 23502, 23505, 23514, 23503 as INSERT.
    pub fn push_batch(&mut self, batch: &Batch) -> Result<()> {
        self.cx.check_interrupt()?;
        match &mut self.sink {
            Sink::Plan { node, target } => {
                let op = insert(node)?;
                target.insert(op, &table_order(op, batch), &self.cx)?;
            }
            Sink::Table(writer) => writer.insert(batch, &self.cx)?,
        }
        self.rows += batch.len() as u64;
        Ok(())
    }

    /// Makes the checks that wait for the end, and returns the number of rows taken.
    pub fn finish(mut self) -> Result<u64> {
        if let Sink::Plan { target, .. } = &mut self.sink {
            target.finish(&self.cx)?;
        }
        Ok(self.rows)
    }
}

fn insert(node: &Node) -> Result<&InsertOp> {
    match &node.op {
        Op::Insert(op) => Ok(op),
        _ => Err(Error::internal("not an insert")),
    }
}
