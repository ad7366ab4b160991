//! IndexScan: row keys from a secondary index in batches, then the rows; index-only where the index
//! holds all that is asked for. Rows come in index order.

use std::sync::Arc;

use expr::Expr;
use planner::physical::plan::{IndexScan as IndexScanOp, Node, Op};
use storage::{Direction, RecordSink, Scan};
use types::{BATCH_SIZE, Batch, Error, Result, Value};

use crate::context::ExecContext;
use crate::operator::Operator;
use crate::ops::scan::FIRST_BATCH;
use crate::table::layout::{IndexLayout, TableLayout};
use crate::table::scan::{RowReader, TreeRange, fetch_rows, tree_ranges};

pub struct IndexScan {
    node: Arc<Node>,
    table: Arc<TableLayout>,
    index: Arc<IndexLayout>,
    running: Option<Running>,
    next_batch: usize,
}

struct Running {
    reader: RowReader,
    filter: Vec<Expr>,
    /// Next last.
    ranges: Vec<TreeRange>,
    current: Option<Scan>,
}

/// Collects entries: their table keys, and the entries themselves for index-only scans.
struct Entries<'l> {
    layout: &'l IndexLayout,
    limit: usize,
    row_keys: Vec<Vec<u8>>,
    entries: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl RecordSink for Entries<'_> {
    fn record(&mut self, key: &[u8], record: &[u8]) -> Result<bool> {
        self.row_keys.push(self.layout.row_key(record)?.to_vec());
        if let Some(entries) = &mut self.entries {
            entries.push((key.to_vec(), record.to_vec()));
        }
        Ok(self.row_keys.len() < self.limit)
    }
}

impl IndexScan {
    pub fn new(node: &Arc<Node>, cx: &ExecContext) -> Result<IndexScan> {
        let op = scan(node)?;
        let table = cx.tables().layout(&op.scan.table);
        let index = table
            .index(&op.index)
            .ok_or_else(|| Error::internal(format!("index \"{}\" has no tree of its own", op.index.name)))?
            .clone();
        Ok(IndexScan { node: node.clone(), table, index, running: None, next_batch: FIRST_BATCH })
    }

    fn start(&self, op: &IndexScanOp, cx: &ExecContext) -> Result<Running> {
        let mut reader = RowReader::new(&self.table.row, &op.scan.columns, op.scan.row_key);
        let mut ranges = tree_ranges(&op.ranges, &self.index.key, cx)?;
        let filter = if op.index_only {
            op.scan.filter.clone()
        } else {
            match reader.push_filter(&self.table.row, &op.scan.columns, &op.scan.filter, cx)? {
                Some(rest) => rest.into_iter().cloned().collect(),
                None => {
                    ranges.clear();
                    Vec::new()
                }
            }
        };
        if !op.backward {
            ranges.reverse();
        }
        Ok(Running { reader, filter, ranges, current: None })
    }

    /// The next entries, at least one; `None` at the end.
    fn entries(
        &self,
        op: &IndexScanOp,
        running: &mut Running,
        cx: &ExecContext,
    ) -> Result<Option<Entries<'_>>> {
        let direction = if op.backward { Direction::Backward } else { Direction::Forward };
        let mut sink = Entries {
            layout: &self.index,
            limit: self.next_batch,
            row_keys: Vec::new(),
            entries: op.index_only.then(Vec::new),
        };
        while sink.row_keys.len() < sink.limit {
            match &mut running.current {
                Some(scan) => {
                    if !scan.fill(&mut sink)? {
                        running.current = None;
                    }
                }
                None => match running.ranges.pop() {
                    None => break,
                    Some(range) => {
                        let range = match range {
                            TreeRange::Range(range) => range,
                            // Entries that are not unique have the table key behind theirs.
                            TreeRange::Point(key) => storage::KeyRange::prefix(&key),
                        };
                        running.current = Some(cx.transaction().scan(self.index.tree, range, direction)?);
                    }
                },
            }
        }
        Ok(if sink.row_keys.is_empty() { None } else { Some(sink) })
    }

    /// Rows made of index entries alone.
    fn entries_batch(&self, op: &IndexScanOp, entries: &Entries<'_>) -> Result<Batch> {
        let mut builders: Vec<_> = op
            .scan
            .columns
            .iter()
            .map(|&column| self.table.row.builder(column, entries.row_keys.len()))
            .collect();
        let mut keys = types::Strings::default();
        for (key, record) in entries.entries.iter().flatten() {
            let (row_key, include) = self.index.split_record(record)?;
            let length = self.index.key.prefix_len(key, self.index.key.len())?;
            let values = self.index.key.decode(key.get(..length).unwrap_or(key))?;
            let row_key_values = match &self.table.key {
                Some(cluster) => cluster.layout.decode(row_key)?,
                None => Vec::new(),
            };
            for (builder, &column) in builders.iter_mut().zip(&op.scan.columns) {
                let in_key = self.index.index.columns.iter().position(|c| c.column == Some(column));
                let in_include = self.index.index.include.iter().position(|&c| c == column);
                let in_row_key = self
                    .table
                    .key
                    .as_ref()
                    .and_then(|cluster| cluster.columns.iter().position(|&c| c == column));
                let value = match (in_key, in_include, in_row_key, &self.index.include) {
                    (_, Some(position), _, Some(layout)) => layout.decode_value(include, position)?,
                    (Some(position), ..) if self.index.key.columns()[position].is_lossless() => {
                        values.get(position).cloned().unwrap_or(Value::Null)
                    }
                    (_, _, Some(position), _) => row_key_values.get(position).cloned().unwrap_or(Value::Null),
                    _ => return Err(Error::internal("an index-only scan asks for more than the index has")),
                };
                builder.push(&value);
            }
            if op.scan.row_key {
                keys.push(row_key);
            }
        }
        let len = entries.row_keys.len();
        let mut columns: Vec<_> = builders.into_iter().map(|builder| Arc::new(builder.finish())).collect();
        if op.scan.row_key {
            let data = types::Data::Bytea(keys);
            columns.push(Arc::new(types::Vector::flat(data, types::Validity::all())));
        }
        Ok(Batch::new(columns, len))
    }
}

fn scan(node: &Node) -> Result<&IndexScanOp> {
    match &node.op {
        Op::IndexScan(op) => Ok(op),
        _ => Err(Error::internal("not an index scan")),
    }
}

impl Operator for IndexScan {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let op = scan(&node)?;
        let mut running = match self.running.take() {
            Some(running) => running,
            None => self.start(op, cx)?,
        };
        let result = loop {
            cx.check_interrupt()?;
            let Some(entries) = self.entries(op, &mut running, cx)? else { break None };
            let before = entries.row_keys.len();
            let batch = if op.index_only {
                self.entries_batch(op, &entries)?
            } else {
                fetch_rows(&self.table, &running.reader, &entries.row_keys, cx)?.0
            };
            self.next_batch = (self.next_batch * 4).min(BATCH_SIZE);
            let batch = if batch.is_empty() { None } else { cx.filter_batch(&running.filter, batch)? };
            if cx.is_instrumented() {
                let removed = before - batch.as_ref().map_or(0, Batch::len);
                cx.update_stats(node.id, |stats| stats.rows_removed_by_filter += removed as u64);
            }
            if batch.is_some() {
                break batch;
            }
        };
        self.running = Some(running);
        Ok(result)
    }
}
