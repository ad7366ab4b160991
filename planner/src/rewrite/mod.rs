//! Rewrites that are better whatever the data: each a file, this list their order.

pub mod free;

use types::Result;

use crate::context::PlanContext;
use crate::logical::LogicalStatement;

/// The statement, rewritten.
pub fn rewrite(statement: LogicalStatement, cx: &PlanContext<'_>) -> Result<LogicalStatement> {
    let _ = cx;
    Ok(statement)
}
