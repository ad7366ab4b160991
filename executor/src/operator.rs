//! What every operator of a running plan is.
//!
//! Made by `build.rs`, pulled by its parent (the topmost by `Rows`). An operator owns its plan node
//! (`Arc<Node>`) and its children; what it needs of the statement comes with each call.

use types::{Batch, Result};

use crate::context::ExecContext;

/// Produces batches until `None`; after that (and after an error) it is not asked again.
///
/// A returned batch has at least one row, and as many columns as the node's `columns`. To run again
/// (inner side of a nested loop, correlated subquery) the operator is built anew from its node.
pub trait Operator: Send {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>>;
}

/// An operator of any kind.
pub type BoxOperator = Box<dyn Operator>;

/// Pulls everything from `input`.
pub fn drain(input: &mut dyn Operator, cx: &ExecContext) -> Result<Vec<Batch>> {
    let mut batches = Vec::new();
    while let Some(batch) = input.next(cx)? {
        batches.push(batch);
    }
    Ok(batches)
}
