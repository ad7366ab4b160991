//! Expressions, and the functions they call: typing them, printing them, running them over batches.
//!
//! Knows nothing of tables and plans. The binder makes expressions through [`coerce`], the planner
//! rewrites them through [`walk`], the executor runs them through [`eval`].

pub mod expr;
pub mod print;
pub mod walk;

pub mod context;
pub mod function;
pub mod registry;

pub mod cast;
pub mod coerce;
pub mod eval;

pub mod aggregate;
pub mod table;
pub mod window;

mod scalar;

pub use aggregate::{Accumulator, AggregateCall, SortKey};
pub use coerce::{Coercer, Resolution, ResolvedCall};
pub use context::{EvalContext, Host, NoHost, SubqueryRunner};
pub use eval::{eval, eval_constant, eval_predicate};
pub use expr::{
    BoolTest, CallForm, ColumnId, Expr, Location, PlanParameterId, Subquery, SubqueryId, SubqueryKind,
};
pub use function::{Comparison, Function, FunctionKind, Operator, Volatility};
pub use print::{Names, print, quote_identifier, quote_literal};
pub use registry::{CastContext, registry};
pub use scalar::args::is_too_wide;
pub use table::TableFunctionCall;
pub use window::{Frame, WindowArgs, WindowCall};
