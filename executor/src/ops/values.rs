//! Values: rows given in the statement. Result: one row, or an input behind a condition on nothing.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::row::builder_for;
use types::{BATCH_SIZE, Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Values {
    node: Arc<Node>,
    next_row: usize,
}

impl Values {
    pub fn new(node: &Arc<Node>) -> Values {
        Values { node: node.clone(), next_row: 0 }
    }
}

impl Operator for Values {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Values { rows } = &self.node.op else { return Err(Error::internal("not a VALUES list")) };
        let end = rows.len().min(self.next_row + BATCH_SIZE);
        let part = rows.get(self.next_row..end).unwrap_or_default();
        if part.is_empty() {
            return Ok(None);
        }
        self.next_row = end;
        if let [row] = part {
            let one = Batch::new(Vec::new(), 1);
            return Ok(Some(Batch::new(cx.eval_all(row, &one)?, 1)));
        }
        let mut builders: Vec<_> =
            self.node.columns.iter().map(|column| builder_for(column.data_type, part.len())).collect();
        for row in part {
            for (builder, expr) in builders.iter_mut().zip(row) {
                builder.push(&cx.eval_constant(expr)?);
            }
        }
        let columns = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        Ok(Some(Batch::new(columns, part.len())))
    }
}

pub struct ResultRow {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    started: bool,
}

impl ResultRow {
    pub fn new(node: &Arc<Node>, input: Option<BoxOperator>) -> ResultRow {
        ResultRow { node: node.clone(), input, started: false }
    }
}

impl Operator for ResultRow {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Result { exprs, one_time_filter, .. } = &self.node.op else {
            return Err(Error::internal("not a result node"));
        };
        let one = Batch::new(Vec::new(), 1);
        let first = !std::mem::replace(&mut self.started, true);
        if first && cx.filter_batch(one_time_filter, one.clone())?.is_none() {
            self.input = None;
            return Ok(None);
        }
        match &mut self.input {
            Some(input) => {
                let Some(batch) = input.next(cx)? else { return Ok(None) };
                if exprs.is_empty() {
                    return Ok(Some(batch));
                }
                Ok(Some(Batch::new(cx.eval_all(exprs, &batch)?, batch.len())))
            }
            None if first => Ok(Some(Batch::new(cx.eval_all(exprs, &one)?, 1))),
            None => Ok(None),
        }
    }
}
