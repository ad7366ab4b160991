//! Window functions over one partition: rank, lag, first_value and their kin.
//!
//! The executor sorts, cuts partitions, finds peers and frames, evaluates the arguments over the
//! partition and calls the kernel once. Aggregates over frames go through
//! [`crate::aggregate::Accumulator`] instead.

use std::sync::Arc;

use types::{Data, DataType, Error, Result, SqlState, Validity, Vector, VectorBuilder};

use crate::aggregate::SortKey;
use crate::context::EvalContext;
use crate::expr::{Expr, Location};
use crate::function::Function;

/// One call per partition; the result has a value for each of its rows.
pub type WindowKernel = fn(&WindowArgs<'_>) -> Result<Vector>;

/// A partition, in window order.
pub struct WindowArgs<'a> {
    /// The arguments, evaluated for each row of the partition.
    pub args: &'a [Arc<Vector>],
    pub types: &'a [DataType],
    pub result: DataType,
    pub len: usize,
    /// The number of each row's peer group, from 0, ascending. Without ORDER BY all are 0.
    pub peers: &'a [u32],
    /// Each row's frame; empty for functions that do not look at it ([`uses_frame`]).
    pub frames: &'a [Frame],
    pub cx: &'a EvalContext<'a>,
    pub function: &'static Function,
}

/// Rows `start..end` of the partition, without `excluded` (but with `kept`, for EXCLUDE TIES).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frame {
    pub start: u32,
    pub end: u32,
    pub excluded: Option<(u32, u32)>,
    pub kept: Option<u32>,
}

impl Frame {
    /// The rows in the frame, ascending.
    pub fn rows(self) -> impl DoubleEndedIterator<Item = u32> {
        (self.start..self.end).filter(move |&row| match self.excluded {
            Some((from, to)) if (from..to).contains(&row) => self.kept == Some(row),
            _ => true,
        })
    }
}

/// A window function call, or an aggregate over a window, as the binder resolved it. The window
/// itself (partition, order, frame) is the planner's.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowCall {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    pub filter: Option<Expr>,
    /// ORDER BY inside the call's parentheses (aggregates only).
    pub order_by: Vec<SortKey>,
    pub distinct: bool,
    pub data_type: DataType,
    pub location: Location,
}

/// True for the functions that look at the frame: first_value, last_value, nth_value.
pub fn uses_frame(function: &Function) -> bool {
    matches!(function.source, "window_first_value" | "window_last_value" | "window_nth_value")
}

/// The kernel of a window function, by `prosrc`.
pub(crate) fn kernel(source: &str) -> Option<WindowKernel> {
    Some(match source {
        "window_row_number" => |args| integers(args, |row| row as i64 + 1),
        "window_rank" => |args| {
            let starts = peer_starts(args.peers);
            integers(args, |row| starts[row] as i64 + 1)
        },
        "window_dense_rank" => |args| integers(args, |row| i64::from(args.peers[row]) + 1),
        "window_percent_rank" => |args| {
            let starts = peer_starts(args.peers);
            let others = args.len.saturating_sub(1).max(1) as f64;
            floats(args, |row| if args.len <= 1 { 0.0 } else { starts[row] as f64 / others })
        },
        "window_cume_dist" => |args| {
            let ends = peer_ends(args.peers);
            floats(args, |row| ends[row] as f64 / args.len as f64)
        },
        "window_ntile" => ntile,
        "window_lag" | "window_lag_with_offset" | "window_lag_with_offset_and_default" => {
            |args| shifted(args, false)
        }
        "window_lead" | "window_lead_with_offset" | "window_lead_with_offset_and_default" => {
            |args| shifted(args, true)
        }
        "window_first_value" => |args| framed(args, |frame, _| Ok(frame.rows().next())),
        "window_last_value" => |args| framed(args, |frame, _| Ok(frame.rows().next_back())),
        "window_nth_value" => nth_value,
        _ => return None,
    })
}

fn integers(args: &WindowArgs<'_>, f: impl Fn(usize) -> i64) -> Result<Vector> {
    Ok(Vector::flat(Data::Int64((0..args.len).map(f).collect()), Validity::all()))
}

fn floats(args: &WindowArgs<'_>, f: impl Fn(usize) -> f64) -> Result<Vector> {
    Ok(Vector::flat(Data::Float64((0..args.len).map(f).collect()), Validity::all()))
}

/// For each row, the first row of its peer group.
fn peer_starts(peers: &[u32]) -> Vec<usize> {
    let mut start = 0;
    (0..peers.len())
        .map(|row| {
            if row > 0 && peers[row] != peers[row - 1] {
                start = row;
            }
            start
        })
        .collect()
}

/// For each row, one past the last row of its peer group.
fn peer_ends(peers: &[u32]) -> Vec<usize> {
    let mut ends = vec![peers.len(); peers.len()];
    let mut end = peers.len();
    for row in (0..peers.len()).rev() {
        if row + 1 < peers.len() && peers[row] != peers[row + 1] {
            end = row + 1;
        }
        ends[row] = end;
    }
    ends
}

fn argument<'a>(args: &'a WindowArgs<'_>, position: usize) -> Result<&'a Vector> {
    match args.args.get(position) {
        Some(vector) => Ok(vector),
        None => Err(Error::internal(format!("{} lacks argument {position}", args.function.name))),
    }
}

/// Buckets whose sizes differ by at most one, the larger first. 22014 for a bad count.
fn ntile(args: &WindowArgs<'_>) -> Result<Vector> {
    let Some(buckets) = argument(args, 0)?.value(0).as_i64() else {
        return Ok(Vector::nulls(args.result.physical, args.len));
    };
    if buckets <= 0 {
        return Err(Error::new(
            SqlState::INVALID_ARGUMENT_FOR_NTILE,
            "argument of ntile must be greater than zero",
        ));
    }
    let (size, larger) = (args.len as i64 / buckets, args.len as i64 % buckets);
    let boundary = larger * (size + 1);
    let bucket = |row: i64| {
        if row < boundary { row / (size + 1) } else { larger + (row - boundary) / size.max(1) }
    };
    let values = (0..args.len as i64).map(|row| bucket(row) as i32 + 1).collect();
    Ok(Vector::flat(Data::Int32(values), Validity::all()))
}

/// lag and lead: the value some rows before or after, else the default, else NULL.
fn shifted(args: &WindowArgs<'_>, forward: bool) -> Result<Vector> {
    let values = argument(args, 0)?;
    let mut builder = VectorBuilder::new(args.result.physical, args.len);
    for row in 0..args.len {
        let offset = match args.args.get(1) {
            None => Some(1),
            Some(offsets) => offsets.value(row).as_i64(),
        };
        let Some(offset) = offset else {
            builder.push_null();
            continue;
        };
        let target = if forward { row as i64 + offset } else { row as i64 - offset };
        match usize::try_from(target).ok().filter(|&target| target < args.len) {
            Some(target) => builder.push(&values.value(target)),
            None => match args.args.get(2) {
                Some(defaults) => builder.push(&defaults.value(row)),
                None => builder.push_null(),
            },
        }
    }
    Ok(builder.finish())
}

/// The value at the frame's row that `pick` chooses; NULL without one.
fn framed(args: &WindowArgs<'_>, pick: impl Fn(Frame, usize) -> Result<Option<u32>>) -> Result<Vector> {
    let values = argument(args, 0)?;
    let mut builder = VectorBuilder::new(args.result.physical, args.len);
    for row in 0..args.len {
        let frame = args.frames.get(row).copied().unwrap_or_default();
        match pick(frame, row)? {
            Some(target) => builder.push(&values.value(target as usize)),
            None => builder.push_null(),
        }
    }
    Ok(builder.finish())
}

/// 22016 for a bad n.
fn nth_value(args: &WindowArgs<'_>) -> Result<Vector> {
    let counts = argument(args, 1)?;
    framed(args, |frame, row| {
        let Some(n) = counts.value(row).as_i64() else { return Ok(None) };
        match usize::try_from(n - 1) {
            Ok(skip) => Ok(frame.rows().nth(skip)),
            Err(_) => Err(Error::new(
                SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
                "argument of nth_value must be greater than zero",
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::registry;
    use types::Value;

    fn run(
        name: &str,
        args: &[Vec<Value>],
        types: &[DataType],
        peers: &[u32],
        frames: &[Frame],
    ) -> Vec<Value> {
        let function = registry()
            .functions_named(name)
            .iter()
            .copied()
            .find(|f| f.is_window() && f.args.len() == args.len())
            .unwrap();
        let crate::function::Implementation::Window(kernel) = function.implementation else {
            panic!("{name} is no window function")
        };
        let vectors: Vec<Arc<Vector>> = args
            .iter()
            .zip(types)
            .map(|(values, t)| {
                let mut builder = VectorBuilder::new(t.physical, values.len());
                values.iter().for_each(|value| builder.push(value));
                Arc::new(builder.finish())
            })
            .collect();
        let result = if function.result.oid == DataType::ANYELEMENT.oid
            || function.result.oid == DataType::ANYCOMPATIBLE.oid
        {
            types[0]
        } else {
            function.result
        };
        let cx = EvalContext::default();
        let args =
            WindowArgs { args: &vectors, types, result, len: peers.len(), peers, frames, cx: &cx, function };
        let vector = kernel(&args).unwrap();
        (0..peers.len()).map(|row| vector.value(row)).collect()
    }

    fn ints(values: &[i64]) -> Vec<Value> {
        values.iter().map(|&n| Value::Int64(n)).collect()
    }

    #[test]
    fn ranks_follow_peers() {
        let peers = [0, 0, 1, 2, 2];
        assert_eq!(run("rank", &[], &[], &peers, &[]), ints(&[1, 1, 3, 4, 4]));
        assert_eq!(run("dense_rank", &[], &[], &peers, &[]), ints(&[1, 1, 2, 3, 3]));
        assert_eq!(run("row_number", &[], &[], &peers, &[]), ints(&[1, 2, 3, 4, 5]));
        let cume: Vec<Value> = [0.4, 0.4, 0.6, 1.0, 1.0].map(Value::Float64).to_vec();
        assert_eq!(run("cume_dist", &[], &[], &peers, &[]), cume);
    }

    #[test]
    fn ntile_gives_the_first_buckets_more() {
        let counts = vec![Value::Int32(3); 5];
        let tiles: Vec<Value> = [1, 1, 2, 2, 3].map(Value::Int32).to_vec();
        assert_eq!(run("ntile", &[counts], &[DataType::INT4], &[0; 5], &[]), tiles);
    }

    #[test]
    fn lag_and_frames() {
        let values = ints(&[10, 20, 30]);
        let lag = run("lag", std::slice::from_ref(&values), &[DataType::INT8], &[0, 1, 2], &[]);
        assert_eq!(lag, [Value::Null, Value::Int64(10), Value::Int64(20)]);
        let frame = Frame { start: 0, end: 3, excluded: Some((0, 1)), kept: None };
        let first = run("first_value", &[values], &[DataType::INT8], &[0, 1, 2], &[frame; 3]);
        assert_eq!(first, ints(&[20, 20, 20]));
    }
}
