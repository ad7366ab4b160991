//! TopN: the first rows of a sort, without sorting the rest.
//!
//! Keeps the best rows seen so far; a row whose key is not below that of the worst one kept is dropped
//! before anything of it is copied.

use std::sync::Arc;

use planner::physical::plan::{Node, Op};
use types::key::KeyLayout;
use types::{BATCH_SIZE, Batch, DataType, Error, Result};

use crate::context::ExecContext;
use crate::memory::Reservation;
use crate::operator::{BoxOperator, Operator};
use crate::ops::limit::row_count;
use crate::ops::sort::key_layout;
use crate::row_buffer::RowBuffer;
use crate::table::keys::EncodedKeys;

pub struct TopN {
    node: Arc<Node>,
    input: BoxOperator,
    layout: KeyLayout,
    memory: Reservation,
    /// The result and the next row of it, once known.
    result: Option<(Batch, usize)>,
}

impl TopN {
    pub fn new(node: &Arc<Node>, input: BoxOperator, cx: &ExecContext) -> TopN {
        let layout = match &node.op {
            Op::TopN { keys, .. } => key_layout(keys),
            _ => KeyLayout::new(Vec::new()),
        };
        TopN { node: node.clone(), input, layout, memory: cx.reserve(), result: None }
    }

    fn run(&mut self, cx: &ExecContext) -> Result<(Batch, usize)> {
        let Op::TopN { keys, limit, offset, .. } = &self.node.op else {
            return Err(Error::internal("not a top-n sort"));
        };
        let skip =
            offset.as_ref().map(|expr| row_count(expr, "OFFSET", cx)).transpose()?.flatten().unwrap_or(0);
        let take = row_count(limit, "LIMIT", cx)?;
        let wanted = take.map_or(u64::MAX, |take| take.saturating_add(skip));
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        if wanted == 0 {
            return Ok((Batch::default(), 0));
        }
        let types: Vec<DataType> = self.node.columns.iter().map(|column| column.data_type).collect();
        let mut kept = RowBuffer::new(&types);
        let mut kept_keys = EncodedKeys::default();
        let mut threshold: Option<Vec<u8>> = None;
        let compact_at = wanted.saturating_mul(2).max(4 * BATCH_SIZE);
        let mut batch_keys = EncodedKeys::default();
        let mut better = Vec::new();
        while let Some(batch) = self.input.next(cx)? {
            cx.check_interrupt()?;
            let columns = keys.iter().map(|key| cx.eval(&key.expr, &batch)).collect::<Result<Vec<_>>>()?;
            batch_keys.clear();
            batch_keys.append(&self.layout, &columns, batch.len())?;
            better.clear();
            for row in 0..batch.len() {
                let key = batch_keys.get(row);
                if threshold.as_ref().is_none_or(|worst| key < worst.as_slice()) {
                    better.push(row as u32);
                    kept_keys.push(key);
                }
            }
            if better.is_empty() {
                continue;
            }
            kept.append_rows(&batch, &better);
            if kept.len() >= compact_at {
                let mut order = kept_keys.sorted();
                order.truncate(wanted);
                let rows = std::mem::replace(&mut kept, RowBuffer::new(&types)).finish();
                kept.append(&rows.gather(&order));
                let mut sorted = EncodedKeys::default();
                order.iter().for_each(|&row| sorted.push(kept_keys.get(row as usize)));
                if sorted.len() == wanted {
                    threshold = Some(sorted.get(wanted - 1).to_vec());
                }
                kept_keys = sorted;
            }
            self.memory.set(kept.size_bytes() + kept_keys.size_bytes())?;
        }
        let mut order = kept_keys.sorted();
        order.truncate(wanted);
        let kilobytes = self.memory.peak_bytes().div_ceil(1024);
        if cx.is_instrumented() {
            cx.update_stats(self.node.id, |stats| {
                stats.memory_bytes = stats.memory_bytes.max(kilobytes as u64 * 1024);
                stats.remarks =
                    vec![("Sort Method".into(), format!("top-N heapsort  Memory: {kilobytes}kB"))];
            });
        }
        let result = kept.finish().gather(&order);
        let start = skip.min(result.len());
        Ok((result, start))
    }
}

impl Operator for TopN {
    fn next(&mut self, cx: &ExecContext) -> Result<Option<Batch>> {
        if self.result.is_none() {
            self.result = Some(self.run(cx)?);
        }
        let Some((rows, next)) = &mut self.result else { return Ok(None) };
        if *next >= rows.len() {
            return Ok(None);
        }
        let start = *next;
        *next = rows.len().min(start + BATCH_SIZE);
        Ok(Some(rows.slice(start, *next)))
    }
}
