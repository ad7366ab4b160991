//! Names → ids, types and rights: a parsed statement and the catalog give a [`LogicalStatement`] or a
//! [`BoundDdl`].
//!
//! Called by `lib.rs` (plan) and by the session. A file per clause or statement.

use parser::Statement;
use types::{Error, Result};

use crate::context::PlanContext;
use crate::ddl::BoundDdl;
use crate::logical::LogicalStatement;

/// What a statement means.
#[derive(Debug)]
pub enum Bound {
    /// SELECT, INSERT, UPDATE, DELETE, MERGE: to be planned and executed.
    Query(Box<LogicalStatement>),
    /// A change of the schema.
    Ddl(BoundDdl),
    /// Transactions, settings, cursors, COPY, EXPLAIN …: the session's own.
    Utility,
}

/// Resolves everything `statement` names.
///
/// Errors carry PostgreSQL's SQLSTATE and the span of the name or operator at fault.
pub fn bind(statement: &Statement, cx: &PlanContext<'_>) -> Result<Bound> {
    let _ = cx;
    Err(Error::not_supported(statement.command_tag()))
}
