//! Sort: normalised keys, then a gather; runs on disk when the rows exceed `work_mem`.

use std::sync::Arc;

use planner::physical::plan::{Node, Op, SortKey};
use types::key::{KeyColumn, KeyLayout};
use types::{BATCH_SIZE, Batch, DataType, Error, Result, Vector};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::row_buffer::RowBuffer;
use crate::spill::{RunReader, RunWriter};
use crate::table::keys::EncodedKeys;

/// The layout whose byte order is the order of `keys`.
pub fn key_layout(keys: &[SortKey]) -> KeyLayout {
    let columns = keys.iter().map(|key| KeyColumn {
        data_type: key.expr.data_type(),
        descending: key.descending,
        nulls_first: key.nulls_first,
        nullable: true,
    });
    KeyLayout::new(columns.collect())
}

pub struct Sort {
    node: Arc<Node>,
    input: BoxOperator,
    layout: KeyLayout,
    memory: Reservation,
    state: State,
}

enum State {
    NotStarted,
    /// All rows in memory: handed over from `next` on.
    Memory {
        rows: Batch,
        order: Vec<u32>,
        next: usize,
    },
    Merge(Merge),
}

impl Sort {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Sort {
        let layout = match &node.op {
            Op::Sort { keys, .. } => key_layout(keys),
            _ => KeyLayout::new(Vec::new()),
        };
        Sort { node: node.clone(), input, layout, memory: cx.reserve(), state: State::NotStarted }
    }

    fn start(&mut self, cx: &ExecContext) -> Result<State> {
        let Op::Sort { keys, .. } = &self.node.op else { return Err(Error::internal("not a sort")) };
        let types: Vec<DataType> = self.node.columns.iter().map(|column| column.data_type).collect();
        let mut rows = RowBuffer::new(&types);
        let mut encoded = EncodedKeys::default();
        let mut runs = Vec::new();
        while let Some(batch) = self.input.next(cx)? {
            cx.check_interrupt()?;
            let columns = keys.iter().map(|key| cx.eval(&key.expr, &batch)).collect::<Result<Vec<_>>>()?;
            encoded.append(&self.layout, &columns, batch.len())?;
            rows.append(&batch);
            self.memory.set(rows.size_bytes() + encoded.size_bytes() + encoded.len() * 16)?;
            if self.memory.over_budget() {
                let full = std::mem::replace(&mut rows, RowBuffer::new(&types));
                runs.push(write_run(full.finish(), &encoded, &types, cx)?);
                encoded.clear();
                self.memory.set(0)?;
            }
        }
        if runs.is_empty() {
            if cx.is_instrumented() {
                let kilobytes = self.memory.peak_bytes().div_ceil(1024);
                cx.update_stats(self.node.id, |stats| {
                    stats.memory_bytes = stats.memory_bytes.max(kilobytes as u64 * 1024);
                    stats.remarks = vec![("Sort Method".into(), format!("quicksort  Memory: {kilobytes}kB"))];
                });
            }
            let order = encoded.sorted();
            return Ok(State::Memory { rows: rows.finish(), order, next: 0 });
        }
        if !rows.is_empty() {
            runs.push(write_run(rows.finish(), &encoded, &types, cx)?);
        }
        if cx.is_instrumented() {
            let bytes: u64 = runs.iter().map(RunReader::size_bytes).sum();
            cx.update_stats(self.node.id, |stats| {
                stats.spilled_bytes += bytes;
                stats.remarks =
                    vec![("Sort Method".into(), format!("external merge  Disk: {}kB", bytes.div_ceil(1024)))];
            });
        }
        Ok(State::Merge(Merge::new(runs, &types)?))
    }
}

/// Writes the rows in key order, each with its key as a last column.
fn write_run(rows: Batch, keys: &EncodedKeys, types: &[DataType], cx: &ExecContext) -> Result<RunReader> {
    let order = keys.sorted();
    let mut with_key = types.to_vec();
    with_key.push(DataType::BYTEA);
    let mut writer = RunWriter::new(&with_key, cx)?;
    for part in order.chunks(BATCH_SIZE) {
        let batch = rows.gather(part);
        let sorted: types::Strings = part.iter().map(|&row| keys.get(row as usize)).collect();
        let mut columns = batch.into_columns();
        columns.push(Arc::new(Vector::flat(types::Data::Bytea(sorted), types::Validity::all())));
        writer.write(&Batch::new(columns, part.len()))?;
    }
    writer.finish()
}

impl Operator for Sort {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        if matches!(self.state, State::NotStarted) {
            self.state = self.start(cx)?;
        }
        match &mut self.state {
            State::NotStarted => Ok(None),
            State::Memory { rows, order, next } => {
                let part = &order[*next..order.len().min(*next + BATCH_SIZE)];
                if part.is_empty() {
                    return Ok(None);
                }
                *next += part.len();
                Ok(Some(rows.gather(part)))
            }
            State::Merge(merge) => {
                cx.check_interrupt()?;
                merge.next()
            }
        }
    }
}

/// The sorted whole of sorted runs.
struct Merge {
    sources: Vec<Source>,
    /// A heap of sources by their first key (then by number: earlier runs first).
    heap: std::collections::BinaryHeap<std::cmp::Reverse<(Vec<u8>, usize)>>,
    types: Vec<DataType>,
}

struct Source {
    reader: RunReader,
    batch: Batch,
    row: usize,
}

impl Source {
    /// The key of the current row; `None` at the run's end.
    fn key(&mut self) -> Result<Option<Vec<u8>>> {
        while self.row >= self.batch.len() {
            match self.reader.read()? {
                Some(batch) => {
                    self.batch = batch;
                    self.row = 0;
                }
                None => return Ok(None),
            }
        }
        let Some(keys) = self.batch.columns().last() else { return Ok(None) };
        match keys.data() {
            types::Data::Bytea(keys) => Ok(Some(keys.get(self.row).to_vec())),
            _ => Err(Error::internal("a run without keys")),
        }
    }
}

impl Merge {
    fn new(runs: Vec<RunReader>, types: &[DataType]) -> Result<Merge> {
        let mut merge = Merge { sources: Vec::new(), heap: Default::default(), types: types.to_vec() };
        for (number, reader) in runs.into_iter().enumerate() {
            let mut source = Source { reader, batch: Batch::default(), row: 0 };
            if let Some(key) = source.key()? {
                merge.heap.push(std::cmp::Reverse((key, number)));
            }
            merge.sources.push(source);
        }
        Ok(merge)
    }

    fn next(&mut self) -> Result<Option<Batch>> {
        let mut out = RowBuffer::new(&self.types);
        while out.len() < BATCH_SIZE {
            let Some(std::cmp::Reverse((_, number))) = self.heap.pop() else { break };
            let source = &mut self.sources[number];
            out.append_rows(&source.batch, &[source.row as u32]);
            source.row += 1;
            if let Some(key) = source.key()? {
                self.heap.push(std::cmp::Reverse((key, number)));
            }
        }
        Ok(if out.is_empty() { None } else { Some(out.finish()) })
    }
}
