//! SeqScan and KeyScan: rows of a table's own tree.
//!
//! A KeyScan whose ranges are whole keys is a lookup: `get()` for one, a sorted `multi_get()` for more.
//! The first batch is small and each next one larger, so that LIMIT and cursors stay cheap.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{Node, Op, SeqScan};
use storage::{Direction, KeyRange, RecordSink, Scan};
use types::{BATCH_SIZE, Batch, Error, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};
use crate::table::layout::TableLayout;
use crate::table::scan::{RowReader, TreeRange, WithoutKey, tree_ranges};

/// Rows of a scan's first batch.
pub const FIRST_BATCH: usize = 64;

/// The operator of a `SeqScan` or `KeyScan` node.
pub fn build(node: &Arc<Node>, cx: &ExecContext) -> Result<BoxOperator> {
    let scan = match &node.op {
        Op::SeqScan(scan) => scan,
        Op::KeyScan(key_scan) => &key_scan.scan,
        _ => return Err(Error::internal("not a table scan")),
    };
    let layout = cx.tables().layout(&scan.table);
    let point = match &node.op {
        Op::KeyScan(op) => match op.ranges.as_slice() {
            [range] => {
                let width = layout.key.as_ref().map_or(usize::MAX, |key| key.layout.len());
                range.equals.len() == width && !range.is_null
            }
            _ => false,
        },
        _ => false,
    };
    if point {
        return Ok(Box::new(PointLookup { node: node.clone(), layout, done: false }));
    }
    Ok(Box::new(TableScan { node: node.clone(), layout, state: State::NotStarted, next_batch: FIRST_BATCH }))
}

fn scan_of(node: &Node) -> Result<&SeqScan> {
    match &node.op {
        Op::SeqScan(scan) => Ok(scan),
        Op::KeyScan(key_scan) => Ok(&key_scan.scan),
        _ => Err(Error::internal("not a table scan")),
    }
}

/// One row by its whole key: nothing between the plan and the store's `get()`.
struct PointLookup {
    node: Arc<Node>,
    layout: Arc<TableLayout>,
    done: bool,
}

impl Operator for PointLookup {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let Op::KeyScan(op) = &self.node.op else { return Err(Error::internal("not a key scan")) };
        let Some(key_layout) = &self.layout.key else { return Err(Error::internal("table without a key")) };
        let Some(range) = op.ranges.first() else { return Ok(None) };
        let mut key = Vec::with_capacity(32);
        for (expr, column) in range.equals.iter().zip(key_layout.layout.columns()) {
            let value = cx.eval_constant(expr)?;
            if value.is_null() {
                return Ok(None);
            }
            types::key::encode_value(&value, column, &mut key)?;
        }
        let reader = RowReader::new(&self.layout.row, &op.scan.columns, op.scan.row_key);
        let environment = cx.environment();
        let mut sink = reader.sink(1, &environment.cancel);
        let found = environment
            .transaction
            .get(self.layout.tree, &key, |record| sink.record(&key, record))?
            .transpose()?;
        if found.is_none() {
            return Ok(None);
        }
        cx.filter_batch(&op.scan.filter, sink.finish())
    }
}

/// All rows, or ranges of keys.
struct TableScan {
    node: Arc<Node>,
    layout: Arc<TableLayout>,
    state: State,
    next_batch: usize,
}

enum State {
    NotStarted,
    Running(Box<Running>),
    Done,
}

struct Running {
    reader: RowReader,
    /// What of the filter is left to evaluate on batches.
    filter: Vec<Expr>,
    /// Next last.
    ranges: Vec<TreeRange>,
    current: Option<Scan>,
    direction: Direction,
}

impl TableScan {
    fn start(&self, cx: &ExecContext) -> Result<Option<Running>> {
        let scan = scan_of(&self.node)?;
        let mut reader = RowReader::new(&self.layout.row, &scan.columns, scan.row_key);
        let Some(rest) = reader.push_filter(&self.layout.row, &scan.columns, &scan.filter, cx)? else {
            return Ok(None);
        };
        let filter = rest.into_iter().cloned().collect();
        let (mut ranges, backward) = match (&self.node.op, &self.layout.key) {
            (Op::KeyScan(op), Some(key)) => (tree_ranges(&op.ranges, &key.layout, cx)?, op.backward),
            (Op::KeyScan(_), None) => return Err(Error::internal("key scan of a table without a key")),
            _ => (vec![TreeRange::Range(KeyRange::all())], false),
        };
        if !backward {
            ranges.reverse();
        }
        let direction = if backward { Direction::Backward } else { Direction::Forward };
        Ok(Some(Running { reader, filter, ranges, current: None, direction }))
    }
}

impl Operator for TableScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        if matches!(self.state, State::NotStarted) {
            self.state = match self.start(cx)? {
                Some(running) => State::Running(Box::new(running)),
                None => State::Done,
            };
        }
        loop {
            let State::Running(running) = &mut self.state else { return Ok(None) };
            cx.check_interrupt()?;
            let limit = self.next_batch;
            self.next_batch = (limit * 4).min(BATCH_SIZE);
            let Some(batch) = running.fill(limit, &self.layout, &self.node, cx)? else {
                self.state = State::Done;
                return Ok(None);
            };
            let before = batch.len();
            let filtered = cx.filter_batch(&running.filter, batch)?;
            if cx.is_instrumented() {
                let removed = before - filtered.as_ref().map_or(0, Batch::len);
                cx.update_stats(self.node.id, |stats| stats.rows_removed_by_filter += removed as u64);
            }
            if filtered.is_some() {
                return Ok(filtered);
            }
        }
    }
}

impl Running {
    /// Up to `limit` rows that pass the pushed predicates; `None` at the end.
    fn fill(
        &mut self,
        limit: usize,
        layout: &TableLayout,
        node: &Node,
        cx: &ExecContext,
    ) -> Result<Option<Batch>> {
        let environment = cx.environment();
        let row_key = scan_of(node)?.row_key;
        let mut sink = self.reader.sink(limit, &environment.cancel);
        while sink.len() < limit {
            if let Some(scan) = &mut self.current {
                let more =
                    if row_key { scan.fill(&mut sink)? } else { scan.fill(&mut WithoutKey(&mut sink))? };
                if !more {
                    self.current = None;
                }
                continue;
            }
            match self.ranges.pop() {
                None => break,
                Some(TreeRange::Range(range)) => {
                    self.current = Some(environment.transaction.scan(layout.tree, range, self.direction)?);
                }
                Some(TreeRange::Point(key)) => {
                    let mut keys = vec![key];
                    while keys.len() < limit - sink.len()
                        && let Some(TreeRange::Point(_)) = self.ranges.last()
                        && let Some(TreeRange::Point(key)) = self.ranges.pop()
                    {
                        keys.push(key);
                    }
                    environment.transaction.multi_get(layout.tree, &keys, |index, record| {
                        sink.record(&keys[index], record).map(|_| ())
                    })?;
                }
            }
        }
        if cx.is_instrumented() {
            cx.update_stats(node.id, |stats| stats.rows_removed_by_filter += sink.removed);
        }
        Ok(if sink.is_empty() { None } else { Some(sink.finish()) })
    }
}
