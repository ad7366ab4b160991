//! MERGE: each row of the join is updated, deleted, inserted, or left alone.
//!
//! Rows are taken in the order they come; neighbours with the same fate are changed together. A row that
//! another transaction has changed since the snapshot makes the statement run again, since another clause may
//! now be meant for it.

use std::sync::Arc;

use planner::physical::plan::{MergeAction, MergeOp, Node, Op};
use storage::WriteOutcome;
use types::{Batch, Error, Result, SqlState};

use crate::context::ExecContext;
use crate::dml::constraint::check_rows;
use crate::dml::foreign_key::{ReferencedKeys, ReferencingKeys};
use crate::dml::restart;
use crate::dml::update::{ChangedRows, key_at, old_rows};
use crate::operator::{BoxOperator, Operator};
use crate::table::keys::EncodedKeys;
use crate::table::row::RowWriter;

pub struct Merge {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    writer: RowWriter,
    /// By clause: the columns it assigns, and the foreign keys these are part of.
    clauses: Vec<(Vec<bool>, ReferencingKeys)>,
    referenced: ReferencedKeys,
}

impl Merge {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Result<Merge> {
        let op = merge(node)?;
        let clauses = op.whens.iter().map(|when| match &when.action {
            MergeAction::Update(assignments) => {
                let mut changed = vec![false; op.table.columns.len()];
                let assigned = assignments.iter().map(|(column, _)| *column);
                for column in assigned.chain(op.generated.iter().map(|(column, _)| *column)) {
                    if let Some(changed) = changed.get_mut(column) {
                        *changed = true;
                    }
                }
                let keys = ReferencingKeys::new(&op.foreign_keys, Some(&changed));
                (changed, keys)
            }
            MergeAction::Insert(_) => (Vec::new(), ReferencingKeys::new(&op.foreign_keys, None)),
            MergeAction::DoNothing | MergeAction::Delete => (Vec::new(), ReferencingKeys::default()),
        });
        Ok(Merge {
            node: node.clone(),
            input: Some(input),
            writer: RowWriter::new(&op.table, &op.indexes, cx)?,
            clauses: clauses.collect(),
            referenced: ReferencedKeys::new(&op.referenced_by),
        })
    }

    /// The clause meant for each row, if any.
    fn choose(op: &MergeOp, batch: &Batch, cx: &ExecContext) -> Result<Vec<Option<usize>>> {
        let keys = batch.column(op.row_key);
        let mut chosen = vec![None; batch.len()];
        let mut open: Vec<u32> = (0..batch.len() as u32).collect();
        for (clause, when) in op.whens.iter().enumerate() {
            let mut meant: Vec<u32> =
                open.iter().copied().filter(|&row| keys.is_null(row as usize) != when.matched).collect();
            if !when.condition.is_empty() && !meant.is_empty() {
                let rows = batch.gather(&meant);
                if let Some(kept) = cx.filter(&when.condition, &rows)? {
                    meant = kept.iter().filter_map(|&at| meant.get(at as usize).copied()).collect();
                }
            }
            for &row in &meant {
                if let Some(place) = chosen.get_mut(row as usize) {
                    *place = Some(clause);
                }
            }
            open.retain(|&row| chosen.get(row as usize) == Some(&None));
        }
        Ok(chosen)
    }

    /// Does what clause `clause` says with `rows` of the join; how many rows that changed.
    fn change(&mut self, op: &MergeOp, clause: usize, rows: &Batch, cx: &ExecContext) -> Result<usize> {
        let (Some(when), Some((changed, foreign_keys))) =
            (op.whens.get(clause), self.clauses.get_mut(clause))
        else {
            return Err(Error::internal("no such clause"));
        };
        let layout = self.writer.layout.clone();
        if let MergeAction::Insert(values) = &when.action {
            let new = with_generated(op, Batch::new(cx.eval_all(values, rows)?, rows.len()), cx)?;
            check_rows(&op.table, &op.checks, &new, cx)?;
            self.writer.insert(&new, cx)?;
            foreign_keys.check(&new, cx)?;
            return Ok(rows.len());
        }
        if matches!(when.action, MergeAction::DoNothing) {
            return Ok(0);
        }
        let old = old_rows(&layout, &op.old, rows);
        let row_keys = rows.column(op.row_key);
        let mut keys = EncodedKeys::default();
        for row in 0..rows.len() {
            keys.push(key_at(row_keys, row)?);
        }
        if let MergeAction::Update(assignments) = &when.action {
            let mut columns = old.columns().to_vec();
            for (column, value) in assignments {
                columns[*column] = cx.eval(value, rows)?;
            }
            let new = with_generated(op, Batch::new(columns, rows.len()), cx)?;
            check_rows(&op.table, &op.checks, &new, cx)?;
            let writing = ChangedRows { writer: &self.writer, changed };
            for row in 0..rows.len() {
                check_outcome(writing.write_one(&keys, row, &old, &new, cx)?)?;
            }
            writing.write_entries(&keys, &old, &new, cx)?;
            foreign_keys.check(&new, cx)?;
            self.referenced.note_update(&old, &new);
        } else {
            for row in 0..rows.len() {
                check_outcome(cx.transaction().delete(layout.tree, keys.get(row))?)?;
            }
            self.writer.remove_entries(&old, &keys, cx)?;
            self.referenced.note_delete(&old);
        }
        Ok(rows.len())
    }
}

/// 21000 for a row that the statement has changed already.
fn check_outcome(outcome: WriteOutcome) -> Result<()> {
    match outcome {
        WriteOutcome::Done => Ok(()),
        WriteOutcome::SelfModified => {
            Err(Error::new(SqlState::CARDINALITY_VIOLATION, "MERGE command cannot affect row a second time")
                .with_hint("Ensure that not more than one source row matches any one target row."))
        }
        WriteOutcome::Changed | WriteOutcome::Missing => Err(restart()),
    }
}

/// Rows in table order with their generated columns computed.
fn with_generated(op: &MergeOp, rows: Batch, cx: &ExecContext) -> Result<Batch> {
    if op.generated.is_empty() {
        return Ok(rows);
    }
    let mut columns = rows.columns().to_vec();
    for (column, value) in &op.generated {
        columns[*column] = cx.eval(value, &rows)?;
    }
    Ok(Batch::new(columns, rows.len()))
}

fn merge(node: &Node) -> Result<&MergeOp> {
    match &node.op {
        Op::Merge(op) => Ok(op),
        _ => Err(Error::internal("not a merge")),
    }
}

impl Operator for Merge {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = merge(&node)?;
        let Some(mut input) = self.input.take() else { return Ok(None) };
        while let Some(batch) = input.next(cx)? {
            cx.check_interrupt()?;
            let chosen = Merge::choose(op, &batch, cx)?;
            let mut start = 0;
            for run in chosen.chunk_by(|a, b| a == b) {
                let end = start + run.len();
                if let Some(Some(clause)) = run.first() {
                    let done = self.change(op, *clause, &batch.slice(start, end), cx)?;
                    cx.add_affected(done as u64);
                }
                start = end;
            }
        }
        for (_, foreign_keys) in &mut self.clauses {
            cx.check_at_end(std::mem::take(foreign_keys), ReferencedKeys::default());
        }
        cx.check_at_end(ReferencingKeys::default(), std::mem::take(&mut self.referenced));
        Ok(None)
    }
}
