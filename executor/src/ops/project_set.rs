//! ProjectSet: set-returning functions of a select list, in lockstep; the shorter ones end in NULLs.
//!
//! Output: the input's columns, then each call's. An input row for which no call returns a row is gone.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::row::builder_for;
use types::{BATCH_SIZE, Batch, Error, Result, VectorBuilder};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};
use crate::ops::function_scan::call_rows;

pub struct ProjectSet {
    node: Arc<Node>,
    input: BoxOperator,
    /// Output waiting, next last.
    output: Vec<Batch>,
}

impl ProjectSet {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> ProjectSet {
        ProjectSet { node: node.clone(), input, output: Vec::new() }
    }
}

impl Operator for ProjectSet {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::ProjectSet { calls, .. } = &self.node.op else {
            return Err(Error::internal("not a set projection"));
        };
        loop {
            if let Some(batch) = self.output.pop() {
                return Ok(Some(batch));
            }
            cx.check_interrupt()?;
            let Some(batch) = self.input.next(cx)? else { return Ok(None) };
            let args =
                calls.iter().map(|call| cx.eval_all(&call.args, &batch)).collect::<Result<Vec<_>>>()?;
            let mut builders: Vec<Vec<VectorBuilder>> = calls
                .iter()
                .map(|call| call.columns.iter().map(|(_, t)| builder_for(*t, batch.len())).collect())
                .collect();
            let mut sources: Vec<u32> = Vec::new();
            for row in 0..batch.len() {
                let mut results = Vec::with_capacity(calls.len());
                for (call, args) in calls.iter().zip(&args) {
                    let args: Vec<_> = args.iter().map(|arg| Arc::new(arg.gather(&[row as u32]))).collect();
                    results.push(cx.with_eval(|eval| call_rows(call, &args, eval))?);
                }
                let length = |columns: &Vec<Arc<types::Vector>>| columns.first().map_or(0, |c| c.len());
                let longest = results.iter().map(length).max().unwrap_or(0);
                for (columns, builders) in results.iter().zip(&mut builders) {
                    for (column, builder) in columns.iter().zip(builders) {
                        builder.extend(column);
                        (column.len()..longest).for_each(|_| builder.push_null());
                    }
                }
                sources.extend(std::iter::repeat_n(row as u32, longest));
            }
            if sources.is_empty() {
                continue;
            }
            let mut columns = batch.gather(&sources).into_columns();
            columns.extend(builders.into_iter().flatten().map(|builder| Arc::new(builder.finish())));
            let whole = Batch::new(columns, sources.len());
            let starts = (0..whole.len()).step_by(BATCH_SIZE);
            self.output = starts.map(|s| whole.slice(s, whole.len().min(s + BATCH_SIZE))).collect();
            self.output.reverse();
        }
    }
}
