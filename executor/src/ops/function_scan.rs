//! FunctionScan: the rows of a set-returning function in FROM.

use std::sync::Arc;

use expr::EvalContext;
use expr::function::{Args, Implementation};
use expr::table::TableFunctionCall;
use planner::physical::plan::{Node, Op};
use types::{BATCH_SIZE, Batch, Data, DataType, Error, Result, Validity, Vector};

use crate::context::ExecContext;
use crate::operator::Operator;

pub struct FunctionScan {
    node: Arc<Node>,
    rows: Option<(Batch, usize)>,
}

impl FunctionScan {
    pub fn new(node: &Arc<Node>) -> FunctionScan {
        FunctionScan { node: node.clone(), rows: None }
    }
}

/// The rows that `call` returns for one row of arguments, as columns of equal length.
/// 0A000 for a function we do not have. A function that returns no set returns one row.
pub(crate) fn call_rows(
    call: &TableFunctionCall,
    args: &[Arc<Vector>],
    cx: &EvalContext<'_>,
) -> Result<Vec<Arc<Vector>>> {
    let function = call.function;
    let types: Vec<DataType> = call.args.iter().map(|arg| arg.data_type()).collect();
    let result = match call.columns.as_slice() {
        [(_, data_type)] => *data_type,
        _ => DataType::RECORD,
    };
    let call_args = Args { vectors: args, types: &types, result, len: 1, cx, function };
    let null_argument = args.iter().any(|arg| arg.is_null(0));
    match &function.implementation {
        Implementation::Table(kernel) => {
            if function.strict && null_argument {
                return Ok(empty(call));
            }
            kernel(&call_args)
        }
        Implementation::Scalar(kernel) => {
            if function.strict && null_argument {
                return Ok(vec![Arc::new(Vector::nulls(result.physical, 1))]);
            }
            Ok(vec![Arc::new(kernel(&call_args)?)])
        }
        _ => {
            function.check_implemented()?;
            Err(Error::not_supported(format!("function {} in FROM", function.signature())))
        }
    }
}

fn empty(call: &TableFunctionCall) -> Vec<Arc<Vector>> {
    call.columns.iter().map(|(_, t)| Arc::new(Vector::nulls(t.physical, 0).flatten())).collect()
}

impl Operator for FunctionScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::FunctionScan { call, ordinality, filter, .. } = &self.node.op else {
            return Err(Error::internal("not a function scan"));
        };
        if self.rows.is_none() {
            let one = Batch::new(Vec::new(), 1);
            let args = cx.eval_all(&call.args, &one)?;
            let mut columns = cx.with_eval(|eval| call_rows(call, &args, eval))?;
            let len = columns.first().map_or(0, |column| column.len());
            if *ordinality {
                let numbers: Vec<i64> = (1..=len as i64).collect();
                columns.push(Arc::new(Vector::flat(Data::Int64(numbers), Validity::all())));
            }
            self.rows = Some((Batch::new(columns, len), 0));
        }
        let Some((rows, position)) = &mut self.rows else { return Ok(None) };
        while *position < rows.len() {
            cx.check_interrupt()?;
            let end = rows.len().min(*position + BATCH_SIZE);
            let batch = rows.slice(*position, end);
            *position = end;
            if let Some(batch) = cx.filter_batch(filter, batch)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }
}
