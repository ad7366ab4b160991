//! Window functions: partitions, peers, frames.
//!
//! The input arrives sorted by partition, then order. Whole partitions are collected and handled one by one:
//! window functions proper are called once per partition (`expr::window`); aggregates run over each row's
//! frame, once where all rows share one frame, step by step where frames only grow, and anew otherwise.

use std::sync::Arc;

use expr::function::Implementation;
use expr::{Accumulator, Expr, Frame, WindowArgs, WindowCall, registry};
use planner::physical::plan::{FrameBound, FrameExclusion, FrameUnits, Node, Op, WindowFrame, WindowSpec};
use types::row::builder_for;
use types::{BATCH_SIZE, Batch, DataType, Error, Physical, Result, SqlState, Value, Vector, VectorBuilder};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::row_buffer::RowBuffer;

/// Rows collected before complete partitions are handled.
const COLLECT: usize = 16 * BATCH_SIZE;

pub struct Window {
    node: Arc<Node>,
    input: Option<BoxOperator>,
    /// Rows of the input, their partition keys and order keys behind them.
    rows: RowBuffer,
    types: Vec<DataType>,
    /// Collect at least this many rows before looking for a partition's end.
    collect: usize,
    output: Vec<Batch>,
    memory: Reservation,
}

impl Window {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> Window {
        let mut types = Vec::new();
        if let Op::Window { input, window, .. } = &node.op {
            types.extend(input.columns.iter().map(|column| column.data_type));
            types.extend(window.partition_by.iter().map(Expr::data_type));
            types.extend(window.order_by.iter().map(|key| key.expr.data_type()));
        }
        Window {
            node: node.clone(),
            input: Some(input),
            rows: RowBuffer::new(&types),
            types,
            collect: COLLECT,
            output: Vec::new(),
            memory: cx.reserve(),
        }
    }

    /// Handles the complete partitions among the rows collected (all of them at the `end`).
    fn handle(&mut self, end: bool, cx: &ExecContext) -> Result<()> {
        let node = self.node.clone();
        let Op::Window { window, calls, input } = &node.op else {
            return Err(Error::internal("not a window"));
        };
        let width = input.columns.len();
        let rows = std::mem::replace(&mut self.rows, RowBuffer::new(&self.types)).finish();
        let keys = &rows.columns()[width..width + window.partition_by.len()];
        let mut starts: Vec<usize> = (0..rows.len()).filter(|&row| row == 0 || differs(keys, row)).collect();
        let complete = if end {
            rows.len()
        } else {
            // The last partition may go on in the next batch.
            match starts.pop() {
                Some(0) | None => {
                    self.rows.append(&rows);
                    self.collect *= 2;
                    return Ok(());
                }
                Some(last) => last,
            }
        };
        self.collect = COLLECT;
        if complete < rows.len() {
            self.rows.append(&rows.slice(complete, rows.len()));
        }
        let rows = rows.slice(0, complete);
        let mut outputs: Vec<VectorBuilder> =
            calls.iter().map(|call| builder_for(call.data_type, rows.len())).collect();
        let prepared = calls.iter().map(|call| Prepared::new(call, &rows, cx)).collect::<Result<Vec<_>>>()?;
        let bounds = Bounds::new(&window.frame, cx)?;
        for (position, &start) in starts.iter().enumerate() {
            let end = starts.get(position + 1).copied().unwrap_or(complete);
            let order_keys = &rows.columns()[width + window.partition_by.len()..];
            let partition = Partition::new(window, order_keys, start, end, &bounds, cx)?;
            for ((call, prepared), output) in calls.iter().zip(&prepared).zip(&mut outputs) {
                output.extend(&partition.evaluate(call, prepared, cx)?);
            }
            cx.check_interrupt()?;
        }
        let mut columns = rows.columns()[..width].to_vec();
        columns.extend(outputs.into_iter().map(|output| Arc::new(output.finish())));
        let whole = Batch::new(columns, complete);
        self.output = (0..complete)
            .step_by(BATCH_SIZE)
            .map(|start| whole.slice(start, complete.min(start + BATCH_SIZE)))
            .collect();
        self.output.reverse();
        Ok(())
    }
}

impl Operator for Window {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let node = self.node.clone();
        let Op::Window { window, .. } = &node.op else { return Err(Error::internal("not a window")) };
        loop {
            if let Some(batch) = self.output.pop() {
                return Ok(Some(batch));
            }
            cx.check_interrupt()?;
            let Some(input) = &mut self.input else { return Ok(None) };
            match input.next(cx)? {
                Some(batch) => {
                    let mut columns = batch.columns().to_vec();
                    columns.extend(cx.eval_all(&window.partition_by, &batch)?);
                    for key in &window.order_by {
                        columns.push(cx.eval(&key.expr, &batch)?);
                    }
                    self.rows.append(&Batch::new(columns, batch.len()));
                    self.memory.set(self.rows.size_bytes())?;
                    if self.rows.len() >= self.collect {
                        self.handle(false, cx)?;
                    }
                }
                None => {
                    self.input = None;
                    if !self.rows.is_empty() {
                        self.handle(true, cx)?;
                    }
                }
            }
        }
    }
}

/// Whether row `row` has other values than the row before.
fn differs(columns: &[Arc<Vector>], row: usize) -> bool {
    columns.iter().any(|column| !types::hash::vectors_equal_at(column, row - 1, column, row))
}

/// A call's arguments and filter over all rows at hand.
struct Prepared {
    args: Vec<Arc<Vector>>,
    types: Vec<DataType>,
    /// Per row: does it pass FILTER. Empty: all do.
    passes: Vec<bool>,
}

impl Prepared {
    fn new(call: &WindowCall, rows: &Batch, cx: &ExecContext) -> Result<Prepared> {
        let mut passes = Vec::new();
        if let Some(filter) = &call.filter
            && let Some(kept) = cx.filter(std::slice::from_ref(filter), rows)?
        {
            passes.resize(rows.len(), false);
            kept.iter().for_each(|&row| passes[row as usize] = true);
        }
        Ok(Prepared {
            args: cx.eval_all(&call.args, rows)?,
            types: call.args.iter().map(Expr::data_type).collect(),
            passes,
        })
    }
}

/// The frame's ends, with their offsets known.
struct Bounds {
    units: FrameUnits,
    start: Bound,
    end: Bound,
    exclusion: FrameExclusion,
}

enum Bound {
    Unbounded,
    Current,
    Preceding(Value, DataType),
    Following(Value, DataType),
}

impl Bounds {
    fn new(frame: &WindowFrame, cx: &ExecContext) -> Result<Bounds> {
        let offset = |expr: &Expr, which: &str| -> Result<(Value, DataType)> {
            let value = cx.eval_constant(expr)?;
            if value.is_null() {
                let message = format!("frame {which} offset must not be null");
                return Err(Error::new(SqlState::NULL_VALUE_NOT_ALLOWED, message));
            }
            let negative = match &value {
                Value::Float32(x) => *x < 0.0,
                Value::Float64(x) => *x < 0.0,
                Value::Numeric(x) => *x < types::Numeric::ZERO,
                Value::Interval(x) => *x < types::Interval::default(),
                other => other.as_i64().is_some_and(|n| n < 0),
            };
            if negative {
                let (code, message) = if frame.units == FrameUnits::Range {
                    let message = "invalid preceding or following size in window function".to_string();
                    (SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message)
                } else {
                    let message = format!("frame {which} offset must not be negative");
                    (SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message)
                };
                return Err(Error::new(code, message));
            }
            Ok((value, expr.data_type()))
        };
        let bound = |bound: &FrameBound, which: &str| -> Result<Bound> {
            Ok(match bound {
                FrameBound::UnboundedPreceding | FrameBound::UnboundedFollowing => Bound::Unbounded,
                FrameBound::CurrentRow => Bound::Current,
                FrameBound::Preceding(expr) => {
                    let (value, data_type) = offset(expr, which)?;
                    Bound::Preceding(value, data_type)
                }
                FrameBound::Following(expr) => {
                    let (value, data_type) = offset(expr, which)?;
                    Bound::Following(value, data_type)
                }
            })
        };
        Ok(Bounds {
            units: frame.units,
            start: bound(&frame.start, "starting")?,
            end: bound(&frame.end, "ending")?,
            exclusion: frame.exclusion,
        })
    }
}

/// One partition: rows `start..end` of the rows at hand.
struct Partition {
    start: usize,
    len: usize,
    /// Each row's peer group.
    peers: Vec<u32>,
    frames: Vec<Frame>,
}

impl Partition {
    fn new(
        window: &WindowSpec,
        order_keys: &[Arc<Vector>],
        start: usize,
        end: usize,
        bounds: &Bounds,
        cx: &ExecContext,
    ) -> Result<Partition> {
        let len = end - start;
        let mut peers = Vec::with_capacity(len);
        let mut group = 0;
        for row in start..end {
            if row > start && differs(order_keys, row) {
                group += 1;
            }
            peers.push(group);
        }
        let mut groups: Vec<(u32, u32)> = Vec::new();
        for (row, &group) in peers.iter().enumerate() {
            match groups.get_mut(group as usize) {
                Some((_, end)) => *end = row as u32 + 1,
                None => groups.push((row as u32, row as u32 + 1)),
            }
        }
        let keys = order_keys.first().map(|key| key.slice(start, end));
        let range = RangeKeys::new(window, keys.as_ref());
        let starts = frame_ends(&bounds.start, true, bounds.units, &peers, &groups, &range, cx)?;
        let ends = frame_ends(&bounds.end, false, bounds.units, &peers, &groups, &range, cx)?;
        let frames = (0..len)
            .map(|row| {
                let (peer_start, peer_end) = groups[peers[row] as usize];
                let row = row as u32;
                let (excluded, kept) = match bounds.exclusion {
                    FrameExclusion::NoOthers => (None, None),
                    FrameExclusion::CurrentRow => (Some((row, row + 1)), None),
                    FrameExclusion::Group => (Some((peer_start, peer_end)), None),
                    FrameExclusion::Ties => (Some((peer_start, peer_end)), Some(row)),
                };
                let start = starts[row as usize];
                Frame { start, end: ends[row as usize].max(start), excluded, kept }
            })
            .collect();
        Ok(Partition { start, len, peers, frames })
    }

    /// The call's value for each row.
    fn evaluate(&self, call: &WindowCall, prepared: &Prepared, cx: &ExecContext) -> Result<Vector> {
        let end = self.start + self.len;
        match &call.function.implementation {
            Implementation::Window(kernel) => {
                let args: Vec<Arc<Vector>> =
                    prepared.args.iter().map(|arg| Arc::new(arg.slice(self.start, end))).collect();
                cx.with_eval(|eval| {
                    kernel(&WindowArgs {
                        args: &args,
                        types: &prepared.types,
                        result: call.data_type,
                        len: self.len,
                        peers: &self.peers,
                        frames: &self.frames,
                        cx: eval,
                        function: call.function,
                    })
                })
            }
            _ => self.aggregate(call, prepared, cx),
        }
    }

    fn aggregate(&self, call: &WindowCall, prepared: &Prepared, cx: &ExecContext) -> Result<Vector> {
        if call.distinct || !call.order_by.is_empty() {
            return Err(Error::not_supported("an aggregate with DISTINCT or ORDER BY over a window"));
        }
        let accumulator = || call.function.accumulator(&prepared.types, call.data_type);
        let passes = |row: u32| prepared.passes.is_empty() || prepared.passes[self.start + row as usize];
        let feed = |into: &mut dyn Accumulator, groups: &[u32], rows: &[u32]| -> Result<()> {
            let args: Vec<Arc<Vector>> = prepared.args.iter().map(|arg| Arc::new(arg.gather(rows))).collect();
            cx.with_eval(|eval| into.update(groups, &args, eval))
        };
        let base = self.start as u32;
        let plain = self.frames.iter().all(|frame| frame.excluded.is_none());
        let first = self.frames.first().copied().unwrap_or_default();
        if plain && self.frames.iter().all(|frame| *frame == first) {
            let mut total = accumulator()?;
            total.resize(1);
            let rows: Vec<u32> = first.rows().filter(|&row| passes(row)).map(|row| base + row).collect();
            if !rows.is_empty() {
                feed(&mut *total, &vec![0; rows.len()], &rows)?;
            }
            let one = cx.with_eval(|eval| total.finish(eval))?;
            return Ok(one.gather(&vec![0; self.len]));
        }
        if plain
            && self.frames.windows(2).all(|pair| pair[0].start == pair[1].start && pair[0].end <= pair[1].end)
        {
            return self.growing(&accumulator, &passes, &feed, cx);
        }
        let mut result = accumulator()?;
        result.resize(self.len);
        let (mut groups, mut rows) = (Vec::new(), Vec::new());
        for (number, frame) in self.frames.iter().enumerate() {
            for row in frame.rows().filter(|&row| passes(row)) {
                groups.push(number as u32);
                rows.push(base + row);
            }
            if rows.len() >= 16 * BATCH_SIZE || number + 1 == self.len {
                if !rows.is_empty() {
                    feed(&mut *result, &groups, &rows)?;
                }
                groups.clear();
                rows.clear();
                cx.check_interrupt()?;
            }
        }
        cx.with_eval(|eval| result.finish(eval))
    }

    /// Frames that begin together and only grow: one running state, copied where a frame ends.
    fn growing(
        &self,
        accumulator: &dyn Fn() -> Result<Box<dyn Accumulator>>,
        passes: &dyn Fn(u32) -> bool,
        feed: &dyn Fn(&mut dyn Accumulator, &[u32], &[u32]) -> Result<()>,
        cx: &ExecContext,
    ) -> Result<Vector> {
        let mut running = accumulator()?;
        running.resize(1);
        let mut result = accumulator()?;
        let mut reached = self.frames.first().map_or(0, |frame| frame.start);
        // The result's group of each row: rows with one end share it.
        let mut groups = Vec::with_capacity(self.len);
        let mut count = 0u32;
        for (row, frame) in self.frames.iter().enumerate() {
            let same = row > 0 && self.frames[row - 1].end == frame.end;
            if !same {
                let rows: Vec<u32> = (reached..frame.end)
                    .filter(|&row| passes(row))
                    .map(|row| self.start as u32 + row)
                    .collect();
                if !rows.is_empty() {
                    feed(&mut *running, &vec![0; rows.len()], &rows)?;
                }
                reached = reached.max(frame.end);
                count += 1;
                result.resize(count as usize);
                cx.with_eval(|eval| -> Result<()> {
                    let state: Vec<Arc<Vector>> = running.export(eval)?.into_iter().map(Arc::new).collect();
                    result.merge(&[count - 1], &state, eval)
                })?;
            }
            groups.push(count - 1);
        }
        let values = cx.with_eval(|eval| result.finish(eval))?;
        Ok(values.gather(&groups))
    }
}

/// The ordering column of a RANGE frame with offsets.
struct RangeKeys<'k> {
    keys: Option<&'k Vector>,
    data_type: DataType,
    descending: bool,
    /// Rows with a value: the others are NULL and stand together at one end.
    valid: (usize, usize),
}

impl<'k> RangeKeys<'k> {
    fn new(window: &WindowSpec, keys: Option<&'k Vector>) -> RangeKeys<'k> {
        let key = window.order_by.first();
        let len = keys.map_or(0, Vector::len);
        let valid = keys.map_or((0, 0), |keys| {
            let start = (0..len).position(|row| keys.is_valid(row)).unwrap_or(len);
            let end = (start..len).position(|row| keys.is_null(row)).map_or(len, |offset| start + offset);
            (start, end)
        });
        RangeKeys {
            keys,
            data_type: key.map_or(DataType::INT4, |key| key.expr.data_type()),
            descending: key.is_some_and(|key| key.descending),
            valid,
        }
    }
}

/// Where each row's frame starts (or ends, exclusively).
fn frame_ends(
    bound: &Bound,
    is_start: bool,
    units: FrameUnits,
    peers: &[u32],
    groups: &[(u32, u32)],
    range: &RangeKeys<'_>,
    cx: &ExecContext,
) -> Result<Vec<u32>> {
    let len = peers.len() as i64;
    let (offset, data_type, sign) = match bound {
        Bound::Unbounded => return Ok(vec![if is_start { 0 } else { len as u32 }; peers.len()]),
        Bound::Current => (&Value::Int64(0), DataType::INT8, 0),
        Bound::Preceding(value, data_type) => (value, *data_type, -1),
        Bound::Following(value, data_type) => (value, *data_type, 1),
    };
    let steps = offset.as_i64().unwrap_or(0).saturating_mul(sign);
    match units {
        FrameUnits::Rows => Ok((0..len)
            .map(|row| {
                let edge = row.saturating_add(steps).saturating_add(i64::from(!is_start));
                edge.clamp(0, len) as u32
            })
            .collect()),
        FrameUnits::Groups => Ok(peers
            .iter()
            .map(|&peer| {
                let group = i64::from(peer).saturating_add(steps);
                if group < 0 {
                    0
                } else {
                    match groups.get(usize::try_from(group).unwrap_or(usize::MAX)) {
                        Some((start, end)) => {
                            if is_start {
                                *start
                            } else {
                                *end
                            }
                        }
                        None => len as u32,
                    }
                }
            })
            .collect()),
        FrameUnits::Range if sign == 0 => Ok(peers
            .iter()
            .map(|&peer| if is_start { groups[peer as usize].0 } else { groups[peer as usize].1 })
            .collect()),
        FrameUnits::Range => {
            let Some(keys) = range.keys else { return Err(Error::internal("RANGE offset without a key")) };
            let symbol = if (sign < 0) != range.descending { "-" } else { "+" };
            let operator =
                registry().operator(symbol, Some(range.data_type), data_type).ok_or_else(|| {
                    Error::not_supported(format!("RANGE with an offset over {}", range.data_type.sql_name()))
                })?;
            let batch = Batch::new(vec![Arc::new(keys.clone())], keys.len());
            let expr = Expr::operator(
                operator,
                Expr::input(0, range.data_type),
                Expr::literal(offset.clone(), data_type),
            );
            let limits = cx.eval(&expr, &batch)?;
            let comparable = |row: usize| match (keys.value(row), operator.result.physical) {
                // date ± interval is a timestamp.
                (Value::Int32(days), Physical::Int64) if range.data_type.same_type(DataType::DATE) => {
                    Value::Int64(i64::from(days) * 86_400_000_000)
                }
                (Value::Int16(n), Physical::Int32) => Value::Int32(i32::from(n)),
                (Value::Int16(n), Physical::Int64) => Value::Int64(i64::from(n)),
                (Value::Int32(n), Physical::Int64) => Value::Int64(i64::from(n)),
                (Value::Float32(x), Physical::Float64) => Value::Float64(f64::from(x)),
                (value, _) => value,
            };
            let (first, last) = range.valid;
            let values: Vec<Value> = (first..last).map(comparable).collect();
            Ok((0..keys.len())
                .map(|row| {
                    if keys.is_null(row) {
                        let (start, end) = groups[peers[row] as usize];
                        return if is_start { start } else { end };
                    }
                    let limit = limits.value(row);
                    // How many values stand before the frame's edge.
                    let before = values.partition_point(|value| {
                        let order = value.cmp(&limit);
                        let order = if range.descending { order.reverse() } else { order };
                        if is_start { order.is_lt() } else { order.is_le() }
                    });
                    (first + before) as u32
                })
                .collect())
        }
    }
}
