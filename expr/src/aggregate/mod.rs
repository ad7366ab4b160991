//! Aggregates: grouped, vectorised accumulators, a family per file.
//!
//! The executor numbers its groups densely from 0, calls [`Accumulator::resize`] when there are more,
//! then [`Accumulator::update`] with the group of each row. FILTER, DISTINCT and ORDER BY are the
//! executor's: the rows it hands over are the rows that count, in the order that counts.

mod collect;
mod count;
mod json;
mod logic;
mod minmax;
mod ordered;
mod statistics;
mod sum;

use std::sync::Arc;

use types::{DataType, Error, Result, Vector};

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

/// Which group each row belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Groups<'a> {
    /// All to group 0.
    One,
    Each(&'a [u32]),
}

impl Groups<'_> {
    #[inline(always)]
    fn of(self, row: usize) -> usize {
        match self {
            Groups::One => 0,
            Groups::Each(groups) => groups[row] as usize,
        }
    }
}

/// What a family writes; [`Accumulator`] follows from it.
pub(crate) trait Fold: Send {
    fn resize(&mut self, groups: usize);
    fn fold(
        &mut self,
        groups: Groups<'_>,
        args: &[Arc<Vector>],
        len: usize,
        cx: &EvalContext<'_>,
    ) -> Result<()>;
    fn finish(&mut self, cx: &EvalContext<'_>) -> Result<Vector>;
    fn state_types(&self) -> Vec<DataType>;
    fn export(&self) -> Result<Vec<Vector>>;
    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>]) -> Result<()>;
    fn size_bytes(&self) -> usize;
}

impl<T: Fold> Accumulator for T {
    fn resize(&mut self, groups: usize) {
        Fold::resize(self, groups);
    }
    fn update(&mut self, groups: &[u32], args: &[Arc<Vector>], cx: &EvalContext<'_>) -> Result<()> {
        self.fold(Groups::Each(groups), args, groups.len(), cx)
    }
    fn update_all(&mut self, args: &[Arc<Vector>], len: usize, cx: &EvalContext<'_>) -> Result<()> {
        self.fold(Groups::One, args, len, cx)
    }
    fn finish(&mut self, cx: &EvalContext<'_>) -> Result<Vector> {
        Fold::finish(self, cx)
    }
    fn state_types(&self) -> Vec<DataType> {
        Fold::state_types(self)
    }
    fn export(&self, _cx: &EvalContext<'_>) -> Result<Vec<Vector>> {
        Fold::export(self)
    }
    fn merge(&mut self, groups: &[u32], state: &[Arc<Vector>], _cx: &EvalContext<'_>) -> Result<()> {
        Fold::merge(self, groups, state)
    }
    fn size_bytes(&self) -> usize {
        Fold::size_bytes(self)
    }
}

/// The argument at `position`; the binder has promised it.
pub(crate) fn arg(args: &[Arc<Vector>], position: usize) -> Result<&Vector> {
    match args.get(position) {
        Some(vector) => Ok(vector),
        None => Err(Error::internal(format!("an aggregate lacks argument {position}"))),
    }
}

type Maker = fn(&AggregateTypes<'_>) -> Result<Box<dyn Accumulator>>;

/// What makes the accumulator of the aggregate `name(args)`; None when we do not have it.
pub(crate) fn maker(name: &str, args: &[DataType]) -> Option<Maker> {
    let first = args.first().copied();
    Some(match name {
        "count" => |types| Ok(Box::new(count::Count::new(types.args.is_empty()))),
        "sum" | "avg" => sum::maker(name, first?)?,
        "min" => |types| minmax::make(types, false),
        "max" => |types| minmax::make(types, true),
        "bool_and" | "every" => |_| Ok(Box::new(logic::Bools::new(true))),
        "bool_or" => |_| Ok(Box::new(logic::Bools::new(false))),
        "bit_and" | "bit_or" | "bit_xor" => return logic::bits(name, first?),
        "string_agg" => |types| Ok(Box::new(collect::Strings::new(types.result))),
        "json_agg" | "jsonb_agg" | "json_object_agg" | "jsonb_object_agg" => {
            |types| Ok(Box::new(json::JsonText::new(types)))
        }
        "array_agg" => |types| Ok(Box::new(collect::Arrays::new(types))),
        "variance" | "var_samp" | "var_pop" | "stddev" | "stddev_samp" | "stddev_pop" => {
            return statistics::variance(name, first?);
        }
        "percentile_cont" | "percentile_disc" | "mode" => return ordered::maker(name),
        "corr" | "covar_pop" | "covar_samp" | "regr_avgx" | "regr_avgy" | "regr_count" | "regr_intercept"
        | "regr_r2" | "regr_slope" | "regr_sxx" | "regr_sxy" | "regr_syy" => {
            |types| Ok(Box::new(statistics::Regression::new(types.function.name)))
        }
        _ => return None,
    })
}
