//! Aggregates: grouped, vectorised accumulators, a family per file.
//!
//! The executor numbers its groups densely from 0, calls [`Accumulator::resize`] when there are more,
//! then [`Accumulator::update`] with the group of each row. FILTER, DISTINCT and ORDER BY are the
//! executor's: the rows it hands over are the rows that count, in the order that counts.

use std::sync::Arc;

use types::{DataType, Result, Vector};

use crate::context::EvalContext;
use crate::expr::{Expr, Location};
use crate::function::{AggregateTypes, Function};

/// The running state of one aggregate call, for many groups.
pub trait Accumulator: Send {
    /// There are now `groups` groups; new ones are empty. Never shrinks.
    fn resize(&mut self, groups: usize);

    /// Row `i` of `args` belongs to group `groups[i]`. NULLs are skipped as the aggregate demands.
    fn update(&mut self, groups: &[u32], args: &[Arc<Vector>], cx: &EvalContext<'_>) -> Result<()>;

    /// All `len` rows belong to group 0.
    fn update_all(&mut self, args: &[Arc<Vector>], len: usize, cx: &EvalContext<'_>) -> Result<()>;

    /// The result of every group, in order, of the call's result type. The accumulator is done after.
    fn finish(&mut self, cx: &EvalContext<'_>) -> Result<Vector>;

    /// The types of the columns that [`Accumulator::export`] gives.
    fn state_types(&self) -> Vec<DataType>;

    /// The state of every group, in order, to be spilled or sent to another accumulator's
    /// [`Accumulator::merge`].
    fn export(&self, cx: &EvalContext<'_>) -> Result<Vec<Vector>>;

    /// Folds exported states in: row `i` into group `groups[i]`.
    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>], cx: &EvalContext<'_>) -> Result<()>;

    /// About how much memory the state takes.
    fn size_bytes(&self) -> usize;
}

/// An aggregate call as the binder resolved it. Arguments have the function's (resolved) types.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateCall {
    pub function: &'static Function,
    /// Empty for count(*).
    pub args: Vec<Expr>,
    pub distinct: bool,
    pub order_by: Vec<SortKey>,
    pub filter: Option<Expr>,
    pub data_type: DataType,
    pub location: Location,
}

/// One key of an ORDER BY.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}

impl AggregateCall {
    /// The accumulator for this call.
    pub fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        let args: Vec<DataType> = self.args.iter().map(Expr::data_type).collect();
        self.function.accumulator(&args, self.data_type)
    }
}

/// What makes the accumulator of the aggregate `name(args)`; None when we do not have it.
pub(crate) fn maker(
    name: &str,
    args: &[DataType],
) -> Option<fn(&AggregateTypes<'_>) -> Result<Box<dyn Accumulator>>> {
    let _ = (name, args);
    None
}
