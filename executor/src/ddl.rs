//! Schema changes: OIDs, trees, index builds, system rows.

use catalog::CatalogChange;
use planner::ddl::BoundDdl;
use types::{Error, Result};

use crate::context::ExecContext;

/// What a DDL statement did.
#[derive(Debug, Default)]
pub struct DdlOutcome {
    /// Already written to the system tree in the statement's transaction; the session applies it to its
    /// own catalog at once and publishes it at commit.
    pub change: CatalogChange,
    /// The table that CREATE TABLE AS has made; the session plans the query and feeds a [`crate::CopyIn`].
    pub created_table: Option<catalog::RelationId>,
}

/// Carries out `ddl` in the statement's transaction. The notices in it are the session's to send.
pub fn execute_ddl(ddl: &BoundDdl, cx: &ExecContext) -> Result<DdlOutcome> {
    let _ = (ddl, cx);
    Err(Error::internal("not built yet"))
}
