//! Limit: skip, then take; WITH TIES goes on while the sort keys stay equal.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{Node, Op};
use types::{Batch, Error, Result, SqlState, Value};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Limit {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    /// Rows to skip, and to take (`None`: all), once evaluated.
    counts: Option<(u64, Option<u64>)>,
    /// Sort keys of the last row taken.
    last: Option<Vec<Value>>,
}

impl Limit {
    pub fn new(node: &Arc<Node>, input: BoxOperator) -> Limit {
        Limit { node: node.clone(), input: Some(input), counts: None, last: None }
    }
}

/// The number of rows that `expr` says; `None` for NULL (no limit). 2201W or 2201X if negative.
pub(crate) fn row_count(expr: &Expr, clause: &str, cx: &ExecContext) -> Result<Option<u64>> {
    let value = cx.eval_constant(expr)?;
    match value.as_i64() {
        None => Ok(None),
        Some(count) => u64::try_from(count).map(Some).map_err(|_| {
            let code = if clause == "LIMIT" {
                SqlState::INVALID_ROW_COUNT_IN_LIMIT
            } else {
                SqlState::INVALID_ROW_COUNT_IN_OFFSET
            };
            Error::new(code, format!("{clause} must not be negative"))
        }),
    }
}

/// Rows to skip, and to take (`None`: all), of a Limit node.
pub(crate) fn counts(node: &Node, cx: &ExecContext) -> Result<(u64, Option<u64>)> {
    let Op::Limit { limit, offset, .. } = &node.op else { return Err(Error::internal("not a limit")) };
    let skip = offset.as_ref().map(|expr| row_count(expr, "OFFSET", cx)).transpose()?.flatten();
    let take = limit.as_ref().map(|expr| row_count(expr, "LIMIT", cx)).transpose()?.flatten();
    Ok((skip.unwrap_or(0), take))
}

impl Operator for Limit {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Limit { with_ties, .. } = &self.node.op else {
            return Err(Error::internal("not a limit"));
        };
        let (mut skip, mut take) = match self.counts {
            Some(counts) => counts,
            None => counts(&self.node, cx)?,
        };
        loop {
            if take == Some(0) && (with_ties.is_none() || self.last.is_none()) {
                self.input = None;
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            let Some(batch) = input.next(cx)? else {
                self.input = None;
                return Ok(None);
            };
            let length = batch.len() as u64;
            if skip >= length {
                skip -= length;
                self.counts = Some((skip, take));
                continue;
            }
            let batch = batch.slice(skip as usize, batch.len());
            skip = 0;
            let wanted =
                take.map_or(batch.len(), |take| batch.len().min(usize::try_from(take).unwrap_or(usize::MAX)));
            take = take.map(|take| take - wanted as u64);
            self.counts = Some((skip, take));
            let mut end = wanted;
            if let (Some(keys), Some(0)) = (with_ties, take) {
                let keys = keys.iter().map(|key| cx.eval(&key.expr, &batch)).collect::<Result<Vec<_>>>()?;
                let key = |row: usize| keys.iter().map(|column| column.value(row)).collect::<Vec<_>>();
                if wanted > 0 {
                    self.last = Some(key(wanted - 1));
                }
                let last = self.last.clone().unwrap_or_default();
                while end < batch.len() && key(end) == last {
                    end += 1;
                }
                if end < batch.len() {
                    self.input = None;
                }
            } else if take == Some(0) {
                self.input = None;
            }
            if end > 0 {
                return Ok(Some(batch.slice(0, end)));
            }
        }
    }
}
