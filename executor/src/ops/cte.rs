//! CTEs that are computed once, and the work table of WITH RECURSIVE.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use planner::physical::plan::{CteId, Node, Op};
use types::{Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

/// The CTEs of one statement: each is read by any number of scans, and runs only as far as the
/// furthest of them has read.
#[derive(Default)]
pub struct CteStates {
    ctes: Mutex<HashMap<CteId, Arc<Mutex<CteState>>>>,
    work_tables: Mutex<HashMap<CteId, Arc<Vec<Batch>>>>,
}

#[derive(Default)]
struct CteState {
    batches: Vec<Batch>,
    source: Source,
}

#[derive(Default)]
enum Source {
    #[default]
    NotStarted,
    Running(BoxOperator),
    Done,
}

impl CteStates {
    fn state(&self, id: CteId) -> Arc<Mutex<CteState>> {
        self.ctes.lock().entry(id).or_default().clone()
    }

    /// Sets what `WorkTableScan`s of `id` read; returns what they read before.
    pub(crate) fn set_work_table(&self, id: CteId, rows: Arc<Vec<Batch>>) -> Option<Arc<Vec<Batch>>> {
        self.work_tables.lock().insert(id, rows)
    }

    fn work_table(&self, id: CteId) -> Option<Arc<Vec<Batch>>> {
        self.work_tables.lock().get(&id).cloned()
    }
}

/// Batch `index` of CTE `id`, running it as far as needed.
fn cte_batch(id: CteId, index: usize, cx: &ExecContext) -> Result<Option<Batch>> {
    let state = cx.ctes().state(id);
    // The source is taken out while it runs: it may wait inside the store, and may read other CTEs.
    let mut source = {
        let mut state = state.lock();
        if let Some(batch) = state.batches.get(index) {
            return Ok(Some(batch.clone()));
        }
        std::mem::replace(&mut state.source, Source::Done)
    };
    loop {
        let batch = match &mut source {
            Source::Done => return Ok(None),
            Source::NotStarted => {
                let plan = cx.plan()?.clone();
                let cte = plan
                    .ctes
                    .iter()
                    .find(|cte| cte.id == id)
                    .ok_or_else(|| Error::internal(format!("no CTE {}", id.0)))?;
                source = Source::Running(crate::build::build(&cte.node, cx)?);
                continue;
            }
            Source::Running(operator) => {
                let affected = cx.affected();
                let batch = operator.next(cx)?;
                cx.set_affected(affected);
                batch
            }
        };
        let Some(batch) = batch else { return Ok(None) };
        let mut state = state.lock();
        state.batches.push(batch);
        if let Some(batch) = state.batches.get(index) {
            let batch = batch.clone();
            state.source = source;
            return Ok(Some(batch));
        }
    }
}

/// Runs the changes of CTE `id` to their end, whether anything reads them or not. Nothing may read it later.
pub(crate) fn run_to_end(id: CteId, cx: &ExecContext) -> Result<()> {
    let state = cx.ctes().state(id);
    let source = std::mem::replace(&mut state.lock().source, Source::Done);
    let mut operator = match source {
        Source::Done => return Ok(()),
        Source::Running(operator) => operator,
        Source::NotStarted => {
            let plan = cx.plan()?.clone();
            let cte = plan.ctes.iter().find(|cte| cte.id == id);
            let cte = cte.ok_or_else(|| Error::internal(format!("no CTE {}", id.0)))?;
            crate::build::build(&cte.node, cx)?
        }
    };
    let affected = cx.affected();
    while operator.next(cx)?.is_some() {}
    cx.set_affected(affected);
    Ok(())
}

/// Reads a materialised CTE.
pub struct CteScan {
    node: Arc<Node>,
    position: usize,
}

impl CteScan {
    pub fn new(node: &Arc<Node>) -> CteScan {
        CteScan { node: node.clone(), position: 0 }
    }
}

impl Operator for CteScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::CteScan { id, columns, filter, .. } = &self.node.op else {
            return Err(Error::internal("not a CTE scan"));
        };
        while let Some(batch) = cte_batch(*id, self.position, cx)? {
            self.position += 1;
            if let Some(batch) = cx.filter_batch(filter, pick(&batch, columns))? {
                return Ok(Some(batch));
            }
            cx.check_interrupt()?;
        }
        Ok(None)
    }
}

/// Reads the rows of the last round of a recursive union.
pub struct WorkTableScan {
    node: Arc<Node>,
    rows: Option<Arc<Vec<Batch>>>,
    position: usize,
}

impl WorkTableScan {
    pub fn new(node: &Arc<Node>) -> WorkTableScan {
        WorkTableScan { node: node.clone(), rows: None, position: 0 }
    }
}

impl Operator for WorkTableScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::WorkTableScan { id, columns, filter, .. } = &self.node.op else {
            return Err(Error::internal("not a work table scan"));
        };
        let rows = match &self.rows {
            Some(rows) => rows,
            None => {
                let rows = cx.ctes().work_table(*id);
                self.rows.insert(rows.ok_or_else(|| Error::internal("no work table is being filled"))?)
            }
        };
        while let Some(batch) = rows.get(self.position) {
            self.position += 1;
            if let Some(batch) = cx.filter_batch(filter, pick(batch, columns))? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}

/// The columns at `positions`.
fn pick(batch: &Batch, positions: &[usize]) -> Batch {
    let columns = positions.iter().map(|&position| batch.column(position).clone()).collect();
    Batch::new(columns, batch.len())
}
