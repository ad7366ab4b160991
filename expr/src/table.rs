//! Set-returning functions: generate_series, unnest and their kin.

use types::DataType;

use crate::expr::{Expr, Location};
use crate::function::{Function, TableKernel};

/// A call of a set-returning function as the binder resolved it.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFunctionCall {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// Its output columns: names and types.
    pub columns: Vec<(String, DataType)>,
    pub location: Location,
}

/// The kernel of a set-returning function, by `prosrc`.
pub(crate) fn kernel(source: &str) -> Option<TableKernel> {
    let _ = source;
    None
}
