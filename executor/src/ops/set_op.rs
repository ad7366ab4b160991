//! INTERSECT and EXCEPT, with or without ALL. Rows are told apart as DISTINCT does: NULL equals NULL.

use std::sync::Arc;

use planner::physical::plan::{Node, Op, SetOpKind};
use types::{Batch, DataType, Error, Result};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::group_table::{GroupTable, NO_GROUP};

pub struct SetOp {
    node: Arc<Node>,
    left: BoxOperator,
    right: Option<BoxOperator>,
    table: GroupTable,
    /// Rows of the right side per key; with ALL they are used up.
    counts: Vec<u64>,
    memory: Reservation,
}

impl SetOp {
    pub fn new(node: &Arc<Node>, left: BoxOperator, right: BoxOperator, cx: &ExecContext) -> SetOp {
        let types: Vec<DataType> = node.columns.iter().map(|column| column.data_type).collect();
        SetOp {
            node: node.clone(),
            left,
            right: Some(right),
            table: GroupTable::without_keys(&types),
            counts: Vec::new(),
            memory: cx.reserve(),
        }
    }
}

impl Operator for SetOp {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let Op::SetOp { kind, all, .. } = &self.node.op else {
            return Err(Error::internal("not a set operation"));
        };
        let (intersect, all) = match kind {
            SetOpKind::Intersect => (true, *all),
            SetOpKind::Except => (false, *all),
            SetOpKind::Union => return Err(Error::internal("UNION is an append")),
        };
        let mut groups = Vec::new();
        if let Some(mut right) = self.right.take() {
            while let Some(batch) = right.next(cx)? {
                cx.check_interrupt()?;
                self.table.insert(batch.columns(), batch.len(), &mut groups, None)?;
                self.counts.resize(self.table.len(), 0);
                groups.iter().for_each(|&group| self.counts[group as usize] += 1);
                self.memory.set(self.table.size_bytes() + self.counts.len() * 8)?;
            }
        }
        while let Some(batch) = self.left.next(cx)? {
            cx.check_interrupt()?;
            let mut kept = Vec::new();
            if intersect {
                self.table.find(batch.columns(), batch.len(), &mut groups)?;
                for (row, &group) in groups.iter().enumerate() {
                    if group == NO_GROUP {
                        continue;
                    }
                    let count = &mut self.counts[group as usize];
                    if *count > 0 {
                        *count = if all { *count - 1 } else { 0 };
                        kept.push(row as u32);
                    }
                }
            } else {
                // EXCEPT: without ALL a left row enters the table itself, so that it comes once.
                self.table.insert(batch.columns(), batch.len(), &mut groups, None)?;
                self.counts.resize(self.table.len(), 0);
                for (row, &group) in groups.iter().enumerate() {
                    let count = &mut self.counts[group as usize];
                    if *count == 0 {
                        kept.push(row as u32);
                        if !all {
                            *count = 1;
                        }
                    } else if all {
                        *count -= 1;
                    }
                }
                self.memory.set(self.table.size_bytes() + self.counts.len() * 8)?;
            }
            if kept.len() == batch.len() {
                return Ok(Some(batch));
            }
            if !kept.is_empty() {
                return Ok(Some(batch.gather(&kept)));
            }
        }
        Ok(None)
    }
}
