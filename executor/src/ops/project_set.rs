//! ProjectSet: set-returning functions of a select list, in lockstep; the shorter ones end in NULLs.
//!
//! Output: the input's columns, then each call's. An input row for which no call returns a row is gone.
//! Rows are made as they are asked for: neither a long series nor many rows of input are held.

use std::sync::Arc;

use expr::table::TableRows;
use planner::physical::plan::{Node, Op};
use types::row::builder_for;
use types::{BATCH_SIZE, Batch, Error, Result, Vector, VectorBuilder};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct ProjectSet {
    node: Arc<Node>,
    input: BoxOperator,
    current: Option<Current>,
}

/// A batch of input being expanded.
struct Current {
    batch: Batch,
    /// Of each call, each argument.
    args: Vec<Vec<Arc<Vector>>>,
    row: usize,
    /// The calls' rows for `row`; empty before they begin.
    sets: Vec<TableRows>,
}

impl ProjectSet {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> ProjectSet {
        ProjectSet { node: node.clone(), input, current: None }
    }
}

impl Operator for ProjectSet {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::ProjectSet { calls, .. } = &self.node.op else {
            return Err(Error::internal("not a set projection"));
        };
        loop {
            cx.check_interrupt()?;
            let current = match &mut self.current {
                Some(current) => current,
                none => {
                    let Some(batch) = self.input.next(cx)? else { return Ok(None) };
                    let args = calls.iter().map(|call| cx.eval_all(&call.args, &batch));
                    let args = args.collect::<Result<_>>()?;
                    none.insert(Current { batch, args, row: 0, sets: Vec::new() })
                }
            };
            let mut builders: Vec<Vec<VectorBuilder>> = calls
                .iter()
                .map(|call| call.columns.iter().map(|(_, t)| builder_for(*t, current.batch.len())).collect())
                .collect();
            let mut sources: Vec<u32> = Vec::new();
            while current.row < current.batch.len() && sources.len() < BATCH_SIZE {
                let row = current.row as u32;
                if current.sets.is_empty() {
                    for (call, args) in calls.iter().zip(&current.args) {
                        let args: Vec<_> = args.iter().map(|arg| Arc::new(arg.gather(&[row]))).collect();
                        current.sets.push(cx.with_eval(|eval| call.start(&args, eval))?);
                    }
                }
                let most = BATCH_SIZE - sources.len();
                let mut pieces = Vec::with_capacity(calls.len());
                for set in &mut current.sets {
                    pieces.push(cx.with_eval(|eval| set.next(most, eval))?);
                }
                let length = |columns: &Vec<Arc<Vector>>| columns.first().map_or(0, |column| column.len());
                let longest = pieces.iter().map(length).max().unwrap_or(0);
                for (columns, builders) in pieces.iter().zip(&mut builders) {
                    for (column, builder) in columns.iter().zip(builders) {
                        builder.extend(column);
                        (column.len()..longest).for_each(|_| builder.push_null());
                    }
                }
                sources.extend(std::iter::repeat_n(row, longest));
                if longest < most {
                    current.row += 1;
                    current.sets.clear();
                }
            }
            let columns = current.batch.gather(&sources).into_columns();
            let made = builders.into_iter().flatten().map(|builder| Arc::new(builder.finish()));
            let output = Batch::new(columns.into_iter().chain(made).collect(), sources.len());
            if current.row >= current.batch.len() {
                self.current = None;
            }
            if output.len() > 0 {
                return Ok(Some(output));
            }
        }
    }
}
