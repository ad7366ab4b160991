//! UPDATE.
//!
//! A batch's records are rewritten one by one, then its index entries are changed together. A row that
//! another transaction has changed since the snapshot (READ COMMITTED) is locked and looked at again:
//! does the filter still hold, what are the new values now? Where the plan cannot tell, the statement is
//! restarted. A row whose key changes moves: it is deleted and inserted.

use std::sync::Arc;

use planner::physical::plan::{Node, Op, Recheck, UpdateOp};
use storage::{InsertOutcome, LockOutcome, RowLock, WriteOutcome};
use types::row::builder_for;
use types::{Batch, Data, Error, Result, Value, Vector};

use crate::context::ExecContext;
use crate::dml::constraint::check_rows;
use crate::dml::foreign_key::{ReferencedKeys, ReferencingKeys};
use crate::dml::restart;
use crate::operator::{BoxOperator, Operator};
use crate::table::keys::EncodedKeys;
use crate::table::layout::TableLayout;
use crate::table::row::RowWriter;

pub struct Update {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    writer: RowWriter,
    /// Columns that are assigned.
    changed: Vec<bool>,
    foreign_keys: ReferencingKeys,
    referenced: ReferencedKeys,
}

/// Rows whose records are being rewritten.
pub struct ChangedRows<'w> {
    pub writer: &'w RowWriter,
    /// Columns that may differ.
    pub changed: &'w [bool],
}

/// One row as a batch in table order.
pub fn row_batch(layout: &TableLayout, values: &[Value]) -> Batch {
    let columns = layout.table.columns.iter().zip(values).map(|(column, value)| {
        let mut builder = builder_for(column.data_type, 1);
        builder.push(value);
        Arc::new(builder.finish())
    });
    Batch::new(columns.collect(), 1)
}

/// Old rows in table order; columns nobody reads are NULL.
pub fn old_rows(layout: &TableLayout, old: &[Option<usize>], batch: &Batch) -> Batch {
    let columns = layout.table.columns.iter().enumerate().map(|(position, column)| {
        match old.get(position).copied().flatten() {
            Some(input) => batch.column(input).clone(),
            None => Arc::new(Vector::nulls(column.data_type.physical, batch.len())),
        }
    });
    Batch::new(columns.collect(), batch.len())
}

/// The bytes of row key `row` in a bytea column.
pub fn key_at(keys: &Vector, row: usize) -> Result<&[u8]> {
    match keys.data() {
        Data::Bytea(values) => Ok(values.get(keys.index(row))),
        other => Err(Error::internal(format!("row keys are {:?}", other.physical()))),
    }
}

impl ChangedRows<'_> {
    /// Whether rows may change their place in the table.
    fn moves(&self) -> bool {
        let key = &self.writer.layout.key;
        key.as_ref().is_some_and(|key| key.columns.iter().any(|&column| self.changed[column]))
    }

    /// Rewrites the record of row `row`. A row that moves is only deleted here.
    pub fn write_one(
        &self,
        keys: &EncodedKeys,
        row: usize,
        old: &Batch,
        new: &Batch,
        cx: &ExecContext,
    ) -> Result<WriteOutcome> {
        let layout = &self.writer.layout;
        let transaction = cx.transaction();
        if self.moves() && self.key_differs(old, new, row) {
            return transaction.delete(layout.tree, keys.get(row));
        }
        let mut record = Vec::with_capacity(128);
        layout.row.encode_batch_row(new, row, &mut record)?;
        transaction.update(layout.tree, keys.get(row), &record)
    }

    fn key_differs(&self, old: &Batch, new: &Batch, row: usize) -> bool {
        let columns = self.writer.layout.key.iter().flat_map(|key| &key.columns);
        columns.into_iter().any(|&c| old.column(c).value(row) != new.column(c).value(row))
    }

    /// Inserts the records of rows that move, and changes the index entries of all. 23505 on a duplicate.
    pub fn write_entries(
        &self,
        keys: &EncodedKeys,
        old: &Batch,
        new: &Batch,
        cx: &ExecContext,
    ) -> Result<()> {
        let layout = &self.writer.layout;
        if !self.moves() {
            return self.writer.change_entries((old, keys), (new, keys), self.changed, false, cx);
        }
        let new_keys = self.writer.row_keys(new, cx)?;
        let mut record = Vec::new();
        for row in 0..new.len() {
            if self.key_differs(old, new, row) {
                record.clear();
                layout.row.encode_batch_row(new, row, &mut record)?;
                if cx.transaction().insert(layout.tree, new_keys.get(row), &record)?
                    == InsertOutcome::Duplicate
                {
                    return Err(self.writer.duplicate_row(new, row, cx));
                }
            }
        }
        self.writer.change_entries((old, keys), (new, &new_keys), self.changed, true, cx)
    }
}

/// What a second look at a row came to.
pub enum SecondLook {
    /// The row is gone, or no longer meant.
    Not,
    /// Its newest version, locked.
    Row(Batch),
}

/// Locks a row that changed under us and looks whether it is still meant.
pub fn look_again(
    writer: &RowWriter,
    key: &[u8],
    mode: RowLock,
    recheck: Option<&Recheck>,
    cx: &ExecContext,
) -> Result<SecondLook> {
    let recheck = recheck.ok_or_else(restart)?;
    let layout = &writer.layout;
    let mut newest = None;
    match cx.transaction().lock(layout.tree, key, mode, true, |record| {
        newest = Some(layout.row.decode_row(record));
    })? {
        LockOutcome::Missing | LockOutcome::WouldBlock => return Ok(SecondLook::Not),
        LockOutcome::Locked | LockOutcome::LockedNewer => {}
    }
    let Some(values) = newest.transpose()? else { return Ok(SecondLook::Not) };
    let row = row_batch(layout, &values);
    Ok(match cx.filter_batch(&recheck.filter, row)? {
        Some(row) => SecondLook::Row(row),
        None => SecondLook::Not,
    })
}

impl Update {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Result<Update> {
        let op = update(node)?;
        let mut changed = vec![false; op.table.columns.len()];
        op.assignments.iter().for_each(|(column, _)| changed[*column] = true);
        Ok(Update {
            node: node.clone(),
            input: Some(input),
            writer: RowWriter::new(&op.table, &op.indexes, cx)?,
            foreign_keys: ReferencingKeys::new(&op.foreign_keys, Some(&changed)),
            referenced: ReferencedKeys::new(&op.referenced_by),
            changed,
        })
    }

    /// Updates the rows of `batch`; returns the new rows and which input row each is of.
    fn update_batch(&mut self, op: &UpdateOp, batch: &Batch, cx: &ExecContext) -> Result<(Batch, Vec<u32>)> {
        let layout = self.writer.layout.clone();
        let old = old_rows(&layout, &op.old, batch);
        let mut columns = old.columns().to_vec();
        for (column, input) in &op.assignments {
            columns[*column] = batch.column(*input).clone();
        }
        let new = Batch::new(columns, batch.len());
        check_rows(&op.table, &op.checks, &new, cx)?;
        let row_keys = batch.column(op.row_key);
        let mut keys = EncodedKeys::default();
        for row in 0..batch.len() {
            keys.push(key_at(row_keys, row)?);
        }
        let rows = ChangedRows { writer: &self.writer, changed: &self.changed };
        // Rows done as they were read, and rows that had to be looked at again.
        let mut done: Vec<u32> = Vec::with_capacity(batch.len());
        let mut again: Vec<(u32, Batch, Batch)> = Vec::new();
        for row in 0..batch.len() {
            match rows.write_one(&keys, row, &old, &new, cx)? {
                WriteOutcome::Done => done.push(row as u32),
                WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                WriteOutcome::Changed => {
                    let mode = if rows.moves() { RowLock::Update } else { RowLock::NoKeyUpdate };
                    let look = look_again(&self.writer, keys.get(row), mode, op.recheck.as_ref(), cx)?;
                    let SecondLook::Row(newest) = look else { continue };
                    let mut columns = newest.columns().to_vec();
                    for (column, expr) in op.recheck.iter().flat_map(|recheck| &recheck.assignments) {
                        columns[*column] = cx.eval(expr, &newest)?;
                    }
                    let changed = Batch::new(columns, 1);
                    check_rows(&op.table, &op.checks, &changed, cx)?;
                    let mut key = EncodedKeys::default();
                    key.push(keys.get(row));
                    match rows.write_one(&key, 0, &newest, &changed, cx)? {
                        WriteOutcome::Done => again.push((row as u32, newest, changed)),
                        WriteOutcome::Missing | WriteOutcome::SelfModified => {}
                        WriteOutcome::Changed => return Err(restart()),
                    }
                }
            }
        }
        if done.len() == batch.len() {
            rows.write_entries(&keys, &old, &new, cx)?;
            self.foreign_keys.check(&new, cx)?;
            self.referenced.note_update(&old, &new);
            return Ok((new, done));
        }
        let mut buffer = crate::row_buffer::RowBuffer::new(layout.row.types());
        if !done.is_empty() {
            let (old, new) = (old.gather(&done), new.gather(&done));
            let mut kept = EncodedKeys::default();
            done.iter().for_each(|&row| kept.push(keys.get(row as usize)));
            rows.write_entries(&kept, &old, &new, cx)?;
            self.foreign_keys.check(&new, cx)?;
            self.referenced.note_update(&old, &new);
            buffer.append(&new);
        }
        for (row, old, new) in again {
            let mut key = EncodedKeys::default();
            key.push(keys.get(row as usize));
            rows.write_entries(&key, &old, &new, cx)?;
            self.foreign_keys.check(&new, cx)?;
            self.referenced.note_update(&old, &new);
            buffer.append(&new);
            done.push(row);
        }
        Ok((buffer.finish(), done))
    }
}

fn update(node: &Node) -> Result<&UpdateOp> {
    match &node.op {
        Op::Update(op) => Ok(op),
        _ => Err(Error::internal("not an update")),
    }
}

impl Operator for Update {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = update(&node)?;
        loop {
            let Some(input) = &mut self.input else { return Ok(None) };
            let Some(batch) = input.next(cx)? else {
                self.input = None;
                cx.check_at_end(std::mem::take(&mut self.foreign_keys), std::mem::take(&mut self.referenced));
                return Ok(None);
            };
            cx.check_interrupt()?;
            let (new, rows) = self.update_batch(op, &batch, cx)?;
            cx.add_affected(new.len() as u64);
            if let Some(returning) = &op.returning
                && !new.is_empty()
            {
                let mut columns = new.columns().to_vec();
                columns.extend(batch.gather(&rows).into_columns());
                let visible = Batch::new(columns, new.len());
                return Ok(Some(Batch::new(cx.eval_all(returning, &visible)?, new.len())));
            }
        }
    }
}
