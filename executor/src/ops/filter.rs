//! Filter: rows for which all conjuncts hold.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::{Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Filter {
    node: Arc<Node>,
    input: BoxOperator,
}

impl Filter {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> Filter {
        Filter { node: node.clone(), input }
    }
}

impl Operator for Filter {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Filter { predicate, .. } = &self.node.op else { return Err(Error::internal("not a filter")) };
        while let Some(batch) = self.input.next(cx)? {
            let before = batch.len();
            let kept = cx.filter_batch(predicate, batch)?;
            if cx.is_instrumented() {
                let removed = before - kept.as_ref().map_or(0, Batch::len);
                cx.update_stats(self.node.id, |stats| stats.rows_removed_by_filter += removed as u64);
            }
            if kept.is_some() {
                return Ok(kept);
            }
            cx.check_interrupt()?;
        }
        Ok(None)
    }
}
