//! Wraps an operator to count its rows and time, for EXPLAIN ANALYZE.
//!
//! Times are per node and include its inputs', as PostgreSQL prints them.

use std::time::Instant;

use planner::physical::plan::NodeId;
use types::{Batch, Result};

use crate::context::ExecContext;
use crate::operator::{BoxOperator, Operator};

pub struct Instrument {
    id: NodeId,
    inner: BoxOperator,
    started: bool,
}

impl Instrument {
    pub fn new(id: NodeId, inner: BoxOperator) -> Instrument {
        Instrument { id, inner, started: false }
    }
}

impl Operator for Instrument {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        let before = cx.environment().store.stats();
        let start = Instant::now();
        let result = self.inner.next(cx);
        let elapsed = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let after = cx.environment().store.stats();
        let first = !std::mem::replace(&mut self.started, true);
        cx.update_stats(self.id, |stats| {
            stats.total_ns += elapsed;
            stats.pages_hit += after.buffer_hits - before.buffer_hits;
            stats.pages_read += after.buffer_misses - before.buffer_misses;
            if first {
                stats.loops += 1;
                stats.startup_ns += elapsed;
            }
            if let Ok(Some(batch)) = &result {
                stats.rows += batch.len() as u64;
            }
        });
        result
    }
}
