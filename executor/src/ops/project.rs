//! Project: expressions over the input, row by row.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::{Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Project {
    node: Arc<Node>,
    input: BoxOperator,
    /// Pieces of an input batch whose results are too large together, next last.
    pieces: Vec<Batch>,
}

impl Project {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> Project {
        Project { node: node.clone(), input, pieces: Vec::new() }
    }
}

impl Operator for Project {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Project { exprs, .. } = &self.node.op else {
            return Err(Error::internal("not a projection"));
        };
        loop {
            let batch = match self.pieces.pop() {
                Some(piece) => piece,
                None => match self.input.next(cx)? {
                    Some(batch) => batch,
                    None => return Ok(None),
                },
            };
            match cx.eval_all(exprs, &batch) {
                Ok(columns) => return Ok(Some(Batch::new(columns, batch.len()))),
                Err(error) if expr::is_too_wide(&error) && batch.len() > 1 => {
                    let middle = batch.len() / 2;
                    self.pieces.push(batch.slice(middle, batch.len()));
                    self.pieces.push(batch.slice(0, middle));
                }
                Err(error) => return Err(error),
            }
        }
    }
}
