//! INSERT, with ON CONFLICT and RETURNING.
//!
//! Without ON CONFLICT a batch is checked, stored and indexed as a whole; with it, row by row.

use std::sync::Arc;

use planner::physical::plan::{InsertOp, Node, OnConflictOp, Op};
use storage::{LockOutcome, RowLock, WriteOutcome};
use types::{Batch, Error, Result, SqlState};

use crate::context::ExecContext;
use crate::dml::constraint::check_rows;
use crate::dml::foreign_key::{ReferencedKeys, ReferencingKeys};
use crate::dml::update::{ChangedRows, row_batch};
use crate::operator::{BoxOperator, Operator};
use crate::table::keys::EncodedKeys;
use crate::table::row::{ConflictOf, RowWriter};

/// The rows of an INSERT on their way into the table. Shared with COPY.
pub struct Target {
    pub writer: RowWriter,
    foreign_keys: ReferencingKeys,
}

impl Target {
    pub fn new(op: &InsertOp, cx: &ExecContext) -> Result<Target> {
        Ok(Target {
            writer: RowWriter::new(&op.table, &op.indexes, cx)?,
            foreign_keys: ReferencingKeys::new(&op.foreign_keys, None),
        })
    }

    /// Checks and stores rows in table order.
    pub fn insert(&mut self, op: &InsertOp, rows: &Batch, cx: &ExecContext) -> Result<()> {
        check_rows(&op.table, &op.checks, rows, cx)?;
        self.writer.insert(rows, cx)?;
        self.foreign_keys.check(rows, cx)
    }

    /// Makes the checks that must see all rows of the statement.
    pub fn finish(&mut self, cx: &ExecContext) -> Result<()> {
        self.foreign_keys.finish(cx)
    }
}

/// The input's columns in table order.
pub fn table_order(op: &InsertOp, batch: &Batch) -> Batch {
    let columns = op.columns.iter().map(|&position| batch.column(position).clone()).collect();
    Batch::new(columns, batch.len())
}

pub struct Insert {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    target: Target,
    referenced: ReferencedKeys,
}

impl Insert {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Result<Insert> {
        let op = insert(node)?;
        Ok(Insert {
            node: node.clone(),
            input: Some(input),
            target: Target::new(op, cx)?,
            referenced: ReferencedKeys::default(),
        })
    }

    /// Stores `rows` one by one and returns those that were inserted or updated, as they are now.
    fn insert_or_resolve(
        &mut self,
        op: &InsertOp,
        conflict: &OnConflictOp,
        rows: &Batch,
        cx: &ExecContext,
    ) -> Result<Vec<Batch>> {
        let mut results = Vec::new();
        for row in 0..rows.len() {
            cx.check_interrupt()?;
            let one = rows.gather(&[row as u32]);
            check_rows(&op.table, &op.checks, &one, cx)?;
            loop {
                let met = match self.target.writer.try_insert(&one, cx)? {
                    Ok(()) => {
                        self.target.foreign_keys.check(&one, cx)?;
                        results.push(one);
                        break;
                    }
                    Err(met) => met,
                };
                let id = met.index.as_ref().map(|index| index.index.id);
                let is_arbiter = conflict.arbiters.is_empty()
                    || conflict.arbiters.iter().any(|arbiter| match id {
                        Some(id) => arbiter.id == id,
                        None => arbiter.is_clustered,
                    });
                if !is_arbiter {
                    // Say it as a plain INSERT does.
                    self.target.writer.insert(&one, cx)?;
                    continue;
                }
                match self.resolve(op, conflict, &one, &met, cx)? {
                    Resolved::Again => {}
                    Resolved::Skipped => break,
                    Resolved::Updated(row) => {
                        results.push(row);
                        break;
                    }
                }
            }
        }
        Ok(results)
    }

    /// DO UPDATE of the row that `one` met, or DO NOTHING.
    fn resolve(
        &mut self,
        op: &InsertOp,
        conflict: &OnConflictOp,
        one: &Batch,
        met: &ConflictOf,
        cx: &ExecContext,
    ) -> Result<Resolved> {
        let transaction = cx.transaction();
        let layout = self.target.writer.layout.clone();
        // What a fixed snapshot does not show must not decide what happens.
        transaction.check_not_newer(met.index.as_ref().map_or(layout.tree, |index| index.tree), &met.key)?;
        let Some(update) = &conflict.update else { return Ok(Resolved::Skipped) };
        let mut row_key = None;
        match &met.index {
            None => row_key = Some(Ok(met.key.clone())),
            Some(index) => {
                let outcome = transaction.lock(index.tree, &met.key, RowLock::KeyShare, true, |record| {
                    row_key = Some(index.row_key(record).map(<[u8]>::to_vec));
                })?;
                if outcome == LockOutcome::Missing {
                    return Ok(Resolved::Again);
                }
            }
        }
        let Some(row_key) = row_key.transpose()? else { return Ok(Resolved::Again) };
        let mut existing = None;
        match transaction.lock(layout.tree, &row_key, RowLock::NoKeyUpdate, true, |record| {
            existing = Some(layout.row.decode_row(record));
        })? {
            LockOutcome::Locked | LockOutcome::LockedNewer => {}
            LockOutcome::Missing | LockOutcome::WouldBlock => return Ok(Resolved::Again),
        }
        let Some(existing) = existing.transpose()? else { return Ok(Resolved::Again) };
        let old = row_batch(&layout, &existing);
        let mut both = old.columns().to_vec();
        both.extend(one.columns().iter().cloned());
        let both = Batch::new(both, 1);
        if let Some(filter) = &update.filter
            && cx.filter_batch(std::slice::from_ref(filter), both.clone())?.is_none()
        {
            return Ok(Resolved::Skipped);
        }
        let mut columns = old.columns().to_vec();
        let mut changed = vec![false; columns.len()];
        for (column, expr) in &update.assignments {
            columns[*column] = cx.eval(expr, &both)?;
            changed[*column] = true;
        }
        let new = Batch::new(columns, 1);
        check_rows(&op.table, &op.checks, &new, cx)?;
        let mut keys = EncodedKeys::default();
        keys.push(&row_key);
        let rows = ChangedRows { writer: &self.target.writer, changed: &changed };
        match rows.write_one(&keys, 0, &old, &new, cx)? {
            WriteOutcome::Done => {}
            WriteOutcome::SelfModified => {
                return Err(Error::new(
                    SqlState::CARDINALITY_VIOLATION,
                    "ON CONFLICT DO UPDATE command cannot affect row a second time",
                )
                .with_hint(
                    "Ensure that no rows proposed for insertion within the same command have duplicate \
                     constrained values.",
                ));
            }
            WriteOutcome::Changed | WriteOutcome::Missing => return Ok(Resolved::Again),
        }
        rows.write_entries(&keys, &old, &new, cx)?;
        self.target.foreign_keys.check(&new, cx)?;
        if self.referenced.is_unset() {
            self.referenced = ReferencedKeys::of_table(&op.table, cx);
        }
        self.referenced.note_update(&old, &new);
        Ok(Resolved::Updated(new))
    }
}

enum Resolved {
    /// The row met is gone: insert again.
    Again,
    Skipped,
    Updated(Batch),
}

fn insert(node: &Node) -> Result<&InsertOp> {
    match &node.op {
        Op::Insert(op) => Ok(op),
        _ => Err(Error::internal("not an insert")),
    }
}

impl Operator for Insert {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = insert(&node)?;
        loop {
            let Some(input) = &mut self.input else { return Ok(None) };
            let Some(batch) = input.next(cx)? else {
                self.input = None;
                self.target.finish(cx)?;
                self.referenced.finish(cx)?;
                return Ok(None);
            };
            cx.check_interrupt()?;
            let rows = table_order(op, &batch);
            let stored = match &op.on_conflict {
                None => {
                    self.target.insert(op, &rows, cx)?;
                    rows
                }
                Some(conflict) => {
                    let results = self.insert_or_resolve(op, conflict, &rows, cx)?;
                    let types: Vec<_> = op.table.columns.iter().map(|column| column.data_type).collect();
                    let mut buffer = crate::row_buffer::RowBuffer::new(&types);
                    results.iter().for_each(|row| buffer.append(row));
                    buffer.finish()
                }
            };
            cx.add_affected(stored.len() as u64);
            if let Some(returning) = &op.returning
                && !stored.is_empty()
            {
                return Ok(Some(Batch::new(cx.eval_all(returning, &stored)?, stored.len())));
            }
        }
    }
}
