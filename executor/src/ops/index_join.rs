//! IndexJoin: for a batch of left rows, their matches looked up by key.
//!
//! The keys of a batch are sorted and made unique first, so that neighbouring lookups share pages. Rows
//! come in the order of the left side.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{IndexJoin as IndexJoinOp, JoinKind, Node, Op};
use storage::{Direction, KeyRange, RecordSink};
use types::{Batch, DataType, Error, Result, Vector};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};
use crate::ops::hash_join::{inputs_read, null_row, pair};
use crate::row_buffer::RowBuffer;
use crate::table::layout::{IndexLayout, TableLayout};
use crate::table::scan::{RowReader, fetch_rows};

pub struct IndexJoin {
    node: Arc<Node>,
    left: BoxOperator,
    table: Arc<TableLayout>,
    index: Option<Arc<IndexLayout>>,
    inner_types: Vec<DataType>,
    reads: Vec<bool>,
    reader: Option<(RowReader, Vec<Expr>, bool)>,
    /// Left rows waiting, next last.
    waiting: Vec<Batch>,
}

/// Left rows joined at once: bounds what a key with many matches makes of them.
const LEFT_ROWS: usize = 512;

impl IndexJoin {
    pub fn new(node: &Arc<Node>, left: BoxOperator, cx: &ExecContext) -> Result<IndexJoin> {
        let op = join(node)?;
        let table = cx.tables().layout(&op.inner.table);
        let index = match &op.index {
            Some(index) if !index.is_clustered => Some(
                table
                    .index(index)
                    .ok_or_else(|| Error::internal(format!("no tree of index \"{}\"", index.name)))?
                    .clone(),
            ),
            _ => None,
        };
        let mut inner_types: Vec<DataType> =
            op.inner.columns.iter().map(|&column| op.inner.table.columns[column].data_type).collect();
        if op.inner.row_key {
            inner_types.push(DataType::BYTEA);
        }
        let reads = inputs_read(&op.residual, op.left.columns.len() + inner_types.len());
        Ok(IndexJoin {
            node: node.clone(),
            left,
            table,
            index,
            inner_types,
            reads,
            reader: None,
            waiting: Vec::new(),
        })
    }

    /// The inner rows of each distinct key: the rows, and the key number of each, ascending.
    fn look_up(
        &self,
        keys: &[Vec<u8>],
        whole: bool,
        reader: &RowReader,
        cx: &ExecContext,
    ) -> Result<(Batch, Vec<u32>)> {
        let environment = cx.environment();
        let transaction = &environment.transaction;
        match &self.index {
            None if whole => fetch_rows(&self.table, reader, keys, cx),
            None => {
                let mut sink = reader.sink(usize::MAX, &environment.cancel);
                let mut owners = Vec::new();
                for (number, key) in keys.iter().enumerate() {
                    let mut scan =
                        transaction.scan(self.table.tree, KeyRange::prefix(key), Direction::Forward)?;
                    while scan.fill(&mut sink)? {}
                    owners.resize(sink.len(), number as u32);
                }
                Ok((sink.finish(), owners))
            }
            Some(index) => {
                let mut row_keys = Vec::new();
                let mut owners: Vec<u32> = Vec::new();
                if whole && index.index.unique {
                    transaction.multi_get(index.tree, keys, |number, record| {
                        row_keys.push(index.row_key(record)?.to_vec());
                        owners.push(number as u32);
                        Ok(())
                    })?;
                } else {
                    for (number, key) in keys.iter().enumerate() {
                        let mut scan =
                            transaction.scan(index.tree, KeyRange::prefix(key), Direction::Forward)?;
                        let mut sink = RowKeys { index, row_keys: &mut row_keys };
                        while scan.fill(&mut sink)? {}
                        owners.resize(row_keys.len(), number as u32);
                    }
                }
                let (rows, found) = fetch_rows(&self.table, reader, &row_keys, cx)?;
                let owners = found.iter().map(|&row| owners[row as usize]).collect();
                Ok((rows, owners))
            }
        }
    }

    fn join_batch(&mut self, op: &IndexJoinOp, left: &Batch, cx: &ExecContext) -> Result<Option<Batch>> {
        if self.reader.is_none() {
            let mut reader = RowReader::new(&self.table.row, &op.inner.columns, op.inner.row_key);
            let rest = reader.push_filter(&self.table.row, &op.inner.columns, &op.inner.filter, cx)?;
            let never = rest.is_none();
            let rest = rest.unwrap_or_default().into_iter().cloned().collect();
            self.reader = Some((reader, rest, never));
        }
        let Some((reader, filter, never)) = &self.reader else { return Err(Error::internal("no reader")) };
        let layout = match (&self.index, &self.table.key) {
            (Some(index), _) => &index.key,
            (None, Some(key)) => &key.layout,
            (None, None) => return Err(Error::internal("index join into a table without a key")),
        };
        let whole = op.keys.len() == layout.len();
        let columns = cx.eval_all(&op.keys, left)?;
        let vectors: Vec<&Vector> = columns.iter().map(|column| &**column).collect();
        let mut wanted: Vec<(Vec<u8>, u32)> = Vec::with_capacity(left.len());
        if !*never {
            for row in 0..left.len() {
                if vectors.iter().all(|vector| vector.is_valid(row)) {
                    let mut key = Vec::with_capacity(16);
                    layout.encode_vectors(&vectors, row, &mut key)?;
                    wanted.push((key, row as u32));
                }
            }
        }
        wanted.sort_unstable();
        // The number of each left row's key.
        let mut key_of = vec![u32::MAX; left.len()];
        let mut keys: Vec<Vec<u8>> = Vec::with_capacity(wanted.len());
        for (key, row) in wanted {
            if keys.last() != Some(&key) {
                keys.push(key);
            }
            key_of[row as usize] = keys.len() as u32 - 1;
        }
        let (mut rows, mut owners) = self.look_up(&keys, whole, reader, cx)?;
        if let Some(kept) = cx.filter(filter, &rows)? {
            owners = kept.iter().map(|&row| owners[row as usize]).collect();
            rows = rows.gather(&kept);
        }
        let count = rows.len();
        // Rows of key `k`: starts[k]..starts[k + 1], as owners ascend.
        let mut starts = vec![0u32; keys.len() + 1];
        owners.iter().for_each(|&owner| starts[owner as usize + 1] += 1);
        for key in 0..keys.len() {
            starts[key + 1] += starts[key];
        }
        let mut left_rows = Vec::new();
        let mut right_rows = Vec::new();
        for (row, &key) in key_of.iter().enumerate() {
            if key != u32::MAX {
                let range = starts[key as usize]..starts[key as usize + 1];
                left_rows.extend(std::iter::repeat_n(row as u32, range.len()));
                right_rows.extend(range);
            }
        }
        if !op.residual.is_empty() && !left_rows.is_empty() {
            let pairs = pair(left, &left_rows, &rows, &right_rows, &self.reads);
            if let Some(kept) = cx.filter(&op.residual, &pairs)? {
                left_rows = kept.iter().map(|&i| left_rows[i as usize]).collect();
                right_rows = kept.iter().map(|&i| right_rows[i as usize]).collect();
            }
        }
        Ok(match op.kind {
            JoinKind::Inner => {
                (!left_rows.is_empty()).then(|| pair(left, &left_rows, &rows, &right_rows, &[]))
            }
            JoinKind::Semi | JoinKind::Anti => {
                let mut matched = vec![false; left.len()];
                left_rows.iter().for_each(|&row| matched[row as usize] = true);
                let wanted = op.kind == JoinKind::Semi;
                let kept: Vec<u32> =
                    (0..left.len() as u32).filter(|&row| matched[row as usize] == wanted).collect();
                (!kept.is_empty()).then(|| left.gather(&kept))
            }
            JoinKind::Left => {
                let mut buffer = RowBuffer::new(&self.inner_types);
                buffer.append(&rows);
                buffer.append(&null_row(&self.inner_types));
                let rows = buffer.finish();
                let (mut all_left, mut all_right) = (Vec::new(), Vec::new());
                let mut pairs = left_rows.into_iter().zip(right_rows).peekable();
                for row in 0..left.len() as u32 {
                    let before = all_left.len();
                    while let Some((_, right)) = pairs.next_if(|(left, _)| *left == row) {
                        all_left.push(row);
                        all_right.push(right);
                    }
                    if all_left.len() == before {
                        all_left.push(row);
                        all_right.push(count as u32);
                    }
                }
                Some(pair(left, &all_left, &rows, &all_right, &[]))
            }
            other => return Err(Error::internal(format!("an index join of kind {other:?}"))),
        })
    }
}

struct RowKeys<'l> {
    index: &'l IndexLayout,
    row_keys: &'l mut Vec<Vec<u8>>,
}

impl RecordSink for RowKeys<'_> {
    fn record(&mut self, _key: &[u8], record: &[u8]) -> Result<bool> {
        self.row_keys.push(self.index.row_key(record)?.to_vec());
        Ok(true)
    }
}

fn join(node: &Node) -> Result<&IndexJoinOp> {
    match &node.op {
        Op::IndexJoin(op) => Ok(op),
        _ => Err(Error::internal("not an index join")),
    }
}

impl Operator for IndexJoin {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = join(&node)?;
        loop {
            if let Some(batch) = self.waiting.pop() {
                if let Some(joined) = self.join_batch(op, &batch, cx)? {
                    return Ok(Some(joined));
                }
                continue;
            }
            cx.check_interrupt()?;
            let Some(batch) = self.left.next(cx)? else { return Ok(None) };
            let starts = (0..batch.len()).step_by(LEFT_ROWS);
            self.waiting = starts.map(|s| batch.slice(s, batch.len().min(s + LEFT_ROWS))).collect();
            self.waiting.reverse();
        }
    }
}
