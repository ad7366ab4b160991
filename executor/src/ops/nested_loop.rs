//! Nested loop: every pair of rows, or for each left row a run of the right side with parameters.
//!
//! Without parameters the right side is materialised once. Rows come in the order of the left side, so an
//! unmatched left row is handed over in its place.

use std::sync::Arc;

use planner::physical::plan::{JoinKind, NestedLoop as NestedLoopOp, Node, Op};
use types::{BATCH_SIZE, Batch, DataType, Error, Result, Value};

use crate::build::build;
use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::hash_join::{bools, inputs_read, null_row, pair};
use crate::ops::sub_plan::more_than_one_row;
use crate::row_buffer::RowBuffer;

pub struct NestedLoop {
    node: Arc<Node>,
    left: Option<BoxOperator>,
    left_types: Vec<DataType>,
    right_types: Vec<DataType>,
    reads: Vec<bool>,
    memory: Reservation,
    right: Option<Right>,
    current: Option<Current>,
    tail: usize,
}

/// The materialised right side, with a row of NULLs behind its rows.
struct Right {
    rows: Batch,
    len: usize,
    matched: Vec<bool>,
}

/// A left batch being joined.
struct Current {
    batch: Batch,
    row: usize,
    /// Next right row for `row` (without parameters).
    right_row: usize,
    /// With parameters: the right side running for `row`.
    run: Option<BoxOperator>,
    matched: bool,
    unknown: bool,
}

/// What came of the left rows looked at.
#[derive(Default)]
struct Outcome {
    left: Vec<u32>,
    right: Vec<u32>,
    marks: Vec<Option<bool>>,
}

impl NestedLoop {
    pub fn new(node: &Arc<Node>, left: BoxOperator, cx: &ExecContext) -> Result<NestedLoop> {
        let op = join(node)?;
        let types = |node: &Node| node.columns.iter().map(|column| column.data_type).collect::<Vec<_>>();
        let (left_types, right_types) = (types(&op.left), types(&op.right));
        let reads = inputs_read(&op.condition, left_types.len() + right_types.len());
        Ok(NestedLoop {
            node: node.clone(),
            left: Some(left),
            left_types,
            right_types,
            reads,
            memory: cx.reserve(),
            right: None,
            current: None,
            tail: 0,
        })
    }

    fn materialise(&mut self, op: &NestedLoopOp, cx: &ExecContext) -> Result<Right> {
        let mut rows = RowBuffer::new(&self.right_types);
        if op.parameters.is_empty() {
            let mut source = build(&op.right, cx)?;
            while let Some(batch) = source.next(cx)? {
                rows.append(&batch);
                self.memory.set(rows.size_bytes())?;
            }
        }
        let len = rows.len();
        rows.append(&null_row(&self.right_types));
        let track =
            matches!(op.kind, JoinKind::Right | JoinKind::Full | JoinKind::RightSemi | JoinKind::RightAnti);
        if track && !op.parameters.is_empty() {
            return Err(Error::internal("a lateral join cannot keep right rows"));
        }
        Ok(Right { rows: rows.finish(), len, matched: vec![false; if track { len } else { 0 }] })
    }

    /// The pairs of `left` and `right` rows that satisfy the condition: (position, true or unknown).
    fn test(
        &self,
        op: &NestedLoopOp,
        left: &Batch,
        left_rows: &[u32],
        right: &Batch,
        right_rows: &[u32],
        cx: &ExecContext,
    ) -> Result<(Vec<u32>, Vec<u32>)> {
        let all = || (0..left_rows.len() as u32).collect();
        if op.condition.is_empty() {
            return Ok((all(), Vec::new()));
        }
        let pairs = pair(left, left_rows, right, right_rows, &self.reads);
        if !matches!(op.kind, JoinKind::Mark | JoinKind::NullAwareAnti) {
            let kept = cx.filter(&op.condition, &pairs)?.unwrap_or_else(all);
            if cx.is_instrumented() {
                let removed = (left_rows.len() - kept.len()) as u64;
                cx.update_stats(self.node.id, |stats| stats.rows_removed_by_join_filter += removed);
            }
            return Ok((kept, Vec::new()));
        }
        // The first conjunct is the comparison of IN: three-valued. The others say which rows there are.
        let (comparison, others) = op.condition.split_at(1);
        let kept = cx.filter(others, &pairs)?.unwrap_or_else(all);
        let kept_pairs = if kept.len() == pairs.len() { pairs } else { pairs.gather(&kept) };
        let result = cx.eval(&comparison[0], &kept_pairs)?;
        let (mut holds, mut unknown) = (Vec::new(), Vec::new());
        for (row, &position) in kept.iter().enumerate() {
            match result.value(row) {
                Value::Bool(true) => holds.push(position),
                Value::Bool(false) => {}
                _ => unknown.push(position),
            }
        }
        Ok((holds, unknown))
    }

    /// Ends left row `row`: what it comes to besides its pairs.
    fn end_row(op: &NestedLoopOp, current: &mut Current, nothing: u32, out: &mut Outcome) {
        let matched = std::mem::take(&mut current.matched);
        let unknown = std::mem::take(&mut current.unknown);
        let row = current.row as u32;
        match op.kind {
            JoinKind::Left | JoinKind::Full | JoinKind::Single if !matched => {
                out.left.push(row);
                out.right.push(nothing);
            }
            JoinKind::Semi if matched => out.left.push(row),
            JoinKind::Anti if !matched => out.left.push(row),
            JoinKind::NullAwareAnti if !matched && !unknown => out.left.push(row),
            JoinKind::Mark => {
                out.left.push(row);
                out.marks.push(if matched {
                    Some(true)
                } else if unknown {
                    None
                } else {
                    Some(false)
                });
            }
            _ => {}
        }
        current.row += 1;
        current.right_row = 0;
    }

    /// Notes a pair of `current.row` that holds.
    fn take_pair(op: &NestedLoopOp, current: &mut Current, right: u32, out: &mut Outcome) -> Result<()> {
        let before = std::mem::replace(&mut current.matched, true);
        match op.kind {
            JoinKind::Single if before => return Err(more_than_one_row()),
            JoinKind::Inner | JoinKind::Left | JoinKind::Right | JoinKind::Full | JoinKind::Single => {
                out.left.push(current.row as u32);
                out.right.push(right);
            }
            _ => {}
        }
        Ok(())
    }

    /// Without parameters: looks at up to a batch of pairs.
    fn step(&mut self, op: &NestedLoopOp, current: &mut Current, cx: &ExecContext) -> Result<Option<Batch>> {
        let Some(mut right) = self.right.take() else { return Err(Error::internal("no right side")) };
        let nothing = right.len as u32;
        let (mut left_rows, mut right_rows) = (Vec::new(), Vec::new());
        let (mut row, mut next) = (current.row, current.right_row);
        while row < current.batch.len() && left_rows.len() < BATCH_SIZE {
            let count = (right.len - next).min(BATCH_SIZE - left_rows.len());
            left_rows.extend(std::iter::repeat_n(row as u32, count));
            right_rows.extend(next as u32..(next + count) as u32);
            next += count;
            if next == right.len {
                row += 1;
                next = 0;
                if right.len == 0 && row - current.row >= BATCH_SIZE {
                    break;
                }
            }
        }
        let (holds, unknown) = self.test(op, &current.batch, &left_rows, &right.rows, &right_rows, cx)?;
        let mut out = Outcome::default();
        let mut unknown = unknown.into_iter().peekable();
        for &position in &holds {
            let position = position as usize;
            while (current.row as u32) < left_rows[position] {
                note_unknown(current, &left_rows, &mut unknown);
                NestedLoop::end_row(op, current, nothing, &mut out);
            }
            if let Some(matched) = right.matched.get_mut(right_rows[position] as usize) {
                *matched = true;
            }
            NestedLoop::take_pair(op, current, right_rows[position], &mut out)?;
        }
        while current.row < row {
            note_unknown(current, &left_rows, &mut unknown);
            NestedLoop::end_row(op, current, nothing, &mut out);
        }
        note_unknown(current, &left_rows, &mut unknown);
        current.right_row = next;
        let batch = self.output(op, &current.batch, out, &right.rows);
        self.right = Some(right);
        Ok(batch)
    }

    /// With parameters: runs the right side for the rows at hand until there is a batch of output.
    fn step_lateral(
        &mut self,
        op: &NestedLoopOp,
        current: &mut Current,
        cx: &ExecContext,
    ) -> Result<Option<Batch>> {
        let types: Vec<DataType> = self.node.columns.iter().map(|column| column.data_type).collect();
        let mut collected = RowBuffer::new(&types);
        let Some(right) = self.right.take() else { return Err(Error::internal("no right side")) };
        let parameters = op
            .parameters
            .iter()
            .map(|(id, expr)| Ok((*id, cx.eval(expr, &current.batch)?)))
            .collect::<Result<Vec<_>>>()?;
        while current.row < current.batch.len() && collected.len() < BATCH_SIZE {
            cx.check_interrupt()?;
            for (id, values) in &parameters {
                cx.set_plan_parameter(*id, values.value(current.row));
            }
            let mut run = match current.run.take() {
                Some(run) => run,
                None => build(&op.right, cx)?,
            };
            let mut out = Outcome::default();
            let enough = matches!(op.kind, JoinKind::Semi | JoinKind::Anti);
            match run.next(cx)? {
                Some(batch) => {
                    let left_rows = vec![current.row as u32; batch.len()];
                    let right_rows: Vec<u32> = (0..batch.len() as u32).collect();
                    let (holds, unknown) =
                        self.test(op, &current.batch, &left_rows, &batch, &right_rows, cx)?;
                    current.unknown |= !unknown.is_empty();
                    for position in holds {
                        NestedLoop::take_pair(op, current, position, &mut out)?;
                    }
                    if enough && current.matched {
                        NestedLoop::end_row(op, current, 0, &mut out);
                    } else {
                        current.run = Some(run);
                    }
                    if let Some(batch) = self.output(op, &current.batch, out, &batch) {
                        collected.append(&batch);
                    }
                }
                None => {
                    NestedLoop::end_row(op, current, right.len as u32, &mut out);
                    if let Some(batch) = self.output(op, &current.batch, out, &right.rows) {
                        collected.append(&batch);
                    }
                }
            }
        }
        self.right = Some(right);
        Ok(if collected.is_empty() { None } else { Some(collected.finish()) })
    }

    fn output(&self, op: &NestedLoopOp, left: &Batch, out: Outcome, right: &Batch) -> Option<Batch> {
        if out.left.is_empty() {
            return None;
        }
        Some(match op.kind {
            JoinKind::Semi | JoinKind::Anti | JoinKind::NullAwareAnti => left.gather(&out.left),
            JoinKind::Mark => {
                let len = out.left.len();
                let mut columns = left.gather(&out.left).into_columns();
                columns.push(bools(out.marks.into_iter()));
                Batch::new(columns, len)
            }
            _ => pair(left, &out.left, right, &out.right, &[]),
        })
    }

    /// Right rows that met (or did not meet) a left row.
    fn finish_right(&mut self, op: &NestedLoopOp) -> Option<Batch> {
        let right = self.right.as_ref()?;
        let wanted = op.kind == JoinKind::RightSemi;
        let mut rows = Vec::new();
        while self.tail < right.matched.len() && rows.len() < BATCH_SIZE {
            if right.matched[self.tail] == wanted {
                rows.push(self.tail as u32);
            }
            self.tail += 1;
        }
        if rows.is_empty() {
            return None;
        }
        if matches!(op.kind, JoinKind::RightSemi | JoinKind::RightAnti) {
            return Some(right.rows.gather(&rows));
        }
        Some(pair(&null_row(&self.left_types), &vec![0; rows.len()], &right.rows, &rows, &[]))
    }
}

fn join(node: &Node) -> Result<&NestedLoopOp> {
    match &node.op {
        Op::NestedLoop(op) => Ok(op),
        _ => Err(Error::internal("not a nested loop")),
    }
}

fn note_unknown(
    current: &mut Current,
    left_rows: &[u32],
    unknown: &mut std::iter::Peekable<std::vec::IntoIter<u32>>,
) {
    while unknown.next_if(|&position| left_rows[position as usize] as usize <= current.row).is_some() {
        current.unknown = true;
    }
}

impl Operator for NestedLoop {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = join(&node)?;
        loop {
            if let Some(mut current) = self.current.take() {
                if current.row >= current.batch.len() {
                    continue;
                }
                cx.check_interrupt()?;
                let out = if op.parameters.is_empty() {
                    self.step(op, &mut current, cx)?
                } else {
                    self.step_lateral(op, &mut current, cx)?
                };
                self.current = Some(current);
                if out.is_some() {
                    return Ok(out);
                }
                continue;
            }
            let batch = match &mut self.left {
                Some(left) => left.next(cx)?,
                None => None,
            };
            let Some(batch) = batch else {
                self.left = None;
                if self.right.is_none()
                    && matches!(op.kind, JoinKind::Right | JoinKind::Full | JoinKind::RightAnti)
                {
                    self.right = Some(self.materialise(op, cx)?);
                }
                return Ok(self.finish_right(op));
            };
            if self.right.is_none() {
                self.right = Some(self.materialise(op, cx)?);
            }
            self.current =
                Some(Current { batch, row: 0, right_row: 0, run: None, matched: false, unknown: false });
        }
    }
}
