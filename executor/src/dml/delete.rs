//! DELETE. Rows that changed since the snapshot are looked at again, as in UPDATE.

use std::sync::Arc;

use planner::physical::plan::{DeleteOp, Node, Op};
use storage::{RowLock, WriteOutcome};
use types::{Batch, Error, Result};

use crate::context::ExecContext;
use crate::dml::foreign_key::{ReferencedKeys, ReferencingKeys};
use crate::dml::restart;
use crate::dml::update::{SecondLook, key_at, look_again, old_rows};
use crate::operator::{BoxOperator, Operator};
use crate::row_buffer::RowBuffer;
use crate::table::keys::EncodedKeys;
use crate::table::row::RowWriter;

pub struct Delete {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    writer: RowWriter,
    referenced: ReferencedKeys,
}

impl Delete {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Result<Delete> {
        let op = delete(node)?;
        Ok(Delete {
            node: node.clone(),
            input: Some(input),
            writer: RowWriter::new(&op.table, &op.indexes, cx)?,
            referenced: ReferencedKeys::new(&op.referenced_by),
        })
    }

    /// Deletes the rows of `batch`; returns those that went, as they were, and their input rows.
    fn delete_batch(&mut self, op: &DeleteOp, batch: &Batch, cx: &ExecContext) -> Result<(Batch, Vec<u32>)> {
        let layout = self.writer.layout.clone();
        let transaction = cx.transaction();
        let old = old_rows(&layout, &op.old, batch);
        let row_keys = batch.column(op.row_key);
        let mut done: Vec<u32> = Vec::with_capacity(batch.len());
        let mut keys = EncodedKeys::default();
        let mut again: Vec<(u32, Batch)> = Vec::new();
        for row in 0..batch.len() {
            let key = key_at(row_keys, row)?;
            match transaction.delete(layout.tree, key)? {
                WriteOutcome::Done => {
                    done.push(row as u32);
                    keys.push(key);
                }
                WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                WriteOutcome::Changed => {
                    let look = look_again(&self.writer, key, RowLock::Update, op.recheck.as_ref(), cx)?;
                    let SecondLook::Row(newest) = look else { continue };
                    match transaction.delete(layout.tree, key)? {
                        WriteOutcome::Done => again.push((row as u32, newest)),
                        WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                        WriteOutcome::Changed => return Err(restart()),
                    }
                }
            }
        }
        let mut gone = if done.len() == batch.len() { old } else { old.gather(&done) };
        if !again.is_empty() {
            let mut buffer = RowBuffer::new(layout.row.types());
            buffer.append(&gone);
            for (row, newest) in again {
                buffer.append(&newest);
                keys.push(key_at(row_keys, row as usize)?);
                done.push(row);
            }
            gone = buffer.finish();
        }
        if !gone.is_empty() {
            self.writer.remove_entries(&gone, &keys, cx)?;
            self.referenced.note_delete(&gone);
        }
        Ok((gone, done))
    }
}

fn delete(node: &Node) -> Result<&DeleteOp> {
    match &node.op {
        Op::Delete(op) => Ok(op),
        _ => Err(Error::internal("not a delete")),
    }
}

impl Operator for Delete {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = delete(&node)?;
        loop {
            let Some(input) = &mut self.input else { return Ok(None) };
            let Some(batch) = input.next(cx)? else {
                self.input = None;
                cx.check_at_end(ReferencingKeys::default(), std::mem::take(&mut self.referenced));
                return Ok(None);
            };
            cx.check_interrupt()?;
            let (gone, rows) = self.delete_batch(op, &batch, cx)?;
            cx.add_affected(gone.len() as u64);
            if let Some(returning) = &op.returning
                && !gone.is_empty()
            {
                let mut columns = gone.columns().to_vec();
                columns.extend(batch.gather(&rows).into_columns());
                let visible = Batch::new(columns, gone.len());
                return Ok(Some(Batch::new(cx.eval_all(returning, &visible)?, gone.len())));
            }
        }
    }
}
