//! Project: expressions over the input, row by row.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::{Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Project {
    node: Arc<Node>,
    input: BoxOperator,
}

impl Project {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> Project {
        Project { node: node.clone(), input }
    }
}

impl Operator for Project {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Project { exprs, .. } = &self.node.op else {
            return Err(Error::internal("not a projection"));
        };
        let Some(batch) = self.input.next(cx)? else { return Ok(None) };
        let columns = cx.eval_all(exprs, &batch)?;
        Ok(Some(Batch::new(columns, batch.len())))
    }
}
