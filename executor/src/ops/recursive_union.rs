//! WITH RECURSIVE: the base's rows, then the step over the last round's rows until a round brings none.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::{Batch, DataType, Error, Result};

use crate::build::build;
use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::group_table::{GroupTable, first_rows};

pub struct RecursiveUnion {
    node: Arc<Node>,
    running: Option<BoxOperator>,
    /// Rows of the round being made.
    round: Vec<Batch>,
    /// UNION without ALL: all rows so far.
    seen: Option<GroupTable>,
    memory: Reservation,
}

impl RecursiveUnion {
    pub fn new(node: &Arc<Node>, cx: &ExecContext) -> Result<RecursiveUnion> {
        let Op::RecursiveUnion { base, all, .. } = &node.op else {
            return Err(Error::internal("not a recursive union"));
        };
        let types: Vec<DataType> = node.columns.iter().map(|column| column.data_type).collect();
        Ok(RecursiveUnion {
            node: node.clone(),
            running: Some(build(base, cx)?),
            round: Vec::new(),
            seen: (!all).then(|| GroupTable::without_keys(&types)),
            memory: cx.reserve(),
        })
    }
}

impl Operator for RecursiveUnion {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let Op::RecursiveUnion { id, step, .. } = &node.op else {
            return Err(Error::internal("not a recursive union"));
        };
        loop {
            cx.check_interrupt()?;
            let Some(running) = &mut self.running else { return Ok(None) };
            match running.next(cx)? {
                Some(mut batch) => {
                    if let Some(seen) = &mut self.seen {
                        let mut first = Vec::new();
                        first_rows(seen, &batch, &mut first)?;
                        if first.is_empty() {
                            continue;
                        }
                        if first.len() < batch.len() {
                            batch = batch.gather(&first);
                        }
                    }
                    self.round.push(batch.clone());
                    let round: usize = self.round.iter().map(Batch::size_bytes).sum();
                    self.memory.set(round + self.seen.as_ref().map_or(0, GroupTable::size_bytes))?;
                    return Ok(Some(batch));
                }
                None if self.round.is_empty() => self.running = None,
                None => {
                    let round = std::mem::take(&mut self.round);
                    cx.ctes().set_work_table(*id, Arc::new(round));
                    self.running = Some(build(step, cx)?);
                }
            }
        }
    }
}
