//! FunctionScan: the rows of a set-returning function in FROM, made as they are asked for.

use std::sync::Arc;

use expr::table::TableRows;
use planner::physical::plan::{Node, Op};
use types::{BATCH_SIZE, Batch, Data, Error, Result, Validity, Vector};

use crate::context::ExecContext;
use crate::operator::Operator;

pub struct FunctionScan {
    node: Arc<Node>,
    /// None before the first batch.
    rows: Option<TableRows>,
    /// Rows made so far, for WITH ORDINALITY.
    made: usize,
    done: bool,
}

impl FunctionScan {
    pub fn new(node: &Arc<Node>) -> FunctionScan {
        FunctionScan { node: node.clone(), rows: None, made: 0, done: false }
    }
}

impl Operator for FunctionScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::FunctionScan { call, ordinality, filter, .. } = &self.node.op else {
            return Err(Error::internal("not a function scan"));
        };
        let rows = match &mut self.rows {
            Some(rows) => rows,
            none => {
                let args = cx.eval_all(&call.args, &Batch::new(Vec::new(), 1))?;
                none.insert(cx.with_eval(|eval| call.start(&args, eval))?)
            }
        };
        while !self.done {
            cx.check_interrupt()?;
            let mut columns = cx.with_eval(|eval| rows.next(BATCH_SIZE, eval))?;
            let len = columns.first().map_or(0, |column| column.len());
            self.done = len < BATCH_SIZE;
            if len == 0 {
                break;
            }
            if *ordinality {
                let numbers = (self.made + 1..=self.made + len).map(|number| number as i64).collect();
                columns.push(Arc::new(Vector::flat(Data::Int64(numbers), Validity::all())));
            }
            self.made += len;
            if let Some(batch) = cx.filter_batch(filter, Batch::new(columns, len))? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
