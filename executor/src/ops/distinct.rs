//! Distinct: each row once, or the first row of each key (DISTINCT ON).

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::{Batch, DataType, Error, Result};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::group_table::GroupTable;

pub struct Distinct {
    node: Arc<Node>,
    input: BoxOperator,
    seen: GroupTable,
    memory: Reservation,
}

impl Distinct {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Distinct {
        let types: Vec<DataType> = match &node.op {
            Op::Distinct { keys: Some(keys), .. } => keys.iter().map(|key| key.data_type()).collect(),
            _ => node.columns.iter().map(|column| column.data_type).collect(),
        };
        Distinct { node: node.clone(), input, seen: GroupTable::without_keys(&types), memory: cx.reserve() }
    }
}

impl Operator for Distinct {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::Distinct { keys, .. } = &self.node.op else { return Err(Error::internal("not a distinct")) };
        let mut groups = Vec::new();
        let mut first = Vec::new();
        while let Some(batch) = self.input.next(cx)? {
            cx.check_interrupt()?;
            let columns = match keys {
                Some(keys) => cx.eval_all(keys, &batch)?,
                None => batch.columns().to_vec(),
            };
            self.seen.insert(&columns, batch.len(), &mut groups, Some(&mut first))?;
            self.memory.set(self.seen.size_bytes())?;
            if first.len() == batch.len() {
                return Ok(Some(batch));
            }
            if !first.is_empty() {
                return Ok(Some(batch.gather(&first)));
            }
        }
        Ok(None)
    }
}
