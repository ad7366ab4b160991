//! Window functions over one partition: rank, lag, first_value and their kin.
//!
//! The executor sorts, cuts partitions, finds peers and frames, evaluates the arguments over the
//! partition and calls the kernel once. Aggregates over frames go through
//! [`crate::aggregate::Accumulator`] instead.

use std::sync::Arc;

use types::{DataType, Result, Vector};

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
    let _ = source;
    None
}
